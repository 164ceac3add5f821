//! Starts Codex's shared app-server daemon if the user's Codex wants one and none runs.
//!
//! It is started in tmux, with the environment of the sessions to come, just as the first TUI would start it.
//! So the first session, too, finds a running daemon, and its options can name that daemon by `--remote`.

use crate::{
    clock,
    codex::{
        launch::{Environment, START_VARIABLE},
        program::CodexProgram,
    },
    platform::{self, Pid},
    tmux::{NewSession, Tmux},
};
use camino::Utf8Path;
use std::time::Duration;
use tokio::time::timeout;

/// How long the start may take. The first start of Codex 0.169 copies about 400 MB.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Variables of one session, which the daemon of all sessions must not inherit.
const OF_A_SESSION: [&str; 2] = [START_VARIABLE, "CONVEYOR_STATE_ROOT"];

/// Starts the daemon, and waits until the command that starts it has ended. The caller looks whether the
/// daemon runs: if it does not, the session starts as it would without our help.
pub(crate) async fn start(tmux: &Tmux, program: &CodexProgram, environment: &Environment) {
    let mut environment = environment.clone();
    environment.set.retain(|(name, _)| !OF_A_SESSION.contains(&name.as_str()));
    let arguments = ["app-server", "daemon", "start"].map(str::to_owned).into();
    let argv = environment.command(&program.path, arguments);
    let name = clock::new_id("conveyor-codex-daemon");
    let new = NewSession { name: &name, cwd: Utf8Path::new("/"), argv: &argv, env: &environment.set };
    let made = match tmux.new_session(&new).await {
        Ok(made) => made,
        Err(error) => {
            tracing::warn!(%error, "the shared daemon of Codex could not be started");
            return;
        }
    };
    if let Ok(pid) = Pid::try_from(i64::from(made.pane_pid))
        && timeout(TIME_LIMIT, platform::ended(pid, platform::process_start_time(pid))).await.is_err()
    {
        tracing::warn!("the shared daemon of Codex takes long to start");
    }
    // The daemon detaches itself, so the tmux session in which it was started can go.
    if let Err(error) = tmux.kill_session_by_id(&made.session_id).await {
        tracing::warn!(%error, "a tmux session could not be ended");
    }
}
