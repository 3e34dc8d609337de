//! The end of a session, here and at the API; several providers; a store that is away.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Stage, Wish, ada, bob};
use crate::support::{Browser, Manners, Redis, Reply, Request, TokenApi, cloakroom, eventually};

#[test]
fn a_logout_ends_the_session_here_and_the_token_at_the_api() {
    for manners in [Manners::JwtAuth, Manners::Sanctum, Manners::RefreshTokens] {
        let stage = Stage::new(manners);
        let mut browser = stage.signed_in();
        let token = stage.api.issued()[0].clone();
        let answer = browser.post(&stage.origin, "/bff/logout");
        assert_eq!((answer.status, answer.json()), (200, json!({ "logout_url": null })));
        assert!(browser.session_cookie(&stage.origin).is_none());
        eventually("the API should hear of it", || (!stage.api.knows(&token)).then_some(()));
        let logout = stage.api.upstream.last();
        assert_eq!((logout.method.as_str(), logout.bearer()), ("POST", token.as_str()));
    }
}

#[test]
fn a_logout_waits_for_no_api() {
    let stage = Stage::new(Manners::JwtAuth);
    stage.api.breaks("/api/auth/logout", [Reply::Hang]);
    let mut browser = stage.signed_in();
    let started = Instant::now();
    assert_eq!(browser.post(&stage.origin, "/bff/logout").status, 200);
    assert!(started.elapsed() < Duration::from_secs(2));
    browser.get(&stage.origin, "/api/x").refuses(401, "no_session");
}

#[test]
fn everywhere_means_every_browser_of_this_user_and_of_no_other() {
    let stage = Stage::new(Manners::JwtAuth);
    let (mut first, mut second, mut other) = (stage.signed_in(), stage.signed_in(), Browser::new());
    assert_eq!(stage.log_in(&mut other, &bob()).status, 200);
    assert_eq!(first.post(&stage.origin, "/bff/logout?everywhere=true").status, 200);
    second.get(&stage.origin, "/api/x").refuses(401, "revoked");
    assert_eq!(other.get(&stage.origin, "/api/x").status, 200);
}

#[test]
fn a_session_that_the_store_cannot_take_is_no_login_and_the_token_is_given_back() {
    let redis = Redis::start();
    let stage = Stage::of(Wish { redis: Some(&redis), ..Wish::new(Manners::JwtAuth) });
    let mut browser = stage.signed_in();
    redis.freeze();
    let refused = stage.log_in(&mut browser, &bob());
    refused.refuses(503, "store_unavailable");
    assert!(refused.all("set-cookie").is_empty());
    redis.thaw();
    let token = stage.api.issued().pop().expect("the API said yes");
    eventually("the token should be given back", || (!stage.api.knows(&token)).then_some(()));
    eventually("the first session should go on", || {
        (browser.get(&stage.origin, "/bff/session").status == 200).then_some(())
    });
    assert_eq!(browser.session(&stage.origin)["user"]["sub"], "1");
}

