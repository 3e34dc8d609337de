//! `GET /bff/client.js`, over the wire and in a real Chromium with two tabs.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Process, Setup, World, root};

/// Debian's Chromium, unless its package is called otherwise here.
const CHROMIUM: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/// The browser of this machine.
pub fn chromium() -> &'static str {
    CHROMIUM.iter().find(|path| Path::new(path).exists()).expect("no browser; apt-get install chromium")
}

#[test]
fn the_helper_is_a_script_with_a_tag_and_is_open_to_all_pages_of_the_site() {
    let world = World::new();
    let script = world.send(&world.request("GET", "/bff/client.js").header("Sec-Fetch-Dest", "script"));
    assert_eq!((script.status, script.header("content-type")), (200, Some("text/javascript; charset=utf-8")));
    assert_eq!(script.header("cache-control"), Some("no-store"));
    assert_eq!(script.header("cross-origin-resource-policy"), Some("same-origin"));
    assert!(script.text().contains("export function createSession"));
    let tag = script.header("etag").expect("a tag").to_owned();
    let head = world.send(&world.request("HEAD", "/bff/client.js"));
    assert_eq!((head.status, head.header("etag")), (200, Some(tag.as_str())));
    assert_eq!(head.header("content-length"), Some(script.body.len().to_string().as_str()));
    for (asked, status) in [(tag.as_str(), 304), ("\"other\"", 200), ("*", 304)] {
        let again = world.send(&world.request("GET", "/bff/client.js").header("If-None-Match", asked));
        assert_eq!((again.status, again.header("etag")), (status, Some(tag.as_str())), "{asked}");
    }
    world.send(&world.request("POST", "/bff/client.js")).refuses(405, "method");
}

#[test]
fn two_tabs_of_a_browser_share_one_stream() {
    let dir = root().join("tests/browser");
    assert!(dir.join("node_modules").is_dir(), "run tests/run, or npm ci in {}", dir.display());
    let chromium = chromium();
    let mut setup = Setup::one_site();
    setup.sites[0].spa.push(format!("dir = \"{}\"", dir.join("tabs").display()));
    let world = World::of(setup);
    let order = json!({ "site": world.one(), "user": "ada", "executable": chromium });
    let mut process = Process::start(
        Command::new("node").current_dir(&dir).args(["tabs.mjs", &order.to_string()]),
        "apt-get install nodejs npm",
    );
    process.wait(Duration::from_secs(90));
    let report: Value =
        serde_json::from_str(&process.stdout()).unwrap_or_else(|error| panic!("{error}: {}", process.output()));
    assert_eq!(report["ok"], true, "{report:#}");
}
