//! The gateway's configuration for `dev`: written as an operator would write it, and read as it would be from a file.

use std::path::Path;

use url::Url;

use super::DevError;
use super::provider::{Client, Profile};
use crate::config::{self, Config, Origin, SiteConfig};
use crate::secret::{ClientSecret, random_base64url};

/// The names of the two sites.
const SITES: [&str; 2] = ["one", "two"];

/// What the configuration depends on.
#[derive(Debug)]
pub(super) struct Arrangement<'a> {
    pub(super) port: u16,
    pub(super) profile: &'a Profile,
    /// Where logins happen: the provider, without a slash at the end.
    pub(super) address: &'a str,
    pub(super) api: &'a Url,
    /// The key of `[site.spa]` that names the page, and its value.
    pub(super) spa: (&'static str, String),
}

impl Arrangement<'_> {
    /// The configuration, and the clients that the provider must know for it. Keys and secrets are random and new.
    pub(super) fn make(&self) -> Result<(Config, Vec<Client>), DevError> {
        for origin in SITES.map(|name| site_origin(name, self.port)) {
            Origin::parse(&origin).map_err(|wrong| DevError(format!("{origin} {wrong}: pass another --port")))?;
        }
        let secrets = SITES.map(|_| random_base64url());
        let text = self.text(&secrets);
        let mut config = config::read_text(Path::new("dev"), &text, &|_| None)
            .map_err(|faults| DevError(format!("the gateway cannot be set up: {faults}")))?;
        config.admin.listen = None;
        let known = |(site, (name, secret)): (&SiteConfig, (&str, String))| {
            site.providers[0].kind.client().map(|client| Client {
                id: client.client_id.clone(),
                name: format!("Site {}", title(name)),
                secret: Some(ClientSecret::new(secret)),
                redirect_uris: vec![site.redirect_uri()],
                post_logout_redirect_uris: vec![site.post_logout_redirect_uri()],
                backchannel_logout_uri: Some(site.backchannel_logout_uri()),
            })
        };
        let clients = config.sites.iter().zip(SITES.into_iter().zip(secrets)).filter_map(known).collect();
        Ok((config, clients))
    }

    fn text(&self, secrets: &[String; 2]) -> String {
        let mut text = format!(
            "[server]\nlisten = \"127.0.0.1:{}\"\nworkers = 2\nshutdown_grace = \"2s\"\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n",
            self.port
        );
        for (name, secret) in SITES.into_iter().zip(secrets) {
            text += &self.site(name, secret);
        }
        text
    }

    fn site(&self, name: &str, secret: &str) -> String {
        let registration = match self.profile.own_login {
            Some(_) => String::new(),
            None => format!("client_id = \"site-{name}\"\nclient_secret = \"{secret}\""),
        };
        let (key, page) = &self.spa;
        format!(
            "[[site]]\norigin = \"{}\"\n[[site.provider]]\n{}\n{registration}\n[site.spa]\n{key} = {}\n\
             [[site.route]]\npath = \"/api\"\nupstream = \"{}\"\nwebsocket = true\ntimeout = \"60s\"\n",
            site_origin(name, self.port),
            self.profile.entry_at(self.address),
            quoted(page),
            self.api
        )
    }
}

/// The origin of one of the [`SITES`]; browsers take `*.localhost` to this machine by themselves (RFC 6761 §6.3).
fn site_origin(name: &str, port: u16) -> String {
    format!("http://{name}.localhost:{port}")
}

fn title(name: &str) -> String {
    name[..1].to_uppercase() + &name[1..]
}

/// A text as TOML writes it: as JSON does, but for the one character that JSON leaves as it is.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AppliedProfile, ProviderKind, SpaConfig};

    fn make(profile: &Profile, spa: (&'static str, String)) -> (Config, Vec<Client>) {
        let (address, api) = ("http://127.0.0.1:8081", Url::parse("http://127.0.0.1:8082").unwrap());
        Arrangement { port: 8080, profile, address, api: &api, spa }.make().unwrap()
    }

    fn demo() -> (&'static str, String) {
        ("dev_server", "http://127.0.0.1:8083".to_owned())
    }

    #[test]
    fn both_sites_have_their_own_key_client_and_secret() {
        let (config, clients) = make(&Profile::default(), demo());
        let [one, two] = config.sites.as_slice() else { panic!("two sites") };
        assert_eq!(one.origin.to_string(), "http://one.localhost:8080");
        assert_eq!((clients[0].id.as_str(), clients[0].name.as_str()), ("site-one", "Site One"));
        assert_eq!(clients[0].redirect_uris, ["http://one.localhost:8080/bff/callback"]);
        assert_eq!(clients[1].post_logout_redirect_uris, ["http://two.localhost:8080/bff/logout/callback"]);
        assert!(one.session.keys[0] != two.session.keys[0]);
        assert!(clients[0].secret != clients[1].secret);
        assert!(config.server.listen.ip().is_loopback() && config.admin.listen.is_none());
    }

    #[test]
    fn a_folder_may_have_any_name() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("a \"quoted\" \\ folder\u{7f}\u{1}");
        std::fs::create_dir(&odd).unwrap();
        let (config, _) = make(&Profile::default(), ("dir", odd.to_str().unwrap().to_owned()));
        let Some(SpaConfig::Dir { dir, .. }) = &config.sites[0].spa else { panic!("a folder") };
        assert_eq!(*dir, odd);
    }

    /// The preset of its name does the work; Passport's two releases share one.
    #[test]
    fn every_profile_is_set_up_by_its_preset() {
        for name in Profile::names() {
            let (config, clients) = make(Profile::named(name).unwrap(), demo());
            let provider = &config.sites[0].providers[0];
            let applied = provider.profile.as_ref().unwrap_or_else(|| panic!("{name} has no preset"));
            let preset = if name.starts_with("passport") { "passport" } else { name };
            assert_eq!(applied.name, preset);
            assert_eq!(clients.is_empty(), matches!(provider.kind, ProviderKind::Relay(_)), "{name}");
            addresses_differ_by_their_host_alone(name, applied);
        }
    }

    /// Where the demo stands in for a preset's own address, the path is what the preset says.
    fn addresses_differ_by_their_host_alone(name: &str, applied: &AppliedProfile) {
        for (key, value, own) in &applied.keys {
            let Some(preset) = value.trim_matches('"').strip_prefix("https://").filter(|_| *own) else { continue };
            let path = preset.split_once('/').map_or("", |(_, path)| path);
            let here = format!("{key} = \"{{address}}/{path}");
            let entry = Profile::named(name).unwrap().entry;
            assert!(entry.contains(here.trim_end_matches('/')), "{name}: {key} is {value}");
        }
    }
}
