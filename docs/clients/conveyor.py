"""conveyord's methods with their types, for Python 3.8 and later. Made of the registry by `make clients`.

    from conveyor import Conveyor

    with Conveyor() as client:
        client.task.create(name="greeting", goal="A greeting is written")

It needs `conveyor_transport.py` beside it, and nothing else. Words, keys and kinds may come that are not here yet: a newer
daemon may know more of them.
"""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Mapping, Optional, Sequence, Type, TypedDict, Union

import conveyor_transport as _wire
from conveyor_transport import Closed as Closed
from conveyor_transport import ConnectionLost as ConnectionLost
from conveyor_transport import NoDaemon as NoDaemon
from conveyor_transport import Subscription as Subscription


class AcknowledgeResult(TypedDict):
    """Result of `inbox.acknowledge`."""

    notification_id: int
    """Id of the consumed item."""

    consumed_now: bool
    """False when it had been acknowledged before."""


class Acknowledgement(TypedDict):
    """The acknowledgement of a task's contract by one side."""

    binding_id: Optional[str]
    """Id of the binding for which it was given."""

    correlation_id: Optional[str]
    """Id under which what belongs together is found again."""

    created_at: str
    """Time of the acknowledgement."""

    id: int
    """Id of the acknowledgement."""

    manager_config_revision: Optional[int]
    """Revision of the configuration it answers."""

    payload: Any
    """What was acknowledged."""

    revision: int
    """Number of the acknowledgement among those of the task and role."""

    role: str
    """Which side acknowledged."""

    task_id: str
    """Id of the task."""


class AppServerStatus(TypedDict):
    """The app-server of a Codex home: since 0.169 the shared daemon that runs the threads of all
    terminals.
    """

    codex_home: str
    """The Codex home."""

    connected: bool
    """Whether the daemon is connected to it now."""

    generation: int
    """Counts the app-servers that the daemon has seen there, from 1 on: it grows when Codex
    restarts or updates its own.
    """

    pid: Optional[int]
    """Its process, where the system tells."""

    version: Optional[str]
    """The version of Codex that it says it is."""

    since: str
    """Since when it listens."""


class Applied(TypedDict):
    """What was repaired."""

    sessions_marked_gone: List[str]
    """Names of sessions that are gone now."""

    bindings_marked_invalid: List[BindingId]
    """Bindings that are invalid now, each once."""

    bindings_reactivated: List[BindingId]
    """Bindings that were ending and are active again."""

    cancelled_commands: List[str]
    """Commands that waited for bindings that have ended."""

    suppressed_notifications: List[int]
    """Notifications that those bindings had not delivered."""


class ApprovalRow(TypedDict):
    """Something that Codex asks its user for."""

    id: str
    """Id of the approval."""

    kind: ApprovalKind
    """What Codex asks for."""

    state: ApprovalState
    """How the approval stands."""

    source: ApprovalSource
    """How the daemon knows of the approval."""

    command: Optional[str]
    """The whole command, patch or permissions. Where `extent` is not `whole`, what the menu in
    the pane shows.
    """

    extent: ApprovalExtent
    """How much of what Codex asks this approval holds. Only a whole one can be accepted."""

    sha256: str
    """SHA-256 of what is shown: kind, command, folder and reason. What Codex asks must still
    have this hash when the approval is accepted.
    """

    cwd: Optional[str]
    """The folder that the approval concerns."""

    reason: Optional[str]
    """Why, in the model's words; of a question, the question."""

    created_at: str
    """Time at which the daemon learned of the approval."""

    age_seconds: Optional[float]
    """Seconds since the daemon learned of it."""

    session_id: str
    """Id of the session that asks."""

    session: str
    """Name of the session that asks."""

    task_id: Optional[str]
    """Task that the session works on; null when it is not bound."""

    task: Optional[str]
    """Name of the task that the session is bound to."""

    thread_id: Optional[str]
    """Codex's id of the thread."""

    turn_id: Optional[str]
    """Codex's id of the turn."""

    resolved_at: Optional[str]
    """Time at which the approval was answered or over."""

    decision: Optional[str]
    """`accept` or `decline`, when it was decided through Conveyor."""

    decided_by: Optional[str]
    """Name of the manager for whom that was done."""

    decided_reason: Optional[str]
    """Why it was accepted or declined, as the manager said."""


class ArchiveResult(TypedDict):
    """Result of `task.archive`."""

    archived: List[TaskName]
    """The tasks that are archived now and were not before, in the order of their creation."""


class _AttachResult(TypedDict):
    """What is always there of `AttachResult`."""

    name: str
    """Name of the worker or session."""

    task: Optional[str]
    """Name of the task, when one was asked for."""

    tmux_session: str
    """The tmux session that is attached to."""

    attach_command: str
    """The command for a terminal, as one line for a shell."""

    attach_words: List[str]
    """The command that attaches, word by word."""


class AttachResult(_AttachResult, total=False):
    """Result of `worker.attach`: how a terminal is attached to a running tmux session."""

    warning: str
    """Why it may fail, and the way out: the tmux server is of another version than the caller's
    tmux.
    """


class AttemptRow(TypedDict):
    """An execution of a command."""

    correlation_id: str
    """Id under which what belongs together is found again."""

    dispatcher_id: str
    """Id of the dispatcher that executed the command."""

    error: Optional[str]
    """What went wrong."""

    finished_at: Optional[str]
    """Time at which the execution ended."""

    id: int
    """Id of the execution."""

    result: Any
    """What the execution answered."""

    side_effect_completed: bool
    """Whether everything was sent."""

    side_effect_started: bool
    """Whether something may have been sent."""

    started_at: str
    """Time at which the execution began."""

    state: str
    """`running`, `succeeded`, `failed`, `abandoned` or `blocked`."""


class AuditResult(TypedDict):
    """Everything stored about a task. The rows have the keys of their tables, JSON columns
    decoded.
    """

    task: TaskObject
    """The task that was asked about."""

    events: List[Any]
    """The audit trail, in order."""

    commands: List[Any]
    """Commands of the task."""

    command_attempts: List[Any]
    """Executions of the commands."""

    routed_notifications: List[Any]
    """Notifications of the task."""

    correlation_chains: List[Any]
    """What belongs together, by correlation id."""

    manager_cycles: List[Any]
    """Cycles of the manager."""

    manager_cycle_spans: List[Any]
    """Spans of the cycles."""

    manager_decisions: List[Any]
    """Decisions of the manager."""

    agent_observations: List[Any]
    """What was observed of the sessions."""

    terminal_captures: List[Any]
    """Stored panes."""

    transcript_segments: List[Any]
    """What was new in the stored panes."""

    acceptance_criteria: List[Any]
    """Criteria of the task."""

    task_acknowledgements: List[Any]
    """Acknowledgements of the contract."""

    task_continuations: List[Any]
    """Proposals for how to go on."""

    continuation_reviews: List[Any]
    """Reviews of those proposals."""

    epilogue_runs: List[Any]
    """Runs of epilogue steps."""

    session_nudges: List[Any]
    """Nudges of the sessions, from telemetry."""

    session_interrupts: List[Any]
    """Interrupts of the sessions, from telemetry."""


class AuditRowsResult(TypedDict):
    """Result of `task.audit_rows`."""

    task: TaskObject
    """The task that was asked about."""

    rows: List[Any]
    """Some rows of the list, in its order: as many as fit into a few MiB."""

    next: Optional[List[Any]]
    """The place of the last row, to ask for the rows after it; null when there are no more."""


class BindResult(TypedDict):
    """Result of `binding.create`."""

    binding_id: BindingId
    """Id of the new binding."""

    task: str
    """The parameter `task` as given."""

    worker: str
    """The parameter `worker` as given."""

    manager: str
    """The parameter `manager` as given."""

    worker_communication: Communication
    """How to talk to the worker."""

    manager_communication: Communication
    """How to talk to the manager."""


class BindingMatch(TypedDict):
    """An open binding with its names. Those of a session are null for a record of the old kind."""

    id: BindingId
    """Id of the binding."""

    state: str
    """State of the binding."""

    created_at: str
    """Time at which the binding was made."""

    task_name: str
    """Name of the task."""

    task_goal: str
    """Goal of the task."""

    worker_name: Optional[str]
    """Name of the worker."""

    worker_state: Optional[str]
    """State of the worker."""

    worker_tmux_session: Optional[str]
    """The worker's tmux session."""

    manager_name: Optional[str]
    """Name of the manager."""

    manager_state: Optional[str]
    """State of the manager."""

    manager_tmux_session: Optional[str]
    """The manager's tmux session."""


class Budget(TypedDict):
    """Nudge budget of a task."""

    max_nudges: int
    """How many nudges the task may have."""

    nudges_used: int
    """How many nudges were used."""

    nudges_remaining: int
    """How many nudges are left."""

    expires_at: str
    """Time at which the budget expires."""


class BusyWait(TypedDict):
    """A notable pattern in a pane."""

    pattern: str
    """Name of the pattern."""

    reason: str
    """Why the pattern is notable, in a sentence."""

    recommended_action: str
    """What a manager should do about it."""


class Caller(TypedDict, total=False):
    """What belongs to the caller and not to the daemon: the daemon's own environment would give
    wrong answers. Every field may be left out by clients that have no such thing.
    """

    cwd: Optional[str]
    """Current directory of the caller, as an absolute path."""

    program: Optional[str]
    """The program's name as it was called, for examples in texts: `conveyorctl`, `conveyor` or
    `workerctl`.
    """

    pid: Optional[int]
    """Process id of the caller."""

    codex_home: Optional[str]
    """The caller's variable `CODEX_HOME`."""

    home: Optional[str]
    """The caller's variable `HOME`."""

    path: Optional[str]
    """The caller's variable `PATH`."""

    tmux: Optional[str]
    """The caller's variable `TMUX`."""

    tmux_pane: Optional[str]
    """The caller's variable `TMUX_PANE`."""

    tmux_tmpdir: Optional[str]
    """The caller's variable `TMUX_TMPDIR`."""


class CallingThread(TypedDict):
    """The Codex thread that runs the caller."""

    pid: int
    """Codex's process, an ancestor of the caller."""

    codex_session_id: str
    """Codex's id of the thread."""

    codex_session_path: str
    """Rollout file of the thread."""


class _CaptureResult(TypedDict):
    """What is always there of `CaptureResult`."""

    name: str
    """Name of the worker."""

    transcript_path: str
    """File into which the text was written."""

    sha256: str
    """SHA-256 of the text, in hexadecimal digits."""

    byte_count: int
    """Number of bytes of the text."""

    line_count: int
    """Number of lines of the text."""

    history_lines: int
    """The parameter `lines` as given."""

    content_redacted: bool
    """Whether the text was left out of this answer."""


class CaptureResult(_CaptureResult, total=False):
    """Result of `worker.capture`."""

    content: str
    """The text; absent unless asked for."""


class _Change(TypedDict):
    """What is always there of `Change`."""

    kind: ChangeKind
    """What the change is about."""


class Change(_Change, total=False):
    """One committed change. Keys that do not apply are left out."""

    at: str
    """Time at which the change was committed."""

    task_id: str
    """Id of the task; for the change of a session, of the task that it is bound to."""

    task: str
    """Name of the task."""

    session_id: str
    """Id of the session."""

    session: str
    """Name of the session."""

    id: str
    """The row: command, notification, cycle, turn, approval or binding id."""

    state: str
    """Its new state, when it has one."""

    count: int
    """Number of records, for `ingested`; number of missed changes, for `lagged`."""


class ClassifyResult(TypedDict):
    """Result of `pane.classify`."""

    busy_wait: Optional[BusyWait]
    """The notable pattern, if any."""

    busy_wait_seconds: int
    """The parameter `busy_wait_seconds` as given."""

    startup: str
    """State of the start-up that the text shows."""

    startup_reason: str
    """Why the start-up was judged so, in a sentence."""

    status_age_seconds: int
    """The parameter `status_age_seconds` as given."""

    shows: str
    """What the pane shows by today's screens: `ready`, `busy`, `approval`, ..."""


class CodexOptions(TypedDict, total=False):
    """How a Codex that is started is to run, and how its start is watched."""

    sandbox: Optional[str]
    """Codex's `--sandbox`; empty leaves the option out. Default: the daemon's setting."""

    ask_for_approval: Optional[str]
    """Codex's `--ask-for-approval`; empty leaves the option out. Default: the daemon's setting."""

    codex_profile: Optional[CodexProfile]
    """What holds where the two are not given."""

    model: Optional[str]
    """Codex's `--model`."""

    no_daemon: bool
    """Run in a process of its own, without Codex's shared daemon."""

    args: List[str]
    """Further arguments for Codex, before its prompt."""

    accept_trust: bool
    """Answer the question whether the folder is trusted. No other question is ever answered."""

    keep: bool
    """Leave Codex running when its start fails."""

    timeout_seconds: Optional[int]
    """How long to wait for the session's rollout: 15 seconds for a worker, 60 for a manager and
    in a pair.
    """


class _CommandRow(TypedDict):
    """What is always there of `CommandRow`."""

    attempts: int
    """Number of executions so far."""

    available_at: Optional[str]
    """Time before which the command is not executed."""

    claim_expires_at: Optional[str]
    """Time at which the claim of its dispatcher ends."""

    claimed_at: Optional[str]
    """Time at which a dispatcher claimed the command."""

    claimed_by: Optional[str]
    """Id of the dispatcher that claimed the command."""

    correlation_id: Optional[str]
    """Id under which what belongs together is found again."""

    created_at: str
    """Time at which the command was queued."""

    error: Optional[str]
    """What went wrong in the last execution."""

    id: CommandId
    """Id of the command."""

    manager_id: Optional[str]
    """Legacy id of the manager."""

    max_attempts: int
    """How many executions are allowed."""

    payload: Any
    """What is to be sent, and how."""

    required_permission: Optional[str]
    """Permission that the task's configuration must grant."""

    result: Any
    """What the last execution answered."""

    state: CommandState
    """Where the command stands."""

    task_id: Optional[str]
    """Id of the task."""

    task_name: Optional[str]
    """Name of the task."""

    type: str
    """Type of the command."""

    updated_at: str
    """Time of the last change of the command."""

    worker_id: Optional[str]
    """Legacy id of the worker."""

    delivery: Optional[str]
    """`delivered`, `queued`, `held`, `uncertain`, `failed`, `retried` or `discarded`; null for
    commands that deliver nothing and for those that were not tried yet.
    """

    held_by: Optional[str]
    """What holds it back: what its pane shows, or `unreachable`."""


class CommandRow(_CommandRow, total=False):
    """A row of `command.list`."""

    retry_of: str
    """The command that this one sends again; absent for others."""

    retried_as: str
    """The command that sends this one again; absent for others."""

    attempt_history: List[AttemptRow]
    """Executions in order; only when they were asked for."""


class Communication(TypedDict):
    """How a session can be talked to."""

    session_kind: str
    """What kind of session it is: `tmux` or `codex_app`."""

    receive_style: str
    """How the session receives messages: `push` or `pull`."""

    delivery_mode: DeliveryMode
    """How a message reaches the session: `push` or `pull_required`."""

    inbox_command: Optional[str]
    """The polling command of a session without tmux; as a fallback for others."""


class ConfigChange(TypedDict, total=False):
    """What a call changes of a configuration. What is not given stays, or has its default in a
    new configuration.
    """

    supervision_mode: Optional[SupervisionMode]
    """How closely the manager supervises; `guided` in a new configuration."""

    objective: Optional[str]
    """What is to be reached."""

    guidelines: Optional[List[str]]
    """Rules of conduct. This list and the others are replaced as a whole, trimmed, without
    blanks and repetitions.
    """

    acceptance_criteria: Optional[List[str]]
    """Texts of the criteria."""

    reference_paths: Optional[List[str]]
    """Files that the manager is to read."""

    tools: Optional[List[str]]
    """Tools that are expected to be there."""

    epilogues: Optional[List[Epilogue]]
    """Steps that must have run before the end."""

    nudge_on_completion: Optional[NudgeOnCompletion]
    """What happens when the worker completes; `ask-operator` in a new configuration."""

    require_acks: Optional[bool]
    """Whether both sides must acknowledge."""

    permit: List[str]
    """Permissions to grant, each as `category.action` or by an alias."""

    permissions: Dict[str, Any]
    """Further changes of permissions, applied after `permit`, member by member in their order: a
    category with the list of its actions, which replaces what was granted in it, or a
    permission with whether it is granted.
    """


class ConfigResult(TypedDict):
    """The settings in force and where each came from."""

    files: StateFiles
    """Files of the daemon."""

    state_root: SourcedString
    """State root of the daemon."""

    dispatch: SourcedBoolean
    """Whether Dispatch runs by itself."""

    watch: SourcedBoolean
    """Whether rollouts are ingested as they grow."""

    dispatcher_id: SourcedString
    """Id of the daemon's own Dispatch."""

    log: SourcedString
    """Filter of the log (`info`, `conveyord=debug`, ...)."""

    receipt_timeout_ms: SourcedUint64
    """How long a send waits for its receipt in the rollout, in milliseconds."""

    completion_settle_ms: SourcedUint64
    """How long a completion of a session with a pane waits for a follow-up turn, in
    milliseconds.
    """

    command_timeout_ms: SourcedUint64
    """Time limit of each call of tmux and other programs, in milliseconds."""

    codex_sandbox: SourcedString
    """`--sandbox` of a Codex that is started without one."""

    codex_approval: SourcedString
    """`--ask-for-approval` of a Codex that is started without one."""


class ConsumedNotification(TypedDict):
    """A notification that this cycle consumed."""

    id: int
    """Id of the notification."""

    signal_type: str
    """What the notification is about."""

    message: Optional[str]
    """Text of the notification."""

    correlation_id: str
    """Id under which what belongs together is found again."""

    created_at: str
    """Time at which the notification was made."""

    payload: Any
    """Everything that the notification carries."""


class ConvertedRows(TypedDict):
    """Rows of a table that were made to fit."""

    table: str
    """Name of the table."""

    what: str
    """What was done to the rows."""

    rows: int
    """Number of rows."""


class CreateResult(TypedDict):
    """Result of `task.create`."""

    created: bool
    """Whether the task was created: always true."""

    id: TaskId
    """Id of the new task."""

    name: str
    """Name of the new task."""


class CreateWorkerResult(TypedDict):
    """Result of `worker.create`."""

    name: str
    """Name of the worker."""

    worker_id: str
    """Id of the worker."""

    tmux_session: str
    """tmux session in which Codex runs."""

    state_dir: str
    """The worker's folder."""

    contract_path: str
    """File with the worker's contract."""

    initial_prompt: bool
    """Whether the contract was given as first prompt."""

    trust_accepted: bool
    """Whether the question of trust was answered."""

    startup: Optional[Startup]
    """How far Codex had come; null when nobody waited for it."""

    verification: Optional[Verification]
    """Whether the worker reported; null when nobody waited for it."""

    attach_command: str
    """The command that attaches a terminal."""

    stopped: Optional[bool]
    """Whether its tmux session was ended at the end; null when that was not asked for."""


class CriteriaNegotiation(TypedDict):
    """Advice to settle criteria."""

    needed: bool
    """Whether criteria should be settled now."""

    reason: str
    """Why: `no_criteria`, `no_current_task_criteria` or `active_criteria_present`."""

    prompt: Optional[str]
    """Text that the manager may send to the worker."""

    suggested_actions: List[str]
    """What the manager should do."""


class CriteriaSummary(TypedDict):
    """Number of criteria per status."""

    proposed: int
    """Number of proposed criteria."""

    accepted: int
    """Number of accepted criteria."""

    satisfied: int
    """Number of satisfied criteria."""

    deferred: int
    """Number of deferred criteria."""

    rejected: int
    """Number of rejected criteria."""


class CriteriaView(TypedDict):
    """The criteria of a task by status."""

    summary: CriteriaSummary
    """Number of criteria per status."""

    open: List[Criterion]
    """Criteria that are accepted and not yet satisfied."""

    proposed: List[Criterion]
    """Criteria that are proposed."""

    satisfied: List[Criterion]
    """Criteria that are satisfied."""

    deferred: List[Criterion]
    """Criteria that are deferred."""

    rejected: List[Criterion]
    """Criteria that are rejected."""


class Criterion(TypedDict):
    """A criterion of a task."""

    created_at: str
    """Time at which the criterion was recorded."""

    criterion: str
    """Text of the criterion."""

    evidence: Any
    """What proves that the criterion is satisfied, for programs."""

    id: int
    """Id of the criterion."""

    proof: Optional[str]
    """What proves that the criterion is satisfied."""

    rationale: Optional[str]
    """Why the criterion stands where it stands."""

    source: str
    """Who came up with the criterion."""

    status: str
    """Where the criterion stands."""

    task_id: str
    """Id of the task."""

    updated_at: str
    """Time of the last change of the criterion."""


class _CriterionResult(TypedDict):
    """What is always there of `CriterionResult`."""

    task: TaskRef
    """The task of the criterion."""

    summary: CriteriaSummary
    """Number of criteria per status, after the change."""

    affected_criterion: Criterion
    """The criterion that the call was about."""

    created: bool
    """Whether the criterion was added; false when it was there before, and for a change."""

    warnings: List[CriterionWarning]
    """What a careful caller looks at."""


class CriterionResult(_CriterionResult, total=False):
    """Result of a method that writes a criterion."""

    criteria: List[Criterion]
    """All criteria, in the order of their ids. The key is absent from a brief answer."""


class CriterionSuggestion(TypedDict):
    """A criterion that a worker's text proposes."""

    criterion: str
    """Text of the criterion."""

    source: CriterionSource
    """Who came up with it: always `worker_proposed`."""

    status: CriterionStatus
    """Where it would stand: `accepted` or `deferred`."""

    rationale: Optional[str]
    """Why the criterion would be deferred."""

    command: List[str]
    """The command line that adds it, as a list of arguments."""

    command_line: str
    """The same for a POSIX shell."""

    line: int
    """The line of the text that it begins on, from 1."""


class _CycleResult(TypedDict):
    """What is always there of `CycleResult`."""

    kind: str
    """What this object is: always `session_cycle`."""

    task: str
    """The parameter `task` as given."""

    binding_id: str
    """Id of the binding."""

    worker_session: str
    """Name of the worker's session."""

    manager_session: str
    """Name of the manager's session."""

    ingest: IngestCounts
    """What was read from the rollout."""

    rollout_damage: RolloutDamage
    """What of the worker's rollouts was found to be damaged since the last cycle of the task:
    bytes that could not be read, and records that were read only after a repair.
    """

    state: CoarseState
    """State in three words, by the rollout."""

    worker_state: WorkerState
    """State of the worker in detail."""

    worker_state_source: StateSource
    """Where the state was read from."""

    worker_state_since: Optional[str]
    """Time since which the worker is in this state, when it is known."""

    limit_resets_at: Optional[str]
    """Time at which the account's limit begins anew that a worker in state `limit_reached` has
    met, when Codex tells it; null in all other states.
    """

    turn: Optional[Turn]
    """The turn that runs, or the last one."""

    last_state_event_at: Optional[str]
    """Time of the newest state-bearing record."""

    staleness_seconds: Optional[float]
    """Seconds since the newest state-bearing record."""

    last_activity_at: Optional[str]
    """Time of the newest record of any kind."""

    activity_age_seconds: Optional[float]
    """Seconds since the newest record of any kind."""

    pane_signal: PaneSignal
    """What the pane shows."""

    notable_pane_pattern: Optional[str]
    """The same as `pane_signal.notable_pattern`."""

    worker_alive: bool
    """Whether the worker's process lives."""

    manager_alive: bool
    """Whether the manager's process lives."""

    last_event_subtype: Optional[str]
    """Subtype of the newest stored record."""

    task_completed: bool
    """Whether the worker's last turn under this task is complete."""

    consumed_dispatch_notifications: int
    """How many notifications to the manager this cycle consumed."""

    consumed_notifications: List[ConsumedNotification]
    """The notifications that this cycle consumed."""

    manager_context: ManagerContext
    """What a manager should know when it decides."""


