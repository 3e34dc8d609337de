//! Files: several configurations as one, relative paths, certificates and folders.

use std::fs;

use tempfile::TempDir;

use super::*;

/// A certificate that is good until 2126, its key, and another one.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n\
MIIBlTCCATugAwIBAgIUSaTbMM+TbHvDH8hk1D1kUSqznL4wCgYIKoZIzj0EAwIw\n\
FDESMBAGA1UEAwwJYS5leGFtcGxlMCAXDTI2MTEzMDA5MzEyNVoYDzIxMjYxMTA2\n\
MDkzMTI1WjAUMRIwEAYDVQQDDAlhLmV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjO\n\
PQMBBwNCAAQQuuZzjWg/jjYTWefZdWRhRocgX4SIw/cG80EMXLaj9GF0FBELoUVe\n\
8Dao48uJHAfWaVAyJrdpnY7DfLDjR9P1o2kwZzAdBgNVHQ4EFgQUY86gYmMgMZlz\n\
kaMz/M0TDEjrrRAwHwYDVR0jBBgwFoAUY86gYmMgMZlzkaMz/M0TDEjrrRAwDwYD\n\
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglhLmV4YW1wbGUwCgYIKoZIzj0EAwID\n\
SAAwRQIgOxR0y2j+GqMcYabUBY1JmdYwMxqOJbK3at2JCUtN5RMCIQDXzauI0rWc\n\
z7Qr6BDDUK+s6wA4A1JMr4C8i97wzUUFSQ==\n\
-----END CERTIFICATE-----";
const ITS_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgmA8IH91ez1FPaq7h\n\
XZcyB6VbM2soB/Gmr6oo9Nm9D4ShRANCAAQQuuZzjWg/jjYTWefZdWRhRocgX4SI\n\
w/cG80EMXLaj9GF0FBELoUVe8Dao48uJHAfWaVAyJrdpnY7DfLDjR9P1\n\
-----END PRIVATE KEY-----";
const ANOTHER_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQghiM9lJsjrUc3ztD4\n\
SMc/Yg95fqYM9LC1oC+plUEQiV6hRANCAAQCjRF4AKow2uXdwH78jvYFLpP0WCSK\n\
xtBoxCYfUdpslO17c3P4lQ9dQmgL2BO/eXcQLM4zvEkv0N0rSQWhtuCz\n\
-----END PRIVATE KEY-----";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("is inside the folder")).expect("creates");
        fs::write(path, text).expect("writes");
    }
    folder
}

fn read_in(folder: &TempDir, names: &[&str]) -> Result<Config, Faults> {
    let paths: Vec<PathBuf> = names.iter().map(|name| folder.path().join(name)).collect();
    read(&paths, &environment)
}

fn wrong_in(folder: &TempDir, text: &str) -> (String, String) {
    let faults = read_text(&folder.path().join("gateway.toml"), text, &environment).expect_err("has a fault").0;
    let [fault] = faults.as_slice() else { panic!("one fault: {}", Faults(faults)) };
    (fault.key.clone(), fault.wrong.clone())
}

#[test]
fn later_files_add_sites_and_keys() {
    let second = SITE.replace("app.example", "two.example").replace("KEY_ONE", "KEY_TWO");
    let folder = folder(&[
        ("one.toml", &format!("[server]\nlisten = \"127.0.0.1:1\"\n{SITE}")),
        ("two.toml", &format!("[server]\nworkers = 2\n[log]\nlevel = \"warn\"\n{second}")),
    ]);
    let config = read_in(&folder, &["one.toml", "two.toml"]).expect("is right");
    let origins: Vec<_> = config.sites.iter().map(|site| site.origin.to_string()).collect();
    assert_eq!(origins, ["https://app.example", "https://two.example"]);
    assert_eq!((config.server.listen.port(), config.server.workers), (1, Some(2)));
    assert!(config.watched.is_empty());
}

#[test]
fn a_key_set_in_two_files_is_a_fault_of_the_later() {
    let folder =
        folder(&[("one.toml", &format!("[log]\nlevel = \"info\"\n{SITE}")), ("two.toml", "[log]\nlevel = \"info\"")]);
    let faults = read_in(&folder, &["one.toml", "two.toml"]).expect_err("has a fault").0;
    assert_eq!((faults.len(), faults[0].key.as_str()), (1, "log.level"));
    assert!(faults[0].file.ends_with("two.toml") && faults[0].wrong.contains("one.toml"), "{}", faults[0]);
}

#[test]
fn files_that_cannot_be_read_do_not_hide_the_faults_of_others() {
    let folder = folder(&[("broken.toml", "[server\n"), ("wrong.toml", "[log]\nlevel = \"loud\"")]);
    let faults = read_in(&folder, &["absent.toml", "broken.toml", "wrong.toml"]).expect_err("has faults").0;
    let found: Vec<_> = faults.iter().map(|fault| fault.file.file_name().and_then(|name| name.to_str())).collect();
    assert_eq!(found, [Some("absent.toml"), Some("broken.toml"), Some("wrong.toml")], "{}", Faults(faults.clone()));
    assert!(!read(&[], &environment).expect_err("names no file").0.is_empty());
}

#[test]
fn relative_paths_start_at_the_folder_of_their_file() {
    let folder = folder(&[
        ("etc/gateway.toml", &SITE.replace("{ env = \"KEY_ONE\" }", "{ file = \"../secrets/key\" }")),
        ("secrets/key", &format!("{KEY_ONE}\r\n")),
    ]);
    let config = read_in(&folder, &["etc/gateway.toml"]).expect("is right");
    assert_eq!(config.sites[0].session.keys.len(), 1);
    assert_eq!(config.watched, [folder.path().join("etc/../secrets/key")]);
}

