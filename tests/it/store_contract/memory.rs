//! What only memory can get wrong: growing.

use std::time::Duration;

use cloakroom::session::store::memory::MemoryStore;
use cloakroom::session::store::{Cursor, EndReason, Loaded, Store as _};

use super::place::{LONG, bytes, entry, hand_moved, key};

#[tokio::test]
async fn memory_follows_the_number_of_live_sessions_and_not_of_all_that_were() {
    let clock = hand_moved();
    let store = MemoryStore::new(clock.clone());
    let life = Duration::from_secs(1000);
    let mut most = 0;
    for number in 0..20_000 {
        let (id, index) = (key(&format!("session {number}")), key(&format!("index {}", number % 7000)));
        store.insert(&id, entry(&clock, b"x", life, &[index, key("all")])).await.unwrap();
        store.put_once(&id, bytes("n"), Duration::from_secs(10)).await.unwrap();
        clock.advance(Duration::from_secs(1));
        most = most.max(store.rows());
    }
    // 1,000 sessions live at a time, each in two indexes, and ten notes.
    assert!(most <= 3 * 1000 + 200, "{most} rows");
}

#[tokio::test]
async fn a_mass_expiry_is_swept_by_the_writes_that_follow() {
    let clock = hand_moved();
    let store = MemoryStore::new(clock.clone());
    for number in 0..5000 {
        store.insert(&key(&number.to_string()), entry(&clock, b"x", LONG, &[key("all")])).await.unwrap();
    }
    clock.advance(LONG);
    for number in 0..200 {
        store.put_once(&key(&number.to_string()), bytes("n"), LONG).await.unwrap();
    }
    assert_eq!(store.rows(), 200);
}

#[tokio::test]
async fn a_reason_is_forgotten_after_an_hour() {
    let clock = hand_moved();
    let store = MemoryStore::new(clock.clone());
    store.insert(&key("s"), entry(&clock, b"x", LONG, &[])).await.unwrap();
    store.end(&key("s"), EndReason::Revoked).await.unwrap();
    clock.advance(Duration::from_secs(3599));
    assert_eq!(store.load(&key("s")).await.unwrap(), Loaded::Ended(EndReason::Revoked));
    clock.advance(Duration::from_secs(1));
    assert_eq!(store.load(&key("s")).await.unwrap(), Loaded::Absent);
    assert!(store.take(&key("nothing")).await.unwrap().is_none());
    assert_eq!(store.rows(), 0);
}

#[tokio::test]
async fn a_walk_shows_a_session_once_whatever_else_stands_under_its_key() {
    let clock = hand_moved();
    let store = MemoryStore::new(clock.clone());
    store.insert(&key("s"), entry(&clock, b"x", LONG, &[key("s")])).await.unwrap();
    store.put_once(&key("s"), bytes("n"), LONG).await.unwrap();
    assert_eq!(store.scan(&Cursor::default()).await.unwrap().sessions.len(), 1);
    assert!(store.scan(&Cursor(b"nowhere".to_vec())).await.is_err());
}
