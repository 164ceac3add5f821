//! The daemon's own Dispatch: a task that is woken by what gives it work.
//!
//! Commands of one task are served one after the other, different ones side by side; completions have a
//! budget of their own, so that a slow pane delays nobody else. Errors of a pass are logged and the loop
//! goes on.

use super::{
    commands, completions,
    pane::PaneSender,
    pass::{Pass, command_types, heartbeat},
};
use crate::{
    changes::{Change, ChangeKind},
    clock,
    error::{Error, Result},
    store::{self, Durability, Store, commands::claims::{self, Expired}, deliveries, notifications},
};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Length of a lease; it is renewed while a send lasts.
const LEASE_MS: i64 = 60_000;
/// Commands that are served side by side.
const MAX_LANES: usize = 16;
/// Beneath the wakes: for lost ones, expired leases and clock jumps.
const SWEEP: Duration = Duration::from_secs(5);
/// Pause between two telemetry heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// While something is held, records of any session may mean that a menu is gone; looked at no more often
/// than this.
const HELD_LOOK: Duration = Duration::from_millis(200);

/// Settles what an earlier daemon left: nobody who held a claim can be alive.
///
/// # Errors
/// Those of the database.
pub async fn settle_earlier_boot(store: &Store, sender: &PaneSender, dispatcher: &str) -> Result<()> {
    let pass = pass(store, sender, dispatcher);
    pass.recover_commands(Expired::All, i64::MAX).await?;
    pass.settle_interrupted(true).await?;
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

fn pass(store: &Store, sender: &PaneSender, dispatcher: &str) -> Pass {
    Pass {
        store: store.clone(),
        sender: sender.clone(),
        dispatcher: dispatcher.to_owned(),
        lease_ms: LEASE_MS,
        ignore_back_off: false,
    }
}

/// Runs until cancelled, then waits for what is under way.
pub async fn run(store: Store, sender: PaneSender, dispatcher: String, cancel: CancellationToken) {
    let mut task = Task {
        pass: pass(&store, &sender, &dispatcher),
        lanes: Vec::new(),
        serving: JoinSet::new(),
        completions: JoinSet::new(),
        iteration: 0,
        processed: 0,
        any_held: false,
    };
    let mut changes = store.changes().subscribe();
    let mut beat = tokio::time::interval(HEARTBEAT);
    let mut last_held_look = tokio::time::Instant::now();
    loop {
        if let Err(error) = task.work().await {
            tracing::error!(%error, "a pass of Dispatch failed; it goes on with the next");
        }
        let due = task.next_due().await.min(SWEEP);
        let sleep = tokio::time::sleep(due);
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                () = cancel.cancelled() => {
                    task.drain().await;
                    return;
                }
                () = &mut sleep => break,
                change = changes.next() => match change {
                    None => return,
                    Some(change) if gives_work(&change) => break,
                    Some(change) if task.any_held && change.kind == ChangeKind::Ingested
                        && last_held_look.elapsed() >= HELD_LOOK =>
                    {
                        last_held_look = tokio::time::Instant::now();
                        task.look_at_held(true).await;
                        break;
                    }
                    Some(_) => {}
                },
                Some(done) = task.serving.join_next(), if !task.serving.is_empty() => {
                    task.served(done);
                    break;
                }
                Some(done) = task.completions.join_next(), if !task.completions.is_empty() => {
                    if let Ok(Err(error)) = done {
                        tracing::error!(%error, "a completion could not be routed");
                    }
                    break;
                }
                _ = beat.tick() => {
                    task.iteration += 1;
                    let (iteration, processed) = (task.iteration, std::mem::take(&mut task.processed));
                    if let Err(error) = heartbeat(&store, &dispatcher, iteration, false, processed).await {
                        tracing::warn!(%error, "the heartbeat of Dispatch could not be written");
                    }
                }
            }
        }
    }
}

fn gives_work(change: &Change) -> bool {
    matches!(
        change.kind,
        ChangeKind::CommandQueued | ChangeKind::TurnEnded | ChangeKind::Binding | ChangeKind::Lagged
    ) || (change.kind == ChangeKind::Command && change.state.as_deref() == Some("pending"))
}

struct Task {
    pass: Pass,
    /// Lanes that are being served.
    lanes: Vec<String>,
    serving: JoinSet<(String, Result<bool>)>,
    completions: JoinSet<Result<u64>>,
    iteration: u64,
    processed: u64,
    any_held: bool,
}

impl Task {
    /// Takes up all work there is.
    async fn work(&mut self) -> Result<()> {
        self.pass.recover_commands(Expired::ByLease, 100).await?;
        self.pass.settle_interrupted(false).await?;
        self.look_at_held(false).await;
        if self.completions.is_empty() {
            let pass = self.pass.clone();
            self.completions.spawn(async move {
                let (mut count, mut last) = (0, 0);
                while let Some((id, _)) = completions::recover_next(&pass, last).await? {
                    (last, count) = (id, count + 1);
                }
                while completions::route_next(&pass).await?.is_some() {
                    count += 1;
                }
                Ok(count)
            });
        }
        let kinds = command_types(None);
        while self.lanes.len() < MAX_LANES {
            let Some(claim) = self.pass.claim(&kinds, &self.lanes).await? else { break };
            let lane = claims::lane(&claim);
            self.lanes.push(lane.clone());
            let pass = self.pass.clone();
            self.serving.spawn(async move {
                let done = commands::execute(&pass, claim).await;
                (lane, done.map(|item| item.is_some()))
            });
        }
        Ok(())
    }

    fn served(&mut self, done: std::result::Result<(String, Result<bool>), tokio::task::JoinError>) {
        match done {
            Ok((lane, result)) => {
                self.lanes.retain(|busy| *busy != lane);
                match result {
                    Ok(_) => self.processed += 1,
                    Err(error) => tracing::error!(%error, "a command could not be executed"),
                }
            }
            Err(error) => {
                // The lease of what it held runs out, and recovery takes it up.
                tracing::error!(%error, "a delivery ended early");
                self.lanes.clear();
            }
        }
    }

    /// Looks at the panes of what is held back.
    async fn look_at_held(&mut self, everything: bool) {
        let (store, sender) = (&self.pass.store, &self.pass.sender);
        if let Err(error) = commands::put_off_held(store, sender, everything).await {
            tracing::warn!(%error, "held commands could not be looked at");
        }
        let counts = store.read(|connection| Ok::<_, Error>(deliveries::counts(connection)?)).await;
        self.any_held = counts.is_ok_and(|counts| counts.held > 0);
    }

    /// The time until the next thing is due.
    async fn next_due(&self) -> Duration {
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
        let Some(due) = clock::parse(&due) else { return SWEEP };
        let left = due.duration_since(jiff::Timestamp::now()).as_millis();
        // Something that is due and was not taken waits for another, not for the clock.
        Duration::from_millis(u64::try_from(left).ok().filter(|left| *left > 0).unwrap_or(100))
    }

    async fn drain(&mut self) {
        while let Some(done) = self.serving.join_next().await {
            self.served(done);
        }
        while self.completions.join_next().await.is_some() {}
    }
}
