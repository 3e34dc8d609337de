//! The proxied path: which upstream a request goes to, what goes along, and what comes back.

pub mod body;
pub mod forward;
pub mod headers;
pub mod route;
pub mod upstream;
