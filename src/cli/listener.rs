//! Asks the admin listener of a running gateway: one HTTP/1.0 request, as small as it can be.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::secret::AdminToken;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(3);

/// The longest answer that is read.
const LONGEST: u64 = 16 * 1024 * 1024;

/// One request.
pub(super) struct Question<'a> {
    pub(super) method: &'static str,
    /// Path and query.
    pub(super) target: &'a str,
    pub(super) token: Option<&'a AdminToken>,
    /// A body of JSON, if there is one.
    pub(super) body: &'a str,
    /// How long the answer may take.
    pub(super) patience: Duration,
}

/// The status and the body of the answer.
pub(super) fn ask(address: SocketAddr, question: &Question<'_>) -> io::Result<(u16, String)> {
    let address = reachable(address);
    let mut stream = TcpStream::connect_timeout(&address, CONNECT)?;
    stream.set_read_timeout(Some(question.patience))?;
    let mut request = format!("{} {} HTTP/1.0\r\nHost: {address}\r\n", question.method, question.target);
    if let Some(token) = question.token {
        request.push_str(&format!("Authorization: Bearer {}\r\n", token.expose()));
    }
    if !question.body.is_empty() {
        let length = question.body.len();
        request.push_str(&format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"));
    }
    stream.write_all(format!("{request}\r\n{}", question.body).as_bytes())?;
    let mut answer = String::new();
    stream.take(LONGEST).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(not_http)?;
    let status = head.strip_prefix("HTTP/").and_then(|line| line.split(' ').nth(1)?.parse().ok());
    Ok((status.ok_or_else(not_http)?, body.to_owned()))
}

fn not_http() -> io::Error {
    io::Error::other("this is not HTTP")
}

/// An address that is listened on everywhere is reached on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
