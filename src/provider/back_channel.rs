//! The back channel: the one HTTP client towards the provider, bounded in time and size, that follows no redirect,
//! uses no proxy and repeats nothing.

use std::borrow::Cow;
use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Map, Value};
use url::Url;

use super::{ProviderStatus, Unavailable, json, throttled};
use crate::config::{ProviderConfig, is_loopback_host};
use crate::dpop::{Nonces, asks_for_nonce};

/// The largest answer that is read: metadata, keys and tokens are far smaller.
const LARGEST_ANSWER: usize = 1024 * 1024;
/// Shorter than the keep-alive of common servers (Node.js: five seconds): a call on a connection that the provider closes
/// at that very moment has an unknown outcome, and a code or refresh token is spent once only.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);
/// The limit on connecting alone.
const CONNECT: Duration = Duration::from_secs(5);

/// Calls one provider. Clones share connections and what is known of the provider's health.
#[derive(Clone)]
pub(super) struct BackChannel {
    http: Client,
    status: Arc<Mutex<ProviderStatus>>,
    nonces: Arc<Nonces>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Silence {
    /// There was no connection: the provider has surely not seen the request.
    NotSent(String),
    /// The request may have arrived and been acted on; no complete answer came back.
    NoAnswer(String),
}

impl From<Silence> for Unavailable {
    fn from(silence: Silence) -> Self {
        let (Silence::NotSent(reason) | Silence::NoAnswer(reason)) = silence;
        Self(reason)
    }
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    /// How long a 429 wants no more calls.
    pub(super) pause: Option<Duration>,
    body: Vec<u8>,
}

impl Answer {
    /// Whether the answer says to be of this media type, whatever its parameters.
    pub(super) fn is_of_type(&self, wanted: &str) -> bool {
        let kind = self.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        kind.split(|byte| *byte == b';')
            .next()
            .is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
    }

    /// What the server wants to see in the next proof (RFC 9449 §8).
    pub(super) fn nonce(&self) -> Option<&[u8]> {
        self.headers.get("dpop-nonce").map(HeaderValue::as_bytes)
    }

    /// Whether a token was refused for the nonce of its proof alone (RFC 9449 §9).
    pub(super) fn asks_for_nonce(&self) -> bool {
        let challenges = self.headers.get_all(WWW_AUTHENTICATE).iter();
        challenges.filter_map(|value| value.to_str().ok()).any(asks_for_nonce)
    }

    /// The body as it came.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as one JSON object, whatever its content type says.
    pub(super) fn json(&self) -> Result<Map<String, Value>, json::NotStrict> {
        json::object(&self.body)
    }
}

impl BackChannel {
    /// A client with the certificates and the time limit of `config`.
    pub(super) fn new(config: &ProviderConfig) -> Result<Self, String> {
        let tls = crate::tls::client_config(&config.tls).map_err(|error| error.to_string())?;
        let http = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("cloakroom/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .tcp_nodelay(true)
            // Shorter than the limit on the whole, so that a connection that does not come about is told from an answer.
            .connect_timeout(CONNECT.min(config.timeout / 2))
            .timeout(config.timeout)
            .pool_idle_timeout(IDLE_CONNECTION)
            .build()
            .map_err(|error| describe(&error))?;
        Ok(Self { http, status: Arc::new(Mutex::new(ProviderStatus::Unknown)), nonces: Arc::default() })
    }

    /// One GET of a JSON document; anything but a 200 is a failure.
    pub(super) async fn document(&self, url: &Url) -> Result<Map<String, Value>, Unavailable> {
        let answer = self.call(self.http.get(url.clone())).await?;
        if answer.status != 200 {
            return Err(Unavailable(format!("{} answered {}", place(url), answer.status)));
        }
        answer.json().map_err(|error| Unavailable(format!("{}: {error}", place(url))))
    }

    /// One GET of a page for people, of which only the head matters.
    pub(super) async fn page(&self, url: &Url) -> Result<Page, Silence> {
        let request = self.http.get(url.clone()).header(ACCEPT, HeaderValue::from_static("text/html"));
        let response = request.send().await.map_err(|error| silence(&error))?;
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok()).map(str::to_owned);
        Ok(Page { status: response.status().as_u16(), location })
    }

