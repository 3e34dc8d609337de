//! The front channel: the URL that starts a login (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use super::code_flow::CodeFlow;
use super::{Attempt, AuthorizeError, LoginHints, Unavailable, par};
use crate::config::ResponseMode;
use crate::secret::CodeVerifier;

/// The URL with every parameter once, whatever the configuration or the endpoint's own query say; or with a handle to them.
pub(super) async fn url(flow: &CodeFlow, attempt: &Attempt, hints: &LoginHints) -> Result<Url, AuthorizeError> {
    let endpoints = flow.server.endpoints().await?;
    flow.check_is_told_apart().await?;
    let pushed = par::endpoint(flow.client.requests.par, &endpoints)?;
    let config = &flow.client;
    let further = hints.further_scopes.iter().filter(|further| !config.scopes.contains(further));
    let scope = config.scopes.iter().chain(further).map(String::as_str).collect::<Vec<_>>().join(" ");
    let challenge = challenge(&attempt.verifier);
    let prover = flow.channel.prover(attempt.dpop_key.as_ref()).map_err(Unavailable::from)?;
    let thumbprint = prover.map(|prover| prover.thumbprint());
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", &*config.client_id),
        ("redirect_uri", &*flow.redirect_uri),
        ("state", attempt.state.expose()),
        ("code_challenge", &*challenge),
        ("code_challenge_method", "S256"),
    ];
    if config.response_mode != ResponseMode::Query {
        parameters.push(("response_mode", config.response_mode.word()));
    }
    if !scope.is_empty() {
        parameters.push(("scope", &*scope));
    }
    parameters.extend(flow.server.nonce(attempt).map(|nonce| ("nonce", nonce)));
    // RFC 9449 §10: the code is bound to the key as well.
    parameters.extend(thumbprint.as_deref().map(|thumbprint| ("dpop_jkt", thumbprint)));
    let hints = [("prompt", &hints.prompt), ("login_hint", &hints.login_hint), ("ui_locales", &hints.ui_locales)];
    parameters.extend(hints.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))));
    parameters.extend(config.requests.resource.iter().map(|resource| ("resource", &**resource)));
    parameters.extend(config.requests.audience.iter().map(|audience| ("audience", &**audience)));
    for (name, value) in &config.authorization_params {
        if !parameters.iter().any(|(taken, _)| taken == name) {
            parameters.push((name, value));
        }
    }
    let Some(pushed) = pushed else { return Ok(with_parameters(&endpoints.authorization, &parameters)) };
    let handle = par::push(flow, &endpoints, pushed, &parameters).await?;
    // RFC 9126 §4: nothing else goes through the browser.
    let parameters = [("client_id", &*config.client_id), ("request_uri", &*handle)];
    Ok(with_parameters(&endpoints.authorization, &parameters))
}

/// `endpoint` with `parameters` added; its own query is kept (RFC 6749 §3.1), except for what would then be there twice.
pub(super) fn with_parameters(endpoint: &Url, parameters: &[(&str, &str)]) -> Url {
    let mut url = endpoint.clone();
    let is_set = |name: &str| parameters.iter().any(|(set, _)| *set == name);
    if endpoint.query_pairs().any(|(name, _)| is_set(&name)) {
        url.query_pairs_mut().clear().extend_pairs(endpoint.query_pairs().filter(|(name, _)| !is_set(name)));
    }
    url.query_pairs_mut().extend_pairs(parameters);
    url
}

/// RFC 7636 §4.2: `BASE64URL-ENCODE(SHA256(ASCII(code_verifier)))`.
fn challenge(verifier: &CodeVerifier) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.expose().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = CodeVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn the_endpoints_own_query_is_kept_but_never_repeats_a_parameter() {
        let with = |endpoint: &str| with_parameters(&Url::parse(endpoint).unwrap(), &[("scope", "a b")]).to_string();
        assert_eq!(with("https://id.example/a"), "https://id.example/a?scope=a+b");
        assert_eq!(with("https://id.example/a?p=B2C_1%20x"), "https://id.example/a?p=B2C_1%20x&scope=a+b");
        assert_eq!(with("https://id.example/a?p=1&scope=evil"), "https://id.example/a?p=1&scope=a+b");
    }
}
