//! `cloakroom dev`: an embedded OpenID provider, a demo API and a demo SPA on two sites, all on loopback.
//!
//! [`run`] reads the options, finds the ports, starts the parts and puts a whole gateway in front of them, set up by
//! `arrangement` with a configuration as an operator would write it.

pub mod provider;

mod api;
mod arrangement;
mod banner;
mod options;
mod ports;
mod running;
mod spa;

use std::io;
use std::time::Duration;

use self::api::DemoApi;
use self::arrangement::Arrangement;
use self::options::{Api, Spa, Wanted};
use self::provider::{EmbeddedProvider, Profile, Setup};
use self::spa::DemoSpa;
use crate::app::Gateway;
use crate::clock::Clock;

/// What the command line says.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// The gateway's port; the parts next to it take the ports after it, or any free one.
    pub port: u16,
    /// A directory or a dev server's URL instead of the demo SPA.
    pub spa: Option<String>,
    /// An API's URL instead of the demo API.
    pub api: Option<String>,
    /// Which real provider the embedded one plays; none is a strict one.
    pub profile: Option<&'static Profile>,
    /// How long access tokens live; none is two minutes.
    pub token_lifetime: Option<Duration>,
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
    let clock = Clock::System;
    let wanted = Wanted::parse(&options)?;
    let port = ports::gateway(options.port)?;
    let setup = setup(&options, &clock);
    let profile = setup.profile;
    let listener = ports::after(port, 1)?;
    let provider = EmbeddedProvider::start_on(listener, setup).map_err(|error| cannot_start("provider", &error))?;
    let (api, api_url) = start_api(&wanted.api, port, &provider, &clock)?;
    let (spa, page) = start_spa(&wanted.spa, port)?;
    // An API with a login of its own is what logs people in.
    let address = match &wanted.api {
        Api::Own(url) if profile.own_login.is_some() => url.as_str().trim_end_matches('/'),
        Api::Own(_) | Api::Demo => provider.address(),
    };
    let arrangement = Arrangement { port, profile: &profile, address, api: &api_url, spa: page };
    let (config, clients) = arrangement.make()?;
    let text = banner::text(&config, &wanted, &provider);
    for client in clients {
        provider.register(client);
    }
    let gateway = Gateway::build(config, clock).map_err(|error| DevError(error.to_string()))?;
    say(&text);
    let served = gateway.run_until(stop).await;
    drop((spa, api));
    provider.stop().await;
    served.map_err(|error| DevError(format!("the gateway broke off: {error}")))
}

fn setup(options: &DevOptions, clock: &Clock) -> Setup {
    let mut setup = Setup { clock: clock.clone(), ..Setup::of(options.profile.copied().unwrap_or_default()) };
    if let Some(lifetime) = options.token_lifetime {
        setup.behaviour.access_token_lifetime = lifetime;
    }
    setup
}

/// The demo API, unless another one is wanted; and the URL of the one that counts.
fn start_api(
    wanted: &Api,
    port: u16,
    provider: &EmbeddedProvider,
    clock: &Clock,
) -> Result<(Option<DemoApi>, url::Url), DevError> {
    match wanted {
        Api::Own(url) => Ok((None, url.clone())),
        Api::Demo => {
            let listener = ports::after(port, 2)?;
            let url = ports::url(&listener)?;
            let api = DemoApi::start(listener, provider.access_tokens(), clock.clone())
                .map_err(|error| cannot_start("demo API", &error))?;
            Ok((Some(api), url))
        }
    }
}

/// The demo page, unless another one is wanted; and the key and value that say which one counts.
fn start_spa(wanted: &Spa, port: u16) -> Result<(Option<DemoSpa>, (&'static str, String)), DevError> {
    match wanted {
        Spa::Dir(dir) => Ok((None, ("dir", dir.clone()))),
        Spa::Server(url) => Ok((None, ("dev_server", url.to_string()))),
        Spa::Demo => {
            let listener = ports::after(port, 3)?;
            let url = ports::url(&listener)?;
            let spa = DemoSpa::start(listener).map_err(|error| cannot_start("demo page", &error))?;
            Ok((Some(spa), ("dev_server", url.to_string())))
        }
    }
}

fn cannot_start(part: &str, error: &io::Error) -> DevError {
    DevError(format!("the {part} cannot start: {error}"))
}
