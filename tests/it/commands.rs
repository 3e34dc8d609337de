//! The command line and the signals: contract sections 1 and 7.

use std::collections::HashSet;
use std::net::TcpStream;
use std::process::Output;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use tempfile::TempDir;

use crate::support::{Browser, Process, Reply, Setup, Site, World, cloakroom, eventually, free_port};

fn run(arguments: &[&str]) -> Output {
    cloakroom().args(arguments).output().expect("the binary was built")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A configuration file, and the directory that holds it.
fn file(text: &str) -> (TempDir, String) {
    let dir = TempDir::new().expect("a temporary directory");
    let path = dir.path().join("gateway.toml");
    std::fs::write(&path, text).expect("a temporary directory is writable");
    let path = path.display().to_string();
    (dir, path)
}

fn good() -> String {
    Setup::two_sites().toml("http://127.0.0.1:9", "http://127.0.0.1:9")
}

#[test]
fn keygen_prints_a_fresh_key_of_256_bits() {
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let output = run(&["keygen"]);
        assert!(output.status.success() && output.stderr.is_empty());
        let key = text(&output.stdout).trim().to_owned();
        let bytes = URL_SAFE_NO_PAD.decode(&key).or_else(|_| STANDARD.decode(&key)).expect("the key is base64");
        assert_eq!(bytes.len(), 32);
        assert!(seen.insert(key));
    }
}

