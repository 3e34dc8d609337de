//! Redis frozen, killed, emptied, read-only or cut off while three gateways serve: contract 6.8.

use std::time::{Duration, Instant};

use super::{LOGIN, is_an_outage, is_fine, is_over, patient, with_a_due_token};
use crate::support::{Browser, Redis, Replicas, Seen, eventually, within};

/// What a dead or frozen Redis may cost a request, and what a busy machine adds to it.
const COST: Duration = Duration::from_millis(500);
const BUSY: Duration = Duration::from_millis(250);

/// Every answer under load is a good one or an honest outage, and none came late.
#[track_caller]
fn good_or_an_outage(seen: &[Seen]) {
    assert!(!seen.is_empty());
    for one in seen {
        if one.answer.status == 200 {
            is_fine(&one.answer);
        } else {
            is_an_outage(&one.answer, "store_unavailable");
        }
        assert!(
            one.took < COST + BUSY,
            "replica {} took {:?} at {:?}: {} {}",
            one.number,
            one.took,
            one.at,
            one.answer.status,
            one.answer.reason()
        );
    }
}

fn outages(seen: &[Seen]) -> usize {
    seen.iter().filter(|one| one.answer.status == 503).count()
}

/// Three gateways with a route for payments beside the usual one.
fn with_a_sensitive_route(redis: &Redis, grace: &str) -> (Replicas, Browser) {
    let mut setup = patient();
    setup.sites[0].routes.push(vec!["path = \"/pay\"".into(), "sensitive = true".into()]);
    let replicas = Replicas::start(3, redis, grace, setup);
    let browser = replicas.world.signed_in();
    warm(&replicas, &browser);
    (replicas, browser)
}

fn three(redis: &Redis, grace: &str) -> (Replicas, Browser) {
    let replicas = Replicas::start(3, redis, grace, patient());
    let browser = replicas.world.signed_in();
    warm(&replicas, &browser);
    (replicas, browser)
}

fn warm(replicas: &Replicas, browser: &Browser) {
    for (answer, _) in replicas.storm(48, browser, "/api/warm") {
        is_fine(&answer);
    }
}

/// The same session works on every replica again, by itself.
#[track_caller]
fn goes_on(replicas: &Replicas, browser: &Browser) {
    for number in 0..replicas.count() {
        eventually("the session should go on", || {
            let answer = replicas.get(number, browser, "/api/x");
            assert!(matches!(answer.status, 200 | 503), "{} {}", answer.status, answer.reason());
            (answer.status == 200).then_some(())
        });
    }
}

/// Someone can log in on whatever replica.
#[track_caller]
fn takes_logins(replicas: &Replicas) {
    for number in 0..replicas.count() {
        eventually("a login should work", || {
            let mut browser = replicas.tab(number, &Browser::new());
            let page = browser.open(&format!("{}/bff/login", replicas.site()));
            if page.response.status == 503 {
                return None;
            }
            let page = browser.pass_provider(page, "ada", "\0");
            (page.response.status != 503 && replicas.get(number + 1, &browser, "/api/x").status == 200).then_some(())
        });
    }
}

#[test]
fn a_frozen_redis_without_grace_is_an_outage_at_a_bounded_cost_and_then_all_goes_on() {
    let redis = Redis::start();
    let (replicas, browser) = three(&redis, "0s");
    let ((), seen) = replicas.under_load(&browser, "/api/x", || {
        std::thread::sleep(Duration::from_millis(300));
        redis.freeze();
        std::thread::sleep(Duration::from_secs(4));
        redis.thaw();
        goes_on(&replicas, &browser);
    });
    good_or_an_outage(&seen);
    assert!(outages(&seen) > 3, "the outage should show: {} of {}", outages(&seen), seen.len());
    // What is remembered for the sake of speed is not trusted for long when nobody can be asked.
    let trusted =
        seen.iter().filter(|one| one.answer.status == 200 && one.at < Duration::from_millis(4000)).map(|one| one.at);
    let last = trusted.max().unwrap_or_default();
    assert!(last < Duration::from_millis(300 + 1000 + 750), "still trusted after {last:?}");
    goes_on(&replicas, &browser);
}

