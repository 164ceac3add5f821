//! Starting Codex's shared app-server daemon where the user has one and it does not run: in tmux, with the
//! environment of the sessions to come, as the first TUI would start it. So the first session, too, can be told
//! beside the daemon what it needs.

use crate::{
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
use uuid::Uuid;

/// How long it may take: the first start copies some hundred megabytes.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Variables that are a session's own, and not the daemon's.
const OF_A_SESSION: [&str; 2] = [START_VARIABLE, "CONVEYOR_STATE_ROOT"];

/// Starts the daemon and waits until the command that does so has ended. Whether it runs then is for the caller to
/// see: without it a session starts as it would by itself.
pub(crate) async fn start(tmux: &Tmux, program: &CodexProgram, environment: &Environment) {
    let mut environment = environment.clone();
    environment.set.retain(|(name, _)| !OF_A_SESSION.contains(&name.as_str()));
    let arguments = ["app-server", "daemon", "start"].map(str::to_owned).into();
    let argv = environment.command(&program.path, arguments);
    let name = format!("conveyor-codex-daemon-{}", Uuid::now_v7());
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
    // The daemon is no part of the session that it was started in.
    if let Err(error) = tmux.kill_session_by_id(&made.session_id).await {
        tracing::warn!(%error, "a tmux session could not be ended");
    }
}
