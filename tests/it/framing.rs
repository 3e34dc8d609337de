//! Where a request ends: what two parsers may cut differently is refused, byte for byte, against the real binary.
//!
//! Each attack is followed on the same connection by a request that must never be seen. Most of this is refused by the
//! server's own parser; it stands here so that nobody exchanges that parser without noticing.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{Reply, Setup, World, contains, send_raw};

const CHUNKED: &str = "5\r\nhello\r\n0\r\n\r\n";

fn world() -> World {
    let mut setup = Setup::one_site();
    setup.sites[0].routes.push(vec!["path = \"/open\"".into(), "auth = \"none\"".into()]);
    World::of(setup)
}

fn host(world: &World) -> String {
    format!("Host: one.localhost:{}\r\n", world.gateway.port)
}

/// The statuses of the answers to `attack`, which a hidden request follows; the connection must end.
fn statuses(world: &World, attack: &[u8]) -> Vec<u16> {
    let hidden = format!("GET /open/hidden HTTP/1.1\r\n{}Connection: close\r\n\r\n", host(world));
    let answer = send_raw(world.gateway.port, &[attack, hidden.as_bytes()].concat());
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = |line: &str| line.split_once("HTTP/1.1 ").and_then(|(_, rest)| rest.get(..3)?.parse().ok());
    text.lines().filter_map(status).collect()
}

/// The attack is answered with one of `wanted`, or not at all, and nothing of it or after it goes on.
#[track_caller]
fn refused(world: &World, attack: impl AsRef<[u8]>, wanted: &[u16]) {
    let attack = attack.as_ref();
    let shown = String::from_utf8_lossy(&attack[..attack.len().min(200)]).into_owned();
    let seen = statuses(world, attack);
    assert!(seen.len() <= 1 && seen.iter().all(|status| wanted.contains(status)), "{shown:?}: {seen:?}");
    assert_eq!(world.upstream.count(), 0, "{shown:?}: {:?}", world.upstream.requests());
}

#[test]
fn a_length_that_is_not_one_plain_number_is_refused() {
    let world = world();
    let post = format!("POST /open/x HTTP/1.1\r\n{}", host(&world));
    for length in ["+5", "-5", "5,6", "5, 5", "0x5", "5 5", "99999999999999999999", ""] {
        refused(&world, format!("{post}Content-Length: {length}\r\n\r\nhello"), &[400]);
    }
    for second in ["5", "6"] {
        refused(&world, format!("{post}Content-Length: 5\r\nContent-Length: {second}\r\n\r\nhello"), &[400]);
    }
}

#[test]
fn a_coding_that_is_not_chunked_alone_is_refused() {
    let world = world();
    let post = format!("POST /open/x HTTP/1.1\r\n{}", host(&world));
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked;x",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: ",
        "Transfer-Encoding : chunked",
        "Transfer\0-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
    ] {
        refused(&world, format!("{post}{headers}\r\n\r\n{CHUNKED}"), &[400]);
    }
    let old = format!("POST /open/x HTTP/1.0\r\n{}Transfer-Encoding: chunked\r\n\r\n{CHUNKED}", host(&world));
    refused(&world, old, &[400]);
}

#[test]
fn a_broken_chunk_ends_the_connection_and_never_completes_a_request() {
    let world = world();
    let post = format!("POST /open/x HTTP/1.1\r\n{}Transfer-Encoding: chunked\r\n\r\n", host(&world));
    for body in [
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "10000000000000000\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n",
    ] {
        refused(&world, format!("{post}{body}"), &[400]);
    }
}

#[test]
fn a_head_that_is_not_to_the_letter_is_refused() {
    let world = world();
    let host = host(&world);
    let get = format!("GET /open/x HTTP/1.1\r\n{host}");
    for header in ["X: a\rb", "X: a\0b", "nocolon", ": a", "X : a", "X: a\r\n b"] {
        refused(&world, format!("{get}{header}\r\n\r\n"), &[400]);
    }
    refused(&world, [get.as_bytes(), b"X\xe9: a\r\n\r\n"].concat(), &[400]);
    refused(&world, format!("{get}{host}\r\n"), &[400]);
    refused(&world, "GET /open/x HTTP/1.1\r\n\r\n", &[400]);
    refused(&world, format!("GET /open/x HTTP/1.1\r\n X: a\r\n{host}\r\n"), &[400]);
    for line in [
        "GET  /open/x HTTP/1.1",
        "GET\t/open/x HTTP/1.1",
        "GET /open/x HTTP/1.1 ",
        "GET /open/x HTTP/2.0",
        "GET /open/x",
        "GET /open/x y HTTP/1.1",
    ] {
        refused(&world, format!("{line}\r\n{host}\r\n"), &[400]);
    }
    refused(&world, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400]);
    let many: String = (0..200).map(|number| format!("X{number}: a\r\n")).collect();
    let long = "a".repeat(1 << 20);
    for attack in
        [format!("{get}{many}\r\n"), format!("{get}X: {long}\r\n\r\n"), format!("GET /{long} HTTP/1.1\r\n{host}\r\n")]
    {
        refused(&world, attack, &[431]);
    }
}

