//! A fail-over under Sentinel while three gateways serve.

use std::time::Duration;

use super::{is_fine, is_over, patient};
use crate::support::{Browser, Replicas, Seen, Sentinels, eventually, within};

/// Good, or an honest outage; never a logout, never an error of another kind.
#[track_caller]
pub(super) fn nobody_was_logged_out(seen: &[Seen]) {
    for one in seen {
        if one.answer.status != 200 {
            super::is_an_outage(&one.answer, "store_unavailable");
        }
        assert!(one.took < Duration::from_secs(1), "replica {} took {:?} at {:?}", one.number, one.took, one.at);
    }
}

#[test]
fn a_failover_loses_no_session_that_the_replica_had() {
    let mut group = Sentinels::start(1, Duration::from_secs(1));
    let replicas = Replicas::on(3, &group.url(), "0s", patient());
    let browser = replicas.world.signed_in();
    let leaver = replicas.world.signed_in();
    for number in 0..3 {
        is_fine(&replicas.get(number, &browser, "/api/x"));
        is_fine(&replicas.get(number, &leaver, "/api/x"));
    }
    group.settle();
    group.kill_one_sentinel();
    let ((), seen) = replicas.under_load(&browser, "/api/x", || {
        group.servers[0].kill();
        group.wait_for_failover();
        eventually("a session should go on after the fail-over", || {
            (0..3).all(|number| replicas.get(number, &browser, "/api/x").status == 200).then_some(())
        });
        std::thread::sleep(Duration::from_millis(500));
    });
    nobody_was_logged_out(&seen);
    assert!(seen.last().is_some_and(|one| one.answer.status == 200), "the load goes on in the end");

    let out = eventually("a logout should be written", || {
        Some(replicas.post(0, &leaver, "/bff/logout")).filter(|answer| answer.status != 503)
    });
    assert_eq!(out.status, 200);
    for number in 1..3 {
        within(Duration::from_secs(2), "the end should be seen through the new master", || {
            (replicas.get(number, &leaver, "/api/x").status == 401).then_some(())
        });
        is_over(&replicas.get(number, &leaver, "/api/x"), "revoked");
    }
    let mut late = replicas.tab(1, &Browser::new());
    late.sign_in(&replicas.site(), "grace");
    is_fine(&replicas.get(2, &late, "/api/x"));
}

#[test]
fn a_frozen_master_is_left_behind_and_does_not_come_back_as_one() {
    let group = Sentinels::start(1, Duration::from_secs(1));
    let replicas = Replicas::on(2, &group.url(), "30s", patient());
    let browser = replicas.world.signed_in();
    for (answer, _) in replicas.storm(20, &browser, "/api/x") {
        is_fine(&answer);
    }
    group.settle();
    group.servers[0].freeze();
    let ((), seen) = replicas.under_load(&browser, "/api/x", || {
        group.wait_for_failover();
        std::thread::sleep(Duration::from_secs(1));
    });
    nobody_was_logged_out(&seen);
    assert!(seen.iter().all(|one| one.answer.status == 200), "the grace covers a fail-over");
    eventually("writes should reach the new master", || {
        (replicas.post(0, &browser, "/bff/session/extend").status == 200).then_some(())
    });
    group.servers[0].thaw();
    let ((), seen) = replicas.under_load(&browser, "/api/x", || std::thread::sleep(Duration::from_secs(2)));
    assert!(seen.iter().all(|one| one.answer.status == 200));
    let out = eventually("a logout should be written", || {
        Some(replicas.post(0, &browser, "/bff/logout")).filter(|answer| answer.status != 503)
    });
    assert_eq!(out.status, 200);
    within(Duration::from_secs(2), "the end should be seen", || {
        (replicas.get(1, &browser, "/api/x").status == 401).then_some(())
    });
}
