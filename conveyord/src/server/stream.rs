//! The stream of HTTP and WebSocket connections: a socket that gives up a client that never reads, and that
//! can be ended from outside.
//!
//! hyper and jsonrpsee own the stream of a connection in several tasks. So these rules are in the stream
//! itself, and the connection is over when the stream is dropped.

use super::frames::Frames;
use nix::sys::socket::{Shutdown, shutdown};
use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What the bytes of a connection are taken for. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading(Arc<Mutex<Speech>>);

#[derive(Debug)]
enum Speech {
    /// Requests of HTTP, with whether the last bytes ended a head.
    Http { at_end_of_head: bool },
    /// Frames of a WebSocket.
    Frames(Frames),
}

impl Default for Speech {
    fn default() -> Self {
        Self::Http { at_end_of_head: false }
    }
}

impl Reading {
    /// From now on the client sends frames. False if it has sent something behind the head of its request already.
    pub(super) fn begin_frames(&self) -> bool {
        let mut speech = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let in_order = matches!(*speech, Speech::Http { at_end_of_head: true });
        *speech = Speech::Frames(Frames::default());
        in_order
    }

    fn take(&self, bytes: &[u8]) -> io::Result<()> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Speech::Http { at_end_of_head } => {
                if !bytes.is_empty() {
                    // The end may come in two parts, the second of which is a line feed at least.
                    *at_end_of_head =
                        bytes.ends_with(b"\r\n\r\n") || bytes.len() < 4 && bytes.ends_with(b"\n");
                }
                Ok(())
            }
            Speech::Frames(frames) => frames.take(bytes),
        }
    }
}

/// A socket with limits. `S` counts the connection as open and is dropped with the socket.
#[derive(Debug)]
pub(super) struct Stream<S> {
    socket: UnixStream,
    write_timeout: Duration,
    /// Runs while bytes wait that the client does not read.
    stalled: Option<Pin<Box<Sleep>>>,
    /// The task that wanted to read during a stall.
    reader: Option<Waker>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    reading: Reading,
    _slot: S,
}

impl<S> Stream<S> {
    /// A stream that ends when `end` is cancelled.
    pub(super) fn new(socket: UnixStream, write_timeout: Duration, end: CancellationToken, slot: S) -> Self {
        let ended = Box::pin(end.cancelled_owned());
        let reading = Reading::default();
        Self { socket, write_timeout, stalled: None, reader: None, ended, reading, _slot: slot }
    }

    /// What the bytes of this connection are taken for.
    pub(super) fn reading(&self) -> Reading {
        self.reading.clone()
    }

    fn end_of_stall(&mut self) {
        if self.stalled.take().is_some()
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
    }

    /// The client reads nothing. Waits until the time limit for that has passed.
    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let write_timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(write_timeout)));
        ready!(stalled.as_mut().poll(cx));
        // The reading task must see the end too, and would not be woken otherwise. If the socket cannot be
        // shut down, it is closed already.
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Both);
        self.end_of_stall();
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the client does not read"))
    }
}

impl<S: Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ended.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        // No further request is read from a client that does not read its answers, because the answers would
        // pile up.
        if this.stalled.is_some() {
            this.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.socket).poll_read(cx, buffer))?;
        Poll::Ready(this.reading.take(&buffer.filled()[before..]))
    }
}

impl<S: Unpin> AsyncWrite for Stream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.socket).poll_write(cx, bytes) {
            Poll::Ready(written) => {
                this.end_of_stall();
                Poll::Ready(written)
            }
            Poll::Pending => this.poll_stall(cx).map(Err),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
