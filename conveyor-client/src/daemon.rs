//! The daemon as a client has it: a connection that is made when it is needed, and the calls over it.

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::patience::{Loss, Patience};
use crate::progress::{Event, Progress};
use crate::start::{self, SearchPath, StartLock};
use crate::target::Target;
use camino::Utf8Path;
use conveyor_proto::client::{Client, ClientError, Subscription};
use conveyor_proto::method::Method;
use conveyor_proto::openrpc::PROTOCOL_MAJOR;
use conveyor_proto::registry::{self, DaemonStop, RpcHello};
use conveyor_proto::types::common::Empty;
use conveyor_proto::types::daemon::{HelloParams, StopResult};
use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::future::Future;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a wait outlives a daemon that was stopped, in case it is a restart.
const RESTART_GRACE: Duration = Duration::from_secs(5);
/// Pause between two looks whether the restarted daemon answers.
const RESTART_LOOK: Duration = Duration::from_millis(50);

/// How long a call may last before the caller is told what is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a daemon may take to say who it is, or to do what needs no work of it.
const PROMPT_LIMIT: Duration = Duration::from_secs(10);

/// Whether a call may start the daemon when none answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starting {
    /// A call starts the daemon.
    Allowed,
    /// A call fails when no daemon answers.
    Forbidden,
}

/// Where a call that finds no daemon starts one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Also in a new state root.
    Anywhere,
    /// Not in a state root that was named and has no database.
    WhereStateIs,
}

impl Start {
    /// What a method may start. One that this program does not know may begin anything.
    fn by(method: &str) -> Self {
        if registry::find(method).is_none_or(|known| known.begins) {
            Self::Anywhere
        } else {
            Self::WhereStateIs
        }
    }
}

/// What a caller can do about a request whose connection ended before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// It may be sent again: nothing is done twice.
    Repeat,
    /// The method of this name shows whether it was carried out.
    LookAt(&'static str),
    /// This program does not know the method.
    Unknown,
}

impl Remedy {
    /// The remedy for a lost call, by the registry.
    fn of(method: &str, params: Option<&RawValue>) -> Self {
        let Some(known) = registry::find(method) else { return Self::Unknown };
        let params = params.and_then(|params| serde_json::from_str(params.get()).ok());
        match known.repeat.look_at() {
            Some(method) if !known.repeat.is_safe(&params.unwrap_or_default()) => Self::LookAt(method),
            _ => Self::Repeat,
        }
    }
}

/// Whether a call is sent again when its answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// When nothing is done twice by it.
    WhereSafe,
    /// Never: the caller does it, with other parameters.
    ByTheCaller,
}

/// The daemon that is meant, and the connection to it.
///
/// The connection is made by the first call, starting the daemon where that is allowed, and made anew when it broke.
/// Both sides' protocols are held against each other before anything else is asked. Ctrl-C ends every wait.
#[derive(Debug)]
pub struct Daemon {
    target: Target,
    search: SearchPath,
    starting: Starting,
    connection: Mutex<Option<Client>>,
    interrupt: Interrupt,
}

impl Daemon {
    /// The daemon of a target; `search` tells where its program is found when it has to be started.
    #[must_use]
    pub fn new(target: Target, search: SearchPath, starting: Starting) -> Self {
        Self { target, search, starting, connection: Mutex::new(None), interrupt: Interrupt::default() }
    }

    /// Which daemon is meant.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Where the daemon's program is looked for.
    #[must_use]
    pub const fn search(&self) -> &SearchPath {
        &self.search
    }

    /// Whether a call may start the daemon.
    #[must_use]
    pub const fn starting(&self) -> Starting {
        self.starting
    }

    /// Ends the connection; the next call makes a new one.
    pub fn disconnect(&self) {
        *self.slot() = None;
    }