class CycleResult(_CycleResult, total=False):
    """Result of `cycle.run`."""

    cycle_id: int
    """Id of the cycle; not in the stored status."""

    cycle_started_at: str
    """Start; not in the stored status."""

    cycle_completed_at: str
    """End; not in the stored status."""


class DaemonStatusResult(TypedDict):
    """How the daemon fares."""

    running: bool
    """Always true in an answer of the daemon; the command line prints false when none runs."""

    version: str
    """Version of the daemon."""

    pid: int
    """Process id of the daemon."""

    started_at: str
    """Time at which the daemon started."""

    uptime_seconds: int
    """Whole seconds since the daemon started."""

    started_by: StartedBy
    """Who started the daemon."""

    socket_activated: bool
    """Whether a service manager holds the listening socket: then it outlives the daemon, and the
    next call starts the daemon again.
    """

    unit: Optional[str]
    """The systemd unit or the label of the launchd agent."""

    state_root: str
    """State root of the daemon."""

    socket: str
    """Path of the daemon's socket."""

    database: str
    """Path of the database file."""

    database_bytes: int
    """Size of the database file in bytes."""

    log: str
    """Path of the log that is written now."""

    schema_version: int
    """Version of the database schema."""

    dispatch: bool
    """Whether Dispatch runs by itself."""

    dispatcher_id: str
    """Id of the daemon's own Dispatch."""

    watch: bool
    """Whether rollouts are ingested as they grow."""

    watched_rollouts: int
    """Number of rollouts that are watched."""

    connections: int
    """Number of open connections."""

    waiting_calls: int
    """Calls that wait for something to happen."""

    deliveries: DeliveryCounts
    """Deliveries that need somebody's eye."""

    last_error: Optional[str]
    """The last failure of a background loop or of an item of one, or what a loop could not do,
    if any, with its time.
    """

    loops: List[LoopStatus]
    """The background loops. A daemon of an earlier version does not say."""

    app_servers: List[AppServerStatus]
    """The app-servers of Codex that the daemon has been connected to. A daemon of an earlier
    version does not say.
    """


class DaemonStopResult(TypedDict):
    """Result of `daemon.stop`."""

    stopping: bool
    """Always true: the daemon ends after this answer."""

    pid: int
    """Its process id, so that the caller can wait for its end."""

    started_by: StartedBy
    """Who started the daemon."""

    socket_activated: bool
    """Whether a service manager holds the listening socket: then it outlives the daemon, and the
    next call starts the daemon again.
    """

    unit: Optional[str]
    """The systemd unit or the label of the launchd agent."""


class DamagedPart(TypedDict):
    """A damaged part of a rollout."""

    path: str
    """The file."""

    byte_offset: int
    """Where the part begins in the file."""

    byte_count: int
    """Length of the part."""

    reason: str
    """What is wrong: `not_json`, `not_utf8`, `hole`, `control`, `glued`, `split`, `bad_number`,
    `too_deep`, `not_object`, `no_type`, `turn_id`, `name` or `oversized`.
    """

    remedy: Remedy
    """What became of it."""

    found_at: str
    """Time at which it was read."""


class DanglingBinding(TypedDict):
    """One gone side of an open binding."""

    binding_id: BindingId
    """Id of the binding."""

    task_id: TaskId
    """Id of the task."""

    task_name: str
    """Name of the task."""

    gone_role: Role
    """Which side is gone."""

    gone_session_name: str
    """Name of the session that is gone."""


class DatabaseImport(TypedDict):
    """What becomes of a database."""

    path: str
    """Path of the database file."""

    schema_version: int
    """Schema version of that database."""

    already_imported: bool
    """Whether exactly these rows were imported before: then nothing is left to do, whatever
    became of them since.
    """

    tables: List[TableImport]
    """Every table, in the order of the import."""

    skipped: List[SkippedRows]
    """Rows that are left out, each with the reason."""

    conflicts: List[ImportConflict]
    """Rows that stand here with other content; the first hundred. With any, nothing is written."""

    renamed: List[RenamedRow]
    """Names that somebody else has here."""

    renumbered: List[RenumberedTable]
    """Tables whose numbers are taken here: what is added to each, also where other rows refer to
    it.
    """

    converted: List[ConvertedRows]
    """What was made to fit the newest schema."""

    pending_commands: int
    """Queued commands that Dispatch goes on with."""

    pending_notifications: int
    """Notifications that Dispatch goes on with."""

    verified: Optional[bool]
    """Whether what was written was counted and compared afterwards; null where nothing was
    written.
    """


class _DbCheck(TypedDict):
    """What is always there of `DbCheck`."""

    name: str
    """Name of the check."""

    ok: bool
    """Whether all is well."""


class DbCheck(_DbCheck, total=False):
    """A check of the database. Beside `name` and `ok`, the key that fits the check."""

    value: Any
    """What was found."""

    missing: List[str]
    """What is missing, sorted by name."""

    violations: List[ForeignKeyViolation]
    """Rows that refer to rows that are not there."""

    drift_count: int
    """Number of tasks that do not agree with what runs."""

    manager_liveness_warning_count: int
    """Number of managers that were not seen for long."""

    task_count: int
    """Number of tasks that were checked."""

    unfinished_command_count: int
    """Commands that are pending or attempted."""


class _DbDoctorResult(TypedDict):
    """What is always there of `DbDoctorResult`."""

    checks: List[DbCheck]
    """The checks in order."""

    ok: bool
    """Whether all checks are well."""

    path: str
    """Path of the database file."""

    schema_version: Optional[int]
    """Number of the newest applied migration."""

    user_version: int
    """Version that stands in the header of the file."""

    wal_bytes: int
    """Size of the write-ahead log in bytes."""


class DbDoctorResult(_DbDoctorResult, total=False):
    """Result of `db.doctor`."""

    live_reconcile: LiveReconcile
    """The database held against what runs; only when `live` was asked for."""


class DeadSession(TypedDict):
    """An active session whose process does not run any more."""

    name: str
    """Name of the session."""

    role: Role
    """Role of the session."""

    pid: int
    """Id of the process that the session had."""

    last_heartbeat_at: Optional[str]
    """Time of the last ingest or registration."""


class DecideResult(TypedDict):
    """Result of `approval.accept` and `approval.decline`."""

    approval: ApprovalRow
    """The approval as it stands now: accepted, declined or uncertain."""

    note: Optional[str]
    """What remains open, in a sentence."""


class _DecisionCheck(TypedDict):
    """What is always there of `DecisionCheck`."""

    allowed_decisions: List[str]
    """Decisions that allow the command, sorted."""

    decision: Any
    """The decision, when it was found."""

    decision_id: Optional[int]
    """The parameter `decision_id` as given."""

    ok: bool
    """Whether there are no warnings."""

    warnings: List[str]
    """What is wrong with the decision."""


class DecisionCheck(_DecisionCheck, total=False):
    """A manager's decision held against what the command allows."""

    age_seconds: int
    """Its age; absent when it was not found."""

    max_age_seconds: int
    """Oldest age; absent when it was not found."""


class DeleteResult(TypedDict):
    """Result of `task.delete`."""

    deleted: bool
    """Whether the task was deleted: always true."""

    id: TaskId
    """Id of the task."""

    name: str
    """Name of the task."""


class DeliveryCounts(TypedDict):
    """Deliveries that need somebody's eye."""

    pending_commands: int
    """Commands that wait to be claimed."""

    held: int
    """Commands that were not sent because the pane shows a menu or holds a draft."""

    uncertain: int
    """Deliveries that may or may not have arrived."""

    failed: int
    """Number of deliveries that failed."""

    oldest_held_seconds: Optional[int]
    """Age of the oldest held one, in whole seconds."""

    oldest_uncertain_seconds: Optional[int]
    """Age of the oldest uncertain one, in whole seconds."""

    oldest_failed_seconds: Optional[int]
    """Age of the oldest failed one, in whole seconds."""


class DeliveryProof(TypedDict):
    """What proves a delivery."""

    kind: str
    """`user_message`: the rollout's own record of the text."""

    turn_id: Optional[str]
    """Codex's id of the turn in which the text arrived."""

    at: str
    """Time of the proof."""


class DeregisterResult(TypedDict):
    """Result of `session.deregister`."""

    name: str
    """Name of the session."""

    state: SessionState
    """State of the session now: always `gone`."""

    already_gone: bool
    """Whether it was gone before; then nothing was written."""


class DiscardResult(TypedDict):
    """Result of `command.discard`."""

    id: str
    """What was discarded: the id of the command, `notification-N` or `delivery-N`."""

    type: str
    """Type of what was closed."""

    task: Optional[str]
    """Name of the task."""

    delivery_before: Optional[str]
    """How the delivery stood before this call."""

    already_discarded: bool
    """True when it had been discarded before, and nothing was done."""


class DiscoverResult(TypedDict):
    """Result of `discover.run`. Each section has the best matches first, and of equal matches
    the newest.
    """

    query: str
    """What was looked for, without the blanks around it."""

    tasks: List[TaskRow]
    """Tasks that match."""

    sessions: List[SessionRow]
    """Sessions that match."""

    bindings: List[BindingMatch]
    """Open bindings that match."""

    telemetry: List[TelemetryMatch]
    """Telemetry, newest first; only with a query."""

    suggestions: List[Suggestion]
    """What to do next."""


class DispatchResult(TypedDict):
    """Result of `dispatch.run`."""

    dispatcher_id: str
    """Id of the dispatcher."""

    dry_run: bool
    """The parameter `dry_run` as given."""

    iterations: int
    """Number of passes that were run."""

    watch: bool
    """Whether passes were repeated."""

    processed_count: int
    """Number of items in `processed`."""

    processed: List[Processed]
    """What was done, or would be."""


class Divergence(TypedDict):
    """A cycle whose pane showed something notable."""

    id: int
    """Id of the cycle."""

    task_id: TaskId
    """Id of the task."""

    started_at: str
    """Time at which the cycle began."""

    completed_at: Optional[str]
    """Time at which the cycle ended."""

    state: str
    """Always `succeeded`: a cycle that failed has no look at the pane."""

    notable_pane_pattern: str
    """Name of the notable pattern that the pane showed."""

    status: Any
    """What the cycle answered, as it is stored."""


class _DoctorCheck(TypedDict):
    """What is always there of `DoctorCheck`."""

    ok: bool
    """Whether all is well."""


class DoctorCheck(_DoctorCheck, total=False):
    """The outcome of a check."""

    path: str
    """File or folder, for those that look for one."""

    value: str
    """What was found, for versions and counts."""

    message: str
    """What is wrong and the way out."""


class DoctorResult(TypedDict):
    """Result of `doctor.run`."""

    checks: Dict[str, DoctorCheck]
    """The checks by name."""

    ok: bool
    """Whether all that count are well."""

    project_root: str
    """The folder that was looked at."""

    workers: List[Any]
    """Legacy workers of the state root."""

    deliveries: DeliveryCounts
    """Deliveries that need somebody's eye."""


class Empty(TypedDict):
    """No parameters."""


class EnqueueResult(TypedDict):
    """Result of the enqueue methods."""

    command_id: CommandId
    """Id of the queued command."""

    command_type: str
    """Type of the queued command."""

    correlation_id: str
    """Id under which what belongs together is found again."""

    required_permission: Optional[str]
    """Permission that the task's configuration must grant, as stored."""

    task: str
    """The parameter `task` as given."""

    deduplicated: bool
    """True when the command existed before under this idempotency key."""


class EpilogueStep(TypedDict):
    """How an epilogue step stands."""

    step_name: str
    """Name of the step."""

    state: str
    """State of the latest run, or `missing`."""

    ok: bool
    """Whether the step succeeded."""

    latest_run: Any
    """The latest run of the step."""


class EventsResult(TypedDict):
    """Result of `worker.events`."""

    events: List[Any]
    """The events of the worker's file, oldest first."""

    skipped_lines: int
    """Lines of the file that are no event."""

    older_left_off: bool
    """Whether the file is so large that only the events at its end were read."""


class FailingItem(TypedDict):
    """An item of a background loop whose work panicked."""

    item: str
    """What it is: a session's id, or a kind and a name."""

    failures: int
    """How often the work panicked in a row."""

    last_failed_at: str
    """When it panicked last."""


class FinalAckAudit(TypedDict):
    """Which acknowledgements are there at the end of a task."""

    require_acks: bool
    """As asked, or by the configuration."""

    ok: bool
    """Whether no acknowledgement is missing."""

    missing: List[str]
    """Roles whose acknowledgement is missing or out of date."""

    worker_ack_id: Optional[int]
    """Id of the worker's latest acknowledgement."""

    manager_ack_id: Optional[int]
    """Id of the manager's latest acknowledgement."""


class FinalAudit(TypedDict):
    """Which criteria are open at the end of a task."""

    require_criteria_audit: bool
    """The parameter `require_criteria_audit` as given."""

    open_criteria: List[OpenCriterion]
    """Criteria that are accepted and not satisfied."""

    summary: CriteriaSummary
    """Number of criteria per status."""

    total: int
    """Number of all criteria."""


class FinalEpilogueAudit(TypedDict):
    """Which epilogue steps have run at the end of a task."""

    require_epilogue: bool
    """The parameter `require_epilogue` as given."""

    ok: bool
    """Whether all steps have succeeded."""

    required_steps: List[str]
    """Steps that the configuration asks for."""

    missing_or_incomplete: List[str]
    """Steps that have not succeeded."""

    steps: List[EpilogueStep]
    """How each step stands."""


class Finding(TypedDict):
    """One thing that does not agree, and what to do."""

    kind: DriftKind
    """What does not agree."""

    severity: DriftSeverity
    """How grave it is."""

    message: str
    """A sentence that names it."""

    action: str
    """What to do about it."""

    repairable: bool
    """Whether `apply` repairs it."""

    repaired: bool
    """Whether this call repaired it."""

    task_id: Optional[str]
    """Id of the task."""

    task_name: Optional[str]
    """Name of the task."""

    session: Optional[str]
    """Name of the session."""

    binding_id: Optional[str]
    """Id of the binding."""

    id: Optional[str]
    """The row itself: command, notification, delivery, cycle or turn."""


class _FinishResult(TypedDict):
    """What is always there of `FinishResult`."""

    command_id: str
    """Id of the command that ended the task."""

    task: str
    """Name of the task."""

    finish: bool
    """Whether it was finished and not stopped."""

    reason: str
    """Why the task was ended."""

    stop_manager: bool
    """As asked; always true when the task was stopped."""

    stop_worker: bool
    """The parameter `stop_worker` as given."""

    killed_manager: bool
    """Whether the manager's tmux session was ended."""

    killed_worker: bool
    """Whether the worker's tmux session was ended."""

    already_done_followup: bool
    """Whether the task was done before."""

    worker: Optional[str]
    """Name of the worker, as in `worker_session`; kept for scripts of old."""

    worker_session: Optional[str]
    """Name of the worker session."""

    manager_session: Optional[str]
    """Name of the manager session."""

    final_decision_id: Optional[int]
    """The final decision; null when the task was stopped."""

    final_observation_id: Optional[int]
    """The final observation; null when the task was stopped."""

    manager_decision: DecisionCheck
    """The manager's decision that was named, and what is wrong with it."""

    pre_stop_transcript_captures: List[PreStopCapture]
    """Panes that were stored before their sessions were ended."""

    warnings: List[str]
    """What had no effect, and identity mismatches of sessions that were left alone."""

    final_audit: FinalAudit
    """Which criteria are open."""

    final_ack_audit: FinalAckAudit
    """Which acknowledgements are there."""

    final_epilogue_audit: FinalEpilogueAudit
    """Which epilogue steps have run."""


class FinishResult(_FinishResult, total=False):
    """Result of `task.finish`."""

    manager_identity: Identity
    """Only when the manager was looked at."""

    worker_identity: Identity
    """Only when the worker was looked at."""


class _FolderAction(TypedDict):
    """What is always there of `FolderAction`."""

    action: FolderActionKind
    """What is written."""

    source: str
    """File from which it comes."""


class FolderAction(_FolderAction, total=False):
    """One thing that is written for a worker folder."""

    worker: str
    """For which worker; absent where a line is passed over."""

    line: int
    """Line of the file, counted from 1; only of events."""


class ForeignKeyViolation(TypedDict):
    """A row that refers to a row that is not there."""

    table: str
    """Name of the table."""

    rowid: Optional[int]
    """Number of the row."""

    parent: str
    """Name of the table that it refers to."""

    fkid: int
    """SQLite's number of the foreign key."""


class Handoff(TypedDict):
    """What a worker left for whoever goes on."""

    created_at: str
    """Time of the handoff."""

    id: int
    """Id of the handoff."""

    next_steps: List[str]
    """What comes next, step by step."""

    payload: Any
    """More, for programs."""

    summary: str
    """What the worker has done."""

    task_id: str
    """Id of the task."""

    worker_session_id: Optional[str]
    """Id of the worker's session."""


class HelloResult(TypedDict):
    """Result of `rpc.hello`: who answers."""

    server_version: str
    """Version of the daemon."""

    protocol: Protocol
    """Version of the protocol that the daemon speaks."""

    capabilities: List[str]
    """What this daemon can do beyond the protocol's minimum, stable words."""

    pid: int
    """Process id of the daemon."""

    started_at: str
    """Time at which the daemon started."""

    schema_version: int
    """Version of the database schema."""

    state_root: str
    """State root of the daemon."""


class Identity(TypedDict):
    """Whether a session is still the session that was registered."""

    codex_session_id: Optional[str]
    """Codex's id of the thread."""

    codex_session_path: Optional[str]
    """Rollout file of the session."""

    db_pane_id: Optional[PaneId]
    """The pane that is recorded."""

    db_session: Optional[str]
    """The tmux session that is recorded."""

    delivery_mode: str
    """How messages reach the session: push or pull."""

    live: bool
    """Whether the tmux session runs."""

    live_pane_id: Optional[PaneId]
    """The pane that was found in the tmux session."""

    pid: Optional[int]
    """Process id of Codex."""

    role: str
    """Role of the session."""

    session: str
    """Name of the session."""

    state: str
    """State of the registration."""

    mismatches: List[str]
    """What does not agree with the registration."""


class IdleCheck(TypedDict):
    """Result of `worker.idle_check`."""

    name: str
    """Name of the worker."""

    health: Health
    """How the worker seems to fare."""

    recommended_action: str
    """What a manager should do about it."""

    reason: str
    """Why the worker was judged so."""

    state: WorkState
    """What the worker said last about its state."""

    running: bool
    """Whether the worker's tmux session runs."""

    terminal_fresh: bool
    """Whether the pane could be looked at."""

    blocker: Optional[str]
    """What the worker said that blocks it."""

    current_task: Optional[str]
    """What the worker said that it works on."""

    next_action: Optional[str]
    """What the worker said that it does next."""

    status_last_update: Optional[str]
    """Time of the worker's last report."""

    terminal_changed_at: Optional[str]
    """Since when the pane has shown what it shows."""

    tmux_session: Optional[str]
    """The worker's tmux session."""

    capture_error: Optional[str]
    """Why the pane could not be looked at."""

    busy_wait_pattern: Optional[str]
    """Name of the pattern by which the pane waits for something."""

    status_age_seconds: Optional[int]
    """Seconds since the worker's last report."""

    terminal_age_seconds: Optional[int]
    """Seconds since the pane changed last."""

    busy_wait_seconds: int
    """The parameter `busy_wait_seconds` as given."""

    status_stale_seconds: int
    """The parameter `status_stale_seconds` as given."""

    terminal_stale_seconds: int
    """The parameter `terminal_stale_seconds` as given."""


class ImportConflict(TypedDict):
    """A row that cannot be imported as it is."""

    table: str
    """Name of the table."""

    id: Any
    """Key of the row."""

    columns: List[str]
    """The columns that differ, or that must not be there twice."""


class _ImportResult(TypedDict):
    """What is always there of `ImportResult`."""

    apply: bool
    """Whether anything was written."""

    root: Optional[str]
    """The state root that was looked at."""

    workers: List[WorkerImport]
    """The worker folders, sorted by name."""

    worker_count: int
    """Number of worker folders."""


class ImportResult(_ImportResult, total=False):
    """Result of `compat.import`."""

    database: DatabaseImport
    """The database, where there is one."""


class InboxSession(TypedDict):
    """The session whose inbox it is."""

    id: str
    """Id of the session."""

    name: str
    """Name of the session."""

    role: Role
    """Role of the session."""


class InboxTask(TypedDict):
    """The task by which the inbox was named."""

    id: str
    """Id of the task."""

    name: str
    """The parameter `task` as given."""


class IngestCounts(TypedDict):
    """How much was read from the rollout."""

    new_events: int
    """Records stored since the last report."""

    new_offset: int
    """Offset after the last complete line."""

    skipped_lines: int
    """Lines that could not be read since the last report."""


class IngestResult(TypedDict):
    """Result of `rollout.ingest`."""

    session: str
    """Name of the session."""

    new_events: int
    """Records stored since the last `cycle` or `ingest` that reported this session, whoever
    stored them.
    """

    new_offset: int
    """Offset after the last complete line."""

    skipped_lines: int
    """Lines that could not be read since that last report."""

    damage: RolloutDamage
    """What is damaged in the session's rollouts, as far as it is kept."""


class InterruptResult(TypedDict):
    """Result of `session.interrupt`."""

    dry_run: bool
    """The parameter `dry_run` as given."""

    followup: Optional[str]
    """The parameter `followup` as given."""

    key: str
    """The key that was sent, or would be; `turn/interrupt` by Codex's app-server."""

    session: str
    """Name of the session."""

    target: str
    """tmux session, with the pane when one is recorded."""

    time: str
    """Time of this call."""

    transport: Transport
    """Which way it went, or would go."""

    sent: bool
    """Whether the key was sent. False when Codex was not busy: an idle Codex must not get
    Escape.
    """

    interrupted: Optional[bool]
    """Whether the rollout shows the turn as interrupted; null when nothing was sent or it cannot
    be told.
    """

    turn_id: Optional[str]
    """Codex's id of the turn that was interrupted."""

    followup_outcome: Optional[DeliveryOutcome]
    """What became of the follow-up text."""

    note: Optional[str]
    """Why nothing was sent, or what remains open."""


