//! macOS: a kqueue over exactly the paths that are asked for.
//!
//! The watcher of the notify crate is not used there. It opens each file of a watched folder and closes it again,
//! and closing any descriptor of a file gives up all locks that the process holds on it: SQLite's on `conveyor.db`
//! would be gone, and another program could remove the log that the daemon writes
//! (<https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_>). It
//! also names the files that appear in a folder wrongly (notify-rs/notify#644). Here an event names the watched path.

use super::{Changed, lock};
use camino::{Utf8Path, Utf8PathBuf};
use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    libc::{O_EVTONLY, timespec},
    sys::{
        event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue},
        stat::Mode,
    },
};
use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    sync::{Arc, Mutex},
};
use tokio::{io::unix::AsyncFd, task::JoinHandle};

/// Events that are read at once.
const AT_ONCE: usize = 64;

/// A kqueue that the runtime can wait for.
struct Queue(Kqueue);

impl AsRawFd for Queue {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// The watched files by their descriptors, which also identify their events.
type Open = Arc<Mutex<HashMap<usize, (OwnedFd, Utf8PathBuf)>>>;

/// The watches of the system.
pub(super) struct Watches {
    queue: Arc<AsyncFd<Queue>>,
    open: Open,
    reader: JoinHandle<()>,
}

impl Watches {
    pub(super) fn new(changed: Arc<Changed>) -> io::Result<Self> {
        #[expect(
            deprecated,
            reason = "its sound successors are `unsafe fn`, which this workspace forbids, and the kqueue owns its descriptor"
        )]
        let queue = Arc::new(AsyncFd::new(Queue(Kqueue::new()?))?);
        let open = Open::default();
        let reader = tokio::spawn(read(Arc::clone(&queue), Arc::clone(&open), changed));
        Ok(Self { queue, open, reader })
    }

    pub(super) fn add(&mut self, path: &Utf8Path) -> io::Result<()> {
        // A named pipe must not hold the daemon up.
        let flags = OFlag::from_bits_retain(O_EVTONLY) | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = open(path.as_std_path(), flags, Mode::empty())?;
        let ident = usize::try_from(file.as_raw_fd()).map_err(io::Error::other)?;
        let changes = FilterFlag::NOTE_WRITE
            | FilterFlag::NOTE_EXTEND
            | FilterFlag::NOTE_DELETE
            | FilterFlag::NOTE_RENAME
            | FilterFlag::NOTE_REVOKE;
        let (filter, how) = (EventFilter::EVFILT_VNODE, EvFlags::EV_ADD | EvFlags::EV_CLEAR);
        lock(&self.open).insert(ident, (file, path.to_owned()));
        // Without room for events, this call only registers the event and does not wait.
        let added =
            self.queue.get_ref().0.kevent(&[KEvent::new(ident, filter, how, changes, 0, 0)], &mut [], None);
        if added.is_err() {
            lock(&self.open).remove(&ident);
        }
        Ok(added.map(|_| ())?)
    }

    pub(super) fn remove(&mut self, path: &Utf8Path) {
        // The kernel forgets the event with the descriptor.
        lock(&self.open).retain(|_, (_, known)| known != path);
    }

    /// Whether a watch has ended by itself: what had this path is gone, or has another path.
    pub(super) fn has_ended(&self, path: &Utf8Path) -> bool {
        !lock(&self.open).values().any(|(_, known)| known == path)
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(queue: Arc<AsyncFd<Queue>>, open: Open, changed: Arc<Changed>) {
    loop {
        let Ok(mut ready) = queue.readable().await else { return };
        match take(&queue.get_ref().0) {
            Ok(events) if events.is_empty() => ready.clear_ready(),
            Ok(events) => {
                let paths = events.iter().filter_map(|event| told(&open, event));
                changed.tell(paths.collect::<Vec<_>>());
            }
            Err(Errno::EINTR) => {}
            Err(error) => {
                tracing::warn!(%error, "the system gives no more file events");
                return;
            }
        }
    }
}

/// The events that wait, without waiting for more.
fn take(queue: &Kqueue) -> Result<Vec<KEvent>, Errno> {
    let none = KEvent::new(0, EventFilter::EVFILT_VNODE, EvFlags::empty(), FilterFlag::empty(), 0, 0);
    let mut events = vec![none; AT_ONCE];
    let count = queue.kevent(&[], &mut events, Some(timespec { tv_sec: 0, tv_nsec: 0 }))?;
    events.truncate(count);
    Ok(events)
}

/// The path that an event is about. The watch of a file that is gone, or has another name now, ends: whoever watches
/// the path watches the next file of that path anew.
fn told(open: &Open, event: &KEvent) -> Option<Utf8PathBuf> {
    let gone = FilterFlag::NOTE_DELETE | FilterFlag::NOTE_RENAME | FilterFlag::NOTE_REVOKE;
    let mut open = lock(open);
    if event.fflags().intersects(gone) {
        return open.remove(&event.ident()).map(|(_, path)| path);
    }
    open.get(&event.ident()).map(|(_, path)| path.clone())
}
