//! The record: what the store holds for a session, sealed so that a dump of the store tells nothing.
//!
//! It has two halves. [`Meta`] is what listing and ending need and opens with the site's key; [`Secrets`] hold the tokens
//! and claims and open only together with the secret in the browser's cookie. Store key, version and half are bound in:
//! a half copied to another session, or put back from an older version, does not open.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::keyring::{KeyId, Keyring, Purpose};
use super::store::{StoreKey, Stored};
use super::ticket::TicketSecret;
use crate::clock::Timestamp;
use crate::secret::{AccessToken, DpopKey, IdToken, RefreshToken, constant_time_eq};

/// The first byte of a sealed record. Replicas of this release and the next share a store during a rolling update: a
/// release that adds fields keeps this byte, and this one keeps the fields it does not know. Another byte is for a
/// layout that cannot be read, and is written only when no replica of a release that cannot is left.
const FORMAT: u8 = 1;

/// A session as it is worked with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// What is needed without the cookie.
    pub meta: Meta,
    /// What is not.
    pub secrets: Secrets,
}

/// Who is logged in, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The configured name of the provider.
    pub provider: String,
    /// The provider's issuer: users are known by issuer and subject, never by subject alone.
    pub issuer: String,
    /// `sub`
    pub subject: String,
    /// `sid`, the provider's own session id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// When the login was completed.
    pub created_at: Timestamp,
    /// The absolute end, whatever happens.
    pub ends_at: Timestamp,
    /// The last activity that was written; see `lifecycle` for how often that is.
    pub last_seen: Timestamp,
    /// When the access token was obtained.
    pub token_since: Timestamp,
    /// When the access token expires.
    pub token_until: Timestamp,
    /// 1 at login, one more with each new access token.
    pub generation: u64,
    /// Whether there is a refresh token.
    pub refreshable: bool,
    /// What tells the user from others, as it was at the login: no change of keys makes another user of this one. A record
    /// of an older release has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// Fields of a newer release, kept as they are: during a rolling update both write the same records.
    #[serde(flatten)]
    pub newer: Map<String, Value>,
}

/// What only the browser's ticket opens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Secrets {
    /// The bearer for the upstream.
    pub access_token: AccessToken,
    /// The token for the next refresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<RefreshToken>,
    /// The key that the access token is bound to, if it is bound to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_key: Option<DpopKey>,
    /// For `id_token_hint` at logout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token: Option<IdToken>,
    /// The scopes of the access token, separated by spaces; `None` is whatever the provider's configuration asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The claims that `/bff/session` may show.
    pub claims: Map<String, Value>,
    /// Fields of a newer release, kept as they are.
    #[serde(flatten)]
    pub newer: Map<String, Value>,
}

/// A stored record that does not open: altered, moved, rolled back, or sealed under a key that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored record does not open under this site's keys")]
pub struct Unopenable;

impl Record {
    /// Seals the record as `version` of the session at `key`.
    #[must_use]
    pub fn seal(&self, ring: &Keyring, key: &StoreKey, secret: &TicketSecret, version: u64) -> Bytes {
        let context = version.to_be_bytes();
        let context: &[&[u8]] = &[key.as_bytes(), &context];
        let meta = ring.seal(Purpose::Meta, context, &json(&self.meta));
        let secrets = ring.seal(Purpose::Tokens(secret), context, &json(&self.secrets));
        let mut sealed = Vec::with_capacity(5 + meta.len() + secrets.len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&u32::try_from(meta.len()).expect("identifiers are bounded").to_be_bytes());
        sealed.extend_from_slice(&meta);
        sealed.extend_from_slice(&secrets);
        sealed.into()
    }

    /// Opens both halves.
    ///
    /// # Errors
    /// [`Unopenable`] for anything but exactly what was sealed.
    pub fn open(ring: &Keyring, key: &StoreKey, secret: &TicketSecret, stored: &Stored) -> Result<Self, Unopenable> {
        let meta = Meta::open(ring, key, stored)?;
        let version = stored.version.to_be_bytes();
        let (_, secrets) = halves(&stored.sealed).ok_or(Unopenable)?;
        let secrets = ring.open(Purpose::Tokens(secret), &[key.as_bytes(), &version], secrets).ok_or(Unopenable)?;
        Ok(Self { meta, secrets: serde_json::from_slice(&secrets).map_err(|_| Unopenable)? })
    }
}

