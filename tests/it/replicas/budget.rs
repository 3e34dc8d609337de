//! A provider that is to be asked no more than so often: `budget`, shared by all replicas, and what a 429 says.

use std::time::Duration;

use serde_json::json;

use super::{is_an_outage, is_fine, patient};
use crate::support::{Browser, Redis, Replicas, eventually, within};

/// After how long a token of 40 seconds is to be replaced, and not yet over.
const EARLY_IN_40: Duration = Duration::from_millis(32_300);

/// Replicas whose provider has no budget yet, and browsers with tokens that live for `ttl` seconds; later ones for an hour.
fn signed_in(redis: &Redis, count: usize, ttl: u64) -> (Replicas, Vec<Browser>) {
    let mut setup = patient();
    setup.access_ttl = ttl;
    setup.sites[0].provider.push("budget = \"off\"".into());
    setup.admin.push("metrics_public = true".into());
    let mut replicas = Replicas::start(2, redis, "0s", setup);
    let browsers = (0..count).map(|_| replicas.world.signed_in()).collect();
    replicas.world.tokens_live(3600);
    (replicas, browsers)
}

/// Gives every replica this budget, and forgets what was asked before.
fn limit(replicas: &Replicas, budget: &str) {
    for number in 0..replicas.count() {
        let name = if number == 0 { "gateway.toml".into() } else { format!("replica-{number}.toml") };
        let file = replicas.world.dir.path().join(name);
        let text = std::fs::read_to_string(&file).expect("the configuration was written");
        std::fs::write(&file, text.replace("budget = \"off\"", &format!("budget = \"{budget}\"")))
            .expect("a temporary directory is writable");
        let process = &replicas.gateway(number).process;
        process.signal("HUP");
        eventually("the budget should be taken over", || {
            process.output().contains("\"event\":\"reloaded\"").then_some(())
        });
    }
}

/// When the token endpoint was asked since `earlier` calls, in milliseconds.
fn arrivals(replicas: &Replicas, earlier: usize) -> Vec<u64> {
    let mut times = replicas.world.provider.token_arrival_times(replicas.world.client_id()).split_off(earlier);
    times.sort_unstable();
    times
}

/// The most calls that any window of this length saw.
fn busiest(times: &[u64], window: u64) -> usize {
    (0..times.len())
        .map(|at| times[at..].iter().take_while(|time| **time < times[at] + window).count())
        .max()
        .unwrap_or(0)
}

