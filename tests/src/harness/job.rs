//! The main job, step by step: a worker and a manager are registered and bound, the worker's
//! completion wakes the waiting manager, a nudge is delivered and proven, the task is finished.
//!
//! `tests/demo/demo.sh` shows the same steps to a person.

use std::collections::BTreeSet;

use serde_json::Value;

use super::codex::Program;
use super::env::TestEnv;
use super::process::Running;
use super::tmux::Pane;
use super::wait::wait_until;

const TASK: &str = "greeting";
const FIRST_MESSAGE: &str = "write a greeting";
const NUDGE: &str = "please say it once more";

/// The result of the main job. Two runs are equal when the same things happened in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The signal types of the items that the manager consumed, in order.
    pub consumed: Vec<String>,
    /// The worker's state in the cycle after the first turn, coarse and fine, and how the turn ended.
    pub states: [String; 3],
    /// Whether that cycle read the worker's pane.
    pub pane_captured: bool,
    /// The outcome of the nudge.
    pub nudge: String,
    /// Whether the nudge was proven by a turn of the worker's rollout.
    pub nudge_proven: bool,
    /// The messages that the worker's Codex received, by its own rollout.
    pub worker_messages: Vec<String>,
    /// Whether the task was finished.
    pub finished: bool,
    /// The kinds of the replay's entries.
    pub replayed: BTreeSet<String>,
}

/// A step: its name and what it does.
pub type Step<'env> = (&'static str, fn(&mut MainJob<'env>));

/// A run of the main job.
#[derive(Debug)]
pub struct MainJob<'env> {
    env: &'env TestEnv,
    program: Program,
    worker: Option<Pane>,
    manager: Option<Pane>,
    waiting: Option<Running>,
    consumed: Vec<String>,
    cycle: Value,
    nudge: Value,
    finish: Value,
    replay: Value,
}

impl<'env> MainJob<'env> {
    /// The steps, in order.
    pub const STEPS: [Step<'env>; 14] = [
        ("the daemon starts", Self::start_daemon),
        ("the panes start", Self::start_panes),
        ("the worker registers", Self::register_worker),
        ("the manager registers", Self::register_manager),
        ("the task is created", Self::create_task),
        ("the pair is bound", Self::bind),
        ("the manager waits", Self::wait_for_inbox),
        ("the worker does a turn", Self::first_turn),
        ("the manager wakes", Self::wake),
        ("the manager looks", Self::look),
        ("the manager nudges", Self::nudge),
        ("the worker finishes again", Self::second_turn),
        ("the task is finished", Self::finish),
        ("the task is replayed", Self::replay),
    ];

    /// A run that has not begun, with this program in both panes.
    #[must_use]
    pub fn new(env: &'env TestEnv, program: Program) -> Self {
        Self {
            env,
            program,
            worker: None,
            manager: None,
            waiting: None,
            consumed: Vec::new(),
            cycle: Value::Null,
            nudge: Value::Null,
            finish: Value::Null,
            replay: Value::Null,
        }
    }

    /// Runs all steps; `between` is called before each but the first, with the name of the step.
    ///
    /// # Panics
    /// When a step fails.
    #[track_caller]
    pub fn run(mut self, mut between: impl FnMut(&TestEnv, &str)) -> Outcome {
        for (number, (name, step)) in Self::STEPS.into_iter().enumerate() {
            if number > 0 {
                between(self.env, name);
            }
            step(&mut self);
        }
        self.outcome()
    }

    #[track_caller]
    fn call(&self, args: &[&str]) -> Value {
        self.env.conveyorctl(args).success().json()
    }

    fn start_daemon(&mut self) {
        let _ = self.env.conveyorctl(&["daemon", "start"]).success();
    }

    fn start_panes(&mut self) {
        self.worker = Some(self.env.start_codex(&self.program, "worker"));
        self.manager = Some(self.env.start_codex(&self.program, "manager"));
    }

