//! `oidcc-client-basic-certification-test-plan`, and what else the suite has for the code flow.

use serde_json::{Value, json};

use super::Run;
use super::suite::{member, published};
use crate::provider_client::signing::{Key, b64};

/// A run whose ID token says `value` under `name`, or nothing where it is null.
fn claiming(name: &'static str, value: Value) -> Run {
    Run::of(|state| state.claims = member(name, value))
}

/// A run that signs with `key` under `alg`, and then damages the signature.
fn damaging(key: Key, alg: &str) -> Run {
    let run = Run::of(|state| {
        state.mangle = std::sync::Arc::new(|token: String| {
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let other = if signature.starts_with('A') { 'B' } else { 'A' };
            format!("{signed}.{other}{}", &signature[1..])
        });
    });
    run.suite.sign_with(key, alg);
    run
}

/// `oidcc-client-test`: the happy path.
#[test]
fn oidcc_client_test() {
    let run = Run::of(|_| {});
    let mut browser = run.passes();
    assert_eq!(browser.session(&run.world.one())["user"]["sub"], "alice");
    assert_eq!(run.suite.asked("/token").len(), 1);
}

/// `oidcc-client-test-client-secret-basic`: the client authenticates by HTTP Basic, and by nothing else beside.
#[test]
fn oidcc_client_test_client_secret_basic() {
    let run = Run::of(|_| {});
    run.passes();
    let request = &run.suite.asked("/token")[0];
    assert!(request.one("authorization").starts_with("Basic "));
    let body = String::from_utf8(request.body.clone()).unwrap();
    assert!(!body.contains("client_secret") && !body.contains("client_assertion"), "the form proves nothing itself");
}

/// `oidcc-client-test-nonce-unless-code-flow`: the suite does not ask the code flow for a nonce; one is sent all the same.
#[test]
fn oidcc_client_test_nonce_unless_code_flow() {
    let run = Run::of(|_| {});
    run.passes();
    run.passes();
    let nonces: Vec<_> =
        run.suite.asked("/authorize").iter().map(|asked| super::suite::query(asked)["nonce"].clone()).collect();
    assert_eq!(nonces.len(), 2);
    assert_ne!(nonces[0], nonces[1]);
}

/// `oidcc-client-test-idtoken-sig-rs256`
#[test]
fn oidcc_client_test_idtoken_sig_rs256() {
    let run = Run::of(|_| {});
    run.suite.sign_with(Key::rsa(), "RS256");
    run.passes();
}

/// `oidcc-client-test-invalid-iss`
#[test]
fn oidcc_client_test_invalid_iss() {
    claiming("iss", json!("https://evil.example")).refuses("`iss` is another issuer");
}

/// `oidcc-client-test-missing-sub`
#[test]
fn oidcc_client_test_missing_sub() {
    claiming("sub", Value::Null).refuses("`sub` is missing");
}

/// `oidcc-client-test-invalid-aud`
#[test]
fn oidcc_client_test_invalid_aud() {
    claiming("aud", json!("another-client")).refuses("`aud` is missing, not this client");
}

/// `oidcc-client-test-missing-aud`
#[test]
fn oidcc_client_test_missing_aud() {
    claiming("aud", Value::Null).refuses("`aud` is missing");
}

/// `oidcc-client-test-missing-iat`
#[test]
fn oidcc_client_test_missing_iat() {
    claiming("iat", Value::Null).refuses("`iat` is missing");
}

/// `oidcc-client-test-nonce-invalid`
#[test]
fn oidcc_client_test_nonce_invalid() {
    claiming("nonce", json!("of-another-attempt")).refuses("`nonce` is missing or another attempt's");
    claiming("nonce", Value::Null).refuses("`nonce` is missing or another attempt's");
}

/// `oidcc-client-test-kid-absent-single-jwks`: a token without `kid` is checked with the only key.
#[test]
fn oidcc_client_test_kid_absent_single_jwks() {
    Run::of(|state| state.header = json!({ "alg": "ES256" })).passes();
}

/// `oidcc-client-test-kid-absent-multiple-jwks`: and with each key that fits, where there are several.
#[test]
fn oidcc_client_test_kid_absent_multiple_jwks() {
    let run = Run::of(|state| {
        state.header = json!({ "alg": "ES256" });
        state.jwks.insert(0, published(&Key::p256(), "k0"));
        state.jwks.push(published(&Key::p384(), "k2"));
    });
    run.passes();
}

/// `oidcc-client-test-idtoken-sig-none`: the suite lets a client skip it in the code flow; this one does not.
#[test]
fn oidcc_client_test_idtoken_sig_none() {
    for alg in ["none", "None", "nOnE", ""] {
        let run = Run::of(|state| {
            state.mangle = std::sync::Arc::new(move |token: String| {
                let payload = token.split('.').nth(1).unwrap();
                format!("{}.{payload}.", b64(json!({ "alg": alg }).to_string()))
            });
        });
        run.refuses("the ID token: it is not a signed token");
    }
    // Neither with somebody's bytes in the place of the signature.
    let run = Run::of(|state| {
        state.mangle = std::sync::Arc::new(|token: String| {
            let payload = token.split('.').nth(1).unwrap();
            format!("{}.{payload}.AAAA", b64(r#"{"alg":"none","kid":"k1"}"#))
        });
    });
    run.refuses("the ID token: its algorithm is not allowed");
}

/// `oidcc-client-test-invalid-sig-rs256`
#[test]
fn oidcc_client_test_invalid_sig_rs256() {
    damaging(Key::rsa(), "RS256").refuses("the ID token: its signature is wrong");
}

/// `oidcc-client-test-invalid-sig-es256`
#[test]
fn oidcc_client_test_invalid_sig_es256() {
    damaging(Key::p256(), "ES256").refuses("the ID token: its signature is wrong");
}

/// `oidcc-client-test-invalid-sig-hs256`: no MAC is believed, by whatever key; here it is the client's own secret, the one
/// that the standard has in mind.
#[test]
fn oidcc_client_test_invalid_sig_hs256() {
    let run = Run::of(|_| {});
    let secret = run.world.setup.sites[0].client_secret.clone();
    run.suite.state().mangle = std::sync::Arc::new(move |token: String| {
        let payload = token.split('.').nth(1).unwrap();
        let message = format!("{}.{payload}", b64(r#"{"alg":"HS256"}"#));
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
        format!("{message}.{}", b64(aws_lc_rs::hmac::sign(&key, message.as_bytes())))
    });
    run.refuses("the ID token: its algorithm is not allowed");
}

/// `oidcc-client-test-invalid-athash`: belongs to the flows with tokens in the front channel; a wrong one is refused here too.
#[test]
fn oidcc_client_test_invalid_athash() {
    claiming("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")).refuses("`at_hash` is another access token's");
}

/// `oidcc-client-test-missing-athash`: optional in the code flow (OpenID Connect Core §3.1.3.6).
#[test]
fn oidcc_client_test_missing_athash() {
    claiming("at_hash", Value::Null).passes();
}
