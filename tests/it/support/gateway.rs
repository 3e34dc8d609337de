//! The gateway's own binary as a process.

use std::path::Path;
use std::process::Command;

use super::http::try_send;
use super::{Process, Request, Response, eventually, send};

/// The binary under test.
pub fn cloakroom() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloakroom"));
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command
}

/// A running `cloakroom serve`.
pub struct Gateway {
    pub process: Process,
    pub port: u16,
    pub admin_port: u16,
}

impl Gateway {
    /// Starts it and waits until it listens; provider and store may be down.
    pub fn serve(config: &Path, port: u16, admin_port: u16) -> Self {
        let mut process = Process::start(cloakroom().arg("serve").arg("--config").arg(config), "cargo build");
        eventually("the gateway should start", || {
            if let Some(status) = process.exited() {
                panic!("the gateway ended with {status}:\n{}", process.output());
            }
            let live = try_send(admin_port, &Request::new("GET", "/livez").header("host", "localhost"));
            live.is_ok_and(|answer| answer.status == 200).then_some(())
        });
        Self { process, port, admin_port }
    }

    /// An answer of the admin listener.
    pub fn admin(&self, path: &str) -> Response {
        send(self.admin_port, &Request::new("GET", path).header("host", "localhost"))
    }

    /// Waits until `/readyz` says `status`.
    #[track_caller]
    pub fn wait_ready(&self, status: u16) -> Response {
        eventually(&format!("/readyz should say {status}"), || {
            Some(self.admin("/readyz")).filter(|answer| answer.status == status)
        })
    }
}
