//! Registering, listing and deregistering sessions.

use crate::{
    clock,
    codex::home::{self, is_codex},
    codex::rollout::{
        discovery::{self, choose, read_session_meta, rollouts_held_by},
        file::{self, RolloutFile},
        meta::SessionMeta,
    },
    error::{Error, Result},
    platform::{self, Pid, ProcessStart},
    refusal::{Kind, Refusal},
    sessions::{awaited::Awaited, locate, others::Others, pane},
    store::{
        Durability, Store, Tx, bindings,
        commands::{self, NewCommand},
        event_names::AuditEvent,
        log::{self, Actor, Event},
        rollouts,
        sessions::{self, Filter, Registration, Session},
    },
    tmux::{Pane, Tmux, TmuxServer, active_pane, stored_name},
    words::{
        names::{self, Is},
        shown,
    },
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::{
    ids::TaskId,
    types::{
        common::{Caller, Communication, DeliveryMode, Role},
        session::{
            DeregisterResult, ListParams, RegisterParams, RegisterResult, RolloutState, SessionRow,
            SessionState,
        },
    },
};
use serde_json::json;
use std::time::Duration;

/// What is known of a session before anything is written.
struct Found {
    registration: Registration,
    pane: Option<Pane>,
    rollout_len: Option<(u64, (u64, u64))>,
    warnings: Vec<String>,
}

/// Registers a session, or renews its registration.
///
/// # Errors
/// `invalid_name`, `invalid_tmux_session`, `relative_path`, `pid_or_rollout_needed`, `invalid_pid`,
/// `pid_dead`, `pid_of_other_user`, `rollout_invalid`, `rollout_not_found`, `role_differs`, `thread_taken`.
pub async fn register(store: &Store, params: RegisterParams, time_limit: Duration) -> Result<RegisterResult> {
    names::session(&params.name)?;
    let found = find(store, &params, time_limit).await?;
    let program = params.caller.program.clone();
    let takeover = if params.replace { Takeover::Allowed } else { Takeover::Refused };
    let Found { registration, pane, rollout_len, warnings } = found;
    let new = registration.clone();
    let (session, task) = store
        .write(Durability::Full, move |tx| {
            let session = store_registration(tx, &new, takeover, rollout_len, None)?;
            let binding = bindings::open_of_session(tx, &session.id)?;
            Ok::<_, Error>((session, binding.map(|binding| binding.task_id)))
        })
        .await?;
    let pending = session.is_pending();
    let pending_because =
        if pending { Some(Awaited::now(store, session.clone()).await?.to_string()) } else { None };
    Ok(RegisterResult {
        session_id: session.id.clone(),
        name: session.name.clone(),
        role: session.role,
        pid: session.pid,
        codex_session_id: registration.codex_session_id.map(|thread| thread.0),
        codex_session_path: registration.codex_session_path,
        cwd: session.cwd.clone(),
        tmux_session: session.tmux_session.clone(),
        tmux_pane_id: pane.map(|pane| pane.pane_id),
        rollout_state: if pending { RolloutState::Pending } else { RolloutState::Ready },
        pending_because,
        communication: communication(&session, task.as_ref().map(TaskId::as_str), program.as_deref()),
        warnings,
    })
}

async fn find(store: &Store, params: &RegisterParams, time_limit: Duration) -> Result<Found> {
    let mut warnings = Vec::new();
    let pid = params.pid.map(checked_pid).transpose()?;
    let tmux_session = params.tmux_session.clone().filter(|name| !name.is_empty());
    names::check_if(Is::TmuxSession, tmux_session.as_deref())?;
    names::check_if(Is::Path("working directory"), params.cwd.as_deref().filter(|cwd| !cwd.is_empty()))?;
    let place = match (tmux_session, pid) {
        (None, _) => Place::default(),
        (Some(name), Some(pid)) => place_of(pid, name, &params.caller, time_limit, &mut warnings).await,
        (Some(name), None) => place_named(name, &params.caller, time_limit, &mut warnings).await,
    };
    let pane = place.pane;
    let home = home_of(pid, &params.caller).await?;
    let (rollout, holder) = match (params.codex_session.clone().filter(|path| !path.is_empty()), pid) {
        (Some(path), _) => (Some(of_file(&path)?), None),
        (None, Some(pid)) => of_process(store, pid, params, pane.as_ref(), home.as_deref()).await?,
        (None, None) => {
            return Err(Error::invalid(Kind::PidOrRolloutNeeded, "a process or a rollout is needed")
                .hint("--pid PID of Codex or of a process above it, or --codex-session FILE"));
        }
    };
    let owner = holder.or(pid);
    let cwd = params
        .cwd
        .clone()
        .filter(|cwd| !cwd.is_empty())
        .or_else(|| rollout.as_ref().and_then(|(_, meta)| meta.cwd.clone()))
        .unwrap_or_default();
    let path = rollout.as_ref().map(|(path, _)| path.clone());
    let codex_home = path.as_deref().and_then(locate::codex_home_of).map(|home| home.to_string()).or(home);
    let of = path.clone();
    let rollout_len = tokio::task::spawn_blocking(move || of.as_deref().and_then(file_state)).await?;
    let registration = Registration {
        name: params.name.clone(),
        role: params.role,
        tmux_socket: place.server.map(|server| server.socket().to_string()),
        tmux_session: place.tmux_session,
        tmux_pane_id: pane.as_ref().map(|pane| pane.pane_id),
        tmux_pane_pid: pane.as_ref().map(|pane| pane.pane_pid),
        codex_session_path: path.map(|path| path.to_string()),
        codex_session_id: rollout.map(|(_, meta)| meta.thread_id.clone()),
        codex_home,
        pid: owner.map(i64::from),
        pid_start: owner.and_then(platform::process_start_time).map(|start| start.0),
        cwd,
    };
    Ok(Found { registration, pane, rollout_len, warnings })
}

/// Where a session is registered in tmux: nowhere, in a pane, or under the name of a tmux session that has none.
#[derive(Debug, Default)]
struct Place {
    server: Option<TmuxServer>,
    tmux_session: Option<String>,
    pane: Option<Pane>,
}

/// The place of a process whose tmux session was named.
///
/// The pane of the process counts, and not the active pane of that tmux session: it may belong to another window, whose
/// shell would run what is sent. A process in no pane has no place, as the name alone would lead to somebody else's.
async fn place_of(
    pid: Pid,
    name: String,
    caller: &Caller,
    time_limit: Duration,
    warnings: &mut Vec<String>,
) -> Place {
    let (server, pane) = match pane::holding(pid, caller, time_limit).await {
        Ok(Some(found)) => found,
        Ok(None) => {
            warnings.push(format!(
                "process {pid} runs in no pane of tmux session {}, nor in one of another tmux server that was found: it \
                 is registered without a pane, and nothing is typed",
                shown(&name)
            ));
            return Place::default();
        }
        Err(error) => {
            warnings.push(format!(
                "tmux could not be asked for the pane of process {pid}: {error}. It is registered without one, and \
                 nothing is typed until it is registered again"
            ));
            return Place::default();
        }
    };
    let tmux_session = if pane.session_name == stored_name(&name) {
        name
    } else {
        warnings.push(format!(
            "process {pid} runs in tmux session {}, and not in {}: it is registered with the pane that it runs in",
            shown(&pane.session_name),
            shown(&name)
        ));
        pane.session_name.clone()
    };
    Place { server: Some(server), tmux_session: Some(tmux_session), pane: Some(pane) }
}

/// The place of a session without a process: the active pane of the tmux session that was named stands for it.
async fn place_named(
    name: String,
    caller: &Caller,
    time_limit: Duration,
    warnings: &mut Vec<String>,
) -> Place {
    let server = pane::server_of_caller(caller);
    let pane = match Tmux::new(server.clone(), time_limit).panes().await {
        Ok(panes) => {
            let named = active_pane(&panes, &name).cloned();
            if named.is_none() {
                let name = shown(&name);
                warnings.push(format!("tmux session {name} is not running; nothing can be sent to it"));
            }
            named
        }
        Err(error) => {
            warnings.push(format!("tmux could not be asked for session {}: {error}", shown(&name)));
            None
        }
    };
    Place { server: Some(server), tmux_session: Some(name), pane }
}

/// The length of a rollout, and the device and inode of its file. A compressed one is read for that, so it may block.
#[must_use]
pub fn file_state(path: &Utf8Path) -> Option<(u64, (u64, u64))> {
    let file = RolloutFile::open(path).ok()?;
    Some((file.plain_len().ok()?, file.identity()))
}

/// The caller's Codex home: `CODEX_HOME` if the caller has it, else `.codex` in its home folder.
#[must_use]
pub fn codex_home(caller: &Caller) -> Option<String> {
    caller
        .codex_home
        .clone()
        .filter(|home| !home.is_empty())
        .or_else(|| caller.home.as_ref().map(|home| Utf8Path::new(home).join(".codex").to_string()))
}

/// The Codex home of the Codex that runs below a process; where the process does not tell it, the caller's.
async fn home_of(pid: Option<Pid>, caller: &Caller) -> Result<Option<String>> {
    let told = tokio::task::spawn_blocking(move || pid.and_then(home::of_process)).await?;
    Ok(told.map(Utf8PathBuf::into_string).or_else(|| codex_home(caller)))
}

fn checked_pid(pid: i64) -> Result<Pid> {
    let checked = Pid::try_from(pid).map_err(|error| Error::invalid(Kind::InvalidPid, error.to_string()))?;
    if !platform::is_alive(checked, None) {
        return Err(Error::invalid(Kind::PidDead, format!("process {pid} does not run"))
            .hint("--pid takes the process of Codex or one above it, such as tmux's pane_pid"));
    }
    if !platform::same_user(checked) {
        return Err(Error::refused(Kind::PidOfOtherUser, format!("process {pid} belongs to another user")));
    }
    Ok(checked)
}

type Rollout = (Utf8PathBuf, SessionMeta);

fn of_file(path: &str) -> Result<Rollout> {
    names::check(Is::Path("rollout"), path)?;
    let path = Utf8Path::new(path);
    let meta = read_session_meta(path).map_err(|error| match error.of_machine() {
        Some(refusal) => refusal.into(),
        None => Error::invalid(Kind::RolloutInvalid, error.to_string()),
    })?;
    if let Some(whose) = meta.kind.whose() {
        let message = format!("rollout {} belongs to {whose}, and no session is in it", shown(path.as_str()));
        return Err(
            Error::invalid(Kind::RolloutInvalid, message).hint("give the rollout of the conversation")
        );
    }
    // Links are resolved, so that two names of one file are one session.
    Ok((file::canonical(path), meta))
}

/// The rollout of a process tree, and the process that holds it open. None if Codex has not written a rollout
/// yet: the session is then registered as pending.
async fn of_process(
    store: &Store,
    pid: Pid,
    params: &RegisterParams,
    pane: Option<&Pane>,
    home: Option<&str>,
) -> Result<(Option<Rollout>, Option<Pid>)> {
    let held = tokio::task::spawn_blocking(move || rollouts_held_by(pid)).await?;
    let held = held.map_err(|error| {
        let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
        match source.and_then(Refusal::of_machine) {
            Some(refusal) => refusal.into(),
            None => Error::unavailable(Kind::RolloutNotFound, error.to_string()),
        }
    })?;
    if let Some(refusal) = held.of_machine() {
        return Err(refusal.into());
    }
    let none = match choose(held) {
        Ok(found) => return Ok((Some((found.path, found.meta)), Some(found.pid))),
        Err(none) => none,
    };
    if let Some(rollout) = on_daemon(store, pid, params, pane, home).await? {
        return Ok((Some(rollout), None));
    }
    let home = home.map(str::to_owned);
    if tokio::task::spawn_blocking(move || looks_like_codex(pid, home.as_deref())).await? {
        return Ok((None, None));
    }
    Err(Error::not_found(Kind::RolloutNotFound, none.to_string())
        .hint("type something into Codex and try again, or give the file with --codex-session"))
}

/// The rollout of the thread that the shared app-server daemon of Codex 0.169 holds for a process tree. A name that
/// is registered again keeps its thread while the same Codex runs.
async fn on_daemon(
    store: &Store,
    pid: Pid,
    params: &RegisterParams,
    pane: Option<&Pane>,
    home: Option<&str>,
) -> Result<Option<Rollout>> {
    let Some(home) = home.map(str::to_owned) else { return Ok(None) };
    let server = pane::server_of_caller(&params.caller);
    let mut session = pending_session(&params.name, params.role, &home);
    session.pid = Some(pid.into());
    session.tmux_pane_id = pane.map(|pane| pane.pane_id);
    session.tmux_socket = Some(server.socket().to_string());
    let (others, title) = (Others::now(store, Some(server)).await?, pane.map(|pane| pane.title.clone()));
    let name = params.name.clone();
    let before = store.read(move |connection| Ok::<_, Error>(sessions::find(connection, &name)?)).await?;
    let look = move || {
        if let Some(before) = before.filter(|before| is_same_codex(before, pid))
            && before.codex_home.as_deref() == Some(home.as_str())
            && before.codex_session_id.as_ref().is_some_and(|thread| !others.have(thread, &session))
        {
            session.codex_session_id = before.codex_session_id;
            session.codex_session_path = before.codex_session_path;
        }
        let path = locate::locate(&session, title.as_deref(), &others)?.path?;
        let meta = read_session_meta(&path).ok()?;
        Some((path, meta))
    };
    Ok(tokio::task::spawn_blocking(look).await?)
}

/// Whether the Codex that a session was registered with, or that its rollout was last read of, is the one that runs
/// below a process now.
fn is_same_codex(before: &Session, pid: Pid) -> bool {
    let (Some(known), Some(at)) = (
        before.pid.and_then(|known| Pid::try_from(known).ok()),
        before.last_heartbeat_at.as_deref().and_then(clock::parse),
    ) else {
        return false;
    };
    let below = platform::descendants(pid).unwrap_or_default();
    let is_related = known == pid
        || below.contains(&known)
        || platform::descendants(known).unwrap_or_default().contains(&pid);
    // The process may be a shell in which another Codex was started since.
    let mut programs = below.into_iter().chain([pid]).filter(|pid| is_codex(*pid));
    is_related
        && platform::is_alive(known, before.pid_start.map(ProcessStart))
        && programs.all(|pid| platform::started_at(pid).is_some_and(|started| started <= at))
}

/// A session row that is not stored, by which a thread can be looked for.
#[must_use]
pub fn pending_session(name: &str, role: Role, home: &str) -> Session {
    Session { codex_home: Some(home.to_owned()), ..Session::unregistered(name, role) }
}

/// Whether a process tree is a Codex that waits for its first input: it holds the writer lock of a thread, or
/// runs a program named `codex`.
fn looks_like_codex(pid: Pid, home: Option<&str>) -> bool {
    let locked = home.is_some_and(|home| {
        discovery::threads_locked_by(Utf8Path::new(home), pid).is_ok_and(|threads| !threads.is_empty())
    });
    locked || platform::descendants(pid).unwrap_or_default().into_iter().chain([pid]).any(is_codex)
}

/// Whether a thread that another session has may be taken over from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takeover {
    Refused,
    Allowed,
}

