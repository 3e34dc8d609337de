//! Browsers that take their time: what they hold up ends in time, and what is merely slow does not.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use crate::support::{Browser, Setup, World, read_until, serve_each};

/// How long a connection may rest between two requests.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// The server's own limit for the head of a request.
const HEAD: Duration = Duration::from_secs(5);
/// How long the routes let a body stand still.
const IDLE: Duration = Duration::from_secs(2);
/// What a busy machine may add.
const MORE: Duration = Duration::from_secs(4);
/// Longer than anything here should last.
const NEVER: Duration = Duration::from_secs(30);

/// An API that tells when one of its calls is over.
struct Api {
    port: u16,
    ended: Receiver<Instant>,
}

impl Api {
    fn start() -> Self {
        let (port, ended) = serve_each(serve);
        Self { port, ended }
    }

    /// How long after `since` a call was over.
    fn ends_after(&self, since: Instant) -> Duration {
        self.ended.recv_timeout(NEVER).expect("the call should be over").saturating_duration_since(since)
    }
}

fn serve(mut stream: TcpStream, tell: &Sender<Instant>) {
    let head = read_until(&mut stream, b"\r\n\r\n");
    let head = String::from_utf8_lossy(&head);
    let kind = if head.contains("/events") { "text/event-stream" } else { "text/plain" };
    let start = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut say = |text: &str| stream.write_all(text.as_bytes()).is_ok();
    say(&start);
    if head.contains("/cut") {
        say("5\r\nhello\r\n");
    } else if head.contains("/slow") {
        for _ in 0..9 {
            std::thread::sleep(Duration::from_secs(1));
            say("4\r\nmore\r\n");
        }
        say("0\r\n\r\n");
    } else if head.contains("/deaf") {
        while say("1\r\n:\r\n") {
            std::thread::sleep(Duration::from_millis(100));
        }
    } else {
        let piece = format!("10000\r\n{}\r\n", "x".repeat(1 << 16));
        while say(&piece) {}
    }
    let _ = tell.send(Instant::now());
}

fn stage(lines: &[&str]) -> (World, Api, Browser) {
    let api = Api::start();
    let mut setup = Setup::one_site();
    let upstream = format!("upstream = \"http://127.0.0.1:{}\"", api.port);
    let lines = lines.iter().map(|line| (*line).to_owned());
    setup.sites[0].routes = vec![["path = \"/api\"".into(), upstream].into_iter().chain(lines).collect()];
    setup.server.push(format!("keep_alive = \"{}s\"", KEEP_ALIVE.as_secs()));
    let world = World::of(setup);
    let browser = world.signed_in();
    (world, api, browser)
}

/// A connection that has sent this.
fn open(world: &World, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", world.gateway.port)).expect("the gateway listens");
    stream.set_read_timeout(Some(NEVER)).expect("a timeout");
    stream.write_all(bytes).expect("the request can be written");
    stream
}

/// A request for `target`, on a connection that is to be kept.
fn get(world: &World, browser: &Browser, target: &str) -> Vec<u8> {
    world.own_request(browser, "GET", target).header("Connection", "keep-alive").bytes()
}

/// A connection that has asked for `target`.
fn ask(world: &World, browser: &Browser, target: &str) -> TcpStream {
    open(world, &get(world, browser, target))
}

/// How long the gateway keeps the connection from now on, while `drip` goes out every half second.
fn kept(mut stream: TcpStream, drip: &[u8]) -> Duration {
    let since = Instant::now();
    stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    while since.elapsed() < NEVER {
        match stream.read(&mut [0; 4096]) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if stream.write_all(drip).is_err() {
                    break;
                }
            }
            Err(_) => break,
        }
    }
    since.elapsed()
}

#[test]
fn the_head_of_a_second_request_is_waited_for_no_longer_than_that_of_the_first() {
    let (world, _api, _) = stage(&[]);
    let nothing = format!("GET /nothing HTTP/1.1\r\nHost: one.localhost:{}\r\n\r\n", world.gateway.port);
    std::thread::scope(|scope| {
        // The last of each is what follows every half second.
        for (start, drip) in [("G", ""), ("GET /nothing HT", ""), ("GET /", "x"), ("\r\n", ""), ("\r\n\r\n", "")] {
            let (world, nothing) = (&world, &nothing);
            scope.spawn(move || {
                let mut stream = open(world, nothing.as_bytes());
                read_until(&mut stream, b"no_route");
                stream.write_all(start.as_bytes()).expect("the connection is kept");
                let kept = kept(stream, drip.as_bytes());
                assert!(kept < KEEP_ALIVE + HEAD + MORE, "{start:?} and {drip:?} keep it for {kept:?}");
            });
        }
    });
}

