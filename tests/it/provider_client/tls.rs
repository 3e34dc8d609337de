//! The back channel over TLS: the configured roots are used, and nothing else is believed.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cloakroom::clock::Clock;
use cloakroom::config::TlsFiles;
use cloakroom::provider::{LoginHints, Provider, Unavailable};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};
use serde_json::json;

use super::hostile::{attempt, config, site};

/// Makes `cert.pem` and `key.pem` for `name`, signed by itself.
fn make_certificate(dir: &Path, name: &str) {
    let made = Command::new("openssl")
        .current_dir(dir)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=provider"])
        .args(["-addext", &format!("subjectAltName={name}"), "-addext", "basicConstraints=critical,CA:FALSE"])
        .output()
        .expect("this test needs the command openssl: install the package openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Serves metadata over TLS in a thread of its own, and returns the issuer.
fn serve(dir: &Path) -> String {
    let chain = vec![CertificateDer::from_pem_file(dir.join("cert.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(dir.join("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap());
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

async fn login(issuer: String, tls: TlsFiles) -> Result<url::Url, Unavailable> {
    let mut config = config(issuer);
    config.tls = tls;
    let client = Provider::new(&site(&config), &config, Clock::System).unwrap();
    client.authorization_url(&attempt(), &LoginHints::default()).await
}

fn trusting(dir: &Path) -> TlsFiles {
    TlsFiles { ca: Some(dir.join("cert.pem")), ..TlsFiles::default() }
}

#[tokio::test]
async fn a_provider_with_a_certificate_of_the_configured_roots_is_believed() {
    let dir = tempfile::tempdir().unwrap();
    make_certificate(dir.path(), "IP:127.0.0.1");
    login(serve(dir.path()), trusting(dir.path())).await.unwrap();
}

#[tokio::test]
async fn an_unknown_certificate_is_refused() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    make_certificate(dir.path(), "IP:127.0.0.1");
    make_certificate(other.path(), "IP:127.0.0.1");
    let issuer = serve(dir.path());
    for tls in [TlsFiles::default(), trusting(other.path())] {
        let Unavailable(reason) = login(issuer.clone(), tls).await.unwrap_err();
        assert!(reason.contains("certificate"), "{reason}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    make_certificate(dir.path(), "DNS:id.example");
    let Unavailable(reason) = login(serve(dir.path()), trusting(dir.path())).await.unwrap_err();
    assert!(reason.contains("certificate"), "{reason}");
}

#[test]
fn a_missing_certificate_file_is_a_fault_at_the_start() {
    let mut config = config("https://id.example".to_owned());
    config.tls.ca = Some("/nonexistent/ca.pem".into());
    let fault = Provider::new(&site(&config), &config, Clock::System).err().unwrap();
    assert!(fault.contains("/nonexistent/ca.pem"), "{fault}");
}
