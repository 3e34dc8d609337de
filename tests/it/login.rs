//! `GET /bff/login`: contract section 3.

use std::collections::{HashMap, HashSet};

use serde_json::json;

use crate::support::{Browser, Request, Setup, Site, World};

/// What is no path of this site, in a word or two of every class of attack that browsers have known.
const HOSTILE: &[&str] = &[
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "////evil.example/%2e%2e",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/\\/evil.example/",
    "/\\\\/evil.example",
    "/ /evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\\evil.example",
    "/\x0b/evil.example",
    " //evil.example",
    "\0//evil.example",
    "/%2f%2fevil.example",
    "/%5cevil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/./\\evil.example",
    "/foo/..//evil.example",
    "/x/%2e%2e//evil.example",
    "//;@evil.example",
    "@evil.example",
    ".evil.example",
    ":443/evil",
    "evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "http:\\\\evil.example",
    "hTTps://evil.example",
    "//evil%E3%80%82example",
    "https://\u{435}xample.com/",
    "//0x7f.1/",
    "//2130706433/",
    "//[::ffff:7f00:1]/",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\r\nscript:alert(1)",
    "/\r\nSet-Cookie: x=1",
    "/\u{560a}\u{560d}Set-Cookie:x=1",
    "/x\r\n\r\n<script>",
    "data:text/html;base64,PHNjcmlwdD4=",
    "vbscript:msgbox(1)",
    "about:blank",
    "view-source:https://x/",
    "/bff/login?return_to=/bff/login",
    "/bff/logout",
    "/bff/callback?code=x&state=y",
    "/bff",
    "/bff/",
    "/a/../bff/logout",
    "/a/%2e%2e/x",
    "/a//b",
];

/// The query of a URL, decoded as the provider decodes it.
fn query(location: &str) -> HashMap<String, String> {
    url::Url::parse(location).expect("an absolute URL").query_pairs().into_owned().collect()
}

fn navigation(world: &World, target: &str) -> Request {
    world
        .request("GET", target)
        .header("Sec-Fetch-Site", "none")
        .header("Sec-Fetch-Mode", "navigate")
        .header("Sec-Fetch-Dest", "document")
        .header("Accept", "text/html")
}

#[test]
fn a_login_sends_the_browser_to_the_provider_with_pkce_state_and_nonce() {
    let world = World::new();
    let answer = world.send(&navigation(&world, "/bff/login?return_to=%2Forders"));
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.location().starts_with(&format!("{}/auth?", world.provider.issuer())), "{}", answer.location());
    let query = query(answer.location());
    assert_eq!(query["response_type"], "code");
    assert_eq!(query["client_id"], world.client_id());
    assert_eq!(query["redirect_uri"], format!("{}/bff/callback", world.one()));
    assert_eq!(query["scope"], "openid profile email offline_access");
    assert_eq!(query["code_challenge_method"], "S256");
    assert_eq!(query["code_challenge"].len(), 43);
    assert!(query["state"].len() >= 22 && query["nonce"].len() >= 22, "{query:?}");
    assert!(!query.contains_key("prompt") && !query.contains_key("client_secret"), "{query:?}");
}

#[test]
fn two_attempts_share_neither_state_nor_nonce_nor_challenge() {
    let world = World::new();
    let mut words = HashSet::new();
    for _ in 0..5 {
        let query = query(world.send(&navigation(&world, "/bff/login")).location());
        for name in ["state", "nonce", "code_challenge"] {
            assert!(words.insert(query[name].clone()), "{name} came twice");
        }
    }
}

#[test]
fn a_person_signs_in_and_ends_where_they_wanted_to_go() {
    let world = World::new();
    for path in ["/", "/orders/1?x=%2F&y=a+b#frag", "/%C3%A4", "/a?b=c&d"] {
        let mut browser = Browser::new();
        let encoded: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
        let page = browser.open(&format!("{}/bff/login?return_to={encoded}", world.one()));
        let page = browser.pass_provider(page, "ada", "\0");
        assert_eq!(page.url, format!("{}{path}", world.one()));
        assert!(browser.is_signed_in(&world.one()));
    }
}

#[test]
fn each_way_of_client_authentication_works_against_a_real_provider() {
    let mut setup = Setup::one_site();
    setup.sites[0].client_auth = "client_secret_post".into();
    let mut public = Site::named("two");
    public.client_auth = "none".into();
    setup.sites.push(public);
    let world = World::of(setup);
    for site in [world.one(), world.two()] {
        let mut browser = Browser::new();
        browser.sign_in(&site, "ada");
        assert!(browser.is_signed_in(&site), "{site}");
    }
}

