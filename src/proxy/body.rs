//! Bodies in both directions: bytes pass as they come, no faster than the receiver takes them, and a body that breaks
//! off never looks complete.
//!
//! The browser's body (`upload`) cannot leave its thread and hyper's must be able to, so a task on the worker's own
//! thread copies it through a channel that holds one piece. The upstream's body (`download`) is polled where it is.

mod download;
mod upload;

pub use download::{Download, DownloadError, Patience};
pub(super) use upload::{Limits, Upload, declared_length};
pub use upload::{RequestBody, UploadError};
