//! Redis URLs: one server, a Unix socket, Sentinel, Cluster; read strictly, and never quoted in a message.

use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use super::{RedisAddress, RedisConfig, RedisCredentials, RedisServers, TlsFiles};
use crate::secret::StorePassword;

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// What is wrong with a URL of Redis, without its text: that may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the URL {wrong}: {remedy}")]
pub struct NotARedisUrl {
    pub(super) wrong: String,
    pub(super) remedy: &'static str,
}

impl FromStr for RedisConfig {
    type Err = NotARedisUrl;

    /// Reads a URL; `plaintext` is off and there are no certificates.
    fn from_str(url: &str) -> Result<Self, NotARedisUrl> {
        let parts = Parts::of(url)?;
        let (encrypted, kind) = match parts.scheme.split_once('+').unwrap_or((parts.scheme, "")) {
            ("redis", kind) => (false, kind),
            ("rediss", kind) if kind != "unix" => (true, kind),
            _ => return Err(wrong("is not one of Redis", "write redis://host:6379/0 or rediss://host:6379/0")),
        };
        let credentials = parts.credentials()?;
        let (servers, database) = match kind {
            "" => parts.one()?,
            "unix" => parts.unix()?,
            "sentinel" => parts.sentinel()?,
            "cluster" => parts.cluster()?,
            _ => return Err(wrong("is not one of Redis", "after the + comes unix, sentinel or cluster")),
        };
        Ok(Self { servers, database, credentials, encrypted, plaintext: false, tls: TlsFiles::default() })
    }
}

/// A URL in pieces, not yet decoded.
struct Parts<'u> {
    scheme: &'u str,
    user_info: Option<&'u str>,
    hosts: &'u str,
    /// With its leading slash, or empty.
    path: &'u str,
    query: Vec<(&'u str, &'u str)>,
}

impl<'u> Parts<'u> {
    fn of(url: &'u str) -> Result<Self, NotARedisUrl> {
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| wrong("has no ://", "write redis://host:6379/0, for example"))?;
        if rest.contains('#') {
            // Other clients read `#insecure` as "do not verify certificates".
            return Err(wrong(
                "carries a fragment",
                "end it before the #, written %23 in a password; TLS is always verified",
            ));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user_info, hosts) = match authority.rsplit_once('@') {
            Some((user_info, hosts)) => (Some(user_info), hosts),
            None => (None, authority),
        };
        let pair = |pair: &'u str| pair.split_once('=').unwrap_or((pair, ""));
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect();
        Ok(Self { scheme, user_info, hosts, path, query })
    }

    fn one(&self) -> Result<(RedisServers, u32), NotARedisUrl> {
        self.only(&[])?;
        let mut addresses = self.addresses(PORT)?;
        let address = addresses.remove(0);
        if !addresses.is_empty() {
            return Err(wrong("names several servers", "write redis+sentinel:// or redis+cluster://, or name one"));
        }
        Ok((RedisServers::One(address), database(self.path.trim_start_matches('/'))?))
    }

    fn unix(&self) -> Result<(RedisServers, u32), NotARedisUrl> {
        self.only(&["db"])?;
        if !self.hosts.is_empty() || self.path.len() < 2 {
            return Err(wrong("names no socket", "write redis+unix:///path/of/the/socket?db=0, with three slashes"));
        }
        let path = PathBuf::from(decoded(self.path)?);
        Ok((RedisServers::One(RedisAddress::Unix(path)), database(self.value("db").unwrap_or(""))?))
    }

    fn sentinel(&self) -> Result<(RedisServers, u32), NotARedisUrl> {
        self.only(&["sentinel_username", "sentinel_password"])?;
        let path = self.path.trim_start_matches('/');
        let (name, number) = path.split_once('/').unwrap_or((path, ""));
        if name.is_empty() {
            let remedy = "end it with /NAME, the one after `sentinel monitor` in sentinel.conf";
            return Err(wrong("does not name the primary", remedy));
        }
        let text = |key| self.value(key).map(decoded).transpose();
        let password = text("sentinel_password")?.map(StorePassword::new);
        let credentials = RedisCredentials { username: text("sentinel_username")?, password };
        if credentials.username.is_some() && credentials.password.is_none() {
            return Err(wrong("has a user for the sentinels without a password", "add sentinel_password=…"));
        }
        let (sentinels, name) = (self.addresses(SENTINEL_PORT)?, decoded(name)?);
        Ok((RedisServers::Sentinel { sentinels, name, credentials }, database(number)?))
    }

    fn cluster(&self) -> Result<(RedisServers, u32), NotARedisUrl> {
        self.only(&[])?;
        if !matches!(self.path, "" | "/" | "/0") {
            return Err(wrong("names a database, and a Cluster has none but 0", "end it after the last port"));
        }
        Ok((RedisServers::Cluster(self.addresses(PORT)?), 0))
    }

    fn credentials(&self) -> Result<RedisCredentials, NotARedisUrl> {
        let Some(user_info) = self.user_info else { return Ok(RedisCredentials::default()) };
        let (username, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        if password.is_empty() {
            return Err(wrong("has a user without a password", "write user:password@, or :password@ alone"));
        }
        let username = decoded(username)?;
        let password = Some(StorePassword::new(decoded(password)?));
        Ok(RedisCredentials { username: Some(username).filter(|name| !name.is_empty()), password })
    }

    fn addresses(&self, default: u16) -> Result<Vec<RedisAddress>, NotARedisUrl> {
        self.hosts.split(',').map(|text| address(text, default)).collect()
    }

    fn value(&self, key: &str) -> Option<&'u str> {
        self.query.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }

    fn only(&self, keys: &[&str]) -> Result<(), NotARedisUrl> {
        let doubled = |key: &str| self.query.iter().filter(|(name, _)| *name == key).count() > 1;
        if self.query.iter().any(|(key, _)| !keys.contains(key) || doubled(key)) {
            return Err(wrong(
                "has a parameter that is not known here, or one twice",
                "end it before the ?, written %3F in a password",
            ));
        }
        Ok(())
    }
}

