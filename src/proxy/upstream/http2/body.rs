//! The body of an answer in HTTP/2: pieces as the browser takes them, and room for as many more.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;

use super::super::answer::BodyError;
use super::super::sending::Sending;
use super::{Seat, StreamError};

/// The body of an answer. Dropped before its end, it resets the stream (`CANCEL`) and stops what is still being sent.
pub(in crate::proxy) struct Body {
    state: State,
    sending: Sending,
    /// How much of a declared length is to come.
    left: Option<u64>,
    /// The end of a body whose length is reached: it is passed on when nothing more has come (RFC 9113 §8.1.1).
    last: Option<Bytes>,
}

enum State {
    Open(RecvStream, Seat),
    Complete,
    Broken,
}

impl Body {
    /// The body that comes over `stream`, as `length` bytes if that is known.
    pub(super) fn new(stream: RecvStream, length: Option<u64>, sending: Sending, seat: Seat) -> Self {
        let left = if stream.is_end_stream() { length.or(Some(0)) } else { length };
        let state = if left == Some(0) { State::Complete } else { State::Open(stream, seat) };
        Self { state, sending, left, last: None }
    }

    /// How long the body is, while nothing of it has been taken; `None` if its end alone will tell.
    pub(in crate::proxy) const fn length(&self) -> Option<u64> {
        self.left
    }

    /// The next piece, which is never empty; `None` at the end of a complete body and of no other.
    pub(in crate::proxy) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let step = ready!(self.poll_step(cx));
        match &step {
            Err(_) => self.state = State::Broken,
            Ok(None) => self.state = State::Complete,
            Ok(Some(_)) => {}
        }
        Poll::Ready(step.transpose())
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        loop {
            let (stream, seat) = match &mut self.state {
                State::Open(stream, seat) => (stream, seat),
                State::Complete => return Poll::Ready(Ok(None)),
                State::Broken => return Poll::Ready(Err(StreamError::Length.into())),
            };
            self.sending.check(cx)?;
            let piece = match ready!(stream.poll_data(cx)) {
                Some(Ok(piece)) => piece,
                // Trailers end here, as they do in HTTP/1.1.
                None if self.left.is_none_or(|left| left == 0) => {
                    self.state = State::Complete;
                    return Poll::Ready(Ok(self.last.take()));
                }
                None => return Poll::Ready(Err(StreamError::Length.into())),
                Some(Err(error)) => return Poll::Ready(Err(StreamError::from(error).into())),
            };
            seat.hears();
            stream.flow_control().release_capacity(piece.len()).map_err(StreamError::from)?;
            if piece.is_empty() {
                continue;
            }
            if let Some(left) = &mut self.left {
                *left = left.checked_sub(piece.len() as u64).ok_or(StreamError::Length)?;
                if *left == 0 && !stream.is_end_stream() {
                    self.last = Some(piece);
                    continue;
                }
            }
            return Poll::Ready(Ok(Some(piece)));
        }
    }
}
