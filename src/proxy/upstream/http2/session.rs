//! One HTTP/2 connection: how many calls it takes, whether the other side is still there, and when it has to go.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, SendStream};
use hyper::http::Request;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep};

use super::super::head::LONGEST;
use super::super::pool;
use super::peers::Peers;

/// The most calls on one connection. Others get another one.
pub(super) const MOST: usize = 32;
/// How much of one answer may be here before the browser takes it.
const WINDOW: u32 = 64 << 10;
/// The same for a whole connection: room for every stream's window, so that no slow reader takes anything from the others.
const WINDOWS: u32 = WINDOW * MOST as u32;
/// How much of one request may wait here for the socket.
const UPLOAD: usize = 64 << 10;
/// What DATA frames of a few bytes may cost beyond what they carry while browsers do not read them. An upstream that goes
/// beyond it loses the connection, and so everybody on it: it is enough for all windows full of frames of eight bytes.
const SMALL_FRAMES: usize = 64 << 20;
/// How many cancelled calls are remembered for a moment, since the upstream may still be sending their answers.
const CANCELLED: usize = 1024;

/// The calls after which a connection is replaced, and the time. Servers end theirs, too (nginx: after 1000 requests or an
/// hour), and a request that is on its way then is lost. `h2` itself ends one, and all calls on it, after a hundred DATA
/// frames with nothing in them, of which some servers send one with every answer.
const CALLS: usize = 90;
const AGE: Duration = Duration::from_secs(15 * 60);

/// How many times a connection that carries nothing any more is looked at before it is cut off, with what the upstream has
/// not taken of it.
const FAREWELLS: u32 = 3;
/// How often a connection is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long an upstream that owes an answer may be silent before it is asked whether it is there, and how long it may
/// take to say so.
const SILENCE: Duration = Duration::from_secs(3);

/// One connection.
pub(in super::super) struct Session {
    requests: SendRequest<Bytes>,
    opened: Instant,
    /// The calls so far.
    calls: Cell<usize>,
    /// Those that it carries, and those of them whose answers have not begun.
    taken: Cell<usize>,
    waiting: Cell<usize>,
    /// When something was last heard over it, while an answer is waited for.
    heard: Cell<Instant>,
    /// Whether a call has gone without an answer since then.
    doubted: Cell<bool>,
    /// Since when it carries no call.
    idle: Cell<Instant>,
}

/// The place of one call on a connection; given back when dropped.
pub(in super::super) struct Seat {
    session: Rc<Session>,
    answered: bool,
}

