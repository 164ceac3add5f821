// conveyord's methods with their types, for Node. Made of the registry by `make clients`.
//
//     import { Conveyor } from "./conveyor.mts";
//
//     const client = new Conveyor();
//     await client.task.create({ name: "greeting", goal: "A greeting is written" });
//     client.close();
//
// It needs `conveyor-transport.mts` beside it, and nothing else. Words, keys and kinds may come that are not here yet: a
// newer daemon may know more of them.

import * as wire from "./conveyor-transport.mts";
import type { CallOptions, ClientOptions, Subscription } from "./conveyor-transport.mts";

export { Closed, ConnectionLost, NoDaemon } from "./conveyor-transport.mts";
export type { CallOptions, ClientOptions, Subscription } from "./conveyor-transport.mts";

/** Result of `inbox.acknowledge`. */
export interface AcknowledgeResult {
  /** Id of the consumed item. */
  notification_id: number;
  /** False when it had been acknowledged before. */
  consumed_now: boolean;
}

/** The acknowledgement of a task's contract by one side. */
export interface Acknowledgement {
  /** Id of the binding for which it was given. */
  binding_id: string | null;
  /** Id under which what belongs together is found again. */
  correlation_id: string | null;
  /** Time of the acknowledgement. */
  created_at: string;
  /** Id of the acknowledgement. */
  id: number;
  /** Revision of the configuration it answers. */
  manager_config_revision: number | null;
  /** What was acknowledged. */
  payload: unknown;
  /** Number of the acknowledgement among those of the task and role. */
  revision: number;
  /** Which side acknowledged. */
  role: string;
  /** Id of the task. */
  task_id: string;
}

/**
 * The app-server of a Codex home: since 0.169 the shared daemon that runs the threads of all
 * terminals.
 */
export interface AppServerStatus {
  /** The Codex home. */
  codex_home: string;
  /** Whether the daemon is connected to it now. */
  connected: boolean;
  /**
   * Counts the app-servers that the daemon has seen there, from 1 on: it grows when Codex
   * restarts or updates its own.
   */
  generation: number;
  /** Its process, where the system tells. */
  pid: number | null;
  /** The version of Codex that it says it is. */
  version: string | null;
  /** Since when it listens. */
  since: string;
}

/** What was repaired. */
export interface Applied {
  /** Names of sessions that are gone now. */
  sessions_marked_gone: string[];
  /** Bindings that are invalid now, each once. */
  bindings_marked_invalid: BindingId[];
  /** Bindings that were ending and are active again. */
  bindings_reactivated: BindingId[];
  /** Commands that waited for bindings that have ended. */
  cancelled_commands: string[];
  /** Notifications that those bindings had not delivered. */
  suppressed_notifications: number[];
}

/** How much of what Codex asks an approval holds. */
export type ApprovalExtent =
  /** All of it: what is accepted is what the approval shows. */
  | "whole"
  /** A part: the pane cuts the question, or the patch is not known. It cannot be accepted here. */
  | "cut"
  /**
   * What the screen shows fits no call of the session's thread, or several, such as the call of
   * a sub-agent. It cannot be accepted here.
   */
  | "ambiguous";

/** What is asked for. */
export type ApprovalKind =
  /** Codex asks to run a command. */
  | "command"
  /** Codex asks to change files. */
  | "file_change"
  /** Codex asks for permissions. */
  | "permissions"
  /** Codex asks to call a tool. */
  | "tool"
  /** To answer a question; it cannot be accepted or declined. */
  | "user_input"
  /** Something that we do not know. */
  | "other";

/** Something that Codex asks its user for. */
export interface ApprovalRow {
  /** Id of the approval. */
  id: string;
  /** What Codex asks for. */
  kind: ApprovalKind;
  /** How the approval stands. */
  state: ApprovalState;
  /** How the daemon knows of the approval. */
  source: ApprovalSource;
  /**
   * The whole command, patch or permissions. Where `extent` is not `whole`, what the menu in
   * the pane shows.
   */
  command: string | null;
  /** How much of what Codex asks this approval holds. Only a whole one can be accepted. */
  extent: ApprovalExtent;
  /**
   * SHA-256 of what is shown: kind, command, folder and reason. What Codex asks must still have
   * this hash when the approval is accepted.
   */
  sha256: string;
  /** The folder that the approval concerns. */
  cwd: string | null;
  /** Why, in the model's words; of a question, the question. */
  reason: string | null;
  /** Time at which the daemon learned of the approval. */
  created_at: string;
  /** Seconds since the daemon learned of it. */
  age_seconds: number | null;
  /** Id of the session that asks. */
  session_id: string;
  /** Name of the session that asks. */
  session: string;
  /** Task that the session works on; null when it is not bound. */
  task_id: string | null;
  /** Name of the task that the session is bound to. */
  task: string | null;
  /** Codex's id of the thread. */
  thread_id: string | null;
  /** Codex's id of the turn. */
  turn_id: string | null;
  /** Time at which the approval was answered or over. */
  resolved_at: string | null;
  /** `accept` or `decline`, when it was decided through Conveyor. */
  decision: string | null;
  /** Name of the manager for whom that was done. */
  decided_by: string | null;
  /** Why it was accepted or declined, as the manager said. */
  decided_reason: string | null;
}

/** How we know of an approval, and how it is answered. */
export type ApprovalSource =
  /** Codex's app-server told of it, and takes the answer. */
  | "app_server"
  /** By the menu in the session's pane. */
  | "pane";

/** How an approval stands. */
export type ApprovalState =
  /** The approval waits for an answer. */
  | "pending"
  /** Our answer is on its way. */
  | "answering"
  /** The approval was accepted through Conveyor. */
  | "accepted"
  /** The approval was declined through Conveyor. */
  | "declined"
  /** It was answered through Conveyor, and nothing told that the answer arrived. */
  | "uncertain"
  /** Somebody else answered it, or Codex asks no more. */
  | "resolved";

/** Result of `task.archive`. */
export interface ArchiveResult {
  /** The tasks that are archived now and were not before, in the order of their creation. */
  archived: TaskName[];
}

/** Result of `worker.attach`: how a terminal is attached to a running tmux session. */
export interface AttachResult {
  /** Name of the worker or session. */
  name: string;
  /** Name of the task, when one was asked for. */
  task: string | null;
  /** The tmux session that is attached to. */
  tmux_session: string;
  /** The command for a terminal, as one line for a shell. */
  attach_command: string;
  /** The command that attaches, word by word. */
  attach_words: string[];
  /**
   * Why it may fail, and the way out: the tmux server is of another version than the caller's
   * tmux.
   */
  warning?: string;
}

/** An execution of a command. */
export interface AttemptRow {
  /** Id under which what belongs together is found again. */
  correlation_id: string;
  /** Id of the dispatcher that executed the command. */
  dispatcher_id: string;
  /** What went wrong. */
  error: string | null;
  /** Time at which the execution ended. */
  finished_at: string | null;
  /** Id of the execution. */
  id: number;
  /** What the execution answered. */
  result: unknown;
  /** Whether everything was sent. */
  side_effect_completed: boolean;
  /** Whether something may have been sent. */
  side_effect_started: boolean;
  /** Time at which the execution began. */
  started_at: string;
  /** `running`, `succeeded`, `failed`, `abandoned` or `blocked`. */
  state: string;
}

/** Everything stored about a task. The rows have the keys of their tables, JSON columns decoded. */
export interface AuditResult {
  /** The task that was asked about. */
  task: TaskObject;
  /** The audit trail, in order. */
  events: unknown[];
  /** Commands of the task. */
  commands: unknown[];
  /** Executions of the commands. */
  command_attempts: unknown[];
  /** Notifications of the task. */
  routed_notifications: unknown[];
  /** What belongs together, by correlation id. */
  correlation_chains: unknown[];
  /** Cycles of the manager. */
  manager_cycles: unknown[];
  /** Spans of the cycles. */
  manager_cycle_spans: unknown[];
  /** Decisions of the manager. */
  manager_decisions: unknown[];
  /** What was observed of the sessions. */
  agent_observations: unknown[];
  /** Stored panes. */
  terminal_captures: unknown[];
  /** What was new in the stored panes. */
  transcript_segments: unknown[];
  /** Criteria of the task. */
  acceptance_criteria: unknown[];
  /** Acknowledgements of the contract. */
  task_acknowledgements: unknown[];
  /** Proposals for how to go on. */
  task_continuations: unknown[];
  /** Reviews of those proposals. */
  continuation_reviews: unknown[];
  /** Runs of epilogue steps. */
  epilogue_runs: unknown[];
  /** Nudges of the sessions, from telemetry. */
  session_nudges: unknown[];
  /** Interrupts of the sessions, from telemetry. */
  session_interrupts: unknown[];
}

/** Result of `task.audit_rows`. */
export interface AuditRowsResult {
  /** The task that was asked about. */
  task: TaskObject;
  /** Some rows of the list, in its order: as many as fit into a few MiB. */
  rows: unknown[];
  /** The place of the last row, to ask for the rows after it; null when there are no more. */
  next: unknown[] | null;
}

/** A list of an audit, by its key there. */
export type AuditSection =
  /** Criteria of the task. */
  | "acceptance_criteria"
  /** What was observed of the sessions. */
  | "agent_observations"
  /** Executions of the commands. */
  | "command_attempts"
  /** Commands of the task. */
  | "commands"
  /** Reviews of proposals for how to go on. */
  | "continuation_reviews"
  /** What belongs together, by correlation id. */
  | "correlation_chains"
  /** Runs of epilogue steps. */
  | "epilogue_runs"
  /** The audit trail, in order. */
  | "events"
  /** Spans of the manager's cycles. */
  | "manager_cycle_spans"
  /** Cycles of the manager. */
  | "manager_cycles"
  /** Decisions of the manager. */
  | "manager_decisions"
  /** Notifications of the task. */
  | "routed_notifications"
  /** Interrupts of the sessions, from telemetry. */
  | "session_interrupts"
  /** Nudges of the sessions, from telemetry. */
  | "session_nudges"
  /** Acknowledgements of the contract. */
  | "task_acknowledgements"
  /** Proposals for how to go on. */
  | "task_continuations"
  /** Stored panes. */
  | "terminal_captures"
  /** What was new in the stored panes. */
  | "transcript_segments";

/** Result of `binding.create`. */
export interface BindResult {
  /** Id of the new binding. */
  binding_id: BindingId;
  /** The parameter `task` as given. */
  task: string;
  /** The parameter `worker` as given. */
  worker: string;
  /** The parameter `manager` as given. */
  manager: string;
  /** How to talk to the worker. */
  worker_communication: Communication;
  /** How to talk to the manager. */
  manager_communication: Communication;
}

/** The id of a binding of task, worker and manager. */
export type BindingId = string;

/** An open binding with its names. Those of a session are null for a record of the old kind. */
export interface BindingMatch {
  /** Id of the binding. */
  id: BindingId;
  /** State of the binding. */
  state: string;
  /** Time at which the binding was made. */
  created_at: string;
  /** Name of the task. */
  task_name: string;
  /** Goal of the task. */
  task_goal: string;
  /** Name of the worker. */
  worker_name: string | null;
  /** State of the worker. */
  worker_state: string | null;
  /** The worker's tmux session. */
  worker_tmux_session: string | null;
  /** Name of the manager. */
  manager_name: string | null;
  /** State of the manager. */
  manager_state: string | null;
  /** The manager's tmux session. */
  manager_tmux_session: string | null;
}

/** What holds a text back. `docs/typing.md` names the screens and modes of each. */
export type BlockedBy =
  /** Codex asks for an approval. */
  | "approval"
  /** Codex asks its user something else. */
  | "question"
  /** Codex asks whether it may trust the folder. */
  | "trust"
  /** Codex asks about its hooks. */
  | "hooks"
  /** Codex offers an update. */
  | "update"
  /** Codex asks whether to carry its plan out. */
  | "plan"
  /** Codex offers another model near a limit. */
  | "rate_limit"
  /** A list, a search or a field has the focus. */
  | "menu"
  /** The transcript is shown. */
  | "browse"
  /** A side chat has the focus, or fills the pane. */
  | "side_chat"
  /** The screen of Codex cannot be read. */
  | "unclear"
  /** Somebody's draft is in the composer. */
  | "draft"
  /** Texts wait for the session that were accepted earlier. */
  | "queue"
  /** No Codex is in the foreground of the pane. */
  | "no_codex"
  /** The pane is in a mode of tmux, such as copy mode. */
  | "copy_mode"
  /** The panes of the window are synchronized. */
  | "synchronized_panes"
  /** The input of the pane is off. */
  | "input_off"
  /** The pane changed between the look and the text. */
  | "pane_changed";

/** Nudge budget of a task. */
export interface Budget {
  /** How many nudges the task may have. */
  max_nudges: number;
  /** How many nudges were used. */
  nudges_used: number;
  /** How many nudges are left. */
  nudges_remaining: number;
  /** Time at which the budget expires. */
  expires_at: string;
}

/** A notable pattern in a pane. */
export interface BusyWait {
  /** Name of the pattern. */
  pattern: string;
  /** Why the pattern is notable, in a sentence. */
  reason: string;
  /** What a manager should do about it. */
  recommended_action: string;
}

/**
 * What belongs to the caller and not to the daemon: the daemon's own environment would give
 * wrong answers. Every field may be left out by clients that have no such thing.
 */
export interface Caller {
  /** Current directory of the caller, as an absolute path. */
  cwd?: string | null;
  /**
   * The program's name as it was called, for examples in texts: `conveyorctl`, `conveyor` or
   * `workerctl`.
   */
  program?: string | null;
  /** Process id of the caller. */
  pid?: number | null;
  /** The caller's variable `CODEX_HOME`. */
  codex_home?: string | null;
  /** The caller's variable `HOME`. */
  home?: string | null;
  /** The caller's variable `PATH`. */
  path?: string | null;
  /** The caller's variable `TMUX`. */
  tmux?: string | null;
  /** The caller's variable `TMUX_PANE`. */
  tmux_pane?: string | null;
  /** The caller's variable `TMUX_TMPDIR`. */
  tmux_tmpdir?: string | null;
}

/** The Codex thread that runs the caller. */
export interface CallingThread {
  /** Codex's process, an ancestor of the caller. */
  pid: number;
  /** Codex's id of the thread. */
  codex_session_id: string;
  /** Rollout file of the thread. */
  codex_session_path: string;
}

/** How much of a pane a capture stores. */
export type CaptureMode =
  /** Only the sizes of the text. */
  | "metadata"
  /** The last lines of what is new. */
  | "excerpt"
  /** The whole text. */
  | "snapshot"
  /** What is new in the pane. */
  | "segment"
  /** What is new, as with `segment`. */
  | "full";

/** Result of `worker.capture`. */
export interface CaptureResult {
  /** Name of the worker. */
  name: string;
  /** File into which the text was written. */
  transcript_path: string;
  /** SHA-256 of the text, in hexadecimal digits. */
  sha256: string;
  /** Number of bytes of the text. */
  byte_count: number;
  /** Number of lines of the text. */
  line_count: number;
  /** The parameter `lines` as given. */
  history_lines: number;
  /** Whether the text was left out of this answer. */
  content_redacted: boolean;
  /** The text; absent unless asked for. */
  content?: string;
}

/** One committed change. Keys that do not apply are left out. */
export interface Change {
  /** What the change is about. */
  kind: ChangeKind;
  /** Time at which the change was committed. */
  at?: string;
  /** Id of the task; for the change of a session, of the task that it is bound to. */
  task_id?: string;
  /** Name of the task. */
  task?: string;
  /** Id of the session. */
  session_id?: string;
  /** Name of the session. */
  session?: string;
  /** The row: command, notification, cycle, turn, approval or binding id. */
  id?: string;
  /** Its new state, when it has one. */
  state?: string;
  /** Number of records, for `ingested`; number of missed changes, for `lagged`. */
  count?: number;
}

/** What a change is about. */
export type ChangeKind =
  /** A session was registered, changed or gone. */
  | "session"
  /** A task was created or changed. */
  | "task"
  /** A binding was made or ended. */
  | "binding"
  /** Records of a rollout were stored. */
  | "ingested"
  /** A turn began. */
  | "turn_started"
  /** A turn ended. */
  | "turn_ended"
  /** A command was queued. */
  | "command_queued"
  /** A command changed its state. */
  | "command"
  /** A notification was put into an inbox. */
  | "notification_delivered"
  /** A notification was consumed. */
  | "notification_consumed"
  /** A notification is to be sent again, or was discarded. */
  | "notification"
  /** A cycle ended. */
  | "cycle"
  /** What Codex's app-server tells of a session has changed, or its pane shows something else. */
  | "session_status"
  /** An approval is asked for, or is no longer. */
  | "approval"
  /** The subscriber was too slow and missed `count` items. */
  | "lagged";

/** Result of `pane.classify`. */
export interface ClassifyResult {
  /** The notable pattern, if any. */
  busy_wait: BusyWait | null;
  /** The parameter `busy_wait_seconds` as given. */
  busy_wait_seconds: number;
  /** State of the start-up that the text shows. */
  startup: string;
  /** Why the start-up was judged so, in a sentence. */
  startup_reason: string;
  /** The parameter `status_age_seconds` as given. */
  status_age_seconds: number;
  /** What the pane shows by today's screens: `ready`, `busy`, `approval`, ... */
  shows: string;
}

/** The worker's state in three words. */
export type CoarseState =
  /** A turn of the worker runs. */
  | "busy"
  /** No turn of the worker runs. */
  | "idle"
  /** Nothing is known of the worker yet. */
  | "unknown";

/** How a Codex that is started is to run, and how its start is watched. */
export interface CodexOptions {
  /** Codex's `--sandbox`; empty leaves the option out. Default: the daemon's setting. */
  sandbox?: string | null;
  /** Codex's `--ask-for-approval`; empty leaves the option out. Default: the daemon's setting. */
  ask_for_approval?: string | null;
  /** What holds where the two are not given. */
  codex_profile?: CodexProfile | null;
  /** Codex's `--model`. */
  model?: string | null;
  /** Run in a process of its own, without Codex's shared daemon. */
  no_daemon?: boolean;
  /** Further arguments for Codex, before its prompt. */
  args?: string[];
  /** Answer the question whether the folder is trusted. No other question is ever answered. */
  accept_trust?: boolean;
  /** Leave Codex running when its start fails. */
  keep?: boolean;
  /**
   * How long to wait for the session's rollout: 15 seconds for a worker, 60 for a manager and
   * in a pair.
   */
  timeout_seconds?: number | null;
}

/** Options of Codex under one name. */
export type CodexProfile =
  /** Full access to the machine, and no approvals. */
  | "yolo";

/** The id of a durable command. */
export type CommandId = string;

/** A row of `command.list`. */
export interface CommandRow {
  /** Number of executions so far. */
  attempts: number;
  /** Time before which the command is not executed. */
  available_at: string | null;
  /** Time at which the claim of its dispatcher ends. */
  claim_expires_at: string | null;
  /** Time at which a dispatcher claimed the command. */
  claimed_at: string | null;
  /** Id of the dispatcher that claimed the command. */
  claimed_by: string | null;
  /** Id under which what belongs together is found again. */
  correlation_id: string | null;
  /** Time at which the command was queued. */
  created_at: string;
  /** What went wrong in the last execution. */
  error: string | null;
  /** Id of the command. */
  id: CommandId;
  /** Legacy id of the manager. */
  manager_id: string | null;
  /** How many executions are allowed. */
  max_attempts: number;
  /** What is to be sent, and how. */
  payload: unknown;
  /** Permission that the task's configuration must grant. */
  required_permission: string | null;
  /** What the last execution answered. */
  result: unknown;
  /** Where the command stands. */
  state: CommandState;
  /** Id of the task. */
  task_id: string | null;
  /** Name of the task. */
  task_name: string | null;
  /** Type of the command. */
  type: string;
  /** Time of the last change of the command. */
  updated_at: string;
  /** Legacy id of the worker. */
  worker_id: string | null;
  /**
   * `delivered`, `queued`, `held`, `uncertain`, `failed`, `retried` or `discarded`; null for
   * commands that deliver nothing and for those that were not tried yet.
   */
  delivery: string | null;
  /** What holds it back: what its pane shows, or `unreachable`. */
  held_by: string | null;
  /** The command that this one sends again; absent for others. */
  retry_of?: string;
  /** The command that sends this one again; absent for others. */
  retried_as?: string;
  /** Executions in order; only when they were asked for. */
  attempt_history?: AttemptRow[];
}

/** Where a command stands. */
export type CommandState =
  /** The command waits to be executed. */
  | "pending"
  /** The command is being executed. */
  | "attempted"
  /** The command has ended well. */
  | "succeeded"
  /** The command has ended badly. */
  | "failed"
  /** A rule refused the command. */
  | "blocked";

/** How a session can be talked to. */
export interface Communication {
  /** What kind of session it is: `tmux` or `codex_app`. */
  session_kind: string;
  /** How the session receives messages: `push` or `pull`. */
  receive_style: string;
  /** How a message reaches the session: `push` or `pull_required`. */
  delivery_mode: DeliveryMode;
  /** The polling command of a session without tmux; as a fallback for others. */
  inbox_command: string | null;
}

/**
 * What a call changes of a configuration. What is not given stays, or has its default in a new
 * configuration.
 */
export interface ConfigChange {
  /** How closely the manager supervises; `guided` in a new configuration. */
  supervision_mode?: SupervisionMode | null;
  /** What is to be reached. */
  objective?: string | null;
  /**
   * Rules of conduct. This list and the others are replaced as a whole, trimmed, without blanks
   * and repetitions.
   */
  guidelines?: string[] | null;
  /** Texts of the criteria. */
  acceptance_criteria?: string[] | null;
  /** Files that the manager is to read. */
  reference_paths?: string[] | null;
  /** Tools that are expected to be there. */
  tools?: string[] | null;
  /** Steps that must have run before the end. */
  epilogues?: Epilogue[] | null;
  /** What happens when the worker completes; `ask-operator` in a new configuration. */
  nudge_on_completion?: NudgeOnCompletion | null;
  /** Whether both sides must acknowledge. */
  require_acks?: boolean | null;
  /** Permissions to grant, each as `category.action` or by an alias. */
  permit?: string[];
  /**
   * Further changes of permissions, applied after `permit`, member by member in their order: a
   * category with the list of its actions, which replaces what was granted in it, or a
   * permission with whether it is granted.
   */
  permissions?: { [key: string]: unknown };
}

/** The settings in force and where each came from. */
export interface ConfigResult {
  /** Files of the daemon. */
  files: StateFiles;
  /** State root of the daemon. */
  state_root: SourcedString;
  /** Whether Dispatch runs by itself. */
  dispatch: SourcedBoolean;
  /** Whether rollouts are ingested as they grow. */
  watch: SourcedBoolean;
  /** Id of the daemon's own Dispatch. */
  dispatcher_id: SourcedString;
  /** Filter of the log (`info`, `conveyord=debug`, ...). */
  log: SourcedString;
  /** How long a send waits for its receipt in the rollout, in milliseconds. */
  receipt_timeout_ms: SourcedUint64;
  /** How long a completion of a session with a pane waits for a follow-up turn, in milliseconds. */
  completion_settle_ms: SourcedUint64;
  /** Time limit of each call of tmux and other programs, in milliseconds. */
  command_timeout_ms: SourcedUint64;
  /** `--sandbox` of a Codex that is started without one. */
  codex_sandbox: SourcedString;
  /** `--ask-for-approval` of a Codex that is started without one. */
  codex_approval: SourcedString;
}

