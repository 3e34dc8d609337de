//! What `doctor` asks a provider: its documents, whether it would take this site's logins, and whether it knows this client.
//!
//! Three questions, each as the gateway itself would put it, and none that changes anything at the provider: the login is
//! not gone on with, and the code that is redeemed was never given out.

mod handed_over;

use std::time::Duration;

use super::code_flow::CodeFlow;
use super::relay::Relay;
use super::{Attempt, AuthorizeError, Kind, LoginHints, Provider, RedeemError, Unavailable, authorize, token};
use crate::dpop;
use crate::secret::{AuthorizationCode, CodeVerifier, Nonce, State};

/// What one question came to.
pub struct Examined {
    /// What was asked about, in a word or two.
    pub about: &'static str,
    /// What was found, or what is wrong.
    pub outcome: Result<String, Trouble>,
}

/// What is asked first: whether the server is found at all.
pub(super) struct FirstQuestion {
    pub(super) about: &'static str,
    pub(super) found: &'static str,
    pub(super) remedy: &'static str,
}

/// What is wrong, and what an operator can do about it.
pub struct Trouble {
    /// What is wrong.
    pub wrong: String,
    /// What to do.
    pub remedy: String,
}

const REACH: &str = "check that this machine reaches the provider, and the entry's `ca` if its certificate is private";

/// What a provider says to a stranger when it may not ask (OpenID Connect Core §3.1.2.6).
const NEEDS_THE_USER: [&str; 4] =
    ["login_required", "interaction_required", "account_selection_required", "consent_required"];

impl Provider {
    /// Asks the three questions; only the first if it has no good answer, or the kind has no other.
    pub async fn examine(&self) -> Vec<Examined> {
        match &self.kind {
            Kind::CodeFlow(flow) => flow.examine().await,
            Kind::Relay(relay) => vec![Examined { about: "login", outcome: relay.examine().await }],
        }
    }
}

impl Relay {
    /// Asks with an empty object for a login: an API that takes credentials says that they are missing. It counts as one
    /// failed login of this machine there.
    async fn examine(&self) -> Result<String, Trouble> {
        let trouble = |wrong, remedy: &str| Err(Trouble { wrong, remedy: remedy.to_owned() });
        let status = match self.ask_for_nothing().await {
            Ok(status) => status,
            Err(Unavailable(wrong)) => return trouble(wrong, REACH),
        };
        match status {
            400 | 401 | 403 | 422 | 429 => Ok(format!("the API answers {status} to a login without credentials")),
            404 | 405 => trouble(
                format!("the API answers {status} to a login"),
                "compare `login_url` with the API's routes; it is asked with POST",
            ),
            200..=299 => trouble(
                format!("the API answers {status} to a login without credentials"),
                "let it check the credentials, or name its login with `login_url`",
            ),
            300..=399 => trouble(
                format!("the API answers {status}, a redirect"),
                "redirects are not followed: write where it leads, or let the API answer JSON to whoever accepts JSON",
            ),
            500.. => {
                trouble(format!("the API answers {status} to a login without credentials"), "look at the API's own log")
            }
            _ => trouble(format!("the API answers {status} to a login"), "compare `login_url` with the API's routes"),
        }
    }
}

impl CodeFlow {
    async fn examine(&self) -> Vec<Examined> {
        let first = self.server.first_question();
        let documents = self.server.warm_up(Duration::ZERO).await;
        let documents =
            documents.map_err(|Unavailable(wrong)| Trouble { remedy: format!("{REACH}; {}", first.remedy), wrong });
        let found = documents.is_ok();
        let mut examined = vec![Examined { about: first.about, outcome: documents.map(|()| first.found.to_owned()) }];
        if found {
            examined.push(Examined { about: "login", outcome: self.examine_login().await });
            examined.push(Examined { about: "client", outcome: self.examine_client().await });
        }
        examined
    }

