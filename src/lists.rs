//! Header values that are lists (RFC 9110 §5.6.1), taken apart at their commas, and what stands in some of them.

use std::borrow::Cow;

/// The members of a list, quoted strings left whole (§5.6.4), without the white space around them; empty ones included.
pub fn members(list: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let split = list.split(move |symbol| {
        match symbol {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' => return !quoted,
            _ => {}
        }
        false
    });
    split.map(str::trim)
}

/// The members of a list of tokens, which know no quotes, without the white space around them; empty ones included.
pub fn tokens(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// One challenge of a `WWW-Authenticate` (RFC 9110 §11.3).
#[derive(Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// Its scheme, in whatever case; empty for parameters that come before any scheme.
    pub scheme: &'a str,
    parameters: Vec<(&'a str, Cow<'a, str>)>,
}

impl Challenge<'_> {
    /// Whether it is of this scheme (§11.1: in any case).
    #[must_use]
    pub const fn is_of(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The value of a parameter, without its quotes; the first, where it comes twice.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }
}

/// The challenges of one `WWW-Authenticate` (RFC 9110 §11.6.1). Their own lists are divided by the same commas: a member that
/// is a parameter belongs to the challenge before it, and empty members mean nothing.
#[must_use]
pub fn challenges(list: &str) -> Vec<Challenge<'_>> {
    let mut found: Vec<Challenge<'_>> = Vec::new();
    for member in members(list).filter(|member| !member.is_empty()) {
        let end = member.find([' ', '\t', '=']).unwrap_or(member.len());
        let (word, rest) = member.split_at(end);
        let rest = rest.trim_start();
        let (scheme, text) = if rest.starts_with('=') { (None, member) } else { (Some(word), rest) };
        if scheme.is_some() || found.is_empty() {
            found.push(Challenge { scheme: scheme.unwrap_or_default(), parameters: Vec::new() });
        }
        let challenge = found.last_mut().expect("there is one by now");
        challenge.parameters.extend(parameter(text));
    }
    found
}

/// `name = value` (RFC 9110 §11.2); nothing for a scheme that stands alone or with a token in place of parameters.
fn parameter(text: &str) -> Option<(&str, Cow<'_, str>)> {
    let (name, value) = text.split_once('=')?;
    let value = value.trim();
    if value.bytes().all(|byte| byte == b'=') {
        return None;
    }
    let quoted = value.strip_prefix('"').map(|rest| rest.strip_suffix('"').unwrap_or(rest));
    Some((name.trim(), quoted.map_or(Cow::Borrowed(value), unescaped)))
}

/// What a quoted string says (RFC 9110 §5.6.4).
fn unescaped(quoted: &str) -> Cow<'_, str> {
    if !quoted.contains('\\') {
        return Cow::Borrowed(quoted);
    }
    let mut escaped = false;
    let plain = quoted.chars().filter(|symbol| {
        escaped = !escaped && *symbol == '\\';
        !escaped
    });
    Cow::Owned(plain.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scheme and parameters of each challenge, one a line.
    fn read(list: &str) -> String {
        let line = |found: &Challenge<'_>| {
            let parameters: String =
                found.parameters.iter().map(|(name, value)| format!(" <{name}|{value}>")).collect();
            format!("{}{parameters}", found.scheme)
        };
        challenges(list).iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn challenges_are_told_from_their_parameters() {
        for (list, expected) in [
            ("", ""),
            ("Negotiate", "Negotiate"),
            ("NTLM TlRMTVNTUAAC==", "NTLM"),
            (r#"Bearer realm="a, b", error=invalid_token"#, "Bearer <realm|a, b> <error|invalid_token>"),
            (
                r#"Basic realm = "x", , DPoP algs="ES256",, error="use_dpop_nonce""#,
                "Basic <realm|x>\nDPoP <algs|ES256> <error|use_dpop_nonce>",
            ),
            (r#", Newauth , realm="a \"b\" \\ c""#, r#"Newauth <realm|a "b" \ c>"#),
            (r#"realm="nobody's""#, " <realm|nobody's>"),
            ("Digest\tnonce=n", "Digest <nonce|n>"),
        ] {
            assert_eq!(read(list), expected, "{list}");
        }
    }

    #[test]
    fn a_list_is_split_outside_quotes() {
        let list = r#"a, b="x, \" y" ,, c"#;
        assert_eq!(members(list).collect::<Vec<_>>(), ["a", r#"b="x, \" y""#, "", "c"]);
    }

    #[test]
    fn tokens_are_split_at_every_comma() {
        assert_eq!(tokens(b"close, X-Foo,,").collect::<Vec<_>>(), [&b"close"[..], b"X-Foo", b"", b""]);
    }
}
