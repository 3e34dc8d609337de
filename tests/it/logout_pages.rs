//! What a logout does at the provider where that is not the standard's way: templates, nothing, and a hook.

use std::collections::HashMap;
use std::time::Duration;

use crate::oauth2::Stage;
use crate::support::{Passport, Reply, Setup, World, eventually};

/// The logout URL that a fetch is answered, taken apart: all before the query, and the query.
fn logout_url(stage: &Stage) -> Option<(String, HashMap<String, String>)> {
    let answer = stage.signed_in().post(&stage.one(), "/bff/logout");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    let url = url::Url::parse(answer["logout_url"].as_str()?).expect("a URL");
    let query = url.query_pairs().into_owned().collect();
    Some((url.as_str().split('?').next().unwrap_or_default().to_owned(), query))
}

#[test]
fn a_logout_page_of_the_providers_own_gets_its_own_parameters_and_no_others() {
    let stage = Stage::with(&[
        "logout_url = \"https://tenant.auth0.example/v2/logout?federated\"",
        "logout_params = { client_id = \"{client_id}\", returnTo = \"{return_to}\", hint = \"{id_token}\", x = \"a {state}\" }",
    ]);
    let (page, query) = logout_url(&stage).expect("a logout URL");
    assert_eq!(page, "https://tenant.auth0.example/v2/logout");
    let mut names: Vec<&str> = query.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["client_id", "federated", "returnTo", "x"], "what has no value is left out");
    assert_eq!(query["client_id"], "spa");
    assert_eq!(query["returnTo"], format!("{}/bff/logout/callback", stage.one()));
    assert!(query["x"].starts_with("a ") && query["x"].len() > 20, "{query:?}");
}

#[test]
fn a_logout_page_without_a_template_gets_what_the_standard_says() {
    let stage = Stage::with(&["logout_url = \"https://id.example/logout\""]);
    let (page, query) = logout_url(&stage).expect("a logout URL");
    assert_eq!(page, "https://id.example/logout");
    assert_eq!(query["post_logout_redirect_uri"], format!("{}/bff/logout/callback", stage.one()));
    assert!(query.contains_key("state") && query.contains_key("client_id") && query.len() == 3, "{query:?}");
}

#[test]
fn a_local_logout_ends_the_session_and_sends_nobody_anywhere() {
    let mut setup = Setup::one_site();
    setup.sites[0].provider.push("logout = \"local\"".into());
    let world = World::of(setup);
    let mut browser = world.signed_in();
    let answer = browser.post(&world.one(), "/bff/logout");
    assert_eq!((answer.status, answer.json()["logout_url"].is_null()), (200, true));
    assert!(!browser.is_signed_in(&world.one()));
    eventually("its refresh token is revoked all the same", || {
        (!world.provider.revoked(world.client_id()).is_empty()).then_some(())
    });
}

#[test]
fn the_logout_hook_is_told_with_the_bearer_before_the_token_is_revoked() {
    let stage = Stage::with(&["logout_hook = \"SERVER/api/logout\"", "revocation_endpoint = \"SERVER/oauth/revoke\""]);
    let mut browser = stage.signed_in();
    let bearer = stage.provider.asked("/api/user").pop().expect("the login asked").bearer().to_owned();
    browser.post(&stage.one(), "/bff/logout");
    let told = eventually("the hook is told", || stage.provider.asked("/api/logout").pop());
    assert_eq!((told.method.as_str(), told.bearer(), told.body.len()), ("POST", &*bearer, 0));
    assert_eq!(told.one("content-length"), "0");
    eventually("the refresh token is revoked after that", || stage.provider.asked("/oauth/revoke").pop());
    assert_eq!(stage.provider.asked("/api/logout").len(), 1, "once");
    World::logged_none_of(&stage.gateway.process, &[("access token".into(), bearer)]);
}

