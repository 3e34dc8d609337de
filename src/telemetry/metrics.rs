//! What the process counts: every metric by its name, what it means, and the only labels it may carry.
//!
//! Labels are bounded: what the configuration names (site, provider, route) and words of the contract; never a user, a
//! session or a path that a browser chose. The registry is our own, a few atomics behind [`Family`]: the usual crates
//! bring fourteen more into the tree, for summaries and idle series that nothing here has.

mod family;

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

pub use self::family::{Counter, Family, Gauge, Held, Histogram};

/// Completed and failed logins. `outcome` is one of [`LOGIN_OUTCOMES`].
pub static LOGINS: Family<Counter, 3> =
    Family::new("cloakroom_logins_total", "Logins by how they ended.", ["site", "provider", "outcome"]);

/// How logins end.
pub const LOGIN_OUTCOMES: [&str; 10] = [
    "success",
    "unfinished",
    "replayed",
    "refused",
    "silent_refused",
    "invalid",
    "unidentified",
    "misconfigured",
    "provider_unavailable",
    "store_unavailable",
];

/// Logouts. `kind` is one of [`LOGOUT_KINDS`].
pub static LOGOUTS: Family<Counter, 2> =
    Family::new("cloakroom_logouts_total", "Logouts by who asked for them.", ["site", "kind"]);

/// Who asks for a logout: the user here, the user everywhere, the provider behind the browser's back or through it, an
/// operator.
pub const LOGOUT_KINDS: [&str; 5] = ["browser", "everywhere", "back_channel", "front_channel", "admin"];

/// Sessions that this process ended. `reason` is a word of the 401's `reason`.
pub static SESSIONS_ENDED: Family<Counter, 2> =
    Family::new("cloakroom_sessions_ended_total", "Sessions ended by this process, by reason.", ["site", "reason"]);

/// Calls to a token endpoint for a new token. `outcome` is one of [`REFRESH_OUTCOMES`].
pub static REFRESHES: Family<Counter, 3> = Family::new(
    "cloakroom_refreshes_total",
    "Refresh calls to providers by how they ended.",
    ["site", "provider", "outcome"],
);

/// How refresh calls end; `unknown` is one whose answer was lost.
pub const REFRESH_OUTCOMES: [&str; 5] = ["rotated", "rejected", "unavailable", "unknown", "misconfigured"];

/// Calls to a token endpoint that were asked for. `call` is one of [`TOKEN_CALLS`], `outcome` one of [`BUDGET_OUTCOMES`].
pub static TOKEN_BUDGET: Family<Counter, 4> = Family::new(
    "cloakroom_token_budget_total",
    "Calls to token endpoints asked of the budget, by whether it had room.",
    ["site", "provider", "call", "outcome"],
);

/// What calls are for: a login, a token that is over, one that is good for a while yet.
pub const TOKEN_CALLS: [&str; 3] = ["login", "urgent", "early"];

/// Whether a call had its turn; `estimated` is a decision without the store.
pub const BUDGET_OUTCOMES: [&str; 3] = ["granted", "deferred", "estimated"];

/// Answers by which a provider asked this process for fewer calls.
pub static PROVIDER_PAUSES: Family<Counter, 2> = Family::new(
    "cloakroom_provider_pauses_total",
    "429 answers of token endpoints, each of which pauses all replicas.",
    ["site", "provider"],
);

/// How long those calls take.
pub static REFRESH_SECONDS: Family<Histogram, 2> =
    Family::new("cloakroom_refresh_duration_seconds", "Time of refresh calls to providers.", ["site", "provider"]);

/// Requests that an upstream answered. `route` is the configured path, `status` a class such as `2xx`.
pub static PROXIED: Family<Counter, 3> = Family::new(
    "cloakroom_proxied_requests_total",
    "Requests answered by an upstream, by status class.",
    ["site", "route", "status"],
);

/// The classes of [`PROXIED`]; a switch of protocols is `1xx`.
pub const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Requests that no upstream answered. `kind` is one of [`UPSTREAM_FAILURES`].
pub static UPSTREAM_FAILED: Family<Counter, 3> = Family::new(
    "cloakroom_upstream_failures_total",
    "Requests that an upstream did not answer.",
    ["site", "route", "kind"],
);

/// Why an upstream did not answer.
pub const UPSTREAM_FAILURES: [&str; 2] = ["unreachable", "timeout"];

