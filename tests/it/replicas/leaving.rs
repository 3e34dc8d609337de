//! Someone leaves while a refresh runs elsewhere: the user, the browser, or the process itself. Contract 6.3 and 6.7.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{LOGIN, is_fine, is_over, patient, with_a_due_token};
use crate::support::{Redis, Request, eventually, send};

#[test]
fn a_logout_on_one_replica_beats_a_refresh_on_another_and_the_new_token_is_given_back() {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(3, &redis, patient());
    replicas.token_fault(json!({ "late_ms": 2000, "times": 1 }));
    std::thread::scope(|scope| {
        let refreshing = scope.spawn(|| replicas.get(1, &browser, "/api/x"));
        replicas.wait_for_refreshes(LOGIN, 1);
        let out = replicas.post(0, &browser, "/bff/logout");
        assert_eq!(out.status, 200, "{}", out.text());
        is_over(&replicas.get(2, &browser, "/api/x"), "revoked");
        is_over(&refreshing.join().expect("an answer"), "revoked");
    });
    let provider = &replicas.world.provider;
    let newest = provider.latest(replicas.world.client_id(), "refresh_token");
    eventually("the new refresh token should be given back", || {
        provider.revoked(replicas.world.client_id()).contains(&newest).then_some(())
    });
    for number in 0..3 {
        is_over(&replicas.get(number, &browser, "/api/x"), "revoked");
    }
    assert_eq!(replicas.refreshes(LOGIN), 1);
    assert_eq!(replicas.world.upstream.count(), 0, "a session that ended calls nothing");
    let site = &replicas.world.setup.sites[0];
    let basic = STANDARD.encode(format!("{}:{}", site.client_id, site.client_secret));
    let thief = Request::new("POST", "/token").header("Host", "127.0.0.1");
    let thief = thief.header("Authorization", format!("Basic {basic}"));
    let thief = thief.header("Content-Type", "application/x-www-form-urlencoded");
    let thief = thief.body(format!("grant_type=refresh_token&refresh_token={newest}"));
    assert_eq!(send(provider.port, &thief).json()["error"], "invalid_grant", "the provider knows it no more");
}

#[test]
fn a_browser_that_goes_away_leaves_the_refresh_to_the_next_replica() {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(2, &redis, patient());
    replicas.token_fault(json!({ "late_ms": 1500, "times": 1 }));
    let caller = replicas.begin(0, &browser, "/api/gone");
    replicas.wait_for_refreshes(LOGIN, 1);
    drop(caller);
    is_fine(&replicas.get(1, &browser, "/api/x"));
    let newest = replicas.world.provider.latest(replicas.world.client_id(), "access_token");
    for number in 0..2 {
        assert_eq!(replicas.bearer(number, &browser), newest);
    }
    assert_eq!(replicas.refreshes(LOGIN), 1, "the work of the one who left is used");
}

#[test]
fn a_process_told_to_stop_during_a_refresh_loses_nothing() {
    let redis = Redis::start();
    let (mut replicas, browser) = with_a_due_token(2, &redis, patient());
    replicas.token_fault(json!({ "late_ms": 2000, "times": 1 }));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| replicas.get(0, &browser, "/api/x"));
        replicas.wait_for_refreshes(LOGIN, 1);
        replicas.gateway(0).process.signal("TERM");
        is_fine(&waiting.join().expect("what runs is finished"));
    });
    replicas.world.gateway.process.wait(Duration::from_secs(15));
    let newest = replicas.world.provider.latest(replicas.world.client_id(), "access_token");
    assert_eq!(replicas.bearer(1, &browser), newest);
    assert_eq!(replicas.refreshes(LOGIN), 1);
}

#[test]
fn a_process_told_to_stop_stores_a_token_that_nobody_waits_for() {
    let redis = Redis::start();
    let (mut replicas, browser) = with_a_due_token(2, &redis, patient());
    replicas.token_fault(json!({ "late_ms": 2000, "times": 1 }));
    let caller = replicas.begin(0, &browser, "/api/gone");
    replicas.wait_for_refreshes(LOGIN, 1);
    drop(caller);
    replicas.world.gateway.process.signal("TERM");
    replicas.world.gateway.process.wait(Duration::from_secs(15));
    let newest = replicas.world.provider.latest(replicas.world.client_id(), "access_token");
    assert_eq!(replicas.bearer(1, &browser), newest, "the rotated token was lost with the process");
    assert_eq!(replicas.refreshes(LOGIN), 1);
}

#[test]
fn a_rotated_token_waits_in_memory_until_the_store_is_back() {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(2, &redis, patient());
    replicas.token_fault(json!({ "late_ms": 1000, "times": 1 }));
    let caller = replicas.begin(0, &browser, "/api/gone");
    replicas.wait_for_refreshes(LOGIN, 1);
    redis.freeze();
    std::thread::sleep(Duration::from_millis(2500));
    redis.thaw();
    drop(caller);
    let newest = replicas.world.provider.latest(replicas.world.client_id(), "access_token");
    eventually("the next replica should use the rotated token", || {
        let answer = replicas.get(1, &browser, "/api/x");
        assert_ne!(answer.status, 401, "{}", answer.text());
        (answer.status == 200).then_some(())
    });
    assert_eq!(replicas.bearer(1, &browser), newest);
    assert_eq!(replicas.refreshes(LOGIN), 1);
}
