//! `[admin]`: the operators' listener and its token, and that neither is anybody else's.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use super::site::Draft;
use crate::config::fault::Wrong;
use crate::config::secret_ref::{Literal, fetch};
use crate::config::section::Section;
use crate::config::value::{flag, listen};
use crate::config::{AdminConfig, DEFAULT_ADMIN_LISTEN, is_loopback_host, master_key};
use crate::secret::AdminToken;

/// The shortest token: 16 random characters are beyond guessing over a network.
const LEAST: usize = 16;

const REMEDY: &str = "make one with `cloakroom keygen`";

/// The section.
pub(super) fn admin(section: &Section<'_>, literal: Literal) -> AdminConfig {
    AdminConfig {
        listen: Some(section.or("listen", DEFAULT_ADMIN_LISTEN, listen)),
        token: section.get("token", |node| token(&fetch(node, literal, section.reader)?)),
        metrics_public: section.or("metrics_public", false, flag),
    }
}

fn token(text: &str) -> Result<AdminToken, Wrong> {
    if text.len() < LEAST {
        return Err(Wrong::new(format!("is shorter than {LEAST} characters"), REMEDY));
    }
    // RFC 6750 §2.1: what an Authorization header can carry.
    let b64token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !text.bytes().all(b64token) {
        return Err(Wrong::new("holds characters that a bearer token cannot have", REMEDY));
    }
    if text == master_key::SAMPLE {
        return Err(Wrong::new("is the sample from the documentation", REMEDY));
    }
    if text.bytes().all(|byte| Some(byte) == text.bytes().next()) {
        return Err(Wrong::new("repeats one character", REMEDY));
    }
    Ok(AdminToken::new(text))
}

/// A token that is a site's key as well makes one leak two.
pub(super) fn token_is_no_key(root: &Section<'_>, admin: &AdminConfig, sites: &[Draft<'_>]) {
    let Some(key) = admin.token.as_ref().and_then(|token| master_key::parse(token.expose()).ok()) else { return };
    if sites.iter().flat_map(|site| site.keys.iter().flatten()).any(|other| *other == key) {
        root.table("admin").fault("token", "is a site's key as well", "make another one with `cloakroom keygen`");
    }
}

/// A route to the listener would hand what it says, and the way to its token, to every browser.
pub(super) fn no_route_leads_there(sites: &[Draft<'_>], admin: &AdminConfig) {
    let Some(listen) = admin.listen else { return };
    for Draft { section, .. } in sites {
        let (routes, spa) = (section.tables("route"), section.table("spa"));
        let upstreams = routes.iter().map(|route| (route, "upstream")).chain([(&spa, "dev_server")]);
        for (section, key) in upstreams {
            let url = section.written_text(key).and_then(|text| Url::parse(text).ok());
            if url.is_some_and(|url| leads_to(&url, listen)) {
                section.fault(
                    key,
                    format!("leads to this gateway's own [admin] listener, {listen}"),
                    "name the address of the API, or give [admin] another port",
                );
            }
        }
    }
}

fn leads_to(url: &Url, listen: SocketAddr) -> bool {
    let local = |address: IpAddr| address.is_loopback() || address.is_unspecified();
    let listens_at = |address: IpAddr| {
        address == listen.ip().to_canonical()
            || (local(address) && listen.ip().is_unspecified())
            || (address.is_unspecified() && local(listen.ip()))
    };
    let host = match url.host() {
        Some(Host::Domain(name)) => is_loopback_host(name) && local(listen.ip()),
        Some(Host::Ipv4(address)) => listens_at(address.into()),
        Some(Host::Ipv6(address)) => listens_at(IpAddr::from(address).to_canonical()),
        None => false,
    };
    host && url.port_or_known_default() == Some(listen.port())
}
