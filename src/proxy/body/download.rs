//! The upstream's body on its way to the browser.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use hyper::body::{Body as _, Incoming};

/// Passes data on as it arrives. An error of the upstream's body becomes one of the browser's, which makes the server
/// cut the connection: a truncated answer never looks complete (RFC 9112 §8). Trailers end here, since the server
/// cannot send any. Dropping it closes the connection to the upstream.
pub struct Download {
    body: Incoming,
    length: Option<u64>,
}

impl Download {
    /// Passes `body` on, as `length` bytes if the upstream has declared them.
    #[must_use]
    pub fn new(body: Incoming, length: Option<u64>) -> Self {
        Self { body, length }
    }
}

impl MessageBody for Download {
    type Error = hyper::Error;

    fn size(&self) -> BodySize {
        self.length.map_or(BodySize::Stream, BodySize::Sized)
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => match frame.into_data() {
                    // An empty piece would be written as the last chunk.
                    Ok(data) if !data.is_empty() => return Poll::Ready(Some(Ok(data))),
                    _ => {}
                },
            }
        }
    }
}
