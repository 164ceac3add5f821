//! One file per verb: its arguments, whose doc comments are its help, and the call that it is.
//!
//! A verb calls the daemon through [`Helper`] and prints through [`Ui`]; it decides nothing that the daemon
//! could decide.

mod ack;
mod approvals;
mod audit;
mod bind;
mod capture;
mod classify;
mod commands;
mod completions;
mod config;
mod create;
mod criteria;
mod criteria_plan;
mod cycle;
mod daemon;
mod daemon_logs;
mod daemon_service;
mod db_doctor;
mod deregister;
mod discover;
mod dispatch;
mod divergences;
mod doctor;
mod doctor_self;
mod enqueue;
mod events;
mod finish_task;
mod handoff;
mod idle_check;
mod import_compat;
mod inbox;
mod inbox_text;
mod ingest;
mod install_skills;
mod interrupt;
mod list;
mod man;
mod manager_config;
mod manager_config_interactive;
mod manager_permission;
mod nudge;
mod open;
mod pair;
mod reconcile;
mod register;
mod replay;
mod replay_text;
mod rpc;
mod runs;
mod session_interrupt;
mod session_nudge;
mod sessions;
mod start;
mod start_session;
mod status;
mod stop;
mod stop_task;
mod tail;
mod tasks;
mod unbind;
mod update_status;
mod wait;
mod watch;

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use clap::Subcommand;
use conveyor_proto::registry;
use conveyor_proto::types::common::Role;

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    RegisterWorker(register::RegisterWorkerArgs),
    RegisterManager(register::RegisterManagerArgs),
    StartWorker(start_session::StartWorkerArgs),
    StartManager(start_session::StartManagerArgs),
    Pair(Box<pair::PairArgs>),
    Deregister(deregister::DeregisterArgs),
    Stop(stop::StopArgs),
    Sessions(sessions::SessionsArgs),
    Create(create::CreateArgs),
    StartTest(create::StartTestArgs),
    Start(start::StartArgs),
    List(list::ListArgs),
    Status(status::StatusArgs),
    UpdateStatus(update_status::UpdateStatusArgs),
    IdleCheck(idle_check::IdleCheckArgs),
    Events(events::EventsArgs),
    Capture(capture::CaptureArgs),
    Nudge(nudge::NudgeArgs),
    Interrupt(interrupt::InterruptArgs),
    Open(open::OpenArgs),
    OpenWorker(open::OpenWorkerArgs),
    OpenManager(open::OpenManagerArgs),
    Tasks(tasks::TasksArgs),
    Bind(bind::BindArgs),
    Unbind(unbind::UnbindArgs),
    ManagerConfig(manager_config::ManagerConfigArgs),
    ManagerPermission(manager_permission::ManagerPermissionArgs),
    Criteria(criteria::CriteriaArgs),
    CriteriaPlan(criteria_plan::CriteriaPlanArgs),
    Handoff(handoff::HandoffArgs),
    WorkerAck(ack::WorkerAckArgs),
    ManagerAck(ack::ManagerAckArgs),
    Runs(runs::RunsArgs),
    Cycle(cycle::CycleArgs),
    Divergences(divergences::DivergencesArgs),
    Ingest(ingest::IngestArgs),
    Tail(tail::TailArgs),
    Classify(classify::ClassifyArgs),
    SessionNudge(session_nudge::SessionNudgeArgs),
    SessionInterrupt(session_interrupt::SessionInterruptArgs),
    Dispatch(dispatch::DispatchArgs),
    EnqueueNotifyManager(enqueue::EnqueueNotifyManagerArgs),
    EnqueueNudgeWorker(enqueue::EnqueueNudgeWorkerArgs),
    Commands(commands::CommandsArgs),
    Approvals(approvals::ApprovalsArgs),
    Wait(wait::WaitArgs),
    Watch(watch::WatchArgs),
    SessionInbox(inbox::SessionInboxArgs),
    ManagerInbox(inbox::ManagerInboxArgs),
    WorkerInbox(inbox::WorkerInboxArgs),
    FinishTask(finish_task::FinishTaskArgs),
    StopTask(stop_task::StopTaskArgs),
    Audit(audit::AuditArgs),
    Replay(replay::ReplayArgs),
    Doctor(doctor::DoctorArgs),
    DoctorSelf(doctor_self::DoctorSelfArgs),
    #[command(visible_alias = "search")]
    Discover(discover::DiscoverArgs),
    DbDoctor(db_doctor::DbDoctorArgs),
    Reconcile(reconcile::ReconcileArgs),
    ImportCompat(import_compat::ImportCompatArgs),
    Daemon(daemon::DaemonArgs),
    Config(config::ConfigArgs),
    Rpc(rpc::RpcArgs),
    InstallSkills(install_skills::InstallSkillsArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

impl Verb {
    /// Whether the caller asked for JSON instead of text; then errors are JSON too.
    pub(crate) const fn prints_json(&self) -> bool {
        match self {
            Self::Pair(args) => args.json,
            Self::List(args) => args.json,
            Self::Tasks(args) => args.json,
            Self::CriteriaPlan(args) => args.json,
            Self::WorkerAck(args) => args.ack.json,
            Self::ManagerAck(args) => args.ack.json,
            Self::Dispatch(args) => args.json,
            Self::EnqueueNotifyManager(args) => args.message.json,
            Self::EnqueueNudgeWorker(args) => args.message.json,
            Self::Commands(args) => args.prints_json(),
            Self::Approvals(args) => args.prints_json(),
            Self::Wait(args) => args.json,
            Self::Watch(args) => args.json,
            Self::SessionInbox(args) => args.taking.json,
            Self::ManagerInbox(args) => args.taking.json,
            Self::WorkerInbox(args) => args.taking.json,
            Self::Audit(args) => args.json,
            Self::Replay(args) => args.json,
            Self::Config(args) => args.json,
            Self::InstallSkills(args) => args.json,
            _ => false,
        }
    }
}

/// Runs a verb that is about the program alone: it needs neither a daemon nor a state root. None for all others.
pub(crate) fn run_alone(ui: &mut Ui, verb: &Verb) -> Option<Result<(), CommandError>> {
    match verb {
        Verb::InstallSkills(args) => Some(install_skills::run(ui, args)),
        Verb::Completions(args) => Some(completions::run(ui, args)),
        Verb::Man(args) => Some(man::run(ui, args)),
        _ => None,
    }
}

/// Runs a verb to its end.
pub(crate) async fn run(ui: &mut Ui, helper: &Helper, verb: &Verb) -> Result<(), CommandError> {
    match verb {
        Verb::RegisterWorker(args) => register::run(ui, helper, Role::Worker, &args.session).await,
        Verb::RegisterManager(args) => register::run(ui, helper, Role::Manager, &args.session).await,
        Verb::StartWorker(args) => start_session::start_worker(ui, helper, args).await,
        Verb::StartManager(args) => start_session::start_manager(ui, helper, args).await,
        Verb::Pair(args) => pair::run(ui, helper, args).await,
        Verb::Deregister(args) => deregister::run(ui, helper, args).await,
        Verb::Stop(args) => stop::run(ui, helper, args).await,
        Verb::Sessions(args) => sessions::run(ui, helper, args).await,
        Verb::Create(args) => create::run(ui, helper, args).await,
        Verb::StartTest(args) => create::run_test(ui, helper, args).await,
        Verb::Start(args) => start::run(ui, helper, args).await,
        Verb::List(args) => list::run(ui, helper, args).await,
        Verb::Status(args) => status::run(ui, helper, args).await,
        Verb::UpdateStatus(args) => update_status::run(ui, helper, args).await,
        Verb::IdleCheck(args) => idle_check::run(ui, helper, args).await,
        Verb::Events(args) => events::run(ui, helper, args).await,
        Verb::Capture(args) => capture::run(ui, helper, args).await,
        Verb::Nudge(args) => nudge::run(ui, helper, args).await,
        Verb::Interrupt(args) => interrupt::run(ui, helper, args).await,
        Verb::Open(args) => open::run(ui, helper, args).await,
        Verb::OpenWorker(args) => open::run_for_task(ui, helper, Role::Worker, &args.side).await,
        Verb::OpenManager(args) => open::run_for_task(ui, helper, Role::Manager, &args.side).await,
        Verb::Tasks(args) => tasks::run(ui, helper, args).await,
        Verb::Bind(args) => bind::run(ui, helper, args).await,
        Verb::Unbind(args) => unbind::run(ui, helper, args).await,
        Verb::ManagerConfig(args) => manager_config::run(ui, helper, args).await,
        Verb::ManagerPermission(args) => manager_permission::run(ui, helper, args).await,
        Verb::Criteria(args) => criteria::run(ui, helper, args).await,
        Verb::CriteriaPlan(args) => criteria_plan::run(ui, helper, args).await,
        Verb::Handoff(args) => handoff::run(ui, helper, args).await,
        Verb::WorkerAck(args) => ack::run(ui, helper, Role::Worker, &args.ack).await,
        Verb::ManagerAck(args) => ack::run(ui, helper, Role::Manager, &args.ack).await,
        Verb::Runs(args) => runs::run(ui, helper, args).await,
        Verb::Cycle(args) => cycle::run(ui, helper, args).await,
        Verb::Divergences(args) => divergences::run(ui, helper, args).await,
        Verb::Ingest(args) => ingest::run(ui, helper, args).await,
        Verb::Tail(args) => tail::run(ui, helper, args).await,
        Verb::Classify(args) => classify::run(ui, helper, args).await,
        Verb::SessionNudge(args) => session_nudge::run(ui, helper, args).await,
        Verb::SessionInterrupt(args) => session_interrupt::run(ui, helper, args).await,
        Verb::Dispatch(args) => dispatch::run(ui, helper, args).await,
        Verb::EnqueueNotifyManager(args) => {
            enqueue::run::<registry::CommandEnqueueNotifyManager>(ui, helper, &args.message).await
        }
        Verb::EnqueueNudgeWorker(args) => {
            enqueue::run::<registry::CommandEnqueueNudgeWorker>(ui, helper, &args.message).await
        }
        Verb::Commands(args) => commands::run(ui, helper, args).await,
        Verb::Approvals(args) => approvals::run(ui, helper, args).await,
        Verb::Wait(args) => wait::run(ui, helper, args).await,
        Verb::Watch(args) => watch::run(ui, helper, args).await,
        Verb::SessionInbox(args) => {
            inbox::run(ui, helper, inbox::Owner::Session(&args.session), &args.taking).await
        }
        Verb::ManagerInbox(args) => {
            inbox::run(ui, helper, inbox::Owner::Task(&args.task, Role::Manager), &args.taking).await
        }
        Verb::WorkerInbox(args) => {
            inbox::run(ui, helper, inbox::Owner::Task(&args.task, Role::Worker), &args.taking).await
        }
        Verb::FinishTask(args) => finish_task::run(ui, helper, args).await,
        Verb::StopTask(args) => stop_task::run(ui, helper, args).await,
        Verb::Audit(args) => audit::run(ui, helper, args).await,
        Verb::Replay(args) => replay::run(ui, helper, args).await,
        Verb::Doctor(args) => doctor::run(ui, helper, args).await,
        Verb::DoctorSelf(args) => doctor_self::run(ui, helper, args).await,
        Verb::Discover(args) => discover::run(ui, helper, args).await,
        Verb::DbDoctor(args) => db_doctor::run(ui, helper, args).await,
        Verb::Reconcile(args) => reconcile::run(ui, helper, args).await,
        Verb::ImportCompat(args) => import_compat::run(ui, helper, args).await,
        Verb::Daemon(args) => daemon::run(ui, helper, args).await,
        Verb::Config(args) => config::run(ui, helper, args).await,
        Verb::Rpc(args) => rpc::run(ui, helper, args).await,
        Verb::InstallSkills(args) => install_skills::run(ui, args),
        Verb::Completions(args) => completions::run(ui, args),
        Verb::Man(args) => man::run(ui, args),
    }
}
