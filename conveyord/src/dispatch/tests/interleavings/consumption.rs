//! Inboxes: consumers that take, lease and acknowledge, a cycle, and a push to the pane of the same session.

use super::*;
use crate::dispatch::{completions, unsent};
use crate::store::{
    commands::recovery::Expired,
    ids::{CycleId, FencingToken, NotificationId},
    notifications::{self, NewNotification, UnsentFilter},
};
use conveyor_proto::{
    ids::{BindingId, SessionId, TaskId},
    types::common::DeliveryMode,
};

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Takes the oldest item for good.
    Take,
    /// Takes the oldest item for a while, and goes on when there is one.
    Lease,
    Acknowledge,
    /// A cycle shows all items.
    Cycle,
    /// Time passes: all leases of consumers run out.
    ExpireLeases,
    /// The dispatcher of a push claims it; waits when nothing is due.
    Claim,
    Begin,
    Type,
    Deliver,
    /// The pane shows a menu: the item can be taken from the inbox meanwhile.
    Hold,
    /// All claims of dispatchers run out.
    ExpireClaims,
    /// A pass settles what may have been typed.
    SettleInterrupted,
}

#[derive(Debug, Clone)]
struct Actor {
    steps: &'static [Step],
    claim: Option<(NotificationId, FencingToken)>,
    /// The item of its lease, as long as that has not run out.
    holds: Option<i64>,
}

#[derive(Debug, Clone)]
struct Consumers {
    actors: Vec<Actor>,
    /// Items that consumers took for good.
    consumed: Vec<i64>,
    /// Items that were typed into the pane.
    typed: Vec<i64>,
}

impl System for Consumers {
    fn actors(&self) -> usize {
        self.actors.len()
    }

    fn step(&mut self, tx: &Tx<'_>, number: usize) -> bool {
        let Some((step, rest)) = self.actors[number].steps.split_first() else { return false };
        let before = rows(tx);
        let lost =
            self.actors[number].claim.is_some_and(|(id, token)| !notifications::owns(tx, id, token).unwrap());
        let goes_on = self.act(tx, number, *step);
        if lost {
            assert_eq!(rows(tx), before, "{step:?} of a dispatcher that lost its claim wrote something");
        }
        let waits = matches!(step, Step::Take | Step::Lease | Step::Claim) && !goes_on;
        self.actors[number].steps = if goes_on { rest } else { &[] };
        if matches!(step, Step::Hold | Step::Deliver) {
            self.actors[number].claim = None;
        }
        !waits
    }

    fn check(&self, tx: &Tx<'_>) {
        let mut once = self.consumed.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), self.consumed.len(), "an item was consumed twice: {:?}", self.consumed);
        let consumed = "select count(*) from routed_notifications where consumed_at is not null";
        assert_eq!(
            count(tx, consumed),
            once.len() as i64,
            "who consumed it was not told, or was told wrongly"
        );
        for item in &self.typed {
            assert_eq!(self.typed.iter().filter(|other| *other == item).count(), 1, "it was typed twice");
        }
        let undelivered = "select count(*) from routed_notifications where consumed_at is not null and state <> 'delivered'";
        assert_eq!(count(tx, undelivered), 0);
    }

    /// Whatever was not consumed can be taken, after the end of all leases, and only once.
    fn check_restarted(&mut self, tx: &Tx<'_>) {
        unsent::settle_interrupted(tx, Expired::All, "after-restart").unwrap();
        notifications::release_claims(tx).unwrap();
        while let Some(pending) = notifications::claim_unsent(tx, unsent_by("next")).unwrap() {
            assert!(!self.typed.contains(&pending.id.0), "what was typed would be typed again");
            assert!(!self.consumed.contains(&pending.id.0), "what was consumed would be typed");
            notifications::deliver(
                tx,
                pending.id,
                notifications::Pushed { completed: true, uncertain: false },
            )
            .unwrap();
        }
        expire(tx, "routed_notifications", "lease_expires_at");
        while let Some(item) = notifications::take(tx, &manager(), None, None).unwrap() {
            self.consumed.push(item.id);
        }
        self.check(tx);
        let all = count(tx, "select count(*) from routed_notifications");
        assert_eq!(self.consumed.len() as i64, all, "an item is lost");
    }
}

impl Consumers {
    /// Does a step; false when the actor ends, or has to wait.
    fn act(&mut self, tx: &Tx<'_>, number: usize, step: Step) -> bool {
        // Each call that leases has a token of its own, as in the daemon.
        let token = format!("lease-{number}-{}", self.actors[number].steps.len().div_ceil(2));
        match step {
            Step::Take => {
                let taken = notifications::take(tx, &manager(), None, None).unwrap();
                self.consume(taken.iter().map(|item| item.id));
                taken.is_some()
            }
            Step::Lease => {
                let taken = notifications::take(tx, &manager(), None, Some((&token, FUTURE))).unwrap();
                self.check_free(taken.iter().map(|item| item.id));
                self.actors[number].holds = taken.as_ref().map(|item| item.id);
                taken.is_some()
            }
            Step::Acknowledge => {
                let acknowledged = notifications::acknowledge(tx, &token).unwrap();
                assert!(
                    acknowledged.is_some() || self.actors[number].holds.is_none(),
                    "a lease ended before its time"
                );
                self.actors[number].holds = None;
                // Each lease is acknowledged once here: if the item is consumed already, somebody else has it.
                assert!(
                    acknowledged.iter().all(|(_, now)| *now),
                    "what somebody else consumed was acknowledged"
                );
                self.consume(acknowledged.iter().filter(|(_, now)| *now).map(|(item, _)| item.id));
                true
            }
            Step::Cycle => {
                let (binding, task) = (BindingId("b".into()), TaskId("t".into()));
                let items =
                    notifications::consume_for_cycle(tx, &binding, &task, &manager(), CycleId(1), tx.now());
                self.consume(items.unwrap().iter().map(|item| item.id));
                true
            }
            Step::ExpireLeases => {
                expire(tx, "routed_notifications", "lease_expires_at");
                self.actors.iter_mut().for_each(|actor| actor.holds = None);
                true
            }
            Step::ExpireClaims => {
                expire(tx, "routed_notifications", "claim_expires_at");
                true
            }
            Step::SettleInterrupted => {
                unsent::settle_interrupted(tx, Expired::ByLease, "one").unwrap();
                true
            }
            Step::Claim => {
                let claimed = notifications::claim_unsent(tx, unsent_by("one")).unwrap();
                self.actors[number].claim = claimed.as_ref().map(|pending| (pending.id, pending.token));
                claimed.is_some()
            }
            Step::Begin | Step::Type | Step::Deliver | Step::Hold => {
                let Some(claim) = self.actors[number].claim else { panic!("{step:?} without a claim") };
                self.send(tx, claim, step)
            }
        }
    }

