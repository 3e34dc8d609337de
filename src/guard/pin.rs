//! Whether a page and a session speak of the same user: the page sends the pin it was loaded with.

use crate::secret::constant_time_eq;

/// The session belongs to another user than the page thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session belongs to another user than the page was loaded for")]
pub struct IdentityChanged;

/// Compares the value of `X-BFF-Pin`, if it was sent, with the session's pin. A header that came more than once is
/// given as `Some(b"")`, which equals no pin.
///
/// # Errors
/// [`IdentityChanged`] when they differ.
pub fn check(session: &str, sent: Option<&[u8]>) -> Result<(), IdentityChanged> {
    match sent {
        None => Ok(()),
        Some(pin) if !session.is_empty() && constant_time_eq(pin, session.as_bytes()) => Ok(()),
        Some(_) => Err(IdentityChanged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_sessions_own_pin_passes() {
        assert_eq!(check("p1", None), Ok(()));
        assert_eq!(check("p1", Some(b"p1")), Ok(()));
        for other in [&b""[..], b"p2", b"P1", b"p1 ", b"p", b"p11"] {
            assert_eq!(check("p1", Some(other)), Err(IdentityChanged));
        }
        assert_eq!(check("", Some(b"")), Err(IdentityChanged));
    }
}
