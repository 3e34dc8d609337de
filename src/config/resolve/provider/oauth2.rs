//! `kind = "oauth2"`: the endpoints of a server without discovery, and where its user endpoint says what.

use super::Found;
use super::client::client;
use super::endpoints::endpoints;
use super::oidc;
use crate::config::address::endpoint_url;
use crate::config::secret_ref::Literal;
use crate::config::section::Section;
use crate::config::value::json_pointer;
use crate::config::{JsonPointer, OAuth2Config, Par, ProviderKind};

/// Whose users these are, and the rest; `None` when a key without a default is missing or wrong.
pub(super) fn oauth2(section: &Section<'_>, literal: Literal, plaintext: bool) -> Found {
    let client = client(section, literal, plaintext, &[]);
    if client.as_ref().is_some_and(|client| client.response_mode.is_signed()) {
        section.fault(
            "response_mode",
            "asks for signed answers, and with kind = \"oauth2\" the provider's keys are not known",
            "write \"query\" or \"form_post\", or kind = \"oidc\" if the provider has discovery",
        );
    }
    let required = |key: &str, remedy: &str| section.required(key, remedy, |node| endpoint_url(node, plaintext));
    let authorization = required("authorization_endpoint", "write where the browser is sent to log in");
    let token = required("token_endpoint", "write where codes are redeemed");
    let userinfo = required(
        "userinfo_endpoint",
        "write where the API says who the bearer of an access token is; nothing else says who has logged in",
    );
    let par = client.as_ref().map_or(Par::Auto, |client| client.requests.par);
    let endpoints = endpoints(section, plaintext, par);
    if par == Par::Required && !section.has("pushed_authorization_request_endpoint") {
        section.fault(
            "par",
            "demands pushed requests, and nothing says where to push them",
            "write `pushed_authorization_request_endpoint`, or remove `par`",
        );
    }
    let issuer = section.get("issuer", |node| oidc::issuer(node, plaintext));
    let pointer = |key: &str, default: &str| {
        let default = || JsonPointer::parse(default).expect("the defaults are pointers");
        section.get(key, json_pointer).unwrap_or_else(default)
    };
    let (subject, full_name, email) =
        (pointer("sub_pointer", "/sub"), pointer("name_pointer", "/name"), pointer("email_pointer", "/email"));
    let token_endpoint = token?;
    let kind = ProviderKind::OAuth2(Box::new(OAuth2Config {
        client: client?,
        authorization_endpoint: authorization?,
        userinfo_endpoint: userinfo?,
        endpoints,
        names_issuer: issuer.is_some(),
        subject,
        full_name,
        email,
        token_endpoint: token_endpoint.clone(),
    }));
    // Two tenants of one host have token endpoints of their own, and users of their own.
    Some((issuer.unwrap_or_else(|| token_endpoint.into()), kind))
}
