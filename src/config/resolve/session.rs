//! `[site.session]`: lifetimes, the cookie, and the keys that seal it.

use std::time::Duration;

use super::site::Draft;
use super::{hours, minutes, seconds};
use crate::config::secret_ref::{Literal, fetch};
use crate::config::section::Section;
use crate::config::value::{choice, duration, word};
use crate::config::{SameSite, SessionConfig, StoreConfig, StoreKind, master_key, units};
use crate::secret::MasterKey;

/// A working day.
pub(super) const ABSOLUTE: Duration = hours(12);

/// The session's rules, with the keys that [`keys`] read; `None` without them.
pub(super) fn session(section: &Section<'_>, keys: Option<Vec<MasterKey>>) -> Option<SessionConfig> {
    let longest = hours(30 * 24);
    let same_sites = [("lax", SameSite::Lax), ("strict", SameSite::Strict)];
    let absolute = section.or("absolute", ABSOLUTE, duration(seconds(1)..=longest));
    let idle = section.or("idle", minutes(30).min(absolute), duration(seconds(1)..=longest));
    let same_site = section.or("same_site", SameSite::Lax, choice(&same_sites));
    let claims = section.list("claims", word).unwrap_or_else(|| ["sub", "name", "email"].map(str::to_owned).into());
    if idle > absolute {
        section.fault(
            "idle",
            format!("{} is longer than `absolute`, {}", units::in_words(idle), units::in_words(absolute)),
            "shorten `idle`, or lengthen `absolute`: no session outlives it",
        );
    }
    Some(SessionConfig { idle, absolute, same_site, keys: keys?, claims })
}

/// The site's keys. A site on this machine whose sessions end with the process needs none that survives it.
pub(super) fn keys(site: &Draft<'_>, store: Option<&StoreConfig>) -> Option<Vec<MasterKey>> {
    let section = site.section.table("session");
    let written = section.node("keys").is_some_and(|node| node.list().is_none_or(|keys| !keys.is_empty()));
    if written {
        let literal = Literal::only_if(site.is_loopback());
        let keys = section.list("keys", |node| master_key::parse(&fetch(node, literal, section.reader)?));
        return keys.filter(|keys| !keys.is_empty());
    }
    let in_memory = store.is_none_or(|store| matches!(store.kind, StoreKind::Memory));
    let wrong = match site.origin.as_ref()? {
        origin if origin.is_loopback() && in_memory => return Some(vec![master_key::of_this_process(origin)]),
        origin if origin.is_loopback() => {
            "is missing, and the store keeps sessions longer than this process keeps a key"
        }
        _ => "is missing",
    };
    let remedy = "write the output of `cloakroom keygen` to a file, and keys = [{ file = \"…\" }]";
    section.fault("keys", wrong, remedy);
    None
}

/// A key that opens two sites' cookies makes one break-in two.
pub(super) fn keys_differ(sites: &[Draft<'_>]) {
    let mut seen: Vec<(&MasterKey, usize)> = Vec::new();
    for (index, site) in sites.iter().enumerate() {
        for (position, key) in site.keys.iter().flatten().enumerate() {
            if let Some((_, owner)) = seen.iter().find(|(earlier, _)| *earlier == key) {
                let wrong = match &sites[*owner].origin {
                    // The same site twice, which is reported, has the same keys.
                    Some(origin) if *owner != index && site.origin.as_ref() == Some(origin) => continue,
                    _ if *owner == index => format!("key {position} is listed twice"),
                    Some(origin) => format!("key {position} is also a key of \"{origin}\""),
                    None => format!("key {position} is also a key of an earlier site"),
                };
                let remedy = "give each site its own keys, each made with `cloakroom keygen`";
                site.section.table("session").fault("keys", wrong, remedy);
            }
            seen.push((key, index));
        }
    }
}
