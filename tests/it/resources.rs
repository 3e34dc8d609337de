//! Access tokens for a named API, from a real provider.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::support::{Setup, World, eventually};

#[test]
fn tokens_are_for_the_configured_resource_after_a_login_and_after_a_refresh() {
    let mut setup = Setup::one_site();
    setup.access_ttl = 1;
    setup.sites[0].provider.push("resource = [\"https://api.example/v1\"]".into());
    setup.sites[0].provider.push("refresh_scope = true".into());
    let world = World::of(setup);
    let mut browser = world.signed_in();
    let tokens: Vec<_> = eventually("a refreshed token should arrive", || {
        assert_eq!(browser.get(&world.one(), "/api/x").status, 200);
        let tokens: Vec<_> = world.upstream.requests().iter().map(|request| request.bearer().to_owned()).collect();
        tokens.iter().any(|token| *token != tokens[0]).then_some(tokens)
    });
    for token in tokens {
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("a JWT")).expect("base64url");
        let claims: Value = serde_json::from_slice(&claims).expect("claims");
        assert_eq!(claims["aud"], "https://api.example/v1");
        assert!(claims["scope"].as_str().is_some_and(|scope| scope.contains("email")), "{claims}");
    }
}
