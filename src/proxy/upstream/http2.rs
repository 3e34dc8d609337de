//! HTTP/2 (RFC 9113) with the upstreams that agree on it: each call is a stream, and a few connections carry them all.
//!
//! What holds over HTTP/1.1 holds here: `request` says the same words, `sending` waits for the upstream's windows, `body`
//! gives room back as the browser reads and lets nothing look complete that is not. `session` is one connection, watched
//! by a task of its own; `peers` knows which of them has room, and has one opened where none does.

mod body;
mod peers;
mod request;
mod sending;
mod session;

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::http::StatusCode;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream};
use hyper::http::{HeaderMap, Request, Response};

pub(super) use self::body::Body;
pub(super) use self::peers::{Peers, Way};
pub(super) use self::request::translated;
pub(super) use self::session::{Seat, Session};
use super::answer::{Answer, AnswerBody, AnswerError};
use super::head::{Fields, HeadError, LONGEST, has_body};
use super::sending::{Outgoing, Sending};

/// Why a stream carries no more of an answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::proxy) enum StreamError {
    /// The upstream ended it, or broke the protocol, or the connection is gone.
    #[error(transparent)]
    Broken(#[from] h2::Error),
    /// The body is not as long as its head said (RFC 9113 §8.1.1).
    #[error("the body is not as long as its head says")]
    Length,
}

/// Sends `head`, which is that of `request`, and its body, and waits for the head of the answer.
pub(super) async fn exchange(seat: Seat, head: Request<()>, request: Outgoing) -> Result<Answer, AnswerError> {
    let bodiless = request.body.is_empty();
    let (response, stream) = seat.send(head, bodiless).map_err(failed)?;
    let sending = if bodiless {
        Sending::Sent
    } else {
        Sending::Running(actix_web::rt::spawn(sending::send(stream, request.body, request.length)))
    };
    let mut waiting = Waiting { response, sending, seat, interim: 0 };
    let (head, stream) = std::future::poll_fn(|cx| waiting.poll_head(cx)).await?.into_parts();
    let status = StatusCode::from_u16(head.status.as_u16()).map_err(|_| HeadError::Status)?;
    let lines = head.headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    let fields = Fields::copied(lines).ok_or(HeadError::Field)?;
    let declared = fields.length().map_err(HeadError::Framing)?;
    let length = if has_body(status, request.asks_for_head) { declared } else { Some(0) };
    let body = Body::new(stream, length, waiting.sending, waiting.seat);
    Ok(Answer { status, fields, body: AnswerBody::Http2(body) })
}

/// An answer that has not begun, or not with its last head.
struct Waiting {
    response: ResponseFuture,
    sending: Sending,
    seat: Seat,
    /// The bytes of the interim answers so far.
    interim: usize,
}

impl Waiting {
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<RecvStream>, AnswerError>> {
        self.sending.check(cx)?;
        while let Poll::Ready(Some(interim)) = self.response.poll_informational(cx) {
            self.seat.hears();
            self.interim += size(interim.map_err(failed)?.headers());
            if self.interim > LONGEST {
                return Poll::Ready(Err(HeadError::TooLong.into()));
            }
        }
        let head = std::task::ready!(Pin::new(&mut self.response).poll(cx)).map_err(failed)?;
        self.seat.answered();
        Poll::Ready(Ok(head))
    }
}

/// The size of a head as RFC 9113 §6.5.2 counts it, the status included.
fn size(fields: &HeaderMap) -> usize {
    const OVERHEAD: usize = 32;
    const STATUS: usize = ":status".len() + "100".len() + OVERHEAD;
    STATUS + fields.iter().map(|(name, value)| name.as_str().len() + value.len() + OVERHEAD).sum::<usize>()
}

/// What the end of a stream without an answer means. Only a stream that the upstream refused, or that lies behind the last
/// one of its GOAWAY, has certainly not been looked at (RFC 9113 §8.7): `h2` reports a GOAWAY to no other stream.
fn failed(error: h2::Error) -> AnswerError {
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    if error.is_remote() && (refused || error.is_go_away()) {
        AnswerError::Unprocessed(error)
    } else {
        AnswerError::Stream(error.into())
    }
}
