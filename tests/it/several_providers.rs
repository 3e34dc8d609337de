//! Several providers of one site, and that none of them gets what is another's (RFC 9700 §4.4).

use std::sync::Arc;

use serde_json::json;
use tempfile::TempDir;

use crate::conformance::suite::{Suite, change, member};
use crate::support::{
    Browser, Gateway, OidcProvider, Passport, Request, Response, Setup, Upstream, World, cloakroom, eventually, send,
};

/// A site with two plain OAuth 2.0 providers, `a` and `b`; the first is the default.
struct Stage {
    setup: Setup,
    a: Passport,
    b: Passport,
    _gateway: Gateway,
    _dir: TempDir,
}

impl Stage {
    fn new() -> Self {
        Self::without(&[])
    }

    /// Without these lines of the providers.
    fn without(lines: &[&str]) -> Self {
        let (mut setup, a, b) = (Setup::one_site(), Passport::start(), Passport::start());
        let named = |name: &str, provider: &Passport| {
            let mut lines = provider.lines();
            lines.extend([format!("name = \"{name}\""), format!("issuer = \"https://{name}.example\"")]);
            lines
        };
        setup.sites[0].providers = vec![named("a", &a), named("b", &b)];
        setup.sites[0].providers[1].push("own_callback = true".into());
        for provider in &mut setup.sites[0].providers {
            provider.retain(|line| !lines.contains(&line.as_str()));
        }
        b.user(json!({ "id": 8, "name": "Grace Hopper" }));
        let dir = TempDir::new().expect("a temporary directory");
        let config = setup.write(dir.path(), "", &Upstream::start().url());
        let gateway = Gateway::serve(&config, setup.port, setup.admin_port);
        Self { setup, a, b, _gateway: gateway, _dir: dir }
    }

    fn one(&self) -> String {
        self.setup.origin(0)
    }

    /// Begins a login and stops before the provider: the browser, and the state of its attempt.
    fn begin(&self, provider: &str) -> (Browser, String) {
        let mut browser = Browser::new();
        let page = browser.open_until(&format!("{}/bff/login?provider={provider}", self.one()), "/oauth/authorize");
        let url = url::Url::parse(page.response.location()).expect("a redirect");
        let state = url.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
        (browser, state)
    }

    /// A navigation of that browser to a callback.
    fn call_back(&self, browser: &Browser, path: &str, query: &str) -> Response {
        let origin = self.one();
        let request = Request::new("GET", &format!("{path}?{query}"))
            .header("Host", origin.split_once("://").expect("an origin").1)
            .header("Sec-Fetch-Site", "cross-site")
            .header("Sec-Fetch-Mode", "navigate")
            .header("Sec-Fetch-Dest", "document")
            .header("Cookie", browser.cookie_header(&origin));
        send(self.setup.port, &request)
    }

    fn token_calls(&self) -> (usize, usize) {
        (self.a.asked("/oauth/token").len(), self.b.asked("/oauth/token").len())
    }
}

#[test]
fn each_provider_logs_its_own_users_in_at_a_redirect_uri_of_its_own() {
    let stage = Stage::new();
    let mut browser = Browser::new();
    for (query, provider, name, redirect_uri) in [
        ("", &stage.a, "a", "/bff/callback"),
        ("?provider=b", &stage.b, "b", "/bff/callback/b"),
        ("?provider=a", &stage.a, "a", "/bff/callback"),
    ] {
        let page = browser.open(&format!("{}/bff/login{query}", stage.one()));
        assert_eq!(page.url, format!("{}/", stage.one()), "{}", page.response.text());
        assert_eq!(browser.session(&stage.one())["provider"], name);
        let asked = Passport::query(&provider.asked("/oauth/authorize").pop().expect("it was asked"));
        assert_eq!(asked["redirect_uri"], format!("{}{redirect_uri}", stage.one()));
    }
    assert_eq!(stage.token_calls(), (2, 1));
}

