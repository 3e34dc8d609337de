//! What the API's answers to a login become: its refusals are the form's to show, and nothing else of it gets through.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Stage, Wish, ada};
use crate::support::{Browser, Manners, Reply, Response, Upstream, cloakroom, eventually};

const JWT: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";

fn unlimited(manners: Manners) -> Stage {
    Stage::of(Wish { site: &["limits.logins = \"off\""], ..Wish::new(manners) })
}

/// What the page gets when the API answers its login with `reply`.
fn answer(stage: &Stage, reply: Reply) -> Response {
    stage.api.breaks("/api/auth/login", [reply]);
    let mut browser = Browser::new();
    let answer = stage.log_in(&mut browser, &ada());
    assert!(browser.session_cookie(&stage.origin).is_none(), "no session: {}", answer.text());
    answer
}

#[test]
fn the_forms_of_laravel_show_what_is_wrong_as_before() {
    for manners in [Manners::JwtAuth, Manners::Sanctum] {
        let stage = unlimited(manners);
        let mut browser = Browser::new();
        let empty = stage.log_in(&mut browser, &json!({ "password": "x" }));
        assert_eq!((empty.status, empty.reason()), (422, ""));
        assert_eq!(empty.header("content-type"), Some("application/json"));
        assert_eq!(empty.json()["errors"]["email"][0], "The email field is required.");
        let wrong = stage.log_in(&mut browser, &json!({ "email": "ada@example.com", "password": "wrong" }));
        let said = "The provided credentials are incorrect.";
        let (status, body) = match manners {
            Manners::JwtAuth => (401, json!({ "error": "Unauthorized" })),
            _ => (422, json!({ "message": said, "errors": { "email": [said] } })),
        };
        assert_eq!((wrong.status, wrong.json(), wrong.reason()), (status, body, ""));
        assert!(wrong.all("set-cookie").is_empty() && wrong.header("cache-control") == Some("no-store"));
    }
}

#[test]
fn an_answer_that_is_the_token_and_nothing_else_is_one_in_quotes_or_without() {
    let stage = Stage::of(Wish {
        provider: &["token_pointer = \"\""],
        site: &["limits.logins = \"off\""],
        ..Wish::new(Manners::JwtAuth)
    });
    let granted = stage.granted();
    let token = granted["access_token"].as_str().expect("a token").to_owned();
    for (kind, body) in [
        ("text/html", token.clone()),
        ("text/plain", format!("{token}\n")),
        ("application/json", json!(token).to_string()),
    ] {
        stage.api.breaks("/api/auth/login", [Reply::with("200 OK", &format!("content-type: {kind}\r\n"), &body)]);
        let mut browser = Browser::new();
        let session = stage.log_in(&mut browser, &ada());
        assert_eq!((session.status, &session.json()["user"]["sub"]), (200, &json!("1")), "{kind}");
        assert_eq!(browser.get(&stage.origin, "/api/orders").json(), json!({ "user": 1 }));
        assert_eq!(stage.api.upstream.last().bearer(), token);
        browser.saw_none_of(&stage.secrets());
    }
    // What is no token is shown to nobody; what looks like one and is none of this API's, the API does not know.
    let asked = || stage.api.upstream.requests().iter().filter(|asked| asked.target == "/api/auth/me").count();
    let pages = ["", "<html>", "<!doctype html><title>App</title>", "Service is down now, sorry", "{}", "t\u{e4}"];
    let words = ["null", "false", "Unauthorized", "\"Unauthenticated.\"", "1234567890123456789012345"];
    let before = asked();
    for body in pages.into_iter().chain(words).chain([granted.to_string().as_str()]) {
        let refused = answer(&stage, Reply::with("200 OK", "content-type: text/html\r\n", body));
        assert_eq!((refused.status, refused.reason()), (502, "upstream_unreachable"), "{body}");
    }
    assert_eq!(asked(), before);
    let unknown = "x".repeat(40);
    let refused = answer(&stage, Reply::with("200 OK", "content-type: text/html\r\n", &unknown));
    assert_eq!((refused.status, refused.reason(), asked()), (503, "provider_unavailable", before + 1));
}

