//! Several `redis-server` processes as operators run them: a master with a replica under three Sentinels, and a Cluster of
//! three masters with a replica each.

use std::process::Command;

use tempfile::TempDir;

use super::{Process, Redis, eventually, free_port};

/// A master, its replica, and three Sentinels that agree on which is which.
pub struct Sentinels {
    pub servers: [Redis; 2],
    sentinels: Vec<(u16, Process)>,
    _dir: TempDir,
}

impl Sentinels {
    /// What the Sentinels call the group.
    pub const NAME: &str = "cloakroom";

    pub fn start() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let place = dir.path().display().to_string();
        let shared = ["--dir", &place, "--repl-diskless-sync-delay", "0"];
        let master = Redis::with(&shared);
        let port = master.port().to_string();
        let replica = Redis::with(&[&shared[..], &["--replicaof", "127.0.0.1", &port]].concat());
        let up = |redis: &Redis| redis.command(&["INFO", "replication"]).contains("master_link_status:up");
        eventually("the replica should follow", || up(&replica).then_some(()));
        let sentinels = (0..3).map(|number| sentinel(&dir, number, master.port())).collect();
        let group = Self { servers: [master, replica], sentinels, _dir: dir };
        eventually("the Sentinels should know each other and the replica", || {
            let knows = |port: u16| {
                let said = say(port, &["SENTINEL", "MASTER", Self::NAME]);
                field(&said, "num-slaves") == Some("1") && field(&said, "num-other-sentinels") == Some("2")
            };
            group.sentinels.iter().all(|(port, _)| knows(*port)).then_some(())
        });
        group
    }

    /// `redis+sentinel://…`.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(|(port, _)| format!("127.0.0.1:{port}")).collect();
        format!("redis+sentinel://{}/{}", hosts.join(","), Self::NAME)
    }

    /// Waits until what the master acknowledged has reached the replica: what Redis can promise about a fail-over.
    pub fn settle(&self) {
        assert_eq!(self.servers[0].command(&["WAIT", "1", "5000"]).trim(), ":1");
    }

    /// Waits until the Sentinels have made the replica the master.
    pub fn wait_for_failover(&self) {
        let port = self.servers[1].port().to_string();
        eventually("the Sentinels should fail over", || {
            let role = self.servers[1].try_command(&["ROLE"])?;
            let told = self.sentinels.iter().all(|(sentinel, _)| {
                say(*sentinel, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::NAME]).contains(&port)
            });
            (role.contains("master") && told).then_some(())
        });
    }

    /// Kills one Sentinel; two of three still agree.
    pub fn kill_one_sentinel(&mut self) {
        self.sentinels[0].1.kill();
        self.sentinels.remove(0);
    }
}

fn sentinel(dir: &TempDir, number: usize, master: u16) -> (u16, Process) {
    let port = free_port();
    let name = Sentinels::NAME;
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {name} 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds {name} 1000\nsentinel failover-timeout {name} 4000\n",
        dir.path().display()
    );
    let file = dir.path().join(format!("sentinel-{number}.conf"));
    std::fs::write(&file, text).expect("a temporary directory is writable");
    let process =
        Process::start(Command::new("redis-server").arg(file).arg("--sentinel"), "apt-get install redis-server");
    (port, process)
}

/// Three masters with a replica each.
pub struct RedisCluster {
    pub nodes: Vec<Redis>,
    _dir: TempDir,
}

