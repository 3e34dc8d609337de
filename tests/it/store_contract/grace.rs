//! What the outage grace promises, on a store that can be switched off, and once on a real Redis.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cloakroom::clock::Clock;
use cloakroom::config::{StoreConfig, StoreKind};
use cloakroom::session::store::changes::Change;
use cloakroom::session::store::near::PENDING_ENDS;
use cloakroom::session::store::{EndReason, Loaded, Replaced, Store as _, Stored, Stores};

use super::place::{LONG, bytes, entry, key};
use super::process::{GRACE, Process};
use crate::support::Redis;

const SECOND: Duration = Duration::from_secs(1);

fn live(version: u64, sealed: &'static str) -> Loaded {
    Loaded::Live(Stored { version, sealed: bytes(sealed) })
}

#[tokio::test]
async fn a_session_seen_within_grace_is_served_by_every_worker_while_the_store_is_down() {
    let process = Process::start();
    let id = process.session(LONG).await;
    process.clock.advance(GRACE);
    assert_eq!(process.one.load(&id).await.unwrap(), live(1, "one"));
    process.down(true);
    process.clock.advance(GRACE);
    assert_eq!(process.two.load(&id).await.unwrap(), live(1, "one"));
    process.clock.advance(SECOND);
    assert!(process.two.load(&id).await.is_err(), "being served from memory is not being seen");
    process.down(false);
    assert_eq!(process.two.load(&id).await.unwrap(), live(1, "one"));
}

#[tokio::test]
async fn what_was_written_last_is_what_is_served() {
    let process = Process::start();
    let id = process.session(LONG).await;
    assert_eq!(process.two.replace(&id, 1, bytes("two")).await.unwrap(), Replaced::Done);
    process.down(true);
    assert_eq!(process.one.load(&id).await.unwrap(), live(2, "two"));
}

#[tokio::test]
async fn a_session_that_was_not_seen_is_not_known() {
    let process = Process::start();
    process.inner.store.insert(&key("other"), entry(&process.clock, b"x", LONG, &[])).await.unwrap();
    process.down(true);
    assert!(process.one.load(&key("other")).await.is_err());
}

#[tokio::test]
async fn no_session_is_served_beyond_its_absolute_end() {
    let process = Process::start();
    let id = process.session(GRACE / 2).await;
    assert_eq!(process.one.load(&id).await.unwrap(), live(1, "one"));
    process.down(true);
    process.clock.advance(GRACE / 2);
    assert!(process.one.load(&id).await.is_err());
}

#[tokio::test]
async fn a_session_only_read_is_not_served_beyond_its_absolute_end_either() {
    let process = Process::start();
    process.inner.store.insert(&key("s"), entry(&process.clock, b"one", GRACE / 2, &[])).await.unwrap();
    assert_eq!(process.one.load(&key("s")).await.unwrap(), live(1, "one"));
    process.inner.store.replace(&key("s"), 1, bytes("two")).await.unwrap();
    process.one.replace(&key("s"), 2, bytes("three")).await.unwrap();
    process.down(true);
    assert_eq!(process.one.load(&key("s")).await.unwrap(), live(3, "three"));
    process.clock.advance(GRACE / 2);
    assert!(process.one.load(&key("s")).await.is_err());
}

#[tokio::test]
async fn nothing_can_be_written_while_the_store_is_down() {
    let process = Process::start();
    let id = process.session(LONG).await;
    process.down(true);
    assert!(process.one.replace(&id, 1, bytes("two")).await.is_err());
    assert!(process.one.insert(&key("new"), entry(&process.clock, b"x", LONG, &[])).await.is_err());
    assert!(process.one.load(&key("new")).await.is_err());
    assert!(process.one.put_once(&key("n"), bytes("x"), LONG).await.is_err());
    assert!(process.one.take(&key("n")).await.is_err());
    assert!(process.one.indexed(&key("i")).await.is_err());
    assert!(process.one.ping().await.is_err());
    assert_eq!(process.one.load(&id).await.unwrap(), live(1, "one"));
}

