//! When a running gateway reads its files anew, and signals that come before it runs: contract sections 1 and 7.

use std::fs::File;
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{Process, Request, Setup, cloakroom, eventually, try_send};

/// A gateway that has begun to read its configuration, and is sent `signal` before it can go on.
fn signalled_at_the_start(signal: &str) -> (Setup, Process, TempDir) {
    let setup = Setup::one_site();
    let dir = TempDir::new().expect("a temporary directory");
    let (file, real) = (dir.path().join("gateway.toml"), dir.path().join("real.toml"));
    assert!(Command::new("mkfifo").arg(&file).status().expect("every Unix has mkfifo").success());
    let process = Process::start(cloakroom().args(["serve", "--config"]).arg(&file), "cargo build");
    // Opens when somebody reads.
    let mut pipe = File::options().write(true).open(&file).expect("the gateway reads it");
    process.signal(signal);
    let text = setup.toml("http://127.0.0.1:9", "http://127.0.0.1:9");
    std::fs::write(&real, &text).expect("a temporary directory is writable");
    std::fs::rename(&real, &file).expect("a temporary directory is writable");
    pipe.write_all(text.as_bytes()).expect("the gateway reads it");
    (setup, process, dir)
}

#[test]
fn a_hangup_during_the_start_reloads_after_it() {
    let (setup, mut process, _dir) = signalled_at_the_start("HUP");
    eventually("the gateway should start", || {
        assert!(process.exited().is_none(), "{}", process.output());
        let live = try_send(setup.admin_port, &Request::new("GET", "/livez").header("Host", "localhost"));
        live.is_ok_and(|answer| answer.status == 200).then_some(())
    });
    eventually("it should reload", || process.output().contains("\"reloaded\"").then_some(()));
}

#[test]
fn a_termination_during_the_start_ends_it_in_order() {
    let (_setup, mut process, _dir) = signalled_at_the_start("TERM");
    assert_eq!(process.wait(Duration::from_secs(10)).code(), Some(0));
}
