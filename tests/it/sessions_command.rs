//! `cloakroom sessions`: listing, ending and counting sessions in every kind of store; contract sections 1 and 5.

use std::io::{Read as _, Write as _};
use std::process::Output;

use serde_json::Value;

use crate::support::{Browser, Redis, Setup, World, cloakroom, eventually, free_port, fresh_key, within};

const USER: &str = "ada";

/// Whether a log names the user: as a value of its own, since three letters stand in many words.
fn names_the_user(log: &str) -> bool {
    log.contains(&format!("\"{USER}\"")) || log.contains(&format!("={USER}")) || log.contains("example.test")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn sessions(world: &World, arguments: &[&str]) -> Output {
    let mut command = cloakroom();
    command.arg("sessions").args(arguments).arg("--config").arg(&world.config);
    command.output().expect("the binary was built")
}

/// What the command printed; it must have succeeded.
#[track_caller]
fn printed(world: &World, arguments: &[&str]) -> String {
    let output = sessions(world, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
fn lines(world: &World, arguments: &[&str]) -> Vec<Value> {
    let mut all = arguments.to_vec();
    all.push("--json");
    printed(world, &all).lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

fn sign_in(origin: &str, user: &str) -> Browser {
    let mut browser = Browser::new();
    browser.sign_in(origin, user);
    assert!(browser.is_signed_in(origin));
    browser
}

/// A world with an admin token on a store.
fn world(setup: Setup, store: &str) -> World {
    let mut setup = setup.admin_token(&fresh_key());
    setup.store.push(format!("url = \"{store}\""));
    World::of(setup)
}

#[test]
fn sessions_in_memory_are_listed_and_ended_through_the_gateway() {
    list_and_revoke(&world(Setup::two_sites(), "memory:"));
}

#[test]
fn sessions_in_a_file_are_listed_and_ended_through_the_gateway() {
    list_and_revoke(&world(Setup::two_sites(), "file:sessions.redb"));
}

#[test]
fn sessions_in_redis_are_listed_and_ended_in_the_store_itself() {
    let redis = Redis::start();
    list_and_revoke(&world(Setup::two_sites(), &redis.url()));
}

fn list_and_revoke(world: &World) {
    let (one, two) = (world.one(), world.two());
    let (mut first, mut second) = (sign_in(&one, USER), sign_in(&one, USER));
    let (mut other, mut elsewhere) = (sign_in(&one, "grace"), sign_in(&two, USER));

    let all = lines(world, &["list"]);
    assert_eq!(all.len(), 4, "{all:?}");
    let fields = all[0].as_object().expect("an object");
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "created_at",
            "ends_at",
            "generation",
            "key",
            "last_seen",
            "provider",
            "session",
            "site",
            "subject",
            "token_until"
        ]
    );
    assert_eq!(lines(world, &["list", "--site", &one]).len(), 3);
    let mine = lines(world, &["list", "--site", &one, "--subject", USER]);
    assert_eq!(mine.len(), 2);
    for session in &mine {
        assert_eq!((&session["subject"], &session["site"]), (&USER.into(), &one.as_str().into()));
        let seconds = |name: &str| session[name].as_u64().expect("seconds");
        assert_eq!(seconds("ends_at") - seconds("created_at"), 43_200);
        assert_eq!(seconds("generation"), 1);
    }
    let table = printed(world, &["list", "--site", &one]);
    let (head, rows) = table.split_once('\n').expect("a head and rows");
    assert!(rows.lines().all(|row| row.find("main") == head.find("PROVIDER")), "{table}");

    assert_eq!(lines(world, &["list", "--all"]), all, "all is what is listed without a subject");

    assert_eq!(printed(world, &["revoke", "--site", &one, "--subject", USER]), "2 sessions ended\n");
    for browser in [&mut first, &mut second] {
        ended(browser, &one);
    }
    assert!(other.is_signed_in(&one) && elsewhere.is_signed_in(&two));
    assert_eq!(lines(world, &["list", "--subject", USER]).len(), 1);

    let name = lines(world, &["list", "--site", &one])[0]["session"].as_str().expect("a name").to_owned();
    assert_eq!(printed(world, &["revoke", "--session", &name]), "1 session ended\n");
    ended(&mut other, &one);
    assert_eq!(lines(world, &["revoke", "--all"]), [serde_json::json!({ "ended": 1 })]);
    ended(&mut elsewhere, &two);
    assert_eq!(printed(world, &["list"]), "no live sessions\n");
    assert!(!names_the_user(&world.gateway.process.output()), "the log names a user");
    World::logged_none_of(&world.gateway.process, &world.secrets());
}

#[track_caller]
fn ended(browser: &mut Browser, origin: &str) {
    within(std::time::Duration::from_secs(2), "a revoked session should be over", || {
        Some(browser.get(origin, "/api/x")).filter(|answer| answer.status == 401)
    })
    .refuses(401, "revoked");
}

#[test]
fn no_secret_and_no_subject_is_written_where_it_does_not_belong() {
    let redis = Redis::start();
    let world = world(Setup::one_site(), &redis.url());
    let browser = sign_in(&world.one(), USER);
    let mut secrets = world.secrets();
    secrets.extend(world.setup.admin.iter().map(|line| ("admin token".into(), line.replace("token = ", ""))));
    let cookie = browser.session_cookie(&world.one()).expect("signed in").value;
    secrets.push(("cookie".into(), cookie));
    for arguments in [vec!["list"], vec!["list", "--json"], vec!["keys"], vec!["revoke", "--subject", USER]] {
        let output = sessions(&world, &arguments);
        let all = format!("{}{}", text(&output.stdout), text(&output.stderr));
        for (name, value) in &secrets {
            assert!(!all.contains(value.trim_matches('"')), "{arguments:?} shows the {name}");
        }
        assert!(!names_the_user(&text(&output.stderr)), "{}", text(&output.stderr));
        if arguments[0] == "revoke" {
            assert!(text(&output.stderr).contains("sessions_revoked"), "who ended what is an event");
        }
    }
}

#[test]
fn a_revocation_names_exactly_what_it_ends() {
    let world = World::new();
    for wrong in [
        &["revoke"][..],
        &["revoke", "--all", "--subject", "ada"],
        &["revoke", "--session", "x", "--all"],
        &["list", "--all", "--subject", "ada"],
        &["nothing"],
        &[],
    ] {
        assert_eq!(sessions(&world, wrong).status.code(), Some(2), "{wrong:?}");
    }
    let unconfigured = cloakroom().args(["sessions", "list"]).output().expect("the binary was built");
    assert_eq!(unconfigured.status.code(), Some(2));
}

#[test]
fn what_is_missing_is_said() {
    let fails = |world: &World, arguments: &[&str], word: &str| {
        let output = sessions(world, arguments);
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""), "{arguments:?}");
        assert!(text(&output.stderr).contains(word), "{word} is not in {}", text(&output.stderr));
    };
    let closed = World::new();
    fails(&closed, &["list"], "admin.token");
    let open = world(Setup::one_site(), "memory:");
    fails(&open, &["list", "--site", "https://elsewhere.example"], "https://elsewhere.example");
    fails(&open, &["keys", "--site", "https://elsewhere.example"], "https://elsewhere.example");
    let token = open.setup.admin[0].clone();
    open.rewrite(|text| text.replace(&token, &format!("token = \"{}\"", fresh_key())));
    fails(&open, &["list"], "refuses");
    let port = free_port();
    open.rewrite(|text| text.replace(&open.setup.admin_port.to_string(), &port.to_string()));
    fails(&open, &["revoke", "--all"], &format!("127.0.0.1:{port}"));
    let nowhere = format!("redis://127.0.0.1:{}/0", free_port());
    let down = world(Setup::one_site(), &nowhere);
    fails(&down, &["list"], "does not answer");
}

