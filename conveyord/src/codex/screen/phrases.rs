//! Two classifiers of a pane's text: what a starting Codex shows, and what a busy pane may be waiting for.
//!
//! They judge by phrases alone, because the contract of their commands says so. So a transcript that quotes a
//! phrase misleads them. [`crate::codex::screen`] judges a live pane by its layout and title.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far the start of a Codex has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartupState {
    /// Codex asks whether the folder is trusted.
    NeedsTrust,
    /// The composer takes input.
    Ready,
    /// A turn runs.
    Working,
    /// The text reports a failure.
    Error,
    /// None of the others.
    Starting,
}

impl StartupState {
    /// The name in JSON and in rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NeedsTrust => "needs_trust",
            Self::Ready => "ready",
            Self::Working => "working",
            Self::Error => "error",
            Self::Starting => "starting",
        }
    }
}

/// What a busy pane seems to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BusyWaitPattern {
    /// MCP servers are starting.
    McpStartup,
    /// The question whether to switch the model near a rate limit.
    RateLimitPrompt,
    /// A menu or question that Enter answers.
    EnterToConfirm,
    /// The question whether the folder is trusted.
    TrustPrompt,
    /// A question about a plan.
    PlanPrompt,
    /// The question whether to approve something.
    ApprovalPrompt,
    /// Work that can be interrupted has run for long without a change of the state.
    LongRunningInterruptible,
}

impl BusyWaitPattern {
    /// The name in JSON and in rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::McpStartup => "mcp_startup",
            Self::RateLimitPrompt => "rate_limit_prompt",
            Self::EnterToConfirm => "enter_to_confirm",
            Self::TrustPrompt => "trust_prompt",
            Self::PlanPrompt => "plan_prompt",
            Self::ApprovalPrompt => "approval_prompt",
            Self::LongRunningInterruptible => "long_running_interruptible",
        }
    }
}

/// What a supervisor should do about a [`BusyWaitPattern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecommendedAction {
    /// Look, then interrupt if it hangs.
    InspectOrInterrupt,
    /// Look, then confirm or dismiss.
    InspectOrConfirm,
    /// Look, then accept the folder if it is the right one.
    InspectOrAcceptTrust,
    /// Look, then approve or refuse.
    InspectOrApprove,
}

impl RecommendedAction {
    /// The name in JSON and in rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InspectOrInterrupt => "inspect_or_interrupt",
            Self::InspectOrConfirm => "inspect_or_confirm",
            Self::InspectOrAcceptTrust => "inspect_or_accept_trust",
            Self::InspectOrApprove => "inspect_or_approve",
        }
    }
}

/// A pattern that was found, with the reason and the advice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BusyWait {
    pub pattern: BusyWaitPattern,
    /// The reason, for people.
    pub reason: String,
    /// What a supervisor should do.
    pub recommended_action: RecommendedAction,
}

/// What the busy-wait classifier knows besides the text: how old the state of the session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// Seconds since the state last changed, if that is known.
    pub age: Option<i64>,
    /// A younger state, in seconds, reports no pattern.
    pub threshold: i64,
    /// How many records arrived recently. Many of them show that the session is at work.
    pub recent_events: u64,
}

/// The part of the text that is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    /// The whole text, including the scrollback.
    WholeText,
    /// Only this many of the last rows that are not blank. Prompts that were answered have scrolled out of
    /// them.
    LastRows(usize),
}

/// The last rows of a pane, which hold every prompt of a live session.
pub const LAST_SCREEN: Region = Region::LastRows(24);

/// A session with at least so many recent records counts as at work.
const ACTIVE_EVENTS: u64 = 10;

/// How many rows at the end of the text are searched for the words of an approval.
const APPROVAL_ROWS: usize = 12;

