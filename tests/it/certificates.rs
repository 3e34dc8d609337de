//! Certificate files: what cannot be used is told before the start, and what was read goes on without the file.

use std::time::Duration;

use tempfile::TempDir;

use crate::support::{Pair, Process, Setup, World, cloakroom, eventually, fresh_key};

const JUNK: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

/// How `command` ends with this configuration, and what it says about it.
fn ends(command: &str, config: &std::path::Path) -> (Option<i32>, String) {
    let mut process = Process::start(cloakroom().arg(command).arg("--config").arg(config), "cargo build");
    let code = process.wait(Duration::from_secs(10)).code();
    (code, process.stderr())
}

#[test]
fn every_file_that_cannot_be_used_is_a_fault_for_check_and_serve_alike() {
    let dir = TempDir::new().expect("a temporary directory");
    let (one, two) = (Pair::make(dir.path(), "one", "DNS:a.example"), Pair::make(dir.path(), "two", "DNS:b.example"));
    let junk = dir.path().join("junk.crt");
    std::fs::write(&junk, JUNK).expect("a temporary directory is writable");
    let mut setup = Setup::behind_tls();
    setup.server.push(format!("tls = {{ cert = {:?}, key = {:?} }}", one.cert, two.key));
    setup.sites[0].provider.push(format!("client_cert = {:?}\nclient_key = {:?}", two.cert, one.key));
    setup.sites[0].routes[0].push(format!("ca = {junk:?}"));
    let config = setup.write(dir.path(), "https://127.0.0.1:9", "https://127.0.0.1:9");
    for command in ["check", "doctor", "serve"] {
        let (code, told) = ends(command, &config);
        assert_eq!(code, Some(1), "{command}: {told}");
        for fault in ["server.tls.key: ", "site[0].provider[0].client_key: ", "site[0].route[0].ca: "] {
            assert!(told.contains(fault), "{command} does not say {fault}\n{told}");
        }
        for file in [&two.key, &one.key, &junk] {
            assert!(told.contains(&file.display().to_string()), "{command} does not name {}\n{told}", file.display());
        }
    }
}

#[test]
fn a_start_that_fails_late_says_why_and_exits_with_1() {
    let dir = TempDir::new().expect("a temporary directory");
    let empty = dir.path().join("no-roots.pem");
    std::fs::write(&empty, "").expect("a temporary directory is writable");
    let config = Setup::one_site().write(dir.path(), "https://127.0.0.1:9", "https://127.0.0.1:9");
    let mut command = cloakroom();
    // A machine without a single root, as a container may be.
    command.args(["serve", "--config"]).arg(&config).env("SSL_CERT_FILE", &empty);
    let mut process = Process::start(&mut command, "cargo build");
    assert_eq!(process.wait(Duration::from_secs(10)).code(), Some(1), "{}", process.stderr());
    assert!(process.stderr().contains("the platform's roots") && !process.stderr().contains("panicked"));
}

#[test]
fn a_reload_is_taken_over_by_every_worker_even_if_a_file_goes_a_moment_later() {
    let dir = TempDir::new().expect("a temporary directory");
    let pair = Pair::make(dir.path(), "ca", "DNS:localhost");
    let mut setup = Setup::one_site();
    setup.sites[0].routes.push(vec![
        "path = \"/secure\"".into(),
        "upstream = \"https://localhost:9\"".into(),
        format!("ca = {:?}", pair.cert),
    ]);
    let world = World::of(setup);
    let mut browser = world.signed_in();
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    world.rewrite(|text| text.replace(&world.setup.sites[0].key, &fresh_key()));
    world.gateway.process.signal("HUP");
    eventually("the reload", || world.gateway.process.output().contains("\"event\":\"reloaded\"").then_some(()));
    std::fs::remove_file(&pair.cert).expect("it was there");
    for _ in 0..8 {
        browser.get(&world.one(), "/api/x").refuses(401, "no_session");
    }
    assert!(!world.gateway.process.output().contains("reload_incomplete"));
}
