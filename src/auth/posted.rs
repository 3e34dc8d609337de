//! An answer that a browser posted, on its way to a GET of our own: a form of another site brings no login cookie along
//! (`SameSite=Lax`), the GET that follows it does. Sealed, so that the code in it stands in no URL and no history.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Auth;
use crate::clock::Timestamp;
use crate::provider::{Answer, Provider};
use crate::session::keyring::Purpose;

/// How long the way may take; browsers go it at once.
const LIFETIME: Duration = Duration::from_secs(60);

/// What is sealed at most: in base64 it must pass the limit on a request line of what stands in front, 8 KiB as a rule.
const LARGEST: usize = 5632;

/// Tells it from every other note that is sealed under a site's key.
const CONTEXT: &[&[u8]] = &[b"posted answer"];

/// The parameters of an answer, out of the form it was posted in.
#[derive(Serialize, Deserialize)]
pub struct PostedAnswer {
    at: Timestamp,
    parameters: Vec<(String, String)>,
}

impl PostedAnswer {
    fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.at) <= LIFETIME
    }

    /// A parameter's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

impl Auth {
    /// Whether answers are posted to the redirect URI of the provider called `at`, or to the shared one.
    #[must_use]
    pub fn takes_posted_answers(&self, at: Option<&str>) -> bool {
        let is_here = |provider: &&Provider| self.site.own_callback(provider.name()) == at;
        self.providers.iter().filter(is_here).any(|provider| provider.response_mode().is_posted())
    }

    /// Seals what `get` finds of an answer's parameters, for a URL; `None` when it is too much for one.
    #[must_use]
    pub fn seal_posted<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        let found = Answer::PARAMETERS.iter().filter_map(|name| Some(((*name).to_owned(), get(name)?.to_owned())));
        let posted = PostedAnswer { at: self.clock.now(), parameters: found.collect() };
        let json = Zeroizing::new(serde_json::to_vec(&posted).expect("parameters are plain text"));
        (json.len() <= LARGEST).then(|| URL_SAFE_NO_PAD.encode(self.ring.seal(Purpose::Note, CONTEXT, &json)))
    }

    /// Opens what [`Auth::seal_posted`] sealed, and says whether it may still be used; `None` when this site did not seal it.
    #[must_use]
    pub fn open_posted(&self, sealed: &str) -> Option<(PostedAnswer, bool)> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let json = Zeroizing::new(self.ring.open(Purpose::Note, CONTEXT, &sealed)?);
        let posted: PostedAnswer = serde_json::from_slice(&json).ok()?;
        let fresh = posted.is_fresh(self.clock.now());
        Some((posted, fresh))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_posted_answer_is_good_for_a_minute() {
        let posted = PostedAnswer { at: Timestamp::from_secs(1000), parameters: Vec::new() };
        assert!(posted.is_fresh(Timestamp::from_secs(1060)));
        assert!(!posted.is_fresh(Timestamp::from_secs(1061)));
    }
}
