//! Examples of each verb: they stand at the end of its help and of its manual page. A test holds that each is a command
//! line that this program understands.

use crate::program::Program;
use clap::Command;

/// The words of a verb, and command lines of it without the program's name.
const EXAMPLES: &[(&str, &[&str])] = &[
    ("register-worker", &["register-worker --name w --pid 4711 --tmux-session codex-w"]),
    ("register-manager", &["register-manager --name m --pid 4712 --tmux-session codex-m"]),
    (
        "start-worker",
        &["start-worker --name w --cwd ~/project --sandbox workspace-write --ask-for-approval on-request"],
    ),
    ("start-manager", &["start-manager --name m --task greeting --worker w"]),
    (
        "pair",
        &[
            "pair --task greeting --worker-name w --manager-name m --task-goal 'A greeting is written' --task-prompt 'Write greeting.txt'",
            "pair --task greeting --worker-name w --manager-name m --accept-trust",
        ],
    ),
    ("deregister", &["deregister w"]),
    ("session-rename", &["session-rename w writer --tmux"]),
    ("stop", &["stop w"]),
    ("sessions", &["sessions", "sessions --role worker --state all"]),
    ("create", &["create w --cwd ~/project --task 'Write greeting.txt'"]),
    ("start-test", &["start-test w --cwd ~/project"]),
    ("start", &["start w --cwd ~/project --model MODEL"]),
    ("list", &["list"]),
    ("status", &["status", "status --watch", "status w"]),
    (
        "update-status",
        &["update-status w --state editing --current-task 'greeting.txt' --next-action 'read it again'"],
    ),
    ("idle-check", &["idle-check w"]),
    ("events", &["events w"]),
    ("capture", &["capture w"]),
    ("nudge", &["nudge w 'Make it friendlier'"]),
    ("interrupt", &["interrupt w"]),
    ("open", &["open w"]),
    ("open-worker", &["open-worker greeting"]),
    ("open-manager", &["open-manager greeting"]),
    ("tasks", &["tasks", "tasks --create greeting --goal 'A greeting is written'", "tasks --archive --done"]),
    ("bind", &["bind --task greeting --worker w --manager m"]),
    ("unbind", &["unbind --task greeting"]),
    ("manager-config", &["manager-config greeting --mode strict --acceptance 'It is friendly'"]),
    ("manager-permission", &["manager-permission greeting repo.push"]),
    (
        "criteria",
        &[
            "criteria greeting --list",
            "criteria greeting --add --criterion 'It is friendly'",
            "criteria greeting --satisfy 1 --proof 'read greeting.txt'",
        ],
    ),
    ("criteria-plan", &["criteria-plan greeting --from-text '- It is friendly'"]),
    ("handoff", &["handoff greeting --summary 'greeting.txt is written' --next-step 'Read it'"]),
    ("worker-ack", &["worker-ack greeting --from-stdin", "worker-ack greeting --json"]),
    ("manager-ack", &["manager-ack greeting --from-stdin"]),
    ("runs", &["runs --list --task greeting", "runs --create greeting --name first"]),
    ("cycle", &["cycle greeting"]),
    ("divergences", &["divergences greeting"]),
    ("ingest", &["ingest w"]),
    ("tail", &["tail w --limit 20"]),
    ("classify", &["classify --file pane.txt", "classify --file -"]),
    ("session-nudge", &["session-nudge w 'Make it friendlier'", "session-nudge w --dry-run ''"]),
    ("session-interrupt", &["session-interrupt w"]),
    ("dispatch", &["dispatch --once"]),
    ("enqueue-notify-manager", &["enqueue-notify-manager greeting --message 'Look at the tests'"]),
    ("enqueue-nudge-worker", &["enqueue-nudge-worker greeting --message 'Go on' --idempotency-key nudge-1"]),
    ("commands", &["commands", "commands --state failed"]),
    ("commands retry", &["commands retry command-1 --reason 'the pane is free now'"]),
    ("commands discard", &["commands discard command-1 --reason 'said by hand'"]),
    ("approvals", &["approvals list"]),
    ("approvals list", &["approvals list", "approvals list greeting"]),
    ("approvals accept", &["approvals accept approval-1 --task greeting --reason 'it only reads'"]),
    ("approvals decline", &["approvals decline approval-1 --task greeting --reason 'do not push'"]),
    ("wait", &["wait greeting --until done --timeout 600", "wait --session w --until idle"]),
    ("watch", &["watch", "watch greeting --kinds turn_started,turn_ended"]),
    ("session-inbox", &["session-inbox w"]),
    ("manager-inbox", &["manager-inbox greeting --wait --timeout 600"]),
    ("worker-inbox", &["worker-inbox greeting --wait"]),
    (
        "finish-task",
        &["finish-task greeting --reason 'greeting.txt is friendly' --stop-worker --stop-manager"],
    ),
    ("stop-task", &["stop-task greeting"]),
    ("audit", &["audit greeting --json"]),
    ("replay", &["replay greeting --format compact"]),
    ("doctor", &["doctor", "doctor --report"]),
    ("doctor-self", &["doctor-self"]),
    ("discover", &["discover greeting"]),
    ("db-doctor", &["db-doctor"]),
    ("reconcile", &["reconcile", "reconcile --apply"]),
    (
        "import-compat",
        &[
            "import-compat --root ~/project/.codex-workers",
            "import-compat --root ~/project/.codex-workers --apply",
        ],
    ),
    ("daemon", &["daemon status"]),
    ("daemon start", &["daemon start"]),
    ("daemon stop", &["daemon stop"]),
    ("daemon restart", &["daemon restart"]),
    ("daemon status", &["daemon status"]),
    ("daemon logs", &["daemon logs"]),
    ("daemon install", &["daemon install"]),
    ("daemon uninstall", &["daemon uninstall"]),
    ("config", &["config"]),
    ("rpc", &["rpc methods"]),
    ("rpc call", &["rpc call task.list", "rpc call cycle.run '{\"task\": \"greeting\"}'"]),
    ("rpc methods", &["rpc methods"]),
    ("rpc schema", &["rpc schema", "rpc schema inbox.take"]),
    ("install-skills", &["install-skills"]),
    ("uninstall-skills", &["uninstall-skills --dry-run"]),
    ("completions", &["completions bash > ~/.local/share/bash-completion/completions/conveyorctl"]),
    ("man", &["man pair > pair.1", "man --out pages"]),
];

