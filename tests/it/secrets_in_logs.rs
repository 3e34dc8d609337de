//! No secret is written, whatever happens: contract section 7.

use serde_json::json;

use crate::support::{Browser, Request, Setup, World, eventually};

/// Everything that the browser sent or was sent and nobody else may know, beside the tokens.
fn browser_secrets(world: &World, browser: &Browser) -> Vec<(String, String)> {
    let mut secrets = Vec::new();
    for exchange in browser.seen(".localhost") {
        for line in exchange.response.all("set-cookie") {
            let value = line.split(';').next().and_then(|pair| pair.split_once('=')).map_or("", |(_, value)| value);
            secrets.push(("cookie".to_owned(), value.to_owned()));
        }
        for word in ["code=", "state="] {
            if let Some(value) = exchange.url.split(word).nth(1) {
                secrets.push((word.trim_end_matches('=').to_owned(), value.split('&').next().unwrap_or("").to_owned()));
            }
        }
    }
    for request in world.provider.ledger(world.client_id())["authorizations"].as_array().into_iter().flatten() {
        for name in ["state", "nonce", "code_challenge"] {
            secrets.push((name.to_owned(), request[name].as_str().unwrap_or_default().to_owned()));
        }
    }
    secrets.retain(|(_, value)| value.len() >= 16);
    secrets
}

#[test]
fn no_secret_is_logged_at_the_most_talkative_level_in_good_days_and_bad() {
    let mut setup = Setup::one_site();
    setup.access_ttl = 1;
    let mut world = World::of(setup);
    let id = world.client_id().to_owned();
    let mut browser = world.signed_in();
    eventually("a refresh should happen", || {
        browser.get(&world.one(), "/api/x?password=canary-query-string");
        (world.provider.token_calls(&id, "refresh_token") > 0).then_some(())
    });
    // Replays, forgeries and failures are where secrets slip out.
    let callback = browser
        .seen("one.localhost")
        .into_iter()
        .find(|one| one.url.contains("/bff/callback"))
        .expect("a login")
        .url
        .clone();
    browser.open(&callback);
    let refusal = "/bff/callback?error=canary-error-code&error_description=canary-error-text&state=x";
    for browser in [&mut browser, &mut Browser::new()] {
        browser.open(&format!("{}{refusal}", world.one()));
    }
    let call = Request::new("GET", "")
        .header("Authorization", "Bearer canary-client-bearer")
        .header("X-Api-Key", "canary-api-key");
    browser.fetch_with(&world.one(), call, "/api/x/%00?q=canary-query-string");
    world.provider.fault(&json!({ "client_id": id, "path": "/token", "status": 400, "body": { "error": "invalid_grant", "error_description": "canary-provider-text\r\n{\"forged\":true}" } }));
    eventually("the session should end", || (browser.get(&world.one(), "/api/x").status == 401).then_some(()));
    world.provider.heal(Some(&id));
    let mut tampered = Browser::new();
    let cookie = browser.session_cookie(&world.one()).expect("no 401 deletes it");
    tampered.plant(&world.one(), &cookie.name, &format!("{}canary", cookie.value));
    tampered.get(&world.one(), "/api/x");
    browser.sign_in(&world.one(), "ada");
    browser.post(&world.one(), "/bff/logout");
    let secrets = [world.secrets(), browser_secrets(&world, &browser)].concat();
    world.gateway.process.signal("TERM");
    world.gateway.process.wait(std::time::Duration::from_secs(10));
    assert!(secrets.len() > 15, "{}", secrets.len());
    World::logged_none_of(&world.gateway.process, &secrets);
    let output = world.gateway.process.output();
    for canary in [
        "canary-query-string",
        "canary-client-bearer",
        "canary-api-key",
        "canary-error-code",
        "Bearer ",
        "Basic ",
        "id_token_hint=",
    ] {
        assert!(!output.contains(canary), "the log shows {canary:?}:\n{output}");
    }
    assert!(!output.lines().any(|line| line.trim_start().starts_with("{\"forged\"")), "a line was forged");
}

#[test]
fn every_line_of_the_log_is_one_json_object() {
    let mut world = World::new();
    let mut browser = world.signed_in();
    browser.get(&world.one(), "/api/x");
    browser.get(&world.one(), "/api/%00");
    let forged = Request::new("GET", "").header("User-Agent", "x\u{1b}[31m\\n{\"forged\":1}");
    browser.fetch_with(&world.one(), forged, "/api/x");
    world.gateway.process.signal("TERM");
    world.gateway.process.wait(std::time::Duration::from_secs(10));
    let log = world.gateway.process.stderr();
    assert!(!log.is_empty(), "events are logged to stderr");
    for line in log.lines() {
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(line);
        assert!(parsed.is_ok_and(|value| value.is_object()), "{line}");
    }
    assert!(world.gateway.process.stdout().is_empty(), "results go to stdout, and serve has none");
}

#[test]
fn no_token_reaches_the_browser_in_a_whole_day() {
    let mut setup = Setup::two_sites();
    setup.access_ttl = 1;
    setup.jwt = true;
    setup.sites[0].provider.push("logout_hint = \"client_id\"".into());
    setup.sites[1].provider.push("logout_hint = \"client_id\"".into());
    let world = World::of(setup);
    let mut browser = world.signed_in();
    browser.sign_in(&world.two(), "ada");
    eventually("a refresh should happen", || {
        for site in [world.one(), world.two()] {
            assert_eq!(browser.get(&site, "/api/x").status, 200);
            browser.session(&site);
            browser.post(&site, "/bff/session/extend");
            browser.open(&format!("{site}/"));
        }
        (world.provider.token_calls(world.client_id(), "refresh_token") > 0).then_some(())
    });
    browser.get(&world.one(), "/api/%00");
    browser.get(&world.one(), "/nothing");
    for site in [world.one(), world.two()] {
        browser.post(&site, "/bff/logout");
        browser.get(&site, "/api/x");
    }
    // The code travels through the browser by design; no token does.
    let tokens: Vec<_> = world.secrets().into_iter().filter(|(name, _)| name != "code").collect();
    assert!(tokens.iter().filter(|(name, _)| name == "access_token").count() >= 3);
    browser.saw_none_of(&tokens);
    for exchange in browser.seen(".localhost") {
        let text = exchange.response.text();
        assert!(
            !text.contains("access_token") && !text.contains("refresh_token") && !text.contains("eyJ"),
            "{}: {text}",
            exchange.url
        );
    }
}
