//! A job that goes on whatever crashes: each step is repeated until it is done, as a careful caller repeats
//! it.
//!
//! The daemons are started here and not by `conveyorctl`, so that it is known which of them crashes, and
//! where.

use std::collections::{BTreeSet, VecDeque};

use serde_json::Value;

use super::codex::standin;
use super::env::TestEnv;
use super::faults::Fault;
use super::invariants::Counts;
use super::process::{Output, Running};
use super::tmux::Pane;
use super::wait::wait_until;
use crate::rollout::Format;

const TASK: &str = "greeting";
/// What the worker is asked first, by a person at its pane.
const FIRST_MESSAGE: &str = "write a greeting";
/// What the manager sends by Dispatch, and what it sends itself.
const QUEUED: &str = "say it once more, by the queue";
const NUDGE: &str = "say it once more, by hand";
const LAST_MESSAGE: &str = "thank you, that is all";
/// What the manager's pane is told of a completion.
const COMPLETION: &str = "appears to have completed a turn";

/// Where the manager gets its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// In its pane.
    Pane,
    /// From its inbox.
    Inbox,
}

/// The result of the job.
#[derive(Debug)]
pub struct Survived {
    /// What the database contains.
    pub counts: Counts,
    /// Those of the manager's texts that the worker's Codex received. Each was received once or not at all.
    pub worker_got: BTreeSet<String>,
    /// The items that the manager was given, by its inbox or by a cycle.
    pub items: BTreeSet<i64>,
}

#[derive(Debug)]
pub struct CrashJob<'env> {
    env: &'env TestEnv,
    manager: Manager,
    faults: VecDeque<Fault>,
    daemon: Option<Running>,
    /// Whether the daemon that runs is to crash.
    doomed: Option<Fault>,
    items: BTreeSet<i64>,
}

impl<'env> CrashJob<'env> {
    /// A job whose first daemons crash as the faults say, one after the other.
    #[must_use]
    pub fn new(env: &'env TestEnv, manager: Manager, faults: &[Fault]) -> Self {
        let faults = faults.iter().copied().collect();
        Self { env, manager, faults, daemon: None, doomed: None, items: BTreeSet::new() }
    }

    /// A job whose daemon fails at its store and goes on.
    #[must_use]
    pub fn with_failure(env: &'env TestEnv, manager: Manager, failure: Fault) -> Self {
        env.arm(&failure);
        Self { daemon: Some(env.start_daemon_with_faults()), ..Self::new(env, manager, &[]) }
    }

    /// Does all steps, and checks what is left.
    ///
    /// # Panics
    /// When a step cannot be done, a fault did not happen, or something was lost or done twice.
    #[track_caller]
    #[must_use]
    pub fn run(mut self) -> Survived {
        let program = standin(Format::New);
        let worker = self.env.start_codex(&program, "worker");
        let manager = self.env.start_codex(&program, "manager");
        self.register("worker", &worker, true);
        self.register("manager", &manager, self.manager == Manager::Pane);
        self.create_and_bind();
        self.env.tmux().send(&worker, FIRST_MESSAGE);
        let rollout = self.env.wait_for_message(FIRST_MESSAGE);
        self.env.wait_for_events(&rollout, "task_complete", 1);
        self.completion_arrives(1);
        self.queue(&rollout);
        self.nudge(&rollout);
        self.interrupt(&worker, &rollout);
        self.cycle();
        self.finish();
        self.stop();
        assert!(self.faults.is_empty(), "these did not happen: {:?}", self.faults);
        self.look_at_what_is_left(&rollout)
    }

    /// Makes sure that a daemon answers: the next one, if the last one has crashed.
    #[track_caller]
    fn daemon(&mut self) {
        loop {
            if let Some(daemon) = &mut self.daemon {
                if daemon.is_running() {
                    return;
                }
                self.note_crash();
            }
            self.doomed = self.faults.pop_front();
            self.daemon = Some(match &self.doomed {
                Some(fault) => {
                    self.env.arm(fault);
                    self.env.start_daemon_with_faults()
                }
                None => self.env.start_daemon_as("conveyord"),
            });
        }
    }

