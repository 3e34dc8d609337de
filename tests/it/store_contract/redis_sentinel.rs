//! Behind Sentinel: a primary that dies, freezes or is replaced costs seconds, and no session that was replicated.

use std::time::{Duration, Instant};

use cloakroom::session::store::{EndReason, Loaded, Replaced, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::place::{LONG, bytes, entry, key};
use super::redis::{CLOCK, stores};
use crate::support::Redis;
use crate::support::Sentinels;

/// After this silence a sentinel takes a server for dead.
pub(crate) const DOWN_AFTER: Duration = Duration::from_millis(500);

/// The failure detection of these sentinels is half a second; the rest is their election and our finding out.
const BACK_WITHIN: Duration = Duration::from_secs(10);

/// Writes until it works again, and never waits longer for one answer than a request may.
async fn until_written(store: &dyn Store, version: u64) -> Duration {
    let started = Instant::now();
    loop {
        let asked = Instant::now();
        let outcome = store.replace(&key("s"), version, bytes("after")).await;
        assert!(asked.elapsed() < Duration::from_millis(500), "{:?}: {outcome:?}", asked.elapsed());
        match outcome {
            Ok(Replaced::Done) => return started.elapsed(),
            Ok(other) => panic!("a replicated session was lost: {other:?}"),
            Err(error) => assert!(started.elapsed() < BACK_WITHIN, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_killed_primary_is_replaced_without_a_restart_and_nothing_replicated_is_lost() {
    let mut fleet = Sentinels::start(2, DOWN_AFTER);
    let (busy, idle) = (stores(fleet.config()).connect(), stores(fleet.config()).connect());
    busy.insert(&key("s"), entry(&CLOCK, b"before", LONG, &[key("i")])).await.unwrap();
    busy.insert(&key("ended"), entry(&CLOCK, b"x", LONG, &[])).await.unwrap();
    assert!(busy.end(&key("ended"), EndReason::Revoked).await.unwrap().is_now());
    idle.ping().await.unwrap();
    fleet.settle();
    let old = fleet.master();
    fleet.servers[0].kill();
    let took = until_written(&*busy, 1).await;
    eprintln!("a killed primary: writes work again after {took:?}");
    assert_ne!(fleet.master(), old);
    // A connection that nobody used meanwhile finds the new one with its first command.
    assert!(matches!(idle.load(&key("s")).await.unwrap(), Loaded::Live(stored) if stored.version == 2));
    assert_eq!(idle.load(&key("ended")).await.unwrap(), Loaded::Ended(EndReason::Revoked));
    assert_eq!(idle.indexed(&key("i")).await.unwrap(), [key("s")]);
}

#[tokio::test]
async fn a_frozen_primary_is_replaced_and_is_not_believed_when_it_wakes_up() {
    let fleet = Sentinels::start(2, DOWN_AFTER);
    let store = stores(fleet.config()).connect();
    store.insert(&key("s"), entry(&CLOCK, b"before", LONG, &[])).await.unwrap();
    fleet.settle();
    fleet.servers[0].freeze();
    let took = until_written(&*store, 1).await;
    eprintln!("a frozen primary: writes work again after {took:?}");
    fleet.servers[0].thaw();
    for version in 2..40 {
        assert_eq!(store.replace(&key("s"), version, bytes("x")).await.unwrap(), Replaced::Done);
        assert!(matches!(store.load(&key("s")).await.unwrap(), Loaded::Live(held) if held.version == version + 1));
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

#[tokio::test]
async fn sentinels_that_are_gone_or_frozen_stop_nothing_while_the_primary_lives() {
    let mut fleet = Sentinels::start(2, DOWN_AFTER);
    fleet.sentinels[0].freeze();
    fleet.sentinels[1].kill();
    let store = stores(fleet.config()).connect();
    let started = Instant::now();
    store.ping().await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(500), "one of three sentinels is enough to find the primary");
    fleet.sentinels[2].kill();
    for _ in 0..20 {
        store.ping().await.unwrap();
    }
    let unknown = "redis+sentinel://127.0.0.1:1/main".parse().unwrap();
    let error = stores(unknown).connect().ping().await.unwrap_err().to_string();
    assert!(error.contains("redis+sentinel://127.0.0.1:1/main"), "{error}");
}

#[tokio::test]
async fn a_name_that_no_sentinel_knows_is_said() {
    let fleet = Sentinels::start(2, DOWN_AFTER);
    let mut config = fleet.config();
    if let cloakroom::config::RedisServers::Sentinel { name, .. } = &mut config.servers {
        "other".clone_into(name);
    }
    let error = stores(config).connect().ping().await.unwrap_err().to_string();
    assert!(error.contains("know no primary named \"other\""), "{error}");
}

/// A sentinel that says the same to everybody.
async fn sentinel_that_names(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let named = port.to_string();
    let answer = format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{named}\r\n", named.len());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut asked = [0; 1024];
                while let Ok(length @ 1..) = client.read(&mut asked).await {
                    let hello = asked[..length].windows(5).any(|word| word == b"HELLO");
                    let said = if hello { "%1\r\n+proto\r\n:3\r\n" } else { &*answer };
                    client.write_all(said.as_bytes()).await.unwrap();
                }
            });
        }
    });
    own
}

#[tokio::test]
async fn a_server_that_calls_itself_a_replica_is_not_believed() {
    let primary = Redis::start();
    let replica = Redis::with(&["--replicaof", "127.0.0.1", &primary.port().to_string()]);
    let sentinel = sentinel_that_names(replica.port()).await;
    let config = format!("redis+sentinel://127.0.0.1:{sentinel}/main").parse().unwrap();
    let error = stores(config).connect().load(&key("s")).await.unwrap_err().to_string();
    assert!(error.contains("is a replica"), "{error}");
}

#[tokio::test]
async fn one_sentinel_of_yesterday_does_not_outvote_two_of_today() {
    let (today, yesterday) = (Redis::start(), Redis::start());
    let stale = sentinel_that_names(yesterday.port()).await;
    let (one, two) = (sentinel_that_names(today.port()).await, sentinel_that_names(today.port()).await);
    let config = format!("redis+sentinel://127.0.0.1:{stale},127.0.0.1:{one},127.0.0.1:{two}/main").parse().unwrap();
    let store = stores(config).connect();
    store.insert(&key("s"), entry(&CLOCK, b"x", LONG, &[])).await.unwrap();
    assert_eq!(today.command(&["DBSIZE"]).trim(), ":1");
    assert_eq!(yesterday.command(&["DBSIZE"]).trim(), ":0");
}
