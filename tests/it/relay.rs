//! `kind = "relay"`: APIs with a JSON login of their own, with the real binary and an API that has their manners.
//!
//! A test that cannot fail proves nothing. These faults were planted, and seen:
//!
//! | planted | red in |
//! |---|---|
//! | no proof of same origin; any content type; no budget for logins; the password in a debug line | `login` |
//! | the session before goes on; a user's description or a refusal that is not cleansed | `login`, `answers`, `refresh` |
//! | redirects are followed; a refusal without JSON is an outage; nobody knocks at an API that was down | `answers` |
//! | a page asks the API for a token itself; with a format behind the path; through a stripped prefix; a login's path is closed to reads | `page` |
//! | `return_to` as it came; `prompt=none` is asked all the same | `page` |
//! | no token of its own to refresh with; a 5xx is a refusal; a lost answer is not asked for again; another user's token | `refresh` |
//! | a first step's answer as it came; its cookies lost; what announces no step; another provider's step | `step` |
//! | a null that counts as a token; a deleted cookie that stays; more cookies than fit; a step that is shared as a session | `step` |
//! | a word or a JSON scalar that counts as the token | `answers`, `refresh` |
//! | no repetition of a call that an early refresh has overtaken | `refresh` |
//! | tokens are not given back; users of all relays are one issuer's | `sessions`, `answers` |

use std::sync::Barrier;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Browser, Gateway, Manners, PASSWORD, Redis, Request, Response, TokenApi, cloakroom, free_port, fresh_key, try_send,
};

mod answers;
mod login;
mod page;
mod refresh;
mod sessions;
mod step;

/// An API, and gateways in front of it: one in memory, or several on one Redis.
struct Stage {
    api: TokenApi,
    gateways: Vec<Gateway>,
    origin: String,
    key: String,
    config: std::path::PathBuf,
    _dir: TempDir,
}

/// What a test wants otherwise.
struct Wish<'a> {
    manners: Manners,
    /// How long tokens live, in seconds.
    ttl: u64,
    /// `[[site.provider]]` lines beyond what the manners take.
    provider: &'a [&'a str],
    /// `[[site]]` lines.
    site: &'a [&'a str],
    /// `[server]` lines.
    server: &'a [&'a str],
    /// Whole tables at the end.
    further: String,
    redis: Option<&'a Redis>,
    gateways: usize,
}

impl Wish<'_> {
    const fn new(manners: Manners) -> Self {
        Self {
            manners,
            ttl: 3600,
            provider: &[],
            site: &[],
            server: &[],
            further: String::new(),
            redis: None,
            gateways: 1,
        }
    }
}

/// The provider's lines for an API with these manners.
fn provider_lines(manners: Manners, api: &str) -> String {
    match manners {
        Manners::JwtAuth => format!(
            "login_url = \"{api}/api/auth/login\"\nrefresh_url = \"{api}/api/auth/refresh\"\n\
             logout_hook = \"{api}/api/auth/logout\"\nuser_url = \"{api}/api/auth/me\"\n"
        ),
        Manners::Sanctum => {
            format!("login_url = \"{api}/api/login\"\nlogout_hook = \"{api}/api/logout\"\ntoken_pointer = \"/token\"\n")
        }
        Manners::RefreshTokens => format!(
            "login_url = \"{api}/api/login\"\nrefresh_url = \"{api}/api/refresh\"\nlogout_hook = \"{api}/api/logout\"\n\
             token_pointer = \"/data/accessToken\"\nexpires_in_pointer = \"/data/expiresIn\"\n\
             refresh_token_pointer = \"/data/refreshToken\"\nsub_pointer = \"/data/user/id\"\n\
             name_pointer = \"/data/user/name\"\nemail_pointer = \"/data/user/email\"\n"
        ),
    }
}

impl Stage {
    fn new(manners: Manners) -> Self {
        Self::of(Wish::new(manners))
    }

    fn of(wish: Wish<'_>) -> Self {
        let api = TokenApi::start(wish.manners, wish.ttl);
        Self::at(wish, api)
    }

