//! What the public listener answers: the gateway's own endpoints, the proxied routes, and the SPA's files.
//!
//! `door` takes every request through the checks of the contract's section 4, in their order, and hands it on: to `bff`
//! (the table of our own paths, one short handler each), to `api` (a route), or to `spa`. `binding` wraps our own
//! endpoints and ties the cookie to the session; the proxied path opens the same cookie directly. `problem` is the only
//! place where an error becomes a response.

mod api;
mod bff;
mod binding;
mod callback;
mod cookies;
mod door;
mod known;
mod login;
mod logout;
mod meter;
mod page;
mod problem;
mod request;
mod session;
mod spa;

use std::rc::Rc;
use std::sync::Arc;

use actix_web::HttpResponseBuilder;
use actix_web::http::header;
use ipnet::IpNet;

use self::binding::BoundEndpoints;
use self::cookies::CookieNames;
use self::known::KnownCookies;
use self::meter::Meters;
use crate::auth::Auth;
use crate::config::Config;
use crate::proxy::route::RouteTable;
use crate::proxy::upstream::UpstreamClients;
use crate::session::store::Store;
use crate::tls::TlsError;

pub use self::door::answer;

/// What one worker thread answers with: every site, and this thread's own connections to upstreams and store.
pub struct Worker {
    doors: Vec<SiteDoor>,
    trusted_proxies: Vec<IpNet>,
}

/// This thread's own connections.
struct Connections {
    store: Arc<dyn Store>,
    clients: UpstreamClients,
}

/// One site, ready to answer.
struct SiteDoor {
    site: Rc<Site>,
    endpoints: BoundEndpoints,
}

/// One site as this worker sees it.
struct Site {
    auth: Arc<Auth>,
    names: CookieNames,
    known: KnownCookies,
    routes: RouteTable,
    meters: Meters,
    spa: spa::Spa,
    login_url: String,
    logout_url: String,
    shared: Rc<Connections>,
}

impl Worker {
    /// Prepares one worker thread for the sites of `config`, whose use cases are `auths` in the same order. `store` is
    /// this thread's own.
    ///
    /// # Errors
    /// [`TlsError`] when certificate files for an upstream cannot be used.
    pub fn new(config: &Config, auths: &[Arc<Auth>], store: Arc<dyn Store>) -> Result<Self, TlsError> {
        let shared = Rc::new(Connections { store, clients: UpstreamClients::new(config)? });
        let doors = auths.iter().map(|auth| SiteDoor::new(Arc::clone(auth), Rc::clone(&shared))).collect();
        Ok(Self { doors, trusted_proxies: config.server.trusted_proxies.clone() })
    }
}

impl SiteDoor {
    fn new(auth: Arc<Auth>, shared: Rc<Connections>) -> Self {
        let config = auth.site();
        let site = Rc::new(Site {
            names: CookieNames::of(&config.origin),
            known: KnownCookies::default(),
            routes: RouteTable::new(&config.routes),
            meters: Meters::new(config),
            spa: spa::Spa::new(config.spa.as_ref()),
            login_url: format!("{}/login", config.base_path),
            logout_url: format!("{}/logout", config.base_path),
            auth,
            shared,
        });
        Self { endpoints: BoundEndpoints::new(Rc::clone(&site)), site }
    }
}

/// What everything the gateway itself says carries: it is stored nowhere, framed nowhere, and read as what it is.
fn close_to_browsers(answer: &mut HttpResponseBuilder) {
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    answer.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    answer.insert_header((header::REFERRER_POLICY, "no-referrer"));
    answer.insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"));
    answer.insert_header(("cross-origin-resource-policy", "same-origin"));
}
