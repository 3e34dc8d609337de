//! A real `redis-server` on a free port, which can be killed, frozen and brought back.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Process, eventually, free_port};

/// A Redis of this test alone.
pub struct Redis {
    port: u16,
    options: Vec<String>,
    process: Process,
}

impl Redis {
    pub fn start() -> Self {
        Self::start_on(free_port(), Vec::new())
    }

    /// One with further options, which it keeps through a restart.
    pub fn with(options: &[&str]) -> Self {
        Self::start_on(free_port(), options.iter().map(|&option| option.to_owned()).collect())
    }

    fn start_on(port: u16, options: Vec<String>) -> Self {
        let fixed = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/"];
        let process = Process::start(
            Command::new("redis-server").args(["--port", &port.to_string()]).args(fixed).args(&options),
            "apt-get install redis-server",
        );
        let redis = Self { port, options, process };
        eventually("redis-server should answer", || {
            redis.try_command(&["PING"]).filter(|answer| answer.contains("PONG"))
        });
        redis
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, empty, on the same port.
    pub fn restart(&mut self) {
        self.kill();
        *self = Self::start_on(self.port, std::mem::take(&mut self.options));
    }

    /// Stops it without closing its connections: commands get no answer.
    pub fn freeze(&self) {
        self.process.signal("STOP");
    }

    pub fn thaw(&self) {
        self.process.signal("CONT");
    }

    /// One command, and the bytes of its answer.
    pub fn command(&self, words: &[&str]) -> String {
        self.try_command(words).expect("redis-server answers")
    }

    /// The same, where silence is an answer too.
    pub fn try_command(&self, words: &[&str]) -> Option<String> {
        ask(self.port, words)
    }

    /// Every key there is.
    pub fn keys(&self) -> Vec<String> {
        let answer = self.command(&["KEYS", "*"]);
        let words = answer.split("\r\n").filter(|line| !line.starts_with(['*', '$']) && !line.is_empty());
        words.map(str::to_owned).collect()
    }

    /// A key's remaining life in seconds; -1 is for ever, -2 is gone.
    pub fn ttl(&self, key: &str) -> i64 {
        self.command(&["TTL", key]).trim_start_matches(':').trim().parse().expect("TTL answers with a number")
    }

    /// Everything the server holds, as one pile of bytes.
    pub fn dump(&self) -> String {
        let keys = self.keys();
        let mut pile = keys.join("\n");
        for key in &keys {
            let read = match self.command(&["TYPE", key]).trim().trim_start_matches('+') {
                "hash" => vec!["HGETALL", key],
                "set" => vec!["SMEMBERS", key],
                "zset" => vec!["ZRANGE", key, "0", "-1"],
                "list" => vec!["LRANGE", key, "0", "-1"],
                _ => vec!["GET", key],
            };
            pile.push_str(&self.command(&read));
        }
        pile
    }

    /// The keys that would stay for ever, as one moment sees them.
    pub fn keys_without_end(&self) -> String {
        let script = "local r = {} for _, k in ipairs(redis.call('KEYS', '*')) do \
                      if redis.call('PTTL', k) == -1 then r[#r + 1] = k end end return r";
        self.command(&["EVAL", script, "0"])
    }

    /// How often each command was called since the server started, or since the statistics were reset.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        let answer = self.command(&["INFO", "commandstats"]);
        let lines = answer.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="));
        let count = |rest: &str| rest.split(',').next().and_then(|count| count.parse().ok());
        lines.filter_map(|(name, rest)| Some((name.to_owned(), count(rest)?))).collect()
    }

    /// Starts to write down every command that anyone sends from now on.
    pub fn watch(&self) -> Watch {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("redis-server listens");
        stream.write_all(b"*1\r\n$7\r\nMONITOR\r\n").expect("the command can be written");
        let mut ok = [0; 5];
        stream.read_exact(&mut ok).expect("redis-server agrees");
        let reading = stream.try_clone().expect("a socket can be shared");
        let reader = std::thread::spawn(move || {
            let mut seen = Vec::new();
            let _ = (&reading).read_to_end(&mut seen);
            String::from_utf8_lossy(&seen).into_owned()
        });
        Watch { stream, reader }
    }
}

/// Commands being written down.
pub struct Watch {
    stream: TcpStream,
    reader: JoinHandle<String>,
}

impl Watch {
    /// Everything that was sent; bytes that are not printable are escaped.
    pub fn end(self) -> String {
        let _ = self.stream.shutdown(Shutdown::Both);
        self.reader.join().expect("reading does not panic")
    }
}

/// One command to whatever speaks Redis' protocol on a port, and the bytes of its answer.
pub fn ask(port: u16, words: &[&str]) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut bytes = format!("*{}\r\n", words.len());
    for word in words {
        bytes.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(bytes.as_bytes()).ok()?;
    let mut answer = Vec::new();
    let mut chunk = [0; 65_536];
    while end_of_reply(&answer, 0).is_none() {
        let count = stream.read(&mut chunk).ok().filter(|count| *count > 0)?;
        answer.extend_from_slice(&chunk[..count]);
    }
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// Where the reply that begins at `start` ends, once all of it is there (RESP2).
fn end_of_reply(bytes: &[u8], start: usize) -> Option<usize> {
    let line = start + bytes.get(start..)?.windows(2).position(|window| window == b"\r\n")?;
    let next = line + 2;
    let number = std::str::from_utf8(&bytes[start + 1..line]).ok().and_then(|text| text.parse::<i64>().ok());
    match (bytes[start], number.and_then(|number| usize::try_from(number).ok())) {
        (b'$', Some(length)) => Some(next + length + 2).filter(|end| *end <= bytes.len()),
        (b'*', Some(count)) => (0..count).try_fold(next, |at, _| end_of_reply(bytes, at)),
        _ => Some(next),
    }
}
