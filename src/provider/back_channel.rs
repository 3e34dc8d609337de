//! The back channel: the one HTTP client towards the provider, bounded in time and size, that follows no redirect,
//! uses no proxy and repeats nothing.

mod answer;
mod silence;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use serde_json::{Map, Value};
use url::Url;
use zeroize::Zeroizing;

pub(super) use self::answer::Answer;
pub(super) use self::silence::Silence;
use self::silence::{describe, silence};
use super::health::Health;
use super::{ProviderStatus, Unavailable};
use crate::clock::Clock;
use crate::config::{ProviderConfig, is_loopback_host};
use crate::dpop::Nonces;

/// Shorter than the keep-alive of common servers (Node.js: five seconds): a call on a connection that the provider closes
/// at that very moment has an unknown outcome, and a code or refresh token is spent once only.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);
/// As much of a page for people is read; one that hands something over is far shorter.
const LONGEST_PAGE: usize = 64 * 1024;
/// The limit on connecting alone.
const CONNECT: Duration = Duration::from_secs(5);

/// Calls one provider. Clones share connections and what is known of the provider's health.
#[derive(Clone)]
pub(super) struct BackChannel {
    http: Client,
    /// The limit on one call, where it is another than is configured.
    limit: Option<Duration>,
    health: Arc<Health>,
    nonces: Arc<Nonces>,
}

impl BackChannel {
    /// A client with the certificates and the time limit of `config`.
    pub(super) fn new(config: &ProviderConfig, clock: Clock) -> Result<Self, String> {
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
        Ok(Self { http, limit: None, health: Arc::new(Health::unknown(clock)), nonces: Arc::default() })
    }

    /// The same, for calls that may take as long as `limit`; connecting may take no longer than ever.
    pub(super) fn within(&self, limit: Duration) -> Self {
        Self { limit: Some(limit), ..self.clone() }
    }

    /// One GET of a JSON document; anything but a 200 is a failure.
    pub(super) async fn document(&self, url: &Url) -> Result<Map<String, Value>, Unavailable> {
        let answer = self.call(self.http.get(url.clone())).await?;
        if answer.status != 200 {
            return Err(Unavailable(format!("{} answered {}", place(url), answer.status)));
        }
        answer.json().map_err(|error| Unavailable(format!("{}: {error}", place(url))))
    }

    /// One GET of a page for people, of which the head matters and the beginning; and the error code, where there is none and
    /// the server says in JSON why.
    pub(super) async fn page(&self, url: &Url) -> Result<Page, Silence> {
        let request = self.http.get(url.clone()).header(ACCEPT, HeaderValue::from_static("text/html"));
        let mut response = request.send().await.map_err(|error| silence(&error))?;
        let status = response.status();
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok()).map(str::to_owned);
        let mut page = Page { status: status.as_u16(), location, body: String::new(), error: None };
        if status.is_client_error() {
            let answer = Answer::read(response).await?;
            page.error = answer.error_code();
            page.body = String::from_utf8_lossy(answer.body()).into_owned();
            return Ok(page);
        }
        let mut body = Vec::new();
        while body.len() < LONGEST_PAGE
            && let Some(chunk) = response.chunk().await.map_err(|error| silence(&error))?
        {
            body.extend_from_slice(&chunk);
        }
        page.body = String::from_utf8_lossy(&body).into_owned();
        Ok(page)
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

    /// One GET with these headers.
    pub(super) async fn get(&self, url: &Url, headers: HeaderMap) -> Result<Answer, Silence> {
        self.call(self.http.get(url.clone()).headers(headers)).await
    }

    /// One POST of JSON, or of nothing, with these headers.
    pub(super) async fn post_json(
        &self,
        url: &Url,
        headers: HeaderMap,
        json: Option<Bytes>,
    ) -> Result<Answer, Silence> {
        let request = self.http.post(url.clone()).headers(headers);
        let request = match json {
            Some(json) => request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(json),
            None => request.header(CONTENT_LENGTH, HeaderValue::from_static("0")),
        };
        self.call(request).await
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

    /// Whether the last call found a working provider, less than `young` ago.
    pub(super) fn answered_within(&self, young: Duration) -> bool {
        self.status() == ProviderStatus::Ready && self.health.is_younger_than(young)
    }

    /// Whether anybody has answered a call less than `young` ago, well or not.
    pub(super) fn was_heard_within(&self, young: Duration) -> bool {
        self.health.was_heard_within(young)
    }

    /// What the last call came to.
    pub(super) fn status(&self) -> ProviderStatus {
        self.health.status()
    }

    /// One call to the provider, by which its health is known.
    pub(super) async fn call(&self, request: RequestBuilder) -> Result<Answer, Silence> {
        let answer = exchange(match self.limit {
            Some(limit) => request.timeout(limit),
            None => request,
        });
        let since = self.health.now();
        let answer = answer.await;
        // What stands in front of a provider that is not there says so.
        let heard = answer.as_ref().is_ok_and(|answer| !(502..=504).contains(&answer.status));
        let status = match &answer {
            Ok(answer) if answer.status >= 500 => {
                ProviderStatus::Down(format!("the provider answered {}", answer.status))
            }
            Ok(_) => ProviderStatus::Ready,
            Err(silence) => ProviderStatus::Down(silence.reason().to_owned()),
        };
        self.health.note(since, status, heard);
        answer
    }
}

async fn exchange(request: RequestBuilder) -> Result<Answer, Silence> {
    match request.header(ACCEPT, HeaderValue::from_static("application/json")).send().await {
        Ok(response) => Answer::read(response).await,
        Err(error) => Err(silence(&error)),
    }
}

/// `token` as a bearer (RFC 6750 §2.1), kept out of the logs of the libraries below.
pub(super) fn bearer(token: &str) -> HeaderValue {
    let text = Zeroizing::new(format!("Bearer {token}"));
    let mut bearer = HeaderValue::from_str(&text).expect("tokens are printable ASCII");
    bearer.set_sensitive(true);
    bearer
}

/// A page as a stranger gets it.
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    /// Its beginning.
    pub(super) body: String,
    /// The code in the place of a page.
    pub(super) error: Option<String>,
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

/// Where a call went, without query.
fn place(url: &Url) -> String {
    printable(&format!("{}{}", url.origin().ascii_serialization(), url.path()))
}

/// At most 200 printable characters.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(200).collect()
}
