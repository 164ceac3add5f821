//! Turns a survey into findings: what does not agree, and what to do about it. Pure functions of the survey.

use super::survey::{PaneStanding, RolloutStanding, Sighted, Survey, ThreadStanding};
use crate::{
    clock,
    ingest::Standing,
    sessions::start::kill_command,
    store::{
        drift::{OpenBinding, Undone},
        notifications::UNREACHABLE,
        session_starts::SessionStart,
    },
};
use conveyor_proto::types::drift::{DanglingBinding, DeadSession, DriftKind, Finding, StuckTask};
use std::collections::BTreeMap;

/// All findings: of sessions first, then of bindings, then of work that was left undone.
#[must_use]
pub fn of(survey: &Survey, stale_seconds: f64) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        survey.sessions.iter().flat_map(|sighted| session(survey, sighted)).collect();
    findings.extend(survey.bindings.iter().flat_map(|bound| binding(bound, stale_seconds)));
    findings.extend(survey.unregistered.iter().map(unregistered));
    findings.extend(survey.undone.rows.iter().map(undone));
    findings
}

/// The number of findings of each kind, including those that are not listed.
#[must_use]
pub fn counts(survey: &Survey, findings: &[Finding]) -> BTreeMap<String, u64> {
    let of_rows: Vec<DriftKind> = survey.undone.counts.iter().map(|(kind, _)| *kind).collect();
    let listed = findings.iter().filter(|finding| !of_rows.contains(&finding.kind));
    let listed = listed.map(|finding| (finding.kind, 1));
    let mut counts = BTreeMap::new();
    for (kind, count) in survey.undone.counts.iter().copied().chain(listed) {
        *counts.entry(kind.as_str().to_owned()).or_default() += count;
    }
    counts
}

/// Active sessions whose processes have ended.
#[must_use]
pub fn dead_sessions(survey: &Survey) -> Vec<DeadSession> {
    let dead = survey.sessions.iter().filter(|sighted| is_dead(sighted));
    dead.filter_map(|Sighted { session, .. }| {
        Some(DeadSession {
            name: session.name.clone(),
            role: session.role,
            pid: session.pid?,
            last_heartbeat_at: session.last_heartbeat_at.clone(),
        })
    })
    .collect()
}

pub(super) fn is_dead(sighted: &Sighted) -> bool {
    sighted.alive == Some(false)
}

/// The gone sides of open bindings.
#[must_use]
pub fn dangling_bindings(survey: &Survey) -> Vec<DanglingBinding> {
    let gone = survey.bindings.iter().flat_map(|bound| bound.gone_sides().map(move |side| (bound, side)));
    gone.map(|(bound, side)| DanglingBinding {
        binding_id: bound.id.clone(),
        task_id: bound.task_id.clone(),
        task_name: bound.task_name.clone(),
        gone_role: side.role,
        gone_session_name: side.name.clone(),
    })
    .collect()
}

/// Bound tasks whose newest completed cycle is older than `stale_seconds`.
#[must_use]
pub fn stuck_tasks(survey: &Survey, stale_seconds: f64) -> Vec<StuckTask> {
    let cycled = survey.bindings.iter().filter(|bound| bound.last_cycle_at.is_some());
    cycled.map(since_last_cycle).filter(|task| task.age_seconds > stale_seconds).collect()
}

/// Bound tasks without any completed cycle.
#[must_use]
pub fn never_cycled(survey: &Survey) -> Vec<StuckTask> {
    survey.bindings.iter().filter(|bound| bound.last_cycle_at.is_none()).map(since_last_cycle).collect()
}

fn since_last_cycle(bound: &OpenBinding) -> StuckTask {
    let since = bound.last_cycle_at.as_ref().unwrap_or(&bound.created_at);
    StuckTask {
        task_name: bound.task_name.clone(),
        binding_id: bound.id.clone(),
        last_cycle_at: bound.last_cycle_at.clone(),
        age_seconds: clock::seconds_since(since).unwrap_or_default(),
    }
}

fn finding(kind: DriftKind, message: String, action: impl Into<String>) -> Finding {
    Finding {
        kind,
        severity: kind.severity(),
        message,
        action: action.into(),
        repairable: kind.is_repairable(),
        repaired: false,
        task_id: None,
        task_name: None,
        session: None,
        binding_id: None,
        id: None,
    }
}

fn unregistered(start: &SessionStart) -> Finding {
    let (name, via) = (&start.name, &start.via);
    let message = format!(
        "Codex runs in tmux session {}, started by {via} as {name} and not registered",
        start.tmux_session
    );
    let end_it = kill_command(&start.tmux_socket, &start.tmux_session);
    let action = format!("the same {via} again goes on with it; to end it: {end_it}");
    Finding { session: Some(name.clone()), ..finding(DriftKind::StartUnregistered, message, action) }
}