#[test]
fn a_body_that_nobody_wants_is_not_waited_for_without_end() {
    let (world, _api, _) = stage(&[]);
    let head = "POST /api/x HTTP/1.1\r\nSec-Fetch-Site: same-origin\r\nTransfer-Encoding: chunked\r\n";
    let head = format!("{head}Host: one.localhost:{}\r\n\r\n", world.gateway.port);
    std::thread::scope(|scope| {
        for drip in ["", "1\r\na\r\n"] {
            let (world, head) = (&world, &head);
            scope.spawn(move || {
                let mut stream = open(world, head.as_bytes());
                read_until(&mut stream, b"no_session");
                let kept = kept(stream, drip.as_bytes());
                assert!(kept < KEEP_ALIVE + HEAD + MORE, "{drip:?} keeps it for {kept:?}");
            });
        }
    });
}

#[test]
fn what_is_left_of_a_body_is_no_head() {
    let mut setup = Setup::one_site();
    setup.server.push("keep_alive = \"20s\"".into());
    let world = World::of(setup);
    let host = format!("Host: one.localhost:{}\r\n", world.gateway.port);
    let head = "POST /api/x HTTP/1.1\r\nSec-Fetch-Site: same-origin\r\nTransfer-Encoding: chunked\r\n";
    let mut stream = open(&world, format!("{head}{host}\r\n").as_bytes());
    read_until(&mut stream, b"\"request_id\"");
    // The rest of a body that nobody wanted, and a line end in front of the next request.
    for piece in ["1\r\na\r\n", "1\r\nb\r\n", "0\r\n\r\n\r\n"] {
        stream.write_all(piece.as_bytes()).expect("the body is taken");
        std::thread::sleep(Duration::from_millis(300));
    }
    std::thread::sleep(HEAD + Duration::from_secs(1));
    stream.write_all(format!("GET /nothing HTTP/1.1\r\n{host}\r\n").as_bytes()).expect("the connection is kept");
    read_until(&mut stream, b"no_route");
}

#[test]
fn what_is_slow_and_under_way_is_not_cut() {
    let (world, _api, browser) = stage(&["idle_timeout = \"20s\""]);
    let slow = ask(&world, &browser, "/api/slow");
    let mut pausing = ask(&world, &browser, "/nothing");
    read_until(&mut pausing, b"\"request_id\"");
    std::thread::sleep(KEEP_ALIVE / 2);
    pausing.write_all(&get(&world, &browser, "/nothing")).expect("the connection is kept");
    read_until(&mut pausing, b"\"request_id\"");
    let mut slow = slow;
    // Longer than a connection may rest, head included.
    read_until(&mut slow, b"\r\n0\r\n\r\n");
}

#[test]
fn an_answer_that_nobody_reads_is_over_when_it_has_stood_still_for_too_long() {
    let (world, api, browser) = stage(&[&format!("idle_timeout = \"{}s\"", IDLE.as_secs()), "max_calls = 1"]);
    for target in ["/api/much", "/api/events"] {
        let asked = Instant::now();
        let unread = ask(&world, &browser, target);
        let after = api.ends_after(asked);
        assert!(after < IDLE + MORE, "{target}: {after:?}");
        drop(unread);
    }
}

#[test]
fn an_answer_that_nobody_reads_is_over_at_the_end_of_its_time() {
    let (world, api, browser) = stage(&["total_timeout = \"2s\""]);
    let asked = Instant::now();
    let _unread = ask(&world, &browser, "/api/much");
    let after = api.ends_after(asked);
    assert!(after < IDLE + MORE, "{after:?}");
}

#[test]
fn an_event_stream_that_nobody_reads_ends_with_its_session() {
    let (world, api, browser) = stage(&[]);
    let _unread = ask(&world, &browser, "/api/events");
    std::thread::sleep(Duration::from_secs(1));
    let left = Instant::now();
    assert_eq!(browser.clone().post(&world.one(), "/bff/logout").status, 200);
    let after = api.ends_after(left);
    assert!(after < Duration::from_secs(2) + MORE, "{after:?}");
}

#[test]
fn an_upload_that_the_upstream_does_not_take_is_over_when_it_has_stood_still_for_too_long() {
    let (world, api, browser) = stage(&[&format!("idle_timeout = \"{}s\"", IDLE.as_secs())]);
    let request = world.own_request(&browser, "POST", "/api/events/deaf").header("Content-Length", "50000000");
    let mut stream = open(&world, &request.bytes());
    let mut writing = stream.try_clone().expect("a socket can be shared");
    let writer = std::thread::spawn(move || writing.write_all(&vec![b'x'; 50_000_000]).is_ok());
    read_until(&mut stream, b"\r\n\r\n");
    let left = Instant::now();
    std::thread::sleep(IDLE + IDLE);
    drop(stream);
    assert!(api.ends_after(left) < IDLE + IDLE + MORE);
    let _ = writer.join();
}

#[test]
fn an_answer_that_breaks_off_looks_so_to_whoever_knows_no_chunks() {
    let (world, _api, browser) = stage(&[]);
    let request = String::from_utf8(get(&world, &browser, "/api/cut")).expect("text");
    let mut stream = open(&world, request.replace(" HTTP/1.1\r\n", " HTTP/1.0\r\n").as_bytes());
    let mut all = Vec::new();
    let error = stream.read_to_end(&mut all).expect_err("no plain end");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{}", String::from_utf8_lossy(&all));
}
