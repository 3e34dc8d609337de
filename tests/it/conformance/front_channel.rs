//! `oidcc-client-front-channel-logout-rp-basic`: the provider's logout page loads the client's in a frame.

use super::Run;
use crate::support::Response;

fn run() -> Run {
    Run::with(&["frontchannel_logout = true"], |_| {})
}

/// As the frame of the provider's page asks: from another site, without a cookie.
#[track_caller]
fn framed(run: &Run) -> Response {
    let issuer: String = url::form_urlencoded::byte_serialize(run.suite.issuer().as_bytes()).collect();
    let request = run.world.request("GET", &format!("/bff/frontchannel-logout?iss={issuer}&sid=s-1"));
    let request = request.header("Sec-Fetch-Site", "cross-site").header("Sec-Fetch-Mode", "navigate");
    let answer = run.world.send(&request.header("Sec-Fetch-Dest", "iframe"));
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    answer
}

/// `oidcc-client-test-rp-frontchannel-rpinitlogout`: the frame comes while the client's own logout is under way.
#[test]
fn oidcc_client_test_rp_frontchannel_rpinitlogout() {
    let run = run();
    let (mut browser, site) = (run.passes(), run.world.one());
    let logout_url = browser.post(&site, "/bff/logout?return_to=/goodbye").json()["logout_url"].clone();
    framed(&run);
    let page = browser.click(&site, logout_url.as_str().unwrap());
    assert_eq!(page.url, format!("{site}/goodbye"));
}

/// `oidcc-client-test-rp-frontchannel-opinitlogout`: the provider began it, and the frame ends the session.
#[test]
fn oidcc_client_test_rp_frontchannel_opinitlogout() {
    let run = run();
    let mut browser = run.passes();
    framed(&run);
    browser.get(&run.world.one(), "/api/x").refuses(401, "revoked");
}