/** A notification that this cycle consumed. */
export interface ConsumedNotification {
  /** Id of the notification. */
  id: number;
  /** What the notification is about. */
  signal_type: string;
  /** Text of the notification. */
  message: string | null;
  /** Id under which what belongs together is found again. */
  correlation_id: string;
  /** Time at which the notification was made. */
  created_at: string;
  /** Everything that the notification carries. */
  payload: unknown;
}

/** Rows of a table that were made to fit. */
export interface ConvertedRows {
  /** Name of the table. */
  table: string;
  /** What was done to the rows. */
  what: string;
  /** Number of rows. */
  rows: number;
}

/** Result of `task.create`. */
export interface CreateResult {
  /** Whether the task was created: always true. */
  created: boolean;
  /** Id of the new task. */
  id: TaskId;
  /** Name of the new task. */
  name: string;
}

/** Result of `worker.create`. */
export interface CreateWorkerResult {
  /** Name of the worker. */
  name: string;
  /** Id of the worker. */
  worker_id: string;
  /** tmux session in which Codex runs. */
  tmux_session: string;
  /** The worker's folder. */
  state_dir: string;
  /** File with the worker's contract. */
  contract_path: string;
  /** Whether the contract was given as first prompt. */
  initial_prompt: boolean;
  /** Whether the question of trust was answered. */
  trust_accepted: boolean;
  /** How far Codex had come; null when nobody waited for it. */
  startup: Startup | null;
  /** Whether the worker reported; null when nobody waited for it. */
  verification: Verification | null;
  /** The command that attaches a terminal. */
  attach_command: string;
  /** Whether its tmux session was ended at the end; null when that was not asked for. */
  stopped: boolean | null;
}

/** Advice to settle criteria. */
export interface CriteriaNegotiation {
  /** Whether criteria should be settled now. */
  needed: boolean;
  /** Why: `no_criteria`, `no_current_task_criteria` or `active_criteria_present`. */
  reason: string;
  /** Text that the manager may send to the worker. */
  prompt: string | null;
  /** What the manager should do. */
  suggested_actions: string[];
}

/** Number of criteria per status. */
export interface CriteriaSummary {
  /** Number of proposed criteria. */
  proposed: number;
  /** Number of accepted criteria. */
  accepted: number;
  /** Number of satisfied criteria. */
  satisfied: number;
  /** Number of deferred criteria. */
  deferred: number;
  /** Number of rejected criteria. */
  rejected: number;
}

/** The criteria of a task by status. */
export interface CriteriaView {
  /** Number of criteria per status. */
  summary: CriteriaSummary;
  /** Criteria that are accepted and not yet satisfied. */
  open: Criterion[];
  /** Criteria that are proposed. */
  proposed: Criterion[];
  /** Criteria that are satisfied. */
  satisfied: Criterion[];
  /** Criteria that are deferred. */
  deferred: Criterion[];
  /** Criteria that are rejected. */
  rejected: Criterion[];
}

/** A criterion of a task. */
export interface Criterion {
  /** Time at which the criterion was recorded. */
  created_at: string;
  /** Text of the criterion. */
  criterion: string;
  /** What proves that the criterion is satisfied, for programs. */
  evidence: unknown;
  /** Id of the criterion. */
  id: number;
  /** What proves that the criterion is satisfied. */
  proof: string | null;
  /** Why the criterion stands where it stands. */
  rationale: string | null;
  /** Who came up with the criterion. */
  source: string;
  /** Where the criterion stands. */
  status: string;
  /** Id of the task. */
  task_id: string;
  /** Time of the last change of the criterion. */
  updated_at: string;
}

/** Result of a method that writes a criterion. */
export interface CriterionResult {
  /** The task of the criterion. */
  task: TaskRef;
  /** Number of criteria per status, after the change. */
  summary: CriteriaSummary;
  /** All criteria, in the order of their ids. The key is absent from a brief answer. */
  criteria?: Criterion[];
  /** The criterion that the call was about. */
  affected_criterion: Criterion;
  /** Whether the criterion was added; false when it was there before, and for a change. */
  created: boolean;
  /** What a careful caller looks at. */
  warnings: CriterionWarning[];
}

/** Who came up with a criterion. */
export type CriterionSource =
  /** The user asked for it. */
  | "user_requested"
  /** The manager inferred it. */
  | "manager_inferred"
  /** The worker proposed it. */
  | "worker_proposed"
  /** The audit before the end of the task found it. */
  | "final_audit";

/** Where a criterion stands. */
export type CriterionStatus =
  /** The criterion was named and is not settled yet. */
  | "proposed"
  /** The task must satisfy the criterion. */
  | "accepted"
  /** The task satisfies the criterion. */
  | "satisfied"
  /** The criterion was put off to later work. */
  | "deferred"
  /** The criterion was refused. */
  | "rejected";

/** A criterion that a worker's text proposes. */
export interface CriterionSuggestion {
  /** Text of the criterion. */
  criterion: string;
  /** Who came up with it: always `worker_proposed`. */
  source: CriterionSource;
  /** Where it would stand: `accepted` or `deferred`. */
  status: CriterionStatus;
  /** Why the criterion would be deferred. */
  rationale: string | null;
  /** The command line that adds it, as a list of arguments. */
  command: string[];
  /** The same for a POSIX shell. */
  command_line: string;
  /** The line of the text that it begins on, from 1. */
  line: number;
}

/** What may be wrong with a change that was made all the same. */
export type CriterionWarning =
  /** It is satisfied and has neither evidence nor proof. */
  | "satisfied_without_evidence"
  /** It was satisfied and is so no longer. */
  | "reopened_satisfied"
  /** It stood so before; of an added one: it was there before and is as it was. */
  | "unchanged";

/** Result of `cycle.run`. */
export interface CycleResult {
  /** What this object is: always `session_cycle`. */
  kind: string;
  /** The parameter `task` as given. */
  task: string;
  /** Id of the binding. */
  binding_id: string;
  /** Name of the worker's session. */
  worker_session: string;
  /** Name of the manager's session. */
  manager_session: string;
  /** Id of the cycle; not in the stored status. */
  cycle_id?: number;
  /** Start; not in the stored status. */
  cycle_started_at?: string;
  /** End; not in the stored status. */
  cycle_completed_at?: string;
  /** What was read from the rollout. */
  ingest: IngestCounts;
  /**
   * What of the worker's rollouts was found to be damaged since the last cycle of the task:
   * bytes that could not be read, and records that were read only after a repair.
   */
  rollout_damage: RolloutDamage;
  /** State in three words, by the rollout. */
  state: CoarseState;
  /** State of the worker in detail. */
  worker_state: WorkerState;
  /** Where the state was read from. */
  worker_state_source: StateSource;
  /** Time since which the worker is in this state, when it is known. */
  worker_state_since: string | null;
  /**
   * Time at which the account's limit begins anew that a worker in state `limit_reached` has
   * met, when Codex tells it; null in all other states.
   */
  limit_resets_at: string | null;
  /** The turn that runs, or the last one. */
  turn: Turn | null;
  /** Time of the newest state-bearing record. */
  last_state_event_at: string | null;
  /** Seconds since the newest state-bearing record. */
  staleness_seconds: number | null;
  /** Time of the newest record of any kind. */
  last_activity_at: string | null;
  /** Seconds since the newest record of any kind. */
  activity_age_seconds: number | null;
  /** What the pane shows. */
  pane_signal: PaneSignal;
  /** The same as `pane_signal.notable_pattern`. */
  notable_pane_pattern: string | null;
  /** Whether the worker's process lives. */
  worker_alive: boolean;
  /** Whether the manager's process lives. */
  manager_alive: boolean;
  /** Subtype of the newest stored record. */
  last_event_subtype: string | null;
  /** Whether the worker's last turn under this task is complete. */
  task_completed: boolean;
  /** How many notifications to the manager this cycle consumed. */
  consumed_dispatch_notifications: number;
  /** The notifications that this cycle consumed. */
  consumed_notifications: ConsumedNotification[];
  /** What a manager should know when it decides. */
  manager_context: ManagerContext;
}

/** How the daemon fares. */
export interface DaemonStatusResult {
  /** Always true in an answer of the daemon; the command line prints false when none runs. */
  running: boolean;
  /** Version of the daemon. */
  version: string;
  /** Process id of the daemon. */
  pid: number;
  /** Time at which the daemon started. */
  started_at: string;
  /** Whole seconds since the daemon started. */
  uptime_seconds: number;
  /** Who started the daemon. */
  started_by: StartedBy;
  /**
   * Whether a service manager holds the listening socket: then it outlives the daemon, and the
   * next call starts the daemon again.
   */
  socket_activated: boolean;
  /** The systemd unit or the label of the launchd agent. */
  unit: string | null;
  /** State root of the daemon. */
  state_root: string;
  /** Path of the daemon's socket. */
  socket: string;
  /** Path of the database file. */
  database: string;
  /** Size of the database file in bytes. */
  database_bytes: number;
  /** Path of the log that is written now. */
  log: string;
  /** Version of the database schema. */
  schema_version: number;
  /** Whether Dispatch runs by itself. */
  dispatch: boolean;
  /** Id of the daemon's own Dispatch. */
  dispatcher_id: string;
  /** Whether rollouts are ingested as they grow. */
  watch: boolean;
  /** Number of rollouts that are watched. */
  watched_rollouts: number;
  /** Number of open connections. */
  connections: number;
  /** Calls that wait for something to happen. */
  waiting_calls: number;
  /** Deliveries that need somebody's eye. */
  deliveries: DeliveryCounts;
  /**
   * The last failure of a background loop or of an item of one, or what a loop could not do, if
   * any, with its time.
   */
  last_error: string | null;
  /** The background loops. A daemon of an earlier version does not say. */
  loops: LoopStatus[];
  /**
   * The app-servers of Codex that the daemon has been connected to. A daemon of an earlier
   * version does not say.
   */
  app_servers: AppServerStatus[];
}

/** Result of `daemon.stop`. */
export interface DaemonStopResult {
  /** Always true: the daemon ends after this answer. */
  stopping: boolean;
  /** Its process id, so that the caller can wait for its end. */
  pid: number;
  /** Who started the daemon. */
  started_by: StartedBy;
  /**
   * Whether a service manager holds the listening socket: then it outlives the daemon, and the
   * next call starts the daemon again.
   */
  socket_activated: boolean;
  /** The systemd unit or the label of the launchd agent. */
  unit: string | null;
}

/** A damaged part of a rollout. */
export interface DamagedPart {
  /** The file. */
  path: string;
  /** Where the part begins in the file. */
  byte_offset: number;
  /** Length of the part. */
  byte_count: number;
  /**
   * What is wrong: `not_json`, `not_utf8`, `hole`, `control`, `glued`, `split`, `bad_number`,
   * `too_deep`, `not_object`, `no_type`, `turn_id`, `name` or `oversized`.
   */
  reason: string;
  /** What became of it. */
  remedy: Remedy;
  /** Time at which it was read. */
  found_at: string;
}

/** One gone side of an open binding. */
export interface DanglingBinding {
  /** Id of the binding. */
  binding_id: BindingId;
  /** Id of the task. */
  task_id: TaskId;
  /** Name of the task. */
  task_name: string;
  /** Which side is gone. */
  gone_role: Role;
  /** Name of the session that is gone. */
  gone_session_name: string;
}

/** What becomes of a database. */
export interface DatabaseImport {
  /** Path of the database file. */
  path: string;
  /** Schema version of that database. */
  schema_version: number;
  /**
   * Whether exactly these rows were imported before: then nothing is left to do, whatever
   * became of them since.
   */
  already_imported: boolean;
  /** Every table, in the order of the import. */
  tables: TableImport[];
  /** Rows that are left out, each with the reason. */
  skipped: SkippedRows[];
  /** Rows that stand here with other content; the first hundred. With any, nothing is written. */
  conflicts: ImportConflict[];
  /** Names that somebody else has here. */
  renamed: RenamedRow[];
  /**
   * Tables whose numbers are taken here: what is added to each, also where other rows refer to
   * it.
   */
  renumbered: RenumberedTable[];
  /** What was made to fit the newest schema. */
  converted: ConvertedRows[];
  /** Queued commands that Dispatch goes on with. */
  pending_commands: number;
  /** Notifications that Dispatch goes on with. */
  pending_notifications: number;
  /**
   * Whether what was written was counted and compared afterwards; null where nothing was
   * written.
   */
  verified: boolean | null;
}

/** A check of the database. Beside `name` and `ok`, the key that fits the check. */
export interface DbCheck {
  /** Name of the check. */
  name: string;
  /** Whether all is well. */
  ok: boolean;
  /** What was found. */
  value?: unknown;
  /** What is missing, sorted by name. */
  missing?: string[];
  /** Rows that refer to rows that are not there. */
  violations?: ForeignKeyViolation[];
  /** Number of tasks that do not agree with what runs. */
  drift_count?: number;
  /** Number of managers that were not seen for long. */
  manager_liveness_warning_count?: number;
  /** Number of tasks that were checked. */
  task_count?: number;
  /** Commands that are pending or attempted. */
  unfinished_command_count?: number;
}

/** Result of `db.doctor`. */
export interface DbDoctorResult {
  /** The checks in order. */
  checks: DbCheck[];
  /** Whether all checks are well. */
  ok: boolean;
  /** Path of the database file. */
  path: string;
  /** Number of the newest applied migration. */
  schema_version: number | null;
  /** Version that stands in the header of the file. */
  user_version: number;
  /** Size of the write-ahead log in bytes. */
  wal_bytes: number;
  /** The database held against what runs; only when `live` was asked for. */
  live_reconcile?: LiveReconcile;
}

/** An active session whose process does not run any more. */
export interface DeadSession {
  /** Name of the session. */
  name: string;
  /** Role of the session. */
  role: Role;
  /** Id of the process that the session had. */
  pid: number;
  /** Time of the last ingest or registration. */
  last_heartbeat_at: string | null;
}

/** Result of `approval.accept` and `approval.decline`. */
export interface DecideResult {
  /** The approval as it stands now: accepted, declined or uncertain. */
  approval: ApprovalRow;
  /** What remains open, in a sentence. */
  note: string | null;
}

/** A manager's decision held against what the command allows. */
export interface DecisionCheck {
  /** Decisions that allow the command, sorted. */
  allowed_decisions: string[];
  /** The decision, when it was found. */
  decision: unknown;
  /** The parameter `decision_id` as given. */
  decision_id: number | null;
  /** Whether there are no warnings. */
  ok: boolean;
  /** What is wrong with the decision. */
  warnings: string[];
  /** Its age; absent when it was not found. */
  age_seconds?: number;
  /** Oldest age; absent when it was not found. */
  max_age_seconds?: number;
}

/** Result of `task.delete`. */
export interface DeleteResult {
  /** Whether the task was deleted: always true. */
  deleted: boolean;
  /** Id of the task. */
  id: TaskId;
  /** Name of the task. */
  name: string;
}

/** Deliveries that need somebody's eye. */
export interface DeliveryCounts {
  /** Commands that wait to be claimed. */
  pending_commands: number;
  /** Commands that were not sent because the pane shows a menu or holds a draft. */
  held: number;
  /** Deliveries that may or may not have arrived. */
  uncertain: number;
  /** Number of deliveries that failed. */
  failed: number;
  /** Age of the oldest held one, in whole seconds. */
  oldest_held_seconds: number | null;
  /** Age of the oldest uncertain one, in whole seconds. */
  oldest_uncertain_seconds: number | null;
  /** Age of the oldest failed one, in whole seconds. */
  oldest_failed_seconds: number | null;
}

/** How a message reaches a session. */
export type DeliveryMode =
  /** The message is typed into the session's tmux pane. */
  | "push"
  /** Waits in its inbox until the session takes it. */
  | "pull_required";

/** What became of a text. */
export type DeliveryOutcome =
  /** It arrived: the rollout or the inbox's consumption proves it. */
  | "delivered"
  /** The text waits in the inbox. */
  | "queued"
  /**
   * It was not sent, because the pane shows a menu or holds a draft; it is sent when that is
   * over.
   */
  | "held"
  /** It was sent, and no receipt was seen in time. */
  | "uncertain"
  /** It was not sent, or could not be. */
  | "failed";

/** What proves a delivery. */
export interface DeliveryProof {
  /** `user_message`: the rollout's own record of the text. */
  kind: string;
  /** Codex's id of the turn in which the text arrived. */
  turn_id: string | null;
  /** Time of the proof. */
  at: string;
}

/** Result of `session.deregister`. */
export interface DeregisterResult {
  /** Name of the session. */
  name: string;
  /** State of the session now: always `gone`. */
  state: SessionState;
  /** Whether it was gone before; then nothing was written. */
  already_gone: boolean;
}

/** Result of `command.discard`. */
export interface DiscardResult {
  /** What was discarded: the id of the command, `notification-N` or `delivery-N`. */
  id: string;
  /** Type of what was closed. */
  type: string;
  /** Name of the task. */
  task: string | null;
  /** How the delivery stood before this call. */
  delivery_before: string | null;
  /** True when it had been discarded before, and nothing was done. */
  already_discarded: boolean;
}

/**
 * Result of `discover.run`. Each section has the best matches first, and of equal matches the
 * newest.
 */
export interface DiscoverResult {
  /** What was looked for, without the blanks around it. */
  query: string;
  /** Tasks that match. */
  tasks: TaskRow[];
  /** Sessions that match. */
  sessions: SessionRow[];
  /** Open bindings that match. */
  bindings: BindingMatch[];
  /** Telemetry, newest first; only with a query. */
  telemetry: TelemetryMatch[];
  /** What to do next. */
  suggestions: Suggestion[];
}

/** Result of `dispatch.run`. */
export interface DispatchResult {
  /** Id of the dispatcher. */
  dispatcher_id: string;
  /** The parameter `dry_run` as given. */
  dry_run: boolean;
  /** Number of passes that were run. */
  iterations: number;
  /** Whether passes were repeated. */
  watch: boolean;
  /** Number of items in `processed`. */
  processed_count: number;
  /** What was done, or would be. */
  processed: Processed[];
}

/** A cycle whose pane showed something notable. */
export interface Divergence {
  /** Id of the cycle. */
  id: number;
  /** Id of the task. */
  task_id: TaskId;
  /** Time at which the cycle began. */
  started_at: string;
  /** Time at which the cycle ended. */
  completed_at: string | null;
  /** Always `succeeded`: a cycle that failed has no look at the pane. */
  state: string;
  /** Name of the notable pattern that the pane showed. */
  notable_pane_pattern: string;
  /** What the cycle answered, as it is stored. */
  status: unknown;
}

/** The outcome of a check. */
export interface DoctorCheck {
  /** Whether all is well. */
  ok: boolean;
  /** File or folder, for those that look for one. */
  path?: string;
  /** What was found, for versions and counts. */
  value?: string;
  /** What is wrong and the way out. */
  message?: string;
}

/** Result of `doctor.run`. */
export interface DoctorResult {
  /** The checks by name. */
  checks: { [key: string]: DoctorCheck };
  /** Whether all that count are well. */
  ok: boolean;
  /** The folder that was looked at. */
  project_root: string;
  /** Legacy workers of the state root. */
  workers: unknown[];
  /** Deliveries that need somebody's eye. */
  deliveries: DeliveryCounts;
}

/** What does not agree. */
export type DriftKind =
  /** The process of an active session does not run. */
  | "dead_process"
  /** A session of an open binding is gone. */
  | "dangling_binding"
  /** A binding is marked as ending, and nobody ends it. */
  | "binding_ending"
  /** A waiting command belongs to a binding that has ended. */
  | "orphaned_command"
  /** The manager has not looked at a bound task for long. */
  | "stuck_task"
  /** The manager has never looked at a task that was bound long ago. */
  | "never_cycled"
  /** A cycle was begun long ago and has no end. */
  | "cycle_unfinished"
  /** The rollout of a session is not there. */
  | "rollout_missing"
  /** The rollout of a session cannot be read. */
  | "rollout_unreadable"
  /** Another file stands where the rollout was. */
  | "rollout_replaced"
  /** The rollout is shorter than what was read of it. */
  | "rollout_shrunk"
  /** A session has been waiting for its first rollout for long. */
  | "rollout_pending"
  /** A part of a rollout could not be read, or only after a repair. */
  | "rollout_damaged"
  /** The thread of a session is another session's, or no conversation of a user. */
  | "thread_not_own"
  /** Whole lines of a rollout are not stored yet. */
  | "ingest_behind"
  /** The pane of a session is not there. */
  | "pane_gone"
  /** The pane of a session is another one, or runs another process. */
  | "pane_mismatch"
  /** The tmux server of a session could not be asked. */
  | "tmux_unreachable"
  /** A Codex that was started is in a pane, and no session was registered for it. */
  | "start_unregistered"
  /** A dispatcher's claim ran out and was not taken back. */
  | "claim_expired"
  /** A reader took an inbox item and did not acknowledge it in time. */
  | "lease_expired"
  /** A finished turn has not been told to its manager. */
  | "completion_unrouted"
  /** A text is held back by what its pane shows. */
  | "delivery_held"
  /** A text may or may not have arrived. */
  | "delivery_uncertain"
  /** A text did not arrive. */
  | "delivery_failed";

/** How grave a drift is. */
export type DriftSeverity =
  /** It wants a look, or mends itself. */
  | "warning"
  /** It stops a pair from working. */
  | "error";

/** No parameters. */
export interface Empty {
}

/** Result of the enqueue methods. */
export interface EnqueueResult {
  /** Id of the queued command. */
  command_id: CommandId;
  /** Type of the queued command. */
  command_type: string;
  /** Id under which what belongs together is found again. */
  correlation_id: string;
  /** Permission that the task's configuration must grant, as stored. */
  required_permission: string | null;
  /** The parameter `task` as given. */
  task: string;
  /** True when the command existed before under this idempotency key. */
  deduplicated: boolean;
}

/** A step before the end of a task. */
export type Epilogue =
  /** The expected tools are there. */
  | "run-tools"
  /** The facts for a pull request are gathered. */
  | "draft-pr"
  /** A reviewer has looked at the work. */
  | "subagent-review"
  /** A handoff is recorded. */
  | "record-handoff";

/** How an epilogue step stands. */
export interface EpilogueStep {
  /** Name of the step. */
  step_name: string;
  /** State of the latest run, or `missing`. */
  state: string;
  /** Whether the step succeeded. */
  ok: boolean;
  /** The latest run of the step. */
  latest_run: unknown;
}

/** Result of `worker.events`. */
export interface EventsResult {
  /** The events of the worker's file, oldest first. */
  events: unknown[];
  /** Lines of the file that are no event. */
  skipped_lines: number;
  /** Whether the file is so large that only the events at its end were read. */
  older_left_off: boolean;
}

/** An item of a background loop whose work panicked. */
export interface FailingItem {
  /** What it is: a session's id, or a kind and a name. */
  item: string;
  /** How often the work panicked in a row. */
  failures: number;
  /** When it panicked last. */
  last_failed_at: string;
}

/** Which acknowledgements are there at the end of a task. */
export interface FinalAckAudit {
  /** As asked, or by the configuration. */
  require_acks: boolean;
  /** Whether no acknowledgement is missing. */
  ok: boolean;
  /** Roles whose acknowledgement is missing or out of date. */
  missing: string[];
  /** Id of the worker's latest acknowledgement. */
  worker_ack_id: number | null;
  /** Id of the manager's latest acknowledgement. */
  manager_ack_id: number | null;
}

