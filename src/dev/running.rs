//! A server of one part of `dev`, which stops with its handle.

use actix_web::dev::{Server, ServerHandle};

/// A running server.
#[derive(Debug)]
pub(super) struct Running(ServerHandle);

impl Running {
    /// Serves from now on. Inside an actix system.
    pub(super) fn start(server: Server) -> Self {
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self(handle)
    }

    /// Stops listening and drops open connections.
    pub(super) async fn stop(self) {
        self.0.stop(false).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The command is sent at once; only its completion would have to be awaited.
        drop(self.0.stop(false));
    }
}
