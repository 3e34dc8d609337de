//! How a provider hands over its answer: in a form, in a signed token, and never in another way than it was asked for.

use std::sync::Barrier;

use crate::support::{Browser, Page, Response, Setup, World, eventually};

/// A site whose provider answers by `mode`.
fn world(mode: &str) -> World {
    World::of(answering_by(mode))
}

fn answering_by(mode: &str) -> Setup {
    let mut setup = Setup::one_site();
    setup.sites[0].provider.push(format!("response_mode = \"{mode}\""));
    setup
}

/// A site with one provider under two names: `main` answers in the query, `other` by `mode`.
fn with_two(mode: &str) -> World {
    let mut setup = Setup::one_site();
    let site = &mut setup.sites[0];
    let mut other = site.provider_named("other");
    other.push(format!("response_mode = \"{mode}\""));
    site.providers = vec![site.provider_named("main"), other];
    World::of(setup)
}

/// A login that waits before its answer reaches the gateway: the callback's URL, or the page whose form posts it.
fn held(world: &World, browser: &mut Browser) -> Page {
    browser.sign_in_until_callback(&format!("{}/bff/login", world.one()), "ada")
}

/// Posts a form from a page of the provider, and holds at the GET that it leads to.
fn posted(world: &World, browser: &mut Browser, form: &str) -> Page {
    let callback = format!("{}/bff/callback", world.one());
    browser.submit_until(&world.provider.issuer(), &callback, form, "/bff/callback?answer=")
}

fn field(form: &str, name: &str) -> String {
    let mut pairs = url::form_urlencoded::parse(form.as_bytes());
    pairs.find(|(own, _)| own == name).unwrap_or_else(|| panic!("no {name} in {form}")).1.into_owned()
}

fn says(world: &World, reason: &str) {
    eventually(&format!("the log should say {reason:?}"), || {
        world.gateway.process.output().contains(reason).then_some(())
    });
}

#[track_caller]
fn refused(world: &World, browser: &mut Browser, page: &Page) {
    assert_eq!((page.response.status, page.response.reason()), (400, "bad_request"), "{}", page.response.text());
    assert!(!browser.is_signed_in(&world.one()));
    assert!(browser.login_cookies(&world.one()).is_empty(), "an attempt whose answer was refused is over");
    assert_eq!(world.redemptions(), 0, "nothing of it reaches the provider");
}

#[test]
fn a_login_whose_answer_is_posted_works_with_lax_cookies_and_without_a_code_in_a_url() {
    for same_site in ["lax", "strict"] {
        let mut setup = answering_by("form_post");
        setup.sites[0].session.push(format!("same_site = \"{same_site}\""));
        let world = World::of(setup);
        let mut browser = Browser::new();
        let page = browser.sign_in(&world.one(), "ada");
        assert_eq!(page.url, format!("{}/", world.one()), "{}", page.response.text());
        assert!(browser.is_signed_in(&world.one()));
        assert!(browser.login_cookies(&world.one()).is_empty());
        let asked = &world.provider.ledger(world.client_id())["authorizations"][0];
        assert_eq!(asked["response_mode"], "form_post");
        let [posted, sent_on, _] = &page.trail[..] else { panic!("one bounce, then home: {:#?}", page.trail) };
        assert_eq!(posted, &format!("{}/bff/callback", world.one()));
        assert!(sent_on.starts_with(&format!("{posted}?answer=")) && sent_on.len() < 8000, "{sent_on}");
        let code = world.provider.latest(world.client_id(), "code");
        for exchange in browser.seen(".localhost") {
            assert!(!exchange.url.contains(&code), "{}", exchange.url);
            let cookies = exchange.response.all("set-cookie");
            assert!(cookies.iter().all(|cookie| !cookie.contains("SameSite=None")), "{cookies:?}");
        }
        browser.saw_none_of(&world.secrets());
        World::logged_none_of(&world.gateway.process, &world.secrets());
    }
}

#[test]
fn a_post_to_the_callback_is_for_sites_that_ask_for_it() {
    let world = World::new();
    let mut browser = Browser::new();
    let callback = format!("{}/bff/callback", world.one());
    let page = browser.submit(&world.provider.issuer(), &callback, "code=a&state=b");
    assert_eq!((page.response.status, page.response.header("allow")), (405, Some("GET")));
    let asking = self::world("form_post");
    let put = asking.send(&asking.request("PUT", "/bff/callback"));
    assert_eq!((put.status, put.header("allow")), (405, Some("GET, POST")));
}

