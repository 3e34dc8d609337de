//! An authorization server as Laravel Passport 12 is one: no discovery, no ID token, no `scope` in its answers, users at
//! `/api/user`, and every refresh spends the token before it. Whoever comes is Ada, and has agreed already.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::upstream::Recorded;
use super::{Reply, Upstream, fresh_key};

/// A running server.
pub struct Passport {
    server: Upstream,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// What some paths answer instead.
    instead: HashMap<String, Reply>,
    /// And some to those alone who show a token.
    instead_to_bearers: HashMap<String, Reply>,
    /// Codes with the redirect URI and the challenge that they are bound to.
    codes: HashMap<String, (String, String)>,
    /// What was pushed, by its handle.
    pushed: HashMap<String, HashMap<String, String>>,
    forgetful: bool,
    refresh_tokens: HashSet<String>,
    /// Access tokens with their ends.
    access_tokens: HashMap<String, Instant>,
    /// What the callback carries beside code and state.
    iss: Option<String>,
    user: Value,
    expires_in: u64,
    /// How long the answers of the token endpoint take.
    lateness: Duration,
}

impl Passport {
    pub fn start() -> Self {
        let server = Upstream::start();
        let user = json!({ "id": 7, "name": "Ada Lovelace", "email": "ada@people.example" });
        let state = Arc::new(Mutex::new(State { user, expires_in: 900, ..State::default() }));
        let answering = Arc::clone(&state);
        server.answers(move |request| answering.lock().expect("nothing panics").answer(request));
        Self { server, state }
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The provider's table, without `name` and client.
    pub fn lines(&self) -> Vec<String> {
        let url = self.url();
        vec![
            "kind = \"oauth2\"".into(),
            format!("authorization_endpoint = \"{url}/oauth/authorize\""),
            format!("token_endpoint = \"{url}/oauth/token\""),
            format!("userinfo_endpoint = \"{url}/api/user\""),
            "sub_pointer = \"/id\"".into(),
            "client_id = \"spa\"".into(),
            "client_secret = \"not-so-secret-here\"".into(),
        ]
    }

    /// From now on `path` answers this.
    pub fn instead(&self, path: &str, reply: Reply) {
        self.state().instead.insert(path.to_owned(), reply);
    }

    /// From now on `path` answers this to those who show a token; without one it refuses as ever.
    pub fn instead_to_bearers(&self, path: &str, reply: Reply) {
        self.state().instead_to_bearers.insert(path.to_owned(), reply);
    }

    /// From now on callbacks carry this `iss`.
    pub fn names_issuer(&self, iss: &str) {
        self.state().iss = Some(iss.to_owned());
    }

    /// From now on the user endpoint says this.
    pub fn user(&self, user: Value) {
        self.state().user = user;
    }

    /// From now on access tokens live for this many seconds.
    pub fn tokens_live(&self, seconds: u64) {
        self.state().expires_in = seconds;
    }

    /// From now on the token endpoint takes its time after it has given out a token: the one before is over already.
    pub fn is_slow_to_answer(&self, lateness: Duration) {
        self.state().lateness = lateness;
    }

    /// From now on codes are over before they are redeemed.
    pub fn forgets_codes(&self) {
        self.state().forgetful = true;
    }

    /// Every refresh token is over, as after a change of Laravel's key.
    pub fn forget_refresh_tokens(&self) {
        self.state().refresh_tokens.clear();
    }

    /// What league/oauth2-server 8 says of a code that is over.
    pub fn refuse_code(hint: &str) -> Reply {
        let message = "The request is missing a required parameter, includes an invalid parameter value, includes a parameter \
                       more than once, or is otherwise malformed.";
        State::refuse("400 Bad Request", message, hint)
    }

    /// Whether anybody could still get an access token.
    pub fn has_refresh_tokens(&self) -> bool {
        !self.state().refresh_tokens.is_empty()
    }

    /// The requests to `path` so far.
    pub fn asked(&self, path: &str) -> Vec<Recorded> {
        let path_of = |request: &Recorded| request.target.split('?').next() == Some(path);
        self.server.requests().into_iter().filter(path_of).collect()
    }

    /// The form of a request.
    pub fn form(request: &Recorded) -> HashMap<String, String> {
        url::form_urlencoded::parse(&request.body).into_owned().collect()
    }

    /// The query of a request.
    pub fn query(request: &Recorded) -> HashMap<String, String> {
        let query = request.target.split_once('?').map_or("", |(_, query)| query);
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics")
    }
}

impl State {
    fn answer(&mut self, request: &Recorded) -> Reply {
        let path = request.target.split('?').next().unwrap_or_default();
        if let Some(reply) = self.instead.get(path) {
            return reply.clone();
        }
        if let Some(reply) = self.instead_to_bearers.get(path)
            && !request.all("authorization").is_empty()
        {
            return reply.clone();
        }
        match path {
            "/oauth/authorize" => {
                let query = Passport::query(request);
                let pushed = query.get("request_uri").and_then(|handle| self.pushed.remove(handle));
                self.authorize(&pushed.unwrap_or(query))
            }
            "/oauth/par" => {
                let handle = format!("urn:ietf:params:oauth:request_uri:{}", fresh_key());
                self.pushed.insert(handle.clone(), Passport::form(request));
                let body = json!({ "request_uri": handle, "expires_in": 60 }).to_string();
                Reply::with("201 Created", "content-type: application/json\r\n", &body)
            }
            "/oauth/token" => match self.token(&Passport::form(request)) {
                Reply::Raw(answer) => Reply::After(self.lateness, answer),
                other => other,
            },
            "/api/user" if self.knows(request) => Reply::json(&self.user.to_string()),
            "/api/logout" if self.knows(request) => self.log_out(),
            "/api/user" | "/api/logout" => Reply::with(
                "401 Unauthorized",
                "content-type: application/json\r\n",
                r#"{"message":"Unauthenticated."}"#,
            ),
            "/oauth/revoke" => Reply::json("{}"),
            _ => Reply::with("404 Not Found", "", ""),
        }
    }

