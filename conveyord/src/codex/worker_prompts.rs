//! The first prompts of `create` and of `start`.
//!
//! Every command line in them stands on an indented line of its own and is one that our command line takes.

use super::prompts::fill;
use camino::Utf8Path;

const CONTRACT: &str = include_str!("prompts/worker_contract.md");
const START: &str = include_str!("prompts/start.md");

/// What stands for the task of a worker that has none.
const NO_TASK: &str = "None yet. Report that you wait, and wait for the manager's message.";

/// What a worker's contract tells. Prints without the token.
#[derive(Clone, Copy)]
pub struct Contract<'a> {
    /// Our command line as the caller calls it.
    pub program: &'a str,
    /// Name of the worker.
    pub name: &'a str,
    /// What it is to do.
    pub task: Option<&'a str>,
    /// Its identity token.
    pub token: &'a str,
    /// The file in which it may report.
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

/// The commands that a plain Codex in tmux is led by to become a worker.
#[derive(Debug, Clone)]
pub struct Steps {
    /// Registers it.
    pub register: String,
    /// Starts a manager.
    pub manager: String,
    /// Binds both.
    pub bind: String,
    /// Asks what the manager has to know.
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
