//! What `[[site.provider]]` means: the parts that every provider has, and those of its kind.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::{JsonPointer, RelayConfig, TlsFiles};
use crate::secret::ClientSecret;

/// `[[site.provider]]`: who logs a site's users in, and what every kind of it has.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// The name used by `?provider=` and shown by `/bff/session`.
    pub name: String,
    /// Whose users these are: users are known by issuer and subject. What `kind = "oidc"` is, byte for byte, in discovery
    /// and tokens; the other kinds have it configured or take an endpoint for it.
    pub issuer: String,
    /// The lifetime of an access token whose answer has no `expires_in`.
    pub default_token_lifetime: Duration,
    /// Whether `http://` beyond loopback is accepted.
    pub plaintext: bool,
    /// The limit on one call to the provider.
    pub timeout: Duration,
    /// Certificates for the back channel.
    pub tls: TlsFiles,
    /// `kind`, with what it takes.
    pub kind: ProviderKind,
}

/// `kind`
#[derive(Clone, Debug)]
pub enum ProviderKind {
    /// `"oidc"`: OpenID Connect, found by discovery; its ID token says who the user is.
    Oidc(OidcConfig),
    /// `"oauth2"`: OAuth 2.0 with endpoints as written; its user endpoint says who the user is.
    OAuth2(OAuth2Config),
    /// `"relay"`: an API with a JSON login of its own.
    Relay(RelayConfig),
}

impl ProviderKind {
    /// The client registration, where the kind has one.
    #[must_use]
    pub const fn client(&self) -> Option<&ClientConfig> {
        match self {
            Self::Oidc(oidc) => Some(&oidc.client),
            Self::OAuth2(oauth2) => Some(&oauth2.client),
            Self::Relay(_) => None,
        }
    }
}

/// What this gateway is at an authorization server.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The client's id.
    pub client_id: String,
    /// How the client proves itself at the token endpoint.
    pub client_auth: ClientAuth,
    /// The scopes of the authorization request; with `kind = "oidc"` they contain `openid`.
    pub scopes: Vec<String>,
    /// Further authorization parameters, such as `prompt` or `audience`; none that the gateway sets itself.
    pub authorization_params: Vec<(String, String)>,
    /// How the provider hands over its answer to the authorization request.
    pub response_mode: ResponseMode,
    /// What the provider's logout URL carries.
    pub logout_hint: LogoutHint,
}

/// What `kind = "oidc"` has beside.
#[derive(Clone, Debug)]
pub struct OidcConfig {
    /// The client.
    pub client: ClientConfig,
    /// Signature algorithms accepted on ID tokens; asymmetric ones only.
    pub id_token_algs: Vec<String>,
    /// Whether a logout token must say when it expires.
    pub logout_token_exp: LogoutTokenExp,
    /// Tolerance for the provider's clock, 10 to 60 seconds.
    pub clock_skew: Duration,
}

/// What `kind = "oauth2"` has beside.
#[derive(Clone, Debug)]
pub struct OAuth2Config {
    /// The client.
    pub client: ClientConfig,
    /// Where the browser is sent.
    pub authorization_endpoint: Url,
    /// Where codes and refresh tokens are redeemed.
    pub token_endpoint: Url,
    /// Who the bearer of an access token is, as JSON.
    pub userinfo_endpoint: Url,
    /// RFC 7009, where there is one.
    pub revocation_endpoint: Option<Url>,
    /// The provider's logout page, where there is one.
    pub end_session_endpoint: Option<Url>,
    /// Whether `issuer` is written, so that an `iss` in a callback can be compared with it (RFC 9207).
    pub names_issuer: bool,
    /// Where the subject stands in the user endpoint's answer.
    pub subject: JsonPointer,
    /// Where the name stands.
    pub full_name: JsonPointer,
    /// Where the e-mail address stands.
    pub email: JsonPointer,
}

/// How the client proves itself (RFC 6749 §2.3).
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// A public client: PKCE alone.
    None,
    /// `client_secret_basic`
    Basic(ClientSecret),
    /// `client_secret_post`
    Post(ClientSecret),
}

/// `response_mode`: how the provider hands over its answer to the authorization request (OAuth 2.0 Multiple Response Type
/// Encoding Practices §2.1, OAuth 2.0 Form Post Response Mode, JARM §2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResponseMode {
    /// In the query of the redirect; the default of the code flow, and so not asked for.
    #[default]
    #[serde(rename = "query")]
    Query,
    /// In a form that the browser posts.
    #[serde(rename = "form_post")]
    FormPost,
    /// In a signed token; where, the provider chooses by the response type: in the query, for codes.
    #[serde(rename = "jwt")]
    Jwt,
    /// In a signed token in the query.
    #[serde(rename = "query.jwt")]
    QueryJwt,
    /// In a signed token in a form.
    #[serde(rename = "form_post.jwt")]
    FormPostJwt,
}

impl ResponseMode {
    /// Every mode, by its word.
    pub const ALL: [(&'static str, Self); 5] = [
        ("query", Self::Query),
        ("form_post", Self::FormPost),
        ("jwt", Self::Jwt),
        ("query.jwt", Self::QueryJwt),
        ("form_post.jwt", Self::FormPostJwt),
    ];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::FormPost => "form_post",
            Self::Jwt => "jwt",
            Self::QueryJwt => "query.jwt",
            Self::FormPostJwt => "form_post.jwt",
        }
    }

    /// Whether the browser posts the answer.
    #[must_use]
    pub const fn is_posted(self) -> bool {
        matches!(self, Self::FormPost | Self::FormPostJwt)
    }

    /// Whether the answer is a signed token.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::Jwt | Self::QueryJwt | Self::FormPostJwt)
    }
}

/// What the provider's logout URL carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutHint {
    /// `id_token_hint`, as OpenID Connect RP-Initiated Logout recommends.
    IdToken,
    /// `client_id` alone, so that no ID token passes through the browser.
    ClientId,
}

/// `logout_token_exp`: what becomes of a logout token without `exp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutTokenExp {
    /// It is refused, as OpenID Connect Back-Channel Logout §2.4 demands.
    Required,
    /// It is accepted for two minutes after its `iat`, for providers older than that demand.
    Optional,
}
