//! Whether the site's own page made a request (Fetch Metadata; RFC 10017 §6.1.3.3): the defence against forged requests.

use crate::config::{CsrfMode, Origin};

/// The words of a request that tell where it comes from; `None` where a header is absent.
/// A header that came more than once is given as `Some(b"")`, which proves nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Words<'a> {
    /// Whether the method is GET or HEAD.
    pub safe: bool,
    /// `Sec-Fetch-Site`
    pub site: Option<&'a [u8]>,
    /// `Sec-Fetch-Mode`
    pub mode: Option<&'a [u8]>,
    /// `Sec-Fetch-Dest`
    pub dest: Option<&'a [u8]>,
    /// `Origin`
    pub origin: Option<&'a [u8]>,
    /// `X-BFF`
    pub x_bff: Option<&'a [u8]>,
    /// `Sec-Purpose`, else `Purpose`
    pub purpose: Option<&'a [u8]>,
}

/// Proof that the site's own page, or the user by hand, made this request. `proxy::forward` demands it by value.
#[derive(Debug)]
pub struct SameOrigin(());

/// The proof is missing: another site may have made the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not proven to come from this site: {0}")]
pub struct CrossSite(pub &'static str);

/// The rule for routes with a session and for the session endpoints, for every method: `Sec-Fetch-Site: same-origin`
/// (or `none` on GET and HEAD); without that header `Origin` equal to the configured one; without both `X-BFF: 1`.
/// `same-site` is hostile. With [`CsrfMode::Header`] `X-BFF: 1` is demanded as well.
///
/// # Errors
/// [`CrossSite`] says which word is wrong.
pub fn check(words: &Words<'_>, origin: &Origin, csrf: CsrfMode) -> Result<SameOrigin, CrossSite> {
    todo!("{words:?}{origin}{csrf:?}")
}

/// What session routes refuse in addition: loads as script, worker, sharedworker, serviceworker, object and embed.
///
/// # Errors
/// [`CrossSite`] for those destinations.
pub fn check_destination(words: &Words<'_>) -> Result<(), CrossSite> {
    todo!("{words:?}")
}

/// The rule for starting a login: a top-level navigation. `Sec-Fetch-Mode`, if sent, is `navigate` and
/// `Sec-Fetch-Dest`, if sent, `document`; and it is no prefetch or prerender.
///
/// # Errors
/// [`CrossSite`] for anything else.
pub fn check_navigation(words: &Words<'_>) -> Result<(), CrossSite> {
    todo!("{words:?}")
}
