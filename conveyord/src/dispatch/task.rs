//! The background loop of Dispatch: it wakes for each change that may make something due, and takes up what
//! is due.
//!
//! Commands of one task are executed one after the other, those of different tasks side by side. Completions
//! are routed beside them, so that a slow pane delays nobody else. An error ends one round: it is logged, and
//! the loop goes on. A panic puts off the one command or completion whose work panicked (see [`Items`]).
//!
//! What happens to a command is in `commands`, to a completion in `completions`.

use super::{
    commands, completions,
    courier::Courier,
    dispatcher::{Dispatcher, Part},
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
        deadlines, deliveries,
        ids::NotificationId,
        notifications,
    },
};
use conveyor_proto::limits::INBOX_LEASE_SECONDS;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

/// Length of a lease. It is renewed while a send lasts (see `lease`).
const LEASE_MS: i64 = 60_000;
/// Commands that are executed side by side at most.
const MAX_LANES: usize = 16;
/// How often Dispatch looks for work unasked: a wake may be lost, a lease may run out.
const SWEEP: Duration = Duration::from_secs(5);
/// Pause before the next round when something is due that the last round did not take, for example because it
/// became due a moment later.
const OVERDUE: Duration = Duration::from_millis(100);
/// Pause between two heartbeats: this dispatcher's row, and a telemetry event.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// Shortest pause between two looks at the panes of held texts. While a text is held, new records of any
/// session may mean that a menu was answered.
const HELD_LOOK: Duration = Duration::from_millis(200);

