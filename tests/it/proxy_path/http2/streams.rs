//! What one connection for many calls must not change: who waits for whom, what is sent twice, and what a dead one takes along.

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::super::gateway::start;
use super::super::sockets::{Connection, status};
use super::peer::{
    CANCEL, DATA, END_STREAM, Frame, HEADERS, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, NO_ERROR, PING, Peer,
    REFUSED_STREAM, RST_STREAM, Upstream, WINDOW_UPDATE,
};
use crate::support::eventually;

/// Long enough for a busy machine, and shorter than any limit that is not meant.
const SOON: Duration = Duration::from_secs(4);

fn get(gateway: SocketAddr, line: &str) -> String {
    let mut client = Connection::open(gateway);
    client.ask(line, "");
    status(&client.head()).to_owned()
}

/// An upstream that answers a first call, and refuses the second one on the same connection.
fn refusing(refuse: impl Fn(u32, &mut Peer) + Send + Sync + 'static) -> Upstream {
    Upstream::start(move |number, peer| {
        peer.hello(&[]);
        for call in 0.. {
            let Some(stream) = peer.request() else { return };
            if number == 0 && call == 1 {
                refuse(stream, peer);
            } else {
                peer.answer(stream);
            }
        }
    })
}

#[test]
fn a_call_that_the_upstream_did_not_take_is_sent_once_more_if_it_is_a_bodiless_get_or_head() {
    type Refusal = fn(u32, &mut Peer);
    let refusals: [Refusal; 2] = [
        |stream, peer| _ = peer.reset(stream, REFUSED_STREAM),
        |stream, peer| {
            peer.go_away(stream - 2, NO_ERROR);
            peer.rest();
        },
    ];
    for (number, refuse) in refusals.into_iter().enumerate() {
        for (line, expected, calls) in
            [("GET /api", "200", 3), ("HEAD /api", "200", 3), ("POST /api", "502", 2), ("DELETE /api", "502", 2)]
        {
            let upstream = refusing(refuse);
            let gateway = start(vec![upstream.route()]);
            assert_eq!(get(gateway, "GET /api"), "200");
            assert_eq!(get(gateway, line), expected, "{number} {line}");
            assert_eq!(upstream.calls(), calls, "{number} {line}");
        }
        let upstream = refusing(refuse);
        let gateway = start(vec![upstream.route()]);
        assert_eq!(get(gateway, "GET /api"), "200");
        let mut client = Connection::open(gateway);
        client.ask("GET /api", "Content-Length: 1\r\n");
        client.send("x");
        assert_eq!((status(&client.head()), upstream.calls()), ("502", 2), "{number}");
    }
}

#[test]
fn a_call_is_never_sent_a_third_time_and_nothing_else_a_second() {
    let never = Upstream::start(|_, peer| {
        peer.hello(&[]);
        while let Some(stream) = peer.request() {
            peer.reset(stream, REFUSED_STREAM);
        }
    });
    assert_eq!(get(start(vec![never.route()]), "GET /api"), "502");
    assert_eq!(never.calls(), 2);
    type Failure = fn(u32, &mut Peer);
    let failures: [Failure; 5] = [
        // It may have been looked at.
        |stream, peer| {
            peer.go_away(stream, NO_ERROR);
            peer.hang_up();
        },
        |_, peer| peer.hang_up(),
        |stream, peer| _ = peer.reset(stream, NO_ERROR),
        |stream, peer| _ = peer.reset(stream, CANCEL),
        |stream, peer| {
            peer.head(stream, 0, &[(":status", "200")]);
            peer.reset(stream, REFUSED_STREAM);
        },
    ];
    for (number, fail) in failures.into_iter().enumerate() {
        let upstream = refusing(fail);
        let gateway = start(vec![upstream.route()]);
        assert_eq!(get(gateway, "GET /api"), "200");
        let status = get(gateway, "GET /api");
        assert!(status == "502" || number == 4, "{number}: {status}");
        assert_eq!(upstream.calls(), 2, "{number}");
    }
}