#[test]
fn what_is_posted_is_a_small_form_of_a_navigation_and_whole_or_it_is_refused() {
    let world = world("form_post");
    let form = "application/x-www-form-urlencoded";
    let post = |kind: &str, body: String| -> Response {
        world.send(&world.request("POST", "/bff/callback").header("Content-Type", kind).body(body))
    };
    let good = "code=a&state=b";
    assert_eq!(post(form, good.into()).status, 303, "the control");
    assert_eq!(post("application/x-www-form-urlencoded; charset=UTF-8", good.into()).status, 303);
    for kind in ["application/json", "text/plain", "multipart/form-data; boundary=x", ""] {
        assert_eq!(post(kind, good.into()).status, 400, "{kind}");
    }
    for body in [
        "",
        "code=a",
        "state=b",
        "code=&state=b",
        "code=a&error=b&state=c",
        "code=a&code=a&state=b",
        "code=a&state=b&state=c",
        "code=a&state=b&iss=c&iss=c",
        "code=a&state=b&x=1&x=1",
        "code=a&state=b&response=c",
        "response=a",
        "response=a.b.c",
        "response=a.e30.c",
    ] {
        let answer = post(form, body.into());
        assert_eq!((answer.status, answer.reason()), (400, "bad_request"), "{body}");
        assert!(answer.all("set-cookie").is_empty());
    }
    for large in [format!("{good}&x={}", "x".repeat(64 * 1024)), format!("{good}{}", "x".repeat(6 * 1024))] {
        assert_eq!(post(form, large).status, 413);
    }
    assert_eq!(
        post(form, format!("{good}&x={}", "x".repeat(60 * 1024))).status,
        303,
        "what is not looked at is dropped"
    );
    for (name, value) in [
        ("Sec-Fetch-Mode", "cors"),
        ("Sec-Fetch-Mode", "no-cors"),
        ("Sec-Fetch-Dest", "iframe"),
        ("Sec-Fetch-Dest", "empty"),
    ] {
        let request = world.request("POST", "/bff/callback").header("Content-Type", form).header(name, value);
        let answer = world.send(&request.body(good));
        assert_eq!((answer.status, answer.reason()), (403, "cross_site"), "{name}: {value}");
    }
    assert_eq!(world.redemptions(), 0);
}

#[test]
fn a_post_contacts_nobody_and_changes_nothing() {
    let world = world("form_post");
    let mut browser = Browser::new();
    let form = held(&world, &mut browser).hidden_fields();
    let before = browser.login_cookies(&world.one()).len();
    let page = posted(&world, &mut browser, &form);
    assert_eq!(page.response.status, 303);
    assert_eq!(page.response.header("cache-control"), Some("no-store"));
    assert_eq!(page.response.header("referrer-policy"), Some("no-referrer"));
    assert!(page.response.all("set-cookie").is_empty());
    assert_eq!((before, browser.login_cookies(&world.one()).len()), (1, 1));
    assert!(!page.url.contains(&field(&form, "code")) && !page.url.contains(&field(&form, "state")));
    assert_eq!(world.redemptions(), 0);
}

#[test]
fn fifty_replays_of_a_posted_answer_redeem_its_code_once() {
    let world = world("form_post");
    let mut browser = Browser::new();
    let form = held(&world, &mut browser).hidden_fields();
    let callback = posted(&world, &mut browser, &form).url;
    let start = Barrier::new(50);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let replay = || {
            let mut copy = browser.clone();
            start.wait();
            copy.open_until(&callback, "http").response.status
        };
        let running: Vec<_> = (0..50).map(|_| scope.spawn(replay)).collect();
        running.into_iter().map(|one| one.join().expect("a replay gets an answer")).collect()
    });
    assert!(statuses.iter().all(|status| matches!(status, 303 | 400)), "{statuses:?}");
    assert_eq!(world.redemptions(), 1);
}

