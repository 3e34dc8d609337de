//! A login that takes a second step, such as a code by mail: the API says yes to the credentials, and wants something else before
//! it gives a token. What ties the steps together at the API, its cookies, stays out of the browser's reach.

use cookie::Cookie;
use reqwest::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use serde_json::Value;
use url::Url;

use super::cleanse::cleanse;
use super::{LogInError, Relay};
use crate::clock::Timestamp;
use crate::provider::back_channel::Answer;
use crate::secret::ApiCookies;

/// How long an API's cookies may be together, in bytes: sealed, they go through the page in a URL, and what stands in front of
/// the gateway may take no more than 8 KiB of one.
const LONGEST: usize = 5 * 1024;

/// A login that goes on.
#[derive(Clone, Debug)]
pub struct Unfinished {
    /// What the API says, for the page: a JSON object without anything that could be a token.
    pub answer: Value,
    /// What it must see again.
    pub cookies: ApiCookies,
}

impl Relay {
    /// Where the credentials of this step go, with which headers.
    pub(super) fn next(
        &self,
        step: Option<&ApiCookies>,
        mut headers: HeaderMap,
    ) -> Result<(&Url, HeaderMap), LogInError> {
        let Some(cookies) = step else { return Ok((&self.config.login_url, headers)) };
        let unusable = |wrong: &str| LogInError::Unusable(wrong.to_owned());
        let next = self.config.step.as_ref().ok_or_else(|| unusable("`step_url` is not configured any more"))?;
        if !cookies.expose().is_empty() {
            let mut value = HeaderValue::from_str(cookies.expose()).map_err(|_| unusable("its cookies are none"))?;
            value.set_sensitive(true);
            headers.insert(COOKIE, value);
        }
        Ok((&next.url, headers))
    }

    /// The login that goes on after `answer`, which says `document`; `None` where the configuration knows of no steps, or the
    /// answer does not announce one, or has a token. Without a cookie the next step would fail for no visible reason, so that
    /// too many of them are an error.
    pub(super) fn unfinished(
        &self,
        answer: &Answer,
        document: &Value,
        before: Option<&ApiCookies>,
    ) -> Result<Option<Unfinished>, LogInError> {
        let Some(step) = &self.config.step else { return Ok(None) };
        let announces =
            step.pointer.find(document).is_some_and(|said| !matches!(said, Value::Null | Value::Bool(false)));
        if !announces || self.config.token.find(document).is_some_and(|token| !token.is_null()) {
            return Ok(None);
        }
        let mut said = document.clone();
        cleanse(&mut said, &self.token_places());
        let before = before.map_or("", ApiCookies::expose);
        let cookies = merged(before, answer.headers(), self.clock.now());
        if cookies.len() > LONGEST {
            return Err(LogInError::Unusable(format!(
                "its cookies have {} bytes together, and {LONGEST} of them can go to the next step",
                cookies.len()
            )));
        }
        Ok(Some(Unfinished { answer: said, cookies: ApiCookies::new(cookies) }))
    }
}

/// The `Cookie` that a browser would send which had sent `before` and got these headers (RFC 6265 §5.4). Attributes other
/// than those that delete one do not matter: it goes to the same server, within minutes.
fn merged(before: &str, headers: &HeaderMap, now: Timestamp) -> String {
    let mut pairs: Vec<&str> = before.split("; ").filter(|pair| !pair.is_empty()).collect();
    for line in headers.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok()) {
        let pair = line.split(';').next().unwrap_or_default().trim();
        let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.is_empty()) else { continue };
        pairs.retain(|known| known.split('=').next() != Some(name));
        if !value.is_empty() && !is_over(line, now) {
            pairs.push(pair);
        }
    }
    pairs.join("; ")
}

/// Whether this line takes its cookie away, whatever value it has: PHP writes `deleted`. `Max-Age` counts more than `Expires`
/// (RFC 6265 §5.3, step 3).
fn is_over(line: &str, now: Timestamp) -> bool {
    let Ok(cookie) = Cookie::parse(line) else { return false };
    match (cookie.max_age(), cookie.expires_datetime()) {
        (Some(age), _) => !age.is_positive(),
        (None, Some(end)) => u64::try_from(end.unix_timestamp()).map_or(true, |end| end <= now.as_secs()),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn after(before: &str, lines: &[&'static str]) -> String {
        let lines = lines.iter().map(|line| (SET_COOKIE, HeaderValue::from_static(line)));
        merged(before, &HeaderMap::from_iter(lines), NOW)
    }

    #[test]
    fn cookies_are_kept_as_a_browser_would_for_the_next_step() {
        let first = after("", &["a=1; Path=/; HttpOnly", "b=x=y", "gone=; Max-Age=0", "=nameless", "none"]);
        assert_eq!(first, "a=1; b=x=y");
        assert_eq!(after(&first, &["a=2; Secure", "b="]), "a=2");
        assert_eq!(after(&first, &[]), first);
    }

    #[test]
    fn a_cookie_whose_life_is_over_is_taken_away_whatever_it_says() {
        for line in [
            "a=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0; path=/",
            "a=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT",
            "a=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "a=x; expires=Fri, 15 Jan 2027 08:00:00 GMT",
            "a=x; max-age=-1",
            "a=x; Max-Age=0; Expires=Fri, 31 Dec 2032 00:00:00 GMT",
        ] {
            assert_eq!(after("a=1; b=2", &[line]), "b=2", "{line}");
        }
        for line in [
            "a=x; expires=Fri, 15 Jan 2027 08:00:01 GMT; Path=/",
            "a=x; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "a=x; Expires=soon",
        ] {
            assert_eq!(after("a=1; b=2", &[line]), "b=2; a=x", "{line}");
        }
    }
}
