//! `config/tutorials/jwt-auth.md` and `jwt-auth.toml` as a new user has them, with names of this machine put in: one site, the
//! embedded provider as Laravel's `/api/auth`, and an API behind `auth:api`.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use cloakroom::clock::{Clock, Timestamp};
use cloakroom::config::{self, ProviderKind, RelayConfig};
use cloakroom::dev::provider::{AccessTokens, Behaviour, EmbeddedProvider, PASSWORD};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{provider, tutorial};
use crate::support::{
    Browser, Gateway, Process, Recorded, Reply, Request, Response, Upstream, cloakroom, eventually, free_port,
    fresh_key, root,
};

const ADA: &str = "ada@people.example";

/// The tutorial's gateway on this machine, with an app in `spa`.
struct Tried {
    /// Laravel's, which moves only when it is told to.
    clock: Clock,
    provider: Arc<EmbeddedProvider>,
    laravel: Upstream,
    origin: String,
    _gateway: Gateway,
    _dir: TempDir,
}

/// An API behind `auth:api`.
fn laravel(request: &Recorded, tokens: &AccessTokens) -> Reply {
    let authorization = request.all("authorization");
    let bearer = authorization.first().and_then(|value| value.strip_prefix("Bearer "));
    if bearer.is_some_and(|bearer| tokens.verify(bearer).is_ok()) {
        return Reply::json(r#"{"orders":[]}"#);
    }
    Reply::with("401 Unauthorized", "content-type: application/json\r\n", r#"{"message":"Unauthenticated."}"#)
}

impl Tried {
    fn start(spa: &Path) -> Self {
        let clock = Clock::manual(Timestamp::from_secs(1_800_000_000));
        let provider = provider("jwt-auth", Vec::new(), &clock);
        let (laravel, tokens) = (Upstream::start(), provider.access_tokens());
        laravel.answers(move |request| self::laravel(request, &tokens));
        let (port, admin_port, dir) = (free_port(), free_port(), TempDir::new().expect("a temporary directory"));
        let origin = format!("http://app.localhost:{port}");
        let mut text = tutorial("jwt-auth.toml");
        for (theirs, ours) in [
            ("0.0.0.0:8080", format!("127.0.0.1:{port}")),
            ("https://app.example", origin.clone()),
            ("\nurl = \"https://api.example\"", format!("\nurl = \"{}\"", provider.address())),
            ("https://api.example", laravel.url()),
            ("/srv/app", spa.display().to_string()),
            ("/var/lib/cloakroom", dir.path().display().to_string()),
            ("{ env = \"CLOAKROOM_KEY\" }", format!("\"{}\"", fresh_key())),
        ] {
            assert!(text.contains(theirs), "{theirs} is the tutorial's");
            text = text.replace(theirs, &ours);
        }
        text.push_str(&format!("\n[admin]\nlisten = \"127.0.0.1:{admin_port}\"\n"));
        let config = dir.path().join("jwt-auth.toml");
        std::fs::write(&config, text).expect("a temporary directory is writable");
        for command in ["check", "doctor"] {
            let output = cloakroom().arg(command).arg("--config").arg(&config).output().expect("the binary was built");
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{command}: {said}");
        }
        let gateway = Gateway::serve(&config, port, admin_port);
        Self { clock, provider, laravel, origin, _gateway: gateway, _dir: dir }
    }

    /// Tokens issued from now on live for so many seconds.
    fn tokens_live(&self, seconds: u64) {
        let lifetime = Duration::from_secs(seconds);
        self.provider.behave(Behaviour { access_token_lifetime: lifetime, ..self.provider.behaviour() });
    }

    fn submit(&self, browser: &mut Browser, credentials: &Value) -> Response {
        let form = Request::new("POST", "").header("Content-Type", "application/json").body(credentials.to_string());
        browser.fetch_with(&self.origin, form, "/bff/login")
    }

    /// The bearers that the API was shown.
    fn bearers(&self) -> Vec<String> {
        let orders = |request: &&Recorded| request.target == "/api/orders";
        self.laravel.requests().iter().filter(orders).map(|request| request.bearer().to_owned()).collect()
    }

    fn is_good(&self, token: &str) -> bool {
        self.provider.access_tokens().verify(token).is_ok()
    }
}

#[test]
fn an_app_lives_with_jwt_auth_as_the_tutorial_says() {
    let spa = TempDir::new().expect("a temporary directory");
    std::fs::write(spa.path().join("index.html"), "<h1>the app</h1>").expect("writable");
    let tried = Tried::start(spa.path());
    let origin = &tried.origin;
    let mut browser = Browser::new();
    let refused = browser.get(origin, "/api/orders");
    refused.refuses(401, "no_session");
    let login = refused.json()["login_url"].as_str().expect("a path").to_owned();
    let page = browser.open(&format!("{origin}{login}?return_to=/orders"));
    assert_eq!((page.url, page.response.status), (format!("{origin}/login?return_to=%2Forders"), 200));
    assert!(page.response.text().contains("the app"));

    // The form gets Laravel's own words.
    let missing = tried.submit(&mut browser, &json!({ "password": "x" }));
    assert_eq!((missing.status, &missing.json()["errors"]["email"][0]), (422, &"The email field is required.".into()));
    assert_eq!(tried.submit(&mut browser, &json!({ "email": ADA, "password": "x" })).status, 401);
    tried.tokens_live(1);
    let logged_in = tried.submit(&mut browser, &json!({ "email": ADA, "password": PASSWORD }));
    assert_eq!(logged_in.status, 200, "{}", logged_in.text());
    assert_eq!(logged_in.json()["user"], json!({ "sub": "1", "name": "Ada Lovelace", "email": ADA }));
    assert_eq!(browser.get(origin, "/api/orders").status, 200);

    // The token is over: one refresh with it, and Laravel refuses it from then on.
    tried.tokens_live(900);
    tried.clock.advance(Duration::from_secs(5));
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(browser.get(origin, "/api/orders").json(), json!({ "orders": [] }));
    assert_eq!(tried.provider.tally().refreshes, 1);
    let [first, second] = tried.bearers().try_into().expect("two calls reached the API");
    assert!(first != second && !tried.is_good(&first) && tried.is_good(&second));

    assert_eq!(browser.post(origin, "/bff/logout").json(), json!({ "logout_url": null }));
    eventually("the API should hear of the logout", || (!tried.is_good(&second)).then_some(()));
    browser.get(origin, "/api/orders").refuses(401, "no_session");
    assert_eq!(tried.provider.complaints(), Vec::<String>::new(), "nothing was asked that Laravel refuses");
    let tokens = [first, second].map(|token| ("token".to_owned(), token));
    browser.saw_none_of(&tokens);
}

#[test]
fn a_token_that_jwt_auth_renews_no_more_ends_the_session_with_its_reason() {
    let spa = TempDir::new().expect("a temporary directory");
    std::fs::write(spa.path().join("index.html"), "<h1>the app</h1>").expect("writable");
    let tried = Tried::start(spa.path());
    let mut browser = Browser::new();
    tried.tokens_live(1);
    assert_eq!(tried.submit(&mut browser, &json!({ "email": ADA, "password": PASSWORD })).status, 200);
    tried.clock.advance(Duration::from_secs(13 * 3600));
    std::thread::sleep(Duration::from_millis(1100));
    browser.get(&tried.origin, "/api/orders").refuses(401, "refresh_rejected");
    assert_eq!(browser.session(&tried.origin)["reason"], "refresh_rejected");
}

/// What a provider's entry comes to in the tutorial's file.
fn understood(entry: &str) -> RelayConfig {
    let config = tutorial("jwt-auth.toml");
    let start = config.find("[[site.provider]]").expect("an entry");
    let end = config.find("[site.spa]").expect("a section");
    let entry = if entry.is_empty() { &config[start..end] } else { entry };
    let whole = format!("{}{entry}\n{}", &config[..start], &config[end..]);
    let dir = TempDir::new().expect("a temporary directory");
    let here = dir.path().display().to_string();
    std::fs::create_dir(dir.path().join("app")).expect("writable");
    let whole = whole.replace("/srv/", &format!("{here}/")).replace("/var/lib/cloakroom", &here);
    let key = fresh_key();
    let read =
        config::read_text(Path::new("tutorial.toml"), &whole, &|name| (name == "CLOAKROOM_KEY").then(|| key.clone()));
    let read = read.unwrap_or_else(|faults| panic!("{faults}\n{whole}"));
    match &read.sites[0].providers[0].kind {
        ProviderKind::Relay(relay) => *relay.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_tutorial_tells_laravel_what_its_configuration_asks_for() {
    let text = tutorial("jwt-auth.md");
    let relay = understood("");
    let asked = [
        ("login", "post", Some(relay.login_url)),
        ("refresh", "post", relay.refresh.map(|refresh| refresh.url)),
        ("me", "get", relay.user_url),
        ("logout", "post", relay.logout_hook),
    ];
    assert!(text.contains("Route::prefix('auth')"), "in routes/api.php, which is below /api");
    for (name, method, url) in asked {
        assert_eq!(url.map(String::from), Some(format!("https://api.example/api/auth/{name}")));
        assert!(text.contains(&format!("Route::{method}('{name}', '{name}')")), "{name}");
    }
    assert_eq!(relay.login_page.as_deref(), Some("/login"));
}

#[test]
fn the_tutorial_s_entry_for_sanctum_fits_into_its_file() {
    let text = tutorial("jwt-auth.md");
    let entry = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("Sanctum's entry");
    let sanctum = understood(entry);
    let asked = [("/sanctum/token", Some(sanctum.login_url)), ("/logout", sanctum.logout_hook)];
    for (path, url) in asked {
        assert_eq!(url.map(String::from), Some(format!("https://api.example/api{path}")));
        assert!(text.contains(&format!("Route::post('{path}'")), "{path}");
    }
    assert_eq!((sanctum.token.as_str(), sanctum.subject.as_str()), ("", "/id"));
    assert!(sanctum.refresh.is_none() && sanctum.user_url.is_some() && text.contains("device_name: "));
}

#[test]
fn the_form_of_a_real_browser_logs_in_with_the_helper() {
    let dir = root().join("tests/browser");
    assert!(dir.join("node_modules").is_dir(), "run tests/run, or npm ci in {}", dir.display());
    let chromium = crate::client_js::chromium();
    let tried = Tried::start(&dir.join("tabs"));
    let order = json!({ "site": tried.origin, "email": ADA, "password": PASSWORD, "executable": chromium });
    let mut process = Process::start(
        Command::new("node").current_dir(&dir).args(["form.mjs", &order.to_string()]),
        "apt-get install nodejs npm",
    );
    process.wait(Duration::from_secs(90));
    let report: Value =
        serde_json::from_str(&process.stdout()).unwrap_or_else(|error| panic!("{error}: {}", process.output()));
    assert_eq!(report["ok"], true, "{report:#}");
    let seen = report.to_string();
    let bearers = tried.bearers();
    assert!(
        !bearers.is_empty() && bearers.iter().all(|token| !seen.contains(token)),
        "the browser saw a token: {seen}"
    );
}
