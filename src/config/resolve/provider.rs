//! `[[site.provider]]`: what every provider has, and the choice of its kind.

mod client;
mod client_auth;
mod logout;
mod oauth2;
mod oidc;
mod requests;

use super::{choice_with_later, hours, minutes, seconds};
use crate::config::address::tls_files;
use crate::config::document::Node;
use crate::config::fault::Wrong;
use crate::config::profile;
use crate::config::secret_ref::Literal;
use crate::config::section::Section;
use crate::config::value::{budget, duration, flag, text};
use crate::config::{ProviderConfig, ProviderKind};

pub(super) use self::client::scope;

/// The name of a provider that has no other.
pub(super) const DEFAULT_NAME: &str = "main";

/// A kind as it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Oidc,
    OAuth2,
}

/// The words of the kinds.
const KINDS: [(&str, Kind); 2] = [("oidc", Kind::Oidc), ("oauth2", Kind::OAuth2)];

/// The keys that some kinds alone have.
const OWN_KEYS: [(&str, &[Kind]); 14] = [
    ("authorization_endpoint", &[Kind::OAuth2]),
    ("token_endpoint", &[Kind::OAuth2]),
    ("userinfo_endpoint", &[Kind::OAuth2]),
    ("revocation_endpoint", &[Kind::OAuth2]),
    ("end_session_endpoint", &[Kind::OAuth2]),
    ("sub_pointer", &[Kind::OAuth2]),
    ("name_pointer", &[Kind::OAuth2]),
    ("email_pointer", &[Kind::OAuth2]),
    ("id_token_algs", &[Kind::Oidc]),
    ("userinfo", &[Kind::Oidc]),
    ("trusted_audiences", &[Kind::Oidc]),
    ("logout_token_exp", &[Kind::Oidc]),
    ("frontchannel_logout", &[Kind::Oidc]),
    ("clock_skew", &[Kind::Oidc]),
];

/// What a kind's own reader finds: whose users these are, and the rest.
type Found = Option<(String, ProviderKind)>;

/// The provider; `None` when a key without a default is missing or wrong.
pub(super) fn provider(section: &Section<'_>, literal: Literal) -> Option<ProviderConfig> {
    let kind = section.or("kind", Kind::Oidc, choice_with_later(&KINDS, &["relay"]));
    misplaced(section, kind);
    let name = section.or("name", DEFAULT_NAME.to_owned(), name);
    let plaintext = section.or("plaintext", false, flag);
    let default_token_lifetime = section.or("default_token_lifetime", minutes(5), duration(seconds(1)..=hours(24)));
    let timeout = section.or("timeout", seconds(10), duration(seconds(1)..=minutes(1)));
    let budget = section.or("budget", None, budget);
    let (found, speaks_to): (Found, _) = match kind {
        Kind::Oidc => (oidc::oidc(section, literal, plaintext), "issuer"),
        Kind::OAuth2 => (oauth2::oauth2(section, literal, plaintext), "token_endpoint"),
    };
    let encrypted = section.written_text(speaks_to).is_none_or(|url| !url.starts_with("http:"));
    let tls = tls_files(section, speaks_to, encrypted);
    let (issuer, kind) = found?;
    let profile = profile::applied(section);
    Some(ProviderConfig { name, issuer, default_token_lifetime, plaintext, timeout, budget, tls, profile, kind })
}

/// A key of another kind would be believed to do something.
fn misplaced(section: &Section<'_>, kind: Kind) {
    let word = |wanted: Kind| KINDS.iter().find(|(_, kind)| *kind == wanted).map_or("", |(word, _)| word);
    for (key, kinds) in OWN_KEYS {
        if section.is_written_here(key) && !kinds.contains(&kind) {
            let its: Vec<String> = kinds.iter().map(|kind| format!("kind = {:?}", word(*kind))).collect();
            section.fault(
                key,
                format!("has no effect with kind = {:?}", word(kind)),
                format!("remove it, or write {}", its.join(" or ")),
            );
        }
    }
}

/// The name stands in a query, `?provider=`, in logs, and in the path of a redirect URI, where dots alone lead elsewhere.
fn name(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let dots = text.bytes().all(|byte| byte == b'.');
    if text.len() > 64 || dots || !text.bytes().all(plain) {
        return Err(Wrong::new(
            format!("{text:?} is not a name for a provider"),
            "use 1 to 64 letters, digits, - and _, such as \"main\"",
        ));
    }
    Ok(text.to_owned())
}
