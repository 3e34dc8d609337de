//! The upstream client: pooled connections over hyper, one client per worker thread and set of certificates.

use crate::config::Config;

/// The connections of one worker thread to every upstream. Not shared between workers: a shared pool costs twice the CPU.
pub struct UpstreamClients {}

impl UpstreamClients {
    /// Clients for every upstream of the configuration; connects to nothing.
    ///
    /// # Errors
    /// When certificate files cannot be used.
    pub fn new(config: &Config) -> Result<Self, crate::tls::TlsError> {
        todo!("{config:?}")
    }
}