#[test]
fn providers_share_the_redirect_uri_unless_one_has_its_own() {
    let stage = Stage::without(&["own_callback = true"]);
    let (origin, mut browser) = (stage.setup.origin(0), Browser::new());
    for (name, provider) in [("a", &stage.a), ("b", &stage.b)] {
        provider.names_issuer(&format!("https://{name}.example"));
        browser.open(&format!("{origin}/bff/login?provider={name}"));
        assert_eq!(browser.session(&origin)["provider"], name);
        let asked = Passport::query(&provider.asked("/oauth/authorize").pop().expect("it was asked"));
        assert_eq!(asked["redirect_uri"], format!("{origin}/bff/callback"));
    }
}

#[test]
fn the_same_subject_of_two_providers_is_two_users() {
    let stage = Stage::new();
    stage.b.user(json!({ "id": 7 }));
    let pin = |name: &str| {
        let mut browser = Browser::new();
        browser.open(&format!("{}/bff/login?provider={name}", stage.one()));
        browser.session(&stage.one())["pin"].as_str().expect("a pin").to_owned()
    };
    assert_ne!(pin("a"), pin("b"));
}

#[test]
fn an_answer_of_one_provider_in_the_attempt_of_another_is_refused_and_no_token_endpoint_sees_the_code() {
    let stage = Stage::new();
    for (attempt, path) in [("a", "/bff/callback/b"), ("b", "/bff/callback")] {
        let (browser, state) = stage.begin(attempt);
        let answer = stage.call_back(&browser, path, &format!("code=stolen&state={state}"));
        assert_eq!(answer.status, 400, "{attempt}: {}", answer.text());
        let right = if attempt == "a" { "/bff/callback" } else { "/bff/callback/b" };
        let answer = stage.call_back(&browser, right, &format!("code=stolen&state={state}"));
        assert_eq!(answer.status, 303, "the state is used up, and the login begins again");
        assert!(answer.location().contains("/oauth/authorize?"), "{}", answer.location());
    }
    assert_eq!(stage.token_calls(), (0, 0));
}

#[test]
fn an_answer_that_names_another_issuer_is_refused_before_the_code_goes_anywhere() {
    let stage = Stage::new();
    for (attempt, path, iss) in
        [("a", "/bff/callback", "https://b.example"), ("b", "/bff/callback/b", "https://a.example")]
    {
        let (browser, state) = stage.begin(attempt);
        let answer = stage.call_back(&browser, path, &format!("code=stolen&state={state}&iss={iss}"));
        assert_eq!(answer.status, 400, "{attempt}");
    }
    assert_eq!(stage.token_calls(), (0, 0));
}

#[test]
fn a_provider_without_issuer_gets_no_answer_that_names_another_one() {
    let stage = Stage::without(&["own_callback = true", "issuer = \"https://a.example\""]);
    let (browser, state) = stage.begin("a");
    let query = format!("code=stolen&state={state}&iss=https://b.example");
    assert_eq!(stage.call_back(&browser, "/bff/callback", &query).status, 400);
    assert_eq!(stage.token_calls(), (0, 0));
    stage.a.names_issuer("https://a-by-another-name.example");
    let mut browser = Browser::new();
    browser.open(&format!("{}/bff/login?provider=a", stage.one()));
    assert_eq!(browser.session(&stage.one())["provider"], "a");
}

#[test]
fn at_a_shared_redirect_uri_an_answer_that_names_nobody_is_refused_before_the_code_goes_anywhere() {
    let stage = Stage::without(&["own_callback = true"]);
    for (attempt, answer) in [("a", "code=stolen"), ("b", "code=stolen"), ("a", "error=access_denied")] {
        let (browser, state) = stage.begin(attempt);
        let answer = stage.call_back(&browser, "/bff/callback", &format!("{answer}&state={state}"));
        assert_eq!(answer.status, 400, "{attempt}: {}", answer.text());
        assert!(!answer.text().contains("access_denied"), "{}", answer.text());
    }
    assert_eq!(stage.token_calls(), (0, 0));
}