#[test]
fn what_is_unusual_and_unambiguous_passes_as_one_request() {
    let world = world();
    let host = host(&world);
    let post = format!("POST /open/x HTTP/1.1\r\n{host}");
    let unusual = [
        format!("{post}Transfer-Encoding: Chunked\r\n\r\n{CHUNKED}"),
        format!("{post}Transfer-Encoding: \tchunked\r\n\r\n{CHUNKED}"),
        format!("{post}Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n"),
        format!("{post}Transfer-Encoding: chunked\r\n\r\n5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(65_536)),
        // Trailers are read and dropped: they never become headers (RFC 9110 §6.5.1).
        format!(
            "{post}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nAuthorization: evil\r\nTransfer-Encoding: chunked\r\n\r\n"
        ),
        format!("GET /open/x HTTP/1.1\r\n{host}Content-Length: 5\r\n\r\nhello"),
        // RFC 9112 §2.2 lets a recipient take a bare LF for a line's end.
        format!("GET /open/x HTTP/1.1\r\n{host}X: a\nContent-Length: 5\r\n\r\nhello"),
        format!(
            "GET http://one.localhost:{}/open/x HTTP/1.1\r\n{host}Content-Length: 5\r\n\r\nhello",
            world.gateway.port
        ),
    ];
    for (index, request) in unusual.iter().enumerate() {
        assert_eq!(statuses(&world, request.as_bytes()), [200, 200], "{:?}", &request[..request.len().min(200)]);
        let seen = world.upstream.requests();
        assert_eq!(seen.len(), 2 * (index + 1));
        let [first, second] = &seen[2 * index..] else { unreachable!("there are two") };
        assert_eq!((first.target.as_str(), first.body.as_slice()), ("/open/x", &b"hello"[..]));
        assert_eq!(second.target, "/open/hidden");
        assert!(first.all("authorization").is_empty());
    }
}

#[test]
fn a_refusal_before_the_body_leaves_the_next_request_whole() {
    let world = world();
    let early = format!("POST /nothing HTTP/1.1\r\n{}Content-Length: 5\r\n\r\nhello", host(&world));
    assert_eq!(statuses(&world, early.as_bytes()), [404, 200]);
    assert_eq!(world.upstream.last().target, "/open/hidden");
}

/// The server frames an answer by the request that it has read last, so that GET and HEAD sent at once, before the first
/// is answered, get bodiless or no answers. No browser and no proxy sends requests that way. What is lost is lost to that
/// connection: no other is touched, and none of its bytes turn up anywhere else.
#[test]
fn get_and_head_sent_at_once_harm_nobody_else() {
    let world = world();
    world.upstream.answers(|request| Reply::json(&format!("\"for {}\"", request.target)));
    let host = host(&world);
    let other = |path: &str| world.send(&world.request("GET", path)).text();
    for (first, second) in [("GET", "HEAD"), ("HEAD", "GET")] {
        for _ in 0..5 {
            let line = |method: &str, end: &str| format!("{method} /open/mine HTTP/1.1\r\n{host}{end}\r\n");
            let both = line(first, "") + &line(second, "Connection: close\r\n");
            let answer = send_raw(world.gateway.port, both.as_bytes());
            assert!(!contains(&answer, b"other"), "{:?}", String::from_utf8_lossy(&answer));
            assert_eq!(other("/open/other"), "\"for /open/other\"");
        }
    }
}

/// A connection after its first answer, whose body is read to its end.
fn used(world: &World) -> TcpStream {
    let mut connection = TcpStream::connect(("127.0.0.1", world.gateway.port)).expect("a connection");
    connection.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    ask(world, &mut connection);
    connection
}

fn ask(world: &World, connection: &mut TcpStream) {
    let request = format!("GET /bff/session HTTP/1.1\r\n{}Sec-Fetch-Site: same-origin\r\n\r\n", host(world));
    connection.write_all(request.as_bytes()).expect("the request is written");
    let mut seen = Vec::new();
    while !seen.ends_with(b"}") {
        let mut piece = [0; 4096];
        let count = connection.read(&mut piece).expect("an answer");
        assert!(count > 0, "it hangs up: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&piece[..count]);
    }
    assert!(seen.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&seen));
}

#[test]
fn an_unused_connection_is_kept_as_long_as_configured_and_no_longer() {
    let mut setup = Setup::one_site();
    setup.server.push("keep_alive = \"2s\"".into());
    let world = World::of(setup);
    let (mut connection, since) = (used(&world), Instant::now());
    assert_eq!(connection.read(&mut [0]).expect("the end"), 0);
    assert!((Duration::from_secs(1)..Duration::from_millis(4900)).contains(&since.elapsed()), "{:?}", since.elapsed());
}

#[test]
fn an_unused_connection_outlasts_those_of_usual_edges_unless_configured_otherwise() {
    let world = World::of(Setup::one_site());
    let mut connection = used(&world);
    // The server's own default would have closed it after five.
    std::thread::sleep(Duration::from_secs(8));
    ask(&world, &mut connection);
}
