//! The effective configuration as a table for people: what `check` prints when nothing is wrong.

use std::fmt::Write as _;

use super::{Access, Config, RouteConfig, SiteConfig, SpaConfig, StoreKind, units};

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
    table
        + &format!(
            "  to register at the provider:\n    redirect URI              {}\n    post-logout redirect URI  {}\n    \
             back-channel logout URI   {}\n",
            site.redirect_uri(),
            site.post_logout_redirect_uri(),
            site.backchannel_logout_uri(),
        )
}

fn route_row(route: &RouteConfig) -> [String; 4] {
    let methods = route.methods.as_ref().map_or_else(|| "any".to_owned(), |methods| methods.join(","));
    let auth = match route.access {
        Access::Required => "required",
        Access::Optional => "optional",
        Access::None => "none",
    };
    let upstream = &route.upstream;
    let note = match (route.strip_prefix, route.websocket) {
        (true, true) => " (prefix stripped, WebSockets)",
        (true, false) => " (prefix stripped)",
        (false, true) => " (WebSockets)",
        (false, false) => "",
    };
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
