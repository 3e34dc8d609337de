//! What `[[site.provider]]` means: the parts that every provider has, and those of its kind.

use std::num::NonZeroU32;
use std::time::Duration;

use url::Url;

use super::super::AppliedProfile;
use super::{ClientAuth, JsonPointer, LogoutTemplate, RelayConfig, RequestConfig, ResponseMode, TlsFiles};

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
    /// How long before its end an access token is replaced; `None` is what suits its life.
    pub refresh_before: Option<Duration>,
    /// Whether `http://` beyond loopback is accepted.
    pub plaintext: bool,
    /// The limit on one call to the provider.
    pub timeout: Duration,
    /// How many calls of its token endpoint all replicas make together; `None` is as many as it takes.
    pub budget: Option<Budget>,
    /// Certificates for the back channel.
    pub tls: TlsFiles,
    /// `profile`, and what it set.
    pub profile: Option<AppliedProfile>,
    /// `kind`, with what it takes.
    pub kind: ProviderKind,
}

/// `budget`: so many calls in any period of that length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many.
    pub count: NonZeroU32,
    /// In which time; a second or longer.
    pub period: Duration,
}

/// `kind`
#[derive(Clone, Debug)]
pub enum ProviderKind {
    /// `"oidc"`: OpenID Connect, found by discovery; its ID token says who the user is.
    Oidc(Box<OidcConfig>),
    /// `"oauth2"`: OAuth 2.0 with endpoints as written; its user endpoint says who the user is.
    OAuth2(Box<OAuth2Config>),
    /// `"relay"`: an API with a JSON login of its own.
    Relay(Box<RelayConfig>),
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

impl LogoutConfig {
    /// The standard's way: the end-session endpoint with the standard's parameters (OpenID Connect RP-Initiated Logout §2).
    #[must_use]
    pub fn standard(hint: LogoutHint) -> Self {
        let params = [
            ("client_id", "{client_id}"),
            ("post_logout_redirect_uri", "{return_to}"),
            ("state", "{state}"),
            ("id_token_hint", "{id_token}"),
        ];
        let template = |text| LogoutTemplate::parse(text).expect("these are templates");
        let params = params.map(|(name, text)| (name.to_owned(), template(text))).into();
        Self { page: Some(LogoutPage { url: None, params, hint }), hook: None }
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
    /// What is asked for beside scopes, and how.
    pub requests: RequestConfig,
    /// Whether the redirect URI is this provider's alone.
    pub own_callback: bool,
    /// What a logout does at the provider.
    pub logout: LogoutConfig,
    /// What an empty 400 of the token endpoint means.
    pub empty_400: Empty400,
}

/// What a logout does at the provider, beside the revocation of its tokens.
#[derive(Clone, Debug)]
pub struct LogoutConfig {
    /// Where the browser goes; `None` with `logout = "local"`: nowhere, the provider's own session stays.
    pub page: Option<LogoutPage>,
    /// `logout_hook`: what is told with the session's access token as the bearer.
    pub hook: Option<Url>,
}

/// The provider's logout page.
#[derive(Clone, Debug)]
pub struct LogoutPage {
    /// `logout_url`; `None` is the end-session endpoint.
    pub url: Option<Url>,
    /// What it is asked, by default the parameters of OpenID Connect RP-Initiated Logout.
    pub params: Vec<(String, LogoutTemplate)>,
    /// Whether the ID token may be among them.
    pub hint: LogoutHint,
}

/// What `kind = "oidc"` has beside.
#[derive(Clone, Debug)]
pub struct OidcConfig {
    /// The client.
    pub client: ClientConfig,
    /// Signature algorithms accepted on ID tokens; asymmetric ones only.
    pub id_token_algs: Vec<String>,
    /// Whether the UserInfo endpoint is asked at a login.
    pub userinfo: bool,
    /// Who may stand beside this client in `aud`.
    pub trusted_audiences: TrustedAudiences,
    /// Whether a logout token must say when it expires.
    pub logout_token_exp: LogoutTokenExp,
    /// Whether the provider may end sessions through frames in the browser (OpenID Connect Front-Channel Logout).
    pub frontchannel_logout: bool,
    /// Whether its answers may say who it is (RFC 9207); that they do is for its metadata to promise.
    pub names_issuer: bool,
    /// Tolerance for the provider's clock, 10 to 60 seconds.
    pub clock_skew: Duration,
    /// The UserInfo endpoint, where the metadata's is not the one to ask.
    pub userinfo_endpoint: Option<Url>,
    /// What stands in the place of the metadata's, or is not in them.
    pub endpoints: WrittenEndpoints,
}

/// Endpoints that a server may or may not have, as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenEndpoints {
    /// Where tokens are revoked (RFC 7009).
    pub revocation: Option<Url>,
    /// The logout page.
    pub end_session: Option<Url>,
    /// Where authorization requests are pushed to (RFC 9126).
    pub pushed: Option<Url>,
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
    /// What else there is.
    pub endpoints: WrittenEndpoints,
    /// Whether `issuer` is written, so that an `iss` in a callback can be compared with it (RFC 9207).
    pub names_issuer: bool,
    /// Where the subject stands in the user endpoint's answer.
    pub subject: JsonPointer,
    /// Where the name stands.
    pub full_name: JsonPointer,
    /// Where the e-mail address stands.
    pub email: JsonPointer,
}

/// `empty_400`: a refusal of the token endpoint that does not say what it refuses, though RFC 6749 §5.2 asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty400 {
    /// Something in front of the provider may have said it: no session ends.
    Unavailable,
    /// The provider says so of codes and refresh tokens that are over, as Glewlwyd does.
    Rejected,
}

/// What the provider's logout URL carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutHint {
    /// `id_token_hint`, as OpenID Connect RP-Initiated Logout recommends.
    IdToken,
    /// `client_id` alone, so that no ID token passes through the browser.
    ClientId,
}

/// `trusted_audiences`: who may stand beside this client in `aud` (OpenID Connect Core §3.1.3.7, step 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedAudiences {
    /// These; by default nobody.
    These(Vec<String>),
    /// Anybody, as long as `azp` says that an ID token was issued to this client.
    Any,
}

/// `logout_token_exp`: what becomes of a logout token without `exp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutTokenExp {
    /// It is refused, as OpenID Connect Back-Channel Logout §2.4 demands.
    Required,
    /// It is accepted for two minutes after its `iat`, for providers older than that demand.
    Optional,
}
