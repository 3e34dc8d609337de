//! Upstreams that break HTTP/2 or their word: nothing of that looks like an answer, or like a whole one.

use std::time::{Duration, Instant};

use super::super::gateway::start;
use super::super::sockets::{Connection, status};
use super::peer::{
    CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, INTERNAL_ERROR, NO_ERROR, Peer, Upstream, block,
};

/// Long enough for a busy machine, and shorter than any limit that is not meant.
const SOON: Duration = Duration::from_secs(4);

/// An upstream that does the same with every request.
fn answering(script: impl Fn(u32, &mut Peer) + Send + Sync + 'static) -> Upstream {
    Upstream::start(move |_, peer| {
        peer.hello(&[]);
        while let Some(stream) = peer.request() {
            script(stream, peer);
        }
    })
}

/// The status of a call, and what comes of its body.
fn ask(upstream: &Upstream, line: &str) -> (String, String) {
    let mut client = Connection::open(start(vec![upstream.route()]));
    client.ask(line, "Connection: close\r\n");
    (status(&client.head()).to_owned(), client.rest())
}

const OK: (&str, &str) = (":status", "200");

#[test]
fn an_answer_that_breaks_off_never_looks_complete() {
    type Break = fn(u32, &mut Peer);
    let breaks: [Break; 5] = [
        |stream, peer| _ = peer.reset(stream, NO_ERROR),
        |stream, peer| _ = peer.reset(stream, CANCEL),
        |stream, peer| _ = peer.reset(stream, INTERNAL_ERROR),
        |_, peer| {
            peer.go_away(0, NO_ERROR);
        },
        |stream, peer| {
            peer.go_away(stream, NO_ERROR);
            peer.hang_up();
        },
    ];
    for (number, broken) in breaks.into_iter().enumerate() {
        for length in [None, Some(("content-length", "10"))] {
            let upstream = answering(move |stream, peer| {
                let lines: Vec<_> = [OK].into_iter().chain(length).collect();
                peer.head(stream, 0, &lines);
                peer.send(DATA, 0, stream, b"half");
                // What came before it is passed on first.
                std::thread::sleep(Duration::from_millis(50));
                broken(stream, peer);
            });
            let (status, body) = ask(&upstream, "GET /api");
            assert_eq!(status, "200", "{number}");
            assert!(body.contains("half") && !body.contains("0\r\n\r\n") && body.len() < 10, "{number}: {body:?}");
            assert_eq!(upstream.calls(), 1, "{number}");
        }
    }
}

#[test]
fn a_body_that_is_not_as_long_as_declared_never_looks_complete() {
    for (length, pieces) in [
        ("5", &[("half", true)][..]),
        ("5", &[("half", false), ("", true)]),
        ("3", &[("half", true)]),
        ("3", &[("ha", false), ("lf", true)]),
        ("2", &[("ha", false), ("lf", true)]),
        ("2", &[("ha", false), ("l", false), ("f", true)]),
    ] {
        let upstream = answering(move |stream, peer| {
            peer.head(stream, 0, &[OK, ("content-length", length)]);
            for (piece, last) in pieces {
                std::thread::sleep(Duration::from_millis(20));
                peer.send(DATA, if *last { END_STREAM } else { 0 }, stream, piece.as_bytes());
            }
        });
        let (status, body) = ask(&upstream, "GET /api");
        assert_eq!(status, "200", "{length} {pieces:?}");
        assert!(body.len() < length.parse::<usize>().expect("a number"), "{length} {pieces:?}: {body:?}");
    }
    let empty = answering(|stream, peer| _ = peer.head(stream, END_STREAM, &[OK, ("content-length", "5")]));
    assert_eq!(ask(&empty, "GET /api").0, "502");
}

#[test]
fn what_breaks_the_rules_is_no_answer() {
    let heads: [&[(&str, &str)]; 13] = [
        &[OK, ("X-Upper", "a")],
        &[OK, ("connection", "close")],
        &[OK, ("transfer-encoding", "chunked")],
        &[OK, ("upgrade", "h2c")],
        &[OK, ("content-length", "2"), ("content-length", "2")],
        &[OK, ("content-length", "2"), ("content-length", "3")],
        &[OK, ("content-length", "+2")],
        &[OK, ("content-length", "2, 2")],
        &[OK, ("x", "a\r\nb: c")],
        &[OK, ("x", "a\0b")],
        &[("x", "a")],
        &[(":status", "abc")],
        &[("x", "a"), OK],
    ];
    for lines in heads {
        let upstream = answering(move |stream, peer| {
            peer.head(stream, 0, lines);
            peer.send(DATA, END_STREAM, stream, b"ok");
        });
        assert_eq!(ask(&upstream, "POST /api").0, "502", "{lines:?}");
        assert_eq!(upstream.calls(), 1, "{lines:?}");
    }
    let switching = answering(|stream, peer| _ = peer.head(stream, END_STREAM, &[(":status", "101")]));
    assert_eq!(ask(&switching, "GET /api").0, "502");
    let headless = answering(|stream, peer| _ = peer.send(DATA, END_STREAM, stream, b"ok"));
    assert_eq!(ask(&headless, "GET /api").0, "502");
    let hello = Upstream::start(|_, peer| _ = peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    assert_eq!(ask(&hello, "GET /api").0, "502");
    let goodbye = Upstream::start(|_, peer| {
        peer.hello(&[]);
        peer.go_away(0, NO_ERROR);
        peer.rest();
    });
    assert_eq!(ask(&goodbye, "POST /api").0, "502");
}

#[test]
fn floods_of_headers_are_no_answer() {
    // One head without an end; a large one; promises of one to come.
    let endless = answering(|stream, peer| {
        let lines = block(&[OK, ("x", &"a".repeat(100))]).repeat(1);
        peer.send(HEADERS, 0, stream, &lines);
        let more = block(&[("x", &"a".repeat(100))]).repeat(100);
        while peer.send(CONTINUATION, 0, stream, &more) {}
    });
    let large = answering(|stream, peer| {
        let lines: Vec<_> = [OK]
            .into_iter()
            .chain((0..700).map(|_| ("x", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")))
            .collect();
        let block = block(&lines);
        let (first, rest) = block.split_at(16_000);
        peer.send(HEADERS, 0, stream, first);
        let pieces: Vec<_> = rest.chunks(16_000).collect();
        for (at, piece) in pieces.iter().enumerate() {
            peer.send(CONTINUATION, if at + 1 == pieces.len() { END_HEADERS } else { 0 }, stream, piece);
        }
        peer.send(DATA, END_STREAM, stream, b"ok");
    });
    let promising = answering(|stream, peer| while peer.head(stream, 0, &[(":status", "103"), ("link", "</x>")]) {});
    for (name, upstream) in [("endless", endless), ("large", large), ("promising", promising)] {
        let began = Instant::now();
        assert_eq!(ask(&upstream, "POST /api").0, "502", "{name}");
        assert!(began.elapsed() < SOON, "{name}: {:?}", began.elapsed());
    }
}

#[test]
fn promises_without_end_are_not_believed_forever() {
    let upstream = answering(|stream, peer| {
        while peer.head(stream, 0, &[(":status", "103"), ("link", "</x>")]) {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let mut config = upstream.route();
    config.timeout = Duration::from_millis(300);
    let mut client = Connection::open(start(vec![config]));
    let began = Instant::now();
    client.ask("GET /api", "");
    assert_eq!(status(&client.head()), "504");
    assert!(began.elapsed() < SOON);
}
