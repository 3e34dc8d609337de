//! What the browser is sent to the provider with, and whose response it brings back.

use std::collections::HashMap;

use cloakroom::provider::{LoginHints, RedeemError};
use serde_json::json;

use super::hostile::{Hostile, NONCE, Reply, attempt, client_of};

fn query(url: &url::Url) -> HashMap<String, String> {
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let count = pairs.len();
    let map: HashMap<_, _> = pairs.into_iter().collect();
    assert_eq!(map.len(), count, "a parameter is there twice: {url}");
    map
}

#[tokio::test]
async fn a_login_asks_for_a_code_with_pkce_state_and_nonce() {
    let op = Hostile::start().await;
    let url = op.client().authorization_url(&attempt(), &LoginHints::default()).await.unwrap();
    assert_eq!(url.path(), "/authorize");
    let expected = [
        ("response_type", "code"),
        ("client_id", "app-one"),
        ("redirect_uri", "https://app-one.example/bff/callback"),
        ("scope", "openid profile"),
        ("state", "state-1"),
        ("nonce", NONCE),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ];
    assert_eq!(query(&url), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert!(!url.as_str().contains("s3cret"));
}

#[tokio::test]
async fn hints_override_the_configuration_and_nothing_overrides_the_protocol() {
    let op = Hostile::start().await;
    op.metadata(|metadata| {
        metadata["authorization_endpoint"] = "https://id.example/a?tenant=t%201&scope=admin&nonce=x".into();
    });
    let client = op.client_with(|config| {
        let configured = [("prompt", "consent"), ("audience", "api"), ("response_type", "token"), ("state", "fixed")];
        client_of(config).authorization_params =
            configured.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    });
    let hints = LoginHints {
        prompt: Some("login".to_owned()),
        login_hint: Some("a&redirect_uri=https://evil.example".to_owned()),
        ui_locales: Some("de en".to_owned()),
        further_scopes: Vec::new(),
    };
    let query = query(&client.authorization_url(&attempt(), &hints).await.unwrap());
    for (name, value) in [
        ("tenant", "t 1"),
        ("scope", "openid profile"),
        ("nonce", NONCE),
        ("response_type", "code"),
        ("state", "state-1"),
        ("audience", "api"),
        ("prompt", "login"),
        ("login_hint", "a&redirect_uri=https://evil.example"),
        ("ui_locales", "de en"),
        ("redirect_uri", "https://app-one.example/bff/callback"),
    ] {
        assert_eq!(query[name], value);
    }
}

#[tokio::test]
async fn the_response_of_another_issuer_is_refused() {
    let op = Hostile::start().await;
    let client = op.client();
    let issuer = op.issuer();
    client.check_response_issuer(Some(&issuer)).await.unwrap();
    for other in ["https://evil.example", &format!("{issuer}/"), &issuer.to_uppercase(), ""] {
        assert!(matches!(client.check_response_issuer(Some(other)).await, Err(RedeemError::Invalid(_))), "{other}");
    }
}

#[tokio::test]
async fn a_response_without_issuer_is_refused_only_where_one_was_promised() {
    for (promise, works) in [(json!(true), false), (json!(false), true), (json!(null), false)] {
        let op = Hostile::start().await;
        op.metadata(|metadata| metadata["authorization_response_iss_parameter_supported"] = promise.clone());
        assert_eq!(op.client().check_response_issuer(None).await.is_ok(), works, "{promise}");
    }
    let op = Hostile::start().await;
    op.client().check_response_issuer(None).await.unwrap();
    op.set("/.well-known/openid-configuration", Reply::raw(500, ""));
    assert!(matches!(op.client().check_response_issuer(None).await, Err(RedeemError::Unavailable(_))));
}
