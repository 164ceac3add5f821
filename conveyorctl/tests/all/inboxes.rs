//! An inbox item is acknowledged when, and only when, it has been printed.

use crate::support::{Daemon, Outcome, Root, Run, USUAL, refusal};
use serde_json::{Value, json};

fn taken(lease: Option<&str>) -> Value {
    let mut taken = json!({
        "consumed": null, "items": [], "session": { "id": "session-1", "name": "w", "role": "worker" },
        "wait": { "elapsed_seconds": 0.0, "enabled": false, "interval_seconds": 2.0, "poll_count": 1,
                  "timed_out": false, "timeout_seconds": 30.0, "draining": false },
    });
    if let Some(lease) = lease {
        taken["lease"] = json!(lease);
    }
    taken
}

fn run(
    lease: Option<&'static str>,
    acknowledged: bool,
    closed_output: bool,
) -> (Vec<(String, Value)>, Outcome) {
    let root = Root::new();
    let daemon = Daemon::listen(&root.socket(), move |method, _| match method {
        "rpc.hello" => USUAL,
        "inbox.take" => Ok(taken(lease)),
        _ if acknowledged => Ok(json!({ "notification_id": 1, "consumed_now": true })),
        _ => Err(refusal("lease_expired", "the lease has expired", "take it again")),
    });
    let mut run = Run::in_root(&root, &["session-inbox", "w", "--consume-next", "--json"]);
    run.closed_output = closed_output;
    let outcome = run.outcome();
    (daemon.calls(), outcome)
}

#[test]
fn it_is_leased_printed_and_then_acknowledged() {
    let (calls, outcome) = run(Some("lease-1"), true, false);
    let methods: Vec<&str> = calls.iter().map(|(method, _)| method.as_str()).collect();
    assert_eq!(methods, ["inbox.take", "inbox.acknowledge"]);
    assert_eq!((&calls[0].1["consume_next"], &calls[0].1["lease"]), (&json!(true), &json!(true)));
    assert_eq!(calls[1].1, json!({ "lease": "lease-1", "poll_count": 1, "waited": false }));
    let printed: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((outcome.code, printed), (0, taken(None)));
}

#[test]
fn a_wait_that_the_daemons_end_cut_short_is_no_success() {
    let root = Root::new();
    let _daemon = Daemon::listen(&root.socket(), |method, _| match method {
        "rpc.hello" => USUAL,
        _ => {
            let mut nothing = taken(None);
            nothing["wait"]["draining"] = json!(true);
            nothing["wait"]["timeout_seconds"] = json!(0.0);
            Ok(nothing)
        }
    });
    let args = ["session-inbox", "w", "--consume-next", "--wait", "--timeout", "0"];
    let plain = Run::in_root(&root, &args).outcome();
    assert_eq!(plain.code, 3);
    assert!(plain.stderr.starts_with("conveyorctl: conveyord was ended before"), "{}", plain.stderr);
    let json = Run::in_root(&root, &[&args[..], &["--json"]].concat()).outcome();
    let answer: Value = serde_json::from_str(&json.stdout).unwrap();
    let error: Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(
        (json.code, &answer["wait"]["draining"], &error["kind"]),
        (3, &json!(true), &json!("no_daemon"))
    );
    // Not the daemon's word for its own share.
    assert!(answer["wait"]["elapsed_seconds"].as_f64().unwrap() > 0.0, "{answer}");
}

#[test]
fn nothing_taken_is_nothing_acknowledged() {
    let (calls, outcome) = run(None, true, false);
    assert_eq!((calls.len(), outcome.code), (1, 0));
}

#[test]
fn what_could_not_be_printed_is_not_acknowledged() {
    let (calls, outcome) = run(Some("lease-1"), true, true);
    assert_eq!((calls.len(), outcome.stderr.as_str()), (1, ""));
}

#[test]
fn a_lost_lease_is_told() {
    let (_, outcome) = run(Some("lease-1"), false, false);
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.contains("\"kind\":\"lease_expired\""), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("will come again"), "{}", outcome.stderr);
}
