-- Schema 1: the tables of the contract, with our additions. Table and column names are read by scripts.

create table data_migrations (
    name text primary key not null,
    source_path text not null,
    source_hash text not null,
    applied_at text not null
);

create table schema_migrations (
    version integer primary key,
    applied_at text not null
);

create table sessions (
    id text primary key not null,
    name text not null unique,
    role text not null check (role in ('worker', 'manager')),
    identity_token text not null unique,
    tmux_session text,
    tmux_pane_id text,
    codex_session_path text,
    codex_session_id text,
    pid integer,
    cwd text not null,
    registered_at text not null,
    last_heartbeat_at text,
    state text not null check (state in ('active', 'gone')),
    last_ingest_offset integer,
    -- ours, beyond the contract
    pid_start integer,
    tmux_socket text,
    tmux_pane_pid integer,
    codex_home text,
    reported_event_id integer not null default 0,
    reported_skipped integer not null default 0,
    skipped_lines integer not null default 0,
    current_thread_id text,
    gone_reason text,
    pane_shows text,
    pane_shows_since text,
    sandbox text,
    approval text
);

create table codex_events (
    id integer primary key autoincrement,
    session_id text not null references sessions(id),
    timestamp text not null,
    type text not null,
    subtype text,
    -- A record of a rollout was parsed before it is stored; SQLite parses the others.
    payload_json text not null check (rollout_id is not null or json_valid(payload_json)),
    byte_offset integer not null,
    ingested_at text not null,
    -- ours, beyond the contract
    rollout_id integer references rollouts(id),
    raw_timestamp text
);

create table tasks (
    id text primary key not null,
    name text not null,
    goal text not null,
    summary text,
    state text not null check (state in ('candidate', 'managed', 'paused', 'done', 'failed')),
    created_at text not null,
    updated_at text not null
);

create table acceptance_criteria (
    id integer primary key autoincrement,
    task_id text not null references tasks(id),
    criterion text not null,
    status text not null check (status in ('proposed', 'accepted', 'satisfied', 'deferred', 'rejected')),
    source text not null check (source in ('user_requested', 'manager_inferred', 'worker_proposed', 'final_audit')),
    proof text,
    rationale text,
    evidence_json text not null check (json_valid(evidence_json)),
    created_at text not null,
    updated_at text not null
);

create table budgets (
    task_id text primary key not null references tasks(id),
    max_nudges integer not null check (max_nudges >= 0),
    nudges_used integer not null default 0 check (nudges_used >= 0),
    expires_at text not null
);

create table epilogue_runs (
    id integer primary key autoincrement,
    task_id text not null references tasks(id),
    step_name text not null,
    state text not null check (state in ('pending', 'running', 'succeeded', 'failed', 'skipped')),
    started_at text not null,
    finished_at text,
    result_json text check (result_json is null or json_valid(result_json)),
    error text,
    correlation_id text
);

create table manager_configs (
    task_id text primary key not null references tasks(id),
    supervision_mode text not null check (supervision_mode in ('light', 'guided', 'strict')),
    objective text,
    guidelines_json text not null check (json_valid(guidelines_json)),
    acceptance_criteria_json text not null check (json_valid(acceptance_criteria_json)),
    reference_paths_json text not null check (json_valid(reference_paths_json)),
    permissions_json text not null check (json_valid(permissions_json)),
    tools_json text not null default '[]' check (json_valid(tools_json)),
    epilogues_json text not null default '[]' check (json_valid(epilogues_json)),
    nudge_on_completion text not null default 'ask-operator' check (nudge_on_completion in ('off', 'ask-operator', 'auto-review', 'auto-proceed')),
    require_acks integer not null default 0 check (require_acks in (0, 1)),
    revision integer not null default 1 check (revision > 0),
    created_at text not null,
    updated_at text not null
);

create table managers (
    id text primary key not null,
    name text not null unique,
    task_id text not null references tasks(id),
    tmux_session text not null unique,
    tmux_pane_id text,
    state text not null check (state in ('starting', 'ready', 'stopping', 'stopped', 'missing', 'failed')),
    codex_args_json text not null check (json_valid(codex_args_json)),
    started_at text not null,
    stopped_at text,
    last_seen_at text,
    last_capture_sha256 text,
    exit_detected_at text,
    exit_reason text
);

