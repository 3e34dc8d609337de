//! The provider that a module plays: a good one, of which each test spoils one thing. It has its own hands for keys and
//! signatures, answers browser and gateway on one socket, and remembers what it was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::demands::Demands;
use crate::provider_client::signing::{Key, b64};
use crate::support::{Recorded, Reply, Upstream, fresh_key};

/// Changes what would have been said.
pub type Change = Arc<dyn Fn(&mut Value) + Send + Sync>;
/// Changes a token that was signed.
pub type Mangle = Arc<dyn Fn(String) -> String + Send + Sync>;

/// A running provider.
pub struct Suite {
    server: Upstream,
    state: Arc<Mutex<State>>,
}

/// What it says, and has said.
pub struct State {
    pub issuer: String,
    /// The key that signs, and the header of what it signs.
    pub key: Arc<Key>,
    pub header: Value,
    /// The members of `jwks`.
    pub jwks: Vec<Value>,
    /// What some paths answer instead.
    pub instead: HashMap<String, Reply>,
    pub metadata: Change,
    /// Of the authorization response's parameters, or of a signed one's claims.
    pub response: Change,
    pub mangle_response: Mangle,
    /// Of the ID token at login, and at a refresh.
    pub claims: Change,
    pub refreshed: Change,
    pub mangle: Mangle,
    /// Of the token endpoint's answer.
    pub answer: Change,
    /// What the landing page of a logout is told beside nothing.
    pub logout_state: fn(&str) -> Option<String>,
    /// Codes, with the authorization request that each answers.
    codes: HashMap<String, HashMap<String, String>>,
    refresh_tokens: HashMap<String, u32>,
    /// Every access token, the latest one last.
    pub access_tokens: Vec<String>,
    /// What is wrong with a token request, if anything was.
    pub faults: Vec<String>,
    /// What is demanded of the client beyond a secret; nothing by default.
    pub demands: Option<Demands>,
    /// Whether a certificate of the client's proves it.
    pub certificate: bool,
}

