//! The seam between the server's header types and the bytes that are written to an upstream.

/// Whether these bytes can be the value of a header (RFC 9110 §5.5): no line ends in them, and a new request cannot
/// begin. The server's parser has looked at what it hands on; this is the last look before it is written again.
pub(super) fn is_value(bytes: &[u8]) -> bool {
    !bytes.iter().fold(false, |bad, byte| bad | ((*byte < b' ') & (*byte != b'\t')) | (*byte == 0x7f))
}

/// Whether these bytes can be the target of a request: nothing in them ends it (RFC 9112 §3.2).
pub(super) fn is_target(bytes: &[u8]) -> bool {
    !bytes.iter().fold(false, |bad, byte| bad | (*byte <= b' ') | (*byte == 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_ends_a_line_can_be_written() {
        for byte in 0..=u8::MAX {
            let text = [b'a', byte, b'b'];
            assert_eq!(is_value(&text), byte == b'\t' || !byte.is_ascii_control(), "{byte}");
            assert_eq!(is_target(&text), byte != b' ' && !byte.is_ascii_control(), "{byte}");
        }
    }
}
