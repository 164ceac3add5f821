//! Approvals: the questions that Codex asks its user. Each question is kept as an item and wakes the manager
//! of the pair. Only a manager with the permission for it may answer. Nothing here answers by itself, and
//! nothing is answered twice.
//!
//! `asked` keeps the items in step with the app-servers, and `panes` keeps them in step with panes where
//! there is no app-server. `decide` answers. `whole` finds out what a pane asks beyond what it shows, and
//! `calls` keeps the calls that may be asked about.

mod asked;
mod calls;
mod decide;
mod panes;
mod whole;

use crate::{
    dispatch::pane::PaneSender,
    error::Result,
    ingest::Ingest,
    sessions::{app_servers::AppServers, looks::PaneLooks},
    store::{
        Durability, Store,
        approvals::{self, Shown},
        bindings, sessions, tasks,
    },
};
use conveyor_proto::types::approval::{ApprovalRow, ListParams};
use tokio::time::Instant;

pub use crate::store::approvals::Decision;
pub use calls::OpenCalls;

/// The permission that a manager needs to answer.
pub const PERMISSION: &str = "worker_session.approve";

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The approvals of a store's sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Approvals {
    pub store: Store,
    pub app_servers: AppServers,
    /// Sends keys into panes.
    pub sender: PaneSender,
    /// Shared looks at panes.
    pub looks: PaneLooks,
    /// Reads rollouts up to their ends, before what they hold is relied on.
    pub ingest: Ingest,
    /// The calls that may be asked about.
    pub calls: OpenCalls,
}

impl Approvals {
    /// Lists approvals.
    ///
    /// # Errors
    /// `unknown_task`, `ambiguous_task`, `not_bound`, `unknown_session`.
    pub async fn list(&self, params: ListParams) -> Result<Vec<ApprovalRow>> {
        self.store
            .read(move |connection| {
                let mut session = params
                    .session
                    .map(|name| sessions::resolve(connection, &name).map(|session| session.id))
                    .transpose()?;
                if let Some(task) = params.task {
                    let task = tasks::resolve(connection, &task)?;
                    session = Some(bindings::require_open(connection, &task)?.worker);
                }
                let shown = if params.all { Shown::Newest } else { Shown::Open };
                Ok(approvals::list(connection, session.as_ref(), shown)?)
            })
            .await
    }

    /// Closes the approvals that an earlier daemon was answering when it ended. Whether their answers arrived
    /// is not known.
    pub async fn settle_earlier_boot(store: &Store) -> Result<()> {
        store.write(Durability::Full, |tx| Ok(approvals::close_interrupted(tx).map(drop)?)).await
    }
}

#[cfg(test)]
mod tests;
