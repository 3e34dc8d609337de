//! Tokens that are bound to a key (RFC 9449 §7): a proof for each request, and the nonce that the upstream wants in it.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, WWW_AUTHENTICATE};

use super::{Forward, ForwardError};
use crate::dpop::{Nonces, asks_for_nonce};
use crate::proxy::upstream::{Answer, UpstreamClients};

/// Where the upstream says what it wants to see.
static NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

impl Forward<'_> {
    /// The proof of this request, whose `target` is at the upstream, if its token is bound to a key.
    pub(super) fn proof(&self, target: &[u8], nonces: &Nonces) -> Option<String> {
        let bearer = self.bearer().filter(|bearer| bearer.is_bound())?;
        let upstream = self.route.target.origin(self.origin);
        // §4.2: without query; a target has no fragment.
        let path = std::str::from_utf8(target.split(|byte| *byte == b'?').next()?).ok()?;
        let nonce = nonces.of(&upstream);
        bearer.proof(self.request.method().as_str(), &format!("{upstream}{path}"), nonce.as_deref())
    }

    /// Remembers the nonce of an answer, good or bad (§8.2); whether the answer is nothing but the wish for it.
    pub(super) fn wants_nonce(&self, clients: &UpstreamClients, answer: &Answer) -> bool {
        if !self.bearer().is_some_and(|bearer| bearer.is_bound()) {
            return false;
        }
        let nonce = answer.fields.get(&NONCE).map(|value| value.as_bytes());
        let has_nonce = clients.nonces().remember(&self.route.target.origin(self.origin), nonce);
        let mut challenges = answer.fields.all(&WWW_AUTHENTICATE).filter_map(|value| value.to_str().ok());
        has_nonce && answer.status == StatusCode::UNAUTHORIZED && challenges.any(asks_for_nonce)
    }

    /// What becomes of a request that cannot be sent once more: the nonce is known now, and nobody was logged out.
    pub(super) fn refuse_wish(&self, clients: &UpstreamClients, answer: Answer) -> Result<Answer, ForwardError> {
        if self.wants_nonce(clients, &answer) {
            return Err(ForwardError::Unreachable("it wants yet another nonce in a DPoP proof".to_owned()));
        }
        Ok(answer)
    }
}
