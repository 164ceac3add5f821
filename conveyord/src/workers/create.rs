//! `worker.create`: reserves a worker's name in rows and folder, starts Codex, and commits the running
//! worker. A failed create leaves nothing that blocks the next one.

use super::{
    Subject, Workers, attach, blocking, broken,
    folder::{Config, Folder},
    launch::{self, Launch, Prepared, end_leftover},
    store_worker,
};
use crate::{
    clock,
    codex::{
        launch::PromptFile,
        prompts::findable,
        ready::{self, Ended, Start, Watch},
        screen::phrases::{self, StartupState},
        worker_prompts::{self, Contract},
    },
    error::{Error, Result},
    faults::{self, CrashPoint},
    refusal::Kind,
    sessions::registration,
    store::{
        Durability,
        event_names::{AuditEvent, FileEvent},
        log::Actor,
        prompts::{self, NewPrompt, PromptKind},
        sessions,
        workers::{self as rows, NewWorker, Place, Status, Worker, WorkerState},
    },
    supervision::finish::{FinishContext, MessageSender},
    tmux::{CaptureStyle, StartedSession},
    words,
};
use conveyor_proto::{
    ids::PaneId,
    types::{
        common::Caller,
        create::{CreateWorkerParams, CreateWorkerResult, Startup},
        session::StopParams,
        worker::WorkState,
    },
};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// The current task of a new worker that was given none.
const NO_TASK: &str = "Waiting for a task.";
/// The next action of a new worker.
const FIRST_ACTION: &str = "Begin the task, or wait for the manager's message.";
/// How long to wait for the question of trust when the caller does not wait for Codex to be ready.
const TRUST_LIMIT: Duration = Duration::from_secs(10);
/// Rows of scrollback by which Codex is judged when its screen shows no known state.
const STARTUP_LINES: u32 = 80;
/// Longest wait that a caller may ask for, in seconds.
const LONGEST_WAIT: u64 = 86_400;

struct Created {
    subject: Subject,
    worker_id: String,
    started: StartedSession,
    /// Whether the folder holds nothing of an earlier worker. Then a failure deletes it.
    is_new: bool,
}

impl Workers {
    /// Answers `worker.create`. The work must run to its end even if the caller disappears, since a half-made
    /// worker would block its name.
    ///
    /// # Errors
    /// `codex_missing`, `invalid_name`, `cwd_missing`, `worker_exists`, `tmux_session_exists`,
    /// `tmux_session_taken`, `role_differs`, `codex_exited`, `worker_folder_invalid`, `timeout_too_long`. No
    /// worker is left behind.
    pub async fn create<S: MessageSender>(
        &self,
        context: FinishContext<S>,
        params: CreateWorkerParams,
    ) -> Result<CreateWorkerResult> {
        if params.wait_ready_timeout.max(params.verify_timeout) > LONGEST_WAIT {
            let message = format!("a wait lasts at most {LONGEST_WAIT} seconds");
            return Err(Error::invalid(Kind::TimeoutTooLong, message));
        }
        let tmux_session = format!("codex-{}", params.name);
        let prepared =
            self.prepare(&params.name, &tmux_session, params.cwd.as_deref(), &params.caller).await?;
        let created = self.begin(&prepared, &tmux_session, &params).await?;
        let (startup, trust_accepted) = match self.startup(&prepared, &created, &params).await {
            Ok(done) => done,
            Err(error) => return Err(self.undo(&prepared, &created, error).await),
        };
        // A worker that does not report is still a worker: the verification says so, and nothing is undone.
        let verification = match params.verify {
            true => Some(
                self.verify(
                    &created.subject,
                    created.started.pane_pid,
                    params.verify_timeout,
                    &params.caller,
                )
                .await?,
            ),
            false => None,
        };
        let stopped = match params.stop_after {
            true => {
                let name = params.name.clone();
                let stop = StopParams { name, message: None, force: false, caller: params.caller.clone() };
                Some(self.stop_because(context, stop, Some("stop_after")).await?.killed_session)
            }
            false => None,
        };
        let folder = &created.subject.folder;
        Ok(CreateWorkerResult {
            attach_command: attach::by_hand(
                prepared.tmux.server().socket().as_str(),
                &tmux_session,
                &params.caller,
            ),
            state_dir: folder.path().to_string(),
            contract_path: folder.contract().to_string(),
            name: params.name,
            worker_id: created.worker_id,
            tmux_session,
            initial_prompt: params.initial_prompt,
            trust_accepted,
            startup,
            verification,
            stopped,
        })
    }