create table prompts (
    id integer primary key autoincrement,
    task_id text references tasks(id),
    manager_id text references managers(id),
    kind text not null check (kind in ('manager', 'worker_contract', 'resume')),
    content text not null,
    content_sha256 text not null,
    generator_version text not null,
    source_snapshot_json text not null check (json_valid(source_snapshot_json)),
    policy_json text not null check (json_valid(policy_json)),
    artifact_path text,
    created_at text not null,
    -- ours, beyond the contract
    session_name text
);

create table runs (
    id text primary key not null,
    task_id text not null references tasks(id),
    name text not null,
    purpose text,
    status text not null check (status in ('active', 'finished', 'failed', 'abandoned')),
    started_at text not null,
    ended_at text,
    metadata_json text not null check (json_valid(metadata_json))
);

create table task_continuations (
    id integer primary key autoincrement,
    task_id text not null references tasks(id),
    proposer text not null check (proposer in ('worker', 'manager')),
    payload_json text not null check (json_valid(payload_json)),
    revision integer not null check (revision > 0),
    created_at text not null,
    correlation_id text not null
);

create table continuation_reviews (
    id integer primary key autoincrement,
    task_id text not null references tasks(id),
    worker_continuation_id integer not null references task_continuations(id),
    manager_continuation_id integer not null references task_continuations(id),
    agreement text not null check (agreement in ('match', 'compatible', 'divergent')),
    verdict text not null check (verdict in ('proceed', 'amend', 'stop')),
    addendum text,
    rationale text not null,
    subagent_run_json text not null check (json_valid(subagent_run_json)),
    created_at text not null,
    correlation_id text not null
);

create table telemetry_events (
    id text primary key not null,
    run_id text references runs(id),
    task_id text references tasks(id),
    timestamp text not null,
    actor text not null check (actor in ('dispatch', 'manager', 'worker', 'operator', 'workerctl', 'system')),
    event_type text not null,
    severity text not null check (severity in ('debug', 'info', 'warning', 'error')),
    summary text not null,
    correlation_json text not null check (json_valid(correlation_json)),
    attributes_json text not null check (json_valid(attributes_json))
);

create table worker_handoffs (
    id integer primary key autoincrement,
    task_id text not null references tasks(id),
    worker_session_id text references sessions(id),
    summary text not null,
    next_steps_json text not null check (json_valid(next_steps_json)),
    payload_json text not null check (json_valid(payload_json)),
    created_at text not null
);

create table workers (
    id text primary key not null,
    name text not null unique,
    tmux_session text not null unique,
    tmux_pane_id text,
    identity_token text not null unique,
    cwd text not null,
    state text not null check (state in ('candidate', 'active', 'stopped', 'missing', 'failed')),
    created_at text not null,
    updated_at text not null,
    last_seen_at text,
    exit_detected_at text,
    exit_reason text
);

create table bindings (
    id text primary key not null,
    task_id text not null references tasks(id),
    worker_id text references workers(id),
    manager_id text references managers(id),
    worker_session_id text references sessions(id),
    manager_session_id text references sessions(id),
    state text not null check (state in ('active', 'ending', 'ended', 'invalid')),
    created_at text not null,
    ended_at text,
    -- ours, beyond the contract
    worker_event_watermark integer not null default 0
);