impl Meta {
    /// Whether both are the same user's: users are known by issuer and subject.
    #[must_use]
    pub fn is_same_user(&self, other: &Self) -> bool {
        (&self.issuer, &self.subject) == (&other.issuer, &other.subject)
    }

    /// The pin that pages of this session see.
    #[must_use]
    pub fn pin(&self, ring: &Keyring) -> String {
        self.pin.clone().unwrap_or_else(|| ring.pin(&self.issuer, &self.subject))
    }

    /// Whether `pin`, as a page remembers it, is this user's: that of this session, or of one that began under any key of
    /// the ring.
    #[must_use]
    pub fn has_pin(&self, ring: &Keyring, pin: &[u8]) -> bool {
        self.pin.as_ref().is_some_and(|own| constant_time_eq(own.as_bytes(), pin))
            || ring.is_pin_of(pin, &self.issuer, &self.subject)
    }

    /// Opens this half, for which no cookie is needed.
    ///
    /// # Errors
    /// [`Unopenable`] for anything but exactly what was sealed.
    pub fn open(ring: &Keyring, key: &StoreKey, stored: &Stored) -> Result<Self, Unopenable> {
        let version = stored.version.to_be_bytes();
        let (meta, _) = halves(&stored.sealed).ok_or(Unopenable)?;
        let meta = ring.open(Purpose::Meta, &[key.as_bytes(), &version], meta).ok_or(Unopenable)?;
        serde_json::from_slice(&meta).map_err(|_| Unopenable)
    }
}

/// The key that sealed this record; `None` when it is not one of ours.
#[must_use]
pub fn key_id(stored: &Stored) -> Option<KeyId> {
    KeyId::of(halves(&stored.sealed)?.0)
}

/// Whether the key that seals now sealed this record.
#[must_use]
pub fn is_current(ring: &Keyring, stored: &Stored) -> bool {
    halves(&stored.sealed).is_some_and(|(meta, secrets)| ring.is_current(meta) && ring.is_current(secrets))
}

fn json<T: Serialize>(half: &T) -> zeroize::Zeroizing<Vec<u8>> {
    zeroize::Zeroizing::new(serde_json::to_vec(half).expect("a record has only text keys"))
}

