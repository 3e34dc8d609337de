//! What counts as activity, and how seldom it is written: contract section 6.9.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::support::{Browser, Redis, Replicas, Request, Response, Setup, World, eventually, within};

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
        // A page sets it, and so does a helper that it uses: browsers make one value of the two, others send both.
        let call = Request::new("GET", "").header("X-BFF-Background", "1");
        for call in [
            call.clone(),
            call.header("X-BFF-Background", "1"),
            Request::new("GET", "").header("X-BFF-Background", "1, 1"),
        ] {
            assert_eq!(browser.clone().fetch_with(&world.one(), call, "/api/poll").status, 200);
        }
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

/// Two gateways on a Redis that a time of grace bridges.
fn bridged(redis: &Redis, idle: &str, grace: &str) -> Replicas {
    let mut setup = Setup::one_site();
    setup.sites[0].session.push(format!("idle = \"{idle}\""));
    Replicas::start(2, redis, grace, setup)
}

/// Calls replica 0 for `time` as a user does who is there, and gives the last answer.
fn busy(replicas: &Replicas, browser: &Browser, time: Duration) -> Response {
    let began = Instant::now();
    loop {
        let answer = replicas.get(0, browser, "/api/x");
        assert_ne!(answer.status, 401, "after {:?}: {}", began.elapsed(), answer.text());
        if began.elapsed() > time {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn activity_that_the_store_could_not_take_counts_and_is_written_when_it_is_back() {
    // With a grace that bridges the outage, and with one that is over before it: then the user is refused, and there.
    for (grace, status) in [("60s", 200), ("1s", 503)] {
        let redis = Redis::start();
        let replicas = bridged(&redis, "5s", grace);
        let browser = replicas.world.signed_in();
        assert_eq!(replicas.get(0, &browser, "/api/x").status, 200);
        redis.freeze();
        assert_eq!(busy(&replicas, &browser, Duration::from_secs(7)).status, status, "grace {grace}");
        redis.thaw();
        std::thread::sleep(Duration::from_millis(1500));
        for number in [1, 0] {
            let answer = replicas.get(number, &browser, "/api/x");
            assert_eq!(answer.status, 200, "grace {grace}, replica {number}: {}", answer.text());
        }
    }
}

#[test]
fn activity_during_an_outage_brings_nothing_back_that_was_over_before() {
    let redis = Redis::start();
    let replicas = bridged(&redis, "3s", "0s");
    let browser = replicas.world.signed_in();
    assert_eq!(replicas.get(0, &browser, "/api/x").status, 200);
    // One is idle for too long, and nobody has asked yet; another one, which is not, ends elsewhere.
    std::thread::sleep(Duration::from_millis(3200));
    let ended = replicas.world.signed_in();
    assert_eq!(replicas.post(1, &ended, "/bff/logout").status, 200);
    redis.freeze();
    let refused = within(Duration::from_secs(8), "the outage should show", || {
        let _ = replicas.get(0, &ended, "/api/x");
        Some(replicas.get(0, &browser, "/api/x")).filter(|answer| answer.status == 503)
    });
    assert_eq!(refused.reason(), "store_unavailable");
    redis.thaw();
    std::thread::sleep(Duration::from_millis(1500));
    for number in [0, 1] {
        replicas.get(number, &browser, "/api/x").refuses(401, "idle");
        replicas.get(number, &ended, "/api/x").refuses(401, "revoked");
    }
}

#[test]
fn what_the_store_could_not_take_counts_for_whoever_ends_a_session() {
    let redis = Redis::start();
    let replicas = bridged(&redis, "4s", "60s");
    let (first, second) = (replicas.world.signed_in(), replicas.world.signed_in());
    let takes_writes = |takes: bool| {
        let least = if takes { "0" } else { "1" };
        assert_eq!(redis.command(&["CONFIG", "SET", "min-replicas-to-write", least]), "+OK\r\n");
    };
    let both = |number: usize| [&first, &second].map(|browser| replicas.get(number, browser, "/api/x").status);
    let use_both = || {
        for _ in 0..12 {
            assert_eq!(both(0), [200, 200], "they are there");
            std::thread::sleep(Duration::from_millis(500));
        }
    };
    takes_writes(false);
    use_both();
    // The other replica does not know; what it concludes from that is not remembered.
    assert_eq!(both(1), [401, 401]);
    std::thread::sleep(Duration::from_millis(500));
    takes_writes(true);
    // Until the activity is written, which takes a moment.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(both(1), [200, 200]);
    takes_writes(false);
    use_both();
    assert_eq!(replicas.post(0, &first, "/bff/logout?everywhere=true").status, 503, "not complete yet");
    takes_writes(true);
    eventually("both should be over", || (both(1) == [401, 401]).then_some(()));
    replicas.get(0, &second, "/api/x").refuses(401, "revoked");
}

#[test]
fn activity_during_an_outage_does_not_count_beyond_the_absolute_end() {
    let redis = Redis::start();
    let mut setup = Setup::one_site();
    setup.sites[0].session.extend(["idle = \"4s\"".into(), "absolute = \"6s\"".into()]);
    let replicas = Replicas::start(1, &redis, "60s", setup);
    let browser = replicas.world.signed_in();
    assert_eq!(replicas.get(0, &browser, "/api/x").status, 200);
    let signed_in = Instant::now();
    redis.freeze();
    within(Duration::from_secs(10), "the session should end", || {
        (replicas.get(0, &browser, "/api/x").status != 200).then_some(())
    });
    let lived = signed_in.elapsed();
    assert!(lived > Duration::from_millis(4500) && lived < Duration::from_secs(7), "{lived:?}");
    redis.thaw();
    let over = eventually("the store should say so", || {
        Some(replicas.get(0, &browser, "/api/x")).filter(|answer| answer.status != 503)
    });
    over.refuses(401, "expired");
}