/// A store in memory is asked about at whatever listens at the admin address.
#[test]
fn what_a_stranger_answers_does_not_steer_the_terminal() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("a port").port();
    let world = world(Setup::one_site(), "memory:");
    world.rewrite(|text| text.replace(&world.setup.admin_port.to_string(), &port.to_string()));
    let session = serde_json::json!({ "site": "s", "session": "x", "subject": "a\u{9b}2J\u{1b}[2J\nb", "provider": "main",
        "created_at": 1, "last_seen": 1, "ends_at": 1, "token_until": 1, "generation": 1, "key": "k" });
    let listed = serde_json::json!({ "sessions": [session.clone()], "next": null });
    let refused = serde_json::json!({ "title": "no\u{9b}2J", "detail": "go\naway\u{202e}" });
    let answers = [(200, &listed), (200, &listed), (403, &refused)]
        .map(|(status, body)| format!("HTTP/1.0 {status} X\r\n\r\n{body}"));
    let serving = std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a connection");
            let _ = stream.read(&mut [0; 4096]);
            stream.write_all(answer.as_bytes()).expect("it reads");
        }
    });
    let harmless = |told: &str| assert!(!told.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{told:?}");
    assert_eq!(lines(&world, &["list"]), [session]);
    let (table, refusal) = (printed(&world, &["list"]), sessions(&world, &["list", "--json"]));
    harmless(&table);
    harmless(&text(&refusal.stderr));
    assert_eq!((table.lines().count(), text(&refusal.stderr).lines().count()), (2, 1));
    serving.join().expect("everything was asked");
}

