//! The strict provider, and the list of the others, each of which is written as its difference from that.

use super::super::Rotation;
use super::clouds::{AUTH0, COGNITO, ENTRA, GOOGLE, OKTA};
use super::open_source::{AUTHENTIK, KEYCLOAK, LOGTO, ZITADEL};
use super::own_login::{JWT_AUTH, SANCTUM};
use super::plain::{GITHUB, PASSPORT_12, PASSPORT_13};
use super::{
    ApiTokens, AudienceClaim, AuthorizationRules, BackChannelRules, Dialect, Echo, Form, Given, Judged, JwtShape,
    LogoutProof, LogoutRules, OtherScopes, Paths, Profile, RefreshRules, ScopeClaim, Silent, TokenRules,
};

pub(super) const PROFILES: &[Profile] = &[
    PASSPORT_12,
    PASSPORT_13,
    JWT_AUTH,
    SANCTUM,
    ENTRA,
    COGNITO,
    KEYCLOAK,
    AUTH0,
    GOOGLE,
    OKTA,
    GITHUB,
    ZITADEL,
    AUTHENTIK,
    LOGTO,
];

/// No peculiarities: what `dev` is without a profile.
pub(super) const STRICT: Profile = Profile {
    name: "strict",
    about: "OpenID Connect by the book",
    entry: r#"issuer = "{address}""#,
    paths: Paths {
        issuer: "",
        authorize: Some("/authorize"),
        token: Some("/token"),
        userinfo: "/userinfo",
        jwks: Some("/jwks"),
        revoke: Some("/revoke"),
        logout: Some("/end_session"),
        hook: None,
    },
    own_login: None,
    authorization: AuthorizationRules {
        openid: true,
        scopes: &["openid", "profile", "email", "offline_access"],
        other_scopes: OtherScopes::Refused,
        api: ApiTokens::Always,
        pkce_optional: false,
        modes: &["query", "form_post", "jwt", "query.jwt", "form_post.jwt"],
        names_issuer: true,
        session_state: false,
        silent: Silent { signed_out: "login_required", unknown_application: None },
    },
    tokens: TokenRules {
        form: Form::Jwt(RFC_9068),
        judged: Judged::ByItself,
        expires: true,
        echo: Echo::Granted,
        id_token_audience: None,
        groups: 0,
        errors: Dialect::Standard,
        form_encoded: false,
        throttle: None,
        refuses_origin: false,
    },
    refresh: RefreshRules {
        given: Given::OnOfflineAccess,
        rotation: Rotation::EveryUse,
        reuse_ends_login: true,
        revokes_access_token: false,
    },
    logout: Some(LogoutRules {
        discoverable: true,
        back: "post_logout_redirect_uri",
        ignores_query: false,
        proof: LogoutProof::IdTokenHint,
    }),
    back_channel: Some(BackChannelRules { always_session: false, expires: true }),
};

pub(super) const RFC_9068: JwtShape = JwtShape {
    typ: "at+jwt",
    names_key: true,
    without: &[],
    scope: ScopeClaim::Text("scope"),
    audience: AudienceClaim::List,
    with: &[],
};

/// Of those who sign no answers.
pub(super) const UNSIGNED: &[&str] = &["query", "form_post"];

/// Of those who know one way to answer.
pub(super) const QUERY: &[&str] = &["query"];

pub(super) const UNNAMED: AuthorizationRules =
    AuthorizationRules { names_issuer: false, modes: UNSIGNED, ..STRICT.authorization };
