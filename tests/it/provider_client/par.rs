//! Pushed authorization requests: what is pushed, what the browser carries, and that nothing else is tried.

use std::time::{Duration, Instant};

use cloakroom::config::{ClientAuth, Par};
use cloakroom::provider::{AuthorizeError, LoginHints};
use serde_json::json;

use super::hostile::{Hostile, Manner, NONCE, Reply, attempt, client_of};

const HANDLE: &str = "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c";

/// A provider with an endpoint for pushed requests, which gives out [`HANDLE`].
async fn pushing() -> Hostile {
    let op = Hostile::start().await;
    let endpoint = format!("{}/par", op.issuer());
    op.metadata(|metadata| metadata["pushed_authorization_request_endpoint"] = endpoint.into());
    op.set("/par", Reply::json(201, &json!({ "request_uri": HANDLE, "expires_in": 60 })));
    op
}

async fn login(op: &Hostile, par: Par) -> Result<url::Url, AuthorizeError> {
    let client = op.client_with(|config| {
        client_of(config).requests.par = par;
        config.timeout = Duration::from_secs(1);
    });
    client.authorization_url(&attempt(), &LoginHints::default()).await
}

#[tokio::test]
async fn everything_is_pushed_with_client_authentication_and_the_browser_carries_a_handle() {
    let op = pushing().await;
    let url = login(&op, Par::Auto).await.unwrap();
    let query: Vec<_> = url.query_pairs().into_owned().collect();
    let expected = [("client_id", "app-one"), ("request_uri", HANDLE)];
    assert_eq!(query, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let request = op.requests("/par").remove(0);
    assert!(request.header("authorization").is_some_and(|value| value.starts_with("Basic ")));
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "app-one"),
        ("redirect_uri", "https://app-one.example/bff/callback"),
        ("scope", "openid profile"),
        ("state", "state-1"),
        ("nonce", NONCE),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(request.field(name), Some(value), "{name}");
    }
    let public = op.client_with(|config| client_of(config).client_auth = ClientAuth::None);
    public.authorization_url(&attempt(), &LoginHints::default()).await.unwrap();
    assert_eq!(op.requests("/par").len(), 2, "each login pushes for itself, and names its client once");
}

#[tokio::test]
async fn whether_requests_are_pushed_is_settled_between_provider_and_configuration() {
    let op = pushing().await;
    assert!(!login(&op, Par::Never).await.unwrap().as_str().contains("request_uri"));
    assert_eq!(op.count("/par"), 0);
    let endpoint = format!("{}/par", op.issuer());
    op.metadata(|metadata| {
        metadata["pushed_authorization_request_endpoint"] = endpoint.into();
        metadata["require_pushed_authorization_requests"] = true.into();
    });
    login(&op, Par::Auto).await.unwrap();
    let error = login(&op, Par::Never).await.unwrap_err();
    assert!(matches!(&error, AuthorizeError::Misconfigured(why) if why.contains("\"never\"")), "{error}");

    op.metadata(|_| {});
    assert!(!login(&op, Par::Auto).await.unwrap().as_str().contains("request_uri"));
    let error = login(&op, Par::Required).await.unwrap_err();
    assert!(matches!(&error, AuthorizeError::Misconfigured(why) if why.contains("no endpoint")), "{error}");
    op.metadata(|metadata| metadata["require_pushed_authorization_requests"] = true.into());
    assert!(matches!(login(&op, Par::Auto).await, Err(AuthorizeError::Misconfigured(_))));
    op.metadata(|metadata| metadata["require_pushed_authorization_requests"] = "yes".into());
    assert!(matches!(login(&op, Par::Auto).await, Err(AuthorizeError::Unavailable(_))));
}

#[tokio::test]
async fn a_push_that_fails_ends_the_login_with_its_reason_and_is_not_tried_otherwise() {
    let op = pushing().await;
    for (reply, misconfigured, reason) in [
        (Reply::json(400, &json!({ "error": "invalid_request" })), true, "invalid_request"),
        (Reply::json(401, &json!({ "error": "invalid_client" })), true, "invalid_client"),
        (Reply::json(400, &json!({ "error": "<b>", "error_description": "state-1" })), true, "unreadable"),
        (Reply::raw(401, ""), true, "401 without an error code"),
        (Reply::raw(404, ""), false, "404"),
        (Reply::json(429, &json!({ "error": "slow_down" })), false, "429"),
        (Reply::raw(503, ""), false, "503"),
        (Reply::json(201, &json!({ "expires_in": 60 })), false, "no usable `request_uri`"),
        (Reply::json(201, &json!({ "request_uri": "a b" })), false, "no usable `request_uri`"),
        (Reply::json(201, &json!({ "request_uri": "x".repeat(2000) })), false, "no usable `request_uri`"),
        (Reply::raw(201, "not JSON"), false, "no usable `request_uri`"),
        (Reply::raw(201, "").with(Manner::HangUp), false, "connection"),
        (Reply::raw(201, "").with(Manner::Never), false, "time limit"),
    ] {
        op.set("/par", reply);
        let before = op.count("/par");
        let started = Instant::now();
        let error = login(&op, Par::Auto).await.unwrap_err();
        assert_eq!(matches!(error, AuthorizeError::Misconfigured(_)), misconfigured, "{error}");
        let said = error.to_string();
        assert!(said.contains(reason) && !said.contains("state-1"), "{reason}: {said}");
        assert!(started.elapsed() < Duration::from_secs(3), "{reason}");
        assert_eq!(op.count("/par"), before + 1, "once");
    }
}
