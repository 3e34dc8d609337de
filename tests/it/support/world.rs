//! The usual stage: a provider, an upstream and a gateway between them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::{Browser, Gateway, OidcProvider, Process, Request, Response, Setup, Upstream, contains, eventually, send};

/// Everything one test needs; it ends with it.
pub struct World {
    pub setup: Setup,
    pub provider: Arc<OidcProvider>,
    pub upstream: Upstream,
    pub gateway: Gateway,
    pub config: PathBuf,
    pub dir: TempDir,
}

impl World {
    /// One site, everything as usual.
    pub fn new() -> Self {
        Self::of(Setup::one_site())
    }

    /// As the test wants it, with the shared provider.
    pub fn of(setup: Setup) -> Self {
        Self::with(setup, OidcProvider::shared(), Upstream::start())
    }

    /// As the test wants it, with a provider of its own that it may stop and break.
    pub fn with_own_provider(setup: Setup) -> Self {
        Self::with(setup, Arc::new(OidcProvider::start(0)), Upstream::start())
    }

    /// As the test wants it, with one signed-in browser whose token is over; new tokens live for an hour.
    pub fn with_a_due_token(mut setup: Setup) -> (Self, Browser) {
        setup.access_ttl = 1;
        let mut world = Self::of(setup);
        let browser = world.signed_in();
        world.tokens_live(3600);
        // The one wait for a clock: the provider says for how long its token is good.
        std::thread::sleep(Duration::from_millis(1100));
        (world, browser)
    }

    pub fn with(setup: Setup, provider: Arc<OidcProvider>, upstream: Upstream) -> Self {
        setup.register(&provider);
        let dir = TempDir::new().expect("a temporary directory");
        let config = setup.write(dir.path(), &provider.issuer(), &upstream.url());
        let gateway = Gateway::serve(&config, setup.port, setup.admin_port);
        Self { setup, provider, upstream, gateway, config, dir }
    }

    /// The origin of the first site.
    pub fn one(&self) -> String {
        self.setup.origin(0)
    }

    /// The origin of the second site.
    pub fn two(&self) -> String {
        self.setup.origin(1)
    }

    pub fn client_id(&self) -> &str {
        &self.setup.sites[0].client_id
    }

    /// A browser that is signed in to the first site as Ada.
    #[track_caller]
    pub fn signed_in(&self) -> Browser {
        let mut browser = Browser::new();
        let page = browser.sign_in(&self.one(), "ada");
        assert_eq!(page.url, format!("{}/", self.one()), "{} {}", page.response.status, page.response.text());
        browser
    }

    /// Every secret of this world so far: tokens, codes, verifiers, keys and client secrets, by name and value.
    pub fn secrets(&self) -> Vec<(String, String)> {
        let issued = self.setup.sites.iter().flat_map(|site| self.provider.issued(&site.client_id));
        issued.chain(self.setup.secrets()).collect()
    }

    /// How often the code of a login was redeemed, successfully or not.
    pub fn redemptions(&self) -> u64 {
        self.provider.token_calls(self.client_id(), "")
    }

    /// Gives tokens issued from now on another lifetime.
    pub fn tokens_live(&mut self, seconds: u64) {
        self.setup.access_ttl = seconds;
        self.setup.register(&self.provider);
    }

    /// Sends a request to the gateway.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Response {
        send(self.gateway.port, request)
    }

    /// A request to the first site with exactly these bytes as its target; the host is right, nothing else is set.
    pub fn request(&self, method: &str, target: &str) -> Request {
        let origin = self.one();
        let authority = origin.split_once("://").expect("an origin has a scheme").1;
        Request::new(method, target).header("Host", authority)
    }

    /// The same with the words of a script of the site itself, and the browser's cookies.
    pub fn own_request(&self, browser: &Browser, method: &str, target: &str) -> Request {
        let cookies = browser.cookie_header(&self.one());
        let request = self.request(method, target).header("Sec-Fetch-Site", "same-origin");
        if cookies.is_empty() { request } else { request.header("Cookie", cookies) }
    }

    /// Writes another configuration over the file.
    pub fn rewrite(&self, change: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(&self.config).expect("the configuration was written");
        std::fs::write(&self.config, change(text)).expect("a temporary directory is writable");
    }

    /// Sends SIGHUP and waits until the gateway has said something about it.
    pub fn reload(&self) {
        let before = self.gateway.process.output().len();
        self.gateway.process.signal("HUP");
        eventually("a reload should be logged", || {
            let output = self.gateway.process.output();
            output.get(before..).is_some_and(|news| news.to_lowercase().contains("reload")).then_some(())
        });
    }

    /// Fails if the gateway wrote one of these secrets anywhere.
    #[track_caller]
    pub fn logged_none_of(process: &Process, secrets: &[(String, String)]) {
        let output = process.output();
        for (name, value) in secrets {
            assert!(!contains(output.as_bytes(), value.as_bytes()), "the log shows the {name} {value}:\n{output}");
        }
    }
}
