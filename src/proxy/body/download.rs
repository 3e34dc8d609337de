//! The upstream's body on its way to the browser.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::connection::Connection;
use crate::proxy::upstream::{AnswerBody, BodyError};

/// Passes data on as it arrives. An error of the upstream's body becomes one of the browser's, which makes the server
/// cut the connection: a truncated answer never looks complete (RFC 9112 §8). Trailers end here, since the server
/// cannot send any. Dropping it closes the connection to the upstream.
pub(crate) struct Download {
    body: AnswerBody,
    length: Option<u64>,
    patience: Patience,
    /// Since when the upstream is waited for.
    waiting: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
    /// Why it breaks off, from the moment that this is known.
    failure: Option<DownloadError>,
    /// The connection whose end would be taken for this body's.
    unframed: Option<Rc<Connection>>,
    /// The call's room at its route, until the body is through.
    _room: OwnedSemaphorePermit,
}

/// How long a body may take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    /// How long the upstream may be quiet. A browser that reads slowly is not the upstream's silence, but its connection's.
    pub(crate) idle: Option<Duration>,
    /// The end in any case.
    pub(crate) ends: Option<Instant>,
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DownloadError {
    /// The upstream's own does.
    #[error(transparent)]
    Broken(#[from] BodyError),
    /// It takes longer than the route allows.
    #[error("the upstream's body takes too long")]
    TooSlow,
}

impl Patience {
    fn until(&self, since: Instant) -> Option<Instant> {
        let quiet = self.idle.map(|idle| since + idle);
        quiet.into_iter().chain(self.ends).min()
    }
}

impl Download {
    /// Passes `body` on, as `length` bytes if the upstream has declared them, and gives `room` back when it is through.
    pub(crate) fn new(body: AnswerBody, length: Option<u64>, patience: Patience, room: OwnedSemaphorePermit) -> Self {
        Self { body, length, patience, waiting: None, alarm: None, failure: None, unframed: None, _room: room }
    }

    /// Lets `connection` end with a reset if this body breaks off: its end alone would make it look complete.
    pub(crate) fn fails_by_reset(&mut self, connection: &Rc<Connection>) {
        self.unframed = Some(Rc::clone(connection));
    }

    /// Waits for the upstream, but not forever.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<DownloadError> {
        let since = *self.waiting.get_or_insert_with(Instant::now);
        let Some(limit) = self.patience.until(since) else { return Poll::Pending };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(limit)));
        if alarm.deadline() != limit {
            alarm.as_mut().reset(limit);
        }
        ready!(alarm.as_mut().poll(cx));
        Poll::Ready(DownloadError::TooSlow)
    }
}

impl Download {
    /// Breaks off at the next poll: the server throws away what it has not written when a body fails, so that it gets
    /// time to write what came before.
    fn fail<T>(&mut self, error: DownloadError, cx: &Context<'_>) -> Poll<T> {
        self.failure = Some(error);
        if let Some(connection) = &self.unframed {
            connection.end_by_reset();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl MessageBody for Download {
    type Error = DownloadError;

    fn size(&self) -> BodySize {
        self.length.map_or(BodySize::Stream, BodySize::Sized)
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, DownloadError>>> {
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        let Poll::Ready(piece) = self.body.poll_next(cx) else {
            return match self.wait(cx) {
                Poll::Ready(error) => self.fail(error, cx),
                Poll::Pending => Poll::Pending,
            };
        };
        self.waiting = None;
        let late = self.patience.ends.is_some_and(|ends| ends <= Instant::now());
        match piece {
            Some(_) if late => self.fail(DownloadError::TooSlow, cx),
            Some(Err(error)) => self.fail(error.into(), cx),
            Some(Ok(piece)) => Poll::Ready(Some(Ok(piece))),
            None => Poll::Ready(None),
        }
    }
}
