//! What an ID token must not say.

use aws_lc_rs::{digest, hmac};
use cloakroom::config::TrustedAudiences;
use serde_json::{Value, json};

use super::hostile::{Hostile, NONCE, NOW, Reply, client_of, config, oidc_of, redeem};
use super::signing::{Key, b64};

/// Asserts that a login is refused when `value` stands for the claim `name`; `null` takes the claim away.
async fn refused(name: &str, value: Value) {
    let op = Hostile::start().await;
    let id_token = op.id_token(|claims| match value.clone() {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    });
    let reason = op.refusal(&id_token).await;
    assert!(reason.is_some(), "{name} = {value} was accepted");
}

async fn accepted(name: &str, value: Value) {
    let op = Hostile::start().await;
    let reason = op.refusal(&op.id_token(|claims| claims[name] = value.clone())).await;
    assert_eq!(reason, None, "{name} = {value}");
}

#[tokio::test]
async fn a_valid_token_proves_the_user() {
    let op = Hostile::start().await;
    let grant = op.login().await.unwrap();
    assert_eq!(grant.user.issuer(), op.issuer());
    assert_eq!(grant.user.subject(), "alice");
    assert_eq!(grant.user.sid(), Some("s-1"));
    assert_eq!(grant.user.claims()["email"], "alice@example.com");
}

#[tokio::test]
async fn another_issuer_is_refused() {
    let op = Hostile::start().await;
    for issuer in [json!("https://evil.example"), json!(format!("{}/", op.issuer())), json!([op.issuer()]), json!(null)]
    {
        refused("iss", issuer).await;
    }
}

#[tokio::test]
async fn an_audience_that_is_not_this_client_alone_is_refused() {
    for audience in [
        json!(null),
        json!("app-two"),
        json!("APP-ONE"),
        json!([]),
        json!(["app-two"]),
        json!(["app-one", "app-two"]),
        json!({ "app-one": 1 }),
    ] {
        refused("aud", audience).await;
    }
    accepted("aud", json!(["app-one"])).await;
}

#[tokio::test]
async fn a_trusted_audience_may_stand_beside_this_client_if_the_token_was_issued_to_it() {
    let op = Hostile::start().await;
    let these = |names: &[&str]| TrustedAudiences::These(names.iter().map(|name| (*name).to_owned()).collect());
    for (trusted, audience, azp, accepted) in [
        (these(&["project"]), json!(["app-one", "project"]), json!("app-one"), true),
        (these(&["project"]), json!(["app-one", "project"]), json!(null), false),
        (these(&["project"]), json!(["app-one", "project"]), json!("project"), false),
        (these(&["project"]), json!(["app-one", "other"]), json!("app-one"), false),
        (these(&["project"]), json!(["project"]), json!("app-one"), false),
        (these(&["project"]), json!("project"), json!("app-one"), false),
        (TrustedAudiences::Any, json!(["1", "app-one", "2"]), json!("app-one"), true),
        (TrustedAudiences::Any, json!(["1", "app-one"]), json!("1"), false),
        (TrustedAudiences::Any, json!(["1", "2"]), json!("app-one"), false),
        (TrustedAudiences::Any, json!(["1", 7, "app-one"]), json!("app-one"), false),
        (TrustedAudiences::Any, json!("1"), json!("app-one"), false),
        (TrustedAudiences::Any, json!("app-one"), json!(null), true),
    ] {
        op.give(&op.id_token(|claims| {
            claims["aud"] = audience.clone();
            if !azp.is_null() {
                claims["azp"] = azp.clone();
            }
        }));
        let client = op.client_with(|config| oidc_of(config).trusted_audiences = trusted.clone());
        assert_eq!(redeem(&client).await.is_ok(), accepted, "{trusted:?} {audience} {azp}");
    }
}

#[tokio::test]
async fn another_authorized_party_is_refused() {
    refused("azp", json!("app-two")).await;
    refused("azp", json!(["app-one"])).await;
    accepted("azp", json!("app-one")).await;
}

#[tokio::test]
async fn another_attempts_nonce_is_refused() {
    for nonce in [json!(null), json!(""), json!("other"), json!(NONCE.to_uppercase()), json!([NONCE]), json!(7)] {
        refused("nonce", nonce).await;
    }
}

#[tokio::test]
async fn an_expired_token_is_refused_beyond_the_tolerance() {
    for expires in
        [json!(null), json!(NOW - 30), json!(NOW - 3600), json!(0), json!(-1), json!((NOW + 300).to_string())]
    {
        refused("exp", expires).await;
    }
    accepted("exp", json!(NOW - 29)).await;
    accepted("exp", json!(NOW as f64 + 300.5)).await;
}

