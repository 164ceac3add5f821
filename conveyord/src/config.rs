//! The settings of the daemon: a flag comes first, then the environment, then `config.toml`, then the
//! default.

mod settings;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Parser;
use conveyor_proto::{
    opened::{Access, Opened},
    settings::{Environment, Source, Sourced, StateFiles, StateRootError, absolute, state_root},
    types::daemon::{ConfigResult, Origin, StartedBy},
};
use serde::Deserialize;
use settings::Setting;
use std::{
    io::{self, Read},
    time::Duration,
};

/// The id of the internal Dispatch, if none is configured.
pub const DEFAULT_DISPATCHER: &str = settings::DISPATCHER_ID.default;

/// Conveyor's daemon
///
/// Usually started by conveyorctl. It serves one state root and refuses a second daemon for it.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "conveyord", version)]
pub struct Flags {
    /// Folder with the database, the socket and the logs
    #[arg(long, value_name = "DIR")]
    pub state_root: Option<Utf8PathBuf>,
    /// Database file, when it is not conveyor.db in the state root
    #[arg(long, value_name = "FILE")]
    pub database: Option<Utf8PathBuf>,
    /// Leave Dispatch passes to explicit calls
    #[arg(long)]
    pub no_dispatch: bool,
    /// Leave the reading of rollouts to explicit calls
    #[arg(long)]
    pub no_watch: bool,
    /// Id of the internal Dispatch
    #[arg(long, value_name = "ID")]
    pub dispatcher_id: Option<String>,
    /// Filter of the log, for example info or conveyord=debug
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// Who starts the daemon: foreground, cli, systemd or launchd
    #[arg(long, value_name = "WHO", default_value = "foreground", hide_default_value = true, value_parser = started_by)]
    pub started_by: StartedBy,
    /// Name of the systemd unit or launchd agent that starts the daemon
    #[arg(long, value_name = "NAME")]
    pub unit: Option<String>,
    /// Only check the settings: say what is wrong with them, and end
    #[arg(long)]
    pub check_config: bool,
}

fn started_by(word: &str) -> Result<StartedBy, String> {
    [StartedBy::Foreground, StartedBy::Cli, StartedBy::Systemd, StartedBy::Launchd]
        .into_iter()
        .find(|who| who.as_str() == word)
        .ok_or_else(|| "it must be foreground, cli, systemd or launchd".to_owned())
}

/// The content of `config.toml`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    dispatch: Option<bool>,
    watch: Option<bool>,
    dispatcher_id: Option<String>,
    log: Option<String>,
    receipt_timeout_ms: Option<u64>,
    completion_settle_ms: Option<u64>,
    command_timeout_ms: Option<u64>,
    codex_sandbox: Option<String>,
    codex_approval: Option<String>,
}

/// Why the settings could not be determined.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The state root cannot be determined.
    #[error(transparent)]
    StateRoot(#[from] StateRootError),
    #[error("{path} could not be read")]
    Unreadable {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not valid: {message}")]
    Invalid { path: Utf8PathBuf, message: String },
    #[error("the environment variable {name} is \"{value}\": {expected}")]
    Variable {
        name: &'static str,
        value: String,
        /// The values that are allowed.
        expected: &'static str,
    },
}

/// The settings in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// The files of this daemon.
    pub files: StateFiles,
    /// How the daemon was started. Whether it got its socket from a service manager is known only when it
    /// asks for it.
    pub origin: Origin,
    /// Where the value of the state root came from.
    pub state_root_source: Source,
    /// Whether Dispatch makes passes by itself.
    pub dispatch: Sourced<bool>,
    /// Whether rollouts are read as they grow.
    pub watch: Sourced<bool>,
    /// Id of the internal Dispatch.
    pub dispatcher_id: Sourced<String>,
    /// Filter of the log.
    pub log: Sourced<String>,
    /// How long a send waits for its receipt, in milliseconds.
    pub receipt_timeout_ms: Sourced<u64>,
    /// How long the completion of a session with a pane waits for a turn that follows, in milliseconds.
    pub completion_settle_ms: Sourced<u64>,
    /// The time limit of each run of tmux or another program, in milliseconds.
    pub command_timeout_ms: Sourced<u64>,
    /// The `--sandbox` of a Codex whose start names none.
    pub codex_sandbox: Sourced<String>,
    /// The `--ask-for-approval` of a Codex whose start names none.
    pub codex_approval: Sourced<String>,
}