#[test]
fn a_frozen_redis_with_grace_is_not_noticed_but_for_what_is_sensitive_or_written() {
    let redis = Redis::start();
    let (replicas, browser) = with_a_sensitive_route(&redis, "30s");
    is_fine(&replicas.get(0, &browser, "/pay"));
    let ((), seen) = replicas.under_load(&browser, "/api/x", || {
        redis.freeze();
        std::thread::sleep(Duration::from_millis(1500));
        for number in 0..3 {
            is_an_outage(&replicas.get(number, &browser, "/pay"), "store_unavailable");
            is_an_outage(&replicas.post(number, &browser, "/bff/session/extend"), "store_unavailable");
        }
        assert_eq!(replicas.world.upstream.requests().iter().filter(|asked| asked.target == "/pay").count(), 1);
        redis.thaw();
        std::thread::sleep(Duration::from_millis(500));
    });
    good_or_an_outage(&seen);
    assert_eq!(outages(&seen), 0, "a session that was seen goes on");
    eventually("what is sensitive should work again", || {
        (replicas.get(1, &browser, "/pay").status == 200).then_some(())
    });
}

#[test]
fn a_session_never_seen_gets_no_grace() {
    let redis = Redis::start();
    let replicas = Replicas::start(2, &redis, "30s", patient());
    let browser = replicas.world.signed_in();
    redis.freeze();
    is_an_outage(&replicas.get(1, &browser, "/api/x"), "store_unavailable");
    let mut tab = replicas.tab(1, &browser);
    is_an_outage(&tab.get(&replicas.site(), "/bff/session"), "store_unavailable");
    redis.thaw();
    goes_on(&replicas, &browser);
}

#[test]
fn a_killed_redis_is_an_outage_and_an_empty_one_means_to_log_in_again() {
    let mut redis = Redis::start();
    let (replicas, browser) = three(&redis, "0s");
    let ((), seen) = replicas.under_load(&browser, "/api/x", || {
        redis.kill();
        std::thread::sleep(Duration::from_secs(2));
    });
    good_or_an_outage(&seen);
    assert!(outages(&seen) > 3);
    redis.restart();
    for number in 0..3 {
        let answer = eventually("the store should be used again", || {
            Some(replicas.get(number, &browser, "/api/x")).filter(|answer| answer.status != 503)
        });
        is_over(&answer, "no_session");
    }
    takes_logins(&replicas);
}

#[test]
fn sessions_seen_live_through_a_crash_of_redis_for_the_time_of_grace_only() {
    let mut redis = Redis::start();
    let (replicas, browser) = three(&redis, "4s");
    let ((), seen) = replicas.under_load(&browser, "/api/x", || {
        redis.kill();
        std::thread::sleep(Duration::from_secs(6));
    });
    good_or_an_outage(&seen);
    assert!(seen.iter().filter(|one| one.at < Duration::from_secs(3)).all(|one| one.answer.status == 200));
    assert!(seen.iter().filter(|one| one.at > Duration::from_millis(5500)).all(|one| one.answer.status == 503));
    redis.restart();
    takes_logins(&replicas);
}

#[test]
fn a_redis_that_is_emptied_takes_logins_at_once_and_every_old_session_ends_without_a_fault() {
    let redis = Redis::start();
    let (replicas, browser) = three(&redis, "30s");
    warm(&replicas, &browser);
    redis.command(&["FLUSHALL"]);
    let emptied = Instant::now();
    let left = || Duration::from_secs(2).saturating_sub(emptied.elapsed());
    for number in 0..3 {
        // Nobody wrote an end that could be heard, but each process misses its mark.
        let answer = within(left(), "the loss should be seen", || {
            let answer = replicas.get(number, &browser, "/api/x");
            assert!(matches!(answer.status, 200 | 401), "{} {}", answer.status, answer.reason());
            (answer.status == 401).then_some(answer)
        });
        is_over(&answer, "no_session");
    }
    takes_logins(&replicas);
}

/// A Redis that reads and does not write: after a fail-over that the gateways have not noticed, or without its replicas.
fn read_only(lock: &[&str], unlock: &[&str]) {
    let redis = Redis::start();
    let (replicas, browser) = three(&redis, "0s");
    let mut leaver = replicas.world.signed_in();
    let thief = leaver.clone();
    let ((), seen) = replicas.under_load(&browser, "/api/x", || {
        redis.command(lock);
        std::thread::sleep(Duration::from_millis(500));
        is_an_outage(&replicas.post(1, &browser, "/bff/session/extend"), "store_unavailable");
        let mut tab = replicas.tab(2, &Browser::new());
        let login = tab.sign_in(&replicas.site(), "ada");
        assert_eq!((login.response.status, login.response.reason()), (503, "store_unavailable"));
        assert!(login.response.header("retry-after").is_some() && tab.session_cookie(&replicas.site()).is_none());
        let out = leaver.post(&replicas.site(), "/bff/logout");
        out.refuses(503, "store_unavailable");
        assert!(leaver.session_cookie(&replicas.site()).is_none(), "the cookie is deleted all the same");
        std::thread::sleep(Duration::from_millis(500));
        redis.command(unlock);
    });
    good_or_an_outage(&seen);
    goes_on(&replicas, &browser);
    eventually("the logout should take effect", || (replicas.get(1, &thief, "/api/x").status == 401).then_some(()));
    for number in 0..3 {
        within(Duration::from_secs(2), "everywhere", || {
            (replicas.get(number, &thief, "/api/x").status == 401).then_some(())
        });
        is_over(&replicas.get(number, &thief, "/api/x"), "revoked");
    }
    assert_eq!(replicas.post(1, &browser, "/bff/session/extend").status, 200);
    takes_logins(&replicas);
}

