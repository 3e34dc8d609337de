//! The configuration: the files as written, checked in one pass that reports every fault, and resolved into meaning.
//!
//! [`read`] goes from text to [`Config`]. `document` holds the files as written, every value with its place; `schema`
//! knows every key and refuses the others; `resolve` turns values into the types of `model`, through a `section` at a
//! time, and collects [`Fault`]s instead of stopping at the first. This room is the only one that asks for environment
//! variables and secret files.

mod address;
mod admin_listen;
mod document;
mod fault;
mod json_pointer;
mod logout_template;
mod master_key;
mod model;
mod origin;
mod path;
mod profile;
mod redis_url;
mod resolve;
mod route_table;
mod schema;
mod secret_ref;
mod section;
mod signing_key;
mod suggest;
mod units;
mod value;

#[cfg(test)]
mod tests;

pub use admin_listen::admin_listen;
pub use fault::{Fault, Faults};
pub use model::*;
pub use origin::{NotAnOrigin, Origin, Scheme, is_loopback_host};
pub use profile::AppliedProfile;
pub use redis_url::NotARedisUrl;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use section::Reader;

/// Reads environment variables, for `{ env = "…" }`; handed in, so that tests need no real environment.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Where the admin listener is, unless configured otherwise.
pub const DEFAULT_ADMIN_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

/// The environment of this process.
#[must_use]
pub fn process_environment(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    std::env::var(name).ok()
}

/// Reads one or more files into one configuration: later files add sites, a scalar set twice is a fault.
///
/// # Errors
/// Every fault of every file at once.
pub fn read(paths: &[PathBuf], environment: &Environment<'_>) -> Result<Config, Faults> {
    let mut faults = Vec::new();
    let mut texts = Vec::new();
    if paths.is_empty() {
        faults.push(file_fault(Path::new("--config"), "names no file", "name at least one"));
    }
    for path in paths {
        match std::fs::read_to_string(path) {
            Ok(text) => texts.push((path.as_path(), text)),
            Err(error) => {
                faults.push(file_fault(
                    path,
                    &format!("cannot be read: {error}"),
                    "name a file that this user may read",
                ));
            }
        }
    }
    let files: Vec<_> = texts.iter().map(|(path, text)| (*path, text.as_str())).collect();
    understand(&files, faults, environment)
}

/// Reads `text` as if it stood in `file`, from whose folder relative paths start.
///
/// # Errors
/// Every fault at once.
pub fn read_text(file: &Path, text: &str, environment: &Environment<'_>) -> Result<Config, Faults> {
    understand(&[(file, text)], Vec::new(), environment)
}

fn file_fault(file: &Path, wrong: &str, remedy: &str) -> Fault {
    let (file, wrong, remedy) = (file.to_path_buf(), wrong.to_owned(), remedy.to_owned());
    Fault { file, line: None, key: String::new(), wrong, remedy }
}

fn understand(
    files: &[(&Path, &str)],
    mut faults: Vec<Fault>,
    environment: &Environment<'_>,
) -> Result<Config, Faults> {
    let reader = Reader::new(environment);
    let mut merged: Option<document::Node> = None;
    for (file, text) in files {
        match document::parse(file, text) {
            Ok(node) => {
                schema::check(&node, schema::ROOT, &mut faults);
                match &mut merged {
                    None => merged = Some(node),
                    Some(earlier) => document::merge(earlier, node, &mut faults),
                }
            }
            Err(broken) => faults.extend(broken),
        }
    }
    let readable = faults.iter().all(|fault| !fault.key.is_empty());
    if let Some(root) = &mut merged {
        profile::apply(root, &mut faults);
    }
    let config = merged.as_ref().and_then(|root| resolve::config(&reader, root, readable));
    let (found, watched) = reader.into_parts();
    faults.extend(found);
    let order = |fault: &Fault| (files.iter().position(|(file, _)| *file == fault.file), fault.line);
    faults.sort_by_key(order);
    match config {
        Some(config) if faults.is_empty() => Ok(Config { watched: watched.into_iter().collect(), ..config }),
        _ => Err(Faults(faults)),
    }
}
