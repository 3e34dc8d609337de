//! A request's words, read once and without trust.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::http::{Method, Uri};
use ipnet::IpNet;
use percent_encoding::percent_decode;

use super::problem::Problem;
use crate::guard::path::RoutePath;
use crate::guard::same_origin::Words;
use crate::provider::Answer;
use crate::telemetry::RequestId;

/// A request that came to the right door, on its way through a route or to a file.
pub(super) struct Incoming<'a> {
    pub(super) request: &'a HttpRequest,
    pub(super) payload: Payload,
    /// Its path, checked.
    pub(super) path: &'a RoutePath,
    /// The browser's address.
    pub(super) client: IpAddr,
    pub(super) id: &'a RequestId,
}

/// What tells where a request comes from, found in one pass over the headers.
pub(super) fn words(request: &HttpRequest) -> Words<'_> {
    let mut words = Words { safe: matches!(*request.method(), Method::GET | Method::HEAD), ..Words::default() };
    let mut purpose = None;
    for (name, value) in request.headers() {
        let word = match name.as_str() {
            "sec-fetch-site" => &mut words.site,
            "sec-fetch-mode" => &mut words.mode,
            "sec-fetch-dest" => &mut words.dest,
            "origin" => &mut words.origin,
            "x-bff" => &mut words.x_bff,
            "sec-purpose" => &mut words.purpose,
            "purpose" => &mut purpose,
            _ => continue,
        };
        *word = Some(if word.is_some() { b"" } else { value.as_bytes() });
    }
    words.purpose = words.purpose.or(purpose);
    words
}

/// A header's value; one that came more than once is given as empty, which proves nothing.
pub(super) fn one<'r>(headers: &'r HeaderMap, name: &'static str) -> Option<&'r [u8]> {
    let mut values = headers.get_all(HeaderName::from_static(name));
    let first = values.next()?;
    Some(if values.next().is_some() { b"" } else { first.as_bytes() })
}

/// Whether a person looks at the answer: `Sec-Fetch-Mode: navigate`, or without that header a GET that accepts HTML.
pub(super) fn is_navigation(request: &HttpRequest) -> bool {
    match one(request.headers(), "sec-fetch-mode") {
        Some(mode) => mode == b"navigate",
        None => {
            *request.method() == Method::GET
                && request
                    .headers()
                    .get(header::ACCEPT)
                    .and_then(|accept| accept.to_str().ok())
                    .is_some_and(|accept| accept.to_ascii_lowercase().contains("text/html"))
        }
    }
}

/// The one `Host` of a request.
pub(super) fn host(request: &HttpRequest) -> Result<&[u8], Problem> {
    let mut hosts = request.headers().get_all(header::HOST);
    let host = hosts.next().map(header::HeaderValue::as_bytes).filter(|host| !host.is_empty());
    if hosts.next().is_some() {
        return Err(Problem::BadRequest("the Host header is repeated"));
    }
    host.ok_or(Problem::BadRequest("the Host header is missing"))
}

/// The path of a request target, the bytes as they came.
pub(super) fn path(uri: &Uri) -> &str {
    uri.path()
}

/// The browser's address: the peer's, or behind trusted proxies the right-most hop that is not one of them (RFC 7239 §5.2
/// for the order). Used for the upstream's `X-Forwarded-For` and the limit per address, never for a decision about scheme, host or routing.
pub(super) fn client_address(request: &HttpRequest, trusted: &[IpNet]) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    if !is_trusted(&peer) {
        return peer;
    }
    let lines = request.headers().get_all("x-forwarded-for").map(|line| line.to_str().unwrap_or("unreadable"));
    let lines: Vec<&str> = lines.collect();
    let mut client = peer;
    let hops = lines.iter().flat_map(|line| line.split(',')).map(str::trim);
    // An empty member is none (RFC 9110 §5.6.1).
    for hop in hops.filter(|hop| !hop.is_empty()).rev() {
        match address_of(hop) {
            Some(address) => client = address.to_canonical(),
            // Whatever stands left of an unreadable hop may be forged.
            None => break,
        }
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

/// The address of a hop: alone, with the port that some proxies write behind it, or in brackets.
fn address_of(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    bare.parse().ok().or_else(|| hop.parse().ok().map(|with_port: SocketAddr| with_port.ip()))
}

/// The parameters of a query or a form, decoded once.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] when a parameter comes twice (RFC 6749 §3.1), or is not percent-encoded UTF-8.
    pub(super) fn read(uri: &Uri) -> Result<Self, Problem> {
        Self::parse(uri.query().unwrap_or_default().as_bytes(), |_| true)
    }

    /// Reads the query of an authorization response. What is no parameter of ours is the provider's affair, and may be
    /// written as it likes (RFC 6749 §4.1.2).
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) fn of_answer(uri: &Uri) -> Result<Self, Problem> {
        Self::of_posted_answer(uri.query().unwrap_or_default().as_bytes())
    }

    /// Reads the form of an authorization response, which is written as a query is.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) fn of_posted_answer(form: &[u8]) -> Result<Self, Problem> {
        Self::parse(form, |name| name == "answer" || Answer::PARAMETERS.contains(&name))
    }

    fn parse(form: &[u8], matters: impl Fn(&str) -> bool) -> Result<Self, Problem> {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(form).into_owned().collect();
        let mut names = HashSet::with_capacity(pairs.len());
        if !pairs.iter().all(|(name, _)| names.insert(name)) {
            return Err(Problem::BadRequest("a parameter is repeated"));
        }
        // As many, in the same order: both leave empty ones out.
        let written = form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        if written.zip(&pairs).any(|(written, (name, _))| matters(name) && !is_percent_encoded(written)) {
            return Err(Problem::BadRequest("a parameter is not percent-encoded UTF-8"));
        }
        Ok(Self(pairs))
    }

    /// A parameter's value; an empty one is there.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// Whether every `%` stands in front of two hexadecimal digits (RFC 3986 §2.1), and all of it is UTF-8.
