//! The configuration as an operator meets it: from text to meaning, or to faults that name key and remedy.

mod faults;
mod files;
mod operators;
mod profiles;
mod reference;
mod refusals;
mod secrets;
mod signing_keys;
mod sites;

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const KEY_ONE: &str = "3q2-7wEBh1f_CnZ0Jx5mS8tUoYbLrKdVgP4iQzWcA9E";
const KEY_TWO: &str = "hK8sVt0Qm3RrZb1NfYx6Lw_ePcJ2uDgT-aO5iE7lSvM";
const SECRET: &str = "s3cr3t-of-the-client";

/// A site beyond loopback with nothing but what is required.
const SITE: &str = r#"
[[site]]
origin = "https://app.example"
[site.session]
keys = [{ env = "KEY_ONE" }]
[[site.provider]]
issuer = "https://id.example"
client_id = "app"
client_secret = { env = "SECRET" }
[[site.route]]
path = "/api"
upstream = "https://api.example"
"#;

/// A site on loopback with nothing but what is required.
const LOCAL: &str = r#"
[[site]]
origin = "http://app.localhost:8080"
[[site.provider]]
issuer = "http://127.0.0.1:9000"
client_id = "app"
client_auth = "none"
"#;

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "KEY_ONE" | "APP_ONE_KEY" | "APP_KEY" | "CLOAKROOM_KEY" => KEY_ONE,
        "KEY_TWO" | "APP_TWO_KEY" => KEY_TWO,
        "SECRET" | "APP_ONE_SECRET" | "APP_TWO_SECRET" | "APP_SECRET" => SECRET,
        "ADMIN_TOKEN" => "VJr0rQ2xk9m4yT7p",
        "REDIS_URL" => "rediss://user:p4ssw0rd@redis.example:6379/0",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

fn understood(text: &str) -> Config {
    read_text(Path::new("gateway.toml"), text, &environment).unwrap_or_else(|faults| panic!("{faults}"))
}

fn faults_of(text: &str) -> Vec<Fault> {
    read_text(Path::new("gateway.toml"), text, &environment).expect_err("has faults").0
}

/// Every key that has a value.
fn values() -> Vec<String> {
    let is_value = |(path, key): (String, &schema::Key)| matches!(key.shape, schema::Shape::Value).then_some(path);
    schema::paths().into_iter().filter_map(is_value).collect()
}

/// The keys that a relay alone has.
const RELAY: [&str; 9] = [
    "step_pointer",
    "step_url",
    "login_url",
    "login_page",
    "refresh_url",
    "user_url",
    "token_pointer",
    "expires_in_pointer",
    "refresh_token_pointer",
];

/// Where a key is written, `site.route.path` for one: the headings above it, its name, and the key that faults name.
fn spot(path: &str) -> (&str, &str, String) {
    let (table, name) = path.rsplit_once('.').expect("every value stands in a table");
    let (heading, place) = match table {
        "server" => ("[server]", "server"),
        "server.tls" => ("[server.tls]", "server.tls"),
        "admin" => ("[admin]", "admin"),
        "store" => ("[store]", "store"),
        "log" => ("[log]", "log"),
        "site" => ("[[site]]", "site[0]"),
        "site.session" => ("[[site]]\n[site.session]", "site[0].session"),
        "site.limits" => ("[[site]]\n[site.limits]", "site[0].limits"),
        "site.spa" if ["dir", "fallback", "dev_server"].contains(&name) => ("[[site]]\n[site.spa]", "site[0].spa"),
        "site.spa" => ("[[site]]\n[site.spa]\ndev_server = \"https://a.example\"", "site[0].spa"),
        "site.provider" if RELAY.contains(&name) => {
            ("[[site]]\n[[site.provider]]\nkind = \"relay\"", "site[0].provider[0]")
        }
        "site.provider" if name.ends_with("_pointer") || name.ends_with("_endpoint") => {
            ("[[site]]\n[[site.provider]]\nkind = \"oauth2\"", "site[0].provider[0]")
        }
        "site.provider" => ("[[site]]\n[[site.provider]]", "site[0].provider[0]"),
        "site.route" => ("[[site]]\n[[site.route]]", "site[0].route[0]"),
        table => panic!("a table that this test does not know: {table}"),
    };
    (heading, name, format!("{place}.{name}"))
}

