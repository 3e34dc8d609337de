//! cloakroom (architecture document to be written)

pub mod clock;
pub mod config;
pub mod guard;
pub mod provider;
pub mod proxy;
pub mod secret;
pub mod session;
pub mod tls;