/// Adds its examples to the help of each verb.
pub(crate) fn added(command: Command, program: Program) -> Command {
    EXAMPLES.iter().fold(command, |command, (verb, lines)| {
        let lines: Vec<String> = lines.iter().map(|line| format!("  {program} {line}")).collect();
        let text = format!("Examples:\n{}", lines.join("\n"));
        add(command, verb, text)
    })
}

fn add(command: Command, verb: &str, text: String) -> Command {
    let (first, below) = verb.split_once(' ').map_or((verb, None), |(first, below)| (first, Some(below)));
    let first = first.to_owned();
    command.mut_subcommand(first, |command| match below {
        Some(below) => add(command, below, text),
        None => command.after_help(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;
    use std::ffi::OsString;

    /// Splits a line as a shell does, without what is sent to a file.
    fn words(line: &str) -> Vec<OsString> {
        let mut words = vec![String::new()];
        for (at, part) in line.split(" > ").next().unwrap().split('\'').enumerate() {
            let last = words.len() - 1;
            if at % 2 == 1 {
                words[last].push_str(part);
                continue;
            }
            for (at, word) in part.split(' ').enumerate() {
                if at > 0 {
                    words.push(String::new());
                }
                let last = words.len() - 1;
                words[last].push_str(word);
            }
        }
        let quoted_empty = line.contains("''");
        words.into_iter().filter(|word| quoted_empty || !word.is_empty()).map(OsString::from).collect()
    }

    #[test]
    fn each_example_is_understood_as_its_verb() {
        for (verb, lines) in EXAMPLES {
            for line in *lines {
                assert!(line.starts_with(verb), "{line} is no example of {verb}");
                let parsed = cli::parse(Program::Conveyorctl, words(line).into_iter());
                assert!(parsed.is_ok(), "{line}: {parsed:?}");
            }
        }
    }

    #[test]
    fn each_verb_has_an_example() {
        fn missing(command: &Command, above: &str, found: &mut Vec<String>) {
            for below in command.get_subcommands() {
                let name = format!("{above}{}", below.get_name());
                if !EXAMPLES.iter().any(|(verb, _)| *verb == name) {
                    found.push(name.clone());
                }
                missing(below, &format!("{name} "), found);
            }
        }
        let mut found = Vec::new();
        missing(&cli::command(Program::Conveyorctl), "", &mut found);
        assert!(found.is_empty(), "{found:?}");
    }
}
