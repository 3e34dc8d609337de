//! The route table: longest prefix first, on segment boundaries, on the very bytes that are forwarded.

use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper::http::uri::Scheme;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::seam;
use super::token_places::TokenPlaces;
use super::upstream::Place;
use crate::config::{Access, CachePolicy, Documents, EncodedSlash, Origin, RouteConfig, TlsFiles, UpstreamConfig};
use crate::guard::path::RoutePath;

/// The routes of one site.
pub struct RouteTable {
    /// Longest prefix first.
    routes: Vec<Route>,
    /// Where none of them leads.
    closed: TokenPlaces,
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
    /// The scheme and the authority, as the URL has them. An upstream behind a socket has none of its own and goes by the
    /// site's.
    named: Option<(Scheme, String)>,
    /// The path that is put in front: empty, or `/…` without a trailing slash.
    pub(super) prefix: String,
    /// Where its connections lead.
    pub(super) place: Arc<Place>,
}

impl RouteTable {
    /// Orders the routes for matching; what is `closed` stays so on all of them.
    #[must_use]
    pub fn new(routes: &[RouteConfig], closed: TokenPlaces) -> Self {
        let mut routes: Vec<Route> = routes.iter().cloned().map(Route::new).collect();
        routes.sort_by_key(|route| std::cmp::Reverse(route.config.path.len()));
        Self { routes, closed }
    }

    /// The route with the longest prefix that matches.
    #[must_use]
    pub fn find(&self, path: &RoutePath) -> Option<&Route> {
        self.routes.iter().find(|route| path.after(&route.config.path).is_some())
    }

    /// Whether `path` would lead through `route` to where the API hands out tokens. The path as the browser wrote it counts
    /// as well as the target: what a prefix is replaced with inside may be missing from the API's URL outside.
    #[must_use]
    pub fn is_closed(&self, route: &Route, method: &str, path: &RoutePath) -> bool {
        if self.closed.is_empty() || route.config.reaches_token_urls {
            return false;
        }
        let mut target = Vec::new();
        self.closed.hold(method, path.as_str())
            || (route.rewrites()
                && route.write_target(path, None, &mut target).is_some()
                && std::str::from_utf8(&target).is_ok_and(|target| self.closed.hold(method, target)))
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
            reaches_token_urls: false,
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

    /// Whether paths at the upstream differ from those at the site.
    pub(super) fn rewrites(&self) -> bool {
        !self.target.prefix.is_empty() || self.config.strip_prefix
    }

    /// Writes the target of a request at the upstream: the upstream's own path, then the very bytes of `path` and
    /// `query`. `None` if it is none.
    pub(super) fn write_target(&self, path: &RoutePath, query: Option<&str>, out: &mut Vec<u8>) -> Option<()> {
        let rest = if self.config.strip_prefix { path.after(&self.config.path)? } else { path.as_str() };
        let start = out.len();
        out.extend_from_slice(self.target.prefix.as_bytes());
        out.extend_from_slice(rest.as_bytes());
        if out.len() == start {
            out.push(b'/');
        }
        if let Some(query) = query {
            out.push(b'?');
            out.extend_from_slice(query.as_bytes());
        }
        seam::is_target(&out[start..]).then_some(())
    }
}

impl Target {
    fn new(upstream: &UpstreamConfig) -> Self {
        let prefix = upstream.url.path().trim_end_matches('/').to_owned();
        if let Some(socket) = &upstream.socket {
            return Self { named: None, prefix, place: Arc::new(Place::Socket(socket.clone())) };
        }
        let authority = authority_of(&upstream.url);
        let scheme = if is_tls(&upstream.url) { Scheme::HTTPS } else { Scheme::HTTP };
        let uri = Uri::builder().scheme(scheme.clone()).authority(authority.as_str()).path_and_query("/").build();
        let uri = uri.expect("a URL's host and port are an authority");
        let tls = tls_of(upstream);
        let http2 = upstream.http2 && tls.is_some();
        Self { named: Some((scheme, authority)), prefix, place: Arc::new(Place::Net { uri, tls, http2 }) }
    }

    /// The value of `Host`.
    pub(super) fn host<'a>(&'a self, origin: &'a Origin) -> &'a str {
        self.named.as_ref().map_or_else(|| origin.authority(), |(_, authority)| authority)
    }

