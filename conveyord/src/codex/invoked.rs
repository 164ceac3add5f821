//! What the command line of a running Codex tells: whether it is a terminal UI, which thread it was asked to
//! resume, and in which folder it works.
//!
//! `codex` of npm is a script: its process (`node …/codex resume ID`) and the native program below it have the
//! same options, so either may be read.

use super::rollout::discovery::is_thread_id;
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::ids::ThreadId;

/// Options of Codex 0.130 to 0.171 that take the next argument as their value.
const WITH_VALUE: [&str; 20] = [
    "-C",
    "-a",
    "-c",
    "-i",
    "-m",
    "-p",
    "-s",
    "--add-dir",
    "--ask-for-approval",
    "--cd",
    "--config",
    "--disable",
    "--enable",
    "--image",
    "--local-provider",
    "--model",
    "--profile",
    "--remote",
    "--remote-auth-token-env",
    "--sandbox",
];

/// The command that goes on with an earlier thread in a terminal UI.
const RESUME: &str = "resume";

/// The commands of Codex 0.130 to 0.171 that are no terminal UI. Any other first word is a prompt.
const OTHER_COMMANDS: [&str; 33] = [
    "a",
    "agents",
    "app-server",
    "apply",
    "archive",
    "cloud",
    "cloud-tasks",
    "completion",
    "debug",
    "delete",
    "doctor",
    "e",
    "exec",
    "exec-server",
    "execpolicy",
    "features",
    "help",
    "login",
    "logout",
    "mcp",
    "mcp-server",
    "migrate-nfs-db",
    "migrate-rollouts",
    "plugin",
    "proto",
    "queue",
    "remote-control",
    "responses-api-proxy",
    "review",
    "sandbox",
    "stdio-to-uds",
    "unarchive",
    "update",
];

/// How a Codex was invoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invoked {
    /// A terminal UI.
    Tui(Tui),
    /// Another command, such as the app-server or `codex exec`.
    Other,
}

/// The options of a terminal UI.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tui {
    pub opens: Opens,
    pub place: Place,
    pub server: Server,
}

/// Which thread a terminal UI opens as it starts. The user may have left it since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Opens {
    /// A new thread, which this Codex begins.
    #[default]
    New,
    /// The thread that `codex resume ID` names.
    Thread(ThreadId),
    /// An earlier one that the arguments do not name: `codex resume`, by a name or `--last`.
    Earlier,
}

/// The folder that a terminal UI works in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Place {
    /// The working folder of the process.
    #[default]
    OfProcess,
    /// `--cd`, perhaps relative to that of its process.
    Given(Utf8PathBuf),
    /// A worktree that Codex makes.
    Unknown,
}

/// Which process holds the threads of a terminal UI.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Server {
    /// The shared app-server daemon, unless the user's configuration or the version says otherwise.
    #[default]
    PerhapsShared,
    /// The process itself: these options keep Codex 0.169 and later from the shared daemon.
    OwnProcess,
}

impl Invoked {
    /// Reads the arguments of a process, its program's name first. `None` if it is no Codex.
    #[must_use]
    pub fn of(arguments: &[String]) -> Option<Self> {
        let name = |path: &str| Utf8Path::new(path).file_name().unwrap_or(path).to_owned();
        let is_codex = |path: &String| name(path).starts_with("codex");
        let (first, rest) = arguments.split_first()?;
        // A script: the interpreter, then the script's path.
        let is_script = || {
            matches!(name(first).as_str(), "node" | "nodejs" | "bun" | "deno")
                && rest.first().is_some_and(is_codex)
        };
        if is_codex(first) {
            Some(Self::of_options(rest))
        } else if is_script() {
            Some(Self::of_options(&rest[1..]))
        } else {
            None
        }
    }

