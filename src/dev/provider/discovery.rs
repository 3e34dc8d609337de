//! What the provider says about itself (OpenID Connect Discovery §3, RFC 8414 §2) and its public key.

use actix_web::{HttpResponse, ResponseError as _, web};
use serde_json::json;

use super::profile::LogoutRules;
use super::respond::Refusal;
use super::shared::Shared;

/// The ways in which a client may prove itself.
const AUTH_METHODS: [&str; 3] = ["client_secret_basic", "client_secret_post", "none"];

/// The prompts a client may ask for.
pub(super) const PROMPTS: [&str; 4] = ["none", "login", "consent", "select_account"];

/// Where the document of `issuer` is (OpenID Connect Discovery §4.1).
pub(super) fn path(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// `GET` of the discovery document.
pub(super) async fn configuration(shared: web::Data<Shared>) -> HttpResponse {
    let (address, profile) = (&shared.address, &shared.profile);
    let at = |path: &str| format!("{address}{path}");
    let mut document = json!({
        "issuer": shared.issuer,
        "authorization_endpoint": profile.paths.authorize.map(at),
        "token_endpoint": profile.paths.token.map(at),
        "userinfo_endpoint": at(profile.paths.userinfo),
        "response_types_supported": ["code"],
        "response_modes_supported": profile.authorization.modes,
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": AUTH_METHODS,
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": profile.authorization.scopes,
        "prompt_values_supported": PROMPTS,
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", "name", "email",
            "email_verified", "picture"],
        "authorization_response_iss_parameter_supported": profile.authorization.names_issuer,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "claims_parameter_supported": false,
    });
    if profile.authorization.modes.contains(&"jwt") {
        document["authorization_signing_alg_values_supported"] = json!(["ES256"]);
    }
    if let Some(path) = profile.paths.jwks {
        document["jwks_uri"] = at(path).into();
    }
    if let Some(path) = profile.paths.revoke {
        document["revocation_endpoint"] = at(path).into();
        document["revocation_endpoint_auth_methods_supported"] = json!(AUTH_METHODS);
    }
    if let (Some(path), Some(LogoutRules { discoverable: true, .. })) = (profile.paths.logout, profile.logout) {
        document["end_session_endpoint"] = at(path).into();
    }
    if profile.back_channel.is_some() {
        document["backchannel_logout_supported"] = true.into();
        document["backchannel_logout_session_supported"] = true.into();
    }
    HttpResponse::Ok().json(document)
}

/// The key set (RFC 7517 §5).
pub(super) async fn jwks(shared: web::Data<Shared>) -> HttpResponse {
    if shared.behaviour().keys_broken {
        return Refusal::outage(503).error_response();
    }
    HttpResponse::Ok().json(shared.keys.jwks())
}
