//! A job that asks for a worker again and again until it exists, whatever crashes meanwhile.

use std::collections::VecDeque;
use std::fs;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::codex::standin;
use super::env::TestEnv;
use super::faults::Fault;
use super::wait::wait_until;
use crate::rollout::Format;

#[derive(Debug)]
pub struct CreateJob {
    env: TestEnv,
    faults: VecDeque<Fault>,
    again: bool,
}

impl CreateJob {
    /// A job whose first daemons crash as the faults say, one after the other. `again` is for a worker that
    /// ran before.
    #[must_use]
    pub fn new(again: bool, faults: &[Fault]) -> Self {
        let mut env = TestEnv::new();
        env.install_codex(&standin(Format::New));
        Self { env, faults: faults.iter().copied().collect(), again }
    }

    /// Makes the worker, and checks what is left.
    ///
    /// # Panics
    /// When the worker cannot be made, a fault did not happen, or something was started twice or left behind.
    #[track_caller]
    pub fn run(mut self) {
        if self.again {
            let _ = self.env.conveyorctl(&["create", "w"]).success();
            let _ = self.env.conveyorctl(&["stop", "w"]).success();
            let _ = self.env.conveyorctl(&["daemon", "stop"]).success();
        }
        let mut create = vec!["--no-start", "create", "w", "--wait-ready"];
        create.extend(self.again.then_some("--reuse"));
        while let Some(fault) = self.faults.pop_front() {
            self.env.arm(&fault);
            let mut daemon = self.env.start_daemon_with_faults();
            let cut_off = self.env.conveyorctl(&create).stdout;
            wait_until("the daemon to crash", || (!daemon.is_running()).then_some(()));
            let ended = daemon.finish();
            assert_eq!(ended.code, None, "the daemon was to crash at {fault:?}: {ended:?}");
            assert_eq!(cut_off, "", "a create that was cut off has no result");
        }
        let is_there = self.stored("select state from workers").as_deref() == Some("active");
        let daemon = self.env.start_daemon_as("conveyord");
        let made = self.env.conveyorctl(&create);
        if is_there {
            let refused = made.exits_with(1);
            assert!(refused.stderr.contains("there is a "), "{refused:?}");
        } else {
            let _ = made.success();
        }
        self.check();
        let _ = self.env.conveyorctl(&["--no-start", "daemon", "stop"]).success();
        let _ = daemon.finish().success();
        let _ = self.env.check_invariants();
    }

    /// Checks that there is one running worker, that its folder and rows agree, and that it can be told
    /// something and be ended.
    #[track_caller]
    fn check(&self) {
        let listed = self.env.conveyorctl(&["list", "--json"]).success().json();
        assert_eq!(
            (listed.as_array().map(Vec::len), &listed[0]["running"]),
            (Some(1), &json!(true)),
            "{listed}"
        );
        let sessions = self.env.tmux().run(&["list-sessions", "-F", "#{session_name}"]).stdout;
        assert_eq!(sessions, "codex-w\n", "it was started once, and nothing else is left");
        let config = fs::read_to_string(self.env.state_root().join("w/config.json")).expect("it is there");
        let config: Value = serde_json::from_str(&config).expect("JSON");
        for table in ["workers", "sessions"] {
            let stored = self.stored(&format!("select identity_token || tmux_pane_id from {table}"));
            let told = ["identity_token", "tmux_pane_id"].map(|key| config[key].as_str().expect("a text"));
            assert_eq!(stored, Some(told.concat()), "{table}");
        }
        let _ = self.env.conveyorctl(&["nudge", "w", "write a greeting"]).success();
        assert_eq!(self.env.conveyorctl(&["stop", "w"]).success().stdout, "stopped w\n");
        assert_eq!(self.env.tmux().run(&["list-sessions"]).stdout, "");
    }

    /// A text of the database's only row.
    fn stored(&self, sql: &str) -> Option<String> {
        let database = Connection::open(self.env.state_root().join("conveyor.db")).expect("a database");
        database.query_row(sql, [], |row| row.get(0)).ok()
    }
}
