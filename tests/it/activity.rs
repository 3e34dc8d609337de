//! What counts as activity, and how seldom it is written: contract section 6.9.

use std::sync::Barrier;
use std::time::Duration;

use crate::support::{Browser, Redis, Request, Setup, World};

/// The part of the idle time after which activity is written again.
const TENTH: Duration = Duration::from_secs(2);

fn world(redis: &Redis) -> World {
    let mut setup = Setup::one_site();
    setup.sites[0].session.push("idle = \"20s\"".into());
    setup.store.push(format!("url = \"{}\"", redis.url()));
    setup.server.retain(|line| !line.starts_with("workers"));
    setup.server.push("workers = 4".into());
    World::of(setup)
}

/// How many values were written in Redis so far, by any command that writes one.
fn writes(redis: &Redis) -> u64 {
    let statistics = redis.command(&["INFO", "commandstats"]);
    let written = statistics.lines().filter_map(|line| {
        let (command, numbers) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let writing = ["set", "hset", "hmset", "hincrby", "setex", "psetex", "zadd", "sadd"];
        writing.contains(&command).then(|| numbers.split(',').next()?.parse::<u64>().ok())?
    });
    written.sum()
}

fn in_parallel(count: usize, call: impl Fn() + Sync) {
    let start = Barrier::new(count);
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                start.wait();
                call();
            });
        }
    });
}

#[test]
fn a_hundred_parallel_calls_write_activity_once() {
    let redis = Redis::start();
    let world = world(&redis);
    let browser = world.signed_in();
    let call = || assert_eq!(browser.clone().get(&world.one(), "/api/x").status, 200);
    let signed_in = writes(&redis);
    assert!(signed_in > 0, "a login is a write");
    call();
    assert_eq!(writes(&redis), signed_in, "nothing is due yet");
    for round in 1..=2 {
        // The wait for a clock: a tenth of the idle time.
        std::thread::sleep(TENTH + Duration::from_millis(100));
        in_parallel(100, call);
        assert_eq!(writes(&redis) - signed_in, round, "one write for each tenth of the idle time");
    }
}

#[test]
fn polling_and_background_calls_write_nothing() {
    let redis = Redis::start();
    let world = world(&redis);
    let mut browser = world.signed_in();
    let background = |browser: &Browser| {
        let call = Request::new("GET", "").header("X-BFF-Background", "1");
        assert_eq!(browser.clone().fetch_with(&world.one(), call, "/api/poll").status, 200);
    };
    std::thread::sleep(TENTH + Duration::from_millis(100));
    let before = writes(&redis);
    in_parallel(20, || {
        background(&browser);
        assert!(browser.clone().is_signed_in(&world.one()));
    });
    assert_eq!(writes(&redis), before);
    assert!(browser.session(&world.one())["idle_expires_in"].as_u64() <= Some(18));
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    assert_eq!(writes(&redis), before + 1, "a call of the user is activity");
}

#[test]
fn a_page_of_another_user_keeps_no_session_alive_and_can_still_log_out() {
    let redis = Redis::start();
    let world = world(&redis);
    let browser = world.signed_in();
    std::thread::sleep(TENTH + Duration::from_millis(100));
    let before = writes(&redis);
    let call = |method: &str, path: &str| {
        let call = Request::new(method, "").header("X-BFF-Pin", "someone-else");
        browser.clone().fetch_with(&world.one(), call, path)
    };
    call("GET", "/api/x").refuses(409, "identity_changed");
    call("POST", "/bff/session/extend").refuses(409, "identity_changed");
    assert_eq!(writes(&redis), before);
    assert_eq!(call("POST", "/bff/logout").status, 200, "whoever wants out gets out");
    assert!(!browser.clone().is_signed_in(&world.one()));
}
