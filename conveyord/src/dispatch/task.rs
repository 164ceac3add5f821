//! The daemon's own Dispatch: a task that is woken by what gives it work.
//!
//! Commands of one task are served one after the other, different ones side by side; completions have a
//! budget of their own, so that a slow pane delays nobody else. Errors of a pass are logged and the loop
//! goes on. A panic in the work on one command or completion puts that one off, and nothing else.

use super::{
    commands, completions,
    courier::Courier,
    dispatcher::Dispatcher,
    held,
    lost::{Lost, LostClaim},
    pass::{command_types, heartbeat},
    unsent,
};
use crate::{
    background::{Items, LoopName},
    changes::{Change, ChangeKind},
    clock,
    error::{Error, Result},
    faults::{self, CrashPoint},
    guard::Panicked,
    store::{
        self, Durability, Store,
        commands::{claims, recovery::Expired},
        deliveries,
        ids::NotificationId,
        notifications,
    },
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

/// Length of a lease; it is renewed while a send lasts.
const LEASE_MS: i64 = 60_000;
/// Commands that are served side by side.
const MAX_LANES: usize = 16;
/// Beneath the wakes: for lost ones, expired leases and clock jumps.
const SWEEP: Duration = Duration::from_secs(5);
/// Pause before another look at what is due and yet was not taken, as when its time had not quite come.
const OVERDUE: Duration = Duration::from_millis(100);
/// Pause between two telemetry heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// While something is held, records of any session may mean that a menu is gone; looked at no more often
/// than this.
const HELD_LOOK: Duration = Duration::from_millis(200);

/// Settles what an earlier daemon left: nobody who held a claim can be alive.
///
/// # Errors
/// Those of the database.
pub async fn settle_earlier_boot(store: &Store, sender: &Courier, dispatcher: &str) -> Result<()> {
    let pass = pass(store.clone(), sender.clone(), dispatcher.to_owned());
    pass.recover_commands(&command_types(None), Expired::All, i64::MAX).await?;
    faults::reach(CrashPoint::CommandsRecovered);
    pass.settle_interrupted(Expired::All).await?;
    faults::reach(CrashPoint::CompletionsRecovered);
    store
        .write(Durability::Full, |tx| {
            notifications::release_claims(tx)?;
            deliveries::close_interrupted(tx)?;
            store::cycles::close_interrupted(tx)?;
            store::finish::close_interrupted(tx)?;
            Ok::<_, Error>(())
        })
        .await
}

fn pass(store: Store, sender: Courier, id: String) -> Dispatcher {
    let items = Items::new(LoopName::Dispatch);
    Dispatcher { store, sender, id, lease_ms: LEASE_MS, ignore_back_off: false, lost: Lost::default(), items }
}

/// Dispatch, and what of it outlives a run that panicked. Cheap to clone.
#[derive(Clone)]
pub struct DispatchLoop {
    pass: Dispatcher,
    under_way: Arc<Mutex<UnderWay>>,
}

/// The work that is under way. A send that has begun is not broken off because the loop beside it panicked.
#[derive(Default)]
struct UnderWay {
    /// Commands that are being executed.
    serving: JoinSet<Result<bool>>,
    /// At most one: completions are routed in their order.
    completions: JoinSet<Result<u64>>,
}

impl DispatchLoop {
    /// A Dispatch that does not run yet.
    #[must_use]
    pub fn new(store: Store, sender: Courier, dispatcher: String) -> Self {
        Self { pass: pass(store, sender, dispatcher), under_way: Arc::default() }
    }

    /// Runs until cancelled, then waits for what is under way. A run that follows a failed one goes on with its work.
    pub async fn run(self, cancel: CancellationToken, items: Items) {
        let task = Task {
            pass: Dispatcher { items, ..self.pass },
            under_way: self.under_way.lock_owned().await,
            completions_again: false,
            failed: false,
            any_held: false,
            iteration: 0,
            processed: 0,
        };
        run(task, cancel).await;
    }

    /// Waits for what a Dispatch that was given up has left under way.
    pub async fn drain(self) {
        let mut under_way = self.under_way.lock().await;
        while under_way.serving.join_next().await.is_some() {}
        while under_way.completions.join_next().await.is_some() {}
    }
}

async fn run(mut task: Task, cancel: CancellationToken) {
    let mut changes = task.pass.store.changes().subscribe();
    let mut beat = tokio::time::interval(HEARTBEAT);
    let mut last_held_look = tokio::time::Instant::now();
    let mut work = true;
    loop {
        if work && let Err(error) = task.work().await {
            task.failed = true;
            tracing::error!(%error, "a pass of Dispatch failed; it goes on with the next");
        }
        let sleep = tokio::time::sleep(task.next_due().await.min(SWEEP));
        tokio::pin!(sleep);
        // Ends with whether there may be work.
        work = loop {
            let UnderWay { serving, completions } = &mut *task.under_way;
            tokio::select! {
                () = cancel.cancelled() => {
                    task.drain().await;
                    task.beat().await;
                    return;
                }
                () = &mut sleep => break true,
                change = changes.next() => match change {
                    None => return,
                    Some(change) if gives_work(&change) => break true,
                    Some(change) if task.any_held && change.kind == ChangeKind::Ingested
                        && last_held_look.elapsed() >= HELD_LOOK =>
                    {
                        last_held_look = tokio::time::Instant::now();
                        task.look_at_held(true).await;
                        break true;
                    }
                    Some(_) => {}
                },
                Some(done) = serving.join_next(), if !serving.is_empty() => {
                    task.served(done);
                    break true;
                }
                Some(done) = completions.join_next(), if !completions.is_empty() => {
                    break task.routed(done);
                }
                _ = beat.tick() => task.beat().await,
            }
        };
    }
}

fn gives_work(change: &Change) -> bool {
    match change.kind {
        ChangeKind::CommandQueued | ChangeKind::TurnEnded | ChangeKind::Binding | ChangeKind::Lagged => true,
        // To be sent again.
        ChangeKind::Notification => change.state.as_deref() == Some("pending"),
        // Put back, or ended, which frees its lane.
        ChangeKind::Command => change.state.as_deref() != Some("attempted"),
        _ => false,
    }
}

struct Task {
    pass: Dispatcher,
    under_way: OwnedMutexGuard<UnderWay>,
    /// Whether something came up while completions were routed.
    completions_again: bool,
    /// Whether the last round ended in an error: then the next waits for the sweep.
    failed: bool,
    any_held: bool,
    iteration: u64,
    processed: u64,
}

impl Task {
    /// Takes up all work there is.
    async fn work(&mut self) -> Result<()> {
        self.failed = false;
        self.pass.lost.give_up(&self.pass.store).await?;
        // First, since a manager may wait for one.
        self.completions_again = !self.under_way.completions.is_empty();
        if self.under_way.completions.is_empty() {
            self.under_way.completions.spawn(route(self.pass.clone()));
        }
        let kinds = command_types(None);
        self.pass.recover_commands(&kinds, Expired::ByLease, 100).await?;
        self.pass.settle_interrupted(Expired::ByLease).await?;
        self.look_at_held(false).await;
        while self.under_way.serving.len() < MAX_LANES {
            let Some(claim) = self.pass.claim(&kinds, &[]).await? else { break };
            let pass = self.pass.clone();
            self.under_way.serving.spawn(async move {
                let item = format!("command {}", claim.id);
                let executed = pass.items.attempt(&item, commands::execute(&pass, claim.clone())).await;
                let lost = LostClaim::Command(Box::new(claim));
                match executed {
                    Ok(Ok(settled)) => Ok(settled.is_some()),
                    Ok(Err(error)) => {
                        pass.lost.add(lost);
                        Err(error)
                    }
                    Err(pause) => {
                        pass.lost.add_after(lost, pause);
                        Err(Panicked.into())
                    }
                }
            });
        }
        Ok(())
    }

    fn served(&mut self, done: std::result::Result<Result<bool>, JoinError>) {
        match done.map_err(Error::from).flatten() {
            Ok(settled) => self.processed += u64::from(settled),
            // Its claim is given up in the next round, and recovery takes it up.
            Err(error) => tracing::error!(%error, "a command could not be executed"),
        }
    }

    /// Notes the end of a round of completions; returns whether another is due at once.
    fn routed(&mut self, done: std::result::Result<Result<u64>, JoinError>) -> bool {
        match done.map_err(Error::from).flatten() {
            Ok(count) => self.processed += count,
            // The one whose work panicked rests; the others need not wait for the sweep.
            Err(Error::Panicked(_)) => return true,
            Err(error) => {
                self.failed = true;
                tracing::error!(%error, "a completion could not be routed");
            }
        }
        std::mem::take(&mut self.completions_again) && !self.failed
    }

    /// Looks at the panes of what is held back.
    async fn look_at_held(&mut self, everything: bool) {
        let (store, sender) = (&self.pass.store, &self.pass.sender.pane);
        let looked = held::look(store, sender, &self.pass.items, everything).await;
        let any = store.read(|connection| Ok::<_, Error>(deliveries::any_held(connection)?)).await;
        self.any_held = any.as_ref().is_ok_and(|any| *any);
        if let Err(error) = looked.and(any) {
            tracing::warn!(%error, "held deliveries could not be looked at");
        }
    }

    /// The time until the next thing is due.
    async fn next_due(&self) -> Duration {
        if self.failed {
            return SWEEP;
        }
        let due = self
            .pass
            .store
            .read(|connection| {
                let command = claims::next_due(connection)?;
                let notification = notifications::next_due(connection)?;
                Ok::<_, Error>([command, notification].into_iter().flatten().min())
            })
            .await;
        let Ok(Some(due)) = due else { return SWEEP };
        match clock::until(&due) {
            None => SWEEP,
            Some(left) if !left.is_zero() => left,
            // What is due and was not taken waits for what is under way, whose end is a wake.
            _ if !self.under_way.serving.is_empty() || !self.under_way.completions.is_empty() => SWEEP,
            _ => OVERDUE,
        }
    }

    async fn beat(&mut self) {
        self.iteration += 1;
        let processed = std::mem::take(&mut self.processed);
        let beat = heartbeat(&self.pass.store, &self.pass.id, self.iteration, processed);
        if let Err(error) = beat.await {
            tracing::warn!(%error, "the heartbeat of Dispatch could not be written");
        }
    }

    async fn drain(&mut self) {
        while let Some(done) = self.under_way.serving.join_next().await {
            self.served(done);
        }
        while let Some(done) = self.under_way.completions.join_next().await {
            self.routed(done);
        }
    }
}

/// Routes all completions that are due; returns how many.
async fn route(pass: Dispatcher) -> Result<u64> {
    let (mut count, mut last) = (0, NotificationId::default());
    while let Some(id) = unsent::recover_next(&pass, last, |_| count += 1).await? {
        last = id;
    }
    while completions::route_some(&pass, usize::MAX, |_| count += 1).await? {}
    Ok(count)
}
