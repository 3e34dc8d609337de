//! A request body on its way to the upstream in HTTP/2, never more of it than the upstream has room for.

use std::io;

use bytes::Bytes;
use h2::{Reason, SendStream};

use super::super::sending::{BodyLength, Promised, SendError};
use crate::proxy::body::RequestBody;

/// Sends `body` to its end. One that breaks on its way here, or is not as long as was declared, resets the stream, so that
/// it never looks complete.
pub(super) async fn send(
    mut stream: SendStream<Bytes>,
    body: RequestBody,
    length: BodyLength,
) -> Result<(), SendError> {
    let outcome = pass(&mut stream, body, length).await;
    if let Err(SendError::Upload(_)) = outcome {
        stream.send_reset(Reason::CANCEL);
    }
    outcome
}

async fn pass(stream: &mut SendStream<Bytes>, mut body: RequestBody, length: BodyLength) -> Result<(), SendError> {
    let mut promised = Promised::by(length);
    loop {
        let piece = body.next().await.map_err(SendError::Upload)?;
        promised.count(piece.as_ref())?;
        let Some(mut piece) = piece else {
            return stream.send_data(Bytes::new(), true).map_err(stopped);
        };
        while !piece.is_empty() {
            stream.reserve_capacity(piece.len());
            let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
            let room = room.ok_or(SendError::Io(io::ErrorKind::BrokenPipe.into()))?.map_err(stopped)?;
            let front = piece.split_to(room.min(piece.len()));
            stream.send_data(front, false).map_err(stopped)?;
        }
        body.moved();
    }
}

/// The upstream takes no more; it may answer nevertheless (RFC 9113 §8.1).
fn stopped(error: h2::Error) -> SendError {
    SendError::Io(io::Error::other(error))
}
