//! The real Codex in the offline lab: what the other tests show with the stand-in also holds for the program
//! itself, in the versions that are in use.

use conveyor_tests::harness::{
    MainJob, Pane, Program, Running, TestEnv, is_installed, skipped, standin, wait_until, workspace_root,
};
use conveyor_tests::rollout::Format;
use serde_json::Value;
use std::fs;

use super::present_versions;

/// Runs a test with each version of Codex on this machine, each in a world of its own.
#[track_caller]
fn with_each_version(test: fn(&TestEnv, &Program)) {
    for program in present_versions() {
        test(&TestEnv::new(), &program);
    }
}

/// A registered worker in a pane that has done one turn.
#[track_caller]
fn registered_worker(env: &TestEnv, program: &Program) -> Pane {
    let pane = env.start_codex(program, "worker");
    let pid = pane.pid.to_string();
    let register = ["register-worker", "--name", "worker", "--pid", &pid, "--tmux-session", &pane.session];
    let _ = env.conveyorctl(&register).success();
    let greeted = nudge(env, "hello");
    assert_eq!(greeted["outcome"], "delivered", "{greeted}");
    wait_for_state(env, "idle");
    pane
}

#[track_caller]
fn nudge(env: &TestEnv, text: &str) -> Value {
    env.conveyorctl(&["session-nudge", "worker", text]).success().json()
}

/// Binds the worker to a task with a manager that is not in a pane, so that `cycle` can be asked.
#[track_caller]
fn bind(env: &TestEnv) {
    let manager = env.start_codex(&standin(Format::New), "manager");
    let pid = manager.pid.to_string();
    let register =
        ["register-manager", "--name", "manager", "--pid", &pid, "--tmux-session", &manager.session];
    let _ = env.conveyorctl(&register).success();
    let _ = env.conveyorctl(&["tasks", "--create", "task", "--goal", "A goal"]).success();
    let _ =
        env.conveyorctl(&["bind", "--task", "task", "--worker", "worker", "--manager", "manager"]).success();
}

#[track_caller]
fn cycle(env: &TestEnv) -> Value {
    env.conveyorctl(&["cycle", "task"]).success().json()
}

/// Waits until a cycle reports this `worker_state` or `state`.
#[track_caller]
fn wait_for_state(env: &TestEnv, state: &str) -> Value {
    if env.conveyorctl(&["tasks", "--json"]).success().json() == serde_json::json!([]) {
        bind(env);
    }
    let mut last = Value::Null;
    wait_until(&format!("a cycle that reports {state}"), || {
        last = cycle(env);
        (last["state"] == state || last["worker_state"] == state).then_some(())
    });
    last
}

#[track_caller]
fn check_main_job(env: &TestEnv, program: &Program) {
    let outcome = MainJob::new(env, program.clone()).run(|_, _| {});
    assert_eq!(outcome.consumed, ["worker_task_complete", "worker_task_complete"]);
    assert_eq!(outcome.states, ["idle", "done", "done"]);
    assert_eq!((outcome.nudge.as_str(), outcome.nudge_proven), ("delivered", true));
    assert_eq!(outcome.worker_messages, ["write a greeting", "please say it once more"]);
    assert!(outcome.pane_captured && outcome.finished, "{outcome:?}");
}

#[test]
fn the_main_job() {
    with_each_version(check_main_job);
}

#[test]
fn the_main_job_on_a_shared_app_server_daemon() {
    for program in present_versions().into_iter().filter_map(Program::with_shared_daemon) {
        check_main_job(&TestEnv::new(), &program);
    }
}

