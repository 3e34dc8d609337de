//! What the integration tests stand on: the real gateway as a process, a real provider, a real Redis, a recording
//! upstream, and a model of a browser that is strict about cookies.

mod browser;
mod dev;
mod gateway;
mod http;
mod http2_api;
mod oidc_provider;
mod passport;
mod process;
mod redis;
mod redis_groups;
mod relay;
mod replicas;
mod setup;
mod tls;
mod token_api;
mod upstream;
mod world;

pub use browser::{Browser, Page};
pub use dev::{Dev, embedded};
pub use gateway::{Gateway, cloakroom};
pub use http::{Exchange, Request, Response, Streaming, send, send_raw, send_within, try_send};
pub use http2_api::Http2Api;
pub use oidc_provider::OidcProvider;
pub use passport::Passport;
pub use process::Process;
pub use redis::Redis;
pub use redis_groups::{RedisCluster, Sentinels};
pub use relay::Relay;
pub use replicas::{Replicas, Seen};
pub use setup::{Setup, Site, fresh_key};
pub use tls::{Pair, TlsClient, answer, ask, private_key};
pub use token_api::{Manners, PASSWORD, TokenApi};
pub use upstream::{Recorded, Reply, Upstream};
pub use world::World;

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A loopback port that nobody uses: below the range that the kernel hands out, so that no outgoing connection takes
/// it before its owner binds, and never the same one twice in this process.
pub fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const BLOCKS: u16 = 5_000;
    /// `dev` takes the ports after its own as well.
    const BLOCK: u16 = 4;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let mine = (std::process::id() % u32::from(BLOCKS)) as u16;
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + BLOCK * (mine.wrapping_add(step) % BLOCKS);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Asks again and again until there is an answer; fails the test when there is none in time.
pub fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, ask)
}

/// The same with a deadline of its own.
pub fn within<T>(limit: Duration, what: &str, ask: impl FnMut() -> Option<T>) -> T {
    try_within(limit, ask).unwrap_or_else(|| panic!("waited {limit:?} in vain: {what}"))
}

/// The same, where waiting in vain is an answer too.
pub fn try_within<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        let answer = ask();
        if answer.is_some() || Instant::now() >= end {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Serves every connection to a port of its own in a thread, which can tell of moments.
pub fn serve_each(serve: impl Fn(TcpStream, &Sender<Instant>) + Copy + Send + 'static) -> (u16, Receiver<Instant>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let (tell, moments) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tell = tell.clone();
            std::thread::spawn(move || serve(stream, &tell));
        }
    });
    (port, moments)
}

/// Reads until `wanted` has come; gives everything up to there.
pub fn read_until(stream: &mut TcpStream, wanted: &[u8]) -> Vec<u8> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    while !contains(&bytes, wanted) {
        let count = stream.read(&mut piece).expect("something comes");
        assert!(count > 0, "the end came after {}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&piece[..count]);
    }
    bytes
}

/// Whether `needle` occurs in `hay`.
pub fn contains(hay: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && hay.windows(needle.len()).any(|window| window == needle)
}
