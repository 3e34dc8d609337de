//! The framing of bodies against what upstreams send, listed and generated.

use proptest::prelude::*;

use super::*;

/// Everything that `bytes`, coming in these pieces, give: the body, and how it ends (`None`: not yet).
fn read(mut framing: Framing, pieces: &[&[u8]]) -> (Vec<u8>, Option<Result<(), FramingError>>, Vec<u8>) {
    let (mut buffer, mut body) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match framing.next(&mut buffer) {
                Ok(Step::Piece(piece)) => {
                    assert!(!piece.is_empty());
                    body.extend_from_slice(&piece);
                }
                Ok(Step::More) => break,
                Ok(Step::End) => return (body, Some(Ok(())), buffer.to_vec()),
                Err(error) => return (body, Some(Err(error)), buffer.to_vec()),
            }
        }
    }
    (body, None, buffer.to_vec())
}

fn chunked(bytes: &[u8]) -> (Vec<u8>, Option<Result<(), FramingError>>, Vec<u8>) {
    read(Framing::chunked(), &[bytes])
}

#[test]
fn what_is_unusual_and_unambiguous_is_a_body() {
    for good in [
        "5\r\nhello\r\n0\r\n\r\n",
        "00000000000000005\r\nhello\r\n0000\r\n\r\n",
        "5 \t\r\nhello\r\n0 \r\n\r\n",
        "5;a\r\nhello\r\n0;b=\"c\"\r\n\r\n",
        "5 ; a\r\nhello\r\n0\r\nX: y\r\nAuthorization: z\r\n\r\n",
        "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ] {
        let behind = format!("{good}HTTP/1.1 200 OK");
        assert_eq!(
            chunked(behind.as_bytes()),
            (b"hello".to_vec(), Some(Ok(())), b"HTTP/1.1 200 OK".to_vec()),
            "{good:?}"
        );
    }
}

#[test]
fn what_two_parsers_may_cut_differently_is_no_body() {
    for bad in [
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        ";a\r\nhello\r\n0\r\n\r\n",
        "10000000000000000\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\rhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;a\0b\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\r\nhelloX\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5\r\nhello\r\n0\r\nX: y\n\r\n",
        "5\r\nhello\r\n0\r\nX: y\rz\r\n\r\n",
        "5\r\nhello\r\n0\r\n\rx",
        "5\r\nhello\r\n0\r\nX: \0\r\n\r\n",
    ] {
        let (body, end, _) = chunked(bad.as_bytes());
        assert!(matches!(end, Some(Err(_))), "{bad:?}: {end:?}");
        assert!(b"hello".starts_with(&body[..]), "{bad:?}: {body:?}");
    }
}

#[test]
fn what_stands_beside_a_body_has_a_limit() {
    let long = "a".repeat(EXTENSIONS);
    let one = |size: usize| "1;".to_owned() + &"a".repeat(size) + "\r\nx\r\n";
    for bad in [
        format!("5;{long}"),
        format!("5{}", " ".repeat(EXTENSIONS + 1)),
        one(EXTENSIONS / 2) + &one(EXTENSIONS / 2),
        format!("0\r\nX: {long}"),
        format!("0\r\n{}", "a: b\r\n".repeat(TRAILERS / 4 + 1)),
    ] {
        assert_eq!(chunked(bad.as_bytes()).1, Some(Err(FramingError::TooLong)), "{}", &bad[..20]);
    }
    assert_eq!(chunked((one(EXTENSIONS / 2 - 1) + &one(EXTENSIONS / 2 - 1)).as_bytes()).0, b"xx");
}

#[test]
fn only_a_body_that_nothing_else_ends_is_ended_by_the_connection() {
    assert_eq!(Framing::UntilClose.closed(), Ok(()));
    assert_eq!(Framing::Length(1).closed(), Err(FramingError::Truncated));
    assert_eq!(Framing::chunked().closed(), Err(FramingError::Truncated));
}

/// A body in chunks: what it says, and what it is.
fn bodies() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let chunk = (prop::collection::vec(any::<u8>(), 1..40), prop::sample::select(vec!["", " ", ";a=b", " ;x"]));
    let trailers = prop::sample::select(vec!["", "X: y\r\n", "A: b\r\nC: d\r\n"]);
    (prop::collection::vec(chunk, 0..6), trailers).prop_map(|(chunks, trailers)| {
        let (mut wire, mut body) = (Vec::new(), Vec::new());
        for (data, extension) in chunks {
            wire.extend_from_slice(format!("{:X}{extension}\r\n", data.len()).as_bytes());
            wire.extend_from_slice(&data);
            wire.extend_from_slice(b"\r\n");
            body.extend_from_slice(&data);
        }
        wire.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
        (wire, body)
    })
}

/// Cuts `bytes` at these places.
fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn however_a_body_arrives_it_is_the_same(
        (wire, body) in bodies(),
        behind in prop::collection::vec(any::<u8>(), 0..10),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let all = [&wire[..], &behind[..]].concat();
        let (read, end, _) = read(Framing::chunked(), &cut(&all, &places));
        prop_assert_eq!((read, end), (body.clone(), Some(Ok(()))));
        let (whole, end, left) = chunked(&all);
        prop_assert_eq!((whole, end, left), (body, Some(Ok(())), behind));
    }

    #[test]
    fn a_body_cut_short_is_never_complete((wire, body) in bodies(), at in any::<prop::sample::Index>()) {
        let (read, end, _) = chunked(&wire[..at.index(wire.len())]);
        prop_assert_eq!(end, None);
        prop_assert!(body.starts_with(&read));
    }

    #[test]
    fn a_length_is_a_length(
        length in 0_u64..60,
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let (body, end, _) = read(Framing::Length(length), &cut(&bytes, &places));
        let whole = usize::try_from(length).expect("a small number").min(bytes.len());
        prop_assert_eq!(&body[..], &bytes[..whole]);
        prop_assert_eq!(end.is_some(), length <= bytes.len() as u64);
    }

    /// Nothing makes it panic, give out more than came in, or differ by how the bytes arrive.
    #[test]
    fn anything_at_all_is_read_the_same_way(
        (mut wire, _) in bodies(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        for (place, byte) in changes {
            let place = place.index(wire.len());
            wire[place] = byte;
        }
        let (body, end, _) = chunked(&wire);
        prop_assert!(body.len() <= wire.len());
        let (again, same, _) = read(Framing::chunked(), &cut(&wire, &places));
        prop_assert_eq!((body, end), (again, same));
    }
}
