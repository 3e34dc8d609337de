//! The stream of a connection, which fails when one of its limits has passed.

use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_tls::accept::rustls_0_23::TlsStream;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Connection;

/// What a connection is made of.
pub trait Transport: AsyncRead + AsyncWrite + Unpin {
    /// The socket at its end.
    fn socket(&self) -> &TcpStream;
}

/// A browser's connection, watched.
pub struct Watched<S: Transport> {
    stream: S,
    connection: Rc<Connection>,
    /// Goes off at the next limit or before it, and is set again then; so a call that ends in time does not touch it.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<S: Transport> Watched<S> {
    /// Watches `stream`, which is kept for `keep_alive` between two requests.
    pub fn new(stream: S, keep_alive: Duration) -> Self {
        Self { stream, connection: Connection::new(keep_alive), alarm: None }
    }

    /// What those who answer know of it.
    #[must_use]
    pub const fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Fails when a limit has passed; else makes sure that somebody is woken when one does.
    fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.connection.remember(cx);
        if self.connection.cut.get() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let Some(due) = self.connection.due() else { return Ok(()) };
        if self.alarm.as_ref().is_some_and(|alarm| alarm.deadline() <= due && !alarm.is_elapsed()) {
            return Ok(());
        }
        if due <= Instant::now() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
        alarm.as_mut().reset(due);
        // Outside the task's budget, at whose end it would hear of nothing. Should the moment have passed meanwhile, the next
        // look finds it so.
        if pin!(unconstrained(alarm.as_mut())).poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Ok(())
    }
}

impl<S: Transport> Drop for Watched<S> {
    fn drop(&mut self) {
        if self.connection.breaks.get()
            && let Err(error) = SockRef::from(self.stream.socket()).set_linger(Some(Duration::ZERO))
        {
            tracing::debug!(event = "no_reset", %error);
        }
    }
}

impl<S: Transport> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let received = &buffer.filled()[before..];
        if !received.is_empty() {
            self.connection.received(received);
        }
        self.watch(cx)?;
        outcome
    }
}

impl<S: Transport> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let outcome = match this.connection.interim.poll_pay(&mut this.stream, cx)? {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => match this.connection.interim.taken_out(bytes) {
                0 => Pin::new(&mut this.stream).poll_write(cx, bytes),
                count => return Poll::Ready(Ok(count)),
            },
        };
        self.connection.wrote(outcome.is_ready());
        self.watch(cx)?;
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let outcome = match this.connection.interim.poll_pay(&mut this.stream, cx)? {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Pin::new(&mut this.stream).poll_flush(cx),
        };
        if outcome.is_ready() {
            self.connection.flushed();
        } else {
            self.connection.wrote(false);
            self.watch(cx)?;
        }
        outcome
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Transport for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Transport for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(50);

    /// A transport that takes bytes at once and, as TLS does, may still hold them.
    struct Holding {
        socket: TcpStream,
        holds: bool,
    }

    impl Transport for Holding {
        fn socket(&self) -> &TcpStream {
            &self.socket
        }
    }

    impl AsyncRead for Holding {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.socket).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for Holding {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            if self.holds { Poll::Pending } else { Poll::Ready(Ok(())) }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// What reading comes to after more than the patience for what was written before, which the browser takes or not.
    async fn read_after(takes: bool) -> Option<io::ErrorKind> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let _browser = TcpStream::connect(listener.local_addr().expect("it is bound")).await.expect("a connection");
        let (socket, _) = listener.accept().await.expect("a connection");
        let mut stream = Watched::new(Holding { socket, holds: true }, PATIENCE);
        let _call = Rc::clone(stream.connection()).begin();
        stream.connection().limit(PATIENCE, None);
        poll_fn(|cx| {
            assert!(Pin::new(&mut stream).poll_write(cx, b"all of it").is_ready());
            assert!(Pin::new(&mut stream).poll_flush(cx).is_pending());
            stream.stream.holds = !takes;
            assert_eq!(Pin::new(&mut stream).poll_flush(cx).is_ready(), takes);
            Poll::Ready(())
        })
        .await;
        let read = tokio::time::timeout(4 * PATIENCE, stream.read(&mut [0])).await;
        read.ok().and_then(Result::err).map(|error| error.kind())
    }

    #[tokio::test]
    async fn what_was_read_late_is_not_held_against_a_connection_and_what_is_not_is() {
        assert_eq!(read_after(true).await, None);
        assert_eq!(read_after(false).await, Some(io::ErrorKind::TimedOut));
    }
}
