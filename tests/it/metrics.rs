//! `GET /metrics`: what is counted, and that its labels are bounded; contract section 7.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Gateway, Reply, Setup, World, eventually, free_port};

fn setup() -> Setup {
    let mut setup = Setup::one_site();
    setup.admin.push("metrics_public = true".into());
    setup
}

fn metrics(world: &World) -> String {
    let answer = world.gateway.admin("/metrics");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    answer.text()
}

/// The value of the series of this name that has all of these labels.
#[track_caller]
fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let line = text.lines().find(|line| {
        line.split(['{', ' ']).next() == Some(name) && labels.iter().all(|label| line.contains(label.as_str()))
    });
    let line = line.unwrap_or_else(|| panic!("{name} with {labels:?} is not in\n{text}"));
    line.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn a_life_of_a_session_is_counted() {
    let world = World::of(setup());
    let site = world.one();
    let before = metrics(&world);
    let by = |text: &str, name: &str, label: &str, word: &str| value(text, name, &[("site", &site), (label, word)]);
    assert_eq!(by(&before, "cloakroom_logins_total", "outcome", "success"), 0.0, "series begin at zero");
    let mut browser = world.signed_in();
    for _ in 0..3 {
        browser.get(&site, "/api/x");
    }
    world.upstream.answers(|_| Reply::with("404 Not Found", "", ""));
    browser.get(&site, "/api/missing");
    let hostile = world.request("GET", "/api/x").header("Sec-Fetch-Site", "cross-site");
    assert_eq!(world.send(&hostile).status, 403);
    browser.post(&site, "/bff/logout");
    let after = metrics(&world);
    assert_eq!(by(&after, "cloakroom_logins_total", "outcome", "success"), 1.0);
    assert_eq!(by(&after, "cloakroom_proxied_requests_total", "status", "2xx"), 3.0);
    assert_eq!(by(&after, "cloakroom_proxied_requests_total", "status", "4xx"), 1.0);
    assert_eq!(by(&after, "cloakroom_logouts_total", "kind", "browser"), 1.0);
    assert_eq!(by(&after, "cloakroom_sessions_ended_total", "reason", "revoked"), 1.0);
    assert_eq!(value(&after, "cloakroom_problems_total", &[("reason", "cross_site")]), 1.0);
    assert_eq!(value(&after, "cloakroom_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    assert_eq!(value(&after, "cloakroom_store_errors_total", &[]), 0.0);
}

#[test]
fn refreshes_are_counted_and_timed() {
    let mut setup = setup();
    setup.access_ttl = 1;
    let world = World::of(setup);
    let mut browser = world.signed_in();
    eventually("a refresh should happen", || {
        browser.get(&world.one(), "/api/x");
        (world.provider.token_calls(world.client_id(), "refresh_token") > 0).then_some(())
    });
    eventually("it should be counted", || {
        let text = metrics(&world);
        let labels = [("provider", "main"), ("outcome", "rotated")];
        let counted = value(&text, "cloakroom_refreshes_total", &labels);
        (counted >= 1.0 && counted == value(&text, "cloakroom_refresh_duration_seconds_count", &[])).then_some(())
    });
}

#[test]
fn an_upstream_that_is_away_is_counted() {
    let mut setup = setup();
    let away = format!("upstream = \"http://127.0.0.1:{}\"", free_port());
    setup.sites[0].routes.push(vec!["path = \"/away\"".into(), away]);
    let world = World::of(setup);
    let mut browser = world.signed_in();
    browser.get(&world.one(), "/away/x").refuses(502, "upstream_unreachable");
    let text = metrics(&world);
    let labels = [("route", "/away"), ("kind", "unreachable")];
    assert_eq!(value(&text, "cloakroom_upstream_failures_total", &labels), 1.0);
    assert_eq!(value(&text, "cloakroom_proxied_requests_total", &[("route", "/away"), ("status", "5xx")]), 0.0);
}

#[test]
fn open_streams_are_counted_for_as_long_as_they_live() {
    let mut setup = setup();
    setup.sites[0].routes = vec![vec!["path = \"/api\"".into(), "websocket = true".into()]];
    let world = World::of(setup);
    let browser = world.signed_in();
    world.upstream.answers(|request| match request.target.as_str() {
        "/api/socket" => Reply::Raw(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec(),
        ),
        _ => Reply::Chunks("content-type: text/event-stream\r\n", vec![":\n\n"; 1000], Duration::from_millis(50)),
    });
    let upgrade = [
        ("Origin", world.one()),
        ("Connection", "Upgrade".into()),
        ("Upgrade", "websocket".into()),
        ("Sec-WebSocket-Version", "13".into()),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==".into()),
    ];
    for (kind, target, lines) in [
        ("events", "/bff/events", &upgrade[..0]),
        ("event_stream", "/api/feed", &[]),
        ("websocket", "/api/socket", &upgrade),
    ] {
        let open = || value(&metrics(&world), "cloakroom_open_streams", &[("site", &world.one()), ("kind", kind)]);
        assert_eq!(open(), 0.0, "{kind}");
        let request = lines.iter().fold(
            world.own_request(&browser, "GET", target).header("Connection", "keep-alive"),
            |request, (name, value)| request.header(name, value),
        );
        let streams: Vec<TcpStream> = (0..2)
            .map(|_| {
                let mut stream = TcpStream::connect(("127.0.0.1", world.gateway.port)).expect("the gateway listens");
                stream.write_all(&request.bytes()).expect("the gateway reads");
                stream
            })
            .collect();
        eventually(&format!("two of {kind} should be open"), || (open() == 2.0).then_some(()));
        drop(streams);
        eventually(&format!("none of {kind} should be open"), || (open() == 0.0).then_some(()));
    }
}

#[test]
fn live_sessions_are_counted_by_key() {
    let mut setup = setup();
    setup.store.push("url = \"file:sessions.redb\"".into());
    let mut world = World::of(setup);
    let mut browser = world.signed_in();
    world.gateway.process.signal("TERM");
    world.gateway.process.wait(crate::support::PATIENCE);
    world.gateway = Gateway::serve(&world.config, world.setup.port, world.setup.admin_port);
    eventually("the session of before should be counted", || {
        let text = metrics(&world);
        let counted = text.lines().find(|line| line.starts_with("cloakroom_live_sessions{"))?;
        counted.ends_with(" 1").then_some(())
    });
    assert!(browser.is_signed_in(&world.one()));
}

#[test]
fn no_label_tells_a_user_or_follows_a_browser() {
    let world = World::of(setup());
    let mut browser = world.signed_in();
    let lines = metrics(&world).lines().count();
    for path in ["/api/zq-canary-path", "/nothing/zq-canary-path", "/bff/zq-canary-path", "/api/x?zq-canary-query"] {
        browser.get(&world.one(), path);
    }
    let text = metrics(&world);
    assert!(!text.contains("canary") && !text.contains("\"ada\""), "{text}");
    assert!(text.lines().count() <= lines + 1, "one more reason at most:\n{text}");
    for (name, secret) in world.secrets() {
        assert!(!text.contains(&secret), "the metrics show the {name}");
    }
}

#[test]
fn the_text_is_what_prometheus_reads() {
    let world = World::of(setup());
    world.signed_in();
    let text = metrics(&world);
    assert!(text.ends_with('\n'));
    let mut described = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(text.contains(&format!("# HELP {name} ")), "{line}");
            described.push(name.to_owned());
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().expect("a name");
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(described.iter().any(|known| known == name || known == family), "{line}");
            assert!(line.rsplit(' ').next().is_some_and(|number| number.parse::<f64>().is_ok()), "{line}");
        }
    }
}
