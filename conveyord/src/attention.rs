//! What a manager has to know of its worker beside the ends of its turns: each occurrence is one notification, stored in
//! the transaction of the fact that it is about. Dispatch types it into the manager's pane, or it waits in the inbox, as
//! a completion does.
//!
//! The ends of turns are routed by Dispatch itself (`dispatch::completions`): they wait for a follow-up first.

use crate::{
    clock,
    store::{
        StoreError, Tx, approvals,
        bindings::{self, Binding, BindingState},
        ids::NotificationId,
        notifications::{self, NewNotification, Pushed, mending},
        sessions::{self, Session},
        tasks,
    },
};
use conveyor_proto::{
    ids::{SessionId, TaskId, ThreadId},
    text::{quoted, typeable},
    types::{
        approval::{ApprovalKind, ApprovalRow, ApprovalState},
        common::DeliveryMode,
        dispatch::SignalType,
        session::SessionState,
        supervision::Acknowledgement,
        task::TaskRow,
    },
};
use serde_json::{Map, Value, json};

/// Why an occurrence is withdrawn of which nobody was told yet: it does not wait any more.
const SETTLED: &str = "settled";

/// Whether the fact is older than the pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Now,
    BeforeBinding,
}

/// A fact about a worker that ends or blocks its progress, or that it addresses to its manager.
#[derive(Debug)]
pub struct Occurrence<'a> {
    pub signal: SignalType,
    /// What tells it from others of its signal, for this pair.
    pub key: &'a str,
    /// What happened, as it follows the worker's name in a sentence. It quotes nothing that the worker has chosen.
    pub happened: &'a str,
    /// The command that shows more, without its task, such as `cycle`.
    pub look: &'a str,
    pub when: When,
    /// Facts for programs, as members of the payload.
    pub facts: Map<String, Value>,
}

/// An occurrence that its manager is told of.
#[derive(Debug)]
pub struct Told {
    pub id: NotificationId,
    pub correlation_id: String,
    pub mode: DeliveryMode,
}

/// A worker's pair.
#[derive(Debug)]
pub struct Pair {
    pub binding: Binding,
    pub task: TaskRow,
    pub worker: Session,
    pub manager: Session,
}

/// The pair of a worker, unless it is ending.
///
/// # Errors
/// When the database cannot be read or written.
pub fn pair_of(tx: &Tx<'_>, worker: &SessionId) -> Result<Option<Pair>, StoreError> {
    let Some(binding) = bindings::open_of_worker(tx, worker)? else { return Ok(None) };
    // Whoever ends the task, and may end the worker with it, knows.
    if binding.state != BindingState::Active {
        return Ok(None);
    }
    let task = tasks::find(tx, binding.task_id.as_str())?;
    let worker = sessions::get(tx, binding.worker.as_str())?;
    let manager = sessions::get(tx, binding.manager.as_str())?;
    Ok(match (task, worker, manager) {
        (Some(task), Some(worker), Some(manager)) => Some(Pair { binding, task, worker, manager }),
        _ => None,
    })
}

/// Tells the manager of a pair. `None` if it was told of the same before, or is about to be.
///
/// # Errors
/// When the database cannot be read or written.
pub fn tell(tx: &Tx<'_>, pair: &Pair, occurrence: &Occurrence<'_>) -> Result<Option<Told>, StoreError> {
    let Pair { binding, task, worker, manager } = pair;
    let signal = occurrence.signal;
    let message = format!(
        "Worker {} of task {} {}. Run `conveyorctl {} {}`.",
        typeable(&worker.name),
        quoted(&task.name),
        occurrence.happened,
        occurrence.look,
        task.id,
    );
    let has_pane = manager.state == SessionState::Active && manager.has_tmux();
    let mode = if has_pane { DeliveryMode::Push } else { DeliveryMode::PullRequired };
    let mut payload = occurrence.facts.clone();
    for (name, value) in [
        ("delivery_mode", json!(mode)),
        ("message", json!(message)),
        ("signal", json!(signal)),
        ("source_session", json!(worker.name)),
        ("target_session", json!(manager.name)),
        ("task", json!(task.name)),
    ] {
        payload.insert(name.to_owned(), value);
    }
    if occurrence.when == When::BeforeBinding {
        payload.insert("before_binding".to_owned(), json!(true));
    }
    let (correlation_id, key) = (clock::new_id("dispatch"), dedupe_key(binding, signal, occurrence.key));
    let inserted = notifications::insert(
        tx,
        &NewNotification {
            task: &task.id,
            binding: &binding.id,
            correlation_id: &correlation_id,
            source: &worker.id,
            target: &manager.id,
            signal_type: signal.as_str(),
            source_event: None,
            turn_row_id: None,
            dedupe_key: &key,
            command_id: None,
            mode,
            claim: None,
            payload: &Value::Object(payload),
        },
    )?;
    let Some(id) = inserted else {
        // The same has come up again that seemed to be over: it is told if nobody was told before.
        if let Some(again) = mending::revive(tx, &key, SETTLED)? {
            mending::publish_pending(tx, again, task.id.as_str(), manager.id.as_str());
        }
        return Ok(None);
    };
    // Dispatch types it, or gives it to a call that waits at the inbox.
    if mode == DeliveryMode::Push {
        mending::publish_pending(tx, id, task.id.as_str(), manager.id.as_str());
    } else {
        notifications::deliver(tx, id, Pushed::NOTHING)?;
    }
    Ok(Some(Told { id, correlation_id, mode }))
}

