//! The live streams of this process: WebSockets, event streams, and what an upstream streams, by the session they live on.
//!
//! A stream outlives the check that let it in, so it is told when its session ends. One watcher for each session that has
//! streams, however many, follows the record (`watch`): ends here and on other replicas, the idle and the absolute end.
//! All streams are told when the process stops. A reload changes nothing for them: watchers go on with the new keys.

mod watch;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::time::Instant;

use self::watch::Watcher;
use super::{Auth, Session, SessionView, Why};
use crate::clock::Timestamp;
use crate::session::lifecycle;
use crate::session::store::{EndReason, StoreKey};

/// How many streams one session may have open in one process: many tabs, and no way to fill the memory.
pub const STREAMS_PER_SESSION: usize = 64;

/// Tells all streams of one session.
type Tell = Arc<Sender<Word>>;

/// The streams of one process, over all sites and reloads.
#[derive(Clone, Debug, Default)]
pub struct Streams(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sessions: Mutex<HashMap<StoreKey, Tell>>,
    /// `None` while the process goes on.
    drain: Sender<Option<Drain>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self { sessions: Mutex::default(), drain: Sender::new(None) }
    }
}

/// All streams are to end, from a moment on and over a time.
#[derive(Clone, Copy, Debug)]
struct Drain {
    from: Instant,
    window: Duration,
}

/// What streams are told of their session.
#[derive(Clone, Debug)]
enum Word {
    /// It goes on.
    Live(Arc<Seen>),
    /// It does not, or nobody can say that it does.
    Over(End),
}

/// A session as it was when it last changed.
#[derive(Clone, Debug)]
pub struct Seen {
    view: SessionView,
    idle_until: Timestamp,
    absolute_until: Timestamp,
    /// When it ends, should nothing happen.
    pub ends_at: Timestamp,
    /// And why it would.
    pub ends_by: EndReason,
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With its session.
    Session(Why),
    /// With its session, which a login of another user has replaced in this browser.
    IdentityChanged,
    /// Nobody can say any more whether the session lives.
    StoreUnavailable,
    /// With the process.
    GoingAway,
}

/// There are [`STREAMS_PER_SESSION`] already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this session has too many streams open")]
pub struct TooManyStreams;

/// One open stream; it counts for as long as this lives.
#[derive(Debug)]
pub struct Live {
    /// `None` for a stream without a session.
    session: Option<Receiver<Word>>,
    drain: Receiver<Option<Drain>>,
    /// Where in the time of a drain this one ends, from 0 to 1.
    place: f64,
}

/// What happens to a stream.
#[derive(Clone, Debug)]
pub enum News {
    /// Its session is like this now.
    Session(Arc<Seen>),
    /// It ends.
    End(End),
}

impl Streams {
    /// Ends all streams, also those that open meanwhile, each at a moment of its own within `window`: not all browsers
    /// come back at once.
    pub fn drain(&self, window: Duration) {
        self.0.drain.send_replace(Some(Drain { from: Instant::now(), window }));
    }

    /// A stream without a session: it ends with the process only.
    #[must_use]
    pub fn open(&self) -> Live {
        self.live(None)
    }

    /// Ends the streams of the session at `key`.
    fn end(&self, key: &StoreKey, end: End) {
        if let Some(tell) = self.sessions().remove(key) {
            tell.send_replace(Word::Over(end));
        }
    }

    /// A further stream of the session at `key`; the sender, if it is the first and needs a watcher.
    fn join(&self, key: StoreKey, seen: Seen) -> Result<(Live, Option<Tell>), TooManyStreams> {
        let mut sessions = self.sessions();
        if let Some(tell) = sessions.get(&key) {
            if tell.receiver_count() >= STREAMS_PER_SESSION {
                return Err(TooManyStreams);
            }
            return Ok((self.live(Some(tell.subscribe())), None));
        }
        let (tell, session) = channel(Word::Live(Arc::new(seen)));
        let tell = Arc::new(tell);
        sessions.insert(key, Arc::clone(&tell));
        Ok((self.live(Some(session)), Some(tell)))
    }

