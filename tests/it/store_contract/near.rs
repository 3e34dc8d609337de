//! What the near cache promises: what costs nothing, and what is never told.

use std::time::{Duration, Instant};

use cloakroom::session::store::changes::{Change, Changes};
use cloakroom::session::store::{EndReason, Loaded, Replaced, Store as _, Stored};
use futures_util::FutureExt as _;

use super::place::{LONG, bytes, entry, key};
use super::process::Process;

const SECOND: Duration = Duration::from_secs(1);

fn live(version: u64, sealed: &'static str) -> Loaded {
    Loaded::Live(Stored { version, sealed: bytes(sealed) })
}

#[tokio::test]
async fn an_unchanged_session_costs_no_question_while_the_channel_is_heard() {
    let process = Process::start();
    process.hear();
    let id = process.session(LONG).await;
    for _ in 0..30 {
        for worker in [&process.one, &process.two] {
            assert_eq!(worker.load(&id).await.unwrap(), live(1, "one"));
        }
        process.clock.advance(SECOND);
        process.hear();
    }
    assert_eq!(process.asked(), 0);
}

#[tokio::test]
async fn a_session_only_read_is_copied_as_well() {
    let process = Process::start();
    process.hear();
    process.inner.store.insert(&key("s"), entry(&process.clock, b"one", LONG, &[])).await.unwrap();
    for _ in 0..10 {
        assert_eq!(process.two.load(&key("s")).await.unwrap(), live(1, "one"));
    }
    assert_eq!(process.asked(), 1);
}

#[tokio::test]
async fn a_change_by_others_is_read_at_once_and_once() {
    let process = Process::start();
    process.hear();
    let id = process.session(LONG).await;
    process.inner.store.replace(&id, 1, bytes("two")).await.unwrap();
    process.changes.changed(&id, Change::Written(2));
    for _ in 0..10 {
        assert_eq!(process.one.load(&id).await.unwrap(), live(2, "two"));
    }
    assert_eq!(process.asked(), 1);
}

#[tokio::test]
async fn an_end_by_others_is_never_followed_by_the_session() {
    let process = Process::start();
    process.hear();
    let id = process.session(LONG).await;
    process.inner.store.end(&id, EndReason::Revoked).await.unwrap();
    process.changes.changed(&id, Change::Ended);
    for _ in 0..10 {
        assert_eq!(process.two.load(&id).await.unwrap(), Loaded::Ended(EndReason::Revoked));
    }
    assert_eq!(process.asked(), 1);
}

#[tokio::test]
async fn a_channel_not_heard_for_more_than_a_second_is_not_trusted() {
    let process = Process::start();
    process.hear();
    let id = process.session(LONG).await;
    process.clock.advance(SECOND * 5);
    process.hear();
    process.inner.store.replace(&id, 1, bytes("two")).await.unwrap();
    process.clock.advance(SECOND);
    assert_eq!(process.one.load(&id).await.unwrap(), live(1, "one"), "what was sent may be on its way");
    process.clock.advance(Duration::from_millis(1));
    assert_eq!(process.one.load(&id).await.unwrap(), live(2, "two"));
}

#[tokio::test]
async fn without_a_channel_a_copy_is_told_for_a_second() {
    let process = Process::start();
    let id = process.session(LONG).await;
    process.inner.store.replace(&id, 1, bytes("two")).await.unwrap();
    process.clock.advance(SECOND);
    assert_eq!(process.one.load(&id).await.unwrap(), live(1, "one"));
    assert_eq!(process.one.load(&id).await.unwrap(), live(1, "one"), "being told is not being confirmed");
    process.clock.advance(Duration::from_millis(1));
    assert_eq!(process.two.load(&id).await.unwrap(), live(2, "two"));
    assert_eq!(process.asked(), 1);
}

#[tokio::test]
async fn a_copy_made_before_the_channel_was_is_not_vouched_for_by_it() {
    let process = Process::start();
    let id = process.session(LONG).await;
    process.inner.store.end(&id, EndReason::Revoked).await.unwrap();
    process.clock.advance(SECOND * 2);
    process.hear();
    assert_eq!(process.one.load(&id).await.unwrap(), Loaded::Ended(EndReason::Revoked));
}

#[tokio::test]
async fn a_channel_made_anew_vouches_for_nothing_from_before() {
    let process = Process::start();
    process.hear();
    let id = process.session(LONG).await;
    process.clock.advance(SECOND * 2);
    process.inner.store.end(&id, EndReason::Revoked).await.unwrap();
    process.changes.lost();
    process.hear();
    assert_eq!(process.one.load(&id).await.unwrap(), Loaded::Ended(EndReason::Revoked));
}

