//! `cloakroom dev --profile jwt-auth` and `sanctum`: an API that logs people in by itself, through the form of the demo page.

use std::process::Command;
use std::time::Duration;

use cloakroom::dev::provider::PASSWORD;
use serde_json::{Value, json};

use crate::client_js::chromium;
use crate::support::{self, Browser, Dev, Manners, Process, Response, TokenApi, root};

fn ada() -> Value {
    json!({ "email": "ada@people.example", "password": PASSWORD, "device_name": "Ada's" })
}

/// The token's serial, as the demo API tells it.
fn serial(answer: &Response) -> String {
    answer.json()["token"]["serial"].as_str().expect("a serial").to_owned()
}

/// Somebody who has logged in at the first site.
fn signed_in(dev: &Dev) -> Browser {
    let mut browser = Browser::new();
    let session = dev.log_in(&mut browser, &ada());
    assert_eq!((session.status, &session.json()["user"]["name"]), (200, &"Ada Lovelace".into()), "{}", session.text());
    browser
}

/// What the desk calls the login.
const DEVICE: &str = "Ada&#39;s";

#[test]
fn a_visit_to_jwt_auth_is_renewed_with_its_own_token_and_ends_at_the_api() {
    let dev = Dev::playing("jwt-auth", 4);
    let mut browser = Browser::new();
    let page = browser.open(&format!("{}/bff/login?return_to=%2Forders", dev.one()));
    assert_eq!(page.url, format!("{}/login?return_to=%2Forders", dev.one()));
    let mut browser = signed_in(&dev);
    let first = dev.call(&mut browser);
    assert_eq!((first.status, &first.json()["you"]["name"]), (200, &"Ada Lovelace".into()), "{}", first.text());
    let mut latest = serial(&first);
    for _ in 0..2 {
        let next = dev.call_until(&mut browser, "a new token should come", |answer| {
            assert_eq!(answer.status, 200, "no call is lost to the refresh: {}", answer.text());
            serial(answer) != latest
        });
        latest = serial(&next);
    }
    assert!(dev.desk(&mut browser).response.text().contains("refreshed 2 times"));
    assert_eq!(browser.post(&dev.one(), "/bff/logout").json(), json!({ "logout_url": null }));
    dev.call(&mut browser).refuses(401, "no_session");
    support::eventually("the API hears of it", || {
        dev.desk(&mut browser).response.text().contains("Nobody").then_some(())
    });
}

#[test]
fn a_visit_to_sanctum_has_one_token_to_its_end() {
    let dev = Dev::playing("sanctum", 2);
    let mut browser = signed_in(&dev);
    let first = serial(&dev.call(&mut browser));
    std::thread::sleep(Duration::from_millis(2500));
    let later = dev.call(&mut browser);
    assert_eq!((later.status, serial(&later)), (200, first));
    assert_eq!(browser.post(&dev.one(), "/bff/logout").json(), json!({ "logout_url": null }));
    dev.call(&mut browser).refuses(401, "no_session");
    support::eventually("the API hears of it", || {
        dev.desk(&mut browser).response.text().contains("Nobody").then_some(())
    });
}

#[test]
fn the_form_gets_the_words_of_the_api() {
    let (jwt_auth, sanctum) = (Dev::playing("jwt-auth", 60), Dev::playing("sanctum", 60));
    let wrong = json!({ "email": "ada@people.example", "password": "wrong", "device_name": "Ada's" });
    let mut browser = Browser::new();
    let refused = jwt_auth.log_in(&mut browser, &wrong);
    assert_eq!((refused.status, refused.json()), (401, json!({ "error": "Unauthorized" })));
    let refused = sanctum.log_in(&mut browser, &wrong);
    let said = "The provided credentials are incorrect.";
    assert_eq!((refused.status, refused.json()), (422, json!({ "message": said, "errors": { "email": [said] } })));
    for dev in [&jwt_auth, &sanctum] {
        let refused = dev.log_in(&mut browser, &json!({ "password": "x" }));
        assert_eq!(
            (refused.status, &refused.json()["errors"]["email"][0]),
            (422, &"The email field is required.".into())
        );
        assert!(!browser.is_signed_in(&dev.one()));
    }
}

