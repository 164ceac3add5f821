//! The gates: the conditions under which a task may end. Each gate reads rows and refuses or passes. No gate
//! writes.

use crate::{
    error::Error,
    refusal::Kind,
    store::{StoreError, bindings::Binding, supervision as store},
    supervision::{acks, context},
    words::shown,
};
use conveyor_proto::{
    limits::MAX_MESSAGE_BYTES,
    types::{
        common::Role,
        finish::{
            EpilogueStep, FinalAckAudit, FinalAudit, FinalEpilogueAudit, FinishParams, FinishResult,
            OpenCriterion, TaskEnd,
        },
        supervision::{CriteriaView, Criterion, ManagerConfig},
        task::{TaskRow, TaskState},
    },
};
use rusqlite::Connection;
use serde_json::{Value, json};

/// How many open criteria a refusal names; all of them are in its audit.
const NAMED: usize = 10;

/// The most rows of scrollback that a capture may ask tmux for.
const MAX_CAPTURE_LINES: i64 = 100_000;

/// Refuses wrong parameters before any row is read.
pub(super) fn validate(params: &FinishParams) -> Result<(), Error> {
    if !(0..=MAX_CAPTURE_LINES).contains(&params.capture_transcript_lines) {
        let given = params.capture_transcript_lines;
        let message =
            format!("--capture-transcript-lines is {given}: it must be between 0 and {MAX_CAPTURE_LINES}");
        return Err(Error::invalid(Kind::InvalidCaptureLines, message));
    }
    check_message(params.message.as_deref())
}

/// Refuses a last message that is too long to be sent.
///
/// # Errors
/// `message_too_long`.
pub fn check_message(message: Option<&str>) -> Result<(), Error> {
    if message.is_some_and(|message| message.len() > MAX_MESSAGE_BYTES) {
        let message = format!("the message is longer than {MAX_MESSAGE_BYTES} bytes");
        return Err(
            Error::invalid(Kind::MessageTooLong, message).hint("put the text into a file and name the file")
        );
    }
    Ok(())
}

/// Whether this finish follows up on a task that is done already. A task that ended in any other way is
/// refused.
pub(super) fn is_follow_up(task: &TaskRow, params: &FinishParams) -> Result<bool, Error> {
    let has_effect = params.stop_manager || params.stop_worker || params.capture_transcript_before_stop;
    match task.state {
        // A follow-up may still end the sessions of a finished task, or store their panes.
        TaskState::Done if has_effect => Ok(true),
        TaskState::Done => Err(task_over(task)
            .hint("`finish-task` with --stop-worker and --stop-manager still ends its sessions")),
        TaskState::Failed => Err(task_over(task)),
        _ => Ok(false),
    }
}

/// Refuses a task that has ended.
pub(super) fn not_over(task: &TaskRow) -> Result<(), Error> {
    if task.state.is_over() {
        return Err(task_over(task).hint(
            "`finish-task` with --stop-worker and --stop-manager still ends the \
             sessions of a task that is done",
        ));
    }
    Ok(())
}

fn task_over(task: &TaskRow) -> Error {
    Error::conflict(Kind::TaskOver, format!("task {} is already {}", task.name, task.state.as_str()))
}

/// Refuses unless a satisfied criterion has structured proof of an attempt to refute it.
pub(super) fn adversarial_proof(criteria: &CriteriaView) -> Result<(), Error> {
    if criteria.satisfied.iter().any(is_adversarial_proof) {
        return Ok(());
    }
    Err(Error::refused(
        Kind::AdversarialProofRequired,
        "finishing requires a satisfied criterion with adversarial proof: evidence with evidence_type \
         \"adversarial_check\", texts for failure_mode, check and result, and a status that is no failure",
    )
    .hint("`criteria TASK --satisfy ID --evidence-json '{\"evidence_type\": \"adversarial_check\", ...}'`"))
}

fn is_adversarial_proof(criterion: &Criterion) -> bool {
    const FAILURES: [&str; 6] = ["error", "errored", "fail", "failed", "failure", "rejected"];
    let evidence = &criterion.evidence;
    let told = |key: &str| evidence[key].as_str().is_some_and(|text| !text.trim().is_empty());
    let passed = match evidence.get("status") {
        None => true,
        Some(Value::String(status)) => !FAILURES.contains(&status.trim().to_lowercase().as_str()),
        Some(_) => false,
    };
    evidence["evidence_type"] == "adversarial_check"
        && ["failure_mode", "check", "result"].into_iter().all(told)
        && passed
}

/// The three audits that a finish records, whether or not they are gates of this finish.
#[derive(Debug, Clone)]
pub(super) struct Audits {
    pub(super) criteria: FinalAudit,
    pub(super) acks: FinalAckAudit,
    pub(super) epilogue: FinalEpilogueAudit,
    missing_acks: Vec<(Role, acks::Lack)>,
}

/// The refusal of one of the audits.
pub(super) struct Closed {
    /// A stable word for the gate that refused.
    pub(super) stage: &'static str,
    /// The key of the audit in results.
    pub(super) key: &'static str,
    pub(super) audit: Value,
    pub(super) error: Error,
}

