//! Thousands of schedules of two processes on one store, with news that come late or not at all: what a process knows
//! it never takes back, and what it does not know it finds out within a second.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cloakroom::clock::{Clock, Timestamp};
use cloakroom::session::store::changes::{Change, Changes};
use cloakroom::session::store::memory::MemoryStore;
use cloakroom::session::store::near::{Dated, Memory, Near, PENDING_ENDS};
use cloakroom::session::store::{
    Allowance, Answer, Cursor, EndReason, Ended, Holder, Lease, Loaded, NewEntry, Page, Replaced, SignOfLife, Spent,
    Store, StoreKey,
};
use futures_util::FutureExt as _;

use super::place::{LONG, entry, hand_moved, key};
use super::schedules::Dice;

const SCHEDULES: u64 = 20_000;
const STEPS: usize = 40;

/// A store whose answers are under way for a while, before the work and after it, and whose writes are told to all.
struct Far {
    store: MemoryStore,
    clock: Clock,
    news: [Mutex<News>; 2],
    written: Mutex<Written>,
}

/// What is on its way to one process.
#[derive(Default)]
struct News {
    cut: bool,
    queue: VecDeque<(Instant, Change)>,
}

/// When the session got which version, and when it ended.
#[derive(Default)]
struct Written {
    versions: Vec<Instant>,
    ended: Option<Instant>,
}

async fn under_way() {
    let mut first = true;
    std::future::poll_fn(|_| if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }).await;
}

impl Far {
    fn tell(&self, change: Change) {
        let now = self.clock.instant();
        let mut written = self.written.lock().unwrap();
        match change {
            Change::Written(_) => written.versions.push(now),
            Change::Ended => written.ended = Some(now),
        }
        for news in &self.news {
            let mut news = news.lock().unwrap();
            if !news.cut {
                news.queue.push_back((now, change));
            }
        }
    }
}

impl Store for Far {
    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded> {
        self.store.load(key)
    }
    fn load_now<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded> {
        self.store.load(key)
    }
    fn insert<'a>(&'a self, key: &'a StoreKey, entry: NewEntry) -> Answer<'a, bool> {
        self.store.insert(key, entry)
    }
    fn replace<'a>(&'a self, key: &'a StoreKey, expected: u64, sealed: Bytes) -> Answer<'a, Replaced> {
        Box::pin(async move {
            under_way().await;
            let outcome = self.store.replace(key, expected, sealed).await?;
            if outcome == Replaced::Done {
                self.tell(Change::Written(expected + 1));
            }
            under_way().await;
            Ok(outcome)
        })
    }
    fn end<'a>(&'a self, key: &'a StoreKey, reason: EndReason) -> Answer<'a, Ended> {
        Box::pin(async move {
            under_way().await;
            let outcome = self.store.end(key, reason).await?;
            if outcome.is_now() {
                self.tell(Change::Ended);
            }
            under_way().await;
            Ok(outcome)
        })
    }
    fn end_version<'a>(&'a self, key: &'a StoreKey, expected: u64, reason: EndReason) -> Answer<'a, Replaced> {
        self.store.end_version(key, expected, reason)
    }
    fn indexed<'a>(&'a self, index: &'a StoreKey) -> Answer<'a, Vec<StoreKey>> {
        self.store.indexed(index)
    }
    fn put_once<'a>(&'a self, key: &'a StoreKey, note: Bytes, ttl: Duration) -> Answer<'a, bool> {
        self.store.put_once(key, note, ttl)
    }
    fn take<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Option<Bytes>> {
        self.store.take(key)
    }
    fn file<'a>(&'a self, index: &'a StoreKey, key: &'a StoreKey, until: Timestamp) -> Answer<'a, ()> {
        self.store.file(index, key, until)
    }
    fn inherit<'a>(
        &'a self,
        key: &'a StoreKey,
        heir: Holder,
        silent: Option<SignOfLife>,
        ttl: Duration,
    ) -> Answer<'a, Lease> {
        self.store.inherit(key, heir, silent, ttl)
    }
    fn release<'a>(&'a self, key: &'a StoreKey, holder: Holder, verdict: Option<(Bytes, Duration)>) -> Answer<'a, ()> {
        self.store.release(key, holder, verdict)
    }
    fn spend<'a>(&'a self, key: &'a StoreKey, allowance: Allowance) -> Answer<'a, Spent> {
        self.store.spend(key, allowance)
    }
    fn pause<'a>(&'a self, key: &'a StoreKey, time: Duration) -> Answer<'a, ()> {
        self.store.pause(key, time)
    }
    fn changed<'a>(&'a self, key: &'a StoreKey, at_most: Duration) -> Answer<'a, ()> {
        self.store.changed(key, at_most)
    }
    fn scan<'a>(&'a self, from: &'a Cursor) -> Answer<'a, Page> {
        self.store.scan(from)
    }
    fn ping(&self) -> Answer<'_, ()> {
        self.store.ping()
    }
}

