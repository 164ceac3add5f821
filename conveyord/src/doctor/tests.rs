//! The checks in an environment that the tests build: a folder of tools, a state root, a database.
#![expect(clippy::disallowed_methods, reason = "the database is changed from outside")]

use super::*;
use crate::{background::LoopName, store::testing::store};
use conveyor_proto::types::{common::Caller, doctor::DbDoctorParams};
use tokio_util::sync::CancellationToken;

struct Machine {
    dir: tempfile::TempDir,
    context: DoctorContext,
    caller: Caller,
}

fn machine(tools: &[(&str, &str)]) -> Machine {
    let (dir, store) = store();
    let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
    let bin = root.join("bin");
    std::fs::create_dir(&bin).unwrap();
    for (name, script) in tools {
        let file = bin.join(name);
        // Another process writes it: this one could not execute what it still has open (`ETXTBSY`), and a program that
        // another test is just starting may have a copy of the descriptor.
        let write = ["-c", "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod 755 \"$1\"", "sh"];
        let written =
            std::process::Command::new("/bin/sh").args(write).args([file.as_str(), script]).status();
        assert!(written.unwrap().success());
    }
    let caller = Caller {
        cwd: Some(root.to_string()),
        // `bin` is relative to the caller's folder, where the tools are.
        path: Some("/nowhere:bin".to_owned()),
        tmux_tmpdir: Some(root.to_string()),
        ..Caller::default()
    };
    let command_timeout = Duration::from_secs(5);
    Machine {
        dir,
        context: DoctorContext {
            store,
            state_root: root,
            command_timeout,
            starting: UnderWay::default(),
            loops: Loops::new(CancellationToken::new()),
            app_servers: AppServers::default(),
        },
        caller,
    }
}

async fn doctor(machine: &Machine) -> DoctorResult {
    let params = DoctorParams { cwd: None, caller: machine.caller.clone() };
    run(&machine.context, &params).await.unwrap()
}

#[tokio::test]
async fn tools_are_found_on_the_callers_path() {
    let machine = machine(&[("tmux", "echo tmux 3.9"), ("codex", "echo codex-cli 0.169.0")]);
    let result = doctor(&machine).await;
    assert!(result.ok, "{result:#?}");
    assert_eq!(result.checks["tmux_version"].value.as_deref(), Some("tmux 3.9"));
    assert_eq!(result.checks["codex_version"].value.as_deref(), Some("codex-cli 0.169.0"));
    let codex = machine.context.state_root.join("bin/codex").to_string();
    assert_eq!(result.checks["codex"].path, Some(Some(codex)));
    let others = [
        "state_root_exists",
        "disk_space",
        "daemon",
        "database",
        "watch_limit",
        "panes",
        "deliveries",
        "rollouts",
    ];
    for check in others.into_iter().chain(["target_cwd_exists"]) {
        assert!(result.checks[check].ok, "{check}");
    }
}

#[tokio::test]
async fn a_tool_that_is_missing_or_broken_is_told() {
    let machine = machine(&[("tmux", "exit 3")]);
    let result = doctor(&machine).await;
    assert!(!result.ok);
    assert_eq!(result.checks["codex"].path, Some(None));
    assert!(!result.checks.contains_key("codex_version"));
    assert!(result.checks["tmux"].ok && !result.checks["tmux_version"].ok);
}

#[tokio::test]
async fn deliveries_that_need_an_eye_do_not_fail_the_rest() {
    let machine = machine(&[("tmux", "echo tmux 3.9"), ("codex", "echo codex")]);
    rusqlite::Connection::open(machine.context.store.path())
        .unwrap()
        .execute_batch(
            "insert into commands (id, idempotency_key, created_at, updated_at, type, state, payload_json, delivery)
             values ('c', 'c', '1', '1', 'nudge_worker', 'failed', '{}', 'failed')",
        )
        .unwrap();
    let result = doctor(&machine).await;
    assert!(result.ok);
    assert_eq!(result.deliveries.failed, 1);
    assert!(result.checks["deliveries"].message.as_ref().unwrap().contains("commands --state failed"));
}

