//! The endpoints where the client proves who it is: token, revocation, pushed authorization requests.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::back_channel::{Answer, BackChannel, Form, Silence};
use super::bound;
use super::client_auth::Credentials;
use super::discovery::Endpoints;
use crate::clock::{Clock, Timestamp};
use crate::config::ClientConfig;
use crate::dpop::{Nonces, Prover};
use crate::secret::DpopKey;

/// The back channel together with the client's credentials. Clones share both.
#[derive(Clone)]
pub(super) struct ClientChannel {
    caller: BackChannel,
    credentials: Arc<Credentials>,
    clock: Clock,
    /// What the server wants to see where tokens are asked for; where they are shown it has others.
    nonces: Arc<Nonces>,
}

impl ClientChannel {
    /// The channel of the client `config` to the provider that calls itself `issuer`.
    pub(super) fn new(config: &ClientConfig, issuer: &str, caller: BackChannel, clock: Clock) -> Result<Self, String> {
        let credentials = Arc::new(Credentials::new(config, issuer, clock.clone())?);
        Ok(Self { caller, credentials, clock, nonces: Arc::default() })
    }

    /// The same, for calls that may take as long as `limit`.
    pub(super) fn within(&self, limit: Duration) -> Self {
        Self { caller: self.caller.within(limit), ..self.clone() }
    }

    /// The time that is counted in here.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A key, opened to prove requests with.
    pub(super) fn prover(&self, key: Option<&DpopKey>) -> Result<Option<Prover>, Silence> {
        bound::open(key, &self.clock)
    }

    /// The way to the same server without any proof.
    pub(super) const fn caller(&self) -> &BackChannel {
        &self.caller
    }

    /// One POST of `fields` to `endpoint`, which is one of `endpoints`; with a `key` that it is proven by, once more if the
    /// server wants a nonce in the proof: it has done nothing yet then (RFC 9449 §8).
    pub(super) async fn post(
        &self,
        endpoints: &Endpoints,
        endpoint: &Url,
        fields: &[(&str, &str)],
        key: Option<&DpopKey>,
    ) -> Result<Answer, Silence> {
        let prover = self.prover(key)?;
        let (wants_nonce, answer) = self.ask(endpoints, endpoint, fields, prover.as_ref()).await?;
        if !wants_nonce {
            return Ok(answer);
        }
        self.ask(endpoints, endpoint, fields, prover.as_ref()).await.map(|(_, answer)| answer)
    }

    /// One call, with proofs of its own; whether its answer is nothing but the wish for a nonce, which is remembered.
    async fn ask(
        &self,
        endpoints: &Endpoints,
        endpoint: &Url,
        fields: &[(&str, &str)],
        prover: Option<&Prover>,
    ) -> Result<(bool, Answer), Silence> {
        let form = self.credentials.prove(endpoints, Form::of(fields)).map_err(Silence::NotSent)?;
        let finish = |request| bound::proven(request, prover, ("POST", endpoint), (&self.nonces, None));
        let answer = self.caller.post(endpoint, &form, finish).await?;
        let has_nonce = prover.is_some() && self.nonces.remember(&bound::server(endpoint), answer.nonce());
        Ok((has_nonce && is_wish_for_nonce(&answer), answer))
    }
}

/// RFC 9449 §8: 400 with this error; some say 401.
fn is_wish_for_nonce(answer: &Answer) -> bool {
    matches!(answer.status, 400 | 401)
        && answer.json().is_ok_and(|members| members.get("error").is_some_and(|error| error == "use_dpop_nonce"))
}
