//! How Redis lets us in: a Unix socket, an ACL user, credentials and certificates that change while we run.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cloakroom::config::{RedisConfig, StoreConfig, StoreKind, TlsFiles};
use cloakroom::session::store::{Allowance, EndReason, Holder, Lease, Loaded, Spent, Store, Stores};

use super::place::{LONG, bytes, entry, key};
use super::redis::{CLOCK, stores};
use crate::support::Redis;

/// What `config/gateway.toml` tells operators to permit.
fn permitted() -> Vec<&'static str> {
    let reference = include_str!("../../../config/gateway.toml");
    let lines = reference.lines().skip_while(|line| !line.starts_with("# Redis 6.2 or later. What an ACL user needs"));
    let lines = lines.skip(1).take_while(|line| line.starts_with("#   "));
    lines.flat_map(|line| line.trim_start_matches('#').split_whitespace()).collect()
}

fn permit(server: &Redis, passwords: &[&str]) {
    let mut words = vec!["ACL", "SETUSER", "gate", "on", "resetpass"];
    let passwords: Vec<_> = passwords.iter().map(|password| format!(">{password}")).collect();
    words.extend(passwords.iter().map(String::as_str));
    words.extend(permitted());
    assert_eq!(server.command(&words), "+OK\r\n");
}

fn config(server: &Redis, password: &str) -> StoreConfig {
    let redis = format!("redis://gate:{password}@127.0.0.1:{}/0", server.port()).parse().unwrap();
    StoreConfig { kind: StoreKind::Redis(redis), grace: Duration::ZERO }
}

async fn everything_works(store: &dyn Store, id: &str) {
    let id = key(id);
    store.ping().await.unwrap();
    assert!(store.insert(&id, entry(&CLOCK, b"x", LONG, &[key("i")])).await.unwrap());
    store.replace(&id, 1, bytes("y")).await.unwrap();
    store.file(&key("j"), &id, CLOCK.now().plus(LONG)).await.unwrap();
    assert!(!store.indexed(&key("j")).await.unwrap().is_empty());
    store.scan(&Default::default()).await.unwrap();
    store.put_once(&id, bytes("n"), LONG).await.unwrap();
    store.take(&id).await.unwrap();
    assert_eq!(store.hold(&id, Holder(1), LONG).await.unwrap(), Lease::Mine);
    store.release(&id, Holder(1), Some((bytes("x"), LONG))).await.unwrap();
    store.release(&id, Holder(1), None).await.unwrap();
    let allowance = Allowance { most: std::num::NonZeroU32::new(1), window: LONG };
    assert_eq!(store.spend(&id, allowance).await.unwrap(), Spent::Granted);
    assert!(matches!(store.spend(&id, allowance).await.unwrap(), Spent::Wait(_)));
    store.pause(&id, LONG).await.unwrap();
    store.end(&id, EndReason::Revoked).await.unwrap();
    assert_eq!(store.load(&id).await.unwrap(), Loaded::Ended(EndReason::Revoked));
}

#[tokio::test]
async fn a_user_with_the_documented_permissions_can_do_everything() {
    let server = Redis::start();
    permit(&server, &["secret"]);
    let stores = Stores::open(&config(&server, "secret"), CLOCK).unwrap();
    everything_works(&*stores.connect(), "s").await;
    assert_eq!(server.command(&["ACL", "LOG"]), "*0\r\n", "nothing was refused");
}

/// Written but not told, it would live on in the memory of other replicas.
#[tokio::test]
async fn a_user_who_may_not_tell_changes_cannot_make_any() {
    let server = Redis::start();
    permit(&server, &["secret"]);
    let store = Stores::open(&config(&server, "secret"), CLOCK).unwrap().connect();
    store.insert(&key("s"), entry(&CLOCK, b"x", LONG, &[])).await.unwrap();
    server.command(&["ACL", "SETUSER", "gate", "resetchannels"]);
    let error = store.replace(&key("s"), 1, bytes("y")).await.unwrap_err().to_string();
    assert!(error.contains("permi") && !error.contains("secret"), "{error}");
    assert!(store.end(&key("s"), EndReason::Revoked).await.is_err());
    // This process remembers the end until it can be written; what others see has not changed.
    assert_eq!(store.load(&key("s")).await.unwrap(), Loaded::Ended(EndReason::Revoked));
    let others = Stores::open(&config(&server, "secret"), CLOCK).unwrap().connect();
    assert!(matches!(others.load(&key("s")).await.unwrap(), Loaded::Live(held) if held.version == 1));
}

