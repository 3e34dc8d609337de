//! The UserInfo endpoint: what of its answer is believed, and that a login without a good one is refused.

use cloakroom::provider::{Grant, RedeemError};
use serde_json::{Value, json};

use super::hostile::{Hostile, Manner, NOW, Reply, client_of, oidc_of, redeem};
use super::signing::{Key, b64};

/// A provider with a UserInfo endpoint that answers `reply`.
async fn answering(reply: Reply) -> Hostile {
    let op = Hostile::start().await;
    let endpoint = format!("{}/userinfo", op.issuer());
    op.metadata(|metadata| metadata["userinfo_endpoint"] = endpoint.into());
    op.set("/userinfo", reply);
    op
}

async fn login(op: &Hostile) -> Result<Grant, RedeemError> {
    redeem(&op.client_with(|config| {
        oidc_of(config).userinfo = true;
        config.timeout = std::time::Duration::from_secs(1);
    }))
    .await
}

fn jwt(token: String) -> Reply {
    let reply = Reply::raw(200, token);
    Reply { headers: "Content-Type: application/JWT; charset=utf-8\r\n".into(), ..reply }
}

#[tokio::test]
async fn what_it_says_joins_the_claims_and_what_the_id_token_says_of_itself_stays() {
    let said = json!({
        "sub": "alice", "email": "new@example.com", "groups": ["a"], "iss": "https://evil.example", "sid": "s-9",
        "exp": 1, "acr": "high", "nonce": "x",
    });
    let op = answering(Reply::json(200, &said)).await;
    let grant = login(&op).await.unwrap();
    let claims = grant.user.claims();
    assert_eq!((&claims["email"], &claims["groups"]), (&json!("new@example.com"), &json!(["a"])));
    assert_eq!((&claims["iss"], &claims["sid"]), (&json!(op.issuer()), &json!("s-1")));
    assert_eq!((&claims["exp"], claims.get("acr")), (&json!(NOW + 300), None));
    assert_eq!((grant.user.subject(), grant.user.sid()), ("alice", Some("s-1")));
    let request = op.requests("/userinfo").remove(0);
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/userinfo"));
    assert_eq!(request.header("authorization"), Some("Bearer at-1"));
}

#[tokio::test]
async fn it_is_not_asked_unless_configured_nor_before_the_id_token_is_believed() {
    let op = answering(Reply::json(200, &json!({ "sub": "alice" }))).await;
    op.login().await.unwrap();
    op.give(&op.id_token(|claims| claims["nonce"] = "another".into()));
    assert!(matches!(login(&op).await, Err(RedeemError::Invalid(_))));
    assert_eq!(op.count("/userinfo"), 0);
    op.metadata(|_| {});
    let error = login(&op).await.unwrap_err().to_string();
    assert!(error.contains("`userinfo_endpoint` is missing"), "{error}");
    assert_eq!(op.count("/token"), 2, "no code is spent on what cannot be completed");
}

#[tokio::test]
async fn a_login_without_a_good_answer_is_refused_with_its_reason_and_its_tokens_are_given_back() {
    let op = answering(Reply::raw(200, "")).await;
    op.set("/revoke", Reply::raw(200, ""));
    for (reply, reason) in [
        (Reply::json(200, &json!({ "sub": "mallory" })), "`sub` is missing or another user"),
        (Reply::json(200, &json!({ "email": "a@example.com" })), "`sub` is missing or another user"),
        (Reply::json(200, &json!({ "sub": ["alice"] })), "`sub` is missing or another user"),
        (Reply::raw(200, r#"{"sub":"mallory","sub":"alice"}"#), "repeats a member"),
        (Reply::raw(200, "<html>"), "not a JSON object"),
        (Reply::json(200, &json!({ "sub": "alice", "x": "y".repeat(300 << 10) })), "too large"),
        (Reply::json(401, &json!({ "error": "invalid_token" })), "it answered 401"),
        (Reply::raw(302, ""), "it answered 302"),
        (Reply::raw(500, ""), "it answered 500"),
        (Reply::raw(200, "").with(Manner::HangUp), "connection"),
        (Reply::raw(200, "").with(Manner::Never), "time limit"),
    ] {
        op.set("/userinfo", reply);
        let before = op.count("/revoke");
        let error = login(&op).await.unwrap_err();
        assert!(matches!(&error, RedeemError::Unidentified(why) if why.contains(reason)), "{reason}: {error}");
        for _ in 0..200 {
            if op.count("/revoke") > before {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(op.count("/revoke"), before + 1, "{reason}");
    }
}

#[tokio::test]
async fn a_signed_answer_is_believed_by_its_signature_issuer_and_audience() {
    let op = answering(Reply::raw(200, "")).await;
    let claims = |change: &dyn Fn(&mut Value)| {
        let mut claims = json!({ "iss": op.issuer(), "aud": "app-one", "sub": "alice", "name": "Alice" });
        change(&mut claims);
        claims.to_string()
    };
    let header = r#"{"alg":"ES256","kid":"k1"}"#;
    op.set("/userinfo", jwt(op.key.token(header, &claims(&|_| {}))));
    assert_eq!(login(&op).await.unwrap().user.claims()["name"], "Alice");
    let fractions = |claims: &mut Value| {
        (claims["iat"], claims["nbf"]) = (json!(NOW as f64 - 0.421_875), json!(NOW as f64 + 29.5));
        claims["exp"] = json!(NOW as f64 - 29.5);
    };
    op.set("/userinfo", jwt(op.key.token(header, &claims(&fractions))));
    assert_eq!(login(&op).await.unwrap().user.claims()["name"], "Alice");
    let other = Key::p256();
    let unsigned = format!("{}.{}.", b64(r#"{"alg":"none"}"#), b64(claims(&|_| {})));
    for (token, reason) in [
        (unsigned, "not a signed token"),
        (format!("{}.{}.x", b64(r#"{"alg":"none"}"#), b64(claims(&|_| {}))), "algorithm is not allowed"),
        (other.token(header, &claims(&|_| {})), "signature is wrong"),
        (other.token(r#"{"alg":"ES256","kid":"k9"}"#, &claims(&|_| {})), "none of the provider's keys"),
        (op.key.token(r#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#, &claims(&|_| {})), "of another kind"),
        (op.key.token(header, &claims(&|claims| claims["iss"] = "https://evil.example".into())), "`iss`"),
        (op.key.token(header, &claims(&|claims| drop(claims.as_object_mut().unwrap().remove("iss")))), "`iss`"),
        (op.key.token(header, &claims(&|claims| claims["aud"] = "app-two".into())), "`aud`"),
        (op.key.token(header, &claims(&|claims| claims["exp"] = (NOW - 60).into())), "expired"),
        (op.key.token(header, &claims(&|claims| claims["sub"] = "mallory".into())), "another user"),
        ("a.b.c.d.e".to_owned(), "not a signed token"),
    ] {
        op.set("/userinfo", jwt(token));
        let error = login(&op).await.unwrap_err();
        assert!(matches!(&error, RedeemError::Unidentified(why) if why.contains(reason)), "{reason}: {error}");
    }
}

#[tokio::test]
async fn a_claim_of_the_session_can_come_from_nowhere_else() {
    let op = answering(Reply::json(200, &json!({ "sub": "alice", "events": {}, "at_hash": "x" }))).await;
    let client = op.client_with(|config| {
        oidc_of(config).userinfo = true;
        client_of(config).scopes.push("email".into());
    });
    let grant = redeem(&client).await.unwrap();
    assert!(grant.user.claims().get("events").is_none() && grant.user.claims().get("at_hash").is_none());
}
