//! The types of single values: each reader takes a value as written and returns its meaning, or what is wrong with it.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;

use super::document::{Kind, Node};
use super::fault::Wrong;
use super::section::wrong_type;
use super::{Budget, JsonPointer, Rate, suggest, units};

/// A string.
pub(super) fn text(node: &Node) -> Result<&str, Wrong> {
    match &node.kind {
        Kind::Text(text) => Ok(text),
        other => Err(wrong_type("a string", other)),
    }
}

/// A string that says something.
pub(super) fn word(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    if text.is_empty() || text.chars().any(char::is_whitespace) || text.chars().any(char::is_control) {
        return Err(Wrong::new(
            format!("{text:?} is empty or holds white space"),
            "write one word, without space around it",
        ));
    }
    Ok(text.to_owned())
}

/// `true` or `false`.
pub(super) fn flag(node: &Node) -> Result<bool, Wrong> {
    match node.kind {
        Kind::Flag(flag) => Ok(flag),
        ref other => Err(wrong_type("a boolean", other)),
    }
}

/// One of a few words.
pub(super) fn choice<T: Copy>(choices: &[(&str, T)]) -> impl Fn(&Node) -> Result<T, Wrong> {
    move |node| {
        let text = text(node)?;
        if let Some((_, meaning)) = choices.iter().find(|(word, _)| *word == text) {
            return Ok(*meaning);
        }
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
        let remedy = match suggest::nearest(text, choices.iter().map(|(word, _)| *word)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("write {}", words.join(" or ")),
        };
        Err(Wrong::new(format!("{text:?} is not a choice here"), remedy))
    }
}

/// A duration within `range`.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&Node) -> Result<Duration, Wrong> {
    move |node| {
        if let Kind::Integer(number) = node.kind {
            return Err(Wrong::new(
                "expected a duration, found an integer",
                format!("write it with its unit, such as \"{number}s\""),
            ));
        }
        let duration = units::duration(text(node)?)?;
        if range.contains(&duration) {
            return Ok(duration);
        }
        let (least, most) = (units::in_words(*range.start()), units::in_words(*range.end()));
        let side = if duration < *range.start() { "short" } else { "long" };
        Err(Wrong::new(
            format!("\"{}\" is too {side}", units::in_words(duration)),
            format!("write a duration from \"{least}\" to \"{most}\""),
        ))
    }
}

/// A duration within `range`, or `"off"`.
pub(super) fn optional_duration(range: RangeInclusive<Duration>) -> impl Fn(&Node) -> Result<Option<Duration>, Wrong> {
    let duration = duration(range);
    move |node| match &node.kind {
        Kind::Text(text) if text == "off" => Ok(None),
        _ => duration(node).map(Some),
    }
}

/// A size, or `"unlimited"`.
pub(super) fn size_limit(node: &Node) -> Result<Option<u64>, Wrong> {
    match &node.kind {
        Kind::Text(text) if text == "unlimited" => Ok(None),
        _ => any_size(node).map(Some),
    }
}

/// A size within `range`; a bare `0` is 0 bytes in any unit.
pub(super) fn size(range: RangeInclusive<u64>) -> impl Fn(&Node) -> Result<u64, Wrong> {
    move |node| {
        let size = if matches!(node.kind, Kind::Integer(0)) { 0 } else { any_size(node)? };
        if range.contains(&size) {
            return Ok(size);
        }
        let side = if size < *range.start() { "small" } else { "large" };
        let (least, most) = (units::size_in_words(*range.start()), units::size_in_words(*range.end()));
        Err(Wrong::new(
            format!("\"{}\" is too {side}", units::size_in_words(size)),
            format!("write a size from \"{least}\" to \"{most}\""),
        ))
    }
}

fn any_size(node: &Node) -> Result<u64, Wrong> {
    if let Kind::Integer(number) = node.kind {
        return Err(Wrong::new(
            "expected a size, found an integer",
            format!("write it with its unit, such as \"{number}B\" or \"10MiB\""),
        ));
    }
    units::size(text(node)?)
}

/// A rate, or `"off"`.
pub(super) fn rate(node: &Node) -> Result<Option<Rate>, Wrong> {
    match text(node)? {
        "off" => Ok(None),
        rate => units::rate(rate).map(Some),
    }
}

/// A budget, or `"off"`.
pub(super) fn budget(node: &Node) -> Result<Option<Budget>, Wrong> {
    match text(node)? {
        "off" => Ok(None),
        budget => units::budget(budget).map(Some),
    }
}

