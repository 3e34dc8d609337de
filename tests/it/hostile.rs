//! A hostile provider: what it does is refused with its reason, costs bounded time and memory, and does nothing to the
//! sites of other providers. What single documents and tokens must not say is in `provider_client`; here is the whole
//! gateway, with one site at the hostile provider and one at an honest one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::conformance::suite::{State, Suite, change, member, now, published};
use crate::provider_client::signing::{Key, b64};
use crate::support::{Browser, Process, Reply, Request, Response, Setup, World, eventually, fresh_key, send};

const DOCUMENT: &str = "/.well-known/openid-configuration";

/// What the gateway may take in all, in KiB, whatever a provider sends it: less than it has at rest and one huge answer.
const MEMORY: u64 = 80 * 1024;

/// Two sites in one gateway: `one` at the hostile provider, `two` at an honest one.
struct Stage {
    suite: Suite,
    world: World,
}

impl Stage {
    fn new() -> Self {
        Self::with(&[], |_| {})
    }

    /// The same, of which `spoil` changes something before the gateway asks for anything.
    fn of(spoil: impl FnOnce(&mut State)) -> Self {
        Self::with(&[], spoil)
    }

    /// The same with further lines for the hostile provider's table.
    fn with(lines: &[&str], spoil: impl FnOnce(&mut State)) -> Self {
        let suite = Suite::start();
        spoil(&mut suite.state());
        let mut setup = Setup::two_sites();
        setup.sites[0].issuer = Some(suite.issuer());
        setup.sites[0].provider = lines.iter().map(|line| (*line).to_owned()).collect();
        Self { suite, world: World::of(setup) }
    }

    /// A login at the hostile provider, and where it ends.
    fn log_in(&self) -> (Browser, Response) {
        let mut browser = Browser::new();
        let page = browser.sign_in(&self.world.one(), "alice");
        (browser, page.response)
    }

    /// A login that does not come about, for `reason`, within `limit`; the other site works meanwhile.
    #[track_caller]
    fn refuses(&self, reason: &str) {
        let (mut browser, response) = self.log_in();
        assert!(matches!(response.status, 400 | 503), "{}", response.text());
        assert!(!browser.is_signed_in(&self.world.one()));
        self.says(reason);
        self.the_other_site_works();
    }

    #[track_caller]
    fn says(&self, reason: &str) {
        eventually(&format!("the log should say {reason:?}"), || {
            self.world.gateway.process.output().contains(reason).then_some(())
        });
    }

    #[track_caller]
    fn the_other_site_works(&self) {
        let mut browser = Browser::new();
        let begun = Instant::now();
        browser.sign_in(&self.world.two(), "ada");
        assert!(browser.is_signed_in(&self.world.two()), "{}", self.world.gateway.process.output());
        assert_eq!(browser.get(&self.world.two(), "/api/x").status, 200);
        assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
    }

    /// Sends a logout token to the hostile provider's site.
    fn tell(&self, token: &str) -> Response {
        let request = self.world.request("POST", "/bff/backchannel-logout");
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        self.world.send(&request.body(format!("logout_token={token}")))
    }

