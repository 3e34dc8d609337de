//! The store that replicas share: one Redis server, 6.2 or later, or whatever speaks its protocol.
//!
//! A session is one hash: `v` its version, `d` the sealed record, `x` its absolute end; once it is over, only `e`, the
//! reason. Version check, write and tombstone are therefore one key and one script, and nothing can come between them.
//! Every key has an expiry from the moment it exists. Indexes and sessions are keys of different slots (the hash in
//! braces keeps Cluster possible), so the index is written first: a crash in between leaves an entry that points at
//! nothing and expires, never a session that "log out everywhere" cannot find.
//!
//! A write whose answer is lost may have happened. Compare-and-set makes that harmless: who repeats it is told `Conflict`.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use redis::{Script, Value};

use super::near::Dated;
use super::{
    Answer, Cursor, END_REMEMBERED, EndReason, Ended, Holder, Lease, Loaded, NewEntry, Page, Replaced, Store,
    StoreError, StoreKey, Stored,
};
use crate::clock::{Clock, Timestamp};
use crate::config::RedisConfig;
use link::Link;

mod link;
mod silence;

static INSERT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/insert.lua")));
static REPLACE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/replace.lua")));
static END: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/end.lua")));
static INDEX: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/index.lua")));

/// A checked configuration, from which each worker makes a connection of its own.
#[derive(Clone)]
pub struct RedisServer {
    client: redis::Client,
}

impl RedisServer {
    /// Reads URL and certificates; contacts nothing.
    ///
    /// # Errors
    /// When the URL is not one of Redis, or a certificate file cannot be used.
    pub fn new(config: &RedisConfig) -> Result<Self, StoreError> {
        Ok(Self { client: link::client(config)? })
    }

    /// A store whose connection is made by its first command, on the runtime that runs it.
    #[must_use]
    pub fn connect(&self, clock: Clock) -> RedisStore {
        RedisStore { link: Link::new(self.client.clone()), clock }
    }
}

/// Sessions in Redis, over one multiplexed connection.
pub struct RedisStore {
    link: Link,
    clock: Clock,
}

impl Store for RedisStore {
    fn load_now<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded> {
        self.load(key)
    }

