//! What a verb needs of its surroundings: the daemon that the arguments mean, calls to it whose failures are this
//! program's errors, and the caller's circumstances that travel with a call.
//!
//! What must not live here: how a daemon is found, started or waited for, which is `conveyor-client`'s.

use crate::error::CommandError;
use crate::global::GlobalArgs;
use crate::program::Program;
use crate::ui::Ui;
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_client::{
    Daemon, Error, Event, Patience, Progress, SearchPath, StartLock, Starting, Target, TargetError,
};
use conveyor_proto::client::Subscription;
use conveyor_proto::method::Method;
use conveyor_proto::settings::{self, Environment, StateFiles, StateRootError};
use conveyor_proto::types::common::{Caller, Page};
use conveyor_proto::types::daemon::StopResult;
use serde_json::Value;
use serde_json::value::RawValue;
use std::future::Future;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

/// Rows of a page. Each may have texts of 128 KiB, and an answer holds 64 MiB.
const PAGE: u32 = 256;

/// One run's view of its surroundings.
pub(crate) struct Helper {
    program: Program,
    daemon: Daemon,
    environment: Rc<dyn Environment>,
}

/// Shows what goes on during a call where a person looks.
impl Progress for Ui {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Starting { state_root } => {
                self.note(&format!("starting conveyord (state root {state_root})"))
            }
            Event::Waiting { method } => {
                self.progress(&format!("waiting for conveyord ({method}); Ctrl-C ends the waiting"));
            }
            _ => {}
        }
    }
}

impl Helper {
    pub(crate) fn new(
        program: Program,
        global: &GlobalArgs,
        environment: Rc<dyn Environment>,
    ) -> Result<Self, CommandError> {
        let named =
            |path: &Option<String>| path.clone().filter(|path| !path.is_empty()).map(Utf8PathBuf::from);
        let (state_root, database) = (named(&global.state_root), named(&global.path));
        let target = Target::find(state_root.as_deref(), database.as_deref(), &*environment);
        let target = target.map_err(|error| match error {
            TargetError::Both => {
                CommandError::usage("--path cannot be used with --state-root: each names a daemon")
            }
            TargetError::StateRoot(error) => unknown_root(&error),
            error => CommandError::failed("state_root", error.to_string()),
        })?;
        let starting = if global.no_start { Starting::Forbidden } else { Starting::Allowed };
        let daemon = Daemon::new(target, SearchPath::of(&*environment), starting);
        Ok(Self { program, daemon, environment })
    }

    pub(crate) const fn program(&self) -> Program {
        self.program
    }

    /// The daemon that is meant.
    pub(crate) const fn target(&self) -> &Target {
        self.daemon.target()
    }

    /// The files of the daemon that is meant.
    pub(crate) const fn files(&self) -> &StateFiles {
        self.daemon.target().files()
    }

    /// The state root of the caller. The daemon of a database that was named has another one, beside that file.
    pub(crate) fn caller_root(&self) -> Result<Utf8PathBuf, CommandError> {
        if self.target().named_database().is_none() {
            return Ok(self.files().root.clone());
        }
        let root = settings::state_root(None, &*self.environment).map_err(|error| unknown_root(&error))?;
        Ok(root.value)
    }

    /// Whether a call may start the daemon.
    pub(crate) const fn starting(&self) -> Starting {
        self.daemon.starting()
    }

    /// The options, with absolute paths, by which another command line reaches the same daemon.
    pub(crate) fn daemon_options(&self) -> Vec<String> {
        let target = self.target();
        let named = [("--state-root", target.named_state_root()), ("--path", target.named_database())];
        let given =
            named.into_iter().filter_map(|(option, path)| Some([option, path.map(Utf8Path::as_str)?]));
        given.flatten().map(str::to_owned).collect()
    }

    pub(crate) fn environment(&self) -> &dyn Environment {
        &*self.environment
    }

    /// The caller's circumstances, which the daemon does not share.
    pub(crate) fn caller(&self) -> Caller {
        conveyor_client::caller(self.program.as_str(), &*self.environment)
    }

    /// Calls a method. Ctrl-C ends the waiting.
    pub(crate) async fn call<M: Method>(
        &self,
        ui: &mut Ui,
        params: &M::Params,
    ) -> Result<M::Result, CommandError> {
        self.daemon.call::<M>(ui, params).await.map_err(|error| self.failure(error))
    }

    /// Calls a method whose answer is printed as it came: the keys of a newer daemon are kept.
    pub(crate) async fn call_json<M: Method>(
        &self,
        ui: &mut Ui,
        params: &M::Params,
    ) -> Result<Value, CommandError> {
        self.daemon.call_json::<M>(ui, params).await.map_err(|error| self.failure(error))
    }

    /// Calls a listing page by page: the whole of it may be more than one answer can hold.
    pub(crate) async fn call_pages<M: Method>(
        &self,
        ui: &mut Ui,
        params: impl Fn(Page) -> M::Params,
    ) -> Result<Value, CommandError> {
        let (mut rows, mut page) = (Vec::new(), Page { after: None, limit: NonZeroU32::new(PAGE) });
        loop {
            let answer = self.call_json::<M>(ui, &params(page.clone())).await?;
            let Value::Array(more) = answer else { return Ok(answer) };
            let is_last = more.len() < PAGE as usize;
            page.after = more.last().and_then(|row| row.get("id")?.as_str().map(str::to_owned));
            rows.extend(more);
            if is_last || page.after.is_none() {
                return Ok(Value::Array(rows));
            }
        }
    }

