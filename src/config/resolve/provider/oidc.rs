//! `kind = "oidc"`: an issuer, and what is believed of its tokens.

use super::super::seconds;
use super::Found;
use super::client::client;
use super::endpoints::endpoints;
use crate::config::address::{EXPOSED_REMEDY, endpoint_url, exposed, http_url, is_exposed};
use crate::config::document::Node;
use crate::config::fault::Wrong;
use crate::config::secret_ref::Literal;
use crate::config::section::Section;
use crate::config::value::{choice, duration, flag, text, word};
use crate::config::{LogoutTokenExp, OidcConfig, Par, ProviderKind, TrustedAudiences};

const SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// Asymmetric ones only: with HS256 the client's secret could sign logins, with none anybody could.
const ID_TOKEN_ALGS: [&str; 9] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// The issuer and the rest; `None` when a key without a default is missing or wrong.
pub(super) fn oidc(section: &Section<'_>, literal: Literal, plaintext: bool) -> Found {
    let issuer =
        section.required("issuer", "write the issuer exactly as the provider's discovery document does", |node| {
            issuer(node, plaintext)
        });
    let client = client(section, literal, plaintext, &SCOPES);
    if client.as_ref().is_some_and(|client| !client.scopes.iter().any(|scope| scope == "openid")) {
        section.fault("scopes", "does not contain \"openid\"", "add \"openid\"; without it there is no ID token");
    }
    let algorithms = section.list("id_token_algs", algorithm);
    if algorithms.as_ref().is_some_and(Vec::is_empty) && nothing_in(section, "id_token_algs") {
        section.fault("id_token_algs", "accepts no algorithm", "list at least one, or remove the key");
    }
    let trusted_audiences = trusted_audiences(section);
    let exp = [("required", LogoutTokenExp::Required), ("optional", LogoutTokenExp::Optional)];
    let logout_token_exp = section.or("logout_token_exp", LogoutTokenExp::Required, choice(&exp));
    let userinfo = section.or("userinfo", false, flag);
    let names_issuer = section.or("names_issuer", true, flag);
    let frontchannel_logout = section.or("frontchannel_logout", false, flag);
    let clock_skew = section.or("clock_skew", seconds(30), duration(seconds(10)..=seconds(60)));
    let userinfo_endpoint = section.get("userinfo_endpoint", |node| endpoint_url(node, plaintext));
    if section.is_written_here("userinfo_endpoint") && !userinfo {
        section.fault("userinfo_endpoint", "is asked for nothing", "write userinfo = true, or remove it");
    }
    let par = client.as_ref().map_or(Par::Auto, |client| client.requests.par);
    let endpoints = endpoints(section, plaintext, par);
    let kind = ProviderKind::Oidc(Box::new(OidcConfig {
        userinfo_endpoint,
        endpoints,
        client: client?,
        id_token_algs: algorithms.unwrap_or_else(|| ID_TOKEN_ALGS.map(str::to_owned).into()),
        userinfo,
        trusted_audiences,
        logout_token_exp,
        frontchannel_logout,
        names_issuer,
        clock_skew,
    }));
    Some((issuer?, kind))
}

fn nothing_in(section: &Section<'_>, key: &str) -> bool {
    section.node(key).and_then(Node::list).is_some_and(<[Node]>::is_empty)
}

fn trusted_audiences(section: &Section<'_>) -> TrustedAudiences {
    if section.node("trusted_audiences").and_then(Node::list).is_some() {
        return TrustedAudiences::These(section.list("trusted_audiences", word).unwrap_or_default());
    }
    let any = section.get("trusted_audiences", choice(&[("any", ())]));
    any.map_or(TrustedAudiences::These(Vec::new()), |()| TrustedAudiences::Any)
}

/// OpenID Connect Discovery §3: an https URL without query and fragment; compared byte for byte, so kept so.
pub(super) fn issuer(node: &Node, plaintext: bool) -> Result<String, Wrong> {
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
