//! What a verb needs of its surroundings: which daemon it is about, a connection to it, and the caller's
//! circumstances that travel with a call.

use crate::cli::GlobalArgs;
use crate::error::{CommandError, NOT_SENT};
use crate::interrupt::Interrupt;
use crate::program::Program;
use crate::start;
use crate::ui::Ui;
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::client::{Client, ClientError};
use conveyor_proto::method::Method;
use conveyor_proto::openrpc::PROTOCOL_MAJOR;
use conveyor_proto::registry::RpcHello;
use conveyor_proto::settings::{self, Environment, StateFiles};
use conveyor_proto::types::common::Caller;
use conveyor_proto::types::daemon::HelloParams;
use serde::Deserialize as _;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long a daemon that closes connections before it greets is taken for one that is just ending.
const DYING_DAEMON: Duration = Duration::from_secs(5);
/// How often it is looked whether another has taken its place.
const DYING_DAEMON_LOOK: Duration = Duration::from_millis(20);

/// How long a wait outlives a daemon that was stopped, in case it is a restart.
const RESTART_GRACE: Duration = Duration::from_secs(5);
/// How often it is looked whether the new one answers.
const RESTART_LOOK: Duration = Duration::from_millis(50);

/// How long a call may last before a person at the terminal is told what it waits for.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a daemon may take to say who it is, or to do what needs no work of it.
const PROMPT_LIMIT: Duration = Duration::from_secs(10);

/// JSON-RPC's code for a method that the other side does not have.
const METHOD_NOT_FOUND: i32 = -32601;

/// One run's view of its surroundings.
pub(crate) struct Helper {
    program: Program,
    files: StateFiles,
    database_named: bool,
    /// The options that named the daemon, with absolute paths.
    daemon_options: Vec<String>,
    may_start: bool,
    environment: Rc<dyn Environment>,
    connection: RefCell<Option<Client>>,
    interrupt: Interrupt,
}

impl Helper {
    pub(crate) fn new(
        program: Program,
        global: &GlobalArgs,
        environment: Rc<dyn Environment>,
    ) -> Result<Self, CommandError> {
        let unknown = |error: settings::StateRootError| CommandError::failed("state_root", error.to_string());
        let state_root = global.state_root.as_deref().filter(|path| !path.is_empty()).map(Utf8Path::new);
        let database = global.path.as_deref().filter(|path| !path.is_empty()).map(Utf8Path::new);
        let mut daemon_options = Vec::new();
        for (option, path) in [("--state-root", state_root), ("--path", database)] {
            let Some(path) = path else { continue };
            let path = settings::absolute(path).map_err(unknown)?;
            daemon_options.extend([option.to_owned(), path.into_string()]);
        }
        let files = match (state_root, database) {
            (Some(_), Some(_)) => {
                return Err(CommandError::usage(
                    "--path cannot be used with --state-root: each names a daemon",
                ));
            }
            (None, Some(path)) => StateFiles::for_database(settings::absolute(path).map_err(unknown)?),
            (root, None) => {
                StateFiles::in_root(settings::state_root(root, &*environment).map_err(unknown)?.value)
            }
        };
        Ok(Self {
            program,
            files,
            database_named: database.is_some(),
            daemon_options,
            may_start: !global.no_start,
            environment,
            connection: RefCell::new(None),
            interrupt: Interrupt::default(),
        })
    }

    pub(crate) const fn program(&self) -> Program {
        self.program
    }

    /// The files of the daemon that is meant.
    pub(crate) const fn files(&self) -> &StateFiles {
        &self.files
    }

    /// The state root of the caller. A daemon of a database that was named has one of its own beside that.
    pub(crate) fn caller_root(&self) -> Result<Utf8PathBuf, CommandError> {
        if !self.database_named {
            return Ok(self.files.root.clone());
        }
        let root = settings::state_root(None, &*self.environment);
        let root = root.map_err(|error| CommandError::failed("state_root", error.to_string()))?;
        Ok(root.value)
    }

    pub(crate) const fn may_start(&self) -> bool {
        self.may_start
    }

    /// Ends the connection; the next call makes a new one.
    pub(crate) fn disconnect(&self) {
        *self.connection.borrow_mut() = None;
    }

    /// Whether the database was named, so that the daemon is started on it.
    pub(crate) const fn database_named(&self) -> bool {
        self.database_named
    }

    /// The options that a command line needs to reach the daemon of this one.
    pub(crate) fn daemon_options(&self) -> &[String] {
        &self.daemon_options
    }

