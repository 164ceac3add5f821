//! The versions of programs.

use crate::process::{self, Invocation};
use camino::Utf8Path;
use conveyor_proto::types::{common::Caller, doctor::DoctorCheck};
use std::{ffi::OsStr, time::Duration};

/// Asks a program for its version. It runs with the caller's `PATH`, because its interpreter may be found
/// only there.
pub(super) async fn version(
    program: &Utf8Path,
    flag: &str,
    caller: &Caller,
    time_limit: Duration,
) -> DoctorCheck {
    let mut env = vec![("TMUX", None), ("TMUX_PANE", None)];
    if let Some(path) = &caller.path {
        env.push(("PATH", Some(OsStr::new(path))));
    }
    let invocation = Invocation { env, time_limit, ..Invocation::new(program.as_std_path(), [flag]) };
    let failed = |message| DoctorCheck { ok: false, message: Some(message), ..DoctorCheck::default() };
    match process::run(invocation).await {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            let first = text.lines().next().unwrap_or_default().trim().chars().take(200).collect();
            DoctorCheck { ok: true, value: Some(first), ..DoctorCheck::default() }
        }
        Ok(output) => failed(format!("{program} {flag} ended with {}", output.status)),
        Err(error) => failed(format!("failed to {error}")),
    }
}
