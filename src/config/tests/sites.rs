//! What a site, its session and its providers refuse, by its message.

use super::faults::{Case, each, each_added};
use super::*;

#[test]
fn a_provider_is_asked_safely_or_not_at_all() {
    each_added(
        "client_id",
        "site[0].provider[0]",
        &[
            ("kind = \"relay\"", "kind", "not supported by this version", "\"oidc\""),
            ("kind = \"saml\"", "kind", "not a choice", "\"oidc\""),
            ("scopes = [\"profile\"]", "scopes", "does not contain \"openid\"", "add \"openid\""),
            ("id_token_algs = [\"none\"]", "id_token_algs[0]", "nobody signed", "RS256"),
            ("id_token_algs = [\"HS256\"]", "id_token_algs[0]", "symmetric", "RS256"),
            ("id_token_algs = []", "id_token_algs", "accepts no algorithm", "remove"),
            ("authorization_params = { state = \"x\" }", "authorization_params.state", "set by the gateway", "remove"),
            ("authorization_params = { prompt = 1 }", "authorization_params.prompt", "expected a string", "string"),
            ("client_auth = \"none\"", "client_secret", "says that there is none", "remove one"),
            (
                "client_auth = \"client_secret_jwt\"",
                "client_auth",
                "not supported by this version",
                "client_secret_basic",
            ),
            ("response_mode = \"fragment\"", "response_mode", "not a choice", "\"query\" or \"form_post\""),
            ("response_mode = \"formpost\"", "response_mode", "not a choice", "\"form_post\""),
            ("clock_skew = \"5s\"", "clock_skew", "too short", "\"10s\""),
            ("clock_skew = \"2m\"", "clock_skew", "too long", "\"1m\""),
            ("sub_pointer = \"/id\"", "sub_pointer", "has no effect with kind = \"oidc\"", "kind = \"oauth2\""),
            ("logout = \"none\"", "logout", "not a choice", "\"local\""),
            ("logout = \"local\"\nlogout_url = \"https://id.example/out\"", "logout_url", "no effect", "\"provider\""),
            ("logout_url = \"/out\"", "logout_url", "is not a URL", "scheme://"),
            ("logout_params = { a = \"{clientid}\" }", "logout_params.a", "stands for nothing", "\"{client_id}\""),
            ("logout_params = { a = \"{state\" }", "logout_params.a", "brace without its partner", "{state}"),
            ("logout_params = { a = 1 }", "logout_params.a", "expected a string", "string"),
            ("logout_hook = \"http://api.example/\"", "logout_hook", "plain http beyond loopback", "https://"),
            ("name = \"my provider\"", "name", "not a name for a provider", "\"main\""),
        ],
    );
    each(&[
        Case("https://id.example", "https://id.example/?a", "site[0].provider[0].issuer", "carries a query", "end it"),
        Case(
            "https://id.example",
            "https://id.example/.well-known/openid-configuration",
            "site[0].provider[0].issuer",
            "discovery document",
            "\"https://id.example\"",
        ),
    ]);
    let twice = "[[site.provider]]\nissuer = \"https://b.example\"\nclient_id = \"b\"\nclient_auth = \"none\"";
    let faults = faults_of(&format!("{SITE}{twice}"));
    assert_eq!(faults[0].key, "site[0].provider[1].name");
    assert!(faults[0].wrong.contains("\"main\" is the name of an earlier provider"), "{}", faults[0]);
}

/// A provider without discovery, with nothing but what is required.
const OAUTH2: &str = r#"kind = "oauth2"
authorization_endpoint = "https://api.example/oauth/authorize"
token_endpoint = "https://api.example/oauth/token"
userinfo_endpoint = "https://api.example/api/user""#;

fn oauth2(change: impl Fn(&str) -> String) -> String {
    SITE.replace("issuer = \"https://id.example\"", &change(OAUTH2))
}

#[test]
fn a_provider_without_discovery_asks_for_nothing_that_is_not_written() {
    let config = understood(&oauth2(str::to_owned));
    let provider = &config.sites[0].providers[0];
    assert_eq!(provider.issuer, "https://api.example/oauth/token", "users are kept apart by the token endpoint");
    let ProviderKind::OAuth2(oauth2) = &provider.kind else { panic!("{provider:?}") };
    assert!(oauth2.client.scopes.is_empty() && !oauth2.names_issuer, "{oauth2:?}");
    assert_eq!(
        (oauth2.subject.as_str(), oauth2.full_name.as_str(), oauth2.email.as_str()),
        ("/sub", "/name", "/email")
    );
}

