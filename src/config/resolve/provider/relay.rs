//! `kind = "relay"`: where an API with a JSON login of its own is asked what, and where its answers say what.

use url::Url;

use super::{Found, oidc};
use crate::config::address::endpoint_url;
use crate::config::document::Node;
use crate::config::fault::Wrong;
use crate::config::path::is_under;
use crate::config::section::Section;
use crate::config::value::{json_pointer, text};
use crate::config::{JsonPointer, ProviderKind, RelayConfig, RelayRefresh, RelayRefreshToken, RelayStep};

/// Whose users these are, and the rest; `None` when a key without a default is missing or wrong.
pub(super) fn relay(section: &Section<'_>, plaintext: bool, base_path: &str) -> Found {
    let remedy = "write where the API takes a user's credentials as JSON";
    let login = section.required("login_url", remedy, |node| endpoint_url(node, plaintext));
    let optional = |key: &str| section.get(key, |node| endpoint_url(node, plaintext));
    let (refresh_url, logout_hook, user_url) = (optional("refresh_url"), optional("logout_hook"), optional("user_url"));
    let login_page = section.get("login_page", |node| login_page(node, base_path));
    let issuer = section.get("issuer", |node| oidc::issuer(node, plaintext));
    let refresh_token = section.get("refresh_token_pointer", json_pointer);
    if section.has("refresh_token_pointer") && !section.has("refresh_url") {
        section.fault(
            "refresh_token_pointer",
            "has no effect without `refresh_url`",
            "add `refresh_url`, where the API takes the refresh token, or remove the key",
        );
    }
    // Of a user endpoint the whole answer is the user; a login that says it has it beside the token.
    let user = if section.has("user_url") { "" } else { "/user" };
    let pointer = |key: &str, default: &str| {
        let default = || JsonPointer::parse(default).expect("the defaults are pointers");
        section.get(key, json_pointer).unwrap_or_else(default)
    };
    let (token, expires_in) = (pointer("token_pointer", "/access_token"), pointer("expires_in_pointer", "/expires_in"));
    if token.is_whole() {
        nothing_beside_the_token(section);
    }
    let said = |key: &str, name: &str| pointer(key, &format!("{user}/{name}"));
    let (subject, full_name, email) =
        (said("sub_pointer", "id"), said("name_pointer", "name"), said("email_pointer", "email"));
    let step = step(section, plaintext, login.as_ref());
    let login_url = login?;
    // What the query says is no part of whose users these are.
    let mut place = login_url.clone();
    place.set_query(None);
    let with = refresh_token.map_or(RelayRefreshToken::Bearer, RelayRefreshToken::Member);
    let kind = ProviderKind::Relay(Box::new(RelayConfig {
        login_url,
        login_page,
        step,
        refresh: refresh_url.map(|url| RelayRefresh { url, with }),
        logout_hook,
        user_url,
        token,
        expires_in,
        subject,
        full_name,
        email,
    }));
    Some((issuer.unwrap_or_else(|| place.into()), kind))
}

/// An answer that is the token says neither whose it is nor anything else.
fn nothing_beside_the_token(section: &Section<'_>) {
    if !section.has("user_url") {
        section.fault(
            "user_url",
            "is missing, and with token_pointer = \"\" the login's answer does not say who the user is",
            "write where the API says who the bearer of a token is",
        );
    }
    for key in
        ["expires_in_pointer", "refresh_token_pointer", "step_pointer"].into_iter().filter(|key| section.has(key))
    {
        section.fault(
            key,
            "has no effect with token_pointer = \"\": the whole answer is the token",
            "remove one of the two",
        );
    }
}

/// The second step, where both of its keys are written. The API's cookies go there, and so to no other server.
fn step(section: &Section<'_>, plaintext: bool, login: Option<&Url>) -> Option<RelayStep> {
    let pointer = section.get("step_pointer", json_pointer);
    let url = section.get("step_url", |node| endpoint_url(node, plaintext));
    for (key, other) in [("step_pointer", "step_url"), ("step_url", "step_pointer")] {
        if section.has(key) && !section.has(other) {
            section.fault(key, format!("has no effect without `{other}`"), format!("add `{other}`, or remove it"));
        }
    }
    if let (Some(url), Some(login)) = (&url, login)
        && url.origin() != login.origin()
    {
        section.fault("step_url", "is on another server than `login_url`", "name a path of the same server");
    }
    Some(RelayStep { pointer: pointer?, url: url? })
}

/// A path of the site's own, where the app shows its form; a fragment is for routers that work with it.
fn login_page(node: &Node, base_path: &str) -> Result<String, Wrong> {
    let text = text(node)?;
    let remedy =
        "write a path of the app, such as \"/login\", or \"/#/login\" for a router that works with the fragment";
    let is_path = text.starts_with('/') && !text.starts_with("//") && !text.contains('\\');
    if !is_path || text.len() > 1024 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Wrong::new(format!("{text:?} is not a path of the site"), remedy));
    }
    let path = text.split(['?', '#']).next().unwrap_or_default();
    if is_under(path, base_path) {
        return Err(Wrong::new(
            format!("{text:?} lies under `base_path`, {base_path:?}, which the gateway answers itself"),
            remedy,
        ));
    }
    Ok(text.to_owned())
}