fn is_percent_encoded(text: &[u8]) -> bool {
    let escapes = text.split(|byte| *byte == b'%').skip(1);
    let whole = |escape: &[u8]| escape.len() >= 2 && escape[..2].iter().all(u8::is_ascii_hexdigit);
    escapes.into_iter().all(whole) && percent_decode(text).decode_utf8().is_ok()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_repeated_parameter_is_found_and_any_number_of_others_is_read_in_one_pass() {
        let parse = |form: &[u8]| Query::parse(form, |_| true);
        assert!(parse(b"a=1&b=2&%61=3").is_err());
        let many: String = (0..200_000).map(|number| format!("{number}&")).collect();
        let query = parse(many.as_bytes()).expect("no parameter is repeated");
        assert_eq!(query.get("199999"), Some(""));
        assert!(parse(format!("{many}0").as_bytes()).is_err());
    }

    #[test]
    fn what_is_not_percent_encoded_utf_8_is_refused_where_it_matters() {
        for (pair, good) in [
            ("a=%C3%A9", true),
            ("a=\u{e9}", true),
            ("a=100+b", true),
            ("&&a=1", true),
            ("a=%", false),
            ("a=%a", false),
            ("a=%zz", false),
            ("a=%%41", false),
            ("a=%C3", false),
            ("a=%ff", false),
            ("%ff=a", false),
        ] {
            assert_eq!(Query::parse(pair.as_bytes(), |_| true).is_ok(), good, "{pair}");
            assert!(Query::parse(pair.as_bytes(), |_| false).is_ok(), "{pair}");
        }
        assert!(Query::parse(b"&b=%ff&&a=1", |name| name == "a").is_ok());
        assert!(Query::parse(b"&b=1&&a=%ff", |name| name == "a").is_err());
        assert!(Query::of_posted_answer(b"state=%ff").is_err() && Query::of_posted_answer(b"answer=%").is_err());
    }

    fn net(text: &str) -> IpNet {
        text.parse().expect("a network")
    }

    fn address(peer: &str, lines: &[Vec<u8>], trusted: &[IpNet]) -> IpAddr {
        let peer = SocketAddr::new(peer.parse().expect("an address"), 1);
        let request = lines.iter().fold(TestRequest::default().peer_addr(peer), |request, line| {
            request.append_header(("x-forwarded-for", HeaderValue::from_bytes(line).expect("a value")))
        });
        client_address(&request.to_http_request(), trusted)
    }

    #[test]
    fn a_line_that_nobody_can_read_hides_what_stands_left_of_it() {
        let lines = [b"203.0.113.7".to_vec(), b"\xff".to_vec(), b"10.0.0.2".to_vec()];
        assert_eq!(address("10.0.0.1", &lines, &[net("10.0.0.0/8")]).to_string(), "10.0.0.2");
    }

    #[test]
    fn a_hop_may_have_a_port_or_brackets_and_an_empty_one_is_none() {
        for (line, expected) in [
            ("203.0.113.7:5678", "203.0.113.7"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("203.0.113.7,, 10.0.0.2:1 ,", "203.0.113.7"),
            ("203.0.113.7:x", "10.0.0.1"),
            ("[203.0.113.7", "10.0.0.1"),
        ] {
            assert_eq!(address("10.0.0.1", &[line.into()], &[net("10.0.0.0/8")]).to_string(), expected, "{line}");
        }
    }

    proptest! {
        /// Hops left of the first that is not trusted, or not readable, change nothing.
        #[test]
        fn whatever_a_browser_forges_the_address_is_that_of_the_last_untrusted_hop(
            forged in prop::collection::vec(prop::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff], 0..30), 0..3),
            client in any::<[u8; 4]>(),
            hops in prop::collection::vec(any::<[u8; 3]>(), 0..4),
            joined: bool,
        ) {
            let trusted = [net("10.0.0.0/8")];
            prop_assume!(client[0] != 10);
            let client = IpAddr::from(client);
            let hops = hops.iter().map(|[a, b, c]| format!("10.{a}.{b}.{c}"));
            let honest: Vec<String> = std::iter::once(client.to_string()).chain(hops).collect();
            let honest: Vec<Vec<u8>> = if joined { vec![honest.join(", ").into_bytes()] } else { honest.into_iter().map(String::into_bytes).collect() };
            let lines = [forged.clone(), honest].concat();
            prop_assert_eq!(address("10.0.0.1", &lines, &trusted), client);
            prop_assert_eq!(address("192.0.2.1", &lines, &trusted).to_string(), "192.0.2.1");
            prop_assert_eq!(address("10.0.0.1", &forged, &[]).to_string(), "10.0.0.1");
        }
    }
}
