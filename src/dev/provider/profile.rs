//! What kind of provider this is: how it differs from a strict one in ways that a client meets, as data.
//!
//! A profile says nothing about its own handling: each part of the provider reads the rules that concern it. What can
//! change while the provider runs is in [`super::Behaviour`].

mod clouds;
mod open_source;
mod own_login;
mod plain;
mod table;
mod tokens;

pub(super) use own_login::{Granted, OwnLogin, WrongCredentials};
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
    /// What the operator of a gateway writes into `[[site.provider]]` for it, in TOML and beside the client's id and secret:
    /// the preset, and what no preset can know. `{address}` is where the provider is.
    pub entry: &'static str,
    /// Where it is asked for what.
    pub paths: Paths,
    /// How people log in at an API that does that by itself; `None` is a provider with a login page.
    pub own_login: Option<OwnLogin>,
    /// What an authorization request must and may say, and what comes back.
    pub authorization: AuthorizationRules,
    /// What its tokens look like, and how its token endpoint talks.
    pub tokens: TokenRules,
    /// Who gets a refresh token, and what becomes of it.
    pub refresh: RefreshRules,
    /// Its logout page; `None` has none.
    pub logout: Option<LogoutRules>,
    /// How it tells applications of a logout behind the browser's back; `None` does not.
    pub back_channel: Option<BackChannelRules>,
}

/// Paths below the provider's address; `None` is an endpoint that is not there.
#[derive(Clone, Copy, Debug)]
pub struct Paths {
    /// What of the issuer comes after the address.
    pub issuer: &'static str,
    /// The authorization endpoint.
    pub authorize: Option<&'static str>,
    /// The token endpoint.
    pub token: Option<&'static str>,
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
    /// How answers can be asked for: the values of `response_mode`.
    pub modes: &'static [&'static str],
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
    /// When the authorization request and the token request both name the API as their `resource`, by this URI (RFC 8707);
    /// else the token is opaque and for nobody else.
    Resource(&'static str),
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
pub struct BackChannelRules {
    /// Whether there is a `sid` even when all sessions are meant, instead of `sub` alone.
    pub always_session: bool,
    /// Whether there is an `exp`.
    pub expires: bool,
}

impl Profile {
    /// Its [`entry`](Self::entry) for one that is at `address`.
    #[must_use]
    pub fn entry_at(&self, address: &str) -> String {
        self.entry.replace("{address}", address)
    }

    /// Whether an API can judge its access tokens by the published keys.
    #[must_use]
    pub const fn has_tokens_for_apis(&self) -> bool {
        matches!(self.tokens.form, Form::Jwt(_) | Form::JwtForApi(_))
    }

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
