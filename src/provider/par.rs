//! Pushed authorization requests (RFC 9126): the request goes to the provider first, the browser carries a handle to it.

use url::Url;

use super::code_flow::CodeFlow;
use super::discovery::Endpoints;
use super::refusal::Shown;
use super::{AuthorizeError, RedeemError, Unavailable, refusal};
use crate::config::Par;

/// Longer handles would make URLs that servers refuse.
const LONGEST: usize = 1024;

/// Where this client pushes its requests; `None` when it does not.
pub(super) fn endpoint(par: Par, endpoints: &Endpoints) -> Result<Option<&Url>, AuthorizeError> {
    let wrong = |wrong: &str| Err(AuthorizeError::Misconfigured(wrong.to_owned()));
    match (par, &endpoints.pushed) {
        (Par::Never, _) if endpoints.must_push => {
            wrong("the provider demands pushed authorization requests, which par = \"never\" forbids")
        }
        (Par::Required, None) => wrong("par = \"required\", and the provider has no endpoint for pushed requests"),
        (Par::Auto, None) if endpoints.must_push => {
            wrong("the provider demands pushed authorization requests, and has no endpoint for them")
        }
        (Par::Never, _) | (Par::Auto, None) => Ok(None),
        (Par::Auto | Par::Required, Some(endpoint)) => Ok(Some(endpoint)),
    }
}

/// Pushes `parameters` and returns the handle, good for one login. A push that fails is the end of this login: the same
/// request is never sent through the browser instead (§4).
pub(super) async fn push(
    flow: &CodeFlow,
    endpoints: &Endpoints,
    endpoint: &Url,
    parameters: &[(&str, &str)],
) -> Result<String, AuthorizeError> {
    let answer = flow.channel.post(endpoints, endpoint, parameters, None).await.map_err(Unavailable::from)?;
    let members = answer.json();
    // "201" is the standard's word (§2.2); what counts is the handle.
    if !matches!(answer.status, 200 | 201) {
        let refused =
            refusal::read("the endpoint for pushed requests", Shown::Nothing, answer.status, members.as_ref().ok());
        return Err(match refused {
            RedeemError::Unavailable(reason) => Unavailable(reason).into(),
            refused => AuthorizeError::Misconfigured(refused.to_string()),
        });
    }
    let handle = members.ok().and_then(|members| Some(members.get("request_uri")?.as_str()?.to_owned()));
    let is_sane =
        |handle: &String| (1..=LONGEST).contains(&handle.len()) && handle.bytes().all(|byte| byte.is_ascii_graphic());
    handle
        .filter(is_sane)
        .ok_or_else(|| Unavailable("the endpoint for pushed requests gave no usable `request_uri`".to_owned()).into())
}
