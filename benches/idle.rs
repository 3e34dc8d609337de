//! The memory of the gateway: idle, with many keep-alive connections that nobody uses, and after they have gone.
//!
//! `cargo bench --bench idle`, with `redis-server` installed. `--connections` (5,000) needs twice as many open files.

#![expect(clippy::print_stdout, reason = "the results of a measurement go to stdout")]
#![expect(clippy::panic, reason = "a measurement that cannot go on says why")]
#![expect(dead_code, reason = "the measurement of the store has more uses for what the two share")]

#[path = "store/client.rs"]
mod client;
#[path = "store/gateway.rs"]
mod gateway;
#[path = "store/stage.rs"]
mod stage;

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use client::log_in;
use gateway::{BUILT, Gateway, Redis};
use stage::Stage;

/// Shorter than the gateway lets a connection be idle.
const MOMENT: Duration = Duration::from_millis(500);

/// Long enough for connections to the upstream to be let go, and for memory to be given back.
const CALM: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let (mut connections, mut binary) = (5000, BUILT.to_owned());
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_else(|| panic!("{word} takes a value"));
        match word.as_str() {
            "--connections" => connections = value.parse().unwrap_or_else(|_| panic!("{word} takes a number")),
            "--gateway" => binary = value,
            _ => panic!("unknown option {word}; see benches/README.md"),
        }
    }
    let (stage, redis) = (Stage::start().await, Redis::start());
    let gateway = Gateway::start_as(&[&binary], "workers = 2", &redis.url(), &stage.url(), &stage);
    let session = log_in(gateway.port(), 36_000).await;
    let request = format!(
        "GET /near/kilobyte HTTP/1.1\r\nhost: {}\r\nsec-fetch-site: same-origin\r\ncookie: {session}\r\n\r\n",
        client::authority(gateway.port())
    );
    println!("| moment | memory |\n|---|---|");
    let fresh = gateway.memory();
    println!("| started, one login | {:.1} MiB |", mebibytes(fresh));
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(called(gateway.port(), &request).await);
    }
    tokio::time::sleep(MOMENT).await;
    let held = gateway.memory();
    let closed = open.iter().filter(|stream| !is_open(stream)).count();
    assert_eq!(closed, 0, "so many were idle for too long before the last one was open; fewer `--connections` may do");
    let each = held.saturating_sub(fresh) as f64 / connections as f64;
    println!(
        "| {connections} idle connections, each after one call | {:.1} MiB, {each:.1} KiB each |",
        mebibytes(held)
    );
    drop(open);
    tokio::time::sleep(CALM).await;
    println!("| all of them closed, ten seconds later | {:.1} MiB |", mebibytes(gateway.memory()));
}

fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}

fn is_open(stream: &TcpStream) -> bool {
    let read = stream.try_read(&mut [0]);
    read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// A connection over which one call went.
async fn called(port: u16, request: &str) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).await;
    let mut stream = stream.unwrap_or_else(|error| panic!("{error}; `ulimit -n` may be too low"));
    stream.write_all(request.as_bytes()).await.expect("the request can be written");
    let (mut bytes, mut chunk) = (Vec::new(), [0; 8192]);
    loop {
        let count = stream.read(&mut chunk).await.expect("an answer");
        assert!(count > 0, "the connection ended before the answer");
        bytes.extend_from_slice(&chunk[..count]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        if bytes.len() == end + 4 + client::content_length(&head) {
            return stream;
        }
    }
}
