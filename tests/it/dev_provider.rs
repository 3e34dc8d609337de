//! The embedded provider, driven over real sockets the way a client and a browser would.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the steps of a test stop it where they fail")]

mod own_login;
mod profiles;
mod response_modes;

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloakroom::clock::{Clock, Timestamp};
use cloakroom::dev::provider::{Behaviour, Client, EmbeddedProvider, Profile, Rotation, Setup};
use cloakroom::secret::{ClientSecret, random_base64url};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use url::Url;

const CALLBACK: &str = "http://one.localhost:8080/bff/callback";
const AFTER_LOGOUT: &str = "http://one.localhost:8080/bff/logout/callback";
/// Form encoding changes this one, so a server that forgets to decode Basic credentials refuses it.
const SECRET: &str = "s3cret+with/odd:signs %";

struct World {
    provider: EmbeddedProvider,
    clock: Clock,
    http: reqwest::Client,
}

/// A browser's memory: cookies by name.
#[derive(Default)]
struct Browser(HashMap<String, String>);

impl World {
    fn start() -> Self {
        Self::of(Profile::default())
    }

    fn of(profile: Profile) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let clock = Clock::manual(Timestamp::from_secs(1_800_000_000));
        let client = |id: &str, site: &str| Client {
            id: id.to_owned(),
            name: format!("Site {site}"),
            secret: Some(ClientSecret::new(SECRET)),
            redirect_uris: vec![CALLBACK.replace("one", site)],
            post_logout_redirect_uris: vec![AFTER_LOGOUT.replace("one", site)],
            backchannel_logout_uri: None,
        };
        let clients = vec![client("site-one", "one"), client("site-two", "two")];
        let provider = EmbeddedProvider::start(Setup { clients, clock: clock.clone(), ..Setup::of(profile) }).unwrap();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Self { provider, clock, http }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.provider.address())
    }

    /// Opens a URL in a browser.
    async fn open(&self, browser: &mut Browser, url: &str) -> Response {
        browser.keep(self.http.get(url).header(COOKIE, browser.cookies()).send().await.unwrap())
    }

    /// Presses a button of the form on `page`.
    async fn press(&self, browser: &mut Browser, page: &str, name: &str, value: &str) -> Response {
        let action = between(page, r#"action=""#, '"').to_owned();
        let field = |field: &str| unescape(between(page, &format!(r#"name="{field}" value=""#), '"'));
        let form = [("request", field("request")), ("token", field("token")), (name, value.to_owned())];
        let request = self.http.post(self.at(&action)).header(COOKIE, browser.cookies()).form(&form);
        browser.keep(request.send().await.unwrap())
    }

    async fn token(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        self.token_as("site-one", form).await
    }

    async fn token_as(&self, client: &str, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let url = self.at(self.provider.profile().paths.token.unwrap());
        let request = self
            .http
            .post(url)
            .header("accept", "application/json")
            .basic_auth(encode(client), Some(encode(SECRET)))
            .form(form);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "no-store");
        (answer.status(), answer.json().await.unwrap())
    }

    /// Signs Ada in and redeems the code.
    async fn sign_in(&self, browser: &mut Browser) -> (Attempt, Value) {
        let attempt = Attempt::new();
        let page = self.open(browser, &attempt.url(self)).await.text().await.unwrap();
        let back = self.press(browser, &page, "user", "ada").await;
        let (status, tokens) = self.token(&attempt.redemption(&code(&back))).await;
        assert_eq!(status, 200, "{tokens}");
        (attempt, tokens)
    }

    async fn refresh(&self, token: &Value) -> (StatusCode, Value) {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token.as_str().unwrap())]).await
    }

    /// The verified header and claims of a token, by the published keys.
    async fn verified(&self, token: &Value, audience: &str) -> (Option<String>, Value) {
        let keys: JwkSet = self.http.get(self.at("/jwks")).send().await.unwrap().json().await.unwrap();
        let token = token.as_str().unwrap();
        let header = decode_header(token).unwrap();
        let key = DecodingKey::from_jwk(keys.find(header.kid.as_deref().unwrap()).unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_exp = false;
        validation.set_audience(&[audience]);
        validation.set_issuer(&[self.provider.issuer()]);
        (header.typ, decode::<Value>(token, &key, &validation).unwrap().claims)
    }
}