class InterruptWorkerResult(TypedDict):
    """Result of `worker.interrupt`."""

    name: str
    """Name of the worker."""

    kind: WorkerKind
    """Where the worker is known from."""

    dry_run: bool
    """The parameter `dry_run` as given."""

    followup: Optional[str]
    """The parameter `followup` as given."""

    key: str
    """The key that was sent, or would be; `turn/interrupt` by Codex's app-server."""

    session: str
    """Name of the session."""

    target: str
    """tmux session, with the pane when one is recorded."""

    time: str
    """Time of this call."""

    transport: Transport
    """Which way it went, or would go."""

    sent: bool
    """Whether the key was sent. False when Codex was not busy: an idle Codex must not get
    Escape.
    """

    interrupted: Optional[bool]
    """Whether the rollout shows the turn as interrupted; null when nothing was sent or it cannot
    be told.
    """

    turn_id: Optional[str]
    """Codex's id of the turn that was interrupted."""

    followup_outcome: Optional[DeliveryOutcome]
    """What became of the follow-up text."""

    note: Optional[str]
    """Why nothing was sent, or what remains open."""


class ListCriteriaResult(TypedDict):
    """Result of `criteria.list`."""

    task: TaskRef
    """The task of the criteria."""

    summary: CriteriaSummary
    """Number of all criteria of the task per status."""

    criteria: List[Criterion]
    """Those of the asked statuses, in the order of their ids."""


class LiveReconcile(TypedDict):
    """The database held against what runs."""

    manager_liveness_warnings: List[Any]
    """Managers that were not seen for long."""

    ok: bool
    """No error among the findings, no drift of a task and nothing unfinished."""

    results: List[Any]
    """The outcome for each task."""

    findings: List[Finding]
    """Everything that does not agree, as `reconcile.run` lists it."""

    unfinished_commands_without_task: List[Any]
    """Commands of no task that have not ended."""


class LoopStatus(TypedDict):
    """How a background loop fares."""

    name: str
    """Its name, a stable word. Later versions may have others."""

    state: LoopState
    """State."""

    since: str
    """Since when it has been in this state."""

    restarts: int
    """How often it was restarted."""

    last_failure: Optional[str]
    """When and how it failed last, if ever."""

    failing: List[FailingItem]
    """What it could not work on because the work panicked. Each is tried again after a while."""


class ManagerConfig(TypedDict):
    """How the manager of a task is to supervise."""

    acceptance_criteria: List[str]
    """Criteria named at configuration."""

    created_at: str
    """Time at which the configuration was first recorded."""

    epilogues: List[str]
    """Steps that must have run before the end."""

    guidelines: List[str]
    """Rules of conduct."""

    nudge_on_completion: NudgeOnCompletion
    """What happens when the worker completes."""

    objective: Optional[str]
    """What is to be reached."""

    permissions: Dict[str, List[str]]
    """Granted actions, by category."""

    reference_paths: List[str]
    """Files that the manager is to read."""

    require_acks: bool
    """Whether both sides must acknowledge."""

    revision: int
    """Grows when a stored field changes."""

    supervision_mode: SupervisionMode
    """How closely the manager supervises."""

    task_id: str
    """Id of the task."""

    tools: List[str]
    """Tools that are expected to be there."""

    updated_at: str
    """Time of the last change of the configuration."""


class ManagerContext(TypedDict):
    """What a manager should know when it decides."""

    manager_config: Optional[ManagerConfig]
    """The manager's configuration, if one is recorded."""

    worker_ack: Optional[Acknowledgement]
    """The worker's latest acknowledgement."""

    manager_ack: Optional[Acknowledgement]
    """The manager's latest acknowledgement."""

    worker_handoff: Optional[Handoff]
    """The worker's latest handoff."""

    worker_receipt: Optional[WorkerReceipt]
    """The worker's latest completed turn under this task."""

    acceptance_criteria: CriteriaView
    """The criteria of the task, by status."""

    criteria_negotiation: CriteriaNegotiation
    """Advice to settle criteria."""


class _Notification(TypedDict):
    """What is always there of `Notification`."""

    id: int
    """Id of the notification."""

    task_id: str
    """Id of the task."""

    task_name: Optional[str]
    """Name of the task."""

    binding_id: str
    """Id of the binding."""

    correlation_id: str
    """Id under which what belongs together is found again."""

    source_session_id: str
    """Id of the session from which it comes."""

    source_session_name: Optional[str]
    """Name of the session from which it comes."""

    source_session_role: Optional[str]
    """Role of the session from which it comes."""

    target_session_id: str
    """Id of the session to which it goes."""

    target_session_name: Optional[str]
    """Name of the session to which it goes."""

    target_session_role: Optional[str]
    """Role of the session to which it goes."""

    signal_type: str
    """What the notification is about."""

    source_event_id: Optional[int]
    """Id of the stored record that caused it."""

    source_event_timestamp: Optional[str]
    """Time of the stored record that caused it."""

    dedupe_key: str
    """Key by which the same notification is made only once."""

    command_id: Optional[str]
    """Id of the command that caused it."""

    created_at: str
    """Time at which it was made."""

    delivered_at: Optional[str]
    """Time at which it was delivered."""

    consumed_manager_cycle_id: Optional[int]
    """Id of the cycle that consumed it."""

    consumed_by_session_id: Optional[str]
    """Id of the session that consumed it."""

    consumed_at: Optional[str]
    """Time at which it was consumed."""

    delivery_mode: str
    """How it reaches the session: push or pull."""

    state: str
    """`pending`, `delivered`, `failed` or `suppressed`."""

    claimed_by: Optional[str]
    """Id of the dispatcher that claimed it."""

    claimed_at: Optional[str]
    """Time at which it was claimed."""

    claim_expires_at: Optional[str]
    """Time at which the claim ends."""

    side_effect_started: bool
    """Whether something may have been sent."""

    side_effect_completed: bool
    """Whether everything was sent."""

    payload: Any
    """Everything that the notification carries."""

    error: Optional[str]
    """What went wrong."""

    delivery_uncertain: bool
    """True when it may have reached the pane as well."""


class Notification(_Notification, total=False):
    """A notification, with the names of what it refers to."""

    foreign_task: bool
    """True when it belongs to another task than the one asked for; absent for `session-inbox`."""


class NudgeResult(TypedDict):
    """Result of `session.nudge`."""

    dry_run: bool
    """The parameter `dry_run` as given."""

    session: str
    """Name of the session."""

    target: str
    """tmux session, with the pane when one is recorded."""

    text: str
    """The parameter `text` as given."""

    time: str
    """Time of this call."""

    side_effect_started: bool
    """Whether something may have reached the pane."""

    side_effect_completed: bool
    """Whether everything, Enter included, was sent."""

    transport: Transport
    """Which way it went, or would go."""

    outcome: Optional[DeliveryOutcome]
    """What became of the text; null in a dry run."""

    proof: Optional[DeliveryProof]
    """What proves that the text arrived."""

    blocked_by: Optional[BlockedBy]
    """What holds the text back."""

    command_id: Optional[str]
    """The durable command that holds the text."""

    stripped_characters: int
    """Control characters that were taken out."""

    note: Optional[str]
    """Why it is uncertain or held, in a sentence."""


class NudgeWorkerResult(TypedDict):
    """Result of `worker.nudge`."""

    kind: WorkerKind
    """Where the worker is known from."""

    dry_run: bool
    """The parameter `dry_run` as given."""

    session: str
    """Name of the session."""

    target: str
    """tmux session, with the pane when one is recorded."""

    text: str
    """The parameter `text` as given."""

    time: str
    """Time of this call."""

    side_effect_started: bool
    """Whether something may have reached the pane."""

    side_effect_completed: bool
    """Whether everything, Enter included, was sent."""

    transport: Transport
    """Which way it went, or would go."""

    outcome: Optional[DeliveryOutcome]
    """What became of the text; null in a dry run."""

    proof: Optional[DeliveryProof]
    """What proves that the text arrived."""

    blocked_by: Optional[BlockedBy]
    """What holds the text back."""

    command_id: Optional[str]
    """The durable command that holds the text."""

    stripped_characters: int
    """Control characters that were taken out."""

    note: Optional[str]
    """Why it is uncertain or held, in a sentence."""


class OpenCriterion(TypedDict):
    """A criterion that is accepted and not satisfied."""

    id: int
    """Id of the criterion."""

    criterion: str
    """Text of the criterion."""


class Overview(TypedDict):
    """Result of `overview.show`."""

    tasks: List[TaskStanding]
    """The tasks: first those that wait for somebody, then by what happened last."""

    unbound: List[SessionStanding]
    """Active sessions of no task, by name."""

    deliveries: DeliveryCounts
    """Texts that did not arrive for certain, of all tasks."""


class Page(TypedDict, total=False):
    """A part of a listing. The listing's order stays; what is added while pages are read comes
    in its place.
    """

    after: Optional[str]
    """Only the rows after the one of this id; from the beginning without it."""

    limit: Optional[int]
    """At most so many rows; all without it."""


class PairDispatch(TypedDict):
    """Dispatch, as a pair finds it."""

    command: Optional[List[str]]
    """A command line that runs a dispatcher of that id by itself; null when none is asked for."""

    ensure: bool
    """Whether a dispatcher is asked for."""

    pid: Optional[int]
    """The daemon, which dispatches; null when none is asked for, or the daemon leaves Dispatch
    to explicit calls.
    """

    started: bool
    """Whether this call enabled the dispatcher of that id."""


class PairPlanResult(TypedDict):
    """Result of `pair.plan`: what a pair would be, unchecked."""

    dispatch_command: Optional[List[str]]
    """A command line that runs a dispatcher of that id by itself; null when none is asked for."""

    ensure_dispatch: bool
    """Whether a dispatcher is asked for."""

    manager: str
    """Name of the manager's session."""

    task: str
    """The parameter `task` as given."""

    worker: str
    """Name of the worker's session."""


class PairResult(TypedDict):
    """Result of `pair.create`."""

    task: PairTask
    """The task of the pair."""

    worker: SessionStartResult
    """How the worker was started."""

    manager: SessionStartResult
    """How the manager was started."""

    binding_id: BindingId
    """Id of the binding of the two to the task."""

    run_id: RunId
    """Id of the run that begins with the pair."""

    dispatch: PairDispatch
    """What delivers messages between the two."""

    dispatch_command: Optional[List[str]]
    """The same as `dispatch.command`."""

    ensure_dispatch: bool
    """The same as `dispatch.ensure`."""

    manager_config_seeded: bool
    """Always true: the task has a configuration."""

    manager_config_seeded_by_pair: bool
    """Whether this call recorded the manager's configuration."""

    manager_acceptance_criteria_seeded: int
    """Criteria that this call took over from the configuration."""

    resumed: List[str]
    """What stood already: `worker`, `manager`, `binding`, `run`; empty when all of it was made
    by this call.
    """

    warnings: List[str]
    """What the caller should know."""


class PairTask(TypedDict):
    """The task of a pair."""

    created: bool
    """Whether this call made the task."""

    id: TaskId
    """Id of the task."""

    name: str
    """Name of the task."""


class PaneSignal(TypedDict):
    """What the pane shows."""

    captured: bool
    """Whether the pane was read."""

    classifier: Optional[BusyWait]
    """The notable pattern that the pane shows, if any."""

    notable_pattern: Optional[str]
    """Name of the notable pattern."""

    status_age_seconds: Optional[int]
    """The age that the classifier used, in seconds."""

    reason: Optional[str]
    """Why something is not the clean case."""

    degraded: bool
    """Whether an attached pane could not be read."""

    shows: Optional[str]
    """What the pane shows by today's screens; null when it was not read."""

    title: Optional[str]
    """Title of the pane."""

    question: Optional[str]
    """The question on screen, when one is."""

    prompt_visible: bool
    """A prompt that is on screen, whatever the ages are."""


class PermissionCheck(TypedDict):
    """A required permission held against the manager's configuration."""

    allowed: bool
    """Whether the permission is granted."""

    configured: bool
    """Whether the task has a configuration at all."""

    required_permission: str
    """Name of the permission."""


class PermissionQuestion(TypedDict):
    """A question about one permission."""

    permission: str
    """The permission or alias, a key of `permissions`."""

    question: str
    """Text of the question."""

    default: bool
    """Whether all of it is granted now."""


class PermissionResult(TypedDict):
    """Result of `manager_config.check_permission` and of `manager_config.list_permissions`."""

    action: str
    """The permission or category, as given."""

    allowed: bool
    """Whether it is granted; of a category, whether there is a configuration."""

    config: Optional[ManagerConfig]
    """The configuration, if one is recorded."""

    handoff_id: Optional[int]
    """Id of the newest handoff."""

    listed_permissions: Optional[List[str]]
    """The granted actions of the category; null for a permission, and without a configuration."""

    reasons: List[str]
    """Why not: `missing_manager_config`, `permission_not_enabled`, `missing_worker_handoff`."""

    require_handoff: bool
    """The parameter `require_handoff` as given."""

    task: TaskRef
    """The task whose configuration was asked."""


class PlanCriteriaResult(TypedDict):
    """Result of `criteria.plan`."""

    task: str
    """Name of the task."""

    suggestions: List[CriterionSuggestion]
    """The proposals, in the order of the text."""

    warnings: List[str]
    """What was missing in the text."""


class PlannedCommand(TypedDict):
    """A command that a pass would execute."""

    command_id: str
    """Id of the command."""

    command_type: str
    """Type of the command."""

    correlation_id: Optional[str]
    """Id under which what belongs together is found again."""

    dry_run: bool
    """Whether this is a dry run: always true."""

    state: ProcessedState
    """What would become of the command: always `planned`."""

    task: Optional[str]
    """Id of the task."""

    would_state: ProcessedState
    """What a pass would make of it now."""

    would_reason: Optional[str]
    """Why that would become of the command."""


class PlannedCompletion(TypedDict):
    """A completion that a pass would route."""

    binding_id: str
    """Id of the binding."""

    correlation_id: str
    """An id made up for this answer."""

    dedupe_key: str
    """Key by which the same completion is routed only once."""

    dry_run: bool
    """Whether this is a dry run: always true."""

    signal_type: SignalType
    """What would be routed: always `worker_task_complete`."""

    source_event_id: int
    """Id of the stored record that ended the turn."""

    state: ProcessedState
    """What would become of the completion: always `planned`."""

    target_session: str
    """Name of the session to which it would be routed."""

    task: str
    """Name of the task."""

    would_state: ProcessedState
    """What a pass would make of it now."""

    would_reason: Optional[str]
    """Why that would become of the completion."""


class PreStopCapture(TypedDict):
    """A pane stored before its session was ended."""

    capture_id: int
    """Id of the capture."""

    content_sha256: str
    """SHA-256 of the text, in hexadecimal digits."""

    history_lines: int
    """Rows of scrollback that were captured."""

    line_count: int
    """Number of lines of the text."""

    role: str
    """Role of the session."""

    source: str
    """Why it was captured: always `finish_task_pre_stop`."""

    transcript_segment: Optional[PreStopSegment]
    """What was new in the text."""


class PreStopSegment(TypedDict):
    """What was new in a stored pane."""

    id: int
    """Id of the segment."""

    kind: str
    """Kind of the segment."""

    line_count: int
    """Number of lines of the segment."""

    retention_class: str
    """How long the segment is to be kept."""


class _ProcessedCommand(TypedDict):
    """What is always there of `ProcessedCommand`."""

    attempt_id: int
    """Id of the execution."""

    command_id: str
    """Id of the command."""

    command_type: str
    """Type of the command."""

    correlation_id: str
    """Id under which what belongs together is found again."""

    dispatcher_id: str
    """Id of the dispatcher that executed the command."""

    dry_run: bool
    """Whether this was a dry run: always false."""

    side_effect_started: bool
    """Whether something may have been sent."""

    side_effect_completed: bool
    """Whether everything was sent."""

    state: ProcessedState
    """What became of the command."""

    notification_id: Optional[int]
    """Id of the notification that carries the message, or null."""

    outcome: DeliveryOutcome
    """`delivered`, `queued`, `uncertain`, `held` or `failed`."""


class ProcessedCommand(_ProcessedCommand, total=False):
    """A command that a pass executed."""

    delivery_mode: DeliveryMode
    """Push or pull; absent when it failed before that was known."""

    transport: Transport
    """Which way it went; absent when it failed before that was known."""

    permission_check: PermissionCheckField
    """How the required permission was judged; absent for failed commands."""

    target_session: str
    """Name of the session to which it goes; absent for failed commands."""

    send_result: SendResult
    """How it was sent; for push only."""

    proof: DeliveryProof
    """What proves the delivery, for delivered commands."""

    blocked_by: BlockedBy
    """What holds it back."""

    error: str
    """What went wrong, for failed and blocked commands."""

    error_type: str
    """Class of the error."""

    required_permission: Any
    """Permission that the command required, for failed commands."""


class _ProcessedCompletion(TypedDict):
    """What is always there of `ProcessedCompletion`."""

    binding_id: str
    """Id of the binding."""

    correlation_id: str
    """Id under which what belongs together is found again."""

    dedupe_key: str
    """Key by which the same completion is routed only once."""

    dry_run: bool
    """Whether this was a dry run: always false."""

    signal_type: SignalType
    """What is routed: always `worker_task_complete`."""

    source_event_id: int
    """Id of the stored record that ended the turn."""

    target_session: str
    """Name of the session to which it is routed."""

    task: str
    """Name of the task."""

    state: ProcessedState
    """What became of the completion."""

    dispatcher_id: str
    """Id of the dispatcher that routed the completion."""


class ProcessedCompletion(_ProcessedCompletion, total=False):
    """A completion that a pass routed."""

    delivery_mode: DeliveryMode
    """How it reaches the session: push or pull; absent for suppressed completions."""

    notification_id: int
    """Id of the notification; absent for suppressed completions."""

    error: str
    """What went wrong, for failed completions."""

    recovered: bool
    """True when an earlier pass had left it."""

    delivery_uncertain: bool
    """True when it may or may not have arrived; it is in the inbox too."""


class Protocol(TypedDict):
    """Version of the protocol."""

    major: int
    """Changes when old clients could not understand the daemon."""

    minor: int
    """Grows with each addition."""


class _Question(TypedDict):
    """What is always there of `Question`."""

    id: str
    """The member of the configuration that it is about."""

    kind: QuestionKind
    """The form of its answer."""

    question: str
    """Text of the question."""

    default: Any
    """What stands in the configuration, else what a new one has."""


class Question(_Question, total=False):
    """A question of the set-up."""

    choices: Any
    """The possible answers: a list, or for permissions an object of lists. Absent where any text
    will do.
    """

    help: str
    """Examples. Absent where there are none."""

    yes_or_no: List[PermissionQuestion]
    """Of permissions: what is asked on a terminal instead. Absent elsewhere."""


class QuestionsResult(TypedDict):
    """Result of `manager_config.questions`."""

    recommended_collection: str
    """How the answers are best collected."""

    fallback_collection: str
    """A command that asks them on a terminal."""

    task: TaskRef
    """The task that is configured."""

    questions: List[Question]
    """The questions, in the order in which they are asked."""


class _ReconcileResult(TypedDict):
    """What is always there of `ReconcileResult`."""

    schema_health: SchemaHealth
    """The outcome of the database's own checks."""

    dead_pid_sessions: List[DeadSession]
    """Active sessions whose processes do not run."""

    dangling_bindings: List[DanglingBinding]
    """Gone sides of open bindings, one entry for each."""

    stuck_tasks: List[StuckTask]
    """Bound tasks whose newest completed cycle is too old."""

    never_cycled: List[StuckTask]
    """Bound tasks without a completed cycle, of any age."""

    findings: List[Finding]
    """Everything that does not agree, those above too. Of each kind the newest 100 rows are
    listed.
    """

    finding_counts: Dict[str, int]
    """How many there are of each kind, the unlisted too."""


class ReconcileResult(_ReconcileResult, total=False):
    """Result of `reconcile.run`. All lists show the state before anything was repaired."""

    applied: Applied
    """What was repaired; only when `apply` was asked for."""


class _RecoveredClaim(TypedDict):
    """What is always there of `RecoveredClaim`."""

    attempt_id: Optional[int]
    """Id of the execution, or null."""

    command_id: str
    """Id of the command."""

    command_type: str
    """Type of the command."""

    correlation_id: Optional[str]
    """Id under which what belongs together is found again."""

    dispatcher_id: str
    """Id of the dispatcher that recovered the claim."""

    error: str
    """What happened to the execution."""

    side_effect_started: bool
    """Whether something may have been sent."""

    state: ProcessedState
    """What became of the command: `requeued` or `failed`."""

    recovered: bool
    """Whether the claim was recovered: always true."""


class RecoveredClaim(_RecoveredClaim, total=False):
    """A command claim whose lease ran out."""

    notification_id: int
    """Where its message is in the target's inbox, when it may or may not have been sent."""

    delivery_uncertain: bool
    """True when nothing shows whether it arrived."""


class _RegisterResult(TypedDict):
    """What is always there of `RegisterResult`."""

    session_id: SessionId
    """Id; the same when the name was registered before."""

    name: str
    """Name of the registered session."""

    role: Role
    """Role of the session."""

    pid: Optional[int]
    """Process, or null when only a rollout was given."""

    codex_session_id: Optional[str]
    """Codex's own id of the thread; null while its rollout does not exist yet."""

    codex_session_path: Optional[str]
    """Rollout file; null while it does not exist yet."""

    cwd: str
    """Working directory of the session."""

    tmux_session: Optional[str]
    """tmux session in which Codex runs; null for a session that polls its inbox."""

    tmux_pane_id: Optional[PaneId]
    """tmux pane that was found in it."""

    rollout_state: RolloutState
    """`ready`, or `pending` while the rollout is awaited."""

    communication: Communication
    """How to talk to the session."""

    warnings: List[str]
    """What the caller should know; mostly empty."""


class RegisterResult(_RegisterResult, total=False):
    """Result of `session.register`."""

    pending_because: str
    """Why the rollout is not known yet, and what ends that. Only while it is `pending`."""


class RegisteredAs(TypedDict):
    """A registered session that is the caller's own."""

    name: str
    """Name of the session."""

    role: Role
    """Role of the session."""


class RenameResult(TypedDict):
    """Result of `session.rename`."""

    session_id: SessionId
    """Id of the session, which stays."""

    name: str
    """Name of the session now."""

    old_name: str
    """Name of the session before."""

    role: Role
    """Role of the session."""

    tmux_session: Optional[str]
    """tmux session in which Codex runs; null for a session that polls its inbox."""

    tmux_renamed: bool
    """Whether the tmux session has another name now."""

    warnings: List[str]
    """What the caller should know."""


# A row that is renamed, since somebody else has its name here.
RenamedRow = TypedDict(
    "RenamedRow",
    {
        # Name of the table.
        "table": str,
        # Key of the row.
        "id": str,
        # Name of the column.
        "column": str,
        # The name in the database that is imported.
        "from": str,
        # The name here.
        "to": str,
    },
)


class RenumberedTable(TypedDict):
    """A table whose rows get new numbers, since theirs are taken here."""

    table: str
    """Name of the table."""

    added: int
    """What is added to the number of each new row."""


