//! What the configuration means once it is checked: every value has its type, every secret is read.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::Origin;
use crate::secret::{AdminToken, ClientSecret, MasterKey};

/// A whole, valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The public listener.
    pub server: ServerConfig,
    /// The listener for operators.
    pub admin: AdminConfig,
    /// Where sessions live.
    pub store: StoreConfig,
    /// How events are written.
    pub log: LogConfig,
    /// The sites; at least one, no two on the same host.
    pub sites: Vec<SiteConfig>,
    /// The secret and certificate files this depends on, each once: a change to one of them asks for a reload.
    pub watched: Vec<PathBuf>,
}

/// `[server]`
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The address of the public listener.
    pub listen: SocketAddr,
    /// The certificate and key of the public listener; `None` is plain HTTP behind an edge that terminates TLS.
    pub tls: Option<ServerTls>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long open requests may go on after SIGTERM.
    pub shutdown_grace: Duration,
    /// How long the process says "not ready" before it stops listening.
    pub drain_delay: Duration,
    /// Worker threads; `None` is one per core.
    pub workers: Option<usize>,
}

/// `tls` of `[server]`: PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// The certificate chain, leaf first.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// `[admin]`
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// The address of the admin listener; `None` switches it off (only `dev` does).
    pub listen: Option<SocketAddr>,
    /// The bearer for everything but the health probes; without one, all of that is closed.
    pub token: Option<AdminToken>,
    /// Whether `/metrics` is open without the token.
    pub metrics_public: bool,
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Which store.
    pub kind: StoreKind,
    /// How long sessions already seen keep working while the store is down; zero is off.
    pub grace: Duration,
}

/// The kinds of store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// `memory:` in this process; gone with it.
    Memory,
    /// `file:PATH`, one redb file for one process.
    File(PathBuf),
    /// `redis://` or `rediss://`, one server.
    Redis(RedisConfig),
}

/// One Redis server.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisConfig {
    /// The URL as `redis` reads it, credentials included: never print it.
    pub url: String,
    /// Certificates for `rediss://`.
    pub tls: TlsFiles,
}

impl std::fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisConfig").field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// One JSON object a line, or text for people.
    pub format: LogFormat,
    /// The least severe level that is written.
    pub level: LogLevel,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// A line for people.
    Text,
}

/// How severe an event must be to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Only faults that need an operator.
    Error,
    /// And what is odd.
    Warn,
    /// And what happens: logins, logouts, requests.
    Info,
    /// And why it happens.
    Debug,
}

/// `[[site]]`: one SPA origin with its own provider client, keys and cookie.
#[derive(Clone, Debug)]
pub struct SiteConfig {
    /// The origin as browsers see it; cookies, redirect URI and host checks come from here.
    pub origin: Origin,
    /// Where the gateway's own endpoints live, such as `/bff`: starts with `/`, no trailing `/`.
    pub base_path: String,
    /// Whether the header `X-BFF: 1` is demanded in addition to the same-origin proof.
    pub csrf: CsrfMode,
    /// `[site.session]`
    pub session: SessionConfig,
    /// `[[site.provider]]`: at least one, the first is the default; names are unique within the site.
    pub providers: Vec<ProviderConfig>,
    /// `[site.spa]`
    pub spa: Option<SpaConfig>,
    /// `[[site.route]]`: no two with the same path.
    pub routes: Vec<RouteConfig>,
}

impl SiteConfig {
    /// The redirect URI registered at the provider.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        format!("{}{}/callback", self.origin, self.base_path)
    }

    /// The post-logout redirect URI registered at the provider.
    #[must_use]
    pub fn post_logout_redirect_uri(&self) -> String {
        format!("{}{}/logout/callback", self.origin, self.base_path)
    }
}

/// `csrf`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsrfMode {
    /// Fetch metadata, else `Origin`, else the header.
    Origin,
    /// The header as well.
    Header,
}

/// `[site.session]`
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// How long a session lives without activity.
    pub idle: Duration,
    /// How long a session lives at most.
    pub absolute: Duration,
    /// The cookie's `SameSite`.
    pub same_site: SameSite,
    /// The site's keys, at least one: the first seals, all open.
    pub keys: Vec<MasterKey>,
    /// The claims that `/bff/session` shows.
    pub claims: Vec<String>,
}

/// `same_site`; `None` cannot be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// `SameSite=Lax`
    Lax,
    /// `SameSite=Strict`
    Strict,
}