#[test]
fn forty_sessions_that_fall_due_take_no_more_than_the_budget_and_leave_the_logins_theirs() {
    let redis = Redis::start();
    let (replicas, browsers) = signed_in(&redis, 40, 1);
    std::thread::sleep(Duration::from_millis(1100));
    limit(&replicas, "10/min");
    let earlier = replicas.world.provider.token_arrivals(replicas.world.client_id());
    let ask = |turn: usize| replicas.get(turn, &browsers[turn], "/api/x");
    let answers: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..40)
            .map(|turn| {
                scope.spawn({
                    let ask = &ask;
                    move || ask(turn)
                })
            })
            .collect();
        asked.into_iter().map(|one| one.join().expect("an answer")).collect()
    });
    let fine = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(fine, 8, "a fifth of the ten is the logins'");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.refuses(503, "provider_unavailable");
        let pause: u64 = answer.header("retry-after").expect("it says when").parse().expect("seconds");
        assert!((50..=63).contains(&pause), "room is where the window frees it, not in {pause} s");
        assert!(answer.all("set-cookie").is_empty());
    }
    for number in 0..2 {
        let mut newcomer = replicas.tab(number, &Browser::new());
        newcomer.sign_in(&replicas.site(), "ada");
        assert!(newcomer.is_signed_in(&replicas.site()), "a login gets through");
    }
    let mut late = Browser::new();
    let page = late.sign_in(&replicas.site(), "ada");
    assert_eq!((page.response.status, page.response.reason()), (503, "provider_unavailable"));
    assert!(page.response.header("retry-after").is_some_and(|pause| pause.parse().is_ok_and(|pause: u64| pause > 40)));
    assert_eq!(arrivals(&replicas, earlier).len(), 10);
    for (turn, browser) in browsers.iter().enumerate() {
        let mut tab = replicas.tab(turn, browser);
        assert!(tab.is_signed_in(&replicas.site()), "nobody is logged out");
    }
    let metrics = replicas.gateway(0).admin("/metrics").text();
    let count = |name: &str| {
        let lines =
            metrics.lines().filter(|line| line.starts_with("cloakroom_token_budget_total") && line.contains(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
    };
    assert!(count("outcome=\"granted\"") > 0 && count("outcome=\"deferred\"") > 0, "{metrics}");
    for key in redis.keys().iter().filter(|key| key.starts_with("cloakroom:b:")) {
        assert!((1..=65).contains(&redis.ttl(key)), "{key} lives for {} s", redis.ttl(key));
    }
}

/// With a budget that frees soon, everybody comes to a token, and no second sees too many calls.
#[test]
fn who_waits_for_the_budget_comes_to_a_token_in_the_end() {
    let redis = Redis::start();
    let (replicas, browsers) = signed_in(&redis, 30, 1);
    std::thread::sleep(Duration::from_millis(1100));
    limit(&replicas, "5/s");
    let earlier = replicas.world.provider.token_arrivals(replicas.world.client_id());
    std::thread::scope(|scope| {
        for (turn, browser) in browsers.iter().enumerate() {
            let replicas = &replicas;
            scope.spawn(move || {
                within(Duration::from_secs(40), "a token should be had", || {
                    let answer = replicas.get(turn, browser, "/api/x");
                    if answer.status == 200 {
                        return Some(());
                    }
                    is_an_outage(&answer, "provider_unavailable");
                    std::thread::sleep(Duration::from_millis(200));
                    None
                });
            });
        }
    });
    let times = arrivals(&replicas, earlier);
    assert_eq!(times.len(), 30, "one call for each");
    assert!(busiest(&times, 1000) <= 5, "{times:?}");
}

/// Tokens that are good for a while yet are replaced beside the requests, spread and below the budget.
#[test]
fn early_refreshes_wait_their_turn_while_the_old_token_is_used() {
    let redis = Redis::start();
    let (replicas, browsers) = signed_in(&redis, 8, 40);
    limit(&replicas, "5/s");
    // Early is what has a fifth of its life left, and due three seconds before its end.
    std::thread::sleep(EARLY_IN_40);
    let earlier = replicas.world.provider.token_arrivals(replicas.world.client_id());
    for (turn, browser) in browsers.iter().enumerate() {
        is_fine(&replicas.get(turn, browser, "/api/x"));
    }
    eventually("every token should be replaced", || (arrivals(&replicas, earlier).len() >= 8).then_some(()));
    let times = arrivals(&replicas, earlier);
    assert_eq!(times.len(), 8);
    assert!(busiest(&times, 1000) <= 4, "logins keep theirs: {times:?}");
    for (turn, browser) in browsers.iter().enumerate() {
        is_fine(&replicas.get(turn + 1, browser, "/api/x"));
    }
    assert_eq!(arrivals(&replicas, earlier).len(), 8);
}

#[test]
fn a_429_stops_every_replica_for_as_long_as_it_says_and_logs_nobody_out() {
    let redis = Redis::start();
    let (replicas, browsers) = signed_in(&redis, 6, 1);
    std::thread::sleep(Duration::from_millis(1100));
    let earlier = replicas.world.provider.token_arrivals(replicas.world.client_id());
    replicas.token_fault(json!({ "status": 429, "headers": { "retry-after": "4" }, "body": {}, "times": 1 }));
    for (turn, browser) in browsers.iter().enumerate() {
        let answer = replicas.get(turn, browser, "/api/x");
        is_an_outage(&answer, "provider_unavailable");
        let pause: u64 = answer.header("retry-after").expect("it says when").parse().expect("seconds");
        assert!((1..=4).contains(&pause), "{pause}");
    }
    let mut newcomer = replicas.tab(1, &Browser::new());
    let page = newcomer.sign_in(&replicas.site(), "ada");
    assert!(matches!((page.response.status, page.response.reason()), (503, "provider_unavailable") | (200 | 404, _)));
    let first = arrivals(&replicas, earlier);
    for (turn, browser) in browsers.iter().enumerate() {
        within(Duration::from_secs(15), "the session should go on", || {
            let answer = replicas.get(turn, browser, "/api/x");
            if answer.status != 200 {
                is_an_outage(&answer, "provider_unavailable");
            }
            (answer.status == 200).then_some(())
        });
    }
    let times = arrivals(&replicas, earlier);
    assert!(times.len() >= 7 && times[1] >= first[0] + 3900, "asked again after {} ms", times[1] - first[0]);
    let metrics: Vec<String> = (0..2).map(|number| replicas.gateway(number).admin("/metrics").text()).collect();
    let pauses = metrics
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| line.starts_with("cloakroom_provider_pauses_total") && line.ends_with(" 1"));
    assert_eq!(pauses.count(), 1);
}

#[test]
fn a_login_is_not_stopped_by_a_store_that_cannot_count_it() {
    let redis = Redis::start();
    let mut setup = patient();
    setup.sites[0].provider.push("budget = \"10/min\"".into());
    setup.admin.push("metrics_public = true".into());
    let replicas = Replicas::start(1, &redis, "0s", setup);
    // The budget cannot be asked, everything else can.
    redis.command(&["ACL", "SETUSER", "default", "-zscore"]);
    let browser = replicas.world.signed_in();
    is_fine(&replicas.get(0, &browser, "/api/x"));
    let metrics = replicas.gateway(0).admin("/metrics").text();
    assert!(metrics.contains("call=\"login\",outcome=\"estimated\"} 1"), "{metrics}");
}

/// A stop does not wait for those who wait for their turn.
#[test]
fn a_stop_does_not_wait_for_refreshes_that_have_not_begun() {
    let redis = Redis::start();
    let (mut replicas, browsers) = signed_in(&redis, 1, 40);
    limit(&replicas, "1/h");
    // The one call of the hour.
    let mut other = Browser::new();
    other.sign_in(&replicas.site(), "ada");
    std::thread::sleep(EARLY_IN_40);
    is_fine(&replicas.get(0, &browsers[0], "/api/x"));
    let stopped = std::time::Instant::now();
    replicas.world.gateway.process.signal("TERM");
    replicas.world.gateway.process.wait(Duration::from_secs(15));
    assert!(stopped.elapsed() < Duration::from_secs(3), "{:?}", stopped.elapsed());
}
