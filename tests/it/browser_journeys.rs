//! A person's journey in a real Chromium: log in at two sites, see data, reload, look around, log out.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Process, Setup, World, cloakroom, eventually, free_port, root, send_raw};

/// Debian's Chromium, unless its package is called otherwise here.
const CHROMIUM: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

fn travel(name: &str, one: &str, two: &str) -> (Value, PathBuf) {
    let dir = root().join("tests/browser");
    assert!(
        dir.join("node_modules").is_dir(),
        "the browser driver is not installed; run tests/run, or npm ci in {}",
        dir.display()
    );
    let chromium = CHROMIUM.iter().find(|path| Path::new(path).exists()).expect("no browser; apt-get install chromium");
    let artefacts = root().join("target/artefacts").join(name);
    let order = json!({ "one": one, "two": two, "user": "ada", "artefacts": artefacts, "executable": chromium });
    let mut process = Process::start(
        Command::new("node").current_dir(&dir).args(["journey.mjs", &order.to_string()]),
        "apt-get install nodejs npm",
    );
    process.wait(Duration::from_secs(120));
    let report =
        serde_json::from_str(&process.stdout()).unwrap_or_else(|error| panic!("{error}: {}", process.output()));
    (report, artefacts)
}

#[track_caller]
fn check(report: &Value) {
    assert_eq!(
        report["ok"],
        true,
        "{}\nfound: {:#}\nafter: {}",
        report["error"].as_str().unwrap_or(""),
        report["findings"],
        report["steps"]
    );
    assert!(report["scanned"].as_u64() > Some(20), "{report}");
    for cookie in report["cookies"].as_array().expect("a list of cookies") {
        assert_eq!(
            (&cookie["httpOnly"], &cookie["sameSite"], &cookie["path"]),
            (&json!(true), &json!("Lax"), &json!("/")),
            "{cookie}"
        );
        let length = cookie["name"].as_str().map_or(0, str::len) + 1 + cookie["value"].as_str().map_or(0, str::len);
        assert!(length <= 200, "{cookie}");
    }
}

#[test]
fn a_person_uses_both_demo_sites_of_dev_and_no_token_is_in_sight() {
    let port = free_port();
    let dev = Process::start(cloakroom().args(["dev", "--port", &port.to_string()]), "cargo build");
    eventually("dev should listen", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    let (report, _) = travel("dev", &format!("http://one.localhost:{port}"), &format!("http://two.localhost:{port}"));
    check(&report);
    drop(dev);
}

#[test]
fn a_person_uses_two_sites_with_a_real_provider_and_no_token_is_in_sight() {
    let mut setup = Setup::two_sites();
    // Long enough for the journey: a logout at this provider takes the refresh tokens of the other site away as well.
    setup.access_ttl = 120;
    setup.jwt = true;
    for site in &mut setup.sites {
        site.spa.push(format!("dir = \"{}\"", root().join("tests/browser/spa").display()));
    }
    let world = World::with_own_provider(setup);
    let (report, artefacts) = travel("serve", &world.one(), &world.two());
    check(&report);
    let seen = std::fs::read_to_string(artefacts.join("seen.txt")).expect("the journey writes what it saw");
    for (name, value) in world.secrets() {
        // By design the code passes through the browser, and the ID token is the hint of the provider's logout URL.
        if name != "code" && name != "id_token" {
            assert!(!seen.contains(&value), "the browser saw the {name}");
        }
    }
    let bearers = world.upstream.requests();
    assert!(bearers.len() >= 4 && bearers.iter().all(|asked| !asked.bearer().is_empty()));
    assert!(send_raw(world.setup.port, b"GET / HTTP/1.0\r\n\r\n").starts_with(b"HTTP/1"), "the gateway lives on");
}

/// A form that another site posts brings no `SameSite=Lax` cookie along, in this browser as in every other; the login works
/// all the same, and no code was in any URL or answer.
#[test]
fn a_person_uses_two_sites_whose_provider_posts_its_answers() {
    let mut setup = Setup::two_sites();
    setup.access_ttl = 120;
    for (site, mode) in setup.sites.iter_mut().zip(["form_post", "form_post.jwt"]) {
        site.provider.push(format!("response_mode = \"{mode}\""));
        site.spa.push(format!("dir = \"{}\"", root().join("tests/browser/spa").display()));
    }
    let world = World::with_own_provider(setup);
    let (report, artefacts) = travel("form-post", &world.one(), &world.two());
    check(&report);
    let seen = std::fs::read_to_string(artefacts.join("seen.txt")).expect("the journey writes what it saw");
    for site in [world.one(), world.two()] {
        assert!(seen.contains(&format!("# 303 {site}/bff/callback\n")), "the answer was posted to {site}");
        assert!(seen.contains(&format!("# 303 {site}/bff/callback?answer=")), "and came back sealed");
    }
    for (name, value) in world.secrets() {
        // By design the ID token is the hint of the provider's logout URL.
        if name != "id_token" {
            assert!(!seen.contains(&value), "the browser saw the {name}");
        }
    }
}
