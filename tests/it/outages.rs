//! What happens while a neighbour is down: contract sections 6.8 and 7.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Browser, OidcProvider, Redis, Setup, Upstream, World, eventually, free_port, within};

fn with_redis(redis: &Redis, grace: &str) -> World {
    let mut setup = Setup::one_site();
    setup.store.push(format!("url = \"{}\"", redis.url()));
    setup.store.push(format!("grace = \"{grace}\""));
    World::of(setup)
}

#[test]
fn a_provider_that_is_down_at_the_start_is_a_503_and_heals() {
    let port = free_port();
    let mut setup = Setup::one_site();
    setup.sites[0].issuer = Some(format!("http://127.0.0.1:{port}"));
    setup.sites[0].provider.push("timeout = \"1s\"".into());
    let world = World::of(setup);
    let mut browser = Browser::new();
    let page = browser.open(&format!("{}/bff/login", world.one()));
    assert_eq!((page.response.status, page.response.reason()), (503, "provider_unavailable"));
    assert!(page.response.header("retry-after").is_some());
    assert!(browser.login_cookies(&world.one()).is_empty());
    assert_eq!(browser.get(&world.one(), "/bff/session").status, 200, "everything else works");

    let provider = Arc::new(OidcProvider::start(port));
    world.setup.register(&provider);
    let page = eventually("a login should work", || {
        Some(browser.open(&format!("{}/bff/login", world.one()))).filter(|page| page.response.status == 200)
    });
    browser.pass_provider(page, "ada", "\0");
    assert!(browser.is_signed_in(&world.one()));
}

#[test]
fn a_provider_that_goes_down_during_a_login_is_a_503_and_no_session() {
    let mut setup = Setup::one_site();
    setup.sites[0].provider.push("timeout = \"1s\"".into());
    let world = World::with_own_provider(setup);
    let mut browser = Browser::new();
    let held = browser.sign_in_until_callback(&format!("{}/bff/login", world.one()), "ada");
    world.provider.kill();
    let page = browser.open(&held.url);
    assert_eq!(
        (page.response.status, page.response.reason()),
        (503, "provider_unavailable"),
        "{}",
        page.response.text()
    );
    assert!(!browser.is_signed_in(&world.one()));
    assert!(
        page.response.header("content-type").is_some_and(|kind| kind.starts_with("text/html")),
        "a person gets a page"
    );
}

#[test]
fn sessions_go_on_while_the_provider_is_down() {
    let world = World::with_own_provider(Setup::one_site());
    let mut browser = world.signed_in();
    world.provider.kill();
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    assert!(browser.is_signed_in(&world.one()));
    assert_eq!(browser.post(&world.one(), "/bff/session/extend").status, 200);
}

