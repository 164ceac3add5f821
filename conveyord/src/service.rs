//! The service manager that runs the daemon: the listening socket that it passes, the state that it is told,
//! and the signs of life that its watchdog expects.
//!
//! systemd and launchd are in `systemd` and `launchd`. On other systems the daemon knows no service manager.
//! Units and agents are written by `conveyorctl daemon install`.

use crate::background::Loops;
use camino::Utf8Path;
use conveyor_proto::{
    client::{Client, ClientError},
    registry::DaemonStatus,
    types::{common::Empty, daemon::StartedBy},
};
use std::{io, os::unix::net::UnixListener, time::Duration};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

#[cfg(target_os = "macos")]
mod launchd;
#[cfg(target_os = "linux")]
mod systemd;

#[cfg(target_os = "macos")]
use launchd as sys;
#[cfg(target_os = "linux")]
use systemd as sys;

/// How often a long start asks for more time, and for how much. That is twice the interval, so that one
/// message may be late.
const EXTENSION_TICK: Duration = Duration::from_secs(10);
const EXTENSION: Duration = Duration::from_secs(20);
/// After so many extensions, about an hour, a start gets no more time.
const MOST_EXTENSIONS: u32 = 360;

/// Why the socket of a service manager cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    #[error("the service manager did not hand over its socket")]
    NotHandedOver(#[source] io::Error),
    #[error("the service manager handed over {0} sockets; the unit must name one")]
    TooMany(usize),
    #[error("what the service manager handed over is no listening Unix socket")]
    Unusable(#[source] io::Error),
    /// The socket has another path than the one that clients connect to.
    #[error("the service manager listens at {found}, clients of this state root look at {expected}")]
    Elsewhere {
        /// The path of the socket.
        found: String,
        /// The path that clients of this state root connect to.
        expected: String,
    },
}

/// The listening socket that a service manager passed to this process. `None` if there is none, and then the
/// daemon binds its own. A process may call this only once.
///
/// # Errors
/// When a socket was passed that cannot be used.
pub fn activated_socket(
    started_by: StartedBy,
    socket: &Utf8Path,
) -> Result<Option<UnixListener>, ActivationError> {
    let Some(listener) = sys::activated_socket(started_by)? else { return Ok(None) };
    let address = listener.local_addr().map_err(ActivationError::Unusable)?;
    if address.as_pathname() != Some(socket.as_std_path()) {
        let found = address
            .as_pathname()
            .map_or_else(|| "an address that is no path".to_owned(), |path| path.display().to_string());
        return Err(ActivationError::Elsewhere { found, expected: socket.to_string() });
    }
    listener.set_nonblocking(true).map_err(ActivationError::Unusable)?;
    Ok(Some(listener))
}

/// The state of the daemon, as told to the service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State<'a> {
    /// The step of the start that is in progress.
    Starting(&'a str),
    /// The daemon answers calls.
    Ready,
    /// The daemon is shutting down.
    Stopping,
}

/// Tells the state to the service manager, if there is one.
pub fn tell(state: State<'_>) {
    sys::tell(state);
}

/// Asks for more time until it is cancelled. A start that migrates a large database needs it.
pub async fn ask_for_time(done: CancellationToken) {
    let mut tick = interval(EXTENSION_TICK);
    for _ in 0..MOST_EXTENSIONS {
        tokio::select! {
            _ = tick.tick() => sys::extend(EXTENSION),
            () = done.cancelled() => return,
        }
    }
}

/// The time within which the watchdog of the service manager expects a sign of life, if there is a watchdog.
#[must_use]
pub fn watchdog() -> Option<Duration> {
    sys::watchdog()
}

/// Sends signs of life to the watchdog of the service manager until `end`. The watchdog waits no longer than
/// `limit`.
///
/// The daemon is alive if all loops run that it needs, and if it answers a call like that of any client,
/// which needs the socket and the store. An error is an answer too, because a restart cannot repair a full
/// disk. Only a missing answer counts as death.
pub async fn prove_life(limit: Duration, socket: impl AsRef<Utf8Path>, loops: Loops, end: CancellationToken) {
    let half = limit / 2;
    let mut tick = interval(half);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            // The shutdown has a time limit of its own, which starts now.
            () = end.cancelled() => return sys::alive(),
        }
        let proof = async {
            loops.needed_are_up().await;
            answers(socket.as_ref()).await
        };
        match timeout(half, proof).await {
            Ok(true) => sys::alive(),
            Ok(false) => {
                tracing::warn!("the daemon's socket does not lead to it; its service manager will restart it")
            }
            Err(_) => {
                tracing::warn!(
                    "the daemon does not answer itself, or a loop that it needs is down; its service manager will \
                     restart it"
                )
            }
        }
    }
}

/// Whether this daemon answers at the socket.
async fn answers(socket: &Utf8Path) -> bool {
    let Ok(client) = Client::connect(socket.as_std_path()).await else { return false };
    match client.call::<DaemonStatus>(&Empty {}).await {
        Ok(status) => status.pid == std::process::id(),
        Err(error) => matches!(error, ClientError::Rpc(_)),
    }
}
