//! The files under `config/`: the reference equals the defaults and knows every key; the examples are accepted.

use std::collections::BTreeSet;

use super::*;

/// The keys of the reference that have no default.
const WITHOUT_DEFAULT: [&str; 8] =
    ["origin", "keys", "issuer", "client_id", "client_secret", "dir", "path", "upstream"];

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
    std::fs::read_to_string(path).expect("stands in the repository")
}

/// The meaning of an example whose folders exist, without the one thing that differs from read to read.
fn meaning(text: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = folder.path().to_str().expect("is UTF-8");
    for spa in ["app-one", "app-two", "app"] {
        std::fs::create_dir(folder.path().join(spa)).expect("creates");
    }
    let text = text.replace("/srv/", &format!("{here}/")).replace("/var/lib/cloakroom/", &format!("{here}/"));
    format!("{:?}", understood(&text)).replace(here, "/srv")
}

/// The key that a line sets, commented out or not.
fn key_of(line: &str) -> Option<&str> {
    let (key, _) = line.strip_prefix('#').unwrap_or(line).split_once(" = ")?;
    key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_').then_some(key)
}

#[test]
fn the_reference_equals_the_defaults() {
    let reference = shipped("gateway.toml");
    let optional = |line: &&str| key_of(line).is_none_or(|key| WITHOUT_DEFAULT.contains(&key));
    let required: Vec<&str> = reference.lines().filter(optional).collect();
    assert!(required.len() < reference.lines().count(), "nothing was removed");
    assert_eq!(meaning(&reference), meaning(&required.join("\n")));
}

#[test]
fn the_reference_shows_every_key() {
    let mut shown = BTreeSet::new();
    let mut table = String::new();
    for line in shipped("gateway.toml").lines() {
        if line.starts_with('[') {
            table = line.trim_matches(['[', ']']).to_owned();
            shown.insert(table.clone());
        } else if let Some(key) = key_of(line) {
            assert!(shown.insert(format!("{table}.{key}")), "{table}.{key} is shown once");
        }
    }
    let inline = ["server.tls.cert", "server.tls.key"].map(str::to_owned);
    let known: BTreeSet<String> = schema::paths().into_iter().map(|(path, _)| path).collect();
    assert_eq!(&shown | &BTreeSet::from(inline), known);
}

#[test]
fn every_key_is_read_and_its_type_is_judged() {
    for path in values() {
        let (heading, name, place) = spot(&path);
        // A date is what no key takes.
        let faults = faults_of(&format!("{heading}\n{name} = 2026-01-01"));
        let blamed = |fault: &Fault| fault.key == place && fault.wrong.contains("found a date");
        assert!(faults.iter().any(blamed), "{path}: {}", Faults(faults));
    }
}

#[test]
fn the_examples_are_accepted() {
    for name in ["two-domains.toml", "one-domain-redis.toml", "local-development.toml", "tutorials/jwt-auth.toml"] {
        assert!(meaning(&shipped(name)).contains("sites: [SiteConfig"), "{name}");
    }
}
