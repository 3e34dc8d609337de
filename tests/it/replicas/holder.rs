//! The replica that refreshes is killed, or stopped for longer than its lease lasts: contract 6.3 and 6.7.

use std::io::Read as _;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{LOGIN, is_fine, is_over, patient, with_a_due_token};
use crate::support::{Browser, Redis, Replicas, Response};

/// Nobody may wait longer than a lease and a call to a provider that answers.
const BOUND: Duration = Duration::from_secs(15);

/// Starts a refresh on replica 0 and returns when the provider has been asked.
fn holder(replicas: &Replicas, browser: &Browser) -> std::net::TcpStream {
    let caller = replicas.begin(0, browser, "/api/holder");
    replicas.wait_for_refreshes(LOGIN, 1);
    caller
}

/// The first line of what a waiting caller got in the end.
fn status_line(mut caller: std::net::TcpStream) -> String {
    caller.set_read_timeout(Some(BOUND)).expect("a timeout can be set");
    let mut answer = Vec::new();
    let _ = caller.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

#[track_caller]
fn all_within_bound(answers: &[(Response, Duration)]) {
    let slowest = answers.iter().map(|(_, took)| *took).max().expect("there are answers");
    assert!(slowest < BOUND, "the last one waited {slowest:?}");
}

#[test]
fn the_holder_killed_before_the_provider_did_anything_costs_one_more_call() {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(3, &redis, patient());
    replicas.token_fault(json!({ "delay_ms": 4000, "drop": true, "times": 1 }));
    let caller = holder(&replicas, &browser);
    replicas.gateway(0).process.signal("KILL");
    let answers = replicas.storm_on(&[1, 2], 60, &browser, "/api/x");
    for (answer, _) in &answers {
        is_fine(answer);
    }
    all_within_bound(&answers);
    assert_eq!(replicas.refreshes(LOGIN), 2);
    assert_eq!(status_line(caller), "", "a dead process answers nobody");
    let newest = replicas.world.provider.latest(replicas.world.client_id(), "access_token");
    assert!(replicas.world.upstream.requests().iter().all(|asked| asked.bearer() == newest));
    assert_eq!(replicas.world.provider.ledger(replicas.world.client_id())["refused"], 0);
}

#[test]
fn the_holder_killed_after_the_provider_rotated_costs_one_more_call_and_its_verdict_stands() {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(3, &redis, patient());
    replicas.token_fault(json!({ "late_ms": 4000, "times": 1 }));
    let _caller = holder(&replicas, &browser);
    replicas.gateway(0).process.signal("KILL");
    let answers = replicas.storm_on(&[1, 2], 60, &browser, "/api/x");
    for (answer, _) in &answers {
        is_over(answer, "refresh_rejected");
    }
    all_within_bound(&answers);
    assert_eq!(replicas.refreshes(LOGIN), 2);
    assert_eq!(replicas.world.upstream.count(), 0);
}

#[test]
fn calls_that_wait_already_when_the_holder_dies_are_answered_too() {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(3, &redis, patient());
    replicas.token_fault(json!({ "delay_ms": 4000, "drop": true, "times": 1 }));
    let _caller = holder(&replicas, &browser);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| replicas.storm_on(&[1, 2], 40, &browser, "/api/x"));
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(replicas.refreshes(LOGIN), 1, "there are never two holders");
        replicas.gateway(0).process.signal("KILL");
        let answers = waiting.join().expect("every call gets an answer");
        for (answer, _) in &answers {
            is_fine(answer);
        }
        all_within_bound(&answers);
    });
    assert_eq!(replicas.refreshes(LOGIN), 2);
}

/// Stops replica 0 while it holds the lease, lets another one refresh in its place, and lets it go on.
fn stopped_beyond_its_lease(first: serde_json::Value, second: Option<serde_json::Value>) -> (Redis, Replicas, Browser) {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(3, &redis, patient());
    if let Some(second) = second {
        replicas.token_fault(second);
    }
    replicas.token_fault(first);
    let caller = holder(&replicas, &browser);
    replicas.gateway(0).process.signal("STOP");
    let start = Instant::now();
    let in_its_place = replicas.get(1, &browser, "/api/in-its-place");
    assert!(start.elapsed() < BOUND);
    assert_eq!(replicas.refreshes(LOGIN), 2, "one more call, and only after the lease was over");
    replicas.gateway(0).process.signal("CONT");
    let woken = status_line(caller);
    let expected = format!("HTTP/1.1 {}", in_its_place.status);
    assert!(woken.starts_with(&expected), "the stopped one answers {woken:?}, the other one {expected:?}");
    (redis, replicas, browser)
}

#[test]
fn a_stopped_holder_goes_on_with_what_was_stored_meanwhile() {
    let (_redis, replicas, browser) =
        stopped_beyond_its_lease(json!({ "delay_ms": 1000, "drop": true, "times": 1 }), None);
    let newest = replicas.world.provider.latest(replicas.world.client_id(), "access_token");
    for number in [0, 1, 2, 0] {
        assert_eq!(replicas.bearer(number, &browser), newest);
    }
    assert_eq!(replicas.refreshes(LOGIN), 2, "the old refresh token was not sent a third time");
    assert_eq!(replicas.world.provider.ledger(replicas.world.client_id())["refused"], 0);
}

#[test]
fn a_stopped_holder_believes_no_verdict_on_a_token_that_was_replaced_meanwhile() {
    let refused = json!({ "status": 400, "body": { "error": "invalid_grant" }, "delay_ms": 1000, "times": 1 });
    let (_redis, replicas, browser) = stopped_beyond_its_lease(refused, None);
    let newest = replicas.world.provider.latest(replicas.world.client_id(), "access_token");
    for number in [0, 1, 2, 0] {
        assert_eq!(replicas.bearer(number, &browser), newest);
    }
    assert_eq!(replicas.refreshes(LOGIN), 2);
}

#[test]
fn a_stopped_holder_does_not_write_over_what_was_stored_meanwhile() {
    let tokens = |name: &str| {
        json!({
            "access_token": format!("{name}-access"), "refresh_token": format!("{name}-refresh"),
            "token_type": "bearer", "expires_in": 3600,
        })
    };
    let first = json!({ "status": 200, "body": tokens("first"), "delay_ms": 1000, "times": 1 });
    let second = json!({ "status": 200, "body": tokens("second") });
    let (_redis, replicas, browser) = stopped_beyond_its_lease(first, Some(second));
    for number in [0, 1, 2, 0] {
        assert_eq!(replicas.bearer(number, &browser), "second-access", "two results were stored");
    }
    assert_eq!(replicas.refreshes(LOGIN), 2);
}

#[test]
fn a_stopped_holder_does_not_bring_back_what_ended_meanwhile() {
    let (_redis, replicas, browser) = stopped_beyond_its_lease(json!({ "late_ms": 1000, "times": 1 }), None);
    for number in [0, 1, 2, 0] {
        is_over(&replicas.get(number, &browser, "/api/x"), "refresh_rejected");
    }
    assert_eq!(replicas.refreshes(LOGIN), 2);
    let bearers = replicas.world.upstream.count();
    assert_eq!(bearers, 0, "no call went through after the end");
}
