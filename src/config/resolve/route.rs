//! `[[site.route]]`: a path prefix, and where its requests go.

use super::{hours, seconds};
use crate::config::address::upstream;
use crate::config::path::route_path;
use crate::config::section::Section;
use crate::config::value::{
    choice, cookie_name, count, duration, flag, method, optional_duration, settable_cookie, size, size_limit,
};
use crate::config::{Access, CachePolicy, Documents, EncodedSlash, RouteConfig};
use std::time::Duration;

/// What is kept of a request that may be sent again; as much as any of its kind, as it is held in memory meanwhile.
const REPLAY_BODY: u64 = 64 << 10;
const LARGEST_REPLAY_BODY: u64 = 1 << 20;

/// Far more than a thread serves at once, and far fewer than the ports of one address.
const MAX_CALLS: usize = 1024;

/// The route; `None` when path or upstream are missing or wrong.
pub(super) fn route(section: &Section<'_>) -> Option<RouteConfig> {
    let path = section.required("path", "write the prefix this route takes, such as path = \"/api\"", route_path);
    if !section.has("upstream") {
        section.fault(
            "upstream",
            "is missing",
            "write where the requests go, such as upstream = \"https://api.example\"",
        );
    }
    let upstream = upstream(section, "upstream");
    let access = [("required", Access::Required), ("optional", Access::Optional), ("none", Access::None)];
    let access = section.or("auth", Access::Required, choice(&access));
    let sensitive = section.or("sensitive", false, flag);
    if sensitive && access == Access::None {
        section.fault(
            "sensitive",
            "is about sessions, and no session is looked up with auth = \"none\"",
            "write auth = \"required\", or remove `sensitive`",
        );
    }
    let scopes = scopes(section, access);
    let slashes = [("refuse", EncodedSlash::Refuse), ("pass", EncodedSlash::Pass)];
    let caches = [("no-store", CachePolicy::NoStore), ("upstream", CachePolicy::Upstream)];
    let documents = [("sandboxed", Documents::Sandboxed), ("trusted", Documents::Trusted)];
    let methods = section.list("methods", method);
    if section.node("methods").and_then(|node| node.list()).is_some_and(<[_]>::is_empty) {
        section.fault("methods", "lets nothing through", "list the methods, or remove the key to let all through");
    }
    let websocket = section.or("websocket", false, flag);
    if websocket && methods.as_ref().is_some_and(|methods| !methods.iter().any(|method| method == "GET")) {
        section.fault("websocket", "begins with a GET, which `methods` keeps out", "add \"GET\" to `methods`");
    }
    Some(RouteConfig {
        strip_prefix: section.or("strip_prefix", false, flag),
        access,
        scopes,
        sensitive,
        websocket,
        methods,
        encoded_slash: section.or("encoded_slash", EncodedSlash::Refuse, choice(&slashes)),
        drop_origin: section.or("drop_origin", true, flag),
        forward_cookies: section.list("forward_cookies", cookie_name).unwrap_or_default(),
        allow_set_cookie: section.list("allow_set_cookie", settable_cookie).unwrap_or_default(),
        cache: section.or("cache", CachePolicy::NoStore, choice(&caches)),
        documents: section.or("documents", Documents::Sandboxed, choice(&documents)),
        timeout: section.or("timeout", seconds(30), duration(Duration::from_millis(1)..=hours(1))),
        idle_timeout: section.or("idle_timeout", seconds(60), duration(seconds(1)..=hours(1))),
        total_timeout: section.or("total_timeout", None, optional_duration(seconds(1)..=hours(24))),
        max_calls: section.or("max_calls", MAX_CALLS, count(1..=65_536)),
        max_body: section.or("max_body", None, size_limit),
        replay_body: section.or("replay_body", REPLAY_BODY, size(0..=LARGEST_REPLAY_BODY)),
        reaches_token_urls: section.or("reaches_token_urls", false, flag),
        path: path?,
        upstream: upstream?,
    })
}

fn scopes(section: &Section<'_>, access: Access) -> Vec<String> {
    let scopes = section.list("scopes", super::provider::scope).unwrap_or_default();
    if !scopes.is_empty() && access == Access::None {
        section.fault(
            "scopes",
            "are a session's, and no session is looked up with auth = \"none\"",
            "write auth = \"required\", or remove `scopes`",
        );
    }
    scopes
}
