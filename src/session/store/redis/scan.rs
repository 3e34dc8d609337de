//! Pages of live sessions: every primary in turn, each by its own cursor.

use futures_util::future::join_all;

use super::layout::{Fields, SESSIONS, loaded, read, session};
use super::link::Link;
use super::request::{Request, deadline};
use crate::config::RedisAddress;
use crate::session::store::{Cursor, Loaded, Page, StoreError, StoreKey};

/// How many keys of any kind a server looks at for one page.
const LOOKED_AT: u32 = 500;

/// The next page.
pub(super) async fn page(link: &Link, from: &Cursor) -> Result<Page, StoreError> {
    let by = deadline();
    let primaries = link.primaries(by).await?;
    let Position { node, cursor } = Position::read(from, &primaries)?;
    let server = primaries.get(node).ok_or_else(changed)?;
    let ask = Request::at(server, "SCAN").arg(&cursor).arg("MATCH").arg(SESSIONS).arg("COUNT").arg(LOOKED_AT);
    let (next, names): (String, Vec<String>) = link.send(&ask, by).await?;
    let found = names.into_iter().filter_map(|name| session(&name).map(|key| (key, name)));
    let found =
        join_all(found.map(|(key, name)| async move { (key, link.send::<Fields>(&read(name), by).await) })).await;
    let mut sessions = Vec::new();
    for (key, fields) in found {
        match loaded(fields?) {
            Ok((Loaded::Live(stored), _)) => sessions.push((key, stored)),
            Ok(_) => {}
            // One session of a newer release must not hide all others.
            Err(error) => tracing::warn!(%error, "a session is left out of the list"),
        }
    }
    let next = match next.as_str() {
        "0" => Position::behind(node, &primaries),
        _ => Some(Position { node, cursor: next }),
    };
    Ok(Page { sessions, next: next.map(|position| position.write(&primaries)) })
}

/// Where to go on behind the primary that a scan is at.
pub(super) async fn skip(link: &Link, from: &Cursor) -> Result<Option<Cursor>, StoreError> {
    let primaries = link.primaries(deadline()).await?;
    let Position { node, .. } = Position::read(from, &primaries)?;
    Ok(Position::behind(node, &primaries).map(|position| position.write(&primaries)))
}

/// Where a scan is: at which primary, and where there.
struct Position {
    node: usize,
    cursor: String,
}

impl Position {
    fn read(cursor: &Cursor, primaries: &[RedisAddress]) -> Result<Self, StoreError> {
        if cursor.0.is_empty() {
            return Ok(Self { node: 0, cursor: "0".to_owned() });
        }
        let text = std::str::from_utf8(&cursor.0).map_err(|_| changed())?;
        let mut words = text.split(' ');
        let (Some(node), Some(cursor), Some(seen)) = (words.next(), words.next(), words.next()) else {
            return Err(changed());
        };
        if seen != among(primaries) || cursor.is_empty() || !cursor.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(changed());
        }
        Ok(Self { node: node.parse().map_err(|_| changed())?, cursor: cursor.to_owned() })
    }

    fn behind(node: usize, primaries: &[RedisAddress]) -> Option<Self> {
        (node + 1 < primaries.len()).then(|| Self { node: node + 1, cursor: "0".to_owned() })
    }

    fn write(&self, primaries: &[RedisAddress]) -> Cursor {
        Cursor(format!("{} {} {}", self.node, self.cursor, among(primaries)).into_bytes())
    }
}

/// Stands for the servers that a scan goes through: a cursor means nothing to any others.
fn among(primaries: &[RedisAddress]) -> String {
    let names: Vec<String> = primaries.iter().map(RedisAddress::to_string).collect();
    let names: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
    StoreKey::of(&names).to_string()
}

fn changed() -> StoreError {
    StoreError("the servers changed during the scan: begin it again".to_owned())
}
