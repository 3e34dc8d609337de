//! The provider's side of a logout: its logout page (OpenID Connect RP-Initiated Logout §2), and revoking tokens (RFC 7009).

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use super::authorize::with_parameters;
use super::client_channel::ClientChannel;
use super::code_flow::CodeFlow;
use super::discovery::Endpoints;
use super::{Kind, Provider, Tokens, Unavailable, id_token};
use crate::config::{LogoutHint, Placeholder};
use crate::secret::{AccessToken, DpopKey, IdToken, RefreshToken, State};

/// How long a logout waits for metadata: the user is logged out here already, and waits for the answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// The limit on one revocation; a hanging provider keeps no task for long.
const REVOCATION: Duration = Duration::from_secs(5);
/// Longer ID tokens, or claims of one, make URLs that servers refuse; `client_id` then stands alone.
const LONGEST_HINT: usize = 6 * 1024;

impl Provider {
    /// Tells whoever the configuration names that the session of this access token is over, as well as can be; nobody to
    /// tell is a success.
    ///
    /// # Errors
    /// [`Unavailable`] when it was not confirmed.
    pub async fn tell_of_logout(&self, access_token: &AccessToken, key: Option<&DpopKey>) -> Result<(), Unavailable> {
        match &self.kind {
            Kind::CodeFlow(flow) => tell(flow, access_token, key).await,
            Kind::Relay(_) => Ok(()),
        }
    }

    /// Whether somebody hears of a logout, and by an access token: [`tell_of_logout`](Self::tell_of_logout) or, at an API with
    /// a login of its own, [`give_back`](Self::give_back).
    #[must_use]
    pub fn is_told_of_logouts(&self) -> bool {
        match &self.kind {
            Kind::CodeFlow(flow) => flow.client.logout.hook.is_some(),
            Kind::Relay(relay) => relay.is_told_of_logouts(),
        }
    }

    /// Gives tokens back that nobody will use any more, as well as can be: the refresh token is revoked (RFC 7009), or the
    /// API's own session ended. A provider without an endpoint for it is a success.
    ///
    /// # Errors
    /// [`Unavailable`] when the provider did not confirm it.
    pub async fn give_back(
        &self,
        access_token: &AccessToken,
        refresh_token: Option<&RefreshToken>,
        key: Option<&DpopKey>,
    ) -> Result<(), Unavailable> {
        match (&self.kind, refresh_token) {
            (Kind::CodeFlow(flow), Some(refresh_token)) => revoke(flow, refresh_token, key).await,
            (Kind::CodeFlow(_), None) => Ok(()),
            (Kind::Relay(relay), _) => relay.say_goodbye(access_token).await,
        }
    }
}

/// The URL of the provider's logout page, if it has one that is known soon enough.
pub(super) async fn url(flow: &CodeFlow, kept: Option<&IdToken>, state: &State) -> Option<Url> {
    let page = flow.client.logout.page.as_ref()?;
    let endpoint = match &page.url {
        Some(url) => url.clone(),
        None => timeout(PATIENCE, flow.server.endpoints()).await.ok()?.ok()?.end_session.clone()?,
    };
    let hint = kept.map(IdToken::expose).filter(|hint| hint.len() <= LONGEST_HINT);
    let claims = kept.map(id_token::claims).unwrap_or_default();
    let claim = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| text.len() <= LONGEST_HINT);
    let known = |placeholder: &Placeholder| match placeholder {
        Placeholder::ClientId => Some(&*flow.client.client_id),
        Placeholder::ReturnTo => Some(&*flow.post_logout_redirect_uri),
        Placeholder::IdToken => hint.filter(|_| page.hint == LogoutHint::IdToken),
        Placeholder::State => Some(state.expose()),
        Placeholder::Claim(name) => claim(name),
    };
    let filled: Vec<(&str, String)> =
        page.params.iter().filter_map(|(name, template)| Some((name.as_str(), template.fill(known)?))).collect();
    let parameters: Vec<(&str, &str)> = filled.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Some(with_parameters(&endpoint, &parameters))
}

/// Tells `logout_hook`, with the session's own token as the bearer, that the session is over; without one there is nobody
/// to tell.
async fn tell(flow: &CodeFlow, access_token: &AccessToken, key: Option<&DpopKey>) -> Result<(), Unavailable> {
    let Some(hook) = &flow.client.logout.hook else { return Ok(()) };
    let late = |_| Err(Unavailable("the logout hook did not answer in time".to_owned()));
    let call = async {
        let prover = flow.channel.prover(key)?;
        match flow.caller.post_as(hook, access_token, prover.as_ref()).await?.status {
            200..=299 => Ok(()),
            status => Err(Unavailable(format!("the logout hook answered {status}"))),
        }
    };
    timeout(REVOCATION, call).await.unwrap_or_else(late)
}

/// Revokes `refresh_token`; a provider without a revocation endpoint has nothing to confirm.
async fn revoke(flow: &CodeFlow, refresh_token: &RefreshToken, key: Option<&DpopKey>) -> Result<(), Unavailable> {
    let revocation = async {
        let endpoints = flow.server.endpoints().await?;
        call(&flow.channel, &endpoints, &token_fields(refresh_token), key).await
    };
    let late = |_| Err(Unavailable("the revocation was not confirmed in time".to_owned()));
    timeout(REVOCATION, revocation).await.unwrap_or_else(late)
}

/// Revokes what an answer brought that nobody will use: the refresh token and all that hangs on it (RFC 7009 §2.1), or
/// else the access token. The caller does not wait, and nobody can act on a failure.
pub(super) fn discard(flow: &CodeFlow, endpoints: &Arc<Endpoints>, tokens: Tokens, key: Option<&DpopKey>) {
    let key = key.cloned();
    let (channel, endpoints, name) = (flow.channel.clone(), Arc::clone(endpoints), flow.name.clone());
    tokio::spawn(async move {
        let fields = match &tokens.refresh_token {
            Some(refresh_token) => token_fields(refresh_token),
            None => [("token", tokens.access_token.expose()), ("token_type_hint", "access_token")],
        };
        let outcome = timeout(REVOCATION, call(&channel, &endpoints, &fields, key.as_ref())).await;
        if !matches!(outcome, Ok(Ok(()))) {
            tracing::debug!(provider = name, "a discarded token was not revoked");
        }
    });
}

fn token_fields(refresh_token: &RefreshToken) -> [(&'static str, &str); 2] {
    [("token", refresh_token.expose()), ("token_type_hint", "refresh_token")]
}

/// RFC 7009 §2.1; a token the provider does not know counts as revoked, with 200 (§2.2).
async fn call(
    channel: &ClientChannel,
    endpoints: &Endpoints,
    token: &[(&str, &str)],
    key: Option<&DpopKey>,
) -> Result<(), Unavailable> {
    let Some(endpoint) = &endpoints.revocation else { return Ok(()) };
    match channel.post(endpoints, endpoint, token, key).await?.status {
        200 | 204 => Ok(()),
        status => Err(Unavailable(format!("the revocation endpoint answered {status}"))),
    }
}
