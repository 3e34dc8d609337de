//! `[site.spa]`: what answers when no route does.

use std::path::PathBuf;

use crate::config::SpaConfig;
use crate::config::address::upstream;
use crate::config::document::Node;
use crate::config::fault::Wrong;
use crate::config::path::inside;
use crate::config::section::Section;
use crate::config::value::text;

/// The SPA, if the section is written.
pub(super) fn spa(section: &Section<'_>) -> Option<SpaConfig> {
    if !section.is_written() {
        return None;
    }
    let dir = section.get("dir", directory);
    let fallback = section.or("fallback", "index.html".to_owned(), inside);
    match (section.has("dir"), section.has("dev_server")) {
        (true, true) => {
            section.fault("dev_server", "stands beside `dir`", "keep one: files, or a development server");
            None
        }
        (false, false) => {
            section.fault("dir", "is missing", "name the folder with index.html, or a `dev_server`");
            None
        }
        (true, false) => {
            only_for_a_server(section);
            Some(SpaConfig::Dir { dir: dir?, fallback })
        }
        (false, true) => {
            if section.has("fallback") {
                section.fault("fallback", "has no effect: the development server answers everything", "remove it");
            }
            upstream(section, "dev_server").map(SpaConfig::DevServer)
        }
    }
}

fn only_for_a_server(section: &Section<'_>) {
    for key in ["plaintext", "ca", "client_cert", "client_key", "http2"] {
        if section.has(key) {
            section.fault(key, "has no effect: `dir` is read from disk", "remove it");
        }
    }
}

fn directory(node: &Node) -> Result<PathBuf, Wrong> {
    let path = node.resolve_path(text(node)?);
    if !path.is_dir() {
        return Err(Wrong::new(
            format!("\"{}\" is not a folder", path.display()),
            "name the folder of the built SPA; a relative path starts at this file's folder",
        ));
    }
    Ok(path)
}
