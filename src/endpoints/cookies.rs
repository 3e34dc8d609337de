//! The gateway's cookies as the browser sends them: names matched byte for byte, values never decoded, order never trusted.
//!
//! The usual parsers percent-decode names and drop the whole header for one odd byte, by which a neighbouring subdomain
//! can plant or hide a session in spite of the `__Host-` prefix. Here a name counts only as the exact bytes, and a name
//! that comes twice counts as absent (RFC 6265bis §8.6).

use std::collections::HashMap;

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{COOKIE, HeaderMap};
use memchr::memchr;

use crate::auth::LOGIN_LIFETIME;
use crate::config::{Origin, Scheme, SiteConfig};
use crate::session::keyring::{CookiePurpose, Keyring, Opened};
use crate::session::ticket::Ticket;

/// How many login attempts one browser may have open.
pub(super) const MOST_LOGINS: usize = 8;

/// The names of one site's cookies (RFC 6265bis §4.1.3: the prefix makes the browser enforce host, path and `Secure`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CookieNames {
    /// The session's.
    pub(super) session: String,
    /// What every login attempt's begins with.
    pub(super) login_prefix: String,
    /// Whether they carry `Secure`; only a loopback origin does without.
    pub(super) secure: bool,
}

impl CookieNames {
    /// The names at `origin`.
    #[must_use]
    pub(super) fn of(origin: &Origin) -> Self {
        let (session, secure) = match origin.scheme() {
            Scheme::Https => ("__Host-Http-cloakroom".to_owned(), true),
            // Browsers do not keep ports apart, and take no prefix without Secure.
            Scheme::Http => (format!("cloakroom-{}", origin.port()), false),
        };
        Self { login_prefix: format!("{session}-login-"), session, secure }
    }

    /// A login attempt's cookie, for ten minutes; always `Lax`, since it must survive the way back from the provider.
    #[must_use]
    pub(super) fn login<'c>(&self, name: String, value: String) -> Cookie<'c> {
        let lifetime = i64::try_from(LOGIN_LIFETIME.as_secs()).unwrap_or(i64::MAX);
        self.bake(name, value, SameSite::Lax, Some(Duration::seconds(lifetime)))
    }

    /// What takes a cookie of ours away.
    #[must_use]
    pub(super) fn removal<'c>(&self, name: String, same_site: SameSite) -> Cookie<'c> {
        let mut cookie = self.bake(name, String::new(), same_site, None);
        cookie.make_removal();
        cookie
    }

    fn bake<'c>(&self, name: String, value: String, same_site: SameSite, age: Option<Duration>) -> Cookie<'c> {
        let mut cookie =
            Cookie::build(name, value).path("/").secure(self.secure).http_only(true).same_site(same_site).finish();
        cookie.set_max_age(age);
        cookie
    }
}

/// `SameSite` as configured.
#[must_use]
pub(super) const fn same_site(site: &SiteConfig) -> SameSite {
    match site.session.same_site {
        crate::config::SameSite::Lax => SameSite::Lax,
        crate::config::SameSite::Strict => SameSite::Strict,
    }
}

/// What a request's cookies say.
#[derive(Debug, Default)]
pub(super) struct BrowserCookies {
    /// The session's, if there is exactly one and it opens.
    pub(super) session: Option<SessionCookie>,
    /// Whether anything at all came under the session's name.
    pub(super) session_present: bool,
    /// The login attempts', name and sealed value; a name that came twice is left out.
    pub(super) logins: Vec<(String, String)>,
}

/// A session cookie that opened.
#[derive(Debug)]
pub(super) struct SessionCookie {
    /// What it carries.
    pub(super) ticket: Ticket,
    /// How it was sealed.
    pub(super) opened: Opened,
    /// The value as it came.
    pub(super) sealed: String,
}

impl BrowserCookies {
    /// Reads every `Cookie` header line as one list (RFC 6265bis §4.2).
    #[must_use]
    pub(super) fn read(headers: &HeaderMap, names: &CookieNames, ring: &Keyring) -> Self {
        let (mut sessions, mut logins) = (Vec::new(), Vec::new());
        for (name, value) in headers.get_all(COOKIE).flat_map(|line| pairs(line.as_bytes())) {
            if name == names.session.as_bytes() {
                sessions.push(value);
            } else if name.starts_with(names.login_prefix.as_bytes()) {
                logins.push((name, value));
            }
        }
        let session = match sessions[..] {
            [only] => open_session(only, names, ring),
            _ => None,
        };
        if !sessions.is_empty() && session.is_none() {
            refused(sessions.len());
        }
        Self { session, session_present: !sessions.is_empty(), logins: singles(&logins) }
    }

