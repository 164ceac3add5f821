//! Hundreds of real clients of one daemon at once, in all three framings: no answer is lost, doubled or given
//! to another client, nothing is carried out twice, and new clients are served meanwhile.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

mod wires;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use conveyor_tests::harness::{TestEnv, allow_many_files, announce};
use conveyor_tests::rollout::{Format, Rollout, Thread};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use wires::{Framing, Wire, within};

/// The number of clients, as many of each framing.
const CLIENTS: usize = 330;
/// The number of shared keys: fewer than clients, so that several clients send each.
const KEYS: usize = 30;

/// A daemon with a pair that is bound to the task `job`. Neither has a pane: what is sent waits in inboxes.
fn world() -> TestEnv {
    allow_many_files();
    let env = TestEnv::new();
    for role in ["worker", "manager"] {
        let file = rollout(&env);
        let register = format!("register-{role}");
        let _ =
            env.conveyorctl(&[&register, "--name", role, "--codex-session", file.path().as_str()]).success();
    }
    let _ = env.conveyorctl(&["tasks", "--create", "job", "--goal", "It is done"]).success();
    let _ =
        env.conveyorctl(&["bind", "--task", "job", "--worker", "worker", "--manager", "manager"]).success();
    env
}

fn rollout(env: &TestEnv) -> Rollout {
    Thread::new(&env.codex_home(), &env.project(), Format::New).unwrap().open_rollout().unwrap()
}

/// The result of one client.
struct Told {
    task: String,
    /// The command under the shared key, and whether it existed before.
    keyed: (String, bool),
    item: i64,
}

