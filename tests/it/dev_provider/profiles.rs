//! The peculiarities of the providers that the embedded one can play, each as a client meets it.

use std::path::Path;

use super::*;

fn playing(name: &str) -> World {
    World::of(*Profile::named(name).unwrap())
}

impl Attempt {
    /// What a gateway asks there that is set up as the profile says, whom to show what aside.
    fn at(world: &World) -> Self {
        let entry = world.provider.profile().entry_at(world.provider.address());
        let text = format!(
            "[[site]]\norigin = \"http://one.localhost:8080\"\n[[site.provider]]\n{entry}\n\
             client_id = \"site-one\"\nclient_secret = \"a secret\"\n"
        );
        let config = cloakroom::config::read_text(Path::new("dev"), &text, &|_| None).unwrap();
        let client = config.sites[0].providers[0].kind.client().unwrap();
        let requests = client.requests.clone();
        let params = client.authorization_params.clone().into_iter().filter(|(name, _)| name != "prompt");
        let audience = requests.audience.map(|audience| ("audience".to_owned(), audience));
        let resource = requests.resource.into_iter().map(|resource| ("resource".to_owned(), resource));
        let scoped = Self::new().with("scope", &client.scopes.join(" "));
        params.chain(audience).chain(resource).fold(scoped, |attempt, (name, value)| attempt.with(name.leak(), &value))
    }
}

impl World {
    /// Signs Ada in on the login page, if it comes; the parameters of the callback.
    async fn authorized(&self, browser: &mut Browser, attempt: &Attempt) -> HashMap<String, String> {
        let answer = self.open(browser, &attempt.url(self)).await;
        if answer.status() == 303 {
            return redirected(&answer).1;
        }
        let page = answer.text().await.unwrap();
        redirected(&self.press(browser, &page, "user", "ada").await).1
    }

    /// The same, and the code redeemed.
    async fn tokens(&self, browser: &mut Browser, attempt: &Attempt) -> (StatusCode, Value) {
        let parameters = self.authorized(browser, attempt).await;
        let resources = attempt.parameters.iter().filter(|(name, _)| *name == "resource");
        let resources = resources.map(|(name, value)| (*name, value.as_str()));
        self.token(&attempt.redemption(&parameters["code"]).into_iter().chain(resources).collect::<Vec<_>>()).await
    }

    async fn asked(&self, browser: &mut Browser, attempt: &Attempt) -> String {
        let (_, parameters) = redirected(&self.open(browser, &attempt.url(self)).await);
        parameters.get("error").unwrap_or_else(|| panic!("{parameters:?}")).clone()
    }

    fn api_takes(&self, token: &Value) -> bool {
        self.provider.access_tokens().verify(token.as_str().unwrap()).is_ok()
    }

    async fn status(&self, path: &str) -> u16 {
        self.http.get(self.at(path)).send().await.unwrap().status().as_u16()
    }
}

/// A part of a JWT, unverified: 0 is the header, 1 the claims.
fn part(token: &Value, which: usize) -> Value {
    let encoded = token.as_str().unwrap().split('.').nth(which).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
}

