//! What `--spa` and `--api` mean, or a sentence that says why they mean nothing.

use std::path::Path;

use url::Url;

use super::{DevError, DevOptions};
use crate::config::is_loopback_host;

/// The options, understood.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) spa: Spa,
    pub(super) api: Api,
    /// Whether the provider plays one that people have.
    pub(super) plays: bool,
}

/// Which page the sites show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spa {
    /// The embedded one.
    Demo,
    /// Built files.
    Dir(String),
    /// A development server.
    Server(Url),
}

/// Which API the sites call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Api {
    /// The embedded one.
    Demo,
    /// The developer's.
    Own(Url),
}

impl Wanted {
    /// Understands the options; looks at the disk, but contacts nothing.
    pub(super) fn parse(options: &DevOptions) -> Result<Self, DevError> {
        let spa = options.spa.as_deref().map_or(Ok(Spa::Demo), spa)?;
        let api = options.api.as_deref().map_or(Ok(Api::Demo), |text| upstream("--api", text).map(Api::Own))?;
        if let Api::Own(url) = &api
            && url.scheme() == "http"
            && !is_loopback(url)
        {
            return Err(DevError(format!(
                "--api {url} would send access tokens unencrypted over the network: use https://, or an API on this machine"
            )));
        }
        Ok(Self { spa, api, plays: options.profile.is_some() })
    }
}

fn spa(text: &str) -> Result<Spa, DevError> {
    if text.contains("://") {
        let url = upstream("--spa", text)?;
        if !is_loopback(&url) {
            return Err(DevError(format!(
                "--spa {url} is not on this machine: give your dev server's local URL, such as http://127.0.0.1:5173"
            )));
        }
        if url.path() != "/" {
            return Err(DevError(format!(
                "--spa {url} has a path, but a page lives at the root of its site: give {} alone",
                url.origin().ascii_serialization()
            )));
        }
        return Ok(Spa::Server(url));
    }
    if text.starts_with("localhost:") || text.parse::<std::net::SocketAddr>().is_ok() {
        return Err(DevError(format!("--spa {text} is neither a directory nor a URL: write http://{text}")));
    }
    let dir = Path::new(text);
    if !dir.is_dir() {
        return Err(DevError(format!(
            "--spa {text} is not a directory: build your page first, or give the URL of its dev server, such as http://127.0.0.1:5173"
        )));
    }
    if !dir.join("index.html").is_file() {
        return Err(DevError(format!(
            "--spa {text} has no index.html: give the directory that your build writes, often dist or .output/public"
        )));
    }
    Ok(Spa::Dir(text.to_owned()))
}

fn upstream(option: &str, text: &str) -> Result<Url, DevError> {
    let url = Url::parse(text)
        .map_err(|error| DevError(format!("{option} {text} is not a URL ({error}): write http://127.0.0.1:PORT")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(DevError(format!("{option} {text} must start with http:// or https://")));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(DevError(format!("{option} must be scheme, host, port and path only: leave out the rest")));
    }
    // Browsers know these names by themselves, but the resolver of this machine need not.
    if url.host_str().is_some_and(|host| host.ends_with(".localhost")) {
        return Err(DevError(format!("{option} {text} cannot be resolved here: use 127.0.0.1 in place of the name")));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(spa: Option<&str>, api: Option<&str>) -> Result<Wanted, String> {
        let (spa, api) = (spa.map(str::to_owned), api.map(str::to_owned));
        let options = DevOptions { port: 8080, spa, api, profile: None, token_lifetime: None };
        Wanted::parse(&options).map_err(|error| error.0)
    }

    #[test]
    fn without_options_everything_is_the_demo() {
        let wanted = parse(None, None).unwrap();
        assert_eq!((wanted.spa, wanted.api), (Spa::Demo, Api::Demo));
    }

    #[test]
    fn an_api_may_be_remote_but_not_in_plain_text() {
        assert!(parse(None, Some("https://api.example/v1")).is_ok());
        assert!(parse(None, Some("http://127.0.0.1:9000")).is_ok());
        assert!(parse(None, Some("http://api.example")).unwrap_err().contains("https://"));
        assert!(parse(None, Some("HTTP://api.example")).unwrap_err().contains("https://"));
    }

    #[test]
    fn a_page_is_a_directory_with_an_index_or_a_local_server() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        assert!(parse(Some(path), None).unwrap_err().contains("index.html"));
        std::fs::write(dir.path().join("index.html"), "x").unwrap();
        assert_eq!(parse(Some(path), None).unwrap().spa, Spa::Dir(path.to_owned()));
        assert!(parse(Some("http://localhost:5173"), None).is_ok());
        assert!(parse(Some("localhost:5173"), None).unwrap_err().contains("http://localhost:5173"));
        assert!(parse(Some("no/such/place"), None).unwrap_err().contains("dev server"));
        assert!(parse(Some("https://page.example"), None).unwrap_err().contains("not on this machine"));
        assert!(parse(Some("http://127.0.0.1:5173/app/"), None).unwrap_err().contains("root"));
    }

    #[test]
    fn what_cannot_be_an_upstream_is_refused_with_a_remedy() {
        assert!(parse(None, Some("9000")).unwrap_err().contains("http://127.0.0.1:PORT"));
        assert!(parse(None, Some("ftp://127.0.0.1")).unwrap_err().contains("http://"));
        assert!(parse(None, Some("http://a:b@127.0.0.1")).unwrap_err().contains("only"));
        assert!(parse(None, Some("http://api.localhost:9000")).unwrap_err().contains("127.0.0.1"));
    }
}
