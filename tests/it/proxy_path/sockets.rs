//! Both ends, byte for byte: an upstream that records what it gets, and a client that writes what it is told.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// No step of a test takes longer; what blocks is a failure.
const PATIENCE: Duration = Duration::from_secs(5);

/// One connection, from either end.
pub(super) struct Connection {
    stream: TcpStream,
    ahead: Vec<u8>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).expect("the server listens"))
    }

    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, ahead: Vec::new() }
    }

    /// Writes; a peer that is gone is the reader's to notice.
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Whether all of this can be written before nothing has moved for `limit`.
    pub(super) fn send_within(&mut self, bytes: &[u8], limit: Duration) -> bool {
        self.stream.set_write_timeout(Some(limit)).expect("a timeout");
        self.send(bytes)
    }

    /// A request with the proof that session routes ask for.
    pub(super) fn ask(&mut self, line: &str, headers: &str) {
        self.send(format!(
            "{line} HTTP/1.1\r\nHost: one.localhost:8080\r\nSec-Fetch-Site: same-origin\r\n{headers}\r\n"
        ));
    }

    fn fill(&mut self) -> bool {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => false,
            Ok(count) => {
                self.ahead.extend_from_slice(&piece[..count]);
                true
            }
            Err(error) => {
                assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "nothing came");
                false
            }
        }
    }

    /// The next message's head, bytes as Latin-1 text; empty when the connection ends instead.
    pub(super) fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                return self.ahead.drain(..end + 4).map(char::from).collect();
            }
            if !self.fill() {
                return String::new();
            }
        }
    }

    /// So many bytes.
    pub(super) fn bytes(&mut self, count: usize) -> String {
        while self.ahead.len() < count {
            assert!(self.fill(), "the connection ended after {:?}", String::from_utf8_lossy(&self.ahead));
        }
        self.ahead.drain(..count).map(char::from).collect()
    }

    /// Everything up to the end of the connection.
    pub(super) fn rest(&mut self) -> String {
        while self.fill() {}
        self.ahead.drain(..).map(char::from).collect()
    }

    pub(super) fn close(self) {
        self.stream.shutdown(Shutdown::Both).expect("an open connection");
    }
}

/// An upstream that hands each connection, with its number, to a script of the test.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    pub(super) fn start(script: impl Fn(usize, &mut Recorded) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (recorded, script) = (Arc::clone(&heads), Arc::new(script));
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let connection = Connection::new(stream.expect("a connection"));
                let mut recorded = Recorded { connection, heads: Arc::clone(&recorded) };
                let script = Arc::clone(&script);
                std::thread::spawn(move || script(number, &mut recorded));
            }
        });
        Self { address, heads }
    }

    /// One that always gives the same answer to requests without a body.
    pub(super) fn answering(answer: &'static str) -> Self {
        Self::start(move |_, connection| {
            while !connection.request().is_empty() {
                connection.connection.send(answer);
            }
        })
    }

    /// The heads of all requests so far.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no script panics while it records").clone()
    }

    /// The one request so far.
    pub(super) fn only(&self) -> String {
        let heads = self.heads();
        assert_eq!(heads.len(), 1, "{heads:?}");
        heads[0].clone()
    }
}

/// An upstream's connection, whose request heads are recorded.
pub(super) struct Recorded {
    pub(super) connection: Connection,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Recorded {
    /// Where the client has connected to.
    pub(super) fn address(&self) -> SocketAddr {
        self.connection.stream.local_addr().expect("it is bound")
    }

    /// The next request's head; empty at the end of the connection.
    pub(super) fn request(&mut self) -> String {
        self.connection.stream.set_read_timeout(Some(6 * PATIENCE)).expect("a timeout");
        let head = self.connection.head();
        self.connection.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        if !head.is_empty() {
            self.heads.lock().expect("no script panics while it records").push(head.clone());
        }
        head
    }
}

/// The status of a response head.
pub(super) fn status(head: &str) -> &str {
    head.get(9..12).unwrap_or("none")
}

/// All values of a header.
pub(super) fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}
