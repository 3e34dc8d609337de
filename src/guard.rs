//! The guard: pure functions of a request's words that return a proof or a refusal.

pub mod host;
pub mod path;
pub mod return_to;
pub mod same_origin;
