//! The unused connections of one worker thread: each carries one request at a time, and is kept for a while after its
//! answer.
//!
//! Nobody watches a connection while it is unused. Whether the upstream has closed it, or sent what nobody asked for,
//! is looked at before the next request goes over it, which costs no system call while nothing has happened.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::connect::Place;
use super::wire::Connection;

/// How long an unused connection is kept. Common servers close theirs after five seconds or more (Node, uvicorn: 5 s,
/// nginx: 75 s), and a request written onto a connection that is just being closed is lost.
pub(super) const IDLE: Duration = Duration::from_secs(4);

/// The connections that nobody uses, the one used last at the end.
#[derive(Default)]
pub(super) struct Pool(RefCell<Kept>);

#[derive(Default)]
struct Kept {
    idle: Vec<Idle>,
    /// Whether somebody lets go of those that stay unused.
    swept: bool,
}

struct Idle {
    place: Arc<Place>,
    connection: Connection,
    since: Instant,
}

impl Pool {
    /// A connection to `place` that can carry a request, and takes those away on the way that cannot.
    pub(super) fn take(&self, place: &Arc<Place>) -> Option<Connection> {
        let idle = &mut self.0.borrow_mut().idle;
        let mut at = idle.len();
        while at > 0 {
            at -= 1;
            if Arc::ptr_eq(&idle[at].place, place) || idle[at].place == *place {
                let mut found = idle.remove(at);
                if found.is_usable() {
                    return Some(found.connection);
                }
            }
        }
        None
    }

    /// Keeps a connection whose answer is complete.
    pub(super) fn put(self: &Rc<Self>, place: Arc<Place>, mut connection: Connection) {
        connection.rest();
        let mut kept = self.0.borrow_mut();
        kept.idle.push(Idle { place, connection, since: Instant::now() });
        if !std::mem::replace(&mut kept.swept, true) {
            actix_web::rt::spawn(sweep(Rc::downgrade(self)));
        }
    }

    /// Closes what cannot be used any more; `false` when nothing is left.
    fn sweep(&self) -> bool {
        let mut kept = self.0.borrow_mut();
        kept.idle.retain_mut(Idle::is_usable);
        kept.swept = !kept.idle.is_empty();
        kept.swept
    }
}

impl Idle {
    fn is_usable(&mut self) -> bool {
        self.since.elapsed() < IDLE && self.connection.is_quiet()
    }
}

/// Lets go of unused connections until there are none, or nobody is left who could use them.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE / 4).await;
        if !pool.upgrade().is_some_and(|pool| pool.sweep()) {
            return;
        }
    }
}