class _ReplayEntry(TypedDict):
    """What is always there of `ReplayEntry`."""

    actor: str
    """Who did it."""

    details: Any
    """Facts about the entry, for programs."""

    kind: str
    """Kind of the entry."""

    source: str
    """Name of the table from which the entry comes."""

    source_id: Any
    """Key of the row from which the entry comes."""

    summary: str
    """The entry in one line for people."""

    timestamp: str
    """Time of the entry."""


class ReplayEntry(_ReplayEntry, total=False):
    """An entry of a replay."""

    content: str
    """Text of the pane; only for transcript segments."""


class ReplayResult(TypedDict):
    """Result of `task.replay`."""

    task: TaskObject
    """The task that was asked about."""

    mode: str
    """The parameter `format` as given."""

    role: str
    """The parameter `role` as given."""

    entry_count: int
    """Number of entries in `entries`."""

    entries: List[ReplayEntry]
    """The entries in order."""


class RestoreResult(TypedDict):
    """Result of `task.restore`."""

    restored: bool
    """Whether the task was archived before."""

    id: TaskId
    """Id of the task."""

    name: str
    """Name of the task."""


class RetryResult(TypedDict):
    """Result of `command.retry`."""

    id: str
    """What was retried: the id of the command, or `notification-N`."""

    retried_as: str
    """What is sent now: the id of the new command; a notification keeps its own."""

    type: str
    """Type of what is sent again."""

    task: Optional[str]
    """Name of the task."""

    delivery_before: Optional[str]
    """How the delivery stood before this call."""


class RolloutDamage(TypedDict):
    """Damage of a session's rollouts. Of each file the newest 1000 parts are kept."""

    count: int
    """How many damaged parts there are."""

    upto: int
    """A mark behind the newest of them: later damage has a greater one."""

    newest: List[DamagedPart]
    """The newest 20 of them, newest first."""


class RunRow(TypedDict):
    """A run of a task."""

    id: RunId
    """Id of the run."""

    task_id: TaskId
    """Id of the task."""

    name: str
    """Name of the run."""

    purpose: Optional[str]
    """What the run is for."""

    status: RunStatus
    """How the run stands."""

    started_at: str
    """Time at which the run began."""

    ended_at: Optional[str]
    """End; null while it is active."""

    metadata: Any
    """Facts of the caller, or the policy of a loop run."""


class Said(TypedDict):
    """What a session said last."""

    text: str
    """The beginning of the text."""

    truncated: bool
    """Whether the text goes on."""

    at: str
    """When it was said."""


class SchemaHealth(TypedDict):
    """The outcome of the database's own checks."""

    checks: List[DbCheck]
    """The checks in order."""

    ok: bool
    """Whether all checks are well."""

    schema_version: Optional[int]
    """Number of the newest applied migration."""

    user_version: int
    """Version that stands in the header of the file."""


class _SelfCheck(TypedDict):
    """What is always there of `SelfCheck`."""

    name: str
    """Name of the check."""

    ok: bool
    """Whether all is well."""


class SelfCheck(_SelfCheck, total=False):
    """A check of the calling Codex session."""

    path: str
    """File, for those that look for one."""

    session: str
    """tmux session, for those that look for one."""

    error: str
    """Why not all is well."""


class SelfResult(TypedDict):
    """Result of `doctor.self`."""

    supported: bool
    """Whether the calling session can register itself as a worker in tmux."""

    ok: bool
    """The same as `supported`."""

    checks: List[SelfCheck]
    """Checks, in the order in which they were made."""

    current_session: Optional[str]
    """The caller's tmux session; null when its process is in no pane."""

    current_pane: Optional[str]
    """tmux's id of the caller's pane."""

    codex_thread: Optional[CallingThread]
    """The Codex thread that runs the caller; null where that cannot be told."""

    registered_as: List[RegisteredAs]
    """Active sessions that are the caller's own."""

    command_template: str
    """How to register, with what is known filled in."""

    follow_up: List[str]
    """The steps after the registration."""

    codex_app_inbox_guidance: str
    """How sessions without tmux take part."""

    command_context_note: str
    """What the checks are about, in a sentence."""

    skill_path: str
    """Place of the skill for workers and managers."""

    codex_review_skill_path: str
    """Where the skill for reviews is installed."""

    codex_review_helper_path: str
    """Place of the review skill's program."""

    workerctl_invocation: Optional[str]
    """By which name the command line is found on `PATH`; null when it is not."""

    why_or_why_not: str
    """The result in a sentence."""


class SendResult(TypedDict):
    """How a text was sent, as stored with a command."""

    dry_run: bool
    """Whether this was a dry run: always false."""

    session: str
    """Name of the session."""

    side_effect_completed: bool
    """Whether everything was sent."""

    side_effect_started: bool
    """Whether something may have been sent."""

    target: str
    """tmux session, with the pane when one is recorded."""

    text: str
    """Text that was sent."""

    time: str
    """Time of the sending."""


class _SessionRow(TypedDict):
    """What is always there of `SessionRow`."""

    id: SessionId
    """Id of the session."""

    name: str
    """Name of the session."""

    role: Role
    """Role of the session."""

    state: SessionState
    """Whether the session takes part."""

    cwd: str
    """Working directory of the session."""

    registered_at: str
    """Time of the first registration."""

    identity_token: str
    """Token by which the session is known; redacted unless it was asked for."""

    pid: Optional[int]
    """Process id of Codex."""

    last_ingest_offset: Optional[int]
    """Bytes of the rollout that are stored."""

    tmux_session: Optional[str]
    """tmux session in which Codex runs."""

    tmux_pane_id: Optional[PaneId]
    """tmux's id of the pane in which Codex runs."""

    codex_session_path: Optional[str]
    """Rollout file of the session."""

    codex_session_id: Optional[str]
    """Codex's id of the thread."""

    last_heartbeat_at: Optional[str]
    """Time of the last ingest or registration."""

    rollout_state: RolloutState
    """Whether the session's rollout is known."""

    communication: Communication
    """How to talk to the session."""


class SessionRow(_SessionRow, total=False):
    """A row of `session.list`."""

    gone_reason: str
    """Why the session is gone: `process_exited`, `deregistered`, `replaced` and others; absent
    for active sessions.
    """


class SessionStanding(TypedDict):
    """Where a session stands."""

    name: str
    """Name of the session."""

    role: Role
    """Role of the session."""

    worker_state: WorkerState
    """State of the worker in detail."""

    worker_state_source: StateSource
    """Where the state was read from."""

    worker_state_since: Optional[str]
    """Time since which the worker is in this state, when it is known."""

    limit_resets_at: Optional[str]
    """Time at which the account's limit begins anew that a worker in state `limit_reached` has
    met, when Codex tells it; null in all other states.
    """

    age_seconds: Optional[float]
    """For how many seconds it has been in this state, when that is known."""

    said: Optional[Said]
    """Its last answer; null while there is none."""


class SessionStartResult(TypedDict):
    """Result of `session.start`."""

    session_id: SessionId
    """Id; the same when the name was registered before."""

    name: str
    """Name of the started session."""

    role: Role
    """Role of the session."""

    codex_session_id: str
    """Codex's own id of the thread."""

    codex_session_path: str
    """Rollout file of the session."""

    cwd: str
    """Working directory of the session, with links resolved."""

    tmux_session: str
    """tmux session in which Codex runs."""

    tmux_pane_id: Optional[PaneId]
    """tmux's id of the pane in which Codex runs."""

    pid: Optional[int]
    """The process that holds the rollout, else that of the pane."""

    communication: Communication
    """How to talk to the session."""

    sandbox: Optional[str]
    """Codex's `--sandbox`; null without one, and where it is not known."""

    ask_for_approval: Optional[str]
    """Codex's `--ask-for-approval`; null without one, and where it is not known."""

    resumed: bool
    """Whether an earlier call had started this Codex."""

    trust_accepted: bool
    """Whether the question of trust was answered."""

    warnings: List[str]
    """What the caller should know."""


class SessionStopResult(TypedDict):
    """Result of `session.stop`."""

    name: str
    """Name of the session."""

    state: SessionState
    """State of the session now: always `gone`."""

    target: str
    """The tmux session that was meant."""

    killed_session: bool
    """Whether it was running, and was ended."""

    unbound_task: Optional[str]
    """The task whose binding was ended."""

    cancelled_commands: List[str]
    """Commands that waited for the bindings that ended."""

    suppressed_notifications: List[int]
    """Notifications that those bindings had not delivered."""

    also_stopped: List[str]
    """Other sessions that were in the same tmux session and ended with it, with their bindings."""

    warnings: List[str]
    """What had no effect, or more than was asked for."""


class _SetManagerConfigResult(TypedDict):
    """What is always there of `SetManagerConfigResult`."""

    acceptance_criteria: List[str]
    """Criteria named at configuration."""

    created_at: str
    """Time at which the configuration was first recorded."""

    epilogues: List[str]
    """Steps that must have run before the end."""

    guidelines: List[str]
    """Rules of conduct."""

    nudge_on_completion: NudgeOnCompletion
    """What happens when the worker completes."""

    objective: Optional[str]
    """What is to be reached."""

    permissions: Dict[str, List[str]]
    """Granted actions, by category."""

    reference_paths: List[str]
    """Files that the manager is to read."""

    require_acks: bool
    """Whether both sides must acknowledge."""

    revision: int
    """Grows when a stored field changes."""

    supervision_mode: SupervisionMode
    """How closely the manager supervises."""

    task_id: str
    """Id of the task."""

    tools: List[str]
    """Tools that are expected to be there."""

    updated_at: str
    """Time of the last change of the configuration."""


class SetManagerConfigResult(_SetManagerConfigResult, total=False):
    """Result of `manager_config.set`."""

    warnings: List[str]
    """What of `permissions` was left out, and why. The key is absent when nothing was."""


class SkippedRows(TypedDict):
    """Rows of a table that are left out for one reason."""

    table: str
    """Name of the table."""

    reason: str
    """Why the rows are left out."""

    rows: int
    """Number of rows."""


class SourcedBoolean(TypedDict):
    """A value with its origin."""

    value: bool
    """The value in force."""

    source: Source
    """Where it came from."""


class SourcedString(TypedDict):
    """A value with its origin."""

    value: str
    """The value in force."""

    source: Source
    """Where it came from."""


class SourcedUint64(TypedDict):
    """A value with its origin."""

    value: int
    """The value in force."""

    source: Source
    """Where it came from."""


class Startup(TypedDict):
    """How far a starting Codex had come."""

    startup: str
    """`ready`, `working`, `needs_trust`, `needs_answer`, `error` or `starting`."""

    reason: str
    """Why the start-up was judged so."""

    recommended_action: str
    """What to do about it; `none` for nothing."""

    trust_accepted: bool
    """Whether the question of trust was answered."""

    timeout_seconds: int
    """The parameter `wait_ready_timeout` as given."""


class StateFiles(TypedDict):
    """The files of one daemon."""

    root: str
    """The state root folder."""

    database: str
    """The database file."""


class StuckTask(TypedDict):
    """A bound task that its manager has not looked at for long, or never."""

    task_name: str
    """Name of the task."""

    binding_id: BindingId
    """Id of the binding."""

    last_cycle_at: Optional[str]
    """End of its newest completed cycle; null when there is none."""

    age_seconds: float
    """Seconds since then; since the binding was made when there is no cycle."""


class SuggestionBind(TypedDict):
    """Bind a pair to a task; `bind` would accept it now."""

    kind: Literal["bind"]

    command: str
    """The command line that does it."""

    task: str
    """Task, by its name where that is clear, else by its id."""

    worker: str
    """Name of the worker."""

    manager: str
    """Name of the manager."""


class SuggestionRegisterManager(TypedDict):
    """No manager is registered."""

    kind: Literal["register-manager"]

    prompt: str
    """What to ask, and of whom."""


class SuggestionRegisterWorker(TypedDict):
    """No worker is registered."""

    kind: Literal["register-worker"]

    prompt: str
    """What to ask, and of whom."""


class TableImport(TypedDict):
    """What becomes of the rows of a table."""

    table: str
    """Name of the table."""

    new: int
    """Rows that are not here yet: they are imported."""

    already_there: int
    """Number of rows that stand here already."""

    conflicts: int
    """Rows that stand here with other content."""

    skipped: int
    """Number of rows that are left out."""


class TailEvent(TypedDict):
    """A stored record, newest first in `rollout.tail`."""

    id: int
    """Id of the stored record."""

    timestamp: str
    """The record's own time."""

    type: str
    """The record's type."""

    subtype: Optional[str]
    """The payload's type, for `event_msg` records."""

    byte_offset: int
    """Where its line begins in the file."""

    payload: Any
    """The payload; texts replaced by their sizes unless asked for."""


class _TakeResult(TypedDict):
    """What is always there of `TakeResult`."""

    consumed: Optional[Notification]
    """The item that was consumed or leased."""

    items: List[Notification]
    """The items that are left, oldest first; items of the task come before items of other tasks."""

    session: InboxSession
    """The session whose inbox it is."""

    wait: WaitInfo
    """How the waiting went."""


class TakeResult(_TakeResult, total=False):
    """Result of `inbox.take`."""

    task: InboxTask
    """Task; absent for a session's inbox."""

    lease: str
    """Token for `inbox.acknowledge` when the item is leased."""


class _TaskEnd(TypedDict):
    """What is always there of `TaskEnd`."""

    command_id: str
    """Id of the command that ended the task."""

    task: str
    """Name of the task."""

    finish: bool
    """Whether it was finished and not stopped."""

    reason: str
    """Why the task was ended."""

    stop_manager: bool
    """As asked; always true when the task was stopped."""

    stop_worker: bool
    """The parameter `stop_worker` as given."""

    killed_manager: bool
    """Whether the manager's tmux session was ended."""

    killed_worker: bool
    """Whether the worker's tmux session was ended."""

    already_done_followup: bool
    """Whether the task was done before."""

    worker: Optional[str]
    """Name of the worker, as in `worker_session`; kept for scripts of old."""

    worker_session: Optional[str]
    """Name of the worker session."""

    manager_session: Optional[str]
    """Name of the manager session."""

    final_decision_id: Optional[int]
    """The final decision; null when the task was stopped."""

    final_observation_id: Optional[int]
    """The final observation; null when the task was stopped."""

    manager_decision: DecisionCheck
    """The manager's decision that was named, and what is wrong with it."""

    pre_stop_transcript_captures: List[PreStopCapture]
    """Panes that were stored before their sessions were ended."""

    warnings: List[str]
    """What had no effect, and identity mismatches of sessions that were left alone."""


class TaskEnd(_TaskEnd, total=False):
    """The end of a task: result of `task.stop`, and what that of `task.finish` begins with."""

    manager_identity: Identity
    """Only when the manager was looked at."""

    worker_identity: Identity
    """Only when the worker was looked at."""


class TaskName(TypedDict):
    """A task by its name and id."""

    id: TaskId
    """Id of the task."""

    name: str
    """Name of the task."""


class TaskObject(TypedDict):
    """The task of an audit or replay."""

    created_at: str
    """Time of the task's creation."""

    goal: str
    """What the task is to reach."""

    id: str
    """Id of the task."""

    name: str
    """Name of the task."""

    state: TaskState
    """Where the task stands."""

    summary: Optional[str]
    """More about the task."""

    updated_at: str
    """Time of the last change of the task."""


class TaskRef(TypedDict):
    """The task that an answer is about."""

    id: TaskId
    """Id of the task."""

    name: str
    """Name of the task."""


class _TaskRow(TypedDict):
    """What is always there of `TaskRow`."""

    id: TaskId
    """Id of the task."""

    name: str
    """Name of the task."""

    goal: str
    """What the task is to reach."""

    summary: Optional[str]
    """More about the task."""

    state: TaskState
    """Where the task stands."""

    created_at: str
    """Time of the task's creation."""

    updated_at: str
    """Time of the last change of the task."""

    budget: Optional[Budget]
    """Nudge budget, which only imported tasks have."""


class TaskRow(_TaskRow, total=False):
    """A row of `task.list`."""

    archived_at: str
    """Time at which the task was archived."""


class TaskStanding(TypedDict):
    """Where a task stands."""

    task: str
    """Name of the task."""

    task_id: TaskId
    """Id of the task."""

    task_state: TaskState
    """State of the task."""

    goal: str
    """What the task is to reach."""

    worker: Optional[SessionStanding]
    """The worker; null while the task is bound to none."""

    manager: Optional[SessionStanding]
    """The manager; null while the task is bound to none."""

    waits: List[Waiting]
    """What the worker asks its user, oldest first."""

    unread: int
    """How many items of the task lie in the manager's inbox."""


class TelemetryMatch(TypedDict):
    """A telemetry event that matches."""

    id: str
    """Id of the event."""

    timestamp: str
    """Time of the event."""

    actor: str
    """Who caused the event."""

    event_type: str
    """What happened."""

    severity: str
    """How grave the event is."""

    summary: str
    """The event in a sentence."""

    run_id: Optional[str]
    """Id of the run to which the event belongs."""

    task_id: Optional[str]
    """Id of the task that the event is about."""

    correlation: Any
    """Ids of what the event belongs together with."""

    attributes: Any
    """More about the event."""


class Turn(TypedDict):
    """A turn of the worker."""

    turn_id: Optional[str]
    """Codex's id; null in files that name none."""

    thread_id: Optional[str]
    """Codex's id of the thread."""

    kind: str
    """`user`, `goal`, `exec`, `compaction`, `shell` or `unknown`."""

    outcome: Optional[str]
    """`done`, `failed`, `interrupted` or `unfinished`; null while it runs."""

    error: Optional[str]
    """What went wrong, for turns that failed or were interrupted."""

    started_at: Optional[str]
    """Time at which the turn began."""

    ended_at: Optional[str]
    """Time at which the turn ended."""


class TurnPin(TypedDict):
    """Which turn a wait is for, as an earlier answer told it: for going on where that ended."""

    row: int
    """Row of a turn."""

    next: bool
    """The first turn after that row instead of the row's own."""

    named: bool
    """The caller named that very turn: then for `done` it counts even when it does no work (a
    compaction, or the user's own shell command).
    """


class UnbindResult(TypedDict):
    """Result of `binding.end`."""

    task: str
    """The parameter `task` as given."""

    state: str
    """State of the binding now: always `ended`."""

    cancelled_commands: List[str]
    """Queued commands of the binding that were ended with it."""

    suppressed_notifications: List[int]
    """Undelivered notifications of the binding that were dropped with it."""


class _UpdatedStatus(TypedDict):
    """What is always there of `UpdatedStatus`."""

    state: WorkState
    """The state that was reported."""

    current_task: str
    """The current task that was reported."""

    next_action: str
    """The next action that was reported."""

    blocker: Optional[str]
    """The blocker that was reported."""

    last_update: str
    """Time of this report."""


class UpdatedStatus(_UpdatedStatus, total=False):
    """Result of `worker.update_status`: what is stored now."""

    warnings: List[str]
    """What could not be written beside the rows; absent when all was."""


class Verification(TypedDict):
    """Whether a worker reported."""

    ok: bool
    """Whether the worker reported in time."""

    reason: str
    """Why it is taken to have, or not."""

    state: WorkState
    """What the worker said last about its state."""

    current_task: Optional[str]
    """What it said it works on."""


class WaitInfo(TypedDict):
    """How the waiting went."""

    elapsed_seconds: float
    """Seconds that were waited."""

    enabled: bool
    """Whether waiting was asked for."""

    interval_seconds: float
    """The parameter `interval` as given."""

    poll_count: int
    """Checks that were made: the first, one per wake, one at the time-out."""

    timed_out: bool
    """Whether the time ran out."""

    timeout_seconds: float
    """The parameter `timeout` as given."""

    draining: bool
    """True when the daemon is shutting down and ended the wait; ask again."""


class WaitMessage(TypedDict):
    """The oldest item of an inbox."""

    notification_id: int
    """Id of the notification."""

    signal_type: str
    """What the notification is about."""

    since: str
    """Time since which the item waits."""


class WaitResult(TypedDict):
    """Result of `state.wait`."""

    until: Until
    """The parameter `until` as given."""

    outcome: WaitOutcome
    """How the wait ended."""

    timed_out: bool
    """Whether the time ran out; the same as that outcome."""

    reason: Optional[str]
    """Why it cannot come to be any more."""

    source: WaitSource
    """What told of it; when it was not reached, where the state was read from."""

    since: Optional[str]
    """Since when it is so, or the state, when known."""

    task: Optional[WaitTask]
    """The task that was named, or that the session is bound to."""

    session: WaitSession
    """The session that was watched."""

    state: CoarseState
    """State in three words, by the rollout."""

    worker_state: WorkerState
    """State of the worker in detail."""

    worker_state_source: StateSource
    """Where the state was read from."""

    worker_state_since: Optional[str]
    """Time since which the worker is in this state, when it is known."""

    limit_resets_at: Optional[str]
    """Time at which the account's limit begins anew that a worker in state `limit_reached` has
    met, when Codex tells it; null in all other states.
    """

    question: Optional[str]
    """The question on screen, when the pane was looked at (for `blocked`, and before a time-out)
    and shows one.
    """

    turn: Optional[Turn]
    """For `idle`, `busy` and `done` the turn that is waited for, null until it begins; else the
    newest turn.
    """

    pin: TurnPin
    """That turn, for the parameter `pin`."""

    message: Optional[WaitMessage]
    """The oldest item of the inbox, for `message`."""

    elapsed_seconds: float
    """Seconds that were waited."""

    timeout_seconds: float
    """The parameter `timeout` as given."""


class WaitSession(TypedDict):
    """The session that a wait watches."""

    id: str
    """Id of the session."""

    name: str
    """Name of the session."""

    role: Role
    """Role of the session."""

    state: SessionState
    """State of the session's registration."""

    gone_reason: Optional[str]
    """Why it is gone: `process_exited`, `deregistered`, `replaced` and others."""


class WaitTask(TypedDict):
    """The task by which a wait was named."""

    id: str
    """Id of the task."""

    name: str
    """Name of the task."""


class Waiting(TypedDict):
    """A question of a worker to its user."""

    kind: ApprovalKind
    """What is asked."""

    id: str
    """Id of the approval."""

    text: Optional[str]
    """The command or question."""

    since: str
    """Since when it is known."""

    age_seconds: Optional[float]
    """For how many seconds it has been known."""


class WorkerImport(TypedDict):
    """What becomes of a worker folder."""

    worker: str
    """Name of the worker."""

    action_count: int
    """Number of actions."""

    actions: List[FolderAction]
    """What is written, in order."""


class WorkerReceipt(TypedDict):
    """A worker's completed turn as the manager sees it."""

    binding_id: str
    """Binding under which it completed."""

    completed_at: Any
    """Codex's own completion time."""

    duration_ms: Any
    """Length of the turn in milliseconds."""

    last_agent_message: Any
    """What the worker said last."""

    source_event_id: int
    """Id of the stored record that ended the turn."""

    source_event_timestamp: str
    """Time of the stored record."""

    source_session_id: str
    """Id of the worker's session."""

    source_session_name: str
    """Name of the worker's session."""

    time_to_first_token_ms: Any
    """Wait for the first token in milliseconds."""

    turn_id: Any
    """Codex's id of the turn."""

    outcome: Optional[str]
    """`done` or `failed`; null when it cannot be told."""


