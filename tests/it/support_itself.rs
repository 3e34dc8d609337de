//! The instruments are tested too: a browser model that is too kind, or an upstream that forgets, would prove nothing.

use std::time::{Duration, Instant};

use crate::support::{Browser, OidcProvider, Redis, Reply, Request, Setup, Streaming, Upstream, contains, send};

fn site(name: &str, upstream: &Upstream) -> String {
    format!("http://{name}.localhost:{}", upstream.port())
}

#[test]
fn the_browser_refuses_cookies_that_break_the_rules_of_their_names() {
    let upstream = Upstream::start();
    let lines = [
        "__Host-a=1; Path=/; HttpOnly",
        "__Host-b=1; Secure; Path=/x",
        "__Host-c=1; Secure; Path=/; Domain=one.localhost",
        "__Host-Http-d=1; Secure; Path=/",
        "__Secure-e=1; Path=/",
        "f=1; Domain=localhost",
        "g=1; SameSite=None",
        "__Host-Http-good=1; Secure; HttpOnly; Path=/",
        "plain=1; Path=/",
    ];
    let headers: String = lines.iter().map(|line| format!("set-cookie: {line}\r\n")).collect();
    upstream.answers(move |_| Reply::with("200 OK", &headers, ""));
    let mut browser = Browser::new();
    let one = site("one", &upstream);
    browser.open(&format!("{one}/"));
    let kept: Vec<_> = browser.cookies(&one, "").into_iter().map(|cookie| cookie.name).collect();
    assert_eq!(kept, ["__Host-Http-good", "plain"]);
    let shown: Vec<_> = browser.script_cookies(&one).into_iter().map(|cookie| cookie.name).collect();
    assert_eq!(shown, ["plain"]);
    assert!(browser.cookies(&site("two", &upstream), "").is_empty());
}

#[test]
fn the_browser_forgets_a_cookie_that_is_deleted() {
    let upstream = Upstream::start();
    let one = site("one", &upstream);
    let mut browser = Browser::new();
    for deletion in ["a=; Path=/; Max-Age=0", "a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"] {
        browser.plant(&one, "a", "1");
        upstream.answers(move |_| Reply::with("200 OK", &format!("set-cookie: {deletion}\r\n"), ""));
        browser.open(&one);
        assert!(browser.cookies(&one, "a").is_empty(), "{deletion}");
    }
}

#[test]
fn the_browser_keeps_lax_cookies_from_foreign_pages_and_sends_them_with_links() {
    let upstream = Upstream::start();
    let (one, two) = (site("one", &upstream), site("two", &upstream));
    let mut browser = Browser::new();
    browser.plant(&one, "a", "1");
    let mut sent = |act: &mut dyn FnMut(&mut Browser)| {
        act(&mut browser);
        let asked = upstream.last();
        (!asked.all("cookie").is_empty(), asked.one("sec-fetch-site").to_owned(), asked.all("origin").len())
    };
    assert_eq!(sent(&mut |b| drop(b.fetch(&two, "POST", &format!("{one}/x")))), (false, "cross-site".into(), 1));
    assert_eq!(sent(&mut |b| drop(b.submit(&two, &format!("{one}/x"), "a=b"))), (false, "cross-site".into(), 1));
    assert_eq!(sent(&mut |b| drop(b.click(&two, &format!("{one}/x")))), (true, "cross-site".into(), 0));
    assert_eq!(sent(&mut |b| drop(b.get(&one, "/x"))), (true, "same-origin".into(), 0));
    assert_eq!(sent(&mut |b| drop(b.post(&one, "/x"))), (true, "same-origin".into(), 1));
    assert_eq!(sent(&mut |b| drop(b.open(&one))), (true, "none".into(), 0));
}

#[test]
fn a_chain_of_redirects_is_as_foreign_as_its_most_foreign_link() {
    let upstream = Upstream::start();
    let (one, two) = (site("one", &upstream), site("two", &upstream));
    let (there, back) = (format!("location: {two}/back\r\n"), format!("location: {one}/end\r\n"));
    upstream.answers(move |request| match request.target.as_str() {
        "/start" => Reply::with("303 See Other", &there, ""),
        "/back" => Reply::with("303 See Other", &back, ""),
        _ => Reply::json("{}"),
    });
    let page = Browser::new().click(&one, &format!("{one}/start"));
    assert_eq!((page.url, page.trail.len()), (format!("{one}/end"), 3));
    assert_eq!(upstream.last().one("sec-fetch-site"), "cross-site");
}

#[test]
fn the_upstream_records_bytes_and_streams_chunks() {
    let upstream = Upstream::start();
    let chunked = Request::new("POST", "/x?%2e").header("Host", "a").header("Transfer-Encoding", "chunked");
    send(upstream.port(), &chunked.body("5\r\nhello\r\n0\r\n\r\n"));
    assert_eq!((upstream.last().target.as_str(), upstream.last().body.as_slice()), ("/x?%2e", &b"hello"[..]));
    upstream.answers(|_| Reply::Chunks("", vec!["one", "two"], Duration::from_millis(400)));
    let start = Instant::now();
    let mut stream = Streaming::open(upstream.port(), &Request::new("GET", "/").header("Host", "a"));
    stream.wait_for("one");
    assert!(start.elapsed() < Duration::from_millis(390));
    assert!(contains(&stream.finish(), b"two"));
}

#[test]
fn redis_is_real_and_can_be_frozen_and_killed() {
    let mut redis = Redis::start();
    redis.command(&["SET", "a", "b", "EX", "100"]);
    assert_eq!(redis.keys(), ["a"]);
    assert!(redis.dump().contains('b') && (1..=100).contains(&redis.ttl("a")));
    redis.freeze();
    redis.thaw();
    assert!(redis.command(&["PING"]).contains("PONG"));
    redis.restart();
    assert!(redis.keys().is_empty());
}

#[test]
fn the_provider_counts_calls_for_each_client() {
    let provider = OidcProvider::shared();
    let setup = Setup::one_site();
    setup.register(&provider);
    let id = &setup.sites[0].client_id;
    let call = Request::new("POST", "/token").header("Host", "127.0.0.1");
    let call = call.header("Content-Type", "application/x-www-form-urlencoded");
    let call = call.body(format!("grant_type=refresh_token&refresh_token=x&client_id={id}"));
    assert_eq!(send(provider.port, &call).status, 401, "this client must prove itself");
    assert_eq!((provider.token_calls(id, ""), provider.token_calls("another", "")), (1, 0));
    provider.fault(&serde_json::json!({ "client_id": id, "path": "/token", "status": 503, "times": 1 }));
    assert_eq!(send(provider.port, &call).status, 503);
    assert_eq!(send(provider.port, &call).status, 401, "the fault was ordered once");
}
