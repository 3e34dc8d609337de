//! One refresh over all replicas, however slow the provider, and what a lost answer comes to: contract 6.3.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::{LOGIN, is_an_outage, is_fine, is_over, patient, with_a_due_token};
use crate::support::{Redis, Setup, eventually};

/// New tokens as a provider without rotation detection would hand them out.
fn tokens(name: &str) -> Value {
    json!({
        "access_token": format!("{name}-access"), "refresh_token": format!("{name}-refresh"),
        "token_type": "bearer", "expires_in": 3600,
    })
}

/// Three hundred calls on three replicas find the token over; the provider rotates, detects reuse and takes its time.
fn three_hundred_calls(setup: Setup, slow: Duration) {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(3, &redis, setup);
    replicas.token_fault(json!({ "delay_ms": slow.as_millis() as u64 }));
    let answers = replicas.storm(300, &browser, "/api/x");
    for (answer, _) in &answers {
        is_fine(answer);
    }
    let slowest = answers.iter().map(|(_, took)| *took).max().expect("there are answers");
    assert!(slowest < slow + Duration::from_secs(4), "the last one waited {slowest:?}");
    assert_eq!(replicas.refreshes(LOGIN), 1);
    let provider = &replicas.world.provider;
    assert_eq!(provider.ledger(replicas.world.client_id())["refused"], 0, "no refresh token was used twice");
    let newest = provider.latest(replicas.world.client_id(), "access_token");
    let asked = replicas.world.upstream.requests();
    assert_eq!(asked.len(), 300);
    let bearers: HashSet<&str> = asked.iter().map(|asked| asked.bearer()).collect();
    assert_eq!(bearers, HashSet::from([newest.as_str()]), "all go on with the new token");
    for number in 0..3 {
        assert_eq!(replicas.bearer(number, &browser), newest);
    }
    assert_eq!(replicas.refreshes(LOGIN), 1);
}

#[test]
fn three_hundred_calls_over_three_replicas_refresh_once() {
    three_hundred_calls(patient(), Duration::ZERO);
}

#[test]
fn three_hundred_calls_over_three_replicas_refresh_once_at_a_provider_that_takes_seven_seconds() {
    three_hundred_calls(patient(), Duration::from_secs(7));
}

#[test]
fn three_hundred_calls_over_three_replicas_refresh_once_at_a_provider_that_takes_twelve_seconds() {
    // Longer than `timeout`, which is not about refreshes.
    three_hundred_calls(Setup::one_site(), Duration::from_secs(12));
}

#[test]
fn rotated_tokens_are_used_in_their_turn_on_whatever_replica() {
    let redis = Redis::start();
    let mut setup = patient();
    setup.access_ttl = 1;
    let replicas = crate::support::Replicas::start(2, &redis, "0s", setup);
    let browser = replicas.world.signed_in();
    eventually("five refreshes should happen", || {
        for (answer, _) in replicas.storm(8, &browser, "/api/x") {
            is_fine(&answer);
        }
        (replicas.refreshes(LOGIN) >= 5).then_some(())
    });
    let ledger = replicas.world.provider.ledger(replicas.world.client_id());
    assert_eq!(ledger["refused"], 0, "a refresh token was used twice");
}

#[test]
fn an_early_refresh_is_one_as_well_and_nobody_waits_for_it() {
    let redis = Redis::start();
    let mut setup = patient();
    setup.access_ttl = 10;
    let mut replicas = crate::support::Replicas::start(2, &redis, "0s", setup);
    let browser = replicas.world.signed_in();
    let old = replicas.bearer(0, &browser);
    replicas.world.tokens_live(3600);
    replicas.token_fault(json!({ "delay_ms": 3000 }));
    // Into the last fifth of the token's life, where it is still good.
    std::thread::sleep(Duration::from_millis(8200));
    for (answer, took) in replicas.storm(20, &browser, "/api/early") {
        is_fine(&answer);
        assert!(took < Duration::from_secs(2), "a call waited {took:?} while the old token was good");
    }
    let asked = replicas.world.upstream.requests();
    assert!(asked.iter().filter(|asked| asked.target == "/api/early").all(|asked| asked.bearer() == old));
    let newest = eventually("the new token should be used", || {
        let bearer = replicas.bearer(1, &browser);
        (bearer != old).then_some(bearer)
    });
    assert_eq!(newest, replicas.world.provider.latest(replicas.world.client_id(), "access_token"));
    assert_eq!(replicas.refreshes(LOGIN), 1);
}

#[test]
fn a_lost_answer_costs_one_more_try_and_a_provider_that_forgives_goes_on() {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(2, &redis, patient());
    replicas.token_fault(json!({ "status": 200, "body": tokens("second"), "times": 1 }));
    replicas.token_fault(json!({ "lose_answer": true, "times": 1 }));
    for (answer, _) in replicas.storm(20, &browser, "/api/x") {
        is_fine(&answer);
    }
    assert_eq!(replicas.refreshes(LOGIN), 2);
    for number in 0..2 {
        assert_eq!(replicas.bearer(number, &browser), "second-access");
    }
}

#[test]
fn a_lost_answer_costs_one_more_try_and_a_provider_that_does_not_forgive_ends_the_session() {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(2, &redis, patient());
    replicas.token_fault(json!({ "lose_answer": true, "times": 1 }));
    for (answer, _) in replicas.storm(20, &browser, "/api/x") {
        is_over(&answer, "refresh_rejected");
    }
    for number in 0..2 {
        is_over(&replicas.get(number, &browser, "/api/x"), "refresh_rejected");
    }
    assert_eq!(replicas.refreshes(LOGIN), 2, "asked twice: once unanswered, once refused");
    assert_eq!(replicas.world.upstream.count(), 0);
}

#[test]
fn two_lost_answers_end_nothing() {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(2, &redis, patient());
    // Nothing is done, nothing is answered: the refresh token is as good as before, which the gateway cannot know.
    replicas.token_fault(json!({ "drop": true, "times": 2 }));
    for (answer, _) in replicas.storm(20, &browser, "/api/x") {
        is_an_outage(&answer, "provider_unavailable");
    }
    assert_eq!(replicas.refreshes(LOGIN), 2);
    eventually("the refresh should work again", || {
        let answer = replicas.get(1, &browser, "/api/x");
        (answer.status == 200).then_some(())
    });
    assert_eq!(replicas.refreshes(LOGIN), 3);
}

#[test]
fn a_refused_refresh_token_is_tried_once_over_all_replicas() {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(3, &redis, patient());
    replicas.token_fault(json!({ "status": 400, "body": { "error": "invalid_grant" }, "delay_ms": 300 }));
    for (answer, _) in replicas.storm(30, &browser, "/api/x") {
        is_over(&answer, "refresh_rejected");
    }
    for number in 0..3 {
        is_over(&replicas.get(number, &browser, "/api/x"), "refresh_rejected");
        let mut tab = replicas.tab(number, &browser);
        assert_eq!(tab.session(&replicas.site())["reason"], "refresh_rejected");
        assert!(tab.session_cookie(&replicas.site()).is_some(), "no 401 deletes the cookie");
    }
    assert_eq!(replicas.refreshes(LOGIN), 1);
    assert_eq!(replicas.world.upstream.count(), 0);
}
