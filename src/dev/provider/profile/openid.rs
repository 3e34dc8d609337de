//! Providers that speak OpenID Connect, each in its own way.
//!
//! Sources: the vendors' documentation.

use super::super::Rotation;
use super::table::{RFC_9068, STRICT, UNNAMED};
use super::{
    ApiTokens, AudienceClaim, AuthorizationRules, BackChannel, ClientNeeds, Dialect, Echo, Form, Given, Judged,
    JwtShape, LogoutProof, LogoutRules, Paths, Profile, RefreshRules, ScopeClaim, TokenRules,
};

pub(super) const ENTRA: Profile = Profile {
    name: "entra",
    about: "Microsoft Entra ID: tokens of 12 KiB, for one API each; offline_access is never echoed; a logout without \
            logout_hint asks; an Origin header at the token endpoint is refused",
    paths: Paths {
        authorize: "/oauth2/v2.0/authorize",
        token: "/oauth2/v2.0/token",
        userinfo: "/oidc/userinfo",
        jwks: Some("/discovery/v2.0/keys"),
        revoke: None,
        logout: Some("/oauth2/v2.0/logout"),
        hook: None,
    },
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
    back_channel: BackChannel::None,
    client: ClientNeeds {
        scopes: &["openid", "profile", "email", "offline_access", "api://demo-api/.default"],
        ..STRICT.client
    },
};

pub(super) const COGNITO: Profile = Profile {
    name: "cognito",
    about: "AWS Cognito: offline_access is an invalid scope, a refresh token comes anyway and is never replaced; access \
            tokens have no aud; its logout page takes client_id and logout_uri",
    paths: Paths {
        authorize: "/oauth2/authorize",
        token: "/oauth2/token",
        userinfo: "/oauth2/userInfo",
        jwks: Some("/.well-known/jwks.json"),
        revoke: Some("/oauth2/revoke"),
        logout: Some("/logout"),
        hook: None,
    },
    authorization: AuthorizationRules { scopes: &["openid", "profile", "email", "demo-api/orders"], ..UNNAMED },
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
    back_channel: BackChannel::None,
    client: ClientNeeds {
        scopes: &["openid", "profile", "email", "demo-api/orders"],
        logout: &[("client_id", "{client_id}"), ("logout_uri", "{return_to}")],
        ..STRICT.client
    },
};

pub(super) const KEYCLOAK: Profile = Profile {
    name: "keycloak",
    about: "Keycloak: refresh tokens are not replaced; callbacks carry session_state and iss; \"log out all sessions\" \
            names one session in its logout token",
    paths: Paths {
        authorize: "/protocol/openid-connect/auth",
        token: "/protocol/openid-connect/token",
        userinfo: "/protocol/openid-connect/userinfo",
        jwks: Some("/protocol/openid-connect/certs"),
        revoke: Some("/protocol/openid-connect/revoke"),
        logout: Some("/protocol/openid-connect/logout"),
        hook: None,
    },
    authorization: AuthorizationRules { session_state: true, ..STRICT.authorization },
    tokens: TokenRules {
        form: Form::Jwt(JwtShape { typ: "JWT", with: &[("typ", "Bearer")], ..RFC_9068 }),
        ..STRICT.tokens
    },
    refresh: RefreshRules { rotation: Rotation::Never, ..STRICT.refresh },
    back_channel: BackChannel::AlwaysSession,
    ..STRICT
};

pub(super) const AUTH0: Profile = Profile {
    name: "auth0",
    about: "Auth0: without audience= the access token is opaque and no API takes it; its logout page, /v2/logout, takes \
            client_id and returnTo",
    paths: Paths {
        authorize: "/authorize",
        token: "/oauth/token",
        userinfo: "/userinfo",
        jwks: Some("/.well-known/jwks.json"),
        revoke: Some("/oauth/revoke"),
        logout: Some("/v2/logout"),
        hook: None,
    },
    authorization: AuthorizationRules { api: ApiTokens::Parameter("audience", "demo-api"), ..UNNAMED },
    tokens: TokenRules { form: Form::JwtForApi(RFC_9068), ..STRICT.tokens },
    logout: Some(LogoutRules { discoverable: false, back: "returnTo", ignores_query: true, proof: LogoutProof::None }),
    client: ClientNeeds {
        parameters: &[("audience", "demo-api")],
        logout: &[("client_id", "{client_id}"), ("returnTo", "{return_to}?state={state}")],
        ..STRICT.client
    },
    ..STRICT
};