#[test]
fn a_redis_without_its_replicas_reads_and_does_not_write() {
    read_only(&["CONFIG", "SET", "min-replicas-to-write", "3"], &["CONFIG", "SET", "min-replicas-to-write", "0"]);
}

#[test]
fn a_redis_that_became_a_replica_reads_and_does_not_write() {
    read_only(&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]);
}

#[test]
fn a_token_due_while_redis_does_not_write_is_refreshed_once_when_it_does() {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(3, &redis, patient());
    redis.command(&["CONFIG", "SET", "min-replicas-to-write", "3"]);
    for (answer, _) in replicas.storm(30, &browser, "/api/x") {
        if answer.status == 200 {
            is_fine(&answer);
        } else {
            is_an_outage(&answer, "store_unavailable");
        }
    }
    redis.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    goes_on(&replicas, &browser);
    assert_eq!(replicas.refreshes(LOGIN), 1);
    assert_eq!(replicas.world.provider.ledger(replicas.world.client_id())["refused"], 0);
}

#[test]
fn a_due_token_is_refreshed_as_soon_as_the_store_is_back() {
    let redis = Redis::start();
    let (replicas, browser) = with_a_due_token(1, &redis, patient());
    redis.command(&["CONFIG", "SET", "min-replicas-to-write", "3"]);
    is_an_outage(&replicas.get(0, &browser, "/api/x"), "store_unavailable");
    redis.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    is_fine(&replicas.get(0, &browser, "/api/x"));
    assert_eq!(replicas.refreshes(LOGIN), 1);
}

#[test]
fn a_logout_during_an_outage_wins_on_every_replica_when_it_is_over() {
    let redis = Redis::start();
    let (replicas, browser) = three(&redis, "30s");
    redis.freeze();
    let mut leaver = replicas.tab(0, &browser);
    leaver.post(&replicas.site(), "/bff/logout").refuses(503, "store_unavailable");
    assert!(leaver.session_cookie(&replicas.site()).is_none());
    let here = replicas.get(0, &browser, "/api/x");
    assert_ne!(here.status, 200, "the replica that was told knows");
    redis.thaw();
    for number in 0..3 {
        within(Duration::from_secs(5), "the logout should take effect", || {
            (replicas.get(number, &browser, "/api/x").status == 401).then_some(())
        });
        is_over(&replicas.get(number, &browser, "/api/x"), "revoked");
    }
}

#[test]
fn connections_that_break_cost_nobody_the_session_and_no_end_is_missed() {
    let redis = Redis::start();
    let (replicas, browser) = three(&redis, "0s");
    let leaver = replicas.world.signed_in();
    warm(&replicas, &leaver);
    let ((), seen) = replicas.under_load(&browser, "/api/x", || {
        for kind in ["normal", "pubsub"] {
            redis.command(&["CLIENT", "KILL", "TYPE", kind]);
        }
        assert!(matches!(replicas.post(0, &leaver, "/bff/logout").status, 200 | 503));
        for number in 1..3 {
            let over = within(Duration::from_secs(2), "the end should be seen", || {
                Some(replicas.get(number, &leaver, "/api/x")).filter(|answer| answer.status == 401)
            });
            is_over(&over, "revoked");
        }
    });
    good_or_an_outage(&seen);
    goes_on(&replicas, &browser);
}

#[test]
fn gateways_that_start_before_their_redis_find_it() {
    let mut redis = Redis::start();
    redis.kill();
    let replicas = Replicas::start(2, &redis, "30s", patient());
    let mut browser = Browser::new();
    let page = browser.open(&format!("{}/bff/login", replicas.site()));
    assert!(matches!(page.response.status, 200 | 503), "{}", page.response.status);
    assert_eq!(replicas.gateway(1).admin("/livez").status, 200);
    assert!(replicas.gateway(1).wait_ready(503).text().contains("store"), "it says what is missing");
    redis.restart();
    replicas.gateway(1).wait_ready(200);
    takes_logins(&replicas);
}
