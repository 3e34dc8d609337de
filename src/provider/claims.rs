//! What ID tokens and logout tokens have in common: audience, times, subject and the provider's session, each checked alike.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::config::TrustedAudiences;

/// How long ago a token that was just received may have been issued.
pub(super) const OLDEST: Duration = Duration::from_secs(60 * 60);
/// The event that makes a token a logout token (OpenID Connect Back-Channel Logout §2.4).
pub(super) const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The audience is this client and nobody else but those who are trusted, and the authorized party is this client if it is
/// named (OpenID Connect Core §3.1.3.7, steps 3 to 5).
pub(super) fn check_audience(
    claims: &Map<String, Value>,
    client_id: &str,
    trusted: &TrustedAudiences,
) -> Result<(), &'static str> {
    if !is_audience(claims.get("aud"), client_id, trusted) {
        return Err("`aud` is missing, not this client, or not this client alone");
    }
    match claims.get("azp") {
        None => Ok(()),
        Some(party) if party == client_id => Ok(()),
        Some(_) => Err("`azp` is another client"),
    }
}

/// An ID token for several must say to which of them it was issued.
pub(super) fn check_party(claims: &Map<String, Value>) -> Result<(), &'static str> {
    let several = claims.get("aud").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
    if several && claims.get("azp").is_none() {
        return Err("`aud` names several, and `azp` is missing");
    }
    Ok(())
}

/// Whether `aud` is this client, alone or among those who are trusted.
pub(super) fn is_audience(aud: Option<&Value>, client_id: &str, trusted: &TrustedAudiences) -> bool {
    let may_stand = |audience: &Value| match (audience, trusted) {
        (Value::String(audience), _) if audience == client_id => true,
        (Value::String(audience), TrustedAudiences::These(these)) => these.contains(audience),
        (Value::String(_), TrustedAudiences::Any) => true,
        _ => false,
    };
    match aud {
        Some(Value::String(audience)) => audience == client_id,
        Some(Value::Array(all)) => all.iter().any(|audience| audience == client_id) && all.iter().all(may_stand),
        _ => false,
    }
}

/// `iat`, which is there, not in the future, and at most `oldest` ago; `skew` is tolerated.
pub(super) fn issued(
    claims: &Map<String, Value>,
    now: Timestamp,
    oldest: Duration,
    skew: Duration,
) -> Result<Timestamp, &'static str> {
    let issued = moment(claims, "iat")?.ok_or("`iat` is missing")?;
    if issued > now.plus(skew) {
        return Err("`iat` is in the future");
    }
    if now.since(issued) > oldest + skew {
        return Err("`iat` is long ago");
    }
    Ok(issued)
}

/// `exp` and `nbf`, where they are there: not over, and begun (RFC 7519 §4.1.4, §4.1.5). Returns `exp`.
pub(super) fn validity(
    claims: &Map<String, Value>,
    now: Timestamp,
    skew: Duration,
) -> Result<Option<Timestamp>, &'static str> {
    let expires = moment(claims, "exp")?;
    if expires.is_some_and(|expires| expires.plus(skew) <= now) {
        return Err("it has expired");
    }
    match moment(claims, "nbf")? {
        Some(begins) if begins > now.plus(skew) => Err("`nbf` is in the future"),
        _ => Ok(expires),
    }
}

/// `sub`; `None` when it is missing or malformed: "MUST NOT exceed 255 ASCII characters in length" (§2).
pub(super) fn subject(claims: &Map<String, Value>) -> Option<&str> {
    let is_subject = |sub: &&str| {
        (1..=255).contains(&sub.len()) && sub.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_control())
    };
    claims.get("sub").and_then(Value::as_str).filter(is_subject)
}

/// `sid`, the provider's own session id (OpenID Connect Back-Channel Logout §2.1), if there is one.
pub(super) fn sid(claims: &Map<String, Value>) -> Result<Option<&str>, &'static str> {
    match claims.get("sid") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(sid)) if (1..=1024).contains(&sid.len()) => Ok(Some(sid)),
        Some(_) => Err("`sid` is malformed"),
    }
}

/// A `NumericDate`: seconds since the epoch, whole or not (RFC 7519 §2).
pub(super) fn moment(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, &'static str> {
    const WRONG: &str = "a time is not a number of seconds";
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0).ok_or(WRONG)?;
    Ok(Some(Timestamp::from_millis(Duration::try_from_secs_f64(seconds).map_or(u64::MAX, millis))))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLIENT: &str = "app";

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            Just(Value::from(CLIENT)),
            "\\PC{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec(("\\PC{0,4}", inner), 0..3)
                    .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    #[test]
    fn a_time_is_a_number_of_seconds_whole_or_not() {
        for (text, found) in [
            ("1800000000", Some(1_800_000_000_000)),
            ("1800000000.421875", Some(1_800_000_000_421)),
            ("1.8e9", Some(1_800_000_000_000)),
            ("0.0004", Some(0)),
            ("1e300", Some(u64::MAX)),
            ("-0.5", None),
            ("\"1800000000\"", None),
            ("null", None),
        ] {
            let claims = Map::from_iter([("exp".to_owned(), serde_json::from_str(text).unwrap())]);
            let moment = moment(&claims, "exp").map(|moment| moment.unwrap().as_millis());
            assert_eq!(moment.ok(), found, "{text}");
        }
    }

    proptest! {
        /// Nothing that a provider claims makes a check panic, and what passes is what it has to be.
        #[test]
        fn any_claims_are_judged(
            claims in prop::collection::vec(
                (prop::sample::select(vec!["aud", "azp", "iat", "exp", "nbf", "sub", "sid"]), value()),
                0..8,
            ),
            now in any::<u64>(),
        ) {
            let claims: Map<String, Value> = claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let (now, skew) = (Timestamp::from_millis(now), Duration::from_secs(60));
            if check_audience(&claims, CLIENT, &TrustedAudiences::These(Vec::new())).is_ok() {
                prop_assert!(claims["aud"] == CLIENT || claims["aud"].as_array().is_some_and(|all| all.iter().all(|one| one == CLIENT)));
                prop_assert!(claims.get("azp").is_none_or(|party| party == CLIENT));
            }
            if let Ok(at) = issued(&claims, now, OLDEST, skew) {
                prop_assert!(at <= now.plus(skew) && now.since(at) <= OLDEST + skew);
            }
            if let Ok(Some(ends)) = validity(&claims, now, skew) {
                prop_assert!(now < ends.plus(skew));
            }
            if let Some(subject) = subject(&claims) {
                prop_assert!(!subject.is_empty() && subject.len() <= 255 && subject.is_ascii());
            }
            if let Ok(Some(sid)) = sid(&claims) {
                prop_assert!(!sid.is_empty() && sid.len() <= 1024);
            }
        }
    }
}
