//! A request on its way to the upstream in HTTP/1.1: its head in one write, its body in a task of its own, so that an answer which
//! begins early is passed on meanwhile.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use futures_util::FutureExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinHandle;

use super::wire::Wire;
use crate::proxy::body::{RequestBody, UploadError};

/// A request, ready to be written.
pub(in crate::proxy) struct Outgoing {
    /// The request line and all headers.
    pub(in crate::proxy) head: Bytes,
    /// The body, framed as the head says.
    pub(in crate::proxy) body: RequestBody,
    /// How the head says that it is framed.
    pub(in crate::proxy) length: BodyLength,
    /// Whether the method is HEAD.
    pub(in crate::proxy) asks_for_head: bool,
    /// Whether another protocol follows a 101, which needs a connection of its own.
    pub(in crate::proxy) upgrades: bool,
}

/// How a request body is framed (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum BodyLength {
    /// So many bytes; zero is no body.
    Exactly(u64),
    /// Chunks.
    Chunked,
}

/// How much of a body a declared length still promises; `None` without one.
pub(super) struct Promised(Option<u64>);

/// The state of a request that is being sent. Dropped, it stops there.
pub(super) enum Sending {
    /// All of it is written.
    Sent,
    /// The body is on its way.
    Running(JoinHandle<Result<(), SendError>>),
    /// The upstream takes no more; it may answer nevertheless.
    Stopped,
}

/// Why a body was not sent.
#[derive(Debug)]
pub(super) enum SendError {
    /// It broke on its way here.
    Upload(UploadError),
    /// The upstream takes no more of it.
    Io(io::Error),
}

impl Sending {
    /// Writes a request without a body, or starts to write one with.
    pub(super) async fn start(wire: &Wire, request: Outgoing) -> io::Result<Self> {
        let mut wire = wire.clone();
        if request.body.is_empty() {
            write(&mut wire, request.head).await?;
            return Ok(Self::Sent);
        }
        Ok(Self::Running(actix_web::rt::spawn(send(wire, request))))
    }

    /// Fails once the body has broken on its way here: then what was sent of it is no request.
    pub(super) fn check(&mut self, cx: &mut Context<'_>) -> Result<(), UploadError> {
        let Self::Running(task) = self else { return Ok(()) };
        let Poll::Ready(outcome) = Pin::new(task).poll(cx) else { return Ok(()) };
        *self = Self::Stopped;
        match outcome {
            Ok(Ok(())) => *self = Self::Sent,
            Ok(Err(SendError::Upload(error))) => return Err(error),
            Ok(Err(SendError::Io(error))) => tracing::debug!(event = "upload_stopped", reason = %error),
            // Only a panic ends it otherwise.
            Err(_) => return Err(UploadError::Broken),
        }
        Ok(())
    }

    /// Whether all of the request is written.
    pub(super) fn is_sent(&mut self) -> bool {
        self.check(&mut Context::from_waker(Waker::noop())).is_ok() && matches!(self, Self::Sent)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Self::Running(task) = self {
            task.abort();
        }
    }
}

impl From<io::Error> for SendError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Writes all of it. What lies in one piece is written by a plain call, which costs the kernel less than a list of pieces.
async fn write(wire: &mut Wire, mut bytes: impl Buf) -> io::Result<()> {
    if bytes.chunk().len() == bytes.remaining() {
        wire.write_all(bytes.chunk()).await?;
    } else {
        wire.write_all_buf(&mut bytes).await?;
    }
    wire.flush().await
}

/// Writes head and body; what is there of the body at once goes along with the head.
async fn send(mut wire: Wire, request: Outgoing) -> Result<(), SendError> {
    let Outgoing { head, mut body, length, .. } = request;
    let mut promised = Promised::by(length);
    // What goes in front of the next piece.
    let mut front = head;
    loop {
        let piece = match body.next().now_or_never() {
            Some(piece) => piece,
            None => {
                write(&mut wire, std::mem::take(&mut front)).await?;
                body.next().await
            }
        };
        let piece = piece.map_err(SendError::Upload)?;
        let done = piece.is_none();
        let bytes = std::mem::take(&mut front).chain(framed(piece, &mut promised)?);
        body.in_time(write(&mut wire, bytes)).await?;
        body.moved();
        if done {
            return Ok(());
        }
    }
}

/// One piece, or the end, as it is written.
fn framed(piece: Option<Bytes>, promised: &mut Promised) -> Result<impl Buf + use<>, SendError> {
    promised.count(piece.as_ref())?;
    let (front, piece, back) = match (piece, promised.0) {
        (Some(piece), None) => (format!("{:x}\r\n", piece.len()), piece, "\r\n"),
        (None, None) => ("0\r\n\r\n".to_owned(), Bytes::new(), ""),
        (piece, Some(_)) => (String::new(), piece.unwrap_or_default(), ""),
    };
    Ok(Bytes::from(front).chain(piece).chain(back.as_bytes()))
}

impl Promised {
    pub(super) const fn by(length: BodyLength) -> Self {
        match length {
            BodyLength::Exactly(length) => Self(Some(length)),
            BodyLength::Chunked => Self(None),
        }
    }

    /// Counts a piece, or the end.
    ///
    /// # Errors
    /// [`UploadError::Broken`] when the body is longer or shorter than was declared.
    pub(super) fn count(&mut self, piece: Option<&Bytes>) -> Result<(), SendError> {
        let Some(left) = &mut self.0 else { return Ok(()) };
        let broken = SendError::Upload(UploadError::Broken);
        match piece {
            Some(piece) => *left = left.checked_sub(piece.len() as u64).ok_or(broken)?,
            None if *left > 0 => return Err(broken),
            None => {}
        }
        Ok(())
    }
}
