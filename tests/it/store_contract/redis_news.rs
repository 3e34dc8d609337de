//! What one process changes is heard by the others, and a channel that is not alive is not believed.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cloakroom::config::RedisConfig;
use cloakroom::session::store::changes::Change;
use cloakroom::session::store::redis::{Audience, RedisServer};
use cloakroom::session::store::{EndReason, Loaded, StoreKey};
use tokio::task::JoinHandle;

use super::place::{LONG, bytes, entry, key};
use super::redis::{CLOCK, stores};
use crate::support::Redis;
use crate::support::{RedisCluster, Sentinels};

/// Everything that a process was told.
#[derive(Default)]
struct Notes(Mutex<Told>);

#[derive(Default)]
struct Told {
    heard: Option<Instant>,
    changes: Vec<(StoreKey, Change, Instant)>,
    lost: usize,
}

impl Audience for Notes {
    fn heard(&self, at: Instant) {
        self.0.lock().unwrap().heard = Some(at);
    }

    fn changed(&self, key: &StoreKey, change: Change) {
        self.0.lock().unwrap().changes.push((*key, change, Instant::now()));
    }

    fn lost(&self) {
        self.0.lock().unwrap().lost += 1;
    }
}

/// A process that listens.
struct Listener {
    notes: Arc<Notes>,
    task: JoinHandle<()>,
}

impl Listener {
    async fn start(config: &RedisConfig) -> Self {
        let (server, notes) = (RedisServer::new(config).unwrap(), Arc::new(Notes::default()));
        let told = Arc::clone(&notes);
        let listener = Self { notes, task: tokio::spawn(async move { server.listen(&*told).await }) };
        listener.until("the channel is proven", |told| told.heard.is_some()).await;
        listener
    }

