//! A logout that the provider asks for through a frame in the browser: `GET /bff/frontchannel-logout`.

use crate::backchannel::latest_sid;
use crate::support::{Browser, Request, Response, Setup, World};

fn allowed() -> World {
    let mut setup = Setup::two_sites();
    // With a session required, so that its ID tokens carry `sid`.
    setup.backchannel = true;
    setup.sites[0].provider.push("frontchannel_logout = true".into());
    World::of(setup)
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// As a frame of the provider's page asks: from another site, without a cookie.
fn framed(world: &World, query: &str) -> Request {
    world
        .request("GET", &format!("/bff/frontchannel-logout{query}"))
        .header("Sec-Fetch-Site", "cross-site")
        .header("Sec-Fetch-Mode", "navigate")
        .header("Sec-Fetch-Dest", "iframe")
        .header("Accept", "text/html")
}

#[track_caller]
fn ask(world: &World, query: &str) -> Response {
    let answer = world.send(&framed(world, query));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.all("set-cookie").is_empty());
    answer
}

fn query(issuer: &str, sid: &str) -> String {
    format!("?iss={}&sid={}", encoded(issuer), encoded(sid))
}

#[test]
fn a_frame_of_the_provider_ends_the_session_it_names_and_no_other() {
    let world = allowed();
    let mut other = world.signed_in();
    let mut browser = world.signed_in();
    let sid = latest_sid(&world);
    let answer = ask(&world, &query(&world.provider.issuer(), &sid));
    assert_eq!(answer.status, 200, "{}", answer.text());
    browser.get(&world.one(), "/api/x").refuses(401, "revoked");
    assert!(other.is_signed_in(&world.one()));
    assert_eq!(ask(&world, &query(&world.provider.issuer(), &sid)).status, 200, "once more is no fault");
}

#[test]
fn the_answer_may_be_framed_by_the_issuer_alone_and_does_nothing() {
    let world = allowed();
    let answer = ask(&world, &query(&world.provider.issuer(), "unknown"));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-frame-options"), None);
    let policy = answer.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(policy.ends_with(&format!("frame-ancestors {}", world.provider.issuer())), "{policy}");
}

#[test]
fn issuer_and_session_must_both_be_named_once_and_rightly() {
    let world = allowed();
    let mut browser = world.signed_in();
    let (issuer, sid) = (world.provider.issuer(), latest_sid(&world));
    let right = query(&issuer, &sid);
    for wrong in [
        String::new(),
        format!("?sid={sid}"),
        format!("?iss={}", encoded(&issuer)),
        query(&issuer, ""),
        query(&issuer, &"x".repeat(1025)),
        query("https://evil.example", &sid),
        query(&format!("{issuer}/"), &sid),
        format!("{right}&sid={sid}"),
        format!("{right}&iss={}", encoded(&issuer)),
    ] {
        assert_eq!(ask(&world, &wrong).status, 400, "{wrong}");
    }
    for dest in ["document", "image", "script", "empty"] {
        let request = world
            .request("GET", &format!("/bff/frontchannel-logout{right}"))
            .header("Sec-Fetch-Site", "cross-site")
            .header("Sec-Fetch-Dest", dest);
        world.send(&request).refuses(403, "cross_site");
    }
    let post = world.request("POST", &format!("/bff/frontchannel-logout{right}"));
    world.send(&post).refuses(405, "method");
    assert!(browser.is_signed_in(&world.one()), "nothing of that ended it");
}

#[test]
fn it_is_off_unless_the_provider_may_do_this() {
    let world = allowed();
    let mut browser = Browser::new();
    browser.sign_in(&world.two(), "ada");
    let host = world.two();
    let host = host.split_once("://").expect("an origin").1.to_owned();
    for method in ["GET", "POST"] {
        let target = format!("/bff/frontchannel-logout{}", query(&world.provider.issuer(), "any"));
        let request = Request::new(method, &target).header("Host", &host).header("Sec-Fetch-Dest", "iframe");
        world.send(&request).refuses(404, "no_route");
    }
    assert!(browser.is_signed_in(&world.two()));
}

#[test]
fn a_session_of_another_site_is_not_ended() {
    let world = allowed();
    let mut browser = Browser::new();
    browser.sign_in(&world.two(), "ada");
    world.signed_in();
    ask(&world, &query(&world.provider.issuer(), &latest_sid(&world)));
    assert!(browser.is_signed_in(&world.two()));
}
