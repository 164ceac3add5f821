//! The main job from end to end, with the stand-in in the panes.

use std::collections::BTreeSet;

use conveyor_tests::harness::{
    MainJob, Outcome, Program, TestEnv, standin, standin_replaying, workspace_root,
};
use conveyor_tests::rollout::Format;

#[track_caller]
fn check(program: Program) {
    let env = TestEnv::new();
    let outcome = MainJob::new(&env, program).run(|_, _| {});
    let mut expected = Outcome {
        consumed: vec!["worker_task_complete".to_owned(); 2],
        states: ["idle", "done", "done"].map(str::to_owned),
        pane_captured: true,
        nudge: "delivered".to_owned(),
        nudge_proven: true,
        worker_messages: vec!["write a greeting".to_owned(), "please say it once more".to_owned()],
        finished: true,
        replayed: BTreeSet::new(),
    };
    for kind in ["finish", "routed_notification", "decision"] {
        assert!(outcome.replayed.contains(kind), "{kind} is missing in {:?}", outcome.replayed);
    }
    expected.replayed.clone_from(&outcome.replayed);
    assert_eq!(outcome, expected);
}

#[test]
fn with_new_rollouts() {
    check(standin(Format::New));
}

#[test]
fn with_old_rollouts() {
    check(standin(Format::Old));
}

#[test]
fn with_a_recorded_rollout() {
    check(standin_replaying(&workspace_root().join("tests/fixtures/rollouts/greeting.jsonl")));
}
