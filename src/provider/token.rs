//! The token endpoint: a code becomes a login, a refresh token becomes new tokens (RFC 6749 §4.1.3, §6).
//!
//! Each is sent once and never again: after an unclear failure it may be used up, and a second use can revoke everything.

use std::time::Duration;

use serde_json::{Map, Value};

use super::back_channel::{Answer, Form, Silence};
use super::client_auth::authenticate;
use super::code_flow::CodeFlow;
use super::discovery::Endpoints;
use super::{Attempt, Grant, RedeemError, Refreshed, Tokens, Unavailable, logout, refusal};
use crate::secret::{AccessToken, AuthorizationCode, IdToken, RefreshToken};

/// No lifetime is believed beyond this.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Redeems `code`; on any doubt about the user everything the answer brought is thrown away, and revoked if it can be.
pub(super) async fn redeem(flow: &CodeFlow, code: &AuthorizationCode, attempt: &Attempt) -> Result<Grant, RedeemError> {
    let endpoints = flow.server.endpoints().await?;
    flow.server.prepare().await?;
    let fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code.expose()),
        ("redirect_uri", &*flow.redirect_uri),
        ("code_verifier", attempt.verifier.expose()),
    ];
    let answer = call(flow, &endpoints, fields).await.map_err(Unavailable::from)?;
    let mut tokens = tokens(flow, &answer)?;
    match flow.server.identify(&mut tokens, attempt).await {
        Ok(user) => Ok(Grant { tokens, user }),
        Err(error) => {
            logout::discard(flow, &endpoints, tokens);
            Err(error)
        }
    }
}

/// Gets new tokens. An answer that cannot be tied to the session's user any more is [`Refreshed::Rejected`], so that the
/// session ends (OpenID Connect Core §12.2). A request that was sent and not answered is [`Refreshed::Unknown`], and so is
/// an answer that grants something and cannot be used: the token may be spent either way. An answer that refuses, 5xx
/// included, has not spent it.
pub(super) async fn refresh(flow: &CodeFlow, refresh_token: &RefreshToken, subject: &str) -> Refreshed {
    match try_refresh(flow, refresh_token, subject).await {
        Ok(refreshed) => refreshed,
        Err(RedeemError::Rejected(reason)) => Refreshed::Rejected(reason),
        Err(RedeemError::Misconfigured(reason)) => Refreshed::Misconfigured(reason),
        Err(RedeemError::Unavailable(reason)) => Refreshed::Unavailable(reason),
        Err(RedeemError::Throttled(pause)) => Refreshed::Throttled(pause),
        Err(RedeemError::Invalid(reason) | RedeemError::Unidentified(reason)) => Refreshed::Unknown(reason),
    }
}

async fn try_refresh(flow: &CodeFlow, refresh_token: &RefreshToken, subject: &str) -> Result<Refreshed, RedeemError> {
    let endpoints = flow.server.endpoints().await?;
    flow.server.prepare().await?;
    let fields = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
    let answer = match call(flow, &endpoints, fields).await {
        Ok(answer) => answer,
        Err(Silence::NotSent(reason)) => return Ok(Refreshed::Unavailable(reason)),
        Err(Silence::NoAnswer(reason)) => return Ok(Refreshed::Unknown(reason)),
    };
    let mut tokens = tokens(flow, &answer)?;
    match flow.server.confirm(&mut tokens, subject).await {
        Ok(()) => Ok(Refreshed::Tokens(tokens)),
        Err(reason) => {
            logout::discard(flow, &endpoints, tokens);
            Ok(Refreshed::Rejected(reason))
        }
    }
}

async fn call(flow: &CodeFlow, endpoints: &Endpoints, fields: Vec<(&'static str, &str)>) -> Result<Answer, Silence> {
    let form = authenticate(&flow.client, Form { fields, authorization: None });
    flow.caller.post(&endpoints.token, &form).await
}

fn tokens(flow: &CodeFlow, answer: &Answer) -> Result<Tokens, RedeemError> {
    if let Some(pause) = answer.pause {
        return Err(RedeemError::Throttled(pause));
    }
    match answer.json() {
        // GitHub refuses with 200, and an `error` member.
        Ok(members) if answer.status == 200 && !members.contains_key("error") => {
            read(members, flow.default_token_lifetime)
        }
        Err(error) if answer.status == 200 => Err(RedeemError::Invalid(error.to_string())),
        members => Err(refusal::read(answer.status, members.as_ref().ok())),
    }
}

/// RFC 6749 §5.1.
fn read(mut members: Map<String, Value>, default_lifetime: Duration) -> Result<Tokens, RedeemError> {
    let invalid = |wrong: &str| RedeemError::Invalid(wrong.to_owned());
    let is_bearer = |kind: &str| kind.eq_ignore_ascii_case("bearer");
    if !members.get("token_type").and_then(Value::as_str).is_some_and(is_bearer) {
        return Err(invalid("its `token_type` is not Bearer"));
    }
    let expires_in = lifetime(members.get("expires_in")).unwrap_or(default_lifetime);
    let scope = members.get("scope").and_then(Value::as_str).map(str::to_owned);
    let mut take = |name: &str| match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(token)) if is_token(&token) => Ok(Some(token)),
        Some(_) => Err(invalid("one of its tokens is malformed")),
    };
    let access_token = take("access_token")?.ok_or_else(|| invalid("it has no `access_token`"))?;
    Ok(Tokens {
        access_token: AccessToken::new(access_token),
        refresh_token: take("refresh_token")?.map(RefreshToken::new),
        id_token: take("id_token")?.map(IdToken::new),
        scope,
        expires_in: expires_in.min(LONGEST),
    })
}

/// Printable ASCII (RFC 6749 §A.12), so that it can stand in a header; otherwise opaque.
fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

/// A number, or a number as text, as some providers send it; one second when it is over already. `None`: not said.
fn lifetime(expires_in: Option<&Value>) -> Option<Duration> {
    let seconds = match expires_in? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse::<f64>().ok().filter(|number| number.is_finite())?,
        _ => return None,
    };
    Some(Duration::try_from_secs_f64(seconds.floor().max(1.0)).unwrap_or(LONGEST))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lifetime_is_a_hint_that_is_clamped() {
        let hour = Duration::from_secs(3600);
        for (sent, expected) in [
            (json!(300), Duration::from_secs(300)),
            (json!("300"), Duration::from_secs(300)),
            (json!(299.9), Duration::from_secs(299)),
            (json!(0), Duration::from_secs(1)),
            (json!(-5), Duration::from_secs(1)),
            (json!(1e300), LONGEST),
            (json!(u64::MAX), LONGEST),
            (json!(null), hour),
            (json!("soon"), hour),
            (json!("NaN"), hour),
            (json!([]), hour),
        ] {
            let answer = json!({ "token_type": "bearer", "access_token": "a", "expires_in": sent });
            let Value::Object(answer) = answer else { unreachable!("it is an object") };
            assert_eq!(read(answer, hour).unwrap().expires_in, expected, "{sent}");
        }
    }

    #[test]
    fn a_token_that_would_break_a_header_is_refused() {
        for token in ["", "a\r\nb", "ä", "a\0"] {
            assert!(!is_token(token));
        }
        assert!(is_token("eyJhbGciOiJub25lIn0.e30."));
    }
}
