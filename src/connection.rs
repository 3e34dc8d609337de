//! The browser's connection, as far as the server does not watch it: how long the head of a second request may take to
//! arrive, how long a browser may leave an answer unread, and when an answer has to be over.
//!
//! The server limits the first head of a connection and an idle time in which nothing at all arrives. It asks a body for
//! more only when what came before is written, so that a body cannot tell by itself that nobody reads it. Here both are
//! seen: [`Watched`] is the stream itself, and [`Connection`] what those who answer know of it. A limit that has passed is
//! an error of the stream, upon which the server drops the connection and all that belongs to it.

mod interim;
mod watched;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::ServiceRequest;
use tokio::time::Instant;

use interim::Interim;
pub use watched::{Transport, Watched};

/// How long the head of a request may take: the first one from the connection on, which the server sees to, and every further
/// one from its first byte.
pub const HEAD: Duration = Duration::from_secs(5);
/// How long a browser may leave what was not given a limit unread.
const UNREAD: Duration = Duration::from_secs(60);

/// One connection of a browser.
pub struct Connection {
    /// How long it may be without a request.
    rest: Duration,
    /// Whether a request is being answered.
    answering: Cell<bool>,
    /// Whether one was before: the first head is the server's affair.
    answered: Cell<bool>,
    /// Whether the body of the last one was not read to its end: what arrives may belong to it.
    left_over: Cell<bool>,
    /// Since when none is, from the first look at it on.
    resting: Cell<Option<Instant>>,
    /// Since when a head that is not whole has been arriving.
    arriving: Cell<Option<Instant>>,
    /// Since when the browser has taken nothing of what is there for it.
    unread: Cell<Option<Instant>>,
    /// How long that may last.
    patience: Cell<Duration>,
    /// When the answer has to be over.
    ends: Cell<Option<Instant>>,
    interim: Interim,
    cut: Cell<bool>,
    /// Whether a plain end would look like the end of a whole answer.
    breaks: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// A request that is being answered, until it is dropped.
pub struct Call(Rc<Connection>);

impl Connection {
    /// A connection that is kept for `keep_alive` between two requests.
    fn new(keep_alive: Duration) -> Rc<Self> {
        Rc::new(Self {
            // A head that has begun at the last moment may still become whole.
            rest: keep_alive + HEAD,
            answering: Cell::default(),
            answered: Cell::default(),
            left_over: Cell::default(),
            resting: Cell::default(),
            arriving: Cell::default(),
            unread: Cell::default(),
            patience: Cell::new(UNREAD),
            ends: Cell::default(),
            interim: Interim::default(),
            cut: Cell::default(),
            breaks: Cell::default(),
            waker: RefCell::default(),
        })
    }

    /// The connection that `request` came by.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Option<&Rc<Self>> {
        request.conn_data()
    }

    /// Begins to answer `request`, and follows how far its body is read.
    #[must_use]
    pub fn call(self: Rc<Self>, request: &mut ServiceRequest) -> Call {
        self.follow(request);
        self.begin()
    }

    fn begin(self: Rc<Self>) -> Call {
        self.answering.set(true);
        self.arriving.set(None);
        self.limit(UNREAD, None);
        Call(self)
    }

    /// Limits the answer to come: how long it may stay unread, and when it has to be over in any case.
    pub fn limit(&self, patience: Duration, ends: Option<Instant>) {
        self.patience.set(patience);
        self.ends.set(ends);
    }

    /// Drops the connection now, with whatever is under way on it.
    pub fn cut(&self) {
        self.cut.set(true);
        self.wake();
    }

    /// Has the server look at the connection.
    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Lets the connection end with a reset: an answer breaks off whose end would be that of the connection.
    pub fn end_by_reset(&self) {
        self.breaks.set(true);
    }

    /// The next moment at which something would have lasted too long.
    fn due(&self) -> Option<Instant> {
        let unread = self.unread.get().map(|since| since + self.patience.get());
        let (first, second) = if self.answering.get() {
            (self.ends.get(), None)
        } else {
            if self.resting.get().is_none() {
                self.resting.set(Some(Instant::now()));
            }
            (self.resting.get().map(|since| since + self.rest), self.arriving.get().map(|since| since + HEAD))
        };
        [unread, first, second].into_iter().flatten().min()
    }

    /// Takes note of bytes from the browser. What ends as a head does is taken for one: whoever pretends that has only the
    /// time between two requests. A line end in front of a head is nothing (RFC 9112 §2.2).
    fn received(&self, bytes: &[u8]) {
        if self.answering.get() || !self.answered.get() || self.left_over.get() {
            return;
        }
        if bytes.ends_with(b"\r\n\r\n") {
            self.arriving.set(None);
        } else if self.arriving.get().is_none() && !bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            self.arriving.set(Some(Instant::now()));
        }
    }

    /// Takes note of whether bytes for the browser went out, or into what is in front of its socket.
    fn wrote(&self, something: bool) {
        if something {
            self.flushed();
            // It rests from the last byte on.
            self.resting.set(None);
        } else if self.unread.get().is_none() {
            self.unread.set(Some(Instant::now()));
        }
    }

    /// Takes note that nothing is left for the browser to take.
    fn flushed(&self) {
        self.unread.set(None);
    }

    /// Remembers who is to be woken by [`Connection::cut`].
    fn remember(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.answering.set(false);
        self.0.answered.set(true);
        self.0.resting.set(None);
        self.0.arriving.set(None);
        self.0.interim.answered();
    }
}
