//! `GET /bff/callback`: contract section 3.

use std::sync::Barrier;

use serde_json::json;

use crate::support::{Browser, OidcProvider, Page, World};

/// A login that waits before its callback.
fn held(world: &World, browser: &mut Browser) -> Page {
    browser.sign_in_until_callback(&format!("{}/bff/login", world.one()), "ada")
}

fn with_query(url: &str, change: impl Fn(&str, &str) -> Option<String>) -> String {
    let (path, query) = url.split_once('?').expect("a callback has a query");
    let pairs = query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        change(name, value).map(|value| format!("{name}={value}"))
    });
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}

#[test]
fn a_callback_ends_with_an_absolute_location_and_without_its_login_cookie() {
    let world = World::new();
    let mut browser = Browser::new();
    let callback = held(&world, &mut browser);
    assert_eq!(browser.login_cookies(&world.one()).len(), 1);
    let page = browser.open_until(&callback.url, &world.one());
    assert_eq!(page.response.status, 303);
    assert_eq!(page.response.location(), format!("{}/", world.one()));
    assert_eq!(page.response.header("cache-control"), Some("no-store"));
    assert!(browser.login_cookies(&world.one()).is_empty());
    assert!(browser.is_signed_in(&world.one()));
}

#[test]
fn fifty_replays_of_a_callback_redeem_its_code_once() {
    let world = World::new();
    let mut browser = Browser::new();
    let callback = held(&world, &mut browser);
    let start = Barrier::new(50);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let replay = || {
            let mut copy = browser.clone();
            start.wait();
            copy.open_until(&callback.url, "http").response.status
        };
        let running: Vec<_> = (0..50).map(|_| scope.spawn(replay)).collect();
        running.into_iter().map(|one| one.join().expect("a replay gets an answer")).collect()
    });
    assert!(statuses.iter().all(|status| matches!(status, 303 | 400)), "{statuses:?}");
    assert_eq!(world.redemptions(), 1);
}

#[test]
fn a_callback_opened_again_with_a_live_session_ends_at_the_front_page() {
    let world = World::new();
    let mut browser = Browser::new();
    let callback = held(&world, &mut browser);
    browser.open(&callback.url);
    let again = browser.open(&callback.url);
    assert_eq!(again.url, format!("{}/", world.one()));
    assert!(browser.is_signed_in(&world.one()));
    assert_eq!(world.redemptions(), 1);
}

#[test]
fn an_attackers_callback_does_not_sign_the_victim_in() {
    let world = World::new();
    let mut attacker = Browser::new();
    let callback = held(&world, &mut attacker);
    let mut victim = Browser::new();
    let page = victim.open_until(&callback.url, &format!("{}/", world.provider.issuer()));
    assert!(matches!(page.response.status, 303 | 400), "{}", page.response.status);
    assert!(!victim.is_signed_in(&world.one()));
    assert_eq!(world.redemptions(), 0, "the code was not even sent");
    attacker.open(&callback.url);
    assert!(attacker.is_signed_in(&world.one()), "a stranger cannot use up an attempt");
}

#[test]
fn an_attackers_callback_leaves_a_live_session_as_it_was() {
    let world = World::new();
    let mut attacker = Browser::new();
    let callback = attacker.sign_in_until_callback(&format!("{}/bff/login", world.one()), "grace");
    let mut victim = world.signed_in();
    let before = victim.session_cookie(&world.one()).expect("signed in").value;
    let page = victim.open(&callback.url);
    assert_eq!(page.url, format!("{}/", world.one()));
    assert_eq!(victim.session(&world.one())["user"]["sub"], "ada");
    assert_eq!(victim.session_cookie(&world.one()).expect("signed in").value, before);
}