#[tokio::test]
async fn a_store_that_was_emptied_without_a_word_is_noticed_in_half_a_minute() {
    let process = Process::start();
    process.hear();
    let id = process.session(LONG).await;
    process.inner.empty.store(true, std::sync::atomic::Ordering::SeqCst);
    process.clock.advance(SECOND * 30);
    process.hear();
    assert_eq!(process.one.load(&id).await.unwrap(), live(1, "one"));
    process.clock.advance(SECOND);
    process.hear();
    assert_eq!(process.one.load(&id).await.unwrap(), Loaded::Absent);
}

#[tokio::test]
async fn no_copy_outlives_the_absolute_end() {
    let process = Process::start();
    process.hear();
    let id = process.session(SECOND).await;
    process.clock.advance(SECOND);
    process.hear();
    assert_eq!(process.one.load(&id).await.unwrap(), Loaded::Absent);
}

#[tokio::test]
async fn what_one_worker_did_every_worker_knows() {
    let process = Process::start();
    process.hear();
    let id = process.session(LONG).await;
    assert_eq!(process.one.replace(&id, 1, bytes("two")).await.unwrap(), Replaced::Done);
    assert_eq!(process.two.load(&id).await.unwrap(), live(2, "two"));
    process.two.end(&id, EndReason::Idle).await.unwrap();
    assert_eq!(process.one.load(&id).await.unwrap(), Loaded::Ended(EndReason::Idle));
    assert_eq!(process.asked(), 0);
}

#[tokio::test]
async fn who_is_told_of_a_conflict_reads_the_other_write_next() {
    let process = Process::start();
    let id = process.session(LONG).await;
    process.inner.store.replace(&id, 1, bytes("theirs")).await.unwrap();
    assert_eq!(process.one.replace(&id, 1, bytes("ours")).await.unwrap(), Replaced::Conflict);
    assert_eq!(process.two.load(&id).await.unwrap(), live(2, "theirs"));
}

#[tokio::test]
async fn load_now_asks_the_store_and_refreshes_the_copy() {
    let process = Process::start();
    process.hear();
    let id = process.session(LONG).await;
    process.inner.store.replace(&id, 1, bytes("two")).await.unwrap();
    assert_eq!(process.one.load(&id).await.unwrap(), live(1, "one"));
    assert_eq!(process.one.load_now(&id).await.unwrap(), live(2, "two"));
    assert_eq!(process.two.load(&id).await.unwrap(), live(2, "two"));
    assert_eq!(process.asked(), 1);
    process.down(true);
    assert!(process.one.load_now(&id).await.is_err(), "an outage is not bridged for who must know");
}

#[tokio::test]
async fn waiting_ends_with_the_news_or_with_an_own_write() {
    let process = Process::start();
    let id = process.session(LONG).await;
    let heard = process.one.changed(&id, LONG);
    process.changes.changed(&id, Change::Written(2));
    heard.await.unwrap();
    let written = process.two.changed(&id, LONG);
    process.one.replace(&id, 1, bytes("two")).await.unwrap();
    written.await.unwrap();
    assert!(process.one.changed(&id, LONG).now_or_never().is_none(), "what is over does not ring again");
    let started = Instant::now();
    process.one.changed(&id, Duration::from_millis(20)).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(20));
}

#[tokio::test]
async fn a_channel_that_was_never_heard_is_not_trusted() {
    let (changes, now) = (Changes::default(), Instant::now() + SECOND);
    assert!(!changes.trusted(now));
    changes.heard(now);
    assert!(changes.trusted(now) && changes.trusted(now + SECOND) && !changes.trusted(now + SECOND * 2));
    changes.heard(now - SECOND / 2);
    assert!(changes.trusted(now + SECOND), "an older proof takes nothing away");
    changes.lost();
    assert!(!changes.trusted(now));
}

/// One hit in the hot path of every request; the bound is for an unoptimised build on a busy machine.
#[tokio::test]
async fn a_hit_is_cheap() {
    let process = Process::start();
    process.hear();
    let id = process.session(LONG).await;
    let started = Instant::now();
    for _ in 0..100_000 {
        assert!(process.one.load(&id).now_or_never().unwrap().is_ok());
    }
    let each = started.elapsed() / 100_000;
    assert!(each < Duration::from_micros(20), "{each:?}");
    assert_eq!(process.asked(), 0);
}
