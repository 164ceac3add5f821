//! The health of a worker, judged by what it reported and by what its pane shows.

use super::{Workers, blocking};
use crate::{
    clock,
    codex::screen::phrases::{self, BusyWait, Freshness, LAST_SCREEN},
    error::Result,
};
use conveyor_proto::types::worker::{Health, IdleCheck, IdleCheckParams, WorkState};

impl Workers {
    /// Answers `worker.idle_check`. An error of tmux does not fail the call; it stands in `capture_error`.
    ///
    /// # Errors
    /// `unknown_worker`, `invalid_name`, `worker_folder_invalid`.
    pub async fn idle_check(&self, params: IdleCheckParams) -> Result<IdleCheck> {
        let subject = self.find(&params.name, &params.caller).await?;
        let seen = self.look(&subject, params.refresh.then_some(params.lines), &params.caller).await?;
        let said = self.said(&subject.name, &subject.folder).await?;
        let text = match seen.captured {
            Some(captured) => captured.text,
            None if seen.running => {
                let folder = subject.folder.clone();
                blocking(move || folder.last_text()).await?.unwrap_or_default()
            }
            None => String::new(),
        };
        let capture_error = seen.error.map(|error| error.to_string());
        let facts = Facts {
            running: seen.running,
            state: said.status.state,
            capture_error: capture_error.as_deref(),
            status_age: said.at.as_deref().and_then(age),
            terminal_age: seen.meta.changed_at.as_deref().and_then(age),
        };
        let busy_wait = facts.busy_wait(&text, params.busy_wait_seconds);
        let Judgement { health, action, reason } = facts.judge(busy_wait.as_ref(), &params);
        Ok(IdleCheck {
            health,
            recommended_action: action,
            reason,
            state: facts.state,
            running: facts.running,
            terminal_fresh: capture_error.is_none(),
            status_age_seconds: facts.status_age,
            terminal_age_seconds: facts.terminal_age,
            blocker: said.status.blocker,
            current_task: said.status.current_task,
            next_action: said.status.next_action,
            status_last_update: said.at,
            terminal_changed_at: seen.meta.changed_at,
            tmux_session: subject.session.tmux_session,
            capture_error,
            busy_wait_pattern: busy_wait.map(|found| found.pattern.name().to_owned()),
            busy_wait_seconds: params.busy_wait_seconds,
            status_stale_seconds: params.status_stale_seconds,
            terminal_stale_seconds: params.terminal_stale_seconds,
            name: subject.name,
        })
    }
}

/// Whole seconds since a time.
fn age(time: &str) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "an age in seconds is far below 2^53")]
    clock::seconds_since(time).map(|seconds| seconds as i64)
}

#[derive(Debug, Clone, Copy)]
struct Facts<'a> {
    running: bool,
    state: WorkState,
    capture_error: Option<&'a str>,
    status_age: Option<i64>,
    terminal_age: Option<i64>,
}

struct Judgement {
    health: Health,
    action: String,
    reason: String,
}

impl Facts<'_> {
    fn busy_wait(&self, text: &str, threshold: i64) -> Option<BusyWait> {
        phrases::busy_wait(text, Freshness { age: self.status_age, threshold, recent_events: 0 }, LAST_SCREEN)
    }

    /// Takes the first rule that applies, in the order of the contract. If tmux could not be asked, the
    /// worker is not called stopped.
    fn judge(&self, busy_wait: Option<&BusyWait>, limits: &IdleCheckParams) -> Judgement {
        let stale = |age: Option<i64>, limit: i64| age.is_none_or(|age| age >= limit);
        let status_stale = stale(self.status_age, limits.status_stale_seconds);
        let terminal_stale = stale(self.terminal_age, limits.terminal_stale_seconds);
        let is = |health, action: &str, reason: &str| Judgement {
            health,
            action: action.to_owned(),
            reason: reason.to_owned(),
        };
        match (self.capture_error, busy_wait) {
            (None, _) if !self.running => is(Health::Stopped, "none", "its tmux session does not run"),
            _ if self.state == WorkState::Blocked => {
                is(Health::Blocked, "read_blocker", "the worker says that it is blocked")
            }
            _ if self.state == WorkState::Done => {
                is(Health::Done, "review_result", "the worker says that it has finished")
            }
            (Some(error), _) => is(Health::Unknown, "inspect_terminal", error),
            (None, Some(found)) => is(Health::BusyWait, found.recommended_action.name(), &found.reason),
            (None, None) => match (terminal_stale, status_stale) {
                (true, true) => {
                    is(Health::Stale, "ask_for_status", "neither the pane nor the status has changed of late")
                }
                (true, false) => {
                    is(Health::Quiet, "wait", "the pane has not changed of late, the status has")
                }
                (false, true) => {
                    is(Health::StatusStale, "wait", "the pane has changed of late, the status has not")
                }
                (false, false) => is(Health::Active, "none", "pane and status have changed of late"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const FRESH: Facts<'_> = Facts {
        running: true,
        state: WorkState::Editing,
        capture_error: None,
        status_age: Some(1),
        terminal_age: Some(1),
    };

    #[track_caller]
    fn check(facts: Facts<'_>, text: &str, health: Health, action: &str) {
        let limits: IdleCheckParams = serde_json::from_value(json!({ "name": "w" })).unwrap();
        let busy_wait = facts.busy_wait(text, limits.busy_wait_seconds);
        let judged = facts.judge(busy_wait.as_ref(), &limits);
        assert_eq!((judged.health, judged.action.as_str()), (health, action), "{facts:?}");
    }

    #[test]
    fn the_first_rule_that_applies_decides() {
        use Health::{Active, Blocked, BusyWait, Done, Quiet, Stale, StatusStale, Stopped, Unknown};
        let old = Some(120);
        check(FRESH, "", Active, "none");
        check(Facts { running: false, state: WorkState::Done, ..FRESH }, "", Stopped, "none");
        check(
            Facts { state: WorkState::Blocked, capture_error: Some("x"), ..FRESH },
            "",
            Blocked,
            "read_blocker",
        );
        check(Facts { state: WorkState::Done, ..FRESH }, "", Done, "review_result");
        check(Facts { capture_error: Some("x"), ..FRESH }, "", Unknown, "inspect_terminal");
        check(Facts { status_age: old, ..FRESH }, "esc to interrupt", BusyWait, "inspect_or_interrupt");
        check(FRESH, "esc to interrupt", Active, "none");
        check(Facts { status_age: None, terminal_age: None, ..FRESH }, "", Stale, "ask_for_status");
        check(Facts { terminal_age: old, ..FRESH }, "", Quiet, "wait");
        check(Facts { status_age: old, ..FRESH }, "", StatusStale, "wait");
    }

    #[test]
    fn a_worker_whose_tmux_could_not_be_asked_is_not_called_stopped() {
        check(
            Facts { running: false, capture_error: Some("denied"), ..FRESH },
            "",
            Health::Unknown,
            "inspect_terminal",
        );
    }
}
