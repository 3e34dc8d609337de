//! `kind = "relay"`: an API with a JSON login of its own, which hands out its tokens, renews them and takes them back.
//!
//! A page's credentials go to the API byte for byte, and nothing of them is kept. What the API answers is read here, by the
//! places that the configuration names; the browser gets none of it but a refusal, without what could be a token.

mod answer;
mod cleanse;
mod refusal;
mod step;

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT_LANGUAGE, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT, VIA};
use serde_json::{Value, json};
use tokio::time::timeout;
use zeroize::Zeroizing;

pub use self::refusal::Refusal;
pub use self::step::Unfinished;

use super::back_channel::{BackChannel, Silence, bearer};
use super::kept::Kept;
use super::{Grant, ProvenUser, ProviderStatus, Refreshed, Renewal, Tokens, Unavailable};
use crate::clock::Clock;
use crate::config::{ProviderConfig, RelayConfig, RelayRefreshToken, SiteConfig};
use crate::secret::{AccessToken, ApiCookies};

/// The limit on one logout there; an API that hangs keeps no task for long.
const GOODBYE: Duration = Duration::from_secs(5);

/// What a page sent to log in with, on its way to the API.
pub struct Credentials {
    /// One JSON object, as it came.
    pub json: Zeroizing<Vec<u8>>,
    /// Who sent it.
    pub sender: Sender,
    /// The API's cookies, where this is the second step of a login.
    pub step: Option<ApiCookies>,
}

/// What the API is told of whoever logs in, so that it can throttle, remember devices and answer in the user's language.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The browser's address.
    pub address: IpAddr,
    /// The request's id.
    pub request_id: String,
    /// `User-Agent`
    pub user_agent: Option<Vec<u8>>,
    /// `Accept-Language`
    pub languages: Option<Vec<u8>>,
}

/// Why credentials did not become a login.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// The API says no, and the page may show why.
    #[error("the API refused the credentials with {}", .0.status)]
    Refused(Refusal),
    /// The API wants something else first.
    #[error("the API wants another step")]
    Unfinished(Unfinished),
    /// No answer, a time-out, or a 5xx.
    #[error("the API is unavailable: {0}")]
    Unavailable(String),
    /// The API said yes in a way that nobody can use.
    #[error("the API's answer cannot be used: {0}")]
    Unusable(String),
    /// The API gave a token and did not say whose it is.
    #[error("the API does not say who the user is: {0}")]
    Unidentified(String),
}

impl From<Silence> for LogInError {
    fn from(silence: Silence) -> Self {
        Self::Unavailable(Unavailable::from(silence).0)
    }
}

/// One API that logs its users in.
#[derive(Clone)]
pub(super) struct Relay {
    config: RelayConfig,
    name: String,
    issuer: String,
    default_token_lifetime: Duration,
    /// The claims that are kept: those that the site shows.
    claims: Vec<String>,
    /// The headers that are the same for whoever logs in: where the page is.
    introduction: HeaderMap,
    caller: BackChannel,
    knocks: Kept<()>,
    clock: Clock,
}

impl Relay {
    /// The API as it is configured; contacts nothing.
    pub(super) fn new(
        site: &SiteConfig,
        provider: &ProviderConfig,
        config: &RelayConfig,
        caller: BackChannel,
        clock: Clock,
    ) -> Self {
        let host = HeaderValue::from_str(site.origin.authority()).expect("an origin is plain ASCII");
        let introduction = HeaderMap::from_iter([
            (HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static(site.origin.scheme().as_str())),
            (HeaderName::from_static("x-forwarded-host"), host),
            (VIA, HeaderValue::from_static("1.1 cloakroom")),
        ]);
        Self {
            config: config.clone(),
            name: provider.name.clone(),
            issuer: provider.issuer.clone(),
            default_token_lifetime: provider.default_token_lifetime,
            claims: site.session.claims.clone(),
            introduction,
            caller,
            knocks: Kept::new(&format!("an answer of {}", provider.issuer), clock.clone()),
            clock,
        }
    }

