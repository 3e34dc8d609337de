//! Providers that speak OAuth 2.0 and nothing else.
//!
//! Sources: the code of `laravel/passport` and of `thephpleague/oauth2-server` under it; GitHub's documentation of OAuth
//! apps.

use super::super::Rotation;
use super::table::{QUERY, STRICT, UNNAMED};
use super::{
    AudienceClaim, AuthorizationRules, Dialect, Echo, Form, Given, Judged, JwtShape, OtherScopes, Paths, Profile,
    RefreshRules, ScopeClaim, Silent, TokenRules,
};

pub(super) const PASSPORT_13: Profile = Profile {
    name: "passport13",
    about: "Laravel Passport 13: plain OAuth 2.0 without discovery or ID tokens; a refresh revokes the old access token at \
            once; 60 token calls a minute; no logout page",
    entry: r#"
profile = "passport"
url = "{address}"
scopes = ["read-orders", "write-notes"]
logout_hook = "{address}/api/logout"
"#,
    paths: Paths {
        issuer: "",
        authorize: Some("/oauth/authorize"),
        token: Some("/oauth/token"),
        userinfo: "/api/user",
        jwks: None,
        revoke: None,
        logout: None,
        hook: Some("/api/logout"),
    },
    own_login: None,
    authorization: AuthorizationRules {
        openid: false,
        modes: QUERY,
        scopes: &["read-orders", "write-notes"],
        silent: Silent { signed_out: "login_required", unknown_application: Some("consent_required") },
        ..UNNAMED
    },
    tokens: TokenRules {
        form: Form::Jwt(JwtShape {
            typ: "JWT",
            names_key: false,
            without: &["iss", "client_id", "name"],
            scope: ScopeClaim::List("scopes"),
            audience: AudienceClaim::Client,
            with: &[],
        }),
        judged: Judged::ByTheProvider,
        echo: Echo::Nothing,
        errors: Dialect::Passport13,
        throttle: Some(60),
        ..STRICT.tokens
    },
    refresh: RefreshRules {
        given: Given::Always,
        rotation: Rotation::EveryUse,
        reuse_ends_login: false,
        revokes_access_token: true,
    },
    logout: None,
    back_channel: None,
};

pub(super) const PASSPORT_12: Profile = Profile {
    name: "passport12",
    about: "Laravel Passport 12: as passport13, and a bad refresh token is 401 invalid_request, prompt=none access_denied",
    authorization: AuthorizationRules {
        silent: Silent { signed_out: "access_denied", unknown_application: Some("access_denied") },
        ..PASSPORT_13.authorization
    },
    tokens: TokenRules { errors: Dialect::Passport12, ..PASSPORT_13.tokens },
    ..PASSPORT_13
};

pub(super) const GITHUB: Profile = Profile {
    name: "github",
    about: "a GitHub OAuth app: no discovery or ID token, no refresh token and no expiry; refusals are 200 with an error, \
            answers form-encoded unless JSON is accepted",
    entry: r#"
profile = "github"
authorization_endpoint = "{address}/login/oauth/authorize"
token_endpoint = "{address}/login/oauth/access_token"
userinfo_endpoint = "{address}/user"
"#,
    paths: Paths {
        issuer: "",
        authorize: Some("/login/oauth/authorize"),
        token: Some("/login/oauth/access_token"),
        userinfo: "/user",
        jwks: None,
        revoke: None,
        logout: None,
        hook: None,
    },
    own_login: None,
    authorization: AuthorizationRules {
        openid: false,
        modes: QUERY,
        scopes: &["read:user", "user:email"],
        other_scopes: OtherScopes::Dropped,
        pkce_optional: true,
        ..UNNAMED
    },
    tokens: TokenRules {
        form: Form::Opaque,
        judged: Judged::ByTheProvider,
        expires: false,
        errors: Dialect::GitHub,
        form_encoded: true,
        ..STRICT.tokens
    },
    refresh: RefreshRules { given: Given::Never, ..STRICT.refresh },
    logout: None,
    back_channel: None,
};
