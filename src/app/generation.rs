//! What one configuration made: the part of a running gateway that a reload replaces.

use std::sync::Arc;

use super::BuildError;
use crate::auth::{Auth, Background, Streams};
use crate::clock::Clock;
use crate::config::{Config, SiteConfig};
use crate::endpoints::{Limits, Worker};
use crate::proxy::upstream::UpstreamTls;
use crate::session::store::Store;

/// A configuration and the use cases of its sites.
pub(super) struct Generation {
    pub(super) config: Config,
    pub(super) auths: Vec<Arc<Auth>>,
    limits: Vec<Arc<Limits>>,
    upstream_tls: UpstreamTls,
}

impl Generation {
    pub(super) fn new(
        config: Config,
        clock: &Clock,
        background: &Background,
        streams: &Streams,
        before: Option<&Self>,
    ) -> Result<Self, BuildError> {
        // Read once for every worker, so that none can fail over a file that is gone by the time of its next request.
        let upstream_tls = UpstreamTls::of(&config).map_err(|error| BuildError(error.to_string()))?;
        let auths = config.sites.iter().map(|site| {
            let same = |auth: &&Arc<Auth>| auth.site().origin == site.origin;
            let predecessor = before.and_then(|before| before.auths.iter().find(same));
            let (site, predecessor) = (Arc::new(site.clone()), predecessor.map(|auth| &**auth));
            Auth::new(site, clock.clone(), background.clone(), streams.clone(), predecessor)
        });
        let auths = auths.collect::<Result<Vec<_>, _>>().map_err(BuildError)?;
        let limits = config.sites.iter().map(|site| before.and_then(|before| before.limits_of(site)));
        let limits =
            limits.zip(&config.sites).map(|(kept, site)| kept.unwrap_or_else(|| Limits::new(&site.limits).into()));
        Ok(Self { limits: limits.collect(), config, auths, upstream_tls })
    }

    /// The budgets that go on after a reload: those of limits that have not changed.
    fn limits_of(&self, site: &SiteConfig) -> Option<Arc<Limits>> {
        let same = |known: &SiteConfig| known.origin == site.origin && known.limits == site.limits;
        self.config.sites.iter().position(same).map(|index| Arc::clone(&self.limits[index]))
    }

    /// Whether a reload may go from this generation to `config`.
    pub(super) fn accepts(&self, config: &Config) -> Result<(), BuildError> {
        let fixed = |what, same: bool| if same { Ok(()) } else { Err(BuildError(format!("{what} needs a restart"))) };
        let (now, next) = (&self.config, config);
        fixed("a change of server.listen", now.server.listen == next.server.listen)?;
        fixed("adding or removing server.tls", now.server.tls.is_some() == next.server.tls.is_some())?;
        fixed("a change of server.workers", now.server.workers == next.server.workers)?;
        fixed("a change of server.shutdown_grace", now.server.shutdown_grace == next.server.shutdown_grace)?;
        fixed("a change of server.drain_delay", now.server.drain_delay == next.server.drain_delay)?;
        fixed("a change of server.keep_alive", now.server.keep_alive == next.server.keep_alive)?;
        fixed("a change of admin.listen", now.admin.listen == next.admin.listen)?;
        fixed("a change of [log]", now.log == next.log)
    }

    /// Lets the sites of `next` go on with what those of this generation watch over.
    pub(super) fn succeeded_by(&self, next: &Self) {
        for auth in &self.auths {
            if let Some(successor) = next.auths.iter().find(|next| next.site().origin == auth.site().origin) {
                auth.succeeded_by(successor);
            }
        }
    }

    /// One worker thread's view of it.
    pub(super) fn worker(&self, store: Arc<dyn Store>) -> Worker {
        let sites: Vec<_> = self.auths.iter().cloned().zip(self.limits.iter().cloned()).collect();
        Worker::new(&self.config, &sites, &self.upstream_tls, store)
    }
}
