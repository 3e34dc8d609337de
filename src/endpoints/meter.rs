//! What came of the requests on each route: its counters are found once, and only added to on the hot path.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::HttpResponse;

use super::problem::Problem;
use crate::config::SiteConfig;
use crate::telemetry::metrics::{Counter, PROXIED, STATUS_CLASSES, UPSTREAM_FAILED, UPSTREAM_FAILURES};

/// The counters of one site's routes, by the route's path.
pub(super) struct Meters(HashMap<String, Meter>);

struct Meter {
    /// In the order of [`STATUS_CLASSES`].
    answered: [Arc<Counter>; STATUS_CLASSES.len()],
    /// In the order of [`UPSTREAM_FAILURES`].
    failed: [Arc<Counter>; UPSTREAM_FAILURES.len()],
}

impl Meters {
    pub(super) fn new(site: &SiteConfig) -> Self {
        let origin = site.origin.to_string();
        let meter = |path: &str| Meter {
            answered: STATUS_CLASSES.map(|class| PROXIED.with([&origin, path, class])),
            failed: UPSTREAM_FAILURES.map(|kind| UPSTREAM_FAILED.with([&origin, path, kind])),
        };
        Self(site.routes.iter().map(|route| (route.path.clone(), meter(&route.path))).collect())
    }

    /// Counts what an upstream answered, or that it did not; what the gateway refused is counted with the problems.
    pub(super) fn count(&self, route: &str, outcome: &Result<HttpResponse, Problem>) {
        let Some(meter) = self.0.get(route) else { return };
        match outcome {
            Ok(response) => {
                let class = usize::from(response.status().as_u16() / 100).clamp(1, STATUS_CLASSES.len());
                meter.answered[class - 1].add(1);
            }
            Err(Problem::UpstreamUnreachable) => meter.failed[0].add(1),
            Err(Problem::UpstreamTimeout) => meter.failed[1].add(1),
            Err(_) => {}
        }
    }
}
