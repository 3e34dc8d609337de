//! An API that records what it is asked, byte for byte, and answers what the test tells it to.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Recorded {
    /// Every value of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The one value of a header.
    #[track_caller]
    pub fn one(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name} should come once: {:?}", self.headers);
        all[0]
    }

    /// The bearer token; there must be exactly one.
    #[track_caller]
    pub fn bearer(&self) -> &str {
        self.one("authorization").strip_prefix("Bearer ").expect("a bearer")
    }
}

/// What the upstream does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A whole response, its bytes as given.
    Raw(Vec<u8>),
    /// The same after a while.
    After(Duration, Vec<u8>),
    /// Chunks with a pause after each.
    Chunks(&'static str, Vec<&'static str>, Duration),
    /// No answer until the other side gives up.
    Hang,
    /// The connection is closed without an answer.
    Close,
}

impl Reply {
    /// 200 with a JSON body.
    pub fn json(body: &str) -> Self {
        Self::with("200 OK", "content-type: application/json\r\n", body)
    }

    /// A response with further header lines, each ended by CRLF.
    pub fn with(status: &str, headers: &str, body: &str) -> Self {
        Self::Raw(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes())
    }
}

type Script = dyn Fn(&Recorded) -> Reply + Send + Sync;

struct Shared {
    requests: Mutex<Vec<Recorded>>,
    script: Mutex<Arc<Script>>,
    given_up: AtomicUsize,
}

/// A running upstream; its threads end with the process.
#[derive(Clone)]
pub struct Upstream {
    port: u16,
    shared: Arc<Shared>,
}

impl Upstream {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            script: Mutex::new(Arc::new(|_| Reply::json(r#"{"hello":"from the api"}"#))),
            given_up: AtomicUsize::new(0),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { port, shared }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on every request is answered by `script`.
    pub fn answers(&self, script: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) {
        *self.shared.script.lock().expect("scripts do not panic") = Arc::new(script);
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.requests.lock().expect("recording does not panic").clone()
    }

    /// The latest request.
    #[track_caller]
    pub fn last(&self) -> Recorded {
        self.requests().pop().expect("the upstream was asked")
    }

    /// How many requests came so far.
    pub fn count(&self) -> usize {
        self.requests().len()
    }

    /// How many hanging requests were given up by the other side.
    pub fn given_up(&self) -> usize {
        self.shared.given_up.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) {
    let mut bytes = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut bytes) {
        shared.requests.lock().expect("recording does not panic").push(request.clone());
        let script = Arc::clone(&shared.script.lock().expect("scripts do not panic"));
        match script(&request) {
            Reply::Raw(answer) => drop(stream.write_all(&answer)),
            Reply::After(pause, answer) => {
                std::thread::sleep(pause);
                drop(stream.write_all(&answer));
            }
            Reply::Chunks(headers, chunks, pause) => stream_chunks(&mut stream, headers, &chunks, pause, shared),
            Reply::Hang => {
                let _ = stream.read(&mut [0; 1]);
                shared.given_up.fetch_add(1, Ordering::SeqCst);
                return;
            }
            Reply::Close => {
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
        }
        if request.all("connection").iter().any(|word| word.eq_ignore_ascii_case("close")) {
            return;
        }
    }
}

fn stream_chunks(stream: &mut TcpStream, headers: &str, chunks: &[&str], pause: Duration, shared: &Shared) {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}transfer-encoding: chunked\r\n\r\n");
    let mut written = stream.write_all(head.as_bytes());
    for chunk in chunks {
        written = written.and_then(|()| write!(stream, "{:x}\r\n{chunk}\r\n", chunk.len()));
        if written.is_err() {
            break;
        }
        std::thread::sleep(pause);
    }
    if written.and_then(|()| stream.write_all(b"0\r\n\r\n")).is_err() {
        shared.given_up.fetch_add(1, Ordering::SeqCst);
    }
}

fn read_request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Recorded> {
    let end = loop {
        match bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(end) => break end,
            None => more(stream, bytes)?,
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    bytes.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.into(), value.trim().into()));
    let mut request = Recorded { method, target, headers: headers.collect(), body: Vec::new() };
    if let Some(length) = request.all("content-length").first().and_then(|length| length.parse().ok()) {
        request.body = take(stream, bytes, length)?;
    } else if !request.all("transfer-encoding").is_empty() {
        loop {
            let line = take_line(stream, bytes)?;
            let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
            request.body.extend(take(stream, bytes, size)?);
            take_line(stream, bytes)?;
            if size == 0 {
                break;
            }
        }
    }
    Some(request)
}

fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 65_536];
    let count = stream.read(&mut chunk).ok().filter(|count| *count > 0)?;
    bytes.extend_from_slice(&chunk[..count]);
    Some(())
}

fn take(stream: &mut TcpStream, bytes: &mut Vec<u8>, length: usize) -> Option<Vec<u8>> {
    while bytes.len() < length {
        more(stream, bytes)?;
    }
    Some(bytes.drain(..length).collect())
}

fn take_line(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") {
            let line = take(stream, bytes, end + 2)?;
            return Some(String::from_utf8_lossy(&line[..end]).into_owned());
        }
        more(stream, bytes)?;
    }
}
