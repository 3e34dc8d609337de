//! What `cloakroom doctor` finds out: whether store, providers and upstreams can be used as the configuration says.
//!
//! Everything is asked over the connections, with the certificates and by the words that the running gateway would use.
//! What is written to the store is gone after minutes; nothing else is changed anywhere.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesOrdered;
use url::Url;

use super::operator::store_itself;
use crate::clock::Clock;
use crate::config::{Config, Origin, ProviderKind, SiteConfig, SpaConfig, StoreConfig, StoreKind, UpstreamConfig};
use crate::provider::Provider;
use crate::provider::examine::Trouble;
use crate::proxy::route::Route;
use crate::proxy::upstream::{UpstreamClients, UpstreamTls};
use crate::session::store::file::FileStore;
use crate::session::store::{EndReason, Ended, Loaded, NewEntry, Store, StoreError, StoreKey};

/// How long the session that is written to the store could live; only the word of its end stays longer.
const SHORT: Duration = Duration::from_secs(10);

/// How often the store is asked whether it is there.
const ATTEMPTS: usize = 3;

/// One thing that was looked at.
pub struct Finding {
    /// `store`, `provider` or `upstream`.
    pub part: &'static str,
    /// Which one, such as `main of https://app.example: client`.
    pub name: String,
    /// What was found, or what is wrong and what to do about it.
    pub outcome: Result<String, Trouble>,
}

/// Looks at everything the configuration names, in its order. The store comes first and alone: it is waited for in fractions
/// of a second, and reading the certificates for a client of a provider holds up whatever runs beside it on this thread. All
/// others are looked at at once, so that what is slow is slow once.
pub async fn examine(config: &Config) -> Vec<Finding> {
    // The only error is that a provider is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut findings = vec![examine_store(&config.store).await];
    let mut questions: FuturesOrdered<LocalBoxFuture<'_, Vec<Finding>>> = FuturesOrdered::new();
    for site in &config.sites {
        questions.push_back(Box::pin(examine_providers(site)));
    }
    for used in upstreams(config) {
        questions.push_back(Box::pin(examine_upstream(used)));
    }
    findings.extend(questions.collect::<Vec<_>>().await.into_iter().flatten());
    findings
}

async fn examine_store(config: &StoreConfig) -> Finding {
    let (name, outcome) = match &config.kind {
        StoreKind::Memory => {
            ("memory:".to_owned(), Ok("in the gateway's own process; sessions end with it".to_owned()))
        }
        StoreKind::File(path) => (format!("file:{}", path.display()), examine_file(path)),
        StoreKind::Redis(redis) => {
            let began = Instant::now();
            let outcome = try_store(config).await.map(|()| format!("reads and writes, in {} ms", millis(began)));
            (redis.to_string(), outcome)
        }
    };
    Finding { part: "store", name, outcome }
}

/// A file is not opened as a store: a gateway may be running on it, and one that does not exist is its to create.
fn examine_file(path: &Path) -> Result<String, Trouble> {
    let remedy = "give the user that runs the gateway the right to read and write the file, and its folder";
    let trouble = |error: std::io::Error| Trouble { wrong: error.to_string(), remedy: remedy.to_owned() };
    if path.exists() {
        OpenOptions::new().read(true).write(true).open(path).map_err(trouble)?;
        if !FileStore::could_open(path).map_err(trouble)? {
            return Err(Trouble {
                wrong: "holds something else than sessions".to_owned(),
                remedy: "name another file in `url`, which is created if need be, or move this one away".to_owned(),
            });
        }
        return Ok("can be read and written".to_owned());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let trial = folder.join(format!(".cloakroom-doctor-{}", crate::secret::random_base64url()));
    OpenOptions::new().write(true).create_new(true).open(&trial).map_err(trouble)?;
    std::fs::remove_file(&trial).map_err(trouble)?;
    Ok("does not exist yet, and can be created".to_owned())
}

async fn try_store(config: &StoreConfig) -> Result<(), Trouble> {
    let store = store_itself(config).map_err(cannot_be_used)?;
    reach(&*store).await.map_err(|StoreError(wrong)| Trouble {
        remedy: "check `url`, its credentials, and that this machine reaches the server".to_owned(),
        wrong,
    })?;
    live_and_end(&*store).await
}

/// A few attempts: the first opens the connection as well, in the short time that a request would have for both.
async fn reach(store: &dyn Store) -> Result<(), StoreError> {
    for _ in 1..ATTEMPTS {
        if store.ping().await.is_ok() {
            return Ok(());
        }
    }
    store.ping().await
}

/// The life of a session in small: written, read, ended. A user without the rights, a replica that only reads and a
/// server without scripts show here.
async fn live_and_end(store: &dyn Store) -> Result<(), Trouble> {
    let key = StoreKey::of(&[b"doctor", crate::secret::random_base64url().as_bytes()]);
    let entry = NewEntry {
        sealed: Bytes::from_static(b"doctor"),
        expires_at: Clock::System.now().plus(SHORT),
        indexes: Vec::new(),
    };
    store.insert(&key, entry).await.map_err(cannot_be_used)?;
    let loaded = store.load_now(&key).await.map_err(cannot_be_used)?;
    if !matches!(loaded, Loaded::Live(_)) {
        return Err(cannot_be_used(StoreError("what was written a moment ago is not there".to_owned())));
    }
    store.end(&key, EndReason::Revoked).await.map(drop::<Ended>).map_err(cannot_be_used)
}

fn cannot_be_used(StoreError(wrong): StoreError) -> Trouble {
    let remedy = "it must take writes and run scripts: check the server's role, its ACL, memory and version";
    Trouble { wrong, remedy: remedy.to_owned() }
}

async fn examine_providers(site: &SiteConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    for config in &site.providers {
        let name = |about| format!("{} of {}: {about}", config.name, site.origin);
        match Provider::new(site, config, Clock::System) {
            Err(wrong) => findings.push(Finding {
                part: "provider",
                name: name("certificates"),
                outcome: Err(Trouble { wrong, remedy: "check the files that this entry names".to_owned() }),
            }),
            Ok(provider) => findings.extend(provider.examine().await.into_iter().map(|examined| Finding {
                part: "provider",
                name: name(examined.about),
                outcome: examined.outcome,
            })),
        }
    }
    findings
}

/// An upstream, and what leads to it.
struct Used<'a> {
    upstream: &'a UpstreamConfig,
    /// The first site that uses it.
    origin: &'a Origin,
    /// Such as `https://app.example/api`.
    places: Vec<String>,
    /// Where the same server says who somebody is, and takes a token for it.
    guarded: Option<&'a Url>,
}

