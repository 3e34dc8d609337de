//! The strict provider, and the list of the others, each of which is written as its difference from that.

use super::super::Rotation;
use super::openid::{AUTH0, AUTHENTIK, COGNITO, ENTRA, GOOGLE, KEYCLOAK, LOGTO, OKTA, ZITADEL};
use super::plain::{GITHUB, PASSPORT_12, PASSPORT_13};
use super::{
    ApiTokens, AudienceClaim, AuthorizationRules, BackChannel, ClientNeeds, Dialect, Echo, Form, Given, Judged,
    JwtShape, LogoutProof, LogoutRules, OtherScopes, Paths, Profile, RefreshRules, ScopeClaim, Silent, TokenRules,
};

pub(super) const PROFILES: &[Profile] =
    &[PASSPORT_12, PASSPORT_13, ENTRA, COGNITO, KEYCLOAK, AUTH0, GOOGLE, OKTA, GITHUB, ZITADEL, AUTHENTIK, LOGTO];

/// No peculiarities: what `dev` is without a profile.
pub(super) const STRICT: Profile = Profile {
    name: "strict",
    about: "OpenID Connect by the book",
    paths: Paths {
        authorize: "/authorize",
        token: "/token",
        userinfo: "/userinfo",
        jwks: Some("/jwks"),
        revoke: Some("/revoke"),
        logout: Some("/end_session"),
        hook: None,
    },
    authorization: AuthorizationRules {
        openid: true,
        scopes: &["openid", "profile", "email", "offline_access"],
        other_scopes: OtherScopes::Refused,
        api: ApiTokens::Always,
        pkce_optional: false,
        names_issuer: true,
        session_state: false,
        silent: Silent { signed_out: "login_required", unknown_application: None },
    },
    tokens: TokenRules {
        form: Form::Jwt(RFC_9068),
        judged: Judged::ByItself,
        expires: true,
        echo: Echo::Granted,
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
    back_channel: BackChannel::SessionOrUser,
    client: ClientNeeds {
        scopes: &["openid", "profile", "email", "offline_access"],
        parameters: &[],
        secret_in_form: false,
        user: ("/sub", "/name"),
        logout: &[],
    },
};

pub(super) const RFC_9068: JwtShape = JwtShape {
    typ: "at+jwt",
    names_key: true,
    without: &[],
    scope: ScopeClaim::Text("scope"),
    audience: AudienceClaim::List,
    with: &[],
};

pub(super) const UNNAMED: AuthorizationRules = AuthorizationRules { names_issuer: false, ..STRICT.authorization };
