//! `config`: show the settings in force.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, left, row};
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::ConfigShow;
use conveyor_proto::text::printable;
use conveyor_proto::types::common::Empty;
use serde_json::Value;

/// Show the daemon's settings, and where each came from
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {}

pub(crate) async fn run(
    ui: &mut Ui,
    helper: &Helper,
    ConfigArgs {}: &ConfigArgs,
) -> Result<(), CommandError> {
    let settings = helper.call_json::<ConfigShow>(ui, &Empty {}).await?;
    ui.answer_or_text(&settings, lines, table)
}

/// A setting or a file: its name, its value, and where that came from.
struct Row {
    name: String,
    value: String,
    source: Option<String>,
}

/// The settings and the files, by name.
fn rows(settings: &Value) -> Vec<Row> {
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut rows = Vec::new();
    for (name, setting) in settings.as_object().into_iter().flatten() {
        match (setting.get("value"), setting.get("source")) {
            (Some(value), Some(source)) => {
                rows.push(Row { name: name.clone(), value: plain(value), source: Some(plain(source)) });
            }
            _ => {
                let files = setting.as_object().into_iter().flatten();
                rows.extend(files.map(|(file, path)| Row {
                    name: format!("{name}.{file}"),
                    value: plain(path),
                    source: None,
                }));
            }
        }
    }
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    rows
}

/// A line per setting with name, value and source, and a line per file with name and path.
fn lines(settings: &Value) -> String {
    let line = |row: Row| {
        let source = row.source.map(|source| format!("\t{}", printable(&source))).unwrap_or_default();
        format!("{}\t{}{source}\n", row.name, printable(&row.value))
    };
    rows(settings).into_iter().map(line).collect()
}

fn table(settings: &Value, page: &mut Page) {
    let rows = rows(settings).into_iter().map(|row| row![row.name, row.value, row.source]);
    page.table([left("SETTING"), left("VALUE"), left("FROM")], rows, "no settings");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_setting_is_a_line_with_its_source() {
        let settings = json!({
            "watch": { "value": true, "source": "default" },
            "log": { "value": "info", "source": "environment" },
            "files": { "root": "/s", "database": "/s/conveyor.db" },
        });
        assert_eq!(
            lines(&settings),
            "files.database\t/s/conveyor.db\nfiles.root\t/s\nlog\tinfo\tenvironment\nwatch\ttrue\tdefault\n"
        );
    }
}
