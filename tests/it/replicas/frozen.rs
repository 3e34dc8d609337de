//! A Redis that stands still for longer than a lease while somebody holds one: contract 6.3 and 6.7.

use std::time::Duration;

use serde_json::json;

use super::{LOGIN, is_an_outage, is_fine, patient, with_a_due_token};
use crate::support::{Browser, Redis, Replicas, Response, eventually};

/// Longer than a lease lasts without a sign of life of its holder.
const BEYOND_A_LEASE: Duration = Duration::from_millis(5500);

/// What a replica answers once it can ask its store again.
fn answered(replicas: &Replicas, number: usize, browser: &Browser) -> Response {
    eventually("the store should be asked again", || {
        let answer = replicas.get(number, browser, "/api/x");
        if answer.status == 503 {
            is_an_outage(&answer, "store_unavailable");
            return None;
        }
        Some(answer)
    })
}

/// A refresh on replica 0 that the provider answers after `provider`, and a Redis that stands still meanwhile.
fn frozen_during_a_refresh(provider: Duration) {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(3, &redis, patient());
    replicas.token_fault(json!({ "late_ms": provider.as_millis(), "times": 1 }));
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| replicas.get(0, &browser, "/api/holder"));
        replicas.wait_for_refreshes(LOGIN, 1);
        let waiting = scope.spawn(|| replicas.get(1, &browser, "/api/waiting"));
        std::thread::sleep(Duration::from_millis(300));
        redis.freeze();
        std::thread::sleep(BEYOND_A_LEASE);
        redis.thaw();
        let later: Vec<_> = [1, 2]
            .map(|number| {
                scope.spawn({
                    let (replicas, browser) = (&replicas, &browser);
                    move || answered(replicas, number, browser)
                })
            })
            .into_iter()
            .collect();
        for answer in later {
            is_fine(&answer.join().expect("an answer"));
        }
        is_fine(&holder.join().expect("an answer"));
        let waited = waiting.join().expect("an answer");
        if waited.status != 200 {
            is_an_outage(&waited, "store_unavailable");
        }
    });
    assert_eq!(replicas.refreshes(LOGIN), 1, "there are never two holders");
    let newest = replicas.world.provider.latest(replicas.world.client_id(), "access_token");
    for number in 0..3 {
        assert_eq!(replicas.bearer(number, &browser), newest);
    }
    assert_eq!(replicas.refreshes(LOGIN), 1);
    assert_eq!(replicas.world.provider.ledger(replicas.world.client_id())["refused"], 0);
}

#[test]
fn a_store_frozen_longer_than_a_lease_makes_no_second_holder() {
    frozen_during_a_refresh(Duration::from_millis(14_000));
}

#[test]
fn a_token_that_waited_for_a_frozen_store_is_stored_before_anybody_else_asks() {
    frozen_during_a_refresh(Duration::from_millis(2000));
}

/// Replica 0 is stopped over a refusal, replica 1 gets a token in its place, and then replica 0 wakes up while the store
/// cannot say so.
#[test]
fn a_refusal_that_the_store_cannot_be_asked_about_does_not_end_what_is_newer() {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(3, &redis, patient());
    let refused = json!({ "status": 400, "body": { "error": "invalid_grant" }, "delay_ms": 1000, "times": 1 });
    replicas.token_fault(refused);
    let _caller = replicas.begin(0, &browser, "/api/holder");
    replicas.wait_for_refreshes(LOGIN, 1);
    replicas.gateway(0).process.signal("STOP");
    is_fine(&replicas.get(1, &browser, "/api/in-its-place"));
    redis.freeze();
    replicas.gateway(0).process.signal("CONT");
    std::thread::sleep(Duration::from_millis(2500));
    is_an_outage(&replicas.get(0, &browser, "/api/x"), "store_unavailable");
    redis.thaw();
    for number in [1, 2, 0] {
        is_fine(&answered(&replicas, number, &browser));
    }
    std::thread::sleep(Duration::from_millis(2500));
    let newest = replicas.world.provider.latest(replicas.world.client_id(), "access_token");
    for number in 0..3 {
        assert_eq!(replicas.bearer(number, &browser), newest);
    }
    assert_eq!(replicas.refreshes(LOGIN), 2);
}

/// The same refusal when nothing is newer: it is the end, as soon as the store can be told.
#[test]
fn a_refusal_during_an_outage_ends_the_session_when_the_store_is_back_and_the_provider_is_asked_once() {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(2, &redis, patient());
    let refused = json!({ "status": 400, "body": { "error": "invalid_grant" }, "delay_ms": 1500 });
    replicas.token_fault(refused);
    let _caller = replicas.begin(0, &browser, "/api/holder");
    replicas.wait_for_refreshes(LOGIN, 1);
    redis.freeze();
    std::thread::sleep(Duration::from_millis(2500));
    is_an_outage(&replicas.get(0, &browser, "/api/x"), "store_unavailable");
    redis.thaw();
    for number in [0, 1] {
        super::is_over(&answered(&replicas, number, &browser), "refresh_rejected");
    }
    assert_eq!(replicas.refreshes(LOGIN), 1);
}
