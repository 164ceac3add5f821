//! Waits for the first report of a new worker. The wait is woken by a change of the worker's files, by the
//! end of its process, or by time.

use super::{Subject, Workers, status::Said, watch::paths_of};
use crate::{
    error::Result,
    file_events::FileEvents,
    platform::{self, Pid},
    store::event_names::FileEvent,
};
use conveyor_proto::types::{common::Caller, create::Verification, worker::WorkState};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How often the status is read where the system reports no file events.
const LOOK_TICK: Duration = Duration::from_secs(1);
/// Rows of scrollback in the capture that ends the check.
const LINES: u32 = 80;

impl Workers {
    /// Waits until the worker reports a status other than the one with which it was created.
    pub(super) async fn verify(
        &self,
        subject: &Subject,
        pane_pid: i32,
        seconds: u64,
        caller: &Caller,
    ) -> Result<Verification> {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let mut events = FileEvents::new("the report of a new worker");
        let folder = subject.folder.path();
        let folder = folder.canonicalize_utf8().unwrap_or_else(|_| folder.to_owned());
        events.set(&paths_of(&folder).into_iter().collect());
        let process =
            Pid::try_from(i64::from(pane_pid)).ok().map(|pid| (pid, platform::process_start_time(pid)));
        let first = self.said(&subject.name, &subject.folder).await?;
        let (ok, reason, said) = loop {
            let said = self.said(&subject.name, &subject.folder).await?;
            let alive = process.is_some_and(|(pid, start)| platform::is_alive(pid, start));
            if has_reported(&first, &said) {
                break (true, "the worker has reported", said);
            }
            if !alive {
                break (false, "Codex has ended before the worker reported", said);
            }
            if Instant::now() >= deadline {
                break (false, "the worker has not reported in time", said);
            }
            let ended = async {
                match process {
                    Some((pid, start)) => platform::ended(pid, start).await,
                    None => std::future::pending().await,
                }
            };
            let woken = async {
                tokio::select! {
                    _ = events.next() => {}
                    () = ended => {}
                }
            };
            // Whether an event or the tick ended the wait, the status is read once more.
            let _ = timeout_at(deadline.min(Instant::now() + LOOK_TICK), woken).await;
        };
        if let Err(error) = self.capture_of(subject, LINES, caller).await {
            self.note(
                subject,
                FileEvent::CaptureFailed,
                json!({ "error": error.to_string(), "phase": "verify" }),
            )
            .await;
        }
        let state = said.status.state;
        let facts = match ok {
            true => json!({ "ok": true, "reason": reason, "state": state }),
            false => json!({ "ok": false, "reason": reason, "timeout_seconds": seconds }),
        };
        self.note(subject, FileEvent::Verify, facts).await;
        Ok(Verification { ok, reason: reason.to_owned(), state, current_task: said.status.current_task })
    }
}

/// Whether the worker's status has changed, or is one that only a worker at work reports.
fn has_reported(first: &Said, now: &Said) -> bool {
    use WorkState::{Blocked, Done, Editing, Planning, RunningTests};
    now.at != first.at
        || now.status != first.status
        || matches!(now.status.state, Planning | Editing | RunningTests | Blocked | Done)
}
