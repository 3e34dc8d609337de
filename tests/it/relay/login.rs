//! Who may log in with `POST /bff/login`, with what, and what becomes of it.

use std::time::Duration;

use serde_json::json;

use super::{Stage, Wish, ada, bob};
use crate::support::{Browser, Manners, PASSWORD, Reply, Request, World};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const OWN: (&str, &str) = ("Sec-Fetch-Site", "same-origin");

#[test]
fn a_login_at_jwt_auth_makes_a_session_whose_calls_carry_the_token() {
    let stage = Stage::new(Manners::JwtAuth);
    let mut browser = Browser::new();
    let answer = stage.log_in(&mut browser, &ada());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let session = answer.json();
    let mut shown = browser.session(&stage.origin);
    for left in ["idle_expires_in", "absolute_expires_in"] {
        assert!(session[left].as_u64() >= shown[left].as_u64() && shown[left].as_u64() > Some(1700), "{shown}");
        shown[left] = session[left].clone();
    }
    assert_eq!(session, shown, "the body of /bff/session");
    let user = json!({ "sub": "1", "name": "Ada Lovelace", "email": "ada@example.com", "role": "author" });
    assert_eq!(session["user"], user);
    assert_eq!((&session["provider"], &session["login_url"]), (&json!("api"), &json!("/bff/login")));
    assert!(session["pin"].as_str().is_some_and(|pin| pin.len() > 16), "{session}");
    let call = browser.get(&stage.origin, "/api/orders");
    assert_eq!((call.status, call.json()), (200, json!({ "user": 1 })));
    assert_eq!(stage.api.upstream.last().bearer(), stage.api.issued()[0]);
    browser.saw_none_of(&stage.secrets());
}

#[test]
fn a_login_at_sanctum_makes_a_session_as_well_and_lasts_until_its_absolute_end() {
    let stage = Stage::new(Manners::Sanctum);
    let mut browser = stage.signed_in();
    let session = browser.session(&stage.origin);
    let user = json!({ "sub": "1", "name": "Ada Lovelace", "email": "ada@example.com", "role": "author" });
    assert_eq!(session["user"], user);
    assert!(session["absolute_expires_in"].as_u64().is_some_and(|left| left > 43_000), "{session}");
    assert_eq!(browser.get(&stage.origin, "/api/orders").status, 200);
    browser.saw_none_of(&stage.secrets());
}

#[test]
fn the_api_gets_the_credentials_as_they_came_and_is_told_who_asks() {
    let wish = Wish { server: &["trusted_proxies = [\"127.0.0.0/8\"]"], ..Wish::new(Manners::JwtAuth) };
    let stage = Stage::of(wish);
    let body =
        format!("{{ \"email\" : \"ada@example.com\",\"password\":\"{PASSWORD}\", \"\\u0065xtra\":[1,  null] }}\n");
    let headers = [
        JSON,
        OWN,
        ("X-Forwarded-For", "192.0.2.7"),
        ("X-Forwarded-Host", "evil.example"),
        ("User-Agent", "browser/1"),
        ("Accept-Language", "de"),
        ("Accept", "*/*"),
        ("Cookie", "laravel_session=canary-cookie"),
        ("Authorization", "Bearer canary-bearer"),
        ("X-Api-Key", "canary-key"),
    ];
    assert_eq!(stage.send(&stage.request(&headers, &body)).status, 200);
    let [login] = &*stage.api.posts("/api/auth/login") else { panic!("one call") };
    assert_eq!(String::from_utf8_lossy(&login.body), body);
    let authority = stage.origin.split_once("://").expect("a scheme").1;
    for (name, value) in [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", authority),
        ("user-agent", "browser/1"),
        ("accept-language", "de"),
        ("via", "1.1 cloakroom"),
    ] {
        assert_eq!(login.one(name), value, "{name}");
    }
    assert!(!login.one("x-request-id").is_empty());
    let all = format!("{:?}", login.headers);
    assert!(!all.contains("canary") && !all.contains("sec-fetch") && !all.contains("evil"), "{all}");
    let me = stage.api.upstream.last();
    assert_eq!((me.target.as_str(), me.one("x-forwarded-for")), ("/api/auth/me", "192.0.2.7"));
}

