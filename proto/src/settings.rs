//! Where things are, and which settings hold: flag, then environment, then `config.toml`, then default.
//!
//! Both programs resolve them here, so that a client finds the daemon that it would start.

use camino::{Utf8Path, Utf8PathBuf};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Name of the daemon's socket in the state root.
pub const SOCKET: &str = "conveyord.sock";

/// Where a setting's value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A command-line flag.
    Flag,
    /// An environment variable.
    Environment,
    /// `config.toml` in the state root.
    File,
    /// The built-in default.
    Default,
}

/// A value with its origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Sourced_{T}")]
pub struct Sourced<T> {
    /// The value in force.
    pub value: T,
    /// Where it came from.
    pub source: Source,
}

/// The environment as far as settings look at it, so that tests need not change the process's own.
pub trait Environment {
    /// The value of a variable; empty counts as unset.
    fn get(&self, name: &str) -> Option<String>;

    /// The value of a variable that names a folder; empty counts as unset.
    ///
    /// # Errors
    /// When it is not UTF-8: to pass over it would select another database.
    fn folder(&self, name: &str) -> Result<Option<Utf8PathBuf>, StateRootError> {
        Ok(self.get(name).map(Utf8PathBuf::from))
    }
}

/// The environment of this process.
#[derive(Debug, Clone, Copy)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn folder(&self, name: &str) -> Result<Option<Utf8PathBuf>, StateRootError> {
        let value = std::env::var_os(name).filter(|value| !value.is_empty());
        value
            .map(|value| Utf8PathBuf::from_path_buf(value.into()).map_err(StateRootError::NotUtf8))
            .transpose()
    }
}

/// Why the state root could not be determined.
#[derive(Debug, thiserror::Error)]
pub enum StateRootError {
    /// Neither a variable nor a home folder is there.
    #[error("the state root is unknown: set CONVEYOR_STATE_ROOT, or HOME")]
    NoHome,
    /// The current directory is needed for a relative path and cannot be read.
    #[error("the current directory could not be read")]
    CurrentDir(#[source] std::io::Error),
    /// A path with control characters is no path that a person meant.
    #[error("the path {0:?} has a control character")]
    Control(Utf8PathBuf),
    /// A path that is not UTF-8 cannot be carried in JSON.
    #[error("the path {0:?} is not UTF-8")]
    NotUtf8(std::path::PathBuf),
}

/// The files of one daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateFiles {
    /// The state root folder.
    #[schemars(with = "String")]
    pub root: Utf8PathBuf,
    /// The database file.
    #[schemars(with = "String")]
    pub database: Utf8PathBuf,
}

impl StateFiles {
    /// The files below a state root.
    #[must_use]
    pub fn in_root(root: Utf8PathBuf) -> Self {
        let database = root.join("conveyor.db");
        Self { root, database }
    }

    /// The daemon that serves a database named by `--path`: `conveyor.db` in a folder is that folder's
    /// own; any other file gets a state root of its own beside it, named like the file with `.d` added.
    #[must_use]
    pub fn for_database(database: Utf8PathBuf) -> Self {
        if database.file_name() == Some("conveyor.db")
            && let Some(parent) = database.parent()
        {
            return Self { root: parent.to_owned(), database };
        }
        Self { root: Utf8PathBuf::from(format!("{database}.d")), database }
    }

    /// The daemon's socket.
    #[must_use]
    pub fn socket(&self) -> Utf8PathBuf {
        self.root.join(SOCKET)
    }

    /// The lock that the daemon holds for its life; its process id, start time and version stand inside.
    #[must_use]
    pub fn lock(&self) -> Utf8PathBuf {
        self.root.join("conveyord.lock")
    }

    /// The lock that a client holds while it starts the daemon.
    #[must_use]
    pub fn start_lock(&self) -> Utf8PathBuf {
        self.root.join("conveyord.start.lock")
    }

    /// The settings file.
    #[must_use]
    pub fn config(&self) -> Utf8PathBuf {
        self.root.join("config.toml")
    }

    /// The folder of the logs.
    #[must_use]
    pub fn logs(&self) -> Utf8PathBuf {
        self.root.join("logs")
    }

    /// The log that is written now.
    #[must_use]
    pub fn log(&self) -> Utf8PathBuf {
        self.logs().join("conveyord.log")
    }

    /// Where the daemon's standard error goes when nobody looks at it: what it says before its log is open, and its
    /// last words.
    #[must_use]
    pub fn last_words(&self) -> Utf8PathBuf {
        self.logs().join("conveyord.stderr")
    }

    /// The folder of database backups.
    #[must_use]
    pub fn backups(&self) -> Utf8PathBuf {
        self.root.join("backups")
    }
}

