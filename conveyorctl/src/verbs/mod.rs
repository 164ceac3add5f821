//! One file per verb: its arguments, whose doc comments are its help, and the call that it is.
//!
//! The folders and files are the daemon's namespaces (`conveyord/src/rpc/`): `session.register` is called from
//! `session/register.rs`. A namespace with one verb is a file. A verb that makes several calls stands in the namespace
//! of the first, under the name of what it does. Verbs about the program itself and about the daemon as a program are
//! in `own/`.
//!
//! A verb calls the daemon through [`Helper`] and prints through [`Ui`]; it decides nothing that the daemon
//! could decide. To add one: its file, its `mod` line and its line in the table below, whose order is that of the help.

mod ack;
mod approval;
mod binding {
    pub(super) mod create;
    pub(super) mod end;
}
mod command {
    pub(super) mod commands;
    pub(super) mod enqueue;
}
mod compat;
mod criteria {
    pub(super) mod plan;
    pub(super) mod settle;
}
mod cycle {
    pub(super) mod divergences;
    pub(super) mod run;
    mod sight;
}
mod db;
mod discover;
mod dispatch;
mod doctor {
    pub(super) mod calling;
    mod report;
    pub(super) mod run;
}
mod events;
mod handoff;
mod inbox {
    pub(super) mod take;
    mod text;
}
mod manager_config {
    pub(super) mod check_permission;
    mod interactive;
    pub(super) mod set;
}
mod own {
    pub(super) mod completions;
    pub(super) mod config;
    pub(super) mod daemon;
    pub(super) mod install_skills;
    pub(super) mod man;
    pub(super) mod rpc;
    pub(super) mod uninstall_skills;
}
mod overview;
mod pair;
mod pane;
mod reconcile;
mod rollout {
    pub(super) mod ingest;
    pub(super) mod tail;
}
mod run;
mod session {
    pub(super) mod deregister;
    pub(super) mod interrupt;
    pub(super) mod list;
    pub(super) mod nudge;
    pub(super) mod register;
    pub(super) mod rename;
    pub(super) mod start;
}
mod state;
mod task {
    pub(super) mod audit;
    pub(super) mod finish;
    pub(super) mod replay;
    mod replay_text;
    pub(super) mod stop;
    pub(super) mod tasks;
}
mod worker {
    pub(super) mod attach;
    pub(super) mod capture;
    pub(super) mod create;
    pub(super) mod events;
    pub(super) mod idle_check;
    pub(super) mod interrupt;
    pub(super) mod list;
    pub(super) mod nudge;
    pub(super) mod start;
    pub(super) mod status;
    pub(super) mod stop;
    pub(super) mod update_status;
}

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use clap::Subcommand;

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    #[command(flatten)]
    WithDaemon(WithDaemon),
    #[command(flatten)]
    Alone(Alone),
}