#[test]
fn one_silent_provider_shares_the_redirect_uri_with_those_that_name_themselves() {
    let stage = Stage::without(&["own_callback = true", "issuer = \"https://a.example\""]);
    stage.b.names_issuer("https://b.example");
    let mut browser = Browser::new();
    for name in ["a", "b"] {
        browser.open(&format!("{}/bff/login?provider={name}", stage.one()));
        assert_eq!(browser.session(&stage.one())["provider"], name);
    }
    // What the silent one said, in an attempt at the other.
    let (browser, state) = stage.begin("b");
    assert_eq!(stage.call_back(&browser, "/bff/callback", &format!("code=stolen&state={state}")).status, 400);
    assert_eq!(stage.token_calls(), (1, 1));
}

/// A site with two OpenID providers, of which the second does not promise `iss` and has these lines beside.
fn beside_a_silent_one(lines: &[&str]) -> (Suite, World) {
    let silent = Suite::start();
    silent.state().metadata = member("authorization_response_iss_parameter_supported", json!(null));
    silent.state().response = member("iss", json!(null));
    let mut setup = Setup::one_site();
    let site = &mut setup.sites[0];
    let line = |key: &str, value: &str| format!("{key} = \"{value}\"");
    let client = [line("client_id", &site.client_id), line("client_secret", &site.client_secret)];
    let mut second = vec![line("name", "silent"), line("issuer", &silent.issuer())];
    second.extend(client.into_iter().chain(lines.iter().map(|line| (*line).to_owned())));
    site.providers = vec![site.provider_named("main"), second];
    (silent, World::of(setup))
}

#[test]
fn an_openid_provider_that_does_not_promise_to_name_itself_is_not_logged_in_at_beside_another() {
    let (silent, world) = beside_a_silent_one(&[]);
    let page = Browser::new().open(&format!("{}/bff/login?provider=silent", world.one()));
    assert_eq!((page.response.status, page.response.reason()), (503, "provider_unavailable"));
    assert!(silent.asked("/authorize").is_empty(), "nobody logs in there in vain");
    eventually("the log should name the remedy", || {
        world.gateway.process.output().contains("write own_callback = true").then_some(())
    });
    world.signed_in();
    let said = cloakroom().args(["doctor", "--config"]).arg(&world.config).output().expect("the binary was built");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let told = said.lines().find(|line| line.starts_with("FAIL") && line.contains("silent of")).expect("it is told");
    assert!(told.contains("write own_callback = true"), "{told}");
}

#[test]
fn one_that_nobody_can_log_in_with_for_that_reason_is_down_before_anybody_tries() {
    let reason = |world: &World| {
        let ready = world.gateway.admin("/readyz").json();
        let silent = ready.pointer("/sites/0/providers/1").filter(|silent| silent["status"] != "unknown").cloned()?;
        Some((ready["status"].clone(), silent["status"].clone(), silent["reason"].to_string()))
    };
    let (_silent, world) = beside_a_silent_one(&[]);
    let (ready, silent, why) =
        eventually("the provider should have been asked", || reason(&world).filter(|(_, silent, _)| silent == "down"));
    assert_eq!((ready, silent), (json!("degraded"), json!("down")));
    assert!(why.contains("write own_callback = true"), "{why}");
    let (_silent, world) = beside_a_silent_one(&["own_callback = true"]);
    let (ready, silent, _) = eventually("the provider should have been asked", || reason(&world));
    assert_eq!((ready, silent), (json!("ready"), json!("up")));
}

#[test]
fn it_is_with_a_redirect_uri_of_its_own_or_where_its_answers_are_signed() {
    for line in ["own_callback = true", "response_mode = \"jwt\""] {
        let (silent, world) = beside_a_silent_one(&[line]);
        if line.starts_with("response_mode") {
            silent.state().response = change(|_| {});
        }
        let mut browser = Browser::new();
        let page = browser.open(&format!("{}/bff/login?provider=silent", world.one()));
        assert_eq!(browser.session(&world.one())["provider"], "silent", "{line}: {}", page.response.text());
    }
}

#[test]
fn an_error_of_one_provider_in_the_attempt_of_another_is_not_believed_either() {
    let stage = Stage::new();
    let (browser, state) = stage.begin("a");
    let answer = stage.call_back(&browser, "/bff/callback/b", &format!("error=access_denied&state={state}"));
    assert_eq!(answer.status, 400);
    assert!(!answer.text().contains("access_denied"), "{}", answer.text());
}

