//! The files as written: every value with its key and its line, several files merged into one tree.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Wrong};

/// One value and where it stands. Has no `Debug`: it may be a literal secret.
pub(super) struct Node {
    pub(super) key: String,
    pub(super) kind: Kind,
    file: Rc<Path>,
    line: usize,
    /// Whether a profile has written it, and not the operator.
    preset: bool,
}

/// The types of TOML, as far as the configuration uses them.
pub(super) enum Kind {
    Text(String),
    Integer(i64),
    Flag(bool),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
    /// A type that no key takes; its name.
    Other(&'static str),
}

impl Kind {
    /// The type's name with its article, for "expected a string, found …".
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Flag(_) => "a boolean",
            Self::List(_) => "an array",
            Self::Table(_) => "a table",
            Self::Other(name) => name,
        }
    }
}

impl Node {
    /// A fault of this value.
    pub(super) fn fault(&self, Wrong { wrong, remedy }: Wrong) -> Fault {
        self.fault_at(self.key.clone(), Wrong { wrong, remedy })
    }

    /// A fault of something that belongs at `key`, near this value.
    pub(super) fn fault_at(&self, key: String, Wrong { wrong, remedy }: Wrong) -> Fault {
        let line = (self.line > 0).then_some(self.line);
        Fault { file: self.file.to_path_buf(), line, key, wrong, remedy }
    }

    /// `path` as its author means it: relative to the folder of the file it is written in.
    pub(super) fn resolve_path(&self, path: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    pub(super) fn table(&self) -> Option<&BTreeMap<String, Node>> {
        match &self.kind {
            Kind::Table(table) => Some(table),
            _ => None,
        }
    }

    /// What stands at `name` of this table.
    pub(super) fn at(&self, name: &str) -> Option<&Node> {
        self.table()?.get(name)
    }

    /// The entries of the array at `name` of this table.
    pub(super) fn children_mut(&mut self, name: &str) -> &mut [Node] {
        let Kind::Table(table) = &mut self.kind else { return &mut [] };
        match table.get_mut(name).map(|node| &mut node.kind) {
            Some(Kind::List(list)) => list,
            _ => &mut [],
        }
    }

    /// Adds what this table lacks.
    pub(super) fn add(&mut self, entries: Vec<(String, Node)>) {
        if let Kind::Table(table) = &mut self.kind {
            for (name, node) in entries {
                table.entry(name).or_insert(node);
            }
        }
    }

    /// Whether a profile has written it.
    pub(super) const fn is_preset(&self) -> bool {
        self.preset
    }

    /// Whether `word` stands in one of its texts.
    pub(super) fn mentions(&self, word: &str) -> bool {
        match &self.kind {
            Kind::Text(text) => text.contains(word),
            Kind::List(list) => list.iter().any(|node| node.mentions(word)),
            Kind::Table(table) => table.values().any(|node| node.mentions(word)),
            Kind::Integer(_) | Kind::Flag(_) | Kind::Other(_) => false,
        }
    }

    /// A copy of this at `key`, as a profile's, with each text changed by `fill`.
    pub(super) fn preset(&self, key: &str, fill: &dyn Fn(&str) -> String) -> Self {
        let kind = match &self.kind {
            Kind::Text(text) => Kind::Text(fill(text)),
            Kind::Integer(number) => Kind::Integer(*number),
            Kind::Flag(flag) => Kind::Flag(*flag),
            Kind::Other(name) => Kind::Other(name),
            Kind::List(list) => Kind::List(
                list.iter().enumerate().map(|(index, node)| node.preset(&format!("{key}[{index}]"), fill)).collect(),
            ),
            Kind::Table(table) => Kind::Table(
                table.iter().map(|(name, node)| (name.clone(), node.preset(&join(key, name), fill))).collect(),
            ),
        };
        Self { key: key.to_owned(), kind, file: Rc::clone(&self.file), line: self.line, preset: true }
    }

    /// The value as it would be written.
    pub(super) fn as_written(&self) -> String {
        let all = |nodes: Vec<String>| nodes.join(", ");
        match &self.kind {
            Kind::Text(text) => format!("{text:?}"),
            Kind::Integer(number) => number.to_string(),
            Kind::Flag(flag) => flag.to_string(),
            Kind::Other(name) => (*name).to_owned(),
            Kind::List(list) => format!("[{}]", all(list.iter().map(Self::as_written).collect())),
            Kind::Table(table) => {
                let entry = |(name, node): (&String, &Self)| format!("{name} = {}", node.as_written());
                format!("{{ {} }}", all(table.iter().map(entry).collect()))
            }
        }
    }

    pub(super) fn list(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::List(list) => Some(list),
            _ => None,
        }
    }
}