#[test]
fn nothing_but_status_and_words_of_a_refusal_gets_through() {
    let stage = unlimited(Manners::JwtAuth);
    let said = json!({
        "message": "Too many attempts.", "access_token": "canary-1", "refreshToken": "canary-2",
        "debug": { "sent": format!("Bearer {JWT}"), "line": 7 }, "errors": { "token": ["The token is invalid."] },
    });
    let headers = "content-type: text/html\r\nset-cookie: laravel_session=canary-3\r\nretry-after: 17\r\n\
                   access-control-allow-origin: *\r\nclear-site-data: \"*\"\r\nlocation: https://evil.example\r\n\
                   x-bff-reason: canary-4\r\nwww-authenticate: Basic realm=\"canary-5\"\r\nrefresh: 0;url=/canary-6\r\n";
    let refused = answer(&stage, Reply::with("429 Too Many Requests", headers, &said.to_string()));
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("17")));
    let left = json!({
        "message": "Too many attempts.", "debug": { "line": 7 }, "errors": { "token": ["The token is invalid."] },
    });
    assert_eq!(refused.json(), left);
    let head = String::from_utf8_lossy(&refused.head).to_lowercase();
    for word in ["canary", "set-cookie", "access-control", "clear-site-data", "location", "refresh:", "text/html"] {
        assert!(!head.contains(word), "{word}: {head}");
    }
    assert_eq!(refused.header("x-content-type-options"), Some("nosniff"));
    let refused = answer(&stage, Reply::with("401 Unauthorized", headers, &said.to_string()));
    assert_eq!((refused.status, refused.header("retry-after")), (401, None));
    assert!(refused.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Session realm=")));
}

#[test]
fn a_refusal_without_json_keeps_its_status_alone() {
    let stage = unlimited(Manners::JwtAuth);
    for body in ["", "Unauthorized", "<html><script>alert(1)</script></html>", "[\"eyJ\"]", "{\"a\":1,\"a\":2}"] {
        let refused = answer(&stage, Reply::with("403 Forbidden", "content-type: text/html\r\n", body));
        assert_eq!((refused.status, refused.text().as_str()), (403, "{}"), "{body}");
        assert_eq!(refused.header("content-type"), Some("application/json"));
    }
}

#[test]
fn whatever_else_the_api_answers_is_an_outage_and_no_login() {
    let stage = unlimited(Manners::JwtAuth);
    for (what, reply) in [
        ("a crash", Reply::with("500 Internal Server Error", "", "{\"message\":\"canary\"}")),
        ("maintenance", Reply::with("503 Service Unavailable", "retry-after: 600\r\n", "{}")),
        ("a closed connection", Reply::Close),
        ("about the connection", Reply::with("407 Proxy Authentication Required", "", "{}")),
        ("more than a mebibyte", Reply::json(&json!({ "access_token": "x".repeat(1 << 20) }).to_string())),
        ("about the host", Reply::with("421 Misdirected Request", "", "{}")),
    ] {
        let refused = answer(&stage, reply);
        assert_eq!((refused.status, refused.reason()), (503, "provider_unavailable"), "{what}: {}", refused.text());
        assert!(refused.all("set-cookie").is_empty() && refused.header("retry-after") == Some("2"), "{what}");
        assert!(!refused.text().contains("canary"), "{what}");
    }
    assert_eq!(stage.signed_in().session(&stage.origin)["authenticated"], true, "and then all is well again");
}

#[test]
fn a_success_that_nobody_can_use_is_a_502_and_the_log_says_what_is_wrong_with_it() {
    let stage = unlimited(Manners::JwtAuth);
    let token = |value: &Value| Reply::json(&json!({ "access_token": value, "expires_in": 3600 }).to_string());
    for (what, reply) in [
        ("a redirect", Reply::with("302 Found", "location: /api/auth/me\r\n", "")),
        (
            "a redirect that keeps the method",
            Reply::with("307 Temporary Redirect", "location: /api/auth/login\r\n", ""),
        ),
        ("no JSON", Reply::with("200 OK", "", "<html>")),
        ("no object", Reply::json("[]")),
        ("nothing", Reply::with("204 No Content", "", "")),
        ("no token", Reply::json("{\"two_factor\":true}")),
        ("an empty token", token(&json!(""))),
        ("a number for a token", token(&json!(7))),
        ("a token that breaks a header", token(&json!("a\r\nX-Evil: 1"))),
        ("a token in other letters", token(&json!("ä"))),
        ("two tokens", Reply::json("{\"access_token\":\"a\",\"access_token\":\"b\"}")),
    ] {
        let refused = answer(&stage, reply);
        assert_eq!((refused.status, refused.reason()), (502, "upstream_unreachable"), "{what}: {}", refused.text());
        assert!(refused.all("set-cookie").is_empty() && refused.header("retry-after").is_none(), "{what}");
        assert!(!refused.text().contains("two_factor"), "{what}: {}", refused.text());
    }
    eventually("the log should name cause and key", || {
        let said = "no token where `token_pointer` points; it has the members two_factor";
        stage.gateways[0].process.output().contains(said).then_some(())
    });
    assert_eq!(stage.signed_in().session(&stage.origin)["authenticated"], true, "and then all is well again");
}

