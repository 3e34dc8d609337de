//! `[[site.provider]]`: the authorization server, and what the gateway is there.

use super::{choice_with_later, client, hours, minutes, seconds};
use crate::config::address::{EXPOSED_REMEDY, exposed, http_url, is_exposed, tls_files};
use crate::config::document::Node;
use crate::config::fault::Wrong;
use crate::config::secret_ref::Literal;
use crate::config::section::{Section, wrong_type};
use crate::config::value::{choice, duration, flag, text, word};
use crate::config::{LogoutHint, LogoutTokenExp, ProviderConfig};

/// The name of a provider that has no other.
pub(super) const DEFAULT_NAME: &str = "main";

const SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// Asymmetric ones only: with HS256 the client's secret could sign logins, with none anybody could.
const ID_TOKEN_ALGS: [&str; 9] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// What every authorization request must get from the login attempt itself.
const OWN_PARAMETERS: [&str; 14] = [
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
    "id_token_hint",
    "nonce",
    "redirect_uri",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

/// The provider; `None` when a key without a default is missing or wrong.
pub(super) fn provider(section: &Section<'_>, literal: Literal) -> Option<ProviderConfig> {
    section.get("kind", choice_with_later(&[("oidc", ())], &["oauth2", "relay"]));
    let name = section.or("name", DEFAULT_NAME.to_owned(), name);
    let plaintext = section.or("plaintext", false, flag);
    let issuer =
        section.required("issuer", "write the issuer exactly as the provider's discovery document does", |node| {
            issuer(node, plaintext)
        });
    let client_id = section.required("client_id", "write the id under which the provider knows this gateway", word);
    let client_auth = client::client_auth(section, literal);
    let hints = [("id_token", LogoutHint::IdToken), ("client_id", LogoutHint::ClientId)];
    let exp = [("required", LogoutTokenExp::Required), ("optional", LogoutTokenExp::Optional)];
    let scopes = section.list("scopes", scope);
    if scopes.as_ref().is_some_and(|scopes| !scopes.iter().any(|scope| scope == "openid")) {
        section.fault("scopes", "does not contain \"openid\"", "add \"openid\"; without it there is no ID token");
    }
    let algorithms = section.list("id_token_algs", algorithm);
    if algorithms.as_ref().is_some_and(Vec::is_empty) && nothing_in(section, "id_token_algs") {
        section.fault("id_token_algs", "accepts no algorithm", "list at least one, or remove the key");
    }
    let encrypted = issuer.as_ref().is_none_or(|issuer| issuer.starts_with("https"));
    Some(ProviderConfig {
        name,
        scopes: scopes.unwrap_or_else(|| SCOPES.map(str::to_owned).into()),
        authorization_params: authorization_params(section),
        id_token_algs: algorithms.unwrap_or_else(|| ID_TOKEN_ALGS.map(str::to_owned).into()),
        logout_hint: section.or("logout_hint", LogoutHint::IdToken, choice(&hints)),
        logout_token_exp: section.or("logout_token_exp", LogoutTokenExp::Required, choice(&exp)),
        default_token_lifetime: section.or("default_token_lifetime", minutes(5), duration(seconds(1)..=hours(24))),
        clock_skew: section.or("clock_skew", seconds(30), duration(seconds(10)..=seconds(60))),
        plaintext,
        timeout: section.or("timeout", seconds(10), duration(seconds(1)..=minutes(1))),
        tls: tls_files(section, "issuer", encrypted),
        issuer: issuer?,
        client_id: client_id?,
        client_auth: client_auth?,
    })
}

fn nothing_in(section: &Section<'_>, key: &str) -> bool {
    section.node(key).and_then(Node::list).is_some_and(<[Node]>::is_empty)
}

/// The name stands in a query, `?provider=`, and in logs.
fn name(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(plain) {
        return Err(Wrong::new(
            format!("{text:?} is not a name for a provider"),
            "use 1 to 64 letters, digits, - and _, such as \"main\"",
        ));
    }
    Ok(text.to_owned())
}

/// OpenID Connect Discovery §3: an https URL without query and fragment; compared byte for byte, so kept so.
fn issuer(node: &Node, plaintext: bool) -> Result<String, Wrong> {
    let (url, text) = http_url(node)?;
    if is_exposed(&url) && !plaintext {
        return Err(Wrong::new(exposed(text), EXPOSED_REMEDY));
    }
    if let Some(issuer) = text.split_once("/.well-known/").map(|(issuer, _)| issuer) {
        return Err(Wrong::new(
            format!("{text:?} is the discovery document, not the issuer"),
            format!("write the `issuer` that stands in it, probably {issuer:?}"),
        ));
    }
    Ok(text.to_owned())
}

/// RFC 6749 §3.3: printable ASCII without space, quote and backslash.
pub(super) fn scope(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte)) {
        return Err(Wrong::new(format!("{text:?} is not a scope"), "list the scopes one by one"));
    }
    Ok(text.to_owned())
}

fn algorithm(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    if ID_TOKEN_ALGS.contains(&text) {
        return Ok(text.to_owned());
    }
    let remedy = format!("choose from {}", ID_TOKEN_ALGS.join(", "));
    if text.eq_ignore_ascii_case("none") {
        return Err(Wrong::new("\"none\" would accept ID tokens that nobody signed", remedy));
    }
    if text.starts_with("HS") {
        return Err(Wrong::new(
            format!("{text:?} is symmetric: whoever holds the client secret could sign a login"),
            remedy,
        ));
    }
    Err(Wrong::new(format!("{text:?} is not an algorithm for ID tokens here"), remedy))
}

fn authorization_params(section: &Section<'_>) -> Vec<(String, String)> {
    let table = section.get("authorization_params", |node| {
        node.table().map(|table| table.iter().collect::<Vec<_>>()).ok_or_else(|| wrong_type("a table", &node.kind))
    });
    let read = |(name, node): (&String, &Node)| {
        let own = OWN_PARAMETERS.contains(&name.as_str());
        let value = text(node).map(str::to_owned);
        let refused =
            own.then(|| Wrong::new("is set by the gateway itself", "remove it; `scopes` has a key of its own"));
        match refused.map_or(value, Err) {
            Ok(value) => Some((name.clone(), value)),
            Err(wrong) => {
                section.reader.report(node.fault(wrong));
                None
            }
        }
    };
    table.unwrap_or_default().into_iter().filter_map(read).collect()
}
