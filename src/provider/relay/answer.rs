//! What the answers of an API say, at the places that the configuration names.

use serde_json::{Map, Value};

use super::Relay;
use super::cleanse::cleanse;
use crate::clock::Timestamp;
use crate::config::{JsonPointer, RelayRefreshToken};
use crate::provider::back_channel::Answer;
use crate::provider::grant::counted_from;
use crate::provider::token::{LONGEST, is_token, lifetime};
use crate::provider::user::{ProvenUser, subject};
use crate::provider::{Refreshed, Tokens};
use crate::secret::{AccessToken, RefreshToken};

/// 128 bits in base64url: a token that nobody guesses has no fewer characters (RFC 6749 §10.10), and the one word of a message,
/// such as `Unauthenticated.`, has.
const SHORTEST: usize = 22;

impl Relay {
    /// Where tokens stand in the answers.
    pub(super) fn token_places(&self) -> Vec<&JsonPointer> {
        let refresh_token = self.config.refresh.as_ref().and_then(|refresh| match &refresh.with {
            RelayRefreshToken::Bearer => None,
            RelayRefreshToken::Member(place) => Some(place),
        });
        [&self.config.token].into_iter().chain(refresh_token).collect()
    }

    /// What an answer with a token says: an object; or the token and nothing else, in quotes or without, where that is
    /// configured.
    pub(super) fn document(&self, answer: &Answer) -> Result<Value, String> {
        if !self.config.token.is_whole() {
            return answer.json().map(Value::Object).map_err(|error| error.to_string());
        }
        let text = std::str::from_utf8(answer.body()).unwrap_or_default().trim();
        let token = match serde_json::from_str(text) {
            Ok(Value::String(token)) => token,
            Ok(_) => String::new(),
            Err(_) => text.to_owned(),
        };
        // Pages and messages are words, and a token is a long one.
        if token.len() >= SHORTEST && is_token(&token) && !token.contains([' ', '<', '{']) {
            return Ok(Value::String(token));
        }
        Err("it is not a token and nothing else".to_owned())
    }

    /// The tokens in the answer to a login or a refresh that was made at `asked`. Where the access token itself is what a
    /// refresh is asked for with, it is the refresh token as well.
    pub(super) fn tokens(&self, document: &Value, asked: Timestamp) -> Result<Tokens, &'static str> {
        let token = |place: &JsonPointer| match place.find(document) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(token)) if token.is_empty() => Ok(None),
            Some(Value::String(token)) if is_token(token) => Ok(Some(token.clone())),
            Some(_) => Err("one of its tokens is malformed"),
        };
        let access_token = token(&self.config.token)?.ok_or("there is no token where `token_pointer` points")?;
        let refresh_token = match self.config.refresh.as_ref().map(|refresh| &refresh.with) {
            None => None,
            Some(RelayRefreshToken::Bearer) => Some(access_token.clone()),
            Some(RelayRefreshToken::Member(place)) => token(place)?,
        };
        let expires_in =
            lifetime(self.config.expires_in.find(document)).unwrap_or(self.default_token_lifetime).min(LONGEST);
        Ok(Tokens {
            access_token: AccessToken::new(access_token),
            refresh_token: refresh_token.map(RefreshToken::new),
            id_token: None,
            scope: None,
            since: counted_from(asked, self.clock.now(), expires_in),
            expires_in,
        })
    }

    /// What a refresh gave. An answer that names another user ends the session; one that cannot be used would not get better
    /// by asking again at once.
    pub(super) fn renewed(&self, answer: &Answer, asked: Timestamp, of: &str) -> Refreshed {
        let document = match self.document(answer) {
            Ok(document) => document,
            Err(error) => return Refreshed::Unavailable(error),
        };
        let named = self.config.user_url.is_none().then(|| self.config.subject.find(&document).and_then(subject));
        if named.flatten().is_some_and(|named| named != of) {
            return Refreshed::Rejected("the new token is another user's".to_owned());
        }
        match self.tokens(&document, asked) {
            Ok(tokens) => Refreshed::Tokens(tokens),
            Err(wrong) => Refreshed::Unavailable(wrong.to_owned()),
        }
    }

    /// The user that `document` describes: what stands beside the subject, as far as the site shows it, with subject, name
    /// and e-mail address under the names that they have in OpenID Connect (Core §5.1).
    pub(super) fn user(&self, mut document: Value) -> Result<ProvenUser, &'static str> {
        cleanse(&mut document, &self.token_places());
        let subject = self.config.subject.find(&document).and_then(subject);
        let subject = subject.ok_or("nothing names the user where `sub` points")?;
        let said = |place: &JsonPointer| place.find(&document).filter(|value| value.is_string()).cloned();
        let named = [("name", said(&self.config.full_name)), ("email", said(&self.config.email))];
        let beside = self.config.subject.parent().and_then(|place| place.find(&document)?.as_object());
        let mut claims: Map<String, Value> = beside.cloned().unwrap_or_default();
        claims.insert("sub".to_owned(), subject.clone().into());
        for (claim, value) in named {
            match value {
                Some(value) => claims.insert(claim.to_owned(), value),
                None => claims.remove(claim),
            };
        }
        claims.retain(|claim, _| self.claims.contains(claim));
        Ok(ProvenUser { issuer: self.issuer.clone(), subject, sid: None, claims })
    }
}
