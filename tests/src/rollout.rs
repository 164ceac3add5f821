//! Rollout files in the shape that Codex gives them, written as Codex writes them: one descriptor
//! that stays open, one `write()` per record.
//!
//! Both the stand-in and the tests write through this module. The records carry the keys that the
//! real files carry; their texts are our own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::{Timestamp, Zoned};
use serde_json::{Value, json};
use uuid::Uuid;

/// The two formats in the field. The format belongs to the file, not to the program that appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `history_mode: paginated`, as every session born in 0.169 has: ordinals, and messages as
    /// `item_completed`.
    New,
    /// As 0.130 writes: `user_message` and `agent_message`, no ordinals.
    Old,
}

impl Format {
    /// The version of Codex that writes this format.
    #[must_use]
    pub fn codex_version(self) -> &'static str {
        match self {
            Self::New => "0.169.0",
            Self::Old => "0.130.0",
        }
    }
}

/// A thread of Codex: known by its id from the start, with a rollout only after the first input.
#[derive(Debug)]
pub struct Thread {
    id: String,
    created: Zoned,
    format: Format,
    codex_home: Utf8PathBuf,
    cwd: Utf8PathBuf,
    /// The writer lock, held open by the process that owns the thread. Only the new format has one.
    _lock: Option<File>,
}

impl Thread {
    /// Begins a thread, with its writer lock where the format has one.
    ///
    /// # Errors
    /// The lock file cannot be created below `codex_home`.
    pub fn new(codex_home: &Utf8Path, cwd: &Utf8Path, format: Format) -> io::Result<Self> {
        Self::with_id(Uuid::now_v7().to_string(), codex_home, cwd, format)
    }

    /// As [`Thread::new`], under an id that is already known.
    ///
    /// # Errors
    /// The lock file cannot be created below `codex_home`.
    pub fn with_id(id: String, codex_home: &Utf8Path, cwd: &Utf8Path, format: Format) -> io::Result<Self> {
        let lock = match format {
            Format::New => {
                let folder = codex_home.join("thread-writer-locks");
                fs::create_dir_all(&folder)?;
                Some(File::create(folder.join(format!("{id}.lock")))?)
            }
            Format::Old => None,
        };
        let (codex_home, cwd) = (codex_home.to_owned(), cwd.to_owned());
        Ok(Self { id, created: Zoned::now(), format, codex_home, cwd, _lock: lock })
    }

    /// The thread's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Creates the empty rollout file, in the folder and under the name that the local time of the
    /// thread's beginning gives, and keeps it open.
    ///
    /// # Errors
    /// The folder or the file cannot be created.
    pub fn create_rollout(&self) -> io::Result<Rollout> {
        let folder = self.codex_home.join("sessions").join(self.created.strftime("%Y/%m/%d").to_string());
        fs::create_dir_all(&folder)?;
        let time = self.created.strftime("%Y-%m-%dT%H-%M-%S");
        let path = folder.join(format!("rollout-{time}-{}.jsonl", self.id));
        let file = OpenOptions::new().create_new(true).read(true).append(true).open(&path)?;
        let (id, cwd) = (self.id.clone(), self.cwd.clone());
        Ok(Rollout { path, file, thread_id: id, cwd, format: self.format, ordinal: 0, time: None })
    }

    /// Creates the rollout file with its `session_meta` record.
    ///
    /// # Errors
    /// The file cannot be created or written.
    pub fn open_rollout(&self) -> io::Result<Rollout> {
        let mut rollout = self.create_rollout()?;
        rollout.session_meta()?;
        Ok(rollout)
    }
}

/// How a turn ended with an error, as the new format stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnError {
    /// Codex's name of the error, for example `usage_limit_exceeded`.
    pub code: String,
    /// The text that the screen shows.
    pub message: String,
}

/// A rollout file, held open for as long as this value lives.
#[derive(Debug)]
pub struct Rollout {
    path: Utf8PathBuf,
    file: File,
    thread_id: String,
    cwd: Utf8PathBuf,
    format: Format,
    ordinal: u64,
    /// The time that records are stamped with instead of the present time.
    time: Option<Timestamp>,
}

