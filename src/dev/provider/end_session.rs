//! `/end_session`: signs the browser out here and sends it back (OpenID Connect RP-Initiated Logout 1.0).

use actix_web::cookie::Cookie;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use url::Url;

use super::parameters::{Parameters, Repeated};
use super::respond::{page, redirect};
use super::shared::Shared;
use super::token::IdClaims;
use super::{login, pages};

/// A logout request whose way back has been checked.
#[derive(Debug)]
struct Logout {
    /// Who the hint says is signed in; only with a hint that is genuine.
    hinted: Option<IdClaims>,
    /// The way back, with `state`.
    location: Option<String>,
}

/// `GET` and `POST /end_session`
pub(super) async fn end_session(shared: web::Data<Shared>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let parameters = if request.method() == Method::POST {
        match Parameters::from_form(&request, &body) {
            Ok(parameters) => parameters,
            Err(refusal) => return refuse(&shared, &refusal.description),
        }
    } else {
        Parameters::parse(request.query_string())
    };
    let logout = match Logout::read(&shared, &parameters) {
        Ok(logout) => logout,
        Err(what) => return refuse(&shared, &what),
    };
    let signed_in = shared.signed_in(&request);
    // Without proof that the user's own application asks, anyone's link could sign people out (§2, §6).
    let sure = match (&logout.hinted, &signed_in) {
        (_, None) => true,
        (Some(hinted), Some(signed_in)) => hinted.sub == signed_in.user,
        (None, Some(_)) => false,
    };
    if sure {
        return finish(&shared, &request, logout.location.as_deref());
    }
    let browser = login::browser(&shared, &request);
    let wire = parameters.encode();
    let token = shared.mac(&["logout", &browser, &wire]);
    let name = signed_in.and_then(|signed_in| shared.user(&signed_in.user)).map_or("", |user| user.name.as_str());
    let targets = logout.location.as_deref().map(login::origin_of).unwrap_or_default();
    let mut answer = page(StatusCode::OK, pages::confirm_logout(name, &wire, &token), &targets);
    login::add_cookie(&mut answer, shared.browser_cookie(), browser);
    answer
}

/// `POST /end_session/confirm`: the user said yes.
pub(super) async fn confirm(shared: web::Data<Shared>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let form = match Parameters::from_form(&request, &body) {
        Ok(form) => form,
        Err(refusal) => return refuse(&shared, &refusal.description),
    };
    let field = |name| form.one(name).ok().flatten().unwrap_or_default();
    if !login::is_bound(&shared, &request, "logout", field("request"), field("token")) {
        return login::stale_form();
    }
    match Logout::read(&shared, &Parameters::parse(field("request"))) {
        Ok(logout) => finish(&shared, &request, logout.location.as_deref()),
        Err(what) => refuse(&shared, &what),
    }
}

impl Logout {
    fn read(shared: &Shared, parameters: &Parameters) -> Result<Self, String> {
        let get = |name| parameters.one(name).map_err(|Repeated(name)| format!("{name} is there more than once"));
        // A hint that has expired is as good as a fresh one (§2); one that is not ours is no hint.
        let hint = get("id_token_hint")?;
        let hinted: Option<IdClaims> =
            hint.and_then(|hint| shared.keys.open("JWT", hint)).filter(|claims: &IdClaims| claims.iss == shared.issuer);
        if hint.is_some() && hinted.is_none() {
            shared.complain("end-session endpoint", "id_token_hint is not an ID token of this provider");
        }
        let client_id = get("client_id")?;
        if let (Some(id), Some(hinted)) = (client_id, &hinted)
            && id != hinted.aud
        {
            return Err("client_id is not the one that id_token_hint was issued to".to_owned());
        }
        let client = client_id.or(hinted.as_ref().map(|hinted| hinted.aud.as_str()));
        let location = match (get("post_logout_redirect_uri")?, client) {
            (None, _) => None,
            (Some(_), None) => {
                return Err("post_logout_redirect_uri needs id_token_hint or client_id".to_owned());
            }
            (Some(uri), Some(id)) => {
                let client = shared.client(id).ok_or("no such client is registered")?;
                if !client.post_logout_redirect_uris.iter().any(|registered| registered == uri) {
                    return Err("post_logout_redirect_uri is not one that the client registered".to_owned());
                }
                let mut location = Url::parse(uri).map_err(|_| "post_logout_redirect_uri is not a URL")?;
                if let Some(state) = get("state")? {
                    location.query_pairs_mut().append_pair("state", state);
                }
                Some(location.into())
            }
        };
        Ok(Self { hinted, location })
    }
}

fn finish(shared: &Shared, request: &HttpRequest, location: Option<&str>) -> HttpResponse {
    let name = shared.sso_cookie();
    if let Some(cookie) = request.cookie(&name) {
        let mut state = shared.state();
        if state.sso.remove(cookie.value()).is_some() {
            state.tally.logouts += 1;
        }
    }
    let mut answer = match location {
        Some(location) => redirect(location),
        None => page(
            StatusCode::OK,
            pages::message(
                "You are signed out",
                "Applications you used may still remember you until you sign out there.",
            ),
            &[],
        ),
    };
    let mut gone = Cookie::build(name, "").path("/").http_only(true).finish();
    gone.make_removal();
    answer.add_cookie(&gone).expect("an empty value is a cookie value");
    answer
}

fn refuse(shared: &Shared, what: &str) -> HttpResponse {
    shared.complain("end-session endpoint", what);
    page(
        StatusCode::BAD_REQUEST,
        pages::message("This logout cannot be completed", &format!("The application made a mistake: {what}.")),
        &[],
    )
}
