//! `config`: show the settings in force.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::ConfigShow;
use conveyor_proto::text::printable;
use conveyor_proto::types::common::Empty;
use serde_json::Value;

/// Show the daemon's settings, and where each came from
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &ConfigArgs) -> Result<(), CommandError> {
    let settings = helper.call_json::<ConfigShow>(ui, &Empty {}).await?;
    if args.json { ui.json(&settings) } else { ui.text(&lines(&settings)) }
}

/// A line per setting with name, value and source, and a line per file with name and path.
fn lines(settings: &Value) -> String {
    let plain = |value: &Value| match value {
        Value::String(text) => printable(text).into_owned(),
        other => other.to_string(),
    };
    let mut lines = Vec::new();
    for (name, setting) in settings.as_object().into_iter().flatten() {
        match (setting.get("value"), setting.get("source")) {
            (Some(value), Some(source)) => {
                lines.push(format!("{name}\t{}\t{}\n", plain(value), plain(source)))
            }
            _ => {
                let files = setting.as_object().into_iter().flatten();
                lines.extend(files.map(|(file, path)| format!("{name}.{file}\t{}\n", plain(path))));
            }
        }
    }
    lines.sort();
    lines.concat()
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