impl Rollout {
    /// Opens any file for appending, and makes it if it does not exist: the second file of a thread, or a
    /// file that replaces another.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn append_to(path: &Utf8Path, thread_id: &str, format: Format) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let (thread_id, cwd) = (thread_id.to_owned(), Utf8PathBuf::new());
        Ok(Self { path: path.to_owned(), file, thread_id, cwd, format, ordinal: 0, time: None })
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The id of the thread that the file belongs to.
    #[must_use]
    pub fn thread_id(&self) -> &str {
        &self.thread_id
    }

    /// Stamps all further records with this time: for files that cover hours and are written in a moment.
    pub fn set_time(&mut self, time: Timestamp) {
        self.time = Some(time);
    }

    fn now(&self) -> Timestamp {
        self.time.unwrap_or_else(Timestamp::now)
    }

    /// Appends one record, stamped with the present time unless another was set.
    ///
    /// # Errors
    /// The write fails.
    pub fn record(&mut self, kind: &str, payload: Value) -> io::Result<()> {
        let now = self.now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        let record = match self.format {
            Format::New => {
                json!({"timestamp": now, "ordinal": self.ordinal, "type": kind, "payload": payload})
            }
            Format::Old => json!({"timestamp": now, "type": kind, "payload": payload}),
        };
        self.append(&format!("{record}\n"))
    }

    /// Appends these bytes as they are, in one `write()`: half lines and malformed ones too.
    ///
    /// # Errors
    /// The write fails.
    pub fn append(&mut self, text: &str) -> io::Result<()> {
        self.ordinal += 1;
        self.file.write_all(text.as_bytes())
    }

    fn event(&mut self, payload: Value) -> io::Result<()> {
        self.record("event_msg", payload)
    }

    /// Appends the record that begins a file.
    ///
    /// # Errors
    /// The write fails.
    pub fn session_meta(&mut self) -> io::Result<()> {
        let now = self.now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        let mut meta = json!({
            "id": self.thread_id, "timestamp": now, "cwd": self.cwd, "originator": "codex-tui",
            "cli_version": self.format.codex_version(), "source": "cli", "thread_source": "user",
            "model_provider": "stand-in", "base_instructions": {"text": "Be a stand-in."}, "git": {},
        });
        if self.format == Format::New {
            meta["session_id"] = json!(self.thread_id);
            meta["account_scoped"] = json!(true);
            meta["runtime_workspace_roots"] = json!([self.cwd]);
            meta["history_mode"] = json!("paginated");
            meta["context_window"] = json!({"window_id": Uuid::now_v7().to_string()});
        }
        self.record("session_meta", meta)
    }

    /// Begins a turn and returns its id.
    ///
    /// # Errors
    /// The write fails.
    pub fn task_started(&mut self) -> io::Result<String> {
        let turn = Uuid::now_v7().to_string();
        let mut started = json!({
            "type": "task_started", "turn_id": turn, "started_at": self.now().as_second(),
            "model_context_window": 258_400, "collaboration_mode_kind": "default",
        });
        if self.format == Format::New {
            started["root_turn_id"] = json!(turn);
            started["turn_attribution"] = json!({
                "turn_id": turn, "turn_trigger": "user", "parent_turn_id": null,
                "initiating_agent_path": null, "root_turn_id": turn,
            });
        }
        self.event(started)?;
        let context = json!({
            "turn_id": turn, "cwd": self.cwd, "approval_policy": "on-request", "model": "stand-in",
            "summary": "none",
        });
        self.record("turn_context", context)?;
        Ok(turn)
    }

    /// Records what the user sent: the receipt of a delivered message.
    ///
    /// # Errors
    /// The write fails.
    pub fn user_message(&mut self, turn: &str, text: &str) -> io::Result<()> {
        self.user_message_of(turn, text, None)
    }

    /// The same for a message that a client sent with an id, which Codex writes into the record.
    ///
    /// # Errors
    /// The write fails.
    pub fn user_message_of(&mut self, turn: &str, text: &str, client_id: Option<&str>) -> io::Result<()> {
        let content = json!([{"type": "input_text", "text": text}]);
        self.record("response_item", json!({"type": "message", "role": "user", "content": content}))?;
        match self.format {
            Format::New => {
                let content = json!([{"type": "text", "text": text, "text_elements": []}]);
                let mut item =
                    json!({"type": "UserMessage", "id": Uuid::now_v7().to_string(), "content": content});
                if let Some(client_id) = client_id {
                    item["client_id"] = json!(client_id);
                }
                self.item(turn, item)
            }
            Format::Old => self.event(json!({
                "type": "user_message", "message": text, "images": [], "local_images": [],
                "text_elements": [],
            })),
        }
    }

