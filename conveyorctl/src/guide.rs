//! What the program is for, and its verbs by what one wants to do: the help of the program as a whole.

use crate::program::Program;

/// The verbs by group, in the order of the help. A test holds that each verb stands in one of them.
const GROUPS: [(&str, &[&str]); 9] = [
    ("Begin and end", &["pair", "finish-task", "stop-task", "stop"]),
    (
        "Look",
        &[
            "status",
            "watch",
            "cycle",
            "list",
            "sessions",
            "tasks",
            "runs",
            "discover",
            "tail",
            "events",
            "capture",
            "idle-check",
            "divergences",
        ],
    ),
    (
        "Steer",
        &[
            "session-nudge",
            "session-interrupt",
            "nudge",
            "interrupt",
            "approvals",
            "open",
            "open-worker",
            "open-manager",
        ],
    ),
    (
        "Wait and receive",
        &[
            "wait",
            "manager-inbox",
            "worker-inbox",
            "session-inbox",
            "dispatch",
            "commands",
            "enqueue-notify-manager",
            "enqueue-nudge-worker",
        ],
    ),
    (
        "Agree and prove",
        &[
            "manager-config",
            "manager-permission",
            "criteria",
            "criteria-plan",
            "worker-ack",
            "manager-ack",
            "handoff",
        ],
    ),
    ("Look back", &["replay", "audit"]),
    (
        "Sessions one by one",
        &[
            "start-worker",
            "start-manager",
            "register-worker",
            "register-manager",
            "deregister",
            "session-rename",
            "bind",
            "unbind",
            "create",
            "start",
            "start-test",
            "update-status",
            "ingest",
            "classify",
        ],
    ),
    ("When something is wrong", &["doctor", "doctor-self", "db-doctor", "reconcile"]),
    (
        "Conveyor itself",
        &[
            "daemon",
            "config",
            "install-skills",
            "uninstall-skills",
            "import-compat",
            "rpc",
            "completions",
            "man",
        ],
    ),
];

/// The widest line of the list of verbs, in characters.
const WIDTH: usize = 100;

/// Makes whole command lines of the verbs in a text that are in backticks (`` `bind --task t` ``), so that they can be
/// pasted. `program` is the program with the options that name its daemon.
pub(crate) fn with_whole_commands(text: &str, program: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    for (at, part) in text.split('`').enumerate() {
        if at > 0 {
            whole.push('`');
        }
        let is_command = at % 2 == 1 && part.split(' ').next().is_some_and(is_verb);
        if is_command {
            whole.push_str(program);
            whole.push(' ');
        }
        whole.push_str(part);
    }
    whole
}

fn is_verb(word: &str) -> bool {
    GROUPS.iter().any(|(_, verbs)| verbs.contains(&word))
}

/// What the program is, in a few lines, and all verbs.
pub(crate) fn text(program: Program) -> String {
    format!(
        "Conveyor lets one Codex session, the manager, supervise another, the worker.\n\
         Begin:     {program} pair --task TASK --worker-name w --manager-name m --task-goal GOAL --task-prompt TEXT\n\
         Look:      {program} status, {program} watch TASK\n\
         Steer:     {program} session-nudge w TEXT, {program} approvals list\n\
         End:       {program} finish-task TASK --reason WHY --stop-worker --stop-manager\n\n\
         {}\n\
         `{program} help VERB` explains one, with examples.\n",
        verbs()
    )
}

/// The template of the program's help, for clap.
pub(crate) fn template(program: Program) -> String {
    format!("{}\n{{usage-heading}} {{usage}}\n\nOptions:\n{{options}}\n", text(program))
}

fn verbs() -> String {
    let heading = GROUPS.iter().map(|(group, _)| group.len()).max().unwrap_or_default() + 3;
    let mut text = String::new();
    for (group, verbs) in GROUPS {
        let mut line = format!("{:heading$}", format!("{group}:"));
        for (at, verb) in verbs.iter().enumerate() {
            let comma = if at + 1 < verbs.len() { ", " } else { "" };
            if line.len() + verb.len() + comma.len() > WIDTH {
                text.push_str(line.trim_end());
                text.push('\n');
                line = " ".repeat(heading);
            }
            line.push_str(verb);
            line.push_str(comma);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    #[test]
    fn every_verb_stands_in_one_group() {
        let definition = cli::command(Program::Conveyorctl);
        let mut known: Vec<&str> = definition.get_subcommands().map(clap::Command::get_name).collect();
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, verbs)| *verbs).copied().collect();
        known.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(grouped, known);
    }

    #[test]
    fn verbs_in_backticks_become_command_lines() {
        let check = |text, expect| assert_eq!(with_whole_commands(text, "conveyor --path /d"), expect);
        check("`bind --task t` first", "`conveyor --path /d bind --task t` first");
        check("`codex login`, then `stop w` again", "`codex login`, then `conveyor --path /d stop w` again");
        check("stop w, or `tail", "stop w, or `conveyor --path /d tail");
        check("`conveyorctl doctor`", "`conveyorctl doctor`");
    }

    #[test]
    fn the_list_fits_a_terminal() {
        assert!(text(Program::Conveyorctl).lines().all(|line| line.len() <= 110));
    }
}
