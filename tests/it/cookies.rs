//! The cookies and everything that may happen to them: contract section 5.

use crate::support::{Browser, Request, Response, Setup, World, fresh_key};

fn set_cookie<'a>(answer: &'a Response, word: &str) -> &'a str {
    let lines = answer.all("set-cookie");
    let mut found = lines.into_iter().filter(|line| {
        let name = line.split('=').next().unwrap_or("");
        name.contains("login") == (word == "login")
    });
    let line = found.next().unwrap_or_else(|| panic!("no {word} cookie is set: {:?}", answer.headers));
    assert!(found.next().is_none(), "one {word} cookie: {:?}", answer.headers);
    line
}

fn attributes(line: &str) -> Vec<String> {
    line.split(';').skip(1).map(|part| part.trim().to_ascii_lowercase()).collect()
}

/// The answer that brings the session cookie.
fn login_answer(world: &World, browser: &mut Browser) -> Response {
    let held = browser.sign_in_until_callback(&format!("{}/bff/login", world.one()), "ada");
    browser.open_until(&held.url, &world.one()).response
}

fn call_with(world: &World, cookie: impl AsRef<[u8]>) -> Response {
    world.send(&world.request("GET", "/api/x").header("Sec-Fetch-Site", "same-origin").header("Cookie", cookie))
}

#[test]
fn on_a_loopback_origin_the_names_carry_the_port_and_no_prefix() {
    let world = World::new();
    let mut browser = Browser::new();
    let login = browser.open_until(&format!("{}/bff/login", world.one()), "http").response;
    let line = set_cookie(&login, "login").to_owned();
    let answer = login_answer(&world, &mut browser);
    for (line, lax) in [(line.as_str(), true), (set_cookie(&answer, "session"), true)] {
        assert!(
            line.contains("cloakroom")
                && line.split('=').next().expect("a name").contains(&world.setup.port.to_string()),
            "{line}"
        );
        assert!(!line.starts_with("__"), "{line}");
        let attributes = attributes(line);
        assert!(attributes.contains(&"httponly".into()) && attributes.contains(&"path=/".into()), "{line}");
        assert_eq!(attributes.contains(&"samesite=lax".into()), lax, "{line}");
        assert!(
            !attributes.contains(&"secure".into()) && !attributes.iter().any(|one| one.starts_with("domain")),
            "{line}"
        );
    }
}

#[test]
fn on_an_https_origin_the_names_carry_the_host_prefix() {
    let world = World::of(Setup::behind_tls());
    let mut browser = Browser::behind_edge("app-one.example", world.setup.port);
    let login = browser.open_until("https://app-one.example/bff/login", "http").response;
    let attempt = set_cookie(&login, "login").to_owned();
    assert!(attempt.starts_with("__Host-Http-cloakroom-login-"), "{attempt}");
    assert!(attributes(&attempt).contains(&"max-age=600".into()), "{attempt}");
    let answer = login_answer(&world, &mut browser);
    let session = set_cookie(&answer, "session");
    assert!(session.starts_with("__Host-Http-cloakroom="), "{session}");
    for line in [attempt.as_str(), session] {
        let attributes = attributes(line);
        for wanted in ["secure", "httponly", "samesite=lax", "path=/"] {
            assert!(attributes.contains(&wanted.into()), "{wanted}: {line}");
        }
        assert!(!attributes.iter().any(|one| one.starts_with("domain")), "{line}");
    }
    let cookie = browser.session_cookie("https://app-one.example").expect("a browser accepts the cookie");
    assert!(cookie.name.len() + 1 + cookie.value.len() <= 200, "{}={}", cookie.name, cookie.value);
    assert_eq!(browser.get("https://app-one.example", "/api/x").status, 200);
}

#[test]
fn a_strict_session_cookie_leaves_the_login_cookie_lax() {
    let mut setup = Setup::one_site();
    setup.sites[0].session.push("same_site = \"strict\"".into());
    let world = World::of(setup);
    let mut browser = Browser::new();
    let login = browser.open_until(&format!("{}/bff/login", world.one()), "http").response;
    assert!(attributes(set_cookie(&login, "login")).contains(&"samesite=lax".into()));
    let answer = login_answer(&world, &mut browser);
    assert!(attributes(set_cookie(&answer, "session")).contains(&"samesite=strict".into()));
    assert!(browser.is_signed_in(&world.one()));
}

#[test]
fn the_cookie_is_small_however_large_the_tokens() {
    let mut setup = Setup::one_site();
    setup.jwt = true;
    let world = World::of(setup);
    let browser = world.signed_in();
    let cookie = browser.session_cookie(&world.one()).expect("signed in");
    assert!(cookie.name.len() + 1 + cookie.value.len() <= 200);
    assert!(world.provider.latest(world.client_id(), "access_token").starts_with("eyJ"));
}

#[test]
fn no_script_can_read_a_cookie_of_the_gateway() {
    let world = World::new();
    let browser = world.signed_in();
    assert!(browser.script_cookies(&world.one()).is_empty());
}

