//! A provider on a real socket that answers what it is told to, remembers every request, and judges its client at the end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloakroom::clock::{Clock, Timestamp};
use cloakroom::config::{
    ClientAuth, ClientConfig, CsrfMode, Empty400, LogoutConfig, LogoutHint, LogoutTokenExp, OidcConfig, Origin,
    ProviderConfig, ProviderKind, RequestConfig, ResponseMode, SameSite, SessionConfig, SiteConfig, TlsFiles,
    TrustedAudiences, WrittenEndpoints,
};
use cloakroom::provider::{Attempt, Grant, Provider, RedeemError, Refreshed, Renewal};
use cloakroom::secret::{AuthorizationCode, ClientSecret, CodeVerifier, MasterKey, Nonce, RefreshToken, State};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::signing::Key;

pub(super) const NOW: u64 = 1_800_000_000;
pub(super) const NONCE: &str = "nonce-of-this-attempt";
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// How long a refresh may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What a path answers.
#[derive(Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: String,
    pub(super) body: Vec<u8>,
    pub(super) manner: Manner,
}

/// How it is answered.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Manner {
    Promptly,
    After(Duration),
    /// Head and body byte by byte, this far apart.
    Dripping(Duration),
    /// Read the request, then close without a word.
    HangUp,
    /// Read the request, never answer.
    Never,
    /// Without saying how long the body is.
    Unannounced,
    /// All but the last byte, then close.
    CutShort,
}

impl Reply {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::raw(status, body.to_string())
    }

    pub(super) fn raw(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let headers = "Content-Type: application/json\r\n".to_owned();
        Self { status, headers, body: body.into(), manner: Manner::Promptly }
    }

    pub(super) fn with(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) form: Vec<(String, String)>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// The provider.
pub(super) struct Hostile {
    port: u16,
    pub(super) clock: Clock,
    pub(super) key: Key,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Hostile {
    /// Starts with decent metadata, one ES256 key `k1`, and a token endpoint that gives a valid answer.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self {
            port: listener.local_addr().unwrap().port(),
            clock: Clock::manual(Timestamp::from_secs(NOW)),
            key: Key::p256(),
            replies: Arc::default(),
            requests: Arc::default(),
        };
        let (replies, requests) = (Arc::clone(&provider.replies), Arc::clone(&provider.requests));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&replies), Arc::clone(&requests)));
            }
        });
        provider.metadata(|_| {});
        provider.publish(&[("k1", &provider.key)]);
        provider.give(&provider.id_token(|_| {}));
        provider
    }

    pub(super) fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn set(&self, path: &str, reply: Reply) {
        self.replies.lock().unwrap().insert(path.to_owned(), reply);
    }

    pub(super) fn metadata(&self, change: impl FnOnce(&mut Value)) {
        let issuer = self.issuer();
        let mut metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "end_session_endpoint": format!("{issuer}/logout"),
            "revocation_endpoint": format!("{issuer}/revoke"),
            "code_challenge_methods_supported": ["plain", "S256"],
            "response_types_supported": ["code"],
        });
        change(&mut metadata);
        self.set("/.well-known/openid-configuration", Reply::json(200, &metadata));
    }

    pub(super) fn publish(&self, keys: &[(&str, &Key)]) {
        let keys = keys.iter().map(|(kid, key)| {
            let mut jwk = key.jwk();
            jwk["kid"] = (*kid).into();
            jwk
        });
        self.set("/jwks", Reply::json(200, &json!({ "keys": keys.collect::<Vec<_>>() })));
    }

    pub(super) fn claims(&self) -> Value {
        json!({
            "iss": self.issuer(), "sub": "alice", "aud": "app-one", "nonce": NONCE, "sid": "s-1",
            "iat": NOW, "exp": NOW + 300, "email": "alice@example.com",
        })
    }

    /// An ID token, truly signed by `k1`, after `change` was made to valid claims.
    pub(super) fn id_token(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        self.key.token(r#"{"alg":"ES256","kid":"k1","typ":"JWT"}"#, &claims.to_string())
    }

    pub(super) fn answer(id_token: &str) -> Value {
        json!({
            "access_token": "at-1", "token_type": "Bearer", "expires_in": 300, "refresh_token": "rt-1",
            "id_token": id_token,
        })
    }

    /// Makes the token endpoint answer with `id_token`.
    pub(super) fn give(&self, id_token: &str) {
        self.set("/token", Reply::json(200, &Self::answer(id_token)));
    }

    pub(super) fn client(&self) -> Provider {
        self.client_with(|_| {})
    }

    pub(super) fn client_with(&self, change: impl FnOnce(&mut ProviderConfig)) -> Provider {
        let mut config = config(self.issuer());
        change(&mut config);
        Provider::new(&site(&config), &config, self.clock.clone()).unwrap()
    }

    /// Redeems a code at a fresh client.
    pub(super) async fn login(&self) -> Result<Grant, RedeemError> {
        redeem(&self.client()).await
    }

    /// The reason why a login with this ID token is refused, or `None` if it succeeds.
    pub(super) async fn refusal(&self, id_token: &str) -> Option<String> {
        self.give(id_token);
        match self.login().await {
            Ok(_) => None,
            Err(RedeemError::Invalid(reason)) => Some(reason),
            Err(other) => panic!("not the answer's fault: {other}"),
        }
    }

    pub(super) fn requests(&self, path: &str) -> Vec<Request> {
        let path_of = |request: &Request| request.target.split('?').next() == Some(path);
        self.requests.lock().unwrap().iter().filter(|request| path_of(request)).cloned().collect()
    }

    pub(super) fn count(&self, path: &str) -> usize {
        self.requests(path).len()
    }
}

