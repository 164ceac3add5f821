//! Approvals: what Codex asks its user for is kept as an item, wakes the manager of the pair, and is answered only by
//! a manager that has the permission for it. Nothing here answers anything by itself, and nothing twice.
//!
//! `asked` keeps the items in step with what the app-servers tell, `panes` with what panes show where there is no
//! app-server; `decide` answers.

mod asked;
mod decide;
mod panes;

use crate::{
    dispatch::pane::PaneSender,
    error::Result,
    sessions::{app_servers::AppServers, looks::PaneLooks},
    store::{Durability, Store, approvals, bindings, sessions, tasks},
};
use conveyor_proto::types::approval::{ApprovalRow, ListParams};
use tokio::time::Instant;

pub use decide::Decision;

/// The permission that answers need.
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
    /// Database.
    pub store: Store,
    /// Codex's app-servers.
    pub app_servers: AppServers,
    /// The way to panes.
    pub sender: PaneSender,
    /// Looks at panes.
    pub looks: PaneLooks,
}

impl Approvals {
    /// Lists approvals.
    ///
    /// # Errors
    /// `unknown_task`, `ambiguous_task`, `not_bound`, `unknown_session`, and those of the database.
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
                Ok(approvals::list(connection, session.as_ref(), params.all)?)
            })
            .await
    }

    /// Closes what an earlier daemon was answering when it ended.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn settle_earlier_boot(store: &Store) -> Result<()> {
        store.write(Durability::Full, |tx| Ok(approvals::close_interrupted(tx).map(drop)?)).await
    }
}
