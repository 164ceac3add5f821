//! The lock that makes a daemon the only one of its state root.
//!
//! The daemon holds a flock(2) as long as it runs, so the system releases the lock however the daemon ends.
//! The file names the holder, for people.

use crate::clock;
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::{
    opened::{Access, Identity, Opened},
    types::daemon::StartedBy,
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, TryLockError},
    io::{self, Read, Seek, Write},
};

/// The holder of a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    /// When the daemon started.
    pub started_at: String,
    pub version: String,
    #[serde(default)]
    pub started_by: StartedBy,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon holds the lock.
    #[error("another conveyord serves this state root: {}", held_by(.holder.as_ref()))]
    Held {
        /// The holder, if the file could be read.
        holder: Option<Holder>,
    },
    /// The file cannot be opened, locked or written.
    #[error("the lock {path} could not be used")]
    Unusable {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
}

fn held_by(holder: Option<&Holder>) -> String {
    match holder {
        Some(holder) => {
            format!("process {}, version {}, since {}", holder.pid, holder.version, holder.started_at)
        }
        None => "a process that has not said which yet".to_owned(),
    }
}

/// The lock, while it is held. The file is never removed: a daemon could hold the lock of the removed file
/// while another one locks a new file of the same name.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock, a file of the state root, and writes the holder into it.
    ///
    /// # Errors
    /// `Held` when another process holds the lock.
    pub fn take(root: &Opened, path: &Utf8Path, started_by: StartedBy) -> Result<Self, LockError> {
        let unusable = |source| LockError::Unusable { path: path.to_owned(), source };
        let mut file = root.at(path, Access::ReadWriteOrNew).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held { holder: read(&mut file) }),
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let holder = Holder {
            pid: std::process::id(),
            started_at: clock::now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_by,
        };
        write(&mut file, &holder).map_err(unusable)?;
        Ok(Self { file })
    }

    /// Which file is locked, whatever has its name by now.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn identity(&self) -> io::Result<Identity> {
        Identity::of(&self.file)
    }
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn write(file: &mut File, holder: &Holder) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(serde_json::to_string(holder)?.as_bytes())?;
    file.write_all(b"\n")?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_who_has_it_and_a_release_frees_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = Opened::open(Utf8Path::from_path(dir.path()).unwrap()).unwrap();
        let path = root.path().join("lock");
        let first = Lock::take(&root, &path, StartedBy::Foreground).unwrap();
        let error = Lock::take(&root, &path, StartedBy::Foreground).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(first);
        Lock::take(&root, &path, StartedBy::Foreground).unwrap();
    }
}