#[test]
fn an_expired_token_is_renewed_and_a_blacklisted_one_ends_the_session() {
    let dev = Dev::playing("jwt-auth", 6);
    let mut browser = signed_in(&dev);
    let notice = dev.press(&mut browser, "expire", DEVICE);
    assert!(notice.contains("no longer good"), "{notice}");
    let refused = dev.call(&mut browser);
    assert_eq!((refused.status, refused.reason()), (401, ""), "the API's own answer: {}", refused.text());
    dev.call_until(&mut browser, "the refresh should help", |answer| answer.status == 200);
    let notice = dev.press(&mut browser, "revoke", DEVICE);
    assert!(notice.contains("taken back"), "{notice}");
    let over = dev.call_until(&mut browser, "the session should end", |answer| answer.reason() == "refresh_rejected");
    over.refuses(401, "refresh_rejected");
}

#[test]
fn a_deleted_token_of_sanctum_is_the_api_s_to_refuse() {
    let dev = Dev::playing("sanctum", 60);
    let mut browser = signed_in(&dev);
    dev.press(&mut browser, "revoke", DEVICE);
    let refused = dev.call(&mut browser);
    assert_eq!((refused.status, refused.reason()), (401, ""), "{}", refused.text());
    assert!(browser.is_signed_in(&dev.one()), "nobody told the gateway");
}

#[test]
fn an_api_that_is_slow_or_down_delays_logins_and_ends_no_session() {
    let dev = Dev::playing("jwt-auth", 3);
    let mut browser = signed_in(&dev);
    assert!(dev.press(&mut browser, "slow", "").contains("<em>2 s</em>"));
    let begun = std::time::Instant::now();
    assert_eq!(dev.log_in(&mut Browser::new(), &ada()).status, 200);
    assert!(begun.elapsed() >= Duration::from_secs(4), "the login and the question who it is take two seconds each");
    assert!(dev.press(&mut browser, "fast", "").contains("<em>at once</em>"));
    assert!(dev.press(&mut browser, "down", "").contains("<em>down</em>"));
    dev.log_in(&mut Browser::new(), &ada()).refuses(503, "provider_unavailable");
    let unavailable = dev.call_until(&mut browser, "the token should end", |answer| answer.status == 503);
    unavailable.refuses(503, "provider_unavailable");
    assert!(browser.is_signed_in(&dev.one()), "the session goes on");
    assert!(dev.press(&mut browser, "up", "").contains("<em>up</em>"));
    dev.call_until(&mut browser, "calls should work again", |answer| answer.status == 200);
    let desk = dev.desk(&mut browser).response.text();
    assert!(!desk.contains("break-keys") && !desk.contains("log-out"), "there are neither keys nor logout tokens");
}

#[test]
fn an_api_of_ones_own_logs_its_people_in_itself() {
    let api = TokenApi::start(Manners::JwtAuth, 60);
    let dev = Dev::start(&["--profile", "jwt-auth", "--api", &api.url()]);
    assert!(dev.process.stdout().contains("Your API logs people in itself, with POST /api/auth/login"));
    let mut browser = Browser::new();
    let credentials = json!({ "email": "ada@example.com", "password": support::PASSWORD });
    assert_eq!(dev.log_in(&mut browser, &credentials).json()["user"]["email"], "ada@example.com");
    assert_eq!(browser.get(&dev.one(), "/api/orders").json(), json!({ "user": 1 }));
}

#[test]
fn a_person_logs_in_with_the_form_of_the_demo_page() {
    let dir = root().join("tests/browser");
    assert!(dir.join("node_modules").is_dir(), "run tests/run, or npm ci in {}", dir.display());
    let dev = Dev::playing("jwt-auth", 60);
    let order = json!({
        "site": dev.one(), "executable": chromium(), "artefacts": root().join("target/artefacts/own-form"),
    });
    let mut process = Process::start(
        Command::new("node").current_dir(&dir).args(["own_form.mjs", &order.to_string()]),
        "apt-get install nodejs npm",
    );
    process.wait(Duration::from_secs(90));
    let report: Value =
        serde_json::from_str(&process.stdout()).unwrap_or_else(|error| panic!("{error}: {}", process.output()));
    assert_eq!(report["ok"], true, "{report:#}");
    assert!(!report.to_string().contains("eyJ"), "the browser saw a token: {report:#}");
}
