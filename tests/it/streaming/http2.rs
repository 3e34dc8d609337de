//! The same over HTTP/2 to the upstream.

use std::time::Duration;

use serde_json::json;

use super::{EXTRA, WARM_UP, ask, download, growth, size, upload};
use crate::support::{Browser, Http2Api, Setup, World, eventually, read_until};

fn stage() -> (World, Http2Api, Browser) {
    let api = Http2Api::start();
    let mut setup = Setup::one_site();
    setup.sites[0].routes =
        vec![vec!["path = \"/api\"".into(), format!("upstream = {:?}", api.url()), format!("ca = {:?}", api.ca())]];
    setup.server[0] = "workers = 1".into();
    let world = World::of(setup);
    let browser = world.signed_in();
    (world, api, browser)
}

/// Nothing went another way.
fn all_went_by_one_connection(world: &World, browser: &Browser) {
    let mut stream = ask(world, browser, "GET", "/api/stats", &[]);
    let stats = String::from_utf8_lossy(&read_until(&mut stream, b"}")).into_owned();
    assert!(stats.contains("\"sessions\":1,") && stats.contains("\"tls\":1}"), "{stats}");
}

#[test]
fn a_large_upload_over_http_2_passes_through_little_memory() {
    let (world, _api, browser) = stage();
    upload(&world, &browser, WARM_UP);
    let extra = growth(&world, || upload(&world, &browser, size()));
    assert!(extra < EXTRA, "{} KiB more", extra >> 10);
    all_went_by_one_connection(&world, &browser);
}

#[test]
fn a_large_download_over_http_2_passes_through_little_memory() {
    let (world, _api, browser) = stage();
    download(&world, &browser, WARM_UP);
    let extra = growth(&world, || download(&world, &browser, size()));
    assert!(extra < EXTRA, "{} KiB more", extra >> 10);
    all_went_by_one_connection(&world, &browser);
}

#[test]
fn endless_streams_over_http_2_wait_for_their_slow_readers() {
    let (world, api, browser) = stage();
    download(&world, &browser, WARM_UP);
    let mut readers = Vec::new();
    let extra = growth(&world, || {
        for _ in 0..8 {
            let mut stream = ask(&world, &browser, "GET", "/api/endless", &[]);
            read_until(&mut stream, b"data: first");
            readers.push(stream);
        }
        // The sockets' own buffers fill meanwhile, and so would a gateway's that has no bound.
        std::thread::sleep(Duration::from_secs(2));
    });
    assert!(extra < EXTRA, "{} KiB more", extra >> 10);
    all_went_by_one_connection(&world, &browser);
    drop(readers);
    let ended = |line: &serde_json::Value| line["path"] == json!("/api/endless");
    eventually("all of them should end", || (api.said().iter().filter(|line| ended(line)).count() == 8).then_some(()));
}
