//! Who signed a token: the key is looked for among the provider's, and once more among newer ones.

use serde_json::{Map, Value};

use super::Unavailable;
use super::jws::{Jws, Verdict};
use super::kept::Occasion;
use super::oidc::Oidc;

/// Why a token is not believed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// The provider's keys cannot be had, so that nobody can tell.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// No key of the provider fits. It may be a forgery, or the provider began to use a key that is not known here yet and
    /// may not be asked for again so soon.
    #[error("none of the provider's keys made its signature")]
    UnknownKey,
    /// It is forged, or says what it must not.
    #[error("{0}")]
    Invalid(&'static str),
}

impl From<&'static str> for Refused {
    fn from(wrong: &'static str) -> Self {
        Self::Invalid(wrong)
    }
}

/// The claims of `jws`, once a key of the provider is found to have signed them.
pub(super) async fn claims(oidc: &Oidc, jws: &Jws<'_>, occasion: Occasion) -> Result<Map<String, Value>, Refused> {
    let keys = oidc.keys().await?;
    let mut verdict = jws.verify(&keys);
    if matches!(verdict, Verdict::NoKey) {
        // The provider may have rotated its keys just now (OpenID Connect Core §10.1.1).
        verdict = jws.verify(&*oidc.newer_keys(&keys, occasion).await?);
    }
    match verdict {
        Verdict::Genuine(claims) => Ok(claims),
        Verdict::Forged(wrong) => Err(Refused::Invalid(wrong)),
        Verdict::NoKey => Err(Refused::UnknownKey),
    }
}
