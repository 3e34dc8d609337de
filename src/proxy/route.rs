//! The route table: longest prefix first, on segment boundaries, on the very bytes that are forwarded.

use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper::http::HeaderValue;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use crate::config::{Access, CachePolicy, Documents, EncodedSlash, RouteConfig, TlsFiles, UpstreamConfig};
use crate::guard::path::RoutePath;

/// The routes of one site.
pub struct RouteTable {
    /// Longest prefix first.
    routes: Vec<Route>,
}

/// One route, ready to match and forward.
pub struct Route {
    /// What the configuration says of it.
    pub config: RouteConfig,
    /// Where its requests go.
    pub(super) target: Target,
    /// Room for the calls that may run at once.
    room: Arc<Semaphore>,
}

/// An upstream's URL, taken apart once so that no request parses it again.
pub(super) struct Target {
    scheme: Scheme,
    authority: Authority,
    /// The value of `Host`: the authority as the URL has it.
    pub(super) host: HeaderValue,
    /// The path that is put in front: empty, or `/…` without a trailing slash.
    pub(super) prefix: String,
    /// Which client opens its connections; `None` without TLS.
    pub(super) tls: Option<TlsFiles>,
}

impl RouteTable {
    /// Orders the routes for matching.
    #[must_use]
    pub fn new(routes: &[RouteConfig]) -> Self {
        let mut routes: Vec<Route> = routes.iter().cloned().map(Route::new).collect();
        routes.sort_by_key(|route| std::cmp::Reverse(route.config.path.len()));
        Self { routes }
    }

    /// The route with the longest prefix that matches.
    #[must_use]
    pub fn find(&self, path: &RoutePath) -> Option<&Route> {
        self.routes.iter().find(|route| path.after(&route.config.path).is_some())
    }
}

impl Route {
    /// Takes the upstream's URL apart.
    #[must_use]
    pub fn new(config: RouteConfig) -> Self {
        let room = Arc::new(Semaphore::new(config.max_calls));
        Self { target: Target::new(&config.upstream), room, config }
    }

    /// The way of everything that no route takes to a development server: no session, no cookie, no limit on bodies, WebSockets;
    /// caching is the server's own affair.
    #[must_use]
    pub fn dev_server(upstream: &UpstreamConfig) -> Self {
        Self::new(RouteConfig {
            path: "/".into(),
            upstream: upstream.clone(),
            strip_prefix: false,
            access: Access::None,
            scopes: Vec::new(),
            sensitive: false,
            // Hot reload.
            websocket: true,
            methods: None,
            encoded_slash: EncodedSlash::Pass,
            drop_origin: true,
            forward_cookies: Vec::new(),
            allow_set_cookie: Vec::new(),
            cache: CachePolicy::Upstream,
            documents: Documents::Trusted,
            // A development server may compile for a while before it answers.
            timeout: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(120),
            total_timeout: None,
            max_calls: 1024,
            max_body: None,
            replay_body: 0,
        })
    }

    /// Room for one more call, if there is any; it is given back when dropped.
    pub(super) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Whether the route lets `method` through; TRACE and CONNECT never pass.
    #[must_use]
    pub fn allows(&self, method: &str) -> bool {
        !matches!(method, "TRACE" | "CONNECT")
            && self.config.methods.as_ref().is_none_or(|methods| methods.iter().any(|allowed| allowed == method))
    }

    /// The value of `Allow` for a 405 (RFC 9110 §10.2.1).
    #[must_use]
    pub fn allow_header(&self) -> String {
        match &self.config.methods {
            None => "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".into(),
            Some(methods) => {
                let passing: Vec<&str> =
                    methods.iter().map(String::as_str).filter(|method| self.allows(method)).collect();
                passing.join(", ")
            }
        }
    }

    /// The URI of a request at the upstream: the upstream's own path, then the very bytes of `path` and `query`.
    pub(super) fn uri(&self, path: &RoutePath, query: Option<&str>) -> Option<Uri> {
        let rest = if self.config.strip_prefix { path.after(&self.config.path)? } else { path.as_str() };
        let mut target =
            String::with_capacity(self.target.prefix.len() + rest.len() + query.map_or(0, |query| query.len() + 1) + 1);
        target.push_str(&self.target.prefix);
        target.push_str(rest);
        if target.is_empty() {
            target.push('/');
        }
        if let Some(query) = query {
            target.push('?');
            target.push_str(query);
        }
        self.target.uri(target)
    }

    /// The URI of the upstream's own path, which no request has chosen.
    pub(super) fn front_page(&self) -> Option<Uri> {
        let prefix = &self.target.prefix;
        self.target.uri(if prefix.is_empty() { "/".to_owned() } else { prefix.clone() })
    }
}

