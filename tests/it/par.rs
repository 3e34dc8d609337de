//! Logins by pushed authorization requests, at a real provider.

use std::sync::Arc;

use serde_json::json;

use crate::support::{Browser, OidcProvider, Setup, Upstream, World, contains};

fn world() -> World {
    let provider = OidcProvider::start_with(&json!({ "par": true }));
    let mut setup = Setup::two_sites();
    setup.sites[0].provider.push("par = \"required\"".into());
    setup.sites[1].client_auth = "none".into();
    World::with(setup, Arc::new(provider), Upstream::start())
}

#[test]
fn a_pushed_login_shows_the_browser_nothing_but_a_handle() {
    let world = world();
    for site in [world.one(), world.two()] {
        let mut browser = Browser::new();
        browser.sign_in(&site, "ada");
        assert!(browser.is_signed_in(&site), "{site}");
        let sent = browser.seen("127.0.0.1").into_iter().find(|one| one.url.contains("/auth?")).expect("a login");
        let query = sent.url.split_once('?').expect("a query").1;
        let names: Vec<_> = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
        assert_eq!(names, ["client_id", "request_uri"]);
        let handle = query.split("request_uri=").nth(1).expect("a handle");
        let log = world.gateway.process.output();
        assert!(!contains(log.as_bytes(), handle.as_bytes()) && !log.contains("request_uri:"), "{log}");
    }
}

#[test]
fn each_login_pushes_anew_and_a_refused_push_is_a_503_with_its_reason_in_the_log() {
    let world = world();
    let id = world.client_id().to_owned();
    let login = || {
        world.send(
            &world
                .request("GET", "/bff/login")
                .header("Sec-Fetch-Mode", "navigate")
                .header("Sec-Fetch-Dest", "document"),
        )
    };
    let handle = || login().location().split("request_uri=").nth(1).map(str::to_owned).expect("a handle");
    assert_ne!(handle(), handle());
    for (status, body, event) in [
        (400, json!({ "error": "invalid_redirect_uri", "error_description": "canary" }), "login_misconfigured"),
        (503, json!({}), "login_unavailable"),
    ] {
        world.provider.fault(&json!({ "client_id": id, "path": "/request", "status": status, "body": body }));
        let refused = login();
        assert_eq!((refused.status, refused.reason()), (503, "provider_unavailable"));
        assert!(refused.all("set-cookie").is_empty() && refused.header("retry-after").is_some());
        world.provider.heal(Some(&id));
        world.gateway.process.says(event);
        let log = world.gateway.process.output();
        assert!(!log.contains("canary") && !refused.text().contains("canary"), "{log}");
    }
    world.gateway.process.says("invalid_redirect_uri");
    assert!(world.signed_in().is_signed_in(&world.one()), "and it heals by itself");
}