fn halves(sealed: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&format, rest) = sealed.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (format == FORMAT).then_some(())?;
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;
    use crate::secret::MasterKey;
    use crate::session::ticket::Ticket;

    fn record() -> Record {
        Record {
            meta: Meta {
                provider: "main".into(),
                issuer: "https://id.example".into(),
                subject: "subject-canary".into(),
                sid: None,
                created_at: Timestamp::from_secs(1),
                ends_at: Timestamp::from_secs(100),
                last_seen: Timestamp::from_secs(1),
                token_since: Timestamp::from_secs(1),
                token_until: Timestamp::from_secs(50),
                generation: 1,
                refreshable: true,
                pin: Some("pin".into()),
                newer: Map::new(),
            },
            secrets: Secrets {
                access_token: AccessToken::new("access-canary"),
                refresh_token: Some(RefreshToken::new("refresh-canary")),
                dpop_key: None,
                id_token: None,
                scope: None,
                claims: Map::new(),
                newer: Map::new(),
            },
        }
    }

    #[test]
    fn a_record_opens_only_as_the_version_of_the_session_it_was_sealed_for() {
        let origin = Origin::parse("https://one.example").unwrap();
        let ring = Keyring::new(&origin, &[MasterKey::random()]).unwrap();
        let (mine, other) = (Ticket::new(Timestamp::from_secs(100)), Ticket::new(Timestamp::from_secs(100)));
        let key = mine.store_key(&origin);
        let sealed = record().seal(&ring, &key, mine.secret(), 3);
        let stored = |version| Stored { version, sealed: sealed.clone() };
        let opened = Record::open(&ring, &key, mine.secret(), &stored(3)).unwrap();
        assert_eq!(opened.meta, record().meta);
        assert_eq!(opened.secrets.access_token.expose(), "access-canary");
        assert_eq!(Meta::open(&ring, &key, &stored(3)).unwrap(), record().meta);
        assert_eq!(super::key_id(&stored(3)), ring.ids().next());
        assert!(Meta::open(&ring, &key, &stored(4)).is_err());
        assert!(Meta::open(&ring, &other.store_key(&origin), &stored(3)).is_err());
        assert!(Record::open(&ring, &key, mine.secret(), &stored(4)).is_err());
        assert!(Record::open(&ring, &key, other.secret(), &stored(3)).is_err());
        assert!(Record::open(&ring, &other.store_key(&origin), mine.secret(), &stored(3)).is_err());
    }

    #[test]
    fn a_sealed_record_shows_nothing_and_no_cut_of_it_opens() {
        let origin = Origin::parse("https://one.example").unwrap();
        let ring = Keyring::new(&origin, &[MasterKey::random()]).unwrap();
        let ticket = Ticket::new(Timestamp::from_secs(100));
        let key = ticket.store_key(&origin);
        let sealed = record().seal(&ring, &key, ticket.secret(), 1);
        for canary in ["canary", "main", "id.example"] {
            assert!(!sealed.windows(canary.len()).any(|window| window == canary.as_bytes()), "{canary}");
        }
        for length in 0..sealed.len() {
            let stored = Stored { version: 1, sealed: sealed.slice(..length) };
            assert!(Record::open(&ring, &key, ticket.secret(), &stored).is_err());
        }
    }

    #[test]
    fn a_pin_is_that_of_the_login_and_a_page_may_know_the_user_by_any_key() {
        let origin = Origin::parse("https://one.example").unwrap();
        let (old, new) = (MasterKey::random(), MasterKey::random());
        let ring = |keys: &[&MasterKey]| {
            Keyring::new(&origin, &keys.iter().map(|key| (*key).clone()).collect::<Vec<_>>()).unwrap()
        };
        let (first, both, last) = (ring(&[&old]), ring(&[&new, &old]), ring(&[&new]));
        let user = Meta { pin: None, ..record().meta };
        let pin = user.pin(&first);
        assert_eq!(pin, first.pin(&user.issuer, &user.subject), "a record of an older release has none of its own");
        let meta = Meta { pin: Some(pin.clone()), ..user.clone() };
        assert_eq!([meta.pin(&both), meta.pin(&last)], [pin.clone(), pin.clone()]);
        let newer = both.pin(&user.issuer, &user.subject);
        assert!(meta.has_pin(&last, pin.as_bytes()) && meta.has_pin(&last, newer.as_bytes()));
        assert!(user.has_pin(&both, pin.as_bytes()) && !user.has_pin(&last, pin.as_bytes()));
        let other = Meta { subject: "other".into(), ..user.clone() };
        assert!(user.is_same_user(&meta) && !user.is_same_user(&other));
        assert!(!meta.has_pin(&both, other.pin(&both).as_bytes()));
    }

    #[test]
    fn what_a_newer_release_added_survives_a_write_of_this_one() {
        let origin = Origin::parse("https://one.example").unwrap();
        let ring = Keyring::new(&origin, &[MasterKey::random()]).unwrap();
        let ticket = Ticket::new(Timestamp::from_secs(100));
        let key = ticket.store_key(&origin);
        let mut newer = record();
        newer.meta.newer.insert("device".into(), "laptop".into());
        newer.secrets.newer.insert("device_key".into(), Value::from(vec![1, 2]));
        let stored = Stored { version: 1, sealed: newer.seal(&ring, &key, ticket.secret(), 1) };
        let mut opened = Record::open(&ring, &key, ticket.secret(), &stored).unwrap();
        opened.meta.generation += 1;
        let stored = Stored { version: 2, sealed: opened.seal(&ring, &key, ticket.secret(), 2) };
        let again = Record::open(&ring, &key, ticket.secret(), &stored).unwrap();
        assert_eq!(again.meta.newer, newer.meta.newer);
        assert_eq!(again.secrets.newer, newer.secrets.newer);
        assert_eq!(again.meta.generation, 2);
    }
}
