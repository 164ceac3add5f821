//! launchd's agent, with the socket that starts it.

use super::{CommandLine, Folders, Settings, arguments};
use camino::Utf8PathBuf;
use conveyor_proto::types::daemon::StartedBy;

const LABEL: &str = "io.github.agent-conveyor.conveyord";

/// How `launchctl bootout` ends when there is nothing to end: no such process, being ended, no such service. The
/// codes are those of `launchctl error CODE`.
pub(super) const NOT_LOADED: &[i32] = &[3, 36, 113];
/// How `launchctl bootstrap` ends while the job before is still ending: input/output error, already in progress.
pub(super) const NOT_YET: &[i32] = &[5, 37];

const TEMPLATE: &str = include_str!("../../../launchd/io.github.agent-conveyor.conveyord.plist");

pub(super) fn path(folders: &Folders) -> Utf8PathBuf {
    folders.home.join("Library/LaunchAgents").join(format!("{LABEL}.plist"))
}

pub(super) fn text(settings: &Settings) -> String {
    let arguments: Vec<String> = arguments(settings, StartedBy::Launchd.as_str(), LABEL)
        .iter()
        .map(|argument| format!("\t\t<string>{}</string>", escaped(argument)))
        .collect();
    let environment: Vec<String> = settings
        .variables
        .iter()
        .map(|(name, value)| format!("\t\t<key>{name}</key>\n\t\t<string>{}</string>", escaped(value)))
        .collect();
    TEMPLATE
        .replace("@ARGUMENTS@", &arguments.join("\n"))
        .replace("@ENVIRONMENT@", &environment.join("\n"))
        .replace("@SOCKET@", &escaped(settings.files.socket().as_str()))
        .replace("@STDERR@", &escaped(settings.files.last_words().as_str()))
}

pub(super) fn command(arguments: &[&str]) -> CommandLine {
    ["launchctl"].iter().chain(arguments).map(|word| (*word).to_owned()).collect()
}

/// The login session of a user.
pub(super) fn session(uid: u32) -> String {
    format!("gui/{uid}")
}

/// The agent in the login session of a user.
pub(super) fn service(uid: u32) -> String {
    format!("gui/{uid}/{LABEL}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
