//! The browser's body on its way to the upstream.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header;
use bytes::Bytes;
use futures_util::StreamExt as _;
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

/// What is sent to the upstream.
pub(crate) struct RequestBody(Source);

enum Source {
    /// Nothing.
    Empty,
    /// What the browser sends, and how much of it may still pass.
    Browser { payload: Payload, limits: Limits, left: u64, upload: Rc<Upload> },
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

/// One request body on its way, seen from the request's own task.
#[derive(Default)]
pub(crate) struct Upload {
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
    /// A body that is read from `payload`, if there is one, as fast as it is sent.
    pub(crate) fn start(payload: Payload, limits: Limits) -> (Rc<Self>, RequestBody) {
        let empty = matches!(payload, Payload::None);
        let kept = Kept { pieces: Vec::new(), missing: if empty { Some(0) } else { limits.kept } };
        let upload = Rc::new(Self { kept: RefCell::new(kept), ..Self::default() });
        if empty {
            return (upload, RequestBody::empty());
        }
        let source =
            Source::Browser { payload, limits, left: limits.whole.unwrap_or(u64::MAX), upload: Rc::clone(&upload) };
        (upload, RequestBody(source))
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

impl RequestBody {
    /// No body at all.
    pub(crate) const fn empty() -> Self {
        Self(Source::Empty)
    }

    /// Whether there is no body at all.
    pub(crate) const fn is_empty(&self) -> bool {
        matches!(self.0, Source::Empty)
    }

    /// The next piece, which is never empty; `None` at the end. Can be dropped at its await without losing a byte.
    ///
    /// # Errors
    /// [`UploadError`] when the body ends before its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, UploadError> {
        let (payload, limits, left, upload) = match &mut self.0 {
            Source::Empty => return Ok(None),
            Source::Kept(pieces) => return Ok(pieces.next()),
            Source::Browser { payload, limits, left, upload } => (payload, limits, left, upload),
        };
        upload.waiting.set(true);
        let next = async {
            loop {
                match payload.next().await {
                    Some(Ok(piece)) if piece.is_empty() => {}
                    next => return next,
                }
            }
        };
        let next = tokio::time::timeout(limits.idle, next).await;
        upload.waiting.set(false);
        match next {
            Ok(None) => Ok(None),
            Ok(Some(Ok(piece))) => {
                *left = left.checked_sub(piece.len() as u64).ok_or(UploadError::TooLarge)?;
                upload.keep(&piece);
                Ok(Some(piece))
            }
            Ok(Some(Err(_))) | Err(_) => Err(UploadError::Broken),
        }
    }

    /// Writes a piece of it, which must not stand still for longer than the browser may.
    ///
    /// # Errors
    /// What `write` comes to, or that it has taken too long.
    pub(crate) async fn in_time(&self, write: impl Future<Output = io::Result<()>>) -> io::Result<()> {
        match &self.0 {
            Source::Browser { limits, .. } => tokio::time::timeout(limits.idle, write).await?,
            Source::Empty | Source::Kept(_) => write.await,
        }
    }

    /// Tells that what came last is on its way.
    pub(crate) fn moved(&self) {
        if let Source::Browser { upload, .. } = &self.0 {
            upload.moved.set(Some(Instant::now()));
        }
    }
}