/** Which criteria are open at the end of a task. */
export interface FinalAudit {
  /** The parameter `require_criteria_audit` as given. */
  require_criteria_audit: boolean;
  /** Criteria that are accepted and not satisfied. */
  open_criteria: OpenCriterion[];
  /** Number of criteria per status. */
  summary: CriteriaSummary;
  /** Number of all criteria. */
  total: number;
}

/** Which epilogue steps have run at the end of a task. */
export interface FinalEpilogueAudit {
  /** The parameter `require_epilogue` as given. */
  require_epilogue: boolean;
  /** Whether all steps have succeeded. */
  ok: boolean;
  /** Steps that the configuration asks for. */
  required_steps: string[];
  /** Steps that have not succeeded. */
  missing_or_incomplete: string[];
  /** How each step stands. */
  steps: EpilogueStep[];
}

/** One thing that does not agree, and what to do. */
export interface Finding {
  /** What does not agree. */
  kind: DriftKind;
  /** How grave it is. */
  severity: DriftSeverity;
  /** A sentence that names it. */
  message: string;
  /** What to do about it. */
  action: string;
  /** Whether `apply` repairs it. */
  repairable: boolean;
  /** Whether this call repaired it. */
  repaired: boolean;
  /** Id of the task. */
  task_id: string | null;
  /** Name of the task. */
  task_name: string | null;
  /** Name of the session. */
  session: string | null;
  /** Id of the binding. */
  binding_id: string | null;
  /** The row itself: command, notification, delivery, cycle or turn. */
  id: string | null;
}

/** Result of `task.finish`. */
export interface FinishResult {
  /** Id of the command that ended the task. */
  command_id: string;
  /** Name of the task. */
  task: string;
  /** Whether it was finished and not stopped. */
  finish: boolean;
  /** Why the task was ended. */
  reason: string;
  /** As asked; always true when the task was stopped. */
  stop_manager: boolean;
  /** The parameter `stop_worker` as given. */
  stop_worker: boolean;
  /** Whether the manager's tmux session was ended. */
  killed_manager: boolean;
  /** Whether the worker's tmux session was ended. */
  killed_worker: boolean;
  /** Whether the task was done before. */
  already_done_followup: boolean;
  /** Name of the worker, as in `worker_session`; kept for scripts of old. */
  worker: string | null;
  /** Name of the worker session. */
  worker_session: string | null;
  /** Name of the manager session. */
  manager_session: string | null;
  /** The final decision; null when the task was stopped. */
  final_decision_id: number | null;
  /** The final observation; null when the task was stopped. */
  final_observation_id: number | null;
  /** The manager's decision that was named, and what is wrong with it. */
  manager_decision: DecisionCheck;
  /** Only when the manager was looked at. */
  manager_identity?: Identity;
  /** Only when the worker was looked at. */
  worker_identity?: Identity;
  /** Panes that were stored before their sessions were ended. */
  pre_stop_transcript_captures: PreStopCapture[];
  /** What had no effect, and identity mismatches of sessions that were left alone. */
  warnings: string[];
  /** Which criteria are open. */
  final_audit: FinalAudit;
  /** Which acknowledgements are there. */
  final_ack_audit: FinalAckAudit;
  /** Which epilogue steps have run. */
  final_epilogue_audit: FinalEpilogueAudit;
}

/** One thing that is written for a worker folder. */
export interface FolderAction {
  /** What is written. */
  action: FolderActionKind;
  /** File from which it comes. */
  source: string;
  /** For which worker; absent where a line is passed over. */
  worker?: string;
  /** Line of the file, counted from 1; only of events. */
  line?: number;
}

/** What a file, or a line of one, becomes. */
export type FolderActionKind =
  /** The row of the worker is added or brought up to date. */
  | "upsert_worker"
  /** A report of the worker becomes a status. */
  | "insert_status"
  /** A stored pane becomes a capture. */
  | "insert_transcript_capture"
  /** An event becomes a row of the audit trail. */
  | "insert_event"
  /** Nothing: the line is no event. */
  | "skip_invalid_event";

/** A row that refers to a row that is not there. */
export interface ForeignKeyViolation {
  /** Name of the table. */
  table: string;
  /** Number of the row. */
  rowid: number | null;
  /** Name of the table that it refers to. */
  parent: string;
  /** SQLite's number of the foreign key. */
  fkid: number;
}

/** What a worker left for whoever goes on. */
export interface Handoff {
  /** Time of the handoff. */
  created_at: string;
  /** Id of the handoff. */
  id: number;
  /** What comes next, step by step. */
  next_steps: string[];
  /** More, for programs. */
  payload: unknown;
  /** What the worker has done. */
  summary: string;
  /** Id of the task. */
  task_id: string;
  /** Id of the worker's session. */
  worker_session_id: string | null;
}

/** How a worker seems to fare. */
export type Health =
  /** Its tmux session does not run. */
  | "stopped"
  /** It says that it is blocked. */
  | "blocked"
  /** It says that it has finished. */
  | "done"
  /** Its pane could not be looked at. */
  | "unknown"
  /** Its pane shows something that waits for somebody. */
  | "busy_wait"
  /** Neither pane nor status have changed of late. */
  | "stale"
  /** The pane has not changed of late. */
  | "quiet"
  /** The status has not changed of late. */
  | "status_stale"
  /** Both the status and the pane have changed of late. */
  | "active";

/** Result of `rpc.hello`: who answers. */
export interface HelloResult {
  /** Version of the daemon. */
  server_version: string;
  /** Version of the protocol that the daemon speaks. */
  protocol: Protocol;
  /** What this daemon can do beyond the protocol's minimum, stable words. */
  capabilities: string[];
  /** Process id of the daemon. */
  pid: number;
  /** Time at which the daemon started. */
  started_at: string;
  /** Version of the database schema. */
  schema_version: number;
  /** State root of the daemon. */
  state_root: string;
}

/** Whether a session is still the session that was registered. */
export interface Identity {
  /** Codex's id of the thread. */
  codex_session_id: string | null;
  /** Rollout file of the session. */
  codex_session_path: string | null;
  /** The pane that is recorded. */
  db_pane_id: PaneId | null;
  /** The tmux session that is recorded. */
  db_session: string | null;
  /** How messages reach the session: push or pull. */
  delivery_mode: string;
  /** Whether the tmux session runs. */
  live: boolean;
  /** The pane that was found in the tmux session. */
  live_pane_id: PaneId | null;
  /** Process id of Codex. */
  pid: number | null;
  /** Role of the session. */
  role: string;
  /** Name of the session. */
  session: string;
  /** State of the registration. */
  state: string;
  /** What does not agree with the registration. */
  mismatches: string[];
}

/** Result of `worker.idle_check`. */
export interface IdleCheck {
  /** Name of the worker. */
  name: string;
  /** How the worker seems to fare. */
  health: Health;
  /** What a manager should do about it. */
  recommended_action: string;
  /** Why the worker was judged so. */
  reason: string;
  /** What the worker said last about its state. */
  state: WorkState;
  /** Whether the worker's tmux session runs. */
  running: boolean;
  /** Whether the pane could be looked at. */
  terminal_fresh: boolean;
  /** What the worker said that blocks it. */
  blocker: string | null;
  /** What the worker said that it works on. */
  current_task: string | null;
  /** What the worker said that it does next. */
  next_action: string | null;
  /** Time of the worker's last report. */
  status_last_update: string | null;
  /** Since when the pane has shown what it shows. */
  terminal_changed_at: string | null;
  /** The worker's tmux session. */
  tmux_session: string | null;
  /** Why the pane could not be looked at. */
  capture_error: string | null;
  /** Name of the pattern by which the pane waits for something. */
  busy_wait_pattern: string | null;
  /** Seconds since the worker's last report. */
  status_age_seconds: number | null;
  /** Seconds since the pane changed last. */
  terminal_age_seconds: number | null;
  /** The parameter `busy_wait_seconds` as given. */
  busy_wait_seconds: number;
  /** The parameter `status_stale_seconds` as given. */
  status_stale_seconds: number;
  /** The parameter `terminal_stale_seconds` as given. */
  terminal_stale_seconds: number;
}

/** A row that cannot be imported as it is. */
export interface ImportConflict {
  /** Name of the table. */
  table: string;
  /** Key of the row. */
  id: unknown;
  /** The columns that differ, or that must not be there twice. */
  columns: string[];
}

/** Result of `compat.import`. */
export interface ImportResult {
  /** Whether anything was written. */
  apply: boolean;
  /** The state root that was looked at. */
  root: string | null;
  /** The worker folders, sorted by name. */
  workers: WorkerImport[];
  /** Number of worker folders. */
  worker_count: number;
  /** The database, where there is one. */
  database?: DatabaseImport;
}

/** The session whose inbox it is. */
export interface InboxSession {
  /** Id of the session. */
  id: string;
  /** Name of the session. */
  name: string;
  /** Role of the session. */
  role: Role;
}

/** The task by which the inbox was named. */
export interface InboxTask {
  /** Id of the task. */
  id: string;
  /** The parameter `task` as given. */
  name: string;
}

/** How much was read from the rollout. */
export interface IngestCounts {
  /** Records stored since the last report. */
  new_events: number;
  /** Offset after the last complete line. */
  new_offset: number;
  /** Lines that could not be read since the last report. */
  skipped_lines: number;
}

/** Result of `rollout.ingest`. */
export interface IngestResult {
  /** Name of the session. */
  session: string;
  /**
   * Records stored since the last `cycle` or `ingest` that reported this session, whoever
   * stored them.
   */
  new_events: number;
  /** Offset after the last complete line. */
  new_offset: number;
  /** Lines that could not be read since that last report. */
  skipped_lines: number;
  /** What is damaged in the session's rollouts, as far as it is kept. */
  damage: RolloutDamage;
}

/** Result of `session.interrupt`. */
export interface InterruptResult {
  /** The parameter `dry_run` as given. */
  dry_run: boolean;
  /** The parameter `followup` as given. */
  followup: string | null;
  /** The key that was sent, or would be; `turn/interrupt` by Codex's app-server. */
  key: string;
  /** Name of the session. */
  session: string;
  /** tmux session, with the pane when one is recorded. */
  target: string;
  /** Time of this call. */
  time: string;
  /** Which way it went, or would go. */
  transport: Transport;
  /** Whether the key was sent. False when Codex was not busy: an idle Codex must not get Escape. */
  sent: boolean;
  /**
   * Whether the rollout shows the turn as interrupted; null when nothing was sent or it cannot
   * be told.
   */
  interrupted: boolean | null;
  /** Codex's id of the turn that was interrupted. */
  turn_id: string | null;
  /** What became of the follow-up text. */
  followup_outcome: DeliveryOutcome | null;
  /** Why nothing was sent, or what remains open. */
  note: string | null;
}

/** Result of `worker.interrupt`. */
export interface InterruptWorkerResult {
  /** Name of the worker. */
  name: string;
  /** Where the worker is known from. */
  kind: WorkerKind;
  /** The parameter `dry_run` as given. */
  dry_run: boolean;
  /** The parameter `followup` as given. */
  followup: string | null;
  /** The key that was sent, or would be; `turn/interrupt` by Codex's app-server. */
  key: string;
  /** Name of the session. */
  session: string;
  /** tmux session, with the pane when one is recorded. */
  target: string;
  /** Time of this call. */
  time: string;
  /** Which way it went, or would go. */
  transport: Transport;
  /** Whether the key was sent. False when Codex was not busy: an idle Codex must not get Escape. */
  sent: boolean;
  /**
   * Whether the rollout shows the turn as interrupted; null when nothing was sent or it cannot
   * be told.
   */
  interrupted: boolean | null;
  /** Codex's id of the turn that was interrupted. */
  turn_id: string | null;
  /** What became of the follow-up text. */
  followup_outcome: DeliveryOutcome | null;
  /** Why nothing was sent, or what remains open. */
  note: string | null;
}

/** Result of `criteria.list`. */
export interface ListCriteriaResult {
  /** The task of the criteria. */
  task: TaskRef;
  /** Number of all criteria of the task per status. */
  summary: CriteriaSummary;
  /** Those of the asked statuses, in the order of their ids. */
  criteria: Criterion[];
}

/** Which commands a listing shows: those of a state, or those whose delivery stands so. */
export type ListState =
  /** Commands that wait to be executed. */
  | "pending"
  /** Commands that are being executed. */
  | "attempted"
  /** Commands that have ended well. */
  | "succeeded"
  /** Commands that have ended badly. */
  | "failed"
  /** Commands that a rule refused. */
  | "blocked"
  /** Not sent, because the pane shows a menu or holds a draft; completions too. */
  | "held"
  /** May have arrived; completions and texts that are no commands too. */
  | "uncertain";

/** The database held against what runs. */
export interface LiveReconcile {
  /** Managers that were not seen for long. */
  manager_liveness_warnings: unknown[];
  /** No error among the findings, no drift of a task and nothing unfinished. */
  ok: boolean;
  /** The outcome for each task. */
  results: unknown[];
  /** Everything that does not agree, as `reconcile.run` lists it. */
  findings: Finding[];
  /** Commands of no task that have not ended. */
  unfinished_commands_without_task: unknown[];
}

/** The state of a background loop. */
export type LoopState =
  /** It runs. */
  | "running"
  /** It failed, and begins again after a pause. */
  | "restarting"
  /** It is over: the daemon ends. */
  | "ended";

/** How a background loop fares. */
export interface LoopStatus {
  /** Its name, a stable word. Later versions may have others. */
  name: string;
  /** State. */
  state: LoopState;
  /** Since when it has been in this state. */
  since: string;
  /** How often it was restarted. */
  restarts: number;
  /** When and how it failed last, if ever. */
  last_failure: string | null;
  /** What it could not work on because the work panicked. Each is tried again after a while. */
  failing: FailingItem[];
}

/** How the manager of a task is to supervise. */
export interface ManagerConfig {
  /** Criteria named at configuration. */
  acceptance_criteria: string[];
  /** Time at which the configuration was first recorded. */
  created_at: string;
  /** Steps that must have run before the end. */
  epilogues: string[];
  /** Rules of conduct. */
  guidelines: string[];
  /** What happens when the worker completes. */
  nudge_on_completion: NudgeOnCompletion;
  /** What is to be reached. */
  objective: string | null;
  /** Granted actions, by category. */
  permissions: { [key: string]: string[] };
  /** Files that the manager is to read. */
  reference_paths: string[];
  /** Whether both sides must acknowledge. */
  require_acks: boolean;
  /** Grows when a stored field changes. */
  revision: number;
  /** How closely the manager supervises. */
  supervision_mode: SupervisionMode;
  /** Id of the task. */
  task_id: string;
  /** Tools that are expected to be there. */
  tools: string[];
  /** Time of the last change of the configuration. */
  updated_at: string;
}

/** What a manager should know when it decides. */
export interface ManagerContext {
  /** The manager's configuration, if one is recorded. */
  manager_config: ManagerConfig | null;
  /** The worker's latest acknowledgement. */
  worker_ack: Acknowledgement | null;
  /** The manager's latest acknowledgement. */
  manager_ack: Acknowledgement | null;
  /** The worker's latest handoff. */
  worker_handoff: Handoff | null;
  /** The worker's latest completed turn under this task. */
  worker_receipt: WorkerReceipt | null;
  /** The criteria of the task, by status. */
  acceptance_criteria: CriteriaView;
  /** Advice to settle criteria. */
  criteria_negotiation: CriteriaNegotiation;
}

/** A notification, with the names of what it refers to. */
export interface Notification {
  /** Id of the notification. */
  id: number;
  /** Id of the task. */
  task_id: string;
  /** Name of the task. */
  task_name: string | null;
  /** Id of the binding. */
  binding_id: string;
  /** Id under which what belongs together is found again. */
  correlation_id: string;
  /** Id of the session from which it comes. */
  source_session_id: string;
  /** Name of the session from which it comes. */
  source_session_name: string | null;
  /** Role of the session from which it comes. */
  source_session_role: string | null;
  /** Id of the session to which it goes. */
  target_session_id: string;
  /** Name of the session to which it goes. */
  target_session_name: string | null;
  /** Role of the session to which it goes. */
  target_session_role: string | null;
  /** What the notification is about. */
  signal_type: string;
  /** Id of the stored record that caused it. */
  source_event_id: number | null;
  /** Time of the stored record that caused it. */
  source_event_timestamp: string | null;
  /** Key by which the same notification is made only once. */
  dedupe_key: string;
  /** Id of the command that caused it. */
  command_id: string | null;
  /** Time at which it was made. */
  created_at: string;
  /** Time at which it was delivered. */
  delivered_at: string | null;
  /** Id of the cycle that consumed it. */
  consumed_manager_cycle_id: number | null;
  /** Id of the session that consumed it. */
  consumed_by_session_id: string | null;
  /** Time at which it was consumed. */
  consumed_at: string | null;
  /** How it reaches the session: push or pull. */
  delivery_mode: string;
  /** `pending`, `delivered`, `failed` or `suppressed`. */
  state: string;
  /** Id of the dispatcher that claimed it. */
  claimed_by: string | null;
  /** Time at which it was claimed. */
  claimed_at: string | null;
  /** Time at which the claim ends. */
  claim_expires_at: string | null;
  /** Whether something may have been sent. */
  side_effect_started: boolean;
  /** Whether everything was sent. */
  side_effect_completed: boolean;
  /** Everything that the notification carries. */
  payload: unknown;
  /** What went wrong. */
  error: string | null;
  /** True when it may have reached the pane as well. */
  delivery_uncertain: boolean;
  /** True when it belongs to another task than the one asked for; absent for `session-inbox`. */
  foreign_task?: boolean;
}

/** What happens when a worker has completed a turn and both sides have proposed how to go on. */
export type NudgeOnCompletion =
  /** Nothing happens. */
  | "off"
  /** A person decides. */
  | "ask-operator"
  /** A reviewer looks at the proposals. */
  | "auto-review"
  /** As `auto-review`; what the reviewer agrees to is done. */
  | "auto-proceed";

/** Result of `session.nudge`. */
export interface NudgeResult {
  /** The parameter `dry_run` as given. */
  dry_run: boolean;
  /** Name of the session. */
  session: string;
  /** tmux session, with the pane when one is recorded. */
  target: string;
  /** The parameter `text` as given. */
  text: string;
  /** Time of this call. */
  time: string;
  /** Whether something may have reached the pane. */
  side_effect_started: boolean;
  /** Whether everything, Enter included, was sent. */
  side_effect_completed: boolean;
  /** Which way it went, or would go. */
  transport: Transport;
  /** What became of the text; null in a dry run. */
  outcome: DeliveryOutcome | null;
  /** What proves that the text arrived. */
  proof: DeliveryProof | null;
  /** What holds the text back. */
  blocked_by: BlockedBy | null;
  /** The durable command that holds the text. */
  command_id: string | null;
  /** Control characters that were taken out. */
  stripped_characters: number;
  /** Why it is uncertain or held, in a sentence. */
  note: string | null;
}

/** Result of `worker.nudge`. */
export interface NudgeWorkerResult {
  /** Where the worker is known from. */
  kind: WorkerKind;
  /** The parameter `dry_run` as given. */
  dry_run: boolean;
  /** Name of the session. */
  session: string;
  /** tmux session, with the pane when one is recorded. */
  target: string;
  /** The parameter `text` as given. */
  text: string;
  /** Time of this call. */
  time: string;
  /** Whether something may have reached the pane. */
  side_effect_started: boolean;
  /** Whether everything, Enter included, was sent. */
  side_effect_completed: boolean;
  /** Which way it went, or would go. */
  transport: Transport;
  /** What became of the text; null in a dry run. */
  outcome: DeliveryOutcome | null;
  /** What proves that the text arrived. */
  proof: DeliveryProof | null;
  /** What holds the text back. */
  blocked_by: BlockedBy | null;
  /** The durable command that holds the text. */
  command_id: string | null;
  /** Control characters that were taken out. */
  stripped_characters: number;
  /** Why it is uncertain or held, in a sentence. */
  note: string | null;
}

/** A criterion that is accepted and not satisfied. */
export interface OpenCriterion {
  /** Id of the criterion. */
  id: number;
  /** Text of the criterion. */
  criterion: string;
}

/** Result of `overview.show`. */
export interface Overview {
  /** The tasks: first those that wait for somebody, then by what happened last. */
  tasks: TaskStanding[];
  /** Active sessions of no task, by name. */
  unbound: SessionStanding[];
  /** Texts that did not arrive for certain, of all tasks. */
  deliveries: DeliveryCounts;
}

/**
 * A part of a listing. The listing's order stays; what is added while pages are read comes in
 * its place.
 */
export interface Page {
  /** Only the rows after the one of this id; from the beginning without it. */
  after?: string | null;
  /** At most so many rows; all without it. */
  limit?: number | null;
}

/** Dispatch, as a pair finds it. */
export interface PairDispatch {
  /** A command line that runs a dispatcher of that id by itself; null when none is asked for. */
  command: string[] | null;
  /** Whether a dispatcher is asked for. */
  ensure: boolean;
  /**
   * The daemon, which dispatches; null when none is asked for, or the daemon leaves Dispatch to
   * explicit calls.
   */
  pid: number | null;
  /** Whether this call enabled the dispatcher of that id. */
  started: boolean;
}

/** Result of `pair.plan`: what a pair would be, unchecked. */
export interface PairPlanResult {
  /** A command line that runs a dispatcher of that id by itself; null when none is asked for. */
  dispatch_command: string[] | null;
  /** Whether a dispatcher is asked for. */
  ensure_dispatch: boolean;
  /** Name of the manager's session. */
  manager: string;
  /** The parameter `task` as given. */
  task: string;
  /** Name of the worker's session. */
  worker: string;
}

/** Result of `pair.create`. */
export interface PairResult {
  /** The task of the pair. */
  task: PairTask;
  /** How the worker was started. */
  worker: SessionStartResult;
  /** How the manager was started. */
  manager: SessionStartResult;
  /** Id of the binding of the two to the task. */
  binding_id: BindingId;
  /** Id of the run that begins with the pair. */
  run_id: RunId;
  /** What delivers messages between the two. */
  dispatch: PairDispatch;
  /** The same as `dispatch.command`. */
  dispatch_command: string[] | null;
  /** The same as `dispatch.ensure`. */
  ensure_dispatch: boolean;
  /** Always true: the task has a configuration. */
  manager_config_seeded: boolean;
  /** Whether this call recorded the manager's configuration. */
  manager_config_seeded_by_pair: boolean;
  /** Criteria that this call took over from the configuration. */
  manager_acceptance_criteria_seeded: number;
  /**
   * What stood already: `worker`, `manager`, `binding`, `run`; empty when all of it was made by
   * this call.
   */
  resumed: string[];
  /** What the caller should know. */
  warnings: string[];
}

/** The task of a pair. */
export interface PairTask {
  /** Whether this call made the task. */
  created: boolean;
  /** Id of the task. */
  id: TaskId;
  /** Name of the task. */
  name: string;
}

/** The id of a tmux pane, `%N`. A tmux server never uses it twice. */
export type PaneId = string;

/** What the pane shows. */
export interface PaneSignal {
  /** Whether the pane was read. */
  captured: boolean;
  /** The notable pattern that the pane shows, if any. */
  classifier: BusyWait | null;
  /** Name of the notable pattern. */
  notable_pattern: string | null;
  /** The age that the classifier used, in seconds. */
  status_age_seconds: number | null;
  /** Why something is not the clean case. */
  reason: string | null;
  /** Whether an attached pane could not be read. */
  degraded: boolean;
  /** What the pane shows by today's screens; null when it was not read. */
  shows: string | null;
  /** Title of the pane. */
  title: string | null;
  /** The question on screen, when one is. */
  question: string | null;
  /** A prompt that is on screen, whatever the ages are. */
  prompt_visible: boolean;
}

