//! The ticket: what the browser keeps for its session, before it is sealed into the cookie.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::{Zeroize as _, Zeroizing};

use super::store::StoreKey;
use crate::clock::Timestamp;
use crate::config::Origin;
use crate::secret::random_bytes;

const ID: usize = 16;
const SECRET: usize = 32;
const TIME: usize = 8;

/// A session's random id, the secret that its tokens are sealed with, and its absolute end. The end is in the ticket so
/// that a session that the store has long forgotten is still told to have expired.
#[derive(Clone)]
pub struct Ticket {
    id: Zeroizing<[u8; ID]>,
    secret: TicketSecret,
    ends_at: Timestamp,
}

impl Ticket {
    /// A ticket for a new session: 128 random bits of id, 256 of secret.
    #[must_use]
    pub fn new(ends_at: Timestamp) -> Self {
        Self { id: Zeroizing::new(random_bytes()), secret: TicketSecret::random(), ends_at }
    }

    /// The ticket as text: 75 characters of base64url, whatever the session holds.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(ID + SECRET + TIME));
        bytes.extend_from_slice(self.id.as_ref());
        bytes.extend_from_slice(self.secret.expose());
        bytes.extend_from_slice(&self.ends_at.as_millis().to_be_bytes());
        Zeroizing::new(URL_SAFE_NO_PAD.encode(&bytes))
    }

    /// Reads what [`Self::encode`] wrote.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        let (id, rest) = bytes.split_first_chunk::<ID>()?;
        let (secret, rest) = rest.split_first_chunk::<SECRET>()?;
        let ends_at = Timestamp::from_millis(u64::from_be_bytes(rest.try_into().ok()?));
        Some(Self { id: Zeroizing::new(*id), secret: TicketSecret(Zeroizing::new(*secret)), ends_at })
    }

    /// The key of this session in the store. The site is hashed in: a ticket of one site names nothing at another.
    #[must_use]
    pub fn store_key(&self, site: &Origin) -> StoreKey {
        StoreKey::of(&[b"session", site.as_str().as_bytes(), self.id.as_ref()])
    }

    /// The secret that the session's tokens are sealed with.
    #[must_use]
    pub const fn secret(&self) -> &TicketSecret {
        &self.secret
    }

    /// The session's absolute end.
    #[must_use]
    pub const fn ends_at(&self) -> Timestamp {
        self.ends_at
    }
}

/// As its text, for what is sealed as the ticket itself is.
impl Serialize for Ticket {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encode())
    }
}

impl<'de> Deserialize<'de> for Ticket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::<String>::deserialize(deserializer)?;
        Self::decode(&text).ok_or_else(|| de::Error::custom("it is no ticket"))
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("ends_at", &self.ends_at).finish_non_exhaustive()
    }
}

/// 256 bits that only the browser's cookie carries.
#[derive(Clone)]
pub struct TicketSecret(Zeroizing<[u8; SECRET]>);

impl TicketSecret {
    /// A fresh secret.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = random_bytes();
        let secret = Self(Zeroizing::new(bytes));
        bytes.zeroize();
        secret
    }

    /// The secret's bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; SECRET] {
        &self.0
    }
}

impl std::fmt::Debug for TicketSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TicketSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_ticket_survives_its_text_and_nothing_shorter_or_longer_is_one() {
        let ticket = Ticket::new(Timestamp::from_secs(1_800_000_000));
        let text = ticket.encode();
        let site = Origin::parse("https://one.example").unwrap();
        let read = Ticket::decode(&text).unwrap();
        assert_eq!(read.store_key(&site), ticket.store_key(&site));
        assert_eq!(read.secret().expose(), ticket.secret().expose());
        assert_eq!(read.ends_at(), ticket.ends_at());
        let json = serde_json::to_string(&ticket).unwrap();
        assert_eq!(serde_json::from_str::<Ticket>(&json).unwrap().encode(), text);
        assert!(Ticket::decode(&text[..text.len() - 2]).is_none());
        assert!(Ticket::decode(&format!("{}AA", text.as_str())).is_none());
        assert!(Ticket::decode("").is_none());
    }

    #[test]
    fn a_ticket_names_a_session_of_one_site_only() {
        let ticket = Ticket::new(Timestamp::from_secs(1));
        let (one, two) = (Origin::parse("https://one.example").unwrap(), Origin::parse("https://two.example").unwrap());
        assert_ne!(ticket.store_key(&one), ticket.store_key(&two));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic_and_one_ticket_has_one_text(text in "[A-Za-z0-9_=+/.-]{70,82}|\\PC{0,90}") {
            if let Some(ticket) = Ticket::decode(&text) {
                prop_assert_eq!(ticket.encode().to_string(), text);
            }
        }

        #[test]
        fn any_bytes_of_the_right_length_are_a_ticket_with_one_text(bytes in prop::collection::vec(any::<u8>(), ID + SECRET + 8)) {
            let text = URL_SAFE_NO_PAD.encode(&bytes);
            prop_assert_eq!(Ticket::decode(&text).expect("a ticket").encode().to_string(), text);
        }
    }
}
