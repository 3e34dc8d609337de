//! `GET /bff/login` where the login is a form of the app: where a navigation ends up.

use super::{Stage, Wish};
use crate::support::{Browser, Manners, Request};

fn with_page() -> Stage {
    Stage::of(Wish { provider: &["login_page = \"/login\""], ..Wish::new(Manners::JwtAuth) })
}

fn location(login_page: &str, query: &str) -> String {
    let line = format!("login_page = \"{login_page}\"");
    let stage = Stage::of(Wish { provider: &[&line], ..Wish::new(Manners::JwtAuth) });
    let page = Browser::new().open_until(&format!("{}/bff/login{query}", stage.origin), "return_to=");
    assert_eq!(page.response.status, 303, "{}", page.response.text());
    assert_eq!(page.response.header("cache-control"), Some("no-store"));
    page.url.strip_prefix(&stage.origin).expect("the site's own").to_owned()
}

#[test]
fn a_navigation_to_the_login_ends_on_the_apps_own_page() {
    assert_eq!(location("/login", ""), "/login?return_to=%2F");
    assert_eq!(
        location("/login?theme=dark", "?return_to=/orders%3Fpage%3D2%23top"),
        "/login?theme=dark&return_to=%2Forders%3Fpage%3D2%23top"
    );
    assert_eq!(location("/#/login", "?provider=api"), "/#/login?return_to=%2F");
}

#[test]
fn what_a_login_refuses_elsewhere_it_refuses_here() {
    let stage = with_page();
    let mut browser = Browser::new();
    for bad in ["https://evil.example", "//evil.example", "/bff/logout", "/%5Cevil.example"] {
        let page = browser.open(&format!("{}/bff/login?return_to={bad}", stage.origin));
        assert_eq!((page.response.status, page.response.reason()), (400, "bad_return_to"), "{bad}");
    }
    browser.get(&stage.origin, "/bff/login").refuses(403, "cross_site");
    let page = browser.open(&format!("{}/bff/login?provider=other", stage.origin));
    assert_eq!((page.response.status, page.response.reason()), (400, "bad_request"));
}

#[test]
fn without_a_page_a_navigation_is_told_where_the_login_is() {
    let stage = Stage::new(Manners::JwtAuth);
    let page = Browser::new().open(&format!("{}/bff/login", stage.origin));
    assert_eq!((page.response.status, page.response.reason()), (400, "bad_request"));
    assert!(page.response.text().contains("a form of the app itself"), "{}", page.response.text());
    let authority = stage.origin.split_once("://").expect("a scheme").1;
    stage.send(&Request::new("GET", "/bff/login").header("Host", authority)).refuses(400, "bad_request");
}

#[test]
fn a_login_that_may_ask_nothing_goes_back_as_it_came() {
    for provider in [&["login_page = \"/login\""][..], &[]] {
        let stage = Stage::of(Wish { provider, ..Wish::new(Manners::JwtAuth) });
        let url = format!("{}/bff/login?prompt=none&return_to=/orders", stage.origin);
        let page = Browser::new().open_until(&url, "/orders");
        assert_eq!((page.response.status, page.url), (303, format!("{}/orders", stage.origin)));
    }
}

#[test]
fn a_call_without_a_session_names_the_login_as_everywhere() {
    let stage = with_page();
    let refused = Browser::new().get(&stage.origin, "/api/x");
    refused.refuses(401, "no_session");
    assert_eq!(refused.json()["login_url"], "/bff/login");
}

#[test]
fn a_callback_that_nobody_waits_for_ends_on_the_page_as_well() {
    let stage = with_page();
    let url = format!("{}/bff/callback?code=x&state=abcdefghijkl", stage.origin);
    let page = Browser::new().open_until(&url, "/login?");
    assert_eq!(page.url, format!("{}/login?return_to=%2F", stage.origin));
}

#[test]
fn no_script_gets_a_token_through_a_route_however_it_spells_the_path() {
    for (manners, places) in [
        (Manners::JwtAuth, ["/api/auth/refresh", "/api/auth/login"]),
        (Manners::RefreshTokens, ["/api/refresh", "/api/login"]),
    ] {
        let stage = Stage::new(manners);
        let mut browser = stage.signed_in();
        let asked = stage.api.upstream.requests().len();
        for place in places {
            let last = place.chars().last().expect("a path");
            let escaped = format!("{}%{:02x}", &place[..place.len() - 1], last as u32);
            let spellings = [
                place.into(),
                format!("{place}/"),
                format!("{place}?x=1"),
                place.replace('e', "E"),
                escaped,
                format!("{place}.json"),
                format!("{place}%2ejson"),
            ];
            for spelled in spellings {
                browser.post(&stage.origin, &spelled).refuses(404, "no_route");
                if place.ends_with("refresh") {
                    browser.get(&stage.origin, &spelled).refuses(404, "no_route");
                }
            }
            let inside = place.replace("/api/", "/api/index.php/api/");
            browser.post(&stage.origin, &inside).refuses(404, "no_route");
        }
        assert_eq!(stage.api.upstream.requests().len(), asked, "the API is not asked");
        for free in ["/api/auth/me", "/api/refreshments", "/api/login/history"] {
            assert_eq!(browser.get(&stage.origin, free).status, 200, "{free}");
        }
        browser
            .saw_none_of(&stage.api.issued().into_iter().map(|token| ("token".to_owned(), token)).collect::<Vec<_>>());
    }
}

#[test]
fn a_prefix_that_ends_at_the_gateway_hides_no_place() {
    let manners = Manners::JwtAuth;
    let further = "[[site.route]]\npath = \"/inside/api\"\nstrip_prefix = true\nupstream = \"http://127.0.0.1:9\"\n";
    let stage = Stage::of(Wish { further: further.to_owned(), ..Wish::new(manners) });
    let mut browser = stage.signed_in();
    browser.post(&stage.origin, "/inside/api/auth/refresh").refuses(404, "no_route");
    browser.post(&stage.origin, "/inside/api/auth/me").refuses(502, "upstream_unreachable");
}

#[test]
fn the_login_s_path_may_be_read_and_ended_and_a_route_that_says_so_reaches_it() {
    let stage = Stage::new(Manners::JwtAuth);
    let mut browser = stage.signed_in();
    let asked = stage.api.upstream.requests().len();
    browser.get(&stage.origin, "/api/auth/login");
    browser.post(&stage.origin, "/api/auth/login").refuses(404, "no_route");
    assert_eq!(stage.api.upstream.requests().len(), asked + 1);

    let table = stage.table();
    assert!(table.contains("/api/auth/login  (any method but GET, HEAD, DELETE, OPTIONS)"), "{table}");
    assert!(table.contains("/api/auth/refresh  (any method)"), "{table}");

    let open = Stage::of(Wish { further: "reaches_token_urls = true\n".to_owned(), ..Wish::new(Manners::JwtAuth) });
    let mut browser = open.signed_in();
    let asked = open.api.upstream.requests().len();
    browser.post(&open.origin, "/api/auth/login");
    assert_eq!(open.api.upstream.requests().len(), asked + 1);
    assert!(open.table().contains("(reaches where tokens are handed out)"), "{}", open.table());
}
