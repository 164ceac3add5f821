//! systemd's user units: `conveyord.service` and the socket that starts it.

use super::{CommandLine, Folders, Settings, arguments};
use camino::Utf8PathBuf;
use conveyor_proto::types::daemon::StartedBy;

pub(super) const SERVICE: &str = "conveyord.service";
pub(super) const SOCKET: &str = "conveyord.socket";

const SERVICE_TEMPLATE: &str = include_str!("../../../launchd/conveyord.service");
const SOCKET_TEMPLATE: &str = include_str!("../../../launchd/conveyord.socket");

pub(super) fn paths(folders: &Folders) -> Vec<Utf8PathBuf> {
    let units = folders.config.join("systemd/user");
    vec![units.join(SERVICE), units.join(SOCKET)]
}

pub(super) fn texts(settings: &Settings) -> Vec<String> {
    let arguments = arguments(settings, StartedBy::Systemd.as_str(), SERVICE);
    // In a command line of a unit a dollar begins a variable (systemd.service(5)).
    let command: Vec<String> = arguments.iter().map(|word| quoted(word).replace('$', "$$")).collect();
    let environment: Vec<String> = settings
        .variables
        .iter()
        .map(|(name, value)| format!("Environment={}", quoted(&format!("{name}={value}"))))
        .collect();
    let service = SERVICE_TEMPLATE
        .replace("@COMMAND@", &command.join(" "))
        .replace("@ENVIRONMENT@", &environment.join("\n"));
    // This value is the rest of the line, so it is not quoted.
    let socket = SOCKET_TEMPLATE.replace("@SOCKET@", &percents(settings.files.socket().as_str()));
    vec![service, socket]
}

pub(super) fn command(arguments: &[&str]) -> CommandLine {
    ["systemctl", "--user"].iter().chain(arguments).map(|word| (*word).to_owned()).collect()
}

/// Quotes one word of a value that is a list of words.
fn quoted(word: &str) -> String {
    format!("\"{}\"", percents(word).replace('\\', "\\\\").replace('"', "\\\""))
}

/// Doubles percent signs: in a unit file a percent sign begins a specifier (systemd.unit(5)).
fn percents(text: &str) -> String {
    text.replace('%', "%%")
}
