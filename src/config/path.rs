//! Paths as the configuration writes them: plain segments that no parser reads in two ways.

use std::path::{Component, Path};

use super::document::Node;
use super::fault::Wrong;
use super::value::text;

/// Where the gateway's own endpoints live: one or more segments of letters, digits, `-`, `_`, `.` and `~`.
pub(super) fn base_path(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    if text == "/" || !text.bytes().all(plain) {
        return Err(Wrong::new(
            format!("{text:?} is not a path of plain segments"),
            "write one or more segments of letters, digits, - and _, such as \"/bff\"",
        ));
    }
    clean(text)
}

/// The prefix of a route.
pub(super) fn route_path(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    if let Some(prefix) = text.strip_suffix("/*").or_else(|| text.strip_suffix("/**")) {
        let prefix = if prefix.is_empty() { "/" } else { prefix };
        return Err(Wrong::new(
            format!("{text:?} has a wildcard, and a route is a prefix already"),
            format!("write {prefix:?}: it matches itself and all that follows after a /"),
        ));
    }
    clean(text)
}

fn clean(text: &str) -> Result<String, Wrong> {
    let refuse = |why: &str, remedy: &str| Err(Wrong::new(format!("{text:?} {why}"), remedy.to_owned()));
    if !text.starts_with('/') {
        return refuse("does not start with /", &format!("write {:?}", format!("/{text}")));
    }
    if text != "/" && text.ends_with('/') {
        return refuse("ends with /", &format!("write {:?}", text.trim_end_matches('/')));
    }
    if text.split('/').any(|segment| matches!(segment, "." | "..")) || text.contains("//") {
        return refuse("has empty or dot segments", "write the path that is meant");
    }
    if text.bytes().any(|byte| !byte.is_ascii_graphic() || b"%;?#\\\"<>^`{|}*".contains(&byte)) {
        return refuse(
            "has characters that are ambiguous in a path",
            "use printable ASCII without spaces, quotes, wildcards, %, ;, ?, # and \\",
        );
    }
    Ok(text.to_owned())
}

/// Whether `path` is `prefix` or lies under it, on segment boundaries.
pub(super) fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A file inside a directory: relative, and nowhere upwards.
pub(super) fn inside(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    let inside = Path::new(text).components().all(|part| matches!(part, Component::Normal(_)));
    if text.is_empty() || !inside {
        return Err(Wrong::new(
            format!("{text:?} does not stay inside `dir`"),
            "write a relative path without .., such as \"index.html\"",
        ));
    }
    Ok(text.to_owned())
}
