//! The keys of one site: everything sealed for its browsers and its records is sealed and opened here, nowhere else.
//!
//! Each configured master key gives one key per purpose (HKDF-SHA256 over purpose and site), so that a value sealed as
//! one thing never opens as another, nor at another site. The first key seals, all of them open; the id of the sealing
//! key stands in front of every sealed value.

use std::fmt;

use aws_lc_rs::aead::{Aad, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cookie::{Cookie, CookieJar, Key};
use zeroize::Zeroizing;

use self::site_key::{KEY_ID, SiteKey, associated, hash};
use super::store::StoreKey;
use super::ticket::TicketSecret;
use crate::config::Origin;
use crate::secret::{MasterKey, constant_time_eq};

mod site_key;

const NONCE: usize = 12;

/// Tells one key from another and says nothing about it; stands in front of whatever the key sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; KEY_ID]);

impl KeyId {
    /// The id in front of a sealed value.
    #[must_use]
    pub fn of(sealed: &[u8]) -> Option<Self> {
        sealed.first_chunk().copied().map(Self)
    }
}

/// As it stands in front of a cookie's value.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// What a sealed cookie is; the cookie's name is bound in as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookiePurpose {
    /// The ticket of a session.
    Session,
    /// One login attempt.
    Login,
}

/// What a sealed value in the store is.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'a> {
    /// What listing and ending a session need: opens with the site's key alone.
    Meta,
    /// The tokens: open only with the site's key and the secret in the browser's cookie together.
    Tokens(&'a TicketSecret),
    /// A short-lived note, such as where a logout ends.
    Note,
}

/// The keys of one site. There is always one that seals.
pub struct Keyring {
    site: String,
    current: SiteKey,
    previous: Vec<SiteKey>,
}

/// A cookie's value, opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The plain value.
    pub value: Zeroizing<String>,
    /// Whether the key that seals now sealed it; if not, it is due to be sealed again.
    pub current: bool,
}

impl Keyring {
    /// The keys of the site at `origin`; `None` without any key.
    #[must_use]
    pub fn new(origin: &Origin, keys: &[MasterKey]) -> Option<Self> {
        let site = origin.to_string();
        let (current, previous) = keys.split_first()?;
        Some(Self {
            current: SiteKey::derive(current, &site),
            previous: previous.iter().map(|key| SiteKey::derive(key, &site)).collect(),
            site,
        })
    }

    /// The key that actix-session seals the session cookie with. Its values are the inner half of [`Self::seal_cookie`]'s:
    /// [`Self::from_jar`] and [`Self::to_jar`] lead from one to the other.
    #[must_use]
    pub fn session_cookie_key(&self) -> &Key {
        &self.current.session_cookie
    }

    /// Seals a cookie's value: key id, dot, base64url of nonce, ciphertext and tag. The cookie's name is associated data.
    #[must_use]
    pub fn seal_cookie(&self, purpose: CookiePurpose, name: &str, value: &str) -> String {
        let mut jar = CookieJar::new();
        jar.private_mut(self.current.cookie(purpose)).add(Cookie::new(name.to_owned(), value.to_owned()));
        let sealed = jar.get(name).expect("the cookie just added is in the jar");
        self.from_jar(sealed.value()).expect("the jar writes standard base64")
    }

    /// Opens a cookie's value; anything altered, foreign or misnamed is `None`.
    #[must_use]
    pub fn open_cookie(&self, purpose: CookiePurpose, name: &str, sealed: &str) -> Option<Opened> {
        let (key, inner) = self.split(sealed)?;
        let opened = CookieJar::new()
            .private(key.cookie(purpose))
            .decrypt(Cookie::new(name.to_owned(), STANDARD.encode(inner)))?;
        Some(Opened {
            value: Zeroizing::new(opened.value().to_owned()),
            current: constant_time_eq(&key.id, &self.current.id),
        })
    }

    /// A value as the `cookie` crate's private jar writes it, made into one as [`Self::seal_cookie`] writes it.
    /// `None` when it is no base64.
    #[must_use]
    pub fn from_jar(&self, sealed: &str) -> Option<String> {
        let inner = STANDARD.decode(sealed).ok()?;
        Some(format!("{}.{}", URL_SAFE_NO_PAD.encode(self.current.id), URL_SAFE_NO_PAD.encode(inner)))
    }

    /// The way back, for a session cookie that [`Self::open_cookie`] opened: sealed again under the current key if an
    /// older one sealed it.
    #[must_use]
    pub fn to_jar(&self, name: &str, opened: &Opened, sealed: &str) -> Option<String> {
        if opened.current {
            return Some(STANDARD.encode(self.split(sealed)?.1));
        }
        Some(STANDARD.encode(self.split(&self.seal_cookie(CookiePurpose::Session, name, &opened.value))?.1))
    }

