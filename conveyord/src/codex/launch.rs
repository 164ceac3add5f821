//! What Codex is started with: its arguments, its environment and its first prompt.
//!
//! The user's configuration files are never edited. What we want of Codex is passed as options of this one
//! start, and only as options that leave the user's choice between a TUI of one process and the shared daemon
//! as it is.

use super::program::{CodexProgram, ProcessModel, Version};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::{
    opened::{Access, Opened},
    types::{
        common::Caller,
        start::{CodexOptions, CodexProfile, FULL_ACCESS, NO_APPROVAL},
    },
};
use std::{
    io::{self, Write},
    time::Duration,
};

/// Marks a pane as started by this daemon: its value is the id of the start.
pub const START_VARIABLE: &str = "CONVEYOR_SESSION_START";

/// How long the file of a first prompt is kept. A thread that is resumed has read it long before.
pub(crate) const PROMPT_KEPT: Duration = Duration::from_hours(30 * 24);

/// Sets and removes variables, then becomes the program, so that no shell of the user is involved.
const ENV: &str = "/usr/bin/env";

/// The first version of Codex that can show the thread's id in the terminal title.
const TITLES_NAME_THREADS: Version = Version(0, 169, 0);
/// The first version of Codex with a shared app-server daemon.
const SHARED_DAEMON: Version = TITLES_NAME_THREADS;
/// Puts the thread's id into the terminal title.
const TITLE: &str = r#"tui.terminal_title=["activity","run-state","thread-id"]"#;

/// The sandbox and the approvals of a start that names none, from the daemon's settings.
#[derive(Debug, Clone, Copy)]
pub struct Defaults<'a> {
    /// Codex's `--sandbox`.
    pub sandbox: &'a str,
    /// Codex's `--ask-for-approval`.
    pub approval: &'a str,
}

/// How Codex is asked to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `--sandbox`. If absent, Codex's own default applies.
    pub sandbox: Option<String>,
    /// `--ask-for-approval`. If absent, Codex's own default applies.
    pub approval: Option<String>,
    /// `--model`. If absent, Codex's own default applies.
    pub model: Option<String>,
    /// Run without Codex's shared daemon, even if the user has it enabled.
    pub no_daemon: bool,
    /// Further arguments, exactly as the user gave them.
    pub extra: Vec<String>,
}

impl Options {
    /// What a caller asked for. A value that the caller did not give comes from the profile, or else from the
    /// defaults.
    #[must_use]
    pub fn of(asked: &CodexOptions, defaults: Defaults<'_>) -> Self {
        let fixed = asked.codex_profile == Some(CodexProfile::Yolo);
        let choose = |asked: &Option<String>, profile: &str, setting: &str| {
            asked.clone().or_else(|| Some(if fixed { profile } else { setting }.to_owned()))
        };
        Self {
            sandbox: choose(&asked.sandbox, FULL_ACCESS, defaults.sandbox),
            approval: choose(&asked.ask_for_approval, NO_APPROVAL, defaults.approval),
            model: asked.model.clone(),
            no_daemon: asked.no_daemon,
            extra: asked.args.clone(),
        }
    }

    /// Whether this Codex runs commands without a sandbox and without asking.
    #[must_use]
    pub fn is_unrestrained(&self) -> bool {
        self.sandbox.as_deref() == Some(FULL_ACCESS) && self.approval.as_deref() == Some(NO_APPROVAL)
    }

    /// The sandbox that stands between this Codex's commands and our socket, if there is one.
    #[must_use]
    pub fn enclosing_sandbox(&self) -> Option<&str> {
        self.sandbox.as_deref().filter(|sandbox| !sandbox.is_empty() && *sandbox != FULL_ACCESS)
    }