#[test]
fn only_the_sites_own_script_can_log_in() {
    let stage = Stage::of(Wish { site: &["limits.logins = \"off\""], ..Wish::new(Manners::JwtAuth) });
    let body = ada().to_string();
    let own = stage.origin.clone();
    let sibling = own.replace("one.", "two.");
    for words in [
        vec![],
        vec![("Sec-Fetch-Site", "cross-site")],
        vec![("Sec-Fetch-Site", "same-site"), ("X-BFF", "1")],
        vec![("Sec-Fetch-Site", "none")],
        vec![("Sec-Fetch-Site", "none"), ("X-BFF", "1")],
        vec![("Origin", "null")],
        vec![("Origin", &*sibling), ("X-BFF", "1")],
        vec![("Origin", &*own), ("Sec-Fetch-Site", "cross-site")],
        vec![("X-BFF", "true")],
        vec![OWN, ("Sec-Fetch-Dest", "script")],
    ] {
        let answer = stage.send(&stage.request(&[&[JSON], &*words].concat(), &body));
        answer.refuses(403, "cross_site");
        assert!(answer.all("set-cookie").is_empty());
    }
    assert!(stage.api.posts("/api/auth/login").is_empty(), "the API is not asked");
    for words in [vec![OWN], vec![("Origin", &*own)], vec![("X-BFF", "1")]] {
        let answer = stage.send(&stage.request(&[&[JSON], &*words].concat(), &body));
        assert_eq!(answer.status, 200, "{words:?}");
    }
    // A form of another site that hides its JSON in a field, as a browser would send it.
    let mut victim = Browser::new();
    let hidden = format!("{{\"email\":\"bob@example.com\",\"password\":\"{PASSWORD}\",\"x\":\"=\"}}");
    let page = victim.submit("http://evil.example", &format!("{own}/bff/login"), &hidden);
    assert_eq!(page.response.status, 403);
    assert!(victim.session_cookie(&own).is_none(), "nobody logs a user in as somebody else");
}

#[test]
fn where_the_header_is_demanded_it_is_demanded_here_too() {
    let stage = Stage::of(Wish { site: &["csrf = \"header\""], ..Wish::new(Manners::JwtAuth) });
    let body = ada().to_string();
    stage.send(&stage.request(&[JSON, OWN], &body)).refuses(403, "cross_site");
    assert_eq!(stage.send(&stage.request(&[JSON, OWN, ("X-BFF", "1")], &body)).status, 200);
}

#[test]
fn what_is_no_small_json_object_is_refused_before_the_api_is_asked() {
    let stage = Stage::of(Wish { site: &["limits.logins = \"off\""], ..Wish::new(Manners::JwtAuth) });
    let body = ada().to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx", ""] {
        stage.send(&stage.request(&[OWN, ("Content-Type", kind)], &body)).refuses(400, "bad_request");
    }
    stage.send(&stage.request(&[OWN], &body)).refuses(400, "bad_request");
    stage.send(&stage.request(&[OWN, JSON, ("Content-Type", "text/plain")], &body)).refuses(400, "bad_request");
    for wrong in ["", "[]", "null", "{", "{}{}", "email=ada", "\u{feff}{}"] {
        stage.send(&stage.request(&[OWN, JSON], wrong)).refuses(400, "bad_request");
    }
    let large = json!({ "email": "x".repeat(16 * 1024) }).to_string();
    stage.send(&stage.request(&[OWN, JSON], &large)).refuses(413, "too_large");
    let chunked = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    stage.send(&stage.request(&[OWN, JSON, ("Transfer-Encoding", "chunked")], &chunked)).refuses(413, "too_large");
    let to = |target: &str| Request { target: target.into(), ..stage.request(&[OWN, JSON], &body) };
    stage.send(&to("/bff/login?provider=api&provider=api")).refuses(400, "bad_request");
    stage.send(&to("/bff/login?provider=other")).refuses(400, "bad_request");
    assert!(stage.api.posts("/api/auth/login").is_empty(), "the API is not asked");
    let charset = [OWN, ("Content-Type", "Application/JSON; charset=utf-8")];
    assert_eq!(stage.send(&stage.request(&charset, &body)).status, 200);
}

#[test]
fn a_site_whose_provider_has_a_login_page_takes_no_credentials() {
    let world = World::new();
    let post = world.request("POST", "/bff/login").header("Sec-Fetch-Site", "same-origin");
    let answer = world.send(&post.header("Content-Type", "application/json").body(ada().to_string()));
    answer.refuses(405, "method");
    assert_eq!(answer.header("allow"), Some("GET"));
    let stage = Stage::new(Manners::JwtAuth);
    let put = stage.send(&Request { method: "PUT".into(), ..stage.request(&[JSON, OWN], "{}") });
    put.refuses(405, "method");
    assert_eq!(put.header("allow"), Some("GET, POST"));
}

