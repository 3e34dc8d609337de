//! The provider: the strict OpenID Connect client (relying party) that logs a site's users in.
//!
//! One [`Provider`] per `[[site.provider]]`. Metadata and keys are fetched lazily, kept, and fetched again when they fail;
//! nothing of a metadata document is used before its issuer was compared (OpenID Connect Discovery §4.3).

mod assertion;
mod authorize;
mod back_channel;
mod claims;
mod client;
mod client_auth;
mod discovery;
mod id_token;
mod json;
mod jwks;
mod jws;
mod kept;
mod logout;
mod logout_token;
mod refusal;
mod signature;
mod token;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

pub use self::id_token::VerifiedIdToken;
pub use self::logout_token::{LogoutTokenError, ReceivedLogoutToken, VerifiedLogoutToken, Whose};

use self::back_channel::BackChannel;
use self::client::Client;
use self::discovery::Metadata;
use self::jwks::KeySet;
use self::kept::{Kept, Occasion};
use crate::clock::Clock;
use crate::config::{ProviderConfig, SiteConfig};
use crate::secret::{AccessToken, AuthorizationCode, CodeVerifier, IdToken, Nonce, RefreshToken, State};

/// The authorization server of one site's users, and this gateway's client registration there.
pub struct Provider {
    config: Arc<ProviderConfig>,
    id_token_algs: Vec<jsonwebtoken::Algorithm>,
    /// `max_age`, where the configuration sends it.
    max_age: Option<Duration>,
    redirect_uri: String,
    post_logout_redirect_uri: String,
    clock: Clock,
    caller: BackChannel,
    client: Client,
    metadata: Kept<Metadata>,
    keys: Kept<KeySet>,
}

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
    /// Scopes beside the configured ones; not the browser's own wish.
    pub further_scopes: Vec<String>,
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
    /// The scopes that were granted; `None` in the answer means "those asked for" (RFC 6749 §5.1).
    pub scope: Option<String>,
    /// The access token's lifetime: `expires_in`, or the configured default; never more than a year.
    pub expires_in: Duration,
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

impl From<Unavailable> for RedeemError {
    fn from(Unavailable(reason): Unavailable) -> Self {
        Self::Unavailable(reason)
    }
}

/// What a refresh came to (contract section 6.5).
#[derive(Debug)]
pub enum Refreshed {
    /// New tokens.
    Tokens(Tokens),
    /// The refresh token is refused: the session is over.
    Rejected(String),
    /// No connection, or an answer that refuses for now (5xx, 429): the refresh token was not used, the session goes on,
    /// the refresh is tried again later.
    Unavailable(String),
    /// The request was sent and no complete, usable answer came: the refresh token may be used up or not.
    Unknown(String),
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
    /// When the certificate files or the signing key cannot be used, or a configured signature algorithm is not supported.
    pub fn new(site: &SiteConfig, config: &ProviderConfig, clock: Clock) -> Result<Self, String> {
        let unsupported = |name: &String| format!("{name}: signature algorithm not supported");
        let id_token_algs =
            config.id_token_algs.iter().map(|name| jwks::algorithm(name).ok_or_else(|| unsupported(name)));
        let caller = BackChannel::new(config)?;
        let max_age = config.authorization_params.iter().find(|(name, _)| name == "max_age");
        Ok(Self {
            id_token_algs: id_token_algs.collect::<Result<_, _>>()?,
            max_age: max_age.and_then(|(_, seconds)| seconds.parse().ok()).map(Duration::from_secs),
            redirect_uri: site.redirect_uri(),
            post_logout_redirect_uri: site.post_logout_redirect_uri(),
            client: Client::new(config, caller.clone(), clock.clone())?,
            caller,
            metadata: Kept::new(&format!("metadata of {}", config.issuer), clock.clone()),
            keys: Kept::new(&format!("keys of {}", config.issuer), clock.clone()),
            clock,
            config: Arc::new(config.clone()),
        })
    }

