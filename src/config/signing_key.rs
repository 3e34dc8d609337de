//! A private key for signatures: PKCS#8 in PEM, told apart by its kind, and strong enough (RFC 7518 §3.3, §3.4).

use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;

use super::fault::Wrong;
use crate::secret::SigningKey;

const REMEDY: &str = "make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`";

/// What a key can sign with; the first is the default.
pub(super) type Algorithms = &'static [&'static str];

const RSA: Algorithms = &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const P256: Algorithms = &["ES256"];
const P384: Algorithms = &["ES384"];
const ED25519: Algorithms = &["EdDSA"];

/// Every algorithm that some key signs with.
pub(super) fn all_algorithms() -> Vec<&'static str> {
    [RSA, P256, P384, ED25519].concat()
}

/// Reads the key. No message shows anything of it.
pub(super) fn read(pem: &str) -> Result<(SigningKey, Algorithms), Wrong> {
    let labelled = |label: &str| pem.contains(&format!("-----BEGIN {label}-----"));
    if labelled("ENCRYPTED PRIVATE KEY") {
        return Err(Wrong::new(
            "is encrypted with a password",
            "decrypt it with `openssl pkcs8 -in KEY -out NEW`, and keep the new file readable by this user alone",
        ));
    }
    if labelled("RSA PRIVATE KEY") || labelled("EC PRIVATE KEY") {
        return Err(Wrong::new("is not in PKCS#8", "convert it with `openssl pkcs8 -topk8 -nocrypt -in KEY -out NEW`"));
    }
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| Wrong::new("is no private key in PEM", format!("name a file in PKCS#8; {REMEDY}")))?;
    Ok((SigningKey::new(pem), algorithms(der.secret_pkcs8_der())?))
}

fn algorithms(der: &[u8]) -> Result<Algorithms, Wrong> {
    let is_rsa = match RsaKeyPair::from_pkcs8(der) {
        Ok(_) => true,
        Err(error) if is_too_small(error) => {
            return Err(Wrong::new("is an RSA key of less than 2048 bits", format!("use a longer one, or {REMEDY}")));
        }
        Err(_) => false,
    };
    let found = if is_rsa {
        Some(RSA)
    } else if EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).is_ok() {
        Some(P256)
    } else if EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der).is_ok() {
        Some(P384)
    } else {
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).is_ok().then_some(ED25519)
    };
    found.ok_or_else(|| {
        Wrong::new("is a private key of a kind that is not signed with here", "use RSA, P-256, P-384 or Ed25519")
    })
}

fn is_too_small(error: KeyRejected) -> bool {
    error.to_string() == "TooSmall"
}