    /// Goes where a browser would be sent, without a cookie, and no further.
    async fn examine_login(&self) -> Result<String, Trouble> {
        let reach = |wrong| Trouble { wrong, remedy: REACH.to_owned() };
        let url = authorize::url(self, &made_up(self), &LoginHints::default()).await;
        let url = url.map_err(|error| match error {
            AuthorizeError::Unavailable(Unavailable(wrong)) => reach(wrong),
            AuthorizeError::Misconfigured(wrong) => Trouble {
                wrong,
                remedy: "compare `par`, `own_callback`, client_auth and the client's registration at the provider"
                    .to_owned(),
            },
        })?;
        let page = self.caller.page(&url).await.map_err(Unavailable::from);
        let page = page.map_err(|Unavailable(wrong)| reach(wrong))?;
        if let Some(error) = handed_over::error_in(&page, &self.redirect_uri) {
            if NEEDS_THE_USER.contains(&&*error) {
                return Ok(format!("the provider would ask the user ({error})"));
            }
            return Err(Trouble {
                remedy: match error.as_str() {
                    "invalid_scope" => "take out of `scopes` what the provider does not know or allow",
                    "unauthorized_client" => "allow this client the authorization code flow at the provider",
                    _ => "compare scopes, authorization_params and the client's registration at the provider",
                }
                .to_owned(),
                wrong: format!("the provider refuses it with {error}"),
            });
        }
        let register = || {
            let (uri, id) = (&self.redirect_uri, &self.client.client_id);
            format!("register the redirect URI {uri} for the client {id}, exactly so")
        };
        // Laravel Passport says so, and says it of a redirect URI as well; others show a page.
        if let Some(error) = page.error {
            return Err(Trouble { wrong: format!("the provider refuses it with {error}"), remedy: register() });
        }
        match page.status {
            200..=399 => Ok(format!("the provider would ask the user to log in ({})", page.status)),
            // What guards against robots is no verdict on the login.
            401 | 403 | 429 => Ok(format!("not to be told without a browser: the provider answers {}", page.status)),
            500.. => Err(reach(format!("the provider answers {} to the start of a login", page.status))),
            status => Err(Trouble {
                wrong: format!("the provider answers {status} to the start of a login"),
                remedy: register(),
            }),
        }
    }

    /// Redeems a code that nobody was given. A provider checks the client first (RFC 6749 §4.1.3).
    async fn examine_client(&self) -> Result<String, Trouble> {
        let trouble = |wrong: String, remedy: &str| Err(Trouble { wrong, remedy: remedy.to_owned() });
        match token::redeem(self, &AuthorizationCode::new("made-up-by-cloakroom-doctor"), &made_up(self)).await {
            Err(RedeemError::Rejected(_)) => Ok("its credentials are accepted".to_owned()),
            // The words of those who cannot read the code at all, which they look at after the client.
            Err(RedeemError::Misconfigured(code)) if code == "invalid_request" => {
                Ok("its credentials are accepted".to_owned())
            }
            Err(RedeemError::Misconfigured(code)) => trouble(
                format!("the provider refuses this client with {code}"),
                "compare client_id, client_auth and the client's secret or key with its registration at the provider",
            ),
            Err(RedeemError::Unavailable(wrong)) => trouble(wrong, REACH),
            Err(RedeemError::Throttled(pause)) => trouble(
                format!("the token endpoint has had too many calls and wants none for {} s", pause.as_secs()),
                "ask again later; `budget` keeps the gateway below what the provider allows",
            ),
            Err(RedeemError::Invalid(wrong) | RedeemError::Unidentified(wrong)) => {
                trouble(wrong, "look at what stands between gateway and provider")
            }
            Ok(_) => trouble(
                "the token endpoint gave tokens for a code that was made up".to_owned(),
                "this is no authorization server to trust: check the issuer",
            ),
        }
    }
}

fn made_up(flow: &CodeFlow) -> Attempt {
    let dpop_key = flow.client.requests.dpop.then(dpop::new_key);
    Attempt { state: State::random(), nonce: Nonce::random(), verifier: CodeVerifier::random(), dpop_key }
}
