//! `reconcile.*`: where the database and what runs no longer agree.

use super::{common::Role, doctor::DbCheck};
use crate::ids::{BindingId, TaskId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Age from which a task whose manager does not look at it counts as stuck, in seconds.
pub const STALE_CYCLES_SECONDS: f64 = 3600.0;

/// Parameters of `reconcile.run`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReconcileParams {
    /// Also repair what can be repaired without asking anybody.
    pub apply: bool,
    /// Age of its newest completed cycle from which a bound task is stuck, in seconds.
    pub stale_cycles_seconds: f64,
}

impl Default for ReconcileParams {
    fn default() -> Self {
        Self { apply: false, stale_cycles_seconds: STALE_CYCLES_SECONDS }
    }
}

/// The outcome of the database's own checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SchemaHealth {
    /// The checks in order.
    pub checks: Vec<DbCheck>,
    /// Whether all checks are well.
    pub ok: bool,
    /// Number of the newest applied migration.
    pub schema_version: Option<i64>,
    /// Version that stands in the header of the file.
    pub user_version: i64,
}

/// An active session whose process does not run any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadSession {
    /// Name of the session.
    pub name: String,
    /// Role of the session.
    pub role: Role,
    /// Id of the process that the session had.
    pub pid: i64,
    /// Time of the last ingest or registration.
    pub last_heartbeat_at: Option<String>,
}

/// One gone side of an open binding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DanglingBinding {
    /// Id of the binding.
    pub binding_id: BindingId,
    /// Id of the task.
    pub task_id: TaskId,
    /// Name of the task.
    pub task_name: String,
    /// Which side is gone.
    pub gone_role: Role,
    /// Name of the session that is gone.
    pub gone_session_name: String,
}

/// A bound task that its manager has not looked at for long, or never.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StuckTask {
    /// Name of the task.
    pub task_name: String,
    /// Id of the binding.
    pub binding_id: BindingId,
    /// End of its newest completed cycle; null when there is none.
    pub last_cycle_at: Option<String>,
    /// Seconds since then; since the binding was made when there is no cycle.
    pub age_seconds: f64,
}

words! {
    /// What does not agree.
    #[derive(PartialOrd, Ord, JsonSchema)]
    pub enum DriftKind {
        /// The process of an active session does not run.
        DeadProcess = "dead_process",
        /// A session of an open binding is gone.
        DanglingBinding = "dangling_binding",
        /// A binding is marked as ending, and nobody ends it.
        BindingEnding = "binding_ending",
        /// A waiting command belongs to a binding that has ended.
        OrphanedCommand = "orphaned_command",
        /// The manager has not looked at a bound task for long.
        StuckTask = "stuck_task",
        /// The manager has never looked at a task that was bound long ago.
        NeverCycled = "never_cycled",
        /// A cycle was begun long ago and has no end.
        CycleUnfinished = "cycle_unfinished",
        /// The rollout of a session is not there.
        RolloutMissing = "rollout_missing",
        /// The rollout of a session cannot be read.
        RolloutUnreadable = "rollout_unreadable",
        /// Another file stands where the rollout was.
        RolloutReplaced = "rollout_replaced",
        /// The rollout is shorter than what was read of it.
        RolloutShrunk = "rollout_shrunk",
        /// A session has been waiting for its first rollout for long.
        RolloutPending = "rollout_pending",
        /// A part of a rollout could not be read, or only after a repair.
        RolloutDamaged = "rollout_damaged",
        /// The thread of a session is another session's, or no conversation of a user.
        ThreadNotOwn = "thread_not_own",
        /// Whole lines of a rollout are not stored yet.
        IngestBehind = "ingest_behind",
        /// The pane of a session is not there.
        PaneGone = "pane_gone",
        /// The pane of a session is another one, or runs another process.
        PaneMismatch = "pane_mismatch",
        /// The tmux server of a session could not be asked.
        TmuxUnreachable = "tmux_unreachable",
        /// A Codex that was started is in a pane, and no session was registered for it.
        StartUnregistered = "start_unregistered",
        /// A dispatcher's claim ran out and was not taken back.
        ClaimExpired = "claim_expired",
        /// A reader took an inbox item and did not acknowledge it in time.
        LeaseExpired = "lease_expired",
        /// A finished turn has not been told to its manager.
        CompletionUnrouted = "completion_unrouted",
        /// A text is held back by what its pane shows.
        DeliveryHeld = "delivery_held",
        /// A text may or may not have arrived.
        DeliveryUncertain = "delivery_uncertain",
        /// A text did not arrive.
        DeliveryFailed = "delivery_failed",
    }
}