    fn pane(pane: &Option<Pane>) -> &Pane {
        pane.as_ref().expect("the panes have been started")
    }

    fn register(&self, verb: &str, name: &str, pane: &Pane) {
        let pid = pane.pid.to_string();
        let registered = self.call(&[verb, "--name", name, "--pid", &pid, "--tmux-session", &pane.session]);
        assert_eq!(registered["name"], name, "{registered}");
        assert_eq!(registered["communication"]["receive_style"], "push", "{registered}");
    }

    fn register_worker(&mut self) {
        self.register("register-worker", "worker", Self::pane(&self.worker));
    }

    fn register_manager(&mut self) {
        self.register("register-manager", "manager", Self::pane(&self.manager));
    }

    fn create_task(&mut self) {
        let task = self.call(&["tasks", "--create", TASK, "--goal", "A greeting is written"]);
        assert_eq!(task["created"], true, "{task}");
    }

    fn bind(&mut self) {
        let bound = self.call(&["bind", "--task", TASK, "--worker", "worker", "--manager", "manager"]);
        assert_eq!(bound["worker"], "worker", "{bound}");
    }

    fn wait_for_inbox(&mut self) {
        self.waiting = Some(self.env.start_conveyorctl(&INBOX));
        wait_until("the daemon to hold the waiting call", || {
            let held = |status: Value| status["waiting_calls"].as_u64().is_some_and(|calls| calls > 0);
            (self.env.daemon_answers() && held(self.env.daemon_status())).then_some(())
        });
    }

    fn first_turn(&mut self) {
        self.env.tmux().send(Self::pane(&self.worker), FIRST_MESSAGE);
        self.wait_for_turns(1);
    }

    fn wake(&mut self) {
        let waiting = self.waiting.take().expect("the manager waits");
        self.note(&waiting.finish().success().json());
    }

    fn look(&mut self) {
        self.cycle = self.call(&["cycle", TASK]);
    }

    fn nudge(&mut self) {
        self.nudge = self.call(&["session-nudge", "worker", NUDGE]);
    }

    fn second_turn(&mut self) {
        let woken = self.call(&INBOX);
        self.note(&woken);
        self.wait_for_turns(2);
    }

    fn finish(&mut self) {
        self.finish = self.call(&["finish-task", TASK, "--reason", "the greeting is written"]);
    }

    fn replay(&mut self) {
        self.replay = self.call(&["replay", TASK, "--format", "compact", "--json"]);
    }

    #[track_caller]
    fn note(&mut self, inbox: &Value) {
        let signal = inbox["consumed"]["signal_type"].as_str().unwrap_or_else(|| panic!("no item: {inbox}"));
        self.consumed.push(signal.to_owned());
    }

    /// Waits until the worker's rollout shows the end of this many turns.
    fn wait_for_turns(&self, count: usize) {
        let rollout = self.env.wait_for_message(FIRST_MESSAGE);
        self.env.wait_for_events(&rollout, "task_complete", count);
    }

    fn outcome(&self) -> Outcome {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rollout = self.env.wait_for_message(FIRST_MESSAGE);
        let entries = self.replay["entries"].as_array().expect("a replay has entries");
        let cycle = &self.cycle;
        Outcome {
            consumed: self.consumed.clone(),
            states: [&cycle["state"], &cycle["worker_state"], &cycle["turn"]["outcome"]].map(text),
            pane_captured: cycle["pane_signal"]["captured"] == true,
            nudge: text(&self.nudge["outcome"]),
            nudge_proven: self.nudge["proof"]["turn_id"].is_string(),
            worker_messages: self.env.user_messages(&rollout),
            finished: self.finish["finish"] == true,
            replayed: entries.iter().map(|entry| text(&entry["kind"])).collect(),
        }
    }
}

const INBOX: [&str; 7] = ["manager-inbox", TASK, "--consume-next", "--wait", "--timeout", "50", "--json"];
