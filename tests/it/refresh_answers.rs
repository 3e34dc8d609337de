//! What real providers answer to a refresh, and what becomes of the session: contract section 6.5.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Browser, Setup, World, eventually};

/// A world with one signed-in browser whose token is over; the provider answers the next refresh with this.
fn answered(setup: Setup, status: u16, body: &Value, times: i64) -> (World, Browser) {
    let mut setup = setup;
    setup.access_ttl = 1;
    let mut world = World::of(setup);
    let browser = world.signed_in();
    world.tokens_live(3600);
    world.provider.fault(
        &json!({ "client_id": world.client_id(), "path": "/token", "status": status, "body": body, "times": times }),
    );
    // The wait for a clock: the provider says for how long its token is good.
    std::thread::sleep(Duration::from_millis(1100));
    (world, browser)
}

#[test]
fn passport_12_refuses_a_refresh_token_in_words_of_its_own() {
    let body = json!({
        "error": "invalid_request",
        "error_description": "The refresh token is invalid.",
        "hint": "Token has been revoked",
        "message": "The refresh token is invalid.",
    });
    let (world, mut browser) = answered(Setup::one_site(), 401, &body, -1);
    let before = world.redemptions();
    for _ in 0..3 {
        browser.get(&world.one(), "/api/x").refuses(401, "refresh_rejected");
    }
    assert_eq!(world.redemptions() - before, 1, "the provider is asked once");
    assert_eq!(browser.session(&world.one())["reason"], "refresh_rejected");
    assert_eq!(world.upstream.count(), 0);
}

#[test]
fn a_401_about_the_client_ends_no_session() {
    let body = json!({ "error": "invalid_request", "hint": "Check the `client_id` parameter" });
    let (world, mut browser) = answered(Setup::one_site(), 401, &body, -1);
    browser.get(&world.one(), "/api/x").refuses(503, "provider_unavailable");
    assert!(browser.is_signed_in(&world.one()));
}

#[test]
fn an_empty_400_ends_no_session_unless_the_provider_is_known_to_mean_that() {
    let (world, mut browser) = answered(Setup::one_site(), 400, &json!(""), -1);
    browser.get(&world.one(), "/api/x").refuses(503, "provider_unavailable");
    assert!(browser.is_signed_in(&world.one()));
    let meant = || {
        let mut setup = Setup::one_site();
        setup.sites[0].provider.push("empty_400 = \"rejected\"".into());
        setup
    };
    let (world, mut browser) = answered(meant(), 400, &json!(""), -1);
    browser.get(&world.one(), "/api/x").refuses(401, "refresh_rejected");
    for (status, body) in [(400, "<html>Bad Request</html>"), (403, ""), (502, "")] {
        let (world, mut browser) = answered(meant(), status, &json!(body), -1);
        browser.get(&world.one(), "/api/x").refuses(503, "provider_unavailable");
        assert!(browser.is_signed_in(&world.one()), "{status} {body}");
    }
}

#[test]
fn without_a_new_refresh_token_the_old_one_is_used_again() {
    let body = json!({ "access_token": "made-up-1", "token_type": "Bearer", "expires_in": 1 });
    let (world, mut browser) = answered(Setup::one_site(), 200, &body, 1);
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    assert_eq!(world.upstream.last().bearer(), "made-up-1");
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    assert_eq!(world.upstream.last().bearer(), world.provider.latest(world.client_id(), "access_token"));
    assert_eq!(world.provider.token_calls(world.client_id(), "refresh_token"), 1, "the provider knew the old one");
    assert_eq!(world.provider.ledger(world.client_id())["refused"], 0);
}

#[test]
fn a_token_of_unknown_life_lives_as_long_as_configured() {
    let body = json!({ "access_token": "made-up-1", "token_type": "Bearer" });
    let mut setup = Setup::one_site();
    setup.sites[0].provider.push("default_token_lifetime = \"2s\"".into());
    let (world, mut browser) = answered(setup, 200, &body, 1);
    for _ in 0..3 {
        assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
        assert_eq!(world.upstream.last().bearer(), "made-up-1");
    }
    std::thread::sleep(Duration::from_millis(2100));
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    assert_eq!(world.upstream.last().bearer(), world.provider.latest(world.client_id(), "access_token"));
}

#[test]
fn an_empty_refresh_token_is_no_new_one_and_an_empty_error_is_none() {
    for beside in [json!({ "refresh_token": "" }), json!({ "error": null }), json!({ "error": "" })] {
        let mut body = json!({ "access_token": "made-up-1", "token_type": "Bearer", "expires_in": 1 });
        body.as_object_mut().expect("an object").extend(beside.as_object().cloned().expect("an object"));
        let (world, mut browser) = answered(Setup::one_site(), 200, &body, 1);
        assert_eq!(browser.get(&world.one(), "/api/x").status, 200, "{beside}");
        assert_eq!(world.upstream.last().bearer(), "made-up-1");
        std::thread::sleep(Duration::from_millis(1100));
        assert_eq!(browser.get(&world.one(), "/api/x").status, 200, "{beside}");
        assert_eq!(world.upstream.last().bearer(), world.provider.latest(world.client_id(), "access_token"));
        assert_eq!(world.provider.ledger(world.client_id())["refused"], 0);
    }
}

#[test]
fn an_answer_that_cannot_be_used_is_not_asked_for_again_at_once_and_ends_nothing() {
    for body in [
        json!("<html>Please log in to the WLAN</html>"),
        json!(""),
        json!([]),
        json!({ "token_type": "Bearer", "expires_in": 60 }),
        json!({ "access_token": "made-up-1", "token_type": "mac" }),
    ] {
        let (world, mut browser) = answered(Setup::one_site(), 200, &body, 1);
        let before = world.provider.token_arrivals(world.client_id());
        browser.get(&world.one(), "/api/x").refuses(503, "provider_unavailable");
        assert_eq!(world.provider.token_arrivals(world.client_id()) - before, 1, "{body}");
        assert!(browser.is_signed_in(&world.one()), "{body}");
        eventually("the refresh should work", || (browser.get(&world.one(), "/api/x").status == 200).then_some(()));
    }
}