/// `[[site.provider]]` with `kind = "oidc"`.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// The name used by `?provider=` and shown by `/bff/session`.
    pub name: String,
    /// The issuer exactly as written: it is compared byte for byte (OpenID Connect Discovery §4.3).
    pub issuer: String,
    /// The client's id.
    pub client_id: String,
    /// How the client proves itself at the token endpoint.
    pub client_auth: ClientAuth,
    /// The scopes of the authorization request; contains `openid`.
    pub scopes: Vec<String>,
    /// Further authorization parameters, such as `prompt` or `audience`; none that the gateway sets itself.
    pub authorization_params: Vec<(String, String)>,
    /// Signature algorithms accepted on ID tokens; asymmetric ones only.
    pub id_token_algs: Vec<String>,
    /// What the provider's logout URL carries.
    pub logout_hint: LogoutHint,
    /// The lifetime of an access token whose answer has no `expires_in`.
    pub default_token_lifetime: Duration,
    /// Tolerance for the provider's clock, 10 to 60 seconds.
    pub clock_skew: Duration,
    /// Whether `http://` beyond loopback is accepted.
    pub plaintext: bool,
    /// The limit on one call to the provider.
    pub timeout: Duration,
    /// Certificates for the back channel.
    pub tls: TlsFiles,
}

/// How the client proves itself (RFC 6749 §2.3).
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// A public client: PKCE alone.
    None,
    /// `client_secret_basic`
    Basic(ClientSecret),
    /// `client_secret_post`
    Post(ClientSecret),
}

/// What the provider's logout URL carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutHint {
    /// `id_token_hint`, as OpenID Connect RP-Initiated Logout recommends.
    IdToken,
    /// `client_id` alone, so that no ID token passes through the browser.
    ClientId,
}

/// `[site.spa]`
#[derive(Clone, Debug)]
pub enum SpaConfig {
    /// Files from a directory.
    Dir {
        /// The directory.
        dir: PathBuf,
        /// The file, relative to `dir`, for navigations that match no file.
        fallback: String,
    },
    /// A development server that answers everything no route takes.
    DevServer(UpstreamConfig),
}

/// `[[site.route]]`
#[derive(Clone, Debug)]
pub struct RouteConfig {
    /// The prefix: starts with `/`, no trailing `/` (except `/` itself), matched on segment boundaries.
    pub path: String,
    /// Where requests go.
    pub upstream: UpstreamConfig,
    /// Whether the prefix is cut off before forwarding.
    pub strip_prefix: bool,
    /// Whether a session is needed, and whether its token is attached.
    pub access: Access,
    /// The methods let through, upper case; `None` is all but TRACE and CONNECT.
    pub methods: Option<Vec<String>>,
    /// Whether `%2F` inside a segment passes.
    pub encoded_slash: EncodedSlash,
    /// Names of browser cookies that reach the upstream.
    pub forward_cookies: Vec<String>,
    /// Names of cookies the upstream may set.
    pub allow_set_cookie: Vec<String>,
    /// What `Cache-Control` answers on session routes get.
    pub cache: CachePolicy,
    /// Whether documents from this route may run in the SPA's origin.
    pub documents: Documents,
    /// The limit until the upstream's response head arrives.
    pub timeout: Duration,
    /// The largest request body, in bytes; `None` is unlimited.
    pub max_body: Option<u64>,
}

/// `auth`: whether a route needs a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// No session, no forwarding; the token is attached.
    Required,
    /// The token is attached when there is a session.
    Optional,
    /// No session is looked up and no token is ever attached.
    None,
}

/// `encoded_slash`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodedSlash {
    /// `%2F` in a path is refused.
    Refuse,
    /// `%2F` goes on untouched.
    Pass,
}

/// `cache`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachePolicy {
    /// `private, no-store`, whatever the upstream says.
    NoStore,
    /// The upstream's own, with `private` forced.
    Upstream,
}

/// `documents`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Documents {
    /// Documents, frames and iframes get `Content-Security-Policy: sandbox`.
    Sandboxed,
    /// They run as the SPA's own.
    Trusted,
}

/// Where proxied requests go.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// `http` or `https`, an authority, and a path that is put in front; no query, no user info.
    pub url: Url,
    /// Certificates for this upstream.
    pub tls: TlsFiles,
}

/// PEM files for one outbound TLS connection; the platform's roots are used without a `ca`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsFiles {
    /// Roots to trust instead of the platform's.
    pub ca: Option<PathBuf>,
    /// The client's certificate chain; always together with `client_key`.
    pub client_cert: Option<PathBuf>,
    /// The client's private key.
    pub client_key: Option<PathBuf>,
}
