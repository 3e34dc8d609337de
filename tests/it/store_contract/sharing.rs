//! The laws of what replicas do together: leases, further indexes, scans.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use cloakroom::session::store::{Cursor, EndReason, Holder, Lease};

use super::place::{LONG, Place, SHORT, bytes, key};

const A: Holder = Holder(u128::MAX);
const B: Holder = Holder(2);

#[tokio::test]
async fn on_one_redis() {
    every_law(&Place::redis()).await;
}

pub(crate) async fn every_law(place: &Place) {
    a_lease_has_one_holder_who_may_renew_it(place).await;
    a_lease_ends_by_itself(place).await;
    only_the_holder_gives_a_lease_back(place).await;
    a_verdict_is_told_for_its_time_instead_of_the_lease(place).await;
    a_session_is_filed_under_one_more_index(place).await;
    a_scan_finds_every_live_session_and_nothing_else(place).await;
    of_many_holders_one_has_the_lease(place);
}

async fn a_lease_has_one_holder_who_may_renew_it(place: &Place) {
    let (store, id) = (place.store(), key("renewed"));
    assert_eq!(store.hold(&id, A, LONG).await.unwrap(), Lease::Mine);
    assert!(store.hold(&id, B, LONG).await.unwrap().is_taken());
    assert_eq!(store.hold(&id, A, SHORT).await.unwrap(), Lease::Mine);
    store.release(&id, A, None).await.unwrap();
    assert_eq!(store.hold(&id, B, LONG).await.unwrap(), Lease::Mine);
}

async fn a_lease_ends_by_itself(place: &Place) {
    let (store, id) = (place.store(), key("short"));
    assert_eq!(store.hold(&id, A, SHORT).await.unwrap(), Lease::Mine);
    place.pass(SHORT / 2).await;
    assert_eq!(store.hold(&id, A, SHORT).await.unwrap(), Lease::Mine, "renewed");
    place.pass(SHORT / 2).await;
    assert!(store.hold(&id, B, SHORT).await.unwrap().is_taken());
    place.pass(SHORT).await;
    assert_eq!(store.hold(&id, B, LONG).await.unwrap(), Lease::Mine);
    store.release(&id, A, Some((bytes("late"), LONG))).await.unwrap();
    assert!(store.hold(&id, A, LONG).await.unwrap().is_taken(), "who lost it decides nothing");
}

async fn only_the_holder_gives_a_lease_back(place: &Place) {
    let (store, id) = (place.store(), key("held"));
    store.release(&id, A, Some((bytes("x"), LONG))).await.unwrap();
    assert_eq!(store.hold(&id, A, LONG).await.unwrap(), Lease::Mine, "nobody's lease cannot be given back");
    store.release(&id, B, None).await.unwrap();
    assert!(store.hold(&id, B, LONG).await.unwrap().is_taken());
}

async fn a_verdict_is_told_for_its_time_instead_of_the_lease(place: &Place) {
    let (store, id) = (place.store(), key("decided"));
    for verdict in [&b"d\0\xff"[..], b""] {
        assert_eq!(store.hold(&id, A, LONG).await.unwrap(), Lease::Mine);
        store.release(&id, A, Some((Bytes::copy_from_slice(verdict), SHORT))).await.unwrap();
        let told = Lease::Decided(Bytes::copy_from_slice(verdict));
        assert_eq!(store.hold(&id, B, LONG).await.unwrap(), told);
        assert_eq!(store.hold(&id, A, LONG).await.unwrap(), told);
        place.pass(SHORT).await;
    }
    assert_eq!(store.hold(&id, B, LONG).await.unwrap(), Lease::Mine);
}

async fn a_session_is_filed_under_one_more_index(place: &Place) {
    let (store, until) = (place.store(), place.clock.now().plus(LONG));
    store.insert(&key("filed"), place.entry(b"x", LONG, &[key("old index")])).await.unwrap();
    store.file(&key("new index"), &key("filed"), until).await.unwrap();
    store.file(&key("new index"), &key("filed"), until).await.unwrap();
    assert_eq!(store.indexed(&key("new index")).await.unwrap(), [key("filed")]);
    assert_eq!(store.indexed(&key("old index")).await.unwrap(), [key("filed")]);
    store.end(&key("filed"), EndReason::Revoked).await.unwrap();
}

async fn a_scan_finds_every_live_session_and_nothing_else(place: &Place) {
    let store = place.store();
    for number in 0..1200 {
        let id = key(&format!("scanned {number}"));
        store.insert(&id, place.entry(b"sealed", LONG, &[key("scanned")])).await.unwrap();
    }
    store.replace(&key("scanned 7"), 1, bytes("new")).await.unwrap();
    store.end(&key("scanned 8"), EndReason::Revoked).await.unwrap();
    store.put_once(&key("scanned 9"), bytes("a note"), LONG).await.unwrap();
    let (mut found, mut cursor, mut pages) = (BTreeMap::new(), Some(Cursor::default()), 0);
    while let Some(from) = cursor {
        let page = store.scan(&from).await.unwrap();
        found.extend(page.sessions.into_iter().map(|(key, stored)| (key, stored.version)));
        (cursor, pages) = (page.next, pages + 1);
    }
    assert_eq!((found.len(), found.get(&key("scanned 7")), found.get(&key("scanned 8"))), (1199, Some(&2), None));
    assert!(pages > 1, "a store of many sessions comes in pages");
    assert!(store.scan(&Cursor(b"9 0 elsewhere".to_vec())).await.is_err(), "a cursor of other servers means nothing");
}

fn of_many_holders_one_has_the_lease(place: &Place) {
    for round in 0..10 {
        let id = key(&format!("raced {round}"));
        let held = place.workers(4, |store, _| async move {
            let mut mine = 0;
            for _ in 0..5 {
                mine += usize::from(store.hold(&id, Holder::random(), LONG).await.unwrap() == Lease::Mine);
            }
            mine
        });
        assert_eq!(held.into_iter().sum::<usize>(), 1);
    }
}

/// So that a lease is not mistaken for one of the other kinds of keys.
#[tokio::test]
async fn every_lease_has_an_expiry() {
    let place = Place::redis();
    let server = place.server();
    let left = |id: &str| server.command(&["PTTL", &format!("cloakroom:l:{{{}}}", key(id))]);
    place.store().hold(&key("l"), A, Duration::from_secs(9)).await.unwrap();
    let milliseconds: u64 = left("l").trim().trim_start_matches(':').parse().unwrap();
    assert!((8000..=9000).contains(&milliseconds));
    place.store().release(&key("l"), A, Some((bytes("x"), Duration::from_secs(3)))).await.unwrap();
    let milliseconds: u64 = left("l").trim().trim_start_matches(':').parse().unwrap();
    assert!((2000..=3000).contains(&milliseconds));
}
