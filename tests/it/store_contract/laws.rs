//! The laws of one caller: what follows what.

use std::time::Duration;

use bytes::Bytes;
use cloakroom::session::store::{EndReason, Ended, Loaded, NewEntry, Replaced, Stored};

use super::place::{LONG, Place, SHORT, bytes, key};

fn live(version: u64, sealed: &'static str) -> Loaded {
    Loaded::Live(Stored { version, sealed: bytes(sealed) })
}

pub(crate) async fn a_session_is_found_as_it_was_written(place: &Place) {
    let (store, id) = (place.store(), key("s"));
    assert!(store.insert(&id, place.entry(b"one", LONG, &[])).await.unwrap());
    assert_eq!(store.load(&id).await.unwrap(), live(1, "one"));
}

pub(crate) async fn an_unknown_key_is_absent_and_not_an_error(place: &Place) {
    let store = place.store();
    assert_eq!(store.load(&key("s")).await.unwrap(), Loaded::Absent);
    assert_eq!(store.end(&key("s"), EndReason::Idle).await.unwrap(), Ended::Already(None));
    assert_eq!(store.load(&key("s")).await.unwrap(), Loaded::Absent, "ending nothing leaves nothing");
    assert_eq!(store.indexed(&key("i")).await.unwrap(), []);
    assert_eq!(store.take(&key("n")).await.unwrap(), None);
}

pub(crate) async fn a_taken_key_is_not_written_again(place: &Place) {
    let (store, id) = (place.store(), key("s"));
    assert!(store.insert(&id, place.entry(b"one", LONG, &[])).await.unwrap());
    assert!(!store.insert(&id, place.entry(b"two", LONG, &[])).await.unwrap());
    assert_eq!(store.load(&id).await.unwrap(), live(1, "one"));
}

pub(crate) async fn a_replacement_raises_the_version_by_one(place: &Place) {
    let (store, id) = (place.store(), key("s"));
    store.insert(&id, place.entry(b"one", LONG, &[])).await.unwrap();
    assert_eq!(store.replace(&id, 1, bytes("two")).await.unwrap(), Replaced::Done);
    assert_eq!(store.load(&id).await.unwrap(), live(2, "two"));
    assert_eq!(store.replace(&id, 2, bytes("three")).await.unwrap(), Replaced::Done);
    assert_eq!(store.load(&id).await.unwrap(), live(3, "three"));
}

pub(crate) async fn a_replacement_of_another_version_is_a_conflict(place: &Place) {
    let (store, id) = (place.store(), key("s"));
    store.insert(&id, place.entry(b"one", LONG, &[])).await.unwrap();
    store.replace(&id, 1, bytes("two")).await.unwrap();
    for expected in [0, 1, 3] {
        assert_eq!(store.replace(&id, expected, bytes("late")).await.unwrap(), Replaced::Conflict);
    }
    assert_eq!(store.load(&id).await.unwrap(), live(2, "two"));
}

pub(crate) async fn a_replacement_of_nothing_is_gone(place: &Place) {
    let store = place.store();
    assert_eq!(store.replace(&key("s"), 1, bytes("x")).await.unwrap(), Replaced::Gone(None));
    assert_eq!(store.load(&key("s")).await.unwrap(), Loaded::Absent);
}

pub(crate) async fn an_end_is_remembered_with_its_first_reason(place: &Place) {
    let store = place.store();
    let reasons = [EndReason::Idle, EndReason::Expired, EndReason::Revoked, EndReason::RefreshRejected];
    for reason in reasons {
        let id = key(reason.as_str());
        store.insert(&id, place.entry(b"one", LONG, &[])).await.unwrap();
        assert_eq!(store.end(&id, reason).await.unwrap(), Ended::Now(Stored { version: 1, sealed: bytes("one") }));
        assert_eq!(store.load(&id).await.unwrap(), Loaded::Ended(reason));
        for later in reasons {
            assert_eq!(store.end(&id, later).await.unwrap(), Ended::Already(Some(reason)));
        }
        assert_eq!(store.load(&id).await.unwrap(), Loaded::Ended(reason));
    }
}

pub(crate) async fn an_end_tells_what_it_ended(place: &Place) {
    let (store, id) = (place.store(), key("s"));
    store.insert(&id, place.entry(b"one", LONG, &[])).await.unwrap();
    store.replace(&id, 1, bytes("two\0\r\n")).await.unwrap();
    let last = Stored { version: 2, sealed: bytes("two\0\r\n") };
    assert_eq!(store.end(&id, EndReason::Revoked).await.unwrap(), Ended::Now(last));
}