    /// In front of an API that runs already.
    fn at(wish: Wish<'_>, api: TokenApi) -> Self {
        let ports: Vec<(u16, u16)> = (0..wish.gateways).map(|_| (free_port(), free_port())).collect();
        let origin = format!("http://one.localhost:{}", ports[0].0);
        let dir = TempDir::new().expect("a temporary directory");
        let (key, store) = (fresh_key(), wish.redis.map_or("memory:".to_owned(), Redis::url));
        let write = |number: usize, (port, admin_port): (u16, u16)| {
            let text = format!(
                "[server]\nlisten = \"127.0.0.1:{port}\"\nworkers = 2\nshutdown_grace = \"5s\"\n{}\n\
                 [admin]\nlisten = \"127.0.0.1:{admin_port}\"\n[store]\nurl = \"{store}\"\ngrace = \"0s\"\n\
                 [log]\nlevel = \"debug\"\n[[site]]\norigin = \"{origin}\"\n{}\n\
                 [site.session]\nkeys = [\"{key}\"]\nclaims = [\"sub\", \"name\", \"email\", \"role\", \"api_token\"]\n\
                 [[site.provider]]\nname = \"api\"\nkind = \"relay\"\n{}{}\n\
                 [[site.route]]\npath = \"/api\"\nupstream = \"{}\"\n{}",
                wish.server.join("\n"),
                wish.site.join("\n"),
                provider_lines(wish.manners, &api.url()),
                wish.provider.join("\n"),
                api.url(),
                wish.further,
            );
            let path = dir.path().join(format!("gateway-{number}.toml"));
            std::fs::write(&path, text).expect("a temporary directory is writable");
            path
        };
        let paths: Vec<_> = ports.iter().enumerate().map(|(number, ports)| write(number, *ports)).collect();
        let serve = |(path, (port, admin)): (&std::path::PathBuf, &(u16, u16))| Gateway::serve(path, *port, *admin);
        let gateways = paths.iter().zip(&ports).map(serve).collect();
        let config = paths[0].clone();
        Self { api, gateways, origin, key, config, _dir: dir }
    }

    /// A login as the app's own script sends it.
    #[track_caller]
    fn log_in(&self, browser: &mut Browser, credentials: &Value) -> Response {
        self.post(browser, "/bff/login", credentials)
    }

    #[track_caller]
    fn post(&self, browser: &mut Browser, path: &str, body: &Value) -> Response {
        let request = Request::new("POST", "").header("Content-Type", "application/json").body(body.to_string());
        browser.fetch_with(&self.origin, request, path)
    }

    /// A browser that is signed in as Ada.
    #[track_caller]
    fn signed_in(&self) -> Browser {
        let mut browser = Browser::new();
        let answer = self.log_in(&mut browser, &ada());
        assert_eq!(answer.status, 200, "{} {}", answer.reason(), answer.text());
        browser
    }

    /// What the API itself answers to Ada's login, without a gateway in between.
    #[track_caller]
    fn granted(&self) -> Value {
        let request = Request::new("POST", "/api/auth/login").header("Host", "api").header("Accept", "*/*");
        let answer = try_send(self.api.upstream.port(), &request.body(ada().to_string()));
        answer.expect("the API answers").json()
    }

    /// A login's request with exactly the words of `headers`, from no browser.
    fn request(&self, headers: &[(&str, &str)], body: &str) -> Request {
        let authority = self.origin.split_once("://").expect("an origin has a scheme").1;
        let request = Request::new("POST", "/bff/login").header("Host", authority).body(body);
        headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }

    #[track_caller]
    fn send(&self, request: &Request) -> Response {
        try_send(self.gateways[0].port, request).expect("the gateway answers")
    }

    /// What `cloakroom check` says of the configuration.
    #[track_caller]
    fn table(&self) -> String {
        let output = cloakroom().arg("check").arg("--config").arg(&self.config).output().expect("the binary was built");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Every secret so far, by name and value.
    fn secrets(&self) -> Vec<(String, String)> {
        let tokens = self.api.issued().into_iter().map(|token| ("token".to_owned(), token));
        let own = [("password", PASSWORD), ("key", &self.key), ("column", "canary-column-of-the-user")];
        tokens.chain(own.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
    }

    /// `count` calls at once, dealt out over the gateways in turn.
    fn storm(&self, count: usize, browser: &Browser, path: &str) -> Vec<Response> {
        let together = Barrier::new(count);
        let call = |turn: usize| {
            let mut tab = browser.clone();
            tab.route(&self.origin, self.gateways[turn % self.gateways.len()].port);
            together.wait();
            tab.get(&self.origin, path)
        };
        std::thread::scope(|scope| {
            let call = &call;
            let running: Vec<_> = (0..count).map(|turn| scope.spawn(move || call(turn))).collect();
            running.into_iter().map(|one| one.join().expect("a call gets an answer")).collect()
        })
    }
}

fn ada() -> Value {
    json!({ "email": "ada@example.com", "password": PASSWORD })
}

fn bob() -> Value {
    json!({ "email": "bob@example.com", "password": PASSWORD })
}

/// The one wait for a clock: the API says for how long its token is good.
fn let_tokens_expire() {
    std::thread::sleep(Duration::from_millis(1100));
}
