//! Whether all background loops run, and whether each works on all of its items.

use crate::store::sessions::Session;
use conveyor_proto::types::{
    daemon::{LoopState, LoopStatus},
    doctor::DoctorCheck,
};

/// Names the loops that are down, and the items (such as sessions) whose work has panicked.
pub(super) fn check(loops: &[LoopStatus], sessions: &[Session]) -> DoctorCheck {
    let running = loops.iter().filter(|status| status.state == LoopState::Running).count();
    let restarted = loops.iter().filter(|status| status.restarts > 0);
    let restarted: Vec<String> =
        restarted.map(|status| format!("{} restarted {} times", status.name, status.restarts)).collect();
    let value = [vec![format!("{running} of {} run", loops.len())], restarted].concat().join(", ");
    let down = loops.iter().filter(|status| status.state != LoopState::Running);
    let mut wrong: Vec<String> = down
        .map(|status| {
            let how = status.last_failure.as_deref().unwrap_or("it has ended");
            format!("{} does not run since {} ({how})", status.name, status.since)
        })
        .collect();
    for status in loops {
        let failing = status.failing.iter().map(|failing| {
            let session = sessions.iter().find(|session| failing.item.ends_with(session.id.as_str()));
            let named = session.map(|session| format!("session {}: ", session.name)).unwrap_or_default();
            let (item, failures) = (&failing.item, failing.failures);
            format!(
                "{named}the work of {} on {item} panicked {failures} times and is tried again",
                status.name
            )
        });
        wrong.extend(failing);
    }
    let message = format!("{}; `conveyorctl daemon logs` says where", wrong.join("; "));
    DoctorCheck {
        ok: wrong.is_empty(),
        value: Some(value),
        message: (!wrong.is_empty()).then_some(message),
        ..DoctorCheck::default()
    }
}
