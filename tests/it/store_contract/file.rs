//! What only a file can get wrong: surviving, and serving two masters.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use cloakroom::clock::Clock;
use cloakroom::session::store::file::FileStore;
use cloakroom::session::store::{EndReason, Loaded, Replaced, Store as _, Stored};
use futures_util::future::join_all;
use redb::{ReadableDatabase as _, ReadableTableMetadata as _};
use tempfile::TempDir;

use super::place::{LONG, bytes, entry, hand_moved, key};

fn open(path: &Path, clock: &Clock) -> FileStore {
    FileStore::open(path, clock.clone()).unwrap()
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let (dir, clock) = (TempDir::new().unwrap(), hand_moved());
    let path = dir.path().join("sessions");
    let store = open(&path, &clock);
    store.insert(&key("live"), entry(&clock, b"one", LONG, &[key("i")])).await.unwrap();
    store.replace(&key("live"), 1, bytes("two")).await.unwrap();
    store.insert(&key("over"), entry(&clock, b"x", LONG, &[])).await.unwrap();
    store.end(&key("over"), EndReason::Idle).await.unwrap();
    store.put_once(&key("n"), bytes("state"), LONG).await.unwrap();
    drop(store);
    let store = open(&path, &clock);
    let live = Stored { version: 2, sealed: bytes("two") };
    assert_eq!(store.load(&key("live")).await.unwrap(), Loaded::Live(live));
    assert_eq!(store.load(&key("over")).await.unwrap(), Loaded::Ended(EndReason::Idle));
    assert_eq!(store.indexed(&key("i")).await.unwrap(), [key("live")]);
    assert_eq!(store.take(&key("n")).await.unwrap(), Some(bytes("state")));
}

/// What a kill leaves behind is the file as it is at that moment: a copy of it.
#[tokio::test]
async fn whatever_was_answered_survives_a_kill() {
    let (dir, clock) = (TempDir::new().unwrap(), hand_moved());
    let path = dir.path().join("sessions");
    let store = open(&path, &clock);
    store.insert(&key("s"), entry(&clock, b"one", LONG, &[key("i")])).await.unwrap();
    store.put_once(&key("state"), bytes("x"), LONG).await.unwrap();
    store.take(&key("state")).await.unwrap();
    for version in 1..=20 {
        assert_eq!(store.replace(&key("s"), version, bytes("rotated")).await.unwrap(), Replaced::Done);
        let killed = dir.path().join(format!("killed {version}"));
        fs::copy(&path, &killed).unwrap();
        let survivor = open(&killed, &clock);
        let expected = Stored { version: version + 1, sealed: bytes("rotated") };
        assert_eq!(survivor.load(&key("s")).await.unwrap(), Loaded::Live(expected));
        assert_eq!(survivor.take(&key("state")).await.unwrap(), None, "a consumed state stays consumed");
    }
    store.end(&key("s"), EndReason::Revoked).await.unwrap();
    fs::copy(&path, dir.path().join("killed")).unwrap();
    let survivor = open(&dir.path().join("killed"), &clock);
    assert_eq!(survivor.load(&key("s")).await.unwrap(), Loaded::Ended(EndReason::Revoked));
}

#[tokio::test]
async fn a_second_owner_is_refused_with_a_reason() {
    let (dir, clock) = (TempDir::new().unwrap(), hand_moved());
    let path = dir.path().join("sessions");
    let first = open(&path, &clock);
    let refused = FileStore::open(&path, clock.clone()).err().unwrap().to_string();
    assert!(refused.contains("in use by another process") && refused.contains("sessions"), "{refused}");
    first.ping().await.unwrap();
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_named() {
    let (dir, clock) = (TempDir::new().unwrap(), hand_moved());
    let missing = dir.path().join("no such directory").join("sessions");
    let refused = FileStore::open(&missing, clock.clone()).err().unwrap().to_string();
    assert!(refused.contains("no such directory"), "{refused}");
    let foreign = dir.path().join("foreign");
    fs::write(&foreign, b"certainly not a database, but long enough to be one").unwrap();
    assert!(FileStore::open(&foreign, clock).is_err());
    assert_eq!(fs::read(&foreign).unwrap().len(), 51, "a foreign file is left alone");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let (dir, clock) = (TempDir::new().unwrap(), hand_moved());
    let path = dir.path().join("sessions");
    let _store = open(&path, &clock);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Rows of every table together, counted behind the store's back.
fn rows(path: &Path) -> u64 {
    let file = redb::ReadOnlyDatabase::open(path).unwrap().begin_read().unwrap();
    let tables = file.list_tables().unwrap();
    tables.map(|table| file.open_untyped_table(table).unwrap().len().unwrap()).sum()
}

async fn fill(store: &FileStore, clock: &Clock) {
    let inserts = (0..300).map(|number| {
        let (id, note) = (key(&format!("session {number}")), key(&format!("note {number}")));
        async move {
            store.insert(&id, entry(clock, b"x", LONG, &[key("all")])).await.unwrap();
            store.put_once(&note, bytes("x"), LONG).await.unwrap();
            store.end(&id, EndReason::Revoked).await.unwrap();
        }
    });
    join_all(inserts).await;
}

#[tokio::test]
async fn the_writes_that_follow_sweep_what_is_over() {
    let (dir, clock) = (TempDir::new().unwrap(), hand_moved());
    let path = dir.path().join("sessions");
    let store = open(&path, &clock);
    fill(&store, &clock).await;
    clock.advance(LONG);
    for _ in 0..5 {
        store.ping().await.unwrap();
    }
    drop(store);
    assert_eq!(rows(&path), 0);
}

#[tokio::test]
async fn what_went_over_while_nobody_looked_is_swept_at_the_start() {
    let (dir, clock) = (TempDir::new().unwrap(), hand_moved());
    let path = dir.path().join("sessions");
    let store = open(&path, &clock);
    fill(&store, &clock).await;
    drop(store);
    assert!(rows(&path) >= 900);
    clock.advance(LONG);
    drop(open(&path, &clock));
    assert_eq!(rows(&path), 0);
}

#[tokio::test]
async fn writers_share_the_wait_for_the_disk() {
    let (dir, clock) = (TempDir::new().unwrap(), hand_moved());
    let store = open(&dir.path().join("sessions"), &clock);
    let alone = Instant::now();
    for number in 0..10 {
        store.insert(&key(&format!("alone {number}")), entry(&clock, b"x", LONG, &[])).await.unwrap();
    }
    let alone = alone.elapsed() / 10;
    let together = Instant::now();
    let inserts = (0..500).map(|number| {
        let (store, id, entry) = (&store, key(&format!("together {number}")), entry(&clock, b"x", LONG, &[]));
        async move { store.insert(&id, entry).await.unwrap() }
    });
    join_all(inserts).await;
    let together = together.elapsed();
    assert!(together < alone * 250 + Duration::from_millis(500), "one: {alone:?}, five hundred: {together:?}");
}
