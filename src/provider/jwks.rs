//! The provider's signing keys: which of them fits a token is decided here, never by the token (RFC 7517, RFC 8725 §3.1).

use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};
use url::Url;

use super::Unavailable;
use super::back_channel::BackChannel;

/// The most keys that are looked at; a provider has a handful.
const MOST_KEYS: usize = 100;
/// RSA keys have at least 2048 bits (RFC 7518 §3.3).
const LEAST_RSA_BITS: usize = 2048;

/// The usable keys of one JWK set.
pub(super) struct KeySet(Vec<Key>);

/// One public key for signatures.
pub(super) struct Key {
    kid: Option<String>,
    alg: Option<String>,
    kind: Kind,
    key: DecodingKey,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl KeySet {
    /// Fetches the keys.
    pub(super) async fn fetch(caller: BackChannel, jwks_uri: Url) -> Result<Self, Unavailable> {
        Self::read(&caller.document(&jwks_uri).await?)
    }

    /// Keys of unknown kinds, for encryption, or too weak are skipped: they must not keep the good ones from working.
    fn read(members: &Map<String, Value>) -> Result<Self, Unavailable> {
        let keys = members.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or_else(|| Unavailable("the provider's key set has no `keys`".to_owned()))?;
        Ok(Self(keys.iter().filter_map(Value::as_object).filter_map(Key::read).take(MOST_KEYS).collect()))
    }

    /// The keys that may have made a signature with `alg`: by `kid` where the token has one, and always by `kty`, `crv`
    /// and `alg` (OpenID Connect Core §10.1).
    pub(super) fn fitting(&self, alg: Algorithm, kid: Option<&str>) -> impl Iterator<Item = &DecodingKey> {
        self.0
            .iter()
            .filter(move |key| kid.is_none() || key.kid.as_deref() == kid)
            .filter(move |key| key.fits(alg))
            .map(|key| &key.key)
    }
}

impl Key {
    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let for_signatures = jwk.get("use").is_none_or(|purpose| purpose == "sig");
        let to_verify = jwk
            .get("key_ops")
            .is_none_or(|ops| ops.as_array().is_some_and(|ops| ops.iter().any(|operation| operation == "verify")));
        if !for_signatures || !to_verify {
            return None;
        }
        let (kind, key) = match (text("kty")?, text("crv")) {
            ("RSA", _) => (Kind::Rsa, rsa(text("n")?, text("e")?)?),
            ("EC", Some("P-256")) => (Kind::P256, DecodingKey::from_ec_components(text("x")?, text("y")?).ok()?),
            ("EC", Some("P-384")) => (Kind::P384, DecodingKey::from_ec_components(text("x")?, text("y")?).ok()?),
            ("OKP", Some("Ed25519")) => (Kind::Ed25519, DecodingKey::from_ed_components(text("x")?).ok()?),
            _ => return None,
        };
        Some(Self { kid: text("kid").map(str::to_owned), alg: text("alg").map(str::to_owned), kind, key })
    }

    fn fits(&self, alg: Algorithm) -> bool {
        let kind = match alg {
            Algorithm::ES256 => Kind::P256,
            Algorithm::ES384 => Kind::P384,
            Algorithm::EdDSA => Kind::Ed25519,
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => Kind::Rsa,
            Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => Kind::Rsa,
            _ => return false,
        };
        self.kind == kind && self.alg.as_deref().is_none_or(|own| algorithm(own) == Some(alg))
    }
}

/// A signature algorithm by its registered name; symmetric ones and `none` are unknown here (RFC 8725 §3.2).
/// `Ed25519` is the fully specified name of what `EdDSA` means with such a key (RFC 9864 §2.2).
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "ES256" => Algorithm::ES256,
        "ES384" => Algorithm::ES384,
        "EdDSA" | "Ed25519" => Algorithm::EdDSA,
        "RS256" => Algorithm::RS256,
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "PS384" => Algorithm::PS384,
        "PS512" => Algorithm::PS512,
        _ => return None,
    })
}

fn rsa(modulus: &str, exponent: &str) -> Option<DecodingKey> {
    let key = DecodingKey::from_rsa_components(modulus, exponent).ok()?;
    match key.kind() {
        jsonwebtoken::DecodingKeyKind::RsaModulusExponent { n, .. } if bits(n) >= LEAST_RSA_BITS => Some(key),
        _ => None,
    }
}

fn bits(number: &[u8]) -> usize {
    let significant = number.iter().skip_while(|byte| **byte == 0);
    let first = significant.clone().next().map_or(0, |byte| byte.leading_zeros() as usize);
    significant.count() * 8 - first
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;

    fn set(keys: Value) -> KeySet {
        KeySet::read(json!({ "keys": keys }).as_object().unwrap()).unwrap()
    }

    fn rsa_jwk(bits: usize) -> Value {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] >>= (8 - bits % 8) % 8;
        json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB" })
    }

    #[test]
    fn an_rsa_key_needs_2048_bits() {
        for (bits, usable) in [(1024, 0), (2047, 0), (2048, 1), (4096, 1)] {
            let keys = set(json!([rsa_jwk(bits)]));
            assert_eq!(keys.fitting(Algorithm::RS256, None).count(), usable, "{bits}");
        }
        let padded = URL_SAFE_NO_PAD.encode([vec![0; 200], vec![0xff; 128]].concat());
        assert_eq!(set(json!([{ "kty": "RSA", "n": padded, "e": "AQAB" }])).0.len(), 0);
    }

    #[test]
    fn unknown_kinds_and_keys_for_other_purposes_are_skipped_without_spoiling_the_set() {
        let mut for_encryption = rsa_jwk(2048);
        for_encryption["use"] = "enc".into();
        let mut to_sign = rsa_jwk(2048);
        to_sign["key_ops"] = json!(["sign"]);
        let keys = set(json!([
            7, { "kty": "AKP", "alg": "ML-DSA-44" }, { "kty": "oct", "k": "c2VjcmV0" }, { "kty": "EC", "crv": "secp256k1" },
            { "kty": "RSA" }, for_encryption, to_sign, rsa_jwk(2048)
        ]));
        assert_eq!(keys.0.len(), 1);
    }

    #[test]
    fn a_key_fits_by_kind_curve_and_algorithm_not_by_kid_alone() {
        let x = URL_SAFE_NO_PAD.encode([1; 32]);
        let mut pss = rsa_jwk(2048);
        pss["alg"] = "PS256".into();
        pss["kid"] = "1".into();
        let keys = set(json!([{ "kid": "1", "kty": "EC", "crv": "P-256", "x": x, "y": x }, pss]));
        assert_eq!(keys.fitting(Algorithm::ES256, Some("1")).count(), 1);
        assert_eq!(keys.fitting(Algorithm::ES384, Some("1")).count(), 0);
        assert_eq!(keys.fitting(Algorithm::RS256, Some("1")).count(), 0);
        assert_eq!(keys.fitting(Algorithm::PS256, Some("1")).count(), 1);
        assert_eq!(keys.fitting(Algorithm::PS256, Some("2")).count(), 0);
        assert_eq!(keys.fitting(Algorithm::HS256, Some("1")).count(), 0);
    }

    #[test]
    fn a_flood_of_keys_is_cut_off() {
        assert_eq!(set(Value::Array(vec![rsa_jwk(2048); 10_000])).0.len(), MOST_KEYS);
    }
}
