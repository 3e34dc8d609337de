//! A site's key as `keygen` prints it, and the refusal of keys that someone could guess.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::Origin;
use super::fault::Wrong;
use crate::secret::MasterKey;

/// The key that documentation shows; it is well formed and refused.
pub(super) const SAMPLE: &str = "sample-key-run-cloakroom-keygen-for-yours-A";

/// A random key of 32 bytes has about 30 different ones; fewer than this is no accident.
const LEAST_DIFFERENT_BYTES: usize = 20;

/// Reads 32 bytes in base64url (as `keygen` prints them), base64 or hex. No message shows the key.
pub(super) fn parse(text: &str) -> Result<MasterKey, Wrong> {
    let text = text.trim();
    if text == SAMPLE {
        return Err(weak("is the sample from the documentation"));
    }
    let bytes = Zeroizing::new(decode(text).ok_or_else(|| weak("is not 32 bytes in base64url, base64 or hex"))?);
    let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| {
        let found = bytes.len();
        weak(&format!("holds {found} bytes where a key has 32"))
    })?;
    if let Some(why) = guessable(&key).or_else(|| typed(text)) {
        return Err(weak(why));
    }
    Ok(MasterKey::new(key))
}

/// The key of a local site that names none: the same until this process ends, so that a reload logs nobody out.
pub(super) fn of_this_process(origin: &Origin) -> MasterKey {
    static KEYS: Mutex<BTreeMap<String, MasterKey>> = Mutex::new(BTreeMap::new());
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    keys.entry(origin.to_string()).or_insert_with(MasterKey::random).clone()
}

fn weak(wrong: &str) -> Wrong {
    Wrong::new(wrong, "make one with `cloakroom keygen`")
}

fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let digits = text.as_bytes().chunks(2);
        return digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect();
    }
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [alphabet::URL_SAFE, alphabet::STANDARD]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok())
}

fn guessable(key: &[u8; 32]) -> Option<&'static str> {
    if key.iter().all(|byte| *byte == 0) {
        return Some("is all zero");
    }
    let step = key[1].wrapping_sub(key[0]);
    if key.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step) {
        return Some("counts up or repeats one byte");
    }
    if key.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        return Some("is a text that someone wrote, not random bytes");
    }
    let mut different = key.to_vec();
    different.sort_unstable();
    different.dedup();
    (different.len() < LEAST_DIFFERENT_BYTES).then_some("repeats the same few bytes")
}

/// Random base64 without a capital, or without a small letter, comes up once in billions of keys.
fn typed(text: &str) -> Option<&'static str> {
    let base64 = text.len() < 64;
    let small = text.bytes().any(|byte| byte.is_ascii_lowercase());
    let capital = text.bytes().any(|byte| byte.is_ascii_uppercase());
    (base64 && !(small && capital)).then_some("looks like words that someone typed, not random bytes")
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    fn wrong(text: &str) -> String {
        parse(text).expect_err("is refused").wrong
    }

    #[test]
    fn a_key_is_read_in_each_of_its_spellings() {
        let key = MasterKey::random();
        let hex: String = key.expose().iter().map(|byte| format!("{byte:02x}")).collect();
        let spellings = [URL_SAFE_NO_PAD.encode(key.expose()), STANDARD.encode(key.expose()), hex];
        for text in spellings {
            assert_eq!(parse(&text), Ok(key.clone()));
            assert_eq!(parse(&format!("{text}\n")), Ok(key.clone()));
        }
    }

    #[test]
    fn a_key_that_someone_could_guess_is_refused() {
        let mut repeated = [0; 32];
        for (index, byte) in repeated.iter_mut().enumerate() {
            *byte = [7, 250, 31, 180][index % 4];
        }
        let counting: [u8; 32] = std::array::from_fn(|index| index as u8 + 100);
        let cases: [(String, &str); 7] = [
            (URL_SAFE_NO_PAD.encode([0; 32]), "is all zero"),
            (URL_SAFE_NO_PAD.encode([171; 32]), "counts up or repeats one byte"),
            (URL_SAFE_NO_PAD.encode(counting), "counts up or repeats one byte"),
            (URL_SAFE_NO_PAD.encode(repeated), "repeats the same few bytes"),
            (STANDARD.encode("correct horse battery staple 123"), "is a text that someone wrote, not random bytes"),
            ("correct-horse-battery-staple-and-some-more-".to_owned(), "is not 32 bytes in base64url, base64 or hex"),
            (SAMPLE.to_owned(), "is the sample from the documentation"),
        ];
        for (text, why) in cases {
            assert_eq!(wrong(&text), why);
        }
        assert_eq!(
            wrong("correct-horse-battery-staple-and-so-forth-4"),
            "looks like words that someone typed, not random bytes"
        );
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        assert_eq!(wrong(&URL_SAFE_NO_PAD.encode([9; 16])), "holds 16 bytes where a key has 32");
        assert_eq!(wrong("hunter2!"), "is not 32 bytes in base64url, base64 or hex");
    }

    #[test]
    fn the_sample_would_be_a_key_if_it_were_not_refused() {
        assert_eq!(decode(SAMPLE).map(|bytes| bytes.len()), Some(32));
    }
}