    fn file<'a>(&'a self, index: &'a StoreKey, key: &'a StoreKey, until: Timestamp) -> Answer<'a, ()> {
        todo!("{index}{key}{until:?}")
    }

    fn hold<'a>(&'a self, key: &'a StoreKey, holder: Holder, ttl: Duration) -> Answer<'a, Lease> {
        todo!("{key}{holder:?}{ttl:?}")
    }

    fn release<'a>(&'a self, key: &'a StoreKey, holder: Holder, verdict: Option<(Bytes, Duration)>) -> Answer<'a, ()> {
        todo!("{key}{holder:?}{verdict:?}")
    }

    fn changed<'a>(&'a self, key: &'a StoreKey, at_most: Duration) -> Answer<'a, ()> {
        todo!("{key}{at_most:?}")
    }

    fn scan<'a>(&'a self, from: &'a Cursor) -> Answer<'a, Page> {
        todo!("{from:?}")
    }

    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded> {
        Box::pin(async move { Ok(self.load_dated(key).await?.0) })
    }

    fn insert<'a>(&'a self, key: &'a StoreKey, entry: NewEntry) -> Answer<'a, bool> {
        Box::pin(async move {
            let until = entry.expires_at.as_millis();
            let work = |mut link: redis::aio::ConnectionManager| {
                let entry = &entry;
                async move {
                    for index in &entry.indexes {
                        let mut call = INDEX.key(name("i", index));
                        call.arg(key.as_bytes()).arg(until).invoke_async::<()>(&mut link).await?;
                    }
                    let mut call = INSERT.key(name("s", key));
                    call.arg(&entry.sealed[..]).arg(until).invoke_async::<bool>(&mut link).await
                }
            };
            self.link.run(work).await
        })
    }

    fn replace<'a>(&'a self, key: &'a StoreKey, expected: u64, sealed: Bytes) -> Answer<'a, Replaced> {
        Box::pin(async move {
            let mut call = REPLACE.key(name("s", key));
            call.arg(expected).arg(expected + 1).arg(&sealed[..]);
            let call = &call;
            match self.link.run(|mut link| async move { call.invoke_async::<Value>(&mut link).await }).await? {
                Value::Int(1) => Ok(Replaced::Done),
                Value::Int(_) => Ok(Replaced::Conflict),
                over => Ok(Replaced::Gone(reason(&over)?)),
            }
        })
    }

    fn end<'a>(&'a self, key: &'a StoreKey, why: EndReason) -> Answer<'a, Ended> {
        Box::pin(async move {
            let mut call = END.key(name("s", key));
            call.arg(why.as_str()).arg(millis(END_REMEMBERED));
            let call = &call;
            match self.link.run(|mut link| async move { call.invoke_async::<Value>(&mut link).await }).await? {
                Value::Int(_) => Ok(Ended::Now),
                over => Ok(Ended::Already(reason(&over)?)),
            }
        })
    }

    fn indexed<'a>(&'a self, index: &'a StoreKey) -> Answer<'a, Vec<StoreKey>> {
        Box::pin(async move {
            let mut command = redis::cmd("ZRANGEBYSCORE");
            command.arg(name("i", index)).arg(format!("({}", self.clock.now().as_millis())).arg("+inf");
            let found: Vec<Vec<u8>> = self.command(&command).await?;
            let keys = found.into_iter().map(|key| key.try_into().map(StoreKey::from_bytes));
            keys.collect::<Result<_, _>>().map_err(|_| unreadable("index"))
        })
    }

    fn put_once<'a>(&'a self, key: &'a StoreKey, note: Bytes, ttl: Duration) -> Answer<'a, bool> {
        Box::pin(async move {
            let mut command = redis::cmd("SET");
            // Redis refuses an expiry of zero; a note that is over at once is one that lives a millisecond.
            command.arg(name("n", key)).arg(&note[..]).arg("NX").arg("PX").arg(millis(ttl).max(1));
            self.command(&command).await
        })
    }

    fn take<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Option<Bytes>> {
        Box::pin(async move {
            let mut command = redis::cmd("GETDEL");
            command.arg(name("n", key));
            self.command(&command).await
        })
    }

    fn ping(&self) -> Answer<'_, ()> {
        Box::pin(async move { self.command(&redis::cmd("PING")).await })
    }
}

impl Dated for RedisStore {
    fn load_dated<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, (Loaded, Timestamp)> {
        Box::pin(async move {
            let mut command = redis::cmd("HMGET");
            command.arg(name("s", key)).arg(&["v", "d", "x", "e"]);
            let fields: (Option<u64>, Option<Bytes>, Option<u64>, Option<Bytes>) = self.command(&command).await?;
            match fields {
                (None, None, None, None) => Ok((Loaded::Absent, Timestamp::default())),
                (_, _, _, Some(word)) => {
                    let reason = EndReason::parse(&word).ok_or_else(|| unreadable("session"))?;
                    Ok((Loaded::Ended(reason), Timestamp::default()))
                }
                (Some(version), Some(sealed), Some(until), None) => {
                    Ok((Loaded::Live(Stored { version, sealed }), Timestamp::from_millis(until)))
                }
                _ => Err(unreadable("session")),
            }
        })
    }
}

impl RedisStore {
    async fn command<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, StoreError> {
        self.link.run(|mut link| async move { command.query_async(&mut link).await }).await
    }
}

fn name(kind: &str, key: &StoreKey) -> String {
    format!("cloakroom:{kind}:{{{key}}}")
}

fn reason(answer: &Value) -> Result<Option<EndReason>, StoreError> {
    match answer {
        Value::Nil => Ok(None),
        Value::BulkString(word) => EndReason::parse(word).map(Some).ok_or_else(|| unreadable("session")),
        _ => Err(unreadable("session")),
    }
}

/// Somebody else wrote under our names, or a newer release did.
fn unreadable(what: &str) -> StoreError {
    StoreError(format!("Redis holds a {what} in a form this release does not know"))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