/// Somebody who answers every command with what `lie` makes of it.
fn liar(lie: fn(&str) -> String) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut piece) {
                    let said = String::from_utf8_lossy(&piece[..count]).replace("\r\n", " ");
                    if stream.write_all(lie(&said).as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn a_server_that_quotes_the_password_is_not_quoted() {
    let lies: [fn(&str) -> String; 7] = [
        |said| format!("-ERR bad request: {said}\r\n"),
        |said| format!("-{said} is what I heard\r\n"),
        |_| "-ERR no s3cr3tpw for you\r\n".to_owned(),
        |_| "-s3cr3tpw no\r\n".to_owned(),
        |said| format!("+{said}\r\n"),
        |said| format!("*1\r\n+{said}\r\n"),
        |said| said.to_owned(),
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let told = told_of(liar(lie)).await;
        assert!(!told.contains("s3cr3tpw"), "{number}: {told}");
    }
    let told = told_of(liar(|said| {
        let text = format!("ERR first line\nsecond {said}");
        format!("!{}\r\n{text}\r\n", text.len())
    }))
    .await;
    assert!(!told.contains("s3cr3tpw") && !told.contains('\n'), "{told}");
    let told = told_of(liar(|_| format!("-WEIRD \u{1b}[2J{}\r\n", "x".repeat(5000)))).await;
    assert!(told.contains("WEIRD") && !told.contains('\u{1b}') && told.len() < 300, "{told}");
    let told = told_of(liar(|_| "-OOM command not allowed when used memory > 'maxmemory'.\r\n".to_owned())).await;
    assert!(told.contains("OOM command not allowed when used memory > 'maxmemory'."), "{told}");
}

/// Why nothing can be written to the store at this port.
async fn told_of(port: u16) -> String {
    let redis = format!("redis://:s3cr3tpw@127.0.0.1:{port}/0").parse().unwrap();
    let config = StoreConfig { kind: StoreKind::Redis(redis), grace: Duration::ZERO };
    let store = Stores::open(&config, CLOCK).unwrap().connect();
    store.insert(&key("s"), entry(&CLOCK, b"x", LONG, &[])).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_rotated_password_is_taken_over_by_every_connection_and_no_request_fails() {
    let server = Redis::start();
    permit(&server, &["old"]);
    let stores = Stores::open(&config(&server, "old"), CLOCK).unwrap();
    stores.connect().insert(&key("s"), entry(&CLOCK, b"x", LONG, &[])).await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (stores, over) = (stores.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let (store, mut asked) = (stores.connect(), 0);
                while !over.load(Ordering::SeqCst) {
                    store.load_now(&key("s")).await.unwrap();
                    asked += 1;
                }
                asked
            })
        })
        .collect();
    let pause = || tokio::time::sleep(Duration::from_millis(100));
    pause().await;
    let before = connections(&server);
    permit(&server, &["old", "new"]);
    stores.reconfigure(&config(&server, "new")).unwrap();
    pause().await;
    let after = connections(&server);
    assert_eq!((before.len(), after.len()), (4, 4), "four workers have one connection each");
    assert!(before.is_disjoint(&after), "none is left of those that were made with the old password");
    permit(&server, &["new"]);
    pause().await;
    over.store(true, Ordering::SeqCst);
    for worker in workers {
        assert!(worker.await.unwrap() > 0);
    }
    assert!(Stores::open(&config(&server, "old"), CLOCK).unwrap().connect().ping().await.is_err());
    stores.connect().ping().await.unwrap();
}

/// The ids of our connections.
fn connections(server: &Redis) -> BTreeSet<String> {
    let list = server.command(&["CLIENT", "LIST"]);
    let ours = list.lines().filter(|line| line.contains("user=gate"));
    ours.filter_map(|line| line.split(' ').find(|word| word.starts_with("id="))).map(str::to_owned).collect()
}

#[tokio::test]
async fn anything_but_credentials_and_certificates_takes_a_restart() {
    let server = Redis::start();
    let opened = StoreConfig { kind: StoreKind::Redis(server.config()), grace: Duration::ZERO };
    let stores = Stores::open(&opened, CLOCK).unwrap();
    stores.reconfigure(&opened).unwrap();
    let other = |url: &str| StoreConfig { kind: StoreKind::Redis(url.parse().unwrap()), grace: Duration::ZERO };
    for changed in [
        StoreConfig { grace: Duration::from_secs(1), ..opened.clone() },
        StoreConfig { kind: StoreKind::Memory, ..opened.clone() },
        other("redis://127.0.0.1:1"),
        other(&format!("redis://127.0.0.1:{}/1", server.port())),
        other(&format!("redis+cluster://127.0.0.1:{}", server.port())),
        other(&format!("rediss://127.0.0.1:{}", server.port())),
    ] {
        let error = stores.reconfigure(&changed).unwrap_err().to_string();
        assert!(error.contains("restart"), "{error}");
    }
    let memory = StoreConfig { kind: StoreKind::Memory, grace: Duration::ZERO };
    let stores = Stores::open(&memory, CLOCK).unwrap();
    stores.reconfigure(&memory).unwrap();
    assert!(stores.reconfigure(&opened).is_err());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_changes_nothing() {
    let server = Redis::start();
    let opened = server.config();
    let stores = stores(opened.clone());
    let store = stores.connect();
    let tls = TlsFiles { ca: Some("/no/such/ca.pem".into()), ..TlsFiles::default() };
    let broken = RedisConfig { tls, encrypted: true, ..opened };
    let broken = StoreConfig { kind: StoreKind::Redis(broken), grace: Duration::ZERO };
    assert!(stores.reconfigure(&broken).is_err());
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_unix_socket_is_as_good_as_a_port() {
    let mut server = Redis::start();
    let socket = server.dir().join("redis.sock");
    server.kill();
    server.restart_with(&["--unixsocket", socket.to_str().unwrap(), "--requirepass", "secret"]);
    let config: RedisConfig = format!("redis+unix://:secret@{}?db=3", socket.display()).parse().unwrap();
    let store = stores(config).connect();
    everything_works(&*store, "s").await;
    server.kill();
    let error = store.ping().await.unwrap_err().to_string();
    assert!(error.contains("redis.sock") && !error.contains("secret"), "{error}");
    server.restart_with(&["--unixsocket", socket.to_str().unwrap(), "--requirepass", "secret"]);
    store.ping().await.unwrap();
}
