//! `cloakroom dev --profile …`: a person logs in, uses the API over a refresh and logs out at each provider that it can
//! play; and the buttons of the provider's page, as a person in front of the demo page sees them.
//!
//! The sites of `dev` are set up by the preset of the provider's name, so that each visit shows that its preset works. A
//! test that cannot fail proves nothing: with a fault in a preset, the visit to that provider was seen red, for each of them.

use std::time::Duration;

use cloakroom::dev::provider::Profile;

use crate::support::{Browser, Dev, Response, cloakroom};

/// The token's serial, as the demo API tells it.
fn serial(answer: &Response) -> String {
    answer.json()["token"]["serial"].as_str().expect("a serial").to_owned()
}

/// Logs in, calls the API before and after a refresh, and logs out; what the browser was told of the provider's logout.
fn whole_visit(name: &str) -> Option<String> {
    let dev = Dev::playing(name, 4);
    let mut browser = Browser::new();
    let page = dev.sign_in(&mut browser, &dev.one(), "ada");
    assert_eq!(page.url, format!("{}/", dev.one()), "{name}: {}", page.response.text());
    let session = browser.session(&dev.one());
    assert_eq!(session["user"]["name"], "Ada Lovelace", "{name}: {session}");
    let first = dev.call(&mut browser);
    assert_eq!((first.status, &first.json()["you"]["name"]), (200, &"Ada Lovelace".into()), "{name}: {}", first.text());
    let profile = Profile::named(name).expect("a profile");
    if profile.tokens.expires {
        let renewed = |answer: &Response| answer.status == 200 && serial(answer) != serial(&first);
        dev.call_until(&mut browser, &format!("{name}: a new token should come"), renewed);
        let again = serial(&dev.call(&mut browser));
        dev.call_until(&mut browser, &format!("{name}: and one more"), |answer| {
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
            serial(answer) != again
        });
    }
    assert!(browser.session_cookie(&dev.one()).is_some_and(|cookie| cookie.value.len() <= 200), "{name}");
    let answer = browser.post(&dev.one(), "/bff/logout");
    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    assert_eq!(dev.call(&mut browser).status, 401, "{name}");
    let url = answer.json()["logout_url"].as_str().map(str::to_owned)?;
    let end = browser.open(&url);
    assert_eq!(end.url, format!("{}/", dev.one()), "{name}: it asks whom to sign out");
    let next = browser.open(&format!("{}/bff/login", dev.one()));
    assert!(next.response.text().contains("name=\"user\""), "{name}: still signed in at the provider");
    Some(url)
}

#[test]
fn a_visit_to_passport_12_needs_no_openid_connect() {
    assert_eq!(whole_visit("passport12"), None, "it has no logout page");
}

#[test]
fn a_visit_to_passport_13_needs_no_openid_connect() {
    assert_eq!(whole_visit("passport13"), None, "it has no logout page");
}

#[test]
fn a_visit_to_github_has_neither_refresh_nor_end() {
    assert_eq!(whole_visit("github"), None);
}

/// A visit that ends on a logout page which is asked as the standard says.
fn visit_with_a_standard_logout(name: &str) {
    let url = whole_visit(name).expect("a logout page");
    assert!(url.contains("post_logout_redirect_uri="), "{name}: {url}");
}

#[test]
fn a_visit_to_keycloak_ends_at_its_logout_page() {
    visit_with_a_standard_logout("keycloak");
}

#[test]
fn a_visit_to_okta_ends_at_its_logout_page() {
    visit_with_a_standard_logout("okta");
}

#[test]
fn a_visit_to_zitadel_ends_at_its_logout_page() {
    visit_with_a_standard_logout("zitadel");
}

#[test]
fn a_visit_to_authentik_ends_at_its_logout_page() {
    visit_with_a_standard_logout("authentik");
}

#[test]
fn a_visit_to_logto_ends_at_its_logout_page() {
    visit_with_a_standard_logout("logto");
}

#[test]
fn a_visit_to_auth0_ends_at_a_logout_page_of_its_own() {
    let url = whole_visit("auth0").expect("a logout page");
    assert!(url.contains("/v2/logout?") && url.contains("returnTo=") && !url.contains("post_logout"), "{url}");
}