/// How the first provider of a site is doing, as `/readyz` says.
fn provider_of(world: &World, site: usize) -> String {
    let ready = world.gateway.admin("/readyz").json();
    ready["sites"][site]["providers"][0]["status"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_provider_that_stops_is_told_before_anybody_is_sent_there_and_so_is_its_return() {
    let world = World::with_own_provider(Setup::one_site());
    let mut browser = world.signed_in();
    let login = format!("{}/bff/login", world.one());
    let port = world.provider.port;
    world.provider.kill();
    within(Duration::from_secs(40), "the outage should be said", || (provider_of(&world, 0) == "down").then_some(()));
    let page = Browser::new().open(&login);
    assert_eq!((page.response.status, page.response.reason()), (503, "provider_unavailable"));
    assert!(page.response.header("retry-after").is_some());
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200, "sessions go on");

    let again = OidcProvider::start(port);
    world.setup.register(&again);
    within(Duration::from_secs(5), "a login finds out by itself", || {
        (Browser::new().open(&login).response.status == 200).then_some(())
    });
    assert_eq!(provider_of(&world, 0), "up");
}

#[test]
fn a_provider_that_says_nothing_any_more_is_told_within_seconds() {
    let world = World::with_own_provider(Setup::one_site());
    eventually("it should be known", || (provider_of(&world, 0) == "up").then_some(()));
    let login = format!("{}/bff/login", world.one());
    let signal = |name: &str| world.provider.process.lock().expect("nobody panics with the process").signal(name);
    signal("STOP");
    // As long as a login relies on the last answer.
    std::thread::sleep(Duration::from_secs(16));
    let began = std::time::Instant::now();
    let answer = world.send(&world.request("GET", "/bff/login").header("Sec-Fetch-Mode", "navigate"));
    assert_eq!((answer.status, answer.reason()), (503, "provider_unavailable"), "{}", answer.text());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    signal("CONT");
    eventually("a login should work", || (Browser::new().open(&login).response.status == 200).then_some(()));
}

#[test]
fn a_silent_provider_delays_the_look_at_no_other_and_a_reload_looks_at_once() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("it is bound");
    let mut setup = Setup::two_sites();
    setup.sites[0].issuer = Some(format!("http://{address}"));
    let world = World::with_own_provider(setup);
    within(Duration::from_secs(5), "the other should be known", || (provider_of(&world, 1) == "up").then_some(()));
    world.provider.kill();
    world.gateway.process.signal("HUP");
    within(Duration::from_secs(5), "the outage should be said", || (provider_of(&world, 1) == "down").then_some(()));
}

#[test]
fn a_frozen_store_is_a_503_that_keeps_the_cookie_and_then_everything_goes_on() {
    let redis = Redis::start();
    let world = with_redis(&redis, "0s");
    let mut browser = world.signed_in();
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    redis.freeze();
    let asked = world.upstream.count();
    let refused = within(Duration::from_secs(10), "the outage should show", || {
        Some(browser.get(&world.one(), "/api/x")).filter(|answer| answer.status != 200)
    });
    refused.refuses(503, "store_unavailable");
    assert!(refused.header("retry-after").is_some() && refused.all("set-cookie").is_empty());
    for answer in [browser.get(&world.one(), "/bff/session"), browser.post(&world.one(), "/bff/session/extend")] {
        answer.refuses(503, "store_unavailable");
        assert!(answer.all("set-cookie").is_empty() && answer.header("retry-after").is_some());
    }
    let login = browser.open(&format!("{}/bff/login", world.one()));
    assert!(matches!(login.response.status, 200 | 503), "{}", login.response.status);
    assert!(browser.session_cookie(&world.one()).is_some(), "an outage is not a logout");
    let _ = asked;
    redis.thaw();
    eventually("the same session should go on", || (browser.get(&world.one(), "/api/x").status == 200).then_some(()));
}

#[test]
fn a_store_that_is_gone_heals_without_a_restart() {
    let mut redis = Redis::start();
    let world = with_redis(&redis, "0s");
    let mut browser = world.signed_in();
    redis.kill();
    let refused = within(Duration::from_secs(10), "the outage should show", || {
        Some(browser.get(&world.one(), "/api/x")).filter(|answer| answer.status != 200)
    });
    refused.refuses(503, "store_unavailable");
    redis.restart();
    eventually("a new login should work", || {
        let page = browser.open(&format!("{}/bff/login", world.one()));
        let page = browser.pass_provider(page, "ada", "\0");
        (page.response.status != 503
            && browser.get(&world.one(), "/bff/session").status == 200
            && browser.is_signed_in(&world.one()))
        .then_some(())
    });
}

#[test]
fn a_store_that_is_down_at_the_start_does_not_stop_it() {
    let mut redis = Redis::start();
    redis.kill();
    let world = with_redis(&redis, "0s");
    let mut browser = Browser::new();
    let page = browser.open(&format!("{}/bff/login", world.one()));
    assert!(matches!(page.response.status, 200 | 503), "{}", page.response.status);
    redis.restart();
    world.gateway.wait_ready(200);
    browser.sign_in(&world.one(), "ada");
    assert!(browser.is_signed_in(&world.one()));
}

