//! The processes that are measured: the gateway as `cargo bench` built it, and a Redis of its own.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cloakroom::secret::{MasterKey, random_base64url};
use tempfile::TempDir;

use crate::stage::{CLIENT_ID, Stage};

/// The gateway that was built along with this measurement.
pub(crate) const BUILT: &str = env!("CARGO_BIN_EXE_cloakroom");

/// A running gateway.
pub(crate) struct Gateway {
    child: Child,
    port: u16,
    _dir: TempDir,
}

impl Gateway {
    pub(crate) fn start(store: &str, stage: &Stage) -> Self {
        Self::start_as(&[BUILT], "", store, &stage.url(), stage)
    }

    /// Started by these words, with more lines for its `[server]`, in front of `upstream`.
    pub(crate) fn start_as(words: &[&str], server: &str, store: &str, upstream: &str, stage: &Stage) -> Self {
        let (port, admin, url, dir) = (free_port(), free_port(), stage.url(), TempDir::new().expect("a directory"));
        let key = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, MasterKey::random().expose());
        let secret = random_base64url();
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n{server}\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n[store]\nurl = \"{store}\"\n\
             [log]\nlevel = \"warn\"\n[[site]]\norigin = \"http://one.localhost:{port}\"\n[site.session]\nkeys = [\"{key}\"]\n\
             [[site.provider]]\nname = \"main\"\nissuer = \"{url}\"\nclient_id = \"{CLIENT_ID}\"\nclient_secret = \"{secret}\"\n\
             [[site.route]]\npath = \"/near\"\nupstream = \"{upstream}\"\n\
             [[site.route]]\npath = \"/read\"\nupstream = \"{upstream}\"\nsensitive = true\n\
             [[site.route]]\npath = \"/open\"\nupstream = \"{upstream}\"\nauth = \"none\"\n"
        );
        let config = dir.path().join("gateway.toml");
        std::fs::write(&config, text).expect("a temporary directory is writable");
        let child = Command::new(words[0])
            .args(&words[1..])
            .args(["serve", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .spawn()
            .expect("the gateway was built");
        let gateway = Self { child, port, _dir: dir };
        wait_for(port);
        gateway
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The processor time it has used so far.
    pub(crate) fn cpu(&self) -> Duration {
        cpu_of(&self.child)
    }

    /// Its resident memory in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux has /proc");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for Gateway {
    /// Lets it finish, so that whatever watches it writes down what it saw.
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// Asks a process to end, and waits until it has.
pub(crate) fn stop(child: &mut Child) {
    let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    if !asked.is_ok_and(|status| status.success()) {
        let _ = child.kill();
    }
    let _ = child.wait();
}

/// The processor time a process and its children have used so far, at the kernel's usual hundred ticks a second.
pub(crate) fn cpu_of(child: &Child) -> Duration {
    let processes = std::fs::read_dir("/proc").expect("Linux has /proc").flatten();
    let ticks = processes.filter_map(|process| {
        let stat = std::fs::read_to_string(process.path().join("stat")).ok()?;
        let (start, after_name) = stat.rsplit_once(") ").expect("a name in brackets");
        let fields: Vec<_> = after_name.split(' ').collect();
        // State, parent, and after nine more the time spent in the process itself and in the kernel.
        let (own, parent) = (start.split(' ').next()?, fields[1]);
        let ours = [own, parent].iter().any(|number| number.parse() == Ok(child.id()));
        ours.then(|| fields[11..13].iter().filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>())
    });
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// A `redis-server` of this measurement alone.
pub(crate) struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::start_as(&["redis-server"])
    }

    /// Started by these words.
    pub(crate) fn start_as(words: &[&str]) -> Self {
        let port = free_port();
        let child = Command::new(words[0])
            .args(&words[1..])
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .expect("apt-get install redis-server");
        let redis = Self { child, port };
        wait_for(port);
        redis
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}/0", self.address())
    }

    /// How many commands it was sent so far; what scripts do inside is not counted, and neither is this question.
    pub(crate) fn commands(&self) -> u64 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("redis-server listens");
        stream.write_all(b"INFO commandstats\r\nQUIT\r\n").expect("the command can be written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("redis-server answers");
        let lines = answer.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="));
        let asked = lines.filter(|(name, _)| SENT.contains(name));
        asked.filter_map(|(_, rest)| rest.split(',').next()?.parse::<u64>().ok()).sum()
    }
}

/// What a gateway sends, scripts as one command each, and none of the heartbeat.
const SENT: [&str; 9] = ["hmget", "get", "set", "getdel", "eval", "evalsha", "zrangebyscore", "zadd", "hgetall"];

impl Drop for Redis {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

pub(crate) fn wait_for(port: u16) {
    let end = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "nobody listens on port {port}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
