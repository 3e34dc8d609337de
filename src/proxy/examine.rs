//! What `doctor` asks an upstream: whether anything answers there, over the connections that calls would take.

use std::time::Duration;

use hyper::header::{HOST, USER_AGENT};
use hyper::{Request, StatusCode};

use super::body::RequestBody;
use super::route::Route;
use super::upstream::UpstreamClients;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);

impl Route {
    /// One GET of the upstream's own path, without a session and without a token. Any answer is one, a refusal too:
    /// what is looked for is the way there.
    ///
    /// # Errors
    /// What an operator should read: no connection, no answer in time, a gateway's error.
    pub async fn examine(&self, clients: &UpstreamClients) -> Result<StatusCode, String> {
        let front_page = self.front_page().ok_or("its URL is none that can be asked for")?;
        let request = Request::get(front_page)
            .header(HOST, self.target.host.clone())
            .header(USER_AGENT, concat!("cloakroom/", env!("CARGO_PKG_VERSION")))
            .body(RequestBody::empty())
            .map_err(|error| error.to_string())?;
        let exchange = clients.exchange(self.target.tls.as_ref(), request);
        let Ok(answer) = tokio::time::timeout(PATIENCE, exchange).await else {
            return Err(format!("no answer within {} seconds", PATIENCE.as_secs()));
        };
        match answer.map_err(|error| error.to_string())?.status() {
            status @ (StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT) => {
                Err(format!("it answers {}", status.as_u16()))
            }
            status => Ok(status),
        }
    }
}
