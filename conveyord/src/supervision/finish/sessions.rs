//! The sessions of a task that ends. In this order they are looked at, sent the last message, captured, and
//! ended; the worker before the manager.

use super::{
    FinishContext, MessageSender,
    rows::{Claim, event},
};
use crate::{
    error::Error,
    faults::{self, CrashPoint},
    refusal::Kind,
    sessions::pane::{self, Sighting},
    store::{Durability, StoreError, event_names::AuditEvent, finish::Ending, sessions::Session},
    tmux::CaptureStyle,
    transcripts::{self, Capture},
};
use conveyor_proto::types::finish::{FinishParams, Identity, PreStopCapture, PreStopSegment};
use serde_json::json;

/// The `source` of captures that are made before an end.
const CAPTURE_SOURCE: &str = "finish_task_pre_stop";

const NO_MESSAGE: &str = "--message has no effect without --stop-worker";

/// How far the end of the sessions has come.
#[derive(Debug, Clone, Default)]
pub(super) struct Ended {
    pub(super) killed_worker: bool,
    pub(super) killed_manager: bool,
    /// Whether the worker's pane was ended or had ended already.
    pub(super) worker_is_gone: bool,
    pub(super) manager_is_gone: bool,
    pub(super) worker_identity: Option<Identity>,
    pub(super) manager_identity: Option<Identity>,
    pub(super) captures: Vec<PreStopCapture>,
    pub(super) warnings: Vec<String>,
}

/// A session that is to be ended, and the look at its pane.
struct Doomed<'a> {
    session: &'a Session,
    sighting: &'a Sighting,
}

/// Ends the sessions that the caller wants to end. `ended` says how far this came, also after an error.
pub(super) async fn end<S: MessageSender>(
    context: &FinishContext<S>,
    params: &FinishParams,
    claim: &Claim,
    ended: &mut Ended,
) -> Result<(), Error> {
    ended.warnings.extend(warnings(params, claim));
    // The manager is always looked at, so that a warning can say that its pane is not its own any more. The
    // worker is looked at only if it is to be ended.
    let manager = match &claim.manager {
        Some(session) => Some(pane::sight(session, context.command_timeout).await?),
        None => None,
    };
    let worker = match claim.worker.as_ref().filter(|_| params.stop_worker) {
        Some(session) => Some(pane::sight(session, context.command_timeout).await?),
        None => None,
    };
    ended.manager_identity = manager.as_ref().map(|sighting| sighting.identity.clone());
    ended.worker_identity = worker.as_ref().map(|sighting| sighting.identity.clone());
    record_identities(context, claim, ended).await?;

    // These refusals come before the first message and capture, so that they leave everything as it was.
    let shared = share_tmux_session(claim, worker.as_ref(), manager.as_ref());
    let worker = doomed(claim.worker.as_ref(), worker.as_ref(), params.stop_worker, &mut ended.warnings)?;
    let manager = doomed(claim.manager.as_ref(), manager.as_ref(), params.stop_manager, &mut ended.warnings)?;
    if shared {
        refuse_one_of_two(claim, worker.as_ref(), manager.as_ref())?;
    }
    let captures = params.capture_transcript_before_stop;
    // A pane that is gone cannot be captured.
    let gone = [&worker, &manager].into_iter().flatten().find(|doomed| doomed.sighting.is_gone());
    if let Some(gone) = gone.filter(|_| captures && params.require_transcript_segment) {
        return Err(segment_missing(gone.session));
    }

    if let (Some(message), Some(worker)) = (&params.message, &worker) {
        if worker.sighting.is_gone() {
            ended.warnings.push("the message was not sent: the worker's pane is gone".to_owned());
        } else {
            // A crash may have come after the message was sent. The sender looks for it since the earlier
            // try.
            let earlier = claim.earlier.as_deref();
            if !context.sender.send(worker.session, message, earlier).await? {
                ended.warnings.push(
                    "the message was not sent again: an earlier try of this finish has sent it".to_owned(),
                );
            }
            faults::reach(CrashPoint::LastMessageSent);
        }
    }
    if captures {
        for doomed in [&worker, &manager].into_iter().flatten() {
            if let Some(capture) = store_pane(context, params, claim, doomed).await? {
                ended.captures.push(capture);
            }
        }
        record_captures(context, params, claim, ended).await?;
    }
    let worker_is_doomed = worker.is_some();
    if let Some(worker) = worker {
        context.sender.end_turn(worker.session).await;
        ended.killed_worker = pane::end(worker.session, worker.sighting, context.command_timeout).await?;
        faults::reach(CrashPoint::WorkerEnded);
        ended.worker_is_gone = true;
    }
    if let Some(manager) = manager {
        context.sender.end_turn(manager.session).await;
        // If both shared one tmux session, the manager has ended together with the worker.
        ended.killed_manager = !(shared && worker_is_doomed)
            && pane::end(manager.session, manager.sighting, context.command_timeout).await?;
        faults::reach(CrashPoint::ManagerEnded);
        ended.manager_is_gone = true;
    }
    Ok(())
}

