//! The registered clients, and how one proves itself at the token and revocation endpoints (RFC 6749 §2.3).

use actix_web::HttpRequest;
use actix_web::http::header;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::parameters::{Parameters, form_decode};
use super::respond::Refusal;
use super::shared::Shared;
use crate::secret::{ClientSecret, constant_time_eq};

/// One registered client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its `client_id`.
    pub id: String,
    /// What people are shown.
    pub name: String,
    /// Its secret; `None` is a public client.
    pub secret: Option<ClientSecret>,
    /// Where codes may be sent, compared byte for byte (RFC 9700 §2.1).
    pub redirect_uris: Vec<String>,
    /// Where the browser may go after a logout, compared byte for byte.
    pub post_logout_redirect_uris: Vec<String>,
    /// Who is told of a logout behind the browser's back, if anybody.
    pub backchannel_logout_uri: Option<String>,
}

/// Finds out which client is calling.
pub(super) fn authenticate(shared: &Shared, request: &HttpRequest, form: &Parameters) -> Result<Client, Refusal> {
    let posted_id = form.one("client_id")?;
    let posted_secret = form.one("client_secret")?;
    let header = request.headers().get(header::AUTHORIZATION);
    let (id, secret, by_header) = match (header, posted_id, posted_secret) {
        (Some(_), _, Some(_)) => return Err(Refusal::invalid_request("two ways of client authentication at once")),
        (Some(value), posted, None) => {
            let (id, secret) =
                value.to_str().ok().and_then(basic).ok_or_else(|| {
                    Refusal::invalid_client("the Authorization header is not well-formed Basic", true)
                })?;
            if posted.is_some_and(|posted| posted != id) {
                return Err(Refusal::invalid_request("client_id differs from the Authorization header"));
            }
            (id, Some(secret), true)
        }
        (None, Some(id), secret) => (id.to_owned(), secret.map(str::to_owned), false),
        (None, None, _) => return Err(Refusal::invalid_client("no client authentication", false)),
    };
    let client = shared.client(&id).ok_or_else(|| Refusal::invalid_client("unknown client", by_header))?;
    let proved = match (&client.secret, &secret) {
        (Some(known), Some(given)) => constant_time_eq(known.expose().as_bytes(), given.as_bytes()),
        (None, None) => true,
        _ => false,
    };
    if proved { Ok(client) } else { Err(Refusal::invalid_client("wrong client secret", by_header)) }
}

/// Id and secret are form-encoded before they are joined (RFC 6749 §2.3.1), which many forget.
fn basic(value: &str) -> Option<(String, String)> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let joined = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = joined.split_once(':')?;
    Some((form_decode(id), form_decode(secret)))
}
