//! What a session that is over gives back to its provider: in the background, and as well as can be.

use std::sync::Arc;
use std::time::Duration;

use super::Auth;
use super::budget::Call;
use super::refresh::{LONGEST_CALL, renewed};
use crate::provider::{Provider, Refreshed, Renewal};
use crate::session::lifecycle::token_due_in;
use crate::session::record::Record;

impl Auth {
    /// Tells the provider's logout hook, then gives the refresh token back: the access token may end with that.
    pub(super) fn hand_back_later(self: &Arc<Self>, record: &Record) {
        let (auth, record) = (Arc::clone(self), record.clone());
        self.background.spawn(async move {
            let Some(provider) = auth.provider_of(&record.meta.provider, &record.meta.issuer) else { return };
            let Some(record) = auth.able_to_leave(provider, record).await else { return };
            let secrets = &record.secrets;
            if let Err(error) = provider.tell_of_logout(&secrets.access_token, secrets.dpop_key.as_ref()).await {
                let provider = &record.meta.provider;
                tracing::warn!(event = "logout_hook_failed", site = auth.name, provider, %error);
            }
            auth.revoke_later(&record);
        });
    }

    /// The record with an access token that opens the logout hook. One that has run out while nobody called is renewed for
    /// it, once and if the token endpoint has room: such a provider has no other way to hear that its refresh token is over.
    /// `None` if that is over already.
    async fn able_to_leave(&self, provider: &Provider, record: Record) -> Option<Record> {
        let (meta, secrets) = (&record.meta, &record.secrets);
        let is_over = token_due_in(meta, self.limits(meta), self.clock.now()).is_zero();
        let refresh_token = secrets.refresh_token.as_ref().filter(|_| is_over && provider.is_told_of_logouts());
        let Some(refresh_token) = refresh_token else { return Some(record) };
        let turn = self.purse(provider).turn(self.background.store(), Call::Early, Duration::ZERO).await;
        if turn.is_err() {
            return Some(record);
        }
        let (scope, dpop_key) = (secrets.scope.as_deref(), secrets.dpop_key.as_ref());
        let renewal = Renewal { refresh_token, subject: &meta.subject, scope, dpop_key, patience: LONGEST_CALL };
        match self.ask_for_tokens(provider, &renewal).await {
            Refreshed::Tokens(tokens) => Some(renewed(&record, &tokens)),
            Refreshed::Rejected(_) => None,
            Refreshed::Unavailable(_)
            | Refreshed::Throttled(_)
            | Refreshed::Unknown(_)
            | Refreshed::Misconfigured(_) => Some(record),
        }
    }

    /// Gives a session's tokens back to the provider, which may take its time.
    pub(super) fn revoke_later(self: &Arc<Self>, record: &Record) {
        let (access_token, refresh_token) = (record.secrets.access_token.clone(), record.secrets.refresh_token.clone());
        let (auth, name, issuer) = (Arc::clone(self), record.meta.provider.clone(), record.meta.issuer.clone());
        let key = record.secrets.dpop_key.clone();
        self.background.spawn(async move {
            let Some(provider) = auth.provider_of(&name, &issuer) else { return };
            if let Err(error) = provider.give_back(&access_token, refresh_token.as_ref(), key.as_ref()).await {
                tracing::warn!(event = "revocation_failed", site = %auth.site.origin, provider = name, %error);
            }
        });
    }
}
