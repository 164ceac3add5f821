//! The daemon as a service of the user's own service manager: which files that takes, and which commands load and
//! unload them.
//!
//! Both managers are written for both systems, so that both are tested everywhere; only [`Manager::of_this_system`]
//! chooses. What must not live here: doing any of it, which is the verb's.

mod launchd;
mod systemd;

use camino::Utf8PathBuf;
use conveyor_proto::settings::StateFiles;
use serde::Serialize;

/// Stands near the top of each file that `daemon install` writes. A file without this mark is left alone.
const MARK: &str = "Written by `conveyorctl daemon install`";

/// Variables of the installing shell that the daemon needs and a service manager does not have. They tell where tmux
/// and codex are, which tmux server and which Codex home are meant, and that the terminal is UTF-8.
const VARIABLES: [&str; 6] = ["PATH", "CODEX_HOME", "TMUX_TMPDIR", "LANG", "LC_ALL", "LC_CTYPE"];

/// A service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manager {
    /// systemd's user manager.
    Systemd,
    /// launchd, in the login session of the user.
    Launchd {
        /// The user's id, which names the session.
        uid: u32,
    },
}

impl Manager {
    /// The service manager of the system that this program runs on.
    pub(crate) fn of_this_system() -> Self {
        if cfg!(target_os = "macos") {
            Self::Launchd { uid: rustix::process::getuid().as_raw() }
        } else {
            Self::Systemd
        }
    }
}

/// What a service is made of.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The daemon's program.
    pub(crate) program: Utf8PathBuf,
    /// The state root and database of the daemon.
    pub(crate) files: StateFiles,
    /// Whether the caller named the database.
    pub(crate) database_named: bool,
    /// Environment variables that the daemon gets.
    pub(crate) variables: Vec<(&'static str, String)>,
}

/// The variables that a service gets: those of the list that are set.
pub(crate) fn variables(get: impl Fn(&str) -> Option<String>) -> Vec<(&'static str, String)> {
    VARIABLES.into_iter().filter_map(|name| Some((name, get(name)?))).collect()
}

/// Where a service's files lie.
#[derive(Debug)]
pub(crate) struct Folders {
    /// The folder of `HOME`.
    pub(crate) home: Utf8PathBuf,
    /// The folder of `XDG_CONFIG_HOME`, else its default.
    pub(crate) config: Utf8PathBuf,
}

/// A file of the service.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct UnitFile {
    pub(crate) path: Utf8PathBuf,
    pub(crate) text: String,
}

/// A program with its arguments.
pub(crate) type CommandLine = Vec<String>;

/// A command of the service manager, and what counts as its success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) command: CommandLine,
    pub(crate) expect: Expect,
}

/// Which end of a command is the wanted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Exit code 0.
    Success,
    /// Exit code 0, or one of these: what the command is for holds already.
    SuccessOr(&'static [i32]),
    /// Exit code 0. With one of these codes it is tried again for a while: what went before is not over.
    SuccessAfter(&'static [i32]),
    /// Any other code than 0, which is waited for.
    Failure,
}

impl Step {
    pub(crate) const fn new(command: CommandLine, expect: Expect) -> Self {
        Self { command, expect }
    }
}

/// Why no service can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ControlCharacter {
    pub(crate) name: &'static str,
}

