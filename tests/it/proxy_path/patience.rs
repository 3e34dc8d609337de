//! How long a call may take, and stand still, before the gateway gives up on it.

use std::time::{Duration, Instant};

use super::gateway::{route, start};
use super::sockets::{Connection, Upstream, status};

const SHORT: Duration = Duration::from_millis(300);
/// Long enough for a busy machine, and shorter than any limit that is not meant.
const SOON: Duration = Duration::from_secs(4);

/// An upstream that sends `head` and a first piece, and more after every `pause`.
fn talking(head: &'static str, pause: Duration) -> Upstream {
    Upstream::start(move |_, connection| {
        connection.request();
        connection.connection.send(head);
        while connection.connection.send("1\r\nx\r\n") {
            std::thread::sleep(pause);
        }
    })
}

const CHUNKS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const EVENTS: &str =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\n\r\n";

#[test]
fn an_answer_that_stands_still_is_cut_and_never_looks_complete() {
    let upstream = talking(CHUNKS, 5 * SOON);
    let mut config = route(upstream.address);
    config.idle_timeout = SHORT;
    let mut client = Connection::open(start(vec![config]));
    let began = Instant::now();
    client.ask("GET /api", "");
    assert_eq!(status(&client.head()), "200");
    let body = client.rest();
    assert!(began.elapsed() < SOON && !body.contains("0\r\n\r\n"), "{body:?}");
}

#[test]
fn one_that_goes_on_is_left_alone_and_so_is_a_quiet_event_stream() {
    for (head, pause, pieces) in [(CHUNKS, SHORT / 3, 10), (EVENTS, 3 * SHORT, 2)] {
        let upstream = talking(head, pause);
        let mut config = route(upstream.address);
        config.idle_timeout = SHORT;
        let mut client = Connection::open(start(vec![config]));
        client.ask("GET /api", "");
        assert_eq!(status(&client.head()), "200");
        for _ in 0..pieces {
            assert_eq!(client.bytes(6), "1\r\nx\r\n");
        }
    }
}

#[test]
fn the_end_of_a_call_comes_however_busy_it_is() {
    let upstream = talking(EVENTS, SHORT / 10);
    let mut config = route(upstream.address);
    config.total_timeout = Some(SHORT);
    let mut client = Connection::open(start(vec![config]));
    let began = Instant::now();
    client.ask("GET /api", "");
    assert_eq!(status(&client.head()), "200");
    let body = client.rest();
    assert!(began.elapsed() < SOON && !body.contains("0\r\n\r\n"), "{body:?}");

    let silent = Upstream::start(|_, connection| {
        connection.request();
        connection.request();
    });
    let mut config = route(silent.address);
    config.total_timeout = Some(SHORT);
    let mut client = Connection::open(start(vec![config]));
    let began = Instant::now();
    client.ask("GET /api", "");
    assert_eq!(status(&client.head()), "504");
    assert!(began.elapsed() < SOON);
}

#[test]
fn a_browser_that_stops_in_the_middle_of_its_body_is_not_waited_for() {
    let upstream = Upstream::start(|_, connection| {
        connection.request();
        connection.request();
    });
    let mut config = route(upstream.address);
    config.idle_timeout = SHORT;
    let mut client = Connection::open(start(vec![config]));
    let began = Instant::now();
    client.ask("POST /api", "Content-Length: 10\r\n");
    client.send("half");
    assert_eq!(status(&client.head()), "400");
    assert!(began.elapsed() < SOON);
}

#[test]
fn the_browsers_origin_reaches_an_api_that_asks_for_it_and_the_referrer_never_does() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let mut config = route(upstream.address);
    config.drop_origin = false;
    let mut client = Connection::open(start(vec![config]));
    client.ask("GET /api", "Origin: http://one.localhost:8080\r\nReferer: http://one.localhost:8080/secret\r\n");
    assert_eq!(status(&client.head()), "200");
    let seen = upstream.only();
    assert!(seen.contains("\r\norigin: http://one.localhost:8080\r\n") && !seen.contains("referer"), "{seen}");
}

#[test]
fn a_flood_of_promises_is_no_answer() {
    let upstream = Upstream::start(|_, connection| {
        connection.request();
        while connection.connection.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(100)) {}
    });
    let mut client = Connection::open(start(vec![route(upstream.address)]));
    let began = Instant::now();
    client.ask("GET /api", "");
    assert_eq!(status(&client.head()), "502");
    assert!(began.elapsed() < SOON);
}

#[test]
fn an_upstream_that_only_promises_is_not_believed_forever() {
    let upstream = Upstream::start(|_, connection| {
        connection.request();
        while connection.connection.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n") {
            std::thread::sleep(SHORT / 100);
        }
    });
    let mut config = route(upstream.address);
    config.timeout = SHORT;
    let mut client = Connection::open(start(vec![config]));
    let began = Instant::now();
    client.ask("GET /api", "");
    assert_eq!(status(&client.head()), "504");
    assert!(began.elapsed() < SOON);
}
