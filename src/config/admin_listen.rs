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

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// The address in files with these texts, or the faults.
    fn found(texts: &[&str]) -> Result<String, String> {
        let folder = TempDir::new().unwrap();
        let file = |(number, text): (usize, &&str)| {
            let path = folder.path().join(number.to_string());
            std::fs::write(&path, text).unwrap();
            path
        };
        let paths: Vec<_> = texts.iter().enumerate().map(file).collect();
        admin_listen(&paths).map(|address| address.to_string()).map_err(|faults| faults.to_string())
    }

    #[test]
    fn nothing_but_the_address_is_judged() {
        let address = "[admin]\nlisten = \"127.0.0.1:1\"\ntoken = 5\n[nonsense]\n";
        assert_eq!(found(&[address]).as_deref(), Ok("127.0.0.1:1"));
        assert_eq!(found(&["[[site]]\n", address]).as_deref(), Ok("127.0.0.1:1"));
        for default in [&[][..], &[""], &["[admin]\n"]] {
            assert_eq!(found(default), Ok(DEFAULT_ADMIN_LISTEN.to_string()));
        }
    }

    #[test]
    fn a_file_that_might_name_another_address_is_a_fault() {
        let address = "[admin]\nlisten = \"127.0.0.1:1\"\n";
        for (wrong, word) in [("[admin", "is not TOML"), ("[admin]\nlisten = \"nowhere\"", "admin.listen")] {
            let told = found(&[address, wrong]).unwrap_err();
            assert!(told.contains(word), "{told}");
        }
        assert!(admin_listen(&["/nowhere/gateway.toml".into()]).is_err());
    }
}
