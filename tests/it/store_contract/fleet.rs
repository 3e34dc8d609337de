//! Several real servers that work together: a primary with replicas and sentinels, a Cluster of three primaries and three
//! replicas.

use std::time::{Duration, Instant};

use cloakroom::config::RedisConfig;

use super::server::{RedisProcess, free_port};

/// A primary, two replicas and three sentinels.
pub(crate) struct Sentinels {
    pub(crate) servers: Vec<RedisProcess>,
    pub(crate) sentinels: Vec<RedisProcess>,
}

impl Sentinels {
    pub(crate) fn start() -> Self {
        let primary = RedisProcess::start();
        let of = primary.port().to_string();
        let mut servers = vec![primary];
        servers.extend((0..2).map(|_| RedisProcess::with(&["--replicaof", "127.0.0.1", &of])));
        let sentinels: Vec<_> = (0..3).map(|_| RedisProcess::sentinel(&of)).collect();
        let fleet = Self { servers, sentinels };
        eventually("every sentinel knows the others and both replicas", || {
            fleet.sentinels.iter().all(|sentinel| {
                let known = sentinel.say(&["SENTINEL", "MASTER", "main"]);
                field(&known, "num-slaves") == "2" && field(&known, "num-other-sentinels") == "2"
            })
        });
        eventually("both replicas are in step", || {
            fleet.servers[1..]
                .iter()
                .all(|server| server.say(&["INFO", "replication"]).contains("master_link_status:up"))
        });
        fleet
    }

    pub(crate) fn config(&self) -> RedisConfig {
        let hosts: Vec<_> = self.sentinels.iter().map(|one| format!("127.0.0.1:{}", one.port())).collect();
        format!("redis+sentinel://{}/main", hosts.join(",")).parse().unwrap()
    }

    /// The port of the server that the sentinels name.
    pub(crate) fn primary(&self) -> u16 {
        let named = self.sentinels[1].say(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"]);
        named.trim_end().rsplit("\r\n").next().unwrap().parse().unwrap()
    }

    /// Waits until `replicas` have everything.
    pub(crate) fn replicated(&self, replicas: u8) {
        let said = self.servers[0].say(&["WAIT", &replicas.to_string(), "2000"]);
        assert_eq!(said.trim(), format!(":{replicas}"));
    }
}

/// Three primaries, each with a replica.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<RedisProcess>,
}

/// The slots of the primaries, in order.
const RANGES: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];

impl Cluster {
    pub(crate) fn start() -> Self {
        let buses: Vec<String> = (0..6).map(|_| free_port().to_string()).collect();
        let member = |bus: &String| {
            RedisProcess::with(&["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", bus])
        };
        let nodes: Vec<_> = buses.iter().map(member).collect();
        for (number, (node, (first, last))) in nodes.iter().zip(RANGES).enumerate() {
            assert_eq!(node.say(&["CLUSTER", "ADDSLOTSRANGE", first, last]), "+OK\r\n");
            assert_eq!(node.say(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]), "+OK\r\n");
        }
        for (node, bus) in nodes.iter().zip(&buses).skip(1) {
            let met = nodes[0].say(&["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string(), bus]);
            assert_eq!(met, "+OK\r\n");
        }
        let cluster = Self { nodes };
        cluster.agreed("cluster_known_nodes:6");
        for number in 3..6 {
            let of = cluster.id(number - 3);
            eventually("a replica knows its primary", || {
                cluster.nodes[number].say(&["CLUSTER", "REPLICATE", &of]) == "+OK\r\n"
            });
        }
        cluster.agreed("cluster_state:ok");
        eventually("every replica is in step", || {
            cluster.nodes[3..].iter().all(|node| node.say(&["INFO", "replication"]).contains("master_link_status:up"))
        });
        eventually("every node knows every replica", || {
            cluster.nodes.iter().all(|node| node.say(&["CLUSTER", "SLOTS"]).matches("127.0.0.1").count() == 6)
        });
        cluster
    }

    /// Names two of the six.
    pub(crate) fn config(&self) -> RedisConfig {
        let [first, .., last] = &*self.nodes else { panic!("a cluster has nodes") };
        format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", first.port(), last.port()).parse().unwrap()
    }

    pub(crate) fn id(&self, number: usize) -> String {
        self.nodes[number].say(&["CLUSTER", "MYID"]).split("\r\n").nth(1).unwrap().to_owned()
    }

    pub(crate) fn empty(&self) {
        for node in &self.nodes[..3] {
            assert_eq!(node.say(&["FLUSHALL"]), "+OK\r\n");
        }
    }

    /// The slot of a key, by the server's own word.
    pub(crate) fn slot(&self, name: &str) -> u16 {
        self.nodes[0].say(&["CLUSTER", "KEYSLOT", name]).trim().trim_start_matches(':').parse().unwrap()
    }

    /// The primary that has `slot`, by the ranges it began with.
    pub(crate) fn home(slot: u16) -> usize {
        RANGES.iter().position(|(_, last)| slot <= last.parse().unwrap()).unwrap()
    }

    fn agreed(&self, what: &str) {
        eventually(what, || self.nodes.iter().all(|node| node.say(&["CLUSTER", "INFO"]).contains(what)));
    }
}

/// The value after `name` in a flat list of names and values.
fn field<'a>(answer: &'a str, name: &str) -> &'a str {
    let mut lines = answer.split("\r\n").skip_while(|line| *line != name);
    lines.nth(2).unwrap_or_default()
}

pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "it never came about that {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
