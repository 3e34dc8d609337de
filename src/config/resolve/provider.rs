//! `[[site.provider]]`: what every provider has, and the choice of its kind.

mod client;
mod client_auth;
mod oidc;
mod requests;

use super::{choice_with_later, hours, minutes, seconds};
use crate::config::address::tls_files;
use crate::config::document::Node;
use crate::config::fault::Wrong;
use crate::config::secret_ref::Literal;
use crate::config::section::Section;
use crate::config::value::{duration, flag, text};
use crate::config::{ProviderConfig, ProviderKind};

pub(super) use self::client::scope;

/// The name of a provider that has no other.
pub(super) const DEFAULT_NAME: &str = "main";

/// A kind as it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Oidc,
}

/// What a kind's own reader finds: whose users these are, and the rest.
type Found = Option<(String, ProviderKind)>;

/// The provider; `None` when a key without a default is missing or wrong.
pub(super) fn provider(section: &Section<'_>, literal: Literal) -> Option<ProviderConfig> {
    let kind = section.or("kind", Kind::Oidc, choice_with_later(&[("oidc", Kind::Oidc)], &["oauth2", "relay"]));
    let name = section.or("name", DEFAULT_NAME.to_owned(), name);
    let plaintext = section.or("plaintext", false, flag);
    let default_token_lifetime = section.or("default_token_lifetime", minutes(5), duration(seconds(1)..=hours(24)));
    let timeout = section.or("timeout", seconds(10), duration(seconds(1)..=minutes(1)));
    let (found, speaks_to): (Found, _) = match kind {
        Kind::Oidc => (oidc::oidc(section, literal, plaintext), "issuer"),
    };
    let encrypted = section.written_text(speaks_to).is_none_or(|url| !url.starts_with("http:"));
    let tls = tls_files(section, speaks_to, encrypted);
    let (issuer, kind) = found?;
    Some(ProviderConfig { name, issuer, default_token_lifetime, plaintext, timeout, tls, kind })
}

/// The name stands in a query, `?provider=`, and in logs.
fn name(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(plain) {
        return Err(Wrong::new(
            format!("{text:?} is not a name for a provider"),
            "use 1 to 64 letters, digits, - and _, such as \"main\"",
        ));
    }
    Ok(text.to_owned())
}
