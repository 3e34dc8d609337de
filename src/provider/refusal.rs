//! What a refusal of the token endpoint, and of those that refuse as it does, means: the grant is over, the client is wrong, or the provider has a bad moment.
//!
//! RFC 6749 §5.2 says 400 with a code, or 401 for the client; real providers differ, and each difference below was met.

use serde_json::{Map, Value};

use super::RedeemError;

/// What a request shows, and a refusal can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Code,
    RefreshToken,
    /// Nothing that could be over.
    Nothing,
}

impl Shown {
    /// Laravel Passport 12 has no `invalid_grant`: it says `invalid_request`, by one of these, and names what is over.
    fn is_over(self, status: u16, words: &str) -> bool {
        let words = words.to_ascii_lowercase();
        match self {
            Self::Code => matches!(status, 400 | 401) && words.contains("authorization code"),
            Self::RefreshToken => status == 401 && words.contains("refresh token"),
            Self::Nothing => false,
        }
    }
}

/// Reads the refusal in an answer of `who` to a request that showed `shown`, with `status` and, if it was JSON, these `members`.
pub(super) fn read(who: &str, shown: Shown, status: u16, members: Option<&Map<String, Value>>) -> RedeemError {
    let text = |name: &str| members.and_then(|members| members.get(name)).and_then(Value::as_str);
    if status >= 500 || status == 429 || status == 408 {
        return RedeemError::Unavailable(format!("{who} answered {status}"));
    }
    let Some(code) = text("error") else {
        let reason = format!("{who} answered {status} without an error code");
        // 401 is about the client and nothing else; other bare answers come from what stands in front of the provider.
        return if status == 401 { RedeemError::Misconfigured(reason) } else { RedeemError::Unavailable(reason) };
    };
    let reason = readable(code);
    match code {
        // The second line is Entra ID's and Auth0's for "the user has to come back", the third GitHub's, then Glewlwyd's.
        "invalid_grant"
        | "interaction_required"
        | "login_required"
        | "consent_required"
        | "access_denied"
        | "bad_verification_code"
        | "bad_refresh_token"
        | "invalid_code" => RedeemError::Rejected(reason),
        "temporarily_unavailable" | "server_error" | "slow_down" | "too_many_requests" => {
            RedeemError::Unavailable(reason)
        }
        "invalid_request"
            if ["message", "hint", "error_description"]
                .iter()
                .any(|name| text(name).is_some_and(|words| shown.is_over(status, words))) =>
        {
            RedeemError::Rejected(reason)
        }
        // `invalid_client`, `unauthorized_client`, `unsupported_grant_type`, `invalid_scope`, `invalid_request`, and codes
        // nobody knows: repeating it will not help, an operator must look, and no session ends over it.
        _ => RedeemError::Misconfigured(reason),
    }
}

/// The code as it may stand in a log: the characters of registered codes, and not many.
pub(super) fn readable(code: &str) -> String {
    let plain = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if plain && !code.is_empty() { code.to_owned() } else { "an unreadable error code".to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(shown: Shown, status: u16, body: &Value) -> &'static str {
        match read("it", shown, status, body.as_object()) {
            RedeemError::Rejected(_) => "rejected",
            RedeemError::Misconfigured(_) => "misconfigured",
            RedeemError::Unavailable(_) => "unavailable",
            RedeemError::Throttled(_) => "throttled",
            RedeemError::Invalid(_) => "invalid",
            RedeemError::Unidentified(_) => "unidentified",
        }
    }

    #[test]
    fn each_refusal_is_whose_fault_it_is() {
        for (status, body, expected) in [
            (400, json!({ "error": "invalid_grant" }), "rejected"),
            (403, json!({ "error": "invalid_grant" }), "rejected"),
            (200, json!({ "error": "bad_refresh_token" }), "rejected"),
            (400, json!({ "error": "interaction_required" }), "rejected"),
            (403, json!({ "error": "invalid_code" }), "rejected"),
            (401, json!({ "error": "invalid_client" }), "misconfigured"),
            (400, json!({ "error": "unauthorized_client" }), "misconfigured"),
            (400, json!({ "error": "invalid_request" }), "misconfigured"),
            (400, json!({ "error": "unheard_of" }), "misconfigured"),
            (401, json!(null), "misconfigured"),
            (403, json!(null), "unavailable"),
            (429, json!({ "error": "invalid_grant" }), "unavailable"),
            (500, json!({ "error": "invalid_grant" }), "unavailable"),
            (400, json!({ "error": "temporarily_unavailable" }), "unavailable"),
            (401, json!({ "error": "invalid_request", "message": "The refresh token is invalid." }), "rejected"),
            (401, json!({ "error": "invalid_request", "hint": "Cannot decrypt the refresh token" }), "rejected"),
            (401, json!({ "error": "invalid_request", "hint": "Check the client id" }), "misconfigured"),
        ] {
            assert_eq!(kind(Shown::RefreshToken, status, &body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_request_is_malformed_for_what_it_shows_or_for_its_client() {
        let said =
            |hint: &str| json!({ "error": "invalid_request", "hint": hint, "message": "The request is missing." });
        for (shown, status, hint, expected) in [
            (Shown::Code, 400, "Authorization code has expired", "rejected"),
            (Shown::Code, 400, "Authorization code has been revoked", "rejected"),
            (Shown::Code, 401, "Cannot decrypt the authorization code", "rejected"),
            (Shown::Code, 400, "Check the `client_id` parameter", "misconfigured"),
            (Shown::Code, 400, "Check the `code` parameter", "misconfigured"),
            (Shown::Code, 400, "Invalid redirect URI", "misconfigured"),
            (Shown::Code, 401, "Token is not a refresh token", "misconfigured"),
            (Shown::RefreshToken, 400, "Use the authorization code grant", "misconfigured"),
            (Shown::RefreshToken, 400, "Missing refresh token", "misconfigured"),
            (Shown::Nothing, 400, "Authorization code has expired", "misconfigured"),
        ] {
            assert_eq!(kind(shown, status, &said(hint)), expected, "{shown:?} {status} {hint}");
        }
        for code in ["invalid_client", "unauthorized_client"] {
            let body = json!({ "error": code, "hint": "Authorization code has expired" });
            assert_eq!(kind(Shown::Code, 400, &body), "misconfigured");
        }
    }

    #[test]
    fn the_providers_words_do_not_reach_the_log() {
        for code in ["<script>", "a\r\nb", "", &"x".repeat(65), "grün", "at=secret token"] {
            assert_eq!(readable(code), "an unreadable error code");
        }
        let body = json!({ "error": "invalid_grant", "error_description": "code abc123 is used" });
        let said = read("it", Shown::Code, 400, body.as_object()).to_string();
        assert_eq!(said, "the provider refused the code: invalid_grant");
    }
}