impl Drop for Hostile {
    /// Judges every request: by its own rules, whatever the test was about.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut codes = Vec::new();
        for request in self.requests.lock().unwrap().iter() {
            let agent = request.header("user-agent").unwrap_or_default();
            assert!(agent.starts_with("cloakroom/"), "{agent}");
            assert!(!request.target.contains('?'), "a query on the back channel: {}", request.target);
            assert!(request.header("cookie").is_none() && request.header("referer").is_none());
            if request.method != "POST" {
                let may_show_a_token = request.target.ends_with("/userinfo");
                assert!(may_show_a_token || request.header("authorization").is_none());
                assert!(request.form.is_empty());
                continue;
            }
            assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
            let methods = [request.header("authorization"), request.field("client_secret")];
            assert!(methods.iter().flatten().count() <= 1, "two ways of client authentication");
            for (index, (name, _)) in request.form.iter().enumerate() {
                let twice = request.form[..index].iter().any(|(other, _)| other == name);
                assert!(!twice || name == "resource", "{name} twice");
            }
            if let Some(code) = request.field("code") {
                assert!(request.field("redirect_uri").is_some() && request.field("code_verifier").is_some());
                codes.push(code.to_owned());
            }
        }
        let sent = codes.len();
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), sent, "a code was sent twice");
    }
}

pub(super) fn config(issuer: String) -> ProviderConfig {
    let client = ClientConfig {
        client_id: "app-one".to_owned(),
        client_auth: ClientAuth::Basic(ClientSecret::new("s3cret")),
        scopes: vec!["openid".to_owned(), "profile".to_owned()],
        authorization_params: Vec::new(),
        response_mode: ResponseMode::Query,
        requests: RequestConfig::default(),
        own_callback: false,
        logout: LogoutConfig::standard(LogoutHint::IdToken),
        empty_400: Empty400::Unavailable,
    };
    ProviderConfig {
        name: "main".to_owned(),
        issuer,
        default_token_lifetime: Duration::from_secs(3600),
        refresh_before: None,
        budget: None,
        plaintext: false,
        timeout: Duration::from_secs(5),
        tls: TlsFiles::default(),
        profile: None,
        kind: ProviderKind::Oidc(Box::new(OidcConfig {
            client,
            id_token_algs: ["ES256", "ES384", "EdDSA", "RS256", "PS256"].map(str::to_owned).to_vec(),
            userinfo: false,
            logout_token_exp: LogoutTokenExp::Required,
            trusted_audiences: TrustedAudiences::These(Vec::new()),
            frontchannel_logout: false,
            names_issuer: true,
            clock_skew: Duration::from_secs(30),
            userinfo_endpoint: None,
            endpoints: WrittenEndpoints::default(),
        })),
    }
}

