//! A request's head in HTTP/2, made of the very bytes that HTTP/1.1 would send: the same words, in the same order as far as
//! a map of them can keep it.

use std::mem::MaybeUninit;

use bytes::Bytes;
use hyper::http::header::{HeaderName, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery, Scheme, Uri};
use hyper::http::{Method, Request};

/// More lines than the server lets through together with the gateway's own.
const MOST_LINES: usize = 128;

/// The head without what means one connection only (RFC 9113 §8.2.2), `Host` as `:authority` (§8.3.1) and the target's
/// bytes as `:path`. `None` if HTTP/2 has no words for it.
pub(in super::super) fn translated(head: &Bytes) -> Option<Request<()>> {
    let mut lines = [const { MaybeUninit::uninit() }; MOST_LINES];
    let mut parsed = httparse::Request::new(&mut []);
    let whole = httparse::ParserConfig::default().parse_request_with_uninit_headers(&mut parsed, head, &mut lines);
    if whole.ok()?.is_partial() {
        return None;
    }
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(parsed.method?.as_bytes()).ok()?;
    let mut authority = None;
    for line in parsed.headers.iter() {
        let value = head.slice_ref(line.value);
        match line.name {
            "host" => authority = Some(Authority::from_maybe_shared(value).ok()?),
            "transfer-encoding" => {}
            name => {
                let mut value = HeaderValue::from_maybe_shared(value).ok()?;
                value.set_sensitive(is_secret(name));
                request.headers_mut().append(HeaderName::from_bytes(name.as_bytes()).ok()?, value);
            }
        }
    }
    *request.uri_mut() = uri(authority?, head.slice_ref(parsed.path?.as_bytes()))?;
    Some(request)
}

/// What is never put into the compression's table, which others' requests on the same connection use too (RFC 7541 §7.1.3).
fn is_secret(name: &str) -> bool {
    matches!(name, "authorization" | "cookie" | "dpop")
}

fn uri(authority: Authority, target: Bytes) -> Option<Uri> {
    let path = PathAndQuery::from_maybe_shared(target.clone()).ok()?;
    // Not a byte of it may be missing or changed.
    if path.as_str().as_bytes() != target {
        return None;
    }
    Uri::builder().scheme(Scheme::HTTPS).authority(authority).path_and_query(path).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(target: &[u8], lines: &str) -> Option<Request<()>> {
        let head = [b"GET ", target, b" HTTP/1.1\r\nhost: up:81\r\n", lines.as_bytes(), b"\r\n"].concat();
        translated(&head.into())
    }

    #[test]
    fn every_byte_that_the_server_lets_through_is_the_path_unchanged() {
        for byte in 0..=u8::MAX {
            for target in [&[b'/', byte][..], &[b'/', b'?', byte], &[b'/', b'a', byte, b'?', byte, byte]] {
                let let_through =
                    actix_web::http::Uri::try_from(target).is_ok_and(|uri| uri.to_string().as_bytes() == target);
                if let_through && crate::proxy::seam::is_target(target) {
                    let request = of(target, "").expect("it has words for it");
                    assert_eq!(request.uri().path_and_query().expect("a path").as_str().as_bytes(), target);
                    assert_eq!(request.uri().authority().expect("an authority"), "up:81");
                }
            }
        }
    }

    #[test]
    fn what_http_2_has_no_words_for_is_not_translated() {
        let long = format!("/{}", "a".repeat(70_000));
        for target in [&b"/a#b"[..], b"*x", b"", long.as_bytes()] {
            assert!(of(target, "").is_none(), "{}", String::from_utf8_lossy(target));
        }
        let many: String = (0..MOST_LINES).map(|line| format!("x{line}: a\r\n")).collect();
        assert!(of(b"/", &many).is_none());
    }

    #[test]
    fn lines_keep_their_order_and_connections_keep_their_own() {
        let request = of(
            b"/",
            "b: 1\r\na: 2\r\nb: \u{e9}\r\ntransfer-encoding: chunked\r\nauthorization: Bearer x\r\ncookie: a=1; b=2\r\n",
        )
        .expect("a request");
        let lines: Vec<_> = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let expected: [(&str, &[u8]); 5] = [
            ("b", b"1"),
            ("b", "\u{e9}".as_bytes()),
            ("a", b"2"),
            ("authorization", b"Bearer x"),
            ("cookie", b"a=1; b=2"),
        ];
        assert_eq!(lines, expected);
        let secret = request.headers().iter().filter(|(_, value)| value.is_sensitive()).map(|(name, _)| name.as_str());
        assert_eq!(secret.collect::<Vec<_>>(), ["authorization", "cookie"]);
    }
}
