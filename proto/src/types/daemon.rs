//! `rpc.*`, `daemon.*`, `config.*`: the daemon about itself.

use crate::settings::{Sourced, StateFiles};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `rpc.hello`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HelloParams {
    /// The client's version, for the log.
    pub client_version: Option<String>,
    /// The protocol major that the client speaks; another than the daemon's is refused.
    pub protocol: Option<u32>,
}

/// Result of `rpc.hello`: who answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HelloResult {
    /// Version of the daemon.
    pub server_version: String,
    /// Version of the protocol that the daemon speaks.
    pub protocol: Protocol,
    /// What this daemon can do beyond the protocol's minimum, stable words.
    pub capabilities: Vec<String>,
    /// Process id of the daemon.
    pub pid: u32,
    /// Time at which the daemon started.
    pub started_at: String,
    /// Version of the database schema.
    pub schema_version: i64,
    /// State root of the daemon.
    pub state_root: String,
}

/// Version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Protocol {
    /// Changes when old clients could not understand the daemon.
    pub major: u32,
    /// Grows with each addition.
    pub minor: u32,
}

words! {
    /// Who started a daemon, and so who starts it again.
    #[derive(Default, JsonSchema)]
    pub enum StartedBy {
        /// Somebody ran `conveyord`, or a service manager that did not say so.
        #[default]
        Foreground = "foreground",
        /// The command line, because nobody answered.
        Cli = "cli",
        /// A unit of the user's systemd.
        Systemd = "systemd",
        /// An agent of launchd.
        Launchd = "launchd",
    }
}

impl StartedBy {
    /// Whether a service manager starts the daemon again.
    #[must_use]
    pub const fn is_service(self) -> bool {
        matches!(self, Self::Systemd | Self::Launchd)
    }
}

/// How a daemon came to run. One of an earlier version does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Origin {
    /// Who started the daemon.
    pub started_by: StartedBy,
    /// Whether a service manager holds the listening socket: then it outlives the daemon, and the next call starts
    /// the daemon again.
    pub socket_activated: bool,
    /// The systemd unit or the label of the launchd agent.
    pub unit: Option<String>,
}

/// Deliveries that need somebody's eye.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryCounts {
    /// Commands that wait to be claimed.
    pub pending_commands: u64,
    /// Commands that were not sent because the pane shows a menu or holds a draft.
    pub held: u64,
    /// Deliveries that may or may not have arrived.
    pub uncertain: u64,
    /// Number of deliveries that failed.
    pub failed: u64,
    /// Age of the oldest held one, in whole seconds.
    pub oldest_held_seconds: Option<i64>,
    /// Age of the oldest uncertain one, in whole seconds.
    pub oldest_uncertain_seconds: Option<i64>,
    /// Age of the oldest failed one, in whole seconds.
    pub oldest_failed_seconds: Option<i64>,
}

/// How the daemon fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DaemonStatusResult")]
pub struct DaemonStatus {
    /// Always true in an answer of the daemon; the command line prints false when none runs.
    pub running: bool,
    /// Version of the daemon.
    pub version: String,
    /// Process id of the daemon.
    pub pid: u32,
    /// Time at which the daemon started.
    pub started_at: String,
    /// Whole seconds since the daemon started.
    pub uptime_seconds: i64,
    /// How the daemon came to run.
    #[serde(flatten)]
    pub origin: Origin,
    /// State root of the daemon.
    pub state_root: String,
    /// Path of the daemon's socket.
    pub socket: String,
    /// Path of the database file.
    pub database: String,
    /// Size of the database file in bytes.
    pub database_bytes: u64,
    /// Path of the log that is written now.
    pub log: String,
    /// Version of the database schema.
    pub schema_version: i64,
    /// Whether Dispatch runs by itself.
    pub dispatch: bool,
    /// Id of the daemon's own Dispatch.
    pub dispatcher_id: String,
    /// Whether rollouts are ingested as they grow.
    pub watch: bool,
    /// Number of rollouts that are watched.
    pub watched_rollouts: u64,
    /// Number of open connections.
    pub connections: u64,
    /// Calls that wait for something to happen.
    pub waiting_calls: u64,
    /// Deliveries that need somebody's eye.
    pub deliveries: DeliveryCounts,
    /// The last failure of a background loop or of an item of one, or what a loop could not do, if any, with its time.
    pub last_error: Option<String>,
    /// The background loops. A daemon of an earlier version does not say.
    #[serde(default)]
    pub loops: Vec<LoopStatus>,
    /// The app-servers of Codex that the daemon has been connected to. A daemon of an earlier version does not say.
    #[serde(default)]
    pub app_servers: Vec<AppServerStatus>,
}

/// The app-server of a Codex home: since 0.169 the shared daemon that runs the threads of all terminals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppServerStatus {
    /// The Codex home.
    pub codex_home: String,
    /// Whether the daemon is connected to it now.
    pub connected: bool,
    /// Counts the app-servers that the daemon has seen there, from 1 on: it grows when Codex restarts or updates its own.
    pub generation: u64,
    /// Its process, where the system tells.
    pub pid: Option<i32>,
    /// The version of Codex that it says it is.
    pub version: Option<String>,
    /// Since when it listens.
    pub since: String,
}

/// How a background loop fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoopStatus {
    /// Its name, a stable word. Later versions may have others.
    pub name: String,
    /// State.
    pub state: LoopState,
    /// Since when it has been in this state.
    pub since: String,
    /// How often it was restarted.
    pub restarts: u64,
    /// When and how it failed last, if ever.
    pub last_failure: Option<String>,
    /// What it could not work on because the work panicked. Each is tried again after a while.
    pub failing: Vec<FailingItem>,
}

/// The state of a background loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoopState {
    /// It runs.
    Running,
    /// It failed, and begins again after a pause.
    Restarting,
    /// It is over: the daemon ends.
    Ended,
}

/// An item of a background loop whose work panicked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailingItem {
    /// What it is: a session's id, or a kind and a name.
    pub item: String,
    /// How often the work panicked in a row.
    pub failures: u64,
    /// When it panicked last.
    pub last_failed_at: String,
}

/// Result of `daemon.stop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DaemonStopResult")]
pub struct StopResult {
    /// Always true: the daemon ends after this answer.
    pub stopping: bool,
    /// Its process id, so that the caller can wait for its end.
    pub pid: u32,
    /// How it came to run, which tells whether it will be started again.
    #[serde(flatten)]
    pub origin: Origin,
}

/// The settings in force and where each came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigResult {
    /// Files of the daemon.
    pub files: StateFiles,
    /// State root of the daemon.
    pub state_root: Sourced<String>,
    /// Whether Dispatch runs by itself.
    pub dispatch: Sourced<bool>,
    /// Whether rollouts are ingested as they grow.
    pub watch: Sourced<bool>,
    /// Id of the daemon's own Dispatch.
    pub dispatcher_id: Sourced<String>,
    /// Filter of the log (`info`, `conveyord=debug`, ...).
    pub log: Sourced<String>,
    /// How long a send waits for its receipt in the rollout, in milliseconds.
    pub receipt_timeout_ms: Sourced<u64>,
    /// How long a completion of a session with a pane waits for a follow-up turn, in milliseconds.
    pub completion_settle_ms: Sourced<u64>,
    /// Time limit of each call of tmux and other programs, in milliseconds.
    pub command_timeout_ms: Sourced<u64>,
    /// `--sandbox` of a Codex that is started without one.
    pub codex_sandbox: Sourced<String>,
    /// `--ask-for-approval` of a Codex that is started without one.
    pub codex_approval: Sourced<String>,
}