/// Stores a registration. `rollout` is the length of the file with its device and inode. `via` names the verb
/// that started the session, if one did.
///
/// # Errors
/// `role_differs`, `thread_taken`, `session_bound`.
pub fn store_registration(
    tx: &Tx<'_>,
    new: &Registration,
    takeover: Takeover,
    rollout: Option<(u64, (u64, u64))>,
    via: Option<&str>,
) -> Result<Session> {
    let role = new.role;
    if let Some(existing) = sessions::find(tx, &new.name)?
        && existing.role != role
    {
        let message =
            format!("session {} is registered as {}; a role is for ever", new.name, existing.role.as_str());
        return Err(Error::conflict(Kind::RoleDiffers, message).hint("use another name"));
    }
    // One thread belongs to one session. It can be taken over, unless the other session is bound.
    if let Some(thread) = &new.codex_session_id {
        let others: Vec<Session> = sessions::active_on_thread(tx, thread)?
            .into_iter()
            .filter(|session| session.name != new.name)
            .collect();
        for other in others {
            if takeover == Takeover::Refused {
                let message = format!(
                    "Codex session {} is registered as {} already",
                    shown(thread.as_str()),
                    other.name
                );
                return Err(Error::conflict(Kind::ThreadTaken, message)
                    .hint(format!("`deregister {}`, or take it over with --replace", other.name)));
            }
            if bindings::open_of_session(tx, &other.id)?.is_some() {
                let message = format!("session {} is bound; it cannot be replaced", other.name);
                return Err(Error::conflict(Kind::SessionBound, message).hint("unbind its task first"));
            }
            sessions::set_gone(tx, &other.id, "replaced")?;
        }
    }
    let id = sessions::upsert(tx, new)?;
    if let (Some(path), Some((len, identity))) = (&new.codex_session_path, rollout) {
        let before = rollouts::active(tx, &id, path)?;
        // A file that is shorter than what was read is not read any more. Registering again starts a new
        // reading of it.
        if before.is_some_and(|rollout| rollout.read_offset > len) {
            let thread = new.codex_session_id.clone().unwrap_or_default();
            rollouts::begin_generation(tx, &id, &thread, path, Some(identity), "registered_again")?;
        }
        sessions::take_offset_of(tx, &id, path)?;
    }
    let mut payload = json!({
        "name": new.name, "role": role, "session_id": id, "pid": new.pid,
        "codex_session_id": new.codex_session_id,
    });
    if let Some(via) = via {
        payload["via"] = via.into();
    }
    let (actor, kind) = (Actor::Workerctl, AuditEvent::SessionRegistered);
    log::event(tx, &Event { actor, kind, task_id: None, command_id: None, correlation_id: None, payload })?;
    sessions::get(tx, id.as_str())?
        .ok_or_else(|| Error::not_found(Kind::UnknownSession, "the session was not stored"))
}

