//! What the gateway is at a provider: how it proves who it is.

use crate::secret::{ClientSecret, SigningKey};

/// How the client proves itself (RFC 6749 §2.3); never a secret in a URL.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// A public client: PKCE alone.
    None,
    /// `client_secret_basic`
    Basic(ClientSecret),
    /// `client_secret_post`
    Post(ClientSecret),
    /// `private_key_jwt`
    PrivateKeyJwt(AssertionConfig),
    /// `tls_client_auth` and `self_signed_tls_client_auth` (RFC 8705 §2): by the certificate of the connection.
    Tls,
}

/// `private_key_jwt`: what a client assertion is signed with, and what it says (RFC 7523 §3).
#[derive(Clone, Debug)]
pub struct AssertionConfig {
    /// The private key.
    pub key: SigningKey,
    /// `kid`, for providers that know several keys of this client.
    pub key_id: Option<String>,
    /// `alg`, one that goes with the kind of key.
    pub alg: &'static str,
    /// `aud`
    pub aud: AssertionAud,
    /// `typ`
    pub typ: AssertionTyp,
}

/// `assertion_aud`: whom a client assertion is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionAud {
    /// The provider, by its issuer alone: no other server can use the assertion.
    Issuer,
    /// The URL of the token endpoint, for providers that know nothing else.
    TokenEndpoint,
}

/// `assertion_typ`: what kind of token a client assertion says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionTyp {
    /// `client-authentication+jwt`, so that it is taken for nothing else.
    ClientAuthentication,
    /// `JWT`, for providers that know nothing else.
    Jwt,
}

/// What the client asks for beside scopes, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestConfig {
    /// Whether authorization requests are pushed.
    pub par: Par,
    /// `resource` of authorization and token requests: the APIs that the access token is for (RFC 8707).
    pub resource: Vec<String>,
    /// `audience` of authorization requests.
    pub audience: Option<String>,
    /// Further parameters of token requests; none that the gateway sets itself.
    pub token_params: Vec<(String, String)>,
    /// `scope` of refresh requests.
    pub refresh_scope: RefreshScope,
    /// Whether tokens are bound to a key of their session (RFC 9449).
    pub dpop: bool,
}

/// `par`: whether authorization requests are pushed (RFC 9126).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Par {
    /// Where the provider has an endpoint for it.
    #[default]
    Auto,
    /// Always: a provider without that endpoint is not logged in at.
    Required,
    /// Never: a provider that demands it is not logged in at.
    Never,
}

/// `refresh_scope`: what `scope` a refresh asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RefreshScope {
    /// None: what was granted goes on (RFC 6749 §6).
    #[default]
    Absent,
    /// What was granted, said once more.
    Granted,
    /// These.
    These(Vec<String>),
}
