//! What only Redis can get wrong: keys that stay for ever, foreign values, credentials and certificates.

use std::sync::Arc;
use std::time::Duration;

use cloakroom::clock::Clock;
use cloakroom::config::{RedisConfig, StoreConfig, StoreKind, TlsFiles};
use cloakroom::session::store::{EndReason, Loaded, Store, Stores};
use tempfile::TempDir;

use super::place::{LONG, bytes, entry, key};
use crate::support::{Pair, Redis};

pub(crate) const CLOCK: Clock = Clock::System;

pub(crate) fn stores(config: RedisConfig) -> Stores {
    Stores::open(&StoreConfig { kind: StoreKind::Redis(config), grace: Duration::ZERO }, CLOCK).unwrap()
}

pub(crate) fn connect(server: &Redis) -> Arc<dyn Store> {
    stores(server.config()).connect()
}

#[tokio::test]
async fn every_key_has_an_expiry() {
    let server = Redis::start();
    let store = connect(&server);
    let (week, hour) = (LONG * 14, Duration::from_secs(3600));
    store.insert(&key("long"), entry(&CLOCK, b"x", week, &[key("i"), key("j")])).await.unwrap();
    store.insert(&key("short"), entry(&CLOCK, b"x", LONG, &[key("i")])).await.unwrap();
    store.replace(&key("long"), 1, bytes("y")).await.unwrap();
    store.insert(&key("over"), entry(&CLOCK, b"x", week, &[key("k")])).await.unwrap();
    store.end(&key("over"), EndReason::Revoked).await.unwrap();
    store.end(&key("nothing"), EndReason::Revoked).await.unwrap();
    store.replace(&key("nothing"), 1, bytes("y")).await.unwrap();
    store.put_once(&key("n"), bytes("x"), Duration::from_secs(600)).await.unwrap();
    let expected = [
        ("s", "long", week),
        ("s", "short", LONG),
        ("s", "over", hour),
        ("i", "i", week),
        ("i", "j", week),
        ("i", "k", week),
        ("n", "n", Duration::from_secs(600)),
    ];
    for (kind, id, life) in expected {
        let left = server.command(&["PTTL", &format!("cloakroom:{kind}:{{{}}}", key(id))]);
        let left = Duration::from_millis(left.trim().trim_start_matches(':').parse().unwrap());
        assert!(left <= life && left + Duration::from_secs(5) > life, "{kind} {id}: {left:?} of {life:?}");
    }
    assert_eq!(server.command(&["DBSIZE"]).trim(), format!(":{}", expected.len()), "and there are no other keys");
}

#[tokio::test]
async fn an_ended_session_leaves_nothing_but_its_reason() {
    let server = Redis::start();
    let store = connect(&server);
    store.insert(&key("s"), entry(&CLOCK, b"sealed tokens", LONG, &[])).await.unwrap();
    store.end(&key("s"), EndReason::RefreshRejected).await.unwrap();
    let held = server.command(&["HGETALL", &format!("cloakroom:s:{{{}}}", key("s"))]);
    assert_eq!(held, "*2\r\n$1\r\ne\r\n$16\r\nrefresh_rejected\r\n");
}

/// What the layout promises to a rolling update.
#[tokio::test]
async fn fields_of_a_newer_release_are_left_alone_and_go_with_the_end() {
    let server = Redis::start();
    let store = connect(&server);
    let name = format!("cloakroom:s:{{{}}}", key("s"));
    store.insert(&key("s"), entry(&CLOCK, b"x", LONG, &[])).await.unwrap();
    server.command(&["HSET", &name, "new", "field"]);
    assert!(matches!(store.load(&key("s")).await.unwrap(), Loaded::Live(held) if held.version == 1));
    store.replace(&key("s"), 1, bytes("y")).await.unwrap();
    assert!(server.command(&["HGET", &name, "new"]).contains("field"));
    store.end(&key("s"), EndReason::Idle).await.unwrap();
    assert_eq!(server.command(&["HKEYS", &name]), "*1\r\n$1\r\ne\r\n");
    let left = server.command(&["PTTL", &name]);
    assert!(left.trim().trim_start_matches(':').parse::<u64>().unwrap() <= 3_600_000, "{left}");
}

#[tokio::test]
async fn an_index_does_not_keep_expired_sessions() {
    let server = Redis::start();
    let store = connect(&server);
    for number in 0..50 {
        let life = Duration::from_millis(300);
        store.insert(&key(&number.to_string()), entry(&CLOCK, b"x", life, &[key("i")])).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(350)).await;
    store.insert(&key("last"), entry(&CLOCK, b"x", LONG, &[key("i")])).await.unwrap();
    assert_eq!(server.command(&["ZCARD", &format!("cloakroom:i:{{{}}}", key("i"))]).trim(), ":1");
}

