//! `profile`: presets for providers that people really have. They are data, `profiles.toml`, and nothing but defaults.

use std::collections::BTreeMap;
use std::path::Path;

use url::Url;

use super::address::{EXPOSED_REMEDY, exposed, http_url, is_exposed};
use super::document::{self, Kind, Node};
use super::fault::{Fault, Wrong};
use super::section::Section;
use super::suggest;
use super::value::text;

/// The presets, as they are written.
const PROFILES: &str = include_str!("profiles.toml");

/// The key that is no preset.
const SOURCE: &str = "source";

/// What stands where the operator's `url` belongs.
const BASE: &str = "{url}";

/// Stands for a `url` that was refused, so that what is made of it causes no further faults.
const NO_BASE: &str = "https://url.invalid";

/// What a profile set, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedProfile {
    /// Its name.
    pub name: String,
    /// Where its facts are from.
    pub source: String,
    /// Its keys in order: key, value as it would be written, and whether the operator's own took its place.
    pub keys: Vec<(String, String, bool)>,
}

/// Every profile, as a tree.
fn profiles() -> Node {
    document::parse(Path::new("profile"), PROFILES).expect("a test reads the presets")
}

/// Adds to each provider that names a profile what it has not written itself.
pub(super) fn apply(root: &mut Node, faults: &mut Vec<Fault>) {
    let profiles = profiles();
    for site in root.children_mut("site") {
        for provider in site.children_mut("provider") {
            if let Err(wrong) = apply_to(provider, &profiles) {
                faults.push(wrong);
            }
        }
    }
}

fn apply_to(provider: &mut Node, profiles: &Node) -> Result<(), Fault> {
    let Some(chosen) = provider.at("profile") else { return no_base(provider) };
    let (name, preset) = find(chosen, profiles).map_err(|wrong| chosen.fault(wrong))?;
    let missing: Vec<(&String, &Node)> =
        preset.iter().filter(|(key, _)| *key != SOURCE && provider.at(key).is_none()).collect();
    let derived: Vec<&str> =
        missing.iter().filter(|(_, node)| node.mentions(BASE)).map(|(key, _)| key.as_str()).collect();
    let (base, fault) = match base(provider, name, &derived) {
        Ok(base) => (base, None),
        Err(fault) => (NO_BASE.to_owned(), Some(fault)),
    };
    let added = missing.into_iter().map(|(key, node)| {
        let place = document::join(&provider.key, key);
        (key.clone(), node.preset(&place, &|text| text.replace(BASE, &base)))
    });
    let added: Vec<(String, Node)> = added.collect();
    provider.add(added);
    fault.map_or(Ok(()), Err)
}

/// The profile that is meant, with its keys.
fn find<'p>(chosen: &Node, profiles: &'p Node) -> Result<(&'p str, &'p BTreeMap<String, Node>), Wrong> {
    let name = text(chosen)?;
    let all = profiles.table().into_iter().flatten();
    if let Some((name, table)) = all.clone().find(|(known, _)| *known == name) {
        return Ok((name, table.table().expect("a test reads the presets")));
    }
    let names: Vec<&str> = all.map(|(known, _)| known.as_str()).collect();
    let remedy = match suggest::nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("choose from {}, or remove it and write the keys yourself", names.join(", ")),
    };
    Err(Wrong::new(format!("there is no profile {name:?}"), remedy))
}

/// The operator's `url`, from which `derived` are made.
fn base(provider: &Node, profile: &str, derived: &[&str]) -> Result<String, Fault> {
    let Some(url) = provider.at("url") else {
        if derived.is_empty() {
            return Ok(String::new());
        }
        let wrong = format!("is missing: profile {profile:?} makes {} of it", derived.join(", "));
        let remedy = "write the provider's URL, such as url = \"https://id.example\", or these keys themselves";
        return Err(provider.fault_at(document::join(&provider.key, "url"), Wrong::new(wrong, remedy)));
    };
    if derived.is_empty() {
        return no_base(provider).map(|()| String::new());
    }
    let plaintext = provider.at("plaintext").is_some_and(|node| matches!(node.kind, Kind::Flag(true)));
    let judge = |node: &Node| -> Result<String, Wrong> {
        let (parsed, text): (Url, &str) = http_url(node)?;
        if is_exposed(&parsed) && !plaintext {
            return Err(Wrong::new(exposed(text), EXPOSED_REMEDY));
        }
        Ok(text.trim_end_matches('/').to_owned())
    };
    judge(url).map_err(|wrong| url.fault(wrong))
}

/// A `url` that nothing is made of would be believed to do something.
fn no_base(provider: &Node) -> Result<(), Fault> {
    let Some(url) = provider.at("url") else { return Ok(()) };
    let wrong = match text(url) {
        Ok(_) => Wrong::new("has no effect: no `profile` makes anything of it here", "remove it, or write `issuer`"),
        Err(wrong) => wrong,
    };
    Err(url.fault(wrong))
}

/// The `kind` that the profile of `provider` is made for, whichever is written: `default` where it says none.
pub(super) fn made_for(provider: &Section<'_>, default: &str) -> Option<String> {
    let profiles = profiles();
    let (_, preset) = find(provider.node("profile")?, &profiles).ok()?;
    Some(preset.get("kind").and_then(|kind| text(kind).ok()).unwrap_or(default).to_owned())
}

/// What the profile of `provider` set there.
pub(super) fn applied(provider: &Section<'_>) -> Option<AppliedProfile> {
    let profiles = profiles();
    let (name, preset) = find(provider.node("profile")?, &profiles).ok()?;
    let source = preset.get(SOURCE).and_then(|source| text(source).ok()).unwrap_or_default().to_owned();
    let keys = preset.iter().filter(|(key, _)| *key != SOURCE).map(|(key, node)| {
        let own = provider.is_written_here(key);
        let shown = if own { node } else { provider.node(key).unwrap_or(node) };
        (key.clone(), shown.as_written(), own)
    });
    Some(AppliedProfile { name: name.to_owned(), source, keys: keys.collect() })
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    #[test]
    fn every_preset_is_a_key_of_a_provider_and_says_where_it_is_from() {
        let known = schema::paths();
        for (name, profile) in profiles().table().expect("a table") {
            let keys = profile.table().expect("a table");
            assert!(text(&keys[SOURCE]).is_ok_and(|source| source.starts_with("https://")), "{name}");
            for key in keys.keys().filter(|key| *key != SOURCE) {
                assert!(known.iter().any(|(path, _)| *path == format!("site.provider.{key}")), "{name}: {key}");
            }
        }
    }
}