#[test]
fn a_sealed_answer_is_good_for_nothing_elsewhere() {
    let mut setup = Setup::two_sites();
    for site in &mut setup.sites {
        site.provider.push("response_mode = \"form_post\"".into());
    }
    let world = World::of(setup);
    let mut browser = Browser::new();
    let form = held(&world, &mut browser).hidden_fields();
    let callback = posted(&world, &mut browser, &form).url;
    // Another browser has no attempt that it belongs to: its login starts afresh.
    let mut other = Browser::new();
    let page = other.open_until(&callback, &world.provider.issuer());
    assert_eq!(page.response.status, 303, "{}", page.response.text());
    assert!(!other.is_signed_in(&world.one()));
    // Another site did not seal it, and whoever alters it did not either.
    let sealed = callback.split("answer=").nth(1).expect("a sealed answer");
    let altered = format!("{}A{}", &sealed[..40], &sealed[41..]);
    for url in [
        format!("{}/bff/callback?answer={sealed}", world.two()),
        format!("{}/bff/callback?answer={altered}", world.one()),
        format!("{}/bff/callback?answer=", world.one()),
        format!("{}/bff/callback?answer={sealed}&answer={sealed}", world.one()),
    ] {
        let page = browser.clone().open(&url);
        assert_eq!((page.response.status, page.response.reason()), (400, "bad_request"), "{url}");
    }
    assert_eq!(world.redemptions(), 0);
    // A step's seal and an answer's are two things.
    let step = browser.clone().open(&format!("{}/bff/login?step={sealed}", world.one()));
    assert_eq!(step.response.status, 400);
    browser.open(&callback);
    assert!(browser.is_signed_in(&world.one()), "the control");
}

#[test]
fn an_answer_in_the_query_does_not_complete_a_login_that_asked_for_a_form() {
    let world = world("form_post");
    let mut browser = Browser::new();
    let form = held(&world, &mut browser).hidden_fields();
    let page = browser.open(&format!("{}/bff/callback?{form}", world.one()));
    refused(&world, &mut browser, &page);
    says(&world, "it came as query and was asked for as form_post");
}

#[test]
fn a_posted_answer_does_not_complete_a_login_that_asked_for_the_query() {
    let world = with_two("form_post");
    let mut browser = Browser::new();
    let callback = held(&world, &mut browser).url;
    let query = callback.split_once('?').expect("a query").1.to_owned();
    let page = browser.submit(&world.provider.issuer(), &format!("{}/bff/callback", world.one()), &query);
    refused(&world, &mut browser, &page);
}

#[test]
fn a_posted_answer_stays_at_the_redirect_uri_of_its_provider() {
    let mut setup = Setup::one_site();
    setup.sites[0].provider.extend(["response_mode = \"form_post\"", "own_callback = true"].map(str::to_owned));
    let world = World::of(setup);
    let callback = format!("{}/bff/callback", world.one());
    let post = |path: &str| {
        let request = world.request("POST", path).header("Content-Type", "application/x-www-form-urlencoded");
        world.send(&request.body("code=a&state=b"))
    };
    assert_eq!(post("/bff/callback").status, 405, "nobody asks for a form there");
    assert_eq!(post("/bff/callback/other").status, 404);
    let sent_on = post("/bff/callback/main");
    assert_eq!(sent_on.status, 303);
    assert!(sent_on.location().starts_with(&format!("{callback}/main?answer=")), "{}", sent_on.location());
    let put = world.send(&world.request("PUT", "/bff/callback/main"));
    assert_eq!((put.status, put.header("allow")), (405, Some("GET, POST")));
}

#[test]
fn a_posted_error_is_shown_and_a_refused_silent_login_goes_back_quietly() {
    let world = world("form_post");
    let mut browser = Browser::new();
    let form = browser.open(&format!("{}/bff/login", world.one()));
    let uid = form.url.split("/interaction/").nth(1).expect("the provider's login page");
    let issuer = world.provider.issuer();
    let page = browser.submit(&issuer, &format!("{issuer}/interaction/{uid}"), "cancel=yes");
    let page = browser.pass_provider(page, "ada", "\0");
    refused(&world, &mut browser, &page);
    assert!(page.response.text().contains("access_denied"), "{}", page.response.text());
    let page = browser.open(&format!("{}/bff/login?prompt=none&return_to=/quiet", world.one()));
    let page = browser.pass_provider(page, "ada", "\0");
    assert_eq!(page.url, format!("{}/quiet", world.one()));
    assert!(!browser.is_signed_in(&world.one()));
}

