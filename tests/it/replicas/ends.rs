//! Ended means ended everywhere, with the reason: contract 6.10.

use std::time::{Duration, Instant};

use super::{is_fine, is_over, patient};
use crate::support::{Browser, Redis, Replicas, within};

/// The promise is two seconds; what it takes is a message.
const PROMISED: Duration = Duration::from_secs(2);
const USUAL: Duration = Duration::from_millis(250);

/// Every thread of every replica has seen the session, so that whatever remembers it does.
fn warm(replicas: &Replicas, browser: &Browser) {
    for (answer, _) in replicas.storm(20 * replicas.count(), browser, "/api/warm") {
        is_fine(&answer);
    }
}

/// From now until no thread of this replica lets the session through any more.
fn ends_within(replicas: &Replicas, number: usize, browser: &Browser, reason: &str) -> Duration {
    let start = Instant::now();
    within(PROMISED, "the end should be seen on the other replica", || {
        (0..8)
            .all(|_| {
                let answer = replicas.get(number, browser, "/api/x");
                assert!(matches!(answer.status, 200 | 401), "{}", answer.text());
                answer.status == 401
            })
            .then_some(())
    });
    let took = start.elapsed();
    for _ in 0..8 {
        is_over(&replicas.get(number, browser, "/api/x"), reason);
    }
    took
}

#[test]
fn a_logout_is_seen_on_the_other_replicas_at_once() {
    let redis = Redis::start();
    let replicas = Replicas::start(3, &redis, "30s", patient());
    let mut took = Vec::new();
    for round in 0..10 {
        let browser = replicas.world.signed_in();
        warm(&replicas, &browser);
        assert_eq!(replicas.post(round, &browser, "/bff/logout").status, 200);
        took.push(ends_within(&replicas, round + 1, &browser, "revoked"));
        ends_within(&replicas, round + 2, &browser, "revoked");
        let mut tab = replicas.tab(round + 1, &browser);
        assert_eq!(tab.session(&replicas.site())["reason"], "revoked");
    }
    took.sort_unstable();
    assert!(took[took.len() / 2] < USUAL, "an end takes a message, not a timeout: {took:?}");
}

#[test]
fn a_changed_session_is_seen_on_the_other_replicas() {
    let redis = Redis::start();
    let replicas = Replicas::start(2, &redis, "30s", patient());
    let browser = replicas.world.signed_in();
    warm(&replicas, &browser);
    std::thread::sleep(Duration::from_millis(2100));
    let left = |number: usize| {
        let mut tab = replicas.tab(number, &browser);
        tab.session(&replicas.site())["idle_expires_in"].as_u64().expect("a signed-in session")
    };
    let before = left(1);
    assert!(before < 1799);
    assert_eq!(replicas.post(0, &browser, "/bff/session/extend").status, 200);
    within(PROMISED, "the longer life should be seen", || (left(1) > before).then_some(()));
}

#[test]
fn logout_everywhere_ends_the_sessions_of_one_user_on_all_replicas() {
    let redis = Redis::start();
    let replicas = Replicas::start(2, &redis, "30s", patient());
    let browsers = [replicas.world.signed_in(), replicas.world.signed_in(), replicas.world.signed_in()];
    let mut grace = Browser::new();
    grace.sign_in(&replicas.site(), "grace");
    for browser in &browsers {
        warm(&replicas, browser);
    }
    assert_eq!(replicas.post(0, &browsers[0], "/bff/logout?everywhere=true").status, 200);
    for browser in &browsers {
        for number in 0..2 {
            ends_within(&replicas, number, browser, "revoked");
        }
    }
    is_fine(&replicas.get(1, &grace, "/api/x"));
}

#[test]
fn idle_ends_a_session_on_every_replica_and_activity_on_any_of_them_counts() {
    let redis = Redis::start();
    let mut setup = patient();
    setup.sites[0].session.push("idle = \"3s\"".into());
    let replicas = Replicas::start(3, &redis, "30s", setup);
    let browser = replicas.world.signed_in();
    let start = Instant::now();
    let mut turn = 0;
    while start.elapsed() < Duration::from_secs(5) {
        is_fine(&replicas.get(turn, &browser, "/api/x"));
        turn += 1;
        std::thread::sleep(Duration::from_millis(400));
    }
    std::thread::sleep(Duration::from_millis(3100));
    for number in [0, 1, 2, 0] {
        is_over(&replicas.get(number, &browser, "/api/x"), "idle");
    }
}

#[test]
fn the_absolute_end_is_one_on_every_replica() {
    let redis = Redis::start();
    let mut setup = patient();
    setup.sites[0].session.push("absolute = \"3s\"\nidle = \"3s\"".into());
    let replicas = Replicas::start(3, &redis, "30s", setup);
    let browser = replicas.world.signed_in();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2000) {
        is_fine(&replicas.get(1, &browser, "/api/x"));
        std::thread::sleep(Duration::from_millis(250));
    }
    std::thread::sleep(Duration::from_millis(3100).saturating_sub(start.elapsed()));
    for number in [0, 1, 2] {
        is_over(&replicas.get(number, &browser, "/api/x"), "expired");
    }
}

#[test]
fn a_callback_replayed_over_replicas_is_redeemed_once() {
    let redis = Redis::start();
    let replicas = Replicas::start(3, &redis, "30s", patient());
    let mut browser = Browser::new();
    let held = browser.sign_in_until_callback(&format!("{}/bff/login", replicas.site()), "ada");
    std::thread::scope(|scope| {
        for number in 0..51 {
            let (mut tab, url) = (replicas.tab(number, &browser), held.url.clone());
            scope.spawn(move || tab.open_until(&url, "/"));
        }
    });
    assert_eq!(replicas.world.redemptions(), 1, "fifty replays, one token call");
}
