//! The listener for operators: contract section 7.

use crate::support::{Browser, Redis, Request, Response, Setup, World, eventually, free_port, fresh_key, send};

#[test]
fn the_probes_tell_life_from_readiness() {
    let world = World::new();
    assert_eq!(world.gateway.admin("/livez").status, 200);
    let ready = world.gateway.wait_ready(200);
    assert!(ready.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
    assert!(ready.json().is_object(), "{}", ready.text());
}

#[test]
fn the_probes_answer_head_as_get_without_a_body() {
    let world = World::new();
    eventually("the provider should be known", || {
        (world.gateway.admin("/readyz").text().matches("\"up\"").count() == 2).then_some(())
    });
    for path in ["/livez", "/readyz"] {
        let head = send(world.gateway.admin_port, &Request::new("HEAD", path).header("Host", "localhost"));
        let get = world.gateway.admin(path);
        assert_eq!((head.status, head.header("content-type")), (200, get.header("content-type")), "{path}");
        assert_eq!((head.header("content-length"), head.text().as_str()), (get.header("content-length"), ""), "{path}");
    }
}

#[test]
fn the_probes_are_not_on_the_public_listener() {
    let world = World::new();
    let mut browser = Browser::new();
    for path in ["/livez", "/readyz", "/metrics", "/admin/sessions"] {
        browser.get(&world.one(), path).refuses(404, "no_route");
    }
    let health_check =
        Request::new("GET", "/livez").header("Host", "localhost").header("User-Agent", "kube-probe/1.30");
    assert_eq!(world.send(&health_check).status, 421);
}

#[test]
fn a_provider_that_is_down_is_said_and_does_not_stop_the_rest() {
    let mut setup = Setup::one_site();
    setup.sites[0].issuer = Some(format!("http://127.0.0.1:{}", free_port()));
    let world = World::of(setup);
    let ready = eventually("the outage should be said", || {
        Some(world.gateway.admin("/readyz")).filter(|answer| answer.text().contains("degraded"))
    });
    assert_eq!(ready.status, 200, "{}", ready.text());
}

#[test]
fn a_store_that_is_down_is_not_ready_and_comes_back() {
    let mut redis = Redis::start();
    let mut setup = Setup::one_site();
    setup.store.push(format!("url = \"{}\"", redis.url()));
    let world = World::of(setup);
    world.gateway.wait_ready(200);
    redis.kill();
    world.gateway.wait_ready(503);
    assert_eq!(world.gateway.admin("/livez").status, 200, "a restart would not help");
    redis.restart();
    world.gateway.wait_ready(200);
}

#[test]
fn the_admin_listener_serves_nothing_else() {
    let world = World::new();
    for path in ["/", "/bff/session", "/api/x", "/nothing"] {
        assert_eq!(world.gateway.admin(path).status, 404, "{path}");
    }
    let post = Request::new("POST", "/livez").header("Host", "localhost");
    assert_eq!(send(world.gateway.admin_port, &post).status, 405);
}

/// A world whose admin listener opens with the token.
fn guarded() -> (World, String) {
    let token = fresh_key();
    (World::of(Setup::one_site().admin_token(&token)), token)
}

fn with_token(world: &World, token: &str, method: &str, target: &str) -> Request {
    let host = format!("127.0.0.1:{}", world.gateway.admin_port);
    Request::new(method, target).header("Host", host).header("Authorization", format!("Bearer {token}"))
}

fn ask(world: &World, request: &Request) -> Response {
    send(world.gateway.admin_port, request)
}

#[test]
fn what_shows_or_ends_sessions_needs_the_token() {
    let (world, token) = guarded();
    for (method, target) in
        [("GET", "/metrics"), ("GET", "/admin/sessions"), ("GET", "/admin/keys"), ("POST", "/admin/sessions/revoke")]
    {
        let shown = |authorization: Option<&str>| {
            let request = Request::new(method, target).header("Host", "localhost");
            let request = match authorization {
                Some(value) => request.header("Authorization", value),
                None => request,
            };
            ask(&world, &request)
        };
        for wrong in [None, Some("Bearer"), Some("Bearer wrong-wrong-wrong-wrong"), Some(&*format!("Basic {token}"))] {
            let answer = shown(wrong);
            assert_eq!(answer.status, 401, "{method} {target} with {wrong:?}");
            assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer ")), "{target}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        }
        let right = shown(Some(&format!("Bearer {token}")));
        assert_eq!(right.status, if method == "GET" { 200 } else { 415 }, "{target}: {}", right.text());
        assert_eq!(right.header("cache-control"), Some("no-store"));
    }
    World::logged_none_of(&world.gateway.process, &[("admin token".into(), token)]);
}

#[test]
fn without_a_configured_token_there_is_nothing_behind_it() {
    let world = World::new();
    for path in ["/metrics", "/admin/sessions", "/admin/keys"] {
        let answer = ask(&world, &with_token(&world, "", "GET", path));
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text().contains("admin.token"), "{}", answer.text());
    }
}

