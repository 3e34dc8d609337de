//! A provider that is down: a token that is still good is used, and nobody hammers it. Contract 6.5.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{LOGIN, is_an_outage, is_fine, patient, with_a_due_token};
use crate::support::{Redis, Replicas, eventually};

/// How long a failed refresh is remembered.
const COOL_DOWN: Duration = Duration::from_secs(2);

#[test]
fn a_due_token_that_is_still_good_is_used_and_then_the_outage_shows() {
    let redis = Redis::start();
    let mut setup = patient();
    setup.access_ttl = 10;
    let replicas = Replicas::start(3, &redis, "0s", setup);
    // The token is issued somewhere between these two moments.
    let before = Instant::now();
    let browser = replicas.world.signed_in();
    let after = Instant::now();
    let token = replicas.bearer(0, &browser);
    replicas.token_fault(json!({ "status": 503 }));
    // To the last tenth of the token's life: due, and still good.
    std::thread::sleep(Duration::from_millis(9200).saturating_sub(before.elapsed()));
    for (answer, took) in replicas.storm(100, &browser, "/api/due") {
        is_fine(&answer);
        assert!(took < Duration::from_secs(1), "a dead provider cost {took:?}");
    }
    let asked = replicas.world.upstream.requests();
    assert_eq!(asked.iter().filter(|asked| asked.target == "/api/due" && asked.bearer() == token).count(), 100);
    let calls = replicas.refreshes(LOGIN);
    assert!((1..=2).contains(&calls), "a hundred calls, {calls} to the provider");
    std::thread::sleep(Duration::from_millis(10_200).saturating_sub(after.elapsed()));
    is_an_outage(&replicas.get(1, &browser, "/api/x"), "provider_unavailable");
    let mut tab = replicas.tab(2, &browser);
    assert!(tab.is_signed_in(&replicas.site()), "an outage ends nothing");
    replicas.heal();
    eventually("the refresh should work again", || (replicas.get(2, &browser, "/api/x").status == 200).then_some(()));
}

#[test]
fn an_expired_token_is_a_503_and_three_replicas_ask_once_per_cool_down() {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(3, &redis, patient());
    replicas.token_fault(json!({ "status": 500, "body": "<html>oops" }));
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        for (answer, took) in replicas.storm(30, &browser, "/api/x") {
            is_an_outage(&answer, "provider_unavailable");
            assert!(took < Duration::from_secs(2), "a dead provider cost {took:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let times = replicas.world.provider.token_arrival_times(replicas.world.client_id());
    let gaps: Vec<u64> = times[LOGIN..].windows(2).map(|pair| pair[1] - pair[0]).collect();
    let shortest = COOL_DOWN.as_millis() as u64 - 200;
    assert!(gaps.iter().all(|gap| *gap >= shortest), "the provider was asked again after {gaps:?} ms");
    assert_eq!(replicas.world.upstream.count(), 0);
    replicas.heal();
    eventually("the refresh should work again", || (replicas.get(0, &browser, "/api/x").status == 200).then_some(()));
    for number in 0..3 {
        is_fine(&replicas.get(number, &browser, "/api/x"));
    }
    let ledger = replicas.world.provider.ledger(replicas.world.client_id());
    assert_eq!(ledger["grants"]["refresh_token"], 1, "the one that worked");
}

#[test]
fn a_client_that_the_provider_refuses_ends_nothing_on_any_replica() {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(2, &redis, patient());
    replicas.token_fault(json!({ "status": 401, "body": { "error": "invalid_client" } }));
    for (answer, _) in replicas.storm(20, &browser, "/api/x") {
        is_an_outage(&answer, "provider_unavailable");
    }
    assert_eq!(replicas.refreshes(LOGIN), 1);
    replicas.heal();
    for number in 0..2 {
        eventually("the refresh should work again", || {
            (replicas.get(number, &browser, "/api/x").status == 200).then_some(())
        });
    }
}
