//! A hundred thousand schedules of concurrent callers on the memory store, each answer compared with a model's.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use cloakroom::clock::{Clock, Timestamp};
use cloakroom::session::store::memory::MemoryStore;
use cloakroom::session::store::{
    Answer, END_REMEMBERED, EndReason, Ended, Holder, Lease, Loaded, NewEntry, Replaced, SignOfLife, Store as _,
    StoreKey, Stored,
};
use futures_util::FutureExt as _;

use super::place::hand_moved;

const SCHEDULES: u64 = 100_000;
const STEPS: usize = 14;
const CALLERS: usize = 3;
const REASONS: [EndReason; 3] = [EndReason::Idle, EndReason::Revoked, EndReason::RefreshRejected];

/// The same numbers for the same seed, everywhere (xorshift64*).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % sides
    }
}

/// What must stand under one key and at one lease, written down as plainly as can be.
#[derive(Default)]
struct Model {
    session: Option<(Result<Stored, EndReason>, Timestamp)>,
    lease: Option<(Result<SignOfLife, Bytes>, Timestamp)>,
}

impl Model {
    fn pass(&mut self, now: Timestamp) {
        self.session.take_if(|(_, until)| *until <= now);
        self.lease.take_if(|(_, until)| *until <= now);
    }

    fn load(&self) -> Loaded {
        match &self.session {
            None => Loaded::Absent,
            Some((Ok(stored), _)) => Loaded::Live(stored.clone()),
            Some((Err(reason), _)) => Loaded::Ended(*reason),
        }
    }

    fn insert(&mut self, sealed: Bytes, until: Timestamp) -> bool {
        let free = self.session.is_none();
        self.session.get_or_insert((Ok(Stored { version: 1, sealed }), until));
        free
    }

    fn replace(&mut self, expected: u64, sealed: Bytes) -> Replaced {
        match &mut self.session {
            None => Replaced::Gone(None),
            Some((Err(reason), _)) => Replaced::Gone(Some(*reason)),
            Some((Ok(stored), _)) if stored.version != expected => Replaced::Conflict,
            Some((Ok(stored), _)) => {
                *stored = Stored { version: expected + 1, sealed };
                Replaced::Done
            }
        }
    }

    fn end(&mut self, reason: EndReason, now: Timestamp) -> Ended {
        match &mut self.session {
            None => Ended::Already(None),
            Some((Err(earlier), _)) => Ended::Already(Some(*earlier)),
            Some((state, until)) => {
                let last = state.clone().expect("it is live");
                (*state, *until) = (Err(reason), now.plus(END_REMEMBERED).min(*until));
                Ended::Now(last)
            }
        }
    }

    fn end_version(&mut self, expected: u64, reason: EndReason, now: Timestamp) -> Replaced {
        match &self.session {
            Some((Ok(stored), _)) if stored.version != expected => Replaced::Conflict,
            _ => match self.end(reason, now) {
                Ended::Now(_) => Replaced::Done,
                Ended::Already(earlier) => Replaced::Gone(earlier),
            },
        }
    }

    fn inherit(&mut self, heir: Holder, silent: Option<SignOfLife>, until: Timestamp) -> Lease {
        let mut count = 1;
        match &self.lease {
            Some((Err(verdict), _)) => return Lease::Decided(verdict.clone()),
            Some((Ok(last), _)) if last.holder == heir => count += last.count,
            Some((Ok(last), _)) if Some(*last) != silent => return Lease::Taken(*last),
            _ => {}
        }
        self.lease = Some((Ok(SignOfLife { holder: heir, count }), until));
        Lease::Mine
    }

    fn release(&mut self, holder: Holder, verdict: Option<(Bytes, Timestamp)>) {
        if matches!(&self.lease, Some((Ok(last), _)) if last.holder == holder) {
            self.lease = verdict.map(|(verdict, until)| (Err(verdict), until));
        }
    }
}

/// One schedule: callers that remember what they read, on one session and one lease.
struct Schedule<'a> {
    store: &'a MemoryStore,
    clock: &'a Clock,
    id: StoreKey,
    model: Model,
    /// The version each caller read last.
    read: [u64; CALLERS],
    /// The last sign of life of another that each caller saw.
    seen: [Option<SignOfLife>; CALLERS],
    /// Which versions were written over, since the session was inserted.
    successors: BTreeSet<u64>,
}