    /// Reserves the name, starts Codex and commits the worker.
    async fn begin(
        &self,
        prepared: &Prepared,
        tmux_session: &str,
        params: &CreateWorkerParams,
    ) -> Result<Created> {
        let name = &params.name;
        let _lock = self.locks.of(name).await;
        let folder = Folder::of(&self.root, name);
        let before = self.earlier(&folder, name, params.reuse).await?;
        // A start writes the id of the worker's row into its tmux session. By this mark the session of a
        // failed start is told from one that belongs to somebody else.
        let mark = before.row.as_ref().map(|row| row.id.clone());
        let mine = match &mark {
            Some(mark) if before.never_ran() => end_leftover(prepared, mark).await?,
            _ => prepared.taken.is_none(),
        };
        if !mine {
            return Err(launch::taken(tmux_session));
        }
        // Only a folder that holds nothing of an earlier worker may be deleted after a failure.
        let is_new = before.is_leftover() || !before.has_config && !before.has_history;
        let token = clock::new_id("workerctl");
        let program = words::program(&params.caller);
        let contract = worker_prompts::contract(&Contract {
            program,
            name,
            task: params.task.as_deref().filter(|task| !task.is_empty()),
            token: &token,
            status: &folder.status_file(),
        });
        let contract = findable(contract, &params.caller);
        let worker_id = self.reserve(prepared, tmux_session, &token, &contract, params).await?;
        let begun = async {
            let config = config(prepared, tmux_session, &token, &worker_id, &folder, name);
            self.write_folder(&folder, config.clone(), &contract, params).await?;
            let prompt = match params.initial_prompt {
                true => Some(PromptFile::write(&contract, &self.root, name).map_err(|error| {
                    let message =
                        format!("the first prompt could not be written below {}: {error}", self.root);
                    Error::unavailable(Kind::PromptNotWritten, message).hint("see how full the disk is")
                })?),
                false => None,
            };
            let launch = Launch { extra: &params.codex_args, prompt: prompt.as_ref() };
            faults::reach(CrashPoint::StartWritten);
            let started = self.launch(prepared, tmux_session, &worker_id, launch, &params.caller).await?;
            faults::reach(CrashPoint::PaneStarted);
            Ok((config, started))
        };
        let (config, started) = match begun.await {
            Ok(begun) => begun,
            Err(error) => {
                self.give_up(&worker_id, is_new.then_some(&folder), &error).await;
                return Err(error);
            }
        };
        let subject = Subject {
            name: name.clone(),
            folder,
            config: Some(config),
            session: sessions::Session::unregistered(name, conveyor_proto::types::common::Role::Worker),
        };
        let created = Created { subject, worker_id, started, is_new };
        match self.commit(prepared, tmux_session, &token, created, &params.caller).await {
            Ok(created) => {
                let facts = json!({
                    "contract_path": created.subject.folder.contract(), "cwd": prepared.cwd,
                    "initial_prompt": params.initial_prompt, "task": params.task,
                });
                let folder = created.subject.folder.clone();
                let noted = blocking(move || folder.append_event(FileEvent::Create, facts)).await?;
                noted.map_err(|error| broken(name, &error))?;
                Ok(created)
            }
            // Codex runs, but the rows do not say so. End it, or nobody would know of it.
            Err((created, error)) => Err(self.undo(prepared, &created, error).await),
        }
    }