#[test]
fn a_login_whose_answer_is_signed_works_in_the_query_and_in_a_form() {
    for mode in ["jwt", "query.jwt", "form_post.jwt"] {
        let world = world(mode);
        let mut browser = Browser::new();
        let page = browser.sign_in(&world.one(), "ada");
        assert_eq!(page.url, format!("{}/", world.one()), "{mode}: {}", page.response.text());
        assert!(browser.is_signed_in(&world.one()), "{mode}");
        assert_eq!(world.provider.ledger(world.client_id())["authorizations"][0]["response_mode"], mode);
        World::logged_none_of(&world.gateway.process, &world.secrets());
    }
}

#[test]
fn a_plain_answer_does_not_complete_a_login_that_asked_for_a_signed_one() {
    let world = with_two("query.jwt");
    let mut browser = Browser::new();
    let login = format!("{}/bff/login", world.one());
    let signed = browser.sign_in_until_callback(&format!("{login}?provider=other"), "ada").url;
    assert!(signed.contains("?response="), "{signed}");
    // The provider's real code of the other login, under this attempt's state.
    let plain = browser.sign_in_until_callback(&login, "ada").url;
    let state = |url: &str, claims: fn(&str) -> String| claims(url.split_once('?').expect("a query").1);
    let own = state(&signed, |query| claim_of(&field(query, "response"), "state"));
    let code = state(&plain, |query| field(query, "code"));
    let iss: String = url::form_urlencoded::byte_serialize(world.provider.issuer().as_bytes()).collect();
    let callback = format!("{}/bff/callback", world.one());
    let page = browser.open(&format!("{callback}?code={code}&state={own}&iss={iss}"));
    assert_eq!(page.response.status, 400, "{}", page.response.text());
    let page = browser.open(&format!("{callback}?error=access_denied&state={own}&iss={iss}"));
    assert_eq!(page.response.status, 400);
    assert!(!browser.is_signed_in(&world.one()));
    assert_eq!(world.redemptions(), 0);
    says(&world, "it came as query and was asked for as query.jwt");
}

#[test]
fn a_signed_answer_that_was_altered_or_is_another_attempts_is_refused() {
    let world = world("query.jwt");
    let response = |url: &str| field(url.split_once('?').expect("a query").1, "response");
    let open = |browser: &mut Browser, token: &str| {
        browser.open_until(&format!("{}/bff/callback?response={token}", world.one()), &world.provider.issuer())
    };
    let mut browser = Browser::new();
    let token = response(&held(&world, &mut browser).url);
    let (signed, signature) = token.rsplit_once('.').expect("a signed token");
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let page = open(&mut browser, &format!("{signed}.{flipped}{}", &signature[1..]));
    refused(&world, &mut browser, &page);
    let mut thief = Browser::new();
    held(&world, &mut thief);
    let page = open(&mut thief, &token);
    assert_eq!(page.response.status, 303, "it starts a login of its own");
    assert!(page.url.starts_with(&world.provider.issuer()) && !thief.is_signed_in(&world.one()));
    assert_eq!(world.redemptions(), 0);
}

#[test]
fn a_signed_error_is_shown_and_a_refused_silent_login_goes_back_quietly() {
    let world = world("jwt");
    let mut browser = Browser::new();
    let form = browser.open(&format!("{}/bff/login", world.one()));
    let uid = form.url.split("/interaction/").nth(1).expect("the provider's login page");
    let issuer = world.provider.issuer();
    let page = browser.submit(&issuer, &format!("{issuer}/interaction/{uid}"), "cancel=yes");
    refused(&world, &mut browser, &page);
    assert!(page.response.text().contains("access_denied"), "{}", page.response.text());
    let page = browser.open(&format!("{}/bff/login?prompt=none&return_to=/quiet", world.one()));
    assert_eq!(page.url, format!("{}/quiet", world.one()));
}

/// A claim of a token, unverified.
fn claim_of(token: &str, name: &str) -> String {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).expect("a payload");
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    let claims: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
    claims[name].as_str().expect("a string").to_owned()
}
