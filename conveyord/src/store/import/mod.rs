//! Rows of the reference, brought into our tables: a whole database (`source`, `copy`), and the worker folders of its
//! first versions (`folders`). `settle` stores what the daemon needs beside imported sessions to follow them.
//!
//! What a table's columns are, which of them refer to which table and what is missing in an older file is read from
//! the two schemas (`shape`); only the order of the tables is written down. The file that is read is never written.

mod copy;
pub mod folders;
mod numbers;
mod register;
pub mod settle;
mod shape;
mod source;

pub use copy::{Content, Imported, import, look};
pub use source::{NEWEST_VERSION, Source};

/// The tables that are imported, each after those that it refers to.
const TABLES: [&str; 30] = [
    "data_migrations",
    "workers",
    "sessions",
    "tasks",
    "budgets",
    "manager_configs",
    "managers",
    "prompts",
    "runs",
    "bindings",
    "commands",
    "command_attempts",
    "events",
    "statuses",
    "transcript_captures",
    "terminal_captures",
    "agent_observations",
    "transcript_segments",
    "codex_events",
    "manager_cycles",
    "manager_decisions",
    "manager_cycle_spans",
    "routed_notifications",
    "acceptance_criteria",
    "epilogue_runs",
    "task_acknowledgements",
    "task_continuations",
    "continuation_reviews",
    "worker_handoffs",
    "telemetry_events",
];

#[cfg(test)]
mod tests;
