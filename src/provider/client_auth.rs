//! How the client proves itself: exactly one method per request, and the secret never in a URL (RFC 6749 §2.3.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use super::assertion::{ASSERTION_TYPE, Asserter};
use super::back_channel::Form;
use super::discovery::Endpoints;
use crate::clock::Clock;
use crate::config::{ClientAuth, ClientConfig};
use crate::secret::ClientSecret;

/// What one client proves itself with.
pub(super) struct Credentials {
    client_id: String,
    issuer: String,
    method: Method,
    clock: Clock,
}

enum Method {
    /// Nothing, or the certificate of the connection: the form names the client alone (RFC 8705 §2).
    Named,
    Basic(HeaderValue),
    Post(ClientSecret),
    Assertion(Box<Asserter>),
}

impl Credentials {
    /// The credentials of `config` at the provider that calls itself `issuer`.
    pub(super) fn new(config: &ClientConfig, issuer: &str, clock: Clock) -> Result<Self, String> {
        let method = match &config.client_auth {
            ClientAuth::None | ClientAuth::Tls => Method::Named,
            ClientAuth::Basic(secret) => Method::Basic(basic(&config.client_id, secret.expose())),
            ClientAuth::Post(secret) => Method::Post(secret.clone()),
            ClientAuth::PrivateKeyJwt(assertion) => Method::Assertion(Box::new(Asserter::new(assertion)?)),
        };
        Ok(Self { client_id: config.client_id.clone(), issuer: issuer.to_owned(), method, clock })
    }

    /// Adds to `form` what proves the client in this one request.
    pub(super) fn prove<'a>(&'a self, endpoints: &Endpoints, mut form: Form<'a>) -> Result<Form<'a>, String> {
        if !matches!(self.method, Method::Basic(_)) && !form.has("client_id") {
            form.push("client_id", &*self.client_id);
        }
        match &self.method {
            Method::Named => {}
            Method::Basic(value) => form.authorization = Some(value.clone()),
            Method::Post(secret) => form.push("client_secret", secret.expose()),
            Method::Assertion(asserter) => {
                let assertion = asserter.assertion(&self.client_id, &self.issuer, endpoints, self.clock.now())?;
                form.push("client_assertion_type", ASSERTION_TYPE);
                form.push("client_assertion", assertion);
            }
        }
        Ok(form)
    }
}

/// "encoded using the `application/x-www-form-urlencoded` encoding algorithm": both, before they meet at the colon.
fn basic(client_id: &str, secret: &str) -> HeaderValue {
    let mut pair: Zeroizing<String> = Zeroizing::new(byte_serialize(client_id.as_bytes()).collect());
    pair.push(':');
    pair.extend(byte_serialize(secret.as_bytes()));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text).expect("base64 is a valid header value");
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifier_and_secret_are_form_encoded_before_base64() {
        let value = basic("a:b", "p%q+r/s ä");
        let encoded = value.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
        assert_eq!(STANDARD.decode(encoded).unwrap(), b"a%3Ab:p%25q%2Br%2Fs+%C3%A4");
        assert!(value.is_sensitive());
    }
}
