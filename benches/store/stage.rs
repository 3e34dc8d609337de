//! A provider and an upstream that cost next to nothing: they do what the gateway needs and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloakroom::clock::Clock;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const CLIENT_ID: &str = "bench";

/// How long tokens of a refresh live, in seconds.
const REFRESHED: u64 = 3600;

pub(crate) struct Stage {
    port: u16,
    token_calls: AtomicU64,
    users: AtomicU64,
    key: EncodingKey,
    jwk: Value,
}

impl Stage {
    pub(crate) async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("P-256 keys can be made");
        let pkcs8 = pair.to_pkcs8v1().expect("a fresh key has a PKCS#8 form");
        // An uncompressed point: 0x04, then 32 bytes of x, then 32 bytes of y.
        let point = &pair.public_key().as_ref()[1..];
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[..32]), URL_SAFE_NO_PAD.encode(&point[32..]));
        let stage = Arc::new(Self {
            port,
            token_calls: AtomicU64::new(0),
            users: AtomicU64::new(0),
            key: EncodingKey::from_ec_der(pkcs8.as_ref()),
            jwk: json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "x": x, "y": y }),
        });
        let serving = Arc::clone(&stage);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let stage = Arc::clone(&serving);
                tokio::spawn(async move { stage.serve(stream).await });
            }
        });
        stage
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn token_calls(&self) -> u64 {
        self.token_calls.load(Ordering::Relaxed)
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut bytes = Vec::new();
        let mut chunk = [0; 16_384];
        loop {
            let Some((head, body, end)) = request(&bytes) else {
                match stream.read(&mut chunk).await {
                    Ok(count) if count > 0 => bytes.extend_from_slice(&chunk[..count]),
                    _ => return,
                }
                continue;
            };
            let answer = self.answer(head.split(' ').nth(1).unwrap_or_default(), body);
            bytes.drain(..end);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            if stream.write_all(format!("{head}{answer}").as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, path: &str, body: &str) -> String {
        let url = self.url();
        match path {
            "/.well-known/openid-configuration" => json!({
                "issuer": url, "authorization_endpoint": format!("{url}/authorize"),
                "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/jwks"),
                "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"], "code_challenge_methods_supported": ["S256"],
            })
            .to_string(),
            "/jwks" => json!({ "keys": [self.jwk] }).to_string(),
            "/token" => self.tokens(body).to_string(),
            // About a kilobyte of JSON, as a usual call has it.
            path if path.contains("/kilobyte") => format!(r#"{{"items":"{:x<1000}"}}"#, ""),
            _ => r#"{"hello":"from the api"}"#.to_owned(),
        }
    }

    /// A code is `LIFE.NONCE`: how long the first access token is to live, and what the ID token must repeat.
    fn tokens(&self, body: &str) -> Value {
        let number = self.token_calls.fetch_add(1, Ordering::Relaxed);
        let mut tokens = json!({
            "access_token": opaque("access", number), "refresh_token": opaque("refresh", number), "token_type": "Bearer",
            "expires_in": REFRESHED,
        });
        let code = body.split('&').find_map(|field| field.strip_prefix("code="));
        if let Some((life, nonce)) = code.and_then(|code| code.split_once('.')) {
            let now = Clock::System.now().as_millis() / 1000;
            let user = self.users.fetch_add(1, Ordering::Relaxed);
            let claims = json!({
                "iss": self.url(), "aud": CLIENT_ID, "sub": format!("user-{user}"), "nonce": nonce, "iat": now,
                "exp": now + 3600, "name": "A Person of Average Name", "email": format!("user-{user}@example.test"),
            });
            let signed = encode(&Header::new(Algorithm::ES256), &claims, &self.key);
            tokens["id_token"] = signed.expect("claims are JSON and the key signs").into();
            tokens["expires_in"] = life.parse::<u64>().unwrap_or(REFRESHED).into();
        }
        tokens
    }
}

/// As long as a JWT of a usual provider.
fn opaque(kind: &str, number: u64) -> String {
    format!("{kind}-{number:0>900}")
}

/// The first whole request in `bytes`: its head, its body, and where it ends.
fn request(bytes: &[u8]) -> Option<(&str, &str, usize)> {
    let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..head_end]).ok()?;
    let length = super::client::content_length(head);
    let end = head_end + 4 + length;
    let body = std::str::from_utf8(bytes.get(head_end + 4..end)?).ok()?;
    Some((head, body, end))
}
