//! `POST /bff/logout` and `GET /bff/logout/callback`: contract section 3.

use std::time::{Duration, Instant};

use crate::support::{Browser, Request, Setup, World, eventually};

fn thief_of(world: &World, browser: &Browser) -> Browser {
    let cookie = browser.session_cookie(&world.one()).expect("signed in");
    let mut thief = Browser::new();
    thief.plant(&world.one(), &cookie.name, &cookie.value);
    thief
}

#[test]
fn a_fetch_gets_the_providers_logout_url_and_the_session_is_over() {
    let world = World::new();
    let mut browser = world.signed_in();
    let mut thief = thief_of(&world, &browser);
    let answer = browser.post(&world.one(), "/bff/logout");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let logout_url = answer.json()["logout_url"].as_str().expect("the provider has a logout URL").to_owned();
    assert!(logout_url.starts_with(&format!("{}/session/end?", world.provider.issuer())), "{logout_url}");
    for word in ["id_token_hint=", "post_logout_redirect_uri=", "state="] {
        assert!(logout_url.contains(word), "{word}: {logout_url}");
    }
    assert!(browser.session_cookie(&world.one()).is_none());
    thief.get(&world.one(), "/api/x").refuses(401, "revoked");
    assert_eq!(thief.session(&world.one())["reason"], "revoked");
    let tokens: Vec<_> = world.secrets().into_iter().filter(|(name, _)| name != "id_token").collect();
    browser.saw_none_of(&tokens);
}

#[test]
fn the_way_out_leads_over_the_provider_back_to_the_site() {
    let world = World::new();
    let mut browser = world.signed_in();
    let answer = browser.post(&world.one(), "/bff/logout?return_to=/goodbye");
    let logout_url = answer.json()["logout_url"].as_str().expect("a logout URL").to_owned();
    let asked = browser.click(&world.one(), &logout_url);
    assert_eq!(asked.response.status, 200, "{}", asked.response.text());
    let page = browser.confirm_provider_logout(&asked);
    assert_eq!(page.url, format!("{}/goodbye", world.one()));
    assert!(page.trail.iter().any(|url| url.contains("/bff/logout/callback?")), "{:?}", page.trail);
    let next = browser.open(&format!("{}/bff/login", world.one()));
    assert!(next.response.text().contains("name=\"user\""), "the provider asks who it is again");
}

#[test]
fn a_form_is_redirected_to_the_provider() {
    let world = World::new();
    let mut browser = world.signed_in();
    let mut thief = thief_of(&world, &browser);
    let page = browser.submit(&world.one(), &format!("{}/bff/logout", world.one()), "");
    assert_eq!(page.trail.len(), 2, "{:?}", page.trail);
    assert!(page.url.starts_with(&world.provider.issuer()), "{}", page.url);
    let first = browser.seen(".localhost").last().map(|exchange| exchange.response.status);
    assert_eq!(first, Some(303));
    thief.get(&world.one(), "/api/x").refuses(401, "revoked");
}

#[test]
fn logging_out_without_a_session_is_the_same_success() {
    let world = World::new();
    let mut browser = Browser::new();
    for _ in 0..2 {
        let answer = browser.post(&world.one(), "/bff/logout");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.json().as_object().is_some_and(|body| body.contains_key("logout_url")), "{}", answer.text());
    }
    browser.submit(&world.one(), &format!("{}/bff/logout", world.one()), "");
    let seen = browser.seen(".localhost");
    let form = seen.iter().find(|exchange| exchange.response.status == 303).expect("a form is redirected");
    assert_eq!(form.response.header("location"), Some(format!("{}/", world.one()).as_str()));
}

#[test]
fn a_session_ends_here_even_when_the_provider_is_dead() {
    let world = World::with_own_provider(Setup::one_site());
    let mut browser = world.signed_in();
    let mut thief = thief_of(&world, &browser);
    world.provider.kill();
    let answer = browser.post(&world.one(), "/bff/logout");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(browser.session_cookie(&world.one()).is_none());
    thief.get(&world.one(), "/api/x").refuses(401, "revoked");
}

#[test]
fn the_refresh_token_is_revoked_at_the_provider_in_the_background() {
    let world = World::new();
    let mut browser = world.signed_in();
    browser.post(&world.one(), "/bff/logout");
    eventually("the refresh token should be revoked", || {
        world.provider.ledger(world.client_id())["calls"]["/token/revocation"].as_u64().filter(|calls| *calls == 1)
    });
}

#[test]
fn everywhere_ends_all_sessions_of_this_user_at_this_site_and_no_others() {
    let world = World::of(Setup::two_sites());
    let mut first = world.signed_in();
    let mut second = world.signed_in();
    second.sign_in(&world.two(), "ada");
    let mut grace = Browser::new();
    grace.sign_in(&world.one(), "grace");
    assert_eq!(first.post(&world.one(), "/bff/logout?everywhere=true").status, 200);
    second.get(&world.one(), "/api/x").refuses(401, "revoked");
    assert!(second.is_signed_in(&world.two()), "the other site is another matter");
    assert!(grace.is_signed_in(&world.one()), "another user is another matter");
}

