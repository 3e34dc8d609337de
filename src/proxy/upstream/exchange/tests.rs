//! Whole answers over one connection, listed and generated, in any pieces.

use std::future::poll_fn;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::proxy::body::RequestBody;
use crate::proxy::upstream::sending::BodyLength;

/// What came of one request.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    body: Vec<u8>,
    /// Whether the body came to its end.
    complete: bool,
    /// Whether the connection would carry another request.
    kept: bool,
}

/// What a client makes of these bytes, which an upstream sends in pieces before it closes the connection (or not).
fn ask(pieces: &[&[u8]], asks_for_head: bool, closes: bool) -> Option<Seen> {
    actix_web::rt::System::new().block_on(asked(pieces, asks_for_head, closes))
}

async fn asked(pieces: &[&[u8]], asks_for_head: bool, closes: bool) -> Option<Seen> {
    let (near, mut far) = tokio::io::duplex(16);
    let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
    let upstream = actix_web::rt::spawn(async move {
        let mut request = [0; HEAD.len()];
        far.read_exact(&mut request).await.expect("a request");
        for piece in pieces {
            // A client that has seen enough is gone.
            if far.write_all(&piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        if closes { None } else { Some(far) }
    });
    let (pool, place) = (Rc::<Pool>::default(), place());
    let request = Outgoing {
        head: Bytes::from_static(HEAD),
        body: RequestBody::empty(),
        length: BodyLength::Exactly(0),
        asks_for_head,
        upgrades: false,
    };
    let home = (Rc::clone(&pool), Arc::clone(&place));
    let mut answer = exchange(Connection::new(Box::new(near)), request, home).await.ok()?;
    let mut seen = Seen { status: answer.status.as_u16(), body: Vec::new(), complete: false, kept: false };
    while let Some(piece) = poll_fn(|cx| answer.body.poll_next(cx)).await {
        let Ok(piece) = piece else {
            let again = poll_fn(|cx| answer.body.poll_next(cx)).await;
            assert!(matches!(again, Some(Err(_))), "what is broken stays so");
            drop(answer);
            assert!(pool.take(&place).is_none());
            return Some(seen);
        };
        seen.body.extend_from_slice(&piece);
    }
    seen.complete = true;
    let _far = upstream.await.expect("the upstream does not panic");
    seen.kept = pool.take(&place).is_some();
    Some(seen)
}

/// How long an upstream that says no more is waited for.
const WAIT: std::time::Duration = std::time::Duration::from_millis(20);
const HEAD: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

fn place() -> Arc<Place> {
    Arc::new(Place::Socket("/run/up.sock".into()))
}

fn open(answer: &str) -> Option<Seen> {
    ask(&[answer.as_bytes()], false, false)
}

fn seen(status: u16, body: &str, kept: bool) -> Option<Seen> {
    Some(Seen { status, body: body.into(), complete: true, kept })
}

#[test]
fn a_complete_answer_leaves_a_connection_that_can_be_used_again() {
    for (answer, body) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", "ok"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok"),
        ("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"),
    ] {
        assert_eq!(open(answer), seen(200, body, true), "{answer:?}");
    }
    for closing in ["HTTP/1.1 200 OK\r\nConnection: close\r\n", "HTTP/1.0 200 OK\r\n"] {
        assert_eq!(open(&format!("{closing}Content-Length: 2\r\n\r\nok")), seen(200, "ok", false), "{closing:?}");
    }
}

#[test]
fn an_answer_without_a_body_has_none_whatever_it_declares() {
    for status in [204, 304] {
        for lines in ["", "Content-Length: 9\r\n", "Transfer-Encoding: chunked\r\n"] {
            assert_eq!(open(&format!("HTTP/1.1 {status} X\r\n{lines}\r\n")), seen(status, "", true), "{lines}");
        }
    }
    for lines in ["", "Content-Length: 9\r\n", "Transfer-Encoding: chunked\r\n"] {
        let answer = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        assert_eq!(ask(&[answer.as_bytes()], true, false), seen(200, "", true), "{lines}");
    }
}