fn names(answer: &Value) -> Vec<&str> {
    answer.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn every_profile_has_a_name_of_its_own_and_says_what_is_peculiar() {
    let names: Vec<_> = Profile::names().collect();
    assert_eq!(names.len(), 14);
    for name in &names {
        assert!(names.iter().filter(|other| *other == name).count() == 1, "{name}");
        assert!(Profile::named(name).unwrap().about.contains(": "), "{name}");
    }
    assert!(Profile::named("strict").is_none() && Profile::named("Passport12").is_none());
}

#[actix_web::test]
async fn passport_has_no_openid_connect_at_all() {
    for name in ["passport12", "passport13"] {
        let world = playing(name);
        for path in ["/.well-known/openid-configuration", "/jwks", "/userinfo", "/revoke", "/end_session"] {
            assert_eq!(world.status(path).await, 404, "{path}");
        }
        let mut browser = Browser::default();
        for scope in ["openid", "offline_access", "read-orders openid"] {
            let error = world.asked(&mut browser, &Attempt::new().with("scope", scope)).await;
            assert_eq!(error, "invalid_scope", "{scope}");
        }
        let attempt = Attempt::at(&world).with("nonce", "");
        let parameters = world.authorized(&mut browser, &attempt).await;
        assert!(!parameters.contains_key("iss") && parameters.contains_key("code"), "{parameters:?}");
        let (status, tokens) = world.token(&attempt.redemption(&parameters["code"])).await;
        assert_eq!(status, 200, "{tokens}");
        assert_eq!(names(&tokens), ["access_token", "expires_in", "refresh_token", "token_type"]);
        let (header, claims) = (part(&tokens["access_token"], 0), part(&tokens["access_token"], 1));
        assert!(header["kid"].is_null() && claims["iss"].is_null() && claims["scope"].is_null());
        assert_eq!(claims["scopes"], serde_json::json!(["read-orders", "write-notes"]));
        assert_eq!((&claims["aud"], &claims["sub"]), (&"site-one".into(), &"1".into()));
        let bearer = tokens["access_token"].as_str().unwrap();
        let user = world.http.get(world.at("/api/user")).bearer_auth(bearer).send().await.unwrap();
        let user: Value = user.json().await.unwrap();
        assert_eq!((&user["id"], &user["name"]), (&1.into(), &"Ada Lovelace".into()));
        assert!(user["sub"].is_null());
    }
}

#[actix_web::test]
async fn a_refresh_at_passport_revokes_the_access_token_before_it_at_once() {
    let world = playing("passport13");
    let (_, first) = world.tokens(&mut Browser::default(), &Attempt::at(&world)).await;
    assert!(world.api_takes(&first["access_token"]));
    let (status, second) = world.refresh(&first["refresh_token"]).await;
    assert_eq!(status, 200, "{second}");
    assert!(world.api_takes(&second["access_token"]));
    assert!(!world.api_takes(&first["access_token"]), "still good after the refresh");
    assert_eq!(world.refresh(&first["refresh_token"]).await.0, 400, "it was used before");
    assert_eq!(world.refresh(&second["refresh_token"]).await.0, 200, "reuse ends nothing else");
}

#[actix_web::test]
async fn passport_12_has_no_invalid_grant_and_passport_13_does() {
    for (name, status, error) in [("passport12", 401, "invalid_request"), ("passport13", 400, "invalid_grant")] {
        let world = playing(name);
        let (refused, body) = world.refresh(&"nonsense".into()).await;
        assert_eq!((refused.as_u16(), body["error"].as_str()), (status, Some(error)), "{body}");
        assert!(body["hint"].is_string());
        assert_eq!(body["message"].is_string(), name == "passport12", "{body}");
        let (refused, body) = world.token(&Attempt::at(&world).redemption("nonsense")).await;
        assert_eq!((refused.as_u16(), body["error"].as_str()), (400, Some(error)), "{body}");
    }
}

#[actix_web::test]
async fn a_silent_login_is_refused_in_the_words_of_each_provider() {
    let cases = [
        ("passport12", "access_denied", Some("access_denied")),
        ("passport13", "login_required", Some("consent_required")),
        ("keycloak", "login_required", None),
    ];
    for (name, signed_out, unknown) in cases {
        let world = playing(name);
        let mut browser = Browser::default();
        let silent = || Attempt::at(&world).with("prompt", "none");
        assert_eq!(world.asked(&mut browser, &silent()).await, signed_out, "{name}");
        world.authorized(&mut browser, &Attempt::at(&world)).await;
        assert!(world.authorized(&mut browser, &silent()).await.contains_key("code"), "{name}");
        let there = CALLBACK.replace("one", "two");
        let elsewhere = silent().with("client_id", "site-two").with("redirect_uri", &there);
        let (_, parameters) = redirected(&world.open(&mut browser, &elsewhere.url(&world)).await);
        assert_eq!(parameters.get("error").map(String::as_str), unknown, "{name}");
    }
}

#[actix_web::test]
async fn the_sixty_first_token_call_in_a_minute_waits_at_passport() {
    let world = playing("passport12");
    for _ in 0..60 {
        assert_eq!(world.refresh(&"nonsense".into()).await.0, 401);
    }
    let (status, body) = world.refresh(&"nonsense".into()).await;
    assert_eq!((status.as_u16(), &body), (429, &serde_json::json!({ "message": "Too Many Attempts." })));
    world.clock.advance(Duration::from_secs(20));
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let answer = world.http.post(world.at("/oauth/token")).form(&form).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, &"40".parse().unwrap()));
    world.clock.advance(Duration::from_secs(40));
    assert_eq!(world.refresh(&"nonsense".into()).await.0, 401, "a minute later it is judged again");
    assert_eq!(world.provider.tally().throttled, 2);
}

