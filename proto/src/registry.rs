//! The registry: every method, declared once.
//!
//! `by` names who may call a method at all; what it may do with it depends on the parameters. A worker adds criteria as
//! proposals and takes its own inbox only; a manager grants itself no permission. See [`crate::method::CallerRole`].
//!
//! `again` and `see` say what a client does when the connection ended before the answer. See [`crate::method::Repeat`].

use crate::method::methods;
use crate::types::{
    ack, approval, binding, command,
    common::{Empty, Json},
    compat, create, criteria, cycle, daemon, discover, dispatch, doctor, drift, events, finish, handoff,
    history, inbox, manager_config, overview, pair, pane, rollout, run, session, start, supervision, task,
    wait, worker,
};

methods! {
    /// Say who calls and learn who answers.
    "rpc.hello" => RpcHello(daemon::HelloParams) -> daemon::HelloResult, reads, by(person, manager, worker);
    /// Answer the OpenRPC document of this daemon.
    "rpc.discover" => RpcDiscover(Empty) -> Json, reads, by(person, manager, worker);
    /// Tell how the daemon fares.
    "daemon.status" => DaemonStatus(Empty) -> daemon::DaemonStatus, reads, by(person, manager, worker);
    /// End the daemon after what is under way.
    "daemon.stop" => DaemonStop(Empty) -> daemon::StopResult, writes, again(never), see(DaemonStatus), by(person);
    /// Show the settings in force and where each came from.
    "config.show" => ConfigShow(Empty) -> daemon::ConfigResult, reads, by(person, manager, worker);
    /// Check the tools that Conveyor needs.
    "doctor.run" => DoctorRun(doctor::DoctorParams) -> doctor::DoctorResult, reads, by(person, manager, worker);
    /// Tell whether the calling Codex session can register itself, and as what it is registered.
    "doctor.self" => DoctorSelf(doctor::SelfParams) -> doctor::SelfResult, reads, by(person, manager, worker);
    /// Find tasks, sessions, bindings and telemetry, and the next steps.
    "discover.run" => DiscoverRun(discover::DiscoverParams) -> discover::DiscoverResult, reads, by(person, manager, worker);
    /// Check the database, changing nothing.
    "db.doctor" => DbDoctor(doctor::DbDoctorParams) -> doctor::DbDoctorResult, reads, by(person, manager, worker);
    /// Tell where the database and what runs no longer agree, and repair it where that is safe.
    "reconcile.run" => ReconcileRun(drift::ReconcileParams) -> drift::ReconcileResult, writes, again(if unset(apply)), see(ReconcileRun), by(person, manager);
    /// Bring over worker folders and a database of agent-conveyor 0.1.0.
    "compat.import" => CompatImport(compat::ImportParams) -> compat::ImportResult, begins, again(if unset(apply)), see(CompatImport), by(person);
    /// Register a Codex session as worker or manager.
    "session.register" => SessionRegister(session::RegisterParams) -> session::RegisterResult, begins, again(always), by(person, manager, worker);
    /// Mark a session as gone; no process is ended.
    "session.deregister" => SessionDeregister(session::DeregisterParams) -> session::DeregisterResult, writes, again(always), by(person, manager);
    /// Give a session another name; its tasks, history and inbox stay with it.
    "session.rename" => SessionRename(session::RenameParams) -> session::RenameResult, writes, again(never), see(SessionList), by(person, manager);
    /// End a session's tmux session and mark the session as gone.
    "session.stop" => SessionStop(session::StopParams) -> session::StopResult, writes, again(never), see(SessionList), by(person, manager);
    /// Start Codex in a tmux session of its own and register it.
    "session.start" => SessionStart(start::StartParams) -> start::StartResult, begins, again(never), see(ReconcileRun), by(person, manager);
    /// List registered sessions.
    "session.list" => SessionList(session::ListParams) -> Vec<session::SessionRow>, reads, by(person, manager, worker);
    /// Send a text to a session's pane and wait for its receipt.
    "session.nudge" => SessionNudge(pane::NudgeParams) -> pane::NudgeResult, writes, again(if set(dry_run)), see(RolloutTail), by(person, manager);
    /// Interrupt what runs in a session's pane.
    "session.interrupt" => SessionInterrupt(pane::InterruptParams) -> pane::InterruptResult, writes, again(if set(dry_run)), see(SessionList), by(person, manager);
    /// List the workers: folders of the state root, and registered sessions.
    "worker.list" => WorkerList(worker::ListParams) -> Vec<worker::WorkerRow>, reads, by(person, manager, worker);
    /// Start a Codex as a worker with a folder of its own.
    "worker.create" => WorkerCreate(create::CreateWorkerParams) -> create::CreateWorkerResult, begins, again(never), see(WorkerList), by(person, manager);
    /// Start a plain Codex in tmux, for later registration.
    "worker.start" => WorkerStart(create::StartParams) -> create::StartResult, begins, again(never), see(WorkerList), by(person, manager);
    /// Tell what a worker said last and whether it runs.
    "worker.status" => WorkerStatus(worker::StatusParams) -> worker::WorkerStatus, writes, again(always), by(person, manager, worker);
    /// Report what a worker is at.
    "worker.update_status" => WorkerUpdateStatus(worker::UpdateStatusParams) -> worker::UpdatedStatus, writes, again(always), by(person, manager, worker);
    /// Judge how a worker fares by its status and its pane.
    "worker.idle_check" => WorkerIdleCheck(worker::IdleCheckParams) -> worker::IdleCheck, writes, again(always), by(person, manager);
    /// Show the events of a worker's file.
    "worker.events" => WorkerEvents(worker::EventsParams) -> worker::EventsResult, reads, by(person, manager, worker);
    /// Capture the pane of a worker.
    "worker.capture" => WorkerCapture(worker::CaptureParams) -> worker::CaptureResult, writes, again(always), by(person, manager);
    /// Send a text to a worker's pane and wait for its receipt.
    "worker.nudge" => WorkerNudge(worker::NudgeWorkerParams) -> worker::NudgeWorkerResult, writes, again(never), see(RolloutTail), by(person, manager);
    /// Interrupt what runs in a worker's pane, and ask it for its status.
    "worker.interrupt" => WorkerInterrupt(worker::InterruptWorkerParams) -> worker::InterruptWorkerResult, writes, again(if set(dry_run)), see(WorkerList), by(person, manager);
    /// End a worker's or session's tmux session.
    "worker.stop" => WorkerStop(session::StopParams) -> session::StopResult, writes, again(never), see(WorkerList), by(person, manager);
    /// Tell how a terminal is attached to a worker, a session, or one side of a task.
    "worker.attach" => WorkerAttach(worker::AttachParams) -> worker::AttachResult, reads, by(person, manager);
    /// Remember that a terminal was opened for a worker.
    "worker.opened" => WorkerOpened(worker::OpenedParams) -> Empty, writes, again(always), by(person, manager);
    /// Create a task.
    "task.create" => TaskCreate(task::CreateParams) -> task::CreateResult, begins, again(never), see(TaskList), by(person, manager);
    /// List tasks.
    "task.list" => TaskList(task::ListParams) -> Vec<task::TaskRow>, reads, by(person, manager, worker);
    /// Put a task away, or all that are over: listings leave them out.
    "task.archive" => TaskArchive(task::ArchiveParams) -> task::ArchiveResult, writes, again(always), by(person, manager);
    /// Take a task out of the archive.
    "task.restore" => TaskRestore(task::OneTaskParams) -> task::RestoreResult, writes, again(always), by(person, manager);
    /// Delete a task that never was bound.
    "task.delete" => TaskDelete(task::OneTaskParams) -> task::DeleteResult, writes, again(never), see(TaskList), by(person, manager);
    /// Mark a task as done, with the gates that are asked for.
    "task.finish" => TaskFinish(finish::FinishParams) -> finish::FinishResult, writes, again(never), see(TaskList), by(person, manager);
    /// End a task and its manager without gates.
    "task.stop" => TaskStop(finish::StopTaskParams) -> finish::TaskEnd, writes, again(never), see(TaskList), by(person, manager);
    /// Show everything stored about a task.
    "task.audit" => TaskAudit(history::AuditParams) -> history::AuditResult, reads, by(person, manager, worker);
    /// Show some rows of one list of a task's audit: a long audit is more than one answer holds.
    "task.audit_rows" => TaskAuditRows(history::AuditRowsParams) -> history::AuditRowsResult, reads, by(person, manager, worker);
    /// Show a task's history in order.
    "task.replay" => TaskReplay(history::ReplayParams) -> history::ReplayResult, reads, by(person, manager, worker);
    /// Show where every task and session stands; nothing is consumed.
    "overview.show" => OverviewShow(overview::OverviewParams) -> overview::Overview, writes, again(always), by(person, manager);
    /// Tie a worker and a manager to a task.
    "binding.create" => BindingCreate(binding::BindParams) -> binding::BindResult, writes, again(never), see(TaskAudit), by(person, manager);
    /// Start a worker and a manager for a task, bind them and see that messages are delivered between them.
    "pair.create" => PairCreate(pair::PairParams) -> pair::PairResult, begins, again(always), by(person, manager);
    /// Tell what a pair would be, checking nothing.
    "pair.plan" => PairPlanned(pair::PairParams) -> pair::PairPlan, reads, by(person, manager, worker);
    /// End a task's binding.
    "binding.end" => BindingEnd(binding::UnbindParams) -> binding::UnbindResult, writes, again(never), see(TaskAudit), by(person, manager);
    /// Create or change the manager's configuration of a task.
    "manager_config.set" => ManagerConfigSet(manager_config::SetManagerConfigParams) -> manager_config::SetManagerConfigResult, writes, again(if unset(if_revision)), see(ManagerConfigQuestions), by(person, manager);
    /// Show the questions that lead to a configuration, with the present answers.
    "manager_config.questions" => ManagerConfigQuestions(manager_config::QuestionsParams) -> manager_config::QuestionsResult, reads, by(person, manager);
    /// Tell whether the configuration of a task grants a permission, and record that it was asked.
    "manager_config.check_permission" => ManagerConfigCheckPermission(manager_config::CheckPermissionParams) -> manager_config::PermissionResult, writes, again(always), by(person, manager);
    /// List what the configuration of a task grants in a category, and record that it was asked.
    "manager_config.list_permissions" => ManagerConfigListPermissions(manager_config::ListPermissionsParams) -> manager_config::PermissionResult, writes, again(always), by(person, manager);
    /// List the criteria of a task.
    "criteria.list" => CriteriaList(criteria::ListCriteriaParams) -> criteria::ListCriteriaResult, reads, by(person, manager, worker);
    /// Add a criterion.
    "criteria.add" => CriteriaAdd(criteria::AddCriterionParams) -> criteria::CriterionResult, writes, again(always), by(person, manager, worker);
    /// Accept a criterion: the task must satisfy it.
    "criteria.accept" => CriteriaAccept(criteria::SettleCriterionParams) -> criteria::CriterionResult, writes, again(always), by(person, manager);
    /// Mark a criterion as satisfied.
    "criteria.satisfy" => CriteriaSatisfy(criteria::SettleCriterionParams) -> criteria::CriterionResult, writes, again(always), by(person, manager);
    /// Put a criterion off to later work.
    "criteria.defer" => CriteriaDefer(criteria::SettleCriterionParams) -> criteria::CriterionResult, writes, again(always), by(person, manager);
    /// Reject a criterion.
    "criteria.reject" => CriteriaReject(criteria::SettleCriterionParams) -> criteria::CriterionResult, writes, again(always), by(person, manager);
    /// Read proposals for criteria out of a worker's text; nothing is written.
    "criteria.plan" => CriteriaPlan(criteria::PlanCriteriaParams) -> criteria::PlanCriteriaResult, reads, by(person, manager, worker);
    /// Record how far a worker has come.
    "handoff.record" => HandoffRecord(handoff::RecordHandoffParams) -> supervision::Handoff, writes, again(never), see(TaskAudit), by(person, manager, worker);
    /// Record that a worker or manager acknowledges the contract of its task.
    "ack.record" => AckRecord(ack::RecordAckParams) -> supervision::Acknowledgement, writes, again(never), see(AckShow), by(person, manager, worker);
    /// Show the newest acknowledgement of a worker or manager.
    "ack.show" => AckShow(ack::ShowAckParams) -> Option<supervision::Acknowledgement>, reads, by(person, manager, worker);
    /// Read new records of a session's rollout.
    "rollout.ingest" => RolloutIngest(rollout::IngestParams) -> rollout::IngestResult, writes, again(always), by(person, manager, worker);
    /// Show the newest stored records of a session.
    "rollout.tail" => RolloutTail(rollout::TailParams) -> Vec<rollout::TailEvent>, writes, again(always), by(person, manager, worker);
    /// Run the classifiers on a text.
    "pane.classify" => PaneClassify(rollout::ClassifyParams) -> rollout::ClassifyResult, reads, by(person, manager, worker);
    /// Observe the worker of a bound task once.
    "cycle.run" => CycleRun(cycle::CycleParams) -> cycle::CycleResult, writes, again(if set(look)), see(TaskAudit), by(person, manager);
    /// List the cycles of a task whose pane showed something notable.
    "cycle.divergences" => CycleDivergences(cycle::DivergencesParams) -> Vec<cycle::Divergence>, reads, by(person, manager, worker);
    /// Create a telemetry run or a loop run.
    "run.create" => RunCreate(run::CreateParams) -> run::RunRow, writes, again(never), see(RunList), by(person, manager);
    /// List runs, newest first.
    "run.list" => RunList(run::ListParams) -> Vec<run::RunRow>, reads, by(person, manager, worker);
    /// Show a run.
    "run.show" => RunShow(run::ShowParams) -> run::RunRow, reads, by(person, manager, worker);
    /// End an active run.
    "run.finish" => RunFinish(run::FinishRunParams) -> run::RunRow, writes, again(always), by(person, manager);
    /// Run one Dispatch pass.
    "dispatch.run" => DispatchRun(dispatch::DispatchParams) -> dispatch::DispatchResult, begins, again(if set(dry_run)), see(CommandList), by(person, manager);
    /// Queue a message to the manager of a task's pair.
    "command.enqueue_notify_manager" => CommandEnqueueNotifyManager(command::EnqueueParams) -> command::EnqueueResult, writes, again(if set(idempotency_key)), see(CommandList), by(person, manager);
    /// Queue a message to the worker of a task's pair.
    "command.enqueue_nudge_worker" => CommandEnqueueNudgeWorker(command::EnqueueParams) -> command::EnqueueResult, writes, again(if set(idempotency_key)), see(CommandList), by(person, manager);
    /// List durable commands.
    "command.list" => CommandList(command::ListParams) -> Vec<command::CommandRow>, reads, by(person, manager, worker);
    /// Queue again what failed, or what may not have arrived.
    "command.retry" => CommandRetry(command::MendParams) -> command::RetryResult, writes, again(never), see(CommandList), by(person, manager);
    /// Close what failed, or what may not have arrived, without sending it again.
    "command.discard" => CommandDiscard(command::MendParams) -> command::DiscardResult, writes, again(never), see(CommandList), by(person, manager);
    /// List approvals that sessions wait for.
    "approval.list" => ApprovalList(approval::ListParams) -> Vec<approval::ApprovalRow>, reads, by(person, manager);
    /// Accept an approval, as the manager of its worker's task.
    "approval.accept" => ApprovalAccept(approval::DecideParams) -> approval::DecideResult, writes, again(never), see(ApprovalList), by(person, manager);
    /// Decline an approval, as the manager of its worker's task.
    "approval.decline" => ApprovalDecline(approval::DecideParams) -> approval::DecideResult, writes, again(never), see(ApprovalList), by(person, manager);
    /// Wait until a session is idle, busy, done, blocked or gone, or has a message.
    "state.wait" => StateWait(wait::WaitParams) -> wait::WaitResult, writes, again(always), by(person, manager, worker);
    /// List, take or wait for what is in an inbox.
    "inbox.take" => InboxTake(inbox::TakeParams) -> inbox::TakeResult, writes, again(if set(lease), unset(consume_next)), see(TaskAudit), by(person, manager, worker);
    /// Consume a leased item after it was shown.
    "inbox.acknowledge" => InboxAcknowledge(inbox::AcknowledgeParams) -> inbox::AcknowledgeResult, writes, again(always), by(person, manager, worker);
    /// Follow committed changes; ended by `events.unsubscribe` with the subscription's id.
    "events.subscribe" => EventsSubscribe(events::SubscribeParams) -> events::Change, reads, by(person, manager, worker), subscription;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::{Access, Given, Repeat};
    use schemars::SchemaGenerator;
    use serde_json::{Value, json};

    /// The parameters of a method, by name, with the schema of each.
    fn parameters(method: &crate::method::MethodInfo) -> Value {
        let mut generator = SchemaGenerator::default();
        let schema = (method.params)(&mut generator).to_value();
        let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let defined = generator.definitions().get(name).unwrap_or(&schema);
        defined["properties"].clone()
    }

    #[test]
    fn what_decides_whether_a_call_may_be_repeated_is_one_of_its_parameters() {
        for method in all() {
            let Repeat::If { any, .. } = method.repeat else { continue };
            let parameters = parameters(&method);
            for Given::Set(name) | Given::Unset(name) in any {
                assert!(parameters.get(name).is_some(), "{}: {name}", method.name);
            }
        }
    }

    #[test]
    fn what_shows_whether_a_call_was_carried_out_can_be_asked_at_any_time() {
        for method in all() {
            let Some(look_at) = method.repeat.look_at() else { continue };
            assert_eq!(method.access, Access::Write, "{}", method.name);
            let shows = find(look_at).unwrap();
            let reads = shows.access == Access::Read || shows.repeat.is_safe(&json!({}));
            assert!(reads, "{} is looked up by {look_at}", method.name);
        }
    }

    #[test]
    fn the_parameters_decide_where_they_make_the_difference() {
        #[track_caller]
        fn check(method: &str, params: Value, expect: bool) {
            assert_eq!(find(method).unwrap().repeat.is_safe(&params), expect, "{method} {params}");
        }
        check("task.list", json!({}), true);
        check("task.create", json!({ "name": "t" }), false);
        check("inbox.acknowledge", json!({ "lease": "l" }), true);
        for (key, expect) in [(json!("k"), true), (json!(""), false), (json!(null), false)] {
            check("command.enqueue_nudge_worker", json!({ "idempotency_key": key }), expect);
        }
        check("command.enqueue_nudge_worker", json!({}), false);
        check("session.nudge", json!({ "dry_run": true }), true);
        check("session.nudge", json!({ "dry_run": false }), false);
        check("inbox.take", json!({ "wait": true }), true);
        check("inbox.take", json!({ "consume_next": true }), false);
        check("inbox.take", json!({ "consume_next": true, "lease": true }), true);
        check("reconcile.run", json!({ "apply": true }), false);
        check("reconcile.run", json!({}), true);
    }
}