/// What a starting Codex shows, and the reason for this verdict.
pub fn startup(text: &str) -> (StartupState, &'static str) {
    let lower = text.to_lowercase();
    let has = |needle: &str| lower.contains(needle);
    if has("do you trust the contents of this directory") || has("trust this folder?") {
        (StartupState::NeedsTrust, "Codex asks whether this folder is trusted")
    } else if has("openai codex") && text.contains('›') {
        (StartupState::Ready, "the composer of Codex is on the screen")
    } else if has("working") && has("esc to interrupt") {
        (StartupState::Working, "Codex works on a turn that can be interrupted")
    } else if has("error") || has("failed") {
        (StartupState::Error, "the output speaks of an error or a failure")
    } else if text.trim().is_empty() {
        (StartupState::Starting, "the output is empty")
    } else {
        (StartupState::Starting, "the output shows no known state yet")
    }
}

/// What a busy pane seems to wait for, if anything. A known age below the threshold suppresses every pattern.
pub fn busy_wait(text: &str, freshness: Freshness, region: Region) -> Option<BusyWait> {
    let Freshness { age, threshold, recent_events } = freshness;
    if age.is_some_and(|age| age < threshold) {
        return None;
    }
    let lower = match region {
        Region::WholeText => text.to_lowercase(),
        Region::LastRows(count) => last_rows(text, count).join("\n").to_lowercase(),
    };
    let pattern = prompt(&lower).or_else(|| {
        let stale = age.is_some() && recent_events < ACTIVE_EVENTS;
        (stale && lower.contains("esc to interrupt")).then_some(BusyWaitPattern::LongRunningInterruptible)
    })?;
    Some(BusyWait {
        pattern,
        reason: pattern.reason().to_owned(),
        recommended_action: pattern.recommended_action(),
    })
}

impl BusyWaitPattern {
    fn reason(self) -> &'static str {
        match self {
            Self::McpStartup => "the pane is waiting for MCP servers to start",
            Self::RateLimitPrompt => "the pane shows the rate-limit prompt to switch the model",
            Self::EnterToConfirm => "the pane waits for Enter to confirm a choice",
            Self::TrustPrompt => "the pane waits for the workspace to be trusted",
            Self::PlanPrompt => "the pane shows a question about a plan",
            Self::ApprovalPrompt => "the pane seems to ask for approval",
            Self::LongRunningInterruptible => {
                "an operation that can be interrupted is running while the status is stale"
            }
        }
    }

    fn recommended_action(self) -> RecommendedAction {
        match self {
            Self::McpStartup | Self::RateLimitPrompt | Self::LongRunningInterruptible => {
                RecommendedAction::InspectOrInterrupt
            }
            Self::EnterToConfirm | Self::PlanPrompt => RecommendedAction::InspectOrConfirm,
            Self::TrustPrompt => RecommendedAction::InspectOrAcceptTrust,
            Self::ApprovalPrompt => RecommendedAction::InspectOrApprove,
        }
    }
}

/// The approval questions of Codex 0.169. Their key hint is an older phrase with another meaning, so they are
/// searched first.
const APPROVAL_QUESTIONS: [&str; 3] = [
    "would you like to run the following command?",
    "would you like to make the following edits?",
    "would you like to grant these permissions?",
];

/// Key hints of Codex 0.169, for menus that have no pattern of their own.
const TODAYS_CONFIRM_HINTS: [&str; 4] =
    ["enter confirm · esc", "enter continue · esc", "enter select · esc", "enter to submit answer"];

