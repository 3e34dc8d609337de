//! The names and values in Redis, and what a release may do to them.
//!
//! A session is a hash: `v` its version, `d` the sealed record, `x` its absolute end in milliseconds; once it is over only
//! `e`, the reason. A newer release may add fields: those that are not known here are neither read nor removed by a
//! write, and go with the end. It may not change the meaning of these four or leave one out, and a reason it adds
//! must not be written before no older replica is left: a word that is not known is an error, never "no session".
//! What the sealed record holds has a version of its own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use redis::{Value, from_redis_value};

use super::request::Request;
use crate::clock::Timestamp;
use crate::session::store::changes::Change;
use crate::session::store::{EndReason, Holder, Loaded, SignOfLife, StoreError, StoreKey, Stored};

/// Where changes are told. The scripts name it, too.
pub(super) const CHANGES: &str = "cloakroom:changes";

/// The names of all sessions.
pub(super) const SESSIONS: &str = "cloakroom:s:{*}";

/// What [`fields`] is given.
pub(super) type Fields = (Option<u64>, Option<Bytes>, Option<u64>, Option<Bytes>);

/// A name; `kind` is `s` for a session, `i` an index, `n` a note, `l` a lease, `b` a budget; `m` is a process's mark. Braces keep the hash alone in charge of the slot.
pub(super) fn name(kind: &str, key: &StoreKey) -> String {
    format!("cloakroom:{kind}:{{{key}}}")
}

/// The session that `name` is of.
pub(super) fn session(name: &str) -> Option<StoreKey> {
    let hash = name.strip_prefix("cloakroom:s:{")?.strip_suffix('}')?;
    Some(StoreKey::from_bytes(URL_SAFE_NO_PAD.decode(hash).ok()?.try_into().ok()?))
}

/// Asks for a session's [`Fields`].
pub(super) fn read(name: String) -> Request {
    Request::about("HMGET", name).arg(&["v", "d", "x", "e"]).repeatable()
}

/// What the fields of a session mean, and its absolute end while it is live.
pub(super) fn loaded(fields: Fields) -> Result<(Loaded, Timestamp), StoreError> {
    match fields {
        (None, None, None, None) => Ok((Loaded::Absent, Timestamp::default())),
        (_, _, _, Some(word)) => {
            let reason = EndReason::parse(&word).ok_or_else(|| unreadable("session"))?;
            Ok((Loaded::Ended(reason), Timestamp::default()))
        }
        (Some(version), Some(sealed), Some(until), None) => {
            Ok((Loaded::Live(Stored { version, sealed }), Timestamp::from_millis(until)))
        }
        _ => Err(unreadable("session")),
    }
}

/// What a session was at its end: the version and the sealed record, as the script answers.
pub(super) fn ended(fields: Vec<Value>) -> Result<Stored, StoreError> {
    let fields: (u64, Bytes) = from_redis_value(Value::Array(fields)).map_err(|_| unreadable("session"))?;
    Ok(Stored { version: fields.0, sealed: fields.1 })
}

/// A sign of life as it stands behind the `h` of a lease: the holder in 16 bytes, then the count in digits.
pub(super) fn said(last: &SignOfLife) -> Vec<u8> {
    [&last.holder.0.to_be_bytes()[..], last.count.to_string().as_bytes()].concat()
}

/// The reverse, of the one value that a script answers with.
pub(super) fn sign_of_life(answer: &[Value]) -> Option<SignOfLife> {
    let [Value::BulkString(bytes)] = answer else { return None };
    let (holder, count) = bytes.split_first_chunk()?;
    let count = std::str::from_utf8(count).ok()?.parse().ok()?;
    Some(SignOfLife { holder: Holder(u128::from_be_bytes(*holder)), count })
}

/// The reason that a script answered with.
pub(super) fn reason(answer: &Value) -> Result<Option<EndReason>, StoreError> {
    match answer {
        Value::Nil => Ok(None),
        Value::BulkString(word) => EndReason::parse(word).map(Some).ok_or_else(|| unreadable("session")),
        _ => Err(unreadable("session")),
    }
}

/// What a message on [`CHANGES`] tells: the session's hash, then `w` and its version, or `e`. A newer release may say
/// more behind that, or something else altogether; then the session counts as written at a version beyond all others.
pub(super) fn change(message: &[u8]) -> Option<(StoreKey, Change)> {
    let (hash, news) = message.split_first_chunk::<32>()?;
    let version = || std::str::from_utf8(news.strip_prefix(b"w")?).ok()?.parse().ok();
    let change = match news {
        [b'e', ..] => Change::Ended,
        _ => Change::Written(version().unwrap_or(u64::MAX)),
    };
    Some((StoreKey::from_bytes(*hash), change))
}

/// Somebody else wrote under our names, or a newer release did.
pub(super) fn unreadable(what: &str) -> StoreError {
    StoreError(format!("Redis holds a {what} in a form this release does not know"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_session() {
        let key = StoreKey::of(&[b"x"]);
        assert_eq!(session(&name("s", &key)), Some(key));
        assert_eq!(session(&name("i", &key)), None);
        assert_eq!(session("cloakroom:s:{x}"), None);
    }

    #[test]
    fn a_sign_of_life_reads_back_as_it_was_written() {
        let last = SignOfLife { holder: Holder(u128::MAX - 7), count: 1234 };
        assert_eq!(sign_of_life(&[Value::BulkString(said(&last))]), Some(last));
        for wrong in [&b"short"[..], b"0123456789abcdef", b"0123456789abcdefx"] {
            assert_eq!(sign_of_life(&[Value::BulkString(wrong.to_vec())]), None);
        }
    }

    #[test]
    fn a_change_that_is_not_understood_is_still_a_change() {
        let key = StoreKey::of(&[b"x"]);
        let said = |news: &[u8]| change(&[key.as_bytes(), news].concat()).map(|(_, change)| change);
        assert_eq!(said(b"w12"), Some(Change::Written(12)));
        assert_eq!(said(b"e"), Some(Change::Ended));
        assert_eq!(said(b"w12 and more"), Some(Change::Written(u64::MAX)));
        assert_eq!(said(b""), Some(Change::Written(u64::MAX)));
        assert_eq!(change(b"short"), None);
    }

    #[test]
    fn fields_of_a_newer_release_do_not_hide_a_session() {
        assert_eq!(loaded((None, None, None, None)).unwrap().0, Loaded::Absent);
        assert!(loaded((Some(1), None, None, None)).is_err());
    }
}
