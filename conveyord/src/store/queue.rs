//! Who writes next. A lock alone would give the writer to whoever comes first after it was freed, and that is mostly
//! the loop that has just freed it: a call of a person would wait for the end of a whole backlog.
//!
//! So writers queue. Those whose callers wait go before those that work off much, and each of the two in the order in
//! which they came. Who is passed over goes on all the same after [`MOST_PASSED`] others.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// How many calls may write before a bulk write that waits for them all the while.
const MOST_PASSED: u32 = 16;

/// Whether somebody waits for a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// A call, or what a call waits for.
    Interactive,
    /// One of many writes that follow each other.
    Bulk,
}

/// The queue of the writers.
#[derive(Debug, Default)]
pub(super) struct Queue {
    line: Mutex<Line>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Line {
    next_ticket: u64,
    interactive: VecDeque<u64>,
    bulk: VecDeque<u64>,
    is_writing: bool,
    /// Interactive writes since a bulk one waits.
    passed: u32,
}

impl Line {
    fn of(&mut self, urgency: Urgency) -> &mut VecDeque<u64> {
        match urgency {
            Urgency::Interactive => &mut self.interactive,
            Urgency::Bulk => &mut self.bulk,
        }
    }

    /// Whose turn it is when the writer is free.
    fn first(&self) -> Option<u64> {
        let bulk = self.bulk.front();
        let first = if self.passed >= MOST_PASSED { bulk.or(self.interactive.front()) } else { None };
        first.or_else(|| self.interactive.front()).or(bulk).copied()
    }
}

/// The right to write, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    queue: &'a Queue,
}

impl Queue {
    /// Waits until it is the caller's turn.
    pub(super) fn enter(&self, urgency: Urgency) -> Turn<'_> {
        let mut line = self.line();
        let ticket = line.next_ticket;
        line.next_ticket += 1;
        line.of(urgency).push_back(ticket);
        while line.is_writing || line.first() != Some(ticket) {
            line = self.moved.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
        line.of(urgency).pop_front();
        line.is_writing = true;
        line.passed = match urgency {
            Urgency::Interactive if !line.bulk.is_empty() => line.passed + 1,
            _ => 0,
        };
        Turn { queue: self }
    }

    /// Whether a call waits for its turn to write.
    pub(super) fn is_awaited(&self) -> bool {
        !self.line().interactive.is_empty()
    }

    // The line is whole whatever panicked: nothing between its changes can.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut line = self.queue.line();
        line.is_writing = false;
        if !(line.interactive.is_empty() && line.bulk.is_empty()) {
            self.queue.moved.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, thread};

    /// Lets writers come one after the other while another one writes, and gives the order in which they wrote.
    fn order_of(writers: &[(Urgency, u32)]) -> Vec<u32> {
        let (queue, (tell, told)) = (Queue::default(), mpsc::channel());
        thread::scope(|scope| {
            let first = queue.enter(Urgency::Bulk);
            for (index, (urgency, name)) in writers.iter().copied().enumerate() {
                let (queue, tell) = (&queue, tell.clone());
                let _ = scope.spawn(move || {
                    let _turn = queue.enter(urgency);
                    tell.send(name).unwrap();
                });
                let waiting = || {
                    let line = queue.line();
                    line.interactive.len() + line.bulk.len()
                };
                while waiting() <= index {
                    thread::yield_now();
                }
            }
            assert_eq!(
                queue.is_awaited(),
                writers.iter().any(|(urgency, _)| *urgency == Urgency::Interactive)
            );
            drop(first);
        });
        drop(tell);
        told.iter().collect()
    }

    #[test]
    fn calls_write_before_what_works_off_a_backlog() {
        use Urgency::{Bulk, Interactive};
        let writers = [(Bulk, 1), (Interactive, 2), (Bulk, 3), (Interactive, 4), (Interactive, 5)];
        assert_eq!(order_of(&writers), [2, 4, 5, 1, 3]);
        assert_eq!(order_of(&[(Bulk, 1), (Bulk, 2), (Bulk, 3)]), [1, 2, 3]);
    }

    #[test]
    fn a_backlog_is_worked_off_although_calls_never_end() {
        let mut writers = vec![(Urgency::Bulk, 0)];
        writers.extend((1..=MOST_PASSED + 3).map(|name| (Urgency::Interactive, name)));
        let order = order_of(&writers);
        let at = order.iter().position(|name| *name == 0);
        assert_eq!(at.map(|at| u32::try_from(at).unwrap()), Some(MOST_PASSED));
    }

    #[test]
    fn a_writer_that_panics_gives_its_turn_back() {
        let queue = Queue::default();
        let panicked = thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let _turn = queue.enter(Urgency::Interactive);
                panic!("in the middle of a write");
            });
            writer.join().is_err()
        });
        assert!(panicked);
        drop(queue.enter(Urgency::Bulk));
    }
}
