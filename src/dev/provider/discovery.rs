//! What the provider says about itself (OpenID Connect Discovery §3, RFC 8414 §2) and its public key.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::shared::Shared;

/// The scopes a client may ask for.
pub(super) const SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// The prompts a client may ask for.
pub(super) const PROMPTS: [&str; 4] = ["none", "login", "consent", "select_account"];

/// `GET /.well-known/openid-configuration`
pub(super) async fn configuration(shared: web::Data<Shared>) -> HttpResponse {
    let issuer = &shared.issuer;
    HttpResponse::Ok().json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "end_session_endpoint": format!("{issuer}/end_session"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": SCOPES,
        "prompt_values_supported": PROMPTS,
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", "name", "email",
            "email_verified", "picture"],
        "authorization_response_iss_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "claims_parameter_supported": false,
    }))
}

/// `GET /jwks`
pub(super) async fn jwks(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(shared.keys.jwks())
}
