//! Users whose ID tokens are slim, at a real provider with a UserInfo endpoint.

use std::sync::Arc;

use serde_json::json;

use crate::support::{Browser, OidcProvider, Setup, Upstream, World};

/// Two sites; the first asks for plain JSON, the second has its answers signed.
fn world(lines: &[&str]) -> World {
    let provider = OidcProvider::start_with(&json!({ "slim": true }));
    let mut setup = Setup::two_sites();
    for site in &mut setup.sites {
        site.provider.extend(lines.iter().map(|line| (*line).to_owned()));
    }
    setup.sites[1].registration = json!({ "userinfo_signed_response_alg": "RS256" });
    World::with(setup, Arc::new(provider), Upstream::start())
}

#[test]
fn a_session_shows_what_the_endpoint_says_plain_or_signed() {
    let world = world(&["userinfo = true"]);
    for site in [world.one(), world.two()] {
        let mut browser = Browser::new();
        browser.sign_in(&site, "ada");
        let user = browser.session(&site)["user"].clone();
        assert_eq!(user, json!({ "sub": "ada", "name": "Ada Lovelace", "email": "ada@example.test" }), "{site}");
    }
}

#[test]
fn without_it_the_id_token_is_all_there_is() {
    let world = world(&[]);
    let mut browser = world.signed_in();
    assert_eq!(browser.session(&world.one())["user"], json!({ "sub": "ada" }));
}

#[test]
fn a_login_for_which_the_endpoint_fails_is_refused_with_a_clear_reason() {
    let world = world(&["userinfo = true"]);
    for (status, body) in [(503, json!({})), (200, json!({ "sub": "grace" }))] {
        world.provider.fault(&json!({ "path": "/me", "status": status, "body": body, "times": 1 }));
        let mut browser = Browser::new();
        let page = browser.sign_in(&world.one(), "ada");
        assert_eq!(page.response.status, 400, "{}", page.response.text());
        assert!(!browser.is_signed_in(&world.one()));
    }
    assert!(world.signed_in().is_signed_in(&world.one()));
}
