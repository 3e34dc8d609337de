//! The proxied path from the first byte to the last: contract section 4.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{Browser, Reply, Request, Setup, Streaming, World, contains, eventually, send, send_raw};

/// What a browser, or whoever pretends to be one, may try to tell an upstream.
const HOSTILE_HEADERS: &[(&str, &str)] = &[
    ("Authorization", "Bearer stolen"),
    ("Sec-Fetch-Mode", "cors"),
    ("Forwarded", "for=6.6.6.6"),
    ("X-Forwarded-For", "6.6.6.6"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-User", "root"),
    ("X-Forwarded-Uri", "/admin"),
    ("X-Real-IP", "6.6.6.6"),
    ("X_Forwarded_For", "6.6.6.6"),
    ("X-Forwarded_For", "6.6.6.6"),
    ("Via_", "x"),
    ("AUTHORIZATION_", "x"),
    ("x_request_id", "forged"),
    ("X-Request-Id", "forged\u{e9}"),
    ("Via", "1.1 forged"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Authorization", "Basic eA=="),
    ("Proxy-Connection", "keep-alive"),
    ("TE", "trailers"),
    ("Upgrade", "h2c"),
    ("X-Hop", "secret"),
    ("X-Keep", "kept"),
    ("Accept-Language", "de"),
    ("Connection", "close, X-Hop, Authorization, X-Forwarded-For, Cookie"),
    ("Referer", "http://one.localhost/secret?code=1"),
];

fn route(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn a_call_arrives_with_the_users_token_and_its_answer_comes_back() {
    let world = World::new();
    let mut browser = world.signed_in();
    let answer = browser.get(&world.one(), "/api/hello?x=1");
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"hello":"from the api"}"#));
    let asked = world.upstream.last();
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", "/api/hello?x=1"));
    assert_eq!(asked.bearer(), world.provider.latest(world.client_id(), "access_token"));
    browser.saw_none_of(&world.secrets());
}

#[test]
fn every_method_and_a_body_pass_through() {
    let world = World::new();
    let mut browser = world.signed_in();
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let call = Request::new(method, "").header("Content-Type", "application/json").body(r#"{"a":1}"#);
        assert_eq!(browser.fetch_with(&world.one(), call, "/api/x").status, 200, "{method}");
        let asked = world.upstream.last();
        assert_eq!((asked.method.as_str(), asked.body.as_slice()), (method, &br#"{"a":1}"#[..]));
        assert_eq!(asked.one("content-type"), "application/json");
    }
}

#[test]
fn what_belongs_to_the_browser_or_to_the_hop_stays_here() {
    let world = World::new();
    let browser = world.signed_in();
    let request = world.own_request(&browser, "GET", "/api/x").header("Origin", world.one());
    let request = HOSTILE_HEADERS.iter().fold(request, |request, (name, value)| request.header(name, value));
    let answer = world.send(&request);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let asked = world.upstream.last();
    assert_eq!(asked.bearer(), world.provider.latest(world.client_id(), "access_token"));
    let gone = [
        "cookie",
        "origin",
        "referer",
        "sec-fetch-site",
        "sec-fetch-mode",
        "forwarded",
        "x-real-ip",
        "x-forwarded-user",
        "x-forwarded-uri",
        "x_forwarded_for",
        "x-forwarded_for",
        "x_request_id",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "upgrade",
        "x-hop",
    ];
    for name in gone {
        assert!(asked.all(name).is_empty(), "{name} reached the upstream: {:?}", asked.headers);
    }
    assert_eq!((asked.one("x-keep"), asked.one("accept-language")), ("kept", "de"));
    assert_eq!(asked.one("x-forwarded-for"), "127.0.0.1");
    assert_eq!(asked.one("x-forwarded-proto"), "http");
    assert_eq!(asked.one("x-forwarded-host"), world.one().replace("http://", ""));
    assert!(!asked.one("via").is_empty());
    assert!(!asked.one("x-request-id").contains("forged"));
    assert_eq!(asked.one("host"), format!("127.0.0.1:{}", world.upstream.port()));
}

#[test]
fn a_trusted_edge_is_believed_about_the_address() {
    let mut setup = Setup::one_site();
    setup.server.push("trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]".into());
    let world = World::of(setup);
    let browser = world.signed_in();
    world.send(
        &world.own_request(&browser, "GET", "/api/x").header("X-Forwarded-For", "6.6.6.6, 203.0.113.7, 10.1.2.3"),
    );
    let seen = world.upstream.last().one("x-forwarded-for").to_owned();
    assert!(seen.contains("203.0.113.7") && !seen.contains("6.6.6.6"), "{seen}");
}

#[test]
fn path_and_query_arrive_byte_for_byte() {
    let world = World::new();
    let browser = world.signed_in();
    let targets = [
        "/api",
        "/api/",
        "/api/x/",
        "/api?x",
        "/api/x?",
        "/api/x??",
        "/api/%C3%A4",
        "/api/%c3%a4",
        "/api/a%20b",
        "/api/a+b",
        "/api/~a.b_c-d",
        "/api/x?a=../../&b=%2F%2e",
        "/api/x?a=%00",
        "/api/@evil",
        "/api/x:y",
        "/api/x,y",
        "/api/x=y",
        "/api/x!$&'()*",
        "/api/%41",
        "/api/...",
        "/api/x%23",
        "/api/x?q=[1]&r={2}|3",
        "/api/x?next=https://evil.example//a",
    ];
    for target in targets {
        let before = world.upstream.count();
        let answer = world.send(&world.own_request(&browser, "GET", target));
        if answer.status == 200 {
            assert_eq!(world.upstream.last().target, target);
        } else {
            assert_eq!((answer.status, world.upstream.count()), (400, before), "{target}");
        }
        let must_pass = !target.contains(['{', '|', '[']);
        assert!(answer.status == 200 || !must_pass, "{target}: {} {}", answer.status, answer.text());
    }
}

#[test]
fn an_ambiguous_path_is_refused_and_never_repaired() {
    let mut setup = Setup::one_site();
    setup.sites[0].routes.push(route(&["path = \"/admin\"", "auth = \"none\""]));
    let world = World::of(setup);
    let browser = world.signed_in();
    let paths = [
        "/api/../admin",
        "/api/..",
        "/api/.",
        "/api/./x",
        "/api/..%2fadmin",
        "/api/..%2Fadmin",
        "/api/%2e%2e/admin",
        "/api/%2E%2e%2fadmin",
        "/api/.%2e/admin",
        "/api/%2e./admin",
        "/api/..%5cadmin",
        "/api/..\\admin",
        "/api/%5c..%5cadmin",
        "/api%2f..%2fadmin",
        "/api%2fadmin",
        "/api/..;/admin",
        "/api;/admin",
        "/api;x=y/admin",
        "/api/x;/../admin",
        "/;/api/x",
        "//api/x",
        "/api//x",
        "///evil/x",
        "/api/x%00.json",
        "/api/%00",
        "/api/%",
        "/api/%g1",
        "/api/%2",
        "/api/x/.",
        "/api/x/..",
        "/api/%2f%2fevil",
        "/api/http://evil/",
        "/api/x%2F",
        "/%2e%2e/api/x",
        "/api/%2e",
    ];
    let before = world.upstream.count();
    for path in paths {
        let answer = world.send(&world.own_request(&browser, "GET", path));
        assert_eq!((answer.status, answer.reason()), (400, "bad_path"), "{path}: {}", answer.text());
    }
    assert_eq!(world.upstream.count(), before, "the upstream was asked");
}

#[test]
fn a_path_that_is_no_http_never_reaches_the_upstream() {
    let world = World::new();
    let browser = world.signed_in();
    let host = world.one().replace("http://", "");
    let cookie = browser.cookie_header(&world.one());
    let before = world.upstream.count();
    for target in [&b"/api/\xef\xbd\x98"[..], b"/api/x y", b"*", b"", b"/api/\x01", b"api/x", b"/api/\x7f"] {
        let mut bytes = b"GET ".to_vec();
        bytes.extend_from_slice(target);
        bytes.extend_from_slice(
            format!(" HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nX-BFF: 1\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        );
        let answer = send_raw(world.setup.port, &bytes);
        let status: Option<u16> = String::from_utf8_lossy(&answer).split(' ').nth(1).and_then(|word| word.parse().ok());
        assert!(
            status.is_none_or(|status| (400..500).contains(&status)),
            "{:?}: {status:?}",
            String::from_utf8_lossy(target)
        );
    }
    assert_eq!(world.upstream.count(), before);
}

/// The server's parser takes a fragment off before anything else sees the target: what is left is matched and forwarded
/// as the same bytes, and nothing after the `#` can choose anything.
#[test]
fn a_fragment_in_a_target_chooses_nothing() {
    let world = World::new();
    let browser = world.signed_in();
    let answer = world.send(&world.own_request(&browser, "GET", "/api/x#/../../admin"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(world.upstream.last().target, "/api/x");
    world.send(&world.own_request(&browser, "GET", "/elsewhere#/api/x")).refuses(404, "no_route");
}

#[test]
fn a_prefix_ends_at_a_segment_and_knows_its_case() {
    let world = World::new();
    let browser = world.signed_in();
    for path in
        ["/apix", "/api-internal/x", "/api.evil/x", "/API/x", "/Api/x", "/ap", "/x/api/y", "/api@evil/x", "/api%20/x"]
    {
        let answer = world.send(&world.own_request(&browser, "GET", path));
        assert_eq!((answer.status, answer.reason()), (404, "no_route"), "{path}");
    }
    assert_eq!(world.upstream.count(), 0);
}

#[test]
fn the_longest_prefix_wins_and_a_prefix_may_be_cut() {
    let mut setup = Setup::one_site();
    setup.sites[0].routes = vec![
        route(&["path = \"/api\"", "upstream = \"UPSTREAM/v1\""]),
        route(&["path = \"/api/deep\"", "upstream = \"UPSTREAM/deep/\"", "strip_prefix = true"]),
    ];
    let world = World::of(setup);
    let browser = world.signed_in();
    for (asked, arrived) in [
        ("/api/x?y", "/v1/api/x?y"),
        ("/api/deeper", "/v1/api/deeper"),
        ("/api/deep/x?y", "/deep/x?y"),
        ("/api/deep", "/deep/"),
    ] {
        assert_eq!(world.send(&world.own_request(&browser, "GET", asked)).status, 200, "{asked}");
        let target = world.upstream.last().target;
        assert!(target == arrived || format!("{target}/") == arrived, "{asked} arrived as {target}");
    }
}

#[test]
fn without_a_session_the_answer_is_a_401_and_never_a_redirect() {
    let world = World::new();
    let mut browser = Browser::new();
    for method in ["GET", "POST", "DELETE"] {
        let answer = browser.fetch(&world.one(), method, "/api/x");
        answer.refuses(401, "no_session");
        assert_eq!(answer.json()["login_url"], "/bff/login");
        assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Session realm=\"")));
        assert_eq!(answer.header("cache-control").map(|value| value.contains("no-store")), Some(true));
    }
    let page = browser.open(&format!("{}/api/x", world.one()));
    assert_eq!((page.response.status, page.response.reason()), (401, "no_session"));
    assert!(
        page.response.header("content-type").is_some_and(|kind| kind.starts_with("text/html")),
        "a person gets a page"
    );
    assert_eq!(world.upstream.count(), 0);
}

#[test]
fn a_public_route_never_carries_a_token_and_an_optional_one_does_when_it_can() {
    let mut setup = Setup::one_site();
    setup.sites[0].routes.push(route(&["path = \"/public\"", "auth = \"none\""]));
    setup.sites[0].routes.push(route(&["path = \"/maybe\"", "auth = \"optional\""]));
    let world = World::of(setup);
    let mut browser = world.signed_in();
    let mut nobody = Browser::new();
    assert_eq!(browser.get(&world.one(), "/public/x").status, 200);
    assert!(world.upstream.last().all("authorization").is_empty() && world.upstream.last().all("cookie").is_empty());
    assert_eq!(browser.get(&world.one(), "/maybe/x").status, 200);
    assert!(!world.upstream.last().bearer().is_empty());
    assert_eq!(nobody.get(&world.one(), "/maybe/x").status, 200);
    assert!(world.upstream.last().all("authorization").is_empty());
    let forged = Request::new("GET", "").header("Authorization", "Bearer forged");
    assert_eq!(nobody.fetch_with(&world.one(), forged, "/public/x").status, 200);
    assert!(world.upstream.last().all("authorization").is_empty(), "a client's own token never passes");
}

#[test]
fn what_an_upstream_may_not_tell_a_browser_is_removed() {
    let world = World::new();
    let mut browser = world.signed_in();
    world.upstream.answers(|_| {
        let headers = "content-type: text/html\r\nset-cookie: laravel_session=1; Path=/\r\nset-cookie: __Host-Http-cloakroom=evil\r\n\
            access-control-allow-origin: *\r\naccess-control-allow-credentials: true\r\nclear-site-data: \"*\"\r\n\
            service-worker-allowed: /\r\nstrict-transport-security: max-age=1\r\nalt-svc: h3=\":1\"\r\nrefresh: 0;url=//evil\r\n\
            nel: {}\r\nreport-to: {}\r\nx-accel-redirect: /etc/passwd\r\nx-bff-reason: no_session\r\nserver: nginx\r\nx-powered-by: PHP\r\n\
            keep-alive: timeout=5\r\nproxy-authenticate: Basic\r\nconnection: x-hop\r\nx-hop: 1\r\nx-kept: kept\r\n\
            cache-control: public, max-age=600\r\nvary: Accept\r\n";
        Reply::with("200 OK", headers, "<script>")
    });
    let answer = browser.get(&world.one(), "/api/x");
    assert_eq!(answer.status, 200);
    let gone = [
        "set-cookie",
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "clear-site-data",
        "service-worker-allowed",
        "strict-transport-security",
        "alt-svc",
        "refresh",
        "nel",
        "report-to",
        "x-accel-redirect",
        "x-bff-reason",
        "server",
        "x-powered-by",
        "keep-alive",
        "proxy-authenticate",
        "x-hop",
    ];
    for name in gone {
        assert!(answer.all(name).is_empty(), "{name} passed: {:?}", answer.headers);
    }
    assert_eq!(answer.header("x-kept"), Some("kept"));
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    let vary = answer.all("vary").join(", ").to_lowercase();
    assert!(vary.contains("cookie") && vary.contains("accept"), "{vary}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
    let page = browser.open(&format!("{}/api/file.html", world.one()));
    assert_eq!(page.response.header("content-security-policy"), Some("sandbox"), "an uploaded page runs nothing here");
}

#[test]
fn a_route_may_let_named_cookies_through_and_never_the_gateways_own() {
    let mut setup = Setup::one_site();
    setup.sites[0].routes =
        vec![route(&["path = \"/api\"", "forward_cookies = [\"theme\"]", "allow_set_cookie = [\"theme\"]"])];
    let world = World::of(setup);
    let browser = world.signed_in();
    world.upstream.answers(|_| {
        let cookies =
            "set-cookie: theme=dark; Path=/\r\nset-cookie: other=1\r\nset-cookie: theme=x; Domain=localhost\r\n";
        Reply::with("200 OK", cookies, "{}")
    });
    let cookies = format!("theme=light; other=2; {}", browser.cookie_header(&world.one()));
    let answer = world.send(&world.request("GET", "/api/x").header("Cookie", cookies).header("X-BFF", "1"));
    assert_eq!(world.upstream.last().all("cookie"), ["theme=light"]);
    assert_eq!(answer.all("set-cookie"), ["theme=dark; Path=/"]);
}

#[test]
fn the_upstreams_own_refusals_pass_and_are_told_from_the_gateways() {
    let world = World::new();
    let mut browser = world.signed_in();
    for (status, line) in [
        (401, "401 Unauthorized"),
        (403, "403 Forbidden"),
        (404, "404 Not Found"),
        (500, "500 Oops"),
        (503, "503 Busy"),
        (422, "422 No"),
    ] {
        world.upstream.answers(move |_| {
            Reply::with(
                line,
                "content-type: application/json\r\nwww-authenticate: Bearer error=\"x\"\r\n",
                "{\"own\":1}",
            )
        });
        let answer = browser.get(&world.one(), "/api/x");
        assert_eq!((answer.status, answer.text().as_str()), (status, "{\"own\":1}"));
        assert!(answer.all("x-bff-reason").is_empty());
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"x\""));
    }
    world.upstream.answers(|_| Reply::with("401 Unauthorized", "www-authenticate: Basic realm=\"x\"\r\n", ""));
    assert!(
        browser.get(&world.one(), "/api/x").all("www-authenticate").is_empty(),
        "a browser would ask for a password"
    );
    assert!(browser.is_signed_in(&world.one()), "an upstream's 401 ends no session");
}

#[test]
fn redirects_are_passed_on_with_the_sites_own_origin_and_never_followed() {
    let world = World::new();
    let mut browser = world.signed_in();
    let own = world.upstream.url();
    for (location, wanted) in [
        (format!("{own}/api/next?x=1"), format!("{}/api/next?x=1", world.one())),
        ("/api/next".into(), "/api/next".into()),
        ("https://evil.example/x".into(), "https://evil.example/x".into()),
    ] {
        let line = format!("location: {location}\r\n");
        world.upstream.answers(move |_| Reply::with("302 Found", &line, ""));
        let before = world.upstream.count();
        let answer = browser.get(&world.one(), "/api/x");
        assert_eq!((answer.status, answer.location()), (302, wanted.as_str()));
        assert_eq!(world.upstream.count(), before + 1);
    }
}

#[test]
fn an_upstream_that_is_down_or_breaks_off_is_a_502() {
    let mut setup = Setup::one_site();
    let down = crate::support::free_port();
    setup.sites[0].routes.push(route(&["path = \"/down\"", &format!("upstream = \"http://127.0.0.1:{down}\"")]));
    let world = World::of(setup);
    let mut browser = world.signed_in();
    browser.get(&world.one(), "/down/x").refuses(502, "upstream_unreachable");
    world.upstream.answers(|_| Reply::Close);
    browser.post(&world.one(), "/api/x").refuses(502, "upstream_unreachable");
    for rubbish in [
        "not http at all\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 abc\r\n\r\n",
    ] {
        world.upstream.answers(move |_| Reply::Raw(rubbish.into()));
        let answer = browser.post(&world.one(), "/api/x");
        assert_eq!((answer.status, answer.reason()), (502, "upstream_unreachable"), "{rubbish:?}");
    }
    world.upstream.answers(|_| Reply::json("{}"));
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200, "it heals by itself");
}

#[test]
fn an_upstream_that_is_slow_is_a_504() {
    let mut setup = Setup::one_site();
    setup.sites[0].routes = vec![route(&["path = \"/api\"", "timeout = \"300ms\""])];
    let world = World::of(setup);
    let mut browser = world.signed_in();
    world.upstream.answers(|_| Reply::Hang);
    let start = Instant::now();
    browser.get(&world.one(), "/api/x").refuses(504, "upstream_timeout");
    assert!(start.elapsed() < Duration::from_secs(5));
    eventually("the upstream should be given up", || (world.upstream.given_up() > 0).then_some(()));
    world
        .upstream
        .answers(|_| Reply::After(Duration::from_millis(20), b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()));
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let mut setup = Setup::one_site();
    setup.sites[0].routes = vec![route(&["path = \"/api\"", "max_body = \"1KiB\""])];
    let world = World::of(setup);
    let browser = world.signed_in();
    let call = |length: usize| world.own_request(&browser, "POST", "/api/x").body("a".repeat(length));
    assert_eq!(world.send(&call(1024)).status, 200);
    let before = world.upstream.count();
    world.send(&call(1025)).refuses(413, "too_large");
    assert_eq!(world.upstream.count(), before);
    let chunked = world.own_request(&browser, "POST", "/api/x").header("Transfer-Encoding", "chunked");
    let body = format!("800\r\n{}\r\n0\r\n\r\n", "a".repeat(0x800));
    assert_eq!(world.send(&chunked.body(body)).status, 413);
}

#[test]
fn a_method_that_the_route_does_not_list_is_a_405() {
    let mut setup = Setup::one_site();
    setup.sites[0].routes = vec![route(&["path = \"/api\"", "methods = [\"GET\", \"POST\"]"])];
    let world = World::of(setup);
    let mut browser = world.signed_in();
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    let answer = browser.fetch(&world.one(), "DELETE", "/api/x");
    answer.refuses(405, "method");
    let allow = answer.header("allow").unwrap_or_default();
    assert!(allow.contains("GET") && allow.contains("POST") && !allow.contains("DELETE"), "{allow}");
    let override_it = Request::new("POST", "").header("X-HTTP-Method-Override", "DELETE");
    browser.fetch_with(&world.one(), override_it, "/api/x");
    assert_eq!(world.upstream.last().method, "POST");
}

/// Sends the head of a request that waits to be asked for its body, and gives what comes first.
fn waiting(world: &World, request: Request) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", world.gateway.port)).expect("the gateway listens");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let request = request.header("Expect", "100-continue").header("Connection", "keep-alive");
    stream.write_all(&request.bytes()).expect("the head can be written");
    let first = head(&mut stream);
    (stream, first)
}

/// Reads one head.
fn head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

#[test]
fn whoever_waits_to_be_asked_for_a_body_is_asked_only_if_it_is_wanted() {
    let mut setup = Setup::one_site();
    setup.sites[0].routes = vec![route(&["path = \"/api\"", "max_body = \"1KiB\""])];
    let world = World::of(setup);
    let browser = world.signed_in();
    let post =
        |browser: &Browser, length: &str| world.own_request(browser, "POST", "/api/x").header("Content-Length", length);
    let foreign = Request::new("POST", "/api/x").header("Host", "evil.example").header("Content-Length", "5");
    for (request, status) in [
        (post(&Browser::new(), "5"), "401"),
        (post(&browser, "5").header("Sec-Fetch-Site", "cross-site"), "403"),
        (world.own_request(&browser, "POST", "/nothing").header("Content-Length", "5"), "404"),
        (post(&browser, "2000"), "413"),
        (foreign, "421"),
    ] {
        let (_, first) = waiting(&world, request);
        assert!(first.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {first}");
    }
    let (mut stream, first) = waiting(&world, post(&browser, "5"));
    assert_eq!(first, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").expect("the body can be written");
    assert!(head(&mut stream).starts_with("HTTP/1.1 200 "));
    assert_eq!(world.upstream.last().body, b"hello");
    assert_eq!(world.upstream.count(), 1);
    // Whoever does not wait has the body taken as well, and is told nothing out of turn.
    let bytes = post(&browser, "5").header("Expect", "100-continue").bytes();
    let answer = send_raw(world.gateway.port, &[bytes.as_slice(), b"hello"].concat());
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("HTTP/1.1 200 ") && answer.matches("HTTP/1.1 ").count() <= 2, "{answer}");
}

#[test]
fn options_that_may_go_no_further_is_answered_here() {
    let world = World::new();
    let browser = world.signed_in();
    let options = world.own_request(&browser, "OPTIONS", "/api/x").header("Max-Forwards", "0");
    let answer = send(world.gateway.port, &options);
    assert_eq!((answer.status, answer.header("allow")), (204, Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")));
    let nobody = world.own_request(&Browser::new(), "OPTIONS", "/api/x").header("Max-Forwards", "0");
    send(world.gateway.port, &nobody).refuses(401, "no_session");
    assert!(world.upstream.requests().is_empty());
}

#[test]
fn trace_and_connect_are_never_served() {
    let world = World::new();
    let browser = world.signed_in();
    for path in ["/api/x", "/bff/session", "/"] {
        let answer = world.send(&world.own_request(&browser, "TRACE", path));
        assert_eq!(answer.status, 405, "{path}");
    }
    let connect = format!(
        "CONNECT evil.example:443 HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        world.one().replace("http://", "")
    );
    let answer = send_raw(world.setup.port, connect.as_bytes());
    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{:?}", String::from_utf8_lossy(&answer));
    assert_eq!(world.upstream.count(), 0);
}

#[test]
fn an_answer_streams_while_it_is_made() {
    let world = World::new();
    let browser = world.signed_in();
    world.upstream.answers(|_| {
        Reply::Chunks(
            "content-type: text/event-stream\r\n",
            vec!["data: one\n\n", "data: two\n\n"],
            Duration::from_secs(2),
        )
    });
    let start = Instant::now();
    let mut stream = Streaming::open(world.setup.port, &world.own_request(&browser, "GET", "/api/events"));
    assert_eq!(stream.head.status, 200);
    stream.wait_for("data: one");
    assert!(start.elapsed() < Duration::from_millis(1500), "the first event was held back");
    assert!(contains(&stream.finish(), b"data: two"));
}

#[test]
fn a_browser_that_goes_away_cancels_the_upstream() {
    let world = World::new();
    let browser = world.signed_in();
    world.upstream.answers(|_| Reply::Hang);
    let mut stream = TcpStream::connect(("127.0.0.1", world.setup.port)).expect("the gateway listens");
    stream.write_all(&world.own_request(&browser, "GET", "/api/x").bytes()).expect("the request can be written");
    eventually("the upstream should be asked", || (world.upstream.count() == 1).then_some(()));
    drop(stream);
    crate::support::within(Duration::from_secs(3), "the upstream should be given up", || {
        (world.upstream.given_up() == 1).then_some(())
    });
}

#[test]
fn answers_without_a_body_leave_the_connection_in_order() {
    let world = World::new();
    let browser = world.signed_in();
    world.upstream.answers(|request| match request.target.as_str() {
        "/api/204" => Reply::Raw(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        "/api/304" => Reply::Raw(b"HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n".to_vec()),
        "/api/head" => Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".to_vec()),
        _ => Reply::json("{\"last\":true}"),
    });
    for (method, path) in [("GET", "/api/204"), ("GET", "/api/304"), ("HEAD", "/api/head"), ("DELETE", "/api/204")] {
        let first = world.own_request(&browser, method, path).header("Connection", "keep-alive");
        let second = world.own_request(&browser, "GET", "/api/last");
        let mut stream = TcpStream::connect(("127.0.0.1", world.setup.port)).expect("the gateway listens");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout can be set");
        // One after the other, as browsers and edges send them: actix lets a pipelined request change how the answer
        // before it is framed.
        stream.write_all(&first.bytes()).expect("the request can be written");
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).expect("the first answer's head");
            answer.push(byte[0]);
        }
        stream.write_all(&second.bytes()).expect("the request can be written");
        stream.read_to_end(&mut answer).expect("both answers");
        let text = String::from_utf8_lossy(&answer);
        let heads: Vec<_> = text.match_indices("HTTP/1.1 ").map(|(at, _)| at).collect();
        assert_eq!(heads.len(), 2, "{method} {path}: {text}");
        assert!(text[..heads[1]].ends_with("\r\n\r\n"), "{method} {path} left bytes behind: {text}");
        assert!(text.ends_with("{\"last\":true}"), "{text}");
    }
}

#[test]
fn a_large_body_goes_both_ways_unchanged() {
    let world = World::new();
    let browser = world.signed_in();
    world.upstream.answers(|request| {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
            request.body.len()
        );
        Reply::Raw([head.into_bytes(), request.body.clone()].concat())
    });
    let body: Vec<u8> = (0..3_000_000_u32).map(|count| (count % 251) as u8).collect();
    let answer = world.send(&world.own_request(&browser, "PUT", "/api/file").body(&body));
    assert_eq!(answer.status, 200);
    assert!(answer.body == body, "the body changed on its way");
}

#[test]
fn two_framings_of_one_body_are_refused() {
    let world = World::new();
    let browser = world.signed_in();
    let host = world.one().replace("http://", "");
    let cookie = browser.cookie_header(&world.one());
    let framings = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "Content-Length: +5\r\n\r\nhello",
        "Content-Length: 0x5\r\n\r\nhello",
        "Content-Length: -1\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    ];
    for framing in framings {
        let smuggled = "GET /api/smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
        let bytes =
            format!("POST /api/x HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nX-BFF: 1\r\n{framing}{smuggled}");
        let answer = send_raw(world.setup.port, bytes.as_bytes());
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{framing:?}: {text}");
        assert!(!world.upstream.requests().iter().any(|asked| asked.target.contains("smuggled")), "{framing:?}");
    }
}
