//! How tokens look, who gets which, and how the token endpoint talks.

use super::super::Rotation;

/// Rules of tokens and of the token endpoint.
#[derive(Clone, Copy, Debug)]
pub struct TokenRules {
    /// What an access token is.
    pub form: Form,
    /// How an API judges one.
    pub judged: Judged,
    /// Whether it ends by itself, and the answer says when.
    pub expires: bool,
    /// The `scope` of the answer.
    pub echo: Echo,
    /// Whom ID tokens are for beside the client.
    pub id_token_audience: Option<&'static str>,
    /// How many bytes of group memberships access and ID tokens carry.
    pub groups: usize,
    /// How refusals look.
    pub errors: Dialect,
    /// Whether the answer is form-encoded unless the client accepts JSON.
    pub form_encoded: bool,
    /// Calls a minute from one address.
    pub throttle: Option<u32>,
    /// Whether a call with an `Origin` header, which servers do not send, is refused.
    pub refuses_origin: bool,
}

/// What an access token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A signed JWT.
    Jwt(JwtShape),
    /// A JWT when it is for the API, and opaque otherwise.
    JwtForApi(JwtShape),
    /// A random text.
    Opaque,
    /// The same behind a number and a bar, as Sanctum tells its rows apart.
    Numbered,
}

/// How an access token that is a JWT differs from RFC 9068.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JwtShape {
    /// `typ` of its header.
    pub typ: &'static str,
    /// Whether its header names the key.
    pub names_key: bool,
    /// The claims it lacks.
    pub without: &'static [&'static str],
    /// How the scopes are told.
    pub scope: ScopeClaim,
    /// How the audience is told.
    pub audience: AudienceClaim,
    /// Texts of its own.
    pub with: &'static [(&'static str, &'static str)],
}

/// How an access token tells its scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeClaim {
    /// One text, under this name.
    Text(&'static str),
    /// A list, under this name.
    List(&'static str),
}

/// How an access token tells its audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudienceClaim {
    /// The API and the provider itself.
    List,
    /// One text.
    One,
    /// The client.
    Client,
}

/// How an API judges an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// By its signature and claims: a revocation is not noticed before it ends.
    ByItself,
    /// By asking the provider, each time: a revocation counts at once.
    ByTheProvider,
}

/// The `scope` of a token response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// What was granted.
    Granted,
    /// What was granted, `offline_access` aside.
    WithoutOfflineAccess,
    /// There is none.
    Nothing,
}

/// How refusals of the token endpoint look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 6749 §5.2
    Standard,
    /// Laravel Passport up to 12: `invalid_request` where the standard says `invalid_grant`, 401 for refresh tokens.
    Passport12,
    /// Laravel Passport 13: the standard, and a `hint`.
    Passport13,
    /// The standard with Microsoft's numbers.
    Entra,
    /// Everything is 200, with an `error` and codes of its own.
    GitHub,
}

/// Rules of refresh tokens.
#[derive(Clone, Copy, Debug)]
pub struct RefreshRules {
    /// Who gets one.
    pub given: Given,
    /// Whether a refresh returns a new one, unless [`super::super::Behaviour`] says otherwise.
    pub rotation: Rotation,
    /// Whether using a replaced one ends the whole login.
    pub reuse_ends_login: bool,
    /// Whether a refresh revokes the access token before it.
    pub revokes_access_token: bool,
}

/// Who gets a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// Whoever asks for `offline_access`.
    OnOfflineAccess,
    /// The same with `prompt=consent`; without it the scope is ignored (OpenID Connect Core §11).
    OnConsentToOfflineAccess,
    /// Everybody.
    Always,
    /// Whoever asks with `access_type=offline`, but only the first time a person is at an application, or with
    /// `prompt=consent`.
    OnFirstConsent,
    /// Nobody.
    Never,
}
