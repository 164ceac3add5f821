//! The state of a worker: the state machine of its rollout, corrected by what pane, app-server and process
//! table show.

use crate::{
    clock,
    codex::{
        app_server::protocol::{ActiveFlag, ThreadStatus},
        rollout::machine::{self, ThreadState},
        screen::{PaneLook, PaneShows},
    },
    error::Result,
    platform::{self, Pid, ProcessStart},
    sessions::{app_servers::LiveStatus, locate},
    store::{
        rollouts,
        sessions::Session,
        turns::{self, ThreadRef},
    },
};
use conveyor_proto::types::{
    cycle::{CoarseState, StateSource, Turn, WorkerState, WorkerStateView},
    session::SessionState,
};
use rusqlite::Connection;

/// What the database holds of a session's thread.
#[derive(Debug, Clone)]
pub struct Stored {
    pub machine: ThreadState,
    /// Time of the newest record that changed the state.
    pub last_state_event_at: Option<String>,
    /// The running turn, or the last one.
    pub turn: Option<Turn>,
    /// Time and subtype of the newest record.
    pub newest: Option<(String, Option<String>)>,
}

/// Reads what is stored of a session's thread.
pub fn stored(connection: &Connection, session: &Session) -> Result<Stored> {
    let thread_id = session.codex_session_id.clone().unwrap_or_default();
    let thread = ThreadRef { session: &session.id, thread_id: &thread_id };
    let row = rollouts::thread(connection, &session.id, &thread_id)?;
    // A stored state that cannot be parsed counts as unknown.
    let machine =
        row.as_ref().and_then(|row| serde_json::from_str(&row.machine_json).ok()).unwrap_or_default();
    Ok(Stored {
        machine,
        last_state_event_at: row.and_then(|row| row.last_state_event_at),
        turn: turns::newest(connection, thread)?,
        newest: rollouts::newest_event(connection, &session.id)?
            .map(|event| (event.timestamp, event.subtype)),
    })
}

/// The state in three words, by the rollout alone.
#[must_use]
pub fn coarse(stored: &Stored) -> CoarseState {
    match stored.machine.coarse() {
        machine::CoarseState::Busy => CoarseState::Busy,
        machine::CoarseState::Idle => CoarseState::Idle,
        machine::CoarseState::Unknown => CoarseState::Unknown,
    }
}

/// Whether the session's process lives. Its start time is compared too, since process ids are reused.
#[must_use]
pub fn is_alive(session: &Session) -> bool {
    let pid = session.pid.and_then(|pid| Pid::try_from(pid).ok());
    pid.is_some_and(|pid| platform::is_alive(pid, session.pid_start.map(ProcessStart)))
}

/// Whether the process that runs the session's turns lives. This is the session's own process, or the shared
/// daemon of its Codex home, which goes on working when the pane is closed.
#[must_use]
pub fn is_owner_alive(session: &Session) -> bool {
    is_alive(session) || locate::owner(session).is_some_and(|pid| platform::is_alive(pid, None))
}

/// What is known of a session besides its rollout.
#[derive(Debug, Clone, Default)]
pub struct Overlay<'a> {
    /// What the pane shows, and since when.
    pub pane: Option<(&'a PaneLook, &'a str)>,
    /// What Codex's app-server reports of the thread.
    pub live: Option<LiveStatus>,
}

/// Whether the running turn was lost with an earlier run of the app-server: it began before this one, which has the
/// thread and runs no turn in it. Codex writes no end of a turn when its daemon ends.
fn has_lost_turn(live: &LiveStatus, stored: &Stored) -> bool {
    let rests = matches!(live.status, ThreadStatus::Idle | ThreadStatus::SystemError);
    let began = stored.machine.turn.as_ref().and_then(|turn| clock::parse(&turn.since));
    rests && began.is_some_and(|began| began < live.served_since)
}

