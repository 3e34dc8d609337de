//! Certificates made by openssl, and a client that looks at what a TLS listener shows.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned, SupportedProtocolVersion};

use super::PATIENCE;

/// A private key in PKCS#8 PEM, made by openssl from `genpkey` arguments such as `-algorithm ED25519`, and its public half.
pub fn private_key(arguments: &[&str]) -> (String, String) {
    let openssl = |arguments: &[&str], input: &str| {
        let mut child = Command::new("openssl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test makes keys: apt-get install openssl");
        child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("openssl reads");
        let made = child.wait_with_output().expect("openssl ends");
        assert!(made.status.success(), "openssl {arguments:?}");
        String::from_utf8(made.stdout).expect("PEM is text")
    };
    let private = openssl(&[&["genpkey"], arguments].concat(), "");
    let public = openssl(&["pkey", "-pubout"], &private);
    (private, public)
}

/// A self-signed certificate and its key, as PEM files.
#[derive(Clone, Debug)]
pub struct Pair {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Pair {
    /// Makes `NAME.crt` and `NAME.key` in `dir`, for these alternative names such as `DNS:a.example`.
    pub fn make(dir: &Path, name: &str, alternative: &str) -> Self {
        let pair = Self { cert: dir.join(format!("{name}.crt")), key: dir.join(format!("{name}.key")) };
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-subj", &format!("/CN={name}"), "-addext", &format!("subjectAltName={alternative}")])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
            .arg(&pair.key)
            .arg("-out")
            .arg(&pair.cert)
            .output()
            .expect("this test makes certificates: apt-get install openssl");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        pair
    }

    pub fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(&self.cert).expect("openssl wrote a certificate")
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(&self.key).expect("openssl wrote a key")
    }

    /// A server that shows this certificate, and demands one of `clients` where they are given.
    pub fn server(&self, clients: Option<&Self>) -> ServerConfig {
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.expect("the provider has them");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
                    Arc::new(roots(&[clients.certificate()])),
                    provider(),
                );
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        builder.with_single_cert(vec![self.certificate()], self.private_key()).expect("openssl wrote a pair")
    }
}

/// A TLS client of a gateway.
pub struct TlsClient {
    config: ClientConfig,
}

/// An open connection.
pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

impl TlsClient {
    /// One that trusts `pairs`, speaks these versions and offers these protocols.
    pub fn new(pairs: &[&Pair], versions: &[&'static SupportedProtocolVersion], alpn: &[&str]) -> Self {
        let trusted: Vec<_> = pairs.iter().map(|pair| pair.certificate()).collect();
        let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(versions);
        let builder = builder.expect("the provider has them").with_root_certificates(roots(&trusted));
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self { config }
    }

    /// Connects to a loopback port under `name`, handshake included.
    pub fn connect(&self, port: u16, name: &str) -> std::io::Result<TlsStream> {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let connection = ClientConnection::new(Arc::new(self.config.clone()), name).map_err(std::io::Error::other)?;
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }
}

/// Writes a bodiless request and reads head and declared body of the answer.
pub fn ask(stream: &mut TlsStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).expect("the request can be written");
    answer(stream)
}

/// Reads one answer with a declared length.
pub fn answer(stream: &mut TlsStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a response head");
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let length = head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).expect("the whole body");
    head + &String::from_utf8_lossy(&body)
}

fn roots(certificates: &[CertificateDer<'static>]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone()).expect("a certificate");
    }
    roots
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
