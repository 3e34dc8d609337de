//! The files of the single-page app: contract section 4.3.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::{Browser, Reply, Request, Setup, Upstream, World};

fn spa() -> (TempDir, PathBuf) {
    let dir = TempDir::new().expect("a temporary directory");
    let root = dir.path().join("spa");
    std::fs::create_dir_all(root.join("assets")).expect("a temporary directory is writable");
    let files = [
        ("index.html", "<!doctype html><title>the app</title>"),
        ("assets/app.js", "export default 1"),
        ("assets/a.css", "a{}"),
        (".env", "SECRET"),
    ];
    for (name, text) in files {
        std::fs::write(root.join(name), text).expect("a temporary directory is writable");
    }
    std::fs::write(dir.path().join("outside.txt"), "OUTSIDE").expect("a temporary directory is writable");
    (dir, root)
}

fn world() -> (TempDir, World) {
    let (dir, root) = spa();
    let mut setup = Setup::one_site();
    setup.sites[0].spa.push(format!("dir = \"{}\"", root.display()));
    (dir, World::of(setup))
}

#[test]
fn the_app_is_served_with_its_types_and_without_cookies() {
    let (_dir, world) = world();
    let mut browser = Browser::new();
    let cases = [
        ("/", "text/html"),
        ("/index.html", "text/html"),
        ("/assets/app.js", "javascript"),
        ("/assets/a.css", "text/css"),
    ];
    for (path, kind) in cases {
        let answer = browser.get(&world.one(), path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").is_some_and(|value| value.contains(kind)), "{path}");
        assert!(answer.all("set-cookie").is_empty(), "{path}");
        assert!(answer.header("etag").or(answer.header("last-modified")).is_some(), "{path} can be revalidated");
        assert!(!answer.header("cache-control").is_some_and(|value| value.contains("no-store")), "{path} is cacheable");
    }
    let head = browser.fetch(&world.one(), "HEAD", "/assets/app.js");
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn an_unchanged_file_is_not_sent_twice() {
    let (_dir, world) = world();
    let mut browser = Browser::new();
    let first = browser.get(&world.one(), "/assets/app.js");
    let (name, value) = match (first.header("etag"), first.header("last-modified")) {
        (Some(tag), _) => ("If-None-Match", tag.to_owned()),
        (None, Some(date)) => ("If-Modified-Since", date.to_owned()),
        _ => panic!("nothing to revalidate with"),
    };
    let again = browser.fetch_with(&world.one(), Request::new("GET", "").header(name, value), "/assets/app.js");
    assert_eq!((again.status, again.body.len()), (304, 0));
}

#[test]
fn a_navigation_gets_the_fallback_page_and_a_fetch_a_404() {
    let (_dir, world) = world();
    let mut browser = Browser::new();
    let page = browser.open(&format!("{}/orders/17?tab=2", world.one()));
    assert_eq!(page.response.status, 200);
    assert!(page.response.text().contains("the app"));
    assert!(page.response.all("set-cookie").is_empty());
    let old = world.send(&world.request("GET", "/orders/17").header("Accept", "text/html"));
    assert_eq!(old.status, 200, "a browser without fetch metadata says it wants a page");
    browser.get(&world.one(), "/orders/17").refuses(404, "no_route");
    browser.get(&world.one(), "/assets/missing.js").refuses(404, "no_route");
    assert!(matches!(browser.post(&world.one(), "/orders/17").status, 404 | 405));
}

#[test]
fn nothing_outside_the_directory_and_nothing_hidden_is_served() {
    let (dir, world) = world();
    std::os::unix::fs::symlink(dir.path().join("outside.txt"), dir.path().join("spa/link.txt"))
        .expect("a link can be made");
    for target in [
        "/../outside.txt",
        "/..%2foutside.txt",
        "/%2e%2e/outside.txt",
        "/assets/../../outside.txt",
        "/..%5coutside.txt",
        "//etc/passwd",
        "/.env",
        "/link.txt",
        "/assets",
        "/assets/",
    ] {
        let answer = world.send(&world.request("GET", target));
        assert!(matches!(answer.status, 400 | 404), "{target}: {}", answer.status);
        assert!(!answer.text().contains("OUTSIDE") && !answer.text().contains("SECRET"), "{target}");
    }
}

#[test]
fn the_app_stays_up_while_its_provider_is_down() {
    let (dir, root) = spa();
    let mut setup = Setup::one_site();
    setup.sites[0].spa.push(format!("dir = \"{}\"", root.display()));
    setup.sites[0].issuer = Some(format!("http://127.0.0.1:{}", crate::support::free_port()));
    let world = World::of(setup);
    assert_eq!(Browser::new().get(&world.one(), "/").status, 200);
    drop(dir);
}

#[test]
fn a_dev_server_answers_what_no_route_takes_and_sees_no_token() {
    let dev_server = Upstream::start();
    dev_server.answers(|_| Reply::with("200 OK", "content-type: text/html\r\n", "<title>dev server</title>"));
    let mut setup = Setup::one_site();
    setup.sites[0].spa.push(format!("dev_server = \"{}\"", dev_server.url()));
    let world = World::of(setup);
    let mut browser = world.signed_in();
    let page = browser.open(&format!("{}/src/main.ts?t=1", world.one()));
    assert!(page.response.text().contains("dev server"));
    let asked = dev_server.last();
    assert_eq!(asked.target, "/src/main.ts?t=1");
    assert!(asked.all("authorization").is_empty());
    let cookie = browser.session_cookie(&world.one()).expect("signed in").value;
    assert!(!asked.headers.iter().any(|(_, value)| value.contains(&cookie)), "the session cookie stays here");
    browser.get(&world.one(), "/api/x");
    assert_eq!(world.upstream.last().target, "/api/x");
}
