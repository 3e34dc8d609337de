//! A store whose answers come late, in the wrong moment, or not at all: contract 6.7.

use std::sync::Arc;

use super::{is_over, patient};
use crate::support::{Browser, Redis, Relay, Replicas, eventually};

const END: &str = include_str!("../../../src/session/store/redis/lua/end.lua");
const INSERT: &str = include_str!("../../../src/session/store/redis/lua/insert.lua");

/// The name by which Redis calls a script, which it knows from now on.
fn loaded(redis: &Redis, script: &str) -> String {
    redis.command(&["SCRIPT", "LOAD", script]).lines().nth(1).expect("a hash").to_owned()
}

/// A refresh on replica 1 is stored after the logout on replica 0 has read the session, and before it has ended it.
#[test]
fn a_logout_gives_back_the_refresh_token_of_the_record_that_it_ended() {
    // A machine that is slow just then makes this a logout during an outage, which says nothing.
    let decided = (0..5).any(|_| a_refresh_between_read_and_end());
    assert!(decided, "the logout never succeeded");
}

fn a_refresh_between_read_and_end() -> bool {
    let redis = Redis::start();
    let end = loaded(&redis, END);
    let relay = Relay::to(redis.port());
    let mut setup = patient();
    setup.access_ttl = 1;
    let replicas = Arc::new(Replicas::on(2, &relay.url(), "0s", setup));
    let browser = replicas.world.signed_in();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    relay.before(&end, {
        let (replicas, browser) = (Arc::downgrade(&replicas), browser.clone());
        move || {
            if let Some(replicas) = replicas.upgrade() {
                let _ = replicas.try_get(1, &browser, "/api/x");
            }
        }
    });
    let out = replicas.post(0, &browser, "/bff/logout");
    if out.status != 200 || replicas.refreshes(1) != 1 {
        return false;
    }
    is_over(&replicas.get(1, &browser, "/api/x"), "revoked");
    let newest = replicas.world.provider.latest(replicas.world.client_id(), "refresh_token");
    eventually("the newest refresh token should be given back", || {
        replicas.world.provider.revoked(replicas.world.client_id()).contains(&newest).then_some(())
    });
    true
}

#[test]
fn a_login_whose_answer_is_lost_leaves_no_session_behind() {
    let redis = Redis::start();
    let insert = loaded(&redis, INSERT);
    let relay = Relay::to(redis.port());
    let replicas = Replicas::on(1, &relay.url(), "0s", patient());
    relay.lose_the_answer_to(&insert);
    let mut browser = Browser::new();
    let page = browser.sign_in(&replicas.site(), "ada");
    assert_eq!((page.response.status, page.response.reason()), (503, "store_unavailable"), "{}", page.response.text());
    assert!(browser.session_cookie(&replicas.site()).is_none());
    relay.mend();
    eventually("nobody's session should be over", || {
        let sessions: Vec<_> = redis.keys().into_iter().filter(|key| key.starts_with("cloakroom:s:")).collect();
        let live = |key: &String| redis.command(&["HEXISTS", key, "v"]).trim() == ":1";
        (!sessions.is_empty() && !sessions.iter().any(live)).then_some(())
    });
    let given = replicas.world.provider.latest(replicas.world.client_id(), "refresh_token");
    eventually("its tokens should be given back", || {
        replicas.world.provider.revoked(replicas.world.client_id()).contains(&given).then_some(())
    });
    browser.sign_in(&replicas.site(), "ada");
    assert!(browser.is_signed_in(&replicas.site()));
}