/// The findings of one session, with the task that it is bound to.
fn session(survey: &Survey, sighted: &Sighted) -> Vec<Finding> {
    let session = &sighted.session;
    let mut findings: Vec<Finding> =
        [process(sighted), rollout(sighted), thread(sighted), pane(sighted)].into_iter().flatten().collect();
    let bound = survey
        .bindings
        .iter()
        .find(|bound| bound.sides.iter().any(|side| side.role == session.role && side.name == session.name));
    for finding in &mut findings {
        finding.session = Some(session.name.clone());
        if let Some(bound) = bound {
            finding.task_id = Some(bound.task_id.to_string());
            finding.task_name = Some(bound.task_name.clone());
            finding.binding_id = Some(bound.id.to_string());
        }
    }
    findings
}

fn process(sighted: &Sighted) -> Option<Finding> {
    let (name, pid) = (&sighted.session.name, sighted.session.pid?);
    is_dead(sighted).then(|| {
        let message = format!("process {pid} of session {name} does not run");
        let action = "`reconcile --apply` marks the session as gone; or register it again where it runs now";
        finding(DriftKind::DeadProcess, message, action)
    })
}

fn rollout(sighted: &Sighted) -> Option<Finding> {
    let session = &sighted.session;
    let name = &session.name;
    let path = session.codex_session_path.as_deref().unwrap_or_default();
    let ingest =
        || format!("`ingest {name}` reads it now; the daemon does so by itself unless `watch` is off");
    Some(match &sighted.rollout {
        RolloutStanding::Pending => {
            let (waiting, why) = sighted.awaited.as_ref()?;
            let message =
                format!("session {name} has been waiting for its first rollout for {waiting:.0} s: {why}");
            finding(
                DriftKind::RolloutPending,
                message,
                "type something into Codex, or register the session with --codex-session FILE",
            )
        }
        RolloutStanding::Missing => finding(
            DriftKind::RolloutMissing,
            format!("rollout {path} of session {name} is not there"),
            "register the session with the file that Codex writes now, or deregister it",
        ),
        RolloutStanding::Unreadable(why) => finding(
            DriftKind::RolloutUnreadable,
            format!("rollout {path} of session {name} cannot be read: {why}"),
            "give the daemon's user a whole file that it can read, or register the session with another",
        ),
        standing if standing.differs(Standing::Shrunk) => finding(
            DriftKind::RolloutShrunk,
            format!("rollout {path} of session {name} is shorter than what was read of it"),
            "register the session again: the file is then read from its beginning",
        ),
        standing if standing.differs(Standing::Replaced) => finding(
            DriftKind::RolloutReplaced,
            format!("rollout {path} of session {name} is another file than the one that was read"),
            ingest(),
        ),
        RolloutStanding::There(seen) if seen.has_unread_line => finding(
            DriftKind::IngestBehind,
            format!("{} bytes of the rollout of session {name} are not stored", seen.lag()),
            ingest(),
        ),
        RolloutStanding::There(_) => return None,
    })
}

fn thread(sighted: &Sighted) -> Option<Finding> {
    let name = &sighted.session.name;
    let thread = sighted.session.codex_session_id.as_ref()?;
    let (what, action) = match &sighted.thread {
        ThreadStanding::Own => return None,
        ThreadStanding::OfSession(other) => (
            format!("is also the thread of session {other}"),
            "`deregister` the one that does not run it, or register it again with the --codex-session FILE of its own",
        ),
        ThreadStanding::HeldBy(other) => (
            format!("is held open by the Codex of session {other}"),
            "register the session again where it runs now",
        ),
        ThreadStanding::ShownBy(other) => (
            format!("is what the pane of session {other} shows by its title"),
            "look at both panes, and register the session again with the --codex-session FILE of its own",
        ),
        ThreadStanding::NotUsers(whose) => (
            format!("belongs to {whose}"),
            "register the session again with the --codex-session FILE of its conversation",
        ),
    };
    let message = format!("thread {thread} of session {name} {what}");
    Some(finding(DriftKind::ThreadNotOwn, message, action))
}

fn pane(sighted: &Sighted) -> Option<Finding> {
    let session = &sighted.session;
    let name = &session.name;
    let tmux_session = session.tmux_session.as_deref().unwrap_or_default();
    Some(match &sighted.pane {
        PaneStanding::None | PaneStanding::There { .. } => return None,
        PaneStanding::Gone => finding(
            DriftKind::PaneGone,
            format!("tmux session {tmux_session} of session {name} does not run"),
            "start Codex there again and register the session; without it, `unbind` its task and `deregister` it",
        ),
        PaneStanding::Other { pane_id } => finding(
            DriftKind::PaneMismatch,
            format!(
                "pane {pane_id} of tmux session {tmux_session} is not the one that session {name} was registered with"
            ),
            "register the session again with the pane that it is in now",
        ),
        PaneStanding::Unknown(why) => finding(
            DriftKind::TmuxUnreachable,
            format!("the pane of session {name} could not be looked at: {why}"),
            "look whether the tmux server answers: `tmux list-sessions`",
        ),
    })
}

