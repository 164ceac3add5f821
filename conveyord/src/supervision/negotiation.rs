//! Advice on how to settle the acceptance criteria of a task. It is shown and writes nothing.

use crate::words::shell_word;
use conveyor_proto::types::supervision::{CriteriaNegotiation, CriteriaSummary};

/// The text that asks a worker for criteria when none are settled.
const PROMPT: &str = "Name 2-4 acceptance criteria for the slice of work that you are on now. Say for each whether it \
    is a must-have of this task or can be a follow-up, and how it will be verified.";

/// Advises on the criteria of a task.
#[must_use]
pub fn advise(task_name: &str, summary: CriteriaSummary) -> CriteriaNegotiation {
    let active = summary.proposed + summary.accepted + summary.satisfied;
    let reason = match (summary.total(), active) {
        (0, _) => "no_criteria",
        (_, 0) => "no_current_task_criteria",
        _ => {
            return CriteriaNegotiation {
                needed: false,
                reason: "active_criteria_present".to_owned(),
                prompt: None,
                suggested_actions: Vec::new(),
            };
        }
    };
    let task = shell_word(task_name);
    let add = |status: &str| {
        format!(
            "conveyorctl criteria {task} --add --criterion \"...\" --source worker_proposed --status {status}"
        )
    };
    CriteriaNegotiation {
        needed: true,
        reason: reason.to_owned(),
        prompt: Some(PROMPT.to_owned()),
        suggested_actions: vec![
            "Ask the worker which criteria are must-haves of this task and which are follow-ups.".to_owned(),
            add("accepted"),
            add("proposed"),
            add("deferred"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(summary: CriteriaSummary, needed: bool, reason: &str) {
        let advice = advise("it's", summary);
        assert_eq!((advice.needed, advice.reason.as_str()), (needed, reason));
        assert_eq!(
            (advice.prompt.is_some(), advice.suggested_actions.len()),
            (needed, if needed { 4 } else { 0 })
        );
        if needed {
            let action = "conveyorctl criteria 'it'\\''s' --add --criterion \"...\" --source worker_proposed --status accepted";
            assert_eq!(advice.suggested_actions[1], action);
        }
    }

    #[test]
    fn advice_is_given_while_nothing_is_settled() {
        let none = CriteriaSummary::default();
        check(none, true, "no_criteria");
        check(CriteriaSummary { deferred: 1, rejected: 2, ..none }, true, "no_current_task_criteria");
        check(CriteriaSummary { proposed: 1, ..none }, false, "active_criteria_present");
        check(CriteriaSummary { accepted: 1, rejected: 1, ..none }, false, "active_criteria_present");
        check(CriteriaSummary { satisfied: 1, ..none }, false, "active_criteria_present");
    }
}
