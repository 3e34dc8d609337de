//! From when on a token's life is counted: from the call that brought it, whatever held it up since. Contract 6.4, 6.5.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{OidcProvider, Redis, Setup, Upstream, World, eventually, within};

#[test]
fn a_rotated_token_that_waits_for_the_store_is_not_used_beyond_its_end() {
    let redis = Redis::start();
    let mut setup = Setup::one_site();
    setup.access_ttl = 1;
    setup.store.extend([format!("url = \"{}\"", redis.url()), "grace = \"60s\"".into()]);
    let mut world = World::of(setup);
    let mut browser = world.signed_in();
    world.tokens_live(5);
    std::thread::sleep(Duration::from_millis(1100));
    world.provider.fault(&json!({ "client_id": world.client_id(), "path": "/token", "delay_ms": 700, "times": 1 }));
    let arrivals = || world.provider.token_arrivals(world.client_id());
    let mut tab = browser.clone();
    let first = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| tab.get(&world.one(), "/api/x"));
        eventually("the refresh should begin", || (arrivals() == 2).then_some(()));
        redis.freeze();
        waiting.join().expect("an answer")
    });
    assert_eq!(first.status, 200, "{} {}", first.reason(), first.text());
    let answered = Instant::now();
    let rotated = world.upstream.last().bearer().to_owned();
    let over = within(Duration::from_secs(8), "the token should be over", || {
        Some(browser.get(&world.one(), "/api/x")).filter(|answer| answer.status != 200)
    });
    over.refuses(503, "store_unavailable");
    assert!(answered.elapsed() < Duration::from_millis(6500), "used for {:?}", answered.elapsed());
    assert_eq!(arrivals(), 2);
    redis.thaw();
    eventually("the session should go on", || (browser.get(&world.one(), "/api/x").status == 200).then_some(()));
    assert_ne!(world.upstream.last().bearer(), rotated, "a token that was over was taken for a fresh one");
    assert_eq!(arrivals(), 3, "the rotated refresh token was kept");
    assert_eq!(world.provider.ledger(world.client_id())["refused"], 0);
}

#[test]
fn a_slow_user_endpoint_makes_the_token_of_a_login_no_younger() {
    let mut setup = Setup::one_site();
    setup.access_ttl = 4;
    setup.sites[0].provider.push("userinfo = true".into());
    let world = World::with(setup, Arc::new(OidcProvider::start_with(&json!({ "slim": true }))), Upstream::start());
    world.provider.fault(&json!({ "path": "/me", "delay_ms": 3000 }));
    let mut browser = world.signed_in();
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    let first = world.upstream.last().bearer().to_owned();
    // Its four seconds are over by now, of which the login took three.
    std::thread::sleep(Duration::from_millis(1600));
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    assert_ne!(world.upstream.last().bearer(), first, "a token that was over was used");
}
