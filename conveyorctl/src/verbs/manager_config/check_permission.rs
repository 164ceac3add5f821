//! `manager-permission`: tell what the configuration of a task grants.

use crate::error::{CommandError, ExitStatus};
use crate::helper::Helper;
use crate::page::{Page, bad, good, spans, strong};
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::{ManagerConfigCheckPermission, ManagerConfigListPermissions};
use conveyor_proto::types::manager_config::{CheckPermissionParams, ListPermissionsParams, PermissionResult};

/// Tell whether the configuration of a task grants a permission; the question is recorded
#[derive(Debug, Args)]
pub(crate) struct ManagerPermissionArgs {
    /// Task, by name or id
    #[arg(value_name = "TASK")]
    task: String,
    /// Permission, as CATEGORY.ACTION or by an alias; with --list a category
    #[arg(value_name = "ACTION")]
    action: String,
    /// List what is granted in the category
    #[arg(long)]
    list: bool,
    /// Ask for a recorded handoff too; not with --list
    #[arg(long)]
    require_handoff: bool,
    /// End with exit code 1 when it is not granted
    #[arg(long)]
    require: bool,
}

pub(crate) async fn run(
    ui: &mut Ui,
    helper: &Helper,
    args: &ManagerPermissionArgs,
) -> Result<(), CommandError> {
    let (task, action, require_handoff) = (args.task.clone(), args.action.clone(), args.require_handoff);
    let answer = if args.list {
        let params = ListPermissionsParams { task, category: action, require_handoff };
        helper.call_json::<ManagerConfigListPermissions>(ui, &params).await?
    } else {
        let params = CheckPermissionParams { task, action, require_handoff };
        helper.call_json::<ManagerConfigCheckPermission>(ui, &params).await?
    };
    ui.answer(&answer, |checked: &PermissionResult, page| told(checked, page))?;
    if args.require && answer["allowed"] != true {
        return Err(CommandError::reported(ExitStatus::Failed));
    }
    Ok(())
}

fn told(checked: &PermissionResult, page: &mut Page) {
    let verdict = if checked.allowed { good("granted") } else { bad("not granted") };
    let action = strong(&checked.action);
    match &checked.listed_permissions {
        None => page.line(spans![action, " of task ", &checked.task.name, " is ", verdict]),
        Some(granted) if granted.is_empty() => page.line(spans!["nothing is granted in ", action]),
        Some(granted) => page.line(spans!["granted in ", action, format!(": {}", granted.join(", "))]),
    }
    if !checked.reasons.is_empty() {
        page.fact("why", checked.reasons.join(", "));
    }
}
