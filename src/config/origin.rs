//! An origin: scheme, host and port, exactly as a browser names a site (RFC 6454 §4).

use std::fmt;
use std::net::IpAddr;

/// The scheme of an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Only on loopback.
    Http,
    /// Everywhere else.
    Https,
}

impl Scheme {
    /// The scheme's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that is left out when an origin is written.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The origin of a site: `https://app.example`, or on loopback `http://one.localhost:8080`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: Scheme,
    port: u16,
    /// As browsers write it; requests are compared with parts of this.
    text: String,
    /// How much of it, after the scheme, is the host.
    host: usize,
}

/// The text is not an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAnOrigin(pub &'static str);

impl Origin {
    /// Reads `scheme://host[:port]`, the host in lower-case ASCII, nothing after it.
    ///
    /// # Errors
    /// [`NotAnOrigin`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, NotAnOrigin> {
        let url = url::Url::parse(text).map_err(|_| NotAnOrigin("is not a URL"))?;
        let scheme = match url.scheme() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return Err(NotAnOrigin("must start with https://")),
        };
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let origin = Self {
            scheme,
            port: url.port().unwrap_or(scheme.default_port()),
            text: format!("{}://{host}{port}", scheme.as_str()),
            host: host.len(),
        };
        // The parser repairs a lot (case, IDNA, a trailing slash); an origin is written the way browsers write it.
        if origin.text != text {
            return Err(NotAnOrigin(
                "must be scheme://host[:port], in lower case, without path, default port or user name",
            ));
        }
        if origin.host().ends_with('.') {
            return Err(NotAnOrigin("must not end with a dot"));
        }
        Ok(origin)
    }

    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, lower case; an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.authority()[..self.host]
    }

    /// The port, the scheme's default included.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as a `Host` header has them.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.text[self.scheme.as_str().len() + "://".len()..]
    }

    /// The origin as browsers write it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the host is this machine: `localhost`, `*.localhost` (RFC 6761 §6.3) or a loopback address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback_host(self.host())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether `host` is this machine: `localhost`, `*.localhost` (RFC 6761 §6.3) or a loopback address, IPv6 in brackets or not.
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
