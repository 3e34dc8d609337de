//! `GET /bff/events`: a page hears of its session as server-sent events (HTML Living Standard §9.2). Listening is no activity.

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BodyStream, MessageBody as _};
use actix_web::http::{ConnectionType, Method, Version, header};
use actix_web::{HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, Interval, interval_at};

use super::bff::Call;
use super::problem::Problem;
use super::{request, session, streams};
use crate::auth::{Auth, CurrentError, End, Live, News, Seen, Why};
use crate::guard::same_origin;
use crate::telemetry::metrics::Held;

/// How long before the end a page is warned.
const WARNING: Duration = Duration::from_secs(120);

/// How often something is sent in any case, so that nobody in between takes the stream for dead.
const COMMENT: Duration = Duration::from_secs(15);

/// A browser that lost the stream comes back after a time between these, in milliseconds: not all at once.
const COME_BACK: std::ops::Range<u16> = 1_000..3_000;

/// Opens the stream; without a session there is nothing to tell, and 204 stops a browser from asking again.
pub(super) async fn open(call: &Call<'_>) -> Result<HttpResponse, Problem> {
    let config = call.site.auth.site();
    let words = request::words(call.request);
    same_origin::check_stream(&words, &config.origin, config.csrf).map_err(|error| Problem::CrossSite(error.0))?;
    same_origin::check_destination(&words).map_err(|error| Problem::CrossSite(error.0))?;
    let current = async {
        let cookie = call.cookies.session.as_ref().ok_or(CurrentError::Absent(Why::NoSession))?;
        call.site.auth.current(&*call.site.shared.store, cookie.ticket.clone()).await
    };
    let session = match current.await {
        Ok(session) => session,
        Err(CurrentError::Absent(_)) => {
            let mut answer = HttpResponse::NoContent();
            super::close_to_browsers(&mut answer);
            return Ok(answer.finish());
        }
        Err(error) => return Err(error.into()),
    };
    let mut answer = HttpResponse::Ok();
    super::close_to_browsers(&mut answer);
    answer.insert_header((header::CONTENT_TYPE, "text/event-stream"));
    // nginx, and those who follow it, hold answers back without it.
    answer.insert_header(("x-accel-buffering", "no"));
    if *call.request.method() == Method::HEAD {
        return Ok(answer.finish());
    }
    let events = Events::new(call, call.site.auth.open_stream(&session)?);
    Ok(streamed(&mut answer, events, call.request.version()))
}

fn streamed(answer: &mut HttpResponseBuilder, events: Events, version: Version) -> HttpResponse {
    let pieces = stream::unfold(events, async |mut events| {
        let piece = events.next().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), events))
    });
    let mut response = answer.body(BodyStream::new(Box::pin(pieces)).boxed());
    if version == Version::HTTP_10 {
        // It knows no chunks: the end of the connection is the end of the stream (RFC 9112 §6.3).
        response.head_mut().no_chunking(true);
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

/// One page's events.
struct Events {
    auth: Arc<Auth>,
    login_url: String,
    logout_url: String,
    live: Live,
    comment: Interval,
    stage: Stage,
    /// The session as it was told last, until its page was warned of its end.
    unwarned: Option<Arc<Seen>>,
    _counted: Held,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begin,
    Run,
    Over,
}

impl Events {
    fn new(call: &Call<'_>, live: Live) -> Self {
        Self {
            auth: Arc::clone(&call.site.auth),
            login_url: call.site.login_url.clone(),
            logout_url: call.site.logout_url.clone(),
            live,
            comment: interval_at(Instant::now() + COMMENT, COMMENT),
            stage: Stage::Begin,
            unwarned: None,
            _counted: streams::count(call.site, "events"),
        }
    }

    /// What to send next; `None` when nothing follows.
    async fn next(&mut self) -> Option<Bytes> {
        match self.stage {
            Stage::Over => return None,
            Stage::Begin => {
                self.stage = Stage::Run;
                if let Some(seen) = self.live.first() {
                    let come_back = come_back();
                    return Some([format!("retry: {come_back}\n").into(), self.session(seen)].concat().into());
                }
            }
            Stage::Run => {}
        }
        let warning = warning(self.unwarned.as_deref(), self.auth.clock().clone());
        tokio::select! {
            biased;
            news = self.live.next() => match news {
                News::Session(seen) => Some(self.session(seen)),
                News::End(end) => {
                    self.stage = Stage::Over;
                    self.ended(end)
                }
            },
            () = warning => self.unwarned.take().map(|seen| self.expiring(&seen)),
            _ = self.comment.tick() => Some(Bytes::from_static(b":\n\n")),
        }
    }

    fn session(&mut self, seen: Arc<Seen>) -> Bytes {
        let view = seen.view(self.auth.clock().now());
        self.unwarned = Some(seen);
        event("session", &session::Body::of(view, &self.login_url, &self.logout_url))
    }

    fn expiring(&self, seen: &Seen) -> Bytes {
        let left = seen.ends_at.since(self.auth.clock().now());
        event("expiring", &json!({ "reason": seen.ends_by.as_str(), "expires_in": session::seconds(left) }))
    }

    /// Nothing is said of a stream that ends while its session may go on: the browser comes back.
    fn ended(&self, end: End) -> Option<Bytes> {
        match end {
            End::Session(why) => Some(event("ended", &json!({ "reason": why.as_str(), "login_url": self.login_url }))),
            End::IdentityChanged => Some(event("identity_changed", &json!({}))),
            End::StoreUnavailable | End::GoingAway => None,
        }
    }
}

async fn warning(unwarned: Option<&Seen>, clock: crate::clock::Clock) {
    let Some(seen) = unwarned else { return std::future::pending().await };
    tokio::time::sleep(seen.ends_at.minus(WARNING).since(clock.now())).await;
}

fn come_back() -> u16 {
    let span = COME_BACK.end - COME_BACK.start;
    COME_BACK.start + u16::from_be_bytes(crate::secret::random_bytes()) % span
}

/// One event. JSON has no line breaks of its own, so its data is one line.
fn event(name: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).expect("an event has only text keys");
    format!("event: {name}\ndata: {data}\n\n").into()
}
