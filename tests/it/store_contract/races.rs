//! The laws of many callers, on threads with a runtime each: whatever the interleaving, the outcome is one of few.

use bytes::Bytes;
use cloakroom::session::store::{EndReason, Loaded, Replaced};
use futures_util::future::join_all;

use super::place::{LONG, Place, bytes, key};

const WORKERS: usize = 5;
const EACH: usize = 10;

fn ones(outcomes: Vec<Vec<bool>>) -> usize {
    outcomes.into_iter().flatten().filter(|won| *won).count()
}

pub(crate) async fn of_fifty_takers_one_gets_the_note(place: &Place) {
    for round in 0..20 {
        let id = key(&format!("note {round}"));
        assert!(place.store().put_once(&id, bytes("state"), LONG).await.unwrap());
        let taken = place.workers(WORKERS, |store, _| async move {
            let taken = join_all((0..EACH).map(|_| store.take(&id))).await;
            taken.into_iter().map(|note| note.unwrap().is_some()).collect()
        });
        assert_eq!(ones(taken), 1);
    }
}

pub(crate) async fn of_fifty_putters_one_puts_the_note(place: &Place) {
    for round in 0..20 {
        let id = key(&format!("note {round}"));
        let put = place.workers(WORKERS, |store, _| async move {
            let put = join_all((0..EACH).map(|_| store.put_once(&id, bytes("lease"), LONG))).await;
            put.into_iter().map(Result::unwrap).collect()
        });
        assert_eq!(ones(put), 1);
    }
}

pub(crate) async fn of_fifty_inserts_one_is_written(place: &Place) {
    for round in 0..20 {
        let id = key(&format!("session {round}"));
        let inserted = place.workers(WORKERS, |store, _| async move {
            let inserted = join_all((0..EACH).map(|_| store.insert(&id, place.entry(b"x", LONG, &[key("i")])))).await;
            inserted.into_iter().map(Result::unwrap).collect()
        });
        assert_eq!(ones(inserted), 1);
    }
}

/// Everybody writes what they read plus their own mark; a lost or doubled write would show in the record.
pub(crate) async fn every_version_is_replaced_exactly_once(place: &Place) {
    let id = key("s");
    place.store().insert(&id, place.entry(b"", LONG, &[])).await.unwrap();
    let mut done = place.workers(WORKERS, |store, number| async move {
        let mut done = Vec::new();
        while done.len() < 20 {
            let Loaded::Live(stored) = store.load(&id).await.unwrap() else { panic!("a live session was lost") };
            let mut sealed = stored.sealed.to_vec();
            sealed.push(u8::try_from(number).unwrap());
            match store.replace(&id, stored.version, Bytes::from(sealed)).await.unwrap() {
                Replaced::Done => done.push(stored.version),
                Replaced::Conflict => {}
                Replaced::Gone(_) => panic!("a live session was lost"),
            }
        }
        done
    });
    let mut versions: Vec<u64> = done.drain(..).flatten().collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=100).collect::<Vec<u64>>(), "each version has exactly one successor");
    let Loaded::Live(stored) = place.store().load(&id).await.unwrap() else { panic!("a live session was lost") };
    assert_eq!((stored.version, stored.sealed.len()), (101, 100), "no write was lost");
}

pub(crate) async fn an_end_that_races_replaces_is_final(place: &Place) {
    const ROUNDS: usize = 60;
    let ids: Vec<_> = (0..ROUNDS).map(|round| key(&format!("session {round}"))).collect();
    let store = place.store();
    for id in &ids {
        store.insert(id, place.entry(b"0", LONG, &[])).await.unwrap();
    }
    place.workers(4, |store, number| {
        let ids = &ids;
        async move {
            for (round, id) in ids.iter().enumerate() {
                if number == 0 {
                    // The end comes after none, one, two … of the writes, in another place each time.
                    for _ in 0..round % 7 {
                        tokio::task::yield_now().await;
                        store.load(id).await.unwrap();
                    }
                    assert!(store.end(id, EndReason::Revoked).await.unwrap().is_now());
                    assert_eq!(store.load(id).await.unwrap(), Loaded::Ended(EndReason::Revoked));
                } else {
                    write_until_gone(&*store, id).await;
                }
                assert_eq!(store.load(id).await.unwrap(), Loaded::Ended(EndReason::Revoked));
            }
        }
    });
    for id in &ids {
        assert_eq!(store.load(id).await.unwrap(), Loaded::Ended(EndReason::Revoked));
    }
}

async fn write_until_gone(store: &dyn cloakroom::session::store::Store, id: &cloakroom::session::store::StoreKey) {
    let mut version = 1;
    loop {
        match store.replace(id, version, bytes("late")).await.unwrap() {
            Replaced::Done => version += 1,
            Replaced::Conflict => match store.load(id).await.unwrap() {
                Loaded::Live(stored) => version = stored.version,
                Loaded::Ended(EndReason::Revoked) => return,
                other => panic!("{other:?}"),
            },
            Replaced::Gone(reason) => return assert_eq!(reason, Some(EndReason::Revoked)),
        }
    }
}

pub(crate) async fn of_many_ends_one_is_now(place: &Place) {
    for round in 0..20 {
        let id = key(&format!("session {round}"));
        place.store().insert(&id, place.entry(b"x", LONG, &[])).await.unwrap();
        let ended = place.workers(WORKERS, |store, _| async move {
            let ended = join_all((0..EACH).map(|_| store.end(&id, EndReason::Idle))).await;
            ended.into_iter().map(|outcome| outcome.unwrap().is_now()).collect()
        });
        assert_eq!(ones(ended), 1);
    }
}
