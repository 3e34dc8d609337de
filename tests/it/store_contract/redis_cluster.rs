//! In a Cluster: a lost primary costs its own slots a moment, and a slot that moves costs nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloakroom::session::store::{Loaded, Replaced, Store, StoreKey};

use super::place::{LONG, bytes, entry, key};
use super::redis::{CLOCK, stores};
use crate::support::RedisCluster;

const BACK_WITHIN: Duration = Duration::from_secs(15);
const AT_MOST: Duration = Duration::from_millis(500);

/// A session at each of the three primaries.
async fn one_at_each(cluster: &RedisCluster, store: &dyn Store) -> [StoreKey; 3] {
    let mut at = [None; 3];
    for number in 0..64 {
        let id = key(&format!("at {number}"));
        let home = RedisCluster::home(cluster.slot(&format!("cloakroom:s:{{{id}}}")));
        if at[home].is_none() {
            store.insert(&id, entry(&CLOCK, b"x", LONG, &[key("i")])).await.unwrap();
            at[home] = Some(id);
        }
    }
    at.map(Option::unwrap)
}

pub(crate) async fn a_slot_that_moves_while_it_is_written_loses_no_write(cluster: &RedisCluster) {
    let store = stores(cluster.config()).connect();
    let [id, ..] = one_at_each(cluster, &*store).await;
    let slot = cluster.slot(&format!("cloakroom:s:{{{id}}}")).to_string();
    let (from, to) = (cluster.nodes[0].id(), cluster.nodes[1].id());
    let moved = AtomicBool::new(false);
    let writes = async {
        let mut version = 1;
        while !moved.load(Ordering::SeqCst) || version < 50 {
            assert_eq!(store.replace(&id, version, bytes("x")).await.unwrap(), Replaced::Done, "version {version}");
            version += 1;
            tokio::task::yield_now().await;
        }
        version
    };
    let moves = async {
        let pause = || tokio::time::sleep(Duration::from_millis(30));
        pause().await;
        let set = |at: usize, words: &[&str]| {
            let said = cluster.nodes[at].command(&[&["CLUSTER", "SETSLOT", &slot], words].concat());
            assert_eq!(said, "+OK\r\n");
        };
        set(1, &["IMPORTING", &from]);
        set(0, &["MIGRATING", &to]);
        pause().await;
        let port = cluster.nodes[1].port().to_string();
        let names = cluster.nodes[0].command(&["CLUSTER", "GETKEYSINSLOT", &slot, "10"]);
        for name in names.split("\r\n").filter(|line| line.starts_with("cloakroom")) {
            let said = cluster.nodes[0].command(&["MIGRATE", "127.0.0.1", &port, name, "0", "1000"]);
            assert_eq!(said, "+OK\r\n");
        }
        // Whoever asks the old node is now told ASK.
        pause().await;
        set(1, &["NODE", &to]);
        set(0, &["NODE", &to]);
        pause().await;
        moved.store(true, Ordering::SeqCst);
    };
    let (version, ()) = tokio::join!(writes, moves);
    assert!(matches!(store.load(&id).await.unwrap(), Loaded::Live(held) if held.version == version));
    let stays = cluster.nodes[1].command(&["EXISTS", &format!("cloakroom:s:{{{id}}}")]);
    assert_eq!(stays.trim(), ":1", "it was written at its new home");
}

#[tokio::test]
async fn a_lost_primary_delays_its_own_slots_only_and_a_replica_takes_them_over() {
    for frozen in [false, true] {
        let mut cluster = RedisCluster::start();
        let store = stores(cluster.config()).connect();
        let [lost, .., other] = one_at_each(&cluster, &*store).await;
        cluster.settle();
        if frozen {
            cluster.nodes[0].freeze()
        } else {
            cluster.nodes[0].kill()
        }
        let started = Instant::now();
        let mut slowest = Duration::ZERO;
        loop {
            let asked = Instant::now();
            // Until the others notice, they answer; while they elect, a Cluster answers nobody or everybody, as it is told to.
            let _ = store.load(&other).await;
            slowest = slowest.max(asked.elapsed());
            let asked = Instant::now();
            let outcome = store.replace(&lost, 1, bytes("after")).await;
            assert!(asked.elapsed() < AT_MOST, "{:?}: {outcome:?}", asked.elapsed());
            match outcome {
                Ok(Replaced::Done) => break,
                Ok(gone) => panic!("a replicated session was lost: {gone:?}"),
                Err(error) => assert!(started.elapsed() < BACK_WITHIN, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        eprintln!("a lost primary (frozen: {frozen}): written after {:?}, others took {slowest:?}", started.elapsed());
        assert!(slowest < Duration::from_millis(300), "the others were kept waiting for {slowest:?}");
        store.ping().await.unwrap();
        assert_eq!(store.indexed(&key("i")).await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn a_single_server_that_is_no_cluster_is_said() {
    let server = crate::support::Redis::start();
    let config = format!("redis+cluster://127.0.0.1:{}", server.port()).parse().unwrap();
    let error = stores(config).connect().ping().await.unwrap_err().to_string();
    assert!(error.contains("cluster support disabled"), "{error}");
}