#[test]
fn a_visit_to_cognito_ends_at_a_logout_page_of_its_own() {
    let url = whole_visit("cognito").expect("a logout page");
    assert!(url.contains("/logout?") && url.contains("logout_uri=") && !url.contains("post_logout"), "{url}");
}

#[test]
fn a_visit_to_google_leaves_its_own_session_alone() {
    assert_eq!(whole_visit("google"), None);
}

#[test]
fn a_visit_to_entra_carries_large_tokens_behind_a_small_cookie() {
    let url = whole_visit("entra").expect("a logout page");
    assert!(url.contains("&logout_hint=") && !url.contains("id_token_hint"), "and nobody is asked: {url}");
}

#[test]
fn a_refresh_at_passport_breaks_no_call_although_the_old_token_is_revoked() {
    let dev = Dev::playing("passport12", 3);
    let mut browser = Browser::new();
    dev.sign_in(&mut browser, &dev.one(), "ada");
    let mut serials = std::collections::BTreeSet::new();
    let end = std::time::Instant::now() + Duration::from_secs(9);
    while std::time::Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
        let answer = dev.call(&mut browser);
        assert_eq!(answer.status, 200, "{}", answer.text());
        serials.insert(serial(&answer));
    }
    assert!(serials.len() > 2, "too few refreshes: {serials:?}");
}

#[test]
fn a_refresh_token_that_passport_12_refuses_ends_the_session_and_not_the_gateway() {
    let dev = Dev::playing("passport12", 3);
    let mut browser = Browser::new();
    dev.sign_in(&mut browser, &dev.one(), "ada");
    dev.press(&mut browser, "revoke", "Site One");
    let over = dev.call_until(&mut browser, "the session should end", |answer| answer.reason() == "refresh_rejected");
    over.refuses(401, "refresh_rejected");
}

#[test]
fn an_unknown_profile_is_wrong_usage_and_answered_with_the_list() {
    let output = cloakroom().args(["dev", "--profile", "passport"]).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    for name in Profile::names() {
        assert!(told.contains(name), "{name} is not in the list: {told}");
    }
}

#[test]
fn banner_and_page_tell_of_each_other_and_of_what_is_played() {
    let dev = Dev::playing("cognito", 60);
    let told = dev.process.stdout();
    assert!(told.contains(&format!("{}/ ", dev.provider())) && told.contains("AWS Cognito"), "{told}");
    assert!(!Dev::strict(&[]).process.stdout().contains("plays"));
    let desk = dev.desk(&mut Browser::new()).response.text();
    assert!(desk.contains("profile = &quot;cognito&quot;"), "what an operator writes: {desk}");
}

#[test]
fn an_api_of_one_s_own_is_told_how_to_judge_the_tokens() {
    for (profile, told) in [
        (
            "entra",
            "verifies: issuer ADDRESS/demo-tenant/v2.0, audience demo-api, ES256, keys at ADDRESS/demo-tenant/discovery",
        ),
        (
            "logto",
            "verifies: issuer ADDRESS/oidc, audience https://api.demo.example, ES256, keys at ADDRESS/oidc/jwks.",
        ),
        ("google", "asks ADDRESS/v1/userinfo who the bearer is"),
        ("passport13", "asks ADDRESS/api/user who the bearer is"),
    ] {
        let dev = Dev::start(&["--profile", profile, "--api", "http://127.0.0.1:9"]);
        let told = told.replace("ADDRESS", dev.provider());
        assert!(dev.process.stdout().contains(&told), "{told}: {}", dev.process.stdout());
    }
}

#[test]
fn the_page_shows_who_is_signed_in_and_works_without_script() {
    let dev = Dev::strict(&[]);
    let mut browser = Browser::new();
    assert!(dev.desk(&mut browser).response.text().contains("Nobody"));
    dev.sign_in(&mut browser, &dev.one(), "grace");
    dev.sign_in(&mut browser, &dev.two(), "grace");
    let page = dev.desk(&mut browser).response;
    let text = page.text();
    assert_eq!(text.matches("Grace Hopper").count(), 2, "{text}");
    assert!(text.contains("Site One") && text.contains("Site Two") && !text.contains("<script"));
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'")));
    let passport = Dev::playing("passport12", 60);
    passport.sign_in(&mut browser, &passport.one(), "grace");
    let text = passport.desk(&mut browser).response.text();
    assert!(
        !text.contains("break-keys") && !text.contains("log-out"),
        "a provider without keys has no button for them"
    );
}

