//! An upstream that refuses a token which was replaced meanwhile: contract section 6.6.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::support::{Browser, Redis, Reply, Request, Response, Setup, World, eventually};

const REFUSED: &str = "www-authenticate: Bearer error=\"invalid_token\"\r\n";

fn refusal() -> Reply {
    Reply::with("401 Unauthorized", REFUSED, "{\"message\":\"Unauthenticated.\"}")
}

/// A world whose first tokens live for two seconds, and one signed-in browser. While calls wait at the upstream with the
/// first token, [`overtake`] has it replaced; then the upstream refuses it, and with `stubborn` the newer one too.
fn stage(stubborn: bool) -> (World, Browser, Arc<AtomicBool>) {
    let mut setup = Setup::one_site();
    setup.access_ttl = 2;
    let mut world = World::of(setup);
    let browser = world.signed_in();
    world.tokens_live(3600);
    let old = world.provider.latest(world.client_id(), "access_token");
    let overtaken = Arc::new(AtomicBool::new(false));
    let released = Arc::clone(&overtaken);
    world.upstream.answers(move |request| {
        if request.bearer() != old {
            return if stubborn && request.target != "/api/other" { refusal() } else { Reply::json("{}") };
        }
        eventually("the token should be replaced", || released.load(Ordering::SeqCst).then_some(()));
        refusal()
    });
    (world, browser, overtaken)
}

/// Has `calls` on their way with the first token while another tab has it replaced; their answers, in order.
fn overtake(stage: &(World, Browser, Arc<AtomicBool>), calls: &[Request]) -> Vec<Response> {
    let (world, browser, overtaken) = stage;
    std::thread::scope(|scope| {
        let waiting: Vec<_> = calls.iter().map(|call| scope.spawn(|| world.send(call))).collect();
        eventually("the calls should wait at the upstream", || (world.upstream.count() == calls.len()).then_some(()));
        // The wait for a clock: the provider says for how long its token is good.
        std::thread::sleep(Duration::from_millis(2100));
        assert_eq!(browser.clone().get(&world.one(), "/api/other").status, 200);
        overtaken.store(true, Ordering::SeqCst);
        waiting.into_iter().map(|call| call.join().expect("an answer")).collect()
    })
}

/// How often the upstream got a request for `target`, and with how many bytes each time.
fn arrivals(world: &World, target: &str) -> Vec<usize> {
    world.upstream.requests().iter().filter(|one| one.target == target).map(|one| one.body.len()).collect()
}

#[test]
fn a_call_overtaken_by_a_refresh_is_sent_again_if_it_can_be() {
    let stage = stage(false);
    let (world, browser, _) = &stage;
    let post = |target: &str, length: usize| world.own_request(browser, "POST", target).body("x".repeat(length));
    let chunked = world.own_request(browser, "POST", "/api/chunked").header("Transfer-Encoding", "chunked");
    let calls = [
        world.own_request(browser, "GET", "/api/none?a=%20"),
        post("/api/small", 10 << 10),
        post("/api/large", 100 << 10),
        chunked.body("3\r\nabc\r\n0\r\n\r\n"),
    ];
    let answers = overtake(&stage, &calls);
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 401, 401]);
    assert_eq!(arrivals(world, "/api/none?a=%20"), [0, 0]);
    assert_eq!(arrivals(world, "/api/small"), [10 << 10, 10 << 10]);
    assert_eq!(arrivals(world, "/api/large"), [100 << 10]);
    assert_eq!(arrivals(world, "/api/chunked"), [3]);
    let newest = world.provider.latest(world.client_id(), "access_token");
    for target in ["/api/none?a=%20", "/api/small"] {
        let last = world.upstream.requests().into_iter().rev().find(|one| one.target == target).expect("it arrived");
        assert_eq!(last.bearer(), newest);
    }
    for answer in &answers {
        assert!(answer.all("set-cookie").is_empty() && answer.reason().is_empty(), "the upstream's own answers");
    }
    assert_eq!(world.provider.token_calls(world.client_id(), "refresh_token"), 1);
}

