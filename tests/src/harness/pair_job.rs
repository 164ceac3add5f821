//! A client that asks for a pair until it exists, whatever crashes meanwhile.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::codex::standin;
use super::env::TestEnv;
use super::faults::Fault;
use super::process::Running;
use super::wait::wait_until;
use crate::rollout::Format;

#[derive(Debug)]
pub struct PairJob {
    env: TestEnv,
    faults: VecDeque<Fault>,
    daemon: Option<Running>,
}

impl PairJob {
    /// A job whose first daemons crash as the faults say, one after the other.
    #[must_use]
    pub fn new(faults: &[Fault]) -> Self {
        let mut env = TestEnv::new();
        env.install_codex(&standin(Format::New));
        Self { env, faults: faults.iter().copied().collect(), daemon: None }
    }

    /// Makes the pair, and checks what is left.
    ///
    /// # Panics
    /// When the pair cannot be made, a fault did not happen, or something was started twice or left behind.
    #[track_caller]
    pub fn run(mut self) {
        let mut client = None;
        while let Some(fault) = self.faults.pop_front() {
            self.env.arm(&fault);
            let mut daemon = self.env.start_daemon_with_faults();
            let client = client.get_or_insert_with(|| self.env.start_conveyorctl(&PAIR));
            wait_until("the daemon to crash, or the client to end", || {
                (!daemon.is_running() || !client.is_running()).then_some(())
            });
            assert!(client.is_running(), "the client asks the next daemon");
            let ended = daemon.finish();
            assert_eq!(ended.code, None, "the daemon was to crash at {fault:?}: {ended:?}");
        }
        self.daemon = Some(self.env.start_daemon_as("conveyord"));
        let client = client.expect("there was a fault");
        let made = client.finish().success().json();
        let again = self.env.conveyorctl(&PAIR).success().json();
        assert_eq!(again["resumed"], json!(["worker", "manager", "binding", "run"]), "{again}");
        self.check(&made);
        let _ = self.env.conveyorctl(&["--no-start", "daemon", "stop"]).success();
        let _ = self.daemon.take().expect("a daemon was started").finish().success();
        let _ = self.env.check_invariants();
    }

    #[track_caller]
    fn check(&self, made: &Value) {
        let list = |args: &[&str]| self.env.conveyorctl(args).success().json();
        let listed = self.env.tmux().run(&["list-sessions", "-F", "#{session_name}"]).stdout;
        assert_eq!(listed, "codex-m\ncodex-w\n", "each was started once, and nothing else is left");
        let names: Vec<Value> = list(&["sessions"]).as_array().expect("a list").iter().map(name).collect();
        assert_eq!(names, ["w", "m"]);
        assert_eq!(list(&["tasks", "--json"]).as_array().map(Vec::len), Some(1));
        assert_eq!(list(&["runs", "--list", "--status", "active"]).as_array().map(Vec::len), Some(1));
        let found = list(&["reconcile"]);
        assert_eq!(found["finding_counts"]["start_unregistered"], Value::Null, "{found}");
        let worker = made["worker"]["codex_session_path"].as_str().expect("a path");
        let told = self.env.user_messages(worker);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(self.env.first_prompt(worker).contains("write a greeting"));
        let manager = made["manager"]["codex_session_path"].as_str().expect("a path");
        wait_until("the worker's completion to reach the manager", || {
            let told = self.env.user_messages(manager);
            told.iter().any(|text| text.contains("appears to have completed a turn")).then_some(())
        });
    }
}

fn name(session: &Value) -> Value {
    session["name"].clone()
}

/// The call.
const PAIR: [&str; 12] = [
    "--no-start",
    "pair",
    "--task",
    "greeting",
    "--task-goal",
    "A greeting is written",
    "--worker-name",
    "w",
    "--manager-name",
    "m",
    "--task-prompt",
    "write a greeting",
];