#[test]
fn a_key_of_keygen_is_accepted_by_the_configuration() {
    let key = text(&run(&["keygen"]).stdout).trim().to_owned();
    let mut setup = Setup::one_site();
    setup.sites[0].key = key;
    let (_dir, path) = file(&setup.toml("http://127.0.0.1:9", "http://127.0.0.1:9"));
    let output = run(&["check", "--config", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn check_prints_the_route_table_of_a_good_configuration() {
    let (_dir, path) = file(&good());
    let output = run(&["check", "--config", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    for word in ["one.localhost", "two.localhost", "/api", "http://127.0.0.1:9", "/bff"] {
        assert!(table.contains(word), "{word} is missing:\n{table}");
    }
}

#[test]
fn check_shows_no_secret() {
    let setup = Setup::two_sites();
    let (_dir, path) = file(&setup.toml("http://127.0.0.1:9", "http://127.0.0.1:9"));
    let broken = setup.toml("http://127.0.0.1:9", "http://127.0.0.1:9").replace("[[site.route]]", "[[site.rout]]");
    let (_dir2, broken) = file(&broken);
    for path in [path, broken] {
        let output = run(&["check", "--config", &path]);
        let all = text(&output.stdout) + &text(&output.stderr);
        assert!(!all.is_empty(), "check always has something to say");
        for (name, value) in setup.secrets() {
            assert!(!all.contains(&value), "the {name} is printed:\n{all}");
        }
    }
}

#[test]
fn check_reports_every_fault_at_once_each_with_its_key_and_a_remedy() {
    let (_dir, path) = file(
        r#"
[server]
listen = "nowhere"
shutdown_grace = "soon"
[store]
url = "mysql://x"
[[site]]
origin = "http://app.example"
base_path = "bff/"
[site.session]
idle = 30
same_site = "none"
keys = ["short"]
[[site.provider]]
issuer = "not a url"
scopes = ["profile"]
client_sceret = "x"
[[site.route]]
path = "api"
upstream = "ftp://x"
auth = "maybe"
"#,
    );
    let output = run(&["check", "--config", &path]);
    assert_eq!(output.status.code(), Some(1));
    let faults = text(&output.stderr);
    let keys = [
        "server.listen",
        "server.shutdown_grace",
        "store.url",
        "site[0].origin",
        "site[0].base_path",
        "site[0].session.idle",
        "site[0].session.same_site",
        "site[0].session.keys",
        "site[0].provider[0].issuer",
        "client_sceret",
        "client_id",
        "site[0].route[0].path",
        "site[0].route[0].upstream",
        "site[0].route[0].auth",
    ];
    for key in keys {
        assert!(faults.contains(key), "{key} is not reported:\n{faults}");
    }
}

#[test]
fn a_bad_configuration_stops_the_start() {
    let (_dir, path) = file(&good().replace("[[site.route]]", "[[site.routes]]"));
    let output = run(&["serve", "--config", &path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("routes"), "{}", text(&output.stderr));
}

#[test]
fn a_missing_file_is_a_fault_and_not_a_panic() {
    for command in ["serve", "check"] {
        let output = run(&[command, "--config", "/nowhere/gateway.toml"]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        let told = text(&output.stderr);
        assert!(told.contains("/nowhere/gateway.toml") && !told.contains("panicked"), "{told}");
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    for arguments in [
        &[][..],
        &["fly"],
        &["serve"],
        &["check"],
        &["check", "--config"],
        &["keygen", "--what"],
        &["dev", "--port", "many"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_and_version_are_results() {
    for argument in ["--help", "--version"] {
        let output = run(&[argument]);
        assert_eq!(output.status.code(), Some(0), "{argument}");
        assert!(text(&output.stdout).contains("cloakroom"));
    }
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let (_dir, path) = file(&good());
    for arguments in
        [&["keygen"][..], &["check", "--config", &path], &["doctor", "--json", "--config", &path], &["--help"]]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has /dev/full");
        let output = cloakroom().args(arguments).stdout(full).output().expect("the binary was built");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).contains("cannot be written"), "{arguments:?}: {}", text(&output.stderr));
    }
    let (reader, gone) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = cloakroom().arg("keygen").stdout(gone).output().expect("the binary was built");
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(1), ""), "a reader that has gone knows it");
}

#[test]
fn a_second_file_adds_sites_and_repeats_nothing() {
    let setup = Setup::two_sites();
    let whole = setup.toml("http://127.0.0.1:9", "http://127.0.0.1:9");
    let second_site = whole.rfind("\n[[site]]").expect("two sites");
    let (_one, first) = file(&whole[..second_site]);
    let (_two, second) = file(&whole[second_site..]);
    let output = run(&["check", "--config", &first, "--config", &second]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("two.localhost"));
    let output = run(&["check", "--config", &first, "--config", &first]);
    assert_eq!(output.status.code(), Some(1), "a scalar set twice and a duplicate site are faults");
}

#[test]
fn a_secret_may_come_from_a_file_or_the_environment() {
    let setup = Setup::one_site();
    let dir = TempDir::new().expect("a temporary directory");
    let key_file = dir.path().join("key");
    std::fs::write(&key_file, format!("{}\n", setup.sites[0].key)).expect("a temporary directory is writable");
    let text_of = setup.toml("http://127.0.0.1:9", "http://127.0.0.1:9");
    let text_of = text_of
        .replace(&format!("\"{}\"", setup.sites[0].key), &format!("{{ file = \"{}\" }}", key_file.display()))
        .replace(&format!("\"{}\"", setup.sites[0].client_secret), "{ env = \"TEST_CLIENT_SECRET\" }");
    let (_dir, path) = file(&text_of);
    let output = cloakroom()
        .args(["check", "--config", &path])
        .env("TEST_CLIENT_SECRET", &setup.sites[0].client_secret)
        .output();
    let output = output.expect("the binary was built");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let output = run(&["check", "--config", &path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("TEST_CLIENT_SECRET"), "{}", text(&output.stderr));
}

#[test]
fn health_tells_by_its_exit_code() {
    let world = World::new();
    world.gateway.wait_ready(200);
    let path = world.config.display().to_string();
    assert_eq!(run(&["health", "--config", &path]).status.code(), Some(0));
    let mut world = world;
    world.gateway.process.kill();
    let output = run(&["health", "--config", &path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!text(&output.stderr).is_empty());
}

#[test]
fn a_port_that_is_taken_is_told_and_exits_with_1() {
    let world = World::new();
    let path = world.config.display().to_string();
    let mut second = Process::start(cloakroom().args(["serve", "--config", &path]), "cargo build");
    assert_eq!(second.wait(Duration::from_secs(10)).code(), Some(1));
    assert!(second.stderr().contains(&world.setup.port.to_string()), "{}", second.stderr());
}

#[test]
fn sigterm_lets_running_requests_finish() {
    let mut world = World::new();
    let browser = world.signed_in();
    world.upstream.answers(|_| {
        Reply::After(Duration::from_millis(800), b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate".to_vec())
    });
    let call = world.own_request(&browser, "GET", "/api/slow");
    let port = world.setup.port;
    std::thread::scope(|scope| {
        let running = scope.spawn(|| crate::support::send(port, &call));
        eventually("the upstream should be asked", || (world.upstream.count() == 1).then_some(()));
        world.gateway.process.signal("TERM");
        let answer = running.join().expect("the request gets its answer");
        assert_eq!((answer.status, answer.text().as_str()), (200, "late"));
    });
    assert_eq!(world.gateway.process.wait(Duration::from_secs(10)).code(), Some(0));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "nothing listens any more");
}

#[test]
fn sigterm_does_not_wait_for_ever() {
    let mut setup = Setup::one_site();
    setup.server.retain(|line| !line.starts_with("shutdown_grace"));
    setup.server.push("shutdown_grace = \"1s\"".into());
    let mut world = World::of(setup);
    let browser = world.signed_in();
    world.upstream.answers(|_| Reply::Hang);
    let call = world.own_request(&browser, "GET", "/api/never");
    let port = world.setup.port;
    let hanging = std::thread::spawn(move || crate::support::send_raw(port, &call.bytes()));
    eventually("the upstream should be asked", || (world.upstream.count() == 1).then_some(()));
    world.gateway.process.signal("TERM");
    world.gateway.process.wait(Duration::from_secs(6));
    hanging.join().expect("the connection ends");
}

#[test]
fn the_grace_of_a_shutdown_is_kept_to_the_split_second() {
    for (grace, delay) in [("200ms", "0s"), ("1s", "800ms")] {
        let mut setup = Setup::one_site();
        setup.server = vec![format!("shutdown_grace = \"{grace}\""), format!("drain_delay = \"{delay}\"")];
        setup.sites[0].routes[0].push("auth = \"none\"".into());
        let mut world = World::of(setup);
        world.upstream.answers(|_| Reply::Hang);
        let (port, call) = (world.setup.port, world.request("GET", "/api/never"));
        let hanging = std::thread::spawn(move || crate::support::send_raw(port, &call.bytes()));
        eventually("the upstream should be asked", || (world.upstream.count() > 0).then_some(()));
        world.gateway.process.signal("TERM");
        let asked = Instant::now();
        assert_eq!(world.gateway.process.wait(Duration::from_secs(10)).code(), Some(0));
        assert!(asked.elapsed() < Duration::from_millis(1500), "{grace} {delay}: {:?}", asked.elapsed());
        hanging.join().expect("the connection ends");
    }
}

#[test]
fn a_reload_that_changes_the_time_for_a_shutdown_is_refused_like_every_other_that_cannot_take_effect() {
    let world = World::new();
    world.rewrite(|text| text.replace("shutdown_grace = \"5s\"", "shutdown_grace = \"6s\""));
    world.reload();
    let output = world.gateway.process.output();
    assert!(output.contains("reload_refused") && output.contains("server.shutdown_grace"), "{output}");
}

#[test]
fn sigint_ends_it_too() {
    let mut world = World::new();
    world.gateway.process.signal("INT");
    assert_eq!(world.gateway.process.wait(Duration::from_secs(10)).code(), Some(0));
}

#[test]
fn a_reload_with_a_bad_configuration_keeps_the_old_one() {
    let world = World::new();
    let mut browser = world.signed_in();
    world.rewrite(|text| text.replace("[[site.route]]", "[[site.routes]]"));
    world.reload();
    assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
    world.gateway.process.says("routes");
}

#[test]
fn a_reload_brings_a_new_site_and_a_new_route_and_loses_no_session() {
    let world = World::new();
    let mut browser = world.signed_in();
    let mut later = Setup::one_site();
    later.port = world.setup.port;
    later.sites[0] = Site::named("two");
    later.register(&world.provider);
    let text = later.toml(&world.provider.issuer(), &world.upstream.url());
    let site = text[text.find("\n[[site]]").expect("a site")..].to_owned();
    world.rewrite(|text| {
        format!("{text}\n[[site.route]]\npath = \"/more\"\nupstream = \"{}\"\n{site}", world.upstream.url())
    });
    world.reload();
    let two = later.origin(0);
    eventually("the new site should be served", || {
        let answer = crate::support::send(
            world.setup.port,
            &crate::support::Request::new("GET", "/bff/session")
                .header("Host", two.replace("http://", ""))
                .header("X-BFF", "1"),
        );
        (answer.status == 200).then_some(())
    });
    assert_eq!(browser.get(&world.one(), "/more/x").status, 200);
    assert!(browser.is_signed_in(&world.one()));
    let mut other = Browser::new();
    other.sign_in(&two, "ada");
    assert!(other.is_signed_in(&two));
}

#[test]
fn dev_needs_nothing_and_says_what_to_click() {
    let port = free_port();
    let dev = Process::start(cloakroom().args(["dev", "--port", &port.to_string()]), "cargo build");
    let told = eventually("dev should print its URLs", || {
        let told = dev.stdout();
        (told.contains(&format!("http://one.localhost:{port}"))
            && told.contains(&format!("http://two.localhost:{port}")))
        .then_some(told)
    });
    let page = eventually("the demo page should come", || {
        TcpStream::connect(("127.0.0.1", port)).ok()?;
        Some(Browser::new().open(&format!("http://one.localhost:{port}/")))
    });
    assert_eq!(page.response.status, 200, "{told}");
    for id in ["sign-in", "sign-out", "user-name", "call-api", "api-result", "other-site"] {
        assert!(page.response.text().contains(id), "the demo page has no #{id}");
    }
}
