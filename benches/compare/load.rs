//! One turn of the load.

use std::process::Command;

use crate::Candidate;
use crate::client::authority;
use crate::proxies::REST;

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

/// What one turn showed.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) per_second: f64,
    /// Microseconds of processor time for one request.
    pub(crate) cpu: f64,
    /// Milliseconds that all but a hundredth of the answers took at the most.
    pub(crate) slowest: f64,
}

/// Sends as many requests as it takes for so many seconds.
pub(crate) fn load(candidate: &Candidate<'_>, body: &str, connections: u32, seconds: u32) -> Run {
    let mut wrk = Command::new("taskset");
    wrk.args(["-c", REST, "wrk", "--latency", "-t1", &format!("-c{connections}"), &format!("-d{seconds}s")]);
    let own = [format!("Host: {}", authority(candidate.port)), format!("cookie: theme=dark; {}", candidate.session)];
    for header in own.iter().map(String::as_str).chain(WORDS) {
        wrk.args(["-H", header]);
    }
    wrk.arg(format!("http://127.0.0.1:{}{}/{body}", candidate.port, candidate.prefix));
    let before = (candidate.cpu)();
    let said = wrk.output().expect("wrk is installed");
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