/// How messages reach a session. `task` is the task that it is bound to.
#[must_use]
pub fn communication(session: &Session, task: Option<&str>, program: Option<&str>) -> Communication {
    let program = program.unwrap_or("conveyorctl");
    let polling = "--consume-next --wait --timeout 60 --json";
    let command = match task {
        Some(task) => format!("{program} {}-inbox {task} {polling}", session.role.as_str()),
        None => format!("{program} session-inbox {} {polling}", session.name),
    };
    let (kind, style, mode) = if session.has_tmux() {
        ("tmux", "push", DeliveryMode::Push)
    } else {
        ("codex_app", "pull", DeliveryMode::PullRequired)
    };
    Communication {
        session_kind: kind.to_owned(),
        receive_style: style.to_owned(),
        delivery_mode: mode,
        inbox_command: Some(command),
    }
}

pub async fn list(store: &Store, params: ListParams) -> Result<Vec<SessionRow>> {
    store
        .read(move |connection| {
            let filter = Filter {
                role: params.role,
                state: params.state,
                include_legacy: params.include_legacy,
                names: params.names,
            };
            let program = params.caller.program.as_deref();
            let mut rows = Vec::new();
            for session in sessions::list(connection, &filter)? {
                let binding = bindings::open_of_session(connection, &session.id)?;
                let task = binding.as_ref().map(|binding| binding.task_id.as_str());
                let communication = communication(&session, task, program);
                rows.push(row(session, communication, Token::asked(params.show_identity_token)));
            }
            Ok(rows)
        })
        .await
}

