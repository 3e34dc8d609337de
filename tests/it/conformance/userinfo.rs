//! The modules about the UserInfo endpoint, with `userinfo = true`.

use serde_json::{Value, json};

use super::Run;
use crate::support::Reply;

const ASKS: &[&str] = &["userinfo = true"];

/// A run whose UserInfo endpoint answers what `reply` makes of the run.
fn answering(reply: impl FnOnce(&Run) -> Reply) -> Run {
    let mut run = Run::with(ASKS, |_| {});
    run.believed = true;
    let reply = reply(&run);
    run.suite.state().instead.insert("/userinfo".to_owned(), reply);
    run
}

/// A signed answer for `aud`.
fn signed(run: &Run, aud: &str) -> Reply {
    let claims = json!({ "iss": run.suite.issuer(), "aud": aud, "sub": "alice", "email": "signed@example.test" });
    Reply::with("200 OK", "content-type: application/jwt\r\n", &run.suite.sign(&claims))
}

fn email(run: &Run) -> Value {
    run.passes().session(&run.world.one())["user"]["email"].clone()
}

/// `oidcc-client-test-scope-userinfo-claims`: what the scopes ask for comes from the UserInfo endpoint.
#[test]
fn oidcc_client_test_scope_userinfo_claims() {
    let run = Run::with(ASKS, |_| {});
    assert_eq!(email(&run), "alice@example.test");
    let asked = super::suite::query(&run.suite.asked("/authorize")[0]);
    assert!(asked["scope"].split(' ').any(|scope| scope == "email"), "{asked:?}");
}

/// `oidcc-client-test-userinfo-bearer-header`: the access token goes in the header, and nowhere else.
#[test]
fn oidcc_client_test_userinfo_bearer_header() {
    let run = Run::with(ASKS, |_| {});
    run.passes();
    let asked = run.suite.asked("/userinfo").remove(0);
    let token = run.suite.state().access_tokens[0].clone();
    assert_eq!(asked.one("authorization"), format!("Bearer {token}"));
    assert_eq!((asked.target.as_str(), asked.body.len()), ("/userinfo", 0));
}

/// `oidcc-client-test-userinfo-invalid-sub`
#[test]
fn oidcc_client_test_userinfo_invalid_sub() {
    let run = answering(|_| Reply::json(&json!({ "sub": "mallory", "email": "m@example.test" }).to_string()));
    run.refuses("another user");
}

/// `oidcc-client-test-userinfo-signed`: verified, its `iss` and `aud` included.
#[test]
fn oidcc_client_test_userinfo_signed() {
    let run = answering(|run| signed(run, run.world.client_id()));
    assert_eq!(email(&run), "signed@example.test");
    answering(|run| signed(run, "another-client")).refuses("`aud`");
}
