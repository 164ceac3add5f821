//! The process of the shared app-server daemon of a Codex home.

use crate::platform::{self, Pid, ProcessStart};
use camino::Utf8Path;
use serde::Deserialize;
use std::fs;

/// The file of a Codex home in which the shared app-server daemon stores its process id.
pub(super) const DAEMON_PID_FILE: &str = "app-server-daemon/daemon.pid";

/// The process id of the shared app-server daemon of a Codex home, which owns the threads of all its panes.
/// `None` if no daemon was started, or if another process has its id by now: the file stays when the daemon is killed.
/// The process may have ended since.
pub fn shared_daemon_pid(codex_home: &Utf8Path) -> Option<Pid> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum PidFile {
        #[serde(rename_all = "camelCase")]
        Object {
            pid: i64,
            process_identity: Option<Identity>,
        },
        Number(i64),
    }
    let text = fs::read_to_string(codex_home.join(DAEMON_PID_FILE)).ok()?;
    let (pid, identity) = match serde_json::from_str(&text).ok()? {
        PidFile::Object { pid, process_identity } => (pid, process_identity),
        PidFile::Number(pid) => (pid, None),
    };
    Pid::try_from(pid).ok().filter(|pid| identity.is_none_or(|identity| identity.may_be(*pid)))
}

/// By what Codex tells the daemon from a later process with its id.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    /// When it started, as procfs tells (proc(5), `starttime`).
    start_ticks: Option<u64>,
}

impl Identity {
    /// Whether a process is not known to be another one.
    fn may_be(&self, pid: Pid) -> bool {
        let written = self.start_ticks.filter(|_| cfg!(target_os = "linux")).map(ProcessStart);
        let running = platform::process_start_time(pid);
        written.zip(running).is_none_or(|(written, running)| written == running)
    }
}
