//! The gateway beside nginx and HAProxy, which do no session work, and beside Apache with mod_auth_openidc, which does the
//! same: requests per second, processor time, and the slowest hundredth.
//!
//! `cargo bench --bench compare`; it says what has to be installed for it. Every proxy has the first core for itself, the
//! upstream (nginx with files), Redis and the load share the second. They take turns, nginx at both ends of every round;
//! `benches/README.md` says how to read the tables.

#![expect(clippy::print_stdout, reason = "the results of a measurement go to stdout")]
#![expect(clippy::panic, reason = "a measurement that cannot go on says why")]
#![expect(dead_code, reason = "the measurement of the store has more uses for what the two share")]

#[path = "../store/client.rs"]
mod client;
#[path = "../store/gateway.rs"]
mod gateway;
mod load;
mod proxies;
#[path = "../store/stage.rs"]
mod stage;

use std::time::Duration;

use client::{Caller, Session, log_in};
use gateway::{BUILT, Gateway, Redis};
use load::{Run, load};
use proxies::{MEASURED, Process, REST, SEEN};
use stage::Stage;

/// The bodies: name, bytes, connections.
const BODIES: [(&str, usize, u32); 3] = [("1k", 1024, 64), ("64k", 64 * 1024, 32), ("1m", 1024 * 1024, 8)];

/// What is added to the path: which route of the gateway is taken, if it is the gateway.
const PREFIXES: [&str; 4] = ["", "/near", "/read", "/open"];

/// How long the access tokens live, in seconds: longer than any measurement.
const LIFE: u64 = 36_000;

/// What each gateway is measured at: what it does, at which prefix, and whether it attaches a token.
const GATEWAY: [(&str, &str, bool); 3] =
    [("near-cache hit", "/near", true), ("Redis read each time", "/read", true), ("no session", "/open", false)];

/// Who is measured.
struct Candidate<'a> {
    name: String,
    port: u16,
    prefix: &'static str,
    /// Sent with every request.
    session: Session,
    /// Whether it turns the session into a token for the upstream.
    bearer: bool,
    /// The processor time used so far.
    cpu: Box<dyn Fn() -> Duration + 'a>,
}

impl<'a> Candidate<'a> {
    /// One that just passes requests on.
    fn of(name: &str, proxy: &'a Process, session: &Session) -> Self {
        Self {
            name: name.to_owned(),
            port: proxy.port,
            prefix: "",
            session: session.clone(),
            bearer: false,
            cpu: Box::new(|| proxy.cpu()),
        }
    }
}

/// What is asked for on the command line.
struct Options {
    rounds: usize,
    seconds: u32,
    /// The builds of the gateway to set side by side.
    gateways: Vec<String>,
    /// The one body to measure with; all of them if it is `None`.
    body: Option<String>,
}

impl Options {
    fn read() -> Self {
        let mut options = Self { rounds: 5, seconds: 5, gateways: Vec::new(), body: None };
        let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let value = words.next().unwrap_or_else(|| panic!("{word} takes a value"));
            let number = || value.parse().unwrap_or_else(|_| panic!("{word} takes a number, not {value}"));
            match word.as_str() {
                "--rounds" => options.rounds = number() as usize,
                "--seconds" => options.seconds = number(),
                "--gateway" => options.gateways.push(value),
                "--body" => options.body = Some(value),
                _ => panic!("unknown option {word}; see benches/README.md"),
            }
        }
        if let Some(body) = options.body.as_ref().filter(|body| BODIES.iter().all(|known| known.0 != **body)) {
            panic!("--body is one of 1k, 64k and 1m, not {body}");
        }
        if options.gateways.is_empty() {
            options.gateways.push(BUILT.to_owned());
        }
        options
    }
}