/// The first pattern, in the order of the contract, whose phrase is in the text (in lower case).
///
/// Several menus of Codex 0.169 have the old hint `press enter to confirm`, so the phrases that name one menu
/// come before it. General phrases come last.
fn prompt(lower: &str) -> Option<BusyWaitPattern> {
    let has = |needle: &str| lower.contains(needle);
    let has_any = |needles: &[&str]| needles.iter().any(|needle| has(needle));
    let mcp_permission = || has("allow the ") && has("mcp server to run tool");
    Some(if has("starting mcp servers") {
        BusyWaitPattern::McpStartup
    } else if has("approaching rate limits") {
        BusyWaitPattern::RateLimitPrompt
    } else if has_any(&APPROVAL_QUESTIONS) || mcp_permission() {
        BusyWaitPattern::ApprovalPrompt
    } else if has("implement this plan?") {
        BusyWaitPattern::PlanPrompt
    } else if has("press enter to confirm") {
        BusyWaitPattern::EnterToConfirm
    } else if has("do you trust the contents of this directory") || has("trust this folder?") {
        BusyWaitPattern::TrustPrompt
    } else if has("create a plan?") {
        BusyWaitPattern::PlanPrompt
    } else if asks_for_approval(lower) {
        BusyWaitPattern::ApprovalPrompt
    } else if has_any(&TODAYS_CONFIRM_HINTS) {
        BusyWaitPattern::EnterToConfirm
    } else {
        return None;
    })
}

/// Whether the last rows speak of approval, and of granting or refusing it.
fn asks_for_approval(lower: &str) -> bool {
    // The output of our own commands in the pane may contain the name of the pattern.
    const OURS: [&str; 3] = ["approval_prompt", "inspect_or_approve", "notable_pane_pattern"];
    let rows: Vec<&str> = last_rows(lower, APPROVAL_ROWS)
        .into_iter()
        .filter(|row| !OURS.iter().any(|ours| row.contains(ours)))
        .collect();
    let rows = rows.join("\n");
    let mut words =
        rows.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).peekable();
    let (mut approval, mut decision) = (false, false);
    while let Some(word) = words.next() {
        let next = words.peek().copied();
        approval |= matches!(word, "approval" | "approve");
        decision |= matches!(word, "allow" | "deny" | "permission")
            || matches!(
                (word, next),
                ("requires" | "needs", Some("approval")) | ("approve", Some("command"))
            );
    }
    approval && decision
}

