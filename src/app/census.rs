//! Counts the live sessions of each key now and then, for the metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::generation::Generation;
use crate::auth::Background;
use crate::auth::sessions::Roster;
use crate::telemetry::metrics::LIVE_SESSIONS;

/// How often at most.
const EVERY: Duration = Duration::from_secs(60);

/// A count that takes long makes the pause longer: this many times what it took.
const PAUSE_PER_WORK: u32 = 20;

/// Counts again and again. While the store does not answer, the last count stands.
pub(super) async fn take(current: Arc<ArcSwap<Generation>>, background: Background) {
    loop {
        let started = Instant::now();
        let generation = current.load_full();
        let admin = &generation.config.admin;
        if admin.token.is_none() && !admin.metrics_public {
            // Nobody can read the metrics.
            tokio::time::sleep(EVERY).await;
            continue;
        }
        let sites = generation.auths.iter().map(|auth| Arc::clone(auth.sessions())).collect();
        match Roster::new(sites).keys(background.store()).await {
            Ok(report) => {
                LIVE_SESSIONS.replace(report.keys.into_iter().map(|count| ([count.site, count.key], count.sessions)));
            }
            Err(error) => tracing::debug!(%error, "sessions were not counted"),
        }
        tokio::time::sleep(EVERY.max(started.elapsed().saturating_mul(PAUSE_PER_WORK))).await;
    }
}
