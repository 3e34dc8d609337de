//! What a logout token must not say.

use std::time::Duration;

use cloakroom::config::LogoutTokenExp;
use cloakroom::provider::{LogoutTokenError, Provider, ReceivedLogoutToken, VerifiedLogoutToken, Whose};
use serde_json::{Value, json};

use super::hostile::{Hostile, NONCE, NOW, Reply, oidc_of, redeem};
use super::signing::{Key, b64};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const HEADER: &str = r#"{"alg":"ES256","kid":"k1","typ":"logout+jwt"}"#;

fn claims(op: &Hostile) -> Value {
    json!({
        "iss": op.issuer(), "aud": "app-one", "iat": NOW, "exp": NOW + 120, "jti": "j-1", "sub": "alice", "sid": "s-1",
        "events": { EVENT: {} },
    })
}

async fn verify(client: &Provider, token: &str) -> Result<VerifiedLogoutToken, LogoutTokenError> {
    let received = ReceivedLogoutToken::read(token.to_owned())?;
    if !received.is_from(client) {
        return Err(LogoutTokenError::Invalid("it is for somebody else"));
    }
    client.verify_logout_token(&received).await
}

/// Why `token` is refused by a client of `op`; `None` if it is accepted.
async fn refusal(op: &Hostile, token: &str) -> Option<String> {
    match verify(&op.client(), token).await {
        Ok(_) => None,
        Err(error @ LogoutTokenError::Invalid(_)) => Some(error.to_string()),
        Err(other) => panic!("not the token's fault: {other}"),
    }
}

/// Why a truly signed token is refused when `value` stands for the claim `name`; `null` takes the claim away.
async fn refusal_with(name: &str, value: &Value) -> Option<String> {
    let op = Hostile::start().await;
    let mut claims = claims(&op);
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value.clone(),
    }
    refusal(&op, &op.key.token(HEADER, &claims.to_string())).await
}

async fn refused(name: &str, value: Value, reason: &str) {
    let refusal = refusal_with(name, &value).await;
    assert!(refusal.as_ref().is_some_and(|said| said.contains(reason)), "{name} = {value}: {refusal:?}");
}

async fn accepted(name: &str, value: Value) {
    assert_eq!(refusal_with(name, &value).await, None, "{name} = {value}");
}

#[tokio::test]
async fn a_valid_token_names_a_session_or_else_a_user() {
    let op = Hostile::start().await;
    let whose = async |change: fn(&mut Value)| {
        let mut claims = claims(&op);
        change(&mut claims);
        verify(&op.client(), &op.key.token(HEADER, &claims.to_string())).await.unwrap()
    };
    let both = whose(|_| {}).await;
    assert_eq!((both.issuer(), both.jti()), (&*op.issuer(), "j-1"));
    assert_eq!(both.whose(), &Whose::Session("s-1".to_owned()));
    let sid = whose(|claims| drop(claims.as_object_mut().unwrap().remove("sub"))).await;
    assert_eq!(sid.whose(), &Whose::Session("s-1".to_owned()));
    let sub = whose(|claims| drop(claims.as_object_mut().unwrap().remove("sid"))).await;
    assert_eq!(sub.whose(), &Whose::Subject("alice".to_owned()));
    // Remembered for as long as it would be accepted: until it expires, and never longer than it may be old.
    assert_eq!(both.until().as_secs(), NOW + 120 + 30);
    let endless = whose(|claims| claims["exp"] = json!(NOW * 2)).await;
    assert_eq!(endless.until().as_secs(), NOW + 3600 + 30);
}

#[tokio::test]
async fn another_issuer_or_client_is_refused() {
    let op = Hostile::start().await;
    for issuer in [json!(null), json!("https://evil.example"), json!(format!("{}/", op.issuer())), json!([op.issuer()])]
    {
        assert!(refusal_with("iss", &issuer).await.is_some(), "{issuer}");
    }
    for audience in
        [json!(null), json!("app-two"), json!([]), json!(["app-one", "app-two"]), json!({ "app-one": 1 }), json!(7)]
    {
        refused("aud", audience, "somebody else").await;
    }
    accepted("aud", json!(["app-one"])).await;
    refused("azp", json!("app-two"), "`azp`").await;
}

