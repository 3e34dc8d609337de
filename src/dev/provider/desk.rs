//! The provider's own page: who is signed in, and buttons that make happen what happens to real providers.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::back_channel::{Whose, log_out};
use super::parameters::Parameters;
use super::respond::{page, redirect};
use super::shared::Shared;
use super::state::{Authentication, Family};
use super::{Behaviour, User, login, pages};

/// The longest that it can be told to wait.
const SLOWEST: u64 = 60;

/// The most logins that are shown, the newest first.
const SHOWN: usize = 20;

/// One login, as the page shows it.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// What the buttons call it; of no use elsewhere.
    pub(super) handle: String,
    pub(super) user: User,
    pub(super) client: String,
    pub(super) login: Family,
}

/// What the page is made of.
#[derive(Clone, Debug)]
pub(super) struct View<'a> {
    pub(super) shared: &'a Shared,
    pub(super) behaviour: Behaviour,
    pub(super) token: String,
    pub(super) notice: Option<String>,
    pub(super) logins: Vec<Shown>,
}

impl View<'_> {
    pub(super) fn has_keys(&self) -> bool {
        self.shared.profile.paths.jwks.is_some()
    }

    pub(super) fn has_back_channel(&self) -> bool {
        self.shared.profile.back_channel.is_some()
    }
}

/// `GET /`
pub(super) async fn show(shared: web::Data<Shared>, request: HttpRequest) -> HttpResponse {
    let browser = login::browser(&shared, &request);
    let token = shared.mac(&["desk", &browser, ""]);
    let notice = shared.state().notice.take();
    let view = View { shared: &shared, behaviour: shared.behaviour(), token, notice, logins: logins(&shared) };
    let mut answer = page(StatusCode::OK, pages::desk(&view), &[]);
    login::add_cookie(&mut answer, shared.browser_cookie(), browser);
    answer
}

fn logins(shared: &Shared) -> Vec<Shown> {
    let now = shared.now();
    let state = shared.state();
    let shown = state.families.iter(now).filter_map(|(id, login)| {
        let user = shared.user(&login.grant.authentication.user)?.clone();
        let client = &login.grant.client_id;
        let client = shared.client(client).map_or_else(|| client.clone(), |client| client.name);
        Some(Shown { handle: handle(shared, id), user, client, login: login.clone() })
    });
    let mut shown: Vec<Shown> = shown.collect();
    shown.sort_by_key(|one| (std::cmp::Reverse(one.login.began), one.handle.clone()));
    shown.truncate(SHOWN);
    shown
}

/// A login's name on the page: its id is part of its refresh tokens.
fn handle(shared: &Shared, id: &str) -> String {
    shared.mac(&["desk login", id])
}

/// `POST /desk`: one of the buttons was pressed.
pub(super) async fn press(shared: web::Data<Shared>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let Ok(form) = Parameters::from_form(&request, &body) else { return login::stale_form() };
    let field = |name| form.one(name).ok().flatten().unwrap_or_default();
    if !is_own_page(&request) || !login::is_bound(&shared, &request, "desk", "", field("token")) {
        return login::stale_form();
    }
    let login = find(&shared, field("login"));
    let notice = match (field("do"), login) {
        ("expire", Some((_, login))) => {
            shared.spoil_access_token(&login, "expired");
            "The access token is no longer good: the API refuses it. The next refresh brings a new one.".to_owned()
        }
        ("revoke", Some((id, _))) => {
            shared.end_login(&mut shared.state(), &id);
            match shared.profile.own_login {
                None => "The refresh token is revoked. The session ends when the gateway tries it, a little before the access token ends.",
                Some(_) => "The token is taken back: the API refuses it, and gives no other for it.",
            }
            .to_owned()
        }
        ("log-out-session", Some((_, login))) => said(log_out(&shared, &Whose::Session(who(login))).await),
        ("log-out-person", Some((_, login))) => said(log_out(&shared, &Whose::Person(who(login))).await),
        ("expire" | "revoke" | "log-out-session" | "log-out-person", None) => "That login is over already.".to_owned(),
        (what, _) => match change(&shared, what, field("seconds")) {
            Some(notice) => notice.to_owned(),
            None => return login::stale_form(),
        },
    };
    tracing::info!("the provider's desk: {notice}");
    shared.state().notice = Some(notice);
    redirect("/")
}

/// Browsers say from which page a form comes; what says nothing is none, and needs the page's token all the same.
fn is_own_page(request: &HttpRequest) -> bool {
    let mut said = request.headers().get_all("sec-fetch-site");
    said.all(|site| site == "same-origin")
}

fn find(shared: &Shared, wanted: &str) -> Option<(String, Family)> {
    let now = shared.now();
    let state = shared.state();
    let mut all = state.families.iter(now);
    all.find(|(id, _)| handle(shared, id) == wanted).map(|(id, login)| (id.to_owned(), login.clone()))
}

fn who(login: Family) -> Authentication {
    login.grant.authentication
}

fn said(outcomes: Vec<String>) -> String {
    if outcomes.is_empty() {
        return "Logged out here; no application is registered to be told.".to_owned();
    }
    format!("Logged out here, and a logout token was sent. {}.", outcomes.join("; "))
}

/// Makes the provider behave differently; `None` for a button that does not exist.
fn change(shared: &Shared, what: &str, seconds: &str) -> Option<&'static str> {
    let now = shared.behaviour();
    let (next, notice) = match what {
        "break-keys" => {
            shared.keys.rotate();
            (Behaviour { keys_broken: true, ..now }, "Tokens are signed with a new key, which nobody can fetch.")
        }
        "mend-keys" => (Behaviour { keys_broken: false, ..now }, "The key set can be fetched again, new key included."),
        "slow" => {
            let seconds = seconds.parse().ok().filter(|seconds| (1..=SLOWEST).contains(seconds))?;
            (Behaviour { slowness: Duration::from_secs(seconds), ..now }, "Every answer takes that long from now on.")
        }
        "fast" => (Behaviour { slowness: Duration::ZERO, ..now }, "Answers come at once again."),
        "down" => (Behaviour { down: true, ..now }, "Everything but this page answers 503."),
        "up" => (Behaviour { down: false, ..now }, "Back in business."),
        _ => return None,
    };
    shared.behave(next);
    Some(notice)
}
