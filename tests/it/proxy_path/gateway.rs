//! A small server that does with a request what the app does: guard, then forward.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;
use actix_web::web::{Data, Payload};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use cloakroom::config::{Access, CachePolicy, CsrfMode, Documents, EncodedSlash, Origin, RouteConfig, UpstreamConfig};
use cloakroom::guard::path::RoutePath;
use cloakroom::guard::same_origin::{self, Words};
use cloakroom::proxy::bearer::Bearer;
use cloakroom::proxy::forward::{Forward, ForwardError, Pass, forward};
use cloakroom::proxy::route::{Route, RouteTable};
use cloakroom::proxy::token_places::TokenPlaces;
use cloakroom::proxy::upstream::{UpstreamClients, UpstreamTls};

pub(super) const ORIGIN: &str = "http://one.localhost:8080";

/// A route `/api` with a session to `http://<upstream>`.
pub(super) fn route(upstream: SocketAddr) -> RouteConfig {
    RouteConfig {
        path: "/api".into(),
        upstream: UpstreamConfig::at(format!("http://{upstream}").parse().expect("a URL")),
        strip_prefix: false,
        access: Access::Required,
        scopes: Vec::new(),
        sensitive: false,
        websocket: false,
        methods: None,
        encoded_slash: EncodedSlash::Refuse,
        drop_origin: true,
        forward_cookies: Vec::new(),
        allow_set_cookie: Vec::new(),
        cache: CachePolicy::NoStore,
        documents: Documents::Sandboxed,
        timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(60),
        total_timeout: None,
        max_calls: 1024,
        max_body: None,
        replay_body: 64 << 10,
        reaches_token_urls: false,
    }
}

/// How long it takes to get a newer token for a request that says so.
pub(super) const LATE: Duration = Duration::from_secs(2);

struct Site {
    routes: RouteTable,
    clients: UpstreamClients,
    dev_server: Option<Route>,
}

/// Starts it with these routes; it runs until the tests end.
pub(super) fn start(routes: Vec<RouteConfig>) -> SocketAddr {
    start_with(routes, None)
}

/// The same, and everything else goes to this development server.
pub(super) fn start_with(routes: Vec<RouteConfig>, dev_server: Option<UpstreamConfig>) -> SocketAddr {
    let (address, started) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || {
                let upstreams = routes.iter().map(|route| &route.upstream).chain(&dev_server);
                let tls = UpstreamTls::for_upstreams(upstreams).expect("certificates that can be used");
                let clients = UpstreamClients::new(&tls);
                let dev_server = dev_server.as_ref().map(Route::dev_server);
                let site = Site { routes: RouteTable::new(&routes, TokenPlaces::default()), clients, dev_server };
                App::new().app_data(Data::new(site)).default_service(web::to(handle))
            })
            .workers(1)
            .h1_allow_half_closed(false)
            .tcp_nodelay(true)
            .disable_signals()
            .bind((Ipv4Addr::LOCALHOST, 0))
            .expect("a free port");
            address.send(server.addrs()[0]).expect("the test waits");
            server.run().await.expect("the server runs");
        });
    });
    started.recv().expect("the server starts")
}

async fn handle(request: HttpRequest, payload: Payload, site: Data<Site>) -> HttpResponse {
    match answer(&request, payload, &site).await {
        Ok(response) => response,
        Err(status) => HttpResponse::new(status),
    }
}

async fn answer(request: &HttpRequest, payload: Payload, site: &Site) -> Result<HttpResponse, StatusCode> {
    let origin = Origin::parse(ORIGIN).expect("an origin");
    let path = RoutePath::parse(request.uri().path()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let found = site.routes.find(&path).or(site.dev_server.as_ref());
    if path.has_encoded_slash() && found.is_none_or(|route| route.config.encoded_slash == EncodedSlash::Refuse) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let route = found.ok_or(StatusCode::NOT_FOUND)?;
    if !route.allows(request.method().as_str()) {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let pass = match route.config.access {
        Access::None => Pass::Public,
        access => {
            let word = |name| request.headers().get(name).map(HeaderValue::as_bytes);
            let safe = request.method().is_safe();
            let words = Words { safe, site: word("sec-fetch-site"), x_bff: word("x-bff"), ..Words::default() };
            let proof = same_origin::check(&words, &origin, CsrfMode::Origin).map_err(|_| StatusCode::FORBIDDEN)?;
            let bearer = (access == Access::Required).then(|| Bearer::new("t0ken").expect("a token"));
            Pass::Session(proof, bearer)
        }
    };
    let client = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
    let payload = payload.into_inner();
    let one = Forward { request, payload, path: &path, route, origin: &origin, client, request_id: "r-1", pass };
    // Another token has been issued meanwhile, unless the request says that it goes with the newest.
    let replaced = !request.headers().contains_key("x-newest");
    let late = request.headers().contains_key("x-late-renewal");
    let renew = async || {
        if late {
            actix_web::rt::time::sleep(LATE).await;
        }
        replaced.then(|| Bearer::new("n3wer").expect("a token"))
    };
    forward(&site.clients, one, renew).await.map_err(|error| match error {
        ForwardError::Unreachable(_) => StatusCode::BAD_GATEWAY,
        ForwardError::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ForwardError::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        ForwardError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ForwardError::BadRequest(_) => StatusCode::BAD_REQUEST,
        ForwardError::Loop => StatusCode::LOOP_DETECTED,
    })
}
