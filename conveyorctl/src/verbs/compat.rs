//! `import-compat`: bring over what agent-conveyor 0.1.0 left.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use crate::values::{absolute_if_given, given};
use clap::Args;
use conveyor_proto::registry::CompatImport;
use conveyor_proto::types::compat::ImportParams;

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
    ui.json(&imported)
}