#[test]
fn sessions_already_seen_work_for_the_time_of_grace() {
    let redis = Redis::start();
    let world = with_redis(&redis, "30s");
    let mut browser = world.signed_in();
    for _ in 0..8 {
        assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    }
    redis.freeze();
    for _ in 0..4 {
        let answer = browser.get(&world.one(), "/api/x");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.all("set-cookie").is_empty());
    }
    redis.thaw();
}

#[test]
fn a_logout_while_the_store_is_down_takes_effect_when_it_is_back() {
    let redis = Redis::start();
    let world = with_redis(&redis, "0s");
    let mut browser = world.signed_in();
    let mut thief = browser.clone();
    redis.freeze();
    let answer = browser.post(&world.one(), "/bff/logout");
    answer.refuses(503, "store_unavailable");
    assert!(!answer.text().contains("Nobody was logged out"), "{}", answer.text());
    assert!(answer.text().contains("as soon as"), "{}", answer.text());
    assert!(browser.session_cookie(&world.one()).is_none(), "the cookie is deleted all the same");
    let page = thief.clone().submit(&world.one(), &format!("{}/bff/logout", world.one()), "");
    assert!(page.response.text().contains("as soon as"), "{}", page.response.text());
    redis.thaw();
    eventually("the session should end", || {
        let answer = thief.get(&world.one(), "/api/x");
        (answer.status == 401).then(|| assert_eq!(answer.reason(), "revoked"))
    });
}