    /// Records an answer of the model.
    ///
    /// # Errors
    /// The write fails.
    pub fn agent_message(&mut self, turn: &str, text: &str) -> io::Result<()> {
        match self.format {
            Format::New => {
                let content = json!([{"type": "Text", "text": text}]);
                self.item(
                    turn,
                    json!({"type": "AgentMessage", "id": Uuid::now_v7().to_string(), "content": content}),
                )?;
            }
            Format::Old => self.event(json!({
                "type": "agent_message", "message": text, "phase": null, "memory_citation": null,
            }))?,
        }
        let content = json!([{"type": "output_text", "text": text}]);
        self.record("response_item", json!({"type": "message", "role": "assistant", "content": content}))
    }

    /// Records that the model asked for a command. Whether it runs or waits for an approval is not
    /// in the file.
    ///
    /// # Errors
    /// The write fails.
    pub fn function_call(&mut self, call_id: &str, command: &str) -> io::Result<()> {
        let arguments = json!({"cmd": command, "sandbox_permissions": "require_escalated"}).to_string();
        self.record(
            "response_item",
            json!({"type": "function_call", "name": "exec_command", "arguments": arguments, "call_id": call_id}),
        )
    }

    /// Records the end of a command.
    ///
    /// # Errors
    /// The write fails.
    pub fn function_output(
        &mut self,
        turn: &str,
        call_id: &str,
        command: &str,
        exit_code: i32,
    ) -> io::Result<()> {
        if self.format == Format::New {
            let status = if exit_code == 0 { "completed" } else { "failed" };
            let item = json!({
                "type": "CommandExecution", "id": call_id, "command": ["/bin/sh", "-c", command],
                "status": status, "aggregated_output": "", "exit_code": exit_code,
            });
            self.item(turn, item)?;
        }
        let output = format!("Process exited with code {exit_code}");
        self.record(
            "response_item",
            json!({"type": "function_call_output", "call_id": call_id, "output": output}),
        )
    }

    /// Ends a turn as completed, or as failed when there is an `error`. The old format has no field for an
    /// error: there a failed turn only lacks its last message.
    ///
    /// # Errors
    /// The write fails.
    pub fn task_complete(
        &mut self,
        turn: &str,
        last_message: Option<&str>,
        error: Option<&TurnError>,
    ) -> io::Result<()> {
        self.event(json!({
            "type": "token_count", "info": null,
            "rate_limits": {"limit_id": "codex", "primary": null, "secondary": null},
        }))?;
        let now = self.now().as_second();
        let mut end = json!({
            "type": "task_complete", "turn_id": turn, "last_agent_message": last_message,
            "completed_at": now, "duration_ms": 20, "time_to_first_token_ms": 10,
        });
        if self.format == Format::New {
            end["root_turn_id"] = json!(turn);
            end["started_at"] = json!(now);
            if let Some(error) = error {
                end["error"] = json!({"message": error.message, "codex_error_info": error.code});
            }
        }
        self.event(end)
    }

    /// Ends a turn as interrupted.
    ///
    /// # Errors
    /// The write fails.
    pub fn turn_aborted(&mut self, turn: &str) -> io::Result<()> {
        let now = self.now().as_second();
        let mut end = json!({
            "type": "turn_aborted", "turn_id": turn, "reason": "interrupted", "completed_at": now,
            "duration_ms": 20,
        });
        if self.format == Format::New {
            end["root_turn_id"] = json!(turn);
            end["started_at"] = json!(now);
        }
        self.event(end)
    }

    fn item(&mut self, turn: &str, item: Value) -> io::Result<()> {
        let now = self.now().as_millisecond();
        let thread = self.thread_id.clone();
        self.event(json!({
            "type": "item_completed", "thread_id": thread, "turn_id": turn, "item": item,
            "started_at_ms": now, "completed_at_ms": now,
        }))
    }
}
