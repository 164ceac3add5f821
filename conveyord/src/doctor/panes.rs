//! Whether the daemon reaches the panes of the active sessions. The check asks in the same way as a delivery:
//! with the daemon's own tmux, on the server of each session.

use crate::sessions::pane;
use crate::store::sessions::Session;
use crate::tmux::Tmux;
use conveyor_proto::types::doctor::DoctorCheck;
use std::collections::BTreeMap;
use std::time::Duration;

/// The number of sessions that a message names. Further ones are only counted.
const NAMED: usize = 5;

/// Asks each tmux server once.
pub(super) async fn check(sessions: &[Session], time_limit: Duration) -> DoctorCheck {
    let mut servers: BTreeMap<_, Vec<&Session>> = BTreeMap::new();
    for session in sessions.iter().filter(|session| session.has_tmux()) {
        servers.entry(pane::tmux(session, time_limit).server().clone()).or_default().push(session);
    }
    let (mut reached, mut wrong) = (0, Vec::new());
    for (server, sessions) in servers {
        match Tmux::new(server, time_limit).panes().await {
            Ok(panes) => {
                for session in sessions {
                    match pane::find_among(&panes, session) {
                        Ok(_) => reached += 1,
                        Err(error) => wrong.push(format!("{}: {error}", session.name)),
                    }
                }
            }
            Err(error) => wrong.extend(sessions.iter().map(|session| format!("{}: {error}", session.name))),
        }
    }
    let unreached = wrong.len();
    if unreached > NAMED {
        wrong.truncate(NAMED);
        wrong.push(format!("{} more", unreached - NAMED));
    }
    DoctorCheck {
        ok: unreached == 0,
        value: Some(format!("{reached} reached, {unreached} not")),
        message: (unreached > 0).then(|| wrong.join("; ")),
        ..DoctorCheck::default()
    }
}
