//! Who has which key in a Cluster: 16384 slots, and how a key's name leads to one.

use redis::{ParsingError, Value, from_redis_value};

use crate::config::RedisAddress;

const SLOTS: usize = 16384;

/// The primary of every slot, as some node told it.
#[derive(Clone, Debug)]
pub(super) struct SlotMap {
    primaries: Vec<RedisAddress>,
    /// An index into `primaries` for each slot, or [`NOBODY`].
    owners: Vec<u16>,
}

const NOBODY: u16 = u16::MAX;

impl SlotMap {
    /// Reads the answer to `CLUSTER SLOTS` that the node at `asked` gave.
    pub(super) fn read(answer: Value, asked: &RedisAddress) -> Result<Self, ParsingError> {
        let mut map = Self { primaries: Vec::new(), owners: vec![NOBODY; SLOTS] };
        for range in from_redis_value::<Vec<Vec<Value>>>(answer)? {
            let mut parts = range.into_iter();
            let (Some(first), Some(last), Some(primary)) = (parts.next(), parts.next(), parts.next()) else { continue };
            let (first, last): (usize, usize) = (from_redis_value(first)?, from_redis_value(last)?);
            let mut primary = from_redis_value::<Vec<Value>>(primary)?.into_iter();
            let (Some(host), Some(port)) = (primary.next(), primary.next()) else { continue };
            let Some(address) = address(from_redis_value(host)?, from_redis_value(port)?, asked) else { continue };
            let owner = map.index(address);
            for slot in map.owners.iter_mut().take(last.saturating_add(1)).skip(first) {
                *slot = owner;
            }
        }
        Ok(map)
    }

    /// Who has `slot`.
    pub(super) fn owner(&self, slot: u16) -> Option<&RedisAddress> {
        self.primaries.get(usize::from(*self.owners.get(usize::from(slot))?))
    }

    /// Takes in that `slot` has moved.
    pub(super) fn assign(&mut self, slot: u16, address: RedisAddress) {
        let owner = self.index(address);
        if let Some(held) = self.owners.get_mut(usize::from(slot)) {
            *held = owner;
        }
    }

    /// Every node that has at least one slot, in an order that stays the same.
    pub(super) fn primaries(&self) -> Vec<RedisAddress> {
        let mut used = vec![false; self.primaries.len()];
        for owner in &self.owners {
            if let Some(used) = used.get_mut(usize::from(*owner)) {
                *used = true;
            }
        }
        let mut primaries: Vec<_> =
            self.primaries.iter().zip(used).filter(|(_, used)| *used).map(|(address, _)| address.clone()).collect();
        primaries.sort();
        primaries
    }

    fn index(&mut self, address: RedisAddress) -> u16 {
        let known = self.primaries.iter().position(|primary| *primary == address);
        let index = known.unwrap_or_else(|| {
            self.primaries.push(address);
            self.primaries.len() - 1
        });
        u16::try_from(index).unwrap_or(NOBODY)
    }
}

/// Reads the `host:port` of a redirection by the node at `asked`; an empty host is that node's own.
pub(super) fn redirection(text: &str, asked: &RedisAddress) -> Option<RedisAddress> {
    let (host, port) = text.rsplit_once(':')?;
    address(Some(host.to_owned()), port.parse().ok()?, asked)
}

fn address(host: Option<String>, port: u16, asked: &RedisAddress) -> Option<RedisAddress> {
    match (host.as_deref(), asked) {
        (Some("?"), _) => None,
        (None | Some(""), RedisAddress::Tcp(host, _)) => Some(RedisAddress::Tcp(host.clone(), port)),
        (None | Some(""), RedisAddress::Unix(_)) => None,
        (Some(host), _) => Some(RedisAddress::Tcp(host.to_owned(), port)),
    }
}

/// The slot of a key: of what stands in its first braces, if anything does, else of all of it.
pub(super) fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    crc16(tag.filter(|tag| !tag.is_empty()).unwrap_or(key).as_bytes()) % 16384
}

/// CRC-16/XMODEM, as the Cluster specification asks for.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        // As `CLUSTER KEYSLOT` answers.
        assert_eq!(slot("foo"), 12182);
        assert_eq!(slot("{foo}.bar"), 12182);
        assert_eq!(slot("a{foo}b{bar}"), 12182);
        assert_eq!(slot("{}foo"), crc16(b"{}foo") % 16384);
    }

    #[test]
    fn a_redirection_without_a_host_stays_at_the_node_that_was_asked() {
        let asked = RedisAddress::Tcp("::1".into(), 7);
        assert_eq!(redirection(":8", &asked), Some(RedisAddress::Tcp("::1".into(), 8)));
        assert_eq!(redirection("fe80::1:9", &asked), Some(RedisAddress::Tcp("fe80::1".into(), 9)));
        assert_eq!(redirection("host", &asked), None);
    }
}
