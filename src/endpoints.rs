//! What the public listener answers: the gateway's own endpoints, the proxied routes, and the SPA's files.
//!
//! `door` takes every request through the checks of the contract's section 4, in their order, and hands it on: to `bff`
//! (the table of our own paths, one short handler each), to `api` (a route), or to `spa`. `binding` wraps our own
//! endpoints and ties the cookie to the session; the proxied path opens the same cookie directly. `problem` is the only
//! place where an error becomes a response.

mod api;
mod backchannel;
mod bff;
mod binding;
mod body;
mod callback;
mod client_js;
mod cookies;
mod door;
mod events;
mod form_post;
mod frontchannel;
mod known;
mod limits;
mod login;
mod logout;
mod meter;
mod page;
mod problem;
mod relay;
mod request;
mod session;
mod spa;
mod streams;

use std::rc::Rc;
use std::sync::Arc;

use actix_web::HttpResponseBuilder;
use actix_web::http::header::{self, HeaderValue};
use ipnet::IpNet;

use self::binding::BoundEndpoints;
use self::cookies::CookieNames;
use self::known::KnownCookies;
use self::meter::Meters;
use crate::auth::Auth;
use crate::config::{Config, Hsts};
use crate::proxy::route::RouteTable;
use crate::proxy::token_places::TokenPlaces;
use crate::proxy::upstream::{UpstreamClients, UpstreamTls};
use crate::session::store::Store;

pub use self::door::answer;
pub use self::limits::Limits;

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
    limits: Arc<Limits>,
    names: CookieNames,
    known: KnownCookies,
    routes: RouteTable,
    meters: Meters,
    spa: spa::Spa,
    /// `Strict-Transport-Security`, where the site has one.
    hsts: Option<HeaderValue>,
    login_url: String,
    logout_url: String,
    shared: Rc<Connections>,
}

impl Worker {
    /// Prepares one worker thread for the sites of `config`, with their use cases and budgets in the same order. `store` is
    /// this thread's own; `tls` was read for the same configuration.
    #[must_use]
    pub fn new(config: &Config, sites: &[(Arc<Auth>, Arc<Limits>)], tls: &UpstreamTls, store: Arc<dyn Store>) -> Self {
        let shared = Rc::new(Connections { store, clients: UpstreamClients::new(tls) });
        let door = |(auth, limits): &(Arc<Auth>, Arc<Limits>)| {
            SiteDoor::new(Arc::clone(auth), Arc::clone(limits), Rc::clone(&shared))
        };
        let doors = sites.iter().map(door).collect();
        Self { doors, trusted_proxies: config.server.trusted_proxies.clone() }
    }
}

impl SiteDoor {
    fn new(auth: Arc<Auth>, limits: Arc<Limits>, shared: Rc<Connections>) -> Self {
        let config = auth.site();
        let site = Rc::new(Site {
            names: CookieNames::of(&config.origin),
            known: KnownCookies::default(),
            routes: RouteTable::new(&config.routes, TokenPlaces::of(&config.providers)),
            meters: Meters::new(config),
            spa: spa::Spa::new(config.spa.as_ref()),
            hsts: config.hsts.map(strict_transport_security),
            login_url: format!("{}/login", config.base_path),
            logout_url: format!("{}/logout", config.base_path),
            auth,
            limits,
            shared,
        });
        Self { endpoints: BoundEndpoints::new(Rc::clone(&site)), site }
    }
}

/// RFC 6797 §6.1
fn strict_transport_security(hsts: Hsts) -> HeaderValue {
    let below = if hsts.include_subdomains { "; includeSubDomains" } else { "" };
    let value = format!("max-age={}{below}", hsts.max_age.as_secs());
    HeaderValue::from_str(&value).expect("digits and words are a header's value")
}

/// What everything the gateway itself says carries: it is stored nowhere, framed nowhere, and read as what it is.
fn close_to_browsers(answer: &mut HttpResponseBuilder) {
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    answer.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    answer.insert_header((header::REFERRER_POLICY, "no-referrer"));
    answer.insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"));
    answer.insert_header(("cross-origin-resource-policy", "same-origin"));
}
