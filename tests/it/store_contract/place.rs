//! Where a law is tried: a store, its clock, and a way to let time pass.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use cloakroom::clock::{Clock, Timestamp};
use cloakroom::config::{StoreConfig, StoreKind};
use cloakroom::session::store::{NewEntry, Store, StoreKey, Stores};
use tempfile::TempDir;

use crate::support::Redis;
use crate::support::RedisCluster;

/// Long enough that nothing expires by accident, short enough for Redis, where time passes by itself.
pub(crate) const SHORT: Duration = Duration::from_millis(400);
pub(crate) const LONG: Duration = Duration::from_secs(12 * 3600);

pub(crate) struct Place {
    pub(crate) stores: Stores,
    pub(crate) clock: Clock,
    /// Held until the test is over.
    _dir: Option<TempDir>,
    server: Option<Redis>,
}

impl Place {
    pub(crate) fn memory() -> Self {
        Self::open(StoreKind::Memory, hand_moved(), None, None)
    }

    pub(crate) fn file() -> Self {
        let dir = TempDir::new().unwrap();
        Self::open(StoreKind::File(dir.path().join("sessions.redb")), hand_moved(), Some(dir), None)
    }

    pub(crate) fn redis() -> Self {
        let server = Redis::start();
        Self::open(StoreKind::Redis(server.config()), Clock::System, None, Some(server))
    }

    pub(crate) fn cluster(cluster: &RedisCluster) -> Self {
        Self::open(StoreKind::Redis(cluster.config()), Clock::System, None, None)
    }

    fn open(kind: StoreKind, clock: Clock, dir: Option<TempDir>, server: Option<Redis>) -> Self {
        let config = StoreConfig { kind, grace: Duration::ZERO };
        let stores = Stores::open(&config, clock.clone()).unwrap();
        Self { stores, clock, _dir: dir, server }
    }

    /// The one Redis of this place.
    pub(crate) fn server(&self) -> &Redis {
        self.server.as_ref().unwrap()
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.stores.connect()
    }

    /// Lets `time` pass, and a little more: Redis expires by its own clock.
    pub(crate) async fn pass(&self, time: Duration) {
        match &self.clock {
            Clock::Manual(_) => self.clock.advance(time),
            Clock::System => tokio::time::sleep(time + Duration::from_millis(20)).await,
        }
    }

    pub(crate) fn entry(&self, sealed: &'static [u8], life: Duration, indexes: &[StoreKey]) -> NewEntry {
        entry(&self.clock, sealed, life, indexes)
    }

    /// Runs `work` on `count` threads, each with its own runtime and connection, as the workers of the gateway do.
    pub(crate) fn workers<T, W, F>(&self, count: usize, work: W) -> Vec<T>
    where
        T: Send,
        W: Fn(Arc<dyn Store>, usize) -> F + Sync,
        F: Future<Output = T>,
    {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..count)
                .map(|number| {
                    let (store, work) = (self.store(), &work);
                    scope.spawn(move || {
                        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                        runtime.block_on(work(store, number))
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }
}

pub(crate) fn hand_moved() -> Clock {
    Clock::manual(Timestamp::from_secs(1_700_000_000))
}

pub(crate) fn entry(clock: &Clock, sealed: &'static [u8], life: Duration, indexes: &[StoreKey]) -> NewEntry {
    let expires_at = clock.now().plus(life);
    NewEntry { sealed: Bytes::from_static(sealed), expires_at, indexes: indexes.to_vec() }
}

pub(crate) fn key(name: &str) -> StoreKey {
    StoreKey::of(&[b"test", name.as_bytes()])
}

pub(crate) fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}
