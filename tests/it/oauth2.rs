//! `kind = "oauth2"`: a provider without discovery and ID token, whose user endpoint says who has logged in.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    Browser, Gateway, Page, Passport, Reply, Request, Setup, Upstream, World, cloakroom, eventually, send,
};

/// A gateway between such a provider and an API.
pub(crate) struct Stage {
    pub(crate) setup: Setup,
    pub(crate) provider: Passport,
    upstream: Upstream,
    pub(crate) gateway: Gateway,
    config: PathBuf,
    _dir: TempDir,
}

impl Stage {
    fn new() -> Self {
        Self::with(&[])
    }

    /// With further lines for the provider.
    pub(crate) fn with(lines: &[&str]) -> Self {
        Self::of(|provider| {
            let lines = provider.lines().into_iter().chain(lines.iter().map(|line| (*line).to_owned()));
            lines.map(|line| line.replace("SERVER", &provider.url())).collect()
        })
    }

    /// With these lines for the provider.
    fn of(lines: impl FnOnce(&Passport) -> Vec<String>) -> Self {
        let (mut setup, provider, upstream) = (Setup::one_site(), Passport::start(), Upstream::start());
        setup.sites[0].providers = vec![lines(&provider)];
        let dir = TempDir::new().expect("a temporary directory");
        let config = setup.write(dir.path(), "", &upstream.url());
        let gateway = Gateway::serve(&config, setup.port, setup.admin_port);
        Self { setup, provider, upstream, gateway, config, _dir: dir }
    }

    pub(crate) fn one(&self) -> String {
        self.setup.origin(0)
    }

    fn log_in(&self) -> (Browser, Page) {
        let mut browser = Browser::new();
        let page = browser.open(&format!("{}/bff/login?return_to=%2Forders", self.one()));
        (browser, page)
    }

    pub(crate) fn signed_in(&self) -> Browser {
        let (browser, page) = self.log_in();
        assert_eq!(page.url, format!("{}/orders", self.one()), "{}", page.response.text());
        browser
    }

    /// The page that a refused login ends on.
    fn refusal(&self) -> Page {
        let (mut browser, page) = self.log_in();
        assert!(!browser.is_signed_in(&self.one()));
        page
    }
}

#[test]
fn a_person_logs_in_without_discovery_and_the_user_endpoint_says_who_that_is() {
    let stage = Stage::new();
    let mut browser = stage.signed_in();
    let session = browser.session(&stage.one());
    assert_eq!(session["user"], json!({ "sub": "7", "name": "Ada Lovelace", "email": "ada@people.example" }));
    assert_eq!(browser.get(&stage.one(), "/api/orders").status, 200);
    let user = stage.provider.asked("/api/user").pop().expect("the user endpoint was asked");
    assert_eq!(stage.upstream.last().bearer(), user.bearer(), "the API gets the token that was issued");
    assert_eq!(user.one("accept"), "application/json");
}

#[test]
fn the_profile_of_passport_is_all_that_a_passport_needs() {
    let stage = Stage::of(|provider| {
        let profile = ["profile = \"passport\"".to_owned(), format!("url = \"{}\"", provider.url())];
        let client = provider.lines().into_iter().filter(|line| line.starts_with("client_"));
        profile.into_iter().chain(client).collect()
    });
    let mut browser = stage.signed_in();
    assert_eq!(browser.session(&stage.one())["user"]["sub"], "7");
    let token = stage.provider.asked("/oauth/token").pop().expect("the code was redeemed");
    assert!(token.all("authorization").is_empty() && Passport::form(&token).contains_key("client_secret"));
    let check = cloakroom().arg("check").arg("--config").arg(&stage.config).output().expect("it runs");
    let told = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(told.contains("profile \"passport\"") && told.contains("sub_pointer = \"/id\""), "{told}");
}

#[test]
fn nothing_of_openid_connect_is_sent_unless_it_is_written() {
    let stage = Stage::new();
    stage.signed_in();
    let asked = stage.provider.asked("/oauth/authorize").pop().map(|request| Passport::query(&request));
    let mut names: Vec<String> = asked.expect("the browser came").into_keys().collect();
    names.sort();
    let plain = ["client_id", "code_challenge", "code_challenge_method", "redirect_uri", "response_type", "state"];
    assert_eq!(names, plain);
    let token = stage.provider.asked("/oauth/token").pop().expect("the code was redeemed");
    assert_eq!(token.one("accept"), "application/json", "GitHub answers a form without it");
    assert!(!Passport::form(&token).contains_key("scope"));
    let written = Stage::with(&["scopes = [\"openid\", \"orders\"]", "authorization_params = { prompt = \"login\" }"]);
    let page = written.refusal();
    assert!(page.response.text().contains("the reason “invalid_scope”"), "{}", page.response.text());
    eventually("the operator reads it too", || {
        written.gateway.process.output().contains("invalid_scope").then_some(())
    });
    let asked = Passport::query(&written.provider.asked("/oauth/authorize")[0]);
    assert_eq!((asked["scope"].as_str(), asked["prompt"].as_str()), ("openid orders", "login"));
}

