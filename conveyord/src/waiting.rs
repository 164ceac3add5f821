//! Waiting for something that a session does or receives. A wait is woken by commits and by the end of a
//! process; it does not poll rows.
//!
//! A pane does not report its changes. While somebody waits for `blocked`, the pane is looked at after new
//! records and by the sweep. Every other wait looks at the pane once, before it answers that its time ran
//! out. All waits for a session share the looks at its pane.
//!
//! A wait holds no transaction. The turn that it waits for is pinned when the wait begins, so the end of an
//! earlier turn is never taken for the end of the turn that a nudge has caused.

use crate::words::check_timeout;
use crate::{
    changes::{Change, ChangeKind},
    clock,
    cycle::Observer,
    error::{Error, Result},
    ingest::Shrunk,
    platform::{self, Pid, ProcessStart},
    refusal::Kind,
    sessions::{
        app_servers::LiveStatus,
        looks::PaneSeen,
        state::{self, Overlay, Stored},
    },
    store::{
        bindings,
        ids::TurnRow,
        notifications,
        sessions::{self, Session},
        tasks::{self},
        turns::{self, Placed},
    },
    words::shown,
};
use conveyor_proto::types::{
    cycle::{CoarseState, StateSource, WorkerState, WorkerStateView},
    inbox::Notification,
    wait::{
        TurnPin, Until, WaitMessage, WaitOutcome, WaitParams, WaitResult, WaitSession, WaitSource, WaitTask,
    },
};
use rusqlite::Connection;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the rows are read again without a wake. A wake may be lost, and a daemon that does not watch
/// rollouts has none.
const SWEEP: Duration = Duration::from_secs(2);
/// The same for a wait that looks at the pane.
const PANE_SWEEP: Duration = Duration::from_secs(1);
/// Shortest pause between two looks at a pane, however many records arrive.
const PANE_PAUSE: Duration = Duration::from_millis(250);

/// The session that a wait watches, and its task.
struct Watched {
    session: Session,
    task: Option<WaitTask>,
}

/// The findings of one look.
struct Seen {
    session: Session,
    stored: Stored,
    /// The turn that is waited for. None before it has begun.
    pinned: Option<Placed>,
    newest: Option<Placed>,
    item: Option<Notification>,
    pane: Option<PaneSeen>,
    /// The status that Codex's app-server reports.
    live: Option<LiveStatus>,
}

/// The answer that a look gives to the wait.
#[derive(Debug, PartialEq)]
struct Verdict {
    outcome: WaitOutcome,
    source: WaitSource,
    since: Option<String>,
    reason: Option<String>,
}

impl Verdict {
    fn reached(source: WaitSource, since: Option<String>) -> Option<Self> {
        Some(Self { outcome: WaitOutcome::Reached, source, since, reason: None })
    }

    fn unreachable(source: WaitSource, since: Option<String>, reason: String) -> Option<Self> {
        Some(Self { outcome: WaitOutcome::Unreachable, source, since, reason: Some(reason) })
    }
}