/** A required permission held against the manager's configuration. */
export interface PermissionCheck {
  /** Whether the permission is granted. */
  allowed: boolean;
  /** Whether the task has a configuration at all. */
  configured: boolean;
  /** Name of the permission. */
  required_permission: string;
}

/** Null when no permission was required. */
export type PermissionCheckField = PermissionCheck | null;

/** A question about one permission. */
export interface PermissionQuestion {
  /** The permission or alias, a key of `permissions`. */
  permission: string;
  /** Text of the question. */
  question: string;
  /** Whether all of it is granted now. */
  default: boolean;
}

/** Result of `manager_config.check_permission` and of `manager_config.list_permissions`. */
export interface PermissionResult {
  /** The permission or category, as given. */
  action: string;
  /** Whether it is granted; of a category, whether there is a configuration. */
  allowed: boolean;
  /** The configuration, if one is recorded. */
  config: ManagerConfig | null;
  /** Id of the newest handoff. */
  handoff_id: number | null;
  /** The granted actions of the category; null for a permission, and without a configuration. */
  listed_permissions: string[] | null;
  /** Why not: `missing_manager_config`, `permission_not_enabled`, `missing_worker_handoff`. */
  reasons: string[];
  /** The parameter `require_handoff` as given. */
  require_handoff: boolean;
  /** The task whose configuration was asked. */
  task: TaskRef;
}

/** Result of `criteria.plan`. */
export interface PlanCriteriaResult {
  /** Name of the task. */
  task: string;
  /** The proposals, in the order of the text. */
  suggestions: CriterionSuggestion[];
  /** What was missing in the text. */
  warnings: string[];
}

/** A command that a pass would execute. */
export interface PlannedCommand {
  /** Id of the command. */
  command_id: string;
  /** Type of the command. */
  command_type: string;
  /** Id under which what belongs together is found again. */
  correlation_id: string | null;
  /** Whether this is a dry run: always true. */
  dry_run: boolean;
  /** What would become of the command: always `planned`. */
  state: ProcessedState;
  /** Id of the task. */
  task: string | null;
  /** What a pass would make of it now. */
  would_state: ProcessedState;
  /** Why that would become of the command. */
  would_reason: string | null;
}

/** A completion that a pass would route. */
export interface PlannedCompletion {
  /** Id of the binding. */
  binding_id: string;
  /** An id made up for this answer. */
  correlation_id: string;
  /** Key by which the same completion is routed only once. */
  dedupe_key: string;
  /** Whether this is a dry run: always true. */
  dry_run: boolean;
  /** What would be routed: always `worker_task_complete`. */
  signal_type: SignalType;
  /** Id of the stored record that ended the turn. */
  source_event_id: number;
  /** What would become of the completion: always `planned`. */
  state: ProcessedState;
  /** Name of the session to which it would be routed. */
  target_session: string;
  /** Name of the task. */
  task: string;
  /** What a pass would make of it now. */
  would_state: ProcessedState;
  /** Why that would become of the completion. */
  would_reason: string | null;
}

/** A pane stored before its session was ended. */
export interface PreStopCapture {
  /** Id of the capture. */
  capture_id: number;
  /** SHA-256 of the text, in hexadecimal digits. */
  content_sha256: string;
  /** Rows of scrollback that were captured. */
  history_lines: number;
  /** Number of lines of the text. */
  line_count: number;
  /** Role of the session. */
  role: string;
  /** Why it was captured: always `finish_task_pre_stop`. */
  source: string;
  /** What was new in the text. */
  transcript_segment: PreStopSegment | null;
}

/** What was new in a stored pane. */
export interface PreStopSegment {
  /** Id of the segment. */
  id: number;
  /** Kind of the segment. */
  kind: string;
  /** Number of lines of the segment. */
  line_count: number;
  /** How long the segment is to be kept. */
  retention_class: string;
}

/** One item of a pass. Which keys are there depends on what it is; absent keys are left out. */
export type Processed = ProcessedCommand | ProcessedCompletion | RecoveredClaim | PlannedCommand | PlannedCompletion;

/** A command that a pass executed. */
export interface ProcessedCommand {
  /** Id of the execution. */
  attempt_id: number;
  /** Id of the command. */
  command_id: string;
  /** Type of the command. */
  command_type: string;
  /** Id under which what belongs together is found again. */
  correlation_id: string;
  /** Id of the dispatcher that executed the command. */
  dispatcher_id: string;
  /** Whether this was a dry run: always false. */
  dry_run: boolean;
  /** Whether something may have been sent. */
  side_effect_started: boolean;
  /** Whether everything was sent. */
  side_effect_completed: boolean;
  /** What became of the command. */
  state: ProcessedState;
  /** Id of the notification that carries the message, or null. */
  notification_id: number | null;
  /** Push or pull; absent when it failed before that was known. */
  delivery_mode?: DeliveryMode;
  /** Which way it went; absent when it failed before that was known. */
  transport?: Transport;
  /** How the required permission was judged; absent for failed commands. */
  permission_check?: PermissionCheckField;
  /** Name of the session to which it goes; absent for failed commands. */
  target_session?: string;
  /** How it was sent; for push only. */
  send_result?: SendResult;
  /** `delivered`, `queued`, `uncertain`, `held` or `failed`. */
  outcome: DeliveryOutcome;
  /** What proves the delivery, for delivered commands. */
  proof?: DeliveryProof;
  /** What holds it back. */
  blocked_by?: BlockedBy;
  /** What went wrong, for failed and blocked commands. */
  error?: string;
  /** Class of the error. */
  error_type?: string;
  /** Permission that the command required, for failed commands. */
  required_permission?: unknown;
}

/** A completion that a pass routed. */
export interface ProcessedCompletion {
  /** Id of the binding. */
  binding_id: string;
  /** Id under which what belongs together is found again. */
  correlation_id: string;
  /** Key by which the same completion is routed only once. */
  dedupe_key: string;
  /** Whether this was a dry run: always false. */
  dry_run: boolean;
  /** What is routed: always `worker_task_complete`. */
  signal_type: SignalType;
  /** Id of the stored record that ended the turn. */
  source_event_id: number;
  /** Name of the session to which it is routed. */
  target_session: string;
  /** Name of the task. */
  task: string;
  /** What became of the completion. */
  state: ProcessedState;
  /** How it reaches the session: push or pull; absent for suppressed completions. */
  delivery_mode?: DeliveryMode;
  /** Id of the notification; absent for suppressed completions. */
  notification_id?: number;
  /** What went wrong, for failed completions. */
  error?: string;
  /** True when an earlier pass had left it. */
  recovered?: boolean;
  /** True when it may or may not have arrived; it is in the inbox too. */
  delivery_uncertain?: boolean;
  /** Id of the dispatcher that routed the completion. */
  dispatcher_id: string;
}

/** What became of an item in a pass. */
export type ProcessedState =
  /** The item was sent to a pane. */
  | "delivered"
  /** The item was put into the inbox. */
  | "pull_required"
  /** Refused by the loop policy or by the state of task or session. */
  | "blocked"
  /** The item ended in an error. */
  | "failed"
  /** Dropped: routed before, or its binding ended. */
  | "suppressed"
  /** Not sent: the pane shows a menu or a draft. It is tried again. */
  | "held"
  /** The claim of the item was taken back. */
  | "requeued"
  /** The item would be handled; this was a dry run. */
  | "planned";

/** Version of the protocol. */
export interface Protocol {
  /** Changes when old clients could not understand the daemon. */
  major: number;
  /** Grows with each addition. */
  minor: number;
}

/** A question of the set-up. */
export interface Question {
  /** The member of the configuration that it is about. */
  id: string;
  /** The form of its answer. */
  kind: QuestionKind;
  /** Text of the question. */
  question: string;
  /** What stands in the configuration, else what a new one has. */
  default: unknown;
  /**
   * The possible answers: a list, or for permissions an object of lists. Absent where any text
   * will do.
   */
  choices?: unknown;
  /** Examples. Absent where there are none. */
  help?: string;
  /** Of permissions: what is asked on a terminal instead. Absent elsewhere. */
  yes_or_no?: PermissionQuestion[];
}

/** The form of an answer. */
export type QuestionKind =
  /** One of the choices. */
  | "choice"
  /** Any text. */
  | "text"
  /** A list of texts. */
  | "list"
  /** A list of choices. */
  | "choice_list"
  /** Granted actions, by category. */
  | "categorized_permissions"
  /** Yes or no. */
  | "boolean";

/** Result of `manager_config.questions`. */
export interface QuestionsResult {
  /** How the answers are best collected. */
  recommended_collection: string;
  /** A command that asks them on a terminal. */
  fallback_collection: string;
  /** The task that is configured. */
  task: TaskRef;
  /** The questions, in the order in which they are asked. */
  questions: Question[];
}

/** Result of `reconcile.run`. All lists show the state before anything was repaired. */
export interface ReconcileResult {
  /** The outcome of the database's own checks. */
  schema_health: SchemaHealth;
  /** Active sessions whose processes do not run. */
  dead_pid_sessions: DeadSession[];
  /** Gone sides of open bindings, one entry for each. */
  dangling_bindings: DanglingBinding[];
  /** Bound tasks whose newest completed cycle is too old. */
  stuck_tasks: StuckTask[];
  /** Bound tasks without a completed cycle, of any age. */
  never_cycled: StuckTask[];
  /**
   * Everything that does not agree, those above too. Of each kind the newest 100 rows are
   * listed.
   */
  findings: Finding[];
  /** How many there are of each kind, the unlisted too. */
  finding_counts: { [key: string]: number };
  /** What was repaired; only when `apply` was asked for. */
  applied?: Applied;
}

/** A command claim whose lease ran out. */
export interface RecoveredClaim {
  /** Id of the execution, or null. */
  attempt_id: number | null;
  /** Id of the command. */
  command_id: string;
  /** Type of the command. */
  command_type: string;
  /** Id under which what belongs together is found again. */
  correlation_id: string | null;
  /** Id of the dispatcher that recovered the claim. */
  dispatcher_id: string;
  /** What happened to the execution. */
  error: string;
  /** Whether something may have been sent. */
  side_effect_started: boolean;
  /** What became of the command: `requeued` or `failed`. */
  state: ProcessedState;
  /** Whether the claim was recovered: always true. */
  recovered: boolean;
  /** Where its message is in the target's inbox, when it may or may not have been sent. */
  notification_id?: number;
  /** True when nothing shows whether it arrived. */
  delivery_uncertain?: boolean;
}

/** Result of `session.register`. */
export interface RegisterResult {
  /** Id; the same when the name was registered before. */
  session_id: SessionId;
  /** Name of the registered session. */
  name: string;
  /** Role of the session. */
  role: Role;
  /** Process, or null when only a rollout was given. */
  pid: number | null;
  /** Codex's own id of the thread; null while its rollout does not exist yet. */
  codex_session_id: string | null;
  /** Rollout file; null while it does not exist yet. */
  codex_session_path: string | null;
  /** Working directory of the session. */
  cwd: string;
  /** tmux session in which Codex runs; null for a session that polls its inbox. */
  tmux_session: string | null;
  /** tmux pane that was found in it. */
  tmux_pane_id: PaneId | null;
  /** `ready`, or `pending` while the rollout is awaited. */
  rollout_state: RolloutState;
  /** Why the rollout is not known yet, and what ends that. Only while it is `pending`. */
  pending_because?: string;
  /** How to talk to the session. */
  communication: Communication;
  /** What the caller should know; mostly empty. */
  warnings: string[];
}

/** A registered session that is the caller's own. */
export interface RegisteredAs {
  /** Name of the session. */
  name: string;
  /** Role of the session. */
  role: Role;
}

/** What became of damaged bytes of a rollout. */
export type Remedy =
  /** Nothing could be read of them. */
  | "set_aside"
  /** They became a record. */
  | "repaired";

/** Result of `session.rename`. */
export interface RenameResult {
  /** Id of the session, which stays. */
  session_id: SessionId;
  /** Name of the session now. */
  name: string;
  /** Name of the session before. */
  old_name: string;
  /** Role of the session. */
  role: Role;
  /** tmux session in which Codex runs; null for a session that polls its inbox. */
  tmux_session: string | null;
  /** Whether the tmux session has another name now. */
  tmux_renamed: boolean;
  /** What the caller should know. */
  warnings: string[];
}

/** A row that is renamed, since somebody else has its name here. */
export interface RenamedRow {
  /** Name of the table. */
  table: string;
  /** Key of the row. */
  id: string;
  /** Name of the column. */
  column: string;
  /** The name in the database that is imported. */
  from: string;
  /** The name here. */
  to: string;
}

/** A table whose rows get new numbers, since theirs are taken here. */
export interface RenumberedTable {
  /** Name of the table. */
  table: string;
  /** What is added to the number of each new row. */
  added: number;
}

/** An entry of a replay. */
export interface ReplayEntry {
  /** Who did it. */
  actor: string;
  /** Text of the pane; only for transcript segments. */
  content?: string;
  /** Facts about the entry, for programs. */
  details: unknown;
  /** Kind of the entry. */
  kind: string;
  /** Name of the table from which the entry comes. */
  source: string;
  /** Key of the row from which the entry comes. */
  source_id: unknown;
  /** The entry in one line for people. */
  summary: string;
  /** Time of the entry. */
  timestamp: string;
}

/** How much a replay shows. */
export type ReplayFormat =
  /** Without cycles and their spans. */
  | "compact"
  /** With cycles and their spans. */
  | "timeline"
  /** With stored panes as well. */
  | "transcript"
  /** With the texts of stored panes as well. */
  | "full-transcript";

/** Result of `task.replay`. */
export interface ReplayResult {
  /** The task that was asked about. */
  task: TaskObject;
  /** The parameter `format` as given. */
  mode: string;
  /** The parameter `role` as given. */
  role: string;
  /** Number of entries in `entries`. */
  entry_count: number;
  /** The entries in order. */
  entries: ReplayEntry[];
}

/** Whose entries a replay shows. */
export type ReplayRole =
  /** Entries of everybody. */
  | "all"
  /** Entries of the worker. */
  | "worker"
  /** Entries of the manager. */
  | "manager"
  /** Entries of the reviewer. */
  | "reviewer"
  /** Entries of Conveyor itself. */
  | "workerctl";

/** Result of `task.restore`. */
export interface RestoreResult {
  /** Whether the task was archived before. */
  restored: boolean;
  /** Id of the task. */
  id: TaskId;
  /** Name of the task. */
  name: string;
}

/** Result of `command.retry`. */
export interface RetryResult {
  /** What was retried: the id of the command, or `notification-N`. */
  id: string;
  /** What is sent now: the id of the new command; a notification keeps its own. */
  retried_as: string;
  /** Type of what is sent again. */
  type: string;
  /** Name of the task. */
  task: string | null;
  /** How the delivery stood before this call. */
  delivery_before: string | null;
}

/** What a session is for. */
export type Role =
  /** The session does the work of a task. */
  | "worker"
  /** The session supervises the worker of a task. */
  | "manager";

/** Damage of a session's rollouts. Of each file the newest 1000 parts are kept. */
export interface RolloutDamage {
  /** How many damaged parts there are. */
  count: number;
  /** A mark behind the newest of them: later damage has a greater one. */
  upto: number;
  /** The newest 20 of them, newest first. */
  newest: DamagedPart[];
}

/** Whether a session's rollout is known. */
export type RolloutState =
  /** The rollout is known and read. */
  | "ready"
  /** It does not exist yet and is adopted when it appears. */
  | "pending";

/** The id of a run. */
export type RunId = string;

/** A run of a task. */
export interface RunRow {
  /** Id of the run. */
  id: RunId;
  /** Id of the task. */
  task_id: TaskId;
  /** Name of the run. */
  name: string;
  /** What the run is for. */
  purpose: string | null;
  /** How the run stands. */
  status: RunStatus;
  /** Time at which the run began. */
  started_at: string;
  /** End; null while it is active. */
  ended_at: string | null;
  /** Facts of the caller, or the policy of a loop run. */
  metadata: unknown;
}

/** How a run stands. */
export type RunStatus =
  /** What happens to the task is tagged with it. */
  | "active"
  /** Ended well. A loop run is this from its beginning. */
  | "finished"
  /** The run has ended badly. */
  | "failed"
  /** The run was given up. */
  | "abandoned";

/** What a session said last. */
export interface Said {
  /** The beginning of the text. */
  text: string;
  /** Whether the text goes on. */
  truncated: boolean;
  /** When it was said. */
  at: string;
}

/** The outcome of the database's own checks. */
export interface SchemaHealth {
  /** The checks in order. */
  checks: DbCheck[];
  /** Whether all checks are well. */
  ok: boolean;
  /** Number of the newest applied migration. */
  schema_version: number | null;
  /** Version that stands in the header of the file. */
  user_version: number;
}

/** A check of the calling Codex session. */
export interface SelfCheck {
  /** Name of the check. */
  name: string;
  /** Whether all is well. */
  ok: boolean;
  /** File, for those that look for one. */
  path?: string;
  /** tmux session, for those that look for one. */
  session?: string;
  /** Why not all is well. */
  error?: string;
}

/** Result of `doctor.self`. */
export interface SelfResult {
  /** Whether the calling session can register itself as a worker in tmux. */
  supported: boolean;
  /** The same as `supported`. */
  ok: boolean;
  /** Checks, in the order in which they were made. */
  checks: SelfCheck[];
  /** The caller's tmux session; null when its process is in no pane. */
  current_session: string | null;
  /** tmux's id of the caller's pane. */
  current_pane: string | null;
  /** The Codex thread that runs the caller; null where that cannot be told. */
  codex_thread: CallingThread | null;
  /** Active sessions that are the caller's own. */
  registered_as: RegisteredAs[];
  /** How to register, with what is known filled in. */
  command_template: string;
  /** The steps after the registration. */
  follow_up: string[];
  /** How sessions without tmux take part. */
  codex_app_inbox_guidance: string;
  /** What the checks are about, in a sentence. */
  command_context_note: string;
  /** Place of the skill for workers and managers. */
  skill_path: string;
  /** Where the skill for reviews is installed. */
  codex_review_skill_path: string;
  /** Place of the review skill's program. */
  codex_review_helper_path: string;
  /** By which name the command line is found on `PATH`; null when it is not. */
  workerctl_invocation: string | null;
  /** The result in a sentence. */
  why_or_why_not: string;
}

/** How a text was sent, as stored with a command. */
export interface SendResult {
  /** Whether this was a dry run: always false. */
  dry_run: boolean;
  /** Name of the session. */
  session: string;
  /** Whether everything was sent. */
  side_effect_completed: boolean;
  /** Whether something may have been sent. */
  side_effect_started: boolean;
  /** tmux session, with the pane when one is recorded. */
  target: string;
  /** Text that was sent. */
  text: string;
  /** Time of the sending. */
  time: string;
}

/** The id of a registered session. */
export type SessionId = string;

/** A row of `session.list`. */
export interface SessionRow {
  /** Id of the session. */
  id: SessionId;
  /** Name of the session. */
  name: string;
  /** Role of the session. */
  role: Role;
  /** Whether the session takes part. */
  state: SessionState;
  /** Working directory of the session. */
  cwd: string;
  /** Time of the first registration. */
  registered_at: string;
  /** Token by which the session is known; redacted unless it was asked for. */
  identity_token: string;
  /** Process id of Codex. */
  pid: number | null;
  /** Bytes of the rollout that are stored. */
  last_ingest_offset: number | null;
  /** tmux session in which Codex runs. */
  tmux_session: string | null;
  /** tmux's id of the pane in which Codex runs. */
  tmux_pane_id: PaneId | null;
  /** Rollout file of the session. */
  codex_session_path: string | null;
  /** Codex's id of the thread. */
  codex_session_id: string | null;
  /** Time of the last ingest or registration. */
  last_heartbeat_at: string | null;
  /**
   * Why the session is gone: `process_exited`, `deregistered`, `replaced` and others; absent
   * for active sessions.
   */
  gone_reason?: string;
  /** Whether the session's rollout is known. */
  rollout_state: RolloutState;
  /** How to talk to the session. */
  communication: Communication;
}

/** Where a session stands. */
export interface SessionStanding {
  /** Name of the session. */
  name: string;
  /** Role of the session. */
  role: Role;
  /** State of the worker in detail. */
  worker_state: WorkerState;
  /** Where the state was read from. */
  worker_state_source: StateSource;
  /** Time since which the worker is in this state, when it is known. */
  worker_state_since: string | null;
  /**
   * Time at which the account's limit begins anew that a worker in state `limit_reached` has
   * met, when Codex tells it; null in all other states.
   */
  limit_resets_at: string | null;
  /** For how many seconds it has been in this state, when that is known. */
  age_seconds: number | null;
  /** Its last answer; null while there is none. */
  said: Said | null;
}

/** Result of `session.start`. */
export interface SessionStartResult {
  /** Id; the same when the name was registered before. */
  session_id: SessionId;
  /** Name of the started session. */
  name: string;
  /** Role of the session. */
  role: Role;
  /** Codex's own id of the thread. */
  codex_session_id: string;
  /** Rollout file of the session. */
  codex_session_path: string;
  /** Working directory of the session, with links resolved. */
  cwd: string;
  /** tmux session in which Codex runs. */
  tmux_session: string;
  /** tmux's id of the pane in which Codex runs. */
  tmux_pane_id: PaneId | null;
  /** The process that holds the rollout, else that of the pane. */
  pid: number | null;
  /** How to talk to the session. */
  communication: Communication;
  /** Codex's `--sandbox`; null without one, and where it is not known. */
  sandbox: string | null;
  /** Codex's `--ask-for-approval`; null without one, and where it is not known. */
  ask_for_approval: string | null;
  /** Whether an earlier call had started this Codex. */
  resumed: boolean;
  /** Whether the question of trust was answered. */
  trust_accepted: boolean;
  /** What the caller should know. */
  warnings: string[];
}

/** Whether a session takes part. */
export type SessionState =
  /** The session is registered and takes part. */
  | "active"
  /** The session has ended or was deregistered. */
  | "gone";

/** Result of `session.stop`. */
export interface SessionStopResult {
  /** Name of the session. */
  name: string;
  /** State of the session now: always `gone`. */
  state: SessionState;
  /** The tmux session that was meant. */
  target: string;
  /** Whether it was running, and was ended. */
  killed_session: boolean;
  /** The task whose binding was ended. */
  unbound_task: string | null;
  /** Commands that waited for the bindings that ended. */
  cancelled_commands: string[];
  /** Notifications that those bindings had not delivered. */
  suppressed_notifications: number[];
  /** Other sessions that were in the same tmux session and ended with it, with their bindings. */
  also_stopped: string[];
  /** What had no effect, or more than was asked for. */
  warnings: string[];
}

