//! `profile`: presets that are nothing but defaults.

use super::*;

/// The lines that stand in the place of `issuer`.
fn with(lines: &str) -> String {
    SITE.replace("issuer = \"https://id.example\"", lines)
}

fn provider(lines: &str) -> ProviderConfig {
    understood(&with(lines)).sites[0].providers[0].clone()
}

fn one_fault(lines: &str) -> Fault {
    let faults = faults_of(&with(lines));
    let [fault] = faults.as_slice() else { panic!("one fault for {lines}: {}", Faults(faults)) };
    fault.clone()
}

#[test]
fn each_profile_makes_a_provider_of_a_url_and_a_client() {
    for (lines, issuer) in [
        ("profile = \"passport\"\nurl = \"https://api.example/\"", "https://api.example/oauth/token"),
        ("profile = \"keycloak\"\nurl = \"https://id.example/realms/a\"", "https://id.example/realms/a"),
        (
            "profile = \"entra\"\nurl = \"https://login.microsoftonline.com/t\"",
            "https://login.microsoftonline.com/t/v2.0",
        ),
        ("profile = \"auth0\"\nurl = \"https://t.eu.auth0.com\"", "https://t.eu.auth0.com/"),
        ("profile = \"okta\"\nurl = \"https://o.okta.com/oauth2/default\"", "https://o.okta.com/oauth2/default"),
        ("profile = \"google\"", "https://accounts.google.com"),
        (
            "profile = \"cognito\"\nissuer = \"https://cognito-idp.eu-west-1.amazonaws.com/p\"\nurl = \"https://d.example\"",
            "https://cognito-idp.eu-west-1.amazonaws.com/p",
        ),
        ("profile = \"github\"", "https://github.com/login/oauth/access_token"),
        ("profile = \"zitadel\"\nurl = \"https://z.example\"", "https://z.example"),
        ("profile = \"authentik\"\nurl = \"https://a.example/application/o/s/\"", "https://a.example/application/o/s/"),
        ("profile = \"logto\"\nurl = \"https://t.logto.app\"", "https://t.logto.app/oidc"),
    ] {
        let provider = provider(lines);
        assert_eq!(provider.issuer, issuer, "{lines}");
        let applied = provider.profile.expect("it says what it set");
        assert!(applied.keys.iter().all(|(_, _, own)| !own || lines.starts_with("profile = \"cognito")), "{lines}");
    }
}

#[test]
fn a_profile_knows_what_is_odd_about_its_provider() {
    let passport = provider("profile = \"passport\"\nurl = \"https://api.example\"");
    let budget = passport.budget.map(|budget| (budget.count.get(), budget.period.as_secs()));
    assert_eq!(budget, Some((60, 60)), "Laravel throttles /oauth/token by address");
    let ProviderKind::OAuth2(oauth2) = &passport.kind else { panic!("{passport:?}") };
    assert!(oauth2.client.scopes.is_empty() && matches!(oauth2.client.client_auth, ClientAuth::Post(_)));
    assert_eq!((oauth2.subject.as_str(), oauth2.userinfo_endpoint.as_str()), ("/id", "https://api.example/api/user"));
    let google = provider("profile = \"google\"");
    let client = google.kind.client().expect("a client");
    assert!(!client.scopes.iter().any(|scope| scope == "offline_access") && client.logout.page.is_none());
    assert!(client.authorization_params.contains(&("access_type".into(), "offline".into())));
    let zitadel = provider("profile = \"zitadel\"\nurl = \"https://z.example\"");
    let ProviderKind::Oidc(oidc) = &zitadel.kind else { panic!("{zitadel:?}") };
    assert_eq!(oidc.trusted_audiences, TrustedAudiences::Any);
    let auth0 = provider("profile = \"auth0\"\nurl = \"https://t.auth0.example/\"");
    let page = auth0.kind.client().and_then(|client| client.logout.page.clone()).expect("a page");
    assert_eq!(page.url.map(String::from).as_deref(), Some("https://t.auth0.example/v2/logout"));
    assert_eq!(page.params.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["client_id", "returnTo"]);
}

