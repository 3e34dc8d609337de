//! The one restart of a login whose callback cannot be used, and what is left of an attempt that is over: contract section 3.

use std::collections::HashMap;

use crate::support::{Browser, Page, Request, Setup, World};

/// The query of a URL.
fn query(url: &str) -> HashMap<String, String> {
    url::Url::parse(url).expect("an absolute URL").query_pairs().into_owned().collect()
}

/// Two names for one provider, and a route that needs a scope; the second is not the default.
fn world() -> World {
    let mut setup = Setup::one_site();
    let site = &mut setup.sites[0];
    let mut other = site.provider_named("other");
    other.push("authorization_params = { theme = \"other\" }".into());
    site.providers = vec![site.provider_named("main"), other];
    let orders = ["path = \"/orders\"", "scopes = [\"orders:write\"]", "auth = \"required\""];
    site.routes.push(orders.map(str::to_owned).to_vec());
    World::of(setup)
}

/// A login of whose success the browser never heard.
fn lost_answer(world: &World, browser: &mut Browser, query: &str) -> Page {
    let callback = browser.sign_in_until_callback(&format!("{}/bff/login{query}", world.one()), "ada");
    browser.clone().open(&callback.url);
    callback
}

#[test]
fn a_restart_asks_for_what_the_login_asked_for() {
    let world = world();
    let mut browser = Browser::new();
    let asked =
        "?provider=other&return_to=/deep%3Fa%3Db%23c&prompt=consent&login_hint=ada%40example.test&ui_locales=de";
    let callback = lost_answer(&world, &mut browser, asked);
    let issuer = world.provider.issuer();
    let again = browser.open_until(&callback.url, &issuer);
    let sent = query(&again.url);
    for (name, value) in
        [("theme", "other"), ("prompt", "consent"), ("login_hint", "ada@example.test"), ("ui_locales", "de")]
    {
        assert_eq!(sent.get(name).map(String::as_str), Some(value), "{name} in {}", again.url);
    }
    assert_eq!(browser.login_cookies(&world.one()).len(), 1, "the old attempt is over");
    let page = browser.open(&again.url);
    let page = browser.pass_provider(page, "ada", "\0");
    assert_eq!(page.url, format!("{}/deep?a=b#c", world.one()));
    assert_eq!(browser.session(&world.one())["provider"], "other");
}

#[test]
fn a_restart_of_a_step_asks_for_its_scopes() {
    let world = world();
    let mut browser = Browser::new();
    browser.sign_in(&world.one(), "ada");
    let refused = browser.get(&world.one(), "/orders/1");
    let step = refused.json()["login_url"].as_str().expect("a step-up").replace("/bff/login", "");
    let callback = lost_answer(&world, &mut browser, &step);
    let again = browser.open_until(&callback.url, &world.provider.issuer());
    assert!(query(&again.url)["scope"].contains("orders:write"), "{}", again.url);
}

#[test]
fn a_second_restart_is_refused_and_leaves_nothing_that_speaks_against_the_next_login() {
    let world = World::new();
    let issuer = world.provider.issuer();
    let mut browser = Browser::new();
    let callback = lost_answer(&world, &mut browser, "");
    for _ in 0..2 {
        let again = browser.open_until(&callback.url, &issuer);
        let page = browser.open_until(&again.url, "/bff/callback");
        let callback = browser.pass_provider(page, "ada", "/bff/callback");
        browser.clone().open(&callback.url);
        let refused = browser.open(&callback.url);
        assert_eq!(refused.response.status, 400, "{}", refused.url);
        assert!(browser.login_cookies(&world.one()).is_empty(), "an attempt that is over leaves its cookie");
    }
    let callback = lost_answer(&world, &mut browser, "");
    assert!(browser.open_until(&callback.url, &issuer).url.starts_with(&issuer), "it starts once more");
}

#[test]
fn a_state_of_nobodys_leaves_no_restarted_attempt_behind() {
    let world = World::new();
    let mut browser = Browser::new();
    let forged = format!("{}/bff/callback?code=x&state=forged", world.one());
    for _ in 0..2 {
        assert_eq!(browser.open_until(&forged, &world.provider.issuer()).response.status, 303);
        assert_eq!(browser.open(&forged).response.status, 400);
        assert!(browser.login_cookies(&world.one()).is_empty());
    }
}

#[test]
fn an_answer_with_neither_code_nor_error_ends_the_attempt_that_it_belongs_to() {
    let world = World::new();
    for edit in ["", "code=&", "code=a&error=b&"] {
        let mut browser = Browser::new();
        let callback = browser.sign_in_until_callback(&format!("{}/bff/login", world.one()), "ada");
        let (_, rest) = callback.url.split_once("?code=").expect("a code comes first");
        let rest = rest.split_once('&').expect("and a state").1;
        let page = browser.open(&format!("{}/bff/callback?{edit}{rest}", world.one()));
        assert_eq!((page.response.status, page.response.reason()), (400, "bad_request"), "{edit}");
        assert!(browser.login_cookies(&world.one()).is_empty(), "{edit}: deleted on failure");
    }
    assert_eq!(world.redemptions(), 0);
}

#[test]
fn a_stranger_ends_no_attempt_with_such_an_answer() {
    let world = World::new();
    let mut browser = Browser::new();
    let callback = browser.sign_in_until_callback(&format!("{}/bff/login", world.one()), "ada");
    let cookies = browser.cookie_header(&world.one());
    let state = query(&callback.url)["state"].clone();
    let guessed = format!("{}{}", &state[..8], "A".repeat(state.len() - 8));
    let request = world.request("GET", &format!("/bff/callback?state={guessed}"));
    let answer = world.send(&Request::header(request, "Cookie", cookies));
    assert_eq!(answer.status, 400);
    assert!(answer.all("set-cookie").is_empty(), "{:?}", answer.all("set-cookie"));
    browser.open(&callback.url);
    assert!(browser.is_signed_in(&world.one()));
}
