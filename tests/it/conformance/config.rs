//! `oidcc-client-config-certification-test-plan`: discovery and keys.

use std::sync::Arc;

use serde_json::json;

use super::Run;
use super::suite::{member, published};
use crate::provider_client::signing::Key;
use crate::support::Browser;

/// `oidcc-client-test-discovery-openid-config`: everything is where the document says.
#[test]
fn oidcc_client_test_discovery_openid_config() {
    let run = Run::of(|_| {});
    run.passes();
    assert_eq!(run.suite.asked("/.well-known/openid-configuration").len(), 1, "one document serves them all");
}

/// `oidcc-client-test-discovery-jwks-uri-keys`: the keys are fetched where the document says, by GET and without a body.
#[test]
fn oidcc_client_test_discovery_jwks_uri_keys() {
    let run = Run::of(|_| {});
    run.passes();
    let asked = run.suite.asked("/jwks");
    assert_eq!((asked.len(), asked[0].method.as_str(), asked[0].body.len()), (1, "GET", 0));
}

/// `oidcc-client-test-discovery-issuer-mismatch`: nothing of such a document is used.
#[test]
fn oidcc_client_test_discovery_issuer_mismatch() {
    let run = Run::of(|state| state.metadata = member("issuer", json!("https://evil.example")));
    let mut browser = Browser::new();
    let page = browser.open(&format!("{}/bff/login", run.world.one()));
    assert_eq!((page.response.status, page.response.reason()), (503, "provider_unavailable"));
    assert!(run.suite.asked("/authorize").is_empty() && run.suite.asked("/jwks").is_empty());
    run.nothing_came_of_it(&mut browser, "`issuer` is not the configured issuer");
}

/// `oidcc-client-test-signing-key-rotation`: a new key signs after the old one was known.
#[test]
fn oidcc_client_test_signing_key_rotation() {
    let run = Run::of(|_| {});
    run.passes();
    let key = Key::p256();
    let mut state = run.suite.state();
    state.jwks = vec![published(&key, "k2")];
    state.header = json!({ "alg": "ES256", "kid": "k2" });
    state.key = Arc::new(key);
    drop(state);
    run.passes();
    assert_eq!(run.suite.asked("/jwks").len(), 2, "an unknown `kid` is looked up once");
}

/// `oidcc-client-test-signing-key-rotation-just-before-signing`: the keys change between a login's begin and its ID token.
#[test]
fn oidcc_client_test_signing_key_rotation_just_before_signing() {
    let run = Run::of(|_| {});
    run.passes();
    let mut browser = Browser::new();
    let callback = browser.sign_in_until_callback(&format!("{}/bff/login", run.world.one()), "alice").url;
    let key = Key::p256();
    let mut state = run.suite.state();
    state.jwks.push(published(&key, "k2"));
    state.header = json!({ "alg": "ES256", "kid": "k2" });
    state.key = Arc::new(key);
    drop(state);
    browser.open(&callback);
    assert!(browser.is_signed_in(&run.world.one()));
}
