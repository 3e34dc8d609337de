//! The configuration: the file as written, checked in one pass that reports every fault, and resolved into meaning.
//!
//! [`read`] goes from text to [`Config`]. `raw` holds the shapes of the TOML file, `resolve` turns them into the
//! types of `model` and collects [`Fault`]s. This room is the only one that reads environment variables and secret files.

mod model;
mod origin;

pub use model::*;
pub use origin::{NotAnOrigin, Origin, Scheme, is_loopback_host};

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Reads environment variables, for `{ env = "…" }`; handed in, so that tests need no real environment.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Where the admin listener is, unless configured otherwise.
pub const DEFAULT_ADMIN_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

/// The environment of this process.
#[must_use]
pub fn process_environment(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    std::env::var(name).ok()
}

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file it is in.
    pub file: PathBuf,
    /// The key, such as `site[0].provider[0].issuer`; empty when the file as a whole is meant.
    pub key: String,
    /// What is wrong.
    pub wrong: String,
    /// What to do.
    pub remedy: String,
}

/// Everything that is wrong; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

/// Reads one or more files into one configuration: later files add sites, a scalar set twice is a fault.
///
/// # Errors
/// Every fault of every file at once.
pub fn read(paths: &[PathBuf], environment: &Environment<'_>) -> Result<Config, Faults> {
    let _ = environment("");
    todo!("{paths:?}")
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Config {
    /// The effective routes.
    #[must_use]
    pub fn route_table(&self) -> String {
        todo!()
    }
}
