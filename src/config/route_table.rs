//! The effective configuration as a table for people: what `check` prints when nothing is wrong.

use std::fmt::Write as _;

use super::{Access, AppliedProfile, Config, ProviderKind, RouteConfig, SiteConfig, SpaConfig, StoreKind, units};

impl Config {
    /// Listeners and store, then every site with its endpoints, routes and SPA, in aligned columns. Holds no secret.
    #[must_use]
    pub fn route_table(&self) -> String {
        let encryption = if self.server.tls.is_some() { "TLS" } else { "plain HTTP, for an edge that terminates TLS" };
        let admin = self.admin.listen.map_or_else(|| "off".to_owned(), |listen| listen.to_string());
        let store = match &self.store.kind {
            StoreKind::Memory => "memory: (one process; sessions end with it)".to_owned(),
            StoreKind::File(path) => format!("file:{} (one process)", path.display()),
            StoreKind::Redis(redis) => redis.to_string(),
        };
        let mut table = String::new();
        for (name, value) in
            [("listen", format!("{} ({encryption})", self.server.listen)), ("admin", admin), ("store", store)]
        {
            writeln!(table, "{name:<8}{value}").expect("a string takes every write");
        }
        for site in &self.sites {
            table.push_str(&site_table(site));
        }
        table
    }
}

fn site_table(site: &SiteConfig) -> String {
    let idle = units::in_words(site.session.idle);
    let absolute = units::in_words(site.session.absolute);
    let mut table = format!("\n{}  (session: idle {idle}, absolute {absolute})\n", site.origin);
    let providers: Vec<_> =
        site.providers.iter().map(|provider| format!("{} = {}", provider.name, provider.issuer)).collect();
    let mut rows = vec![["path".to_owned(), "methods".to_owned(), "auth".to_owned(), "goes to".to_owned()]];
    rows.push([
        below(&site.base_path),
        "per endpoint".into(),
        "-".into(),
        format!("the gateway ({})", providers.join(", ")),
    ]);
    // The order in which they are tried: the longest prefix wins.
    let mut routes: Vec<&RouteConfig> = site.routes.iter().collect();
    routes.sort_by_key(|route| std::cmp::Reverse(route.path.len()));
    rows.extend(routes.into_iter().map(route_row));
    rows.extend(site.spa.as_ref().map(spa_row));
    for row in aligned(&rows) {
        table.push_str("  ");
        table.push_str(&row);
        table.push('\n');
    }
    let uris = uris(site);
    if !uris.is_empty() {
        table.push_str("  to register at the provider:\n");
    }
    for (what, uri) in uris {
        writeln!(table, "    {what:<24}  {uri}").expect("a string takes every write");
    }
    for provider in &site.providers {
        if let Some(profile) = &provider.profile {
            table.push_str(&profile_table(&provider.name, profile));
        }
    }
    table
}

/// What a profile set, and what the file has set in its place.
fn profile_table(provider: &str, profile: &AppliedProfile) -> String {
    let mut table = format!("  {provider} has the profile {:?} ({}):\n", profile.name, profile.source);
    for (key, value, overridden) in &profile.keys {
        let note = if *overridden { "  (overridden by this file)" } else { "" };
        writeln!(table, "    {key} = {value}{note}").expect("a string takes every write");
    }
    table
}

/// What a provider must know of the site; with several, whose redirect URI is whose.
fn uris(site: &SiteConfig) -> Vec<(String, String)> {
    let several = site.providers.len() > 1;
    let (mut uris, mut oidc, mut framed) = (Vec::new(), false, false);
    for provider in &site.providers {
        if provider.kind.client().is_some() {
            let whose = if several { format!("redirect URI of {}", provider.name) } else { "redirect URI".to_owned() };
            uris.push((whose, site.redirect_uri_of(&provider.name)));
        }
        if let ProviderKind::Oidc(config) = &provider.kind {
            (oidc, framed) = (true, framed || config.frontchannel_logout);
        }
    }
    let mut add = |needed: bool, what: &str, uri: String| uris.extend(needed.then(|| (what.to_owned(), uri)));
    let page =
        site.providers.iter().filter_map(|provider| provider.kind.client()).any(|client| client.logout.page.is_some());
    add(page, "post-logout redirect URI", site.post_logout_redirect_uri());
    add(oidc, "back-channel logout URI", site.backchannel_logout_uri());
    add(framed, "front-channel logout URI", site.frontchannel_logout_uri());
    uris
}

fn route_row(route: &RouteConfig) -> [String; 4] {
    let methods = route.methods.as_ref().map_or_else(|| "any".to_owned(), |methods| methods.join(","));
    let auth = match route.access {
        Access::Required => "required",
        Access::Optional => "optional",
        Access::None => "none",
    };
    let upstream = &route.upstream;
    let notes =
        [(route.strip_prefix, "prefix stripped"), (route.websocket, "WebSockets"), (!upstream.http2, "HTTP/1.1 only")];
    let notes: Vec<&str> = notes.into_iter().filter_map(|(is_so, note)| is_so.then_some(note)).collect();
    let note = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
    let auth = if route.sensitive { format!("{auth}, sensitive") } else { auth.to_owned() };
    [below(&route.path), methods, auth, format!("{upstream}{note}")]
}

fn spa_row(spa: &SpaConfig) -> [String; 4] {
    let (methods, target) = match spa {
        SpaConfig::Dir { dir, fallback } => ("GET,HEAD", format!("{} (navigations: {fallback})", dir.display())),
        SpaConfig::DevServer(server) => ("any", format!("{server} (development server)")),
    };
    ["(the rest)".to_owned(), methods.to_owned(), "-".to_owned(), target]
}

fn below(prefix: &str) -> String {
    if prefix == "/" { "/…".to_owned() } else { format!("{prefix}[/…]") }
}

fn aligned(rows: &[[String; 4]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 3] = std::array::from_fn(width);
    rows.iter()
        .map(|[path, methods, auth, target]| {
            let [first, second, third] = widths;
            format!("{path:<first$}  {methods:<second$}  {auth:<third$}  {target}")
        })
        .collect()
}
