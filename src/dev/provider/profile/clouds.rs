//! Login services that vendors run: OpenID Connect, each in its own way.
//!
//! Sources: the vendors' documentation.

use super::super::Rotation;
use super::table::{QUERY, RFC_9068, STRICT, UNNAMED};
use super::{
    ApiTokens, AudienceClaim, AuthorizationRules, Dialect, Echo, Form, Given, Judged, JwtShape, LogoutProof,
    LogoutRules, Paths, Profile, RefreshRules, ScopeClaim, TokenRules,
};

pub(super) const ENTRA: Profile = Profile {
    name: "entra",
    about: "Microsoft Entra ID: tokens of 12 KiB, for one API each; offline_access is never echoed; a logout without \
            logout_hint asks; an Origin header at the token endpoint is refused",
    entry: r#"
profile = "entra"
url = "{address}/demo-tenant"
scopes = ["openid", "profile", "email", "offline_access", "api://demo-api/.default"]
"#,
    paths: Paths {
        issuer: "/demo-tenant/v2.0",
        authorize: Some("/demo-tenant/oauth2/v2.0/authorize"),
        token: Some("/demo-tenant/oauth2/v2.0/token"),
        userinfo: "/oidc/userinfo",
        jwks: Some("/demo-tenant/discovery/v2.0/keys"),
        revoke: None,
        logout: Some("/demo-tenant/oauth2/v2.0/logout"),
        hook: None,
    },
    own_login: None,
    authorization: AuthorizationRules {
        scopes: &[
            "openid",
            "profile",
            "email",
            "offline_access",
            "api://demo-api/.default",
            "https://graph.microsoft.com/User.Read",
        ],
        api: ApiTokens::Scope {
            api: "api://demo-api/",
            another: "https://graph.microsoft.com/",
            otherwise: "00000003-0000-0000-c000-000000000000",
        },
        session_state: true,
        ..UNNAMED
    },
    tokens: TokenRules {
        form: Form::Jwt(JwtShape {
            typ: "JWT",
            without: &["client_id"],
            scope: ScopeClaim::Text("scp"),
            audience: AudienceClaim::One,
            with: &[("ver", "2.0")],
            ..RFC_9068
        }),
        echo: Echo::WithoutOfflineAccess,
        groups: 12 * 1024,
        errors: Dialect::Entra,
        refuses_origin: true,
        ..STRICT.tokens
    },
    refresh: RefreshRules { reuse_ends_login: false, ..STRICT.refresh },
    logout: Some(LogoutRules {
        discoverable: true,
        back: "post_logout_redirect_uri",
        ignores_query: false,
        proof: LogoutProof::LogoutHint,
    }),
    back_channel: None,
};

pub(super) const COGNITO: Profile = Profile {
    name: "cognito",
    about: "AWS Cognito: offline_access is an invalid scope, a refresh token comes anyway and is never replaced; access \
            tokens have no aud; its logout page takes client_id and logout_uri",
    entry: r#"
profile = "cognito"
issuer = "{address}/eu-north-1_demo"
url = "{address}"
"#,
    paths: Paths {
        issuer: "/eu-north-1_demo",
        authorize: Some("/oauth2/authorize"),
        token: Some("/oauth2/token"),
        userinfo: "/oauth2/userInfo",
        jwks: Some("/eu-north-1_demo/.well-known/jwks.json"),
        revoke: Some("/oauth2/revoke"),
        logout: Some("/logout"),
        hook: None,
    },
    own_login: None,
    authorization: AuthorizationRules {
        scopes: &["openid", "profile", "email", "demo-api/orders"],
        modes: QUERY,
        ..UNNAMED
    },
    tokens: TokenRules {
        form: Form::Jwt(JwtShape {
            typ: "JWT",
            without: &["aud", "name"],
            with: &[("token_use", "access"), ("version", "2")],
            ..RFC_9068
        }),
        echo: Echo::Nothing,
        ..STRICT.tokens
    },
    refresh: RefreshRules { given: Given::Always, rotation: Rotation::Never, ..STRICT.refresh },
    logout: Some(LogoutRules {
        discoverable: false,
        back: "logout_uri",
        ignores_query: false,
        proof: LogoutProof::None,
    }),
    back_channel: None,
};

pub(super) const AUTH0: Profile = Profile {
    name: "auth0",
    about: "Auth0: without audience= the access token is opaque and no API takes it; its logout page, /v2/logout, takes \
            client_id and returnTo",
    entry: r#"
profile = "auth0"
url = "{address}"
audience = "demo-api"
"#,
    paths: Paths {
        issuer: "/",
        authorize: Some("/authorize"),
        token: Some("/oauth/token"),
        userinfo: "/userinfo",
        jwks: Some("/.well-known/jwks.json"),
        revoke: Some("/oauth/revoke"),
        logout: Some("/v2/logout"),
        hook: None,
    },
    own_login: None,
    authorization: AuthorizationRules { api: ApiTokens::Parameter("audience", "demo-api"), ..UNNAMED },
    tokens: TokenRules { form: Form::JwtForApi(RFC_9068), ..STRICT.tokens },
    logout: Some(LogoutRules { discoverable: false, back: "returnTo", ignores_query: true, proof: LogoutProof::None }),
    ..STRICT
};

pub(super) const GOOGLE: Profile = Profile {
    name: "google",
    about: "Google: a refresh token with access_type=offline, and only at the first consent or with prompt=consent; \
            offline_access is refused, access tokens are opaque, there is no logout page",
    entry: r#"
profile = "google"
issuer = "{address}"
"#,
    paths: Paths {
        issuer: "",
        authorize: Some("/o/oauth2/v2/auth"),
        token: Some("/token"),
        userinfo: "/v1/userinfo",
        jwks: Some("/oauth2/v3/certs"),
        revoke: Some("/revoke"),
        logout: None,
        hook: None,
    },
    own_login: None,
    authorization: AuthorizationRules { scopes: &["openid", "profile", "email"], ..UNNAMED },
    tokens: TokenRules { form: Form::Opaque, judged: Judged::ByTheProvider, ..STRICT.tokens },
    refresh: RefreshRules { given: Given::OnFirstConsent, rotation: Rotation::Never, ..STRICT.refresh },
    logout: None,
    back_channel: None,
};

pub(super) const OKTA: Profile = Profile {
    name: "okta",
    about: "Okta: refresh tokens are replaced and reuse ends the whole login; a logout needs id_token_hint",
    entry: r#"
profile = "okta"
url = "{address}/oauth2/default"
"#,
    paths: Paths {
        issuer: "/oauth2/default",
        authorize: Some("/oauth2/default/v1/authorize"),
        token: Some("/oauth2/default/v1/token"),
        userinfo: "/oauth2/default/v1/userinfo",
        jwks: Some("/oauth2/default/v1/keys"),
        revoke: Some("/oauth2/default/v1/revoke"),
        logout: Some("/oauth2/default/v1/logout"),
        hook: None,
    },
    own_login: None,
    authorization: UNNAMED,
    tokens: TokenRules {
        form: Form::Jwt(JwtShape {
            typ: "JWT",
            without: &["client_id"],
            scope: ScopeClaim::List("scp"),
            audience: AudienceClaim::One,
            ..RFC_9068
        }),
        ..STRICT.tokens
    },
    logout: Some(LogoutRules {
        discoverable: true,
        back: "post_logout_redirect_uri",
        ignores_query: false,
        proof: LogoutProof::IdTokenHintAlone,
    }),
    back_channel: None,
    ..STRICT
};
