//! Where outbound connections go: URLs that say exactly one thing, encrypted unless they stay on this machine.

use std::path::{Path, PathBuf};

use url::Url;

use super::document::Node;
use super::fault::Wrong;
use super::section::{Reader, Section};
use super::value::{flag, text};
use super::{TlsFiles, UpstreamConfig, is_loopback_host};
use crate::tls::{self, TlsError};

/// An upstream under `key`, with the `plaintext`, the certificates and the `http2` that stand next to it.
pub(super) fn upstream(section: &Section<'_>, key: &str) -> Option<UpstreamConfig> {
    let place = section.get(key, upstream_place);
    let plaintext = section.or("plaintext", false, flag);
    let encrypted = place.as_ref().is_none_or(|place| place.url.scheme() == "https");
    let tls = tls_files(section, key, encrypted);
    let http2 = section.or("http2", true, flag);
    if section.has("http2") && !encrypted {
        let wrong = format!("has no effect: `{key}` is not encrypted, and HTTP/2 is agreed on with the encryption");
        section.fault("http2", wrong, "remove it, or encrypt the connection");
    }
    let place = place?;
    if is_exposed(&place.url) && !plaintext {
        section.fault(key, exposed(place.url.as_str()), EXPOSED_REMEDY);
    }
    Some(UpstreamConfig { tls, http2, ..place })
}

fn upstream_place(node: &Node) -> Result<UpstreamConfig, Wrong> {
    match text(node)?.strip_prefix("unix:") {
        Some(rest) => socket(rest),
        None => upstream_url(node).map(UpstreamConfig::at),
    }
}

/// `/run/api.sock`, or `/run/api.sock:/prefix`. A socket is on this machine, so nothing is encrypted.
fn socket(text: &str) -> Result<UpstreamConfig, Wrong> {
    let (path, prefix) = text.split_once(':').unwrap_or((text, "/"));
    if !path.starts_with('/') || path.starts_with("//") || path.ends_with('/') {
        return Err(Wrong::new(
            format!("{path:?} is not the absolute path of a socket"),
            "write unix:/run/api.sock, or unix:/run/api.sock:/prefix to put a path in front",
        ));
    }
    if path.len() > LONGEST_SOCKET {
        let remedy = format!("give the socket a path of at most {LONGEST_SOCKET} bytes");
        return Err(Wrong::new(format!("the socket's path has {} bytes, too many for one", path.len()), remedy));
    }
    let url = Url::parse("http://localhost").and_then(|url| url.join(prefix)).ok();
    let url = url.filter(|url| prefix.starts_with('/') && !is_ambiguous(prefix) && url.path() == prefix);
    let url = url.ok_or_else(|| ambiguous(prefix))?;
    Ok(UpstreamConfig { socket: Some(path.into()), ..UpstreamConfig::at(url) })
}

/// What the address of a socket has room for on Linux, its end included, less that end.
const LONGEST_SOCKET: usize = 107;

/// An `http` or `https` URL without user name, query or fragment; the text goes with it, since the parser repairs some.
pub(super) fn http_url(node: &Node) -> Result<(Url, &str), Wrong> {
    let (url, text) = web_url(node)?;
    if url.query().is_some() || url.fragment().is_some() {
        let shown = redacted(text);
        return Err(Wrong::new(format!("\"{shown}\" carries a query or a fragment"), "end it before the ? or #"));
    }
    Ok((url, text))
}

/// An endpoint, which may have a query and no fragment (RFC 6749 §3.1); encrypted, or `plaintext` or on this machine.
pub(super) fn endpoint_url(node: &Node, plaintext: bool) -> Result<Url, Wrong> {
    let (url, text) = web_url(node)?;
    if url.fragment().is_some() {
        return Err(Wrong::new(format!("\"{}\" carries a fragment", redacted(text)), "end it before the #"));
    }
    if is_exposed(&url) && !plaintext {
        return Err(Wrong::new(exposed(text), EXPOSED_REMEDY));
    }
    Ok(url)
}

