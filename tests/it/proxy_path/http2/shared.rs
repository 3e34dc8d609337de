//! What one call, or one upstream in trouble, must not do to the others that share its connection.

use std::time::{Duration, Instant};

use super::super::gateway::start;
use super::super::sockets::{Connection, status};
use super::peer::{DATA, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, Peer, Upstream, WINDOW_UPDATE};

/// Long enough for a busy machine, and shorter than any limit that is not meant.
const SOON: Duration = Duration::from_secs(5);

fn ask(gateway: std::net::SocketAddr, line: &str) -> (String, String) {
    let mut client = Connection::open(gateway);
    client.ask(line, "Connection: close\r\n");
    (status(&client.head()).to_owned(), client.rest())
}

fn answer_all(peer: &mut Peer) {
    peer.hello(&[]);
    while let Some(stream) = peer.request() {
        peer.answer(stream);
    }
}

#[test]
fn a_connection_that_never_opens_holds_up_only_the_call_that_opens_it() {
    let upstream = Upstream::start(|number, peer| if number == 0 { peer.sleep() } else { answer_all(peer) });
    let gateway = start(vec![upstream.route()]);
    let mut first = Connection::open(gateway);
    first.ask("GET /api", "");
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    assert_eq!(ask(gateway, "GET /api").0, "200");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn calls_that_are_given_up_one_after_the_other_do_not_keep_a_dead_connection() {
    let upstream = Upstream::start(|number, peer| {
        if number > 0 {
            return answer_all(peer);
        }
        peer.hello(&[]);
        // Everything is read, and nothing is answered, pings included.
        while peer.next().is_some() {}
    });
    let mut config = upstream.route();
    config.timeout = Duration::from_secs(1);
    let gateway = start(vec![config]);
    let began = Instant::now();
    while ask(gateway, "GET /api").0 != "200" {
        assert!(began.elapsed() < 4 * SOON, "it still is in use");
    }
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn an_empty_frame_with_every_answer_breaks_nothing() {
    let upstream = Upstream::start(|_, peer| {
        peer.hello(&[]);
        while let Some(stream) = peer.request() {
            peer.head(stream, 0, &[(":status", "200"), ("content-length", "2")]);
            peer.send(DATA, 0, stream, b"");
            peer.send(DATA, END_STREAM, stream, b"ok");
        }
    });
    let gateway = start(vec![upstream.route()]);
    for number in 0..150 {
        let (status, body) = ask(gateway, "POST /api");
        assert_eq!((status.as_str(), body.as_str()), ("200", "ok"), "{number}");
    }
    assert!(upstream.connections() > 1);
}

#[test]
fn an_upstream_that_takes_nothing_keeps_no_connection_once_its_calls_are_over() {
    let upstream = Upstream::start(|_, peer| {
        peer.hello(&[(INITIAL_WINDOW_SIZE, 64 << 20)]);
        peer.send(WINDOW_UPDATE, 0, 0, &(64_u32 << 20).to_be_bytes());
        peer.until(HEADERS);
        peer.sleep();
    });
    let mut config = upstream.route();
    config.timeout = Duration::from_secs(1);
    config.max_body = Some(64 << 20);
    let gateway = start(vec![config]);
    let mut client = Connection::open(gateway);
    client.ask("POST /api", &format!("Content-Length: {}\r\n", 32 << 20));
    client.send_within(&vec![b'x'; 32 << 20], SOON);
    assert_eq!(status(&client.head()), "504");
    let until = Instant::now() + 4 * SOON;
    while open_connections_to(upstream.address.port()) > 0 {
        assert!(Instant::now() < until, "it is still open");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// How many connections of this machine to `port` are open, seen from whoever has opened them.
fn open_connections_to(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let far = format!(":{port:04X}");
    let is_open = |line: &&str| {
        let mut words = line.split_ascii_whitespace().skip(2);
        words.next().is_some_and(|remote| remote.ends_with(&far)) && words.next() == Some("01")
    };
    table.lines().filter(is_open).count()
}
