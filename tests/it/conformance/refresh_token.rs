//! `oidcc-client-refreshtoken-test-plan`.

use serde_json::{Value, json};

use super::Run;
use super::suite::{Change, member};
use crate::support::Browser;

/// A session whose token is due at once, and whose refresh brings an ID token changed by `refreshed`.
fn due(refreshed: Change) -> (Run, Browser) {
    // The suite wants its UserInfo asked with the refreshed token. It is an API like any other to a gateway that asks there itself
    // at a login alone, so that a route leads to it.
    let userinfo = ["path = \"/userinfo\"", "upstream = \"SUITE\""].map(str::to_owned).to_vec();
    let run = Run::prepared(
        &["userinfo = true"],
        |setup| setup.sites[0].routes.push(userinfo),
        |state| {
            state.answer = member("expires_in", json!(1));
            state.refreshed = refreshed;
        },
    );
    let mut browser = Browser::new();
    run.log_in(&mut browser);
    assert!(browser.is_signed_in(&run.world.one()));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    (run, browser)
}

#[track_caller]
fn refused(refreshed: Change, reason: &str) {
    let (run, mut browser) = due(refreshed);
    browser.get(&run.world.one(), "/api/x").refuses(401, "refresh_rejected");
    assert!(run.world.upstream.requests().is_empty(), "the new token was used");
    run.says(reason);
}

/// `oidcc-client-test-refresh-token`: the refreshed token is the one that is used, at UserInfo too.
#[test]
fn oidcc_client_test_refresh_token() {
    let (run, mut browser) = due(member("sid", json!("s-1")));
    assert_eq!(browser.get(&run.world.one(), "/api/x").status, 200);
    let tokens = run.suite.state().access_tokens.clone();
    assert!(tokens.len() >= 2 && tokens[1..].contains(&run.world.upstream.last().bearer().to_owned()));
    let second = &run.suite.asked("/token")[1];
    assert!(second.one("authorization").starts_with("Basic "));
    let answer = browser.get(&run.world.one(), "/userinfo");
    assert_eq!((answer.status, &answer.json()["sub"]), (200, &serde_json::json!("alice")));
    let (asked, tokens) = (run.suite.asked("/userinfo"), run.suite.state().access_tokens.clone());
    assert_eq!(asked[0].bearer(), tokens[0], "the gateway asks at the login");
    assert!(tokens[1..].contains(&asked[1].bearer().to_owned()), "the page asks after the refresh");
    assert_eq!(asked.len(), 2);
}

/// `oidcc-client-test-refresh-token-invalid-issuer`
#[test]
fn oidcc_client_test_refresh_token_invalid_issuer() {
    refused(member("iss", json!("https://evil.example")), "`iss` is another issuer");
}

/// `oidcc-client-test-refresh-token-invalid-sub`
#[test]
fn oidcc_client_test_refresh_token_invalid_sub() {
    refused(member("sub", json!("mallory")), "`sub` is another user");
    refused(member("sub", Value::Null), "`sub` is missing");
}