#[tokio::test]
async fn a_server_that_lost_its_scripts_is_told_them_again() {
    let server = Redis::start();
    let store = connect(&server);
    store.insert(&key("s"), entry(&CLOCK, b"x", LONG, &[])).await.unwrap();
    server.command(&["SCRIPT", "FLUSH"]);
    store.end(&key("s"), EndReason::Revoked).await.unwrap();
    assert_eq!(store.load(&key("s")).await.unwrap(), Loaded::Ended(EndReason::Revoked));
}

#[tokio::test]
async fn no_error_repeats_the_password() {
    let server = Redis::with(&["--requirepass", "right-password"]);
    let url = |password: &str| format!("redis://:{password}@127.0.0.1:{}/0", server.port());
    let wrong = url("wr0ng-s3cret").parse().unwrap();
    let error = stores(wrong).connect().ping().await.unwrap_err().to_string();
    assert!(error.contains("refuses the credentials") && !error.contains("wr0ng-s3cret"), "{error}");
    let none = stores(server.config()).connect().ping().await.unwrap_err().to_string();
    assert!(none.contains("demands credentials"), "{none}");
    let right = url("right-password").parse().unwrap();
    stores(right).connect().ping().await.unwrap();
    let error = "redis://:wr0ng-s3cret@[::".parse::<RedisConfig>().unwrap_err().to_string();
    assert!(!error.contains("wr0ng-s3cret"), "{error}");
}

#[tokio::test]
async fn a_key_that_somebody_else_wrote_is_an_error_and_not_a_missing_session() {
    let server = Redis::start();
    let store = connect(&server);
    let name = format!("cloakroom:s:{{{}}}", key("s"));
    server.command(&["SET", &name, "text"]);
    assert!(store.load(&key("s")).await.is_err());
    server.command(&["DEL", &name]);
    server.command(&["HSET", &name, "e", "a reason of the future"]);
    assert!(store.load(&key("s")).await.is_err());
    assert!(store.end(&key("s"), EndReason::Idle).await.is_err());
}

#[tokio::test]
async fn tls_is_verified_in_both_directions() {
    // `main` does this for the whole process.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let dir = TempDir::new().unwrap();
    let Pair { cert, key: key_file } = Pair::make(dir.path(), "server", "IP:127.0.0.1");
    let other = Pair::make(dir.path(), "other", "IP:127.0.0.1").cert;
    let (cert_name, key_name) = (cert.to_str().unwrap(), key_file.to_str().unwrap());
    let options = ["--tls-cert-file", cert_name, "--tls-key-file", key_name, "--tls-ca-cert-file", cert_name];
    let server = Redis::with(&options);
    let ping = |tls: TlsFiles| {
        let url = format!("rediss://127.0.0.1:{}/0", server.port());
        let config: RedisConfig = url.parse().unwrap();
        let store = stores(RedisConfig { tls, ..config }).connect();
        async move { store.ping().await }
    };
    let trusted = TlsFiles { ca: Some(cert.clone()), client_cert: Some(cert.clone()), client_key: Some(key_file) };
    ping(trusted.clone()).await.unwrap();
    // A changed file under the same name is read at the next reconfiguration.
    let file = dir.path().join("ca.pem");
    std::fs::copy(&other, &file).unwrap();
    let config: RedisConfig = format!("rediss://127.0.0.1:{}/0", server.port()).parse().unwrap();
    let config = RedisConfig { tls: TlsFiles { ca: Some(file.clone()), ..trusted.clone() }, ..config };
    let changing = stores(config.clone());
    let store = changing.connect();
    assert!(store.ping().await.is_err(), "that authority is not the server's");
    std::fs::copy(&cert, &file).unwrap();
    changing.reconfigure(&StoreConfig { kind: StoreKind::Redis(config), grace: Duration::ZERO }).unwrap();
    store.ping().await.unwrap();
    let stranger = ping(TlsFiles { ca: Some(other), ..trusted.clone() }).await.unwrap_err().to_string();
    assert!(stranger.contains("certificate"), "{stranger}");
    let anonymous = TlsFiles { client_cert: None, client_key: None, ..trusted };
    assert!(ping(anonymous).await.is_err(), "the server asks for a client certificate");
}

#[test]
fn certificate_files_are_read_at_the_start_and_named_when_they_are_wrong() {
    let tls = TlsFiles { ca: Some("/no/such/ca.pem".into()), ..TlsFiles::default() };
    let config: RedisConfig = "rediss://127.0.0.1:1".parse().unwrap();
    let config = RedisConfig { tls, ..config };
    let config = StoreConfig { kind: StoreKind::Redis(config), grace: Duration::ZERO };
    let error = Stores::open(&config, CLOCK).err().unwrap().to_string();
    assert!(error.contains("/no/such/ca.pem"), "{error}");
}
