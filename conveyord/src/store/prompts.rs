//! The first prompts that sessions were given.

use super::{StoreError, Tx, json_text};
use crate::words::sha256;
use conveyor_proto::ids::TaskId;
use rusqlite::params;
use serde_json::Value;
use std::fmt;

conveyor_proto::words! {
    /// What a prompt is for.
    pub enum PromptKind {
        /// A manager's first one.
        Manager = "manager",
        /// A worker's first one.
        WorkerContract = "worker_contract",
    }
}

/// A prompt that is to be stored. Prints its length only.
pub struct NewPrompt<'a> {
    /// What it is for.
    pub kind: PromptKind,
    pub content: &'a str,
    pub task_id: Option<&'a TaskId>,
    /// The session that is given it.
    pub session_name: &'a str,
    /// What it was made of.
    pub snapshot: &'a Value,
    /// The permissions that it tells of.
    pub policy: &'a Value,
    /// The file in which it stands, where it was too long for an argument.
    pub file: Option<&'a str>,
}

impl fmt::Debug for NewPrompt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewPrompt")
            .field("kind", &self.kind)
            .field("session_name", &self.session_name)
            .field("bytes", &self.content.len())
            .finish_non_exhaustive()
    }
}

/// Stores a prompt with its hash and the version of the program that made it.
pub fn insert(tx: &Tx<'_>, new: &NewPrompt<'_>) -> Result<(), StoreError> {
    tx.prepare_cached(
        "insert into prompts (task_id, kind, content, content_sha256, generator_version, source_snapshot_json,
             policy_json, artifact_path, created_at, session_name)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        new.task_id.map(TaskId::as_str),
        new.kind.as_str(),
        new.content,
        sha256(new.content),
        env!("CARGO_PKG_VERSION"),
        json_text(new.snapshot)?,
        json_text(new.policy)?,
        new.file,
        tx.now(),
        new.session_name,
    ])?;
    Ok(())
}
