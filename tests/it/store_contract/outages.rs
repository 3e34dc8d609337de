//! What a Redis that is down, frozen, slow or read-only costs, and how it is found again.

use std::time::{Duration, Instant};

use cloakroom::session::store::{Loaded, Store};
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::place::{LONG, bytes, entry, key};
use super::redis::{CLOCK, connect, stores};
use crate::support::{Redis, free_port};

/// What one command may cost, whatever the state of the server.
const AT_MOST: Duration = Duration::from_millis(500);

async fn fails_in_time(store: &dyn Store) -> String {
    let (id, started) = (key("s"), Instant::now());
    let error = store.load_now(&id).await.unwrap_err().to_string();
    assert!(started.elapsed() < AT_MOST, "{:?}: {error}", started.elapsed());
    error
}

async fn recovers(store: &dyn Store) {
    let started = Instant::now();
    while let Err(error) = store.ping().await {
        assert!(started.elapsed() < Duration::from_secs(2), "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_dead_server_does_not_stop_the_start_and_is_found_when_it_comes() {
    let mut server = Redis::start();
    server.kill();
    let store = connect(&server);
    for _ in 0..3 {
        let error = fails_in_time(&*store).await;
        assert!(error.contains(&format!("127.0.0.1:{}", server.port())), "{error}");
    }
    server.restart();
    store.ping().await.expect("the first command finds the server that came back");
}

#[tokio::test]
async fn a_server_that_dies_costs_little_and_is_found_again() {
    let mut server = Redis::start();
    let store = connect(&server);
    store.ping().await.unwrap();
    for _ in 0..2 {
        server.kill();
        let started = Instant::now();
        for _ in 0..20 {
            fails_in_time(&*store).await;
        }
        assert!(started.elapsed() < AT_MOST, "twenty commands took {:?}", started.elapsed());
        // The connection manager has tried by itself meanwhile, and holds the failure.
        tokio::time::sleep(Duration::from_millis(50)).await;
        server.restart();
        store.ping().await.expect("the first command finds the server that came back");
    }
}

#[tokio::test]
async fn a_frozen_server_costs_little_and_is_found_again() {
    let server = Redis::start();
    let store = connect(&server);
    store.insert(&key("s"), entry(&CLOCK, b"x", LONG, &[])).await.unwrap();
    server.freeze();
    let started = Instant::now();
    for _ in 0..21 {
        fails_in_time(&*store).await;
    }
    assert!(started.elapsed() < Duration::from_secs(2), "a silent server is not waited for again and again");
    server.thaw();
    recovers(&*store).await;
    assert!(matches!(store.load(&key("s")).await.unwrap(), Loaded::Live(_)));
}

#[tokio::test]
async fn a_server_frozen_from_the_start_costs_little_and_is_found_again() {
    let server = Redis::start();
    server.freeze();
    let store = connect(&server);
    for _ in 0..4 {
        fails_in_time(&*store).await;
    }
    server.thaw();
    recovers(&*store).await;
}

#[tokio::test]
async fn a_short_hiccup_under_load_loses_nobody_afterwards() {
    let server = Redis::start();
    let store = connect(&server);
    store.insert(&key("s"), entry(&CLOCK, b"x", LONG, &[])).await.unwrap();
    server.freeze();
    let id = key("s");
    let failed = join_all((0..100).map(|_| store.load_now(&id))).await;
    assert!(failed.iter().all(Result::is_err));
    server.thaw();
    let after = join_all((0..100).map(|_| store.load_now(&id))).await;
    assert!(after.iter().all(Result::is_ok), "one hiccup is not a reason to stop asking");
}

/// Every answer comes in time, and a login of many steps still ends within the budget of one command.
#[tokio::test]
async fn a_slow_server_costs_no_more_than_a_dead_one_however_many_steps_there_are() {
    let server = Redis::start();
    let port = slowed(server.port(), Duration::from_millis(120)).await;
    let url = format!("redis://127.0.0.1:{port}/0");
    let store = stores(url.parse().unwrap()).connect();
    store.ping().await.unwrap();
    let indexes: Vec<_> = (0..8).map(|number| key(&number.to_string())).collect();
    let started = Instant::now();
    let outcome = store.insert(&key("s"), entry(&CLOCK, b"x", LONG, &indexes)).await;
    assert!(started.elapsed() < AT_MOST && outcome.is_err(), "{:?}: {outcome:?}", started.elapsed());
}

/// A relay that holds every answer back for `delay`.
async fn slowed(port: u16, delay: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut from_server, mut to_server) = TcpStream::connect(("127.0.0.1", port)).await.unwrap().into_split();
            let (mut from_client, mut to_client) = client.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            tokio::spawn(async move {
                let mut answer = [0; 4096];
                while let Ok(length @ 1..) = from_server.read(&mut answer).await {
                    tokio::time::sleep(delay).await;
                    to_client.write_all(&answer[..length]).await.unwrap();
                }
            });
        }
    });
    own
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closed_is_replaced_before_the_next_command() {
    let server = Redis::start();
    let store = connect(&server);
    store.ping().await.unwrap();
    server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_replica_says_so_and_loses_nothing() {
    let server = Redis::start();
    let store = connect(&server);
    store.insert(&key("s"), entry(&CLOCK, b"x", LONG, &[])).await.unwrap();
    server.command(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    let error = store.replace(&key("s"), 1, bytes("two")).await.unwrap_err().to_string();
    assert!(error.contains("read-only"), "{error}");
    let error = store.put_once(&key("n"), bytes("x"), LONG).await.unwrap_err().to_string();
    assert!(error.contains("read-only"), "{error}");
    server.command(&["REPLICAOF", "NO", "ONE"]);
    assert!(matches!(store.load(&key("s")).await.unwrap(), Loaded::Live(_)));
}
