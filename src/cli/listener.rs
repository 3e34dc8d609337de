//! Asks the admin listener of a running gateway: one HTTP/1.0 request, as small as it can be.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::secret::AdminToken;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(3);

/// The longest answer that is read, in bytes.
const LONGEST: usize = 16 * 1024 * 1024;

/// How much of it is read at once.
const PIECE: usize = 16 * 1024;

/// One request.
pub(super) struct Question<'a> {
    pub(super) method: &'static str,
    /// Path and query.
    pub(super) target: &'a str,
    pub(super) token: Option<&'a AdminToken>,
    /// A body of JSON, if there is one.
    pub(super) body: &'a str,
    /// How long everything may take, from the connection to the end of the answer.
    pub(super) patience: Duration,
}

/// The status and the body of the answer, which must be complete.
pub(super) fn ask(address: SocketAddr, question: &Question<'_>) -> io::Result<(u16, String)> {
    let end = Instant::now() + question.patience;
    let address = reachable(address);
    let mut stream = TcpStream::connect_timeout(&address, CONNECT.min(question.patience))?;
    let mut request = format!("{} {} HTTP/1.0\r\nHost: {address}\r\n", question.method, question.target);
    if let Some(token) = question.token {
        request.push_str(&format!("Authorization: Bearer {}\r\n", token.expose()));
    }
    if !question.body.is_empty() {
        let length = question.body.len();
        request.push_str(&format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"));
    }
    stream.set_write_timeout(Some(question.patience))?;
    stream.write_all(format!("{request}\r\n{}", question.body).as_bytes())?;
    let answer = read(&mut stream, end).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            io::Error::other(format!("no whole answer within {} s", question.patience.as_secs()))
        }
        _ => error,
    })?;
    understand(&answer)
}

/// Everything until the other side closes, or until `end`.
fn read(stream: &mut TcpStream, end: Instant) -> io::Result<Vec<u8>> {
    let (mut answer, mut piece) = (Vec::new(), vec![0; PIECE]);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece) {
            Ok(0) => return Ok(answer),
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if answer.len() > LONGEST {
            return Err(io::Error::other("the answer is too long"));
        }
    }
}

fn understand(answer: &[u8]) -> io::Result<(u16, String)> {
    let answer = std::str::from_utf8(answer).map_err(|_| not_http())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(not_http)?;
    let status = head.strip_prefix("HTTP/").and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let mut lengths = head.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| is_length(name));
    let whole = |(_, length): (&str, &str)| length.trim().parse().is_ok_and(|length: usize| length == body.len());
    if !lengths.all(whole) {
        return Err(io::Error::other("the answer is not as long as it says"));
    }
    Ok((status.ok_or_else(not_http)?, body.to_owned()))
}

const fn is_length(name: &str) -> bool {
    name.eq_ignore_ascii_case("content-length")
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
