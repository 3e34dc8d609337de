//! `client_auth` and what goes with it: how the gateway proves itself to a provider.

use super::super::choice_with_later;
use crate::config::secret_ref::{Literal, fetch};
use crate::config::section::Section;
use crate::config::signing_key::{self, Algorithms};
use crate::config::value::{choice, word};
use crate::config::{AssertionAud, AssertionConfig, AssertionTyp, ClientAuth};
use crate::secret::{ClientSecret, SigningKey};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Basic,
    Post,
    Public,
    PrivateKeyJwt,
    Tls(&'static str),
}

const METHODS: [(&str, Method); 6] = [
    ("client_secret_basic", Method::Basic),
    ("client_secret_post", Method::Post),
    ("none", Method::Public),
    ("private_key_jwt", Method::PrivateKeyJwt),
    ("tls_client_auth", Method::Tls("tls_client_auth")),
    ("self_signed_tls_client_auth", Method::Tls("self_signed_tls_client_auth")),
];

/// What belongs to `private_key_jwt` alone and has no default.
const SIGNING_KEYS: [&str; 3] = ["signing_key", "signing_key_id", "signing_alg"];

/// How the client proves itself; `None` when that was reported. A public client says so: a forgotten secret must not become
/// a weaker client silently. `client_secret_jwt` is no choice: it needs the secret in the clear on both sides, as the
/// other two do, and proves less than a key pair.
pub(super) fn client_auth(section: &Section<'_>, literal: Literal) -> Option<ClientAuth> {
    let method = section.or("client_auth", Method::Basic, choice_with_later(&METHODS, &["client_secret_jwt"]));
    let secret = section.get("client_secret", |node| fetch(node, literal, section.reader));
    let assertion = assertion(section, literal);
    if method != Method::PrivateKeyJwt {
        for key in SIGNING_KEYS.into_iter().filter(|key| section.has(key)) {
            section.fault(
                key,
                "has no effect: client_auth is not \"private_key_jwt\"",
                "remove it, or write client_auth = \"private_key_jwt\"",
            );
        }
    }
    if section.has("client_secret") != matches!(method, Method::Basic | Method::Post) {
        secret_fault(section, method);
    }
    match method {
        Method::Public => Some(ClientAuth::None),
        Method::Basic => Some(ClientAuth::Basic(ClientSecret::new(secret?.as_str()))),
        Method::Post => Some(ClientAuth::Post(ClientSecret::new(secret?.as_str()))),
        Method::PrivateKeyJwt => {
            if !section.has("signing_key") {
                section.fault(
                    "signing_key",
                    "is missing",
                    "add the private key whose public half the provider knows: signing_key = { file = \"….pem\" }",
                );
            }
            assertion.map(ClientAuth::PrivateKeyJwt)
        }
        Method::Tls(name) => {
            if !section.has("client_cert") {
                section.fault(
                    "client_cert",
                    format!("is missing, and client_auth = {name:?} proves itself by it"),
                    "add `client_cert` and `client_key`",
                );
            }
            Some(ClientAuth::Tls)
        }
    }
}

fn secret_fault(section: &Section<'_>, method: Method) {
    match method {
        Method::Basic | Method::Post => section.fault(
            "client_secret",
            "is missing",
            "add it, or write client_auth = \"none\" if the provider knows this client as public",
        ),
        Method::Public => section.fault(
            "client_secret",
            "is given, and client_auth = \"none\" says that there is none",
            "remove one of the two",
        ),
        Method::PrivateKeyJwt | Method::Tls(_) => {
            section.fault("client_secret", "is given, and `client_auth` does without it", "remove one of the two");
        }
    }
}

fn assertion(section: &Section<'_>, literal: Literal) -> Option<AssertionConfig> {
    let key = section.get("signing_key", |node| signing_key::read(&fetch(node, literal, section.reader)?));
    let key_id = section.get("signing_key_id", word);
    let known: Vec<(&str, &'static str)> = signing_key::all_algorithms().into_iter().map(|name| (name, name)).collect();
    let alg = section.get("signing_alg", choice(&known));
    let audiences = [("issuer", AssertionAud::Issuer), ("token_endpoint", AssertionAud::TokenEndpoint)];
    let aud = section.or("assertion_aud", AssertionAud::Issuer, choice(&audiences));
    let types = [("client-authentication+jwt", AssertionTyp::ClientAuthentication), ("JWT", AssertionTyp::Jwt)];
    let typ = section.or("assertion_typ", AssertionTyp::ClientAuthentication, choice(&types));
    let (key, fitting): (SigningKey, Algorithms) = key?;
    let alg = match alg {
        Some(alg) if !fitting.contains(&alg) => {
            section.fault(
                "signing_alg",
                format!("{alg:?} does not go with the kind of key in `signing_key`"),
                format!("remove it, or write {}", fitting.join(" or ")),
            );
            return None;
        }
        alg => alg.unwrap_or(fitting[0]),
    };
    Some(AssertionConfig { key, key_id, alg, aud, typ })
}
