//! A real `redis-server` on a free port, which can be killed, frozen and brought back.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::Duration;

use cloakroom::config::RedisConfig;
use tempfile::TempDir;

use super::{Process, eventually, free_port};

/// A `redis-server` of its own port and folder, which ends with its handle.
pub struct Redis {
    port: u16,
    options: Vec<String>,
    dir: TempDir,
    process: Process,
}

impl Redis {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// One with further options, which it keeps through a restart. With a certificate among them it speaks TLS only.
    pub fn with(options: &[&str]) -> Self {
        let (port, dir) = (free_port(), TempDir::new().expect("a temporary directory"));
        let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        let process = server(port, dir.path(), &options);
        Self { port, options, dir, process }
    }

    /// A Sentinel with this configuration.
    pub fn sentinel(settings: &str) -> Self {
        let (port, dir) = (free_port(), TempDir::new().expect("a temporary directory"));
        let file = dir.path().join("sentinel.conf");
        let text = format!("port {port}\nbind 127.0.0.1\ndir {}\n{settings}", dir.path().display());
        std::fs::write(&file, text).expect("a temporary directory is writable");
        let process = listening(port, Command::new("redis-server").arg(file).arg("--sentinel"));
        Self { port, options: Vec::new(), dir, process }
    }

    /// The folder that is this server's alone: a replica takes its first copy through a file there, and in a shared one it
    /// would load another's.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// The same, as a store is configured for it.
    pub fn config(&self) -> RedisConfig {
        self.url().parse().expect("the URL is one of Redis")
    }

    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, empty, on the same port.
    pub fn restart(&mut self) {
        self.kill();
        self.process = server(self.port, self.dir.path(), &self.options);
    }

    /// The same with these options from now on.
    pub fn restart_with(&mut self, options: &[&str]) {
        self.options = options.iter().map(|&option| option.to_owned()).collect();
        self.restart();
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

    /// Its id in a Cluster.
    pub fn id(&self) -> String {
        self.command(&["CLUSTER", "MYID"]).lines().nth(1).expect("a member has an id").to_owned()
    }

    /// Whether it is a replica whose link to its master is up.
    pub fn follows(&self) -> bool {
        self.try_command(&["INFO", "replication"]).is_some_and(|info| info.contains("master_link_status:up"))
    }

    /// How far its copy of the stream of writes goes; of a master, how far the stream itself does.
    pub fn replicated_to(&self) -> Option<u64> {
        let info = self.try_command(&["INFO", "replication"])?;
        let offset = |name| info.lines().find_map(|line: &str| line.strip_prefix(name));
        offset("slave_repl_offset:").or_else(|| offset("master_repl_offset:"))?.trim().parse().ok()
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

fn server(port: u16, dir: &Path, options: &[String]) -> Process {
    let tls = options.iter().any(|option| option == "--tls-cert-file");
    let (plain, tls) = if tls { (0, port) } else { (port, 0) };
    listening(
        port,
        Command::new("redis-server")
            .args(["--port", &plain.to_string(), "--tls-port", &tls.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(dir)
            // A replica is told everything at once, not after five seconds.
            .args(["--repl-diskless-sync-delay", "0"])
            .args(options),
    )
}

fn listening(port: u16, command: &mut Command) -> Process {
    let process = Process::start(command, "apt-get install redis-server");
    eventually("redis-server should answer", || answers(port));
    process
}

/// Whether the server is at its work, which it is only once it listens everywhere: it opens its port before its socket.
/// One that speaks TLS hangs up on what it cannot read.
fn answers(port: u16) -> Option<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(b"PING\r\n").ok()?;
    match stream.read(&mut [0; 64]) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => None,
        Ok(_) | Err(_) => Some(()),
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

/// One command, and the bytes of its answer.
fn ask(port: u16, words: &[&str]) -> Option<String> {
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
