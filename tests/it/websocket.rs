//! WebSockets through the gateway: contract sections 4.4 and 6.10.

mod far;
mod near;

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use serde_json::json;

use self::far::Far;
use self::near::{Frame, KEY, Socket, handshake};
use crate::support::{
    Browser, Http2Api, Redis, Request, Setup, World, cloakroom, contains, eventually, send, send_raw, within,
};

/// How soon an end must reach an open socket.
const SOON: Duration = Duration::from_secs(2);

fn setup(far: &Far) -> Setup {
    let mut setup = Setup::one_site();
    let route = |lines: &[&str]| {
        let upstream = format!("upstream = \"http://127.0.0.1:{}\"", far.port);
        lines.iter().map(|line| (*line).to_owned()).chain([upstream]).collect::<Vec<_>>()
    };
    setup.sites[0].routes = vec![
        route(&["path = \"/ws\"", "websocket = true"]),
        route(&["path = \"/open\"", "websocket = true", "auth = \"none\""]),
        route(&["path = \"/api\""]),
    ];
    setup
}

fn stage() -> (World, Far, Browser) {
    let far = Far::start();
    let world = World::of(setup(&far));
    let browser = world.signed_in();
    (world, far, browser)
}

fn log_out(world: &World, browser: &Browser) {
    assert_eq!(browser.clone().post(&world.one(), "/bff/logout").status, 200);
}