/// Tells the manager of a worker, if it has one.
///
/// # Errors
/// When the database cannot be read or written.
pub fn tell_manager_of(
    tx: &Tx<'_>,
    worker: &SessionId,
    occurrence: &Occurrence<'_>,
) -> Result<Option<Told>, StoreError> {
    match pair_of(tx, worker)? {
        Some(pair) => tell(tx, &pair, occurrence),
        None => Ok(None),
    }
}

/// Withdraws an occurrence that waits no longer, unless somebody was told of it.
///
/// # Errors
/// When the database cannot be read or written.
pub fn settled(tx: &Tx<'_>, worker: &SessionId, signal: SignalType, key: &str) -> Result<(), StoreError> {
    if let Some(binding) = bindings::open_of_worker(tx, worker)? {
        mending::suppress_unsent(tx, &dedupe_key(&binding, signal, key), SETTLED)?;
    }
    Ok(())
}

fn dedupe_key(binding: &Binding, signal: SignalType, key: &str) -> String {
    format!("{}:{}:{key}", binding.id, signal.as_str())
}

/// The signal of what Codex asks its user.
#[must_use]
pub const fn signal_of(kind: ApprovalKind) -> SignalType {
    match kind {
        ApprovalKind::UserInput => SignalType::WorkerQuestion,
        ApprovalKind::Command
        | ApprovalKind::FileChange
        | ApprovalKind::Permissions
        | ApprovalKind::Tool
        | ApprovalKind::Other => SignalType::ApprovalRequested,
    }
}

/// Tells the manager what its worker waits for.
///
/// # Errors
/// When the database cannot be read or written.
pub fn asked(
    tx: &Tx<'_>,
    pair: &Pair,
    approval: &ApprovalRow,
    when: When,
) -> Result<Option<Told>, StoreError> {
    let signal = signal_of(approval.kind);
    let happened = match signal {
        SignalType::WorkerQuestion => "waits for an answer",
        _ => "waits for an approval",
    };
    let facts = Map::from_iter([("approval".to_owned(), json!(approval))]);
    let occurrence = Occurrence { signal, key: &approval.id, happened, look: "approvals list", when, facts };
    tell(tx, pair, &occurrence)
}

/// Tells the manager of a new pair what its worker has waited for since before.
///
/// # Errors
/// When the database cannot be read or written.
pub fn bound(tx: &Tx<'_>, worker: &SessionId) -> Result<(), StoreError> {
    let Some(pair) = pair_of(tx, worker)? else { return Ok(()) };
    let open = approvals::list(tx, Some(worker), approvals::Shown::Open)?;
    for approval in open.iter().filter(|approval| approval.state == ApprovalState::Pending) {
        asked(tx, &pair, approval, When::BeforeBinding)?;
    }
    Ok(())
}

/// Tells the manager that its worker's process has ended.
///
/// # Errors
/// When the database cannot be read or written.
pub fn worker_gone(tx: &Tx<'_>, worker: &Session, in_turn: bool) -> Result<(), StoreError> {
    // One session may be registered with another process and end again.
    let key =
        format!("{}:{}:{}", worker.id, worker.pid.unwrap_or_default(), worker.pid_start.unwrap_or_default());
    let occurrence = Occurrence {
        signal: SignalType::WorkerGone,
        key: &key,
        happened: if in_turn {
            "has ended in its turn: its process is gone"
        } else {
            "has ended: its process is gone"
        },
        look: "cycle",
        when: When::Now,
        facts: Map::from_iter([
            ("pid".to_owned(), json!(worker.pid)),
            ("turn_running".to_owned(), json!(in_turn)),
        ]),
    };
    tell_manager_of(tx, &worker.id, &occurrence).map(drop)
}

/// Tells the manager that its worker shows another conversation.
///
/// # Errors
/// When the database cannot be read or written.
pub fn thread_changed(tx: &Tx<'_>, before: &Session, thread: &ThreadId) -> Result<(), StoreError> {
    // A session that had no thread yet begins its first one.
    let Some(previous) = &before.codex_session_id else { return Ok(()) };
    if previous == thread {
        return Ok(());
    }
    let occurrence = Occurrence {
        signal: SignalType::WorkerThreadChanged,
        key: &format!("{}:{previous}:{thread}:{}", before.id, tx.now()),
        happened: "shows another conversation",
        look: "cycle",
        when: When::Now,
        facts: Map::from_iter([
            ("thread_id".to_owned(), json!(thread)),
            ("previous_thread_id".to_owned(), json!(previous)),
        ]),
    };
    tell_manager_of(tx, &before.id, &occurrence).map(drop)
}

/// Tells the manager of an acknowledgement that waits for its answer: it has questions, or says that it is not ready.
///
/// # Errors
/// When the database cannot be read or written.
pub fn acknowledged(tx: &Tx<'_>, ack: &Acknowledgement) -> Result<(), StoreError> {
    let Some(binding) = bindings::open_of_task(tx, &TaskId(ack.task_id.clone()))? else { return Ok(()) };
    let questions = ack.payload.get("questions");
    let asks = questions.is_some_and(|questions| match questions {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
    });
    let is_ready = ack.payload.get("ready_to_start") != Some(&Value::Bool(false));
    if is_ready && !asks {
        return Ok(());
    }
    let occurrence = Occurrence {
        signal: SignalType::WorkerAcknowledged,
        key: &ack.id.to_string(),
        happened: if asks { "has a question about its contract" } else { "is not ready to start" },
        look: "worker-ack --json",
        when: When::Now,
        facts: Map::from_iter([
            ("ack_id".to_owned(), json!(ack.id)),
            ("questions".to_owned(), questions.cloned().unwrap_or_default()),
            ("ready_to_start".to_owned(), json!(is_ready)),
        ]),
    };
    tell_manager_of(tx, &binding.worker, &occurrence).map(drop)
}
