//! Checks of what Conveyor needs: tools, folders, the daemon's own state, the database. Nothing is changed
//! here.
//!
//! What belongs to the caller, such as its `PATH` and its folder, is checked from the caller's side, not from
//! the daemon's.

mod background_loops;
pub mod calling;
pub mod database;
mod disk_space;
mod panes;
mod pending_sessions;
mod tmux_servers;
pub(crate) mod tools;
mod watch_limit;
mod workers;

use crate::{
    background::Loops,
    codex::program::newest_tried,
    error::Error,
    process,
    sessions::app_servers::AppServers,
    store::{
        self, Store,
        health::{Depth, Health},
        sessions::Session,
    },
    under_way::UnderWay,
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::types::{
    daemon::{AppServerStatus, DeliveryCounts},
    doctor::{DoctorCheck, DoctorParams, DoctorResult},
};
use std::{collections::BTreeMap, time::Duration};

/// The services that the checks use.
#[derive(Debug, Clone)]
pub struct DoctorContext {
    pub store: Store,
    pub state_root: Utf8PathBuf,
    /// Time limit of each program that a check runs.
    pub command_timeout: Duration,
    /// The names of sessions that are being started.
    pub starting: UnderWay<String>,
    /// The background loops.
    pub loops: Loops,
    /// The connections to Codex's app-servers.
    pub app_servers: AppServers,
}

/// Answers `doctor.run`. A problem with tools, folders or the database file is no error; it stands in the
/// result.
pub async fn run(context: &DoctorContext, params: &DoctorParams) -> Result<DoctorResult, Error> {
    let cwd = params.cwd.as_deref().or(params.caller.cwd.as_deref()).unwrap_or("/");
    let mut checks = BTreeMap::new();
    let mut tmux = None;
    for (tool, version_flag) in [("tmux", "-V"), ("codex", "--version")] {
        let found = process::find(tool, &params.caller);
        if let Some(program) = &found {
            let version =
                tools::version(program, version_flag, &params.caller, context.command_timeout).await;
            let tried = (tool == "codex").then(newest_tried);
            let message =
                tried.map(|tried| format!("the newest version that this one was tried with is {tried}"));
            checks.insert(
                format!("{tool}_version"),
                DoctorCheck { message: version.message.or(message), ..version },
            );
        }
        checks.insert(tool.to_owned(), tool_check(tool, found.as_deref()));
        if tool == "tmux" {
            tmux = found;
        }
    }
    checks.insert("target_cwd_exists".to_owned(), folder_check(Utf8Path::new(cwd)));
    let required_ok = checks.values().all(|check| check.ok);

    checks.insert("state_root_exists".to_owned(), folder_check(&context.state_root));
    checks.insert("disk_space".to_owned(), disk_space::check(context.store.path()));
    checks.insert("daemon".to_owned(), daemon_check());
    let Stored { database, sessions, deliveries, damage } = stored(context).await?;
    let loops = background_loops::check(&context.loops.status(), &sessions);
    let daemon_ok = database.ok && loops.ok;
    checks.insert("database".to_owned(), database);
    checks.insert("background_loops".to_owned(), loops);
    checks.insert("watch_limit".to_owned(), watch_limit::check(sessions.len()).await);
    checks.insert("panes".to_owned(), panes::check(&sessions, context.command_timeout).await);
    checks.insert("pending_sessions".to_owned(), pending_sessions::check(&context.store, &sessions).await?);
    if let Some(program) = tmux {
        let servers = tmux_servers::check(&sessions, &program, &params.caller, context.command_timeout).await;
        checks.insert("tmux_servers".to_owned(), servers);
    }
    checks.insert("app_servers".to_owned(), app_servers_check(&context.app_servers.told()));
    checks.insert("deliveries".to_owned(), deliveries_check(deliveries));
    checks.insert("rollouts".to_owned(), rollouts_check(damage));
    Ok(DoctorResult {
        checks,
        ok: required_ok && daemon_ok,
        project_root: cwd.to_owned(),
        workers: workers::list(&context.state_root, &params.caller, context.command_timeout).await,
        deliveries,
    })
}

/// Which app-servers of Codex were seen. It always passes: a Codex may work without one.
fn app_servers_check(servers: &[AppServerStatus]) -> DoctorCheck {
    let told = servers.iter().map(|server| {
        let standing = if server.connected { "connected" } else { "gone" };
        let version = server.version.as_deref().unwrap_or("of an unknown version");
        let process = server.pid.map(|pid| format!(", process {pid}")).unwrap_or_default();
        format!(
            "{} {standing}: Codex {version}{process}, generation {}, since {}",
            server.codex_home, server.generation, server.since
        )
    });
    let told: Vec<String> = told.collect();
    let value = if told.is_empty() { "none seen".to_owned() } else { told.join("; ") };
    DoctorCheck { ok: true, value: Some(value), ..DoctorCheck::default() }
}

fn tool_check(tool: &str, found: Option<&Utf8Path>) -> DoctorCheck {
    DoctorCheck {
        ok: found.is_some(),
        path: Some(found.map(Utf8Path::to_string)),
        message: found
            .is_none()
            .then(|| format!("{tool} is not on PATH: install it, or add its folder to PATH")),
        ..DoctorCheck::default()
    }
}

fn folder_check(folder: &Utf8Path) -> DoctorCheck {
    DoctorCheck { ok: folder.is_dir(), path: Some(Some(folder.to_string())), ..DoctorCheck::default() }
}

/// The check of the daemon. It always passes, since the daemon is running this code.
fn daemon_check() -> DoctorCheck {
    let value = format!("version {}, process {}", env!("CARGO_PKG_VERSION"), std::process::id());
    DoctorCheck { ok: true, value: Some(value), ..DoctorCheck::default() }
}

/// What the database says.
struct Stored {
    database: DoctorCheck,
    /// The active sessions.
    sessions: Vec<Session>,
    /// The deliveries that wait.
    deliveries: DeliveryCounts,
    /// How many parts of rollouts are damaged, and of how many sessions.
    damage: (u64, u64),
}

async fn stored(context: &DoctorContext) -> Result<Stored, Error> {
    context
        .store
        .read_anew(|connection| {
            let health = store::health::check(connection, Depth::BRIEF)?;
            let sessions = store::sessions::active(connection)?;
            Ok(Stored {
                database: database_check(&health),
                sessions,
                deliveries: store::deliveries::counts(connection)?,
                damage: store::damage::counts(connection)?,
            })
        })
        .await
}

fn database_check(health: &Health) -> DoctorCheck {
    let failed: Vec<&str> =
        health.checks.iter().filter(|check| !check.ok).map(|check| check.name.as_str()).collect();
    DoctorCheck {
        ok: health.is_ok(),
        value: Some(format!("schema version {}", health.user_version)),
        message: (!failed.is_empty())
            .then(|| format!("not well: {}; `conveyorctl db-doctor` tells more", failed.join(", "))),
        ..DoctorCheck::default()
    }
}

fn rollouts_check((parts, sessions): (u64, u64)) -> DoctorCheck {
    let message = || {
        format!(
            "{parts} parts of the rollouts of {sessions} sessions are damaged; `conveyorctl reconcile` names file and \
             offset of each"
        )
    };
    DoctorCheck { ok: parts == 0, message: (parts > 0).then(message), ..DoctorCheck::default() }
}

fn deliveries_check(counts: DeliveryCounts) -> DoctorCheck {
    let kinds = [
        ("held", counts.held, counts.oldest_held_seconds),
        ("uncertain", counts.uncertain, counts.oldest_uncertain_seconds),
        ("failed", counts.failed, counts.oldest_failed_seconds),
    ];
    let told = kinds.map(|(word, count, oldest)| match oldest.filter(|_| count > 0) {
        Some(oldest) => format!("{count} {word} (oldest {oldest} s)"),
        None => format!("{count} {word}"),
    });
    let listings: Vec<String> = kinds
        .iter()
        .filter(|(_, count, _)| *count > 0)
        .map(|(word, ..)| format!("`conveyorctl commands --state {word}`"))
        .collect();
    let mut message = format!("{} shows what did not arrive for certain", listings.join(", "));
    if counts.uncertain + counts.failed > 0 {
        message.push_str("; `conveyorctl commands retry ID --reason TEXT` or `discard` settles each");
    }
    DoctorCheck {
        ok: listings.is_empty(),
        value: Some(told.join(", ")),
        message: (!listings.is_empty()).then_some(message),
        ..DoctorCheck::default()
    }
}

#[cfg(test)]
mod tests;
