//! The laws of what replicas share: leases, news, indexes that grow, and walks through all sessions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use cloakroom::session::store::{
    Allowance, Cursor, EndReason, Holder, Lease, Loaded, Replaced, Spent, Store, StoreKey, Stored,
};
use futures_util::future::{join, join_all};

use super::place::{LONG, Place, SHORT, bytes, key};

const ONE: Holder = Holder(1);
const TWO: Holder = Holder(2);

pub(crate) async fn load_now_tells_what_stands_there(place: &Place) {
    let (store, id) = (place.store(), key("s"));
    assert_eq!(store.load_now(&id).await.unwrap(), Loaded::Absent);
    store.insert(&id, place.entry(b"one", LONG, &[])).await.unwrap();
    store.replace(&id, 1, bytes("two")).await.unwrap();
    let two = Loaded::Live(Stored { version: 2, sealed: bytes("two") });
    assert_eq!(store.load_now(&id).await.unwrap(), two);
    store.end(&id, EndReason::Idle).await.unwrap();
    assert_eq!(store.load_now(&id).await.unwrap(), Loaded::Ended(EndReason::Idle));
}

pub(crate) async fn a_lease_has_one_holder(place: &Place) {
    let (store, id) = (place.store(), key("l"));
    assert_eq!(store.hold(&id, ONE, LONG).await.unwrap(), Lease::Mine);
    assert!(store.hold(&id, TWO, LONG).await.unwrap().is_taken());
    assert_eq!(store.hold(&key("other"), TWO, LONG).await.unwrap(), Lease::Mine);
    store.release(&id, TWO, None).await.unwrap();
    assert!(store.hold(&id, TWO, LONG).await.unwrap().is_taken(), "nobody gives back what another holds");
    store.release(&id, ONE, None).await.unwrap();
    assert_eq!(store.hold(&id, TWO, LONG).await.unwrap(), Lease::Mine);
    assert!(store.hold(&id, ONE, LONG).await.unwrap().is_taken());
}

pub(crate) async fn a_lease_ends_by_itself(place: &Place) {
    let (store, id) = (place.store(), key("l"));
    assert_eq!(store.hold(&id, ONE, SHORT).await.unwrap(), Lease::Mine);
    place.pass(SHORT).await;
    assert_eq!(store.hold(&id, TWO, LONG).await.unwrap(), Lease::Mine);
    assert!(store.hold(&id, ONE, LONG).await.unwrap().is_taken(), "who comes late has lost it");
    store.release(&id, ONE, Some((bytes("late"), LONG))).await.unwrap();
    assert_eq!(store.hold(&id, TWO, LONG).await.unwrap(), Lease::Mine, "and decides nothing");
}

pub(crate) async fn a_renewed_lease_lasts_longer(place: &Place) {
    let (store, id) = (place.store(), key("l"));
    for _ in 0..4 {
        assert_eq!(store.hold(&id, ONE, SHORT).await.unwrap(), Lease::Mine);
        place.pass(SHORT / 2).await;
        assert!(store.hold(&id, TWO, SHORT).await.unwrap().is_taken());
    }
    place.pass(SHORT).await;
    assert_eq!(store.hold(&id, TWO, SHORT).await.unwrap(), Lease::Mine);
}

pub(crate) async fn a_lease_is_inherited_after_the_last_sign_of_life_only(place: &Place) {
    let (store, id) = (place.store(), key("l"));
    let sign = async |heir, silent| match store.inherit(&id, heir, silent, LONG).await.unwrap() {
        Lease::Taken(sign) => sign,
        other => panic!("{other:?}"),
    };
    assert_eq!(store.hold(&id, ONE, LONG).await.unwrap(), Lease::Mine);
    let first = sign(TWO, None).await;
    assert_eq!(sign(TWO, None).await, first, "to look is no sign of life");
    assert_eq!(store.hold(&id, ONE, LONG).await.unwrap(), Lease::Mine);
    let second = sign(TWO, Some(first)).await;
    assert_ne!(second, first, "it was renewed meanwhile");
    assert_eq!(store.inherit(&id, TWO, Some(second), LONG).await.unwrap(), Lease::Mine);
    let third = sign(ONE, Some(second)).await;
    assert!(third != first && third != second);
    store.release(&id, ONE, None).await.unwrap();
    assert_eq!(sign(ONE, None).await, third, "who was inherited from gives nothing back");
    assert_eq!(store.inherit(&id, TWO, Some(first), LONG).await.unwrap(), Lease::Mine, "a holder renews as ever");
    store.release(&id, TWO, None).await.unwrap();
    assert_eq!(store.inherit(&id, ONE, Some(third), LONG).await.unwrap(), Lease::Mine, "a free lease needs no heir");
}

