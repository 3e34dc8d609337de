//! `cloakroom dev` as a process, and a person in front of it; and its provider alone.

use std::sync::Arc;

use cloakroom::dev::provider::{EmbeddedProvider, Setup};

use super::{Browser, Page, Process, Request, Response, cloakroom, eventually, free_port};

/// The embedded provider in a thread of its own, which ends with the process.
pub fn embedded(setup: Setup) -> Arc<EmbeddedProvider> {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let provider = Arc::new(EmbeddedProvider::start(setup).expect("a port is free"));
            tell.send(Arc::clone(&provider)).expect("the test waits");
            std::future::pending::<()>().await;
        });
    });
    told.recv().expect("the provider starts")
}

/// A running `cloakroom dev`.
pub struct Dev {
    pub process: Process,
    port: u16,
    provider: String,
}

impl Dev {
    /// Without a profile.
    pub fn strict(further: &[&str]) -> Self {
        Self::start(further)
    }

    /// Playing a provider, with access tokens of this many seconds.
    pub fn playing(profile: &str, lifetime: u32) -> Self {
        Self::start(&["--profile", profile, "--token-lifetime", &lifetime.to_string()])
    }

    /// With these options.
    pub fn start(further: &[&str]) -> Self {
        let port = free_port();
        let process =
            Process::start(cloakroom().args(["dev", "--port", &port.to_string()]).args(further), "cargo build");
        let told = eventually("dev should print its URLs", || {
            Some(process.stdout()).filter(|told| told.contains("Ctrl-C stops everything"))
        });
        eventually("dev should listen", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        let line = told.lines().find(|line| line.trim_start().starts_with("provider")).expect("a line on the provider");
        let provider = line.split_whitespace().nth(1).expect("its URL").to_owned();
        Self { process, port, provider }
    }

    pub fn one(&self) -> String {
        format!("http://one.localhost:{}", self.port)
    }

    pub fn two(&self) -> String {
        format!("http://two.localhost:{}", self.port)
    }

    /// Where the provider is.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Signs `user` in at a site; where that ends.
    #[track_caller]
    pub fn sign_in(&self, browser: &mut Browser, site: &str, user: &str) -> Page {
        let page = browser.open(&format!("{site}/bff/login"));
        if page.response.text().contains("name=\"user\"") { self.send(browser, &page, &[("user", user)]) } else { page }
    }

    /// Submits the first form of one of the provider's pages, with these fields.
    #[track_caller]
    pub fn send(&self, browser: &mut Browser, page: &Page, fields: &[(&str, &str)]) -> Page {
        let text = page.response.text();
        let action = between(&text, "action=\"").unwrap_or_else(|| panic!("no form on {}: {text}", page.url));
        let hidden = ["request", "token"].into_iter().filter_map(|name| {
            let value = between(&text, &format!("name=\"{name}\" value=\""))?;
            Some((name, value.replace("&amp;", "&")))
        });
        let hidden: Vec<_> = hidden.collect();
        let fields = fields.iter().map(|(name, value)| (*name, (*value).to_owned())).chain(hidden);
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        browser.submit(&self.provider, &format!("{}{action}", self.provider), &form)
    }

    /// The provider's own page.
    #[track_caller]
    pub fn desk(&self, browser: &mut Browser) -> Page {
        browser.open(&format!("{}/", self.provider))
    }

    /// Presses a button of that page; for one of a login, the login at the client with this name.
    #[track_caller]
    pub fn press(&self, browser: &mut Browser, button: &str, client: &str) -> String {
        let page = self.desk(browser);
        let text = page.response.text();
        assert!(text.contains(&format!("name=\"do\" value=\"{button}\"")), "no button {button} in {text}");
        let card =
            text.split("name=\"login\" value=\"").skip(1).find(|card| card.contains(&format!("<small>{client}")));
        let login = card.and_then(|card| card.split('"').next()).unwrap_or_default().to_owned();
        self.send(browser, &page, &[("do", button), ("login", &login), ("seconds", "2")]).response.text()
    }

    /// What the form of the first site's own page gets, where the API logs people in.
    #[track_caller]
    pub fn log_in(&self, browser: &mut Browser, credentials: &serde_json::Value) -> Response {
        let form = Request::new("POST", "").header("Content-Type", "application/json").body(credentials.to_string());
        browser.fetch_with(&self.one(), form, "/bff/login")
    }

    /// What a script on the first site gets from the API.
    #[track_caller]
    pub fn call(&self, browser: &mut Browser) -> Response {
        browser.get(&self.one(), "/api/me")
    }

    /// Calls the API until the answer is as wanted.
    #[track_caller]
    pub fn call_until(&self, browser: &mut Browser, what: &str, wanted: impl Fn(&Response) -> bool) -> Response {
        eventually(what, || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            Some(self.call(browser)).filter(&wanted)
        })
    }
}

fn between<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split('"').next()
}
