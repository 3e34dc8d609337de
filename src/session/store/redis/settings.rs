//! How to get into the servers: credentials and certificates, as the configuration has them now.

use std::path::Path;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo as _, ProtocolVersion, RedisConnectionInfo};
use redis::{RedisError, TlsCertificates};

use crate::config::{RedisAddress, RedisConfig, RedisCredentials, RedisServers, TlsFiles};
use crate::secret::StorePassword;
use crate::session::store::StoreError;

/// A peer that vanished without a word is noticed by the kernel after this.
const USER_TIMEOUT: Duration = Duration::from_secs(5);

/// An idle connection is probed, so that firewalls do not forget it.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// One state of the configuration, its certificates read.
pub(super) struct Settings {
    pub(super) config: RedisConfig,
    /// An address with the certificates that all others get as well.
    tls: Option<ConnectionAddr>,
}

impl Settings {
    /// Reads the certificates; contacts nothing.
    pub(super) fn new(config: RedisConfig) -> Result<Self, StoreError> {
        let tls = config.encrypted.then(|| with_certificates(&config.tls)).transpose()?;
        Ok(Self { config, tls })
    }

    /// A client for one of the servers, or the reason why there is none: sentinels and clusters name servers themselves.
    pub(super) fn server(&self, address: &RedisAddress) -> Result<Client, String> {
        self.client(address, &self.config.credentials, self.config.database)
    }

    /// A client for a sentinel, which has users of its own and no databases.
    pub(super) fn sentinel(&self, address: &RedisAddress, credentials: &RedisCredentials) -> Result<Client, String> {
        self.client(address, credentials, 0)
    }

    /// Whether `text` holds one of the passwords.
    pub(super) fn are_given_away(&self, text: &str) -> bool {
        let mut users = vec![&self.config.credentials];
        if let RedisServers::Sentinel { credentials, .. } = &self.config.servers {
            users.push(credentials);
        }
        let mut passwords = users.into_iter().filter_map(|user| user.password.as_ref()).map(StorePassword::expose);
        passwords.any(|password| !password.is_empty() && text.contains(password))
    }

    /// RESP3, because its connections notice at once when the server hangs up.
    fn client(&self, address: &RedisAddress, who: &RedisCredentials, database: u32) -> Result<Client, String> {
        if !self.config.encrypted && !self.config.plaintext && !address.is_loopback() {
            return Err("is plain redis beyond loopback: write rediss, or add `plaintext = true` to [store]".to_owned());
        }
        // `CLIENT SETINFO` would be one more command for an ACL to permit, and Redis before 7.2 does not know it.
        let mut redis = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_db(database.into())
            .set_skip_set_lib_name();
        if let Some(password) = &who.password {
            redis = redis.set_password(password.expose());
        }
        if let Some(username) = &who.username {
            redis = redis.set_username(username);
        }
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_user_timeout(USER_TIMEOUT)
            .set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE));
        let info = self.address(address).into_connection_info().map_err(|error| error.to_string())?;
        Client::open(info.set_tcp_settings(tcp).set_redis_settings(redis)).map_err(|error| error.to_string())
    }

    fn address(&self, address: &RedisAddress) -> ConnectionAddr {
        match (address, &self.tls) {
            (RedisAddress::Unix(path), _) => ConnectionAddr::Unix(path.clone()),
            (RedisAddress::Tcp(host, port), Some(ConnectionAddr::TcpTls { tls_params, .. })) => {
                ConnectionAddr::TcpTls {
                    host: host.clone(),
                    port: *port,
                    insecure: false,
                    tls_params: tls_params.clone(),
                }
            }
            (RedisAddress::Tcp(host, port), _) => ConnectionAddr::Tcp(host.clone(), *port),
        }
    }
}

fn with_certificates(files: &TlsFiles) -> Result<ConnectionAddr, StoreError> {
    // Checked by the code that all outbound TLS goes through: it names the file and what is wrong with it.
    crate::tls::client_config(files).map_err(|error| StoreError(error.to_string()))?;
    let client_tls = match (&files.client_cert, &files.client_key) {
        (Some(cert), Some(key)) => Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? }),
        _ => None,
    };
    let certificates = TlsCertificates { client_tls, root_cert: files.ca.as_deref().map(read).transpose()? };
    let anywhere = ConnectionAddr::TcpTls { host: "localhost".to_owned(), port: 0, insecure: false, tls_params: None };
    let unusable = |error: RedisError| StoreError(error.to_string());
    let client = Client::build_with_tls(anywhere, certificates).map_err(unusable)?;
    Ok(client.get_connection_info().addr().clone())
}

fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    std::fs::read(path).map_err(|error| StoreError(format!("{}: {error}", path.display())))
}
