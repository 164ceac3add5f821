//! Panes that a person renames, moves and covers: the session stays reachable, its manager is woken, and
//! ending the session ends its Codex and nothing else. A pane is known by its id and its process, wherever
//! tmux has it.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use conveyor_tests::harness::{Pane, TestEnv, has_ended, standin, wait_until};
use conveyor_tests::rollout::Format;
use nix::unistd::Pid;
use serde_json::json;

/// A worker and a manager in a pane each, bound to `job`.
struct Pair {
    env: TestEnv,
    worker: Pane,
    manager: Pane,
}

impl Pair {
    fn new() -> Self {
        let env = TestEnv::new();
        let mut panes = ["worker", "manager"].map(|name| {
            let pane = env.start_codex(&standin(Format::New), name);
            let (verb, pid) = (format!("register-{name}"), pane.pid.to_string());
            let args = [&verb, "--name", name, "--pid", &pid, "--tmux-session", &pane.session];
            let _ = env.conveyorctl(&args).success();
            Some(pane)
        });
        let _ = env.conveyorctl(&["tasks", "--create", "job", "--goal", "It is done"]).success();
        let bind = ["bind", "--task", "job", "--worker", "worker", "--manager", "manager"];
        let _ = env.conveyorctl(&bind).success();
        let [worker, manager] = [0, 1].map(|at| panes[at].take().unwrap());
        Self { env, worker, manager }
    }

    fn tmux(&self, args: &[&str]) {
        let _ = self.env.tmux().run(args).success();
    }

    /// Checks that a text reaches the worker's own pane, that the end of the turn that it causes reaches the
    /// manager's, and that no check finds anything wrong with either.
    #[track_caller]
    fn check_reached(&self, text: &str) {
        let nudge = json!({ "name": "worker", "text": text });
        let sent = self.env.rpc().call("session.nudge", &nudge).unwrap();
        assert_eq!(sent["outcome"], "delivered", "{sent}");
        let rollout = self.env.wait_for_message(text);
        let told = |pane: &Pane| self.env.tmux().screen(pane).contains(text);
        assert!(told(&self.worker), "{}", self.env.tmux().screen(&self.worker));
        self.env.wait_for_events(&rollout, "task_complete", 1);
        let turns = self.env.records(&rollout);
        let turns = turns.iter().filter(|record| record["payload"]["type"] == "task_complete").count();
        wait_until("each completion in the manager's pane", || {
            let messages = self.env.rollouts().into_iter().filter(|path| *path != rollout);
            let messages = messages.flat_map(|path| self.env.user_messages(&path));
            (messages.filter(|message| message.contains("Worker worker")).count() == turns).then_some(())
        });
        let doctor = self.env.rpc().call("doctor.run", &json!({})).unwrap();
        assert_eq!(doctor["checks"]["panes"]["value"], "2 reached, 0 not", "{doctor}");
        // What the manager's Codex writes of its last turn may not be read yet.
        wait_until("nothing to disagree on", || {
            let drift = self.env.rpc().call("reconcile.run", &json!({})).unwrap();
            (drift["findings"] == json!([])).then_some(())
        });
    }

    fn is_running(pane: &Pane) -> bool {
        !has_ended(Pid::from_raw(pane.pid.try_into().unwrap()))
    }

    #[track_caller]
    fn wait_for_end(pane: &Pane) {
        wait_until("the end of Codex", || (!Self::is_running(pane)).then_some(()));
    }
}

#[test]
fn a_pane_is_the_sessions_wherever_tmux_has_it() {
    let pair = Pair::new();
    let (worker, manager) = (pair.worker.id.clone(), pair.manager.id.clone());
    pair.check_reached("before anything");
    pair.tmux(&["rename-session", "-t", "=codex-worker:", "renamed"]);
    pair.tmux(&["rename-session", "-t", "=codex-manager:", "other"]);
    pair.check_reached("after a rename");
    pair.tmux(&["new-window", "-t", "=renamed:", "cat"]);
    pair.check_reached("behind another window");
    pair.tmux(&["split-window", "-t", &worker, "cat"]);
    pair.check_reached("beside an active pane");
    pair.tmux(&["break-pane", "-d", "-s", &worker]);
    pair.check_reached("in a window of its own");
    pair.tmux(&["move-window", "-s", &worker, "-t", "=renamed:9"]);
    pair.check_reached("renumbered");
    pair.tmux(&["swap-pane", "-d", "-s", &worker, "-t", &manager]);
    pair.check_reached("in the place of the manager");
    pair.tmux(&["join-pane", "-d", "-s", &manager, "-t", &worker]);
    pair.check_reached("beside the manager");
    pair.tmux(&["resize-pane", "-Z", "-t", &worker]);
    pair.check_reached("zoomed");
    // A foreign pane under the old name belongs to no session.
    let stranger = pair.env.tmux().start("codex-worker", &["cat"]);
    pair.check_reached("beside a stranger of the old name");
    assert!(!pair.env.tmux().screen(&stranger).contains("stranger"));
}

