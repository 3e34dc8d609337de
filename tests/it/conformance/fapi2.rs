//! `fapi2-security-profile-final-client-test-plan`, with `private_key_jwt`, pushed requests and DPoP: each module about an ID token
//! or an answer is the basic plan's, for a client of that kind.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Run;
use super::demands::{Demands, proof};
use super::suite::{State, change, member, now};
use crate::provider_client::signing::{Key, b64};
use crate::support::{Browser, Recorded, Reply, private_key};

/// A run with a client of the profile.
fn of(spoil: impl FnOnce(&mut State)) -> Run {
    let (private, public) = private_key(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let key = format!("signing_key = '''\n{private}'''");
    let lines = [&*key, "par = \"required\"", "dpop = true", "id_token_algs = [\"ES256\", \"PS256\"]"];
    let prepare = |setup: &mut crate::support::Setup| setup.sites[0].client_auth = "private_key_jwt".into();
    let mut run = Run::prepared(&lines, prepare, |state| {
        state.demands = Some(Demands::of(&public));
        spoil(state);
    });
    run.scheme = "DPoP";
    run
}

/// A run whose ID token says `value` under `name`, or nothing where it is null.
fn claiming(name: &'static str, value: Value) -> Run {
    of(|state| state.claims = member(name, value))
}

/// Lets the API judge every proof, and want this nonce in it if it is any; `challenge` says so where it lacks.
fn judging(run: &Run, nonce: Option<&'static str>, challenge: &'static str) {
    let url = run.world.upstream.url();
    run.world.upstream.answers(move |request: &Recorded| {
        let token = request.one("authorization").strip_prefix("DPoP ").unwrap_or_default().to_owned();
        let path = request.target.split('?').next().unwrap_or_default();
        let hash = b64(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes()));
        match proof(request, &format!("{url}{path}")) {
            Ok(claims) if claims["ath"] != hash => Reply::with("400 Bad Request", "", "another token's"),
            Ok(claims) if nonce.is_some_and(|nonce| claims["nonce"] != nonce) => {
                let headers = format!("dpop-nonce: {}\r\nwww-authenticate: {challenge}\r\n", nonce.unwrap_or_default());
                Reply::with("401 Unauthorized", &headers, "")
            }
            Ok(_) => Reply::json("{}"),
            Err(wrong) => Reply::with("400 Bad Request", "", &wrong),
        }
    });
}

/// `…-happy-path`: provider and API want nonces of their own.
#[test]
fn fapi2_security_profile_final_client_test_happy_path() {
    let run = of(|state| state.demands.as_mut().unwrap().nonce = Some("as-1"));
    judging(&run, Some("rs-1"), "DPoP error=\"use_dpop_nonce\"");
    run.passes();
    assert_eq!(run.suite.asked("/token").len(), 2, "asked, and asked once more with the nonce");
    assert_eq!(run.world.upstream.count(), 2);
}

/// `…-happy-path-no-dpop-nonce`
#[test]
fn fapi2_security_profile_final_client_test_happy_path_no_dpop_nonce() {
    let run = of(|_| {});
    judging(&run, None, "");
    run.passes();
    assert_eq!((run.suite.asked("/token").len(), run.world.upstream.count()), (1, 1));
}

/// `…-rs-dpop-auth-scheme-case-insensitivity`: the API's challenge is read whatever the case of its scheme.
#[test]
fn fapi2_security_profile_final_client_test_rs_dpop_auth_scheme_case_insensitivity() {
    let run = of(|_| {});
    judging(&run, Some("rs-1"), "dPOp error=\"use_dpop_nonce\"");
    run.passes();
    assert_eq!(run.world.upstream.count(), 2);
}

/// `…-discovery-issuer-mismatch`
#[test]
fn fapi2_security_profile_final_client_test_discovery_issuer_mismatch() {
    let run = of(|state| state.metadata = member("issuer", json!("https://evil.example")));
    let mut browser = Browser::new();
    let page = browser.open(&format!("{}/bff/login", run.world.one()));
    assert_eq!((page.response.status, page.response.reason()), (503, "provider_unavailable"));
    assert!(run.suite.asked("/par").is_empty());
    run.nothing_came_of_it(&mut browser, "`issuer` is not the configured issuer");
}

/// `…-invalid-iss`
#[test]
fn fapi2_security_profile_final_client_test_invalid_iss() {
    claiming("iss", json!("https://evil.example")).refuses("`iss` is another issuer");
}

/// `…-invalid-missing-iss`
#[test]
fn fapi2_security_profile_final_client_test_invalid_missing_iss() {
    claiming("iss", Value::Null).refuses("`iss` is another issuer");
}

/// `…-invalid-aud`
#[test]
fn fapi2_security_profile_final_client_test_invalid_aud() {
    claiming("aud", json!("another-client")).refuses("`aud` is missing, not this client");
}

/// `…-invalid-missing-aud`
#[test]
fn fapi2_security_profile_final_client_test_invalid_missing_aud() {
    claiming("aud", Value::Null).refuses("`aud` is missing");
}

/// A run whose ID token is for this client and for `further`.
fn for_these(further: &'static [&'static str]) -> Run {
    of(|state| {
        state.claims = change(move |claims| {
            let own = claims["aud"].clone();
            claims["aud"] = std::iter::once(own).chain(further.iter().map(|aud| json!(aud))).collect();
        });
    })
}

/// `…-invalid-secondary-aud`: an audience beside this client is one too many.
#[test]
fn fapi2_security_profile_final_client_test_invalid_secondary_aud() {
    for_these(&["https://elsewhere.example"]).refuses("not this client alone");
}

