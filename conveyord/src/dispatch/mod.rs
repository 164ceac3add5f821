//! Dispatch, the mechanical router: claims, routing, delivery and inboxes.
//!
//! It never judges whether work is right and never chooses a next step. Every delivery ends in exactly one of
//! delivered, queued, uncertain or failed. A text that may have been sent is never sent again unless a person
//! says so.

pub mod actuate;
pub mod app_server;
pub mod commands;
pub mod completions;
pub mod courier;
pub mod deadlines;
pub mod dispatcher;
pub mod enqueue;
mod held;
pub mod inbox;
mod lease;
pub mod listing;
mod lost;
pub mod mend;
pub mod outcome;
pub mod pane;
pub mod pass;
pub mod receipts;
pub mod task;
pub mod telemetry;
pub mod transport;
mod unsent;

use conveyor_proto::types::dispatch::SignalType;
use std::time::Duration;

/// The types of commands that Dispatch executes. Commands of other types are executed by their own verbs.
pub const COMMAND_TYPES: [SignalType; 4] = [
    SignalType::NotifyManager,
    SignalType::NudgeWorker,
    SignalType::ContinueIteration,
    SignalType::SessionNudge,
];

/// First and longest pause before something that could not be sent is tried again.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));
/// First and longest pause between two looks at a pane that holds a text back. Only a look tells when the
/// menu or the draft is gone.
const HELD_BACK_OFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// The pause after so many tries: doubled with each, up to the longest.
fn back_off((first, longest): (Duration, Duration), tries: i64) -> Duration {
    let doublings = u32::try_from(tries.clamp(0, 20)).unwrap_or(20);
    first.saturating_mul(2_u32.saturating_pow(doublings)).min(longest)
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