#[tokio::test]
async fn an_implausible_time_is_refused() {
    for (name, value, reason) in [
        ("exp", json!(null), "`exp` is missing"),
        ("exp", json!(NOW - 30), "expired"),
        ("exp", json!("soon"), "not a number"),
        ("iat", json!(null), "`iat` is missing"),
        ("iat", json!(NOW + 120), "in the future"),
        ("iat", json!(NOW - 2 * 3600), "long ago"),
        ("iat", json!(-1), "not a number"),
        ("nbf", json!(NOW + 120), "`nbf`"),
    ] {
        refused(name, value, reason).await;
    }
    accepted("exp", json!(NOW - 29)).await;
    accepted("exp", json!(NOW as f64 - 29.5)).await;
    accepted("iat", json!(NOW as f64 - 0.421_875)).await;
    accepted("nbf", json!(NOW as f64 + 29.5)).await;
    accepted("iat", json!(NOW + 9)).await;
    accepted("iat", json!(NOW - 600)).await;
}

#[tokio::test]
async fn a_token_without_exp_is_accepted_by_configuration_and_for_two_minutes() {
    let op = Hostile::start().await;
    let optional = op.client_with(|config| oidc_of(config).logout_token_exp = LogoutTokenExp::Optional);
    let token = |issued: u64| {
        let mut claims = claims(&op);
        claims.as_object_mut().unwrap().remove("exp");
        claims["iat"] = issued.into();
        op.key.token(HEADER, &claims.to_string())
    };
    assert!(refusal(&op, &token(NOW)).await.is_some());
    assert_eq!(verify(&optional, &token(NOW)).await.unwrap().until().as_secs(), NOW + 120 + 30);
    assert!(verify(&optional, &token(NOW - 120)).await.is_ok());
    assert!(verify(&optional, &token(NOW - 151)).await.is_err());
    let mut expired = claims(&op);
    expired["exp"] = json!(NOW - 60);
    assert!(verify(&optional, &op.key.token(HEADER, &expired.to_string())).await.is_err());
}

#[tokio::test]
async fn a_token_that_is_not_about_a_logout_is_refused() {
    for events in [
        json!(null),
        json!([EVENT]),
        json!(EVENT),
        json!({}),
        json!({ "http://schemas.openid.net/event/other": {} }),
        json!({ EVENT: null }),
        json!({ EVENT: true }),
        json!({ EVENT: [] }),
    ] {
        refused("events", events, "`events`").await;
    }
    accepted("events", json!({ EVENT: { "x": 1 }, "https://other.example": {} })).await;
    for nonce in [json!("n"), json!(""), json!(7)] {
        refused("nonce", nonce, "`nonce`").await;
    }
}

#[tokio::test]
async fn a_token_that_names_nobody_or_somebody_malformed_is_refused() {
    let op = Hostile::start().await;
    let mut nobody = claims(&op);
    nobody.as_object_mut().unwrap().retain(|name, _| name != "sub" && name != "sid");
    let said = refusal(&op, &op.key.token(HEADER, &nobody.to_string())).await;
    assert!(said.unwrap().contains("neither"));
    for sub in [json!(""), json!(7), json!("ä"), json!("a\nb"), json!("x".repeat(256)), json!(["alice"])] {
        refused("sub", sub, "`sub`").await;
    }
    for sid in [json!(""), json!(7), json!("x".repeat(1025)), json!({})] {
        refused("sid", sid, "`sid`").await;
    }
    for jti in [json!(null), json!(""), json!(7), json!("x".repeat(256))] {
        refused("jti", jti, "`jti`").await;
    }
    accepted("jti", json!("x".repeat(255))).await;
}

