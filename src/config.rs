//! The configuration: the file as written, checked in one pass that reports every fault, and resolved into meaning.
//!
//! [`read`] goes from text to [`Config`]. `raw` holds the shapes of the TOML file, `resolve` turns them into the
//! types of `model` and collects [`Fault`]s. This room is the only one that reads environment variables and secret files.

mod model;
mod origin;

pub use model::*;
pub use origin::{NotAnOrigin, Origin, Scheme, is_loopback_host};
