//! Who may see and do what here: the bearer of `admin.token` (RFC 6750 §2.1).

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;

use super::Refusal;
use crate::config::AdminConfig;
use crate::secret::{AdminToken, constant_time_eq};

/// What the configuration says of it.
pub(super) struct Access {
    token: Option<AdminToken>,
    metrics_public: bool,
}

impl Access {
    pub(super) fn new(config: &AdminConfig) -> Self {
        Self { token: config.token.clone(), metrics_public: config.metrics_public }
    }

    /// Lets the bearer of the token pass. Without a configured token nobody can, and there is nothing to be found.
    pub(super) fn to_sessions(&self, request: &HttpRequest) -> Result<(), Refusal> {
        let token = self.token.as_ref().ok_or(Refusal::Closed)?;
        let shown = bearer(request).ok_or(Refusal::NoToken)?;
        if constant_time_eq(shown, token.expose().as_bytes()) { Ok(()) } else { Err(Refusal::WrongToken) }
    }

    /// The same for the metrics, unless they are open to all.
    pub(super) fn to_metrics(&self, request: &HttpRequest) -> Result<(), Refusal> {
        if self.metrics_public { Ok(()) } else { self.to_sessions(request) }
    }
}

/// The one bearer of the request; none when it is sent twice.
fn bearer(request: &HttpRequest) -> Option<&[u8]> {
    let mut sent = request.headers().get_all(AUTHORIZATION);
    let value = sent.next().filter(|_| sent.next().is_none())?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn shown(values: &[&str]) -> Result<(), Refusal> {
        let access = Access { token: Some(AdminToken::new("0123456789abcdef")), metrics_public: false };
        let mut request = TestRequest::default();
        for value in values {
            request = request.append_header((AUTHORIZATION, *value));
        }
        access.to_sessions(&request.to_http_request())
    }

    #[test]
    fn only_the_whole_token_shown_once_passes() {
        assert_eq!(shown(&["Bearer 0123456789abcdef"]), Ok(()));
        assert_eq!(shown(&["bearer 0123456789abcdef"]), Ok(()));
        for wrong in ["Bearer 0123456789abcdeF", "Bearer 0123456789abcde", "Bearer ", "Bearer 0123456789abcdef0"] {
            assert_eq!(shown(&[wrong]), Err(Refusal::WrongToken), "{wrong}");
        }
        for none in ["", "Basic 0123456789abcdef", "0123456789abcdef", "Bearer"] {
            assert_eq!(shown(&[none]), Err(Refusal::NoToken), "{none}");
        }
        assert_eq!(shown(&["Bearer 0123456789abcdef", "Bearer 0123456789abcdef"]), Err(Refusal::NoToken));
    }
}
