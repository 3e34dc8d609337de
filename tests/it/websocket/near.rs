//! The browser's end: a handshake as browsers send it, and masked frames.

use std::io::{Read, Write as _};
use std::net::TcpStream;

use crate::support::{Browser, PATIENCE, Request, World};

/// The nonce of RFC 6455 §1.3.
pub(super) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// FIN, RSV and opcode.
    pub(super) first: u8,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    pub(super) fn new(first: u8, payload: &[u8]) -> Self {
        Self { first, payload: payload.to_vec() }
    }

    pub(super) fn text(text: &str) -> Self {
        Self::new(0x81, text.as_bytes())
    }

    pub(super) fn bytes(&self, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let length = self.payload.len();
        let mut bytes = vec![self.first];
        match length {
            0..126 => bytes.push(mask | length as u8),
            126..65_536 => {
                bytes.push(mask | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(mask | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        if masked {
            let key = [0x37, 0xfa, 0x21, 0x3d];
            bytes.extend(key);
            bytes.extend(self.payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        } else {
            bytes.extend_from_slice(&self.payload);
        }
        bytes
    }

    /// Code and reason of a Close frame.
    pub(super) fn close(&self) -> (u16, String) {
        assert_eq!(self.first, 0x88, "a Close frame: {:?}", self.payload.get(..20));
        let code = u16::from_be_bytes([self.payload[0], self.payload[1]]);
        (code, String::from_utf8_lossy(&self.payload[2..]).into_owned())
    }
}

/// One frame, unmasked; `None` at the end.
pub(super) fn read_frame(stream: &mut impl Read) -> Option<Frame> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).ok()?;
    let length = match head[1] & 0x7f {
        126 => {
            let mut length = [0; 2];
            stream.read_exact(&mut length).ok()?;
            u64::from(u16::from_be_bytes(length))
        }
        127 => {
            let mut length = [0; 8];
            stream.read_exact(&mut length).ok()?;
            u64::from_be_bytes(length)
        }
        short => u64::from(short),
    };
    let mut key = [0; 4];
    if head[1] & 0x80 != 0 {
        stream.read_exact(&mut key).ok()?;
    }
    let mut payload = vec![0; usize::try_from(length).ok()?];
    stream.read_exact(&mut payload).ok()?;
    for (byte, key) in payload.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
    Some(Frame { first: head[0], payload })
}

/// An open WebSocket.
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    /// The head of the 101.
    pub(super) head: String,
}

/// The handshake of a page of the first site.
pub(super) fn handshake(world: &World, browser: &Browser, target: &str) -> Request {
    let request = world.request("GET", target);
    let cookies = browser.cookie_header(&world.one());
    let request = if cookies.is_empty() { request } else { request.header("Cookie", cookies) };
    request
        .header("Origin", world.one())
        .header("Connection", "keep-alive, Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", KEY)
        .header("Sec-Fetch-Mode", "websocket")
        .header("Sec-Fetch-Dest", "websocket")
        .header("Sec-Fetch-Site", "same-site")
}

impl Socket {
    #[track_caller]
    pub(super) fn open(world: &World, browser: &Browser, target: &str) -> Self {
        Self::begin(world.gateway.port, &handshake(world, browser, target).bytes())
    }

    #[track_caller]
    pub(super) fn begin(port: u16, request: &[u8]) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the gateway listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a limit");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket takes a limit");
        stream.set_nodelay(true).expect("a socket takes an option");
        stream.write_all(request).expect("the gateway reads");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        Self { stream, head }
    }

    pub(super) fn send(&mut self, frame: &Frame) {
        self.stream.write_all(&frame.bytes(true)).expect("the gateway reads");
    }

    #[track_caller]
    pub(super) fn receive(&mut self) -> Frame {
        read_frame(&mut self.stream).expect("a frame")
    }

    /// Whatever still comes until the end.
    pub(super) fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
        rest
    }
}