fn logs_out_everywhere_when_the_store_is_back(grace: &str, seen: bool) {
    let redis = Redis::start();
    let world = with_redis(&redis, grace);
    let (mut browser, mut other) = (world.signed_in(), world.signed_in());
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    redis.freeze();
    if !seen {
        within(Duration::from_secs(10), "the gateway should know nothing of the session", || {
            (browser.get(&world.one(), "/api/x").status == 503).then_some(())
        });
    }
    let mut thief = browser.clone();
    browser.post(&world.one(), "/bff/logout?everywhere=true").refuses(503, "store_unavailable");
    assert!(browser.session_cookie(&world.one()).is_none(), "the cookie is deleted all the same");
    redis.thaw();
    for session in [&mut thief, &mut other] {
        let over = eventually("the session should end", || {
            Some(session.get(&world.one(), "/api/x")).filter(|answer| answer.status == 401)
        });
        assert_eq!(over.reason(), "revoked");
    }
    eventually("the refresh token should be revoked", || {
        world.provider.ledger(world.client_id())["calls"]["/token/revocation"].as_u64().filter(|calls| *calls == 1)
    });
    // Whoever logs in afterwards stays.
    browser.sign_in(&world.one(), "ada");
    for _ in 0..15 {
        assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_logout_everywhere_while_the_store_is_down_ends_every_session_when_it_is_back() {
    logs_out_everywhere_when_the_store_is_back("30s", true);
}

#[test]
fn a_logout_everywhere_of_a_session_that_cannot_be_looked_up_ends_every_session_when_the_store_is_back() {
    logs_out_everywhere_when_the_store_is_back("0s", false);
}

#[test]
fn two_gateways_on_one_redis_are_one() {
    let redis = Redis::start();
    let world = with_redis(&redis, "0s");
    let mut browser = world.signed_in();
    let mut second = Setup::one_site();
    second.admin_port = free_port();
    let text = std::fs::read_to_string(&world.config).expect("the configuration was written");
    let port = free_port();
    let text = text.replacen(&format!("127.0.0.1:{}", world.setup.port), &format!("127.0.0.1:{port}"), 1);
    let text =
        text.replacen(&format!("127.0.0.1:{}", world.setup.admin_port), &format!("127.0.0.1:{}", second.admin_port), 1);
    let path = world.dir.path().join("second.toml");
    std::fs::write(&path, text).expect("a temporary directory is writable");
    let replica = crate::support::Gateway::serve(&path, port, second.admin_port);
    let call = world.own_request(&browser, "GET", "/api/x");
    assert_eq!(crate::support::send(replica.port, &call).status, 200);
    browser.post(&world.one(), "/bff/logout");
    within(Duration::from_secs(2), "the end should reach the other replica", || {
        (crate::support::send(replica.port, &call).reason() == "revoked").then_some(())
    });
}

#[test]
fn a_dump_of_redis_shows_nothing_and_everything_in_it_ends() {
    let redis = Redis::start();
    let mut setup = Setup::one_site();
    setup.access_ttl = 1;
    setup.jwt = true;
    setup.store.push(format!("url = \"{}\"", redis.url()));
    let world = World::with(setup, OidcProvider::shared(), Upstream::start());
    let mut browser = world.signed_in();
    browser.open_until(&format!("{}/bff/login?prompt=login", world.one()), "/interaction/");
    eventually("a refresh should happen", || {
        browser.get(&world.one(), "/api/x");
        (world.provider.token_calls(world.client_id(), "refresh_token") > 0).then_some(())
    });
    let dump = redis.dump();
    assert!(!redis.keys().is_empty(), "sessions live in Redis");
    for (name, value) in world.secrets() {
        assert!(!dump.contains(&value), "the dump shows the {name}");
    }
    // Long enough not to come up by chance in what is sealed.
    for word in ["\"sub\":\"ada\"", "Lovelace", "example.test", "eyJhbGci", "127.0.0.1", "one.localhost"] {
        assert!(!dump.contains(word), "the dump shows {word:?}");
    }
    let cookie = browser.session_cookie(&world.one()).expect("signed in").value;
    assert!(!dump.contains(&cookie));
    for key in redis.keys() {
        let ttl = redis.ttl(&key);
        assert!((0..=43_200).contains(&ttl) || ttl == -2, "{key} has the TTL {ttl}");
    }
}

#[test]
fn sessions_in_a_file_survive_a_restart() {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let mut setup = Setup::one_site();
    setup.store.push(format!("url = \"file:{}\"", dir.path().join("sessions.redb").display()));
    let mut world = World::of(setup);
    let mut browser = world.signed_in();
    world.gateway.process.signal("TERM");
    world.gateway.process.wait(Duration::from_secs(10));
    world.gateway = crate::support::Gateway::serve(&world.config, world.setup.port, world.setup.admin_port);
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    let file = std::fs::read(dir.path().join("sessions.redb")).expect("the store is a file");
    for (name, value) in world.secrets() {
        assert!(!crate::support::contains(&file, value.as_bytes()), "the file shows the {name}");
    }
}

#[test]
fn a_redis_password_that_is_rotated_in_its_file_is_taken_over_without_a_restart() {
    let redis = Redis::start();
    redis.command(&["ACL", "SETUSER", "gate", "on", ">first", "~*", "&*", "+@all"]);
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("store-url");
    let url = |password: &str| redis.url().replace("redis://", &format!("redis://gate:{password}@"));
    std::fs::write(&file, url("first")).expect("a temporary directory is writable");
    let mut setup = Setup::one_site();
    setup.store.push(format!("url = {{ file = \"{}\" }}", file.display()));
    setup.store.push("grace = \"0s\"".into());
    let world = World::of(setup);
    let mut browser = world.signed_in();

    redis.command(&["ACL", "SETUSER", "gate", ">second"]);
    std::fs::write(&file, url("second")).expect("a temporary directory is writable");
    eventually("the changed file should be taken over", || {
        world.gateway.process.output().contains("\"event\":\"reloaded\"").then_some(())
    });
    redis.command(&["ACL", "SETUSER", "gate", "<first"]);
    redis.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    // Longer than a copy is believed without a channel: these answers come over connections with the new password.
    let until = std::time::Instant::now() + Duration::from_millis(2500);
    while std::time::Instant::now() < until {
        assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    }
    assert_eq!(browser.post(&world.one(), "/bff/session/extend").status, 200);
    World::logged_none_of(&world.gateway.process, &[("password".into(), "second".into())]);
}