/// `…-valid-aud-as-array`
#[test]
fn fapi2_security_profile_final_client_test_valid_aud_as_array() {
    for_these(&[]).passes();
}

/// `…-invalid-null-alg`
#[test]
fn fapi2_security_profile_final_client_test_invalid_null_alg() {
    let run = of(|state| {
        state.mangle = Arc::new(|token: String| {
            let payload = token.split('.').nth(1).unwrap();
            format!("{}.{payload}.", b64(r#"{"alg":"none"}"#))
        });
    });
    run.refuses("the ID token: it is not a signed token");
}

/// `…-invalid-alternate-alg`: a good signature of the provider's own key, by an algorithm that this client does not take.
#[test]
fn fapi2_security_profile_final_client_test_invalid_alternate_alg() {
    let run = of(|_| {});
    run.suite.sign_with(Key::rsa(), "RS256");
    run.refuses("the ID token: its algorithm is not allowed");
    let run = of(|_| {});
    run.suite.sign_with(Key::rsa(), "PS256");
    run.passes();
}

/// `…-invalid-expired-exp`
#[test]
fn fapi2_security_profile_final_client_test_invalid_expired_exp() {
    claiming("exp", json!(now() - 300)).refuses("it has expired");
}

/// `…-invalid-missing-exp`
#[test]
fn fapi2_security_profile_final_client_test_invalid_missing_exp() {
    claiming("exp", Value::Null).refuses("`exp` is missing");
}

/// `…-invalid-nonce`
#[test]
fn fapi2_security_profile_final_client_test_invalid_nonce() {
    claiming("nonce", json!("of-another-attempt")).refuses("`nonce` is missing or another attempt's");
}

/// `…-invalid-missing-nonce`
#[test]
fn fapi2_security_profile_final_client_test_invalid_missing_nonce() {
    claiming("nonce", Value::Null).refuses("`nonce` is missing or another attempt's");
}

/// A response with another `iss`, or none, is refused before its code goes anywhere.
#[track_caller]
fn naming(iss: Value, reason: &str) {
    let run = of(|state| state.response = member("iss", iss));
    run.refuses(reason);
    assert!(run.suite.asked("/token").is_empty());
}

/// `…-invalid-authorization-response-iss` (RFC 9207)
#[test]
fn fapi2_security_profile_final_client_test_invalid_authorization_response_iss() {
    naming(json!("https://evil.example"), "the response is another issuer's");
}

/// `…-remove-authorization-response-iss`: where the metadata promise it, every response names its issuer.
#[test]
fn fapi2_security_profile_final_client_test_remove_authorization_response_iss() {
    naming(Value::Null, "the response does not name its issuer");
}

/// A state of nobody's may be a lost cookie, so that the login starts once more; after that it is over.
#[track_caller]
fn bringing(state: Value) {
    let run = of(|spoilt| spoilt.response = member("state", state));
    let mut browser = Browser::new();
    let page = run.log_in(&mut browser);
    assert_eq!((page.response.status, page.response.reason()), (400, "bad_request"), "{:#?}", page.trail);
    assert!(!browser.is_signed_in(&run.world.one()));
    assert!(run.suite.asked("/authorize").len() <= 2);
    assert!(run.suite.asked("/token").is_empty(), "no code is redeemed for it");
    assert!(run.world.upstream.requests().is_empty());
}

/// `…-ensure-authorization-response-with-invalid-state-fails`
#[test]
fn fapi2_security_profile_final_client_test_ensure_authorization_response_with_invalid_state_fails() {
    bringing(json!("of-somebody-else"));
}

/// `…-ensure-authorization-response-with-invalid-missing-state-fails`
#[test]
fn fapi2_security_profile_final_client_test_ensure_authorization_response_with_invalid_missing_state_fails() {
    bringing(Value::Null);
}

/// `…-token-endpoint-response-without-expires_in`
#[test]
fn fapi2_security_profile_final_client_test_token_endpoint_response_without_expires_in() {
    of(|state| state.answer = member("expires_in", Value::Null)).passes();
}

/// `…-token-type-case-insensitivity`
#[test]
fn fapi2_security_profile_final_client_test_token_type_case_insensitivity() {
    of(|state| state.answer = member("token_type", json!("dPoP"))).passes();
}

/// `fapi2-security-profile-final-client-refresh-token-test`: by the same proofs, and the new token is the one that is used.
#[test]
fn fapi2_security_profile_final_client_refresh_token_test() {
    let run = of(|state| state.answer = member("expires_in", json!(1)));
    judging(&run, None, "");
    let mut browser = Browser::new();
    run.log_in(&mut browser);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(browser.get(&run.world.one(), "/api/x").status, 200);
    let shown = run.world.upstream.last().one("authorization").to_owned();
    let tokens = run.suite.state().access_tokens.clone();
    assert!(tokens.len() >= 2 && tokens[1..].contains(&shown.strip_prefix("DPoP ").unwrap().to_owned()));
    let keys: Vec<_> = run.suite.asked("/token").iter().map(|asked| jkt(&run, asked)).collect();
    assert!(keys.iter().all(|key| *key == keys[0]), "a session has one key");
    let faults = run.suite.state().faults.clone();
    assert!(faults.is_empty(), "{faults:?}");
}

fn jkt(run: &Run, request: &Recorded) -> Value {
    proof(request, &format!("{}/token", run.suite.issuer())).unwrap()["jkt"].clone()
}
