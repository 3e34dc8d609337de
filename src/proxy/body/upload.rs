//! The browser's body on its way to the upstream.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header;
use bytes::Bytes;
use futures_util::StreamExt as _;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Why a request body ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The browser went away, broke the framing, or stopped sending.
    #[error("the request body broke off")]
    Broken,
    /// It is larger than the route allows.
    #[error("the request body is too large")]
    TooLarge,
}

/// One step of the copy. The end is a message of its own: a task that vanishes is a body that broke off.
type Step = Result<Option<Bytes>, UploadError>;

/// What hyper sends.
pub struct RequestBody(Source);

enum Source {
    /// Nothing, or nothing more.
    Empty,
    /// What arrives through the channel.
    Stream(mpsc::Receiver<Step>),
    /// What was kept of a body that is sent again.
    Kept(std::vec::IntoIter<Bytes>),
}

/// How much of a body may be held, and passed on.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// The most that the route lets through.
    pub(crate) whole: Option<u64>,
    /// The length of a body that is kept beside being passed on; `None`: it is not.
    pub(crate) kept: Option<u64>,
    /// How long the browser may leave the upstream waiting between two pieces.
    pub(crate) idle: Duration,
}

/// The copy of one request body, seen from the request's own task.
#[derive(Default)]
pub(crate) struct Upload {
    failure: Cell<Option<UploadError>>,
    moved: Cell<Option<Instant>>,
    waiting: Cell<bool>,
    kept: RefCell<Kept>,
}

/// The pieces of a body so far; shared with those on their way, not copied.
#[derive(Default)]
struct Kept {
    pieces: Vec<Bytes>,
    /// What is still to come; `None` when nothing is kept.
    missing: Option<u64>,
}

/// The body's length if the browser has declared one. The server has checked that there is one declaration at most.
pub(crate) fn declared_length(request: &HttpRequest) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl Upload {
    /// Starts to copy `payload`, if there is one, and hands out its other end.
    pub(crate) fn start(payload: Payload, limits: Limits) -> (Rc<Self>, RequestBody) {
        let empty = matches!(payload, Payload::None);
        let kept = Kept { pieces: Vec::new(), missing: if empty { Some(0) } else { limits.kept } };
        let upload = Rc::new(Self { kept: RefCell::new(kept), ..Self::default() });
        if empty {
            return (upload, RequestBody::empty());
        }
        let (sender, receiver) = mpsc::channel(1);
        actix_web::rt::spawn(copy(payload, limits, sender, Rc::clone(&upload)));
        (upload, RequestBody(Source::Stream(receiver)))
    }

    /// No body, as whole as it can be.
    pub(crate) fn none() -> (Rc<Self>, RequestBody) {
        Self::start(Payload::None, Limits { whole: None, kept: None, idle: Duration::ZERO })
    }

    /// The same body once more: none, or one that was kept and is there to its last byte.
    pub(crate) fn again(&self) -> Option<RequestBody> {
        let kept = self.kept.borrow();
        let source = if kept.pieces.is_empty() { Source::Empty } else { Source::Kept(kept.pieces.clone().into_iter()) };
        (kept.missing == Some(0)).then_some(RequestBody(source))
    }

    fn keep(&self, piece: &Bytes) {
        let mut kept = self.kept.borrow_mut();
        let Some(missing) = kept.missing else { return };
        // More than was declared cannot be; if it were, the body is not what was promised and nothing of it is used.
        kept.missing = missing.checked_sub(piece.len() as u64);
        kept.pieces.push(piece.clone());
    }

    /// Why the body ended early, if it did.
    pub(crate) fn failure(&self) -> Option<UploadError> {
        self.failure.get()
    }

    /// Returns once nothing has moved for `limit` and it is not the browser that the upstream waits for: a long upload
    /// is not a slow answer.
    pub(crate) async fn stalled(&self, limit: Duration) {
        let mut since = Instant::now();
        loop {
            tokio::time::sleep_until(since + limit).await;
            match self.moved.get() {
                Some(moved) if moved > since => since = moved,
                _ if self.waiting.get() => since = Instant::now(),
                _ => return,
            }
        }
    }
}

/// Copies until the end, an error, or until nobody takes the body any more.
async fn copy(mut payload: Payload, limits: Limits, sender: mpsc::Sender<Step>, upload: Rc<Upload>) {
    let mut left = limits.whole.unwrap_or(u64::MAX);
    loop {
        upload.waiting.set(true);
        let next = tokio::select! {
            next = tokio::time::timeout(limits.idle, payload.next()) => next,
            () = sender.closed() => break,
        };
        upload.waiting.set(false);
        let step = match next {
            Ok(Some(Ok(piece))) => match left.checked_sub(piece.len() as u64) {
                Some(rest) => {
                    left = rest;
                    upload.keep(&piece);
                    Ok(Some(piece))
                }
                None => Err(UploadError::TooLarge),
            },
            Ok(None) => Ok(None),
            Ok(Some(Err(_))) | Err(_) => Err(UploadError::Broken),
        };
        if let Err(error) = step {
            upload.failure.set(Some(error));
        }
        let last = !matches!(step, Ok(Some(_)));
        if sender.send(step).await.is_err() || last {
            break;
        }
        upload.moved.set(Some(Instant::now()));
    }
    upload.moved.set(Some(Instant::now()));
    upload.waiting.set(false);
}

impl RequestBody {
    /// No body at all.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Source::Empty)
    }

    /// Whether there is no body at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self.0, Source::Empty)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let step = match &mut self.0 {
            Source::Empty => Ok(None),
            Source::Kept(pieces) => Ok(pieces.next()),
            Source::Stream(receiver) => ready!(receiver.poll_recv(cx)).unwrap_or(Err(UploadError::Broken)),
        };
        Poll::Ready(match step {
            Ok(Some(piece)) => Some(Ok(Frame::data(piece))),
            Ok(None) => {
                self.0 = Source::Empty;
                None
            }
            Err(error) => Some(Err(error)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_empty() { SizeHint::with_exact(0) } else { SizeHint::default() }
    }
}
