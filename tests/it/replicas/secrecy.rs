//! What a thief finds in Redis: nothing that opens anything, and nothing that stays. Contract 6.1 and 6.2.

use std::time::Duration;

use super::{is_fine, patient};
use crate::support::{Browser, Redis, Replicas, eventually};

/// Every key has an end at any moment of a busy run, and neither the data nor a single command names anyone.
#[test]
fn a_busy_redis_shows_nobody_and_keeps_nothing_for_ever() {
    let redis = Redis::start();
    let watch = redis.watch();
    let mut setup = patient();
    setup.jwt = true;
    setup.access_ttl = 2;
    let replicas = Replicas::start(3, &redis, "30s", setup);
    let site = replicas.site();
    let mut browsers = Vec::new();
    for (index, user) in ["ada", "grace", "ada"].into_iter().enumerate() {
        let mut browser = replicas.tab(index, &Browser::new());
        browser.sign_in(&site, user);
        browsers.push(browser);
    }
    // A login that is never finished, a session that is extended, one that ends; refreshes all the while.
    browsers[1].open_until(&format!("{site}/bff/login?prompt=login"), "/interaction/");
    let leaver = replicas.world.signed_in();
    eventually("every session should be refreshed twice", || {
        for (turn, browser) in browsers.iter().enumerate() {
            for (answer, _) in replicas.storm(6, browser, "/api/x") {
                is_fine(&answer);
            }
            assert_eq!(replicas.post(turn, browser, "/bff/session/extend").status, 200);
        }
        assert_eq!(redis.keys_without_end().trim(), "*0", "a key without an end");
        (replicas.world.provider.token_calls(replicas.world.client_id(), "refresh_token") >= 6).then_some(())
    });
    assert_eq!(replicas.post(1, &leaver, "/bff/logout").status, 200);
    assert_eq!(replicas.post(2, &browsers[2], "/bff/logout?everywhere=true").status, 200);
    std::thread::sleep(Duration::from_millis(200));

    let keys = redis.keys();
    assert!(keys.len() >= 4, "sessions live in Redis: {keys:?}");
    for key in &keys {
        let ttl = redis.ttl(key);
        assert!((0..=43_200).contains(&ttl) || ttl == -2, "{key} has the TTL {ttl}");
    }
    let (dump, sent) = (redis.dump(), watch.end());
    assert!(sent.contains("cloakroom:"), "the commands were seen");
    let mut canaries = replicas.world.secrets();
    for browser in browsers.iter().chain([&leaver]) {
        let cookie = browser.session_cookie(&site);
        canaries.extend(cookie.map(|cookie| ("session cookie".to_owned(), cookie.value)));
    }
    // Words that are long enough: three or four letters come up in what is sealed by mere chance.
    let people = ["Ada Lovelace", "Lovelace", "Grace Hopper", "example.test", "one.localhost"];
    let jwt_headers = ["eyJhbGci", "eyJ0eXAi", "eyJraWQi"];
    for word in people.into_iter().chain(jwt_headers) {
        canaries.push(("word".to_owned(), word.to_owned()));
    }
    assert!(canaries.len() > 30);
    // MONITOR itself writes the client's address before each command.
    let commands: Vec<&str> = sent.lines().filter_map(|line| line.split_once("] ")).map(|(_, words)| words).collect();
    for (name, value) in &canaries {
        assert!(!dump.contains(value), "the dump shows the {name} {value}");
        let shown = commands.iter().find(|words| words.contains(value.as_str()));
        assert!(shown.is_none(), "a command shows the {name} {value}: {shown:?}");
    }
    assert!(!dump.contains("127.0.0.1"), "the dump shows an address");
    for word in ["\"sub\":\"ada\"", "\"subject\":\"ada\"", "ada@example", "grace@example"] {
        assert!(!dump.contains(word) && !commands.iter().any(|words| words.contains(word)), "{word}");
    }
}

/// A thousand attempts to log in leave nothing behind that does not go away by itself.
#[test]
fn logins_that_are_never_finished_leave_nothing_that_stays() {
    let redis = Redis::start();
    let replicas = Replicas::start(2, &redis, "30s", patient());
    for number in 0..40 {
        let mut browser = replicas.tab(number, &Browser::new());
        browser.open_until(&format!("{}/bff/login", replicas.site()), "/auth");
    }
    assert_eq!(redis.keys_without_end().trim(), "*0");
    for key in redis.keys() {
        let ttl = redis.ttl(&key);
        assert!((0..=600).contains(&ttl) || ttl == -2, "{key} has the TTL {ttl}");
    }
}
