//! An API with a JSON login of its own, as Laravel developers have it: with tymon/jwt-auth, or with Sanctum's API tokens.
//!
//! It judges its client: whoever does not ask for JSON is redirected to a login page, as Laravel does; a token that was
//! refreshed or logged out is blacklisted at that moment; an expired one is good for a refresh and for nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Recorded, Reply, Upstream, fresh_key};

/// Whose manners the API has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    /// `auth/login`, `auth/refresh`, `auth/logout` and `auth/me`, as tymon/jwt-auth's guide writes them.
    JwtAuth,
    /// `login` and `logout`, as Sanctum's guide writes them; tokens neither expire nor renew.
    Sanctum,
    /// The same with lifetimes and a refresh token that is good once.
    RefreshTokens,
}

/// The one password that is right, for `ada@example.com` and `bob@example.com`.
pub const PASSWORD: &str = "correct horse battery staple 7f3a";

struct Token {
    user: u64,
    until: Instant,
    /// Blacklisted, or deleted.
    over: bool,
}

struct State {
    manners: Manners,
    ttl: u64,
    tokens: HashMap<String, Token>,
    /// Refresh tokens that are still good.
    refresh_tokens: HashMap<String, u64>,
    issued: Vec<String>,
    faults: HashMap<String, Vec<Reply>>,
    to_browsers: Option<Reply>,
    delay: Duration,
    lateness: Duration,
}

/// A running API; it is its site's upstream as well.
#[derive(Clone)]
pub struct TokenApi {
    pub upstream: Upstream,
    state: Arc<Mutex<State>>,
}

impl TokenApi {
    /// An API whose tokens live for `ttl` seconds.
    pub fn start(manners: Manners, ttl: u64) -> Self {
        let upstream = Upstream::start();
        let state = State {
            manners,
            ttl,
            tokens: HashMap::new(),
            refresh_tokens: HashMap::new(),
            issued: Vec::new(),
            faults: HashMap::new(),
            to_browsers: None,
            delay: Duration::ZERO,
            lateness: Duration::ZERO,
        };
        let state = Arc::new(Mutex::new(state));
        let answering = Arc::clone(&state);
        upstream.answers(move |request| answer(&answering, request));
        Self { upstream, state }
    }

    pub fn url(&self) -> String {
        self.upstream.url()
    }

    /// Gives tokens issued from now on another lifetime, in seconds.
    pub fn tokens_live(&self, ttl: u64) {
        self.state().ttl = ttl;
    }

    /// The next answers to `path`, in this order, whatever is asked; the gateway's look whether anybody is there gets none
    /// of them, since it comes when it comes.
    pub fn breaks(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        let mut replies: Vec<_> = replies.into_iter().collect();
        replies.reverse();
        self.state().faults.insert(path.to_owned(), replies);
    }

    /// Answers whoever has no token and would take anything as a browser: with this, as Laravel does unless told otherwise.
    pub fn takes_all_for_browsers(&self, reply: Reply) {
        self.state().to_browsers = Some(reply);
    }

    /// Takes its time before it refreshes.
    pub fn is_slow(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// Takes its time after it has refreshed: the old token is over before the new one arrives.
    pub fn is_slow_to_answer(&self, lateness: Duration) {
        self.state().lateness = lateness;
    }

    /// Deletes every token, as an administrator would.
    pub fn deletes_all_tokens(&self) {
        self.state().tokens.values_mut().for_each(|token| token.over = true);
    }

    /// Every token that it has given out, the latest last.
    pub fn issued(&self) -> Vec<String> {
        self.state().issued.clone()
    }

    /// Whether this token still opens anything.
    pub fn knows(&self, token: &str) -> bool {
        self.state().tokens.get(token).is_some_and(|token| !token.over)
    }

    /// What was asked of `path` with POST.
    pub fn posts(&self, path: &str) -> Vec<Recorded> {
        let all = self.upstream.requests();
        all.into_iter().filter(|asked| asked.method == "POST" && asked.target == path).collect()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with the state")
    }
}

impl State {
    /// A token of this kind, remembered.
    fn issue(&mut self, user: u64) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = match self.manners {
            Manners::Sanctum => format!("{}|{}", self.issued.len() + 1, fresh_key()),
            Manners::JwtAuth | Manners::RefreshTokens => {
                let claims = json!({ "iss": "http://api/auth/login", "sub": user.to_string(), "jti": fresh_key() });
                format!("{}.{}.{}", part(&json!({ "typ": "JWT", "alg": "HS256" })), part(&claims), fresh_key())
            }
        };
        let until = Instant::now() + Duration::from_secs(self.ttl);
        self.tokens.insert(token.clone(), Token { user, until, over: false });
        self.issued.push(token.clone());
        token
    }

    /// What a login or a refresh answers.
    fn granted(&mut self, user: u64) -> Value {
        let token = self.issue(user);
        match self.manners {
            Manners::JwtAuth => json!({ "access_token": token, "token_type": "bearer", "expires_in": self.ttl }),
            Manners::Sanctum => json!({ "token": token, "user": described(user) }),
            Manners::RefreshTokens => {
                let refresh_token = format!("refresh-{}", fresh_key());
                self.refresh_tokens.insert(refresh_token.clone(), user);
                self.issued.push(refresh_token.clone());
                json!({ "data": {
                    "accessToken": token, "refreshToken": refresh_token, "expiresIn": self.ttl.to_string(),
                    "user": described(user),
                } })
            }
        }
    }

