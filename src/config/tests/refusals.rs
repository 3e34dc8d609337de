//! What each section refuses, by its message.

use super::faults::{Case, each, each_added};
use super::*;

#[test]
fn an_origin_is_what_the_address_bar_shows() {
    let origin = "https://app.example";
    each(&[
        Case(origin, "http://app.example", "site[0].origin", "is plain http beyond loopback", "[server] tls"),
        Case(origin, "https://app.example/", "site[0].origin", "must be scheme://host[:port]", "address bar"),
        Case(origin, "https://App.example", "site[0].origin", "lower case", "address bar"),
        Case(origin, "https://app.example:443", "site[0].origin", "default port", "address bar"),
        Case(origin, "https://me:pw@app.example", "site[0].origin", "\"https://…@app.example\"", "address bar"),
        Case(origin, "https://*.example", "site[0].origin", "has a wildcard", "one [[site]]"),
        Case(origin, "app.example", "site[0].origin", "is not a URL", "https://app.example"),
    ]);
}

#[test]
fn plain_text_leaves_this_machine_only_when_told_to() {
    let (api, id) = ("https://api.example", "https://id.example");
    each(&[
        Case(
            api,
            "http://api.internal",
            "site[0].route[0].upstream",
            "is plain http beyond loopback",
            "plaintext = true",
        ),
        Case(
            id,
            "http://id.internal",
            "site[0].provider[0].issuer",
            "is plain http beyond loopback",
            "plaintext = true",
        ),
        Case(
            "[[site]]",
            "[store]\nurl = \"redis://cache:6379\"\n[[site]]",
            "store.url",
            "is plain redis beyond",
            "rediss://",
        ),
        Case(
            "[[site.provider]]",
            "[site.spa]\ndev_server = \"http://node:5173\"\n[[site.provider]]",
            "site[0].spa.dev_server",
            "is plain http beyond loopback",
            "plaintext = true",
        ),
    ]);
    let told = SITE
        .replace(api, "http://api.internal\"\nplaintext = true\n#\"")
        .replace(id, "http://id.internal\"\nplaintext = true\n#\"");
    understood(&format!("[store]\nurl = \"redis://cache:6379\"\nplaintext = true\n{told}"));
}

#[test]
fn an_upstream_says_exactly_one_thing() {
    let (api, key) = ("https://api.example", "site[0].route[0].upstream");
    each(&[
        Case(
            api,
            "https://me:hunter2@api.example",
            key,
            "\"https://…@api.example\" carries a user name",
            "before the @",
        ),
        Case(api, "https://api.example/?x=1", key, "carries a query", "end it before"),
        Case(api, "https://api.example/#x", key, "carries a query or a fragment", "#"),
        Case(api, "https://api.example/a/../b", key, "is ambiguous", "dot segments"),
        Case(api, "https://api.example/a%2fb", key, "is ambiguous", "encoded"),
        Case(api, "unix:run/api.sock", key, "is not the absolute path of a socket", "unix:/run/api.sock"),
        Case(api, "unix:///run/api.sock", key, "is not the absolute path of a socket", "unix:/run/api.sock"),
        Case(api, "unix:", key, "is not the absolute path of a socket", "unix:/run/api.sock"),
        Case(api, "unix:/run/", key, "is not the absolute path of a socket", "unix:/run/api.sock"),
        Case(api, "unix:/run/api.sock:v1", key, "is ambiguous", "dot segments"),
        Case(api, "unix:/run/api.sock:/a/../b", key, "is ambiguous", "dot segments"),
        Case(api, "unix:/run/api.sock:/a?b", key, "is ambiguous", "dot segments"),
        Case(
            api,
            concat!(
                "unix:/",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            ),
            key,
            "has 108 bytes",
            "at most 107",
        ),
        Case(api, "wss://api.example", key, "the scheme \"wss\"", "https://"),
        Case(api, "api.example", key, "is not a URL", "scheme://host"),
        Case(
            api,
            "http://localhost:1\"\nhttp2 = true\n#\"",
            "site[0].route[0].http2",
            "has no effect: `upstream` is not encrypted",
            "encrypt the connection",
        ),
    ]);
    assert!(understood(SITE).sites[0].routes[0].upstream.http2, "it is on offer by default");
    let told = SITE.replace(api, &format!("{api}\"\nhttp2 = false\n#\""));
    assert!(!understood(&told).sites[0].routes[0].upstream.http2);
}

