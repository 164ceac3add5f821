//! The daemon is killed with SIGKILL between any two steps of the main job: the outcome is the same.

use std::sync::OnceLock;

use conveyor_tests::harness::{MainJob, Outcome, TestEnv, standin};
use conveyor_tests::rollout::Format;

/// Runs the main job; the daemon is killed before the step of this name.
fn outcome_with_kill(before: Option<&str>) -> Outcome {
    let env = TestEnv::new();
    let mut killed = false;
    let outcome = MainJob::new(&env, standin(Format::New)).run(|env, step| {
        if Some(step) == before {
            env.kill_daemon();
            killed = true;
        }
    });
    assert_eq!(killed, before.is_some(), "there is a step {before:?}");
    outcome
}

#[track_caller]
fn check(before: &str) {
    static UNDISTURBED: OnceLock<Outcome> = OnceLock::new();
    let undisturbed = UNDISTURBED.get_or_init(|| outcome_with_kill(None));
    assert_eq!(&outcome_with_kill(Some(before)), undisturbed);
}

/// A test per gap between two steps; together they must name every step but the first.
macro_rules! kill_before {
    ($($test:ident: $step:literal,)*) => {
        $(#[test]
        fn $test() {
            check($step);
        })*

        #[test]
        fn every_gap_has_its_test() {
            let steps = MainJob::STEPS.map(|(name, _)| name);
            assert_eq!(steps[1..], [$($step),*]);
        }
    };
}

kill_before! {
    before_the_panes_start: "the panes start",
    before_the_worker_registers: "the worker registers",
    before_the_manager_registers: "the manager registers",
    before_the_task_is_created: "the task is created",
    before_the_pair_is_bound: "the pair is bound",
    before_the_manager_waits: "the manager waits",
    before_the_worker_does_a_turn: "the worker does a turn",
    before_the_manager_wakes: "the manager wakes",
    before_the_manager_looks: "the manager looks",
    before_the_manager_nudges: "the manager nudges",
    before_the_worker_finishes_again: "the worker finishes again",
    before_the_task_is_finished: "the task is finished",
    before_the_task_is_replayed: "the task is replayed",
}
