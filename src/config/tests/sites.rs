//! What a site, its session and its providers refuse, by its message.

use super::faults::{Case, each, each_added};
use super::*;

#[test]
fn a_provider_is_asked_safely_or_not_at_all() {
    each_added(
        "client_id",
        "site[0].provider[0]",
        &[
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
            ("refresh_before = \"25h\"", "refresh_before", "too long", "\"1d\""),
            ("refresh_before = \"soon\"", "refresh_before", "not a duration", "\"30m\""),
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

/// An API with a login of its own, and nothing but what is required.
const RELAY: &str = "kind = \"relay\"\nlogin_url = \"https://api.example/login?v=2\"";

fn relay(lines: &str) -> String {
    let without_client = |line: &&str| !line.starts_with("client_");
    let site: Vec<&str> = SITE.lines().filter(without_client).collect();
    site.join("\n").replace("issuer = \"https://id.example\"", &format!("{RELAY}\n{lines}"))
}

#[test]
fn a_relay_needs_its_login_alone_and_everything_else_has_a_default() {
    let config = understood(&relay(""));
    let site = &config.sites[0];
    let provider = &site.providers[0];
    assert_eq!(provider.issuer, "https://api.example/login", "users are kept apart by the login's place");
    assert_eq!(provider.default_token_lifetime, site.session.absolute);
    let ProviderKind::Relay(relay_config) = &provider.kind else { panic!("{provider:?}") };
    assert!(relay_config.refresh.is_none() && relay_config.logout_hook.is_none() && relay_config.login_page.is_none());
    let pointers = |relay: &RelayConfig| {
        [&relay.token, &relay.expires_in, &relay.subject, &relay.full_name, &relay.email]
            .map(|it| it.as_str().to_owned())
    };
    assert_eq!(pointers(relay_config), ["/access_token", "/expires_in", "/user/id", "/user/name", "/user/email"]);
    let logins = site.limits.logins.expect("passwords are not guessed without a limit");
    assert_eq!((logins.count.get(), logins.burst.get(), logins.period.as_secs()), (10, 10, 60));
    let config =
        understood(&relay("user_url = \"https://api.example/me\"\nrefresh_url = \"https://api.example/refresh\""));
    let ProviderKind::Relay(relay_config) = &config.sites[0].providers[0].kind else { panic!("a relay") };
    assert_eq!(pointers(relay_config)[2..], ["/id", "/name", "/email"]);
    assert_eq!(relay_config.refresh.as_ref().map(|refresh| &refresh.with), Some(&RelayRefreshToken::Bearer));
    assert!(understood(SITE).sites[0].limits.logins.is_none(), "where no provider takes credentials nothing is kept");
    let off = relay("").replace("[[site.provider]]", "[site.limits]\nlogins = \"off\"\n[[site.provider]]");
    assert!(understood(&off).sites[0].limits.logins.is_none());
}

#[test]
fn a_relay_is_told_nothing_that_it_cannot_do_and_speaks_in_the_clear_to_nobody() {
    for (lines, key, wrong, remedy) in [
        ("client_id = \"a\"", "client_id", "has no effect with kind = \"relay\"", "kind = \"oidc\""),
        ("scopes = [\"a\"]", "scopes", "has no effect with kind = \"relay\"", "kind = \"oauth2\""),
        ("token_endpoint = \"https://a.example\"", "token_endpoint", "has no effect", "kind = \"oauth2\""),
        ("own_callback = true", "own_callback", "has no effect with kind = \"relay\"", "kind = \"oauth2\""),
        ("profile = \"google\"", "profile", "has no effect with kind = \"relay\"", "kind = \"oidc\""),
        ("profile = \"github\"", "profile", "has no effect with kind = \"relay\"", "kind = \"oauth2\""),
        ("refresh_url = \"http://api.example/r\"", "refresh_url", "plain http beyond loopback", "plaintext = true"),
        ("logout_hook = \"https://u:pw@api.example/\"", "logout_hook", "carries a user name", "@"),
        ("user_url = \"ftp://api.example/\"", "user_url", "is not spoken here", "https://"),
        ("refresh_token_pointer = \"/r\"", "refresh_token_pointer", "without `refresh_url`", "add `refresh_url`"),
        ("token_pointer = \"token\"", "token_pointer", "not a JSON Pointer", "\"/token\""),
        ("token_pointer = \"\"", "user_url", "does not say who the user is", "who the bearer of a token is"),
        (
            "token_pointer = \"\"\nuser_url = \"https://api.example/u\"\nexpires_in_pointer = \"/x\"",
            "expires_in_pointer",
            "the whole answer is the token",
            "remove one",
        ),
        (
            "token_pointer = \"\"\nuser_url = \"https://api.example/u\"\nstep_pointer = \"/x\"\n\
             step_url = \"https://api.example/step\"",
            "step_pointer",
            "the whole answer is the token",
            "remove one",
        ),
        ("step_pointer = \"/two_factor\"", "step_pointer", "without `step_url`", "add `step_url`"),
        (
            "step_pointer = \"/two_factor\"\nstep_url = \"https://other.example/step\"",
            "step_url",
            "on another server than `login_url`",
            "same server",
        ),
        ("login_page = \"login\"", "login_page", "not a path of the site", "\"/login\""),
        ("login_page = \"//evil.example\"", "login_page", "not a path of the site", "\"/login\""),
        ("login_page = \"/\\\\evil.example\"", "login_page", "not a path of the site", "\"/login\""),
        ("login_page = \"https://evil.example\"", "login_page", "not a path of the site", "\"/login\""),
        ("login_page = \"/a b\"", "login_page", "not a path of the site", "\"/login\""),
        ("login_page = \"/bff/login\"", "login_page", "lies under `base_path`", "\"/login\""),
        ("default_token_lifetime = \"31d\"", "default_token_lifetime", "too long", "\"30d\""),
    ] {
        let faults = faults_of(&relay(lines));
        let [fault] = faults.as_slice() else { panic!("{lines}: one fault: {}", Faults(faults)) };
        assert_eq!(fault.key, format!("site[0].provider[0].{key}"), "{fault}");
        assert!(fault.wrong.contains(wrong) && fault.remedy.contains(remedy), "{lines}: {fault}");
        assert!(!fault.to_string().contains("pw@"), "{fault}");
    }
    let faults = faults_of(&relay("").replace("login_url", "#login_url"));
    assert!(faults.len() == 1 && faults[0].wrong == "is missing", "{}", Faults(faults));
    let faults = faults_of(&format!("{}\nscopes = [\"orders\"]", relay("")));
    assert!(faults[0].wrong.contains("can never be had"), "{}", Faults(faults));
    understood(&relay(
        "login_page = \"/#/login?from=gateway\"\nplaintext = true\nlogout_hook = \"http://api.example/out\"",
    ));
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
        ("par = \"required\"", "nothing says where to push them", "`pushed_authorization_request_endpoint`"),
    ] {
        let fault = fault(&|text: &str| format!("{text}\n{line}"));
        assert!(fault.wrong.contains(wrong) && fault.remedy.contains(remedy), "{line}: {fault}");
        assert!(!fault.to_string().contains("pw@"), "{fault}");
    }
}

#[test]
fn two_silent_providers_do_not_share_a_redirect_uri() {
    let client = "client_id = \"b\"\nclient_auth = \"none\"";
    let second = |lines: &str| {
        let other = OAUTH2.replace("api.example", "other.example");
        format!("{}[[site.provider]]\nname = \"b\"\n{other}\n{client}\n{lines}\n", oauth2(str::to_owned))
    };
    let faults = faults_of(&second(""));
    let [fault] = faults.as_slice() else { panic!("one fault: {}", Faults(faults)) };
    assert_eq!(fault.key, "site[0].provider[1].own_callback");
    assert!(fault.wrong.contains("neither says in its answers who it is"), "{fault}");
    assert!(fault.remedy.contains("/callback/b"), "{fault}");
    understood(&second("own_callback = true"));
    understood(&second("issuer = \"https://other.example\""));
    understood(&second("").replace("other.example", "api.example"));
    let openid = "[[site.provider]]\nname = \"b\"\nissuer = \"https://b.example\"";
    understood(&format!("{}{openid}\n{client}", oauth2(str::to_owned)));
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
