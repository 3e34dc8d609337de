//! A request whose token was replaced while it was on its way is sent once more, if all of it is still at hand.

use std::time::{Duration, Instant};

use cloakroom::config::{Access, RouteConfig};

use super::gateway::{LATE, route, start};
use super::sockets::{Connection, Upstream, status, values};

const REFUSAL: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nold";

/// Refuses the old token, and answers the newer with the body it got.
fn api() -> Upstream {
    Upstream::start(|_, connection| {
        loop {
            let head = connection.request();
            if head.is_empty() {
                break;
            }
            let length = values(&head, "content-length").first().map_or(0, |length| length.parse().expect("a number"));
            let body = if head.contains("chunked") { chunks(connection) } else { connection.connection.bytes(length) };
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            connection.connection.send(if head.contains("Bearer n3wer") { &answer } else { REFUSAL });
        }
    })
}

fn chunks(connection: &mut super::sockets::Recorded) -> String {
    let mut body = String::new();
    while !body.ends_with("0\r\n\r\n") {
        body += &connection.connection.bytes(1);
    }
    body
}

fn bearers(upstream: &Upstream) -> Vec<String> {
    upstream.heads().iter().map(|head| values(head, "authorization").join(" and ")).collect()
}

/// The status of one request, and the body if there is one.
fn ask(config: RouteConfig, line: &str, headers: &str, body: &str) -> (String, String) {
    let mut client = Connection::open(start(vec![config]));
    client.ask(line, headers);
    client.send(body);
    let head = client.head();
    let length = values(&head, "content-length").first().map_or(0, |length| length.parse().expect("a number"));
    let body = if line.starts_with("HEAD") { String::new() } else { client.bytes(length) };
    (status(&head).to_owned(), body)
}

#[test]
fn a_request_without_a_body_is_sent_again() {
    for line in ["GET /api/x?y", "HEAD /api", "DELETE /api/x", "POST /api"] {
        let upstream = api();
        assert_eq!(ask(route(upstream.address), line, "", "").0, "200", "{line}");
        assert_eq!(bearers(&upstream), ["Bearer t0ken", "Bearer n3wer"], "{line}");
        let [first, second] = upstream.heads().try_into().expect("two requests");
        assert_eq!(first.replace("t0ken", "n3wer"), second, "only the token differs");
    }
}

#[test]
fn nothing_is_sent_again_once_the_time_is_up() {
    // A refusal without a body leaves its connection open, so that one is at hand that could carry the request at once.
    let upstream = Upstream::answering("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let mut config = route(upstream.address);
    config.total_timeout = Some(LATE / 8);
    let asked = Instant::now();
    assert_eq!(ask(config, "DELETE /api/x", "X-Late-Renewal: 1\r\n", "").0, "504");
    assert!(asked.elapsed() < LATE, "the call waits for a token that it has no time to use");
    std::thread::sleep(LATE);
    assert_eq!(bearers(&upstream), ["Bearer t0ken"]);
}

#[test]
fn a_small_body_is_sent_again_byte_for_byte() {
    for length in [1, 10 << 10, 64 << 10] {
        let upstream = api();
        let body: String = (0..length).map(|index| char::from(b'a' + (index % 26) as u8)).collect();
        let answer = ask(route(upstream.address), "POST /api", &format!("Content-Length: {length}\r\n"), &body);
        assert!(answer == ("200".to_owned(), body), "{length} bytes: {}", answer.0);
        assert_eq!(upstream.heads().len(), 2);
    }
}

#[test]
fn a_small_body_is_passed_on_while_it_arrives() {
    let upstream = Upstream::start(|_, connection| {
        connection.request();
        assert_eq!(connection.connection.bytes(3), "one");
        connection.connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        assert_eq!(connection.connection.bytes(3), "two");
        connection.connection.send("0\r\n\r\n");
    });
    let mut client = Connection::open(start(vec![route(upstream.address)]));
    client.ask("POST /api", "Content-Length: 6\r\n");
    client.send("one");
    assert_eq!(status(&client.head()), "200");
    assert_eq!(client.bytes(10), "5\r\nfirst\r\n");
    client.send("two");
    assert_eq!(client.bytes(5), "0\r\n\r\n");
}

#[test]
fn what_was_not_kept_is_not_sent_again() {
    let large = "x".repeat((64 << 10) + 1);
    let declared = format!("Content-Length: {}\r\n", large.len());
    let cases = [
        (64 << 10, "chunked", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
        (64 << 10, "empty, but chunked", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        (64 << 10, "beyond the limit", &declared, &large),
        (0, "turned off", "Content-Length: 1\r\n", "x"),
    ];
    for (replay_body, name, headers, body) in cases {
        let upstream = api();
        let mut config = route(upstream.address);
        config.replay_body = replay_body;
        assert_eq!(ask(config, "POST /api", headers, body).0, "401", "{name}");
        assert_eq!(bearers(&upstream), ["Bearer t0ken"], "{name}");
    }
    let upstream = api();
    let mut config = route(upstream.address);
    config.replay_body = 0;
    assert_eq!(ask(config, "GET /api", "", "").0, "200", "there is nothing to keep");
}

#[test]
fn the_newest_token_and_no_token_are_refused_once() {
    let upstream = api();
    assert_eq!(ask(route(upstream.address), "GET /api", "X-Newest: 1\r\n", ""), ("401".into(), "old".into()));
    assert_eq!(bearers(&upstream), ["Bearer t0ken"]);
    for access in [Access::Optional, Access::None] {
        let upstream = api();
        let mut config = route(upstream.address);
        config.access = access;
        assert_eq!(ask(config, "GET /api", "", ""), ("401".into(), "old".into()));
        assert_eq!(bearers(&upstream), [""]);
    }
}

#[test]
fn an_upstream_that_refuses_everything_is_asked_twice() {
    let upstream = Upstream::answering(REFUSAL);
    assert_eq!(ask(route(upstream.address), "GET /api", "", ""), ("401".into(), "old".into()));
    assert_eq!(bearers(&upstream), ["Bearer t0ken", "Bearer n3wer"]);
}

#[test]
fn a_refusal_with_an_endless_body_holds_nobody_up() {
    let upstream = Upstream::start(|_, connection| {
        if connection.request().contains("n3wer") {
            connection.connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        } else {
            connection.connection.send("HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nold\r\n");
            assert_eq!(connection.connection.rest(), "", "the connection is given up");
        }
    });
    let began = std::time::Instant::now();
    assert_eq!(ask(route(upstream.address), "GET /api", "", ""), ("200".into(), "ok".into()));
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_body_that_never_came_whole_is_not_sent_again() {
    let upstream = Upstream::start(|_, connection| {
        connection.request();
        connection.connection.send(REFUSAL);
        connection.connection.rest();
    });
    let mut client = Connection::open(start(vec![route(upstream.address)]));
    client.ask("POST /api", "Content-Length: 10\r\n");
    client.send("half a");
    assert_eq!(status(&client.head()), "401");
    assert_eq!(upstream.heads().len(), 1);
}