#[tokio::test]
async fn an_implausible_time_of_issue_is_refused() {
    for issued in [json!(null), json!(NOW + 120), json!(NOW - 2 * 3600), json!("now"), json!(1e300)] {
        refused("iat", issued).await;
    }
    accepted("iat", json!(NOW + 9)).await;
    accepted("iat", json!(NOW - 600)).await;
}

#[tokio::test]
async fn a_token_that_is_not_valid_yet_is_refused() {
    refused("nbf", json!(NOW + 120)).await;
    accepted("nbf", json!(NOW + 9)).await;
}

/// Laravel Passport writes microseconds (RFC 7519 §2: "non-integer values can be represented").
#[tokio::test]
async fn fractions_of_seconds_are_times_like_others() {
    for (name, good, bad) in [
        ("exp", NOW as f64 - 29.5, NOW as f64 - 30.5),
        ("iat", NOW as f64 + 29.5, NOW as f64 + 30.5),
        ("nbf", NOW as f64 + 29.5, NOW as f64 + 30.5),
    ] {
        accepted(name, json!(good)).await;
        refused(name, json!(bad)).await;
    }
}

#[tokio::test]
async fn a_malformed_subject_is_refused() {
    for subject in [json!(null), json!(""), json!(7), json!("ä"), json!("a\nb"), json!("x".repeat(256))] {
        refused("sub", subject).await;
    }
    accepted("sub", json!("x".repeat(255))).await;
}

#[tokio::test]
async fn the_hash_of_another_access_token_is_refused() {
    let half = |token: &str| b64(&digest::digest(&digest::SHA256, token.as_bytes()).as_ref()[..16]);
    refused("at_hash", json!(half("another"))).await;
    refused("at_hash", json!(7)).await;
    accepted("at_hash", json!(half("at-1"))).await;
}

#[tokio::test]
async fn a_logout_token_is_no_id_token() {
    refused("events", json!({ "http://schemas.openid.net/event/backchannel-logout": {} })).await;
}

#[tokio::test]
async fn a_login_that_is_older_than_asked_for_is_refused() {
    for (auth_time, works) in [(json!(NOW - 60), true), (json!(NOW - 3600), false), (json!(null), false)] {
        let op = Hostile::start().await;
        op.give(&op.id_token(|claims| match &auth_time {
            Value::Null => {}
            time => claims["auth_time"] = time.clone(),
        }));
        let client =
            op.client_with(|config| client_of(config).authorization_params.push(("max_age".into(), "300".into())));
        assert_eq!(super::hostile::redeem(&client).await.is_ok(), works, "{auth_time}");
    }
}

#[tokio::test]
async fn every_configured_asymmetric_algorithm_works() {
    for (alg, key) in [
        ("ES256", Key::p256()),
        ("ES384", Key::p384()),
        ("EdDSA", Key::ed25519()),
        ("RS256", Key::rsa()),
        ("PS256", Key::rsa()),
    ] {
        let op = Hostile::start().await;
        op.publish(&[("k2", &key)]);
        let token = key.token(&json!({ "alg": alg, "kid": "k2" }).to_string(), &op.claims().to_string());
        assert_eq!(op.refusal(&token).await, None, "{alg}");
    }
}

#[tokio::test]
async fn an_unsigned_token_is_refused_however_none_is_spelt() {
    let op = Hostile::start().await;
    for alg in ["none", "None", "nOnE", "NONE", "", "null"] {
        let header = json!({ "alg": alg, "kid": "k1" }).to_string();
        let unsigned = format!("{}.{}.", b64(header), b64(op.claims().to_string()));
        assert!(op.refusal(&unsigned).await.is_some(), "{alg}");
        assert!(op.refusal(&format!("{unsigned}AAAA")).await.is_some(), "{alg}");
    }
    for header in [r#"{"kid":"k1"}"#, r#"{"alg":null,"kid":"k1"}"#, r#"{"alg":["ES256"],"kid":"k1"}"#] {
        assert!(op.refusal(&op.key.token(header, &op.claims().to_string())).await.is_some(), "{header}");
    }
}