#[tokio::test]
async fn an_end_seen_from_the_store_is_not_forgotten_in_an_outage() {
    let process = Process::start();
    let id = process.session(LONG).await;
    process.inner.store.end(&id, EndReason::Revoked).await.unwrap();
    process.clock.advance(SECOND * 2);
    assert_eq!(process.one.load(&id).await.unwrap(), Loaded::Ended(EndReason::Revoked));
    process.down(true);
    assert_eq!(process.two.load(&id).await.unwrap(), Loaded::Ended(EndReason::Revoked));
}

#[tokio::test]
async fn an_end_met_by_a_write_is_not_forgotten_either() {
    let process = Process::start();
    let id = process.session(LONG).await;
    process.inner.store.end(&id, EndReason::Idle).await.unwrap();
    assert_eq!(process.one.replace(&id, 1, bytes("late")).await.unwrap(), Replaced::Gone(Some(EndReason::Idle)));
    process.down(true);
    assert_eq!(process.two.load(&id).await.unwrap(), Loaded::Ended(EndReason::Idle));
}

#[tokio::test]
async fn without_a_grace_an_outage_is_told_at_once() {
    let process = Process::with(Duration::ZERO);
    let id = process.session(LONG).await;
    process.down(true);
    process.clock.advance(SECOND * 2);
    assert!(process.one.load(&id).await.is_err());
    process.one.end(&id, EndReason::Revoked).await.unwrap_err();
    assert_eq!(process.two.load(&id).await.unwrap(), Loaded::Ended(EndReason::Revoked), "a logout waits all the same");
}

#[tokio::test]
async fn a_copy_counts_from_when_its_channel_was_last_heard() {
    let process = Process::start();
    process.hear();
    let id = process.session(LONG).await;
    process.clock.advance(SECOND * 20);
    process.hear();
    process.down(true);
    process.clock.advance(GRACE);
    assert_eq!(process.two.load(&id).await.unwrap(), live(1, "one"));
    process.changes.lost();
    assert_eq!(process.two.load(&id).await.unwrap(), live(1, "one"), "a new channel takes nothing away");
    process.clock.advance(SECOND);
    assert!(process.two.load(&id).await.is_err());
}

#[tokio::test]
async fn a_change_heard_before_the_outage_ends_the_vouching_and_an_end_ends_the_copy() {
    let process = Process::start();
    process.hear();
    let id = process.session(LONG).await;
    process.clock.advance(SECOND * 5);
    process.hear();
    process.changes.changed(&id, Change::Written(2));
    process.down(true);
    process.clock.advance(GRACE);
    process.hear();
    assert_eq!(process.one.load(&id).await.unwrap(), live(1, "one"), "the last that was read bridges");
    process.clock.advance(SECOND);
    process.hear();
    assert!(process.one.load(&id).await.is_err());
    process.down(false);
    process.one.load(&id).await.unwrap();
    process.down(true);
    process.changes.changed(&id, Change::Ended);
    assert!(process.one.load(&id).await.is_err());
}

#[tokio::test]
async fn an_absent_session_is_not_served_from_memory() {
    let process = Process::start();
    let id = process.session(LONG).await;
    process.inner.empty.store(true, Ordering::SeqCst);
    process.clock.advance(SECOND * 2);
    assert_eq!(process.one.load(&id).await.unwrap(), Loaded::Absent);
    process.inner.empty.store(false, Ordering::SeqCst);
    process.down(true);
    assert!(process.one.load(&id).await.is_err());
}

#[tokio::test]
async fn a_logout_during_an_outage_counts_here_at_once_and_in_the_store_as_soon_as_it_is_back() {
    let process = Process::start();
    let id = process.session(LONG).await;
    process.down(true);
    assert!(process.one.end(&id, EndReason::Revoked).await.is_err(), "never a false success");
    for worker in [&process.one, &process.two] {
        assert_eq!(worker.load(&id).await.unwrap(), Loaded::Ended(EndReason::Revoked));
        let late = worker.replace(&id, 1, bytes("late")).await.unwrap();
        assert_eq!(late, Replaced::Gone(Some(EndReason::Revoked)));
    }
    process.memory.flush(&*process.inner, PENDING_ENDS).await;
    assert_eq!(process.memory.pending(), 1, "still down, still remembered");
    process.clock.advance(GRACE * 100);
    process.down(false);
    process.memory.flush(&*process.inner, PENDING_ENDS).await;
    assert_eq!(process.memory.pending(), 0);
    assert_eq!(process.inner.store.load(&id).await.unwrap(), Loaded::Ended(EndReason::Revoked));
    assert_eq!(process.one.load(&id).await.unwrap(), Loaded::Ended(EndReason::Revoked));
}

