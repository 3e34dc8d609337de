//! The store: what every place that holds sessions must promise, and nothing about what is in them.
//!
//! Values are opaque sealed bytes and keys are one-way hashes, so a store never sees a token, a subject or a cookie.
//! Every write names the version it replaces, so that a late write can neither undo another nor bring an ended session
//! back: [`Replaced::Conflict`] and [`Replaced::Gone`] are outcomes, not errors. "There is no such session" and "the
//! store cannot say" never look alike: the first is [`Loaded::Absent`], the second is [`StoreError`].

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

pub use budgets::Budgets;
pub use key::StoreKey;

use crate::clock::Timestamp;

mod bells;
mod budgets;
pub mod changes;
pub mod file;
mod key;
mod leases;
pub mod memory;
pub mod near;
pub mod redis;
mod row;
mod stores;

pub use stores::Stores;

/// How long the reason of an end is remembered at most.
pub const END_REMEMBERED: Duration = Duration::from_secs(3600);

/// Sessions on one page of an embedded store's scan.
const PAGE: usize = 500;

/// The answer of a store, some time later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A place that holds sessions.
pub trait Store: Send + Sync {
    /// What stands under `key`; a shared store may be answered for by what this process has seen of it (see [`near`]).
    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded>;

    /// What stands under `key` by the word of the store itself, never a copy from memory: for what must not be answered
    /// during an outage.
    fn load_now<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded>;

    /// Writes a new session at version 1; `false` when `key` is taken, by a live session or by the memory of an ended one.
    fn insert<'a>(&'a self, key: &'a StoreKey, entry: NewEntry) -> Answer<'a, bool>;

    /// Replaces the value of a live session that still has `expected` as its version, and raises the version by one. Its expiry stays.
    fn replace<'a>(&'a self, key: &'a StoreKey, expected: u64, sealed: Bytes) -> Answer<'a, Replaced>;

    /// Ends a live session and remembers why for [`END_REMEMBERED`], or for its remaining life if that is shorter.
    fn end<'a>(&'a self, key: &'a StoreKey, reason: EndReason) -> Answer<'a, Ended>;

    /// The same for a session that still has `expected` as its version: what was decided about one record must not end
    /// a newer one.
    fn end_version<'a>(&'a self, key: &'a StoreKey, expected: u64, reason: EndReason) -> Answer<'a, Replaced>;

    /// The keys filed under `index` whose sessions have not expired; ended ones may be among them.
    fn indexed<'a>(&'a self, index: &'a StoreKey) -> Answer<'a, Vec<StoreKey>>;

    /// Writes a short-lived note; `false`, and nothing changed, when one stands under `key` already.
    fn put_once<'a>(&'a self, key: &'a StoreKey, note: Bytes, ttl: Duration) -> Answer<'a, bool>;

    /// Reads a short-lived note and removes it: of any number of callers one gets it.
    fn take<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Option<Bytes>>;

    /// Files a live session under one more index until `until`, as its keys change.
    fn file<'a>(&'a self, index: &'a StoreKey, key: &'a StoreKey, until: Timestamp) -> Answer<'a, ()>;

    /// Takes the lease at `key` for `holder`, or renews it when `holder` has it already. Of any number of holders, one
    /// has it at a time; it ends by itself after `ttl`.
    fn hold<'a>(&'a self, key: &'a StoreKey, holder: Holder, ttl: Duration) -> Answer<'a, Lease> {
        self.inherit(key, holder, None, ttl)
    }

    /// The same, and takes the lease over from a holder whose last sign of life is still `silent`. How long to wait for
    /// another one is the heir's to judge, and only by its own watch: while a store stands still its clock goes on, and
    /// no holder can renew anything. That a lease is [`Lease::Taken`] is never said by a store that could not have been
    /// told of a renewal just then.
    fn inherit<'a>(
        &'a self,
        key: &'a StoreKey,
        heir: Holder,
        silent: Option<SignOfLife>,
        ttl: Duration,
    ) -> Answer<'a, Lease>;

    /// Gives a lease back, if `holder` still has it. With a verdict, everyone who asks for the lease within the
    /// verdict's time is told that instead of getting it.
    fn release<'a>(&'a self, key: &'a StoreKey, holder: Holder, verdict: Option<(Bytes, Duration)>) -> Answer<'a, ()>;

    /// Takes one call out of the budget at `key`, if the calls of the last `window` leave room for it and nobody has
    /// [paused](Store::pause) it. Who is granted one has spent it, whether it is made or not.
    fn spend<'a>(&'a self, key: &'a StoreKey, allowance: Allowance) -> Answer<'a, Spent>;

    /// Lets nothing be taken out of the budget at `key` for `time`, or for what is left of a longer pause.
    fn pause<'a>(&'a self, key: &'a StoreKey, time: Duration) -> Answer<'a, ()>;

    /// Waits until the session at `key` may have changed, but no longer than `at_most`. Counted from the call, not from the
    /// first poll: who calls this, then loads, and awaits this only then, misses nothing.
    fn changed<'a>(&'a self, key: &'a StoreKey, at_most: Duration) -> Answer<'a, ()>;

    /// Live sessions in no particular order, a page at a time; start with [`Cursor::default`], go on with the page's
    /// `next`. One that is written meanwhile may come twice, or not at all; one that stays as it is comes at least once.
    fn scan<'a>(&'a self, from: &'a Cursor) -> Answer<'a, Page>;

    /// Where a scan goes on that cannot at `from`: behind the sessions of the server that does not answer. A store of one
    /// piece has nothing behind.
    fn skip<'a>(&'a self, from: &'a Cursor) -> Answer<'a, Option<Cursor>> {
        let _ = from;
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Whether the store answers.
    fn ping(&self) -> Answer<'_, ()>;
}

