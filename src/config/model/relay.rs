//! What `kind = "relay"` means: an API that logs its users in with JSON of its own, and where its answers say what.

use url::Url;

use super::JsonPointer;

/// What `kind = "relay"` has beside the parts of every provider.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// Where the SPA's credentials go.
    pub login_url: Url,
    /// The SPA's own page for it, a path of the site, where navigations to the login are sent.
    pub login_page: Option<String>,
    /// What a login takes that has a second step; `None` is that no login has.
    pub step: Option<RelayStep>,
    /// How a new token is had; `None` is not at all, so that the session ends with the token.
    pub refresh: Option<RelayRefresh>,
    /// What is told at the end of a session with its token as the bearer, so that the API ends the token.
    pub logout_hook: Option<Url>,
    /// Who the bearer of a token is, as JSON; `None` where the login's answer says it.
    pub user_url: Option<Url>,
    /// Where the access token stands in the login's answer; the whole of it may be the token, in no quotes even.
    pub token: JsonPointer,
    /// Where its lifetime in seconds stands.
    pub expires_in: JsonPointer,
    /// Where the subject stands in the user's description.
    pub subject: JsonPointer,
    /// Where the name stands.
    pub full_name: JsonPointer,
    /// Where the e-mail address stands.
    pub email: JsonPointer,
}

/// Where the API hands out tokens, to which no route leads.
#[derive(Clone, Copy, Debug)]
pub struct TokenUrl<'a> {
    /// The URL.
    pub url: &'a Url,
    /// Whether a token may be had there with any method. A login takes credentials, and the same path may be more than a
    /// login: `GET /session` says who it is, `DELETE /session` ends it.
    pub by_any_method: bool,
}

impl TokenUrl<'_> {
    /// What reads, or ends something: these methods grant nothing for what a page sends (RFC 9110 §9.3).
    pub const NEVER_GRANT: [&'static str; 4] = ["GET", "HEAD", "DELETE", "OPTIONS"];

    /// Whether a login may be asked for with `method`, which is case-sensitive.
    #[must_use]
    pub fn may_grant(method: &str) -> bool {
        !Self::NEVER_GRANT.contains(&method)
    }
}

impl RelayConfig {
    /// Its login, the second step of that, and its refresh.
    #[must_use]
    pub fn token_urls(&self) -> Vec<TokenUrl<'_>> {
        let logins = [Some(&self.login_url), self.step.as_ref().map(|step| &step.url)];
        let logins = logins.into_iter().flatten().map(|url| TokenUrl { url, by_any_method: false });
        let refresh = self.refresh.as_ref().map(|refresh| TokenUrl { url: &refresh.url, by_any_method: true });
        logins.chain(refresh).collect()
    }
}

/// The second step of a login.
#[derive(Clone, Debug)]
pub struct RelayStep {
    /// What stands in an answer that wants one.
    pub pointer: JsonPointer,
    /// Where what the page sends next goes.
    pub url: Url,
}

/// The API's refresh endpoint, and how it is asked.
#[derive(Clone, Debug)]
pub struct RelayRefresh {
    /// The endpoint.
    pub url: Url,
    /// What is shown to it.
    pub with: RelayRefreshToken,
}

/// What a refresh is asked for with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayRefreshToken {
    /// The current access token as the bearer, as tymon/jwt-auth takes it.
    Bearer,
    /// The refresh token that stands there in the answers, as a JSON object with one member of the same name.
    Member(JsonPointer),
}
