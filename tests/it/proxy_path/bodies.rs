//! Bodies stream both ways, keep their framing, and never look complete when they are not.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::gateway::{route, start};
use super::sockets::{Connection, Upstream, status, values};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn framing_of_requests_is_kept() {
    let upstream = Upstream::start(|_, connection| {
        loop {
            let head = connection.request();
            match head.as_str() {
                "" => break,
                head if head.contains("content-length: 3\r\n") => assert_eq!(connection.connection.bytes(3), "abc"),
                head if head.contains("chunked") => {
                    assert_eq!(connection.connection.bytes(13), "3\r\nabc\r\n0\r\n\r\n")
                }
                _ => {}
            }
            connection.connection.send(OK);
        }
    });
    let gateway = start(vec![route(upstream.address)]);
    let mut client = Connection::open(gateway);
    for (method, framing, body, length, coding) in [
        ("GET", "", "", vec![], vec![]),
        ("POST", "", "", vec![], vec![]),
        ("DELETE", "", "", vec![], vec![]),
        ("POST", "Content-Length: 0\r\n", "", vec!["0"], vec![]),
        ("POST", "Content-Length: 3\r\n", "abc", vec!["3"], vec![]),
        ("GET", "Content-Length: 3\r\n", "abc", vec!["3"], vec![]),
        ("POST", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n", vec![], vec!["chunked"]),
        ("GET", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n", vec![], vec!["chunked"]),
        ("POST", "Expect: 100-continue\r\nContent-Length: 3\r\n", "abc", vec!["3"], vec![]),
    ] {
        client.ask(&format!("{method} /api"), framing);
        client.send(body);
        let mut head = client.head();
        if status(&head) == "100" {
            head = client.head();
        }
        assert_eq!((status(&head), client.bytes(2).as_str()), ("200", "ok"), "{method} {framing}");
        let seen = upstream.heads().pop().expect("a request");
        assert_eq!(
            (values(&seen, "content-length"), values(&seen, "transfer-encoding")),
            (length, coding),
            "{method} {framing}"
        );
        assert!(!seen.contains("expect"), "{seen}");
    }
}

#[test]
fn the_first_byte_passes_before_the_body_ends_in_both_directions() {
    let upstream = Upstream::start(|_, connection| {
        connection.request();
        assert_eq!(connection.connection.bytes(8), "3\r\none\r\n");
        connection.connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        assert_eq!(connection.connection.bytes(13), "3\r\ntwo\r\n0\r\n\r\n");
        connection.connection.send("4\r\nlast\r\n0\r\n\r\n");
    });
    let mut client = Connection::open(start(vec![route(upstream.address)]));
    client.ask("POST /api", "Transfer-Encoding: chunked\r\n");
    client.send("3\r\none\r\n");
    assert_eq!(status(&client.head()), "200");
    assert_eq!(client.bytes(10), "5\r\nfirst\r\n");
    client.send("3\r\ntwo\r\n0\r\n\r\n");
    assert_eq!(client.bytes(14), "4\r\nlast\r\n0\r\n\r\n");
}

#[test]
fn answers_without_a_body_leave_the_connection_in_step() {
    let cases = [
        ("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "204", vec![]),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"e\"\r\n\r\n", "304", vec!["99"]),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n", "304", vec![]),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", "200", vec!["99"]),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "200", vec![]),
        ("HEAD", "HTTP/1.1 204 No Content\r\n\r\n", "204", vec![]),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200", vec!["0"]),
        ("GET", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "204", vec![]),
    ];
    for (method, answer, expected, length) in cases {
        let upstream = Upstream::start(move |_, connection| {
            loop {
                match connection.request() {
                    head if head.is_empty() => break,
                    head if head.contains("/api/second") => connection.connection.send(OK),
                    _ => connection.connection.send(answer),
                };
            }
        });
        let mut client = Connection::open(start(vec![route(upstream.address)]));
        client.ask(&format!("{method} /api/first"), "");
        let head = client.head();
        assert_eq!((status(&head), values(&head, "content-length")), (expected, length), "{answer:?}");
        client.ask("GET /api/second", "");
        let head = client.head();
        assert_eq!((status(&head), client.bytes(2).as_str()), ("200", "ok"), "{answer:?}: {head:?}");
    }
}

#[test]
fn a_truncated_answer_never_looks_complete() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxx\r\n",
    ] {
        let upstream = Upstream::start(move |_, connection| {
            connection.request();
            connection.connection.send(answer);
        });
        let mut client = Connection::open(start(vec![route(upstream.address)]));
        client.ask("GET /api", "");
        let head = client.head();
        assert_eq!(status(&head), "200");
        let rest = client.rest();
        assert!(rest.contains("half") && !rest.contains("0\r\n\r\n") && rest.len() < 10, "{answer:?}: {rest:?}");
    }
}