/// What only OpenID Connect has, to be changed.
pub(super) fn oidc_of(config: &mut ProviderConfig) -> &mut OidcConfig {
    match &mut config.kind {
        ProviderKind::Oidc(oidc) => oidc,
        other => panic!("not OpenID Connect: {other:?}"),
    }
}

/// The client registration, to be changed.
pub(super) fn client_of(config: &mut ProviderConfig) -> &mut ClientConfig {
    &mut oidc_of(config).client
}

pub(super) fn site(provider: &ProviderConfig) -> SiteConfig {
    SiteConfig {
        origin: Origin::parse("https://app-one.example").unwrap(),
        base_path: "/bff".to_owned(),
        csrf: CsrfMode::Origin,
        hsts: None,
        limits: cloakroom::config::LimitsConfig::default(),
        session: SessionConfig {
            idle: Duration::from_secs(1800),
            absolute: Duration::from_secs(43_200),
            same_site: SameSite::Lax,
            keys: vec![MasterKey::random()],
            claims: Vec::new(),
        },
        providers: vec![provider.clone()],
        spa: None,
        routes: Vec::new(),
    }
}

pub(super) fn attempt() -> Attempt {
    let verifier = CodeVerifier::new(VERIFIER);
    Attempt { state: State::new("state-1"), nonce: Nonce::new(NONCE), verifier, dpop_key: None }
}

/// Redeems a code that was never used before.
pub(super) async fn redeem(client: &Provider) -> Result<Grant, RedeemError> {
    let code = State::random();
    client.redeem(&AuthorizationCode::new(code.expose()), &attempt()).await
}

pub(super) async fn refresh(client: &Provider) -> Refreshed {
    refresh_within(PATIENCE, client).await
}

/// The same, of a caller that waits no longer than that.
pub(super) async fn refresh_within(patience: Duration, client: &Provider) -> Refreshed {
    let refresh_token = &RefreshToken::new("rt-0");
    client.refresh(&Renewal { refresh_token, subject: "alice", scope: None, dpop_key: None, patience }).await
}

async fn serve(
    mut socket: TcpStream,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    requests: Arc<Mutex<Vec<Request>>>,
) -> Option<()> {
    let request = read(&mut socket).await?;
    let path = request.target.split('?').next().unwrap_or_default().to_owned();
    requests.lock().unwrap().push(request);
    let reply = replies.lock().unwrap().get(&path).cloned().unwrap_or_else(|| Reply::raw(404, ""));
    let length = match reply.manner {
        Manner::Unannounced => String::new(),
        _ => format!("Content-Length: {}\r\n", reply.body.len()),
    };
    let head = format!("HTTP/1.1 {} x\r\n{}{length}Connection: close\r\n\r\n", reply.status, reply.headers);
    let whole = [head.as_bytes(), &reply.body].concat();
    match reply.manner {
        Manner::HangUp => return None,
        Manner::Never => std::future::pending().await,
        Manner::After(delay) => tokio::time::sleep(delay).await,
        Manner::Promptly | Manner::Unannounced => {}
        Manner::CutShort => return socket.write_all(&whole[..whole.len() - 1]).await.ok(),
        Manner::Dripping(delay) => {
            for byte in &whole {
                socket.write_all(&[*byte]).await.ok()?;
                tokio::time::sleep(delay).await;
            }
            return None;
        }
    }
    socket.write_all(&whole).await.ok()?;
    socket.shutdown().await.ok()
}

async fn read(socket: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ').map(str::to_owned);
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, length)| length.parse().unwrap());
    while bytes.len() < end + 4 + length {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let form = url::form_urlencoded::parse(&bytes[end + 4..]).into_owned().collect();
    Some(Request { method: words.next()?, target: words.next()?, headers, form })
}
