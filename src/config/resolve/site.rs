//! `[[site]]`: one origin, and what its parts must agree on.

use super::{provider, route, session, spa};
use crate::config::document::Node;
use crate::config::fault::Wrong;
use crate::config::path::{base_path, is_under};
use crate::config::secret_ref::Literal;
use crate::config::section::{Section, unique};
use crate::config::value::{choice, text};
use crate::config::{CsrfMode, Origin, Scheme, SiteConfig, address};
use crate::secret::MasterKey;

/// An origin that browsers may be sent to: https, or http on this machine.
pub(super) fn origin(node: &Node) -> Result<Origin, Wrong> {
    let text = text(node)?;
    let shown = address::redacted(text);
    let origin = Origin::parse(text).map_err(|why| {
        Wrong::new(
            format!("\"{shown}\" {why}"),
            "write it as the browser's address bar does, such as \"https://app.example\"",
        )
    })?;
    if origin.host().contains('*') {
        return Err(Wrong::new(format!("\"{shown}\" has a wildcard"), "add one [[site]] for each origin"));
    }
    if origin.scheme() == Scheme::Http && !origin.is_loopback() {
        return Err(Wrong::new(
            format!("\"{shown}\" is plain http beyond loopback"),
            "write https://, and let an edge or [server] tls terminate it",
        ));
    }
    Ok(origin)
}

/// The site; `None` when something in it was reported.
pub(super) fn site(section: &Section<'_>, origin: Option<&Origin>, keys: Option<Vec<MasterKey>>) -> Option<SiteConfig> {
    let literal = Literal::only_if(origin.is_none_or(Origin::is_loopback));
    let modes = [("origin", CsrfMode::Origin), ("header", CsrfMode::Header)];
    let base_path = section.or("base_path", "/bff".to_owned(), base_path);
    let csrf = section.or("csrf", CsrfMode::Origin, choice(&modes));
    let session = session::session(&section.table("session"), keys);

    let provider_sections = section.tables("provider");
    if !section.has("provider") {
        section.fault("provider", "the site has no provider", "add a [[site.provider]] with `issuer` and `client_id`");
    }
    let providers: Vec<_> = provider_sections.iter().map(|section| provider::provider(section, literal)).collect();
    unique(
        provider_sections
            .iter()
            .map(|section| (section.written_text("name").unwrap_or(provider::DEFAULT_NAME), section)),
        "name",
        |name| format!("{name:?} is the name of an earlier provider of this site"),
        "give each provider its own `name`",
    );

    let spa = spa::spa(&section.table("spa"));
    let route_sections = section.tables("route");
    let routes: Vec<_> = route_sections.iter().map(route::route).collect();
    paths_differ(&route_sections, &base_path);

    Some(SiteConfig {
        origin: origin.cloned()?,
        base_path,
        csrf,
        session: session?,
        providers: providers.into_iter().collect::<Option<Vec<_>>>()?,
        spa,
        routes: routes.into_iter().collect::<Option<Vec<_>>>()?,
    })
}

fn paths_differ(routes: &[Section<'_>], base_path: &str) {
    let placed: Vec<_> = routes.iter().filter_map(|section| Some((section.written_text("path")?, section))).collect();
    for (path, section) in &placed {
        if is_under(path, base_path) {
            section.fault(
                "path",
                format!("{path:?} lies under `base_path`, {base_path:?}, which the gateway answers itself"),
                "move the route or `base_path`",
            );
        }
    }
    unique(
        placed,
        "path",
        |path| format!("{path:?} is the path of an earlier route of this site"),
        "merge the two routes, or give one a longer path",
    );
}

/// Cookies ignore ports (RFC 6265 §8.5), so that two sites on one host name would overwrite each other's.
pub(super) fn hosts_differ(sites: &[(&Origin, &Section<'_>)]) {
    for (index, (origin, section)) in sites.iter().enumerate() {
        let Some((earlier, _)) = sites[..index].iter().find(|(earlier, _)| earlier.host() == origin.host()) else {
            continue;
        };
        if earlier == origin {
            section.fault("origin", format!("\"{origin}\" is a site already"), "keep one [[site]] for each origin");
        } else {
            let remedy = if origin.is_loopback() {
                "give each site a host name of its own, such as one.localhost and two.localhost"
            } else {
                "give each site a host name of its own"
            };
            section.fault(
                "origin",
                format!("\"{origin}\" shares its cookies with \"{earlier}\": they ignore ports"),
                remedy,
            );
        }
    }
}
