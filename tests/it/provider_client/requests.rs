//! What is asked for beside scopes: resources, an audience, further parameters, and the scope of a refresh.

use cloakroom::config::{RefreshScope, RequestConfig};
use cloakroom::provider::{LoginHints, Provider, Renewal};
use cloakroom::secret::RefreshToken;

use super::hostile::{Hostile, PATIENCE, Request, attempt, client_of, redeem};

fn asking(op: &Hostile, requests: RequestConfig, scopes: &[&str]) -> Provider {
    op.client_with(|config| {
        let client = client_of(config);
        client.requests = requests;
        client.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    })
}

async fn refresh(client: &Provider, scope: Option<&str>) {
    client
        .refresh(&Renewal {
            refresh_token: &RefreshToken::new("rt-0"),
            subject: "alice",
            scope,
            dpop_key: None,
            patience: PATIENCE,
        })
        .await;
}

fn all<'a>(request: &'a Request, name: &str) -> Vec<&'a str> {
    request.form.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
}

#[tokio::test]
async fn resources_go_with_every_request_and_further_parameters_with_those_of_tokens() {
    let op = Hostile::start().await;
    let requests = RequestConfig {
        resource: vec!["https://api.example".into(), "urn:other".into()],
        audience: Some("https://aud.example".into()),
        token_params: vec![("organization".into(), "o 1".into())],
        ..RequestConfig::default()
    };
    let client = asking(&op, requests, &["openid"]);
    let url = client.authorization_url(&attempt(), &LoginHints::default()).await.unwrap();
    let asked = |name: &str| {
        url.query_pairs().filter(|(known, _)| known == name).map(|(_, value)| value.into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(asked("resource"), ["https://api.example", "urn:other"]);
    assert_eq!(asked("audience"), ["https://aud.example"]);
    assert!(asked("organization").is_empty());
    redeem(&client).await.unwrap();
    refresh(&client, None).await;
    let requests = op.requests("/token");
    assert_eq!(requests.len(), 2);
    for request in &requests {
        assert_eq!(all(request, "resource"), ["https://api.example", "urn:other"]);
        assert_eq!(all(request, "organization"), ["o 1"]);
        assert!(all(request, "audience").is_empty() && all(request, "scope").is_empty());
    }
}

#[tokio::test]
async fn a_refresh_asks_for_the_scope_that_is_configured() {
    let op = Hostile::start().await;
    let offline = ["openid", "email", "offline_access"];
    for (refresh_scope, granted, configured, expected) in [
        (RefreshScope::Absent, Some("openid"), &offline[..], None),
        (RefreshScope::Granted, None, &offline[..], Some("openid email offline_access")),
        (RefreshScope::Granted, Some("openid api"), &offline[..], Some("openid api")),
        (RefreshScope::These(vec!["a".into(), "b".into()]), Some("openid"), &offline[..], Some("a b")),
    ] {
        let what = format!("{refresh_scope:?} {granted:?}");
        let client = asking(&op, RequestConfig { refresh_scope, ..RequestConfig::default() }, configured);
        refresh(&client, granted).await;
        assert_eq!(op.requests("/token").pop().unwrap().field("scope"), expected, "{what}");
    }
}
