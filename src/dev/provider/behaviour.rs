//! How the provider behaves: lifetimes, and the ways in which real providers misbehave.

use std::time::Duration;

/// Lifetimes and quirks; can be changed while the provider runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// How long a code can be redeemed.
    pub code_lifetime: Duration,
    /// `expires_in`: short, so that a demo shows refreshes.
    pub access_token_lifetime: Duration,
    /// From an ID token's `iat` to its `exp`.
    pub id_token_lifetime: Duration,
    /// How long one login can be refreshed, rotations included.
    pub refresh_token_lifetime: Duration,
    /// How long the browser stays signed in at the provider.
    pub sso_lifetime: Duration,
    /// Whether a refresh returns a new refresh token.
    pub rotation: Rotation,
    /// How long the token endpoint thinks before it looks at a request.
    pub token_delay: Duration,
    /// Makes the token endpoint answer this status to everything, as a provider in trouble does.
    pub token_outage: Option<u16>,
    /// How long everything but its own page takes.
    pub slowness: Duration,
    /// Whether everything but its own page is 503.
    pub down: bool,
    /// Whether the key set cannot be had.
    pub keys_broken: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            code_lifetime: Duration::from_secs(60),
            access_token_lifetime: Duration::from_secs(120),
            id_token_lifetime: Duration::from_secs(300),
            refresh_token_lifetime: Duration::from_secs(12 * 3600),
            sso_lifetime: Duration::from_secs(8 * 3600),
            rotation: Rotation::EveryUse,
            token_delay: Duration::ZERO,
            token_outage: None,
            slowness: Duration::ZERO,
            down: false,
            keys_broken: false,
        }
    }
}

/// What happens to a refresh token when it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It is replaced; using it again revokes everything that came from the same login (RFC 9700 §4.14.2).
    EveryUse,
    /// It stays good, and the answer carries none.
    Never,
}