impl Dated for Far {
    fn load_dated<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, (Loaded, Timestamp)> {
        Box::pin(async move {
            under_way().await;
            let loaded = self.store.load_dated(key).await?;
            under_way().await;
            Ok(loaded)
        })
    }
}

struct Process {
    near: Near,
    memory: Arc<Memory>,
    changes: Arc<Changes>,
}

/// What a process knows of the session of one schedule.
#[derive(Clone, Copy, Default)]
struct Known {
    version: u64,
    ended: bool,
}

/// What a call came to.
enum Outcome {
    Loaded(Loaded),
    Replaced(u64, Replaced),
    Ended,
}

/// A call under way, and what was known when it began.
struct Call<'a> {
    of: usize,
    known: Known,
    began: Instant,
    work: Pin<Box<dyn Future<Output = Outcome> + 'a>>,
}

struct World {
    far: Arc<Far>,
    processes: [Process; 2],
}

impl World {
    fn new() -> Self {
        let clock = hand_moved();
        let store = MemoryStore::new(clock.clone());
        let far = Arc::new(Far { store, clock, news: Default::default(), written: Mutex::default() });
        let processes = [(); 2].map(|()| {
            let changes = Arc::new(Changes::default());
            let memory = Arc::new(Memory::new(Duration::ZERO, Arc::clone(&changes), far.clock.clone()));
            let near = Near::new(Arc::clone(&far) as Arc<dyn Dated>, Arc::clone(&memory));
            Process { near, memory, changes }
        });
        Self { far, processes }
    }

    /// One message arrives, or the heartbeat that nothing is on its way.
    fn deliver(&self, of: usize, id: &StoreKey, known: &mut Known) {
        let mut news = self.far.news[of].lock().unwrap();
        let changes = &self.processes[of].changes;
        match news.queue.pop_front() {
            Some((sent, change)) => {
                changes.changed(id, change);
                changes.heard(sent);
                match change {
                    Change::Written(version) => known.version = known.version.max(version),
                    Change::Ended => known.ended = true,
                }
            }
            None if !news.cut => changes.heard(self.far.clock.instant()),
            None => {}
        }
    }

    /// The channel breaks, with all that is on its way, or is made anew.
    fn cut_or_mend(&self, of: usize) {
        let mut news = self.far.news[of].lock().unwrap();
        news.queue.clear();
        news.cut = !news.cut;
        if !news.cut {
            self.processes[of].changes.lost();
            self.processes[of].changes.heard(self.far.clock.instant());
        }
    }