/// Whether a listing shows the identity token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    Shown,
    Redacted,
}

impl Token {
    /// What a caller has asked for.
    #[must_use]
    pub const fn asked(show: bool) -> Self {
        if show { Self::Shown } else { Self::Redacted }
    }
}

/// A session as it is listed.
#[must_use]
pub fn row(session: Session, communication: Communication, token: Token) -> SessionRow {
    let pending = session.is_pending();
    SessionRow {
        id: session.id,
        name: session.name,
        role: session.role,
        state: session.state,
        cwd: session.cwd,
        registered_at: session.registered_at,
        identity_token: match token {
            Token::Shown => session.identity_token,
            Token::Redacted => "[REDACTED]".to_owned(),
        },
        pid: session.pid,
        last_ingest_offset: session.last_ingest_offset,
        tmux_session: session.tmux_session,
        tmux_pane_id: session.tmux_pane_id,
        codex_session_path: session.codex_session_path,
        codex_session_id: session.codex_session_id.map(|thread| thread.0),
        last_heartbeat_at: session.last_heartbeat_at,
        gone_reason: session.gone_reason,
        rollout_state: if pending { RolloutState::Pending } else { RolloutState::Ready },
        communication,
    }
}

/// Marks a session as gone. Deregistering it a second time changes nothing.
///
/// # Errors
/// `unknown_session`; `session_bound`, which is also recorded as a failed command.
pub async fn deregister(store: &Store, name: String) -> Result<DeregisterResult> {
    store.write(Durability::Full, move |tx| deregister_in(tx, &name)).await?
}

