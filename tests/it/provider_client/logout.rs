//! The provider's side of a logout.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloakroom::config::{LogoutConfig, LogoutHint, LogoutTemplate};
use cloakroom::provider::Provider;
use cloakroom::secret::{AccessToken, IdToken, RefreshToken, State};
use serde_json::{Value, json};

use super::hostile::{Hostile, Manner, Reply, client_of};

async fn query(client: &Provider, id_token: Option<&str>) -> HashMap<String, String> {
    let id_token = id_token.map(IdToken::new);
    let url = client.logout_url(id_token.as_ref(), &State::new("bye")).await.unwrap();
    assert_eq!(url.path(), "/logout");
    url.query_pairs().into_owned().collect()
}

#[tokio::test]
async fn the_logout_url_names_client_landing_page_and_state() {
    let op = Hostile::start().await;
    let query = query(&op.client(), Some("h.p.s")).await;
    assert_eq!(query["id_token_hint"], "h.p.s");
    assert_eq!(query["client_id"], "app-one");
    assert_eq!(query["post_logout_redirect_uri"], "https://app-one.example/bff/logout/callback");
    assert_eq!(query["state"], "bye");
}

#[tokio::test]
async fn the_id_token_stays_here_if_configured_missing_or_too_long() {
    let op = Hostile::start().await;
    let without = op.client_with(|config| client_of(config).logout = LogoutConfig::standard(LogoutHint::ClientId));
    let long = "x".repeat(10_000);
    for (client, hint) in [(without, Some("h.p.s")), (op.client(), None), (op.client(), Some(long.as_str()))] {
        let query = query(&client, hint).await;
        assert!(!query.contains_key("id_token_hint"));
        assert_eq!(query["client_id"], "app-one");
    }
}

#[tokio::test]
async fn a_claim_of_the_id_token_goes_along_if_it_is_a_text_of_some_length() {
    let op = Hostile::start().await;
    let client = op.client_with(|config| {
        let page = client_of(config).logout.page.as_mut().unwrap();
        let params = [("logout_hint", "{claim:login_hint}"), ("state", "{state}")];
        page.params = params.map(|(name, text)| (name.to_owned(), LogoutTemplate::parse(text).unwrap())).into();
    });
    let id_token = |claims: Value| format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let said = query(&client, Some(&id_token(json!({ "login_hint": "O.abc&x=y" })))).await;
    assert_eq!((said.len(), &*said["logout_hint"], &*said["state"]), (2, "O.abc&x=y", "bye"));
    let long = "x".repeat(10_000);
    for without in [json!({}), json!({ "login_hint": 7 }), json!({ "login_hint": long })] {
        let said = query(&client, Some(&id_token(without))).await;
        assert_eq!((said.len(), &*said["state"]), (1, "bye"));
    }
    for token in [None, Some("h.p.s"), Some("h")] {
        assert!(!query(&client, token).await.contains_key("logout_hint"), "{token:?}");
    }
}

#[tokio::test]
async fn a_provider_without_logout_page_or_answer_has_no_logout_url() {
    let op = Hostile::start().await;
    op.metadata(|metadata| drop(metadata.as_object_mut().unwrap().remove("end_session_endpoint")));
    assert_eq!(op.client().logout_url(None, &State::random()).await, None);
    op.set("/.well-known/openid-configuration", Reply::raw(200, "").with(Manner::Never));
    let started = Instant::now();
    assert_eq!(op.client().logout_url(None, &State::random()).await, None);
    assert!(started.elapsed() < Duration::from_secs(3), "a dead provider delays no logout");
}

#[tokio::test]
async fn a_refresh_token_is_revoked_with_client_authentication() {
    let op = Hostile::start().await;
    op.set("/revoke", Reply::raw(200, ""));
    op.client().give_back(&AccessToken::new("at-1"), Some(&RefreshToken::new("rt-1")), None).await.unwrap();
    let request = op.requests("/revoke").remove(0);
    assert_eq!(request.field("token"), Some("rt-1"));
    assert_eq!(request.field("token_type_hint"), Some("refresh_token"));
    assert!(request.header("authorization").is_some());
}

#[tokio::test]
async fn an_unconfirmed_revocation_is_told() {
    let op = Hostile::start().await;
    let client = op.client_with(|config| config.timeout = Duration::from_millis(300));
    for reply in [Reply::raw(503, ""), Reply::raw(400, ""), Reply::raw(200, "").with(Manner::Never)] {
        op.set("/revoke", reply);
        assert!(client.give_back(&AccessToken::new("at-1"), Some(&RefreshToken::new("rt-1")), None).await.is_err());
    }
    op.metadata(|metadata| drop(metadata.as_object_mut().unwrap().remove("revocation_endpoint")));
    op.client().give_back(&AccessToken::new("at-1"), Some(&RefreshToken::new("rt-1")), None).await.unwrap();
}