/// The state root: flag, `CONVEYOR_STATE_ROOT`, `WORKERCTL_STATE_ROOT`, the platform's state folder.
/// A relative value is relative to the current directory.
///
/// # Errors
/// When no value can be found or made absolute.
pub fn state_root(
    flag: Option<&Utf8Path>,
    environment: &dyn Environment,
) -> Result<Sourced<Utf8PathBuf>, StateRootError> {
    let (value, source) = if let Some(path) = flag {
        (path.to_owned(), Source::Flag)
    } else if let Some(path) = environment.folder("CONVEYOR_STATE_ROOT")? {
        (path, Source::Environment)
    } else if let Some(path) = environment.folder("WORKERCTL_STATE_ROOT")? {
        (path, Source::Environment)
    } else {
        (platform_state_folder(environment)?.ok_or(StateRootError::NoHome)?, Source::Default)
    };
    Ok(Sourced { value: absolute(&value)?, source })
}

#[cfg(target_os = "macos")]
fn platform_state_folder(environment: &dyn Environment) -> Result<Option<Utf8PathBuf>, StateRootError> {
    Ok(environment.folder("HOME")?.map(|home| home.join("Library/Application Support/conveyor")))
}

#[cfg(not(target_os = "macos"))]
fn platform_state_folder(environment: &dyn Environment) -> Result<Option<Utf8PathBuf>, StateRootError> {
    if let Some(state) = environment.folder("XDG_STATE_HOME")? {
        return Ok(Some(state.join("conveyor")));
    }
    Ok(environment.folder("HOME")?.map(|home| home.join(".local/state/conveyor")))
}

/// A path made absolute against the current directory, `~` expanded; `.` and `..` are resolved by name.
///
/// # Errors
/// When the current directory cannot be read or is not UTF-8.
pub fn absolute(path: &Utf8Path) -> Result<Utf8PathBuf, StateRootError> {
    let expanded = match (path.as_str().strip_prefix("~/"), ProcessEnvironment.get("HOME")) {
        (Some(rest), Some(home)) => Utf8PathBuf::from(home).join(rest),
        _ => path.to_owned(),
    };
    if path.as_str().chars().any(char::is_control) {
        return Err(StateRootError::Control(path.to_owned()));
    }
    let whole = if expanded.is_absolute() { expanded } else { current_dir()?.join(expanded) };
    let mut clean = Utf8PathBuf::from("/");
    for part in whole.components() {
        match part {
            camino::Utf8Component::Normal(name) => clean.push(name),
            camino::Utf8Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    Ok(clean)
}

/// The current directory as UTF-8.
///
/// # Errors
/// When it cannot be read or is not UTF-8.
pub fn current_dir() -> Result<Utf8PathBuf, StateRootError> {
    let dir = std::env::current_dir().map_err(StateRootError::CurrentDir)?;
    Utf8PathBuf::from_path_buf(dir).map_err(StateRootError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    impl Environment for HashMap<&str, &str> {
        fn get(&self, name: &str) -> Option<String> {
            HashMap::get(self, name).map(|v| (*v).to_owned()).filter(|v| !v.is_empty())
        }
    }

    #[track_caller]
    fn check(flag: Option<&str>, vars: &[(&'static str, &'static str)], path: &str, source: Source) {
        let vars: HashMap<&str, &str> = vars.iter().copied().collect();
        let found = state_root(flag.map(Utf8Path::new), &vars).unwrap();
        assert_eq!((found.value.as_str(), found.source), (path, source));
    }

    #[test]
    fn the_state_root_is_taken_from_flag_then_environment_then_platform() {
        let ours = ("CONVEYOR_STATE_ROOT", "/ours");
        let theirs = ("WORKERCTL_STATE_ROOT", "/theirs");
        check(Some("/flag"), &[ours, theirs], "/flag", Source::Flag);
        check(None, &[ours, theirs], "/ours", Source::Environment);
        check(None, &[("CONVEYOR_STATE_ROOT", ""), theirs], "/theirs", Source::Environment);
        if !cfg!(target_os = "macos") {
            check(None, &[("XDG_STATE_HOME", "/xdg"), ("HOME", "/h")], "/xdg/conveyor", Source::Default);
            check(None, &[("HOME", "/h")], "/h/.local/state/conveyor", Source::Default);
        }
    }

    #[test]
    fn without_any_hint_the_error_names_the_way_out() {
        let none: HashMap<&str, &str> = HashMap::new();
        assert!(state_root(None, &none).unwrap_err().to_string().contains("CONVEYOR_STATE_ROOT"));
    }

    #[test]
    fn a_database_path_selects_its_daemon() {
        let own = StateFiles::for_database("/a/conveyor.db".into());
        assert_eq!(own, StateFiles::in_root("/a".into()));
        let other = StateFiles::for_database("/a/other.db".into());
        assert_eq!((other.root.as_str(), other.database.as_str()), ("/a/other.db.d", "/a/other.db"));
    }

    #[test]
    fn paths_become_absolute_and_clean() {
        assert_eq!(absolute(Utf8Path::new("/a/./b/../c")).unwrap(), "/a/c");
    }
}
