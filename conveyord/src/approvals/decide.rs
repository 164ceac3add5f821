//! A manager's answer to an approval. The configuration of its task must allow the answer. The answer is
//! claimed once, sent once, and recorded.

use super::{Approvals, PERMISSION};
use crate::{
    changes::ChangeKind,
    codex::app_server::{Client, Request, RequestKind},
    error::{Error, Result},
    faults::{self, CrashPoint},
    refusal::Kind,
    store::{
        Durability, Tx,
        approvals::{self, Answer, Approval, Decided, Decision},
        bindings::{self, Binding},
        event_names::{InfoOrWarning, SharedEvent},
        log::{self, Actor, Event, Run, Telemetry},
        sessions::{self, Session},
        tasks::{self},
    },
    supervision::{context, permissions},
    words::shown,
};
use conveyor_proto::types::{
    approval::{
        ApprovalExtent, ApprovalKind, ApprovalRow, ApprovalSource, ApprovalState, DecideParams, DecideResult,
    },
    dispatch::PermissionCheck,
    task::TaskRow,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long the app-server may take to ask again for what it asked an earlier daemon.
const ASK_LIMIT: Duration = Duration::from_secs(5);
/// How long the app-server may take to report the end of a request.
const END_LIMIT: Duration = Duration::from_secs(5);

/// A decision and the rows that it concerns.
#[derive(Clone)]
pub(super) struct Judged {
    approval: Approval,
    session: Session,
    task: TaskRow,
    binding: Binding,
    check: PermissionCheck,
    decision: Decision,
    reason: String,
}

/// Who holds the claim of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claimed {
    ByThisCall,
    /// Nobody, or another call.
    No,
}

impl Approvals {
    /// Answers an approval for the manager of its worker's task.
    ///
    /// # Errors
    /// `blank_reason`, `unknown_approval`, `unknown_task`, `ambiguous_task`, `not_bound`,
    /// `approval_of_another_task`, `permission_denied`, `approval_resolved`, `approval_needs_person`,
    /// `approval_cut`, `approval_ambiguous`, `approval_changed`, `approval_unreachable`. After any error nothing was
    /// answered.
    pub async fn decide(&self, params: DecideParams, decision: Decision) -> Result<DecideResult> {
        if params.reason.trim().is_empty() {
            return Err(Error::invalid(Kind::BlankReason, "the reason is blank").hint("--reason TEXT"));
        }
        let judged = self.store.read(move |connection| judge(connection, &params, decision)).await?;
        if !judged.check.allowed {
            return self.refuse(judged).await;
        }
        let row = &judged.approval.row;
        if row.state != ApprovalState::Pending {
            return Err(over(row));
        }
        // The model asks for a choice or a text here. Accepting or declining does not answer it.
        if matches!(row.kind, ApprovalKind::UserInput | ApprovalKind::Other) {
            let message = format!("session {} asks for an answer, not for an approval", row.session);
            return Err(Error::conflict(Kind::ApprovalNeedsPerson, message)
                .hint("answer it in the session's pane, or end its turn: `session-interrupt`"));
        }
        if decision == Decision::Accept {
            seen_whole(row)?;
        }
        let certain = match row.source {
            ApprovalSource::AppServer => self.answer(&judged).await?,
            // The claim is taken late: after the menu was seen again, right before the key is pressed.
            ApprovalSource::Pane => {
                let mut claimed = Claimed::No;
                let claim = async {
                    self.claim(&judged).await?;
                    claimed = Claimed::ByThisCall;
                    Ok(())
                };
                let pressed = self.press_for(&judged.session, &judged.approval, decision, claim).await;
                self.given_back(&judged, claimed, pressed).await?
            }
        };
        let answer = if certain { Answer::Arrived } else { Answer::Uncertain };
        self.conclude(judged, answer).await
    }

    /// Answers the request of the app-server. Returns whether the app-server has reported the end of the
    /// request.
    async fn answer(&self, judged: &Judged) -> Result<bool> {
        let row = &judged.approval.row;
        let thread = row.thread_id.as_deref().unwrap_or_default();
        let subject = &judged.approval.subject;
        let Some((client, request)) = self.app_servers.request_within(thread, subject, ASK_LIMIT).await
        else {
            let message = "Codex's app-server does not ask for this on our connection".to_owned();
            return Err(Error::unavailable(Kind::ApprovalUnreachable, message)
                .hint("`approvals list` shows what is asked for now; it can be answered in the pane too"));
        };
        let asked = self.requested(judged.session.id.clone(), &request).await?;
        let (command, cwd, reason) =
            (asked.command.as_deref(), asked.cwd.as_deref(), asked.reason.as_deref());
        if judged.decision == Decision::Accept
            && approvals::digest(asked.kind, command, cwd, reason) != row.sha256
        {
            return Err(changed(row));
        }
        // The subscription begins before the answer is sent, so that the end of the request is not missed.
        let mut changes = self.store.changes().subscribe();
        // After the claim no other call can answer this approval.
        self.claim(judged).await?;
        faults::reach(CrashPoint::ApprovalClaimed);
        let sent = self.send(&client, &request, judged.decision).await;
        faults::reach(CrashPoint::ApprovalAnswered);
        if !self.given_back(judged, Claimed::ByThisCall, sent).await? {
            return Ok(false);
        }
        // Without a report of the end it stays unknown whether the answer has arrived, and nobody may answer
        // again.
        let deadline = Instant::now() + END_LIMIT;
        loop {
            if self.current(&row.id).await?.row.state != ApprovalState::Answering {
                return Ok(true);
            }
            let ended = changes.wait_for(|change| {
                change.kind == ChangeKind::Approval && change.id.as_deref() == Some(row.id.as_str())
            });
            tokio::select! {
                _ = ended => {}
                () = client.ended() => return Ok(false),
                () = tokio::time::sleep_until(deadline) => return Ok(false),
            }
        }
    }