#[tokio::test]
async fn an_id_token_or_any_other_kind_is_refused_and_a_plain_one_is_not() {
    let op = Hostile::start().await;
    assert!(refusal(&op, &op.id_token(|_| {})).await.is_some());
    let dressed_up = op.id_token(|claims| claims["events"] = json!({ EVENT: {} }));
    assert!(refusal(&op, &dressed_up).await.is_some(), "{NONCE} is there");
    let typed = |typ: &str| {
        op.key.token(&json!({ "alg": "ES256", "kid": "k1", "typ": typ }).to_string(), &claims(&op).to_string())
    };
    for typ in ["at+jwt", "secevent+jwt", "dpop+jwt", "logout+jwt2", "", "application/", "application/at+jwt"] {
        assert!(refusal(&op, &typed(typ)).await.is_some(), "{typ}");
    }
    for typ in ["JWT", "jwt", "logout+jwt", "LOGOUT+JWT", "application/logout+jwt"] {
        assert_eq!(refusal(&op, &typed(typ)).await, None, "{typ}");
    }
    let untyped = op.key.token(r#"{"alg":"ES256","kid":"k1"}"#, &claims(&op).to_string());
    assert_eq!(refusal(&op, &untyped).await, None);
}

#[tokio::test]
async fn a_token_that_is_not_truly_signed_is_refused() {
    let op = Hostile::start().await;
    let good = op.key.token(HEADER, &claims(&op).to_string());
    let (signed, _) = good.rsplit_once('.').unwrap();
    let unsigned = |alg: &str| {
        let header = json!({ "alg": alg, "kid": "k1", "typ": "logout+jwt" }).to_string();
        format!("{}.{}.", b64(header), b64(claims(&op).to_string()))
    };
    let mallory = Key::p256();
    let own_key = json!({ "alg": "ES256", "kid": "k1", "jwk": mallory.jwk(), "jku": op.issuer() }).to_string();
    for token in [
        String::new(),
        "a.b.c".to_owned(),
        unsigned("none"),
        format!("{}AAAA", unsigned("nOnE")),
        format!("{}AAAA", unsigned("HS256")),
        format!("{signed}.{}", b64([0; 64])),
        format!("{signed}."),
        signed.to_owned(),
        format!("{good}.AAAA"),
        mallory.token(HEADER, &claims(&op).to_string()),
        mallory.token(&own_key, &claims(&op).to_string()),
        op.key.token(r#"{"alg":"ES256","kid":"k1","crit":["exp"]}"#, &claims(&op).to_string()),
    ] {
        assert!(refusal(&op, &token).await.is_some(), "{token}");
    }
    let narrow = op.client_with(|config| oidc_of(config).id_token_algs = vec!["RS256".to_owned()]);
    assert!(verify(&narrow, &good).await.is_err());
}

#[tokio::test]
async fn a_repeated_member_or_a_huge_token_is_refused() {
    let op = Hostile::start().await;
    for twice in [r#""aud":"app-one""#, r#""sub":"alice""#, r#""sid":"s-1""#, r#""events":{}"#] {
        let payload = claims(&op).to_string().replacen('{', &format!("{{{twice},"), 1);
        assert!(refusal(&op, &op.key.token(HEADER, &payload)).await.is_some(), "{twice}");
    }
    let mut large = claims(&op);
    large["x"] = "x".repeat(16 * 1024).into();
    assert!(refusal(&op, &op.key.token(HEADER, &large.to_string())).await.unwrap().contains("large"));
}

#[tokio::test]
async fn nothing_is_believed_while_the_keys_cannot_be_had() {
    let op = Hostile::start().await;
    op.set("/jwks", Reply::raw(500, ""));
    let token = op.key.token(HEADER, &claims(&op).to_string());
    assert!(matches!(verify(&op.client(), &token).await, Err(LogoutTokenError::Unavailable(_))));
}

#[tokio::test]
async fn a_flood_with_unknown_keys_fetches_once_and_keeps_no_login_from_finding_a_new_key() {
    let op = Hostile::start().await;
    let client = op.client();
    redeem(&client).await.unwrap();
    for number in 0..200 {
        let header = json!({ "alg": "ES256", "kid": format!("unknown-{number}") }).to_string();
        assert!(verify(&client, &op.key.token(&header, &claims(&op).to_string())).await.is_err());
    }
    assert_eq!(op.count("/jwks"), 2);
    let next = Key::p256();
    op.publish(&[("k2", &next)]);
    let header = r#"{"alg":"ES256","kid":"k2"}"#;
    op.give(&next.token(header, &op.claims().to_string()));
    redeem(&client).await.unwrap();
    assert_eq!(op.count("/jwks"), 3);
    verify(&client, &next.token(header, &claims(&op).to_string())).await.unwrap();
    op.clock.advance(Duration::from_secs(10));
    assert!(verify(&client, &op.key.token(HEADER, &claims(&op).to_string())).await.is_err());
    assert_eq!(op.count("/jwks"), 4);
}