impl Browser {
    fn cookies(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, answer: Response) -> Response {
        for line in answer.headers().get_all(SET_COOKIE) {
            let line = line.to_str().unwrap();
            assert!(line.contains("HttpOnly"), "{line}");
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            match value {
                "" => self.0.remove(name),
                value => self.0.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }
}

/// One authorization request, with what a client keeps of it.
struct Attempt {
    verifier: String,
    parameters: Vec<(&'static str, String)>,
}

impl Attempt {
    fn new() -> Self {
        let verifier = random_base64url();
        let challenge = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        let parameters = vec![
            ("response_type", "code".to_owned()),
            ("client_id", "site-one".to_owned()),
            ("redirect_uri", CALLBACK.to_owned()),
            ("scope", "openid profile email offline_access".to_owned()),
            ("state", random_base64url()),
            ("nonce", random_base64url()),
            ("code_challenge", URL_SAFE_NO_PAD.encode(challenge)),
            ("code_challenge_method", "S256".to_owned()),
        ];
        Self { verifier, parameters }
    }

    /// The same with one parameter set, or left out when `value` is empty.
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.parameters.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            self.parameters.push((name, value.to_owned()));
        }
        self
    }

    fn get(&self, name: &str) -> &str {
        &self.parameters.iter().find(|(known, _)| *known == name).unwrap().1
    }

    fn url(&self, world: &World) -> String {
        let authorize = world.provider.profile().paths.authorize.unwrap();
        Url::parse_with_params(&world.at(authorize), &self.parameters).unwrap().into()
    }

    fn redemption<'a>(&'a self, code: &'a str) -> [(&'static str, &'a str); 4] {
        let redirect_uri = self.get("redirect_uri");
        let grant = ("grant_type", "authorization_code");
        [grant, ("code", code), ("redirect_uri", redirect_uri), ("code_verifier", &self.verifier)]
    }
}

fn between<'a>(text: &'a str, before: &str, end: char) -> &'a str {
    text.split_once(before).unwrap_or_else(|| panic!("{before} in {text}")).1.split(end).next().unwrap()
}

fn unescape(text: &str) -> String {
    text.replace("&amp;", "&")
}

/// Where a redirect leads, and its parameters.
fn redirected(answer: &Response) -> (String, HashMap<String, String>) {
    assert_eq!(answer.status(), 303, "{answer:?}");
    let url = Url::parse(answer.headers()[LOCATION].to_str().unwrap()).unwrap();
    let parameters = url.query_pairs().into_owned().collect();
    (url.as_str().split('?').next().unwrap().to_owned(), parameters)
}

fn code(answer: &Response) -> String {
    redirected(answer).1["code"].clone()
}

