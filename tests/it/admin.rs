//! The listener for operators: contract section 7.

use crate::support::{Browser, Redis, Request, Setup, World, free_port, send};

#[test]
fn the_probes_tell_life_from_readiness() {
    let world = World::new();
    assert_eq!(world.gateway.admin("/livez").status, 200);
    let ready = world.gateway.wait_ready(200);
    assert!(ready.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
    assert!(ready.json().is_object(), "{}", ready.text());
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
    let ready = crate::support::eventually("the outage should be said", || {
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
