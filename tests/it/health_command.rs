//! `cloakroom health`, and what it makes of whoever answers at the admin address: contract section 1.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{World, cloakroom};

fn health(config: &Path) -> Output {
    cloakroom().args(["health", "--config"]).arg(config).output().expect("the binary was built")
}

/// What health says of somebody who does `answer` with a connection; it must not be convinced.
#[track_caller]
fn unconvinced(answer: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("a port").port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(&answer));
    let dir = TempDir::new().expect("a temporary directory");
    let config = dir.path().join("gateway.toml");
    std::fs::write(&config, format!("[admin]\nlisten = \"127.0.0.1:{port}\"\n")).expect("it is writable");
    let asked = Instant::now();
    let output = health(&config);
    assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?}", asked.elapsed());
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    String::from_utf8(output.stderr).expect("text")
}

fn replies(answer: &'static str) -> impl Fn(TcpStream) + Send + 'static {
    move |mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(answer.as_bytes());
    }
}

#[test]
fn only_a_gateway_that_says_it_is_ready_is_healthy() {
    let told = unconvinced(replies("HTTP/1.1 200 OK\r\n\r\n<html>welcome"));
    assert!(told.contains("no gateway"), "{told}");
    let told = unconvinced(replies("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"unavailable\"}"));
    assert!(told.contains("not ready"), "{told}");
    let told = unconvinced(replies("HTTP/1.1 503 Service Unavailable\r\n\r\n{\"status\":\"ready\"}"));
    assert!(told.contains("not ready"), "{told}");
    let told = unconvinced(replies("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"status\":\"ready\"}"));
    assert!(told.contains("not as long as it says"), "{told}");
    let told = unconvinced(replies("SSH-2.0-OpenSSH\r\n\r\n"));
    assert!(told.contains("not HTTP"), "{told}");
}

#[test]
fn what_stands_in_an_answer_does_not_steer_the_terminal() {
    let told = unconvinced(replies("HTTP/1.1 503 X\r\n\r\n{\"status\":\"no\"}\n\u{1b}[2J\u{9b}2J"));
    assert!(told.lines().count() == 1 && !told.contains(['\u{1b}', '\u{9b}']), "{told:?}");
}

#[test]
fn an_answer_that_does_not_come_or_never_ends_is_not_waited_for() {
    let told = unconvinced(|stream| {
        std::thread::sleep(Duration::from_secs(30));
        drop(stream);
    });
    assert!(told.contains("no whole answer within 3 s"), "{told}");
    let told = unconvinced(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        while stream.write_all(b"H").is_ok() {
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    assert!(told.contains("no whole answer within 3 s"), "{told}");
}

#[test]
fn a_gateway_that_goes_on_with_its_old_configuration_is_healthy() {
    let world = World::new();
    world.gateway.wait_ready(200);
    world.rewrite(|text| text.replace("[[site.route]]", "[[site.routes]]"));
    world.reload();
    let output = health(&world.config);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for (wrong, word) in [
        ("[admin\n", "is not TOML"),
        ("[admin]\nlisten = \"nowhere\"\n", "admin.listen"),
        ("[admin]\nlisten = 9090\n", "admin.listen"),
    ] {
        world.rewrite(|_| wrong.to_owned());
        let output = health(&world.config);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{wrong}");
        assert!(told.contains(word), "{wrong}: {told}");
    }
    std::fs::remove_file(&world.config).expect("it is there");
    assert_eq!(health(&world.config).status.code(), Some(1));
}