#[actix_web::test]
async fn a_login_yields_tokens_that_the_published_key_verifies() {
    let world = World::start();
    let mut browser = Browser::default();
    let attempt = Attempt::new();
    let page = world.open(&mut browser, &attempt.url(&world)).await;
    assert_eq!(page.status(), 200);
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let page = page.text().await.unwrap();
    assert!(page.contains("Ada Lovelace") && page.contains("Site one") && !page.contains("<script"));
    let back = world.press(&mut browser, &page, "user", "ada").await;
    let (place, parameters) = redirected(&back);
    assert_eq!(place, CALLBACK);
    assert_eq!(parameters["state"], attempt.get("state"));
    assert_eq!(parameters["iss"], world.provider.issuer());

    let (status, tokens) = world.token(&attempt.redemption(&parameters["code"])).await;
    assert_eq!(status, 200);
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&"Bearer".into(), &120.into()));
    let (typ, access) = world.verified(&tokens["access_token"], "demo-api").await;
    assert_eq!((typ.as_deref(), &access["sub"]), (Some("at+jwt"), &"ada".into()));
    let (typ, id) = world.verified(&tokens["id_token"], "site-one").await;
    assert_eq!(typ.as_deref(), Some("JWT"));
    assert_eq!(id["nonce"], attempt.get("nonce"));
    assert_eq!((&id["name"], &id["email"]), (&"Ada Lovelace".into(), &"ada@people.example".into()));
    assert_eq!(id["auth_time"], 1_800_000_000);
    assert!(id["sid"].is_string() && id["picture"].is_string());
    let hash =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, tokens["access_token"].as_str().unwrap().as_bytes());
    assert_eq!(id["at_hash"], URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16]));

    let bearer = tokens["access_token"].as_str().unwrap();
    let who = world.http.get(world.at("/userinfo")).bearer_auth(bearer).send().await.unwrap();
    assert_eq!(who.json::<Value>().await.unwrap()["email"], "ada@people.example");
    assert_eq!(world.provider.complaints(), Vec::<String>::new());
}

