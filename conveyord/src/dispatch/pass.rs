//! One pass of Dispatch: commands first, then completions, with one budget for both. Callers of the verb
//! `dispatch` rely on that order.
//!
//! The daemon's own loop (`task`) calls the parts of a pass, never the whole.

use super::{
    COMMAND_TYPES, commands, completions,
    courier::Courier,
    dispatcher::{Dispatcher, Part},
    lost::Lost,
    telemetry, unsent,
};
use crate::{
    background::{Items, LoopName},
    changes::ChangeKind,
    clock,
    config::DEFAULT_DISPATCHER,
    error::{Error, Result},
    store::{
        Durability, Store,
        commands::{
            claims::{self, Claim, ClaimFilter},
            recovery::{self, Expired, Recovered},
        },
        event_names::TelemetryEvent,
        ids::NotificationId,
        notifications,
    },
};
use conveyor_proto::types::dispatch::{
    DispatchParams, DispatchResult, PlannedCommand, Processed, ProcessedState, RecoveredClaim, SignalType,
};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// How long a pass waits for other dispatchers to settle the commands of lanes that it has work for.
const FOR_OTHERS: Duration = Duration::from_secs(10);

/// Runs the pass that a caller asked for.
///
/// The failure of a single item is reported with that item; it does not end the pass.
pub async fn run(store: &Store, sender: &Courier, params: &DispatchParams) -> Result<DispatchResult> {
    let dispatcher = params
        .dispatcher_id
        .as_deref()
        .filter(|id| !id.trim().is_empty())
        .unwrap_or(DEFAULT_DISPATCHER)
        .to_owned();
    let limit = match params.limit {
        0 => 10,
        limit => limit.max(1),
    };
    let lease_seconds = match params.lease_seconds {
        0 => 60,
        seconds => seconds.clamp(1, 86_400),
    };
    let processed = if params.dry_run {
        let only = params.only;
        store.read(move |connection| plan(connection, only, limit)).await?
    } else {
        let pass = Dispatcher {
            store: store.clone(),
            sender: sender.clone(),
            id: dispatcher.clone(),
            lease_ms: lease_seconds * 1000,
            ignore_back_off: true,
            lost: Lost::default(),
            items: Items::new(LoopName::Dispatch),
        };
        pass.once(params.only, limit).await?
    };
    // A dry run writes nothing.
    if let Some(iteration) = params.watch_iteration.filter(|_| !params.dry_run) {
        heartbeat(store, &dispatcher, iteration, processed.len() as u64).await?;
    }
    Ok(DispatchResult {
        dispatcher_id: dispatcher,
        dry_run: params.dry_run,
        iterations: 1,
        watch: params.watch_iteration.is_some(),
        processed_count: processed.len() as u64,
        processed,
    })
}

/// Writes a dispatcher's sign of life: its one row, and one telemetry event.
pub async fn heartbeat(store: &Store, dispatcher: &str, iteration: u64, processed: u64) -> Result<()> {
    let dispatcher = dispatcher.to_owned();
    store
        .write(Durability::Normal, move |tx| {
            notifications::heartbeat(tx, &dispatcher, iteration, processed)?;
            telemetry::note(
                tx,
                TelemetryEvent::DispatchWatchHeartbeat,
                format!("Dispatcher {dispatcher} is alive."),
                None,
                json!({ "dispatcher_id": dispatcher, "iteration": iteration }),
                json!({ "dry_run": false, "processed_count": processed }),
            )?;
            Ok::<_, Error>(())
        })
        .await
}

/// The types of commands that the filter lets through; without a filter, all.
pub(super) fn command_types(only: Option<SignalType>) -> Vec<&'static str> {
    COMMAND_TYPES
        .iter()
        .filter(|kind| only.is_none_or(|only| only == **kind))
        .map(|kind| kind.as_str())
        .collect()
}

/// What a pass would do now, for a dry run. Nothing is claimed.
fn plan(connection: &rusqlite::Connection, only: Option<SignalType>, limit: i64) -> Result<Vec<Processed>> {
    let kinds = command_types(only);
    let mut planned: Vec<Processed> = Vec::new();
    for command in claims::claimable(connection, &kinds, &clock::due_now(), limit)? {
        let (would_state, would_reason) = commands::would(connection, &command);
        planned.push(Processed::PlannedCommand(Box::new(PlannedCommand {
            command_id: command.id.to_string(),
            command_type: command.kind,
            correlation_id: Some(command.correlation_id),
            dry_run: true,
            state: ProcessedState::Planned,
            task: command.task_id,
            would_state,
            would_reason,
        })));
    }
    let left = limit - i64::try_from(planned.len()).unwrap_or(limit);
    if left > 0 && only.is_none_or(|only| only == SignalType::WorkerTaskComplete) {
        let completions = completions::planned(connection, left)?;
        planned.extend(completions.into_iter().map(|item| Processed::PlannedCompletion(Box::new(item))));
    }
    Ok(planned)
}

