//! The configuration of a test's gateway, written as an operator would write it.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{OidcProvider, free_port};

/// A gateway to be: tests change what they are about and leave the rest.
pub struct Setup {
    pub port: u16,
    pub admin_port: u16,
    /// `[store]` lines.
    pub store: Vec<String>,
    /// `[admin]` lines beyond the address.
    pub admin: Vec<String>,
    /// `[log]` lines.
    pub log: Vec<String>,
    /// `[server]` lines beyond the address.
    pub server: Vec<String>,
    pub sites: Vec<Site>,
    /// The lifetime of access tokens in seconds.
    pub access_ttl: u64,
    /// Access tokens are JWTs instead of opaque.
    pub jwt: bool,
    /// The provider tells the sites' gateways of logouts behind the browser's back, by session.
    pub backchannel: bool,
}

/// One site of it.
pub struct Site {
    pub name: String,
    pub client_id: String,
    pub client_secret: String,
    /// `client_secret_basic`, `client_secret_post`, `none`, or `private_key_jwt`, whose key is the test's own affair.
    pub client_auth: String,
    /// What the provider knows of this client beyond the usual; its `test` adds to that of the setup.
    pub registration: Value,
    pub key: String,
    /// `[[site]]` lines.
    pub site: Vec<String>,
    /// `[site.session]` lines beyond the keys.
    pub session: Vec<String>,
    /// `[[site.provider]]` lines beyond the client.
    pub provider: Vec<String>,
    /// `[[site.provider]]` tables instead of the usual one, each with all its lines; `ISSUER` stands for the usual issuer.
    pub providers: Vec<Vec<String>>,
    /// `[[site.route]]` tables, each with its lines; `UPSTREAM` stands for the recording upstream's URL.
    pub routes: Vec<Vec<String>>,
    /// `[site.spa]` lines.
    pub spa: Vec<String>,
    /// The origin, when it is not `http://NAME.localhost:PORT`.
    pub origin: Option<String>,
    /// The issuer, when it is not the provider of the test.
    pub issuer: Option<String>,
}

impl Setup {
    /// One site, `http://one.localhost`, with sessions in memory.
    pub fn one_site() -> Self {
        Self {
            port: free_port(),
            admin_port: free_port(),
            store: Vec::new(),
            admin: Vec::new(),
            log: vec!["level = \"debug\"".into()],
            server: vec!["workers = 2".into(), "drain_delay = \"0s\"".into(), "shutdown_grace = \"5s\"".into()],
            sites: vec![Site::named("one")],
            access_ttl: 3600,
            jwt: false,
            backchannel: false,
        }
    }

    /// Opens the admin listener with this token.
    pub fn admin_token(mut self, token: &str) -> Self {
        self.admin.push(format!("token = \"{token}\""));
        self
    }

    /// Two sites, `http://one.localhost` and `http://two.localhost`.
    pub fn two_sites() -> Self {
        let mut setup = Self::one_site();
        setup.sites.push(Site::named("two"));
        setup
    }

    /// One site behind an edge that ends TLS, `https://app-one.example`: cookies as they are in production.
    pub fn behind_tls() -> Self {
        let mut setup = Self::one_site();
        setup.sites[0].origin = Some("https://app-one.example".into());
        setup
    }

    /// The origin of the site with this index.
    pub fn origin(&self, index: usize) -> String {
        if let Some(origin) = &self.sites[index].origin {
            return origin.clone();
        }
        format!("http://{}.localhost:{}", self.sites[index].name, self.port)
    }

    /// Registers every site's client at the provider.
    pub fn register(&self, provider: &OidcProvider) {
        for (index, site) in self.sites.iter().enumerate() {
            let origin = self.origin(index);
            let mut client = json!({
                "client_id": site.client_id,
                "redirect_uris": [format!("{origin}/bff/callback")],
                "post_logout_redirect_uris": [format!("{origin}/bff/logout/callback")],
                "token_endpoint_auth_method": site.client_auth,
                "test": { "access_ttl": self.access_ttl, "jwt": self.jwt },
            });
            if self.backchannel {
                client["backchannel_logout_uri"] = json!(format!("{origin}/bff/backchannel-logout"));
                client["backchannel_logout_session_required"] = json!(true);
            }
            if site.has_secret() {
                client["client_secret"] = json!(site.client_secret);
            }
            for (name, value) in site.registration.as_object().into_iter().flatten() {
                match (name.as_str(), value) {
                    ("test", Value::Object(test)) => test.iter().for_each(|(k, v)| client["test"][k] = v.clone()),
                    _ => client[name] = value.clone(),
                }
            }
            provider.register(&client);
        }
    }

