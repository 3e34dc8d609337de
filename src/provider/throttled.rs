//! How long a provider that says 429 wants to be left alone (RFC 6585 §4, RFC 9110 §10.2.3).

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// Without a word about it.
const UNSAID: Duration = Duration::from_secs(2);

/// What is believed: a provider that means an hour by mistake must not stop all logins for it.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// The pause that an answer with this status and these headers asks for. A date counts from the answer's own, so that
/// nobody's clock matters.
pub(super) fn pause(status: u16, headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let said = || {
        let after = text(RETRY_AFTER)?;
        if let Ok(seconds) = after.parse() {
            return Some(Duration::from_secs(seconds));
        }
        // In the past is now.
        Some(date(after)?.duration_since(date(text(DATE)?)?).unwrap_or_default())
    };
    (status == 429).then(|| said().unwrap_or(UNSAID).clamp(SHORTEST, LONGEST))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn what_is_said_is_read_in_either_form_and_clamped() {
        let now = "Wed, 21 Oct 2026 07:28:00 GMT";
        for (after, date, seconds) in [
            (Some("37"), None, 37),
            (Some(" 37 "), Some(now), 37),
            (Some("0"), None, 1),
            (Some("86400"), None, 300),
            (Some("99999999999999999999"), None, 2),
            (Some("-1"), None, 2),
            (Some("soon"), Some(now), 2),
            (Some("Wed, 21 Oct 2026 07:28:42 GMT"), Some(now), 42),
            (Some("Wed, 21 Oct 2026 09:28:42 GMT"), Some(now), 300),
            (Some("Wed, 21 Oct 2026 07:27:00 GMT"), Some(now), 1),
            (Some("Wed, 21 Oct 2026 07:28:42 GMT"), None, 2),
            (None, Some(now), 2),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [(RETRY_AFTER, after), (DATE, date)] {
                value.map(|value| headers.insert(name, HeaderValue::from_static(value)));
            }
            assert_eq!(pause(429, &headers), Some(Duration::from_secs(seconds)), "{after:?} {date:?}");
            assert_eq!(pause(503, &headers), None);
        }
    }
}