#[test]
fn messages_pass_both_ways_with_the_bearer_and_without_what_is_the_browsers() {
    let (world, far, browser) = stage();
    let request = handshake(&world, &browser, "/ws/echo?room=1")
        .header("Sec-WebSocket-Protocol", "chat.v1, chat.v2")
        .header("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
        .header("Authorization", "Bearer stolen")
        .header("X-Forwarded-For", "6.6.6.6");
    let mut socket = Socket::begin(world.gateway.port, &request.bytes());
    for (name, value) in [
        ("upgrade", "websocket"),
        ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("sec-websocket-protocol", "chat.v2"),
    ] {
        let line = format!("{name}: {value}\r\n");
        assert!(socket.head.to_lowercase().contains(&line.to_lowercase()), "{name} in {}", socket.head);
    }
    for gone in ["set-cookie", "x-inner", "server", "transfer-encoding", "content-length"] {
        assert!(!socket.head.to_lowercase().contains(&format!("\r\n{gone}:")), "{gone} in {}", socket.head);
    }
    socket.send(&Frame::text("hello"));
    assert_eq!(socket.receive(), Frame::text("hello"));
    socket.send(&Frame::new(0x89, b"ping"));
    assert_eq!(socket.receive(), Frame::new(0x8a, b"ping"));
    let seen = &far.visits()[0];
    assert!(seen.head.starts_with("GET /ws/echo?room=1 HTTP/1.1\r\n"), "{}", seen.head);
    let bearer = format!("Bearer {}", world.provider.latest(world.client_id(), "access_token"));
    assert_eq!(seen.all("authorization"), [bearer]);
    assert_eq!((seen.all("connection"), seen.all("upgrade")), (vec!["Upgrade"], vec!["websocket"]));
    assert_eq!((seen.all("sec-websocket-key"), seen.all("sec-websocket-version")), (vec![KEY], vec!["13"]));
    assert_eq!(seen.all("sec-websocket-protocol"), ["chat.v1, chat.v2"]);
    assert_eq!(seen.all("sec-websocket-extensions"), ["permessage-deflate; client_max_window_bits"]);
    assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"]);
    for gone in ["origin", "cookie", "sec-fetch-site", "content-length", "transfer-encoding"] {
        assert!(seen.all(gone).is_empty(), "{gone} in {}", seen.head);
    }
    socket.send(&Frame::new(0x88, &[0x03, 0xe8]));
    assert_eq!(socket.receive().close(), (1000, String::new()));
    assert!(socket.rest().is_empty());
}

#[test]
fn a_large_message_and_one_in_fragments_come_back_whole() {
    let (world, _far, browser) = stage();
    let mut socket = Socket::open(&world, &browser, "/ws/echo");
    let large: Vec<u8> = (0..5_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let mut writer = socket.stream.try_clone().expect("a socket can be cloned");
    let sent = Frame::new(0x82, &large);
    let bytes = sent.bytes(true);
    let writing = std::thread::spawn(move || writer.write_all(&bytes));
    assert!(socket.receive() == sent, "five megabytes come back as they were");
    writing.join().expect("no panic").expect("all was taken");
    for (first, text) in [(0x01, "in "), (0x00, "three "), (0x80, "parts")] {
        socket.send(&Frame::new(first, text.as_bytes()));
        assert_eq!(socket.receive(), Frame::new(first, text.as_bytes()));
    }
}

#[test]
fn a_slow_reader_holds_the_upstream_back_and_loses_it_with_its_session() {
    let (world, far, browser) = stage();
    let socket = Socket::open(&world, &browser, "/ws/fragments");
    let before = world.gateway.process.memory();
    std::thread::sleep(Duration::from_secs(1));
    assert!(world.gateway.process.memory() < before + (8 << 20));
    log_out(&world, &browser);
    within(SOON, "the upstream's connection should end", || far.visits()[0].over.then_some(()));
    drop(socket);
}

#[test]
fn another_page_opens_no_socket_and_the_upstream_never_hears_of_it() {
    let (world, far, browser) = stage();
    let origins = ["null", "https://evil.example", "http://two.localhost:1", "http://one.localhost", ""];
    for target in ["/ws/echo", "/open/echo"] {
        for origin in origins.map(Some).into_iter().chain([None]) {
            let mut request = handshake(&world, &browser, target);
            request.headers.retain(|(name, _)| name != "Origin" && name != "Sec-Fetch-Site");
            let request = request.header("Sec-Fetch-Site", "same-origin").header("X-BFF", "1");
            let request = if let Some(origin) = origin { request.header("Origin", origin) } else { request };
            world.send(&request).refuses(403, "cross_site");
        }
        let twice = handshake(&world, &browser, target).header("Origin", world.one());
        world.send(&twice).refuses(403, "cross_site");
    }
    assert!(far.visits().is_empty());
}

#[test]
fn a_route_decides_on_sockets_and_on_sessions() {
    let (world, far, browser) = stage();
    world.send(&handshake(&world, &browser, "/api/echo")).refuses(400, "bad_request");
    world.send(&handshake(&world, &Browser::new(), "/ws/echo")).refuses(401, "no_session");
    assert!(far.visits().is_empty());
    let mut public = Socket::open(&world, &browser, "/open/echo");
    public.send(&Frame::text("no bearer"));
    assert_eq!(public.receive(), Frame::text("no bearer"));
    assert!(far.visits()[0].all("authorization").is_empty());
    log_out(&world, &browser);
    public.send(&Frame::text("it has no session to lose"));
    assert_eq!(public.receive(), Frame::text("it has no session to lose"));
}

#[test]
fn a_malformed_handshake_is_refused() {
    let (world, far, browser) = stage();
    let without = |name: &str| {
        let mut request = handshake(&world, &browser, "/ws/echo");
        request.headers.retain(|(known, _)| known != name);
        request
    };
    let mut post = handshake(&world, &browser, "/ws/echo");
    post.method = "POST".into();
    for (what, request) in [
        ("no key", without("Sec-WebSocket-Key")),
        ("a short key", without("Sec-WebSocket-Key").header("Sec-WebSocket-Key", "c2hvcnQ=")),
        ("two keys", handshake(&world, &browser, "/ws/echo").header("Sec-WebSocket-Key", KEY)),
        ("no version", without("Sec-WebSocket-Version")),
        ("an old version", without("Sec-WebSocket-Version").header("Sec-WebSocket-Version", "8")),
        ("no connection", without("Connection").header("Connection", "keep-alive")),
        ("two upgrades", handshake(&world, &browser, "/ws/echo").header("Upgrade", "h2c")),
        ("a length", handshake(&world, &browser, "/ws/echo").header("Content-Length", "5").body("hello")),
        ("a body", handshake(&world, &browser, "/ws/echo").header("Transfer-Encoding", "chunked").body("0\r\n\r\n")),
        ("a POST", post.header("Content-Length", "0")),
    ] {
        let answer = world.send(&request);
        assert_eq!((answer.status, answer.reason()), (400, "bad_request"), "{what}");
    }
    let old = String::from_utf8(handshake(&world, &browser, "/ws/echo").bytes()).expect("text");
    let answer = send_raw(world.gateway.port, old.replace("HTTP/1.1", "HTTP/1.0").as_bytes());
    assert!(contains(&answer, b" 400 "), "{}", String::from_utf8_lossy(&answer));
    assert!(far.visits().is_empty());
}

#[test]
fn nothing_goes_upstream_before_its_101_and_what_came_early_follows_it() {
    let (world, far, browser) = stage();
    let early = Frame::text("early");
    let request = [handshake(&world, &browser, "/ws/late").bytes(), early.bytes(true)].concat();
    let mut socket = Socket::begin(world.gateway.port, &request);
    assert_eq!(socket.receive(), early);
    assert!(far.visits()[0].early.is_empty());
    let mut pushed = Socket::open(&world, &browser, "/ws/push");
    assert_eq!(pushed.receive(), Frame::text("at once"));
}

#[test]
fn bytes_behind_a_refused_handshake_are_no_second_request() {
    let (world, far, browser) = stage();
    let smuggled = world.own_request(&browser, "GET", "/api/smuggled").bytes();
    let mut cross_site = handshake(&world, &browser, "/ws/echo");
    cross_site.headers.retain(|(name, _)| name != "Origin");
    for (request, status) in [
        (handshake(&world, &browser, "/ws/refuse"), " 403 "),
        (handshake(&world, &browser, "/ws/other"), " 502 "),
        (handshake(&world, &browser, "/api/echo"), " 400 "),
        (handshake(&world, &browser, "/bff/session"), " 403 "),
        (handshake(&world, &browser, "/nothing"), " 404 "),
        (cross_site, " 403 "),
    ] {
        let answer = send_raw(world.gateway.port, &[request.bytes(), smuggled.clone()].concat());
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text}");
        assert!(text.starts_with(&format!("HTTP/1.1{status}")), "{text}");
    }
    assert!(far.visits().iter().all(|visit| !visit.head.contains("smuggled")));
    let refused = world.send(&handshake(&world, &browser, "/ws/refuse"));
    assert_eq!((refused.status, refused.text().as_str()), (403, "no sockets here"));
    assert_eq!(refused.reason(), "", "it is the upstream's own answer");
}

#[test]
fn a_logout_closes_at_a_frame_boundary_in_the_middle_of_a_message() {
    let (world, far, browser) = stage();
    let mut socket = Socket::open(&world, &browser, "/ws/fragments");
    let first = socket.receive();
    assert_eq!((first.first, first.payload.len()), (0x02, 70_000));
    log_out(&world, &browser);
    let since = Instant::now();
    let closed = loop {
        let frame = socket.receive();
        if frame.first == 0x88 {
            break frame;
        }
        assert_eq!((frame.first, frame.payload.len()), (0x00, 70_000), "only whole fragments");
        assert!(since.elapsed() < SOON);
    };
    assert_eq!(closed.close(), (4401, "revoked".into()));
    assert!(since.elapsed() < SOON);
    within(SOON, "the upstream's connection should end", || far.visits()[0].over.then_some(()));
    assert!(socket.rest().is_empty(), "nothing follows a Close frame");
}

#[test]
fn a_logout_at_the_provider_closes_too() {
    let (world, _far, browser) = stage();
    let mut socket = Socket::open(&world, &browser, "/ws/echo");
    let answer = crate::backchannel::log_out_at_provider(&world, "ada");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(socket.receive().close(), (4401, "revoked".into()));
}

#[test]
fn a_frame_that_never_ends_is_cut() {
    let (world, far, browser) = stage();
    let mut socket = Socket::open(&world, &browser, "/ws/stuck");
    let mut start = [0; 13];
    socket.stream.read_exact(&mut start).expect("the start of the frame");
    log_out(&world, &browser);
    let since = Instant::now();
    within(SOON, "the upstream's connection should end", || far.visits()[0].over.then_some(()));
    assert!(socket.rest().is_empty(), "no Close frame inside another frame");
    assert!(since.elapsed() < Duration::from_millis(1500), "{:?}", since.elapsed());
}

#[test]
fn every_socket_of_the_session_is_closed_and_no_other() {
    let (world, _far, browser) = stage();
    let other = world.signed_in();
    let mut sockets: Vec<Socket> = (0..64).map(|_| Socket::open(&world, &browser, "/ws/echo")).collect();
    world.send(&handshake(&world, &browser, "/ws/echo")).refuses(429, "too_many");
    let mut others: Vec<Socket> = (0..36).map(|_| Socket::open(&world, &other, "/ws/echo")).collect();
    for socket in sockets.iter_mut().chain(&mut others) {
        socket.send(&Frame::text("all are open"));
    }
    for socket in sockets.iter_mut().chain(&mut others) {
        assert_eq!(socket.receive(), Frame::text("all are open"));
    }
    log_out(&world, &browser);
    let since = Instant::now();
    for socket in &mut sockets {
        assert_eq!(socket.receive().close(), (4401, "revoked".into()));
    }
    assert!(since.elapsed() < SOON);
    for socket in &mut others {
        socket.send(&Frame::text("still there"));
        assert_eq!(socket.receive(), Frame::text("still there"));
    }
}

#[test]
fn a_closed_socket_makes_room_for_another() {
    let (world, far, browser) = stage();
    for _ in 0..80 {
        drop(Socket::open(&world, &browser, "/ws/echo"));
    }
    eventually("all of them should end", || far.visits().iter().all(|visit| visit.over).then_some(()));
}

#[test]
fn an_end_on_one_replica_closes_sockets_on_another() {
    let (far, redis) = (Far::start(), Redis::start());
    let mut setup = setup(&far);
    setup.store.push(format!("url = \"{}\"", redis.url()));
    let world = World::of(setup);
    let browser = world.signed_in();
    let replica = crate::support::free_port();
    let config = world.dir.path().join("replica.toml");
    let text = std::fs::read_to_string(&world.config).expect("it was written");
    let admin = crate::support::free_port();
    let text = text
        .replace(&format!("listen = \"127.0.0.1:{}\"", world.setup.port), &format!("listen = \"127.0.0.1:{replica}\""))
        .replace(&world.setup.admin_port.to_string(), &admin.to_string());
    std::fs::write(&config, text).expect("a temporary directory is writable");
    let other = crate::support::Gateway::serve(&config, replica, admin);
    let mut socket = Socket::begin(other.port, &handshake(&world, &browser, "/ws/echo").bytes());
    socket.send(&Frame::text("there"));
    assert_eq!(socket.receive(), Frame::text("there"));
    log_out(&world, &browser);
    let since = Instant::now();
    assert_eq!(socket.receive().close(), (4401, "revoked".into()));
    assert!(since.elapsed() < SOON);
}

#[test]
fn data_keeps_a_session_alive_and_pings_do_not() {
    let far = Far::start();
    let mut setup = setup(&far);
    setup.sites[0].session.push("idle = \"2s\"".into());
    let world = World::of(setup);
    let (busy, quiet) = (world.signed_in(), world.signed_in());
    let mut talking = Socket::open(&world, &busy, "/ws/echo");
    let mut pinging = Socket::open(&world, &quiet, "/ws/echo");
    let start = Instant::now();
    let mut closed = None;
    // Twice the idle time, in steps well below it.
    while start.elapsed() < Duration::from_secs(4) {
        talking.send(&Frame::text("here"));
        assert_eq!(talking.receive(), Frame::text("here"));
        if closed.is_none() {
            pinging.send(&Frame::new(0x89, b"here?"));
            let answer = pinging.receive();
            if answer.first == 0x88 {
                closed = Some((answer.close(), start.elapsed()));
            }
        }
        std::thread::sleep(Duration::from_millis(150));
    }
    let (why, when) = closed.expect("a session that only pings is idle");
    assert_eq!(why, (4401, "idle".into()));
    assert!(when < Duration::from_secs(3), "{when:?}");
}

#[test]
fn data_keeps_a_session_alive_while_the_store_is_down() {
    let redis = Redis::start();
    let far = Far::start();
    let mut setup = setup(&far);
    setup.sites[0].session.push("idle = \"4s\"".into());
    setup.store.extend([format!("url = \"{}\"", redis.url()), "grace = \"60s\"".into()]);
    let world = World::of(setup);
    let browser = world.signed_in();
    let mut talking = Socket::open(&world, &browser, "/ws/echo");
    redis.freeze();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(6) {
        talking.send(&Frame::text("here"));
        assert_eq!(talking.receive(), Frame::text("here"), "after {:?}", start.elapsed());
        std::thread::sleep(Duration::from_millis(150));
    }
    redis.thaw();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(browser.clone().get(&world.one(), "/bff/session").json()["authenticated"], true);
}

#[test]
fn a_session_ends_in_its_sockets_at_its_absolute_end() {
    let far = Far::start();
    let mut setup = setup(&far);
    setup.sites[0].session.extend(["absolute = \"3s\"".into(), "idle = \"3s\"".into()]);
    let world = World::of(setup);
    let browser = world.signed_in();
    let mut socket = Socket::open(&world, &browser, "/ws/echo");
    let start = Instant::now();
    let closed = loop {
        socket.send(&Frame::text("here"));
        let frame = socket.receive();
        if frame.first == 0x88 {
            break frame.close();
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(closed, (4401, "expired".into()));
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[test]
fn a_session_that_cannot_be_refreshed_ends_in_its_sockets_with_its_token() {
    let far = Far::start();
    let world = World::of(setup(&far));
    world.provider.register(&json!({
        "client_id": world.client_id(), "client_secret": world.setup.sites[0].client_secret,
        "grant_types": ["authorization_code"], "redirect_uris": [format!("{}/bff/callback", world.one())],
        "test": { "access_ttl": 3 },
    }));
    let mut socket = Socket::open(&world, &world.signed_in(), "/ws/echo");
    let start = Instant::now();
    assert_eq!(socket.receive().close(), (4401, "expired".into()));
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[test]
fn an_outage_closes_nothing_until_the_grace_is_over_and_then_nobody_is_logged_out() {
    let (far, mut redis) = (Far::start(), Redis::start());
    let mut setup = setup(&far);
    setup.store.extend([format!("url = \"{}\"", redis.url()), "grace = \"3s\"".into()]);
    let world = World::of(setup);
    let browser = world.signed_in();
    let mut socket = Socket::open(&world, &browser, "/ws/echo");
    redis.freeze();
    let start = Instant::now();
    assert_eq!(socket.receive().close(), (1013, "store_unavailable".into()));
    assert!((Duration::from_secs(3)..Duration::from_secs(9)).contains(&start.elapsed()), "{:?}", start.elapsed());
    redis.thaw();
    eventually("the session should be there again", || {
        (world.send(&handshake(&world, &browser, "/api/echo")).status == 400).then_some(())
    });
    let mut again = Socket::open(&world, &browser, "/ws/echo");
    again.send(&Frame::text("nobody was logged out"));
    assert_eq!(again.receive(), Frame::text("nobody was logged out"));
    redis.kill();
}

#[test]
fn whoever_goes_first_the_other_side_hears_of_it() {
    let (world, far, browser) = stage();
    let socket = Socket::open(&world, &browser, "/ws/echo");
    socket.stream.shutdown(Shutdown::Write).expect("an open socket");
    within(Duration::from_secs(1), "the upstream should see the end", || far.visits()[0].over.then_some(()));
    let mut dying = Socket::open(&world, &browser, "/ws/die");
    assert_eq!(dying.receive(), Frame::text("last words"));
    let since = Instant::now();
    assert!(dying.rest().is_empty());
    assert!(since.elapsed() < SOON);
}

#[test]
fn open_sockets_survive_a_reload_and_still_hear_of_the_end() {
    let (world, _far, browser) = stage();
    let mut socket = Socket::open(&world, &browser, "/ws/echo");
    let key = crate::support::fresh_key();
    world.rewrite(|text| text.replace("keys = [", &format!("keys = [\"{key}\", ")));
    world.reload();
    // The record moves to the new key, which only the new configuration knows.
    assert_eq!(browser.clone().post(&world.one(), "/bff/session/extend").status, 200);
    std::thread::sleep(Duration::from_millis(1500));
    socket.send(&Frame::text("still there"));
    assert_eq!(socket.receive(), Frame::text("still there"));
    log_out(&world, &browser);
    assert_eq!(socket.receive().close(), (4401, "revoked".into()));
}

#[test]
fn a_stop_says_goodbye_to_open_sockets_and_ends_in_time() {
    let (mut world, _far, browser) = stage();
    let mut sockets: Vec<Socket> = (0..10).map(|_| Socket::open(&world, &browser, "/ws/echo")).collect();
    world.gateway.process.signal("TERM");
    for socket in &mut sockets {
        assert_eq!(socket.receive().close(), (1001, String::new()));
    }
    assert!(world.gateway.process.wait(Duration::from_secs(5)).success());
}

#[test]
fn hot_reload_reaches_the_development_server_of_dev() {
    let far = Far::start();
    let port = crate::support::free_port();
    let spa = format!("http://127.0.0.1:{}", far.port);
    let dev = crate::support::Process::start(
        cloakroom().args(["dev", "--port", &port.to_string(), "--spa", &spa]),
        "cargo build",
    );
    eventually("dev should listen", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    let authority = format!("one.localhost:{port}");
    let request = |origin: &str| {
        Request::new("GET", "/?token=t0ken")
            .header("Host", &authority)
            .header("Origin", origin)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", KEY)
            .header("Sec-WebSocket-Protocol", "vite-hmr")
    };
    send(port, &request("http://evil.example")).refuses(403, "cross_site");
    let mut socket = Socket::begin(port, &request(&format!("http://{authority}")).bytes());
    socket.send(&Frame::text("reload"));
    assert_eq!(socket.receive(), Frame::text("reload"));
    let seen = far.visits().into_iter().find(|visit| !visit.all("upgrade").is_empty()).expect("it was asked");
    assert!(seen.head.starts_with("GET /?token=t0ken "), "{}", seen.head);
    assert_eq!(seen.all("host"), [format!("127.0.0.1:{}", far.port)]);
    assert!(seen.all("origin").is_empty());
    drop(dev);
}

#[test]
fn a_tunnel_has_an_http_1_connection_where_calls_go_by_http_2() {
    let api = Http2Api::start();
    let mut setup = Setup::one_site();
    let lines = ["path = \"/api\"".into(), format!("upstream = {:?}", api.url()), format!("ca = {:?}", api.ca())];
    setup.sites[0].routes = vec![lines.into_iter().chain(["websocket = true".into()]).collect()];
    let world = World::of(setup);
    let browser = world.signed_in();
    let version = || {
        let answer = world.send(&world.own_request(&browser, "GET", "/api/echo"));
        let seen: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        seen["version"].clone()
    };
    for _ in 0..2 {
        assert_eq!(version(), json!("2.0"));
        let mut socket = Socket::open(&world, &browser, "/api/socket");
        assert_eq!(socket.receive(), Frame::text("hi"));
    }
    assert_eq!(version(), json!("2.0"));
    let upgrades = api.said().into_iter().filter(|line| line["upgrade"] == json!("/api/socket"));
    assert!(upgrades.map(|line| line["version"].clone()).eq([json!("1.1"), json!("1.1")]));
}
