//! An answer as whoever asked sees it, whichever protocol it came in.

use std::io;
use std::task::{Context, Poll};

use actix_web::http::StatusCode;
use bytes::{Bytes, BytesMut};

use super::exchange;
use super::framing::FramingError;
use super::head::{Fields, HeadError};
use super::http2::{self, StreamError};
use super::wire::Wire;
use crate::proxy::body::UploadError;

/// An answer whose head is here.
pub(in crate::proxy) struct Answer {
    pub(in crate::proxy) status: StatusCode,
    pub(in crate::proxy) fields: Fields,
    pub(in crate::proxy) body: AnswerBody,
}

/// The body of an answer. Dropped before its end, it cancels the call and stops what is still being sent.
pub(in crate::proxy) enum AnswerBody {
    /// On a connection of its own.
    Http1(exchange::Body),
    /// On a stream of a shared one.
    Http2(http2::Body),
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub(in crate::proxy) enum BodyError {
    /// The upstream's own framing, or its connection, does.
    #[error(transparent)]
    Framing(#[from] FramingError),
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The stream broke.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The request did, so that the answer can be none to it.
    #[error(transparent)]
    Upload(#[from] UploadError),
}

/// Why there is no head.
#[derive(Debug, thiserror::Error)]
pub(in crate::proxy) enum AnswerError {
    /// The connection broke where an answer should have begun.
    #[error("it closed the connection without an answer")]
    Silent(#[source] Option<io::Error>),
    /// It broke in the middle of the head.
    #[error("its answer broke off")]
    Truncated,
    /// What came is none.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The upstream says that it has not looked at the request (RFC 9113 §8.7).
    #[error("it did not take the request")]
    Unprocessed(#[source] h2::Error),
    /// The stream broke.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The request's own body broke.
    #[error(transparent)]
    Upload(#[from] UploadError),
}

impl AnswerBody {
    /// How long the body is, while nothing of it has been taken; `None` if its end alone will tell.
    pub(in crate::proxy) const fn length(&self) -> Option<u64> {
        match self {
            Self::Http1(body) => body.length(),
            Self::Http2(body) => body.length(),
        }
    }

    /// The next piece, which is never empty; `None` at the end of a complete body and of no other.
    pub(in crate::proxy) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match self {
            Self::Http1(body) => body.poll_next(cx),
            Self::Http2(body) => body.poll_next(cx),
        }
    }

    /// The connection of an answer after which another protocol begins, and what has come of that already. A stream of a
    /// shared connection never becomes one.
    pub(in crate::proxy) fn into_wire(self) -> Option<(Wire, BytesMut)> {
        match self {
            Self::Http1(body) => body.into_wire(),
            Self::Http2(_) => None,
        }
    }

    /// The protocol it came in, as people call it.
    pub(in crate::proxy) const fn protocol(&self) -> &'static str {
        match self {
            Self::Http1(_) => "HTTP/1.1",
            Self::Http2(_) => "HTTP/2",
        }
    }
}