#[test]
fn an_upstream_that_refuses_the_newer_token_too_has_the_last_word() {
    let stage = stage(true);
    let (world, browser, _) = &stage;
    let answer = overtake(&stage, &[world.own_request(browser, "GET", "/api/x")]).remove(0);
    assert_eq!((answer.status, answer.reason()), (401, ""));
    assert_eq!(answer.json()["message"], "Unauthenticated.");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    assert_eq!(arrivals(world, "/api/x").len(), 2);
}

#[test]
fn a_refusal_of_the_newest_token_is_passed_on_as_it_is() {
    let world = World::new();
    let mut browser = world.signed_in();
    world.upstream.answers(|_| refusal());
    for count in 1..=3 {
        let answer = browser.get(&world.one(), "/api/x");
        assert_eq!((answer.status, answer.reason()), (401, ""), "{}", answer.text());
        assert_eq!(answer.json()["message"], "Unauthenticated.");
        assert_eq!(world.upstream.count(), count);
    }
    assert_eq!(world.provider.token_calls(world.client_id(), "refresh_token"), 0);
    assert!(browser.is_signed_in(&world.one()), "an upstream ends no session");
}

#[test]
fn a_session_that_ended_meanwhile_lends_its_token_to_nothing_more() {
    let stage = stage(false);
    let (world, browser, overtaken) = &stage;
    std::thread::scope(|scope| {
        let call = scope.spawn(|| world.send(&world.own_request(browser, "GET", "/api/x")));
        eventually("the call should wait at the upstream", || (world.upstream.count() == 1).then_some(()));
        assert_eq!(browser.clone().post(&world.one(), "/bff/logout").status, 200);
        overtaken.store(true, Ordering::SeqCst);
        assert_eq!(call.join().expect("an answer").status, 401);
    });
    assert_eq!(world.upstream.count(), 1);
}

/// Laravel Passport revokes the old access token before the answer with the next one has arrived.
#[test]
fn a_call_refused_while_the_refresh_is_under_way_waits_for_its_token() {
    let mut setup = Setup::one_site();
    setup.access_ttl = 4;
    let mut world = World::of(setup);
    let mut browser = world.signed_in();
    world.tokens_live(3600);
    world.provider.fault(&json!({ "client_id": world.client_id(), "path": "/token", "delay_ms": 600 }));
    let old = world.provider.latest(world.client_id(), "access_token");
    let (provider, client, before) = (Arc::clone(&world.provider), world.client_id().to_owned(), world.redemptions());
    world.upstream.answers(move |request| {
        let begun = provider.token_calls(&client, "") > before;
        if request.bearer() == old && begun { refusal() } else { Reply::json("{}") }
    });
    let newest = eventually("the token should be replaced", || {
        assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
        let newest = world.upstream.last().bearer().to_owned();
        let refreshed = world.provider.token_calls(world.client_id(), "refresh_token") > 0;
        refreshed.then_some(newest)
    });
    assert_eq!(newest, world.provider.latest(world.client_id(), "access_token"));
}

#[test]
fn a_sensitive_route_never_goes_by_a_copy_in_memory() {
    let redis = Redis::start();
    let mut setup = Setup::one_site();
    setup.store = vec![format!("url = \"{}\"", redis.url()), "grace = \"30s\"".into()];
    let route = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    setup.sites[0].routes = vec![route(&["path = \"/api\""]), route(&["path = \"/api/payments\"", "sensitive = true"])];
    let world = World::of(setup);
    let mut browser = world.signed_in();
    for _ in 0..8 {
        assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
        assert_eq!(browser.get(&world.one(), "/api/payments/1").status, 200);
    }
    redis.freeze();
    for _ in 0..4 {
        let before = arrivals(&world, "/api/payments/1").len();
        let refused = browser.get(&world.one(), "/api/payments/1");
        refused.refuses(503, "store_unavailable");
        assert!(refused.header("retry-after").is_some() && refused.all("set-cookie").is_empty());
        assert_eq!(arrivals(&world, "/api/payments/1").len(), before);
        assert_eq!(browser.get(&world.one(), "/api/x").status, 200, "the others have their time of grace");
    }
    redis.thaw();
    eventually("the same session should go on", || {
        (browser.get(&world.one(), "/api/payments/1").status == 200).then_some(())
    });
}