/// Whether worker and manager run in one tmux session, so that ending one ends both. A look at either of them
/// is enough.
fn share_tmux_session(claim: &Claim, worker: Option<&Sighting>, manager: Option<&Sighting>) -> bool {
    let (Some(of_worker), Some(of_manager)) = (&claim.worker, &claim.manager) else { return false };
    of_worker.has_tmux()
        && of_manager.has_tmux()
        && pane::server_of(of_worker) == pane::server_of(of_manager)
        && (worker.is_some_and(|worker| worker.ends_with(of_manager))
            || manager.is_some_and(|manager| manager.ends_with(of_worker)))
}

/// The warnings for flags that have no effect.
fn warnings(params: &FinishParams, claim: &Claim) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |applies: bool, text: &str| {
        if applies {
            warnings.push(text.to_owned());
        }
    };
    if claim.ending == Ending::Stop {
        warn(params.message.is_some() && !params.stop_worker, NO_MESSAGE);
        let outside = [(params.stop_worker, &claim.worker), (true, &claim.manager)];
        for session in
            outside.into_iter().filter(|(stop, _)| *stop).filter_map(|(_, session)| session.as_ref())
        {
            if !session.has_tmux() {
                warnings
                    .push(format!("session {} runs outside tmux: its process was left alone", session.name));
            }
        }
        return warnings;
    }
    let stops = params.stop_worker || params.stop_manager;
    warn(params.message.is_some() && !params.stop_worker, NO_MESSAGE);
    warn(
        params.require_transcript_segment && !params.capture_transcript_before_stop,
        "--require-transcript-segment has no effect without --capture-transcript-before-stop",
    );
    warn(
        params.capture_transcript_before_stop && !stops,
        "--capture-transcript-before-stop has no effect without --stop-worker or --stop-manager",
    );
    for (stop, session, flag) in [
        (params.stop_worker, &claim.worker, "--stop-worker"),
        (params.stop_manager, &claim.manager, "--stop-manager"),
    ] {
        match session {
            _ if !stop => {}
            None => warnings.push(format!("{flag} had no effect: the task has no such session")),
            Some(session) if !session.has_tmux() => {
                warnings.push(format!("{flag} had no effect: session {} runs outside tmux", session.name));
            }
            Some(_) => {}
        }
    }
    warnings
}

/// The session, if it is to be ended. Its pane must be its own or be gone. If a session that is left alone
/// does not match its pane, a warning says so.
fn doomed<'a>(
    session: Option<&'a Session>,
    sighting: Option<&'a Sighting>,
    stop: bool,
    warnings: &mut Vec<String>,
) -> Result<Option<Doomed<'a>>, Error> {
    let (Some(session), Some(sighting)) = (session, sighting) else { return Ok(None) };
    if stop && session.has_tmux() {
        // Ending somebody else's pane is worse than failing.
        if !sighting.is_gone() {
            sighting.require()?;
        }
        return Ok(Some(Doomed { session, sighting }));
    }
    if !sighting.identity.mismatches.is_empty() {
        let mismatches = sighting.identity.mismatches.join(", ");
        warnings.push(format!("session {} could not be verified: {mismatches}", session.name));
    }
    Ok(None)
}

