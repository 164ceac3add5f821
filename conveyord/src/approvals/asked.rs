//! Keeps the items in step with what Codex asks: stores new questions, ends those that are over, and tells
//! the manager.

use super::{Approvals, until};
use crate::{
    attention::{self, Pair, Told, When},
    background::Items,
    changes::{Change, ChangeKind},
    clock,
    codex::app_server::{Request, RequestKind},
    error::{Error, Result},
    faults,
    sessions::{app_servers::RequestEvent, state},
    store::{
        Durability, Tx,
        approvals::{self, Ended, NewApproval, Occasion},
        event_names::{AuditEvent, TelemetryEvent},
        log::{self, Actor, Event, Run, Telemetry},
        sessions,
    },
};
use conveyor_proto::{
    ids::{SessionId, ThreadId, TurnId},
    types::{
        approval::{ApprovalKind, ApprovalSource},
        cycle::CoarseState,
        session::SessionState,
    },
};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// The pause before everything is looked at again: the work on a session has panicked, or the record of a call is not
/// read yet.
type Again = Option<Duration>;

/// How long the record of a call may take to be read, from the request about it on. Codex writes the record first.
const RECORD_LIMIT: Duration = Duration::from_secs(5);
/// Pause between two looks for it.
const RECORD_PAUSE: Duration = Duration::from_millis(100);

impl Approvals {
    /// Follows the reports of the app-servers and the ends of turns, until cancelled. `events` outlives a run
    /// that has failed. Each run begins with [`Self::catch_up`], which makes up for what a failed run has
    /// lost.
    pub async fn follow(
        self,
        events: Arc<Mutex<mpsc::Receiver<RequestEvent>>>,
        cancel: CancellationToken,
        items: Items,
    ) {
        let mut events = events.lock().await;
        let mut changes = self.store.changes().subscribe();
        let mut catch_up = Some(Instant::now());
        loop {
            let done = tokio::select! {
                () = cancel.cancelled() => return,
                () = until(catch_up) => {
                    catch_up = None;
                    self.catch_up(&items).await
                }
                event = events.recv() => match event {
                    None => return,
                    Some(event) => self.told(&items, event).await,
                },
                change = changes.next() => match change {
                    None => return,
                    Some(change) => self.changed(&items, change).await,
                },
            };
            match done {
                Ok(None) => {}
                Ok(Some(pause)) => catch_up = Some(Instant::now() + pause),
                Err(error) => tracing::warn!(%error, "what became of an approval could not be stored"),
            }
        }
    }

    /// Stores the open requests of the app-servers, and ends the approvals that are over, whether or not
    /// their events arrived.
    async fn catch_up(&self, items: &Items) -> Result<Again> {
        let mut again = None;
        for (sessions, request) in self.app_servers.waiting(&self.store).await? {
            again = again.max(self.told(items, RequestEvent::Opened(sessions, request)).await?);
        }
        Ok(again.max(self.sweep(items).await?))
    }

    async fn changed(&self, items: &Items, change: Change) -> Result<Again> {
        match (change.kind, change.session_id) {
            // Codex asks nothing outside a turn.
            (ChangeKind::TurnEnded, Some(session)) => self.end_stale(items, vec![SessionId(session)]).await,
            // A session may have ended. After lost changes, any turn may have ended.
            (ChangeKind::Session | ChangeKind::Lagged, _) => self.sweep(items).await,
            _ => Ok(None),
        }
    }

