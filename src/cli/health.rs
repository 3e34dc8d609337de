//! `cloakroom health`: asks `/readyz` of the admin listener.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use super::{Failed, read, say};
use crate::config::DEFAULT_ADMIN_LISTEN;

const PATIENCE: Duration = Duration::from_secs(3);

/// Succeeds when the gateway says that it is ready.
pub(super) fn ask(files: &[PathBuf]) -> Result<(), Failed> {
    let address = if files.is_empty() {
        DEFAULT_ADMIN_LISTEN
    } else {
        read(files)?.admin.listen.ok_or_else(|| Failed::because("this configuration has no admin listener"))?
    };
    let (status, body) = ready(reachable(address))
        .map_err(|error| Failed::because(format!("the admin listener at {address} does not answer: {error}")))?;
    if status == 200 {
        say(body.trim_end());
        return Ok(());
    }
    Err(Failed::because(format!("not ready: {}", body.trim_end())))
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

/// One HTTP/1.0 request: the status and the body of the answer.
fn ready(address: SocketAddr) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET /readyz HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(65_536).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("this is not HTTP"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or_else(|| io::Error::other("this is not HTTP"))?, body.to_owned()))
}
