//! Event streams: `GET /bff/events`, and those of an upstream.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Browser, PATIENCE, Redis, Replicas, Reply, Request, Response, Setup, World, eventually, within};

/// How soon an end must reach an open stream.
const SOON: Duration = Duration::from_secs(2);

/// An open event stream, its chunks taken off.
struct Events {
    stream: TcpStream,
    head: String,
    /// What arrived and is no whole event yet, as it came.
    raw: Vec<u8>,
    text: String,
    chunked: bool,
    over: bool,
}

impl Events {
    #[track_caller]
    fn open(world: &World, browser: &Browser) -> Self {
        Self::begin(world, &world.own_request(browser, "GET", "/bff/events").header("Connection", "keep-alive"))
    }

    #[track_caller]
    fn begin(world: &World, request: &Request) -> Self {
        Self::begin_raw(world, &request.bytes())
    }

    #[track_caller]
    fn begin_raw(world: &World, request: &[u8]) -> Self {
        Self::begin_at(world.gateway.port, request)
    }

    #[track_caller]
    fn begin_at(port: u16, request: &[u8]) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the gateway listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a limit");
        stream.write_all(request).expect("the gateway reads");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).to_lowercase();
        assert!(head.contains(" 200 ") && head.contains("content-type: text/event-stream"), "{head}");
        let chunked = head.contains("transfer-encoding: chunked");
        Self { stream, head, raw: Vec::new(), text: String::new(), chunked, over: false }
    }

    /// The next block, comments included; `None` at the end of the stream.
    fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block = self.text[..end].to_owned();
                self.text.drain(..end + 2);
                return Some(block);
            }
            if self.over {
                assert_eq!(self.text, "", "a stream ends after an event");
                return None;
            }
            let mut piece = [0; 4096];
            let count = self.stream.read(&mut piece).expect("the stream goes on");
            self.over |= count == 0;
            self.raw.extend_from_slice(&piece[..count]);
            self.take_chunks();
        }
    }

    fn take_chunks(&mut self) {
        if !self.chunked {
            self.text.push_str(&String::from_utf8_lossy(&std::mem::take(&mut self.raw)));
            return;
        }
        while let Some(line) = self.raw.windows(2).position(|pair| pair == b"\r\n") {
            let size =
                usize::from_str_radix(std::str::from_utf8(&self.raw[..line]).expect("text"), 16).expect("a size");
            let Some(chunk) = self.raw.get(line + 2..line + 2 + size + 2) else { return };
            self.text.push_str(&String::from_utf8_lossy(&chunk[..size]));
            self.over |= size == 0;
            self.raw.drain(..line + 2 + size + 2);
        }
    }

    /// The next event, comments passed over.
    #[track_caller]
    fn event(&mut self) -> (String, Value) {
        loop {
            let block = self.block().expect("an event");
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            if let (Some(name), Some(data)) = (field("event: "), field("data: ")) {
                return (name, serde_json::from_str(&data).expect("JSON"));
            }
            assert!(block.starts_with(':'), "{block}");
        }
    }

    #[track_caller]
    fn expect(&mut self, name: &str) -> Value {
        let (found, data) = self.event();
        assert_eq!(found, name, "{data}");
        data
    }
}

/// The parts of a session's body that do not move.
fn fixed(session: &Value) -> Value {
    let mut session = session.clone();
    for moving in ["idle_expires_in", "absolute_expires_in"] {
        session.as_object_mut().expect("an object").remove(moving);
    }
    session
}

fn refuse(world: &World, request: Request) -> Response {
    world.send(&request)
}

#[test]
fn a_stream_begins_with_the_session_as_it_is_and_tells_of_changes() {
    let world = World::new();
    let mut browser = world.signed_in();
    let mut events = Events::open(&world, &browser);
    for line in ["cache-control: no-store", "x-accel-buffering: no", "x-content-type-options: nosniff"] {
        assert!(events.head.contains(&format!("\r\n{line}\r\n")), "{line} in {}", events.head);
    }
    assert!(!events.head.contains("set-cookie"), "{}", events.head);
    let shown = browser.session(&world.one());
    let told = events.expect("session");
    assert_eq!(fixed(&told), fixed(&shown));
    assert!(told["idle_expires_in"].as_u64() > Some(1790), "{told}");
    assert_eq!(browser.post(&world.one(), "/bff/session/extend").status, 200);
    assert_eq!(fixed(&events.expect("session")), fixed(&shown));
    assert_eq!(browser.post(&world.one(), "/bff/logout").status, 200);
    let since = Instant::now();
    let ended = events.expect("ended");
    assert_eq!((&ended["reason"], &ended["login_url"]), (&"revoked".into(), &"/bff/login".into()));
    assert!(events.block().is_none() && since.elapsed() < SOON);
}

#[test]
fn a_refresh_is_a_change() {
    let mut world = World::new();
    world.tokens_live(3);
    let mut browser = world.signed_in();
    let mut events = Events::open(&world, &browser);
    events.expect("session");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    events.expect("session");
}

