//! One request and its answer over one HTTP/1.1 connection: the head of the answer, then its body as the browser takes it.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::http::StatusCode;
use bytes::{Bytes, BytesMut};

use super::answer::{Answer, AnswerBody, AnswerError, BodyError};
use super::connect::Place;
use super::framing::{Framing, FramingError, Step};
use super::head::{Head, HeadError, LONGEST};
use super::pool::Pool;
use super::sending::{Outgoing, Sending};
use super::wire::{Connection, Wire};

/// The body of an answer. Dropped before its end, it closes the connection and stops what is still being sent.
pub(in crate::proxy) struct Body {
    state: State,
    sending: Sending,
    framing: Framing,
    /// Whether the connection can be used again, and where.
    home: Option<(Rc<Pool>, Arc<Place>)>,
}

enum State {
    Open(Connection),
    Complete,
    Broken,
}

/// Sends a request and waits for the head of its answer; interim answers (RFC 9110 §15.2) end here, since the server
/// cannot pass them on. The connection goes back to `home` after the answer.
pub(super) async fn exchange(
    connection: Connection,
    request: Outgoing,
    home: (Rc<Pool>, Arc<Place>),
) -> Result<Answer, AnswerError> {
    let asks_for_head = request.asks_for_head;
    let sending = Sending::start(&connection.wire, request).await.map_err(|error| AnswerError::Silent(Some(error)))?;
    let mut waiting = Waiting { connection, sending, searched: 0, interim: 0 };
    let mut head = std::future::poll_fn(|cx| waiting.poll_head(cx)).await?;
    let framing = head.framing(asks_for_head);
    let home = head.persistent.then_some(home);
    let mut body = Body { state: State::Open(waiting.connection), sending: waiting.sending, framing, home };
    if body.length() == Some(0) {
        body.finish();
    }
    Ok(Answer { status: head.status, fields: head.fields, body: AnswerBody::Http1(body) })
}

/// An answer that has not begun, or not with its last head.
struct Waiting {
    connection: Connection,
    sending: Sending,
    /// The bytes at hand that were looked at and are no head yet.
    searched: usize,
    /// The bytes of the interim answers so far.
    interim: usize,
}

impl Waiting {
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, AnswerError>> {
        loop {
            self.sending.check(cx)?;
            let before = self.connection.ahead.len();
            if before > 0
                && let Some(head) = Head::take(&mut self.connection.ahead, self.searched)?
            {
                if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
                    return Poll::Ready(Ok(head));
                }
                self.interim += before - self.connection.ahead.len();
                if self.interim > LONGEST {
                    return Poll::Ready(Err(HeadError::TooLong.into()));
                }
                self.searched = 0;
                continue;
            }
            self.searched = before;
            let silent = before == 0 && self.interim == 0;
            match ready!(self.connection.poll_fill(cx)) {
                Ok(0) if silent => return Poll::Ready(Err(AnswerError::Silent(None))),
                Err(error) if silent => return Poll::Ready(Err(AnswerError::Silent(Some(error)))),
                Ok(0) | Err(_) => return Poll::Ready(Err(AnswerError::Truncated)),
                Ok(_) => {}
            }
        }
    }
}

impl Body {
    /// How long the body is, while nothing of it has been taken; `None` if its end alone will tell.
    pub(super) const fn length(&self) -> Option<u64> {
        self.framing.length()
    }

    /// The next piece, which is never empty; `None` at the end of a complete body and of no other.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let step = ready!(self.poll_step(cx));
        if step.is_err() {
            self.state = State::Broken;
        }
        Poll::Ready(step.transpose())
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        loop {
            let connection = match &mut self.state {
                State::Open(connection) => connection,
                State::Complete => return Poll::Ready(Ok(None)),
                State::Broken => return Poll::Ready(Err(FramingError::Truncated.into())),
            };
            self.sending.check(cx)?;
            match self.framing.next(&mut connection.ahead)? {
                Step::Piece(piece) => {
                    if self.length() == Some(0) {
                        self.finish();
                    }
                    return Poll::Ready(Ok(Some(piece)));
                }
                Step::End => self.finish(),
                Step::More if ready!(connection.poll_fill(cx))? > 0 => {}
                Step::More => {
                    self.framing.closed()?;
                    self.state = State::Complete;
                }
            }
        }
    }

    /// The answer is complete. Its connection is kept if both sides have said all they had to say, and not a byte more.
    fn finish(&mut self) {
        let State::Open(connection) = std::mem::replace(&mut self.state, State::Complete) else { return };
        if let Some((pool, place)) = self.home.take()
            && connection.ahead.is_empty()
            && self.sending.is_sent()
        {
            pool.put(place, connection);
        }
    }

    /// The connection of an answer after which another protocol begins, and what has come of that already.
    pub(super) fn into_wire(self) -> Option<(Wire, BytesMut)> {
        match self.state {
            State::Open(connection) => Some((connection.wire, connection.ahead)),
            State::Complete | State::Broken => None,
        }
    }
}

#[cfg(test)]
mod tests;
