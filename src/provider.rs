//! The provider: the strict OpenID Connect client (relying party) that logs a site's users in.
//!
//! One [`Provider`] per `[[site.provider]]`. Metadata and keys are fetched lazily, kept, and fetched again when they fail;
//! nothing of a metadata document is used before its issuer was compared (OpenID Connect Discovery §4.3).

use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use crate::clock::Clock;
use crate::config::SiteConfig;
use crate::secret::{AccessToken, AuthorizationCode, CodeVerifier, IdToken, Nonce, RefreshToken, State};

/// The authorization server of one site's users, and this gateway's client registration there.
pub struct Provider {}

/// What one login attempt sends along, made fresh for it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// `state`
    pub state: State,
    /// `nonce`
    pub nonce: Nonce,
    /// The PKCE verifier; the request carries its S256 challenge (RFC 7636 §4.2).
    pub verifier: CodeVerifier,
}

/// What the browser may pass on to the provider, each well formed already.
#[derive(Clone, Debug, Default)]
pub struct LoginHints {
    /// `prompt`
    pub prompt: Option<String>,
    /// `login_hint`
    pub login_hint: Option<String>,
    /// `ui_locales`
    pub ui_locales: Option<String>,
}

/// What a redeemed code gives: tokens, and a user who is proven.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The tokens.
    pub tokens: Tokens,
    /// The user.
    pub id_token: VerifiedIdToken,
}

/// The tokens of one answer of the token endpoint.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The bearer for the upstream.
    pub access_token: AccessToken,
    /// The token for the next refresh; `None` in the answer to a refresh means "keep the old one".
    pub refresh_token: Option<RefreshToken>,
    /// The raw ID token, for `id_token_hint`.
    pub id_token: Option<IdToken>,
    /// The access token's lifetime: `expires_in`, or the configured default; never more than a year.
    pub expires_in: Duration,
}

/// An ID token that passed every check of OpenID Connect Core §3.1.3.7. Only `provider::id_token` makes one.
#[derive(Clone, Debug)]
pub struct VerifiedIdToken {
    issuer: String,
    subject: String,
    sid: Option<String>,
    claims: Map<String, Value>,
}

impl VerifiedIdToken {
    /// `iss`
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `sid`, the provider's own session id (OpenID Connect Back-Channel Logout §2.1).
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// Every claim of the token.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

/// The provider cannot be used right now, and why; nothing is the user's fault.
#[derive(Debug, thiserror::Error)]
#[error("the provider is unavailable: {0}")]
pub struct Unavailable(pub String);

/// Why a code did not become a login.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    /// No answer, a time-out, a 5xx or a 429; the code may or may not be used up and is not sent again.
    #[error("the provider is unavailable: {0}")]
    Unavailable(String),
    /// The provider refused the code (`invalid_grant`).
    #[error("the provider refused the code: {0}")]
    Rejected(String),
    /// The provider refused this client (`invalid_client` and its kin).
    #[error("the provider refused this client: {0}")]
    Misconfigured(String),
    /// The answer, or the ID token in it, breaks the standard.
    #[error("the provider's answer is invalid: {0}")]
    Invalid(String),
}

/// What a refresh came to (contract section 6.5).
#[derive(Debug)]
pub enum Refreshed {
    /// New tokens.
    Tokens(Tokens),
    /// The refresh token is refused: the session is over.
    Rejected(String),
    /// No usable answer: the session goes on, the refresh is tried again later.
    Unavailable(String),
    /// The client itself is refused: an operator must act, no session ends.
    Misconfigured(String),
}

/// How the provider is doing, for `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderStatus {
    /// Not asked yet.
    Unknown,
    /// Metadata was fetched and checked.
    Ready,
    /// The last attempt failed, for this reason.
    Down(String),
}

impl Provider {
    /// A provider of `site`; contacts nothing.
    ///
    /// # Errors
    /// When the certificate files cannot be used.
    pub fn new(site: &SiteConfig, config: &crate::config::ProviderConfig, clock: Clock) -> Result<Self, String> {
        todo!("{}{}{clock:?}", site.origin, config.name)
    }

    /// The configured name.
    #[must_use]
    pub fn name(&self) -> &str {
        todo!()
    }

    /// The URL that starts a login: code flow, PKCE S256, state, nonce (OpenID Connect Core §3.1.2.1).
    ///
    /// # Errors
    /// [`Unavailable`] when the metadata cannot be had.
    pub async fn authorization_url(&self, attempt: &Attempt, hints: &LoginHints) -> Result<Url, Unavailable> {
        todo!("{attempt:?}{hints:?}")
    }

    /// Checks the `iss` of an authorization response, errors included (RFC 9207 §2.4).
    ///
    /// # Errors
    /// [`RedeemError`] when it is missing although advertised, or another issuer's, or the metadata cannot be had.
    pub async fn check_response_issuer(&self, iss: Option<&str>) -> Result<(), RedeemError> {
        todo!("{iss:?}")
    }

    /// Redeems a code once and validates what comes back.
    ///
    /// # Errors
    /// [`RedeemError`] says whose fault it is.
    pub async fn redeem(&self, code: &AuthorizationCode, attempt: &Attempt) -> Result<Grant, RedeemError> {
        todo!("{code:?}{attempt:?}")
    }

    /// Gets new tokens; an ID token in the answer must be this `subject`'s (OpenID Connect Core §12.2).
    pub async fn refresh(&self, refresh_token: &RefreshToken, subject: &str) -> Refreshed {
        todo!("{refresh_token:?}{subject}")
    }

    /// The provider's logout URL (OpenID Connect RP-Initiated Logout §2); `None` when it has none or cannot be asked.
    /// Uses only metadata already at hand or quickly had, so that a dead provider does not delay a logout.
    pub async fn logout_url(&self, id_token: Option<&IdToken>, state: &State) -> Option<Url> {
        todo!("{id_token:?}{state:?}")
    }

    /// Revokes a refresh token (RFC 7009), as well as can be.
    ///
    /// # Errors
    /// [`Unavailable`] when the provider did not confirm it.
    pub async fn revoke(&self, refresh_token: &RefreshToken) -> Result<(), Unavailable> {
        todo!("{refresh_token:?}")
    }

    /// How the provider is doing.
    #[must_use]
    pub fn status(&self) -> ProviderStatus {
        todo!()
    }

    /// Fetches the metadata now, unless it is at hand; what the background check calls.
    ///
    /// # Errors
    /// [`Unavailable`], which [`Provider::status`] then tells too.
    pub async fn warm_up(&self) -> Result<(), Unavailable> {
        todo!()
    }
}
