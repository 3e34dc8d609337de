//! Header values that are lists (RFC 9110 §5.6.1), taken apart at their commas.

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

#[cfg(test)]
mod tests {
    use super::*;

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