/** Result of `manager_config.set`. */
export interface SetManagerConfigResult {
  /** Criteria named at configuration. */
  acceptance_criteria: string[];
  /** Time at which the configuration was first recorded. */
  created_at: string;
  /** Steps that must have run before the end. */
  epilogues: string[];
  /** Rules of conduct. */
  guidelines: string[];
  /** What happens when the worker completes. */
  nudge_on_completion: NudgeOnCompletion;
  /** What is to be reached. */
  objective: string | null;
  /** Granted actions, by category. */
  permissions: { [key: string]: string[] };
  /** Files that the manager is to read. */
  reference_paths: string[];
  /** Whether both sides must acknowledge. */
  require_acks: boolean;
  /** Grows when a stored field changes. */
  revision: number;
  /** How closely the manager supervises. */
  supervision_mode: SupervisionMode;
  /** Id of the task. */
  task_id: string;
  /** Tools that are expected to be there. */
  tools: string[];
  /** Time of the last change of the configuration. */
  updated_at: string;
  /** What of `permissions` was left out, and why. The key is absent when nothing was. */
  warnings?: string[];
}

/** What Dispatch routes. */
export type SignalType =
  /** A queued message to the manager. */
  | "notify_manager"
  /** A queued message to the worker. */
  | "nudge_worker"
  /** A queued request for the next pass of a loop. */
  | "continue_iteration"
  /** A turn of the worker that ended. */
  | "worker_task_complete"
  /** A text of `session.nudge` that a menu held back. */
  | "session_nudge"
  /** A worker that asks whether it may do something. */
  | "approval_requested"
  /** A worker that asks its user a question. */
  | "worker_question"
  /** A turn of the worker that was aborted: by Escape, or by an answer to what it asked. */
  | "worker_interrupted"
  /** A worker whose process has ended. */
  | "worker_gone"
  /** An acknowledgement of the worker that asks something, or says that it is not ready. */
  | "worker_acknowledged"
  /** A worker that shows another conversation: `/clear`, `/new`, `/resume`. */
  | "worker_thread_changed";

/** Rows of a table that are left out for one reason. */
export interface SkippedRows {
  /** Name of the table. */
  table: string;
  /** Why the rows are left out. */
  reason: string;
  /** Number of rows. */
  rows: number;
}

/** Where a setting's value came from. */
export type Source =
  /** A command-line flag. */
  | "flag"
  /** An environment variable. */
  | "environment"
  /** `config.toml` in the state root. */
  | "file"
  /** The built-in default. */
  | "default";

/** A value with its origin. */
export interface SourcedBoolean {
  /** The value in force. */
  value: boolean;
  /** Where it came from. */
  source: Source;
}

/** A value with its origin. */
export interface SourcedString {
  /** The value in force. */
  value: string;
  /** Where it came from. */
  source: Source;
}

/** A value with its origin. */
export interface SourcedUint64 {
  /** The value in force. */
  value: number;
  /** Where it came from. */
  source: Source;
}

/** Who started a daemon, and so who starts it again. */
export type StartedBy =
  /** Somebody ran `conveyord`, or a service manager that did not say so. */
  | "foreground"
  /** The command line, because nobody answered. */
  | "cli"
  /** A unit of the user's systemd. */
  | "systemd"
  /** An agent of launchd. */
  | "launchd";

/** How far a starting Codex had come. */
export interface Startup {
  /** `ready`, `working`, `needs_trust`, `needs_answer`, `error` or `starting`. */
  startup: string;
  /** Why the start-up was judged so. */
  reason: string;
  /** What to do about it; `none` for nothing. */
  recommended_action: string;
  /** Whether the question of trust was answered. */
  trust_accepted: boolean;
  /** The parameter `wait_ready_timeout` as given. */
  timeout_seconds: number;
}

/** The files of one daemon. */
export interface StateFiles {
  /** The state root folder. */
  root: string;
  /** The database file. */
  database: string;
}

/** Which sessions `session.list` shows. */
export type StateFilter =
  /** Active sessions with a process or a rollout. */
  | "active"
  /** Sessions that have ended or were deregistered. */
  | "gone"
  /** Sessions of either state. */
  | "all";

/** Where a state was read from. */
export type StateSource =
  /** The records of the rollout told it. */
  | "rollout"
  /** What the pane shows told it. */
  | "pane"
  /** The table of processes told it. */
  | "process"
  /** Codex's app-server told it. */
  | "app_server"
  /** The session's registration: somebody ended it. */
  | "registration";

/** A bound task that its manager has not looked at for long, or never. */
export interface StuckTask {
  /** Name of the task. */
  task_name: string;
  /** Id of the binding. */
  binding_id: BindingId;
  /** End of its newest completed cycle; null when there is none. */
  last_cycle_at: string | null;
  /** Seconds since then; since the binding was made when there is no cycle. */
  age_seconds: number;
}

/** Something to do next. */
export type Suggestion = SuggestionBind | SuggestionRegisterWorker | SuggestionRegisterManager;

/** Bind a pair to a task; `bind` would accept it now. */
export interface SuggestionBind {
  kind: "bind";
  /** The command line that does it. */
  command: string;
  /** Task, by its name where that is clear, else by its id. */
  task: string;
  /** Name of the worker. */
  worker: string;
  /** Name of the manager. */
  manager: string;
}

/** No manager is registered. */
export interface SuggestionRegisterManager {
  kind: "register-manager";
  /** What to ask, and of whom. */
  prompt: string;
}

/** No worker is registered. */
export interface SuggestionRegisterWorker {
  kind: "register-worker";
  /** What to ask, and of whom. */
  prompt: string;
}

/** How closely a manager supervises. */
export type SupervisionMode =
  /** The manager looks at progress now and then. */
  | "light"
  /** The manager nudges as usual. */
  | "guided"
  /** The criteria are checked again and again. */
  | "strict";

/** What becomes of the rows of a table. */
export interface TableImport {
  /** Name of the table. */
  table: string;
  /** Rows that are not here yet: they are imported. */
  new: number;
  /** Number of rows that stand here already. */
  already_there: number;
  /** Rows that stand here with other content. */
  conflicts: number;
  /** Number of rows that are left out. */
  skipped: number;
}

/** A stored record, newest first in `rollout.tail`. */
export interface TailEvent {
  /** Id of the stored record. */
  id: number;
  /** The record's own time. */
  timestamp: string;
  /** The record's type. */
  type: string;
  /** The payload's type, for `event_msg` records. */
  subtype: string | null;
  /** Where its line begins in the file. */
  byte_offset: number;
  /** The payload; texts replaced by their sizes unless asked for. */
  payload: unknown;
}

/** Result of `inbox.take`. */
export interface TakeResult {
  /** The item that was consumed or leased. */
  consumed: Notification | null;
  /** The items that are left, oldest first; items of the task come before items of other tasks. */
  items: Notification[];
  /** The session whose inbox it is. */
  session: InboxSession;
  /** Task; absent for a session's inbox. */
  task?: InboxTask;
  /** How the waiting went. */
  wait: WaitInfo;
  /** Token for `inbox.acknowledge` when the item is leased. */
  lease?: string;
}

/** The end of a task: result of `task.stop`, and what that of `task.finish` begins with. */
export interface TaskEnd {
  /** Id of the command that ended the task. */
  command_id: string;
  /** Name of the task. */
  task: string;
  /** Whether it was finished and not stopped. */
  finish: boolean;
  /** Why the task was ended. */
  reason: string;
  /** As asked; always true when the task was stopped. */
  stop_manager: boolean;
  /** The parameter `stop_worker` as given. */
  stop_worker: boolean;
  /** Whether the manager's tmux session was ended. */
  killed_manager: boolean;
  /** Whether the worker's tmux session was ended. */
  killed_worker: boolean;
  /** Whether the task was done before. */
  already_done_followup: boolean;
  /** Name of the worker, as in `worker_session`; kept for scripts of old. */
  worker: string | null;
  /** Name of the worker session. */
  worker_session: string | null;
  /** Name of the manager session. */
  manager_session: string | null;
  /** The final decision; null when the task was stopped. */
  final_decision_id: number | null;
  /** The final observation; null when the task was stopped. */
  final_observation_id: number | null;
  /** The manager's decision that was named, and what is wrong with it. */
  manager_decision: DecisionCheck;
  /** Only when the manager was looked at. */
  manager_identity?: Identity;
  /** Only when the worker was looked at. */
  worker_identity?: Identity;
  /** Panes that were stored before their sessions were ended. */
  pre_stop_transcript_captures: PreStopCapture[];
  /** What had no effect, and identity mismatches of sessions that were left alone. */
  warnings: string[];
}

/** The id of a task. */
export type TaskId = string;

/** A task by its name and id. */
export interface TaskName {
  /** Id of the task. */
  id: TaskId;
  /** Name of the task. */
  name: string;
}

/** The task of an audit or replay. */
export interface TaskObject {
  /** Time of the task's creation. */
  created_at: string;
  /** What the task is to reach. */
  goal: string;
  /** Id of the task. */
  id: string;
  /** Name of the task. */
  name: string;
  /** Where the task stands. */
  state: TaskState;
  /** More about the task. */
  summary: string | null;
  /** Time of the last change of the task. */
  updated_at: string;
}

/** The task that an answer is about. */
export interface TaskRef {
  /** Id of the task. */
  id: TaskId;
  /** Name of the task. */
  name: string;
}

/** A row of `task.list`. */
export interface TaskRow {
  /** Id of the task. */
  id: TaskId;
  /** Name of the task. */
  name: string;
  /** What the task is to reach. */
  goal: string;
  /** More about the task. */
  summary: string | null;
  /** Where the task stands. */
  state: TaskState;
  /** Time of the task's creation. */
  created_at: string;
  /** Time of the last change of the task. */
  updated_at: string;
  /** Nudge budget, which only imported tasks have. */
  budget: Budget | null;
  /** Time at which the task was archived. */
  archived_at?: string;
}

/** Where a task stands. */
export interface TaskStanding {
  /** Name of the task. */
  task: string;
  /** Id of the task. */
  task_id: TaskId;
  /** State of the task. */
  task_state: TaskState;
  /** What the task is to reach. */
  goal: string;
  /** The worker; null while the task is bound to none. */
  worker: SessionStanding | null;
  /** The manager; null while the task is bound to none. */
  manager: SessionStanding | null;
  /** What the worker asks its user, oldest first. */
  waits: Waiting[];
  /** How many items of the task lie in the manager's inbox. */
  unread: number;
}

/** Where a task stands. */
export type TaskState =
  /** The task was created and is not under management yet. */
  | "candidate"
  /** The task is under management. */
  | "managed"
  /** The task was set aside. */
  | "paused"
  /** The task has ended well. */
  | "done"
  /** The task has ended badly. */
  | "failed";

/** A telemetry event that matches. */
export interface TelemetryMatch {
  /** Id of the event. */
  id: string;
  /** Time of the event. */
  timestamp: string;
  /** Who caused the event. */
  actor: string;
  /** What happened. */
  event_type: string;
  /** How grave the event is. */
  severity: string;
  /** The event in a sentence. */
  summary: string;
  /** Id of the run to which the event belongs. */
  run_id: string | null;
  /** Id of the task that the event is about. */
  task_id: string | null;
  /** Ids of what the event belongs together with. */
  correlation: unknown;
  /** More about the event. */
  attributes: unknown;
}

/** By which way a text goes to a session. */
export type Transport =
  /**
   * The safest way that there is: the session's pane, else Codex's app-server, else the inbox.
   * The app-server also takes the place of a pane in which a side chat, a mode of tmux,
   * synchronized panes or an input that is off hold a text back.
   */
  | "auto"
  /** The text is typed into the session's tmux pane. */
  | "tmux"
  /** The text is sent by way of Codex's app-server. */
  | "app-server"
  /** The text is left in the session's inbox. */
  | "inbox";

/** A turn of the worker. */
export interface Turn {
  /** Codex's id; null in files that name none. */
  turn_id: string | null;
  /** Codex's id of the thread. */
  thread_id: string | null;
  /** `user`, `goal`, `exec`, `compaction`, `shell` or `unknown`. */
  kind: string;
  /** `done`, `failed`, `interrupted` or `unfinished`; null while it runs. */
  outcome: string | null;
  /** What went wrong, for turns that failed or were interrupted. */
  error: string | null;
  /** Time at which the turn began. */
  started_at: string | null;
  /** Time at which the turn ended. */
  ended_at: string | null;
}

/** Which turn a wait is for, as an earlier answer told it: for going on where that ended. */
export interface TurnPin {
  /** Row of a turn. */
  row: number;
  /** The first turn after that row instead of the row's own. */
  next: boolean;
  /**
   * The caller named that very turn: then for `done` it counts even when it does no work (a
   * compaction, or the user's own shell command).
   */
  named: boolean;
}

/** Result of `binding.end`. */
export interface UnbindResult {
  /** The parameter `task` as given. */
  task: string;
  /** State of the binding now: always `ended`. */
  state: string;
  /** Queued commands of the binding that were ended with it. */
  cancelled_commands: string[];
  /** Undelivered notifications of the binding that were dropped with it. */
  suppressed_notifications: number[];
}

/** What is waited for. */
export type Until =
  /** The turn has ended, however it did, and none runs. */
  | "idle"
  /** The turn has begun, and the session is not gone. */
  | "busy"
  /** The turn has ended well. */
  | "done"
  /** The session waits for a person: an approval, an answer, or the account's limit. */
  | "blocked"
  /** There is an item in the inbox. */
  | "message"
  /** The session is gone, or its process has ended. */
  | "gone";

/** Result of `worker.update_status`: what is stored now. */
export interface UpdatedStatus {
  /** The state that was reported. */
  state: WorkState;
  /** The current task that was reported. */
  current_task: string;
  /** The next action that was reported. */
  next_action: string;
  /** The blocker that was reported. */
  blocker: string | null;
  /** Time of this report. */
  last_update: string;
  /** What could not be written beside the rows; absent when all was. */
  warnings?: string[];
}

/** Whether a worker reported. */
export interface Verification {
  /** Whether the worker reported in time. */
  ok: boolean;
  /** Why it is taken to have, or not. */
  reason: string;
  /** What the worker said last about its state. */
  state: WorkState;
  /** What it said it works on. */
  current_task: string | null;
}

/** How the waiting went. */
export interface WaitInfo {
  /** Seconds that were waited. */
  elapsed_seconds: number;
  /** Whether waiting was asked for. */
  enabled: boolean;
  /** The parameter `interval` as given. */
  interval_seconds: number;
  /** Checks that were made: the first, one per wake, one at the time-out. */
  poll_count: number;
  /** Whether the time ran out. */
  timed_out: boolean;
  /** The parameter `timeout` as given. */
  timeout_seconds: number;
  /** True when the daemon is shutting down and ended the wait; ask again. */
  draining: boolean;
}

/** The oldest item of an inbox. */
export interface WaitMessage {
  /** Id of the notification. */
  notification_id: number;
  /** What the notification is about. */
  signal_type: string;
  /** Time since which the item waits. */
  since: string;
}

/** How a wait ended. */
export type WaitOutcome =
  /** What was waited for is so. */
  | "reached"
  /** It cannot come to be any more; `reason` tells why. */
  | "unreachable"
  /** The time ran out. */
  | "timed_out"
  /** The daemon is shutting down; ask the next one, with `pin`. */
  | "draining";

/** Result of `state.wait`. */
export interface WaitResult {
  /** The parameter `until` as given. */
  until: Until;
  /** How the wait ended. */
  outcome: WaitOutcome;
  /** Whether the time ran out; the same as that outcome. */
  timed_out: boolean;
  /** Why it cannot come to be any more. */
  reason: string | null;
  /** What told of it; when it was not reached, where the state was read from. */
  source: WaitSource;
  /** Since when it is so, or the state, when known. */
  since: string | null;
  /** The task that was named, or that the session is bound to. */
  task: WaitTask | null;
  /** The session that was watched. */
  session: WaitSession;
  /** State in three words, by the rollout. */
  state: CoarseState;
  /** State of the worker in detail. */
  worker_state: WorkerState;
  /** Where the state was read from. */
  worker_state_source: StateSource;
  /** Time since which the worker is in this state, when it is known. */
  worker_state_since: string | null;
  /**
   * Time at which the account's limit begins anew that a worker in state `limit_reached` has
   * met, when Codex tells it; null in all other states.
   */
  limit_resets_at: string | null;
  /**
   * The question on screen, when the pane was looked at (for `blocked`, and before a time-out)
   * and shows one.
   */
  question: string | null;
  /**
   * For `idle`, `busy` and `done` the turn that is waited for, null until it begins; else the
   * newest turn.
   */
  turn: Turn | null;
  /** That turn, for the parameter `pin`. */
  pin: TurnPin;
  /** The oldest item of the inbox, for `message`. */
  message: WaitMessage | null;
  /** Seconds that were waited. */
  elapsed_seconds: number;
  /** The parameter `timeout` as given. */
  timeout_seconds: number;
}

/** The session that a wait watches. */
export interface WaitSession {
  /** Id of the session. */
  id: string;
  /** Name of the session. */
  name: string;
  /** Role of the session. */
  role: Role;
  /** State of the session's registration. */
  state: SessionState;
  /** Why it is gone: `process_exited`, `deregistered`, `replaced` and others. */
  gone_reason: string | null;
}

/** Where an answer was read from. */
export type WaitSource =
  /** The records of the rollout told it. */
  | "rollout"
  /** What the pane shows told it. */
  | "pane"
  /** The table of processes told it. */
  | "process"
  /** The session's registration: somebody ended it. */
  | "registration"
  /** The inbox told it. */
  | "inbox"
  /** Codex's app-server told it. */
  | "app_server";

/** The task by which a wait was named. */
export interface WaitTask {
  /** Id of the task. */
  id: string;
  /** Name of the task. */
  name: string;
}

/** A question of a worker to its user. */
export interface Waiting {
  /** What is asked. */
  kind: ApprovalKind;
  /** Id of the approval. */
  id: string;
  /** The command or question. */
  text: string | null;
  /** Since when it is known. */
  since: string;
  /** For how many seconds it has been known. */
  age_seconds: number | null;
}

/** What a worker says it is at. */
export type WorkState =
  /** The worker plans. */
  | "planning"
  /** The worker edits files. */
  | "editing"
  /** The worker verifies its work. */
  | "running_tests"
  /** It cannot go on by itself. */
  | "blocked"
  /** The worker waits for an instruction. */
  | "waiting"
  /** The worker has finished its task. */
  | "done"
  /** The worker did not say. */
  | "unknown";

/** What becomes of a worker folder. */
export interface WorkerImport {
  /** Name of the worker. */
  worker: string;
  /** Number of actions. */
  action_count: number;
  /** What is written, in order. */
  actions: FolderAction[];
}

/** Where a worker is known from. */
export type WorkerKind =
  /** A folder of the state root, as `create` makes it. */
  | "file"
  /** A registered session. */
  | "session";

/** A worker's completed turn as the manager sees it. */
export interface WorkerReceipt {
  /** Binding under which it completed. */
  binding_id: string;
  /** Codex's own completion time. */
  completed_at: unknown;
  /** Length of the turn in milliseconds. */
  duration_ms: unknown;
  /** What the worker said last. */
  last_agent_message: unknown;
  /** Id of the stored record that ended the turn. */
  source_event_id: number;
  /** Time of the stored record. */
  source_event_timestamp: string;
  /** Id of the worker's session. */
  source_session_id: string;
  /** Name of the worker's session. */
  source_session_name: string;
  /** Wait for the first token in milliseconds. */
  time_to_first_token_ms: unknown;
  /** Codex's id of the turn. */
  turn_id: unknown;
  /** `done` or `failed`; null when it cannot be told. */
  outcome: string | null;
}

/** A row of `worker.list`. */
export interface WorkerRow {
  /** Name of the worker. */
  name: string;
  /** Where the worker is known from. */
  kind: WorkerKind;
  /** Whether the worker's tmux session runs. */
  running: boolean;
  /** `running` or `stopped`. */
  status: string;
  /** What the worker said last about its state. */
  state: WorkState;
  /** What it said it works on; empty when it did not. */
  current_task: string;
  /** Why tmux could not be asked; absent when it could. */
  terminal_error?: string;
  /** Why its folder cannot be read; absent when it can. */
  error?: string;
}

/** Result of `worker.start`. Commands in it are for a person to fill in. */
export interface WorkerStartResult {
  /** tmux session in which Codex runs. */
  session: string;
  /** Working directory of Codex. */
  cwd: string;
  /** Command that attaches a terminal. */
  attach_command: string;
  /** Command that registers the session as a worker. */
  register_worker_command_template: string;
  /** Starts a manager with the same arguments. */
  start_manager_command_template: string;
  /** Command that binds worker and manager to a task. */
  bind_command_template: string;
  /** Asks what the manager has to know. */
  manager_config_questions_command_template: string;
  /** File with the first prompt; null without one. */
  start_prompt_path: string | null;
  /** Whether it was given as first prompt. */
  start_prompt_sent: boolean;
}

/** The worker's state in detail. */
export type WorkerState =
  /** No turn of the worker has begun. */
  | "never_started"
  /** A turn of the worker runs. */
  | "working"
  /** The worker's last turn ended well. */
  | "done"
  /** The last turn ended with an error. */
  | "failed"
  /** The worker's last turn was interrupted. */
  | "interrupted"
  /** Codex asks whether it may do something. */
  | "needs_approval"
  /** Codex asks a question or shows a menu. */
  | "needs_answer"
  /** The account's usage limit is reached. */
  | "limit_reached"
  /** A turn began, and its process died. */
  | "broken"
  /** The worker's process is gone. */
  | "gone";

/** Result of `worker.status`. */
export interface WorkerStatusResult {
  /** Name of the worker. */
  name: string;
  /** The worker's tmux session. */
  tmux_session: string | null;
  /** Whether the worker's tmux session runs. */
  running: boolean;
  /** How far Codex had come when it was last looked at; null for sessions. */
  startup: string | null;
  /** Why the start-up was judged so. */
  startup_reason: string | null;
  /** What was to be done about it. */
  startup_recommended_action: string | null;
  /** What the worker said last about its state. */
  state: WorkState;
  /** What the worker said that it works on. */
  current_task: string | null;
  /** What the worker said that it does next. */
  next_action: string | null;
  /** What the worker said that blocks it. */
  blocker: string | null;
  /** Time of the worker's last report. */
  status_last_update: string | null;
  /** Time of the last capture of the worker's pane. */
  terminal_captured_at: string | null;
  /** Since when the pane has shown what it shows. */
  terminal_changed_at: string | null;
  /** Why the pane could not be captured. */
  terminal_capture_error: string | null;
}