    fn check_free(&self, items: impl Iterator<Item = i64>) {
        for item in items {
            assert!(self.actors.iter().all(|actor| actor.holds != Some(item)), "two have one item");
        }
    }

    fn consume(&mut self, items: impl Iterator<Item = i64>) {
        let items: Vec<i64> = items.collect();
        self.check_free(items.iter().copied());
        self.consumed.extend(items);
    }

    fn send(&mut self, tx: &Tx<'_>, (id, token): (NotificationId, FencingToken), step: Step) -> bool {
        match step {
            Step::Begin => {
                let begun = notifications::start_side_effect(tx, id, token).unwrap();
                assert!(!begun || !self.consumed.contains(&id.0), "it was consumed already");
                begun
            }
            Step::Type => {
                self.typed.push(id.0);
                true
            }
            Step::Hold => notifications::put_back(tx, id, token, "held", "menu", FUTURE).unwrap(),
            Step::Deliver => completions::pushed(tx, id, token, true, true).unwrap().is_some(),
            other => panic!("{other:?} sends nothing"),
        }
    }
}

/// What a dispatcher may claim: anything.
fn unsent_by(dispatcher: &str) -> UnsentFilter<'_> {
    UnsentFilter {
        dispatcher,
        expires_at: FUTURE,
        ignore_back_off: true,
        after: NotificationId(0),
        signal: None,
    }
}

fn manager() -> SessionId {
    SessionId("m".into())
}

const TAKE: &[Step] = &[Step::Take, Step::Take];
const LEASE: &[Step] = &[Step::Lease, Step::Acknowledge, Step::Lease, Step::Acknowledge];
const CYCLE: &[Step] = &[Step::Cycle];
const TIME: &[Step] = &[Step::ExpireLeases, Step::ExpireLeases, Step::ExpireLeases];
const PUSH: &[Step] = &[Step::Claim, Step::Begin, Step::Type, Step::Deliver];
const HELD_PUSH: &[Step] = &[Step::Claim, Step::Hold, Step::Claim, Step::Begin, Step::Type, Step::Deliver];
const CLAIMS: &[Step] =
    &[Step::ExpireClaims, Step::SettleInterrupted, Step::ExpireClaims, Step::SettleInterrupted];

/// Items of a manager, delivered to the inbox or still to be typed.
fn check(items: usize, mode: DeliveryMode, scripts: &[&'static [Step]]) {
    let world = World::new();
    world.sql("insert into manager_cycles (task_id, started_at, state) values ('t', '1', 'started')");
    world.store.write_blocking(Durability::Normal, |tx| add_items(tx, items, mode)).unwrap();
    let actors = scripts.iter().map(|steps| Actor { steps, claim: None, holds: None }).collect();
    let states = explore(&world, &Consumers { actors, consumed: Vec::new(), typed: Vec::new() });
    // Far fewer states would mean that the actors do not meet each other.
    assert!(states > 300, "{states} states");
    eprintln!("{states} states");
}

fn add_items(tx: &Tx<'_>, items: usize, mode: DeliveryMode) -> Result<(), StoreError> {
    for number in 0..items {
        let new = NewNotification {
            task: &TaskId("t".into()),
            binding: &BindingId("b".into()),
            correlation_id: "c",
            source: &SessionId("w".into()),
            target: &manager(),
            signal_type: SignalType::WorkerTaskComplete.as_str(),
            source_event: None,
            turn_row_id: None,
            dedupe_key: &number.to_string(),
            command_id: None,
            mode,
            claim: None,
            payload: &json!({}),
        };
        let id = notifications::insert(tx, &new)?.unwrap();
        if mode == DeliveryMode::PullRequired {
            notifications::deliver(tx, id, notifications::Pushed::NOTHING)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn consumers_never_share_and_never_lose_an_item() {
    check(2, DeliveryMode::PullRequired, &[LEASE, LEASE, TAKE, TIME]);
}

#[tokio::test]
async fn a_cycle_consumes_what_nobody_holds() {
    check(3, DeliveryMode::PullRequired, &[LEASE, CYCLE, TAKE, TIME]);
}

#[tokio::test]
async fn what_is_typed_is_not_typed_again_nor_taken_before() {
    check(1, DeliveryMode::Push, &[PUSH, HELD_PUSH, LEASE, CLAIMS, TIME]);
}
