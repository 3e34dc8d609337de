//! Bodies and streams through the real binary: however long they are, memory stays flat, and nothing waits for its end.
//!
//! `CLOAKROOM_STREAM_MIB=5120 cargo test --test it -- streaming` sends 5 GiB each way instead of the usual one.

mod http2;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use crate::support::{Browser, Setup, World, read_until, serve_each, within};

/// What fills buffers and the allocator's pools before memory is looked at: how far it grows with a body is the question.
const WARM_UP: u64 = 16 << 20;

/// More than this a gateway that passes bytes on does not need.
const EXTRA: u64 = 8 << 20;

/// So many connections at a time, each of which takes about 10 KiB.
const CROWD: usize = 1000;

/// How much is sent, in MiB.
const USUAL: &str = "1024";
/// No step of these tests takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

fn size() -> u64 {
    let mebibytes = option_env!("CLOAKROOM_STREAM_MIB").unwrap_or(USUAL);
    mebibytes.parse::<u64>().expect("CLOAKROOM_STREAM_MIB is a number of MiB") << 20
}

/// An API that takes and gives as much as it is told to, and says when something happens to its streams.
struct Api {
    port: u16,
    moments: Receiver<Instant>,
}

impl Api {
    fn start() -> Self {
        let (port, moments) = serve_each(serve);
        Self { port, moments }
    }

    /// When the next thing happened.
    fn moment(&self) -> Instant {
        self.moments.recv_timeout(PATIENCE).expect("something should happen")
    }
}

fn serve(mut stream: TcpStream, tell: &Sender<Instant>) {
    let mut piece = vec![b'x'; 64 << 10];
    while let Some((head, ahead)) = head(&mut stream) {
        let number = |after: &str| {
            let (_, rest) = head.split_once(after)?;
            rest.split(|symbol: char| !symbol.is_ascii_digit()).next()?.parse::<u64>().ok()
        };
        let say = |stream: &mut TcpStream, text: &str| stream.write_all(text.as_bytes()).is_ok();
        if head.starts_with("PUT /api/up ") {
            let mut left = number("content-length: ").expect("a length") - ahead.len() as u64;
            while left > 0 {
                let Ok(count @ 1..) = stream.read(&mut piece) else {
                    let _ = tell.send(Instant::now());
                    return;
                };
                left -= count as u64;
            }
            say(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntaken");
        } else if head.starts_with("GET /api/down/") {
            let size = number("/down/").expect("a size");
            say(&mut stream, &format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"));
            piece.fill(b'x');
            for _ in 0..size / piece.len() as u64 {
                if stream.write_all(&piece).is_err() {
                    return;
                }
            }
        } else {
            say(
                &mut stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
            );
            std::thread::sleep(Duration::from_millis(100));
            let _ = tell.send(Instant::now());
            say(&mut stream, "d\r\ndata: first\n\n\r\n");
            if head.starts_with("GET /api/endless ") {
                while say(&mut stream, &format!("1000\r\n{}\r\n", "data: x\n".repeat(512))) {}
            } else {
                let _ = stream.read(&mut piece);
            }
            let _ = tell.send(Instant::now());
            return;
        }
    }
}

/// The next head, and what came along with it.
fn head(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let ahead = bytes.split_off(end + 4);
            return Some((String::from_utf8_lossy(&bytes).into_owned(), ahead));
        }
        match stream.read(&mut piece) {
            Ok(count @ 1..) => bytes.extend_from_slice(&piece[..count]),
            _ => return None,
        }
    }
}

fn stage() -> (World, Api, Browser) {
    let api = Api::start();
    let mut setup = Setup::one_site();
    setup.sites[0].routes =
        vec![vec!["path = \"/api\"".into(), format!("upstream = \"http://127.0.0.1:{}\"", api.port)]];
    // One worker, so that the first call is the whole process' first.
    setup.server[0] = "workers = 1".into();
    let world = World::of(setup);
    let browser = world.signed_in();
    (world, api, browser)
}

/// A connection that has asked for `target`, with `lines` among the headers.
fn ask(world: &World, browser: &Browser, method: &str, target: &str, lines: &[(&str, String)]) -> TcpStream {
    let request = world.own_request(browser, method, target);
    let request = lines.iter().fold(request, |request, (name, value)| request.header(name, value));
    let mut stream = TcpStream::connect(("127.0.0.1", world.gateway.port)).expect("the gateway listens");
    stream.set_nodelay(true).expect("a socket option");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(&request.bytes()).expect("the request can be written");
    stream
}