    /// Seals a value for the store: key id, nonce, ciphertext, tag. `context` is associated data: whatever must be the
    /// same when it is opened.
    #[must_use]
    pub fn seal(&self, purpose: Purpose<'_>, context: &[&[u8]], plain: &[u8]) -> Vec<u8> {
        let mut body = plain.to_vec();
        let nonce = self.current.with_sealer(purpose, &self.site, |key| {
            key.seal_in_place_append_tag(Aad::from(associated(context)), &mut body)
                .expect("AES-GCM seals anything that fits in memory")
        });
        let mut sealed = Vec::with_capacity(KEY_ID + NONCE + body.len());
        sealed.extend_from_slice(&self.current.id);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut body);
        sealed
    }

    /// Opens what [`Self::seal`] sealed; `None` when any of it, or its context, was altered, or its key is gone.
    #[must_use]
    pub fn open(&self, purpose: Purpose<'_>, context: &[&[u8]], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (id, rest) = sealed.split_at_checked(KEY_ID)?;
        let (nonce, body) = rest.split_at_checked(NONCE)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = self.by_id(id)?.with_sealer(purpose, &self.site, |key| {
            key.open_in_place(nonce, Aad::from(associated(context)), &mut body).map(|plain| plain.len()).ok()
        })?;
        body.truncate(length);
        Some(body)
    }

    /// Whether the key that seals now sealed this value.
    #[must_use]
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.get(..KEY_ID) == Some(&self.current.id[..])
    }

    /// The ids of all keys, the one that seals first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.all().map(|key| KeyId(key.id))
    }

    /// The index that files a new session under its user.
    #[must_use]
    pub fn subject_index(&self, issuer: &str, subject: &str) -> StoreKey {
        index(&self.current, &[b"subject", issuer.as_bytes(), subject.as_bytes()])
    }

    /// The index that files a new session under the provider's `sid`.
    #[must_use]
    pub fn sid_index(&self, issuer: &str, sid: &str) -> StoreKey {
        index(&self.current, &[b"sid", issuer.as_bytes(), sid.as_bytes()])
    }

    /// Every index that may file sessions of one user, the current key's first.
    #[must_use]
    pub fn subject_indexes(&self, issuer: &str, subject: &str) -> Vec<StoreKey> {
        self.all().map(|key| index(key, &[b"subject", issuer.as_bytes(), subject.as_bytes()])).collect()
    }

    /// Every index that may file sessions with the provider's `sid`, the current key's first.
    #[must_use]
    pub fn sid_indexes(&self, issuer: &str, sid: &str) -> Vec<StoreKey> {
        self.all().map(|key| index(key, &[b"sid", issuer.as_bytes(), sid.as_bytes()])).collect()
    }

    /// What tells one user of this site from another without naming them: a keyed hash of site, issuer and subject.
    #[must_use]
    pub fn pin(&self, issuer: &str, subject: &str) -> String {
        self.current.pin(issuer, subject)
    }

    /// Whether `pin` is this user's, under any key of the ring, so that a rotation changes nobody's identity.
    #[must_use]
    pub fn is_pin_of(&self, pin: &[u8], issuer: &str, subject: &str) -> bool {
        self.all().any(|key| constant_time_eq(key.pin(issuer, subject).as_bytes(), pin))
    }

    /// How a session appears in logs: a keyed hash that only this site's key can compute.
    #[must_use]
    pub fn log_name(&self, key: &StoreKey) -> String {
        self.current.log_name(key)
    }

    /// Whether `name` is how this session appears, or appeared under an older key of the ring.
    #[must_use]
    pub fn is_log_name_of(&self, name: &str, key: &StoreKey) -> bool {
        self.all().any(|known| known.log_name(key) == name)
    }

    fn split(&self, sealed: &str) -> Option<(&SiteKey, Vec<u8>)> {
        let (id, inner) = sealed.split_once('.')?;
        let id = URL_SAFE_NO_PAD.decode(id).ok()?;
        Some((self.by_id(&id)?, URL_SAFE_NO_PAD.decode(inner).ok()?))
    }

    fn by_id(&self, id: &[u8]) -> Option<&SiteKey> {
        self.all().find(|key| key.id == id)
    }

    fn all(&self) -> impl Iterator<Item = &SiteKey> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

fn index(key: &SiteKey, parts: &[&[u8]]) -> StoreKey {
    StoreKey::of(&[b"index", hash(&key.index, parts, 32).as_bytes()])
}

#[cfg(test)]
mod tests;