    async fn until(&self, what: &str, holds: impl Fn(&Told) -> bool) -> Duration {
        let started = Instant::now();
        while !holds(&self.notes.0.lock().unwrap()) {
            assert!(started.elapsed() < Duration::from_secs(15), "it never came about that {what}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        started.elapsed()
    }

    /// How long ago what is proven now was sent.
    fn age(&self) -> Duration {
        self.notes.0.lock().unwrap().heard.unwrap().elapsed()
    }

    fn lost(&self) -> usize {
        self.notes.0.lock().unwrap().lost
    }

    async fn hears(&self, id: StoreKey, change: Change) -> Duration {
        self.until("the change is heard", |told| {
            told.changes.iter().any(|(key, heard, _)| (*key, *heard) == (id, change))
        })
        .await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn every_change_is_heard(config: &RedisConfig) {
    let listener = Listener::start(config).await;
    let store = stores(config.clone()).connect();
    let mut slowest = Duration::ZERO;
    for number in 0..30 {
        let id = key(&format!("told {number}"));
        store.insert(&id, entry(&CLOCK, b"x", LONG, &[])).await.unwrap();
        store.replace(&id, 1, bytes("y")).await.unwrap();
        slowest = slowest.max(listener.hears(id, Change::Written(2)).await);
        store.end(&id, EndReason::Revoked).await.unwrap();
        slowest = slowest.max(listener.hears(id, Change::Ended).await);
        store.end(&id, EndReason::Revoked).await.unwrap();
        store.replace(&id, 2, bytes("y")).await.unwrap();
    }
    eprintln!("{config}: the slowest change was heard after {slowest:?}");
    assert!(slowest < Duration::from_millis(100), "{slowest:?}");
    assert_eq!(listener.notes.0.lock().unwrap().changes.len(), 60, "what changed nothing is not told");
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(listener.age() < Duration::from_millis(700), "a quiet channel is proven all the time");
    }
    assert_eq!(listener.lost(), 1, "and it is made once");
}

#[tokio::test]
async fn on_one_redis_every_change_is_heard() {
    every_change_is_heard(&Redis::start().config()).await;
}

#[tokio::test]
async fn in_a_cluster_every_change_is_heard_wherever_it_is_made() {
    let mut cluster = RedisCluster::start();
    every_change_is_heard(&cluster.config()).await;
    // A primary that cannot be reached may be telling changes to others: nothing is proven until it is replaced.
    let listener = Listener::start(&cluster.config()).await;
    // Neither the one we listen at nor the first in any order.
    let listened =
        |number: &usize| cluster.nodes[*number].command(&["PUBSUB", "CHANNELS", "cloakroom:*"]).contains("changes");
    let others = (0..3).filter(|number| !listened(number));
    let victim = others.max_by_key(|number| cluster.nodes[*number].port()).unwrap();
    cluster.nodes[victim].kill();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let silent = listener.age();
    assert!(silent > Duration::from_millis(400), "{silent:?}");
    let proven = Instant::now();
    let healed = listener.until("the replica took over", |told| told.heard.is_some_and(|at| at > proven)).await;
    eprintln!("a cluster that lost a primary is heard again after {healed:?}");
}

#[tokio::test]
async fn a_channel_that_breaks_or_falls_silent_is_lost_and_made_anew() {
    let server = Redis::start();
    let listener = Listener::start(&server.config()).await;
    let store = stores(server.config()).connect();
    store.insert(&key("s"), entry(&CLOCK, b"x", LONG, &[])).await.unwrap();
    assert_eq!(listener.lost(), 1);
    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    let took = listener.until("it is lost and there again", |told| told.lost == 3).await;
    eprintln!("a broken channel is there again after {took:?}");
    assert!(took < Duration::from_millis(500), "{took:?}");
    store.replace(&key("s"), 1, bytes("y")).await.unwrap();
    listener.hears(key("s"), Change::Written(2)).await;

    server.freeze();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(listener.age() > Duration::from_secs(1), "a frozen server proves nothing");
    let thawed = Instant::now();
    server.thaw();
    let took = listener.until("it is proven again", |told| told.heard.is_some_and(|at| at > thawed)).await;
    assert!(listener.lost() > 3 && took < Duration::from_secs(2), "{took:?}");
    assert!(matches!(store.load(&key("s")).await.unwrap(), Loaded::Live(held) if held.version == 2));
}

/// Waits until the process that listens has left its mark on the server.
async fn marked(server: &Redis) {
    for _ in 0..400 {
        let mark = server.command(&["KEYS", "cloakroom:m:*"]);
        if mark.contains("cloakroom:m:") {
            let name = mark.split_whitespace().last().unwrap().to_owned();
            assert!(server.command(&["PTTL", &name]).trim_start_matches(':').trim().parse::<u64>().unwrap() > 200_000);
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no mark was left");
}

async fn is_noticed_when_emptied(listener: &Listener, server: &Redis) {
    marked(server).await;
    let before = listener.lost();
    server.command(&["FLUSHALL"]);
    let took = listener.until("the emptied server is noticed", |told| told.lost == before + 2).await;
    eprintln!("an emptied server was noticed after {took:?}");
    assert!(took < Duration::from_millis(900), "{took:?}");
    marked(server).await;
}

#[tokio::test]
async fn a_server_that_was_emptied_is_noticed_and_one_that_takes_no_writes_is_not_taken_for_one() {
    let server = Redis::start();
    let listener = Listener::start(&server.config()).await;
    is_noticed_when_emptied(&listener, &server).await;
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let newcomer = Listener::start(&server.config()).await;
    let before = (listener.lost(), newcomer.lost());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((listener.lost(), newcomer.lost()), before);
    assert!(listener.age() < Duration::from_millis(700) && newcomer.age() < Duration::from_millis(700));
}

#[tokio::test]
async fn in_a_cluster_each_primary_that_was_emptied_is_noticed() {
    let cluster = RedisCluster::start();
    let listener = Listener::start(&cluster.config()).await;
    for node in 0..3 {
        is_noticed_when_emptied(&listener, &cluster.nodes[node]).await;
    }
}

#[tokio::test]
async fn behind_sentinel_the_channel_follows_the_primary() {
    let mut fleet = Sentinels::start(2, super::redis_sentinel::DOWN_AFTER);
    let listener = Listener::start(&fleet.config()).await;
    let store = stores(fleet.config()).connect();
    store.insert(&key("s"), entry(&CLOCK, b"x", LONG, &[])).await.unwrap();
    fleet.settle();
    let killed = Instant::now();
    fleet.servers[0].kill();
    listener
        .until("it is proven again", |told| told.heard.is_some_and(|at| at > killed + Duration::from_secs(1)))
        .await;
    eprintln!("behind sentinel: heard again after {:?}", killed.elapsed());
    while store.end(&key("s"), EndReason::Revoked).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    listener.hears(key("s"), Change::Ended).await;
}