#[test]
fn a_provider_without_discovery_needs_its_endpoints_and_sane_ones() {
    let fault = |change: &dyn Fn(&str) -> String| {
        let faults = faults_of(&oauth2(change));
        let [fault] = faults.as_slice() else { panic!("one fault: {}", Faults(faults)) };
        fault.clone()
    };
    for key in ["authorization_endpoint", "token_endpoint", "userinfo_endpoint"] {
        let without = |text: &str| text.lines().filter(|line| !line.starts_with(key)).collect::<Vec<_>>().join("\n");
        let fault = fault(&without);
        assert!(fault.key.ends_with(key) && fault.wrong == "is missing", "{fault}");
    }
    for (line, wrong, remedy) in [
        ("sub_pointer = \"$.data.id\"", "not a JSON Pointer", "\"/data/id\""),
        ("sub_pointer = \"id\"", "not a JSON Pointer", "\"/id\""),
        ("revocation_endpoint = \"http://api.example/revoke\"", "plain http beyond loopback", "https://"),
        ("end_session_endpoint = \"https://api.example/out#x\"", "fragment", "#"),
        ("end_session_endpoint = \"https://user:pw@api.example/\"", "carries a user name", "@"),
        ("id_token_algs = [\"ES256\"]", "has no effect with kind = \"oauth2\"", "kind = \"oidc\""),
        ("clock_skew = \"20s\"", "has no effect with kind = \"oauth2\"", "kind = \"oidc\""),
        ("response_mode = \"query.jwt\"", "the provider's keys are not known", "\"form_post\""),
        ("issuer = \"id.example\"", "is not a URL", "scheme://"),
    ] {
        let fault = fault(&|text: &str| format!("{text}\n{line}"));
        assert!(fault.wrong.contains(wrong) && fault.remedy.contains(remedy), "{line}: {fault}");
        assert!(!fault.to_string().contains("pw@"), "{fault}");
    }
}

#[test]
fn sessions_and_endpoints_stay_within_reason() {
    let session = "[site.session]";
    each(&[
        Case(
            session,
            "[site.session]\nidle = \"13h\"",
            "site[0].session.idle",
            "longer than `absolute`, 12h",
            "shorten",
        ),
        Case(session, "[site.session]\nidle = \"0s\"", "site[0].session.idle", "too short", "\"1s\""),
        Case(session, "[site.session]\nabsolute = \"31d\"", "site[0].session.absolute", "too long", "\"30d\""),
        Case(session, "[site.session]\nsame_site = \"none\"", "site[0].session.same_site", "not a choice", "\"lax\""),
        Case(
            "[[site]]",
            "[[site]]\nbase_path = \"/\"",
            "site[0].base_path",
            "not a path of plain segments",
            "\"/bff\"",
        ),
        Case("[[site]]", "[[site]]\nbase_path = \"bff\"", "site[0].base_path", "does not start with /", "\"/bff\""),
        Case("[[site]]", "[[site]]\nbase_path = \"/b f\"", "site[0].base_path", "plain segments", "\"/bff\""),
        Case("[[site]]", "[[site]]\nbase_path = \"/bff/\"", "site[0].base_path", "ends with /", "\"/bff\""),
        Case(
            session,
            "[site.limits]\nper_session = \"0/s\"\n[site.session]",
            "site[0].limits.per_session",
            "not a rate",
            "\"off\"",
        ),
        Case(
            session,
            "[site.limits]\nper_address = \"5/s burst x\"\n[site.session]",
            "site[0].limits.per_address",
            "not a rate",
            "burst 50",
        ),
        Case("[[site]]", "[[site]]\nhsts = \"3y\"", "site[0].hsts", "not a duration", "\"30m\""),
        Case("[[site]]", "[[site]]\nhsts = \"731d\"", "site[0].hsts", "too long", "\"730d\""),
        Case("[[site]]", "[[site]]\ncsrf = \"off\"", "site[0].csrf", "not a choice", "\"origin\" or \"header\""),
    ]);
}

#[test]
fn two_sites_never_share_a_cookie() {
    let second = SITE.replace("KEY_ONE", "KEY_TWO");
    let on = |origin: &str| faults_of(&format!("{SITE}{}", second.replace("https://app.example", origin)));
    let faults = on("https://app.example");
    assert_eq!((faults.len(), faults[0].key.as_str()), (1, "site[1].origin"));
    assert!(faults[0].wrong.contains("is a site already"), "{}", faults[0]);
    let faults = on("https://app.example:8443");
    assert!(faults[0].wrong.contains("they ignore ports"), "{}", faults[0]);
    let local = LOCAL.replace(":8080", ":8081");
    let faults = faults_of(&format!("{LOCAL}{local}"));
    assert_eq!((faults.len(), faults[0].key.as_str()), (1, "site[1].origin"));
    assert!(faults[0].remedy.contains("one.localhost"), "{}", faults[0]);
    understood(&format!("{LOCAL}{}", LOCAL.replace("app.localhost", "two.localhost")));
}
