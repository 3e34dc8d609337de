//! The proxied path: which upstream a request goes to, what goes along, and what comes back.
//!
//! [`route`] finds the way, [`forward`] walks it with its [`bearer`]: [`headers`] cleans what goes and what comes, [`body`]
//! carries bytes in both directions no faster than the receiver takes them, [`tunnel`] does both for WebSockets,
//! [`upstream`] speaks to the other side, and `seam` looks once more at what is written to it.

pub mod bearer;
pub mod body;
mod examine;
pub mod forward;
pub mod headers;
pub mod route;
mod seam;
pub mod token_places;
pub mod tunnel;
pub mod upstream;