pub(crate) async fn a_verdict_is_told_to_all_for_its_time(place: &Place) {
    let (store, id) = (place.store(), key("l"));
    store.hold(&id, ONE, LONG).await.unwrap();
    store.release(&id, ONE, Some((bytes("no luck"), SHORT))).await.unwrap();
    for holder in [ONE, TWO, ONE] {
        assert_eq!(store.hold(&id, holder, LONG).await.unwrap(), Lease::Decided(bytes("no luck")));
    }
    for holder in [ONE, TWO] {
        store.release(&id, holder, None).await.unwrap();
    }
    assert_eq!(store.hold(&id, TWO, LONG).await.unwrap(), Lease::Decided(bytes("no luck")), "nobody takes it back");
    place.pass(SHORT).await;
    assert_eq!(store.hold(&id, TWO, LONG).await.unwrap(), Lease::Mine);
}

pub(crate) async fn a_verdict_needs_the_lease(place: &Place) {
    let (store, id) = (place.store(), key("l"));
    store.release(&id, ONE, Some((bytes("x"), LONG))).await.unwrap();
    assert_eq!(store.hold(&id, TWO, SHORT).await.unwrap(), Lease::Mine);
    place.pass(SHORT).await;
    store.release(&id, TWO, Some((bytes("x"), LONG))).await.unwrap();
    assert_eq!(store.hold(&id, ONE, SHORT).await.unwrap(), Lease::Mine, "a lease that ran out decides nothing");
}

pub(crate) async fn a_lease_is_neither_session_nor_note_nor_index(place: &Place) {
    let (store, id) = (place.store(), key("same"));
    assert_eq!(store.hold(&id, ONE, LONG).await.unwrap(), Lease::Mine);
    assert_eq!(store.load(&id).await.unwrap(), Loaded::Absent);
    assert_eq!(store.take(&id).await.unwrap(), None);
    assert!(store.insert(&id, place.entry(b"x", LONG, &[id])).await.unwrap());
    assert!(store.put_once(&id, bytes("note"), LONG).await.unwrap());
    store.end(&id, EndReason::Revoked).await.unwrap();
    assert!(store.hold(&id, TWO, LONG).await.unwrap().is_taken());
    assert_eq!(store.indexed(&id).await.unwrap(), [id]);
}

pub(crate) async fn of_fifty_who_want_a_lease_one_gets_it(place: &Place) {
    for round in 0..20 {
        let id = key(&format!("lease {round}"));
        let held = place.workers(5, |store, _| async move {
            let held = join_all((0..10).map(|_| store.hold(&id, Holder::random(), LONG))).await;
            held.into_iter().filter(|lease| *lease.as_ref().unwrap() == Lease::Mine).count()
        });
        assert_eq!(held.into_iter().sum::<usize>(), 1);
    }
}

/// Whoever has the lease is alone, from taking it to giving it back: a plain read and write loses nothing.
pub(crate) async fn what_is_done_under_a_lease_is_done_alone(place: &Place) {
    let (lease, id) = (key("l"), key("s"));
    place.store().insert(&id, place.entry(b"x", LONG, &[])).await.unwrap();
    place.workers(4, |store, _| async move {
        for _ in 0..10 {
            let me = Holder::random();
            while store.hold(&lease, me, LONG).await.unwrap() != Lease::Mine {
                tokio::task::yield_now().await;
            }
            let Loaded::Live(stored) = store.load_now(&id).await.unwrap() else { panic!("a live session was lost") };
            assert_eq!(store.replace(&id, stored.version, stored.sealed).await.unwrap(), Replaced::Done);
            store.release(&lease, me, None).await.unwrap();
        }
    });
    let Loaded::Live(stored) = place.store().load_now(&id).await.unwrap() else { panic!("a live session was lost") };
    assert_eq!(stored.version, 41);
}

