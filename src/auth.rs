//! The use cases of one site, without any HTTP type: begin and complete a login, the current session, refresh, log out.
//!
//! What must not die with the request that asked for it (a code's redemption, a refresh, a logout) runs as a task of its
//! own through [`Background`]; everything else runs where it is called, on the store of the calling worker.

mod activity;
mod another_user;
mod backchannel;
mod background;
mod budget;
mod current;
mod enter;
mod frontchannel;
mod hand_back;
mod insist;
mod login;
mod logout;
mod opened;
mod orphan;
mod pauses;
mod pending;
mod posted;
mod refresh;
mod relay;
mod replay;
pub mod sessions;
mod step_up;
mod streams;
mod write;

use std::sync::Arc;

use arc_swap::ArcSwapOption;

pub use self::backchannel::BackchannelError;
pub use self::background::Background;
pub use self::current::{CurrentError, Session, SessionView, Why};
pub use self::frontchannel::FrontchannelError;
pub use self::login::{Arrival, BeginError, Begun, CallbackError, Completed, LoginRequest};
pub use self::logout::LoggedOut;
pub use self::opened::Holder;
pub use self::pending::{LOGIN_LIFETIME, PendingLogin};
pub use self::posted::PostedAnswer;
pub use self::refresh::TokenError;
pub use self::relay::LogInFailure;
pub use self::streams::{End, Live, News, STREAMS_PER_SESSION, Seen, Streams, TooManyStreams};

use self::activity::{Touches, Unwritten};
use self::budget::Purse;
use self::refresh::Flights;
use self::sessions::SiteSessions;
use crate::clock::Clock;
use crate::config::{ProviderConfig, SiteConfig};
use crate::provider::Provider;
use crate::session::keyring::Keyring;
use crate::session::lifecycle::Limits;
use crate::session::record::Meta;
use crate::session::store::{EndReason, StoreKey};
use crate::telemetry::metrics;

/// The use cases of one site. Shared by every worker.
pub struct Auth {
    site: Arc<SiteConfig>,
    /// The site's origin, as logs and metrics call it.
    name: String,
    ring: Arc<Keyring>,
    sessions: Arc<SiteSessions>,
    providers: Vec<Provider>,
    /// What may be asked of each of them, in their order.
    purses: Vec<Purse>,
    clock: Clock,
    background: Background,
    flights: Arc<Flights>,
    touches: Touches,
    unwritten: Arc<Unwritten>,
    streams: Streams,
    /// What a reload has put in this one's place.
    successor: ArcSwapOption<Self>,
}

impl Auth {
    /// The use cases of `site`; contacts nothing. After a reload they go on where those of the same site's
    /// `predecessor` are: a refresh under way is joined, not repeated, and activity that waits for the store goes on counting.
    ///
    /// # Errors
    /// A sentence, when certificate files of a provider cannot be used.
    pub fn new(
        site: Arc<SiteConfig>,
        clock: Clock,
        background: Background,
        streams: Streams,
        predecessor: Option<&Self>,
    ) -> Result<Arc<Self>, String> {
        let providers = site
            .providers
            .iter()
            .map(|config| Provider::new(&site, config, clock.clone()))
            .collect::<Result<Vec<_>, _>>()?;
        let ring = Arc::new(Keyring::new(&site.origin, &site.session.keys).ok_or("the site has no key")?);
        let sessions = Arc::new(SiteSessions::new(&site, Arc::clone(&ring), clock.clone()));
        let purse = |config| Purse::new(site.origin.as_str(), config, clock.clone());
        let purses = site.providers.iter().map(purse).collect();
        let flights = predecessor.map(|auth| Arc::clone(&auth.flights)).unwrap_or_default();
        let unwritten = predecessor.map(|auth| Arc::clone(&auth.unwritten)).unwrap_or_default();
        let name = site.origin.to_string();
        metrics::expect_site(&name, &EndReason::ALL.map(EndReason::as_str), providers.iter().map(Provider::name));
        let (touches, successor) = Default::default();
        Ok(Arc::new(Self {
            site,
            name,
            ring,
            sessions,
            providers,
            purses,
            clock,
            background,
            flights,
            touches,
            unwritten,
            streams,
            successor,
        }))
    }

    /// Lets `successor` go on with what this one watches over.
    pub fn succeeded_by(&self, successor: &Arc<Self>) {
        self.successor.store(Some(Arc::clone(successor)));
    }

    /// What reloads have put in this one's place by now; itself without any.
    fn latest(self: &Arc<Self>) -> Arc<Self> {
        let mut latest = Arc::clone(self);
        while let Some(successor) = latest.successor.load_full() {
            latest = successor;
        }
        latest
    }

    /// The site.
    #[must_use]
    pub fn site(&self) -> &SiteConfig {
        &self.site
    }

    /// The site's keys.
    #[must_use]
    pub fn ring(&self) -> &Keyring {
        &self.ring
    }

    /// The site's sessions, as its keys alone show them.
    #[must_use]
    pub const fn sessions(&self) -> &Arc<SiteSessions> {
        &self.sessions
    }

    /// The site's providers, the default first.
    #[must_use]
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// The clock that sessions are judged by.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The provider of that name, or the default.
    #[must_use]
    pub fn provider_for(&self, name: Option<&str>) -> Option<&Provider> {
        name.map_or_else(|| self.providers.first(), |name| self.provider(name))
    }

    fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.name() == name)
    }

    /// The provider of that name, if it still is the issuer that a login or a session began with: what one issuer gave
    /// out, a code or a token, is never shown to another.
    fn provider_of(&self, name: &str, issuer: &str) -> Option<&Provider> {
        self.provider(name).filter(|provider| provider.issuer() == issuer)
    }

    /// What a session with this record is judged by.
    fn limits(&self, meta: &Meta) -> Limits {
        let refresh_before = self.provider_config(meta).and_then(|provider| provider.refresh_before);
        Limits { idle: self.site.session.idle, refresh_before }
    }

    fn provider_config(&self, meta: &Meta) -> Option<&ProviderConfig> {
        let mut providers = self.site.providers.iter();
        providers.find(|provider| provider.name == meta.provider && provider.issuer == meta.issuer)
    }

    /// What may be asked of a provider of this site.
    fn purse(&self, provider: &Provider) -> &Purse {
        let purse = self.purses.iter().find(|purse| purse.provider() == provider.name());
        purse.expect("every provider has one")
    }

    /// The key of a short-lived note of this site.
    fn note_key(&self, kind: &[u8], name: &str) -> StoreKey {
        StoreKey::of(&[kind, self.site.origin.as_str().as_bytes(), name.as_bytes()])
    }
}
