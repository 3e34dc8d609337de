//! The proxies beside the gateway, and the upstream behind all of them: how each is set up and started.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::client::authority;
use crate::gateway::{Redis, cpu_of, free_port, stop, wait_for};
use crate::stage::{CLIENT_ID, Stage};
use crate::{BODIES, LIFE};

/// The core of the one that is measured.
pub(crate) const MEASURED: &str = "0";

/// The core of the upstream, of Redis, and of the load.
pub(crate) const REST: &str = "1";

/// The file at the upstream that tells which token came with the request for it.
pub(crate) const SEEN: &str = "seen";

/// Where Debian keeps Apache's modules.
const MODULES: &str = "/usr/lib/apache2/modules";

/// Of Apache's one process: twice the connections of the load, since it closes connections when all its threads are busy.
const THREADS: u32 = 128;

/// Programs, and the packages of Debian that bring them.
const NEEDED: [(&str, &str); 7] = [
    ("taskset", "util-linux"),
    ("nginx", "nginx"),
    ("haproxy", "haproxy"),
    ("apache2", "apache2"),
    ("redis-server", "redis-server"),
    ("openssl", "openssl"),
    ("wrk", "wrk"),
];

/// Says all that has to be installed first, or nothing.
pub(crate) fn missing() -> Option<String> {
    let runs = |program: &str| {
        Command::new(program)
            .arg("-v")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok()
    };
    let mut packages: Vec<_> =
        NEEDED.iter().filter(|(program, _)| !runs(program)).map(|(_, package)| *package).collect();
    if !Path::new(MODULES).join("mod_auth_openidc.so").exists() {
        packages.push("libapache2-mod-auth-openidc");
    }
    (!packages.is_empty()).then(|| format!("install what is missing: apt-get install {}", packages.join(" ")))
}

/// A proxy or the upstream; it ends with this.
pub(crate) struct Process {
    child: Child,
    pub(crate) port: u16,
}

impl Process {
    /// Starts it with the configuration that `config` writes for a port.
    fn start(dir: &Path, core: &str, words: &[&str], config: impl Fn(u16) -> String) -> Self {
        let (name, port) = (words[0], free_port());
        let file = dir.join(format!("{name}-{port}.conf"));
        std::fs::write(&file, config(port)).expect("a temporary directory is writable");
        let mut command = Command::new("taskset");
        let child = command.args(["-c", core]).args(words).arg(file).stderr(Stdio::null()).spawn();
        let process = Self { child: child.expect("taskset is installed"), port };
        wait_for(port);
        process
    }

