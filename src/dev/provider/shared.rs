//! What every handler of the provider sees.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::access::AccessTokens;
use super::keys::KeyRing;
use super::state::{Authentication, Family, State};
use super::{Behaviour, Client, Profile, Setup, User};
use crate::clock::{Clock, Timestamp};
use crate::secret::random_bytes;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The provider's settings, keys and memory.
#[derive(Debug)]
pub(super) struct Shared {
    /// Where it is: scheme, host and port.
    pub(super) address: String,
    pub(super) issuer: String,
    /// Host and port of the address.
    pub(super) authority: String,
    pub(super) audience: String,
    pub(super) users: Vec<User>,
    pub(super) profile: Profile,
    pub(super) keys: Arc<KeyRing>,
    pub(super) access_tokens: AccessTokens,
    pub(super) clock: Clock,
    clients: RwLock<Vec<Client>>,
    behaviour: RwLock<Behaviour>,
    state: Mutex<State>,
    seal: hmac::Key,
    port: u16,
}

impl Shared {
    pub(super) fn new(address: SocketAddr, setup: Setup) -> Self {
        let authority = address.to_string();
        let issuer = format!("http://{authority}{}", setup.profile.paths.issuer);
        let keys = Arc::new(KeyRing::generate());
        let (rules, ring, clock) = (setup.profile.tokens, Arc::clone(&keys), setup.clock.clone());
        Self {
            access_tokens: AccessTokens::new(rules, ring, &issuer, &setup.audience, clock),
            address: format!("http://{authority}"),
            issuer,
            authority,
            audience: setup.audience,
            users: setup.users,
            profile: setup.profile,
            keys,
            clock: setup.clock,
            clients: RwLock::new(setup.clients),
            behaviour: RwLock::new(setup.behaviour),
            state: Mutex::new(State::new()),
            seal: hmac::Key::new(hmac::HMAC_SHA256, &random_bytes::<32>()),
            port: address.port(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn behaviour(&self) -> Behaviour {
        *self.behaviour.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.write().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    pub(super) fn client(&self, id: &str) -> Option<Client> {
        self.clients.read().unwrap_or_else(PoisonError::into_inner).iter().find(|client| client.id == id).cloned()
    }

    pub(super) fn register(&self, client: Client) {
        let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|known| known.id != client.id);
        clients.push(client);
    }

    pub(super) fn user(&self, id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    /// What tokens call a user: without OpenID Connect it is the number of their row.
    pub(super) fn subject(&self, user: &User) -> String {
        if self.profile.authorization.openid { user.id.clone() } else { self.number(user).to_string() }
    }

    /// What an application may send to say who is to be signed in or out, without a page that asks.
    pub(super) fn login_hint(&self, user: &User) -> String {
        self.mac(&["login hint", &user.id])
    }

    /// Whom a token means.
    pub(super) fn user_of(&self, subject: &str) -> Option<&User> {
        self.users.iter().find(|user| self.subject(user) == subject)
    }

    /// The user's place among all, from 1.
    pub(super) fn number(&self, user: &User) -> usize {
        self.users.iter().position(|known| known.id == user.id).map_or(0, |at| at + 1)
    }

    /// Everything of a login ends, and its newest access token with it where that can be noticed.
    pub(super) fn end_login(&self, state: &mut State, id: &str) -> Option<Family> {
        let ended = state.families.remove(id)?;
        if self.access_tokens.are_judged_by_the_provider() {
            self.spoil_access_token(&ended, "revoked");
        }
        Some(ended)
    }

    /// Makes every API refuse the newest access token of a login.
    pub(super) fn spoil_access_token(&self, login: &Family, why: &'static str) {
        if let Some(jti) = &login.access_token {
            self.access_tokens.spoil(jti, why, self.now().plus(self.access_token_lifetime()));
        }
    }

    /// How long access tokens live; one that does not end by itself lives as long as anything here can.
    pub(super) fn access_token_lifetime(&self) -> Duration {
        if self.profile.tokens.expires { self.behaviour().access_token_lifetime } else { YEAR }
    }

    /// Remembers what a client did wrong.
    pub(super) fn complain(&self, client: &str, what: &str) {
        tracing::warn!(client, "the embedded provider refuses: {what}");
        self.state().complain(format!("{client}: {what}"));
    }

    /// A keyed hash of some words; no two lists of words have the same.
    pub(super) fn mac(&self, words: &[&str]) -> String {
        let mut context = hmac::Context::with_key(&self.seal);
        for word in words {
            context.update(&(word.len() as u64).to_be_bytes());
            context.update(word.as_bytes());
        }
        URL_SAFE_NO_PAD.encode(context.sign())
    }

    /// Browsers share cookies between the ports of a host, so the names carry the port.
    pub(super) fn sso_cookie(&self) -> String {
        format!("provider-sso-{}", self.port)
    }

    pub(super) fn browser_cookie(&self) -> String {
        format!("provider-browser-{}", self.port)
    }

    /// Who is signed in at the provider in this browser.
    pub(super) fn signed_in(&self, request: &HttpRequest) -> Option<Authentication> {
        let cookie = request.cookie(&self.sso_cookie())?;
        self.state().sso.get(cookie.value(), self.now()).cloned()
    }
}

/// A cookie for this host alone that lasts as long as the browser runs.
pub(super) fn cookie(name: String, value: String) -> Cookie<'static> {
    Cookie::build(name, value).path("/").http_only(true).same_site(SameSite::Lax).finish()
}