#[test]
fn certificates_are_files_that_hold_what_they_are_named_for() {
    let folder = folder(&[
        ("cert.pem", CERTIFICATE),
        ("key.pem", ITS_KEY),
        ("other.pem", ANOTHER_KEY),
        ("junk.pem", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"),
        ("junk-key.pem", "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"),
        ("locked.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n"),
        ("torn.pem", "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"),
    ]);
    let (route, key) = ("upstream = \"https://api.example\"", "site[0].route[0]");
    let with = |keys: &str| SITE.replace(route, &format!("{route}\n{keys}"));
    let pair = "ca = \"cert.pem\"\nclient_cert = \"cert.pem\"\nclient_key = \"key.pem\"";
    let file = folder.path().join("gateway.toml");
    let config = read_text(&file, &with(pair), &environment).expect("is right");
    assert_eq!(config.sites[0].routes[0].upstream.tls.ca, Some(folder.path().join("cert.pem")));
    assert_eq!(config.watched, ["cert.pem", "key.pem"].map(|name| folder.path().join(name)));

    let cases = [
        (with("ca = \"absent.pem\""), "ca", "absent.pem cannot be read"),
        (with("ca = \"key.pem\""), "ca", "key.pem holds no certificate"),
        (with("ca = \"junk.pem\""), "ca", "junk.pem holds a broken certificate"),
        (with("ca = \"torn.pem\""), "ca", "torn.pem holds a broken certificate"),
        (with("client_cert = \"junk.pem\"\nclient_key = \"key.pem\""), "client_cert", "holds a broken certificate"),
        (with("client_cert = \"cert.pem\"\nclient_key = \"cert.pem\""), "client_key", "holds no private key"),
        (with("client_cert = \"cert.pem\"\nclient_key = \"junk-key.pem\""), "client_key", "cannot be used"),
        (with("client_cert = \"cert.pem\"\nclient_key = \"locked.pem\""), "client_key", "encrypted with a password"),
        (
            with("client_cert = \"cert.pem\"\nclient_key = \"other.pem\""),
            "client_key",
            "is not the key of the certificate in",
        ),
        (with("client_cert = \"cert.pem\""), "client_cert", "stands without `client_key`"),
        (with("client_key = \"key.pem\""), "client_key", "stands without `client_cert`"),
        (with("ca = \"cert.pem\"").replace("https://api.example", "http://127.0.0.1"), "ca", "is not encrypted"),
    ];
    for (text, name, wrong) in cases {
        let (blamed, found) = wrong_in(&folder, &text);
        assert_eq!(blamed, format!("{key}.{name}"));
        assert!(found.contains(wrong), "{wrong:?} in {found:?}");
    }
    let (blamed, _) = wrong_in(&folder, &format!("[server]\ntls = {{ cert = \"cert.pem\" }}\n{SITE}"));
    assert_eq!(blamed, "server.tls.key");
    let (blamed, wrong) =
        wrong_in(&folder, &format!("[server]\ntls = {{ cert = \"cert.pem\", key = \"other.pem\" }}\n{SITE}"));
    assert_eq!(blamed, "server.tls.key");
    assert!(wrong.contains("other.pem is not the key"), "{wrong}");
    let tls = "[server]\ntls = { cert = \"cert.pem\", key = \"key.pem\" }\n";
    let (blamed, wrong) = wrong_in(&folder, &format!("{tls}{LOCAL}"));
    assert_eq!(blamed, "site[0].origin");
    assert!(wrong.contains("answers nothing but TLS"), "{wrong}");
}

#[test]
fn a_spa_is_a_folder_or_a_development_server() {
    let folder = folder(&[("spa/index.html", "")]);
    let with = |keys: &str| format!("{SITE}[site.spa]\n{keys}");
    let config =
        read_text(&folder.path().join("gateway.toml"), &with("dir = \"spa\""), &environment).expect("is right");
    assert!(matches!(&config.sites[0].spa, Some(SpaConfig::Dir { fallback, .. }) if fallback == "index.html"));
    let cases = [
        ("", "dir", "is missing"),
        ("dir = \"absent\"", "dir", "is not a folder"),
        ("dir = \"spa\"\ndev_server = \"http://localhost:1\"", "dev_server", "stands beside `dir`"),
        ("dir = \"spa\"\nfallback = \"../x\"", "fallback", "does not stay inside"),
        ("dir = \"spa\"\nfallback = \"/etc/passwd\"", "fallback", "does not stay inside"),
        ("dir = \"spa\"\nplaintext = true", "plaintext", "has no effect"),
        ("dir = \"spa\"\nhttp2 = false", "http2", "has no effect"),
        ("dev_server = \"http://localhost:1\"\nhttp2 = true", "http2", "is not encrypted"),
        ("dev_server = \"http://localhost:1\"\nfallback = \"x\"", "fallback", "has no effect"),
    ];
    for (keys, name, wrong) in cases {
        let (blamed, found) = wrong_in(&folder, &with(keys));
        assert_eq!(blamed, format!("site[0].spa.{name}"));
        assert!(found.contains(wrong), "{wrong:?} in {found:?}");
    }
}

#[test]
fn a_file_store_lives_beside_its_configuration() {
    let folder = folder(&[]);
    let file = folder.path().join("gateway.toml");
    let text = format!("[store]\nurl = \"file:sessions.redb\"\n{SITE}");
    let config = read_text(&file, &text, &environment).expect("is right");
    assert!(matches!(&config.store.kind, StoreKind::File(path) if *path == folder.path().join("sessions.redb")));
    let (blamed, wrong) = wrong_in(&folder, &format!("[store]\nurl = \"file:.\"\n{SITE}"));
    assert_eq!((blamed.as_str(), wrong.contains("is not a file")), ("store.url", true));
}