    pub(crate) fn cpu(&self) -> Duration {
        cpu_of(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// Static files, and what came in as `Authorization` under the name [`SEEN`].
pub(crate) fn upstream(dir: &Path, prefixes: &[&str]) -> Process {
    for (name, bytes, _) in BODIES {
        let text = format!("{{\"items\":\"{}\"}}", "x".repeat(bytes - 12));
        std::fs::write(dir.join(name), text).expect("a temporary directory is writable");
    }
    let told = |prefix: &&str| format!("location = {prefix}/{SEEN} {{ return 200 \"$http_authorization\"; }} ");
    let (root, seen) = (dir.display(), prefixes.iter().map(told).collect::<String>());
    Process::start(dir, REST, &["nginx", "-c"], |port| {
        nginx_with(
            dir,
            port,
            &format!(
                "server {{ listen 127.0.0.1:{port}; default_type application/json; root {root}; {seen}\
                 location / {{ rewrite ^.*/([^/]+)$ /$1 break; }} }}"
            ),
        )
    })
}

pub(crate) fn nginx(dir: &Path, upstream: u16) -> Process {
    Process::start(dir, MEASURED, &["nginx", "-c"], |port| {
        nginx_with(
            dir,
            port,
            &format!(
                "upstream up {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000000; }}\n\
                 server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://up; proxy_http_version 1.1; \
                 proxy_set_header Connection \"\"; }} }}"
            ),
        )
    })
}

/// The provider behind TLS, which mod_auth_openidc insists on when its addresses are written by hand.
pub(crate) fn provider(dir: &Path, stage: &Stage) -> Process {
    let (key, certificate) = (dir.join("key.pem"), dir.join("certificate.pem"));
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=127.0.0.1 -days 1";
    let mut made = Command::new("openssl");
    made.args(words.split(' ')).arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    let made = made.output().expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (key, certificate, inner) = (key.display(), certificate.display(), stage.url());
    Process::start(dir, REST, &["nginx", "-c"], |port| {
        nginx_with(
            dir,
            port,
            &format!(
                "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {certificate}; ssl_certificate_key {key}; \
                 location / {{ proxy_pass {inner}; }} }}"
            ),
        )
    })
}

/// nginx as one process with one thread.
fn nginx_with(dir: &Path, port: u16, http: &str) -> String {
    let dir = dir.display();
    format!(
        "daemon off; master_process off; user root; pid {dir}/nginx-{port}.pid; error_log /dev/null; events {{ worker_connections 1024; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; sendfile on; tcp_nodelay on; {http} }}\n"
    )
}

pub(crate) fn haproxy(dir: &Path, upstream: u16) -> Process {
    Process::start(dir, MEASURED, &["haproxy", "-db", "-f"], |port| {
        format!(
            "global\n  nbthread 1\n  maxconn 1024\ndefaults\n  mode http\n  http-reuse always\n  timeout connect 5s\n  \
             timeout client 60s\n  timeout server 60s\nfrontend in\n  bind 127.0.0.1:{port}\n  default_backend up\n\
             backend up\n  server up 127.0.0.1:{upstream}\n"
        )
    })
}

/// Apache with mod_auth_openidc, set up so that it has the least to do for a request: the provider's addresses by hand, since
/// it looks for metadata in Redis each time otherwise; no claims in headers; no cookies taken out; the session written back
/// once a minute at the most. What it keeps in Redis is sealed, as it is by default, and as the gateway's sessions are.
pub(crate) fn apache(dir: &Path, upstream: u16, redis: &Redis, stage: &Stage, provider: u16) -> Process {
    let modules =
        ["mpm_event", "authn_core", "authz_core", "authz_user", "headers", "proxy", "proxy_http", "auth_openidc"];
    let load = |name: &str| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n");
    let (loaded, root, issuer, store) = (modules.map(load).concat(), dir.display(), stage.url(), redis.address());
    Process::start(dir, MEASURED, &["apache2", "-DFOREGROUND", "-f"], |port| {
        let (own, provider) = (authority(port), format!("https://127.0.0.1:{provider}"));
        format!(
            "ServerRoot {root}\nDefaultRuntimeDir {root}\nPidFile {root}/apache.pid\nListen 127.0.0.1:{port}\nServerName {own}\n\
             User www-data\nGroup www-data\nErrorLog /dev/null\nLogLevel emerg\n{loaded}\
             StartServers 1\nServerLimit 1\nThreadLimit {THREADS}\nThreadsPerChild {THREADS}\n\
             MaxRequestWorkers {THREADS}\nMinSpareThreads 1\nMaxSpareThreads {THREADS}\n\
             KeepAlive On\nMaxKeepAliveRequests 0\nKeepAliveTimeout 60\n\
             OIDCProviderIssuer {issuer}\nOIDCProviderAuthorizationEndpoint {provider}/authorize\n\
             OIDCProviderTokenEndpoint {provider}/token\nOIDCProviderJwksUri {provider}/jwks\nOIDCSSLValidateServer Off\n\
             OIDCClientID {CLIENT_ID}\nOIDCClientSecret nobody-asks-for-it\nOIDCPKCEMethod S256\n\
             OIDCRedirectURI http://{own}/bff/callback\nOIDCCryptoPassphrase of-this-measurement-alone\n\
             OIDCSessionType server-cache\nOIDCSessionInactivityTimeout {LIFE}\nOIDCSessionMaxDuration {LIFE}\n\
             OIDCCacheType redis\nOIDCRedisCacheServer {store}\n\
             <Location />\nAuthType openid-connect\nRequire valid-user\nOIDCPassClaimsAs environment\n\
             RequestHeader set Authorization \"Bearer %{{OIDC_access_token}}e\"\n\
             ProxyPass http://127.0.0.1:{upstream}/ ttl=60\n</Location>\n"
        )
    })
}
