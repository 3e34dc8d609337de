//! The authorization code flow of one client registration (RFC 6749 §4.1), whatever kind of server is at its other end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::back_channel::BackChannel;
use super::client_channel::ClientChannel;
use super::discovery::Endpoints;
use super::examine::FirstQuestion;
use super::oauth2::OAuth2;
use super::oidc::Oidc;
use super::response::Arrived;
use super::{Answer, Attempt, AuthorizeError, ProvenUser, ProviderStatus, RedeemError, Response, Tokens, Unavailable};
use crate::config::{ClientConfig, ProviderConfig, ProviderKind, ResponseMode, SiteConfig};
use crate::secret::State;

/// What is wrong with a provider whose answers could be taken for another's.
const MISTAKABLE: &str = "the provider does not put `iss` into its answers (RFC 9207), and another provider of this site \
                          has the same redirect URI: write own_callback = true and register that redirect URI";

/// One client registration, and the server it is at.
pub(super) struct CodeFlow {
    pub(super) name: String,
    pub(super) client: Arc<ClientConfig>,
    pub(super) default_token_lifetime: Duration,
    pub(super) redirect_uri: String,
    /// Whether answers must say whose they are, since others come to the same redirect URI.
    must_name_issuer: bool,
    /// Whether the server was last found not to say so.
    is_mistakable: AtomicBool,
    pub(super) post_logout_redirect_uri: String,
    pub(super) caller: BackChannel,
    pub(super) channel: ClientChannel,
    pub(super) server: Server,
}

impl CodeFlow {
    /// The flow of `client` at `server`.
    pub(super) fn new(
        site: &SiteConfig,
        config: &ProviderConfig,
        client: &ClientConfig,
        (channel, server): (ClientChannel, Server),
    ) -> Self {
        // Of one that never does, the configuration lets no second stand beside it.
        let can_name_issuer = match &config.kind {
            ProviderKind::OAuth2(oauth2) => oauth2.names_issuer,
            ProviderKind::Oidc(_) | ProviderKind::Relay(_) => true,
        };
        Self {
            name: config.name.clone(),
            must_name_issuer: can_name_issuer && site.shares_callback(&config.name),
            is_mistakable: AtomicBool::new(false),
            client: Arc::new(client.clone()),
            default_token_lifetime: config.default_token_lifetime,
            redirect_uri: site.redirect_uri_of(&config.name),
            post_logout_redirect_uri: site.post_logout_redirect_uri(),
            caller: channel.caller().clone(),
            channel,
            server,
        }
    }

    /// Refuses to begin a login whose answer could be taken for another provider's. A signed one always says whose it is.
    pub(super) async fn check_is_told_apart(&self) -> Result<(), AuthorizeError> {
        let needs_promise = self.must_name_issuer && !self.client.response_mode.is_signed();
        let is_mistakable = needs_promise && !self.server.promises_issuer().await?;
        self.is_mistakable.store(is_mistakable, Ordering::Relaxed);
        if is_mistakable { Err(AuthorizeError::Misconfigured(MISTAKABLE.to_owned())) } else { Ok(()) }
    }

    /// How the provider is doing: down as well while nobody can log in with it because of the above.
    pub(super) fn status(&self) -> ProviderStatus {
        match self.server.status() {
            ProviderStatus::Ready if self.is_mistakable.load(Ordering::Relaxed) => {
                ProviderStatus::Down(MISTAKABLE.to_owned())
            }
            status => status,
        }
    }

    /// Asks the server, unless it has answered within `young`, and whether logins are possible with it.
    pub(super) async fn warm_up(&self, young: Duration) -> Result<(), Unavailable> {
        self.server.warm_up(young).await?;
        self.check_is_told_apart().await.map_err(|error| match error {
            AuthorizeError::Unavailable(error) => error,
            AuthorizeError::Misconfigured(why) => Unavailable(why),
        })
    }

    /// Judges the `iss` of an authorization response, errors included, before anything of it is used (RFC 9207 §2.4). What
    /// metadata say does not count where it is about keeping another's answers from this very provider.
    pub(super) async fn check_response_issuer(&self, iss: Option<&str>) -> Result<(), RedeemError> {
        if self.must_name_issuer && iss.is_none() {
            return Err(RedeemError::Invalid(
                "the response does not name its issuer, and came to a redirect URI that another provider has too"
                    .to_owned(),
            ));
        }
        self.server.check_response_issuer(iss).await
    }
}

/// How the server's endpoints and its users are known.
pub(super) enum Server {
    /// By discovery, and by the ID token.
    Oidc(Box<Oidc>),
    /// As written, and by the user endpoint.
    OAuth2(Box<OAuth2>),
}

