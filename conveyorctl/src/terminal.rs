//! Terminal windows: which program opens one on this desktop, and its command line.
//!
//! Both systems' command lines are made here, by pure functions; nothing else in the program knows of desktops. On
//! macOS a command goes to AppleScript as an argument, never as text of the script.

use crate::error::CommandError;
use conveyor_proto::settings::Environment;
use serde::Deserialize;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// How long a terminal is watched for failing at once. Most programs that open a window end when it is closed.
const LAUNCH_LIMIT: Duration = Duration::from_secs(2);

/// The terminal that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Choice {
    Auto,
    Ghostty,
    Iterm2,
    Terminal,
}

impl Choice {
    pub(crate) const WORDS: &'static [&'static str] = &["auto", "ghostty", "iterm2", "terminal"];
}

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launch {
    terminal: String,
    /// Empty when there is no terminal to open.
    command: Vec<String>,
}

impl Launch {
    pub(crate) fn terminal(&self) -> &str {
        &self.terminal
    }

    pub(crate) fn command(&self) -> &[String] {
        &self.command
    }

    /// Opens the window. A program that is still there after a moment has opened it.
    pub(crate) async fn run(&self) -> Result<(), CommandError> {
        let [program, args @ ..] = &self.command[..] else { return Ok(()) };
        let failed = |what: String| CommandError::failed("terminal_failed", format!("{program}: {what}"));
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A pane's variables would keep tmux from attaching in the new window.
            .env_remove("TMUX")
            .env_remove("TMUX_PANE")
            // Ctrl-C at this program is not meant for the window.
            .process_group(0)
            .spawn()
            .map_err(|error| failed(format!("could not be started: {error}")))?;
        match timeout(LAUNCH_LIMIT, child.wait()).await {
            Err(_) => Ok(()),
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(failed(format!("opened no window ({status})"))),
            Ok(Err(error)) => Err(failed(format!("could not be waited for: {error}"))),
        }
    }
}

/// What this desktop has.
struct Desktop<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    /// Whether a program on `PATH`, or an application at an absolute path, is there.
    has: &'a dyn Fn(&str) -> bool,
}