#[test]
fn an_unknown_state_restarts_the_login_once_and_blocked_cookies_do_not_loop() {
    let world = World::new();
    let mut browser = Browser::new();
    let issuer = world.provider.issuer();
    let restarted = browser.open_until(&format!("{}/bff/callback?code=x&state=forged", world.one()), &issuer);
    assert!(
        restarted.url.starts_with(&issuer),
        "the login starts again: {} {}",
        restarted.response.status,
        restarted.url
    );
    browser.clear_cookies();
    let mut page = browser.open(&restarted.url);
    for _ in 0..3 {
        page = browser.pass_provider(page, "ada", "/bff/callback");
        browser.clear_cookies();
        page = browser.open_until(&page.url, &issuer);
        if page.response.status == 400 {
            break;
        }
    }
    assert_eq!(page.response.status, 400, "{}", page.url);
    assert!(page.response.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    assert!(
        page.response.text().to_lowercase().contains("cookie"),
        "the page names the cause: {}",
        page.response.text()
    );
    assert_eq!(world.redemptions(), 0);
}

#[test]
fn a_callback_with_another_state_is_refused() {
    let world = World::new();
    let mut browser = Browser::new();
    let callback = held(&world, &mut browser);
    let forged = with_query(&callback.url, |name, value| {
        Some(if name == "state" { "A".repeat(value.len()) } else { value.into() })
    });
    browser.open_until(&forged, &world.provider.issuer());
    assert!(!browser.is_signed_in(&world.one()));
    assert_eq!(world.redemptions(), 0);
}

#[test]
fn an_answer_of_another_issuer_or_of_none_is_refused_before_the_code_is_sent() {
    let world = World::new();
    let edits: [fn(&str) -> Option<String>; 2] = [|_| Some("https%3A%2F%2Fevil.example".into()), |_| None];
    for edit in edits {
        let mut browser = Browser::new();
        let callback = held(&world, &mut browser);
        let mixed_up =
            with_query(&callback.url, |name, value| if name == "iss" { edit(value) } else { Some(value.into()) });
        let page = browser.open(&mixed_up);
        assert_eq!(page.response.status, 400, "{}", page.response.text());
        assert!(!browser.is_signed_in(&world.one()));
    }
    assert_eq!(world.redemptions(), 0);
}

#[test]
fn a_login_that_a_reload_gave_to_another_issuer_sends_it_no_code() {
    let world = World::new();
    let mut browser = Browser::new();
    let callback = held(&world, &mut browser);
    let other = OidcProvider::start(0);
    world.setup.register(&other);
    let (old, new) = (world.provider.issuer(), other.issuer());
    // Without `iss` in its answers nothing but the attempt itself says whose code it is.
    let metadata = json!({
        "issuer": new, "authorization_endpoint": format!("{new}/auth"), "token_endpoint": format!("{new}/token"),
        "jwks_uri": format!("{new}/jwks"),
    });
    other.fault(&json!({ "path": "/.well-known/openid-configuration", "status": 200, "body": metadata }));
    world.rewrite(|text| text.replace(&old, &new));
    world.reload();
    let page = browser.open(&with_query(&callback.url, |name, value| (name != "iss").then(|| value.to_owned())));
    assert_eq!(page.response.status, 400, "{}", page.response.text());
    assert!(!browser.is_signed_in(&world.one()) && browser.login_cookies(&world.one()).is_empty());
    assert_eq!(other.token_calls(world.client_id(), ""), 0, "the other issuer saw a code");
}

#[test]
fn a_repeated_parameter_is_refused() {
    let world = World::new();
    for name in ["code", "state", "iss"] {
        let mut browser = Browser::new();
        let callback = held(&world, &mut browser);
        let page = browser.open_until(&format!("{}&{name}=other", callback.url), &world.provider.issuer());
        assert_eq!(page.response.status, 400, "{name}");
        assert!(!browser.is_signed_in(&world.one()));
    }
    assert_eq!(world.redemptions(), 0);
}

#[test]
fn a_stolen_code_is_worthless_in_another_attempt() {
    let world = World::new();
    let mut victim = Browser::new();
    let stolen = held(&world, &mut victim);
    let code = stolen.url.split("code=").nth(1).and_then(|rest| rest.split('&').next()).expect("a code").to_owned();
    let mut attacker = Browser::new();
    let own = attacker.sign_in_until_callback(&format!("{}/bff/login", world.one()), "grace");
    let injected = with_query(&own.url, |name, value| Some(if name == "code" { code.clone() } else { value.into() }));
    let page = attacker.open(&injected);
    assert_eq!(page.response.status, 400, "{}", page.response.text());
    assert!(!attacker.is_signed_in(&world.one()));
    assert!(attacker.login_cookies(&world.one()).is_empty(), "the login cookie goes on failure too");
}

#[test]
fn an_error_from_the_provider_is_shown_at_once_and_nothing_of_it_runs() {
    let world = World::new();
    let mut browser = Browser::new();
    let callback = held(&world, &mut browser);
    let state = callback.url.split("state=").nth(1).and_then(|rest| rest.split('&').next()).expect("a state");
    let issuer: String = url::form_urlencoded::byte_serialize(world.provider.issuer().as_bytes()).collect();
    let attack = "error=access_denied%3Cscript%3Ealert(1)%3C%2Fscript%3E&error_description=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E";
    let page = browser
        .open(&format!("{}/bff/callback?{attack}&error_uri=javascript:x&state={state}&iss={issuer}", world.one()));
    assert_eq!(page.response.status, 400);
    let text = page.response.text();
    assert!(!text.contains("<script>alert") && !text.contains("<img") && !text.contains("javascript:"), "{text}");
    assert!(page.response.header("content-security-policy").is_some(), "an error page runs nothing");
    assert!(browser.login_cookies(&world.one()).is_empty());
    assert_eq!(world.redemptions(), 0);
}

#[test]
fn a_person_who_cancels_sees_why_they_are_not_signed_in() {
    let world = World::new();
    let mut browser = Browser::new();
    let form = browser.open(&format!("{}/bff/login", world.one()));
    let uid = form.url.split("/interaction/").nth(1).expect("the provider's login page");
    let issuer = world.provider.issuer();
    let page = browser.submit(&issuer, &format!("{issuer}/interaction/{uid}"), "cancel=yes");
    assert_eq!(page.response.status, 400, "{}", page.url);
    assert!(!browser.is_signed_in(&world.one()));
}

#[test]
fn a_refused_silent_login_goes_back_quietly() {
    let world = World::new();
    let mut browser = Browser::new();
    let page = browser.open(&format!("{}/bff/login?prompt=none&return_to=/quiet", world.one()));
    assert_eq!(page.url, format!("{}/quiet", world.one()));
    assert!(!browser.is_signed_in(&world.one()));
    assert!(browser.login_cookies(&world.one()).is_empty());

    let mut signed_in = world.signed_in();
    let cookie = signed_in.session_cookie(&world.one()).expect("signed in").value;
    let issuer_host = "127.0.0.1";
    for known in signed_in.cookies(&format!("http://{issuer_host}"), "") {
        signed_in.plant(&format!("http://{issuer_host}"), &known.name, "gone");
    }
    signed_in.open(&format!("{}/bff/login?prompt=none&return_to=/quiet", world.one()));
    assert_eq!(signed_in.session_cookie(&world.one()).expect("still signed in").value, cookie);
}

#[test]
fn a_token_endpoint_that_fails_or_hangs_is_a_503_and_the_next_login_works() {
    let mut setup = crate::support::Setup::one_site();
    setup.sites[0].provider.push("timeout = \"1s\"".into());
    let world = World::of(setup);
    let id = world.client_id();
    let faults = [
        json!({ "client_id": id, "path": "/token", "status": 500 }),
        json!({ "client_id": id, "path": "/token", "status": 429, "body": { "message": "Too Many Attempts." } }),
        json!({ "client_id": id, "path": "/token", "drop": true }),
        json!({ "client_id": id, "path": "/token", "delay_ms": 5000 }),
    ];
    for fault in faults {
        let mut browser = Browser::new();
        let callback = held(&world, &mut browser);
        world.provider.fault(&fault);
        let page = browser.open(&callback.url);
        assert_eq!((page.response.status, page.response.reason()), (503, "provider_unavailable"), "{fault}");
        assert!(page.response.header("retry-after").is_some());
        assert!(!browser.is_signed_in(&world.one()));
        world.provider.heal(Some(id));
        browser.sign_in(&world.one(), "ada");
        assert!(browser.is_signed_in(&world.one()));
    }
}

#[test]
fn an_answer_of_the_token_endpoint_that_breaks_the_standard_signs_nobody_in() {
    let world = World::new();
    let id = world.client_id();
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.";
    let bodies = [
        json!({}),
        json!({ "access_token": "a", "token_type": "Bearer" }),
        json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": unsigned }),
        json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": "rubbish" }),
        json!("<html>"),
    ];
    for body in bodies {
        let mut browser = Browser::new();
        let callback = held(&world, &mut browser);
        world.provider.fault(&json!({ "client_id": id, "path": "/token", "status": 200, "body": body }));
        let page = browser.open(&callback.url);
        assert!(matches!(page.response.status, 400 | 502 | 503), "{body}: {}", page.response.status);
        assert!(!browser.is_signed_in(&world.one()), "{body}");
        world.provider.heal(Some(id));
    }
}
