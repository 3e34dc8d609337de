//! The module about clients that are known by their certificate (RFC 8705).

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use super::Run;
use super::suite::change;
use crate::support::{Pair, eventually};

/// Where a server is that ends TLS; it is known when there is something to pass on to.
type Behind = Arc<Mutex<Option<String>>>;

/// A listener that ends TLS and passes requests on to `behind`, one answer for each connection.
fn terminating(tls: ServerConfig, behind: &Behind) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tls, behind) = (Arc::new(tls), Arc::clone(behind));
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let stream = StreamOwned::new(ServerConnection::new(Arc::clone(&tls)).unwrap(), socket);
            let behind = behind.lock().unwrap().clone();
            // A client that shows no certificate does not get this far.
            let _ = pass_on(stream, &behind.unwrap());
        }
    });
    port
}

fn pass_on(mut client: StreamOwned<ServerConnection, TcpStream>, behind: &str) -> std::io::Result<()> {
    let (mut request, mut byte) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&request).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body)?;
    let mut server = TcpStream::connect(behind)?;
    let closing = b"connection: close\r\n\r\n";
    server.write_all(&[&request[..request.len() - 2], closing, &body[..]].concat())?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    client.write_all(&answer)?;
    client.conn.send_close_notify();
    client.flush()
}

/// `oidcc-client-test-mtls-endpoint-aliases`: a client with a certificate shows it where the metadata's aliases say.
#[test]
fn oidcc_client_test_mtls_endpoint_aliases() {
    let dir = tempfile::tempdir().unwrap();
    let (server, ours) =
        (Pair::make(dir.path(), "provider", "IP:127.0.0.1"), Pair::make(dir.path(), "client", "DNS:app-one.example"));
    let behind = Behind::default();
    let issuer = format!("https://127.0.0.1:{}", terminating(server.server(None), &behind));
    let port = terminating(server.server(Some(&ours)), &behind);
    let files = [("ca", &server.cert), ("client_cert", &ours.cert), ("client_key", &ours.key)];
    let mut lines: Vec<String> = files.map(|(key, path)| format!("{key} = \"{}\"", path.display())).to_vec();
    lines.push("userinfo = true".to_owned());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let prepare = |setup: &mut crate::support::Setup| {
        setup.sites[0].client_auth = "tls_client_auth".into();
        setup.sites[0].issuer = Some(issuer.clone());
    };
    let run = Run::prepared(&lines, prepare, |state| {
        let plain = std::mem::replace(&mut state.issuer, issuer.clone());
        *behind.lock().unwrap() = plain.strip_prefix("http://").map(str::to_owned);
        state.certificate = true;
        state.metadata = change(move |metadata| {
            metadata["authorization_endpoint"] = format!("{plain}/authorize").into();
            let aliases = ["token", "userinfo", "revocation"].map(|name| {
                let at = if name == "revocation" { "revoke" } else { name };
                // What those without a certificate are told leads nowhere.
                metadata[format!("{name}_endpoint")] = "https://127.0.0.1:9/".into();
                (format!("{name}_endpoint"), json!(format!("https://127.0.0.1:{port}/{at}")))
            });
            metadata["mtls_endpoint_aliases"] = aliases.into_iter().collect();
        });
    });
    let mut browser = run.passes();
    assert_eq!(browser.session(&run.world.one())["user"]["email"], "alice@example.test");
    let asked = run.suite.asked("/token").remove(0);
    assert!(asked.all("authorization").is_empty(), "the certificate is all there is");
    let body = String::from_utf8(asked.body).unwrap();
    assert!(!body.contains("client_secret") && !body.contains("client_assertion"), "{body}");
    assert_eq!(browser.post(&run.world.one(), "/bff/logout").status, 200);
    eventually("the refresh token should be revoked", || (!run.suite.asked("/revoke").is_empty()).then_some(()));
}
