//! APIs that log people in by themselves, with JSON and without OAuth.
//!
//! Sources: the guide of `tymon/jwt-auth`, with the routes that the tutorial gives it; Laravel's guide on Sanctum's tokens for
//! mobile applications, and its `/api/user`. The route for a logout is the tutorial's.

use super::table::{STRICT, UNNAMED};
use super::{
    AudienceClaim, AuthorizationRules, Form, Given, Judged, JwtShape, Paths, Profile, RefreshRules, ScopeClaim,
    TokenRules,
};

/// How people log in at an API by itself.
#[derive(Clone, Copy, Debug)]
pub struct OwnLogin {
    /// Where the credentials go.
    pub login: &'static str,
    /// Where a token is exchanged for the next one, and is over with that; `None` where a token stays what it is.
    pub refresh: Option<&'static str>,
    /// The fields that the form has to have.
    pub fields: &'static [&'static str],
    /// What an answer with a token says.
    pub granted: Granted,
    /// What wrong credentials get.
    pub wrong: WrongCredentials,
}

/// What an answer with a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granted {
    /// `access_token`, `token_type` and `expires_in`.
    Bearer,
    /// The token and nothing else, not even in quotes.
    Text,
}

/// What wrong credentials get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongCredentials {
    /// 401 with an `error`.
    Unauthorized,
    /// 422 with a `message` and `errors` by field, as Laravel's validation words it.
    Invalid,
}

pub(super) const JWT_AUTH: Profile = Profile {
    name: "jwt-auth",
    about: "tymon/jwt-auth: a Laravel API with a JSON login; its JWT is renewed by itself, expired or not, and blacklisted at \
            once then; wrong credentials are 401, missing ones 422",
    entry: r#"
profile = "jwt-auth"
url = "{address}"
login_page = "/login"
"#,
    paths: Paths {
        issuer: "",
        authorize: None,
        token: None,
        userinfo: "/api/auth/me",
        jwks: None,
        revoke: None,
        logout: None,
        hook: Some("/api/auth/logout"),
    },
    own_login: Some(OwnLogin {
        login: "/api/auth/login",
        refresh: Some("/api/auth/refresh"),
        fields: &["email", "password"],
        granted: Granted::Bearer,
        wrong: WrongCredentials::Unauthorized,
    }),
    authorization: AuthorizationRules { openid: false, ..UNNAMED },
    tokens: TokenRules {
        form: Form::Jwt(JwtShape {
            typ: "JWT",
            names_key: false,
            without: &["aud", "client_id", "name", "scope"],
            scope: ScopeClaim::Text("scope"),
            audience: AudienceClaim::One,
            with: &[],
        }),
        judged: Judged::ByTheProvider,
        ..STRICT.tokens
    },
    refresh: RefreshRules { given: Given::Never, revokes_access_token: true, ..STRICT.refresh },
    logout: None,
    back_channel: None,
};

pub(super) const SANCTUM: Profile = Profile {
    name: "sanctum",
    about: "Laravel Sanctum's API tokens: a JSON login, which wants a device_name, answers with the mere token; that neither ends \
            nor renews; wrong credentials are 422",
    entry: r#"
profile = "sanctum"
url = "{address}"
login_page = "/login"
"#,
    paths: Paths { userinfo: "/api/user", hook: Some("/api/logout"), ..JWT_AUTH.paths },
    own_login: Some(OwnLogin {
        login: "/api/sanctum/token",
        refresh: None,
        fields: &["email", "password", "device_name"],
        granted: Granted::Text,
        wrong: WrongCredentials::Invalid,
    }),
    tokens: TokenRules { form: Form::Numbered, expires: false, ..JWT_AUTH.tokens },
    ..JWT_AUTH
};