/// Who holds a lease: random, made anew for each attempt to get one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder(pub u128);

impl Holder {
    /// A fresh holder.
    #[must_use]
    pub fn random() -> Self {
        Self(u128::from_be_bytes(crate::secret::random_bytes()))
    }
}

/// A holder has a lease: another one each time it is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignOfLife {
    /// Who has it.
    pub holder: Holder,
    /// 1 when it was taken, one more with each renewal.
    pub count: u64,
}

/// What became of the wish for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lease {
    /// It is the asker's.
    Mine,
    /// It is another's, and this is what that one said last.
    Taken(SignOfLife),
    /// It is nobody's: what it was for was decided a moment ago.
    Decided(Bytes),
}

impl Lease {
    /// Whether it is another's.
    #[must_use]
    pub const fn is_taken(&self) -> bool {
        matches!(self, Self::Taken(_))
    }
}

/// How much of a budget somebody may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The calls that any window may hold, whoever made them; `None` is any number, which are not counted either.
    pub most: Option<NonZeroU32>,
    /// The window's length.
    pub window: Duration,
}

/// What became of the wish to spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// It is granted.
    Granted,
    /// Not before this time has passed.
    Wait(Duration),
}

/// Where a scan goes on; the store's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub Vec<u8>);

/// Some live sessions.
#[derive(Clone, Debug)]
pub struct Page {
    /// The sessions.
    pub sessions: Vec<(StoreKey, Stored)>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// A session to be written for the first time.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// The sealed record.
    pub sealed: Bytes,
    /// The session's absolute end: nothing of it stays in the store after this.
    pub expires_at: Timestamp,
    /// The indexes it is filed under; an index lives as long as its longest session.
    pub indexes: Vec<StoreKey>,
}

/// What stands under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// A live session.
    Live(Stored),
    /// A session that ended, and why.
    Ended(EndReason),
    /// Nothing, or nothing any more.
    Absent,
}

/// A live session as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// 1 when inserted, one more with each replacement.
    pub version: u64,
    /// The sealed record.
    pub sealed: Bytes,
}

/// What became of a replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// Written; the version is one higher now.
    Done,
    /// Another write came first: read again and merge.
    Conflict,
    /// The session is not live any more; nothing was written.
    Gone(Option<EndReason>),
}

/// What became of an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was live and is over now; this is what it was at its end.
    Now(Stored),
    /// It was over already, for this reason if that is still known.
    Already(Option<EndReason>),
}

impl Ended {
    /// Whether it was live until now.
    #[must_use]
    pub const fn is_now(&self) -> bool {
        matches!(self, Self::Now(_))
    }
}

/// Why a session is over; the words are those of the 401's `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// No activity for the idle time.
    Idle,
    /// The absolute life, or the token's without a refresh token, is over.
    Expired,
    /// Logged out, here or elsewhere.
    Revoked,
    /// The provider refused the refresh token.
    RefreshRejected,
}

impl EndReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Idle, Self::Expired, Self::Revoked, Self::RefreshRejected];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::RefreshRejected => "refresh_rejected",
        }
    }

    /// The reason that `word` stands for.
    #[must_use]
    pub fn parse(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str().as_bytes() == word)
    }
}

/// The store cannot answer: it is down, frozen, read-only or broken. Never the same as "no such session".
#[derive(Debug, thiserror::Error)]
#[error("the store does not answer: {0}")]
pub struct StoreError(pub String);

/// A place to go on that this store never named.
fn no_cursor() -> StoreError {
    StoreError("a scan cannot go on from there".to_owned())
}