#[test]
fn a_profile_of_an_api_with_a_login_of_its_own_takes_no_client() {
    let relay = |lines: &str| {
        let text = with(lines).replace("client_id = \"app\"\nclient_secret = { env = \"SECRET\" }\n", "");
        match understood(&text).sites[0].providers[0].kind.clone() {
            ProviderKind::Relay(relay) => relay,
            other => panic!("{other:?}"),
        }
    };
    let jwt_auth = relay("profile = \"jwt-auth\"\nurl = \"https://api.example/\"");
    assert_eq!(jwt_auth.login_url.as_str(), "https://api.example/api/auth/login");
    assert_eq!(jwt_auth.user_url.as_ref().map(url::Url::as_str), Some("https://api.example/api/auth/me"));
    assert_eq!(jwt_auth.refresh.map(|refresh| refresh.with), Some(RelayRefreshToken::Bearer));
    let sanctum = relay("profile = \"sanctum\"\nurl = \"https://api.example\"\nlogin_url = \"https://api.example/in\"");
    assert_eq!((sanctum.login_url.as_str(), sanctum.token.as_str()), ("https://api.example/in", ""));
    assert!(sanctum.refresh.is_none());
}

#[test]
fn every_key_of_a_profile_gives_way_to_what_is_written() {
    let own = provider(
        "profile = \"google\"\nissuer = \"https://id.example\"\nscopes = [\"openid\"]\nauthorization_params = {}\n\
         logout = \"provider\"\nclient_auth = \"client_secret_basic\"",
    );
    let client = own.kind.client().expect("a client");
    assert_eq!((own.issuer.as_str(), client.scopes.as_slice()), ("https://id.example", &["openid".to_owned()][..]));
    assert!(client.authorization_params.is_empty() && client.logout.page.is_some());
    assert!(own.profile.expect("a profile").keys.iter().all(|(_, _, own)| *own));
    let other_kind = provider(
        "profile = \"passport\"\nurl = \"https://api.example\"\nkind = \"oidc\"\nissuer = \"https://id.example\"\nscopes = [\"openid\"]",
    );
    assert!(matches!(other_kind.kind, ProviderKind::Oidc(_)));
    let local = provider("profile = \"auth0\"\nurl = \"https://t.auth0.example\"\nlogout = \"local\"");
    assert!(local.kind.client().is_some_and(|client| client.logout.page.is_none()));
}

#[test]
fn a_profile_that_cannot_be_applied_is_one_fault_at_its_cause() {
    for (lines, key, wrong, remedy) in [
        ("profile = \"keycloack\"\nissuer = \"https://id.example\"", "profile", "no profile", "\"keycloak\""),
        (
            "profile = \"saml\"\nissuer = \"https://id.example\"",
            "profile",
            "no profile",
            "choose from auth0, authentik",
        ),
        ("profile = \"passport\"", "url", "is missing: profile \"passport\" makes authorization_endpoint", "url = "),
        ("profile = \"passport\"\nurl = \"api.example\"", "url", "is not a URL", "scheme://"),
        ("profile = \"passport\"\nurl = \"http://api.example\"", "url", "plain http beyond loopback", "https://"),
        ("profile = \"passport\"\nurl = \"https://api.example?a\"", "url", "carries a query", "end it"),
        ("profile = \"google\"\nurl = \"https://google.example\"", "url", "has no effect", "remove"),
        ("url = \"https://id.example\"\nissuer = \"https://id.example\"", "url", "has no effect", "`issuer`"),
        ("profile = \"cognito\"\nurl = \"https://d.example\"", "issuer", "is missing", "discovery document"),
        ("profile = \"jwt-aut\"\nissuer = \"https://id.example\"", "profile", "no profile", "\"jwt-auth\""),
        (
            "profile = \"jwt-auth\"\nurl = \"https://api.example\"\nkind = \"oidc\"\nissuer = \"https://id.example\"",
            "profile",
            "has no effect with kind = \"oidc\"",
            "kind = \"relay\"",
        ),
        ("profile = 7\nissuer = \"https://id.example\"", "profile", "expected a string", "string"),
    ] {
        let fault = one_fault(lines);
        assert_eq!(fault.key, format!("site[0].provider[0].{key}"), "{fault}");
        assert!(fault.wrong.contains(wrong) && fault.remedy.contains(remedy), "{lines}: {fault}");
        assert_eq!(fault.file, Path::new("gateway.toml"), "{fault}");
    }
}

