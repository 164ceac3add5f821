//! Questions to the socket of a connection, besides its bytes: which user is at the other end, what the first
//! byte is, and whether the client is still there.

use nix::sys::socket::{MsgFlags, Shutdown, recv, shutdown};
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;

/// Whether the process at the other end belongs to `owner`.
///
/// # Errors
/// When the system does not tell the user.
pub(super) fn belongs_to(stream: &UnixStream, owner: u32) -> io::Result<bool> {
    Ok(stream.peer_cred()?.uid() == owner)
}

/// The first byte that is not white space. It stays in the socket, and white space before it is removed.
/// `None` if the client closed without sending such a byte.
///
/// # Errors
/// When the socket cannot be read.
pub(super) async fn first_byte(stream: &UnixStream) -> io::Result<Option<u8>> {
    loop {
        let mut start = [0; 64];
        let length = receive(stream, &mut start, MsgFlags::MSG_PEEK).await?;
        if length == 0 {
            return Ok(None);
        }
        let blank = start[..length].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if blank > 0 {
            receive(stream, &mut start[..blank], MsgFlags::empty()).await?;
        }
        if blank < length {
            return Ok(Some(start[blank]));
        }
    }
}

/// Receives with `flags`, which tokio's own reads do not support.
async fn receive(stream: &UnixStream, into: &mut [u8], flags: MsgFlags) -> io::Result<usize> {
    stream.async_io(Interest::READABLE, || recv(stream.as_raw_fd(), into, flags).map_err(Into::into)).await
}

/// Tells the system that no more is received. A client's later writes then fail, so the client knows that
/// they were not received. What has arrived can still be read, followed by the end.
///
/// macOS would discard what has arrived. There the reading must be limited by time instead.
pub(super) fn take_no_more(socket: &impl AsRawFd) {
    if cfg!(not(target_os = "macos")) {
        // This fails only when the client has left, which is as good.
        let _ = shutdown(socket.as_raw_fd(), Shutdown::Read);
    }
}

/// Resolves when the client has closed the whole connection.
///
/// It is for times when the connection is not read, so that no read reports the end: when too many requests
/// are in flight, or when a client has closed only its sending side and waits for answers. The system reports
/// the hang-up together with writability, which cannot be awaited separately, so this polls.
pub(super) async fn hung_up(stream: &OwnedReadHalf) {
    let mut pause = Duration::from_millis(5);
    loop {
        match stream.ready(Interest::WRITABLE).await {
            Ok(ready) if !ready.is_write_closed() => {}
            Ok(_) | Err(_) => return,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}