create table commands (
    id text primary key not null,
    idempotency_key text not null,
    created_at text not null,
    updated_at text not null,
    task_id text references tasks(id),
    worker_id text references workers(id),
    manager_id text references managers(id),
    correlation_id text,
    type text not null,
    state text not null check (state in ('pending', 'attempted', 'succeeded', 'failed', 'blocked')),
    available_at text,
    claimed_by text,
    claimed_at text,
    claim_expires_at text,
    attempts integer not null default 0 check (attempts >= 0),
    max_attempts integer not null default 1 check (max_attempts > 0),
    required_permission text,
    payload_json text not null check (json_valid(payload_json)),
    result_json text check (result_json is null or json_valid(result_json)),
    error text,
    -- ours, beyond the contract
    binding_id text references bindings(id),
    claim_token integer not null default 0,
    recoveries integer not null default 0 check (recoveries >= 0),
    next_try_at text,
    tries integer not null default 0 check (tries >= 0),
    delivery text check (delivery is null or delivery in
        ('delivered', 'queued', 'held', 'uncertain', 'failed', 'retried', 'discarded')),
    held_by text,
    retry_of text references commands(id),
    check (state != 'succeeded' or result_json is not null)
);

create table command_attempts (
    id integer primary key autoincrement,
    command_id text not null references commands(id),
    correlation_id text not null,
    dispatcher_id text not null,
    started_at text not null,
    finished_at text,
    state text not null check (state in ('running', 'succeeded', 'failed', 'abandoned', 'blocked')),
    result_json text check (result_json is null or json_valid(result_json)),
    error text,
    side_effect_started integer not null default 0 check (side_effect_started in (0, 1)),
    side_effect_completed integer not null default 0 check (side_effect_completed in (0, 1)),
    -- ours, beyond the contract
    claim_token integer not null default 0,
    check ((state = 'running') = (finished_at is null))
);

create table events (
    id integer primary key autoincrement,
    created_at text not null,
    actor text not null,
    command_id text references commands(id),
    correlation_id text,
    task_id text references tasks(id),
    worker_id text references workers(id),
    manager_id text references managers(id),
    type text not null,
    payload_json text not null check (json_valid(payload_json))
);

create table statuses (
    id integer primary key autoincrement,
    worker_id text not null references workers(id),
    state text not null check (state in ('planning', 'editing', 'running_tests', 'blocked', 'waiting', 'done', 'unknown')),
    current_task text,
    next_action text,
    blocker text,
    created_at text not null
);

create table task_acknowledgements (
    id integer primary key autoincrement,
    task_id text not null references tasks(id),
    binding_id text references bindings(id),
    role text not null check (role in ('worker', 'manager')),
    payload_json text not null check (json_valid(payload_json)),
    revision integer not null check (revision > 0),
    manager_config_revision integer check (manager_config_revision is null or manager_config_revision > 0),
    created_at text not null,
    correlation_id text
);

create table terminal_captures (
    id integer primary key autoincrement,
    task_id text not null references tasks(id),
    worker_id text references workers(id),
    manager_id text references managers(id),
    role text not null check (role in ('worker', 'manager')),
    tmux_session text not null,
    tmux_pane_id text,
    command_id text references commands(id),
    captured_at text not null,
    history_lines integer not null,
    content_sha256 text not null,
    content text,
    content_path text,
    byte_count integer not null,
    line_count integer not null,
    classifier_json text not null check (json_valid(classifier_json)),
    source text not null
);

create table agent_observations (
    id integer primary key autoincrement,
    task_id text not null references tasks(id),
    worker_id text references workers(id),
    manager_id text references managers(id),
    role text not null check (role in ('worker', 'manager', 'workerctl')),
    observation_type text not null check (observation_type in ('status', 'error', 'decision', 'blocker', 'summary', 'command_output', 'health', 'capture')),
    severity text not null check (severity in ('info', 'warning', 'error')),
    source_capture_id integer references terminal_captures(id),
    command_id text references commands(id),
    created_at text not null,
    message text not null,
    payload_json text not null check (json_valid(payload_json))
);

create table manager_cycles (
    id integer primary key autoincrement,
    task_id text not null references tasks(id),
    manager_id text references managers(id),
    started_at text not null,
    completed_at text,
    state text not null check (state in ('started', 'succeeded', 'failed')),
    health_observation_id integer references agent_observations(id),
    manager_capture_id integer references terminal_captures(id),
    worker_capture_id integer references terminal_captures(id),
    status_json text check (status_json is null or json_valid(status_json)),
    health_json text check (health_json is null or json_valid(health_json)),
    decision text,
    error text
);

