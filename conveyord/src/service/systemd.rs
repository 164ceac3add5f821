//! systemd: the sockets in `LISTEN_FDS` (sd_listen_fds(3)), and notifications by datagram (sd_notify(3)).

use super::{ActivationError, State};
use conveyor_proto::types::daemon::StartedBy;
use sd_notify::NotifyState;
use service_binding::{Binding, Listener};
use std::{io, os::unix::net::UnixListener, time::Duration};

/// Only the variables decide: a unit that a user wrote need not say that systemd started the daemon.
pub(super) fn activated_socket(_: StartedBy) -> Result<Option<UnixListener>, ActivationError> {
    let mut sockets = sd_notify::listen_fds().map_err(ActivationError::NotHandedOver)?;
    match (sockets.next(), sockets.len()) {
        (None, _) => Ok(None),
        (Some(socket), 0) => match Binding::FileDescriptor(socket).try_into() {
            Ok(Listener::Unix(listener)) => Ok(Some(listener)),
            Ok(_) => Err(ActivationError::Unusable(io::ErrorKind::InvalidInput.into())),
            Err(error) => Err(ActivationError::Unusable(error)),
        },
        (Some(_), more) => Err(ActivationError::TooMany(more + 1)),
    }
}

pub(super) fn tell(state: State<'_>) {
    match state {
        State::Starting(status) => send(&[NotifyState::Status(status)]),
        State::Ready => send(&[NotifyState::Ready, NotifyState::Status("answering calls")]),
        State::Stopping => {
            send(&[NotifyState::Stopping, NotifyState::Status("ending what is under way")]);
        }
    }
}

pub(super) fn extend(time: Duration) {
    send(&[NotifyState::ExtendTimeoutUsec(u32::try_from(time.as_micros()).unwrap_or(u32::MAX))]);
}

pub(super) fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// How long the watchdog waits for a sign of life (`WatchdogSec=`).
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
