//! One connection to an upstream: its two directions, which two tasks may use at once, and what was read ahead.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What carries bytes both ways.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// The two directions. Clones share them, all on one thread; one at a time may read, and one may write.
#[derive(Clone)]
pub(in crate::proxy) struct Wire(Rc<RefCell<Box<dyn Stream>>>);

/// A connection as whoever reads from it holds it. Dropped, it is closed, unless its wire still is in other hands.
pub(super) struct Connection {
    pub(super) wire: Wire,
    /// Bytes that have been read and belong to nothing yet.
    pub(super) ahead: BytesMut,
    /// How much to read at once: more, while more keeps coming.
    piece: usize,
}

/// How much is read at once, to begin with and at the most.
const PIECE: std::ops::RangeInclusive<usize> = (8 << 10)..=(64 << 10);

thread_local! {
    /// What small answers are read into, and copied from: the processor has it at hand, and a connection that waits for
    /// its answer needs no memory.
    static DESK: RefCell<[u8; *PIECE.start()]> = const { RefCell::new([0; *PIECE.start()]) };
}

impl Connection {
    pub(super) fn new(stream: Box<dyn Stream>) -> Self {
        Self { wire: Wire(Rc::new(RefCell::new(stream))), ahead: BytesMut::new(), piece: *PIECE.start() }
    }

    /// Reads what there is, and tells how many bytes; none at the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let count = if self.piece == *PIECE.start() {
            DESK.with_borrow_mut(|desk| self.poll_fill_by(desk, cx))
        } else {
            self.ahead.reserve(self.piece);
            tokio_util::io::poll_read_buf(Pin::new(&mut self.wire), cx, &mut self.ahead)
        };
        let count = ready!(count)?;
        if count >= self.piece {
            self.piece = (2 * self.piece).min(*PIECE.end());
        }
        Poll::Ready(Ok(count))
    }

    fn poll_fill_by(&mut self, desk: &mut [u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut desk = ReadBuf::new(desk);
        ready!(Pin::new(&mut self.wire).poll_read(cx, &mut desk))?;
        self.ahead.extend_from_slice(desk.filled());
        Poll::Ready(Ok(desk.filled().len()))
    }

    /// Whether an unused connection can carry a request: it is open, and nothing came over it that nobody asked for.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let mut byte = [0];
        self.ahead.is_empty() && Pin::new(&mut self.wire).poll_read(&mut cx, &mut ReadBuf::new(&mut byte)).is_pending()
    }

    /// Lets go of the memory that an unused connection does not need.
    pub(super) fn rest(&mut self) {
        self.ahead = BytesMut::new();
        self.piece = *PIECE.start();
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut **self.0.borrow_mut()).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut **self.0.borrow_mut()).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut **self.0.borrow_mut()).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut **self.0.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut **self.0.borrow_mut()).poll_shutdown(cx)
    }
}
