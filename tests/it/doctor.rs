//! `cloakroom doctor`: contract section 1.

use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::conformance::Run;
use crate::conformance::suite::change;
use crate::support::{Http2Api, Redis, Setup, World, cloakroom, free_port, fresh_key};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn doctor(world: &World, arguments: &[&str]) -> Output {
    let mut command = cloakroom();
    command.arg("doctor").args(arguments).arg("--config").arg(&world.config);
    command.output().expect("the binary was built")
}

/// The lines with a verdict.
fn verdicts(output: &Output) -> Vec<String> {
    let is_verdict = |line: &&str| line.starts_with("pass  ") || line.starts_with("FAIL  ");
    text(&output.stdout).lines().filter(is_verdict).map(str::to_owned).collect()
}

/// The only line that failed.
#[track_caller]
fn failure(world: &World) -> String {
    let output = doctor(world, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert!(!verdicts(&output).is_empty(), "{}", text(&output.stderr));
    let mut failed: Vec<_> = verdicts(&output).into_iter().filter(|line| line.starts_with("FAIL")).collect();
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert!(text(&output.stderr).contains("1 check failed"), "{}", text(&output.stderr));
    failed.remove(0)
}

fn on(store: &str) -> World {
    let mut setup = Setup::one_site();
    setup.store.push(format!("url = \"{store}\""));
    World::of(setup)
}

#[test]
fn a_healthy_house_passes_line_by_line_after_its_route_table() {
    let redis = Redis::start();
    let world = on(&redis.url());
    let output = doctor(&world, &[]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let lines = verdicts(&output);
    for part in [
        "pass  store     redis://",
        "pass  provider  main of http://one.localhost",
        "metadata and keys: fetched and checked",
        "login: the provider would ask the user to log in",
        "client: its credentials are accepted",
        "pass  upstream  http://127.0.0.1",
    ] {
        assert!(lines.iter().any(|line| line.contains(part)), "{part}\n{lines:#?}");
    }
    assert_eq!(lines.len(), 5, "{lines:#?}");
    let checked = cloakroom().args(["check", "--config"]).arg(&world.config).output().expect("the binary was built");
    assert!(text(&output.stdout).starts_with(text(&checked.stdout).trim_end()), "`check` comes first");
    assert_eq!(text(&output.stderr), "");
    World::logged_none_of(&world.gateway.process, &world.secrets());
    for (name, secret) in world.secrets() {
        assert!(!text(&output.stdout).contains(&secret), "{name}");
    }
}

#[test]
fn what_doctor_writes_to_the_store_is_gone_after_minutes() {
    let redis = Redis::start();
    let world = on(&redis.url());
    assert_eq!(doctor(&world, &[]).status.code(), Some(0));
    for key in redis.keys() {
        let left = redis.ttl(&key);
        assert!((-2..=600).contains(&left) && left != -1, "{key}: {left} s");
    }
}

#[test]
fn a_wrong_client_secret_is_told_before_anybody_logs_in() {
    let world = World::new();
    let secret = world.setup.sites[0].client_secret.clone();
    world.rewrite(|toml| toml.replace(&secret, "not-the-secret-that-was-registered"));
    let failed = failure(&world);
    assert!(failed.contains("client: the provider refuses this client with invalid_client"), "{failed}");
    assert!(failed.contains("→ compare client_id, client_auth"), "{failed}");
    assert!(!failed.contains("not-the-secret"), "{failed}");
}

#[test]
fn a_redirect_uri_that_is_not_registered_is_told_with_the_one_to_register() {
    let world = World::new();
    world.rewrite(|toml| toml.replace("[[site]]\n", "[[site]]\nbase_path = \"/auth\"\n"));
    let failed = failure(&world);
    assert!(failed.contains(&format!("register the redirect URI {}/auth/callback", world.one())), "{failed}");
}

#[test]
fn a_login_that_the_provider_would_refuse_is_told_and_one_that_needs_the_user_passes() {
    let world = World::new();
    let prompt = |word| format!("[[site.provider]]\nauthorization_params = {{ prompt = \"{word}\" }}\n");
    world.rewrite(|toml| toml.replace("[[site.provider]]\n", &prompt("unheard_of")));
    let failed = failure(&world);
    assert!(failed.contains("login: the provider refuses it with invalid_request"), "{failed}");
    assert!(failed.contains("→ compare scopes, authorization_params"), "{failed}");
    world.rewrite(|toml| toml.replace("unheard_of", "none"));
    assert_eq!(doctor(&world, &[]).status.code(), Some(0));
}

#[test]
fn a_refusal_is_told_by_whatever_way_the_provider_hands_it_over() {
    for mode in ["query", "form_post", "jwt", "form_post.jwt"] {
        let run = Run::with(&[&format!("response_mode = \"{mode}\"")], |_| {});
        let answers = |error: &'static str| {
            run.suite.state().response = change(move |response| {
                response.as_object_mut().expect("an object").remove("code");
                response["error"] = error.into();
            });
        };
        let login = || {
            let lines = verdicts(&doctor(&run.world, &[]));
            lines.into_iter().find(|line| line.contains(": login: ")).expect("a verdict on the login")
        };
        answers("invalid_scope");
        let told = login();
        assert!(told.starts_with("FAIL") && told.contains("refuses it with invalid_scope"), "{mode}: {told}");
        assert!(told.contains("→ take out of `scopes`"), "{mode}: {told}");
        answers("login_required");
        let told = login();
        assert!(told.starts_with("pass") && told.contains("would ask the user (login_required)"), "{mode}: {told}");
    }
}

#[test]
fn a_provider_that_posts_its_refusals_is_understood_as_it_really_is() {
    let mut setup = Setup::one_site();
    setup.sites[0].provider.push("response_mode = \"form_post\"".into());
    setup.sites[0].provider.push("authorization_params = { prompt = \"unheard_of\" }".into());
    let world = World::of(setup);
    let failed = failure(&world);
    assert!(failed.contains("login: the provider refuses it with invalid_request"), "{failed}");
    world.rewrite(|toml| toml.replace("unheard_of", "none"));
    let output = doctor(&world, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("would ask the user (login_required)"), "{}", text(&output.stdout));
}

#[test]
fn a_provider_that_is_down_or_another_one_fails_once() {
    let world = World::new();
    world.rewrite(|toml| {
        toml.replace("/oidc\"", "/elsewhere\"").replace("issuer = \"http://127.0.0.1:", "issuer = \"http://localhost:")
    });
    let failed = failure(&world);
    assert!(failed.contains("metadata and keys: ") && failed.contains("byte for byte"), "{failed}");
}

#[test]
fn a_store_that_is_dead_or_takes_no_writes_fails() {
    let mut redis = Redis::start();
    let world = on(&redis.url());
    redis.command(&["CONFIG", "SET", "min-replicas-to-write", "3"]);
    let failed = failure(&world);
    assert!(failed.contains("FAIL  store     redis://") && failed.contains("→ it must take writes"), "{failed}");
    redis.kill();
    let failed = failure(&world);
    assert!(failed.contains("→ check `url`"), "{failed}");
}

#[test]
fn an_upstream_that_nobody_listens_on_fails_with_the_places_that_lead_there() {
    let world = World::new();
    let dead = free_port();
    world.rewrite(|toml| {
        let line = toml.lines().find(|line| line.starts_with("upstream = ")).expect("an upstream").to_owned();
        toml.replace(&line, &format!("upstream = \"http://127.0.0.1:{dead}/v1\""))
    });
    let output = doctor(&world, &[]);
    assert_eq!(output.status.code(), Some(1));
    let lines = verdicts(&output);
    let failed = lines.iter().find(|line| line.starts_with("FAIL")).expect("a failure");
    assert!(failed.contains(&format!("http://127.0.0.1:{dead}/v1 for {}/api", world.one())), "{failed}");
    assert!(failed.contains("refused") && failed.contains("→ check `upstream`"), "{failed}");
}

#[test]
fn a_file_that_a_gateway_runs_on_passes_and_none_is_made() {
    let folder = TempDir::new().expect("a temporary directory");
    let path = folder.path().join("sessions.redb");
    let world = on(&format!("file:{}", path.display()));
    let store = |output: &Output| {
        let first = verdicts(output).into_iter().next();
        first.unwrap_or_else(|| panic!("no verdict: {}", text(&output.stderr)))
    };
    let passed = store(&doctor(&world, &[]));
    assert!(passed.starts_with("pass") && passed.contains("can be read and written"), "{passed}");
    world.rewrite(|toml| toml.replace("sessions.redb", "other.redb"));
    let passed = store(&doctor(&world, &[]));
    assert!(passed.starts_with("pass") && passed.contains("can be created"), "{passed}");
    let files = std::fs::read_dir(folder.path()).expect("the folder is there").count();
    assert_eq!(files, 1, "doctor leaves nothing behind");
    let other = folder.path().join("other.redb");
    for (held, verdict) in [("", "pass"), ("hello, world", "FAIL")] {
        std::fs::write(&other, held).expect("a temporary directory is writable");
        let found = store(&doctor(&world, &[]));
        assert!(found.starts_with(verdict), "{found}");
    }
    assert_eq!(std::fs::read_to_string(&other).expect("it is there"), "hello, world", "doctor changes nothing");
}

#[test]
fn json_says_the_same_for_machines() {
    let world = World::new();
    let output = doctor(&world, &["--json"]);
    let said: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(said["ok"], true, "{said}");
    let checks = said["checks"].as_array().expect("a list");
    assert!(checks.iter().all(|check| check["status"] == "pass" && check["found"].is_string()), "{said}");
    let parts: Vec<_> = checks.iter().map(|check| check["part"].as_str().expect("a part")).collect();
    assert_eq!(parts, ["store", "provider", "provider", "provider", "upstream"]);

    let secret = world.setup.sites[0].client_secret.clone();
    world.rewrite(|toml| toml.replace(&secret, &fresh_key()));
    let output = doctor(&world, &["--json"]);
    let said: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!((output.status.code(), &said["ok"]), (Some(1), &Value::Bool(false)), "{said}");
    assert!(said["checks"][3]["remedy"].is_string(), "{said}");
}

#[test]
fn a_faulty_configuration_is_told_as_by_check_and_nobody_is_asked() {
    let world = World::new();
    world.rewrite(|toml| toml.replace("[[site]]\n", "[[site]]\nbase_bath = \"/auth\"\n"));
    let (output, checked) = (
        doctor(&world, &[]),
        cloakroom().args(["check", "--config"]).arg(&world.config).output().expect("the binary was built"),
    );
    assert_eq!((output.status.code(), &output.stderr), (Some(1), &checked.stderr));
    assert_eq!(text(&output.stdout), "");
    let output = doctor(&world, &["--json"]);
    let said: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!((output.status.code(), &said["ok"]), (Some(1), &Value::Bool(false)));
    let fault = &said["checks"][0];
    assert_eq!(fault["part"], "configuration");
    assert!(fault["name"].as_str().expect("a name").ends_with("base_bath"), "{said}");
    assert!(fault["remedy"].as_str().expect("a remedy").contains("base_path"), "{said}");
}

#[test]
fn the_protocol_that_an_upstream_agrees_on_is_told() {
    let api = Http2Api::start();
    let mut setup = Setup::one_site();
    let route = |path: &str, more: &str| {
        let lines =
            [format!("path = {path:?}"), format!("upstream = \"{}{path}\"", api.url()), format!("ca = {:?}", api.ca())];
        lines.into_iter().chain([more.to_owned()]).collect()
    };
    setup.sites[0].routes = vec![route("/new", ""), route("/old", "http2 = false")];
    let world = World::of(setup);
    let output = doctor(&world, &[]);
    let lines = verdicts(&output);
    for (path, answer) in [("/new", "answers 200 over HTTP/2,"), ("/old", "answers 200 over HTTP/1.1,")] {
        let line = lines.iter().find(|line| line.contains(&format!("{path} for"))).expect("a line");
        assert!(line.contains(answer), "{line}");
    }
    assert!(text(&output.stdout).contains("/old (HTTP/1.1 only)"), "{}", text(&output.stdout));
}
