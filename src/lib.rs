//! cloakroom (architecture document to be written)

pub mod admin;
pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dev;
pub mod endpoints;
pub mod guard;
pub mod provider;
pub mod proxy;
pub mod secret;
pub mod session;
pub mod telemetry;
pub mod tls;
