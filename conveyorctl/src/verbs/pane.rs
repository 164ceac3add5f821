//! `classify`: run the classifiers on a text.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{spans, state, strong, waiting};
use crate::ui::Ui;
use crate::values::given;
use clap::Args;
use conveyor_proto::registry::PaneClassify;
use conveyor_proto::types::rollout::{ClassifyParams, ClassifyResult};

/// Run the pane classifiers on a text
///
/// The text comes from --text, else from --file, else from standard input.
#[derive(Debug, Args)]
pub(crate) struct ClassifyArgs {
    /// Text of a pane
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// File with the text of a pane
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
    /// Title of the pane
    #[arg(long, value_name = "TITLE")]
    title: Option<String>,
    /// Age of the worker's last sign of life
    #[arg(long, value_name = "SECONDS", default_value_t = 90)]
    status_age_seconds: i64,
    /// Age from which waiting is notable
    #[arg(long, value_name = "SECONDS", default_value_t = 90)]
    busy_wait_seconds: i64,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &ClassifyArgs) -> Result<(), CommandError> {
    let params = ClassifyParams {
        text: text(ui, args)?,
        title: args.title.clone(),
        status_age_seconds: args.status_age_seconds,
        busy_wait_seconds: args.busy_wait_seconds,
    };
    let classified = helper.call_json::<PaneClassify>(ui, &params).await?;
    ui.answer(&classified, |classified: &ClassifyResult, page| {
        page.line(spans!["it shows ", strong(&classified.shows)]);
        page.fact("start-up", spans![state(&classified.startup), format!(": {}", classified.startup_reason)]);
        if let Some(notable) = &classified.busy_wait {
            page.fact("notable", spans![waiting(&notable.pattern), format!(": {}", notable.reason)]);
            page.fact("to do", &notable.recommended_action);
        }
    })
}

/// The text to classify. A pane may show anything, so bytes that are not UTF-8 are replaced.
fn text(ui: &mut Ui, args: &ClassifyArgs) -> Result<String, CommandError> {
    if let Some(text) = &args.text {
        return Ok(text.clone());
    }
    let bytes = match given(args.file.as_deref()) {
        Some(path) => std::fs::read(&path)
            .map_err(|error| CommandError::failed("input", format!("failed to read {path}: {error}")))?,
        None => ui.read_input()?,
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
