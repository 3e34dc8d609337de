//! New tokens: by the current one, by a refresh token, or not at all. The promises of contract section 6 are the same.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Stage, Wish, ada, let_tokens_expire};
use crate::support::{Browser, Manners, Redis, Reply, eventually};

fn refreshes(stage: &Stage) -> usize {
    stage.api.posts("/api/auth/refresh").len()
}

/// A stage whose browser's token is over; new ones live for an hour.
fn with_a_due_token(wish: Wish<'_>) -> (Stage, Browser) {
    let stage = Stage::of(Wish { ttl: 1, ..wish });
    let browser = stage.signed_in();
    stage.api.tokens_live(3600);
    let_tokens_expire();
    (stage, browser)
}

#[test]
fn fifty_calls_on_two_replicas_refresh_an_expired_token_once_and_go_on_with_the_new_one() {
    let redis = Redis::start();
    let wish = Wish { redis: Some(&redis), gateways: 2, ..Wish::new(Manners::JwtAuth) };
    let (stage, browser) = with_a_due_token(wish);
    stage.api.is_slow(Duration::from_millis(300));
    for answer in stage.storm(50, &browser, "/api/x") {
        assert_eq!(answer.status, 200, "{} {}", answer.reason(), answer.text());
        assert!(answer.all("set-cookie").is_empty());
    }
    assert_eq!(refreshes(&stage), 1);
    let [old, new] = &*stage.api.issued() else { panic!("two tokens") };
    let [refresh] = &*stage.api.posts("/api/auth/refresh") else { panic!("one refresh") };
    assert_eq!((refresh.bearer(), refresh.one("accept"), refresh.body.len()), (old.as_str(), "application/json", 0));
    let calls = stage.api.upstream.requests();
    let calls: Vec<_> = calls.iter().filter(|asked| asked.target == "/api/x").collect();
    assert_eq!(calls.len(), 50);
    assert!(calls.iter().all(|asked| asked.bearer() == new), "nobody was sent with the old token");
}

#[test]
fn fifty_calls_in_memory_refresh_once_as_well() {
    let (stage, browser) = with_a_due_token(Wish::new(Manners::JwtAuth));
    stage.api.is_slow(Duration::from_millis(300));
    assert!(stage.storm(50, &browser, "/api/x").iter().all(|answer| answer.status == 200));
    assert_eq!(refreshes(&stage), 1);
}

/// jwt-auth blacklists the old token when it gives out the next: a call that is on its way with the old one is refused.
#[test]
fn a_call_that_an_early_refresh_overtakes_is_repeated_with_the_new_token() {
    let stage = Stage::of(Wish { ttl: 4, ..Wish::new(Manners::JwtAuth) });
    let mut browser = stage.signed_in();
    stage.api.tokens_live(3600);
    stage.api.is_slow_to_answer(Duration::from_millis(400));
    eventually("the token should be replaced", || {
        let answer = browser.get(&stage.origin, "/api/x");
        assert_eq!(answer.status, 200, "no call is lost: {}", answer.text());
        (refreshes(&stage) == 1 && stage.api.upstream.last().bearer() == stage.api.issued()[1]).then_some(())
    });
    let calls = stage.api.upstream.requests().into_iter().filter(|asked| asked.target == "/api/x");
    let order: Vec<String> = calls.map(|asked| asked.bearer().to_owned()).collect();
    let repeated = order.iter().rposition(|bearer| *bearer == stage.api.issued()[0]).expect("the first token was used");
    assert!(repeated + 1 < order.len(), "the refused call came again with the second one");
}

#[test]
fn tokens_are_renewed_in_their_turn_for_as_long_as_the_session_lives() {
    let stage = Stage::of(Wish { ttl: 1, ..Wish::new(Manners::JwtAuth) });
    let mut browser = stage.signed_in();
    eventually("three refreshes should happen", || {
        assert_eq!(browser.get(&stage.origin, "/api/x").status, 200);
        (refreshes(&stage) >= 3).then_some(())
    });
    browser.saw_none_of(&stage.secrets());
}

#[test]
fn a_refused_refresh_ends_the_session_and_is_tried_once() {
    let (stage, mut browser) = with_a_due_token(Wish::new(Manners::JwtAuth));
    stage.api.deletes_all_tokens();
    for _ in 0..3 {
        browser.get(&stage.origin, "/api/x").refuses(401, "refresh_rejected");
    }
    assert_eq!(refreshes(&stage), 1);
    assert_eq!(browser.session(&stage.origin)["reason"], "refresh_rejected");
    assert_eq!(stage.log_in(&mut browser, &ada()).status, 200);
    assert_eq!(browser.get(&stage.origin, "/api/x").status, 200);
}

