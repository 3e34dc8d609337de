//! What goes into a login at a provider, and what comes out of it.

use std::time::Duration;

use super::ProvenUser;
use crate::secret::{AccessToken, CodeVerifier, IdToken, Nonce, RefreshToken, State};

/// What one login attempt sends along, made fresh for it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// `state`
    pub state: State,
    /// `nonce`
    pub nonce: Nonce,
    /// The PKCE verifier; the request carries its S256 challenge (RFC 7636 §4.2).
    pub verifier: CodeVerifier,
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

/// The tokens of one answer of the token endpoint.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The bearer for the upstream.
    pub access_token: AccessToken,
    /// The token for the next refresh; `None` in the answer to a refresh means "keep the old one".
    pub refresh_token: Option<RefreshToken>,
    /// The raw ID token, for `id_token_hint`.
    pub id_token: Option<IdToken>,
    /// The scopes that were granted; `None` in the answer means "those asked for" (RFC 6749 §5.1).
    pub scope: Option<String>,
    /// The access token's lifetime: `expires_in`, or the configured default; never more than a year.
    pub expires_in: Duration,
}
