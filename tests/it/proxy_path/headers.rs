//! Header rules in both directions, as the other side sees them.

use cloakroom::config::{Access, CachePolicy, Documents};

use super::gateway::{route, start};
use super::sockets::{Connection, Upstream, status, values};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn only_the_gateways_word_reaches_the_upstream() {
    let upstream = Upstream::answering(OK);
    let mut config = route(upstream.address);
    config.forward_cookies = vec!["lang".into()];
    let gateway = start(vec![config]);
    let mut client = Connection::open(gateway);
    client.ask(
        "GET /api/x",
        "Cookie: __Host-Http-cloakroom=t; lang=de\r\nAuthorization: Bearer evil\r\nAuthorization: Basic evil\r\nauthori_zation: kept\r\n\
         Origin: http://one.localhost:8080\r\nReferer: http://one.localhost:8080/\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n\
         Forwarded: for=evil\r\nX-Forwarded-For: evil\r\nX-Forwarded-User: evil\r\nx_forwarded_for: evil\r\nX_Forwarded-Proto: evil\r\n\
         X-Real-IP: evil\r\nX_Real_IP: evil\r\nX-Request-Id: evil\r\nx_request_id: evil\r\nDPoP: evil\r\nProxy-Authorization: evil\r\nProxy-Foo: evil\r\n\
         X-HTTP-Method-Override: evil\r\nX-Method-Override: evil\r\nX-Original-URL: /evil\r\nX-Rewrite-URL: /evil\r\nX-BFF: 1\r\nX-BFF-Pin: evil\r\n\
         TE: trailers\r\nTrailer: evil\r\nUpgrade: h2c\r\nHTTP2-Settings: evil\r\nKeep-Alive: evil\r\ncontent_length: 5\r\ntransfer_encoding: evil\r\n\
         Connection: close, Authorization, X-Forwarded-For, Via, Host, X-Request-Id, X-Secret\r\nX-Secret: evil\r\nVia: 1.0 edge\r\n\
         Accept: a\r\nX-Twice: 1\r\nX-Twice: 2\r\nUser-Agent: me\r\nIf-None-Match: \"x\"\r\nRange: bytes=0-1\r\n",
    );
    assert_eq!(status(&client.head()), "200");
    let seen = upstream.only();
    assert!(!seen.contains("evil"), "{seen}");
    let mut lines: Vec<&str> = seen.trim_end().lines().skip(1).collect();
    lines.sort_unstable();
    let host = format!("host: {}", upstream.address);
    let mut expected = vec![
        "accept: a",
        "authori_zation: kept",
        "authorization: Bearer t0ken",
        "cookie: lang=de",
        &host,
        "if-none-match: \"x\"",
        "range: bytes=0-1",
        "user-agent: me",
        "via: 1.0 edge, 1.1 cloakroom",
        "x-forwarded-for: 203.0.113.7",
        "x-forwarded-host: one.localhost:8080",
        "x-forwarded-proto: http",
        "x-request-id: r-1",
        "x-twice: 1",
        "x-twice: 2",
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
    assert!(seen.find("x-twice: 1") < seen.find("x-twice: 2"));
}

#[test]
fn options_has_one_hop_less_to_go() {
    let upstream = Upstream::answering(OK);
    let mut client = Connection::open(start(vec![route(upstream.address)]));
    for (method, line, passed) in [
        ("OPTIONS", "Max-Forwards: 5\r\n", vec!["4"]),
        ("OPTIONS", "", vec![]),
        ("GET", "Max-Forwards: 0\r\n", vec!["0"]),
    ] {
        client.ask(&format!("{method} /api/x"), line);
        assert_eq!(status(&client.head()), "200");
        assert_eq!(values(upstream.heads().last().expect("it came"), "max-forwards"), passed, "{method} {line}");
    }
}

#[test]
fn bytes_that_are_not_ascii_open_nothing_to_the_browser() {
    let upstream = Upstream::start(|_, connection| {
        while !connection.request().is_empty() {
            let local = connection.address();
            connection.connection.send(format!(
                "HTTP/1.1 302 Found\r\nLocation: http://{local}/api/\u{fc}ber\r\nCache-Control: no-store, ext=\"\u{fc}\"\r\n\
                 Vary: Accept, \u{fc}\r\nContent-Length: 0\r\n\r\n"
            ));
        }
    });
    let mut config = route(upstream.address);
    config.cache = CachePolicy::Upstream;
    let mut client = Connection::open(start(vec![config]));
    client.ask("GET /api/x", "");
    let head = client.head();
    assert_eq!(values(&head, "location"), ["http://one.localhost:8080/api/%C3%BCber"], "{head}");
    assert_eq!(values(&head, "cache-control"), ["private, no-store"], "{head}");
    assert_eq!(values(&head, "vary"), ["Accept, Cookie"], "{head}");
}

#[test]
fn a_token_goes_only_where_there_is_one_and_the_route_takes_it() {
    let upstream = Upstream::answering(OK);
    let [mut optional, mut public] = [route(upstream.address), route(upstream.address)];
    (optional.path, optional.access) = ("/optional".into(), Access::Optional);
    (public.path, public.access) = ("/public".into(), Access::None);
    let gateway = start(vec![route(upstream.address), optional, public]);
    for (path, expected) in [("/api", vec!["Bearer t0ken"]), ("/optional", vec![]), ("/public", vec![])] {
        let mut client = Connection::open(gateway);
        client.ask(&format!("GET {path}"), "Authorization: Bearer evil\r\n");
        assert_eq!(status(&client.head()), "200");
        assert_eq!(values(&upstream.heads().pop().expect("a request"), "authorization"), expected, "{path}");
    }
}

#[test]
fn a_request_without_proof_and_a_loop_end_here() {
    let upstream = Upstream::answering(OK);
    let gateway = start(vec![route(upstream.address)]);
    let mut client = Connection::open(gateway);
    client.send("GET /api HTTP/1.1\r\nHost: one.localhost:8080\r\nSec-Fetch-Site: same-site\r\nX-BFF: 1\r\n\r\n");
    assert_eq!(status(&client.head()), "403");
    client.ask("GET /api", "Via: 1.1 edge (a, b), 1.1 Cloakroom (x)\r\n");
    assert_eq!(status(&client.head()), "508");
    assert!(upstream.heads().is_empty());
}

const LOUD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/html\r\nETag: \"e\"\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
    Set-Cookie: lang=de; Path=/\r\nSet-Cookie: sid=evil\r\nSet-Cookie: lang=evil; Domain=localhost\r\nSet-Cookie: __Host-x=evil\r\n\
    Set-Cookie: cloakroom-8080=evil\r\nAccess-Control-Allow-Origin: evil\r\nAccess-Control-Allow-Credentials: evil\r\nClear-Site-Data: evil\r\n\
    Service-Worker-Allowed: evil\r\nStrict-Transport-Security: evil\r\nAlt-Svc: evil\r\nRefresh: 0;url=evil\r\nNEL: evil\r\nReport-To: evil\r\n\
    X-Accel-Redirect: evil\r\nX_Accel_Buffering: evil\r\nX-BFF-Reason: evil\r\nServer: evil\r\nX-Powered-By: evil\r\nKeep-Alive: evil\r\n\
    Proxy-Authenticate: evil\r\nConnection: X-Secret, Cache-Control\r\nX-Secret: evil\r\nUpgrade: evil\r\nWWW-Authenticate: Basic realm=evil\r\n\
    WWW-Authenticate: Bearer error=\"invalid_token\"\r\nCache-Control: public, max-age=60, s-maxage=9\r\nCDN-Cache-Control: public\r\n\
    Vary: Accept\r\nContent-Security-Policy: default-src 'self'\r\nX-Twice: 1\r\nX-Twice: 2\r\nLink: </x>; rel=preload\r\n\r\nhi";

fn loud(change: impl FnOnce(&mut cloakroom::config::RouteConfig), request: &str) -> String {
    let upstream = Upstream::answering(LOUD);
    let mut config = route(upstream.address);
    config.allow_set_cookie = ["lang", "__Host-x", "cloakroom-8080"].map(String::from).into();
    change(&mut config);
    let mut client = Connection::open(start(vec![config]));
    client.ask("GET /api", request);
    let head = client.head();
    assert_eq!((status(&head), client.bytes(2).as_str()), ("200", "hi"));
    head
}

#[test]
fn nothing_that_acts_on_the_spas_origin_reaches_the_browser() {
    let head = loud(|_| (), "Sec-Fetch-Dest: empty\r\n");
    assert!(!head.contains("evil") && !head.contains("access-control") && !head.contains("cdn-cache"), "{head}");
    for (name, expected) in [
        ("set-cookie", vec!["lang=de; Path=/"]),
        ("www-authenticate", vec!["Bearer error=\"invalid_token\""]),
        ("cache-control", vec!["private, no-store"]),
        ("vary", vec!["Accept, Cookie"]),
        ("x-content-type-options", vec!["nosniff"]),
        ("cross-origin-resource-policy", vec!["same-origin"]),
        ("content-security-policy", vec!["default-src 'self'"]),
        ("content-type", vec!["text/html"]),
        ("etag", vec!["\"e\""]),
        ("date", vec!["Mon, 01 Jan 2024 00:00:00 GMT"]),
        ("x-twice", vec!["1", "2"]),
        ("link", vec!["</x>; rel=preload"]),
        ("content-length", vec!["2"]),
        ("connection", vec![]),
    ] {
        assert_eq!(values(&head, name), expected, "{name}");
    }
}

#[test]
fn documents_are_sandboxed_unless_the_route_trusts_them() {
    let csp = |head: &str| values(head, "content-security-policy").contains(&"sandbox");
    for destination in ["document", "iframe", "frame"] {
        assert!(csp(&loud(|_| (), &format!("Sec-Fetch-Dest: {destination}\r\nAccept: */*\r\n"))), "{destination}");
    }
    assert!(csp(&loud(|_| (), "Accept: text/html,*/*\r\n")));
    assert!(!csp(&loud(|_| (), "Sec-Fetch-Dest: image\r\nAccept: text/html\r\n")));
    assert!(!csp(&loud(|_| (), "Accept: application/json\r\n")));
    assert!(!csp(&loud(|config| config.documents = Documents::Trusted, "Sec-Fetch-Dest: document\r\n")));
}

#[test]
fn caching_follows_the_route() {
    let upstreams = loud(|config| config.cache = CachePolicy::Upstream, "");
    assert_eq!(values(&upstreams, "cache-control"), ["private, max-age=60"]);
    let public = loud(|config| config.access = Access::None, "Accept: text/html\r\n");
    assert_eq!(values(&public, "vary"), ["Accept"]);
    assert!(!public.contains("evil") && !public.contains("sandbox"), "{public}");
}

#[test]
fn redirects_are_passed_on_with_the_upstreams_origin_mapped() {
    let upstream = Upstream::start(|_, connection| {
        let head = connection.request();
        let (_, wanted) = head.split_once("location=").expect("a wish");
        let wanted = wanted.split(' ').next().expect("a wish");
        connection.connection.send(format!(
            "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\nLocation: {wanted}\r\n\r\n"
        ));
    });
    let gateway = start(vec![route(upstream.address)]);
    let own = format!("http://{}/api/y?z", upstream.address);
    for (wanted, expected) in [
        (own.as_str(), "http://one.localhost:8080/api/y?z"),
        ("https://other.example/x", "https://other.example/x"),
        ("/api/y", "/api/y"),
        ("y", "y"),
    ] {
        let mut client = Connection::open(gateway);
        client.ask(&format!("GET /api/x?location={wanted}"), "");
        let head = client.head();
        assert_eq!((status(&head), values(&head, "location")), ("302", vec![expected]));
    }
    assert_eq!(upstream.heads().len(), 4);
}
