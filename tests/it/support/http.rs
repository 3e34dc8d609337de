//! A small HTTP/1.1 client whose bytes are exact: nothing is normalised, added or hidden.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::PATIENCE;

/// A request as it will be written.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Request {
    /// A request for `target`, the exact bytes of the request line.
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.into(), target: target.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// Adds one header line.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// The bytes on the wire; `Connection: close` and `Content-Length` are filled in where nothing else is said.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if !self.has("connection") {
            bytes.extend_from_slice(b"connection: close\r\n");
        }
        let bodied = !self.body.is_empty() || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH");
        if bodied && !self.has("content-length") && !self.has("transfer-encoding") {
            bytes.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// A response, its head as it came.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub head: Vec<u8>,
}

impl Response {
    /// The one value of a header; twice the same header fails the test.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} came {} times: {all:?}", all.len());
        all.first().copied()
    }

    /// Every value of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in the answer {} {:?}", self.status, self.text()))
    }

    /// The reason word of the gateway's own refusals.
    pub fn reason(&self) -> &str {
        self.header("x-bff-reason").unwrap_or("")
    }

    /// Fails unless this is the gateway's refusal with this status and reason, in its JSON form.
    #[track_caller]
    pub fn refuses(&self, status: u16, reason: &str) {
        assert_eq!((self.status, self.reason()), (status, reason), "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["reason"], reason);
        assert!(problem["request_id"].as_str().is_some_and(|id| !id.is_empty()), "no request_id in {problem}");
        assert!(problem["title"].is_string() && problem["type"].is_string(), "{problem}");
    }

    pub fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("no location in {} {}", self.status, self.text()))
    }
}

/// What a URL answered.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub url: String,
    pub response: Response,
}

/// Sends a request to a loopback port.
#[track_caller]
pub fn send(port: u16, request: &Request) -> Response {
    try_send(port, request).unwrap_or_else(|error| panic!("{} {}: {error}", request.method, request.target))
}

/// The same, where a refused or broken connection is an answer too.
pub fn try_send(port: u16, request: &Request) -> std::io::Result<Response> {
    let stream = connect(port)?;
    (&stream).write_all(&request.bytes())?;
    read_response(stream, &request.method)
}

/// The same of an answer that may take as long as `limit`.
pub fn send_within(limit: std::time::Duration, port: u16, request: &Request) -> Response {
    let stream = connect(port).expect("the port accepts connections");
    stream.set_read_timeout(Some(limit)).expect("a socket takes a limit");
    (&stream).write_all(&request.bytes()).expect("the request can be written");
    read_response(stream, &request.method).expect("an answer in time")
}

/// Sends bytes and returns every byte that comes back before the connection ends.
pub fn send_raw(port: u16, bytes: &[u8]) -> Vec<u8> {
    let stream = connect(port).expect("the port accepts connections");
    // The other side may refuse and close while we still write.
    let _ = (&stream).write_all(bytes);
    let mut answer = Vec::new();
    let _ = (&stream).read_to_end(&mut answer);
    answer
}

/// An answer that is still coming.
pub struct Streaming {
    pub head: Response,
    stream: TcpStream,
    kept: Vec<u8>,
}

impl Streaming {
    /// Sends a request and waits for the head only.
    pub fn open(port: u16, request: &Request) -> Self {
        let stream = connect(port).expect("the port accepts connections");
        (&stream).write_all(&request.bytes()).expect("the request can be written");
        let (head, kept) = read_head(&stream).expect("a response head");
        Self { head, stream, kept }
    }

    /// Waits until `needle` has arrived in the (still framed) body.
    pub fn wait_for(&mut self, needle: &str) {
        let mut chunk = [0; 4096];
        while !super::contains(&self.kept, needle.as_bytes()) {
            let count = self.stream.read(&mut chunk).expect("the stream goes on");
            assert!(count > 0, "the stream ended before {needle:?}: {:?}", String::from_utf8_lossy(&self.kept));
            self.kept.extend_from_slice(&chunk[..count]);
        }
    }

    /// Reads to the end; what came in all, still framed.
    pub fn finish(mut self) -> Vec<u8> {
        let _ = self.stream.read_to_end(&mut self.kept);
        self.kept
    }
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn read_response(stream: TcpStream, method: &str) -> std::io::Result<Response> {
    let (mut response, rest) = read_head(&stream)?;
    if method == "HEAD" || matches!(response.status, 204 | 304) {
        return Ok(response);
    }
    let mut source = rest.as_slice().chain(&stream);
    if response.all("transfer-encoding").iter().any(|coding| coding.eq_ignore_ascii_case("chunked")) {
        response.body = read_chunked(&mut source)?;
    } else if let Some(length) = response.header("content-length") {
        let length = length.parse().map_err(|_| broken("content-length is no number"))?;
        response.body = vec![0; length];
        source.read_exact(&mut response.body)?;
    } else {
        source.read_to_end(&mut response.body)?;
    }
    Ok(response)
}

fn read_head(mut stream: &TcpStream) -> std::io::Result<(Response, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        match stream.read(&mut chunk)? {
            0 => return Err(broken("the connection ended before the response head")),
            count => bytes.extend_from_slice(&chunk[..count]),
        }
    };
    let rest = bytes.split_off(end + 4);
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.into(), value.trim().into()));
    let headers = headers.collect();
    let status = status.ok_or_else(|| broken("no status line"))?;
    Ok((Response { status, headers, body: Vec::new(), head: bytes }, rest))
}

fn read_chunked(source: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(source)?;
        let size = line.split(';').next().and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let size = size.ok_or_else(|| broken("a chunk without a size"))?;
        let mut chunk = vec![0; size];
        source.read_exact(&mut chunk)?;
        body.extend_from_slice(&chunk);
        read_line(source)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn read_line(source: &mut impl Read) -> std::io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while source.read(&mut byte)? == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn broken(why: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, why)
}