#[test]
fn public_metrics_are_public_and_nothing_else_is() {
    let mut setup = Setup::one_site();
    setup.admin.push("metrics_public = true".into());
    let world = World::of(setup);
    assert_eq!(world.gateway.admin("/metrics").status, 200);
    assert_eq!(world.gateway.admin("/admin/keys").status, 404);
}

#[test]
fn a_reload_changes_the_token() {
    let (world, old) = guarded();
    let new = fresh_key();
    world.rewrite(|text| text.replace(&old, &new));
    world.reload();
    assert_eq!(ask(&world, &with_token(&world, &new, "GET", "/admin/keys")).status, 200);
    assert_eq!(ask(&world, &with_token(&world, &old, "GET", "/admin/keys")).status, 401);
}

#[test]
fn another_method_is_a_405_that_names_the_right_one() {
    let (world, token) = guarded();
    for (method, target, allowed) in [
        ("POST", "/metrics", "GET"),
        ("DELETE", "/admin/sessions", "GET"),
        ("GET", "/admin/sessions/revoke", "POST"),
        ("POST", "/admin/keys", "GET"),
        ("POST", "/readyz", "GET, HEAD"),
        ("HEAD", "/admin/keys", "GET"),
    ] {
        let answer = ask(&world, &with_token(&world, &token, method, target));
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{method} {target}");
    }
}

#[test]
fn what_is_asked_for_wrongly_is_refused_and_ends_nothing() {
    let (world, token) = guarded();
    let mut browser = world.signed_in();
    for query in ["?user=ada", "?site=https://elsewhere.example", "?cursor=***", "?site=a&site=b"] {
        let answer = ask(&world, &with_token(&world, &token, "GET", &format!("/admin/sessions{query}")));
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
    }
    let json = "application/json";
    for (kind, body, status) in [
        (json, "{}", 400),
        (json, "{\"all\":true,\"subject\":\"ada\"}", 400),
        (json, "{\"all\":false}", 400),
        (json, "{\"all\":true,\"site\":\"https://elsewhere.example\"}", 400),
        (json, "{\"all\":true,\"sites\":1}", 400),
        (json, "all=true", 400),
        ("text/plain", "all=true", 415),
        (json, &*format!("{{\"subject\":\"{}\"}}", "a".repeat(20_000)), 413),
    ] {
        let request = with_token(&world, &token, "POST", "/admin/sessions/revoke").header("Content-Type", kind);
        let answer = ask(&world, &request.body(body));
        assert_eq!(answer.status, status, "{kind} {:.60}: {}", body, answer.text());
        assert_eq!(answer.json()["status"], status);
    }
    assert!(browser.is_signed_in(&world.one()));
}

#[test]
fn sessions_are_ended_by_form_and_by_json() {
    let (world, token) = guarded();
    let revoke = |kind: &str, body: &str| {
        let request = with_token(&world, &token, "POST", "/admin/sessions/revoke").header("Content-Type", kind);
        let answer = ask(&world, &request.body(body));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["ended"].as_u64()
    };
    let mut ada = world.signed_in();
    assert_eq!(revoke("application/json; charset=utf-8", "{\"subject\":\"grace\"}"), Some(0));
    assert_eq!(revoke("application/x-www-form-urlencoded", "subject=ada"), Some(1));
    ada.get(&world.one(), "/api/x").refuses(401, "revoked");
    let mut ada = world.signed_in();
    let listed = ask(&world, &with_token(&world, &token, "GET", "/admin/sessions")).json();
    let name = listed["sessions"][0]["session"].as_str().expect("one session is listed").to_owned();
    assert_eq!(revoke("application/json", &format!("{{\"session\":\"{name}\"}}")), Some(1));
    ada.get(&world.one(), "/api/x").refuses(401, "revoked");
    assert_eq!(revoke("application/json", "{\"all\":true}"), Some(0));
}

#[test]
fn a_store_that_is_down_is_a_503_and_never_an_empty_list() {
    let mut redis = Redis::start();
    let token = fresh_key();
    let mut setup = Setup::one_site().admin_token(&token);
    setup.store.push(format!("url = \"{}\"", redis.url()));
    let world = World::of(setup);
    world.gateway.wait_ready(200);
    redis.kill();
    let revocation = with_token(&world, &token, "POST", "/admin/sessions/revoke")
        .header("Content-Type", "application/json")
        .body("{\"all\":true}");
    let list = with_token(&world, &token, "GET", "/admin/sessions");
    let by_subject = with_token(&world, &token, "GET", "/admin/sessions?subject=ada");
    for request in [list, by_subject, with_token(&world, &token, "GET", "/admin/keys"), revocation] {
        let answer = ask(&world, &request);
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")), "{}", request.target);
        assert_eq!(answer.json()["reason"], "store_unavailable");
    }
    assert_eq!(ask(&world, &with_token(&world, &token, "GET", "/metrics")).status, 200, "counting needs no store");
}
