//! Request parameters as RFC 6749 §3.1 wants them: form-encoded, none repeated, an empty one the same as none.

use actix_web::HttpRequest;
use actix_web::http::header;
use url::form_urlencoded;

use super::respond::Refusal;

/// The parameters of one request, in their order.
#[derive(Clone, Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

/// A parameter is there more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeated(pub(super) &'static str);

impl Parameters {
    /// Reads a query string or a form body.
    pub(super) fn parse(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// Reads the body of a form post.
    pub(super) fn from_form(request: &HttpRequest, body: &[u8]) -> Result<Self, Refusal> {
        let form = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"));
        match std::str::from_utf8(body) {
            Ok(text) if form => Ok(Self::parse(text)),
            _ => Err(Refusal::invalid_request("the body must be application/x-www-form-urlencoded in UTF-8")),
        }
    }

    /// The value of `name`, which must not be repeated.
    pub(super) fn one(&self, name: &'static str) -> Result<Option<&str>, Repeated> {
        let mut found = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(Repeated(name)),
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
        }
    }

    /// The value of `name`, which must be there.
    pub(super) fn required(&self, name: &'static str) -> Result<&str, Refusal> {
        self.one(name)?.ok_or_else(|| Refusal::invalid_request(format!("{name} is missing")))
    }

    /// The first name that occurs twice.
    pub(super) fn repeated(&self) -> Option<&str> {
        self.0
            .iter()
            .enumerate()
            .find(|(at, (name, _))| self.0[..*at].iter().any(|(earlier, _)| earlier == name))
            .map(|(_, (name, _))| name.as_str())
    }

    /// The same parameters as a query string.
    pub(super) fn encode(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }
}

/// Undoes the form encoding of one value.
pub(super) fn form_decode(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}
