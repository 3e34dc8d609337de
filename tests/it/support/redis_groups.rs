//! Several `redis-server` processes as operators run them: a master with replicas under three Sentinels, and a Cluster of
//! three masters with a replica each.

use std::collections::BTreeSet;
use std::time::Duration;

use cloakroom::config::RedisConfig;

use super::{Redis, eventually, free_port};

/// A master, its replicas, and three Sentinels of which two must agree that it is gone.
pub struct Sentinels {
    /// The master that it begins with, then its replicas.
    pub servers: Vec<Redis>,
    pub sentinels: Vec<Redis>,
}

impl Sentinels {
    /// What the Sentinels call the group.
    pub const NAME: &str = "main";

    pub fn start(replicas: usize, down_after: Duration) -> Self {
        let master = Redis::start();
        let port = master.port().to_string();
        let mut servers = vec![master];
        servers.extend((0..replicas).map(|_| Redis::with(&["--replicaof", "127.0.0.1", &port])));
        let name = Self::NAME;
        let settings = format!(
            "sentinel monitor {name} 127.0.0.1 {port} 2\nsentinel down-after-milliseconds {name} {}\n\
             sentinel failover-timeout {name} 4000\nsentinel parallel-syncs {name} {replicas}\n",
            down_after.as_millis()
        );
        let sentinels = (0..3).map(|_| Redis::sentinel(&settings)).collect();
        let group = Self { servers, sentinels };
        eventually("every replica should follow", || {
            group.servers[1..].iter().all(|replica| replica.follows()).then_some(())
        });
        eventually("every Sentinel should know the others and the replicas", || {
            let knows = |sentinel: &Redis| {
                let said = sentinel.command(&["SENTINEL", "MASTER", name]);
                let counts = |what, count: usize| field(&said, what) == Some(&count.to_string());
                counts("num-slaves", replicas) && counts("num-other-sentinels", 2)
            };
            group.sentinels.iter().all(knows).then_some(())
        });
        group
    }

    /// `redis+sentinel://…`.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect();
        format!("redis+sentinel://{}/{}", hosts.join(","), Self::NAME)
    }

    /// The same, as a store is configured for it.
    pub fn config(&self) -> RedisConfig {
        self.url().parse().expect("the URL is one of Redis")
    }

    /// The port of the master, by the word of the last Sentinel.
    pub fn master(&self) -> u16 {
        let named = self.sentinels[2].command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::NAME]);
        named.trim_end().rsplit("\r\n").next().and_then(|port| port.parse().ok()).expect("a Sentinel names the master")
    }

    /// Waits until what the master acknowledged has reached every replica: what Redis can promise about a fail-over.
    pub fn settle(&self) {
        let (master, replicas) = self.servers.split_first().expect("a group has a master");
        have_what(master, &replicas.iter().collect::<Vec<_>>());
    }

    /// Waits until the Sentinels that are left have made the replica the master.
    pub fn wait_for_failover(&self) {
        let port = self.servers[1].port().to_string();
        eventually("the Sentinels should fail over", || {
            let role = self.servers[1].try_command(&["ROLE"])?;
            let told = self.sentinels.iter().all(|sentinel| {
                let named = sentinel.try_command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::NAME]);
                named.is_some_and(|named| named.contains(&port))
            });
            (role.contains("master") && told).then_some(())
        });
    }

    /// Kills one Sentinel; two of three still agree.
    pub fn kill_one_sentinel(&mut self) {
        self.sentinels.remove(0).kill();
    }
}

/// Three masters with a replica each: node 3 follows node 0, and so on.
pub struct RedisCluster {
    pub nodes: Vec<Redis>,
}

/// The slots that the masters begin with, in order.
const RANGES: [(u16, u16); 3] = [(0, 5460), (5461, 10_922), (10_923, 16_383)];