create table manager_decisions (
    id integer primary key autoincrement,
    task_id text not null references tasks(id),
    manager_id text references managers(id),
    manager_cycle_id integer references manager_cycles(id),
    decision text not null check (decision in ('wait', 'nudge', 'interrupt', 'escalate', 'stop', 'inspect')),
    reason text not null,
    created_at text not null,
    payload_json text not null check (json_valid(payload_json))
);

create table manager_cycle_spans (
    id integer primary key autoincrement,
    manager_cycle_id integer not null references manager_cycles(id),
    task_id text not null references tasks(id),
    run_id text references runs(id),
    phase text not null,
    started_at text not null,
    completed_at text not null,
    duration_ms real not null check (duration_ms >= 0),
    state text not null check (state in ('succeeded', 'failed', 'degraded')),
    attributes_json text not null check (json_valid(attributes_json)),
    error_type text,
    manager_decision_id integer references manager_decisions(id),
    command_id text references commands(id)
);

create table routed_notifications (
    id integer primary key autoincrement,
    task_id text not null references tasks(id),
    binding_id text not null references bindings(id),
    correlation_id text not null,
    source_session_id text not null references sessions(id),
    target_session_id text not null references sessions(id),
    signal_type text not null,
    source_event_id integer references codex_events(id),
    source_event_timestamp text,
    dedupe_key text not null unique,
    command_id text references commands(id),
    created_at text not null,
    delivered_at text,
    consumed_manager_cycle_id integer references manager_cycles(id),
    consumed_by_session_id text references sessions(id),
    consumed_at text,
    delivery_mode text not null default 'push' check (delivery_mode in ('push', 'pull_required')),
    state text not null check (state in ('pending', 'delivered', 'failed', 'suppressed')),
    claimed_by text,
    claimed_at text,
    claim_expires_at text,
    side_effect_started integer not null default 0 check (side_effect_started in (0, 1)),
    side_effect_completed integer not null default 0 check (side_effect_completed in (0, 1)),
    payload_json text not null check (json_valid(payload_json)),
    error text,
    -- ours, beyond the contract
    turn_row_id integer references turns(id),
    delivery_uncertain integer not null default 0 check (delivery_uncertain in (0, 1)),
    lease_token text,
    lease_expires_at text,
    claim_token integer not null default 0,
    next_try_at text,
    tries integer not null default 0 check (tries >= 0),
    held_by text,
    check (state != 'delivered' or delivered_at is not null)
);

create table transcript_captures (
    id integer primary key autoincrement,
    worker_id text not null references workers(id),
    sha256 text not null,
    content text,
    captured_at text not null,
    changed_at text not null,
    history_lines integer not null,
    byte_count integer not null,
    line_count integer not null,
    capture_kind text not null check (capture_kind in ('latest', 'changed', 'metadata_only', 'archived')),
    retention_class text not null check (retention_class in ('hot', 'warm', 'archive'))
);

create table transcript_segments (
    id integer primary key autoincrement,
    task_id text not null references tasks(id),
    role text not null check (role in ('worker', 'manager')),
    source_capture_id integer not null references terminal_captures(id),
    previous_capture_id integer references terminal_captures(id),
    captured_at text not null,
    content_sha256 text not null,
    segment_text text,
    segment_start_line integer,
    segment_end_line integer,
    byte_count integer not null,
    line_count integer not null,
    retention_class text not null check (retention_class in ('hot', 'warm', 'cold', 'redacted')),
    segment_kind text not null check (segment_kind in ('metadata', 'excerpt', 'snapshot', 'segment', 'reset')),
    redacted integer not null default 0 check (redacted in (0, 1)),
    created_at text not null
);

