//! Whose page made a request: contract section 4.4.

use crate::support::{Browser, Request, Setup, World};

/// Sends the session's cookie with exactly these words; the status.
fn status(world: &World, browser: &Browser, method: &str, path: &str, words: &[(&str, &str)]) -> (u16, String) {
    let request = world.request(method, path).header("Cookie", browser.cookie_header(&world.one()));
    let request = words.iter().fold(request, |request, (name, value)| request.header(name, value));
    let answer = world.send(&request);
    if answer.status == 403 {
        assert_eq!(answer.reason(), "cross_site");
    }
    (answer.status, answer.reason().to_owned())
}

#[test]
fn every_method_needs_proof_that_the_sites_own_page_asks() {
    let world = World::new();
    let browser = world.signed_in();
    let one = world.one();
    let suffix = format!("{one}.evil.example");
    let hostile: Vec<Vec<(&str, &str)>> = vec![
        vec![],
        vec![("Sec-Fetch-Site", "cross-site")],
        vec![("Sec-Fetch-Site", "same-site")],
        vec![("Sec-Fetch-Site", "cross-site"), ("X-BFF", "1")],
        vec![("Sec-Fetch-Site", "same-site"), ("X-BFF", "1"), ("Origin", &one)],
        vec![("Sec-Fetch-Site", "Same-Origin")],
        vec![("Sec-Fetch-Site", "same-origin, cross-site")],
        vec![("Sec-Fetch-Site", "")],
        vec![("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")],
        vec![("Origin", "null")],
        vec![("Origin", "http://evil.example")],
        vec![("Origin", "http://evil.example"), ("X-BFF", "1")],
        vec![("Origin", &suffix)],
        vec![("Origin", "http://one.localhost")],
        vec![("Origin", &one), ("Origin", "http://evil.example")],
        vec![("X-BFF", "0")],
        vec![("X-BFF", "")],
        vec![("X-Requested-With", "XMLHttpRequest")],
        vec![("Referer", &one)],
    ];
    let asked = world.upstream.count();
    for words in &hostile {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            assert_eq!(status(&world, &browser, method, "/api/x", words).0, 403, "{method} {words:?}");
        }
        assert_eq!(status(&world, &browser, "GET", "/bff/session", words).0, 403, "session {words:?}");
        assert_eq!(status(&world, &browser, "POST", "/bff/session/extend", words).0, 403, "extend {words:?}");
        assert_eq!(status(&world, &browser, "POST", "/bff/logout", words).0, 403, "logout {words:?}");
    }
    assert_eq!(world.upstream.count(), asked, "the upstream was asked");

    let own: Vec<Vec<(&str, &str)>> = vec![
        vec![("Sec-Fetch-Site", "same-origin")],
        vec![("Sec-Fetch-Site", "same-origin"), ("Origin", &one)],
        vec![("Origin", &one)],
        vec![("X-BFF", "1")],
    ];
    for words in &own {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            assert_eq!(status(&world, &browser, method, "/api/x", words).0, 200, "{method} {words:?}");
        }
    }
    assert_eq!(world.upstream.count(), asked + 28);
}

#[test]
fn what_a_person_opens_by_hand_may_read_and_not_write() {
    let world = World::new();
    let browser = world.signed_in();
    for (method, wanted) in [("GET", 200), ("HEAD", 200), ("POST", 403), ("DELETE", 403)] {
        assert_eq!(status(&world, &browser, method, "/api/x", &[("Sec-Fetch-Site", "none")]).0, wanted, "{method}");
    }
}

#[test]
fn a_session_route_is_not_loaded_as_a_script_or_plugin() {
    let world = World::new();
    let browser = world.signed_in();
    for dest in ["script", "worker", "sharedworker", "serviceworker", "object", "embed"] {
        let words = [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Dest", dest)];
        assert_eq!(status(&world, &browser, "GET", "/api/x", &words).0, 403, "{dest}");
    }
    for dest in ["empty", "image", "document", "iframe", "style"] {
        let words = [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Dest", dest)];
        assert_eq!(status(&world, &browser, "GET", "/api/x", &words).0, 200, "{dest}");
    }
}

#[test]
fn a_site_may_demand_the_header_as_well() {
    let mut setup = Setup::one_site();
    setup.sites[0].site.push("csrf = \"header\"".into());
    let world = World::of(setup);
    let mut browser = Browser::new();
    browser.sign_in(&world.one(), "ada");
    let own = ("Sec-Fetch-Site", "same-origin");
    for (method, path) in [
        ("GET", "/api/x"),
        ("POST", "/api/x"),
        ("GET", "/bff/session"),
        ("POST", "/bff/session/extend"),
        ("POST", "/bff/logout"),
    ] {
        assert_eq!(status(&world, &browser, method, path, &[own]).0, 403, "{method} {path}");
        assert_eq!(
            status(&world, &browser, method, path, &[("X-BFF", "1"), ("Sec-Fetch-Site", "cross-site")]).0,
            403,
            "{method} {path}"
        );
    }
    for (method, path) in [
        ("GET", "/api/x"),
        ("POST", "/api/x"),
        ("GET", "/bff/session"),
        ("POST", "/bff/session/extend"),
        ("POST", "/bff/logout"),
    ] {
        assert_eq!(status(&world, &browser, method, path, &[own, ("X-BFF", "1")]).0, 200, "{method} {path}");
    }
}

#[test]
fn a_sibling_site_and_a_foreign_form_reach_nothing() {
    let world = World::of(Setup::two_sites());
    let mut browser = world.signed_in();
    let asked = world.upstream.count();
    let url = format!("{}/api/transfer", world.one());
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(browser.fetch(&world.two(), method, &url).status, 403, "{method}");
    }
    let beacon = Request::new("POST", "").header("Content-Type", "text/plain").body("{}");
    assert_eq!(browser.fetch_with(&world.two(), beacon, &url).status, 403);
    assert_eq!(browser.submit(&world.two(), &url, "amount=1").response.status, 403);
    assert_eq!(browser.click(&world.two(), &url).response.status, 403);
    assert_eq!(world.upstream.count(), asked);
}

#[test]
fn a_route_without_a_session_needs_no_proof() {
    let mut setup = Setup::one_site();
    setup.sites[0].routes.push(vec!["path = \"/hooks\"".into(), "auth = \"none\"".into()]);
    let world = World::of(setup);
    let answer = world.send(&world.request("POST", "/hooks/x").header("Sec-Fetch-Site", "cross-site"));
    assert_eq!(answer.status, 200);
    assert!(world.upstream.last().all("authorization").is_empty());
}
