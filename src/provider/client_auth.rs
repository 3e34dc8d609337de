//! How the client proves itself: exactly one method per request, and the secret never in a URL (RFC 6749 §2.3.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use super::back_channel::Form;
use crate::config::{ClientAuth, ClientConfig};

/// Adds the client's credentials to `form`.
pub(super) fn authenticate<'a>(client: &'a ClientConfig, mut form: Form<'a>) -> Form<'a> {
    match &client.client_auth {
        ClientAuth::None => form.fields.push(("client_id", &client.client_id)),
        ClientAuth::Post(secret) => {
            form.fields.push(("client_id", &client.client_id));
            form.fields.push(("client_secret", secret.expose()));
        }
        ClientAuth::Basic(secret) => form.authorization = Some(basic(&client.client_id, secret.expose())),
    }
    form
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
