//! `[[site]]`: one origin, and what its parts must agree on.

use std::num::NonZeroU32;
use std::time::Duration;

use super::provider::Surroundings;
use super::{provider, route, session, spa};
use crate::config::document::Node;
use crate::config::fault::Wrong;
use crate::config::path::{base_path, is_under};
use crate::config::secret_ref::Literal;
use crate::config::section::{Section, unique};
use crate::config::value::{choice, duration, flag, rate, text};
use crate::config::{
    CsrfMode, Hsts, LimitsConfig, Origin, ProviderConfig, ProviderKind, Rate, Scheme, SiteConfig, address,
    is_loopback_host,
};
use crate::secret::MasterKey;

/// What browser vendors and ASVS 3.4.1 ask for.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What a person needs who has forgotten which password it was, and no more.
const LOGINS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(10).expect("ten is not zero");

/// A site of which so much is read as the other sites and the store are compared with.
pub(super) struct Draft<'a> {
    pub(super) section: Section<'a>,
    pub(super) origin: Option<Origin>,
    pub(super) keys: Option<Vec<MasterKey>>,
}

impl<'a> Draft<'a> {
    /// Reads the origin; the keys come when the store is known.
    pub(super) fn new(section: Section<'a>) -> Self {
        let remedy = "write the SPA's origin as the browser shows it, such as origin = \"https://app.example\"";
        let origin = section.required("origin", remedy, origin);
        Self { section, origin, keys: None }
    }

    /// Whether the site is on this machine. An origin that is reported as wrong counts by the host that it names all the
    /// same; one that names none must not cause further faults.
    pub(super) fn is_loopback(&self) -> bool {
        let named = || self.section.written_text("origin").and_then(|text| Origin::parse(text).ok());
        self.origin.clone().or_else(named).is_none_or(|origin| origin.is_loopback())
    }
}

