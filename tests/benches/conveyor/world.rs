//! A daemon in a fresh state root, and what benches do with it by its public surface.

use std::thread;
use std::time::{Duration, Instant};

use conveyor_tests::harness::{LineClient, TestEnv, wait_until};
use conveyor_tests::rollout::Rollout;
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::crowd::Holder;
use crate::inputs;

/// A running daemon, with an open line-framed connection to it.
pub(crate) struct World {
    // Dropped before the world that it leads to.
    client: LineClient,
    pub(crate) env: TestEnv,
}

/// A worker and a manager, neither in a pane, bound to a task.
pub(crate) struct Pair {
    pub(crate) task: String,
    pub(crate) worker: Rollout,
    _manager: Rollout,
}

impl World {
    /// Starts a daemon with these variables in its environment.
    pub(crate) fn new(variables: &[(&str, &str)]) -> Self {
        let mut env = TestEnv::new();
        for (name, value) in variables {
            env.set(name, value);
        }
        let _ = env.conveyorctl(&["daemon", "start"]).success();
        Self { client: env.rpc(), env }
    }

    /// Calls a method that is not refused.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.client
            .call(method, params)
            .unwrap_or_else(|error| panic!("{method} of {params} was refused: {error}"))
    }

    /// The time of one call, from its request to its answer.
    pub(crate) fn time(&mut self, method: &str, params: &Value) -> Duration {
        let begun = Instant::now();
        let _ = self.call(method, params);
        begun.elapsed()
    }

    /// The daemon's process.
    pub(crate) fn pid(&self) -> Pid {
        self.env.daemon_pid()
    }

    /// Registers a session by its rollout.
    pub(crate) fn register(&mut self, role: &str, name: &str, rollout: &Rollout) {
        let params = json!({"name": name, "role": role, "codex_session": rollout.path()});
        let registered = self.call("session.register", &params);
        assert_eq!(registered["rollout_state"], "ready", "{registered}");
    }

    /// Registers a session by a process that holds its rollout open.
    pub(crate) fn register_process(&mut self, role: &str, name: &str, rollout: &Rollout) -> Holder {
        let holder = Holder::of(rollout.path());
        let params =
            json!({"name": name, "role": role, "codex_session": rollout.path(), "pid": holder.pid()});
        let registered = self.call("session.register", &params);
        assert_eq!(registered["rollout_state"], "ready", "{registered}");
        holder
    }

    /// A new pair whose worker and manager are processes that hold their rollouts open.
    pub(crate) fn pair_of_processes(&mut self, number: usize) -> (String, [Holder; 2]) {
        let [task, name, boss] = ["task", "worker", "manager"].map(|what| format!("{what}-{number}"));
        let [worker, manager] = [("worker", &name), ("manager", &boss)].map(|(role, name)| {
            let mut rollout = inputs::rollout(&self.env.codex_home());
            let turn = inputs::begin(&mut rollout);
            inputs::end(&mut rollout, &turn);
            self.register_process(role, name, &rollout)
        });
        let _ = self.call("rollout.ingest", &json!({"name": name}));
        self.bind(&task, &name, &boss);
        (task, [worker, manager])
    }

    /// Creates a task and binds two sessions to it.
    pub(crate) fn bind(&mut self, task: &str, worker: &str, manager: &str) {
        let _ = self.call("task.create", &json!({"name": task, "goal": "It is done"}));
        let _ = self.call("binding.create", &json!({"task": task, "worker": worker, "manager": manager}));
    }

    /// A manager of this name, without a pane.
    pub(crate) fn manager(&mut self, name: &str) -> Rollout {
        let rollout = inputs::rollout(&self.env.codex_home());
        self.register("manager", name, &rollout);
        rollout
    }

    /// A new pair. Its worker has completed a turn that is not routed any more.
    pub(crate) fn pair(&mut self, number: usize) -> Pair {
        let mut rollout = inputs::rollout(&self.env.codex_home());
        let turn = inputs::begin(&mut rollout);
        inputs::end(&mut rollout, &turn);
        self.pair_of(number, rollout)
    }

    /// A new pair with a worker of this rollout, which is read before they are bound.
    pub(crate) fn pair_of(&mut self, number: usize, worker: Rollout) -> Pair {
        let [task, name, boss] = ["task", "worker", "manager"].map(|what| format!("{what}-{number}"));
        self.register("worker", &name, &worker);
        let manager = self.manager(&boss);
        let _ = self.call("rollout.ingest", &json!({"name": name}));
        self.bind(&task, &name, &boss);
        Pair { task, worker, _manager: manager }
    }

    /// Waits until the daemon watches so many rollouts.
    pub(crate) fn wait_for_watched(&mut self, count: usize) {
        wait_until(&format!("{count} rollouts to be watched"), || {
            let status = self.call("daemon.status", &json!({}));
            (status["watched_rollouts"] == count).then_some(())
        });
    }

    /// Waits until the daemon holds a waiting call.
    pub(crate) fn wait_for_waiting_call(&mut self) {
        wait_often("a call to wait", || {
            let status = self.call("daemon.status", &json!({}));
            status["waiting_calls"].as_u64().is_some_and(|calls| calls > 0)
        });
    }

    /// Waits until all of a rollout is stored.
    pub(crate) fn wait_for_stored(&mut self, name: &str, rollout: &Rollout) {
        let bytes = std::fs::metadata(rollout.path()).expect("the rollout is there").len();
        wait_often("a rollout to be stored", || {
            let rows = self.call("session.list", &json!({"names": [name]}));
            rows[0]["last_ingest_offset"].as_u64().is_some_and(|offset| offset >= bytes)
        });
    }
}

/// Waits for what is there soon, between two measurements.
fn wait_often(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
