//! The bytes of an open tunnel, both ways: no faster than the receiver takes them, ended by whoever goes first.

use std::cell::Cell;
use std::io::Cursor;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::Payload;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, Chain};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::frames::{self, Frames};
use super::{Closing, Hooks};
use crate::proxy::upstream::Wire;

/// How much is read at once. An idle tunnel holds one piece.
const PIECE: usize = 16 << 10;

/// How long to wait for the end of the frame that is on its way before the tunnel is cut in the middle of it. The
/// contract's section 6.10 gives two seconds in all, and hearing of an end on another replica may take one.
const BOUNDARY: Duration = Duration::from_secs(1);

/// What the browser gets after the 101: whatever the upstream sends.
pub(super) struct TunnelBody {
    pieces: mpsc::Receiver<Bytes>,
    cut: Rc<Cell<bool>>,
}

/// The tunnel ends in the middle of a frame; as the error of a body it makes the server drop the connection at once.
#[derive(Debug, thiserror::Error)]
#[error("the session is over, and the frame on its way is not")]
pub(super) struct Cut;

impl MessageBody for TunnelBody {
    type Error = Cut;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let piece = ready!(self.pieces.poll_recv(cx));
        Poll::Ready(piece.map(Ok).or_else(|| self.cut.get().then_some(Err(Cut))))
    }
}

/// Starts to relay in a task of its own on this thread. It ends when either side is gone, which cuts the other, or with
/// `hooks.ending`: then nothing more goes upstream, and the browser gets a Close frame at the next frame boundary. What
/// the browser still sends is read and thrown away by the server, so that no reset overtakes that frame.
pub(super) fn start(
    payload: Payload,
    upstream: (Wire, BytesMut),
    hooks: Hooks<impl Future<Output = Closing> + 'static, impl FnMut() + 'static>,
    room: OwnedSemaphorePermit,
) -> TunnelBody {
    let (sender, pieces) = mpsc::channel(1);
    let cut = Rc::<Cell<bool>>::default();
    let is_cut = Rc::clone(&cut);
    actix_web::rt::spawn(async move {
        let _room = room;
        is_cut.set(relay(payload, upstream, sender, hooks).await.is_err());
    });
    TunnelBody { pieces, cut }
}

async fn relay(
    payload: Payload,
    upstream: (Wire, BytesMut),
    sender: mpsc::Sender<Bytes>,
    hooks: Hooks<impl Future<Output = Closing>, impl FnMut()>,
) -> Result<(), Cut> {
    let (write, ahead) = upstream;
    let read = Cursor::new(ahead.freeze()).chain(write.clone());
    let mut down = Down { read, sender, frames: Frames::default(), buffer: BytesMut::new() };
    let up = async {
        up(payload, write, hooks.active).await;
        // The browser has ended its half; the upstream's may go on (RFC 9293 §3.6).
        std::future::pending::<()>().await;
    };
    let closing = tokio::select! {
        closing = hooks.ending => closing,
        () = down.pass_all() => return Ok(()),
        () = up => return Ok(()),
    };
    tokio::time::timeout(BOUNDARY, down.close(&closing)).await.map_err(|_| Cut)
}

/// Browser to upstream, until either is done.
async fn up(mut payload: Payload, mut upstream: impl AsyncWrite + Unpin, mut active: impl FnMut()) {
    let mut frames = Frames::default();
    while let Some(Ok(piece)) = payload.next().await {
        if frames.pass(&piece) {
            active();
        }
        if upstream.write_all(&piece).await.is_err() || upstream.flush().await.is_err() {
            return;
        }
    }
    let _ = upstream.shutdown().await;
}

/// What came along with the 101, and everything after it.
type FromUpstream = Chain<Cursor<Bytes>, Wire>;

/// Upstream to browser.
struct Down {
    read: FromUpstream,
    sender: mpsc::Sender<Bytes>,
    frames: Frames,
    buffer: BytesMut,
}

impl Down {
    /// Until either is done. Can be dropped at any await without losing or repeating a byte.
    async fn pass_all(&mut self) {
        while let Some((permit, piece)) = next(&self.sender, &mut self.read, &mut self.buffer).await {
            self.frames.pass(&piece);
            permit.send(piece);
        }
    }

    /// Passes the rest of the current frame on, then a Close frame, unless the upstream has sent one.
    async fn close(&mut self, closing: &Closing) {
        while !self.frames.at_boundary() {
            let Some((permit, mut piece)) = next(&self.sender, &mut self.read, &mut self.buffer).await else { return };
            piece.truncate(self.frames.pass_frame(&piece));
            permit.send(piece);
        }
        if !self.frames.closed() {
            let _ = self.sender.send(frames::close(closing.code, closing.reason).into()).await;
        }
    }
}

/// Waits for room first and for bytes then, so that none are in hand while there is no room. `None` at either end.
async fn next<'a>(
    sender: &'a mpsc::Sender<Bytes>,
    read: &mut FromUpstream,
    buffer: &mut BytesMut,
) -> Option<(mpsc::Permit<'a, Bytes>, Bytes)> {
    let permit = sender.reserve().await.ok()?;
    buffer.reserve(PIECE);
    let count = tokio::select! {
        count = read.read_buf(buffer) => count.ok()?,
        () = sender.closed() => return None,
    };
    (count > 0).then(|| (permit, buffer.split().freeze()))
}
