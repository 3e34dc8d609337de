//! Whether each module of the suite has its test, by name.

use std::collections::BTreeSet;

use crate::support::root;

/// The suite's modules, each with the reason why it has no test, if it has none.
fn modules() -> Vec<(String, Option<String>)> {
    let lines = include_str!("modules.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let module = |line: &str| match line.split_once(':') {
        Some((name, reason)) => (name.replace('-', "_"), Some(reason.trim().to_owned())),
        None => (line.replace('-', "_"), None),
    };
    lines.map(module).collect()
}

/// The functions in this folder that `#[test]` stands on.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("tests/it/conformance")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let marked = text.split("#[test]\nfn ").skip(1).filter_map(|rest| rest.split('(').next());
            found.extend(marked.map(str::to_owned));
        }
    }
    found
}

#[test]
fn each_module_has_a_test_of_its_name_or_a_reason_why_not() {
    let (modules, tests) = (modules(), tests());
    for (name, reason) in &modules {
        match reason {
            None => assert!(tests.contains(name), "no test is called {name}"),
            Some(reason) => assert!(!reason.is_empty() && !tests.contains(name), "{name} has a test, or no reason"),
        }
    }
    let is_named = |test: &String| test.starts_with("oidcc_client") || test.starts_with("fapi2_");
    for test in tests.iter().filter(|test| is_named(test)) {
        let is_module = |(name, _): &(String, Option<String>)| {
            test.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with("_with_"))
        };
        assert!(modules.iter().any(is_module), "{test} is called like a module, and there is none of its name");
    }
    let names: BTreeSet<_> = modules.iter().map(|(name, _)| name).collect();
    assert_eq!((names.len(), modules.len()), (89, 89), "the suite has 57 modules of the one kind and 32 of the other");
}