/// The last `count` rows that are not blank, trimmed and in their order.
fn last_rows(text: &str, count: usize) -> Vec<&str> {
    let mut rows: Vec<&str> =
        text.lines().rev().map(str::trim).filter(|row| !row.is_empty()).take(count).collect();
    rows.reverse();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_startup(text: &str, expect: StartupState) {
        assert_eq!(startup(text).0, expect, "{text:?}");
    }

    #[test]
    fn startup_states_are_found_in_order() {
        check_startup(
            "x\nDO YOU TRUST THE CONTENTS OF THIS DIRECTORY?\nOpenAI Codex ›",
            StartupState::NeedsTrust,
        );
        check_startup("OpenAI Codex\n  Trust this folder? It ...\n› 1. Trust", StartupState::NeedsTrust);
        check_startup(">_ openai codex (v1)\n› ask, error, working, esc to interrupt", StartupState::Ready);
        check_startup("OpenAI Codex", StartupState::Starting);
        check_startup("Working (1s, Esc to interrupt) error", StartupState::Working);
        check_startup("working", StartupState::Starting);
        check_startup("it FAILED", StartupState::Error);
        check_startup("an Error", StartupState::Error);
        check_startup(" \n\t", StartupState::Starting);
        assert_ne!(startup("").1, startup("hello").1);
    }

    #[track_caller]
    fn check(text: &str, expect: Option<BusyWaitPattern>) {
        let freshness = Freshness { age: Some(90), threshold: 90, recent_events: 0 };
        let found = busy_wait(text, freshness, Region::WholeText);
        assert_eq!(found.map(|found| found.pattern), expect, "{text:?}");
    }

    #[test]
    fn old_phrases_give_what_they_always_gave() {
        use BusyWaitPattern::*;
        check("starting mcp servers, approaching rate limits", Some(McpStartup));
        check("APPROACHING RATE LIMITS. press enter to confirm", Some(RateLimitPrompt));
        check("Do you trust the contents of this directory? Press enter to confirm", Some(EnterToConfirm));
        check("Do you trust the contents of this directory? Create a plan?", Some(TrustPrompt));
        check("Create a plan?", Some(PlanPrompt));
        check("This requires approval", Some(ApprovalPrompt));
        check("Approve command x?", Some(ApprovalPrompt));
        check("approval: allow or deny", Some(ApprovalPrompt));
        check("esc to interrupt", Some(LongRunningInterruptible));
        check("Press enter to continue", None);
        check("nothing of note", None);
        check("", None);
    }

    #[test]
    fn approval_is_a_matter_of_whole_words_in_the_last_rows() {
        check("preapproval, permission", None);
        check("approval is disallowed", None);
        check("allow", None);
        check("approval", None);
        check("approve: Permission?", Some(BusyWaitPattern::ApprovalPrompt));
        check("\"pattern\": \"approval_prompt\" allow approval", None);
        check(&format!("approval: allow\n{}", "row\n\n".repeat(12)), None);
        check(&format!("approval: allow\n{}", "row\n\n".repeat(11)), Some(BusyWaitPattern::ApprovalPrompt));
    }

    #[test]
    fn todays_phrases_map_to_the_same_patterns() {
        use BusyWaitPattern::*;
        let hint = "Press enter to confirm or esc to cancel";
        check(&format!("Would you like to run the following command?\n{hint}"), Some(ApprovalPrompt));
        check(&format!("Would you like to make the following edits?\n{hint}"), Some(ApprovalPrompt));
        check(
            "Allow the box MCP server to run tool \"go\"?\nenter to submit | esc to cancel",
            Some(ApprovalPrompt),
        );
        check("Implement this plan?\nPress enter to confirm or esc to go back", Some(PlanPrompt));
        check("Implement this plan?\nenter select · esc back", Some(PlanPrompt));
        check("Trust this folder? It ...\nenter continue · esc back", Some(TrustPrompt));
        check("Hooks need review\nenter confirm · esc skip", Some(EnterToConfirm));
        check("Question 1/1\nenter to submit answer | esc to interrupt", Some(EnterToConfirm));
    }

    #[track_caller]
    fn check_freshness(text: &str, age: Option<i64>, threshold: i64, recent_events: u64, found: bool) {
        let freshness = Freshness { age, threshold, recent_events };
        assert_eq!(busy_wait(text, freshness, Region::WholeText).is_some(), found, "{text:?} {freshness:?}");
    }

    #[test]
    fn a_fresh_state_suppresses_every_pattern() {
        check_freshness("press enter to confirm", Some(89), 90, 0, false);
        check_freshness("press enter to confirm", Some(90), 90, 50, true);
        check_freshness("press enter to confirm", None, 90, 0, true);
        check_freshness("esc to interrupt", Some(90), 90, 9, true);
        check_freshness("esc to interrupt", Some(90), 90, 10, false);
        check_freshness("esc to interrupt", None, 90, 0, false);
        check_freshness("esc to interrupt", Some(0), 0, 0, true);
        check_freshness("esc to interrupt", Some(5), -1, 0, true);
    }

    #[test]
    fn an_answered_prompt_above_the_last_screen_is_not_found() {
        let text = format!("Press enter to confirm\n{}", "row\n\n".repeat(24));
        let freshness = Freshness { age: None, threshold: 90, recent_events: 0 };
        assert!(busy_wait(&text, freshness, Region::WholeText).is_some());
        assert!(busy_wait(&text, freshness, LAST_SCREEN).is_none());
        assert!(busy_wait("Press enter to confirm", freshness, LAST_SCREEN).is_some());
    }

    #[test]
    fn values_are_the_contracts_words() {
        let found = busy_wait(
            "Create a plan?",
            Freshness { age: None, threshold: 0, recent_events: 0 },
            Region::WholeText,
        );
        let json = serde_json::to_value(found.unwrap()).unwrap();
        assert_eq!(json["pattern"], "plan_prompt");
        assert_eq!(json["recommended_action"], "inspect_or_confirm");
        assert_eq!(serde_json::to_value(StartupState::NeedsTrust).unwrap(), "needs_trust");
    }
}
