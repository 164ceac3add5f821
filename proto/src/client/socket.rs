//! Connecting to the daemon's socket by its path.

use super::error::ClientError;
use crate::limits::MAX_SOCKET_PATH;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout_at};

/// How long a daemon may take to accept the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause before asking again when the daemon's queue of new connections is full.
const CONNECT_PAUSE: Duration = Duration::from_millis(10);

/// Refuses a socket that another user's process listens on: it would be told everything that is asked.
fn of_this_user(path: &Path, stream: UnixStream) -> Result<UnixStream, ClientError> {
    let failed = |source| ClientError::Connect { path: path.to_owned(), source };
    let (owner, user) = (stream.peer_cred().map_err(failed)?.uid(), rustix::process::geteuid().as_raw());
    // On macOS launchd, which is root's, listens until the daemon is started.
    if owner == user || cfg!(target_os = "macos") && owner == 0 {
        return Ok(stream);
    }
    Err(ClientError::OtherUser { path: path.to_owned(), owner, user })
}

/// Connects, and waits while the daemon accepts others first.
pub(super) async fn connect(path: &Path) -> Result<UnixStream, ClientError> {
    if path.as_os_str().as_bytes().len() > MAX_SOCKET_PATH {
        return Err(ClientError::PathTooLong { path: path.to_owned(), limit: MAX_SOCKET_PATH });
    }
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let source = loop {
        match timeout_at(deadline, UnixStream::connect(path)).await {
            Ok(Ok(stream)) => return of_this_user(path, stream),
            // The queue of connections that the daemon has yet to accept is full.
            Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                sleep(CONNECT_PAUSE).await;
            }
            Ok(Err(error)) => break error,
            Err(_) => break io::Error::from(io::ErrorKind::TimedOut),
        }
    };
    let path = path.to_owned();
    Err(match source.kind() {
        // Reset: the daemon died before it had accepted the connection.
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
            ClientError::NoDaemon { path, source }
        }
        _ => ClientError::Connect { path, source },
    })
}
