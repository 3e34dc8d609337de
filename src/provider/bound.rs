//! Access tokens as they are shown to those who ask for one: as bearers (RFC 6750 §2.1), or with a proof (RFC 9449 §7.1).

use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderValue};
use url::Url;
use zeroize::Zeroizing;

use super::back_channel::{Answer, BackChannel, Silence};
use crate::clock::Clock;
use crate::dpop::{Claim, Nonces, Prover};
use crate::secret::{AccessToken, DpopKey};

/// The header of a proof.
const PROOF: &str = "dpop";

/// A key that requests are proven with, opened; nothing for a session without one.
///
/// # Errors
/// [`Silence::NotSent`] when the key is none.
pub(super) fn open(key: Option<&DpopKey>, clock: &Clock) -> Result<Option<Prover>, Silence> {
    let unusable = || Silence::NotSent("the key that the session's tokens are bound to cannot be used".to_owned());
    key.map(|key| Prover::open(key, clock.clone()).ok_or_else(unusable)).transpose()
}

/// A request with a proof of `prover`, if there is one, for `url` and what `token` goes along.
pub(super) fn proven(
    request: RequestBuilder,
    prover: Option<&Prover>,
    (method, url): (&str, &Url),
    (nonces, token): (&Nonces, Option<&AccessToken>),
) -> RequestBuilder {
    let Some(prover) = prover else { return request };
    let nonce = nonces.of(&server(url));
    let mut target = url.clone();
    target.set_query(None);
    target.set_fragment(None);
    let token = token.map(AccessToken::expose);
    request.header(PROOF, prover.proof(&Claim { method, url: target.as_str(), nonce: nonce.as_deref(), token }))
}

/// Whose nonces these are: tokens and resources are asked for with nonces of their own, and each server gives its own.
pub(super) fn server(url: &Url) -> String {
    url.origin().ascii_serialization()
}

impl BackChannel {
    /// One GET with `token`; with a `prover`, once more if the server wants a nonce in the proof.
    pub(super) async fn get_as(
        &self,
        url: &Url,
        token: &AccessToken,
        prover: Option<&Prover>,
    ) -> Result<Answer, Silence> {
        let ask = || self.call(self.shown(self.http().get(url.clone()), ("GET", url), token, prover));
        let answer = ask().await?;
        if self.wants_nonce(&answer, url, prover) { self.heard(ask().await, url) } else { Ok(answer) }
    }

    /// One POST of nothing with `token`, to somebody beside the provider: it says nothing of its health. With a `prover`,
    /// once more if that server wants a nonce in the proof.
    pub(super) async fn post_as(
        &self,
        url: &Url,
        token: &AccessToken,
        prover: Option<&Prover>,
    ) -> Result<Answer, Silence> {
        let nothing = || self.http().post(url.clone()).header(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let ask = || self.call_beside(self.shown(nothing(), ("POST", url), token, prover));
        let answer = ask().await?;
        if self.wants_nonce(&answer, url, prover) { self.heard(ask().await, url) } else { Ok(answer) }
    }

    fn shown(
        &self,
        request: RequestBuilder,
        target: (&str, &Url),
        token: &AccessToken,
        prover: Option<&Prover>,
    ) -> RequestBuilder {
        let scheme = if prover.is_some() { "DPoP" } else { "Bearer" };
        let text = Zeroizing::new(format!("{scheme} {}", token.expose()));
        let mut shown = HeaderValue::from_str(&text).expect("tokens are printable ASCII");
        shown.set_sensitive(true);
        proven(request.header(AUTHORIZATION, shown), prover, target, (self.nonces(), Some(token)))
    }

    /// Remembers the nonce of an answer; whether the answer is nothing but the wish for it.
    fn wants_nonce(&self, answer: &Answer, url: &Url, prover: Option<&Prover>) -> bool {
        let has_nonce = prover.is_some() && self.nonces().remember(&server(url), answer.nonce());
        has_nonce && answer.status == 401 && answer.asks_for_nonce()
    }

    fn heard(&self, answer: Result<Answer, Silence>, url: &Url) -> Result<Answer, Silence> {
        if let Ok(answer) = &answer {
            self.nonces().remember(&server(url), answer.nonce());
        }
        answer
    }
}
