//! The operators' listener: who may have its token, and that no route leads to it.

use super::secrets::only_fault;
use super::*;

#[test]
fn a_literal_admin_token_needs_every_site_on_loopback() {
    let admin = "[admin]\ntoken = \"0123456789abcdefg\"\n";
    understood(&format!("{admin}{LOCAL}"));
    assert_eq!(only_fault(&format!("{admin}{LOCAL}{SITE}")).key, "admin.token");
}

#[test]
fn a_weak_admin_token_is_refused_and_never_shown() {
    let weak = ["hunter2", "aaaaaaaaaaaaaaaaaaaa", "sixteen chars and spaces", master_key::SAMPLE];
    for token in weak {
        let fault = only_fault(&format!("[admin]\ntoken = \"{token}\"\n{LOCAL}"));
        assert_eq!(fault.key, "admin.token");
        assert!(fault.remedy.contains("cloakroom keygen") && !fault.to_string().contains(token), "{fault}");
    }
}

#[test]
fn a_token_is_accepted_in_any_spelling() {
    for token in [
        "correct-horse-battery-staple",
        "3f9c0a7be1d24c58",
        "VJr0rQ2xk9m4yT7p",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        KEY_TWO,
    ] {
        understood(&format!("[admin]\ntoken = \"{token}\"\n{LOCAL}"));
    }
}

#[test]
fn an_admin_token_is_not_a_key_as_well() {
    let fault = only_fault(&format!("[admin]\ntoken = {{ env = \"KEY_ONE\" }}\n{SITE}"));
    assert_eq!((fault.key.as_str(), fault.wrong.as_str()), ("admin.token", "is a site's key as well"));
}

#[test]
fn no_route_leads_to_the_operators_listener() {
    let cases = [
        ("127.0.0.1:9090", "http://127.0.0.1:9090", true),
        ("127.0.0.1:9090", "http://localhost:9090/admin", true),
        ("127.0.0.1:9090", "http://x.localhost:9090", true),
        ("127.0.0.1:9090", "http://0.0.0.0:9090", true),
        ("[::1]:9090", "http://[::1]:9090", true),
        ("0.0.0.0:80", "http://127.0.0.1", true),
        ("10.1.2.3:9090", "http://10.1.2.3:9090", true),
        ("127.0.0.1:9090", "http://127.0.0.1:9091", false),
        ("127.0.0.1:9090", "http://127.0.0.2:9090", false),
        ("10.1.2.3:9090", "http://localhost:9090", false),
        ("0.0.0.0:9090", "http://api.example:9090", false),
    ];
    for (listen, upstream, refused) in cases {
        let admin = format!("[admin]\nlisten = \"{listen}\"\n");
        let route =
            SITE.replace("upstream = \"https://api.example\"", &format!("upstream = \"{upstream}\"\nplaintext = true"));
        let spa = format!("{SITE}[site.spa]\ndev_server = \"{upstream}\"\nplaintext = true");
        for (text, key) in [(route, "site[0].route[0].upstream"), (spa, "site[0].spa.dev_server")] {
            let read = read_text(Path::new("gateway.toml"), &format!("{admin}{text}"), &environment);
            let found = read.map_or_else(|faults| faults.0, |_| Vec::new());
            let found: Vec<_> =
                found.iter().map(|fault| (fault.key.as_str(), fault.wrong.contains("[admin]"))).collect();
            assert_eq!(found, if refused { vec![(key, true)] } else { vec![] }, "{listen} {upstream}");
        }
    }
}