    /// What an earlier worker of this name has left. A name that is in use is refused.
    async fn earlier(&self, folder: &Folder, name: &str, reuse: bool) -> Result<Earlier> {
        let owned = name.to_owned();
        let (row, session) = self
            .store
            .read(move |connection| {
                Ok::<_, Error>((rows::find(connection, &owned)?, sessions::find(connection, &owned)?))
            })
            .await?;
        let looked_at = folder.clone();
        let (config, events) =
            blocking(move || (looked_at.config(), looked_at.events(None, Some(1)))).await?;
        let earlier = Earlier {
            row,
            has_config: !matches!(config, Ok(None)),
            has_history: events.is_ok_and(|events| !events.events.is_empty()),
        };
        // A session with this name that does not belong to the worker's row was registered separately.
        if let Some(session) = session
            && earlier.row.as_ref().is_none_or(|row| row.id != session.id.as_str())
        {
            let message = format!("{name} is the name of a registered {}", session.role.as_str());
            return Err(Error::conflict(Kind::WorkerExists, message).hint("use another name"));
        }
        // What a failed start has left does not block the name. A worker that did run needs `--reuse`.
        if !reuse && !earlier.is_leftover() && (earlier.has_config || earlier.row.is_some()) {
            return Err(Error::conflict(Kind::WorkerExists, format!("there is a worker {name} already"))
                .hint("--reuse starts it again in its folder"));
        }
        Ok(earlier)
    }

    /// Reserves the name, in one transaction.
    async fn reserve(
        &self,
        prepared: &Prepared,
        tmux_session: &str,
        token: &str,
        contract: &str,
        params: &CreateWorkerParams,
    ) -> Result<String> {
        let prompt = params.initial_prompt.then(|| contract.to_owned());
        let new = new_worker(&params.name, tmux_session, token, prepared, None, WorkerState::Candidate);
        let status = Status {
            state: WorkState::Waiting,
            current_task: Some(params.task.clone().unwrap_or_else(|| NO_TASK.to_owned())),
            next_action: Some(FIRST_ACTION.to_owned()),
            blocker: None,
        };
        self.store
            .write(Durability::Full, move |tx| {
                if rows::of_tmux_session(tx, &new.tmux_session)?.is_some_and(|other| other.name != new.name) {
                    return Err(launch::taken(&new.tmux_session));
                }
                let id = rows::upsert(tx, &new)?;
                rows::insert_status(tx, &id, &status)?;
                let facts = json!({ "cwd": new.cwd, "name": new.name, "tmux_session": new.tmux_session });
                rows::event(tx, Actor::Workerctl, AuditEvent::WorkerCreateRecorded, &id, &facts)?;
                if let Some(content) = &prompt {
                    prompts::insert(
                        tx,
                        &NewPrompt {
                            kind: PromptKind::WorkerContract,
                            content,
                            task_id: None,
                            session_name: &new.name,
                            snapshot: &facts,
                            policy: &json!({}),
                            file: None,
                        },
                    )?;
                }
                Ok(id)
            })
            .await
    }

    /// Writes the files of a new worker.
    async fn write_folder(
        &self,
        folder: &Folder,
        config: Config,
        contract: &str,
        params: &CreateWorkerParams,
    ) -> Result<()> {
        let status = json!({
            "blocker": null, "current_task": params.task.as_deref().unwrap_or(NO_TASK), "last_update": clock::now(),
            "next_action": FIRST_ACTION, "state": WorkState::Waiting,
        });
        let (folder, text) = (folder.clone(), contract.to_owned());
        let written = blocking(move || {
            folder.write_config(&config)?;
            folder.write_status(&status)?;
            folder.write_text("")?;
            folder.forget_capture();
            folder.write_contract(&text)
        });
        written.await?.map_err(|error| broken(&params.name, &error))
    }

    /// Records the running worker in the folder and in the rows.
    async fn commit(
        &self,
        prepared: &Prepared,
        tmux_session: &str,
        token: &str,
        mut created: Created,
        caller: &Caller,
    ) -> std::result::Result<Created, (Created, Error)> {
        let pane = created.started.pane_id;
        let name = created.subject.name.clone();
        let new = new_worker(&name, tmux_session, token, prepared, Some(pane), WorkerState::Active);
        let place = Place {
            tmux_socket: prepared.tmux.server().socket().to_string(),
            tmux_pane_pid: Some(created.started.pane_pid),
            codex_home: registration::codex_home(caller),
        };
        if let Some(config) = &mut created.subject.config {
            config.tmux_pane_id = Some(pane.to_string());
            config.tmux_pane_pid = Some(created.started.pane_pid);
        }
        let (folder, config) = (created.subject.folder.clone(), created.subject.config.clone());
        let stored = async {
            if let Some(config) = config {
                let written = blocking(move || folder.write_config(&config)).await?;
                written.map_err(|error| broken(&name, &error))?;
            }
            self.store
                .write(Durability::Full, move |tx| {
                    let id = store_worker(tx, &new, &place)?;
                    // A worker that is reused has a new Codex, and so a new thread.
                    rows::forget_thread(tx, &id, place.codex_home.as_deref())?;
                    let facts = json!({ "tmux_pane_id": new.tmux_pane_id, "tmux_session": new.tmux_session });
                    rows::event(tx, Actor::Workerctl, AuditEvent::WorkerTmuxStarted, &id, &facts)?;
                    sessions::resolve(tx, &new.name)
                })
                .await
        };
        match stored.await {
            Ok(session) => {
                created.subject.session = session;
                Ok(created)
            }
            Err(error) => Err((created, error)),
        }
    }

