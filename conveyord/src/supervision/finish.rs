//! `task.finish` and `task.stop`: the end of a task. Gates first (a stop has none), then a claim, then the sessions,
//! then one commit that ends all.
//!
//! One caller ends a task at a time (`store::finish` keeps the claim). Everything that will be ended is looked at
//! before anything is, the worker is ended before the manager, and what is gone already counts as done, so that a
//! finish that failed half-way can be tried again.

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

/// Sends a text to a session's pane.
pub trait MessageSender: Send + Sync + 'static {
    /// Sends the text and returns once the session has had time to act on it: it is idle again, or a grace time is
    /// over. The pane may be ended right after. One that may have been sent after `unless_since` already, by an
    /// earlier try of the same finish, is not sent again: the answer is false then.
    ///
    /// # Errors
    /// When the text surely or possibly did not arrive.
    fn send(
        &self,
        session: &Session,
        text: &str,
        unless_since: Option<&str>,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Ends the turn that runs in Codex's shared daemon, where it would outlive the session's pane. One that cannot
    /// be reached is left: the pane is ended all the same.
    fn end_turn(&self, session: &Session) -> impl Future<Output = ()> + Send;
}

/// What finishing a task works with.
#[derive(Debug, Clone)]
pub struct FinishContext<S> {
    /// Database.
    pub store: Store,
    /// Time limit of each call of tmux.
    pub command_timeout: Duration,
    /// How a message reaches the worker.
    pub sender: S,
    /// The finishes that run.
    pub under_way: UnderWay<CommandId>,
}

/// Answers `task.finish`.
///
/// # Errors
/// The gates' refusals, `task_being_finished`, `identity_verification_failed`, `transcript_segment_missing`, and those
/// of tmux, of the sender and of SQLite. What was ended stays ended.
pub async fn finish<S: MessageSender>(
    context: FinishContext<S>,
    params: FinishParams,
) -> Result<FinishResult, Error> {
    gates::validate(&params)?;
    let (claim, audits) = rows::claim_finish(&context.store, &context.under_way, &params).await?;
    carry_out(&context, &params, claim, move |end| audits.result(end)).await
}

/// Answers `task.stop`: as [`finish`], without gates, decision and stored panes, and always with the manager.
///
/// # Errors
/// `task_over`, `manager_decision_validation_failed`, `task_being_finished`, `identity_verification_failed`, and those
/// of tmux, of the sender and of SQLite. What was ended stays ended.
pub async fn stop<S: MessageSender>(
    context: FinishContext<S>,
    params: StopTaskParams,
) -> Result<TaskEnd, Error> {
    let params = without_gates(params);
    gates::validate(&params)?;
    let claim = rows::claim_stop(&context.store, &context.under_way, &params).await?;
    carry_out(&context, &params, claim, |end| end).await
}

/// The parameters of a stop as those of a finish that asks for nothing.
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

/// Ends the sessions and then the task, or leaves a trace of how far it came. `result` makes the answer.
async fn carry_out<S: MessageSender, R: Serialize + Send + 'static>(
    context: &FinishContext<S>,
    params: &FinishParams,
    claim: rows::Claim,
    result: impl FnOnce(TaskEnd) -> R + Send + 'static,
) -> Result<R, Error> {
    let mut ended = sessions::Ended::default();
    let outcome = match sessions::end(context, params, &claim, &mut ended).await {
        Ok(()) => rows::complete(&context.store, params, &claim, &ended, result).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &outcome
        && let Err(also) = rows::give_up(&context.store, &claim, &ended, error).await
    {
        // The caller is told of the first error; the claim is released by the next try to end the task.
        tracing::error!(command = %claim.command_id, error = %also, "failed to record that ending a task failed");
    }
    outcome
}

#[cfg(test)]
mod tests;
