//! Bodies in both directions: bytes pass as they come, no faster than the receiver takes them, and a body that breaks
//! off never looks complete.
//!
//! The browser's body (`upload`) is read by the task that sends it on; the upstream's (`download`) is polled by the
//! server when the browser has taken what came before.

mod download;
mod upload;

pub(super) use download::{Download, Patience};
pub use upload::UploadError;
pub(super) use upload::{Limits, RequestBody, Upload, declared_length};