#[test]
fn a_key_is_dropped_without_a_logout_in_memory() {
    rotate(&world(rotating(), "memory:"));
}

#[test]
fn a_key_is_dropped_without_a_logout_in_a_file() {
    rotate(&world(rotating(), "file:sessions.redb"));
}

#[test]
fn a_key_is_dropped_without_a_logout_in_redis() {
    let redis = Redis::start();
    rotate(&world(rotating(), &redis.url()));
    for key in redis.keys() {
        let ttl = redis.ttl(&key);
        assert!((0..=43_200).contains(&ttl) || ttl == -2, "{key} has the TTL {ttl}");
    }
}

/// A provider that takes long is waited for.
fn patient() -> Setup {
    let mut setup = Setup::one_site();
    setup.sites[0].provider.push("timeout = \"30s\"".into());
    setup
}

fn rotating() -> Setup {
    let mut setup = Setup::one_site();
    setup.sites[0].session.push("idle = \"20s\"".into());
    setup
}

/// Both keys' live sessions, the one that seals first.
#[track_caller]
fn counts(world: &World) -> Vec<u64> {
    lines(world, &["keys"]).iter().map(|key| key["sessions"].as_u64().expect("a count")).collect()
}

fn rotate(world: &World) {
    let one = world.one();
    let (old, new) = (world.setup.sites[0].key.clone(), fresh_key());
    let keys = |keys: &[&String]| format!("keys = {keys:?}");
    let change = |from: &[&String], to: &[&String]| {
        world.rewrite(|text| text.replace(&keys(from), &keys(to)));
        world.reload();
        eventually("the new ring should be counted", || (lines(world, &["keys"]).len() == to.len()).then_some(()));
    };
    let (mut looker, mut worker) = (sign_in(&one, USER), sign_in(&one, USER));
    assert_eq!(counts(world), [2]);
    change(&[&old], &[&old, &new]);
    assert_eq!(counts(world), [2, 0]);
    change(&[&old, &new], &[&new, &old]);
    assert_eq!(counts(world), [0, 2]);
    // One page asks for its session, the other only calls the API.
    assert!(looker.is_signed_in(&one));
    assert_eq!(counts(world), [1, 1]);
    within(std::time::Duration::from_secs(10), "activity should seal the record anew", || {
        assert_eq!(worker.get(&one, "/api/x").status, 200);
        (counts(world) == [2, 0]).then_some(())
    });
    let table = printed(world, &["keys"]);
    assert!(table.contains("seals") && table.contains("/bff/session"), "{table}");
    for key in [&old, &new] {
        assert!(!table.contains(&**key), "a key is printed");
    }
    assert!(worker.is_signed_in(&one), "its cookie is sealed anew as well");
    change(&[&new, &old], &[&new]);
    assert_eq!(counts(world), [2]);
    assert!(looker.is_signed_in(&one) && worker.is_signed_in(&one), "nobody was logged out");
    assert_eq!(lines(world, &["list", "--subject", USER]).len(), 2);
    looker.post(&one, "/bff/logout?everywhere=true");
    ended(&mut worker, &one);
}

