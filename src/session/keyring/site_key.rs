//! The keys derived from one master key for one site, one for each purpose (HKDF-SHA256, RFC 5869).

use aws_lc_rs::aead::{AES_256_GCM, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cookie::Key;
use zeroize::Zeroizing;

use super::{CookiePurpose, Purpose};
use crate::secret::MasterKey;
use crate::session::store::StoreKey;

/// The bytes that tell one key from another in front of what it sealed.
pub(super) const KEY_ID: usize = 6;

/// One master key's keys.
pub(super) struct SiteKey {
    /// Tells this key from the others of the ring; says nothing about it.
    pub(super) id: [u8; KEY_ID],
    /// Seals session cookies.
    pub(super) session_cookie: Key,
    /// Names the indexes.
    pub(super) index: hmac::Key,
    login_cookie: Key,
    log: hmac::Key,
    meta: RandomizedNonceKey,
    note: RandomizedNonceKey,
    pin: hmac::Key,
    master: MasterKey,
}

impl SiteKey {
    pub(super) fn derive(master: &MasterKey, site: &str) -> Self {
        let mac = |purpose| hmac::Key::new(hmac::HMAC_SHA256, expand::<32>(master, &[], purpose, site).as_ref());
        let jar = |purpose| Key::from(expand::<64>(master, &[], purpose, site).as_ref());
        Self {
            id: *expand(master, &[], "key id", site),
            session_cookie: jar("session cookie"),
            login_cookie: jar("login cookie"),
            meta: aead(&expand(master, &[], "meta", site)),
            note: aead(&expand(master, &[], "note", site)),
            index: mac("index"),
            pin: mac("pin"),
            log: mac("log"),
            master: master.clone(),
        }
    }

    pub(super) const fn cookie(&self, purpose: CookiePurpose) -> &Key {
        match purpose {
            CookiePurpose::Session => &self.session_cookie,
            CookiePurpose::Login => &self.login_cookie,
        }
    }

    /// Lends the key that seals `purpose`; the one for tokens exists only while it is lent.
    pub(super) fn with_sealer<T>(
        &self,
        purpose: Purpose<'_>,
        site: &str,
        work: impl FnOnce(&RandomizedNonceKey) -> T,
    ) -> T {
        match purpose {
            Purpose::Meta => work(&self.meta),
            Purpose::Note => work(&self.note),
            Purpose::Tokens(secret) => work(&aead(&expand(&self.master, secret.expose(), "tokens", site))),
        }
    }

    pub(super) fn log_name(&self, key: &StoreKey) -> String {
        hash(&self.log, &[key.as_bytes()], 9)
    }

    pub(super) fn pin(&self, issuer: &str, subject: &str) -> String {
        hash(&self.pin, &[issuer.as_bytes(), subject.as_bytes()], 16)
    }
}

/// The first `bytes` bytes of a keyed hash over the parts, as base64url.
pub(super) fn hash(key: &hmac::Key, parts: &[&[u8]], bytes: usize) -> String {
    URL_SAFE_NO_PAD.encode(&hmac::sign(key, &associated(parts)).as_ref()[..bytes])
}

/// The parts with their lengths in front, so that no two lists of parts read the same.
pub(super) fn associated(parts: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        joined.extend_from_slice(&(part.len() as u64).to_be_bytes());
        joined.extend_from_slice(part);
    }
    joined
}

fn aead(key: &[u8; 32]) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM, key).expect("an AES-256 key has 32 bytes")
}

/// One key for one purpose at one site; `salt` mixes in what else must be known to have it.
fn expand<const N: usize>(master: &MasterKey, salt: &[u8], purpose: &str, site: &str) -> Zeroizing<[u8; N]> {
    let info = [b"cloakroom 1".as_slice(), &[0], purpose.as_bytes(), &[0], site.as_bytes()];
    let mut key = Zeroizing::new([0; N]);
    Salt::new(HKDF_SHA256, salt)
        .extract(master.expose())
        .expand(&info, Length(N))
        .and_then(|okm| okm.fill(key.as_mut()))
        .expect("HKDF gives up to 8,160 bytes");
    key
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