#[test]
fn a_button_works_from_its_own_page_and_its_own_browser_only() {
    let dev = Dev::strict(&[]);
    let mut browser = Browser::new();
    dev.sign_in(&mut browser, &dev.one(), "ada");
    let page = dev.desk(&mut browser);
    let text = page.response.text();
    let token = text.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token");
    let form = format!("token={token}&do=down");
    let desk = format!("{}/desk", dev.provider());
    let foreign = browser.submit(&dev.one(), &desk, &form);
    assert_eq!(foreign.response.status, 403, "from another page");
    let stranger = Browser::new().submit(dev.provider(), &desk, &form);
    assert_eq!(stranger.response.status, 403, "in another browser");
    for wrong in ["do=down", "token=x&do=down", &format!("token={token}&do=nothing"), &format!("token={token}")] {
        assert_eq!(browser.submit(dev.provider(), &desk, wrong).response.status, 403, "{wrong}");
    }
    for seconds in ["0", "61", "-1", "many", ""] {
        let form = format!("token={token}&do=slow&seconds={seconds}");
        assert_eq!(browser.submit(dev.provider(), &desk, &form).response.status, 403, "{seconds}");
    }
    assert!(dev.desk(&mut browser).response.text().contains("<em>up</em>"), "nothing has changed");
    assert!(browser.submit(dev.provider(), &desk, &form).response.text().contains("<em>down</em>"));
}

#[test]
fn an_expired_access_token_is_a_401_of_the_api_until_the_next_refresh() {
    let dev = Dev::strict(&["--token-lifetime", "6"]);
    let mut browser = Browser::new();
    dev.sign_in(&mut browser, &dev.one(), "ada");
    assert_eq!(dev.call(&mut browser).status, 200);
    let notice = dev.press(&mut browser, "expire", "Site One");
    assert!(notice.contains("no longer good"), "{notice}");
    let refused = dev.call(&mut browser);
    assert_eq!((refused.status, refused.reason()), (401, ""), "the API's own answer: {}", refused.text());
    assert!(browser.is_signed_in(&dev.one()), "the session goes on");
    dev.call_until(&mut browser, "the refresh should help", |answer| answer.status == 200);
}

#[test]
fn a_revoked_refresh_token_ends_the_session_at_the_next_refresh() {
    let dev = Dev::strict(&["--token-lifetime", "3"]);
    let mut browser = Browser::new();
    dev.sign_in(&mut browser, &dev.one(), "ada");
    dev.sign_in(&mut browser, &dev.two(), "ada");
    dev.press(&mut browser, "revoke", "Site One");
    let over = dev.call_until(&mut browser, "the session should end", |answer| answer.status == 401);
    over.refuses(401, "refresh_rejected");
    assert!(browser.is_signed_in(&dev.two()), "the other site's login goes on");
}

#[test]
fn a_broken_key_set_fails_new_logins_and_no_session() {
    let dev = Dev::strict(&["--token-lifetime", "3"]);
    let mut browser = Browser::new();
    dev.sign_in(&mut browser, &dev.one(), "ada");
    let before = serial(&dev.call(&mut browser));
    assert!(dev.press(&mut browser, "break-keys", "").contains("<em>broken</em>"));
    let failed = dev.sign_in(&mut browser, &dev.two(), "ada");
    assert!(failed.response.status >= 400, "{} {}", failed.url, failed.response.text());
    assert!(!browser.is_signed_in(&dev.two()));
    dev.call_until(&mut browser, "the refresh should work all the same", |answer| {
        assert_eq!(answer.status, 200, "{}", answer.text());
        serial(answer) != before
    });
    assert!(dev.press(&mut browser, "mend-keys", "").contains("<em>fine</em>"));
    crate::support::within(Duration::from_secs(60), "a login should work again", || {
        std::thread::sleep(Duration::from_millis(500));
        dev.sign_in(&mut browser, &dev.two(), "ada");
        browser.is_signed_in(&dev.two()).then_some(())
    });
}

