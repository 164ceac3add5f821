//! `import-compat`: bring over what agent-conveyor 0.1.0 left.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, bad, left, right, row, spans, strong, waiting};
use crate::ui::Ui;
use crate::values::{absolute_if_given, given};
use clap::Args;
use conveyor_proto::registry::CompatImport;
use conveyor_proto::types::compat::{DatabaseImport, ImportParams, ImportResult};

/// Bring over worker folders and a database of agent-conveyor 0.1.0
///
/// Without --apply it is only told what would be written. Files are read, never changed. What was imported once is not
/// imported again.
#[derive(Debug, Args)]
pub(crate) struct ImportCompatArgs {
    /// Write it, all in one transaction
    #[arg(long)]
    apply: bool,
    /// Only the folder of this worker, and no database
    #[arg(long, value_name = "NAME")]
    worker: Option<String>,
    /// State root of the reference: its worker folders and its workerctl.db [default: the state root]
    #[arg(long, value_name = "DIR")]
    root: Option<String>,
    /// A database of the reference; without --root nothing else is imported
    #[arg(long, value_name = "FILE")]
    database: Option<String>,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &ImportCompatArgs) -> Result<(), CommandError> {
    let database = absolute_if_given(args.database.as_deref())?;
    let worker = given(args.worker.as_deref());
    let root = match absolute_if_given(args.root.as_deref())? {
        None if database.is_none() || worker.is_some() => Some(helper.caller_root()?.to_string()),
        root => root,
    };
    let params = ImportParams { apply: args.apply, root, worker, database };
    let imported = helper.call_json::<CompatImport>(ui, &params).await?;
    ui.answer(&imported, |imported: &ImportResult, page| report(imported, page))
}

fn report(imported: &ImportResult, page: &mut Page) {
    page.line(if imported.apply { "imported:" } else { "would be imported; nothing was written:" });
    page.fact_if("from", imported.root.as_deref());
    let workers = imported.workers.iter().map(|one| row![&one.worker, one.action_count.to_string()]);
    page.table([left("WORKER FOLDER"), right("ACTIONS")], workers, "no worker folders");
    if let Some(database) = &imported.database {
        page.gap();
        rows(database, page);
    }
    if !imported.apply {
        page.line("the same with --apply writes it");
    }
}

fn rows(database: &DatabaseImport, page: &mut Page) {
    page.line(spans!["database ", strong(&database.path)]);
    if database.already_imported {
        page.line("it was imported before; nothing is left to do");
    }
    let some =
        database.tables.iter().filter(|one| one.new + one.already_there + one.conflicts + one.skipped > 0);
    let rows = some.map(|one| {
        let conflicts = one.conflicts.to_string();
        let conflicts = if one.conflicts > 0 { bad(conflicts).into() } else { conflicts.into() };
        [
            one.table.as_str().into(),
            one.new.to_string().into(),
            one.already_there.to_string().into(),
            conflicts,
            one.skipped.to_string().into(),
        ]
    });
    let columns = [left("TABLE"), right("NEW"), right("THERE"), right("CONFLICTS"), right("LEFT OUT")];
    page.table(columns, rows, "no rows");
    for one in &database.skipped {
        page.item(format!("{}: {} rows left out: {}", one.table, one.rows, one.reason));
    }
    for one in &database.conflicts {
        page.item(spans![
            bad("conflict"),
            format!(": {} {} in {}", one.table, one.id, one.columns.join(", "))
        ]);
    }
    for one in &database.renamed {
        page.item(format!("{} {}: {} becomes {}", one.table, one.id, one.from, one.to));
    }
    let goes_on = database.pending_commands + database.pending_notifications;
    if goes_on > 0 {
        page.line(waiting(format!("{goes_on} commands and notifications wait, and are dispatched")));
    }
}
