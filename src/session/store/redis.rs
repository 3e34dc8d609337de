//! The store that replicas share: Redis 6.2 or later, or whatever speaks its protocol, as one server, behind Sentinel, or
//! as a Cluster.
//!
//! Version check, write and tombstone of a session are one key and one script, and nothing can come between them
//! (`layout` has the form). Every key has an expiry from the moment it exists. Indexes and sessions are keys of different
//! slots, so the index is written first: a crash in between leaves an entry that points at nothing and expires, never a
//! session that "log out everywhere" cannot find.
//!
//! A write whose answer is lost may have happened. Compare-and-set makes that harmless: who repeats it is told `Conflict`.
//!
//! ## From a request to a server
//!
//! `Topology` is what this process knows of the servers; `Link` is one runtime's connections to them, a `Node` each.
//! The library's own Sentinel and Cluster clients are not used: the first asks sentinels one after the other, the second
//! stops all requests while it looks for a lost node and sends a write again whose answer was lost. Here a silent server
//! delays only what belongs to it, by no more than the budget of one request, and after two rounds of silence not at all.
//!
//! - *Sentinel*: all are asked at once and most decide. A server must call itself the primary before anything is said to
//!   it. The question is asked anew when a connection breaks, when a server says `READONLY` or `MASTERDOWN`, and every
//!   second while the process listens.
//! - *Cluster*: redirections are followed, and the slots are asked for anew after one, or when a node is lost.
//!
//! ## What Redis does not promise
//!
//! Replication is asynchronous. A primary acknowledges a write before its replicas have it; if it dies in that moment,
//! the promoted replica never knew: a login is lost (the user logs in again), a refreshed token too (its refresh token
//! was used, so the session ends at the next refresh), and an end as well: a session that was ended within the replication
//! lag before the failure is live again. `WAIT` would cost every write a round trip between servers and still promises
//! nothing, since the promotion may choose another replica. What helps is a primary that stops taking writes
//! when it is alone: `min-replicas-to-write 1` and `min-replicas-max-lag 10`, which bounds what a primary that was cut
//! off can still acknowledge. The store then says so, and requests are answered as in any outage. A Cluster that lost
//! a primary does not answer for its slots until a replica is promoted (`cluster-node-timeout`).

use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use redis::Value;

use super::changes::Changes;
use super::near::Dated;
use super::{
    Allowance, Answer, Cursor, END_REMEMBERED, EndReason, Ended, Holder, Lease, Loaded, NewEntry, Page, Replaced,
    SignOfLife, Spent, Store, StoreKey,
};
use crate::clock::{Clock, Timestamp};
use layout::{Fields, ended, loaded, name, read, reason, said, sign_of_life, unreadable};
use link::Link;
use request::{Lua, Request, deadline};

mod failure;
mod layout;
mod link;
mod listener;
mod mark;
mod node;
mod request;
mod scan;
mod sentinel;
mod server;
mod settings;
mod silence;
mod slots;
mod topology;

pub use listener::Audience;
pub use server::RedisServer;

static INSERT: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("redis/lua/insert.lua")));
static REPLACE: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("redis/lua/replace.lua")));
static END: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("redis/lua/end.lua")));
static INDEX: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("redis/lua/index.lua")));
static HOLD: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("redis/lua/hold.lua")));
static SPEND: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("redis/lua/spend.lua")));
static PAUSE: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("redis/lua/pause.lua")));
static RELEASE: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("redis/lua/release.lua")));

/// Sessions in Redis, over one multiplexed connection to each server.
pub struct RedisStore {
    link: Link,
    changes: Arc<Changes>,
    clock: Clock,
}

impl Store for RedisStore {
    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded> {
        Box::pin(async move { Ok(self.load_dated(key).await?.0) })
    }

    fn load_now<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded> {
        self.load(key)
    }

    fn insert<'a>(&'a self, key: &'a StoreKey, entry: NewEntry) -> Answer<'a, bool> {
        Box::pin(async move {
            let (by, until) = (deadline(), entry.expires_at);
            let index = |index| async move { self.link.send::<()>(&filed(index, key, until), by).await };
            try_join_all(entry.indexes.iter().map(index)).await?;
            let call = INSERT.about(name("s", key)).arg(&entry.sealed[..]).arg(until.as_millis());
            self.link.send(&call, by).await
        })
    }

    fn replace<'a>(&'a self, key: &'a StoreKey, expected: u64, sealed: Bytes) -> Answer<'a, Replaced> {
        Box::pin(async move {
            let call = REPLACE.about(name("s", key));
            let call = call.arg(expected).arg(expected + 1).arg(&sealed[..]).arg(key.as_bytes());
            match self.link.send::<Value>(&call, deadline()).await? {
                Value::Int(1) => Ok(Replaced::Done),
                Value::Int(_) => Ok(Replaced::Conflict),
                over => Ok(Replaced::Gone(reason(&over)?)),
            }
        })
    }

    fn end<'a>(&'a self, key: &'a StoreKey, why: EndReason) -> Answer<'a, Ended> {
        Box::pin(async move {
            match self.link.send::<Value>(&ending(key, why, None), deadline()).await? {
                Value::Array(fields) => Ok(Ended::Now(ended(fields)?)),
                over => Ok(Ended::Already(reason(&over)?)),
            }
        })
    }

    fn end_version<'a>(&'a self, key: &'a StoreKey, expected: u64, why: EndReason) -> Answer<'a, Replaced> {
        Box::pin(async move {
            match self.link.send::<Value>(&ending(key, why, Some(expected)), deadline()).await? {
                Value::Array(_) => Ok(Replaced::Done),
                Value::Int(_) => Ok(Replaced::Conflict),
                over => Ok(Replaced::Gone(reason(&over)?)),
            }
        })
    }

