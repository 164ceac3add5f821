//! One pass of Dispatch, in the order that callers of the explicit verb rely on.

use super::{COMMAND_TYPES, DEFAULT_DISPATCHER, commands, completions, pane::PaneSender, telemetry};
use crate::{
    clock,
    error::{Error, Result},
    store::{
        Durability, Store, StoreError, commands::claims::{self, Expired}, log::Severity, notifications,
    },
};
use conveyor_proto::types::dispatch::{
    DispatchParams, DispatchResult, PlannedCommand, Processed, ProcessedState, RecoveredClaim, SignalType,
};
use serde_json::json;

/// What a pass needs. Cheap to clone.
#[derive(Clone)]
pub struct Pass {
    /// Database.
    pub store: Store,
    /// Sender.
    pub sender: PaneSender,
    /// Who dispatches.
    pub dispatcher: String,
    /// Length of a lease, in milliseconds.
    pub lease_ms: i64,
    /// Take also what is backing off, as explicit passes do.
    pub ignore_back_off: bool,
}

/// Runs the pass that a caller asked for.
///
/// # Errors
/// Those of the database. Failures of single items are reported with the items.
pub async fn run(store: &Store, sender: &PaneSender, params: &DispatchParams) -> Result<DispatchResult> {
    let dispatcher =
        params.dispatcher_id.as_deref().filter(|id| !id.is_empty()).unwrap_or(DEFAULT_DISPATCHER).to_owned();
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
        let pass = Pass {
            store: store.clone(),
            sender: sender.clone(),
            dispatcher: dispatcher.clone(),
            lease_ms: lease_seconds * 1000,
            ignore_back_off: true,
        };
        pass.once(params.only, limit).await?
    };
    if let Some(iteration) = params.watch_iteration {
        heartbeat(store, &dispatcher, iteration, params.dry_run, processed.len() as u64).await?;
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

/// A sign of life: one row per dispatcher, and one telemetry event.
///
/// # Errors
/// Those of the database.
pub async fn heartbeat(
    store: &Store,
    dispatcher: &str,
    iteration: u64,
    dry_run: bool,
    processed: u64,
) -> Result<()> {
    let dispatcher = dispatcher.to_owned();
    store
        .write(Durability::Normal, move |tx| {
            if !dry_run {
                notifications::heartbeat(tx, &dispatcher, iteration, processed)?;
            }
            telemetry::note(
                tx,
                "dispatch_watch_heartbeat",
                Severity::Info,
                format!("Dispatcher {dispatcher} is alive."),
                None,
                json!({ "dispatcher_id": dispatcher, "iteration": iteration }),
                json!({ "dry_run": dry_run, "processed_count": processed }),
            )?;
            Ok::<_, Error>(())
        })
        .await
}

/// The command types that a filter leaves.
pub(super) fn command_types(only: Option<SignalType>) -> Vec<&'static str> {
    COMMAND_TYPES
        .iter()
        .filter(|kind| only.is_none_or(|only| only == **kind))
        .map(|kind| kind.as_str())
        .collect()
}

fn plan(connection: &rusqlite::Connection, only: Option<SignalType>, limit: i64) -> Result<Vec<Processed>> {
    let kinds = command_types(only);
    let mut planned: Vec<Processed> = Vec::new();
    for command in claims::claimable(connection, &kinds, &clock::now(), limit)? {
        let (would_state, would_reason) = commands::would(connection, &command);
        planned.push(Processed::PlannedCommand(Box::new(PlannedCommand {
            command_id: command.id.to_string(),
            command_type: command.kind,
            correlation_id: command.correlation_id,
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

impl Pass {
    /// One pass with one budget: commands first, then completions.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn once(&self, only: Option<SignalType>, limit: i64) -> Result<Vec<Processed>> {
        let mut processed = Vec::new();
        let budget = usize::try_from(limit).unwrap_or(usize::MAX);
        let kinds = command_types(only);
        if !kinds.is_empty() {
            processed.extend(self.recover_commands(Expired::ByLease, limit).await?);
            while processed.len() < budget {
                let Some(claim) = self.claim(&kinds, &[]).await? else { break };
                let held_task = claim.id.clone();
                match commands::execute(self, claim).await? {
                    Some(item) => {
                        let held = item.state == ProcessedState::Held;
                        processed.push(Processed::Command(Box::new(item)));
                        if held {
                            // It is claimable again at once to a pass that ignores back-off.
                            tracing::debug!(command = %held_task, "held");
                            break;
                        }
                    }
                    None => continue,
                }
            }
        }
        if only.is_none_or(|only| only == SignalType::WorkerTaskComplete) && processed.len() < budget {
            let settled = self.settle_interrupted(false).await?;
            processed.extend(settled);
            let mut last = 0;
            while processed.len() < budget {
                let Some((id, item)) = completions::recover_next(self, last).await? else { break };
                last = id;
                processed.push(Processed::Completion(Box::new(item)));
            }
            while processed.len() < budget {
                let Some(item) = completions::route_next(self).await? else { break };
                processed.push(Processed::Completion(Box::new(item)));
            }
        }
        Ok(processed)
    }

    /// Claims the oldest claimable command, except those of tasks that are being served.
    pub(super) async fn claim(&self, kinds: &[&'static str], busy: &[String]) -> Result<Option<claims::Claim>> {
        let (pass, kinds, busy) = (self.clone(), kinds.to_vec(), busy.to_vec());
        let expires_at = clock::in_milliseconds(self.lease_ms);
        self.store
            .write(Durability::Full, move |tx| {
                let filter = claims::ClaimFilter {
                    kinds: &kinds,
                    dispatcher: &pass.dispatcher,
                    expires_at: &expires_at,
                    ignore_back_off: pass.ignore_back_off,
                    busy: &busy,
                };
                let claim = claims::claim(tx, &filter)?;
                if let Some(claim) = &claim {
                    telemetry::claimed(tx, claim, &pass.dispatcher)?;
                }
                Ok::<_, Error>(claim)
            })
            .await
    }

    /// Takes back claims of commands whose holders are gone.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn recover_commands(&self, which: Expired, limit: i64) -> Result<Vec<Processed>> {
        let dispatcher = self.dispatcher.clone();
        let kinds = command_types(None);
        let recovered = self
            .store
            .write(Durability::Full, move |tx| {
                let recovered = claims::recover(tx, which, &kinds, limit)?;
                for item in &recovered {
                    telemetry::recovered(tx, item, &dispatcher)?;
                }
                Ok::<_, StoreError>(recovered)
            })
            .await
            .map_err(Error::from)?;
        let shown = |item: claims::Recovered| {
            Processed::Recovered(Box::new(RecoveredClaim {
                attempt_id: item.attempt_id,
                command_id: item.command_id.to_string(),
                command_type: item.kind,
                correlation_id: item.correlation_id,
                dispatcher_id: self.dispatcher.clone(),
                error: item.error,
                side_effect_started: item.side_effect_started,
                state: if item.requeued { ProcessedState::Requeued } else { ProcessedState::Failed },
                recovered: true,
            }))
        };
        Ok(recovered.into_iter().map(shown).collect())
    }

    /// Settles completions whose send may have begun before their dispatcher was gone.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn settle_interrupted(&self, everything: bool) -> Result<Vec<Processed>> {
        let dispatcher = self.dispatcher.clone();
        let settled = self
            .store
            .write(Durability::Full, move |tx| completions::settle_interrupted(tx, everything, &dispatcher))
            .await?;
        Ok(settled.into_iter().map(|item| Processed::Completion(Box::new(item))).collect())
    }
}
