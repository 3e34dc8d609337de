//! Which ports the parts get; all of them on 127.0.0.1.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use url::Url;

use super::DevError;

/// The gateway's port is part of both sites' origins, so it is the one that was asked for, or any if that is 0.
pub(super) fn gateway(port: u16) -> Result<u16, DevError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .and_then(|probe| probe.local_addr())
        .map(|bound| bound.port())
        .map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => {
                DevError(format!("port {port} is in use: pass --port {}", free_near(port.saturating_add(10))))
            }
            io::ErrorKind::PermissionDenied => DevError(format!(
                "port {port} needs privileges that a development server should not have: pass --port 8080"
            )),
            _ => DevError(format!("port {port} cannot be used ({error}): pass another --port")),
        })
}

/// A listener on the `n`th port after the gateway's, or on any free one if that is taken.
pub(super) fn after(port: u16, n: u16) -> Result<TcpListener, DevError> {
    let wished = port.checked_add(n).unwrap_or(0);
    TcpListener::bind((Ipv4Addr::LOCALHOST, wished))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .map_err(|error| DevError(format!("no free port on 127.0.0.1: {error}")))
}

/// Where a listener is reached.
pub(super) fn url(listener: &TcpListener) -> Result<Url, DevError> {
    let address = listener.local_addr().map_err(|error| DevError(error.to_string()))?;
    Url::parse(&format!("http://{address}")).map_err(|error| DevError(error.to_string()))
}

/// A port that is free now, for a remedy that works.
fn free_near(port: u16) -> u16 {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (0..20).map(|step| port.saturating_add(step * 10)).find(free).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_refused_with_one_that_is_free() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = gateway(port).unwrap_err().to_string();
        let remedy = error.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(error.starts_with(&format!("port {port} is in use: pass --port ")), "{error}");
        assert_eq!(gateway(remedy).unwrap(), remedy);
    }

    #[test]
    fn a_part_whose_port_is_taken_gets_another_on_loopback() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let bound = after(port - 1, 1).unwrap().local_addr().unwrap();
        assert!(bound.ip().is_loopback() && bound.port() != port);
    }
}
