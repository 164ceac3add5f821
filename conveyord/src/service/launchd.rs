//! launchd: the socket in the agent's `Sockets` key. launchd takes a process for ready as soon as it runs,
//! and has no watchdog.

use super::{ActivationError, State};
use conveyor_proto::types::daemon::StartedBy;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use service_binding::{Binding, Listener};
use std::{io, os::unix::net::UnixListener, time::Duration};

/// The socket by its name in the agent's `Sockets` key.
const SOCKET: &str = "fd://conveyord";

/// launchd passes the socket only to its own job: any other process gets an error, so it does not ask
/// (launch_activate_socket(3)).
pub(super) fn activated_socket(started_by: StartedBy) -> Result<Option<UnixListener>, ActivationError> {
    if started_by != StartedBy::Launchd {
        return Ok(None);
    }
    let binding: Binding =
        SOCKET.parse().map_err(|error| ActivationError::NotHandedOver(io::Error::other(error)))?;
    match binding.try_into() {
        Ok(Listener::Unix(listener)) => {
            // Programs that the daemon starts must not inherit the socket.
            fcntl(&listener, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))
                .map_err(|error| ActivationError::Unusable(error.into()))?;
            Ok(Some(listener))
        }
        Ok(_) => Err(ActivationError::Unusable(io::ErrorKind::InvalidInput.into())),
        Err(error) => Err(ActivationError::Unusable(error)),
    }
}

pub(super) const fn tell(_: State<'_>) {}

pub(super) const fn extend(_: Duration) {}

pub(super) const fn alive() {}

pub(super) const fn watchdog() -> Option<Duration> {
    None
}
