//! What `dev` prints once everything runs: where to click, and what runs where.

use std::fmt::Write as _;

use super::options::{Api, Spa, Wanted};
use super::provider::{EmbeddedProvider, PASSWORD, Profile};
use crate::config::{Config, SpaConfig};

/// The whole text, without colours, at most a screen.
pub(super) fn text(config: &Config, wanted: &Wanted, provider: &EmbeddedProvider) -> String {
    let (address, profile) = (provider.address(), provider.profile());
    let mut text = String::from("\n  cloakroom dev is running. Everything listens on this machine only.\n\n");
    let origins: Vec<String> = config.sites.iter().map(|site| site.origin.to_string()).collect();
    let second = if profile.own_login.is_none() { "then this one: no second login" } else { "then this one" };
    for (origin, hint) in origins.iter().zip(["open this one first", second]) {
        let _ = writeln!(text, "      {origin}/   {hint}");
    }
    text.push_str(&steps(&wanted.spa, profile));
    let site = config.sites.first();
    let page = match site.and_then(|site| site.spa.as_ref()) {
        Some(SpaConfig::DevServer(server)) => server.url.to_string(),
        Some(SpaConfig::Dir { dir, .. }) => dir.display().to_string(),
        None => String::new(),
    };
    let api = site.and_then(|site| site.routes.first()).map(|route| route.upstream.to_string()).unwrap_or_default();
    let whose = |demo: bool, what: &'static str| if demo { format!("demo {what}") } else { format!("your {what}") };
    let rows = [
        ("gateway", format!("http://{}", config.server.listen), "sessions in memory: gone when this stops".to_owned()),
        ("provider", address.to_owned(), logs_in(wanted, profile).to_owned()),
        ("/api", trimmed(&api), whose(matches!(wanted.api, Api::Demo), "API, called with a bearer token")),
        ("page", trimmed(&page), whose(matches!(wanted.spa, Spa::Demo), "page, everything no route takes")),
    ];
    let width = rows.iter().map(|(_, place, _)| place.len()).max().unwrap_or_default();
    for (part, place, what) in rows {
        let _ = writeln!(text, "      {part:<9} {place:<width$}   {what}");
    }
    let _ = write!(text, "\n      {address}/   make something happen: expire, revoke, slow down, log out\n");
    if wanted.plays {
        let _ = writeln!(text, "\n  The provider plays {}.", profile.about);
    }
    if matches!(wanted.api, Api::Own(_)) {
        let _ = writeln!(text, "\n  {}", to_your_api(provider));
    }
    text.push_str("\n  Ctrl-C stops everything.\n");
    text
}

/// What to click, or what a page of one's own has to do.
fn steps(spa: &Spa, profile: &Profile) -> String {
    match (spa, profile.own_login) {
        (Spa::Demo, None) => concat!(
            "\n  1. Click \"Sign in\", choose a person: there is no password.\n",
            "  2. Click \"Who am I?\": the API knows you, this page never saw a token.\n",
            "  3. Go to the other site, click \"Sign in\": the provider remembers you, each site has its own session.\n",
            "  4. Click \"Sign out\".\n\n",
        )
        .to_owned(),
        (Spa::Demo, Some(_)) => format!(
            "\n  1. Click \"Sign in\", and send the form: everybody's password is \"{PASSWORD}\". A wrong one gets the API's words.\n\
             \x20 2. Click \"Who am I?\": the API knows you, this page never saw a token.\n\
             \x20 3. Click \"Sign out\".\n\n"
        ),
        (Spa::Dir(_) | Spa::Server(_), None) => concat!(
            "\n  Your page signs people in with a link to /bff/login?return_to=/ and out with POST /bff/logout\n",
            "  (header X-BFF: 1), asks GET /bff/session who is there, and calls /api with an ordinary fetch.\n\n",
        )
        .to_owned(),
        (Spa::Dir(_) | Spa::Server(_), Some(_)) => concat!(
            "\n  Your page's form, at /login, sends what is typed to POST /bff/login as JSON; POST /bff/logout (header X-BFF: 1)\n",
            "  signs people out, GET /bff/session says who is there, and /api is called with an ordinary fetch.\n\n",
        )
        .to_owned(),
    }
}

fn logs_in(wanted: &Wanted, profile: &Profile) -> &'static str {
    match (profile.own_login, &wanted.api) {
        (Some(_), Api::Own(_)) => "not asked: your API logs people in",
        (Some(_), Api::Demo) => "the demo API's own login",
        (None, _) if profile.authorization.openid => "OpenID provider, people without passwords",
        (None, _) => "OAuth provider, people without passwords",
    }
}

/// What an API of one's own gets to see, and how it can judge that.
fn to_your_api(provider: &EmbeddedProvider) -> String {
    let (address, profile) = (provider.address(), provider.profile());
    if let Some(own) = profile.own_login {
        return format!("Your API logs people in itself, with POST {}, and gets its own tokens back.", own.login);
    }
    let judged = match profile.paths.jwks.filter(|_| profile.has_tokens_for_apis()) {
        Some(keys) => format!(
            "verifies: issuer {}, audience {}, ES256, keys at {address}{keys}.",
            provider.issuer(),
            provider.audience()
        ),
        None => {
            format!("asks {address}{} who the bearer is: tokens tell nothing by themselves.", profile.paths.userinfo)
        }
    };
    format!("Your API {judged}\n  Tokens live two minutes and are renewed by the gateway.")
}

fn trimmed(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}