const fn allowance(most: u32, window: Duration) -> Allowance {
    Allowance { most: std::num::NonZeroU32::new(most), window }
}

pub(crate) async fn a_window_of_a_budget_holds_what_is_allowed(place: &Place) {
    let (store, id) = (place.store(), key("b"));
    for _ in 0..3 {
        assert_eq!(store.spend(&id, allowance(3, SHORT)).await.unwrap(), Spent::Granted);
    }
    for most in [1, 2, 3] {
        let spent = store.spend(&id, allowance(most, SHORT)).await.unwrap();
        assert!(matches!(spent, Spent::Wait(time) if !time.is_zero() && time <= SHORT), "{spent:?}");
    }
    assert_eq!(store.spend(&id, allowance(4, SHORT)).await.unwrap(), Spent::Granted, "who is allowed more gets more");
    assert_eq!(store.spend(&key("another"), allowance(1, SHORT)).await.unwrap(), Spent::Granted);
    place.pass(SHORT).await;
    assert_eq!(store.spend(&id, allowance(1, SHORT)).await.unwrap(), Spent::Granted);
}

pub(crate) async fn a_budget_that_is_paused_gives_nothing_out(place: &Place) {
    let (store, id) = (place.store(), key("b"));
    store.pause(&id, SHORT).await.unwrap();
    store.pause(&id, SHORT / 4).await.unwrap();
    for allowance in [allowance(9, LONG), allowance(0, LONG)] {
        let spent = store.spend(&id, allowance).await.unwrap();
        assert!(matches!(spent, Spent::Wait(time) if time > SHORT / 4 && time <= SHORT), "{spent:?}");
    }
    place.pass(SHORT).await;
    for allowance in [allowance(0, LONG), allowance(1, LONG)] {
        assert_eq!(store.spend(&id, allowance).await.unwrap(), Spent::Granted, "what is not limited is not counted");
    }
    assert!(matches!(store.spend(&id, allowance(1, LONG)).await.unwrap(), Spent::Wait(_)));
}

pub(crate) async fn of_forty_who_spend_at_once_as_many_are_granted_as_allowed(place: &Place) {
    for round in 0..5 {
        let id = key(&format!("budget {round}"));
        let granted = place.workers(4, |store, _| async move {
            let spent = join_all((0..10).map(|_| store.spend(&id, allowance(7, LONG)))).await;
            spent.into_iter().filter(|spent| *spent.as_ref().unwrap() == Spent::Granted).count()
        });
        assert_eq!(granted.into_iter().sum::<usize>(), 7);
    }
}

pub(crate) async fn a_session_can_be_filed_under_one_more_index(place: &Place) {
    let store = place.store();
    store.insert(&key("a"), place.entry(b"a", LONG, &[key("old")])).await.unwrap();
    let until = place.clock.now().plus(LONG);
    store.file(&key("new"), &key("a"), until).await.unwrap();
    store.file(&key("new"), &key("a"), until).await.unwrap();
    assert_eq!(store.indexed(&key("new")).await.unwrap(), [key("a")]);
    assert_eq!(store.indexed(&key("old")).await.unwrap(), [key("a")]);
}

pub(crate) async fn a_session_filed_again_stays_for_the_longer_time_and_is_listed_once(place: &Place) {
    let store = place.store();
    store.insert(&key("a"), place.entry(b"a", SHORT, &[key("i")])).await.unwrap();
    store.file(&key("i"), &key("a"), place.clock.now().plus(LONG)).await.unwrap();
    assert_eq!(store.indexed(&key("i")).await.unwrap(), [key("a")]);
    store.file(&key("i"), &key("a"), place.clock.now().plus(SHORT / 2)).await.unwrap();
    place.pass(SHORT).await;
    assert_eq!(store.indexed(&key("i")).await.unwrap(), [key("a")]);
    store.file(&key("j"), &key("a"), place.clock.now().plus(SHORT)).await.unwrap();
    place.pass(SHORT).await;
    assert_eq!(store.indexed(&key("j")).await.unwrap(), []);
}

