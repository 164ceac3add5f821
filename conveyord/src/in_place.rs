//! The files that the daemon holds open, held against what their names lead to now.
//!
//! A file that is removed or replaced lives on for whoever has it open: what is written into it is lost with the
//! process. And a second daemon would find a free lock of the same name. So a daemon whose files are not in their
//! places any more writes nothing and ends.

use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::opened::Identity;
use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Notify;

/// The files of a daemon that must stay in their places. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct InPlace(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    files: Mutex<Vec<(Utf8PathBuf, Identity)>>,
    /// Told when a file is found out of its place.
    missed: Notify,
}

/// A file that is not in its place any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} was removed or replaced while the daemon served it")]
pub struct Replaced {
    pub path: Utf8PathBuf,
}

impl InPlace {
    /// Adds a file that is open under this path now. One that does not exist is left out.
    ///
    /// # Errors
    /// When the system does not tell which file it is.
    pub fn add(&self, path: &Utf8Path) -> io::Result<()> {
        if let Some(identity) = Identity::at(path)? {
            self.add_known(path, identity);
        }
        Ok(())
    }

    /// Adds a file that is open, by what it is.
    pub fn add_known(&self, path: &Utf8Path, identity: Identity) {
        self.0.files.lock().unwrap_or_else(PoisonError::into_inner).push((path.to_owned(), identity));
    }

    /// Whether every file is in its place.
    ///
    /// # Errors
    /// The first one that is not.
    pub fn check(&self) -> Result<(), Replaced> {
        let files = self.0.files.lock().unwrap_or_else(PoisonError::into_inner);
        // A file that the system tells nothing of, for example for want of memory, is not replaced.
        let missing =
            files.iter().find(|(path, identity)| Identity::at(path).is_ok_and(|now| now != Some(*identity)));
        match missing {
            None => Ok(()),
            Some((path, _)) => {
                self.0.missed.notify_one();
                Err(Replaced { path: path.clone() })
            }
        }
    }

    /// Whether another file has this name by now. One that is gone is no other.
    #[must_use]
    pub fn is_another(&self, path: &Utf8Path) -> bool {
        let files = self.0.files.lock().unwrap_or_else(PoisonError::into_inner);
        let known = files.iter().find(|(known, _)| known == path).map(|(_, identity)| *identity);
        Identity::at(path).is_ok_and(|now| now.is_some() && now != known)
    }

    /// Resolves when a check has missed a file since this was last awaited.
    pub async fn missed(&self) {
        self.0.missed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_that_was_moved_removed_or_replaced_is_missed() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("file");
        fs::write(&path, "ours").unwrap();
        let files = InPlace::default();
        files.add(&path).unwrap();
        files.add(&path.with_extension("none")).unwrap();
        assert_eq!((files.check(), files.is_another(&path)), (Ok(()), false));
        let aside = path.with_extension("aside");
        fs::rename(&path, &aside).unwrap();
        assert_eq!(files.check(), Err(Replaced { path: path.clone() }));
        assert!(!files.is_another(&path));
        fs::write(&path, "theirs").unwrap();
        assert!(files.check().is_err() && files.is_another(&path));
        fs::rename(&aside, &path).unwrap();
        assert_eq!(files.check(), Ok(()));
    }
}