/** Why a call was refused. */
export type Kind =
  /** the text is not JSON */
  | "not_json"
  /** the JSON is no request */
  | "invalid_request"
  /** a subscription over HTTP or in a batch */
  | "cannot_subscribe"
  /** a request over HTTP with the header `Origin` */
  | "origin_refused"
  /** a request did not arrive whole in time */
  | "request_timed_out"
  /** no such method */
  | "unknown_method"
  /** wrong, missing or unknown parameters */
  | "invalid_params"
  /** over `data.limit` bytes */
  | "request_too_large"
  /** the answer is over `data.limit` bytes; what the method does was done */
  | "answer_too_large"
  /** over `data.limit` entries */
  | "batch_too_long"
  /** all `data.limit` connections are open */
  | "too_many_connections"
  /** WebSocket only */
  | "too_many_in_flight"
  /** over `data.limit` on this connection */
  | "too_many_subscriptions"
  /** a panic or another fault of the daemon */
  | "internal"
  /** `rpc.hello` with another protocol major */
  | "protocol_mismatch"
  /** no task of this id or name */
  | "unknown_task"
  /** a page: the listing has no row of the id `after` */
  | "unknown_place"
  /** several open tasks have this name */
  | "ambiguous_task"
  /** no run of this id or name */
  | "unknown_run"
  /** runs of several tasks have this name */
  | "ambiguous_run"
  /** the task has an active run already */
  | "run_active"
  /** the run has ended otherwise */
  | "run_over"
  /** not a policy that a loop run may have */
  | "invalid_policy"
  /** a run cannot end as active */
  | "invalid_status"
  /** no session of this name */
  | "unknown_session"
  /** neither a worker's folder nor a session of this name */
  | "unknown_worker"
  /** a worker or session of this name is there already */
  | "worker_exists"
  /** a file of a worker's folder cannot be read or written */
  | "worker_folder_invalid"
  /** another worker has the tmux session */
  | "tmux_session_taken"
  /** a terminal was opened for the worker before */
  | "already_opened"
  /** neither a name nor a task is given, or both */
  | "name_or_task_needed"
  /** archive: neither a task nor those that are over, or both */
  | "task_or_over"
  /** a wait for a new worker that is longer than a day */
  | "timeout_too_long"
  /** not a name that a session, task or run may have */
  | "invalid_name"
  /** not an id or key that a call may bring */
  | "invalid_id"
  /** a path with control characters, or one that is too long */
  | "invalid_path"
  /** the daemon has no file or memory left to look with */
  | "resources_exhausted"
  /** a number that is larger than the database can hold */
  | "number_too_large"
  /** a task without a goal */
  | "goal_needed"
  /** a registration names neither */
  | "pid_or_rollout_needed"
  /** not a process id */
  | "invalid_pid"
  /** no such process, or the session's process does not run */
  | "pid_dead"
  /** the process belongs to another user */
  | "pid_of_other_user"
  /** not a name that a tmux session may have */
  | "invalid_tmux_session"
  /** a path that is not absolute */
  | "relative_path"
  /** the file does not begin as a rollout does */
  | "rollout_invalid"
  /** the process holds no rollout; -32005 when it could not be looked into */
  | "rollout_not_found"
  /** the name is registered in the other role */
  | "role_differs"
  /** another session has this Codex session */
  | "thread_taken"
  /** the session was deregistered */
  | "session_gone"
  /** the session is in a pair */
  | "session_bound"
  /** finish, stop: the session works on another task now */
  | "session_bound_elsewhere"
  /** a worker was named where a manager belongs, or the reverse */
  | "wrong_role"
  /** the task has a pair already */
  | "task_bound"
  /** delete: the task was bound once */
  | "task_has_history"
  /** the task is done or failed */
  | "task_over"
  /** finish, stop: another caller is at it */
  | "task_being_finished"
  /** the task has no pair */
  | "not_bound"
  /** the message was queued for another pair */
  | "binding_changed"
  /** Codex has not written the rollout yet */
  | "rollout_pending"
  /** the rollout is shorter than what was read of it */
  | "rollout_shrunk"
  /** another reader has moved on in the file meanwhile; try again */
  | "rollout_read_elsewhere"
  /** the rollout file does not exist */
  | "rollout_missing"
  /** the rollout cannot be read */
  | "rollout_unreadable"
  /** the rollout is compressed and cannot be decompressed */
  | "rollout_corrupt"
  /** the session has no pane */
  | "no_tmux_session"
  /** its tmux session does not run */
  | "tmux_session_missing"
  /** its pane is another one now */
  | "tmux_pane_mismatch"
  /** Codex has ended in the pane */
  | "codex_exited"
  /** start: the name is active already */
  | "session_registered"
  /** start: another call starts this name now */
  | "start_under_way"
  /** start: one that was cut off had another role or folder, and its Codex runs */
  | "start_differs"
  /** pair: worker and manager have one name */
  | "same_name"
  /** start: the working directory is not there */
  | "cwd_missing"
  /** start: no codex on the caller's `PATH` */
  | "codex_missing"
  /** start: the caller names neither `CODEX_HOME` nor `HOME` */
  | "codex_home_unknown"
  /** start: `codex-NAME` is taken by something else */
  | "tmux_session_exists"
  /** start: the file of a long prompt could not be written */
  | "prompt_not_written"
  /** start: Codex asks whether the folder is trusted */
  | "needs_trust"
  /** start: Codex offers an update */
  | "update_offered"
  /** start: Codex asks to review hooks */
  | "hooks_review"
  /** start: Codex has no login */
  | "login_needed"
  /** start: Codex asks whether to implement a plan */
  | "plan_menu"
  /** start: Codex asks whether to switch the model */
  | "rate_limit_menu"
  /** start: Codex asks for an approval */
  | "approval_menu"
  /** start: Codex shows another menu */
  | "menu_open"
  /** start: no rollout in time */
  | "start_timed_out"
  /** start: the daemon ends; the same call goes on after that */
  | "daemon_ending"
  /** tmux is missing, denied, hung or refused */
  | "tmux_failed"
  /** not a tmux key name */
  | "unknown_key"
  /** the key was sent, the text after it was not */
  | "followup_failed"
  /** a queued message without text */
  | "blank_message"
  /** over 64 KiB */
  | "message_too_long"
  /** the key is held by another command */
  | "idempotency_conflict"
  /** not a permission */
  | "unknown_permission"
  /** the task's configuration does not grant it */
  | "permission_denied"
  /** configuration: a list of permissions has an entry that is no word */
  | "invalid_permissions"
  /** configuration: `if_revision` is not its revision; `revision` is */
  | "revision_differs"
  /** criteria: without a text */
  | "blank_criterion"
  /** criteria: the task has none with this id */
  | "unknown_criterion"
  /** a text over 64 KiB, as a parameter of any method */
  | "text_too_long"
  /** a JSON value over 1 MiB, as a parameter of any method */
  | "payload_too_large"
  /** criteria: those of the task would have over 2 MiB together */
  | "criteria_too_large"
  /** `continue_iteration` is not in this version */
  | "loops_unavailable"
  /** retry, discard, list: nothing has this id */
  | "unknown_delivery"
  /**
   * retry, discard: it is being sent, has arrived or delivers nothing; retry: it is still to be
   * sent
   */
  | "not_mendable"
  /** it was sent again; `retried_as` names by which command */
  | "already_retried"
  /** retry: it was discarded */
  | "already_discarded"
  /** retry: the text is not stored */
  | "not_retryable"
  /** retry, discard: somebody is just taking it from the inbox */
  | "item_lent"
  /** retry, discard: without a reason */
  | "blank_reason"
  /** retry, discard: a reason over 64 KiB */
  | "reason_too_long"
  /** list: not RFC 3339 */
  | "invalid_time"
  /** wait: neither a task nor a session */
  | "unknown_target"
  /** wait: the session has no such turn */
  | "unknown_turn"
  /** another dispatcher has taken the delivery over */
  | "claim_lost"
  /** no approval has this id */
  | "unknown_approval"
  /** the approval was answered, or is not asked for any more */
  | "approval_resolved"
  /** an answer is asked for, or the menu names no key: answer it in the pane */
  | "approval_needs_person"
  /** the pane shows only a part of what is asked, and the rest is not known */
  | "approval_cut"
  /** what the pane shows fits no call of the worker's thread, or several */
  | "approval_ambiguous"
  /** what is asked now is not what the approval shows */
  | "approval_changed"
  /** the session that asks is not the worker of this task */
  | "approval_of_another_task"
  /** no app-server of Codex has the session's thread, or it refused */
  | "no_app_server"
  /** Codex's app-server does not ask for this on our connection (any more) */
  | "approval_unreachable"
  /** finish, stop: the last message is held back by what the pane shows */
  | "held_by_pane"
  /** the lease of an inbox item ran out */
  | "unknown_lease"
  /** below 0 or over a day */
  | "invalid_timeout"
  /** not above 0 */
  | "invalid_interval"
  /** replay: below 0; divergences: below 0 or over 10000 */
  | "invalid_limit"
  /** db.doctor: below 0 */
  | "invalid_seconds"
  /** finish: below 0 or over 100000 */
  | "invalid_capture_lines"
  /** replay: a full transcript needs `include_content` */
  | "content_not_included"
  /** the gate of acknowledgements is closed */
  | "acknowledgements_required"
  /** the gate of criteria is closed */
  | "criteria_open"
  /** the gate of epilogue steps is closed */
  | "epilogue_incomplete"
  /** the gate of adversarial proof is closed */
  | "adversarial_proof_required"
  /** the named decision does not justify it */
  | "manager_decision_validation_failed"
  /** the last capture brought nothing new */
  | "transcript_segment_missing"
  /** a pane that is to be ended is not the registered one */
  | "identity_verification_failed"
  /** ending one session would end another too */
  | "shared_tmux_session"
  /** the file cannot be opened */
  | "database_unusable"
  /** the file is something else */
  | "not_a_database"
  /** the file belongs to another program */
  | "foreign_database"
  /** neither a state root nor a database is named */
  | "nothing_to_import"
  /** a file of a worker folder cannot be read or is no JSON object */
  | "invalid_worker_folder"
  /** the folder of workers that was named is not there */
  | "reference_folder_missing"
  /** there is no such file */
  | "reference_database_missing"
  /** the file is no database of agent-conveyor */
  | "reference_database_foreign"
  /** it is of a newer agent-conveyor than this version knows */
  | "reference_database_newer"
  /** its pages are damaged */
  | "reference_database_damaged"
  /** SQLite cannot open it */
  | "reference_database_unreadable"
  /** rows stand here with other content; `conflicts` lists them */
  | "import_conflict"
  /** what was written is not what was read; it was taken back */
  | "import_not_verified"
  /** the file is from a newer Conveyor */
  | "newer_database"
  /** a file of the daemon was removed or replaced while it served; it ends */
  | "state_replaced"
  /** nothing was written */
  | "disk_full"
  /** the file or its folder cannot be written */
  | "read_only_database"
  /** another program holds the database */
  | "database_busy"
  /** the disk did not do what it was told; nothing was written */
  | "database_io_failed"
  /** the file is corrupt; `db.doctor` tells more */
  | "database_damaged"
  /** the file is as it was */
  | "migration_failed"
  /** anything else of SQLite */
  | "database_error";

/** The daemon refused a call: `kind` tells programs why, `message` people, `hint` the way out where there is one. */
export class ConveyorError extends wire.Refusal {
  /** Whether it is of one of these kinds. */
  isKind(...kinds: Kind[]): boolean {
    return (kinds as (string | undefined)[]).includes(this.kind);
  }
}

/** -32001: What was named does not exist. */
export class NotFound extends ConveyorError {}

/** -32002: The present state does not allow it. */
export class Conflict extends ConveyorError {}

/** -32003: A rule or permission forbids it. */
export class Refused extends ConveyorError {}

/** -32004: The input is not valid. */
export class Invalid extends ConveyorError {}

/** -32005: Something that is needed is not there now. */
export class Unavailable extends ConveyorError {}

/** -32603: A fault of the daemon. */
export class Internal extends ConveyorError {}

const ERRORS: { readonly [code: number]: new (error: wire.ErrorObject) => ConveyorError } = {
  0: ConveyorError,
  [-32001]: NotFound,
  [-32002]: Conflict,
  [-32003]: Refused,
  [-32004]: Invalid,
  [-32005]: Unavailable,
  [-32603]: Internal,
};

/** Parameters of `rpc.hello`. */
export interface RpcHelloParams {
  /** The client's version, for the log. */
  client_version?: string | null;
  /** The protocol major that the client speaks; another than the daemon's is refused. */
  protocol?: number | null;
}

/** `rpc.*` */
export class RpcMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Say who calls and learn who answers.
   *
   * After a lost connection it is sent again.
   */
  hello(params: RpcHelloParams = {}): Promise<HelloResult> {
    return this.#transport.call("rpc.hello", params, { safe: "always" });
  }

  /**
   * Answer the OpenRPC document of this daemon.
   *
   * After a lost connection it is sent again.
   */
  discover(): Promise<unknown> {
    return this.#transport.call("rpc.discover", {}, { safe: "always" });
  }
}

/** `daemon.*` */
export class DaemonMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Tell how the daemon fares.
   *
   * After a lost connection it is sent again.
   */
  status(): Promise<DaemonStatusResult> {
    return this.#transport.call("daemon.status", {}, { safe: "always" });
  }

  /**
   * End the daemon after what is under way.
   *
   * After a lost connection `daemon.status` shows whether it was carried out.
   */
  stop(): Promise<DaemonStopResult> {
    return this.#transport.call("daemon.stop", {}, { safe: "never", lookAt: "daemon.status" });
  }
}

/** `config.*` */
export class ConfigMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Show the settings in force and where each came from.
   *
   * After a lost connection it is sent again.
   */
  show(): Promise<ConfigResult> {
    return this.#transport.call("config.show", {}, { safe: "always" });
  }
}

/** Parameters of `doctor.run`. */
export interface DoctorRunParams {
  /** Folder to look at; default: the caller's. */
  cwd?: string | null;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `doctor.self`. */
export interface DoctorSelfParams {
  /** tmux session that is looked at. Default: the session in which the caller runs. */
  session?: string | null;
  /** The circumstances of the caller, with its process id. */
  caller?: Caller;
}

/** `doctor.*` */
export class DoctorMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Check the tools that Conveyor needs.
   *
   * After a lost connection it is sent again.
   */
  run(params: DoctorRunParams = {}): Promise<DoctorResult> {
    return this.#transport.call("doctor.run", { caller: wire.caller(), ...params }, { safe: "always" });
  }

  /**
   * Tell whether the calling Codex session can register itself, and as what it is registered.
   *
   * After a lost connection it is sent again.
   */
  self(params: DoctorSelfParams = {}): Promise<SelfResult> {
    return this.#transport.call("doctor.self", { caller: wire.caller(), ...params }, { safe: "always" });
  }
}

/** Parameters of `discover.run`. */
export interface DiscoverRunParams {
  /** Text that is looked for, whatever its case; empty: everything. */
  query?: string;
  /** Also tasks that are over and sessions that are gone. */
  all?: boolean;
  /** Most entries of each section, 1 to 1000. */
  limit?: number;
  /** Show identity tokens instead of `[REDACTED]`. */
  show_identity_token?: boolean;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** `discover.*` */
export class DiscoverMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Find tasks, sessions, bindings and telemetry, and the next steps.
   *
   * After a lost connection it is sent again.
   */
  run(params: DiscoverRunParams = {}): Promise<DiscoverResult> {
    return this.#transport.call("discover.run", { caller: wire.caller(), ...params }, { safe: "always" });
  }
}

/** Parameters of `db.doctor`. */
export interface DbDoctorParams {
  /** Also hold the database against what runs. */
  live?: boolean;
  /** Age from which a manager is reported as not seen, in seconds. */
  manager_stale_seconds?: number;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** `db.*` */
export class DbMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Check the database, changing nothing.
   *
   * After a lost connection it is sent again.
   */
  doctor(params: DbDoctorParams = {}): Promise<DbDoctorResult> {
    return this.#transport.call("db.doctor", { caller: wire.caller(), ...params }, { safe: "always" });
  }
}

/** Parameters of `reconcile.run`. */
export interface ReconcileRunParams {
  /** Also repair what can be repaired without asking anybody. */
  apply?: boolean;
  /** Age of its newest completed cycle from which a bound task is stuck, in seconds. */
  stale_cycles_seconds?: number;
}

/** `reconcile.*` */
export class ReconcileMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Tell where the database and what runs no longer agree, and repair it where that is safe.
   *
   * After a lost connection it is sent again when `apply` is not set; else `reconcile.run`
   * shows whether it was carried out.
   */
  run(params: ReconcileRunParams = {}): Promise<ReconcileResult> {
    return this.#transport.call("reconcile.run", params, { safe: "if", any: [{ unset: "apply" }], lookAt: "reconcile.run" });
  }
}

/** Parameters of `compat.import`. */
export interface CompatImportParams {
  /** Also write. Otherwise it is only told what would be written. */
  apply?: boolean;
  /**
   * Absolute path of a state root of the reference: its worker folders, and its `workerctl.db`
   * where it has one.
   */
  root?: string | null;
  /** Only the folder of this worker; then no database is taken from `root`. */
  worker?: string | null;
  /** Absolute path of a database of the reference, instead of the one in `root`. */
  database?: string | null;
}

/** `compat.*` */
export class CompatMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Bring over worker folders and a database of agent-conveyor 0.1.0.
   *
   * After a lost connection it is sent again when `apply` is not set; else `compat.import`
   * shows whether it was carried out.
   */
  import(params: CompatImportParams = {}): Promise<ImportResult> {
    return this.#transport.call("compat.import", params, { safe: "if", any: [{ unset: "apply" }], lookAt: "compat.import" });
  }
}

/** Parameters of `session.register`. */
export interface SessionRegisterParams {
  /** Name: letters, digits, `-`, `_`, at most 64. */
  name: string;
  /** Worker or manager; a registered name keeps its role for ever. */
  role: Role;
  /** Process of Codex, or one above it. Needed when no rollout is given. */
  pid?: number | null;
  /** Rollout file, absolute. Needed when no process is given. */
  codex_session?: string | null;
  /** Working directory; default: that of the rollout. */
  cwd?: string | null;
  /** tmux session in which Codex runs. */
  tmux_session?: string | null;
  /** Take the Codex session over from another active session that has it. */
  replace?: boolean;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `session.deregister`. */
export interface SessionDeregisterParams {
  /** Name of the session. */
  name: string;
}

/** Parameters of `session.rename`. */
export interface SessionRenameParams {
  /** Name of the session now. */
  name: string;
  /** Its new name, which no other session, worker or start may have. */
  new_name: string;
  /** Rename the session's tmux session too, to `codex-NEW_NAME`. */
  tmux?: boolean;
}

/** Parameters of `session.stop`. */
export interface SessionStopParams {
  /** Name of the session. */
  name: string;
  /** Text to the session before its tmux session is ended. */
  message?: string | null;
  /**
   * Also when it is bound, which ends the binding, or shares its tmux session with another
   * active session.
   */
  force?: boolean;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `session.start`. */
export interface SessionStartParams {
  /** Name: letters, digits, `-`, `_`, at most 64. The tmux session is called `codex-NAME`. */
  name: string;
  /** Worker or manager. */
  role: Role;
  /** Working directory, absolute. Default: the caller's. */
  cwd?: string | null;
  /** First prompt of a worker. */
  prompt?: string | null;
  /** A manager's task, by name or id, for its prompt; it need not exist. */
  task?: string | null;
  /** The goal in a manager's prompt. Default: that of the task. */
  task_goal?: string | null;
  /** The worker in a manager's prompt. Default: the worker that is bound to the task. */
  worker?: string | null;
  /** How Codex is to run. */
  codex?: CodexOptions;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `session.list`. */
export interface SessionListParams {
  /** Only sessions of this role. */
  role?: Role | null;
  /** Only sessions of this state. Default: active sessions. */
  state?: StateFilter | null;
  /** Also those that only a legacy worker record knows. */
  include_legacy?: boolean;
  /** Only sessions of these names; empty for all. */
  names?: string[];
  /** Show identity tokens instead of `[REDACTED]`. */
  show_identity_token?: boolean;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
  /** Which part of the listing. */
  page?: Page;
}

/** Parameters of `session.nudge`. */
export interface SessionNudgeParams {
  /** Name of the session. */
  name: string;
  /** Text to send; an empty text presses Enter only. */
  text: string;
  /** Resolve the target and record, send nothing. */
  dry_run?: boolean;
  /** Clear a draft in the composer first instead of holding the text back. */
  clear_draft?: boolean;
  /** By which way the text goes. */
  transport?: Transport;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `session.interrupt`. */
export interface SessionInterruptParams {
  /** Name of the session. */
  name: string;
  /**
   * tmux name of the key. Default: the key that interrupts what runs in the pane (Escape for
   * Codex, sent only when it is busy; C-c for anything else).
   */
  key?: string | null;
  /** Text to send afterwards. */
  followup?: string | null;
  /** Resolve the target and record, send nothing. */
  dry_run?: boolean;
  /** Which way it goes; not the inbox. */
  transport?: Transport;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** `session.*` */
export class SessionMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Register a Codex session as worker or manager.
   *
   * After a lost connection it is sent again.
   */
  register(params: SessionRegisterParams): Promise<RegisterResult> {
    return this.#transport.call("session.register", { caller: wire.caller(), ...params }, { safe: "always" });
  }

  /**
   * Mark a session as gone; no process is ended.
   *
   * After a lost connection it is sent again.
   */
  deregister(params: SessionDeregisterParams): Promise<DeregisterResult> {
    return this.#transport.call("session.deregister", params, { safe: "always" });
  }

  /**
   * Give a session another name; its tasks, history and inbox stay with it.
   *
   * After a lost connection `session.list` shows whether it was carried out.
   */
  rename(params: SessionRenameParams): Promise<RenameResult> {
    return this.#transport.call("session.rename", params, { safe: "never", lookAt: "session.list" });
  }

  /**
   * End a session's tmux session and mark the session as gone.
   *
   * After a lost connection `session.list` shows whether it was carried out.
   */
  stop(params: SessionStopParams): Promise<SessionStopResult> {
    return this.#transport.call("session.stop", { caller: wire.caller(), ...params }, { safe: "never", lookAt: "session.list" });
  }

  /**
   * Start Codex in a tmux session of its own and register it.
   *
   * After a lost connection `reconcile.run` shows whether it was carried out.
   */
  start(params: SessionStartParams): Promise<SessionStartResult> {
    return this.#transport.call("session.start", { caller: wire.caller(), ...params }, { safe: "never", lookAt: "reconcile.run" });
  }

  /**
   * List registered sessions.
   *
   * After a lost connection it is sent again.
   */
  list(params: SessionListParams = {}): Promise<SessionRow[]> {
    return this.#transport.call("session.list", { caller: wire.caller(), ...params }, { safe: "always" });
  }

  /**
   * Send a text to a session's pane and wait for its receipt.
   *
   * After a lost connection it is sent again when `dry_run` is set; else `rollout.tail` shows
   * whether it was carried out.
   */
  nudge(params: SessionNudgeParams): Promise<NudgeResult> {
    return this.#transport.call("session.nudge", { caller: wire.caller(), ...params }, { safe: "if", any: [{ set: "dry_run" }], lookAt: "rollout.tail" });
  }