/// The state after all corrections. A process that has ended decides first. A question to the user counts
/// before busy and before idle.
#[must_use]
pub fn detail(session: &Session, stored: &Stored, overlay: &Overlay<'_>) -> WorkerStateView {
    let look = overlay.pane;
    let since = stored.machine.since.clone();
    let view = |worker_state, worker_state_source, worker_state_since| WorkerStateView {
        worker_state,
        worker_state_source,
        worker_state_since,
        limit_resets_at: None,
    };
    let busy = stored.machine.turn.is_some();
    if session.state == SessionState::Gone && !session.has_exited() {
        return view(WorkerState::Gone, StateSource::Registration, session.last_heartbeat_at.clone());
    }
    if session.has_exited() || session.pid.is_some() && !is_owner_alive(session) {
        let state = if busy { WorkerState::Broken } else { WorkerState::Gone };
        // The row holds the time at which the end was noticed. There is no time before the end has been
        // recorded.
        let gone_since = session.last_heartbeat_at.clone().filter(|_| session.has_exited());
        return view(state, StateSource::Process, gone_since);
    }
    if let Some(live) = overlay.live.as_ref().filter(|live| has_lost_turn(live, stored)) {
        return view(WorkerState::Broken, StateSource::AppServer, Some(clock::text(live.served_since)));
    }
    if let Some(live) = &overlay.live {
        let live_since = Some(live.since.clone());
        if live.status.waits_on(ActiveFlag::WaitingOnApproval) {
            return view(WorkerState::NeedsApproval, StateSource::AppServer, live_since);
        }
        if live.status.waits_on(ActiveFlag::WaitingOnUserInput) {
            return view(WorkerState::NeedsAnswer, StateSource::AppServer, live_since);
        }
    }
    if let Some((look, shown_since)) = look {
        let shown_since = Some(shown_since.to_owned());
        match look.shows {
            PaneShows::Approval => {
                return view(WorkerState::NeedsApproval, StateSource::Pane, shown_since);
            }
            PaneShows::Exited => return view(WorkerState::Gone, StateSource::Pane, shown_since),
            shows if shows.blocks_sending() => {
                return view(WorkerState::NeedsAnswer, StateSource::Pane, shown_since);
            }
            _ => {}
        }
    }
    if session.is_pending()
        && let Some((look, shown_since)) = look
        && look.shows == PaneShows::Busy
    {
        // The session has no rollout yet, so only the pane can tell that Codex works.
        return view(WorkerState::Working, StateSource::Pane, Some(shown_since.to_owned()));
    }
    let state = match stored.machine.phase {
        machine::WorkerPhase::NeverStarted => WorkerState::NeverStarted,
        machine::WorkerPhase::Working => WorkerState::Working,
        machine::WorkerPhase::Done => WorkerState::Done,
        machine::WorkerPhase::Failed => WorkerState::Failed,
        machine::WorkerPhase::Interrupted => WorkerState::Interrupted,
        machine::WorkerPhase::LimitReached => WorkerState::LimitReached,
        machine::WorkerPhase::NeedsApproval => WorkerState::NeedsApproval,
        machine::WorkerPhase::NeedsAnswer => WorkerState::NeedsAnswer,
        machine::WorkerPhase::Broken => WorkerState::Broken,
        machine::WorkerPhase::Gone => WorkerState::Gone,
    };
    let limit_resets_at = (state == WorkerState::LimitReached).then(|| reset_of(stored, overlay)).flatten();
    WorkerStateView { limit_resets_at, ..view(state, StateSource::Rollout, since) }
}

/// When the limit begins anew that a worker has met. The rollout is told of limits with the answers of the model, the
/// app-server also beside them.
fn reset_of(stored: &Stored, overlay: &Overlay<'_>) -> Option<String> {
    let met = clock::parse(stored.machine.since.as_deref()?)?;
    let mut limits = stored.machine.limits.clone();
    if let Some(live) = &overlay.live {
        limits.merge(&live.limits);
    }
    limits.reset_after(met).map(clock::text)
}