#[actix_web::test]
async fn passport_s_own_logout_ends_the_login_and_the_browser_s() {
    let world = playing("passport13");
    let mut browser = Browser::default();
    let (_, tokens) = world.tokens(&mut browser, &Attempt::at(&world)).await;
    let bearer = tokens["access_token"].as_str().unwrap();
    let hook = async || world.http.post(world.at("/api/logout")).bearer_auth(bearer).send().await.unwrap().status();
    assert_eq!(hook().await, 204);
    assert_eq!(hook().await, 401);
    assert!(!world.api_takes(&tokens["access_token"]));
    assert_eq!(world.refresh(&tokens["refresh_token"]).await.0, 400);
    assert_eq!(world.asked(&mut browser, &Attempt::at(&world).with("prompt", "none")).await, "login_required");
}

#[actix_web::test]
async fn entra_s_tokens_are_large_for_one_api_and_refused_to_browsers() {
    let world = playing("entra");
    let mut browser = Browser::default();
    let attempt = Attempt::at(&world);
    let (_, tokens) = world.tokens(&mut browser, &attempt).await;
    assert!(tokens["access_token"].as_str().unwrap().len() > 12 * 1024);
    assert!(tokens["id_token"].as_str().unwrap().len() > 12 * 1024);
    assert_eq!(tokens["scope"], "openid profile email api://demo-api/.default");
    assert!(tokens["refresh_token"].is_string() && world.api_takes(&tokens["access_token"]));
    let claims = part(&tokens["access_token"], 1);
    assert!(claims["scp"].is_string() && claims["scope"].is_null() && claims["aud"] == "demo-api");

    let both =
        Attempt::at(&world).with("scope", "openid api://demo-api/.default https://graph.microsoft.com/User.Read");
    let (_, parameters) = redirected(&world.open(&mut browser, &both.url(&world)).await);
    assert_eq!(parameters["error"], "invalid_scope");
    assert!(parameters["error_description"].contains("AADSTS70011"));
    let graph = Attempt::at(&world).with("scope", "openid profile");
    let (_, tokens) = world.tokens(&mut browser, &graph).await;
    assert!(!world.api_takes(&tokens["access_token"]), "that one is for Microsoft Graph");

    let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let call = world.http.post(world.at("/demo-tenant/oauth2/v2.0/token")).basic_auth("site-one", Some(SECRET_ENCODED));
    let answer = call.header("origin", "http://one.localhost:8080").form(&form).send().await.unwrap();
    assert!(answer.text().await.unwrap().contains("AADSTS9002326"));
    assert!(world.refresh(&"x".into()).await.1["error_description"].as_str().unwrap().starts_with("AADSTS700082"));
}

const SECRET_ENCODED: &str = "s3cret%2Bwith%2Fodd%3Asigns+%25";