    /// Waits for Codex as far as the caller asked. The second value says whether the question of trust was
    /// answered.
    async fn startup(
        &self,
        prepared: &Prepared,
        created: &Created,
        params: &CreateWorkerParams,
    ) -> Result<(Option<Startup>, bool)> {
        let pane = created.started.pane_id;
        let mut accepted = false;
        let mut startup = None;
        // Without either option nobody needs to know how the start ended.
        if params.wait_ready || params.accept_trust {
            let limit =
                if params.wait_ready { Duration::from_secs(params.wait_ready_timeout) } else { TRUST_LIMIT };
            let deadline = Instant::now() + limit;
            let mut watch = Watch::new(
                prepared.tmux.clone(),
                pane,
                created.started.pane_pid,
                params.accept_trust,
                deadline,
            );
            let ended = watch.ready().await?;
            accepted = watch.trust_accepted();
            if accepted {
                self.note(&created.subject, FileEvent::AcceptTrust, json!({})).await;
            }
            let (state, reason) = match ended {
                Ended::Found(shown) => judged(shown.start),
                // Codex has ended, so there is no worker. The error makes `create` undo the start.
                Ended::Stopped(shown) if shown.start == Start::Exited => {
                    return Err(ready::refusal(&params.name, &shown, None));
                }
                Ended::Stopped(shown) => judged(shown.start),
                // No known state by the deadline. Judge by the last rows, and leave the worker as it is.
                Ended::TimedOut(_) => {
                    let text = prepared.tmux.capture(pane, STARTUP_LINES, CaptureStyle::Plain).await?;
                    let (state, reason) = phrases::startup(&text);
                    (state.name(), reason)
                }
            };
            if params.wait_ready {
                startup = Some(self.note_startup(created, state, reason, accepted, params).await?);
            }
        }
        // The pane was kept open so that the output of a failed start could be read. From now on it closes
        // with Codex.
        prepared.tmux.close_with_program(pane).await?;
        Ok((startup, accepted))
    }

    async fn note_startup(
        &self,
        created: &Created,
        state: &str,
        reason: &str,
        trust_accepted: bool,
        params: &CreateWorkerParams,
    ) -> Result<Startup> {
        let action = match state {
            "ready" | "working" => "none",
            "needs_trust" => "trust the folder with --accept-trust, or answer in the pane",
            "needs_answer" => "answer in the pane",
            _ => "look at the pane",
        };
        let startup = Startup {
            startup: state.to_owned(),
            reason: reason.to_owned(),
            recommended_action: action.to_owned(),
            trust_accepted,
            timeout_seconds: params.wait_ready_timeout,
        };
        self.note(&created.subject, FileEvent::WaitReady, json!(startup)).await;
        let Some(mut config) = created.subject.config.clone() else { return Ok(startup) };
        config.startup = Some(state.to_owned());
        config.startup_reason = Some(reason.to_owned());
        config.startup_recommended_action = Some(action.to_owned());
        config.other.insert("startup_checked_at".to_owned(), clock::now().into());
        let _lock = self.locks.of(&params.name).await;
        let folder = created.subject.folder.clone();
        let written = blocking(move || folder.write_config(&config)).await?;
        written.map_err(|error| broken(&params.name, &error))?;
        Ok(startup)
    }