#[test]
fn a_login_while_the_store_stands_still_is_answered_soon_and_nothing_is_lost() {
    let redis = Redis::start();
    let site = ["[site.limits]", "logins = \"off\""];
    let stage = Stage::of(Wish { redis: Some(&redis), site: &site, gateways: 2, ..Wish::new(Manners::JwtAuth) });
    let mut browser = stage.signed_in();
    let cookie = browser.session_cookie(&stage.origin).expect("a session").value;
    redis.freeze();
    let log_in = |gateway: usize| {
        let mut tab = browser.clone();
        tab.route(&stage.origin, stage.gateways[gateway % 2].port);
        let began = Instant::now();
        (stage.log_in(&mut tab, &bob()), began.elapsed())
    };
    let answers: Vec<_> = std::thread::scope(|scope| {
        let log_in = &log_in;
        let running: Vec<_> = (0..6).map(|turn| scope.spawn(move || log_in(turn))).collect();
        running.into_iter().map(|one| one.join().expect("an answer")).collect()
    });
    for (answer, took) in answers {
        answer.refuses(503, "store_unavailable");
        assert!(answer.all("set-cookie").is_empty() && answer.header("retry-after").is_some());
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
    redis.thaw();
    // What the store wrote after all when it woke up is no session, and the API's tokens are not left lying about.
    eventually("the tokens of all six should be given back", || {
        let issued = stage.api.issued();
        (issued.len() == 7 && !issued[1..].iter().any(|token| stage.api.knows(token))).then_some(())
    });
    eventually("the session before should go on, at both", || {
        let fine = |number: usize| {
            let mut tab = browser.clone();
            tab.route(&stage.origin, stage.gateways[number].port);
            tab.get(&stage.origin, "/api/x").status == 200
        };
        (fine(0) && fine(1)).then_some(())
    });
    assert_eq!(browser.session_cookie(&stage.origin).expect("a session").value, cookie);
    let listed = || {
        let said = cloakroom().args(["sessions", "list", "--json", "--config"]).arg(&stage.config).output();
        String::from_utf8_lossy(&said.expect("the binary was built").stdout).into_owned()
    };
    eventually("only Ada's session should be left", || (listed().matches("\"subject\"").count() == 1).then_some(()));
    eventually("logins should go on", || (stage.log_in(&mut browser, &bob()).status == 200).then_some(()));
    assert_eq!(browser.session(&stage.origin)["user"]["sub"], "2");
}

#[test]
fn of_several_providers_the_query_chooses_and_each_keeps_its_own_users() {
    let staff = TokenApi::start(Manners::Sanctum, 3600);
    let further = format!(
        "[[site.provider]]\nname = \"staff\"\nkind = \"relay\"\ntoken_pointer = \"/token\"\n\
         login_url = \"{}/api/login\"\nlogin_page = \"/staff\"\n\
         [[site.provider]]\nname = \"sso\"\nissuer = \"http://127.0.0.1:9\"\nclient_id = \"a\"\nclient_auth = \"none\"\n",
        staff.url()
    );
    let stage = Stage::of(Wish { further, ..Wish::new(Manners::JwtAuth) });
    let log_in = |path: &str| stage.post(&mut Browser::new(), path, &ada());
    let (first, second) = (log_in("/bff/login").json(), log_in("/bff/login?provider=staff").json());
    assert_eq!((&first["provider"], &second["provider"]), (&json!("api"), &json!("staff")));
    assert_eq!(first["user"]["sub"], second["user"]["sub"], "both call their user 1");
    assert_ne!(first["pin"], second["pin"], "and they are two");
    log_in("/bff/login?provider=sso").refuses(400, "bad_request");
    let page = Browser::new().open_until(&format!("{}/bff/login?provider=staff", stage.origin), "/staff");
    assert_eq!(page.url, format!("{}/staff?return_to=%2F&provider=staff", stage.origin));
    let page = Browser::new().open(&format!("{}/bff/login?provider=sso", stage.origin));
    assert_eq!((page.response.status, page.response.reason()), (503, "provider_unavailable"));
}

#[test]
fn a_reload_to_another_api_sends_it_no_token_of_the_old_one() {
    let stage = Stage::of(Wish { ttl: 1, ..Wish::new(Manners::JwtAuth) });
    let mut browser = stage.signed_in();
    let other = TokenApi::start(Manners::JwtAuth, 3600);
    let text = std::fs::read_to_string(&stage.config).expect("it was written");
    // The upstream stays: only the login is somebody else's.
    let moved = |line: &str| {
        if line.contains("/api/auth/") { line.replace(&stage.api.url(), &other.url()) } else { line.into() }
    };
    let text: Vec<String> = text.lines().map(moved).collect();
    std::fs::write(&stage.config, text.join("\n")).expect("a temporary directory is writable");
    let gateway = &stage.gateways[0];
    gateway.process.signal("HUP");
    eventually("the reload should be logged", || gateway.process.output().contains("reload").then_some(()));
    super::let_tokens_expire();
    browser.get(&stage.origin, "/api/x").refuses(503, "provider_unavailable");
    assert_eq!(browser.post(&stage.origin, "/bff/logout").status, 200);
    std::thread::sleep(Duration::from_millis(300));
    let bearers = other.upstream.requests().into_iter().filter(|asked| !asked.all("authorization").is_empty());
    assert_eq!(bearers.count(), 0, "the other API saw a token");
}

#[test]
fn a_forged_logout_token_in_the_name_of_the_api_ends_nothing() {
    let stage = Stage::new(Manners::JwtAuth);
    let mut browser = stage.signed_in();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "iss": format!("{}/api/auth/login", stage.api.url()), "aud": "a", "sub": "1", "jti": "x", "iat": 1,
        "exp": 9_999_999_999_u64, "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    let head = json!({ "alg": "RS256", "typ": "logout+jwt" });
    let token = format!("{}.{}.{}", part(head), part(claims), part(json!("x")));
    let authority = stage.origin.split_once("://").expect("a scheme").1;
    let request = Request::new("POST", "/bff/backchannel-logout")
        .header("Host", authority)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(format!("logout_token={token}"));
    stage.send(&request).refuses(400, "bad_request");
    assert!(browser.is_signed_in(&stage.origin));
}