/// The findings of one binding.
fn binding(bound: &OpenBinding, stale_seconds: f64) -> Vec<Finding> {
    let (task, id) = (&bound.task_name, &bound.id);
    let mut findings = Vec::new();
    let mut note = |kind, session: Option<&str>, message: String, action: &str| {
        findings.push(Finding {
            task_id: Some(bound.task_id.to_string()),
            task_name: Some(task.clone()),
            binding_id: Some(id.to_string()),
            session: session.map(str::to_owned),
            ..finding(kind, message, action)
        });
    };
    for side in bound.gone_sides() {
        note(
            DriftKind::DanglingBinding,
            Some(&side.name),
            format!("the {} of task {task}, session {}, is gone", side.role.as_str(), side.name),
            "register the session again, which the binding keeps; or `reconcile --apply` marks the binding as \
             invalid, and the task can be bound anew",
        );
    }
    if bound.is_ending && !bound.is_claimed {
        note(
            DriftKind::BindingEnding,
            None,
            format!("the binding of task {task} is ending, and nobody ends it"),
            "`reconcile --apply` makes it active again; then finish the task again",
        );
    }
    let cycle = since_last_cycle(bound);
    if cycle.age_seconds > stale_seconds {
        let age = cycle.age_seconds;
        let (kind, message) = match cycle.last_cycle_at {
            Some(_) => (DriftKind::StuckTask, format!("the last cycle of task {task} ended {age:.0} s ago")),
            None => (
                DriftKind::NeverCycled,
                format!("task {task} was bound {age:.0} s ago, and its manager has never looked at it"),
            ),
        };
        note(kind, None, message, "see whether the manager works; `cycle TASK` looks at the worker");
    }
    findings
}

fn undone(row: &Undone) -> Finding {
    let Undone { kind, what, id, since, note, .. } = row;
    let since = since.as_deref().unwrap_or("an unknown time");
    let by = note.as_deref().map(|note| format!(" ({note})")).unwrap_or_default();
    let dispatch = "Dispatch takes it back by itself; where it is off, `dispatch --once` does";
    let retry = "`commands` shows it; `commands retry` sends it again, `commands discard` closes it";
    let (message, action) = match kind {
        DriftKind::OrphanedCommand => (
            format!("{what} {id}{by} waits for a binding that has ended"),
            "`reconcile --apply` cancels it; queue it again for the present pair",
        ),
        DriftKind::ClaimExpired => (format!("the claim of {what} {id}{by} ran out at {since}"), dispatch),
        DriftKind::RolloutDamaged => (
            format!("the {what} of session {} is damaged{by}", row.session.as_deref().unwrap_or_default()),
            "nothing waits for it: look at the file there, and in the worker's pane for what it says",
        ),
        DriftKind::LeaseExpired => (
            format!("{what} {id} was taken and not acknowledged by {since}"),
            "it is in the inbox again: take it, or run a cycle",
        ),
        DriftKind::CompletionUnrouted => (
            format!("turn {id}{by} ended at {since}, and its manager has not been told"),
            "Dispatch does so by itself; where it is off, `dispatch --once` does",
        ),
        DriftKind::CycleUnfinished => (
            format!("cycle {id} began at {since} and has no end"),
            "run the cycle again; the next start of the daemon closes this one",
        ),
        DriftKind::DeliveryHeld if note.as_deref() == Some(UNREACHABLE) => (
            format!("{what} {id} waits since {since} for its pane, which cannot be reached"),
            "register the session again where it runs now; it is sent then, or can be taken from the inbox",
        ),
        DriftKind::DeliveryHeld => (
            format!("{what} {id} is held back by its pane{by} since {since}"),
            if *what == "command" {
                "answer or clear what the pane shows; it is sent then, or `commands discard` takes it back"
            } else {
                "answer or clear what the pane shows; it is sent then, or can be taken from the inbox"
            },
        ),
        DriftKind::DeliveryUncertain => {
            (format!("{what} {id} of {since} may or may not have arrived"), retry)
        }
        _ => (format!("{what} {id} of {since} did not arrive"), retry),
    };
    Finding {
        task_id: row.task_id.clone(),
        task_name: row.task_name.clone(),
        session: row.session.clone(),
        binding_id: row.binding_id.clone(),
        id: Some(id.clone()),
        ..finding(*kind, message, action)
    }
}
