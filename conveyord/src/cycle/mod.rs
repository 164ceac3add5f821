//! The cycle: one observation of a bound task's worker, recorded as a row with spans and telemetry.
//!
//! What must not live here: decisions about the task, and anything that is sent to a session.

pub mod classify;
mod rows;

use self::rows::{Phase, Phases, context_attributes, signal_attributes, span, telemetry};
use crate::ingest::telemetry::ingest_telemetry;
use crate::{
    clock,
    codex::screen::{
        PaneLook, look_plain_at,
        phrases::{self, Freshness, LAST_SCREEN},
    },
    error::{Error, Result},
    ingest::{Ingest, Ingested, Shrunk, follow},
    refusal::Kind,
    sessions::{
        app_servers::AppServers,
        looks::{self, PaneLooks},
        pane::{self, Target},
        state,
    },
    store::{
        Durability, Store, StoreError, Tx,
        bindings::{self, Binding},
        cycles::{self, Span, SpanState},
        damage,
        event_names::TelemetryEvent,
        ids::CycleId,
        notifications,
        sessions::{self, Session},
        tasks, turns,
    },
    supervision::context,
    tmux::Captured,
};
use conveyor_proto::types::{
    cycle::{ConsumedNotification, CycleParams, CycleResult, IngestCounts, PaneSignal},
    inbox::Notification,
    rollout::{BusyWait, RolloutDamage},
    supervision::ManagerContext,
    task::TaskRow,
};
use serde_json::{Value, json};
use std::time::Duration;

/// Rows of scrollback that a cycle captures. The contract of `cycle` fixes this number.
const HISTORY_LINES: u32 = 200;

/// The services that a cycle or a wait uses.
#[derive(Clone)]
pub struct Observer {
    pub store: Store,
    pub ingest: Ingest,
    /// Time limit of each call of tmux.
    pub command_timeout: Duration,
    pub app_servers: AppServers,
    /// Shared looks at panes.
    pub looks: PaneLooks,
}

/// The task's pair, as it was when the cycle began.
struct Pair {
    task: TaskRow,
    binding: Binding,
    worker: Session,
    manager: Session,
}

/// The rows about a pair, read in one transaction.
struct Snapshot {
    stored: state::Stored,
    context: ManagerContext,
    damage: RolloutDamage,
    task_completed: bool,
}

