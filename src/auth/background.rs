//! Where work runs that must outlive the request that asked for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::session::store::Store;

/// A runtime of its own with its own connection to the store. Every call to a provider is made here, so that a browser
/// that goes away aborts nothing, and a shutdown waits for what runs.
#[derive(Clone)]
pub struct Background {
    runtime: Handle,
    store: Arc<dyn Store>,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Background {
    /// Work on `runtime`, with a store whose connection belongs to that runtime.
    #[must_use]
    pub fn new(runtime: Handle, store: Arc<dyn Store>) -> Self {
        Self { runtime, store, tasks: TaskTracker::new(), stopping: CancellationToken::new() }
    }

    /// The store for work done here.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Starts `work`; it goes on whether anybody waits for it or not.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(work, &self.runtime);
    }

    /// Starts `work` that a shutdown does not wait for.
    pub fn watch(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// Starts `work` and waits for what it gives. A caller that goes away does not stop it; its panic is the caller's.
    pub async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        match self.tasks.spawn_on(work, &self.runtime).await {
            Ok(given) => given,
            Err(failure) => match failure.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is being shut down, and this process with it: there is nobody left to answer.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Waits for `time`, or for a shutdown, which does not wait for what has not begun; whether the time has passed.
    pub async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            () = self.stopping.cancelled() => false,
        }
    }

    /// Waits until everything that was started has ended.
    pub async fn finish(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
