//! What goes into a login at a provider, and what comes out of it.

use std::time::Duration;

use super::ProvenUser;
use crate::clock::Timestamp;
use crate::secret::{AccessToken, CodeVerifier, DpopKey, IdToken, Nonce, RefreshToken, State};

/// What one login attempt sends along, made fresh for it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// `state`
    pub state: State,
    /// `nonce`
    pub nonce: Nonce,
    /// The PKCE verifier; the request carries its S256 challenge (RFC 7636 §4.2).
    pub verifier: CodeVerifier,
    /// The key that the tokens are to be bound to, where they are to be.
    pub dpop_key: Option<DpopKey>,
}

/// What the browser may pass on to the provider, each well formed already.
#[derive(Clone, Debug, Default)]
pub struct LoginHints {
    /// `prompt`
    pub prompt: Option<String>,
    /// `login_hint`
    pub login_hint: Option<String>,
    /// `ui_locales`
    pub ui_locales: Option<String>,
    /// Scopes beside the configured ones; not the browser's own wish.
    pub further_scopes: Vec<String>,
}

/// What a login at the provider gives: tokens, and a user who is proven.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The tokens.
    pub tokens: Tokens,
    /// The user.
    pub user: ProvenUser,
}

/// What a session asks for new tokens with.
#[derive(Clone, Copy, Debug)]
pub struct Renewal<'a> {
    /// The refresh token.
    pub refresh_token: &'a RefreshToken,
    /// Whose session it is.
    pub subject: &'a str,
    /// The scopes that were granted, where the provider said so.
    pub scope: Option<&'a str>,
    /// The key that the tokens are bound to, if they are.
    pub dpop_key: Option<&'a DpopKey>,
    /// How long the answer may take. Not the limit on other calls: whoever goes away before the answer comes may have lost
    /// the only refresh token that is still good.
    pub patience: Duration,
}

/// The tokens of one answer of the token endpoint.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The token for the upstream.
    pub access_token: AccessToken,
    /// The token for the next refresh; `None` in the answer to a refresh means "keep the old one".
    pub refresh_token: Option<RefreshToken>,
    /// The raw ID token, for `id_token_hint`.
    pub id_token: Option<IdToken>,
    /// The scopes that were granted; `None` in the answer means "those asked for" (RFC 6749 §5.1).
    pub scope: Option<String>,
    /// From when on the access token's life is counted.
    pub since: Timestamp,
    /// How long that is: `expires_in`, or the configured default; never more than a year.
    pub expires_in: Duration,
}

impl Tokens {
    /// When the access token is over.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.since.plus(self.expires_in)
    }
}

/// From when on the life of a token counts that was asked for and came at these moments: from before it was asked for, which
/// is never too late. Of one that would be over when it comes, half is believed: the provider made it somewhere in between.
/// A clock that was set back meanwhile makes it no younger than it is.
pub(super) fn counted_from(asked: Timestamp, came: Timestamp, expires_in: Duration) -> Timestamp {
    asked.max(came.minus(expires_in / 2)).min(came)
}