#[test]
fn without_a_session_there_is_nothing_to_tell() {
    let world = World::new();
    let answer = world.send(&world.own_request(&Browser::new(), "GET", "/bff/events"));
    assert_eq!((answer.status, answer.header("cache-control")), (204, Some("no-store")));
    assert_eq!((answer.header("content-length"), answer.header("transfer-encoding")), (None, None));
    let browser = world.signed_in();
    let head = world.send(&world.own_request(&browser, "HEAD", "/bff/events"));
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    world.send(&world.own_request(&browser, "POST", "/bff/events")).refuses(405, "method");
}

#[test]
fn another_site_cannot_listen_and_with_the_header_rule_the_browsers_own_word_counts() {
    for rule in ["origin", "header"] {
        let mut setup = Setup::one_site();
        setup.sites[0].site.push(format!("csrf = \"{rule}\""));
        let world = World::of(setup);
        let browser = world.signed_in();
        let cookies = browser.cookie_header(&world.one());
        let asked = |name: &str, value: &str| {
            world.request("GET", "/bff/events").header("Cookie", &cookies).header(name, value)
        };
        for (name, value) in [
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Site", "same-site"),
            ("Origin", "null"),
            ("Origin", "https://evil.example"),
            ("Accept", "text/event-stream"),
        ] {
            refuse(&world, asked(name, value)).refuses(403, "cross_site");
        }
        refuse(&world, asked("Sec-Fetch-Site", "same-origin").header("Sec-Fetch-Dest", "script"))
            .refuses(403, "cross_site");
        Events::begin(&world, &asked("Sec-Fetch-Site", "same-origin")).expect("session");
        Events::begin(&world, &asked("Origin", &world.one())).expect("session");
    }
}