/// Settles what an earlier daemon left under way, before any new work. Only one daemon at a time holds the
/// state root (see `lock`), so every claim in the database belongs to a daemon that has ended.
pub async fn settle_earlier_boot(store: &Store, sender: &Courier, dispatcher: &str) -> Result<()> {
    let pass = pass(store.clone(), sender.clone(), dispatcher.to_owned());
    pass.recover_commands(&command_types(None), Expired::All, i64::MAX).await?;
    faults::reach(CrashPoint::CommandsRecovered);
    pass.settle_interrupted(Expired::All).await?;
    faults::reach(CrashPoint::CompletionsRecovered);
    store
        .write(Durability::Full, |tx| {
            notifications::release_claims(tx)?;
            deadlines::begin_anew(tx, &tx.due_in(INBOX_LEASE_SECONDS * 1000))?;
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

/// Dispatch as a background loop, with what outlives a run that panicked. Cheap to clone.
#[derive(Clone)]
pub struct DispatchLoop {
    pass: Dispatcher,
    under_way: Arc<Mutex<UnderWay>>,
}

/// Work that has begun. It outlives a panic of the loop beside it, because a send that has begun must not be
/// broken off.
#[derive(Default)]
struct UnderWay {
    /// Commands that are being executed.
    serving: JoinSet<Result<bool>>,
    /// At most one task: completions are routed in their order.
    completions: JoinSet<Result<u64>>,
}

impl DispatchLoop {
    /// Makes the loop; [`Self::run`] starts it.
    #[must_use]
    pub fn new(store: Store, sender: Courier, dispatcher: String) -> Self {
        Self { pass: pass(store, sender, dispatcher), under_way: Arc::default() }
    }

    /// Runs until `cancel`, then waits for what is under way. After a panic, the next run takes over the work
    /// of the last one.
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

    /// Waits for the work that was left under way when the loop was given up.
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
    task.look_for_earlier_receipts(&cancel);
    loop {
        if work && let Err(error) = task.work().await {
            task.failed = true;
            task.pass.items.trouble("a pass of Dispatch failed; it goes on with the next", &error);
            tracing::error!(%error, "a pass of Dispatch failed; it goes on with the next");
        }
        let sleep = tokio::time::sleep(task.next_due().await.min(SWEEP));
        tokio::pin!(sleep);
        // Wait for a wake. The value of this loop says whether there may be work.
        work = loop {
            let UnderWay { serving, completions } = &mut *task.under_way;
            tokio::select! {
                // The daemon ends: finish what is under way, and take up nothing new.
                () = cancel.cancelled() => {
                    task.drain().await;
                    task.beat().await;
                    return;
                }
                () = &mut sleep => break true,
                change = changes.next() => match change {
                    None => return,
                    Some(change) if gives_work(&change) => break true,
                    // A menu may have been answered: look at the panes of held texts.
                    Some(change) if task.any_held && change.kind == ChangeKind::Ingested
                        && last_held_look.elapsed() >= HELD_LOOK =>
                    {
                        last_held_look = tokio::time::Instant::now();
                        task.look_at_held(held::Scope::All).await;
                        break true;
                    }
                    Some(_) => {}
                },
                // A lane is free again, so the next command of that lane may be due.
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

/// Whether a change may make something due.
fn gives_work(change: &Change) -> bool {
    match change.kind {
        ChangeKind::CommandQueued | ChangeKind::TurnEnded | ChangeKind::Binding | ChangeKind::Lagged => true,
        // A notification is to be sent: a completion that a person sends again (`mend`), or an approval.
        ChangeKind::Notification => change.state.as_deref() == Some("pending"),
        // A command was put back, or it ended, which frees its lane. A claim (`attempted`) gives no work.
        ChangeKind::Command => change.state.as_deref() != Some("attempted"),
        _ => false,
    }
}

/// One run of the loop.
struct Task {
    pass: Dispatcher,
    under_way: OwnedMutexGuard<UnderWay>,
    /// Whether new completions may have come up while the last ones were routed.
    completions_again: bool,
    /// Whether the last round failed. The next one then waits for the sweep instead of failing again at once.
    failed: bool,
    /// Whether any text is held back, so that new records are worth a look at its pane.
    any_held: bool,
    iteration: u64,
    processed: u64,
}

impl Task {
    /// One round: takes up everything that is due.
    async fn work(&mut self) -> Result<()> {
        self.failed = false;
        // Claims whose end could not be written: end their leases, so that the recovery below takes them
        // back.
        self.pass.lost.give_up(&self.pass.store).await?;
        // Completions come before commands, because a manager may be waiting for one. If a round of
        // completions runs already, note that another must follow it.
        self.completions_again = !self.under_way.completions.is_empty();
        if self.under_way.completions.is_empty() {
            self.under_way.completions.spawn(route(self.pass.clone()));
        }
        let kinds = command_types(None);
        // Claims whose lease ran out: their dispatcher died or gave them up.
        self.pass.recover_commands(&kinds, Expired::ByLease, 100).await?;
        self.pass.settle_interrupted(Expired::ByLease).await?;
        self.look_at_held(held::Scope::Due).await;
        // If every claim slot is taken, do nothing: the end of any running command wakes this loop again.
        while self.under_way.serving.len() < MAX_LANES {
            let Some(claim) = self.pass.claim(&kinds, &[]).await? else { break };
            let pass = self.pass.clone();
            self.under_way.serving.spawn(async move {
                let item = format!("command {}", claim.id);
                let executed = pass.items.attempt(&item, commands::execute(&pass, claim.clone())).await;
                let lost = LostClaim::Command(Box::new(claim));
                match executed {
                    Ok(Ok(settled)) => Ok(settled.is_some()),
                    // The end of the command could not be written: the next round gives its claim up.
                    Ok(Err(error)) => {
                        pass.lost.add(lost);
                        Err(error)
                    }
                    // The work panicked: nobody takes the command up before the pause is over.
                    Err(pause) => {
                        pass.lost.add_after(lost, pause);
                        Err(Panicked.into())
                    }
                }
            });
        }
        Ok(())
    }

    /// Looks for the receipts of what an earlier daemon sent, beside all other work.
    fn look_for_earlier_receipts(&mut self, cancel: &CancellationToken) {
        let (receipts, cancel) = (self.pass.sender.pane.receipts(), cancel.clone());
        self.under_way.serving.spawn(async move {
            cancel.run_until_cancelled(receipts.look_for_earlier()).await.transpose()?;
            Ok(false)
        });
    }

    /// Notes the end of a command's execution.
    fn served(&mut self, done: std::result::Result<Result<bool>, JoinError>) {
        match done.map_err(Error::from).flatten() {
            Ok(settled) => self.processed += u64::from(settled),
            // The next round gives the claim up, and recovery takes the command up again.
            Err(error) => {
                self.pass.items.trouble("a command could not be executed", &error);
                tracing::error!(%error, "a command could not be executed");
            }
        }
    }

    /// Notes the end of a round of completions. Returns whether another round is due at once.
    fn routed(&mut self, done: std::result::Result<Result<u64>, JoinError>) -> bool {
        match done.map_err(Error::from).flatten() {
            Ok(count) => self.processed += count,
            // Only the completion whose work panicked rests. The others need not wait for the sweep.
            Err(Error::Panicked(_)) => return true,
            Err(error) => {
                self.failed = true;
                self.pass.items.trouble("a completion could not be routed", &error);
                tracing::error!(%error, "a completion could not be routed");
            }
        }
        std::mem::take(&mut self.completions_again) && !self.failed
    }

    /// Looks at the panes of held texts.
    async fn look_at_held(&mut self, scope: held::Scope) {
        let (store, sender) = (&self.pass.store, &self.pass.sender);
        let looked = held::look(store, sender, &self.pass.items, scope).await;
        let any = store.read(|connection| Ok::<_, Error>(deliveries::any_held(connection)?)).await;
        self.any_held = any.as_ref().is_ok_and(|any| *any);
        if let Err(error) = looked.and(any) {
            self.pass.items.trouble("held deliveries could not be looked at", &error);
            tracing::warn!(%error, "held deliveries could not be looked at");
        }
    }

    /// The time until a command, a completion or the end of a lease is due, but at most until the sweep.
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
        match clock::until_due(&due) {
            None => SWEEP,
            Some(left) if !left.is_zero() => left,
            // Something is due that this round could not take: its lane or every slot is taken. The end of
            // the work under way wakes this loop again.
            _ if !self.under_way.serving.is_empty() || !self.under_way.completions.is_empty() => SWEEP,
            // Nothing is under way, so no wake will come: look again soon.
            _ => OVERDUE,
        }
    }

    /// Writes the heartbeat, with how many items were processed since the last one.
    async fn beat(&mut self) {
        self.iteration += 1;
        let processed = std::mem::take(&mut self.processed);
        let beat = heartbeat(&self.pass.store, &self.pass.id, self.iteration, processed);
        if let Err(error) = beat.await {
            tracing::warn!(%error, "the heartbeat of Dispatch could not be written");
        }
    }

    /// Waits for the end of everything that is under way.
    async fn drain(&mut self) {
        while let Some(done) = self.under_way.serving.join_next().await {
            self.served(done);
        }
        while let Some(done) = self.under_way.completions.join_next().await {
            self.routed(done);
        }
    }
}

/// Sends the completions that an earlier pass left unsent, then routes all new ones that are due. Returns how
/// many there were.
async fn route(pass: Dispatcher) -> Result<u64> {
    let (mut count, mut last) = (0, NotificationId::default());
    while let Some(id) = unsent::recover_next(&pass, last, None, |_| count += 1).await? {
        last = id;
    }
    let mut part = Part::First;
    while completions::route_some(&pass, part, usize::MAX, |_| count += 1).await? {
        part = Part::Further;
    }
    Ok(count)
}
