//! `watch`: follow committed changes as they happen.

mod people;

use crate::error::{CommandError, ErrorKind};
use crate::helper::Helper;
use crate::screen::Form;
use crate::ui::Ui;
use crate::values::word;
use crate::verbs::overview;
use clap::Args;
use conveyor_proto::client::{ClientError, Subscription};
use conveyor_proto::registry::EventsSubscribe;
use conveyor_proto::text::printable;
use conveyor_proto::types::events::{Change, ChangeKind, SubscribeParams};
use serde::Deserialize as _;
use serde_json::Value;
use serde_json::value::RawValue;
use std::time::Duration;

/// Pause before the first look whether a new daemon runs.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// Longest pause between two such looks, when no daemon has come for long.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The kinds of changes, as they cross the socket.
const KINDS: [&str; 14] = [
    "session",
    "task",
    "binding",
    "ingested",
    "turn_started",
    "turn_ended",
    "command_queued",
    "command",
    "notification_delivered",
    "notification_consumed",
    "notification",
    "cycle",
    "session_status",
    "approval",
];

/// Follow changes as they happen, a line each
///
/// For programs a line has the time, the kind, the task, the session and what changed, separated by tabs. Of a task also
/// the changes of its two sessions are shown. Ends with Ctrl-C. Goes on when the daemon was restarted; what happened in
/// between is not shown.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Only this task, by name or id
    #[arg(value_name = "TASK")]
    task: Option<String>,
    /// Only this session
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// Only these kinds, separated by commas
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = word::<ChangeKind>(&KINDS))]
    kinds: Vec<ChangeKind>,
}

type Changes = Subscription<Box<RawValue>>;

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &WatchArgs) -> Result<(), CommandError> {
    let params =
        SubscribeParams { task: args.task.clone(), session: args.session.clone(), kinds: args.kinds.clone() };
    let mut changes = helper.subscribe_json::<EventsSubscribe>(ui, &params).await?;
    if ui.form() == Form::People {
        overview::first(ui, helper, args.task.as_deref()).await?;
    }
    let mut printer = Printer::new(ui);
    loop {
        follow(ui, helper, &mut printer, &mut changes).await?;
        printer.break_off(ui)?;
        ui.note("conveyord has ended; the watch goes on when it is back");
        changes = helper.interruptible(resume(ui, helper, &params)).await??;
        ui.note("conveyord is back; what happened in between is not shown");
    }
}

/// Shows changes until the daemon ends.
async fn follow(
    ui: &mut Ui,
    helper: &Helper,
    printer: &mut Printer,
    changes: &mut Changes,
) -> Result<(), CommandError> {
    loop {
        let next = helper.interruptible(changes.next()).await;
        if next.is_err() {
            printer.break_off(ui)?;
        }
        let change = match next? {
            None | Some(Err(ClientError::Closed)) => return Ok(()),
            Some(change) => change.map_err(|error| helper.failure(error))?,
        };
        let change: Value = serde_json::from_str(change.get()).map_err(|error| not_understood(&error))?;
        printer.print(ui, &change)?;
    }
}

/// Subscribes again when a daemon answers. A watch only looks, so it does not start a daemon that was stopped.
async fn resume(ui: &mut Ui, helper: &Helper, params: &SubscribeParams) -> Result<Changes, CommandError> {
    let mut pause = FIRST_LOOK;
    loop {
        helper.disconnect();
        tokio::time::sleep(pause).await;
        pause = longer(pause);
        if !helper.answers().await {
            continue;
        }
        match helper.subscribe_json::<EventsSubscribe>(ui, params).await {
            Err(error) if matches!(error.kind, ErrorKind::ConnectionLost | ErrorKind::NoDaemon) => {}
            other => return other,
        }
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

fn not_understood(error: &serde_json::Error) -> CommandError {
    CommandError::failed("protocol", format!("failed to understand a change: {error}"))
}

/// Prints changes in the form of the answer.
struct Printer {
    form: Form,
    people: people::Lines,
}

impl Printer {
    fn new(ui: &Ui) -> Self {
        Self { form: ui.form(), people: people::Lines::new(ui.screen().cursor) }
    }

    fn print(&mut self, ui: &mut Ui, change: &Value) -> Result<(), CommandError> {
        match self.form {
            Form::Json => ui.json_line(change),
            Form::Scripts => ui.line(&line(change)),
            Form::People => self.people.print(ui, change),
        }
    }

    /// Lets what comes next begin a line of its own.
    fn break_off(&mut self, ui: &mut Ui) -> Result<(), CommandError> {
        self.people.break_off(ui)
    }
}

/// A change as a line for programs. A kind that this program does not know yet is shown by the words of its fields.
fn line(change: &Value) -> String {
    let field = |key: &str| printable(change[key].as_str().unwrap_or("-")).into_owned();
    let name = |key: &str| printable(named(change, key).unwrap_or("-")).into_owned();
    let (task, session) = (name("task"), name("session"));
    format!("{}\t{}\t{task}\t{session}\t{}", field("at"), field("kind"), printable(&told(change)))
}

/// The name of a task or session, or the id when the change carries no name.
fn named<'a>(change: &'a Value, key: &str) -> Option<&'a str> {
    change[key].as_str().or_else(|| change[format!("{key}_id")].as_str())
}