#[test]
fn the_session_cookie_is_set_at_login_and_logout_and_nowhere_else() {
    let mut setup = Setup::one_site();
    setup.access_ttl = 1;
    let world = World::of(setup);
    let mut browser = world.signed_in();
    crate::support::eventually("a refresh should happen", || {
        browser.get(&world.one(), "/api/x");
        browser.get(&world.one(), "/bff/session");
        browser.post(&world.one(), "/bff/session/extend");
        browser.get(&world.one(), "/nothing");
        (world.provider.token_calls(world.client_id(), "refresh_token") > 0).then_some(())
    });
    let setting: Vec<_> = browser
        .seen(".localhost")
        .into_iter()
        .filter(|exchange| {
            exchange
                .response
                .all("set-cookie")
                .iter()
                .any(|line| !line.split('=').next().unwrap_or("").contains("login"))
        })
        .map(|exchange| exchange.url.clone())
        .collect();
    assert_eq!(setting.len(), 1, "{setting:?}");
    assert!(setting[0].contains("/bff/callback"));
    let out = browser.post(&world.one(), "/bff/logout");
    assert!(attributes(set_cookie(&out, "session")).contains(&"max-age=0".into()), "{:?}", out.headers);
    assert!(browser.session_cookie(&world.one()).is_none());
}

#[test]
fn whatever_is_done_to_the_cookie_it_is_the_same_as_none() {
    let world = World::of(Setup::two_sites());
    let mut browser = world.signed_in();
    browser.sign_in(&world.two(), "ada");
    let cookie = browser.session_cookie(&world.one()).expect("signed in");
    let foreign = browser.session_cookie(&world.two()).expect("signed in").value;
    let (name, value) = (cookie.name, cookie.value);
    assert_eq!(call_with(&world, format!("{name}={value}")).status, 200);

    let mut values: Vec<Vec<u8>> = (0..value.len())
        .map(|place| {
            let mut bytes = value.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            bytes
        })
        .collect();
    for text in [
        String::new(),
        value[1..].to_owned(),
        value[..value.len() - 1].to_owned(),
        value[..8].to_owned(),
        format!("{value}A"),
        format!("{value}{value}"),
        format!("\"{value}\""),
        format!("{value}%3D"),
        value.to_uppercase(),
        value.replace('-', "+").replace('_', "/") + "==",
        foreign,
        "a".repeat(4000),
        "null".into(),
        "../../etc/passwd".into(),
        "eyJhbGciOiJub25lIn0.e30.".into(),
    ] {
        if text != value {
            values.push(text.into_bytes());
        }
    }
    values.push(b"\xff\xfe\x80".to_vec());
    values.push(vec![b'%', b'0', b'0']);
    let asked = world.upstream.count();
    for altered in values {
        let mut header = format!("{name}=").into_bytes();
        header.extend_from_slice(&altered);
        let answer = call_with(&world, &header);
        let shown = String::from_utf8_lossy(&altered).into_owned();
        assert_eq!((answer.status, answer.reason()), (401, "no_session"), "{shown}");
        assert!(answer.all("set-cookie").is_empty(), "{shown}");
    }
    assert_eq!(world.upstream.count(), asked, "the upstream was asked");
    assert!(browser.is_signed_in(&world.one()), "the session itself lives on");
}

#[test]
fn a_duplicated_cookie_is_the_same_as_none() {
    let world = World::new();
    let cookie = world.signed_in().session_cookie(&world.one()).expect("signed in");
    let good = format!("{}={}", cookie.name, cookie.value);
    let bad = format!("{}=x", cookie.name);
    for header in
        [format!("{good}; {good}"), format!("{bad}; {good}"), format!("{good}; {bad}"), format!("{good}; a=b; {bad}")]
    {
        call_with(&world, header).refuses(401, "no_session");
    }
    let lines = world.request("GET", "/api/x").header("Sec-Fetch-Site", "same-origin");
    let lines = lines.header("Cookie", &good).header("Cookie", &bad);
    world.send(&lines).refuses(401, "no_session");
    assert_eq!(call_with(&world, format!("a=b; {good}; c=d")).status, 200, "neighbours do not matter");
}

#[test]
fn a_misnamed_cookie_is_the_same_as_none() {
    let world = World::of(Setup::behind_tls());
    let mut browser = Browser::behind_edge("app-one.example", world.setup.port);
    browser.sign_in("https://app-one.example", "ada");
    let cookie = browser.session_cookie("https://app-one.example").expect("signed in");
    assert_eq!(call_with(&world, format!("{}={}", cookie.name, cookie.value)).status, 200);
    let names = [
        "__Host%2DHttp-cloakroom",
        "__Host-Http%2Dcloakroom",
        "%5F_Host-Http-cloakroom",
        "__host-http-cloakroom",
        "__HOST-HTTP-CLOAKROOM",
        "__Host-Http-Cloakroom",
        "__Host-cloakroom",
        "cloakroom",
        "\u{2000}__Host-Http-cloakroom",
        "$Version=1,__Host-Http-cloakroom",
        "=__Host-Http-cloakroom",
        "__Host-Http-cloakroom ",
        "__Host-Http-cloakroom\u{a0}",
    ];
    for name in names {
        let answer = call_with(&world, format!("{name}={}", cookie.value));
        assert_eq!((answer.status, answer.reason()), (401, "no_session"), "{name:?}");
    }
}

