//! `same_site = "strict"`: the provider's page sends the browser back without the session's cookie.

use serde_json::json;

use crate::support::{Browser, Page, Setup, World};

fn world() -> World {
    let mut setup = Setup::one_site();
    setup.sites[0].session.push("same_site = \"strict\"".into());
    World::of(setup)
}

/// A further login that stops before its callback.
fn held(world: &World, browser: &mut Browser, query: &str) -> Page {
    browser.sign_in_until_callback(&format!("{}/bff/login?prompt=login{query}", world.one()), "ada")
}

/// The provider's page sends the browser on.
fn go_on(world: &World, browser: &mut Browser, callback: &Page) -> Page {
    browser.click(&world.provider.issuer(), &callback.url)
}

#[test]
fn the_session_that_a_login_replaces_is_over_and_not_before() {
    let world = world();
    let mut browser = world.signed_in();
    let mut thief = browser.clone();
    let callback = held(&world, &mut browser, "");
    assert!(thief.is_signed_in(&world.one()));
    assert_eq!(go_on(&world, &mut browser, &callback).url, format!("{}/", world.one()));
    assert!(browser.is_signed_in(&world.one()));
    thief.get(&world.one(), "/api/x").refuses(401, "revoked");
}

#[test]
fn a_used_state_with_a_live_session_ends_at_the_front_page() {
    let world = world();
    let mut browser = world.signed_in();
    let callback = held(&world, &mut browser, "&return_to=/deep");
    world.provider.fault(&json!({ "client_id": world.client_id(), "path": "/token", "status": 500 }));
    assert_eq!(go_on(&world, &mut browser.clone(), &callback).response.status, 503);
    world.provider.heal(Some(world.client_id()));
    assert_eq!(go_on(&world, &mut browser, &callback).url, format!("{}/", world.one()));
    assert!(browser.is_signed_in(&world.one()) && browser.login_cookies(&world.one()).is_empty());
}

#[test]
fn a_login_cookie_without_room_for_more_holds_what_the_login_itself_needs() {
    let world = world();
    let mut browser = world.signed_in();
    let path = format!("/{}", "a".repeat(2047));
    let query = format!("&return_to={path}&login_hint={}&ui_locales={}", "h".repeat(256), "de ".repeat(42).trim_end());
    let callback = held(&world, &mut browser, &query.replace(' ', "+"));
    let cookie = browser.login_cookies(&world.one()).pop().expect("an attempt is under way");
    assert!(cookie.name.len() + cookie.value.len() <= 4096, "{}", cookie.value.len());
    assert_eq!(go_on(&world, &mut browser, &callback).url, format!("{}{path}", world.one()));
}
