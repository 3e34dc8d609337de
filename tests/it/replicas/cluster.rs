//! A Redis Cluster of three masters and three replicas: a master lost, slots moved, while three gateways serve.

use std::time::Duration;

use serde_json::json;

use super::sentinel::nobody_was_logged_out;
use super::{LOGIN, is_fine, is_over, patient};
use crate::support::{Browser, RedisCluster, Replicas, eventually, within};

fn serve(cluster: &RedisCluster, grace: &str) -> (Replicas, Vec<Browser>) {
    let replicas = Replicas::on(3, &cluster.url(), grace, patient());
    let browsers: Vec<_> = (0..6).map(|_| replicas.world.signed_in()).collect();
    for browser in &browsers {
        for (answer, _) in replicas.storm(6, browser, "/api/x") {
            is_fine(&answer);
        }
    }
    (replicas, browsers)
}

#[test]
fn a_lost_master_costs_nobody_the_session() {
    let mut cluster = RedisCluster::start();
    let (replicas, browsers) = serve(&cluster, "0s");
    std::thread::sleep(Duration::from_millis(200));
    let lost = cluster.busiest();
    let ((), seen) = replicas.under_load(&browsers[0], "/api/x", || {
        cluster.settle();
        cluster.nodes[lost].kill();
        cluster.wait_until_whole(5);
        for browser in &browsers {
            eventually("every session should go on", || {
                (0..3).all(|number| replicas.get(number, browser, "/api/x").status == 200).then_some(())
            });
        }
        std::thread::sleep(Duration::from_millis(300));
    });
    nobody_was_logged_out(&seen);
    for (turn, browser) in browsers.iter().enumerate() {
        let out = eventually("a logout should be written", || {
            Some(replicas.post(turn, browser, "/bff/logout")).filter(|answer| answer.status != 503)
        });
        assert_eq!(out.status, 200);
        within(Duration::from_secs(2), "the end should be seen", || {
            (replicas.get(turn + 1, browser, "/api/x").status == 401).then_some(())
        });
        is_over(&replicas.get(turn + 1, browser, "/api/x"), "revoked");
    }
    let late = eventually("a login should work", || {
        let mut browser = Browser::new();
        let page = browser.sign_in(&replicas.site(), "ada");
        (page.response.status != 503).then_some(browser)
    });
    is_fine(&replicas.get(2, &late, "/api/x"));
}

#[test]
fn slots_that_move_are_followed() {
    let cluster = RedisCluster::start();
    let (replicas, browsers) = serve(&cluster, "0s");
    let (moved, seen) = replicas.under_load(&browsers[0], "/api/x", || {
        let moved = cluster.move_everything(Duration::from_millis(60));
        for browser in &browsers {
            for number in 0..3 {
                is_fine(&replicas.get(number, browser, "/api/x"));
            }
        }
        moved
    });
    assert!(moved >= browsers.len(), "{moved} slots moved");
    nobody_was_logged_out(&seen);
    for browser in &browsers[1..] {
        assert_eq!(replicas.post(0, browser, "/bff/session/extend").status, 200);
        assert_eq!(replicas.post(0, browser, "/bff/logout").status, 200);
        within(Duration::from_secs(2), "the end should be seen", || {
            (replicas.get(1, browser, "/api/x").status == 401).then_some(())
        });
    }
    is_fine(&replicas.get(1, &browsers[0], "/api/x"));
}

#[test]
fn one_refresh_and_one_end_hold_on_a_cluster_as_well() {
    let cluster = RedisCluster::start();
    let mut setup = patient();
    setup.access_ttl = 1;
    let mut replicas = Replicas::on(3, &cluster.url(), "0s", setup);
    let browser = replicas.world.signed_in();
    replicas.world.tokens_live(3600);
    std::thread::sleep(Duration::from_millis(1100));
    replicas.token_fault(json!({ "delay_ms": 1500 }));
    for (answer, _) in replicas.storm(90, &browser, "/api/x") {
        is_fine(&answer);
    }
    assert_eq!(replicas.refreshes(LOGIN), 1);
    for (number, _) in cluster.masters() {
        assert_eq!(cluster.nodes[number].keys_without_end().trim(), "*0");
    }
    assert!(cluster.keys().len() >= 2, "a session and its index");
    assert_eq!(replicas.post(0, &browser, "/bff/logout?everywhere=true").status, 200);
    for number in 0..3 {
        within(Duration::from_secs(2), "the end should be seen", || {
            (replicas.get(number, &browser, "/api/x").status == 401).then_some(())
        });
    }
}

/// A master that does not answer keeps only its own sessions alive, and is named.
#[test]
fn a_revocation_of_all_goes_on_with_the_other_masters_when_one_does_not_answer() {
    let cluster = RedisCluster::start();
    let replicas = Replicas::on(1, &cluster.url(), "0s", patient());
    let browsers: Vec<_> = (0..12).map(|_| replicas.world.signed_in()).collect();
    let frozen = cluster.busiest();
    let held = cluster.nodes[frozen].keys().iter().filter(|key| key.starts_with("cloakroom:s:")).count();
    assert!((1..12).contains(&held), "{held} of 12 sessions");
    let revoke = |arguments: &[&str]| {
        let mut command = crate::support::cloakroom();
        command.args(["sessions", "revoke", "--json"]).args(arguments).arg("--config").arg(&replicas.world.config);
        command.output().expect("the binary was built")
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // Sooner than the others decide that it is gone.
    cluster.nodes[frozen].freeze();
    let partly = revoke(&["--all"]);
    cluster.nodes[frozen].thaw();
    let (said, why) = (text(&partly.stdout), text(&partly.stderr));
    assert_eq!(partly.status.code(), Some(1), "{said}{why}");
    assert!(why.contains(&format!("127.0.0.1:{}", cluster.nodes[frozen].port())), "{why}");
    assert!(why.contains(&format!("{} sessions ended", 12 - held)), "{why}");
    cluster.wait_until_whole(6);
    let rest = revoke(&["--all"]);
    assert_eq!(rest.status.code(), Some(0), "{}", text(&rest.stderr));
    assert_eq!(text(&rest.stdout).trim(), json!({ "ended": held }).to_string());
    for browser in &browsers {
        within(Duration::from_secs(2), "the end should be seen", || {
            (replicas.get(0, browser, "/api/x").status == 401).then_some(())
        });
    }
}
