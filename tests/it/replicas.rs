//! Two and three gateways on one store: one refresh, one end, and what an outage of the store looks like from outside.
//!
//! Counts are taken at the other end: token calls at the provider, bearers at the upstream, commands at Redis.
//!
//! A test that cannot fail proves nothing. These faults were planted, and seen:
//!
//! | planted | red in |
//! |---|---|
//! | no lease between processes, or one that everybody gets | `refresh`, `holder`, `leaving`, `provider_down`, `cluster` |
//! | a lease that is not renewed | `refresh`: the providers that take seven and twelve seconds |
//! | a lease that outlives its holder by a minute | `holder`: the killed ones |
//! | no second try after a lost answer | `refresh` |
//! | a failed refresh that is remembered for a tenth of a second | `provider_down` |
//! | a write that ignores version and tombstone | `holder`, `leaving`: what ended comes back, two results are stored |
//! | the rotated token of a session that ended is kept | `leaving` |
//! | a shutdown that does not wait for the refresh | `leaving` |
//! | news of changes that reach no copy | `ends`, `cluster` |
//! | a state that is consumed more than once; no idle limit | `ends` |
//! | a Redis that is waited for ten times as long; no grace; `Set-Cookie` on a 503 | `outages`, `sentinel` |
//! | a session key without an end; a subject in a note | `secrecy` |
//! | a copy that is never told | `cost` |
//! | a lease that is over by the clock of a store that stands still | `frozen` |
//! | a refusal that ends whatever record stands there by then | `frozen` |
//! | an end that tells nothing of what it ended; a login that forgets what it may have written | `lost_answers` |
//! | a budget, and a pause, that each process keeps for itself; a stop that waits for those who wait | `budget` |

use std::time::Duration;

use crate::support::{Browser, Redis, Replicas, Response, Setup};

mod budget;
mod cluster;
mod cost;
mod ends;
mod frozen;
mod holder;
mod leaving;
mod lost_answers;
mod outages;
mod provider_down;
mod refresh;
mod secrecy;
mod sentinel;

/// The one token call that a login has cost.
const LOGIN: usize = 1;

/// A provider that takes long is waited for: its limit must lie above what these tests let it take.
fn patient() -> Setup {
    let mut setup = Setup::one_site();
    setup.sites[0].provider.push("timeout = \"30s\"".into());
    setup.server.retain(|line| !line.starts_with("shutdown_grace"));
    setup.server.push("shutdown_grace = \"15s\"".into());
    setup
}

/// Replicas, and a browser that is signed in with a token that is over; new tokens live for an hour.
fn with_a_due_token(count: usize, redis: &Redis, setup: Setup) -> (Replicas, Browser) {
    let mut setup = setup;
    setup.access_ttl = 1;
    let mut replicas = Replicas::start(count, redis, "0s", setup);
    let browser = replicas.world.signed_in();
    replicas.world.tokens_live(3600);
    // The one wait for a clock: the provider says for how long its token is good.
    std::thread::sleep(Duration::from_millis(1100));
    (replicas, browser)
}

/// An outage as a user may see it: say what is wrong and when to come back, and leave the cookie alone.
#[track_caller]
fn is_an_outage(answer: &Response, reason: &str) {
    answer.refuses(503, reason);
    let pause = answer.header("retry-after").and_then(|pause| pause.parse::<u64>().ok());
    assert!(pause.is_some_and(|pause| (1..=60).contains(&pause)), "Retry-After: {:?}", answer.all("retry-after"));
    assert!(answer.all("set-cookie").is_empty(), "an outage is not a logout");
}

/// The end of a session as a user may see it.
#[track_caller]
fn is_over(answer: &Response, reason: &str) {
    answer.refuses(401, reason);
    assert!(answer.all("set-cookie").is_empty(), "no 401 touches the cookie");
    assert!(answer.header("retry-after").is_none() && answer.json()["login_url"].is_string(), "{}", answer.text());
}

/// A call that went through.
#[track_caller]
fn is_fine(answer: &Response) {
    assert_eq!(answer.status, 200, "{} {}", answer.reason(), answer.text());
    assert!(answer.all("set-cookie").is_empty(), "no proxied call sets a cookie");
}
