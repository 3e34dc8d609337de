//! Tokens bound to a key, from a real provider that wants nonces to upstreams that want them too.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::{
    Browser, OidcProvider, Recorded, Redis, Replicas, Reply, Setup, Upstream, World, eventually, fresh_key,
};

fn world(lines: &[&str]) -> World {
    let (setup, provider) = stage(lines);
    World::with(setup, provider, Upstream::start())
}

/// A site that binds its tokens, at a provider that wants nonces.
fn stage(lines: &[&str]) -> (Setup, Arc<OidcProvider>) {
    let provider = OidcProvider::start_with(&json!({ "dpop_nonces": true, "slim": true, "par": true }));
    let mut setup = Setup::one_site();
    setup.access_ttl = 2;
    setup.jwt = lines.is_empty();
    setup.sites[0].provider = vec!["dpop = true".into()];
    setup.sites[0].provider.extend(lines.iter().map(|line| (*line).to_owned()));
    setup.sites[0].registration = json!({ "dpop_bound_access_tokens": true });
    (setup, Arc::new(provider))
}

fn b64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// Judges a request as RFC 9449 §4.3 wants it, and returns token, proof claims and the key's thumbprint.
#[track_caller]
fn judge(world: &World, request: &Recorded) -> (String, Value, String) {
    let token = request.one("authorization").strip_prefix("DPoP ").expect("a bound token").to_owned();
    let proof = request.one("dpop");
    let (message, signature) = proof.rsplit_once('.').expect("a JWS");
    let (header, claims) = message.split_once('.').expect("a JWS");
    let header: Value = serde_json::from_slice(&b64(header)).expect("a header");
    let claims: Value = serde_json::from_slice(&b64(claims)).expect("claims");
    let half = |name: &str| b64(header["jwk"][name].as_str().expect("a coordinate"));
    let point = [vec![4], half("x"), half("y")].concat();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    key.verify(message.as_bytes(), &b64(signature)).expect("signed by the key it shows");
    assert_eq!((&header["typ"], &header["alg"]), (&json!("dpop+jwt"), &json!("ES256")));
    assert_eq!(claims["htm"], request.method);
    let path = request.target.split('?').next().expect("a path");
    assert_eq!(claims["htu"], format!("{}{path}", world.upstream.url()));
    assert_eq!(claims["ath"], URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes())));
    let jwk = &header["jwk"];
    let text = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
    (token, claims, URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes())))
}

/// What the provider wrote into a JWT about the key that it is bound to.
fn bound_to(token: &str) -> String {
    let claims: Value = serde_json::from_slice(&b64(token.split('.').nth(1).expect("a JWT"))).expect("claims");
    claims["cnf"]["jkt"].as_str().expect("it is bound").to_owned()
}

#[test]
fn tokens_are_bound_to_one_key_over_login_and_refreshes_and_proven_at_the_upstream() {
    let world = world(&[]);
    let mut browser = world.signed_in();
    let requests = eventually("a refreshed token should arrive", || {
        assert_eq!(browser.get(&world.one(), "/api/orders?x=1").status, 200);
        let requests = world.upstream.requests();
        let first = requests[0].one("authorization").to_owned();
        requests.iter().any(|request| request.one("authorization") != first).then_some(requests)
    });
    let judged: Vec<_> = requests.iter().map(|request| judge(&world, request)).collect();
    let ids: HashSet<_> = judged.iter().map(|(_, claims, _)| claims["jti"].to_string()).collect();
    assert_eq!(ids.len(), judged.len(), "each proof is for one request");
    for (token, _, thumbprint) in &judged {
        assert_eq!(*thumbprint, bound_to(token));
        assert_eq!(*thumbprint, judged[0].2, "the session has one key");
    }
    let other = world.signed_in().get(&world.one(), "/api/x").status;
    assert_eq!(other, 200);
    assert_ne!(judge(&world, &world.upstream.last()).2, judged[0].2, "another session has another");
    assert_eq!(browser.post(&world.one(), "/bff/logout").status, 200);
    eventually("the refresh token should be revoked", || {
        (!world.provider.revoked(world.client_id()).is_empty()).then_some(())
    });
    let proofs: Vec<_> = requests.iter().map(|request| ("proof".to_owned(), request.one("dpop").to_owned())).collect();
    World::logged_none_of(&world.gateway.process, &[world.secrets(), proofs].concat());
}

#[test]
fn userinfo_is_asked_with_opaque_bound_tokens() {
    let world = world(&["userinfo = true"]);
    let mut browser = world.signed_in();
    assert_eq!(browser.session(&world.one())["user"]["name"], "Ada Lovelace");
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    judge(&world, &world.upstream.last());
}