#[actix_web::test]
async fn entra_signs_out_without_a_question_only_with_the_hint_of_its_id_token() {
    let world = playing("entra");
    let mut browser = Browser::default();
    let (_, tokens) = world.tokens(&mut browser, &Attempt::at(&world)).await;
    let hint = part(&tokens["id_token"], 1)["login_hint"].as_str().unwrap().to_owned();
    let words = [("client_id", "site-one"), ("post_logout_redirect_uri", AFTER_LOGOUT), ("state", "abc")];
    let url = Url::parse_with_params(&world.at("/demo-tenant/oauth2/v2.0/logout"), words).unwrap();
    assert_eq!(world.open(&mut browser, url.as_str()).await.status(), 200, "a page asks");
    let (place, parameters) = redirected(&world.open(&mut browser, &format!("{url}&logout_hint={hint}")).await);
    assert_eq!((place.as_str(), parameters["state"].as_str()), (AFTER_LOGOUT, "abc"));
}

#[actix_web::test]
async fn cognito_refuses_offline_access_and_gives_a_lasting_refresh_token_anyway() {
    let world = playing("cognito");
    let mut browser = Browser::default();
    let offline = Attempt::new().with("scope", "openid offline_access");
    assert_eq!(world.asked(&mut browser, &offline).await, "invalid_scope");
    let (_, tokens) = world.tokens(&mut browser, &Attempt::at(&world)).await;
    let claims = part(&tokens["access_token"], 1);
    assert!(claims["aud"].is_null() && tokens["scope"].is_null());
    assert_eq!((&claims["token_use"], &claims["client_id"]), (&"access".into(), &"site-one".into()));
    assert!(world.api_takes(&tokens["access_token"]));
    for _ in 0..2 {
        let (status, again) = world.refresh(&tokens["refresh_token"]).await;
        assert_eq!((status.as_u16(), again["refresh_token"].is_null()), (200, true));
    }
    let words = [("client_id", "site-one"), ("logout_uri", AFTER_LOGOUT)];
    let url = Url::parse_with_params(&world.at("/logout"), words).unwrap();
    assert_eq!(redirected(&world.open(&mut browser, url.as_str()).await).0, AFTER_LOGOUT);
    assert_eq!(world.asked(&mut browser, &Attempt::at(&world).with("prompt", "none")).await, "login_required");
    let foreign = url.as_str().replace("one.localhost", "evil.localhost");
    assert_eq!(world.open(&mut browser, &foreign).await.status(), 400);
}

#[actix_web::test]
async fn keycloak_names_session_and_issuer_and_keeps_the_refresh_token() {
    let world = playing("keycloak");
    let mut browser = Browser::default();
    let attempt = Attempt::at(&world);
    let parameters = world.authorized(&mut browser, &attempt).await;
    assert_eq!(parameters["iss"], world.provider.issuer());
    assert!(parameters.contains_key("session_state"));
    let (_, tokens) = world.token(&attempt.redemption(&parameters["code"])).await;
    assert_eq!(part(&tokens["access_token"], 1)["typ"], "Bearer");
    assert_eq!(attempt.get("scope"), "openid profile email", "no offline_access, and still:");
    assert!(world.refresh(&tokens["refresh_token"]).await.1["refresh_token"].is_null());
    assert_eq!(world.refresh(&tokens["refresh_token"]).await.0, 200);
    let path = "/realms/demo/protocol/openid-connect/logout";
    let bare = Url::parse_with_params(&world.at(path), [("post_logout_redirect_uri", AFTER_LOGOUT)]).unwrap();
    assert_eq!(world.open(&mut browser, bare.as_str()).await.status(), 400);
    assert_eq!(world.open(&mut browser, &format!("{bare}&client_id=site-one")).await.status(), 200);
}

