//! Client authentication without a secret: assertions, and certificates at the endpoints that ask for one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloakroom::clock::Clock;
use cloakroom::config::{AssertionAud, AssertionConfig, AssertionTyp, ClientAuth, TlsFiles};
use cloakroom::provider::{Provider, Refreshed};
use cloakroom::secret::{AccessToken, RefreshToken, SigningKey};
use rustls::{ServerConfig, ServerConnection, Stream};
use serde_json::{Value, json};

use super::hostile::{Hostile, NOW, Reply, Request, client_of, config, redeem, refresh, site};
use crate::support::{Pair, private_key};

fn assertion_config() -> AssertionConfig {
    let (pem, _) = private_key(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let (aud, typ) = (AssertionAud::Issuer, AssertionTyp::ClientAuthentication);
    AssertionConfig { key: SigningKey::new(pem), key_id: Some("k-7".into()), alg: "ES256", aud, typ }
}

/// Header and claims of the assertion in a request.
fn assertion(request: &Request) -> (Value, Value) {
    assert!(request.header("authorization").is_none() && request.field("client_secret").is_none());
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    assert_eq!(request.field("client_assertion_type"), Some(kind));
    assert_eq!(request.field("client_id"), Some("app-one"));
    let parts: Vec<&str> = request.field("client_assertion").unwrap().split('.').collect();
    let part = |index: usize| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[index]).unwrap()).unwrap();
    (part(0), part(1))
}

#[tokio::test]
async fn an_assertion_says_for_whom_it_is_and_for_how_long() {
    let op = Hostile::start().await;
    op.set("/revoke", Reply::raw(200, ""));
    let client = op.client_with(|config| client_of(config).client_auth = ClientAuth::PrivateKeyJwt(assertion_config()));
    redeem(&client).await.unwrap();
    assert!(matches!(refresh(&client).await, Refreshed::Rejected(_) | Refreshed::Tokens(_)));
    client.give_back(&AccessToken::new("at-1"), Some(&RefreshToken::new("rt-1")), None).await.unwrap();
    let requests = [op.requests("/token"), op.requests("/revoke")].concat();
    let mut jtis = Vec::new();
    for request in &requests {
        let (header, claims) = assertion(request);
        assert_eq!(header, json!({ "typ": "client-authentication+jwt", "alg": "ES256", "kid": "k-7" }));
        let expected = json!({
            "iss": "app-one", "sub": "app-one", "aud": op.issuer(), "iat": NOW, "exp": NOW + 60, "jti": claims["jti"],
        });
        assert_eq!(claims, expected);
        jtis.push(claims["jti"].as_str().unwrap().to_owned());
    }
    assert_eq!(jtis.len(), 3);
    jtis.sort();
    jtis.dedup();
    assert_eq!(jtis.len(), 3, "each request has its own");
}

#[tokio::test]
async fn an_old_provider_is_told_what_it_knows() {
    let op = Hostile::start().await;
    let old = AssertionConfig {
        aud: AssertionAud::TokenEndpoint,
        typ: AssertionTyp::Jwt,
        key_id: None,
        ..assertion_config()
    };
    redeem(&op.client_with(|config| client_of(config).client_auth = ClientAuth::PrivateKeyJwt(old))).await.unwrap();
    let (header, claims) = assertion(&op.requests("/token").remove(0));
    assert_eq!(header, json!({ "typ": "JWT", "alg": "ES256" }));
    assert_eq!(claims["aud"], format!("{}/token", op.issuer()));
}

#[tokio::test]
async fn without_a_certificate_the_aliases_for_those_who_have_one_are_not_called() {
    let op = Hostile::start().await;
    let alias = format!("{}/mtls/token", op.issuer());
    op.metadata(|metadata| metadata["mtls_endpoint_aliases"] = json!({ "token_endpoint": alias }));
    op.login().await.unwrap();
    assert_eq!((op.count("/token"), op.count("/mtls/token")), (1, 0));
    op.metadata(|metadata| metadata["mtls_endpoint_aliases"] = "https://id.example".into());
    assert!(op.login().await.unwrap_err().to_string().contains("`mtls_endpoint_aliases` is not an object"));
}

