//! Every kind of drift, on a real database, real processes, files and a private tmux server.
#![expect(clippy::disallowed_methods, reason = "tmux is driven from outside")]

use super::*;
use crate::store::{
    Durability, StoreError, Tx,
    testing::{rows, store},
};
use camino::Utf8PathBuf;
use conveyor_proto::types::drift::{DriftKind, Finding};
use std::process::Command;

/// A process id that no process has: it is above the highest that a system gives.
const NO_PROCESS: i32 = i32::MAX;

struct World {
    dir: tempfile::TempDir,
    context: DriftContext,
}

impl Drop for World {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

impl World {
    /// A worker `w` and a manager `m` that live, have no rollouts, and are bound to a task.
    fn new() -> Self {
        let (dir, store) = store();
        let world = Self {
            dir,
            context: DriftContext {
                store,
                command_timeout: Duration::from_secs(20),
                starting: UnderWay::default(),
            },
        };
        let pid = std::process::id();
        let now = crate::clock::now();
        world.sql(&format!(
            "insert into tasks (id, name, goal, summary, state, created_at, updated_at) values ('t', 'demo', 'goal', null, 'managed', '1', '1');
             insert into sessions (id, name, role, identity_token, cwd, registered_at, last_heartbeat_at, state, pid)
               values ('w', 'worker', 'worker', 'a', '/', '{now}', '{now}', 'active', {pid}),
                      ('m', 'manager', 'manager', 'b', '/', '{now}', '{now}', 'active', {pid});
             insert into bindings (id, task_id, worker_session_id, manager_session_id, state, created_at)
               values ('b', 't', 'w', 'm', 'active', '{now}');"
        ));
        world
    }

    fn ingest(&self) -> Ingest {
        Ingest::new(self.context.store.clone(), 0)
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.dir.path().join(name)).unwrap()
    }

    fn tmux(&self, args: &[&str]) -> bool {
        let socket = self.path("tmux");
        let output =
            Command::new("tmux").args(["-f", "/dev/null", "-S", socket.as_str()]).args(args).output();
        output.unwrap().status.success()
    }

    fn sql(&self, script: &str) {
        let work = |tx: &Tx<'_>| Ok::<_, StoreError>(tx.execute_batch(script)?);
        self.context.store.write_blocking(Durability::Full, work).unwrap();
    }

    /// Gives the worker a rollout with the line `one` and an unfinished line `two`. Only the first line is
    /// stored.
    fn rollout(&self) -> Utf8PathBuf {
        use std::os::unix::fs::MetadataExt;
        const HASH_OF_STORED: &str = "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806";
        let path = self.path("rollout.jsonl");
        std::fs::write(&path, "one\ntwo").unwrap();
        let file = std::fs::metadata(&path).unwrap();
        self.sql(&format!(
            "update sessions set codex_session_path = '{path}', codex_session_id = 'th' where id = 'w';
             insert into rollouts (session_id, thread_id, path, device, inode, read_offset, check_bytes, check_sha256,
                 state, created_at)
               values ('w', 'th', '{path}', {}, {}, 4, 4, '{HASH_OF_STORED}', 'active', '1')",
            file.dev(),
            file.ino(),
        ));
        path
    }

    async fn run(&self, apply: bool) -> ReconcileResult {
        reconcile(&self.context, &self.ingest(), ReconcileParams { apply, ..ReconcileParams::default() })
            .await
            .unwrap()
    }

    /// Checks that exactly these kinds are found.
    #[track_caller]
    fn check(&self, kinds: &[DriftKind]) -> impl Future<Output = Vec<Finding>> {
        let (caller, kinds) = (std::panic::Location::caller(), kinds.to_vec());
        async move {
            let found = self.run(false).await.findings;
            let seen: Vec<DriftKind> = found.iter().map(|finding| finding.kind).collect();
            assert_eq!(seen, kinds, "{caller}: {found:#?}");
            assert!(found.iter().all(|finding| !finding.message.is_empty() && !finding.action.is_empty()));
            found
        }
    }
}

#[tokio::test]
async fn what_agrees_is_no_drift() {
    let world = World::new();
    let _ = world.check(&[]).await;
    let result = world.run(true).await;
    assert!(result.schema_health.ok);
    assert_eq!(result.never_cycled.len(), 1, "told at any age, and drift only when it is old");
    assert_eq!(result.applied, Some(Default::default()));
}

