//! `POST /bff/backchannel-logout` (OpenID Connect Back-Channel Logout §2.5, §2.8).
//!
//! It is the provider that calls, so there is no cookie, no origin and no header of ours to ask for; the logout token
//! alone says what may happen, and what is wrong with it is said in the log, not to whoever sent it.

use actix_web::HttpResponse;

use super::bff::Call;
use super::body;
use super::problem::Problem;
use crate::auth::BackchannelError;
use crate::provider::ReceivedLogoutToken;

/// Ends the sessions that a logout token names. 200 only when they are over; everything else is 400, an outage included.
pub(super) async fn end(mut call: Call<'_>) -> Result<HttpResponse, Problem> {
    let form = body::form(call.request, &mut call.body).await.map_err(|problem| match problem {
        Problem::TooLarge => Problem::BadRequest("the body is too large"),
        problem => problem,
    })?;
    let received = ReceivedLogoutToken::read(logout_token(&form)?).map_err(BackchannelError::from);
    let ended = match received {
        Ok(token) => call.site.auth.end_by_logout_token(token).await,
        Err(error) => Err(error),
    };
    ended.map_err(|error| refused(&call, &error))?;
    let mut answer = HttpResponse::Ok();
    super::close_to_browsers(&mut answer);
    Ok(answer.finish())
}

/// The one `logout_token`; other parameters are ignored (§2.5).
fn logout_token(form: &[u8]) -> Result<String, Problem> {
    let mut tokens = url::form_urlencoded::parse(form).filter(|(name, _)| name == "logout_token");
    match (tokens.next(), tokens.next()) {
        (Some((_, token)), None) => Ok(token.into_owned()),
        _ => Err(Problem::BadRequest("logout_token must be there exactly once")),
    }
}

/// Forgeries are no operator's business; a logout that is due and cannot be carried out is.
fn refused(call: &Call<'_>, error: &BackchannelError) -> Problem {
    let (site, request_id) = (&call.site.auth.site().origin, call.id.as_str());
    if error.is_refusal() {
        tracing::info!(event = "logout_token_refused", %site, request_id, %error);
        return Problem::BadRequest("the logout token is not accepted");
    }
    tracing::warn!(event = "backchannel_logout_failed", %site, request_id, %error);
    Problem::BadRequest("the logout cannot be carried out right now; send it again")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn exactly_one_logout_token_is_taken_and_everything_else_is_ignored() {
        for (form, token) in [
            ("logout_token=a.b.c", Some("a.b.c")),
            ("x=1&logout%5Ftoken=a&x=2", Some("a")),
            ("logout_token=", Some("")),
            ("", None),
            ("Logout_Token=a", None),
            ("logout_token=a&logout_token=a", None),
            ("logout_token=a&x=1&logout%5Ftoken=b", None),
        ] {
            assert_eq!(logout_token(form.as_bytes()).ok().as_deref(), token, "{form}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_form_with_one_logout_token_or_are_refused(
            fields in prop::collection::vec((prop_oneof![Just("logout_token".to_owned()), Just("logout_tokens".to_owned()), "\\PC{0,8}"], "\\PC{0,20}"), 0..5),
            noise in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
            let mut tokens = fields.iter().filter(|(name, _)| name == "logout_token");
            let only = tokens.next().filter(|_| tokens.next().is_none()).map(|(_, token)| token.as_str());
            prop_assert_eq!(logout_token(form.as_bytes()).ok(), only.map(str::to_owned));
            if let Ok(token) = logout_token(&noise) {
                prop_assert!(token.len() <= 3 * noise.len());
            }
        }
    }
}