#[tokio::main]
async fn main() {
    let options = Options::read();
    if let Some(missing) = proxies::missing() {
        panic!("{missing}");
    }
    let dir = tempfile::TempDir::new().expect("a directory");
    let upstream = proxies::upstream(dir.path(), &PREFIXES);
    let stage = Stage::start().await;
    let redis = Redis::start_as(&["taskset", "-c", REST, "redis-server"]);
    let provider = proxies::provider(dir.path(), &stage);
    let nginx = proxies::nginx(dir.path(), upstream.port);
    let haproxy = proxies::haproxy(dir.path(), upstream.port);
    let apache = proxies::apache(dir.path(), upstream.port, &redis, &stage, provider.port);
    let origin = format!("http://127.0.0.1:{}", upstream.port);
    let mut gateways = Vec::new();
    for binary in &options.gateways {
        let command = ["taskset", "-c", MEASURED, binary];
        let gateway = Gateway::start_as(&command, "workers = 1", &redis.url(), &origin, &stage);
        let session = log_in(gateway.port(), LIFE).await;
        gateways.push((gateway, session));
    }
    let apache_session = log_in(apache.port, LIFE).await;
    let any = &gateways[0].1;
    let mut candidates =
        vec![Candidate::of("nginx `proxy_pass`", &nginx, any), Candidate::of("HAProxy", &haproxy, any)];
    for (build, (gateway, session)) in gateways.iter().enumerate() {
        candidates.extend(GATEWAY.map(|(does, prefix, bearer)| Candidate {
            name: if build == 0 { format!("gateway, {does}") } else { format!("gateway {}, {does}", build + 1) },
            port: gateway.port(),
            prefix,
            session: session.clone(),
            bearer,
            cpu: Box::new(|| gateway.cpu()),
        }));
    }
    let apache = Candidate::of("Apache, mod_auth_openidc", &apache, &apache_session);
    candidates.push(Candidate { bearer: true, ..apache });
    for candidate in &candidates {
        check(candidate).await;
    }
    let bodies = BODIES.iter().filter(|body| options.body.as_ref().is_none_or(|only| only == body.0));
    let measured: Vec<_> = bodies.map(|body| (body.0, turns(&candidates, body, &options))).collect();
    println!(
        "| body | proxy | requests/s | beside nginx | CPU per request | beside nginx (min / median / max) | p99 beside nginx |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (body, turns) in &measured {
        for (place, candidate) in candidates.iter().enumerate() {
            println!("| {body} | {} | {} |", candidate.name, row(turns, place));
        }
    }
    println!("\n| body | gateway | CPU of Apache, mod_auth_openidc, beside it (min / median / max) |\n|---|---|---|");
    for (body, turns) in &measured {
        let apache = candidates.len() - 1;
        let sessions = candidates.iter().enumerate().take(apache).filter(|(_, candidate)| candidate.bearer);
        for (place, candidate) in sessions {
            let times = sorted(turns.iter().map(|turn| turn[apache].cpu / turn[place].cpu));
            println!("| {body} | {} | {} |", candidate.name, spread(&times));
        }
    }
}

/// Makes sure that the upstream gets the token of the session, and nothing comes through without one.
async fn check(candidate: &Candidate<'_>) {
    let (mut caller, target) = (Caller::new(candidate.port), format!("{}/{SEEN}", candidate.prefix));
    let seen = caller.get(&target, Some(&candidate.session)).await;
    let name = &candidate.name;
    assert_eq!(seen.status, 200, "{name} refuses its session");
    assert_eq!(seen.body.starts_with("Bearer access-"), candidate.bearer, "{name} sends on: {:?}", seen.body);
    let alone = caller.get(&target, None).await;
    assert_eq!(alone.status, if candidate.bearer { 401 } else { 200 }, "{name} answers so without a session");
}

/// All rounds for one body.
fn turns(
    candidates: &[Candidate<'_>],
    (body, _, connections): &(&str, usize, u32),
    options: &Options,
) -> Vec<Vec<Run>> {
    for candidate in candidates {
        load(candidate, body, *connections, 1);
    }
    let run = |candidate: &Candidate<'_>| load(candidate, body, *connections, options.seconds);
    (0..options.rounds).map(|_| candidates.iter().chain(&candidates[..1]).map(run).collect()).collect()
}

/// One candidate's runs beside nginx's of the same rounds.
fn row(turns: &[Vec<Run>], place: usize) -> String {
    let own = |what: fn(&Run) -> f64| sorted(turns.iter().map(|turn| what(&turn[place])));
    let beside = |what: fn(&Run) -> f64| {
        sorted(turns.iter().map(|turn| {
            let (first, last) = (what(&turn[0]), what(&turn[turn.len() - 1]));
            what(&turn[place]) / f64::midpoint(first, last)
        }))
    };
    let middle = turns.len() / 2;
    format!(
        "{:.0} | {:.2} | {:.0} µs | {} | {:.2}",
        own(|run| run.per_second)[middle],
        beside(|run| run.per_second)[middle],
        own(|run| run.cpu)[middle],
        spread(&beside(|run| run.cpu)),
        beside(|run| run.slowest)[middle],
    )
}

/// The least, the middle one, and the most of sorted numbers.
fn spread(numbers: &[f64]) -> String {
    let last = numbers.len() - 1;
    format!("{:.2} / {:.2} / {:.2}", numbers[0], numbers[numbers.len() / 2], numbers[last])
}

fn sorted(numbers: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers
}