/// What changed. A kind that this program does not know yet is told by the words of its fields.
fn told(change: &Value) -> String {
    let field = |key: &str| change[key].as_str().unwrap_or("-");
    match Change::deserialize(change) {
        Ok(change) => words(&change),
        Err(_) => format!("{} {}", field("id"), field("state")),
    }
}

/// What changed, in plain words.
fn words(change: &Change) -> String {
    let id = change.id.as_deref().unwrap_or("");
    let state = change.state.as_deref().unwrap_or("");
    let count = change.count.unwrap_or_default();
    match change.kind {
        ChangeKind::Session => format!("the session is {state}"),
        ChangeKind::Task => format!("the task is {state}"),
        ChangeKind::Binding => format!("the binding is {state}: {id}"),
        ChangeKind::Ingested => format!("{count} new records"),
        ChangeKind::TurnStarted => format!("a turn began: {id}"),
        ChangeKind::TurnEnded => format!("the turn ended, {state}: {id}"),
        ChangeKind::CommandQueued => format!("queued: {id}"),
        ChangeKind::Command => format!("the command is {state}: {id}"),
        ChangeKind::NotificationDelivered => format!("an item is in the inbox ({state}): #{id}"),
        ChangeKind::NotificationConsumed => format!("the item was taken: #{id}"),
        ChangeKind::Notification => format!("the item is {state}: #{id}"),
        ChangeKind::Cycle => format!("cycle {id} has ended: {state}"),
        ChangeKind::SessionStatus if state.is_empty() => "the app-server is gone".to_owned(),
        ChangeKind::SessionStatus => format!("the session shows {state}"),
        ChangeKind::Approval => format!("the approval is {state}: {id}"),
        ChangeKind::Lagged => format!("too slow: {count} changes were missed; look at the rows"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(change: Value, expect: &str) {
        assert_eq!(line(&change), expect);
    }

    #[test]
    fn a_change_is_one_line_in_plain_words() {
        check(
            json!({ "kind": "turn_ended", "at": "T", "task": "t", "session": "w", "id": "01", "state": "done" }),
            "T\tturn_ended\tt\tw\tthe turn ended, done: 01",
        );
        check(
            json!({ "kind": "ingested", "session_id": "session-1", "count": 3 }),
            "-\tingested\t-\tsession-1\t3 new records",
        );
        check(
            json!({ "kind": "lagged", "count": 7 }),
            "-\tlagged\t-\t-\ttoo slow: 7 changes were missed; look at the rows",
        );
        check(
            json!({ "kind": "from_the_future", "task": "a\tb\u{1b}", "state": "new" }),
            "-\tfrom_the_future\ta\\tb\\u{1b}\t-\t- new",
        );
    }

    #[test]
    fn a_daemon_that_stays_away_is_looked_for_ever_less_often() {
        let pauses = std::iter::successors(Some(FIRST_LOOK), |pause| Some(longer(*pause)));
        let milliseconds: Vec<u128> = pauses.take(8).map(|pause| pause.as_millis()).collect();
        assert_eq!(milliseconds, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
    }

    #[test]
    fn every_kind_but_lagged_can_be_chosen() {
        for kind in KINDS {
            assert!(ChangeKind::deserialize(&json!(kind)).is_ok(), "{kind}");
        }
        // What the protocol has, as its refusal of an unknown word lists it.
        let refusal = ChangeKind::deserialize(&json!("none")).unwrap_err().to_string();
        let of_protocol = refusal.split('`').skip(3).step_by(2).filter(|kind| *kind != "lagged");
        assert_eq!(of_protocol.collect::<Vec<_>>().len(), KINDS.len(), "{refusal}");
    }
}