    /// One POST of a form, which `finish` may add headers to.
    pub(super) async fn post(
        &self,
        url: &Url,
        form: &Form<'_>,
        finish: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, Silence> {
        let mut request = self.http.post(url.clone()).form(&form.fields);
        if let Some(credentials) = &form.authorization {
            request = request.header(AUTHORIZATION, credentials.clone());
        }
        self.call(finish(request)).await
    }

    pub(super) const fn http(&self) -> &Client {
        &self.http
    }

    /// The nonces that those who are shown tokens want to see.
    pub(super) fn nonces(&self) -> &Nonces {
        &self.nonces
    }

    /// One call to somebody beside the provider, who says nothing of its health.
    pub(super) async fn call_beside(&self, request: RequestBuilder) -> Result<Answer, Silence> {
        exchange(request).await
    }

    /// One GET that shows nothing, to see whether anybody is there.
    pub(super) async fn knock(&self, url: &Url) -> Result<(), Unavailable> {
        self.call(self.http.get(url.clone())).await?;
        self.trouble().map_or(Ok(()), |trouble| Err(Unavailable(trouble)))
    }

    /// Why the last call found no working provider; `None` when it found one, or there was none.
    pub(super) fn trouble(&self) -> Option<String> {
        match self.status() {
            ProviderStatus::Down(reason) => Some(reason),
            ProviderStatus::Unknown | ProviderStatus::Ready => None,
        }
    }

    /// What the last call came to.
    pub(super) fn status(&self) -> ProviderStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One call to the provider, by which its health is known.
    pub(super) async fn call(&self, request: RequestBuilder) -> Result<Answer, Silence> {
        let answer = exchange(request).await;
        let status = match &answer {
            Ok(answer) if answer.status >= 500 => {
                ProviderStatus::Down(format!("the provider answered {}", answer.status))
            }
            Ok(_) => ProviderStatus::Ready,
            Err(Silence::NotSent(reason) | Silence::NoAnswer(reason)) => ProviderStatus::Down(reason.clone()),
        };
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
        answer
    }
}

async fn exchange(request: RequestBuilder) -> Result<Answer, Silence> {
    match request.header(ACCEPT, HeaderValue::from_static("application/json")).send().await {
        Ok(response) => read(response).await,
        Err(error) => Err(silence(&error)),
    }
}

/// The head of a page.
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) location: Option<String>,
}

/// What one POST sends.
#[derive(Default)]
pub(super) struct Form<'a> {
    fields: Vec<(&'a str, Cow<'a, str>)>,
    pub(super) authorization: Option<HeaderValue>,
}

impl<'a> Form<'a> {
    /// A form of these fields, in their order.
    pub(super) fn of(fields: &[(&'a str, &'a str)]) -> Self {
        Self { fields: fields.iter().map(|(name, value)| (*name, (*value).into())).collect(), authorization: None }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| *known == name)
    }

    pub(super) fn push(&mut self, name: &'a str, value: impl Into<Cow<'a, str>>) {
        self.fields.push((name, value.into()));
    }
}

/// Whether the gateway may talk to `url`: `https`, or `http` where the configuration accepts it; no user info.
pub(super) fn check_scheme(url: &Url, plaintext: bool) -> Result<(), &'static str> {
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        "https" => {}
        "http" if plaintext || is_loopback_host(host) => {}
        _ => return Err("is not https"),
    }
    if host.is_empty() || !url.username().is_empty() || url.password().is_some() {
        return Err("has no host, or carries a user name");
    }
    Ok(())
}

async fn read(mut response: Response) -> Result<Answer, Silence> {
    let too_large = || Silence::NoAnswer(format!("the answer is larger than {LARGEST_ANSWER} bytes"));
    let announced = response.content_length().unwrap_or(0);
    if announced > LARGEST_ANSWER as u64 {
        return Err(too_large());
    }
    let status = response.status().as_u16();
    let pause = throttled::pause(status, response.headers());
    let headers = std::mem::take(response.headers_mut());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Silence::NoAnswer(describe(&error)))? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, pause, body })
}

/// Where a call went, without query.
fn place(url: &Url) -> String {
    printable(&format!("{}{}", url.origin().ascii_serialization(), url.path()))
}

fn silence(error: &reqwest::Error) -> Silence {
    let sent = !(error.is_connect() || error.is_builder());
    if sent { Silence::NoAnswer(describe(error)) } else { Silence::NotSent(describe(error)) }
}

/// What went wrong, for an operator: the innermost cause, such as "invalid peer certificate: UnknownIssuer", no URL.
fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer within the time limit".to_owned();
    }
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    let cause = cause.map_or_else(|| "the call failed".to_owned(), ToString::to_string);
    let stage = if error.is_connect() { "cannot connect" } else { "the connection broke" };
    format!("{stage}: {}", printable(&cause))
}

/// At most 200 printable characters.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(200).collect()
}
