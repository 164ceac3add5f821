//! The state of the stand-in: its thread, its composer and the running turn.

use std::collections::VecDeque;
use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};
use uuid::Uuid;

use super::keys::Key;
use super::recording::{self, RecordedTurn, Recording};
use super::script::{self, Step};
use crate::rollout::{Format, Rollout, Thread};

/// The time between two frames of the spinner and of the blinking title.
const FRAME: Duration = Duration::from_millis(100);
/// Codex counts an Enter within this time after a typed character as part of a paste (openai/codex#2544).
const PASTE_BURST: Duration = Duration::from_millis(8);
/// The time between two records of a recording.
const RECORD_PACE: Duration = Duration::from_millis(20);

/// What the pane shows besides the conversation.
#[derive(Debug)]
pub(super) enum View<'a> {
    Idle,
    Working { seconds: u64, frame: usize },
    Approval { command: &'a str, asker: Asker, blink: bool },
}

/// Whose command waits for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    Itself,
    /// A sub-agent, whose calls are in a rollout of its own.
    Child,
    /// The thread itself, for a permission and not for a command.
    Permission,
}

#[derive(Debug)]
struct Turn {
    id: String,
    started: Instant,
    steps: VecDeque<Step>,
    doing: Doing,
    last_answer: Option<String>,
}

#[derive(Debug)]
enum Doing {
    /// It works until this time, then it answers with this text.
    Answer { at: Instant, text: String },
    /// It waits for the user.
    Approval { command: String, call_id: String, asker: Asker },
    /// It plays a recording.
    Playing { at: Instant, records: VecDeque<(String, Value)> },
}

/// The whole state of the stand-in.
#[derive(Debug)]
pub(super) struct App {
    format: Format,
    codex_home: Utf8PathBuf,
    cwd: Utf8PathBuf,
    thread: Thread,
    /// The thread's rollout, from its first input on.
    rollout: Option<Rollout>,
    /// Rollouts of earlier threads of this process: Codex keeps them open.
    earlier: Vec<Rollout>,
    recording: Option<Recording>,
    name: Option<String>,
    thread_title: bool,
    transcript: Vec<String>,
    draft: String,
    last_typed: Option<Instant>,
    turn: Option<Turn>,
    quits: bool,
}

impl App {
    pub(super) fn new(
        codex_home: &Utf8Path,
        cwd: &Utf8Path,
        format: Format,
        recording: Option<Recording>,
    ) -> io::Result<Self> {
        Ok(Self {
            format,
            codex_home: codex_home.to_owned(),
            cwd: cwd.to_owned(),
            thread: Thread::new(codex_home, cwd, format)?,
            rollout: None,
            earlier: Vec::new(),
            recording,
            name: None,
            thread_title: false,
            transcript: Vec::new(),
            draft: String::new(),
            last_typed: None,
            turn: None,
            quits: false,
        })
    }

    /// Begins with the prompt that Codex was started with.
    pub(super) fn begin_as_codex(&mut self, prompt: Option<&str>, thread_title: bool) -> io::Result<()> {
        self.thread_title = thread_title;
        prompt.map_or(Ok(()), |prompt| self.submit(prompt, Instant::now()))
    }

