//! A map whose entries end, and that never holds more than it was told to.

use std::collections::HashMap;

use crate::clock::Timestamp;

/// Values by name; each with an end, at most `capacity` of them.
#[derive(Debug)]
pub(super) struct Expiring<V> {
    entries: HashMap<String, (Timestamp, V)>,
    capacity: usize,
}

impl<V> Expiring<V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), capacity }
    }

    /// Adds or replaces an entry. When there is no room, what has ended goes, and else what would end first.
    pub(super) fn insert(&mut self, key: String, ends: Timestamp, value: V, now: Timestamp) {
        if self.entries.len() >= self.capacity && !self.entries.contains_key(&key) {
            self.entries.retain(|_, (ends, _)| now < *ends);
        }
        if self.entries.len() >= self.capacity && !self.entries.contains_key(&key) {
            let first = self.entries.iter().min_by_key(|(_, (ends, _))| *ends).map(|(key, _)| key.clone());
            first.and_then(|key| self.entries.remove(&key));
        }
        self.entries.insert(key, (ends, value));
    }

    /// The entry, unless it has ended.
    pub(super) fn get(&self, key: &str, now: Timestamp) -> Option<&V> {
        self.entries.get(key).filter(|(ends, _)| now < *ends).map(|(_, value)| value)
    }

    /// The entry, to change it.
    pub(super) fn get_mut(&mut self, key: &str, now: Timestamp) -> Option<&mut V> {
        self.entries.get_mut(key).filter(|(ends, _)| now < *ends).map(|(_, value)| value)
    }

    /// Every entry that has not ended, in no order.
    pub(super) fn iter(&self, now: Timestamp) -> impl Iterator<Item = (&str, &V)> {
        self.entries.iter().filter(move |(_, (ends, _))| now < *ends).map(|(key, (_, value))| (key.as_str(), value))
    }

    /// When the entry ends, unless it has.
    pub(super) fn end(&self, key: &str, now: Timestamp) -> Option<Timestamp> {
        self.entries.get(key).map(|(ends, _)| *ends).filter(|ends| now < *ends)
    }

    /// Drops every entry that is not to be kept.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) {
        self.entries.retain(|_, (_, value)| keep(value));
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<V> {
        self.entries.remove(key).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn an_entry_is_gone_at_its_end() {
        let mut map = Expiring::new(2);
        map.insert("a".into(), at(10), (), at(0));
        assert!(map.get("a", at(9)).is_some());
        assert!(map.get("a", at(10)).is_none());
    }

    #[test]
    fn a_full_map_drops_what_ends_first() {
        let mut map = Expiring::new(2);
        map.insert("late".into(), at(20), (), at(0));
        map.insert("soon".into(), at(10), (), at(0));
        map.insert("new".into(), at(30), (), at(0));
        assert!(map.get("soon", at(0)).is_none());
        assert!(map.get("late", at(0)).is_some() && map.get("new", at(0)).is_some());
    }
}
