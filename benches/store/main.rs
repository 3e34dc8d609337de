//! What issue 3 wants measured: calls with and without a question to Redis, a refresh storm, the memory of live sessions.
//!
//! One command, on a machine with `redis-server`: `cargo bench --bench store`. Everything runs on loopback: the gateway as
//! a process of its own, provider, upstream and callers in this one. `benches/store.md` says how to read what it prints.

#![expect(clippy::print_stdout, reason = "the results of a measurement go to stdout")]
#![expect(clippy::panic, reason = "a measurement that cannot go on says why")]
#![expect(dead_code, reason = "the comparison has more uses for what the two share")]

mod client;
mod gateway;
mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use client::{Caller, Session, log_in};
use gateway::{Gateway, Redis};
use stage::Stage;

/// What can be asked for: `--only calls|storm|memory`, and how much of it.
struct Options {
    only: Option<String>,
    rounds: usize,
    seconds: u64,
    connections: usize,
    storm: usize,
    minute: u64,
    live: usize,
}

impl Options {
    fn read() -> Self {
        let mut options =
            Self { only: None, rounds: 5, seconds: 5, connections: 32, storm: 5000, minute: 60, live: 100_000 };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            // Cargo's own word.
            if word == "--bench" {
                continue;
            }
            let value = words.next().unwrap_or_else(|| panic!("{word} takes a value"));
            let number = || value.parse().unwrap_or_else(|_| panic!("{word} takes a number, not {value}"));
            match word.as_str() {
                "--only" => options.only = Some(value),
                "--rounds" => options.rounds = number(),
                "--seconds" => options.seconds = number() as u64,
                "--connections" => options.connections = number(),
                "--storm" => options.storm = number(),
                "--minute" => options.minute = number() as u64,
                "--live" => options.live = number(),
                _ => panic!("unknown option {word}; see benches/store.md"),
            }
        }
        options
    }

    fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }
}

#[tokio::main]
async fn main() {
    let options = Options::read();
    let stage = Stage::start().await;
    if options.wants("calls") {
        calls(&options, &stage).await;
    }
    if options.wants("storm") {
        storm(&options, &stage).await;
    }
    if options.wants("memory") {
        memory(&options, &stage).await;
    }
}

/// Three kinds of call, in turn, so that whatever the machine does meanwhile happens to all of them.
async fn calls(options: &Options, stage: &Arc<Stage>) {
    const KINDS: [(&str, &str); 3] = [
        ("(a) session told by the near cache", "/near/x"),
        ("(b) session read from Redis each time", "/read/x"),
        ("(c) no session asked for", "/open/x"),
    ];
    let redis = Redis::start();
    let gateway = Gateway::start(&redis.url(), stage);
    let session = log_in(gateway.port(), 3600).await;
    let mut found: Vec<Vec<Round>> = KINDS.iter().map(|_| Vec::new()).collect();
    for (_, path) in KINDS {
        run(&gateway, &redis, &session, path, options.connections, Duration::from_millis(500)).await;
    }
    for _ in 0..options.rounds {
        for (kind, (_, path)) in KINDS.iter().enumerate() {
            let time = Duration::from_secs(options.seconds);
            found[kind].push(run(&gateway, &redis, &session, path, options.connections, time).await);
        }
    }
    println!(
        "\n## Calls: {} rounds of {} s each, {} connections\n",
        options.rounds, options.seconds, options.connections
    );
    println!(
        "| | requests/s (median) | lowest – highest | Redis commands per request | gateway CPU µs per request | p99 ms |"
    );
    println!("|---|---|---|---|---|---|");
    for ((name, _), rounds) in KINDS.iter().zip(&found) {
        let of = |value: fn(&Round) -> f64| median(rounds.iter().map(value).collect());
        let rates: Vec<f64> = rounds.iter().map(|round| round.rate).collect();
        let (low, high) = rates.iter().fold((f64::MAX, 0.0_f64), |(low, high), rate| (low.min(*rate), high.max(*rate)));
        println!(
            "| {name} | {:.0} | {low:.0} – {high:.0} | {:.3} | {:.0} | {:.1} |",
            of(|round| round.rate),
            of(|round| round.commands),
            of(|round| round.cpu_micros),
            of(|round| round.p99)
        );
    }
}

/// One round of one kind.
struct Round {
    rate: f64,
    commands: f64,
    cpu_micros: f64,
    p99: f64,
}