    fn authorize(&mut self, query: &HashMap<String, String>) -> Reply {
        let get = |name: &str| query.get(name).cloned().unwrap_or_default();
        let mut location = url::Url::parse(&get("redirect_uri")).expect("a redirect URI");
        let known = ["orders", "profile"];
        if get("scope").split_whitespace().any(|scope| !known.contains(&scope)) {
            // It gives no state back.
            location.query_pairs_mut().append_pair("error", "invalid_scope");
        } else {
            assert_eq!(get("code_challenge_method"), "S256");
            let code = fresh_key();
            location.query_pairs_mut().append_pair("code", &code);
            self.codes.insert(code, (get("redirect_uri"), get("code_challenge")));
            location.query_pairs_mut().append_pair("state", &get("state"));
        }
        if let Some(iss) = &self.iss {
            location.query_pairs_mut().append_pair("iss", iss);
        }
        Reply::with("302 Found", &format!("location: {location}\r\n"), "")
    }

    fn token(&mut self, form: &HashMap<String, String>) -> Reply {
        let get = |name: &str| form.get(name).cloned().unwrap_or_default();
        match get("grant_type").as_str() {
            "authorization_code" => {
                let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, get("code_verifier").as_bytes()));
                let bound = self.codes.remove(&get("code")).filter(|_| !self.forgetful);
                if bound != Some((get("redirect_uri"), challenge)) {
                    return Passport::refuse_code("Authorization code has been revoked");
                }
            }
            "refresh_token" => {
                if !self.refresh_tokens.remove(&get("refresh_token")) {
                    return Self::refuse("401 Unauthorized", "The refresh token is invalid.", "Token has been revoked");
                }
                self.access_tokens.clear();
            }
            other => panic!("grant type {other}"),
        }
        let (access, refresh) = (fresh_key(), fresh_key());
        let answer = json!({
            "token_type": "Bearer", "expires_in": self.expires_in, "access_token": access, "refresh_token": refresh,
        });
        self.access_tokens.insert(access, Instant::now() + Duration::from_secs(self.expires_in));
        self.refresh_tokens.insert(refresh);
        Reply::json(&answer.to_string())
    }

    /// What league/oauth2-server 8 says of a grant that is over.
    fn refuse(status: &str, message: &str, hint: &str) -> Reply {
        let body =
            json!({ "error": "invalid_request", "error_description": message, "hint": hint, "message": message });
        Reply::with(status, "content-type: application/json\r\n", &body.to_string())
    }

    fn knows(&self, request: &Recorded) -> bool {
        let authorization = request.all("authorization");
        let bearer = authorization.first().and_then(|value| value.strip_prefix("Bearer "));
        bearer.and_then(|bearer| self.access_tokens.get(bearer)).is_some_and(|until| *until > Instant::now())
    }

    /// The route of the tutorial, for the one person who is there.
    fn log_out(&mut self) -> Reply {
        self.access_tokens.clear();
        self.refresh_tokens.clear();
        Reply::with("204 No Content", "", "")
    }
}
