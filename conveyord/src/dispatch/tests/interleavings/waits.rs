//! A task that looks at rows and then waits for their change: the change comes at each point in between.

use super::*;
use crate::changes::{self, ChangeKind};
use crate::store::notifications::{self, NewNotification};
use conveyor_proto::{
    ids::{BindingId, SessionId, TaskId},
    types::common::DeliveryMode,
};
use std::cell::Cell;
use std::pin::pin;
use tokio::time::Instant;

/// Runs a test on a clock that stands still while anything can be done, with one thread for what blocks.
fn run<T>(test: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).max_blocking_threads(1).build().unwrap().block_on(test)
}

/// Runs `work`, and `happens` before its poll number `point`, if there are as many. Whatever `work` hands to
/// the blocking thread is begun after the poll, so each read and write is such a point.
async fn with_event<T>(work: impl Future<Output = T>, point: usize, happens: impl FnOnce()) -> T {
    let mut work = pin!(work);
    let (mut polls, mut happens) = (0, Some(happens));
    std::future::poll_fn(move |cx| {
        if polls == point
            && let Some(happens) = happens.take()
        {
            happens();
        }
        polls += 1;
        let (release, released) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || released.recv());
        let polled = work.as_mut().poll(cx);
        drop(release);
        polled
    })
    .await
}

fn deliver(world: &World) {
    let (task, binding) = (TaskId("t".into()), BindingId("b".into()));
    let new = NewNotification {
        task: &task,
        binding: &binding,
        correlation_id: "c",
        source: &SessionId("w".into()),
        target: &SessionId("m".into()),
        signal_type: SignalType::WorkerTaskComplete.as_str(),
        source_event: None,
        turn_row_id: None,
        dedupe_key: "d",
        command_id: None,
        mode: DeliveryMode::PullRequired,
        claim: None,
        payload: &json!({}),
    };
    let deliver = |tx: &Tx<'_>| {
        let id = notifications::insert(tx, &new)?.unwrap();
        notifications::deliver(tx, id, notifications::Pushed::NOTHING)
    };
    world.store.write_blocking(Durability::Normal, deliver).unwrap();
}

#[test]
fn a_waiting_consumer_is_woken_whenever_the_item_comes() {
    for lease in [false, true] {
        let mut points = 0;
        while run(comes_to_a_waiting_consumer(points, lease)) {
            points += 1;
        }
        assert!(points > 3, "only {points} points");
    }
}

/// Delivers an item at a point of a waiting call; false when the call was over before.
async fn comes_to_a_waiting_consumer(point: usize, lease: bool) -> bool {
    const TIMEOUT: Duration = Duration::from_secs(60);
    let world = World::new();
    let params = json!({
        "session": "manager", "consume_next": true, "lease": lease, "wait": true, "timeout": TIMEOUT.as_secs(),
    });
    let params: TakeParams = serde_json::from_value(params).unwrap();
    let (began, happened_at) = (Instant::now(), Cell::new(None));
    let cancel = CancellationToken::new();
    let take = inbox::take(&world.store, params, &cancel);
    let happens = || {
        happened_at.set(Some(Instant::now()));
        deliver(&world);
    };
    let taken = with_event(take, point, happens).await.unwrap();
    let (wait, listed) = (&taken.wait, taken.items.len());
    // A call whose wake was lost waits until its time-out, and its last look may still find the item.
    let late = happened_at.get().is_none_or(|at| at - began >= TIMEOUT);
    assert!(late || began.elapsed() < TIMEOUT, "what came at point {point} woke nobody");
    let nothing_came = wait.timed_out && listed == 0;
    assert!(taken.consumed.is_some() || nothing_came, "it came at point {point}: {wait:?}, {listed} listed");
    assert!(taken.consumed.is_some() || late, "what came at point {point} was not taken");
    happened_at.get().is_some()
}

/// The sweep of Dispatch, which would hide a lost wake after this time.
const SWEEP: Duration = Duration::from_secs(5);

#[test]
fn dispatch_is_woken_whenever_a_command_comes() {
    let mut points = 0;
    // The first round, and the one after the sweep, which ends the wait between them.
    while run(comes_to_dispatch(points)) < 2 * SWEEP {
        points += 1;
    }
    assert!(points > 10, "only {points} points");
}

/// Queues a command at a point in the life of Dispatch. Returns how long after the start that was.
async fn comes_to_dispatch(point: usize) -> Duration {
    let world = World::new();
    let (began, happened_at) = (Instant::now(), Cell::new(None));
    let cancel = CancellationToken::new();
    let dispatch = world.dispatch_loop("one", cancel.clone());
    let mut changes = world.store.changes().subscribe();
    let happens = || {
        happened_at.set(Some(Instant::now()));
        queue_now(&world);
    };
    let ended = async {
        let is_end = |change: &changes::Change| {
            change.kind == ChangeKind::Command && change.state.as_deref() == Some("succeeded")
        };
        changes.wait_for(is_end).await.unwrap();
        let happened_at = happened_at.get().unwrap();
        assert!(happened_at.elapsed() < SWEEP / 2, "what came at point {point} waited for the sweep");
        cancel.cancel();
        happened_at - began
    };
    tokio::join!(with_event(dispatch, point, happens), ended).1
}

/// What queueing a command commits and publishes, at once.
fn queue_now(world: &World) {
    let insert = "insert into commands (id, idempotency_key, created_at, updated_at, task_id, binding_id, type,
            state, payload_json, correlation_id)
        values ('command-1', 'k', '1', '1', 't', 'b', 'nudge_worker', 'pending', '{\"message\": \"hello\"}', 'c')";
    let queue = |tx: &Tx<'_>| {
        tx.execute(insert, [])?;
        tx.publish(changes::change(ChangeKind::CommandQueued));
        Ok::<_, StoreError>(())
    };
    world.store.write_blocking(Durability::Normal, queue).unwrap();
}
