//! Reads one table key by key: what is wrong is reported and reading goes on, so that every fault is found at once.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Environment;
use super::document::{Kind, Node, join};
use super::fault::{Fault, Wrong};

/// What every reader needs: the environment, and the places where faults and files are noted.
pub(super) struct Reader<'e> {
    pub(super) environment: &'e Environment<'e>,
    faults: RefCell<Vec<Fault>>,
    files: RefCell<BTreeSet<PathBuf>>,
}

impl<'e> Reader<'e> {
    pub(super) fn new(environment: &'e Environment<'e>) -> Self {
        Self { environment, faults: RefCell::default(), files: RefCell::default() }
    }

    pub(super) fn report(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }

    /// Notes that the configuration depends on the contents of `file`.
    pub(super) fn depends_on(&self, file: PathBuf) {
        self.files.borrow_mut().insert(file);
    }

    pub(super) fn into_parts(self) -> (Vec<Fault>, BTreeSet<PathBuf>) {
        (self.faults.into_inner(), self.files.into_inner())
    }
}

/// One table, which need not be written.
pub(super) struct Section<'a> {
    pub(super) reader: &'a Reader<'a>,
    key: String,
    /// The table itself, or the nearest one around it.
    near: &'a Node,
    written: bool,
}

impl<'a> Section<'a> {
    pub(super) fn new(reader: &'a Reader<'a>, node: &'a Node) -> Self {
        Self { reader, key: node.key.clone(), near: node, written: true }
    }

    /// The value at `key`; `None` when it is absent, or wrong and reported.
    pub(super) fn get<T>(&self, key: &str, read: impl FnOnce(&'a Node) -> Result<T, Wrong>) -> Option<T> {
        let node = self.node(key)?;
        read(node).map_err(|wrong| self.reader.report(node.fault(wrong))).ok()
    }

    /// The value at `key`, or `default`.
    pub(super) fn or<T>(&self, key: &str, default: T, read: impl FnOnce(&'a Node) -> Result<T, Wrong>) -> T {
        self.get(key, read).unwrap_or(default)
    }

    /// The value at `key`, whose absence is a fault.
    pub(super) fn required<T>(
        &self,
        key: &str,
        remedy: &str,
        read: impl FnOnce(&'a Node) -> Result<T, Wrong>,
    ) -> Option<T> {
        if !self.has(key) {
            self.fault(key, "is missing", remedy);
        }
        self.get(key, read)
    }

    /// The entries of the array at `key`, each judged by itself.
    pub(super) fn list<T>(&self, key: &str, mut read: impl FnMut(&Node) -> Result<T, Wrong>) -> Option<Vec<T>> {
        let entries = self.get(key, |node| node.list().ok_or_else(|| wrong_type("an array", &node.kind)))?;
        let read = |entry: &Node| read(entry).map_err(|wrong| self.reader.report(entry.fault(wrong))).ok();
        Some(entries.iter().filter_map(read).collect())
    }

    /// The string written at `key`, right or wrong.
    pub(super) fn written_text(&self, key: &str) -> Option<&'a str> {
        match &self.node(key)?.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether something is written at `key`, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.node(key).is_some()
    }

    /// Whether something is written at `key` by the operator, and not by a profile.
    pub(super) fn is_written_here(&self, key: &str) -> bool {
        self.node(key).is_some_and(|node| !node.is_preset())
    }

    /// The table at `key`, written or not.
    pub(super) fn table(&self, key: &str) -> Self {
        match self.node(key) {
            Some(node) if node.table().is_some() => Self::new(self.reader, node),
            _ => Self { reader: self.reader, key: join(&self.key, key), near: self.near, written: false },
        }
    }

    /// Whether the table itself is written.
    pub(super) const fn is_written(&self) -> bool {
        self.written
    }

    /// The tables of the array at `key`.
    pub(super) fn tables(&self, key: &str) -> Vec<Self> {
        let entries = self.node(key).and_then(Node::list).unwrap_or_default();
        entries.iter().filter(|entry| entry.table().is_some()).map(|entry| Self::new(self.reader, entry)).collect()
    }

    /// Reports a fault at `key` of this table; at the table itself when `key` is empty.
    pub(super) fn fault(&self, key: &str, wrong: impl Into<String>, remedy: impl Into<String>) {
        let wrong = Wrong::new(wrong, remedy);
        let fault = match self.node(key) {
            Some(node) => node.fault(wrong),
            None if key.is_empty() => self.near.fault_at(self.key.clone(), wrong),
            None => self.near.fault_at(join(&self.key, key), wrong),
        };
        self.reader.report(fault);
    }

    pub(super) fn node(&self, key: &str) -> Option<&'a Node> {
        if self.written { self.near.table()?.get(key) } else { None }
    }
}

/// Reports every entry whose name an earlier one has, at `key` of its section.
pub(super) fn unique<'a, N: PartialEq>(
    named: impl IntoIterator<Item = (N, &'a Section<'a>)>,
    key: &str,
    wrong: impl Fn(&N) -> String,
    remedy: &str,
) {
    let mut seen: Vec<N> = Vec::new();
    for (name, section) in named {
        if seen.contains(&name) {
            section.fault(key, wrong(&name), remedy);
        } else {
            seen.push(name);
        }
    }
}

/// The fault of a value that has another type.
pub(super) fn wrong_type(expected: &str, found: &Kind) -> Wrong {
    Wrong::new(format!("expected {expected}, found {}", found.name()), format!("write {expected} here"))
}