    fn begin<'a>(&'a self, of: usize, id: &'a StoreKey, known: Known, dice: &mut Dice) -> Call<'a> {
        let near = &self.processes[of].near;
        let work: Pin<Box<dyn Future<Output = Outcome> + 'a>> = match dice.below(8) {
            0 => near.end(id, EndReason::Revoked).map(|_| Outcome::Ended).boxed_local(),
            1 | 2 => {
                let version = 1 + dice.below(self.far.written.lock().unwrap().versions.len()) as u64;
                let replaced = near.replace(id, version, Bytes::new());
                replaced.map(move |outcome| Outcome::Replaced(version + 1, outcome.unwrap())).boxed_local()
            }
            3 => near.load_now(id).map(|loaded| Outcome::Loaded(loaded.unwrap())).boxed_local(),
            _ => near.load(id).map(|loaded| Outcome::Loaded(loaded.unwrap())).boxed_local(),
        };
        Call { of, known, began: self.far.clock.instant(), work }
    }

    /// Checks what a call came to against what was known when it began, and learns from it.
    fn judge(&self, call: &Call<'_>, outcome: &Outcome, known: &mut Known) {
        match outcome {
            Outcome::Ended | Outcome::Replaced(_, Replaced::Gone(_)) => known.ended = true,
            Outcome::Replaced(version, Replaced::Done) => known.version = known.version.max(*version),
            Outcome::Replaced(_, Replaced::Conflict) | Outcome::Loaded(Loaded::Ended(_)) => {}
            Outcome::Loaded(Loaded::Absent) => panic!("it is there"),
            Outcome::Loaded(Loaded::Live(stored)) => {
                assert!(!call.known.ended, "it was known to be over");
                let (told, known) = (stored.version, call.known.version);
                assert!(told >= known, "version {told} was told after {known} was known");
                let written = self.far.written.lock().unwrap();
                let next = written.versions.get(told as usize).copied().into_iter().chain(written.ended).min();
                let stale = next.map_or(Duration::ZERO, |next| call.began.saturating_duration_since(next));
                assert!(stale <= Duration::from_secs(1), "a copy was told {stale:?} after the store had moved on");
            }
        }
    }

    fn poll(&self, calls: &mut Vec<Call<'_>>, at: usize, known: &mut [Known; 2]) {
        let call = &mut calls[at];
        if let Poll::Ready(outcome) = call.work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            self.judge(call, &outcome, &mut known[call.of]);
            drop(calls.swap_remove(at));
        }
    }

    fn run(&self, seed: u64) {
        let (mut dice, id, clock) = (Dice::new(seed), key(&seed.to_string()), &self.far.clock);
        self.far.store.insert(&id, entry(clock, b"x", LONG, &[])).now_or_never().unwrap().unwrap();
        *self.far.written.lock().unwrap() = Written { versions: vec![clock.instant()], ended: None };
        let (mut known, mut calls) = ([Known::default(); 2], Vec::new());
        for _ in 0..STEPS {
            let of = dice.below(2);
            match dice.below(16) {
                0..4 => calls.push(self.begin(of, &id, known[of], &mut dice)),
                4..12 if !calls.is_empty() => {
                    let at = dice.below(calls.len());
                    self.poll(&mut calls, at, &mut known);
                }
                12 if !calls.is_empty() && dice.below(4) == 0 => drop(calls.swap_remove(dice.below(calls.len()))),
                13 => clock.advance(Duration::from_millis([100, 300, 600][dice.below(3)])),
                14 if dice.below(4) == 0 => self.cut_or_mend(of),
                _ => self.deliver(of, &id, &mut known[of]),
            }
        }
        while !calls.is_empty() {
            self.poll(&mut calls, 0, &mut known);
        }
        self.settle(&id, &mut known);
    }

    /// Once everything has arrived, both processes tell what the store tells.
    fn settle(&self, id: &StoreKey, known: &mut [Known; 2]) {
        for process in &self.processes {
            finish(process.memory.flush(&*self.far, PENDING_ENDS));
        }
        for (of, known) in known.iter_mut().enumerate() {
            if self.far.news[of].lock().unwrap().cut {
                self.cut_or_mend(of);
            }
            while !self.far.news[of].lock().unwrap().queue.is_empty() {
                self.deliver(of, id, known);
            }
        }
        self.far.clock.advance(Duration::from_millis(1001));
        let truth = self.far.store.load(id).now_or_never().unwrap().unwrap();
        for (of, process) in self.processes.iter().enumerate() {
            self.deliver(of, id, &mut known[of]);
            for _ in 0..2 {
                assert_eq!(finish(process.near.load(id)).unwrap(), truth);
            }
        }
    }
}

fn finish<T>(work: impl Future<Output = T>) -> T {
    let mut work = Box::pin(work);
    loop {
        if let Poll::Ready(value) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

#[test]
fn no_schedule_makes_a_process_forget_what_it_knows_or_tell_what_is_long_over() {
    let world = World::new();
    for seed in 0..SCHEDULES {
        // The seed of a schedule that fails stands above the failure.
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run(seed)));
        assert!(told.is_ok(), "schedule {seed}");
    }
}
