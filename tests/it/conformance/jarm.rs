//! The JARM modules of `fapi2-message-signing-final-client-test-plan`: each spoils the signed response, and no code of such
//! a response is ever redeemed.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Run;
use super::suite::{member, now};
use crate::provider_client::signing::{Key, b64};

const MODES: [&str; 3] = ["jwt", "query.jwt", "form_post.jwt"];

#[track_caller]
fn refuses(spoil: impl Fn(&mut super::suite::State), reason: &str) {
    for mode in MODES {
        let run = Run::with(&[&format!("response_mode = \"{mode}\"")], &spoil);
        run.refuses(&format!("the signed response: {reason}"));
        assert!(run.suite.asked("/token").is_empty(), "{mode}: the code was redeemed");
    }
}

/// `fapi2-…-happy-path` with signed responses, by a key of each kind.
#[test]
fn fapi2_security_profile_final_client_test_happy_path_with_jarm() {
    for mode in MODES {
        let run = Run::with(&[&format!("response_mode = \"{mode}\"")], |_| {});
        run.passes();
        run.suite.sign_with(Key::ed25519(), "EdDSA");
        let mut state = run.suite.state();
        state.header["kid"] = "k2".into();
        state.jwks[0]["kid"] = "k2".into();
        drop(state);
        run.passes();
    }
}

/// `…-ensure-jarm-without-iss-fails`
#[test]
fn fapi2_security_profile_final_client_test_ensure_jarm_without_iss_fails() {
    refuses(|state| state.response = member("iss", Value::Null), "`iss` is missing or another issuer");
}

/// `…-ensure-jarm-with-invalid-iss-fails`
#[test]
fn fapi2_security_profile_final_client_test_ensure_jarm_with_invalid_iss_fails() {
    refuses(
        |state| state.response = member("iss", json!("https://evil.example")),
        "`iss` is missing or another issuer",
    );
}

/// `…-ensure-jarm-without-aud-fails`
#[test]
fn fapi2_security_profile_final_client_test_ensure_jarm_without_aud_fails() {
    refuses(|state| state.response = member("aud", Value::Null), "`aud` is missing");
}

/// `…-ensure-jarm-with-invalid-aud-fails`
#[test]
fn fapi2_security_profile_final_client_test_ensure_jarm_with_invalid_aud_fails() {
    refuses(|state| state.response = member("aud", json!("another-client")), "`aud` is missing, not this client");
}

/// `…-ensure-jarm-without-exp-fails`
#[test]
fn fapi2_security_profile_final_client_test_ensure_jarm_without_exp_fails() {
    refuses(|state| state.response = member("exp", Value::Null), "`exp` is missing");
}

/// `…-ensure-jarm-with-expired-exp-fails`
#[test]
fn fapi2_security_profile_final_client_test_ensure_jarm_with_expired_exp_fails() {
    refuses(|state| state.response = member("exp", json!(now() - 300)), "it has expired");
}

/// `…-ensure-jarm-with-invalid-sig-fails`
#[test]
fn fapi2_security_profile_final_client_test_ensure_jarm_with_invalid_sig_fails() {
    let damage = |token: String| {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let other = if signature.starts_with('A') { 'B' } else { 'A' };
        format!("{signed}.{other}{}", &signature[1..])
    };
    refuses(|state| state.mangle_response = Arc::new(damage), "its signature is wrong");
}

/// `…-ensure-jarm-signature-is-not-none`
#[test]
fn fapi2_security_profile_final_client_test_ensure_jarm_signature_is_not_none() {
    let with_header = |header: &'static str, signature: &'static str| {
        move |token: String| format!("{}.{}.{signature}", b64(header), token.split('.').nth(1).unwrap())
    };
    refuses(|state| state.mangle_response = Arc::new(with_header(r#"{"alg":"none"}"#, "")), "it is not a signed token");
    refuses(
        |state| state.mangle_response = Arc::new(with_header(r#"{"alg":"none"}"#, "AAAA")),
        "its algorithm is not allowed",
    );
}

/// Not the suite's: a token of another kind, signed by the same keys for the same client, is no response.
#[test]
fn another_kind_of_token_is_no_signed_response() {
    refuses(|state| state.response = member("nonce", json!("n")), "it has a `nonce`");
    refuses(
        |state| state.header = json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt" }),
        "it is a token of another kind",
    );
    refuses(
        |state| state.response = super::suite::change(|claims| claims["error"] = "access_denied".into()),
        "the answer has both a code and an error",
    );
}
