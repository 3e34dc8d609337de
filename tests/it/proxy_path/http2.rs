//! HTTP/2 to upstreams that agree on it, with Node's server as one: the same answers as over HTTP/1.1, on few connections.

mod hostile;
mod peer;
mod shared;
mod streams;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cloakroom::config::{RouteConfig, TlsFiles};
use serde_json::{Value, json};

use super::gateway::{route, start};
use super::paths::UNAMBIGUOUS;
use super::sockets::{Connection, status, values};
use crate::support::{Http2Api, Pair, eventually};

/// A route to `api`, over TLS.
fn to(api: &Http2Api) -> RouteConfig {
    let mut config = route(SocketAddr::from(([127, 0, 0, 1], api.port)));
    config.upstream.url = api.url().parse().expect("a URL");
    config.upstream.tls = TlsFiles { ca: Some(api.ca()), ..TlsFiles::default() };
    config
}

fn stage() -> (Http2Api, SocketAddr) {
    let api = Http2Api::start();
    let gateway = start(vec![to(&api)]);
    (api, gateway)
}

/// One call, and its whole body.
fn call(gateway: SocketAddr, line: &str, headers: &str, body: &str) -> (String, String) {
    let mut client = Connection::open(gateway);
    client.ask(line, &format!("Connection: close\r\n{headers}"));
    client.send(body);
    (client.head(), client.rest())
}

fn get(gateway: SocketAddr, path: &str) -> (String, String) {
    call(gateway, &format!("GET {path}"), "", "")
}

/// What the API has seen of a call.
fn seen(gateway: SocketAddr, line: &str, headers: &str, body: &str) -> Value {
    let (head, body) = call(gateway, line, headers, body);
    assert_eq!(status(&head), "200", "{line}: {head}");
    let bytes: Vec<u8> = body.chars().map(|byte| byte as u8).collect();
    serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("{head}{body}"))
}

