//! `doctor --report`: what a bug report needs, without what belongs to the person who sends it.
//!
//! Each part is put together from what it is made of, and then redacted. A part that cannot be had says why: the report
//! is wanted most when the daemon does not start.

use crate::error::{CommandError, ErrorKind};
use crate::helper::Helper;
use crate::redact::{Below, Redactor};
use crate::screen::Form;
use crate::ui::Ui;
use camino::Utf8Path;
use conveyor_proto::opened::{Access, Opened};
use conveyor_proto::registry::{ConfigShow, DaemonStatus, DoctorRun, ReconcileRun, SessionList, TaskList};
use conveyor_proto::text::printable;
use conveyor_proto::types::common::Empty;
use conveyor_proto::types::daemon::DaemonStatus as Status;
use conveyor_proto::types::doctor::{DoctorParams, DoctorResult};
use conveyor_proto::types::drift::ReconcileResult;
use conveyor_proto::types::session::{self, SessionRow, StateFilter};
use conveyor_proto::types::task::{self, TaskRow};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Seek as _, SeekFrom};

/// How many lines of the log are shown, and how many bytes of its end are read for them.
const LOG_LINES: usize = 40;
const LOG_BYTES: u64 = 64 * 1024;
/// How many findings of `reconcile` are shown.
const FINDINGS: usize = 20;

const HEAD: &str = "\
Conveyor report. Names, folders of yours, the user and the machine are replaced, and no text of a worker or a pane is in
it. Look it over before you send it.
";

/// The answers of the daemon that a report is made of; each may be an error instead.
struct Answers {
    status: Result<Status, CommandError>,
    doctor: Result<DoctorResult, CommandError>,
    settings: Result<Value, CommandError>,
    sessions: Result<Vec<SessionRow>, CommandError>,
    tasks: Result<Vec<TaskRow>, CommandError>,
    drift: Result<ReconcileResult, CommandError>,
}

pub(super) async fn run(ui: &mut Ui, helper: &Helper, params: &DoctorParams) -> Result<(), CommandError> {
    // The first call starts the daemon where that is allowed, so that the others find it.
    let doctor = interruptible(helper.call::<DoctorRun>(ui, params).await)?;
    let all = session::ListParams { state: Some(StateFilter::All), ..session::ListParams::default() };
    let answers = Answers {
        status: interruptible(helper.call::<DaemonStatus>(ui, &Empty {}).await)?,
        settings: interruptible(helper.call_json::<ConfigShow>(ui, &Empty {}).await)?,
        sessions: interruptible(
            helper.call_pages::<SessionList>(ui, |page| session::ListParams { page, ..all.clone() }).await,
        )?
        .and_then(rows),
        tasks: interruptible(
            helper.call_pages::<TaskList>(ui, |page| task::ListParams { page, ..Default::default() }).await,
        )?
        .and_then(rows),
        drift: interruptible(helper.call::<ReconcileRun>(ui, &Default::default()).await)?,
        doctor,
    };
    let redactor = redactor(helper, &answers);
    let text = format!("{}{}", machine(helper), daemon(&answers));
    let text = format!("{text}{}{}", findings(&answers.drift), log(helper));
    let report = format!("{HEAD}{}", redactor.text(&text));
    match ui.form() {
        Form::Json => ui.json(&json!({ "report": report })),
        Form::Scripts | Form::People => ui.text(&report),
    }
}

/// An answer or what failed; Ctrl-C ends the report.
fn interruptible<T>(answer: Result<T, CommandError>) -> Result<Result<T, CommandError>, CommandError> {
    match answer {
        Err(error) if error.kind == ErrorKind::Interrupted => Err(error),
        answer => Ok(answer),
    }
}

fn rows<Row: DeserializeOwned>(listed: Value) -> Result<Vec<Row>, CommandError> {
    serde_json::from_value(listed)
        .map_err(|error| CommandError::failed("answer", format!("a listing cannot be read: {error}")))
}