    async fn told(&self, items: &Items, event: RequestEvent) -> Result<Again> {
        let (RequestEvent::Opened(sessions, _)
        | RequestEvent::Resolved(sessions, _)
        | RequestEvent::Settled(sessions)) = &event;
        let mut again = None;
        for session in sessions {
            let work = async {
                match &event {
                    RequestEvent::Opened(_, request) => {
                        faults::may_panic("item", "approvals");
                        let new = self.requested(session.clone(), request).await?;
                        if new.command.is_none() && is_young(request) {
                            return Ok(Some(RECORD_PAUSE));
                        }
                        self.opened(new).await?;
                    }
                    RequestEvent::Resolved(_, request) => {
                        let which = Ended::One(ApprovalSource::AppServer, &request.subject);
                        self.ended(session.clone(), which).await?;
                    }
                    RequestEvent::Settled(_) => {
                        self.ended(session.clone(), Ended::Of(ApprovalSource::AppServer)).await?;
                    }
                }
                Ok::<Again, Error>(None)
            };
            match items.attempt(session.as_str(), work).await {
                Ok(done) => again = again.max(done?),
                Err(pause) => again = again.max(Some(pause)),
            }
        }
        Ok(again)
    }

    /// What a request of the app-server asks. A request to change files does not tell the changes. The call of that id
    /// in the rollout does.
    pub(super) async fn requested(&self, session: SessionId, request: &Request) -> Result<NewApproval> {
        let mut new = asked(session.clone(), request);
        if request.kind == RequestKind::FileChange {
            let item = request.item_id.clone();
            let calls = self.calls.clone();
            let calls = self.store.read(move |connection| calls.of(connection, &session)).await?;
            new.command =
                calls.open.into_iter().find(|call| Some(&call.id) == item.as_ref()).map(|call| call.text);
        }
        Ok(new)
    }

    /// Stores a new approval, and tells the manager of the session's pair. An approval that is stored already
    /// changes nothing.
    pub(super) async fn opened(&self, new: NewApproval) -> Result<()> {
        self.store
            .write(Durability::Full, move |tx| {
                if let Some(id) = approvals::open(tx, &new)? {
                    tell_manager(tx, &id, &new)?;
                }
                Ok::<_, Error>(())
            })
            .await
    }

    /// Ends open approvals of a session.
    pub(super) async fn ended(&self, session: SessionId, which: Ended<'_>) -> Result<()> {
        let id = session.clone();
        let any = self.store.read(move |connection| Ok::<_, Error>(approvals::any_open(connection, &id)?));
        // Most reports concern sessions that ask nothing, and then no write is needed.
        if !any.await? {
            return Ok(());
        }
        let (source, subject) = match which {
            Ended::One(source, subject) => (Some(source), Some(subject.to_owned())),
            Ended::Of(source) => (Some(source), None),
            Ended::Waiting => (None, None),
        };
        self.store
            .write(Durability::Full, move |tx| {
                let which = match (source, &subject) {
                    (Some(source), Some(subject)) => Ended::One(source, subject),
                    (Some(source), None) => Ended::Of(source),
                    (None, _) => Ended::Waiting,
                };
                for id in approvals::end(tx, &session, which)? {
                    withdraw(tx, &session, &id)?;
                }
                Ok::<_, Error>(())
            })
            .await
    }

    /// Ends the approvals of sessions that are gone or run no turn.
    async fn end_stale(&self, items: &Items, sessions: Vec<SessionId>) -> Result<Again> {
        let mut again = None;
        for id in sessions {
            match items.attempt(id.as_str(), self.end_if_stale(&id)).await {
                Ok(done) => done?,
                Err(pause) => again = again.max(Some(pause)),
            }
        }
        Ok(again)
    }

    async fn end_if_stale(&self, id: &SessionId) -> Result<()> {
        let looked_at = id.clone();
        let over = self.store.read(move |connection| {
            if !approvals::any_open(connection, &looked_at)? {
                return Ok(false);
            }
            let Some(session) = sessions::get(connection, looked_at.as_str())? else { return Ok(false) };
            let busy = state::coarse(&state::stored(connection, &session)?) == CoarseState::Busy;
            Ok::<_, Error>(session.state == SessionState::Gone || !busy)
        });
        if over.await? { self.ended(id.clone(), Ended::Waiting).await } else { Ok(()) }
    }

    async fn sweep(&self, items: &Items) -> Result<Again> {
        let open = self.store.read(|connection| Ok::<_, Error>(approvals::sessions_with_open(connection)?));
        self.end_stale(items, open.await?).await
    }
}

