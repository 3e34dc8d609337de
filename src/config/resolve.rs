//! From the files as written to their meaning, section by section, and what must hold between the sections.

mod operators;
mod provider;
mod route;
mod session;
mod site;
mod spa;
mod store;

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use self::site::Draft;
use super::address::identity;
use super::document::Node;
use super::fault::Wrong;
use super::secret_ref::Literal;
use super::section::{Reader, Section};
use super::value::{choice, duration, listen, network, text, workers};
use super::{AdminConfig, Config, LogConfig, LogFormat, LogLevel, Scheme, ServerConfig, ServerTls, units};

/// The configuration that the merged files mean; `None` when a fault was reported. When not every file is `readable`,
/// a site may stand in one of the others.
pub(super) fn config(reader: &Reader<'_>, root: &Node, readable: bool) -> Option<Config> {
    let root = Section::new(reader, root);
    let sites = root.tables("site");
    if readable && root.node("site").is_none_or(|node| node.list().is_some_and(<[Node]>::is_empty)) {
        root.fault("site", "there is no site", "add a [[site]] with its `origin`, a provider and its routes");
    }
    let mut drafts: Vec<Draft<'_>> = sites.into_iter().map(Draft::new).collect();
    let loopback = drafts.iter().all(Draft::is_loopback);

    let server = server(&root.table("server"));
    let admin = operators::admin(&root.table("admin"), Literal::only_if(loopback));
    let store = store::store(&root.table("store"), Literal::only_if(loopback));
    let log = log(&root.table("log"));
    for draft in &mut drafts {
        draft.keys = session::keys(draft, store.as_ref());
    }

    listeners_differ(&root, &server, &admin);
    operators::no_route_leads_there(&drafts, &admin);
    operators::token_is_no_key(&root, &admin, &drafts);
    site::hosts_differ(&drafts);
    session::keys_differ(&drafts);
    if root.table("server").has("tls") {
        served_encrypted(&drafts);
    }
    // Every site is read before the first that is wrong ends it.
    let sites: Vec<_> = drafts.into_iter().map(site::site).collect();
    let sites = sites.into_iter().collect::<Option<Vec<_>>>()?;
    Some(Config { server, admin, store: store?, log, sites, watched: Vec::new() })
}

fn server(section: &Section<'_>) -> ServerConfig {
    let config = ServerConfig {
        listen: section.or("listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)), listen),
        tls: server_tls(&section.table("tls")),
        trusted_proxies: section.list("trusted_proxies", network).unwrap_or_default(),
        shutdown_grace: section.or("shutdown_grace", seconds(25), duration(up_to(minutes(10)))),
        drain_delay: section.or("drain_delay", Duration::ZERO, duration(up_to(minutes(10)))),
        keep_alive: section.or("keep_alive", seconds(75), duration(up_to(minutes(10)))),
        workers: section.or("workers", None, workers),
    };
    if config.drain_delay > config.shutdown_grace {
        section.fault(
            "drain_delay",
            format!("is longer than `shutdown_grace`, {}", units::in_words(config.shutdown_grace)),
            "the process exits within `shutdown_grace`: shorten this one, or lengthen that",
        );
    }
    config
}

fn server_tls(section: &Section<'_>) -> Option<ServerTls> {
    if !section.is_written() {
        return None;
    }
    for key in ["cert", "key"] {
        if !section.has(key) {
            section.fault(key, "is missing", "[server] tls needs both `cert` and `key`, PEM files");
        }
    }
    let (cert, key) = identity(section, "cert", "key");
    Some(ServerTls { cert: cert?, key: key? })
}

fn log(section: &Section<'_>) -> LogConfig {
    let formats = [("json", LogFormat::Json), ("text", LogFormat::Text)];
    let levels =
        [("error", LogLevel::Error), ("warn", LogLevel::Warn), ("info", LogLevel::Info), ("debug", LogLevel::Debug)];
    LogConfig {
        format: section.or("format", LogFormat::Json, choice(&formats)),
        level: section.or("level", LogLevel::Info, choice(&levels)),
    }
}

fn listeners_differ(root: &Section<'_>, server: &ServerConfig, admin: &AdminConfig) {
    let port = server.listen.port();
    if port != 0 && admin.listen.is_some_and(|admin| admin.port() == port) {
        root.table("admin").fault(
            "listen",
            format!("is on the public listener's port, {port}"),
            "give [admin] a port of its own that the edge does not forward",
        );
    }
}

fn served_encrypted(sites: &[Draft<'_>]) {
    for Draft { section, origin, .. } in sites {
        if let Some(origin) = origin.as_ref().filter(|origin| origin.scheme() == Scheme::Http) {
            section.fault(
                "origin",
                format!("\"{origin}\" is plain http, and [server] tls answers nothing but TLS"),
                "write https://, or remove [server] tls",
            );
        }
    }
}

/// Reads one of a few words, and tells those of a later version from nonsense.
fn choice_with_later<T: Copy>(choices: &[(&str, T)], later: &[&str]) -> impl Fn(&Node) -> Result<T, Wrong> {
    move |node| {
        let choose = choice(choices);
        let word = text(node)?;
        if later.contains(&word) {
            let known: Vec<String> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
            return Err(Wrong::new(
                format!("{word:?} is not supported by this version"),
                format!("write {}", known.join(" or ")),
            ));
        }
        choose(node)
    }
}

const fn up_to(most: Duration) -> RangeInclusive<Duration> {
    Duration::ZERO..=most
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

const fn hours(count: u64) -> Duration {
    minutes(60 * count)
}
