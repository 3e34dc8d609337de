//! The provider's keys: rotation, floods, and sets full of rubbish.

use std::time::Duration;

use cloakroom::provider::RedeemError;
use serde_json::json;

use super::hostile::{Hostile, Manner, Reply, redeem};
use super::signing::{Key, b64};

fn signed(key: &Key, kid: &str, op: &Hostile) -> String {
    key.token(&json!({ "alg": "ES256", "kid": kid }).to_string(), &op.claims().to_string())
}

#[tokio::test]
async fn keys_are_fetched_once_for_many_logins() {
    let op = Hostile::start().await;
    let client = op.client();
    for _ in 0..5 {
        redeem(&client).await.unwrap();
    }
    assert_eq!(op.count("/jwks"), 1);
}

#[tokio::test]
async fn a_key_rotated_just_before_signing_is_found() {
    let op = Hostile::start().await;
    let client = op.client();
    redeem(&client).await.unwrap();
    let next = Key::p256();
    op.publish(&[("k2", &next)]);
    op.give(&signed(&next, "k2", &op));
    redeem(&client).await.unwrap();
    assert_eq!(op.count("/jwks"), 2);
    // The withdrawn key is no longer believed.
    op.give(&op.id_token(|_| {}));
    assert!(redeem(&client).await.is_err());
}

#[tokio::test]
async fn unknown_keys_cause_one_fetch_in_each_cool_down() {
    let op = Hostile::start().await;
    let client = op.client();
    redeem(&client).await.unwrap();
    for number in 0..20 {
        op.give(&signed(&op.key, &format!("unknown-{number}"), &op));
        assert!(matches!(redeem(&client).await, Err(RedeemError::Invalid(_))));
    }
    assert_eq!(op.count("/jwks"), 2);
    op.clock.advance(Duration::from_secs(10));
    assert!(redeem(&client).await.is_err());
    assert_eq!(op.count("/jwks"), 3);
}

#[tokio::test]
async fn simultaneous_logins_with_a_new_key_share_one_fetch() {
    let op = Hostile::start().await;
    let client = op.client();
    redeem(&client).await.unwrap();
    let next = Key::p256();
    op.publish(&[("k2", &next)]);
    op.give(&signed(&next, "k2", &op));
    let outcomes = futures_util::future::join_all((0..20).map(|_| redeem(&client))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(op.count("/jwks"), 2);
}

#[tokio::test]
async fn a_known_kid_with_a_wrong_signature_causes_no_fetch() {
    let op = Hostile::start().await;
    let client = op.client();
    redeem(&client).await.unwrap();
    op.give(&signed(&Key::p256(), "k1", &op));
    assert!(redeem(&client).await.is_err());
    assert_eq!(op.count("/jwks"), 1);
}

#[tokio::test]
async fn a_token_without_kid_is_tried_with_every_fitting_key() {
    let op = Hostile::start().await;
    let token = op.key.token(r#"{"alg":"ES256"}"#, &op.claims().to_string());
    op.publish(&[("k1", &op.key)]);
    assert_eq!(op.refusal(&token).await, None);
    op.publish(&[("a", &Key::p384()), ("b", &Key::p256()), ("k1", &op.key)]);
    assert_eq!(op.refusal(&token).await, None);
    op.publish(&[("a", &Key::p384()), ("b", &Key::p256())]);
    assert!(op.refusal(&token).await.is_some());
}

#[tokio::test]
async fn equal_kids_are_told_apart_by_kind() {
    let op = Hostile::start().await;
    op.publish(&[("k1", &Key::p384()), ("k1", &Key::ed25519()), ("k1", &op.key)]);
    assert_eq!(op.refusal(&op.id_token(|_| {})).await, None);
}

#[tokio::test]
async fn rubbish_in_the_set_does_not_keep_the_good_key_from_working() {
    let op = Hostile::start().await;
    let mut good = op.key.jwk();
    good["kid"] = "k1".into();
    let weak = json!({ "kty": "RSA", "kid": "k1", "n": b64([0xff; 128]), "e": "AQAB" });
    let keys = json!({ "keys": [null, 7, "x", {}, { "kty": "AKP", "kid": "k1" }, weak, good] });
    op.set("/jwks", Reply::json(200, &keys));
    assert_eq!(op.refusal(&op.id_token(|_| {})).await, None);
}

#[tokio::test]
async fn a_key_for_encryption_or_another_algorithm_signs_nothing() {
    for (member, value) in
        [("use", json!("enc")), ("alg", json!("ES384")), ("key_ops", json!(["sign"])), ("crv", json!("P-384"))]
    {
        let op = Hostile::start().await;
        let mut jwk = op.key.jwk();
        jwk["kid"] = "k1".into();
        jwk[member] = value;
        op.set("/jwks", Reply::json(200, &json!({ "keys": [jwk] })));
        assert!(op.login().await.is_err(), "{member}");
    }
}

#[tokio::test]
async fn no_code_is_spent_while_the_keys_cannot_be_had() {
    for reply in [
        Reply::raw(500, ""),
        Reply::raw(200, "[]"),
        Reply::raw(200, r#"{"keys":7}"#),
        Reply::raw(200, vec![b'x'; 2 * 1024 * 1024]),
        Reply::raw(200, "").with(Manner::HangUp),
    ] {
        let op = Hostile::start().await;
        op.set("/jwks", reply);
        assert!(matches!(op.login().await, Err(RedeemError::Unavailable(_))));
        assert_eq!(op.count("/token"), 0);
    }
}