create unique index acceptance_criteria_task_source_criterion on acceptance_criteria (task_id, source, criterion);
create index acceptance_criteria_task_status on acceptance_criteria (task_id, status, id);
create index agent_observations_task_id on agent_observations (task_id, id);
create unique index one_active_binding_per_manager_session on bindings (manager_session_id) where state in ('active', 'ending');
create unique index one_active_binding_per_task on bindings (task_id) where state in ('active', 'ending');
create unique index one_active_binding_per_worker on bindings (worker_id) where state in ('active', 'ending');
create unique index one_active_binding_per_worker_session on bindings (worker_session_id) where state in ('active', 'ending');
create index codex_events_session_id on codex_events (session_id, id);
create index command_attempts_command_id on command_attempts (command_id, id);
create index command_attempts_correlation_id on command_attempts (correlation_id);
create index commands_claimable on commands (state, type, available_at, created_at, id);
create index commands_task_state_created on commands (task_id, state, created_at);
create index continuation_reviews_task on continuation_reviews (task_id, id);
create index epilogue_runs_task_step on epilogue_runs (task_id, step_name, id);
create index events_task_id on events (task_id, id);
create index manager_configs_task_id on manager_configs (task_id);
create index manager_cycle_spans_cycle_phase on manager_cycle_spans (manager_cycle_id, phase, id);
create index manager_cycle_spans_task on manager_cycle_spans (task_id, id);
create unique index one_active_manager_per_task on managers (task_id) where state in ('starting', 'ready', 'stopping');
create index routed_notifications_claimable on routed_notifications (state, signal_type, side_effect_started, claim_expires_at, created_at);
create index routed_notifications_consumed_cycle on routed_notifications (consumed_manager_cycle_id);
create unique index routed_notifications_dedupe_key on routed_notifications (dedupe_key);
create index routed_notifications_source_event on routed_notifications (source_event_id);
create index routed_notifications_target_inbox on routed_notifications (target_session_id, consumed_at, state, created_at, id);
create unique index one_active_run_per_task on runs (task_id) where status in ('active');
create index runs_task_status on runs (task_id, status, started_at);
create index statuses_worker_id on statuses (worker_id, id);
create index task_acknowledgements_task_role_revision on task_acknowledgements (task_id, role, revision desc, id desc);
create index task_continuations_task_role_revision on task_continuations (task_id, proposer, revision desc, id desc);
create index telemetry_events_actor_timestamp on telemetry_events (actor, timestamp, id);
create index telemetry_events_run_timestamp on telemetry_events (run_id, timestamp, id);
create index telemetry_events_task_timestamp on telemetry_events (task_id, timestamp, id);
create index telemetry_events_type_timestamp on telemetry_events (event_type, timestamp, id);
create index terminal_captures_task_role on terminal_captures (task_id, role, id);
create index transcript_captures_worker_id on transcript_captures (worker_id, id);
create index transcript_segments_task_role on transcript_segments (task_id, role, id);
create index worker_handoffs_task_id on worker_handoffs (task_id, id);

-- Ours, beyond the contract: what the daemon needs to be event-driven and crash-safe.

-- A rollout file in one generation: replaced or truncated files get a new row.
create table rollouts (
    id integer primary key autoincrement,
    session_id text not null references sessions(id),
    thread_id text not null,
    path text not null,
    generation integer not null default 1 check (generation > 0),
    device integer,
    inode integer,
    read_offset integer not null default 0 check (read_offset >= 0),
    check_bytes integer not null default 0 check (check_bytes >= 0),
    check_sha256 text,
    history_mode text,
    cli_version text,
    skipped_lines integer not null default 0 check (skipped_lines >= 0),
    state text not null check (state in ('active', 'retired')),
    created_at text not null,
    retired_reason text,
    check ((state = 'retired') = (retired_reason is not null))
);
create unique index rollouts_active on rollouts (session_id, path) where state = 'active';
create index rollouts_session on rollouts (session_id, id);

-- The state machine of a Codex thread, as the records so far leave it.
create table threads (
    session_id text not null references sessions(id),
    thread_id text not null,
    phase text not null check (phase in ('never_started', 'working', 'done', 'failed', 'interrupted', 'limit_reached')),
    machine_json text not null check (json_valid(machine_json)),
    since text,
    last_state_event_id integer references codex_events(id),
    last_state_event_at text,
    last_state_subtype text,
    updated_at text not null,
    primary key (session_id, thread_id)
) without rowid;

