//! TLS that ends here: versions, protocols, a certificate that is renewed while requests run, and HSTS.

use std::io::Write as _;
use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;

use crate::support::{Pair, Reply, Setup, TlsClient, World, answer, ask, eventually};

const NAME: &str = "app-one.example";
const HELLO: &str = "GET /open/x HTTP/1.1\r\nHost: app-one.example\r\n\r\n";

struct Stage {
    world: World,
    /// What is shown first.
    first: Pair,
    /// Where the gateway reads what it shows.
    shown: Pair,
    made: TempDir,
}

impl Stage {
    fn new() -> Self {
        let made = tempfile::tempdir().expect("a temporary directory");
        let first = Pair::make(made.path(), "first", &format!("DNS:{NAME}"));
        let shown = Pair { cert: made.path().join("tls.crt"), key: made.path().join("tls.key") };
        copy(&first, &shown);
        let mut setup = Setup::behind_tls();
        setup.server.push(format!("tls = {{ cert = {:?}, key = {:?} }}", shown.cert, shown.key));
        setup.sites[0].routes.push(vec!["path = \"/open\"".into(), "auth = \"none\"".into()]);
        Self { world: World::of(setup), first, shown, made }
    }

    fn port(&self) -> u16 {
        self.world.gateway.port
    }

    fn another(&self) -> Pair {
        Pair::make(self.made.path(), "second", &format!("DNS:{NAME}"))
    }
}

fn copy(from: &Pair, to: &Pair) {
    std::fs::copy(&from.cert, &to.cert).expect("a temporary directory is writable");
    std::fs::copy(&from.key, &to.key).expect("a temporary directory is writable");
}

fn client(pairs: &[&Pair]) -> TlsClient {
    TlsClient::new(pairs, &[&TLS13, &TLS12], &["http/1.1"])
}

#[test]
fn both_versions_are_spoken_and_http_1_alone() {
    let stage = Stage::new();
    for version in [&TLS12, &TLS13] {
        let client = TlsClient::new(&[&stage.first], &[version], &["h2", "http/1.1"]);
        let mut stream = client.connect(stage.port(), NAME).expect("a handshake");
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert!(ask(&mut stream, HELLO).starts_with("HTTP/1.1 200"));
    }
    let silent = TlsClient::new(&[&stage.first], &[&TLS13], &[]);
    assert!(ask(&mut silent.connect(stage.port(), NAME).expect("a handshake"), HELLO).starts_with("HTTP/1.1 200"));
    let other = TlsClient::new(&[&stage.first], &[&TLS13], &["h2"]);
    assert!(other.connect(stage.port(), NAME).is_err(), "no common protocol is no connection (RFC 7301 §3.2)");
}

#[test]
fn a_renewed_certificate_is_shown_and_no_connection_is_lost() {
    let stage = Stage::new();
    let renewed = stage.another();
    let mut idle = client(&[&stage.first]).connect(stage.port(), NAME).expect("a handshake");
    assert!(ask(&mut idle, HELLO).starts_with("HTTP/1.1 200"));
    let mut busy = client(&[&stage.first]).connect(stage.port(), NAME).expect("a handshake");
    let slow = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nslow".to_vec();
    let asked = stage.world.upstream.count();
    stage.world.upstream.answers(move |_| Reply::After(Duration::from_secs(4), slow.clone()));
    busy.write_all(HELLO.as_bytes()).expect("the request can be written");
    eventually("the request runs", || (stage.world.upstream.count() > asked).then_some(()));

    copy(&renewed, &stage.shown);
    eventually("the renewed certificate is shown", || client(&[&renewed]).connect(stage.port(), NAME).ok());
    assert!(client(&[&stage.first]).connect(stage.port(), NAME).is_err(), "the old one is shown no more");

    assert!(answer(&mut busy).ends_with("slow"), "what ran goes on");
    stage.world.upstream.answers(|_| Reply::json("{}"));
    assert!(ask(&mut idle, HELLO).starts_with("HTTP/1.1 200"), "what was open stays open");
}

#[test]
fn a_broken_pair_is_refused_by_name_and_the_old_one_goes_on() {
    let stage = Stage::new();
    let renewed = stage.another();
    // The new certificate without its key: what is seen half-way through a renewal that is not atomic.
    std::fs::copy(&renewed.cert, &stage.shown.cert).expect("a temporary directory is writable");
    let refused = |what: &str| {
        eventually(what, || {
            let output = stage.world.gateway.process.output();
            let line = output.lines().rfind(|line| line.contains("reload_refused"))?.to_owned();
            line.contains(what).then_some(line)
        })
    };
    assert!(refused("is not the key of the certificate").contains("tls.key"));
    client(&[&stage.first]).connect(stage.port(), NAME).expect("the old one is shown");
    std::fs::write(&stage.shown.key, "nonsense").expect("a temporary directory is writable");
    assert!(refused("holds no private key").contains("tls.key"));
    client(&[&stage.first]).connect(stage.port(), NAME).expect("the old one is shown");
    copy(&renewed, &stage.shown);
    eventually("the renewed certificate is shown", || client(&[&renewed]).connect(stage.port(), NAME).ok());
}

#[test]
fn every_answer_of_an_https_site_says_so_and_no_other_word_counts() {
    let policy = |answer: &crate::support::Response| {
        answer.all("strict-transport-security").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let answers = |site: &[&str], setup: Setup| {
        let mut setup = setup;
        setup.sites[0].site.extend(site.iter().map(|line| (*line).to_owned()));
        setup.sites[0].routes.push(vec!["path = \"/open\"".into(), "auth = \"none\"".into()]);
        let world = World::of(setup);
        let loud = Reply::with("200 OK", "Strict-Transport-Security: max-age=1\r\n", "x");
        world.upstream.answers(move |_| loud.clone());
        let asked =
            [("GET", "/open/x"), ("GET", "/api/x"), ("GET", "/nothing"), ("GET", "/a//b"), ("POST", "/bff/login")]
                .map(|(method, path)| world.send(&world.request(method, path)));
        let own = world.send(&world.request("GET", "/bff/session").header("X-BFF", "1"));
        let mut statuses: Vec<u16> = asked.iter().map(|answer| answer.status).collect();
        statuses.push(own.status);
        assert_eq!(statuses, [200, 403, 404, 400, 405, 200]);
        asked.iter().chain([&own]).map(policy).collect::<Vec<_>>()
    };
    let everywhere = |value: &str| vec![vec![value.to_owned()]; 6];
    assert_eq!(answers(&[], Setup::behind_tls()), everywhere("max-age=31536000; includeSubDomains"));
    let narrow = ["hsts = \"1d\"", "hsts_include_subdomains = false"];
    assert_eq!(answers(&narrow, Setup::behind_tls()), everywhere("max-age=86400"));
    let none = vec![Vec::<String>::new(); 6];
    assert_eq!(answers(&["hsts = \"0s\""], Setup::behind_tls()), none);
    assert_eq!(answers(&[], Setup::one_site()), none, "plain http says nothing of the kind (RFC 6797 §7.2)");
}
