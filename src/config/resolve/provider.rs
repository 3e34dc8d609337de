//! `[[site.provider]]`: what every provider has, and the choice of its kind.

mod client;
mod client_auth;
mod endpoints;
mod logout;
mod oauth2;
mod oidc;
mod relay;
mod requests;

use std::time::Duration;

use super::{hours, minutes, seconds};
use crate::config::address::tls_files;
use crate::config::document::Node;
use crate::config::fault::Wrong;
use crate::config::profile;
use crate::config::secret_ref::Literal;
use crate::config::section::Section;
use crate::config::value::{budget, choice, duration, flag, text};
use crate::config::{ProviderConfig, ProviderKind};

pub(super) use self::client::scope;

/// The name of a provider that has no other.
pub(super) const DEFAULT_NAME: &str = "main";

/// A kind as it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Oidc,
    OAuth2,
    Relay,
}

/// The words of the kinds.
const KINDS: [(&str, Kind); 3] = [("oidc", Kind::Oidc), ("oauth2", Kind::OAuth2), ("relay", Kind::Relay)];

/// The keys that some kinds alone have.
const OWN_KEYS: [(&str, &[Kind]); 35] = [
    ("client_id", &[Kind::Oidc, Kind::OAuth2]),
    ("client_secret", &[Kind::Oidc, Kind::OAuth2]),
    ("client_auth", &[Kind::Oidc, Kind::OAuth2]),
    ("scopes", &[Kind::Oidc, Kind::OAuth2]),
    ("authorization_params", &[Kind::Oidc, Kind::OAuth2]),
    ("own_callback", &[Kind::Oidc, Kind::OAuth2]),
    ("names_issuer", &[Kind::Oidc]),
    ("logout", &[Kind::Oidc, Kind::OAuth2]),
    ("logout_url", &[Kind::Oidc, Kind::OAuth2]),
    ("logout_params", &[Kind::Oidc, Kind::OAuth2]),
    ("logout_hint", &[Kind::Oidc, Kind::OAuth2]),
    ("authorization_endpoint", &[Kind::OAuth2]),
    ("token_endpoint", &[Kind::OAuth2]),
    ("userinfo_endpoint", &[Kind::Oidc, Kind::OAuth2]),
    ("revocation_endpoint", &[Kind::Oidc, Kind::OAuth2]),
    ("end_session_endpoint", &[Kind::Oidc, Kind::OAuth2]),
    ("pushed_authorization_request_endpoint", &[Kind::Oidc, Kind::OAuth2]),
    ("sub_pointer", &[Kind::OAuth2, Kind::Relay]),
    ("name_pointer", &[Kind::OAuth2, Kind::Relay]),
    ("email_pointer", &[Kind::OAuth2, Kind::Relay]),
    ("id_token_algs", &[Kind::Oidc]),
    ("userinfo", &[Kind::Oidc]),
    ("trusted_audiences", &[Kind::Oidc]),
    ("logout_token_exp", &[Kind::Oidc]),
    ("frontchannel_logout", &[Kind::Oidc]),
    ("clock_skew", &[Kind::Oidc]),
    ("login_url", &[Kind::Relay]),
    ("login_page", &[Kind::Relay]),
    ("step_pointer", &[Kind::Relay]),
    ("step_url", &[Kind::Relay]),
    ("refresh_url", &[Kind::Relay]),
    ("user_url", &[Kind::Relay]),
    ("token_pointer", &[Kind::Relay]),
    ("expires_in_pointer", &[Kind::Relay]),
    ("refresh_token_pointer", &[Kind::Relay]),
];

/// What a kind's own reader finds: whose users these are, and the rest.
type Found = Option<(String, ProviderKind)>;

/// What a provider's entry is read by, of the site that it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    /// Whether secrets may be written literally.
    pub(super) literal: Literal,
    /// Where the gateway's own endpoints live.
    pub(super) base_path: &'a str,
    /// How long a session lives at most.
    pub(super) absolute: Duration,
}

/// The provider; `None` when a key without a default is missing or wrong.
pub(super) fn provider(section: &Section<'_>, site: Surroundings<'_>) -> Option<ProviderConfig> {
    let literal = site.literal;
    let kind = section.or("kind", Kind::Oidc, choice(&KINDS));
    misplaced(section, kind);
    let name = section.or("name", DEFAULT_NAME.to_owned(), name);
    let plaintext = section.or("plaintext", false, flag);
    // A token that an API gives without a word about its end lives until someone logs out.
    let (lifetime, longest) = match kind {
        Kind::Oidc | Kind::OAuth2 => (minutes(5), hours(24)),
        Kind::Relay => (site.absolute, hours(30 * 24)),
    };
    let default_token_lifetime = section.or("default_token_lifetime", lifetime, duration(seconds(1)..=longest));
    let refresh_before = section.get("refresh_before", duration(Duration::ZERO..=hours(24)));
    let timeout = section.or("timeout", seconds(10), duration(seconds(1)..=minutes(1)));
    let budget = section.or("budget", None, budget);
    let (found, speaks_to): (Found, _) = match kind {
        Kind::Oidc => (oidc::oidc(section, literal, plaintext), "issuer"),
        Kind::OAuth2 => (oauth2::oauth2(section, literal, plaintext), "token_endpoint"),
        Kind::Relay => (relay::relay(section, plaintext, site.base_path), "login_url"),
    };
    let encrypted = section.written_text(speaks_to).is_none_or(|url| !url.starts_with("http:"));
    let tls = tls_files(section, speaks_to, encrypted);
    let (issuer, kind) = found?;
    let profile = profile::applied(section);
    Some(ProviderConfig {
        name,
        issuer,
        default_token_lifetime,
        refresh_before,
        plaintext,
        timeout,
        budget,
        tls,
        profile,
        kind,
    })
}

/// A key of another kind, or a profile of one, would be believed to do something.
fn misplaced(section: &Section<'_>, kind: Kind) {
    let word = |wanted: Kind| KINDS.iter().find(|(_, kind)| *kind == wanted).map_or("", |(word, _)| word);
    if let Some(made_for) = profile::made_for(section, word(Kind::Oidc))
        && (made_for == word(Kind::Relay)) != (kind == Kind::Relay)
    {
        section.fault(
            "profile",
            format!("has no effect with kind = {:?}", word(kind)),
            format!("remove it, or write kind = {made_for:?}"),
        );
    }
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