#[tokio::test]
async fn workers_of_old_are_listed() {
    let machine = machine(&[]);
    let folder = machine.dir.path().join("old-worker");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("config.json"), r#"{"startup": "ready", "tmux_session": "x"}"#).unwrap();
    std::fs::write(folder.join("status.json"), r#"{"state": "flying"}"#).unwrap();
    let workers = doctor(&machine).await.workers;
    let expect =
        serde_json::json!([{"name": "old-worker", "running": false, "startup": "ready", "state": "unknown"}]);
    assert_eq!(serde_json::Value::from(workers), expect);
}

fn db_params(live: bool) -> DbDoctorParams {
    DbDoctorParams { live, manager_stale_seconds: 600, caller: Caller::default() }
}

#[tokio::test]
async fn the_database_is_held_against_what_runs() {
    let machine = machine(&[]);
    let quiet = database::run(&machine.context, &db_params(true)).await.unwrap();
    assert!(quiet.ok, "{quiet:#?}");
    assert_eq!(quiet.checks.last().unwrap().name, "live_reconcile");

    let pid = std::process::id();
    let rollout = machine.context.state_root.join("rollout.jsonl");
    std::fs::write(&rollout, "0123456789").unwrap();
    rusqlite::Connection::open(machine.context.store.path())
        .unwrap()
        .execute_batch(&format!(
            "insert into tasks (id, name, goal, summary, state, created_at, updated_at) values ('t', 'demo', 'goal', null, 'candidate', '1', '1');
             insert into sessions (id, name, role, identity_token, cwd, registered_at, state, pid, codex_session_path,
                 last_ingest_offset, last_heartbeat_at) values
               ('w', 'w', 'worker', 'a', '/', '1', 'active', 2147483647, '/no/such/file', null, null),
               ('m', 'm', 'manager', 'b', '/', '1', 'active', {pid}, '{rollout}', 4, '2020-01-01T00:00:00Z');
             insert into bindings (id, task_id, worker_session_id, manager_session_id, state, created_at)
               values ('b', 't', 'w', 'm', 'active', '2020-01-01T00:00:00Z');
             insert into commands (id, idempotency_key, created_at, updated_at, task_id, type, state, payload_json) values
               ('c', 'c', '1', '1', 't', 'nudge_worker', 'pending', '{{}}'),
               ('d', 'd', '1', '1', null, 'deregister_session', 'pending', '{{}}');"
        ))
        .unwrap();
    let result = database::run(&machine.context, &db_params(true)).await.unwrap();
    assert!(!result.ok);
    let live = result.live_reconcile.unwrap();
    let drift = ["worker_missing", "unfinished_commands", "dead_process", "rollout_missing"];
    assert_eq!(live.results[0]["drift"], serde_json::json!(drift));
    let kinds: Vec<_> = live.findings.iter().map(|finding| finding.kind.as_str()).collect();
    assert_eq!(kinds, ["dead_process", "rollout_missing", "never_cycled"]);
    assert_eq!(live.results[0]["worker"]["rollout_present"], false);
    assert_eq!(live.results[0]["manager"]["ingest_lag_bytes"], 10);
    assert_eq!(live.manager_liveness_warnings[0]["type"], "manager_seen_stale");
    assert_eq!(live.unfinished_commands_without_task[0]["id"], "d");
    let counts = result.checks.last().unwrap().live.unwrap();
    assert_eq!((counts.drift_count, counts.task_count, counts.unfinished_command_count), (1, 1, 2));

    let plain = database::run(&machine.context, &db_params(false)).await.unwrap();
    assert!(plain.ok && plain.live_reconcile.is_none());
}

#[tokio::test]
async fn a_loop_that_is_down_and_an_item_that_fails_are_named() {
    let machine = machine(&[("tmux", "echo tmux 3.4"), ("codex", "echo codex-cli 0.130.0")]);
    let loops = machine.context.loops.clone();
    let cancel = CancellationToken::new();
    loops.keep(LoopName::Ingest, &cancel, |cancel, items| async move {
        items.failed("session-1");
        cancel.cancelled().await;
    });
    tokio::task::yield_now().await;
    let params = DoctorParams { caller: machine.caller.clone(), ..DoctorParams::default() };
    let doctored = run(&machine.context, &params).await.unwrap();
    let check = &doctored.checks["background_loops"];
    assert_eq!((check.ok, doctored.ok, check.value.as_deref()), (false, false, Some("1 of 1 run")));
    let message = check.message.as_deref().unwrap();
    assert!(message.starts_with("the work of ingest on session-1 panicked 1 times"), "{message}");
    cancel.cancel();
    loops.ended().await;
    let doctored = run(&machine.context, &params).await.unwrap();
    let message = doctored.checks["background_loops"].message.clone().unwrap();
    assert!(message.starts_with("ingest does not run since "), "{message}");
}