impl Audits {
    /// What the end of the task leaves open although no gate asked for it.
    pub(super) fn warnings(&self) -> Vec<String> {
        let open = &self.criteria.open_criteria;
        let first = open.first().map(|criterion| {
            let more = open.len() - 1;
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!(
                "accepted criteria are not satisfied: #{} {}{more}",
                criterion.id,
                shown(&criterion.criterion)
            )
        });
        first.into_iter().collect()
    }

    /// Audits criteria, acknowledgements and epilogue. A gate that the configuration asks for holds without
    /// its flag too.
    pub(super) fn of(
        connection: &Connection,
        task: &TaskRow,
        binding: Option<&Binding>,
        criteria: &CriteriaView,
        params: &FinishParams,
    ) -> Result<Self, StoreError> {
        let config = context::config(connection, task)?;
        let config = config.as_ref();
        let worker = store::latest_ack(connection, &task.id, Role::Worker)?;
        let manager = store::latest_ack(connection, &task.id, Role::Manager)?;
        let latest = acks::Latest { worker: worker.as_ref(), manager: manager.as_ref() };
        let missing_acks = acks::missing(latest, binding.map(|binding| &binding.id), config);
        Ok(Self {
            criteria: FinalAudit {
                require_criteria_audit: params.require_criteria_audit,
                open_criteria: criteria
                    .open
                    .iter()
                    .map(|criterion| OpenCriterion {
                        id: criterion.id,
                        criterion: criterion.criterion.clone(),
                    })
                    .collect(),
                summary: criteria.summary,
                total: criteria.summary.total(),
            },
            acks: FinalAckAudit {
                require_acks: params.require_acks || config.is_some_and(|config| config.require_acks),
                ok: missing_acks.is_empty(),
                missing: missing_acks.iter().map(|(role, _)| role.as_str().to_owned()).collect(),
                worker_ack_id: worker.map(|ack| ack.id),
                manager_ack_id: manager.map(|ack| ack.id),
            },
            epilogue: epilogue(connection, task, config, params.require_epilogue)?,
            missing_acks,
        })
    }

    pub(super) fn result(self, end: TaskEnd) -> FinishResult {
        FinishResult {
            end,
            final_audit: self.criteria,
            final_ack_audit: self.acks,
            final_epilogue_audit: self.epilogue,
        }
    }

    /// The first gate that refuses.
    pub(super) fn closed(&self) -> Option<Closed> {
        if self.criteria.require_criteria_audit && !self.criteria.open_criteria.is_empty() {
            let all = &self.criteria.open_criteria;
            let open = all.iter().take(NAMED).map(|open| format!("#{}: {}", open.id, shown(&open.criterion)));
            let more = all.len().saturating_sub(NAMED);
            let more = (more > 0).then(|| format!("and {more} more"));
            let open = open.chain(more).collect::<Vec<_>>().join("; ");
            return Some(Closed {
                stage: "final_criteria_audit",
                key: "final_audit",
                audit: json!(self.criteria),
                error: Error::refused(
                    Kind::CriteriaOpen,
                    format!("accepted criteria are not satisfied: {open}"),
                )
                .hint("`criteria TASK --satisfy ID --proof TEXT`, or --defer or --reject it"),
            });
        }
        if self.acks.require_acks
            && let Err(error) = acks::require("finishing", &self.missing_acks)
        {
            let audit = json!(self.acks);
            return Some(Closed { stage: "final_ack_audit", key: "final_ack_audit", audit, error });
        }
        if self.epilogue.require_epilogue && !self.epilogue.ok {
            let steps = self.epilogue.missing_or_incomplete.join(", ");
            return Some(Closed {
                stage: "final_epilogue_audit",
                key: "final_epilogue_audit",
                audit: json!(self.epilogue),
                error: Error::refused(
                    Kind::EpilogueIncomplete,
                    format!("epilogue steps have not succeeded: {steps}"),
                )
                .hint("`epilogue TASK --step STEP` runs a step"),
            });
        }
        None
    }
}

fn epilogue(
    connection: &Connection,
    task: &TaskRow,
    config: Option<&ManagerConfig>,
    asked: bool,
) -> Result<FinalEpilogueAudit, StoreError> {
    let required_steps = config.map(|config| config.epilogues.clone()).unwrap_or_default();
    let mut steps = Vec::new();
    for step in &required_steps {
        let run = store::latest_epilogue_run(connection, &task.id, step)?;
        let state = run.as_ref().map_or("missing", |run| run.state.as_str()).to_owned();
        let latest_run = run.map(serde_json::to_value).transpose()?;
        steps.push(EpilogueStep { step_name: step.clone(), ok: state == "succeeded", state, latest_run });
    }
    let incomplete =
        steps.iter().filter(|step| !step.ok).map(|step| step.step_name.clone()).collect::<Vec<_>>();
    Ok(FinalEpilogueAudit {
        // A configuration that names epilogue steps makes them a gate.
        require_epilogue: asked || !required_steps.is_empty(),
        ok: incomplete.is_empty(),
        required_steps,
        missing_or_incomplete: incomplete,
        steps,
    })
}