#[test]
fn a_redirect_is_not_followed_with_anybodys_password() {
    let (stage, other) = (unlimited(Manners::JwtAuth), Upstream::start());
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"] {
        answer(&stage, Reply::with(status, &format!("location: {}/login\r\n", other.url()), ""));
    }
    assert_eq!(other.count(), 0);
}

#[test]
fn an_api_that_hangs_is_given_up_in_time() {
    let stage = Stage::of(Wish { provider: &["timeout = \"1s\""], ..Wish::new(Manners::JwtAuth) });
    let started = Instant::now();
    answer(&stage, Reply::Hang).refuses(503, "provider_unavailable");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_token_whose_user_nobody_names_is_no_login_and_is_given_back() {
    let stage = unlimited(Manners::JwtAuth);
    let cases = [
        Reply::with("500 Internal Server Error", "", "{}"),
        Reply::with("401 Unauthorized", "", "{}"),
        Reply::with("302 Found", "location: /login\r\n", ""),
        Reply::json("{}"),
        Reply::json("{\"id\":null}"),
        Reply::json("{\"id\":true}"),
        Reply::json("{\"id\":\"\"}"),
        Reply::json("not json"),
        Reply::Close,
    ];
    for (number, reply) in cases.into_iter().enumerate() {
        stage.api.breaks("/api/auth/me", [reply]);
        let mut browser = Browser::new();
        let refused = stage.log_in(&mut browser, &ada());
        refused.refuses(503, "provider_unavailable");
        assert!(browser.session_cookie(&stage.origin).is_none());
        eventually("the token should be given back", || {
            let token = stage.api.issued().pop()?;
            (stage.api.posts("/api/auth/logout").len() == number + 1 && !stage.api.knows(&token)).then_some(())
        });
    }
}

#[test]
fn an_outage_shows_in_readyz_and_passes() {
    let stage = unlimited(Manners::JwtAuth);
    let gateway = &stage.gateways[0];
    let status = || gateway.wait_ready(200).json()["sites"][0]["providers"][0]["status"].clone();
    eventually("the API should be found up", || (status() == "up").then_some(()));
    answer(&stage, Reply::with("500 Internal Server Error", "", "{}"));
    assert_eq!(status(), "down");
    stage.signed_in();
    assert_eq!(status(), "up");
}

#[test]
fn doctor_finds_a_login_that_is_none() {
    let doctor = |login_url: &str, reply: Option<Reply>| {
        let stage = unlimited(Manners::JwtAuth);
        let text = std::fs::read_to_string(&stage.config).expect("it was written");
        std::fs::write(&stage.config, text.replace("/api/auth/login", login_url)).expect("writable");
        if let Some(reply) = reply {
            stage.api.breaks(login_url, [reply]);
        }
        let output =
            cloakroom().args(["doctor", "--config"]).arg(&stage.config).output().expect("the binary was built");
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .find(|line| line.contains(": login:"))
            .expect("a verdict")
            .to_owned()
    };
    let good = doctor("/api/auth/login", None);
    assert!(good.starts_with("pass") && good.contains("422"), "{good}");
    for (login_url, reply, wrong) in [
        ("/api/auth/login", Some(Reply::with("500 Oops", "", "{}")), "answers 500"),
        ("/api/auth/login", Some(Reply::with("302 Found", "location: /x\r\n", "")), "a redirect"),
        ("/api/auth/login", Some(Reply::json("{}")), "answers 200 to a login without credentials"),
        ("/api/auth/logn", Some(Reply::with("404 Not Found", "", "{}")), "answers 404"),
        ("/api/auth/login", Some(Reply::Close), "the connection broke"),
    ] {
        let line = doctor(login_url, reply);
        assert!(line.starts_with("FAIL") && line.contains(wrong), "{wrong}: {line}");
    }
}

#[test]
fn doctor_tells_of_an_api_that_gives_scripts_no_401() {
    let stage = Stage::new(Manners::JwtAuth);
    let doctor = || {
        let output = cloakroom().args(["doctor", "--config"]).arg(&stage.config).output().expect("it was built");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = doctor();
    assert!(code == Some(0) && said.contains("refusal: a call without a token gets 401"), "{said}");
    for (status, header) in [("302 Found", "location: /login\r\n"), ("500 Internal Server Error", "")] {
        stage.api.takes_all_for_browsers(Reply::with(status, header, ""));
        let (code, said) = doctor();
        let failed: Vec<&str> = said.lines().filter(|line| line.starts_with("FAIL")).collect();
        let [failed] = failed[..] else { panic!("{status}: {said}") };
        assert!(failed.contains(&format!("a call without a token gets {} instead of 401", &status[..3])), "{failed}");
        assert!(code == Some(1) && failed.contains("shouldRenderJsonWhen"), "{failed}");
    }
}
