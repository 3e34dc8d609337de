//! Where a login or logout ends: a path of the site itself, never anything else (RFC 9700 §4.11).

use crate::config::Origin;

/// A path, query and fragment of this site, checked. [`ReturnTo::parse`] is the only way to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo(String);

/// The text is not a path of this site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("return_to must be a path of this site: {0}")]
pub struct BadReturnTo(pub &'static str);

impl ReturnTo {
    /// The site's front page.
    #[must_use]
    pub fn front_page() -> Self {
        Self("/".into())
    }

    /// Checks the once-decoded parameter.
    ///
    /// # Errors
    /// [`BadReturnTo`] for anything but a path with one leading `/`, of at most 2,048 visible ASCII bytes, without dot
    /// segments, `//`, `\`, encoded separators or controls, and not under `base_path`.
    pub fn parse(text: &str, base_path: &str) -> Result<Self, BadReturnTo> {
        todo!("{text}{base_path}")
    }

    /// The path as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The absolute URL on `origin`, for a `Location`.
    #[must_use]
    pub fn on(&self, origin: &Origin) -> String {
        format!("{origin}{}", self.0)
    }
}