/// Refusals and errors of the gateway itself. `reason` is a word of the contract's section 4.
pub static PROBLEMS: Family<Counter, 1> =
    Family::new("cloakroom_problems_total", "Answers that the gateway itself refused or failed with.", ["reason"]);

/// Operations that the store did not answer.
pub static STORE_ERRORS: Family<Counter, 0> =
    Family::new("cloakroom_store_errors_total", "Operations that the store failed to answer.", []);

/// Look-ups of a session in this process before the store is asked. `outcome` is `hit` or `miss`.
pub static NEAR_CACHE: Family<Counter, 1> =
    Family::new("cloakroom_near_cache_total", "Session look-ups by whether the near cache knew.", ["outcome"]);

/// Live sessions in the store by the key that seals their record; the same on every replica, so take the maximum, not
/// the sum. Counted at most once a minute.
pub static LIVE_SESSIONS: Family<Gauge, 2> = Family::new(
    "cloakroom_live_sessions",
    "Live sessions in the store by sealing key; counted at most once a minute.",
    ["site", "key"],
);

/// Streams that are open in this process. `kind` is one of [`STREAM_KINDS`].
pub static OPEN_STREAMS: Family<Gauge, 2> =
    Family::new("cloakroom_open_streams", "Streams that are open in this process, by kind.", ["site", "kind"]);

/// Streams: WebSockets, event streams of an upstream, and `/bff/events`.
pub const STREAM_KINDS: [&str; 3] = ["websocket", "event_stream", "events"];

/// Always 1; the label says what runs.
static BUILD_INFO: Family<Gauge, 1> = Family::new("cloakroom_build_info", "What runs.", ["version"]);

/// The near cache's counters, ready for the hot path: `NEAR.hit.add(1)`.
pub static NEAR: LazyLock<Near> =
    LazyLock::new(|| Near { hit: NEAR_CACHE.with(["hit"]), miss: NEAR_CACHE.with(["miss"]) });

/// See [`NEAR`].
pub struct Near {
    /// The near cache knew the session.
    pub hit: Arc<Counter>,
    /// The store had to be asked.
    pub miss: Arc<Counter>,
}

/// Lets the series of a site appear before the first event, so that a rate over them starts at zero.
pub fn expect_site<'a>(site: &str, reasons: &[&str], providers: impl Iterator<Item = &'a str>) {
    for provider in providers {
        for outcome in LOGIN_OUTCOMES {
            LOGINS.with([site, provider, outcome]);
        }
        for outcome in REFRESH_OUTCOMES {
            REFRESHES.with([site, provider, outcome]);
        }
        for call in TOKEN_CALLS {
            for outcome in BUDGET_OUTCOMES {
                TOKEN_BUDGET.with([site, provider, call, outcome]);
            }
        }
        PROVIDER_PAUSES.with([site, provider]);
        REFRESH_SECONDS.with([site, provider]);
    }
    for kind in LOGOUT_KINDS {
        LOGOUTS.with([site, kind]);
    }
    for reason in reasons {
        SESSIONS_ENDED.with([site, reason]);
    }
    for kind in STREAM_KINDS {
        OPEN_STREAMS.with([site, kind]);
    }
}

/// Counts one call to a token endpoint.
pub fn refreshed(site: &str, provider: &str, outcome: &str, took: Duration) {
    REFRESHES.with([site, provider, outcome]).add(1);
    REFRESH_SECONDS.with([site, provider]).observe(took);
}

/// Everything, in the Prometheus text format 0.0.4.
#[must_use]
pub fn render() -> String {
    BUILD_INFO.with([env!("CARGO_PKG_VERSION")]).set(1);
    STORE_ERRORS.with([]);
    LazyLock::force(&NEAR);
    let all: [&dyn family::Render; 15] = [
        &BUILD_INFO,
        &LIVE_SESSIONS,
        &LOGINS,
        &LOGOUTS,
        &NEAR_CACHE,
        &OPEN_STREAMS,
        &PROBLEMS,
        &PROVIDER_PAUSES,
        &PROXIED,
        &REFRESHES,
        &REFRESH_SECONDS,
        &SESSIONS_ENDED,
        &STORE_ERRORS,
        &TOKEN_BUDGET,
        &UPSTREAM_FAILED,
    ];
    let mut text = String::new();
    for family in all {
        let _ = write!(text, "{}", family::Text(family));
    }
    text
}
