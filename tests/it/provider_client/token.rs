//! The token endpoint: what is sent, what answers mean, and that nothing is sent twice.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloakroom::config::ClientAuth;
use cloakroom::provider::{RedeemError, Refreshed};
use cloakroom::secret::{AuthorizationCode, ClientSecret};
use serde_json::{Value, json};

use super::hostile::{Hostile, Manner, NOW, Reply, VERIFIER, attempt, client_of, redeem, refresh, refresh_within};
use super::signing::Key;

/// What a refresh comes to, as a word.
fn word(refreshed: &Refreshed) -> &'static str {
    match refreshed {
        Refreshed::Tokens(_) => "tokens",
        Refreshed::Rejected(_) => "rejected",
        Refreshed::Unavailable(_) => "unavailable",
        Refreshed::Throttled(_) => "throttled",
        Refreshed::Unknown(_) => "unknown",
        Refreshed::Misconfigured(_) => "misconfigured",
    }
}

#[tokio::test]
async fn a_code_is_sent_with_its_verifier_and_redirect_uri() {
    let op = Hostile::start().await;
    let grant = op.client().redeem(&AuthorizationCode::new("c/+ 1"), &attempt()).await.unwrap();
    assert_eq!(grant.tokens.access_token.expose(), "at-1");
    assert_eq!(grant.tokens.refresh_token.unwrap().expose(), "rt-1");
    assert_eq!(grant.tokens.expires_in, Duration::from_secs(300));
    let request = op.requests("/token").remove(0);
    assert_eq!(request.field("grant_type"), Some("authorization_code"));
    assert_eq!(request.field("code"), Some("c/+ 1"));
    assert_eq!(request.field("code_verifier"), Some(VERIFIER));
    assert_eq!(request.field("redirect_uri"), Some("https://app-one.example/bff/callback"));
    assert_eq!(request.header("accept"), Some("application/json"));
}

#[tokio::test]
async fn basic_authentication_encodes_identifier_and_secret() {
    let op = Hostile::start().await;
    let client = op.client_with(|config| {
        client_of(config).client_id = "app:one/ä".to_owned();
        client_of(config).client_auth = ClientAuth::Basic(ClientSecret::new("p%w+d =&"));
    });
    refresh(&client).await;
    let request = op.requests("/token").remove(0);
    let credentials = request.header("authorization").unwrap().strip_prefix("Basic ").unwrap();
    let credentials = String::from_utf8(STANDARD.decode(credentials).unwrap()).unwrap();
    assert_eq!(credentials, "app%3Aone%2F%C3%A4:p%25w%2Bd+%3D%26");
    assert_eq!((request.field("client_id"), request.field("client_secret")), (None, None));
}

#[tokio::test]
async fn the_other_ways_of_client_authentication_stay_in_the_body() {
    let op = Hostile::start().await;
    let posting = ClientAuth::Post(ClientSecret::new("p%w"));
    for (way, secret) in [(posting, Some("p%w")), (ClientAuth::None, None)] {
        redeem(&op.client_with(|config| client_of(config).client_auth = way)).await.unwrap();
        let request = op.requests("/token").pop().unwrap();
        assert_eq!(request.header("authorization"), None);
        assert_eq!((request.field("client_id"), request.field("client_secret")), (Some("app-one"), secret));
    }
}

#[tokio::test]
async fn the_token_type_is_bearer_in_any_case_and_nothing_else() {
    let op = Hostile::start().await;
    for (kind, works) in [
        (json!("bearer"), true),
        (json!("BEARER"), true),
        (json!("mac"), false),
        (json!("DPoP"), false),
        (json!("Bearer "), false),
        (json!(null), false),
    ] {
        let mut answer = Hostile::answer(&op.id_token(|_| {}));
        answer["token_type"] = kind.clone();
        op.set("/token", Reply::json(200, &answer));
        assert_eq!(op.login().await.is_ok(), works, "{kind}");
    }
}