#[test]
fn a_logout_after_the_access_token_has_run_out_ends_the_refresh_token_all_the_same() {
    let stage = Stage::with(&["logout_hook = \"SERVER/api/logout\""]);
    stage.provider.tokens_live(1);
    let mut browser = stage.signed_in();
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(browser.post(&stage.one(), "/bff/logout").status, 200);
    eventually("the hook is told with a new token", || (!stage.provider.has_refresh_tokens()).then_some(()));
    assert_eq!(stage.provider.asked("/oauth/token").len(), 2, "the code's, and one refresh");
    stage.provider.tokens_live(900);
    let mut browser = stage.signed_in();
    browser.post(&stage.one(), "/bff/logout");
    eventually("the hook is told at once", || (stage.provider.asked("/api/logout").len() == 2).then_some(()));
    assert_eq!(stage.provider.asked("/oauth/token").len(), 3, "a token that is good is not renewed");
    assert!(!stage.gateway.process.output().contains("logout_hook_failed"));
}

#[test]
fn a_provider_slower_than_its_timeout_delays_no_logout_and_the_hook_is_told_in_the_end() {
    let stage = Stage::with(&["logout_hook = \"SERVER/api/logout\"", "timeout = \"1s\""]);
    stage.provider.tokens_live(1);
    let mut browser = stage.signed_in();
    stage.provider.tokens_live(900);
    std::thread::sleep(Duration::from_millis(1100));
    stage.provider.is_slow_to_answer(Duration::from_secs(4));
    let began = std::time::Instant::now();
    assert_eq!(browser.post(&stage.one(), "/bff/logout").status, 200);
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    assert!(!browser.is_signed_in(&stage.one()));
    eventually("the hook is told with a new token", || (!stage.provider.has_refresh_tokens()).then_some(()));
    assert_eq!(stage.provider.asked("/oauth/token").len(), 2, "the code's, and one refresh");
}

#[test]
fn a_logout_while_a_refresh_is_under_way_tells_the_hook_with_the_token_that_it_brings() {
    let stage = Stage::with(&["logout_hook = \"SERVER/api/logout\""]);
    stage.provider.tokens_live(1);
    let mut browser = stage.signed_in();
    stage.provider.tokens_live(900);
    std::thread::sleep(Duration::from_millis(1100));
    stage.provider.is_slow_to_answer(Duration::from_millis(700));
    let (origin, mut tab) = (stage.one(), browser.clone());
    std::thread::scope(|scope| {
        let call = scope.spawn(|| tab.get(&origin, "/api/orders"));
        eventually("the refresh is under way", || (stage.provider.asked("/oauth/token").len() == 2).then_some(()));
        assert_eq!(browser.post(&origin, "/bff/logout").status, 200);
        assert_eq!(call.join().expect("an answer").status, 401);
    });
    eventually("the hook is told", || (!stage.provider.has_refresh_tokens()).then_some(()));
}

#[test]
fn a_logout_hook_that_fails_or_hangs_delays_no_logout_and_no_revocation() {
    let stage = Stage::with(&[
        "logout_hook = \"SERVER/api/logout\"",
        "revocation_endpoint = \"SERVER/oauth/revoke\"",
        "timeout = \"1s\"",
    ]);
    for (reply, word) in [(Reply::with("500 Nope", "", ""), "answered 500"), (Reply::Hang, "time limit")] {
        let revoked = stage.provider.asked("/oauth/revoke").len();
        stage.provider.instead("/api/logout", reply);
        let mut browser = stage.signed_in();
        let began = std::time::Instant::now();
        assert_eq!(browser.post(&stage.one(), "/bff/logout").status, 200);
        assert!(began.elapsed() < Duration::from_millis(900), "{word}");
        assert!(!browser.is_signed_in(&stage.one()));
        eventually("the refresh token is revoked all the same", || {
            (stage.provider.asked("/oauth/revoke").len() > revoked).then_some(())
        });
        eventually("it is told to the operator", || stage.gateway.process.output().contains(word).then_some(()));
    }
    let token = stage.provider.asked("/oauth/revoke").pop().map(|asked| Passport::form(&asked));
    assert!(token.is_some_and(|form| form.contains_key("token")));
}