/// The outer result is that of the transaction: the refusal of a bound session is recorded, so it must
/// commit.
fn deregister_in(tx: &Tx<'_>, name: &str) -> Result<Result<DeregisterResult>> {
    let session = sessions::resolve(tx, name)?;
    if session.state == SessionState::Gone {
        let name = session.name;
        return Ok(Ok(DeregisterResult { name, state: SessionState::Gone, already_gone: true }));
    }
    let binding = bindings::open_of_session(tx, &session.id)?;
    let task_id = binding.as_ref().map(|binding| binding.task_id.as_str());
    let active = binding.as_ref().map(|binding| json!({ "id": binding.id, "task_id": binding.task_id }));
    let expected_failure = binding.is_some();
    let id = commands::insert(
        tx,
        &NewCommand {
            kind: "deregister_session",
            task_id,
            binding_id: None,
            correlation_id: None,
            idempotency_key: None,
            required_permission: None,
            payload: json!({
                "active_binding": active, "expected_failure": expected_failure, "name": session.name,
                "role": session.role,
            }),
        },
    )?;
    commands::mark_attempted(tx, &id)?;
    let event = |kind, payload| {
        let (task_id, command_id) = (task_id, Some(id.as_str()));
        log::event(
            tx,
            &Event { actor: Actor::Workerctl, kind, task_id, command_id, correlation_id: None, payload },
        )
    };
    if let Some(binding) = &binding {
        let message =
            format!("session {} is bound to task {} (binding {})", session.name, binding.task_id, binding.id);
        let error = Error::conflict(Kind::SessionBound, message)
            .hint(format!("`unbind --task {}` first", binding.task_id));
        event(
            AuditEvent::SessionDeregisterFailed,
            json!({
                "active_binding": active, "error": error.to_string(), "error_type": error.type_name(),
                "expected_failure": true, "name": session.name,
            }),
        )?;
        let result = json!({
            "active_binding": active, "command_id": id, "expected_failure": true, "name": session.name,
        });
        commands::fail(tx, &id, Some(&result), &error.to_string())?;
        return Ok(Err(error));
    }
    sessions::set_gone(tx, &session.id, "deregistered")?;
    event(AuditEvent::SessionDeregistered, json!({ "name": session.name }))?;
    commands::succeed(tx, &id, &json!({ "command_id": id, "name": session.name, "state": "gone" }))?;
    Ok(Ok(DeregisterResult { name: session.name, state: SessionState::Gone, already_gone: false }))
}