#[test]
fn a_cycle_reports_the_receipt_of_the_turn() {
    with_each_version(|env, program| {
        let _pane = registered_worker(env, program);
        assert_eq!(nudge(env, "[[say: all is well]] how are you?")["outcome"], "delivered");
        let mut seen = Value::Null;
        wait_until("the answer in a cycle's receipt", || {
            seen = cycle(env);
            let receipt = &seen["manager_context"]["worker_receipt"];
            (receipt["last_agent_message"] == "all is well").then_some(())
        });
        assert_eq!(seen["state"], "idle", "{seen}");
        assert_eq!(seen["worker_state"], "done", "{seen}");
        assert_eq!(seen["turn"]["turn_id"], seen["manager_context"]["worker_receipt"]["turn_id"], "{seen}");
    });
}

#[test]
fn escape_is_reported_as_interrupted() {
    with_each_version(|env, program| {
        let _pane = registered_worker(env, program);
        assert_eq!(nudge(env, "[[slow: 60]] take your time")["outcome"], "delivered");
        wait_for_state(env, "working");
        let _ = env.conveyorctl(&["session-interrupt", "worker"]).success();
        let seen = wait_for_state(env, "interrupted");
        assert_eq!(seen["state"], "idle", "{seen}");
        assert_eq!(seen["turn"]["outcome"], "interrupted", "{seen}");
    });
}

#[test]
fn an_idle_codex_survives_an_interrupt() {
    with_each_version(|env, program| {
        let pane = registered_worker(env, program);
        let _ = env.conveyorctl(&["session-interrupt", "worker"]);
        assert_eq!(nudge(env, "are you still there?")["outcome"], "delivered");
        env.tmux().wait_for_text(&pane, "are you still there?");
    });
}

#[test]
fn a_nudge_is_held_while_a_menu_shows_and_approves_nothing() {
    with_each_version(|env, program| {
        let pane = registered_worker(env, program);
        let touched = env.root().join("tmp/approved");
        assert_eq!(nudge(env, &format!("[[ask: touch {touched}]] please"))["outcome"], "delivered");
        let seen = wait_for_state(env, "needs_approval");
        assert_eq!(seen["state"], "busy", "the turn has not ended: {seen}");

        let held = nudge(env, "this must wait");
        assert_eq!(held["outcome"], "held", "{held}");
        assert!(held["command_id"].is_string() && !held["blocked_by"].is_null(), "{held}");
        assert!(!touched.exists(), "the nudge approved the command");

        env.tmux().key(&pane, "Escape");
        let rollout = env.wait_for_message("this must wait");
        wait_for_state(env, "done");
        let sent = env.user_messages(&rollout);
        assert_eq!(sent.iter().filter(|message| *message == "this must wait").count(), 1, "{sent:?}");
        assert!(!touched.exists(), "the command was approved after all");
    });
}

/// The script of the README names no Codex home: the daemon finds that of the processes. The manager is a session without
/// a model, so that it takes nothing of its inbox.
#[test]
fn the_script_of_the_readme_does_the_main_job() {
    if !is_installed("python3") {
        skipped("with python3", "it is not installed");
        return;
    }
    let readme = fs::read_to_string(workspace_root().join("README.md")).expect("there is a README");
    let (_, script) = readme.split_once("```python\n").expect("there is a script");
    let (script, _) = script.split_once("```").expect("it ends");
    let shared = present_versions().into_iter().filter_map(Program::with_shared_daemon);
    for program in present_versions().into_iter().chain(shared) {
        let env = TestEnv::new();
        let file = env.root().join("loop.py");
        fs::write(&file, script).expect("the folder is ours");
        let _ = env.conveyorctl(&["daemon", "start"]).success();
        let (worker, manager) =
            (env.start_codex(&program, "worker"), env.start_codex(&standin(Format::New), "manager"));
        let pids = [worker.pid.to_string(), manager.pid.to_string()];
        let output = Running::start(env.command("python3").arg(&file).args(pids)).finish().success();
        let told: Vec<&str> = output.stdout.lines().collect();
        let expect = ["worker_task_complete", "idle done", "delivered", "worker_task_complete", "done"];
        assert_eq!(told, expect, "{program:?}");
    }
}
