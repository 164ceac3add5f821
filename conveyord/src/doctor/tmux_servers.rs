//! Whether the tmux servers of the sessions, and the caller's own, are of the version of the caller's program: a person
//! attaches with that.

use crate::sessions::pane;
use crate::store::sessions::Session;
use crate::tmux::Tmux;
use camino::Utf8Path;
use conveyor_proto::types::{common::Caller, doctor::DoctorCheck};
use std::collections::BTreeSet;
use std::time::Duration;

/// Asks each server once. A server that cannot be asked is told by the check of panes.
pub(super) async fn check(
    sessions: &[Session],
    program: &Utf8Path,
    caller: &Caller,
    time_limit: Duration,
) -> DoctorCheck {
    let with_pane = sessions.iter().filter(|session| session.has_tmux());
    let servers: BTreeSet<_> =
        with_pane.map(pane::server_of).chain([pane::server_of_caller(caller)]).collect();
    let (asked, mut others) = (servers.len(), Vec::new());
    for server in servers {
        let tmux = Tmux::new(server, time_limit).with_program(program.as_std_path());
        others.extend(tmux.other_version().await.ok().flatten());
    }
    let told: Vec<String> = others.iter().map(ToString::to_string).collect();
    DoctorCheck {
        ok: told.is_empty(),
        value: Some(format!("{asked} asked, {} of another version", told.len())),
        message: (!told.is_empty()).then(|| told.join("; ")),
        ..DoctorCheck::default()
    }
}