  /**
   * Interrupt what runs in a session's pane.
   *
   * After a lost connection it is sent again when `dry_run` is set; else `session.list` shows
   * whether it was carried out.
   */
  interrupt(params: SessionInterruptParams): Promise<InterruptResult> {
    return this.#transport.call("session.interrupt", { caller: wire.caller(), ...params }, { safe: "if", any: [{ set: "dry_run" }], lookAt: "session.list" });
  }
}

/** Parameters of `worker.list`. */
export interface WorkerListParams {
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `worker.create`. */
export interface WorkerCreateParams {
  /** Name: letters, digits, `-`, `_`, at most 64. */
  name: string;
  /** Working directory, absolute. Default: the caller's. */
  cwd?: string | null;
  /** What it is to do; without one it waits for a task. */
  task?: string | null;
  /** Use the folder of an earlier worker of this name. Its token is replaced. */
  reuse?: boolean;
  /** Give the worker its contract as first prompt. */
  initial_prompt?: boolean;
  /** Further arguments for Codex, before its prompt. */
  codex_args?: string[];
  /** Answer the question whether the folder is trusted, if Codex asks it. */
  accept_trust?: boolean;
  /** Wait until Codex takes input, asks something or ends. */
  wait_ready?: boolean;
  /** How long, in seconds. Default 30. */
  wait_ready_timeout?: number;
  /** Wait until the worker reports something. */
  verify?: boolean;
  /** How long, in seconds. Default 60. */
  verify_timeout?: number;
  /** End its tmux session at the end. */
  stop_after?: boolean;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `worker.start`. */
export interface WorkerStartParams {
  /** Name of the tmux session: letters, digits, `-`, `_`, at most 64. */
  session: string;
  /** Working directory, absolute. Default: the caller's. */
  cwd?: string | null;
  /** Tell Codex in its first prompt how it becomes a worker. */
  start_prompt?: boolean;
  /** Arguments that Codex is started with. */
  codex_args?: string[];
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `worker.status`. */
export interface WorkerStatusParams {
  /** Name of the worker. */
  name: string;
  /** Capture the worker's pane first. */
  refresh?: boolean;
  /** Rows of scrollback to capture. */
  lines?: number;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `worker.update_status`. */
export interface WorkerUpdateStatusParams {
  /** Name of the worker. */
  name: string;
  /** What the worker is at. */
  state: WorkState;
  /** What the worker works on. */
  current_task: string;
  /** What the worker does next. */
  next_action: string;
  /** What blocks the worker. */
  blocker?: string | null;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `worker.idle_check`. */
export interface WorkerIdleCheckParams {
  /** Name of the worker. */
  name: string;
  /** Capture the worker's pane first. */
  refresh?: boolean;
  /** Rows of scrollback to capture. */
  lines?: number;
  /** Age in seconds from which a status is stale. Default 120. */
  status_stale_seconds?: number;
  /** Age in seconds from which an unchanged pane is stale. Default 120. */
  terminal_stale_seconds?: number;
  /** Age in seconds of the status from which a prompt in the pane is notable. Default 90. */
  busy_wait_seconds?: number;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `worker.events`. */
export interface WorkerEventsParams {
  /** Name of the worker. */
  name: string;
  /** Only events of this type. */
  kind?: string | null;
  /** Only the last so many; 0 for all. */
  limit?: number | null;
}

/** Parameters of `worker.capture`. */
export interface WorkerCaptureParams {
  /** Name of the worker. */
  name: string;
  /** Rows of scrollback to capture. */
  lines?: number;
  /** Answer the text of the pane too. */
  include_content?: boolean;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `worker.nudge`. */
export interface WorkerNudgeParams {
  /** Name of the worker. */
  name: string;
  /** Text to send; an empty text presses Enter only. */
  message: string;
  /** By which way the text goes. */
  transport?: Transport;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `worker.interrupt`. */
export interface WorkerInterruptParams {
  /** Name of the worker. */
  name: string;
  /**
   * tmux name of the key. Default: the key that interrupts what runs in the pane, as in
   * `session.interrupt`.
   */
  key?: string | null;
  /** Text to send afterwards. Default: a request to pause and to report the status. */
  followup?: string | null;
  /** Send no text after the key. */
  no_followup?: boolean;
  /** Look whether it runs, and send nothing. */
  dry_run?: boolean;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `worker.stop`. */
export interface WorkerStopParams {
  /** Name of the session. */
  name: string;
  /** Text to the session before its tmux session is ended. */
  message?: string | null;
  /**
   * Also when it is bound, which ends the binding, or shares its tmux session with another
   * active session.
   */
  force?: boolean;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `worker.attach`. */
export interface WorkerAttachParams {
  /** Name of a worker or session. Either this or a task. */
  name?: string | null;
  /** Task, by id or name, whose worker or manager is meant. */
  task?: string | null;
  /** Which side of the task. Default: the worker. */
  role?: Role | null;
  /** Also when a window was opened for the worker before. */
  force?: boolean;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `worker.opened`. */
export interface WorkerOpenedParams {
  /** Name of the worker. */
  name: string;
  /** Name of the terminal that was started. */
  terminal: string;
  /** Whether the terminal could be started. */
  launched: boolean;
  /** Whether a window was opened before, and this one was asked for all the same. */
  forced?: boolean;
}

/** `worker.*` */
export class WorkerMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * List the workers: folders of the state root, and registered sessions.
   *
   * After a lost connection it is sent again.
   */
  list(params: WorkerListParams = {}): Promise<WorkerRow[]> {
    return this.#transport.call("worker.list", { caller: wire.caller(), ...params }, { safe: "always" });
  }

  /**
   * Start a Codex as a worker with a folder of its own.
   *
   * After a lost connection `worker.list` shows whether it was carried out.
   */
  create(params: WorkerCreateParams): Promise<CreateWorkerResult> {
    return this.#transport.call("worker.create", { caller: wire.caller(), ...params }, { safe: "never", lookAt: "worker.list" });
  }

  /**
   * Start a plain Codex in tmux, for later registration.
   *
   * After a lost connection `worker.list` shows whether it was carried out.
   */
  start(params: WorkerStartParams): Promise<WorkerStartResult> {
    return this.#transport.call("worker.start", { caller: wire.caller(), ...params }, { safe: "never", lookAt: "worker.list" });
  }

  /**
   * Tell what a worker said last and whether it runs.
   *
   * After a lost connection it is sent again.
   */
  status(params: WorkerStatusParams): Promise<WorkerStatusResult> {
    return this.#transport.call("worker.status", { caller: wire.caller(), ...params }, { safe: "always" });
  }

  /**
   * Report what a worker is at.
   *
   * After a lost connection it is sent again.
   */
  updateStatus(params: WorkerUpdateStatusParams): Promise<UpdatedStatus> {
    return this.#transport.call("worker.update_status", { caller: wire.caller(), ...params }, { safe: "always" });
  }

  /**
   * Judge how a worker fares by its status and its pane.
   *
   * After a lost connection it is sent again.
   */
  idleCheck(params: WorkerIdleCheckParams): Promise<IdleCheck> {
    return this.#transport.call("worker.idle_check", { caller: wire.caller(), ...params }, { safe: "always" });
  }

  /**
   * Show the events of a worker's file.
   *
   * After a lost connection it is sent again.
   */
  events(params: WorkerEventsParams): Promise<EventsResult> {
    return this.#transport.call("worker.events", params, { safe: "always" });
  }

  /**
   * Capture the pane of a worker.
   *
   * After a lost connection it is sent again.
   */
  capture(params: WorkerCaptureParams): Promise<CaptureResult> {
    return this.#transport.call("worker.capture", { caller: wire.caller(), ...params }, { safe: "always" });
  }

  /**
   * Send a text to a worker's pane and wait for its receipt.
   *
   * After a lost connection `rollout.tail` shows whether it was carried out.
   */
  nudge(params: WorkerNudgeParams): Promise<NudgeWorkerResult> {
    return this.#transport.call("worker.nudge", { caller: wire.caller(), ...params }, { safe: "never", lookAt: "rollout.tail" });
  }

  /**
   * Interrupt what runs in a worker's pane, and ask it for its status.
   *
   * After a lost connection it is sent again when `dry_run` is set; else `worker.list` shows
   * whether it was carried out.
   */
  interrupt(params: WorkerInterruptParams): Promise<InterruptWorkerResult> {
    return this.#transport.call("worker.interrupt", { caller: wire.caller(), ...params }, { safe: "if", any: [{ set: "dry_run" }], lookAt: "worker.list" });
  }

  /**
   * End a worker's or session's tmux session.
   *
   * After a lost connection `worker.list` shows whether it was carried out.
   */
  stop(params: WorkerStopParams): Promise<SessionStopResult> {
    return this.#transport.call("worker.stop", { caller: wire.caller(), ...params }, { safe: "never", lookAt: "worker.list" });
  }

  /**
   * Tell how a terminal is attached to a worker, a session, or one side of a task.
   *
   * After a lost connection it is sent again.
   */
  attach(params: WorkerAttachParams = {}): Promise<AttachResult> {
    return this.#transport.call("worker.attach", { caller: wire.caller(), ...params }, { safe: "always" });
  }

  /**
   * Remember that a terminal was opened for a worker.
   *
   * After a lost connection it is sent again.
   */
  opened(params: WorkerOpenedParams): Promise<Empty> {
    return this.#transport.call("worker.opened", params, { safe: "always" });
  }
}

/** Parameters of `task.create`. */
export interface TaskCreateParams {
  /** Name; may repeat, must have no control characters. */
  name: string;
  /** What the task is to reach. */
  goal: string;
  /** More about the task. */
  summary?: string | null;
}

/** Parameters of `task.list`. */
export interface TaskListParams {
  /** Only tasks that are not over. */
  active?: boolean;
  /** The archived tasks instead of those that are not. */
  archived?: boolean;
  /** Which part of the listing. */
  page?: Page;
}

/** Parameters of `task.archive`. */
export interface TaskArchiveParams {
  /** The task, by name or id. */
  task?: string | null;
  /** All tasks that are done or failed. */
  over?: boolean;
}

/** Parameters of `task.restore`. */
export interface TaskRestoreParams {
  /** The task, by name or id. */
  task: string;
}

/** Parameters of `task.delete`. */
export interface TaskDeleteParams {
  /** The task, by name or id. */
  task: string;
}

/** Parameters of `task.finish`. */
export interface TaskFinishParams {
  /** Task, by id or name. */
  task: string;
  /** Reason of the final decision. */
  reason?: string | null;
  /** End the manager's tmux session. */
  stop_manager?: boolean;
  /** End the worker's tmux session. */
  stop_worker?: boolean;
  /** Text to the worker before it is ended. */
  message?: string | null;
  /** The manager's recorded decision to stop. */
  decision_id?: number | null;
  /** Refuse without a valid decision of the manager. */
  strict_decisions?: boolean;
  /** Refuse while a criterion is accepted and not satisfied. */
  require_criteria_audit?: boolean;
  /** Refuse without current acknowledgements of both roles. */
  require_acks?: boolean;
  /** Refuse until each configured epilogue step has succeeded. */
  require_epilogue?: boolean;
  /** Refuse without structured adversarial proof. */
  require_adversarial_proof?: boolean;
  /** Store the panes that are about to be ended. */
  capture_transcript_before_stop?: boolean;
  /** How much of the panes is stored. */
  capture_transcript_mode?: CaptureMode;
  /** Rows of scrollback to store. */
  capture_transcript_lines?: number;
  /** Refuse when a capture brings nothing new. */
  require_transcript_segment?: boolean;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `task.stop`. */
export interface TaskStopParams {
  /** Task, by id or name. */
  task: string;
  /** Why the task is ended. */
  reason?: string | null;
  /** End the worker's tmux session too. */
  stop_worker?: boolean;
  /** Text to the worker before it is ended. */
  message?: string | null;
  /** The manager's recorded decision to stop. */
  decision_id?: number | null;
  /** Refuse without a valid decision of the manager. */
  strict_decisions?: boolean;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `task.audit`. */
export interface TaskAuditParams {
  /** Task, by id or name. */
  task: string;
  /** Show the texts of panes. */
  include_content?: boolean;
}

/** Parameters of `task.audit_rows`. */
export interface TaskAuditRowsParams {
  /** Task, by id or name. */
  task: string;
  /** Which list of the audit. */
  section: AuditSection;
  /**
   * Only the rows after these: the member `next` of the answer before. From the beginning
   * without it.
   */
  after?: unknown[] | null;
  /** Show the texts of panes. */
  include_content?: boolean;
}

/** Parameters of `task.replay`. */
export interface TaskReplayParams {
  /** Task, by id or name. */
  task: string;
  /** How much is shown. */
  format?: ReplayFormat;
  /** Whose entries are shown. */
  role?: ReplayRole;
  /** The last so many; none or 0 means all. */
  limit?: number | null;
  /** Show the texts of panes; needed for the full transcript. */
  include_content?: boolean;
}

/** `task.*` */
export class TaskMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Create a task.
   *
   * After a lost connection `task.list` shows whether it was carried out.
   */
  create(params: TaskCreateParams): Promise<CreateResult> {
    return this.#transport.call("task.create", params, { safe: "never", lookAt: "task.list" });
  }

  /**
   * List tasks.
   *
   * After a lost connection it is sent again.
   */
  list(params: TaskListParams = {}): Promise<TaskRow[]> {
    return this.#transport.call("task.list", params, { safe: "always" });
  }

  /**
   * Put a task away, or all that are over: listings leave them out.
   *
   * After a lost connection it is sent again.
   */
  archive(params: TaskArchiveParams = {}): Promise<ArchiveResult> {
    return this.#transport.call("task.archive", params, { safe: "always" });
  }

  /**
   * Take a task out of the archive.
   *
   * After a lost connection it is sent again.
   */
  restore(params: TaskRestoreParams): Promise<RestoreResult> {
    return this.#transport.call("task.restore", params, { safe: "always" });
  }

  /**
   * Delete a task that never was bound.
   *
   * After a lost connection `task.list` shows whether it was carried out.
   */
  delete(params: TaskDeleteParams): Promise<DeleteResult> {
    return this.#transport.call("task.delete", params, { safe: "never", lookAt: "task.list" });
  }

  /**
   * Mark a task as done, with the gates that are asked for.
   *
   * After a lost connection `task.list` shows whether it was carried out.
   */
  finish(params: TaskFinishParams): Promise<FinishResult> {
    return this.#transport.call("task.finish", { caller: wire.caller(), ...params }, { safe: "never", lookAt: "task.list" });
  }

  /**
   * End a task and its manager without gates.
   *
   * After a lost connection `task.list` shows whether it was carried out.
   */
  stop(params: TaskStopParams): Promise<TaskEnd> {
    return this.#transport.call("task.stop", { caller: wire.caller(), ...params }, { safe: "never", lookAt: "task.list" });
  }

  /**
   * Show everything stored about a task.
   *
   * After a lost connection it is sent again.
   */
  audit(params: TaskAuditParams): Promise<AuditResult> {
    return this.#transport.call("task.audit", params, { safe: "always" });
  }

  /**
   * Show some rows of one list of a task's audit: a long audit is more than one answer holds.
   *
   * After a lost connection it is sent again.
   */
  auditRows(params: TaskAuditRowsParams): Promise<AuditRowsResult> {
    return this.#transport.call("task.audit_rows", params, { safe: "always" });
  }

  /**
   * Show a task's history in order.
   *
   * After a lost connection it is sent again.
   */
  replay(params: TaskReplayParams): Promise<ReplayResult> {
    return this.#transport.call("task.replay", params, { safe: "always" });
  }
}

/** Parameters of `overview.show`. */
export interface OverviewShowParams {
  /** Only this task, by name or id. */
  task?: string | null;
  /** Also tasks that are over. */
  all?: boolean;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** `overview.*` */
export class OverviewMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Show where every task and session stands; nothing is consumed.
   *
   * After a lost connection it is sent again.
   */
  show(params: OverviewShowParams = {}): Promise<Overview> {
    return this.#transport.call("overview.show", { caller: wire.caller(), ...params }, { safe: "always" });
  }
}

/** Parameters of `binding.create`. */
export interface BindingCreateParams {
  /** Task, by id or name. */
  task: string;
  /** Name of the worker session. */
  worker: string;
  /** Name of the manager session. */
  manager: string;
  /** Bind even though the task is over. */
  force?: boolean;
  /** Also route completions that were stored before the binding. */
  route_stored?: boolean;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `binding.end`. */
export interface BindingEndParams {
  /** Task, by id or name. */
  task: string;
}

/** `binding.*` */
export class BindingMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Tie a worker and a manager to a task.
   *
   * After a lost connection `task.audit` shows whether it was carried out.
   */
  create(params: BindingCreateParams): Promise<BindResult> {
    return this.#transport.call("binding.create", { caller: wire.caller(), ...params }, { safe: "never", lookAt: "task.audit" });
  }

  /**
   * End a task's binding.
   *
   * After a lost connection `task.audit` shows whether it was carried out.
   */
  end(params: BindingEndParams): Promise<UnbindResult> {
    return this.#transport.call("binding.end", params, { safe: "never", lookAt: "task.audit" });
  }
}

/** Parameters of `pair.create`. */
export interface PairCreateParams {
  /** Task, by name or id; made when there is none and a goal is given. */
  task: string;
  /** Name of the worker's session. */
  worker_name: string;
  /** Name of the manager's session. */
  manager_name: string;
  /** Working directory of both, absolute. Default: the caller's. */
  cwd?: string | null;
  /** First prompt of the worker. */
  task_prompt?: string | null;
  /** Goal of a task that is made. */
  task_goal?: string | null;
  /** Summary of a task that is made. */
  task_summary?: string | null;
  /**
   * What changes of the manager's configuration; without any a task that has none gets the
   * default.
   */
  config?: ConfigChange;
  /** How both Codex sessions are to run. */
  codex?: CodexOptions;
  /** Leave Dispatch as it is, and do not see to it that it runs. */
  no_dispatch?: boolean;
  /** Id of the dispatcher that is asked for; empty for none. Default: `dispatch-pair`. */
  dispatcher_id?: string | null;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `pair.plan`. */
export interface PairPlanParams {
  /** Task, by name or id; made when there is none and a goal is given. */
  task: string;
  /** Name of the worker's session. */
  worker_name: string;
  /** Name of the manager's session. */
  manager_name: string;
  /** Working directory of both, absolute. Default: the caller's. */
  cwd?: string | null;
  /** First prompt of the worker. */
  task_prompt?: string | null;
  /** Goal of a task that is made. */
  task_goal?: string | null;
  /** Summary of a task that is made. */
  task_summary?: string | null;
  /**
   * What changes of the manager's configuration; without any a task that has none gets the
   * default.
   */
  config?: ConfigChange;
  /** How both Codex sessions are to run. */
  codex?: CodexOptions;
  /** Leave Dispatch as it is, and do not see to it that it runs. */
  no_dispatch?: boolean;
  /** Id of the dispatcher that is asked for; empty for none. Default: `dispatch-pair`. */
  dispatcher_id?: string | null;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** `pair.*` */
export class PairMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Start a worker and a manager for a task, bind them and see that messages are delivered
   * between them.
   *
   * After a lost connection it is sent again.
   */
  create(params: PairCreateParams): Promise<PairResult> {
    return this.#transport.call("pair.create", { caller: wire.caller(), ...params }, { safe: "always" });
  }

  /**
   * Tell what a pair would be, checking nothing.
   *
   * After a lost connection it is sent again.
   */
  plan(params: PairPlanParams): Promise<PairPlanResult> {
    return this.#transport.call("pair.plan", { caller: wire.caller(), ...params }, { safe: "always" });
  }
}

/** Parameters of `manager_config.set`. */
export interface ManagerConfigSetParams {
  /** Task, by name or id. */
  task: string;
  /**
   * What changes. Nothing at all creates the default configuration where there is none, else it
   * writes nothing.
   */
  change?: ConfigChange;
  /** Refuse when the configuration has another revision; 0 stands for none yet. */
  if_revision?: number | null;
}

/** Parameters of `manager_config.questions`. */
export interface ManagerConfigQuestionsParams {
  /** Task, by name or id. */
  task: string;
  /** The caller, for the command line in the answer. */
  caller?: Caller;
}

/** Parameters of `manager_config.check_permission`. */
export interface ManagerConfigCheckPermissionParams {
  /** Task, by name or id. */
  task: string;
  /** The permission, as `category.action` or by an alias. */
  action: string;
  /** Ask for a recorded handoff too. */
  require_handoff?: boolean;
}

/** Parameters of `manager_config.list_permissions`. */
export interface ManagerConfigListPermissionsParams {
  /** Task, by name or id. */
  task: string;
  /** Name of the category. */
  category: string;
  /** Recorded with the question; a list needs no handoff. */
  require_handoff?: boolean;
}

/** `manager_config.*` */
export class ManagerConfigMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Create or change the manager's configuration of a task.
   *
   * After a lost connection it is sent again when `if_revision` is not set; else
   * `manager_config.questions` shows whether it was carried out.
   */
  set(params: ManagerConfigSetParams): Promise<SetManagerConfigResult> {
    return this.#transport.call("manager_config.set", params, { safe: "if", any: [{ unset: "if_revision" }], lookAt: "manager_config.questions" });
  }

  /**
   * Show the questions that lead to a configuration, with the present answers.
   *
   * After a lost connection it is sent again.
   */
  questions(params: ManagerConfigQuestionsParams): Promise<QuestionsResult> {
    return this.#transport.call("manager_config.questions", { caller: wire.caller(), ...params }, { safe: "always" });
  }

  /**
   * Tell whether the configuration of a task grants a permission, and record that it was asked.
   *
   * After a lost connection it is sent again.
   */
  checkPermission(params: ManagerConfigCheckPermissionParams): Promise<PermissionResult> {
    return this.#transport.call("manager_config.check_permission", params, { safe: "always" });
  }

  /**
   * List what the configuration of a task grants in a category, and record that it was asked.
   *
   * After a lost connection it is sent again.
   */
  listPermissions(params: ManagerConfigListPermissionsParams): Promise<PermissionResult> {
    return this.#transport.call("manager_config.list_permissions", params, { safe: "always" });
  }
}

/** Parameters of `criteria.list`. */
export interface CriteriaListParams {
  /** Task, by name or id. */
  task: string;
  /** Only criteria of these statuses; empty for all. */
  statuses?: CriterionStatus[];
  /** Which part of the listing. */
  page?: Page;
}

/** Parameters of `criteria.add`. */
export interface CriteriaAddParams {
  /** Task, by name or id. */
  task: string;
  /**
   * Text of the criterion. A text that the task has from the same source already is not added
   * again.
   */
  criterion: string;
  /** Who came up with the criterion. */
  source: CriterionSource;
  /** Where the criterion stands at first. */
  status?: CriterionStatus;
  /** What proves that the criterion is satisfied. */
  proof?: string | null;
  /** Why it stands where it stands. */
  rationale?: string | null;
  /** What proves that the criterion is satisfied, for programs. */
  evidence?: { [key: string]: unknown } | null;
  /** Leave the list of all criteria out of the answer. */
  brief?: boolean;
}

/** Parameters of `criteria.accept`. */
export interface CriteriaAcceptParams {
  /** Task, by name or id. */
  task: string;
  /** Id of the criterion. */
  id: number;
  /** What proves it; this, rationale and evidence stay as they are where they are not given. */
  proof?: string | null;
  /** Why it stands where it stands. */
  rationale?: string | null;
  /** What proves it, for programs; replaced as a whole. */
  evidence?: { [key: string]: unknown } | null;
  /** Leave the list of all criteria out of the answer. */
  brief?: boolean;
}

/** Parameters of `criteria.satisfy`. */
export interface CriteriaSatisfyParams {
  /** Task, by name or id. */
  task: string;
  /** Id of the criterion. */
  id: number;
  /** What proves it; this, rationale and evidence stay as they are where they are not given. */
  proof?: string | null;
  /** Why it stands where it stands. */
  rationale?: string | null;
  /** What proves it, for programs; replaced as a whole. */
  evidence?: { [key: string]: unknown } | null;
  /** Leave the list of all criteria out of the answer. */
  brief?: boolean;
}

/** Parameters of `criteria.defer`. */
export interface CriteriaDeferParams {
  /** Task, by name or id. */
  task: string;
  /** Id of the criterion. */
  id: number;
  /** What proves it; this, rationale and evidence stay as they are where they are not given. */
  proof?: string | null;
  /** Why it stands where it stands. */
  rationale?: string | null;
  /** What proves it, for programs; replaced as a whole. */
  evidence?: { [key: string]: unknown } | null;
  /** Leave the list of all criteria out of the answer. */
  brief?: boolean;
}

/** Parameters of `criteria.reject`. */
export interface CriteriaRejectParams {
  /** Task, by name or id. */
  task: string;
  /** Id of the criterion. */
  id: number;
  /** What proves it; this, rationale and evidence stay as they are where they are not given. */
  proof?: string | null;
  /** Why it stands where it stands. */
  rationale?: string | null;
  /** What proves it, for programs; replaced as a whole. */
  evidence?: { [key: string]: unknown } | null;
  /** Leave the list of all criteria out of the answer. */
  brief?: boolean;
}

/** Parameters of `criteria.plan`. */
export interface CriteriaPlanParams {
  /** Task, by name or id. */
  task: string;
  /** Text that the worker wrote. */
  text: string;
  /** The caller, for the command lines in the answer. */
  caller?: Caller;
  /** What each of the command lines ends in: the options that name the daemon. */
  options?: string[];
}

/** `criteria.*` */
export class CriteriaMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * List the criteria of a task.
   *
   * After a lost connection it is sent again.
   */
  list(params: CriteriaListParams): Promise<ListCriteriaResult> {
    return this.#transport.call("criteria.list", params, { safe: "always" });
  }

