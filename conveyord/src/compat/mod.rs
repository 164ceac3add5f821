//! Imports what agent-conveyor 0.1.0 (in this room: the reference) has left: worker folders and a whole
//! database, in one transaction.
//!
//! The sources are only read. What must not live here: SQL; the rows of an import are written by
//! `store::import`.

mod folders;
mod follow;
#[cfg(test)]
mod tests;

use crate::{
    error::{Error, Result},
    refusal::Kind,
    store::{
        Durability, Store, Tx,
        event_names::{AuditEvent, TelemetryEvent},
        import::{self, Content, Imported, Source},
        log::{self, Actor, Event, Run, Telemetry},
    },
    words::names::{self, Is},
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::types::compat::{
    ConvertedRows, DatabaseImport, ImportParams, ImportResult, WorkerImport,
};
use folders::Folder;
use rusqlite::Connection;
use serde_json::json;

/// The name of the reference's database in a state root.
const DATABASE: &str = "workerctl.db";

/// Imports the sources, or tells what an import would do.
///
/// # Errors
/// `nothing_to_import`, `relative_path`, `invalid_path`, `invalid_worker_folder`, `import_conflict`, `import_not_verified`, and the refusals
/// of the source database. After an error nothing is written.
pub async fn import(store: &Store, params: ImportParams) -> Result<ImportResult> {
    if params.root.is_none() && params.database.is_none() {
        return Err(Error::invalid(Kind::NothingToImport, "neither a state root nor a database is named"));
    }
    // The daemon's own folder is none of the caller's business: a path says where it begins.
    names::check_if(Is::Path("state root"), params.root.as_deref())?;
    names::check_if(Is::Path("database"), params.database.as_deref())?;
    let (apply, ours) = (params.apply, store.path().to_owned());
    let sources = store.read(move |connection| Sources::read(connection, &params, &ours)).await?;
    if apply {
        return store.write(Durability::FullBulk, move |tx| sources.write(tx)).await;
    }
    store.read(move |connection| sources.look(connection)).await
}

/// Whether an import is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Look,
    Write,
}

/// The sources of an import, read before anything is written.
struct Sources {
    root: Option<Utf8PathBuf>,
    folders: Vec<Folder>,
    database: Option<Content>,
}

impl Sources {
    fn read(connection: &Connection, params: &ImportParams, ours: &Utf8Path) -> Result<Self> {
        // Links are resolved, because the answer shows the root so.
        let root = params.root.as_deref().map(Utf8Path::new);
        let root = root.map(|root| root.canonicalize_utf8().unwrap_or_else(|_| root.to_owned()));
        let worker = params.worker.as_deref();
        let folders = root.as_deref().map_or_else(|| Ok(Vec::new()), |root| folders::read(root, worker))?;
        let database = match (&params.database, &root) {
            (Some(named), _) => Some(Source::open(Utf8Path::new(named))?),
            (None, Some(root)) if worker.is_none() => of_root(root, ours)?,
            _ => None,
        };
        let database = database.map(|source| Content::read(connection, source)).transpose()?;
        Ok(Self { root, folders, database })
    }

    fn look(self, connection: &Connection) -> Result<ImportResult> {
        let database = match &self.database {
            Some(content) => Some(import::look(connection, content)?.report),
            None => None,
        };
        let workers = self.folders.iter().map(|folder| folder.look(connection)).collect::<Result<_>>()?;
        Ok(self.result(Pass::Look, database, workers))
    }

    /// Writes the database first. A folder that belongs to one of its workers is then matched with that
    /// worker.
    fn write(self, tx: &Tx<'_>) -> Result<ImportResult> {
        let database = match &self.database {
            Some(content) => Some(write_database(tx, content)?),
            None => None,
        };
        let workers: Vec<_> = self.folders.iter().map(|folder| folder.write(tx)).collect::<Result<_>>()?;
        if workers.iter().any(|worker| worker.action_count > 0) {
            import::settle::mirror_legacy_rows(tx)?;
        }
        Ok(self.result(Pass::Write, database, workers))
    }

    fn result(
        self,
        pass: Pass,
        database: Option<DatabaseImport>,
        workers: Vec<WorkerImport>,
    ) -> ImportResult {
        let root = self.root.map(Utf8PathBuf::into_string);
        ImportResult {
            apply: pass == Pass::Write,
            root,
            worker_count: workers.len() as u64,
            workers,
            database,
        }
    }
}

/// The reference's database in a state root, unless it is the database of this daemon.
fn of_root(root: &Utf8Path, ours: &Utf8Path) -> Result<Option<Source>> {
    let path = root.join(DATABASE);
    let same = |a: &Utf8Path, b: &Utf8Path| a.canonicalize_utf8().ok() == b.canonicalize_utf8().ok();
    if !path.exists() || same(&path, ours) {
        return Ok(None);
    }
    Source::open(&path).map(Some)
}

fn write_database(tx: &Tx<'_>, content: &Content) -> Result<DatabaseImport> {
    let Imported { mut report, sessions } = import::import(tx, content)?;
    if report.already_imported {
        return Ok(report);
    }
    let mirrored = import::settle::mirror_legacy_rows(tx)?;
    let given_up = follow::settle(tx, &sessions)?;
    for (what, rows) in [
        ("sessions made of legacy workers and managers", mirrored),
        ("active sessions now gone, since another has their thread", given_up),
    ] {
        if rows > 0 {
            let converted = ConvertedRows { table: "sessions".to_owned(), what: what.to_owned(), rows };
            report.converted.push(converted);
        }
    }
    record(tx, &report)?;
    Ok(report)
}

/// Records the import itself in audit and telemetry.
fn record(tx: &Tx<'_>, report: &DatabaseImport) -> Result<()> {
    let rows: u64 = report.tables.iter().map(|table| table.new).sum();
    let facts = json!({
        "path": report.path, "renamed": report.renamed, "renumbered": report.renumbered, "rows": rows,
        "schema_version": report.schema_version,
    });
    let (actor, task_id, command_id, correlation_id) = (Actor::Workerctl, None, None, None);
    let (kind, payload) = (AuditEvent::DatabaseImported, facts.clone());
    log::event(tx, &Event { actor, kind, task_id, command_id, correlation_id, payload })?;
    log::telemetry(
        tx,
        &Telemetry {
            actor,
            kind: TelemetryEvent::DatabaseImported,
            summary: format!("A database of agent-conveyor was imported: {rows} rows."),
            task_id,
            run: Run::Active,
            correlation: json!({}),
            attributes: facts,
        },
    )?;
    Ok(())
}
