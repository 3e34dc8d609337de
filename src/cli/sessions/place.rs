//! Where sessions are worked on: in the store itself when processes share it, else through the gateway that holds it.

use std::net::SocketAddr;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::super::listener::{self, Question};
use super::super::result::Failed;
use crate::app::{KeyReport, Listing, Operator, Target};
use crate::config::Config;
use crate::secret::AdminToken;

/// How long the gateway may take: it reads the whole store for a revocation of all.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the sessions are.
pub(super) enum Place {
    /// In a store that this process can reach as well.
    Store(Operator),
    /// In a running gateway.
    Gateway(SocketAddr, AdminToken),
}

#[derive(Deserialize)]
struct Revoked {
    ended: u64,
}

#[derive(Deserialize)]
struct Refused {
    title: String,
    detail: String,
}

impl Place {
    pub(super) fn of(config: &Config) -> Result<Self, Failed> {
        if let Some(operator) = Operator::of(config).map_err(Failed::because)? {
            return Ok(Self::Store(operator));
        }
        let missing = |what| {
            Failed::because(format!(
                "this store belongs to the running gateway, which is asked through its admin listener: {what}"
            ))
        };
        let address = config.admin.listen.ok_or_else(|| missing("this configuration has none"))?;
        let token = config.admin.token.clone();
        let token = token.ok_or_else(|| missing("set admin.token, which opens it, and reload the gateway"))?;
        Ok(Self::Gateway(address, token))
    }

    pub(super) async fn list(
        &self,
        site: Option<&str>,
        subject: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Listing, Failed> {
        match self {
            Self::Store(operator) => operator.list(site, subject, cursor).await.map_err(Failed::because),
            Self::Gateway(..) => {
                let parameters = [("site", site), ("subject", subject), ("cursor", cursor)];
                let query: Vec<String> = parameters
                    .iter()
                    .filter_map(|(name, value)| Some(format!("{name}={}", encoded((*value)?))))
                    .collect();
                self.ask("GET", &format!("/admin/sessions?{}", query.join("&")), "")
            }
        }
    }

    pub(super) async fn revoke(&self, site: Option<&str>, target: &Target) -> Result<u64, Failed> {
        match self {
            Self::Store(operator) => operator.revoke(site, target).await.map_err(Failed::because),
            Self::Gateway(..) => {
                let mut body = match target {
                    Target::Subject(subject) => json!({ "subject": subject }),
                    Target::All => json!({ "all": true }),
                    Target::Session(session) => json!({ "session": session }),
                };
                if let Some(site) = site {
                    body["site"] = json!(site);
                }
                let revoked: Revoked = self.ask("POST", "/admin/sessions/revoke", &body.to_string())?;
                Ok(revoked.ended)
            }
        }
    }

    pub(super) async fn keys(&self) -> Result<KeyReport, Failed> {
        match self {
            Self::Store(operator) => operator.keys().await.map_err(Failed::because),
            Self::Gateway(..) => self.ask("GET", "/admin/keys", ""),
        }
    }

    fn ask<T: DeserializeOwned>(&self, method: &'static str, target: &str, body: &str) -> Result<T, Failed> {
        let Self::Gateway(address, token) = self else { unreachable!("a shared store is asked directly") };
        let question = Question { method, target, token: Some(token), body, patience: PATIENCE };
        let (status, answer) = listener::ask(*address, &question).map_err(|error| {
            Failed::because(format!(
                "this store belongs to the running gateway, and its admin listener at {address} does not answer: {error}"
            ))
        })?;
        if status != 200 {
            let why = match serde_json::from_str::<Refused>(&answer) {
                Ok(refused) => format!("{}: {}", refused.title, refused.detail),
                Err(_) => format!("status {status}"),
            };
            return Err(Failed::because(format!("the gateway at {address} refuses: {why}")));
        }
        serde_json::from_str(&answer).map_err(|error| {
            Failed::because(format!("what answers at {address} is no gateway of this version: {error}"))
        })
    }
}

fn encoded(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}
