//! Login servers whose source is open, and which many run themselves: OpenID Connect, each in its own way.
//!
//! Sources: their documentation.

use super::super::Rotation;
use super::table::{RFC_9068, STRICT, UNNAMED, UNSIGNED};
use super::{
    ApiTokens, AuthorizationRules, BackChannelRules, Form, Given, JwtShape, Paths, Profile, RefreshRules, TokenRules,
};

pub(super) const KEYCLOAK: Profile = Profile {
    name: "keycloak",
    about: "Keycloak: a refresh token comes without offline_access and is not replaced; callbacks carry session_state and \
            iss; \"log out all sessions\" names one session, in a logout token without exp as older releases send it",
    entry: r#"
profile = "keycloak"
url = "{address}/realms/demo"
"#,
    paths: Paths {
        issuer: "/realms/demo",
        authorize: Some("/realms/demo/protocol/openid-connect/auth"),
        token: Some("/realms/demo/protocol/openid-connect/token"),
        userinfo: "/realms/demo/protocol/openid-connect/userinfo",
        jwks: Some("/realms/demo/protocol/openid-connect/certs"),
        revoke: Some("/realms/demo/protocol/openid-connect/revoke"),
        logout: Some("/realms/demo/protocol/openid-connect/logout"),
        hook: None,
    },
    own_login: None,
    authorization: AuthorizationRules { session_state: true, ..STRICT.authorization },
    tokens: TokenRules {
        form: Form::Jwt(JwtShape { typ: "JWT", with: &[("typ", "Bearer")], ..RFC_9068 }),
        ..STRICT.tokens
    },
    refresh: RefreshRules { given: Given::Always, rotation: Rotation::Never, ..STRICT.refresh },
    back_channel: Some(BackChannelRules { always_session: true, expires: false }),
    ..STRICT
};

pub(super) const ZITADEL: Profile = Profile {
    name: "zitadel",
    about: "Zitadel: refresh tokens are always replaced; a token is for the API only with the scope \
            urn:zitadel:iam:org:project:id:…:aud; ID tokens are for the project as well",
    entry: r#"
profile = "zitadel"
url = "{address}"
scopes = ["openid", "profile", "email", "offline_access", "urn:zitadel:iam:org:project:id:demo-api:aud"]
"#,
    paths: Paths {
        issuer: "",
        authorize: Some("/oauth/v2/authorize"),
        token: Some("/oauth/v2/token"),
        userinfo: "/oidc/v1/userinfo",
        jwks: Some("/oauth/v2/keys"),
        revoke: Some("/oauth/v2/revoke"),
        logout: Some("/oidc/v1/end_session"),
        hook: None,
    },
    own_login: None,
    authorization: AuthorizationRules {
        scopes: &["openid", "profile", "email", "offline_access", ZITADEL_PROJECT],
        api: ApiTokens::Scope { api: ZITADEL_PROJECT, another: "another project", otherwise: "zitadel" },
        ..UNNAMED
    },
    tokens: TokenRules {
        form: Form::Jwt(JwtShape { typ: "JWT", ..RFC_9068 }),
        id_token_audience: Some("demo-api"),
        ..STRICT.tokens
    },
    ..STRICT
};

const ZITADEL_PROJECT: &str = "urn:zitadel:iam:org:project:id:demo-api:aud";

pub(super) const AUTHENTIK: Profile = Profile {
    name: "authentik",
    about: "authentik: endpoints below /application/o/, refresh tokens are replaced, logout behind the browser's back",
    entry: r#"
profile = "authentik"
url = "{address}/application/o/demo"
"#,
    paths: Paths {
        issuer: "/application/o/demo/",
        authorize: Some("/application/o/authorize/"),
        token: Some("/application/o/token/"),
        userinfo: "/application/o/userinfo/",
        jwks: Some("/application/o/demo/jwks/"),
        revoke: Some("/application/o/revoke/"),
        logout: Some("/application/o/demo/end-session/"),
        hook: None,
    },
    own_login: None,
    authorization: UNNAMED,
    ..STRICT
};

pub(super) const LOGTO: Profile = Profile {
    name: "logto",
    about: "Logto: without resource= in the authorization request and in the token request the access token is opaque and \
            no API takes it; offline_access counts with prompt=consent only",
    entry: r#"
profile = "logto"
url = "{address}"
resource = ["https://api.demo.example"]
"#,
    paths: Paths {
        issuer: "/oidc",
        authorize: Some("/oidc/auth"),
        token: Some("/oidc/token"),
        userinfo: "/oidc/me",
        jwks: Some("/oidc/jwks"),
        revoke: Some("/oidc/token/revocation"),
        logout: Some("/oidc/session/end"),
        hook: None,
    },
    own_login: None,
    authorization: AuthorizationRules {
        api: ApiTokens::Resource("https://api.demo.example"),
        modes: UNSIGNED,
        ..STRICT.authorization
    },
    tokens: TokenRules { form: Form::JwtForApi(RFC_9068), ..STRICT.tokens },
    refresh: RefreshRules { given: Given::OnConsentToOfflineAccess, ..STRICT.refresh },
    ..STRICT
};