#[test]
fn replicas_refresh_with_the_one_key_of_a_session_whoever_of_them_has_a_nonce() {
    let redis = Redis::start();
    let (mut setup, provider) = stage(&[]);
    setup.store.extend([format!("url = \"{}\"", redis.url()), "grace = \"0s\"".to_owned()]);
    let replicas = Replicas::of(2, World::with(setup, provider, Upstream::start()));
    let world = &replicas.world;
    let browser = world.signed_in();
    let shown = |number: usize| {
        let path = format!("/api/{}", fresh_key());
        let answer = replicas.get(number, &browser, &path);
        assert_eq!(answer.status, 200, "replica {number}: {}", answer.text());
        let asked = world.upstream.requests().into_iter().rev().find(|asked| asked.target == path);
        judge(world, &asked.expect("the upstream was asked"))
    };
    let (mut token, _, key) = shown(0);
    // The first has logged in and knows a nonce; the second begins with none.
    for number in [1, 0, 1] {
        let (newer, thumbprint) = eventually("a refreshed token should arrive", || {
            let (newer, _, thumbprint) = shown(number);
            (newer != token).then_some((newer, thumbprint))
        });
        assert_eq!((&thumbprint, &bound_to(&newer)), (&key, &key), "replica {number}");
        token = newer;
    }
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let before = world.upstream.count();
    let issued = || {
        let all = world.provider.issued(world.client_id());
        all.iter().filter(|(name, _)| name == "access_token").count()
    };
    let issued_before = issued();
    for (answer, _) in replicas.storm(40, &browser, "/api/storm") {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let judged: Vec<_> = world.upstream.requests()[before..].iter().map(|asked| judge(world, asked)).collect();
    let tokens: HashSet<_> = judged.iter().map(|(token, _, _)| token).collect();
    assert_eq!((judged.len(), tokens.len()), (40, 1), "one refresh for all of them");
    assert!(judged.iter().all(|(_, _, thumbprint)| *thumbprint == key));
    assert_eq!(issued(), issued_before + 1);
}

/// Lets the upstream want `nonce` in every proof from now on; `None` is another one each time.
fn demand(world: &World, nonce: Option<&'static str>) {
    let count = Mutex::new(0);
    world.upstream.answers(move |request| {
        let mut count = count.lock().expect("it is only counted");
        *count += 1;
        let wanted = nonce.map_or_else(|| format!("n-{count}"), str::to_owned);
        let proof = request.all("dpop").first().map(|proof| (*proof).to_owned()).unwrap_or_default();
        let claims: Value = serde_json::from_slice(&b64(proof.split('.').nth(1).expect("a proof"))).expect("claims");
        let header = format!("DPoP-Nonce: {wanted}\r\n");
        if claims["nonce"] == wanted.as_str() {
            return Reply::with("200 OK", &header, "{}");
        }
        let challenge = "WWW-Authenticate: dpop error=\"use_dpop_nonce\", algs=\"ES256\"\r\n";
        Reply::with("401 Unauthorized", &format!("{header}{challenge}"), "{}")
    });
}

fn post(world: &World, browser: &Browser, target: &str, length: usize) -> u16 {
    world.send(&world.own_request(browser, "POST", target).body("x".repeat(length))).status
}

#[test]
fn an_upstream_that_wants_a_nonce_is_asked_once_more_where_the_request_can_be_repeated() {
    let world = world(&[]);
    let mut browser = world.signed_in();
    demand(&world, Some("first"));
    let answer = browser.get(&world.one(), "/api/x");
    assert_eq!(answer.status, 200);
    assert!(answer.header("dpop-nonce").is_none(), "it is the gateway's affair");
    let known = world.upstream.count();
    assert!((2..=4).contains(&known), "{known}");
    demand(&world, Some("second"));
    assert_eq!(post(&world, &browser, "/api/small", 1 << 10), 200);
    let sent: Vec<_> = world.upstream.requests().into_iter().filter(|one| one.target == "/api/small").collect();
    assert_eq!(sent.iter().map(|one| one.body.len()).collect::<Vec<_>>(), [1 << 10; 2]);
    assert_ne!(judge(&world, &sent[0]).1["jti"], judge(&world, &sent[1]).1["jti"]);
}

#[test]
fn an_endless_wish_for_nonces_is_a_502_and_logs_nobody_out() {
    let world = world(&[]);
    let mut browser = world.signed_in();
    demand(&world, None);
    browser.get(&world.one(), "/api/x").refuses(502, "upstream_unreachable");
    assert_eq!(world.upstream.count(), 2, "asked, and asked once more");
    assert!(browser.is_signed_in(&world.one()));
    demand(&world, Some("fixed"));
    // Two workers, each with nonces of its own, and a body that is too large to be kept.
    let statuses: Vec<_> = (0..8).map(|_| post(&world, &browser, "/api/large", 200 << 10)).collect();
    assert!(statuses.contains(&502) && statuses.last() == Some(&200), "{statuses:?}");
    assert!(statuses.iter().filter(|status| **status == 502).count() <= 2, "{statuses:?}");
}

#[test]
fn a_proof_of_the_browsers_own_goes_nowhere() {
    let world = world(&[]);
    let browser = world.signed_in();
    let request =
        world.own_request(&browser, "GET", "/api/x").header("DPoP", "forged").header("Authorization", "DPoP x");
    assert_eq!(world.send(&request).status, 200);
    let arrived = world.upstream.last();
    assert_eq!(arrived.all("dpop").len(), 1);
    judge(&world, &arrived);
}

#[test]
fn a_refusal_that_is_not_about_a_nonce_is_the_upstreams_own() {
    let world = world(&[]);
    let mut browser = world.signed_in();
    world.upstream.answers(|_| {
        Reply::with("401 Unauthorized", "WWW-Authenticate: DPoP error=\"invalid_token\"\r\nDPoP-Nonce: n\r\n", "{}")
    });
    let answer = browser.get(&world.one(), "/api/x");
    assert_eq!((answer.status, answer.reason()), (401, ""));
    assert_eq!(answer.header("www-authenticate"), Some("DPoP error=\"invalid_token\""));
    assert_eq!(world.upstream.count(), 1);
}

#[test]
fn sessions_with_bearer_tokens_outlive_the_day_that_tokens_are_bound() {
    let world = World::new();
    let mut browser = world.signed_in();
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    world.rewrite(|text| text.replace("kind = \"oidc\"", "kind = \"oidc\"\ndpop = true"));
    world.reload();
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    assert!(!world.upstream.last().bearer().is_empty());
    let mut other = world.signed_in();
    assert_eq!(other.get(&world.one(), "/api/x").status, 200);
    judge(&world, &world.upstream.last());
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    assert!(!world.upstream.last().bearer().is_empty());
}