#[test]
fn a_neighbour_that_is_not_utf8_never_breaks_the_answer() {
    let world = World::new();
    let cookie = world.signed_in().session_cookie(&world.one()).expect("signed in");
    for neighbour in [&b"x=\xff\xfe"[..], b"\xff=1", b"=; ;;;", b"a", b"x=\"a;b\""] {
        let mut header = neighbour.to_vec();
        header.extend_from_slice(format!("; {}={}", cookie.name, cookie.value).as_bytes());
        let answer = call_with(&world, &header);
        let none = (answer.status, answer.reason()) == (401, "no_session");
        assert!(answer.status == 200 || none, "{neighbour:?}: {} {}", answer.status, answer.text());
        let session = world.send(&world.request("GET", "/bff/session").header("X-BFF", "1").header("Cookie", &header));
        assert_eq!(session.status, 200, "{neighbour:?}");
    }
}

#[test]
fn a_login_cookie_does_not_open_as_a_session_cookie() {
    let world = World::new();
    let mut browser = Browser::new();
    browser.open_until(&format!("{}/bff/login", world.one()), "http");
    let attempt = browser.login_cookies(&world.one()).pop().expect("an attempt is under way");
    let session = world.signed_in().session_cookie(&world.one()).expect("signed in");
    call_with(&world, format!("{}={}", session.name, attempt.value)).refuses(401, "no_session");
}

#[test]
fn a_tampered_login_cookie_signs_nobody_in() {
    let world = World::new();
    let mut browser = Browser::new();
    let held = browser.sign_in_until_callback(&format!("{}/bff/login", world.one()), "ada");
    let attempt = browser.login_cookies(&world.one()).pop().expect("an attempt is under way");
    browser.plant(&world.one(), &attempt.name, &attempt.value.replace(['A', 'B', 'C', 'a', 'b', 'c'], "Q"));
    browser.open_until(&held.url, &world.provider.issuer());
    assert!(!browser.is_signed_in(&world.one()));
    assert_eq!(world.redemptions(), 0);
}

#[test]
fn keys_are_rotated_without_a_logout() {
    let world = World::new();
    let mut browser = world.signed_in();
    let pin = browser.session(&world.one())["pin"].as_str().expect("a pin").to_owned();
    let (old, new) = (world.setup.sites[0].key.clone(), fresh_key());
    let steps = [
        (format!("keys = [\"{old}\"]"), format!("keys = [\"{old}\", \"{new}\"]")),
        (format!("keys = [\"{old}\", \"{new}\"]"), format!("keys = [\"{new}\", \"{old}\"]")),
        (format!("keys = [\"{new}\", \"{old}\"]"), format!("keys = [\"{new}\"]")),
    ];
    for (step, (from, to)) in steps.into_iter().enumerate() {
        let before = browser.session_cookie(&world.one()).expect("signed in").value;
        world.rewrite(|text| text.replace(&from, &to));
        world.reload();
        let resealed = crate::support::within(
            std::time::Duration::from_secs(5),
            "the session cookie should be sealed anew",
            || {
                assert!(browser.is_signed_in(&world.one()), "step {step} logged the user out");
                let now = browser.session_cookie(&world.one()).expect("signed in").value;
                (step != 1 || now != before).then_some(now != before)
            },
        );
        assert_eq!(resealed, step == 1, "only a change of the first key seals anew");
        let call = Request::new("GET", "").header("X-BFF-Pin", &pin);
        assert_eq!(browser.fetch_with(&world.one(), call, "/api/x").status, 200);
        assert_eq!(browser.session(&world.one())["pin"], pin, "step {step} made another user of this one");
    }
    browser.sign_in(&world.one(), "ada");
    assert_eq!(browser.session(&world.one())["pin"], pin, "a login as the same user is no change of identity");
}

#[test]
fn a_huge_pile_of_cookies_is_refused_politely() {
    let world = World::new();
    let pile: Vec<String> = (0..60).map(|count| format!("c{count}={}", "x".repeat(4000))).collect();
    let request = Request::new("GET", "/bff/session").header("Host", format!("one.localhost:{}", world.setup.port));
    let answer = crate::support::send_raw(world.setup.port, &request.header("Cookie", pile.join("; ")).bytes());
    let status: Option<u16> = String::from_utf8_lossy(&answer).split(' ').nth(1).and_then(|word| word.parse().ok());
    assert!(status.is_none_or(|status| (400..500).contains(&status)), "{status:?}");
    assert!(!world.signed_in().session(&world.one()).is_null(), "the gateway lives on");
}
