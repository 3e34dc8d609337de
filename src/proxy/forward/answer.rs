//! The response on its way to the browser: headers cleaned, the body streamed, and framed as its status demands.

use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode, Version};
use actix_web::{HttpResponse, HttpResponseBuilder};

use super::{Bounds, Forward, ForwardError, Pass};
use crate::connection::Connection;
use crate::proxy::body::{Download, Patience};
use crate::proxy::headers::answer::{Asked, inbound, wants_document};
use crate::proxy::upstream::{Answer, Fields};

/// How long after its end an answer is still waited for, so that what came of it before can be written.
const UNREAD: Duration = Duration::from_secs(1);

impl Forward<'_> {
    /// The head of the response as the browser gets it.
    pub(in crate::proxy) fn head(&self, fields: Fields, status: StatusCode) -> HttpResponseBuilder {
        let mut builder = HttpResponseBuilder::new(status);
        let asked = Asked {
            route: self.route,
            origin: self.origin,
            session: matches!(self.pass, Pass::Session(..)),
            document: wants_document(self.request.method().is_safe(), self.request.headers()),
        };
        inbound(fields, &asked, &mut builder);
        builder
    }

    /// The response as the browser gets it.
    pub(in crate::proxy) fn answer(&self, answer: Answer, bounds: Bounds) -> Result<HttpResponse, ForwardError> {
        let Bounds { ends, room } = bounds;
        let Answer { status, fields, body } = answer;
        if status.is_informational() {
            return Err(ForwardError::Unreachable("a status that ends nothing".into()));
        }
        let method = self.request.method();
        // An event stream may have nothing to say for hours.
        let streams = fields.get(&CONTENT_TYPE).is_some_and(is_event_stream);
        let idle = (!streams).then_some(self.route.config.idle_timeout);
        let patience = Patience { idle, ends };
        let connection = Connection::of(self.request);
        if let Some(connection) = connection {
            // A body that is read ends by itself; this is for one that is not.
            connection.limit(self.route.config.idle_timeout, ends.map(|ends| ends + UNREAD));
        }
        let declared = fields.get(&CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let mut builder = self.head(fields, status);
        Ok(match status {
            // These have no body, and any framing written for them would be read as the next response.
            StatusCode::NO_CONTENT => builder.body(actix_web::body::None::new()).map_into_boxed_body(),
            StatusCode::NOT_MODIFIED => {
                if let Some(length) = declared {
                    builder.insert_header((CONTENT_LENGTH, length));
                }
                builder.body(actix_web::body::None::new()).map_into_boxed_body()
            }
            // The length of a HEAD response is that of the body it does not have.
            _ if *method == Method::HEAD => builder.body(Download::new(body, declared, patience, room).boxed()),
            _ => {
                let length = body.length();
                let unframed = length.is_none() && self.request.version() == Version::HTTP_10;
                let mut download = Download::new(body, length, patience, room);
                if unframed && let Some(connection) = connection {
                    download.fails_by_reset(connection);
                }
                let mut response = builder.body(download.boxed());
                if unframed {
                    // It knows no chunks: the end of the connection is the end of the body (RFC 9112 §6.1, §6.3).
                    response.head_mut().no_chunking(true);
                    response.head_mut().set_connection_type(ConnectionType::Close);
                }
                response
            }
        })
    }
}

/// Whether a browser may read this as an event stream: it ends a media type at a space and a parenthesis as well, and several
/// of them may have been joined to a list. What is doubtful is one, so that it ends with its session.
pub(crate) fn is_event_stream(kind: &HeaderValue) -> bool {
    let ends = |byte: &u8| matches!(byte, b';' | b'(' | b' ' | b'\t');
    let mut kinds = kind.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    kinds.any(|kind| kind.split(ends).next().is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stream_is_known_by_its_whole_media_type() {
        for (kind, streams) in [
            ("text/event-stream", true),
            ("Text/Event-Stream ; charset=utf-8", true),
            ("text/event-stream charset=utf-8", true),
            ("text/event-stream, text/event-stream", true),
            ("text/plain,text/event-stream", true),
            ("text/plain; text/event-stream", false),
            ("text/event-streamx", false),
            ("text/event-stream+json", false),
            ("application/json; charset=utf-8", false),
            ("", false),
        ] {
            assert_eq!(is_event_stream(&HeaderValue::from_static(kind)), streams, "{kind}");
        }
    }
}
