//! The token endpoint: a code becomes a login, a refresh token becomes new tokens (RFC 6749 §4.1.3, §6).
//!
//! Each is sent once and never again: after an unclear failure it may be used up, and a second use can revoke everything.

use std::time::Duration;

use serde_json::{Map, Value};

use super::back_channel::{Answer, Silence};
use super::client_channel::ClientChannel;
use super::code_flow::CodeFlow;
use super::discovery::Endpoints;
use super::grant::counted_from;
use super::refusal::Shown;
use super::{Attempt, Grant, RedeemError, Refreshed, Renewal, Tokens, Unavailable, logout, refusal};
use crate::clock::Timestamp;
use crate::config::{Empty400, RefreshScope};
use crate::secret::{AccessToken, AuthorizationCode, DpopKey, IdToken, RefreshToken};

/// No lifetime is believed beyond this.
pub(super) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Redeems `code`; on any doubt about the user everything the answer brought is thrown away, and revoked if it can be.
pub(super) async fn redeem(flow: &CodeFlow, code: &AuthorizationCode, attempt: &Attempt) -> Result<Grant, RedeemError> {
    let endpoints = flow.server.endpoints().await?;
    flow.server.prepare().await?;
    let key = attempt.dpop_key.as_ref();
    let fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code.expose()),
        ("redirect_uri", &*flow.redirect_uri),
        ("code_verifier", attempt.verifier.expose()),
    ];
    let asked = flow.channel.now();
    let answer = call(flow, &flow.channel, &endpoints, fields, key).await.map_err(Unavailable::from)?;
    let mut tokens = tokens(flow, &answer, asked, (Shown::Code, Scheme::with(key)))?;
    match flow.server.identify(&mut tokens, attempt).await {
        Ok(user) => Ok(Grant { tokens, user }),
        Err(error) => {
            logout::discard(flow, &endpoints, tokens, key);
            Err(error)
        }
    }
}

/// Gets new tokens. An answer that cannot be tied to the session's user any more is [`Refreshed::Rejected`], so that the
/// session ends (OpenID Connect Core §12.2). A request whose answer got lost is [`Refreshed::Unknown`]: only the provider
/// knows whether the token is spent. One that it does not answer in time, or answers with what nobody can use, would get no
/// better answer if it were sent again.
pub(super) async fn refresh(flow: &CodeFlow, renewal: &Renewal<'_>) -> Refreshed {
    match try_refresh(flow, renewal).await {
        Ok(refreshed) => refreshed,
        Err(RedeemError::Rejected(reason)) => Refreshed::Rejected(reason),
        Err(RedeemError::Misconfigured(reason)) => Refreshed::Misconfigured(reason),
        Err(RedeemError::Throttled(pause)) => Refreshed::Throttled(pause),
        Err(RedeemError::Unavailable(reason) | RedeemError::Invalid(reason) | RedeemError::Unidentified(reason)) => {
            Refreshed::Unavailable(reason)
        }
    }
}

async fn try_refresh(flow: &CodeFlow, renewal: &Renewal<'_>) -> Result<Refreshed, RedeemError> {
    let endpoints = flow.server.endpoints().await?;
    flow.server.prepare().await?;
    let scope = refresh_scope(flow, renewal);
    let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", renewal.refresh_token.expose())];
    fields.extend(scope.as_deref().map(|scope| ("scope", scope)));
    let (asked, channel) = (flow.channel.now(), flow.channel.within(renewal.patience));
    let answer = match call(flow, &channel, &endpoints, fields, renewal.dpop_key).await {
        Ok(answer) => answer,
        Err(Silence::Lost(reason)) => return Ok(Refreshed::Unknown(reason)),
        Err(Silence::NotSent(reason) | Silence::GivenUp(reason)) => return Ok(Refreshed::Unavailable(reason)),
    };
    let mut tokens = tokens(flow, &answer, asked, (Shown::RefreshToken, Scheme::with(renewal.dpop_key)))?;
    match flow.server.confirm(&mut tokens, renewal.subject).await {
        Ok(()) => Ok(Refreshed::Tokens(tokens)),
        Err(reason) => {
            logout::discard(flow, &endpoints, tokens, renewal.dpop_key);
            Ok(Refreshed::Rejected(reason))
        }
    }
}

/// The scope that a refresh asks for, if any: nothing in it that was not granted before (RFC 6749 §6).
fn refresh_scope(flow: &CodeFlow, renewal: &Renewal<'_>) -> Option<String> {
    match &flow.client.requests.refresh_scope {
        RefreshScope::Absent => None,
        RefreshScope::These(scopes) => Some(scopes.join(" ")),
        RefreshScope::Granted => Some(renewal.scope.map_or_else(|| flow.client.scopes.join(" "), str::to_owned)),
    }
}

