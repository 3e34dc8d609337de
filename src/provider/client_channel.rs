//! The endpoints where the client proves who it is: token, revocation, pushed authorization requests.

use std::sync::Arc;

use url::Url;

use super::back_channel::{Answer, BackChannel, Form, Silence};
use super::client_auth::Credentials;
use super::discovery::Endpoints;
use crate::clock::Clock;
use crate::config::ClientConfig;

/// The back channel together with the client's credentials. Clones share both.
#[derive(Clone)]
pub(super) struct ClientChannel {
    caller: BackChannel,
    credentials: Arc<Credentials>,
}

impl ClientChannel {
    /// The channel of the client `config` to the provider that calls itself `issuer`.
    pub(super) fn new(config: &ClientConfig, issuer: &str, caller: BackChannel, clock: Clock) -> Result<Self, String> {
        Ok(Self { caller, credentials: Arc::new(Credentials::new(config, issuer, clock)?) })
    }

    /// The way to the same server without any proof.
    pub(super) const fn caller(&self) -> &BackChannel {
        &self.caller
    }

    /// One POST of `fields` to `endpoint`, which is one of `endpoints`.
    pub(super) async fn post(
        &self,
        endpoints: &Endpoints,
        endpoint: &Url,
        fields: &[(&str, &str)],
    ) -> Result<Answer, Silence> {
        let form = self.credentials.prove(endpoints, Form::of(fields)).map_err(Silence::NotSent)?;
        self.caller.post(endpoint, &form).await
    }
}
