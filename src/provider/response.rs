//! The authorization response (RFC 6749 §4.1.2): as a browser brings it, and what is believed of it.

use super::jarm::SignedResponse;
use crate::config::ResponseMode;
use crate::secret::AuthorizationCode;

/// What the provider says: exactly one of `code` and `error`.
#[derive(Debug)]
pub struct Response {
    /// A code, or the provider's `error`.
    pub outcome: Result<AuthorizationCode, String>,
    /// `iss` (RFC 9207)
    pub iss: Option<String>,
}

impl Response {
    /// What `get` finds under the names of the standard.
    pub(super) fn of<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Self, &'static str> {
        let outcome = match (get("code"), get("error")) {
            (Some(code), None) if !code.is_empty() => Ok(AuthorizationCode::new(code)),
            (None, Some(error)) => Err(error_code(error)),
            (Some(_), Some(_)) => return Err("the answer has both a code and an error"),
            _ => return Err("the answer has neither a code nor an error"),
        };
        Ok(Self { outcome, iss: get("iss").map(str::to_owned) })
    }
}

/// An error code as RFC 6749 §4.1.2.1 allows it, cut to what a person can read.
pub(super) fn error_code(text: &str) -> String {
    let allowed = |character: &char| matches!(character, ' '..='~') && !matches!(character, '"' | '\\');
    text.chars().filter(allowed).take(80).collect()
}

/// What an authorization response may say went wrong: RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6, OpenID Connect Core
/// Unmet Authentication Requirements, RFC 8707 §2, RFC 9396 §5.
const REGISTERED: [&str; 19] = [
    "access_denied",
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "invalid_authorization_details",
    "invalid_request",
    "invalid_request_object",
    "invalid_request_uri",
    "invalid_scope",
    "invalid_target",
    "login_required",
    "registration_not_supported",
    "request_not_supported",
    "request_uri_not_supported",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unmet_authentication_requirements",
    "unsupported_response_type",
];

/// An error code as logs name it: any page can send a browser here with words of its own.
#[must_use]
pub fn logged_error(code: &str) -> &str {
    if REGISTERED.contains(&code) { code } else { "an unregistered error code" }
}

/// A response as it arrived: nobody has asked yet whether it came as it was asked for, or who signed it.
#[derive(Debug)]
pub struct Answer {
    posted: bool,
    said: Said,
}

#[derive(Debug)]
enum Said {
    Plain { state: String, response: Response },
    Signed(SignedResponse),
}

impl Answer {
    /// Every parameter that is looked at.
    pub const PARAMETERS: [&'static str; 5] = ["code", "error", "iss", "response", "state"];

    /// Reads the parameters that `get` finds, of a form that was `posted` or of a query.
    ///
    /// # Errors
    /// What is wrong with them, for whoever sent them.
    pub fn read<'a>(posted: bool, get: impl Fn(&str) -> Option<&'a str>) -> Result<Self, &'static str> {
        let said = match get("response") {
            Some(_) if ["code", "error", "state"].iter().any(|name| get(name).is_some()) => {
                return Err("the answer is both plain and signed");
            }
            Some(token) => Said::Signed(SignedResponse::read(token)?),
            None => {
                let state = get("state").filter(|state| !state.is_empty());
                // Laravel Passport 12 refuses without one: nothing is to be found by it, but the reason should not be lost.
                let state = state.or_else(|| get("error").map(|_| "")).ok_or("the answer has no state")?.to_owned();
                Said::Plain { state, response: Response::of(get)? }
            }
        };
        Ok(Self { posted, said })
    }

    /// The state that it claims to belong to, empty if an error has none; good for finding the attempt, which then must have
    /// it.
    #[must_use]
    pub fn state(&self) -> &str {
        match &self.said {
            Said::Plain { state, .. } => state,
            Said::Signed(signed) => signed.state(),
        }
    }

    /// The error that it claims to be, by whomever it is said.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match &self.said {
            Said::Plain { response, .. } => response.outcome.as_ref().err().map(String::as_str),
            Said::Signed(signed) => signed.error(),
        }
    }

    /// Takes out what is to be believed at once or after a look at its signature, if it came as it was asked for: whoever
    /// relies on forms or signatures must not be served a plain query instead.
    pub(super) fn came_as(self, mode: ResponseMode) -> Result<Arrived, String> {
        let arrived = match (self.posted, &self.said) {
            (false, Said::Plain { .. }) => "query",
            (true, Said::Plain { .. }) => "form_post",
            (false, Said::Signed(_)) => "query.jwt",
            (true, Said::Signed(_)) => "form_post.jwt",
        };
        let is_signed = matches!(self.said, Said::Signed(_));
        if (self.posted, is_signed) != (mode.is_posted(), mode.is_signed()) {
            let error = self.error().map(|error| format!(", with the error {}", logged_error(error)));
            return Err(format!(
                "it came as {arrived} and was asked for as {}{}",
                mode.word(),
                error.unwrap_or_default()
            ));
        }
        Ok(match self.said {
            Said::Plain { response, .. } => Arrived::Plain(response),
            Said::Signed(signed) => Arrived::Signed(signed),
        })
    }
}

/// A response that came as it was asked for.
pub(super) enum Arrived {
    Plain(Response),
    Signed(SignedResponse),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(posted: bool, query: &str) -> Result<Answer, &'static str> {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Answer::read(posted, |name| pairs.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str()))
    }

    #[test]
    fn a_log_names_an_error_code_only_if_it_is_a_registered_one() {
        assert_eq!(logged_error("access_denied"), "access_denied");
        for code in ["", "ACCESS_DENIED", "QUERYSECRET"] {
            assert_eq!(logged_error(code), "an unregistered error code");
        }
    }

    #[test]
    fn an_answer_has_a_state_and_exactly_one_of_code_and_error() {
        let state = |query| read(false, query).map(|answer| answer.state().to_owned());
        assert_eq!(state("code=c&state=s&session_state=x").as_deref(), Ok("s"));
        assert_eq!(state("error=e&state=s").as_deref(), Ok("s"));
        assert_eq!(state("error=e").as_deref(), Ok(""), "it can be told, and belongs to nobody's attempt");
        for query in ["", "code=c", "code=c&state=", "state=s", "code=&state=s", "code=c&error=e&state=s", "response="]
        {
            assert!(state(query).is_err(), "{query}");
        }
        for query in ["response=a.e30.c&code=c", "response=a.e30.c&state=s", "response=a.e30.c&error=e"] {
            assert_eq!(state(query), Err("the answer is both plain and signed"), "{query}");
        }
    }

    #[test]
    fn an_answer_serves_only_in_the_mode_it_was_asked_for() {
        // {"state":"s","code":"c"}
        let signed = "response=e30.eyJzdGF0ZSI6InMiLCJjb2RlIjoiYyJ9.c";
        let ways = [(false, "code=c&state=s"), (true, "code=c&state=s"), (false, signed), (true, signed)];
        for (word, mode) in ResponseMode::ALL {
            let taken = ways.map(|(posted, query)| read(posted, query).unwrap().came_as(mode).is_ok());
            let expected = match word {
                "query" => [true, false, false, false],
                "form_post" => [false, true, false, false],
                "jwt" | "query.jwt" => [false, false, true, false],
                _ => [false, false, false, true],
            };
            assert_eq!(taken, expected, "{word}");
        }
        let refused = read(false, "error=invalid_request&state=s").unwrap().came_as(ResponseMode::FormPost);
        assert_eq!(
            refused.err().as_deref(),
            Some("it came as query and was asked for as form_post, with the error invalid_request")
        );
    }
}