    async fn send(&self, client: &Arc<Client>, request: &Request, decision: Decision) -> Result<bool> {
        match client.answer(&request.id, &answer_to(request, decision)).await {
            Ok(()) => Ok(true),
            // The connection broke while sending. The answer may have arrived.
            Err(error) if error.may_have_acted() => Ok(false),
            Err(error) => Err(Error::unavailable(Kind::ApprovalUnreachable, error.to_string())),
        }
    }

    /// Gives the claim of this call back if nothing was sent. The claim of another call is not its to give.
    pub(super) async fn given_back(
        &self,
        judged: &Judged,
        claimed: Claimed,
        sent: Result<bool>,
    ) -> Result<bool> {
        if sent.is_err() && claimed == Claimed::ByThisCall {
            let id = judged.approval.row.id.clone();
            self.store
                .write(Durability::Full, move |tx| Ok::<_, Error>(approvals::unclaim(tx, &id)?))
                .await?;
        }
        sent
    }

    /// Claims the approval for this one answer, and records the intent in the audit.
    pub(super) async fn claim(&self, judged: &Judged) -> Result<()> {
        let judged = judged.clone();
        self.store
            .write(Durability::Full, move |tx| {
                let decided = Decided {
                    decision: judged.decision,
                    task: &judged.task.id,
                    manager: &judged.binding.manager,
                    reason: &judged.reason,
                };
                if !approvals::claim(tx, &judged.approval, &decided)? {
                    let now = approvals::get(tx, &judged.approval.row.id)?;
                    return Err(over(&now.map_or(judged.approval.row, |now| now.row)));
                }
                record(tx, SharedEvent::ApprovalDecisionIntent, &judged, Value::Null)
            })
            .await
    }

    async fn conclude(&self, judged: Judged, answer: Answer) -> Result<DecideResult> {
        let id = judged.approval.row.id.clone();
        let approval = self
            .store
            .write(Durability::Full, move |tx| {
                approvals::settle(tx, &id, answer)?;
                let approval = approvals::get(tx, &id)?.unwrap_or_else(|| judged.approval.clone());
                let level =
                    if answer == Answer::Arrived { InfoOrWarning::Info } else { InfoOrWarning::Warning };
                record(tx, SharedEvent::ApprovalDecided(level), &judged, json!(approval.row.state))?;
                Ok::<_, Error>(approval)
            })
            .await?;
        let note = (approval.row.state == ApprovalState::Uncertain).then(|| {
            "the answer was sent, and nothing tells that it arrived; look at the session before you do more"
                .to_owned()
        });
        Ok(DecideResult { approval: approval.row, note })
    }

    async fn current(&self, id: &str) -> Result<Approval> {
        let id = id.to_owned();
        self.store.read(move |connection| approvals::get(connection, &id)?.ok_or_else(|| unknown(&id))).await
    }

    async fn refuse(&self, judged: Judged) -> Result<DecideResult> {
        let (task, task_id) = (judged.task.name.clone(), judged.task.id.clone());
        let (configured, data) = (judged.check.configured, json!(judged.check));
        let denied = json!(Kind::PermissionDenied.as_str());
        self.store
            .write(Durability::Full, move |tx| {
                record(tx, SharedEvent::ApprovalDecisionRefused, &judged, denied)
            })
            .await?;
        let why = if configured { "" } else { ": no manager configuration is recorded" };
        let message = format!("permission {PERMISSION} is not granted for task {task}{why}");
        Err(Error::refused(Kind::PermissionDenied, message)
            .hint(format!(
                "`open-worker {task_id}` shows the question, to be answered in the pane; if managers are to answer, the \
                 user grants it: `manager-config {task_id} --permit {PERMISSION}`"
            ))
            .data(data))
    }
}

