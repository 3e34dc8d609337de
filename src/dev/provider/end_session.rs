//! The logout page: signs the browser out here and sends it back (OpenID Connect RP-Initiated Logout 1.0).

use actix_web::cookie::Cookie;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use url::Url;

use super::issue::IdClaims;
use super::parameters::{Parameters, Repeated};
use super::profile::{LogoutProof, LogoutRules};
use super::respond::{page, redirect};
use super::shared::Shared;
use super::{Client, User, login, pages};

/// A logout request whose way back has been checked.
#[derive(Debug)]
struct Logout {
    /// Whether it is enough that the application asks, whoever is signed in.
    unasked: bool,
    /// Who a genuine hint says is signed in: their id.
    hinted: Option<String>,
    /// The way back, with `state`.
    location: Option<String>,
}

/// `GET` and `POST` of the logout page.
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
        (Some(hinted), Some(signed_in)) => *hinted == signed_in.user,
        (None, Some(_)) => false,
    };
    if sure || logout.unasked {
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
        let rules = shared.profile.logout.ok_or("there is no logout page")?;
        let genuine = genuine(shared, get("id_token_hint")?);
        if genuine.is_none() && rules.proof == LogoutProof::IdTokenHintAlone {
            return Err("id_token_hint is missing, or no ID token of this provider".to_owned());
        }
        let client_id = get("client_id")?;
        if let (Some(id), Some(genuine)) = (client_id, &genuine)
            && Some(id) != genuine.client()
        {
            return Err("client_id is not the one that id_token_hint was issued to".to_owned());
        }
        let client = client_id.or(genuine.as_ref().and_then(IdClaims::client));
        let location = match (get(rules.back)?, client) {
            (None, _) => None,
            (Some(_), None) => return Err(format!("{} needs id_token_hint or client_id", rules.back)),
            (Some(uri), Some(id)) => {
                let client = shared.client(id).ok_or("no such client is registered")?;
                Some(way_back(&rules, uri, &client, get("state")?)?)
            }
        };
        let hint = get("logout_hint")?;
        let user = match rules.proof {
            LogoutProof::LogoutHint => {
                shared.users.iter().find(|user| hint.is_some_and(|hint| shared.login_hint(user) == hint))
            }
            _ => genuine.and_then(|genuine| shared.user_of(&genuine.sub)),
        };
        let hinted = user.map(|User { id, .. }| id.clone());
        Ok(Self { unasked: rules.proof == LogoutProof::None, hinted, location })
    }
}

/// A hint that has expired is as good as a fresh one (§2); one that is not ours is no hint.
fn genuine(shared: &Shared, hint: Option<&str>) -> Option<IdClaims> {
    let open = |hint| shared.keys.open("JWT", hint).filter(|claims: &IdClaims| claims.iss == shared.issuer);
    let genuine = hint.and_then(open);
    if hint.is_some() && genuine.is_none() {
        shared.complain("end-session endpoint", "id_token_hint is not an ID token of this provider");
    }
    genuine
}

/// Where the browser goes afterwards: to what the client registered, and nowhere else.
fn way_back(rules: &LogoutRules, uri: &str, client: &Client, state: Option<&str>) -> Result<String, String> {
    let compared = if rules.ignores_query { uri.split('?').next().unwrap_or(uri) } else { uri };
    if !client.post_logout_redirect_uris.iter().any(|registered| registered == compared) {
        return Err(format!("{} is not one that the client registered", rules.back));
    }
    let mut location = Url::parse(uri).map_err(|_| format!("{} is not a URL", rules.back))?;
    if let (Some(state), LogoutProof::IdTokenHint | LogoutProof::IdTokenHintAlone | LogoutProof::LogoutHint) =
        (state, rules.proof)
    {
        location.query_pairs_mut().append_pair("state", state);
    }
    Ok(location.into())
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
