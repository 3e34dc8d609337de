//! Where the admin listener is, read from files that may be faulty everywhere else.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::document::{self, Node};
use super::fault::Faults;
use super::{DEFAULT_ADMIN_LISTEN, file_fault, value};

/// The `admin.listen` of these files, or its default. Nothing else in them is judged: a gateway goes on with what it has
/// while its files are being edited, and can still be asked.
///
/// # Errors
/// The files that cannot be read or are not TOML, and an `admin.listen` that is no address.
pub fn admin_listen(paths: &[PathBuf]) -> Result<SocketAddr, Faults> {
    let (mut faults, mut found) = (Vec::new(), None);
    for path in paths {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let wrong = format!("cannot be read: {error}");
                faults.push(file_fault(path, &wrong, "name a file that this user may read"));
                continue;
            }
        };
        match document::parse(path, &text) {
            Ok(root) => match written(&root).map(|node| value::listen(node).map_err(|wrong| node.fault(wrong))) {
                Some(Ok(address)) => found = found.or(Some(address)),
                Some(Err(fault)) => faults.push(fault),
                None => {}
            },
            Err(broken) => faults.extend(broken),
        }
    }
    if faults.is_empty() { Ok(found.unwrap_or(DEFAULT_ADMIN_LISTEN)) } else { Err(Faults(faults)) }
}

fn written(root: &Node) -> Option<&Node> {
    root.at("admin")?.at("listen")
}