pub(super) const GOOGLE: Profile = Profile {
    name: "google",
    about: "Google: a refresh token with access_type=offline, and only at the first consent or with prompt=consent; \
            offline_access is refused, access tokens are opaque, there is no logout page",
    paths: Paths {
        authorize: "/o/oauth2/v2/auth",
        token: "/token",
        userinfo: "/v1/userinfo",
        jwks: Some("/oauth2/v3/certs"),
        revoke: Some("/revoke"),
        logout: None,
        hook: None,
    },
    authorization: AuthorizationRules { scopes: &["openid", "profile", "email"], ..UNNAMED },
    tokens: TokenRules { form: Form::Opaque, judged: Judged::ByTheProvider, ..STRICT.tokens },
    refresh: RefreshRules { given: Given::OnFirstConsent, rotation: Rotation::Never, ..STRICT.refresh },
    logout: None,
    back_channel: BackChannel::None,
    client: ClientNeeds {
        scopes: &["openid", "profile", "email"],
        parameters: &[("access_type", "offline"), ("prompt", "consent")],
        ..STRICT.client
    },
};

pub(super) const OKTA: Profile = Profile {
    name: "okta",
    about: "Okta: refresh tokens are replaced and reuse ends the whole login; a logout needs id_token_hint",
    paths: Paths {
        authorize: "/v1/authorize",
        token: "/v1/token",
        userinfo: "/v1/userinfo",
        jwks: Some("/v1/keys"),
        revoke: Some("/v1/revoke"),
        logout: Some("/v1/logout"),
        hook: None,
    },
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
    back_channel: BackChannel::None,
    ..STRICT
};

pub(super) const ZITADEL: Profile = Profile {
    name: "zitadel",
    about: "Zitadel: refresh tokens are always replaced; a token is for the API only with the scope \
            urn:zitadel:iam:org:project:id:…:aud",
    paths: Paths {
        authorize: "/oauth/v2/authorize",
        token: "/oauth/v2/token",
        userinfo: "/oidc/v1/userinfo",
        jwks: Some("/oauth/v2/keys"),
        revoke: Some("/oauth/v2/revoke"),
        logout: Some("/oidc/v1/end_session"),
        hook: None,
    },
    authorization: AuthorizationRules {
        scopes: &["openid", "profile", "email", "offline_access", ZITADEL_PROJECT],
        api: ApiTokens::Scope { api: ZITADEL_PROJECT, another: "another project", otherwise: "zitadel" },
        ..UNNAMED
    },
    tokens: TokenRules { form: Form::Jwt(JwtShape { typ: "JWT", ..RFC_9068 }), ..STRICT.tokens },
    client: ClientNeeds { scopes: &["openid", "profile", "email", "offline_access", ZITADEL_PROJECT], ..STRICT.client },
    ..STRICT
};

const ZITADEL_PROJECT: &str = "urn:zitadel:iam:org:project:id:demo-api:aud";

pub(super) const AUTHENTIK: Profile = Profile {
    name: "authentik",
    about: "authentik: endpoints below /application/o/, refresh tokens are replaced, logout behind the browser's back",
    paths: Paths {
        authorize: "/application/o/authorize/",
        token: "/application/o/token/",
        userinfo: "/application/o/userinfo/",
        jwks: Some("/application/o/demo/jwks/"),
        revoke: Some("/application/o/revoke/"),
        logout: Some("/application/o/demo/end-session/"),
        hook: None,
    },
    authorization: UNNAMED,
    ..STRICT
};

pub(super) const LOGTO: Profile = Profile {
    name: "logto",
    about: "Logto: without resource= in the authorization request the access token is opaque and no API takes it",
    paths: Paths {
        authorize: "/oidc/auth",
        token: "/oidc/token",
        userinfo: "/oidc/me",
        jwks: Some("/oidc/jwks"),
        revoke: Some("/oidc/token/revocation"),
        logout: Some("/oidc/session/end"),
        hook: None,
    },
    authorization: AuthorizationRules { api: ApiTokens::Parameter("resource", "urn:demo-api"), ..STRICT.authorization },
    tokens: TokenRules { form: Form::JwtForApi(RFC_9068), ..STRICT.tokens },
    client: ClientNeeds {
        parameters: &[("resource", "urn:demo-api"), ("prompt", "consent")],
        secret_in_form: true,
        ..STRICT.client
    },
    ..STRICT
};