  /**
   * Add a criterion.
   *
   * After a lost connection it is sent again.
   */
  add(params: CriteriaAddParams): Promise<CriterionResult> {
    return this.#transport.call("criteria.add", params, { safe: "always" });
  }

  /**
   * Accept a criterion: the task must satisfy it.
   *
   * After a lost connection it is sent again.
   */
  accept(params: CriteriaAcceptParams): Promise<CriterionResult> {
    return this.#transport.call("criteria.accept", params, { safe: "always" });
  }

  /**
   * Mark a criterion as satisfied.
   *
   * After a lost connection it is sent again.
   */
  satisfy(params: CriteriaSatisfyParams): Promise<CriterionResult> {
    return this.#transport.call("criteria.satisfy", params, { safe: "always" });
  }

  /**
   * Put a criterion off to later work.
   *
   * After a lost connection it is sent again.
   */
  defer(params: CriteriaDeferParams): Promise<CriterionResult> {
    return this.#transport.call("criteria.defer", params, { safe: "always" });
  }

  /**
   * Reject a criterion.
   *
   * After a lost connection it is sent again.
   */
  reject(params: CriteriaRejectParams): Promise<CriterionResult> {
    return this.#transport.call("criteria.reject", params, { safe: "always" });
  }

  /**
   * Read proposals for criteria out of a worker's text; nothing is written.
   *
   * After a lost connection it is sent again.
   */
  plan(params: CriteriaPlanParams): Promise<PlanCriteriaResult> {
    return this.#transport.call("criteria.plan", { caller: wire.caller(), ...params }, { safe: "always" });
  }
}

/** Parameters of `handoff.record`. */
export interface HandoffRecordParams {
  /** Task, by name or id. */
  task: string;
  /** What the worker has done. */
  summary: string;
  /** What comes next, step by step. */
  next_steps?: string[];
  /** More, for programs. */
  payload?: { [key: string]: unknown };
}

/** `handoff.*` */
export class HandoffMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Record how far a worker has come.
   *
   * After a lost connection `task.audit` shows whether it was carried out.
   */
  record(params: HandoffRecordParams): Promise<Handoff> {
    return this.#transport.call("handoff.record", params, { safe: "never", lookAt: "task.audit" });
  }
}

/** Parameters of `ack.record`. */
export interface AckRecordParams {
  /** Task, by name or id. */
  task: string;
  /** Which side acknowledges. */
  role: Role;
  /** What is acknowledged; nothing inside is looked at. */
  payload: { [key: string]: unknown };
  /** Id under which what belongs together is found again. */
  correlation_id?: string | null;
}

/** Parameters of `ack.show`. */
export interface AckShowParams {
  /** Task, by name or id. */
  task: string;
  /** Which side's acknowledgement is shown. */
  role: Role;
}

/** `ack.*` */
export class AckMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Record that a worker or manager acknowledges the contract of its task.
   *
   * After a lost connection `ack.show` shows whether it was carried out.
   */
  record(params: AckRecordParams): Promise<Acknowledgement> {
    return this.#transport.call("ack.record", params, { safe: "never", lookAt: "ack.show" });
  }

  /**
   * Show the newest acknowledgement of a worker or manager.
   *
   * After a lost connection it is sent again.
   */
  show(params: AckShowParams): Promise<Acknowledgement | null> {
    return this.#transport.call("ack.show", params, { safe: "always" });
  }
}

/** Parameters of `rollout.ingest`. */
export interface RolloutIngestParams {
  /** Name of the session. */
  name: string;
}

/** Parameters of `rollout.tail`. */
export interface RolloutTailParams {
  /** Name of the session. */
  name: string;
  /** At most this many; 0 gives none, a negative number all. */
  limit?: number;
  /** Only records of this subtype. */
  subtype?: string | null;
  /** Show payloads with their texts. */
  include_content?: boolean;
}

/** `rollout.*` */
export class RolloutMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Read new records of a session's rollout.
   *
   * After a lost connection it is sent again.
   */
  ingest(params: RolloutIngestParams): Promise<IngestResult> {
    return this.#transport.call("rollout.ingest", params, { safe: "always" });
  }

  /**
   * Show the newest stored records of a session.
   *
   * After a lost connection it is sent again.
   */
  tail(params: RolloutTailParams): Promise<TailEvent[]> {
    return this.#transport.call("rollout.tail", params, { safe: "always" });
  }
}

/** Parameters of `pane.classify`. */
export interface PaneClassifyParams {
  /** What the pane shows. */
  text: string;
  /** Title of the pane, when it is known. */
  title?: string | null;
  /** Age of the worker's last sign of life, in seconds. */
  status_age_seconds?: number;
  /** Age from which waiting is notable, in seconds. */
  busy_wait_seconds?: number;
}

/** `pane.*` */
export class PaneMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Run the classifiers on a text.
   *
   * After a lost connection it is sent again.
   */
  classify(params: PaneClassifyParams): Promise<ClassifyResult> {
    return this.#transport.call("pane.classify", params, { safe: "always" });
  }
}

/** Parameters of `cycle.run`. */
export interface CycleRunParams {
  /** Task, by id or name. */
  task: string;
  /** Age from which a busy pane is notable, in seconds. */
  busy_wait_seconds?: number;
  /**
   * Only look, as a person does: nothing is consumed, counted as reported or recorded as a
   * cycle, and no acknowledgement is asked for.
   */
  look?: boolean;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** Parameters of `cycle.divergences`. */
export interface CycleDivergencesParams {
  /** Task, by id or name. It need not be bound. */
  task: string;
  /** At most this many, the newest; 0 means none. */
  limit?: number;
}

/** `cycle.*` */
export class CycleMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Observe the worker of a bound task once.
   *
   * After a lost connection it is sent again when `look` is set; else `task.audit` shows
   * whether it was carried out.
   */
  run(params: CycleRunParams): Promise<CycleResult> {
    return this.#transport.call("cycle.run", { caller: wire.caller(), ...params }, { safe: "if", any: [{ set: "look" }], lookAt: "task.audit" });
  }

  /**
   * List the cycles of a task whose pane showed something notable.
   *
   * After a lost connection it is sent again.
   */
  divergences(params: CycleDivergencesParams): Promise<Divergence[]> {
    return this.#transport.call("cycle.divergences", params, { safe: "always" });
  }
}

/** Parameters of `run.create`. */
export interface RunCreateParams {
  /** Task, by id or name. */
  task: string;
  /** Name; default: the task's name and the time. */
  name?: string | null;
  /** Purpose; `ralph_loop` makes a loop run. */
  purpose?: string | null;
  /** Facts of the caller; the policy of a loop run. `kind` `ralph_loop` makes a loop run too. */
  metadata?: { [key: string]: unknown };
}

/** Parameters of `run.list`. */
export interface RunListParams {
  /** Only this task, by id or name. */
  task?: string | null;
  /** Only runs of this status. */
  status?: RunStatus | null;
  /** Which part of the listing. */
  page?: Page;
}

/** Parameters of `run.show`. */
export interface RunShowParams {
  /** Run, by id or name. Of several runs of one task with this name the newest is meant. */
  run: string;
  /** The task whose run is meant, by id or name. */
  task?: string | null;
}

/** Parameters of `run.finish`. */
export interface RunFinishParams {
  /** Run, by id or name. Of several runs of one task with this name the newest is meant. */
  run: string;
  /** The task whose run is meant, by id or name. */
  task?: string | null;
  /** How the run ended. */
  status?: RunStatus;
}

/** `run.*` */
export class RunMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Create a telemetry run or a loop run.
   *
   * After a lost connection `run.list` shows whether it was carried out.
   */
  create(params: RunCreateParams): Promise<RunRow> {
    return this.#transport.call("run.create", params, { safe: "never", lookAt: "run.list" });
  }

  /**
   * List runs, newest first.
   *
   * After a lost connection it is sent again.
   */
  list(params: RunListParams = {}): Promise<RunRow[]> {
    return this.#transport.call("run.list", params, { safe: "always" });
  }

  /**
   * Show a run.
   *
   * After a lost connection it is sent again.
   */
  show(params: RunShowParams): Promise<RunRow> {
    return this.#transport.call("run.show", params, { safe: "always" });
  }

  /**
   * End an active run.
   *
   * After a lost connection it is sent again.
   */
  finish(params: RunFinishParams): Promise<RunRow> {
    return this.#transport.call("run.finish", params, { safe: "always" });
  }
}

/** Parameters of `dispatch.run`. */
export interface DispatchRunParams {
  /** Budget of the pass; 0 means 10, a negative number 1. */
  limit?: number;
  /** Lease of a claim, in seconds; 0 means 60, a negative number 1. */
  lease_seconds?: number;
  /** Id of the dispatcher; empty means `dispatch-local`. */
  dispatcher_id?: string | null;
  /** Only items of this type. */
  type?: SignalType | null;
  /** Tell what would be done, and do nothing. */
  dry_run?: boolean;
  /** Number of this pass in a watch; writes a heartbeat. */
  watch_iteration?: number | null;
  /** The circumstances of the caller, which the daemon does not share. */
  caller?: Caller;
}

/** `dispatch.*` */
export class DispatchMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Run one Dispatch pass.
   *
   * After a lost connection it is sent again when `dry_run` is set; else `command.list` shows
   * whether it was carried out.
   */
  run(params: DispatchRunParams = {}): Promise<DispatchResult> {
    return this.#transport.call("dispatch.run", { caller: wire.caller(), ...params }, { safe: "if", any: [{ set: "dry_run" }], lookAt: "command.list" });
  }
}

/** Parameters of `command.enqueue_notify_manager`. */
export interface CommandEnqueueNotifyManagerParams {
  /** Task, by id or name. */
  task: string;
  /** Text of the message. */
  message: string;
  /** Id under which what belongs together is found again; generated when left out. */
  correlation_id?: string | null;
  /** Permission that the task's configuration must grant when the command is executed. */
  required_permission?: string | null;
  /** The same key, task, type and payload give the command that exists. */
  idempotency_key?: string | null;
  /** When the target's pane cannot be reached, put the message into its inbox instead. */
  inbox_fallback?: boolean;
  /** Queue although the task is over or the target session is gone. */
  force?: boolean;
  /** By which way the message goes. */
  transport?: Transport;
}

/** Parameters of `command.enqueue_nudge_worker`. */
export interface CommandEnqueueNudgeWorkerParams {
  /** Task, by id or name. */
  task: string;
  /** Text of the message. */
  message: string;
  /** Id under which what belongs together is found again; generated when left out. */
  correlation_id?: string | null;
  /** Permission that the task's configuration must grant when the command is executed. */
  required_permission?: string | null;
  /** The same key, task, type and payload give the command that exists. */
  idempotency_key?: string | null;
  /** When the target's pane cannot be reached, put the message into its inbox instead. */
  inbox_fallback?: boolean;
  /** Queue although the task is over or the target session is gone. */
  force?: boolean;
  /** By which way the message goes. */
  transport?: Transport;
}

/** Parameters of `command.list`. */
export interface CommandListParams {
  /** Only this task, by id or name. */
  task?: string | null;
  /** Only commands that stand so. */
  state?: ListState | null;
  /** Only commands of this type. */
  type?: string | null;
  /** Only commands of this legacy worker id. */
  worker?: string | null;
  /** Only commands of this legacy manager id. */
  manager?: string | null;
  /** Add the history of executions. */
  attempts?: boolean;
  /** Only those that were made at this time or later, RFC 3339. */
  since?: string | null;
  /** Only those before this one, by its id: the next page of a listing with `limit`. */
  before?: string | null;
  /** At most this many, the newest. */
  limit?: number | null;
}

/** Parameters of `command.retry`. */
export interface CommandRetryParams {
  /**
   * What it is about: `command-...`; `notification-N`, or `N` as an inbox shows it;
   * `delivery-N`.
   */
  id: string;
  /** Why; kept in the audit trail. */
  reason: string;
}

/** Parameters of `command.discard`. */
export interface CommandDiscardParams {
  /**
   * What it is about: `command-...`; `notification-N`, or `N` as an inbox shows it;
   * `delivery-N`.
   */
  id: string;
  /** Why; kept in the audit trail. */
  reason: string;
}

/** `command.*` */
export class CommandMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Queue a message to the manager of a task's pair.
   *
   * After a lost connection it is sent again when `idempotency_key` is set; else `command.list`
   * shows whether it was carried out.
   */
  enqueueNotifyManager(params: CommandEnqueueNotifyManagerParams): Promise<EnqueueResult> {
    return this.#transport.call("command.enqueue_notify_manager", params, { safe: "if", any: [{ set: "idempotency_key" }], lookAt: "command.list" });
  }

  /**
   * Queue a message to the worker of a task's pair.
   *
   * After a lost connection it is sent again when `idempotency_key` is set; else `command.list`
   * shows whether it was carried out.
   */
  enqueueNudgeWorker(params: CommandEnqueueNudgeWorkerParams): Promise<EnqueueResult> {
    return this.#transport.call("command.enqueue_nudge_worker", params, { safe: "if", any: [{ set: "idempotency_key" }], lookAt: "command.list" });
  }

  /**
   * List durable commands.
   *
   * After a lost connection it is sent again.
   */
  list(params: CommandListParams = {}): Promise<CommandRow[]> {
    return this.#transport.call("command.list", params, { safe: "always" });
  }

  /**
   * Queue again what failed, or what may not have arrived.
   *
   * After a lost connection `command.list` shows whether it was carried out.
   */
  retry(params: CommandRetryParams): Promise<RetryResult> {
    return this.#transport.call("command.retry", params, { safe: "never", lookAt: "command.list" });
  }

  /**
   * Close what failed, or what may not have arrived, without sending it again.
   *
   * After a lost connection `command.list` shows whether it was carried out.
   */
  discard(params: CommandDiscardParams): Promise<DiscardResult> {
    return this.#transport.call("command.discard", params, { safe: "never", lookAt: "command.list" });
  }
}

/** Parameters of `approval.list`. */
export interface ApprovalListParams {
  /** Only of the worker of this task's pair, by id or name of the task. */
  task?: string | null;
  /** Only of this session, by name. */
  session?: string | null;
  /** Also those that are answered or resolved: the newest 100. */
  all?: boolean;
  /** Which part of the listing. */
  page?: Page;
}

/** Parameters of `approval.accept`. */
export interface ApprovalAcceptParams {
  /** Id of the approval. */
  id: string;
  /** Task for whose manager it is decided, by id or name. */
  task: string;
  /** Why; kept in the audit trail. */
  reason: string;
}

/** Parameters of `approval.decline`. */
export interface ApprovalDeclineParams {
  /** Id of the approval. */
  id: string;
  /** Task for whose manager it is decided, by id or name. */
  task: string;
  /** Why; kept in the audit trail. */
  reason: string;
}

/** `approval.*` */
export class ApprovalMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * List approvals that sessions wait for.
   *
   * After a lost connection it is sent again.
   */
  list(params: ApprovalListParams = {}): Promise<ApprovalRow[]> {
    return this.#transport.call("approval.list", params, { safe: "always" });
  }

  /**
   * Accept an approval, as the manager of its worker's task.
   *
   * After a lost connection `approval.list` shows whether it was carried out.
   */
  accept(params: ApprovalAcceptParams): Promise<DecideResult> {
    return this.#transport.call("approval.accept", params, { safe: "never", lookAt: "approval.list" });
  }

  /**
   * Decline an approval, as the manager of its worker's task.
   *
   * After a lost connection `approval.list` shows whether it was carried out.
   */
  decline(params: ApprovalDeclineParams): Promise<DecideResult> {
    return this.#transport.call("approval.decline", params, { safe: "never", lookAt: "approval.list" });
  }
}

/** Parameters of `state.wait`. */
export interface StateWaitParams {
  /** What is waited for. */
  until: Until;
  /** A task, by id or name; a session, by name, when no task is called so. */
  name?: string | null;
  /** Task, by id or name: its worker is watched; for `message` its manager's inbox. */
  task?: string | null;
  /** Name of the session. */
  session?: string | null;
  /** Longest wait, in seconds; at least 0. */
  timeout?: number;
  /**
   * For this turn, whatever it is: Codex's id, or `last` for the newest there is, ended or not.
   * Without it, for the turn that runs when the call begins, else for the next one; for `done`
   * one that does work.
   */
  turn?: string | null;
  /** For the first turn after this one. */
  after?: string | null;
  /** For the turn that an earlier answer named. */
  pin?: TurnPin | null;
}

/** `state.*` */
export class StateMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * Wait until a session is idle, busy, done, blocked or gone, or has a message.
   *
   * After a lost connection it is sent again.
   */
  wait(params: StateWaitParams, options?: CallOptions): Promise<WaitResult> {
    return this.#transport.call("state.wait", params, { safe: "always", timeout: 86400 }, options);
  }
}

/** Parameters of `inbox.take`. */
export interface InboxTakeParams {
  /** Name of the session. */
  session?: string | null;
  /** Task, by id or name: the inbox of its pair's worker or manager. */
  task?: string | null;
  /** Which side of the task's pair. */
  role?: Role | null;
  /** Consume the oldest item, then list the rest. */
  consume_next?: boolean;
  /**
   * Lease the item instead: it is consumed by `inbox.acknowledge`, and returns to the inbox
   * when that does not come in time. For clients that must print before they may lose.
   */
  lease?: boolean;
  /** Wait until there is an item. */
  wait?: boolean;
  /** Longest wait, in seconds; at least 0. */
  timeout?: number;
  /** Kept for compatibility, above 0; the daemon is woken and does not poll. */
  interval?: number;
  /** Length of `items`; 0 means 10, a negative number 1. */
  limit?: number;
}

/** Parameters of `inbox.acknowledge`. */
export interface InboxAcknowledgeParams {
  /** Token of the lease. */
  lease: string;
  /** Looks that the taking call needed, for the audit trail: `wait.poll_count` of its answer. */
  poll_count?: number;
  /** Whether the taking call waited, for the audit trail: `wait.enabled` of its answer. */
  waited?: boolean;
}

/** `inbox.*` */
export class InboxMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /**
   * List, take or wait for what is in an inbox.
   *
   * After a lost connection it is sent again when `lease` is set or `consume_next` is not set;
   * else `task.audit` shows whether it was carried out.
   */
  take(params: InboxTakeParams = {}, options?: CallOptions): Promise<TakeResult> {
    return this.#transport.call("inbox.take", params, { safe: "if", any: [{ set: "lease" }, { unset: "consume_next" }], lookAt: "task.audit", timeout: 30 }, options);
  }

  /**
   * Consume a leased item after it was shown.
   *
   * After a lost connection it is sent again.
   */
  acknowledge(params: InboxAcknowledgeParams): Promise<AcknowledgeResult> {
    return this.#transport.call("inbox.acknowledge", params, { safe: "always" });
  }
}

/** Parameters of `events.subscribe`. */
export interface EventsSubscribeParams {
  /**
   * Only this task, by id or name: its own changes, and those of the sessions that are bound to
   * it.
   */
  task?: string | null;
  /** Only changes of this session, by name. */
  session?: string | null;
  /** Only these kinds; `lagged` always comes. */
  kinds?: ChangeKind[];
}

/** `events.*` */
export class EventsMethods {
  readonly #transport: wire.Transport;

  constructor(transport: wire.Transport) {
    this.#transport = transport;
  }

  /** Follow committed changes; ended by `events.unsubscribe` with the subscription's id. */
  subscribe(params: EventsSubscribeParams = {}): Promise<Subscription<Change>> {
    return this.#transport.subscribe("events.subscribe", params);
  }
}

/**
 * The daemon's methods, by namespace. It connects with the first call, and starts the daemon when none runs.
 *
 * Calls may overlap. When the daemon is lost, a call is sent to the next one where that does nothing twice; else
 * `ConnectionLost` names the method that shows whether it was carried out. A long wait goes on for the time that is left of
 * it. `close` ends everything that is under way.
 */
export class Conveyor {
  readonly #transport: wire.Transport;
  readonly rpc: RpcMethods;
  readonly daemon: DaemonMethods;
  readonly config: ConfigMethods;
  readonly doctor: DoctorMethods;
  readonly discover: DiscoverMethods;
  readonly db: DbMethods;
  readonly reconcile: ReconcileMethods;
  readonly compat: CompatMethods;
  readonly session: SessionMethods;
  readonly worker: WorkerMethods;
  readonly task: TaskMethods;
  readonly overview: OverviewMethods;
  readonly binding: BindingMethods;
  readonly pair: PairMethods;
  readonly managerConfig: ManagerConfigMethods;
  readonly criteria: CriteriaMethods;
  readonly handoff: HandoffMethods;
  readonly ack: AckMethods;
  readonly rollout: RolloutMethods;
  readonly pane: PaneMethods;
  readonly cycle: CycleMethods;
  readonly run: RunMethods;
  readonly dispatch: DispatchMethods;
  readonly command: CommandMethods;
  readonly approval: ApprovalMethods;
  readonly state: StateMethods;
  readonly inbox: InboxMethods;
  readonly events: EventsMethods;

  constructor(options: ClientOptions = {}) {
    const transport = new wire.Transport(ERRORS, { client_version: "node 1.2.0", protocol: 1 }, options);
    this.#transport = transport;
    this.rpc = new RpcMethods(transport);
    this.daemon = new DaemonMethods(transport);
    this.config = new ConfigMethods(transport);
    this.doctor = new DoctorMethods(transport);
    this.discover = new DiscoverMethods(transport);
    this.db = new DbMethods(transport);
    this.reconcile = new ReconcileMethods(transport);
    this.compat = new CompatMethods(transport);
    this.session = new SessionMethods(transport);
    this.worker = new WorkerMethods(transport);
    this.task = new TaskMethods(transport);
    this.overview = new OverviewMethods(transport);
    this.binding = new BindingMethods(transport);
    this.pair = new PairMethods(transport);
    this.managerConfig = new ManagerConfigMethods(transport);
    this.criteria = new CriteriaMethods(transport);
    this.handoff = new HandoffMethods(transport);
    this.ack = new AckMethods(transport);
    this.rollout = new RolloutMethods(transport);
    this.pane = new PaneMethods(transport);
    this.cycle = new CycleMethods(transport);
    this.run = new RunMethods(transport);
    this.dispatch = new DispatchMethods(transport);
    this.command = new CommandMethods(transport);
    this.approval = new ApprovalMethods(transport);
    this.state = new StateMethods(transport);
    this.inbox = new InboxMethods(transport);
    this.events = new EventsMethods(transport);
  }

  /** Ends everything that is under way. */
  close(): void {
    this.#transport.close();
  }
}