#[test]
fn an_upload_that_breaks_off_never_looks_complete() {
    for (framing, start_of_body) in
        [("Content-Length: 10\r\n", "half"), ("Transfer-Encoding: chunked\r\n", "4\r\nhalf\r\n")]
    {
        let (report, reported) = mpsc::channel();
        let upstream = Upstream::start(move |_, connection| {
            connection.request();
            report.send(connection.connection.bytes(start_of_body.len())).expect("the test waits");
            report.send(connection.connection.rest()).expect("the test waits");
        });
        let mut client = Connection::open(start(vec![route(upstream.address)]));
        client.ask("POST /api", framing);
        client.send(start_of_body);
        assert_eq!(reported.recv_timeout(Duration::from_secs(5)).as_deref(), Ok(start_of_body));
        client.close();
        assert_eq!(reported.recv_timeout(Duration::from_secs(5)).as_deref(), Ok(""), "{framing}");
    }
}

#[test]
fn an_upload_with_broken_framing_never_looks_complete() {
    let (report, reported) = mpsc::channel();
    let upstream = Upstream::start(move |_, connection| {
        connection.request();
        // The answer has begun, so the request is not given up as a whole when its body breaks.
        connection.connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
        report.send(connection.connection.rest()).expect("the test waits");
    });
    let mut client = Connection::open(start(vec![route(upstream.address)]));
    client.ask("POST /api", "Transfer-Encoding: chunked\r\n");
    client.send("4\r\nhalf\r\n");
    assert_eq!((status(&client.head()), client.bytes(7).as_str()), ("200", "2\r\nhi\r\n"));
    client.send("zz\r\n");
    assert_eq!(reported.recv_timeout(Duration::from_secs(5)).as_deref(), Ok("4\r\nhalf\r\n"));
    assert_eq!(client.rest(), "");
}

#[test]
fn an_old_client_gets_an_answer_without_chunks() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n");
    let mut client = Connection::open(start(vec![route(upstream.address)]));
    client.send("GET /api HTTP/1.0\r\nHost: one.localhost:8080\r\nX-BFF: 1\r\n\r\n");
    assert_eq!(status(&client.head()), "200");
    assert_eq!(client.rest(), "first");
    assert!(upstream.only().contains("via: 1.0 cloakroom\r\n"));
}

#[test]
fn a_browser_that_goes_away_cancels_the_upstream() {
    for answer in
        ["", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"]
    {
        let (report, reported) = mpsc::channel();
        let upstream = Upstream::start(move |_, connection| {
            connection.request();
            connection.connection.send(answer);
            report.send(()).expect("the test waits");
            assert_eq!(connection.connection.rest(), "");
            report.send(()).expect("the test waits");
        });
        let mut client = Connection::open(start(vec![route(upstream.address)]));
        client.ask("GET /api", "");
        reported.recv_timeout(Duration::from_secs(5)).expect("the request arrives");
        if !answer.is_empty() {
            assert_eq!(status(&client.head()), "200");
        }
        let gone = Instant::now();
        client.close();
        reported.recv_timeout(Duration::from_secs(5)).expect("the upstream is cancelled");
        assert!(gone.elapsed() < Duration::from_secs(1), "{:?}", gone.elapsed());
    }
}

#[test]
fn a_slow_receiver_slows_the_sender_down() {
    let (report, reported) = mpsc::channel();
    let upstream = Upstream::start(move |_, connection| {
        connection.request();
        report.send(()).expect("the test waits");
        std::thread::park();
    });
    let mut client = Connection::open(start(vec![route(upstream.address)]));
    client.ask("POST /api", "Content-Length: 1000000000\r\n");
    reported.recv_timeout(Duration::from_secs(5)).expect("the request arrives");
    let piece = vec![0; 1 << 20];
    // Both ends' socket buffers take a few MiB; a gateway that buffers takes everything.
    let accepted = (0..100).take_while(|_| client.send_within(&piece, Duration::from_millis(700))).count();
    assert!(accepted < 50, "{accepted} MiB went nowhere");
}

#[test]
fn an_early_answer_is_relayed_while_the_upload_goes_on() {
    let upstream = Upstream::start(|_, connection| {
        connection.request();
        connection
            .connection
            .send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
        connection.connection.rest();
    });
    let mut client = Connection::open(start(vec![route(upstream.address)]));
    client.ask("POST /api", "Content-Length: 1000000\r\n");
    client.send(vec![0; 1000]);
    assert_eq!((status(&client.head()), client.bytes(3).as_str()), ("413", "big"));
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let upstream = Upstream::start(|_, connection| {
        if connection.request().contains("chunked") {
            assert!(!connection.connection.rest().ends_with("0\r\n\r\n"));
        } else {
            assert_eq!(connection.connection.bytes(4), "abcd");
            connection.connection.send(OK);
        }
    });
    let mut config = route(upstream.address);
    config.max_body = Some(4);
    let gateway = start(vec![config]);
    for (framing, body, expected, contacted) in [
        ("Content-Length: 4\r\n", "abcd", "200", 1),
        ("Content-Length: 5\r\n", "abcde", "413", 1),
        ("Transfer-Encoding: chunked\r\n", "5\r\nabcde\r\n0\r\n\r\n", "413", 2),
    ] {
        let mut client = Connection::open(gateway);
        client.ask("POST /api", framing);
        client.send(body);
        assert_eq!(status(&client.head()), expected, "{framing}");
        assert!(upstream.heads().len() <= contacted, "{framing}");
    }
}
