//! Every key there is, and the walk that refuses all others before any value is judged.

use super::document::{Kind, Node, join};
use super::fault::{Fault, Wrong};
use super::suggest;

/// A key and what may stand under it.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
}

/// What stands under a key.
pub(super) enum Shape {
    /// A value; its reader judges the type.
    Value,
    /// `[name]`
    Table(&'static [Key]),
    /// `[[name]]`
    Tables(&'static [Key]),
}

/// The whole file.
pub(super) const ROOT: &[Key] = &[
    table("server", SERVER),
    table("admin", &[value("listen"), value("token"), value("metrics_public")]),
    table("store", STORE),
    table("log", &[value("format"), value("level")]),
    tables("site", SITE),
];

const SERVER: &[Key] = &[
    value("listen"),
    table("tls", &[value("cert"), value("key")]),
    value("trusted_proxies"),
    value("shutdown_grace"),
    value("drain_delay"),
    value("keep_alive"),
    value("workers"),
];

const STORE: &[Key] =
    &[value("url"), value("grace"), value("plaintext"), value("ca"), value("client_cert"), value("client_key")];

const SITE: &[Key] = &[
    value("origin"),
    value("base_path"),
    value("csrf"),
    value("hsts"),
    value("hsts_include_subdomains"),
    table("session", &[value("idle"), value("absolute"), value("same_site"), value("keys"), value("claims")]),
    table("limits", &[value("per_session"), value("per_address"), value("logins")]),
    tables("provider", PROVIDER),
    table("spa", SPA),
    tables("route", ROUTE),
];

const PROVIDER: &[Key] = &[
    value("name"),
    value("profile"),
    value("url"),
    value("kind"),
    value("issuer"),
    value("client_id"),
    value("client_secret"),
    value("client_auth"),
    value("signing_key"),
    value("signing_key_id"),
    value("signing_alg"),
    value("assertion_aud"),
    value("assertion_typ"),
    value("scopes"),
    value("authorization_params"),
    value("par"),
    value("resource"),
    value("audience"),
    value("token_params"),
    value("refresh_scope"),
    value("dpop"),
    value("own_callback"),
    value("authorization_endpoint"),
    value("token_endpoint"),
    value("userinfo_endpoint"),
    value("revocation_endpoint"),
    value("end_session_endpoint"),
    value("pushed_authorization_request_endpoint"),
    value("sub_pointer"),
    value("name_pointer"),
    value("email_pointer"),
    value("login_url"),
    value("login_page"),
    value("step_pointer"),
    value("step_url"),
    value("refresh_url"),
    value("user_url"),
    value("token_pointer"),
    value("expires_in_pointer"),
    value("refresh_token_pointer"),
    value("id_token_algs"),
    value("response_mode"),
    value("userinfo"),
    value("trusted_audiences"),
    value("logout"),
    value("logout_url"),
    value("logout_params"),
    value("logout_hint"),
    value("logout_hook"),
    value("frontchannel_logout"),
    value("logout_token_exp"),
    value("empty_400"),
    value("default_token_lifetime"),
    value("refresh_before"),
    value("clock_skew"),
    value("timeout"),
    value("budget"),
    value("plaintext"),
    value("ca"),
    value("client_cert"),
    value("client_key"),
];

const SPA: &[Key] = &[
    value("dir"),
    value("fallback"),
    value("dev_server"),
    value("plaintext"),
    value("ca"),
    value("client_cert"),
    value("client_key"),
    value("http2"),
];

const ROUTE: &[Key] = &[
    value("path"),
    value("upstream"),
    value("strip_prefix"),
    value("auth"),
    value("scopes"),
    value("sensitive"),
    value("methods"),
    value("websocket"),
    value("encoded_slash"),
    value("drop_origin"),
    value("forward_cookies"),
    value("allow_set_cookie"),
    value("cache"),
    value("documents"),
    value("timeout"),
    value("idle_timeout"),
    value("total_timeout"),
    value("max_calls"),
    value("max_body"),
    value("replay_body"),
    value("plaintext"),
    value("ca"),
    value("client_cert"),
    value("client_key"),
    value("http2"),
];

const fn value(name: &'static str) -> Key {
    Key { name, shape: Shape::Value }
}

const fn table(name: &'static str, keys: &'static [Key]) -> Key {
    Key { name, shape: Shape::Table(keys) }
}

const fn tables(name: &'static str, keys: &'static [Key]) -> Key {
    Key { name, shape: Shape::Tables(keys) }
}

/// Refuses unknown keys, and values where a table belongs.
pub(super) fn check(node: &Node, keys: &'static [Key], faults: &mut Vec<Fault>) {
    for (name, child) in node.table().into_iter().flatten() {
        match keys.iter().find(|key| key.name == name) {
            None => faults.push(child.fault(unknown(name, keys))),
            Some(Key { shape: Shape::Value, .. }) => {}
            Some(Key { shape: Shape::Table(keys), .. }) => match &child.kind {
                Kind::Table(_) => check(child, keys, faults),
                other => faults.push(child.fault(not_a_table(&format!("[{}]", pattern(&child.key)), other))),
            },
            Some(Key { shape: Shape::Tables(keys), .. }) => {
                let header = format!("[[{}]]", pattern(&child.key));
                match &child.kind {
                    Kind::List(entries) => check_each(entries, keys, &header, faults),
                    other => faults.push(child.fault(not_a_table(&header, other))),
                }
            }
        }
    }
}

fn check_each(entries: &[Node], keys: &'static [Key], header: &str, faults: &mut Vec<Fault>) {
    for entry in entries {
        match &entry.kind {
            Kind::Table(_) => check(entry, keys, faults),
            other => faults.push(entry.fault(not_a_table(header, other))),
        }
    }
}

/// Every path of the schema, such as `site.route.upstream`, with the key it names.
pub(super) fn paths() -> Vec<(String, &'static Key)> {
    fn collect(prefix: &str, keys: &'static [Key], into: &mut Vec<(String, &'static Key)>) {
        for key in keys {
            let path = join(prefix, key.name);
            match key.shape {
                Shape::Value => into.push((path, key)),
                Shape::Table(keys) | Shape::Tables(keys) => {
                    into.push((path.clone(), key));
                    collect(&path, keys, into);
                }
            }
        }
    }
    let mut all = Vec::new();
    collect("", ROOT, &mut all);
    all
}

fn not_a_table(header: &str, found: &Kind) -> Wrong {
    let expected = if header.starts_with("[[") { "an array of tables" } else { "a table" };
    Wrong::new(
        format!("expected {expected}, found {}", found.name()),
        format!("write {header} as a heading of its own"),
    )
}

fn unknown(name: &str, here: &'static [Key]) -> Wrong {
    let wrong = format!("there is no key {name:?} here");
    if ["insecure", "verify", "verification"].iter().any(|word| name.to_ascii_lowercase().contains(word)) {
        return Wrong::new(
            wrong,
            "TLS is always verified; to trust a private authority, name its certificate with `ca`",
        );
    }
    if let Some(near) = suggest::nearest(name, here.iter().map(|key| key.name)) {
        return Wrong::new(wrong, format!("did you mean `{near}`?"));
    }
    let elsewhere: Vec<String> =
        paths().into_iter().filter(|(_, key)| key.name == name).map(|(path, _)| format!("`{path}`")).collect();
    if !elsewhere.is_empty() && elsewhere.len() <= 4 {
        return Wrong::new(wrong, format!("did you mean {}?", elsewhere.join(" or ")));
    }
    let known: Vec<&str> = here.iter().map(|key| key.name).collect();
    Wrong::new(wrong, format!("remove it; the keys here are {}", known.join(", ")))
}

/// A key without its indexes: `site[0].route` is written under `site.route`.
pub(super) fn pattern(key: &str) -> String {
    let mut inside = false;
    key.chars()
        .filter(|character| {
            inside = (inside || *character == '[') && *character != ']';
            !inside && *character != ']'
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_key_without_its_indexes() {
        assert_eq!(pattern("site[0].route[12].upstream"), "site.route.upstream");
        assert_eq!(pattern("server"), "server");
    }
}