#[test]
fn eleven_logins_in_a_minute_are_one_too_many_for_one_address() {
    let wish = Wish { server: &["trusted_proxies = [\"127.0.0.0/8\"]"], ..Wish::new(Manners::JwtAuth) };
    let stage = Stage::of(wish);
    let guess = json!({ "email": "ada@example.com", "password": "guess" }).to_string();
    let from = |address: &str, words: &[(&str, &str)]| {
        stage.send(&stage.request(&[&[JSON, ("X-Forwarded-For", address)], words].concat(), &guess))
    };
    for _ in 0..20 {
        from("192.0.2.1", &[("Sec-Fetch-Site", "cross-site")]).refuses(403, "cross_site");
    }
    for _ in 0..10 {
        assert_eq!(from("192.0.2.1", &[OWN]).status, 401, "what other sites did took nothing from the budget");
    }
    let refused = from("192.0.2.1", &[OWN]);
    refused.refuses(429, "too_many");
    let wait: u64 = refused.header("retry-after").and_then(|wait| wait.parse().ok()).expect("seconds");
    assert!((1..=6).contains(&wait), "{wait}");
    assert_eq!(stage.api.posts("/api/auth/login").len(), 10, "what is refused is not handed on");
    assert_eq!(from("192.0.2.2", &[OWN]).status, 401);
}

#[test]
fn a_login_makes_a_new_session_and_ends_the_one_before_only_when_it_succeeds() {
    let stage = Stage::new(Manners::JwtAuth);
    let mut browser = stage.signed_in();
    let first = browser.session_cookie(&stage.origin).expect("a cookie");
    let before = browser.clone();
    let wrong = stage.log_in(&mut browser, &json!({ "email": "bob@example.com", "password": "wrong" }));
    assert_eq!(wrong.status, 401);
    assert!(wrong.all("set-cookie").is_empty());
    let session = browser.session(&stage.origin);
    assert_eq!(session["user"]["sub"], "1", "a failed login ends nothing");
    assert_eq!(stage.log_in(&mut browser, &bob()).status, 200);
    assert_ne!(browser.session_cookie(&stage.origin).expect("a cookie").value, first.value);
    let next = browser.session(&stage.origin);
    assert_eq!(next["user"]["sub"], "2");
    assert_ne!(next["pin"], session["pin"]);
    before.clone().get(&stage.origin, "/api/x").refuses(401, "revoked");
    // A cookie that somebody planted before the login is none afterwards.
    let mut planted = Browser::new();
    planted.plant(&stage.origin, &first.name, &first.value);
    assert_eq!(stage.log_in(&mut planted, &ada()).status, 200);
    assert_ne!(planted.session_cookie(&stage.origin).expect("a cookie").value, first.value);
}

#[test]
fn one_user_has_one_pin_however_often_they_log_in() {
    let stage = Stage::new(Manners::JwtAuth);
    let pin = |mut browser: Browser| browser.session(&stage.origin)["pin"].clone();
    assert_eq!(pin(stage.signed_in()), pin(stage.signed_in()));
}

#[test]
fn no_secret_of_a_login_is_logged_in_good_days_and_bad() {
    let mut stage = Stage::of(Wish { ttl: 1, ..Wish::new(Manners::JwtAuth) });
    let mut browser = stage.signed_in();
    super::let_tokens_expire();
    assert_eq!(browser.get(&stage.origin, "/api/x").status, 200);
    stage.log_in(&mut browser, &json!({ "email": "canary-user@example.com", "password": "canary-password" }));
    stage.log_in(&mut browser, &json!({ "email": 7, "password": "canary-password" }));
    stage.send(&stage.request(&[OWN, JSON], "{\"password\":\"canary-password\""));
    stage.send(&stage.request(&[JSON], "{\"password\":\"canary-password\"}"));
    let bad = [Reply::with("500 Oops", "", "canary-answer"), Reply::json("{\"canary-answer\":\"canary\"}")];
    stage.api.breaks("/api/auth/login", bad);
    stage.log_in(&mut browser, &ada()).refuses(503, "provider_unavailable");
    stage.log_in(&mut browser, &ada()).refuses(502, "upstream_unreachable");
    browser.post(&stage.origin, "/bff/logout");
    let canaries = [("canary", "canary"), ("email", "ada@example")].map(|(name, value)| (name.into(), value.into()));
    let secrets = [stage.secrets(), canaries.to_vec()].concat();
    let gateway = &mut stage.gateways[0];
    gateway.process.signal("TERM");
    gateway.process.wait(Duration::from_secs(10));
    World::logged_none_of(&gateway.process, &secrets);
    let output = gateway.process.output();
    for event in ["\"login\"", "\"login_refused\"", "\"login_unavailable\"", "\"login_failed\"", "\"refreshed\""] {
        assert!(output.contains(event), "{event} is told:\n{output}");
    }
}
