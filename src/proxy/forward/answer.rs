//! The response on its way to the browser: headers cleaned, the body streamed, and framed as its status demands.

use actix_web::body::MessageBody;
use actix_web::http::{ConnectionType, Method, Version};
use actix_web::{HttpResponse, HttpResponseBuilder};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use hyper::{Response, StatusCode};

use super::{Bounds, Forward, ForwardError, Pass};
use crate::proxy::body::{Download, Patience};
use crate::proxy::headers::answer::{Asked, inbound, wants_document};
use crate::proxy::seam;

impl Forward<'_> {
    /// The head of the response as the browser gets it.
    pub(in crate::proxy) fn head(
        &self,
        headers: &hyper::HeaderMap,
        status: actix_web::http::StatusCode,
    ) -> HttpResponseBuilder {
        let mut builder = HttpResponseBuilder::new(status);
        let asked = Asked {
            route: self.route,
            origin: self.origin,
            session: matches!(self.pass, Pass::Session(..)),
            document: wants_document(self.request.method().is_safe(), self.request.headers()),
        };
        inbound(headers, &asked, &mut builder);
        builder
    }

    /// The response as the browser gets it.
    pub(in crate::proxy) fn answer(
        &self,
        response: Response<Incoming>,
        bounds: Bounds,
    ) -> Result<HttpResponse, ForwardError> {
        let Bounds { ends, room } = bounds;
        let (head, body) = response.into_parts();
        let unreachable = |what: &str| ForwardError::Unreachable(what.to_owned());
        check_framing(&head.headers).map_err(unreachable)?;
        let status = seam::status(head.status).filter(|status| !status.is_informational());
        let status = status.ok_or_else(|| unreachable("a status that ends nothing"))?;
        let mut builder = self.head(&head.headers, status);
        let method = self.request.method();
        // An event stream may have nothing to say for hours.
        let idle = (!is_event_stream(&head.headers)).then_some(self.route.config.idle_timeout);
        let patience = Patience { idle, ends };
        let declared = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        Ok(match head.status {
            // These have no body, and any framing written for them would be read as the next response.
            StatusCode::NO_CONTENT => builder.body(actix_web::body::None::new()).map_into_boxed_body(),
            StatusCode::NOT_MODIFIED => {
                if let Some(length) = declared {
                    builder.insert_header((actix_web::http::header::CONTENT_LENGTH, length));
                }
                builder.body(actix_web::body::None::new()).map_into_boxed_body()
            }
            // The length of a HEAD response is that of the body it does not have.
            _ if *method == Method::HEAD => builder.body(Download::new(body, declared, patience, room).boxed()),
            _ => {
                let length = body.size_hint().exact();
                let mut response = builder.body(Download::new(body, length, patience, room).boxed());
                if length.is_none() && self.request.version() == Version::HTTP_10 {
                    // It knows no chunks: the end of the connection is the end of the body (RFC 9112 §6.1, §6.3).
                    response.head_mut().no_chunking(true);
                    response.head_mut().set_connection_type(ConnectionType::Close);
                }
                response
            }
        })
    }
}

fn is_event_stream(headers: &hyper::HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    kind.split(|byte| *byte == b';')
        .next()
        .is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
}

/// Refuses what two parsers may cut differently: a length beside chunks, or a coding that would be left in the body
/// (RFC 9112 §6.1, §6.3).
fn check_framing(headers: &hyper::HeaderMap) -> Result<(), &'static str> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match codings.next() {
        None => Ok(()),
        Some(_) if headers.contains_key(CONTENT_LENGTH) => Err("both Transfer-Encoding and Content-Length"),
        Some(coding) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none() => Ok(()),
        Some(_) => Err("a transfer coding that is not chunked"),
    }
}