    /// The user of the request's bearer, if it opens anything; with `expired` one that is over by the clock as well.
    fn user_of(&self, request: &Recorded, expired: bool) -> Option<(String, u64)> {
        let bearer = request.all("authorization").first()?.strip_prefix("Bearer ")?.to_owned();
        let token = self.tokens.get(&bearer).filter(|token| !token.over)?;
        let is_good = expired || self.manners == Manners::Sanctum || token.until > Instant::now();
        is_good.then_some((bearer, token.user))
    }
}

fn described(user: u64) -> Value {
    let (name, email) = if user == 1 { ("Ada Lovelace", "ada@example.com") } else { ("Bob", "bob@example.com") };
    json!({ "id": user, "name": name, "email": email, "role": "author", "api_token": "canary-column-of-the-user" })
}

fn answer(state: &Mutex<State>, request: &Recorded) -> Reply {
    let state_now = || state.lock().expect("nobody panics with the state");
    let is_knock = request.method == "GET" && request.all("authorization").is_empty();
    if !is_knock && let Some(fault) = state_now().faults.get_mut(&request.target).and_then(Vec::pop) {
        return fault;
    }
    if !request.all("accept").iter().any(|accept| accept.contains("json") || accept.contains("*/*")) {
        return Reply::with("302 Found", "location: /login\r\n", "");
    }
    let asks_for_json = request.all("accept").iter().any(|accept| accept.contains("json"));
    if !asks_for_json
        && request.all("authorization").is_empty()
        && let Some(reply) = state_now().to_browsers.clone()
    {
        return reply;
    }
    let manners = state_now().manners;
    match (manners, request.method.as_str(), request.target.as_str()) {
        (Manners::JwtAuth, "POST", "/api/auth/login") | (_, "POST", "/api/login") => log_in(&mut state_now(), request),
        (Manners::JwtAuth, "POST", "/api/auth/refresh") => {
            let delay = state_now().delay;
            std::thread::sleep(delay);
            let mut state = state_now();
            let Some((bearer, user)) = state.user_of(request, true) else {
                return message("401 Unauthorized", "The token has been blacklisted");
            };
            state.tokens.get_mut(&bearer).expect("it was found").over = true;
            let (granted, lateness) = (state.granted(user), state.lateness);
            drop(state);
            std::thread::sleep(lateness);
            Reply::json(&granted.to_string())
        }
        (Manners::RefreshTokens, "POST", "/api/refresh") => {
            let mut state = state_now();
            let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let token = asked["refreshToken"].as_str().unwrap_or_default().to_owned();
            match state.refresh_tokens.remove(&token) {
                Some(user) => Reply::json(&state.granted(user).to_string()),
                None => message("422 Unprocessable Content", "The refresh token is invalid."),
            }
        }
        (Manners::JwtAuth, "POST", "/api/auth/logout") | (_, "POST", "/api/logout") => {
            let mut state = state_now();
            let Some((bearer, _)) = state.user_of(request, false) else { return unauthenticated() };
            state.tokens.get_mut(&bearer).expect("it was found").over = true;
            Reply::json(r#"{"message":"Successfully logged out"}"#)
        }
        (Manners::JwtAuth, "GET", "/api/auth/me") => match state_now().user_of(request, false) {
            Some((_, user)) => Reply::json(&described(user).to_string()),
            None => unauthenticated(),
        },
        (_, _, "/api/auth/login" | "/api/login") => {
            message("405 Method Not Allowed", "The GET method is not supported.")
        }
        _ => match state_now().user_of(request, false) {
            Some((_, user)) => Reply::json(&json!({ "user": user }).to_string()),
            None => unauthenticated(),
        },
    }
}

fn log_in(state: &mut State, request: &Recorded) -> Reply {
    let form: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let Some(email) = form["email"].as_str() else {
        let wrong = "The email field is required.";
        let body = json!({ "message": wrong, "errors": { "email": [wrong] } });
        return Reply::with("422 Unprocessable Content", "content-type: application/json\r\n", &body.to_string());
    };
    let user = match email {
        "ada@example.com" => 1,
        "bob@example.com" => 2,
        _ => 0,
    };
    if user == 0 || form["password"] != PASSWORD {
        return match state.manners {
            Manners::JwtAuth => {
                Reply::with("401 Unauthorized", "content-type: application/json\r\n", r#"{"error":"Unauthorized"}"#)
            }
            Manners::Sanctum | Manners::RefreshTokens => {
                let wrong = "The provided credentials are incorrect.";
                let body = json!({ "message": wrong, "errors": { "email": [wrong] } });
                Reply::with("422 Unprocessable Content", "content-type: application/json\r\n", &body.to_string())
            }
        };
    }
    Reply::json(&state.granted(user).to_string())
}

fn unauthenticated() -> Reply {
    message("401 Unauthorized", "Unauthenticated.")
}

fn message(status: &str, message: &str) -> Reply {
    Reply::with(status, "content-type: application/json\r\n", &json!({ "message": message }).to_string())
}