#[actix_web::test]
async fn discovery_describes_what_is_there() {
    let world = World::start();
    let url = world.at("/.well-known/openid-configuration");
    let found: Value = world.http.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(found["issuer"], world.provider.issuer());
    assert_eq!(found["authorization_response_iss_parameter_supported"], true);
    assert_eq!(found["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    for endpoint in ["authorization_endpoint", "jwks_uri", "end_session_endpoint"] {
        let answer = world.http.get(found[endpoint].as_str().unwrap()).send().await.unwrap();
        assert_ne!(answer.status(), 404, "{endpoint}");
    }
}

#[actix_web::test]
async fn a_client_that_cannot_be_trusted_with_a_redirect_gets_a_page() {
    let world = World::start();
    let other = [
        Attempt::new().with("client_id", "nobody"),
        Attempt::new().with("client_id", ""),
        Attempt::new().with("redirect_uri", ""),
        Attempt::new().with("redirect_uri", "http://one.localhost:8080/bff/callback/"),
        Attempt::new().with("redirect_uri", "http://two.localhost:8080/bff/callback"),
    ];
    for attempt in other {
        let answer = world.open(&mut Browser::default(), &attempt.url(&world)).await;
        assert_eq!(answer.status(), 400, "{:?}", attempt.parameters);
        assert!(answer.headers().get(LOCATION).is_none());
    }
    let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.example", Attempt::new().url(&world));
    assert_eq!(world.open(&mut Browser::default(), &twice).await.status(), 400);
    assert_eq!(world.provider.complaints().len(), 6);
}

#[actix_web::test]
async fn a_careless_authorization_request_is_sent_back_with_an_error() {
    let world = World::start();
    let careless = [
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("state", "", "invalid_request"),
        ("state", "guessable", "invalid_request"),
        ("nonce", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("scope", "profile", "invalid_scope"),
        ("scope", "openid admin", "invalid_scope"),
        ("prompt", "none login", "invalid_request"),
        ("prompt", "create", "invalid_request"),
        ("request", "eyJ", "request_not_supported"),
    ];
    for (name, value, error) in careless {
        let attempt = Attempt::new().with(name, value);
        let answer = world.open(&mut Browser::default(), &attempt.url(&world)).await;
        let (place, parameters) = redirected(&answer);
        assert_eq!((place.as_str(), parameters["error"].as_str()), (CALLBACK, error), "{name}={value}");
        assert_eq!(parameters["iss"], world.provider.issuer());
        assert!(!parameters.contains_key("code"));
    }
    let repeated = format!("{}&nonce=another-nonce-that-is-long", Attempt::new().url(&world));
    let (_, parameters) = redirected(&world.open(&mut Browser::default(), &repeated).await);
    assert_eq!(parameters["error"], "invalid_request");
    assert_eq!(world.provider.complaints().len(), careless.len() + 1);
}

#[actix_web::test]
async fn signing_in_at_a_second_site_needs_no_click() {
    let world = World::start();
    let mut browser = Browser::default();
    let (_, first) = world.sign_in(&mut browser).await;
    let second = Attempt::new().with("client_id", "site-two").with("redirect_uri", &CALLBACK.replace("one", "two"));
    let back = world.open(&mut browser, &second.url(&world)).await;
    let (status, tokens) = world.token_as("site-two", &second.redemption(&code(&back))).await;
    assert_eq!(status, 200);
    let (_, one) = world.verified(&first["id_token"], "site-one").await;
    let (_, two) = world.verified(&tokens["id_token"], "site-two").await;
    assert_eq!(one["sid"], two["sid"]);
}

#[actix_web::test]
async fn prompt_decides_between_page_code_and_error() {
    let world = World::start();
    let mut browser = Browser::default();
    let silent = Attempt::new().with("prompt", "none");
    let (_, parameters) = redirected(&world.open(&mut browser, &silent.url(&world)).await);
    assert_eq!((parameters["error"].as_str(), parameters["state"].as_str()), ("login_required", silent.get("state")));
    world.sign_in(&mut browser).await;
    for (prompt, status) in [("none", 303), ("consent", 303), ("login", 200), ("select_account", 200)] {
        let answer = world.open(&mut browser, &Attempt::new().with("prompt", prompt).url(&world)).await;
        assert_eq!(answer.status(), status, "{prompt}");
    }
    world.clock.advance(Duration::from_secs(60));
    let answer = world.open(&mut browser, &Attempt::new().with("max_age", "30").url(&world)).await;
    assert_eq!(answer.status(), 200, "a login older than max_age is asked for again");
    assert_eq!(world.provider.complaints(), Vec::<String>::new(), "none of this is the client's fault");
}

#[actix_web::test]
async fn another_person_on_the_login_page_is_another_sid() {
    let world = World::start();
    let mut browser = Browser::default();
    let (_, first) = world.sign_in(&mut browser).await;
    let mut sids = vec![world.verified(&first["id_token"], "site-one").await.1["sid"].clone()];
    for user in ["ada", "grace"] {
        let attempt = Attempt::new().with("prompt", "login");
        let page = world.open(&mut browser, &attempt.url(&world)).await.text().await.unwrap();
        let back = world.press(&mut browser, &page, "user", user).await;
        let (_, tokens) = world.token(&attempt.redemption(&code(&back))).await;
        sids.push(world.verified(&tokens["id_token"], "site-one").await.1["sid"].clone());
    }
    assert_eq!(sids[0], sids[1]);
    assert_ne!(sids[1], sids[2]);
}

#[actix_web::test]
async fn a_login_form_works_only_in_its_browser_and_for_its_request() {
    let world = World::start();
    let mut browser = Browser::default();
    let page = world.open(&mut browser, &Attempt::new().url(&world)).await.text().await.unwrap();
    let mut stranger = Browser::default();
    assert_eq!(world.press(&mut stranger, &page, "user", "ada").await.status(), 403);
    world.open(&mut stranger, &Attempt::new().url(&world)).await;
    assert_eq!(world.press(&mut stranger, &page, "user", "ada").await.status(), 403);
    let swapped = page.replace("client_id=site-one", "client_id=site-two");
    assert_eq!(world.press(&mut browser, &swapped, "user", "ada").await.status(), 403);
    assert_eq!(world.press(&mut browser, &page, "user", "mallory").await.status(), 403);
    assert_eq!(world.press(&mut browser, &page, "user", "ada").await.status(), 303);
}

#[actix_web::test]
async fn cancelling_the_login_denies_access() {
    let world = World::start();
    let mut browser = Browser::default();
    let page = world.open(&mut browser, &Attempt::new().url(&world)).await.text().await.unwrap();
    let (_, parameters) = redirected(&world.press(&mut browser, &page, "cancel", "yes").await);
    assert_eq!(parameters["error"], "access_denied");
}

#[actix_web::test]
async fn a_code_is_good_once_and_a_second_use_ends_what_the_first_one_got() {
    let world = World::start();
    let mut browser = Browser::default();
    world.sign_in(&mut browser).await;
    let attempt = Attempt::new();
    let code = code(&world.open(&mut browser, &attempt.url(&world)).await);
    let (status, tokens) = world.token(&attempt.redemption(&code)).await;
    assert_eq!(status, 200);
    let (status, error) = world.token(&attempt.redemption(&code)).await;
    assert_eq!((status.as_u16(), &error["error"]), (400, &"invalid_grant".into()));
    assert_eq!(world.refresh(&tokens["refresh_token"]).await.1["error"], "invalid_grant");
    let bearer = tokens["access_token"].as_str().unwrap();
    let who = world.http.get(world.at("/userinfo")).bearer_auth(bearer).send().await.unwrap();
    assert_eq!(who.status(), 401);
}

#[actix_web::test]
async fn a_code_is_refused_to_whoever_cannot_prove_everything() {
    let world = World::start();
    let mut browser = Browser::default();
    world.sign_in(&mut browser).await;
    let (wrong_verifier, none) = (random_base64url(), "");
    let changes = [("code_verifier", wrong_verifier.as_str()), ("code_verifier", none), ("redirect_uri", "http://x/")];
    for (name, value) in changes {
        let attempt = Attempt::new();
        let code = code(&world.open(&mut browser, &attempt.url(&world)).await);
        let good = attempt.redemption(&code);
        let form = good.map(|(known, kept)| if known == name { (known, value) } else { (known, kept) });
        assert_eq!(world.token(&form).await.0, 400, "{name}={value}");
        assert_eq!(world.token(&good).await.0, 400, "a wrong attempt burns the code");
    }
    let attempt = Attempt::new();
    let code = code(&world.open(&mut browser, &attempt.url(&world)).await);
    assert_eq!(world.token_as("site-two", &attempt.redemption(&code)).await.1["error"], "invalid_grant");
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.token(&attempt.redemption(&code)).await.1["error"], "invalid_grant", "a code lives a minute");
}

#[actix_web::test]
async fn a_refresh_rotates_and_using_the_old_token_ends_the_family() {
    let world = World::start();
    let (_, first) = world.sign_in(&mut Browser::default()).await;
    let (status, second) = world.refresh(&first["refresh_token"]).await;
    assert_eq!(status, 200);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    assert_ne!(second["access_token"], first["access_token"]);
    let (_, id) = world.verified(&second["id_token"], "site-one").await;
    assert!(id["nonce"].is_null());
    assert_eq!(world.refresh(&second["refresh_token"]).await.0, 200);
    assert_eq!(world.refresh(&first["refresh_token"]).await.1["error"], "invalid_grant");
    assert_eq!(world.refresh(&second["refresh_token"]).await.1["error"], "invalid_grant");
    let tally = world.provider.tally();
    assert_eq!((tally.refreshes, tally.refresh_reuses, tally.codes_redeemed), (2, 1, 1));
}

#[actix_web::test]
async fn a_refresh_token_serves_its_client_and_its_scope_only() {
    let world = World::start();
    let (_, tokens) = world.sign_in(&mut Browser::default()).await;
    let token = tokens["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    assert_eq!(world.token_as("site-two", &form).await.1["error"], "invalid_grant");
    let wide = [form[0], form[1], ("scope", "openid admin")];
    assert_eq!(world.token(&wide).await.1["error"], "invalid_scope");
    let forged = token.replacen(".0.", ".1.", 1);
    assert_eq!(world.token(&[form[0], ("refresh_token", &forged)]).await.1["error"], "invalid_grant");
    assert_eq!(world.token(&form).await.0, 200, "none of this harmed the token");
}

#[actix_web::test]
async fn a_login_without_offline_access_cannot_be_refreshed() {
    let world = World::start();
    let mut browser = Browser::default();
    world.sign_in(&mut browser).await;
    let attempt = Attempt::new().with("scope", "openid");
    let back = world.open(&mut browser, &attempt.url(&world)).await;
    let (_, tokens) = world.token(&attempt.redemption(&code(&back))).await;
    assert!(tokens["refresh_token"].is_null());
    let (_, id) = world.verified(&tokens["id_token"], "site-one").await;
    assert!(id["email"].is_null() && id["name"].is_null());
}

#[actix_web::test]
async fn the_token_endpoint_wants_one_good_proof_of_the_client() {
    let world = World::start();
    let url = world.at("/token");
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let wrong = world.http.post(&url).basic_auth("site-one", Some("wrong")).form(&refresh).send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    assert!(wrong.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    let none = world.http.post(&url).form(&[refresh[0], ("client_id", "site-one")]).send().await.unwrap();
    assert_eq!(none.status(), 401);
    let form = [refresh[0], refresh[1], ("client_id", "site-one"), ("client_secret", SECRET)];
    let posted = world.http.post(&url).form(&form).send().await.unwrap();
    assert_eq!(posted.json::<Value>().await.unwrap()["error"], "invalid_grant", "the client itself was accepted");
    let both = world.http.post(&url).basic_auth("site-one", Some(SECRET)).form(&form).send().await.unwrap();
    assert_eq!(both.json::<Value>().await.unwrap()["error"], "invalid_request");
    let query = world.http.post(format!("{url}?client_secret=x")).form(&form).send().await.unwrap();
    assert_eq!(query.json::<Value>().await.unwrap()["error"], "invalid_request");
    let json = world.http.post(&url).json(&form).send().await.unwrap();
    assert_eq!(json.json::<Value>().await.unwrap()["error"], "invalid_request");
    assert_eq!(world.token(&[("grant_type", "password")]).await.1["error"], "unsupported_grant_type");
}

#[actix_web::test]
async fn revoking_either_token_ends_the_family_and_only_for_its_client() {
    let world = World::start();
    for kind in ["refresh_token", "access_token"] {
        let (_, tokens) = world.sign_in(&mut Browser::default()).await;
        let revoke = async |client: &str, token: &str| {
            let form = [("token", token), ("client_id", client), ("client_secret", SECRET)];
            world.http.post(world.at("/revoke")).form(&form).send().await.unwrap().status()
        };
        let token = tokens[kind].as_str().unwrap();
        assert_eq!(revoke("site-two", token).await, 400);
        assert_eq!(revoke("site-one", "unknown").await, 200);
        assert_eq!(revoke("site-one", token).await, 200);
        assert_eq!(world.refresh(&tokens["refresh_token"]).await.1["error"], "invalid_grant", "{kind}");
    }
}

#[actix_web::test]
async fn a_logout_with_a_hint_ends_the_login_and_leads_back() {
    let world = World::start();
    let mut browser = Browser::default();
    let (_, tokens) = world.sign_in(&mut browser).await;
    world.clock.advance(Duration::from_secs(3600));
    let words = [
        ("id_token_hint", tokens["id_token"].as_str().unwrap()),
        ("post_logout_redirect_uri", AFTER_LOGOUT),
        ("state", "abc"),
    ];
    let url = Url::parse_with_params(&world.at("/end_session"), words).unwrap();
    let (place, parameters) = redirected(&world.open(&mut browser, url.as_str()).await);
    assert_eq!((place.as_str(), parameters["state"].as_str()), (AFTER_LOGOUT, "abc"));
    let silent = Attempt::new().with("prompt", "none");
    let (_, parameters) = redirected(&world.open(&mut browser, &silent.url(&world)).await);
    assert_eq!(parameters["error"], "login_required");
    assert_eq!(world.provider.tally().logouts, 1);
}

#[actix_web::test]
async fn a_logout_without_a_good_hint_asks_first() {
    let world = World::start();
    let mut browser = Browser::default();
    world.sign_in(&mut browser).await;
    let base = Url::parse_with_params(
        &world.at("/end_session"),
        [("client_id", "site-one"), ("post_logout_redirect_uri", AFTER_LOGOUT), ("state", "abc")],
    )
    .unwrap();
    let forged = format!("{base}&id_token_hint=forged");
    for url in [base.as_str(), &forged] {
        let answer = world.open(&mut browser, url).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(world.provider.tally().logouts, 0);
    }
    let page = world.open(&mut browser, base.as_str()).await.text().await.unwrap();
    assert!(page.contains("Ada Lovelace"));
    assert_eq!(world.press(&mut Browser::default(), &page, "confirm", "yes").await.status(), 403);
    let (place, parameters) = redirected(&world.press(&mut browser, &page, "confirm", "yes").await);
    assert_eq!((place.as_str(), parameters["state"].as_str()), (AFTER_LOGOUT, "abc"));
    assert_eq!(world.provider.tally().logouts, 1);
}

#[actix_web::test]
async fn a_logout_leads_nowhere_that_is_not_registered() {
    let world = World::start();
    let mut browser = Browser::default();
    let (_, tokens) = world.sign_in(&mut browser).await;
    let hint = tokens["id_token"].as_str().unwrap();
    let cases = [
        vec![("id_token_hint", hint), ("post_logout_redirect_uri", "https://evil.example/")],
        vec![("post_logout_redirect_uri", AFTER_LOGOUT)],
        vec![("id_token_hint", hint), ("client_id", "site-two"), ("post_logout_redirect_uri", AFTER_LOGOUT)],
        vec![("client_id", "nobody"), ("post_logout_redirect_uri", AFTER_LOGOUT)],
    ];
    for words in cases {
        let url = Url::parse_with_params(&world.at("/end_session"), &words).unwrap();
        assert_eq!(world.open(&mut browser, url.as_str()).await.status(), 400, "{words:?}");
    }
    assert_eq!(world.provider.tally().logouts, 0);
}

#[actix_web::test]
async fn a_foreign_host_name_is_misdirected() {
    let world = World::start();
    let answer = world.http.get(world.at("/jwks")).header("host", "evil.example").send().await.unwrap();
    assert_eq!(answer.status(), 421);
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
}

#[actix_web::test]
async fn its_behaviour_can_be_changed_while_it_runs() {
    let world = World::start();
    let (_, tokens) = world.sign_in(&mut Browser::default()).await;
    let calm = world.provider.behaviour();
    world.provider.behave(Behaviour { token_outage: Some(503), ..calm });
    assert_eq!(world.refresh(&tokens["refresh_token"]).await.0, 503);
    let short = Duration::from_secs(5);
    world.provider.behave(Behaviour { rotation: Rotation::Never, access_token_lifetime: short, ..calm });
    for _ in 0..2 {
        let (status, again) = world.refresh(&tokens["refresh_token"]).await;
        assert_eq!((status.as_u16(), &again["expires_in"]), (200, &5.into()));
        assert!(again["refresh_token"].is_null());
    }
}

#[actix_web::test]
async fn an_access_token_ends_on_time_and_an_id_token_is_none() {
    let world = World::start();
    let (_, tokens) = world.sign_in(&mut Browser::default()).await;
    let verifier = world.provider.access_tokens();
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(verifier.verify(access).unwrap().client_id, "site-one");
    assert!(verifier.verify(tokens["id_token"].as_str().unwrap()).is_err());
    assert!(verifier.verify(&access[..access.len() - 4]).is_err());
    let another = World::start();
    assert!(another.provider.access_tokens().verify(access).is_err(), "signed with another key");
    world.clock.advance(Duration::from_secs(120));
    assert_eq!(verifier.verify(access).unwrap_err().to_string(), "expired");
}