#[test]
fn hints_pass_to_the_provider_and_nothing_else_of_the_query_does() {
    let world = World::new();
    let hostile = "scope=admin&redirect_uri=https%3A%2F%2Fevil.example&claims=%7B%7D&request_uri=x&client_id=evil&state=mine&nonce=mine";
    let target = format!("/bff/login?prompt=login&login_hint=ada%40example.test&ui_locales=de%20en&{hostile}");
    let query = query(world.send(&navigation(&world, &target)).location());
    assert_eq!(query["prompt"], "login");
    assert_eq!(query["login_hint"], "ada@example.test");
    assert_eq!(query["ui_locales"], "de en");
    assert_eq!(query["scope"], "openid profile email offline_access");
    assert_eq!(query["client_id"], world.client_id());
    assert_eq!(query["redirect_uri"], format!("{}/bff/callback", world.one()));
    assert!(!query.contains_key("claims") && !query.contains_key("request_uri"), "{query:?}");
    assert!(query["state"] != "mine" && query["nonce"] != "mine");
}

#[test]
fn a_hint_cannot_smuggle_another_parameter() {
    let world = World::new();
    let target = "/bff/login?login_hint=ada%26redirect_uri%3Dhttps%3A%2F%2Fevil.example";
    let answer = world.send(&navigation(&world, target));
    if answer.status == 303 {
        let query = query(answer.location());
        assert_eq!(query["redirect_uri"], format!("{}/bff/callback", world.one()));
        assert_eq!(query["login_hint"], "ada&redirect_uri=https://evil.example");
    } else {
        assert_eq!(answer.status, 400);
    }
    let answer = world.send(&navigation(&world, "/bff/login?login_hint=a%0d%0aSet-Cookie:x"));
    assert_eq!(answer.status, 400, "{:?}", answer.header("location"));
}

#[test]
fn a_parameter_that_is_not_percent_encoded_utf_8_is_a_bad_request() {
    let world = World::new();
    let login =
        ["login_hint=%ff", "login_hint=%zz", "login_hint=a%", "return_to=/%E4", "%ff=x", "ui_locales=de%C3", "x=%"];
    for query in login {
        let answer = world.send(&navigation(&world, &format!("/bff/login?{query}")));
        assert_eq!((answer.status, answer.reason()), (400, "bad_request"), "{query}");
        assert!(answer.all("set-cookie").is_empty());
    }
    let mut browser = world.signed_in();
    for target in ["/bff/logout?everywhere=true%", "/bff/logout?return_to=/%ff"] {
        browser.post(&world.one(), target).refuses(400, "bad_request");
    }
    assert!(browser.is_signed_in(&world.one()));
    // What an answer has beside the parameters of the standard is the provider's affair (RFC 6749 §4.1.2).
    for (query, status) in [("error=access_denied&state=x&error_description=100%+%E9", 400), ("code=%ff&state=x", 400)]
    {
        let page = world.send(&navigation(&world, &format!("/bff/callback?{query}")));
        assert_eq!(page.status, status);
        assert_eq!(page.text().contains("access_denied"), query.contains("access_denied"), "{}", page.text());
    }
}

#[test]
fn a_repeated_parameter_is_a_bad_request() {
    let world = World::new();
    for query in ["return_to=/a&return_to=//evil.example", "prompt=none&prompt=login", "login_hint=a&login_hint=b"] {
        let answer = world.send(&world.request("GET", &format!("/bff/login?{query}")));
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.all("set-cookie").is_empty());
    }
}

#[test]
fn an_unknown_provider_is_a_bad_request() {
    let world = World::new();
    assert_eq!(world.send(&world.request("GET", "/bff/login?provider=evil")).status, 400);
    assert_eq!(world.send(&world.request("GET", "/bff/login?provider=main")).status, 303);
}

#[test]
fn a_return_to_that_is_not_a_path_of_this_site_is_refused() {
    let world = World::new();
    let (port, one) = (world.setup.port, world.one());
    let own = [
        one.clone(),
        format!("{one}/x"),
        format!("//one.localhost:{port}/"),
        format!("http://one.localhost:{port}@evil.example/"),
    ];
    let own = own.iter().map(String::as_str);
    for payload in HOSTILE.iter().copied().chain(own) {
        let encoded: String = url::form_urlencoded::byte_serialize(payload.as_bytes()).collect();
        let answer = world.send(&world.request("GET", &format!("/bff/login?return_to={encoded}")).header("X-BFF", "1"));
        assert_eq!((answer.status, answer.reason()), (400, "bad_return_to"), "{payload:?}");
        assert!(answer.all("set-cookie").is_empty() && answer.all("location").is_empty(), "{payload:?}");
    }
    assert_eq!(world.provider.ledger(world.client_id())["authorizations"], json!([]));
}

#[test]
fn a_return_to_has_a_greatest_length() {
    let world = World::new();
    for (length, status) in [(2048, 303), (2049, 400), (20_000, 400)] {
        let path = format!("/{}", "a".repeat(length - 1));
        let answer = world.send(&navigation(&world, &format!("/bff/login?return_to={path}")));
        assert_eq!(answer.status, status, "{length}");
    }
}

