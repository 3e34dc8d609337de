//! A child process whose output is read line by line, and which ends with its handle.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{eventually, within};

/// A running child.
pub struct Process {
    name: String,
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command`; a missing program fails the test with what to install.
    pub fn start(command: &mut Command, install: &str) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start ({error}); {install}"));
        let stdout = Arc::new(Mutex::new(String::new()));
        let stderr = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            read_into(child.stdout.take().expect("stdout is piped"), &stdout),
            read_into(child.stderr.take().expect("stderr is piped"), &stderr),
        ];
        Self { name, child, stdout, stderr, readers }
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.lock().expect("readers do not panic").clone()
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("readers do not panic").clone()
    }

    /// Waits until it has written this, which takes a moment after the deed.
    pub fn says(&self, what: &str) {
        eventually(&format!("{} should write {what}", self.name), || self.output().contains(what).then_some(()));
    }

    /// Everything it has written so far.
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout(), self.stderr())
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The memory it holds at this moment, in bytes, without the pages of its binary that happen to be in use.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a process has memory");
        1024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kilobytes")
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, signal: &str) {
        // The shell's own `kill`: a small Debian has no other.
        let status = Command::new("sh").args(["-c", &format!("kill -{signal} {}", self.id())]).status();
        let status = status.expect("every Unix has sh");
        assert!(status.success(), "kill -{signal} {} failed", self.name);
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for its end, and for the last of its output.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let name = self.name.clone();
        let status = within(limit, &format!("{name} should end"), || self.exited());
        for reader in self.readers.drain(..) {
            reader.join().expect("readers do not panic");
        }
        status
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {} wrote:\n{}---", self.name, self.output());
        }
    }
}

fn read_into(from: impl Read + Send + 'static, into: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while matches!(from.read_until(b'\n', &mut line), Ok(count) if count > 0) {
            into.lock().expect("readers do not panic").push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}
