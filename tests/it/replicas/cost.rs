//! What a proxied call costs Redis when nothing changed: nothing.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{is_fine, patient};
use crate::support::{Redis, Replicas};

const CALLS: usize = 1000;

/// What a gateway may say now and then to know that the server is there, and what this test itself asks.
const HEARTBEAT: &[&str] =
    &["ping", "info", "hello", "client|", "subscribe", "psubscribe", "ssubscribe", "publish", "exists", "pexpire"];

#[test]
fn a_thousand_calls_with_an_unchanged_session_ask_redis_nothing() {
    let redis = Redis::start();
    let replicas = Replicas::start(2, &redis, "30s", patient());
    let browser = replicas.world.signed_in();
    for (answer, _) in replicas.storm(100, &browser, "/api/warm") {
        is_fine(&answer);
    }
    let before = redis.calls();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for caller in 0..8 {
            let (replicas, browser) = (&replicas, &browser);
            scope.spawn(move || {
                for call in 0..CALLS / 8 {
                    is_fine(&replicas.get(caller + call, browser, "/api/x"));
                }
            });
        }
    });
    let took = start.elapsed();
    let after = redis.calls();
    let delta: BTreeMap<&str, u64> = after
        .iter()
        .map(|(name, count)| (name.as_str(), count - before.get(name).copied().unwrap_or(0)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let beats = |name: &str| HEARTBEAT.iter().any(|beat| name.starts_with(beat));
    let asked: u64 = delta.iter().filter(|(name, _)| !beats(name)).map(|(_, count)| count).sum();
    assert_eq!(asked, 0, "{CALLS} calls cost Redis {delta:?}");
    let heartbeat: u64 = delta.values().sum();
    // Two processes, each with two workers and one background runtime, at a few beats a second.
    assert!(heartbeat <= 30 * (1 + took.as_secs()), "{delta:?} in {took:?}");
    assert_eq!(replicas.world.upstream.count(), 100 + CALLS);
}
