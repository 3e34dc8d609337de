//! What `dev` prints once everything runs: where to click, and what runs where.

use std::fmt::Write as _;

use super::options::{Api, Spa, Wanted};
use super::provider::EmbeddedProvider;
use crate::config::{Config, SpaConfig};

/// The whole text, without colours, at most a screen.
pub(super) fn text(config: &Config, wanted: &Wanted, provider: &EmbeddedProvider) -> String {
    let issuer = provider.issuer();
    let mut text = String::from("\n  cloakroom dev is running. Everything listens on this machine only.\n\n");
    let origins: Vec<String> = config.sites.iter().map(|site| site.origin.to_string()).collect();
    for (origin, hint) in origins.iter().zip(["open this one first", "then this one: no second login"]) {
        let _ = writeln!(text, "      {origin}/   {hint}");
    }
    text.push_str(match wanted.spa {
        Spa::Demo => concat!(
            "\n  1. Click \"Sign in\", choose a person: there is no password.\n",
            "  2. Click \"Who am I?\": the API knows you, this page never saw a token.\n",
            "  3. Go to the other site, click \"Sign in\": the provider remembers you, each site has its own session.\n",
            "  4. Click \"Sign out\".\n\n",
        ),
        Spa::Dir(_) | Spa::Server(_) => concat!(
            "\n  Your page signs people in with a link to /bff/login?return_to=/ and out with POST /bff/logout\n",
            "  (header X-BFF: 1), asks GET /bff/session who is there, and calls /api with an ordinary fetch.\n\n",
        ),
    });
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
        ("provider", issuer.to_owned(), "OpenID provider, people without passwords".to_owned()),
        ("/api", trimmed(&api), whose(matches!(wanted.api, Api::Demo), "API, called with a bearer token")),
        ("page", trimmed(&page), whose(matches!(wanted.spa, Spa::Demo), "page, everything no route takes")),
    ];
    let width = rows.iter().map(|(_, place, _)| place.len()).max().unwrap_or_default();
    for (part, place, what) in rows {
        let _ = writeln!(text, "      {part:<9} {place:<width$}   {what}");
    }
    let _ = write!(text, "\n      {issuer}/   make something happen: expire, revoke, slow down, log out\n");
    if wanted.plays {
        let _ = writeln!(text, "\n  The provider plays {}.", provider.profile().about);
    }
    if matches!(wanted.api, Api::Own(_)) {
        let _ = writeln!(
            text,
            "\n  Your API verifies: issuer {issuer}, audience demo-api, ES256, keys at {issuer}/jwks.\n  Tokens live two minutes and are renewed by the gateway."
        );
    }
    text.push_str("\n  Ctrl-C stops everything.\n");
    text
}

fn trimmed(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}