fn redactor(helper: &Helper, answers: &Answers) -> Redactor {
    let environment = helper.environment();
    let mut redactor = Redactor::default();
    redactor.folder(helper.files().root.as_str(), "<state root>", Below::All);
    if let Some(folder) = helper.files().database.parent() {
        redactor.folder(folder.as_str(), "<folder of the database>", Below::All);
    }
    for (variable, stands_for) in [("CODEX_HOME", "<codex home>"), ("TMUX_TMPDIR", "<tmux folder>")] {
        redactor.folder(&environment.get(variable).unwrap_or_default(), stands_for, Below::All);
    }
    redactor.folder(&environment.get("HOME").unwrap_or_default(), "~", Below::Hidden);
    redactor.folder(&helper.caller().cwd.unwrap_or_default(), "<folder>", Below::Nothing);
    for user in ["USER", "LOGNAME"].into_iter().filter_map(|variable| environment.get(variable)) {
        if user != "root" {
            redactor.word(&user, "<user>");
        }
    }
    redactor.word(&rustix::system::uname().nodename().to_string_lossy(), "<machine>");
    for (number, row) in answers.sessions.iter().flatten().enumerate() {
        redactor.word(&row.name, format!("session-{}", number + 1));
        redactor.folder(&row.cwd, "<folder>", Below::Nothing);
        redactor.word(row.tmux_session.as_deref().unwrap_or_default(), format!("tmux-{}", number + 1));
    }
    for (number, row) in answers.tasks.iter().flatten().enumerate() {
        redactor.word(&row.name, format!("task-{}", number + 1));
    }
    redactor
}

/// The program, the system and what of the environment decides how the program behaves.
fn machine(helper: &Helper) -> String {
    let uname = rustix::system::uname();
    let [name, release, machine] =
        [uname.sysname(), uname.release(), uname.machine()].map(|word| word.to_string_lossy().into_owned());
    let distribution = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let distribution = distribution
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map_or(String::new(), |name| format!(", {}", printable(name.trim_matches('"'))));
    let program = std::env::current_exe().map_or_else(|_| "?".to_owned(), |path| path.display().to_string());
    let mut text = format!(
        "\nprogram\n  {} {}, {}\n  {name} {release} {machine}{distribution}\n",
        helper.program(),
        env!("CARGO_PKG_VERSION"),
        printable(&program),
    );
    for variable in ["PATH", "SHELL", "TERM", "LANG", "LC_ALL", "TMUX", "CODEX_HOME", "CONVEYOR_STATE_ROOT"] {
        if let Some(value) = helper.environment().get(variable) {
            line(&mut text, &format!("{variable}={value}"));
        }
    }
    text
}

fn daemon(answers: &Answers) -> String {
    let mut text = "\ndaemon\n".to_owned();
    match &answers.status {
        Ok(status) => running(&mut text, status),
        Err(error) => failed(&mut text, error),
    }
    text.push_str("\nchecks\n");
    match &answers.doctor {
        Ok(doctor) => {
            for (name, check) in &doctor.checks {
                let told = [
                    check.value.as_deref(),
                    check.path.as_ref().and_then(Option::as_deref),
                    check.message.as_deref(),
                ];
                let told: Vec<&str> = told.into_iter().flatten().collect();
                line(
                    &mut text,
                    &format!("{} {name} {}", if check.ok { "ok  " } else { "FAIL" }, told.join("; ")),
                );
            }
        }
        Err(error) => failed(&mut text, error),
    }
    text.push_str("\nsettings that are not the default\n");
    match &answers.settings {
        Ok(settings) => {
            for (name, setting) in settings.as_object().into_iter().flatten() {
                let (Some(value), Some(source)) = (setting.get("value"), setting.get("source")) else {
                    continue;
                };
                if source != "default" {
                    line(&mut text, &format!("{name} = {value} ({})", source.as_str().unwrap_or_default()));
                }
            }
        }
        Err(error) => failed(&mut text, error),
    }
    text.push_str("\nsessions and tasks\n");
    match (&answers.sessions, &answers.tasks) {
        (Ok(sessions), Ok(tasks)) => {
            for row in sessions {
                let terminal = if row.tmux_session.is_some() { "in tmux" } else { "without tmux" };
                let told = [word(&row.role), word(&row.state), word(&row.rollout_state), terminal.to_owned()];
                let reason =
                    row.gone_reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
                line(&mut text, &format!("{} {}{reason}", row.name, told.join(", ")));
            }
            let mut states = BTreeMap::<String, usize>::new();
            tasks.iter().for_each(|row| *states.entry(word(&row.state)).or_default() += 1);
            let states: Vec<String> =
                states.into_iter().map(|(state, count)| format!("{count} {state}")).collect();
            line(
                &mut text,
                &format!("tasks: {}", if states.is_empty() { "none".to_owned() } else { states.join(", ") }),
            );
        }
        (Err(error), _) | (_, Err(error)) => failed(&mut text, error),
    }
    text
}