pub(crate) async fn a_wait_ends_with_a_write_or_an_end(place: &Place) {
    let (waiting, writing, id) = (place.store(), place.store(), key("s"));
    waiting.insert(&id, place.entry(b"x", LONG, &[])).await.unwrap();
    waiting.ping().await.unwrap();
    let in_time = |started: Instant| assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let started = Instant::now();
    let (waited, _) = join(waiting.changed(&id, LONG), writing.replace(&id, 1, bytes("two"))).await;
    waited.unwrap();
    let (waited, _) = join(waiting.changed(&id, LONG), writing.end(&id, EndReason::Revoked)).await;
    waited.unwrap();
    in_time(started);
}

pub(crate) async fn a_wait_counts_from_the_call(place: &Place) {
    let (store, id) = (place.store(), key("s"));
    store.insert(&id, place.entry(b"x", LONG, &[])).await.unwrap();
    let changed = store.changed(&id, LONG);
    store.replace(&id, 1, bytes("two")).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), changed).await.expect("the write came after the call").unwrap();
}

pub(crate) async fn a_wait_ends_without_a_change_in_its_time(place: &Place) {
    let store = place.store();
    let started = Instant::now();
    store.changed(&key("s"), Duration::from_millis(50)).await.unwrap();
    assert!((50..5000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
}

async fn insert(place: &Place, store: &dyn Store, ids: &[StoreKey]) {
    for some in ids.chunks(200) {
        let inserts = some.iter().map(|id| store.insert(id, place.entry(b"one", LONG, &[])));
        assert!(join_all(inserts).await.into_iter().all(Result::unwrap));
    }
}

/// Every session of a walk, with how often it came.
async fn walk(store: &dyn Store) -> BTreeMap<StoreKey, (usize, Stored)> {
    let (mut found, mut from) = (BTreeMap::new(), Cursor::default());
    loop {
        let page = store.scan(&from).await.unwrap();
        for (id, stored) in page.sessions {
            found.entry(id).or_insert((0, stored)).0 += 1;
        }
        match page.next {
            Some(next) => from = next,
            None => return found,
        }
    }
}

pub(crate) async fn a_walk_shows_every_live_session(place: &Place) {
    let store = place.store();
    assert!(walk(&*store).await.is_empty());
    let ids: Vec<_> = (0..1234).map(|number| key(&format!("session {number}"))).collect();
    insert(place, &*store, &ids).await;
    store.put_once(&ids[0], bytes("note"), LONG).await.unwrap();
    store.hold(&ids[0], ONE, LONG).await.unwrap();
    store.end(&ids[1], EndReason::Revoked).await.unwrap();
    store.insert(&key("brief"), place.entry(b"brief", SHORT, &[])).await.unwrap();
    store.replace(&ids[2], 1, bytes("two")).await.unwrap();
    place.pass(SHORT).await;
    let found = walk(&*store).await;
    let expected: BTreeSet<_> = ids.iter().filter(|id| **id != ids[1]).collect();
    assert_eq!(found.keys().collect::<BTreeSet<_>>(), expected);
    assert_eq!(found[&ids[2]].1, Stored { version: 2, sealed: bytes("two") });
    assert_eq!(found[&ids[3]].1, Stored { version: 1, sealed: bytes("one") });
}

pub(crate) async fn a_walk_misses_nobody_who_stays_while_others_come_and_go(place: &Place) {
    let store = place.store();
    let stay: Vec<_> = (0..1500).map(|number| key(&format!("stays {number}"))).collect();
    let go: Vec<_> = (0..300).map(|number| key(&format!("goes {number}"))).collect();
    insert(place, &*store, &stay).await;
    insert(place, &*store, &go).await;
    let (mut seen, mut from, mut round) = (BTreeSet::new(), Cursor::default(), 0);
    loop {
        let page = store.scan(&from).await.unwrap();
        seen.extend(page.sessions.into_iter().map(|(id, _)| id));
        let Some(next) = page.next else { break };
        from = next;
        for id in go.iter().skip(round * 20).take(20) {
            store.end(id, EndReason::Revoked).await.unwrap();
            store.insert(&key(&format!("new {id}")), place.entry(b"x", LONG, &[])).await.unwrap();
        }
        round += 1;
    }
    assert!(stay.iter().all(|id| seen.contains(id)));
}