/// How much more memory than before the gateway has at the most while `work` runs.
fn growth(world: &World, work: impl FnOnce()) -> u64 {
    let process = &world.gateway.process;
    let (before, most, done) = (process.memory(), AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                most.fetch_max(process.memory(), Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        work();
        done.store(true, Ordering::SeqCst);
    });
    most.into_inner().saturating_sub(before)
}

fn upload(world: &World, browser: &Browser, size: u64) {
    let mut stream = ask(world, browser, "PUT", "/api/up", &[("content-length", size.to_string())]);
    let piece = vec![b'x'; 64 << 10];
    for _ in 0..size / piece.len() as u64 {
        stream.write_all(&piece).expect("the gateway takes the body");
    }
    read_until(&mut stream, b"\r\n\r\ntaken");
}

fn download(world: &World, browser: &Browser, size: u64) {
    let mut stream = ask(world, browser, "GET", &format!("/api/down/{size}"), &[("connection", "close".into())]);
    let head = read_until(&mut stream, b"\r\n\r\n");
    let end = head.windows(4).position(|window| window == b"\r\n\r\n").expect("it ends") + 4;
    let (mut seen, mut piece) = ((head.len() - end) as u64, vec![0; 64 << 10]);
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        seen += count as u64;
    }
    assert_eq!(seen, size);
}

#[test]
fn a_large_upload_passes_through_little_memory() {
    let (world, _api, browser) = stage();
    upload(&world, &browser, WARM_UP);
    let extra = growth(&world, || upload(&world, &browser, size()));
    assert!(extra < EXTRA, "{} KiB more", extra >> 10);
}

#[test]
fn a_large_download_passes_through_little_memory() {
    let (world, _api, browser) = stage();
    download(&world, &browser, WARM_UP);
    let extra = growth(&world, || download(&world, &browser, size()));
    assert!(extra < EXTRA, "{} KiB more", extra >> 10);
}

#[test]
fn memory_of_connections_that_have_gone_is_given_back_without_further_work() {
    let (world, _api, _) = stage();
    let process = &world.gateway.process;
    let before = process.memory();
    let crowd: Vec<TcpStream> = (0..CROWD)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", world.gateway.port)).expect("the gateway listens");
            stream.write_all(b"GET /nothing HTTP/1.1\r\nhost: nobody\r\n\r\n").expect("the request can be written");
            read_until(&mut stream, b"\r\n\r\n");
            stream
        })
        .collect();
    let taken = process.memory().saturating_sub(before);
    assert!(taken > 4 << 20, "{} KiB for {CROWD} connections", taken >> 10);
    drop(crowd);
    within(PATIENCE, "their memory should go", || (process.memory() < before + taken / 2).then_some(()));
}

#[test]
fn an_endless_stream_waits_for_its_slow_reader() {
    let (world, api, browser) = stage();
    download(&world, &browser, WARM_UP);
    let mut reader = None;
    let extra = growth(&world, || {
        let mut stream = ask(&world, &browser, "GET", "/api/endless", &[]);
        read_until(&mut stream, b"data: first");
        // The sockets' own buffers fill meanwhile, and so would a gateway's that has no bound.
        std::thread::sleep(Duration::from_secs(2));
        reader = Some(stream);
    });
    assert!(extra < EXTRA, "{} KiB more", extra >> 10);
    api.moment();
    drop(reader);
    api.moment();
}

/// The shortest of a few: what a busy machine adds is not the gateway's.
fn shortest(mut measured: impl FnMut() -> Duration) -> Duration {
    (0..5).map(|_| measured()).min().expect("a few")
}

#[test]
fn the_first_event_is_there_at_once_and_whoever_leaves_is_not_waited_for() {
    let (world, api, browser) = stage();
    let mut gone = Vec::new();
    let first = shortest(|| {
        let mut stream = ask(&world, &browser, "GET", "/api/events", &[]);
        read_until(&mut stream, b"data: first");
        let waited = api.moment().elapsed();
        let left = Instant::now();
        drop(stream);
        gone.push(api.moment().duration_since(left));
        waited
    });
    assert!(first < Duration::from_millis(50), "{first:?}");
    let gone = gone.into_iter().min().expect("a few");
    assert!(gone < Duration::from_millis(100), "{gone:?}");
}

#[test]
fn an_upload_that_is_cut_off_ends_at_the_upstream_too() {
    let (world, api, browser) = stage();
    let mut stream = ask(&world, &browser, "PUT", "/api/up", &[("content-length", size().to_string())]);
    stream.write_all(&vec![b'x'; 4 << 20]).expect("the gateway takes the body");
    drop(stream);
    api.moment();
    upload(&world, &browser, WARM_UP);
}