#[actix_web::test]
async fn auth0_gives_an_opaque_token_to_whoever_names_no_audience() {
    let world = playing("auth0");
    let mut browser = Browser::default();
    let (_, named) = world.tokens(&mut browser, &Attempt::at(&world)).await;
    assert!(world.api_takes(&named["access_token"]));
    let (_, bare) = world.tokens(&mut browser, &Attempt::at(&world).with("audience", "")).await;
    assert!(!bare["access_token"].as_str().unwrap().contains('.') && !world.api_takes(&bare["access_token"]));
    let found = world.http.get(world.at("/.well-known/openid-configuration")).send().await.unwrap();
    assert!(found.json::<Value>().await.unwrap()["end_session_endpoint"].is_null());
    let back = format!("{AFTER_LOGOUT}?state=abc");
    let words = [("client_id", "site-one"), ("returnTo", back.as_str())];
    let url = Url::parse_with_params(&world.at("/v2/logout"), words).unwrap();
    let (place, parameters) = redirected(&world.open(&mut browser, url.as_str()).await);
    assert_eq!((place.as_str(), parameters["state"].as_str()), (AFTER_LOGOUT, "abc"));
}

#[actix_web::test]
async fn google_gives_a_refresh_token_at_the_first_consent_and_no_other() {
    let world = playing("google");
    let mut browser = Browser::default();
    let offline = Attempt::new().with("scope", "openid offline_access");
    assert_eq!(world.asked(&mut browser, &offline).await, "invalid_scope");
    let given = async |browser: &mut Browser, attempt: Attempt| {
        let (_, tokens) = world.tokens(browser, &attempt).await;
        assert!(!tokens["access_token"].as_str().unwrap().contains('.') && world.api_takes(&tokens["access_token"]));
        tokens["refresh_token"].is_string()
    };
    assert!(given(&mut browser, Attempt::at(&world)).await, "the first time");
    assert!(!given(&mut browser, Attempt::at(&world)).await, "the second time");
    assert!(given(&mut browser, Attempt::at(&world).with("prompt", "consent")).await, "asked again");
    let online = Attempt::at(&world).with("prompt", "consent").with("access_type", "");
    assert!(!given(&mut browser, online).await, "online");
}

#[actix_web::test]
async fn okta_ends_the_login_on_reuse_and_signs_nobody_out_without_a_hint() {
    let world = playing("okta");
    let mut browser = Browser::default();
    let (_, first) = world.tokens(&mut browser, &Attempt::at(&world)).await;
    assert!(part(&first["access_token"], 1)["scp"].is_array());
    let (_, second) = world.refresh(&first["refresh_token"]).await;
    assert_eq!(world.refresh(&first["refresh_token"]).await.0, 400);
    assert_eq!(world.refresh(&second["refresh_token"]).await.0, 400, "the whole family is gone");
    let words = [("client_id", "site-one"), ("post_logout_redirect_uri", AFTER_LOGOUT)];
    let url = Url::parse_with_params(&world.at("/oauth2/default/v1/logout"), words).unwrap();
    assert_eq!(world.open(&mut browser, url.as_str()).await.status(), 400);
    let hinted = format!("{url}&id_token_hint={}", first["id_token"].as_str().unwrap());
    assert_eq!(redirected(&world.open(&mut browser, &hinted).await).0, AFTER_LOGOUT);
}