    /// The upstream's own origin, by which its nonces and proofs go.
    pub(super) fn origin(&self, site: &Origin) -> String {
        let scheme = self.named.as_ref().map_or_else(|| site.scheme().as_str(), |(scheme, _)| scheme.as_str());
        format!("{scheme}://{}", self.host(site))
    }

    /// What follows the upstream's own origin in `url`, if that is where it leads: the same scheme, host and port,
    /// a default port written or not. Behind a socket it is the site's, in either scheme: the upstream was told a host, and
    /// sees no TLS.
    pub(super) fn own<'a>(&self, url: &'a str, origin: &Origin) -> Option<&'a str> {
        let scheme = self.named.as_ref().map_or_else(|| origin.scheme().as_str(), |(scheme, _)| scheme.as_str());
        let (seen, rest) = match url.split_once("://") {
            Some((seen, rest)) => (seen, rest),
            None => (scheme, url.strip_prefix("//")?),
        };
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let default = if seen.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
        let bare = |text: &str| text.strip_suffix(default).unwrap_or(text).to_ascii_lowercase();
        let either = self.named.is_none() && ["http", "https"].iter().any(|known| seen.eq_ignore_ascii_case(known));
        ((either || seen.eq_ignore_ascii_case(scheme)) && bare(authority) == bare(self.host(origin))).then_some(rest)
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
        let mut config = Route::dev_server(&UpstreamConfig::at(url)).config;
        config.path = path.into();
        config.strip_prefix = strip_prefix;
        config
    }

    fn path(text: &str) -> RoutePath {
        RoutePath::parse(text).expect("a good path")
    }

    #[test]
    fn the_longest_prefix_wins_on_segment_boundaries() {
        let table = RouteTable::new(
            &["/api", "/api/v2", "/"].map(|path| route(path, "http://up", false)),
            TokenPlaces::default(),
        );
        let found = |text: &str| table.find(&path(text)).map(|route| route.config.path.clone());
        for (text, expected) in
            [("/api/v2/x", "/api/v2"), ("/api/v2", "/api/v2"), ("/api/v2x", "/api"), ("/apix", "/"), ("/", "/")]
        {
            assert_eq!(found(text).as_deref(), Some(expected), "{text}");
        }
        assert!(
            RouteTable::new(&[route("/api", "http://up", false)], TokenPlaces::default())
                .find(&path("/API/x"))
                .is_none()
        );
    }

    #[test]
    fn the_target_is_the_upstreams_own_path_and_the_bytes_that_came() {
        let target = |prefix: &str, upstream: &str, strip: bool, text: &str, query: Option<&str>| {
            let mut out = b"GET ".to_vec();
            Route::new(route(prefix, upstream, strip)).write_target(&path(text), query, &mut out).expect("a target");
            String::from_utf8(out).expect("text")["GET ".len()..].to_owned()
        };
        assert_eq!(
            target("/api", "http://up:81", false, "/api/%C3%a4", Some("a=../..&b=%00&?")),
            "/api/%C3%a4?a=../..&b=%00&?"
        );
        assert_eq!(target("/api", "https://up/v1/", false, "/api/x", None), "/v1/api/x");
        assert_eq!(target("/api", "https://up/v1", true, "/api/x", Some("")), "/v1/x?");
        assert_eq!(target("/api", "https://up/v1", true, "/api", None), "/v1");
        assert_eq!(target("/api", "https://up", true, "/api", None), "/");
        assert_eq!(target("/", "https://up", true, "/x/", None), "/x/");
        assert_eq!(target("/api", "http://[::1]:81", true, "/api/a%2Fb", None), "/a%2Fb");
        let smuggled =
            Route::new(route("/api", "http://up", false)).write_target(&path("/api"), Some("a b"), &mut vec![]);
        assert!(smuggled.is_none());
    }

    #[test]
    fn an_upstream_is_named_as_its_url_names_it() {
        for (url, host, uri) in [
            ("https://up", "up", "https://up/"),
            ("http://up:81/v1", "up:81", "http://up:81/"),
            ("http://[::1]:81", "[::1]:81", "http://[::1]:81/"),
        ] {
            let route = Route::new(route("/api", url, false));
            let site = Origin::parse("https://app.example").expect("an origin");
            let Place::Net { uri: place, .. } = &*route.target.place else { panic!("no socket") };
            assert_eq!((route.target.host(&site), place.to_string().as_str()), (host, uri));
        }
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