    /// Calls a method. A request that a lost daemon cannot have received, or that does nothing twice, is sent to the
    /// next daemon, a bounded number of times.
    ///
    /// # Errors
    /// What the daemon refused, else what went wrong on the way; [`Error::Interrupted`] after Ctrl-C.
    pub async fn call<M: Method>(
        &self,
        progress: &mut impl Progress,
        params: &M::Params,
    ) -> Result<M::Result, Error> {
        let (params, mut patience) = (Some(encode(params)?), Patience::of_call());
        let result = self.send(progress, M::NAME, params, Again::WhereSafe, &mut patience).await?;
        serde_json::from_str(result.get()).map_err(|source| not_understood(M::NAME, source))
    }

    /// As [`Daemon::call_json`], for a call which makes sense until the deadline: until then it is sent again as often
    /// as daemons are lost, and a caller that may start none waits for one.
    ///
    /// # Errors
    /// As [`Daemon::call`].
    pub async fn call_until<M: Method>(
        &self,
        progress: &mut impl Progress,
        params: &M::Params,
        deadline: Instant,
    ) -> Result<Value, Error> {
        let (params, mut patience) = (Some(encode(params)?), Patience::until(deadline));
        let result = self.send(progress, M::NAME, params, Again::WhereSafe, &mut patience).await?;
        value(M::NAME, &result)
    }

    /// As [`Daemon::call_json`], for one step of a wait: when its answer was lost it is not sent again here, because the
    /// caller has less time left by then. `patience` is that of the whole wait.
    ///
    /// # Errors
    /// As [`Daemon::call`].
    pub async fn call_waiting<M: Method>(
        &self,
        progress: &mut impl Progress,
        params: &M::Params,
        patience: &mut Patience,
    ) -> Result<Value, Error> {
        let result =
            self.send(progress, M::NAME, Some(encode(params)?), Again::ByTheCaller, patience).await?;
        value(M::NAME, &result)
    }

    /// Calls a method whose answer is handed on as it came: the keys of a newer daemon are kept.
    ///
    /// # Errors
    /// As [`Daemon::call`].
    pub async fn call_json<M: Method>(
        &self,
        progress: &mut impl Progress,
        params: &M::Params,
    ) -> Result<Value, Error> {
        self.call_by_name(progress, M::NAME, Some(encode(params)?)).await
    }

    /// Reads an answer that is handed on as it came and also has to be looked into.
    ///
    /// # Errors
    /// [`Error::NotUnderstood`] when it is not of the type that the method declares.
    pub fn understand<M: Method>(answer: &Value) -> Result<M::Result, Error> {
        M::Result::deserialize(answer).map_err(|source| not_understood(M::NAME, source))
    }

    /// Calls a method by its name.
    ///
    /// # Errors
    /// As [`Daemon::call`].
    pub async fn call_by_name(
        &self,
        progress: &mut impl Progress,
        method: &str,
        params: Option<Box<RawValue>>,
    ) -> Result<Value, Error> {
        let result = self.send(progress, method, params, Again::WhereSafe, &mut Patience::of_call()).await?;
        value(method, &result)
    }

