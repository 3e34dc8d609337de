//! One refresh, and what becomes of it: contract sections 6.3 to 6.7.

use std::collections::HashSet;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Browser, OidcProvider, Setup, World, eventually};

fn refreshes(world: &World) -> u64 {
    world.provider.token_calls(world.client_id(), "refresh_token")
}

#[test]
fn a_hundred_parallel_calls_refresh_once_and_all_go_on_with_the_new_token() {
    let (world, browser) = World::with_a_due_token(Setup::one_site());
    world.provider.fault(&json!({ "client_id": world.client_id(), "path": "/token", "delay_ms": 300 }));
    let start = Barrier::new(100);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let call = || {
            let mut tab = browser.clone();
            start.wait();
            tab.get(&world.one(), "/api/x").status
        };
        let running: Vec<_> = (0..100).map(|_| scope.spawn(call)).collect();
        running.into_iter().map(|one| one.join().expect("a call gets an answer")).collect()
    });
    assert_eq!(statuses, [200; 100]);
    assert_eq!(refreshes(&world), 1);
    let newest = world.provider.latest(world.client_id(), "access_token");
    let bearers: HashSet<String> = world.upstream.requests().iter().map(|asked| asked.bearer().to_owned()).collect();
    assert_eq!(bearers, HashSet::from([newest]));
}

#[test]
fn rotated_tokens_are_used_in_their_turn() {
    let mut setup = Setup::one_site();
    setup.access_ttl = 1;
    let world = World::of(setup);
    let mut browser = world.signed_in();
    eventually("three refreshes should happen", || {
        assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
        (refreshes(&world) >= 3).then_some(())
    });
    assert_eq!(world.provider.ledger(world.client_id())["refused"], 0, "an old refresh token was used again");
    browser.saw_none_of(&world.secrets());
}

#[test]
fn a_refused_refresh_token_ends_the_session_and_is_tried_once() {
    let (world, mut browser) = World::with_a_due_token(Setup::one_site());
    world.provider.fault(&json!({ "client_id": world.client_id(), "path": "/token", "status": 400, "body": { "error": "invalid_grant" } }));
    let before = world.redemptions();
    for _ in 0..5 {
        browser.get(&world.one(), "/api/x").refuses(401, "refresh_rejected");
    }
    assert_eq!(world.redemptions() - before, 1);
    assert_eq!(browser.session(&world.one())["reason"], "refresh_rejected");
    assert!(browser.session_cookie(&world.one()).is_some(), "no 401 deletes the cookie");
    assert_eq!(world.upstream.count(), 0);
    world.provider.heal(Some(world.client_id()));
    browser.sign_in(&world.one(), "ada");
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
}

#[test]
fn an_optional_route_goes_on_without_a_token_when_the_refresh_token_is_refused() {
    let mut setup = Setup::one_site();
    setup.sites[0].routes.push(vec!["path = \"/maybe\"".into(), "auth = \"optional\"".into()]);
    let (world, mut browser) = World::with_a_due_token(setup);
    world.provider.fault(&json!({ "client_id": world.client_id(), "path": "/token", "status": 400, "body": { "error": "invalid_grant" } }));
    for _ in 0..2 {
        assert_eq!(browser.get(&world.one(), "/maybe/x").status, 200);
        assert!(world.upstream.last().all("authorization").is_empty());
    }
    browser.get(&world.one(), "/api/x").refuses(401, "refresh_rejected");
}

#[test]
fn a_reload_to_another_issuer_sends_it_no_token_of_the_old_one() {
    let (world, mut browser) = World::with_a_due_token(Setup::one_site());
    let other = OidcProvider::start(0);
    world.setup.register(&other);
    let (old, new) = (world.provider.issuer(), other.issuer());
    world.rewrite(|text| text.replace(&old, &new));
    world.reload();
    browser.get(&world.one(), "/api/x").refuses(503, "provider_unavailable");
    assert!(browser.is_signed_in(&world.one()), "a configuration ends no session");
    world.rewrite(|text| text.replace(&new, &old));
    world.reload();
    let answer = eventually("the session should go on", || {
        Some(browser.get(&world.one(), "/api/x")).filter(|answer| answer.status != 503)
    });
    assert_eq!(answer.status, 200);
    assert_eq!(other.token_calls(world.client_id(), ""), 0, "the other issuer saw a refresh token");
}