impl Dispatcher {
    /// Runs one pass. `limit` counts commands and completions together.
    pub async fn once(&self, only: Option<SignalType>, limit: i64) -> Result<Vec<Processed>> {
        let mut processed = Vec::new();
        let budget = usize::try_from(limit).unwrap_or(usize::MAX);
        let kinds = command_types(only);
        if !kinds.is_empty() {
            processed.extend(self.recover_commands(&kinds, Expired::ByLease, limit).await?);
            let mut changes = self.store.changes().subscribe();
            let patience = Instant::now() + FOR_OTHERS;
            // The lanes of held commands. An explicit pass ignores the back-off, so without this list it
            // would claim a held command again and again.
            let mut skip = Vec::new();
            while processed.len() < budget {
                // If nothing can be claimed although commands are due, other dispatchers serve their lanes:
                // wait until one of them settles a command, then try again. After `FOR_OTHERS` those commands
                // are left to the others.
                let Some(claim) = self.claim(&kinds, &skip).await? else {
                    if !self.waits_for_others(&kinds, &skip).await? {
                        break;
                    }
                    let settled = changes.wait_for(|change| change.kind == ChangeKind::Command);
                    if tokio::time::timeout_at(patience, settled).await.is_err() {
                        break;
                    }
                    continue;
                };
                let lane = claims::lane(&claim);
                if let Some(item) = commands::execute(self, claim).await? {
                    if item.state == ProcessedState::Held {
                        skip.push(lane);
                    }
                    processed.push(Processed::Command(Box::new(item)));
                }
            }
        }
        let completions = only.is_none_or(|only| only == SignalType::WorkerTaskComplete);
        if only.is_none_or(|only| !COMMAND_TYPES.contains(&only)) && processed.len() < budget {
            // Completions that may have been typed go into the inbox and are never sent again.
            let settled = self.settle_interrupted(Expired::ByLease).await?;
            processed.extend(settled);
            // What was routed and not sent, then the completions that were never routed.
            let mut last = NotificationId::default();
            while processed.len() < budget {
                let tell = |item| processed.push(Processed::Completion(Box::new(item)));
                let Some(id) = unsent::recover_next(self, last, only, tell).await? else { break };
                last = id;
            }
            let mut part = Part::First;
            while completions && processed.len() < budget {
                let left = budget - processed.len();
                let tell = |item| processed.push(Processed::Completion(Box::new(item)));
                if !completions::route_some(self, part, left, tell).await? {
                    break;
                }
                part = Part::Further;
            }
        }
        Ok(processed)
    }

    /// Claims the oldest command that is due, except in the lanes of `skip`.
    pub(super) async fn claim(&self, kinds: &[&'static str], skip: &[String]) -> Result<Option<Claim>> {
        let (pass, kinds, skip) = (self.clone(), kinds.to_vec(), skip.to_vec());
        self.store
            .write(Durability::Full, move |tx| {
                let expires_at = tx.due_in(pass.lease_ms);
                let claim = claims::claim(tx, &pass.filter(&kinds, &skip, &expires_at))?;
                if let Some(claim) = &claim {
                    telemetry::claimed(tx, claim, &pass.id)?;
                }
                Ok::<_, Error>(claim)
            })
            .await
    }

    /// Whether commands are due that cannot be claimed only because other dispatchers serve their lanes.
    async fn waits_for_others(&self, kinds: &[&'static str], skip: &[String]) -> Result<bool> {
        let (pass, kinds, skip) = (self.clone(), kinds.to_vec(), skip.to_vec());
        self.store
            .read(move |connection| {
                Ok::<_, Error>(claims::waits_for_others(connection, &pass.filter(&kinds, &skip, ""))?)
            })
            .await
    }

    fn filter<'a>(
        &'a self,
        kinds: &'a [&'a str],
        skip: &'a [String],
        expires_at: &'a str,
    ) -> ClaimFilter<'a> {
        let (dispatcher, ignore_back_off) = (self.id.as_str(), self.ignore_back_off);
        ClaimFilter { kinds, dispatcher, expires_at, ignore_back_off, skip }
    }

    /// Takes back the claims of commands whose dispatchers are gone. A command that may have been sent is
    /// closed, and its message goes into the inbox of its target, marked as uncertain. Any other command is
    /// queued again.
    pub async fn recover_commands(
        &self,
        kinds: &[&'static str],
        which: Expired,
        limit: i64,
    ) -> Result<Vec<Processed>> {
        let (dispatcher, kinds) = (self.id.clone(), kinds.to_vec());
        self.store
            .write(Durability::Full, move |tx| {
                let mut shown = Vec::new();
                for item in recovery::recover(tx, which, &kinds, limit)? {
                    telemetry::recovered(tx, &item, &dispatcher)?;
                    let kept = if item.side_effect_started {
                        commands::keep_uncertain(tx, &dispatcher, &item)?
                    } else {
                        None
                    };
                    shown.push(Processed::Recovered(Box::new(recovered(item, kept, &dispatcher))));
                }
                Ok(shown)
            })
            .await
    }

    /// Settles completions whose send may have begun and whose dispatcher is gone: those whose lease ran out,
    /// or all of them, as `which` says.
    pub async fn settle_interrupted(&self, which: Expired) -> Result<Vec<Processed>> {
        let dispatcher = self.id.clone();
        let settled = self
            .store
            .write(Durability::Full, move |tx| unsent::settle_interrupted(tx, which, &dispatcher))
            .await?;
        Ok(settled.into_iter().map(|item| Processed::Completion(Box::new(item))).collect())
    }
}

/// The report of a claim that was taken back.
fn recovered(item: Recovered, notification_id: Option<NotificationId>, dispatcher: &str) -> RecoveredClaim {
    RecoveredClaim {
        attempt_id: item.attempt_id.map(|id| id.0),
        command_id: item.command_id.to_string(),
        command_type: item.kind,
        correlation_id: item.correlation_id,
        dispatcher_id: dispatcher.to_owned(),
        error: item.error,
        side_effect_started: item.side_effect_started,
        state: if item.requeued { ProcessedState::Requeued } else { ProcessedState::Failed },
        recovered: true,
        notification_id: notification_id.map(|id| id.0),
        delivery_uncertain: (item.side_effect_started && !item.proven).then_some(true),
    }
}
