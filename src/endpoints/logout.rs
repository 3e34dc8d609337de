//! `POST /bff/logout` and `GET /bff/logout/callback`.

use actix_web::HttpResponse;
use serde_json::json;

use super::bff::Call;
use super::cookies::same_site;
use super::problem::Problem;
use super::request::{self, Query, is_navigation};
use super::{door, login};
use crate::auth::LoggedOut;
use crate::config::CsrfMode;
use crate::guard::return_to::ReturnTo;
use crate::guard::same_origin;

/// Ends the session here, then tells the browser where it ends at the provider. The cookie goes in any case.
pub(super) async fn end(call: Call<'_>) -> Result<HttpResponse, Problem> {
    let site = call.site.auth.site();
    let navigation = is_navigation(call.request);
    // A form cannot send a header; fetch metadata or Origin vouch for it.
    let csrf = if navigation { CsrfMode::Origin } else { site.csrf };
    same_origin::check(&request::words(call.request), &site.origin, csrf)
        .map_err(|error| Problem::CrossSite(error.0))?;
    let query = Query::read(call.request.uri())?;
    let return_to = login::return_to(&query, &call)?;
    let everywhere = match query.get("everywhere") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::BadRequest("everywhere must be true or false")),
    };
    let ended = match &call.cookies.session {
        Some(cookie) => call.site.auth.log_out(cookie.ticket.clone(), return_to.clone(), everywhere).await,
        None => Ok(LoggedOut { logout_url: None }),
    };
    let mut response = match ended {
        Ok(LoggedOut { logout_url }) => {
            answer(&call, navigation, logout_url.as_ref().map(url::Url::as_str), &return_to)
        }
        Err(error) => {
            tracing::warn!(event = "store_unavailable", %error);
            Problem::LogoutPending.respond(&door::asker(call.request, &call.id, Some(call.site)))
        }
    };
    take_cookie_back(&call, &mut response);
    Ok(response)
}

/// The browser comes back from the provider's logout page; an unknown state is harmless.
pub(super) async fn after(call: &Call<'_>) -> Result<HttpResponse, Problem> {
    let query = Query::read(call.request.uri())?;
    let return_to = match query.get("state") {
        Some(state) => call.site.auth.after_logout(state).await,
        None => ReturnTo::front_page(),
    };
    Ok(login::see_other(&return_to.on(&call.site.auth.site().origin)).finish())
}

fn answer(call: &Call<'_>, navigation: bool, logout_url: Option<&str>, return_to: &ReturnTo) -> HttpResponse {
    if navigation {
        let home = return_to.on(&call.site.auth.site().origin);
        return login::see_other(logout_url.unwrap_or(&home)).finish();
    }
    let mut answer = HttpResponse::Ok();
    super::close_to_browsers(&mut answer);
    answer.json(json!({ "logout_url": logout_url }))
}

/// actix-session deletes a cookie it could open; one that it could not goes as well.
fn take_cookie_back(call: &Call<'_>, response: &mut HttpResponse) {
    if call.cookies.session.is_some() {
        call.binding.purge();
    } else if call.cookies.session_present {
        let names = &call.site.names;
        let removal = names.removal(names.session.clone(), same_site(call.site.auth.site()));
        if let Err(error) = response.add_cookie(&removal) {
            tracing::error!(event = "cookie_not_removed", %error);
        }
    }
}