#[test]
fn a_route_is_a_clean_prefix_that_is_not_the_gateways() {
    let (api, key) = ("\"/api\"", "site[0].route[0].path");
    each(&[
        Case(api, "\"api\"", key, "does not start with /", "\"/api\""),
        Case(api, "\"/api/\"", key, "ends with /", "\"/api\""),
        Case(api, "\"/api/*\"", key, "is a prefix already", "\"/api\""),
        Case(api, "\"/a/../b\"", key, "dot segments", "path"),
        Case(api, "\"/a//b\"", key, "empty or dot segments", "path"),
        Case(api, "\"/a%20b\"", key, "ambiguous", "ASCII"),
        Case(api, "\"/a;b\"", key, "ambiguous", "ASCII"),
        Case(api, "\"/ä\"", key, "ambiguous", "ASCII"),
        Case(api, "\"/bff\"", key, "lies under `base_path`", "move"),
        Case(api, "\"/bff/x\"", key, "lies under `base_path`", "move"),
    ]);
    understood(&SITE.replace(api, "\"/bffx\""));
    understood(&SITE.replace(api, "\"/\""));
    let faults = faults_of(&format!("{SITE}[[site.route]]\npath = \"/api\"\nupstream = \"https://b.example\""));
    assert_eq!(faults[0].key, "site[0].route[1].path");
    assert!(faults[0].wrong.contains("is the path of an earlier route"), "{}", faults[0]);
}

#[test]
fn the_rules_of_a_route_are_words_with_a_meaning() {
    each_added(
        "path =",
        "site[0].route[0]",
        &[
            ("auth = \"require\"", "auth", "not a choice", "did you mean \"required\"?"),
            ("auth = \"off\"", "auth", "not a choice", "\"required\" or \"optional\" or \"none\""),
            ("methods = []", "methods", "lets nothing through", "remove the key"),
            ("methods = [\"get\"]", "methods[0]", "upper case", "\"GET\""),
            ("methods = [\"TRACE\"]", "methods[0]", "never let through", "remove"),
            ("timeout = \"2h\"", "timeout", "too long", "\"1h\""),
            ("timeout = \"soon\"", "timeout", "not a duration", "\"30m\""),
            ("idle_timeout = \"0s\"", "idle_timeout", "too short", "\"1s\""),
            ("total_timeout = \"2d\"", "total_timeout", "too long", "\"1d\""),
            ("max_calls = 0", "max_calls", "too small", "from 1 to 65536"),
            ("max_body = \"10MB\"", "max_body", "not a size", "MiB"),
            ("replay_body = \"unlimited\"", "replay_body", "not a size", "MiB"),
            ("replay_body = \"2MiB\"", "replay_body", "\"2MiB\" is too large", "from \"0B\" to \"1MiB\""),
            ("replay_body = 64", "replay_body", "found an integer", "\"64B\""),
            ("auth = \"none\"\nscopes = [\"a\"]", "scopes", "no session is looked up", "remove `scopes`"),
            ("scopes = [\"a b\"]", "scopes[0]", "not a scope", "one by one"),
            ("auth = \"none\"\nsensitive = true", "sensitive", "no session is looked up", "remove `sensitive`"),
            ("methods = [\"POST\"]\nwebsocket = true", "websocket", "begins with a GET", "add \"GET\""),
            ("forward_cookies = [\"*\"]", "forward_cookies[0]", "not the name of a cookie", "no wildcards"),
            ("forward_cookies = [\"__Host-Http-cloakroom\"]", "forward_cookies[0]", "gateway's own", "remove"),
            ("allow_set_cookie = [\"cloakroom-8080\"]", "allow_set_cookie[0]", "gateway's own", "remove"),
            ("allow_set_cookie = [\"__Host-a\"]", "allow_set_cookie[0]", "prefix", "without __Host-"),
            ("allow_set_cookie = [\"__SECURE-a\"]", "allow_set_cookie[0]", "prefix", "without __Host-"),
        ],
    );
}