class _WorkerRow(TypedDict):
    """What is always there of `WorkerRow`."""

    name: str
    """Name of the worker."""

    kind: WorkerKind
    """Where the worker is known from."""

    running: bool
    """Whether the worker's tmux session runs."""

    status: str
    """`running` or `stopped`."""

    state: WorkState
    """What the worker said last about its state."""

    current_task: str
    """What it said it works on; empty when it did not."""


class WorkerRow(_WorkerRow, total=False):
    """A row of `worker.list`."""

    terminal_error: str
    """Why tmux could not be asked; absent when it could."""

    error: str
    """Why its folder cannot be read; absent when it can."""


class WorkerStartResult(TypedDict):
    """Result of `worker.start`. Commands in it are for a person to fill in."""

    session: str
    """tmux session in which Codex runs."""

    cwd: str
    """Working directory of Codex."""

    attach_command: str
    """Command that attaches a terminal."""

    register_worker_command_template: str
    """Command that registers the session as a worker."""

    start_manager_command_template: str
    """Starts a manager with the same arguments."""

    bind_command_template: str
    """Command that binds worker and manager to a task."""

    manager_config_questions_command_template: str
    """Asks what the manager has to know."""

    start_prompt_path: Optional[str]
    """File with the first prompt; null without one."""

    start_prompt_sent: bool
    """Whether it was given as first prompt."""


class WorkerStatusResult(TypedDict):
    """Result of `worker.status`."""

    name: str
    """Name of the worker."""

    tmux_session: Optional[str]
    """The worker's tmux session."""

    running: bool
    """Whether the worker's tmux session runs."""

    startup: Optional[str]
    """How far Codex had come when it was last looked at; null for sessions."""

    startup_reason: Optional[str]
    """Why the start-up was judged so."""

    startup_recommended_action: Optional[str]
    """What was to be done about it."""

    state: WorkState
    """What the worker said last about its state."""

    current_task: Optional[str]
    """What the worker said that it works on."""

    next_action: Optional[str]
    """What the worker said that it does next."""

    blocker: Optional[str]
    """What the worker said that blocks it."""

    status_last_update: Optional[str]
    """Time of the worker's last report."""

    terminal_captured_at: Optional[str]
    """Time of the last capture of the worker's pane."""

    terminal_changed_at: Optional[str]
    """Since when the pane has shown what it shows."""

    terminal_capture_error: Optional[str]
    """Why the pane could not be captured."""


# How much of what Codex asks an approval holds.
ApprovalExtent = Literal[
    # All of it: what is accepted is what the approval shows.
    "whole",
    # A part: the pane cuts the question, or the patch is not known. It cannot be accepted here.
    "cut",
    # What the screen shows fits no call of the session's thread, or several, such as the call of a
    # sub-agent. It cannot be accepted here.
    "ambiguous",
]


# What is asked for.
ApprovalKind = Literal[
    # Codex asks to run a command.
    "command",
    # Codex asks to change files.
    "file_change",
    # Codex asks for permissions.
    "permissions",
    # Codex asks to call a tool.
    "tool",
    # To answer a question; it cannot be accepted or declined.
    "user_input",
    # Something that we do not know.
    "other",
]


# How we know of an approval, and how it is answered.
ApprovalSource = Literal[
    # Codex's app-server told of it, and takes the answer.
    "app_server",
    # By the menu in the session's pane.
    "pane",
]


# How an approval stands.
ApprovalState = Literal[
    # The approval waits for an answer.
    "pending",
    # Our answer is on its way.
    "answering",
    # The approval was accepted through Conveyor.
    "accepted",
    # The approval was declined through Conveyor.
    "declined",
    # It was answered through Conveyor, and nothing told that the answer arrived.
    "uncertain",
    # Somebody else answered it, or Codex asks no more.
    "resolved",
]


# A list of an audit, by its key there.
AuditSection = Literal[
    # Criteria of the task.
    "acceptance_criteria",
    # What was observed of the sessions.
    "agent_observations",
    # Executions of the commands.
    "command_attempts",
    # Commands of the task.
    "commands",
    # Reviews of proposals for how to go on.
    "continuation_reviews",
    # What belongs together, by correlation id.
    "correlation_chains",
    # Runs of epilogue steps.
    "epilogue_runs",
    # The audit trail, in order.
    "events",
    # Spans of the manager's cycles.
    "manager_cycle_spans",
    # Cycles of the manager.
    "manager_cycles",
    # Decisions of the manager.
    "manager_decisions",
    # Notifications of the task.
    "routed_notifications",
    # Interrupts of the sessions, from telemetry.
    "session_interrupts",
    # Nudges of the sessions, from telemetry.
    "session_nudges",
    # Acknowledgements of the contract.
    "task_acknowledgements",
    # Proposals for how to go on.
    "task_continuations",
    # Stored panes.
    "terminal_captures",
    # What was new in the stored panes.
    "transcript_segments",
]


# The id of a binding of task, worker and manager.
BindingId = str


# What holds a text back. `docs/typing.md` names the screens and modes of each.
BlockedBy = Literal[
    # Codex asks for an approval.
    "approval",
    # Codex asks its user something else.
    "question",
    # Codex asks whether it may trust the folder.
    "trust",
    # Codex asks about its hooks.
    "hooks",
    # Codex offers an update.
    "update",
    # Codex asks whether to carry its plan out.
    "plan",
    # Codex offers another model near a limit.
    "rate_limit",
    # A list, a search or a field has the focus.
    "menu",
    # The transcript is shown.
    "browse",
    # A side chat has the focus, or fills the pane.
    "side_chat",
    # The screen of Codex cannot be read.
    "unclear",
    # Somebody's draft is in the composer.
    "draft",
    # Texts wait for the session that were accepted earlier.
    "queue",
    # No Codex is in the foreground of the pane.
    "no_codex",
    # The pane is in a mode of tmux, such as copy mode.
    "copy_mode",
    # The panes of the window are synchronized.
    "synchronized_panes",
    # The input of the pane is off.
    "input_off",
    # The pane changed between the look and the text.
    "pane_changed",
]


# How much of a pane a capture stores.
CaptureMode = Literal[
    # Only the sizes of the text.
    "metadata",
    # The last lines of what is new.
    "excerpt",
    # The whole text.
    "snapshot",
    # What is new in the pane.
    "segment",
    # What is new, as with `segment`.
    "full",
]


# What a change is about.
ChangeKind = Literal[
    # A session was registered, changed or gone.
    "session",
    # A task was created or changed.
    "task",
    # A binding was made or ended.
    "binding",
    # Records of a rollout were stored.
    "ingested",
    # A turn began.
    "turn_started",
    # A turn ended.
    "turn_ended",
    # A command was queued.
    "command_queued",
    # A command changed its state.
    "command",
    # A notification was put into an inbox.
    "notification_delivered",
    # A notification was consumed.
    "notification_consumed",
    # A notification is to be sent again, or was discarded.
    "notification",
    # A cycle ended.
    "cycle",
    # What Codex's app-server tells of a session has changed, or its pane shows something else.
    "session_status",
    # An approval is asked for, or is no longer.
    "approval",
    # The subscriber was too slow and missed `count` items.
    "lagged",
]


# The worker's state in three words.
CoarseState = Literal[
    # A turn of the worker runs.
    "busy",
    # No turn of the worker runs.
    "idle",
    # Nothing is known of the worker yet.
    "unknown",
]


# Options of Codex under one name.
CodexProfile = Literal[
    # Full access to the machine, and no approvals.
    "yolo",
]


# The id of a durable command.
CommandId = str


# Where a command stands.
CommandState = Literal[
    # The command waits to be executed.
    "pending",
    # The command is being executed.
    "attempted",
    # The command has ended well.
    "succeeded",
    # The command has ended badly.
    "failed",
    # A rule refused the command.
    "blocked",
]


# Who came up with a criterion.
CriterionSource = Literal[
    # The user asked for it.
    "user_requested",
    # The manager inferred it.
    "manager_inferred",
    # The worker proposed it.
    "worker_proposed",
    # The audit before the end of the task found it.
    "final_audit",
]


# Where a criterion stands.
CriterionStatus = Literal[
    # The criterion was named and is not settled yet.
    "proposed",
    # The task must satisfy the criterion.
    "accepted",
    # The task satisfies the criterion.
    "satisfied",
    # The criterion was put off to later work.
    "deferred",
    # The criterion was refused.
    "rejected",
]


# What may be wrong with a change that was made all the same.
CriterionWarning = Literal[
    # It is satisfied and has neither evidence nor proof.
    "satisfied_without_evidence",
    # It was satisfied and is so no longer.
    "reopened_satisfied",
    # It stood so before; of an added one: it was there before and is as it was.
    "unchanged",
]


# How a message reaches a session.
DeliveryMode = Literal[
    # The message is typed into the session's tmux pane.
    "push",
    # Waits in its inbox until the session takes it.
    "pull_required",
]


# What became of a text.
DeliveryOutcome = Literal[
    # It arrived: the rollout or the inbox's consumption proves it.
    "delivered",
    # The text waits in the inbox.
    "queued",
    # It was not sent, because the pane shows a menu or holds a draft; it is sent when that is over.
    "held",
    # It was sent, and no receipt was seen in time.
    "uncertain",
    # It was not sent, or could not be.
    "failed",
]


# What does not agree.
DriftKind = Literal[
    # The process of an active session does not run.
    "dead_process",
    # A session of an open binding is gone.
    "dangling_binding",
    # A binding is marked as ending, and nobody ends it.
    "binding_ending",
    # A waiting command belongs to a binding that has ended.
    "orphaned_command",
    # The manager has not looked at a bound task for long.
    "stuck_task",
    # The manager has never looked at a task that was bound long ago.
    "never_cycled",
    # A cycle was begun long ago and has no end.
    "cycle_unfinished",
    # The rollout of a session is not there.
    "rollout_missing",
    # The rollout of a session cannot be read.
    "rollout_unreadable",
    # Another file stands where the rollout was.
    "rollout_replaced",
    # The rollout is shorter than what was read of it.
    "rollout_shrunk",
    # A session has been waiting for its first rollout for long.
    "rollout_pending",
    # A part of a rollout could not be read, or only after a repair.
    "rollout_damaged",
    # The thread of a session is another session's, or no conversation of a user.
    "thread_not_own",
    # Whole lines of a rollout are not stored yet.
    "ingest_behind",
    # The pane of a session is not there.
    "pane_gone",
    # The pane of a session is another one, or runs another process.
    "pane_mismatch",
    # The tmux server of a session could not be asked.
    "tmux_unreachable",
    # A Codex that was started is in a pane, and no session was registered for it.
    "start_unregistered",
    # A dispatcher's claim ran out and was not taken back.
    "claim_expired",
    # A reader took an inbox item and did not acknowledge it in time.
    "lease_expired",
    # A finished turn has not been told to its manager.
    "completion_unrouted",
    # A text is held back by what its pane shows.
    "delivery_held",
    # A text may or may not have arrived.
    "delivery_uncertain",
    # A text did not arrive.
    "delivery_failed",
]


# How grave a drift is.
DriftSeverity = Literal[
    # It wants a look, or mends itself.
    "warning",
    # It stops a pair from working.
    "error",
]


# A step before the end of a task.
Epilogue = Literal[
    # The expected tools are there.
    "run-tools",
    # The facts for a pull request are gathered.
    "draft-pr",
    # A reviewer has looked at the work.
    "subagent-review",
    # A handoff is recorded.
    "record-handoff",
]


# What a file, or a line of one, becomes.
FolderActionKind = Literal[
    # The row of the worker is added or brought up to date.
    "upsert_worker",
    # A report of the worker becomes a status.
    "insert_status",
    # A stored pane becomes a capture.
    "insert_transcript_capture",
    # An event becomes a row of the audit trail.
    "insert_event",
    # Nothing: the line is no event.
    "skip_invalid_event",
]


# How a worker seems to fare.
Health = Literal[
    # Its tmux session does not run.
    "stopped",
    # It says that it is blocked.
    "blocked",
    # It says that it has finished.
    "done",
    # Its pane could not be looked at.
    "unknown",
    # Its pane shows something that waits for somebody.
    "busy_wait",
    # Neither pane nor status have changed of late.
    "stale",
    # The pane has not changed of late.
    "quiet",
    # The status has not changed of late.
    "status_stale",
    # Both the status and the pane have changed of late.
    "active",
]


# Which commands a listing shows: those of a state, or those whose delivery stands so.
ListState = Literal[
    # Commands that wait to be executed.
    "pending",
    # Commands that are being executed.
    "attempted",
    # Commands that have ended well.
    "succeeded",
    # Commands that have ended badly.
    "failed",
    # Commands that a rule refused.
    "blocked",
    # Not sent, because the pane shows a menu or holds a draft; completions too.
    "held",
    # May have arrived; completions and texts that are no commands too.
    "uncertain",
]


# The state of a background loop.
LoopState = Literal[
    # It runs.
    "running",
    # It failed, and begins again after a pause.
    "restarting",
    # It is over: the daemon ends.
    "ended",
]


# What happens when a worker has completed a turn and both sides have proposed how to go on.
NudgeOnCompletion = Literal[
    # Nothing happens.
    "off",
    # A person decides.
    "ask-operator",
    # A reviewer looks at the proposals.
    "auto-review",
    # As `auto-review`; what the reviewer agrees to is done.
    "auto-proceed",
]


# The id of a tmux pane, `%N`. A tmux server never uses it twice.
PaneId = str


# Null when no permission was required.
PermissionCheckField = Optional["PermissionCheck"]


# One item of a pass. Which keys are there depends on what it is; absent keys are left out.
Processed = Union["ProcessedCommand", "ProcessedCompletion", "RecoveredClaim", "PlannedCommand", "PlannedCompletion"]


# What became of an item in a pass.
ProcessedState = Literal[
    # The item was sent to a pane.
    "delivered",
    # The item was put into the inbox.
    "pull_required",
    # Refused by the loop policy or by the state of task or session.
    "blocked",
    # The item ended in an error.
    "failed",
    # Dropped: routed before, or its binding ended.
    "suppressed",
    # Not sent: the pane shows a menu or a draft. It is tried again.
    "held",
    # The claim of the item was taken back.
    "requeued",
    # The item would be handled; this was a dry run.
    "planned",
]


# The form of an answer.
QuestionKind = Literal[
    # One of the choices.
    "choice",
    # Any text.
    "text",
    # A list of texts.
    "list",
    # A list of choices.
    "choice_list",
    # Granted actions, by category.
    "categorized_permissions",
    # Yes or no.
    "boolean",
]


# What became of damaged bytes of a rollout.
Remedy = Literal[
    # Nothing could be read of them.
    "set_aside",
    # They became a record.
    "repaired",
]


# How much a replay shows.
ReplayFormat = Literal[
    # Without cycles and their spans.
    "compact",
    # With cycles and their spans.
    "timeline",
    # With stored panes as well.
    "transcript",
    # With the texts of stored panes as well.
    "full-transcript",
]


# Whose entries a replay shows.
ReplayRole = Literal[
    # Entries of everybody.
    "all",
    # Entries of the worker.
    "worker",
    # Entries of the manager.
    "manager",
    # Entries of the reviewer.
    "reviewer",
    # Entries of Conveyor itself.
    "workerctl",
]


# What a session is for.
Role = Literal[
    # The session does the work of a task.
    "worker",
    # The session supervises the worker of a task.
    "manager",
]


# Whether a session's rollout is known.
RolloutState = Literal[
    # The rollout is known and read.
    "ready",
    # It does not exist yet and is adopted when it appears.
    "pending",
]


# The id of a run.
RunId = str


# How a run stands.
RunStatus = Literal[
    # What happens to the task is tagged with it.
    "active",
    # Ended well. A loop run is this from its beginning.
    "finished",
    # The run has ended badly.
    "failed",
    # The run was given up.
    "abandoned",
]


# The id of a registered session.
SessionId = str


# Whether a session takes part.
SessionState = Literal[
    # The session is registered and takes part.
    "active",
    # The session has ended or was deregistered.
    "gone",
]


# What Dispatch routes.
SignalType = Literal[
    # A queued message to the manager.
    "notify_manager",
    # A queued message to the worker.
    "nudge_worker",
    # A queued request for the next pass of a loop.
    "continue_iteration",
    # A turn of the worker that ended.
    "worker_task_complete",
    # A text of `session.nudge` that a menu held back.
    "session_nudge",
    # A worker that asks whether it may do something.
    "approval_requested",
    # A worker that asks its user a question.
    "worker_question",
    # A turn of the worker that was aborted: by Escape, or by an answer to what it asked.
    "worker_interrupted",
    # A worker whose process has ended.
    "worker_gone",
    # An acknowledgement of the worker that asks something, or says that it is not ready.
    "worker_acknowledged",
    # A worker that shows another conversation: `/clear`, `/new`, `/resume`.
    "worker_thread_changed",
]


# Where a setting's value came from.
Source = Literal[
    # A command-line flag.
    "flag",
    # An environment variable.
    "environment",
    # `config.toml` in the state root.
    "file",
    # The built-in default.
    "default",
]


# Who started a daemon, and so who starts it again.
StartedBy = Literal[
    # Somebody ran `conveyord`, or a service manager that did not say so.
    "foreground",
    # The command line, because nobody answered.
    "cli",
    # A unit of the user's systemd.
    "systemd",
    # An agent of launchd.
    "launchd",
]


# Which sessions `session.list` shows.
StateFilter = Literal[
    # Active sessions with a process or a rollout.
    "active",
    # Sessions that have ended or were deregistered.
    "gone",
    # Sessions of either state.
    "all",
]


# Where a state was read from.
StateSource = Literal[
    # The records of the rollout told it.
    "rollout",
    # What the pane shows told it.
    "pane",
    # The table of processes told it.
    "process",
    # Codex's app-server told it.
    "app_server",
    # The session's registration: somebody ended it.
    "registration",
]


# Something to do next.
Suggestion = Union["SuggestionBind", "SuggestionRegisterWorker", "SuggestionRegisterManager"]


# How closely a manager supervises.
SupervisionMode = Literal[
    # The manager looks at progress now and then.
    "light",
    # The manager nudges as usual.
    "guided",
    # The criteria are checked again and again.
    "strict",
]


# The id of a task.
TaskId = str


# Where a task stands.
TaskState = Literal[
    # The task was created and is not under management yet.
    "candidate",
    # The task is under management.
    "managed",
    # The task was set aside.
    "paused",
    # The task has ended well.
    "done",
    # The task has ended badly.
    "failed",
]


# By which way a text goes to a session.
Transport = Literal[
    # The safest way that there is: the session's pane, else Codex's app-server, else the inbox. The
    # app-server also takes the place of a pane in which a side chat, a mode of tmux, synchronized
    # panes or an input that is off hold a text back.
    "auto",
    # The text is typed into the session's tmux pane.
    "tmux",
    # The text is sent by way of Codex's app-server.
    "app-server",
    # The text is left in the session's inbox.
    "inbox",
]


# What is waited for.
Until = Literal[
    # The turn has ended, however it did, and none runs.
    "idle",
    # The turn has begun, and the session is not gone.
    "busy",
    # The turn has ended well.
    "done",
    # The session waits for a person: an approval, an answer, or the account's limit.
    "blocked",
    # There is an item in the inbox.
    "message",
    # The session is gone, or its process has ended.
    "gone",
]


# How a wait ended.
WaitOutcome = Literal[
    # What was waited for is so.
    "reached",
    # It cannot come to be any more; `reason` tells why.
    "unreachable",
    # The time ran out.
    "timed_out",
    # The daemon is shutting down; ask the next one, with `pin`.
    "draining",
]


# Where an answer was read from.
WaitSource = Literal[
    # The records of the rollout told it.
    "rollout",
    # What the pane shows told it.
    "pane",
    # The table of processes told it.
    "process",
    # The session's registration: somebody ended it.
    "registration",
    # The inbox told it.
    "inbox",
    # Codex's app-server told it.
    "app_server",
]


# What a worker says it is at.
WorkState = Literal[
    # The worker plans.
    "planning",
    # The worker edits files.
    "editing",
    # The worker verifies its work.
    "running_tests",
    # It cannot go on by itself.
    "blocked",
    # The worker waits for an instruction.
    "waiting",
    # The worker has finished its task.
    "done",
    # The worker did not say.
    "unknown",
]


# Where a worker is known from.
WorkerKind = Literal[
    # A folder of the state root, as `create` makes it.
    "file",
    # A registered session.
    "session",
]


# The worker's state in detail.
WorkerState = Literal[
    # No turn of the worker has begun.
    "never_started",
    # A turn of the worker runs.
    "working",
    # The worker's last turn ended well.
    "done",
    # The last turn ended with an error.
    "failed",
    # The worker's last turn was interrupted.
    "interrupted",
    # Codex asks whether it may do something.
    "needs_approval",
    # Codex asks a question or shows a menu.
    "needs_answer",
    # The account's usage limit is reached.
    "limit_reached",
    # A turn began, and its process died.
    "broken",
    # The worker's process is gone.
    "gone",
]


