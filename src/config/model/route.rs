//! Where a site's requests go: its routes, its files, and the upstreams behind them.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::TlsFiles;

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
    /// The scopes that a session needs here; none by default.
    pub scopes: Vec<String>,
    /// Whether only the store's own word about the session counts: never a copy from memory, no grace in an outage.
    pub sensitive: bool,
    /// Whether WebSockets are tunnelled.
    pub websocket: bool,
    /// The methods let through, upper case; `None` is all but TRACE and CONNECT.
    pub methods: Option<Vec<String>>,
    /// Whether `%2F` inside a segment passes.
    pub encoded_slash: EncodedSlash,
    /// Whether the browser's `Origin` ends here.
    pub drop_origin: bool,
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
    /// How long a body may stand still, the browser's or the upstream's; event streams of the upstream may.
    pub idle_timeout: Duration,
    /// The end of a call, bodies included; `None` is none.
    pub total_timeout: Option<Duration>,
    /// The most calls at once, and so connections, in each worker thread.
    pub max_calls: usize,
    /// The largest request body, in bytes; `None` is unlimited.
    pub max_body: Option<u64>,
    /// The largest request body, in bytes, that is kept so that the request can be sent once more with a newer token.
    pub replay_body: u64,
    /// Whether it may lead to where an API hands out tokens, of which the page then sees them.
    pub reaches_token_urls: bool,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// `http` or `https`, an authority, and a path that is put in front; no query, no user info. Of an upstream behind a
    /// socket the path alone counts.
    pub url: Url,
    /// The Unix socket that is connected to in place of the URL's authority.
    pub socket: Option<PathBuf>,
    /// Certificates for this upstream.
    pub tls: TlsFiles,
    /// Whether HTTP/2 is offered to an `https` upstream, by ALPN.
    pub http2: bool,
}

impl UpstreamConfig {
    /// The upstream at `url`, over TCP and without certificates of its own; HTTP/2 is offered.
    #[must_use]
    pub const fn at(url: Url) -> Self {
        Self { url, socket: None, tls: TlsFiles { ca: None, client_cert: None, client_key: None }, http2: true }
    }
}

impl std::fmt::Display for UpstreamConfig {
    /// As the configuration names it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(socket) = &self.socket else { return f.write_str(self.url.as_str().trim_end_matches('/')) };
        write!(f, "unix:{}", socket.display())?;
        match self.url.path().trim_end_matches('/') {
            "" => Ok(()),
            path => write!(f, ":{path}"),
        }
    }
}
