//! The circumstances of the caller that travel with a call.

use conveyor_proto::settings::{self, Environment};
use conveyor_proto::types::common::Caller;

/// The circumstances of this process: the daemon has others. `program` is the name by which the daemon may speak of
/// the calling program in its texts.
#[must_use]
pub fn caller(program: &str, environment: &dyn Environment) -> Caller {
    let variable = |name| environment.get(name);
    Caller {
        cwd: settings::current_dir().ok().map(|dir| dir.to_string()),
        program: Some(program.to_owned()),
        pid: Some(i64::from(std::process::id())),
        codex_home: variable("CODEX_HOME"),
        home: variable("HOME"),
        path: variable("PATH"),
        tmux: variable("TMUX"),
        tmux_pane: variable("TMUX_PANE"),
        tmux_tmpdir: variable("TMUX_TMPDIR"),
    }
}
