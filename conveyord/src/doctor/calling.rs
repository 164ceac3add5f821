//! `doctor.self`: which Codex session is calling, and whether it can register itself as a worker in tmux.
//!
//! A caller counts as being in a pane only if its process is below the process of that pane. `TMUX_PANE`
//! alone proves nothing: commands under the shared app-server daemon of Codex 0.169 inherit the environment
//! of the TUI that started the daemon.

use super::DoctorContext;
use crate::{
    codex::rollout::discovery,
    error::{Error, Result},
    platform::{self, Pid},
    process,
    sessions::registration,
    store::{self, sessions::Session},
    tmux::{Pane, Tmux, TmuxError, TmuxServer},
    words::{program, shell_word},
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::ids::{PaneId, ThreadId};
use conveyor_proto::types::{
    common::Caller,
    doctor::{CallingThread, RegisteredAs, SelfCheck, SelfParams, SelfResult},
};
use nix::unistd::Uid;
use std::os::unix::fs::PermissionsExt;

/// The checks that must pass before the calling session can be a worker in tmux.
const NEEDED: [&str; 4] = ["workerctl_on_path", "tmux_on_path", "inside_tmux", "current_tmux_session_live"];

/// The pane of the caller, or the reason why it is in none.
enum Place {
    Inside(Box<Pane>),
    Outside(String),
    /// tmux could not be asked, with the reason.
    Unknown(String),
}

/// Answers `doctor.self`.
pub async fn run(context: &DoctorContext, params: &SelfParams) -> Result<SelfResult> {
    let caller = &params.caller;
    let ancestors = ancestors(caller);
    let server = TmuxServer::from_env(
        caller.tmux.as_deref(),
        caller.tmux_tmpdir.as_deref(),
        Uid::effective().as_raw(),
    );
    let tmux = Tmux::new(server.clone(), context.command_timeout);
    let place = place(caller, &ancestors, &tmux).await;
    let pane = match &place {
        Place::Inside(pane) => Some(pane.as_ref()),
        Place::Outside(_) | Place::Unknown(_) => None,
    };
    let thread = calling_thread(&ancestors, pane);
    let session = params.session.clone().filter(|name| !name.is_empty());
    let session = session.or_else(|| pane.map(|pane| pane.session_name.clone()));

    let found = process::find(program(caller), caller);
    let mut checks = vec![
        file_check("workerctl_on_path", found.as_deref()),
        file_check("workerctl_script", beside_the_daemon().as_deref()),
        file_check("tmux_on_path", process::find("tmux", caller).as_deref()),
        file_check("codex_on_path", process::find("codex", caller).as_deref()),
        SelfCheck {
            name: "inside_tmux".to_owned(),
            ok: pane.is_some(),
            session: Some(pane.map(|pane| pane.session_name.clone())),
            error: match &place {
                Place::Inside(_) => None,
                Place::Outside(why) | Place::Unknown(why) => Some(why.clone()),
            },
            ..SelfCheck::default()
        },
    ];
    let skills = Skills::of(caller);
    checks.extend(skills.checks());
    if let Place::Unknown(error) = &place {
        checks.push(SelfCheck {
            name: "tmux_access".to_owned(),
            error: Some(error.clone()),
            ..SelfCheck::default()
        });
    }
    if let Some(session) = &session {
        checks.push(live_check(session, pane, &tmux).await);
    }
    if let Some(found) = &found {
        checks.push(file_check("workerctl_executable", Some(found)));
    }

    let supported = checks.iter().all(|check| check.ok || !NEEDED.contains(&check.name.as_str()));
    let registered_as = registered_as(context, pane, server.socket(), thread.as_ref()).await?;
    Ok(SelfResult {
        supported,
        ok: supported,
        current_session: pane.map(|pane| pane.session_name.clone()),
        current_pane: pane.map(|pane| pane.pane_id.to_string()),
        command_template: template(caller, thread.as_ref(), session.as_deref()),
        follow_up: follow_up(program(caller)),
        codex_app_inbox_guidance: format!(
            "A session without tmux takes part, too: register it without --tmux-session and let it begin each turn \
             with `{} worker-inbox TASK --consume-next --wait --json` (a manager: manager-inbox).",
            program(caller)
        ),
        command_context_note: "The tmux checks are about the process that called, and not about the terminal that is \
                               looked at. A session that runs commands elsewhere is known by its rollout file."
            .to_owned(),
        skill_path: skills.manage.to_string(),
        codex_review_skill_path: skills.review.to_string(),
        codex_review_helper_path: skills.helper.to_string(),
        workerctl_invocation: found.map(|_| program(caller).to_owned()),
        why_or_why_not: why(supported, &checks, &registered_as, program(caller)),
        codex_thread: thread,
        registered_as,
        checks,
    })
}

/// The caller's process and its ancestors of the same user, nearest first. Empty if the caller did not give
/// its process id.
fn ancestors(caller: &Caller) -> Vec<Pid> {
    let own = caller.pid.and_then(|pid| Pid::try_from(pid).ok());
    own.into_iter()
        .flat_map(platform::with_ancestors)
        .take_while(|pid| pid.as_raw() > 1 && platform::same_user(*pid))
        .collect()
}

async fn place(caller: &Caller, ancestors: &[Pid], tmux: &Tmux) -> Place {
    let Some(name) = caller.tmux_pane.as_deref().filter(|pane| !pane.is_empty()) else {
        return Place::Outside("TMUX_PANE is not set: the caller was not started in a pane".to_owned());
    };
    let id: PaneId = match name.parse() {
        Ok(id) => id,
        Err(error) => return Place::Outside(format!("TMUX_PANE: {error}")),
    };
    let Some(own) = ancestors.first() else {
        return Place::Outside(format!(
            "the caller's process is not known, so that it cannot be told whether it is in pane {id}"
        ));
    };
    let pane = match tmux.pane(id).await {
        Ok(Some(pane)) => pane,
        Ok(None) | Err(TmuxError::ServerGone { .. }) => {
            return Place::Outside(format!("pane {id} does not exist on {}", tmux.server()));
        }
        Err(error) => return Place::Unknown(format!("failed to {error}")),
    };
    if ancestors.iter().any(|pid| pid.as_raw() == pane.pane_pid) {
        return Place::Inside(Box::new(pane));
    }
    Place::Outside(format!(
        "process {own} says that it is in pane {id}, and is not below that pane's process {}",
        pane.pane_pid
    ))
}

/// The thread of the nearest ancestor that itself holds a rollout open. In a pane, the search ends at the
/// pane's process. Rollouts that other descendants hold belong to other sessions.
fn calling_thread(ancestors: &[Pid], pane: Option<&Pane>) -> Option<CallingThread> {
    let top = pane.and_then(|pane| ancestors.iter().position(|pid| pid.as_raw() == pane.pane_pid));
    let above = &ancestors[..top.map_or(ancestors.len(), |top| top + 1)];
    above.iter().find_map(|ancestor| {
        let rollout = discovery::choose(discovery::rollouts_held_alone(*ancestor).ok()?).ok()?;
        Some(CallingThread {
            pid: rollout.pid.into(),
            codex_session_id: rollout.meta.thread_id.to_string(),
            codex_session_path: rollout.path.into_string(),
        })
    })
}

/// Active sessions with the caller's thread or in the caller's pane.
async fn registered_as(
    context: &DoctorContext,
    pane: Option<&Pane>,
    socket: &Utf8Path,
    thread: Option<&CallingThread>,
) -> Result<Vec<RegisteredAs>> {
    let pane = pane.map(|pane| pane.pane_id);
    let thread = thread.and_then(|thread| ThreadId::new(thread.codex_session_id.as_str()));
    let socket = socket.to_string();
    let is_own = move |session: &Session| {
        let in_pane = pane.is_some()
            && session.tmux_pane_id == pane
            && session.tmux_socket.as_deref().is_none_or(|stored| stored == socket);
        in_pane
            || thread.is_some() && [&session.codex_session_id, &session.current_thread_id].contains(&&thread)
    };
    let active =
        context.store.read(|connection| Ok::<_, Error>(store::sessions::active(connection)?)).await?;
    let own = active.into_iter().filter(is_own);
    Ok(own.map(|session| RegisteredAs { name: session.name, role: session.role }).collect())
}

/// Whether the given tmux session runs and is the caller's own. Text that is sent to a different one reaches
/// somebody else.
async fn live_check(session: &str, own: Option<&Pane>, tmux: &Tmux) -> SelfCheck {
    let (ok, error) = match tmux.session(session).await {
        Ok(Some(found)) if !found.dead => {
            // tmux sessions of one group share their panes under several names (tmux(1), `new-session -t`).
            let other = own.filter(|own| own.session_name != session && own.pane_id != found.pane_id);
            let error = other.map(|own| format!("the caller is in session {}", own.session_name));
            (error.is_none(), error)
        }
        Ok(Some(_)) => (false, Some("the program in it has ended".to_owned())),
        Ok(None) | Err(TmuxError::ServerGone { .. }) => {
            (false, Some(format!("there is no such session on {}", tmux.server())))
        }
        Err(error) => (false, Some(format!("failed to {error}"))),
    };
    SelfCheck {
        name: "current_tmux_session_live".to_owned(),
        ok,
        session: Some(Some(session.to_owned())),
        error,
        ..SelfCheck::default()
    }
}

fn file_check(name: &str, found: Option<&Utf8Path>) -> SelfCheck {
    SelfCheck {
        name: name.to_owned(),
        ok: found.is_some(),
        path: Some(found.map(Utf8Path::to_string)),
        ..SelfCheck::default()
    }
}

/// The command line tool that was installed together with this daemon.
fn beside_the_daemon() -> Option<Utf8PathBuf> {
    let daemon = Utf8PathBuf::from_path_buf(std::env::current_exe().ok()?).ok()?;
    Some(daemon.with_file_name("conveyorctl")).filter(|path| path.is_file())
}

/// The paths of the skills in the caller's Codex home.
struct Skills {
    manage: Utf8PathBuf,
    review: Utf8PathBuf,
    helper: Utf8PathBuf,
}

impl Skills {
    fn of(caller: &Caller) -> Self {
        let home = registration::codex_home(caller).unwrap_or_else(|| "~/.codex".to_owned());
        let skills = Utf8PathBuf::from(home).join("skills");
        Self {
            manage: skills.join("manage-codex-workers/SKILL.md"),
            review: skills.join("codex-review/SKILL.md"),
            helper: skills.join("codex-review/scripts/codex-review"),
        }
    }

    fn checks(&self) -> [SelfCheck; 3] {
        let runs =
            self.helper.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
        [
            ("manage_skill_installed", &self.manage, self.manage.is_file()),
            ("codex_review_skill_installed", &self.review, self.review.is_file()),
            ("codex_review_helper_installed", &self.helper, runs),
        ]
        .map(|(name, path, ok)| SelfCheck { ok, ..file_check(name, Some(path)) })
    }
}

/// The command line that registers the caller. Unknown values stand in angle brackets.
fn template(caller: &Caller, thread: Option<&CallingThread>, session: Option<&str>) -> String {
    let pid = thread.map_or_else(|| "<PID>".to_owned(), |thread| thread.pid.to_string());
    let word = |known: Option<&str>, unknown: &str| known.map_or_else(|| unknown.to_owned(), shell_word);
    format!(
        "{} register-worker --name <NAME> --pid {pid} --cwd {} --tmux-session {}",
        program(caller),
        word(caller.cwd.as_deref(), "<CWD>"),
        word(session, "<SESSION>")
    )
}

fn follow_up(program: &str) -> Vec<String> {
    vec![
        format!("Let a manager register itself: `{program} register-manager --name <MANAGER> --pid <PID>`."),
        format!(
            "Create a task and bind the pair: `{program} tasks --create <TASK> --goal \"<GOAL>\"`, then \
             `{program} bind --task <TASK> --worker <NAME> --manager <MANAGER>`."
        ),
        format!("The manager looks at the worker with `{program} cycle <TASK>`."),
    ]
}

fn why(supported: bool, checks: &[SelfCheck], registered: &[RegisteredAs], program: &str) -> String {
    let failed: Vec<&str> =
        checks.iter().filter(|check| !check.ok).map(|check| check.name.as_str()).collect();
    let mut why = if supported {
        "This session can register itself as a worker in tmux.".to_owned()
    } else {
        "This session cannot register itself as a worker in tmux.".to_owned()
    };
    if !failed.is_empty() {
        why.push_str(&format!(" Checks that failed: {}.", failed.join(", ")));
    }
    if !registered.is_empty() {
        let names: Vec<String> =
            registered.iter().map(|own| format!("{} ({})", own.name, own.role.as_str())).collect();
        why.push_str(&format!(" It is registered as {}.", names.join(", ")));
    }
    if !supported {
        why.push_str(&format!(" A manager needs no tmux: `{program} register-manager`."));
    }
    why
}
