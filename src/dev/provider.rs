//! An OpenID provider for development and tests: strict, in memory, on loopback only, and it judges its client.
//!
//! It is written from the standards and shares no code with the gateway's own provider room, so that the two cannot
//! agree on a mistake. Whatever a client does wrong is refused, and remembered as a complaint that a test can ask for.

mod access;
mod answer;
mod audience;
mod authorize;
mod back_channel;
mod behaviour;
mod client;
mod desk;
mod dialect;
mod discovery;
mod end_session;
mod expiring;
mod issue;
mod keys;
mod login;
mod own_login;
mod pages;
mod parameters;
mod profile;
mod request;
mod respond;
mod revoke;
mod shared;
mod state;
mod token;
mod trouble;
mod user;
mod userinfo;

pub use access::{AccessClaims, AccessTokens, BadToken};
pub use behaviour::{Behaviour, Rotation};
pub use client::Client;
#[cfg(test)]
pub(super) use keys::KeyRing;
pub use own_login::PASSWORD;
pub use profile::Profile;
pub use state::Tally;
pub use user::User;

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};

use self::shared::Shared;
use super::running::Running;
use crate::clock::Clock;

/// What the provider knows when it starts.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The registered clients; more can follow through [`EmbeddedProvider::register`].
    pub clients: Vec<Client>,
    /// Who can sign in.
    pub users: Vec<User>,
    /// The `aud` of access tokens: the API they are for.
    pub audience: String,
    /// What kind of provider it is.
    pub profile: Profile,
    /// Lifetimes, and how the provider misbehaves.
    pub behaviour: Behaviour,
    /// Where the time comes from.
    pub clock: Clock,
}

impl Setup {
    /// A provider of this kind, without clients yet.
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        Self {
            profile,
            clients: Vec::new(),
            users: User::demo(),
            audience: audience::name(profile.authorization.api).to_owned(),
            behaviour: Behaviour { rotation: profile.refresh.rotation, ..Behaviour::default() },
            clock: Clock::System,
        }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self::of(Profile::default())
    }
}

/// A running provider; it stops when this is dropped.
#[derive(Debug)]
pub struct EmbeddedProvider {
    shared: web::Data<Shared>,
    running: Running,
}

impl EmbeddedProvider {
    /// Starts on any free port of 127.0.0.1. Inside an actix system.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn start(setup: Setup) -> io::Result<Self> {
        Self::start_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, setup)
    }

    /// Starts on a bound listener. Inside an actix system.
    ///
    /// # Errors
    /// When the listener is not on loopback, or cannot be used.
    pub fn start_on(listener: TcpListener, setup: Setup) -> io::Result<Self> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the embedded provider listens on loopback only"));
        }
        let shared = web::Data::new(Shared::new(address, setup));
        let state = shared.clone();
        let profile = shared.profile;
        let server = HttpServer::new(move || {
            App::new()
                .app_data(state.clone())
                .app_data(web::PayloadConfig::new(64 * 1024))
                .wrap(from_fn(trouble::arrange))
                .wrap(from_fn(respond::own_host_only))
                .wrap(respond::security_headers())
                .configure(|app| routes(app, &profile))
        })
        .workers(1)
        .disable_signals()
        .listen(listener)?
        .run();
        Ok(Self { shared, running: Running::start(server) })
    }

    /// Where it is: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.shared.address
    }

    /// The issuer, which begins with the address.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// The `aud` by which an API knows that a token is for it.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.shared.audience
    }

    /// What kind of provider it is.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.shared.profile
    }

    /// Registers one more client, or replaces the one with the same id.
    pub fn register(&self, client: Client) {
        self.shared.register(client);
    }

    /// How it behaves now.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        self.shared.behaviour()
    }

    /// Makes it behave differently from the next request on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.behave(behaviour);
    }

    /// Verifies this provider's access tokens, for an API in the same process.
    #[must_use]
    pub fn access_tokens(&self) -> AccessTokens {
        self.shared.access_tokens.clone()
    }

    /// What clients did wrong, oldest first; the last hundred.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.shared.state().complaints()
    }

    /// How often each thing has happened.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.shared.state().tally
    }

    /// Stops listening and drops open connections.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

/// Every path of the provider.
fn routes(app: &mut web::ServiceConfig, profile: &Profile) {
    let paths = &profile.paths;
    if profile.authorization.openid {
        app.service(web::resource(discovery::path(paths.issuer)).get(discovery::configuration));
    }
    if let Some(path) = paths.jwks {
        app.service(web::resource(path).get(discovery::jwks));
    }
    if let Some(path) = paths.revoke {
        app.service(web::resource(path).post(revoke::revoke));
    }
    if let Some(path) = paths.logout {
        app.service(web::resource(path).get(end_session::end_session).post(end_session::end_session))
            .service(web::resource("/end_session/confirm").post(end_session::confirm));
    }
    if let Some(path) = paths.hook {
        app.service(web::resource(path).post(userinfo::log_out));
    }
    if let Some(path) = paths.authorize {
        app.service(web::resource(path).get(authorize::authorize).post(authorize::authorize))
            .service(web::resource("/login").post(login::login));
    }
    if let Some(path) = paths.token {
        app.service(web::resource(path).post(token::token));
    }
    if let Some(own) = profile.own_login {
        app.service(web::resource(own.login).post(own_login::log_in));
    }
    if let Some(path) = profile.own_login.and_then(|own| own.refresh) {
        app.service(web::resource(path).post(own_login::refresh));
    }
    app.service(web::resource(paths.userinfo).get(userinfo::userinfo).post(userinfo::userinfo))
        .service(web::resource("/avatar/{user}.svg").get(user::avatar))
        .service(web::resource("/icon.svg").get(pages::icon))
        .service(web::resource("/provider.css").get(pages::stylesheet))
        .service(web::resource("/post.js").get(pages::script))
        .service(web::resource("/desk").post(desk::press))
        .service(web::resource("/").get(desk::show))
        .default_service(web::to(pages::not_found));
}