#[tokio::test]
async fn a_thread_that_is_anothers_is_told() {
    let world = World::new();
    let path = world.rollout();
    std::fs::write(&path, "one\n").unwrap();
    world.sql("update sessions set codex_session_id = 'th', current_thread_id = 'th' where id = 'm'");
    let found = world.check(&[DriftKind::ThreadNotOwn, DriftKind::ThreadNotOwn]).await;
    assert_eq!(found[1].message, "thread th of session worker is also the thread of session manager");
    assert_eq!(found[1].session.as_deref(), Some("worker"));
    // A side chat that an earlier version took for the worker's thread.
    let side = r#"{"type":"session_meta","payload":{"id":"side","attached_thread":true}}"#;
    let side_path = world.path("side.jsonl");
    std::fs::write(&side_path, format!("{side}\n")).unwrap();
    world.sql(&format!(
        "update sessions set codex_session_id = 'side', codex_session_path = '{side_path}' where id = 'w'"
    ));
    let found = world.run(false).await.findings;
    let message = "thread side of session worker belongs to a side chat, or to another thread that is attached to a \
                   conversation";
    assert!(found.iter().any(|finding| finding.message == message), "{found:#?}");
}

#[tokio::test]
async fn the_dead_are_marked_and_their_binding_once() {
    let world = World::new();
    // The first process never existed. The second has ended, and its number belongs to another process.
    world.sql(&format!("update sessions set pid = {NO_PROCESS} where id = 'w'"));
    world.sql("update sessions set pid_start = 1 where id = 'm'");
    world.sql(
        "insert into commands (id, idempotency_key, created_at, updated_at, task_id, type, state, payload_json,
             binding_id) values ('c', 'c', '1', '1', 't', 'nudge_worker', 'pending', '{}', 'b')",
    );
    let before = world.run(false).await;
    assert_eq!(before.applied, None);
    let names: Vec<_> = before.dead_pid_sessions.iter().map(|session| session.name.as_str()).collect();
    assert_eq!((names, before.dangling_bindings.len()), (vec!["manager", "worker"], 0));
    assert_eq!(before.finding_counts["dead_process"], 2);
    assert!(before.findings[0].repairable && !before.findings[0].repaired);
    assert_eq!(before.findings[0].task_name.as_deref(), Some("demo"));

    let result = world.run(true).await;
    assert!(result.findings.iter().all(|finding| finding.repaired), "{result:#?}");
    let applied = result.applied.unwrap();
    assert_eq!(applied.sessions_marked_gone, ["manager", "worker"]);
    assert_eq!(applied.bindings_marked_invalid.len(), 1, "once, though both sides are gone");
    assert_eq!(applied.cancelled_commands, ["c"]);
    let store = &world.context.store;
    assert_eq!(rows(store, "bindings", "state, ended_at is null", "true"), [["invalid", "0"]]);
    assert_eq!(rows(store, "sessions", "gone_reason", "state = 'gone'").len(), 2);
    let repairs = [
        "session_marked_gone_by_reconcile",
        "session_marked_gone_by_reconcile",
        "binding_marked_invalid_by_reconcile",
    ];
    assert_eq!(rows(store, "events", "type", "true").concat(), repairs);
    assert_eq!(rows(store, "telemetry_events", "event_type", "true").concat(), repairs);

    let again = world.run(true).await;
    assert_eq!((again.applied, again.findings.len()), (Some(Default::default()), 0));
    assert_eq!(rows(store, "events", "type", "true").len(), 3);
}

#[tokio::test]
async fn a_gone_side_is_listed_and_the_other_stays() {
    let world = World::new();
    world.sql("update sessions set state = 'gone' where id = 'w'");
    let result = world.run(true).await;
    let dangling = &result.dangling_bindings[0];
    assert_eq!((dangling.gone_session_name.as_str(), result.dangling_bindings.len()), ("worker", 1));
    assert!(result.findings[0].repaired);
    assert_eq!(rows(&world.context.store, "sessions", "state", "true"), [["active"], ["gone"]]);
}

