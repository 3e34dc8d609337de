//! `kind = "oauth2"`: the server's endpoints are written down, its users are whom its user endpoint names.
//!
//! There is no ID token, and one that comes is ignored: nothing here could check it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::back_channel::BackChannel;
use super::discovery::Endpoints;
use super::kept::Kept;
use super::user::subject;
use super::{Attempt, ProvenUser, ProviderStatus, RedeemError, Tokens, Unavailable, bound};
use crate::clock::Clock;
use crate::config::{OAuth2Config, ProviderConfig};
use crate::secret::{AccessToken, DpopKey};

/// One OAuth 2.0 server.
pub(super) struct OAuth2 {
    config: OAuth2Config,
    issuer: String,
    endpoints: Arc<Endpoints>,
    caller: BackChannel,
    knocks: Kept<()>,
    clock: Clock,
}

impl OAuth2 {
    /// The server as it is configured; contacts nothing.
    pub(super) fn new(provider: &ProviderConfig, config: &OAuth2Config, caller: BackChannel, clock: Clock) -> Self {
        let endpoints = Endpoints {
            authorization: config.authorization_endpoint.clone(),
            token: config.token_endpoint.clone(),
            end_session: config.endpoints.end_session.clone(),
            revocation: config.endpoints.revocation.clone(),
            pushed: config.endpoints.pushed.clone(),
            must_push: false,
        };
        Self {
            config: config.clone(),
            issuer: provider.issuer.clone(),
            endpoints: Arc::new(endpoints),
            caller,
            knocks: Kept::new(&format!("an answer of {}", provider.issuer), clock.clone()),
            clock,
        }
    }

    pub(super) fn endpoints(&self) -> Arc<Endpoints> {
        Arc::clone(&self.endpoints)
    }

    /// RFC 9207 §2.4, as far as it can be told: without a configured issuer there is nothing to compare with.
    pub(super) fn check_response_issuer(&self, iss: Option<&str>) -> Result<(), RedeemError> {
        match iss {
            Some(iss) if self.config.names_issuer && iss != self.issuer => {
                Err(RedeemError::Invalid("the response is another issuer's".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Asks the user endpoint whose access token this is.
    pub(super) async fn identify(&self, tokens: &mut Tokens, attempt: &Attempt) -> Result<ProvenUser, RedeemError> {
        tokens.id_token = None;
        let answer = self
            .ask_for_user(&tokens.access_token, attempt.dpop_key.as_ref())
            .await
            .map_err(RedeemError::Unidentified)?;
        self.user(answer).map_err(|wrong| RedeemError::Unidentified(wrong.to_owned()))
    }

    async fn ask_for_user(&self, token: &AccessToken, key: Option<&DpopKey>) -> Result<Map<String, Value>, String> {
        let silent = |silence| Unavailable::from(silence).0;
        let prover = bound::open(key, &self.clock).map_err(silent)?;
        let answer = self.caller.get_as(&self.config.userinfo_endpoint, token, prover.as_ref()).await;
        let answer = answer.map_err(silent)?;
        if answer.status != 200 {
            return Err(format!("it answered {}", answer.status));
        }
        answer.json().map_err(|error| error.to_string())
    }

    /// Everything the endpoint says, with subject, name and e-mail address under the names that they have in OpenID
    /// Connect (Core §5.1), wherever the configuration finds them.
    fn user(&self, claims: Map<String, Value>) -> Result<ProvenUser, &'static str> {
        let document = Value::Object(claims);
        let subject = self.config.subject.find(&document).and_then(subject);
        let subject = subject.ok_or("it does not say where `sub` points who the user is")?;
        let said =
            |pointer: &crate::config::JsonPointer| pointer.find(&document).filter(|value| value.is_string()).cloned();
        let (name, email) = (said(&self.config.full_name), said(&self.config.email));
        let Value::Object(mut claims) = document else { return Err("it is not an object") };
        claims.insert("sub".to_owned(), subject.clone().into());
        for (claim, value) in [("name", name), ("email", email)] {
            match value {
                Some(value) => claims.insert(claim.to_owned(), value),
                None => claims.remove(claim),
            };
        }
        Ok(ProvenUser { issuer: self.issuer.clone(), subject, sid: None, claims })
    }

    /// What the last call came to; nothing is known before the first.
    pub(super) fn status(&self) -> ProviderStatus {
        self.caller.status()
    }

    /// There is no document to fetch: one call without a token, which the user endpoint refuses, tells that it is there.
    /// Made when the last one was not answered, or not within `young`.
    pub(super) async fn warm_up(&self, young: Duration) -> Result<(), Unavailable> {
        if self.caller.answered_within(young) {
            return Ok(());
        }
        let (caller, url) = (self.caller.clone(), self.config.userinfo_endpoint.clone());
        self.knocks.ask(async move { caller.knock(&url).await }).await.map(drop)
    }
}