    fn logout_claims(&self) -> Value {
        json!({
            "iss": self.suite.issuer(), "aud": self.world.client_id(), "sub": "alice", "iat": now(), "exp": now() + 120,
            "jti": fresh_key(), "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        })
    }

    fn memory(&self) -> u64 {
        memory_of(&self.world.gateway.process)
    }
}

/// The most memory that a process ever had, in KiB.
fn memory_of(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("a process has a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a process has memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn answering(state: &mut State, path: &str, reply: Reply) {
    state.instead.insert(path.into(), reply);
}

fn http(head: &str, body: &[u8]) -> Reply {
    let mut whole = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    whole.extend_from_slice(body);
    Reply::Raw(whole)
}

#[test]
fn a_reload_asks_anew_for_what_the_provider_said() {
    let stage = Stage::new();
    let asked = || (stage.suite.asked(DOCUMENT).len(), stage.suite.asked("/jwks").len());
    eventually("the gateway asks when it starts", || (asked() == (1, 1)).then_some(()));
    let (browser, _) = stage.log_in();
    assert!(browser.cookie_header(&stage.world.one()).contains("cloakroom"));
    assert_eq!(asked(), (1, 1), "what is at hand is not asked for again");
    stage.world.reload();
    eventually("the gateway asks again", || (asked() == (2, 2)).then_some(()));
}

#[test]
fn metadata_that_were_swapped_are_refused_and_nothing_of_them_is_used() {
    let evil = Suite::start();
    let there = evil.issuer();
    for (spoil, reason) in [
        (member("issuer", json!(there)), "`issuer` is not the configured issuer"),
        (member("token_endpoint", json!("http://id.example/token")), "`token_endpoint` is not https"),
        (member("jwks_uri", json!("http://id.example/jwks")), "`jwks_uri` is not https"),
        (member("authorization_endpoint", Value::Null), "`authorization_endpoint` is missing"),
        (member("code_challenge_methods_supported", json!(["plain"])), "lacks S256"),
    ] {
        let stage = Stage::of(|state| state.metadata = spoil);
        stage.refuses(reason);
        assert!(stage.suite.asked("/token").is_empty() && stage.suite.asked("/jwks").is_empty());
    }
    // The whole document of another issuer, word for word.
    let document = send(evil_port(&evil), &Request::new("GET", DOCUMENT).header("host", "x"));
    let spoil = |state: &mut State| answering(state, DOCUMENT, Reply::json(&document.text()));
    let stage = Stage::of(spoil);
    stage.refuses("`issuer` is not the configured issuer");
    assert!(evil.asked("/authorize").is_empty() && evil.asked("/jwks").is_empty());
}

fn evil_port(suite: &Suite) -> u16 {
    suite.issuer().rsplit(':').next().and_then(|port| port.parse().ok()).expect("an issuer with a port")
}

#[test]
fn redirects_of_the_back_channel_are_not_followed() {
    let evil = Suite::start();
    for path in [DOCUMENT, "/jwks", "/token"] {
        let location = format!("307 x\r\nlocation: {}{path}", evil.issuer());
        let stage = Stage::of(|state| answering(state, path, http(&location, b"")));
        stage.refuses("answered 307");
        assert!(evil.asked(path).is_empty(), "{path} was followed");
    }
}

#[test]
fn huge_documents_are_cut_off_and_cost_little_memory() {
    let huge = format!(r#"{{"keys":[],"padding":"{}"}}"#, "x".repeat(50 * 1024 * 1024));
    for path in [DOCUMENT, "/jwks", "/token"] {
        let stage = Stage::of(|state| answering(state, path, http("200 OK", huge.as_bytes())));
        stage.refuses("the answer is larger than");
        let memory = stage.memory();
        assert!(memory < MEMORY, "{path}: {memory} KiB");
    }
}

#[test]
fn a_set_of_ten_thousand_keys_is_cut_off_and_a_good_key_in_front_still_works() {
    let stage = Stage::new();
    let (good, other) = (stage.suite.state().jwks[0].clone(), published(&Key::p256(), "k0"));
    // Ten thousand of them are larger than what is read; as many as fit must not be a way to make every check slow.
    stage.suite.state().jwks = std::iter::once(good).chain(std::iter::repeat_n(other, 5_000)).collect();
    let begun = Instant::now();
    let (mut browser, _) = stage.log_in();
    assert!(browser.is_signed_in(&stage.world.one()));
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
}

#[test]
fn a_slow_key_set_costs_its_time_limit_and_nobody_else_anything() {
    for reply in [
        Reply::Hang,
        Reply::Chunks(
            "content-type: application/json\r\n",
            vec!["{\"keys\"", ":", "[", " ", " ", " ", " ", " "],
            Duration::from_millis(700),
        ),
    ] {
        let stage = Stage::with(&["timeout = \"2s\""], |state| answering(state, "/jwks", reply));
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let logins: Vec<_> = (0..8).map(|_| scope.spawn(|| stage.log_in().1.status)).collect();
            stage.the_other_site_works();
            for login in logins {
                assert_eq!(login.join().expect("a login gets an answer"), 503);
            }
        });
        assert!(begun.elapsed() < Duration::from_secs(15), "it took {:?}", begun.elapsed());
        stage.says("no answer within the time limit");
        assert!(stage.suite.asked("/token").is_empty(), "a code was spent for nothing");
    }
}

#[test]
fn keys_that_flap_are_asked_for_once_in_a_cool_down() {
    let stage = Stage::new();
    let (mut browser, _) = stage.log_in();
    assert!(browser.is_signed_in(&stage.world.one()));
    let fetched = stage.suite.asked("/jwks").len();
    // Each ID token names a key that the set does not have.
    stage.suite.state().jwks = vec![published(&Key::p256(), "other")];
    for number in 0..20 {
        stage.suite.state().header["kid"] = format!("flap-{number}").into();
        let (mut browser, response) = stage.log_in();
        assert_eq!(response.status, 400);
        assert!(!browser.is_signed_in(&stage.world.one()));
    }
    let more = stage.suite.asked("/jwks").len() - fetched;
    assert!((1..=4).contains(&more), "{more} fetches for twenty tokens");
    stage.says("none of the provider's keys made its signature");
    stage.the_other_site_works();
}

#[test]
fn a_flood_of_logout_tokens_with_unknown_keys_costs_few_fetches_and_keeps_nobody_from_logging_in() {
    let stage = Stage::new();
    let (mut browser, _) = stage.log_in();
    assert!(browser.is_signed_in(&stage.world.one()));
    let fetched = stage.suite.asked("/jwks").len();
    let forger = Key::p256();
    let begun = Instant::now();
    let claims = stage.logout_claims().to_string();
    let flood = |from: u32| {
        for number in from..from + 500 {
            let header = format!(r#"{{"alg":"ES256","kid":"nobody-{number}","typ":"logout+jwt"}}"#);
            let answer = stage.tell(&forger.token(&header, &claims));
            assert_eq!((answer.status, answer.reason()), (400, "bad_request"), "{}", answer.text());
        }
    };
    std::thread::scope(|scope| {
        let floods: Vec<_> = (0..4).map(|part| scope.spawn(move || flood(part * 500))).collect();
        stage.the_other_site_works();
        assert!(browser.is_signed_in(&stage.world.one()), "nobody is logged out by it");
        // The provider begins to use a new key in the middle of it, and the next login finds it.
        let key = Key::p256();
        let mut state = stage.suite.state();
        state.jwks.push(published(&key, "k2"));
        state.header["kid"] = "k2".into();
        state.key = std::sync::Arc::new(key);
        drop(state);
        let (mut another, _) = stage.log_in();
        assert!(another.is_signed_in(&stage.world.one()), "the flood keeps a login from its key");
        for flood in floods {
            flood.join().expect("every token gets an answer");
        }
    });
    let seconds = usize::try_from(begun.elapsed().as_secs()).expect("few");
    let more = stage.suite.asked("/jwks").len() - fetched;
    assert!(more <= 2 + seconds / 5, "{more} fetches for 2000 tokens in {seconds} s");
    let memory = stage.memory();
    assert!(memory < MEMORY, "{memory} KiB");
    assert!(browser.is_signed_in(&stage.world.one()));
}

#[test]
fn a_mac_with_the_public_key_is_no_signature_anywhere() {
    let stage = Stage::with(&["response_mode = \"query.jwt\""], |_| {});
    let jwk = stage.suite.state().jwks[0].to_string();
    let mac = move |token: String| {
        let message =
            format!("{}.{}", b64(r#"{"alg":"HS256","kid":"k1"}"#), token.split('.').nth(1).unwrap_or_default());
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, jwk.as_bytes());
        format!("{message}.{}", b64(aws_lc_rs::hmac::sign(&key, message.as_bytes())))
    };
    let good = stage.suite.sign(&stage.logout_claims());
    assert_eq!(stage.tell(&mac(good)).status, 400);
    stage.says("the logout token: its algorithm is not allowed");
    stage.suite.state().mangle = std::sync::Arc::new(mac.clone());
    stage.refuses("the ID token: its algorithm is not allowed");
    stage.suite.state().mangle_response = std::sync::Arc::new(mac);
    stage.refuses("the signed response: its algorithm is not allowed");
}

#[test]
fn an_encrypted_token_is_no_signed_one() {
    let stage = Stage::with(&["response_mode = \"query.jwt\""], |_| {});
    // Five parts, whose second would be read as claims if anybody looked at it; and PBES2, whose count is the attack.
    let header = r#"{"alg":"PBES2-HS512+A256KW","enc":"A256GCM","p2c":2147483647,"p2s":"AAAA"}"#;
    let encrypt =
        move |token: String| format!("{}.{}.AAAA.AAAA.AAAA", b64(header), token.split('.').nth(1).unwrap_or_default());
    let begun = Instant::now();
    assert_eq!(stage.tell(&encrypt(stage.suite.sign(&stage.logout_claims()))).status, 400);
    stage.says("the logout token: it is not a signed token");
    stage.suite.state().mangle = std::sync::Arc::new(encrypt);
    stage.refuses("the ID token: it is not a signed token");
    stage.suite.state().mangle_response = std::sync::Arc::new(encrypt);
    stage.refuses("the signed response: it is not a signed token");
    assert!(begun.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_repeated_member_is_refused_in_every_document_and_token() {
    let twice = |text: String| text.replacen('{', r#"{"iss":"https://evil.example","#, 1);
    for path in [DOCUMENT, "/jwks", "/token"] {
        let body = r#"{"keys":[],"keys":[],"issuer":"a","issuer":"b","access_token":"a","access_token":"b"}"#;
        let stage = Stage::of(|state| answering(state, path, Reply::json(body)));
        stage.refuses("JSON");
    }
    let stage = Stage::with(&["response_mode = \"query.jwt\""], |_| {});
    let suite = &stage.suite;
    let key = std::sync::Arc::clone(&suite.state().key);
    let header = suite.state().header.to_string();
    let sign_twice = move |token: String| {
        use base64::Engine as _;
        let payload = token.split('.').nth(1).unwrap_or_default();
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).expect("base64url");
        key.token(&header, &twice(String::from_utf8(payload).expect("text")))
    };
    assert_eq!(stage.tell(&sign_twice(suite.sign(&stage.logout_claims()))).status, 400);
    suite.state().mangle = std::sync::Arc::new(sign_twice.clone());
    stage.refuses("the ID token: its payload is not JSON, or repeats a member");
    // Its claims are not even looked at, so that it belongs to nobody's attempt.
    suite.state().mangle_response = std::sync::Arc::new(sign_twice);
    let (mut browser, response) = stage.log_in();
    assert_eq!((response.status, response.reason()), (400, "bad_request"));
    assert!(!browser.is_signed_in(&stage.world.one()));
}

#[test]
fn tokens_of_a_megabyte_are_refused_and_large_ones_are_not() {
    let stage = Stage::new();
    let padded = |size: usize| change(move |claims| claims["padding"] = "x".repeat(size).into());
    stage.suite.state().claims = padded(512 * 1024);
    stage.refuses("the ID token: it is too large");
    let mut claims = stage.logout_claims();
    claims["padding"] = "x".repeat(1024 * 1024).into();
    let answer = stage.tell(&stage.suite.sign(&claims));
    assert_eq!((answer.status, answer.reason()), (400, "bad_request"));
    stage.suite.state().claims = change(|_| {});
    stage.suite.state().answer = change(|answer| answer["access_token"] = "x".repeat(1024 * 1024).into());
    stage.refuses("the answer is larger than");
    let memory = stage.memory();
    assert!(memory < MEMORY, "{memory} KiB");
    stage.suite.state().answer = change(|_| {});
    stage.suite.state().claims = padded(64 * 1024);
    let (mut browser, _) = stage.log_in();
    assert!(browser.is_signed_in(&stage.world.one()), "groups make ID tokens large");
}

#[test]
fn another_user_at_a_refresh_ends_that_session_and_no_other() {
    let stage = Stage::new();
    stage.suite.state().answer = member("expires_in", json!(2));
    let (mut first, _) = stage.log_in();
    let mut other = Browser::new();
    other.sign_in(&stage.world.two(), "ada");
    stage.suite.state().refreshed = member("sub", json!("mallory"));
    std::thread::sleep(Duration::from_millis(2100));
    first.get(&stage.world.one(), "/api/x").refuses(401, "refresh_rejected");
    stage.says("`sub` is another user");
    assert!(stage.world.upstream.requests().is_empty(), "mallory's token was used");
    assert_eq!(other.get(&stage.world.two(), "/api/x").status, 200);
    // The same subject at another issuer is another user, whatever this issuer says of it.
    let mut claims = stage.logout_claims();
    claims["sub"] = "ada".into();
    assert_eq!(stage.tell(&stage.suite.sign(&claims)).status, 200);
    assert!(other.is_signed_in(&stage.world.two()));
}