    pub(crate) fn environment(&self) -> &dyn Environment {
        &*self.environment
    }

    /// The caller's circumstances; the daemon has others.
    pub(crate) fn caller(&self) -> Caller {
        let variable = |name| self.environment.get(name);
        Caller {
            cwd: settings::current_dir().ok().map(|dir| dir.to_string()),
            program: Some(self.program.to_string()),
            pid: Some(i64::from(std::process::id())),
            codex_home: variable("CODEX_HOME"),
            home: variable("HOME"),
            path: variable("PATH"),
            tmux: variable("TMUX"),
            tmux_pane: variable("TMUX_PANE"),
            tmux_tmpdir: variable("TMUX_TMPDIR"),
        }
    }

    /// Calls a method. Ctrl-C ends the waiting. What a daemon that was just ending cannot have received is sent to the
    /// next one.
    pub(crate) async fn call<M: Method>(
        &self,
        ui: &mut Ui,
        params: &M::Params,
    ) -> Result<M::Result, CommandError> {
        let patience = Instant::now() + DYING_DAEMON;
        loop {
            let client = self.connection(ui).await?;
            match self.answer(ui, M::NAME, client.call::<M>(params)).await {
                Err(error) if error.kind.word() == Some(NOT_SENT) && Instant::now() < patience => {}
                answer => return answer,
            }
        }
    }

    /// Calls a method whose answer is printed as it came: a newer daemon's new keys are kept.
    pub(crate) async fn call_json<M: Method>(
        &self,
        ui: &mut Ui,
        params: &M::Params,
    ) -> Result<Value, CommandError> {
        let params = to_raw_value(params).map_err(|error| {
            CommandError::failed("protocol", format!("failed to encode the parameters: {error}"))
        })?;
        self.call_by_name(ui, M::NAME, Some(params)).await
    }

    /// Reads an answer that is printed as it came and also has to be looked into.
    pub(crate) fn understand<M: Method>(answer: &Value) -> Result<M::Result, CommandError> {
        M::Result::deserialize(answer).map_err(|error| not_understood(M::NAME, &error))
    }

    /// Calls a method by its name.
    pub(crate) async fn call_by_name(
        &self,
        ui: &mut Ui,
        method: &str,
        params: Option<Box<RawValue>>,
    ) -> Result<Value, CommandError> {
        let patience = Instant::now() + DYING_DAEMON;
        loop {
            let client = self.connection(ui).await?;
            match self.answer(ui, method, client.call_raw(method, params.clone())).await {
                Err(error) if error.kind.word() == Some(NOT_SENT) && Instant::now() < patience => {}
                Err(error) => return Err(error),
                Ok(result) => {
                    return serde_json::from_str(result.get())
                        .map_err(|error| not_understood(method, &error));
                }
            }
        }
    }

