//! More scopes than a session has: what is missing, and the sealed wish that a login takes along to get it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::{Auth, Session};
use crate::session::keyring::Purpose;

/// Tells a step from every other note that is sealed under a site's key.
const CONTEXT: &[&[u8]] = &[b"step"];

/// What a login asks for beside the configured scopes, and of whom. Sealed, since no page chooses scopes; the same for
/// every user, since only the configuration does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The provider of the session that falls short.
    pub provider: String,
    /// All that the route wants and the session had.
    pub scopes: Vec<String>,
}

impl Auth {
    /// The step that gives `session` all of `scopes`, sealed for a URL; `None` when it has them.
    #[must_use]
    pub fn step_up(&self, session: &Session, scopes: &[String]) -> Option<String> {
        if scopes.is_empty() {
            return None;
        }
        let provider = &session.record.meta.provider;
        let configured = || self.provider(provider).map(|provider| provider.scopes().to_vec()).unwrap_or_default();
        let granted = match &session.record.secrets.scope {
            Some(scope) => scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
            None => configured(),
        };
        if scopes.iter().all(|scope| granted.contains(scope)) {
            return None;
        }
        // A second step keeps what the first one brought.
        let missing = scopes.iter().filter(|scope| !granted.contains(scope)).cloned();
        let step = Step { provider: provider.clone(), scopes: granted.iter().cloned().chain(missing).collect() };
        let json = serde_json::to_vec(&step).expect("names and scopes are plain text");
        Some(URL_SAFE_NO_PAD.encode(self.ring.seal(Purpose::Note, CONTEXT, &json)))
    }

    /// Opens a step; `None` when this site did not seal it.
    #[must_use]
    pub fn open_step(&self, sealed: &str) -> Option<Step> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        serde_json::from_slice(&self.ring.open(Purpose::Note, CONTEXT, &sealed)?).ok()
    }
}