async fn run(
    gateway: &Gateway,
    redis: &Redis,
    session: &Session,
    path: &'static str,
    connections: usize,
    time: Duration,
) -> Round {
    let over = Arc::new(AtomicBool::new(false));
    let (commands, cpu, start) = (redis.commands(), gateway.cpu(), Instant::now());
    let callers: Vec<_> = (0..connections)
        .map(|_| {
            let (mut caller, session, over) = (Caller::new(gateway.port()), session.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let mut took = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    let answer = caller.get(path, Some(&session)).await;
                    assert_eq!(answer.status, 200, "{path} answered {}", answer.status);
                    took.push(start.elapsed());
                }
                took
            })
        })
        .collect();
    tokio::time::sleep(time).await;
    over.store(true, Ordering::Relaxed);
    let mut took = Vec::new();
    for caller in callers {
        took.extend(caller.await.expect("a caller goes on to the end"));
    }
    let (lasted, count) = (start.elapsed(), took.len().max(1));
    took.sort_unstable();
    Round {
        rate: count as f64 / lasted.as_secs_f64(),
        commands: redis.commands().saturating_sub(commands) as f64 / count as f64,
        cpu_micros: (gateway.cpu() - cpu).as_micros() as f64 / count as f64,
        p99: took.get(count * 99 / 100).copied().unwrap_or_default().as_secs_f64() * 1000.0,
    }
}

/// Thousands of sessions whose tokens run out within one minute, each of them in use.
async fn storm(options: &Options, stage: &Arc<Stage>) {
    /// The first token's life beyond what the logins take.
    const FIRST: u64 = 30;
    let redis = Redis::start();
    let gateway = Gateway::start(&redis.url(), stage);
    let mut sessions = Vec::new();
    for number in 0..options.storm {
        let life = FIRST + options.minute * number as u64 / options.storm as u64;
        sessions.push(log_in(gateway.port(), life).await);
    }
    let (logins, cpu, start) = (stage.token_calls(), gateway.cpu(), Instant::now());
    let errors = Arc::new(AtomicU64::new(0));
    let length = Duration::from_secs(FIRST + options.minute + 5);
    let sessions = Arc::new(sessions);
    let callers: Vec<_> = (0..options.connections)
        .map(|first| {
            let (mut caller, sessions) = (Caller::new(gateway.port()), Arc::clone(&sessions));
            let (errors, step) = (Arc::clone(&errors), options.connections);
            tokio::spawn(async move {
                let mut took = Vec::new();
                // Everyone calls every two seconds or so.
                let mine: Vec<_> = sessions.iter().skip(first).step_by(step).collect();
                let pause = Duration::from_secs(2) / u32::try_from(mine.len().max(1)).unwrap_or(1);
                while start.elapsed() < length {
                    for session in &mine {
                        let asked = Instant::now();
                        if caller.get("/near/x", Some(session)).await.status != 200 {
                            errors.fetch_add(1, Ordering::Relaxed);
                        }
                        took.push(asked.elapsed());
                        tokio::time::sleep(pause.saturating_sub(asked.elapsed())).await;
                    }
                }
                took
            })
        })
        .collect();
    let mut took = Vec::new();
    for caller in callers {
        took.extend(caller.await.expect("a caller goes on to the end"));
    }
    took.sort_unstable();
    let at = |part: usize| took.get(took.len() * part / 1000).copied().unwrap_or_default().as_secs_f64() * 1000.0;
    println!("\n## Refresh storm: {} sessions due within {} s, all in use\n", options.storm, options.minute);
    println!(
        "| token calls | calls | errors | p50 ms | p99 ms | p99.9 ms | gateway CPU s (of {} s) |",
        length.as_secs()
    );
    println!("|---|---|---|---|---|---|---|");
    println!(
        "| {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.2} |",
        stage.token_calls() - logins,
        took.len(),
        errors.load(Ordering::Relaxed),
        at(500),
        at(990),
        at(999),
        (gateway.cpu() - cpu).as_secs_f64()
    );
}

/// The process itself, with so many sessions in it.
async fn memory(options: &Options, stage: &Arc<Stage>) {
    let gateway = Gateway::start("memory:", stage);
    let port = gateway.port();
    drop(log_in(port, 3600).await);
    let idle = gateway.memory();
    let start = Instant::now();
    let each = options.live / options.connections;
    let logins: Vec<_> = (0..options.connections)
        .map(|_| {
            tokio::spawn(async move {
                for _ in 0..each {
                    log_in(port, 3600).await;
                }
            })
        })
        .collect();
    for login in logins {
        login.await.expect("every login succeeds");
    }
    let (full, count) = (gateway.memory(), each * options.connections);
    println!("\n## Memory of sessions in `memory:`\n");
    println!("| live sessions | before MiB | with them MiB | KiB per session | logins/s |");
    println!("|---|---|---|---|---|");
    println!(
        "| {count} | {:.1} | {:.1} | {:.2} | {:.0} |",
        idle as f64 / 1024.0,
        full as f64 / 1024.0,
        full.saturating_sub(idle) as f64 / count as f64,
        count as f64 / start.elapsed().as_secs_f64()
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
