//! Which access tokens are for the API: asked for by nothing, by a parameter or by scopes, as the profile says.

use super::parameters::Parameters;
use super::profile::ApiTokens;
use super::request::Wrong;
use super::respond::Refusal;

/// The `aud` by which the API knows its own, where the profile does not name it.
const DEMO_API: &str = "demo-api";

/// Whom tokens for the API are for.
pub(super) const fn name(rule: ApiTokens) -> &'static str {
    match rule {
        ApiTokens::Resource(api) => api,
        ApiTokens::Always | ApiTokens::Parameter(..) | ApiTokens::Scope { .. } => DEMO_API,
    }
}

/// Whether the authorization request with this scope and these parameters asks for a token for the API.
pub(super) fn for_api<'a>(
    rule: ApiTokens,
    scope: &str,
    get: &impl Fn(&'static str) -> Option<&'a str>,
) -> Result<bool, Wrong> {
    match rule {
        ApiTokens::Always => Ok(true),
        ApiTokens::Parameter(name, api) => named(name, api, get(name)),
        ApiTokens::Resource(api) => named(RESOURCE, api, get(RESOURCE)),
        ApiTokens::Scope { api, another, .. } => {
            let one_of = |prefix: &str| scope.split(' ').any(|one| one.starts_with(prefix));
            if one_of(api) && one_of(another) {
                return Err((
                    "invalid_scope",
                    "AADSTS70011: the scopes of two APIs do not go into one token".to_owned(),
                ));
            }
            Ok(one_of(api))
        }
    }
}

/// Whether the token request `form` goes on to ask for what was `granted` (RFC 8707 §2.2).
pub(super) fn still_for_api(rule: ApiTokens, granted: bool, form: &Parameters) -> Result<bool, Refusal> {
    let ApiTokens::Resource(api) = rule else { return Ok(granted) };
    match named(RESOURCE, api, form.one(RESOURCE)?) {
        Ok(true) if !granted => Err(Refusal::new("invalid_target", format!("{RESOURCE} {api:?} was not granted"))),
        Ok(wanted) => Ok(wanted),
        Err((error, description)) => Err(Refusal::new(error, description)),
    }
}

const RESOURCE: &str = "resource";

/// Whether `value` is there, as the API's name and no other's.
fn named(parameter: &str, api: &str, value: Option<&str>) -> Result<bool, Wrong> {
    match value {
        None => Ok(false),
        Some(value) if value == api => Ok(true),
        // RFC 8707 §2
        Some(other) => Err(("invalid_target", format!("{parameter} {other:?} is not an API of this provider"))),
    }
}

/// Whom a token is for: the provider itself, for its user endpoint, and the API if it is meant.
pub(super) fn of(rule: ApiTokens, for_api: bool, api: &str, issuer: &str) -> Vec<String> {
    let first = match rule {
        _ if for_api => Some(api),
        ApiTokens::Scope { otherwise, .. } => Some(otherwise),
        _ => None,
    };
    first.into_iter().chain([issuer]).map(str::to_owned).collect()
}
