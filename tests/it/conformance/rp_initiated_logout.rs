//! `oidcc-client-rp-initiated-logout-rp-basic`.

use super::Run;
use super::suite::query;
use crate::support::Page;

/// A logout that goes over the provider, which answers the landing page as `answering` says; where that ends.
fn log_out(answering: fn(&str) -> Option<String>) -> (Run, Page) {
    let run = Run::of(|state| state.logout_state = answering);
    let mut browser = run.passes();
    let site = run.world.one();
    let logout_url = browser.post(&site, "/bff/logout?return_to=/goodbye").json()["logout_url"].clone();
    assert!(!browser.is_signed_in(&site), "the session is over before the provider hears of it");
    let page = browser.click(&site, logout_url.as_str().unwrap());
    assert!(!browser.is_signed_in(&site));
    (run, page)
}

/// `oidcc-client-test-rp-init-logout`: with a hint, the registered landing page and a state, and back to where it began.
#[test]
fn oidcc_client_test_rp_init_logout() {
    let (run, page) = log_out(|state| Some(state.to_owned()));
    assert_eq!(page.url, format!("{}/goodbye", run.world.one()));
    let asked = query(&run.suite.asked("/logout")[0]);
    assert_eq!(asked["post_logout_redirect_uri"], format!("{}/bff/logout/callback", run.world.one()));
    assert_eq!(asked["id_token_hint"].split('.').count(), 3);
    assert!(asked["state"].len() >= 16);
}

/// `oidcc-client-test-rp-init-logout-other-state`: leads home, and nowhere that anybody else chose.
#[test]
fn oidcc_client_test_rp_init_logout_other_state() {
    let (run, page) = log_out(|_| Some("of-somebody-else".to_owned()));
    assert_eq!(page.url, format!("{}/", run.world.one()));
}

/// `oidcc-client-test-rp-init-logout-no-state`
#[test]
fn oidcc_client_test_rp_init_logout_no_state() {
    let (run, page) = log_out(|_| None);
    assert_eq!(page.url, format!("{}/", run.world.one()));
}