impl Observer {
    /// Observes the worker of a task once. A look leaves no row of a cycle, consumes nothing, and is asked for no
    /// acknowledgement.
    ///
    /// # Errors
    /// `unknown_task` and `not_bound`, which leave no row. Every other error leaves a failed cycle: the
    /// refusals of ingest, `acknowledgements_required`, and faults.
    pub async fn cycle(&self, params: CycleParams) -> Result<CycleResult> {
        let mut phases = Phases::begin("resolve_active_binding");
        let reference = params.task.clone();
        let pair = self.store.read(move |connection| resolve(connection, &reference)).await?;
        if params.look {
            return self.observe(&params, &pair, &mut phases).await;
        }
        phases.next(
            "ingest_rollout",
            json!({
                "binding_id": pair.binding.id, "binding_state": pair.binding.state,
                "manager_session": pair.manager.name, "worker_session": pair.worker.name,
            }),
            SpanState::Succeeded,
        );
        // The gate comes first, because it costs almost nothing. Its refusal is recorded under the phase that
        // the contract names.
        let gate = {
            let (task, binding) = (pair.task.clone(), pair.binding.clone());
            self.store.read(move |connection| context::ack_gate(connection, &task, &binding)).await
        };
        if let Err(error) = gate {
            phases.name = "load_manager_context";
            // A manager that polls while an acknowledgement is missing renews one failed row instead of
            // adding one each time.
            if !self.renew_failure(&params, &pair, phases.name, &error).await? {
                let (cycle_id, _) = self.start(&pair, params.busy_wait_seconds).await?;
                self.record_failure(&params, &pair, cycle_id, phases, &error).await;
            }
            return Err(error);
        }
        let (cycle_id, started_at) = self.start(&pair, params.busy_wait_seconds).await?;
        let cycled = match self.observe(&params, &pair, &mut phases).await {
            Ok(result) => self.conclude(&pair, cycle_id, &started_at, result, &mut phases).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &cycled {
            self.record_failure(&params, &pair, cycle_id, phases, error).await;
        }
        cycled
    }

    async fn start(&self, pair: &Pair, busy_wait_seconds: i64) -> Result<(CycleId, String)> {
        let (task, correlation) = (pair.task.id.clone(), correlation(pair, None));
        self.store
            .write(Durability::Normal, move |tx| {
                let id = cycles::start(tx, &task)?;
                let attributes = json!({ "busy_wait_seconds": busy_wait_seconds, "cycle_id": id });
                telemetry(tx, TelemetryEvent::ManagerCycleStarted, task.as_str(), correlation, attributes)?;
                Ok::<_, Error>((id, tx.now().to_owned()))
            })
            .await
    }

    /// Reads the worker's rollout and pane, and the rows about the pair. What it reads of Codex is stored, as the
    /// watcher would store it; of the cycle itself nothing is.
    async fn observe(&self, params: &CycleParams, pair: &Pair, phases: &mut Phases) -> Result<CycleResult> {
        let pane = self.pane(&pair.worker).await;
        let worker = self.follow(pair, &pane).await?;
        let ingested = match self.ingest.run(&worker.id, Shrunk::Refuse).await {
            // A missing rollout does not fail the observation: Codex writes it at its first input. A session
            // that is gone has nothing left to read, since its rollout was read when its process ended.
            Err(Error::Ingest(refusal))
                if [Kind::RolloutPending, Kind::SessionGone].contains(&refusal.kind) =>
            {
                None
            }
            other => Some(other?),
        };
        let counts = if params.look {
            self.look_at_ingest(&worker, ingested).await?
        } else {
            self.report_ingest(pair, &worker, ingested).await?
        };
        let recent = counts.new_events;
        phases.next(
            "infer_worker_state",
            json!({
                "new_events": counts.new_events, "new_offset": counts.new_offset,
                "worker_session": pair.worker.name,
            }),
            SpanState::Succeeded,
        );
        let stored = {
            let worker = worker.clone();
            self.store.read(move |connection| state::stored(connection, &worker)).await?
        };
        let staleness = stored.last_state_event_at.as_deref().and_then(clock::seconds_since);
        phases.next(
            "capture_pane_signal",
            json!({
                "last_state_event_present": stored.last_state_event_at.is_some(),
                "state": state::coarse(&stored),
                "staleness_seconds": staleness,
            }),
            SpanState::Succeeded,
        );
        let freshness = Freshness {
            age: staleness.map(whole_seconds),
            threshold: params.busy_wait_seconds,
            recent_events: recent,
        };
        let (signal, seen) = Self::pane_signal(pane, freshness);
        let shown_since = self.note_pane(&worker, seen.as_ref()).await?;
        let sight = if signal.degraded { SpanState::Degraded } else { SpanState::Succeeded };
        phases.next("classify_pane_signal", signal_attributes(&signal), sight);
        let attributes = json!({ "captured": signal.captured, "notable_pattern": signal.notable_pattern });
        phases.next("load_manager_context", attributes, sight);
        // The watcher reads the rollout on while the pane is looked at. So all rows are read again in one
        // transaction. Otherwise the result could show a turn as completed while its state says that the turn
        // runs.
        let Snapshot { stored, context, damage, task_completed } = self.snapshot(pair, &worker).await?;
        let overlay = state::Overlay {
            pane: seen.as_ref().zip(shown_since.as_deref()),
            live: self.app_servers.status(&worker),
        };
        let detail = state::detail(&worker, &stored, &overlay);
        let (worker_alive, manager_alive) = (state::is_alive(&worker), state::is_alive(&pair.manager));
        let last_activity_at = stored.newest.as_ref().map(|(at, _)| at.clone());
        Ok(CycleResult {
            kind: "session_cycle".to_owned(),
            task: params.task.clone(),
            binding_id: pair.binding.id.to_string(),
            worker_session: pair.worker.name.clone(),
            manager_session: pair.manager.name.clone(),
            cycle_id: None,
            cycle_started_at: None,
            cycle_completed_at: None,
            ingest: counts,
            rollout_damage: damage,
            state: state::coarse(&stored),
            detail,
            turn: stored.turn.clone(),
            last_state_event_at: stored.last_state_event_at.clone(),
            staleness_seconds: stored.last_state_event_at.as_deref().and_then(clock::seconds_since),
            activity_age_seconds: last_activity_at.as_deref().and_then(clock::seconds_since),
            last_activity_at,
            notable_pane_pattern: signal.notable_pattern.clone(),
            pane_signal: signal,
            worker_alive,
            manager_alive,
            last_event_subtype: stored.newest.as_ref().and_then(|(_, subtype)| subtype.clone()),
            task_completed,
            consumed_dispatch_notifications: 0,
            consumed_notifications: Vec::new(),
            manager_context: context,
        })
    }

    /// The worker's pane and its text; none without tmux. The whole cycle uses this one look.
    async fn pane(&self, worker: &Session) -> Option<Result<(Target, Captured)>> {
        if !worker.has_tmux() {
            return None;
        }
        let tmux = pane::tmux(worker, self.command_timeout);
        Some(looks::drawn(&tmux, worker, HISTORY_LINES).await)
    }

    /// Follows the worker to the thread that its pane shows, before its rollout is read.
    async fn follow(&self, pair: &Pair, pane: &Option<Result<(Target, Captured)>>) -> Result<Session> {
        let title = match pane {
            Some(Ok((target, _))) => Some(target.pane.title.clone()),
            _ => None,
        };
        if follow::follow(&self.store, &self.ingest, &pair.worker, title).await? {
            let id = pair.worker.id.clone();
            let fresh = self
                .store
                .read(move |connection| Ok::<_, Error>(sessions::get(connection, id.as_str())?))
                .await?;
            return Ok(fresh.unwrap_or_else(|| pair.worker.clone()));
        }
        Ok(pair.worker.clone())
    }

    /// Stores what the pane shows, and returns since when it shows this.
    async fn note_pane(&self, worker: &Session, seen: Option<&PaneLook>) -> Result<Option<String>> {
        let Some(seen) = seen else { return Ok(None) };
        let (id, shows) = (worker.id.clone(), seen.shows.name());
        let note = move |tx: &Tx<'_>| sessions::note_pane(tx, &id, shows);
        Ok(Some(self.store.write(Durability::Normal, note).await?))
    }

    /// Reads the rows about a pair in one transaction.
    async fn snapshot(&self, pair: &Pair, worker: &Session) -> Result<Snapshot> {
        let (task, binding, worker) = (pair.task.clone(), pair.binding.clone(), worker.clone());
        self.store
            .read(move |connection| {
                Ok::<_, Error>(Snapshot {
                    stored: state::stored(connection, &worker)?,
                    context: context::manager_context(connection, &task, &binding)?,
                    damage: damage::unseen(connection, &task.id, &worker.id)?,
                    task_completed: turns::completed_after(connection, &binding.worker, binding.watermark)?,
                })
            })
            .await
    }

    /// Classifies the pane. An error does not fail the cycle; it stands in the signal.
    fn pane_signal(
        pane: Option<Result<(Target, Captured)>>,
        freshness: Freshness,
    ) -> (PaneSignal, Option<PaneLook>) {
        let empty = |reason: String, degraded| PaneSignal {
            captured: false,
            classifier: None,
            notable_pattern: None,
            status_age_seconds: freshness.age,
            reason: Some(reason),
            degraded,
            shows: None,
            title: None,
            question: None,
            prompt_visible: false,
        };
        let Some(pane) = pane else {
            return (empty("no tmux session attached".to_owned(), false), None);
        };
        let (Target { pane, .. }, captured) = match pane {
            Ok(found) => found,
            Err(error) => return (empty(format!("tmux capture failed: {error}"), true), None),
        };
        let notable = phrases::busy_wait(&captured.text, freshness, LAST_SCREEN).map(busy_wait);
        let seen = look_plain_at(&pane.title, captured.screen(), pane.cursor);
        let signal = PaneSignal {
            captured: true,
            notable_pattern: notable.as_ref().map(|found| found.pattern.clone()),
            classifier: notable,
            status_age_seconds: freshness.age,
            reason: None,
            degraded: false,
            shows: Some(seen.shows.name().to_owned()),
            title: Some(pane.title),
            question: seen.question.clone(),
            prompt_visible: seen.shows.blocks_sending(),
        };
        (signal, Some(seen))
    }

    /// The counts of records since the last report, whether a cycle or the watcher has stored them.
    async fn report_ingest(
        &self,
        pair: &Pair,
        worker: &Session,
        ingested: Option<Ingested>,
    ) -> Result<IngestCounts> {
        let (task, observed, worker) = (pair.task.id.clone(), worker.id.clone(), pair.worker.clone());
        self.store
            .write(Durability::Normal, move |tx| {
                let (new_events, skipped_lines) = sessions::report_ingest(tx, &observed)?;
                let new_offset = ingested.map_or(0, |ingested| ingested.offset.cast_signed());
                let counts = IngestCounts { new_events, new_offset, skipped_lines };
                let start_offset = ingested.map_or(0, |ingested| ingested.start_offset);
                ingest_telemetry(tx, Some(task.as_str()), &worker, counts, start_offset)?;
                Ok::<_, Error>(counts)
            })
            .await
    }

    /// The same counts for a look, which leaves them to the next cycle.
    async fn look_at_ingest(&self, worker: &Session, ingested: Option<Ingested>) -> Result<IngestCounts> {
        let observed = worker.id.clone();
        let look = move |connection: &rusqlite::Connection| sessions::look_at_ingest(connection, &observed);
        let (new_events, skipped_lines) = self.store.read(look).await?;
        let new_offset = ingested.map_or(0, |ingested| ingested.offset.cast_signed());
        Ok(IngestCounts { new_events, new_offset, skipped_lines })
    }

    /// Consumes the notifications that this cycle shows to the manager, and stores the cycle.
    async fn conclude(
        &self,
        pair: &Pair,
        cycle_id: CycleId,
        started_at: &str,
        mut result: CycleResult,
        phases: &mut Phases,
    ) -> Result<CycleResult> {
        let (task, binding, started_at) = (pair.task.clone(), pair.binding.clone(), started_at.to_owned());
        // The running phase goes on into the transaction, so its span is made there.
        let done: Vec<Phase> = std::mem::take(&mut phases.done);
        let (began, began_at) = (phases.began, phases.began_at.clone());
        let correlation = correlation(pair, Some(cycle_id));
        let concluded = self
            .store
            .write(Durability::Full, move |tx| {
                let consumed = notifications::consume_for_cycle(
                    tx,
                    &binding.id,
                    &task.id,
                    &binding.manager,
                    cycle_id,
                    &started_at,
                )?;
                result.consumed_dispatch_notifications = consumed.len() as u64;
                result.consumed_notifications = consumed.into_iter().map(shown).collect();
                let status = serde_json::to_value(&result).map_err(StoreError::from)?;
                let mut done = done;
                done.push(Phase {
                    name: "load_manager_context",
                    started_at: began_at,
                    completed_at: tx.now().to_owned(),
                    duration_ms: began.elapsed().as_secs_f64() * 1000.0,
                    state: SpanState::Succeeded,
                    attributes: context_attributes(&result),
                });
                done.push(Phase {
                    name: "persist_cycle_row",
                    started_at: tx.now().to_owned(),
                    completed_at: tx.now().to_owned(),
                    duration_ms: 0.0,
                    state: SpanState::Succeeded,
                    attributes: json!({
                        "manager_alive": result.manager_alive, "state": result.state,
                        "task_completed": result.task_completed, "worker_alive": result.worker_alive,
                    }),
                });
                for phase in &done {
                    span(tx, cycle_id, task.id.as_str(), phase)?;
                }
                let attributes = json!({
                    "ingest": result.ingest, "last_event_subtype": result.last_event_subtype,
                    "manager_alive": result.manager_alive,
                    "notable_pane_pattern": result.notable_pane_pattern, "state": result.state,
                    "task_completed": result.task_completed, "worker_alive": result.worker_alive,
                });
                let kind = TelemetryEvent::ManagerCycleSucceeded;
                telemetry(tx, kind, task.id.as_str(), correlation, attributes)?;
                cycles::succeed(tx, cycle_id, &status)?;
                result.cycle_id = Some(cycle_id.0);
                result.cycle_started_at = Some(started_at);
                result.cycle_completed_at = Some(tx.now().to_owned());
                Ok::<_, Error>(result)
            })
            .await;
        if concluded.is_err() {
            phases.name = "persist_cycle_row";
        }
        concluded
    }

    /// Renews the task's last cycle if it failed in the same way, so that polling leaves a single row.
    async fn renew_failure(
        &self,
        params: &CycleParams,
        pair: &Pair,
        phase: &str,
        error: &Error,
    ) -> Result<bool> {
        let (task, text) = (pair.task.id.clone(), error.to_string());
        let status = failure_status(params, pair, phase, error);
        let renew = move |tx: &Tx<'_>| cycles::renew_failure(tx, &task, &status, &text);
        Ok(self.store.write(Durability::Normal, renew).await?)
    }

    async fn record_failure(
        &self,
        params: &CycleParams,
        pair: &Pair,
        cycle_id: CycleId,
        phases: Phases,
        error: &Error,
    ) {
        let status = failure_status(params, pair, phases.name, error);
        let (text, kind, task) = (error.to_string(), error.type_name(), pair.task.id.clone());
        let correlation = correlation(pair, Some(cycle_id));
        let recorded = self
            .store
            .write(Durability::Normal, move |tx| {
                for phase in &phases.done {
                    span(tx, cycle_id, task.as_str(), phase)?;
                }
                cycles::span(
                    tx,
                    &Span {
                        cycle_id,
                        task_id: task.as_str(),
                        phase: phases.name,
                        started_at: &phases.began_at,
                        completed_at: tx.now(),
                        duration_ms: phases.began.elapsed().as_secs_f64() * 1000.0,
                        state: SpanState::Failed,
                        attributes: json!({}),
                        error_type: Some(kind),
                        decision_id: None,
                        command_id: None,
                    },
                )?;
                let attributes = json!({ "error_type": kind, "failure_phase": phases.name });
                let name = TelemetryEvent::ManagerCycleFailed;
                telemetry(tx, name, task.as_str(), correlation, attributes)?;
                cycles::fail(tx, cycle_id, &status, &text)?;
                Ok::<_, Error>(())
            })
            .await;
        if let Err(error) = recorded {
            // The caller gets the original error. The row stays open and is closed when the daemon starts
            // again.
            tracing::error!(%error, %cycle_id, "a failed cycle could not be recorded");
        }
    }
}

fn resolve(connection: &rusqlite::Connection, reference: &str) -> Result<Pair> {
    let task = tasks::resolve(connection, reference)?;
    let binding = bindings::require_open(connection, &task)?;
    let session = |id: &conveyor_proto::ids::SessionId| {
        sessions::get(connection, id.as_str())?
            .ok_or_else(|| Error::not_found(Kind::UnknownSession, "a session of the pair does not exist"))
    };
    let (worker, manager) = (session(&binding.worker)?, session(&binding.manager)?);
    Ok(Pair { task, binding, worker, manager })
}

fn correlation(pair: &Pair, cycle_id: Option<CycleId>) -> Value {
    let mut ids = json!({
        "binding_id": pair.binding.id, "manager_session": pair.manager.name, "worker_session": pair.worker.name,
    });
    if let (Value::Object(ids), Some(cycle_id)) = (&mut ids, cycle_id) {
        ids.insert("cycle_id".to_owned(), json!(cycle_id));
    }
    ids
}

fn shown(item: Notification) -> ConsumedNotification {
    ConsumedNotification {
        id: item.id,
        signal_type: item.signal_type,
        message: item.payload.get("message").and_then(Value::as_str).map(str::to_owned),
        correlation_id: item.correlation_id,
        created_at: item.created_at,
        payload: item.payload,
    }
}

/// A classifier's finding in the form of the wire.
#[must_use]
pub fn busy_wait(found: phrases::BusyWait) -> BusyWait {
    BusyWait {
        pattern: found.pattern.name().to_owned(),
        reason: found.reason,
        recommended_action: found.recommended_action.name().to_owned(),
    }
}

/// The status that is stored with a failed cycle.
fn failure_status(params: &CycleParams, pair: &Pair, phase: &str, error: &Error) -> Value {
    json!({
        "kind": "session_cycle", "task": params.task, "binding_id": pair.binding.id,
        "worker_session": pair.worker.name, "manager_session": pair.manager.name,
        "error_type": error.type_name(), "failure_phase": phase,
    })
}

/// Truncates, since ages in the contract are whole seconds.
#[expect(clippy::cast_possible_truncation, reason = "an age in seconds is far below 2^53")]
fn whole_seconds(seconds: f64) -> i64 {
    seconds as i64
}
