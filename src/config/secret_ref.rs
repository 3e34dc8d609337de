//! A secret as the file names it: `{ file = "…" }`, `{ env = "…" }`, or on loopback the text itself.

use zeroize::Zeroizing;

use super::document::{Kind, Node};
use super::fault::Wrong;
use super::section::Reader;

const FORMS: &str = "write { file = \"/run/secrets/…\" } or { env = \"NAME\" }";

/// Whether a secret may stand in the file itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    /// The origin is this machine.
    Accepted,
    /// Browsers come from elsewhere.
    Refused,
}

impl Literal {
    pub(super) const fn only_if(loopback: bool) -> Self {
        if loopback { Self::Accepted } else { Self::Refused }
    }
}

/// Fetches the secret's text, without the line breaks that editors, `echo` and shells leave at its end. No message shows it.
pub(super) fn fetch(node: &Node, literal: Literal, reader: &Reader<'_>) -> Result<Zeroizing<String>, Wrong> {
    let text = match &node.kind {
        Kind::Text(text) if literal == Literal::Accepted => Zeroizing::new(text.clone()),
        Kind::Text(_) => {
            return Err(Wrong::new(
                "is a secret written in the file itself",
                format!("{FORMS}; a literal is for loopback origins"),
            ));
        }
        Kind::Table(entries) => match entries.iter().collect::<Vec<_>>().as_slice() {
            [(name, Node { kind: Kind::Text(source), .. })] if *name == "file" => from_file(node, source, reader)?,
            [(name, Node { kind: Kind::Text(source), .. })] if *name == "env" => from_environment(source, reader)?,
            _ => return Err(Wrong::new("expected either `file` or `env`, with a string, and nothing else", FORMS)),
        },
        other => return Err(Wrong::new(format!("expected a secret, found {}", other.name()), FORMS)),
    };
    if text.trim().is_empty() {
        return Err(Wrong::new("is an empty secret", "put the secret there, or remove this key"));
    }
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

fn from_file(node: &Node, path: &str, reader: &Reader<'_>) -> Result<Zeroizing<String>, Wrong> {
    let path = node.resolve_path(path);
    let shown = path.display();
    let text = std::fs::read_to_string(&path).map(Zeroizing::new).map_err(|error| {
        Wrong::new(format!("the secret file {shown} cannot be read: {error}"), "create it, readable by this user")
    })?;
    reader.depends_on(path);
    Ok(text)
}

fn from_environment(name: &str, reader: &Reader<'_>) -> Result<Zeroizing<String>, Wrong> {
    // What is no name may be the secret itself, put in the wrong place: it is neither asked for nor shown.
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(is_name) || name.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(Wrong::new(
            "`env` does not name an environment variable",
            "write the variable's name, of letters, digits and _, and put the secret into the variable",
        ));
    }
    (reader.environment)(name).map(Zeroizing::new).ok_or_else(|| {
        Wrong::new(format!("the environment variable {name:?} is not set"), "set it where the gateway is started")
    })
}