impl Manager {
    /// The name of the service manager.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Launchd { .. } => "launchd",
        }
    }

    /// Where the files of the service lie.
    pub(crate) fn paths(self, folders: &Folders) -> Vec<Utf8PathBuf> {
        match self {
            Self::Systemd => systemd::paths(folders),
            Self::Launchd { .. } => vec![launchd::path(folders)],
        }
    }

    /// The files of the service, in the order of [`Manager::paths`].
    ///
    /// # Errors
    /// When a value has a control character: no form of it is read alike by all versions of the service manager.
    pub(crate) fn files(
        self,
        settings: &Settings,
        folders: &Folders,
    ) -> Result<Vec<UnitFile>, ControlCharacter> {
        let values = [
            ("the program", &settings.program),
            ("the state root", &settings.files.root),
            ("the database", &settings.files.database),
        ]
        .map(|(name, path)| (name, path.as_str()));
        let variables = settings.variables.iter().map(|(name, value)| (*name, value.as_str()));
        if let Some((name, _)) =
            values.into_iter().chain(variables).find(|(_, value)| value.contains(char::is_control))
        {
            return Err(ControlCharacter { name });
        }
        let texts = match self {
            Self::Systemd => systemd::texts(settings),
            Self::Launchd { .. } => vec![launchd::text(settings)],
        };
        let paths = self.paths(folders).into_iter();
        Ok(paths.zip(texts).map(|(path, text)| UnitFile { path, text }).collect())
    }

    /// A command that succeeds when the manager can be reached.
    pub(crate) fn probe(self) -> CommandLine {
        match self {
            Self::Systemd => systemd::command(&["show", "--property=Version"]),
            Self::Launchd { uid } => launchd::command(&["print", &launchd::session(uid)]),
        }
    }

    /// What a person can do when the manager cannot be reached.
    pub(crate) const fn unreachable_hint(self) -> &'static str {
        match self {
            Self::Systemd => {
                "log in as this user, or let its services run without a login: `loginctl enable-linger`"
            }
            Self::Launchd { .. } => "log in at the Mac's own screen: agents belong to that session",
        }
    }

    /// A command that succeeds when the service is loaded.
    pub(crate) fn is_loaded(self) -> CommandLine {
        match self {
            Self::Systemd => systemd::command(&["--quiet", "is-active", systemd::SOCKET]),
            Self::Launchd { uid } => launchd::command(&["print", &launchd::service(uid)]),
        }
    }

    /// Commands that end the service and make the manager forget its files. They fail when the service is not loaded.
    pub(crate) fn unload(self) -> Vec<Step> {
        match self {
            Self::Systemd => vec![Step::new(
                systemd::command(&["stop", systemd::SOCKET, systemd::SERVICE]),
                Expect::Success,
            )],
            Self::Launchd { uid } => vec![
                Step::new(
                    launchd::command(&["bootout", &launchd::service(uid)]),
                    Expect::SuccessOr(launchd::NOT_LOADED),
                ),
                // `bootout` returns before the job has ended, and until then nothing of its name can be loaded.
                Step::new(self.is_loaded(), Expect::Failure),
            ],
        }
    }

    /// Commands that load the files as they are and start the service, now and at each login.
    pub(crate) fn load(self, folders: &Folders) -> Vec<Step> {
        match self {
            Self::Systemd => vec![
                Step::new(systemd::command(&["daemon-reload"]), Expect::Success),
                Step::new(
                    systemd::command(&["enable", "--now", systemd::SOCKET, systemd::SERVICE]),
                    Expect::Success,
                ),
            ],
            Self::Launchd { uid } => vec![
                Step::new(launchd::command(&["enable", &launchd::service(uid)]), Expect::Success),
                Step::new(
                    launchd::command(&["bootstrap", &launchd::session(uid), launchd::path(folders).as_str()]),
                    Expect::SuccessAfter(launchd::NOT_YET),
                ),
            ],
        }
    }

    /// Commands to run before the files are removed: the service starts at no further login.
    pub(crate) fn disable(self) -> Vec<Step> {
        match self {
            Self::Systemd => vec![Step::new(
                systemd::command(&["disable", systemd::SOCKET, systemd::SERVICE]),
                Expect::Success,
            )],
            // launchd loads what lies in its folder, so that a removed file is not loaded any more.
            Self::Launchd { .. } => Vec::new(),
        }
    }

    /// Commands to run after the files were removed.
    pub(crate) fn forget(self) -> Vec<Step> {
        match self {
            Self::Systemd => vec![Step::new(systemd::command(&["daemon-reload"]), Expect::Success)],
            Self::Launchd { .. } => Vec::new(),
        }
    }

    /// How a person ends the service until the next login.
    pub(crate) fn stop_hint(self) -> String {
        let ending = self.unload().into_iter().filter(|step| step.expect != Expect::Failure);
        ending.map(|step| step.command.join(" ")).collect::<Vec<_>>().join("; ")
    }
}

/// Whether `daemon install` wrote this text.
pub(crate) fn is_ours(text: &str) -> bool {
    text.lines().take(5).any(|line| line.contains(MARK))
}

/// The arguments that every manager gives the daemon.
fn arguments(settings: &Settings, manager: &str, unit: &str) -> Vec<String> {
    let mut arguments = vec![settings.program.to_string(), "--state-root".to_owned()];
    arguments.push(settings.files.root.to_string());
    if settings.database_named {
        arguments.extend(["--database".to_owned(), settings.files.database.to_string()]);
    }
    arguments.extend(["--started-by", manager, "--unit", unit].map(str::to_owned));
    arguments
}

#[cfg(test)]
mod tests;
