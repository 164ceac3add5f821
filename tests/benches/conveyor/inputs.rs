//! Rollouts of a given size and mix. The kinds of records, their order and their sizes are those of recorded
//! sessions of Codex 0.169; the texts are made up.

use std::fs;
use std::io;

use camino::Utf8Path;
use conveyor_tests::rollout::{Format, Rollout, Thread};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

/// Size of the rollout that ingest is measured with, in bytes.
pub(crate) const MIXED_BYTES: u64 = 100_000_000;
/// Completions that are routed, and the workers that they are of.
pub(crate) const COMPLETIONS: usize = 10_000;
/// Workers of those completions.
pub(crate) const COMPLETING_WORKERS: usize = 10;
/// Numbers of stored events that a cycle is measured above.
pub(crate) const HISTORIES: [usize; 3] = [10_000, 100_000, 1_000_000];

/// Sizes of the outputs of a turn's commands, in KiB.
const OUTPUTS: [usize; 12] = [1, 2, 1, 4, 8, 2, 1, 16, 3, 30, 2, 6];
/// Each this many turns the answer is a huge one; Codex stores it three times.
const HUGE_ANSWER_EACH: usize = 40;
const HUGE_ANSWER: usize = 200 * 1024;
/// From the beginning of a turn to that of the next. A turn that follows at once says that the one before was
/// not the end of the work.
const BETWEEN_TURNS: SignedDuration = SignedDuration::from_mins(1);
/// Commands of a turn of a long history.
const COMMANDS_PER_TURN: usize = 45;

/// A new thread's rollout below this folder, with its first record.
pub(crate) fn rollout(home: &Utf8Path) -> Rollout {
    let thread = Thread::new(home, Utf8Path::new("/tmp"), Format::New).expect("the folder is writable");
    thread.open_rollout().expect("the folder is writable")
}

/// A rollout of this size, as a worker leaves it after some hundred turns of work.
pub(crate) fn mixed(home: &Utf8Path, bytes: u64) -> Rollout {
    let text = Text::new();
    let mut rollout = rollout(home);
    let mut times = times();
    let mut turn = 0;
    while size(&rollout) < bytes {
        turn += 1;
        rollout.set_time(times());
        mixed_turn(&mut rollout, &text, turn).expect("the file is writable");
    }
    rollout
}

/// Rollouts of so many workers with so many completed turns in all.
pub(crate) fn completions(home: &Utf8Path, workers: usize, completions: usize) -> Vec<Rollout> {
    let one = || {
        let mut rollout = rollout(home);
        let mut times = times();
        for _ in 0..completions / workers {
            rollout.set_time(times());
            let turn = begin(&mut rollout);
            end(&mut rollout, &turn);
        }
        rollout
    };
    (0..workers).map(|_| one()).collect()
}

/// A rollout with at least so many records, few of them completions: turns of many commands with short outputs.
pub(crate) fn history(home: &Utf8Path, records: usize) -> Rollout {
    let mut rollout = rollout(home);
    let mut times = times();
    let mut written = 0;
    while written < records {
        rollout.set_time(times());
        written += long_turn(&mut rollout).expect("the file is writable");
    }
    rollout
}

/// When the turns of a rollout begin, one after the other: from some days ago on, which holds them all.
fn times() -> impl FnMut() -> Timestamp {
    let mut time = Timestamp::now() - SignedDuration::from_hours(7 * 24);
    move || {
        time += BETWEEN_TURNS;
        time
    }
}

/// Writes all of a turn but its last record, and gives the turn's id.
pub(crate) fn begin(rollout: &mut Rollout) -> String {
    let turn = rollout.task_started().expect("the file is writable");
    rollout.user_message(&turn, "Please go on with the next step.").expect("the file is writable");
    rollout.agent_message(&turn, "The next step is done.").expect("the file is writable");
    turn
}

/// Writes the last record of a turn, in one write.
pub(crate) fn end(rollout: &mut Rollout, turn: &str) {
    let end = json!({
        "type": "task_complete", "turn_id": turn, "root_turn_id": turn, "started_at": 1_795_215_463,
        "completed_at": 1_795_215_463, "last_agent_message": "The next step is done.", "duration_ms": 385,
        "time_to_first_token_ms": 78,
    });
    rollout.record("event_msg", end).expect("the file is writable");
}

fn size(rollout: &Rollout) -> u64 {
    fs::metadata(rollout.path()).expect("the rollout is there").len()
}

