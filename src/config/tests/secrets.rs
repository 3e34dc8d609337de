//! Secrets: where they may come from, and that no message ever shows one.

use super::*;

const PROVIDER_SECRET: &str = "client_secret = { env = \"SECRET\" }";

pub(super) fn only_fault(text: &str) -> Fault {
    let mut faults = faults_of(text);
    assert_eq!(faults.len(), 1, "{}", Faults(faults));
    faults.remove(0)
}

#[test]
fn a_literal_secret_is_for_loopback_origins() {
    let fault = only_fault(&SITE.replace(PROVIDER_SECRET, "client_secret = \"hunter2\""));
    assert_eq!(fault.key, "site[0].provider[0].client_secret");
    assert!(fault.wrong.contains("written in the file itself"), "{fault}");
    understood(&LOCAL.replace("client_auth = \"none\"", "client_secret = \"hunter2\""));
}

#[test]
fn a_store_url_is_a_secret_when_it_has_a_password() {
    understood(&format!("[store]\nurl = \"rediss://redis.example/0\"\n{SITE}"));
    understood(&format!("[store]\nurl = {{ env = \"REDIS_URL\" }}\n{SITE}"));
    let fault = only_fault(&format!("[store]\nurl = \"rediss://:hunter2@redis.example/0\"\n{SITE}"));
    assert_eq!(fault.key, "store.url");
    assert!(!fault.to_string().contains("hunter2"), "{fault}");
}

#[test]
fn a_secret_that_is_not_there_is_named() {
    let with = |secret: &str| only_fault(&SITE.replace(PROVIDER_SECRET, &format!("client_secret = {secret}")));
    assert!(with("{ env = \"NOWHERE\" }").wrong.contains("\"NOWHERE\" is not set"));
    for misplaced in ["", "hunter2-hunter2", "7up", "A=B"] {
        let fault = with(&format!("{{ env = \"{misplaced}\" }}"));
        assert!(fault.wrong.contains("does not name an environment variable"), "{fault}");
        assert!(misplaced.is_empty() || !fault.to_string().contains(misplaced), "{fault}");
    }
    assert!(with("{ env = \"EMPTY\" }").wrong.contains("an empty secret"));
    assert!(with("{ file = \"no-such-file\" }").wrong.contains("no-such-file cannot be read"));
    assert!(with("{ file = \"a\", env = \"B\" }").wrong.contains("either `file` or `env`"));
    assert!(with("{ vault = \"a\" }").wrong.contains("either `file` or `env`"));
    assert!(with("7").wrong.contains("expected a secret, found an integer"));
}

#[test]
fn weak_keys_are_refused_and_never_shown() {
    let weak = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "hunter2hunter2", master_key::SAMPLE];
    for key in weak {
        let text =
            LOCAL.replace("[[site.provider]]", &format!("[site.session]\nkeys = [\"{key}\"]\n[[site.provider]]"));
        let fault = only_fault(&text);
        assert_eq!(fault.key, "site[0].session.keys[0]");
        assert!(fault.remedy.contains("cloakroom keygen") && !fault.to_string().contains(key), "{fault}");
    }
}

#[test]
fn a_key_belongs_to_one_site() {
    let second = SITE.replace("app.example", "two.example");
    let fault = only_fault(&format!("{SITE}{second}"));
    assert_eq!(fault.key, "site[1].session.keys");
    assert!(fault.wrong.contains("is also a key of \"https://app.example\""), "{fault}");
    let fault = only_fault(&SITE.replace("[{ env = \"KEY_ONE\" }]", "[{ env = \"KEY_ONE\" }, { env = \"KEY_ONE\" }]"));
    assert!(fault.wrong.contains("key 1 is listed twice"), "{fault}");
}

#[test]
fn sessions_that_survive_the_process_need_a_key_that_does() {
    let fault = only_fault(&format!("[store]\nurl = \"redis://127.0.0.1\"\n{LOCAL}"));
    assert_eq!(fault.key, "site[0].session.keys");
    assert!(fault.wrong.contains("longer than this process"), "{fault}");
}

#[test]
fn a_secret_loses_the_line_breaks_at_its_end_and_is_more_than_white_space() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (value, secret) in
        [("abc\n", Some("abc")), ("abc\r\n", Some("abc")), (" a c", Some(" a c")), ("\n", None), (" \t", None)]
    {
        std::fs::write(folder.path().join("secret"), value).expect("writes");
        let environment = |name: &str| if name == "VALUE" { Some(value.to_owned()) } else { environment(name) };
        for source in ["{ env = \"VALUE\" }", "{ file = \"secret\" }"] {
            let text = SITE.replace("{ env = \"SECRET\" }", source);
            let read = read_text(&folder.path().join("gateway.toml"), &text, &environment);
            match (read, secret) {
                (Ok(config), Some(secret)) => {
                    let client = config.sites[0].providers[0].kind.client().expect("a client");
                    assert!(
                        matches!(&client.client_auth, ClientAuth::Basic(found) if found.expose() == secret),
                        "{value:?}"
                    );
                }
                (Err(faults), None) => assert!(faults.0[0].wrong.contains("an empty secret"), "{faults}"),
                (read, _) => panic!("{value:?} from {source}: {read:?}"),
            }
        }
    }
}

#[test]
fn an_unusable_origin_hides_no_secret_in_the_file() {
    let text = SITE
        .replace("https://app.example", "http://app.example")
        .replace(PROVIDER_SECRET, "client_secret = \"hunter2\"")
        .replace("{ env = \"KEY_ONE\" }", &format!("\"{KEY_ONE}\""));
    let faults = faults_of(&format!("[admin]\ntoken = \"VJr0rQ2xk9m4yT7p\"\n{text}"));
    let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
    let all = ["admin.token", "site[0].origin", "site[0].session.keys[0]", "site[0].provider[0].client_secret"];
    assert_eq!(keys, all, "{}", Faults(faults.clone()));
    // What names no host is one fault and no more.
    assert_eq!(only_fault(&text.replace("http://app.example", "app example")).key, "site[0].origin");
}

#[test]
fn the_same_site_twice_is_one_fault() {
    assert_eq!(only_fault(&format!("{LOCAL}{LOCAL}")).key, "site[1].origin");
}

#[test]
fn a_syntax_error_does_not_show_the_line_it_is_on() {
    let fault = only_fault("[admin]\ntoken = \"hunter2-hunter2-hunter2\n");
    assert_eq!(fault.line, Some(2));
    assert!(fault.wrong.starts_with("is not TOML") && !fault.to_string().contains("hunter2"), "{fault}");
}

#[test]
fn what_is_understood_prints_without_its_secrets() {
    let config = understood(&format!("[store]\nurl = {{ env = \"REDIS_URL\" }}\n{SITE}"));
    let printed = format!("{config:?}{}", config.route_table());
    assert!(!printed.contains(SECRET) && !printed.contains(KEY_ONE) && !printed.contains("p4ssw0rd"), "{printed}");
}
