//! `config/tutorials/passport.md` and `passport.toml` as a new user has them, with names of this machine put in: two sites on
//! Redis, the embedded provider as Laravel's `/oauth` and `/api/user`, and the rest of that Laravel as the tutorial writes it.

mod jwt_auth;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cloakroom::clock::{Clock, Timestamp};
use cloakroom::dev::provider::{AccessTokens, Behaviour, Client, EmbeddedProvider, Profile, Setup};
use cloakroom::secret::ClientSecret;
use tempfile::TempDir;

use crate::support::{
    Browser, Gateway, Recorded, Redis, Reply, Upstream, cloakroom, embedded, eventually, free_port, fresh_key, root,
};

const APPS: [&str; 2] = ["app-one", "app-two"];

fn tutorial(name: &str) -> String {
    std::fs::read_to_string(root().join("config/tutorials").join(name)).expect("stands in the repository")
}

fn provider(profile: &str, clients: Vec<Client>, clock: &Clock) -> Arc<EmbeddedProvider> {
    let profile = *Profile::named(profile).expect("a profile");
    embedded(Setup { clients, clock: clock.clone(), ..Setup::of(profile) })
}

/// What the tutorial adds to Laravel beside Passport, and an API behind `auth:api`.
fn laravel(request: &Recorded, tokens: &AccessTokens, known: &[String]) -> Reply {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let query: HashMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    if path == "/oauth/logout" {
        let back = query.get("return_to").filter(|back| known.contains(back));
        let Some(back) = back else { return Reply::with("400 Bad Request", "", "") };
        let state = query.get("state").map(String::as_str).unwrap_or_default();
        return Reply::with("302 Found", &format!("location: {back}?state={state}\r\n"), "");
    }
    let authorization = request.all("authorization");
    let bearer = authorization.first().and_then(|value| value.strip_prefix("Bearer "));
    if bearer.is_some_and(|bearer| tokens.verify(bearer).is_ok()) {
        return Reply::json(r#"{"orders":[]}"#);
    }
    Reply::with("401 Unauthorized", "content-type: application/json\r\n", r#"{"message":"Unauthenticated."}"#)
}

/// The tutorial's gateway on this machine.
struct Tried {
    /// Laravel's, which moves only when it is told to.
    clock: Clock,
    provider: Arc<EmbeddedProvider>,
    laravel: Upstream,
    origins: [String; 2],
    config: PathBuf,
    _gateway: Gateway,
    _redis: Redis,
    _dir: TempDir,
}

impl Tried {
    fn start(profile: &str) -> Self {
        let (port, admin_port, redis) = (free_port(), free_port(), Redis::start());
        let origins = APPS.map(|app| format!("http://{app}.localhost:{port}"));
        let secrets = [fresh_key(), fresh_key()];
        let written: toml::Table = tutorial("passport.toml").parse().expect("it is TOML");
        let ids =
            [0, 1].map(|site| written["site"][site]["provider"][0]["client_id"].as_str().expect("a text").to_owned());
        let client = |site: usize| Client {
            id: ids[site].clone(),
            name: APPS[site].to_owned(),
            secret: Some(ClientSecret::new(&secrets[site])),
            redirect_uris: vec![format!("{}/bff/callback", origins[site])],
            post_logout_redirect_uris: Vec::new(),
            backchannel_logout_uri: None,
        };
        let clock = Clock::manual(Timestamp::from_secs(1_800_000_000));
        let provider = provider(profile, vec![client(0), client(1)], &clock);
        let (laravel, tokens) = (Upstream::start(), provider.access_tokens());
        let known = origins.clone().map(|origin| format!("{origin}/bff/logout/callback"));
        laravel.answers(move |request| self::laravel(request, &tokens, &known));
        let dir = TempDir::new().expect("a temporary directory");
        let mut text = tutorial("passport.toml");
        let mut put = |theirs: &str, ours: &str| {
            assert!(text.contains(theirs), "{theirs} is the tutorial's");
            text = text.replace(theirs, ours);
        };
        put("0.0.0.0:8080", &format!("127.0.0.1:{port}"));
        put("127.0.0.1:9090", &format!("127.0.0.1:{admin_port}"));
        put("url = \"https://api.example\"\nclient_id", &format!("url = \"{}\"\nclient_id", provider.address()));
        put("https://api.example", &laravel.url());
        put("/srv/", &format!("{}/", dir.path().display()));
        for (app, origin) in APPS.iter().zip(&origins) {
            put(&format!("https://{app}.example"), origin);
            std::fs::create_dir(dir.path().join(app)).expect("writable");
            std::fs::write(dir.path().join(app).join("index.html"), format!("<h1>{app}</h1>")).expect("writable");
        }
        let file = |name: &str, value: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, value).expect("writable");
            format!("{{ file = \"{}\" }}", path.display())
        };
        put("{ env = \"REDIS_URL\" }", &file("redis", &redis.url()));
        for (index, app) in ["ONE", "TWO"].into_iter().enumerate() {
            put(&format!("{{ env = \"APP_{app}_KEY\" }}"), &file(&format!("{app}.key"), &fresh_key()));
            put(&format!("{{ env = \"APP_{app}_SECRET\" }}"), &file(&format!("{app}.secret"), &secrets[index]));
        }
        let config = dir.path().join("passport.toml");
        std::fs::write(&config, text).expect("writable");
        for command in ["check", "doctor"] {
            let output = cloakroom().arg(command).arg("--config").arg(&config).output().expect("the binary was built");
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{command}: {said}");
        }
        let gateway = Gateway::serve(&config, port, admin_port);
        Self { clock, provider, laravel, origins, config, _gateway: gateway, _redis: redis, _dir: dir }
    }

    /// Tokens issued from now on live for so many seconds.
    fn tokens_live(&self, seconds: u64) {
        let lifetime = Duration::from_secs(seconds);
        self.provider.behave(Behaviour { access_token_lifetime: lifetime, ..self.provider.behaviour() });
    }

    /// So much later by Laravel's clock that it takes no refresh token of before.
    fn forget_refresh_tokens(&self) {
        self.clock.advance(Duration::from_secs(13 * 3600));
    }

    /// The bearers that Laravel was shown.
    fn bearers(&self, path: &str) -> Vec<String> {
        let to = |request: &Recorded| request.target == path;
        self.laravel.requests().iter().filter(|one| to(one)).map(|one| one.bearer().to_owned()).collect()
    }
}

