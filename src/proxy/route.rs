//! The route table: longest prefix first, on segment boundaries, on the very bytes that are forwarded.

use crate::config::{RouteConfig, TlsFiles};
use crate::guard::path::RoutePath;

/// The routes of one site.
pub struct RouteTable {}

/// One route, ready to match and forward.
pub struct Route {
    /// What the configuration says of it.
    pub config: RouteConfig,
}

impl RouteTable {
    /// Orders the routes for matching.
    #[must_use]
    pub fn new(routes: &[RouteConfig]) -> Self {
        todo!("{routes:?}{:?}", TlsFiles::default())
    }

    /// The route with the longest prefix that matches.
    #[must_use]
    pub fn find(&self, path: &RoutePath) -> Option<&Route> {
        todo!("{path:?}")
    }
}

impl Route {
    /// Whether the route lets `method` through; TRACE and CONNECT never pass.
    #[must_use]
    pub fn allows(&self, method: &str) -> bool {
        todo!("{method}")
    }

    /// The value of `Allow` for a 405.
    #[must_use]
    pub fn allow_header(&self) -> String {
        todo!()
    }
}