    fn indexed<'a>(&'a self, index: &'a StoreKey) -> Answer<'a, Vec<StoreKey>> {
        Box::pin(async move {
            let after = format!("({}", self.clock.now().as_millis());
            let ask = Request::about("ZRANGEBYSCORE", name("i", index)).arg(after).arg("+inf").repeatable();
            let found: Vec<Vec<u8>> = self.link.send(&ask, deadline()).await?;
            let keys = found.into_iter().map(|key| key.try_into().map(StoreKey::from_bytes));
            keys.collect::<Result<_, _>>().map_err(|_| unreadable("index"))
        })
    }

    fn put_once<'a>(&'a self, key: &'a StoreKey, note: Bytes, ttl: Duration) -> Answer<'a, bool> {
        Box::pin(async move {
            let put = Request::about("SET", name("n", key)).arg(&note[..]).arg("NX").arg("PX").arg(lasting(ttl));
            self.link.send(&put, deadline()).await
        })
    }

    fn take<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Option<Bytes>> {
        Box::pin(async move { self.link.send(&Request::about("GETDEL", name("n", key)), deadline()).await })
    }

    fn file<'a>(&'a self, index: &'a StoreKey, key: &'a StoreKey, until: Timestamp) -> Answer<'a, ()> {
        Box::pin(async move { self.link.send(&filed(index, key, until), deadline()).await })
    }

    fn inherit<'a>(
        &'a self,
        key: &'a StoreKey,
        heir: Holder,
        silent: Option<SignOfLife>,
        ttl: Duration,
    ) -> Answer<'a, Lease> {
        Box::pin(async move {
            let silent = silent.as_ref().map_or_else(Vec::new, said);
            let call = HOLD.about(name("l", key)).arg(&heir.0.to_be_bytes()).arg(lasting(ttl)).arg(silent).repeatable();
            match self.link.send::<Value>(&call, deadline()).await? {
                Value::Int(_) => Ok(Lease::Mine),
                Value::Array(last) => Ok(Lease::Taken(sign_of_life(&last).ok_or_else(|| unreadable("lease"))?)),
                Value::BulkString(verdict) => Ok(Lease::Decided(verdict.into())),
                _ => Err(unreadable("lease")),
            }
        })
    }

    fn release<'a>(&'a self, key: &'a StoreKey, holder: Holder, verdict: Option<(Bytes, Duration)>) -> Answer<'a, ()> {
        Box::pin(async move {
            let (verdict, told) = verdict.map_or_else(|| (Bytes::new(), 0), |(said, ttl)| (said, lasting(ttl)));
            let call =
                RELEASE.about(name("l", key)).arg(&holder.0.to_be_bytes()).arg(told).arg(&verdict[..]).repeatable();
            self.link.send(&call, deadline()).await
        })
    }

    fn spend<'a>(&'a self, key: &'a StoreKey, allowance: Allowance) -> Answer<'a, Spent> {
        Box::pin(async move {
            let most = allowance.most.map_or(0, NonZeroU32::get);
            let call = SPEND
                .about(name("b", key))
                .arg(most)
                .arg(lasting(allowance.window))
                .arg(Holder::random().0.to_string());
            match self.link.send::<u64>(&call.repeatable(), deadline()).await? {
                0 => Ok(Spent::Granted),
                wait => Ok(Spent::Wait(Duration::from_millis(wait))),
            }
        })
    }

    fn pause<'a>(&'a self, key: &'a StoreKey, time: Duration) -> Answer<'a, ()> {
        Box::pin(async move {
            let call = PAUSE.about(name("b", key)).arg(lasting(time)).repeatable();
            self.link.send(&call, deadline()).await
        })
    }

    fn changed<'a>(&'a self, key: &'a StoreKey, at_most: Duration) -> Answer<'a, ()> {
        Box::pin(async move {
            self.changes.wait(key, at_most).await;
            Ok(())
        })
    }

    fn scan<'a>(&'a self, from: &'a Cursor) -> Answer<'a, Page> {
        Box::pin(scan::page(&self.link, from))
    }

    fn skip<'a>(&'a self, from: &'a Cursor) -> Answer<'a, Option<Cursor>> {
        Box::pin(scan::skip(&self.link, from))
    }

    fn ping(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let by = deadline();
            let servers = self.link.primaries(by).await?;
            let ping = |server| async move { self.link.send::<()>(&Request::at(server, "PING"), by).await };
            try_join_all(servers.iter().map(ping)).await?;
            Ok(())
        })
    }
}

impl Dated for RedisStore {
    fn load_dated<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, (Loaded, Timestamp)> {
        Box::pin(async move { loaded(self.link.send::<Fields>(&read(name("s", key)), deadline()).await?) })
    }
}

fn ending(key: &StoreKey, why: EndReason, version: Option<u64>) -> Request {
    let version = version.map_or_else(String::new, |version| version.to_string());
    END.about(name("s", key)).arg(why.as_str()).arg(millis(END_REMEMBERED)).arg(key.as_bytes()).arg(version)
}

fn filed(index: &StoreKey, key: &StoreKey, until: Timestamp) -> Request {
    INDEX.about(name("i", index)).arg(key.as_bytes()).arg(until.as_millis()).repeatable()
}

/// Redis refuses an expiry of zero; what is over at once lives a millisecond.
fn lasting(ttl: Duration) -> u64 {
    millis(ttl).max(1)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
