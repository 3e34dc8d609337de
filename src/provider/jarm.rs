//! A signed authorization response (JWT Secured Authorization Response Mode, JARM): the only place where one is believed.

use std::fmt;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::claims;
use super::jws::{self, Jws};
use super::kept::Occasion;
use super::oidc::Oidc;
use super::response::{Response, error_code};
use super::signature::{self, Refused};
use crate::config::TrustedAudiences;
use crate::secret::{State, constant_time_eq};

/// A signed response as it arrived from anybody. Its unverified words serve for nothing but to find the attempt.
pub(super) struct SignedResponse {
    text: Zeroizing<String>,
    state: String,
    error: Option<String>,
}

impl SignedResponse {
    /// Reads what it claims to belong to.
    pub(super) fn read(token: &str) -> Result<Self, &'static str> {
        let claims = jws::unverified_claims(token).ok_or("the answer is not a signed token")?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        Ok(Self {
            state: text("state").ok_or("the answer has no state")?.to_owned(),
            error: text("error").map(error_code),
            text: Zeroizing::new(token.to_owned()),
        })
    }

    pub(super) fn state(&self) -> &str {
        &self.state
    }

    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}

impl fmt::Debug for SignedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedResponse(…)")
    }
}

/// Checks signature and claims (JARM §2.4): nothing of it is used before.
pub(super) async fn verify(oidc: &Oidc, signed: &SignedResponse, state: &State) -> Result<Response, Refused> {
    let jws = Jws::read(&signed.text, &oidc.id_token_algs)?;
    if !jws.is_untyped() {
        return Err(Refused::Invalid("it is a token of another kind"));
    }
    let claims = signature::claims(oidc, &jws, Occasion::Browser).await?;
    check(&claims, oidc, state)?;
    Ok(Response::of(|name| claims.get(name).and_then(Value::as_str))?)
}

fn check(claims: &Map<String, Value>, oidc: &Oidc, state: &State) -> Result<(), &'static str> {
    if claims.get("iss").and_then(Value::as_str) != Some(&*oidc.issuer) {
        return Err("`iss` is missing or another issuer");
    }
    // A response is for one client, whoever may stand beside it in tokens (JARM §2.1).
    claims::check_audience(claims, &oidc.config.client.client_id, &TrustedAudiences::These(Vec::new()))?;
    if claims::validity(claims, oidc.clock.now(), oidc.config.clock_skew)?.is_none() {
        return Err("`exp` is missing");
    }
    // ID tokens are signed by the same keys for the same client; none of them is an answer.
    if claims.contains_key("nonce") {
        return Err("it has a `nonce`, which only ID tokens have");
    }
    let said = claims.get("state").and_then(Value::as_str).unwrap_or_default();
    if !constant_time_eq(said.as_bytes(), state.expose().as_bytes()) {
        return Err("`state` is another attempt's");
    }
    Ok(())
}