    fn live(&self, session: Option<Receiver<Word>>) -> Live {
        let place = f64::from(u32::from_be_bytes(crate::secret::random_bytes())) / f64::from(u32::MAX);
        Live { session, drain: self.0.drain.subscribe(), place }
    }

    /// Whether the watcher behind `tell` has nothing left to do; it is off the list then.
    fn leave(&self, key: &StoreKey, tell: &Tell) -> bool {
        let mut sessions = self.sessions();
        let mine = sessions.get(key).is_some_and(|listed| Arc::ptr_eq(listed, tell));
        let done = tell.receiver_count() == 0;
        if mine && done {
            sessions.remove(key);
        }
        done || !mine
    }

    /// A panic elsewhere cannot leave this half written: every change is one map access.
    fn sessions(&self) -> MutexGuard<'_, HashMap<StoreKey, Tell>> {
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Auth {
    /// A stream that lives on `session`, and for as long as it does.
    ///
    /// # Errors
    /// [`TooManyStreams`] when it has [`STREAMS_PER_SESSION`] in this process.
    pub fn open_stream(self: &Arc<Self>, session: &Session) -> Result<Live, TooManyStreams> {
        let (live, first) = self.streams.join(session.key, self.seen(session))?;
        if let Some(tell) = first {
            self.background.watch(Watcher::new(Arc::clone(self), session, tell).run());
        }
        Ok(live)
    }

    /// The streams of the process.
    #[must_use]
    pub const fn streams(&self) -> &Streams {
        &self.streams
    }

    fn seen(&self, session: &Session) -> Seen {
        let (meta, now) = (&session.record.meta, self.clock.now());
        let (ends_at, ends_by) = lifecycle::end(meta, self.site.session.idle);
        let idle_until = now.plus(session.life.idle_left);
        Seen { view: self.view(session), idle_until, absolute_until: meta.ends_at, ends_at, ends_by }
    }
}

impl Seen {
    /// What a page may know at `now`, should nothing have happened since.
    #[must_use]
    pub fn view(&self, now: Timestamp) -> SessionView {
        SessionView {
            idle_left: self.idle_until.since(now),
            absolute_left: self.absolute_until.since(now),
            ..self.view.clone()
        }
    }
}

impl Live {
    /// The session as it is when the stream begins; `None` without one, or when it is over already.
    #[must_use]
    pub fn first(&mut self) -> Option<Arc<Seen>> {
        match &*self.session.as_mut()?.borrow_and_update() {
            Word::Live(seen) => Some(Arc::clone(seen)),
            Word::Over(_) => None,
        }
    }

    /// What happens next. Can be dropped at any await; nothing comes after the end but the end.
    pub async fn next(&mut self) -> News {
        let Self { session, drain, place } = self;
        tokio::select! {
            biased;
            word = next_word(session.as_mut()) => match word {
                Word::Live(seen) => News::Session(seen),
                Word::Over(end) => News::End(end),
            },
            () = drained(drain, *place) => News::End(End::GoingAway),
        }
    }

    /// Waits for the end, whatever happens before it.
    pub async fn over(mut self) -> End {
        loop {
            if let News::End(end) = self.next().await {
                return end;
            }
        }
    }
}

async fn next_word(session: Option<&mut Receiver<Word>>) -> Word {
    let Some(session) = session else { return std::future::pending().await };
    let over = |word: &Word| if let Word::Over(end) = word { Some(*end) } else { None };
    if let Some(end) = over(&session.borrow()) {
        return Word::Over(end);
    }
    match session.changed().await {
        Ok(()) => session.borrow_and_update().clone(),
        // The watcher broke off: nobody will tell when the session ends, so the stream must not go on.
        Err(_) => Word::Over(End::StoreUnavailable),
    }
}

async fn drained(drain: &mut Receiver<Option<Drain>>, place: f64) {
    let drain = drain.wait_for(Option::is_some).await.map_or(None, |drain| *drain);
    if let Some(Drain { from, window }) = drain {
        tokio::time::sleep_until(from + window.mul_f64(place)).await;
    }
}