#[test]
fn stop_ends_a_renamed_session() {
    let pair = Pair::new();
    let _ = pair.env.conveyorctl(&["unbind", "--task", "job"]).success();
    pair.tmux(&["rename-session", "-t", "=codex-worker:", "renamed"]);
    let stopped = pair.env.rpc().call("session.stop", &json!({ "name": "worker" })).unwrap();
    assert_eq!(stopped["killed_session"], true, "{stopped}");
    Pair::wait_for_end(&pair.worker);
    let again = pair.env.rpc().call("session.stop", &json!({ "name": "worker" })).unwrap();
    assert_eq!(again["killed_session"], false, "{again}");
}

#[test]
fn a_pane_that_is_shared_ends_and_the_rest_of_the_other_session_does_not() {
    let pair = Pair::new();
    let _ = pair.env.conveyorctl(&["unbind", "--task", "job"]).success();
    let own = pair.env.tmux().start("aaa", &["cat"]);
    pair.tmux(&["link-window", "-d", "-s", &pair.worker.id, "-t", "=aaa:5"]);
    // A group whose name comes first in tmux's list.
    pair.tmux(&["new-session", "-d", "-s", "bbb", "-t", "=codex-manager"]);
    for (name, pane) in [("worker", &pair.worker), ("manager", &pair.manager)] {
        let stopped = pair.env.rpc().call("session.stop", &json!({ "name": name })).unwrap();
        assert_eq!(stopped["killed_session"], true, "{stopped}");
        Pair::wait_for_end(pane);
    }
    assert!(Pair::is_running(&own), "nobody else was ended");
}

#[test]
fn strangers_of_a_server_that_was_started_anew_are_nobodys_panes() {
    let pair = Pair::new();
    let _ = pair.env.conveyorctl(&["unbind", "--task", "job"]).success();
    pair.tmux(&["kill-server"]);
    let stranger = pair.env.tmux().start("shell", &["cat"]);
    assert_eq!(stranger.id, pair.worker.id, "ids begin anew");
    let status = pair.env.rpc().call("worker.status", &json!({ "name": "worker" })).unwrap();
    assert_eq!(status["running"], false, "{status}");
    let attach = pair.env.rpc().call("worker.attach", &json!({ "name": "worker" })).unwrap_err();
    assert_eq!(attach["data"]["kind"], "tmux_session_missing", "{attach}");
    let stopped = pair.env.rpc().call("session.stop", &json!({ "name": "worker" })).unwrap();
    assert_eq!(stopped["killed_session"], false, "{stopped}");
    assert!(Pair::is_running(&stranger), "nothing of the user's was ended");
}

#[test]
fn finish_ends_a_pane_that_was_moved_beside_others_and_nothing_else() {
    let pair = Pair::new();
    let own = pair.env.tmux().start("mine", &["cat"]);
    pair.tmux(&["join-pane", "-d", "-s", &pair.worker.id, "-t", &own.id]);
    let finished =
        pair.env.conveyorctl(&["finish-task", "job", "--reason", "done", "--stop-worker"]).success();
    assert_eq!(finished.json()["killed_worker"], true, "{}", finished.stdout);
    Pair::wait_for_end(&pair.worker);
    assert!(Pair::is_running(&own) && Pair::is_running(&pair.manager), "nobody else was ended");
}

#[test]
fn two_that_were_moved_together_are_not_ended_one_by_one() {
    let pair = Pair::new();
    pair.tmux(&["join-pane", "-d", "-s", &pair.manager.id, "-t", &pair.worker.id]);
    let stop = |force: bool| {
        let params = json!({ "name": "worker", "force": force });
        pair.env.rpc().call("session.stop", &params)
    };
    let _ = pair.env.conveyorctl(&["unbind", "--task", "job"]).success();
    assert_eq!(stop(false).unwrap_err()["data"]["kind"], "shared_tmux_session");
    assert!(Pair::is_running(&pair.worker) && Pair::is_running(&pair.manager));
    let stopped = stop(true).unwrap();
    assert_eq!(stopped["also_stopped"], json!(["manager"]), "{stopped}");
    Pair::wait_for_end(&pair.manager);
}

#[test]
fn another_process_in_the_pane_is_another_pane() {
    let pair = Pair::new();
    pair.tmux(&["respawn-pane", "-k", "-t", &pair.worker.id, "cat"]);
    let nudge = json!({ "name": "worker", "text": "never to be seen" });
    let refused = pair.env.rpc().call("session.nudge", &nudge).unwrap_err();
    let kind = refused["data"]["kind"].as_str().unwrap().to_owned();
    assert!(["tmux_pane_mismatch", "session_gone"].contains(&kind.as_str()), "{refused}");
    assert!(!pair.env.tmux().screen(&pair.worker).contains("never"));
}
