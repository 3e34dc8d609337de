//! `kind = "oidc"`: the server is found by discovery, its users by their ID tokens.
//!
//! Metadata and keys are fetched lazily, kept, and fetched again when they fail; nothing of a metadata document is used
//! before its issuer was compared (OpenID Connect Discovery §4.3).

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;

use super::back_channel::BackChannel;
use super::discovery::{self, Asked, Metadata};
use super::id_token::{self, Expected};
use super::jarm::{self, SignedResponse};
use super::jwks::{self, KeySet};
use super::kept::{Kept, Occasion};
use super::signature::Refused;
use super::{Attempt, ProvenUser, ProviderStatus, RedeemError, Response, Tokens, Unavailable, userinfo};
use crate::clock::Clock;
use crate::config::{OidcConfig, ProviderConfig};
use crate::secret::State;

/// One OpenID Connect server.
pub(super) struct Oidc {
    pub(super) config: OidcConfig,
    pub(super) issuer: String,
    pub(super) id_token_algs: Vec<Algorithm>,
    pub(super) clock: Clock,
    name: String,
    /// `max_age`, where the configuration sends it.
    max_age: Option<Duration>,
    asked: Asked,
    pub(super) caller: BackChannel,
    metadata: Kept<Metadata>,
    keys: Kept<KeySet>,
}

impl Oidc {
    /// A server of which nothing is known yet.
    pub(super) fn new(
        provider: &ProviderConfig,
        config: &OidcConfig,
        caller: BackChannel,
        clock: Clock,
    ) -> Result<Self, String> {
        let unsupported = |name: &String| format!("{name}: signature algorithm not supported");
        let id_token_algs =
            config.id_token_algs.iter().map(|name| jwks::algorithm(name).ok_or_else(|| unsupported(name)));
        let max_age = config.client.authorization_params.iter().find(|(name, _)| name == "max_age");
        Ok(Self {
            id_token_algs: id_token_algs.collect::<Result<_, _>>()?,
            max_age: max_age.and_then(|(_, seconds)| seconds.parse().ok()).map(Duration::from_secs),
            metadata: Kept::new(&format!("metadata of {}", provider.issuer), clock.clone()),
            keys: Kept::new(&format!("keys of {}", provider.issuer), clock.clone()),
            name: provider.name.clone(),
            issuer: provider.issuer.clone(),
            asked: Asked {
                issuer: provider.issuer.clone(),
                plaintext: provider.plaintext,
                certificate: provider.tls.client_cert.is_some(),
                userinfo: config.userinfo,
                userinfo_endpoint: config.userinfo_endpoint.clone(),
                written: config.endpoints.clone(),
            },
            config: config.clone(),
            caller,
            clock,
        })
    }

    /// RFC 9207 §2.4: simple string comparison; missing counts as wrong where the metadata promise it.
    pub(super) async fn check_response_issuer(&self, iss: Option<&str>) -> Result<(), RedeemError> {
        match iss {
            Some(iss) if iss == self.issuer => Ok(()),
            Some(_) => Err(RedeemError::Invalid("the response is another issuer's".to_owned())),
            None if self.metadata().await?.response_names_issuer => Err(RedeemError::Invalid(
                "the response does not name its issuer, as the provider's metadata promise".to_owned(),
            )),
            None => Ok(()),
        }
    }

    /// The response in a signed token (JARM).
    pub(super) async fn open_response(&self, signed: &SignedResponse, state: &State) -> Result<Response, RedeemError> {
        jarm::verify(self, signed, state).await.map_err(|refused| match refused {
            Refused::Unavailable(unavailable) => unavailable.into(),
            refused => RedeemError::Invalid(format!("the signed response: {refused}")),
        })
    }

