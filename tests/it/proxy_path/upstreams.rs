//! Connections to an upstream: how many there may be, and over TLS to whom.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

use cloakroom::config::{RouteConfig, TlsFiles};
use rustls::{ServerConfig, ServerConnection, Stream};

use super::gateway::{route, start};
use super::sockets::{Connection, Upstream, status, values};
use crate::support::{Pair, eventually};

#[test]
fn a_full_route_says_so_and_has_room_again_when_a_call_ends() {
    let (go, gone) = channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let upstream = Upstream::start(move |_, connection| {
        while !connection.request().is_empty() {
            connection.connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh");
            let _ = gone.lock().expect("no script panics").recv();
            connection.connection.send("i");
        }
    });
    let mut config = route(upstream.address);
    config.max_calls = 1;
    let mut other = route(upstream.address);
    other.path = "/other".into();
    let gateway = start(vec![config, other]);
    let ask = |path: &str| {
        let mut client = Connection::open(gateway);
        client.ask(&format!("GET {path}"), "");
        (status(&client.head()).to_owned(), client)
    };
    let (first, mut running) = ask("/api");
    assert_eq!(first, "200");
    assert_eq!(ask("/api").0, "503", "its body is still on its way");
    assert_eq!(ask("/other").0, "200", "the others go on");
    assert_eq!(upstream.heads().len(), 2);
    drop(go);
    assert_eq!(running.bytes(2), "hi");
    eventually("there should be room again", || (ask("/api").0 == "200").then_some(()));
}

#[test]
fn nothing_follows_on_a_connection_that_speaks_another_protocol_by_now() {
    for line in ["", "Content-Length: 0\r\n", "Content-Length: 7\r\n", "Transfer-Encoding: chunked\r\n"] {
        let upstream = Upstream::start(move |number, connection| {
            while !connection.request().is_empty() {
                connection.connection.send(match number {
                    0 => format!("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n{line}\r\n"),
                    _ => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(),
                });
            }
        });
        let mut client = Connection::open(start(vec![route(upstream.address)]));
        for expected in ["502", "200"] {
            client.ask("GET /api/x", "");
            let head = client.head();
            assert_eq!(status(&head), expected, "{line}: {head}");
            let length = values(&head, "content-length").concat().parse().expect("a length");
            client.bytes(length);
        }
        assert_eq!(upstream.heads().len(), 2);
    }
}

/// An upstream behind a socket, which tells the request line and the host of what it gets, in as many requests as come.
fn behind(socket: &Path) {
    let listener = UnixListener::bind(socket).expect("a socket");
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).expect("a request") == 0 {
                    break;
                }
                if line != "\r\n" {
                    lines.push(line.trim_end().to_owned());
                    continue;
                }
                let host = lines.iter().find(|line| line.starts_with("host: ")).cloned().unwrap_or_default();
                let told = format!("{number} {} {host}", lines[0]);
                let (length, location) = (told.len(), "Location: http://one.localhost:8080/v1/api/next");
                let answer = format!("HTTP/1.1 200 OK\r\n{location}\r\nContent-Length: {length}\r\n\r\n{told}");
                stream.get_mut().write_all(answer.as_bytes()).expect("an answer");
                lines.clear();
            }
        }
    });
}

#[test]
fn an_upstream_may_listen_on_a_socket_of_this_machine() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("api.sock");
    behind(&socket);
    let mut config = route(SocketAddr::from(([127, 0, 0, 1], 1)));
    config.upstream.url = "http://localhost/v1".parse().expect("a URL");
    config.upstream.socket = Some(socket);
    let mut client = Connection::open(start(vec![config.clone()]));
    for path in ["/api/a?b=c", "/api/d"] {
        client.ask(&format!("GET {path}"), "");
        let head = client.head();
        let told = format!("0 GET /v1{path} HTTP/1.1 host: one.localhost:8080");
        assert_eq!(values(&head, "location"), ["http://one.localhost:8080/api/next"]);
        assert_eq!(client.bytes(told.len()), told, "one connection for both");
    }
    config.upstream.socket = Some(dir.path().join("nobody.sock"));
    let mut client = Connection::open(start(vec![config]));
    client.ask("GET /api", "");
    assert_eq!(status(&client.head()), "502");
}

/// Answers one request for each connection, in a thread of its own.
fn serve(config: ServerConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let config = Arc::new(config);
    std::thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let mut connection = ServerConnection::new(Arc::clone(&config)).expect("a configuration");
            let mut stream = Stream::new(&mut connection, &mut socket);
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
            // A client that turns away during the handshake is what half of this wants.
            let _ = stream.read(&mut [0; 4096]).and_then(|_| stream.write_all(answer));
            connection.send_close_notify();
            let _ = connection.complete_io(&mut socket);
        }
    });
    address
}

fn over_tls(upstream: SocketAddr, tls: TlsFiles) -> String {
    let mut config: RouteConfig = route(upstream);
    config.upstream.url = format!("https://127.0.0.1:{}", upstream.port()).parse().expect("a URL");
    config.upstream.tls = tls;
    let mut client = Connection::open(start(vec![config]));
    client.ask("GET /api", "");
    status(&client.head()).to_owned()
}

fn trusting(pair: &Pair) -> TlsFiles {
    TlsFiles { ca: Some(pair.cert.clone()), ..TlsFiles::default() }
}

#[test]
fn an_upstream_is_believed_by_its_certificate_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let [good, other] = ["good", "other"].map(|name| Pair::make(dir.path(), name, "IP:127.0.0.1"));
    let misnamed = Pair::make(dir.path(), "misnamed", "DNS:api.example");
    let upstream = serve(good.server(None));
    assert_eq!(over_tls(upstream, trusting(&good)), "200");
    assert_eq!(over_tls(upstream, trusting(&other)), "502", "an unknown authority");
    assert_eq!(over_tls(upstream, TlsFiles::default()), "502", "the platform does not know it");
    assert_eq!(over_tls(serve(misnamed.server(None)), trusting(&misnamed)), "502", "another name");
}

#[test]
fn an_upstream_that_wants_a_client_certificate_gets_the_configured_one() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let [server, mine, other] = ["server", "mine", "other"].map(|name| Pair::make(dir.path(), name, "IP:127.0.0.1"));
    let upstream = serve(server.server(Some(&mine)));
    let with = |pair: &Pair| TlsFiles {
        client_cert: Some(pair.cert.clone()),
        client_key: Some(pair.key.clone()),
        ..trusting(&server)
    };
    assert_eq!(over_tls(upstream, with(&mine)), "200");
    assert_eq!(over_tls(upstream, with(&other)), "502");
    assert_eq!(over_tls(upstream, trusting(&server)), "502");
}
