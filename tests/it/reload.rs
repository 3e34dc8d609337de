//! When a running gateway reads its files anew, and signals that come before it runs: contract sections 1 and 7.

use std::fs::{File, FileTimes};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{Process, Request, Setup, World, cloakroom, eventually, fresh_key, send, try_send};

/// Longer than two looks at the files.
const SOME_LOOKS: Duration = Duration::from_secs(5);

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

/// A world whose one key stands in a file, that file, and its folder.
fn with_a_key_file() -> (World, PathBuf, TempDir) {
    let mut setup = Setup::one_site().admin_token(&fresh_key());
    let dir = TempDir::new().expect("a temporary directory");
    let file = dir.path().join("site.key");
    std::fs::write(&file, fresh_key()).expect("a temporary directory is writable");
    setup.sites[0].session.push(format!("keys = [{{ file = \"{}\" }}]", file.display()));
    (World::of(setup), file, dir)
}

/// The name of the key that seals.
fn sealing(world: &World) -> String {
    let token = world.setup.admin[0].split('"').nth(1).expect("a token in quotes");
    let request = Request::new("GET", "/admin/keys").header("Host", "localhost");
    let answer = send(world.gateway.admin_port, &request.header("Authorization", format!("Bearer {token}")));
    answer.json()["keys"][0]["key"].as_str().expect("a key").to_owned()
}

#[track_caller]
fn taken_over(world: &World, before: &str) {
    eventually("the new key should be taken over", || (sealing(world) != before).then_some(()));
}

#[test]
fn a_key_that_is_renamed_into_place_is_seen_whatever_its_times_say() {
    let (world, file, _dir) = with_a_key_file();
    let before = sealing(&world);
    let written = std::fs::metadata(&file).and_then(|metadata| metadata.modified()).expect("it is there");
    let next = file.with_extension("next");
    let mut twin = File::create(&next).expect("a temporary directory is writable");
    twin.write_all(fresh_key().as_bytes()).expect("a temporary directory is writable");
    twin.set_times(FileTimes::new().set_modified(written)).expect("our own file");
    std::fs::rename(&next, &file).expect("a temporary directory is writable");
    taken_over(&world, &before);
}

#[test]
fn a_key_that_could_not_be_taken_over_is_once_what_stood_in_the_way_is_mended() {
    let (world, file, _dir) = with_a_key_file();
    let before = sealing(&world);
    let refusals = || world.gateway.process.output().matches("reload_refused").count();
    world.rewrite(|text| text.replace("[[site.route]]", "[[site.routes]]"));
    std::fs::write(&file, fresh_key()).expect("a temporary directory is writable");
    eventually("the fault should be told", || (refusals() > 0).then_some(()));
    std::thread::sleep(SOME_LOOKS);
    assert_eq!((refusals(), sealing(&world)), (1, before.clone()), "it is told once, and the old key goes on");
    world.rewrite(|text| text.replace("[[site.routes]]", "[[site.rout]]"));
    eventually("another fault should be told", || (refusals() == 2).then_some(()));
    world.rewrite(|text| text.replace("[[site.rout]]", "[[site.route]]"));
    taken_over(&world, &before);
    std::thread::sleep(SOME_LOOKS);
    assert_eq!(world.gateway.process.output().matches("\"reloaded\"").count(), 1, "and that is the end of it");
}