fn running(text: &mut String, status: &Status) {
    let started = status.origin.started_by.as_str();
    line(text, &format!("version {}, started by {started} {} s ago", status.version, status.uptime_seconds));
    line(text, &format!("schema {}, database {} bytes", status.schema_version, status.database_bytes));
    line(
        text,
        &format!(
            "dispatch {}, watch {}, {} rollouts watched, {} connections, {} waiting calls",
            status.dispatch, status.watch, status.watched_rollouts, status.connections, status.waiting_calls
        ),
    );
    let counts = &status.deliveries;
    line(
        text,
        &format!(
            "deliveries: {} pending, {} held, {} uncertain, {} failed",
            counts.pending_commands, counts.held, counts.uncertain, counts.failed
        ),
    );
    line(text, &format!("last error: {}", status.last_error.as_deref().unwrap_or("none")));
    for each in &status.loops {
        let failure = each.last_failure.as_deref().map(|failure| format!(", {failure}")).unwrap_or_default();
        let failing = each.failing.len();
        let told = format!("{}, {} restarts, {failing} failing{failure}", word(&each.state), each.restarts);
        line(text, &format!("loop {}: {told}", each.name));
    }
    for server in &status.app_servers {
        let version = server.version.as_deref().unwrap_or("of an unknown version");
        let standing = if server.connected { "connected" } else { "gone" };
        line(text, &format!("app-server {standing}: Codex {version}, generation {}", server.generation));
    }
}

fn findings(drift: &Result<ReconcileResult, CommandError>) -> String {
    let mut text = "\nreconcile\n".to_owned();
    match drift {
        Ok(drift) => {
            for finding in drift.findings.iter().take(FINDINGS) {
                let told =
                    format!("{} {}: {}", word(&finding.severity), word(&finding.kind), finding.message);
                line(&mut text, &told);
            }
            let more = drift.findings.len().saturating_sub(FINDINGS);
            match drift.findings.len() {
                0 => line(&mut text, "nothing"),
                _ if more > 0 => line(&mut text, &format!("and {more} more")),
                _ => {}
            }
        }
        Err(error) => failed(&mut text, error),
    }
    text
}

/// The end of the log, and what the daemon said before its log was open.
fn log(helper: &Helper) -> String {
    let files = helper.files();
    let mut text = String::new();
    for (title, path) in [("log", files.log()), ("standard error of the daemon", files.last_words())] {
        let _ = writeln!(text, "\n{title}, its last lines");
        match end_of(&files.root, &path) {
            Ok(lines) if lines.is_empty() => line(&mut text, "nothing"),
            Ok(lines) => lines.iter().for_each(|each| line(&mut text, each)),
            Err(error) => line(&mut text, &error.to_string()),
        }
    }
    text
}

fn end_of(root: &Utf8Path, path: &Utf8Path) -> std::io::Result<Vec<String>> {
    let mut file = Opened::open(root)?.at(path, Access::Read)?;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    Ok(lines[lines.len().saturating_sub(LOG_LINES)..].to_vec())
}

/// The word of a value of a closed set.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

fn line(text: &mut String, told: &str) {
    text.push_str("  ");
    text.push_str(&printable(told));
    text.push('\n');
}

fn failed(text: &mut String, error: &CommandError) {
    for told in error.message.lines().chain(error.hints.iter().map(String::as_str)) {
        line(text, told);
    }
}