impl Server {
    /// Where the server is asked for what.
    pub(super) async fn endpoints(&self) -> Result<Arc<Endpoints>, Unavailable> {
        match self {
            Self::Oidc(oidc) => Ok(Arc::clone(&oidc.metadata().await?.endpoints)),
            Self::OAuth2(oauth2) => Ok(oauth2.endpoints()),
        }
    }

    /// What the authorization request carries so that the user can be proven afterwards.
    pub(super) fn nonce<'a>(&self, attempt: &'a Attempt) -> Option<&'a str> {
        match self {
            Self::Oidc(_) => Some(attempt.nonce.expose()),
            Self::OAuth2(_) => None,
        }
    }

    /// Gets beforehand what proving the user takes, so that no code is spent on an answer nobody can check.
    pub(super) async fn prepare(&self) -> Result<(), Unavailable> {
        match self {
            Self::Oidc(oidc) => oidc.keys().await.map(drop),
            Self::OAuth2(_) => Ok(()),
        }
    }

    /// Takes a response for what it says, if it came as it was asked for and, where that means signed, is.
    pub(super) async fn believe(
        &self,
        answer: Answer,
        mode: ResponseMode,
        state: &State,
    ) -> Result<Response, RedeemError> {
        let arrived = answer.came_as(mode).map_err(RedeemError::Invalid)?;
        match (arrived, self) {
            (Arrived::Plain(response), _) => Ok(response),
            (Arrived::Signed(signed), Self::Oidc(oidc)) => oidc.open_response(&signed, state).await,
            (Arrived::Signed(_), Self::OAuth2(_)) => {
                Err(RedeemError::Invalid("it is signed, and this server's keys are not known".to_owned()))
            }
        }
    }

    /// Whether every answer is to carry `iss`.
    async fn promises_issuer(&self) -> Result<bool, Unavailable> {
        match self {
            Self::Oidc(oidc) => Ok(oidc.metadata().await?.response_names_issuer),
            // Who writes an issuer there says so.
            Self::OAuth2(_) => Ok(true),
        }
    }

    async fn check_response_issuer(&self, iss: Option<&str>) -> Result<(), RedeemError> {
        match self {
            Self::Oidc(oidc) => oidc.check_response_issuer(iss).await,
            Self::OAuth2(oauth2) => oauth2.check_response_issuer(iss),
        }
    }

    /// Whose `tokens` a redeemed code gave. What is not believed of them is taken out.
    pub(super) async fn identify(&self, tokens: &mut Tokens, attempt: &Attempt) -> Result<ProvenUser, RedeemError> {
        match self {
            Self::Oidc(oidc) => oidc.identify(tokens, attempt).await,
            Self::OAuth2(oauth2) => oauth2.identify(tokens, attempt).await,
        }
    }

    /// Whether refreshed `tokens` are still `subject`'s; else why not. What is not believed of them is taken out.
    pub(super) async fn confirm(&self, tokens: &mut Tokens, subject: &str) -> Result<(), String> {
        match self {
            Self::Oidc(oidc) => oidc.confirm(tokens, subject).await,
            Self::OAuth2(_) => {
                tokens.id_token = None;
                Ok(())
            }
        }
    }

    /// How the server is doing.
    pub(super) fn status(&self) -> ProviderStatus {
        match self {
            Self::Oidc(oidc) => oidc.status(),
            Self::OAuth2(oauth2) => oauth2.status(),
        }
    }

    /// Asks it, unless it has answered within `young`; and for what is missing, old or broken.
    pub(super) async fn warm_up(&self, young: Duration) -> Result<(), Unavailable> {
        match self {
            Self::Oidc(oidc) => oidc.warm_up(young).await,
            Self::OAuth2(oauth2) => oauth2.warm_up(young).await,
        }
    }

    /// What [`Server::warm_up`] comes to, in `doctor`'s words.
    pub(super) const fn first_question(&self) -> FirstQuestion {
        match self {
            Self::Oidc(_) => FirstQuestion {
                about: "metadata and keys",
                found: "fetched and checked",
                remedy: "`issuer` must be what the provider's own document says, byte for byte",
            },
            Self::OAuth2(_) => {
                FirstQuestion { about: "user endpoint", found: "answers", remedy: "check `userinfo_endpoint`" }
            }
        }
    }

    /// What only OpenID Connect has.
    pub(super) const fn oidc(&self) -> Option<&Oidc> {
        match self {
            Self::Oidc(oidc) => Some(oidc),
            Self::OAuth2(_) => None,
        }
    }
}