/// Refuses to end only one of two sessions in the same tmux session, because the other would end too.
fn refuse_one_of_two(
    claim: &Claim,
    worker: Option<&Doomed<'_>>,
    manager: Option<&Doomed<'_>>,
) -> Result<(), Error> {
    let doomed = [worker, manager].into_iter().flatten().filter(|doomed| !doomed.sighting.is_gone()).count();
    if doomed != 1 {
        return Ok(());
    }
    Err(Error::conflict(
        Kind::SharedTmuxSession,
        "worker and manager run in one tmux session: ending one would end both",
    )
    .hint(match claim.ending {
        Ending::Finish => "give both --stop-worker and --stop-manager, or neither",
        Ending::Stop => "--stop-worker ends both",
    }))
}

fn segment_missing(session: &Session) -> Error {
    let message = format!("the pane of session {} brings no transcript segment", session.name);
    Error::refused(Kind::TranscriptSegmentMissing, message)
        .hint("finish without --require-transcript-segment")
}

async fn record_identities<S>(context: &FinishContext<S>, claim: &Claim, ended: &Ended) -> Result<(), Error> {
    let (task_id, command_id) = (claim.task.id.clone(), claim.command_id.clone());
    let looks = [
        (AuditEvent::ManagerIdentityVerified, ended.manager_identity.clone()),
        (AuditEvent::WorkerIdentityVerified, ended.worker_identity.clone()),
    ];
    context
        .store
        .write(Durability::Full, move |tx| {
            for (kind, identity) in looks {
                if let Some(identity) = identity {
                    event(tx, task_id.as_str(), &command_id, kind, json!(identity))?;
                }
            }
            Ok::<_, StoreError>(())
        })
        .await?;
    Ok(())
}

/// Captures the pane of a session before it is ended. A pane that is gone has nothing to capture.
async fn store_pane<S>(
    context: &FinishContext<S>,
    params: &FinishParams,
    claim: &Claim,
    doomed: &Doomed<'_>,
) -> Result<Option<PreStopCapture>, Error> {
    let Some(pane) = &doomed.sighting.pane else { return Ok(None) };
    let history_lines = u32::try_from(params.capture_transcript_lines).unwrap_or_default();
    let tmux = pane::tmux(doomed.session, context.command_timeout);
    let content = tmux.capture(pane.pane_id, history_lines, CaptureStyle::Plain).await?;
    let (task_id, command_id, role) = (claim.task.id.clone(), claim.command_id.clone(), doomed.session.role);
    let (tmux_session, pane_id) = (pane.session_name.clone(), pane.pane_id);
    let mode = params.capture_transcript_mode;
    let stored = context
        .store
        .write(Durability::Full, move |tx| {
            let capture = Capture {
                task_id: task_id.as_str(),
                role,
                tmux_session: &tmux_session,
                tmux_pane_id: Some(pane_id),
                command_id: Some(command_id.as_str()),
                history_lines,
                content: &content,
                source: CAPTURE_SOURCE,
            };
            transcripts::record(tx, &capture, mode)
        })
        .await?;
    if params.require_transcript_segment
        && stored.segment.as_ref().is_none_or(|segment| segment.written_line_count == 0)
    {
        return Err(segment_missing(doomed.session));
    }
    Ok(Some(PreStopCapture {
        capture_id: stored.id.0,
        content_sha256: stored.content_sha256,
        history_lines: i64::from(history_lines),
        line_count: count(stored.line_count),
        role: role.as_str().to_owned(),
        source: CAPTURE_SOURCE.to_owned(),
        transcript_segment: stored.segment.map(|segment| PreStopSegment {
            id: segment.id,
            kind: segment.kind.as_str().to_owned(),
            line_count: count(segment.line_count),
            retention_class: segment.retention_class.to_owned(),
        }),
    }))
}

fn count(lines: usize) -> i64 {
    i64::try_from(lines).unwrap_or(i64::MAX)
}

async fn record_captures<S>(
    context: &FinishContext<S>,
    params: &FinishParams,
    claim: &Claim,
    ended: &Ended,
) -> Result<(), Error> {
    let (task_id, command_id) = (claim.task.id.clone(), claim.command_id.clone());
    let payload = json!({
        "captures": ended.captures,
        "lines": params.capture_transcript_lines,
        "mode": params.capture_transcript_mode,
    });
    context
        .store
        .write(Durability::Full, move |tx| {
            event(tx, task_id.as_str(), &command_id, AuditEvent::FinishTaskPreStopTranscriptCaptured, payload)
        })
        .await
        .map_err(|error: StoreError| error.into())
}
