//! What the gateway asks a provider for beside scopes, and how.

use url::Url;

use super::client::{own_params, scope};
use crate::config::document::{Kind, Node};
use crate::config::fault::Wrong;
use crate::config::section::{Section, wrong_type};
use crate::config::value::{choice, flag, text, word};
use crate::config::{Par, RefreshScope, RequestConfig};

/// What every token request must get from the gateway itself.
const OWN_TOKEN_PARAMETERS: [&str; 12] = [
    "assertion",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_verifier",
    "grant_type",
    "redirect_uri",
    "refresh_token",
    "resource",
    "scope",
];

pub(super) fn requests(section: &Section<'_>) -> RequestConfig {
    let par = [("auto", Par::Auto), ("required", Par::Required), ("never", Par::Never)];
    RequestConfig {
        par: section.or("par", Par::Auto, choice(&par)),
        resource: section.list("resource", resource).unwrap_or_default(),
        audience: section.get("audience", word),
        token_params: own_params(
            section,
            "token_params",
            &OWN_TOKEN_PARAMETERS,
            "`resource` and `refresh_scope` are keys of their own",
        ),
        refresh_scope: section.or("refresh_scope", RefreshScope::Absent, refresh_scope),
        dpop: section.or("dpop", false, flag),
    }
}

/// RFC 8707 §2: an absolute URI without a fragment.
fn resource(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    let remedy = "write the API's identifier as the provider knows it, such as \"https://api.example\"";
    if text.contains('#') || text.chars().any(|symbol| symbol.is_whitespace() || symbol.is_control()) {
        return Err(Wrong::new(format!("{text:?} holds a fragment or white space"), remedy));
    }
    Url::parse(text).map_err(|error| Wrong::new(format!("{text:?} is not an absolute URI: {error}"), remedy))?;
    Ok(text.to_owned())
}

fn refresh_scope(node: &Node) -> Result<RefreshScope, Wrong> {
    match &node.kind {
        Kind::Flag(false) => Ok(RefreshScope::Absent),
        Kind::Flag(true) => Ok(RefreshScope::Granted),
        Kind::List(entries) if entries.is_empty() => {
            Err(Wrong::new("lists no scope", "write false to send none, or list the scopes"))
        }
        Kind::List(entries) => entries.iter().map(scope).collect::<Result<_, _>>().map(RefreshScope::These),
        other => Err(wrong_type("true, false or an array", other)),
    }
}
