//! What the configuration means once it is checked: every value has its type, every secret is read.

mod client;
mod provider;
mod redis;
mod relay;
mod response_mode;
mod route;
mod site;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use self::client::{AssertionAud, AssertionConfig, AssertionTyp, ClientAuth, Par, RefreshScope, RequestConfig};
pub use self::provider::{
    Budget, ClientConfig, Empty400, LogoutConfig, LogoutHint, LogoutPage, LogoutTokenExp, OAuth2Config, OidcConfig,
    ProviderConfig, ProviderKind, TrustedAudiences, WrittenEndpoints,
};
pub use self::redis::{RedisAddress, RedisConfig, RedisCredentials, RedisServers};
pub use self::relay::{RelayConfig, RelayRefresh, RelayRefreshToken, RelayStep, TokenUrl};
pub use self::response_mode::ResponseMode;
pub use self::route::{Access, CachePolicy, Documents, EncodedSlash, RouteConfig, SpaConfig, UpstreamConfig};
pub use self::site::{CsrfMode, Hsts, LimitsConfig, Rate, SameSite, SessionConfig, SiteConfig};
pub use super::json_pointer::{JsonPointer, NotAPointer};
pub use super::logout_template::{LogoutTemplate, NotATemplate, Placeholder};
use crate::secret::AdminToken;
pub use crate::tls::TlsFiles;
use ipnet::IpNet;

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
    /// How long a connection is kept open between two requests; zero is not at all.
    pub keep_alive: Duration,
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
    /// `redis://` and its kin: one server, Sentinel or Cluster.
    Redis(RedisConfig),
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
