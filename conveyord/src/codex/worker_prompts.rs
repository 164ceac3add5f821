//! The first prompts of `create` and `start`.
//!
//! Every command line in them stands on an indented line of its own, and our command line accepts it.

use super::prompts::fill;
use camino::Utf8Path;

const CONTRACT: &str = include_str!("prompts/worker_contract.md");
const START: &str = include_str!("prompts/start.md");

/// The task in the prompt of a worker that has none.
const NO_TASK: &str = "None yet. Report that you wait, and wait for the manager's message.";

/// What the contract of a worker says. `Debug` leaves out the token.
#[derive(Clone, Copy)]
pub struct Contract<'a> {
    /// Our command line, as the caller calls it.
    pub program: &'a str,
    /// Name of the worker.
    pub name: &'a str,
    pub task: Option<&'a str>,
    /// The identity token of the worker.
    pub token: &'a str,
    /// The file in which the worker may report.
    pub status: &'a Utf8Path,
}

impl std::fmt::Debug for Contract<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contract").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The first prompt of a worker that `create` makes.
#[must_use]
pub fn contract(contract: &Contract<'_>) -> String {
    let Contract { program, name, task, token, status } = *contract;
    let task = task.unwrap_or(NO_TASK);
    let values = [("program", program), ("name", name), ("task", task), ("token", token)];
    fill(CONTRACT, &[&values[..], &[("status", status.as_str())]].concat())
}

/// The commands that turn a plain Codex in tmux into a worker with a manager.
#[derive(Debug, Clone)]
pub struct Steps {
    pub register: String,
    /// The command that starts a manager.
    pub manager: String,
    pub bind: String,
    /// The command that asks the user what the manager has to know.
    pub questions: String,
}

/// The first prompt of `start`.
#[must_use]
pub fn start(program: &str, session: &str, cwd: &Utf8Path, steps: &Steps) -> String {
    let values = [("program", program), ("session", session), ("cwd", cwd.as_str())];
    let steps = [
        ("register", steps.register.as_str()),
        ("manager", &steps.manager),
        ("bind", &steps.bind),
        ("questions", &steps.questions),
    ];
    fill(START, &[&values[..], &steps].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_names_its_commands_and_what_is_filled_in_stays_as_it_is() {
        let facts = Contract {
            program: "conveyor",
            name: "w",
            task: Some("say {{token}} and `id`"),
            token: "workerctl-1",
            status: Utf8Path::new("/s/w/status.json"),
        };
        let text = contract(&facts);
        for part in [
            "say {{token}} and `id`",
            "token is workerctl-1.",
            "conveyor update-status w --state planning",
            "--blocker 'what blocks you'",
            "/s/w/status.json",
            "worker-inbox <task> --consume-next --wait --timeout 60 --json",
            "planning, editing, running_tests, blocked, waiting, done, unknown",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(contract(&Contract { task: None, ..facts }).contains(NO_TASK));
        assert!(!format!("{facts:?}").contains("workerctl-1"));
    }
}