    /// Notes the end of a daemon. It must have ended by the fault that was asked for.
    #[track_caller]
    fn note_crash(&mut self) {
        let ended = self.daemon.take().expect("a daemon was started").finish();
        let fault = self.doomed.take().unwrap_or_else(|| panic!("a daemon ended by itself: {ended:?}"));
        assert_eq!(ended.code, None, "the daemon was to crash at {fault:?}: {ended:?}");
    }

    /// Calls once. Returns the output when the call ended, with whatever exit code; none when the daemon
    /// crashed meanwhile.
    #[track_caller]
    fn try_call(&mut self, args: &[&str]) -> Option<Output> {
        self.call_once(args).ok()
    }

    /// Like `try_call`, but returns what a call that the crash cut off had printed before.
    ///
    /// The next daemon is started while the client lives, so that it may finish there what it began.
    #[track_caller]
    fn call_once(&mut self, args: &[&str]) -> Result<Output, Output> {
        self.daemon();
        let mut client = self.env.start_conveyorctl(&[&["--no-start"], args].concat());
        wait_until(&format!("{args:?} to end"), || {
            if !client.is_running() {
                return Some(());
            }
            self.daemon();
            None
        });
        let output = client.finish();
        // A client that never had a daemon waits for none: the last one may have crashed just before.
        let lost =
            output.code == Some(3) || output.stderr.contains("closed the connection before it answered");
        if lost { Err(output) } else { Ok(output) }
    }

    /// Calls until an answer comes, for calls that may be repeated.
    #[track_caller]
    fn call(&mut self, args: &[&str]) -> Value {
        loop {
            if let Some(output) = self.try_call(args) {
                return output.success().json();
            }
        }
    }

    fn register(&mut self, role: &str, pane: &Pane, in_tmux: bool) {
        let (verb, pid) = (format!("register-{role}"), pane.pid.to_string());
        let mut args = vec![verb.as_str(), "--name", role, "--pid", &pid];
        if in_tmux {
            args.extend(["--tmux-session", &pane.session]);
        }
        let _ = self.call(&args);
    }

    fn create_and_bind(&mut self) {
        let is_there = |job: &mut Self| job.task().is_some();
        while !is_there(self) {
            // The call is not repeated blindly: a second call would make another task of the same name.
            let _ = self.try_call(&["tasks", "--create", TASK, "--goal", "A greeting is written"]);
        }
        loop {
            let bind = ["bind", "--task", TASK, "--worker", "worker", "--manager", "manager"];
            match self.try_call(&bind) {
                None => {}
                Some(output) if output.code == Some(0) || output.stderr.contains("is bound already") => {
                    return;
                }
                Some(output) => panic!("the pair was not bound: {output:?}"),
            }
        }
    }

    fn task(&mut self) -> Option<Value> {
        self.call(&["tasks", "--json"]).as_array().and_then(|tasks| tasks.first().cloned())
    }

    /// Waits until the manager has been told of this many completions.
    #[track_caller]
    fn completion_arrives(&mut self, count: usize) {
        let env = self.env;
        wait_until(&format!("completion {count} to reach the manager"), || {
            match self.manager {
                // A cycle is asked for all the same, so that a crash is noticed and uncertain items are
                // found.
                Manager::Pane => {
                    let listed = self.call(&["manager-inbox", TASK, "--json"]);
                    self.note(&listed["items"]);
                    let told =
                        env.rollouts().iter().flat_map(|path| env.user_messages(path)).collect::<Vec<_>>();
                    let told = told.iter().filter(|text| text.contains(COMPLETION)).count();
                    (told.max(self.items.len()) >= count).then_some(())
                }
                Manager::Inbox => {
                    let take =
                        ["manager-inbox", TASK, "--consume-next", "--wait", "--timeout", "20", "--json"];
                    // A printed item was received, even if its acknowledgement failed.
                    let (Ok(taken) | Err(taken)) = self.call_once(&take);
                    let taken: Value = serde_json::from_str(&taken.stdout).ok()?;
                    self.note(&Value::from(vec![taken["consumed"].clone()]));
                    (self.items.len() >= count).then_some(())
                }
            }
        });
    }