#[test]
fn what_is_not_written_has_its_default() {
    let config = understood(SITE);
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.shutdown_grace, Duration::from_secs(25));
    assert_eq!(config.server.drain_delay, Duration::ZERO);
    assert_eq!(config.server.keep_alive, Duration::from_secs(75));
    assert_eq!(config.admin.listen.map(|listen| listen.to_string()).as_deref(), Some("127.0.0.1:9090"));
    assert!(config.admin.token.is_none());
    assert!(matches!(config.store.kind, StoreKind::Memory));
    assert_eq!(config.store.grace, Duration::from_secs(30));
    let [site] = config.sites.as_slice() else { panic!("one site") };
    assert_eq!(site.base_path, "/bff");
    assert_eq!(site.session.idle, Duration::from_secs(30 * 60));
    assert_eq!(site.session.absolute, Duration::from_secs(12 * 3600));
    assert_eq!(site.session.claims, ["sub", "name", "email"]);
    let [provider] = site.providers.as_slice() else { panic!("one provider") };
    assert_eq!(provider.name, "main");
    let client = provider.kind.client().expect("a client");
    assert_eq!(client.scopes, ["openid", "profile", "email", "offline_access"]);
    assert!(matches!(&client.client_auth, ClientAuth::Basic(secret) if secret.expose() == SECRET));
    let [route] = site.routes.as_slice() else { panic!("one route") };
    assert_eq!((route.access, route.methods.as_ref(), route.max_body), (Access::Required, None, None));
    assert_eq!((route.sensitive, route.websocket, route.replay_body), (false, false, 64 << 10));
    assert!(site.spa.is_none());
}

#[test]
fn what_is_written_is_what_is_meant() {
    let config = understood(&format!(
        r#"
        [server]
        listen = "[::]:8443"
        trusted_proxies = ["10.0.0.0/8", "192.0.2.7"]
        workers = 3
        [log]
        format = "text"
        level = "warn"
        {SITE}
        auth = "optional"
        methods = ["GET"]
        encoded_slash = "pass"
        forward_cookies = ["theme"]
        max_body = "10MiB"
        replay_body = "1KiB"
        sensitive = true
        websocket = true
        timeout = "250ms"
        "#
    ));
    assert_eq!(config.server.listen.to_string(), "[::]:8443");
    let proxies: Vec<_> = config.server.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.0/8", "192.0.2.7/32"]);
    assert_eq!(config.server.workers, Some(3));
    assert_eq!((config.log.format, config.log.level), (LogFormat::Text, LogLevel::Warn));
    let route = &config.sites[0].routes[0];
    assert_eq!((route.access, route.encoded_slash), (Access::Optional, EncodedSlash::Pass));
    assert_eq!(route.methods.as_deref(), Some(&["GET".to_owned()][..]));
    assert_eq!((route.max_body, route.timeout), (Some(10 << 20), Duration::from_millis(250)));
    assert_eq!((route.sensitive, route.websocket, route.replay_body), (true, true, 1024));
}

#[test]
fn nothing_kept_for_a_second_time_is_zero_in_any_unit() {
    for off in ["0", "\"0B\"", "\"0MiB\""] {
        assert_eq!(understood(&format!("{SITE}replay_body = {off}")).sites[0].routes[0].replay_body, 0, "{off}");
    }
}

#[test]
fn an_issuer_is_kept_byte_for_byte() {
    for issuer in ["https://id.example", "https://id.example/", "https://ID.example:443/a%7Eb/"] {
        let config = understood(&SITE.replace("https://id.example", issuer));
        assert_eq!(config.sites[0].providers[0].issuer, issuer);
    }
}

#[test]
fn a_local_site_without_a_key_gets_its_own_and_keeps_it_over_a_reload() {
    let read = || understood(&format!("{LOCAL}{}", LOCAL.replace("app.localhost", "two.localhost")));
    let (first, reloaded) = (read(), read());
    assert_eq!(first.sites[0].session.keys, reloaded.sites[0].session.keys);
    assert_ne!(first.sites[0].session.keys, first.sites[1].session.keys);
}

