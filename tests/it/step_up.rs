//! Routes that need more than a session has: 403, and the login that gets it.

use crate::support::{Setup, World};

fn world(auth: &str) -> World {
    let mut setup = Setup::one_site();
    let orders = ["path = \"/orders\"", "scopes = [\"orders:write\"]", auth];
    setup.sites[0].routes.push(orders.map(str::to_owned).to_vec());
    World::of(setup)
}

#[test]
fn a_route_that_wants_more_says_where_to_get_it_and_then_has_it() {
    let world = world("auth = \"required\"");
    let mut browser = world.signed_in();
    let asked = world.upstream.count();
    let refused = browser.get(&world.one(), "/orders/1");
    refused.refuses(403, "insufficient_scope");
    assert_eq!(world.upstream.count(), asked);
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200, "the session goes on");

    let login_url = refused.json()["login_url"].as_str().expect("a step-up").to_owned();
    assert!(login_url.starts_with("/bff/login?step=") && !login_url.contains("orders"), "{login_url}");
    let page = browser.open(&format!("{}{login_url}&return_to=%2Fback", world.one()));
    let page = browser.pass_provider(page, "ada", "\0");
    assert_eq!(page.url, format!("{}/back", world.one()));
    assert_eq!(browser.get(&world.one(), "/orders/1").status, 200);
}

#[test]
fn a_step_is_the_sites_own_and_nobody_elses() {
    let world = world("auth = \"required\"");
    let mut browser = world.signed_in();
    let refused = browser.get(&world.one(), "/orders/1");
    let login_url = refused.json()["login_url"].as_str().expect("a step-up").to_owned();
    let navigate = |target: &str| {
        let request = world.request("GET", target).header("Sec-Fetch-Mode", "navigate");
        world.send(&request.header("Sec-Fetch-Dest", "document"))
    };
    let good = navigate(&login_url);
    assert!(
        good.location().contains("scope=openid+profile+email+offline_access+orders%3Awrite&"),
        "{}",
        good.location()
    );
    let mut forged = login_url.clone().into_bytes();
    let last = forged.last_mut().expect("it is not empty");
    *last = if *last == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).expect("it is ASCII");
    for bad in [forged.as_str(), "/bff/login?step=", "/bff/login?step=b3JkZXJz", &format!("{login_url}&provider=other")]
    {
        let answer = navigate(bad);
        assert_eq!((answer.status, answer.reason()), (400, "bad_request"), "{bad}");
        assert!(answer.all("set-cookie").is_empty());
    }
}

#[test]
fn nobody_is_turned_away_from_an_optional_route_for_having_no_session() {
    let world = world("auth = \"optional\"");
    let answer = world.send(&world.request("GET", "/orders/1").header("Sec-Fetch-Site", "same-origin"));
    assert_eq!(answer.status, 200);
    assert!(world.upstream.last().all("authorization").is_empty());
    world.signed_in().get(&world.one(), "/orders/1").refuses(403, "insufficient_scope");
}