/// Waits. A cancelled `shutdown` ends the wait early, and the answer says so.
///
/// # Errors
/// `invalid_params`, `invalid_timeout`, `unknown_target`, `unknown_task`, `ambiguous_task`,
/// `unknown_session`, `not_bound`, `unknown_turn`.
pub async fn wait(
    observer: &Observer,
    params: WaitParams,
    shutdown: &CancellationToken,
) -> Result<WaitResult> {
    check_timeout(params.timeout)?;
    let started = Instant::now();
    let deadline = started + Duration::from_secs_f64(params.timeout);
    let store = &observer.store;
    // The subscription begins before the first look, so that no change between the two is missed.
    let mut changes = store.changes().subscribe();
    let watched = {
        let params = params.clone();
        store.read(move |connection| resolve(connection, &params)).await?
    };
    let id = watched.session.id.clone();
    // Records that are in the file already count as written before the call, so they are read before the turn
    // is pinned.
    read_rollout(observer, &watched.session).await;
    let mut pin = {
        let (params, session) = (params.clone(), watched.session.clone());
        store.read(move |connection| pin(connection, &session, &params)).await?
    };
    let blocked = params.until == Until::Blocked;
    let process = process_of(&watched.session);
    let mut end = std::pin::pin!(async {
        match process {
            Some((pid, start)) => platform::ended(pid, start).await,
            None => std::future::pending().await,
        }
    });
    let (mut has_ended, mut draining, mut was_gone) = (false, false, false);
    loop {
        let looked_at = Instant::now();
        read_rollout(observer, &watched.session).await;
        let mut seen = {
            let (id, until) = (id.clone(), params.until);
            store.read(move |connection| seen(connection, id.as_str(), pin, until)).await?
        };
        seen.live = observer.app_servers.status(&seen.session);
        if blocked {
            seen.pane = observer.looks.look(&seen.session, PANE_PAUSE).await?;
        }
        // Once the pinned turn has begun, the wait keeps to its row.
        if let Some(pinned) = &seen.pinned {
            pin = TurnPin { row: pinned.row.0, next: false, ..pin };
            if params.until == Until::Done && !pin.named && is_no_work(pinned) {
                // The turn was a compaction or the user's own shell command. The work is still to come, so
                // wait for the next turn.
                pin.next = true;
                continue;
            }
        }
        let late = Instant::now() >= deadline;
        let mut detail = detail_of(&seen);
        // What its process wrote last may have come after the reading above: what seems gone is read once more.
        if is_gone(detail.worker_state) && !was_gone {
            was_gone = true;
            continue;
        }
        let mut verdict = judge(params.until, &seen, &detail);
        if verdict.is_none() && late && !blocked && !draining {
            // A question on the screen leaves no record in the rollout. The answer shall show it, so look at
            // the pane once.
            seen.pane = observer.looks.look(&seen.session, PANE_PAUSE).await?;
            detail = detail_of(&seen);
            verdict = judge(params.until, &seen, &detail);
        }
        let verdict = verdict.or_else(|| {
            let early = if draining {
                WaitOutcome::Draining
            } else if late {
                WaitOutcome::TimedOut
            } else {
                return None;
            };
            let (source, since) = (source(detail.worker_state_source), detail.worker_state_since.clone());
            Some(Verdict { outcome: early, source, since, reason: None })
        });
        if let Some(verdict) = verdict {
            let waited = started.elapsed();
            return Ok(result(&params, watched.task, seen, detail, pin, verdict, waited));
        }
        let sweep = looked_at + if blocked { PANE_SWEEP } else { SWEEP };
        tokio::select! {
            _ = changes.wait_for(|change| concerns(change, id.as_str(), params.until)) => {}
            () = &mut end, if !has_ended => has_ended = true,
            () = tokio::time::sleep_until(deadline.min(sweep)) => {}
            () = shutdown.cancelled() => draining = true,
        }
        // Records may arrive in bursts. Let the pane settle before the next look.
        if blocked && !draining {
            tokio::time::sleep_until(deadline.min(looked_at + PANE_PAUSE)).await;
        }
    }
}

/// Whether a change may have brought what the wait is for.
fn concerns(change: &Change, session: &str, until: Until) -> bool {
    let kind = match change.kind {
        ChangeKind::Session => true,
        ChangeKind::TurnStarted | ChangeKind::TurnEnded => until != Until::Message,
        ChangeKind::NotificationDelivered => until == Until::Message,
        ChangeKind::Ingested | ChangeKind::SessionStatus | ChangeKind::Approval => until == Until::Blocked,
        _ => false,
    };
    kind && change.session_id.as_deref() == Some(session)
}

fn process_of(session: &Session) -> Option<(Pid, Option<ProcessStart>)> {
    let pid = Pid::try_from(session.pid?).ok()?;
    Some((pid, session.pid_start.map(ProcessStart)))
}

async fn read_rollout(observer: &Observer, session: &Session) {
    if let Err(error) = observer.ingest.run(&session.id, Shrunk::Refuse).await {
        tracing::debug!(%error, session = %session.id, "a rollout could not be read for a wait");
    }
}

