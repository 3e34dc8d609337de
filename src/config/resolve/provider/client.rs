//! What the gateway is at an authorization server: its registration, and what it asks for.

use super::client_auth::client_auth;
use super::logout;
use super::requests::requests;
use crate::config::document::Node;
use crate::config::fault::Wrong;
use crate::config::secret_ref::Literal;
use crate::config::section::{Section, wrong_type};
use crate::config::value::{choice, flag, text, word};
use crate::config::{ClientConfig, Empty400, ResponseMode};

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

/// The client; `None` when a key without a default is missing or wrong.
pub(super) fn client(
    section: &Section<'_>,
    literal: Literal,
    plaintext: bool,
    scopes: &[&str],
) -> Option<ClientConfig> {
    let client_id = section.required("client_id", "write the id under which the provider knows this gateway", word);
    let client_auth = client_auth(section, literal);
    let written = section.list("scopes", scope);
    let authorization_params =
        own_params(section, "authorization_params", &OWN_PARAMETERS, "`scopes` has a key of its own");
    let requests = requests(section);
    for name in ["resource", "audience"].into_iter().filter(|name| section.has(name)) {
        if authorization_params.iter().any(|(param, _)| param == name) {
            section.fault(name, "stands in `authorization_params` as well", "remove it there");
        }
    }
    let response_mode = section.or("response_mode", ResponseMode::Query, choice(&ResponseMode::ALL));
    let own_callback = section.or("own_callback", false, flag);
    let logout = logout::logout(section, plaintext);
    let empty = [("unavailable", Empty400::Unavailable), ("rejected", Empty400::Rejected)];
    let empty_400 = section.or("empty_400", Empty400::Unavailable, choice(&empty));
    Some(ClientConfig {
        client_id: client_id?,
        client_auth: client_auth?,
        scopes: written.unwrap_or_else(|| scopes.iter().map(|scope| (*scope).to_owned()).collect()),
        authorization_params,
        response_mode,
        requests,
        own_callback,
        logout,
        empty_400,
    })
}

/// RFC 6749 §3.3: printable ASCII without space, quote and backslash.
pub(in crate::config::resolve) fn scope(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte)) {
        return Err(Wrong::new(format!("{text:?} is not a scope"), "list the scopes one by one"));
    }
    Ok(text.to_owned())
}

/// The texts of the table at `key`; none of those that the gateway sets itself, its `own`.
pub(super) fn own_params(section: &Section<'_>, key: &str, own: &[&str], elsewhere: &str) -> Vec<(String, String)> {
    params(section, key, |name, node| {
        if own.contains(&name) {
            return Err(Wrong::new("is set by the gateway itself", format!("remove it; {elsewhere}")));
        }
        text(node).map(str::to_owned)
    })
    .unwrap_or_default()
}

/// A table of parameters, each judged by itself.
pub(super) fn params<T>(
    section: &Section<'_>,
    key: &str,
    read: impl Fn(&str, &Node) -> Result<T, Wrong>,
) -> Option<Vec<(String, T)>> {
    let table = section.get(key, |node| {
        node.table().map(|table| table.iter().collect::<Vec<_>>()).ok_or_else(|| wrong_type("a table", &node.kind))
    })?;
    let read = |(name, node): (&String, &Node)| match read(name, node) {
        Ok(value) => Some((name.clone(), value)),
        Err(wrong) => {
            section.reader.report(node.fault(wrong));
            None
        }
    };
    Some(table.into_iter().filter_map(read).collect())
}