impl Session {
    /// Says hello over `stream` and waits for the upstream's own, which tells how many calls it takes (RFC 9113 §3.4). A
    /// task of its own keeps the connection going until it ends, and takes it from `peers` when it cannot be used any more.
    ///
    /// # Errors
    /// What the upstream did in place of a hello.
    pub(in super::super) async fn start(
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        peers: &Rc<Peers>,
    ) -> Result<Rc<Self>, h2::Error> {
        let (requests, mut connection) = Builder::new()
            .enable_push(false)
            .initial_max_send_streams(0)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOWS)
            .max_header_list_size(LONGEST as u32)
            .max_send_buffer_size(UPLOAD)
            .max_concurrent_reset_streams(CANCELLED)
            .data_frame_budget(SMALL_FRAMES)
            .handshake::<_, Bytes>(stream)
            .await?;
        std::future::poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(end) => Poll::Ready(end.and(Err(h2::Reason::NO_ERROR.into()))),
            Poll::Pending if requests.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        })
        .await?;
        let now = Instant::now();
        let (calls, taken, waiting) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let (heard, doubted, idle) = (Cell::new(now), Cell::new(false), Cell::new(now));
        let session = Self { requests, opened: now, calls, taken, waiting, heard, doubted, idle };
        let session = Rc::new(session);
        actix_web::rt::spawn(keep(connection, Rc::downgrade(&session), Rc::downgrade(peers)));
        Ok(session)
    }

    /// How many calls it can carry at once.
    pub(super) fn most(&self) -> usize {
        self.requests.current_max_send_streams().min(MOST)
    }

    /// A place for one more call, if the connection has one and still is any good.
    pub(in super::super) fn seat(self: &Rc<Self>) -> Option<Seat> {
        let taken = self.taken.get();
        let is_open = matches!(self.requests.clone().poll_ready(&mut nobody()), Poll::Ready(Ok(())));
        if !is_open || taken >= self.most() || self.is_spent() {
            return None;
        }
        self.calls.set(self.calls.get() + 1);
        self.taken.set(taken + 1);
        if self.waiting.replace(self.waiting.get() + 1) == 0 {
            self.heard.set(Instant::now());
        }
        Some(Seat { session: Rc::clone(self), answered: false })
    }

    /// Whether it has been used for long enough, or not at all for too long.
    fn is_spent(&self) -> bool {
        let is_unused = self.taken.get() == 0 && self.idle.get().elapsed() >= pool::IDLE;
        is_unused || self.calls.get() >= CALLS || self.opened.elapsed() >= AGE
    }

    /// Something came.
    fn hears(&self) {
        self.heard.set(Instant::now());
        self.doubted.set(false);
    }

    /// Whether an answer is owed for too long, or somebody has given up waiting for one.
    fn is_silent(&self) -> bool {
        self.doubted.get() || (self.waiting.get() > 0 && self.heard.get().elapsed() >= SILENCE)
    }

    /// Whether the connection can be kept for more calls. One that owes an answer and has not said anything for a while is
    /// asked whether it is there (PING, RFC 9113 §6.7); `asked` is since when.
    fn is_well(&self, pings: &mut PingPong, asked: &mut Option<Instant>) -> bool {
        if self.is_spent() {
            return false;
        }
        match asked {
            Some(since) => match pings.poll_pong(&mut nobody()) {
                Poll::Ready(pong) => {
                    *asked = None;
                    self.hears();
                    pong.is_ok()
                }
                Poll::Pending => since.elapsed() < SILENCE,
            },
            None if self.is_silent() => {
                *asked = Some(Instant::now());
                pings.send_ping(Ping::opaque()).is_ok()
            }
            None => true,
        }
    }
}

/// Keeps a connection going until it ends. One that is not well gets no more calls; it ends with the last one it has, since
/// nobody holds it any longer.
async fn keep<S: AsyncRead + AsyncWrite + Unpin>(
    mut connection: Connection<S, Bytes>,
    session: Weak<Session>,
    peers: Weak<Peers>,
) {
    let retire = || peers.upgrade().into_iter().for_each(|peers| peers.retire(&session));
    let mut pings = connection.ping_pong().expect("nobody has taken it before");
    let (mut asked, mut left) = (None, FAREWELLS);
    loop {
        tokio::select! {
            end = &mut connection => {
                tracing::debug!(event = "upstream_connection_ended", reason = ?end.err().map(|error| error.to_string()));
                return retire();
            }
            () = sleep(LOOK) => match session.upgrade() {
                Some(session) if session.is_well(&mut pings, &mut asked) => {}
                Some(_) => retire(),
                None if left == 0 => return,
                None => left -= 1,
            }
        }
    }
}

impl Seat {
    /// Sends the head of a request; `bodiless` if there is no more of it.
    pub(super) fn send(
        &self,
        head: Request<()>,
        bodiless: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        self.session.requests.clone().send_request(head, bodiless)
    }

    /// Something came.
    pub(super) fn hears(&self) {
        self.session.hears();
    }

    /// The answer has begun.
    pub(super) fn answered(&mut self) {
        self.hears();
        self.owed_no_more();
    }

    /// Whether the answer was still owed.
    fn owed_no_more(&mut self) -> bool {
        let owed = !std::mem::replace(&mut self.answered, true);
        if owed {
            self.session.waiting.set(self.session.waiting.get() - 1);
        }
        owed
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let unanswered = self.owed_no_more();
        let session = &self.session;
        session.doubted.set(session.doubted.get() || unanswered);
        session.taken.set(session.taken.get() - 1);
        session.idle.set(Instant::now());
    }
}

/// Nobody to be woken: what happens later is looked at later.
const fn nobody() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
