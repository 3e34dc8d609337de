//! `GET /bff/session`, `POST /bff/session/extend`, and how sessions end: contract sections 3 and 6.9.

use std::time::Duration;

use crate::support::{Browser, Request, Setup, World, eventually, within};

#[test]
fn nobody_is_an_answer_too() {
    let world = World::new();
    let answer = Browser::new().get(&world.one(), "/bff/session");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.json(),
        serde_json::json!({ "authenticated": false, "reason": "no_session", "login_url": "/bff/login" })
    );
}

#[test]
fn the_session_shows_the_user_and_the_remaining_time_and_no_more() {
    let world = World::new();
    let mut browser = world.signed_in();
    let session = browser.session(&world.one());
    assert_eq!(session["authenticated"], true);
    assert_eq!(
        session["user"],
        serde_json::json!({ "sub": "ada", "name": "Ada Lovelace", "email": "ada@example.test" })
    );
    assert_eq!(session["provider"], "main");
    assert!(session["pin"].as_str().is_some_and(|pin| pin.len() >= 16), "{session}");
    let seconds = |name: &str| session[name].as_u64().unwrap_or_else(|| panic!("{name} is whole seconds: {session}"));
    assert!((1700..=1800).contains(&seconds("idle_expires_in")), "{session}");
    assert!((43_000..=43_200).contains(&seconds("absolute_expires_in")), "{session}");
    assert_eq!((&session["login_url"], &session["logout_url"]), (&"/bff/login".into(), &"/bff/logout".into()));
    let mut keys: Vec<_> = session.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    let known = [
        "absolute_expires_in",
        "authenticated",
        "idle_expires_in",
        "login_url",
        "logout_url",
        "pin",
        "provider",
        "user",
    ];
    assert_eq!(keys, known);
    browser.saw_none_of(&world.secrets());
}

#[test]
fn only_configured_claims_are_shown() {
    let mut setup = Setup::one_site();
    setup.sites[0].session.push("claims = [\"name\"]".into());
    let world = World::of(setup);
    assert_eq!(world.signed_in().session(&world.one())["user"], serde_json::json!({ "name": "Ada Lovelace" }));
}

#[test]
fn looking_at_the_session_does_not_extend_it_and_extending_does() {
    let mut setup = Setup::one_site();
    setup.sites[0].session.push("idle = \"20s\"".into());
    let world = World::of(setup);
    let mut browser = world.signed_in();
    let idle = |browser: &mut Browser| browser.session(&world.one())["idle_expires_in"].as_u64().expect("seconds");
    let low = within(Duration::from_secs(8), "polling should not extend the session", || {
        Some(idle(&mut browser)).filter(|left| *left <= 16)
    });
    let extended = browser.post(&world.one(), "/bff/session/extend");
    assert_eq!(extended.status, 200, "{}", extended.text());
    assert_eq!(extended.json()["authenticated"], true);
    assert!(extended.json()["idle_expires_in"].as_u64() > Some(low), "{}", extended.text());
    assert!(idle(&mut browser) > low);
}

#[test]
fn api_calls_are_activity_and_background_calls_are_not() {
    let mut setup = Setup::one_site();
    setup.sites[0].session.push("idle = \"20s\"".into());
    let world = World::of(setup);
    let mut browser = world.signed_in();
    let low = within(Duration::from_secs(8), "background calls should not extend the session", || {
        let call = Request::new("GET", "").header("X-BFF-Background", "1");
        assert_eq!(browser.fetch_with(&world.one(), call, "/api/poll").status, 200);
        browser.session(&world.one())["idle_expires_in"].as_u64().filter(|left| *left <= 16)
    });
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    eventually("an api call should extend the session", || {
        browser.session(&world.one())["idle_expires_in"].as_u64().filter(|left| *left > low)
    });
}

#[test]
fn an_idle_session_ends_and_says_so() {
    let mut setup = Setup::one_site();
    setup.sites[0].session.push("idle = \"2s\"".into());
    let world = World::of(setup);
    let mut browser = world.signed_in();
    let over = within(Duration::from_secs(6), "an idle session should end", || {
        Some(browser.session(&world.one())).filter(|session| session["authenticated"] == false)
    });
    assert_eq!(over["reason"], "idle");
    browser.get(&world.one(), "/api/x").refuses(401, "idle");
    assert!(browser.session_cookie(&world.one()).is_some(), "no 401 deletes the cookie");
}