#[test]
fn there_is_the_shared_redirect_uri_and_each_providers_own_and_no_other() {
    let stage = Stage::new();
    let (browser, state) = stage.begin("a");
    for path in ["/bff/callback/a", "/bff/callback/c", "/bff/callback/", "/bff/callback/b/", "/bff/callback/B"] {
        let answer = stage.call_back(&browser, path, &format!("code=x&state={state}"));
        assert_eq!(answer.status, 404, "{path}");
    }
    let post = Request::new("POST", "/bff/callback/b").header("Host", stage.one().split_once("://").expect("one").1);
    send(stage.setup.port, &post).refuses(405, "method");
    assert_eq!(stage.token_calls(), (0, 0));
}

#[test]
fn a_lost_login_begins_again_at_the_provider_it_was_with() {
    let stage = Stage::new();
    let answer = stage.call_back(&Browser::new(), "/bff/callback/b", "code=x&state=somebody-elses-state");
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert!(answer.location().starts_with(&stage.b.url()), "{}", answer.location());
}

#[test]
fn two_openid_providers_keep_their_codes_apart() {
    let (first, second) = (OidcProvider::shared(), Arc::new(OidcProvider::start(0)));
    let mut setup = Setup::one_site();
    let (client, secret, origin) =
        (setup.sites[0].client_id.clone(), setup.sites[0].client_secret.clone(), setup.origin(0));
    let lines = |name: &str, issuer: String| {
        let line = |key: &str, value: &str| format!("{key} = \"{value}\"");
        vec![line("name", name), line("issuer", &issuer), line("client_id", &client), line("client_secret", &secret)]
    };
    setup.sites[0].providers = vec![lines("first", first.issuer()), lines("second", second.issuer())];
    setup.sites[0].providers[1].push("own_callback = true".into());
    for (provider, end) in [(&first, ""), (&second, "/second")] {
        provider.register(&json!({
            "client_id": client, "client_secret": secret, "token_endpoint_auth_method": "client_secret_basic",
            "redirect_uris": [format!("{origin}/bff/callback{end}")],
            "post_logout_redirect_uris": [format!("{origin}/bff/logout/callback")],
            "test": { "access_ttl": 3600, "jwt": false },
        }));
    }
    let dir = TempDir::new().expect("a temporary directory");
    let config = setup.write(dir.path(), "", &Upstream::start().url());
    let _gateway = Gateway::serve(&config, setup.port, setup.admin_port);
    let mut browser = Browser::new();
    for name in ["first", "second"] {
        let page = browser.open(&format!("{origin}/bff/login?provider={name}"));
        let page = browser.pass_provider(page, "ada", "\0");
        assert_eq!(page.url, format!("{origin}/"), "{}", page.response.text());
        assert_eq!(browser.session(&origin)["provider"], name);
    }
    // A code that the second gave out, brought to an attempt at the first, as a mix-up would.
    let mut victim = Browser::new();
    let page = victim.sign_in_until_callback(&format!("{origin}/bff/login?provider=second"), "ada");
    let stolen = url::Url::parse(page.response.location()).expect("a callback");
    let code = stolen.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
    let (before, mut mixed) = ((first.token_calls(&client, ""), second.token_calls(&client, "")), Browser::new());
    let page = mixed.open_until(&format!("{origin}/bff/login?provider=first"), "/auth?");
    let asked = url::Url::parse(page.response.location()).expect("a redirect");
    let state = asked.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    let request = |path: &str| {
        Request::new("GET", &format!("{path}?code={code}&state={state}"))
            .header("Host", origin.split_once("://").expect("an origin").1)
            .header("Sec-Fetch-Mode", "navigate")
            .header("Sec-Fetch-Dest", "document")
            .header("Cookie", mixed.cookie_header(&origin))
    };
    assert_eq!(send(setup.port, &request("/bff/callback/second")).status, 400);
    assert_eq!((first.token_calls(&client, ""), second.token_calls(&client, "")), before, "nobody was shown the code");
}