fn address(text: &str, default: u16) -> Result<RedisAddress, NotARedisUrl> {
    let remedy = "write host:port, [::1]:port, or a list with commas and without spaces";
    let unusable = || wrong("has a server that is no host and port", remedy);
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(unusable)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| unusable())?;
            (host, port.strip_prefix(':').or(port.is_empty().then_some("")).ok_or_else(unusable)?)
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let in_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    if host.is_empty() || !host.bytes().all(in_a_name) {
        return Err(unusable());
    }
    let port = match port {
        "" => default,
        port => port.parse().ok().filter(|port| *port != 0).ok_or_else(unusable)?,
    };
    Ok(RedisAddress::Tcp(host.to_owned(), port))
}

fn database(text: &str) -> Result<u32, NotARedisUrl> {
    let unusable = |_| wrong("names a database that is not a number", "end it with /0");
    if text.is_empty() { Ok(0) } else { text.parse().map_err(unusable) }
}

fn decoded(text: &str) -> Result<String, NotARedisUrl> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(String::from).map_err(|_| wrong("holds percent escapes that are not UTF-8", "write the UTF-8 bytes"))
}

fn wrong(wrong: &str, remedy: &'static str) -> NotARedisUrl {
    NotARedisUrl { wrong: wrong.to_owned(), remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        url.parse::<RedisConfig>().map_or_else(|fault| fault.wrong, |config| config.to_string())
    }

    #[test]
    fn every_form_is_understood_and_shown_without_its_credentials() {
        for (url, understood) in [
            ("redis://host", "redis://host:6379/0"),
            ("rediss://me:pw@host:1/2", "rediss://…@host:1/2"),
            ("redis://:p%40ss@[::1]:7/", "redis://…@[::1]:7/0"),
            ("redis+unix:///run/redis.sock?db=3", "redis+unix:///run/redis.sock?db=3"),
            ("redis+sentinel://:pw@a,b:2/main", "redis+sentinel://…@a:26379,b:2/main/0"),
            ("rediss+sentinel://a:1/main/4?sentinel_password=x", "rediss+sentinel://a:1/main/4"),
            ("redis+cluster://me:pw@a:1,b:2,[::1]/", "redis+cluster://…@a:1,b:2,[::1]:6379"),
        ] {
            assert_eq!(shown(url), understood, "{url}");
        }
    }

    #[test]
    fn what_could_be_meant_in_two_ways_is_refused() {
        for (url, fault) in [
            ("redis://", "no host and port"),
            ("redis://a,b", "several servers"),
            ("redis://a:0", "no host and port"),
            ("redis://a:x", "no host and port"),
            ("redis://a b", "no host and port"),
            ("redis://::1", "no host and port"),
            ("redis://me@a", "without a password"),
            ("redis://a/?timeout=3", "not known here"),
            ("redis://a/main", "not a number"),
            ("redis://:p#w@a", "fragment"),
            ("rediss+unix:///x", "not one of Redis"),
            ("redis+unix://x", "no socket"),
            ("redis+unix:///x?db=1&db=2", "twice"),
            ("redis+sentinel://a:1", "name the primary"),
            ("redis+sentinel://a:1/m?sentinel_username=u", "without a password"),
            ("redis+cluster://a:1/1", "none but 0"),
            ("redis+cluster://a:1,", "no host and port"),
            ("redis+ring://a", "not one of Redis"),
        ] {
            assert!(shown(url).contains(fault), "{url}: {}", shown(url));
        }
    }

    #[test]
    fn credentials_are_decoded_and_never_printed() {
        let config: RedisConfig =
            "redis+sentinel://me:p%2Fw@a/m?sentinel_username=s&sentinel_password=q%26".parse().unwrap();
        assert_eq!(config.credentials.username.as_deref(), Some("me"));
        assert_eq!(config.credentials.password.as_ref().unwrap().expose(), "p/w");
        let RedisServers::Sentinel { credentials, .. } = &config.servers else { panic!("{config}") };
        assert_eq!(credentials.password.as_ref().unwrap().expose(), "q&");
        let printed = format!("{config} {config:?} {:?}", config.servers);
        assert!(!printed.contains("p/w") && !printed.contains("q&"), "{printed}");
    }
}
