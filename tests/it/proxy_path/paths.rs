//! Paths arrive byte for byte or not at all.

use cloakroom::config::EncodedSlash;

use super::gateway::{route, start, start_with};
use super::sockets::{Connection, Upstream, status};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Targets that mean one thing to everyone.
pub(super) const UNAMBIGUOUS: [&str; 18] = [
    "/api",
    "/api/",
    "/api/x",
    "/api/%c3%A4",
    "/api/a%20b",
    "/api/x%23",
    "/api/@evil",
    "/api/x:y/.z/...",
    "/api/x%20HTTP/1.1",
    "/api/a|b^c[0]{1}'!$&()*+,=~-_",
    "/api/%252f",
    "/api/x%EF%BC%8F..",
    "/api/x?a=../../",
    "/api/x??",
    "/api/x?",
    "/api/x?a=%00",
    "/api/x?a=b%2Fc&a=b+c;d'|^[]{}",
    "/api/x?u=http://evil/%0d%0a",
];

fn ask(gateway: std::net::SocketAddr, target: &str) -> String {
    let mut client = Connection::open(gateway);
    client.ask(&format!("GET {target}"), "Connection: close\r\n");
    client.rest().get(9..12).unwrap_or("none").to_owned()
}

#[test]
fn what_is_not_ambiguous_arrives_byte_for_byte() {
    let upstream = Upstream::answering(OK);
    let gateway = start(vec![route(upstream.address)]);
    for target in UNAMBIGUOUS {
        assert_eq!(ask(gateway, target), "200", "{target}");
        let head = upstream.heads().pop().expect("a request");
        assert_eq!(head.lines().next(), Some(format!("GET {target} HTTP/1.1").as_str()));
    }
    assert_eq!(upstream.heads().len(), UNAMBIGUOUS.len());
}

#[test]
fn what_is_ambiguous_never_reaches_an_upstream() {
    let upstream = Upstream::answering(OK);
    let gateway = start(vec![route(upstream.address)]);
    let mut targets: Vec<String> = [
        "/api//x",
        "//api/x",
        "///evil/x",
        "/api/http://evil/",
        "/;/api/x",
        "/api;/admin",
        "/api;x=y/admin",
        "/api/x;/../a",
        "/api%2f..%2fadmin",
        "/api%2fadmin",
        "/api/%2f%2fevil",
        "/api/a%2Fb",
        "/api/..\\admin",
        "/api/%c0%ae%c0%ae/",
        "/api/..%c0%afadmin",
        "/api/%e0%80%af",
        "/api/%uff0e%uff0e/",
        "/api/x%00.json",
        "/api/x%0d%0aX:1",
        "/api/%",
        "/api/%g1",
        "/api/%2",
        "/api/ｘ",
        "/api/x y",
    ]
    .map(String::from)
    .into();
    for dot in [
        ".",
        "..",
        "%2e",
        "%2e%2E",
        ".%2e",
        "%2e.",
        "%252e%252e",
        "%25%32%65%25%32%65",
        "..%5c",
        "%5c..",
        "..%2f",
        "..%252f",
        "..;",
    ] {
        targets.extend([format!("/api/{dot}"), format!("/api/{dot}/admin"), format!("/api/x/{dot}")]);
    }
    for target in targets {
        assert_eq!(ask(gateway, &target), "400", "{target}");
    }
    for target in ["/API/x", "/Api/x", "/apix", "/api-internal/x", "/api.evil/x", "/api@evil/x", "/api%20/x"] {
        assert_eq!(ask(gateway, target), "404", "{target}");
    }
    assert_eq!(upstream.heads(), Vec::<String>::new());
}

#[test]
fn a_fragment_in_the_target_never_changes_what_is_matched_and_forwarded() {
    let upstream = Upstream::answering(OK);
    let gateway = start(vec![route(upstream.address)]);
    // The server's URI type cuts fragments off before anyone sees them, so one path is matched and forwarded all the same.
    ask(gateway, "/api/x#/../admin");
    ask(gateway, "/public#/../api/x");
    assert!(upstream.heads().iter().all(|head| head.starts_with("GET /api/x HTTP/1.1\r\n")), "{:?}", upstream.heads());
}

#[test]
fn prefixes_are_put_in_front_and_cut_off() {
    let upstream = Upstream::answering(OK);
    let mut stripped = route(upstream.address);
    stripped.strip_prefix = true;
    stripped.encoded_slash = EncodedSlash::Pass;
    stripped.upstream.url = format!("http://{}/v1", upstream.address).parse().expect("a URL");
    let mut kept = stripped.clone();
    kept.path = "/kept".into();
    kept.strip_prefix = false;
    let gateway = start(vec![stripped, kept]);
    for (target, expected) in [
        ("/api/a%2Fb?q", "/v1/a%2Fb?q"),
        ("/api", "/v1"),
        ("/api/", "/v1/"),
        ("/api?q", "/v1?q"),
        ("/kept/x", "/v1/kept/x"),
    ] {
        assert_eq!(ask(gateway, target), "200", "{target}");
        assert_eq!(upstream.heads().pop().expect("a request").split(' ').nth(1), Some(expected));
    }
    assert_eq!(ask(gateway, "/api/..%2Fadmin"), "400");
}

#[test]
fn a_development_server_gets_everything_else_without_a_session() {
    let api = Upstream::answering(OK);
    let spa = Upstream::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: max-age=9\r\nSet-Cookie: a=1\r\n\r\nhi",
    );
    let spa_config = route(spa.address).upstream;
    let gateway = start_with(vec![route(api.address)], Some(spa_config));
    let mut client = Connection::open(gateway);
    client.send("GET /@vite/client?t=1 HTTP/1.1\r\nHost: one.localhost:8080\r\nCookie: a=1\r\nOrigin: http://one.localhost:8080\r\nAccept: text/html\r\n\r\n");
    let head = client.head();
    assert_eq!((status(&head), client.bytes(2).as_str()), ("200", "hi"));
    assert!(head.contains("cache-control: max-age=9\r\n"), "{head}");
    for word in ["set-cookie", "no-store", "sandbox", "vary"] {
        assert!(!head.contains(word), "{head}");
    }
    let seen = spa.only();
    assert!(
        seen.starts_with("GET /@vite/client?t=1 HTTP/1.1\r\n") && seen.contains(&format!("host: {}\r\n", spa.address)),
        "{seen}"
    );
    assert!(!seen.contains("cookie") && !seen.contains("origin") && !seen.contains("authorization"), "{seen}");
    assert!(api.heads().is_empty());
}

#[test]
fn methods_that_a_route_does_not_list_never_reach_an_upstream() {
    let upstream = Upstream::answering(OK);
    let mut listed = route(upstream.address);
    listed.methods = Some(vec!["GET".into(), "PURGE".into()]);
    let gateway = start(vec![listed]);
    for (method, expected) in [("GET", "200"), ("PURGE", "200"), ("POST", "405"), ("TRACE", "405"), ("get", "405")] {
        let mut client = Connection::open(gateway);
        client.ask(&format!("{method} /api"), "");
        assert_eq!(status(&client.head()), expected, "{method}");
    }
    assert_eq!(upstream.heads().len(), 2);
}