fn web_url(node: &Node) -> Result<(Url, &str), Wrong> {
    let text = text(node)?;
    let shown = redacted(text);
    let url = Url::parse(text).map_err(|error| {
        Wrong::new(format!("\"{shown}\" is not a URL: {error}"), "write scheme://host[:port][/path]")
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        let scheme = url.scheme();
        return Err(Wrong::new(format!("the scheme {scheme:?} is not spoken here"), "write https://…"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new(format!("\"{shown}\" carries a user name"), "remove what stands before the @"));
    }
    Ok((url, text))
}

fn upstream_url(node: &Node) -> Result<Url, Wrong> {
    let (url, text) = http_url(node)?;
    let after_scheme = text.split_once("://").map_or("", |(_, rest)| rest);
    let path = after_scheme.find('/').map_or("/", |start| &after_scheme[start..]);
    if is_ambiguous(path) || path != url.path() { Err(ambiguous(path)) } else { Ok(url) }
}

fn is_ambiguous(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    ["//", ";", "\\", "%2f", "%5c", "%00", "%2e"].iter().any(|part| lower.contains(part))
}

fn ambiguous(path: &str) -> Wrong {
    Wrong::new(
        format!("the path {path:?} is ambiguous"),
        "write it without dot segments, //, ;, \\ and encoded separators",
    )
}

/// Whether what is said to `url` can be read on the way.
pub(super) fn is_exposed(url: &Url) -> bool {
    url.scheme() == "http" && !url.host_str().is_some_and(is_loopback_host)
}

/// Says that `url` is exposed.
pub(super) fn exposed(url: &str) -> String {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    format!("\"{}\" is plain {scheme} beyond loopback", redacted(url).trim_end_matches('/'))
}

/// What to do about an exposed URL.
pub(super) const EXPOSED_REMEDY: &str =
    "write https://, or add `plaintext = true` to this entry if nobody else is on that network";

/// The certificates of `section` for the connection that `of` names.
pub(super) fn tls_files(section: &Section<'_>, of: &str, encrypted: bool) -> TlsFiles {
    for key in ["ca", "client_cert", "client_key"] {
        if !encrypted && section.has(key) {
            section.fault(
                key,
                format!("has no effect: `{of}` is not encrypted"),
                "remove it, or encrypt the connection",
            );
        }
    }
    if section.has("client_cert") != section.has("client_key") {
        let (given, missing) =
            if section.has("client_cert") { ("client_cert", "client_key") } else { ("client_key", "client_cert") };
        section.fault(given, format!("stands without `{missing}`"), format!("add `{missing}`"));
    }
    let (client_cert, client_key) = identity(section, "client_cert", "client_key");
    TlsFiles { ca: section.get("ca", |node| pem_file(node, section.reader, tls::roots)), client_cert, client_key }
}

/// The files of a certificate and of its private key, under these keys of `section`.
pub(super) fn identity(section: &Section<'_>, cert: &str, key: &str) -> (Option<PathBuf>, Option<PathBuf>) {
    let chain = section.get(cert, |node| pem_file(node, section.reader, tls::chain));
    let private = section.get(key, |node| pem_file(node, section.reader, tls::private_key));
    if let (Some(chain), Some(private)) = (&chain, &private)
        && let Err(error) = tls::identity(chain, private)
    {
        section.fault(key, error.to_string(), "name the key that the certificate was made with");
    }
    (chain, private)
}

const PEM_REMEDY: &str = "name a PEM file that this user may read, with what belongs there and no password on it";

/// A PEM file in which `find` finds what is looked for.
fn pem_file<T>(
    node: &Node,
    reader: &Reader<'_>,
    find: impl FnOnce(&Path) -> Result<T, TlsError>,
) -> Result<PathBuf, Wrong> {
    let path = node.resolve_path(text(node)?);
    find(&path).map_err(|error| Wrong::new(error.to_string(), PEM_REMEDY))?;
    reader.depends_on(path.clone());
    Ok(path)
}

/// The URL as messages may show it: without user name, password, query and fragment.
pub(super) fn redacted(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, _)| url.split_at(scheme.len() + 3));
    let rest = rest.rsplit_once('@').map_or_else(|| rest.to_owned(), |(_, host)| format!("…@{host}"));
    match rest.find(['?', '#']) {
        Some(end) => format!("{scheme}{}…", &rest[..=end]),
        None => format!("{scheme}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        assert_eq!(redacted("redis://user:p@ss@host/0"), "redis://…@host/0");
        assert_eq!(redacted("https://host/path"), "https://host/path");
        assert_eq!(redacted("user:pass@host"), "…@host");
        assert_eq!(redacted("https://host/?token=a"), "https://host/?…");
        assert_eq!(redacted("https://host/?token=a@b"), "https://…@b");
        assert_eq!(redacted("https://host/#"), "https://host/#…");
    }
}