impl RedisCluster {
    pub fn start() -> Self {
        let buses: Vec<String> = (0..6).map(|_| free_port().to_string()).collect();
        let member = |bus: &String| {
            Redis::with(&["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", bus])
        };
        let cluster = Self { nodes: buses.iter().map(member).collect() };
        let agrees = |node: &Redis, words: &[&str]| assert_eq!(node.command(words), "+OK\r\n", "{words:?}");
        for (number, (node, (first, last))) in cluster.nodes.iter().zip(RANGES).enumerate() {
            agrees(node, &["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
            agrees(node, &["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
        }
        for (node, bus) in cluster.nodes.iter().zip(&buses).skip(1) {
            agrees(&cluster.nodes[0], &["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string(), bus]);
        }
        for (replica, master) in cluster.nodes[3..].iter().zip(&cluster.nodes) {
            eventually("a replica should know its master", || {
                (replica.command(&["CLUSTER", "REPLICATE", &master.id()]) == "+OK\r\n").then_some(())
            });
        }
        cluster.wait_until_whole(6);
        cluster
    }

    /// `redis+cluster://…`, by two of the nodes.
    pub fn url(&self) -> String {
        format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", self.nodes[0].port(), self.nodes[5].port())
    }

    /// The same, as a store is configured for it.
    pub fn config(&self) -> RedisConfig {
        self.url().parse().expect("the URL is one of Redis")
    }

    /// Waits until `alive` nodes see every slot served and agree on by whom, and each replica among them follows.
    pub fn wait_until_whole(&self, alive: usize) {
        eventually("the Cluster should be whole", || {
            let views: Vec<_> = self.nodes.iter().filter_map(view).collect();
            let one_view = views.iter().collect::<BTreeSet<_>>().len() == 1;
            let following = self.nodes.iter().filter(|node| node.follows()).count();
            (views.len() >= alive && one_view && following + RANGES.len() >= alive).then_some(())
        });
    }

    /// Waits until everyone knows whose slots are whose, and every replica has what its master acknowledged: what Redis
    /// can promise about a fail-over.
    pub fn settle(&self) {
        self.wait_until_whole(6);
        for (master, replica) in self.nodes.iter().zip(&self.nodes[3..]) {
            have_what(master, &[replica]);
        }
    }

    /// The masters, by their number in `nodes`, with their ids.
    pub fn masters(&self) -> Vec<(usize, String)> {
        let is_master = |node: &Redis| node.try_command(&["ROLE"]).is_some_and(|role| role.contains("master"));
        let masters = self.nodes.iter().enumerate().filter(|(_, node)| is_master(node));
        masters.map(|(number, node)| (number, node.id())).collect()
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

    /// Empties the masters that it began with.
    pub fn empty(&self) {
        for node in &self.nodes[..RANGES.len()] {
            assert_eq!(node.command(&["FLUSHALL"]), "+OK\r\n");
        }
    }

    /// The slot of a key, by the server's own word.
    pub fn slot(&self, name: &str) -> u16 {
        let slot = self.nodes[0].command(&["CLUSTER", "KEYSLOT", name]);
        slot.trim().trim_start_matches(':').parse().expect("KEYSLOT answers with a number")
    }

    /// The master that began with `slot`.
    pub fn home(slot: u16) -> usize {
        RANGES.iter().position(|(_, last)| slot <= *last).expect("there are 16,384 slots")
    }

    /// Moves the slots of every key to the next master, one slot after the other, with a pause in the middle of each move.
    pub fn move_everything(&self, pause: Duration) -> usize {
        let masters = self.masters();
        let mut moved = 0;
        let homes: Vec<_> = masters.iter().map(|(number, _)| self.nodes[*number].keys()).collect();
        for (index, keys) in homes.iter().enumerate() {
            let (from, from_id) = &masters[index];
            let (to, to_id) = &masters[(index + 1) % masters.len()];
            let (from, to) = (&self.nodes[*from], &self.nodes[*to]);
            for key in keys {
                let slot = self.slot(key).to_string();
                to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", from_id]);
                from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", to_id]);
                std::thread::sleep(pause);
                for key in words(&from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"])) {
                    from.command(&["MIGRATE", "127.0.0.1", &to.port().to_string(), key, "0", "2000"]);
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

/// Who serves which slots, as a node sees it that finds its Cluster in order, its own master included.
fn view(node: &Redis) -> Option<BTreeSet<String>> {
    node.try_command(&["CLUSTER", "INFO"]).filter(|info| info.contains("cluster_state:ok"))?;
    node.try_command(&["INFO", "replication"]).filter(|info| !info.contains("master_link_status:down"))?;
    let nodes = node.try_command(&["CLUSTER", "NODES"])?;
    // id, address, flags, master, ping, pong, epoch, link, slots …
    let served = nodes.lines().filter_map(|line| {
        let words: Vec<_> = line.split(' ').collect();
        (words.len() > 8).then(|| format!("{} {}", words[0], words[8..].join(" ")))
    });
    Some(served.collect())
}

/// Waits until `replicas` have all that `master` has written so far. WAIT would not do: it speaks of the writes of its own
/// connection only.
fn have_what(master: &Redis, replicas: &[&Redis]) {
    let written = master.replicated_to().expect("a master says how far it is");
    eventually("the replicas should have everything", || {
        replicas.iter().all(|replica| replica.replicated_to().is_some_and(|here| here >= written)).then_some(())
    });
}

/// The bulk strings of an answer.
fn words(answer: &str) -> impl Iterator<Item = &str> {
    answer.split("\r\n").filter(|line| !line.starts_with(['*', '$']) && !line.is_empty())
}

/// The value after a name in an answer that lists names and values.
fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let mut words = words(answer);
    words.find(|word| *word == name)?;
    words.next()
}