    /// Where a browser that navigates to the login finds the page's own form.
    pub(super) fn login_page(&self) -> Option<&str> {
        self.config.login_page.as_deref()
    }

    /// Asks the API once. On any doubt about the user, the token that came is given back.
    pub(super) async fn log_in(&self, credentials: Credentials) -> Result<Grant, LogInError> {
        let Credentials { json, sender, step } = credentials;
        let headers = self.introduce(&sender);
        let (url, shown) = self.next(step.as_ref(), headers.clone())?;
        let asked = self.clock.now();
        let answer = self.caller.post_json(url, shown, Some(Bytes::from_owner(json))).await?;
        if let Some(refusal) = Refusal::read(&answer, &self.token_places()) {
            return Err(LogInError::Refused(refusal));
        }
        let document = match answer.status {
            200..=299 => self.document(&answer).map_err(LogInError::Unusable)?,
            status @ 300..=399 => {
                return Err(LogInError::Unusable(format!(
                    "it answered {status}, a redirect as a browser would get it"
                )));
            }
            status => return Err(LogInError::Unavailable(format!("it answered {status}"))),
        };
        if let Some(unfinished) = self.unfinished(&answer, &document, step.as_ref())? {
            return Err(LogInError::Unfinished(unfinished));
        }
        let tokens =
            self.tokens(&document, asked).map_err(|wrong| LogInError::Unusable(without_token(wrong, &document)))?;
        match self.identify(document, &tokens, headers).await {
            Ok(user) => Ok(Grant { tokens, user }),
            Err(error) => {
                self.say_goodbye_later(tokens.access_token);
                Err(error)
            }
        }
    }

    /// Whose token it is, by the login's own answer or by the user endpoint's.
    async fn identify(
        &self,
        document: Value,
        tokens: &Tokens,
        mut headers: HeaderMap,
    ) -> Result<ProvenUser, LogInError> {
        let unidentified = |wrong: String| LogInError::Unidentified(wrong);
        let described = match &self.config.user_url {
            None => document,
            Some(url) => {
                headers.insert(AUTHORIZATION, bearer(tokens.access_token.expose()));
                let answer = self.caller.get(url, headers).await;
                let answer = answer.map_err(|silence| unidentified(Unavailable::from(silence).0))?;
                if answer.status != 200 {
                    return Err(unidentified(format!("the user endpoint answered {}", answer.status)));
                }
                Value::Object(answer.json().map_err(|error| unidentified(error.to_string()))?)
            }
        };
        self.user(described).map_err(|wrong| unidentified(wrong.to_owned()))
    }

    /// Gets a new token, in the way the API has for it.
    pub(super) async fn refresh(&self, renewal: &Renewal<'_>) -> Refreshed {
        let refresh_token = renewal.refresh_token;
        let Some(refresh) = &self.config.refresh else {
            return Refreshed::Misconfigured("`refresh_url` is not configured any more".to_owned());
        };
        let (headers, body) = match &refresh.with {
            RelayRefreshToken::Bearer => {
                (HeaderMap::from_iter([(AUTHORIZATION, bearer(refresh_token.expose()))]), None)
            }
            RelayRefreshToken::Member(place) => {
                let member = json!({ place.last_name(): refresh_token.expose() });
                let body = Zeroizing::new(member.to_string().into_bytes());
                (HeaderMap::new(), Some(Bytes::from_owner(body)))
            }
        };
        let asked = self.clock.now();
        match self.caller.within(renewal.patience).post_json(&refresh.url, headers, body).await {
            Err(Silence::Lost(reason)) => Refreshed::Unknown(reason),
            Err(Silence::NotSent(reason) | Silence::GivenUp(reason)) => Refreshed::Unavailable(reason),
            Ok(answer) if (200..=299).contains(&answer.status) => self.renewed(&answer, asked, renewal.subject),
            Ok(answer) => refusal::of_refresh(&answer),
        }
    }

