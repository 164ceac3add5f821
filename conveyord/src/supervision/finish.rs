//! `task.finish`: the end of a task. Gates first, then a claim, then the sessions, then one commit that ends all.
//!
//! One caller finishes a task at a time (`store::finish` keeps the claim). Everything that will be ended is looked at
//! before anything is, the worker is ended before the manager, and what is gone already counts as done, so that a
//! finish that failed half-way can be tried again.

mod gates;
mod rows;
mod sessions;
mod under_way;

use crate::{error::Error, store::Store, store::sessions::Session};
use conveyor_proto::types::finish::{FinishParams, FinishResult};
use std::{future::Future, time::Duration};

pub use rows::close_interrupted;
pub use under_way::UnderWay;

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
    pub under_way: UnderWay,
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
    let claim = rows::claim(&context.store, &context.under_way, &params).await?;
    let mut ended = sessions::Ended::default();
    let outcome = match sessions::end(&context, &params, &claim, &mut ended).await {
        Ok(()) => rows::complete(&context.store, &params, &claim, &ended).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &outcome
        && let Err(also) = rows::give_up(&context.store, &claim, &ended, error).await
    {
        // The caller is told of the first error; the claim is released by the next finish of the task.
        tracing::error!(command = %claim.command_id, error = %also, "failed to record that finishing a task failed");
    }
    outcome
}

#[cfg(test)]
mod tests;
