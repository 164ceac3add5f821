//! `wait`: wait until a session is idle, busy, done, blocked or gone, or has a message.

use crate::error::{CommandError, ErrorKind, ExitStatus};
use crate::helper::Helper;
use crate::page::{Page, duration, faint, spans, state, strong, word as shown};
use crate::ui::Ui;
use crate::values::{seconds, word};
use clap::Args;
use conveyor_client::{Loss, Patience};
use conveyor_proto::limits::MAX_WAIT_SECONDS;
use conveyor_proto::registry::StateWait;
use conveyor_proto::types::wait::{TurnPin, Until, WaitOutcome, WaitParams, WaitResult};
use serde::Deserialize as _;
use serde_json::Value;
use std::time::Instant;

/// Wait until a session is idle, busy, done, blocked or gone, or has a message
///
/// Of a task its worker is watched; for `message` the inbox of its manager. `idle`, `busy` and `done` are about one
/// turn: the one that runs now, or else the next one. After a nudge name the turn: its end may have come already.
/// Exit code 124 when the time ran out, 1 when it cannot come to be any more, 3 when conveyord was ended
/// meanwhile and not started again.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("whom").required(true))]
pub(crate) struct WaitArgs {
    /// A task, by name or id; a session, when no task is called so
    #[arg(value_name = "TASK|SESSION", group = "whom")]
    name: Option<String>,
    /// A task, by name or id
    #[arg(long, value_name = "TASK", group = "whom")]
    task: Option<String>,
    /// A session
    #[arg(long, value_name = "NAME", group = "whom")]
    session: Option<String>,
    /// What to wait for
    #[arg(
        long,
        value_name = "STATE",
        value_parser = word::<Until>(&["idle", "busy", "done", "blocked", "message", "gone"])
    )]
    until: Until,
    /// Longest wait; a day without it
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<f64>,
    /// This turn, by Codex's id (a nudge prints it as proof.turn_id); `last` is the newest, ended or not
    #[arg(long, value_name = "TURN", conflicts_with = "after")]
    turn: Option<String>,
    /// The first turn after this one
    #[arg(long, value_name = "TURN")]
    after: Option<String>,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &WaitArgs) -> Result<(), CommandError> {
    let params = WaitParams {
        name: args.name.clone(),
        task: args.task.clone(),
        session: args.session.clone(),
        until: args.until,
        timeout: args.timeout.unwrap_or(MAX_WAIT_SECONDS),
        turn: args.turn.clone(),
        after: args.after.clone(),
        pin: None,
    };
    let answer = wait(ui, helper, params).await?;
    ui.answer(&answer, |answer: &WaitResult, page| told(answer, page))?;
    match outcome(&answer)? {
        WaitOutcome::Reached => Ok(()),
        WaitOutcome::TimedOut => Err(CommandError::reported(ExitStatus::TimedOut)),
        WaitOutcome::Unreachable => Err(CommandError::reported(ExitStatus::Failed)),
        WaitOutcome::Draining => Err(CommandError::daemon_ended()),
    }
}

/// Waits, and goes on waiting for the same turn when the daemon ends meanwhile. A first look that does not wait fixes
/// the turn: after a crash of the daemon it could not be told any more.
async fn wait(ui: &mut Ui, helper: &Helper, mut params: WaitParams) -> Result<Value, CommandError> {
    let started = Instant::now();
    let whole = params.timeout;
    let mut patience = Patience::of_wait();
    loop {
        let first_look = params.pin.is_none() && whole > 0.0;
        if first_look {
            params.timeout = 0.0;
        }
        let answer = helper.call_waiting::<StateWait>(ui, &params, &mut patience).await;
        let left = (whole - started.elapsed().as_secs_f64()).max(0.0);
        let go_on = match &answer {
            Err(error) if error.kind == ErrorKind::ConnectionLost => {
                helper.interruptible(patience.outlasts(Loss::BeforeAnswer)).await?
            }
            Err(_) => false,
            Ok(answer) => match outcome(answer)? {
                WaitOutcome::TimedOut => first_look,
                WaitOutcome::Draining => {
                    helper.disconnect();
                    helper.daemon_returns().await?
                }
                WaitOutcome::Reached | WaitOutcome::Unreachable => false,
            },
        };
        // After a crash there is always one more look: the wait has not been told how it ended.
        if !go_on || left <= 0.0 && answer.is_ok() {
            return answer.map(|answer| in_all(answer, whole, started));
        }
        if let Ok(answer) = &answer {
            // The pin names the turn from here on, so `turn` and `after` must not be sent again.
            (params.pin, params.turn, params.after) = (Some(pin(answer)?), None, None);
        }
        params.timeout = left;
    }
}

fn told(answer: &WaitResult, page: &mut Page) {
    let task = answer.task.as_ref().map(|task| format!(" of task {}", task.name)).unwrap_or_default();
    let name = strong(&answer.session.name);
    let how = match answer.outcome {
        WaitOutcome::Reached => shown(&answer.until),
        WaitOutcome::Unreachable | WaitOutcome::TimedOut | WaitOutcome::Draining => shown(&answer.outcome),
    };
    let waited = faint(format!(", waited {}", duration(whole_seconds(answer.elapsed_seconds))));
    page.line(spans![answer.session.role.as_str(), " ", name, task, ": ", how, waited]);
    page.fact_if("why", answer.reason.as_deref());
    let since = answer.detail.worker_state_since.as_deref().map(|at| format!(" since {}", page.when(at)));
    page.fact("state", spans![shown(&answer.detail.worker_state), faint(since.unwrap_or_default())]);
    if let Some(question) = &answer.question {
        page.quote("asks", question, 6);
    }
    if let Some(turn) = &answer.turn {
        let outcome = turn.outcome.as_deref().unwrap_or("runs");
        page.fact("turn", spans![turn.turn_id.as_deref(), ", ", state(outcome)]);
        page.fact_if("error", turn.error.as_deref());
    }
    if let Some(message) = &answer.message {
        let since = page.when(&message.since);
        page.fact("message", format!("#{} {}, {since}", message.notification_id, message.signal_type));
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a wait has at most a day")]
fn whole_seconds(seconds: f64) -> i64 {
    seconds as i64
}

fn outcome(answer: &Value) -> Result<WaitOutcome, CommandError> {
    WaitOutcome::deserialize(&answer["outcome"]).map_err(|error| not_understood(&error))
}

fn pin(answer: &Value) -> Result<TurnPin, CommandError> {
    TurnPin::deserialize(&answer["pin"]).map_err(|error| not_understood(&error))
}

fn not_understood(error: &serde_json::Error) -> CommandError {
    CommandError::failed("protocol", format!("failed to understand the answer to a wait: {error}"))
}

/// Turns the answer to the last of several calls into the answer to the whole wait.
fn in_all(mut answer: Value, whole: f64, started: Instant) -> Value {
    answer["timeout_seconds"] = whole.into();
    answer["elapsed_seconds"] = started.elapsed().as_secs_f64().into();
    answer
}
