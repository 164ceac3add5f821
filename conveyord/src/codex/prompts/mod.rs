//! The first prompts of sessions, and how their templates are filled in.
//!
//! Every command line in the templates stands on an indented line of its own, and our command line accepts
//! it: a test of the whole program runs them all.

use crate::{
    process,
    words::{self, shell_word},
};
use conveyor_proto::types::{common::Caller, supervision::ManagerConfig};

const MANAGER: &str = include_str!("manager.md");
const SETUP_QUESTIONS: &str = include_str!("setup_questions.md");
const SETUP_RECORDED: &str = include_str!("setup_recorded.md");
const PAIR_WORKER: &str = include_str!("pair_worker.md");

/// What the prompt of a manager says.
#[derive(Debug, Clone, Copy)]
pub struct ManagerFacts<'a> {
    /// Our command line, as the caller calls it.
    pub program: &'a str,
    /// Name of the manager's session.
    pub manager: &'a str,
    pub cwd: &'a str,
    /// Name or id of the task.
    pub task: Option<&'a str>,
    pub goal: Option<&'a str>,
    /// Name of the worker's session.
    pub worker: Option<&'a str>,
    /// The configuration of the manager, if one is recorded.
    pub config: Option<&'a ManagerConfig>,
}

/// The first prompt of a manager. `granted` and `refused` are the permissions of the configuration, each as
/// `category.action`.
#[must_use]
pub fn manager(facts: &ManagerFacts<'_>, granted: &[String], refused: &[String]) -> String {
    let task_ref = facts.task.map_or_else(|| "<task>".to_owned(), shell_word);
    let common = [("program", facts.program), ("ref", task_ref.as_str())];
    let setup = match facts.config {
        None => fill(SETUP_QUESTIONS, &common),
        Some(config) => {
            let (may, may_not, tools) = (listed(granted), listed(refused), listed(&config.tools));
            let own = [("may", may.as_str()), ("may_not", may_not.as_str()), ("tools", tools.as_str())];
            fill(SETUP_RECORDED, &[&common[..], &own].concat())
        }
    };
    let worker_ref = facts.worker.map_or_else(|| "<worker>".to_owned(), shell_word);
    let own = [
        ("manager", facts.manager),
        ("cwd", facts.cwd),
        ("task", facts.task.unwrap_or("<unbound-task>")),
        ("goal", facts.goal.unwrap_or("none yet")),
        ("worker", facts.worker.unwrap_or("none yet")),
        ("worker_ref", worker_ref.as_str()),
        ("setup", setup.trim_end()),
    ];
    fill(MANAGER, &[&common[..], &own].concat())
}

/// The first prompt of a pair's worker: the user's prompt, and how to acknowledge it.
#[must_use]
pub fn pair_worker(program: &str, task: &str, prompt: &str) -> String {
    fill(PAIR_WORKER, &[("program", program), ("ref", &shell_word(task)), ("prompt", prompt)])
}

/// A prompt that also says where our command line is. The first commands of a session may run before Codex has a snapshot
/// of the user's shell, and do not find it then (seen with 0.169 under load: exit 127).
#[must_use]
pub fn findable(prompt: String, caller: &Caller) -> String {
    let program = words::program(caller);
    match process::find(program, caller) {
        Some(path) => format!("{}\n\nIf `{program}` is not found, call {path} instead.\n", prompt.trim_end()),
        None => prompt,
    }
}

fn listed(words: &[String]) -> String {
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// Fills a template in one pass, so that a value that contains `{{` is not filled in again.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        let value = values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        debug_assert!(value.is_some(), "no value for {name}");
        filled.push_str(value.unwrap_or_default());
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests;
