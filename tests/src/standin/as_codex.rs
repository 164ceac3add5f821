//! The stand-in in place of the `codex` program: the arguments that Codex takes, and what it may show before
//! anything else. The file `standin-start` of the Codex home says what that is.

use std::fs;
use std::io::{self, Read, Write};

use camino::Utf8Path;

use crate::rollout::Format;

/// What the arguments of Codex ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    /// The first prompt.
    pub(super) prompt: Option<String>,
    /// Whether the title is to name the thread.
    pub(super) thread_title: bool,
}

/// What the arguments lead to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Tui(Arguments),
    /// Print this text and end.
    Print(String),
    Wrong(String),
}

/// Options that take a value.
const VALUED: [&str; 8] =
    ["--sandbox", "--ask-for-approval", "--model", "-c", "--remote", "--cd", "--profile", "-p"];
/// Options that take none.
const SWITCHES: [&str; 3] = ["--no-alt-screen", "--no-daemon", "--search"];

/// Reads arguments as the Codex of that format does.
pub(super) fn parse(format: Format, args: impl Iterator<Item = String>) -> Asked {
    let mut asked = Arguments::default();
    let mut args = args.peekable();
    match args.peek().map(String::as_str) {
        Some("--version") => return Asked::Print(format!("codex-cli {}\n", format.codex_version())),
        // This stand-in has no shared daemon.
        Some("features") => return Asked::Print("daemon_auto_start  stable  false\n".to_owned()),
        _ => {}
    }
    let mut only_prompt = false;
    while let Some(arg) = args.next() {
        if only_prompt || !arg.starts_with('-') {
            asked.prompt = Some(arg);
        } else if arg == "--" {
            only_prompt = true;
        } else if VALUED.contains(&arg.as_str()) {
            let Some(value) = args.next() else { return Asked::Wrong(format!("{arg} needs a value")) };
            asked.thread_title |= value.starts_with("tui.terminal_title") && value.contains("thread-id");
        } else if !SWITCHES.contains(&arg.as_str()) {
            return Asked::Wrong(format!("unexpected argument '{arg}' found"));
        }
    }
    Asked::Tui(asked)
}

/// The questions that Codex may ask before it takes input.
const QUESTIONS: [(&str, &str); 5] = [
    (
        "trust",
        "  Folder access\r\n\r\n  Trust this folder? It can run code.\r\n\r\n› 1. Trust and continue\r\n  \
         2. Back to Agent Command Center\r\n\r\n  enter continue · esc back\r\n",
    ),
    (
        "update",
        "  Update available · 0.1 → 0.2\r\n\r\n› 1. Update now (runs x)\r\n  2. Skip\r\n\r\n  enter continue · esc skip\r\n",
    ),
    (
        "hooks",
        "  Hooks need review\r\n\r\n› 1. Review hooks\r\n  2. Trust all and continue\r\n\r\n  enter confirm · esc skip\r\n",
    ),
    (
        "login",
        "  Welcome to Codex\r\n\r\n> 1. Sign in with ChatGPT\r\n  2. Sign in with Device Code\r\n\r\n  Press enter to continue\r\n",
    ),
    (
        "plan",
        "  Implement this plan?\r\n\r\n› 1. Yes, implement this plan\r\n  2. No\r\n\r\n  enter select · esc back\r\n",
    ),
];

/// Shows what is to be shown first. Returns whether Codex goes on after it. The file `standin-keys` notes
/// every key that is pressed.
pub(super) fn begin(codex_home: &Utf8Path) -> io::Result<bool> {
    let word = fs::read_to_string(codex_home.join("standin-start")).unwrap_or_default();
    let word = word.trim();
    let mut out = io::stdout().lock();
    if word == "exit" {
        out.write_all(b"error: nothing works today\r\n")?;
        return Ok(false);
    }
    if word == "silent" {
        wait_for_keys(codex_home, 0)?;
        return Ok(false);
    }
    let Some((_, screen)) = QUESTIONS.iter().find(|(name, _)| *name == word) else { return Ok(true) };
    out.write_all(b"\x1b[2J\x1b[H")?;
    out.write_all(screen.as_bytes())?;
    out.flush()?;
    drop(out);
    let answered = wait_for_keys(codex_home, b'\r')?;
    io::stdout().write_all(b"\x1b[2J\x1b[H")?;
    Ok(answered && word == "trust")
}

/// Reads keys until the one that answers. False when the terminal closes before.
fn wait_for_keys(codex_home: &Utf8Path, answer: u8) -> io::Result<bool> {
    let mut notes = fs::OpenOptions::new().create(true).append(true).open(codex_home.join("standin-keys"))?;
    let mut key = [0];
    loop {
        if io::stdin().lock().read(&mut key)? == 0 {
            return Ok(false);
        }
        notes.write_all(&key)?;
        if key[0] == answer {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(args: &[&str], expect: Asked) {
        assert_eq!(parse(Format::New, args.iter().map(|&arg| arg.to_owned())), expect, "{args:?}");
    }

    #[test]
    fn arguments_are_read_as_codex_reads_them() {
        let tui = |prompt: Option<&str>, thread_title| {
            Asked::Tui(Arguments { prompt: prompt.map(str::to_owned), thread_title })
        };
        check(&["--sandbox", "x", "--ask-for-approval", "never", "do it"], tui(Some("do it"), false));
        check(&["-c", r#"tui.terminal_title=["thread-id"]"#, "--", "-x"], tui(Some("-x"), true));
        check(&[], tui(None, false));
        check(&["--version"], Asked::Print("codex-cli 0.169.0\n".into()));
        check(&["--nonsense"], Asked::Wrong("unexpected argument '--nonsense' found".into()));
    }
}