-- One row per turn of a thread, whichever file it stands in; copies of a known turn are not routed again.
create table turns (
    id integer primary key autoincrement,
    session_id text not null references sessions(id),
    thread_id text not null,
    turn_key text not null,
    turn_id text,
    kind text not null check (kind in ('user', 'goal', 'exec', 'compaction', 'shell', 'unknown')),
    started_at text,
    ended_at text,
    outcome text check (outcome is null or outcome in ('done', 'failed', 'interrupted', 'unfinished')),
    error text,
    start_event_id integer references codex_events(id),
    end_event_id integer references codex_events(id),
    binding_id text references bindings(id),
    routing text not null default 'none' check (routing in ('none', 'pending', 'routed', 'skipped')),
    routing_reason text,
    route_after text,
    check ((outcome is null) = (ended_at is null)),
    check (routing != 'pending' or (end_event_id is not null and binding_id is not null))
);
create unique index turns_key on turns (session_id, thread_id, turn_key);
create index turns_unrouted on turns (id) where routing = 'pending';
create index turns_session on turns (session_id, id);
create index turns_thread on turns (session_id, thread_id, id);
create index turns_ended on turns (session_id, thread_id, id) where end_event_id is not null;
create index turns_open on turns (session_id, thread_id, id) where outcome is null;
create index turns_not_bound on turns (session_id, id) where routing_reason = 'not_bound';
create index turns_turn_id on turns (session_id, turn_id) where turn_id is not null and outcome is not null;
create index turns_binding on turns (binding_id, id);

-- Lines that could not become a record, newest kept per rollout.
create table ingest_quarantine (
    id integer primary key autoincrement,
    session_id text not null references sessions(id),
    rollout_id integer not null references rollouts(id),
    byte_offset integer not null,
    byte_count integer not null,
    reason text not null,
    created_at text not null
);
create index ingest_quarantine_rollout on ingest_quarantine (rollout_id, id);

-- Texts that were typed into panes, until what became of them is known.
create table deliveries (
    id integer primary key autoincrement,
    session_id text not null references sessions(id),
    command_id text references commands(id),
    notification_id integer references routed_notifications(id),
    transport text not null default 'tmux' check (transport in ('tmux', 'app-server')),
    text_sha256 text not null,
    sent_at text not null,
    outcome text not null check (outcome in ('sending', 'delivered', 'uncertain', 'failed', 'discarded')),
    proof_kind text check (proof_kind is null or proof_kind in ('user_message', 'task_started', 'consumption')),
    proof_turn_id text,
    proof_at text,
    note text,
    check ((outcome = 'delivered') = (proof_kind is not null))
);
create index deliveries_open on deliveries (session_id, id) where outcome in ('sending', 'uncertain');
create index deliveries_command on deliveries (command_id);
create index deliveries_notification on deliveries (notification_id) where notification_id is not null;

-- What Codex asks its user for, as its app-server or its pane shows it.
create table approvals (
    id text primary key not null,
    session_id text not null references sessions(id),
    source text not null check (source in ('app_server', 'pane')),
    kind text not null check (kind in ('command', 'file_change', 'permissions', 'tool', 'user_input', 'other')),
    thread_id text,
    turn_id text,
    -- What it is about, in the turn: told apart by it from the others of its source.
    subject text not null,
    dedupe_key text not null unique,
    command text,
    cwd text,
    reason text,
    created_at text not null,
    state text not null check (state in ('pending', 'answering', 'accepted', 'declined', 'uncertain', 'resolved')),
    resolved_at text,
    decision text check (decision is null or decision in ('accept', 'decline')),
    decided_task_id text references tasks(id),
    decided_by_session_id text references sessions(id),
    decided_reason text,
    check ((state in ('pending', 'answering')) = (resolved_at is null)),
    check (state not in ('answering', 'accepted', 'declined', 'uncertain') or decision is not null)
);
create index approvals_open on approvals (session_id, created_at) where state in ('pending', 'answering');
create index approvals_waiting on approvals (created_at) where state in ('pending', 'answering');
create index approvals_session on approvals (session_id, created_at);
create index approvals_created on approvals (created_at);