    /// The arguments of a session that the daemon registers as it starts it.
    #[must_use]
    pub fn arguments(
        &self,
        settings: Settings,
        environment: &Environment,
        prompt: Option<&PromptFile>,
    ) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut option = |name: &str, value: &Option<String>| {
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                arguments.extend([name.to_owned(), value.to_owned()]);
            }
        };
        option("--sandbox", &self.sandbox);
        option("--ask-for-approval", &self.approval);
        option("--model", &self.model);
        if self.no_daemon {
            arguments.push("--no-daemon".to_owned());
        }
        arguments.extend(settings.arguments(environment));
        arguments.extend(self.extra.iter().cloned());
        arguments.extend(prompt.map(PromptFile::argument));
        arguments
    }

    /// The arguments of `create`, `start` and `start-test`: the folder as an option, and a screen with
    /// scrollback.
    #[must_use]
    pub fn legacy_arguments(
        &self,
        cwd: &Utf8Path,
        settings: Settings,
        environment: &Environment,
        prompt: Option<&PromptFile>,
    ) -> Vec<String> {
        let mut arguments = vec!["--cd".to_owned(), cwd.to_string(), "--no-alt-screen".to_owned()];
        arguments.extend(settings.arguments(environment));
        arguments.extend(self.extra.iter().cloned());
        arguments.extend(prompt.map(PromptFile::argument));
        arguments
    }

    /// Drops the options that a version does not know: a Codex without a shared daemon refuses `--no-daemon`.
    #[must_use]
    pub fn for_version(mut self, version: Option<Version>) -> Self {
        self.no_daemon &= version.is_none_or(|version| version >= SHARED_DAEMON);
        self
    }

    /// Which configuration this start sets, and by which options, so that Codex keeps the process model that
    /// the user has. If the user's Codex wants a shared daemon and none runs, `start_daemon` starts it first,
    /// as the TUI would.
    pub async fn settings(&self, program: &CodexProgram, start_daemon: impl Future<Output = ()>) -> Settings {
        let names_threads = program.version.is_some_and(|version| version >= TITLES_NAME_THREADS);
        // A title that the user configured is not replaced.
        let title = names_threads && !self.extra.iter().any(|argument| argument.contains("terminal_title"));
        let may_share = program.version.is_none_or(|version| version >= SHARED_DAEMON);
        if !may_share {
            return Settings::BeforeDaemons;
        }
        if self.no_daemon || self.extra.iter().any(|argument| ends_daemon(argument)) {
            return Settings::Alone { title };
        }
        match program.process_model().await {
            ProcessModel::InProcess => Settings::Alone { title },
            ProcessModel::SharedDaemon => Settings::BesideDaemon { title },
            ProcessModel::DaemonToStart => {
                start_daemon.await;
                match program.process_model().await {
                    ProcessModel::SharedDaemon => Settings::BesideDaemon { title },
                    ProcessModel::InProcess | ProcessModel::DaemonToStart => Settings::None,
                }
            }
        }
    }
}

/// Whether an argument of the user decides the process model already: it makes the TUI run in its own
/// process, or names the server that the TUI uses. Then a `-c` of ours changes nothing about that.
fn ends_daemon(argument: &str) -> bool {
    let long = ["--config", "--profile", "--enable", "--disable", "--remote"];
    let whole = ["--no-daemon", "--dangerously-bypass-hook-trust", "-c", "-p"];
    let name = argument.split('=').next().unwrap_or(argument);
    whole.contains(&argument) || long.contains(&name)
}

/// Which configuration of Codex one start sets, and how. If it sets any, it also passes the variables that
/// commands need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settings {
    /// Sets nothing, because any option would change the process model that the user has.
    None,
    /// For a Codex before 0.169. Scripts rely on its exact arguments, so nothing is set unless the caller's
    /// `PATH` does not lead to our programs.
    BeforeDaemons,
    /// Sets `-c` options: the TUI runs in its own process anyway.
    Alone {
        /// Whether the terminal title shows the thread's id, by which a pane is matched with its thread.
        title: bool,
    },
    /// Sets `-c` options and names the shared daemon by `--remote`. Without `--remote`, Codex 0.169 would
    /// leave the daemon because of the `-c`.
    BesideDaemon { title: bool },
}

/// Variables that the commands of a session need. Codex runs commands in a login shell, which may set its own
/// `PATH`. On the shared daemon they also inherit the environment of whoever started the daemon. So these
/// variables are passed to Codex by `shell_environment_policy`.
const NEEDED_BY_COMMANDS: [&str; 2] = ["CONVEYOR_STATE_ROOT", "PATH"];

