//! A login in two steps: the API wants a code after the password, and ties the two together with a cookie of its own.

use std::process::Command;

use serde_json::{Value, json};

use super::{Stage, Wish, ada};
use crate::support::{Browser, Manners, PASSWORD, Process, Reply, Response, World, eventually, root};

const STEP: [&str; 2] = ["step_pointer = \"/two_factor\"", "step_url = \"API/api/two-factor\""];

/// An API that wants a code, with what Laravel sets beside; and then gives a token for it.
fn stage(further: &str) -> Stage {
    stage_with("", further)
}

/// The same with one line more for the provider.
fn stage_with(line: &str, further: &str) -> Stage {
    let api = crate::support::TokenApi::start(Manners::Sanctum, 3600);
    let url = api.url();
    let lines: Vec<String> = STEP.iter().chain([&line]).map(|line| line.replace("API", &url)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let site = ["[site.limits]", "logins = \"off\""];
    let wish = Wish { provider: &lines, site: &site, further: further.to_owned(), ..Wish::new(Manners::Sanctum) };
    let stage = Stage::at(wish, api);
    stage.api.breaks("/api/login", [code_wanted()]);
    stage
}

fn code_wanted() -> Reply {
    let headers = "content-type: application/json\r\nset-cookie: laravel_session=canary-session%3D; path=/; httponly\r\n\
                   set-cookie: XSRF-TOKEN=canary-xsrf; path=/\r\nset-cookie: old=; expires=Thu, 01-Jan-1970 00:00:01 GMT\r\n";
    let body = json!({ "two_factor": true, "to": "a***@example.com", "challenge_token": "canary-challenge" });
    Reply::with("200 OK", headers, &body.to_string())
}

fn granted() -> Reply {
    let user = json!({ "id": 1, "name": "Ada Lovelace", "email": "ada@example.com" });
    Reply::json(&json!({ "token": format!("7|{}", "c".repeat(40)), "user": user }).to_string())
}

/// The first step, and where the second goes.
#[track_caller]
fn first(stage: &Stage, browser: &mut Browser) -> (Response, String) {
    let answer = stage.log_in(browser, &ada());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let next = answer.json()["login_url"].as_str().expect("a way on").to_owned();
    (answer, next)
}

fn code(code: &str) -> Value {
    json!({ "code": code })
}

#[test]
fn a_code_after_the_password_makes_the_session_and_nothing_of_the_api_reaches_the_browser() {
    let mut stage = stage("");
    let mut browser = Browser::new();
    let (answer, next) = first(&stage, &mut browser);
    let said = answer.json();
    assert_eq!((&said["authenticated"], &said["reason"]), (&json!(false), &json!("step")));
    assert_eq!(said["answer"], json!({ "two_factor": true, "to": "a***@example.com" }));
    assert!(answer.all("set-cookie").is_empty() && answer.header("cache-control") == Some("no-store"));
    assert!(!browser.is_signed_in(&stage.origin));

    let refusal = r#"{"message":"The provided two factor authentication code was invalid."}"#;
    stage.api.breaks("/api/two-factor", [Reply::with("422 Unprocessable Content", "", refusal), granted()]);
    let wrong = stage.post(&mut browser, &next, &code("000000"));
    assert_eq!((wrong.status, wrong.json()), (422, serde_json::from_str(refusal).expect("JSON")));
    let right = stage.post(&mut browser, &next, &code("123456"));
    assert_eq!((right.status, &right.json()["user"]["name"]), (200, &json!("Ada Lovelace")), "{}", right.text());
    assert!(browser.is_signed_in(&stage.origin));
    let asked = stage.api.posts("/api/two-factor");
    assert_eq!(asked.len(), 2);
    for one in &asked {
        assert_eq!(one.one("cookie"), "laravel_session=canary-session%3D; XSRF-TOKEN=canary-xsrf");
        assert_eq!(one.one("x-forwarded-host"), stage.origin.strip_prefix("http://").expect("an origin"));
    }
    assert_eq!(asked[1].body, br#"{"code":"123456"}"#);
    assert_eq!(browser.get(&stage.origin, "/api/orders").status, 401, "the API does not know what the test made up");
    assert_eq!(stage.api.upstream.last().bearer(), format!("7|{}", "c".repeat(40)));

    browser.post(&stage.origin, "/api/two-factor").refuses(404, "no_route");
    assert_eq!(stage.api.posts("/api/two-factor").len(), 2, "no route leads to where the token comes from");

    let canary = |value: &str| ("the API's".to_owned(), value.to_owned());
    let secrets = [canary("canary-"), canary(&"c".repeat(40)), canary(PASSWORD), canary("123456")];
    browser.saw_none_of(&secrets);
    let gateway = &mut stage.gateways[0];
    gateway.process.signal("TERM");
    gateway.process.wait(std::time::Duration::from_secs(10));
    World::logged_none_of(&gateway.process, &secrets);
    assert!(gateway.process.output().contains("\"login_unfinished\""));
}

#[test]
fn a_step_is_sealed_by_this_site_and_its_providers_alone_and_needs_the_pages_own_words() {
    let other = "[[site.provider]]\nname = \"staff\"\nkind = \"relay\"\nlogin_url = \"http://127.0.0.1:9/login\"\n";
    let stage = stage(other);
    let mut browser = Browser::new();
    let (_, next) = first(&stage, &mut browser);
    stage.api.breaks("/api/two-factor", [granted(), granted(), granted()]);
    let turned = format!("{}{}", &next[..next.len() - 2], if next.ends_with("AA") { "BB" } else { "AA" });
    for path in [turned.as_str(), "/bff/login?step=", "/bff/login?step=x", &format!("{next}&provider=staff")] {
        stage.post(&mut browser, path, &code("1")).refuses(400, "bad_request");
    }
    let authority = stage.origin.strip_prefix("http://").expect("an origin");
    let foreign = crate::support::Request::new("POST", &next).header("Host", authority).body("{\"code\":\"1\"}");
    let foreign = foreign.header("Content-Type", "application/json").header("Sec-Fetch-Site", "cross-site");
    stage.send(&foreign).refuses(403, "cross_site");
    // It is no step-up of a login at a provider's page either.
    let page = browser.open(&format!("{}{next}", stage.origin));
    assert_eq!(page.response.status, 400);
    assert!(stage.api.posts("/api/two-factor").is_empty());
    assert_eq!(stage.post(&mut browser, &next, &code("1")).status, 200, "the right one is as good as ever");
}

#[test]
fn what_announces_no_step_is_none() {
    let stage = stage("");
    for body in ["{}", r#"{"two_factor":false}"#, r#"{"two_factor":null}"#, r#"{"key":"opaque-canary"}"#] {
        stage.api.breaks("/api/login", [Reply::json(body)]);
        let refused = stage.log_in(&mut Browser::new(), &ada());
        refused.refuses(502, "upstream_unreachable");
        assert!(!refused.text().contains("canary"), "{}", refused.text());
    }
    // A place for the token with nothing in it is none.
    stage.api.breaks("/api/login", [Reply::json(r#"{"two_factor":true,"token":null}"#)]);
    let unfinished = stage.log_in(&mut Browser::new(), &ada());
    assert_eq!((unfinished.status, unfinished.json()["reason"].as_str()), (200, Some("step")), "{}", unfinished.text());
    // A token beside the announcement is a login.
    let mut body = json!({ "two_factor": true, "token": format!("7|{}", "c".repeat(40)) });
    body["user"] = json!({ "id": 1 });
    stage.api.breaks("/api/login", [Reply::json(&body.to_string())]);
    let answer = stage.log_in(&mut Browser::new(), &ada());
    assert_eq!((answer.status, &answer.json()["authenticated"]), (200, &json!(true)), "{}", answer.text());
}

#[test]
fn cookies_that_cannot_all_go_to_the_next_step_are_a_502_that_the_log_explains() {
    let stage = stage("");
    let step = |length: usize| {
        let half = "c".repeat(length / 2);
        let headers = format!("set-cookie: first={half}; path=/\r\nset-cookie: second={half}; path=/\r\n");
        stage.api.breaks("/api/login", [Reply::with("200 OK", &headers, r#"{"two_factor":true}"#)]);
    };
    step(6000);
    stage.log_in(&mut Browser::new(), &ada()).refuses(502, "upstream_unreachable");
    eventually("the log should say why", || {
        stage.gateways[0].process.output().contains("its cookies have 6015 bytes together").then_some(())
    });
    step(5000);
    let mut browser = Browser::new();
    let next = stage.log_in(&mut browser, &ada()).json()["login_url"].as_str().expect("a way on").to_owned();
    assert!(next.len() < 8000, "{}", next.len());
    stage.api.breaks("/api/two-factor", [granted()]);
    assert_eq!(stage.post(&mut browser, &next, &code("1")).status, 200);
    assert_eq!(stage.api.posts("/api/two-factor")[0].one("cookie").len(), 5015, "every one of them");
}

#[test]
fn the_helper_of_a_page_logs_in_with_a_code_and_tells_the_tabs_no_half_truths() {
    let dir = root().join("tests/browser");
    assert!(dir.join("node_modules").is_dir(), "run tests/run, or npm ci in {}", dir.display());
    let spa = format!("[site.spa]\ndir = \"{}\"\n", dir.join("tabs").display());
    let stage = stage_with("login_page = \"/login\"", &spa);
    stage.api.breaks("/api/login", [(); 3].map(|()| code_wanted()));
    stage.api.breaks("/api/two-factor", [granted()]);
    let order = json!({
        "site": stage.origin, "email": "ada@example.com", "password": PASSWORD, "code": "123456",
        "executable": crate::client_js::chromium(),
    });
    let mut process = Process::start(
        Command::new("node").current_dir(&dir).args(["form.mjs", &order.to_string()]),
        "apt-get install nodejs npm",
    );
    process.wait(std::time::Duration::from_secs(90));
    let report: Value =
        serde_json::from_str(&process.stdout()).unwrap_or_else(|error| panic!("{error}: {}", process.output()));
    assert_eq!(report["ok"], true, "{report:#}");
    assert!(!report.to_string().contains("canary"), "{report:#}");
    assert_eq!(stage.api.posts("/api/two-factor")[0].body, br#"{"code":"123456"}"#);
}
