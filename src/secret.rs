//! One type for each kind of secret, each redacted when printed and wiped when dropped; and the source of randomness.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

macro_rules! secret_text {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// Takes the secret over.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(Zeroizing::new(text.into()))
            }

            /// The secret itself; name the reason where this is called.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )*};
}

secret_text! {
    /// The bearer token that the upstream checks; opaque bytes of unknown size (RFC 6749 §1.4).
    AccessToken;
    /// The token that gets a new access token (RFC 6749 §1.5).
    RefreshToken;
    /// A signed ID token, kept for `id_token_hint` (OpenID Connect RP-Initiated Logout §2).
    IdToken;
    /// The client's password at the provider (RFC 6749 §2.3.1).
    ClientSecret;
    /// The client's private key at the provider, PKCS#8 in PEM (RFC 7523 §2.2).
    SigningKey;
    /// The private key that one session's tokens are bound to: a number of P-256 in base64url (RFC 9449).
    DpopKey;
    /// The code of one authorization response (RFC 6749 §4.1.2).
    AuthorizationCode;
    /// The PKCE verifier of one login attempt (RFC 7636 §4.1).
    CodeVerifier;
    /// The nonce of one login attempt (OpenID Connect Core §3.1.2.1).
    Nonce;
    /// The state of one login or logout attempt (RFC 6749 §10.12).
    State;
    /// The bearer that opens the admin listener.
    AdminToken;
    /// The cookies of an API between two steps of a login there, as a `Cookie` header says them.
    ApiCookies;
    /// The password at the store.
    StorePassword;
}

macro_rules! random_text {
    ($($name:ident),*) => {$(
        impl $name {
            /// A fresh value with 256 bits of randomness, 43 characters of base64url.
            #[must_use]
            pub fn random() -> Self {
                Self::new(random_base64url())
            }
        }
    )*};
}
random_text!(CodeVerifier, Nonce, State);

/// A site's master key: 256 bits from which every key of that site is derived.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// Takes the 32 bytes over.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A fresh random key.
    #[must_use]
    pub fn random() -> Self {
        Self::new(random_bytes())
    }

    /// The key's bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// `N` bytes from the operating system's random source.
///
/// # Panics
/// When that source fails, since nothing safe can be done without it.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system provides randomness");
    bytes
}

/// 256 random bits as 43 characters of base64url.
#[must_use]
pub fn random_base64url() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<32>())
}

/// Whether two values are equal, in a time that does not depend on where they differ.
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}