#[test]
fn a_short_absolute_life_shortens_the_idle_one() {
    let config = understood(&SITE.replace("[site.session]", "[site.session]\nabsolute = \"5s\""));
    assert_eq!(config.sites[0].session.idle, Duration::from_secs(5));
}

#[test]
fn integers_are_read_in_every_notation_of_toml() {
    for (written, workers) in [("0x10", 16), ("1_0", 10), ("0b11", 3)] {
        let config = understood(&format!("[server]\nworkers = {written}\n{SITE}"));
        assert_eq!(config.server.workers, Some(workers));
    }
}

proptest! {
    #[test]
    fn any_text_is_understood_or_has_faults(cut in 0..SITE.len(), skip in 0..40_usize, noise in "\\PC{0,12}") {
        let text = SITE.chars().take(cut).chain(noise.chars()).chain(SITE.chars().skip(cut + skip)).collect::<String>();
        let read = read_text(Path::new("gateway.toml"), &text, &environment);
        prop_assert!(read.is_ok_and(|config| !config.sites.is_empty()) || !faults_of(&text).is_empty());
    }

    #[test]
    fn no_value_makes_the_reader_panic(
        path in proptest::sample::select(values()),
        value in "[^\"\\\\\\p{C}]{0,24}",
        many: bool,
    ) {
        let (heading, name, _) = spot(&path);
        let value = if many { format!("[\"{value}\"]") } else { format!("\"{value}\"") };
        let faults = faults_of(&format!("{heading}\n{name} = {value}"));
        prop_assert!(!faults.iter().any(|fault| fault.key.is_empty()), "{}", Faults(faults));
    }
}

#[test]
fn an_upstream_may_be_a_socket_on_this_machine() {
    for (written, path, shown) in [
        ("unix:/run/api.sock", "/", "unix:/run/api.sock"),
        ("unix:/run/api.sock:/", "/", "unix:/run/api.sock"),
        ("unix:/run/api.sock:/v1/", "/v1/", "unix:/run/api.sock:/v1"),
    ] {
        let config = understood(&SITE.replace("https://api.example", written));
        let upstream = &config.sites[0].routes[0].upstream;
        assert_eq!(upstream.socket.as_deref(), Some(Path::new("/run/api.sock")));
        assert_eq!((upstream.url.path(), upstream.to_string().as_str()), (path, shown));
        assert!(config.route_table().contains(&format!("  {shown}\n")), "{}", config.route_table());
    }
}

#[test]
fn the_route_table_shows_every_way_in_and_no_secret() {
    let local =
        LOCAL.replace("[[site.provider]]", "[site.spa]\ndev_server = \"http://127.0.0.1:5173\"\n[[site.provider]]");
    let config = understood(&format!(
        "[store]\nurl = {{ env = \"REDIS_URL\" }}\n{SITE}methods = [\"GET\"]\nsensitive = true\nwebsocket = true\n{}",
        local.replace("[[site.provider]]", "[site.session]\nkeys = [{ env = \"KEY_TWO\" }]\n[[site.provider]]")
    ));
    let expected = "\
listen  127.0.0.1:8080 (plain HTTP, for an edge that terminates TLS)
admin   127.0.0.1:9090
store   rediss://…@redis.example:6379/0

https://app.example  (session: idle 30m, absolute 12h)
  path      methods       auth                 goes to
  /bff[/…]  per endpoint  -                    the gateway (main = https://id.example)
  /api[/…]  GET           required, sensitive  https://api.example (WebSockets)
  to register at the provider:
    redirect URI              https://app.example/bff/callback
    post-logout redirect URI  https://app.example/bff/logout/callback
    back-channel logout URI   https://app.example/bff/backchannel-logout

http://app.localhost:8080  (session: idle 30m, absolute 12h)
  path        methods       auth  goes to
  /bff[/…]    per endpoint  -     the gateway (main = http://127.0.0.1:9000)
  (the rest)  any           -     http://127.0.0.1:5173 (development server)
  to register at the provider:
    redirect URI              http://app.localhost:8080/bff/callback
    post-logout redirect URI  http://app.localhost:8080/bff/logout/callback
    back-channel logout URI   http://app.localhost:8080/bff/backchannel-logout
";
    assert_eq!(config.route_table(), expected);
}
