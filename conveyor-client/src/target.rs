//! Which daemon is meant: from what the caller named to the daemon's files.

use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::settings::{self, Environment, StateFiles, StateRootError};

/// Why it is not clear which daemon is meant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A state root and a database file were named, and each of the two names a daemon.
    #[error("a state root and a database file were named: each names a daemon")]
    Both,
    /// The state root could not be determined.
    #[error(transparent)]
    StateRoot(#[from] StateRootError),
}

/// The daemon that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    files: StateFiles,
    named: Named,
}

/// What the caller named it by.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    /// The environment and the platform's defaults decide.
    Nothing,
    StateRoot(Utf8PathBuf),
    Database(Utf8PathBuf),
}

impl Target {
    /// The daemon of a state root, of a database file, or else the one that the environment selects. Relative paths
    /// are relative to the current directory.
    ///
    /// # Errors
    /// When both are named, and when a path cannot be made absolute or no state root can be found.
    pub fn find(
        state_root: Option<&Utf8Path>,
        database: Option<&Utf8Path>,
        environment: &dyn Environment,
    ) -> Result<Self, TargetError> {
        let (files, named) = match (state_root, database) {
            (Some(_), Some(_)) => return Err(TargetError::Both),
            (None, Some(database)) => {
                let database = settings::absolute(database)?;
                (StateFiles::for_database(database.clone()), Named::Database(database))
            }
            (Some(root), None) => {
                let root = settings::absolute(root)?;
                (StateFiles::in_root(root.clone()), Named::StateRoot(root))
            }
            (None, None) => {
                (StateFiles::in_root(settings::state_root(None, environment)?.value), Named::Nothing)
            }
        };
        Ok(Self { files, named })
    }

    /// The daemon's files.
    #[must_use]
    pub const fn files(&self) -> &StateFiles {
        &self.files
    }

    /// The state root that was named, as an absolute path.
    #[must_use]
    pub fn named_state_root(&self) -> Option<&Utf8Path> {
        match &self.named {
            Named::StateRoot(root) => Some(root),
            Named::Database(_) | Named::Nothing => None,
        }
    }

    /// Whether a state root or a database was named where there is none.
    pub(crate) fn is_named_and_empty(&self) -> bool {
        self.named != Named::Nothing && !self.files.database.exists()
    }

    /// The database file that was named, as an absolute path; the daemon is started on it.
    #[must_use]
    pub fn named_database(&self) -> Option<&Utf8Path> {
        match &self.named {
            Named::Database(database) => Some(database),
            Named::StateRoot(_) | Named::Nothing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Environment for Nothing {
        fn get(&self, _: &str) -> Option<String> {
            None
        }
    }

    struct Root;

    impl Environment for Root {
        fn get(&self, name: &str) -> Option<String> {
            (name == "CONVEYOR_STATE_ROOT").then(|| "/environment".to_owned())
        }
    }

    #[track_caller]
    fn check(state_root: Option<&str>, database: Option<&str>, root: &str, named: [Option<&str>; 2]) {
        let found = Target::find(state_root.map(Utf8Path::new), database.map(Utf8Path::new), &Root).unwrap();
        assert_eq!(found.files().root, root);
        let told = [found.named_state_root(), found.named_database()].map(|path| path.map(Utf8Path::as_str));
        assert_eq!(told, named);
    }

    #[test]
    fn a_state_root_or_a_database_names_a_daemon() {
        check(None, None, "/environment", [None, None]);
        check(Some("/a/../b"), None, "/b", [Some("/b"), None]);
        check(None, Some("/a/conveyor.db"), "/a", [None, Some("/a/conveyor.db")]);
        check(None, Some("/a/my.db"), "/a/my.db.d", [None, Some("/a/my.db")]);
    }

    #[test]
    fn what_names_no_daemon_or_two_is_refused() {
        let path = Some(Utf8Path::new("/a"));
        assert!(matches!(Target::find(path, path, &Root), Err(TargetError::Both)));
        assert!(matches!(
            Target::find(None, None, &Nothing),
            Err(TargetError::StateRoot(StateRootError::NoHome))
        ));
    }
}