/// Each upstream once.
fn upstreams(config: &Config) -> Vec<Used<'_>> {
    let mut found: Vec<Used<'_>> = Vec::new();
    for site in &config.sites {
        let dev_server = site.spa.as_ref().and_then(|spa| match spa {
            SpaConfig::DevServer(upstream) => Some(("/", upstream)),
            SpaConfig::Dir { .. } => None,
        });
        let routes = site.routes.iter().map(|route| (&*route.path, &route.upstream));
        for (path, upstream) in routes.chain(dev_server) {
            let place = format!("{}{path}", site.origin);
            match found.iter_mut().find(|known| known.upstream == upstream) {
                Some(known) => known.places.push(place),
                None => {
                    let guarded = guarded(site, upstream);
                    found.push(Used { upstream, origin: &site.origin, places: vec![place], guarded });
                }
            }
        }
    }
    found
}

/// The user endpoint of a provider that is the upstream itself, as an API with its own login mostly is.
fn guarded<'a>(site: &'a SiteConfig, upstream: &UpstreamConfig) -> Option<&'a Url> {
    let mut endpoints = site.providers.iter().filter_map(|provider| match &provider.kind {
        ProviderKind::Oidc(_) => None,
        ProviderKind::OAuth2(oauth2) => Some(&oauth2.userinfo_endpoint),
        ProviderKind::Relay(relay) => relay.user_url.as_ref(),
    });
    let is_there = |url: &&Url| upstream.socket.is_none() && url.origin() == upstream.url.origin();
    endpoints.find(is_there)
}

async fn examine_upstream(Used { upstream, origin, places, guarded }: Used<'_>) -> Vec<Finding> {
    let name = format!("{upstream} for {}", places.join(", "));
    let finding = |name, outcome| Finding { part: "upstream", name, outcome };
    let trouble = |wrong| Trouble {
        wrong,
        remedy:
            "check `upstream`, that it is running and reached from this machine, and `ca` if its certificate is private"
                .to_owned(),
    };
    let clients = match UpstreamTls::for_upstreams([upstream]) {
        Ok(tls) => UpstreamClients::new(&tls),
        Err(error) => return vec![finding(name, Err(trouble(error.to_string())))],
    };
    let (route, began) = (Route::dev_server(upstream), Instant::now());
    let answer = route.examine(&clients, origin).await;
    let told = |(status, protocol): (StatusCode, _)| {
        format!("answers {} over {protocol}, in {} ms", status.as_u16(), millis(began))
    };
    let outcome = answer.map(told);
    let mut findings = vec![finding(name, outcome.map_err(trouble))];
    if let Some(url) = guarded.filter(|_| findings[0].outcome.is_ok()) {
        let answer = route.examine_at(url.path(), &clients, origin).await.map_err(trouble);
        let verdict = answer.and_then(|(status, _)| judge_refusal(status));
        findings.push(finding(format!("{upstream}: refusal"), verdict));
    }
    findings
}

/// What a call without a token should come to, whatever it accepts: a script's `fetch` accepts everything, and a 401 is how
/// the gateway hears that a refresh has overtaken a call.
fn judge_refusal(status: StatusCode) -> Result<String, Trouble> {
    if !status.is_redirection() && !status.is_server_error() {
        return Ok(format!("a call without a token gets {}", status.as_u16()));
    }
    Err(Trouble {
        wrong: format!("a call without a token gets {} instead of 401 unless it asks for JSON", status.as_u16()),
        remedy:
            "let the API answer 401 to whatever is asked of it; in Laravel, `shouldRenderJsonWhen` in bootstrap/app.php"
                .to_owned(),
    })
}

fn millis(began: Instant) -> u128 {
    began.elapsed().as_millis()
}
