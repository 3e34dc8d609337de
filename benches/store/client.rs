//! Callers on connections that stay open, and logins as short as they can be.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A `Cookie` header's value.
pub(crate) type Session = Arc<str>;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    head: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.all(name).into_iter().next()
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }
}

/// One connection to a gateway; made anew when it breaks.
pub(crate) struct Caller {
    port: u16,
    stream: Option<TcpStream>,
    bytes: Vec<u8>,
}

impl Caller {
    pub(crate) fn new(port: u16) -> Self {
        Self { port, stream: None, bytes: Vec::new() }
    }

    pub(crate) async fn get(&mut self, target: &str, session: Option<&Session>) -> Answer {
        self.send(target, session.map(|session| &**session), "sec-fetch-site: same-origin").await
    }

    async fn navigate(&mut self, target: &str, cookies: Option<&str>) -> Answer {
        let words = "accept: text/html\r\nsec-fetch-site: none\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: document";
        self.send(target, cookies, words).await
    }

    async fn send(&mut self, target: &str, cookies: Option<&str>, words: &str) -> Answer {
        let cookie = cookies.map(|cookies| format!("cookie: {cookies}\r\n")).unwrap_or_default();
        let request = format!("GET {target} HTTP/1.1\r\nhost: {}\r\n{words}\r\n{cookie}\r\n", authority(self.port));
        if self.stream.is_none() {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("the gateway listens");
            stream.set_nodelay(true).expect("a socket option");
            self.stream = Some(stream);
        }
        let stream = self.stream.as_mut().expect("just connected");
        stream.write_all(request.as_bytes()).await.expect("the request can be written");
        self.bytes.clear();
        let mut chunk = [0; 8192];
        loop {
            if let Some((answer, end)) = read(&self.bytes) {
                assert!(end == self.bytes.len(), "one answer for one request");
                if answer.header("connection").is_some_and(|word| word.eq_ignore_ascii_case("close")) {
                    self.stream = None;
                }
                return answer;
            }
            let count = stream.read(&mut chunk).await.expect("an answer");
            assert!(count > 0, "the connection ended before the answer to {target}");
            self.bytes.extend_from_slice(&chunk[..count]);
        }
    }
}

/// What browsers call the gateway that listens there.
pub(crate) fn authority(port: u16) -> String {
    format!("one.localhost:{port}")
}

/// Logs in at the gateway that listens there; the access token lives for `life` seconds. The provider's own pages are
/// left out.
pub(crate) async fn log_in(port: u16, life: u64) -> Session {
    let mut browser = Caller::new(port);
    let begun = browser.navigate("/bff/login", None).await;
    let location = begun.header("location").unwrap_or_else(|| panic!("no login: {}", begun.head)).to_owned();
    assert!(location.contains("/authorize?"), "{location}");
    let parameter = |name: &str| {
        let query = location.split_once('?').expect("an authorization URL has a query").1;
        let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("no {name} in {location}")).to_owned()
    };
    let attempt = pair(begun.header("set-cookie").expect("a login cookie"));
    let back = format!("/bff/callback?code={life}.{}&state={}", parameter("nonce"), parameter("state"));
    let done = browser.navigate(&back, Some(&attempt)).await;
    let mut cookies = done.all("set-cookie").into_iter().map(pair);
    let session = cookies.find(|pair| !pair.contains("-login-") && !pair.ends_with('='));
    session.unwrap_or_else(|| panic!("no session: {}", done.head)).into()
}

/// `name=value` of a `Set-Cookie`.
fn pair(line: &str) -> String {
    line.split(';').next().unwrap_or_default().to_owned()
}

fn read(bytes: &[u8]) -> Option<(Answer, usize)> {
    let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "chunked answers are not read here: {head}");
    let end = head_end + 4 + content_length(&head);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    let body = String::from_utf8_lossy(bytes.get(head_end + 4..end)?).into_owned();
    Some((Answer { status, body, head }, end))
}

pub(crate) fn content_length(head: &str) -> usize {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths.next().and_then(|(_, length)| length.trim().parse().ok()).unwrap_or(0)
}