#[actix_web::test]
async fn github_refuses_with_200_and_speaks_json_only_when_asked() {
    let world = playing("github");
    let mut browser = Browser::default();
    let attempt = Attempt::at(&world).with("nonce", "").with("scope", "read:user nonsense");
    let parameters = world.authorized(&mut browser, &attempt).await;
    let form = [&attempt.redemption(&parameters["code"])[..], &[("client_id", "site-one")]].concat();
    let form = [&form[..], &[("client_secret", SECRET)]].concat();
    let answer = world.http.post(world.at("/login/oauth/access_token")).form(&form).send().await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("application/x-www-form-urlencoded"), "{kind}");
    let answer: HashMap<String, String> =
        url::form_urlencoded::parse(&answer.bytes().await.unwrap()).into_owned().collect();
    assert_eq!(answer["scope"], "read:user");
    assert!(!answer.contains_key("expires_in") && !answer.contains_key("refresh_token"));
    world.clock.advance(Duration::from_secs(3600));
    assert!(world.api_takes(&answer["access_token"].as_str().into()), "it does not expire");
    let (status, body) = world.token(&attempt.redemption("nonsense")).await;
    assert_eq!((status.as_u16(), &body["error"]), (200, &"bad_verification_code".into()));
    let (status, body) = world.refresh(&"x".into()).await;
    assert_eq!((status.as_u16(), &body["error"]), (200, &"unsupported_grant_type".into()));
}

#[actix_web::test]
async fn zitadel_s_token_is_for_the_api_only_with_the_project_s_scope() {
    let world = playing("zitadel");
    let mut browser = Browser::default();
    let (_, tokens) = world.tokens(&mut browser, &Attempt::at(&world)).await;
    assert!(world.api_takes(&tokens["access_token"]));
    assert!(world.refresh(&tokens["refresh_token"]).await.1["refresh_token"].is_string());
    let (_, tokens) = world.tokens(&mut browser, &Attempt::new()).await;
    assert!(!world.api_takes(&tokens["access_token"]));
    let claims = part(&tokens["id_token"], 1);
    assert_eq!((&claims["aud"], &claims["azp"]), (&serde_json::json!(["site-one", "demo-api"]), &"site-one".into()));
}

#[actix_web::test]
async fn logto_gives_an_opaque_token_to_whoever_names_no_resource_at_the_login_and_at_every_token_request() {
    let world = playing("logto");
    let mut browser = Browser::default();
    let is_for_api = |tokens: &Value| {
        let jwt = tokens["access_token"].as_str().unwrap().contains('.');
        assert_eq!(jwt, world.api_takes(&tokens["access_token"]), "{tokens}");
        jwt
    };
    let attempt = Attempt::at(&world).with("prompt", "consent");
    let (_, tokens) = world.tokens(&mut browser, &attempt).await;
    assert!(is_for_api(&tokens));
    assert_eq!(part(&tokens["access_token"], 1)["aud"][0], attempt.get("resource"));
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    let (_, renewed) = world.token(&[&refresh[..], &[("resource", attempt.get("resource"))]].concat()).await;
    assert!(is_for_api(&renewed));
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", renewed["refresh_token"].as_str().unwrap())];
    assert!(!is_for_api(&world.token(&refresh).await.1), "the refresh names no resource");

    let silent = Attempt::at(&world).with("resource", "");
    let parameters = world.authorized(&mut browser, &silent).await;
    let late = [&silent.redemption(&parameters["code"])[..], &[("resource", attempt.get("resource"))]].concat();
    let (status, body) = world.token(&late).await;
    assert_eq!((status.as_u16(), &body["error"]), (400, &"invalid_target".into()), "it was not granted");
    let (_, tokens) = world.tokens(&mut browser, &Attempt::at(&world).with("resource", "")).await;
    assert!(!is_for_api(&tokens));
    let wrong = Attempt::at(&world).with("resource", "urn:another");
    assert_eq!(world.asked(&mut browser, &wrong).await, "invalid_target");
}

#[actix_web::test]
async fn logto_gives_a_refresh_token_for_offline_access_that_was_consented_to() {
    let world = playing("logto");
    let mut browser = Browser::default();
    let (_, tokens) = world.tokens(&mut browser, &Attempt::at(&world)).await;
    assert!(tokens["refresh_token"].is_null(), "without prompt=consent");
    let (_, tokens) = world.tokens(&mut browser, &Attempt::at(&world).with("prompt", "consent")).await;
    assert!(tokens["refresh_token"].is_string());
}
