//! An upstream that speaks HTTP/2 frame by frame, as a script of the test wants it, be that against all rules.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cloakroom::config::{RouteConfig, TlsFiles};
use rustls::{ServerConnection, StreamOwned};
use tempfile::TempDir;

use crate::proxy_path::gateway::route;
use crate::support::Pair;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;

pub(super) const NO_ERROR: u32 = 0;
pub(super) const INTERNAL_ERROR: u32 = 2;
pub(super) const REFUSED_STREAM: u32 = 7;
pub(super) const CANCEL: u32 = 8;

/// One frame (RFC 9113 §4.1).
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

/// The upstream's end of one connection.
pub(super) struct Peer {
    stream: StreamOwned<ServerConnection, TcpStream>,
    calls: Arc<AtomicUsize>,
    /// How much a stream may carry before its window is opened, as the client's hello says.
    window: usize,
}

/// An upstream that hands each connection, with its number, to a script.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    calls: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Upstream {
    pub(super) fn start(script: impl Fn(usize, &mut Peer) + Send + Sync + 'static) -> Self {
        Self::agreeing_on("h2", script)
    }

    /// The same with another protocol in place of HTTP/2.
    pub(super) fn agreeing_on(protocol: &str, script: impl Fn(usize, &mut Peer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (calls, connections) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let mut config = pair().server(None);
        config.alpn_protocols = vec![protocol.into()];
        let (config, script) = (Arc::new(config), Arc::new(script));
        let (counted, opened) = (Arc::clone(&calls), Arc::clone(&connections));
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let number = opened.fetch_add(1, Ordering::SeqCst);
                socket.set_nodelay(true).expect("a socket option");
                socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
                let connection = ServerConnection::new(Arc::clone(&config)).expect("a configuration");
                let stream = StreamOwned::new(connection, socket);
                let mut peer = Peer { stream, calls: Arc::clone(&counted), window: 65_535 };
                let script = Arc::clone(&script);
                std::thread::spawn(move || script(number, &mut peer));
            }
        });
        Self { address, calls, connections }
    }

    /// A route to it.
    pub(super) fn route(&self) -> RouteConfig {
        let mut config = route(self.address);
        config.upstream.url = format!("https://{}", self.address).parse().expect("a URL");
        config.upstream.tls = TlsFiles { ca: Some(pair().cert.clone()), ..TlsFiles::default() };
        config
    }

    /// How many requests have come.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// How many connections have come.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// The certificate that all of them show.
fn pair() -> &'static Pair {
    static PAIR: OnceLock<(Pair, TempDir)> = OnceLock::new();
    let (pair, _) = PAIR.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a temporary directory");
        (Pair::make(dir.path(), "rude", "IP:127.0.0.1"), dir)
    });
    pair
}

impl Peer {
    /// Both sides' hellos (RFC 9113 §3.4), with these settings.
    pub(super) fn hello(&mut self, settings: &[(u16, u32)]) {
        self.greeted();
        self.settings(settings);
    }

    /// The client's hello alone.
    pub(super) fn greeted(&mut self) {
        let mut preface = [0; 24];
        self.stream.read_exact(&mut preface).expect("a preface");
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    }

    pub(super) fn settings(&mut self, settings: &[(u16, u32)]) {
        let pair = |(name, value): &(u16, u32)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
        self.send(SETTINGS, 0, 0, &settings.iter().flat_map(pair).collect::<Vec<u8>>());
    }

    /// Writes a frame; a client that is gone is the reader's to notice.
    pub(super) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
        let frame = [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat();
        self.write(&frame)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).is_ok()
    }

    /// The next frame, whatever it is; none at the end of the connection.
    pub(super) fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of a kind; settings and pings are answered meanwhile, as everyone has to.
    pub(super) fn until(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next()?;
            if frame.flags & ACK == 0 && matches!(frame.kind, SETTINGS | PING) {
                let payload = if frame.kind == PING { &frame.payload[..] } else { &[] };
                self.send(frame.kind, ACK, 0, payload);
            }
            if frame.kind == SETTINGS {
                let mut pairs = frame.payload.chunks(6);
                let window = pairs.find(|pair| pair[..2] == INITIAL_WINDOW_SIZE.to_be_bytes());
                let window = window.map(|pair| u32::from_be_bytes([pair[2], pair[3], pair[4], pair[5]]));
                self.window = window.map_or(self.window, |window| window as usize);
            }
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// The stream of the next request.
    pub(super) fn request(&mut self) -> Option<u32> {
        let frame = self.until(HEADERS)?;
        self.calls.fetch_add(1, Ordering::SeqCst);
        Some(frame.stream)
    }

    /// A head, uncompressed (RFC 7541 §6.2.2).
    pub(super) fn head(&mut self, stream: u32, flags: u8, lines: &[(&str, &str)]) -> bool {
        self.send(HEADERS, flags | END_HEADERS, stream, &block(lines))
    }

    /// A whole answer.
    pub(super) fn answer(&mut self, stream: u32) -> bool {
        self.head(stream, 0, &[(":status", "200"), ("content-length", "2")])
            && self.send(DATA, END_STREAM, stream, b"ok")
    }

    pub(super) fn reset(&mut self, stream: u32, code: u32) -> bool {
        self.send(RST_STREAM, 0, stream, &code.to_be_bytes())
    }

    /// The last stream that was looked at, and why there will be no more.
    pub(super) fn go_away(&mut self, last: u32, code: u32) -> bool {
        self.send(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
    }

    pub(super) fn window(&self) -> usize {
        self.window
    }

    /// Reads until the client closes the connection.
    pub(super) fn rest(&mut self) {
        while self.until(u8::MAX).is_some() {}
    }

    /// Closes the connection.
    pub(super) fn hang_up(&mut self) {
        self.stream.conn.send_close_notify();
        let _ = self.stream.flush();
        let _ = self.stream.sock.shutdown(Shutdown::Both);
    }

    /// A request's head in HTTP/1.1.
    pub(super) fn old_request(&mut self) -> Option<String> {
        let (mut bytes, mut byte) = (Vec::new(), [0]);
        while !bytes.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte).ok()?;
            bytes.push(byte[0]);
        }
        self.calls.fetch_add(1, Ordering::SeqCst);
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Does not read any more, and stays.
    pub(super) fn sleep(&mut self) {
        std::thread::park();
    }
}

/// Fields without compression; names and values are short.
pub(super) fn block(lines: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).expect("short") & 0x7f][..], text.as_bytes()].concat();
    lines.iter().flat_map(|(name, value)| [&[0][..], &text(name), &text(value)].concat()).collect()
}
