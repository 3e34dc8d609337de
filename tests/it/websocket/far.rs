//! The upstream's end: speaks frames (RFC 6455), and does what the path asks for.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::near::{Frame, read_frame};

/// One connection as the upstream saw it.
#[derive(Clone, Debug, Default)]
pub(super) struct Visit {
    /// The request's head.
    pub(super) head: String,
    /// What came before its answer.
    pub(super) early: Vec<u8>,
    /// How many bytes of frames came.
    pub(super) frames: usize,
    /// Whether the other side has ended it.
    pub(super) over: bool,
}

impl Visit {
    /// Every value of a header.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

#[derive(Clone)]
pub(super) struct Far {
    pub(super) port: u16,
    visits: Arc<Mutex<Vec<Visit>>>,
}

impl Far {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let far = Self { port: listener.local_addr().expect("it is bound").port(), visits: Arc::default() };
        let accepting = far.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let far = accepting.clone();
                std::thread::spawn(move || far.serve(stream));
            }
        });
        far
    }

    pub(super) fn visits(&self) -> Vec<Visit> {
        self.visits.lock().expect("recording does not panic").clone()
    }

    fn note(&self, index: usize, change: impl FnOnce(&mut Visit)) {
        change(&mut self.visits.lock().expect("recording does not panic")[index]);
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).unwrap_or(0) == 0 {
                return;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let index = {
            let mut visits = self.visits.lock().expect("recording does not panic");
            visits.push(Visit { head, ..Visit::default() });
            visits.len() - 1
        };
        self.act(&path, &mut stream, index);
        self.note(index, |visit| visit.over = true);
    }

    fn act(&self, path: &str, stream: &mut TcpStream, index: usize) {
        let protocol = self.visits()[index].all("sec-websocket-protocol").first().map(|list| {
            format!("Sec-WebSocket-Protocol: {}\r\n", list.split(',').next_back().unwrap_or_default().trim())
        });
        let opening = format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nconnection: Upgrade, X-Inner\r\nX-Inner: secret\r\n\
             Set-Cookie: evil=1\r\nServer: inner\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{}\r\n",
            protocol.unwrap_or_default()
        );
        let open = |stream: &mut TcpStream| stream.write_all(opening.as_bytes()).expect("the gateway listens");
        match path.rsplit('/').next().unwrap_or_default() {
            "refuse" => {
                let body = "no sockets here";
                let answer = format!("HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).expect("the gateway listens");
                let _ = stream.read(&mut [0]);
            }
            "late" => {
                stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a socket takes a limit");
                let mut early = [0; 64];
                let count = stream.read(&mut early).unwrap_or(0);
                self.note(index, |visit| visit.early = early[..count].to_vec());
                stream.set_read_timeout(None).expect("a socket takes a limit");
                open(stream);
                self.echo(stream, index);
            }
            "push" => {
                let together = [opening.as_bytes(), &Frame::new(0x81, b"at once").bytes(false)].concat();
                stream.write_all(&together).expect("the gateway listens");
                self.echo(stream, index);
            }
            "die" => {
                open(stream);
                let _ = stream.write_all(&Frame::new(0x81, b"last words").bytes(false));
                let _ = stream.shutdown(Shutdown::Both);
            }
            "other" => {
                let _ = stream
                    .write_all(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n");
            }
            "fragments" => {
                open(stream);
                let mut first = 0x02;
                while stream.write_all(&Frame::new(first, &[7; 70_000]).bytes(false)).is_ok() {
                    first = 0x00;
                }
            }
            "stuck" => {
                open(stream);
                let endless = [0x82, 127, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3];
                let _ = stream.write_all(&endless);
                let _ = stream.read(&mut [0]);
            }
            _ => {
                open(stream);
                self.echo(stream, index);
            }
        }
    }

    /// Sends every message back, answers pings and a close.
    fn echo(&self, stream: &mut TcpStream, index: usize) {
        while let Some(frame) = read_frame(stream) {
            self.note(index, |visit| visit.frames += 1);
            let first = if frame.first & 0x0f == 0x9 { 0x8a } else { frame.first };
            if stream.write_all(&Frame::new(first, &frame.payload).bytes(false)).is_err() || first & 0x0f == 0x8 {
                return;
            }
        }
    }
}
