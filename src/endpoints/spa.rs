//! The single-page app's files: cacheable, and served without a look at any cookie.

use std::path::{Path, PathBuf};

use actix_files::NamedFile;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use percent_encoding::percent_decode_str;

use super::problem::Problem;
use super::request::Incoming;
use super::{Site, api, request};
use crate::config::SpaConfig;
use crate::guard::path::RoutePath;
use crate::proxy::route::Route;

/// Where a site's files come from.
pub(super) enum Spa {
    None,
    Dir { dir: PathBuf, fallback: String },
    DevServer(Box<Route>),
}

impl Spa {
    pub(super) fn new(config: Option<&SpaConfig>) -> Self {
        match config {
            None => Self::None,
            Some(SpaConfig::Dir { dir, fallback }) => Self::Dir { dir: dir.clone(), fallback: fallback.clone() },
            Some(SpaConfig::DevServer(upstream)) => Self::DevServer(Box::new(Route::dev_server(upstream))),
        }
    }
}

/// Serves what no route takes: a file, for navigations the fallback page, or the development server's answer.
pub(super) async fn serve(site: &Site, incoming: Incoming<'_>) -> Result<HttpResponse, Problem> {
    if incoming.path.has_encoded_slash() {
        return Err(Problem::BadPath("it holds an encoded slash"));
    }
    match &site.spa {
        Spa::None => Err(Problem::NoRoute),
        Spa::Dir { dir, fallback } => file(dir, fallback, incoming.request, incoming.path).await,
        Spa::DevServer(route) => api::call(site, route, incoming).await,
    }
}

async fn file(dir: &Path, fallback: &str, request: &HttpRequest, path: &RoutePath) -> Result<HttpResponse, Problem> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Problem::NoRoute);
    }
    let wanted = relative(path).ok_or(Problem::NoRoute)?;
    if let Some(found) = open(dir, &wanted).await {
        return Ok(respond(found, &wanted, request));
    }
    if request::is_navigation(request)
        && let Some(found) = open(dir, Path::new(fallback)).await
    {
        return Ok(respond(found, Path::new(fallback), request));
    }
    Err(Problem::NoRoute)
}

/// The file a path names, relative to the directory; the path holds no dot segments, and hidden files stay hidden.
fn relative(path: &RoutePath) -> Option<PathBuf> {
    let decoded = percent_decode_str(path.as_str()).decode_utf8().ok()?;
    let mut file = PathBuf::new();
    for segment in decoded.split('/').filter(|segment| !segment.is_empty()) {
        if segment.starts_with('.') || segment.contains(['\\', '\0']) {
            return None;
        }
        file.push(segment);
    }
    if decoded.ends_with('/') {
        file.push("index.html");
    }
    Some(file)
}

/// Opens a file below `dir`, on a thread that may wait for the disk. Links inside the directory are followed, as mounted
/// configuration is full of them; one that leads out of it is no file of the site.
async fn open(dir: &Path, file: &Path) -> Option<NamedFile> {
    let (dir, file) = (dir.to_owned(), dir.join(file));
    let opened = actix_web::web::block(move || {
        let file = file.canonicalize().ok()?;
        let inside = file.starts_with(dir.canonicalize().ok()?);
        inside.then(|| NamedFile::open(&file).ok())?.filter(|found| found.metadata().is_file())
    });
    opened.await.ok().flatten()
}

fn respond(found: NamedFile, name: &Path, request: &HttpRequest) -> HttpResponse {
    let is_page = name.extension().is_some_and(|extension| extension == "html");
    let mut response =
        found.use_etag(true).use_last_modified(true).disable_content_disposition().into_response(request);
    let headers = response.headers_mut();
    let cache = if has_content_hash(name) { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_page {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("frame-ancestors 'none'"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
    }
    response
}

/// Whether a file's name changes with its content, as bundlers write it: `app-BkX3_9aQ.js`, `main.4f9c2a1b.css`.
fn has_content_hash(name: &Path) -> bool {
    let Some(stem) = name.file_stem().and_then(|stem| stem.to_str()) else { return false };
    let Some(at) = stem.rfind(['-', '.']) else { return false };
    let (hash, is_page) = (&stem[at + 1..], name.extension().is_some_and(|extension| extension == "html"));
    let is_hash = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !is_page && hash.len() >= 8 && hash.bytes().all(is_hash) && hash.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_content_hash_are_kept_forever() {
        for hashed in ["assets/app-BkX3_9aQ.js", "main.4f9c2a1b.css", "assets/logo-a1b2c3d4.svg"] {
            assert!(has_content_hash(Path::new(hashed)), "{hashed}");
        }
        for plain in ["index.html", "app.js", "assets/my-component.js", "page-a1b2c3d4.html", "robots.txt", "a-v1.js"] {
            assert!(!has_content_hash(Path::new(plain)), "{plain}");
        }
    }

    #[test]
    fn a_path_names_a_file_below_the_directory_and_no_hidden_one() {
        let file = |path: &str| relative(&RoutePath::parse(path).unwrap());
        assert_eq!(file("/"), Some("index.html".into()));
        assert_eq!(file("/docs/"), Some("docs/index.html".into()));
        assert_eq!(file("/a%20b/c.js"), Some("a b/c.js".into()));
        assert_eq!(file("/.env"), None);
        assert_eq!(file("/.git/config"), None);
        assert_eq!(file("/%2Eenv"), None);
    }
}