impl DriftKind {
    /// How grave it is: an error stops a pair from working, a warning wants a look.
    #[must_use]
    pub const fn severity(self) -> DriftSeverity {
        match self {
            Self::DeadProcess
            | Self::DanglingBinding
            | Self::OrphanedCommand
            | Self::RolloutMissing
            | Self::RolloutUnreadable
            | Self::ThreadNotOwn
            | Self::PaneGone
            | Self::PaneMismatch => DriftSeverity::Error,
            _ => DriftSeverity::Warning,
        }
    }

    /// Whether `reconcile.run` with `apply` repairs it.
    #[must_use]
    pub const fn is_repairable(self) -> bool {
        matches!(
            self,
            Self::DeadProcess | Self::DanglingBinding | Self::BindingEnding | Self::OrphanedCommand
        )
    }
}

/// How grave a drift is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriftSeverity {
    /// It wants a look, or mends itself.
    Warning,
    /// It stops a pair from working.
    Error,
}

/// One thing that does not agree, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// What does not agree.
    pub kind: DriftKind,
    /// How grave it is.
    pub severity: DriftSeverity,
    /// A sentence that names it.
    pub message: String,
    /// What to do about it.
    pub action: String,
    /// Whether `apply` repairs it.
    pub repairable: bool,
    /// Whether this call repaired it.
    pub repaired: bool,
    /// Id of the task.
    pub task_id: Option<String>,
    /// Name of the task.
    pub task_name: Option<String>,
    /// Name of the session.
    pub session: Option<String>,
    /// Id of the binding.
    pub binding_id: Option<String>,
    /// The row itself: command, notification, delivery, cycle or turn.
    pub id: Option<String>,
}

/// What was repaired.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Applied {
    /// Names of sessions that are gone now.
    pub sessions_marked_gone: Vec<String>,
    /// Bindings that are invalid now, each once.
    pub bindings_marked_invalid: Vec<BindingId>,
    /// Bindings that were ending and are active again.
    pub bindings_reactivated: Vec<BindingId>,
    /// Commands that waited for bindings that have ended.
    pub cancelled_commands: Vec<String>,
    /// Notifications that those bindings had not delivered.
    pub suppressed_notifications: Vec<i64>,
}

/// Result of `reconcile.run`. All lists show the state before anything was repaired.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReconcileResult {
    /// The outcome of the database's own checks.
    pub schema_health: SchemaHealth,
    /// Active sessions whose processes do not run.
    pub dead_pid_sessions: Vec<DeadSession>,
    /// Gone sides of open bindings, one entry for each.
    pub dangling_bindings: Vec<DanglingBinding>,
    /// Bound tasks whose newest completed cycle is too old.
    pub stuck_tasks: Vec<StuckTask>,
    /// Bound tasks without a completed cycle, of any age.
    pub never_cycled: Vec<StuckTask>,
    /// Everything that does not agree, those above too. Of each kind the newest 100 rows are listed.
    pub findings: Vec<Finding>,
    /// How many there are of each kind, the unlisted too.
    pub finding_counts: BTreeMap<String, u64>,
    /// What was repaired; only when `apply` was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Applied>,
}