#[test]
fn a_grant_revoked_at_the_provider_ends_the_session_at_the_next_refresh() {
    let mut setup = Setup::one_site();
    setup.access_ttl = 1;
    let world = World::with_own_provider(setup);
    let mut browser = world.signed_in();
    world.provider.revoke_grants("ada");
    let over = eventually("the session should end", || {
        Some(browser.get(&world.one(), "/api/x")).filter(|answer| answer.status != 200)
    });
    over.refuses(401, "refresh_rejected");
}

#[test]
fn a_provider_that_is_down_ends_nothing_and_the_next_refresh_works() {
    let faults = [
        json!({ "status": 500 }),
        json!({ "status": 503, "headers": { "retry-after": "1" } }),
        json!({ "status": 429, "body": { "message": "Too Many Attempts." } }),
        json!({ "drop": true }),
        json!({ "status": 502, "body": "<html>bad gateway" }),
    ];
    for fault in faults {
        let (world, mut browser) = World::with_a_due_token(Setup::one_site());
        let mut order = fault.clone();
        order["client_id"] = json!(world.client_id());
        order["path"] = json!("/token");
        world.provider.fault(&order);
        let answer = browser.get(&world.one(), "/api/x");
        answer.refuses(503, "provider_unavailable");
        assert!(answer.header("retry-after").is_some(), "{fault}");
        assert!(answer.all("set-cookie").is_empty(), "{fault}");
        assert!(browser.is_signed_in(&world.one()), "{fault}");
        assert_eq!(world.upstream.count(), 0);
        world.provider.heal(Some(world.client_id()));
        eventually("the refresh should work again", || {
            (browser.get(&world.one(), "/api/x").status == 200).then_some(())
        });
    }
}

#[test]
fn a_token_that_is_still_good_is_used_while_the_provider_is_down() {
    let mut setup = Setup::one_site();
    setup.access_ttl = 3;
    let world = World::of(setup);
    let mut browser = world.signed_in();
    world.provider.fault(&json!({ "client_id": world.client_id(), "path": "/token", "status": 503 }));
    let first = browser.get(&world.one(), "/api/x");
    assert_eq!(first.status, 200, "{}", first.text());
    let later = eventually("the token should run out", || {
        Some(browser.get(&world.one(), "/api/x")).filter(|answer| answer.status != 200)
    });
    later.refuses(503, "provider_unavailable");
    assert!(browser.is_signed_in(&world.one()));
}

#[test]
fn a_client_that_the_provider_refuses_alarms_and_ends_no_session() {
    let (world, mut browser) = World::with_a_due_token(Setup::one_site());
    world.provider.fault(&json!({ "client_id": world.client_id(), "path": "/token", "status": 401, "body": { "error": "invalid_client" } }));
    let answer = browser.get(&world.one(), "/api/x");
    assert_eq!((answer.status, answer.reason()), (503, "provider_unavailable"), "{}", answer.text());
    assert!(browser.is_signed_in(&world.one()));
    eventually("an operator should see it", || {
        world.gateway.process.output().to_lowercase().contains("error").then_some(())
    });
    world.provider.heal(Some(world.client_id()));
    eventually("the refresh should work again", || (browser.get(&world.one(), "/api/x").status == 200).then_some(()));
}

#[test]
fn a_slow_provider_is_waited_for_once() {
    let (world, browser) = World::with_a_due_token(Setup::one_site());
    world.provider.fault(&json!({ "client_id": world.client_id(), "path": "/token", "delay_ms": 1500 }));
    std::thread::scope(|scope| {
        let call = || browser.clone().get(&world.one(), "/api/x").status;
        let calls: Vec<_> = (0..5).map(|_| scope.spawn(call)).collect();
        for call in calls {
            assert_eq!(call.join().expect("an answer"), 200);
        }
    });
    assert_eq!(refreshes(&world), 1);
}

