//! Every name of an event, declared once: of the audit trail, of telemetry, and of the file in a worker's folder.
//!
//! `docs/events.md` is made of these tables, from the doc comments too: `UPDATE_DOCS=1 cargo test -p conveyord` rewrites
//! it. A name is never built from parts, so that each can be searched for.

use super::log::Severity;

/// The name of an event in the tables.
macro_rules! words {
    ($type:ty: $($variant:ident $word:literal)+) => {
        impl $type {
            /// The word in the tables.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $word,)+
                }
            }
        }
    };
}

/// Declares the enums of the names, and what the documentation says of each.
///
/// A telemetry event has one level in brackets, or in parentheses the type of those among which the writer chooses.
macro_rules! event_names {
    (
        audit and telemetry {$(
            $(#[doc = $both_doc:literal])+
            $both:ident $([$both_level:ident])? $(($both_levels:ident))? $both_word:literal;
        )+}
        audit {$(
            $(#[doc = $audit_doc:literal])+
            $audit:ident $audit_word:literal;
        )+}
        telemetry {$(
            $(#[doc = $told_doc:literal])+
            $told:ident $([$told_level:ident])? $(($told_levels:ident))? $told_word:literal;
        )+}
        worker file {$(
            $(#[doc = $file_doc:literal])+
            $file:ident $file_word:literal;
        )+}
    ) => {
        /// An event that has one name in the audit trail and in telemetry.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum SharedEvent {
            $($(#[doc = $both_doc])+ $both $(($both_levels))?,)+
        }

        /// A name of the audit trail, `events.type`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum AuditEvent {
            $($(#[doc = $both_doc])+ $both,)+
            $($(#[doc = $audit_doc])+ $audit,)+
        }

        /// A name of telemetry, `telemetry_events.event_type`, with its level.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum TelemetryEvent {
            $($(#[doc = $both_doc])+ $both $(($both_levels))?,)+
            $($(#[doc = $told_doc])+ $told $(($told_levels))?,)+
        }

        /// A name in `events.jsonl` of a worker's folder.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum FileEvent {
            $($(#[doc = $file_doc])+ $file,)+
        }

        words! { SharedEvent: $($both $both_word)+ }
        words! { AuditEvent: $($both $both_word)+ $($audit $audit_word)+ }
        words! { TelemetryEvent: $($both $both_word)+ $($told $told_word)+ }
        words! { FileEvent: $($file $file_word)+ }

        impl From<SharedEvent> for AuditEvent {
            fn from(event: SharedEvent) -> Self {
                match event {
                    $(SharedEvent::$both { .. } => Self::$both,)+
                }
            }
        }

        impl From<SharedEvent> for TelemetryEvent {
            fn from(event: SharedEvent) -> Self {
                match event {
                    $(
                        $(SharedEvent::$both(level) => Self::$both(<$both_levels>::from(level)),)?
                        $(SharedEvent::$both => event_names!(@fixed $both_level Self::$both),)?
                    )+
                }
            }
        }

        impl TelemetryEvent {
            /// How grave it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self {
                    $(
                        $(Self::$both => Severity::$both_level,)?
                        $(Self::$both(level) => <$both_levels>::severity(level),)?
                    )+
                    $(
                        $(Self::$told => Severity::$told_level,)?
                        $(Self::$told(level) => <$told_levels>::severity(level),)?
                    )+
                }
            }
        }

        /// What the documentation says of each name, in the order of the declaration.
        #[cfg(test)]
        const DECLARED: &[Declared] = &[
            $(Declared {
                variant: stringify!($both),
                word: $both_word,
                places: &[Place::Audit, Place::Telemetry],
                levels: $(&[Severity::$both_level])? $($both_levels::LEVELS)?,
                meaning: concat!($($both_doc),+),
            },)+
            $(Declared {
                variant: stringify!($audit),
                word: $audit_word,
                places: &[Place::Audit],
                levels: &[],
                meaning: concat!($($audit_doc),+),
            },)+
            $(Declared {
                variant: stringify!($told),
                word: $told_word,
                places: &[Place::Telemetry],
                levels: $(&[Severity::$told_level])? $($told_levels::LEVELS)?,
                meaning: concat!($($told_doc),+),
            },)+
            $(Declared {
                variant: stringify!($file),
                word: $file_word,
                places: &[Place::WorkerFile],
                levels: &[],
                meaning: concat!($($file_doc),+),
            },)+
        ];
    };
    // Takes the level only for the line to be repeated where there is one.
    (@fixed $level:ident $event:expr) => {
        $event
    };
}

/// Declares the levels among which the writer of an event chooses.
macro_rules! levels {
    ($($(#[doc = $doc:literal])+ $name:ident { $($level:ident)+ })+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $(
                #[doc = concat!("[`Severity::", stringify!($level), "`].")]
                $level,
            )+
        }

        impl $name {
            #[cfg(test)]
            const LEVELS: &[Severity] = &[$(Severity::$level),+];

            const fn severity(self) -> Severity {
                match self {
                    $(Self::$level => Severity::$level,)+
                }
            }
        }
    )+};
}

levels! {
    /// The level of an event that is normal or worth a look.
    InfoOrWarning { Info Warning }
    /// The level of an event that is normal or wrong.
    InfoOrError { Info Error }
    /// The level of an event that is worth a look or wrong.
    WarningOrError { Warning Error }
}

event_names! {
    audit and telemetry {
        /// A worker and a manager were bound to a task.
        BindingCreated [Info] "binding_created";
        /// The binding of a task was ended.
        BindingEnded [Info] "binding_ended";
        /// The manager's configuration of a task was created or changed.
        ManagerConfigRecorded [Info] "manager_config_recorded";
        /// A permission of a manager was looked up; a warning where it is not granted.
        ManagerPermissionChecked (InfoOrWarning) "manager_permission_checked";
        /// A criterion of a task was added.
        AcceptanceCriterionAdded [Info] "acceptance_criterion_added";
        /// A criterion of a task was changed.
        AcceptanceCriterionUpdated [Info] "acceptance_criterion_updated";
        /// A worker's handoff was recorded.
        WorkerHandoffRecorded [Info] "worker_handoff_recorded";
        /// A worker acknowledged the contract of its task.
        WorkerAckRecorded [Info] "worker_ack_recorded";
        /// A manager acknowledged the contract of its task.
        ManagerAckRecorded [Info] "manager_ack_recorded";
        /// A run was created. A run that a pair begins is told in telemetry as `pair_run_created`.
        RunCreated [Info] "run_created";
        /// A session was given another name.
        SessionRenamed [Info] "session_renamed";
        /// A session's tmux session was ended and the session marked as gone.
        SessionStopped [Info] "session_stopped";
        /// The process of a session ended of itself; an error where a turn was running.
        SessionExited (WarningOrError) "session_exited";
        /// A worker asked its user for an approval or an answer, and its manager is told.
        ApprovalRequested [Warning] "approval_requested";
        /// An approval is about to be answered.
        ApprovalDecisionIntent [Info] "approval_decision_intent";
        /// An approval was answered; a warning where the answer may not have arrived.
        ApprovalDecided (InfoOrWarning) "approval_decided";
        /// An approval was not answered, since the manager lacks the permission.
        ApprovalDecisionRefused [Warning] "approval_decision_refused";
        /// A claimed command was executed.
        DispatchCommandSucceeded [Info] "dispatch_command_succeeded";
        /// A claimed command may not be executed, since its permission is not granted.
        DispatchCommandBlocked [Warning] "dispatch_command_blocked";
        /// A claimed command failed, or its claim ran out after its side effect had begun.
        DispatchCommandFailed [Error] "dispatch_command_failed";
        /// A claim ran out before its side effect; an error where the command has no attempt left. Only such an end is
        /// in the audit trail.
        DispatchCommandAbandoned (WarningOrError) "dispatch_command_abandoned";
        /// A message that failed or may not have arrived was queued again.
        DeliveryRetried [Info] "delivery_retried";
        /// A message that failed or may not have arrived was closed without another attempt.
        DeliveryDiscarded [Info] "delivery_discarded";
        /// `reconcile` marked a session as gone whose process does not run.
        SessionMarkedGoneByReconcile [Warning] "session_marked_gone_by_reconcile";
        /// `reconcile` ended a binding that has a gone side.
        BindingMarkedInvalidByReconcile [Warning] "binding_marked_invalid_by_reconcile";
        /// `reconcile` freed a binding that was ending and that nobody ends.
        BindingReactivatedByReconcile [Warning] "binding_reactivated_by_reconcile";
        /// `reconcile` cancelled the commands of a binding that is over.
        CommandsCancelledByReconcile [Warning] "commands_cancelled_by_reconcile";
        /// A database of agent-conveyor was imported.
        DatabaseImported [Info] "database_imported";
    }
    audit {
        /// A task was created.
        TaskCreated "task_created";
        /// A task was put away: listings leave it out.
        TaskArchived "task_archived";
        /// A task was taken out of the archive.
        TaskRestored "task_restored";
        /// A task that never was bound was deleted.
        TaskDeleted "task_deleted";
        /// The criteria of a manager's configuration were added to the task.
        ManagerAcceptanceCriteriaSeeded "manager_acceptance_criteria_seeded";
        /// A session was registered.
        SessionRegistered "session_registered";
        /// A session was marked as gone on request.
        SessionDeregistered "session_deregistered";
        /// A session was not marked as gone, since it is bound.
        SessionDeregisterFailed "session_deregister_failed";
        /// A session follows its process to another thread.
        SessionThreadAdopted "session_thread_adopted";
        /// A session's tmux session is about to be ended.
        SessionStopIntent "session_stop_intent";
        /// A last message was sent to a session that is about to be ended.
        SessionStopMessage "session_stop_message";
        /// A session's tmux session could not be ended.
        SessionStopFailed "session_stop_failed";
        /// A text is about to be typed into a session's pane.
        SessionNudgeIntent "session_nudge_intent";
        /// A text was typed into a session's pane, or that failed.
        SessionNudged "session_nudged";
        /// A key is about to be sent to a session's pane.
        SessionInterruptIntent "session_interrupt_intent";
        /// A key was sent to a session's pane, or that failed.
        SessionInterrupted "session_interrupted";
        /// Dispatch told a manager of a completion, or left it in its inbox.
        DispatchCompletionSettled "dispatch_completion_settled";
        /// A task is about to be finished.
        FinishTaskIntent "finish_task_intent";
        /// The criteria were audited before a task is finished.
        FinishTaskCriteriaAudit "finish_task_criteria_audit";
        /// The panes of a task were stored before its sessions are ended.
        FinishTaskPreStopTranscriptCaptured "finish_task_pre_stop_transcript_captured";
        /// A task was finished.
        FinishTaskSucceeded "finish_task_succeeded";
        /// A task was not finished: a gate is closed, or a step failed.
        FinishTaskFailed "finish_task_failed";
        /// A task is about to be stopped.
        StopTaskIntent "stop_task_intent";
        /// A task was stopped.
        StopTaskSucceeded "stop_task_succeeded";
        /// A task was not stopped: a step failed.
        StopTaskFailed "stop_task_failed";
        /// The manager's pane was found to be the manager's before it is ended.
        ManagerIdentityVerified "manager_identity_verified";
        /// The worker's pane was found to be the worker's before it is ended.
        WorkerIdentityVerified "worker_identity_verified";
        /// A pane of a worker was stored.
        WorkerTerminalCaptured "worker_terminal_captured";
        /// A pane of a manager was stored.
        ManagerTerminalCaptured "manager_terminal_captured";
        /// A worker with a folder is about to be started.
        WorkerCreateRecorded "worker_create_recorded";
        /// The tmux session of a worker with a folder was started.
        WorkerTmuxStarted "worker_tmux_started";
        /// A worker with a folder could not be started.
        WorkerCreateFailed "worker_create_failed";
        /// A worker reported what it is at.
        StatusUpdated "status_updated";
    }
    telemetry {
        /// A durable command was stored.
        CommandCreated [Info] "command_created";
        /// A command that its own verb executes has begun.
        CommandAttempted [Info] "command_attempted";
        /// A command that its own verb executes went well.
        CommandSucceeded [Info] "command_succeeded";
        /// A command that its own verb executes failed.
        CommandFailed [Error] "command_failed";
        /// New records of a rollout were read for a caller.
        CodexEventsIngested [Info] "codex_events_ingested";
        /// Stored records of a session were shown.
        CodexEventsTailRead [Info] "codex_events_tail_read";
        /// Codex's app-server has ended, and another one serves its Codex home.
        AppServerBeganAnew [Info] "codex_app_server_began_anew";
        /// A rollout was replaced or cut, and is read from its beginning.
        RolloutReadAnew [Warning] "rollout_read_anew";
        /// An observation of a worker has begun.
        ManagerCycleStarted [Info] "manager_cycle_started";
        /// An observation of a worker went well.
        ManagerCycleSucceeded [Info] "manager_cycle_succeeded";
        /// An observation of a worker failed.
        ManagerCycleFailed [Error] "manager_cycle_failed";
        /// A decision of a manager was recorded.
        ManagerDecisionRecorded [Info] "manager_decision_recorded";
        /// Dispatch claimed a command.
        DispatchCommandClaimed [Info] "dispatch_command_claimed";
        /// The permission that a command requires was looked up; a warning where it is not granted.
        DispatchCommandPermissionChecked (InfoOrWarning) "dispatch_command_permission_checked";
        /// The notification of a command was stored, before its delivery.
        DispatchCommandAttempted [Info] "dispatch_command_attempted";
        /// A command waits until the pane can take its text.
        DispatchCommandHeld [Warning] "dispatch_command_held";
        /// A completion of a worker got its notification.
        DispatchSignalDetected [Info] "dispatch_signal_detected";
        /// A completion was not delivered: it was routed before, or, as a warning, its binding has ended.
        DispatchSignalSuppressed (InfoOrWarning) "dispatch_signal_suppressed";
        /// A message waits in an inbox.
        DispatchSignalPullRequired [Info] "dispatch_signal_pull_required";
        /// A completion was typed into the manager's pane.
        DispatchSignalRouted [Info] "dispatch_signal_routed";
        /// A completion waits until the manager's pane can take its text.
        DispatchSignalHeld [Warning] "dispatch_signal_held";
        /// A completion could not be typed into the manager's pane, or may have been typed when a dispatcher ended.
        DispatchSignalFailed [Error] "dispatch_signal_failed";
        /// An item of an inbox was consumed.
        DispatchInboxConsumed [Info] "dispatch_inbox_consumed";
        /// A pass of a watching dispatcher is over.
        DispatchWatchHeartbeat [Info] "dispatch_watch_heartbeat";
        /// The wall clock was set, or the machine slept: the deadlines of all rows were moved with it.
        ClockStepped [Warning] "clock_stepped";
        /// A text was typed into a session's pane.
        SessionNudgeSucceeded [Info] "session_nudge_succeeded";
        /// A text could not be typed into a session's pane.
        SessionNudgeFailed [Error] "session_nudge_failed";
        /// A key was sent to a session's pane.
        SessionInterruptSucceeded [Info] "session_interrupt_succeeded";
        /// A key could not be sent to a session's pane, or its follow-up could not.
        SessionInterruptFailed [Error] "session_interrupt_failed";
        /// A pair is being made.
        PairStarted [Info] "pair_started";
        /// The task of a pair was found or created.
        PairTaskResolved [Info] "pair_task_resolved";
        /// A pair wrote the manager's configuration.
        PairManagerConfigSeeded [Info] "pair_manager_config_seeded";
        /// The worker of a pair was started and registered.
        PairWorkerSpawned [Info] "pair_worker_spawned";
        /// The manager of a pair was started and registered.
        PairManagerSpawned [Info] "pair_manager_spawned";
        /// The two sessions of a pair were bound to the task.
        PairBindingCreated [Info] "pair_binding_created";
        /// The run of a pair began.
        PairRunCreated [Info] "pair_run_created";
        /// A pair could not be made.
        PairFailed [Error] "pair_failed";
        /// A run ended; an error where it failed.
        RunFinished (InfoOrError) "run_finished";
        /// A task was finished.
        TaskFinished [Info] "task_finished";
        /// A task was stopped.
        TaskStopped [Info] "task_stopped";
        /// A pane of a task's session was stored.
        TerminalCaptureRecorded [Info] "terminal_capture_recorded";
        /// A pane of a worker with a folder was stored, or imported.
        TranscriptCaptureRecorded [Info] "transcript_capture_recorded";
        /// What is new in a stored pane was stored.
        TranscriptSegmentRecorded [Info] "transcript_segment_recorded";
    }
    worker file {
        /// The worker is about to be started.
        Create "create";
        /// Codex was waited for.
        WaitReady "wait_ready";
        /// The question whether the folder is trusted was answered.
        AcceptTrust "accept_trust";
        /// The worker was asked whether it works as told.
        Verify "verify";
        /// The pane could not be captured.
        CaptureFailed "capture_failed";
        /// A terminal is about to be opened for the worker.
        OpenAttempt "open_attempt";
        /// A terminal was opened for the worker.
        Open "open";
        /// The worker reported what it is at.
        Reported "status_updated";
        /// A text was sent to the worker.
        Nudge "nudge";
        /// A key was sent to the worker.
        Interrupt "interrupt";
        /// A last message was sent before the worker is stopped.
        StopMessage "stop_message";
        /// The worker was stopped.
        Stop "stop";
    }
}

/// Precedes the type of an event that was imported from the file of a worker's folder.
pub(super) const IMPORTED: &str = "compat_";

/// Where an event is written.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Audit,
    Telemetry,
    WorkerFile,
}

/// What the documentation says of a name.
#[cfg(test)]
struct Declared {
    variant: &'static str,
    word: &'static str,
    places: &'static [Place],
    /// None in places that have no level.
    levels: &'static [Severity],
    meaning: &'static str,
}

#[cfg(test)]
mod tests;