#[test]
fn a_warning_comes_before_the_end_and_listening_is_no_activity() {
    let mut setup = Setup::one_site();
    setup.sites[0].session.push("idle = \"3s\"".into());
    let world = World::of(setup);
    let mut browser = world.signed_in();
    let start = Instant::now();
    let mut events = Events::open(&world, &browser);
    events.expect("session");
    let warning = events.expect("expiring");
    assert_eq!(warning["reason"], "idle");
    assert!(warning["expires_in"].as_u64() <= Some(3), "{warning}");
    // An end that moves is announced again.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(browser.post(&world.one(), "/bff/session/extend").status, 200);
    events.expect("session");
    events.expect("expiring");
    assert_eq!(events.expect("ended")["reason"], "idle");
    assert!((Duration::from_millis(3500)..Duration::from_secs(5)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(browser.session(&world.one())["reason"], "idle");
}

#[test]
fn a_login_as_another_user_is_told_as_that_and_one_as_the_same_user_as_an_end() {
    for (user, name) in [("grace", "identity_changed"), ("ada", "ended")] {
        let world = World::new();
        let mut browser = world.signed_in();
        let mut events = Events::open(&world, &browser);
        let first = events.expect("session");
        // Whoever logs in is unknown to the provider, but in the same browser.
        let ticket = browser.session_cookie(&world.one()).expect("a session has a cookie");
        browser.clear_cookies();
        browser.plant(&world.one(), &ticket.name, &ticket.value);
        browser.sign_in(&world.one(), user);
        events.expect(name);
        assert!(events.block().is_none());
        let second = Events::open(&world, &browser).expect("session");
        assert_eq!(first["pin"] == second["pin"], user == "ada");
    }
}

#[test]
fn streams_on_every_replica_are_told_of_another_user() {
    let redis = Redis::start();
    let replicas = Replicas::start(3, &redis, "30s", Setup::one_site());
    for (user, name) in [("grace", "identity_changed"), ("ada", "ended")] {
        let mut browser = replicas.world.signed_in();
        let request = replicas.world.own_request(&browser, "GET", "/bff/events").header("Connection", "keep-alive");
        let at = |number| Events::begin_at(replicas.gateway(number).port, &request.bytes());
        let mut streams: Vec<_> = (0..3).map(at).collect();
        streams.iter_mut().for_each(|events| drop(events.expect("session")));
        let thief = browser.clone();
        browser.forget(&replicas.world.provider.issuer());
        browser.sign_in(&replicas.site(), user);
        for (number, events) in streams.iter_mut().enumerate() {
            events.expect(name);
            assert!(events.block().is_none());
            replicas.get(number, &thief, "/api/x").refuses(401, "revoked");
        }
    }
    assert_eq!(redis.keys_without_end().trim(), "*0", "a key without an end");
}

/// The provider's page sends the browser back without the session's cookie.
#[test]
fn a_strict_cookie_that_stays_away_changes_nothing_about_that() {
    for (user, name) in [("grace", "identity_changed"), ("ada", "ended")] {
        let mut setup = Setup::one_site();
        setup.sites[0].session.push("same_site = \"strict\"".into());
        let world = World::of(setup);
        let mut browser = world.signed_in();
        let mut events = Events::open(&world, &browser);
        events.expect("session");
        browser.forget(&world.provider.issuer());
        browser.sign_in(&world.one(), user);
        assert_eq!(browser.session(&world.one())["user"]["sub"], user);
        events.expect(name);
        assert!(events.block().is_none());
    }
}

#[test]
fn a_client_of_http_1_0_reads_to_the_end_of_the_connection() {
    let world = World::new();
    let browser = world.signed_in();
    let request = world.own_request(&browser, "GET", "/bff/events").header("Connection", "keep-alive");
    let request = String::from_utf8(request.bytes()).expect("text").replace("HTTP/1.1", "HTTP/1.0");
    let mut events = Events::begin_raw(&world, request.as_bytes());
    assert!(!events.chunked && !events.head.contains("keep-alive"), "{}", events.head);
    events.expect("session");
    assert_eq!(browser.clone().post(&world.one(), "/bff/logout").status, 200);
    events.expect("ended");
    assert!(events.block().is_none());
}

#[test]
fn a_comment_comes_when_nothing_happens() {
    let world = World::new();
    let mut events = Events::open(&world, &world.signed_in());
    events.expect("session");
    let start = Instant::now();
    let block = events.block().expect("a sign of life");
    assert!(block.starts_with(':'), "{block}");
    assert!((Duration::from_secs(14)..Duration::from_secs(16)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[test]
fn one_session_has_so_many_streams_and_closed_ones_do_not_count() {
    let world = World::new();
    let browser = world.signed_in();
    let mut open: Vec<Events> = (0..64).map(|_| Events::open(&world, &browser)).collect();
    let one_more = || world.send(&world.own_request(&browser, "GET", "/bff/events").header("X-Probe", "1"));
    let refused = one_more();
    refused.refuses(429, "too_many");
    assert!(refused.header("retry-after").is_some());
    open.truncate(63);
    let mut found = eventually("there should be room again", || {
        let request = world.own_request(&browser, "HEAD", "/bff/events");
        assert_eq!(world.send(&request).status, 200, "HEAD opens nothing");
        let request = world.own_request(&browser, "GET", "/bff/events").header("Connection", "keep-alive");
        let head = crate::support::Streaming::open(world.gateway.port, &request);
        (head.head.status == 200).then_some(head)
    });
    found.wait_for("event: session");
}

#[test]
fn a_stop_closes_streams_in_time() {
    let mut world = World::new();
    let browser = world.signed_in();
    let mut streams: Vec<Events> = (0..10).map(|_| Events::open(&world, &browser)).collect();
    for events in &mut streams {
        events.expect("session");
    }
    world.gateway.process.signal("TERM");
    let since = Instant::now();
    let mut ends: Vec<Duration> = Vec::new();
    for events in &mut streams {
        assert!(events.block().is_none(), "nobody was logged out");
        ends.push(since.elapsed());
    }
    assert!(ends.iter().max() < Some(&Duration::from_millis(3500)), "half of the grace: {ends:?}");
    assert!(world.gateway.process.wait(Duration::from_secs(5)).success());
}

#[test]
fn what_an_upstream_streams_comes_at_once_and_ends_with_the_session() {
    let world = World::new();
    let mut browser = world.signed_in();
    let kind = "content-type: Text/Event-Stream;charset=utf-8\r\n";
    world.upstream.answers(move |_| Reply::Chunks(kind, vec!["data: tick\n\n"; 1000], Duration::from_millis(100)));
    let request = world.own_request(&browser, "GET", "/api/stream").header("Connection", "keep-alive");
    let start = Instant::now();
    let mut events = Events::begin(&world, &request);
    assert_eq!(events.block().as_deref(), Some("data: tick"));
    assert!(start.elapsed() < Duration::from_millis(50), "{:?}", start.elapsed());
    assert_eq!(browser.post(&world.one(), "/bff/logout").status, 200);
    let since = Instant::now();
    while events.block().is_some() {
        assert!(since.elapsed() < SOON);
    }
    within(SOON, "the upstream should be told", || (world.upstream.given_up() == 1).then_some(()));
}

#[test]
fn other_answers_are_not_cut_by_a_logout() {
    let world = World::new();
    let mut browser = world.signed_in();
    let kind = "content-type: text/plain\r\n";
    world.upstream.answers(move |_| Reply::Chunks(kind, vec!["piece"; 15], Duration::from_millis(100)));
    let request = world.own_request(&browser, "GET", "/api/download");
    let mut streaming = crate::support::Streaming::open(world.gateway.port, &request);
    streaming.wait_for("piece");
    assert_eq!(browser.post(&world.one(), "/bff/logout").status, 200);
    let all = String::from_utf8(streaming.finish()).expect("text");
    assert!(all.matches("piece").count() == 15 && all.ends_with("0\r\n\r\n"), "{all}");
}