#[tokio::test]
async fn a_mac_with_the_public_key_is_refused() {
    let op = Hostile::start().await;
    let rsa = Key::rsa();
    op.publish(&[("k1", &rsa)]);
    let jwk = rsa.jwk();
    let modulus = jwk["n"].as_str().unwrap();
    for secret in [modulus.as_bytes().to_vec(), jwk.to_string().into_bytes(), b"s3cret".to_vec()] {
        let message = format!("{}.{}", b64(r#"{"alg":"HS256","kid":"k1"}"#), b64(op.claims().to_string()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
        assert!(op.refusal(&format!("{message}.{}", b64(tag))).await.is_some());
    }
}

#[tokio::test]
async fn symmetric_algorithms_cannot_even_be_configured() {
    let op = Hostile::start().await;
    for alg in ["HS256", "none"] {
        let mut config = config(op.issuer());
        oidc_of(&mut config).id_token_algs = vec![alg.to_owned()];
        let site = cloakroom::config::SiteConfig { providers: vec![config.clone()], ..super::hostile::site(&config) };
        assert!(cloakroom::provider::Provider::new(&site, &config, op.clock.clone()).is_err(), "{alg}");
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_configured_is_refused() {
    let op = Hostile::start().await;
    let client = op.client_with(|config| oidc_of(config).id_token_algs = vec!["RS256".to_owned()]);
    assert!(super::hostile::redeem(&client).await.is_err());
}

#[tokio::test]
async fn a_changed_payload_or_signature_is_refused() {
    let op = Hostile::start().await;
    let good = op.id_token(|_| {});
    let parts: Vec<&str> = good.split('.').collect();
    let mallory = b64(op.id_token(|claims| claims["sub"] = "mallory".into()).split('.').nth(1).unwrap());
    let other = op.id_token(|claims| claims["x"] = 1.into());
    for token in [
        format!("{}.{mallory}.{}", parts[0], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], other.rsplit('.').next().unwrap()),
        format!("{}.{}.{}", parts[0], parts[1], b64([0; 64])),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{good}.{}.AAAA", parts[1]),
        format!("{good}="),
        String::from("eyJhbGciOiJFUzI1NiJ9"),
    ] {
        assert!(op.refusal(&token).await.is_some(), "{token}");
    }
}

#[tokio::test]
async fn tokens_of_other_kinds_are_refused_by_their_type() {
    let op = Hostile::start().await;
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt"] {
        let header = json!({ "alg": "ES256", "kid": "k1", "typ": typ }).to_string();
        assert!(op.refusal(&op.key.token(&header, &op.claims().to_string())).await.is_some(), "{typ}");
    }
    let untyped = op.key.token(r#"{"alg":"ES256","kid":"k1"}"#, &op.claims().to_string());
    assert_eq!(op.refusal(&untyped).await, None);
}

#[tokio::test]
async fn a_header_that_demands_more_is_refused() {
    let op = Hostile::start().await;
    for extra in
        [json!({ "crit": ["exp"], "exp": 1 }), json!({ "b64": false }), json!({ "zip": "DEF" }), json!({ "kid": 1 })]
    {
        let mut header = json!({ "alg": "ES256", "kid": "k1" });
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        assert!(op.refusal(&op.key.token(&header.to_string(), &op.claims().to_string())).await.is_some(), "{header}");
    }
}

#[tokio::test]
async fn a_key_that_the_token_brings_along_is_never_used() {
    let op = Hostile::start().await;
    let mallory = Key::p256();
    op.set("/mallory", Reply::json(200, &json!({ "keys": [mallory.jwk()] })));
    let place = format!("{}/mallory", op.issuer());
    for header in [
        json!({ "alg": "ES256", "jwk": mallory.jwk() }),
        json!({ "alg": "ES256", "kid": "k1", "jwk": mallory.jwk() }),
        json!({ "alg": "ES256", "jku": place }),
        json!({ "alg": "ES256", "kid": place, "jku": place, "x5u": place }),
    ] {
        let token = mallory.token(&header.to_string(), &op.claims().to_string());
        assert!(op.refusal(&token).await.is_some(), "{header}");
    }
    assert_eq!(op.count("/mallory"), 0);
}

#[tokio::test]
async fn a_repeated_member_is_refused_in_header_and_payload() {
    let op = Hostile::start().await;
    let claims = op.claims().to_string();
    let header = r#"{"alg":"ES256","kid":"k1"}"#;
    for twice in [r#""iss":"https://evil.example""#, r#""aud":"app-one""#, r#""sub":"mallory""#, r#""exp":1"#] {
        let (first, last) =
            (claims.replacen('{', &format!("{{{twice},"), 1), claims.replacen('}', &format!(",{twice}}}"), 1));
        assert!(op.refusal(&op.key.token(header, &first)).await.is_some(), "{first}");
        assert!(op.refusal(&op.key.token(header, &last)).await.is_some(), "{last}");
    }
    let header = r#"{"alg":"ES256","kid":"k1","kid":"k1"}"#;
    assert!(op.refusal(&op.key.token(header, &claims)).await.is_some());
}

#[tokio::test]
async fn a_token_may_be_large_but_not_huge() {
    let op = Hostile::start().await;
    let with_groups = |size: usize| op.id_token(|claims| claims["groups"] = "g".repeat(size).into());
    assert_eq!(op.refusal(&with_groups(100_000)).await, None);
    assert!(op.refusal(&with_groups(300_000)).await.is_some());
}
