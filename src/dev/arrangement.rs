//! The gateway's configuration for `dev`, made in code: the one place that knows how the parts fit together.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use url::Url;

use super::DevError;
use super::fitting::Fitting;
use super::provider::{Client, Profile};
use crate::config::{
    Access, AdminConfig, CachePolicy, Config, CsrfMode, Documents, EncodedSlash, LimitsConfig, LogConfig, LogFormat,
    LogLevel, Origin, RouteConfig, SameSite, ServerConfig, SessionConfig, SiteConfig, SpaConfig, StoreConfig,
    StoreKind, UpstreamConfig,
};
use crate::secret::{ClientSecret, MasterKey, random_base64url};

/// The names of the two sites.
const SITES: [&str; 2] = ["one", "two"];

/// What the configuration depends on.
#[derive(Debug)]
pub(super) struct Arrangement<'a> {
    pub(super) port: u16,
    pub(super) issuer: &'a str,
    pub(super) profile: Profile,
    pub(super) api: Url,
    pub(super) spa: SpaConfig,
}

impl Arrangement<'_> {
    /// The configuration, and the clients that the provider must know for it. Keys and secrets are random and new.
    pub(super) fn make(&self) -> Result<(Config, Vec<Client>), DevError> {
        let mut sites = Vec::new();
        let mut clients = Vec::new();
        for name in SITES {
            let secret = ClientSecret::new(random_base64url());
            let site = self.site(name, &secret)?;
            clients.push(Client {
                id: client_id(name),
                name: format!("Site {}", title(name)),
                secret: Some(secret),
                redirect_uris: vec![site.redirect_uri()],
                post_logout_redirect_uris: vec![site.post_logout_redirect_uri()],
                backchannel_logout_uri: Some(site.backchannel_logout_uri()),
            });
            sites.push(site);
        }
        let config = Config {
            server: ServerConfig {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)),
                tls: None,
                trusted_proxies: Vec::new(),
                shutdown_grace: Duration::from_secs(2),
                drain_delay: Duration::ZERO,
                keep_alive: Duration::from_secs(75),
                workers: Some(2),
            },
            admin: AdminConfig { listen: None, token: None, metrics_public: false },
            store: StoreConfig { kind: StoreKind::Memory, grace: Duration::from_secs(30) },
            log: LogConfig { format: LogFormat::Text, level: LogLevel::Info },
            sites,
            watched: Vec::new(),
        };
        Ok((config, clients))
    }

    fn site(&self, name: &str, secret: &ClientSecret) -> Result<SiteConfig, DevError> {
        let origin = site_origin(name, self.port);
        Ok(SiteConfig {
            origin: Origin::parse(&origin)
                .map_err(|wrong| DevError(format!("{origin} {wrong}: pass another --port")))?,
            base_path: "/bff".to_owned(),
            csrf: CsrfMode::Origin,
            hsts: None,
            limits: LimitsConfig::default(),
            session: SessionConfig {
                idle: Duration::from_secs(30 * 60),
                absolute: Duration::from_secs(12 * 3600),
                same_site: SameSite::Lax,
                keys: vec![MasterKey::random()],
                claims: ["sub", "name", "email"].map(str::to_owned).to_vec(),
            },
            providers: vec![
                Fitting { profile: &self.profile, issuer: self.issuer }.provider(&client_id(name), secret)?,
            ],
            spa: Some(self.spa.clone()),
            routes: vec![self.route()],
        })
    }

    fn route(&self) -> RouteConfig {
        RouteConfig {
            path: "/api".to_owned(),
            upstream: upstream(&self.api),
            strip_prefix: false,
            access: Access::Required,
            scopes: Vec::new(),
            sensitive: false,
            websocket: true,
            methods: None,
            encoded_slash: EncodedSlash::Refuse,
            drop_origin: true,
            forward_cookies: Vec::new(),
            allow_set_cookie: Vec::new(),
            cache: CachePolicy::NoStore,
            documents: Documents::Sandboxed,
            timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            total_timeout: None,
            max_calls: 1024,
            max_body: Some(10 * 1024 * 1024),
            replay_body: 64 * 1024,
        }
    }
}

/// The origin of one of the [`SITES`]; browsers take `*.localhost` to this machine by themselves (RFC 6761 §6.3).
fn site_origin(name: &str, port: u16) -> String {
    format!("http://{name}.localhost:{port}")
}

/// The site's client at the provider.
fn client_id(site: &str) -> String {
    format!("site-{site}")
}

fn title(name: &str) -> String {
    name[..1].to_uppercase() + &name[1..]
}

/// An upstream without certificates of its own.
pub(super) fn upstream(url: &Url) -> UpstreamConfig {
    UpstreamConfig::at(url.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sites_have_their_own_key_client_and_secret() {
        let url = Url::parse("http://127.0.0.1:8082").unwrap();
        let spa = SpaConfig::DevServer(upstream(&url));
        let (config, clients) =
            Arrangement { port: 8080, issuer: "http://127.0.0.1:8081", profile: Profile::default(), api: url, spa }
                .make()
                .unwrap();
        let [one, two] = config.sites.as_slice() else { panic!("two sites") };
        assert_eq!(one.origin.to_string(), "http://one.localhost:8080");
        assert_eq!(clients[0].redirect_uris, ["http://one.localhost:8080/bff/callback"]);
        assert_eq!(clients[1].post_logout_redirect_uris, ["http://two.localhost:8080/bff/logout/callback"]);
        assert!(one.session.keys[0] != two.session.keys[0]);
        assert!(clients[0].secret != clients[1].secret);
        assert!(config.server.listen.ip().is_loopback());
    }
}