    /// Ends the Codex that was started, and frees the name. Returns the error that was the reason.
    async fn undo(&self, prepared: &Prepared, created: &Created, error: Error) -> Error {
        if let Err(failure) = prepared.tmux.kill_session_by_id(&created.started.session_id).await {
            // The tmux session may have ended by itself. If it still runs, the next create finds it by its
            // mark.
            tracing::debug!(error = %failure, "a worker that did not come up was not ended");
        }
        let folder = created.is_new.then_some(&created.subject.folder);
        self.give_up(&created.worker_id, folder, &error).await;
        error
    }

    /// Frees a reserved name, and deletes the folder that was made for it.
    async fn give_up(&self, worker_id: &str, folder: Option<&Folder>, error: &Error) {
        let folder = folder.cloned();
        let cleared = blocking(move || folder.iter().for_each(Folder::clear)).await;
        let facts = json!({ "error": error.to_string(), "error_type": error.type_name() });
        let id = worker_id.to_owned();
        let written = self.store.write(Durability::Full, move |tx| {
            rows::set_state(tx, &id, WorkerState::Failed)?;
            if sessions::get(tx, &id)?.is_some() {
                sessions::set_gone(tx, &conveyor_proto::ids::SessionId(id.clone()), "start_failed")?;
            }
            Ok::<_, Error>(rows::event(tx, Actor::Workerctl, AuditEvent::WorkerCreateFailed, &id, &facts)?)
        });
        if let Err(error) = written.await.and(cleared) {
            tracing::error!(%error, "a failed create could not be settled; the next one of its name does it");
        }
    }
}

/// What an earlier worker of the same name has left.
struct Earlier {
    row: Option<Worker>,
    has_config: bool,
    has_history: bool,
}

impl Earlier {
    /// Whether no start has led to a running worker since the row was last written.
    fn never_ran(&self) -> bool {
        self.row.as_ref().is_some_and(|row| matches!(row.state, WorkerState::Candidate | WorkerState::Failed))
    }

    /// Whether everything that is left comes from a first start that failed.
    fn is_leftover(&self) -> bool {
        !self.has_history && self.never_ran()
    }
}

const fn judged(start: Start) -> (&'static str, &'static str) {
    match start {
        Start::Ready => (StartupState::Ready.name(), "the composer of Codex is on the screen"),
        Start::Working => (StartupState::Working.name(), "Codex works on a turn that can be interrupted"),
        Start::Trust => (StartupState::NeedsTrust.name(), "Codex asks whether this folder is trusted"),
        Start::Update => ("needs_answer", "Codex offers an update"),
        Start::Hooks => ("needs_answer", "Codex asks to review new hooks"),
        Start::Login => ("needs_answer", "Codex has no login"),
        Start::Plan | Start::RateLimit | Start::Approval | Start::Menu => {
            ("needs_answer", "Codex shows a menu")
        }
        Start::Starting | Start::Exited => {
            (StartupState::Starting.name(), "the output shows no known state yet")
        }
    }
}

fn new_worker(
    name: &str,
    tmux_session: &str,
    token: &str,
    prepared: &Prepared,
    pane: Option<PaneId>,
    state: WorkerState,
) -> NewWorker {
    NewWorker {
        name: name.to_owned(),
        tmux_session: tmux_session.to_owned(),
        tmux_pane_id: pane,
        identity_token: token.to_owned(),
        cwd: prepared.cwd.to_string(),
        state: Some(state),
    }
}

fn config(
    prepared: &Prepared,
    tmux_session: &str,
    token: &str,
    worker_id: &str,
    folder: &Folder,
    name: &str,
) -> Config {
    let other: [(&str, Value); 3] = [
        ("created_at", clock::now().into()),
        ("state_dir", folder.path().as_str().into()),
        ("tmux_target", tmux_session.into()),
    ];
    Config {
        name: Some(name.to_owned()),
        worker_id: Some(worker_id.to_owned()),
        identity_token: Some(token.to_owned()),
        cwd: Some(prepared.cwd.to_string()),
        tmux_session: Some(tmux_session.to_owned()),
        tmux_pane_id: None,
        tmux_pane_pid: None,
        tmux_socket: Some(prepared.tmux.server().socket().to_string()),
        startup: Some("launched".to_owned()),
        startup_reason: Some("Codex was started".to_owned()),
        startup_recommended_action: None,
        other: Map::from_iter(other.map(|(key, value)| (key.to_owned(), value))),
    }
}
