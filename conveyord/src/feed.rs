//! The changes that one subscriber wants, with the names of the tasks and sessions in them.

use crate::{
    changes::{Change, ChangeKind, Listener},
    error::{Error, Result},
    store::{Store, bindings, sessions, tasks},
};
use conveyor_proto::{ids::SessionId, types::events::SubscribeParams};
use rusqlite::Connection;
use std::collections::HashMap;

/// How many names are kept in memory. If there are more, all are read again.
const MAX_NAMES: usize = 4096;

/// The changes of one subscriber.
#[derive(Debug)]
pub struct Feed {
    store: Store,
    listener: Listener,
    task_id: Option<String>,
    session_id: Option<String>,
    kinds: Vec<ChangeKind>,
    /// For each session id, the name of the session and the task that it is bound to.
    sessions: HashMap<String, (Option<String>, Option<String>)>,
    /// For each task id, the name of the task.
    tasks: HashMap<String, Option<String>>,
}

impl Feed {
    /// Listens from now on.
    ///
    /// # Errors
    /// `unknown_task`, `ambiguous_task`, `unknown_session`.
    pub async fn open(store: &Store, params: SubscribeParams) -> Result<Self> {
        // The feed is subscribed before the names are looked up, so that no change between the two is missed.
        let listener = store.changes().subscribe();
        let (task, session) = (params.task, params.session);
        let (task_id, session_id) = store
            .read(move |connection| {
                let task = task.map(|task| tasks::resolve(connection, &task)).transpose()?;
                let session = session.map(|session| sessions::resolve(connection, &session)).transpose()?;
                let ids =
                    (task.map(|task| task.id.to_string()), session.map(|session| session.id.to_string()));
                Ok::<_, Error>(ids)
            })
            .await?;
        Ok(Self {
            store: store.clone(),
            listener,
            task_id,
            session_id,
            kinds: params.kinds,
            sessions: HashMap::new(),
            tasks: HashMap::new(),
        })
    }

    /// The next change. `None` when the daemon ends. This is not cancel safe: a call that is dropped may lose
    /// a change.
    pub async fn next(&mut self) -> Option<Change> {
        loop {
            let mut change = self.listener.next().await?;
            if change.kind == ChangeKind::Lagged {
                return Some(change);
            }
            if change.kind == ChangeKind::Binding || self.sessions.len() + self.tasks.len() > MAX_NAMES {
                self.sessions.clear();
                self.tasks.clear();
            }
            // The cheap checks come first, because most changes are for other subscribers.
            if !self.kinds.is_empty() && !self.kinds.contains(&change.kind)
                || self.session_id.is_some() && self.session_id != change.session_id
            {
                continue;
            }
            if let Err(error) = self.name(&mut change).await {
                tracing::warn!(%error, "the names of a change could not be read");
            }
            if self.task_id.is_none() || self.task_id == change.task_id {
                return Some(change);
            }
        }
    }

    async fn name(&mut self, change: &mut Change) -> Result<()> {
        if let Some(id) = change.session_id.clone() {
            if !self.sessions.contains_key(&id) {
                let wanted = id.clone();
                let found = self.store.read(move |connection| session(connection, &wanted)).await?;
                self.sessions.insert(id.clone(), found);
            }
            if let Some((name, task)) = self.sessions.get(&id) {
                change.session.clone_from(name);
                change.task_id = change.task_id.take().or_else(|| task.clone());
            }
        }
        if let Some(id) = change.task_id.clone() {
            if !self.tasks.contains_key(&id) {
                let wanted = id.clone();
                let found = self
                    .store
                    .read(move |connection| Ok::<_, Error>(tasks::find(connection, &wanted)?))
                    .await?;
                self.tasks.insert(id.clone(), found.map(|task| task.name));
            }
            change.task = self.tasks.get(&id).cloned().flatten();
        }
        Ok(())
    }
}

fn session(connection: &Connection, id: &str) -> Result<(Option<String>, Option<String>)> {
    let name = sessions::get(connection, id)?.map(|session| session.name);
    let binding = bindings::open_of_session(connection, &SessionId(id.to_owned()))?;
    Ok((name, binding.map(|binding| binding.task_id.to_string())))
}