    fn of_options(arguments: &[String]) -> Self {
        let mut tui = Tui::default();
        let (mut words, mut configures, mut has_remote, mut last) = (Vec::new(), false, false, false);
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if argument == "--" {
                // What follows is a prompt, unless a command came before.
                if !words.is_empty() {
                    words.extend(rest.by_ref().map(String::as_str));
                }
                break;
            }
            let Some(option) = argument.strip_prefix('-').map(|_| argument.as_str()) else {
                words.push(argument.as_str());
                // The word after a command of another kind is that command's own.
                if words.len() == 1 && OTHER_COMMANDS.contains(&words[0]) {
                    return Self::Other;
                }
                continue;
            };
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None if WITH_VALUE.contains(&option) => (option, rest.next().map(String::as_str)),
                None => (option, None),
            };
            match name {
                "-C" | "--cd" => tui.place = value.map_or(Place::Unknown, |path| Place::Given(path.into())),
                "--worktree" => tui.place = Place::Unknown,
                "--no-daemon" | "--dangerously-bypass-hook-trust" => tui.server = Server::OwnProcess,
                "-c" | "--config" => configures = true,
                "--remote" => has_remote = true,
                "--last" => last = true,
                _ => {}
            }
        }
        // A `-c` of its own makes Codex leave the daemon, unless `--remote` names it.
        if configures && !has_remote {
            tui.server = Server::OwnProcess;
        }
        if words.first() == Some(&RESUME) {
            let id = words.get(1).filter(|id| !last && is_thread_id(id)).and_then(|id| ThreadId::new(*id));
            tui.opens = id.map_or(Opens::Earlier, Opens::Thread);
        }
        Self::Tui(tui)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01a22b2e-b6ea-77f2-a247-151edd40aab1";

    fn invoked(line: &str) -> Option<Invoked> {
        Invoked::of(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[track_caller]
    fn opens(line: &str, expect: Opens) {
        let Some(Invoked::Tui(tui)) = invoked(line) else { panic!("{line} is a terminal UI") };
        assert_eq!(tui.opens, expect, "{line}");
    }

    #[test]
    fn the_thread_to_resume_stands_in_the_arguments() {
        let resumed = || Opens::Thread(ThreadId::new(ID).unwrap());
        opens(&format!("codex resume {ID}"), resumed());
        opens(&format!("node /usr/bin/codex resume {ID}"), resumed());
        opens(&format!("/opt/codex-x86_64-unknown-linux-musl -m gpt resume --all {ID} go on"), resumed());
        opens(&format!("codex --sandbox read-only resume -a never --no-alt-screen {ID}"), resumed());
        opens(&format!("codex resume -m gpt -- {ID}"), resumed());
        opens(&format!("codex resume --last {ID}"), Opens::Earlier);
        opens(&format!("codex resume {}", &ID[..20]), Opens::Earlier);
        opens("codex resume my-work", Opens::Earlier);
        opens("codex resume", Opens::Earlier);
        opens(&format!("codex -m resume {ID}"), Opens::New);
        opens(&format!("codex -- resume {ID}"), Opens::New);
        opens(&format!("codex fork {ID}"), Opens::New);
        opens("codex", Opens::New);
        opens("codex fix the tests", Opens::New);
    }

    #[test]
    fn other_commands_and_programs_are_no_terminal_ui() {
        assert_eq!(invoked("codex app-server --listen unix://"), Some(Invoked::Other));
        assert_eq!(invoked("codex -c a=b exec resume"), Some(Invoked::Other));
        assert_eq!(invoked("node /srv/server.js codex"), None);
        assert_eq!(invoked("vim codex"), None);
        assert_eq!(invoked(""), None);
    }

    #[test]
    fn folder_and_server_are_read() {
        let tui = |line: &str| match invoked(line) {
            Some(Invoked::Tui(tui)) => tui,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(tui("codex -C /p").place, Place::Given("/p".into()));
        assert_eq!(tui("codex --cd=p").place, Place::Given("p".into()));
        assert_eq!(tui("codex --worktree").place, Place::Unknown);
        assert_eq!(tui("codex -s read-only").place, Place::OfProcess);
        assert_eq!(tui("codex -s read-only").server, Server::PerhapsShared);
        assert_eq!(tui("codex --no-daemon").server, Server::OwnProcess);
        assert_eq!(tui("codex -c a=b").server, Server::OwnProcess);
        assert_eq!(tui("codex --remote unix:// -c a=b").server, Server::PerhapsShared);
    }
}
