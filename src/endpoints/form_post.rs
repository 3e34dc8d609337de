//! `POST /bff/callback` (OAuth 2.0 Form Post Response Mode): the answer comes in a form that the provider's page posts.
//!
//! Such a form is sent without the login cookie, which is `SameSite=Lax`, and no cookie is loosened for it: the browser is
//! sent on to `GET /bff/callback` with the sealed answer, a navigation that does bring the cookie. Nothing is believed and
//! nobody is asked before that.

use actix_web::HttpResponse;

use super::bff::Call;
use super::problem::Problem;
use super::request::Query;
use super::{body, login};
use crate::provider::Answer;

/// Sends the browser on with what it posted, to the same redirect URI: that of the provider called `at`, or the shared one.
pub(super) async fn send_on(mut call: Call<'_>, at: Option<&str>) -> Result<HttpResponse, Problem> {
    login::navigation_only(call.request)?;
    let posted = body::form(call.request, &mut call.body).await?;
    let form = Query::of_posted_answer(&posted)?;
    // What cannot become a login is refused here, where the form is; its like is not sealed.
    Answer::read(true, |name| form.get(name)).map_err(Problem::BadRequest)?;
    let sealed = call.site.auth.seal_posted(|name| form.get(name)).ok_or(Problem::TooLarge)?;
    let site = call.site.auth.site();
    let own = at.map(|name| format!("/{name}")).unwrap_or_default();
    Ok(login::see_other(&format!("{}{}/callback{own}?answer={sealed}", site.origin, site.base_path)).finish())
}
