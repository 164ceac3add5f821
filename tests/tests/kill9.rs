//! The daemon is killed with SIGKILL between any two steps of the main job: the outcome is the same.

use std::sync::Mutex;
use std::thread;

use conveyor_tests::harness::{MainJob, Outcome, TestEnv, standin};
use conveyor_tests::rollout::Format;

/// Runs the main job; the daemon is killed before the step with this number.
fn outcome_with_kill(before: Option<usize>) -> Outcome {
    let env = TestEnv::new();
    MainJob::new(&env, standin(Format::New)).run(|env, number, _| {
        // Before the first verb there is no daemon: the verbs start it.
        if Some(number) == before && env.daemon_answers() {
            env.kill_daemon();
        }
    })
}

#[test]
fn a_kill_between_any_two_steps_changes_nothing() {
    let undisturbed = outcome_with_kill(None);
    let steps = Mutex::new(0..MainJob::STEPS.len());
    let next = || steps.lock().ok().and_then(|mut steps| steps.next());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(number) = next() {
                    let (name, _) = MainJob::STEPS[number];
                    assert_eq!(outcome_with_kill(Some(number)), undisturbed, "killed before: {name}");
                }
            });
        }
    });
}
