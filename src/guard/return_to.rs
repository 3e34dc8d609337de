//! Where a login or logout ends: a path of the site itself, never anything else (RFC 9700 §4.11).

use percent_encoding::percent_decode_str;

use super::path::RoutePath;
use crate::config::Origin;

/// The longest `return_to`, in bytes.
const LONGEST: usize = 2048;

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
        if text.len() > LONGEST {
            return Err(BadReturnTo("too long"));
        }
        // Browsers strip tabs and line ends from URLs and read `\` as `/`: none of them may be there to be read so.
        if !text.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'\\') {
            return Err(BadReturnTo("a character that URLs do not have"));
        }
        let path = text.split(['?', '#']).next().unwrap_or_default();
        // The browser will ask for this path next, so it must be one that the gateway serves.
        let path = RoutePath::parse(path).map_err(|bad| BadReturnTo(bad.0))?;
        if path.has_encoded_slash() {
            return Err(BadReturnTo("an encoded slash"));
        }
        if is_under(&path, base_path) {
            return Err(BadReturnTo("an endpoint of the gateway"));
        }
        Ok(Self(text.to_owned()))
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

/// Whether the path leads to the gateway's own endpoints, in any spelling of its letters.
fn is_under(path: &RoutePath, base_path: &str) -> bool {
    let decoded = percent_decode_str(path.as_str()).decode_utf8_lossy();
    decoded.strip_prefix(base_path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SITE: &str = "https://app.example";

    fn origin() -> Origin {
        Origin::parse(SITE).expect("a good origin")
    }

    /// Whether a browser that follows this `return_to` stays on the site and outside the gateway's endpoints.
    fn is_home(return_to: &ReturnTo) -> bool {
        let url = url::Url::parse(&return_to.on(&origin())).expect("a URL");
        url.origin().ascii_serialization() == SITE
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() != "/bff"
            && !url.path().starts_with("/bff/")
            && !url.path().starts_with("//")
    }

    const HOSTS: &str =
        "evil.example 0x7f.1 2130706433 [::ffff:7f00:1] app.example@evil.example evil\u{3002}example \u{435}xample.com";

    /// Ways to get from this site to one of [`HOSTS`]; `_` stands for a space.
    const LEADS: &str = r"// /// //// ////// /\ \/ \\ /\/ /\\/ /_/ _// %20// /%2f%2f /%2F /%5c /%5C/ /.// /..// /./\ /foo/..//
        /x/%2e%2e// /x/%2e%2e/ //;@ /;@ @ . : :443/ https: https:/ https:// https:/// http:\\ hTTps:// http://app.example/
        https://app.example:x@ https://app.example. https://app.example%2e https://app.example%40 https://app.example\.
        javascript: JaVaScRiPt: data:text/html, vbscript: blob:https:// filesystem:https:// about: view-source:https://";

    /// The same with bytes that text cannot show.
    const CONTROL_LEADS: [&str; 8] = ["/\t/", "/\n/", "/\r\\", "/\u{b}/", "\0//", "\t//", "/\r\n", "\u{feff}//"];

    /// What is wrong whatever follows.
    const ODD: &str =
        "/bff /bff/ /bff/login?return_to=/bff/login /bff/logout?x=1 /bff#x /bff?x /%62ff/login /b%66f /bff%2Flogin
        * x ?x #x /a//b /\u{e9} /% /%zz /;x /%0d%0aSet-Cookie:%20x=1 /x%0d%0a%0d%0a<script> java%0d%0ascript:alert(1)
        https://app.example/ https://app.example:8443/ https://APP.example./ https://evil.example#app.example";

    /// Each way to write "the other host", behind each way to hide it.
    fn hostile() -> Vec<String> {
        let leads = LEADS.split_whitespace().map(|lead| lead.replace('_', " "));
        let mut all: Vec<String> = leads
            .chain(CONTROL_LEADS.map(String::from))
            .flat_map(|lead| HOSTS.split(' ').map(move |host| format!("{lead}{host}")))
            .flat_map(|url| ["", "/%2e%2e", "#app.example", "?app.example"].map(|tail| format!("{url}{tail}")))
            .collect();
        all.extend(ODD.split_whitespace().map(String::from));
        all.extend([String::new(), "/x y".into(), format!("/{}", "a".repeat(2048)), "a".repeat(2 << 20)]);
        all
    }

    #[test]
    fn every_way_off_the_site_is_refused() {
        for text in hostile() {
            assert!(ReturnTo::parse(&text, "/bff").is_err(), "{:?}", text.chars().take(80).collect::<String>());
        }
    }

    #[test]
    fn what_is_hostile_stays_harmless_when_it_is_encoded_once_more() {
        for text in hostile().iter().filter(|text| text.len() < 500) {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            for text in [encoded.clone(), format!("/{encoded}"), format!("/?next={encoded}"), format!("/#{encoded}")] {
                assert!(ReturnTo::parse(&text, "/bff").as_ref().map_or(true, is_home), "{text}");
            }
        }
    }

    #[test]
    fn paths_of_the_site_pass() {
        let long = format!("/{}", "a".repeat(2047));
        let good = [
            "/",
            "/orders/1?x=%2F&y=a+b#frag",
            "/%C3%A4",
            "/bffx",
            "/x/bff",
            "/?u=https://x//y",
            "/#//evil.example",
            &long,
        ];
        for text in good {
            let parsed = ReturnTo::parse(text, "/bff").expect(text);
            assert_eq!(parsed.on(&origin()), format!("{SITE}{text}"));
            assert!(is_home(&parsed), "{text}");
        }
        assert_eq!(ReturnTo::parse("/", "/bff"), Ok(ReturnTo::front_page()));
    }

    proptest! {
        #[test]
        fn whatever_passes_stays_on_the_site(text in "[/\\\\.%2eEfF5c09ad:@;?#bh \t\né]{0,10}") {
            if let Ok(parsed) = ReturnTo::parse(&text, "/bff") {
                prop_assert!(is_home(&parsed), "{:?}", text);
            }
        }

        #[test]
        fn any_text_gets_an_answer(text in any::<String>()) {
            prop_assert!(ReturnTo::parse(&text, "/bff").as_ref().map_or(true, is_home));
        }
    }
}
