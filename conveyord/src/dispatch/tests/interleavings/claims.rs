//! Commands: dispatchers that claim, begin, type and settle, or hold; leases that run out at any point.

use super::*;
use crate::dispatch::commands::{end_in, keep_uncertain, plan, report, typed};
use crate::dispatch::pass::command_types;
use crate::store::{
    commands::{
        claims::{self, Claim, ClaimFilter},
        recovery::{self, Expired},
    },
    deliveries::{self, NewDelivery},
    ids::DeliveryId,
};
use conveyor_proto::{
    ids::SessionId,
    types::{
        command::CommandState,
        common::DeliveryMode,
        dispatch::{ProcessedCommand, ProcessedState},
        pane::{DeliveryOutcome, DeliveryProof},
    },
};

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Claims what is due; waits when nothing is.
    Claim,
    /// Records that something may be typed from now on.
    Begin,
    /// Types: the one step that no database can take back.
    Type,
    Settle,
    Renew,
    /// The pane shows a menu.
    PutBack,
    /// Time passes: all leases run out.
    Expire,
    /// A pass takes back what has run out.
    Recover,
    /// The rollout shows a typed text.
    Prove,
}

#[derive(Debug, Clone)]
struct Actor {
    steps: &'static [Step],
    claim: Option<Claim>,
    delivery: Option<DeliveryId>,
}

#[derive(Debug, Clone)]
struct Dispatchers {
    actors: Vec<Actor>,
    /// Commands that were typed, in their order.
    typed: Vec<String>,
}

fn dispatchers(scripts: &[&'static [Step]]) -> Dispatchers {
    let actor = |steps: &&'static [Step]| Actor { steps, claim: None, delivery: None };
    Dispatchers { actors: scripts.iter().map(actor).collect(), typed: Vec::new() }
}

impl System for Dispatchers {
    fn actors(&self) -> usize {
        self.actors.len()
    }

    fn step(&mut self, tx: &Tx<'_>, number: usize) -> bool {
        let actor = &mut self.actors[number];
        let Some((step, rest)) = actor.steps.split_first() else { return false };
        let before = rows(tx);
        let lost = actor.claim.as_ref().is_some_and(|claim| !claims::owns(tx, claim).unwrap());
        let done = actor.step(tx, *step, &mut self.typed);
        if lost {
            assert_eq!(rows(tx), before, "{step:?} of a dispatcher that lost its claim wrote something");
        }
        actor.steps = if done { rest } else { &[] };
        if matches!(step, Step::Claim) && !done {
            // The actor tries again later.
            return false;
        }
        if matches!(step, Step::Settle | Step::PutBack) {
            actor.claim = None;
            actor.delivery = None;
        }
        true
    }

    fn check(&self, tx: &Tx<'_>) {
        for command in &self.typed {
            assert_eq!(self.typed.iter().filter(|other| *other == command).count(), 1, "it was typed twice");
        }
        let owners = |id: &str| {
            let own = |actor: &&Actor| {
                actor
                    .claim
                    .as_ref()
                    .is_some_and(|claim| claim.id.as_str() == id && claims::owns(tx, claim).unwrap())
            };
            self.actors.iter().filter(own).count()
        };
        let claimed = self.actors.iter().filter_map(|actor| actor.claim.as_ref());
        for claim in claimed {
            assert!(owners(claim.id.as_str()) <= 1, "two hold one claim");
        }
        let attempted = "select count(*) from commands where state = 'attempted'";
        assert!(count(tx, attempted) <= 1, "commands of one task are served one at a time");
        let running = "select count(*) from command_attempts a join commands c on c.id = a.command_id
            where a.state = 'running' and (c.state <> 'attempted' or c.claim_token <> a.claim_token)";
        assert_eq!(count(tx, running), 0, "an attempt runs whose command is not claimed for it");
        let open = "select count(*) from command_attempts where state <> 'running' and finished_at is null";
        assert_eq!(count(tx, open), 0, "an attempt that is over has no end");
    }

    fn check_restarted(&mut self, tx: &Tx<'_>) {
        recover(tx, Expired::All);
        let left = "select count(*) from command_attempts where state = 'running'";
        assert_eq!(count(tx, left), 0, "an attempt has no outcome");
        let unsettled = "select count(*) from commands where state not in ('pending', 'succeeded', 'failed')";
        assert_eq!(count(tx, unsettled), 0);
        let used = "select count(*) from commands where state = 'pending' and attempts <> 0";
        assert_eq!(count(tx, used), 0, "what was never sent used up an attempt");
        let twice = "select count(*) from (select 1 from routed_notifications group by command_id having count(*) > 1)";
        assert_eq!(count(tx, twice), 0, "one command has two items in the inbox");
        let lost = "select count(*) from commands c where c.state in ('succeeded', 'failed') and not exists
            (select 1 from routed_notifications n where n.command_id = c.id and n.state = 'delivered')";
        assert_eq!(count(tx, lost), 0, "the message of a command is nowhere");
        let repeated = |command: &String| {
            let pending = "select count(*) from commands where state = 'pending' and id = ?1";
            tx.query_row(pending, [command], |row| row.get::<_, i64>(0)).unwrap() > 0
        };
        assert!(!self.typed.iter().any(repeated), "what was typed would be typed again");
        let unproven = "select count(*) from commands c join deliveries d on d.command_id = c.id
            join routed_notifications n on n.command_id = c.id
            where d.outcome = 'delivered' and (c.delivery <> 'delivered' or n.delivery_uncertain)";
        assert_eq!(count(tx, unproven), 0, "what is proven is called uncertain");
        let unsure = "select count(*) from deliveries d join commands c on c.id = d.command_id
            where d.outcome <> 'delivered' and c.delivery = 'delivered'";
        assert_eq!(count(tx, unsure), 0, "what is not proven is called delivered");
    }
}

impl Actor {
    /// Does a step; false when it is the last one.
    fn step(&mut self, tx: &Tx<'_>, step: Step, all_typed: &mut Vec<String>) -> bool {
        match (step, self.claim.clone()) {
            (Step::Claim, _) => {
                let kinds = command_types(None);
                let filter = ClaimFilter {
                    kinds: &kinds,
                    dispatcher: "one",
                    expires_at: FUTURE,
                    ignore_back_off: true,
                    skip: &[],
                };
                self.claim = claims::claim(tx, &filter).unwrap();
                self.claim.is_some()
            }
            (Step::Expire, _) => {
                expire(tx, "commands", "claim_expires_at");
                true
            }
            (Step::Recover, _) => {
                recover(tx, Expired::ByLease);
                true
            }
            (Step::Prove, _) => {
                let sending = "select id from deliveries where outcome <> 'delivered' order by id limit 1";
                let first = tx.query_row(sending, [], |row| row.get(0).map(DeliveryId));
                let proof = DeliveryProof { kind: "user_message".into(), turn_id: None, at: FUTURE.into() };
                if let (Ok(id), false) = (first, all_typed.is_empty()) {
                    deliveries::prove(tx, id, &proof).unwrap();
                }
                true
            }
            (Step::Renew, Some(claim)) => {
                claims::renew(tx, &claim, "2999-02-02T00:00:00.000Z").unwrap();
                true
            }
            (Step::Begin, Some(claim)) => {
                let begun = claims::start_side_effect(tx, &claim).unwrap();
                self.delivery = begun.then(|| begin_delivery(tx, &claim));
                begun
            }
            (Step::Type, Some(claim)) => {
                all_typed.push(claim.id.to_string());
                true
            }
            (Step::PutBack, Some(claim)) => {
                claims::put_back(tx, &claim, "held", Some("menu"), FUTURE).unwrap();
                true
            }
            (Step::Settle, Some(claim)) => {
                self.settle(tx, &claim);
                true
            }
            (step, None) => panic!("{step:?} without a claim"),
        }
    }

    /// Settles as after a complete send that left no receipt in time.
    fn settle(&self, tx: &Tx<'_>, claim: &Claim) {
        let Ok(plan) = plan(tx, claim) else { panic!("the command is allowed") };
        let mut item = report("one", claim, ProcessedState::Delivered, DeliveryOutcome::Uncertain);
        item.delivery_mode = Some(DeliveryMode::Push);
        item.side_effect_started = true;
        item.side_effect_completed = true;
        let more = |tx: &Tx<'_>, claim: &Claim, item: &mut ProcessedCommand| {
            typed(tx, "one", claim, &plan, item, self.delivery)
        };
        end_in(tx, "one", claim, CommandState::Succeeded, item, more).unwrap();
    }
}