    /// Calls a method on a daemon that runs, whatever its version; none is started. The method is one that may be asked of
    /// the next daemon too.
    ///
    /// # Errors
    /// As [`Daemon::call`]; `None` when no daemon runs.
    pub async fn call_running<M: Method>(
        &self,
        progress: &mut impl Progress,
        params: &M::Params,
    ) -> Result<Option<Value>, Error> {
        let files = self.target.files();
        let params = encode(params)?;
        let mut patience = Patience::of_call();
        loop {
            start::check_root(files)?;
            if !start::is_running(files) {
                return Ok(None);
            }
            let client = match Client::connect(files.socket().as_std_path()).await {
                Ok(client) => client,
                Err(ClientError::NoDaemon { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let call = client.call_raw(M::NAME, Some(params.clone()));
            match self.promptly(self.answer(progress, M::NAME, call)).await {
                Err(error) if error.loss().is_some() => self.outlast(&mut patience, error).await?,
                answer => {
                    let answer = value(M::NAME, &answer?)?;
                    *self.slot() = Some(client);
                    return Ok(Some(answer));
                }
            }
        }
    }

    /// Opens a subscription whose items are handed on as they came.
    ///
    /// # Errors
    /// As [`Daemon::call`].
    pub async fn subscribe_json<M: Method>(
        &self,
        progress: &mut impl Progress,
        params: &M::Params,
    ) -> Result<Subscription<Box<RawValue>>, Error> {
        let params = encode(params)?;
        let mut patience = Patience::of_call();
        loop {
            let client = self.connection(progress, Start::by(M::NAME), &mut patience).await?;
            // A subscription has a connection of its own, for which the daemon may be gone by now.
            let opened = self.interruptible(client.subscribe_raw(M::NAME, Some(params.clone()))).await?;
            let lost = match opened {
                Err(ClientError::NoDaemon { .. }) => Error::NotSent,
                opened => match opened.map_err(Error::from) {
                    Err(error) if error.loss().is_some() => error,
                    opened => return opened,
                },
            };
            self.disconnect();
            self.outlast(&mut patience, lost).await?;
        }
    }

    /// Connects now instead of with the first call, starting the daemon where that is allowed, also in a new state root.
    ///
    /// # Errors
    /// As [`Daemon::call`].
    pub async fn connect(&self, progress: &mut impl Progress) -> Result<(), Error> {
        self.connection(progress, Start::Anywhere, &mut Patience::of_call()).await.map(drop)
    }

    /// Whether a daemon that is not about to end answers now.
    pub async fn answers(&self) -> bool {
        let socket = self.target.files().socket();
        if start::check_root(self.target.files()).is_err() {
            return false;
        }
        let Ok(client) = Client::connect(socket.as_std_path()).await else { return false };
        let who = HelloParams::default();
        let hello = client.call::<RpcHello>(&who);
        tokio::time::timeout(PROMPT_LIMIT, hello).await.is_ok_and(|hello| hello.is_ok())
    }

    /// Whether another daemon answers soon after one has ended in good order, as in a restart.
    ///
    /// # Errors
    /// [`Error::Interrupted`] after Ctrl-C.
    pub async fn returns(&self) -> Result<bool, Error> {
        let deadline = Instant::now() + RESTART_GRACE;
        while Instant::now() < deadline {
            self.interruptible(tokio::time::sleep(RESTART_LOOK)).await?;
            if self.answers().await {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes the start lock, creating the state root where it is missing.
    ///
    /// # Errors
    /// When the state root cannot be used, and when another client holds the lock for too long.
    pub async fn lock_start(&self) -> Result<StartLock, Error> {
        Ok(start::lock_start(self.target.files()).await?)
    }

    /// Ends the daemon after what is under way, and waits until it is gone. Tells what it was; `None` when none ran.
    ///
    /// # Errors
    /// As [`Daemon::call`], and when the daemon is not gone in time.
    pub async fn stop(&self, progress: &mut impl Progress) -> Result<Option<StopResult>, Error> {
        start::check_root(self.target.files())?;
        // Where no daemon has ever run, nothing is to be created either.
        if !self.target.files().lock().exists() {
            return Ok(None);
        }
        let stopping = async {
            let lock = self.lock_start().await?;
            self.stop_locked(&lock, progress).await
        };
        self.interruptible(stopping).await?
    }

    /// As [`Daemon::stop`], for a caller who holds the start lock.
    ///
    /// # Errors
    /// As [`Daemon::stop`].
    pub async fn stop_locked(
        &self,
        _: &StartLock,
        progress: &mut impl Progress,
    ) -> Result<Option<StopResult>, Error> {
        let stopping = self.call_running::<DaemonStop>(progress, &Empty {}).await?;
        let stopping = stopping.map(|stopping| Self::understand::<DaemonStop>(&stopping)).transpose()?;
        self.disconnect();
        // Also when nobody answers: a daemon that is just ending has closed its socket before.
        let pid = stopping.as_ref().map(|stopping| stopping.pid);
        start::wait_until_gone(self.target.files(), pid).await?;
        Ok(stopping)
    }

    /// Ends the daemon and starts it again. No other client starts one in between. A daemon whose successor would not
    /// start with its settings is left alone.
    ///
    /// # Errors
    /// As [`Daemon::stop`], and when the daemon cannot be started.
    pub async fn restart(&self, progress: &mut impl Progress) -> Result<(), Error> {
        let restarting = async {
            let lock = self.lock_start().await?;
            start::check_settings(&self.target, &self.search).await?;
            self.stop_locked(&lock, progress).await?;
            start::start_locked(&lock, &self.target, &self.search, progress).await.map(drop)
        };
        self.interruptible(restarting).await?
    }

    /// Resolves when Ctrl-C has been pressed.
    pub async fn interruption(&self) {
        self.interrupt.pressed().await;
    }

    /// Runs work until it is done or Ctrl-C is pressed.
    ///
    /// # Errors
    /// [`Error::Interrupted`] after Ctrl-C.
    pub async fn interruptible<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            done = work => Ok(done),
            () = self.interruption() => Err(Error::Interrupted),
        }
    }

    /// A panic while the lock was held leaves the connection as it was before or after: it stays usable.
    fn slot(&self) -> MutexGuard<'_, Option<Client>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request until an answer comes, or until it may not be sent again.
    async fn send(
        &self,
        progress: &mut impl Progress,
        method: &str,
        params: Option<Box<RawValue>>,
        again: Again,
        patience: &mut Patience,
    ) -> Result<Box<RawValue>, Error> {
        loop {
            let client = self.connection(progress, Start::by(method), patience).await?;
            let lost = match self.answer(progress, method, client.call_raw(method, params.clone())).await {
                Err(error) if error.loss().is_some() => error,
                answer => return answer,
            };
            match lost {
                Error::ConnectionLost(_) => {
                    let remedy = Remedy::of(method, params.as_deref());
                    let lost = Error::ConnectionLost(remedy);
                    if again == Again::ByTheCaller || remedy != Remedy::Repeat {
                        return Err(lost);
                    }
                    self.outlast(patience, lost).await?;
                }
                lost => self.outlast(patience, lost).await?,
            }
        }
    }

    /// Waits for as long as the next daemon is given after one was lost, or fails by that loss.
    async fn outlast(&self, patience: &mut Patience, lost: Error) -> Result<(), Error> {
        let Some(loss) = lost.loss() else { return Err(lost) };
        if self.interruptible(patience.outlasts(loss)).await? { Ok(()) } else { Err(lost) }
    }

    /// The connection that there is, else a new one, greeted.
    async fn connection(
        &self,
        progress: &mut impl Progress,
        start: Start,
        patience: &mut Patience,
    ) -> Result<Client, Error> {
        let made = self.slot().clone();
        if let Some(client) = made {
            return Ok(client);
        }
        loop {
            let client = self.connect_or_start(progress, start, patience).await?;
            match self.promptly(self.greet(progress, &client)).await {
                Ok(()) => {
                    *self.slot() = Some(client.clone());
                    return Ok(client);
                }
                // The daemon took the connection and died, or had died before: a program that it was starting may hold
                // a copy of the socket for a moment more. A greeting has no effect, so another daemon may have it.
                Err(error) if error.loss().is_some() => {
                    if !self.interruptible(patience.outlasts(Loss::BeforeRequest)).await? {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn connect_or_start(
        &self,
        progress: &mut impl Progress,
        start: Start,
        patience: &Patience,
    ) -> Result<Client, Error> {
        let files = self.target.files();
        let starting = match patience.loss() {
            // A daemon that was ended on purpose stays so, as for a wait; after a crash another one is started.
            Some(Loss::BeforeAnswer) if start::has_ended_in_order(files) => Starting::Forbidden,
            _ => self.starting,
        };
        if starting == Starting::Allowed || patience.loss().is_none() {
            return self.connect_or_start_now(progress, start, starting).await;
        }
        let deadline = patience.awaits_one_until(RESTART_GRACE);
        loop {
            match self.connect_or_start_now(progress, start, starting).await {
                Err(Error::StartForbidden(_) | Error::NotRunning { .. }) if Instant::now() < deadline => {
                    self.interruptible(tokio::time::sleep(RESTART_LOOK)).await?;
                }
                connected => return connected,
            }
        }
    }

    async fn connect_or_start_now(
        &self,
        progress: &mut impl Progress,
        start: Start,
        starting: Starting,
    ) -> Result<Client, Error> {
        let files = self.target.files();
        let socket = files.socket();
        let may_start = starting == Starting::Allowed;
        start::check_root(files)?;
        // Connecting to the socket of a service manager would start the daemon.
        if !may_start && socket.exists() && !start::is_running(files) {
            return Err(Error::NotRunning { socket });
        }
        match self.interruptible(self.connect_to_running(&socket)).await? {
            // A look at a mistyped path would leave a state root and a daemon there.
            Err(ClientError::NoDaemon { .. })
                if may_start && start == Start::WhereStateIs && self.target.is_named_and_empty() =>
            {
                Err(Error::NoStateRoot { files: files.clone() })
            }
            Err(ClientError::NoDaemon { .. }) if may_start => {
                self.interruptible(start::start(&self.target, &self.search, progress)).await?
            }
            Err(error @ ClientError::NoDaemon { .. }) => Err(Error::StartForbidden(error)),
            other => Ok(other?),
        }
    }

    /// Connects, and asks again while a daemon runs and the connection is refused: it is about to listen, or its queue of
    /// new connections is full. Linux tells the two apart, macOS does not (`unp_connect` in
    /// <https://github.com/apple-oss-distributions/xnu/blob/main/bsd/kern/uipc_usrreq.c>).
    async fn connect_to_running(&self, socket: &Utf8Path) -> Result<Client, ClientError> {
        let deadline = Instant::now() + RESTART_GRACE;
        loop {
            match Client::connect(socket.as_std_path()).await {
                Err(ClientError::NoDaemon { source, .. })
                    if source.kind() == io::ErrorKind::ConnectionRefused
                        && Instant::now() < deadline
                        && start::is_running(self.target.files()) =>
                {
                    tokio::time::sleep(RESTART_LOOK).await;
                }
                other => return other,
            }
        }
    }

    /// Gives up on a daemon that took the connection and does not answer what it can answer at once.
    async fn promptly<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::time::timeout(PROMPT_LIMIT, call).await.unwrap_or_else(|_| {
            Err(Error::Silent { files: self.target.files().clone(), limit: PROMPT_LIMIT })
        })
    }

    /// Holds the protocols of both sides against each other, before anything has an effect.
    async fn greet(&self, progress: &mut impl Progress, client: &Client) -> Result<(), Error> {
        let params = HelloParams {
            client_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            protocol: Some(PROTOCOL_MAJOR),
        };
        let hello = self.answer(progress, RpcHello::NAME, client.call::<RpcHello>(&params)).await?;
        let protocol = hello.protocol.major;
        if protocol == PROTOCOL_MAJOR {
            return Ok(());
        }
        Err(Error::ProtocolMismatch { version: hello.server_version, pid: hello.pid, protocol })
    }

    /// Awaits an answer. A connection that broke is forgotten, so that the next call makes a new one.
    async fn answer<T>(
        &self,
        progress: &mut impl Progress,
        method: &str,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, Error> {
        let mut call = std::pin::pin!(call);
        let answer = match tokio::time::timeout(PATIENCE, self.interruptible(call.as_mut())).await {
            Ok(answer) => answer?,
            Err(_) => {
                progress.take(Event::Waiting { method });
                self.interruptible(call).await?
            }
        };
        if matches!(answer, Err(ClientError::Closed | ClientError::NotSent)) {
            self.disconnect();
        }
        Ok(answer?)
    }
}

fn encode(params: &impl Serialize) -> Result<Box<RawValue>, Error> {
    to_raw_value(params).map_err(Error::Encode)
}

fn value(method: &str, result: &RawValue) -> Result<Value, Error> {
    serde_json::from_str(result.get()).map_err(|source| not_understood(method, source))
}

fn not_understood(method: &str, source: serde_json::Error) -> Error {
    Error::NotUnderstood { method: method.to_owned(), source }
}