/// An origin that browsers may be sent to: https, or http on this machine.
fn origin(node: &Node) -> Result<Origin, Wrong> {
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
pub(super) fn site(draft: Draft<'_>) -> Option<SiteConfig> {
    let literal = Literal::only_if(draft.is_loopback());
    let Draft { section, origin, keys } = draft;
    let modes = [("origin", CsrfMode::Origin), ("header", CsrfMode::Header)];
    let base_path = section.or("base_path", "/bff".to_owned(), base_path);
    let csrf = section.or("csrf", CsrfMode::Origin, choice(&modes));
    let session = session::session(&section.table("session"), keys);

    let provider_sections = section.tables("provider");
    if !section.has("provider") {
        section.fault("provider", "the site has no provider", "add a [[site.provider]] with `issuer` and `client_id`");
    }
    let absolute = session.as_ref().map_or(session::ABSOLUTE, |session| session.absolute);
    let surroundings = Surroundings { literal, base_path: &base_path, absolute };
    let providers: Vec<_> = provider_sections.iter().map(|section| provider::provider(section, surroundings)).collect();
    unique(
        provider_sections
            .iter()
            .map(|section| (section.written_text("name").unwrap_or(provider::DEFAULT_NAME), section)),
        "name",
        |name| format!("{name:?} is the name of an earlier provider of this site"),
        "give each provider its own `name`",
    );

    told_apart(&providers, &provider_sections);
    silent_have_their_own(&providers, &provider_sections);

    let takes_credentials = |provider: &ProviderConfig| matches!(provider.kind, ProviderKind::Relay(_));
    let limits = limits(&section.table("limits"), providers.iter().flatten().any(takes_credentials));
    let spa = spa::spa(&section.table("spa"));
    let route_sections = section.tables("route");
    let routes: Vec<_> = route_sections.iter().map(route::route).collect();
    paths_differ(&route_sections, &base_path);
    if !providers.is_empty() && providers.iter().all(|found| found.as_ref().is_some_and(takes_credentials)) {
        nobody_grants_scopes(&route_sections);
    }

    let hsts = hsts(&section, origin.as_ref());
    Some(SiteConfig {
        origin: origin?,
        base_path,
        csrf,
        hsts,
        session: session?,
        limits,
        providers: providers.into_iter().collect::<Option<Vec<_>>>()?,
        spa,
        routes: routes.into_iter().collect::<Option<Vec<_>>>()?,
    })
}

/// Of those who share a redirect URI one may be silent about who it is: its answers are told by that, and the others name
/// themselves or are refused. With two of the kind, one could have the other's codes sent to itself (RFC 9700 §4.4).
fn told_apart(providers: &[Option<ProviderConfig>], sections: &[Section<'_>]) {
    let is_silent = |provider: &ProviderConfig| match &provider.kind {
        ProviderKind::OAuth2(oauth2) => !oauth2.names_issuer && !oauth2.client.own_callback,
        ProviderKind::Oidc(_) | ProviderKind::Relay(_) => false,
    };
    let all = providers.iter().zip(sections).filter_map(|(provider, section)| Some((provider.as_ref()?, section)));
    let mut silent = all.filter(|(provider, _)| is_silent(provider));
    let Some((first, _)) = silent.next() else { return };
    for (other, section) in silent.filter(|(other, _)| other.issuer != first.issuer) {
        let (first, name) = (&first.name, &other.name);
        section.fault(
            "own_callback",
            format!("is needed: {name:?} and {first:?} share a redirect URI, and neither says in its answers who it is"),
            format!("write own_callback = true and register the redirect URI that ends with /callback/{name}, or write the `issuer` that it puts into its answers"),
        );
    }
}

/// An OpenID provider that is known to be silent is not logged in at while it shares its redirect URI with another: what its metadata
/// promise is asked for at each login.
fn silent_have_their_own(providers: &[Option<ProviderConfig>], sections: &[Section<'_>]) {
    let all = providers.iter().zip(sections).filter_map(|(provider, section)| Some((provider.as_ref()?, section)));
    let shares = |provider: &ProviderConfig| provider.kind.client().is_some_and(|client| !client.own_callback);
    let sharing: Vec<_> = all.filter(|(provider, _)| shares(provider)).collect();
    let is_silent = |provider: &ProviderConfig| match &provider.kind {
        ProviderKind::Oidc(oidc) => !oidc.names_issuer && !oidc.client.response_mode.is_signed(),
        ProviderKind::OAuth2(_) | ProviderKind::Relay(_) => false,
    };
    for (silent, section) in sharing.iter().filter(|(provider, _)| is_silent(provider)) {
        let Some((other, _)) = sharing.iter().find(|(other, _)| other.issuer != silent.issuer) else { continue };
        let (name, other) = (&silent.name, &other.name);
        section.fault(
            "own_callback",
            format!("is needed: {name:?} does not say in its answers who it is, and shares a redirect URI with {other:?}"),
            format!("write own_callback = true and register the redirect URI that ends with /callback/{name}, or names_issuer = true if its metadata promise `iss`"),
        );
    }
}

/// Logins with credentials are limited where there are any: passwords can be guessed.
fn limits(section: &Section<'_>, credentials: bool) -> LimitsConfig {
    let logins = Rate { count: LOGINS_PER_MINUTE, period: Duration::from_secs(60), burst: LOGINS_PER_MINUTE };
    LimitsConfig {
        per_session: section.or("per_session", None, rate),
        per_address: section.or("per_address", None, rate),
        logins: section.or("logins", Some(logins), rate).filter(|_| credentials),
    }
}

/// An API with a login of its own tells no scopes, and there is no page that could ask for more.
fn nobody_grants_scopes(routes: &[Section<'_>]) {
    for section in
        routes.iter().filter(|section| section.node("scopes").and_then(Node::list).is_some_and(|all| !all.is_empty()))
    {
        section.fault(
            "scopes",
            "can never be had: every provider of this site is of kind = \"relay\"",
            "remove `scopes`, and let the API judge what its tokens may do",
        );
    }
}

/// Loopback names are never told: they are everyone's on that machine, and the next project on one may be plain http.
fn hsts(section: &Section<'_>, origin: Option<&Origin>) -> Option<Hsts> {
    let max_age = section.or("hsts", YEAR, duration(Duration::ZERO..=YEAR * 2));
    let include_subdomains = section.or("hsts_include_subdomains", true, flag);
    let told = origin.is_some_and(|origin| origin.scheme() == Scheme::Https && !is_loopback_host(origin.host()));
    (told && !max_age.is_zero()).then_some(Hsts { max_age, include_subdomains })
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
pub(super) fn hosts_differ(sites: &[Draft<'_>]) {
    let named: Vec<_> = sites.iter().filter_map(|site| Some((site.origin.as_ref()?, &site.section))).collect();
    for (index, (origin, section)) in named.iter().enumerate() {
        let Some((earlier, _)) = named[..index].iter().find(|(earlier, _)| earlier.host() == origin.host()) else {
            continue;
        };
        if earlier == origin {
            section.fault("origin", format!("\"{origin}\" is a site already"), "keep one [[site]] for each origin");
        } else {
            section.fault(
                "origin",
                format!("\"{origin}\" shares its cookies with \"{earlier}\": they ignore ports"),
                "give each site a host name of its own; on loopback, such as one.localhost and two.localhost",
            );
        }
    }
}