    fn note(&mut self, items: &Value) {
        let completions = items.as_array().into_iter().flatten();
        let completions = completions.filter(|item| item["signal_type"] == "worker_task_complete");
        self.items.extend(completions.filter_map(|item| item["id"].as_i64()));
    }

    /// Waits until the worker has answered a message, if its Codex received it.
    fn turn_of(&self, rollout: &str, text: &str) {
        let got = self.env.user_messages(rollout);
        if got.iter().any(|message| message == text) {
            self.env.wait_for_events(rollout, "task_complete", got.len());
        }
    }

    fn queue(&mut self, rollout: &str) {
        let enqueue =
            ["enqueue-nudge-worker", TASK, "--message", QUEUED, "--idempotency-key", "once", "--json"];
        let id = self.call(&enqueue)["command_id"].as_str().expect("a command").to_owned();
        wait_until("the command to end", || {
            let rows = self.call(&["commands", "--task", TASK, "--json"]);
            let row = rows.as_array()?.iter().find(|row| row["id"] == id.as_str())?;
            matches!(row["state"].as_str()?, "succeeded" | "failed").then_some(())
        });
        self.turn_of(rollout, QUEUED);
    }

    /// Sends a nudge. It is not repeated after a crash, because the text may have been typed.
    fn nudge(&mut self, rollout: &str) {
        let _ = self.try_call(&["session-nudge", "worker", NUDGE, "--clear-draft"]);
        self.turn_of(rollout, NUDGE);
    }

    fn interrupt(&mut self, worker: &Pane, rollout: &str) {
        let ended = self.env.user_messages(rollout).len();
        self.env.tmux().key(worker, "C-u");
        self.env.tmux().send(worker, "[[slow: 30]] take your time");
        self.env.wait_for_events(rollout, "task_started", ended + 1);
        if self.try_call(&["session-interrupt", "worker"]).is_none() {
            // The key was pressed, or is pressed now.
            let _ = self.call(&["session-interrupt", "worker"]);
        }
        self.env.wait_for_events(rollout, "turn_aborted", 1);
    }

    fn cycle(&mut self) {
        let cycle = self.call(&["cycle", TASK]);
        self.note(&cycle["consumed_notifications"]);
    }

    fn finish(&mut self) {
        let finish = [
            "finish-task",
            TASK,
            "--reason",
            "the greeting is written",
            "--stop-worker",
            "--stop-manager",
            "--message",
            LAST_MESSAGE,
            "--capture-transcript-before-stop",
        ];
        while self.task().is_some_and(|task| task["state"] != "done") {
            if let Some(output) = self.try_call(&finish) {
                let _ = output.success();
            }
        }
    }

    /// Asks the last daemon for its health, then ends it in order.
    fn stop(&mut self) {
        loop {
            // The completions of the last turns are still on their way.
            wait_until("everything to be settled", || {
                let _ = self.call(&["tasks", "--json"]);
                self.env.is_settled().then_some(())
            });
            let health = self.call(&["db-doctor"]);
            assert_eq!(health["ok"], true, "{health}");
            self.daemon();
            let stopped = self.env.conveyorctl(&["--no-start", "daemon", "stop"]);
            let daemon = self.daemon.as_mut().expect("a daemon was started");
            wait_until("the daemon to end", || (!daemon.is_running()).then_some(()));
            if self.doomed.is_some() {
                self.note_crash();
                continue;
            }
            let _ = stopped.success();
            let _ = self.daemon.take().expect("a daemon was started").finish().success();
            return;
        }
    }

    fn look_at_what_is_left(self, rollout: &str) -> Survived {
        let counts = self.env.check_invariants();
        let got = self.env.user_messages(rollout);
        let mut worker_got = BTreeSet::new();
        for text in [QUEUED, NUDGE, LAST_MESSAGE] {
            let times = got.iter().filter(|message| message.contains(text)).count();
            assert!(times <= 1, "{text:?} was typed {times} times: {got:?}");
            if times == 1 {
                worker_got.insert(text.to_owned());
            }
        }
        let unseen: Vec<_> = counts.consumed_from_inboxes.difference(&self.items).collect();
        assert!(unseen.is_empty(), "consumed, and the manager never saw them: {unseen:?}");
        Survived { counts, worker_got, items: self.items }
    }
}