    /// The ticket in the session's.
    #[must_use]
    pub(super) fn ticket(&self) -> Option<Ticket> {
        self.session.as_ref().map(|cookie| cookie.ticket.clone())
    }

    /// The login cookie of that exact name.
    #[must_use]
    pub(super) fn login(&self, name: &str) -> Option<&str> {
        self.logins.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// The value of the session's cookie if it came exactly once, for the proxied path, which asks for no other.
#[must_use]
pub(super) fn only_session<'h>(headers: &'h HeaderMap, names: &CookieNames) -> Option<&'h [u8]> {
    let mut found = headers
        .get_all(COOKIE)
        .flat_map(|line| pairs(line.as_bytes()))
        .filter(|(name, _)| *name == names.session.as_bytes())
        .map(|(_, value)| value);
    let first = found.next()?;
    let more = found.count();
    if more > 0 {
        refused(1 + more);
        return None;
    }
    Some(first)
}

/// The ticket in that value.
#[must_use]
pub(super) fn open_ticket(value: &[u8], names: &CookieNames, ring: &Keyring) -> Option<Ticket> {
    let opened = open_session(value, names, ring);
    if opened.is_none() {
        refused(1);
    }
    opened.map(|cookie| cookie.ticket)
}

fn refused(count: usize) {
    tracing::info!(event = "session_cookie_refused", count);
}

fn open_session(value: &[u8], names: &CookieNames, ring: &Keyring) -> Option<SessionCookie> {
    let sealed = std::str::from_utf8(value).ok()?;
    let opened = ring.open_cookie(CookiePurpose::Session, &names.session, sealed)?;
    let ticket = Ticket::decode(&opened.value)?;
    Some(SessionCookie { ticket, opened, sealed: sealed.to_owned() })
}

fn singles(found: &[(&[u8], &[u8])]) -> Vec<(String, String)> {
    let mut counts: HashMap<&[u8], usize> = HashMap::with_capacity(found.len());
    for (name, _) in found {
        *counts.entry(name).or_default() += 1;
    }
    let once = |name: &[u8]| counts.get(name) == Some(&1);
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    found.iter().filter(|(name, _)| once(name)).filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect()
}

