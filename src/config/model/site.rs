//! What a site's sections mean: its session, its limits.

use std::num::NonZeroU32;
use std::time::Duration;

use super::super::Origin;
use super::{ProviderConfig, RouteConfig, SpaConfig};
use crate::secret::MasterKey;

/// `[[site]]`: one SPA origin with its own provider client, keys and cookie.
#[derive(Clone, Debug)]
pub struct SiteConfig {
    /// The origin as browsers see it; cookies, redirect URI and host checks come from here.
    pub origin: Origin,
    /// Where the gateway's own endpoints live, such as `/bff`: starts with `/`, no trailing `/`.
    pub base_path: String,
    /// Whether the header `X-BFF: 1` is demanded in addition to the same-origin proof.
    pub csrf: CsrfMode,
    /// What browsers are told about TLS; nothing on plain http and on loopback.
    pub hsts: Option<Hsts>,
    /// `[site.session]`
    pub session: SessionConfig,
    /// `[site.limits]`
    pub limits: LimitsConfig,
    /// `[[site.provider]]`: at least one, the first is the default; names are unique within the site.
    pub providers: Vec<ProviderConfig>,
    /// `[site.spa]`
    pub spa: Option<SpaConfig>,
    /// `[[site.route]]`: no two with the same path.
    pub routes: Vec<RouteConfig>,
}

impl SiteConfig {
    /// The redirect URI that providers share.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        format!("{}{}/callback", self.origin, self.base_path)
    }

    /// The redirect URI registered at the provider of that name: the shared one, or with `own_callback` its own.
    #[must_use]
    pub fn redirect_uri_of(&self, provider: &str) -> String {
        match self.own_callback(provider) {
            None => self.redirect_uri(),
            Some(end) => format!("{}/{end}", self.redirect_uri()),
        }
    }

    /// How the provider's own redirect URI ends, if it has one.
    #[must_use]
    pub fn own_callback(&self, provider: &str) -> Option<&str> {
        let provider = self.providers.iter().find(|known| known.name == provider)?;
        provider.kind.client()?.own_callback.then_some(&provider.name)
    }

    /// Whether an answer to the redirect URI of the provider of that name could be another's: it is shared with one of another
    /// issuer (RFC 9700 §4.4).
    #[must_use]
    pub fn shares_callback(&self, provider: &str) -> bool {
        let mut sharing = self.providers.iter().filter(|known| known.kind.client().is_some_and(|it| !it.own_callback));
        let own = sharing.clone().find(|known| known.name == provider);
        own.is_some_and(|own| sharing.any(|other| other.issuer != own.issuer))
    }

    /// The post-logout redirect URI registered at the provider.
    #[must_use]
    pub fn post_logout_redirect_uri(&self) -> String {
        format!("{}{}/logout/callback", self.origin, self.base_path)
    }

    /// The back-channel logout URI registered at the provider.
    #[must_use]
    pub fn backchannel_logout_uri(&self) -> String {
        format!("{}{}/backchannel-logout", self.origin, self.base_path)
    }

    /// The front-channel logout URI registered at the provider, where one may use it.
    #[must_use]
    pub fn frontchannel_logout_uri(&self) -> String {
        format!("{}{}/frontchannel-logout", self.origin, self.base_path)
    }
}

/// `hsts` and `hsts_include_subdomains`: how long browsers speak nothing but TLS with the site's host (RFC 6797).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hsts {
    /// How long they remember; more than nothing.
    pub max_age: Duration,
    /// Whether the hosts below the site's are meant as well.
    pub include_subdomains: bool,
}

/// `csrf`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsrfMode {
    /// Fetch metadata, else `Origin`, else the header.
    Origin,
    /// The header as well.
    Header,
}

/// `[site.limits]`: how often one may ask; `None` is as often as one likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Calls through routes, of one session.
    pub per_session: Option<Rate>,
    /// All requests, of one client address.
    pub per_address: Option<Rate>,
    /// Logins with credentials, of one client address; none where no provider takes them.
    pub logins: Option<Rate>,
}

/// So many requests in a period, and so many at once by those who have saved them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In which time; a second or longer.
    pub period: Duration,
    /// How many at once.
    pub burst: NonZeroU32,
}

/// `[site.session]`
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// How long a session lives without activity.
    pub idle: Duration,
    /// How long a session lives at most.
    pub absolute: Duration,
    /// The cookie's `SameSite`.
    pub same_site: SameSite,
    /// The site's keys, at least one: the first seals, all open.
    pub keys: Vec<MasterKey>,
    /// The claims that `/bff/session` shows.
    pub claims: Vec<String>,
}

/// `same_site`; `None` cannot be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// `SameSite=Lax`
    Lax,
    /// `SameSite=Strict`
    Strict,
}