/// Codex that is killed may leave its last record without a line feed, and nothing is read of a session that is gone.
#[tokio::test]
async fn the_last_record_of_a_dead_session_is_read_before_it_is_marked() {
    let world = World::new();
    let path = world.path("rollout-2026-01-31T09-30-00-01990000-0000-7000-8000-00000000000a.jsonl");
    let line = |kind: &str, payload: &str| {
        format!("{{\"timestamp\":\"2026-01-31T09:30:00.000Z\",\"type\":\"{kind}\",\"payload\":{payload}}}")
    };
    let lines = [
        line("session_meta", r#"{"id":"01990000-0000-7000-8000-00000000000a","cli_version":"0.169.0"}"#),
        line("event_msg", r#"{"type":"task_started","turn_id":"turn"}"#),
        line("event_msg", r#"{"type":"task_complete","turn_id":"turn","last_agent_message":"did it"}"#),
    ];
    std::fs::write(&path, lines.join("\n")).unwrap();
    world.sql(&format!(
        "update sessions set pid = {NO_PROCESS}, codex_session_path = '{path}',
             codex_session_id = '01990000-0000-7000-8000-00000000000a' where id = 'w'"
    ));
    assert_eq!(world.run(true).await.applied.unwrap().sessions_marked_gone, ["worker"]);
    assert_eq!(rows(&world.context.store, "turns", "outcome", "true"), [["done"]]);
}

#[tokio::test]
async fn who_registered_again_meanwhile_is_spared() {
    let world = World::new();
    world.sql(&format!("update sessions set pid = {NO_PROCESS} where id = 'w'"));
    let survey = survey(&world.context).await.unwrap();
    world.sql(&format!("update sessions set pid = {} where id = 'w'", std::process::id()));
    let applied = apply::apply(&world.context.store, &world.ingest(), &survey).await.unwrap();
    assert_eq!(applied, Default::default());
}

#[tokio::test]
async fn an_end_that_nobody_carries_out_is_given_up_and_one_under_way_left_alone() {
    let world = World::new();
    world.sql("update bindings set state = 'ending'");
    let _ = world.check(&[DriftKind::BindingEnding]).await;
    let claim = "insert into commands (id, idempotency_key, created_at, updated_at, task_id, type, state, payload_json)
         values ('f', 'f', '1', '1', 't', 'stop_task', 'attempted', '{}')";
    world.sql(claim);
    world.sql("update sessions set state = 'gone' where id = 'w'");
    let _ = world.check(&[DriftKind::DanglingBinding]).await;
    assert_eq!(world.run(true).await.applied, Some(Default::default()));
    world.sql("update sessions set state = 'active'; update commands set state = 'failed'");
    let applied = world.run(true).await.applied.unwrap();
    assert_eq!(applied.bindings_reactivated.len(), 1);
    assert_eq!(rows(&world.context.store, "bindings", "state", "true"), [["active"]]);
}

#[tokio::test]
async fn rollouts_are_held_against_what_is_stored() {
    let world = World::new();
    let path = world.rollout();
    // Codex is still writing the half line, so nothing is behind.
    let _ = world.check(&[]).await;
    std::fs::write(&path, "one\ntwo\n").unwrap();
    let found = world.check(&[DriftKind::IngestBehind]).await;
    assert!(found[0].message.starts_with("4 bytes"), "{}", found[0].message);
    std::fs::write(&path, "on").unwrap();
    let _ = world.check(&[DriftKind::RolloutShrunk]).await;
    std::fs::rename(&path, world.path("away")).unwrap();
    let _ = world.check(&[DriftKind::RolloutMissing]).await;
    std::fs::write(&path, "another\n").unwrap();
    let _ = world.check(&[DriftKind::RolloutReplaced]).await;
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let _ = world.check(&[DriftKind::RolloutUnreadable]).await;
    world.sql(
        "update sessions set codex_session_path = null, last_heartbeat_at = '2020-01-01T00:00:00Z' where id = 'w'",
    );
    let found = world.check(&[DriftKind::RolloutPending]).await;
    assert!(found[0].message.contains("the folder of Codex's files is not known"), "{}", found[0].message);
    world.sql("update sessions set codex_home = '/nowhere' where id = 'w'");
    let found = world.check(&[DriftKind::RolloutPending]).await;
    assert!(found[0].message.contains("with the first input"), "{}", found[0].message);
}

#[tokio::test]
async fn panes_are_held_against_what_was_registered() {
    let world = World::new();
    let socket = world.path("tmux");
    world.sql(&format!("update sessions set tmux_session = 'w', tmux_socket = '{socket}' where id = 'w'"));
    let _ = world.check(&[DriftKind::PaneGone]).await;
    assert!(world.tmux(&["new-session", "-d", "-s", "w", "/bin/sh", "-c", "exec sleep 600"]));
    let _ = world.check(&[]).await;
    world.sql("update sessions set tmux_pane_id = '%0', tmux_pane_pid = 1 where id = 'w'");
    let _ = world.check(&[DriftKind::PaneMismatch]).await;
    world.sql("update sessions set tmux_pane_id = '%99', tmux_pane_pid = null where id = 'w'");
    let _ = world.check(&[DriftKind::PaneMismatch]).await;
    // A tmux session with a longer name is a different session.
    assert!(world.tmux(&["rename-session", "-t", "=w", "w2"]));
    let _ = world.check(&[DriftKind::PaneGone]).await;
}

#[tokio::test]
async fn a_task_that_nobody_looks_at_is_stuck() {
    let world = World::new();
    world.sql("update bindings set created_at = '2020-01-01T00:00:00Z'");
    let _ = world.check(&[DriftKind::NeverCycled]).await;
    world.sql(
        "insert into manager_cycles (task_id, started_at, completed_at, state) values
             ('t', '2020-01-01T00:00:00Z', '2020-01-01T00:00:01Z', 'failed')",
    );
    let _ = world.check(&[DriftKind::StuckTask]).await;
    let result = world.run(true).await;
    assert_eq!((result.stuck_tasks.len(), result.never_cycled.len()), (1, 0));
    assert!(!result.findings[0].repaired);
    let patient = ReconcileParams { apply: false, stale_cycles_seconds: 1e12 };
    assert_eq!(reconcile(&world.context, &world.ingest(), patient).await.unwrap().stuck_tasks, []);
    world.sql("insert into manager_cycles (task_id, started_at, state) values ('t', '2020-01-01T00:00:00Z', 'started')");
    let _ = world.check(&[DriftKind::StuckTask, DriftKind::CycleUnfinished]).await;
}

#[tokio::test]
async fn what_was_left_undone_is_named_with_the_way_out() {
    let world = World::new();
    let late = "2020-01-01T00:00:00.000Z";
    world.sql(&format!(
        "insert into commands (id, idempotency_key, created_at, updated_at, task_id, type, state, payload_json, delivery,
             held_by, claim_expires_at, claimed_by) values
           ('c1', '1', '{late}', '{late}', 't', 'nudge_worker', 'attempted', '{{}}', null, null, '{late}', 'd'),
           ('c2', '2', '{late}', '{late}', 't', 'nudge_worker', 'pending', '{{}}', 'held', 'menu', null, null),
           ('c3', '3', '{late}', '{late}', null, 'nudge_worker', 'failed', '{{}}', 'uncertain', null, null, null),
           ('c4', '4', '{late}', '{late}', 't', 'nudge_worker', 'failed', '{{}}', 'failed', null, null, null);
         insert into routed_notifications (task_id, binding_id, correlation_id, source_session_id, target_session_id,
             signal_type, dedupe_key, created_at, delivered_at, state, payload_json, claimed_by, claim_expires_at,
             lease_token, lease_expires_at, held_by) values
           ('t', 'b', 'x', 'w', 'm', 's', '1', '{late}', null, 'pending', '{{}}', 'd', '{late}', null, null, null),
           ('t', 'b', 'x', 'w', 'm', 's', '2', '{late}', '{late}', 'delivered', '{{}}', null, null, 'l', '{late}', null),
           ('t', 'b', 'x', 'w', 'm', 's', '3', '{late}', null, 'pending', '{{}}', null, null, null, null, 'draft'),
           ('t', 'b', 'x', 'w', 'm', 's', '5', '{late}', null, 'pending', '{{}}', null, null, null, null, 'unreachable'),
           ('t', 'b', 'x', 'w', 'm', 's', '4', '{late}', null, 'failed', '{{}}', null, null, null, null, null);
         insert into codex_events (session_id, timestamp, type, payload_json, byte_offset, ingested_at)
           values ('w', '{late}', 'event_msg', '{{}}', 0, '{late}');
         insert into turns (session_id, thread_id, turn_key, kind, ended_at, outcome, end_event_id, binding_id, routing)
           values ('w', 'th', 'k', 'user', '{late}', 'done', 1, 'b', 'pending');
         insert into deliveries (session_id, text_sha256, sent_at, outcome) values
           ('w', 'x', '{late}', 'uncertain'), ('w', 'x', '{late}', 'sending');"
    ));
    use DriftKind::{
        ClaimExpired, CompletionUnrouted, DeliveryFailed, DeliveryHeld, DeliveryUncertain, LeaseExpired,
    };
    let found = world
        .check(&[
            ClaimExpired,
            ClaimExpired,
            LeaseExpired,
            CompletionUnrouted,
            DeliveryHeld,
            DeliveryHeld,
            DeliveryHeld,
            DeliveryUncertain,
            DeliveryUncertain,
            DeliveryFailed,
            DeliveryFailed,
            DeliveryUncertain,
        ])
        .await;
    assert_eq!((found[0].id.as_deref(), found[0].task_name.as_deref()), (Some("c1"), Some("demo")));
    assert_eq!(found[1].session.as_deref(), Some("manager"));
    assert!(found[4].message.contains("(menu)"), "{}", found[4].message);
    assert!(found[5].message.contains("cannot be reached"), "{}", found[5].message);
    // These rows are settled in time: their claims still hold, and the hour is not over.
    world.sql(
        "update commands set claim_expires_at = '9999' where id = 'c1';
         update routed_notifications set claim_expires_at = '9999' where claimed_by is not null;
         update routed_notifications set lease_expires_at = '9999' where lease_token is not null;
         update turns set route_after = '9999'; update deliveries set sent_at = '9999' where outcome = 'sending'",
    );
    let rest = [
        DeliveryHeld,
        DeliveryHeld,
        DeliveryHeld,
        DeliveryUncertain,
        DeliveryUncertain,
        DeliveryFailed,
        DeliveryFailed,
    ];
    let _ = world.check(&rest).await;
}

#[tokio::test]
async fn commands_of_ended_bindings_are_cancelled() {
    let world = World::new();
    world.sql(
        "update bindings set state = 'ended', ended_at = '1';
         insert into commands (id, idempotency_key, created_at, updated_at, task_id, type, state, payload_json,
             binding_id) values ('c', 'c', '1', '1', 't', 'nudge_worker', 'pending', '{}', 'b')",
    );
    let result = world.run(true).await;
    assert_eq!((result.findings[0].kind, result.findings[0].repaired), (DriftKind::OrphanedCommand, true));
    assert_eq!(result.applied.unwrap().cancelled_commands, ["c"]);
    assert_eq!(world.run(true).await.applied, Some(Default::default()));
}

#[tokio::test]
async fn more_than_are_listed_are_repaired_at_once() {
    let world = World::new();
    world.sql(
        "with recursive n (i) as (select 1 union all select i + 1 from n where i < 150)
         insert into bindings (id, task_id, worker_session_id, manager_session_id, state, created_at, ended_at)
           select 'b' || i, 't', 'w', 'm', 'ended', '1', '1' from n;
         insert into commands (id, idempotency_key, created_at, updated_at, task_id, type, state, payload_json,
             binding_id)
           select id, id, '1', '1', 't', 'nudge_worker', 'pending', '{}', id from bindings where state = 'ended'",
    );
    assert_eq!(world.run(true).await.applied.unwrap().cancelled_commands.len(), 150);
    assert_eq!(world.run(true).await.applied, Some(Default::default()));
}

#[tokio::test]
async fn many_are_counted_and_the_newest_listed() {
    let world = World::new();
    let values: Vec<String> = (0..250)
        .map(|n| format!("('c{n:03}', '{n}', '1', '1', 'nudge_worker', 'failed', '{{}}', 'failed')"))
        .collect();
    world.sql(&format!(
        "insert into commands (id, idempotency_key, created_at, updated_at, type, state, payload_json, delivery)
         values {}",
        values.join(", ")
    ));
    let result = world.run(false).await;
    assert_eq!((result.findings.len(), result.finding_counts["delivery_failed"]), (100, 250));
    assert_eq!(result.findings[0].id.as_deref(), Some("c249"));
}
