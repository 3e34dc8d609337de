//! How far the body of a request is read, and `100 Continue`, said to whoever waits for it and only when its body is wanted
//! (RFC 9110 §10.1.1).
//!
//! The server writes it before anything of the request has been looked at. Here it is taken out of what is written, and goes
//! out with the first look at the body: whoever is refused by the head alone sends nothing.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;
use tokio::io::AsyncWrite;

use super::Connection;

/// As the server writes it.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What has become of the interim answer to the request at hand.
#[derive(Default)]
pub(super) struct Interim(Cell<State>);

#[derive(Clone, Copy, Default)]
enum State {
    /// Nobody waits for one.
    #[default]
    None,
    /// The server is about to write it.
    Expected,
    /// It was taken out, and the body was not looked at.
    Withheld,
    /// These bytes of it have to be written.
    Owed(&'static [u8]),
}

impl Interim {
    /// A request asks for one.
    pub(super) fn expect(&self) {
        self.0.set(State::Expected);
    }

    /// Whether one is asked for.
    fn is_expected(&self) -> bool {
        matches!(self.0.get(), State::Expected)
    }

    /// The body is wanted; whether something has to be written for that.
    fn go_on(&self) -> bool {
        let owed = matches!(self.0.get(), State::Withheld);
        self.0.set(if owed { State::Owed(CONTINUE) } else { State::None });
        owed
    }

    /// How many bytes of what the server writes are the interim answer, which does not go out. Whatever else it writes is
    /// the final one, or belongs to an answer before.
    pub(super) fn taken_out(&self, bytes: &[u8]) -> usize {
        let taken = self.is_expected() && bytes.starts_with(CONTINUE);
        self.0.set(if taken { State::Withheld } else { State::None });
        if taken { CONTINUE.len() } else { 0 }
    }

    /// Writes what is owed.
    pub(super) fn poll_pay(
        &self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let State::Owed(owed) = self.0.get() {
            let count = ready!(Pin::new(&mut *stream).poll_write(cx, owed))?;
            let rest = &owed[count..];
            self.0.set(if rest.is_empty() { State::None } else { State::Owed(rest) });
        }
        Poll::Ready(Ok(()))
    }

    /// The request is answered. What was made ready before may still have to be written, this one included.
    pub(super) fn answered(&self) {
        if matches!(self.0.get(), State::Withheld) {
            self.0.set(State::None);
        }
    }
}

impl Connection {
    /// Withholds the `100 Continue` that the server is about to write, until the body of the request is looked at.
    pub fn withhold_continue(&self) {
        self.interim.expect();
    }

    /// Follows how far the body of `request` is read. The first look at it says `100 Continue`, where that was withheld.
    pub(super) fn follow(self: &Rc<Self>, request: &mut ServiceRequest) {
        let payload = std::mem::replace(request.parts_mut().1, Payload::None);
        let has_body = !matches!(payload, Payload::None);
        self.left_over.set(has_body);
        if has_body {
            let followed = Followed { payload, connection: Rc::clone(self), is_announced: false };
            request.set_payload(Payload::Stream { payload: Box::pin(followed) });
        }
    }
}

/// The body of a request, which whoever sends it may wait to be asked for.
struct Followed {
    payload: Payload,
    connection: Rc<Connection>,
    is_announced: bool,
}

impl Stream for Followed {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !std::mem::replace(&mut self.is_announced, true) && self.connection.interim.go_on() {
            self.connection.wake();
        }
        let piece = ready!(Pin::new(&mut self.payload).poll_next(cx));
        if piece.is_none() {
            self.connection.left_over.set(false);
        }
        Poll::Ready(piece)
    }
}
