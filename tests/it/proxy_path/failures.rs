//! An upstream that is dead, slow, hostile or just closing its connection.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::gateway::{route, start};
use super::sockets::{Connection, Upstream, status};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn get(gateway: std::net::SocketAddr, line: &str) -> String {
    let mut client = Connection::open(gateway);
    client.ask(line, "");
    status(&client.head()).to_owned()
}

#[test]
fn a_dead_upstream_is_unreachable() {
    let address =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port that is free again");
    assert_eq!(get(start(vec![route(address)]), "GET /api"), "502");
}

#[test]
fn garbage_is_never_an_answer() {
    for answer in [
        "hello\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX-A: b\r\n folded\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "",
    ] {
        let upstream = Upstream::start(move |_, connection| {
            connection.request();
            connection.connection.send(answer);
        });
        assert_eq!(get(start(vec![route(upstream.address)]), "POST /api"), "502", "{answer:?}");
        assert_eq!(upstream.heads().len(), 1, "{answer:?}");
    }
}

#[test]
fn bytes_after_an_answer_are_never_part_of_another() {
    let upstream = Upstream::start(|_, connection| {
        while !connection.request().is_empty() {
            connection.connection.send(format!("{OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"));
        }
    });
    let gateway = start(vec![route(upstream.address)]);
    for _ in 0..5 {
        let mut client = Connection::open(gateway);
        client.ask("GET /api", "");
        let head = client.head();
        if status(&head) == "200" {
            assert_eq!(client.bytes(2), "ok");
        }
    }
}

#[test]
fn an_answer_that_does_not_come_in_time_is_a_timeout() {
    let upstream = Upstream::start(|_, connection| {
        connection.request();
        connection.connection.rest();
    });
    let mut config = route(upstream.address);
    config.timeout = Duration::from_millis(200);
    let asked = Instant::now();
    assert_eq!(get(start(vec![config]), "GET /api"), "504");
    assert!(asked.elapsed() < Duration::from_secs(2));
    assert_eq!(upstream.heads().len(), 1);
}

#[test]
fn a_long_upload_is_not_a_slow_answer() {
    let upstream = Upstream::start(|_, connection| {
        connection.request();
        connection.connection.bytes(5);
        std::thread::sleep(Duration::from_millis(400));
        connection.connection.send(OK);
    });
    let mut config = route(upstream.address);
    config.timeout = Duration::from_millis(600);
    let mut client = Connection::open(start(vec![config]));
    client.ask("POST /api", "Content-Length: 5\r\n");
    for pause in [200, 1300, 200, 200, 200] {
        std::thread::sleep(Duration::from_millis(pause));
        client.send("x");
    }
    assert_eq!(status(&client.head()), "200");
}

/// An upstream whose first connection answers once and closes as soon as the next request has arrived on it: a race
/// that every server with keep-alive runs into.
fn closing() -> (Upstream, Arc<AtomicBool>) {
    let raced = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&raced);
    let upstream = Upstream::start(move |number, connection| {
        connection.request();
        connection.connection.send(OK);
        if number == 0 {
            seen.store(!connection.request().is_empty(), Ordering::SeqCst);
        } else {
            connection.request();
        }
    });
    (upstream, raced)
}

#[test]
fn a_stale_connection_is_retried_once_for_get_and_head() {
    for method in ["GET", "HEAD"] {
        let (upstream, raced) = closing();
        let gateway = start(vec![route(upstream.address)]);
        assert_eq!(get(gateway, "GET /api/first"), "200");
        assert_eq!(get(gateway, &format!("{method} /api/second")), "200");
        assert!(raced.load(Ordering::SeqCst), "the kept connection was used");
        assert_eq!(upstream.heads().len(), 3);
    }
}

#[test]
fn nothing_else_is_ever_sent_twice() {
    for request in ["POST /api", "PUT /api", "DELETE /api", "OPTIONS /api"] {
        let (upstream, raced) = closing();
        let gateway = start(vec![route(upstream.address)]);
        assert_eq!(get(gateway, "GET /api/first"), "200");
        assert_eq!(get(gateway, request), "502", "{request}");
        assert!(raced.load(Ordering::SeqCst), "the kept connection was used");
        assert_eq!(upstream.heads().len(), 2, "{request}");
    }
    let (upstream, _) = closing();
    let gateway = start(vec![route(upstream.address)]);
    assert_eq!(get(gateway, "GET /api/first"), "200");
    let mut client = Connection::open(gateway);
    client.ask("GET /api", "Content-Length: 1\r\n");
    client.send("x");
    assert_eq!(status(&client.head()), "502");
    assert_eq!(upstream.heads().len(), 2);
}

#[test]
fn a_websocket_handshake_is_no_request_with_a_body() {
    let upstream = Upstream::answering(OK);
    let mut client = Connection::open(start(vec![route(upstream.address)]));
    client.ask("GET /api", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n");
    client.send("GET /api/smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(status(&client.head()), "400");
    assert!(upstream.heads().is_empty());
}