    /// The configuration file's text.
    pub fn toml(&self, issuer: &str, upstream: &str) -> String {
        let mut text = format!("[server]\nlisten = \"127.0.0.1:{}\"\n{}\n", self.port, self.server.join("\n"));
        let admin = format!("[admin]\nlisten = \"127.0.0.1:{}\"\n{}", self.admin_port, self.admin.join("\n"));
        let tables = [admin, format!("[store]\n{}", self.store.join("\n")), format!("[log]\n{}", self.log.join("\n"))];
        text.push_str(&tables.join("\n"));
        for (index, site) in self.sites.iter().enumerate() {
            text.push_str(&site.toml(&self.origin(index), issuer, upstream));
        }
        text
    }

    /// Writes the file into `dir`.
    pub fn write(&self, dir: &Path, issuer: &str, upstream: &str) -> PathBuf {
        let file = dir.join("gateway.toml");
        let mut text = self.toml(issuer, upstream);
        for (index, site) in self.sites.iter().enumerate().filter(|(_, site)| site.origin.is_some()) {
            for (kind, value) in [("key", &site.key), ("secret", &site.client_secret)] {
                let path = dir.join(format!("{index}.{kind}"));
                std::fs::write(&path, value).expect("a temporary directory is writable");
                text = text.replace(&format!("\"{value}\""), &format!("{{ file = \"{}\" }}", path.display()));
            }
        }
        std::fs::write(&file, text).expect("a temporary directory is writable");
        file
    }

    /// Every secret that this configuration holds, by name and value.
    pub fn secrets(&self) -> Vec<(String, String)> {
        let of =
            |site: &Site| [("client secret".into(), site.client_secret.clone()), ("site key".into(), site.key.clone())];
        self.sites.iter().flat_map(of).collect()
    }
}

impl Site {
    /// The lines of a `[[site.provider]]` table that is this site's client under a name.
    pub fn provider_named(&self, name: &str) -> Vec<String> {
        vec![
            format!("name = \"{name}\""),
            "kind = \"oidc\"".into(),
            "issuer = \"ISSUER\"".into(),
            format!("client_id = \"{}\"", self.client_id),
            format!("client_secret = \"{}\"", self.client_secret),
        ]
    }

    /// A site with the route `/api` and a client of its own.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            client_id: format!("{name}-{}", &fresh_key()[..12]),
            client_secret: fresh_key(),
            client_auth: "client_secret_basic".into(),
            registration: Value::Null,
            key: fresh_key(),
            site: Vec::new(),
            session: Vec::new(),
            provider: Vec::new(),
            providers: Vec::new(),
            routes: vec![vec!["path = \"/api\"".into()]],
            spa: Vec::new(),
            origin: None,
            issuer: None,
        }
    }

    fn has_secret(&self) -> bool {
        self.client_auth.starts_with("client_secret")
    }

    fn usual_provider(&self, issuer: &str) -> String {
        let mut text = String::new();
        let _ = write!(text, "[[site.provider]]\nname = \"main\"\nkind = \"oidc\"\nissuer = \"{issuer}\"\n");
        let _ = write!(text, "client_id = \"{}\"\nclient_auth = \"{}\"\n", self.client_id, self.client_auth);
        if self.has_secret() {
            let _ = writeln!(text, "client_secret = \"{}\"", self.client_secret);
        }
        let _ = write!(
            text,
            "scopes = [\"openid\", \"profile\", \"email\", \"offline_access\"]\n{}\n",
            self.provider.join("\n")
        );
        text
    }

    fn toml(&self, origin: &str, issuer: &str, upstream: &str) -> String {
        let issuer = self.issuer.as_deref().unwrap_or(issuer);
        let mut text = format!("\n[[site]]\norigin = \"{origin}\"\n{}\n", self.site.join("\n"));
        let keys = if self.session.iter().any(|line| line.starts_with("keys")) {
            String::new()
        } else {
            format!("keys = [\"{}\"]\n", self.key)
        };
        let _ = write!(text, "[site.session]\n{keys}{}\n", self.session.join("\n"));
        if self.providers.is_empty() {
            text.push_str(&self.usual_provider(issuer));
        }
        for provider in &self.providers {
            let _ = write!(text, "[[site.provider]]\n{}\n", provider.join("\n").replace("ISSUER", issuer));
        }
        if !self.spa.is_empty() {
            let _ = write!(text, "[site.spa]\n{}\n", self.spa.join("\n"));
        }
        for route in &self.routes {
            let mut lines = route.join("\n");
            if !route.iter().any(|line| line.starts_with("upstream")) {
                lines.push_str("\nupstream = \"UPSTREAM\"");
            }
            let _ = write!(text, "[[site.route]]\n{}\n", lines.replace("UPSTREAM", upstream));
        }
        text
    }
}

/// 256 random bits, as `cloakroom keygen` prints them.
pub fn fresh_key() -> String {
    let mut bytes = [0; 32];
    let mut source = std::fs::File::open("/dev/urandom").expect("every Unix has /dev/urandom");
    source.read_exact(&mut bytes).expect("/dev/urandom never ends");
    URL_SAFE_NO_PAD.encode(bytes)
}
