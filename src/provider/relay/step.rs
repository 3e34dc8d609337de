//! A login that takes a second step, such as a code by mail: the API says yes to the credentials, and wants something else before
//! it gives a token. What ties the steps together at the API, its cookies, stays out of the browser's reach.

use reqwest::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use serde_json::Value;
use url::Url;

use super::cleanse::cleanse;
use super::{LogInError, Relay};
use crate::provider::back_channel::Answer;
use crate::secret::ApiCookies;

/// What is kept of an API's cookies at most; browsers keep no more of one.
const LONGEST: usize = 4096;

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
    /// answer does not announce one, or has a token.
    pub(super) fn unfinished(
        &self,
        answer: &Answer,
        document: &Value,
        before: Option<&ApiCookies>,
    ) -> Option<Unfinished> {
        let step = self.config.step.as_ref()?;
        let announces =
            step.pointer.find(document).is_some_and(|said| !matches!(said, Value::Null | Value::Bool(false)));
        if !announces || self.config.token.find(document).is_some() {
            return None;
        }
        let mut said = document.clone();
        cleanse(&mut said, &self.token_places());
        let before = before.map_or("", ApiCookies::expose);
        Some(Unfinished { answer: said, cookies: ApiCookies::new(merged(before, answer.headers())) })
    }
}

/// The `Cookie` that a browser would send which had sent `before` and got these headers (RFC 6265 §5.4), as far as it is
/// bearable. Attributes do not matter: it goes to the same server, within minutes.
fn merged(before: &str, headers: &HeaderMap) -> String {
    let mut pairs: Vec<&str> = before.split("; ").filter(|pair| !pair.is_empty()).collect();
    let set = headers.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
    for pair in set.filter_map(|line| line.split(';').next()).map(str::trim) {
        let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.is_empty()) else { continue };
        pairs.retain(|known| known.split('=').next() != Some(name));
        if !value.is_empty() {
            pairs.push(pair);
        }
    }
    let mut length = 0;
    pairs.retain(|pair| {
        length += pair.len() + 2;
        length <= LONGEST
    });
    pairs.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_kept_as_a_browser_would_for_the_next_step() {
        let headers = |lines: &[&'static str]| {
            HeaderMap::from_iter(lines.iter().map(|line| (SET_COOKIE, HeaderValue::from_static(line))))
        };
        let first = merged("", &headers(&["a=1; Path=/; HttpOnly", "b=x=y", "gone=; Max-Age=0", "=nameless", "none"]));
        assert_eq!(first, "a=1; b=x=y");
        assert_eq!(merged(&first, &headers(&["a=2; Secure", "b="])), "a=2");
        assert_eq!(merged(&first, &headers(&[])), first);
        let long = HeaderValue::from_str(&format!("c={}", "x".repeat(LONGEST))).unwrap();
        assert_eq!(merged(&first, &HeaderMap::from_iter([(SET_COOKIE, long)])), first);
    }
}