impl RedisCluster {
    pub fn start() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let place = dir.path().display().to_string();
        let mut addresses = Vec::new();
        let nodes: Vec<Redis> = (0..6)
            .map(|number| {
                let (bus, file) = (free_port().to_string(), format!("nodes-{number}.conf"));
                // A replica takes its first copy over this file: shared, one would load another's.
                let copy = format!("copy-{number}.rdb");
                let node = Redis::with(&[
                    "--dir",
                    &place,
                    "--cluster-enabled",
                    "yes",
                    "--cluster-port",
                    &bus,
                    "--cluster-config-file",
                    &file,
                    "--dbfilename",
                    &copy,
                    "--cluster-node-timeout",
                    "1500",
                    "--repl-diskless-sync-delay",
                    "0",
                ]);
                addresses.push(format!("127.0.0.1:{}@{bus}", node.port()));
                node
            })
            .collect();
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(&addresses)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output()
            .expect("redis-cli comes with redis-server");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        let cluster = Self { nodes, _dir: dir };
        cluster.wait_until_whole(6);
        cluster
    }

    /// `redis+cluster://…`.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// Waits until every one of `alive` nodes sees all slots served, by `alive` nodes in all.
    pub fn wait_until_whole(&self, alive: usize) {
        eventually("the cluster should be whole", || {
            let whole = |node: &&Redis| {
                let info = node.try_command(&["CLUSTER", "INFO"]);
                let follows = node.try_command(&["INFO", "replication"]);
                info.is_some_and(|info| info.contains("cluster_state:ok"))
                    && follows.is_some_and(|info| !info.contains("master_link_status:down"))
            };
            // A replica that has not begun yet still calls itself a master.
            let following = |node: &&Redis| {
                node.try_command(&["INFO", "replication"]).is_some_and(|info| info.contains("master_link_status:up"))
            };
            let whole = self.nodes.iter().filter(whole).count() >= alive;
            (whole && self.nodes.iter().filter(following).count() + 3 >= alive).then_some(())
        });
    }

    /// The masters, by their number in `nodes`, with their ids.
    pub fn masters(&self) -> Vec<(usize, String)> {
        let ask = |node: &Redis| {
            let role = node.try_command(&["ROLE"])?;
            let id = node.try_command(&["CLUSTER", "MYID"])?;
            role.contains("master").then(|| id.lines().nth(1).unwrap_or_default().trim().to_owned())
        };
        self.nodes.iter().enumerate().filter_map(|(number, node)| Some((number, ask(node)?))).collect()
    }

    /// The master that holds most keys.
    pub fn busiest(&self) -> usize {
        let masters = self.masters().into_iter();
        masters.map(|(number, _)| number).max_by_key(|number| self.nodes[*number].keys().len()).expect("a master")
    }

    /// Every key of every master.
    pub fn keys(&self) -> Vec<String> {
        self.masters().into_iter().flat_map(|(number, _)| self.nodes[number].keys()).collect()
    }

    /// Moves the slots of every key to the next master, one slot after the other, with a pause in the middle of each move.
    pub fn move_everything(&self, pause: std::time::Duration) -> usize {
        let masters = self.masters();
        let mut moved = 0;
        let homes: Vec<_> = masters.iter().map(|(number, _)| self.nodes[*number].keys()).collect();
        for (index, keys) in homes.iter().enumerate() {
            let (from, from_id) = &masters[index];
            let (to, to_id) = &masters[(index + 1) % masters.len()];
            let (from, to) = (&self.nodes[*from], &self.nodes[*to]);
            for key in keys {
                let slot = from.command(&["CLUSTER", "KEYSLOT", key]).trim().trim_start_matches(':').to_owned();
                to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", from_id]);
                from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", to_id]);
                std::thread::sleep(pause);
                for key in words(&from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"])) {
                    from.command(&["MIGRATE", "127.0.0.1", &to.port().to_string(), &key, "0", "2000"]);
                }
                std::thread::sleep(pause);
                to.command(&["CLUSTER", "SETSLOT", &slot, "NODE", to_id]);
                from.command(&["CLUSTER", "SETSLOT", &slot, "NODE", to_id]);
                moved += 1;
            }
        }
        moved
    }
}

/// One command to a server that need not be a [`Redis`]; what it said, or nothing.
fn say(port: u16, words: &[&str]) -> String {
    super::redis::ask(port, words).unwrap_or_default()
}

/// The bulk strings of an answer.
fn words(answer: &str) -> Vec<String> {
    let words = answer.split("\r\n").filter(|line| !line.starts_with(['*', '$']) && !line.is_empty());
    words.map(str::to_owned).collect()
}

/// The value after a name in an answer that lists names and values.
fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let mut words = answer.split("\r\n").filter(|line| !line.starts_with(['*', '$']));
    words.find(|word| *word == name)?;
    words.next()
}
