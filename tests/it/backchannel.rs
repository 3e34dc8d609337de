//! A logout that the provider asks for behind the browser's back: contract section 3, `POST /bff/backchannel-logout`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Browser, Redis, Request, Response, Setup, Streaming, World, fresh_key, send_raw};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const PATH: &str = "/bff/backchannel-logout";
const FORM: &str = "application/x-www-form-urlencoded";

fn two_sites() -> World {
    let mut setup = Setup::two_sites();
    setup.backchannel = true;
    World::of(setup)
}

fn now() -> u64 {
    cloakroom::clock::Clock::System.now().as_secs()
}

/// The claims of a logout token for the first site that names nobody yet.
fn claims(world: &World) -> Value {
    json!({
        "iss": world.provider.issuer(), "aud": world.client_id(), "iat": now(), "exp": now() + 120, "jti": fresh_key(),
        "events": { EVENT: {} },
    })
}

fn token_for(world: &World, name: &str, value: &str) -> String {
    let mut claims = claims(world);
    claims[name] = value.into();
    world.provider.sign("logout+jwt", &claims)
}

fn request(world: &World, content_type: &str, body: &str) -> Request {
    world.request("POST", PATH).header("Content-Type", content_type).body(body)
}

#[track_caller]
fn tell(world: &World, token: &str) -> Response {
    let answer = world.send(&request(world, FORM, &format!("logout_token={token}")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.all("set-cookie").is_empty());
    answer
}

#[track_caller]
fn accepts(world: &World, token: &str) {
    let answer = tell(world, token);
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{}", answer.text());
}

/// Tells the first site that `user` logged out at the provider.
#[track_caller]
pub(crate) fn log_out_at_provider(world: &World, user: &str) -> Response {
    tell(world, &token_for(world, "sub", user))
}

/// The `sid` in the ID token of the latest login.
pub(crate) fn latest_sid(world: &World) -> String {
    use base64::Engine as _;
    let id_token = world.provider.latest(world.client_id(), "id_token");
    let payload = id_token.split('.').nth(1).expect("a JWT");
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    let claims: Value = serde_json::from_slice(&payload).expect("JSON");
    claims["sid"].as_str().expect("a client that wants it gets `sid`").to_owned()
}

#[test]
fn the_providers_own_logout_ends_the_sessions_of_that_browser_at_every_site() {
    let world = two_sites();
    let mut browser = world.signed_in();
    browser.sign_in(&world.two(), "ada");
    let mut elsewhere = world.signed_in();
    let mut spectator = browser.clone();
    let answer = browser.post(&world.one(), "/bff/logout");
    let logout_url = answer.json()["logout_url"].as_str().expect("a logout URL").to_owned();
    assert!(spectator.is_signed_in(&world.two()));
    let page = browser.click(&world.one(), &logout_url);
    browser.confirm_provider_logout(&page);
    spectator.get(&world.two(), "/api/x").refuses(401, "revoked");
    assert!(elsewhere.is_signed_in(&world.one()), "another session of the user at the provider");
}

#[test]
fn a_sid_ends_that_session_alone_before_the_answer_and_leaves_the_cookie() {
    let world = two_sites();
    let mut first = world.signed_in();
    let sid = latest_sid(&world);
    let mut second = world.signed_in();
    let mut both = claims(&world);
    both["sub"] = "ada".into();
    both["sid"] = sid.into();
    accepts(&world, &world.provider.sign("logout+jwt", &both));
    first.get(&world.one(), "/api/x").refuses(401, "revoked");
    assert_eq!(first.session(&world.one())["reason"], "revoked");
    assert!(first.session_cookie(&world.one()).is_some());
    assert!(second.is_signed_in(&world.one()));
    assert!(world.provider.revoked(world.client_id()).is_empty(), "the provider knows already");
}

#[test]
fn a_sub_ends_all_sessions_of_that_user_at_this_site_and_no_others() {
    let world = two_sites();
    let (mut first, mut second, mut grace) = (world.signed_in(), world.signed_in(), Browser::new());
    second.sign_in(&world.two(), "ada");
    grace.sign_in(&world.one(), "grace");
    accepts(&world, &token_for(&world, "sub", "ada"));
    for browser in [&mut first, &mut second] {
        browser.get(&world.one(), "/api/x").refuses(401, "revoked");
    }
    assert!(second.is_signed_in(&world.two()), "the other site is another client");
    assert!(grace.is_signed_in(&world.one()), "another user is another matter");
}

#[test]
fn a_replay_is_a_success_that_ends_nothing() {
    let world = two_sites();
    let mut browser = world.signed_in();
    let token = token_for(&world, "sub", "ada");
    accepts(&world, &token);
    assert!(!browser.is_signed_in(&world.one()));
    browser.sign_in(&world.one(), "ada");
    for _ in 0..3 {
        accepts(&world, &token);
    }
    assert!(browser.is_signed_in(&world.one()));
    accepts(&world, &token_for(&world, "sub", "ada"));
    assert!(!browser.is_signed_in(&world.one()), "another token is no replay");
}

#[test]
fn a_valid_token_for_what_is_gone_is_a_success_and_an_invalid_one_never_is() {
    let world = two_sites();
    accepts(&world, &token_for(&world, "sid", "long-gone"));
    accepts(&world, &token_for(&world, "sub", "nobody"));
    tell(&world, &token_for(&world, "sub", "")).refuses(400, "bad_request");
}

#[test]
fn what_is_no_logout_token_for_this_client_is_refused_and_ends_nothing() {
    let world = two_sites();
    let mut browser = world.signed_in();
    let with = |typ: &str, change: &dyn Fn(&mut Value)| {
        let mut claims = claims(&world);
        claims["sub"] = "ada".into();
        change(&mut claims);
        world.provider.sign(typ, &claims)
    };
    let good = with("logout+jwt", &|_| {});
    let (signed, _) = good.rsplit_once('.').expect("a JWT");
    for (what, token) in [
        (
            "another client",
            with("logout+jwt", &|claims| claims["aud"] = world.setup.sites[1].client_id.as_str().into()),
        ),
        ("another issuer", with("logout+jwt", &|claims| claims["iss"] = "https://evil.example".into())),
        ("an ID token", world.provider.latest(world.client_id(), "id_token")),
        ("an access token", with("at+jwt", &|_| {})),
        ("a nonce", with("logout+jwt", &|claims| claims["nonce"] = "n".into())),
        ("no event", with("logout+jwt", &|claims| claims["events"] = json!({}))),
        ("expired", with("logout+jwt", &|claims| claims["exp"] = (now() - 120).into())),
        ("forged", format!("{signed}.AAAA")),
        ("unsigned", format!("{signed}.")),
        ("nothing", String::new()),
    ] {
        let answer = tell(&world, &token);
        answer.refuses(400, "bad_request");
        assert_eq!(answer.json()["detail"], "the logout token is not accepted", "{what}");
    }
    assert!(browser.is_signed_in(&world.one()));
    accepts(&world, &good);
    assert!(!browser.is_signed_in(&world.one()), "it was good all the time");
}

#[test]
fn the_request_is_a_form_with_one_token_and_proves_nothing_else() {
    let world = two_sites();
    let mut browser = world.signed_in();
    let token = token_for(&world, "sub", "ada");
    for (content_type, body) in [
        ("application/json", json!({ "logout_token": token }).to_string()),
        ("text/plain", format!("logout_token={token}")),
        (FORM, format!("logout_token={token}&logout_token={token}")),
        (FORM, format!("token={token}")),
        (FORM, String::new()),
    ] {
        world.send(&request(&world, content_type, &body)).refuses(400, "bad_request");
    }
    world.send(&world.request("POST", &format!("{PATH}?logout_token={token}"))).refuses(400, "bad_request");
    for method in ["GET", "PUT", "OPTIONS"] {
        let answer = world.send(&world.request(method, PATH));
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
    }
    assert!(browser.is_signed_in(&world.one()));
    let request = request(&world, &format!("{FORM}; charset=UTF-8"), &format!("x=1&logout_token={token}&x=2"));
    let answer = world.send(&request.header("Sec-Fetch-Site", "cross-site").header("Origin", "https://id.example"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!browser.is_signed_in(&world.one()));
}

#[test]
fn a_large_body_is_not_read() {
    let world = two_sites();
    let body = format!("logout_token={}", "x".repeat(1024 * 1024));
    let answer = send_raw(world.gateway.port, &request(&world, FORM, &body).bytes());
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
    let chunks = format!("{:x}\r\n{}\r\n", 65_600, "x".repeat(65_600));
    let head = request(&world, FORM, "").header("Transfer-Encoding", "chunked").bytes();
    let answer = send_raw(world.gateway.port, &[&head, chunks.as_bytes()].concat());
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn a_store_outage_is_a_400_and_the_same_token_works_when_it_is_back() {
    let redis = Redis::start();
    let mut setup = Setup::one_site();
    setup.store.push(format!("url = \"{}\"", redis.url()));
    let world = World::of(setup);
    let mut browser = world.signed_in();
    let token = token_for(&world, "sub", "ada");
    redis.freeze();
    tell(&world, &token).refuses(400, "bad_request");
    redis.thaw();
    crate::support::eventually("the logout should work", || (tell(&world, &token).status == 200).then_some(()));
    crate::support::within(Duration::from_secs(2), "the session is over", || {
        (browser.get(&world.one(), "/api/x").status == 401).then_some(())
    });
}

#[test]
fn keys_that_cannot_be_had_are_a_400() {
    let world = World::with_own_provider(Setup::one_site());
    let mut browser = world.signed_in();
    world.provider.rotate_keys();
    world.provider.fault(&json!({ "path": "/jwks", "status": 500 }));
    tell(&world, &token_for(&world, "sub", "ada")).refuses(400, "bad_request");
    assert!(browser.is_signed_in(&world.one()));
}

#[test]
fn a_streams_page_hears_of_it() {
    let world = two_sites();
    let browser = world.signed_in();
    let request = world.own_request(&browser, "GET", "/bff/events");
    let mut stream = Streaming::open(world.gateway.port, &request);
    stream.wait_for("event: session");
    accepts(&world, &token_for(&world, "sub", "ada"));
    stream.wait_for("event: ended");
    stream.wait_for("revoked");
}

#[test]
fn it_is_counted_and_told_in_the_log_without_the_token() {
    let mut setup = Setup::one_site();
    setup.admin.push("metrics_public = true".into());
    let world = World::of(setup);
    let _browser = world.signed_in();
    let token = token_for(&world, "sub", "ada");
    accepts(&world, &token);
    tell(&world, &world.provider.sign("logout+jwt", &claims(&world)));
    let metrics = world.gateway.admin("/metrics").text();
    let line = format!("cloakroom_logouts_total{{site=\"{}\",kind=\"back_channel\"}} 1", world.one());
    assert!(metrics.contains(&line), "{metrics}");
    for event in ["\"backchannel_logout\"", "\"logout_token_refused\""] {
        world.gateway.process.says(event);
    }
    let log = world.gateway.process.output();
    assert!(!log.contains(&token) && !log.contains("\"ada\""));
}