#[test]
fn an_upstream_that_takes_one_call_at_a_time_gets_more_connections() {
    let upstream = Upstream::start(|_, peer| {
        peer.hello(&[(MAX_CONCURRENT_STREAMS, 1)]);
        while let Some(stream) = peer.request() {
            std::thread::sleep(Duration::from_millis(300));
            peer.answer(stream);
        }
    });
    let gateway = start(vec![upstream.route()]);
    let began = Instant::now();
    let calls: Vec<_> = (0..5).map(|_| std::thread::spawn(move || get(gateway, "POST /api"))).collect();
    for call in calls {
        assert_eq!(call.join().expect("no panic"), "200");
    }
    assert!(began.elapsed() < Duration::from_millis(1400), "nobody waits for others: {:?}", began.elapsed());
    assert_eq!((upstream.calls(), upstream.connections()), (5, 5));
}

#[test]
fn an_upstream_that_takes_no_call_is_a_timeout() {
    for settings in [Some(&[(MAX_CONCURRENT_STREAMS, 0)][..]), None] {
        let upstream = Upstream::start(move |_, peer| {
            peer.greeted();
            if let Some(settings) = settings {
                peer.settings(settings);
            }
            while peer.request().is_some() {}
        });
        let mut config = upstream.route();
        config.timeout = Duration::from_millis(300);
        let gateway = start(vec![config]);
        assert_eq!(get(gateway, "GET /api"), "504");
        assert_eq!(get(gateway, "GET /api"), "504");
        assert_eq!(upstream.calls(), 0);
    }
}

#[test]
fn calls_that_wait_for_one_connection_share_its_failure() {
    let upstream = Upstream::start(|_, peer| {
        peer.greeted();
        std::thread::sleep(Duration::from_millis(500));
        peer.hang_up();
    });
    let gateway = start(vec![upstream.route()]);
    let began = Instant::now();
    let calls: Vec<_> = (0..5).map(|_| std::thread::spawn(move || get(gateway, "GET /api"))).collect();
    for call in calls {
        assert_eq!(call.join().expect("no panic"), "502");
    }
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    assert!(upstream.connections() < 3, "{}", upstream.connections());
}

#[test]
fn whoever_opens_a_connection_and_leaves_leaves_nobody_behind() {
    let (go, gone) = channel::<()>();
    let gone = Mutex::new(gone);
    let upstream = Upstream::start(move |number, peer| {
        peer.greeted();
        if number == 0 {
            let _ = gone.lock().expect("no script panics").recv();
        }
        peer.settings(&[]);
        while let Some(stream) = peer.request() {
            peer.answer(stream);
        }
    });
    let gateway = start(vec![upstream.route()]);
    let mut first = Connection::open(gateway);
    first.ask("GET /api", "");
    eventually("the first call should open a connection", || (upstream.connections() == 1).then_some(()));
    let mut second = Connection::open(gateway);
    second.ask("GET /api", "");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(upstream.connections(), 1, "the second waits for it");
    first.close();
    assert_eq!(status(&second.head()), "200");
    assert_eq!((upstream.connections(), upstream.calls()), (2, 1));
    drop(go);
}

#[test]
fn a_silent_upstream_is_left_alone_by_later_calls() {
    let upstream = Upstream::start(|number, peer| {
        peer.hello(&[]);
        let Some(stream) = peer.request() else { return };
        if number == 0 {
            // Nothing is read, nothing is answered, and the connection stays: a process that is stopped.
            peer.sleep();
        }
        peer.answer(stream);
        peer.rest();
    });
    let mut config = upstream.route();
    config.timeout = Duration::from_secs(12);
    let gateway = start(vec![config]);
    let mut first = Connection::open(gateway);
    first.ask("POST /api", "");
    std::thread::sleep(Duration::from_secs(9));
    assert_eq!(get(gateway, "GET /api"), "200", "on another connection");
    assert_eq!(upstream.connections(), 2);
    assert_eq!(status(&first.head()), "504", "it has the time that the route gives it");
}

