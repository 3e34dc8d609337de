//! How a site of `dev` has to be set up to get on with the provider: what the profile needs, as configuration.

use std::time::Duration;

use url::Url;

use super::DevError;
use super::provider::Profile;
use crate::config::{
    ClientAuth, ClientConfig, Empty400, JsonPointer, LogoutConfig, LogoutHint, LogoutPage, LogoutTemplate,
    LogoutTokenExp, OAuth2Config, OidcConfig, ProviderConfig, ProviderKind, RequestConfig, ResponseMode, TlsFiles,
    TrustedAudiences, WrittenEndpoints,
};
use crate::secret::ClientSecret;

/// The life of a token whose answer says none, and of one that never ends.
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A provider to get on with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fitting<'a> {
    pub(super) profile: &'a Profile,
    pub(super) issuer: &'a str,
}

impl Fitting<'_> {
    /// What `[[site.provider]]` would say.
    pub(super) fn provider(&self, client_id: &str, secret: &ClientSecret) -> Result<ProviderConfig, DevError> {
        let needs = &self.profile.client;
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let prove = if needs.secret_in_form { ClientAuth::Post } else { ClientAuth::Basic };
        let client = ClientConfig {
            client_id: client_id.to_owned(),
            client_auth: prove(secret.clone()),
            scopes: needs.scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            authorization_params: needs.parameters.iter().map(owned).collect(),
            response_mode: ResponseMode::Query,
            requests: RequestConfig::default(),
            own_callback: false,
            logout: self.logout()?,
            empty_400: Empty400::Unavailable,
        };
        Ok(ProviderConfig {
            name: "main".to_owned(),
            issuer: self.issuer.to_owned(),
            default_token_lifetime: if self.profile.tokens.expires { MINUTE } else { DAY },
            refresh_before: None,
            budget: None,
            plaintext: false,
            timeout: Duration::from_secs(10),
            tls: TlsFiles::default(),
            profile: None,
            kind: if self.profile.authorization.openid { oidc(client) } else { self.oauth2(client)? },
        })
    }

    /// The standard's way, unless the provider has its own.
    fn logout(&self) -> Result<LogoutConfig, DevError> {
        let own = self.profile.client.logout;
        let mut logout = LogoutConfig::standard(LogoutHint::IdToken);
        if let (Some(path), [_, ..]) = (self.profile.paths.logout, own) {
            let template = |(name, text): &(&str, &str)| {
                let template = LogoutTemplate::parse(text);
                template.map(|template| ((*name).to_owned(), template)).map_err(|error| DevError(error.to_string()))
            };
            let params = own.iter().map(template).collect::<Result<_, _>>()?;
            logout.page = Some(LogoutPage { url: Some(self.at(path)?), params, hint: LogoutHint::IdToken });
        }
        logout.hook = self.profile.paths.hook.map(|path| self.at(path)).transpose()?;
        Ok(logout)
    }

    /// Endpoints as written, and a user endpoint in place of an ID token.
    fn oauth2(&self, client: ClientConfig) -> Result<ProviderKind, DevError> {
        let paths = &self.profile.paths;
        let pointer = |text: &str| JsonPointer::parse(text).map_err(|error| DevError(format!("{text} {error}")));
        let (subject, full_name) = self.profile.client.user;
        Ok(ProviderKind::OAuth2(Box::new(OAuth2Config {
            client,
            authorization_endpoint: self.at(paths.authorize)?,
            token_endpoint: self.at(paths.token)?,
            userinfo_endpoint: self.at(paths.userinfo)?,
            endpoints: WrittenEndpoints {
                revocation: paths.revoke.map(|path| self.at(path)).transpose()?,
                end_session: paths.logout.map(|path| self.at(path)).transpose()?,
                pushed: None,
            },
            names_issuer: false,
            subject: pointer(subject)?,
            full_name: pointer(full_name)?,
            email: pointer("/email")?,
        })))
    }

    fn at(&self, path: &str) -> Result<Url, DevError> {
        let url = format!("{}{path}", self.issuer);
        Url::parse(&url).map_err(|error| DevError(format!("{url} is not a URL: {error}")))
    }
}

/// Everything else is found by discovery.
fn oidc(client: ClientConfig) -> ProviderKind {
    ProviderKind::Oidc(Box::new(OidcConfig {
        client,
        id_token_algs: vec!["ES256".to_owned()],
        userinfo: false,
        logout_token_exp: LogoutTokenExp::Required,
        trusted_audiences: TrustedAudiences::These(Vec::new()),
        frontchannel_logout: false,
        clock_skew: Duration::from_secs(10),
        userinfo_endpoint: None,
        endpoints: WrittenEndpoints::default(),
    }))
}
