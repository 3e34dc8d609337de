//! Every combination of method, `Sec-Fetch-Site`, `Origin`, `X-BFF` and route kind, against contract section 4.4 as a table.

use crate::support::{Browser, Setup, World};

/// What a request says of where it comes from.
#[derive(Clone, Copy, Debug)]
struct Said<'a> {
    method: &'a str,
    site: Option<&'a str>,
    origin: Option<&'a str>,
    header: Option<&'a str>,
}

/// Contract section 4.4, in its own order.
fn is_own(said: Said<'_>, own: &str, header_demanded: bool) -> bool {
    if header_demanded && said.header != Some("1") {
        return false;
    }
    match (said.site, said.origin) {
        (Some("same-origin"), _) => true,
        (Some("none"), _) => matches!(said.method, "GET" | "HEAD"),
        (Some(_), _) => false,
        (None, Some(origin)) => origin == own,
        (None, None) => said.header == Some("1"),
    }
}

/// Sends every combination with these methods to `path`; how many passed.
fn every_word(
    world: &World,
    browser: &Browser,
    methods: &[&str],
    path: &str,
    expected: impl Fn(Said<'_>) -> bool,
) -> usize {
    let own = world.one();
    let evil = format!("{own}.evil.example");
    let sites = [None, Some("same-origin"), Some("same-site"), Some("cross-site"), Some("none"), Some("new-word")];
    let origins = [None, Some(own.as_str()), Some("null"), Some(evil.as_str())];
    let mut passed = 0;
    for method in methods {
        for site in sites {
            for origin in origins {
                for header in [None, Some("1"), Some("0")] {
                    let said = Said { method, site, origin, header };
                    let words = [("Sec-Fetch-Site", site), ("Origin", origin), ("X-BFF", header)];
                    let request = world.request(method, path).header("Cookie", browser.cookie_header(&own));
                    let request = words
                        .iter()
                        .filter_map(|(name, value)| Some((name, (*value)?)))
                        .fold(request, |request, (name, value)| request.header(name, value));
                    let answer = world.send(&request);
                    if expected(said) {
                        assert_eq!(answer.status, 200, "{path} {said:?}");
                        passed += 1;
                    } else {
                        assert_eq!((answer.status, answer.reason()), (403, "cross_site"), "{path} {said:?}");
                    }
                }
            }
        }
    }
    passed
}

fn matrix(csrf: &str) {
    let mut setup = Setup::one_site();
    setup.sites[0].site.push(format!("csrf = \"{csrf}\""));
    for (path, auth) in [("/optional", "optional"), ("/open", "none")] {
        setup.sites[0].routes.push(vec![format!("path = \"{path}\""), format!("auth = \"{auth}\"")]);
    }
    let world = World::of(setup);
    let mut browser = Browser::new();
    browser.sign_in(&world.one(), "ada");
    let own = world.one();
    let guarded = |said: Said<'_>| is_own(said, &own, csrf == "header");
    let methods = ["GET", "HEAD", "POST", "OPTIONS"];
    let forwarded = every_word(&world, &browser, &methods, "/api/x", guarded)
        + every_word(&world, &browser, &methods, "/optional/x", guarded)
        + every_word(&world, &browser, &methods, "/open/x", |_| true);
    assert_eq!(world.upstream.count(), forwarded, "what is refused is not forwarded");
    every_word(&world, &browser, &["GET", "HEAD"], "/bff/session", guarded);
    every_word(&world, &browser, &["POST"], "/bff/session/extend", guarded);
    assert_eq!(world.upstream.count(), forwarded, "our own endpoints ask nobody");
}

#[test]
fn every_combination_is_judged_as_the_contract_says() {
    matrix("origin");
}

#[test]
fn every_combination_is_judged_so_where_the_header_is_demanded_as_well() {
    matrix("header");
}
