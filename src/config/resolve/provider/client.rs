//! What the gateway is at an authorization server: its registration, and what it asks for.

use super::super::choice_with_later;
use super::logout;
use crate::config::document::Node;
use crate::config::fault::Wrong;
use crate::config::secret_ref::{Literal, fetch};
use crate::config::section::{Section, wrong_type};
use crate::config::value::{choice, flag, text, word};
use crate::config::{ClientAuth, ClientConfig, ResponseMode};
use crate::secret::ClientSecret;

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
    let authorization_params = authorization_params(section);
    let response_mode = section.or("response_mode", ResponseMode::Query, choice(&ResponseMode::ALL));
    let own_callback = section.or("own_callback", false, flag);
    let logout = logout::logout(section, plaintext);
    Some(ClientConfig {
        client_id: client_id?,
        client_auth: client_auth?,
        scopes: written.unwrap_or_else(|| scopes.iter().map(|scope| (*scope).to_owned()).collect()),
        authorization_params,
        response_mode,
        own_callback,
        logout,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Basic,
    Post,
    Public,
}

/// A public client says so: a forgotten secret must not become a weaker client silently.
fn client_auth(section: &Section<'_>, literal: Literal) -> Option<ClientAuth> {
    let methods =
        [("client_secret_basic", Method::Basic), ("client_secret_post", Method::Post), ("none", Method::Public)];
    let later = ["private_key_jwt", "client_secret_jwt", "tls_client_auth", "self_signed_tls_client_auth"];
    let method = section.or("client_auth", Method::Basic, choice_with_later(&methods, &later));
    let secret = section.get("client_secret", |node| fetch(node, literal, section.reader));
    match (method, section.has("client_secret")) {
        (Method::Public, false) => return Some(ClientAuth::None),
        (Method::Public, true) => section.fault(
            "client_secret",
            "is given, and client_auth = \"none\" says that there is none",
            "remove one of the two",
        ),
        (_, false) => section.fault(
            "client_secret",
            "is missing",
            "add it, or write client_auth = \"none\" if the provider knows this client as public",
        ),
        (_, true) => {}
    }
    let secret = ClientSecret::new(secret?.as_str());
    match method {
        Method::Basic => Some(ClientAuth::Basic(secret)),
        Method::Post => Some(ClientAuth::Post(secret)),
        Method::Public => None,
    }
}

/// RFC 6749 §3.3: printable ASCII without space, quote and backslash.
pub(in crate::config::resolve) fn scope(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte)) {
        return Err(Wrong::new(format!("{text:?} is not a scope"), "list the scopes one by one"));
    }
    Ok(text.to_owned())
}

fn authorization_params(section: &Section<'_>) -> Vec<(String, String)> {
    params(section, "authorization_params", |name, node| {
        if OWN_PARAMETERS.contains(&name) {
            return Err(Wrong::new("is set by the gateway itself", "remove it; `scopes` has a key of its own"));
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