/// Makes the verbs that need the daemon out of one line per verb: its name, its arguments, the function that runs it.
macro_rules! verbs {
    ($( $(#[$attribute:meta])* $verb:ident($args:ty) => $run:path; )+) => {
        /// The verbs that need the daemon, or at least its files.
        #[derive(Debug, Subcommand)]
        pub(crate) enum WithDaemon {
            $( $(#[$attribute])* $verb($args), )+
        }

        impl WithDaemon {
            /// Runs the verb to its end.
            pub(crate) async fn run(&self, ui: &mut Ui, helper: &Helper) -> Result<(), CommandError> {
                match self {
                    $( Self::$verb(args) => $run(ui, helper, args).await, )+
                }
            }
        }
    };
}

verbs! {
    RegisterWorker(session::register::RegisterWorkerArgs) => session::register::run_worker;
    RegisterManager(session::register::RegisterManagerArgs) => session::register::run_manager;
    StartWorker(session::start::StartWorkerArgs) => session::start::run_worker;
    StartManager(session::start::StartManagerArgs) => session::start::run_manager;
    Pair(Box<pair::PairArgs>) => pair::run;
    Deregister(session::deregister::DeregisterArgs) => session::deregister::run;
    SessionRename(session::rename::SessionRenameArgs) => session::rename::run;
    Stop(worker::stop::StopArgs) => worker::stop::run;
    Sessions(session::list::SessionsArgs) => session::list::run;
    Create(worker::create::CreateArgs) => worker::create::run;
    StartTest(worker::create::StartTestArgs) => worker::create::run_test;
    Start(worker::start::StartArgs) => worker::start::run;
    List(worker::list::ListArgs) => worker::list::run;
    #[command(visible_alias = "ps")]
    Status(worker::status::StatusArgs) => worker::status::run;
    UpdateStatus(worker::update_status::UpdateStatusArgs) => worker::update_status::run;
    IdleCheck(worker::idle_check::IdleCheckArgs) => worker::idle_check::run;
    Events(worker::events::EventsArgs) => worker::events::run;
    Capture(worker::capture::CaptureArgs) => worker::capture::run;
    Nudge(worker::nudge::NudgeArgs) => worker::nudge::run;
    Interrupt(worker::interrupt::InterruptArgs) => worker::interrupt::run;
    Open(worker::attach::OpenArgs) => worker::attach::run;
    OpenWorker(worker::attach::OpenWorkerArgs) => worker::attach::run_worker;
    OpenManager(worker::attach::OpenManagerArgs) => worker::attach::run_manager;
    Tasks(task::tasks::TasksArgs) => task::tasks::run;
    Bind(binding::create::BindArgs) => binding::create::run;
    Unbind(binding::end::UnbindArgs) => binding::end::run;
    ManagerConfig(manager_config::set::ManagerConfigArgs) => manager_config::set::run;
    ManagerPermission(manager_config::check_permission::ManagerPermissionArgs)
        => manager_config::check_permission::run;
    Criteria(criteria::settle::CriteriaArgs) => criteria::settle::run;
    CriteriaPlan(criteria::plan::CriteriaPlanArgs) => criteria::plan::run;
    Handoff(handoff::HandoffArgs) => handoff::run;
    WorkerAck(ack::WorkerAckArgs) => ack::run_worker;
    ManagerAck(ack::ManagerAckArgs) => ack::run_manager;
    Runs(run::RunsArgs) => run::run;
    Cycle(cycle::run::CycleArgs) => cycle::run::run;
    Divergences(cycle::divergences::DivergencesArgs) => cycle::divergences::run;
    Ingest(rollout::ingest::IngestArgs) => rollout::ingest::run;
    Tail(rollout::tail::TailArgs) => rollout::tail::run;
    Classify(pane::ClassifyArgs) => pane::run;
    SessionNudge(session::nudge::SessionNudgeArgs) => session::nudge::run;
    SessionInterrupt(session::interrupt::SessionInterruptArgs) => session::interrupt::run;
    Dispatch(dispatch::DispatchArgs) => dispatch::run;
    EnqueueNotifyManager(command::enqueue::EnqueueNotifyManagerArgs) => command::enqueue::run_notify_manager;
    EnqueueNudgeWorker(command::enqueue::EnqueueNudgeWorkerArgs) => command::enqueue::run_nudge_worker;
    Commands(command::commands::CommandsArgs) => command::commands::run;
    Approvals(approval::ApprovalsArgs) => approval::run;
    Wait(state::WaitArgs) => state::run;
    Watch(events::WatchArgs) => events::run;
    SessionInbox(inbox::take::SessionInboxArgs) => inbox::take::run_session;
    ManagerInbox(inbox::take::ManagerInboxArgs) => inbox::take::run_manager;
    WorkerInbox(inbox::take::WorkerInboxArgs) => inbox::take::run_worker;
    FinishTask(task::finish::FinishTaskArgs) => task::finish::run;
    StopTask(task::stop::StopTaskArgs) => task::stop::run;
    Audit(task::audit::AuditArgs) => task::audit::run;
    Replay(task::replay::ReplayArgs) => task::replay::run;
    Doctor(doctor::run::DoctorArgs) => doctor::run::run;
    DoctorSelf(doctor::calling::DoctorSelfArgs) => doctor::calling::run;
    #[command(visible_alias = "search")]
    Discover(discover::DiscoverArgs) => discover::run;
    DbDoctor(db::DbDoctorArgs) => db::run;
    Reconcile(reconcile::ReconcileArgs) => reconcile::run;
    ImportCompat(compat::ImportCompatArgs) => compat::run;
    Daemon(own::daemon::DaemonArgs) => own::daemon::run;
    Config(own::config::ConfigArgs) => own::config::run;
    Rpc(own::rpc::RpcArgs) => own::rpc::run;
}

/// The verbs that are about the program alone: they need neither a daemon nor a state root.
#[derive(Debug, Subcommand)]
pub(crate) enum Alone {
    InstallSkills(own::install_skills::InstallSkillsArgs),
    UninstallSkills(own::uninstall_skills::UninstallSkillsArgs),
    Completions(own::completions::CompletionsArgs),
    Man(own::man::ManArgs),
}

impl Alone {
    /// Runs the verb to its end. `definition` is that of the whole program, under the name that it was called by.
    pub(crate) fn run(&self, ui: &mut Ui, definition: &clap::Command) -> Result<(), CommandError> {
        match self {
            Self::InstallSkills(args) => own::install_skills::run(ui, args),
            Self::UninstallSkills(args) => own::uninstall_skills::run(ui, args),
            Self::Completions(args) => own::completions::run(ui, args),
            Self::Man(args) => own::man::run(ui, definition, args),
        }
    }
}