impl Settings {
    fn arguments(self, environment: &Environment) -> Vec<String> {
        let (beside, title): (&[&str], _) = match self {
            Self::None => return Vec::new(),
            Self::BeforeDaemons if environment.finds_programs => return Vec::new(),
            Self::BeforeDaemons => (&[], false),
            Self::Alone { title } => (&[], title),
            Self::BesideDaemon { title } => (&["--remote", "unix://"], title),
        };
        let mut arguments: Vec<String> = beside.iter().map(|&argument| argument.to_owned()).collect();
        let mut set = |setting: String| arguments.extend(["-c".to_owned(), setting]);
        if title {
            set(TITLE.to_owned());
        }
        let needed = environment.set.iter().filter(|(name, _)| NEEDED_BY_COMMANDS.contains(&name.as_str()));
        for (name, value) in needed {
            let value = toml::Value::from(value.as_str());
            set(format!("shell_environment_policy.set.{name}={value}"));
        }
        arguments
    }
}

/// The environment of a Codex that is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Variables of the tmux session.
    pub set: Vec<(String, String)>,
    /// Variables that the program must not inherit from tmux or from the daemon.
    pub unset: Vec<String>,
    /// Whether the caller's own `PATH` leads to our programs. If so, the user's login shell most likely finds
    /// them too.
    pub finds_programs: bool,
}

impl Environment {
    /// The environment of a caller: its `PATH` with the folder of our programs in front, its Codex home, this
    /// daemon's state root, and the id of the start if there is one. `inherited` names the variables that the
    /// pane would get by itself. Those that npm or pnpm sets for its scripts are removed.
    #[must_use]
    pub fn of(
        caller: &Caller,
        state_root: &Utf8Path,
        start: Option<&str>,
        inherited: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut set = vec![("CONVEYOR_STATE_ROOT".to_owned(), state_root.to_string())];
        let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let own = own_folder().map(String::from);
        let finds_programs = given(&caller.path)
            .is_some_and(|path| path.split(':').any(|folder| own.as_deref() == Some(folder)));
        let folders = own.into_iter().chain(given(&caller.path));
        set.push(("PATH".to_owned(), folders.collect::<Vec<_>>().join(":")));
        for (name, value) in [("HOME", &caller.home), ("CODEX_HOME", &caller.codex_home)] {
            set.extend(given(value).map(|value| (name.to_owned(), value)));
        }
        set.extend(start.map(|id| (START_VARIABLE.to_owned(), id.to_owned())));
        let has_home = given(&caller.codex_home).is_some();
        let unwanted = |name: &String| is_of_package_manager(name) || (name == "CODEX_HOME" && !has_home);
        let mut unset: Vec<String> = inherited.into_iter().filter(unwanted).collect();
        unset.sort_unstable();
        unset.dedup();
        Self { set, unset, finds_programs }
    }

    /// The command line for tmux: `env` with the variables to remove, then the program and its arguments.
    #[must_use]
    pub fn command(&self, program: &Utf8Path, arguments: Vec<String>) -> Vec<String> {
        let mut argv = vec![ENV.to_owned()];
        for name in &self.unset {
            argv.extend(["-u".to_owned(), name.clone()]);
        }
        // tmux gives a new pane the `PATH` of the client that made it, even if the session's environment has
        // another one (`spawn_pane` in its spawn.c). So `env` sets it.
        argv.extend(
            self.set.iter().filter(|(name, _)| name == "PATH").map(|(name, value)| format!("{name}={value}")),
        );
        argv.push(program.to_string());
        argv.extend(arguments);
        argv
    }
}

/// Variables that npm and pnpm set for the scripts that they run.
fn is_of_package_manager(name: &str) -> bool {
    name.starts_with("npm_") || name.starts_with("NPM_") || name == "PNPM_SCRIPT_SRC_DIR"
}

/// The folder of this program. `conveyorctl` is installed in the same folder.
fn own_folder() -> Option<Utf8PathBuf> {
    let program = Utf8PathBuf::from_path_buf(std::env::current_exe().ok()?).ok()?;
    program.parent().map(Utf8Path::to_owned)
}

/// A first prompt, in a file that only this user can read.
///
/// Codex is told to read it. All users of the machine can see the arguments of a process, and those of a command that
/// started the tmux server for as long as that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptFile(Utf8PathBuf);

