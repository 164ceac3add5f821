//! Stops of single sessions, on a real database and a private tmux server.
#![expect(clippy::disallowed_methods, reason = "tmux is driven from outside")]

use super::*;
use crate::refusal::Kind;
use crate::store::testing::{rows, store};
use crate::under_way::UnderWay;
use std::{process::Command, time::Duration};

/// A sender that accepts every message, or none.
#[derive(Clone)]
struct Sender {
    takes: bool,
}

impl MessageSender for Sender {
    async fn send(&self, _: &Session, _: &str, _: Option<&str>) -> Result<bool> {
        if self.takes { Ok(true) } else { Err(Error::conflict(Kind::HeldByPane, "a menu shows")) }
    }

    async fn end_turn(&self, _: &Session) {}
}

/// A worker `w` and a manager `m` of a task `demo`, with these tmux sessions running.
struct Stage {
    dir: tempfile::TempDir,
    context: FinishContext<Sender>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

impl Stage {
    fn with(tmux_sessions: &[&str]) -> Self {
        let (dir, store) = store();
        let command_timeout = Duration::from_secs(20);
        let sender = Sender { takes: true };
        let context = FinishContext { store, command_timeout, sender, under_way: UnderWay::default() };
        let stage = Self { dir, context };
        for name in tmux_sessions {
            assert!(stage.tmux(&["new-session", "-d", "-s", name, "/bin/sh", "-c", "exec sleep 600"]));
        }
        let socket = stage.socket();
        stage.sql(&format!(
            "insert into tasks (id, name, goal, summary, state, created_at, updated_at) values ('t', 'demo', 'goal', null, 'managed', '1', '1');
             insert into sessions (id, name, role, identity_token, tmux_session, tmux_socket, cwd, registered_at, state)
               values ('w', 'worker', 'worker', 'a', 'w', '{socket}', '/', '1', 'active'),
                      ('m', 'manager', 'manager', 'b', 'm', '{socket}', '/', '1', 'active');"
        ));
        stage
    }

    fn bind(&self) {
        self.sql(
            "insert into bindings (id, task_id, worker_session_id, manager_session_id, state, created_at)
               values ('b', 't', 'w', 'm', 'active', '1');
             insert into commands (id, idempotency_key, created_at, updated_at, task_id, type, state, payload_json,
                 binding_id) values ('c', 'c', '1', '1', 't', 'nudge_worker', 'pending', '{}', 'b')",
        );
    }

    fn socket(&self) -> String {
        self.dir.path().join("tmux").to_str().unwrap().to_owned()
    }

    fn tmux(&self, args: &[&str]) -> bool {
        let output = Command::new("tmux").args(["-f", "/dev/null", "-S", &self.socket()]).args(args).output();
        output.unwrap().status.success()
    }

    fn runs(&self, tmux_session: &str) -> bool {
        self.tmux(&["has-session", "-t", &format!("={tmux_session}")])
    }

    fn sql(&self, script: &str) {
        let work = |tx: &Tx<'_>| Ok::<_, StoreError>(tx.execute_batch(script)?);
        self.context.store.write_blocking(Durability::Full, work).unwrap();
    }

    async fn stop(&self, params: Value) -> Result<StopResult> {
        stop(self.context.clone(), serde_json::from_value(params).unwrap()).await
    }

    fn events(&self) -> Vec<String> {
        rows(&self.context.store, "events", "type", "true").concat()
    }