#[test]
fn bytes_behind_an_answer_end_the_connection() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ] {
        for surplus in ["x", "\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"] {
            assert_eq!(open(&format!("{answer}{surplus}")), seen(200, "ok", false), "{answer:?} {surplus:?}");
            assert_eq!(ask(&[answer.as_bytes(), surplus.as_bytes()], false, false), seen(200, "ok", false));
        }
    }
    assert_eq!(open("HTTP/1.1 204 No Content\r\n\r\nx"), seen(204, "", false));
    assert_eq!(ask(&[b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"], true, false), seen(200, "", false));
}

#[test]
fn an_answer_that_ends_with_its_connection_is_complete_only_then() {
    assert_eq!(ask(&[b"HTTP/1.1 200 OK\r\n\r\n", b"ok"], false, true), seen(200, "ok", false));
    for answer in [
        "Content-Length: 3\r\n\r\nok",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{answer}");
        let broken = Seen { status: 200, body: b"ok".to_vec(), complete: false, kept: false };
        assert_eq!(ask(&[answer.as_bytes()], false, true), Some(broken), "{answer:?}");
    }
}

#[test]
fn a_flood_of_interim_answers_is_no_answer() {
    let flood = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(LONGEST / 40 + 1);
    assert_eq!(open(&format!("{flood}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")), None);
}

/// A good answer: its bytes, and what is to be made of it.
fn answers() -> impl Strategy<Value = (Vec<u8>, Seen)> {
    let interim = prop::sample::select(vec!["", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 x\r\nLink: y\r\n\r\n"]);
    let lines = prop::sample::select(vec!["", "X-A: b\r\n", "ETag: \"e\"\r\nx-a:\t c \r\n"]);
    let body = prop::collection::vec(any::<u8>(), 0..60);
    (interim, lines, body, any::<bool>(), 1_usize..20).prop_map(|(interim, lines, body, chunks, size)| {
        let mut wire = format!("{interim}HTTP/1.1 200 OK\r\n{lines}").into_bytes();
        if chunks {
            wire.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in body.chunks(size) {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
        } else {
            wire.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            wire.extend_from_slice(&body);
        }
        (wire, Seen { status: 200, body, complete: true, kept: true })
    })
}

fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn however_an_answer_arrives_it_is_the_same(
        (wire, wanted) in answers(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        prop_assert_eq!(ask(&cut(&wire, &places), false, false), Some(wanted));
    }

    #[test]
    fn an_answer_cut_short_is_never_complete((wire, wanted) in answers(), at in any::<prop::sample::Index>()) {
        if let Some(seen) = ask(&[&wire[..at.index(wire.len())]], false, true) {
            prop_assert!(!seen.complete && !seen.kept, "{:?}", seen);
            prop_assert!(wanted.body.starts_with(&seen.body), "{:?}", seen);
        }
    }

    /// Whatever an upstream sends: it makes nothing panic, gives no more than came, and a connection that is used again
    /// has nothing left on it.
    #[test]
    fn anything_at_all_stays_within_its_frame(
        (mut wire, _) in answers(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        behind in prop::collection::vec(any::<u8>(), 1..10),
        asks_for_head: bool,
    ) {
        for (place, byte) in changes {
            let place = place.index(wire.len());
            wire[place] = byte;
        }
        let length = wire.len();
        let all = [wire, behind].concat();
        let pieces = [&all[..]];
        let asked = asked(&pieces, asks_for_head, false);
        // It may wait for more than came.
        let seen = actix_web::rt::System::new().block_on(async { tokio::time::timeout(WAIT, asked).await });
        if let Ok(Some(seen)) = seen {
            prop_assert!(seen.body.len() <= length && !seen.kept, "{} {:?}", length, seen);
        }
    }
}
