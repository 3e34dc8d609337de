//! The head of an answer: read by httparse, judged here, and turned into the server's own types in one pass.
//!
//! What two parsers may cut differently is no answer: a length beside chunks, two lengths, a coding that is not chunked
//! alone, folded lines (RFC 9112 §5.2, §6.1, §6.3). A bare LF ends a line of the head, as RFC 9112 §2.2 allows; it never
//! does between chunks.

use std::mem::MaybeUninit;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use bytes::{Buf as _, BytesMut};

use super::framing::Framing;
use crate::lists;

/// The most bytes of a head, and of all interim answers before it.
pub(super) const LONGEST: usize = 64 << 10;
/// How every answer begins.
const PREFIX: &[u8] = b"HTTP/1.";
/// The most header lines.
const MOST_LINES: usize = 100;

/// The header lines of an answer, in their order.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Fields(Vec<(HeaderName, HeaderValue)>);

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) fields: Fields,
    /// Whether the connection may carry another request after this answer (RFC 9112 §9.3).
    pub(super) persistent: bool,
    /// How its body would be framed, if its status and the request's method allow it to have one.
    framing: Framing,
}

/// Why an answer is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::proxy) enum HeadError {
    /// Not HTTP/1.
    #[error("it does not speak HTTP/1: {0}")]
    Malformed(httparse::Error),
    /// It does not begin as HTTP/1 does.
    #[error("it does not begin with HTTP/1")]
    Foreign,
    /// A header, or its value, that may not be passed on.
    #[error("a header with forbidden bytes")]
    Field,
    /// Too many bytes.
    #[error("the head of its answer is too long")]
    TooLong,
    /// A status below 100 or above 999, or one that ends nothing.
    #[error("a status that ends nothing")]
    Status,
    /// It cannot be told where the body ends.
    #[error("{0}")]
    Framing(&'static str),
}

impl Fields {
    /// The first value of a header.
    pub(in crate::proxy) fn get(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.all(name).next()
    }

    /// All values of a header.
    pub(in crate::proxy) fn all<'a>(&'a self, name: &HeaderName) -> impl Iterator<Item = &'a HeaderValue> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value)
    }

    /// Names and values, copied. `None` if one of them may not be passed on.
    pub(super) fn copied<'a>(lines: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Option<Self> {
        let mut fields = Vec::with_capacity(lines.size_hint().0);
        for (name, value) in lines {
            fields.push((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?));
        }
        Some(Self(fields))
    }

    /// The body's length, if one is declared.
    ///
    /// # Errors
    /// A sentence, when it is no number or declared twice.
    pub(super) fn length(&self) -> Result<Option<u64>, &'static str> {
        let mut lengths = self.all(&CONTENT_LENGTH);
        match (lengths.next(), lengths.next()) {
            (None, _) => Ok(None),
            (Some(length), None) => digits(length.as_bytes()).map(Some).ok_or("a Content-Length that is no number"),
            (Some(_), Some(_)) => Err("two Content-Lengths"),
        }
    }
}

impl IntoIterator for Fields {
    type Item = (HeaderName, HeaderValue);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Head {
    /// Takes a head out of the buffer, once all of it is there. `searched` are the bytes that were looked at before.
    ///
    /// # Errors
    /// [`HeadError`] when it will never be one; nothing may be read from the connection after that.
    pub(super) fn take(buffer: &mut BytesMut, searched: usize) -> Result<Option<Self>, HeadError> {
        let start = buffer.len().min(PREFIX.len());
        if buffer[..start] != PREFIX[..start] {
            return Err(HeadError::Foreign);
        }
        // Without the end of a line there is nothing new to read, so a head that comes byte by byte is not parsed each time.
        if !buffer[searched..].contains(&b'\n') {
            return if buffer.len() > LONGEST { Err(HeadError::TooLong) } else { Ok(None) };
        }
        let mut lines = [const { MaybeUninit::uninit() }; MOST_LINES];
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let length = match config.parse_response_with_uninit_headers(&mut parsed, buffer, &mut lines) {
            Ok(httparse::Status::Complete(length)) if length <= LONGEST => length,
            Ok(httparse::Status::Partial) if buffer.len() <= LONGEST => return Ok(None),
            Ok(_) => return Err(HeadError::TooLong),
            Err(error) => return Err(HeadError::Malformed(error)),
        };
        let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(HeadError::Status)?;
        let modern = parsed.version == Some(1);
        let lines = parsed.headers.iter().map(|line| (line.name.as_bytes(), line.value));
        let fields = Fields::copied(lines).ok_or(HeadError::Field)?;
        let declared = framing(&fields, modern).map_err(HeadError::Framing)?;
        // What follows is another protocol, whatever the head declares (RFC 9110 §15.2.2).
        let switches = status == StatusCode::SWITCHING_PROTOCOLS;
        let framing = if switches { Framing::UntilClose } else { declared };
        let persistent = !switches && is_persistent(&fields, modern);
        buffer.advance(length);
        Ok(Some(Self { status, fields, persistent, framing }))
    }

    /// The body that follows.
    pub(super) fn framing(&mut self, asked_for_head: bool) -> Framing {
        let declared = std::mem::replace(&mut self.framing, Framing::Length(0));
        if has_body(self.status, asked_for_head) { declared } else { Framing::Length(0) }
    }
}

/// Whether a body can follow at all, whatever the head declares: none does after HEAD, and with 204 and 304 (RFC 9110
/// §6.4.1).
pub(super) fn has_body(status: StatusCode, asked_for_head: bool) -> bool {
    !asked_for_head && !matches!(status.as_u16(), 204 | 304)
}

/// The body that a head declares.
fn framing(fields: &Fields, modern: bool) -> Result<Framing, &'static str> {
    let mut codings = fields.all(&TRANSFER_ENCODING);
    let Some(coding) = codings.next() else {
        return Ok(fields.length()?.map_or(Framing::UntilClose, Framing::Length));
    };
    if fields.get(&CONTENT_LENGTH).is_some() {
        Err("both Transfer-Encoding and Content-Length")
    } else if !modern {
        Err("a transfer coding in HTTP/1.0")
    } else if coding.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none() {
        Ok(Framing::chunked())
    } else {
        Err("a transfer coding that is not chunked")
    }
}

