//! The instruments are tested too: a browser model that is too kind, or an upstream that forgets, would prove nothing.

use std::time::{Duration, Instant};

use crate::support::{
    Browser, OidcProvider, Redis, RedisCluster, Reply, Request, Sentinels, Setup, Streaming, Upstream, contains, send,
};

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

#[test]
fn the_browser_reaches_a_site_through_another_port_and_keeps_one_jar() {
    let (known, other) = (Upstream::start(), Upstream::start());
    let one = site("one", &known);
    let mut browser = Browser::new();
    browser.plant(&one, "a", "1");
    browser.route(&one, other.port());
    browser.get(&one, "/x");
    assert_eq!((known.count(), other.count()), (0, 1));
    let asked = other.last();
    assert_eq!(asked.one("host"), format!("one.localhost:{}", known.port()), "the origin stays what it is");
    assert_eq!((asked.one("cookie"), asked.one("sec-fetch-site")), ("a=1", "same-origin"));
}

#[test]
fn redis_shows_what_it_is_asked_and_what_would_stay() {
    let redis = Redis::start();
    let before = redis.calls().get("set").copied().unwrap_or(0);
    let watch = redis.watch();
    redis.command(&["SET", "a", "canary", "EX", "100"]);
    assert_eq!(redis.keys_without_end().trim(), "*0");
    redis.command(&["SET", "b", "stays"]);
    assert!(redis.keys_without_end().contains('b'));
    assert_eq!(redis.calls()["set"], before + 2);
    assert!(watch.end().contains("canary"));
}

#[test]
fn sentinels_make_the_replica_a_master() {
    let mut group = Sentinels::start(1, Duration::from_secs(1));
    group.servers[0].command(&["SET", "a", "b", "EX", "100"]);
    group.settle();
    group.kill_one_sentinel();
    group.servers[0].kill();
    group.wait_for_failover();
    assert!(group.servers[1].command(&["GET", "a"]).contains('b'));
    group.servers[1].command(&["SET", "a", "c", "EX", "100"]);
}

#[test]
fn a_cluster_moves_slots_and_survives_a_master() {
    let mut cluster = RedisCluster::start();
    assert_eq!(cluster.masters().len(), 3);
    let key = (0..).map(|number| format!("k{number}")).find(|key| {
        let stored = cluster.nodes[cluster.masters()[0].0].command(&["SET", key, "b", "EX", "100"]);
        stored.contains("OK")
    });
    let key = key.expect("some key lives on the first master");
    assert_eq!(cluster.keys(), std::slice::from_ref(&key));
    assert_eq!(cluster.move_everything(Duration::ZERO), 1);
    assert!(cluster.nodes[cluster.masters()[0].0].keys().is_empty(), "it moved away");
    assert_eq!(cluster.keys(), std::slice::from_ref(&key));
    let holder = cluster.busiest();
    cluster.settle();
    cluster.nodes[holder].kill();
    cluster.wait_until_whole(5);
    assert_eq!((cluster.masters().len(), cluster.keys()), (3, vec![key]));
}

#[test]
fn the_provider_can_do_the_work_and_answer_late_or_never() {
    let provider = OidcProvider::shared();
    let setup = Setup::one_site();
    setup.register(&provider);
    let id = &setup.sites[0].client_id;
    let call = Request::new("POST", "/token/revocation").header("Host", "127.0.0.1");
    let call = call.header("Content-Type", "application/x-www-form-urlencoded");
    let call = call.body(format!("token=canary&client_id={id}"));
    provider.fault(&serde_json::json!({ "client_id": id, "path": "/token/revocation", "late_ms": 400, "times": 1 }));
    let start = Instant::now();
    send(provider.port, &call);
    assert!(start.elapsed() >= Duration::from_millis(390));
    provider
        .fault(&serde_json::json!({ "client_id": id, "path": "/token/revocation", "lose_answer": true, "times": 1 }));
    assert!(crate::support::try_send(provider.port, &call).is_err());
    assert_eq!(provider.revoked(id), ["canary", "canary"]);
}