# Why a call was refused.
Kind = Literal[
    # the text is not JSON
    "not_json",
    # the JSON is no request
    "invalid_request",
    # a subscription over HTTP or in a batch
    "cannot_subscribe",
    # a request over HTTP with the header `Origin`
    "origin_refused",
    # a request did not arrive whole in time
    "request_timed_out",
    # no such method
    "unknown_method",
    # wrong, missing or unknown parameters
    "invalid_params",
    # over `data.limit` bytes
    "request_too_large",
    # the answer is over `data.limit` bytes; what the method does was done
    "answer_too_large",
    # over `data.limit` entries
    "batch_too_long",
    # all `data.limit` connections are open
    "too_many_connections",
    # WebSocket only
    "too_many_in_flight",
    # over `data.limit` on this connection
    "too_many_subscriptions",
    # a panic or another fault of the daemon
    "internal",
    # `rpc.hello` with another protocol major
    "protocol_mismatch",
    # no task of this id or name
    "unknown_task",
    # a page: the listing has no row of the id `after`
    "unknown_place",
    # several open tasks have this name
    "ambiguous_task",
    # no run of this id or name
    "unknown_run",
    # runs of several tasks have this name
    "ambiguous_run",
    # the task has an active run already
    "run_active",
    # the run has ended otherwise
    "run_over",
    # not a policy that a loop run may have
    "invalid_policy",
    # a run cannot end as active
    "invalid_status",
    # no session of this name
    "unknown_session",
    # neither a worker's folder nor a session of this name
    "unknown_worker",
    # a worker or session of this name is there already
    "worker_exists",
    # a file of a worker's folder cannot be read or written
    "worker_folder_invalid",
    # another worker has the tmux session
    "tmux_session_taken",
    # a terminal was opened for the worker before
    "already_opened",
    # neither a name nor a task is given, or both
    "name_or_task_needed",
    # archive: neither a task nor those that are over, or both
    "task_or_over",
    # a wait for a new worker that is longer than a day
    "timeout_too_long",
    # not a name that a session, task or run may have
    "invalid_name",
    # not an id or key that a call may bring
    "invalid_id",
    # a path with control characters, or one that is too long
    "invalid_path",
    # the daemon has no file or memory left to look with
    "resources_exhausted",
    # a number that is larger than the database can hold
    "number_too_large",
    # a task without a goal
    "goal_needed",
    # a registration names neither
    "pid_or_rollout_needed",
    # not a process id
    "invalid_pid",
    # no such process, or the session's process does not run
    "pid_dead",
    # the process belongs to another user
    "pid_of_other_user",
    # not a name that a tmux session may have
    "invalid_tmux_session",
    # a path that is not absolute
    "relative_path",
    # the file does not begin as a rollout does
    "rollout_invalid",
    # the process holds no rollout; -32005 when it could not be looked into
    "rollout_not_found",
    # the name is registered in the other role
    "role_differs",
    # another session has this Codex session
    "thread_taken",
    # the session was deregistered
    "session_gone",
    # the session is in a pair
    "session_bound",
    # finish, stop: the session works on another task now
    "session_bound_elsewhere",
    # a worker was named where a manager belongs, or the reverse
    "wrong_role",
    # the task has a pair already
    "task_bound",
    # delete: the task was bound once
    "task_has_history",
    # the task is done or failed
    "task_over",
    # finish, stop: another caller is at it
    "task_being_finished",
    # the task has no pair
    "not_bound",
    # the message was queued for another pair
    "binding_changed",
    # Codex has not written the rollout yet
    "rollout_pending",
    # the rollout is shorter than what was read of it
    "rollout_shrunk",
    # another reader has moved on in the file meanwhile; try again
    "rollout_read_elsewhere",
    # the rollout file does not exist
    "rollout_missing",
    # the rollout cannot be read
    "rollout_unreadable",
    # the rollout is compressed and cannot be decompressed
    "rollout_corrupt",
    # the session has no pane
    "no_tmux_session",
    # its tmux session does not run
    "tmux_session_missing",
    # its pane is another one now
    "tmux_pane_mismatch",
    # Codex has ended in the pane
    "codex_exited",
    # start: the name is active already
    "session_registered",
    # start: another call starts this name now
    "start_under_way",
    # start: one that was cut off had another role or folder, and its Codex runs
    "start_differs",
    # pair: worker and manager have one name
    "same_name",
    # start: the working directory is not there
    "cwd_missing",
    # start: no codex on the caller's `PATH`
    "codex_missing",
    # start: the caller names neither `CODEX_HOME` nor `HOME`
    "codex_home_unknown",
    # start: `codex-NAME` is taken by something else
    "tmux_session_exists",
    # start: the file of a long prompt could not be written
    "prompt_not_written",
    # start: Codex asks whether the folder is trusted
    "needs_trust",
    # start: Codex offers an update
    "update_offered",
    # start: Codex asks to review hooks
    "hooks_review",
    # start: Codex has no login
    "login_needed",
    # start: Codex asks whether to implement a plan
    "plan_menu",
    # start: Codex asks whether to switch the model
    "rate_limit_menu",
    # start: Codex asks for an approval
    "approval_menu",
    # start: Codex shows another menu
    "menu_open",
    # start: no rollout in time
    "start_timed_out",
    # start: the daemon ends; the same call goes on after that
    "daemon_ending",
    # tmux is missing, denied, hung or refused
    "tmux_failed",
    # not a tmux key name
    "unknown_key",
    # the key was sent, the text after it was not
    "followup_failed",
    # a queued message without text
    "blank_message",
    # over 64 KiB
    "message_too_long",
    # the key is held by another command
    "idempotency_conflict",
    # not a permission
    "unknown_permission",
    # the task's configuration does not grant it
    "permission_denied",
    # configuration: a list of permissions has an entry that is no word
    "invalid_permissions",
    # configuration: `if_revision` is not its revision; `revision` is
    "revision_differs",
    # criteria: without a text
    "blank_criterion",
    # criteria: the task has none with this id
    "unknown_criterion",
    # a text over 64 KiB, as a parameter of any method
    "text_too_long",
    # a JSON value over 1 MiB, as a parameter of any method
    "payload_too_large",
    # criteria: those of the task would have over 2 MiB together
    "criteria_too_large",
    # `continue_iteration` is not in this version
    "loops_unavailable",
    # retry, discard, list: nothing has this id
    "unknown_delivery",
    # retry, discard: it is being sent, has arrived or delivers nothing; retry: it is still to be
    # sent
    "not_mendable",
    # it was sent again; `retried_as` names by which command
    "already_retried",
    # retry: it was discarded
    "already_discarded",
    # retry: the text is not stored
    "not_retryable",
    # retry, discard: somebody is just taking it from the inbox
    "item_lent",
    # retry, discard: without a reason
    "blank_reason",
    # retry, discard: a reason over 64 KiB
    "reason_too_long",
    # list: not RFC 3339
    "invalid_time",
    # wait: neither a task nor a session
    "unknown_target",
    # wait: the session has no such turn
    "unknown_turn",
    # another dispatcher has taken the delivery over
    "claim_lost",
    # no approval has this id
    "unknown_approval",
    # the approval was answered, or is not asked for any more
    "approval_resolved",
    # an answer is asked for, or the menu names no key: answer it in the pane
    "approval_needs_person",
    # the pane shows only a part of what is asked, and the rest is not known
    "approval_cut",
    # what the pane shows fits no call of the worker's thread, or several
    "approval_ambiguous",
    # what is asked now is not what the approval shows
    "approval_changed",
    # the session that asks is not the worker of this task
    "approval_of_another_task",
    # no app-server of Codex has the session's thread, or it refused
    "no_app_server",
    # Codex's app-server does not ask for this on our connection (any more)
    "approval_unreachable",
    # finish, stop: the last message is held back by what the pane shows
    "held_by_pane",
    # the lease of an inbox item ran out
    "unknown_lease",
    # below 0 or over a day
    "invalid_timeout",
    # not above 0
    "invalid_interval",
    # replay: below 0; divergences: below 0 or over 10000
    "invalid_limit",
    # db.doctor: below 0
    "invalid_seconds",
    # finish: below 0 or over 100000
    "invalid_capture_lines",
    # replay: a full transcript needs `include_content`
    "content_not_included",
    # the gate of acknowledgements is closed
    "acknowledgements_required",
    # the gate of criteria is closed
    "criteria_open",
    # the gate of epilogue steps is closed
    "epilogue_incomplete",
    # the gate of adversarial proof is closed
    "adversarial_proof_required",
    # the named decision does not justify it
    "manager_decision_validation_failed",
    # the last capture brought nothing new
    "transcript_segment_missing",
    # a pane that is to be ended is not the registered one
    "identity_verification_failed",
    # ending one session would end another too
    "shared_tmux_session",
    # the file cannot be opened
    "database_unusable",
    # the file is something else
    "not_a_database",
    # the file belongs to another program
    "foreign_database",
    # neither a state root nor a database is named
    "nothing_to_import",
    # a file of a worker folder cannot be read or is no JSON object
    "invalid_worker_folder",
    # the folder of workers that was named is not there
    "reference_folder_missing",
    # there is no such file
    "reference_database_missing",
    # the file is no database of agent-conveyor
    "reference_database_foreign",
    # it is of a newer agent-conveyor than this version knows
    "reference_database_newer",
    # its pages are damaged
    "reference_database_damaged",
    # SQLite cannot open it
    "reference_database_unreadable",
    # rows stand here with other content; `conflicts` lists them
    "import_conflict",
    # what was written is not what was read; it was taken back
    "import_not_verified",
    # the file is from a newer Conveyor
    "newer_database",
    # a file of the daemon was removed or replaced while it served; it ends
    "state_replaced",
    # nothing was written
    "disk_full",
    # the file or its folder cannot be written
    "read_only_database",
    # another program holds the database
    "database_busy",
    # the disk did not do what it was told; nothing was written
    "database_io_failed",
    # the file is corrupt; `db.doctor` tells more
    "database_damaged",
    # the file is as it was
    "migration_failed",
    # anything else of SQLite
    "database_error",
]

class ConveyorError(_wire.Refusal):
    """The daemon refused a call: `kind` tells programs why, the text people, `hint` the way out where there is one."""

    def is_kind(self, *kinds: Kind) -> bool:
        """Whether it is of one of these kinds."""
        return self.kind in kinds


class NotFound(ConveyorError):
    """-32001: What was named does not exist."""


class Conflict(ConveyorError):
    """-32002: The present state does not allow it."""


class Refused(ConveyorError):
    """-32003: A rule or permission forbids it."""


class Invalid(ConveyorError):
    """-32004: The input is not valid."""


class Unavailable(ConveyorError):
    """-32005: Something that is needed is not there now."""


class Internal(ConveyorError):
    """-32603: A fault of the daemon."""


_ERRORS: Mapping[int, Type[_wire.Refusal]] = {
    0: ConveyorError,
    -32001: NotFound,
    -32002: Conflict,
    -32003: Refused,
    -32004: Invalid,
    -32005: Unavailable,
    -32603: Internal,
}


class RpcMethods:
    """`rpc.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def hello(
        self,
        *,
        client_version: Optional[str] = None,
        protocol: Optional[int] = None,
    ) -> HelloResult:
        """Say who calls and learn who answers.

        client_version: The client's version, for the log.
        protocol: The protocol major that the client speaks; another than the daemon's is
        refused.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "client_version": client_version,
            "protocol": protocol,
        }
        result: HelloResult = self._transport.call("rpc.hello", params, _wire.Rule("always"))
        return result

    def discover(
        self,
    ) -> Any:
        """Answer the OpenRPC document of this daemon.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
        }
        result: Any = self._transport.call("rpc.discover", params, _wire.Rule("always"))
        return result


class DaemonMethods:
    """`daemon.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def status(
        self,
    ) -> DaemonStatusResult:
        """Tell how the daemon fares.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
        }
        result: DaemonStatusResult = self._transport.call("daemon.status", params, _wire.Rule("always"))
        return result

    def stop(
        self,
    ) -> DaemonStopResult:
        """End the daemon after what is under way.

        After a lost connection `daemon.status` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
        }
        result: DaemonStopResult = self._transport.call("daemon.stop", params, _wire.Rule("never", look_at="daemon.status"))
        return result


class ConfigMethods:
    """`config.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def show(
        self,
    ) -> ConfigResult:
        """Show the settings in force and where each came from.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
        }
        result: ConfigResult = self._transport.call("config.show", params, _wire.Rule("always"))
        return result


class DoctorMethods:
    """`doctor.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def run(
        self,
        *,
        cwd: Optional[str] = None,
        caller: Optional[Caller] = None,
    ) -> DoctorResult:
        """Check the tools that Conveyor needs.

        cwd: Folder to look at; default: the caller's.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "cwd": cwd,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: DoctorResult = self._transport.call("doctor.run", params, _wire.Rule("always"))
        return result

    def self(
        self,
        *,
        session: Optional[str] = None,
        caller: Optional[Caller] = None,
    ) -> SelfResult:
        """Tell whether the calling Codex session can register itself, and as what it is
        registered.

        session: tmux session that is looked at. Default: the session in which the caller
        runs.
        caller: The circumstances of the caller, with its process id.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "session": session,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: SelfResult = self._transport.call("doctor.self", params, _wire.Rule("always"))
        return result


class DiscoverMethods:
    """`discover.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def run(
        self,
        *,
        query: Optional[str] = None,
        all: Optional[bool] = None,
        limit: Optional[int] = None,
        show_identity_token: Optional[bool] = None,
        caller: Optional[Caller] = None,
    ) -> DiscoverResult:
        """Find tasks, sessions, bindings and telemetry, and the next steps.

        query: Text that is looked for, whatever its case; empty: everything.
        all: Also tasks that are over and sessions that are gone.
        limit: Most entries of each section, 1 to 1000.
        show_identity_token: Show identity tokens instead of `[REDACTED]`.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "query": query,
            "all": all,
            "limit": limit,
            "show_identity_token": show_identity_token,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: DiscoverResult = self._transport.call("discover.run", params, _wire.Rule("always"))
        return result


class DbMethods:
    """`db.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def doctor(
        self,
        *,
        live: Optional[bool] = None,
        manager_stale_seconds: Optional[int] = None,
        caller: Optional[Caller] = None,
    ) -> DbDoctorResult:
        """Check the database, changing nothing.

        live: Also hold the database against what runs.
        manager_stale_seconds: Age from which a manager is reported as not seen, in seconds.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "live": live,
            "manager_stale_seconds": manager_stale_seconds,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: DbDoctorResult = self._transport.call("db.doctor", params, _wire.Rule("always"))
        return result


class ReconcileMethods:
    """`reconcile.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def run(
        self,
        *,
        apply: Optional[bool] = None,
        stale_cycles_seconds: Optional[float] = None,
    ) -> ReconcileResult:
        """Tell where the database and what runs no longer agree, and repair it where that is
        safe.

        apply: Also repair what can be repaired without asking anybody.
        stale_cycles_seconds: Age of its newest completed cycle from which a bound task is
        stuck, in seconds.

        After a lost connection it is sent again when `apply` is not set; else `reconcile.run`
        shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "apply": apply,
            "stale_cycles_seconds": stale_cycles_seconds,
        }
        result: ReconcileResult = self._transport.call("reconcile.run", params, _wire.Rule("if", (("unset", "apply"),), look_at="reconcile.run"))
        return result


class CompatMethods:
    """`compat.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def import_(
        self,
        *,
        apply: Optional[bool] = None,
        root: Optional[str] = None,
        worker: Optional[str] = None,
        database: Optional[str] = None,
    ) -> ImportResult:
        """Bring over worker folders and a database of agent-conveyor 0.1.0.

        apply: Also write. Otherwise it is only told what would be written.
        root: Absolute path of a state root of the reference: its worker folders, and its
        `workerctl.db` where it has one.
        worker: Only the folder of this worker; then no database is taken from `root`.
        database: Absolute path of a database of the reference, instead of the one in `root`.

        After a lost connection it is sent again when `apply` is not set; else `compat.import`
        shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "apply": apply,
            "root": root,
            "worker": worker,
            "database": database,
        }
        result: ImportResult = self._transport.call("compat.import", params, _wire.Rule("if", (("unset", "apply"),), look_at="compat.import"))
        return result


class SessionMethods:
    """`session.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def register(
        self,
        *,
        name: str,
        role: Role,
        pid: Optional[int] = None,
        codex_session: Optional[str] = None,
        cwd: Optional[str] = None,
        tmux_session: Optional[str] = None,
        replace: Optional[bool] = None,
        caller: Optional[Caller] = None,
    ) -> RegisterResult:
        """Register a Codex session as worker or manager.

        name: Name: letters, digits, `-`, `_`, at most 64.
        role: Worker or manager; a registered name keeps its role for ever.
        pid: Process of Codex, or one above it. Needed when no rollout is given.
        codex_session: Rollout file, absolute. Needed when no process is given.
        cwd: Working directory; default: that of the rollout.
        tmux_session: tmux session in which Codex runs.
        replace: Take the Codex session over from another active session that has it.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "name": name,
            "role": role,
            "pid": pid,
            "codex_session": codex_session,
            "cwd": cwd,
            "tmux_session": tmux_session,
            "replace": replace,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: RegisterResult = self._transport.call("session.register", params, _wire.Rule("always"))
        return result

    def deregister(
        self,
        *,
        name: str,
    ) -> DeregisterResult:
        """Mark a session as gone; no process is ended.

        name: Name of the session.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "name": name,
        }
        result: DeregisterResult = self._transport.call("session.deregister", params, _wire.Rule("always"))
        return result

    def rename(
        self,
        *,
        name: str,
        new_name: str,
        tmux: Optional[bool] = None,
    ) -> RenameResult:
        """Give a session another name; its tasks, history and inbox stay with it.

        name: Name of the session now.
        new_name: Its new name, which no other session, worker or start may have.
        tmux: Rename the session's tmux session too, to `codex-NEW_NAME`.

        After a lost connection `session.list` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "name": name,
            "new_name": new_name,
            "tmux": tmux,
        }
        result: RenameResult = self._transport.call("session.rename", params, _wire.Rule("never", look_at="session.list"))
        return result

    def stop(
        self,
        *,
        name: str,
        message: Optional[str] = None,
        force: Optional[bool] = None,
        caller: Optional[Caller] = None,
    ) -> SessionStopResult:
        """End a session's tmux session and mark the session as gone.

        name: Name of the session.
        message: Text to the session before its tmux session is ended.
        force: Also when it is bound, which ends the binding, or shares its tmux session with
        another active session.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection `session.list` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "name": name,
            "message": message,
            "force": force,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: SessionStopResult = self._transport.call("session.stop", params, _wire.Rule("never", look_at="session.list"))
        return result

    def start(
        self,
        *,
        name: str,
        role: Role,
        cwd: Optional[str] = None,
        prompt: Optional[str] = None,
        task: Optional[str] = None,
        task_goal: Optional[str] = None,
        worker: Optional[str] = None,
        codex: Optional[CodexOptions] = None,
        caller: Optional[Caller] = None,
    ) -> SessionStartResult:
        """Start Codex in a tmux session of its own and register it.

        name: Name: letters, digits, `-`, `_`, at most 64. The tmux session is called
        `codex-NAME`.
        role: Worker or manager.
        cwd: Working directory, absolute. Default: the caller's.
        prompt: First prompt of a worker.
        task: A manager's task, by name or id, for its prompt; it need not exist.
        task_goal: The goal in a manager's prompt. Default: that of the task.
        worker: The worker in a manager's prompt. Default: the worker that is bound to the
        task.
        codex: How Codex is to run.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection `reconcile.run` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "name": name,
            "role": role,
            "cwd": cwd,
            "prompt": prompt,
            "task": task,
            "task_goal": task_goal,
            "worker": worker,
            "codex": codex,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: SessionStartResult = self._transport.call("session.start", params, _wire.Rule("never", look_at="reconcile.run"))
        return result

    def list(
        self,
        *,
        role: Optional[Role] = None,
        state: Optional[StateFilter] = None,
        include_legacy: Optional[bool] = None,
        names: Optional[List[str]] = None,
        show_identity_token: Optional[bool] = None,
        caller: Optional[Caller] = None,
        page: Optional[Page] = None,
    ) -> List[SessionRow]:
        """List registered sessions.

        role: Only sessions of this role.
        state: Only sessions of this state. Default: active sessions.
        include_legacy: Also those that only a legacy worker record knows.
        names: Only sessions of these names; empty for all.
        show_identity_token: Show identity tokens instead of `[REDACTED]`.
        caller: The circumstances of the caller, which the daemon does not share.
        page: Which part of the listing.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "role": role,
            "state": state,
            "include_legacy": include_legacy,
            "names": names,
            "show_identity_token": show_identity_token,
            "caller": _wire.caller() if caller is None else caller,
            "page": page,
        }
        result: List[SessionRow] = self._transport.call("session.list", params, _wire.Rule("always"))
        return result

    def nudge(
        self,
        *,
        name: str,
        text: str,
        dry_run: Optional[bool] = None,
        clear_draft: Optional[bool] = None,
        transport: Optional[Transport] = None,
        caller: Optional[Caller] = None,
    ) -> NudgeResult:
        """Send a text to a session's pane and wait for its receipt.

        name: Name of the session.
        text: Text to send; an empty text presses Enter only.
        dry_run: Resolve the target and record, send nothing.
        clear_draft: Clear a draft in the composer first instead of holding the text back.
        transport: By which way the text goes.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection it is sent again when `dry_run` is set; else `rollout.tail`
        shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "name": name,
            "text": text,
            "dry_run": dry_run,
            "clear_draft": clear_draft,
            "transport": transport,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: NudgeResult = self._transport.call("session.nudge", params, _wire.Rule("if", (("set", "dry_run"),), look_at="rollout.tail"))
        return result

    def interrupt(
        self,
        *,
        name: str,
        key: Optional[str] = None,
        followup: Optional[str] = None,
        dry_run: Optional[bool] = None,
        transport: Optional[Transport] = None,
        caller: Optional[Caller] = None,
    ) -> InterruptResult:
        """Interrupt what runs in a session's pane.

        name: Name of the session.
        key: tmux name of the key. Default: the key that interrupts what runs in the pane
        (Escape for Codex, sent only when it is busy; C-c for anything else).
        followup: Text to send afterwards.
        dry_run: Resolve the target and record, send nothing.
        transport: Which way it goes; not the inbox.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection it is sent again when `dry_run` is set; else `session.list`
        shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "name": name,
            "key": key,
            "followup": followup,
            "dry_run": dry_run,
            "transport": transport,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: InterruptResult = self._transport.call("session.interrupt", params, _wire.Rule("if", (("set", "dry_run"),), look_at="session.list"))
        return result


