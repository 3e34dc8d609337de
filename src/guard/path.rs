//! The path of a request, kept as the bytes it came in (RFC 9110 §7.7): ambiguous ones are refused, never repaired.

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
        todo!("{raw}")
    }

    /// The path's bytes, exactly as they came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a segment holds an encoded slash, which only a route with `encoded_slash = "pass"` lets through.
    #[must_use]
    pub fn has_encoded_slash(&self) -> bool {
        todo!()
    }

    /// What follows `prefix`, if the path is `prefix` or goes on with `/` after it: `/api` matches `/api` and `/api/x`,
    /// never `/apix`. The prefix `/` matches everything.
    #[must_use]
    pub fn after(&self, prefix: &str) -> Option<&str> {
        todo!("{prefix}")
    }
}
