//! One start, from its row in `session_starts` to the registered session.

use super::{
    Request, Spawner,
    prepare::{Earlier, Prepared, kill_command},
    search::{Found, Search, StartedPane},
    warnings::Warning,
};
use crate::{
    clock,
    codex::{
        launch::{Options, PromptFile},
        launch_pane::{Launch, Style},
        ready::{self, Ended, Watch},
        rollout::appearances::Appearances,
    },
    error::{Error, Result},
    faults::{self, CrashPoint},
    platform::{self, Pid},
    refusal::Kind,
    sessions::{
        others::Others,
        registration::{Takeover, codex_home, file_state, store_registration},
    },
    store::{
        Durability,
        prompts::{self, NewPrompt},
        session_starts::{self, End, NewStart, SessionStart},
        sessions::{self, Registration, Session},
    },
    tmux::{Tmux, TmuxError},
    words::{self, shell_word},
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::ids::PaneId;
use tokio::time::Instant;

#[derive(Debug, Clone)]
pub struct Started {
    pub session: Session,
    pub sandbox: Option<String>,
    /// Codex's approval policy.
    pub approval: Option<String>,
    /// Whether an earlier call has started the Codex.
    pub resumed: bool,
    /// Whether the question of trust was answered for the user.
    pub trust_accepted: bool,
    /// Warnings for the caller.
    pub warnings: Vec<Warning>,
}

/// The pane in which Codex was started.
struct Spawned {
    start: SessionStart,
    session_id: String,
    pane_id: PaneId,
    pane_pid: i32,
    resumed: bool,
}

impl Spawner {
    /// Starts a prepared session, or goes on with its earlier start, and registers it. A start that fails is
    /// ended, unless the caller wants to keep it or the daemon ends.
    ///
    /// # Errors
    /// `needs_trust`, `update_offered`, `hooks_review`, `login_needed` and the kinds of other menus;
    /// `codex_exited`, `start_timed_out`, `daemon_ending`, and those of a registration.
    pub async fn begin(&self, request: Request, prepared: Prepared) -> Result<Started> {
        let options = request.options(&self.config).for_version(prepared.program.version);
        // The file of the prompt is named after the start. A start that goes on has the id of its
        // earlier call.
        let argument_id = match &prepared.earlier {
            Earlier::Pane(start, _) => start.id.clone(),
            Earlier::None | Earlier::Stale(_) => session_starts::new_id(),
        };
        let root = &self.config.files.root;
        let prompt = PromptFile::write(&request.prompt.text, root, &argument_id).map_err(|error| {
            let message = format!("the first prompt could not be written below {root}: {error}");
            Error::unavailable(Kind::PromptNotWritten, message).hint("see how full the disk is")
        })?;
        let spawned = match &prepared.earlier {
            // An earlier call has made this pane and was cut off before it registered the session.
            Earlier::Pane(start, pane) => {
                self.note_pane(&start.id, pane.pane_id, pane.pane_pid).await?;
                Spawned {
                    start: start.clone(),
                    session_id: pane.session_id.clone(),
                    pane_id: pane.pane_id,
                    pane_pid: pane.pane_pid,
                    resumed: true,
                }
            }
            Earlier::None => self.spawn(&request, &prepared, None, argument_id, &prompt, &options).await?,
            Earlier::Stale(stale) => {
                self.spawn(&request, &prepared, Some(&stale.id), argument_id, &prompt, &options).await?
            }
        };
        let begun = self.follow(&request, &prepared, &spawned, &prompt, &options).await;
        match begun {
            Ok(started) => Ok(started),
            // The Codex goes on running. The same call to the next daemon goes on with this start.
            Err(error) if error.kind() == Kind::DaemonEnding => Err(error),
            Err(error) => Err(self.give_up(&request, &prepared.tmux, &spawned, error).await),
        }
    }

    /// Writes the start down, then makes its pane.
    async fn spawn(
        &self,
        request: &Request,
        prepared: &Prepared,
        stale: Option<&str>,
        id: String,
        prompt: &PromptFile,
        options: &Options,
    ) -> Result<Spawned> {
        let tmux = &prepared.tmux;
        let tmux_session = request.tmux_session();
        let launch = Launch {
            tmux,
            program: &prepared.program,
            cwd: &prepared.cwd,
            tmux_session: &tmux_session,
            mark: &id,
            style: Style::Session,
            options,
            prompt: Some(prompt),
            caller: &request.caller,
            state_root: &self.config.files.root,
            left_behind: prepared.left_behind.as_deref(),
        };
        let ready = launch.ready().await;
        // The row is written before the pane is made: a crash between the two leaves a row that leads to the
        // pane.
        let start = self.write_down(request, prepared, stale, id.clone(), prompt).await?;
        faults::reach(CrashPoint::StartWritten);
        let made = match ready.start().await {
            Ok(made) => made,
            Err(error) => {
                // If tmux may have made the pane although the call failed, the row stays open. The same call
                // again then finds the pane by its mark.
                if !error.may_have_acted() {
                    self.end(&start.id, End::Failed, Kind::TmuxFailed).await;
                }
                return Err(error.into());
            }
        };
        faults::reach(CrashPoint::PaneStarted);
        self.note_pane(&start.id, made.pane_id, made.pane_pid).await?;
        let (session_id, pane_id, pane_pid) = (made.session_id, made.pane_id, made.pane_pid);
        Ok(Spawned { start, session_id, pane_id, pane_pid, resumed: false })
    }

    async fn write_down(
        &self,
        request: &Request,
        prepared: &Prepared,
        stale: Option<&str>,
        id: String,
        prompt: &PromptFile,
    ) -> Result<SessionStart> {
        let (request, stale) = (request.clone(), stale.map(str::to_owned));
        let (cwd, socket) = (prepared.cwd.to_string(), prepared.tmux.server().socket().to_string());
        let (tmux_session, file) = (request.tmux_session(), Some(prompt.path().to_string()));
        self.store
            .write(Durability::Full, move |tx| {
                // The index `session_starts_open` allows one open start for each name, so the earlier one
                // ends here.
                if let Some(stale) = &stale {
                    session_starts::ended(tx, stale, End::Abandoned, "pane_gone")?;
                }
                let new = NewStart {
                    name: &request.name,
                    role: request.role,
                    via: request.via,
                    task_id: request.task.as_ref(),
                    cwd: &cwd,
                    tmux_socket: &socket,
                    tmux_session: &tmux_session,
                };
                let start = session_starts::begin(tx, &id, &new)?;
                let prompt = NewPrompt {
                    kind: request.prompt.kind,
                    content: &request.prompt.text,
                    task_id: request.task.as_ref(),
                    session_name: &request.name,
                    snapshot: &request.prompt.snapshot,
                    policy: &request.prompt.policy,
                    file: file.as_deref(),
                };
                prompts::insert(tx, &prompt)?;
                Ok::<_, Error>(start)
            })
            .await
    }

    async fn note_pane(&self, id: &str, pane: PaneId, pid: i32) -> Result<()> {
        let id = id.to_owned();
        let write = self
            .store
            .write(Durability::Full, move |tx| Ok::<_, Error>(session_starts::set_pane(tx, &id, pane, pid)?));
        write.await
    }

    /// Waits for the session's rollout, then registers the session.
    async fn follow(
        &self,
        request: &Request,
        prepared: &Prepared,
        spawned: &Spawned,
        prompt: &PromptFile,
        options: &Options,
    ) -> Result<Started> {
        let home = codex_home(&request.caller).map(Utf8PathBuf::from).ok_or_else(|| {
            Error::invalid(Kind::CodexHomeUnknown, "the caller names neither CODEX_HOME nor HOME")
        })?;
        // `codex resume` appends to the rollout of an older thread, so the age of the file proves nothing.
        let resumes = options.extra.first().is_some_and(|first| first == "resume");
        let since = if resumes { None } else { clock::parse(&spawned.start.created_at) };
        let pane = StartedPane {
            id: spawned.pane_id,
            pid: spawned.pane_pid,
            socket: prepared.tmux.server().socket().to_string(),
        };
        let search = Search::new(&request.name, request.role, &home, pane, &prompt.argument(), since);
        let deadline = Instant::now() + request.time_limit();
        let tmux = prepared.tmux.clone();
        let accept_trust = request.codex.accept_trust;
        let mut watch = Watch::new(tmux.clone(), spawned.pane_id, spawned.pane_pid, accept_trust, deadline);
        let mut appearances = Appearances::below(&home);
        let look = |shown: ready::Shown| {
            let (search, store, server) = (search.clone(), self.store.clone(), tmux.server().clone());
            async move {
                let others = Others::now(&store, Some(server)).await.ok()?;
                let looked = tokio::task::spawn_blocking(move || search.look(&shown.title, &others));
                looked.await.ok().flatten()
            }
        };
        let waited = tokio::select! {
            waited = watch.found(Some(&mut appearances), look) => waited?,
            () = self.ending.cancelled() => {
                let message = format!("the daemon ends while session {} starts", request.name);
                return Err(Error::unavailable(Kind::DaemonEnding, message).hint("the same call again goes on with it"));
            }
        };
        let found = match waited {
            Ended::Found(found) => found,
            // Codex has ended, or shows a question that only a person may answer.
            Ended::Stopped(shown) => return Err(ready::refusal(&request.name, &shown, None)),
            Ended::TimedOut(shown) => {
                let seconds = request.time_limit().as_secs();
                return Err(ready::refusal(&request.name, &shown, Some(seconds)));
            }
        };
        faults::reach(CrashPoint::RolloutFound);
        let session = self.register_started(request, prepared, spawned, &home, &found, options).await?;
        // If this fails, the pane stays on the screen after Codex has ended. Nothing else depends on it.
        if let Err(error) = tmux.close_with_program(spawned.pane_id).await {
            tracing::warn!(%error, "a pane will stay when its program ends");
        }
        let (run_with, program) = (options.clone(), words::program(&request.caller).to_owned());
        let warnings = tokio::task::spawn_blocking(move || Warning::of(&run_with, &program, &home)).await?;
        Ok(Started {
            session,
            sandbox: options.sandbox.clone().filter(|value| !value.is_empty()),
            approval: options.approval.clone().filter(|value| !value.is_empty()),
            resumed: spawned.resumed,
            trust_accepted: watch.trust_accepted(),
            warnings,
        })
    }

    async fn register_started(
        &self,
        request: &Request,
        prepared: &Prepared,
        spawned: &Spawned,
        home: &Utf8Path,
        found: &Found,
        options: &Options,
    ) -> Result<Session> {
        // With the shared app-server daemon no process of the pane holds the rollout. The pane's process
        // stands for the session then.
        let pid = found.holder.or_else(|| Pid::try_from(i64::from(spawned.pane_pid)).ok());
        let registration = Registration {
            name: request.name.clone(),
            role: request.role,
            tmux_session: Some(spawned.start.tmux_session.clone()),
            tmux_pane_id: Some(spawned.pane_id),
            tmux_pane_pid: Some(spawned.pane_pid),
            tmux_socket: Some(prepared.tmux.server().socket().to_string()),
            codex_session_path: Some(found.path.to_string()),
            codex_session_id: Some(found.thread_id.clone()),
            codex_home: Some(home.to_string()),
            pid: pid.map(i64::from),
            pid_start: pid.and_then(platform::process_start_time).map(|start| start.0),
            cwd: prepared.cwd.to_string(),
        };
        let (start, via) = (spawned.start.id.clone(), request.via);
        let (sandbox, approval) = (options.sandbox.clone(), options.approval.clone());
        let rollout = file_state(&found.path);
        self.store
            .write(Durability::Full, move |tx| {
                let session = store_registration(tx, &registration, Takeover::Refused, rollout, Some(via))?;
                sessions::set_launch(tx, &session.id, sandbox.as_deref(), approval.as_deref())?;
                session_starts::registered(tx, &start, &session.id)?;
                Ok::<_, Error>(session)
            })
            .await
    }

    /// Ends a Codex that has led to no session, unless the caller wants to keep it. The error tells which of
    /// the two was done.
    async fn give_up(&self, request: &Request, tmux: &Tmux, spawned: &Spawned, error: Error) -> Error {
        let kind = error.kind();
        let (name, session) = (&request.name, &spawned.start.tmux_session);
        let end_it = kill_command(tmux.server().socket().as_str(), session);
        // The row stays open as `kept`. The same call again goes on with this pane.
        if request.codex.keep {
            self.end(&spawned.start.id, End::Kept, kind).await;
            return error.and(&format!(
                "; it was left running (look at it: tmux -S {} attach -t '={session}'; the same call again goes on \
                 with it; end it: {end_it})",
                shell_word(tmux.server().socket().as_str())
            ));
        }
        match tmux.kill_session_by_id(&spawned.session_id).await {
            Ok(()) => {
                self.end(&spawned.start.id, End::Failed, kind).await;
                error.and(&format!("; it was ended, and the name {name} is free"))
            }
            // Codex has ended by itself, and its tmux session with it.
            Err(failure) if is_gone(&failure) => {
                self.end(&spawned.start.id, End::Failed, kind).await;
                error.and(&format!("; the name {name} is free"))
            }
            // Codex may still run. The row stays open, so that the same call again finds the pane.
            Err(failure) => {
                error.and(&format!("; it could not be ended ({failure}), do it yourself: {end_it}"))
            }
        }
    }

    async fn end(&self, id: &str, end: End, kind: Kind) {
        let id = id.to_owned();
        let written = self.store.write(Durability::Full, move |tx| {
            Ok::<_, Error>(session_starts::ended(tx, &id, end, kind.as_str())?)
        });
        if let Err(error) = written.await {
            tracing::error!(%error, "the end of a start could not be written; the next one of its name settles it");
        }
    }
}

fn is_gone(error: &TmuxError) -> bool {
    matches!(error, TmuxError::SessionMissing { .. } | TmuxError::ServerGone { .. })
}