fn begin_delivery(tx: &Tx<'_>, claim: &Claim) -> DeliveryId {
    let session = SessionId("w".into());
    let new = NewDelivery {
        session: &session,
        command_id: Some(claim.id.as_str()),
        notification_id: None,
        transport: conveyor_proto::types::common::Transport::Tmux,
        text_sha256: "hash",
    };
    deliveries::begin(tx, &new).unwrap()
}

fn recover(tx: &Tx<'_>, which: Expired) {
    for item in recovery::recover(tx, which, &command_types(None), i64::MAX).unwrap() {
        if item.side_effect_started {
            keep_uncertain(tx, "one", &item).unwrap().unwrap();
        }
    }
}

const SEND: &[Step] = &[Step::Claim, Step::Begin, Step::Type, Step::Settle];
const SLOW_SEND: &[Step] = &[Step::Claim, Step::Renew, Step::Begin, Step::Type, Step::Renew, Step::Settle];
const HOLD_AND_SEND: &[Step] =
    &[Step::Claim, Step::PutBack, Step::Claim, Step::Begin, Step::Type, Step::Settle];
const TIME: &[Step] = &[Step::Expire, Step::Recover, Step::Expire, Step::Recover];

async fn check(commands: usize, scripts: &[&'static [Step]]) {
    let world = World::new();
    world.in_tmux("worker");
    for _ in 0..commands {
        world.queue(SignalType::NudgeWorker, json!({})).await;
    }
    let states = explore(&world, &dispatchers(scripts));
    // Far fewer states would mean that the actors do not meet each other.
    assert!(states > 300, "{states} states");
    eprintln!("{states} states");
}

#[tokio::test]
async fn three_dispatchers_send_a_command_once() {
    check(1, &[SEND, SLOW_SEND, HOLD_AND_SEND, TIME]).await;
}

#[tokio::test]
async fn two_dispatchers_send_two_commands_once_each() {
    check(2, &[SEND, SEND, TIME]).await;
}

#[tokio::test]
async fn a_receipt_counts_whenever_it_is_read() {
    check(1, &[SEND, SEND, TIME, &[Step::Prove]]).await;
}
