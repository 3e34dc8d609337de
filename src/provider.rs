//! The provider: who logs a site's users in, and how this gateway talks to it.
//!
//! One [`Provider`] per `[[site.provider]]`, of one of three kinds, and nothing of a kind is decided outside its own place.
//! Two share `code_flow` and differ in their `Server`: `oidc` finds endpoints and keys by discovery and believes a verified
//! ID token, `oauth2` has its endpoints written and asks the user endpoint. `relay` is an API with a login of its own.

mod assertion;
mod authorize;
mod back_channel;
mod bound;
mod claims;
mod client_auth;
mod client_channel;
mod code_flow;
mod discovery;
pub mod examine;
mod grant;
mod health;
mod id_token;
mod jarm;
mod json;
mod jwks;
mod jws;
mod kept;
mod logout;
mod logout_token;
mod oauth2;
mod oidc;
mod outcome;
mod par;
mod presence;
mod refusal;
mod relay;
mod response;
mod signature;
mod throttled;
mod token;
mod user;
mod userinfo;

use url::Url;

pub use self::grant::{Attempt, Grant, LoginHints, Renewal, Tokens};
pub use self::logout_token::{LogoutTokenError, ReceivedLogoutToken, VerifiedLogoutToken, Whose};
pub use self::outcome::{AuthorizeError, ProviderStatus, RedeemError, Refreshed, Unavailable};
pub use self::presence::LOOK_AGAIN;
pub use self::relay::{Credentials, LogInError, Refusal, Sender, Unfinished};
pub use self::response::{Answer, Response, logged_error};
pub use self::user::ProvenUser;

use self::client_channel::ClientChannel;
use self::code_flow::{CodeFlow, Server};
use self::oauth2::OAuth2;
use self::oidc::Oidc;
use self::relay::Relay;
use crate::clock::Clock;
use crate::config::{ProviderConfig, ProviderKind, ResponseMode, SiteConfig};
use crate::dpop;
use crate::secret::{AuthorizationCode, DpopKey, IdToken, State};

/// Who logs a site's users in, and what this gateway is there.
pub struct Provider {
    name: String,
    issuer: String,
    kind: Kind,
}

/// The kinds of provider, each with what it keeps.
enum Kind {
    CodeFlow(Box<CodeFlow>),
    Relay(Box<Relay>),
}

impl Provider {
    /// A provider of `site`; contacts nothing.
    ///
    /// # Errors
    /// When the certificate files or the signing key cannot be used, or a configured signature algorithm is not supported.
    pub fn new(site: &SiteConfig, config: &ProviderConfig, clock: Clock) -> Result<Self, String> {
        let caller = back_channel::BackChannel::new(config, clock.clone())?;
        let code_flow = |client, server| {
            let channel = ClientChannel::new(client, &config.issuer, caller.clone(), clock.clone())?;
            Ok::<_, String>(Kind::CodeFlow(Box::new(CodeFlow::new(site, config, client, (channel, server)))))
        };
        let kind = match &config.kind {
            ProviderKind::Oidc(oidc) => {
                let server = Server::Oidc(Box::new(Oidc::new(config, oidc, caller.clone(), clock.clone())?));
                code_flow(&oidc.client, server)?
            }
            ProviderKind::OAuth2(oauth2) => {
                let server = Server::OAuth2(Box::new(OAuth2::new(config, oauth2, caller.clone(), clock.clone())));
                code_flow(&oauth2.client, server)?
            }
            ProviderKind::Relay(relay) => Kind::Relay(Box::new(Relay::new(site, config, relay, caller, clock))),
        };
        Ok(Self { name: config.name.clone(), issuer: config.issuer.clone(), kind })
    }