    /// The configured name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The configured issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// The configured scopes.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.config.scopes
    }

    /// The URL that starts a login: code flow, PKCE S256, state, nonce (OpenID Connect Core §3.1.2.1).
    ///
    /// # Errors
    /// [`Unavailable`] when the metadata cannot be had.
    pub async fn authorization_url(&self, attempt: &Attempt, hints: &LoginHints) -> Result<Url, Unavailable> {
        authorize::url(self, attempt, hints).await
    }

    /// Checks the `iss` of an authorization response, errors included (RFC 9207 §2.4).
    ///
    /// # Errors
    /// [`RedeemError`] when it is missing although advertised, or another issuer's, or the metadata cannot be had.
    pub async fn check_response_issuer(&self, iss: Option<&str>) -> Result<(), RedeemError> {
        authorize::check_issuer(self, iss).await
    }

    /// Redeems a code once and validates what comes back.
    ///
    /// # Errors
    /// [`RedeemError`] says whose fault it is.
    pub async fn redeem(&self, code: &AuthorizationCode, attempt: &Attempt) -> Result<Grant, RedeemError> {
        token::redeem(self, code, attempt).await
    }

    /// Gets new tokens; an ID token in the answer must be this `subject`'s (OpenID Connect Core §12.2), else the answer
    /// counts as [`Refreshed::Rejected`]: the session can no longer be tied to its user.
    pub async fn refresh(&self, refresh_token: &RefreshToken, subject: &str) -> Refreshed {
        token::refresh(self, refresh_token, subject).await
    }

    /// The provider's logout URL (OpenID Connect RP-Initiated Logout §2); `None` when it has none or cannot be asked.
    /// Uses only metadata already at hand or quickly had, so that a dead provider does not delay a logout.
    pub async fn logout_url(&self, id_token: Option<&IdToken>, state: &State) -> Option<Url> {
        logout::url(self, id_token, state).await
    }

    /// Revokes a refresh token (RFC 7009), as well as can be; a provider without a revocation endpoint is a success.
    ///
    /// # Errors
    /// [`Unavailable`] when the provider did not confirm it.
    pub async fn revoke(&self, refresh_token: &RefreshToken) -> Result<(), Unavailable> {
        logout::revoke(self, refresh_token).await
    }

    /// Checks a logout token that [`ReceivedLogoutToken::is_from`] this provider (OpenID Connect Back-Channel Logout §2.6).
    ///
    /// # Errors
    /// [`LogoutTokenError`]: nothing may be ended for it.
    pub async fn verify_logout_token(
        &self,
        token: &ReceivedLogoutToken,
    ) -> Result<VerifiedLogoutToken, LogoutTokenError> {
        Ok(logout_token::verify(self, token).await?)
    }

    /// How the provider is doing: what the last fetch of its metadata or keys came to, and whether the last call at all
    /// was answered.
    #[must_use]
    pub fn status(&self) -> ProviderStatus {
        match (self.metadata.status(), self.keys.status(), self.caller.trouble()) {
            (ProviderStatus::Ready, ProviderStatus::Down(reason), _) => ProviderStatus::Down(reason),
            (ProviderStatus::Ready, _, Some(reason)) => ProviderStatus::Down(reason),
            (metadata, _, _) => metadata,
        }
    }

    /// Fetches metadata and keys now, unless they are at hand and the last call was answered; what the background check
    /// calls, every few seconds: it costs a call only when something is missing, old or broken.
    ///
    /// # Errors
    /// [`Unavailable`], which [`Provider::status`] then tells too.
    pub async fn warm_up(&self) -> Result<(), Unavailable> {
        if self.status() != ProviderStatus::Unknown && self.caller.trouble().is_some() {
            self.metadata.again(self.fetch_metadata()).await?;
        }
        self.metadata().await?;
        self.keys().await.map(drop)
    }

    /// Drops cached metadata and keys, and the memory of failures; the next call fetches anew.
    pub fn forget(&self) {
        self.metadata.forget();
        self.keys.forget();
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, Unavailable> {
        self.metadata.get(self.fetch_metadata()).await
    }

    async fn keys(&self) -> Result<Arc<KeySet>, Unavailable> {
        let metadata = self.metadata().await?;
        self.keys.get(KeySet::fetch(self.caller.clone(), metadata.jwks_uri.clone())).await
    }

    /// Keys that may be newer than `seen`, which lacked one.
    async fn newer_keys(&self, seen: &Arc<KeySet>, occasion: Occasion) -> Result<Arc<KeySet>, Unavailable> {
        let metadata = self.metadata().await?;
        self.keys.renew(seen, occasion, KeySet::fetch(self.caller.clone(), metadata.jwks_uri.clone())).await
    }

    fn fetch_metadata(&self) -> impl Future<Output = Result<Metadata, Unavailable>> + Send + use<> {
        discovery::fetch(self.caller.clone(), Arc::clone(&self.config))
    }
}
