//! `cloakroom dev`: an embedded OpenID provider, a demo API and a demo SPA on two sites, all on loopback.

pub mod provider;

/// What the command line says.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// The gateway's port; the parts next to it take the ports after it, or any free one.
    pub port: u16,
    /// A directory or a dev server's URL instead of the demo SPA.
    pub spa: Option<String>,
    /// An API's URL instead of the demo API.
    pub api: Option<String>,
}

/// Why `dev` cannot start: a sentence for a person, with the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DevError(pub String);

/// Runs everything until `stop` resolves; prints the URLs and what to click through `say`. Inside an actix system.
///
/// # Errors
/// [`DevError`] when a part cannot start.
pub async fn run(options: DevOptions, say: impl Fn(&str), stop: impl Future<Output = ()>) -> Result<(), DevError> {
    say(&format!("{options:?}"));
    stop.await;
    todo!()
}
