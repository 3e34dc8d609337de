//! Which authority a request is for (RFC 9110 §7.2).

use crate::config::Origin;

/// Whether `host`, the value of the one `Host` header, is the authority of `origin`:
/// case-insensitive, the scheme's default port may be written or left out.
#[must_use]
pub fn is_authority_of(host: &[u8], origin: &Origin) -> bool {
    todo!("{host:?} {origin}")
}