#[test]
fn activity_does_not_outlive_the_absolute_limit() {
    let mut setup = Setup::one_site();
    setup.sites[0].session.extend(["idle = \"3s\"".into(), "absolute = \"3s\"".into()]);
    let world = World::of(setup);
    let mut browser = world.signed_in();
    let over = within(Duration::from_secs(8), "the session should end for all its activity", || {
        Some(browser.get(&world.one(), "/api/x")).filter(|answer| answer.status != 200)
    });
    over.refuses(401, "expired");
    assert_eq!(browser.session(&world.one())["reason"], "expired");
}

#[test]
fn extending_nothing_is_a_401_that_says_where_to_log_in() {
    let world = World::new();
    let answer = Browser::new().post(&world.one(), "/bff/session/extend");
    answer.refuses(401, "no_session");
    assert_eq!(answer.json()["login_url"], "/bff/login");
    assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Session realm=\"")));
}

#[test]
fn a_pin_is_equal_for_one_user_and_different_for_another() {
    let world = World::new();
    let sign_in = |user: &str| {
        let mut browser = Browser::new();
        browser.sign_in(&world.one(), user);
        let pin = browser.session(&world.one())["pin"].as_str().expect("a pin").to_owned();
        (browser, pin)
    };
    let (mut ada, first) = sign_in("ada");
    let (_, second) = sign_in("ada");
    let (_, other) = sign_in("grace");
    assert_eq!(first, second);
    assert_ne!(first, other);
    let mut call = |pin: &str| ada.fetch_with(&world.one(), Request::new("GET", "").header("X-BFF-Pin", pin), "/api/x");
    assert_eq!(call(&first).status, 200);
    let asked = world.upstream.count();
    call(&other).refuses(409, "identity_changed");
    assert_eq!(world.upstream.count(), asked, "a call meant for another user is not forwarded");
}

#[test]
fn the_pins_of_two_sites_cannot_be_linked() {
    let world = World::of(Setup::two_sites());
    let mut browser = world.signed_in();
    browser.sign_in(&world.two(), "ada");
    assert_ne!(browser.session(&world.one())["pin"], browser.session(&world.two())["pin"]);
}

#[test]
fn methods_and_paths_under_the_base_path_are_exact() {
    let world = World::new();
    let mut browser = world.signed_in();
    let cases = [
        ("POST", "/bff/session", 405),
        ("PUT", "/bff/session", 405),
        ("OPTIONS", "/bff/session", 405),
        ("GET", "/bff/session/extend", 405),
        ("HEAD", "/bff/session/extend", 405),
        ("GET", "/bff/logout", 405),
        ("HEAD", "/bff/logout", 405),
        ("HEAD", "/bff/login", 405),
        ("HEAD", "/bff/callback", 405),
        ("DELETE", "/bff/logout", 405),
        ("OPTIONS", "/bff/logout", 405),
        ("GET", "/bff", 404),
        ("GET", "/bff/", 404),
        ("GET", "/bff/nothing", 404),
        ("POST", "/bff/nothing", 404),
        ("GET", "/bff/session/", 404),
        ("GET", "/bff/Session", 404),
        ("HEAD", "/bff/session", 200),
    ];
    for (method, path, status) in cases {
        let answer = browser.fetch(&world.one(), method, path);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{method} {path}");
        assert!(answer.all("set-cookie").is_empty(), "{method} {path}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{method} {path}");
        assert!(answer.all("access-control-allow-origin").is_empty(), "{method} {path}");
    }
    assert!(browser.is_signed_in(&world.one()));
}

#[test]
fn an_encoded_slash_under_the_base_path_is_as_ambiguous_as_elsewhere() {
    let world = World::new();
    let browser = Browser::new();
    for path in ["/bff/session%2F", "/bff/a%2Fb", "/bff/session/%2fextend"] {
        world.send(&world.own_request(&browser, "GET", path)).refuses(400, "bad_path");
    }
}

#[test]
fn another_base_path_moves_every_endpoint() {
    let mut setup = Setup::one_site();
    setup.sites[0].site.push("base_path = \"/_auth\"".into());
    let world = World::of(setup);
    let mut browser = Browser::new();
    assert_eq!(browser.get(&world.one(), "/_auth/session").json()["login_url"], "/_auth/login");
    assert_eq!(browser.get(&world.one(), "/bff/session").status, 404);
    let page = browser.open_until(&format!("{}/_auth/login", world.one()), &world.provider.issuer());
    let callback: String =
        url::form_urlencoded::byte_serialize(format!("{}/_auth/callback", world.one()).as_bytes()).collect();
    assert!(page.url.contains(&callback), "{}", page.url);
}
