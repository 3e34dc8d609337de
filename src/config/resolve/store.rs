//! `[store]`: where sessions live.

use zeroize::Zeroizing;

use super::{minutes, seconds, up_to};
use crate::config::address::tls_files;
use crate::config::document::{Kind, Node};
use crate::config::fault::Wrong;
use crate::config::secret_ref::{Literal, fetch};
use crate::config::section::Section;
use crate::config::value::{duration, flag};
use crate::config::{NotARedisUrl, RedisAddress, RedisConfig, StoreConfig, StoreKind};

const FORMS: &str = "write \"memory:\", \"file:PATH\", \"redis://host:6379/0\", \"redis+sentinel://h:p,h:p/NAME\" or \
    \"redis+cluster://h:p,h:p\"; rediss for TLS";

/// The store; `None` when its URL is wrong.
pub(super) fn store(section: &Section<'_>, literal: Literal) -> Option<StoreConfig> {
    let url = section.get("url", |node| url_text(node, literal, section));
    let plaintext = section.or("plaintext", false, flag);
    let kind = match (&url, section.node("url")) {
        (Some(url), Some(node)) => section.get("url", |_| kind(url, node, plaintext)),
        (None, Some(_)) => None,
        (_, None) => Some(StoreKind::Memory),
    };
    let encrypted = url.as_ref().map_or(section.has("url"), |url| url.starts_with("rediss"));
    let tls = tls_files(section, "url", encrypted);
    let grace = section.or("grace", seconds(30), duration(up_to(minutes(10))));
    let kind = match kind? {
        StoreKind::Redis(redis) => StoreKind::Redis(RedisConfig { tls, ..redis }),
        other => other,
    };
    Some(StoreConfig { kind, grace })
}

/// A URL that holds no password is no secret and may stand in the file anywhere.
fn url_text(node: &Node, literal: Literal, section: &Section<'_>) -> Result<Zeroizing<String>, Wrong> {
    let literal = match &node.kind {
        Kind::Text(url) if !url.contains('@') && !url.contains("password") => Literal::Accepted,
        _ => literal,
    };
    fetch(node, literal, section.reader)
}

/// No message shows more of the URL than its scheme and host.
fn kind(url: &str, node: &Node, plaintext: bool) -> Result<StoreKind, Wrong> {
    let (scheme, rest) = url.split_once(':').ok_or_else(|| Wrong::new("is not the URL of a store", FORMS))?;
    match scheme {
        "memory" if rest.is_empty() => Ok(StoreKind::Memory),
        "memory" => Err(Wrong::new("\"memory:\" takes nothing after the colon", FORMS)),
        "file" => file(rest, node),
        "redis" | "rediss" => redis(url, plaintext),
        _ if scheme.starts_with("redis+") || scheme.starts_with("rediss+") => redis(url, plaintext),
        _ => Err(Wrong::new("is not the URL of a store", FORMS)),
    }
}

fn file(path: &str, node: &Node) -> Result<StoreKind, Wrong> {
    let path = node.resolve_path(path.strip_prefix("//").unwrap_or(path));
    let shown = path.display();
    if path.file_name().is_none() || path.is_dir() {
        return Err(Wrong::new(format!("\"{shown}\" is not a file"), "name a file, which is created if need be"));
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if parent.is_some_and(|parent| !parent.is_dir()) {
        return Err(Wrong::new(
            format!("the folder of \"{shown}\" does not exist"),
            "create it, writable by this user and nobody else",
        ));
    }
    Ok(StoreKind::File(path))
}

fn redis(url: &str, plaintext: bool) -> Result<StoreKind, Wrong> {
    let redis: RedisConfig = url.parse().map_err(|fault: NotARedisUrl| Wrong::new(fault.wrong, fault.remedy))?;
    if !redis.encrypted && !plaintext && !redis.addresses().iter().all(RedisAddress::is_loopback) {
        return Err(Wrong::new(
            format!("\"{redis}\" is plain redis beyond loopback"),
            "write rediss://, or add `plaintext = true` to [store] if nobody else is on that network",
        ));
    }
    Ok(StoreKind::Redis(RedisConfig { plaintext, ..redis }))
}