#[tokio::test]
async fn a_missing_lifetime_is_the_configured_one() {
    let op = Hostile::start().await;
    let mut answer = Hostile::answer(&op.id_token(|_| {}));
    answer.as_object_mut().unwrap().remove("expires_in");
    op.set("/token", Reply::json(200, &answer));
    assert_eq!(op.login().await.unwrap().tokens.expires_in, Duration::from_secs(3600));
}

#[tokio::test]
async fn an_answer_that_breaks_the_standard_is_no_login() {
    let op = Hostile::start().await;
    let good = Hostile::answer(&op.id_token(|_| {}));
    let without = |name: &str| {
        let mut answer = good.clone();
        answer.as_object_mut().unwrap().remove(name);
        answer.to_string()
    };
    let with = |name: &str, value: Value| {
        let mut answer = good.clone();
        answer[name] = value;
        answer.to_string()
    };
    for body in [
        without("id_token"),
        without("access_token"),
        with("access_token", json!("")),
        with("access_token", json!("a\r\nCookie: x")),
        with("access_token", json!(7)),
        with("id_token", json!({})),
        good.to_string().replacen('{', r#"{"access_token":"other","#, 1),
        "access_token=at-1&token_type=bearer".to_owned(),
        String::new(),
    ] {
        op.set("/token", Reply::raw(200, body.clone()));
        assert!(matches!(op.login().await, Err(RedeemError::Invalid(_))), "{body}");
    }
}

#[tokio::test]
async fn an_access_token_is_opaque_and_of_any_size() {
    let op = Hostile::start().await;
    for token in ["x~!/+=".repeat(1000), "eyJhbGciOiJub25lIn0.e30.".to_owned()] {
        let mut answer = Hostile::answer(&op.id_token(|_| {}));
        answer["access_token"] = token.as_str().into();
        op.set("/token", Reply::json(200, &answer));
        assert_eq!(op.login().await.unwrap().tokens.access_token.expose(), token);
    }
}

#[tokio::test]
async fn a_code_is_never_sent_again_after_an_unclear_failure() {
    for manner in [Manner::HangUp, Manner::Never] {
        let op = Hostile::start().await;
        op.set("/token", Reply::raw(200, "").with(manner));
        let client = op.client_with(|config| config.timeout = Duration::from_millis(500));
        assert!(matches!(redeem(&client).await, Err(RedeemError::Unavailable(_))));
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(op.count("/token"), 1);
    }
}

#[tokio::test]
async fn the_token_call_follows_no_redirect() {
    let op = Hostile::start().await;
    let mut reply = Reply::raw(307, "");
    reply.headers = format!("Location: {}/elsewhere\r\n", op.issuer());
    op.set("/token", reply);
    assert!(op.login().await.is_err());
    assert_eq!(op.count("/elsewhere"), 0);
}

#[tokio::test]
async fn a_failed_login_says_whose_fault_it_is() {
    let op = Hostile::start().await;
    for (status, error, expected) in [
        (400, "invalid_grant", "refused the code"),
        (401, "invalid_client", "refused this client"),
        (400, "unauthorized_client", "refused this client"),
        (500, "server_error", "unavailable"),
        (429, "slow_down", "too many calls"),
    ] {
        op.set("/token", Reply::json(status, &json!({ "error": error, "error_description": "<secret>" })));
        let message = op.login().await.unwrap_err().to_string();
        assert!(message.contains(expected) && !message.contains("secret"), "{message}");
    }
}

#[tokio::test]
async fn a_discarded_refresh_token_is_revoked() {
    let op = Hostile::start().await;
    op.set("/revoke", Reply::raw(200, ""));
    op.give(&op.id_token(|claims| claims["nonce"] = "other".into()));
    assert!(op.login().await.is_err());
    tokio::time::timeout(Duration::from_secs(5), async {
        while op.count("/revoke") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the token is revoked");
    assert_eq!(op.requests("/revoke")[0].field("token"), Some("rt-1"));
}

#[tokio::test]
async fn a_refresh_brings_new_tokens_and_may_keep_the_old_refresh_token() {
    let op = Hostile::start().await;
    op.set("/token", Reply::json(200, &json!({ "access_token": "at-2", "token_type": "Bearer", "expires_in": "60" })));
    let Refreshed::Tokens(tokens) = refresh(&op.client()).await else { panic!("refreshed") };
    assert_eq!(tokens.access_token.expose(), "at-2");
    assert!(tokens.refresh_token.is_none() && tokens.id_token.is_none());
    assert_eq!(tokens.expires_in, Duration::from_secs(60));
    let request = op.requests("/token").remove(0);
    assert_eq!(request.field("grant_type"), Some("refresh_token"));
    assert_eq!(request.field("refresh_token"), Some("rt-0"));
    assert!(request.header("authorization").is_some());
    assert_eq!(request.field("scope"), None);
}

#[tokio::test]
async fn each_answer_to_a_refresh_has_its_meaning() {
    let op = Hostile::start().await;
    let client = op.client();
    for (status, body, expected) in [
        (400, json!({ "error": "invalid_grant" }), "rejected"),
        (401, json!({ "error": "invalid_request", "hint": "Cannot decrypt the refresh token" }), "rejected"),
        (200, json!({ "error": "bad_refresh_token" }), "rejected"),
        (401, json!({ "error": "invalid_client" }), "misconfigured"),
        (400, json!({ "error": "unauthorized_client" }), "misconfigured"),
        (429, json!({ "message": "Too Many Attempts." }), "throttled"),
        (500, json!({ "error": "invalid_grant" }), "unavailable"),
        (503, json!({}), "unavailable"),
        (404, json!({}), "unavailable"),
        (502, json!(null), "unavailable"),
        (200, json!({}), "unavailable"),
        (200, json!([]), "unavailable"),
        (200, json!({ "access_token": "a", "token_type": "mac" }), "unavailable"),
        (200, json!({ "error": "" }), "unavailable"),
        (200, json!({ "access_token": "a", "token_type": "Bearer", "error": null, "refresh_token": "" }), "tokens"),
        (200, json!({ "access_token": "a", "token_type": "Bearer", "error": "invalid_grant" }), "rejected"),
    ] {
        op.set("/token", Reply::json(status, &body));
        assert_eq!(word(&refresh(&client).await), expected, "{status} {body}");
    }
    op.set("/token", Reply::raw(200, vec![b'{'; 2 * 1024 * 1024]));
    assert_eq!(word(&refresh(&client).await), "unavailable");
}

#[tokio::test]
async fn a_request_without_a_whole_answer_may_have_spent_the_token() {
    for manner in [Manner::HangUp, Manner::CutShort] {
        let op = Hostile::start().await;
        op.set("/token", Reply::json(200, &json!({ "access_token": "at-2", "token_type": "Bearer" })).with(manner));
        assert_eq!(word(&refresh(&op.client()).await), "unknown");
        assert_eq!(op.count("/token"), 1);
    }
}

#[tokio::test]
async fn a_refresh_may_take_longer_than_other_calls_and_is_given_up_in_the_end() {
    let op = Hostile::start().await;
    let client = op.client_with(|config| config.timeout = Duration::from_millis(300));
    let answer = Reply::json(200, &json!({ "access_token": "at-2", "token_type": "Bearer" }));
    for (manner, expected) in [
        (Manner::After(Duration::from_millis(900)), "tokens"),
        (Manner::Dripping(Duration::from_millis(3)), "tokens"),
        (Manner::Never, "unavailable"),
    ] {
        op.set("/token", answer.clone().with(manner));
        let before = (std::time::Instant::now(), op.count("/token"));
        assert_eq!(word(&refresh_within(Duration::from_secs(2), &client).await), expected);
        assert!(before.0.elapsed() > Duration::from_millis(300), "{expected}");
        assert_eq!(op.count("/token") - before.1, 1);
    }
}

#[tokio::test]
async fn a_request_without_a_connection_has_surely_not_spent_the_token() {
    let op = Hostile::start().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plain = op.issuer().replace("http:", "https:");
    for nowhere in [format!("http://{closed}/token"), format!("{plain}/token")] {
        op.metadata(|metadata| metadata["token_endpoint"] = nowhere.as_str().into());
        assert_eq!(word(&refresh(&op.client()).await), "unavailable", "{nowhere}");
    }
    // Accepted by the kernel, never greeted: the handshake runs into the limit on connecting.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}/token", mute.local_addr().unwrap());
    op.metadata(|metadata| metadata["token_endpoint"] = endpoint.into());
    let client = op.client_with(|config| config.timeout = Duration::from_secs(1));
    assert_eq!(word(&refresh(&client).await), "unavailable");
}

#[tokio::test]
async fn an_id_token_of_a_refresh_must_be_the_same_users() {
    let op = Hostile::start().await;
    let client = op.client();
    let changes: [(&str, Value, &str); 8] = [
        ("nonce", json!(null), "tokens"),
        ("sub", json!("mallory"), "rejected"),
        ("iss", json!("https://evil.example"), "rejected"),
        ("aud", json!("app-two"), "rejected"),
        ("iat", json!(NOW - 2 * 3600), "rejected"),
        ("exp", json!(NOW - 60), "rejected"),
        ("azp", json!("app-two"), "rejected"),
        ("events", json!({ "http://schemas.openid.net/event/backchannel-logout": {} }), "rejected"),
    ];
    for (name, value, expected) in changes {
        op.give(&op.id_token(|claims| claims[name] = value));
        assert_eq!(word(&refresh(&client).await), expected, "{name}");
    }
    let forged = op.id_token(|_| {}).rsplit_once('.').unwrap().0.to_owned() + ".AAAA";
    op.give(&forged);
    assert_eq!(word(&refresh(&client).await), "rejected");
}

#[tokio::test]
async fn a_rotated_refresh_token_is_not_lost_when_the_key_of_its_id_token_cannot_be_had() {
    let op = Hostile::start().await;
    let client = op.client();
    op.give(&op.id_token(|_| {}));
    assert_eq!(word(&refresh(&client).await), "tokens");
    op.set("/jwks", Reply::raw(500, ""));
    op.give(&Key::p256().token(r#"{"alg":"ES256","kid":"k2","typ":"JWT"}"#, &op.claims().to_string()));
    let Refreshed::Tokens(tokens) = refresh(&client).await else { panic!("the refresh token is gone") };
    assert_eq!(tokens.refresh_token.unwrap().expose(), "rt-1");
    assert!(tokens.id_token.is_none(), "nothing unverified is kept");
}

#[tokio::test]
async fn a_refresh_whose_id_token_has_a_key_that_is_not_known_yet_ends_nothing() {
    let op = Hostile::start().await;
    let client = op.client();
    for kid in ["k2", "k3"] {
        let header = json!({ "alg": "ES256", "kid": kid }).to_string();
        op.give(&Key::p256().token(&header, &op.claims().to_string()));
        let Refreshed::Tokens(tokens) = refresh(&client).await else { panic!("{kid}: the refresh token is gone") };
        assert!(tokens.refresh_token.is_some() && tokens.id_token.is_none(), "nothing unverified is kept");
    }
    op.give(&Key::p256().token(r#"{"alg":"ES256","kid":"k1"}"#, &op.claims().to_string()));
    assert_eq!(word(&refresh(&client).await), "rejected", "a known key did not make this signature");
}

#[tokio::test]
async fn no_refresh_token_is_spent_while_the_keys_cannot_be_had() {
    let op = Hostile::start().await;
    op.set("/jwks", Reply::raw(500, ""));
    assert_eq!(word(&refresh(&op.client()).await), "unavailable");
    assert_eq!(op.count("/token"), 0);
}

#[tokio::test]
async fn no_message_carries_a_secret() {
    let op = Hostile::start().await;
    op.set("/token", Reply::raw(200, "").with(Manner::HangUp));
    let client = op.client();
    let error = redeem(&client).await.unwrap_err();
    let refreshed = refresh(&client).await;
    for text in [format!("{error} {error:?}"), format!("{refreshed:?} {:?}", client.status())] {
        for secret in ["s3cret", "rt-0", VERIFIER, &STANDARD.encode("app-one:s3cret")] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