/// Whether the record of the call that a request is about may still be unread.
fn is_young(request: &Request) -> bool {
    let age = request.started_at_ms.and_then(|at| clock::timestamp().as_millisecond().checked_sub(at));
    age.is_some_and(|age| u128::from(age.unsigned_abs()) < RECORD_LIMIT.as_millis())
}

fn asked(session: SessionId, request: &Request) -> NewApproval {
    let reason = request.reason.iter().chain(&request.more).map(String::as_str).collect::<Vec<_>>();
    NewApproval {
        session,
        source: ApprovalSource::AppServer,
        kind: match request.kind {
            RequestKind::Command => ApprovalKind::Command,
            RequestKind::FileChange => ApprovalKind::FileChange,
            RequestKind::Permissions => ApprovalKind::Permissions,
            RequestKind::UserInput => ApprovalKind::UserInput,
            RequestKind::Input => ApprovalKind::Other,
        },
        thread_id: Some(ThreadId(request.thread_id.clone())),
        turn_id: request.turn_id.clone().map(TurnId),
        subject: request.subject.clone(),
        occasion: Occasion::Request,
        command: match &request.permissions {
            Some(permissions) if request.kind == RequestKind::Permissions => Some(permissions.to_string()),
            // A request for a host has no command.
            _ => request
                .command
                .clone()
                .or_else(|| Some(request.more.join("\n")).filter(|text| !text.is_empty())),
        },
        cwd: request.cwd.clone(),
        reason: (!reason.is_empty()).then(|| reason.join("\n")),
    }
}

/// Tells the manager of the session's pair. The line that is typed does not quote the command, because the worker has
/// chosen that text.
fn tell_manager(tx: &Tx<'_>, id: &str, new: &NewApproval) -> Result<()> {
    let (Some(pair), Some(approval)) = (attention::pair_of(tx, &new.session)?, approvals::get(tx, id)?)
    else {
        return Ok(());
    };
    let approval = approval.row;
    let Some(told) = attention::asked(tx, &pair, &approval, When::Now)? else { return Ok(()) };
    let Told { id: notification, correlation_id, mode } = told;
    let Pair { binding, task, worker, .. } = pair;
    let what = if new.kind == ApprovalKind::UserInput { "an answer" } else { "an approval" };
    let (task_id, actor) = (Some(task.id.as_str()), Actor::System);
    let mut facts = json!({
        "approval_id": id, "command_length": new.command.as_ref().map(|text| text.chars().count()),
        "delivery_mode": mode, "kind": new.kind, "notification_id": notification, "session": worker.name,
        "source": new.source,
    });
    let correlation_id = Some(correlation_id.as_str());
    // Telemetry holds no texts.
    let attributes = facts.clone();
    facts["command"] = json!(new.command);
    facts["cwd"] = json!(new.cwd);
    facts["reason"] = json!(new.reason);
    facts["extent"] = json!(approval.extent);
    facts["sha256"] = json!(approval.sha256);
    log::event(
        tx,
        &Event {
            actor,
            kind: AuditEvent::ApprovalRequested,
            task_id,
            command_id: None,
            correlation_id,
            payload: facts,
        },
    )?;
    log::telemetry(
        tx,
        &Telemetry {
            actor,
            kind: TelemetryEvent::ApprovalRequested,
            summary: format!("Worker {} waits for {what}.", worker.name),
            task_id,
            run: Run::Active,
            correlation: json!({
                "approval_id": id, "binding_id": binding.id, "correlation_id": correlation_id,
                "routed_notification_id": notification,
            }),
            attributes,
        },
    )?;
    Ok(())
}

/// Takes back the line that was to be typed for an approval that is over.
fn withdraw(tx: &Tx<'_>, session: &SessionId, id: &str) -> Result<()> {
    if let Some(approval) = approvals::get(tx, id)? {
        attention::settled(tx, session, attention::signal_of(approval.row.kind), id)?;
    }
    Ok(())
}