pub(super) fn judge(
    connection: &rusqlite::Connection,
    params: &DecideParams,
    decision: Decision,
) -> Result<Judged> {
    let approval = approvals::get(connection, &params.id)?.ok_or_else(|| unknown(&params.id))?;
    let task = tasks::resolve(connection, &params.task)?;
    let binding = bindings::require_open(connection, &task)?;
    // A manager may answer its own worker only.
    if binding.worker.as_str() != approval.row.session_id {
        let message = format!("session {} is not the worker of task {}", approval.row.session, task.name);
        return Err(Error::refused(Kind::ApprovalOfAnotherTask, message)
            .hint("`approvals list TASK` shows those of a task's worker"));
    }
    let session = sessions::get(connection, binding.worker.as_str())?
        .ok_or_else(|| Error::not_found(Kind::UnknownSession, "the session does not exist"))?;
    let config = context::config(connection, &task)?;
    let check = permissions::check(config.as_ref(), PERMISSION)?;
    let reason = params.reason.clone();
    Ok(Judged { approval, session, task, binding, check, decision, reason })
}

fn unknown(id: &str) -> Error {
    Error::not_found(Kind::UnknownApproval, format!("no approval has the id \"{}\"", shown(id)))
        .hint("`approvals list` lists those that wait")
}

fn over(row: &ApprovalRow) -> Error {
    let how = match row.state {
        ApprovalState::Answering => "is being answered",
        ApprovalState::Uncertain => "was answered before; whether that arrived is not known",
        ApprovalState::Accepted => "was accepted before",
        ApprovalState::Declined => "was declined before",
        ApprovalState::Pending | ApprovalState::Resolved => "is not asked for any more",
    };
    Error::conflict(Kind::ApprovalResolved, format!("approval {} {how}", row.id))
        .hint("`approvals list` shows what is asked for now")
}

/// Refuses to accept what nobody has seen.
fn seen_whole(row: &ApprovalRow) -> Result<()> {
    let in_pane =
        format!("look at it in the pane of {} and answer it there; it can be declined here", row.session);
    match row.extent {
        ApprovalExtent::Whole => Ok(()),
        ApprovalExtent::Cut => Err(cut(row).hint(in_pane)),
        ApprovalExtent::Ambiguous => {
            let message = format!(
                "what session {} asks fits no call of its thread, or several; a sub-agent may ask it",
                row.session
            );
            Err(Error::conflict(Kind::ApprovalAmbiguous, message).hint(in_pane))
        }
    }
}

/// The refusal for a question of which only a part is known.
pub(super) fn cut(row: &ApprovalRow) -> Error {
    let message = format!("only a part of what session {} asks is known", row.session);
    Error::conflict(Kind::ApprovalCut, message)
}

/// The refusal for a question that is not what the approval shows.
pub(super) fn changed(row: &ApprovalRow) -> Error {
    let message =
        format!("session {} asks now for something else than approval {} shows", row.session, row.id);
    Error::conflict(Kind::ApprovalChanged, message).hint("`approvals list` shows what is asked for now")
}

fn answer_to(request: &Request, decision: Decision) -> Value {
    match (request.kind, decision) {
        (RequestKind::Permissions, Decision::Accept) => {
            json!({ "permissions": request.permissions, "scope": "turn" })
        }
        (RequestKind::Permissions, Decision::Decline) => json!({ "permissions": {}, "scope": "turn" }),
        (_, decision) => json!({ "decision": decision.as_str() }),
    }
}

/// Records who decided what about which command, and the outcome if there is one.
fn record(tx: &Tx<'_>, kind: SharedEvent, judged: &Judged, outcome: Value) -> Result<()> {
    let row = &judged.approval.row;
    let manager = sessions::get(tx, judged.binding.manager.as_str())?.map(|manager| manager.name);
    let task_id = Some(judged.task.id.as_str());
    let (actor, decision) = (Actor::Manager, judged.decision.as_str());
    let facts = json!({
        "approval_id": row.id, "asked_reason": row.reason, "command": row.command, "cwd": row.cwd,
        "decision": decision, "extent": row.extent, "kind": row.kind, "manager": manager, "outcome": outcome,
        "permission_check": judged.check, "reason": judged.reason, "session": row.session, "sha256": row.sha256,
        "source": row.source,
    });
    log::event(
        tx,
        &Event {
            actor,
            kind: kind.into(),
            task_id,
            command_id: None,
            correlation_id: Some(&row.id),
            payload: facts,
        },
    )?;
    log::telemetry(
        tx,
        &Telemetry {
            actor,
            kind: kind.into(),
            summary: format!("An approval of worker {}: {decision}.", row.session),
            task_id,
            run: Run::Active,
            correlation: json!({
                "approval_id": row.id, "binding_id": judged.binding.id, "correlation_id": row.id,
                "manager": manager, "session_id": row.session_id,
            }),
            // Telemetry holds no texts; the command and the reason are in the audit.
            attributes: json!({
                "command_length": row.command.as_ref().map(|text| text.chars().count()), "decision": decision,
                "kind": row.kind, "outcome": outcome, "permission_check": judged.check, "source": row.source,
            }),
        },
    )?;
    Ok(())
}
