//! A real `redis-server`, started for one test and killed by its handle.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cloakroom::config::RedisConfig;
use tempfile::TempDir;

pub(crate) struct RedisProcess {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl RedisProcess {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(options: &[&str]) -> Self {
        let port = free_port();
        let dir = TempDir::new().unwrap();
        let child = spawn(port, &dir, options);
        let server = Self { child, port, dir };
        server.wait();
        server
    }

    /// A sentinel of three, of which two must agree that the primary at port `of` is gone.
    pub(crate) fn sentinel(of: &str) -> Self {
        let (port, dir) = (free_port(), TempDir::new().unwrap());
        let file = dir.path().join("sentinel.conf");
        let text = format!(
            "sentinel monitor main 127.0.0.1 {of} 2\nsentinel down-after-milliseconds main 500\n\
             sentinel failover-timeout main 3000\nsentinel parallel-syncs main 2\n"
        );
        std::fs::write(&file, text).unwrap();
        let child = start(Command::new("redis-server").arg(&file).args(["--sentinel", "--port", &port.to_string()]));
        let server = Self { child, port, dir };
        server.wait();
        server
    }

    pub(crate) fn config(&self) -> RedisConfig {
        format!("redis://127.0.0.1:{}/0", self.port).parse().unwrap()
    }

    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Stops the process in its tracks: the kernel still accepts connections, nobody answers.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The same port again; what it held is gone.
    pub(crate) fn restart(&mut self) {
        self.restart_with(&[]);
    }

    pub(crate) fn restart_with(&mut self, options: &[&str]) {
        self.child = spawn(self.port, &self.dir, options);
        self.wait();
    }

    /// What the server says to one command, as raw protocol.
    pub(crate) fn say(&self, words: &[&str]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        stream.write_all(command.as_bytes()).unwrap();
        if words[0] == "SENTINEL" {
            // A sentinel knows no QUIT.
            stream.shutdown(std::net::Shutdown::Write).unwrap();
        } else {
            stream.write_all(b"*1\r\n$4\r\nQUIT\r\n").unwrap();
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        let quit = if words[0] == "SENTINEL" { "" } else { "+OK\r\n" };
        answer.strip_suffix(quit).unwrap_or(&answer).to_owned()
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not listen on port {}", self.port);
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for RedisProcess {
    fn drop(&mut self) {
        // Killing works on a frozen process too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, dir: &TempDir, options: &[&str]) -> Child {
    let (plain, tls) = if options.contains(&"--tls-cert-file") { (0, port) } else { (port, 0) };
    start(
        Command::new("redis-server")
            .args(["--port", &plain.to_string(), "--tls-port", &tls.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            // A replica is told everything at once, not after five seconds.
            .args(["--repl-diskless-sync-delay", "0", "--dir"])
            .arg(dir.path())
            .args(options),
    )
}

fn start(command: &mut Command) -> Child {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("these tests need a real Redis: apt-get install redis-server")
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
