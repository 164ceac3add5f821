//! What is asked of a connection's socket before and beside its bytes: who is there, how do they begin,
//! are they still there.

use nix::sys::socket::{MsgFlags, Shutdown, recv, shutdown};
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;

/// Whether the process at the other end runs as `owner`.
///
/// # Errors
/// When the system does not say who is there.
pub(super) fn belongs_to(stream: &UnixStream, owner: u32) -> io::Result<bool> {
    Ok(stream.peer_cred()?.uid() == owner)
}

/// The first byte that is not white space. It stays in the socket; white space before it is taken out.
/// `None` when the client closed without sending one.
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

/// Receives into `into` with `flags`, which tokio's own reads cannot take.
async fn receive(stream: &UnixStream, into: &mut [u8], flags: MsgFlags) -> io::Result<usize> {
    stream.async_io(Interest::READABLE, || recv(stream.as_raw_fd(), into, flags).map_err(Into::into)).await
}

/// Tells the system that nothing more is taken: what a client sends from now on fails, so that it knows that it was not
/// received. What has arrived can still be read, and the end after it.
///
/// macOS would throw away what has arrived; there the end is not told, and whoever reads must give up by time.
pub(super) fn take_no_more(socket: &impl AsRawFd) {
    if cfg!(not(target_os = "macos")) {
        // A client that has left is as good.
        let _ = shutdown(socket.as_raw_fd(), Shutdown::Read);
    }
}

/// Resolves when the client has closed the connection altogether.
///
/// It is for the times when the connection is not being read, and so the end is not seen: too many requests
/// in flight, or a client that has only closed its sending side and waits for answers. The system reports
/// the hang-up together with writability, which cannot be awaited apart; so it is looked at from time to time.
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
