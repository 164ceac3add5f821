//! The service manager that runs the daemon: the listening socket that it hands over, what it is told of the daemon's
//! state, and the proof of life that its watchdog wants.
//!
//! systemd and launchd stand in `systemd` and `launchd`. Elsewhere the daemon does not know by whom it is run; units and
//! agents are written by `conveyorctl daemon install`.

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

/// How often a start that takes long asks for more time, and for how much: twice, so that one message may be late.
const EXTENSION_TICK: Duration = Duration::from_secs(10);
const EXTENSION: Duration = Duration::from_secs(20);
/// A start that took this long is not waited for any longer: about an hour.
const MOST_EXTENSIONS: u32 = 360;

/// Why the socket of a service manager cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// It was not handed over.
    #[error("the service manager did not hand over its socket")]
    NotHandedOver(#[source] io::Error),
    /// There is more than one.
    #[error("the service manager handed over {0} sockets; the unit must name one")]
    TooMany(usize),
    /// It cannot be used.
    #[error("what the service manager handed over is no listening Unix socket")]
    Unusable(#[source] io::Error),
    /// Clients would look elsewhere.
    #[error("the service manager listens at {found}, clients of this state root look at {expected}")]
    Elsewhere {
        /// Where it listens.
        found: String,
        /// Where it should.
        expected: String,
    },
}

/// The listening socket that a service manager holds for this process; `None` when there is none, and the daemon binds
/// its own. It may be asked for once in the life of a process.
///
/// # Errors
/// When there is one that cannot be served.
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

/// What a service manager is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State<'a> {
    /// What the daemon does before it is ready.
    Starting(&'a str),
    /// Calls are answered.
    Ready,
    /// The end has begun.
    Stopping,
}

/// Tells the service manager; nothing happens where none listens.
pub fn tell(state: State<'_>) {
    sys::tell(state);
}

/// Asks for more time, again and again, until it is cancelled: for a start that has to migrate a large database.
pub async fn ask_for_time(done: CancellationToken) {
    let mut tick = interval(EXTENSION_TICK);
    for _ in 0..MOST_EXTENSIONS {
        tokio::select! {
            _ = tick.tick() => sys::extend(EXTENSION),
            () = done.cancelled() => return,
        }
    }
}

/// Within what time the service manager's watchdog, where there is one, wants a proof of life.
#[must_use]
pub fn watchdog() -> Option<Duration> {
    sys::watchdog()
}

/// Proves to the service manager's watchdog, which waits no longer than `limit`, that the daemon lives, until `end`.
///
/// The proof is that all loops run that the daemon needs, and a call as any client makes it: the socket was accepted,
/// the store was asked, the answer came. An error is an answer too, since a restart mends no full disk; only silence is
/// none.
pub async fn prove_life(limit: Duration, socket: impl AsRef<Utf8Path>, loops: Loops, end: CancellationToken) {
    let half = limit / 2;
    let mut tick = interval(half);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            // The end has a limit of its own, which begins now.
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