#[test]
fn what_is_asked_of_a_provider_is_what_it_can_be_asked() {
    each_added(
        "client_id",
        "site[0].provider[0]",
        &[
            ("par = \"always\"", "par", "not a choice", "\"required\""),
            (
                "par = \"never\"\npushed_authorization_request_endpoint = \"https://id.example/par\"",
                "pushed_authorization_request_endpoint",
                "no effect with par = \"never\"",
                "\"auto\"",
            ),
            ("userinfo_endpoint = \"https://id.example/u\"", "userinfo_endpoint", "for nothing", "userinfo = true"),
            ("revocation_endpoint = \"http://id.example/r\"", "revocation_endpoint", "beyond loopback", "https://"),
            ("resource = [\"api\"]", "resource[0]", "not an absolute URI", "https://api.example"),
            ("resource = [\"https://a.example#x\"]", "resource[0]", "fragment", "https://api.example"),
            ("token_params = { scope = \"a\" }", "token_params.scope", "by the gateway itself", "`refresh_scope`"),
            ("token_params = { resource = \"a\" }", "token_params.resource", "by the gateway itself", "`resource`"),
            ("token_params = { x = 1 }", "token_params.x", "expected a string", "string"),
            ("refresh_scope = []", "refresh_scope", "lists no scope", "false"),
            ("refresh_scope = [\"a b\"]", "refresh_scope", "not a scope", "one by one"),
            ("refresh_scope = \"yes\"", "refresh_scope", "found a string", ""),
            (
                "audience = \"a\"\nauthorization_params = { audience = \"b\" }",
                "audience",
                "stands in `authorization_params` as well",
                "remove it there",
            ),
        ],
    );
}

#[test]
fn listeners_are_refused_where_they_would_hurt() {
    let site = "[[site]]";
    each(&[
        Case(
            site,
            "[server]\nlisten = \"8080\"\n[[site]]",
            "server.listen",
            "not an address and a port",
            "127.0.0.1:8080",
        ),
        Case(site, "[server]\nworkers = 0\n[[site]]", "server.workers", "not a number of threads", "per-core"),
        Case(
            site,
            "[server]\ntrusted_proxies = [\"0.0.0.0/0\"]\n[[site]]",
            "server.trusted_proxies[0]",
            "whole internet",
            "your own",
        ),
        Case(
            site,
            "[server]\ntrusted_proxies = [\"::/0\"]\n[[site]]",
            "server.trusted_proxies[0]",
            "whole internet",
            "your own",
        ),
        Case(
            site,
            "[server]\ntrusted_proxies = [\"edge\"]\n[[site]]",
            "server.trusted_proxies[0]",
            "not a CIDR",
            "10.0.0.0/8",
        ),
        Case(
            site,
            "[server]\ndrain_delay = \"26s\"\n[[site]]",
            "server.drain_delay",
            "longer than `shutdown_grace`",
            "shorten",
        ),
        Case(
            site,
            "[admin]\nlisten = \"0.0.0.0:8080\"\n[[site]]",
            "admin.listen",
            "public listener's port",
            "of its own",
        ),
    ]);
}

#[test]
fn a_store_is_named_by_a_url_that_this_version_knows() {
    let site = "[[site]]";
    each(&[
        Case(site, "[store]\ngrace = \"1h\"\n[[site]]", "store.grace", "too long", "\"10m\""),
        Case(
            site,
            "[store]\nurl = \"redis+sentinel://localhost:1,a:2/m\"\n[[site]]",
            "store.url",
            "is plain redis beyond",
            "rediss://",
        ),
        Case(site, "[store]\nurl = \"rediss+cluster://a:1/2\"\n[[site]]", "store.url", "none but 0", "last port"),
        Case(
            site,
            "[store]\nurl = \"rediss+sentinel://a/m?sentinel_password=x\"\n[[site]]",
            "store.url",
            "is a secret written in the file",
            "env",
        ),
        Case(site, "[store]\nurl = \"postgres://a\"\n[[site]]", "store.url", "not the URL of a store", "\"memory:\""),
        Case(site, "[store]\nurl = \"memory\"\n[[site]]", "store.url", "not the URL of a store", "\"memory:\""),
        Case(site, "[store]\nurl = \"rediss://a/#insecure\"\n[[site]]", "store.url", "fragment", "always verified"),
        Case(site, "[store]\nurl = \"rediss://a/main\"\n[[site]]", "store.url", "database", "/0"),
        Case(site, "[store]\nurl = \"file:/no/such/folder/db\"\n[[site]]", "store.url", "does not exist", "create it"),
        Case(site, "[log]\nlevel = \"trace\"\n[[site]]", "log.level", "not a choice", "debug"),
    ]);
}