/// A cookie that a thief has kept for long is nobody's session any more.
#[test]
fn a_session_that_is_over_by_the_clock_ends_no_other_and_is_told_as_it_is() {
    let mut setup = Setup::one_site();
    setup.sites[0].session.push("idle = \"2s\"".into());
    let world = World::of(setup);
    let mut other = world.signed_in();
    let mut over = world.signed_in();
    let mut copy = over.clone();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2200) {
        assert_eq!(other.get(&world.one(), "/api/x").status, 200);
        std::thread::sleep(Duration::from_millis(150));
    }
    let answer = over.post(&world.one(), "/bff/logout?everywhere=true");
    assert_eq!((answer.status, answer.json()["logout_url"].is_null()), (200, true), "{}", answer.text());
    assert!(over.session_cookie(&world.one()).is_none());
    assert_eq!(copy.session(&world.one())["reason"], "idle");
    assert_eq!(other.get(&world.one(), "/api/x").status, 200, "an old cookie has ended another session");
    let calls = &world.provider.ledger(world.client_id())["calls"];
    assert!(calls["/token/revocation"].as_u64().is_none_or(|calls| calls == 0), "{calls}");
}

#[test]
fn logging_out_of_one_site_leaves_the_other_alone() {
    let world = World::of(Setup::two_sites());
    let mut browser = world.signed_in();
    browser.sign_in(&world.two(), "ada");
    browser.post(&world.one(), "/bff/logout");
    assert!(!browser.is_signed_in(&world.one()));
    assert_eq!(browser.get(&world.two(), "/api/x").status, 200);
}

#[test]
fn nobody_is_logged_out_by_another_site_or_by_a_link() {
    let world = World::of(Setup::two_sites());
    let mut browser = world.signed_in();
    let url = format!("{}/bff/logout", world.one());
    assert_eq!(browser.fetch(&world.two(), "POST", &url).status, 403);
    assert_eq!(browser.submit(&world.two(), &url, "").response.status, 403);
    assert_eq!(browser.click(&world.two(), &url).response.status, 405);
    assert!(browser.is_signed_in(&world.one()));
    // What a hostile page could at most send along: the cookie, and its own words.
    let forged = Request::new("POST", "/bff/logout")
        .header("Host", world.one().replace("http://", ""))
        .header("Cookie", browser.cookie_header(&world.one()))
        .header("Sec-Fetch-Site", "cross-site")
        .header("Origin", world.one());
    world.send(&forged).refuses(403, "cross_site");
    assert!(browser.is_signed_in(&world.one()));
}

#[test]
fn a_bad_return_to_is_refused_and_ends_nothing() {
    let world = World::new();
    let mut browser = world.signed_in();
    for payload in ["https://evil.example/", "//evil.example", "/%5Cevil.example", "/bff/logout", ""] {
        let answer = browser.post(&world.one(), &format!("/bff/logout?return_to={payload}"));
        assert_eq!((answer.status, answer.reason()), (400, "bad_return_to"), "{payload}");
    }
    let answer = browser.post(&world.one(), "/bff/logout?return_to=/a&return_to=/b");
    assert_eq!(answer.status, 400);
    assert!(browser.is_signed_in(&world.one()));
}

#[test]
fn a_logout_by_client_id_shows_no_id_token_to_the_browser() {
    let mut setup = Setup::one_site();
    setup.sites[0].provider.push("logout_hint = \"client_id\"".into());
    let world = World::of(setup);
    let mut browser = world.signed_in();
    let answer = browser.post(&world.one(), "/bff/logout");
    let logout_url = answer.json()["logout_url"].as_str().expect("a logout URL").to_owned();
    assert!(
        logout_url.contains(&format!("client_id={}", world.client_id())) && !logout_url.contains("id_token_hint"),
        "{logout_url}"
    );
    browser.saw_none_of(&world.secrets());
    let page = browser.click(&world.one(), &logout_url);
    let page = browser.confirm_provider_logout(&page);
    assert_eq!(page.url, format!("{}/", world.one()));
}

#[test]
fn a_forged_logout_callback_leads_nowhere_but_home() {
    let world = World::new();
    let mut browser = Browser::new();
    for query in ["", "?state=forged", "?state=a&state=b", "?return_to=//evil.example"] {
        let page = browser.open_until(&format!("{}/bff/logout/callback{query}", world.one()), "http");
        if page.response.status == 303 {
            assert_eq!(page.response.location(), format!("{}/", world.one()), "{query}");
        } else {
            assert_eq!(page.response.status, 400, "{query}");
        }
    }
}
