//! Which site a request is for: contract section 4.1.

use crate::support::{Browser, Request, Setup, World, send, send_raw};

#[test]
fn an_unknown_host_is_misdirected_and_never_served_by_a_default_site() {
    let world = World::new();
    let port = world.setup.port;
    let hosts = [
        "evil.example".to_owned(),
        "localhost".to_owned(),
        format!("two.localhost:{port}"),
        format!("one.localhost.evil.example:{port}"),
        format!("one.localhost.:{port}"),
        format!("one.localhost:{}", port + 1),
        "one.localhost".to_owned(),
        format!("127.0.0.1:{port}"),
        format!("xone.localhost:{port}"),
    ];
    for host in hosts {
        let answer = world.send(&Request::new("GET", "/bff/session").header("Host", &host).header("X-BFF", "1"));
        assert_eq!((answer.status, answer.reason()), (421, "unknown_host"), "{host}");
    }
}

#[test]
fn a_host_is_compared_without_regard_to_case() {
    let world = World::new();
    let host = format!("ONE.LocalHost:{}", world.setup.port);
    let answer = world.send(&Request::new("GET", "/bff/session").header("Host", host).header("X-BFF", "1"));
    assert_eq!(answer.status, 200);
}

#[test]
fn the_default_port_of_https_may_be_written_or_left_out() {
    let world = World::of(Setup::behind_tls());
    for host in ["app-one.example", "app-one.example:443"] {
        let answer = world.send(&Request::new("GET", "/bff/session").header("Host", host).header("X-BFF", "1"));
        assert_eq!(answer.status, 200, "{host}");
    }
    let answer =
        world.send(&Request::new("GET", "/bff/session").header("Host", "app-one.example:80").header("X-BFF", "1"));
    answer.refuses(421, "unknown_host");
}

#[test]
fn a_missing_or_repeated_host_is_a_bad_request() {
    let world = World::new();
    let host = format!("one.localhost:{}", world.setup.port);
    let heads = [
        "GET /bff/session HTTP/1.1\r\nX-BFF: 1\r\nConnection: close\r\n\r\n".to_owned(),
        format!("GET /bff/session HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\nX-BFF: 1\r\nConnection: close\r\n\r\n"),
        format!(
            "GET /bff/session HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\nX-BFF: 1\r\nConnection: close\r\n\r\n"
        ),
    ];
    for head in heads {
        let answer = send_raw(world.setup.port, head.as_bytes());
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{head:?}: {:?}", String::from_utf8_lossy(&answer));
    }
}

#[test]
fn forwarding_headers_choose_nothing() {
    let world = World::of(Setup::two_sites());
    let two = world.two().replace("http://", "");
    let request = world
        .request("GET", "/bff/login")
        .header("X-Forwarded-Host", &two)
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Port", "1")
        .header("X-Original-URL", "/api/x")
        .header("X-Rewrite-URL", "/api/x")
        .header("Forwarded", format!("host={two};proto=https"));
    let answer = world.send(&request);
    assert_eq!(answer.status, 303, "{}", answer.text());
    let location = answer.location();
    assert!(location.contains(&format!("client_id={}", world.client_id())), "{location}");
    assert!(location.contains("one.localhost") && !location.contains("two.localhost"), "{location}");
}

#[test]
fn an_absolute_target_of_another_host_is_not_served() {
    let world = World::new();
    let browser = world.signed_in();
    let before = world.upstream.count();
    let request = world.own_request(&browser, "GET", "http://evil.example/api/x");
    let answer = send(world.setup.port, &request);
    assert!(matches!(answer.status, 400 | 421), "{}", answer.status);
    assert_eq!(world.upstream.count(), before);
}

#[test]
fn two_sites_of_one_process_share_no_session() {
    let world = World::of(Setup::two_sites());
    let mut browser = world.signed_in();
    let cookie = browser.session_cookie(&world.one()).expect("signed in at one");
    let mut thief = Browser::new();
    thief.plant(&world.two(), &cookie.name, &cookie.value);
    assert!(!thief.is_signed_in(&world.two()));
    thief.get(&world.two(), "/api/x").refuses(401, "no_session");
    assert!(browser.is_signed_in(&world.one()));
}
