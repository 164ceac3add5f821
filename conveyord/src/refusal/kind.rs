//! The kinds of refusals and faults, declared once: what code reacts to, and what programs read as `data.kind`.
//!
//! The table of `docs/protocol.md` is made of this one: `UPDATE_DOCS=1 cargo test -p conveyord --lib refusal` rewrites it.
//! What the socket itself refuses, before any method is asked, is `server::fault`'s.

#[cfg(test)]
use conveyor_proto::ErrorClass;

/// Declares the kinds: when each is answered, its word, and the classes that it may have.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident $word:literal $($class:ident)+;)+) => {
        /// Why something was not done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Kind {
            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        /// What the documentation says of each kind, in the order of the declaration.
        #[cfg(test)]
        const DECLARED: &[Declared] = &[$(
            Declared {
                variant: stringify!($variant),
                word: $word,
                classes: &[$(ErrorClass::$class),+],
                when: concat!($($doc),+),
            },
        )+];
    };
}

kinds! {
    /// `rpc.hello` with another protocol major
    ProtocolMismatch "protocol_mismatch" Refused;
    /// no task of this id or name
    UnknownTask "unknown_task" NotFound;
    /// a page: the listing has no row of the id `after`
    UnknownPlace "unknown_place" NotFound;
    /// several open tasks have this name
    AmbiguousTask "ambiguous_task" Conflict;
    /// no run of this id or name
    UnknownRun "unknown_run" NotFound;
    /// runs of several tasks have this name
    AmbiguousRun "ambiguous_run" Conflict;
    /// the task has an active run already
    RunActive "run_active" Conflict;
    /// the run has ended otherwise
    RunOver "run_over" Conflict;
    /// not a policy that a loop run may have
    InvalidPolicy "invalid_policy" Invalid;
    /// a run cannot end as active
    InvalidStatus "invalid_status" Invalid;
    /// no session of this name
    UnknownSession "unknown_session" NotFound;
    /// neither a worker's folder nor a session of this name
    UnknownWorker "unknown_worker" NotFound;
    /// a worker or session of this name is there already
    WorkerExists "worker_exists" Conflict;
    /// a file of a worker's folder cannot be read or written
    WorkerFolderInvalid "worker_folder_invalid" Invalid;
    /// another worker has the tmux session
    TmuxSessionTaken "tmux_session_taken" Conflict;
    /// a terminal was opened for the worker before
    AlreadyOpened "already_opened" Conflict;
    /// neither a name nor a task is given, or both
    NameOrTaskNeeded "name_or_task_needed" Invalid;
    /// archive: neither a task nor those that are over, or both
    TaskOrOver "task_or_over" Invalid;
    /// a wait for a new worker that is longer than a day
    TimeoutTooLong "timeout_too_long" Invalid;
    /// not a name that a session, task or run may have
    InvalidName "invalid_name" Invalid;
    /// not an id or key that a call may bring
    InvalidId "invalid_id" Invalid;
    /// a path with control characters, or one that is too long
    InvalidPath "invalid_path" Invalid;
    /// the daemon has no file or memory left to look with
    ResourcesExhausted "resources_exhausted" Unavailable;
    /// a number that is larger than the database can hold
    NumberTooLarge "number_too_large" Invalid;
    /// a task without a goal
    GoalNeeded "goal_needed" Invalid;
    /// a registration names neither
    PidOrRolloutNeeded "pid_or_rollout_needed" Invalid;
    /// not a process id
    InvalidPid "invalid_pid" Invalid;
    /// no such process, or the session's process does not run
    PidDead "pid_dead" Invalid Conflict;
    /// the process belongs to another user
    PidOfOtherUser "pid_of_other_user" Refused;
    /// not a name that a tmux session may have
    InvalidTmuxSession "invalid_tmux_session" Invalid;
    /// a path that is not absolute
    RelativePath "relative_path" Invalid;
    /// the file does not begin as a rollout does
    RolloutInvalid "rollout_invalid" Invalid;
    /// the process holds no rollout; -32005 when it could not be looked into
    RolloutNotFound "rollout_not_found" NotFound Unavailable;
    /// the name is registered in the other role
    RoleDiffers "role_differs" Conflict;
    /// another session has this Codex session
    ThreadTaken "thread_taken" Conflict;
    /// the session was deregistered
    SessionGone "session_gone" Conflict;
    /// the session is in a pair
    SessionBound "session_bound" Conflict;
    /// finish, stop: the session works on another task now
    SessionBoundElsewhere "session_bound_elsewhere" Conflict;
    /// a worker was named where a manager belongs, or the reverse
    WrongRole "wrong_role" Conflict;
    /// the task has a pair already
    TaskBound "task_bound" Conflict;
    /// delete: the task was bound once
    TaskHasHistory "task_has_history" Conflict;
    /// the task is done or failed
    TaskOver "task_over" Conflict;
    /// finish, stop: another caller is at it
    TaskBeingFinished "task_being_finished" Conflict;
    /// the task has no pair
    NotBound "not_bound" Conflict NotFound;
    /// the message was queued for another pair
    BindingChanged "binding_changed" Conflict;
    /// Codex has not written the rollout yet
    RolloutPending "rollout_pending" Unavailable;
    /// the rollout is shorter than what was read of it
    RolloutShrunk "rollout_shrunk" Conflict;
    /// another reader has moved on in the file meanwhile; try again
    RolloutReadElsewhere "rollout_read_elsewhere" Conflict;
    /// the rollout file does not exist
    RolloutMissing "rollout_missing" Unavailable;
    /// the rollout cannot be read
    RolloutUnreadable "rollout_unreadable" Invalid;
    /// the rollout is compressed and cannot be decompressed
    RolloutCorrupt "rollout_corrupt" Invalid;
    /// the session has no pane
    NoTmuxSession "no_tmux_session" Conflict;
    /// its tmux session does not run
    TmuxSessionMissing "tmux_session_missing" Conflict;
    /// its pane is another one now
    TmuxPaneMismatch "tmux_pane_mismatch" Conflict;
    /// Codex has ended in the pane
    CodexExited "codex_exited" Conflict;
    /// start: the name is active already
    SessionRegistered "session_registered" Conflict;
    /// start: another call starts this name now
    StartUnderWay "start_under_way" Conflict;
    /// start: one that was cut off had another role or folder, and its Codex runs
    StartDiffers "start_differs" Conflict;
    /// pair: worker and manager have one name
    SameName "same_name" Invalid;
    /// start: the working directory is not there
    CwdMissing "cwd_missing" Invalid;
    /// start: no codex on the caller's `PATH`
    CodexMissing "codex_missing" Unavailable;
    /// start: the caller names neither `CODEX_HOME` nor `HOME`
    CodexHomeUnknown "codex_home_unknown" Invalid;
    /// start: `codex-NAME` is taken by something else
    TmuxSessionExists "tmux_session_exists" Conflict;
    /// start: the file of a long prompt could not be written
    PromptNotWritten "prompt_not_written" Unavailable;
    /// start: Codex asks whether the folder is trusted
    NeedsTrust "needs_trust" Conflict;
    /// start: Codex offers an update
    UpdateOffered "update_offered" Conflict;
    /// start: Codex asks to review hooks
    HooksReview "hooks_review" Conflict;
    /// start: Codex has no login
    LoginNeeded "login_needed" Conflict;
    /// start: Codex asks whether to implement a plan
    PlanMenu "plan_menu" Conflict;
    /// start: Codex asks whether to switch the model
    RateLimitMenu "rate_limit_menu" Conflict;
    /// start: Codex asks for an approval
    ApprovalMenu "approval_menu" Conflict;
    /// start: Codex shows another menu
    MenuOpen "menu_open" Conflict;
    /// start: no rollout in time
    StartTimedOut "start_timed_out" Unavailable;
    /// start: the daemon ends; the same call goes on after that
    DaemonEnding "daemon_ending" Unavailable;
    /// tmux is missing, denied, hung or refused
    TmuxFailed "tmux_failed" Unavailable;
    /// not a tmux key name
    UnknownKey "unknown_key" Invalid;
    /// the key was sent, the text after it was not
    FollowupFailed "followup_failed" Unavailable;
    /// a queued message without text
    BlankMessage "blank_message" Invalid;
    /// over 64 KiB
    MessageTooLong "message_too_long" Invalid;
    /// the key is held by another command
    IdempotencyConflict "idempotency_conflict" Conflict;
    /// not a permission
    UnknownPermission "unknown_permission" Invalid;
    /// the task's configuration does not grant it
    PermissionDenied "permission_denied" Refused;
    /// configuration: a list of permissions has an entry that is no word
    InvalidPermissions "invalid_permissions" Invalid;
    /// configuration: `if_revision` is not its revision; `revision` is
    RevisionDiffers "revision_differs" Conflict;
    /// criteria: without a text
    BlankCriterion "blank_criterion" Invalid;
    /// criteria: the task has none with this id
    UnknownCriterion "unknown_criterion" NotFound;
    /// a text over 64 KiB, as a parameter of any method
    TextTooLong "text_too_long" Invalid;
    /// a JSON value over 1 MiB, as a parameter of any method
    PayloadTooLarge "payload_too_large" Invalid;
    /// criteria: those of the task would have over 2 MiB together
    CriteriaTooLarge "criteria_too_large" Invalid;
    /// `continue_iteration` is not in this version
    LoopsUnavailable "loops_unavailable" Refused;
    /// retry, discard, list: nothing has this id
    UnknownDelivery "unknown_delivery" NotFound;
    /// retry, discard: it is being sent, has arrived or delivers nothing; retry: it is still to be sent
    NotMendable "not_mendable" Conflict;
    /// it was sent again; `retried_as` names by which command
    AlreadyRetried "already_retried" Conflict;
    /// retry: it was discarded
    AlreadyDiscarded "already_discarded" Conflict;
    /// retry: the text is not stored
    NotRetryable "not_retryable" Refused;
    /// retry, discard: somebody is just taking it from the inbox
    ItemLent "item_lent" Conflict;
    /// retry, discard: without a reason
    BlankReason "blank_reason" Invalid;
    /// retry, discard: a reason over 64 KiB
    ReasonTooLong "reason_too_long" Invalid;
    /// list: not RFC 3339
    InvalidTime "invalid_time" Invalid;
    /// wait: neither a task nor a session
    UnknownTarget "unknown_target" NotFound;
    /// wait: the session has no such turn
    UnknownTurn "unknown_turn" NotFound;
    /// another dispatcher has taken the delivery over
    ClaimLost "claim_lost" Conflict;
    /// no approval has this id
    UnknownApproval "unknown_approval" NotFound;
    /// the approval was answered, or is not asked for any more
    ApprovalResolved "approval_resolved" Conflict;
    /// an answer is asked for, or the menu names no key: answer it in the pane
    ApprovalNeedsPerson "approval_needs_person" Conflict;
    /// the pane shows only a part of what is asked, and the rest is not known
    ApprovalCut "approval_cut" Conflict;
    /// what the pane shows fits no call of the worker's thread, or several
    ApprovalAmbiguous "approval_ambiguous" Conflict;
    /// what is asked now is not what the approval shows
    ApprovalChanged "approval_changed" Conflict;
    /// the session that asks is not the worker of this task
    ApprovalOfAnotherTask "approval_of_another_task" Refused;
    /// no app-server of Codex has the session's thread, or it refused
    NoAppServer "no_app_server" Unavailable;
    /// Codex's app-server does not ask for this on our connection (any more)
    ApprovalUnreachable "approval_unreachable" Unavailable;
    /// finish, stop: the last message is held back by what the pane shows
    HeldByPane "held_by_pane" Conflict;
    /// the lease of an inbox item ran out
    UnknownLease "unknown_lease" Conflict;
    /// below 0 or over a day
    InvalidTimeout "invalid_timeout" Invalid;
    /// not above 0
    InvalidInterval "invalid_interval" Invalid;
    /// replay: below 0; divergences: below 0 or over 10000
    InvalidLimit "invalid_limit" Invalid;
    /// db.doctor: below 0
    InvalidSeconds "invalid_seconds" Invalid;
    /// finish: below 0 or over 100000
    InvalidCaptureLines "invalid_capture_lines" Invalid;
    /// replay: a full transcript needs `include_content`
    ContentNotIncluded "content_not_included" Refused;
    /// the gate of acknowledgements is closed
    AcknowledgementsRequired "acknowledgements_required" Refused;
    /// the gate of criteria is closed
    CriteriaOpen "criteria_open" Refused;
    /// the gate of epilogue steps is closed
    EpilogueIncomplete "epilogue_incomplete" Refused;
    /// the gate of adversarial proof is closed
    AdversarialProofRequired "adversarial_proof_required" Refused;
    /// the named decision does not justify it
    ManagerDecisionValidationFailed "manager_decision_validation_failed" Refused;
    /// the last capture brought nothing new
    TranscriptSegmentMissing "transcript_segment_missing" Refused;
    /// a pane that is to be ended is not the registered one
    IdentityVerificationFailed "identity_verification_failed" Conflict;
    /// ending one session would end another too
    SharedTmuxSession "shared_tmux_session" Conflict;
    /// the file cannot be opened
    DatabaseUnusable "database_unusable" Unavailable;
    /// the file is something else
    NotADatabase "not_a_database" Refused;
    /// the file belongs to another program
    ForeignDatabase "foreign_database" Refused;
    /// neither a state root nor a database is named
    NothingToImport "nothing_to_import" Invalid;
    /// a file of a worker folder cannot be read or is no JSON object
    InvalidWorkerFolder "invalid_worker_folder" Invalid Conflict;
    /// the folder of workers that was named is not there
    ReferenceFolderMissing "reference_folder_missing" NotFound;
    /// there is no such file
    ReferenceDatabaseMissing "reference_database_missing" NotFound;
    /// the file is no database of agent-conveyor
    ReferenceDatabaseForeign "reference_database_foreign" Refused;
    /// it is of a newer agent-conveyor than this version knows
    ReferenceDatabaseNewer "reference_database_newer" Refused;
    /// its pages are damaged
    ReferenceDatabaseDamaged "reference_database_damaged" Refused;
    /// SQLite cannot open it
    ReferenceDatabaseUnreadable "reference_database_unreadable" Unavailable;
    /// rows stand here with other content; `conflicts` lists them
    ImportConflict "import_conflict" Conflict;
    /// what was written is not what was read; it was taken back
    ImportNotVerified "import_not_verified" Refused;
    /// the file is from a newer Conveyor
    NewerDatabase "newer_database" Refused;
    /// a file of the daemon was removed or replaced while it served; it ends
    StateReplaced "state_replaced" Unavailable;
    /// nothing was written
    DiskFull "disk_full" Unavailable;
    /// the file or its folder cannot be written
    ReadOnlyDatabase "read_only_database" Unavailable;
    /// another program holds the database
    DatabaseBusy "database_busy" Unavailable;
    /// the disk did not do what it was told; nothing was written
    DatabaseIoFailed "database_io_failed" Unavailable;
    /// the file is corrupt; `db.doctor` tells more
    DatabaseDamaged "database_damaged" Internal;
    /// the file is as it was
    MigrationFailed "migration_failed" Internal;
    /// anything else of SQLite
    DatabaseError "database_error" Internal;
    /// a background task of the daemon ended early
    Internal "internal" Internal;
    /// parameters that contradict each other
    InvalidParams "invalid_params" Invalid;
}

/// Tests compare with the word that programs read.
#[cfg(test)]
impl PartialEq<&str> for Kind {
    fn eq(&self, word: &&str) -> bool {
        self.as_str() == *word
    }
}

/// What the documentation says of a kind.
#[cfg(test)]
struct Declared {
    variant: &'static str,
    word: &'static str,
    classes: &'static [ErrorClass],
    when: &'static str,
}

#[cfg(test)]
mod tests;