#[test]
fn a_slow_upstream_that_answers_pings_keeps_its_calls() {
    let upstream = Upstream::start(|_, peer| {
        peer.hello(&[]);
        let stream = peer.request().expect("a request");
        // They are answered in passing.
        for _ in 0..2 {
            peer.until(PING).expect("a question whether it is there");
        }
        peer.answer(stream);
        while let Some(stream) = peer.request() {
            peer.answer(stream);
        }
    });
    let gateway = start(vec![upstream.route()]);
    let mut slow = Connection::open(gateway);
    slow.ask("GET /api", "");
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(status(&slow.head()), "200");
    assert_eq!(get(gateway, "GET /api"), "200");
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn an_answer_that_does_not_come_costs_its_stream_alone() {
    let (tell, told) = channel::<Frame>();
    let tell = Mutex::new(tell);
    let upstream = Upstream::start(move |_, peer| {
        peer.hello(&[]);
        let unanswered = peer.request().expect("a request");
        let reset = peer.until(RST_STREAM).expect("a reset");
        assert_eq!(reset.stream, unanswered);
        tell.lock().expect("no script panics").send(reset).expect("the test waits");
        // What was on its way already does no harm.
        peer.answer(unanswered);
        while let Some(stream) = peer.request() {
            peer.answer(stream);
        }
    });
    let mut config = upstream.route();
    config.timeout = Duration::from_millis(300);
    let gateway = start(vec![config]);
    assert_eq!(get(gateway, "GET /api"), "504");
    assert_eq!(told.recv_timeout(SOON).expect("a reset").payload, CANCEL.to_be_bytes());
    assert_eq!(get(gateway, "GET /api"), "200");
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn an_upload_that_breaks_off_or_is_too_large_is_reset_and_never_ended() {
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (framing, body, more) in [
        ("Content-Length: 10\r\n", "half", None),
        (chunked, "4\r\nhalf\r\n", None),
        (chunked, "4\r\nhalf\r\n", Some("zz\r\n")),
        (chunked, "4\r\nhalf\r\n", Some("7\r\ntoo big\r\n0\r\n\r\n")),
    ] {
        let (tell, told) = channel::<Frame>();
        let tell = Mutex::new(tell);
        let upstream = Upstream::start(move |_, peer| {
            peer.hello(&[]);
            let stream = peer.request().expect("a request");
            while let Some(frame) = peer.next() {
                if frame.stream == stream && frame.kind != WINDOW_UPDATE {
                    tell.lock().expect("no script panics").send(frame).expect("the test waits");
                }
            }
        });
        let mut config = upstream.route();
        config.max_body = Some(10);
        let mut client = Connection::open(start(vec![config]));
        client.ask("POST /api", framing);
        client.send(body);
        let piece = told.recv_timeout(SOON).expect("the first piece");
        assert_eq!((piece.kind, piece.flags, &piece.payload[..]), (DATA, 0, &b"half"[..]));
        match more {
            Some(more) => assert!(client.send(more)),
            None => client.close(),
        }
        let end = told.recv_timeout(SOON).expect("the end");
        assert_eq!((end.kind, &end.payload[..]), (RST_STREAM, &CANCEL.to_be_bytes()[..]), "{more:?}: {end:?}");
    }
}

#[test]
fn an_upload_waits_for_the_window_and_not_forever() {
    let (tell, told) = channel::<usize>();
    let tell = Mutex::new(tell);
    let upstream = Upstream::start(move |_, peer| {
        peer.hello(&[(INITIAL_WINDOW_SIZE, 1000)]);
        let stream = peer.request().expect("a request");
        let mut taken = 0;
        while taken < 1000 {
            taken += peer.until(DATA).expect("data").payload.len();
        }
        peer.send(WINDOW_UPDATE, 0, stream, &500_u32.to_be_bytes());
        while taken < 1500 {
            taken += peer.until(DATA).expect("data").payload.len();
        }
        let end = peer.next().expect("an end");
        tell.lock().expect("no script panics").send(taken).expect("the test waits");
        assert_eq!((end.kind, end.stream), (RST_STREAM, stream));
        peer.rest();
    });
    let mut config = upstream.route();
    config.timeout = Duration::from_secs(3);
    let mut client = Connection::open(start(vec![config]));
    client.ask("POST /api", "Content-Length: 1000000000\r\n");
    let piece = vec![0; 1 << 20];
    let accepted = (0..100).take_while(|_| client.send_within(&piece, Duration::from_millis(500))).count();
    assert!(accepted < 30, "{accepted} MiB went nowhere");
    assert_eq!(status(&client.head()), "504");
    assert_eq!(told.recv_timeout(SOON), Ok(1500));
}

#[test]
fn a_slow_reader_holds_up_nobody_else_and_gets_no_more_than_it_reads() {
    const PIECE: usize = 16 << 10;
    let sent = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&sent);
    let upstream = Upstream::start(move |_, peer| {
        peer.hello(&[]);
        let slow = peer.request().expect("a request");
        peer.head(slow, 0, &[(":status", "200")]);
        // As much as the windows allow: the stream's own is asked for in the client's settings.
        let window = peer.window();
        let fill = |peer: &mut Peer, room: usize| {
            for _ in 0..room / PIECE {
                peer.send(DATA, 0, slow, &[b'x'; PIECE]);
                *counted.lock().expect("no script panics") += PIECE;
            }
        };
        fill(peer, window);
        while let Some(frame) = peer.next() {
            match frame.kind {
                HEADERS => _ = peer.answer(frame.stream),
                WINDOW_UPDATE if frame.stream == slow => {
                    let more = u32::from_be_bytes(frame.payload[..4].try_into().expect("four bytes")) as usize;
                    fill(peer, more);
                }
                _ => {}
            }
        }
    });
    let gateway = start(vec![upstream.route()]);
    let mut client = Connection::open(gateway);
    client.ask("GET /api", "");
    assert_eq!(status(&client.head()), "200");
    // It does not read: the sockets' buffers fill, then the window.
    let mut before = usize::MAX;
    let settled = eventually("the upstream should be held back", || {
        std::thread::sleep(Duration::from_millis(500));
        let now = *sent.lock().expect("no script panics");
        (std::mem::replace(&mut before, now) == now).then_some(now)
    });
    assert!(settled < 12 << 20, "{settled} bytes went nowhere");
    for _ in 0..10 {
        assert_eq!(get(gateway, "GET /api"), "200");
    }
    assert_eq!(upstream.connections(), 1);
    client.bytes(8 << 20);
    eventually("the upstream should go on", || (*sent.lock().expect("no script panics") > settled).then_some(()));
}

#[test]
fn an_upstream_that_chooses_http_1_gets_connections_of_its_own_and_keeps_them() {
    let upstream = Upstream::agreeing_on("http/1.1", |_, peer| {
        while let Some(_request) = peer.old_request() {
            std::thread::sleep(Duration::from_millis(300));
            peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let gateway = start(vec![upstream.route()]);
    for _ in 0..2 {
        let began = Instant::now();
        let calls: Vec<_> = (0..4).map(|_| std::thread::spawn(move || get(gateway, "GET /api"))).collect();
        for call in calls {
            assert_eq!(call.join().expect("no panic"), "200");
        }
        assert!(began.elapsed() < Duration::from_millis(1100), "{:?}", began.elapsed());
    }
    assert_eq!((upstream.calls(), upstream.connections()), (8, 4));
}

#[test]
fn an_answer_after_which_the_rest_of_the_request_is_not_wanted_is_whole() {
    let upstream = Upstream::start(|_, peer| {
        peer.hello(&[]);
        while let Some(stream) = peer.request() {
            peer.head(stream, 0, &[(":status", "413")]);
            peer.send(DATA, END_STREAM, stream, b"big");
            // RFC 9113 §8.1
            peer.reset(stream, NO_ERROR);
        }
    });
    let gateway = start(vec![upstream.route()]);
    for _ in 0..5 {
        let mut client = Connection::open(gateway);
        client.ask("POST /api", "Content-Length: 1000000\r\n");
        client.send(vec![0; 1000]);
        assert_eq!(status(&client.head()), "413");
        assert_eq!(client.bytes(13), "3\r\nbig\r\n0\r\n\r\n");
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn pieces_of_a_few_bytes_pass_for_as_long_as_they_are_read() {
    const PIECE: &[u8] = b"data: x\n";
    const COUNT: usize = 100_000;
    let upstream = Upstream::start(|_, peer| {
        peer.hello(&[]);
        let stream = peer.request().expect("a request");
        peer.head(stream, 0, &[(":status", "200"), ("content-length", &(COUNT * PIECE.len()).to_string())]);
        let mut window = peer.window();
        for number in 1..=COUNT {
            while window < PIECE.len() {
                let more = peer.until(WINDOW_UPDATE).expect("room for more");
                if more.stream == stream {
                    window += u32::from_be_bytes(more.payload[..4].try_into().expect("four bytes")) as usize;
                }
            }
            window -= PIECE.len();
            peer.send(DATA, if number == COUNT { END_STREAM } else { 0 }, stream, PIECE);
        }
        peer.rest();
    });
    let mut client = Connection::open(start(vec![upstream.route()]));
    client.ask("GET /api", "");
    assert_eq!(status(&client.head()), "200");
    let body = client.bytes(COUNT * PIECE.len());
    assert!(body.bytes().eq(PIECE.iter().copied().cycle().take(COUNT * PIECE.len())));
}