    /// Calls a method on a daemon that runs, whatever its version; none is started.
    ///
    /// # Errors
    /// As [`Helper::call_json`]; `None` when no daemon runs.
    pub(crate) async fn call_running<M: Method>(
        &self,
        ui: &mut Ui,
        params: &M::Params,
    ) -> Result<Option<Value>, CommandError> {
        if !start::is_running(&self.files) {
            return Ok(None);
        }
        match Client::connect(self.files.socket().as_std_path()).await {
            Ok(client) => {
                *self.connection.borrow_mut() = Some(client);
                self.promptly(self.call_json::<M>(ui, params)).await.map(Some)
            }
            Err(ClientError::NoDaemon { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a daemon that is not about to end answers now.
    pub(crate) async fn answers(&self) -> bool {
        let Ok(client) = Client::connect(self.files.socket().as_std_path()).await else { return false };
        let who = HelloParams::default();
        let hello = client.call::<RpcHello>(&who);
        tokio::time::timeout(PROMPT_LIMIT, hello).await.is_ok_and(|hello| hello.is_ok())
    }

    /// Whether another daemon answers soon after one has ended in good order, as in a restart.
    pub(crate) async fn daemon_returns(&self) -> Result<bool, CommandError> {
        let deadline = Instant::now() + RESTART_GRACE;
        while Instant::now() < deadline {
            self.interruptible(tokio::time::sleep(RESTART_LOOK)).await?;
            if self.answers().await {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Connects, starting the daemon where that is allowed.
    pub(crate) async fn connection(&self, ui: &mut Ui) -> Result<Client, CommandError> {
        if let Some(client) = self.connection.borrow().clone() {
            return Ok(client);
        }
        let patience = Instant::now() + DYING_DAEMON;
        loop {
            let client = self.connect(ui).await?;
            match self.promptly(self.greet(ui, &client)).await {
                Ok(()) => {
                    *self.connection.borrow_mut() = Some(client.clone());
                    return Ok(client);
                }
                // It took the connection and died. A greeting has no effect, so another daemon may have it.
                Err(error)
                    if [Some("connection_lost"), Some(NOT_SENT)].contains(&error.kind.word())
                        && Instant::now() < patience =>
                {
                    self.interruptible(tokio::time::sleep(DYING_DAEMON_LOOK)).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn connect(&self, ui: &mut Ui) -> Result<Client, CommandError> {
        let socket = self.files.socket();
        if !self.may_start && socket.exists() && !start::is_running(&self.files) {
            return Err(CommandError::no_daemon(format!("no daemon runs that serves {socket}"))
                .hint(format!("start it with `{} daemon start`", self.program)));
        }
        match Client::connect(socket.as_std_path()).await {
            Err(ClientError::NoDaemon { .. }) if self.may_start => {
                self.interruptible(start::start(self, ui)).await?
            }
            Err(error @ ClientError::NoDaemon { .. }) => {
                let hint = format!("start it with `{} daemon start`", self.program);
                Err(CommandError::from(error).hint(hint))
            }
            other => Ok(other?),
        }
    }

    /// Resolves when Ctrl-C has been pressed.
    pub(crate) async fn interruption(&self) {
        self.interrupt.pressed().await;
    }

    /// Runs work until it is done or Ctrl-C is pressed.
    pub(crate) async fn interruptible<T>(&self, work: impl Future<Output = T>) -> Result<T, CommandError> {
        tokio::select! {
            done = work => Ok(done),
            () = self.interruption() => Err(CommandError::interrupted()),
        }
    }

    /// Gives up on a daemon that took the connection and does not answer what it can answer at once.
    async fn promptly<T>(
        &self,
        call: impl Future<Output = Result<T, CommandError>>,
    ) -> Result<T, CommandError> {
        tokio::time::timeout(PROMPT_LIMIT, call).await.unwrap_or_else(|_| {
            let (limit, files) = (PROMPT_LIMIT.as_secs(), &self.files);
            let message = format!("conveyord at {} does not answer within {limit} s", files.socket());
            Err(CommandError::no_daemon(message)
                .hint(format!("if it is stuck, end it: its process id is in {}", files.lock()))
                .hint(format!("its log is {}", files.log())))
        })
    }

    /// Holds the protocols of both sides against each other, before anything has an effect.
    async fn greet(&self, ui: &mut Ui, client: &Client) -> Result<(), CommandError> {
        let params = HelloParams {
            client_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            protocol: Some(PROTOCOL_MAJOR),
        };
        let hello = self.answer(ui, RpcHello::NAME, client.call::<RpcHello>(&params)).await?;
        let theirs = hello.protocol.major;
        if theirs == PROTOCOL_MAJOR {
            return Ok(());
        }
        let message = format!(
            "conveyord {} (pid {}) speaks protocol {theirs}, this program speaks {PROTOCOL_MAJOR}",
            hello.server_version, hello.pid
        );
        let hint = format!("restart it as the version of this program: `{} daemon restart`", self.program);
        Err(CommandError::failed("protocol_mismatch", message).hint(hint))
    }

    /// Awaits an answer. A connection that broke is forgotten, so that the next call makes a new one.
    async fn answer<T>(
        &self,
        ui: &mut Ui,
        method: &str,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, CommandError> {
        let mut call = std::pin::pin!(call);
        let answer = match tokio::time::timeout(PATIENCE, self.interruptible(call.as_mut())).await {
            Ok(answer) => answer?,
            Err(_) => {
                ui.progress(&format!("waiting for conveyord ({method}); Ctrl-C ends the waiting"));
                self.interruptible(call).await?
            }
        };
        match answer {
            Err(error @ (ClientError::Closed | ClientError::NotSent)) => {
                self.disconnect();
                Err(error.into())
            }
            Err(ClientError::Rpc(error)) if error.code == METHOD_NOT_FOUND => {
                let program = self.program;
                Err(CommandError::from(error).hint(format!(
                    "`{program} rpc methods` lists what this daemon knows; after an update, `{program} daemon restart`"
                )))
            }
            answer => Ok(answer?),
        }
    }
}

fn not_understood(method: &str, error: &serde_json::Error) -> CommandError {
    CommandError::failed("protocol", format!("failed to understand the result of {method}: {error}"))
}