#[tokio::test]
async fn a_request_of_anybody_sends_a_waiting_end_along() {
    let process = Process::start();
    let id = process.session(LONG).await;
    process.down(true);
    process.one.end(&id, EndReason::Revoked).await.unwrap_err();
    process.down(false);
    assert_eq!(process.two.load(&key("somebody else")).await.unwrap(), Loaded::Absent);
    assert_eq!(process.memory.pending(), 0);
    assert_eq!(process.inner.store.load(&id).await.unwrap(), Loaded::Ended(EndReason::Revoked));
}

#[tokio::test]
async fn an_end_that_cannot_be_sent_keeps_none_of_the_others_back() {
    let process = Process::start();
    let ids: Vec<_> = (0..200).map(|number| key(&number.to_string())).collect();
    for id in &ids {
        assert!(process.one.insert(id, entry(&process.clock, b"one", LONG, &[])).await.unwrap());
    }
    process.down(true);
    for id in &ids {
        process.one.end(id, EndReason::Revoked).await.unwrap_err();
    }
    process.down(false);
    process.inner.out_of_reach.lock().unwrap().extend(ids.iter().step_by(3));
    process.memory.flush(&*process.inner, PENDING_ENDS).await;
    assert_eq!(process.memory.pending(), ids.iter().step_by(3).count());
    process.inner.out_of_reach.lock().unwrap().clear();
    process.memory.flush(&*process.inner, PENDING_ENDS).await;
    assert_eq!(process.memory.pending(), 0);
    for id in &ids {
        assert_eq!(process.inner.store.load(id).await.unwrap(), Loaded::Ended(EndReason::Revoked));
    }
}

/// The browser that logs out goes away at once; its request is dropped while the store hangs.
#[tokio::test]
async fn a_logout_whose_request_is_dropped_still_counts() {
    let process = Process::start();
    let id = process.session(LONG).await;
    process.inner.hangs.store(true, Ordering::SeqCst);
    let ending = process.one.end(&id, EndReason::Revoked);
    assert!(tokio::time::timeout(Duration::from_millis(10), ending).await.is_err());
    process.inner.hangs.store(false, Ordering::SeqCst);
    process.down(true);
    assert_eq!(process.two.load(&id).await.unwrap(), Loaded::Ended(EndReason::Revoked));
}

#[tokio::test]
async fn the_ends_that_wait_are_bounded() {
    let process = Process::start();
    process.down(true);
    for number in 0..PENDING_ENDS + 10 {
        process.one.end(&key(&number.to_string()), EndReason::Revoked).await.unwrap_err();
    }
    assert_eq!(process.memory.pending(), PENDING_ENDS);
}

#[tokio::test]
async fn a_frozen_redis_is_bridged_for_what_was_seen() {
    let server = Redis::start();
    let config = StoreConfig { kind: StoreKind::Redis(server.config()), grace: GRACE };
    let stores = Stores::open(&config, Clock::System).unwrap();
    let (one, two) = (stores.connect(), stores.connect());
    let (kept, left) = (key("kept"), key("left"));
    one.insert(&kept, entry(&Clock::System, b"one", LONG, &[])).await.unwrap();
    one.insert(&left, entry(&Clock::System, b"one", LONG, &[])).await.unwrap();
    server.freeze();
    one.end(&left, EndReason::Revoked).await.unwrap_err();
    for _ in 0..10 {
        assert_eq!(two.load(&kept).await.unwrap(), live(1, "one"));
        assert_eq!(two.load(&left).await.unwrap(), Loaded::Ended(EndReason::Revoked));
    }
    server.thaw();
    let replica = Stores::open(&config, Clock::System).unwrap().connect();
    stores.flush_pending_ends().await;
    assert_eq!(replica.load(&left).await.unwrap(), Loaded::Ended(EndReason::Revoked));
    assert_eq!(replica.load(&kept).await.unwrap(), live(1, "one"));
}