/// Parses one file. On a syntax error, what could be read of it is lost, since nothing sure can be said about it.
pub(super) fn parse(file: &Path, text: &str) -> Result<Node, Vec<Fault>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let reader = Parser { file: Rc::from(file), text };
    if errors.is_empty() {
        let kind = reader.table("", table.into_inner());
        return Ok(Node { key: String::new(), kind, file: reader.file, line: 0, preset: false });
    }
    Err(errors.iter().map(|error| reader.syntax_fault(error)).collect())
}

/// Adds `later` to `earlier`: sites are appended, tables are merged key by key, and a key set twice is a fault.
pub(super) fn merge(earlier: &mut Node, later: Node, faults: &mut Vec<Fault>) {
    let Node { key, kind, file, line, preset } = later;
    match (&mut earlier.kind, kind) {
        (Kind::Table(into), Kind::Table(from)) => {
            for (name, node) in from {
                match into.get_mut(&name) {
                    Some(existing) => merge(existing, node, faults),
                    None => {
                        into.insert(name, node);
                    }
                }
            }
        }
        (Kind::List(into), Kind::List(from)) if key == "site" => into.extend(from),
        (_, kind) => {
            let first = earlier.file.display();
            faults.push(Node { key, kind, file, line, preset }.fault(Wrong::new(
                format!("is already set in {first}"),
                "keep it in one of the files; later files only add sites and keys that are not set yet",
            )));
        }
    }
}

struct Parser<'t> {
    file: Rc<Path>,
    text: &'t str,
}

impl Parser<'_> {
    fn node(&self, key: String, value: Spanned<DeValue<'_>>) -> Node {
        let line = self.line(value.span().start);
        let kind = match value.into_inner() {
            DeValue::String(text) => Kind::Text(text.into_owned()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Kind::Other("an integer beyond 64 bits"), Kind::Integer),
            DeValue::Boolean(flag) => Kind::Flag(flag),
            DeValue::Float(_) => Kind::Other("a float"),
            DeValue::Datetime(_) => Kind::Other("a date"),
            DeValue::Array(list) => Kind::List(
                list.into_iter()
                    .enumerate()
                    .map(|(index, value)| self.node(format!("{key}[{index}]"), value))
                    .collect(),
            ),
            DeValue::Table(table) => self.table(&key, table),
        };
        Node { key, kind, file: Rc::clone(&self.file), line, preset: false }
    }

    fn table(&self, key: &str, table: DeTable<'_>) -> Kind {
        let entries = table.into_iter().map(|(name, value)| {
            let name = name.into_inner().into_owned();
            let node = self.node(join(key, &name), value);
            (name, node)
        });
        Kind::Table(entries.collect())
    }

    /// The parser's message without the excerpt that its `Display` adds: the line may hold a secret.
    fn syntax_fault(&self, error: &toml::de::Error) -> Fault {
        Fault {
            file: self.file.to_path_buf(),
            line: error.span().map(|span| self.line(span.start)),
            key: String::new(),
            wrong: format!("is not TOML: {}", error.message()),
            remedy: "repair this line; until then the rest of the file is not judged".to_owned(),
        }
    }

    fn line(&self, offset: usize) -> usize {
        1 + self.text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
    }
}

/// The key of `name` inside the table `key`.
pub(super) fn join(key: &str, name: &str) -> String {
    if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") }
}