#[test]
fn a_refresh_moves_a_session_to_the_new_key_and_its_indexes_too() {
    let mut setup = Setup::one_site();
    setup.access_ttl = 3;
    let world = world(setup, "memory:");
    let one = world.one();
    let (old, new) = (world.setup.sites[0].key.clone(), fresh_key());
    let mut browser = sign_in(&one, USER);
    world.rewrite(|text| text.replace(&format!("keys = [\"{old}\"]"), &format!("keys = [\"{new}\", \"{old}\"]")));
    world.reload();
    eventually("a refresh should seal the record anew", || {
        assert_eq!(browser.get(&one, "/api/x").status, 200);
        (counts(&world) == [1, 0]).then_some(())
    });
    assert!(lines(&world, &["list"])[0]["generation"].as_u64() > Some(1), "it was the refresh that did it");
    assert!(browser.is_signed_in(&one), "its cookie is sealed anew");
    world.rewrite(|text| text.replace(&format!("\"{new}\", \"{old}\""), &format!("\"{new}\"")));
    world.reload();
    assert_eq!(printed(&world, &["revoke", "--subject", USER]), "1 session ended\n");
    ended(&mut browser, &one);
}

/// The refresh began before the keys changed twice, and ends after it.
#[test]
fn a_refresh_that_outlasts_two_reloads_is_sealed_with_the_key_that_seals_then() {
    let mut setup = patient();
    setup.access_ttl = 1;
    let mut world = world(setup, "memory:");
    let one = world.one();
    let (old, new) = (world.setup.sites[0].key.clone(), fresh_key());
    let change = |world: &World, from: &[&String], to: &[&String]| {
        world.rewrite(|text| text.replace(&format!("keys = {from:?}"), &format!("keys = {to:?}")));
        world.reload();
        eventually("the new ring should be counted", || (lines(world, &["keys"]).len() == to.len()).then_some(()));
    };
    let mut browser = sign_in(&one, USER);
    world.tokens_live(3600);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let (client, logins) = (world.client_id().to_owned(), world.provider.token_arrivals(world.client_id()));
    world.provider.fault(&serde_json::json!({ "client_id": client, "path": "/token", "late_ms": 4000, "times": 1 }));
    std::thread::scope(|scope| {
        let mut caller = browser.clone();
        let called = one.clone();
        let calling = scope.spawn(move || caller.get(&called, "/api/x").status);
        eventually("the refresh should begin", || {
            (world.provider.token_arrivals(world.client_id()) > logins).then_some(())
        });
        change(&world, &[&old], &[&old, &new]);
        change(&world, &[&old, &new], &[&new, &old]);
        assert_eq!(calling.join().expect("an answer"), 200);
    });
    assert_eq!(counts(&world), [1, 0], "what is written is sealed with the key that seals");
    assert!(browser.is_signed_in(&one), "and the cookie is sealed anew");
    change(&world, &[&new, &old], &[&new]);
    assert!(browser.is_signed_in(&one), "nobody was logged out");
    assert_eq!(lines(&world, &["list", "--subject", USER]).len(), 1, "and the user's sessions are found");
}

/// One name in sixty-four begins like an option.
#[test]
fn a_session_or_a_user_whose_name_begins_with_a_hyphen_can_be_named() {
    let world = world(Setup::one_site(), "file:sessions.redb");
    for target in [["--session", "-HkYdR8zCGnq"], ["--subject", "-1"]] {
        printed(&world, &[&["revoke"][..], &target].concat());
    }
}
