//! The gateway beside nginx and HAProxy, which do no session work: requests per second, processor time, and the slowest
//! hundredth.
//!
//! `cargo bench --bench compare`, with `nginx`, `haproxy`, `redis-server` and `wrk` installed. Every proxy has one thread on
//! the first core, the upstream (nginx with files) and the load share the second. They take turns, nginx at both ends of
//! every round; `benches/README.md` says how to read the table.

#![expect(clippy::print_stdout, reason = "the results of a measurement go to stdout")]
#![expect(clippy::panic, reason = "a measurement that cannot go on says why")]
#![expect(dead_code, reason = "the measurement of the store has more uses for what the two share")]

#[path = "store/client.rs"]
mod client;
#[path = "store/gateway.rs"]
mod gateway;
#[path = "store/stage.rs"]
mod stage;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use client::log_in;
use gateway::{BUILT, Gateway, Redis, cpu_of, free_port, wait_for};
use stage::Stage;

/// What a browser sends beside its cookie.
const WORDS: [&str; 8] = [
    "user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "accept: application/json, text/plain, */*",
    "accept-language: en-GB,en;q=0.9,de;q=0.8",
    "accept-encoding: gzip, deflate, br, zstd",
    "sec-fetch-site: same-origin",
    "sec-fetch-mode: cors",
    "sec-fetch-dest: empty",
    "sec-ch-ua: \"Chromium\";v=\"141\", \"Not?A_Brand\";v=\"8\"",
];

/// The bodies: name, bytes, connections.
const BODIES: [(&str, usize, u32); 3] = [("1k", 1024, 64), ("64k", 64 * 1024, 32), ("1m", 1024 * 1024, 8)];

/// A process that ends with this.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Who is measured: a name, where it listens, the prefix of the path, and how its processor time is read.
struct Candidate<'a> {
    name: &'static str,
    port: u16,
    prefix: &'static str,
    cpu: Box<dyn Fn() -> Duration + 'a>,
}

/// One run of the load.
#[derive(Clone, Copy)]
struct Run {
    per_second: f64,
    /// Microseconds of processor time for one request.
    cpu: f64,
    /// Milliseconds.
    slowest: f64,
}

#[tokio::main]
async fn main() {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let (mut rounds, mut seconds, mut binary) = (5, 5, BUILT.to_owned());
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_else(|| panic!("{word} takes a value"));
        let number = || value.parse().unwrap_or_else(|_| panic!("{word} takes a number, not {value}"));
        match word.as_str() {
            "--rounds" => rounds = number(),
            "--seconds" => seconds = number(),
            "--gateway" => binary = value,
            _ => panic!("unknown option {word}; see benches/README.md"),
        }
    }
    let dir = tempfile::TempDir::new().expect("a directory");
    let (upstream, origin) = start(dir.path(), "1", "upstream", &upstream_of(dir.path()));
    let (nginx, nginx_port) = start(dir.path(), "0", "nginx", &nginx_to(dir.path(), origin));
    let (haproxy, haproxy_port) = start(dir.path(), "0", "haproxy", &haproxy_to(origin));
    let (stage, redis) = (Stage::start().await, Redis::start());
    let command = ["taskset", "-c", "0", &binary];
    let gateway =
        Gateway::start_as(&command, "workers = 1", &redis.url(), &format!("http://127.0.0.1:{origin}"), &stage);
    let session = log_in(&gateway, &stage, 36_000).await;
    let own = |name, prefix| Candidate { name, port: gateway.port(), prefix, cpu: Box::new(|| gateway.cpu()) };
    let other = |name, port, process| Candidate { name, port, prefix: "", cpu: Box::new(move || cpu_of(process)) };
    let candidates = [
        other("nginx `proxy_pass`", nginx_port, &nginx.0),
        other("HAProxy", haproxy_port, &haproxy.0),
        own("gateway, near-cache hit", "/near"),
        own("gateway, Redis read each time", "/read"),
        own("gateway, no session", "/open"),
    ];
    let headers = [format!("Host: {}", gateway.authority()), format!("cookie: theme=dark; {session}")];
    println!(
        "| body | proxy | requests/s | beside nginx | CPU per request | beside nginx (min / median / max) | p99 beside nginx |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (body, _, connections) in BODIES {
        let run = |candidate: &Candidate<'_>| load(candidate, &headers, body, connections, seconds);
        for candidate in &candidates {
            load(candidate, &headers, body, connections, 1);
        }
        let turns: Vec<Vec<Run>> =
            (0..rounds).map(|_| candidates.iter().chain(&candidates[..1]).map(run).collect()).collect();
        for (place, candidate) in candidates.iter().enumerate() {
            println!("| {body} | {} | {} |", candidate.name, row(&turns, place));
        }
    }
    drop(upstream);
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
    let (cpu, middle) = (beside(|run| run.cpu), turns.len() / 2);
    format!(
        "{:.0} | {:.2} | {:.0} µs | {:.2} / {:.2} / {:.2} | {:.2}",
        own(|run| run.per_second)[middle],
        beside(|run| run.per_second)[middle],
        own(|run| run.cpu)[middle],
        cpu[0],
        cpu[middle],
        cpu[cpu.len() - 1],
        beside(|run| run.slowest)[middle],
    )
}

fn sorted(numbers: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers
}

/// Starts a proxy or the upstream on one core; gives its port.
fn start(dir: &Path, core: &str, name: &str, config: &str) -> (Process, u16) {
    let (port, file) = (free_port(), dir.join(format!("{name}.conf")));
    std::fs::write(&file, config.replace("PORT", &port.to_string())).expect("a temporary directory is writable");
    let file = file.display().to_string();
    let words = if name == "haproxy" { vec!["haproxy", "-db", "-f", &file] } else { vec!["nginx", "-c", &file] };
    let started = Command::new("taskset").args(["-c", core]).args(words).stderr(Stdio::null()).spawn();
    let process = Process(started.unwrap_or_else(|_| panic!("apt-get install util-linux {name}")));
    wait_for(port);
    (process, port)
}

/// nginx as one process with one thread.
fn nginx(dir: &Path, http: &str) -> String {
    let dir = dir.display();
    format!(
        "daemon off; master_process off; user root; pid {dir}/PORT.pid; error_log /dev/null; events {{ worker_connections 1024; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; sendfile on; tcp_nodelay on; {http} }}\n"
    )
}

fn upstream_of(dir: &Path) -> String {
    for (name, bytes, _) in BODIES {
        let text = format!("{{\"items\":\"{}\"}}", "x".repeat(bytes - 12));
        std::fs::write(dir.join(name), text).expect("a temporary directory is writable");
    }
    let root = dir.display();
    nginx(
        dir,
        &format!(
            "server {{ listen 127.0.0.1:PORT; default_type application/json; root {root}; \
             location / {{ rewrite ^.*/([^/]+)$ /$1 break; }} }}"
        ),
    )
}

