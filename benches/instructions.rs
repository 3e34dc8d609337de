//! The instructions that the gateway spends on one proxied request, as valgrind's callgrind counts them.
//!
//! `cargo bench --profile profiling --bench instructions`, with `valgrind` and `redis-server` installed. The gateway runs
//! twice, with so many requests and with twice as many; the difference is the requests' own. Unlike times it does not
//! depend on what else the machine does; `benches/README.md` says how to read it.

#![expect(clippy::print_stdout, reason = "the results of a measurement go to stdout")]
#![expect(clippy::panic, reason = "a measurement that cannot go on says why")]
#![expect(dead_code, reason = "the measurement of the store has more uses for what the two share")]

#[path = "store/client.rs"]
mod client;
#[path = "store/gateway.rs"]
mod gateway;
#[path = "store/stage.rs"]
mod stage;

use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use client::log_in;
use gateway::{BUILT, Gateway, Redis};
use stage::Stage;

/// What a browser sends along with a call of its page, 670 bytes with the cookie.
const WORDS: &str = "user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36\r\n\
    accept: application/json, text/plain, */*\r\naccept-language: en-GB,en;q=0.9,de;q=0.8\r\n\
    accept-encoding: gzip, deflate, br, zstd\r\nsec-ch-ua: \"Chromium\";v=\"141\", \"Not?A_Brand\";v=\"8\"\r\n\
    sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\nsec-fetch-site: same-origin\r\nsec-fetch-mode: cors\r\n\
    sec-fetch-dest: empty\r\nreferer: http://one.localhost/orders/overview\r\npriority: u=1, i\r\n";

#[tokio::main]
async fn main() {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let (mut requests, mut keep, mut gateway) = (1000, None, BUILT.to_owned());
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_else(|| panic!("{word} takes a value"));
        match word.as_str() {
            "--requests" => requests = value.parse().unwrap_or_else(|_| panic!("{word} takes a number")),
            "--keep" => keep = Some(value),
            "--gateway" => gateway = value,
            _ => panic!("unknown option {word}; see benches/README.md"),
        }
    }
    let stage = Stage::start().await;
    println!("| call | instructions per request |\n|---|---|");
    for (name, path) in [("near-cache hit", "/near"), ("store read each time", "/read"), ("no session", "/open")] {
        let kept = keep.as_ref().map(|dir| Path::new(dir).join(format!("callgrind{}", path.replace('/', "."))));
        let few = count(&gateway, &stage, path, requests, None).await;
        let many = count(&gateway, &stage, path, 2 * requests, kept.as_deref()).await;
        println!("| {name} | {} |", many.saturating_sub(few) / requests);
    }
}

/// The instructions of a whole run: start, login, so many requests, stop.
async fn count(gateway: &str, stage: &Arc<Stage>, path: &str, requests: u64, keep: Option<&Path>) -> u64 {
    let dir = tempfile::TempDir::new().expect("a directory");
    let file = keep.map_or_else(|| dir.path().join("callgrind"), Path::to_path_buf);
    let out = format!("--callgrind-out-file={}", file.display());
    let redis = Redis::start();
    let valgrind = ["valgrind", "-q", "--tool=callgrind", "--separate-threads=yes", &out, gateway];
    let gateway = Gateway::start_as(&valgrind, "workers = 1\ndrain_delay = \"0s\"", &redis.url(), &stage.url(), stage);
    let session = log_in(gateway.port(), 3600).await;
    let request = format!(
        "GET {path}/kilobyte?page=1 HTTP/1.1\r\nhost: {}\r\n{WORDS}cookie: theme=dark; {session}\r\n\r\n",
        client::authority(gateway.port())
    );
    let mut stream = TcpStream::connect(("127.0.0.1", gateway.port())).await.expect("the gateway listens");
    stream.set_nodelay(true).expect("a socket option");
    for _ in 0..requests {
        stream.write_all(request.as_bytes()).await.expect("the request can be written");
        read_answer(&mut stream).await;
    }
    drop(gateway);
    answering(&file).iter().map(|written| total(written)).sum()
}

/// What callgrind wrote for the threads that answer requests. The others wait for time to pass, and gather randomness
/// at the start in a number of steps that is itself random.
fn answering(file: &Path) -> Vec<String> {
    let name = format!("{}-", file.file_name().and_then(|name| name.to_str()).expect("a name of ours"));
    let listed = std::fs::read_dir(file.parent().expect("a file is in a directory")).expect("the directory is there");
    let threads = listed.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(&name));
    let written = threads.map(|thread| std::fs::read_to_string(thread.path()).expect("callgrind writes text"));
    let answering: Vec<String> = written.filter(|written| written.contains("h1::dispatcher")).collect();
    assert!(!answering.is_empty(), "apt-get install valgrind, and build with --profile profiling");
    answering
}

fn total(written: &str) -> u64 {
    let total = written.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    total.and_then(|total| total.trim().parse().ok()).expect("callgrind writes a total")
}

async fn read_answer(stream: &mut TcpStream) {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 8192]);
    loop {
        let count = stream.read(&mut chunk).await.expect("an answer");
        assert!(count > 0, "the connection ended before the answer");
        bytes.extend_from_slice(&chunk[..count]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        if bytes.len() == end + 4 + client::content_length(&head) {
            return;
        }
    }
}
