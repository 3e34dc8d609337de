//! Which server the sentinels take for the primary.

use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use redis::{AsyncConnectionConfig, Client, RedisResult};
use tokio::time::timeout_at;

use super::failure::{Cause, Failure};
use super::node::PATIENCE;
use super::settings::Settings;
use crate::config::{RedisAddress, RedisServers};

/// Asks all sentinels at once. What more than half of them say counts at once; else what most of those say that answer in
/// time: one that was cut off from the others may still name the primary of yesterday.
pub(super) async fn primary(settings: &Settings, by: Instant) -> Result<RedisAddress, Failure> {
    let RedisServers::Sentinel { sentinels, name, credentials } = &settings.config.servers else {
        return Err(Failure::unsent(Cause::Forbidden("is not watched by sentinels".to_owned())));
    };
    let mut asked: FuturesUnordered<_> = sentinels
        .iter()
        .map(|sentinel| async move {
            let client = settings.sentinel(sentinel, credentials).map_err(Cause::Forbidden)?;
            ask(&client, name).await.map_err(Cause::of)
        })
        .collect();
    let by = by.min(Instant::now() + PATIENCE);
    let mut votes: Vec<(RedisAddress, usize)> = Vec::new();
    let mut why = Cause::Silent;
    while let Ok(Some(answer)) = timeout_at(by.into(), asked.next()).await {
        match answer {
            Ok(Some((host, port))) => {
                let address = RedisAddress::Tcp(host, port);
                let count = match votes.iter_mut().find(|(named, _)| *named == address) {
                    Some((_, count)) => {
                        *count += 1;
                        *count
                    }
                    None => {
                        votes.push((address.clone(), 1));
                        1
                    }
                };
                if count * 2 > sentinels.len() {
                    return Ok(address);
                }
            }
            Ok(None) => why = Cause::Forbidden(format!("the sentinels know no primary named {name:?}")),
            Err(cause) => why = cause,
        }
    }
    let most = votes.into_iter().max_by_key(|(_, count)| *count).map(|(address, _)| address);
    most.ok_or(Failure::unsent(why))
}

async fn ask(client: &Client, name: &str) -> RedisResult<Option<(String, u16)>> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
    let mut sentinel = client.get_multiplexed_async_connection_with_config(&config).await?;
    redis::cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name).query_async(&mut sentinel).await
}