-- The newest sign of life of each dispatcher.
create table dispatchers (
    dispatcher_id text primary key not null,
    heartbeat_at text not null,
    iteration integer not null,
    processed_total integer not null default 0
) without rowid;

create virtual table telemetry_events_fts using fts5(
    event_id unindexed,
    task_id unindexed,
    run_id unindexed,
    actor unindexed,
    event_type unindexed,
    summary,
    attributes
);

create trigger events_no_update before update on events
begin
    select raise(abort, 'events are append-only');
end;

create trigger events_no_delete before delete on events
begin
    select raise(abort, 'events are append-only');
end;

-- Ours: what per-wake and per-cycle queries need.
create unique index codex_events_rollout_offset on codex_events (rollout_id, byte_offset) where rollout_id is not null;
create index codex_events_session_subtype on codex_events (session_id, subtype, id) where subtype is not null;
create unique index commands_idempotency on commands (coalesce(task_id, ''), idempotency_key);
create index commands_pending on commands (id) where state = 'pending';
create index commands_attempted on commands (claim_expires_at) where state = 'attempted';
create index commands_correlation on commands (correlation_id);
create index commands_needs_eye on commands (delivery, updated_at) where delivery in ('held', 'uncertain', 'failed');
create index commands_created on commands (created_at, id);
create index commands_task_created on commands (task_id, created_at, id);
create index commands_state_created on commands (state, created_at, id);
create unique index commands_retry_of on commands (retry_of) where retry_of is not null;
create index command_attempts_running on command_attempts (command_id) where state = 'running';
create index events_correlation on events (correlation_id) where correlation_id is not null;
create index events_command on events (command_id) where command_id is not null;
create index manager_decisions_task on manager_decisions (task_id, id);
create index manager_cycles_task on manager_cycles (task_id, id);
create index manager_cycles_started on manager_cycles (id) where state = 'started';
create index manager_cycles_divergent on manager_cycles (task_id, id)
    where state = 'succeeded' and json_extract(status_json, '$.notable_pane_pattern') is not null;
create index routed_notifications_pending on routed_notifications (id) where state = 'pending';
create index routed_notifications_inbox on routed_notifications (target_session_id, id)
    where consumed_at is null and state in ('delivered', 'pending');
create index routed_notifications_turn on routed_notifications (turn_row_id);
create index routed_notifications_task on routed_notifications (task_id, id);
create index routed_notifications_command on routed_notifications (command_id) where command_id is not null;
create unique index routed_notifications_lease on routed_notifications (lease_token) where lease_token is not null;
create index bindings_task on bindings (task_id, created_at);
create index bindings_worker_session on bindings (worker_session_id);
create index sessions_active on sessions (id) where state = 'active';
create index sessions_codex_id on sessions (codex_session_id) where codex_session_id is not null;
create index tasks_name on tasks (name, created_at);
create index turns_completed on turns (session_id, end_event_id) where outcome in ('done', 'failed');
create index telemetry_events_nudges on telemetry_events (task_id, timestamp, id)
    where event_type in ('session_nudge_succeeded', 'session_nudge_failed');
create index telemetry_events_interrupts on telemetry_events (task_id, timestamp, id)
    where event_type in ('session_interrupt_succeeded', 'session_interrupt_failed');

-- A Codex that was started, written before it is: after a crash it tells whose pane that is.
create table session_starts (
    id text primary key not null,
    name text not null,
    role text not null check (role in ('worker', 'manager')),
    via text not null,
    state text not null check (state in ('starting', 'kept', 'registered', 'failed', 'abandoned')),
    task_id text references tasks(id),
    cwd text not null,
    tmux_socket text not null,
    tmux_session text not null,
    tmux_pane_id text,
    tmux_pane_pid integer,
    session_id text references sessions(id),
    error text,
    created_at text not null,
    updated_at text not null,
    check ((state = 'registered') = (session_id is not null))
);
create unique index session_starts_open on session_starts(name) where state in ('starting', 'kept');