#[test]
fn a_browser_that_goes_away_does_not_stop_the_refresh() {
    let (world, browser) = World::with_a_due_token(Setup::one_site());
    world.provider.fault(&json!({ "client_id": world.client_id(), "path": "/token", "delay_ms": 500, "times": 1 }));
    let before = world.redemptions();
    let mut stream = TcpStream::connect(("127.0.0.1", world.setup.port)).expect("the gateway listens");
    stream.write_all(&world.own_request(&browser, "GET", "/api/x").bytes()).expect("the request can be written");
    eventually("the refresh should begin", || (world.redemptions() > before).then_some(()));
    drop(stream);
    eventually("the refresh should end", || (refreshes(&world) == 1).then_some(()));
    let mut browser = browser;
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    assert_eq!(refreshes(&world), 1, "the new token was kept");
}

#[test]
fn a_logout_during_a_refresh_stays_a_logout() {
    let (world, browser) = World::with_a_due_token(Setup::one_site());
    world.provider.fault(&json!({ "client_id": world.client_id(), "path": "/token", "delay_ms": 700, "times": 1 }));
    let before = world.redemptions();
    let mut thief = browser.clone();
    std::thread::scope(|scope| {
        let mut tab = browser.clone();
        let call = scope.spawn({
            let world = &world;
            move || tab.get(&world.one(), "/api/x").status
        });
        eventually("the refresh should begin", || (world.redemptions() > before).then_some(()));
        let mut other = browser.clone();
        assert_eq!(other.post(&world.one(), "/bff/logout").status, 200);
        assert_ne!(call.join().expect("an answer"), 500);
    });
    eventually("the refresh should end", || (refreshes(&world) == 1).then_some(()));
    for _ in 0..3 {
        thief.get(&world.one(), "/api/x").refuses(401, "revoked");
    }
}

#[test]
fn without_a_refresh_token_the_session_ends_with_the_token() {
    let mut setup = Setup::one_site();
    setup.access_ttl = 2;
    let world = World::of(setup);
    let site = &world.setup.sites[0];
    world.provider.register(&json!({
        "client_id": site.client_id, "client_secret": site.client_secret, "grant_types": ["authorization_code"],
        "redirect_uris": [format!("{}/bff/callback", world.one())], "test": { "access_ttl": 2 },
    }));
    let mut browser = world.signed_in();
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    let over = eventually("the session should end", || {
        Some(browser.get(&world.one(), "/api/x")).filter(|answer| answer.status != 200)
    });
    over.refuses(401, "expired");
}

#[test]
fn refreshes_survive_a_rotation_of_the_providers_keys() {
    let mut setup = Setup::one_site();
    setup.access_ttl = 1;
    let world = World::with_own_provider(setup);
    let mut browser = world.signed_in();
    world.provider.rotate_keys();
    eventually("a refresh should happen", || {
        assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
        (refreshes(&world) > 0).then_some(())
    });
    let mut other = Browser::new();
    other.sign_in(&world.one(), "grace");
    assert!(other.is_signed_in(&world.one()), "an unknown key is looked up anew");
}

/// How long after `since` a world's API sees the token after the first.
fn replaced_after(world: &World, browser: &mut Browser, since: Instant) -> Duration {
    eventually("a refreshed token should arrive", || {
        assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
        let requests = world.upstream.requests();
        (requests.last()?.bearer() != requests[0].bearer()).then(|| since.elapsed())
    })
}

#[test]
fn a_token_is_replaced_as_early_as_is_asked_for() {
    let world = |ttl, line: &str| {
        let mut setup = Setup::one_site();
        setup.access_ttl = ttl;
        setup.sites[0].provider.push(line.to_owned());
        World::of(setup)
    };
    // Half its life is as early as can be; by default it would be after eight seconds.
    let early = world(10, "refresh_before = \"9s\"");
    let mut browser = early.signed_in();
    let after = replaced_after(&early, &mut browser, Instant::now());
    assert!(after < Duration::from_millis(7500), "{after:?}");
    // By default it would be after 2.4.
    let late = world(3, "refresh_before = \"0s\"");
    let before_login = Instant::now();
    let mut browser = late.signed_in();
    let after = replaced_after(&late, &mut browser, before_login);
    assert!(after >= Duration::from_secs(3), "{after:?}");
    assert_eq!(late.provider.token_calls(late.client_id(), "refresh_token"), 1);
}
