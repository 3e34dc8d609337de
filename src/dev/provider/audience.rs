//! Which access tokens are for the API: asked for by nothing, by a parameter or by scopes, as the profile says.

use super::profile::ApiTokens;
use super::request::Wrong;

/// Whether the authorization request with this scope and these parameters asks for a token for the API.
pub(super) fn for_api<'a>(
    rule: ApiTokens,
    scope: &str,
    get: &impl Fn(&'static str) -> Option<&'a str>,
) -> Result<bool, Wrong> {
    match rule {
        ApiTokens::Always => Ok(true),
        ApiTokens::Parameter(name, api) => match get(name) {
            None => Ok(false),
            Some(value) if value == api => Ok(true),
            // RFC 8707 §2
            Some(other) => Err(("invalid_target", format!("{name} {other:?} is not an API of this provider"))),
        },
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

/// Whom a token is for: the provider itself, for its user endpoint, and the API if it is meant.
pub(super) fn of(rule: ApiTokens, for_api: bool, api: &str, issuer: &str) -> Vec<String> {
    let first = match rule {
        _ if for_api => Some(api),
        ApiTokens::Scope { otherwise, .. } => Some(otherwise),
        _ => None,
    };
    first.into_iter().chain([issuer]).map(str::to_owned).collect()
}