#[test]
fn two_apps_on_two_domains_live_with_passport_13_as_the_tutorial_says() {
    two_apps_live_with("passport13");
}

#[test]
fn two_apps_on_two_domains_live_with_passport_12_as_the_tutorial_says() {
    two_apps_live_with("passport12");
}

fn two_apps_live_with(profile: &str) {
    let tried = Tried::start(profile);
    let [one, two] = &tried.origins;
    let mut browser = Browser::new();
    browser.get(one, "/api/orders").refuses(401, "no_session");

    // One login, at Laravel; the other app asks for none.
    tried.tokens_live(1);
    let page = browser.open(&format!("{one}/bff/login?return_to=%2Forders%3Fpage%3D2"));
    let page = browser.pass_provider(page, "ada", "\0");
    assert_eq!((page.url, page.response.status), (format!("{one}/orders?page=2"), 200));
    assert!(page.response.text().contains("app-one"), "the app's own page");
    tried.tokens_live(900);
    let page = browser.open(&format!("{two}/bff/login"));
    assert_eq!(page.url, format!("{two}/"), "nobody is asked again: {}", page.response.text());
    let [at_one, at_two] = [browser.session(one), browser.session(two)];
    for session in [&at_one, &at_two] {
        assert_eq!(session["user"]["name"], "Ada Lovelace");
        assert_eq!(session["user"]["email"], "ada@people.example");
    }
    assert_ne!(at_one["pin"], at_two["pin"], "nobody can tell from the two that it is one person");
    assert_ne!(browser.session_cookie(one).map(|it| it.value), browser.session_cookie(two).map(|it| it.value));

    // The first app's token is over: one refresh, and Laravel refuses the old one from then on.
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(browser.get(one, "/api/orders").status, 200);
    assert_eq!(browser.get(two, "/api/orders").status, 200);
    assert_eq!(tried.provider.tally().refreshes, 1);

    // A logout is one at Laravel too, and of this app alone.
    let held = tried.bearers("/api/orders")[0].clone();
    let answer = browser.post(one, "/bff/logout?return_to=%2Fbye").json();
    let target = answer["logout_url"].as_str().expect("Laravel has a logout page").to_owned();
    assert!(target.starts_with(&format!("{}/oauth/logout?", tried.laravel.url())), "{target}");
    assert_eq!(browser.click(one, &target).url, format!("{one}/bye"));
    eventually("Laravel should be told of the logout", || {
        (tried.bearers("/api/logout") == [held.clone()]).then_some(())
    });
    browser.get(one, "/api/orders").refuses(401, "no_session");
    assert_eq!(browser.get(two, "/api/orders").status, 200);

    let complaints = tried.provider.complaints();
    let of_doctor = |complaint: &&String| complaint.contains("the code is unknown");
    assert_eq!(complaints.iter().filter(of_doctor).count(), 2, "doctor tries each client with a made-up code");
    assert_eq!(complaints.len(), 2, "nothing else was asked that Passport refuses: {complaints:?}");

    // A session whose refresh token Laravel forgot ends with its reason.
    tried.tokens_live(1);
    let page = browser.open(&format!("{one}/bff/login"));
    browser.pass_provider(page, "ada", "\0");
    tried.forget_refresh_tokens();
    std::thread::sleep(Duration::from_millis(1100));
    browser.get(one, "/api/orders").refuses(401, "refresh_rejected");
    assert_eq!(browser.session(one)["reason"], "refresh_rejected");

    let seen = ["/api/orders", "/api/logout"].iter().flat_map(|path| tried.bearers(path));
    browser.saw_none_of(&seen.map(|token| ("access token".to_owned(), token)).collect::<Vec<_>>());
}