#[test]
fn only_a_top_level_navigation_starts_a_login() {
    let world = World::new();
    let hostile: [&[(&str, &str)]; 7] = [
        &[("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty"), ("Sec-Fetch-Site", "same-origin")],
        &[("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image"), ("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "object")],
        &[("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"), ("Sec-Purpose", "prefetch")],
        &[("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"), ("Sec-Purpose", "prefetch;prerender")],
        &[("Purpose", "prefetch")],
    ];
    for words in hostile {
        let request =
            words.iter().fold(world.request("GET", "/bff/login"), |request, (name, value)| request.header(name, value));
        let answer = world.send(&request);
        assert_eq!((answer.status, answer.reason()), (403, "cross_site"), "{words:?}");
        assert!(answer.all("set-cookie").is_empty(), "{words:?}");
    }
    assert_eq!(world.send(&world.request("GET", "/bff/login")).status, 303, "an old browser sends no fetch metadata");
}

#[test]
fn the_ninth_attempt_evicts_the_oldest_login_cookie() {
    let world = World::new();
    let mut browser = Browser::new();
    let mut held = Vec::new();
    for count in 1..=9 {
        held.push(browser.sign_in_until_callback(&format!("{}/bff/login", world.one()), "ada"));
        assert_eq!(browser.login_cookies(&world.one()).len(), count.min(8));
    }
    let newest = browser.open(&held[8].url);
    assert_eq!(newest.url, format!("{}/", world.one()), "the newest attempt completes");
    assert!(browser.is_signed_in(&world.one()));
}

#[test]
fn many_tabs_that_log_in_at_once_all_end_signed_in_in_any_order() {
    let world = World::new();
    let mut browser = Browser::new();
    let tabs: Vec<_> = (0..6)
        .map(|tab| browser.sign_in_until_callback(&format!("{}/bff/login?return_to=/tab/{tab}", world.one()), "ada"))
        .collect();
    for (tab, held) in tabs.iter().enumerate().rev() {
        let page = browser.open(&held.url);
        assert_eq!(page.url, format!("{}/tab/{tab}", world.one()));
        assert!(browser.is_signed_in(&world.one()));
    }
    assert_eq!(browser.login_cookies(&world.one()).len(), 0);
    assert_eq!(world.redemptions(), 6);
}

#[test]
fn an_abandoned_login_leaves_the_session_alone() {
    let world = World::new();
    let mut browser = world.signed_in();
    browser.open_until(&format!("{}/bff/login?prompt=login", world.one()), "/interaction/");
    assert!(browser.is_signed_in(&world.one()));
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
}

#[test]
fn a_login_brings_a_new_session_id_and_the_old_one_is_dead() {
    let world = World::new();
    let mut browser = world.signed_in();
    let old = browser.session_cookie(&world.one()).expect("signed in");
    browser.sign_in(&world.one(), "ada");
    let new = browser.session_cookie(&world.one()).expect("signed in again");
    assert_ne!(old.value, new.value);
    let mut thief = Browser::new();
    thief.plant(&world.one(), &old.name, &old.value);
    let answer = thief.get(&world.one(), "/api/x");
    assert_eq!(answer.status, 401, "the old session works on");
    assert!(browser.is_signed_in(&world.one()));
}

#[test]
fn a_planted_session_cookie_is_not_adopted_by_a_login() {
    let world = World::new();
    let attacker = world.signed_in();
    let planted = attacker.session_cookie(&world.one()).expect("the attacker is signed in");
    let mut victim = Browser::new();
    victim.plant(&world.one(), &planted.name, &planted.value);
    victim.sign_in(&world.one(), "grace");
    let own = victim.session_cookie(&world.one()).expect("the victim is signed in");
    assert_ne!(own.value, planted.value);
    let mut later = Browser::new();
    later.plant(&world.one(), &planted.name, &planted.value);
    assert_ne!(later.session(&world.one())["user"]["sub"], "grace");
}

#[test]
fn the_second_site_asks_for_no_password() {
    let world = World::of(Setup::two_sites());
    let mut browser = world.signed_in();
    let page = browser.open(&format!("{}/bff/login", world.two()));
    assert_eq!(page.url, format!("{}/", world.two()), "no page of the provider stood in between");
    assert_eq!(browser.session(&world.two())["user"]["sub"], "ada");
}

#[test]
fn a_provider_that_wants_consent_for_offline_access_gets_it_by_configuration() {
    let mut setup = Setup::one_site();
    setup.access_ttl = 1;
    setup.sites[0].provider.push("authorization_params = { prompt = \"consent\" }".into());
    let world = World::of(setup);
    let site = &world.setup.sites[0];
    world.provider.register(&json!({
        "client_id": site.client_id, "client_secret": site.client_secret, "token_endpoint_auth_method": "client_secret_basic",
        "redirect_uris": [format!("{}/bff/callback", world.one())], "test": { "access_ttl": 1, "offline": "consent" },
    }));
    let mut browser = world.signed_in();
    crate::support::eventually("the token should be refreshed", || {
        assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
        (world.provider.token_calls(world.client_id(), "refresh_token") > 0).then_some(())
    });
}
