//! Approvals over a database of their own, with a session without a pane.

use super::{
    Approvals, Decision,
    decide::{Claimed, judge},
};
use crate::{
    app::App,
    bindings,
    config::{Config, Flags},
    error::Error,
    refusal::Kind,
    sessions::registration,
    store::{
        Durability, StoreError, Tx,
        approvals::{self, Answer, NewApproval, Occasion},
        sessions, testing,
    },
};
use conveyor_proto::{
    ids::SessionId,
    settings::Environment,
    types::approval::{ApprovalKind, ApprovalSource, ApprovalState},
};
use serde_json::{Value, json};
use std::{fs, io::Write as _, path::PathBuf, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

struct NoVariables;

impl Environment for NoVariables {
    fn get(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/home/user".to_owned())
    }
}

struct World {
    _dir: tempfile::TempDir,
    app: Arc<App>,
    worker: SessionId,
    rollout: PathBuf,
}

impl World {
    /// A worker bound to a manager.
    async fn new() -> Self {
        let (dir, store) = testing::store();
        let config = Config::load(&Flags::default(), &NoVariables).unwrap();
        let app = App::new(config, store, CancellationToken::new());
        let mut rollouts = Vec::new();
        for (name, thread) in [("worker", "a"), ("manager", "b")] {
            let path = dir.path().join(format!(
                "codex/sessions/2026/01/31/rollout-2026-01-31T09-30-00-01990000-0000-7000-8000-00000000000{thread}.jsonl"
            ));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let meta = json!({ "id": format!("01990000-0000-7000-8000-00000000000{thread}") });
            fs::write(&path, format!("{}\n", json!({ "type": "session_meta", "payload": meta }))).unwrap();
            let params = json!({ "name": name, "role": name, "codex_session": path });
            let params = serde_json::from_value(params).unwrap();
            registration::register(&app.store, params, Duration::from_secs(1)).await.unwrap();
            rollouts.push(path);
        }
        let task = serde_json::from_value(json!({ "name": "task", "goal": "goal" })).unwrap();
        bindings::create_task(&app.store, task).await.unwrap();
        let pair = json!({ "task": "task", "worker": "worker", "manager": "manager" });
        bindings::bind(&app.store, serde_json::from_value(pair).unwrap()).await.unwrap();
        let find = |connection: &rusqlite::Connection| sessions::find(connection, "worker");
        let worker = app.store.read_blocking::<_, StoreError>(find).unwrap().unwrap().id;
        Self { _dir: dir, app, worker, rollout: rollouts.remove(0) }
    }

    fn approvals(&self) -> &Approvals {
        &self.app.approvals
    }

    fn append(&self, kind: &str, payload: &Value) {
        let mut file = fs::OpenOptions::new().append(true).open(&self.rollout).unwrap();
        let record = json!({ "timestamp": "2026-01-31T09:30:00.000Z", "type": kind, "payload": payload });
        writeln!(file, "{record}").unwrap();
    }

    async fn ingest(&self) {
        self.app.ingest.run(&self.worker, crate::ingest::Shrunk::Refuse).await.unwrap();
    }

    fn open_calls(&self) -> Vec<String> {
        let (calls, worker) = (self.approvals().calls.clone(), self.worker.clone());
        let calls = self.app.store.read_blocking::<_, Error>(|connection| calls.of(connection, &worker));
        calls.unwrap().open.into_iter().map(|call| call.id).collect()
    }

    fn write<T>(&self, write: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> T {
        self.app.store.write_blocking(Durability::Full, write).unwrap()
    }

    fn asked(&self, occasion: Occasion) -> NewApproval {
        NewApproval {
            session: self.worker.clone(),
            source: ApprovalSource::Pane,
            kind: ApprovalKind::Permissions,
            thread_id: None,
            turn_id: None,
            subject: "screen:hash".to_owned(),
            occasion,
            command: Some("Permission rule: write `/etc`".to_owned()),
            cwd: None,
            reason: None,
        }
    }

    fn states(&self) -> Vec<String> {
        testing::rows(&self.app.store, "approvals", "state", "true").into_iter().flatten().collect()
    }

    /// How often the manager is to be told of a question.
    fn lines(&self) -> Vec<String> {
        testing::rows(&self.app.store, "routed_notifications", "state", "true")
            .into_iter()
            .flatten()
            .collect()
    }
}

fn call(id: &str) -> Value {
    json!({ "type": "function_call", "name": "exec_command", "arguments": "{\"cmd\":\"ls\"}", "call_id": id })
}

/// The records are gone after the first look, so that a second reading of them is seen.
#[tokio::test]
async fn each_record_of_a_turn_is_read_once() {
    let world = World::new().await;
    assert!(world.open_calls().is_empty());
    world.append("event_msg", &json!({ "type": "task_started", "turn_id": "t" }));
    for id in ["one", "two"] {
        world.append("response_item", &call(id));
    }
    world.ingest().await;
    assert_eq!(world.open_calls(), ["one", "two"]);
    world.write(|tx| {
        Ok(tx.execute_batch("update codex_events set type = 'read' where type = 'response_item'")?)
    });
    assert_eq!(world.open_calls(), ["one", "two"]);
    world.append("response_item", &json!({ "type": "function_call_output", "call_id": "one" }));
    world.append("response_item", &call("three"));
    world.ingest().await;
    assert_eq!(world.open_calls(), ["two", "three"]);
    world.append("event_msg", &json!({ "type": "task_complete", "turn_id": "t" }));
    world.ingest().await;
    assert!(world.open_calls().is_empty(), "nothing is asked outside a turn");
}

#[tokio::test]
async fn a_call_that_claimed_nothing_gives_no_claim_back() {
    let world = World::new().await;
    let id = world.write(|tx| approvals::open(tx, &world.asked(Occasion::During(None)))).unwrap();
    let params = serde_json::from_value(json!({ "id": id, "task": "task", "reason": "r" })).unwrap();
    let judged =
        world.app.store.read_blocking(|connection| judge(connection, &params, Decision::Accept)).unwrap();
    world.approvals().claim(&judged).await.unwrap();
    let refused = || Error::conflict(Kind::ApprovalResolved, "it is being answered");
    world.approvals().given_back(&judged, Claimed::No, Err(refused())).await.unwrap_err();
    assert_eq!(world.states(), ["answering"], "the other call still answers it");
    world.approvals().given_back(&judged, Claimed::ByThisCall, Err(refused())).await.unwrap_err();
    assert_eq!(world.states(), ["pending"]);
}

#[tokio::test]
async fn a_question_of_the_pane_is_another_one_by_its_call_or_after_its_answer() {
    let world = World::new().await;
    let call = |id: &str| world.asked(Occasion::Call(id.to_owned()));
    let open = |new: NewApproval| world.write(|tx| approvals::open(tx, &new));
    let (session, pane) = (&world.worker, approvals::Ended::Of(ApprovalSource::Pane));
    let answered = |id: &str, answer: Answer| {
        world.write(|tx| {
            tx.execute_batch(&format!(
                "update approvals set state = 'answering', decision = 'accept' where id = '{id}'"
            ))?;
            approvals::settle(tx, id, answer)
        });
    };
    let first = open(call("one")).unwrap();
    assert_eq!(open(call("one")), None, "it is open");
    world.write(|tx| approvals::end(tx, session, pane));
    assert_eq!(open(call("one")), Some(first.clone()), "a screen that was drawn anew");
    answered(&first, Answer::Uncertain);
    assert_eq!(open(call("one")), None, "the key may still arrive");
    let second = open(call("two")).unwrap();
    answered(&second, Answer::Arrived);
    let third = open(call("two")).unwrap();
    assert!(second != third, "the call asks again after an answer");
    assert_eq!(open(call("two")), None);
    world.write(|tx| approvals::end(tx, session, pane));

    // Nothing tells the questions of a sub-agent apart, so each that begins is one of its own.
    let fourth = open(world.asked(Occasion::During(None))).unwrap();
    world.write(|tx| approvals::end(tx, session, pane));
    let fifth = open(world.asked(Occasion::During(None))).unwrap();
    assert_ne!(fourth, fifth);
    let states: Vec<String> = world.states();
    let count = |state: ApprovalState| states.iter().filter(|found| *found == state.as_str()).count();
    assert_eq!(count(ApprovalState::Pending), 1, "{states:?}");
    assert_eq!(states.len(), 5);
}

#[tokio::test]
async fn a_line_that_was_taken_back_is_told_when_the_question_stands_again() {
    let world = World::new().await;
    let ask = || world.asked(Occasion::Call("one".to_owned()));
    world.approvals().opened(ask()).await.unwrap();
    // As if the manager had a pane.
    world.write(|tx| {
        Ok(tx.execute_batch("update routed_notifications set state = 'pending', delivered_at = null")?)
    });
    world.approvals().ended(world.worker.clone(), approvals::Ended::Of(ApprovalSource::Pane)).await.unwrap();
    assert_eq!(world.lines(), ["suppressed"]);
    world.approvals().opened(ask()).await.unwrap();
    assert_eq!((world.lines(), world.states()), (vec!["pending".to_owned()], vec!["pending".to_owned()]));
}
