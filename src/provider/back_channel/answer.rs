//! What came back over the back channel: read whole, within bounds, whatever its status.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::silence::{Silence, silence};
use crate::dpop::asks_for_nonce;
use crate::provider::{json, refusal, throttled};

/// The largest answer that is read: metadata, keys and tokens are far smaller.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// An answer, whatever its status.
pub(in crate::provider) struct Answer {
    pub(in crate::provider) status: u16,
    headers: HeaderMap,
    /// How long a 429 wants no more calls.
    pub(in crate::provider) pause: Option<Duration>,
    body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// Reads all of it, as far as it is bearable.
    pub(in crate::provider) async fn read(mut response: Response) -> Result<Self, Silence> {
        let too_large = || Silence::GivenUp(format!("the answer is larger than {LARGEST_ANSWER} bytes"));
        let announced = response.content_length().unwrap_or(0);
        if announced > LARGEST_ANSWER as u64 {
            return Err(too_large());
        }
        let status = response.status().as_u16();
        let pause = throttled::pause(status, response.headers());
        let headers = std::mem::take(response.headers_mut());
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(|error| silence(&error))? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self { status, headers, pause, body })
    }

    /// Whether the answer says to be of this media type, whatever its parameters.
    pub(in crate::provider) fn is_of_type(&self, wanted: &str) -> bool {
        let kind = self.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        kind.split(|byte| *byte == b';')
            .next()
            .is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
    }

    /// What the server wants to see in the next proof (RFC 9449 §8).
    pub(in crate::provider) fn nonce(&self) -> Option<&[u8]> {
        self.headers.get("dpop-nonce").map(HeaderValue::as_bytes)
    }

    /// Whether a token was refused for the nonce of its proof alone (RFC 9449 §9).
    pub(in crate::provider) fn asks_for_nonce(&self) -> bool {
        let challenges = self.headers.get_all(WWW_AUTHENTICATE).iter();
        challenges.filter_map(|value| value.to_str().ok()).any(asks_for_nonce)
    }

    /// The headers as they came.
    pub(in crate::provider) const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body as it came.
    pub(in crate::provider) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The error code in a body that is JSON (RFC 6749 §5.2), fit for a log.
    pub(in crate::provider) fn error_code(&self) -> Option<String> {
        Some(refusal::readable(self.json().ok()?.get("error")?.as_str()?))
    }

    /// The body as one JSON object, whatever its content type says.
    pub(in crate::provider) fn json(&self) -> Result<Map<String, Value>, json::NotStrict> {
        json::object(&self.body)
    }
}
