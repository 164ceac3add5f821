//! `task.finish` and `task.stop`: the end of a task. A finish checks the gates first; a stop has none. Then
//! the task is claimed, its sessions are ended, and one transaction ends the task.
//!
//! Only one call ends a task at a time (`store::finish` keeps the claim). All sessions that will be ended are
//! looked at before the first one is ended. The worker is ended before the manager. A session that has ended
//! already counts as ended. So a finish that failed half-way can be tried again.

mod gates;
mod rows;
mod sessions;

use crate::{
    error::Error,
    store::{Store, sessions::Session},
    under_way::UnderWay,
};
use conveyor_proto::{
    ids::CommandId,
    types::finish::{CaptureMode, FinishParams, FinishResult, StopTaskParams, TaskEnd},
};
use serde::Serialize;
use std::{future::Future, time::Duration};

pub use gates::check_message;
pub use rows::close_interrupted;

/// Sends the last message to a session that is about to end.
pub trait MessageSender: Send + Sync + 'static {
    /// Sends the text. Returns when the session is idle again or its grace time is over, so that the caller
    /// may end the pane at once. Returns false without sending if an earlier try of the same finish may have
    /// sent the text after `unless_since`.
    ///
    /// # Errors
    /// When the text has not arrived, or may not have arrived.
    fn send(
        &self,
        session: &Session,
        text: &str,
        unless_since: Option<&str>,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Ends the turn that runs in Codex's shared daemon, since that turn would go on after the pane is
    /// closed. If the daemon cannot be reached, nothing happens; the pane is ended anyway.
    fn end_turn(&self, session: &Session) -> impl Future<Output = ()> + Send;
}

/// The services that an end of a task or session uses.
#[derive(Debug, Clone)]
pub struct FinishContext<S> {
    pub store: Store,
    /// Time limit of each call of tmux.
    pub command_timeout: Duration,
    /// Sends the last message to the worker.
    pub sender: S,
    /// The finishes that are running.
    pub under_way: UnderWay<CommandId>,
}

/// Answers `task.finish`. Sessions that were ended before an error stay ended.
///
/// # Errors
/// The refusals of the gates, `task_being_finished`, `identity_verification_failed`,
/// `transcript_segment_missing`.
pub async fn finish<S: MessageSender>(
    context: FinishContext<S>,
    params: FinishParams,
) -> Result<FinishResult, Error> {
    gates::validate(&params)?;
    let (claim, audits) = rows::claim_finish(&context.store, &context.under_way, &params).await?;
    let warnings = audits.warnings();
    carry_out(&context, &params, claim, warnings, move |end| audits.result(end)).await
}

/// Answers `task.stop`. It differs from [`finish`] in that it has no gates, records no decision, stores no
/// panes, and always ends the manager.
///
/// # Errors
/// `task_over`, `manager_decision_validation_failed`, `task_being_finished`, `identity_verification_failed`.
pub async fn stop<S: MessageSender>(
    context: FinishContext<S>,
    params: StopTaskParams,
) -> Result<TaskEnd, Error> {
    let params = without_gates(params);
    gates::validate(&params)?;
    let claim = rows::claim_stop(&context.store, &context.under_way, &params).await?;
    carry_out(&context, &params, claim, Vec::new(), |end| end).await
}

/// The parameters of a stop, as those of a finish without any gate.
fn without_gates(params: StopTaskParams) -> FinishParams {
    let StopTaskParams { task, reason, stop_worker, message, decision_id, strict_decisions, caller } = params;
    FinishParams {
        task,
        reason,
        stop_manager: true,
        stop_worker,
        message,
        decision_id,
        strict_decisions,
        require_criteria_audit: false,
        require_acks: false,
        require_epilogue: false,
        require_adversarial_proof: false,
        capture_transcript_before_stop: false,
        capture_transcript_mode: CaptureMode::default(),
        capture_transcript_lines: 200,
        require_transcript_segment: false,
        caller,
    }
}

/// Ends the sessions and then the task. If this fails, a row says how far it came. `warnings` are those of the gates;
/// `result` makes the answer.
async fn carry_out<S: MessageSender, R: Serialize + Send + 'static>(
    context: &FinishContext<S>,
    params: &FinishParams,
    claim: rows::Claim,
    warnings: Vec<String>,
    result: impl FnOnce(TaskEnd) -> R + Send + 'static,
) -> Result<R, Error> {
    let mut ended = sessions::Ended { warnings, ..sessions::Ended::default() };
    let outcome = match sessions::end(context, params, &claim, &mut ended).await {
        Ok(()) => rows::complete(&context.store, params, &claim, &ended, result).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &outcome
        && let Err(also) = rows::give_up(&context.store, &claim, &ended, error).await
    {
        // The caller gets the first error. The claim stays open, and the next try to end the task releases
        // it.
        tracing::error!(command = %claim.command_id, error = %also, "failed to record that ending a task failed");
    }
    outcome
}

#[cfg(test)]
mod tests;