/// A number within `range`.
pub(super) fn count(range: RangeInclusive<usize>) -> impl Fn(&Node) -> Result<usize, Wrong> {
    move |node| {
        let remedy = format!("write a number from {} to {}", range.start(), range.end());
        let Kind::Integer(number) = node.kind else { return Err(wrong_type("a number", &node.kind)) };
        let count = usize::try_from(number).ok().filter(|count| range.contains(count));
        count.ok_or_else(|| Wrong::new(format!("{number} is too small or too large"), remedy))
    }
}

/// How many worker threads, or `"per-core"`.
pub(super) fn workers(node: &Node) -> Result<Option<usize>, Wrong> {
    let remedy = "write a number from 1 to 512, or \"per-core\"";
    match &node.kind {
        Kind::Text(text) if text == "per-core" => Ok(None),
        Kind::Integer(number) => match usize::try_from(*number) {
            Ok(workers @ 1..=512) => Ok(Some(workers)),
            _ => Err(Wrong::new(format!("{number} is not a number of threads"), remedy)),
        },
        other => Err(Wrong::new(format!("expected a number of threads, found {}", other.name()), remedy)),
    }
}

/// A place in a JSON document.
pub(super) fn json_pointer(node: &Node) -> Result<JsonPointer, Wrong> {
    let text = text(node)?;
    JsonPointer::parse(text).map_err(|why| {
        let path = text.trim_start_matches(['$', '.', '/', '#']).replace(['.', '/'], "/");
        Wrong::new(format!("{text:?} {why}"), format!("write each step with a / before it, such as \"/{path}\""))
    })
}

/// An address to listen on.
pub(super) fn listen(node: &Node) -> Result<SocketAddr, Wrong> {
    let text = text(node)?;
    text.parse().map_err(|_| {
        Wrong::new(
            format!("{text:?} is not an address and a port"),
            "write an IP address and a port, such as \"127.0.0.1:8080\", \"0.0.0.0:8080\" or \"[::]:8080\"",
        )
    })
}

/// A range of addresses, or one address.
pub(super) fn network(node: &Node) -> Result<IpNet, Wrong> {
    let text = text(node)?;
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
        Wrong::new(format!("{text:?} is not a CIDR"), "write a network such as \"10.0.0.0/8\", or a single address")
    })?;
    if network.prefix_len() == 0 {
        return Err(Wrong::new(
            format!("{text:?} trusts the whole internet, so that any client chooses its own address"),
            "name the networks of your own proxies",
        ));
    }
    Ok(network)
}

/// The name of an HTTP method that a route may let through (RFC 9110 §9.1: case-sensitive).
pub(super) fn method(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    let upper = text.to_ascii_uppercase();
    if matches!(upper.as_str(), "TRACE" | "CONNECT") {
        return Err(Wrong::new(format!("{text:?} is never let through"), "remove it"));
    }
    if text.is_empty() || !text.bytes().all(is_token_byte) {
        return Err(Wrong::new(format!("{text:?} is not a method"), "write a method such as \"GET\""));
    }
    if upper != text {
        return Err(Wrong::new(format!("{text:?} is not in upper case"), format!("write {upper:?}")));
    }
    Ok(upper)
}

/// The name of a cookie (RFC 6265 §4.1.1).
pub(super) fn cookie_name(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    if text.is_empty() || text.contains('*') || !text.bytes().all(is_token_byte) {
        return Err(Wrong::new(
            format!("{text:?} is not the name of a cookie"),
            "list the names one by one; there are no wildcards",
        ));
    }
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("cloakroom") || lower.starts_with("__host-http-cloakroom") {
        return Err(Wrong::new(format!("{text:?} is a name of the gateway's own"), "remove it"));
    }
    Ok(text.to_owned())
}

/// The name of a cookie that an upstream may set: none whose prefix makes browsers trust it.
pub(super) fn settable_cookie(node: &Node) -> Result<String, Wrong> {
    let name = cookie_name(node)?;
    if ["__host-", "__secure-", "__http-"].iter().any(|prefix| name.to_ascii_lowercase().starts_with(prefix)) {
        return Err(Wrong::new(
            format!("{name:?} has a prefix that only the site's own origin may use"),
            "let the upstream use a name without __Host-, __Secure- or __Http-",
        ));
    }
    Ok(name)
}

/// A character of a token (RFC 9110 §5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