/// Everything that one client does. It is connected before any of them begins.
async fn client(number: usize, socket: Utf8PathBuf, rollout: Utf8PathBuf, all: Arc<Barrier>) -> Told {
    let framing = Framing::ALL[number % 3];
    let mut wire = Wire::open(framing, &socket).await;
    if framing.subscribes() {
        wire.call("events.subscribe", json!({ "kinds": ["task"] })).await.unwrap();
    } else {
        wire.call("daemon.status", json!({})).await.unwrap();
    }
    within(all.wait()).await;

    let key = format!("key-{}", number % KEYS);
    let name = format!("session-{number}");
    let answers = wire
        .calls(vec![
            ("task.create", json!({ "name": format!("task-{number}"), "goal": "Be one of many" })),
            ("session.register", json!({ "name": name, "role": "worker", "codex_session": rollout })),
            ("command.enqueue_notify_manager", json!({ "task": "job", "message": format!("from {number}") })),
            (
                "command.enqueue_notify_manager",
                json!({ "task": "job", "message": key, "idempotency_key": key }),
            ),
            ("session.list", json!({ "names": ["worker"] })),
            ("command.list", json!({ "task": "job", "limit": 3 })),
            ("task.list", json!({})),
        ])
        .await;
    let answers: Vec<Value> = answers.into_iter().map(Result::unwrap).collect();
    // That each answer is the one to its own call is seen by what is in it.
    assert_eq!(answers[0]["name"], format!("task-{number}"));
    assert_eq!(answers[1]["name"], name);
    assert_eq!(answers[4][0]["name"], "worker");
    assert!(answers[6].as_array().unwrap().iter().any(|task| task["name"] == "job"));

    // Each client takes one item of the same inbox, in one of the two ways.
    let lease = number.is_multiple_of(2);
    let take =
        json!({ "session": "manager", "consume_next": true, "lease": lease, "wait": true, "timeout": 60 });
    let taken = wire.call("inbox.take", take).await.unwrap();
    let item = taken["consumed"]["id"].as_i64().unwrap_or_else(|| panic!("no item: {}", taken["wait"]));
    if lease {
        let acknowledged = wire.call("inbox.acknowledge", json!({ "lease": taken["lease"] })).await.unwrap();
        assert_eq!(acknowledged, json!({ "notification_id": item, "consumed_now": true }));
    }

    if framing.subscribes() {
        // Each client made a task: the subscription tells of each, or counts it as missed.
        wire.follow(|changes| changes.len() >= CLIENTS || changes.iter().any(|it| it["kind"] == "lagged"))
            .await;
        let tasks: BTreeSet<&str> = wire.changes.iter().filter_map(|it| it["task_id"].as_str()).collect();
        let lagged = wire.changes.iter().any(|it| it["kind"] == "lagged");
        assert!(lagged || tasks.len() == CLIENTS && wire.changes.len() == CLIENTS, "{:?}", wire.changes);
    }
    Told {
        task: text(&answers[0]["id"]),
        keyed: (text(&answers[3]["command_id"]), answers[3]["deduplicated"] == true),
        item,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Connects, asks and leaves, again and again. Notes how often, and the longest that it took.
async fn pass_by(socket: &Utf8Path, served: &mut (u64, Duration)) -> Infallible {
    loop {
        for framing in Framing::ALL {
            let began = Instant::now();
            let mut wire = Wire::open(framing, socket).await;
            wire.call("session.list", json!({ "names": ["worker"] })).await.unwrap();
            *served = (served.0 + 1, served.1.max(began.elapsed()));
        }
    }
}

#[test]
fn hundreds_of_clients_lose_and_double_nothing() {
    let env = world();
    let rollouts: Vec<Rollout> = (0..CLIENTS).map(|_| rollout(&env)).collect();
    let socket = env.socket();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut served = (0, Duration::ZERO);
    let told: Vec<Told> = runtime.block_on(async {
        let all = Arc::new(Barrier::new(CLIENTS));
        let clients = rollouts.iter().enumerate().map(|(number, rollout)| {
            tokio::spawn(client(number, socket.clone(), rollout.path().to_owned(), Arc::clone(&all)))
        });
        let everybody = futures_util::future::try_join_all(clients);
        tokio::select! {
            told = everybody => told.unwrap(),
            never = pass_by(&socket, &mut served) => match never {},
        }
    });

    let tasks: BTreeSet<&str> = told.iter().map(|told| told.task.as_str()).collect();
    assert_eq!(tasks.len(), CLIENTS);
    let keyed: BTreeSet<&str> = told.iter().map(|told| told.keyed.0.as_str()).collect();
    let made = told.iter().filter(|told| !told.keyed.1).count();
    assert_eq!((keyed.len(), made), (KEYS, KEYS), "one command per key, made by one call");

    let mut items: BTreeSet<i64> = told.iter().map(|told| told.item).collect();
    assert_eq!(items.len(), CLIENTS, "no item was given to two");
    let mut client = env.rpc();
    while items.len() < CLIENTS + KEYS {
        let take = json!({ "session": "manager", "consume_next": true, "wait": true, "timeout": 60 });
        let taken = client.call("inbox.take", &take).unwrap();
        assert!(items.insert(taken["consumed"]["id"].as_i64().unwrap()), "given out twice: {taken}");
    }
    let left = client.call("inbox.take", &json!({ "session": "manager" })).unwrap();
    assert_eq!(left["items"], json!([]));
    let commands = client.call("command.list", &json!({ "task": "job" })).unwrap();
    let commands = commands.as_array().unwrap();
    assert_eq!(commands.len(), CLIENTS + KEYS);
    assert!(commands.iter().all(|command| command["state"] == "succeeded" && command["attempts"] == 1));
    let sessions = client.call("session.list", &json!({})).unwrap();
    assert_eq!(sessions.as_array().unwrap().len(), CLIENTS + 2);
    let (count, longest) = served;
    assert!(count > 0, "nobody else was served");
    announce(&format!(
        "{CLIENTS} clients at once: {count} others came and were served, the slowest in {} ms; the daemon's \
         peak memory was {}",
        longest.as_millis(),
        peak_memory(&env)
    ));
}

/// The most memory that the daemon ever had, where the system tells.
fn peak_memory(env: &TestEnv) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", env.daemon_pid())).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or("not told", str::trim).to_owned()
}

#[test]
fn a_subscriber_that_sleeps_is_told_how_much_it_missed() {
    let env = TestEnv::new();
    let mut file = rollout(&env);
    let path = file.path().to_string();
    let _ = env.conveyorctl(&["register-worker", "--name", "worker", "--codex-session", &path]).success();
    let mut sleeper = env.rpc();
    sleeper.call("events.subscribe", &json!({})).unwrap();
    let mut reader = env.rpc();
    reader.call("events.subscribe", &json!({ "kinds": ["turn_ended", "task"] })).unwrap();
    // More changes than the feed, the queue and the socket hold together.
    for number in 0..TURNS {
        file.append(&turn(number)).unwrap();
        if number % 500 == 499 {
            for _ in number - 499..=number {
                let change = reader.receive()["params"]["result"].take();
                assert_eq!(change["kind"], "turn_ended", "who reads misses nothing");
            }
        }
    }
    let _ = env.conveyorctl(&["tasks", "--create", "last", "--goal", "End it"]).success();
    let (mut seen, mut missed) = (0, 0);
    loop {
        let change = sleeper.receive()["params"]["result"].take();
        match change["kind"].as_str() {
            Some("lagged") => missed += change["count"].as_u64().unwrap(),
            Some("turn_started" | "turn_ended") => seen += 1,
            Some("task") => break,
            _ => {}
        }
    }
    assert!(missed > 0 && seen > 0, "it slept, and went on: {seen} seen, {missed} missed");
}

/// Turns of the rollout of one who works a lot.
const TURNS: usize = 5000;

/// The two records of a turn.
fn turn(number: usize) -> String {
    ["task_started", "task_complete"]
        .map(|kind| {
            let payload = json!({ "type": kind, "turn_id": format!("turn-{number}") });
            let record =
                json!({ "timestamp": "2026-01-31T09:30:00.000Z", "type": "event_msg", "payload": payload });
            format!("{record}\n")
        })
        .concat()
}
