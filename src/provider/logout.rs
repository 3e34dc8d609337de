//! The provider's side of a logout: its logout page (OpenID Connect RP-Initiated Logout §2), and revoking tokens (RFC 7009).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use url::Url;

use super::authorize::with_parameters;
use super::client::Client;
use super::discovery::Metadata;
use super::{Provider, Unavailable};
use crate::config::LogoutHint;
use crate::secret::{IdToken, RefreshToken, State};

/// How long a logout waits for metadata: the user is logged out here already, and waits for the answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// The limit on one revocation; a hanging provider keeps no task for long.
const REVOCATION: Duration = Duration::from_secs(5);
/// Longer ID tokens make URLs that servers refuse; `client_id` then stands alone.
const LONGEST_HINT: usize = 6 * 1024;

/// The URL of the provider's logout page, if it has one that is known soon enough.
pub(super) async fn url(provider: &Provider, id_token: Option<&IdToken>, state: &State) -> Option<Url> {
    let metadata = timeout(PATIENCE, provider.metadata()).await.ok()?.ok()?;
    let endpoint = metadata.end_session_endpoint.as_ref()?;
    let mut parameters = vec![
        ("client_id", &*provider.config.client_id),
        ("post_logout_redirect_uri", &*provider.post_logout_redirect_uri),
        ("state", state.expose()),
    ];
    let hint = id_token.map(IdToken::expose).filter(|hint| hint.len() <= LONGEST_HINT);
    if let (LogoutHint::IdToken, Some(hint)) = (provider.config.logout_hint, hint) {
        parameters.push(("id_token_hint", hint));
    }
    Some(with_parameters(endpoint, &parameters))
}

/// Revokes `refresh_token`; a provider without a revocation endpoint has nothing to confirm.
pub(super) async fn revoke(provider: &Provider, refresh_token: &RefreshToken) -> Result<(), Unavailable> {
    let revocation = async { call(&provider.client, &*provider.metadata().await?, refresh_token).await };
    let late = |_| Err(Unavailable("the revocation was not confirmed in time".to_owned()));
    timeout(REVOCATION, revocation).await.unwrap_or_else(late)
}

/// Revokes what an answer brought that nobody will use; the caller does not wait, and nobody can act on a failure.
pub(super) fn revoke_in_background(provider: &Provider, metadata: &Arc<Metadata>, refresh_token: Option<RefreshToken>) {
    let Some(refresh_token) = refresh_token else { return };
    let (client, metadata, name) = (provider.client.clone(), Arc::clone(metadata), provider.config.name.clone());
    tokio::spawn(async move {
        let outcome = timeout(REVOCATION, call(&client, &metadata, &refresh_token)).await;
        if !matches!(outcome, Ok(Ok(()))) {
            tracing::debug!(provider = name, "a discarded refresh token was not revoked");
        }
    });
}

/// RFC 7009 §2.1; a token the provider does not know counts as revoked, with 200 (§2.2).
async fn call(client: &Client, metadata: &Metadata, refresh_token: &RefreshToken) -> Result<(), Unavailable> {
    let Some(endpoint) = &metadata.revocation_endpoint else { return Ok(()) };
    let fields = [("token", refresh_token.expose()), ("token_type_hint", "refresh_token")];
    match client.post(metadata, endpoint, &fields).await?.status {
        200 | 204 => Ok(()),
        status => Err(Unavailable(format!("the revocation endpoint answered {status}"))),
    }
}
