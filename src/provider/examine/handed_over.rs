//! The error that a provider hands over in place of a login page, by whatever way it does: in the query of a redirect (RFC 6749
//! §4.1.2.1), in a form that its page would post (OAuth 2.0 Form Post Response Mode), or in a signed token in either (JARM).

use std::borrow::Cow;

use url::form_urlencoded;

use crate::provider::back_channel::Page;
use crate::provider::{jws, refusal};

/// The code of the error that `page` would bring back to `redirect_uri`, if it is one.
pub(super) fn error_in(page: &Page, redirect_uri: &str) -> Option<String> {
    let handed_over = match &page.location {
        Some(location) => in_query(location),
        None => in_form(&page.body, redirect_uri),
    };
    let get = |name: &str| handed_over.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    // Whoever signed it: nothing is believed here but that something is wrong.
    let signed = || jws::unverified_claims(get("response")?)?.get("error")?.as_str().map(str::to_owned);
    get("error").map(str::to_owned).or_else(signed).map(|error| refusal::readable(&error))
}

fn in_query(location: &str) -> Vec<(String, String)> {
    let query = location.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.split('#').next().unwrap_or_default().as_bytes()).into_owned().collect()
}

/// The fields of the form that goes to `action`; other forms are the provider's own.
fn in_form(page: &str, action: &str) -> Vec<(String, String)> {
    let mut inside = false;
    let mut fields = Vec::new();
    for (name, attributes) in page.split('<').skip(1).filter_map(tag) {
        let get = |wanted: &str| attributes.iter().find(|(own, _)| own == wanted).map(|(_, value)| value.clone());
        match name.as_str() {
            "form" => inside = get("action").is_some_and(|to| to == action),
            "/form" => inside = false,
            "input" if inside => fields.extend(get("name").zip(get("value"))),
            _ => {}
        }
    }
    fields
}

/// A tag's name in lower case, and its attributes, without their quotes and character references.
fn tag(text: &str) -> Option<(String, Vec<(String, String)>)> {
    let end = text.find(|symbol: char| symbol.is_whitespace() || symbol == '>')?;
    let (name, mut rest) = text.split_at(end);
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start_matches(|symbol: char| symbol.is_whitespace() || symbol == '/');
        let end = rest.find(|symbol: char| symbol.is_whitespace() || matches!(symbol, '=' | '>'))?;
        let (attribute, after) = rest.split_at(end);
        let Some(value) = after.trim_start().strip_prefix('=').map(str::trim_start) else {
            if attribute.is_empty() {
                return Some((name.to_ascii_lowercase(), attributes));
            }
            rest = after;
            continue;
        };
        let (value, after) = match value.chars().next()? {
            quote @ ('"' | '\'') => value[1..].split_once(quote)?,
            _ => value.split_at(value.find(|symbol: char| symbol.is_whitespace() || symbol == '>')?),
        };
        attributes.push((attribute.to_ascii_lowercase(), unescaped(value).into_owned()));
        rest = after;
    }
}

/// The references that are met in URLs and codes.
fn unescaped(text: &str) -> Cow<'_, str> {
    const REFERENCES: [(&str, &str); 8] = [
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#x2F;", "/"),
        ("&#x2f;", "/"),
        ("&#47;", "/"),
        ("&#x3D;", "="),
        ("&amp;", "&"),
    ];
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(REFERENCES.iter().fold(text.to_owned(), |text, (reference, symbol)| text.replace(reference, symbol)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "https://a.example/bff/callback";

    fn redirect(location: &str) -> Option<String> {
        error_in(&Page { status: 302, location: Some(location.to_owned()), body: String::new(), error: None }, HERE)
    }

    fn shown(body: &str) -> Option<String> {
        error_in(&Page { status: 200, location: None, body: body.to_owned(), error: None }, HERE)
    }

    /// {"state":"s","error":"invalid_scope"}
    const SIGNED: &str = "e30.eyJzdGF0ZSI6InMiLCJlcnJvciI6ImludmFsaWRfc2NvcGUifQ.c2ln";

    #[test]
    fn an_error_is_found_in_a_redirect_and_nothing_else_of_it_is_told() {
        assert_eq!(redirect(&format!("{HERE}?error=invalid_scope&state=x")).as_deref(), Some("invalid_scope"));
        assert_eq!(redirect(&format!("{HERE}?response={SIGNED}")).as_deref(), Some("invalid_scope"));
        assert_eq!(redirect("/login?error=%3Cscript%3E").as_deref(), Some("an unreadable error code"));
        assert_eq!(redirect(&format!("{HERE}?response=no.token")), None);
        assert_eq!(redirect("/login?challenge=error"), None);
        assert_eq!(redirect("/login"), None);
    }

    #[test]
    fn an_error_is_found_in_a_form_that_comes_back_here() {
        let form =
            |action: &str, field: &str| format!("<html><FORM METHOD=post action={action}>\n{field}</form></html>");
        for (action, field) in [
            (format!("\"{HERE}\""), r#"<input type="hidden" name="error" value="invalid_scope"/>"#.to_owned()),
            (format!("'{HERE}'"), "<INPUT value='invalid_scope' NAME='error' hidden>".to_owned()),
            (format!("\"{}\"", HERE.replace('/', "&#x2F;")), "<input name=error value=invalid_scope >".to_owned()),
            (HERE.to_owned(), format!(r#"<input name="state" value="s"><input name="response" value="{SIGNED}">"#)),
        ] {
            assert_eq!(shown(&form(&action, &field)).as_deref(), Some("invalid_scope"), "{action} {field}");
        }
        let error = r#"<input name="error" value="invalid_scope">"#;
        assert_eq!(shown(&form("\"/login\"", error)), None, "the provider's own form");
        assert_eq!(shown(&format!("{}{error}", form(&format!("\"{HERE}\""), ""))), None, "behind the form");
        for text in ["", "<", "<form", "<form action=", "<form action=\"x", "<form =>", "<input name>", "a < b > c = d"]
        {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