    pub(super) const fn is_told_of_logouts(&self) -> bool {
        self.config.logout_hook.is_some()
    }

    /// Ends the API's own session of this token; an API without such an endpoint has nothing to confirm, and one that does
    /// not know the token any more neither.
    pub(super) async fn say_goodbye(&self, token: &AccessToken) -> Result<(), Unavailable> {
        let Some(url) = &self.config.logout_hook else { return Ok(()) };
        let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer(token.expose()))]);
        let answer = timeout(GOODBYE, self.caller.post_json(url, headers, None)).await;
        match answer.map_err(|_| Unavailable("the logout was not confirmed in time".to_owned()))??.status {
            200..=299 | 401 => Ok(()),
            status => Err(Unavailable(format!("the logout hook answered {status}"))),
        }
    }

    fn say_goodbye_later(&self, token: AccessToken) {
        let relay = self.clone();
        tokio::spawn(async move {
            if relay.say_goodbye(&token).await.is_err() {
                tracing::debug!(provider = relay.name, "a discarded token was not given back");
            }
        });
    }

    /// The status of a login without credentials.
    pub(super) async fn ask_for_nothing(&self) -> Result<u16, Unavailable> {
        let nothing = Bytes::from_static(b"{}");
        let answer = self.caller.post_json(&self.config.login_url, self.introduction.clone(), Some(nothing)).await;
        Ok(answer?.status)
    }

    /// What the last call came to.
    pub(super) fn status(&self) -> ProviderStatus {
        self.caller.status()
    }

    /// One call without a token, which the API refuses, tells that it is there. Made when no call was made yet, or the last
    /// one failed: an API may take such calls for guesses, so that it gets no more of them than that.
    pub(super) async fn warm_up(&self) -> Result<(), Unavailable> {
        if self.status() == ProviderStatus::Ready {
            return Ok(());
        }
        let url = self.config.user_url.as_ref().unwrap_or(&self.config.login_url).clone();
        let caller = self.caller.clone();
        self.knocks.ask(async move { caller.knock(&url).await }).await.map(drop)
    }

    /// What goes along with a login, computed as on the proxied path.
    fn introduce(&self, sender: &Sender) -> HeaderMap {
        let mut headers = self.introduction.clone();
        let text = |text: &str| HeaderValue::from_str(text).ok();
        let said = |said: &Option<Vec<u8>>| HeaderValue::from_bytes(said.as_ref()?).ok();
        let own = [
            (HeaderName::from_static("x-forwarded-for"), text(&sender.address.to_canonical().to_string())),
            (HeaderName::from_static("x-request-id"), text(&sender.request_id)),
            (USER_AGENT, said(&sender.user_agent)),
            (ACCEPT_LANGUAGE, said(&sender.languages)),
        ];
        headers.extend(own.into_iter().filter_map(|(name, value)| Some((name, value?))));
        headers
    }
}

/// What an operator needs to find out why a login that succeeded has no token: what is there instead, by name. An API that
/// wants a second step first, such as a code by mail, says so here.
fn without_token(wrong: &str, document: &Value) -> String {
    let is_plain =
        |name: &&String| name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let names: Vec<&str> = document
        .as_object()
        .into_iter()
        .flat_map(|members| members.keys())
        .filter(is_plain)
        .map(String::as_str)
        .collect();
    let names: Vec<&str> = names.into_iter().take(8).collect();
    format!(
        "{wrong}; it has {}. Of a login in two steps, `step_pointer` says so",
        if names.is_empty() { "no members".to_owned() } else { format!("the members {}", names.join(", ")) }
    )
}

/// Such an API has no page to send a browser to.
pub(super) fn no_page() -> Unavailable {
    Unavailable("it has no login page; its users log in with POST /bff/login".to_owned())
}
