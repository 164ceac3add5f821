//! `capture`: the pane of a worker.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{spans, strong};
use crate::screen::Form;
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::WorkerCapture;
use conveyor_proto::text::printable_lines;
use conveyor_proto::types::worker::{CaptureParams, CaptureResult};

/// Capture the pane of a worker
#[derive(Debug, Args)]
pub(crate) struct CaptureArgs {
    /// Name of the worker
    #[arg(value_name = "NAME")]
    name: String,
    /// Rows of scrollback to capture
    #[arg(long, value_name = "ROWS", default_value_t = 200)]
    lines: u32,
    /// Print the text instead of facts about it
    #[arg(long)]
    include_content: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &CaptureArgs) -> Result<(), CommandError> {
    let params = CaptureParams {
        name: args.name.clone(),
        lines: args.lines,
        include_content: args.include_content,
        caller: helper.caller(),
    };
    if !args.include_content || ui.form() == Form::Json {
        let captured = helper.call_json::<WorkerCapture>(ui, &params).await?;
        return ui.answer(&captured, |captured: &CaptureResult, page| {
            let (lines, bytes) = (captured.line_count, captured.byte_count);
            page.line(spans![strong(&captured.name), format!(": {lines} lines, {bytes} bytes of its pane")]);
            page.fact("file", &captured.transcript_path);
        });
    }
    let captured = helper.call::<WorkerCapture>(ui, &params).await?;
    ui.line(&printable_lines(&captured.content.unwrap_or_default()))
}
