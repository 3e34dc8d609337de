//! What the key ring promises.

use super::*;

const NAME: &str = "__Host-Http-cloakroom";

fn ring(origin: &str, keys: &[&MasterKey]) -> Keyring {
    let keys: Vec<MasterKey> = keys.iter().map(|key| (*key).clone()).collect();
    Keyring::new(&Origin::parse(origin).unwrap(), &keys).unwrap()
}

#[test]
fn a_cookie_opens_only_under_its_name_its_purpose_its_site_and_its_key() {
    let key = MasterKey::random();
    let one = ring("https://one.example", &[&key]);
    let sealed = one.seal_cookie(CookiePurpose::Session, NAME, "the value");
    assert_eq!(one.open_cookie(CookiePurpose::Session, NAME, &sealed).unwrap().value.as_str(), "the value");
    assert_eq!(one.open_cookie(CookiePurpose::Session, "__Host-cloakroom", &sealed), None);
    assert_eq!(one.open_cookie(CookiePurpose::Login, NAME, &sealed), None);
    assert_eq!(ring("https://two.example", &[&key]).open_cookie(CookiePurpose::Session, NAME, &sealed), None);
    assert_eq!(
        ring("https://one.example", &[&MasterKey::random()]).open_cookie(CookiePurpose::Session, NAME, &sealed),
        None
    );
}

#[test]
fn a_cookie_altered_anywhere_does_not_open() {
    let ring = ring("https://one.example", &[&MasterKey::random()]);
    let sealed = ring.seal_cookie(CookiePurpose::Session, NAME, "the value");
    for at in 0..sealed.len() {
        let mut altered = sealed.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert_eq!(ring.open_cookie(CookiePurpose::Session, NAME, &altered), None, "byte {at}");
        assert_eq!(ring.open_cookie(CookiePurpose::Session, NAME, &sealed[..at]), None, "cut at {at}");
    }
}

#[test]
fn a_rotation_opens_old_cookies_and_seals_under_the_new_key() {
    let (old, new) = (MasterKey::random(), MasterKey::random());
    let before = ring("https://one.example", &[&old]);
    let after = ring("https://one.example", &[&new, &old]);
    let sealed = before.seal_cookie(CookiePurpose::Session, NAME, "v");
    let opened = after.open_cookie(CookiePurpose::Session, NAME, &sealed).unwrap();
    assert!(!opened.current);
    let jar = after.to_jar(NAME, &opened, &sealed).unwrap();
    let again = after.from_jar(&jar).unwrap();
    assert!(after.open_cookie(CookiePurpose::Session, NAME, &again).unwrap().current);
    assert_eq!(before.open_cookie(CookiePurpose::Session, NAME, &again), None);
}

#[test]
fn tokens_need_the_cookies_secret_as_well_as_the_sites_key() {
    let ring = ring("https://one.example", &[&MasterKey::random()]);
    let (secret, other) = (TicketSecret::random(), TicketSecret::random());
    let sealed = ring.seal(Purpose::Tokens(&secret), &[b"session", b"1"], b"token");
    assert_eq!(ring.open(Purpose::Tokens(&secret), &[b"session", b"1"], &sealed).unwrap().as_slice(), b"token");
    assert!(ring.open(Purpose::Tokens(&other), &[b"session", b"1"], &sealed).is_none());
    assert!(ring.open(Purpose::Meta, &[b"session", b"1"], &sealed).is_none());
    assert!(ring.open(Purpose::Tokens(&secret), &[b"session", b"2"], &sealed).is_none());
    assert!(ring.open(Purpose::Tokens(&secret), &[b"session1", b""], &sealed).is_none());
}

#[test]
fn a_pin_is_one_users_at_one_site_and_survives_a_rotation() {
    let (old, new) = (MasterKey::random(), MasterKey::random());
    let before = ring("https://one.example", &[&old]);
    let pin = before.pin("https://id.example", "ada");
    assert_eq!(pin, before.pin("https://id.example", "ada"));
    assert_ne!(pin, before.pin("https://id.example", "grace"));
    assert_ne!(pin, before.pin("https://other.example", "ada"));
    assert_ne!(pin, ring("https://two.example", &[&old]).pin("https://id.example", "ada"));
    let after = ring("https://one.example", &[&new, &old]);
    assert!(after.is_pin_of(pin.as_bytes(), "https://id.example", "ada"));
    assert!(!after.is_pin_of(pin.as_bytes(), "https://id.example", "grace"));
}