/// Finds the session to watch. If a bare name belongs to a task and to a session, the task counts.
fn resolve(connection: &Connection, params: &WaitParams) -> Result<Watched> {
    let (reference, session) = match (&params.name, &params.task, &params.session) {
        (Some(name), None, None) => (name, sessions::find(connection, name)?),
        (None, Some(task), None) => (task, None),
        (None, None, Some(name)) => return of_session(connection, sessions::resolve(connection, name)?),
        _ => return Err(Error::invalid(Kind::InvalidParams, "name either a task or a session")),
    };
    let task = match (tasks::resolve(connection, reference), session) {
        (Ok(task), _) => task,
        // No task has this name, but a session does.
        (Err(Error::Refused(refusal)), Some(session)) if refusal.kind == Kind::UnknownTask => {
            return of_session(connection, session);
        }
        (Err(Error::Refused(refusal)), None)
            if refusal.kind == Kind::UnknownTask && params.name.is_some() =>
        {
            let message = format!("neither a task nor a session has the name \"{}\"", shown(reference));
            return Err(Error::not_found(Kind::UnknownTarget, message)
                .hint("`tasks` and `sessions --state all` list them"));
        }
        (Err(error), _) => return Err(error),
    };
    let binding = bindings::require_open(connection, &task)
        .map_err(|error| error.hint("`wait --session NAME` waits for an unbound session"))?;
    // Messages reach the manager. All other waits are for the worker.
    let watched = if params.until == Until::Message { &binding.manager } else { &binding.worker };
    let session = sessions::get(connection, watched.as_str())?
        .ok_or_else(|| Error::not_found(Kind::UnknownSession, "a session of the pair does not exist"))?;
    Ok(Watched { session, task: Some(WaitTask { id: task.id.to_string(), name: task.name }) })
}

fn of_session(connection: &Connection, session: Session) -> Result<Watched> {
    let binding = bindings::open_of_session(connection, &session.id)?;
    let task =
        binding.map(|binding| tasks::find(connection, binding.task_id.as_str())).transpose()?.flatten();
    let task = task.map(|task| WaitTask { id: task.id.to_string(), name: task.name });
    Ok(Watched { session, task })
}

/// Finds the turn that the wait is for.
fn pin(connection: &Connection, session: &Session, params: &WaitParams) -> Result<TurnPin> {
    let row_of = |turn_id: &str| {
        turns::by_id(connection, &session.id, turn_id)?.map(|placed| placed.row).ok_or_else(|| {
            let message = format!("session {} has no turn \"{}\"", session.name, shown(turn_id));
            Error::not_found(Kind::UnknownTurn, message)
                .hint("`session-nudge` prints it as proof.turn_id, `cycle` as turn.turn_id")
        })
    };
    let newest = turns::newest_of(connection, &session.id)?;
    let row = newest.as_ref().map(|placed| placed.row).unwrap_or_default();
    match (params.turn.as_deref(), params.after.as_deref(), params.pin) {
        // The caller goes on with an earlier wait.
        (None, None, Some(pin)) => Ok(pin),
        // The turn after the named one.
        (None, Some(turn_id), None) => Ok(TurnPin { row: row_of(turn_id)?.0, next: true, named: false }),
        (Some("last"), None, None) => {
            Ok(TurnPin { row: row.0, next: newest.is_none(), named: newest.is_some() })
        }
        (Some(turn_id), None, None) => Ok(TurnPin { row: row_of(turn_id)?.0, next: false, named: true }),
        (None, None, None) => {
            let stored = state::stored(connection, session)?;
            // The rollout of a session that is gone may end within a turn. That turn does not run any more.
            let busy = state::coarse(&stored) == CoarseState::Busy
                && !is_gone(state::detail(session, &stored, &Overlay::default()).worker_state);
            let runs = busy && newest.is_some_and(|placed| placed.turn.outcome.is_none());
            // If no turn runs, the wait is for the next one.
            Ok(TurnPin { row: row.0, next: !runs, named: false })
        }
        _ => Err(Error::invalid(Kind::InvalidParams, "turn, after and pin exclude each other")),
    }
}

fn seen(connection: &Connection, id: &str, pin: TurnPin, until: Until) -> Result<Seen> {
    let session = sessions::get(connection, id)?
        .ok_or_else(|| Error::not_found(Kind::UnknownSession, "the session does not exist"))?;
    let pinned = if pin.next {
        turns::first_after(connection, &session.id, TurnRow(pin.row))?
    } else {
        turns::at_row(connection, &session.id, TurnRow(pin.row))?
    };
    let item = if until == Until::Message {
        notifications::inbox(connection, &session.id, None, 1)?.pop()
    } else {
        None
    };
    Ok(Seen {
        stored: state::stored(connection, &session)?,
        newest: turns::newest_of(connection, &session.id)?,
        session,
        pinned,
        item,
        pane: None,
        live: None,
    })
}

const fn is_gone(state: WorkerState) -> bool {
    matches!(state, WorkerState::Gone | WorkerState::Broken)
}