/// Asks with `fields` and what is configured for every token request (RFC 8707 §2.2).
async fn call<'a>(
    flow: &'a CodeFlow,
    channel: &ClientChannel,
    endpoints: &Endpoints,
    mut fields: Vec<(&'a str, &'a str)>,
    key: Option<&DpopKey>,
) -> Result<Answer, Silence> {
    let requests = &flow.client.requests;
    fields.extend(requests.resource.iter().map(|resource| ("resource", &**resource)));
    fields.extend(requests.token_params.iter().map(|(name, value)| (&**name, &**value)));
    channel.post(endpoints, &endpoints.token, &fields, key).await
}

/// What the answer to a request gives that was made at `asked`, showed this, and is to give tokens of that scheme.
fn tokens(
    flow: &CodeFlow,
    answer: &Answer,
    asked: Timestamp,
    (shown, scheme): (Shown, Scheme),
) -> Result<Tokens, RedeemError> {
    if let Some(pause) = answer.pause {
        return Err(RedeemError::Throttled(pause));
    }
    match answer.json() {
        // GitHub refuses with 200, and an `error` member.
        Ok(members) if answer.status == 200 && !is_refusal(&members) => {
            read(members, flow.default_token_lifetime, (asked, flow.channel.now()), scheme)
        }
        Err(error) if answer.status == 200 => Err(RedeemError::Invalid(error.to_string())),
        // Glewlwyd's refusal of a grant.
        _ if answer.status == 400 && answer.body().is_empty() && flow.client.empty_400 == Empty400::Rejected => {
            Err(RedeemError::Rejected("an empty 400".to_owned()))
        }
        members => Err(refusal::read("the token endpoint", shown, answer.status, members.as_ref().ok())),
    }
}

/// Whether there is an `error`; some libraries write all their members, and leave it empty.
fn is_refusal(members: &Map<String, Value>) -> bool {
    members.get("error").is_some_and(|error| !error.is_null() && error != "")
}

/// How the access token will be shown: what was asked for is what must come. A bearer in place of a bound token would be
/// worth something to whoever finds it (RFC 9449 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Bearer,
    DPoP,
}

impl Scheme {
    const fn with(key: Option<&DpopKey>) -> Self {
        if key.is_some() { Self::DPoP } else { Self::Bearer }
    }
}

/// RFC 6749 §5.1.
fn read(
    mut members: Map<String, Value>,
    default_lifetime: Duration,
    (asked, came): (Timestamp, Timestamp),
    scheme: Scheme,
) -> Result<Tokens, RedeemError> {
    let invalid = |wrong: &str| RedeemError::Invalid(wrong.to_owned());
    let wanted = match scheme {
        Scheme::Bearer => "Bearer",
        Scheme::DPoP => "DPoP",
    };
    let is_wanted = |kind: &str| kind.eq_ignore_ascii_case(wanted);
    if !members.get("token_type").and_then(Value::as_str).is_some_and(is_wanted) {
        return Err(RedeemError::Invalid(format!("its `token_type` is not {wanted}")));
    }
    let expires_in = lifetime(members.get("expires_in")).unwrap_or(default_lifetime).min(LONGEST);
    let scope = members.get("scope").and_then(Value::as_str).map(str::to_owned);
    let mut take = |name: &str| match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(token)) if token.is_empty() => Ok(None),
        Some(Value::String(token)) if is_token(&token) => Ok(Some(token)),
        Some(_) => Err(invalid("one of its tokens is malformed")),
    };
    let access_token = take("access_token")?.ok_or_else(|| invalid("it has no `access_token`"))?;
    Ok(Tokens {
        access_token: AccessToken::new(access_token),
        refresh_token: take("refresh_token")?.map(RefreshToken::new),
        id_token: take("id_token")?.map(IdToken::new),
        scope,
        since: counted_from(asked, came, expires_in),
        expires_in,
    })
}

/// Printable ASCII (RFC 6749 §A.12), so that it can stand in a header; otherwise opaque.
pub(super) fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

/// A number, or a number as text, as some providers send it; one second when it is over already. `None`: not said.
pub(super) fn lifetime(expires_in: Option<&Value>) -> Option<Duration> {
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

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

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
            assert_eq!(read(answer, hour, (NOW, NOW), Scheme::Bearer).unwrap().expires_in, expected, "{sent}");
        }
    }

    #[test]
    fn a_life_is_counted_from_before_the_call_as_far_as_that_leaves_half_of_it() {
        let since = |took: u64| {
            let answer = json!({ "token_type": "bearer", "access_token": "a", "expires_in": 10 });
            let Value::Object(answer) = answer else { unreachable!("it is an object") };
            let came = NOW.plus(Duration::from_secs(took));
            read(answer, LONGEST, (NOW, came), Scheme::Bearer).unwrap().since.since(NOW)
        };
        assert_eq!([0, 1, 5, 6, 60].map(since).map(|time| time.as_secs()), [0, 0, 0, 1, 55]);
        assert_eq!(counted_from(NOW.plus(LONGEST), NOW, Duration::from_secs(10)), NOW);
    }

    #[test]
    fn a_token_that_would_break_a_header_is_refused() {
        for token in ["", "a\r\nb", "ä", "a\0"] {
            assert!(!is_token(token));
        }
        assert!(is_token("eyJhbGciOiJub25lIn0.e30."));
    }
}
