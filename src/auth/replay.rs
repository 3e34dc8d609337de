//! Which token a request may be sent again with after an upstream has refused the first (contract section 6.6).
//!
//! Providers such as Laravel Passport revoke the old access token the moment they hand out the next. A request that is
//! on its way with the old one is then refused, although its session is as good as ever.

use std::sync::Arc;
use std::time::Duration;

use super::{Auth, CurrentError, Session};
use crate::secret::AccessToken;
use crate::session::lifecycle::TokenLife;
use crate::session::store::Store;

/// How long a refused request waits for a refresh that is under way.
const PATIENCE: Duration = Duration::from_secs(5);

impl Auth {
    /// The access token that has replaced `sent`, which an upstream refused when a request of `session` carried it;
    /// `None` when it is still the newest, or the session is over by now: then the upstream's word stands.
    pub async fn newer_token(
        self: &Arc<Self>,
        store: &dyn Store,
        session: &Session,
        sent: &AccessToken,
    ) -> Option<AccessToken> {
        let mut newest = match self.current_now(store, session.ticket.clone()).await {
            Ok(newest) => newest,
            Err(CurrentError::Absent(_)) => return None,
            // A refresh of this process may hold a newer token than the store that is down.
            Err(CurrentError::Store(_)) => session.clone(),
        };
        // A refresh that goes on beside requests has begun, and the refusal says that the provider is done with the old
        // token: it is good no more, so the new one is waited for.
        if newest.life.token == TokenLife::Early {
            newest.life.token = TokenLife::Due;
        }
        let token = tokio::time::timeout(PATIENCE, self.access_token(&newest)).await.ok()?.ok()?;
        let newer = (*token != *sent).then(|| token.into_owned());
        tracing::debug!(session = %self.ring.log_name(&session.key), newer = newer.is_some(), "an upstream refused a token");
        newer
    }
}