fn nginx_to(dir: &Path, upstream: u16) -> String {
    nginx(
        dir,
        &format!(
            "upstream up {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000000; }}\n\
             server {{ listen 127.0.0.1:PORT; location / {{ proxy_pass http://up; proxy_http_version 1.1; \
             proxy_set_header Connection \"\"; }} }}"
        ),
    )
}

fn haproxy_to(upstream: u16) -> String {
    format!(
        "global\n  nbthread 1\n  maxconn 1024\ndefaults\n  mode http\n  http-reuse always\n  timeout connect 5s\n  \
         timeout client 60s\n  timeout server 60s\nfrontend in\n  bind 127.0.0.1:PORT\n  default_backend up\nbackend up\n  \
         server up 127.0.0.1:{upstream}\n"
    )
}

/// Sends as many requests as it takes for so many seconds.
fn load(candidate: &Candidate<'_>, headers: &[String], body: &str, connections: u32, seconds: u32) -> Run {
    let mut wrk = Command::new("taskset");
    wrk.args(["-c", "1", "wrk", "--latency", "-t1", &format!("-c{connections}"), &format!("-d{seconds}s")]);
    for header in headers.iter().map(String::as_str).chain(WORDS) {
        wrk.args(["-H", header]);
    }
    wrk.arg(format!("http://127.0.0.1:{}{}/{body}", candidate.port, candidate.prefix));
    let before = (candidate.cpu)();
    let said = wrk.output().unwrap_or_else(|_| panic!("apt-get install wrk"));
    let used = (candidate.cpu)() - before;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(!said.contains("Non-2xx") && !said.contains("Socket errors"), "{}: {said}", candidate.name);
    let word = |start: &str, place: usize| {
        let line = said.lines().map(str::trim).find(|line| line.contains(start));
        line.and_then(|line| line.split_whitespace().nth(place)).unwrap_or_else(|| panic!("no {start} in {said}"))
    };
    let requests: f64 = word(" requests in ", 0).parse().unwrap_or_else(|_| panic!("{said}"));
    let per_second = word("Requests/sec:", 1).parse().unwrap_or_else(|_| panic!("{said}"));
    Run { per_second, cpu: used.as_secs_f64() * 1e6 / requests, slowest: milliseconds(word("99%", 1)) }
}

/// Such as `1.23ms`.
fn milliseconds(text: &str) -> f64 {
    let unit = text.find(|symbol: char| symbol.is_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let scale = match unit {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1000.0,
        _ => panic!("unknown unit in {text}"),
    };
    number.parse::<f64>().unwrap_or_else(|_| panic!("no number in {text}")) * scale
}
