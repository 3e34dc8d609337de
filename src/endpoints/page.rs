//! The small page a person sees when a navigation cannot be answered.

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpResponse, HttpResponseBuilder};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const STYLE: &str = include_str!("page.css");

/// Nothing but this page's own style may load (CSP Level 3 §6.1).
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// Finishes `answer` as a page. `again` is what the button says and where it leads: a path of ours, or "" for this very page.
pub(super) fn respond(
    answer: &mut HttpResponseBuilder,
    title: &str,
    detail: &str,
    reason: &str,
    request_id: &str,
    again: Option<(&str, &str)>,
) -> HttpResponse {
    super::close_to_browsers(answer);
    answer.insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"));
    answer.insert_header((header::CONTENT_SECURITY_POLICY, POLICY.as_str()));
    let link = match again {
        Some((what, path)) => format!("<a class=\"again\" href=\"{}\">{}</a>", escape(path), escape(what)),
        None => String::new(),
    };
    answer.body(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"robots\" content=\"noindex\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1><p>{detail}</p>{link}\
         <p class=\"fine\">{reason} · {request_id}</p></main></body></html>\n",
        title = escape(title),
        detail = escape(&sentence(detail)),
        reason = escape(reason),
        request_id = escape(request_id),
    ))
}

/// A remark such as "an empty segment" the way people are spoken to: "An empty segment."
fn sentence(remark: &str) -> String {
    let mut letters = remark.chars();
    let mut sentence: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}