/// The state in detail. If the end of the process is not recorded yet, this look counts as the time when it
/// was noticed.
fn detail_of(seen: &Seen) -> WorkerStateView {
    let pane = seen.pane.as_ref().map(|seen| (&seen.look, seen.since.as_str()));
    let mut detail = state::detail(&seen.session, &seen.stored, &Overlay { pane, live: seen.live.clone() });
    if detail.worker_state_source == StateSource::Process {
        detail.worker_state_since.get_or_insert_with(clock::now);
    }
    detail
}

fn is_no_work(placed: &Placed) -> bool {
    placed.turn.outcome.is_some() && matches!(placed.turn.kind.as_str(), "compaction" | "shell")
}

fn judge(until: Until, seen: &Seen, detail: &WorkerStateView) -> Option<Verdict> {
    let (state, since) = (detail.worker_state, || detail.worker_state_since.clone());
    let from = source(detail.worker_state_source);
    let is_gone = is_gone(state);
    let pinned = seen.pinned.as_ref().map(|placed| &placed.turn);
    let ended = pinned.and_then(|turn| Some((turn.outcome.as_deref()?, turn.ended_at.clone())));
    match until {
        Until::Gone if is_gone => return Verdict::reached(from, since()),
        Until::Message => {
            let item = seen.item.as_ref()?;
            return Verdict::reached(WaitSource::Inbox, Some(since_of(item)));
        }
        Until::Blocked => {
            let blocked = [WorkerState::NeedsApproval, WorkerState::NeedsAnswer, WorkerState::LimitReached];
            if blocked.contains(&state) {
                return Verdict::reached(from, since());
            }
        }
        Until::Busy => {
            if let Some(turn) = pinned
                && !is_gone
            {
                return Verdict::reached(WaitSource::Rollout, turn.started_at.clone());
            }
        }
        // The pinned turn has ended. `/goal` and queued input may have begun another one by now, so the
        // thread must be idle too.
        Until::Idle => {
            if let Some((_, at)) = ended
                && state::coarse(&seen.stored) != CoarseState::Busy
            {
                return Verdict::reached(WaitSource::Rollout, at);
            }
        }
        Until::Done => match ended {
            Some(("done", at)) => return Verdict::reached(WaitSource::Rollout, at),
            Some((outcome, at)) => {
                let reason = format!("the turn has ended otherwise: {outcome}");
                return Verdict::unreachable(WaitSource::Rollout, at, reason);
            }
            None => {}
        },
        Until::Gone => {}
    }
    // Whatever the wait was for cannot happen any more.
    if is_gone && until != Until::Gone {
        let how = if state == WorkerState::Broken { "its process ended in a turn" } else { "it is gone" };
        return Verdict::unreachable(from, since(), format!("session {}: {how}", seen.session.name));
    }
    None
}

fn since_of(item: &Notification) -> String {
    item.delivered_at.clone().unwrap_or_else(|| item.created_at.clone())
}

const fn source(source: StateSource) -> WaitSource {
    match source {
        StateSource::Rollout => WaitSource::Rollout,
        StateSource::Pane => WaitSource::Pane,
        StateSource::Process => WaitSource::Process,
        StateSource::AppServer => WaitSource::AppServer,
        StateSource::Registration => WaitSource::Registration,
    }
}

fn result(
    params: &WaitParams,
    task: Option<WaitTask>,
    seen: Seen,
    detail: WorkerStateView,
    pin: TurnPin,
    verdict: Verdict,
    waited: Duration,
) -> WaitResult {
    let state = state::coarse(&seen.stored);
    let of_a_turn = matches!(params.until, Until::Idle | Until::Busy | Until::Done);
    let turn = if of_a_turn { seen.pinned } else { seen.newest };
    let Seen { session, item, pane, .. } = seen;
    WaitResult {
        until: params.until,
        outcome: verdict.outcome,
        timed_out: verdict.outcome == WaitOutcome::TimedOut,
        reason: verdict.reason,
        source: verdict.source,
        since: verdict.since,
        task,
        session: WaitSession {
            id: session.id.to_string(),
            name: session.name,
            role: session.role,
            state: session.state,
            gone_reason: session.gone_reason,
        },
        state,
        detail,
        question: pane.and_then(|seen| seen.look.question),
        turn: turn.map(|placed| placed.turn),
        pin,
        message: item.map(|item| WaitMessage {
            since: since_of(&item),
            notification_id: item.id,
            signal_type: item.signal_type,
        }),
        elapsed_seconds: waited.as_secs_f64(),
        timeout_seconds: params.timeout,
    }
}
