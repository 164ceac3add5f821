//! Taking back the claims of commands whose dispatchers are gone.
//!
//! A command whose text may have been sent is closed and never repeated. Any other command waits again, and the lost
//! execution does not count.

use super::publish;
use crate::{
    changes,
    store::{
        StoreError, Tx,
        ids::AttemptId,
        json_text,
        rows::{all, columns},
    },
};
use conveyor_proto::{
    ids::{BindingId, CommandId},
    types::command::CommandState,
};
use rusqlite::params;
use serde_json::Value;

/// How often a command that was never sent is put back into the queue. A command that ends its dispatcher each time must
/// not do so for ever.
const MAX_RECOVERIES: i64 = 100;

/// A claim that was taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovered {
    pub attempt_id: Option<AttemptId>,
    pub command_id: CommandId,
    pub kind: String,
    pub correlation_id: Option<String>,
    pub task_id: Option<String>,
    /// Binding that it was queued for.
    pub binding_id: Option<BindingId>,
    pub payload: Value,
    /// Whether the rollout shows that the text arrived all the same.
    pub proven: bool,
    /// Whether something may have been sent: then the command is not repeated.
    pub side_effect_started: bool,
    /// Whether it waits again.
    pub requeued: bool,
    pub error: String,
}

columns! {
    /// A claimed command that nobody executes any more, with its attempt.
    struct Lapsed from c {
        command_id: CommandId = "c.id",
        kind: String = "c.type",
        correlation_id: Option<String>,
        task_id: Option<String>,
        binding_id: Option<BindingId>,
        payload: Value = "c.payload_json",
        /// How often it was taken up again before.
        recoveries: i64,
        attempt_id: Option<AttemptId> = "a.id",
        side_effect_started: bool = "coalesce(a.side_effect_started, 0)",
        proven: bool =
            "exists (select 1 from deliveries d where d.command_id = c.id and d.outcome = 'delivered')",
    }
}

/// Which claims are taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// Those whose lease ran out.
    ByLease,
    /// All: the daemon has just started, so whoever held a claim has ended.
    All,
}

/// Takes back claims of commands, and says what became of each.
pub fn recover(
    tx: &Tx<'_>,
    which: Expired,
    kinds: &[&str],
    limit: i64,
) -> Result<Vec<Recovered>, StoreError> {
    let lapsed: Vec<Lapsed> = all(
        tx,
        "from commands c left join command_attempts a on a.id = (select max(id) from command_attempts
             where command_id = c.id and state = 'running')
         where c.state = 'attempted' and c.type in (select value from json_each(?1))
           and (?2 or c.claim_expires_at <= ?3)
         order by c.claim_expires_at, c.id limit ?4",
        params![json_text(&kinds)?, which == Expired::All, tx.due_now(), limit],
    )?;
    lapsed.into_iter().map(|command| take_back(tx, command)).collect()
}

/// What becomes of a command whose claim is taken back.
enum Verdict {
    /// Nothing was sent: it waits again, and this execution does not count.
    Requeued,
    /// Something may have been sent, and nothing shows that it arrived. Sending it again could double it.
    Uncertain,
    /// Something was sent, and the rollout shows it: only its dispatcher did not live to say so.
    Delivered,
    /// Nothing was sent, again and again: whoever takes it up seems to die of it.
    GivenUp,
}

impl Verdict {
    fn of(command: &Lapsed) -> Self {
        match (command.side_effect_started, command.proven) {
            (true, true) => Self::Delivered,
            (true, false) => Self::Uncertain,
            (false, _) if command.recoveries < MAX_RECOVERIES => Self::Requeued,
            (false, _) => Self::GivenUp,
        }
    }

    const fn error(&self) -> &'static str {
        match self {
            Self::Delivered | Self::Uncertain => {
                "its dispatcher ended after the send may have begun; look at the target before sending it again"
            }
            Self::Requeued => "its dispatcher ended before anything was sent; queued again",
            Self::GivenUp => "its dispatchers ended too often before anything was sent",
        }
    }

    /// How the delivery of a command ends that is not taken up again.
    const fn delivery(&self) -> Option<&'static str> {
        match self {
            Self::Delivered => Some("delivered"),
            Self::Uncertain => Some("uncertain"),
            Self::GivenUp => Some("failed"),
            Self::Requeued => None,
        }
    }
}

fn take_back(tx: &Tx<'_>, command: Lapsed) -> Result<Recovered, StoreError> {
    let verdict = Verdict::of(&command);
    let (id, error) = (command.command_id.as_str(), verdict.error());
    tx.prepare_cached(
        "update command_attempts set state = 'abandoned', finished_at = ?2, error = ?3
         where command_id = ?1 and state = 'running'",
    )?
    .execute(params![id, tx.now(), error])?;
    let delivery = verdict.delivery();
    let state = if let Some(delivery) = delivery {
        tx.prepare_cached(
            "update commands set state = 'failed', error = ?3, delivery = ?4, held_by = null, next_try_at = null,
                 claimed_by = null, claimed_at = null, claim_expires_at = null, updated_at = ?2 where id = ?1",
        )?
        .execute(params![id, tx.now(), error, delivery])?;
        CommandState::Failed
    } else {
        tx.prepare_cached(
            "update commands set state = 'pending', attempts = attempts - 1, recoveries = recoveries + 1,
                 claimed_by = null, claimed_at = null, claim_expires_at = null, updated_at = ?2 where id = ?1",
        )?
        .execute(params![id, tx.now()])?;
        CommandState::Pending
    };
    publish(tx, changes::ChangeKind::Command, id, command.task_id.as_deref(), state.as_str());
    Ok(Recovered {
        attempt_id: command.attempt_id,
        command_id: command.command_id,
        kind: command.kind,
        correlation_id: command.correlation_id,
        task_id: command.task_id,
        binding_id: command.binding_id,
        payload: command.payload,
        proven: command.proven,
        side_effect_started: command.side_effect_started,
        requeued: delivery.is_none(),
        error: error.to_owned(),
    })
}
