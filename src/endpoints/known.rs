//! The session cookies that one worker has opened for one site lately, so that the next call with the same one costs a
//! look into a table.
//!
//! A cookie is known only as the exact bytes that opened before. They are found by a keyed hash of 64 bits that no
//! browser can compute, so how long a look takes says nothing about the cookies of others. What is kept is wiped when it
//! goes: with the older of two generations, when a session turns out to be over, and with the worker at a reload.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::auth::Holder;
use crate::clock::Clock;
use crate::dpop::Prover;
use crate::proxy::bearer::Bearer;
use crate::secret::DpopKey;

/// What one generation may keep, in bytes and in cookies; there are two of them.
const BYTES: usize = 4 * 1024 * 1024;
const COOKIES: usize = 4096;

/// A generation grows no older than this while there are requests: what nobody uses is not kept in the open.
const AGE: Duration = Duration::from_secs(60);

/// What an entry takes beside its session: the cookie, the bearer, and the table's own part.
const OVERHEAD: usize = 2048;

/// The cookies of one site, on one worker.
#[derive(Default)]
pub(super) struct KnownCookies {
    hasher: RandomState,
    generations: RefCell<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<u64, Rc<Known>>,
    old: HashMap<u64, Rc<Known>>,
    bytes: usize,
    since: Option<Instant>,
}

/// One cookie that opened.
pub(super) struct Known {
    sealed: Zeroizing<Vec<u8>>,
    /// Who shows it.
    pub(super) holder: Holder,
    bearer: RefCell<Option<Bearer>>,
    /// What it counts for in its generation.
    counted: Cell<usize>,
}

impl Known {
    fn cost(&self) -> usize {
        OVERHEAD + self.holder.cost()
    }

    /// The header for `token`, which may be bound to `key`: checked once as long as it is the same; `None` if no header can
    /// carry it, or the key is none.
    pub(super) fn bearer(&self, token: &str, key: Option<&DpopKey>, clock: &Clock) -> Option<Bearer> {
        if let Some(bearer) = &*self.bearer.borrow()
            && bearer.carries(token)
        {
            return Some(bearer.clone());
        }
        let bearer = match key {
            None => Bearer::new(token)?,
            Some(key) => Bearer::bound(token, Prover::open(key, clock.clone())?)?,
        };
        self.bearer.replace(Some(bearer.clone()));
        Some(bearer)
    }
}

impl KnownCookies {
    /// Who shows the cookie `sealed`; `open` is asked if it is not known.
    pub(super) fn find(&self, sealed: &[u8], now: Instant, open: impl FnOnce() -> Option<Holder>) -> Option<Rc<Known>> {
        let hash = self.hasher.hash_one(sealed);
        let mut generations = self.generations.borrow_mut();
        if generations.since.is_none_or(|since| now.saturating_duration_since(since) > AGE) {
            generations.turn(now);
        }
        if let Some(known) = generations.young.get(&hash)
            && *known.sealed == sealed
        {
            return Some(Rc::clone(known));
        }
        let known = match generations.old.remove(&hash).filter(|known| *known.sealed == sealed) {
            Some(known) => known,
            None => Rc::new(Known {
                sealed: Zeroizing::new(sealed.to_vec()),
                holder: open()?,
                bearer: RefCell::default(),
                counted: Cell::default(),
            }),
        };
        generations.put(hash, Rc::clone(&known), now);
        Some(known)
    }

    /// Counts what is kept of it by now.
    pub(super) fn weigh(&self, known: &Known, now: Instant) {
        let (before, cost) = (known.counted.get(), known.cost());
        if before != cost {
            known.counted.set(cost);
            self.generations.borrow_mut().grow(cost.saturating_sub(before), now);
        }
    }

    /// Its session is over.
    pub(super) fn forget(&self, known: &Known) {
        let hash = self.hasher.hash_one(&known.sealed[..]);
        let mut generations = self.generations.borrow_mut();
        generations.young.remove(&hash);
        generations.old.remove(&hash);
    }
}

impl Generations {
    fn put(&mut self, hash: u64, known: Rc<Known>, now: Instant) {
        let cost = known.cost();
        known.counted.set(cost);
        self.grow(cost, now);
        if self.young.len() >= COOKIES {
            self.turn(now);
        }
        self.young.insert(hash, known);
    }

    fn grow(&mut self, bytes: usize, now: Instant) {
        if self.bytes + bytes > BYTES {
            self.turn(now);
        }
        self.bytes += bytes;
    }

    fn turn(&mut self, now: Instant) {
        self.old = std::mem::take(&mut self.young);
        self.bytes = 0;
        self.since = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::session::store::StoreKey;
    use crate::session::ticket::Ticket;

    fn holder() -> Option<Holder> {
        Some(Holder::new(Ticket::new(Timestamp::from_secs(100)), StoreKey::of(&[b"one"])))
    }

    fn nobody() -> Option<Holder> {
        None
    }

    fn moment() -> Instant {
        Clock::manual(Timestamp::from_secs(1)).instant()
    }

    #[test]
    fn a_cookie_is_known_by_all_of_its_bytes_until_it_is_forgotten() {
        let (cookies, now) = (KnownCookies::default(), moment());
        assert!(cookies.find(b"one", now, nobody).is_none());
        let known = cookies.find(b"one", now, holder).expect("it opens");
        assert!(Rc::ptr_eq(&known, &cookies.find(b"one", now, nobody).expect("it is known")));
        for other in [&b"on"[..], b"one ", b"One", b""] {
            assert!(cookies.find(other, now, nobody).is_none());
        }
        cookies.forget(&known);
        assert!(cookies.find(b"one", now, nobody).is_none());
    }

    #[test]
    fn what_is_used_is_kept_and_what_is_not_used_goes() {
        let (cookies, mut now) = (KnownCookies::default(), moment());
        for cookie in [b"used", b"idle"] {
            assert!(cookies.find(cookie, now, holder).is_some());
        }
        for _ in 0..4 {
            now += AGE + Duration::from_secs(1);
            assert!(cookies.find(b"used", now, nobody).is_some());
        }
        assert!(cookies.find(b"idle", now, nobody).is_none());
    }

    #[test]
    fn any_number_of_cookies_keeps_within_the_bounds() {
        let (cookies, now) = (KnownCookies::default(), moment());
        for number in 0..3 * COOKIES {
            let known = cookies.find(number.to_string().as_bytes(), now, holder).expect("it opens");
            cookies.weigh(&known, now);
        }
        let generations = cookies.generations.borrow();
        assert!(generations.bytes <= BYTES && generations.young.len() <= COOKIES && generations.old.len() <= COOKIES);
    }

    #[test]
    fn a_bearer_is_checked_once_for_each_token() {
        let known = KnownCookies::default().find(b"one", moment(), holder).expect("it opens");
        for token in ["first", "first", "second", "first"] {
            assert!(known.bearer(token, None, &Clock::System).is_some_and(|bearer| bearer.carries(token)));
        }
        assert!(known.bearer("not\none line", None, &Clock::System).is_none());
        assert!(known.bearer("first", None, &Clock::System).is_some());
    }
}
