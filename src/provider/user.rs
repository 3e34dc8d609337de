//! A user whom a provider vouches for, in whatever way its kind has.

use serde_json::{Map, Value};

/// A user who is proven: by an ID token that passed every check, or by the provider's own word about the bearer of an
/// access token. Only the kinds of provider in this room make one.
#[derive(Clone, Debug)]
pub struct ProvenUser {
    /// Whose user it is: a subject means nothing without it.
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) sid: Option<String>,
    pub(super) claims: Map<String, Value>,
}

impl ProvenUser {
    /// Who vouches: the issuer, or the name under which users of a provider without one are kept apart from others.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The subject, unique at the issuer.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The provider's own session id, where it tells one (OpenID Connect Back-Channel Logout §2.1).
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// Everything the provider says about the user.
    #[must_use]
    pub const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

/// A text as it is, a whole number as its decimal digits; at most 255 visible characters, as any subject (OpenID Connect
/// Core §2).
pub(super) fn subject(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_u64() || number.is_i64() => number.to_string(),
        _ => return None,
    };
    let is_subject = (1..=255).contains(&text.len()) && text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    is_subject.then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_subject_is_a_text_or_a_whole_number_and_nothing_else() {
        for (value, expected) in [
            (json!("a7"), Some("a7")),
            (json!(7), Some("7")),
            (json!(-7), Some("-7")),
            (json!(u64::MAX), Some("18446744073709551615")),
            (json!(7.0), None),
            (json!(1e300), None),
            (json!(""), None),
            (json!("x".repeat(256)), None),
            (json!("a\nb"), None),
            (json!("ä"), None),
            (json!(true), None),
            (json!(null), None),
            (json!([7]), None),
        ] {
            assert_eq!(subject(&value).as_deref(), expected, "{value}");
        }
    }
}