#[test]
fn a_code_that_is_over_at_passport_12_is_a_login_to_begin_again_and_no_outage() {
    let stage = Stage::new();
    stage.provider.forgets_codes();
    let page = stage.refusal();
    assert_eq!(page.response.status, 400, "{}", page.response.text());
    assert!(page.response.text().contains("Please try again"), "{}", page.response.text());
}

#[test]
fn a_user_endpoint_that_does_not_say_who_it_is_aborts_the_login_with_its_reason() {
    let stage = Stage::with(&["revocation_endpoint = \"SERVER/oauth/revoke\"", "timeout = \"1s\""]);
    let json = |body: &str| Reply::json(body);
    let large = format!("{{\"id\":1,\"x\":\"{}\"}}", "x".repeat(1 << 20));
    for (reply, reason) in [
        (Reply::with("500 Internal Server Error", "", ""), "it answered 500"),
        (Reply::with("302 Found", "location: /login\r\n", ""), "it answered 302"),
        (Reply::with("401 Unauthorized", "", "{}"), "it answered 401"),
        (Reply::with("200 OK", "content-type: text/html\r\n", "<html>log in</html>"), "not a JSON object"),
        (json("[7]"), "not a JSON object"),
        (json(r#"{"id":7,"id":8}"#), "repeats a member"),
        (json(r#"{"name":"Ada"}"#), "does not say"),
        (json(r#"{"id":null}"#), "does not say"),
        (json(r#"{"id":""}"#), "does not say"),
        (json(r#"{"id":{"x":7}}"#), "does not say"),
        (json(r#"{"id":7.5}"#), "does not say"),
        (json(&large), "larger than"),
        (Reply::Close, "the connection broke"),
        (Reply::Hang, "no answer within the time limit"),
    ] {
        let revoked = stage.provider.asked("/oauth/revoke").len();
        stage.provider.instead_to_bearers("/api/user", reply);
        let page = stage.refusal();
        assert_eq!(page.response.status, 400, "{reason}");
        let text = page.response.text();
        assert!(text.contains("did not say who you are") && text.contains(reason), "{reason}: {text}");
        eventually("the tokens should be given back", || {
            (stage.provider.asked("/oauth/revoke").len() > revoked).then_some(())
        });
    }
    let hint = stage.provider.asked("/oauth/revoke").pop().map(|request| Passport::form(&request));
    assert_eq!(hint.expect("it was asked")["token_type_hint"], "refresh_token");
}

#[test]
fn a_subject_is_the_same_user_as_a_number_and_as_a_text() {
    let stage = Stage::new();
    let pin = |user| {
        stage.provider.user(user);
        stage.signed_in().session(&stage.one())["pin"].clone()
    };
    assert_eq!(pin(json!({ "id": 7 })), pin(json!({ "id": "7", "name": 5, "email": null })));
    assert_ne!(pin(json!({ "id": 7 })), pin(json!({ "id": 8 })));
}

#[test]
fn an_id_token_that_comes_is_neither_believed_nor_shown() {
    let stage = Stage::with(&["end_session_endpoint = \"SERVER/logout\""]);
    let body = json!({
        "token_type": "Bearer", "access_token": "opaque", "refresh_token": "again", "id_token": "forged.id.token",
    });
    stage.provider.instead("/oauth/token", Reply::json(&body.to_string()));
    stage.provider.instead("/api/user", Reply::json(r#"{"id":7}"#));
    let mut browser = stage.signed_in();
    let logout = browser.post(&stage.one(), "/bff/logout").json();
    let url = logout["logout_url"].as_str().expect("a logout URL");
    assert!(url.starts_with(&stage.provider.url()) && !url.contains("id_token_hint"), "{url}");
}

#[test]
fn a_due_token_is_refreshed_without_scope_or_id_token() {
    let stage = Stage::new();
    stage.provider.tokens_live(1);
    let mut browser = stage.signed_in();
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(browser.get(&stage.one(), "/api/orders").status, 200);
    let refresh = stage.provider.asked("/oauth/token").pop().map(|request| Passport::form(&request));
    let refresh = refresh.expect("the token endpoint was asked");
    assert_eq!(refresh["grant_type"], "refresh_token");
    assert!(!refresh.contains_key("scope"), "{refresh:?}");
    assert_eq!(
        stage.provider.asked("/api/user").iter().filter(|asked| !asked.all("authorization").is_empty()).count(),
        1
    );
}

#[test]
fn the_401_by_which_passport_12_refuses_a_refresh_ends_the_session() {
    let stage = Stage::new();
    stage.provider.tokens_live(1);
    let mut browser = stage.signed_in();
    stage.provider.forget_refresh_tokens();
    std::thread::sleep(Duration::from_millis(1100));
    browser.get(&stage.one(), "/api/orders").refuses(401, "refresh_rejected");
}

#[test]
fn a_refusal_with_status_200_as_githubs_is_one() {
    let stage = Stage::new();
    stage.provider.instead("/oauth/token", Reply::json(r#"{"error":"bad_verification_code","error_description":"x"}"#));
    let page = stage.refusal();
    assert_eq!(page.response.status, 400);
    assert!(stage.provider.asked("/api/user").iter().all(|asked| asked.all("authorization").is_empty()));
}

#[test]
fn the_issuer_of_a_callback_is_compared_where_one_is_configured() {
    let stage = Stage::with(&["issuer = \"https://id.example\""]);
    stage.provider.names_issuer("https://evil.example");
    assert_eq!(stage.refusal().response.status, 400);
    assert!(stage.provider.asked("/oauth/token").is_empty(), "no code goes out");
    stage.provider.names_issuer("https://id.example");
    stage.signed_in();
    let without = Stage::new();
    without.provider.names_issuer("https://any.example");
    without.signed_in();
}

#[test]
fn a_provider_without_discovery_is_known_to_be_up_or_down_by_its_answers() {
    let stage = Stage::new();
    let status = || {
        let ready = send(stage.setup.admin_port, &Request::new("GET", "/readyz").header("Host", "localhost")).json();
        ready["sites"][0]["providers"][0]["status"].as_str().map(str::to_owned)
    };
    eventually("an answer that refuses is an answer", || (status()? == "up").then_some(()));
    // Longer than a login relies on the last answer.
    let pause = || std::thread::sleep(std::time::Duration::from_millis(2_100));
    pause();
    stage.provider.instead("/api/user", Reply::with("500 Internal Server Error", "", ""));
    let begun = Browser::new().open_until(&format!("{}/bff/login", stage.one()), "/oauth/authorize").response;
    assert_eq!(begun.status, 303, "somebody is there");
    assert_eq!(status().as_deref(), Some("down"), "and not well");
    pause();
    stage.provider.instead("/api/user", Reply::with("502 Bad Gateway", "", ""));
    let page = stage.refusal();
    assert_eq!((page.response.status, page.response.reason()), (503, "provider_unavailable"));
    stage.provider.instead("/api/user", Reply::with("401 Unauthorized", "", ""));
    eventually("it heals by itself", || (status()? == "up").then_some(()));
}

#[test]
fn no_token_of_such_a_provider_reaches_log_or_browser() {
    let stage = Stage::with(&["revocation_endpoint = \"SERVER/oauth/revoke\""]);
    let mut browser = stage.signed_in();
    browser.get(&stage.one(), "/api/orders");
    let bearer = stage.upstream.last().bearer().to_owned();
    browser.post(&stage.one(), "/bff/logout");
    let revoked = eventually("the refresh token is revoked", || stage.provider.asked("/oauth/revoke").pop());
    let refresh = Passport::form(&revoked)["token"].clone();
    let secrets = [("access token".to_owned(), bearer), ("refresh token".to_owned(), refresh)];
    browser.saw_none_of(&secrets);
    World::logged_none_of(&stage.gateway.process, &secrets);
}

#[test]
fn a_login_is_pushed_where_the_configuration_says_where() {
    let stage = Stage::with(&["pushed_authorization_request_endpoint = \"SERVER/oauth/par\"", "par = \"required\""]);
    stage.signed_in();
    let (pushed, asked) = (stage.provider.asked("/oauth/par"), stage.provider.asked("/oauth/authorize"));
    let [query, form] = [Passport::query(&asked[0]), Passport::form(&pushed[0])];
    assert!(query.len() == 2 && query.contains_key("request_uri"), "{query:?}");
    assert_eq!((query["client_id"].as_str(), form["code_challenge_method"].as_str()), ("spa", "S256"));
    assert_eq!(form["redirect_uri"], format!("{}/bff/callback", stage.one()));
    assert!(!form.contains_key("nonce") && !form.contains_key("scope"), "{form:?}");
    assert!(pushed[0].one("authorization").starts_with("Basic "), "the client proves itself there");

    let refusal = r#"{"error":"invalid_client"}"#;
    stage.provider.instead("/oauth/par", Reply::with("401 Unauthorized", "", refusal));
    assert_eq!(stage.refusal().response.status, 503);
    assert_eq!(stage.provider.asked("/oauth/authorize").len(), 1, "and by no other way");
}

#[test]
fn a_code_that_passport_refuses_ends_on_the_page_that_names_the_cause_and_a_refused_client_does_not() {
    let stage = Stage::new();
    stage.provider.instead("/oauth/token", Passport::refuse_code("Authorization code has expired"));
    let page = stage.refusal();
    assert_eq!((page.response.status, page.response.reason()), (400, "bad_request"), "{}", page.response.text());
    assert!(page.response.text().contains("“invalid_request”"), "{}", page.response.text());
    eventually("the log should tell it", || {
        stage.gateway.process.output().contains("the provider refused the code: invalid_request").then_some(())
    });
    for (status, error) in [("401 Unauthorized", "invalid_client"), ("400 Bad Request", "unauthorized_client")] {
        let body = json!({ "error": error }).to_string();
        stage.provider.instead("/oauth/token", Reply::with(status, "", &body));
        assert_eq!(stage.refusal().response.status, 503, "{error}");
    }
    // About something else in the request: an operator must look.
    stage.provider.instead("/oauth/token", Passport::refuse_code("Check the `client_id` parameter"));
    assert_eq!(stage.refusal().response.status, 503);
}
