//! A real `redis-server` on a free port, which can be killed, frozen and brought back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use super::{Process, eventually, free_port};

/// A Redis of this test alone.
pub struct Redis {
    port: u16,
    process: Process,
}

impl Redis {
    pub fn start() -> Self {
        Self::start_on(free_port())
    }

    fn start_on(port: u16) -> Self {
        let process = Process::start(
            Command::new("redis-server").args(["--port", &port.to_string()]).args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
                "--dir",
                "/",
            ]),
            "apt-get install redis-server",
        );
        let redis = Self { port, process };
        eventually("redis-server should answer", || {
            redis.try_command(&["PING"]).filter(|answer| answer.contains("PONG"))
        });
        redis
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
        *self = Self::start_on(self.port);
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

    fn try_command(&self, words: &[&str]) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let mut bytes = format!("*{}\r\n", words.len());
        for word in words {
            bytes.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        bytes.push_str("*1\r\n$4\r\nQUIT\r\n");
        stream.write_all(bytes.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        Some(answer.strip_suffix("+OK\r\n").unwrap_or(&answer).to_owned())
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
}
