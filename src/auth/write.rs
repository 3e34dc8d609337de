//! How a session's record is written over the one that was read.

use super::{Auth, Session};
use crate::session::record::Record;
use crate::session::store::{Replaced, Store, StoreError};

impl Auth {
    /// Writes `record` in place of `session` as it was read, under the key that seals now. A session that an older key
    /// sealed is filed in the current key's indexes first, so that logouts everywhere and by the provider still find it
    /// when the older key is gone; should the write then fail, the entry names a session that the older key's name too.
    pub(super) async fn write(
        &self,
        store: &dyn Store,
        session: &Session,
        record: &Record,
    ) -> Result<Replaced, StoreError> {
        if !session.current_key {
            let meta = &record.meta;
            store.file(&self.ring.subject_index(&meta.issuer, &meta.subject), &session.key, meta.ends_at).await?;
            if let Some(sid) = &meta.sid {
                store.file(&self.ring.sid_index(&meta.issuer, sid), &session.key, meta.ends_at).await?;
            }
        }
        let sealed = record.seal(&self.ring, &session.key, session.ticket.secret(), session.version + 1);
        store.replace(&session.key, session.version, sealed).await
    }
}
