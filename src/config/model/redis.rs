//! Where Redis is: one server, the servers behind Sentinel, or a Cluster, and how to get in.

use std::fmt;
use std::path::PathBuf;

use super::TlsFiles;
use crate::config::is_loopback_host;
use crate::secret::StorePassword;

/// Redis as the `url` of `[store]` names it. Printed without credentials: `…@` stands for them.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisConfig {
    /// Which servers.
    pub servers: RedisServers,
    /// The database; a Cluster has none but 0.
    pub database: u32,
    /// Who we are.
    pub credentials: RedisCredentials,
    /// Whether connections are TLS; to sentinels as well.
    pub encrypted: bool,
    /// Whether servers beyond loopback may be spoken to without TLS. Sentinels and Clusters name further servers later.
    pub plaintext: bool,
    /// Certificates for TLS.
    pub tls: TlsFiles,
}

/// How many servers there are, and who says which one to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisServers {
    /// One server.
    One(RedisAddress),
    /// One primary and its replicas, watched by sentinels.
    Sentinel {
        /// The sentinels.
        sentinels: Vec<RedisAddress>,
        /// The name they know the primary by.
        name: String,
        /// Who we are to the sentinels; their users are not those of the servers.
        credentials: RedisCredentials,
    },
    /// A Cluster, by some of its nodes.
    Cluster(Vec<RedisAddress>),
}

/// Where one server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RedisAddress {
    /// A name or an address without brackets, and a port.
    Tcp(String, u16),
    /// A socket of this machine.
    Unix(PathBuf),
}

/// Who we are to a server; nobody in particular by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisCredentials {
    /// The ACL user; `None` is `default`.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<StorePassword>,
}

impl RedisAddress {
    /// Whether what is said to it stays on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Tcp(host, _) => is_loopback_host(host),
            Self::Unix(_) => true,
        }
    }
}

impl RedisConfig {
    /// The servers that the configuration names.
    #[must_use]
    pub fn addresses(&self) -> &[RedisAddress] {
        match &self.servers {
            RedisServers::One(address) => std::slice::from_ref(address),
            RedisServers::Sentinel { sentinels, .. } => sentinels,
            RedisServers::Cluster(nodes) => nodes,
        }
    }

    /// Whether `other` names the same servers in the same way, so that only the way in differs.
    #[must_use]
    pub fn same_servers(&self, other: &Self) -> bool {
        let names = |servers: &RedisServers| match servers {
            RedisServers::One(address) => (vec![address.clone()], None, false),
            RedisServers::Sentinel { sentinels, name, .. } => (sentinels.clone(), Some(name.clone()), false),
            RedisServers::Cluster(nodes) => (nodes.clone(), None, true),
        };
        names(&self.servers) == names(&other.servers)
            && (self.database, self.encrypted) == (other.database, other.encrypted)
    }
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encrypted { "rediss" } else { "redis" };
        let who = if self.credentials.password.is_some() { "…@" } else { "" };
        let list = self.addresses().iter().map(RedisAddress::to_string).collect::<Vec<_>>().join(",");
        match &self.servers {
            RedisServers::One(RedisAddress::Unix(_)) => write!(f, "redis+unix://{who}{list}?db={}", self.database),
            RedisServers::One(_) => write!(f, "{scheme}://{who}{list}/{}", self.database),
            RedisServers::Sentinel { name, .. } => {
                write!(f, "{scheme}+sentinel://{who}{list}/{name}/{}", self.database)
            }
            RedisServers::Cluster(_) => write!(f, "{scheme}+cluster://{who}{list}"),
        }
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig").field("url", &self.to_string()).field("tls", &self.tls).finish_non_exhaustive()
    }
}
