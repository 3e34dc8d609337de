//! The client at the endpoints where it proves who it is: token, revocation, pushed authorization requests.

use std::sync::Arc;

use url::Url;

use super::back_channel::{Answer, BackChannel, Form, Silence};
use super::client_auth::Credentials;
use super::discovery::Metadata;
use crate::clock::Clock;
use crate::config::ProviderConfig;

/// The back channel together with the client's credentials. Clones share both.
#[derive(Clone)]
pub(super) struct Client {
    caller: BackChannel,
    credentials: Arc<Credentials>,
}

impl Client {
    /// The client of `config`, which calls through `caller`.
    pub(super) fn new(config: &ProviderConfig, caller: BackChannel, clock: Clock) -> Result<Self, String> {
        Ok(Self { caller, credentials: Arc::new(Credentials::new(config, clock)?) })
    }

    /// One POST of `fields` to `endpoint`, which is one of `metadata`.
    pub(super) async fn post(
        &self,
        metadata: &Metadata,
        endpoint: &Url,
        fields: &[(&str, &str)],
    ) -> Result<Answer, Silence> {
        let form = self.credentials.prove(metadata, Form::of(fields)).map_err(Silence::NotSent)?;
        self.caller.post(endpoint, &form).await
    }
}
