//! `[site.session]`: lifetimes, the cookie, and the keys that seal it.

use super::{hours, minutes, seconds};
use crate::config::secret_ref::{Literal, fetch};
use crate::config::section::Section;
use crate::config::value::{choice, duration, word};
use crate::config::{SameSite, SessionConfig, SiteConfig, StoreConfig, StoreKind, master_key, units};
use crate::secret::MasterKey;

/// The session's rules; `None` when the keys are missing.
pub(super) fn session(section: &Section<'_>, loopback: bool, store: &Option<StoreConfig>) -> Option<SessionConfig> {
    let longest = hours(30 * 24);
    let same_sites = [("lax", SameSite::Lax), ("strict", SameSite::Strict)];
    let config = SessionConfig {
        idle: section.or("idle", minutes(30), duration(seconds(1)..=longest)),
        absolute: section.or("absolute", hours(12), duration(seconds(1)..=longest)),
        same_site: section.or("same_site", SameSite::Lax, choice(&same_sites)),
        claims: section.list("claims", word).unwrap_or_else(|| ["sub", "name", "email"].map(str::to_owned).into()),
        keys: keys(section, loopback, store)?,
    };
    if config.idle > config.absolute {
        section.fault(
            "idle",
            format!("{} is longer than `absolute`, {}", units::in_words(config.idle), units::in_words(config.absolute)),
            "shorten `idle`, or lengthen `absolute`: no session outlives it",
        );
    }
    Some(config)
}

/// A site on this machine whose sessions end with the process needs no key that survives it.
fn keys(section: &Section<'_>, loopback: bool, store: &Option<StoreConfig>) -> Option<Vec<MasterKey>> {
    let literal = Literal::only_if(loopback);
    let read = section.list("keys", |node| master_key::parse(&fetch(node, literal, section.reader)?));
    let in_memory = store.as_ref().is_none_or(|store| matches!(store.kind, StoreKind::Memory));
    match read {
        Some(keys) if !keys.is_empty() => Some(keys),
        Some(_) if section.node("keys").is_some_and(|node| node.list().is_some_and(|keys| !keys.is_empty())) => None,
        None if section.has("keys") => None,
        None if loopback && in_memory => Some(vec![MasterKey::random()]),
        _ => {
            let wrong = if loopback {
                "is missing, and the store keeps sessions longer than this process would keep a key"
            } else {
                "is missing"
            };
            let remedy = "write the output of `cloakroom keygen` to a file, and keys = [{ file = \"…\" }]";
            section.fault("keys", wrong, remedy);
            None
        }
    }
}

/// A key that opens two sites' cookies makes one break-in two.
pub(super) fn keys_differ<'a>(sites: impl Iterator<Item = (&'a Section<'a>, &'a SiteConfig)>) {
    let mut seen: Vec<(&MasterKey, String)> = Vec::new();
    for (section, site) in sites {
        let section = section.table("session");
        for (index, key) in site.session.keys.iter().enumerate() {
            let owner = site.origin.to_string();
            if let Some((_, earlier)) = seen.iter().find(|(seen, _)| *seen == key) {
                let wrong = if *earlier == owner {
                    format!("key {index} is listed twice")
                } else {
                    format!("key {index} is also a key of \"{earlier}\"")
                };
                section.fault("keys", wrong, "give each site its own keys, each made with `cloakroom keygen`");
            }
            seen.push((key, owner));
        }
    }
}