    /// As [`Helper::call_json`], for a call which makes sense until the deadline.
    pub(crate) async fn call_until<M: Method>(
        &self,
        ui: &mut Ui,
        params: &M::Params,
        deadline: Instant,
    ) -> Result<Value, CommandError> {
        self.daemon.call_until::<M>(ui, params, deadline).await.map_err(|error| self.failure(error))
    }

    /// As [`Helper::call_json`], for one step of a wait.
    pub(crate) async fn call_waiting<M: Method>(
        &self,
        ui: &mut Ui,
        params: &M::Params,
        patience: &mut Patience,
    ) -> Result<Value, CommandError> {
        self.daemon.call_waiting::<M>(ui, params, patience).await.map_err(|error| self.failure(error))
    }

    /// Reads an answer that is printed as it came and also has to be looked into.
    pub(crate) fn understand<M: Method>(&self, answer: &Value) -> Result<M::Result, CommandError> {
        Daemon::understand::<M>(answer).map_err(|error| self.failure(error))
    }

    /// Calls a method by its name.
    pub(crate) async fn call_by_name(
        &self,
        ui: &mut Ui,
        method: &str,
        params: Option<Box<RawValue>>,
    ) -> Result<Value, CommandError> {
        self.daemon.call_by_name(ui, method, params).await.map_err(|error| self.failure(error))
    }

    /// Calls a method on a daemon that runs, whatever its version; `None` when none runs, and none is started.
    pub(crate) async fn call_running<M: Method>(
        &self,
        ui: &mut Ui,
        params: &M::Params,
    ) -> Result<Option<Value>, CommandError> {
        self.daemon.call_running::<M>(ui, params).await.map_err(|error| self.failure(error))
    }

    /// Opens a subscription whose items are printed as they came.
    pub(crate) async fn subscribe_json<M: Method>(
        &self,
        ui: &mut Ui,
        params: &M::Params,
    ) -> Result<Subscription<Box<RawValue>>, CommandError> {
        self.daemon.subscribe_json::<M>(ui, params).await.map_err(|error| self.failure(error))
    }

    /// Connects, starting the daemon where that is allowed.
    pub(crate) async fn connect(&self, ui: &mut Ui) -> Result<(), CommandError> {
        self.daemon.connect(ui).await.map_err(|error| self.failure(error))
    }

    /// Ends the connection; the next call makes a new one.
    pub(crate) fn disconnect(&self) {
        self.daemon.disconnect();
    }

    /// Whether a daemon that is not about to end answers now.
    pub(crate) async fn answers(&self) -> bool {
        self.daemon.answers().await
    }

    /// Whether another daemon answers soon after one has ended in good order, as in a restart.
    pub(crate) async fn daemon_returns(&self) -> Result<bool, CommandError> {
        self.daemon.returns().await.map_err(|error| self.failure(error))
    }

    /// Ends the daemon and tells what it was; `None` when none ran.
    pub(crate) async fn stop(&self, ui: &mut Ui) -> Result<Option<StopResult>, CommandError> {
        self.daemon.stop(ui).await.map_err(|error| self.failure(error))
    }

    /// As [`Helper::stop`], for a caller who holds the start lock.
    pub(crate) async fn stop_locked(
        &self,
        lock: &StartLock,
        ui: &mut Ui,
    ) -> Result<Option<StopResult>, CommandError> {
        self.daemon.stop_locked(lock, ui).await.map_err(|error| self.failure(error))
    }

    /// Ends the daemon and starts it again.
    pub(crate) async fn restart(&self, ui: &mut Ui) -> Result<(), CommandError> {
        self.daemon.restart(ui).await.map_err(|error| self.failure(error))
    }

    /// Takes the start lock: no other client starts or ends the daemon while it is held.
    pub(crate) async fn lock_start(&self) -> Result<StartLock, CommandError> {
        self.daemon.lock_start().await.map_err(|error| self.failure(error))
    }

    /// The path of the daemon's program.
    pub(crate) fn find_daemon(&self) -> Result<PathBuf, CommandError> {
        self.daemon.search().find().map_err(|error| self.failure(error))
    }

    /// Resolves when Ctrl-C has been pressed.
    pub(crate) async fn interruption(&self) {
        self.daemon.interruption().await;
    }

    /// Runs work until it is done or Ctrl-C is pressed.
    pub(crate) async fn interruptible<T>(&self, work: impl Future<Output = T>) -> Result<T, CommandError> {
        self.daemon.interruptible(work).await.map_err(|error| self.failure(error))
    }

    /// What a verb ends in when the daemon, or the way to it, failed.
    pub(crate) fn failure(&self, error: impl Into<Error>) -> CommandError {
        CommandError::of_client(self.program, error.into())
    }
}

fn unknown_root(error: &StateRootError) -> CommandError {
    CommandError::failed("state_root", error.to_string())
}