#[test]
fn a_call_says_the_same_in_http_2_as_in_http_1() {
    let api = Http2Api::start();
    let mut old = to(&api);
    old.path = "/old".into();
    old.upstream.http2 = false;
    let gateway = start(vec![to(&api), old]);
    let lines = "Accept: a\r\nX-Twice: 1\r\nAccept: b\r\nX-Twice: 2\r\nX-Eight: \u{e9}\r\nTE: trailers\r\nKeep-Alive: 1\r\n\
                 Proxy-Connection: x\r\nHTTP2-Settings: x\r\nUpgrade: h2c\r\nConnection: x-hop\r\nX-Hop: 1\r\n";
    for (line, headers, body) in [
        ("GET /api/echo?a=1", "", ""),
        ("DELETE /api/echo", "", ""),
        ("PROPFIND /api/echo", "", ""),
        ("OPTIONS /api/", "", ""),
        ("POST /api/echo", "Content-Length: 0\r\n", ""),
        ("POST /api/echo", "Content-Length: 3\r\n", "abc"),
        ("POST /api/echo", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
        ("GET /api/echo", "Content-Length: 3\r\n", "abc"),
    ] {
        let headers = format!("{lines}{headers}");
        let new = seen(gateway, line, &headers, body);
        let old = seen(gateway, &line.replace("/api/", "/old/"), &headers, body);
        assert_eq!((&new["version"], &old["version"]), (&json!("2.0"), &json!("1.1")));
        assert_eq!(new["path"], json!(line.split(' ').nth(1)));
        for same in ["method", "body"] {
            assert_eq!(new[same], old[same], "{line}");
        }
        let fields = |seen: &Value| {
            let all: Vec<String> = seen["headers"].as_array().expect("a list").iter().map(text).collect();
            let mut pairs: Vec<(String, String)> = Vec::new();
            for pair in all.chunks(2) {
                let name = match pair[0].as_str() {
                    ":authority" => "host",
                    "transfer-encoding" | "connection" => continue,
                    name if name.starts_with(':') => continue,
                    name => name,
                };
                pairs.push((name.to_owned(), pair[1].clone()));
            }
            // A map keeps the values of one name together.
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            pairs
        };
        assert_eq!(fields(&new), fields(&old), "{line}");
        assert!(fields(&new).contains(&("authorization".into(), "Bearer t0ken".into())));
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

#[test]
fn paths_arrive_byte_for_byte() {
    let (_api, gateway) = stage();
    for target in UNAMBIGUOUS {
        assert_eq!(seen(gateway, &format!("GET {target}"), "", "")["path"], json!(target));
    }
}

#[test]
fn answers_are_passed_on_and_leave_the_browser_in_step() {
    let api = Http2Api::start();
    let mut config = to(&api);
    config.allow_set_cookie = vec!["a".into()];
    let gateway = start(vec![config]);
    let mut client = Connection::open(gateway);
    let mut ask = |line: &str| {
        client.ask(line, "");
        let head = client.head();
        let length = if line.starts_with("GET") { values(&head, "content-length").first().copied() } else { None };
        let body = match length {
            _ if line.starts_with("HEAD") || status(&head) == "304" => String::new(),
            Some(length) => client.bytes(length.parse().expect("a length")),
            None if values(&head, "transfer-encoding").is_empty() => String::new(),
            None => client.bytes("2\r\nok\r\n0\r\n\r\n".len()),
        };
        (head, body)
    };
    let (head, body) = ask("GET /api/headers");
    assert_eq!((status(&head), body.as_str()), ("200", "2\r\nok\r\n0\r\n\r\n"));
    assert_eq!(values(&head, "set-cookie"), ["a=1"]);
    assert_eq!(values(&head, "x-twice"), ["one", "two"]);
    assert_eq!(values(&head, "x-bytes"), ["caf\u{e9}"]);
    for (line, expected, length) in [
        ("GET /api/status/204", "204", vec![]),
        ("GET /api/status/304/99", "304", vec!["99"]),
        ("GET /api/status/304", "304", vec![]),
        ("HEAD /api/status/200/99", "200", vec!["99"]),
        ("HEAD /api/status/200", "200", vec![]),
        ("GET /api/status/404", "404", vec!["0"]),
        ("GET /api/status/302/0", "302", vec!["0"]),
        ("GET /api/hints", "200", vec![]),
        ("GET /api/trailers", "200", vec![]),
    ] {
        let (head, body) = ask(line);
        assert_eq!((status(&head), values(&head, "content-length")), (expected, length), "{line}: {head}");
        assert!(body.is_empty() || body.starts_with("2\r\nok"), "{line}: {body}");
        assert!(values(&head, "x-sum").is_empty() && values(&head, "link").is_empty(), "{head}");
        let (head, body) = ask("GET /api/stats");
        let stats: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{line}, then {head}{body}"));
        assert_eq!(stats["sessions"], json!(1), "one connection for all");
    }
}

#[test]
fn calls_share_a_connection_and_get_another_when_it_is_full() {
    for (streams, connections) in [(100, 1), (2, 3)] {
        let api = Http2Api::start_with(&json!({ "streams": streams }));
        let gateway = start(vec![to(&api)]);
        // All at once, while there is no connection at all.
        let mut open: Vec<Connection> = (0..5)
            .map(|number| {
                let mut client = Connection::open(gateway);
                client.ask(&format!("GET /api/events/{number}"), "");
                client
            })
            .collect();
        for client in &mut open {
            assert_eq!(status(&client.head()), "200");
        }
        let stats = seen(gateway, "GET /api/stats", "", "");
        assert_eq!((&stats["sessions"], &stats["tls"]), (&json!(connections), &json!(connections)), "{streams}");
        assert_eq!(stats["open"], json!(6));
    }
}

#[test]
fn a_full_route_says_so_over_http_2_too() {
    let api = Http2Api::start();
    let mut config = to(&api);
    config.max_calls = 1;
    let gateway = start(vec![config]);
    let mut running = Connection::open(gateway);
    running.ask("GET /api/events", "");
    assert_eq!(status(&running.head()), "200");
    assert_eq!(status(&get(gateway, "/api/echo").0), "503");
    running.close();
    eventually("there should be room again", || (status(&get(gateway, "/api/echo").0) == "200").then_some(()));
}

#[test]
fn an_unused_connection_is_closed_before_the_upstream_would_and_replaced_when_needed() {
    let (api, gateway) = stage();
    assert_eq!(status(&get(gateway, "/api/echo").0), "200");
    let used = Instant::now();
    assert_eq!(api.tells("session"), json!("closed"));
    assert!(used.elapsed() > Duration::from_secs(3), "{:?}", used.elapsed());
    assert_eq!(seen(gateway, "GET /api/stats", "", "")["sessions"], json!(2));
}

#[test]
fn a_connection_is_replaced_before_servers_end_theirs() {
    let (_api, gateway) = stage();
    let mut client = Connection::open(gateway);
    for _ in 0..91 {
        client.ask("POST /api/up", "Content-Length: 1\r\n");
        client.send("x");
        assert_eq!(status(&client.head()), "200");
        assert_eq!(client.bytes(5), "taken");
    }
    assert_eq!(seen(gateway, "GET /api/stats", "", "")["sessions"], json!(2));
}

#[test]
fn a_connection_that_the_upstream_closes_takes_no_call_along() {
    let (_api, gateway) = stage();
    for _ in 0..20 {
        let (head, body) = get(gateway, "/api/goaway");
        assert_eq!(status(&head), "200");
        assert!(body.contains("ok"), "{body}");
    }
}

#[test]
fn certificates_are_verified_and_shown_over_http_2_too() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let [mine, other] = ["mine", "other"].map(|name| Pair::make(dir.path(), name, "DNS:gateway.example"));
    let api = Http2Api::start_with(&json!({ "ca": mine.cert }));
    let with = |tls: TlsFiles| {
        let mut config = to(&api);
        config.upstream.tls = tls;
        let (head, body) = get(start(vec![config]), "/api/echo");
        (status(&head).to_owned(), body.contains("\"version\":\"2.0\""))
    };
    let showing = |pair: &Pair, ca: &Pair| TlsFiles {
        ca: Some(ca.cert.clone()),
        client_cert: Some(pair.cert.clone()),
        client_key: Some(pair.key.clone()),
    };
    let known = Pair { cert: api.ca(), key: mine.key.clone() };
    assert_eq!(with(showing(&mine, &known)), ("200".to_owned(), true));
    assert_eq!(with(showing(&other, &known)), ("502".to_owned(), false), "another certificate");
    assert_eq!(with(to(&api).upstream.tls), ("502".to_owned(), false), "none");
    assert_eq!(with(showing(&mine, &other)), ("502".to_owned(), false), "an unknown authority");
}

#[test]
fn both_directions_stream_before_the_other_ends() {
    let (_api, gateway) = stage();
    let mut client = Connection::open(gateway);
    client.ask("POST /api/duplex", "Transfer-Encoding: chunked\r\n");
    client.send("3\r\none\r\n");
    assert_eq!(status(&client.head()), "200");
    assert_eq!(client.bytes(8), "3\r\none\r\n");
    client.send("3\r\ntwo\r\n0\r\n\r\n");
    assert_eq!(client.bytes(13), "3\r\ntwo\r\n0\r\n\r\n");
}

#[test]
fn an_early_refusal_is_relayed_while_the_body_is_on_its_way() {
    let (_api, gateway) = stage();
    let mut client = Connection::open(gateway);
    client.ask("POST /api/early", "Content-Length: 1000000\r\n");
    client.send(vec![0; 1000]);
    assert_eq!((status(&client.head()), client.bytes(3).as_str()), ("413", "big"));
}

/// What the stream of a call was closed with.
fn end(api: &Http2Api, path: &str) -> Value {
    let told = |line: Value| (line["path"] == json!(path)).then(|| line["closed"].clone());
    eventually("the stream should be closed", || api.said().into_iter().find_map(told))
}

/// What a cancelled stream is closed with (RFC 9113 §7).
const CANCEL: u32 = 8;

#[test]
fn whoever_leaves_cancels_the_stream_at_once_and_nothing_else() {
    let (api, gateway) = stage();
    let mut shortest = Duration::MAX;
    for number in 0..5 {
        for path in [format!("/api/events/{number}"), format!("/api/hang/{number}")] {
            let mut client = Connection::open(gateway);
            client.ask(&format!("GET {path}"), "");
            let there = |line: &Value| ["sent", "hangs"].iter().any(|name| line[*name] == json!(path));
            eventually("the call should be there", || api.said().iter().any(there).then_some(()));
            let left = Instant::now();
            client.close();
            assert_eq!(end(&api, &path), json!(CANCEL));
            shortest = shortest.min(left.elapsed());
        }
    }
    assert!(shortest < Duration::from_millis(100), "{shortest:?}");
    assert_eq!(seen(gateway, "GET /api/stats", "", "")["sessions"], json!(1));
}

#[test]
fn http_2_can_be_switched_off() {
    let api = Http2Api::start();
    let mut config = to(&api);
    config.upstream.http2 = false;
    let gateway = start(vec![config]);
    assert_eq!(seen(gateway, "GET /api/echo", "", "")["version"], json!("1.1"));
    assert_eq!(seen(gateway, "GET /api/stats", "", "")["sessions"], json!(0));
}