#[test]
fn a_slow_provider_delays_logins_and_not_calls() {
    let dev = Dev::strict(&[]);
    let mut browser = Browser::new();
    dev.sign_in(&mut browser, &dev.one(), "ada");
    assert!(dev.press(&mut browser, "slow", "").contains("<em>2 s</em>"));
    let begun = std::time::Instant::now();
    assert_eq!(dev.call(&mut browser).status, 200);
    assert!(begun.elapsed() < Duration::from_millis(1900), "a call waited for the provider");
    let begun = std::time::Instant::now();
    dev.sign_in(&mut browser, &dev.two(), "ada");
    assert!(begun.elapsed() >= Duration::from_secs(4), "authorization and token call take two seconds each");
    assert!(browser.is_signed_in(&dev.two()));
    assert!(dev.press(&mut browser, "fast", "").contains("<em>at once</em>"));
}

#[test]
fn a_provider_that_is_down_ends_no_session_and_comes_back() {
    let dev = Dev::strict(&["--token-lifetime", "3"]);
    let mut browser = Browser::new();
    dev.sign_in(&mut browser, &dev.one(), "ada");
    assert!(dev.press(&mut browser, "down", "").contains("<em>down</em>"));
    let unavailable = dev.call_until(&mut browser, "the token should end", |answer| answer.status == 503);
    unavailable.refuses(503, "provider_unavailable");
    assert!(browser.is_signed_in(&dev.one()), "the session goes on");
    assert!(dev.press(&mut browser, "up", "").contains("<em>up</em>"));
    dev.call_until(&mut browser, "calls should work again", |answer| answer.status == 200);
}

#[test]
fn a_back_channel_logout_of_a_session_ends_it_at_both_sites_and_in_no_other_browser() {
    let dev = Dev::strict(&[]);
    let (mut browser, mut other) = (Browser::new(), Browser::new());
    dev.sign_in(&mut other, &dev.one(), "ada");
    dev.sign_in(&mut browser, &dev.one(), "ada");
    dev.sign_in(&mut browser, &dev.two(), "ada");
    let notice = dev.press(&mut browser, "log-out-session", "Site Two");
    assert!(notice.contains("Site One accepted it") && notice.contains("Site Two accepted it"), "{notice}");
    dev.call(&mut browser).refuses(401, "revoked");
    assert!(!browser.is_signed_in(&dev.two()));
    assert!(other.is_signed_in(&dev.one()));
    let login = browser.open(&format!("{}/bff/login", dev.one()));
    assert!(login.response.text().contains("name=\"user\""), "the provider asks again");
}

#[test]
fn a_back_channel_logout_of_a_person_ends_every_browser_s_sessions_and_nobody_else_s() {
    let dev = Dev::strict(&[]);
    let (mut browser, mut other, mut grace) = (Browser::new(), Browser::new(), Browser::new());
    dev.sign_in(&mut grace, &dev.two(), "grace");
    dev.sign_in(&mut other, &dev.one(), "ada");
    dev.sign_in(&mut browser, &dev.one(), "ada");
    let notice = dev.press(&mut browser, "log-out-person", "Site One");
    assert!(notice.contains("Site One accepted it"), "{notice}");
    dev.call(&mut browser).refuses(401, "revoked");
    dev.call(&mut other).refuses(401, "revoked");
    assert!(grace.is_signed_in(&dev.two()));
}

#[test]
fn keycloak_names_one_session_even_when_it_logs_out_all() {
    let dev = Dev::playing("keycloak", 60);
    let (mut browser, mut other) = (Browser::new(), Browser::new());
    dev.sign_in(&mut other, &dev.one(), "ada");
    dev.sign_in(&mut browser, &dev.one(), "ada");
    let notice = dev.press(&mut browser, "log-out-person", "Site One");
    assert!(notice.contains("Site One accepted it"), "{notice}");
    dev.call(&mut browser).refuses(401, "revoked");
    assert!(other.is_signed_in(&dev.one()), "its session was not named");
}
