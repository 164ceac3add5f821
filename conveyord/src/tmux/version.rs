//! The version of a running server beside that of the program that would attach to it.
//!
//! A server lives for weeks, and the program may be upgraded meanwhile. Commands of another version still work, but
//! attaching does not: the two of them exchange what changed between the versions (seen from 3.5 to 3.6).

use super::{Operation, Tmux, TmuxError, TmuxServer};
use std::fmt;

const SERVER_VERSION: Operation = Operation::looking("ask for the version of");

/// A server that was started by another version of tmux than the program that is found now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherVersion {
    pub server: TmuxServer,
    /// The version of the running server.
    pub running: String,
    /// The process of the server.
    pub pid: String,
    /// The version of the program.
    pub program: String,
}

impl fmt::Display for OtherVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, running, pid, program } = self;
        let socket = server.socket();
        write!(
            f,
            "the tmux server at {socket} is still of version {running}, and the program tmux is of {program}: commands \
             reach it, but a terminal may not attach. Finish or stop its sessions, then end it with `tmux -S {socket} \
             kill-server`: the next start makes a new one"
        )?;
        // The kernel keeps the program of a running process, although its file was replaced.
        if cfg!(target_os = "linux") {
            write!(f, "; until then its own program attaches: `/proc/{pid}/exe -S {socket} attach`")?;
        }
        Ok(())
    }
}

impl Tmux {
    /// How the version of the running server differs from that of this client's program, if it does. None too if no
    /// server runs, or if it does not tell.
    ///
    /// # Errors
    /// When tmux is not installed or does not answer.
    pub async fn other_version(&self) -> Result<Option<OtherVersion>, TmuxError> {
        let program = self.version().await?;
        let program = program.strip_prefix("tmux ").unwrap_or(&program).to_owned();
        let target = self.server().to_string();
        let ask = ["display-message", "-p", "#{version}\t#{pid}"];
        let output = match self.call(SERVER_VERSION, &target, None, ask).await {
            Err(TmuxError::ServerGone { .. }) => return Ok(None),
            output => output?,
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let Some((running, pid)) = text.trim_end().split_once('\t') else { return Ok(None) };
        let differs = !running.is_empty() && !program.is_empty() && running != program;
        Ok(differs.then(|| OtherVersion {
            server: self.server().clone(),
            running: running.to_owned(),
            pid: pid.to_owned(),
            program,
        }))
    }
}