fn mixed_turn(rollout: &mut Rollout, text: &Text, number: usize) -> io::Result<()> {
    let turn = rollout.task_started()?;
    let settings = json!({
        "type": "thread_settings_applied", "thread_id": rollout.thread_id(),
        "thread_settings": {"model": "stand-in", "approval_policy": "on-request",
            "collaboration_mode": {"mode": "default", "developer_instructions": text.of(number, 2400)}},
    });
    rollout.record("event_msg", settings)?;
    rollout.user_message(&turn, text.of(number * 3, 600))?;
    for (step, kibibytes) in OUTPUTS.into_iter().enumerate() {
        let at = number * OUTPUTS.len() + step;
        let call = format!("call_{at}");
        reasoning(rollout, &turn, text.of(at, 200))?;
        rollout.function_call(&call, text.of(at * 5, 120))?;
        let output = text.of(at * 7, kibibytes * 1024);
        let thread = rollout.thread_id().to_owned();
        let item = json!({
            "type": "CommandExecution", "id": call, "command": ["/bin/bash", "-lc", text.of(at * 5, 120)],
            "status": "completed", "aggregated_output": output, "exit_code": 0,
            "duration": {"secs": 0, "nanos": 30_556_000},
        });
        rollout.record(
            "event_msg",
            json!({"type": "item_completed", "thread_id": thread, "turn_id": turn, "item": item,
                   "started_at_ms": 1_795_215_463_289_u64, "completed_at_ms": 1_795_215_463_289_u64}),
        )?;
        rollout.record(
            "response_item",
            json!({"type": "function_call_output", "call_id": call, "output": output}),
        )?;
        tokens(rollout, &turn)?;
    }
    let answer =
        text.of(number * 11, if number.is_multiple_of(HUGE_ANSWER_EACH) { HUGE_ANSWER } else { 1500 });
    rollout.agent_message(&turn, answer)?;
    rollout.task_complete(&turn, Some(answer), None)
}

fn reasoning(rollout: &mut Rollout, turn: &str, text: &str) -> io::Result<()> {
    let item = json!({"type": "Reasoning", "id": "rs_1", "summary_text": [text], "raw_content": []});
    let thread = rollout.thread_id().to_owned();
    rollout.record(
        "event_msg",
        json!({"type": "item_completed", "thread_id": thread, "turn_id": turn, "item": item,
               "started_at_ms": 1_795_215_463_313_u64, "completed_at_ms": 1_795_215_463_314_u64}),
    )?;
    let summary = json!([{"type": "summary_text", "text": text}]);
    rollout.record(
        "response_item",
        json!({"type": "reasoning", "id": "rs_1", "summary": summary, "content": null, "encrypted_content": null}),
    )
}

/// What Codex counts after each answer of its model, in two records.
fn tokens(rollout: &mut Rollout, turn: &str) -> io::Result<()> {
    let usage = json!({
        "input_tokens": 28_044, "cached_input_tokens": 26_112, "cache_write_input_tokens": 0,
        "output_tokens": 251, "reasoning_output_tokens": 64, "total_tokens": 28_295,
    });
    let thread = rollout.thread_id().to_owned();
    rollout.record(
        "token_usage_record",
        json!({"thread_id": thread, "turn_id": turn, "session_id": thread, "root_turn_id": turn,
               "response_id": "resp_000004", "usage": usage, "turn_token_usage": usage,
               "thread_token_usage": usage}),
    )?;
    rollout.record(
        "event_msg",
        json!({"type": "token_count",
               "info": {"total_token_usage": usage, "last_token_usage": usage,
                        "last_usage_includes_reasoning": false, "model_context_window": 258_400},
               "rate_limits": {"limit_id": "codex", "limit_name": null, "primary": null, "secondary": null,
                               "credits": null, "plan_type": null, "rate_limit_reached_type": null}}),
    )
}

/// Writes a turn of short records and gives their number.
fn long_turn(rollout: &mut Rollout) -> io::Result<usize> {
    let turn = begin(rollout);
    for number in 0..COMMANDS_PER_TURN {
        let call = format!("call_{number}");
        rollout.function_call(&call, "cargo check")?;
        rollout.function_output(&turn, &call, "cargo check", 0)?;
        rollout.record("event_msg", json!({"type": "token_count", "info": null, "rate_limits": null}))?;
    }
    end(rollout, &turn);
    // `begin` writes two records for the start and two for each message.
    Ok(6 + 4 * COMMANDS_PER_TURN + 1)
}

/// Text as commands print it: lines of words, with what JSON must escape and what is not ASCII.
struct Text(String);

impl Text {
    const WORDS: [&str; 16] = [
        "compiling",
        "src/lib.rs",
        "warning:",
        "\"quoted\"",
        "fn main() {",
        "let value = 42;",
        "->",
        "ok",
        "0.03s",
        "C:\\path",
        "\tindented",
        "passed",
        "größer",
        "✓",
        "https://example.org/a?b=c",
        "test result:",
    ];

    fn new() -> Self {
        let mut text = String::new();
        // A linear congruential generator: the same text each time.
        let mut state: u32 = 1;
        while text.len() < HUGE_ANSWER * 2 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let word = usize::try_from(state >> 28).unwrap_or_default();
            text.push_str(Self::WORDS[word]);
            text.push(if (state >> 16).is_multiple_of(8) { '\n' } else { ' ' });
        }
        Self(text)
    }

    /// A piece of about this many bytes; which one depends on `number`.
    fn of(&self, number: usize, bytes: usize) -> &str {
        let start = self.0.floor_char_boundary(number.wrapping_mul(4099) % HUGE_ANSWER);
        let end = self.0.floor_char_boundary(start + bytes);
        &self.0[start..end]
    }
}