impl Config {
    ///
    /// # Errors
    /// When the state root is unknown, or the file or a variable is not valid.
    pub fn load(flags: &Flags, environment: &dyn Environment) -> Result<Self, ConfigError> {
        let root = match (&flags.state_root, &flags.database) {
            // If only a database is named, it determines the state root: see `StateFiles::for_database`.
            (None, Some(database)) => {
                let files = StateFiles::for_database(absolute(database)?);
                Sourced { value: files.root, source: Source::Flag }
            }
            (root, _) => state_root(root.as_deref(), environment)?,
        };
        let mut files = StateFiles::in_root(root.value);
        if let Some(database) = &flags.database {
            files.database = absolute(database)?;
        }
        let file = read(&files.root, &files.config())?;
        let switch = |flag: bool, setting, file| switch(flag, environment, setting, file);
        let number = |setting, file| number(environment, setting, file);
        let text = |flag: &Option<String>, setting: &Setting<&str>, file| {
            let flag = flag.clone().filter(|flag| !flag.is_empty());
            first(flag, environment.get(setting.variable), file, setting.default.to_owned())
        };
        Ok(Self {
            origin: Origin {
                started_by: flags.started_by,
                unit: flags.unit.clone().filter(|unit| !unit.is_empty()),
                socket_activated: false,
            },
            state_root_source: root.source,
            dispatch: switch(flags.no_dispatch, &settings::DISPATCH, file.dispatch)?,
            watch: switch(flags.no_watch, &settings::WATCH, file.watch)?,
            dispatcher_id: text(&flags.dispatcher_id, &settings::DISPATCHER_ID, file.dispatcher_id),
            log: text(&flags.log, &settings::LOG, file.log),
            receipt_timeout_ms: number(&settings::RECEIPT_TIMEOUT_MS, file.receipt_timeout_ms)?,
            completion_settle_ms: number(&settings::COMPLETION_SETTLE_MS, file.completion_settle_ms)?,
            command_timeout_ms: number(&settings::COMMAND_TIMEOUT_MS, file.command_timeout_ms)?,
            codex_sandbox: text(&None, &settings::CODEX_SANDBOX, file.codex_sandbox),
            codex_approval: text(&None, &settings::CODEX_APPROVAL, file.codex_approval),
            files,
        })
    }

    /// The time limit of each run of tmux or another program.
    #[must_use]
    pub const fn command_timeout(&self) -> Duration {
        Duration::from_millis(self.command_timeout_ms.value)
    }

    /// How long a send waits for its receipt.
    #[must_use]
    pub const fn receipt_timeout(&self) -> Duration {
        Duration::from_millis(self.receipt_timeout_ms.value)
    }

    /// The settings in the form of `config.show`.
    #[must_use]
    pub fn shown(&self) -> ConfigResult {
        ConfigResult {
            files: self.files.clone(),
            state_root: Sourced { value: self.files.root.to_string(), source: self.state_root_source },
            dispatch: self.dispatch.clone(),
            watch: self.watch.clone(),
            dispatcher_id: self.dispatcher_id.clone(),
            log: self.log.clone(),
            receipt_timeout_ms: self.receipt_timeout_ms.clone(),
            completion_settle_ms: self.completion_settle_ms.clone(),
            command_timeout_ms: self.command_timeout_ms.clone(),
            codex_sandbox: self.codex_sandbox.clone(),
            codex_approval: self.codex_approval.clone(),
        }
    }
}

fn read(root: &Utf8Path, path: &Utf8Path) -> Result<File, ConfigError> {
    let read = || {
        let mut text = String::new();
        Opened::open(root)?.at(path, Access::Read)?.read_to_string(&mut text)?;
        Ok(text)
    };
    let text = match read() {
        Ok(text) => text,
        Err(error) if io::Error::kind(&error) == io::ErrorKind::NotFound => return Ok(File::default()),
        Err(source) => return Err(ConfigError::Unreadable { path: path.to_owned(), source }),
    };
    toml::from_str(&text).map_err(|error| {
        let line = error
            .span()
            .and_then(|span| text.get(..span.start))
            .map(|before| before.matches('\n').count() + 1);
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        ConfigError::Invalid { path: path.to_owned(), message: format!("{place}{}", error.message()) }
    })
}

fn first<T>(flag: Option<T>, environment: Option<T>, file: Option<T>, default: T) -> Sourced<T> {
    let (value, source) = match (flag, environment, file) {
        (Some(value), _, _) => (value, Source::Flag),
        (_, Some(value), _) => (value, Source::Environment),
        (_, _, Some(value)) => (value, Source::File),
        _ => (default, Source::Default),
    };
    Sourced { value, source }
}

fn switch(
    off_flag: bool,
    environment: &dyn Environment,
    setting: &Setting<bool>,
    file: Option<bool>,
) -> Result<Sourced<bool>, ConfigError> {
    let name = setting.variable;
    let variable = match environment.get(name).as_deref().map(str::to_ascii_lowercase).as_deref() {
        None => None,
        Some("on" | "true" | "1" | "yes") => Some(true),
        Some("off" | "false" | "0" | "no") => Some(false),
        Some(value) => {
            return Err(ConfigError::Variable { name, value: value.to_owned(), expected: "use on or off" });
        }
    };
    Ok(first(off_flag.then_some(false), variable, file, setting.default))
}

fn number(
    environment: &dyn Environment,
    setting: &Setting<u64>,
    file: Option<u64>,
) -> Result<Sourced<u64>, ConfigError> {
    let name = setting.variable;
    let variable = environment
        .get(name)
        .map(|value| {
            value.parse().map_err(|_| ConfigError::Variable {
                name,
                value,
                expected: "use whole milliseconds",
            })
        })
        .transpose()?;
    Ok(first(None, variable, file, setting.default))
}

#[cfg(test)]
mod tests;
