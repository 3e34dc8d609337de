//! What kind of provider this is: how it differs from a strict one in ways that a client meets, as data.
//!
//! A profile says nothing about its own handling: each part of the provider reads the rules that concern it. What can
//! change while the provider runs is in [`super::Behaviour`].

mod openid;
mod plain;
mod table;
mod tokens;

pub(super) use tokens::{
    AudienceClaim, Dialect, Echo, Form, Given, Judged, JwtShape, RefreshRules, ScopeClaim, TokenRules,
};

/// The rules of one kind of provider.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// What `--profile` calls it.
    pub name: &'static str,
    /// What is peculiar about it, in one sentence.
    pub about: &'static str,
    /// Where it is asked for what.
    pub paths: Paths,
    /// What an authorization request must and may say, and what comes back.
    pub authorization: AuthorizationRules,
    /// What its tokens look like, and how its token endpoint talks.
    pub tokens: TokenRules,
    /// Who gets a refresh token, and what becomes of it.
    pub refresh: RefreshRules,
    /// Its logout page; `None` has none.
    pub logout: Option<LogoutRules>,
    /// Whether it tells applications of a logout behind the browser's back.
    pub back_channel: BackChannel,
    /// What a client must be set up with to get on with it.
    pub client: ClientNeeds,
}

/// Paths below the issuer; `None` is an endpoint that is not there.
#[derive(Clone, Copy, Debug)]
pub struct Paths {
    /// The authorization endpoint.
    pub authorize: &'static str,
    /// The token endpoint.
    pub token: &'static str,
    /// Who the bearer of an access token is.
    pub userinfo: &'static str,
    /// The key set.
    pub jwks: Option<&'static str>,
    /// RFC 7009.
    pub revoke: Option<&'static str>,
    /// The logout page.
    pub logout: Option<&'static str>,
    /// Where the application itself, as an API, logs the bearer of a token out.
    pub hook: Option<&'static str>,
}

/// Rules of the authorization endpoint.
#[derive(Clone, Copy, Debug)]
pub struct AuthorizationRules {
    /// Whether it speaks OpenID Connect: it has discovery and keys, wants `openid` and a nonce, and issues ID tokens.
    pub openid: bool,
    /// The scopes that exist.
    pub scopes: &'static [&'static str],
    /// What happens to others.
    pub other_scopes: OtherScopes,
    /// Which tokens are for the API.
    pub api: ApiTokens,
    /// Whether a request may come without PKCE.
    pub pkce_optional: bool,
    /// Whether answers carry `iss` (RFC 9207).
    pub names_issuer: bool,
    /// Whether answers carry `session_state`.
    pub session_state: bool,
    /// What `prompt=none` comes to.
    pub silent: Silent,
}

/// What happens to scopes that do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherScopes {
    /// `invalid_scope`
    Refused,
    /// They are dropped without a word.
    Dropped,
}

/// When an access token is one for the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiTokens {
    /// Always.
    Always,
    /// When the authorization request names the API in this parameter, by this value; else the token is opaque and for nobody else.
    Parameter(&'static str, &'static str),
    /// When one of the scopes begins like this; a token is then for `api` alone, and one with scopes of both kinds does
    /// not exist. Otherwise it is for `otherwise`.
    Scope {
        /// How the API's own scopes begin.
        api: &'static str,
        /// How those of another API begin.
        another: &'static str,
        /// Whom the token is for without the API's scopes.
        otherwise: &'static str,
    },
}

/// The errors that `prompt=none` gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silent {
    /// Nobody is signed in.
    pub signed_out: &'static str,
    /// This person has never been at this application; `None` asks for no consent.
    pub unknown_application: Option<&'static str>,
}

/// Rules of the logout page.
#[derive(Clone, Copy, Debug)]
pub struct LogoutRules {
    /// Whether discovery tells about it.
    pub discoverable: bool,
    /// The parameter that names where the browser goes then.
    pub back: &'static str,
    /// Whether the query of that URL is left out when it is compared with those registered.
    pub ignores_query: bool,
    /// What signs the user out without a question.
    pub proof: LogoutProof,
}

/// What signs a user out without a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutProof {
    /// `id_token_hint`; without it the user is asked.
    IdTokenHint,
    /// `id_token_hint`; without it there is no logout.
    IdTokenHintAlone,
    /// `logout_hint` with the ID token's `login_hint`; without it the user is asked.
    LogoutHint,
    /// Nothing.
    None,
}

/// What logout tokens say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackChannel {
    /// There are none.
    None,
    /// `sid` for one session, `sub` alone for all.
    SessionOrUser,
    /// `sid` even when all sessions are meant.
    AlwaysSession,
}

/// What the application has to be set up with.
#[derive(Clone, Copy, Debug)]
pub struct ClientNeeds {
    /// The scopes to ask for.
    pub scopes: &'static [&'static str],
    /// Further authorization parameters.
    pub parameters: &'static [(&'static str, &'static str)],
    /// Whether the secret goes into the form instead of the header.
    pub secret_in_form: bool,
    /// Where the user endpoint says who somebody is: subject and name, as JSON pointers.
    pub user: (&'static str, &'static str),
    /// What the logout page is asked, when that is not what the standard says; see `logout_params`.
    pub logout: &'static [(&'static str, &'static str)],
}

impl Profile {
    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        table::PROFILES.iter().find(|profile| profile.name == name)
    }

    /// The names of all that can be asked for.
    pub fn names() -> impl Iterator<Item = &'static str> {
        table::PROFILES.iter().map(|profile| profile.name)
    }
}

impl Default for Profile {
    /// A strict provider without peculiarities.
    fn default() -> Self {
        table::STRICT
    }
}