impl Target {
    fn new(upstream: &UpstreamConfig) -> Self {
        let url = &upstream.url;
        let authority = authority_of(url);
        Self {
            scheme: if is_tls(url) { Scheme::HTTPS } else { Scheme::HTTP },
            host: HeaderValue::from_str(&authority).expect("a URL's authority is ASCII"),
            authority: authority.parse().expect("a URL's host and port are an authority"),
            prefix: url.path().trim_end_matches('/').to_owned(),
            tls: tls_of(upstream),
        }
    }

    /// The URI of `path_and_query` there.
    fn uri(&self, path_and_query: String) -> Option<Uri> {
        let mut parts = hyper::http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_maybe_shared(bytes::Bytes::from(path_and_query)).ok()?);
        Uri::from_parts(parts).ok()
    }

    /// What follows the upstream's own origin in `url`, if that is where it leads: the same scheme, host and port,
    /// a default port written or not.
    pub(super) fn own<'a>(&self, url: &'a str) -> Option<&'a str> {
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            None => (self.scheme.as_str(), url.strip_prefix("//")?),
        };
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let default = if self.scheme == Scheme::HTTPS { ":443" } else { ":80" };
        let bare = |text: &str| text.strip_suffix(default).unwrap_or(text).to_ascii_lowercase();
        (scheme.eq_ignore_ascii_case(self.scheme.as_str()) && bare(authority) == bare(self.authority.as_str()))
            .then_some(rest)
    }
}

/// The certificates that reach `upstream`; `None` without TLS.
pub(super) fn tls_of(upstream: &UpstreamConfig) -> Option<TlsFiles> {
    is_tls(&upstream.url).then(|| upstream.tls.clone())
}

fn is_tls(url: &Url) -> bool {
    url.scheme() == "https"
}

fn authority_of(url: &Url) -> String {
    let host = url.host_str().expect("the configuration has checked that the upstream has a host");
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str, upstream: &str, strip_prefix: bool) -> RouteConfig {
        let url = upstream.parse().expect("a URL");
        let mut config = Route::dev_server(&UpstreamConfig { url, tls: TlsFiles::default() }).config;
        config.path = path.into();
        config.strip_prefix = strip_prefix;
        config
    }

    fn path(text: &str) -> RoutePath {
        RoutePath::parse(text).expect("a good path")
    }

    #[test]
    fn the_longest_prefix_wins_on_segment_boundaries() {
        let table = RouteTable::new(&["/api", "/api/v2", "/"].map(|path| route(path, "http://up", false)));
        let found = |text: &str| table.find(&path(text)).map(|route| route.config.path.clone());
        for (text, expected) in
            [("/api/v2/x", "/api/v2"), ("/api/v2", "/api/v2"), ("/api/v2x", "/api"), ("/apix", "/"), ("/", "/")]
        {
            assert_eq!(found(text).as_deref(), Some(expected), "{text}");
        }
        assert!(RouteTable::new(&[route("/api", "http://up", false)]).find(&path("/API/x")).is_none());
    }

    #[test]
    fn the_upstream_uri_is_its_own_path_and_the_bytes_that_came() {
        let uri = |prefix: &str, upstream: &str, strip: bool, text: &str, query: Option<&str>| {
            Route::new(route(prefix, upstream, strip)).uri(&path(text), query).expect("a URI").to_string()
        };
        assert_eq!(
            uri("/api", "http://up:81", false, "/api/%C3%a4", Some("a=../..&b=%00&?")),
            "http://up:81/api/%C3%a4?a=../..&b=%00&?"
        );
        assert_eq!(uri("/api", "https://up/v1/", false, "/api/x", None), "https://up/v1/api/x");
        assert_eq!(uri("/api", "https://up/v1", true, "/api/x", Some("")), "https://up/v1/x?");
        assert_eq!(uri("/api", "https://up/v1", true, "/api", None), "https://up/v1");
        assert_eq!(uri("/api", "https://up", true, "/api", None), "https://up/");
        assert_eq!(uri("/", "https://up", true, "/x/", None), "https://up/x/");
        assert_eq!(uri("/api", "http://[::1]:81", true, "/api/a%2Fb", None), "http://[::1]:81/a%2Fb");
    }

    #[test]
    fn trace_and_connect_never_pass() {
        let mut config = route("/api", "http://up", false);
        assert!(Route::new(config.clone()).allows("PROPFIND"));
        assert!(!Route::new(config.clone()).allows("TRACE"));
        config.methods = Some(["GET", "TRACE", "CONNECT", "POST"].map(String::from).into());
        let route = Route::new(config);
        assert_eq!(
            ["GET", "POST", "PUT", "TRACE", "CONNECT", "get"].map(|method| route.allows(method)),
            [true, true, false, false, false, false]
        );
        assert_eq!(route.allow_header(), "GET, POST");
    }
}