/// Serves one answer for each request until the test ends; what was asked is kept.
fn serve(tls: ServerConfig, answer: impl Fn(&str) -> Value + Send + 'static) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tls, asked) = (Arc::new(tls), Arc::<Mutex<Vec<String>>>::default());
    let kept = Arc::clone(&asked);
    std::thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let mut connection = ServerConnection::new(Arc::clone(&tls)).unwrap();
            let mut stream = BufReader::new(Stream::new(&mut connection, &mut socket));
            let (mut head, mut line) = (String::new(), String::new());
            while stream.read_line(&mut line).is_ok_and(|length| length > 2) {
                head.push_str(&std::mem::take(&mut line));
            }
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            if head.is_empty() || stream.read_exact(&mut body).is_err() {
                continue;
            }
            let body = String::from_utf8_lossy(&body);
            kept.lock().unwrap().push(format!("{} {body}", head.lines().next().unwrap()));
            let body = answer(&head).to_string();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
            connection.send_close_notify();
            connection.complete_io(&mut socket).unwrap();
        }
    });
    (port, asked)
}

/// What `oidcc-client-test-mtls-endpoint-aliases` of the conformance suite looks for.
#[tokio::test]
async fn a_client_with_a_certificate_shows_it_at_the_alias_of_the_token_endpoint() {
    let dir = tempfile::tempdir().unwrap();
    let server = Pair::make(dir.path(), "provider", "IP:127.0.0.1");
    let ours = Pair::make(dir.path(), "client", "DNS:app-one.example");
    let tokens = json!({ "access_token": "at-2", "token_type": "Bearer", "expires_in": 60 });
    let (mtls, asked) = serve(server.server(Some(&ours)), move |_| tokens.clone());
    let (port, elsewhere) = serve(server.server(None), move |head| {
        let port = head.lines().find_map(|line| line.strip_prefix("host: 127.0.0.1:")).unwrap();
        let at = |port: &str, path: &str| format!("https://127.0.0.1:{port}/{path}");
        json!({
            "issuer": format!("https://127.0.0.1:{port}"), "authorization_endpoint": at(port, "a"),
            "token_endpoint": at(port, "t"), "jwks_uri": at(port, "j"), "keys": [],
            "mtls_endpoint_aliases": { "token_endpoint": at(&mtls.to_string(), "t") },
        })
    });
    let client = |pair: Option<&Pair>| {
        let mut config = config(format!("https://127.0.0.1:{port}"));
        client_of(&mut config).client_auth = ClientAuth::Tls;
        config.tls = TlsFiles {
            ca: Some(server.cert.clone()),
            client_cert: pair.map(|pair| pair.cert.clone()),
            client_key: pair.map(|pair| pair.key.clone()),
        };
        Provider::new(&site(&config), &config, Clock::System).unwrap()
    };
    let refreshed = refresh(&client(Some(&ours))).await;
    assert!(matches!(&refreshed, Refreshed::Tokens(tokens) if tokens.access_token.expose() == "at-2"), "{refreshed:?}");
    let request = asked.lock().unwrap().remove(0);
    assert_eq!(request, "POST /t HTTP/1.1 grant_type=refresh_token&refresh_token=rt-0&client_id=app-one");
    assert!(elsewhere.lock().unwrap().iter().all(|request| !request.starts_with("POST")));

    let other = Pair::make(dir.path(), "other", "DNS:app-one.example");
    let refused = refresh(&client(Some(&other))).await;
    assert!(matches!(refused, Refreshed::Unavailable(_) | Refreshed::Unknown(_)), "{refused:?}");
}