#[test]
fn an_api_that_is_down_ends_nothing() {
    for reply in [
        Reply::with("500 Internal Server Error", "", "{}"),
        Reply::with("503 Service Unavailable", "retry-after: 1\r\n", "<html>"),
        Reply::with("429 Too Many Requests", "retry-after: 1\r\n", "{\"message\":\"Too Many Attempts.\"}"),
        Reply::with("403 Forbidden", "", "<html>a firewall</html>"),
        Reply::with("404 Not Found", "", "{\"message\":\"no route\"}"),
        Reply::with("302 Found", "location: /login\r\n", ""),
    ] {
        let (stage, mut browser) = with_a_due_token(Wish::new(Manners::JwtAuth));
        stage.api.breaks("/api/auth/refresh", [reply.clone()]);
        let refused = browser.get(&stage.origin, "/api/x");
        assert_eq!((refused.status, refused.reason()), (503, "provider_unavailable"), "{reply:?}");
        assert!(refused.all("set-cookie").is_empty());
        eventually("the session should go on", || (browser.get(&stage.origin, "/api/x").status == 200).then_some(()));
        assert_eq!(refreshes(&stage), 2, "{reply:?}");
    }
}

#[test]
fn a_lost_answer_is_asked_for_once_more() {
    let (stage, mut browser) = with_a_due_token(Wish::new(Manners::JwtAuth));
    stage.api.breaks("/api/auth/refresh", [Reply::Close]);
    assert_eq!(browser.get(&stage.origin, "/api/x").status, 200);
    assert_eq!(refreshes(&stage), 2);
}

#[test]
fn an_answer_that_cannot_be_used_is_not_asked_for_again_at_once() {
    let (stage, mut browser) = with_a_due_token(Wish::new(Manners::JwtAuth));
    stage.api.breaks("/api/auth/refresh", [Reply::json("{\"token\":\"elsewhere\"}")]);
    browser.get(&stage.origin, "/api/x").refuses(503, "provider_unavailable");
    assert_eq!(refreshes(&stage), 1);
    eventually("the session should go on", || (browser.get(&stage.origin, "/api/x").status == 200).then_some(()));
    assert_eq!(refreshes(&stage), 2);
}

#[test]
fn a_word_is_no_new_token_where_the_answer_is_the_token() {
    let provider = ["token_pointer = \"\"", "default_token_lifetime = \"1s\""];
    let stage = Stage::of(Wish { provider: &provider, ..Wish::new(Manners::JwtAuth) });
    let token = || stage.granted()["access_token"].as_str().expect("a token").to_owned();
    stage.api.breaks("/api/auth/login", [Reply::json(&token())]);
    let mut browser = stage.signed_in();
    let_tokens_expire();
    let next = token();
    stage.api.breaks("/api/auth/refresh", [Reply::json("Unauthenticated."), Reply::json(&next)]);
    browser.get(&stage.origin, "/api/x").refuses(503, "provider_unavailable");
    eventually("the token should come", || (browser.get(&stage.origin, "/api/x").status == 200).then_some(()));
    assert_eq!((refreshes(&stage), stage.api.upstream.last().bearer()), (2, next.as_str()));
}

#[test]
fn a_refresh_token_is_sent_back_under_its_name_and_used_once() {
    let stage = Stage::of(Wish { ttl: 1, ..Wish::new(Manners::RefreshTokens) });
    let mut browser = stage.signed_in();
    let posts = || stage.api.posts("/api/refresh");
    eventually("two refreshes should happen", || {
        assert_eq!(browser.get(&stage.origin, "/api/x").status, 200);
        (posts().len() >= 2).then_some(())
    });
    let issued = stage.api.issued();
    for (number, post) in posts().iter().take(2).enumerate() {
        let sent: Value = serde_json::from_slice(&post.body).expect("JSON");
        assert_eq!(sent, json!({ "refreshToken": issued[2 * number + 1] }));
        assert!(post.all("authorization").is_empty() && post.one("content-type") == "application/json");
    }
    browser.saw_none_of(&stage.secrets());
    stage.api.breaks("/api/refresh", [Reply::with("422 Unprocessable Content", "", "{\"message\":\"invalid\"}")]);
    let_tokens_expire();
    browser.get(&stage.origin, "/api/x").refuses(401, "refresh_rejected");
}

#[test]
fn a_new_token_that_is_another_users_ends_the_session() {
    let (stage, mut browser) = with_a_due_token(Wish::new(Manners::RefreshTokens));
    let other = r#"{"data":{"accessToken":"a","refreshToken":"b","expiresIn":9,"user":{"id":2}}}"#;
    stage.api.breaks("/api/refresh", [Reply::json(other)]);
    browser.get(&stage.origin, "/api/x").refuses(401, "refresh_rejected");
}

#[test]
fn without_a_refresh_the_session_ends_with_its_token_where_that_has_an_end() {
    let wish = Wish { provider: &["default_token_lifetime = \"1s\""], ..Wish::new(Manners::Sanctum) };
    let stage = Stage::of(wish);
    let mut browser = stage.signed_in();
    let_tokens_expire();
    browser.get(&stage.origin, "/api/x").refuses(401, "expired");
}
