//! 429: how often one session and one client address may ask.

use crate::support::{Response, Setup, World};

fn world(limits: &str, server: &str) -> World {
    let mut setup = Setup::one_site();
    setup.server.push(server.into());
    // `[[site]]` lines come before every other table of a site; a dotted key makes no table of its own.
    setup.sites[0].site.push(format!("limits.{limits}"));
    setup.sites[0].routes.push(vec!["path = \"/open\"".into(), "auth = \"none\"".into()]);
    World::of(setup)
}

#[track_caller]
fn refuses(answer: &Response) {
    answer.refuses(429, "too_many");
    let wait: u64 = answer.header("retry-after").and_then(|wait| wait.parse().ok()).expect("seconds");
    assert!((1..=3600).contains(&wait), "{wait}");
    assert!(answer.all("set-cookie").is_empty());
}

#[test]
fn a_session_that_asks_too_often_is_told_when_to_come_back_and_no_other_is() {
    let world = world("per_session = \"1/h burst 3\"", "");
    let (mut ada, mut other) = (world.signed_in(), world.signed_in());
    let asked = world.upstream.count();
    let statuses: Vec<u16> = (0..3).map(|_| ada.get(&world.one(), "/api/x").status).collect();
    assert_eq!(statuses, [200; 3]);
    refuses(&ada.get(&world.one(), "/api/x"));
    assert_eq!(world.upstream.count(), asked + 3, "what is refused is not forwarded");
    assert_eq!(other.get(&world.one(), "/api/x").status, 200);
    assert!(ada.is_signed_in(&world.one()), "nobody was logged out");
    assert_eq!(ada.get(&world.one(), "/open/x").status, 200, "a route without a session has none to count");
    world.reload();
    refuses(&ada.get(&world.one(), "/api/x"));
}

#[test]
fn an_address_is_counted_over_all_workers_and_before_anything_else_is_looked_at() {
    let world = world("per_address = \"5/h\"", "");
    for _ in 0..5 {
        assert_eq!(world.send(&world.request("GET", "/open/x")).status, 200);
    }
    for target in ["/open/x", "/bff/session", "/nothing", "/a//b"] {
        refuses(&world.send(&world.request("GET", target)));
    }
    let forged = world.request("GET", "/open/x").header("X-Forwarded-For", "192.0.2.1");
    refuses(&world.send(&forged));
    let foreign = world.send(&crate::support::Request::new("GET", "/").header("Host", "evil.example"));
    foreign.refuses(421, "unknown_host");
}

#[test]
fn behind_a_trusted_proxy_the_right_most_other_address_counts() {
    let world = world("per_address = \"1/h\"", "trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]");
    let from = |chain: &str| world.send(&world.request("GET", "/open/x").header("X-Forwarded-For", chain));
    assert_eq!(from("192.0.2.1").status, 200);
    refuses(&from("198.51.100.7, 192.0.2.1, 10.0.0.9"));
    refuses(&from("203.0.113.5, 192.0.2.1"));
    assert_eq!(from("192.0.2.2").status, 200);
    assert_eq!(from("2001:db8::1").status, 200);
    refuses(&from("2001:db8::2"));
}
