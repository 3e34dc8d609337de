//! The demo page: a few embedded files, served for both sites, which differ in name and colour only.

use std::io;
use std::net::TcpListener;

use actix_web::http::header;
use actix_web::middleware::DefaultHeaders;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

use super::provider::PASSWORD;
use super::running::Running;

const INDEX: &str = include_str!("assets/spa/index.html");
const STYLE: &str = include_str!("assets/spa/app.css");
const SCRIPT: &str = include_str!("assets/spa/app.js");
const ICON_ONE: &str = include_str!("assets/spa/icon-one.svg");
const ICON_TWO: &str = include_str!("assets/spa/icon-two.svg");

/// Only what comes from the page's own origin; nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The running demo page; it stops when this is dropped.
#[derive(Debug)]
pub(super) struct DemoSpa {
    _running: Running,
}

impl DemoSpa {
    /// Starts on a bound loopback listener. Inside an actix system.
    pub(super) fn start(listener: TcpListener) -> io::Result<Self> {
        let server = HttpServer::new(|| {
            App::new()
                .wrap(
                    DefaultHeaders::new()
                        .add((header::CACHE_CONTROL, "no-store"))
                        .add((header::CONTENT_SECURITY_POLICY, POLICY))
                        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
                        .add((header::REFERRER_POLICY, "same-origin")),
                )
                .service(web::resource("/app.css").get(async || file("text/css; charset=utf-8", STYLE)))
                .service(web::resource("/app.js").get(async || file("text/javascript; charset=utf-8", SCRIPT)))
                .service(web::resource("/icon-one.svg").get(async || file("image/svg+xml", ICON_ONE)))
                .service(web::resource("/icon-two.svg").get(async || file("image/svg+xml", ICON_TWO)))
                .default_service(web::get().to(index))
        })
        .workers(1)
        .disable_signals()
        .listen(listener)?
        .run();
        Ok(Self { _running: Running::start(server) })
    }
}

/// Every path that is no file is the page's own route. A path that names a file is a mistake and says so.
async fn index(request: HttpRequest) -> HttpResponse {
    if request.path().rsplit('/').next().is_some_and(|last| last.contains('.')) {
        return HttpResponse::NotFound().body("no such file\n");
    }
    // Written into the page, so that the colour is right before any script runs.
    let site = if host(&request).starts_with("two.") { "two" } else { "one" };
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .body(INDEX.replace("{{site}}", site).replace("{{password}}", PASSWORD))
}

fn host(request: &HttpRequest) -> &str {
    let name = request.headers().get("x-forwarded-host").or_else(|| request.headers().get(header::HOST));
    name.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn file(kind: &str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok().content_type(kind).body(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    async fn get(path: &str, host: &str) -> (u16, String) {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}{path}", listener.local_addr().unwrap());
        let _spa = DemoSpa::start(listener).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http.get(url).header("x-forwarded-host", host).send().await.unwrap();
        assert!(answer.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    #[actix_web::test]
    async fn each_site_gets_its_own_page_on_every_path_of_the_page() {
        for (path, site) in [("/", "one"), ("/", "two"), ("/deep/link", "two")] {
            let (status, page) = get(path, &format!("{site}.localhost:8080")).await;
            assert_eq!(status, 200);
            assert!(page.contains(&format!(r#"data-site="{site}""#)) && !page.contains("{{"));
        }
        assert_eq!(get("/missing.js", "one.localhost:8080").await.0, 404);
        assert!(get("/app.js", "one.localhost:8080").await.1.contains("/bff/session"));
    }

    #[test]
    fn the_page_has_nothing_inline_and_nothing_from_elsewhere() {
        assert!(!INDEX.contains("style=") && !INDEX.contains("<style") && !INDEX.contains("onclick"));
        assert!(!INDEX.contains("<script>") && !INDEX.contains("://") && !STYLE.contains("url("));
    }
}