class WorkerMethods:
    """`worker.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        caller: Optional[Caller] = None,
    ) -> List[WorkerRow]:
        """List the workers: folders of the state root, and registered sessions.

        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "caller": _wire.caller() if caller is None else caller,
        }
        result: List[WorkerRow] = self._transport.call("worker.list", params, _wire.Rule("always"))
        return result

    def create(
        self,
        *,
        name: str,
        cwd: Optional[str] = None,
        task: Optional[str] = None,
        reuse: Optional[bool] = None,
        initial_prompt: Optional[bool] = None,
        codex_args: Optional[List[str]] = None,
        accept_trust: Optional[bool] = None,
        wait_ready: Optional[bool] = None,
        wait_ready_timeout: Optional[int] = None,
        verify: Optional[bool] = None,
        verify_timeout: Optional[int] = None,
        stop_after: Optional[bool] = None,
        caller: Optional[Caller] = None,
    ) -> CreateWorkerResult:
        """Start a Codex as a worker with a folder of its own.

        name: Name: letters, digits, `-`, `_`, at most 64.
        cwd: Working directory, absolute. Default: the caller's.
        task: What it is to do; without one it waits for a task.
        reuse: Use the folder of an earlier worker of this name. Its token is replaced.
        initial_prompt: Give the worker its contract as first prompt.
        codex_args: Further arguments for Codex, before its prompt.
        accept_trust: Answer the question whether the folder is trusted, if Codex asks it.
        wait_ready: Wait until Codex takes input, asks something or ends.
        wait_ready_timeout: How long, in seconds. Default 30.
        verify: Wait until the worker reports something.
        verify_timeout: How long, in seconds. Default 60.
        stop_after: End its tmux session at the end.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection `worker.list` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "name": name,
            "cwd": cwd,
            "task": task,
            "reuse": reuse,
            "initial_prompt": initial_prompt,
            "codex_args": codex_args,
            "accept_trust": accept_trust,
            "wait_ready": wait_ready,
            "wait_ready_timeout": wait_ready_timeout,
            "verify": verify,
            "verify_timeout": verify_timeout,
            "stop_after": stop_after,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: CreateWorkerResult = self._transport.call("worker.create", params, _wire.Rule("never", look_at="worker.list"))
        return result

    def start(
        self,
        *,
        session: str,
        cwd: Optional[str] = None,
        start_prompt: Optional[bool] = None,
        codex_args: Optional[List[str]] = None,
        caller: Optional[Caller] = None,
    ) -> WorkerStartResult:
        """Start a plain Codex in tmux, for later registration.

        session: Name of the tmux session: letters, digits, `-`, `_`, at most 64.
        cwd: Working directory, absolute. Default: the caller's.
        start_prompt: Tell Codex in its first prompt how it becomes a worker.
        codex_args: Arguments that Codex is started with.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection `worker.list` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "session": session,
            "cwd": cwd,
            "start_prompt": start_prompt,
            "codex_args": codex_args,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: WorkerStartResult = self._transport.call("worker.start", params, _wire.Rule("never", look_at="worker.list"))
        return result

    def status(
        self,
        *,
        name: str,
        refresh: Optional[bool] = None,
        lines: Optional[int] = None,
        caller: Optional[Caller] = None,
    ) -> WorkerStatusResult:
        """Tell what a worker said last and whether it runs.

        name: Name of the worker.
        refresh: Capture the worker's pane first.
        lines: Rows of scrollback to capture.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "name": name,
            "refresh": refresh,
            "lines": lines,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: WorkerStatusResult = self._transport.call("worker.status", params, _wire.Rule("always"))
        return result

    def update_status(
        self,
        *,
        name: str,
        state: WorkState,
        current_task: str,
        next_action: str,
        blocker: Optional[str] = None,
        caller: Optional[Caller] = None,
    ) -> UpdatedStatus:
        """Report what a worker is at.

        name: Name of the worker.
        state: What the worker is at.
        current_task: What the worker works on.
        next_action: What the worker does next.
        blocker: What blocks the worker.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "name": name,
            "state": state,
            "current_task": current_task,
            "next_action": next_action,
            "blocker": blocker,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: UpdatedStatus = self._transport.call("worker.update_status", params, _wire.Rule("always"))
        return result

    def idle_check(
        self,
        *,
        name: str,
        refresh: Optional[bool] = None,
        lines: Optional[int] = None,
        status_stale_seconds: Optional[int] = None,
        terminal_stale_seconds: Optional[int] = None,
        busy_wait_seconds: Optional[int] = None,
        caller: Optional[Caller] = None,
    ) -> IdleCheck:
        """Judge how a worker fares by its status and its pane.

        name: Name of the worker.
        refresh: Capture the worker's pane first.
        lines: Rows of scrollback to capture.
        status_stale_seconds: Age in seconds from which a status is stale. Default 120.
        terminal_stale_seconds: Age in seconds from which an unchanged pane is stale. Default
        120.
        busy_wait_seconds: Age in seconds of the status from which a prompt in the pane is
        notable. Default 90.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "name": name,
            "refresh": refresh,
            "lines": lines,
            "status_stale_seconds": status_stale_seconds,
            "terminal_stale_seconds": terminal_stale_seconds,
            "busy_wait_seconds": busy_wait_seconds,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: IdleCheck = self._transport.call("worker.idle_check", params, _wire.Rule("always"))
        return result

    def events(
        self,
        *,
        name: str,
        kind: Optional[str] = None,
        limit: Optional[int] = None,
    ) -> EventsResult:
        """Show the events of a worker's file.

        name: Name of the worker.
        kind: Only events of this type.
        limit: Only the last so many; 0 for all.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "name": name,
            "kind": kind,
            "limit": limit,
        }
        result: EventsResult = self._transport.call("worker.events", params, _wire.Rule("always"))
        return result

    def capture(
        self,
        *,
        name: str,
        lines: Optional[int] = None,
        include_content: Optional[bool] = None,
        caller: Optional[Caller] = None,
    ) -> CaptureResult:
        """Capture the pane of a worker.

        name: Name of the worker.
        lines: Rows of scrollback to capture.
        include_content: Answer the text of the pane too.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "name": name,
            "lines": lines,
            "include_content": include_content,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: CaptureResult = self._transport.call("worker.capture", params, _wire.Rule("always"))
        return result

    def nudge(
        self,
        *,
        name: str,
        message: str,
        transport: Optional[Transport] = None,
        caller: Optional[Caller] = None,
    ) -> NudgeWorkerResult:
        """Send a text to a worker's pane and wait for its receipt.

        name: Name of the worker.
        message: Text to send; an empty text presses Enter only.
        transport: By which way the text goes.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection `rollout.tail` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "name": name,
            "message": message,
            "transport": transport,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: NudgeWorkerResult = self._transport.call("worker.nudge", params, _wire.Rule("never", look_at="rollout.tail"))
        return result

    def interrupt(
        self,
        *,
        name: str,
        key: Optional[str] = None,
        followup: Optional[str] = None,
        no_followup: Optional[bool] = None,
        dry_run: Optional[bool] = None,
        caller: Optional[Caller] = None,
    ) -> InterruptWorkerResult:
        """Interrupt what runs in a worker's pane, and ask it for its status.

        name: Name of the worker.
        key: tmux name of the key. Default: the key that interrupts what runs in the pane, as
        in `session.interrupt`.
        followup: Text to send afterwards. Default: a request to pause and to report the
        status.
        no_followup: Send no text after the key.
        dry_run: Look whether it runs, and send nothing.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection it is sent again when `dry_run` is set; else `worker.list`
        shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "name": name,
            "key": key,
            "followup": followup,
            "no_followup": no_followup,
            "dry_run": dry_run,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: InterruptWorkerResult = self._transport.call("worker.interrupt", params, _wire.Rule("if", (("set", "dry_run"),), look_at="worker.list"))
        return result

    def stop(
        self,
        *,
        name: str,
        message: Optional[str] = None,
        force: Optional[bool] = None,
        caller: Optional[Caller] = None,
    ) -> SessionStopResult:
        """End a worker's or session's tmux session.

        name: Name of the session.
        message: Text to the session before its tmux session is ended.
        force: Also when it is bound, which ends the binding, or shares its tmux session with
        another active session.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection `worker.list` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "name": name,
            "message": message,
            "force": force,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: SessionStopResult = self._transport.call("worker.stop", params, _wire.Rule("never", look_at="worker.list"))
        return result

    def attach(
        self,
        *,
        name: Optional[str] = None,
        task: Optional[str] = None,
        role: Optional[Role] = None,
        force: Optional[bool] = None,
        caller: Optional[Caller] = None,
    ) -> AttachResult:
        """Tell how a terminal is attached to a worker, a session, or one side of a task.

        name: Name of a worker or session. Either this or a task.
        task: Task, by id or name, whose worker or manager is meant.
        role: Which side of the task. Default: the worker.
        force: Also when a window was opened for the worker before.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "name": name,
            "task": task,
            "role": role,
            "force": force,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: AttachResult = self._transport.call("worker.attach", params, _wire.Rule("always"))
        return result

    def opened(
        self,
        *,
        name: str,
        terminal: str,
        launched: bool,
        forced: Optional[bool] = None,
    ) -> Empty:
        """Remember that a terminal was opened for a worker.

        name: Name of the worker.
        terminal: Name of the terminal that was started.
        launched: Whether the terminal could be started.
        forced: Whether a window was opened before, and this one was asked for all the same.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "name": name,
            "terminal": terminal,
            "launched": launched,
            "forced": forced,
        }
        result: Empty = self._transport.call("worker.opened", params, _wire.Rule("always"))
        return result


class TaskMethods:
    """`task.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def create(
        self,
        *,
        name: str,
        goal: str,
        summary: Optional[str] = None,
    ) -> CreateResult:
        """Create a task.

        name: Name; may repeat, must have no control characters.
        goal: What the task is to reach.
        summary: More about the task.

        After a lost connection `task.list` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "name": name,
            "goal": goal,
            "summary": summary,
        }
        result: CreateResult = self._transport.call("task.create", params, _wire.Rule("never", look_at="task.list"))
        return result

    def list(
        self,
        *,
        active: Optional[bool] = None,
        archived: Optional[bool] = None,
        page: Optional[Page] = None,
    ) -> List[TaskRow]:
        """List tasks.

        active: Only tasks that are not over.
        archived: The archived tasks instead of those that are not.
        page: Which part of the listing.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "active": active,
            "archived": archived,
            "page": page,
        }
        result: List[TaskRow] = self._transport.call("task.list", params, _wire.Rule("always"))
        return result

    def archive(
        self,
        *,
        task: Optional[str] = None,
        over: Optional[bool] = None,
    ) -> ArchiveResult:
        """Put a task away, or all that are over: listings leave them out.

        task: The task, by name or id.
        over: All tasks that are done or failed.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "over": over,
        }
        result: ArchiveResult = self._transport.call("task.archive", params, _wire.Rule("always"))
        return result

    def restore(
        self,
        *,
        task: str,
    ) -> RestoreResult:
        """Take a task out of the archive.

        task: The task, by name or id.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
        }
        result: RestoreResult = self._transport.call("task.restore", params, _wire.Rule("always"))
        return result

    def delete(
        self,
        *,
        task: str,
    ) -> DeleteResult:
        """Delete a task that never was bound.

        task: The task, by name or id.

        After a lost connection `task.list` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "task": task,
        }
        result: DeleteResult = self._transport.call("task.delete", params, _wire.Rule("never", look_at="task.list"))
        return result

    def finish(
        self,
        *,
        task: str,
        reason: Optional[str] = None,
        stop_manager: Optional[bool] = None,
        stop_worker: Optional[bool] = None,
        message: Optional[str] = None,
        decision_id: Optional[int] = None,
        strict_decisions: Optional[bool] = None,
        require_criteria_audit: Optional[bool] = None,
        require_acks: Optional[bool] = None,
        require_epilogue: Optional[bool] = None,
        require_adversarial_proof: Optional[bool] = None,
        capture_transcript_before_stop: Optional[bool] = None,
        capture_transcript_mode: Optional[CaptureMode] = None,
        capture_transcript_lines: Optional[int] = None,
        require_transcript_segment: Optional[bool] = None,
        caller: Optional[Caller] = None,
    ) -> FinishResult:
        """Mark a task as done, with the gates that are asked for.

        task: Task, by id or name.
        reason: Reason of the final decision.
        stop_manager: End the manager's tmux session.
        stop_worker: End the worker's tmux session.
        message: Text to the worker before it is ended.
        decision_id: The manager's recorded decision to stop.
        strict_decisions: Refuse without a valid decision of the manager.
        require_criteria_audit: Refuse while a criterion is accepted and not satisfied.
        require_acks: Refuse without current acknowledgements of both roles.
        require_epilogue: Refuse until each configured epilogue step has succeeded.
        require_adversarial_proof: Refuse without structured adversarial proof.
        capture_transcript_before_stop: Store the panes that are about to be ended.
        capture_transcript_mode: How much of the panes is stored.
        capture_transcript_lines: Rows of scrollback to store.
        require_transcript_segment: Refuse when a capture brings nothing new.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection `task.list` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "task": task,
            "reason": reason,
            "stop_manager": stop_manager,
            "stop_worker": stop_worker,
            "message": message,
            "decision_id": decision_id,
            "strict_decisions": strict_decisions,
            "require_criteria_audit": require_criteria_audit,
            "require_acks": require_acks,
            "require_epilogue": require_epilogue,
            "require_adversarial_proof": require_adversarial_proof,
            "capture_transcript_before_stop": capture_transcript_before_stop,
            "capture_transcript_mode": capture_transcript_mode,
            "capture_transcript_lines": capture_transcript_lines,
            "require_transcript_segment": require_transcript_segment,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: FinishResult = self._transport.call("task.finish", params, _wire.Rule("never", look_at="task.list"))
        return result

    def stop(
        self,
        *,
        task: str,
        reason: Optional[str] = None,
        stop_worker: Optional[bool] = None,
        message: Optional[str] = None,
        decision_id: Optional[int] = None,
        strict_decisions: Optional[bool] = None,
        caller: Optional[Caller] = None,
    ) -> TaskEnd:
        """End a task and its manager without gates.

        task: Task, by id or name.
        reason: Why the task is ended.
        stop_worker: End the worker's tmux session too.
        message: Text to the worker before it is ended.
        decision_id: The manager's recorded decision to stop.
        strict_decisions: Refuse without a valid decision of the manager.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection `task.list` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "task": task,
            "reason": reason,
            "stop_worker": stop_worker,
            "message": message,
            "decision_id": decision_id,
            "strict_decisions": strict_decisions,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: TaskEnd = self._transport.call("task.stop", params, _wire.Rule("never", look_at="task.list"))
        return result

    def audit(
        self,
        *,
        task: str,
        include_content: Optional[bool] = None,
    ) -> AuditResult:
        """Show everything stored about a task.

        task: Task, by id or name.
        include_content: Show the texts of panes.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "include_content": include_content,
        }
        result: AuditResult = self._transport.call("task.audit", params, _wire.Rule("always"))
        return result

    def audit_rows(
        self,
        *,
        task: str,
        section: AuditSection,
        after: Optional[List[Any]] = None,
        include_content: Optional[bool] = None,
    ) -> AuditRowsResult:
        """Show some rows of one list of a task's audit: a long audit is more than one answer
        holds.

        task: Task, by id or name.
        section: Which list of the audit.
        after: Only the rows after these: the member `next` of the answer before. From the
        beginning without it.
        include_content: Show the texts of panes.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "section": section,
            "after": after,
            "include_content": include_content,
        }
        result: AuditRowsResult = self._transport.call("task.audit_rows", params, _wire.Rule("always"))
        return result

    def replay(
        self,
        *,
        task: str,
        format: Optional[ReplayFormat] = None,
        role: Optional[ReplayRole] = None,
        limit: Optional[int] = None,
        include_content: Optional[bool] = None,
    ) -> ReplayResult:
        """Show a task's history in order.

        task: Task, by id or name.
        format: How much is shown.
        role: Whose entries are shown.
        limit: The last so many; none or 0 means all.
        include_content: Show the texts of panes; needed for the full transcript.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "format": format,
            "role": role,
            "limit": limit,
            "include_content": include_content,
        }
        result: ReplayResult = self._transport.call("task.replay", params, _wire.Rule("always"))
        return result


class OverviewMethods:
    """`overview.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def show(
        self,
        *,
        task: Optional[str] = None,
        all: Optional[bool] = None,
        caller: Optional[Caller] = None,
    ) -> Overview:
        """Show where every task and session stands; nothing is consumed.

        task: Only this task, by name or id.
        all: Also tasks that are over.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "all": all,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: Overview = self._transport.call("overview.show", params, _wire.Rule("always"))
        return result


class BindingMethods:
    """`binding.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def create(
        self,
        *,
        task: str,
        worker: str,
        manager: str,
        force: Optional[bool] = None,
        route_stored: Optional[bool] = None,
        caller: Optional[Caller] = None,
    ) -> BindResult:
        """Tie a worker and a manager to a task.

        task: Task, by id or name.
        worker: Name of the worker session.
        manager: Name of the manager session.
        force: Bind even though the task is over.
        route_stored: Also route completions that were stored before the binding.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection `task.audit` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "task": task,
            "worker": worker,
            "manager": manager,
            "force": force,
            "route_stored": route_stored,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: BindResult = self._transport.call("binding.create", params, _wire.Rule("never", look_at="task.audit"))
        return result

    def end(
        self,
        *,
        task: str,
    ) -> UnbindResult:
        """End a task's binding.

        task: Task, by id or name.

        After a lost connection `task.audit` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "task": task,
        }
        result: UnbindResult = self._transport.call("binding.end", params, _wire.Rule("never", look_at="task.audit"))
        return result


class PairMethods:
    """`pair.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def create(
        self,
        *,
        task: str,
        worker_name: str,
        manager_name: str,
        cwd: Optional[str] = None,
        task_prompt: Optional[str] = None,
        task_goal: Optional[str] = None,
        task_summary: Optional[str] = None,
        config: Optional[ConfigChange] = None,
        codex: Optional[CodexOptions] = None,
        no_dispatch: Optional[bool] = None,
        dispatcher_id: Optional[str] = None,
        caller: Optional[Caller] = None,
    ) -> PairResult:
        """Start a worker and a manager for a task, bind them and see that messages are delivered
        between them.

        task: Task, by name or id; made when there is none and a goal is given.
        worker_name: Name of the worker's session.
        manager_name: Name of the manager's session.
        cwd: Working directory of both, absolute. Default: the caller's.
        task_prompt: First prompt of the worker.
        task_goal: Goal of a task that is made.
        task_summary: Summary of a task that is made.
        config: What changes of the manager's configuration; without any a task that has none
        gets the default.
        codex: How both Codex sessions are to run.
        no_dispatch: Leave Dispatch as it is, and do not see to it that it runs.
        dispatcher_id: Id of the dispatcher that is asked for; empty for none. Default:
        `dispatch-pair`.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "worker_name": worker_name,
            "manager_name": manager_name,
            "cwd": cwd,
            "task_prompt": task_prompt,
            "task_goal": task_goal,
            "task_summary": task_summary,
            "config": config,
            "codex": codex,
            "no_dispatch": no_dispatch,
            "dispatcher_id": dispatcher_id,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: PairResult = self._transport.call("pair.create", params, _wire.Rule("always"))
        return result

    def plan(
        self,
        *,
        task: str,
        worker_name: str,
        manager_name: str,
        cwd: Optional[str] = None,
        task_prompt: Optional[str] = None,
        task_goal: Optional[str] = None,
        task_summary: Optional[str] = None,
        config: Optional[ConfigChange] = None,
        codex: Optional[CodexOptions] = None,
        no_dispatch: Optional[bool] = None,
        dispatcher_id: Optional[str] = None,
        caller: Optional[Caller] = None,
    ) -> PairPlanResult:
        """Tell what a pair would be, checking nothing.

        task: Task, by name or id; made when there is none and a goal is given.
        worker_name: Name of the worker's session.
        manager_name: Name of the manager's session.
        cwd: Working directory of both, absolute. Default: the caller's.
        task_prompt: First prompt of the worker.
        task_goal: Goal of a task that is made.
        task_summary: Summary of a task that is made.
        config: What changes of the manager's configuration; without any a task that has none
        gets the default.
        codex: How both Codex sessions are to run.
        no_dispatch: Leave Dispatch as it is, and do not see to it that it runs.
        dispatcher_id: Id of the dispatcher that is asked for; empty for none. Default:
        `dispatch-pair`.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "worker_name": worker_name,
            "manager_name": manager_name,
            "cwd": cwd,
            "task_prompt": task_prompt,
            "task_goal": task_goal,
            "task_summary": task_summary,
            "config": config,
            "codex": codex,
            "no_dispatch": no_dispatch,
            "dispatcher_id": dispatcher_id,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: PairPlanResult = self._transport.call("pair.plan", params, _wire.Rule("always"))
        return result


class ManagerConfigMethods:
    """`manager_config.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def set(
        self,
        *,
        task: str,
        change: Optional[ConfigChange] = None,
        if_revision: Optional[int] = None,
    ) -> SetManagerConfigResult:
        """Create or change the manager's configuration of a task.

        task: Task, by name or id.
        change: What changes. Nothing at all creates the default configuration where there is
        none, else it writes nothing.
        if_revision: Refuse when the configuration has another revision; 0 stands for none
        yet.

        After a lost connection it is sent again when `if_revision` is not set; else
        `manager_config.questions` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "task": task,
            "change": change,
            "if_revision": if_revision,
        }
        result: SetManagerConfigResult = self._transport.call("manager_config.set", params, _wire.Rule("if", (("unset", "if_revision"),), look_at="manager_config.questions"))
        return result

    def questions(
        self,
        *,
        task: str,
        caller: Optional[Caller] = None,
    ) -> QuestionsResult:
        """Show the questions that lead to a configuration, with the present answers.

        task: Task, by name or id.
        caller: The caller, for the command line in the answer.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: QuestionsResult = self._transport.call("manager_config.questions", params, _wire.Rule("always"))
        return result

    def check_permission(
        self,
        *,
        task: str,
        action: str,
        require_handoff: Optional[bool] = None,
    ) -> PermissionResult:
        """Tell whether the configuration of a task grants a permission, and record that it was
        asked.

        task: Task, by name or id.
        action: The permission, as `category.action` or by an alias.
        require_handoff: Ask for a recorded handoff too.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "action": action,
            "require_handoff": require_handoff,
        }
        result: PermissionResult = self._transport.call("manager_config.check_permission", params, _wire.Rule("always"))
        return result

    def list_permissions(
        self,
        *,
        task: str,
        category: str,
        require_handoff: Optional[bool] = None,
    ) -> PermissionResult:
        """List what the configuration of a task grants in a category, and record that it was
        asked.

        task: Task, by name or id.
        category: Name of the category.
        require_handoff: Recorded with the question; a list needs no handoff.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "category": category,
            "require_handoff": require_handoff,
        }
        result: PermissionResult = self._transport.call("manager_config.list_permissions", params, _wire.Rule("always"))
        return result


class CriteriaMethods:
    """`criteria.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        task: str,
        statuses: Optional[List[CriterionStatus]] = None,
        page: Optional[Page] = None,
    ) -> ListCriteriaResult:
        """List the criteria of a task.

        task: Task, by name or id.
        statuses: Only criteria of these statuses; empty for all.
        page: Which part of the listing.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "statuses": statuses,
            "page": page,
        }
        result: ListCriteriaResult = self._transport.call("criteria.list", params, _wire.Rule("always"))
        return result

    def add(
        self,
        *,
        task: str,
        criterion: str,
        source: CriterionSource,
        status: Optional[CriterionStatus] = None,
        proof: Optional[str] = None,
        rationale: Optional[str] = None,
        evidence: Optional[Dict[str, Any]] = None,
        brief: Optional[bool] = None,
    ) -> CriterionResult:
        """Add a criterion.

        task: Task, by name or id.
        criterion: Text of the criterion. A text that the task has from the same source
        already is not added again.
        source: Who came up with the criterion.
        status: Where the criterion stands at first.
        proof: What proves that the criterion is satisfied.
        rationale: Why it stands where it stands.
        evidence: What proves that the criterion is satisfied, for programs.
        brief: Leave the list of all criteria out of the answer.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "criterion": criterion,
            "source": source,
            "status": status,
            "proof": proof,
            "rationale": rationale,
            "evidence": evidence,
            "brief": brief,
        }
        result: CriterionResult = self._transport.call("criteria.add", params, _wire.Rule("always"))
        return result

    def accept(
        self,
        *,
        task: str,
        id: int,
        proof: Optional[str] = None,
        rationale: Optional[str] = None,
        evidence: Optional[Dict[str, Any]] = None,
        brief: Optional[bool] = None,
    ) -> CriterionResult:
        """Accept a criterion: the task must satisfy it.

        task: Task, by name or id.
        id: Id of the criterion.
        proof: What proves it; this, rationale and evidence stay as they are where they are
        not given.
        rationale: Why it stands where it stands.
        evidence: What proves it, for programs; replaced as a whole.
        brief: Leave the list of all criteria out of the answer.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "id": id,
            "proof": proof,
            "rationale": rationale,
            "evidence": evidence,
            "brief": brief,
        }
        result: CriterionResult = self._transport.call("criteria.accept", params, _wire.Rule("always"))
        return result

    def satisfy(
        self,
        *,
        task: str,
        id: int,
        proof: Optional[str] = None,
        rationale: Optional[str] = None,
        evidence: Optional[Dict[str, Any]] = None,
        brief: Optional[bool] = None,
    ) -> CriterionResult:
        """Mark a criterion as satisfied.

        task: Task, by name or id.
        id: Id of the criterion.
        proof: What proves it; this, rationale and evidence stay as they are where they are
        not given.
        rationale: Why it stands where it stands.
        evidence: What proves it, for programs; replaced as a whole.
        brief: Leave the list of all criteria out of the answer.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "id": id,
            "proof": proof,
            "rationale": rationale,
            "evidence": evidence,
            "brief": brief,
        }
        result: CriterionResult = self._transport.call("criteria.satisfy", params, _wire.Rule("always"))
        return result

    def defer(
        self,
        *,
        task: str,
        id: int,
        proof: Optional[str] = None,
        rationale: Optional[str] = None,
        evidence: Optional[Dict[str, Any]] = None,
        brief: Optional[bool] = None,
    ) -> CriterionResult:
        """Put a criterion off to later work.

        task: Task, by name or id.
        id: Id of the criterion.
        proof: What proves it; this, rationale and evidence stay as they are where they are
        not given.
        rationale: Why it stands where it stands.
        evidence: What proves it, for programs; replaced as a whole.
        brief: Leave the list of all criteria out of the answer.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "id": id,
            "proof": proof,
            "rationale": rationale,
            "evidence": evidence,
            "brief": brief,
        }
        result: CriterionResult = self._transport.call("criteria.defer", params, _wire.Rule("always"))
        return result

    def reject(
        self,
        *,
        task: str,
        id: int,
        proof: Optional[str] = None,
        rationale: Optional[str] = None,
        evidence: Optional[Dict[str, Any]] = None,
        brief: Optional[bool] = None,
    ) -> CriterionResult:
        """Reject a criterion.

        task: Task, by name or id.
        id: Id of the criterion.
        proof: What proves it; this, rationale and evidence stay as they are where they are
        not given.
        rationale: Why it stands where it stands.
        evidence: What proves it, for programs; replaced as a whole.
        brief: Leave the list of all criteria out of the answer.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "id": id,
            "proof": proof,
            "rationale": rationale,
            "evidence": evidence,
            "brief": brief,
        }
        result: CriterionResult = self._transport.call("criteria.reject", params, _wire.Rule("always"))
        return result

    def plan(
        self,
        *,
        task: str,
        text: str,
        caller: Optional[Caller] = None,
        options: Optional[List[str]] = None,
    ) -> PlanCriteriaResult:
        """Read proposals for criteria out of a worker's text; nothing is written.

        task: Task, by name or id.
        text: Text that the worker wrote.
        caller: The caller, for the command lines in the answer.
        options: What each of the command lines ends in: the options that name the daemon.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "text": text,
            "caller": _wire.caller() if caller is None else caller,
            "options": options,
        }
        result: PlanCriteriaResult = self._transport.call("criteria.plan", params, _wire.Rule("always"))
        return result


class HandoffMethods:
    """`handoff.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def record(
        self,
        *,
        task: str,
        summary: str,
        next_steps: Optional[List[str]] = None,
        payload: Optional[Dict[str, Any]] = None,
    ) -> Handoff:
        """Record how far a worker has come.

        task: Task, by name or id.
        summary: What the worker has done.
        next_steps: What comes next, step by step.
        payload: More, for programs.

        After a lost connection `task.audit` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "task": task,
            "summary": summary,
            "next_steps": next_steps,
            "payload": payload,
        }
        result: Handoff = self._transport.call("handoff.record", params, _wire.Rule("never", look_at="task.audit"))
        return result


class AckMethods:
    """`ack.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def record(
        self,
        *,
        task: str,
        role: Role,
        payload: Dict[str, Any],
        correlation_id: Optional[str] = None,
    ) -> Acknowledgement:
        """Record that a worker or manager acknowledges the contract of its task.

        task: Task, by name or id.
        role: Which side acknowledges.
        payload: What is acknowledged; nothing inside is looked at.
        correlation_id: Id under which what belongs together is found again.

        After a lost connection `ack.show` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "task": task,
            "role": role,
            "payload": payload,
            "correlation_id": correlation_id,
        }
        result: Acknowledgement = self._transport.call("ack.record", params, _wire.Rule("never", look_at="ack.show"))
        return result

    def show(
        self,
        *,
        task: str,
        role: Role,
    ) -> Optional[Acknowledgement]:
        """Show the newest acknowledgement of a worker or manager.

        task: Task, by name or id.
        role: Which side's acknowledgement is shown.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "role": role,
        }
        result: Optional[Acknowledgement] = self._transport.call("ack.show", params, _wire.Rule("always"))
        return result


