//! `config/tutorials/jwt-auth.toml` as a new user has it, with names of this machine put in.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{PASSWORD, let_tokens_expire};
use crate::support::{
    Browser, Gateway, Manners, Process, Request, TokenApi, cloakroom, eventually, free_port, fresh_key, root,
};

fn tutorial(name: &str) -> String {
    std::fs::read_to_string(root().join("config/tutorials").join(name)).expect("stands in the repository")
}

/// The tutorial's gateway on this machine, with an API that has jwt-auth's manners, and an app in `spa`.
struct Tried {
    api: TokenApi,
    origin: String,
    _gateway: Gateway,
    _dir: TempDir,
}

impl Tried {
    fn start(spa: &Path) -> Self {
        let api = TokenApi::start(Manners::JwtAuth, 1);
        let (port, admin_port, dir) = (free_port(), free_port(), TempDir::new().expect("a temporary directory"));
        let origin = format!("http://app.localhost:{port}");
        let mut text = tutorial("jwt-auth.toml");
        for (theirs, ours) in [
            ("0.0.0.0:8080", format!("127.0.0.1:{port}")),
            ("https://app.example", origin.clone()),
            ("https://api.example", api.url()),
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
        Self { api, origin, _gateway: gateway, _dir: dir }
    }
}

#[test]
fn the_tutorial_works_as_it_is_written() {
    let spa = TempDir::new().expect("a temporary directory");
    std::fs::write(spa.path().join("index.html"), "<h1>the app</h1>").expect("writable");
    let tried = Tried::start(spa.path());
    let (api, origin) = (&tried.api, &tried.origin);
    let mut browser = Browser::new();
    let refused = browser.get(origin, "/api/orders");
    refused.refuses(401, "no_session");
    let login = refused.json()["login_url"].as_str().expect("a path").to_owned();
    let page = browser.open(&format!("{origin}{login}?return_to=/orders"));
    assert_eq!((page.url, page.response.status), (format!("{origin}/login?return_to=%2Forders"), 200));
    assert!(page.response.text().contains("the app"));
    let mut submit = |credentials: &Value| {
        let form = Request::new("POST", "").header("Content-Type", "application/json").body(credentials.to_string());
        (browser.fetch_with(origin, form, "/bff/login"), browser.clone())
    };
    assert_eq!(submit(&json!({ "password": "x" })).0.json()["errors"]["email"][0], "The email field is required.");
    assert_eq!(submit(&json!({ "email": "ada@example.com", "password": "x" })).0.status, 401);
    let (logged_in, mut browser) = submit(&json!({ "email": "ada@example.com", "password": PASSWORD }));
    assert_eq!(logged_in.status, 200);
    let user = json!({ "sub": "1", "name": "Ada Lovelace", "email": "ada@example.com" });
    assert_eq!(logged_in.json()["user"], user);
    api.tokens_live(900);
    let_tokens_expire();
    assert_eq!(browser.get(origin, "/api/orders").json(), json!({ "user": 1 }));
    assert_eq!(api.posts("/api/auth/refresh").len(), 1);
    assert_eq!(browser.post(origin, "/bff/logout").json(), json!({ "logout_url": null }));
    let newest = api.issued().pop().expect("a token");
    eventually("the API should hear of the logout", || (!api.knows(&newest)).then_some(()));
    browser.get(origin, "/api/orders").refuses(401, "no_session");
    browser.saw_none_of(&api.issued().into_iter().map(|token| ("token".to_owned(), token)).collect::<Vec<_>>());
}

#[test]
fn the_tutorial_shows_the_file_beside_it_and_only_keys_that_are_there() {
    let (text, config) = (tutorial("jwt-auth.md"), tutorial("jwt-auth.toml"));
    let sanctum = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("Sanctum's entry");
    let start = config.find("[[site.provider]]").expect("an entry");
    let end = config.find("[site.spa]").expect("a section");
    let whole = format!("{}{sanctum}\n{}", &config[..start], &config[end..]);
    let dir = TempDir::new().expect("a temporary directory");
    let here = dir.path().display().to_string();
    std::fs::create_dir(dir.path().join("app")).expect("writable");
    let file = dir.path().join("sanctum.toml");
    let whole = whole.replace("/srv/", &format!("{here}/")).replace("/var/lib/cloakroom", &here);
    std::fs::write(&file, whole).expect("writable");
    let mut check = cloakroom();
    let output =
        check.env("CLOAKROOM_KEY", fresh_key()).args(["check", "--config"]).arg(&file).output().expect("it was built");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_form_of_a_real_browser_logs_in_with_the_helper() {
    let dir = root().join("tests/browser");
    assert!(dir.join("node_modules").is_dir(), "run tests/run, or npm ci in {}", dir.display());
    let chromium = crate::client_js::chromium();
    let tried = Tried::start(&dir.join("tabs"));
    tried.api.tokens_live(900);
    let order =
        json!({ "site": tried.origin, "email": "ada@example.com", "password": PASSWORD, "executable": chromium });
    let mut process = Process::start(
        Command::new("node").current_dir(&dir).args(["form.mjs", &order.to_string()]),
        "apt-get install nodejs npm",
    );
    process.wait(Duration::from_secs(90));
    let report: Value =
        serde_json::from_str(&process.stdout()).unwrap_or_else(|error| panic!("{error}: {}", process.output()));
    assert_eq!(report["ok"], true, "{report:#}");
    let seen = report.to_string();
    assert!(tried.api.issued().iter().all(|token| !seen.contains(token)), "the browser saw a token: {seen}");
}