    fn states(&self) -> Vec<String> {
        rows(&self.context.store, "sessions", "state", "true").concat()
    }
}

#[tokio::test]
async fn a_session_is_told_and_ended_and_nobody_else() {
    let stage = Stage::with(&["w", "w2"]);
    let result = stage.stop(json!({"name": "worker", "message": "bye"})).await.unwrap();
    assert_eq!((result.killed_session, result.target.as_str()), (true, "w"));
    assert!(!stage.runs("w") && stage.runs("w2"));
    assert_eq!(stage.states(), ["active", "gone"], "in the order of ids");
    let expect = ["session_stop_intent", "session_stop_message", "session_stopped"];
    assert_eq!(stage.events(), expect);
    // A second stop of a session that is gone writes nothing.
    assert!(!stage.stop(json!({"name": "worker"})).await.unwrap().killed_session);
    assert_eq!(stage.events(), expect);
}

#[tokio::test]
async fn a_session_that_does_not_run_is_gone_too() {
    let stage = Stage::with(&["m"]);
    let result = stage.stop(json!({"name": "worker", "message": "bye"})).await.unwrap();
    assert_eq!((result.killed_session, result.warnings.len()), (false, 1));
    assert_eq!(stage.states(), ["active", "gone"]);
}

#[tokio::test]
async fn a_bound_session_takes_its_binding_with_it_when_forced() {
    let stage = Stage::with(&["w", "m"]);
    stage.bind();
    let error = stage.stop(json!({"name": "worker"})).await.unwrap_err();
    assert_eq!(error.kind(), "session_bound");
    assert!(stage.runs("w") && stage.events().is_empty());
    let result = stage.stop(json!({"name": "worker", "force": true})).await.unwrap();
    assert_eq!(
        (result.unbound_task.as_deref(), result.cancelled_commands.as_slice()),
        (Some("demo"), &["c".to_owned()][..])
    );
    let binding = rows(&stage.context.store, "bindings", "state", "true");
    assert_eq!(binding, [["ended"]]);
    assert_eq!(rows(&stage.context.store, "commands", "state", "true"), [["failed"]]);
    assert_eq!(stage.events(), ["session_stop_intent", "binding_ended", "session_stopped"]);
    assert!(stage.runs("m"));
}

#[tokio::test]
async fn another_pane_or_a_shared_one_is_not_ended() {
    let stage = Stage::with(&["w"]);
    stage.sql("update sessions set tmux_pane_id = '%99' where id = 'w'");
    let error = stage.stop(json!({"name": "worker", "force": true})).await.unwrap_err();
    assert_eq!(error.kind(), "identity_verification_failed");
    stage.sql("update sessions set tmux_pane_id = null, tmux_session = 'w'");
    let error = stage.stop(json!({"name": "worker"})).await.unwrap_err();
    assert_eq!(error.kind(), "shared_tmux_session");
    assert!(stage.runs("w") && stage.events().is_empty());
    let result = stage.stop(json!({"name": "worker", "force": true})).await.unwrap();
    assert!(result.killed_session && result.warnings[0].contains("manager"));
}

#[tokio::test]
async fn who_shares_the_tmux_session_is_gone_too_with_its_binding() {
    let stage = Stage::with(&["w"]);
    stage.bind();
    stage.sql(
        "insert into sessions (id, name, role, identity_token, tmux_session, tmux_socket, cwd, registered_at, state)
           select 'o', 'other', 'worker', 'c', 'w', tmux_socket, '/', '1', 'active' from sessions where id = 'w'",
    );
    let error = stage.stop(json!({"name": "other"})).await.unwrap_err();
    assert_eq!(error.kind(), "shared_tmux_session");
    assert!(error.to_string().contains("worker (bound to task t)"), "{error}");
    let result = stage.stop(json!({"name": "other", "force": true})).await.unwrap();
    assert_eq!((result.unbound_task, result.also_stopped), (None, vec!["worker".to_owned()]));
    assert_eq!(result.cancelled_commands, ["c"]);
    let gone = rows(&stage.context.store, "sessions", "id", "state = 'gone'");
    assert_eq!(gone, [["o"], ["w"]]);
    assert_eq!(rows(&stage.context.store, "bindings", "state", "true"), [["ended"]]);
}

#[tokio::test]
async fn a_message_that_is_not_taken_leaves_the_session_alone() {
    let mut stage = Stage::with(&["w"]);
    stage.context.sender.takes = false;
    let error = stage.stop(json!({"name": "worker", "message": "bye"})).await.unwrap_err();
    assert_eq!(error.kind(), "held_by_pane");
    assert_eq!(stage.events(), ["session_stop_intent", "session_stop_failed"]);
    assert!(stage.runs("w"));
    assert_eq!(stage.states(), ["active", "active"]);
}

#[tokio::test]
async fn what_has_no_pane_cannot_be_stopped() {
    let stage = Stage::with(&[]);
    stage.sql("update sessions set tmux_session = null where id = 'w'");
    for (params, kind) in [
        (json!({"name": "worker"}), "no_tmux_session"),
        (json!({"name": "nobody"}), "unknown_session"),
        (json!({"name": "manager", "message": "x".repeat(70_000)}), "message_too_long"),
    ] {
        assert_eq!(stage.stop(params).await.unwrap_err().kind(), kind);
    }
    assert!(stage.events().is_empty());
}
