//! The path of a request, kept as the bytes it came in (RFC 9110 §7.7): ambiguous ones are refused, never repaired.

use percent_encoding::percent_decode;

/// A path that passed the check; route match and upstream URI are both made from these very bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePath(String);

/// The path is ambiguous: encoded `/` `\` or NUL, dot segments in any encoding, `//`, `;`, a broken percent escape,
/// raw non-ASCII, a control character, a space, or `#`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path is ambiguous: {0}")]
pub struct BadPath(pub &'static str);

impl RoutePath {
    /// Checks the raw path of a request target (no query). `%2F` passes here and is reported by
    /// [`RoutePath::has_encoded_slash`], since only some routes allow it.
    ///
    /// # Errors
    /// [`BadPath`] names what is ambiguous.
    pub fn parse(raw: &str) -> Result<Self, BadPath> {
        let bytes = raw.as_bytes();
        if bytes.first() != Some(&b'/') {
            return Err(BadPath("no leading slash"));
        }
        if bytes.windows(2).any(|pair| pair == b"//") {
            return Err(BadPath("an empty segment"));
        }
        check_bytes(bytes)?;
        if bytes.contains(&b'%') {
            check_escapes(bytes)?;
        }
        if raw.split('/').any(hides_dots) {
            return Err(BadPath("a dot segment"));
        }
        Ok(Self(raw.to_owned()))
    }

    /// The path's bytes, exactly as they came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a segment holds an encoded slash, which only a route with `encoded_slash = "pass"` lets through.
    #[must_use]
    pub fn has_encoded_slash(&self) -> bool {
        self.0.as_bytes().windows(3).any(|escape| escape.eq_ignore_ascii_case(b"%2F"))
    }

    /// What follows `prefix`, if the path is `prefix` or goes on with `/` after it: `/api` matches `/api` and `/api/x`,
    /// never `/apix`. The prefix `/` matches everything, and what follows it is the whole path: the rest is always
    /// empty or starts with `/`.
    #[must_use]
    pub fn after(&self, prefix: &str) -> Option<&str> {
        let rest = self.0.strip_prefix(prefix.strip_suffix('/').unwrap_or(prefix))?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }
}

/// Every byte as it stands in the path: what no two parsers read differently (RFC 3986 §3.3, and what browsers send
/// raw beyond it).
fn check_bytes(path: &[u8]) -> Result<(), BadPath> {
    for &byte in path {
        let wrong = match byte {
            b';' => "a semicolon",
            b'\\' => "a backslash",
            b'#' => "a fragment",
            b'?' => "a query",
            b' ' => "a space",
            b'<' | b'>' | b'"' | b'`' => "a delimiter",
            0x21..=0x7e => continue,
            0..=0x1f | 0x7f => "a control character",
            0x80.. => "raw non-ASCII",
        };
        return Err(BadPath(wrong));
    }
    Ok(())
}

/// Every percent escape (RFC 3986 §2.1) and, on the bytes they stand for, overlong UTF-8 (RFC 3629 §10): some decoders
/// read `%c0%af` as a slash.
fn check_escapes(path: &[u8]) -> Result<(), BadPath> {
    for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        let (Some(high), Some(low)) = (hex(path.get(at + 1)), hex(path.get(at + 2))) else {
            return Err(BadPath("a broken percent escape"));
        };
        match high << 4 | low {
            b'\\' => return Err(BadPath("an encoded backslash")),
            0 => return Err(BadPath("an encoded NUL")),
            0..=0x1f | 0x7f => return Err(BadPath("an encoded control character")),
            _ => {}
        }
    }
    let decoded: Vec<u8> = percent_decode(path).collect();
    let overlong = decoded
        .windows(2)
        .any(|pair| matches!(pair, [0xc0 | 0xc1, 0x80..=0xbf] | [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]));
    if overlong { Err(BadPath("overlong UTF-8")) } else { Ok(()) }
}

fn hex(digit: Option<&u8>) -> Option<u8> {
    let value = char::from(*digit?).to_digit(16)?;
    u8::try_from(value).ok()
}