pub(crate) async fn an_end_of_one_version_leaves_a_newer_one_alive(place: &Place) {
    let (store, id) = (place.store(), key("s"));
    assert_eq!(store.end_version(&id, 1, EndReason::Idle).await.unwrap(), Replaced::Gone(None));
    store.insert(&id, place.entry(b"one", LONG, &[])).await.unwrap();
    store.replace(&id, 1, bytes("two")).await.unwrap();
    for expected in [0, 1, 3] {
        assert_eq!(store.end_version(&id, expected, EndReason::Idle).await.unwrap(), Replaced::Conflict);
    }
    assert_eq!(store.load(&id).await.unwrap(), live(2, "two"));
    assert_eq!(store.end_version(&id, 2, EndReason::Idle).await.unwrap(), Replaced::Done);
    assert_eq!(store.load(&id).await.unwrap(), Loaded::Ended(EndReason::Idle));
    let again = store.end_version(&id, 2, EndReason::Revoked).await.unwrap();
    assert_eq!(again, Replaced::Gone(Some(EndReason::Idle)));
}

pub(crate) async fn a_late_replace_never_brings_an_ended_session_back(place: &Place) {
    let (store, id) = (place.store(), key("s"));
    store.insert(&id, place.entry(b"one", LONG, &[])).await.unwrap();
    store.end(&id, EndReason::Revoked).await.unwrap();
    for expected in 0..4 {
        let outcome = store.replace(&id, expected, bytes("late")).await.unwrap();
        assert_eq!(outcome, Replaced::Gone(Some(EndReason::Revoked)));
    }
    assert_eq!(store.load(&id).await.unwrap(), Loaded::Ended(EndReason::Revoked));
}

pub(crate) async fn an_ended_session_cannot_be_inserted_again(place: &Place) {
    let (store, id) = (place.store(), key("s"));
    store.insert(&id, place.entry(b"one", LONG, &[])).await.unwrap();
    store.end(&id, EndReason::Revoked).await.unwrap();
    assert!(!store.insert(&id, place.entry(b"two", LONG, &[])).await.unwrap());
    assert_eq!(store.load(&id).await.unwrap(), Loaded::Ended(EndReason::Revoked));
}

pub(crate) async fn a_session_is_absent_after_its_absolute_end(place: &Place) {
    let (store, id) = (place.store(), key("s"));
    store.insert(&id, place.entry(b"one", SHORT, &[])).await.unwrap();
    assert_eq!(store.load(&id).await.unwrap(), live(1, "one"));
    place.pass(SHORT).await;
    assert_eq!(store.load(&id).await.unwrap(), Loaded::Absent);
    assert_eq!(store.replace(&id, 1, bytes("late")).await.unwrap(), Replaced::Gone(None));
    assert_eq!(store.end(&id, EndReason::Idle).await.unwrap(), Ended::Already(None));
    assert!(store.insert(&id, place.entry(b"new", LONG, &[])).await.unwrap(), "an expired key is free");
    assert_eq!(store.load(&id).await.unwrap(), live(1, "new"));
}

pub(crate) async fn a_replacement_does_not_prolong_the_session(place: &Place) {
    let (store, id) = (place.store(), key("s"));
    store.insert(&id, place.entry(b"one", SHORT, &[])).await.unwrap();
    place.pass(SHORT / 2).await;
    assert_eq!(store.replace(&id, 1, bytes("two")).await.unwrap(), Replaced::Done);
    place.pass(SHORT / 2).await;
    assert_eq!(store.load(&id).await.unwrap(), Loaded::Absent);
}

pub(crate) async fn the_memory_of_an_end_does_not_outlive_the_session(place: &Place) {
    let (store, id) = (place.store(), key("s"));
    store.insert(&id, place.entry(b"one", SHORT, &[])).await.unwrap();
    store.end(&id, EndReason::Revoked).await.unwrap();
    assert_eq!(store.load(&id).await.unwrap(), Loaded::Ended(EndReason::Revoked));
    place.pass(SHORT).await;
    assert_eq!(store.load(&id).await.unwrap(), Loaded::Absent);
}

pub(crate) async fn an_index_lists_its_own_sessions_only(place: &Place) {
    let (store, subject, sid) = (place.store(), key("subject"), key("sid"));
    store.insert(&key("a"), place.entry(b"a", LONG, &[subject, sid])).await.unwrap();
    store.insert(&key("b"), place.entry(b"b", LONG, &[subject])).await.unwrap();
    store.insert(&key("c"), place.entry(b"c", LONG, &[])).await.unwrap();
    let mut of_subject = store.indexed(&subject).await.unwrap();
    of_subject.sort();
    let mut expected = [key("a"), key("b")];
    expected.sort();
    assert_eq!(of_subject, expected);
    assert_eq!(store.indexed(&sid).await.unwrap(), [key("a")]);
}

