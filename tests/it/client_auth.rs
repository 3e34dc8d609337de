//! A gateway that proves itself with a key pair, against a provider that judges every assertion.

use serde_json::{Value, json};

use crate::support::{Browser, Setup, World, eventually, private_key};

/// A site whose client signs with a key of this kind, which the provider knows, and its private half in a file.
fn signing(setup: &mut Setup, dir: &std::path::Path, index: usize, kind: &[&str], alg: &str, lines: &[&str]) {
    let (private, public) = private_key(kind);
    let file = dir.join(format!("{index}.pem"));
    std::fs::write(&file, private).expect("a temporary directory is writable");
    let site = &mut setup.sites[index];
    site.client_auth = "private_key_jwt".into();
    site.provider.push(format!("signing_key = {{ file = \"{}\" }}", file.display()));
    site.provider.push("signing_key_id = \"k-1\"".into());
    site.provider.extend(lines.iter().map(|line| (*line).to_owned()));
    site.registration = json!({ "public_key": public, "token_endpoint_auth_signing_alg": alg });
}

fn assertions(world: &World) -> Vec<(String, String)> {
    let ledger = world.provider.ledger(world.client_id());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = ledger["assertions"].as_array().cloned().unwrap_or_default();
    all.iter().map(|one| (text(&one["path"]), text(&one["jti"]))).collect()
}

#[test]
fn every_call_of_the_provider_carries_an_assertion_of_its_own() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut setup = Setup::one_site();
    setup.access_ttl = 1;
    signing(&mut setup, dir.path(), 0, &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "ES256", &[]);
    let world = World::of(setup);
    let mut browser = world.signed_in();
    eventually("a refresh should happen", || {
        assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
        (world.provider.token_calls(world.client_id(), "refresh_token") > 0).then_some(())
    });
    assert_eq!(browser.post(&world.one(), "/bff/logout").status, 200);
    eventually("the refresh token should be revoked", || {
        assertions(&world).iter().any(|(path, _)| path == "/token/revocation").then_some(())
    });
    let mut jtis: Vec<_> = assertions(&world).into_iter().map(|(_, jti)| jti).collect();
    assert!(jtis.len() >= 3, "code, refresh, revocation");
    let sent = jtis.len();
    jtis.sort();
    jtis.dedup();
    assert_eq!(jtis.len(), sent, "a `jti` was used twice");
    assert!(jtis.iter().all(|jti| jti.len() >= 32), "unguessable");
}

#[test]
fn each_kind_of_key_signs_what_the_provider_accepts() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut setup = Setup::two_sites();
    let rsa = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    signing(&mut setup, dir.path(), 0, &rsa, "PS256", &["signing_alg = \"PS256\""]);
    signing(&mut setup, dir.path(), 1, &["-algorithm", "ED25519"], "EdDSA", &[]);
    let world = World::of(setup);
    for site in [world.one(), world.two()] {
        let mut browser = Browser::new();
        browser.sign_in(&site, "ada");
        assert!(browser.is_signed_in(&site), "{site}");
    }
}

#[test]
fn an_old_provider_gets_the_audience_and_the_type_it_knows() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut setup = Setup::one_site();
    let old = ["assertion_aud = \"token_endpoint\"", "assertion_typ = \"JWT\""];
    signing(&mut setup, dir.path(), 0, &["-algorithm", "ED25519"], "EdDSA", &old);
    let provider = crate::support::OidcProvider::shared();
    let token_endpoint = format!("{}/token", provider.issuer());
    setup.sites[0].registration["test"] = json!({ "assertion_aud": token_endpoint, "assertion_typ": "JWT" });
    let world = World::of(setup);
    assert!(world.signed_in().is_signed_in(&world.one()));
}

#[test]
fn a_new_key_is_used_after_a_reload_and_the_one_before_it_no_more() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut setup = Setup::one_site();
    signing(&mut setup, dir.path(), 0, &["-algorithm", "ED25519"], "EdDSA", &[]);
    let mut world = World::of(setup);
    world.signed_in();
    let (private, public) = private_key(&["-algorithm", "ED25519"]);
    world.setup.sites[0].registration["public_key"] = public.into();
    world.setup.register(&world.provider);
    let page = Browser::new().sign_in(&world.one(), "ada");
    assert_eq!(page.response.status, 503, "the provider knows the old key no more: {}", page.response.text());
    std::fs::write(dir.path().join("0.pem"), private).expect("a temporary directory is writable");
    world.reload();
    world.signed_in();
}
