//! The back channel over TLS: the configured roots are used, and nothing else is believed.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use cloakroom::clock::Clock;
use cloakroom::config::TlsFiles;
use cloakroom::provider::{AuthorizeError, LoginHints, Provider};
use rustls::{ServerConnection, Stream};
use serde_json::json;

use super::hostile::{attempt, config, site};
use crate::support::Pair;

/// Serves metadata over TLS in a thread of its own, and returns the issuer.
fn serve(shown: &Pair) -> String {
    let tls = Arc::new(shown.server(None));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let endpoint = |name: &str| format!("{issuer}/{name}");
    let body = json!({
        "issuer": issuer, "authorization_endpoint": endpoint("a"), "token_endpoint": endpoint("t"), "jwks_uri": endpoint("j"),
    })
    .to_string();
    std::thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let mut connection = ServerConnection::new(Arc::clone(&tls)).unwrap();
            let mut stream = Stream::new(&mut connection, &mut socket);
            let length = body.len();
            // A client that turns away during the handshake is what half of these tests want.
            let _ = stream.read(&mut [0; 4096]).and_then(|_| {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
            });
            connection.send_close_notify();
            let _ = connection.complete_io(&mut socket);
        }
    });
    issuer
}

async fn login(issuer: String, tls: TlsFiles) -> Result<url::Url, AuthorizeError> {
    let mut config = config(issuer);
    config.tls = tls;
    let client = Provider::new(&site(&config), &config, Clock::System).unwrap();
    client.authorization_url(&attempt(), &LoginHints::default()).await
}

fn trusting(pair: &Pair) -> TlsFiles {
    TlsFiles { ca: Some(pair.cert.clone()), ..TlsFiles::default() }
}

#[tokio::test]
async fn a_provider_with_a_certificate_of_the_configured_roots_is_believed() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Pair::make(dir.path(), "provider", "IP:127.0.0.1");
    login(serve(&provider), trusting(&provider)).await.unwrap();
}

#[tokio::test]
async fn an_unknown_certificate_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Pair::make(dir.path(), "provider", "IP:127.0.0.1");
    let other = Pair::make(dir.path(), "other", "IP:127.0.0.1");
    let issuer = serve(&provider);
    for tls in [TlsFiles::default(), trusting(&other)] {
        let reason = login(issuer.clone(), tls).await.unwrap_err().to_string();
        assert!(reason.contains("certificate"), "{reason}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Pair::make(dir.path(), "provider", "DNS:id.example");
    let reason = login(serve(&provider), trusting(&provider)).await.unwrap_err().to_string();
    assert!(reason.contains("certificate"), "{reason}");
}

#[test]
fn a_missing_certificate_file_is_a_fault_at_the_start() {
    let mut config = config("https://id.example".to_owned());
    config.tls.ca = Some("/nonexistent/ca.pem".into());
    let fault = Provider::new(&site(&config), &config, Clock::System).err().unwrap();
    assert!(fault.contains("/nonexistent/ca.pem"), "{fault}");
}