pub(crate) async fn an_index_forgets_a_session_with_its_absolute_end(place: &Place) {
    let (store, subject) = (place.store(), key("subject"));
    store.insert(&key("a"), place.entry(b"a", SHORT, &[subject])).await.unwrap();
    assert_eq!(store.indexed(&subject).await.unwrap(), [key("a")]);
    place.pass(SHORT).await;
    assert_eq!(store.indexed(&subject).await.unwrap(), []);
}

pub(crate) async fn an_index_lives_as_long_as_its_longest_session(place: &Place) {
    let (store, subject) = (place.store(), key("subject"));
    store.insert(&key("long"), place.entry(b"a", LONG, &[subject])).await.unwrap();
    store.insert(&key("short"), place.entry(b"b", SHORT, &[subject])).await.unwrap();
    assert_eq!(store.indexed(&subject).await.unwrap().len(), 2);
    place.pass(SHORT).await;
    assert_eq!(store.indexed(&subject).await.unwrap(), [key("long")]);
}

pub(crate) async fn a_note_is_put_once_and_taken_once(place: &Place) {
    let (store, id) = (place.store(), key("n"));
    assert!(store.put_once(&id, bytes("first"), LONG).await.unwrap());
    assert!(!store.put_once(&id, bytes("second"), LONG).await.unwrap());
    assert_eq!(store.take(&id).await.unwrap(), Some(bytes("first")));
    assert_eq!(store.take(&id).await.unwrap(), None);
    assert!(store.put_once(&id, bytes("third"), LONG).await.unwrap(), "a taken note leaves its key free");
}

pub(crate) async fn a_note_is_gone_after_its_time(place: &Place) {
    let (store, id) = (place.store(), key("n"));
    assert!(store.put_once(&id, bytes("first"), SHORT).await.unwrap());
    place.pass(SHORT).await;
    assert!(store.put_once(&id, bytes("second"), SHORT).await.unwrap());
    place.pass(SHORT).await;
    assert_eq!(store.take(&id).await.unwrap(), None);
    assert!(store.put_once(&id, bytes("third"), Duration::ZERO).await.unwrap(), "no time at all is no error");
}

pub(crate) async fn keys_of_different_purposes_do_not_meet(place: &Place) {
    let (store, id) = (place.store(), key("same"));
    store.insert(&id, place.entry(b"session", LONG, &[id])).await.unwrap();
    assert!(store.put_once(&id, bytes("note"), LONG).await.unwrap());
    assert_eq!(store.take(&id).await.unwrap(), Some(bytes("note")));
    assert_eq!(store.load(&id).await.unwrap(), live(1, "session"));
    assert_eq!(store.indexed(&id).await.unwrap(), [id]);
}

pub(crate) async fn a_record_of_a_megabyte_comes_back_whole(place: &Place) {
    let (store, id) = (place.store(), key("s"));
    let sealed: Bytes = (0..1_048_576u32).map(|number| number.to_le_bytes()[number as usize % 4]).collect();
    let expires_at = place.clock.now().plus(LONG);
    assert!(store.insert(&id, NewEntry { sealed: sealed.clone(), expires_at, indexes: vec![] }).await.unwrap());
    assert_eq!(store.load(&id).await.unwrap(), Loaded::Live(Stored { version: 1, sealed: sealed.clone() }));
    assert_eq!(store.replace(&id, 1, sealed.slice(1..)).await.unwrap(), Replaced::Done);
    assert_eq!(store.load(&id).await.unwrap(), Loaded::Live(Stored { version: 2, sealed: sealed.slice(1..) }));
}

pub(crate) async fn an_empty_record_is_a_record(place: &Place) {
    let (store, id) = (place.store(), key("s"));
    assert!(store.insert(&id, place.entry(b"", LONG, &[])).await.unwrap());
    assert_eq!(store.load(&id).await.unwrap(), live(1, ""));
    assert!(store.put_once(&id, Bytes::new(), LONG).await.unwrap());
    assert_eq!(store.take(&id).await.unwrap(), Some(Bytes::new()));
}

pub(crate) async fn a_store_that_works_answers_the_ping(place: &Place) {
    place.store().ping().await.unwrap();
}