/// A number of digits alone: `+5`, `5, 5` and an empty value are none.
fn digits(text: &[u8]) -> Option<u64> {
    let plain = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if plain { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

fn is_persistent(fields: &Fields, modern: bool) -> bool {
    let says = |word: &str| {
        let mut options = fields.all(&CONNECTION).flat_map(|line| lists::tokens(line.as_bytes()));
        options.any(|option| option.eq_ignore_ascii_case(word.as_bytes()))
    };
    !says("close") && (modern || says("keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &str) -> Result<Option<Head>, HeadError> {
        Head::take(&mut BytesMut::from(text), 0)
    }

    fn framing_of(lines: &str) -> Result<Framing, HeadError> {
        take(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n")).map(|head| head.expect("a whole head").framing)
    }

    #[test]
    fn a_body_is_framed_by_one_plain_word_or_by_the_end() {
        assert!(matches!(framing_of("Content-Length: 007"), Ok(Framing::Length(7))));
        assert!(matches!(framing_of("Transfer-Encoding: Chunked"), Ok(Framing::Chunked(_))));
        assert!(matches!(framing_of("X: y"), Ok(Framing::UntilClose)));
        for bad in [
            "Content-Length: +5",
            "Content-Length: 5, 5",
            "Content-Length: 0x5",
            "Content-Length:",
            "Content-Length: 18446744073709551616",
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: 5\r\ncontent-length: 6",
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding:",
        ] {
            assert!(matches!(framing_of(bad), Err(HeadError::Framing(_))), "{bad}");
        }
        let old = take("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(matches!(old, Err(HeadError::Framing(_))), "{old:?}");
    }

    #[test]
    fn what_is_not_to_the_letter_is_no_head() {
        for bad in [
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
            "hello",
            "HTTP/2 200\r\n\r\n",
            "http/1.1 200 OK\r\n\r\n",
            "HTTP/1.2 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n",
            "HTTP/1.1 200 OK\r\n X: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX\u{e9}: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nnocolon\r\n\r\n",
            "HTTP/1.1 200 OK\r\n: a\r\n\r\n",
        ] {
            assert!(take(bad).is_err(), "{bad:?}");
        }
        let many: String = (0..=MOST_LINES).map(|line| format!("X{line}: a\r\n")).collect();
        let long = "a".repeat(LONGEST);
        for bad in [
            format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
            format!("HTTP/1.1 200 OK\r\nX: {long}"),
            format!("HTTP/1.1 200 OK\r\nX: {long}\r\n\r\n"),
        ] {
            assert!(take(&bad).is_err(), "{}", &bad[..40]);
        }
    }

    #[test]
    fn a_connection_is_kept_as_its_version_says() {
        for (head, kept) in [
            ("HTTP/1.1 200 OK", true),
            ("HTTP/1.1 200 OK\r\nConnection: x, Close", false),
            ("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: close", false),
            ("HTTP/1.0 200 OK", false),
            ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive", true),
        ] {
            let taken = take(&format!("{head}\r\n\r\n")).expect("a head").expect("a whole one");
            assert_eq!(taken.persistent, kept, "{head}");
        }
    }

    #[test]
    fn after_a_switch_of_protocols_the_connection_is_no_more_what_it_was() {
        for lines in ["", "Content-Length: 0\r\n", "Content-Length: 7\r\n", "Transfer-Encoding: chunked\r\n"] {
            let text = format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{lines}\r\n");
            let taken = take(&text).expect("a head").expect("a whole one");
            assert!(!taken.persistent && matches!(taken.framing, Framing::UntilClose), "{lines}");
        }
    }

    #[test]
    fn a_head_is_taken_once_it_is_whole_and_nothing_behind_it() {
        let text = "HTTP/1.1 404 \r\nX: a\nx: b\r\n\r\nbody";
        let mut buffer = BytesMut::new();
        for byte in text.bytes().take(text.len() - "body".len() - 1) {
            let searched = buffer.len();
            buffer.extend_from_slice(&[byte]);
            assert!(Head::take(&mut buffer, searched).expect("no fault").is_none());
        }
        let searched = buffer.len();
        buffer.extend_from_slice(b"\nbody");
        let head = Head::take(&mut buffer, searched).expect("no fault").expect("a head");
        let values: Vec<&[u8]> = head.fields.all(&HeaderName::from_static("x")).map(HeaderValue::as_bytes).collect();
        assert_eq!((head.status, values, &buffer[..]), (StatusCode::NOT_FOUND, vec![&b"a"[..], b"b"], &b"body"[..]));
    }
}