class RolloutMethods:
    """`rollout.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def ingest(
        self,
        *,
        name: str,
    ) -> IngestResult:
        """Read new records of a session's rollout.

        name: Name of the session.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "name": name,
        }
        result: IngestResult = self._transport.call("rollout.ingest", params, _wire.Rule("always"))
        return result

    def tail(
        self,
        *,
        name: str,
        limit: Optional[int] = None,
        subtype: Optional[str] = None,
        include_content: Optional[bool] = None,
    ) -> List[TailEvent]:
        """Show the newest stored records of a session.

        name: Name of the session.
        limit: At most this many; 0 gives none, a negative number all.
        subtype: Only records of this subtype.
        include_content: Show payloads with their texts.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "name": name,
            "limit": limit,
            "subtype": subtype,
            "include_content": include_content,
        }
        result: List[TailEvent] = self._transport.call("rollout.tail", params, _wire.Rule("always"))
        return result


class PaneMethods:
    """`pane.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def classify(
        self,
        *,
        text: str,
        title: Optional[str] = None,
        status_age_seconds: Optional[int] = None,
        busy_wait_seconds: Optional[int] = None,
    ) -> ClassifyResult:
        """Run the classifiers on a text.

        text: What the pane shows.
        title: Title of the pane, when it is known.
        status_age_seconds: Age of the worker's last sign of life, in seconds.
        busy_wait_seconds: Age from which waiting is notable, in seconds.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "text": text,
            "title": title,
            "status_age_seconds": status_age_seconds,
            "busy_wait_seconds": busy_wait_seconds,
        }
        result: ClassifyResult = self._transport.call("pane.classify", params, _wire.Rule("always"))
        return result


class CycleMethods:
    """`cycle.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def run(
        self,
        *,
        task: str,
        busy_wait_seconds: Optional[int] = None,
        look: Optional[bool] = None,
        caller: Optional[Caller] = None,
    ) -> CycleResult:
        """Observe the worker of a bound task once.

        task: Task, by id or name.
        busy_wait_seconds: Age from which a busy pane is notable, in seconds.
        look: Only look, as a person does: nothing is consumed, counted as reported or
        recorded as a cycle, and no acknowledgement is asked for.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection it is sent again when `look` is set; else `task.audit` shows
        whether it was carried out.
        """
        params: Dict[str, Any] = {
            "task": task,
            "busy_wait_seconds": busy_wait_seconds,
            "look": look,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: CycleResult = self._transport.call("cycle.run", params, _wire.Rule("if", (("set", "look"),), look_at="task.audit"))
        return result

    def divergences(
        self,
        *,
        task: str,
        limit: Optional[int] = None,
    ) -> List[Divergence]:
        """List the cycles of a task whose pane showed something notable.

        task: Task, by id or name. It need not be bound.
        limit: At most this many, the newest; 0 means none.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "limit": limit,
        }
        result: List[Divergence] = self._transport.call("cycle.divergences", params, _wire.Rule("always"))
        return result


class RunMethods:
    """`run.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def create(
        self,
        *,
        task: str,
        name: Optional[str] = None,
        purpose: Optional[str] = None,
        metadata: Optional[Dict[str, Any]] = None,
    ) -> RunRow:
        """Create a telemetry run or a loop run.

        task: Task, by id or name.
        name: Name; default: the task's name and the time.
        purpose: Purpose; `ralph_loop` makes a loop run.
        metadata: Facts of the caller; the policy of a loop run. `kind` `ralph_loop` makes a
        loop run too.

        After a lost connection `run.list` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "task": task,
            "name": name,
            "purpose": purpose,
            "metadata": metadata,
        }
        result: RunRow = self._transport.call("run.create", params, _wire.Rule("never", look_at="run.list"))
        return result

    def list(
        self,
        *,
        task: Optional[str] = None,
        status: Optional[RunStatus] = None,
        page: Optional[Page] = None,
    ) -> List[RunRow]:
        """List runs, newest first.

        task: Only this task, by id or name.
        status: Only runs of this status.
        page: Which part of the listing.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "status": status,
            "page": page,
        }
        result: List[RunRow] = self._transport.call("run.list", params, _wire.Rule("always"))
        return result

    def show(
        self,
        *,
        run: str,
        task: Optional[str] = None,
    ) -> RunRow:
        """Show a run.

        run: Run, by id or name. Of several runs of one task with this name the newest is
        meant.
        task: The task whose run is meant, by id or name.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "run": run,
            "task": task,
        }
        result: RunRow = self._transport.call("run.show", params, _wire.Rule("always"))
        return result

    def finish(
        self,
        *,
        run: str,
        task: Optional[str] = None,
        status: Optional[RunStatus] = None,
    ) -> RunRow:
        """End an active run.

        run: Run, by id or name. Of several runs of one task with this name the newest is
        meant.
        task: The task whose run is meant, by id or name.
        status: How the run ended.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "run": run,
            "task": task,
            "status": status,
        }
        result: RunRow = self._transport.call("run.finish", params, _wire.Rule("always"))
        return result


class DispatchMethods:
    """`dispatch.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def run(
        self,
        *,
        limit: Optional[int] = None,
        lease_seconds: Optional[int] = None,
        dispatcher_id: Optional[str] = None,
        type: Optional[SignalType] = None,
        dry_run: Optional[bool] = None,
        watch_iteration: Optional[int] = None,
        caller: Optional[Caller] = None,
    ) -> DispatchResult:
        """Run one Dispatch pass.

        limit: Budget of the pass; 0 means 10, a negative number 1.
        lease_seconds: Lease of a claim, in seconds; 0 means 60, a negative number 1.
        dispatcher_id: Id of the dispatcher; empty means `dispatch-local`.
        type: Only items of this type.
        dry_run: Tell what would be done, and do nothing.
        watch_iteration: Number of this pass in a watch; writes a heartbeat.
        caller: The circumstances of the caller, which the daemon does not share.

        After a lost connection it is sent again when `dry_run` is set; else `command.list`
        shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "limit": limit,
            "lease_seconds": lease_seconds,
            "dispatcher_id": dispatcher_id,
            "type": type,
            "dry_run": dry_run,
            "watch_iteration": watch_iteration,
            "caller": _wire.caller() if caller is None else caller,
        }
        result: DispatchResult = self._transport.call("dispatch.run", params, _wire.Rule("if", (("set", "dry_run"),), look_at="command.list"))
        return result


class CommandMethods:
    """`command.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def enqueue_notify_manager(
        self,
        *,
        task: str,
        message: str,
        correlation_id: Optional[str] = None,
        required_permission: Optional[str] = None,
        idempotency_key: Optional[str] = None,
        inbox_fallback: Optional[bool] = None,
        force: Optional[bool] = None,
        transport: Optional[Transport] = None,
    ) -> EnqueueResult:
        """Queue a message to the manager of a task's pair.

        task: Task, by id or name.
        message: Text of the message.
        correlation_id: Id under which what belongs together is found again; generated when
        left out.
        required_permission: Permission that the task's configuration must grant when the
        command is executed.
        idempotency_key: The same key, task, type and payload give the command that exists.
        inbox_fallback: When the target's pane cannot be reached, put the message into its
        inbox instead.
        force: Queue although the task is over or the target session is gone.
        transport: By which way the message goes.

        After a lost connection it is sent again when `idempotency_key` is set; else
        `command.list` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "task": task,
            "message": message,
            "correlation_id": correlation_id,
            "required_permission": required_permission,
            "idempotency_key": idempotency_key,
            "inbox_fallback": inbox_fallback,
            "force": force,
            "transport": transport,
        }
        result: EnqueueResult = self._transport.call("command.enqueue_notify_manager", params, _wire.Rule("if", (("set", "idempotency_key"),), look_at="command.list"))
        return result

    def enqueue_nudge_worker(
        self,
        *,
        task: str,
        message: str,
        correlation_id: Optional[str] = None,
        required_permission: Optional[str] = None,
        idempotency_key: Optional[str] = None,
        inbox_fallback: Optional[bool] = None,
        force: Optional[bool] = None,
        transport: Optional[Transport] = None,
    ) -> EnqueueResult:
        """Queue a message to the worker of a task's pair.

        task: Task, by id or name.
        message: Text of the message.
        correlation_id: Id under which what belongs together is found again; generated when
        left out.
        required_permission: Permission that the task's configuration must grant when the
        command is executed.
        idempotency_key: The same key, task, type and payload give the command that exists.
        inbox_fallback: When the target's pane cannot be reached, put the message into its
        inbox instead.
        force: Queue although the task is over or the target session is gone.
        transport: By which way the message goes.

        After a lost connection it is sent again when `idempotency_key` is set; else
        `command.list` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "task": task,
            "message": message,
            "correlation_id": correlation_id,
            "required_permission": required_permission,
            "idempotency_key": idempotency_key,
            "inbox_fallback": inbox_fallback,
            "force": force,
            "transport": transport,
        }
        result: EnqueueResult = self._transport.call("command.enqueue_nudge_worker", params, _wire.Rule("if", (("set", "idempotency_key"),), look_at="command.list"))
        return result

    def list(
        self,
        *,
        task: Optional[str] = None,
        state: Optional[ListState] = None,
        type: Optional[str] = None,
        worker: Optional[str] = None,
        manager: Optional[str] = None,
        attempts: Optional[bool] = None,
        since: Optional[str] = None,
        before: Optional[str] = None,
        limit: Optional[int] = None,
    ) -> List[CommandRow]:
        """List durable commands.

        task: Only this task, by id or name.
        state: Only commands that stand so.
        type: Only commands of this type.
        worker: Only commands of this legacy worker id.
        manager: Only commands of this legacy manager id.
        attempts: Add the history of executions.
        since: Only those that were made at this time or later, RFC 3339.
        before: Only those before this one, by its id: the next page of a listing with
        `limit`.
        limit: At most this many, the newest.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "state": state,
            "type": type,
            "worker": worker,
            "manager": manager,
            "attempts": attempts,
            "since": since,
            "before": before,
            "limit": limit,
        }
        result: List[CommandRow] = self._transport.call("command.list", params, _wire.Rule("always"))
        return result

    def retry(
        self,
        *,
        id: str,
        reason: str,
    ) -> RetryResult:
        """Queue again what failed, or what may not have arrived.

        id: What it is about: `command-...`; `notification-N`, or `N` as an inbox shows it;
        `delivery-N`.
        reason: Why; kept in the audit trail.

        After a lost connection `command.list` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "id": id,
            "reason": reason,
        }
        result: RetryResult = self._transport.call("command.retry", params, _wire.Rule("never", look_at="command.list"))
        return result

    def discard(
        self,
        *,
        id: str,
        reason: str,
    ) -> DiscardResult:
        """Close what failed, or what may not have arrived, without sending it again.

        id: What it is about: `command-...`; `notification-N`, or `N` as an inbox shows it;
        `delivery-N`.
        reason: Why; kept in the audit trail.

        After a lost connection `command.list` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "id": id,
            "reason": reason,
        }
        result: DiscardResult = self._transport.call("command.discard", params, _wire.Rule("never", look_at="command.list"))
        return result


class ApprovalMethods:
    """`approval.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        task: Optional[str] = None,
        session: Optional[str] = None,
        all: Optional[bool] = None,
        page: Optional[Page] = None,
    ) -> List[ApprovalRow]:
        """List approvals that sessions wait for.

        task: Only of the worker of this task's pair, by id or name of the task.
        session: Only of this session, by name.
        all: Also those that are answered or resolved: the newest 100.
        page: Which part of the listing.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "task": task,
            "session": session,
            "all": all,
            "page": page,
        }
        result: List[ApprovalRow] = self._transport.call("approval.list", params, _wire.Rule("always"))
        return result

    def accept(
        self,
        *,
        id: str,
        task: str,
        reason: str,
    ) -> DecideResult:
        """Accept an approval, as the manager of its worker's task.

        id: Id of the approval.
        task: Task for whose manager it is decided, by id or name.
        reason: Why; kept in the audit trail.

        After a lost connection `approval.list` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "id": id,
            "task": task,
            "reason": reason,
        }
        result: DecideResult = self._transport.call("approval.accept", params, _wire.Rule("never", look_at="approval.list"))
        return result

    def decline(
        self,
        *,
        id: str,
        task: str,
        reason: str,
    ) -> DecideResult:
        """Decline an approval, as the manager of its worker's task.

        id: Id of the approval.
        task: Task for whose manager it is decided, by id or name.
        reason: Why; kept in the audit trail.

        After a lost connection `approval.list` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "id": id,
            "task": task,
            "reason": reason,
        }
        result: DecideResult = self._transport.call("approval.decline", params, _wire.Rule("never", look_at="approval.list"))
        return result


class StateMethods:
    """`state.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def wait(
        self,
        *,
        until: Until,
        name: Optional[str] = None,
        task: Optional[str] = None,
        session: Optional[str] = None,
        timeout: Optional[float] = None,
        turn: Optional[str] = None,
        after: Optional[str] = None,
        pin: Optional[TurnPin] = None,
    ) -> WaitResult:
        """Wait until a session is idle, busy, done, blocked or gone, or has a message.

        until: What is waited for.
        name: A task, by id or name; a session, by name, when no task is called so.
        task: Task, by id or name: its worker is watched; for `message` its manager's inbox.
        session: Name of the session.
        timeout: Longest wait, in seconds; at least 0.
        turn: For this turn, whatever it is: Codex's id, or `last` for the newest there is,
        ended or not. Without it, for the turn that runs when the call begins, else for the
        next one; for `done` one that does work.
        after: For the first turn after this one.
        pin: For the turn that an earlier answer named.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "until": until,
            "name": name,
            "task": task,
            "session": session,
            "timeout": timeout,
            "turn": turn,
            "after": after,
            "pin": pin,
        }
        result: WaitResult = self._transport.call("state.wait", params, _wire.Rule("always", timeout=86400.0))
        return result


class InboxMethods:
    """`inbox.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def take(
        self,
        *,
        session: Optional[str] = None,
        task: Optional[str] = None,
        role: Optional[Role] = None,
        consume_next: Optional[bool] = None,
        lease: Optional[bool] = None,
        wait: Optional[bool] = None,
        timeout: Optional[float] = None,
        interval: Optional[float] = None,
        limit: Optional[int] = None,
    ) -> TakeResult:
        """List, take or wait for what is in an inbox.

        session: Name of the session.
        task: Task, by id or name: the inbox of its pair's worker or manager.
        role: Which side of the task's pair.
        consume_next: Consume the oldest item, then list the rest.
        lease: Lease the item instead: it is consumed by `inbox.acknowledge`, and returns to
        the inbox when that does not come in time. For clients that must print before they may
        lose.
        wait: Wait until there is an item.
        timeout: Longest wait, in seconds; at least 0.
        interval: Kept for compatibility, above 0; the daemon is woken and does not poll.
        limit: Length of `items`; 0 means 10, a negative number 1.

        After a lost connection it is sent again when `lease` is set or `consume_next` is not
        set; else `task.audit` shows whether it was carried out.
        """
        params: Dict[str, Any] = {
            "session": session,
            "task": task,
            "role": role,
            "consume_next": consume_next,
            "lease": lease,
            "wait": wait,
            "timeout": timeout,
            "interval": interval,
            "limit": limit,
        }
        result: TakeResult = self._transport.call("inbox.take", params, _wire.Rule("if", (("set", "lease"), ("unset", "consume_next"),), look_at="task.audit", timeout=30.0))
        return result

    def acknowledge(
        self,
        *,
        lease: str,
        poll_count: Optional[int] = None,
        waited: Optional[bool] = None,
    ) -> AcknowledgeResult:
        """Consume a leased item after it was shown.

        lease: Token of the lease.
        poll_count: Looks that the taking call needed, for the audit trail: `wait.poll_count`
        of its answer.
        waited: Whether the taking call waited, for the audit trail: `wait.enabled` of its
        answer.

        After a lost connection it is sent again.
        """
        params: Dict[str, Any] = {
            "lease": lease,
            "poll_count": poll_count,
            "waited": waited,
        }
        result: AcknowledgeResult = self._transport.call("inbox.acknowledge", params, _wire.Rule("always"))
        return result


class EventsMethods:
    """`events.*`"""

    def __init__(self, transport: _wire.Transport) -> None:
        self._transport = transport

    def subscribe(
        self,
        *,
        task: Optional[str] = None,
        session: Optional[str] = None,
        kinds: Optional[List[ChangeKind]] = None,
    ) -> Subscription[Change]:
        """Follow committed changes; ended by `events.unsubscribe` with the subscription's id.

        task: Only this task, by id or name: its own changes, and those of the sessions that
        are bound to it.
        session: Only changes of this session, by name.
        kinds: Only these kinds; `lagged` always comes.
        """
        params: Dict[str, Any] = {
            "task": task,
            "session": session,
            "kinds": kinds,
        }
        return self._transport.subscribe("events.subscribe", params)


class Conveyor:
    """The daemon's methods, by namespace. It connects with the first call, and starts the daemon when none runs.

    Calls may come from several threads, and overlap. When the daemon is lost, a call is sent to the next one where that
    does nothing twice; else `ConnectionLost` names the method that shows whether it was carried out. A long wait goes on
    for the time that is left of it. `close` ends everything that is under way.

    state_root: Where the daemon's files are; by default as for `conveyorctl`.
    start: What starts a daemon that does not run; None where that is not this client's business.
    """

    def __init__(
        self,
        *,
        state_root: Optional[str] = None,
        start: Optional[Sequence[str]] = ("conveyorctl", "daemon", "start"),
    ) -> None:
        transport = _wire.Transport(_ERRORS, {"client_version": "python 1.2.0", "protocol": 1}, state_root, start)
        self._transport = transport
        self.rpc = RpcMethods(transport)
        self.daemon = DaemonMethods(transport)
        self.config = ConfigMethods(transport)
        self.doctor = DoctorMethods(transport)
        self.discover = DiscoverMethods(transport)
        self.db = DbMethods(transport)
        self.reconcile = ReconcileMethods(transport)
        self.compat = CompatMethods(transport)
        self.session = SessionMethods(transport)
        self.worker = WorkerMethods(transport)
        self.task = TaskMethods(transport)
        self.overview = OverviewMethods(transport)
        self.binding = BindingMethods(transport)
        self.pair = PairMethods(transport)
        self.manager_config = ManagerConfigMethods(transport)
        self.criteria = CriteriaMethods(transport)
        self.handoff = HandoffMethods(transport)
        self.ack = AckMethods(transport)
        self.rollout = RolloutMethods(transport)
        self.pane = PaneMethods(transport)
        self.cycle = CycleMethods(transport)
        self.run = RunMethods(transport)
        self.dispatch = DispatchMethods(transport)
        self.command = CommandMethods(transport)
        self.approval = ApprovalMethods(transport)
        self.state = StateMethods(transport)
        self.inbox = InboxMethods(transport)
        self.events = EventsMethods(transport)

    def close(self) -> None:
        """Ends everything that is under way, in whatever thread."""
        self._transport.close()

    def __enter__(self) -> Conveyor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
