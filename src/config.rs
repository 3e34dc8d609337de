//! The configuration: the file as written, checked in one pass that reports every fault, and resolved into meaning.
//!
//! [`read`] goes from text to [`Config`]. `raw` holds the shapes of the TOML file, `resolve` turns them into the
//! types of `model` and collects [`Fault`]s. This room is the only one that reads environment variables and secret files.

mod model;
mod origin;

pub use model::*;
pub use origin::{NotAnOrigin, Origin, Scheme, is_loopback_host};

use std::path::PathBuf;

/// Reads environment variables, for `{ env = "…" }`; handed in, so that tests need no real environment.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file it is in.
    pub file: PathBuf,
    /// The key, such as `site[0].provider[0].issuer`; empty when the file as a whole is meant.
    pub key: String,
    /// What is wrong.
    pub wrong: String,
    /// What to do.
    pub remedy: String,
}

/// Everything that is wrong; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

/// Reads one or more files into one configuration: later files add sites, a scalar set twice is a fault.
///
/// # Errors
/// Every fault of every file at once.
pub fn read(paths: &[PathBuf], environment: &Environment<'_>) -> Result<Config, Faults> {
    let _ = environment("");
    todo!("{paths:?}")
}
