//! Files whose change asks for a reload, as they were when they were last loaded.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Each file with its state; `None` while it is away.
#[derive(Default)]
pub(super) struct Watched(BTreeMap<PathBuf, Option<Stamp>>);

/// What changes with a file's contents or with the right to read them. The length and the time of the last write are not
/// enough: a file that is renamed into place may share both with the one it replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    /// Device and inode.
    file: (u64, u64),
    length: u64,
    /// The last write, in seconds and nanoseconds.
    written: (i64, i64),
    /// The last change of anything, the owner and the mode included.
    changed: (i64, i64),
}

impl Watched {
    /// Watches `files` from now on; of those that are in here already, the state in here counts.
    pub(super) fn now(&self, files: &[PathBuf]) -> Self {
        let state = |file: &PathBuf| self.0.get(file).copied().unwrap_or_else(|| look_at(file));
        Self(files.iter().map(|file| (file.clone(), state(file))).collect())
    }

    /// The same files as they are now.
    pub(super) fn again(&self) -> Self {
        Self(self.0.keys().map(|file| (file.clone(), look_at(file))).collect())
    }

    /// Whether any file is another one now. One that is away for a moment is no change yet.
    pub(super) fn changed(&self) -> bool {
        self.0.iter().any(|(file, state)| look_at(file).is_some_and(|now| Some(now) != *state))
    }
}

fn look_at(file: &Path) -> Option<Stamp> {
    std::fs::metadata(file).ok().map(|metadata| Stamp::of(&metadata))
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            length: metadata.size(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}
