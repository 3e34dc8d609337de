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
