//! A provider that takes longer than anybody wants to wait: one call, and nobody waits in vain. Contract 6.3 to 6.5.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Browser, Response, Setup, World, send_within};

/// What a login has cost.
const LOGIN: usize = 1;

/// How long a request waits at most for a refresh, by default.
const WAIT: Duration = Duration::from_secs(25);

fn with_a_due_token(lines: &[&str]) -> (World, Browser) {
    let mut setup = Setup::one_site();
    setup.sites[0].provider.extend(lines.iter().map(|line| (*line).to_owned()));
    World::with_a_due_token(setup)
}

fn takes(world: &World, time: Duration) {
    world
        .provider
        .fault(&json!({ "client_id": world.client_id(), "path": "/token", "late_ms": time.as_millis() as u64 }));
}

fn refreshes(world: &World) -> usize {
    world.provider.token_arrivals(world.client_id()) - LOGIN
}

fn timed(world: &World, browser: &Browser) -> (Response, Duration) {
    let began = Instant::now();
    let answer = send_within(2 * WAIT, world.setup.port, &world.own_request(browser, "GET", "/api/x"));
    (answer, began.elapsed())
}

#[test]
fn a_provider_slower_than_its_timeout_is_asked_once_and_all_go_on_with_the_new_token() {
    let (world, browser) = with_a_due_token(&["timeout = \"1s\""]);
    takes(&world, Duration::from_secs(5));
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..10).map(|_| scope.spawn(|| timed(&world, &browser))).collect();
        for call in calls {
            let (answer, took) = call.join().expect("an answer");
            assert_eq!(answer.status, 200, "{} {}", answer.reason(), answer.text());
            assert!(took > Duration::from_secs(4), "{took:?}");
        }
    });
    assert_eq!(refreshes(&world), 1);
    assert_eq!(world.provider.ledger(world.client_id())["refused"], 0);
    assert_eq!(world.upstream.last().bearer(), world.provider.latest(world.client_id(), "access_token"));
}

#[test]
fn a_request_waits_for_a_while_and_the_next_one_joins_the_same_refresh() {
    let (world, browser) = with_a_due_token(&[]);
    takes(&world, WAIT + Duration::from_secs(3));
    let (answer, took) = timed(&world, &browser);
    answer.refuses(503, "provider_unavailable");
    assert!(answer.header("retry-after").is_some() && answer.all("set-cookie").is_empty());
    assert!(took >= WAIT && took < WAIT + Duration::from_secs(2), "{took:?}");
    let (answer, took) = timed(&world, &browser);
    assert_eq!(answer.status, 200, "{} {}", answer.reason(), answer.text());
    assert!(took > Duration::from_secs(1), "{took:?}");
    assert_eq!(refreshes(&world), 1);
}

#[test]
fn nobody_waits_for_a_provider_that_hangs_while_the_token_is_good() {
    let mut setup = Setup::one_site();
    setup.access_ttl = 20;
    let world = World::of(setup);
    let browser = world.signed_in();
    let signed_in = Instant::now();
    takes(&world, Duration::from_secs(60));
    // A fifth of the token's life is left, and then less than two of its twenty seconds.
    for moment in [Duration::from_millis(16_500), Duration::from_millis(18_100)] {
        std::thread::sleep(moment.saturating_sub(signed_in.elapsed()));
        let (answer, took) = timed(&world, &browser);
        assert_eq!(answer.status, 200, "{moment:?}: {} {}", answer.reason(), answer.text());
        assert!(took < Duration::from_millis(700), "after {moment:?} a call waited {took:?}");
    }
    assert_eq!(refreshes(&world), 1);
}