    /// The thread's id, if the title is to name it.
    pub(super) fn thread_in_title(&self) -> Option<&str> {
        self.thread_title.then(|| self.thread.id())
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn cwd(&self) -> &Utf8Path {
        &self.cwd
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(super) fn transcript(&self) -> &[String] {
        &self.transcript
    }

    pub(super) fn draft(&self) -> &str {
        &self.draft
    }

    pub(super) fn quits(&self) -> bool {
        self.quits
    }

    pub(super) fn view(&self) -> View<'_> {
        let Some(turn) = &self.turn else { return View::Idle };
        let elapsed = turn.started.elapsed();
        let frame = usize::try_from(elapsed.as_millis() / FRAME.as_millis()).unwrap_or_default();
        match &turn.doing {
            Doing::Approval { command, asker, .. } => {
                View::Approval { command, asker: *asker, blink: frame % 10 < 5 }
            }
            Doing::Answer { .. } | Doing::Playing { .. } => {
                View::Working { seconds: elapsed.as_secs(), frame }
            }
        }
    }

    /// How long nothing changes without a key.
    pub(super) fn next_wake(&self, now: Instant) -> Duration {
        match self.turn.as_ref().map(|turn| &turn.doing) {
            None => Duration::from_secs(3600),
            Some(Doing::Approval { .. }) => FRAME,
            Some(Doing::Answer { at, .. } | Doing::Playing { at, .. }) => {
                at.saturating_duration_since(now).min(FRAME)
            }
        }
    }

    /// Takes a key or a paste.
    pub(super) fn key(&mut self, key: Key, now: Instant) -> io::Result<()> {
        if matches!(self.turn, Some(Turn { doing: Doing::Approval { .. }, .. })) {
            return self.menu_key(&key, now);
        }
        match key {
            Key::Paste(text) => self.draft.push_str(&text),
            Key::Char(character) => {
                self.draft.push(character);
                self.last_typed = Some(now);
            }
            Key::Enter => self.enter(now)?,
            Key::Ctrl('j') => self.draft.push('\n'),
            Key::Backspace => {
                self.draft.pop();
            }
            Key::Ctrl('u') => self.draft.truncate(self.draft.rfind('\n').unwrap_or(0)),
            Key::Escape => self.interrupt()?,
            Key::Ctrl('c') if self.turn.is_some() => self.interrupt()?,
            Key::Ctrl('c') if !self.draft.is_empty() => self.draft.clear(),
            Key::Ctrl('c' | 'd') if self.draft.is_empty() && self.turn.is_none() => self.quits = true,
            Key::Ctrl(_) => {}
        }
        Ok(())
    }

    /// A menu takes keys for itself: Enter picks its first entry, and a paste is lost.
    fn menu_key(&mut self, key: &Key, now: Instant) -> io::Result<()> {
        match key {
            Key::Enter | Key::Char('y') => self.approve(now),
            Key::Escape | Key::Char('n') | Key::Ctrl('c') => self.interrupt(),
            _ => Ok(()),
        }
    }

    fn enter(&mut self, now: Instant) -> io::Result<()> {
        let in_burst = self.last_typed.is_some_and(|typed| now.duration_since(typed) < PASTE_BURST);
        self.last_typed = None;
        if in_burst {
            self.draft.push('\n');
            return Ok(());
        }
        // The completion popup of `@file` and `$skill` takes this Enter.
        let last_word = self.draft.rsplit(char::is_whitespace).next().unwrap_or_default();
        if last_word.len() > 1 && last_word.starts_with(['@', '$']) {
            self.draft.push(' ');
            return Ok(());
        }
        let draft = std::mem::take(&mut self.draft);
        if let Some(command) = draft.strip_prefix('!') {
            return self.user_shell(command);
        }
        match draft.trim() {
            "" => Ok(()),
            "/quit" => {
                self.quits = true;
                Ok(())
            }
            "/clear" => self.clear(),
            message => self.submit(message, now),
        }
    }

    /// Begins a new thread in the same process. Its rollout is made at its first input.
    fn clear(&mut self) -> io::Result<()> {
        if self.turn.is_none() {
            self.thread = Thread::new(&self.codex_home, &self.cwd, self.format)?;
            self.earlier.extend(self.rollout.take());
            self.transcript.clear();
            self.name = None;
        }
        Ok(())
    }

    /// `!command` runs at once and unasked, as a turn without a user's message.
    fn user_shell(&mut self, command: &str) -> io::Result<()> {
        self.transcript.push(format!("• You ran {command}"));
        let exit_code = run(command);
        let rollout = self.rollout()?;
        let turn = rollout.task_started()?;
        rollout.function_output(&turn, &call_id(), command, exit_code)?;
        rollout.task_complete(&turn, None, None)
    }

    fn submit(&mut self, message: &str, now: Instant) -> io::Result<()> {
        self.transcript.push(format!("› {message}"));
        if self.name.is_none() {
            let words = script::plain(message);
            self.name = words.split_whitespace().take(4).map(str::to_owned).reduce(|a, b| format!("{a} {b}"));
        }
        if self.turn.is_some() { self.steer(message, now) } else { self.begin(message, now) }
    }

    fn begin(&mut self, message: &str, now: Instant) -> io::Result<()> {
        let recorded = match &mut self.recording {
            Some(recording) => recording.next_turn(self.thread.id(), message),
            None => None,
        };
        if let Some(RecordedTurn { id, records }) = recorded {
            let doing = Doing::Playing { at: now, records };
            let steps = VecDeque::new();
            self.turn = Some(Turn { id, started: now, steps, doing, last_answer: None });
            return self.tick(now);
        }
        let rollout = self.rollout()?;
        let id = rollout.task_started()?;
        rollout.user_message(&id, message)?;
        let steps = script::steps(message)?.into();
        self.next_step(
            Turn {
                id,
                started: now,
                steps,
                doing: Doing::Answer { at: now, text: String::new() },
                last_answer: None,
            },
            now,
        )
    }

    /// A message sent into a running turn joins it: the streaming answer is cut.
    fn steer(&mut self, message: &str, now: Instant) -> io::Result<()> {
        let Some(mut turn) = self.turn.take() else { return Ok(()) };
        if let Doing::Playing { .. } = turn.doing {
            self.turn = Some(turn);
            return Ok(());
        }
        self.rollout()?.user_message(&turn.id, message)?;
        turn.steps = script::steps(message)?.into();
        self.next_step(turn, now)
    }

    /// Does what has become due by now.
    pub(super) fn tick(&mut self, now: Instant) -> io::Result<()> {
        let Some(mut turn) = self.turn.take() else { return Ok(()) };
        match turn.doing {
            Doing::Answer { at, ref text } if at <= now => {
                let text = text.clone();
                self.answer(&mut turn, text)?;
                self.next_step(turn, now)
            }
            Doing::Playing { at, ref mut records } if at <= now => {
                let record = records.pop_front();
                turn.doing = Doing::Playing { at: now + RECORD_PACE, records: std::mem::take(records) };
                match record {
                    Some(record) => self.play(turn, record),
                    None => Ok(()),
                }
            }
            _ => {
                self.turn = Some(turn);
                Ok(())
            }
        }
    }

    fn play(&mut self, turn: Turn, (kind, payload): (String, Value)) -> io::Result<()> {
        self.transcript.extend(recording::answer(&payload).map(|text| format!("• {text}")));
        self.rollout()?.record(&kind, payload)?;
        self.turn = Some(turn);
        Ok(())
    }

    /// Goes on with the turn's next step, or ends the turn.
    fn next_step(&mut self, mut turn: Turn, now: Instant) -> io::Result<()> {
        turn.doing = match turn.steps.pop_front() {
            Some(Step::Say(text)) => Doing::Answer { at: now, text },
            Some(Step::Slow(time)) => {
                Doing::Answer { at: now + time, text: format!("That took {} s.", time.as_secs_f64()) }
            }
            Some(Step::Ask(command)) => {
                let call_id = call_id();
                self.rollout()?.function_call(&call_id, &command)?;
                Doing::Approval { command, call_id, asker: Asker::Itself }
            }
            Some(Step::Child(command)) => {
                let call_id = call_id();
                let call = json!({
                    "type": "function_call", "name": "wait_agent", "arguments": "{}", "call_id": call_id,
                });
                self.rollout()?.record("response_item", call)?;
                Doing::Approval { command, call_id, asker: Asker::Child }
            }
            Some(Step::Permit(rule)) => {
                let call_id = call_id();
                let arguments = json!({ "permissions": rule }).to_string();
                let call = json!({
                    "type": "function_call", "name": "request_permissions", "arguments": arguments, "call_id": call_id,
                });
                self.rollout()?.record("response_item", call)?;
                Doing::Approval { command: rule, call_id, asker: Asker::Permission }
            }
            Some(Step::Fail(error)) => {
                self.transcript.push(format!("■ {}", error.message));
                return self.rollout()?.task_complete(&turn.id, None, Some(&error));
            }
            None => return self.rollout()?.task_complete(&turn.id, turn.last_answer.as_deref(), None),
        };
        self.turn = Some(turn);
        Ok(())
    }

    fn answer(&mut self, turn: &mut Turn, text: String) -> io::Result<()> {
        self.rollout()?.agent_message(&turn.id, &text)?;
        self.transcript.push(format!("• {text}"));
        turn.last_answer = Some(text);
        Ok(())
    }

    fn approve(&mut self, now: Instant) -> io::Result<()> {
        let Some(mut turn) = self.turn.take() else { return Ok(()) };
        if let Doing::Approval { call_id, asker: Asker::Permission, .. } = &turn.doing {
            let output = json!({ "type": "function_call_output", "call_id": call_id, "output": "granted" });
            self.rollout()?.record("response_item", output)?;
        } else if let Doing::Approval { command, call_id, .. } = &turn.doing {
            let exit_code = run(command);
            self.transcript.push(format!("✔ You approved codex to run {command}"));
            self.rollout()?.function_output(&turn.id, call_id, command, exit_code)?;
            if turn.steps.is_empty() {
                turn.steps.push_back(Step::Say(format!("The command ended with code {exit_code}.")));
            }
        }
        self.next_step(turn, now)
    }

    fn interrupt(&mut self) -> io::Result<()> {
        let Some(turn) = self.turn.take() else { return Ok(()) };
        if let Doing::Approval { command, .. } = &turn.doing {
            self.transcript.push(format!("✗ You canceled the request to run {command}"));
        }
        self.transcript.push("■ Conversation interrupted - use /feedback if something went wrong".to_owned());
        self.rollout()?.turn_aborted(&turn.id)
    }

    fn rollout(&mut self) -> io::Result<&mut Rollout> {
        match &mut self.rollout {
            Some(rollout) => Ok(rollout),
            empty => Ok(empty.insert(self.thread.open_rollout()?)),
        }
    }
}

fn call_id() -> String {
    format!("call_{}", Uuid::now_v7().simple())
}

/// Runs a command that the user allowed, without a terminal. Returns its exit code.
fn run(command: &str) -> i32 {
    let status = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.ok().and_then(|status| status.code()).unwrap_or(-1)
}