fn at_once<T>(answer: Answer<'_, T>) -> T {
    answer.now_or_never().expect("memory answers at once").unwrap()
}

impl Schedule<'_> {
    fn step(&mut self, dice: &mut Dice) {
        let caller = dice.below(CALLERS);
        let (now, id) = (self.clock.now(), self.id);
        let mark = Bytes::from(vec![dice.below(256) as u8]);
        let holder = Holder(caller as u128);
        match dice.below(13) {
            0..3 => {
                let loaded = at_once(self.store.load(&id));
                assert_eq!(loaded, self.model.load());
                self.read[caller] = if let Loaded::Live(stored) = loaded { stored.version } else { 0 };
            }
            3..6 => {
                let version = self.read[caller];
                let outcome = at_once(self.store.replace(&id, version, mark.clone()));
                assert_eq!(outcome, self.model.replace(version, mark));
                let fresh = outcome != Replaced::Done || self.successors.insert(version);
                assert!(fresh, "version {version} was written over twice");
            }
            6 => {
                let reason = REASONS[dice.below(REASONS.len())];
                assert_eq!(at_once(self.store.end(&id, reason)), self.model.end(reason, now));
                assert!(!matches!(at_once(self.store.load(&id)), Loaded::Live(_)), "ended is ended");
            }
            7 => {
                let expires_at = now.plus(Duration::from_secs([5, 7200][dice.below(2)]));
                let entry = NewEntry { sealed: mark.clone(), expires_at, indexes: vec![] };
                let inserted = at_once(self.store.insert(&id, entry));
                assert_eq!(inserted, self.model.insert(mark, expires_at));
                if inserted {
                    self.successors.clear();
                }
            }
            8 | 9 => {
                let (ttl, silent) = (Duration::from_secs(2), self.seen[caller].filter(|_| dice.below(2) == 0));
                let lease = at_once(self.store.inherit(&id, holder, silent, ttl));
                assert_eq!(lease, self.model.inherit(holder, silent, now.plus(ttl)));
                self.seen[caller] = if let Lease::Taken(sign) = lease { Some(sign) } else { None };
            }
            10 => {
                let ttl = Duration::from_secs(1);
                let verdict = (dice.below(2) == 0).then_some(mark);
                at_once(self.store.release(&id, holder, verdict.clone().map(|verdict| (verdict, ttl))));
                self.model.release(holder, verdict.map(|verdict| (verdict, now.plus(ttl))));
            }
            11 => {
                let (version, reason) = (self.read[caller], REASONS[dice.below(REASONS.len())]);
                let outcome = at_once(self.store.end_version(&id, version, reason));
                assert_eq!(outcome, self.model.end_version(version, reason, now));
            }
            _ => {
                self.clock.advance(Duration::from_millis([500, 1000, 3000, 3_600_000][dice.below(4)]));
                self.model.pass(self.clock.now());
            }
        }
    }
}

#[test]
fn a_hundred_thousand_schedules_go_as_the_model_says() {
    let clock = hand_moved();
    let store = MemoryStore::new(clock.clone());
    for seed in 0..SCHEDULES {
        let mut dice = Dice::new(seed);
        let id = StoreKey::from_bytes({
            let mut bytes = [0; 32];
            bytes[24..].copy_from_slice(&seed.to_be_bytes());
            bytes
        });
        let (read, seen, successors) = ([0; CALLERS], [None; CALLERS], BTreeSet::new());
        let mut schedule =
            Schedule { store: &store, clock: &clock, id, model: Model::default(), read, seen, successors };
        let entry =
            NewEntry { sealed: Bytes::new(), expires_at: clock.now().plus(Duration::from_secs(9)), indexes: vec![] };
        assert!(schedule.model.insert(Bytes::new(), entry.expires_at));
        assert!(at_once(store.insert(&id, entry)));
        for _ in 0..STEPS {
            schedule.step(&mut dice);
        }
        assert_eq!(at_once(store.load(&id)), schedule.model.load(), "schedule {seed}");
    }
}
