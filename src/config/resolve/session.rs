//! `[site.session]`: lifetimes, the cookie, and the keys that seal it.

use super::{hours, minutes, seconds};
use crate::config::secret_ref::{Literal, fetch};
use crate::config::section::Section;
use crate::config::value::{choice, duration, word};
use crate::config::{Origin, SameSite, SessionConfig, StoreConfig, StoreKind, master_key, units};
use crate::secret::MasterKey;

/// The session's rules, with the keys that [`keys`] read; `None` without them.
pub(super) fn session(section: &Section<'_>, keys: Option<Vec<MasterKey>>) -> Option<SessionConfig> {
    let longest = hours(30 * 24);
    let same_sites = [("lax", SameSite::Lax), ("strict", SameSite::Strict)];
    let absolute = section.or("absolute", hours(12), duration(seconds(1)..=longest));
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
pub(super) fn keys(
    section: &Section<'_>,
    origin: Option<&Origin>,
    store: Option<&StoreConfig>,
) -> Option<Vec<MasterKey>> {
    let written = section.node("keys").is_some_and(|node| node.list().is_none_or(|keys| !keys.is_empty()));
    if written {
        let literal = Literal::only_if(origin.is_none_or(Origin::is_loopback));
        let keys = section.list("keys", |node| master_key::parse(&fetch(node, literal, section.reader)?));
        return keys.filter(|keys| !keys.is_empty());
    }
    let in_memory = store.is_none_or(|store| matches!(store.kind, StoreKind::Memory));
    let wrong = match origin? {
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

/// A key that opens two sites' cookies makes one break-in two. Takes each site's section, as the others see it, and keys.
pub(super) fn keys_differ(sites: &[(&Section<'_>, Option<&Origin>, &[MasterKey])]) {
    let mut seen: Vec<(&MasterKey, usize)> = Vec::new();
    for (index, (section, _, keys)) in sites.iter().enumerate() {
        for (position, key) in keys.iter().enumerate() {
            if let Some((_, owner)) = seen.iter().find(|(earlier, _)| *earlier == key) {
                let wrong = if *owner == index {
                    format!("key {position} is listed twice")
                } else {
                    let owner =
                        sites[*owner].1.map_or_else(|| "another site".to_owned(), |origin| format!("\"{origin}\""));
                    format!("key {position} is also a key of {owner}")
                };
                let remedy = "give each site its own keys, each made with `cloakroom keygen`";
                section.table("session").fault("keys", wrong, remedy);
            }
            seen.push((key, index));
        }
    }
}