/// Whether a segment is `.` or `..`, or becomes one once somebody decodes it, however often, and splits it at
/// separators or cuts parameters off. What is still encoded after eight rounds counts as hiding something: nobody means
/// such a path, and unwinding it for as long as it goes on would be work without bound.
fn hides_dots(segment: &str) -> bool {
    if !segment.contains(['.', '%']) {
        return false;
    }
    let mut bytes = segment.as_bytes().to_vec();
    for _ in 0..8 {
        let pieces = bytes.split(|byte| matches!(byte, b'/' | b'\\'));
        if pieces.filter_map(|piece| piece.split(|byte| *byte == b';').next()).any(|name| matches!(name, b"." | b".."))
        {
            return true;
        }
        let decoded: Vec<u8> = percent_decode(&bytes).collect();
        if decoded == bytes {
            return false;
        }
        bytes = decoded;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The classes of ambiguity, each in every spelling: generated, so that a spelling nobody listed is covered too.
    fn ambiguous() -> Vec<String> {
        let dots = [".", "..", "%2e", "%2E%2e", ".%2e", "%2E.", "%252e%252e", "%25%32%65%25%32%65", "%25252e."];
        let slashes = ["%2f", "%2F", "%5c", "%5C", "%252f", "%255c"];
        let mut paths = Vec::new();
        for dot in dots {
            paths.extend([
                format!("/api/{dot}"),
                format!("/api/{dot}/admin"),
                format!("/{dot}/api"),
                format!("/api/x/{dot}"),
            ]);
            for slash in slashes {
                paths.extend([
                    format!("/api/{dot}{slash}admin"),
                    format!("/api/x{slash}{dot}"),
                    format!("/api{slash}{dot}{slash}a"),
                ]);
            }
            paths.extend([format!("/api/{dot};/admin"), format!("/api/{dot}%3b/admin")]);
        }
        for raw in [";", "\\", "#", "?", " ", "<", ">", "\"", "`", "\0", "\t", "\r", "\n", "\x7f", "é", "ｘ", "//"] {
            paths.extend([format!("/api{raw}x"), format!("/api/{raw}"), format!("{raw}/api"), format!("/api/x{raw}")]);
        }
        for escape in [
            "%",
            "%2",
            "%g1",
            "%1g",
            "%u002e",
            "%%2e",
            "%00",
            "%01",
            "%0d%0a",
            "%1F",
            "%7f",
            "%5c",
            "%c0%af",
            "%C0%AE",
            "%c1%9c",
            "%e0%80%af",
            "%f0%80%80%af",
        ] {
            paths.extend([format!("/api/x{escape}"), format!("/api/{escape}/y"), format!("/{escape}")]);
        }
        paths.extend(["", "*", "api/x", "http://evil/api/x", "///evil/x", "/api/http://evil/"].map(String::from));
        paths
    }

    #[test]
    fn every_class_of_ambiguity_is_refused_in_every_spelling() {
        for path in ambiguous() {
            assert!(RoutePath::parse(&path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn ordinary_paths_stay_the_bytes_they_were() {
        let paths = [
            "/",
            "/api",
            "/api/",
            "/api/x",
            "/api/%C3%A4",
            "/api/a%20b",
            "/api/x%23",
            "/api/%3B",
            "/api/@evil",
            "/api/x:y",
            "/api/x.json",
            "/api/.hidden",
            "/api/...",
            "/api/x..y",
            "/api/a|b^c[0]{1}'!$&()*+,=~-_",
            "/api/%E4",
            "/api/%25",
            "/api/100%25",
            "/api/%252f",
            "/api/x%EF%BC%8F..",
            "/api/a%2Fb",
            "/API/x",
            "/apix",
        ];
        for path in paths {
            assert_eq!(RoutePath::parse(path).map(|path| path.as_str().to_owned()), Ok(path.to_owned()));
        }
    }

    #[test]
    fn a_path_encoded_without_end_is_refused_at_once() {
        assert!(RoutePath::parse(&format!("/%{}", "25".repeat(1 << 20))).is_err());
    }

    #[test]
    fn an_encoded_slash_is_reported() {
        for (path, expected) in
            [("/api/a%2Fb", true), ("/api/a%2fb", true), ("/api/%2f%2fevil", true), ("/api/%252f", false)]
        {
            assert_eq!(RoutePath::parse(path).map(|path| path.has_encoded_slash()), Ok(expected), "{path}");
        }
    }

    #[test]
    fn a_prefix_matches_on_segment_boundaries_only() {
        let after =
            |path: &str, prefix: &str| RoutePath::parse(path).expect("a good path").after(prefix).map(String::from);
        assert_eq!(after("/api", "/api").as_deref(), Some(""));
        assert_eq!(after("/api/", "/api").as_deref(), Some("/"));
        assert_eq!(after("/api/x", "/api").as_deref(), Some("/x"));
        assert_eq!(after("/anything", "/").as_deref(), Some("/anything"));
        for path in
            ["/apix", "/API/x", "/api-internal/x", "/api.evil/x", "/api@evil/x", "/api%20/x", "/api%2fadmin", "/"]
        {
            assert_eq!(after(path, "/api"), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_path_holds_only_safe_bytes_and_means_one_thing(path in "/[a-b./%2eEfF;\\\\5c0d ?#~é-]{0,12}") {
            if let Ok(good) = RoutePath::parse(&path) {
                prop_assert_eq!(good.as_str(), path.as_str());
                prop_assert!(path.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && !b";\\#?<>\"`".contains(&byte)));
                prop_assert!(!path.contains("//"));
                // A parser that resolves dot segments (the WHATWG one) finds nothing to change.
                let url = url::Url::parse("https://app.example").expect("a URL").join(&path).expect("a path");
                prop_assert_eq!(url.path(), path.as_str());
                prop_assert_eq!(url.host_str(), Some("app.example"));
            }
        }

        #[test]
        fn prefix_and_rest_make_the_path_again(path in "(/[a-c]{1,2}){1,4}/?", prefix in "(/[a-c]{1,2}){1,2}|/") {
            let good = RoutePath::parse(&path).expect("plain segments");
            if let Some(rest) = good.after(&prefix) {
                prop_assert_eq!(format!("{}{rest}", prefix.trim_end_matches('/')), path);
                prop_assert!(rest.is_empty() || rest.starts_with('/'));
            }
        }

        #[test]
        fn nothing_makes_the_check_panic(path in any::<String>()) {
            let _ = RoutePath::parse(&path);
        }
    }
}