#[test]
fn check_shows_what_a_profile_set_and_what_took_its_place() {
    let table =
        understood(&with("profile = \"passport\"\nurl = \"https://api.example\"\nscopes = [\"orders\"]")).route_table();
    let expected = "  main has the profile \"passport\" (https://laravel.com/docs/passport):
    authorization_endpoint = \"https://api.example/oauth/authorize\"
    budget = \"60/min\"
    client_auth = \"client_secret_post\"
    kind = \"oauth2\"
    scopes = []  (overridden by this file)
    sub_pointer = \"/id\"
    token_endpoint = \"https://api.example/oauth/token\"
    userinfo_endpoint = \"https://api.example/api/user\"
";
    assert!(table.ends_with(expected), "{table}");
    assert!(!table.contains(SECRET) && !table.contains("back-channel"), "{table}");
}

#[test]
fn trusted_audiences_are_names_or_anybody() {
    let audiences = |line: &str| match provider(&format!("issuer = \"https://id.example\"\n{line}")).kind {
        ProviderKind::Oidc(oidc) => oidc.trusted_audiences,
        other => panic!("{other:?}"),
    };
    assert_eq!(audiences(""), TrustedAudiences::These(Vec::new()));
    assert_eq!(audiences("trusted_audiences = [\"p\"]"), TrustedAudiences::These(vec!["p".into()]));
    assert_eq!(audiences("trusted_audiences = \"any\""), TrustedAudiences::Any);
    let fault = one_fault("issuer = \"https://id.example\"\ntrusted_audiences = \"all\"");
    assert!(fault.wrong.contains("not a choice") && fault.remedy.contains("\"any\""), "{fault}");
}

#[test]
fn a_provider_that_is_known_not_to_name_itself_needs_a_redirect_uri_of_its_own_beside_another() {
    let entra = "name = \"entra\"\nprofile = \"entra\"\nurl = \"https://login.microsoftonline.com/t\"";
    let client = "client_id = \"b\"\nclient_secret = { env = \"SECRET\" }";
    let beside = |lines: &str| with(&format!("{entra}\n{client}\n[[site.provider]]\nname = \"other\"\n{lines}"));
    let keys = |text: &str| {
        let faults = faults_of(text);
        let is_told = |fault: &Fault| {
            fault.wrong.contains("does not say in its answers who it is")
                && fault.remedy.contains("own_callback = true")
        };
        assert!(faults.iter().all(is_told), "{}", Faults(faults));
        faults.into_iter().map(|fault| fault.key).collect::<Vec<_>>()
    };
    let cognito = "profile = \"cognito\"\nissuer = \"https://cognito-idp.eu-west-1.amazonaws.com/p\"\nurl = \"https://d.example\"";
    let (first, second) = ("site[0].provider[0].own_callback", "site[0].provider[1].own_callback");
    assert_eq!(keys(&beside(cognito)), [first, second]);
    assert_eq!(keys(&beside("profile = \"auth0\"\nurl = \"https://t.eu.auth0.com\"")), [first, second]);
    assert_eq!(keys(&beside("profile = \"github\"")), [first], "one of OAuth 2.0 may be silent");
    assert_eq!(keys(&beside("issuer = \"https://id.example\"")), [first]);
    for told_apart in [
        format!("{cognito}\nown_callback = true"),
        "profile = \"github\"\nown_callback = true".to_owned(),
        "profile = \"entra\"\nurl = \"https://login.microsoftonline.com/t\"".to_owned(),
    ] {
        understood(&beside(&told_apart));
    }
    for line in ["own_callback = true", "names_issuer = true", "response_mode = \"jwt\""] {
        understood(&beside("issuer = \"https://id.example\"").replacen(client, &format!("{client}\n{line}"), 1));
    }
}
