//! What `doctor` asks an upstream: whether anything answers there, over the connections that calls would take.

use std::time::Duration;

use actix_web::http::StatusCode;

use super::body::RequestBody;
use super::route::Route;
use super::upstream::{BodyLength, Outgoing, UpstreamClients};
use crate::config::Origin;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);

impl Route {
    /// One GET of the upstream's own path for the site at `origin`, without a session and without a token. Any answer is one, a refusal too:
    /// what is looked for is the way there, and the protocol that was agreed on.
    ///
    /// # Errors
    /// What an operator should read: no connection, no answer in time, a gateway's error.
    pub async fn examine(
        &self,
        clients: &UpstreamClients,
        origin: &Origin,
    ) -> Result<(StatusCode, &'static str), String> {
        let prefix = &self.target.prefix;
        self.examine_at(if prefix.is_empty() { "/" } else { prefix }, clients, origin).await
    }

    /// The same for a path at the upstream, as a script's `fetch` asks: it takes whatever comes.
    ///
    /// # Errors
    /// The same.
    pub async fn examine_at(
        &self,
        path: &str,
        clients: &UpstreamClients,
        origin: &Origin,
    ) -> Result<(StatusCode, &'static str), String> {
        let target = &self.target;
        let agent = concat!("cloakroom/", env!("CARGO_PKG_VERSION"));
        let host = target.host(origin);
        let head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\naccept: */*\r\nuser-agent: {agent}\r\n\r\n");
        let length = BodyLength::Exactly(0);
        let (head, body) = (head.into(), RequestBody::empty());
        let question = Outgoing { head, body, length, asks_for_head: false, upgrades: false };
        let exchange = clients.exchange(&target.place, question, false);
        let Ok(answer) = tokio::time::timeout(PATIENCE, exchange).await else {
            return Err(format!("no answer within {} seconds", PATIENCE.as_secs()));
        };
        let answer = answer.map_err(|error| error.to_string())?;
        match answer.status {
            status @ (StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT) => {
                Err(format!("it answers {}", status.as_u16()))
            }
            status => Ok((status, answer.body.protocol())),
        }
    }
}
