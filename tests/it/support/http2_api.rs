//! An API on Node's own HTTP/2 server as a process; see `tests/http2/server.mjs`.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Pair, Process, eventually, root};

/// A running API on 127.0.0.1, with a certificate of its own.
pub struct Http2Api {
    pub port: u16,
    pub process: Process,
    pair: Pair,
    _dir: TempDir,
}

impl Http2Api {
    pub fn start() -> Self {
        Self::start_with(&json!({}))
    }

    /// The same with the options of `server.mjs`.
    pub fn start_with(options: &Value) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let pair = Pair::make(dir.path(), "api", "IP:127.0.0.1");
        let mut told = json!({ "cert": pair.cert, "key": pair.key });
        for (name, value) in options.as_object().expect("options by name") {
            told[name] = value.clone();
        }
        let process = Process::start(
            Command::new("node").current_dir(root().join("tests/http2")).args(["server.mjs", &told.to_string()]),
            "apt-get install nodejs",
        );
        let port = eventually("the API should start", || said(&process).find_map(|line| line["port"].as_u64()));
        Self { port: port.try_into().expect("a port"), process, pair, _dir: dir }
    }

    /// The certificate by which it is known.
    pub fn ca(&self) -> PathBuf {
        self.pair.cert.clone()
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Everything it has said so far of what happened.
    pub fn said(&self) -> Vec<Value> {
        said(&self.process).collect()
    }

    /// Waits until it says something with `name`, and gives what it says of that.
    pub fn tells(&self, name: &str) -> Value {
        let told = |line: Value| line.get(name).cloned();
        eventually(&format!("the API should tell of {name}"), || said(&self.process).find_map(told))
    }
}

fn said(process: &Process) -> impl Iterator<Item = Value> + use<> {
    let lines: Vec<String> = process.stdout().lines().map(str::to_owned).collect();
    lines.into_iter().filter_map(|line| serde_json::from_str(&line).ok())
}