#[test]
fn doctor_tells_of_a_redirect_uri_that_passport_does_not_know() {
    for profile in ["passport12", "passport13"] {
        let tried = Tried::start(profile);
        let text = std::fs::read_to_string(&tried.config).expect("it was written");
        let wrong = text.replacen("[[site]]\n", "[[site]]\nbase_path = \"/auth\"\n", 1);
        std::fs::write(&tried.config, wrong).expect("writable");
        let output =
            cloakroom().args(["doctor", "--config"]).arg(&tried.config).output().expect("the binary was built");
        let said = String::from_utf8_lossy(&output.stdout);
        let failed: Vec<&str> = said.lines().filter(|line| line.starts_with("FAIL")).collect();
        let [failed] = failed[..] else { panic!("{profile}: {said}") };
        assert!(failed.contains("login: the provider refuses it with invalid_client"), "{profile}: {failed}");
        let register = format!("register the redirect URI {}/auth/callback", tried.origins[0]);
        assert!(failed.contains(&register), "{profile}: {failed}");
    }
}

#[test]
fn the_tutorial_tells_laravel_what_its_configuration_needs() {
    let (text, config) = (tutorial("passport.md"), tutorial("passport.toml"));
    let written: toml::Table = config.parse().expect("it is TOML");
    for site in 0..2 {
        let (origin, provider) = (&written["site"][site]["origin"], &written["site"][site]["provider"][0]);
        let origin = origin.as_str().expect("a text");
        for needed in [
            &*format!("--redirect_uri={origin}/bff/callback"),
            &*format!("'{origin}/bff/logout/callback'"),
            &*format!("'{}'", provider["client_id"].as_str().expect("a text")),
        ] {
            assert!(text.contains(needed), "{needed}");
        }
        assert_eq!(provider["logout_hook"].as_str(), Some("https://api.example/api/logout"));
        assert_eq!(provider["logout_url"].as_str(), Some("https://api.example/oauth/logout"));
    }
    for route in ["Route::get('/user'", "Route::post('/logout'", "Route::get('/oauth/logout'"] {
        assert!(text.contains(route), "{route}");
    }
    for name in ["APP_ONE_KEY", "APP_TWO_KEY", "APP_ONE_SECRET", "APP_TWO_SECRET", "REDIS_URL"] {
        assert!(config.contains(&format!("{{ env = \"{name}\" }}")), "{name}");
        assert!(text.contains(&format!("{name}=")), "{name}");
    }
}
