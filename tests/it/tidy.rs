//! The house rules that a compiler does not know: who may import whom, and what may not stand in `src`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::root;

/// A room, its layer, and what it may import beside lower layers' named rooms.
struct Room {
    name: &'static str,
    may_import: &'static [&'static str],
}

const fn room(name: &'static str, may_import: &'static [&'static str]) -> Room {
    Room { name, may_import }
}

/// Lower rooms never see higher ones; rooms of one layer never see each other. `src/lib.rs` tells the same as prose.
const ROOMS: &[Room] = &[
    room("clock", &[]),
    room("secret", &[]),
    room("lists", &[]),
    room("tls", &[]),
    room("config", &["clock", "secret", "tls"]),
    room("telemetry", &["clock", "secret", "config"]),
    room("connection", &[]),
    room("dpop", &["clock", "secret", "lists"]),
    room("session", &["clock", "secret", "config", "telemetry", "tls"]),
    room("provider", &["clock", "secret", "config", "telemetry", "tls", "dpop"]),
    room("guard", &["clock", "secret", "config", "telemetry"]),
    room("auth", &["clock", "secret", "config", "telemetry", "tls", "dpop", "session", "provider", "guard"]),
    room("proxy", &["clock", "secret", "lists", "config", "telemetry", "tls", "connection", "dpop", "guard"]),
    room(
        "endpoints",
        &[
            "clock",
            "secret",
            "config",
            "telemetry",
            "tls",
            "connection",
            "dpop",
            "session",
            "provider",
            "guard",
            "auth",
            "proxy",
        ],
    ),
    room(
        "admin",
        &["clock", "secret", "config", "telemetry", "tls", "dpop", "session", "provider", "guard", "auth", "proxy"],
    ),
    room(
        "app",
        &[
            "clock",
            "secret",
            "config",
            "telemetry",
            "tls",
            "connection",
            "session",
            "provider",
            "guard",
            "auth",
            "proxy",
            "endpoints",
            "admin",
        ],
    ),
    room("dev", &["clock", "secret", "config", "app"]),
    room("cli", &["clock", "secret", "config", "telemetry", "app", "dev"]),
    room("main", &["config", "telemetry", "app", "dev", "cli"]),
];

/// Outside crates that live in some rooms only: the path in `src` must begin with one of these.
const CRATES: &[(&str, &[&str])] = &[
    ("actix_web", &["endpoints", "admin", "proxy", "app", "dev", "connection"]),
    ("actix_http", &["app/serve"]),
    ("actix_server", &["app/serve"]),
    ("actix_service", &["app/serve"]),
    ("actix_tls", &["app/serve", "connection"]),
    ("actix_session", &["endpoints", "admin", "proxy", "app", "dev"]),
    ("actix_files", &["endpoints", "app", "dev"]),
    ("reqwest", &["provider", "dev"]),
    ("jsonwebtoken", &["provider", "dev"]),
    ("governor", &["endpoints/limits"]),
    ("redis", &["session/store/redis"]),
    ("redb", &["session/store/file"]),
    ("h2", &["proxy"]),
    ("hyper", &["proxy", "dev"]),
    ("hyper_util", &["proxy", "dev"]),
    ("hyper_rustls", &["proxy"]),
    ("httparse", &["proxy"]),
    ("rustls_platform_verifier", &["tls"]),
    ("toml", &["config"]),
    ("clap", &["cli", "main"]),
    ("tracing_subscriber", &["telemetry"]),
];

/// The most lines a file may have before its tests.
const LONGEST: usize = 300;

struct Source {
    /// Such as `session/store.rs`.
    path: String,
    /// Such as `session`.
    room: String,
    /// What stands before the unit tests, without comments.
    code: String,
    /// The lines before the unit tests.
    lines: usize,
}

#[test]
fn every_room_imports_only_what_lies_below_it() {
    let mut faults = Vec::new();
    for source in sources() {
        let Some(room) = ROOMS.iter().find(|room| room.name == source.room) else {
            if source.path != "lib.rs" {
                faults.push(format!("src/{} belongs to no room of the table in tests/it/tidy.rs", source.path));
            }
            continue;
        };
        for imported in imports(&source) {
            if imported != room.name && !room.may_import.contains(&imported.as_str()) {
                faults.push(format!("`{}` may not import `{imported}` (src/{})", room.name, source.path));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn outside_crates_stay_in_their_rooms() {
    let mut faults = Vec::new();
    for source in sources() {
        for (name, rooms) in CRATES {
            let home = rooms.iter().any(|room| source.path.starts_with(room));
            if !home && uses_crate(&source.code, name) {
                faults.push(format!(
                    "`{}` may not use the crate `{name}`, which lives in {} (src/{})",
                    source.room,
                    rooms.join(", "),
                    source.path
                ));
            }
        }
        let reads_environment = source.code.contains("env::var") || source.code.contains("env::vars");
        if reads_environment && !matches!(source.room.as_str(), "config" | "main" | "cli") {
            faults.push(format!(
                "`{}` may not read the environment, only `config` does (src/{})",
                source.room, source.path
            ));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn no_file_holds_a_second_idea() {
    let long: Vec<_> = sources()
        .into_iter()
        .filter(|source| source.lines > LONGEST)
        .map(|source| {
            format!(
                "src/{} has {} lines before its tests; at {LONGEST} ask what the second idea is",
                source.path, source.lines
            )
        })
        .collect();
    assert!(long.is_empty(), "\n{}\n", long.join("\n"));
}

#[test]
fn nothing_is_left_for_later_and_no_lint_is_switched_off() {
    let mut faults = Vec::new();
    for (path, text) in files(&root().join("src")) {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            for word in ["todo!(", "unimplemented!(", concat!("#[", "ignore"), "allow("] {
                let lint = word != "allow("
                    || code.contains("#[allow(")
                    || code.contains("#![allow(")
                    || code.contains(", allow(");
                if code.contains(word) && lint {
                    faults.push(format!("src/{path}:{} holds `{word}`", number + 1));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_file_says_what_it_is_responsible_for() {
    let silent: Vec<_> = files(&root().join("src"))
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! ") || text.starts_with("//! todo"))
        .map(|(path, _)| format!("src/{path} does not begin with a //! sentence"))
        .collect();
    assert!(silent.is_empty(), "\n{}\n", silent.join("\n"));
}

#[test]
fn no_test_is_switched_off() {
    let mark = concat!("#[", "ignore");
    let off: Vec<_> = files(&root().join("tests"))
        .into_iter()
        .filter(|(_, text)| text.contains(mark))
        .map(|(path, _)| path)
        .collect();
    assert!(off.is_empty(), "{off:?}");
}

#[test]
fn the_table_is_read_as_it_is_meant() {
    let source = |code: &str| Source { path: "x.rs".into(), room: "x".into(), code: code.into(), lines: 1 };
    let seen =
        imports(&source("use crate::{session::Store, config::{A, B},\n    guard::path};\nlet x = crate::tls::f();"));
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["config", "guard", "session", "tls"]);
    assert!(imports(&source("use super::x; use crate::Thing;")).is_empty());
    for code in ["use redis::Client;", "let c = redis::cmd();", "use ::redis::X;", "f(redis::X)", "-> Result<redis::X>"]
    {
        assert!(uses_crate(code, "redis"), "{code}");
    }
    for code in [
        "use crate::session::store::redis::X;",
        "super::redis::open()",
        "pub mod redis;\nredis::open()",
        "use predis::X;",
    ] {
        assert!(!uses_crate(code, "redis"), "{code}");
    }
}

/// The rooms that a file names, by `crate::room`, `cloakroom::room` or a list in braces.
fn imports(source: &Source) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for root in ["crate::", "cloakroom::"] {
        for (at, _) in source.code.match_indices(root) {
            let before = source.code[..at].chars().next_back();
            let rest = &source.code[at + root.len()..];
            if before.is_some_and(|character| character.is_alphanumeric() || character == '_' || character == ':') {
                continue;
            }
            match rest.strip_prefix('{') {
                Some(list) => found.extend(first_words(list)),
                None => found.extend(word(rest)),
            }
        }
    }
    found.retain(|name| name.chars().next().is_some_and(char::is_lowercase));
    found
}

/// The first word of each entry of a brace list, nested lists left out.
fn first_words(list: &str) -> Vec<String> {
    let mut depth = 1;
    let mut words = vec![word(list.trim_start()).unwrap_or_default()];
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => words.extend(word(list[at + 1..].trim_start())),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    words
}

fn word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect();
    (!word.is_empty()).then_some(word)
}

/// Whether a crate is named as the root of a path. A module of the same name that the file declares is meant instead.
fn uses_crate(code: &str, name: &str) -> bool {
    if code.contains(&format!("mod {name};")) {
        return false;
    }
    code.match_indices(&format!("{name}::")).any(|(at, _)| {
        let before = code[..at].trim_end_matches(' ').chars().next_back();
        // `session::store::redis::…` is a room of ours, `::redis::…` and `redis::…` are the crate.
        let inside_a_path =
            code[..at].ends_with("::") && !code[..at].trim_end_matches("::").ends_with([' ', '(', '<', '\n']);
        !inside_a_path && !before.is_some_and(|character| character.is_alphanumeric() || character == '_')
            || code[..at].ends_with("use ")
    })
}

fn sources() -> Vec<Source> {
    let source = |(path, text): (String, String)| {
        let first = path.split('/').next().unwrap_or_default();
        let before_tests = text.split("\n#[cfg(test)]").next().unwrap_or_default();
        let code: Vec<&str> = before_tests.lines().map(|line| line.split("//").next().unwrap_or("")).collect();
        Source {
            room: first.strip_suffix(".rs").unwrap_or(first).to_owned(),
            lines: before_tests.lines().count(),
            code: code.join("\n"),
            path,
        }
    };
    files(&root().join("src")).into_iter().map(source).collect()
}

/// Every Rust file under `dir`, by its path from there.
fn files(dir: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = vec![dir.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).expect("a directory can be listed") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() && !path.ends_with("node_modules") {
                open.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let name = path.strip_prefix(dir).expect("a file below its directory").display().to_string();
                found.push((name, std::fs::read_to_string(&path).expect("source is text")));
            }
        }
    }
    found.sort();
    found
}