pub fn change(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Change {
    Arc::new(change)
}

/// Sets a member, or takes it away.
pub fn member(name: &'static str, value: Value) -> Change {
    change(move |object| match &value {
        Value::Null => drop(object.as_object_mut().expect("an object").remove(name)),
        value => object[name] = value.clone(),
    })
}

pub fn now() -> u64 {
    cloakroom::clock::Clock::System.now().as_secs()
}

/// A public key as it is published.
pub fn published(key: &Key, kid: &str) -> Value {
    let mut jwk = key.jwk();
    jwk["kid"] = kid.into();
    jwk["use"] = "sig".into();
    jwk
}

impl Suite {
    /// A provider without fault, which signs with ES256.
    pub fn start() -> Self {
        let server = Upstream::start();
        let key = Arc::new(Key::p256());
        let state = State {
            issuer: server.url(),
            header: json!({ "alg": "ES256", "kid": "k1" }),
            jwks: vec![published(&key, "k1")],
            key,
            instead: HashMap::new(),
            metadata: change(|_| {}),
            response: change(|_| {}),
            mangle_response: Arc::new(|token| token),
            claims: change(|_| {}),
            refreshed: change(|_| {}),
            mangle: Arc::new(|token| token),
            answer: change(|_| {}),
            logout_state: |state| Some(state.to_owned()),
            codes: HashMap::new(),
            refresh_tokens: HashMap::new(),
            access_tokens: Vec::new(),
            faults: Vec::new(),
            demands: None,
            certificate: false,
        };
        let state = Arc::new(Mutex::new(state));
        let answering = Arc::clone(&state);
        server.answers(move |request| answering.lock().expect("nothing panics").answer(request));
        Self { server, state }
    }

    pub fn issuer(&self) -> String {
        self.server.url()
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics")
    }

    /// Signs with `key` under `alg` from now on, and publishes it as `k1`.
    pub fn sign_with(&self, key: Key, alg: &str) {
        let mut state = self.state();
        state.jwks = vec![published(&key, "k1")];
        state.header = json!({ "alg": alg, "kid": "k1" });
        state.key = Arc::new(key);
    }

    /// The requests to `path` so far.
    pub fn asked(&self, path: &str) -> Vec<Recorded> {
        let path_of = |request: &Recorded| request.target.split('?').next() == Some(path);
        self.server.requests().into_iter().filter(path_of).collect()
    }

    /// A token with the provider's signature, whatever it says.
    pub fn sign(&self, claims: &Value) -> String {
        self.state().sign(claims)
    }
}

impl State {
    fn answer(&mut self, request: &Recorded) -> Reply {
        let path = request.target.split('?').next().unwrap_or_default();
        if let Some(reply) = self.instead.get(path) {
            return reply.clone();
        }
        match path {
            "/.well-known/openid-configuration" => self.discovery(),
            "/jwks" => Reply::json(&json!({ "keys": self.jwks }).to_string()),
            "/authorize" => self.authorize(query(request)),
            "/par" => self.pushed(request),
            "/token" => self.token(request),
            "/userinfo" => self.userinfo(request),
            "/logout" => self.logout(&query(request)),
            "/revoke" => Reply::json("{}"),
            _ => Reply::with("404 Not Found", "", ""),
        }
    }

    fn discovery(&self) -> Reply {
        let issuer = &self.issuer;
        let mut metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "jwks_uri": format!("{issuer}/jwks"),
            "end_session_endpoint": format!("{issuer}/logout"),
            "revocation_endpoint": format!("{issuer}/revoke"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        });
        if self.demands.is_some() {
            metadata["pushed_authorization_request_endpoint"] = format!("{issuer}/par").into();
            metadata["require_pushed_authorization_requests"] = true.into();
        }
        (self.metadata)(&mut metadata);
        Reply::json(&metadata.to_string())
    }

    fn authorize(&mut self, asked: HashMap<String, String>) -> Reply {
        let asked = match self.demands.as_mut().map(|demands| demands.unpack(&asked)) {
            None => asked,
            Some(Ok(pushed)) => pushed,
            Some(Err(wrong)) => {
                self.faults.push(wrong);
                return refuse("invalid_request");
            }
        };
        let get = |name: &str| asked.get(name).cloned().unwrap_or_default();
        let code = fresh_key();
        self.codes.insert(code.clone(), asked.clone());
        let mode = get("response_mode");
        let mut response = json!({ "code": code, "state": get("state"), "iss": self.issuer });
        if mode.ends_with("jwt") {
            response["aud"] = get("client_id").into();
            response["exp"] = (now() + 60).into();
        }
        (self.response)(&mut response);
        if mode.ends_with("jwt") {
            response = json!({ "response": (self.mangle_response)(self.sign(&response)) });
        }
        let members = response.as_object().expect("a response has parameters");
        let pairs = members.iter().map(|(name, value)| (name.as_str(), value.as_str().expect("parameters are text")));
        if mode.starts_with("form_post") {
            let field = |(name, value)| format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
            let fields: String = pairs.map(field).collect();
            let page = format!("<form method=\"post\" action=\"{}\">{fields}</form>", get("redirect_uri"));
            return Reply::with("200 OK", "content-type: text/html\r\n", &page);
        }
        let mut location = url::Url::parse(&get("redirect_uri")).expect("a redirect URI");
        location.query_pairs_mut().extend_pairs(pairs);
        Reply::with("302 Found", &format!("location: {location}\r\n"), "")
    }

    /// RFC 9126 §2
    fn pushed(&mut self, request: &Recorded) -> Reply {
        let Some(demands) = self.demands.as_mut() else { return Reply::with("404 Not Found", "", "") };
        match demands.push(&self.issuer, form(request)) {
            Ok(handle) => {
                let answer = json!({ "request_uri": handle, "expires_in": 60 }).to_string();
                Reply::with("201 Created", "content-type: application/json\r\n", &answer)
            }
            Err(wrong) => {
                self.faults.push(wrong);
                refuse("invalid_client")
            }
        }
    }

    fn token(&mut self, request: &Recorded) -> Reply {
        let form = form(request);
        let scheme = match self.demands.as_mut().map(|demands| demands.judge(&self.issuer, request, &form)) {
            None => "Bearer",
            Some(Ok(None)) => "DPoP",
            Some(Ok(Some(wish))) => return wish,
            Some(Err(wrong)) => {
                self.faults.push(wrong);
                return refuse("invalid_client");
            }
        };
        let get = |name: &str| form.get(name).cloned().unwrap_or_default();
        let (claims, turn) = match get("grant_type").as_str() {
            "authorization_code" => {
                let Some(asked) = self.codes.remove(&get("code")) else { return refuse("invalid_grant") };
                self.judge(request, &asked, &form);
                let mut claims = self.claims_for(&asked["client_id"]);
                claims["nonce"] = asked["nonce"].clone().into();
                (self.claims)(&mut claims);
                (claims, 0)
            }
            _ => {
                let Some(turn) = self.refresh_tokens.remove(&get("refresh_token")) else {
                    return refuse("invalid_grant");
                };
                let mut claims = self.claims_for(&self.client_of(request, &form));
                (self.refreshed)(&mut claims);
                (claims, turn)
            }
        };
        let (access, refresh) = (fresh_key(), fresh_key());
        self.access_tokens.push(access.clone());
        self.refresh_tokens.insert(refresh.clone(), turn + 1);
        let id_token = (self.mangle)(self.sign(&claims));
        let mut answer = json!({
            "access_token": access, "token_type": scheme, "expires_in": 300, "refresh_token": refresh, "id_token": id_token,
        });
        (self.answer)(&mut answer);
        Reply::with("200 OK", "content-type: application/json\r\ncache-control: no-store\r\n", &answer.to_string())
    }

    fn claims_for(&self, client_id: &str) -> Value {
        json!({
            "iss": self.issuer, "sub": "alice", "aud": client_id, "sid": "s-1", "iat": now(), "exp": now() + 300,
            "name": "Alice",
        })
    }

    /// RFC 6749 §2.3.1, §4.1.3 and RFC 7636 §4.5, of a client that was told to use HTTP Basic, if nothing else is demanded.
    fn judge(&mut self, request: &Recorded, asked: &HashMap<String, String>, form: &HashMap<String, String>) {
        let challenge = b64(digest(&SHA256, form.get("code_verifier").map_or(&[][..], |verifier| verifier.as_bytes())));
        for (is_right, rule) in [
            (request.method == "POST", "the token endpoint is asked by POST"),
            (self.client_of(request, form) == asked["client_id"], "the client authenticates as it was told to"),
            (!form.contains_key("client_secret"), "the secret is sent once"),
            (form.get("redirect_uri") == asked.get("redirect_uri"), "the redirect URI is the same"),
            (asked.get("code_challenge") == Some(&challenge), "the verifier fits the challenge"),
            (asked["code_challenge_method"] == "S256", "the challenge is hashed"),
            (asked["response_type"] == "code", "a code is asked for"),
            (asked["scope"].split(' ').any(|scope| scope == "openid"), "`openid` is asked for"),
            (asked.get("nonce").is_some_and(|nonce| (16..=64).contains(&nonce.len())), "there is a nonce"),
        ] {
            if !is_right {
                self.faults.push(rule.to_owned());
            }
        }
    }

    /// The client that HTTP Basic names, or what is demanded in its place.
    fn client_of(&self, request: &Recorded, form: &HashMap<String, String>) -> String {
        use base64::Engine as _;
        if self.certificate || self.demands.is_some() {
            return form.get("client_id").cloned().unwrap_or_default();
        }
        let credentials =
            request.all("authorization").first().and_then(|value| value.strip_prefix("Basic ")).map(str::to_owned);
        let bytes = credentials.and_then(|basic| base64::engine::general_purpose::STANDARD.decode(basic).ok());
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        text.split(':').next().unwrap_or_default().to_owned()
    }

    fn userinfo(&self, request: &Recorded) -> Reply {
        let bearer =
            request.all("authorization").first().and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
        match bearer {
            Some(bearer) if self.access_tokens.contains(&bearer) => {
                Reply::json(&json!({ "sub": "alice", "email": "alice@example.test" }).to_string())
            }
            _ => Reply::with("401 Unauthorized", "www-authenticate: Bearer\r\n", ""),
        }
    }

    fn logout(&self, asked: &HashMap<String, String>) -> Reply {
        let mut location = url::Url::parse(&asked["post_logout_redirect_uri"]).expect("a landing page");
        if let Some(state) = asked.get("state").and_then(|state| (self.logout_state)(state)) {
            location.query_pairs_mut().append_pair("state", &state);
        }
        Reply::with("302 Found", &format!("location: {location}\r\n"), "")
    }

    fn sign(&self, claims: &Value) -> String {
        self.key.token(&self.header.to_string(), &claims.to_string())
    }
}

fn refuse(code: &str) -> Reply {
    Reply::with("400 Bad Request", "content-type: application/json\r\n", &json!({ "error": code }).to_string())
}

fn form(request: &Recorded) -> HashMap<String, String> {
    url::form_urlencoded::parse(&request.body).into_owned().collect()
}

/// The query of a request.
pub fn query(request: &Recorded) -> HashMap<String, String> {
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}