impl PromptFile {
    /// Writes a prompt below the state root, under this name, and removes those that are too old.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(prompt: &str, state_root: &Utf8Path, name: &str) -> io::Result<Self> {
        let folder = Opened::open(state_root)?.make_folder("artifacts")?.make_folder("start-prompts")?;
        remove_old(&folder);
        let (file, new) = (format!("{name}.md"), format!(".{name}.md.new"));
        folder.file(&new, Access::Replace)?.write_all(prompt.as_bytes())?;
        folder.rename(&new, &file)?;
        Ok(Self(folder.path().join(file)))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.0
    }

    /// The first message that Codex is given. It has several words and begins with none of Codex's commands or options.
    #[must_use]
    pub fn argument(&self) -> String {
        format!("Read the file {} to its end, then do what it says: it is your first message.", self.0)
    }
}

/// Removes the prompts of old starts. One that cannot be removed is tried again at the next start.
fn remove_old(folder: &Opened) {
    for entry in folder.path().read_dir_utf8().into_iter().flatten().flatten() {
        let age = entry.metadata().ok().and_then(|file| file.modified().ok()?.elapsed().ok());
        if age.is_some_and(|age| age > PROMPT_KEPT) {
            let _ = folder.remove(entry.file_name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    /// The setting that passes the `PATH` of these tests to commands.
    const PATH: &str = r#"shell_environment_policy.set.PATH='/a "b'"#;

    /// How Codex is told of the prompt in `/p.md`.
    const GO: &str = "Read the file /p.md to its end, then do what it says: it is your first message.";

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[track_caller]
    fn check(options: Options, settings: Settings, prompt: Option<&PromptFile>, expect: &[&str]) {
        let environment = Environment {
            set: vec![("PATH".into(), "/a \"b".into()), ("HOME".into(), "/h".into())],
            unset: Vec::new(),
            finds_programs: false,
        };
        assert_eq!(options.arguments(settings, &environment, prompt), expect, "{options:?}");
    }

    #[test]
    fn arguments_are_those_of_the_contract_in_its_order() {
        let full = Options {
            sandbox: Some("read-only".into()),
            approval: Some("on-request".into()),
            ..Options::default()
        };
        check(
            full.clone(),
            Settings::None,
            Some(&PromptFile("/p.md".into())),
            &["--sandbox", "read-only", "--ask-for-approval", "on-request", GO],
        );
        let empty = Options { sandbox: Some(String::new()), ..full.clone() };
        check(empty, Settings::None, None, &["--ask-for-approval", "on-request"]);
        let more =
            Options { model: Some("m".into()), no_daemon: true, extra: strings(&["--search"]), ..full };
        check(
            more,
            Settings::Alone { title: true },
            Some(&PromptFile("/p.md".into())),
            &[
                "--sandbox",
                "read-only",
                "--ask-for-approval",
                "on-request",
                "--model",
                "m",
                "--no-daemon",
                "-c",
                TITLE,
                "-c",
                PATH,
                "--search",
                GO,
            ],
        );
    }

    #[test]
    fn an_older_codex_is_not_told_of_a_daemon_that_it_does_not_know() {
        let alone = Options { no_daemon: true, ..Options::default() };
        assert!(!alone.clone().for_version(Some(Version(0, 130, 0))).no_daemon);
        assert!(alone.clone().for_version(Some(Version(0, 169, 0))).no_daemon);
        assert!(alone.for_version(None).no_daemon);
    }

    #[test]
    fn commands_are_given_what_they_need() {
        let options = Options::default();
        let title = ["--remote", "unix://", "-c", TITLE, "-c"];
        let (path, go) = ([PATH, GO], PromptFile("/p.md".into()));
        let settings = Settings::BesideDaemon { title: true };
        check(options.clone(), settings, Some(&go), &[&title[..], &path].concat());
        check(options, Settings::Alone { title: false }, Some(&go), &[&["-c"][..], &path].concat());
    }

    #[test]
    fn an_older_codex_gets_the_arguments_that_scripts_know() {
        let options = Options::default();
        let before = Settings::BeforeDaemons;
        check(options.clone(), before, None, &["-c", PATH]);
        let set = vec![("PATH".to_owned(), "/a".to_owned())];
        let known = Environment { set, unset: Vec::new(), finds_programs: true };
        assert_eq!(options.arguments(before, &known, Some(&PromptFile("/p.md".into()))), [GO]);
    }

    #[test]
    fn the_older_verbs_name_the_folder_by_option() {
        let set = vec![("CONVEYOR_STATE_ROOT".to_owned(), "/s".to_owned())];
        let environment = Environment { set, unset: Vec::new(), finds_programs: true };
        let options = Options { extra: strings(&["--search"]), ..Options::default() };
        let arguments = options.legacy_arguments(
            Utf8Path::new("/a b"),
            Settings::None,
            &environment,
            Some(&PromptFile("/p.md".into())),
        );
        assert_eq!(arguments, ["--cd", "/a b", "--no-alt-screen", "--search", GO]);
        let beside = Settings::BesideDaemon { title: false };
        let arguments = options.legacy_arguments(Utf8Path::new("/"), beside, &environment, None);
        let root = "shell_environment_policy.set.CONVEYOR_STATE_ROOT=\"/s\"";
        assert_eq!(arguments[3..], ["--remote", "unix://", "-c", root, "--search"]);
    }

    #[track_caller]
    fn check_settings(version: Option<Version>, extra: &[&str], no_daemon: bool, expect: Settings) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = Options { extra: strings(extra), no_daemon, ..Options::default() };
        // The process model of a program that cannot be run counts as in-process.
        let program = CodexProgram::known("/nonexistent/codex", version);
        let settings = runtime.block_on(options.settings(&program, async {}));
        assert_eq!(settings, expect, "{extra:?}");
    }

    #[test]
    fn the_title_is_set_where_codex_can_and_the_user_has_none() {
        let new = Some(Version(0, 169, 0));
        let (titled, untitled) = (Settings::Alone { title: true }, Settings::Alone { title: false });
        check_settings(Some(Version(0, 130, 0)), &[], false, Settings::BeforeDaemons);
        check_settings(None, &[], false, untitled);
        check_settings(new, &[], true, titled);
        check_settings(new, &["-c", "model=\"x\""], false, titled);
        check_settings(new, &["-c", "tui.terminal_title=[]"], false, untitled);
        check_settings(new, &["--profile=mine"], false, titled);
    }

    #[test]
    fn the_environment_is_the_callers_without_what_npm_sets() {
        let caller = Caller {
            path: Some("/usr/bin".into()),
            codex_home: Some("/h/.codex".into()),
            ..Caller::default()
        };
        let names =
            strings(&["npm_x", "NPM_TOKEN", "PNPM_SCRIPT_SRC_DIR", "HOME", "CODEX_HOME", "npm_x", "npmx"]);
        let environment = Environment::of(&caller, Utf8Path::new("/root"), Some("start-1"), names.clone());
        assert_eq!(environment.unset, ["NPM_TOKEN", "PNPM_SCRIPT_SRC_DIR", "npm_x"]);
        let has = |name: &str, value: &str| environment.set.contains(&(name.to_owned(), value.to_owned()));
        assert!(has("CONVEYOR_STATE_ROOT", "/root") && has("CODEX_HOME", "/h/.codex"), "{environment:?}");
        assert!(has(START_VARIABLE, "start-1"), "{environment:?}");
        let path = environment.set.iter().find(|(name, _)| name == "PATH").unwrap();
        assert!(path.1.ends_with(":/usr/bin"), "{path:?}");
        let command = environment.command(Utf8Path::new("/bin/codex"), strings(&["go"]));
        let path = format!("PATH={}", path.1);
        assert_eq!(
            command.join(" "),
            format!("/usr/bin/env -u NPM_TOKEN -u PNPM_SCRIPT_SRC_DIR -u npm_x {path} /bin/codex go")
        );
        let homeless = Environment::of(&Caller::default(), Utf8Path::new("/root"), None, names);
        assert!(homeless.unset.contains(&"CODEX_HOME".to_owned()));
    }

    #[test]
    fn a_prompt_stands_in_a_private_file_and_not_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap();
        let old = PromptFile::write("old", root, "start-0").unwrap();
        let file = fs::File::open(old.path()).unwrap();
        let written = file.metadata().unwrap().modified().unwrap();
        file.set_modified(written - PROMPT_KEPT - Duration::from_secs(60)).unwrap();
        let prompt = PromptFile::write("do this", root, "start-1").unwrap();
        assert_eq!(fs::read_to_string(prompt.path()).unwrap(), "do this");
        assert_eq!(fs::metadata(prompt.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!old.path().exists());
    }
}
