//! `oidcc-client-back-channel-logout-rp-basic`: the suite sends its logout token after the relying party's own logout, when
//! there is nothing left to end; what is wrong with a token is seen all the same.

use serde_json::{Value, json};

use super::Run;
use super::suite::now;
use crate::provider_client::signing::b64;
use crate::support::{Response, fresh_key};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Logs in and out, and then sends a logout token that `spoil` made of a good one.
fn told(spoil: impl FnOnce(&mut Value)) -> (Run, Response) {
    told_by(spoil, |token| token)
}

fn told_by(spoil: impl FnOnce(&mut Value), mangle: impl FnOnce(String) -> String) -> (Run, Response) {
    let run = Run::of(|_| {});
    let mut browser = run.passes();
    browser.post(&run.world.one(), "/bff/logout");
    let mut claims = json!({
        "iss": run.suite.issuer(), "aud": run.world.client_id(), "sub": "alice", "sid": "s-1", "iat": now(),
        "exp": now() + 120, "jti": fresh_key(), "events": { EVENT: {} },
    });
    spoil(&mut claims);
    let token = mangle(run.suite.sign(&claims));
    let answer = tell(&run, &token);
    (run, answer)
}

fn tell(run: &Run, token: &str) -> Response {
    let request = run.world.request("POST", "/bff/backchannel-logout");
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    let answer = run.world.send(&request.body(format!("logout_token={token}")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer
}

#[track_caller]
fn refused((run, answer): (Run, Response), reason: &str) {
    assert_eq!((answer.status, answer.reason()), (400, "bad_request"), "{}", answer.text());
    run.says(reason);
}

/// `oidcc-client-test-rp-backchannel-rpinitlogout`
#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout() {
    let (_, answer) = told(|_| {});
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    // And it ends what is there to end.
    let run = Run::of(|_| {});
    let mut browser = run.passes();
    let claims = json!({
        "iss": run.suite.issuer(), "aud": run.world.client_id(), "sid": "s-1", "iat": now(), "exp": now() + 120,
        "jti": fresh_key(), "events": { EVENT: {} },
    });
    assert_eq!(tell(&run, &run.suite.sign(&claims)).status, 200);
    browser.get(&run.world.one(), "/api/x").refuses(401, "revoked");
}

/// `oidcc-client-test-rp-backchannel-rpinitlogout-alg-none`
#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_alg_none() {
    let unsigned = |token: String| format!("{}.{}.", b64(r#"{"alg":"none"}"#), token.split('.').nth(1).unwrap());
    refused(told_by(|_| {}, unsigned), "it is not a signed token");
}

/// `oidcc-client-test-rp-backchannel-rpinitlogout-no-event`
#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_no_event() {
    refused(told(|claims| drop(claims.as_object_mut().unwrap().remove("events"))), "`events` does not say");
}

/// `oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce`
#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_with_nonce() {
    refused(told(|claims| claims["nonce"] = "n".into()), "it has a `nonce`");
}

/// `oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg`: a MAC with the client's secret.
#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_wrong_alg() {
    let mac = |token: String| {
        let message = format!("{}.{}", b64(r#"{"alg":"HS256"}"#), token.split('.').nth(1).unwrap());
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"the client's secret");
        format!("{message}.{}", b64(aws_lc_rs::hmac::sign(&key, message.as_bytes())))
    };
    refused(told_by(|_| {}, mac), "its algorithm is not allowed");
}

/// `oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud`
#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_wrong_aud() {
    refused(told(|claims| claims["aud"] = "another-client".into()), "for another client");
}

/// `oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event`
#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_wrong_event() {
    refused(told(|claims| claims["events"] = json!({ "urn:another:event": {} })), "`events` does not say");
}

/// `oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss`
#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_wrong_iss() {
    refused(told(|claims| claims["iss"] = "https://evil.example".into()), "it is from no provider of this site");
}