    /// The configured name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The configured issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The configured scopes; none where the kind has no such thing.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        match &self.kind {
            Kind::CodeFlow(flow) => &flow.client.scopes,
            Kind::Relay(_) => &[],
        }
    }

    /// A fresh key for a login, where tokens are to be bound to one.
    #[must_use]
    pub fn new_dpop_key(&self) -> Option<DpopKey> {
        match &self.kind {
            Kind::CodeFlow(flow) => flow.client.requests.dpop.then(dpop::new_key),
            Kind::Relay(_) => None,
        }
    }

    /// The URL that starts a login: code flow, PKCE S256, state, and what the kind adds (OpenID Connect Core §3.1.2.1).
    ///
    /// # Errors
    /// [`AuthorizeError`] when the provider cannot be asked now or refuses this client, or the kind has no such URL.
    pub async fn authorization_url(&self, attempt: &Attempt, hints: &LoginHints) -> Result<Url, AuthorizeError> {
        match &self.kind {
            Kind::CodeFlow(flow) => authorize::url(flow, attempt, hints).await,
            Kind::Relay(_) => Err(relay::no_page().into()),
        }
    }

    /// How this provider is asked to hand over its answers.
    #[must_use]
    pub fn response_mode(&self) -> ResponseMode {
        match &self.kind {
            Kind::CodeFlow(flow) => flow.client.response_mode,
            Kind::Relay(_) => ResponseMode::Query,
        }
    }

    /// What an answer says to the attempt with `state`, which asked for it by `mode`: it came so, and if it is signed, this
    /// provider signed it for this client and this attempt (JARM §2.4).
    ///
    /// # Errors
    /// [`RedeemError`] when it is not to be believed, or the keys cannot be had.
    pub async fn believe(&self, answer: Answer, mode: ResponseMode, state: &State) -> Result<Response, RedeemError> {
        match &self.kind {
            Kind::CodeFlow(flow) => flow.server.believe(answer, mode, state).await,
            Kind::Relay(_) => Err(relay::no_page().into()),
        }
    }

    /// Checks the `iss` of an authorization response, errors included (RFC 9207 §2.4).
    ///
    /// # Errors
    /// [`RedeemError`] when it is missing although advertised or needed, or another issuer's, or the metadata cannot be had.
    pub async fn check_response_issuer(&self, iss: Option<&str>) -> Result<(), RedeemError> {
        match &self.kind {
            Kind::CodeFlow(flow) => flow.check_response_issuer(iss).await,
            Kind::Relay(_) => Err(relay::no_page().into()),
        }
    }

    /// Redeems a code once and finds out whose it was.
    ///
    /// # Errors
    /// [`RedeemError`] says whose fault it is.
    pub async fn redeem(&self, code: &AuthorizationCode, attempt: &Attempt) -> Result<Grant, RedeemError> {
        match &self.kind {
            Kind::CodeFlow(flow) => token::redeem(flow, code, attempt).await,
            Kind::Relay(_) => Err(relay::no_page().into()),
        }
    }

    /// Whether users log in here with credentials that their page sends, and not on a page of the provider.
    #[must_use]
    pub const fn takes_credentials(&self) -> bool {
        matches!(self.kind, Kind::Relay(_))
    }

    /// The app's own page for those, a path of the site, where one is configured.
    #[must_use]
    pub fn login_page(&self) -> Option<&str> {
        match &self.kind {
            Kind::CodeFlow(_) => None,
            Kind::Relay(relay) => relay.login_page(),
        }
    }

    /// Hands credentials on, once, and finds out whose they were.
    ///
    /// # Errors
    /// [`LogInError`] says whose fault it is.
    pub async fn log_in(&self, credentials: Credentials) -> Result<Grant, LogInError> {
        match &self.kind {
            Kind::CodeFlow(_) => Err(LogInError::Unusable("this provider takes no credentials".to_owned())),
            Kind::Relay(relay) => relay.log_in(credentials).await,
        }
    }

    /// Gets new tokens; an ID token in the answer must be the same subject's (OpenID Connect Core §12.2), else the answer
    /// counts as [`Refreshed::Rejected`]: the session can no longer be tied to its user.
    pub async fn refresh(&self, renewal: &Renewal<'_>) -> Refreshed {
        match &self.kind {
            Kind::CodeFlow(flow) => token::refresh(flow, renewal).await,
            Kind::Relay(relay) => relay.refresh(renewal).await,
        }
    }

    /// The provider's logout URL (OpenID Connect RP-Initiated Logout §2); `None` when it has none or cannot be asked.
    /// Uses only metadata already at hand or quickly had, so that a dead provider does not delay a logout.
    pub async fn logout_url(&self, id_token: Option<&IdToken>, state: &State) -> Option<Url> {
        match &self.kind {
            Kind::CodeFlow(flow) => logout::url(flow, id_token, state).await,
            Kind::Relay(_) => None,
        }
    }

    /// Whether this provider may end sessions through the browser (OpenID Connect Front-Channel Logout §2).
    #[must_use]
    pub fn takes_front_channel_logout(&self) -> bool {
        self.oidc().is_some_and(|oidc| oidc.config.frontchannel_logout)
    }

    /// Checks a logout token that [`ReceivedLogoutToken::is_from`] this provider (OpenID Connect Back-Channel Logout §2.6).
    ///
    /// # Errors
    /// [`LogoutTokenError`]: nothing may be ended for it.
    pub async fn verify_logout_token(
        &self,
        token: &ReceivedLogoutToken,
    ) -> Result<VerifiedLogoutToken, LogoutTokenError> {
        let oidc = self.oidc().ok_or(LogoutTokenError::Invalid("this provider signs none"))?;
        Ok(logout_token::verify(oidc, token).await?)
    }

    /// What only OpenID Connect has: keys that sign.
    fn oidc(&self) -> Option<&Oidc> {
        match &self.kind {
            Kind::CodeFlow(flow) => flow.server.oidc(),
            Kind::Relay(_) => None,
        }
    }
}
