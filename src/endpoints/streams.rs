//! What outlives the check that let it in: tunnels and streamed answers end when their session does.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::problem::Problem;
use super::{Connections, Site};
use crate::auth::{Auth, End, Live, Session};
use crate::clock::Timestamp;
use crate::connection::Connection;
use crate::proxy::forward::is_event_stream;
use crate::proxy::tunnel::{Closing, Hooks};
use crate::session::ticket::Ticket;
use crate::telemetry::metrics::{Held, OPEN_STREAMS};

/// The close code of a WebSocket whose session is over; the reason is the 401's.
const SESSION_OVER: u16 = 4401;
/// And those of RFC 6455 §7.4.1 and of the IANA registry for what is nobody's fault.
const GOING_AWAY: u16 = 1001;
const TRY_AGAIN_LATER: u16 = 1013;

/// How long a browser has to read the end of its stream. The contract's section 6.10 gives two seconds in all.
const UNREAD: Duration = Duration::from_secs(1);

/// What a tunnel on `session` listens to and tells.
pub(super) fn hooks(
    site: &Site,
    session: Option<&Session>,
) -> Result<Hooks<impl Future<Output = Closing> + 'static, impl FnMut() + 'static>, Problem> {
    let live = open(site, session)?;
    let counted = count(site, "websocket");
    let activity = session.map(|session| Activity::new(site, session));
    Ok(Hooks {
        ending: async move {
            let _counted = counted;
            closing(live.over().await)
        },
        active: move || {
            if let Some(activity) = &activity {
                activity.count();
            }
        },
    })
}

/// Ends an event stream of the upstream with the session it came through; any other answer ends by itself. A browser that
/// does not read it cannot be told, and loses its connection.
pub(super) fn until_over(
    site: &Site,
    session: Option<&Session>,
    request: &HttpRequest,
    response: HttpResponse,
) -> Result<HttpResponse, Problem> {
    if !response.headers().get(header::CONTENT_TYPE).is_some_and(is_event_stream) {
        return Ok(response);
    }
    let (live, connection) = (open(site, session)?, Connection::of(request).cloned());
    let (tell, over) = oneshot::channel();
    let watch = actix_web::rt::spawn(async move {
        // Nobody hears it if the stream has ended by itself.
        let _ = tell.send(live.over().await);
        tokio::time::sleep(UNREAD).await;
        if let Some(connection) = connection {
            connection.cut();
        }
    });
    let (watch, counted) = (AbortOnDropHandle::new(watch), count(site, "event_stream"));
    Ok(response.map_body(|_, body| UntilOver { body, over, _watch: watch, _counted: counted }.boxed()))
}

/// One more open stream in the metrics, for as long as what is returned lives.
pub(super) fn count(site: &Site, kind: &str) -> Held {
    OPEN_STREAMS.with([&site.auth.site().origin.to_string(), kind]).hold()
}

fn open(site: &Site, session: Option<&Session>) -> Result<Live, Problem> {
    Ok(match session {
        Some(session) => site.auth.open_stream(session)?,
        None => site.auth.streams().open(),
    })
}

fn closing(end: End) -> Closing {
    let (code, reason) = match end {
        End::Session(why) => (SESSION_OVER, why.as_str()),
        End::IdentityChanged => (SESSION_OVER, "identity_changed"),
        End::StoreUnavailable => (TRY_AGAIN_LATER, "store_unavailable"),
        End::GoingAway => (GOING_AWAY, ""),
    };
    Closing { code, reason }
}

/// Counts what a browser sends on a stream as its session's activity, seldom enough to cost nothing.
struct Activity {
    auth: Arc<Auth>,
    shared: Rc<Connections>,
    ticket: Ticket,
    due: Rc<Cell<Timestamp>>,
}

impl Activity {
    fn new(site: &Site, session: &Session) -> Self {
        let (auth, shared) = (Arc::clone(&site.auth), Rc::clone(&site.shared));
        Self { auth, shared, ticket: session.ticket().clone(), due: Rc::default() }
    }

    fn count(&self) {
        if self.auth.clock().now() < self.due.get() {
            return;
        }
        // Until the one under way knows better.
        self.due.set(Timestamp::from_millis(u64::MAX));
        let (auth, shared) = (Arc::clone(&self.auth), Rc::clone(&self.shared));
        let (ticket, due) = (self.ticket.clone(), Rc::clone(&self.due));
        actix_web::rt::spawn(async move { due.set(auth.touch_stream(&*shared.store, ticket).await) });
    }
}

/// A body that ends before its time when its session does.
struct UntilOver {
    body: BoxBody,
    over: oneshot::Receiver<End>,
    _watch: AbortOnDropHandle<()>,
    _counted: Held,
}

impl MessageBody for UntilOver {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<bytes::Bytes, Self::Error>>> {
        if Pin::new(&mut self.over).poll(cx).is_pending() {
            return Pin::new(&mut self.body).poll_next(cx);
        }
        Poll::Ready(match self.body.size() {
            BodySize::Stream => None,
            // A length was promised, and what falls short of it must not look complete.
            _ => Some(Err("the session is over".into())),
        })
    }
}