    /// The user of the ID token that came along with a redeemed code.
    pub(super) async fn identify(&self, tokens: &Tokens, attempt: &Attempt) -> Result<ProvenUser, RedeemError> {
        let id_token =
            tokens.id_token.as_ref().ok_or_else(|| RedeemError::Invalid("it has no `id_token`".to_owned()))?;
        let occasion = id_token::Occasion::Login { nonce: &attempt.nonce, max_age: self.max_age };
        let verified = id_token::verify(self, id_token, &self.expected(tokens, occasion)).await;
        let user = verified.map_err(|refused| match refused {
            Refused::Unavailable(unavailable) => unavailable.into(),
            refused => RedeemError::Invalid(format!("the ID token: {refused}")),
        })?;
        if self.config.userinfo { userinfo::complete(self, tokens, attempt, user).await } else { Ok(user) }
    }

    /// `nonce` and `auth_time` of the login are not kept, so that they are not compared; `iat` must be recent.
    pub(super) async fn confirm(&self, tokens: &mut Tokens, subject: &str) -> Result<(), String> {
        let Some(id_token) = &tokens.id_token else { return Ok(()) };
        let expected = self.expected(tokens, id_token::Occasion::Refresh { subject });
        match id_token::verify(self, id_token, &expected).await {
            Ok(_) => Ok(()),
            Err(Refused::Invalid(wrong)) => Err(format!("the ID token: {wrong}")),
            // Its key cannot be had now, or is none that is known yet. What came along is kept all the same, as the
            // refresh token before it may be spent; of the ID token itself nothing is.
            Err(error) => {
                tracing::warn!(event = "id_token_unverified", provider = self.name, %error);
                tokens.id_token = None;
                Ok(())
            }
        }
    }

    fn expected<'a>(&'a self, tokens: &'a Tokens, occasion: id_token::Occasion<'a>) -> Expected<'a> {
        Expected {
            issuer: &self.issuer,
            client_id: &self.config.client.client_id,
            trusted: &self.config.trusted_audiences,
            access_token: &tokens.access_token,
            occasion,
            skew: self.config.clock_skew,
            now: self.clock.now(),
        }
    }

    /// What the last fetch of metadata or keys came to, and whether the last call at all was answered.
    pub(super) fn status(&self) -> ProviderStatus {
        match (self.metadata.status(), self.keys.status(), self.caller.trouble()) {
            (ProviderStatus::Ready, ProviderStatus::Down(reason), _) => ProviderStatus::Down(reason),
            (ProviderStatus::Ready, _, Some(reason)) => ProviderStatus::Down(reason),
            (metadata, _, _) => metadata,
        }
    }

    /// Asks for the metadata, unless the last call was answered within `young` and nothing is missing or broken.
    pub(super) async fn warm_up(&self, young: Duration) -> Result<(), Unavailable> {
        let whole = [self.status(), self.keys.status()].iter().all(|status| *status == ProviderStatus::Ready);
        if !whole || !self.caller.answered_within(young) {
            let metadata = self.metadata.ask(self.fetch_metadata()).await?;
            if self.keys.status() != ProviderStatus::Ready {
                self.keys.ask(KeySet::fetch(self.caller.clone(), metadata.jwks_uri.clone())).await?;
            }
        }
        self.metadata().await?;
        self.keys().await.map(drop)
    }

    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, Unavailable> {
        self.metadata.get(self.fetch_metadata()).await
    }

    pub(super) async fn keys(&self) -> Result<Arc<KeySet>, Unavailable> {
        let metadata = self.metadata().await?;
        self.keys.get(KeySet::fetch(self.caller.clone(), metadata.jwks_uri.clone())).await
    }

    /// Keys that may be newer than `seen`, which lacked one.
    pub(super) async fn newer_keys(&self, seen: &Arc<KeySet>, occasion: Occasion) -> Result<Arc<KeySet>, Unavailable> {
        let metadata = self.metadata().await?;
        self.keys.renew(seen, occasion, KeySet::fetch(self.caller.clone(), metadata.jwks_uri.clone())).await
    }

    fn fetch_metadata(&self) -> impl Future<Output = Result<Metadata, Unavailable>> + Send + use<> {
        discovery::fetch(self.caller.clone(), self.asked.clone())
    }
}
