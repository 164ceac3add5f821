//! The caller's `codex` program: its path, its version, and whether its TUIs share a daemon.

use crate::{
    error::{Error, Result},
    process::{self, Invocation, Output},
    refusal::Kind,
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::types::common::Caller;
use serde::Deserialize;
use std::{ffi::OsStr, time::Duration};

/// A version of Codex, such as `0.169.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// The version in what `codex --version` prints, such as `codex-cli 0.169.0`.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        text.split_whitespace().find_map(|word| {
            // A pre-release such as `0.170.0-alpha.1` counts as the release that it leads to.
            let mut parts = word.split(['-', '+']).next()?.split('.').map(str::parse);
            match (parts.next(), parts.next(), parts.next(), parts.next()) {
                (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => Some(Self(major, minor, patch)),
                _ => None,
            }
        })
    }
}

/// Whether a program of this file name is Codex: `codex`, or a name of the release archives and of Homebrew, such as
/// `codex-aarch64-apple-darwin`.
#[must_use]
pub fn is_codex(file_name: &str) -> bool {
    file_name.strip_prefix("codex").is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The versions of Codex that the tests run with, one in a line, newest first.
const TRIED: &str = include_str!("../../../tests/lab/codex-versions");

/// The newest version of Codex that this program was tried with.
#[must_use]
pub fn newest_tried() -> &'static str {
    TRIED.lines().next().unwrap_or_default().trim()
}

/// Which process of Codex owns the threads of a TUI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessModel {
    /// The TUI itself.
    InProcess,
    /// A running daemon that all TUIs of the Codex home share.
    SharedDaemon,
    /// A shared daemon that does not run yet, or that is of another version. The next TUI starts or replaces
    /// it.
    DaemonToStart,
}

/// The `codex` program that a caller would run.
#[derive(Debug, Clone)]
pub struct CodexProgram {
    /// Absolute path of the program.
    pub path: Utf8PathBuf,
    /// `None` if the program does not tell its version.
    pub version: Option<Version>,
    caller: Caller,
    time_limit: Duration,
}

impl CodexProgram {
    /// Finds the program on the caller's `PATH` and asks for its version.
    ///
    /// # Errors
    /// `codex_missing`.
    pub async fn find(caller: &Caller, time_limit: Duration) -> Result<Self> {
        let path = process::find("codex", caller).ok_or_else(|| {
            Error::unavailable(Kind::CodexMissing, "there is no program codex on the caller's PATH")
                .hint("install Codex, or add its folder to PATH")
        })?;
        let mut found = Self { path, version: None, caller: caller.clone(), time_limit };
        found.version = found
            .run(&["--version"])
            .await
            .and_then(|output| Version::find(&String::from_utf8_lossy(&output.stdout)));
        Ok(found)
    }

    /// A program whose path and version are given, for tests.
    #[cfg(test)]
    pub(super) fn known(path: &str, version: Option<Version>) -> Self {
        Self {
            path: path.into(),
            version,
            caller: Caller::default(),
            time_limit: process::DEFAULT_TIME_LIMIT,
        }
    }

    /// The process model of a TUI that is started without any option about it.
    pub async fn process_model(&self) -> ProcessModel {
        let on = self.run(&["features", "list"]).await.is_some_and(|output| {
            String::from_utf8_lossy(&output.stdout).lines().any(|line| {
                let mut words = line.split_whitespace();
                words.next() == Some("daemon_auto_start") && words.next_back() == Some("true")
            })
        });
        if !on {
            return ProcessModel::InProcess;
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Daemon {
            status: String,
            cli_version: String,
            app_server_version: String,
        }
        let daemon = self.run(&["app-server", "daemon", "version"]).await;
        let daemon = daemon.and_then(|output| serde_json::from_slice::<Daemon>(&output.stdout).ok());
        match daemon {
            Some(daemon) if daemon.status == "running" && daemon.cli_version == daemon.app_server_version => {
                ProcessModel::SharedDaemon
            }
            _ => ProcessModel::DaemonToStart,
        }
    }

    /// Runs the program to its end in the caller's environment. `None` if that fails.
    async fn run(&self, args: &[&str]) -> Option<Output> {
        let mut env = vec![("TMUX", None), ("TMUX_PANE", None)];
        let variables = [
            ("PATH", &self.caller.path),
            ("HOME", &self.caller.home),
            ("CODEX_HOME", &self.caller.codex_home),
        ];
        for (name, value) in variables {
            let value = value.as_deref().filter(|value| !value.is_empty());
            // A variable that only the daemon has (`CODEX_HOME`, say) must not reach the caller's program.
            env.push((name, value.map(OsStr::new)));
        }
        let program: &Utf8Path = &self.path;
        let invocation = Invocation {
            env,
            time_limit: self.time_limit,
            ..Invocation::new(program.as_std_path(), args.iter().copied())
        };
        process::run(invocation).await.ok().filter(|output| output.status.success())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<Version>) {
        assert_eq!(Version::find(text), expect, "{text}");
    }

    #[test]
    fn a_version_is_three_numbers() {
        check("codex-cli 0.169.0\n", Some(Version(0, 169, 0)));
        check("codex-cli 0.170.0-alpha.3", Some(Version(0, 170, 0)));
        check("codex 1.2", None);
        check("", None);
        assert!(Version(0, 169, 0) > Version(0, 130, 7));
    }

    #[tokio::test]
    async fn without_a_program_nothing_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = Some(dir.path().to_str().unwrap().to_owned());
        let caller = Caller { path, ..Caller::default() };
        let error = CodexProgram::find(&caller, process::DEFAULT_TIME_LIMIT).await.unwrap_err();
        assert_eq!(error.kind(), "codex_missing");
    }
}
