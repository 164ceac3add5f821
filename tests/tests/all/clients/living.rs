//! A client that lives through the daemon's death ends its work: it sends again what may be sent again, and says where to
//! look for the rest.
#![expect(clippy::expect_used, reason = "a helper of a test fails as the test does")]

use conveyor_tests::harness::{Fault, Output, Running, TestEnv, wait_until};
use conveyor_tests::rollout::{Format, Thread};
use serde_json::Value;

pub(super) const SESSION: &str = "somebody";
const TASK: &str = "job";

/// A pair whose manager has an inbox, on a daemon that dies on demand.
pub(super) struct World {
    pub(super) env: TestEnv,
    daemon: Running,
}

impl World {
    pub(super) fn new() -> Self {
        let env = TestEnv::new();
        let daemon = env.start_daemon_with_faults();
        for (role, name) in [("worker", "w"), ("manager", SESSION)] {
            let thread = Thread::new(&env.root().join(name), &env.project(), Format::New);
            let rollout = thread.and_then(|thread| thread.open_rollout()).expect("the folder is ours");
            let verb = format!("register-{role}");
            let register = [&verb, "--name", name, "--codex-session", rollout.path().as_str()];
            let _ = env.conveyorctl(&register).success();
        }
        let _ = env.conveyorctl(&["tasks", "--create", TASK, "--goal", "It is done"]).success();
        let bind = ["bind", "--task", TASK, "--worker", "w", "--manager", SESSION];
        let _ = env.conveyorctl(&bind).success();
        Self { env, daemon }
    }

    /// Puts an item into the manager's inbox.
    pub(super) fn send_item(&self) {
        let send = ["enqueue-notify-manager", TASK, "--message", "look"];
        let _ = self.env.conveyorctl(&send).success();
    }

    /// How many calls wait in the daemon.
    pub(super) fn waiting_calls(&self) -> Option<u64> {
        self.env.daemon_status()["waiting_calls"].as_u64()
    }

    /// Waits until the daemon has died by the fault that was armed.
    #[track_caller]
    fn wait_for_death(&mut self) {
        wait_until("the daemon to die", || (!self.daemon.is_running()).then_some(()));
    }

    /// Checks that the item was consumed once, and everything else too.
    #[track_caller]
    pub(super) fn check_consumed_once(mut self) {
        self.wait_for_death();
        let _ = self.env.conveyorctl(&["daemon", "stop"]).success();
        let counts = self.env.check_invariants();
        assert_eq!((counts.consumed, counts.consumed_from_inboxes.len()), (1, 1));
    }
}

/// The daemon dies on the acknowledgement: before it is carried out, and after.
pub(super) const BEFORE: Fault = Fault::crash_in("write-done", "inbox::acknowledge");
pub(super) const AFTER: Fault = Fault::crash_in("write-committed", "inbox::acknowledge");

const TAKE: [&str; 6] = ["manager-inbox", TASK, "--consume-next", "--wait", "--timeout=50", "--json"];

#[track_caller]
fn check_item(shown: &Output) {
    assert_eq!(shown.json()["consumed"]["payload"]["message"], "look");
    let told = |line: &str| line.starts_with("conveyorctl: starting conveyord");
    assert!(shown.stderr.lines().all(told), "{}", shown.stderr);
}

#[track_caller]
fn check_acknowledgement(death: &Fault) {
    let world = World::new();
    world.send_item();
    world.env.arm(death);
    check_item(&world.env.conveyorctl(&TAKE).success());
    world.check_consumed_once();
}

#[test]
fn an_acknowledgement_is_finished_by_the_next_daemon() {
    check_acknowledgement(&BEFORE);
}

#[test]
fn an_acknowledgement_that_was_carried_out_is_accepted_again() {
    check_acknowledgement(&AFTER);
}

#[test]
fn a_client_that_may_start_none_waits_for_the_next_daemon_within_the_lease() {
    let mut world = World::new();
    world.send_item();
    world.env.arm(&BEFORE);
    let client = world.env.start_conveyorctl(&[&["--no-start"], &TAKE[..]].concat());
    world.wait_for_death();
    let next = world.env.start_daemon_as("conveyord");
    check_item(&client.finish().success());
    world.check_consumed_once();
    drop(next);
}

#[test]
fn an_item_whose_client_died_comes_again() {
    let mut world = World::new();
    world.send_item();
    world.env.arm(&BEFORE);
    let client = world.env.start_conveyorctl(&[&["--no-start"], &TAKE[..]].concat());
    world.wait_for_death();
    drop(client);
    check_item(&world.env.conveyorctl(&TAKE).success());
    world.check_consumed_once();
}

/// Runs a verb whose daemon dies at this place.
#[track_caller]
fn run(world: &mut World, death: &Fault, args: &[&str]) -> Output {
    world.env.arm(death);
    let output = world.env.conveyorctl(args);
    world.wait_for_death();
    output
}

#[test]
fn a_message_with_a_key_is_queued_once() {
    let mut world = World::new();
    let send = ["enqueue-notify-manager", TASK, "--message", "look", "--idempotency-key", "k", "--json"];
    let death = Fault::crash_in("write-committed", "enqueue::enqueue");
    let queued = run(&mut world, &death, &send).success().json();
    assert_eq!(queued["deduplicated"], true, "the first daemon had queued it");
    let listed = world.env.conveyorctl(&["commands", "--json"]).success().json();
    let ids: Vec<&Value> = listed.as_array().expect("a list").iter().map(|row| &row["id"]).collect();
    assert_eq!(ids, [&queued["command_id"]]);
}

#[test]
fn what_would_be_done_twice_is_not_repeated_and_says_where_to_look() {
    let mut world = World::new();
    let death = Fault::crash_in("write-committed", "enqueue::enqueue");
    let send = ["enqueue-notify-manager", TASK, "--message", "look", "--json"];
    let lost: Value =
        serde_json::from_str(&run(&mut world, &death, &send).exits_with(1).stderr).expect("JSON");
    assert_eq!(lost["kind"], "connection_lost");
    assert!(lost["hints"][0].as_str().is_some_and(|hint| hint.contains("`conveyorctl commands`")), "{lost}");
    let listed = world.env.conveyorctl(&["commands", "--json"]).success().json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
}

#[test]
fn what_finds_its_own_trace_is_repeated() {
    let mut world = World::new();
    let death = Fault::crash_in("write-committed", "criteria::add");
    let add = ["criteria", TASK, "--add", "--criterion", "Tests pass", "--source", "worker_proposed"];
    let added = run(&mut world, &death, &add).success().json();
    assert_eq!(added["created"], false, "the first daemon had added it: {added}");
    let listed = world.env.conveyorctl(&["criteria", TASK, "--list"]).success().json();
    assert_eq!(listed["criteria"].as_array().map(Vec::len), Some(1), "{listed}");
}