/// How a window that runs a command is opened here.
pub(crate) fn plan(choice: Choice, environment: &dyn Environment, command: &[String]) -> Launch {
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let path = variable("PATH").unwrap_or_default();
    let has = |program: &str| {
        if program.starts_with('/') {
            return Path::new(program).exists();
        }
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    let desktop = Desktop { variable: &variable, has: &has };
    let found = if cfg!(target_os = "macos") {
        macos(choice, &desktop, command)
    } else {
        freedesktop(choice, &desktop, command)
    };
    found.unwrap_or_else(|| Launch { terminal: "none".to_owned(), command: Vec::new() })
}

fn launch(terminal: &str, start: &[&str], command: &[String]) -> Launch {
    let start = start.iter().map(|word| (*word).to_owned());
    Launch { terminal: terminal.to_owned(), command: start.chain(command.iter().cloned()).collect() }
}

/// macOS: Ghostty where it is installed, then iTerm2, then Terminal, which always is.
fn macos(choice: Choice, desktop: &Desktop<'_>, command: &[String]) -> Option<Launch> {
    let home = (desktop.variable)("HOME").unwrap_or_default();
    let installed = |name: &str| {
        ["/Applications".to_owned(), format!("{home}/Applications")]
            .iter()
            .any(|folder| (desktop.has)(&format!("{folder}/{name}.app")))
    };
    let choice = match choice {
        Choice::Auto if installed("Ghostty") => Choice::Ghostty,
        Choice::Auto if installed("iTerm") => Choice::Iterm2,
        Choice::Auto => Choice::Terminal,
        asked => asked,
    };
    let script = |terminal: &str, lines: &[&str]| {
        let mut words = vec!["osascript"];
        for line in lines {
            words.extend(["-e", line]);
        }
        launch(terminal, &words, &[for_a_shell(command)])
    };
    Some(match choice {
        Choice::Ghostty => launch("ghostty", &["open", "-na", "Ghostty.app", "--args", "-e"], command),
        Choice::Iterm2 => script(
            "iterm2",
            &[
                "on run argv",
                "tell application \"iTerm2\"",
                "activate",
                "create window with default profile command (item 1 of argv)",
                "end tell",
                "end run",
            ],
        ),
        Choice::Auto | Choice::Terminal => script(
            "terminal",
            &[
                "on run argv",
                "tell application \"Terminal\"",
                "activate",
                "do script (item 1 of argv)",
                "end tell",
                "end run",
            ],
        ),
    })
}

/// Linux and its like: `$TERMINAL`, else the desktop's default one. None without a display.
fn freedesktop(choice: Choice, desktop: &Desktop<'_>, command: &[String]) -> Option<Launch> {
    (desktop.variable)("WAYLAND_DISPLAY").or_else(|| (desktop.variable)("DISPLAY"))?;
    if choice == Choice::Ghostty {
        return (desktop.has)("ghostty").then(|| launch("ghostty", &["ghostty", "-e"], command));
    }
    let own = (desktop.variable)("TERMINAL").and_then(|words| {
        let words: Vec<&str> = words.split_whitespace().collect();
        let program = *words.first()?;
        let name = program.rsplit('/').next().unwrap_or(program);
        // Those that take `-e` as a whole command line, or not at all.
        let separator = match name {
            "gnome-terminal" | "kgx" | "ptyxis" => "--",
            "wezterm" => "start",
            _ => "-e",
        };
        let start = [&words[..], &[separator]].concat();
        (desktop.has)(program).then(|| launch(name, &start, command))
    });
    let default = || {
        let of = |name: &str, start: &[&str]| (desktop.has)(name).then(|| launch(name, start, command));
        of("xdg-terminal-exec", &["xdg-terminal-exec"])
            .or_else(|| of("x-terminal-emulator", &["x-terminal-emulator", "-e"]))
    };
    own.or_else(default)
}

/// Words as one line for a shell, each in single quotes.
fn for_a_shell(words: &[String]) -> String {
    words.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    type System = fn(Choice, &Desktop<'_>, &[String]) -> Option<Launch>;

    /// What a desktop with these variables and programs runs.
    #[track_caller]
    fn check(
        system: System,
        choice: Choice,
        variables: &[(&str, &str)],
        programs: &[&str],
        expect: Option<&str>,
    ) {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let has = |program: &str| programs.contains(&program);
        let command = ["tmux", "attach", "-t", "=it's"].map(str::to_owned);
        let launch = system(choice, &Desktop { variable: &variable, has: &has }, &command);
        let words = launch.map(|launch| format!("{}: {}", launch.terminal(), launch.command().join(" ")));
        assert_eq!(words.as_deref(), expect);
    }

    #[test]
    fn macos_prefers_the_terminal_that_is_installed() {
        let ghostty = "ghostty: open -na Ghostty.app --args -e tmux attach -t =it's";
        let iterm = "iterm2: osascript -e on run argv -e tell application \"iTerm2\" -e activate -e create window with \
            default profile command (item 1 of argv) -e end tell -e end run 'tmux' 'attach' '-t' '=it'\\''s'";
        let terminal = "terminal: osascript -e on run argv -e tell application \"Terminal\" -e activate -e do script \
            (item 1 of argv) -e end tell -e end run 'tmux' 'attach' '-t' '=it'\\''s'";
        let apps = ["/Applications/Ghostty.app", "/Applications/iTerm.app"];
        check(macos, Choice::Auto, &[], &apps, Some(ghostty));
        check(macos, Choice::Auto, &[("HOME", "/h")], &["/h/Applications/Ghostty.app"], Some(ghostty));
        check(macos, Choice::Auto, &[], &apps[1..], Some(iterm));
        check(macos, Choice::Auto, &[], &[], Some(terminal));
        check(macos, Choice::Terminal, &[], &apps, Some(terminal));
        check(macos, Choice::Iterm2, &[], &[], Some(iterm));
    }

    #[test]
    fn linux_takes_the_users_terminal_then_the_desktops() {
        let display = ("DISPLAY", ":0");
        let both = ["xdg-terminal-exec", "x-terminal-emulator", "foot", "/opt/gnome-terminal", "ghostty"];
        let check = |choice, variables: &[(&str, &str)], programs: &[&str], expect| {
            check(freedesktop, choice, variables, programs, expect);
        };
        check(Choice::Auto, &[], &both, None);
        check(Choice::Auto, &[display], &[], None);
        check(
            Choice::Auto,
            &[display],
            &both,
            Some("xdg-terminal-exec: xdg-terminal-exec tmux attach -t =it's"),
        );
        let fallback = "x-terminal-emulator: x-terminal-emulator -e tmux attach -t =it's";
        check(Choice::Auto, &[("WAYLAND_DISPLAY", "w")], &both[1..2], Some(fallback));
        check(Choice::Terminal, &[display, ("TERMINAL", "gone")], &both[1..2], Some(fallback));
        let own = [display, ("TERMINAL", "foot --app-id x")];
        check(Choice::Auto, &own, &both, Some("foot: foot --app-id x -e tmux attach -t =it's"));
        let own = [display, ("TERMINAL", "/opt/gnome-terminal")];
        check(Choice::Auto, &own, &both, Some("gnome-terminal: /opt/gnome-terminal -- tmux attach -t =it's"));
        check(Choice::Ghostty, &own, &both, Some("ghostty: ghostty -e tmux attach -t =it's"));
        check(Choice::Ghostty, &own, &[], None);
    }

    #[tokio::test]
    async fn a_terminal_that_fails_at_once_is_no_window() {
        let launch = |words: &[&str]| launch("test", words, &[]);
        launch(&["true"]).run().await.unwrap();
        launch(&["false"]).run().await.unwrap_err();
        launch(&["conveyor-no-such-terminal"]).run().await.unwrap_err();
    }
}