/// The pairs of one header line: space and tab around a pair are not part of it, the first `=` divides, and what stands
/// beside it belongs to the name or the value.
fn pairs(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = Some(line);
    let parts = std::iter::from_fn(move || {
        let line = rest?;
        let end = memchr(b';', line);
        rest = end.map(|end| &line[end + 1..]);
        Some(&line[..end.unwrap_or(line.len())])
    });
    parts.filter_map(|pair| {
        let pair = trim(pair);
        let divide = memchr(b'=', pair)?;
        Some((&pair[..divide], &pair[divide + 1..]))
    })
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Timestamp;
    use crate::secret::MasterKey;

    struct Site {
        names: CookieNames,
        ring: Keyring,
        sealed: String,
    }

    fn site() -> Site {
        let origin = Origin::parse("https://one.example").unwrap();
        let ring = Keyring::new(&origin, &[MasterKey::random()]).unwrap();
        let names = CookieNames::of(&origin);
        let ticket = Ticket::new(Timestamp::from_secs(2_000_000_000));
        let sealed = ring.seal_cookie(CookiePurpose::Session, &names.session, &ticket.encode());
        Site { names, ring, sealed }
    }

    fn finds(site: &Site, lines: &[&[u8]]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        let found = BrowserCookies::read(&headers, &site.names, &site.ring).session.is_some();
        let alone = only_session(&headers, &site.names).and_then(|value| open_ticket(value, &site.names, &site.ring));
        assert_eq!(alone.is_some(), found, "the proxied path sees the same");
        found
    }

    #[test]
    fn the_session_is_found_among_neighbours_of_any_bytes_and_over_several_lines() {
        let site = site();
        let own = format!("__Host-Http-cloakroom={}", site.sealed);
        assert!(finds(&site, &[own.as_bytes()]));
        assert!(finds(&site, &[b"a=\xff\xfe; b", own.as_bytes(), b"c=\"x; y"]));
        assert!(finds(&site, &[format!("theme=dark;\t{own} ; x=1").as_bytes()]));
    }

    #[test]
    fn a_session_under_any_other_name_is_no_session() {
        let site = site();
        for name in [
            "__Host%2DHttp-cloakroom",
            "__host-http-cloakroom",
            "__HOST-Http-cloakroom",
            "\u{2000}__Host-Http-cloakroom",
            "=__Host-Http-cloakroom",
            "__Host-Http-cloakroom ",
            "$Version=1,__Host-Http-cloakroom",
            "cloakroom",
            "",
        ] {
            assert!(!finds(&site, &[format!("{name}={}", site.sealed).as_bytes()]), "{name}");
        }
    }

    #[test]
    fn a_name_that_comes_twice_is_no_session_in_either_order() {
        let site = site();
        let own = format!("__Host-Http-cloakroom={}", site.sealed);
        assert!(!finds(&site, &[format!("{own}; __Host-Http-cloakroom=x").as_bytes()]));
        assert!(!finds(&site, &[format!("__Host-Http-cloakroom=x; {own}").as_bytes()]));
        assert!(!finds(&site, &[own.as_bytes(), own.as_bytes()]));
    }

    #[test]
    fn any_number_of_login_cookies_is_read_in_one_pass_and_a_repeated_one_is_left_out() {
        let site = site();
        let many: String = (0..200_000).map(|number| format!("__Host-Http-cloakroom-login-{number}=x; ")).collect();
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_str(&format!("{many}__Host-Http-cloakroom-login-7=y")).unwrap());
        let cookies = BrowserCookies::read(&headers, &site.names, &site.ring);
        assert_eq!(cookies.logins.len(), 199_999);
        assert_eq!(cookies.login("__Host-Http-cloakroom-login-7"), None);
        assert_eq!(cookies.login("__Host-Http-cloakroom-login-8"), Some("x"));
    }

    #[test]
    fn name_and_value_stay_within_two_hundred_bytes() {
        let site = site();
        assert!(site.names.session.len() + 1 + site.sealed.len() <= 200);
    }

    #[test]
    fn on_loopback_the_names_carry_the_port_and_no_prefix() {
        let names = CookieNames::of(&Origin::parse("http://one.localhost:8080").unwrap());
        assert_eq!(names.session, "cloakroom-8080");
        assert_eq!(names.login_prefix, "cloakroom-8080-login-");
        assert!(!names.secure);
    }

    /// Any bytes that can stand in a header.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![Just(b'\t'), 0x20_u8..0x7f, 0x80_u8..=0xff], 0..80)
    }

    proptest! {
        #[test]
        fn whatever_neighbours_send_the_session_stands_or_falls_by_its_own_bytes(
            before in prop::collection::vec(line(), 0..3),
            behind in prop::collection::vec(line(), 0..3),
        ) {
            let site = site();
            let own = format!("__Host-Http-cloakroom={}", site.sealed);
            let lines: Vec<&[u8]> = before.iter().map(Vec::as_slice).chain([own.as_bytes()]).chain(behind.iter().map(Vec::as_slice)).collect();
            prop_assert!(finds(&site, &lines));
            let joined = lines.join(&b"; "[..]);
            prop_assert!(finds(&site, &[&joined]));
        }

        #[test]
        fn an_altered_value_is_no_session(place: prop::sample::Index, byte in 0x21_u8..0x7f, cut: prop::sample::Index) {
            let site = site();
            let mut value = site.sealed.clone().into_bytes();
            let place = place.index(value.len());
            prop_assume!(value[place] != byte);
            value[place] = byte;
            let own = |value: &[u8]| [b"__Host-Http-cloakroom=", value].concat();
            prop_assert!(!finds(&site, &[&own(&value)]));
            prop_assert!(!finds(&site, &[&own(&site.sealed.as_bytes()[..cut.index(site.sealed.len())])]));
        }

        #[test]
        fn no_header_makes_the_reader_panic_or_find_what_is_not_there(lines in prop::collection::vec(line(), 0..4)) {
            let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
            prop_assert!(!finds(&site(), &lines));
        }

        #[test]
        fn a_login_cookie_opens_under_its_own_name_and_unaltered_only(
            value in "[ -~]{0,60}",
            name in "[a-z0-9]{1,12}",
            place: prop::sample::Index,
            byte in 0x21_u8..0x7f,
        ) {
            let site = site();
            let full = format!("{}{name}", site.names.login_prefix);
            let sealed = site.ring.seal_cookie(CookiePurpose::Login, &full, &value);
            let open = |name: &str, sealed: &str| site.ring.open_cookie(CookiePurpose::Login, name, sealed).map(|opened| opened.value.to_string());
            prop_assert_eq!(open(&full, &sealed), Some(value));
            prop_assert_eq!(open(&format!("{full}x"), &sealed), None);
            prop_assert!(site.ring.open_cookie(CookiePurpose::Session, &full, &sealed).is_none());
            let mut altered = sealed.into_bytes();
            let place = place.index(altered.len());
            prop_assume!(altered[place] != byte);
            altered[place] = byte;
            prop_assert_eq!(open(&full, std::str::from_utf8(&altered).expect("ASCII")), None);
        }
    }
}
